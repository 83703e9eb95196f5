//! What a delivery costs, beside uWebSockets, beside `ws` and Django Channels, and beside a loop that does nothing but write.
//!
//! Members are in one room, and every one of them checks all that it gets. All servers of a case are measured in the same run, in
//! turns, and what counts is the ratio: the user and system time of the server process, divided by the deliveries.
//!
//! `confab.v1` has more bytes to a message than the text that was said. The servers beside it carry texts of as many bytes as its
//! frames had.

#![cfg(feature = "ssr")]

use common::{
    Kind, Server,
    connection::Form,
    hall::{Cost, Talk, cost},
    median, quantile, selected, serve_if_asked,
};

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const MEMORY: &str = r#"[{"match": "*", "history": "memory"}]"#;
const STORE: &str = r#"[{"match": "*", "history": "store"}]"#;

/// One line of a case.
#[derive(Clone, Copy)]
struct Line {
    name: &'static str,
    kind: Kind,
    form: Form,
    /// The line that it is held beside.
    beside: &'static str,
    /// It says one message in so many of the others.
    one_in: u32,
    /// It carries texts as long as the messages of the line before it.
    same_bytes: bool,
}

impl Line {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, form: Form::Plain, beside: UWS, one_in: 1, same_bytes: false }
    }
}

const UWS: &str = "uWebSockets";
const BARE: Line = Line::new("bare loop", Kind::Bare);
const UWEBSOCKETS: Line = Line::new(UWS, Kind::UWebSockets);
const WS: Line = Line { one_in: 4, ..Line::new("ws", Kind::Ws) };
const CHANNELS: Line = Line { one_in: 40, ..Line::new("Django Channels", Kind::Channels) };
const CONFAB: Line = Line::new("Confab", Kind::Confab(&[]));

const ALL: &[Line] = &[BARE, UWEBSOCKETS, WS, CHANNELS, CONFAB];
const FAST: &[Line] = &[BARE, UWEBSOCKETS, CONFAB];
const V1: &[Line] = &[
    Line { form: Form::V1 { history: false }, ..Line::new("none", Kind::Confab(&[])) },
    Line { same_bytes: true, ..UWEBSOCKETS },
    Line { form: Form::V1 { history: true }, beside: "none", ..Line::new("memory", Kind::Confab(&[("ROOMS", MEMORY)])) },
    Line { form: Form::V1 { history: true }, beside: "none", ..Line::new("store", Kind::Confab(&[("ROOMS", STORE)])) },
];
const DEFLATE: &[Line] = &[
    Line { beside: "Confab, off", ..Line::new("uWebSockets, off", Kind::UWebSockets) },
    Line { form: Form::Deflate, one_in: 4, beside: "Confab, off", ..Line::new("uWebSockets, on", Kind::UWebSocketsDeflating) },
    Line { beside: "Confab, off", ..Line::new("Confab, off", Kind::Confab(&[])) },
    Line { form: Form::Deflate, beside: "Confab, off", ..Line::new("Confab, on", Kind::Confab(&[])) },
];

struct Case {
    name: &'static str,
    talk: Talk,
    lines: &'static [Line],
    runs: usize,
}

const KIBIBYTE: usize = 1_024;
const MANY: usize = 9_000;
const CASES: &[Case] = &[
    Case { name: "one", talk: Talk::ONE, lines: ALL, runs: 5 },
    Case { name: "burst", talk: Talk::BURST, lines: ALL, runs: 5 },
    Case { name: "20 senders", talk: Talk { speakers: 20, messages: 80, ..Talk::ONE }, lines: FAST, runs: 5 },
    Case { name: "one, 1 KiB", talk: Talk { payload: KIBIBYTE, ..Talk::ONE }, lines: FAST, runs: 5 },
    Case { name: "burst, 1 KiB", talk: Talk { payload: KIBIBYTE, ..Talk::BURST }, lines: FAST, runs: 5 },
    Case { name: "one, 9,000 members", talk: Talk { members: MANY, messages: 100, ..Talk::ONE }, lines: FAST, runs: 5 },
    Case { name: "burst, 9,000 members", talk: Talk { members: MANY, messages: 240, ..Talk::BURST }, lines: FAST, runs: 3 },
    Case { name: "confab.v1, one", talk: Talk::ONE, lines: V1, runs: 5 },
    Case { name: "confab.v1, burst", talk: Talk::BURST, lines: V1, runs: 5 },
    Case { name: "deflate, one, 1 KiB", talk: Talk { payload: KIBIBYTE, ..Talk::ONE }, lines: DEFLATE, runs: 5 },
    Case { name: "deflate, burst, 1 KiB", talk: Talk { payload: KIBIBYTE, ..Talk::BURST }, lines: DEFLATE, runs: 5 },
];

/// The length of a text whose frame has so many bytes.
fn text_of(frame: f64) -> usize {
    let frame = frame.round() as usize;
    if frame < 126 + 4 { frame - 2 } else { frame - 4 }
}

async fn measure(case: &Case) {
    let mut costs: Vec<Vec<Cost>> = case.lines.iter().map(|_| Vec::new()).collect();
    for _ in 0..case.runs {
        let mut frame = 0.0;
        for (line, costs) in case.lines.iter().zip(&mut costs) {
            let payload = if line.same_bytes { text_of(frame) } else { case.talk.payload };
            // Whole bursts.
            let messages = (case.talk.messages / line.one_in).next_multiple_of(case.talk.on_the_way);
            let talk = Talk { form: line.form, payload, messages, ..case.talk };
            let cost = cost(&[Server::of(line.kind).await], talk).await;
            frame = cost.bytes;
            costs.push(cost);
        }
    }
    println!("{}", case.name);
    let cpu = |costs: &[Cost]| median(costs.iter().map(|cost| cost.cpu));
    for (line, own) in case.lines.iter().zip(&costs) {
        let beside = case.lines.iter().position(|other| other.name == line.beside).expect("a line of the case");
        print!("  {:<16} {:>7.2} us = {:>5.2} x {}", line.name, cpu(own), cpu(own) / cpu(&costs[beside]), line.beside);
        print!("; {:>8.0} deliveries/s of {:>4.0} bytes", median(own.iter().map(|cost| cost.rate)), own[0].bytes);
        let latencies: Vec<f64> = own.iter().flat_map(|cost| cost.latencies.iter().copied()).collect();
        if !latencies.is_empty() {
            let part = |part| quantile(part, latencies.iter().copied());
            print!("; to the last member p50 {:.1} ms, p99 {:.1} ms", part(0.5), part(0.99));
        }
        println!();
    }
}

fn main() {
    serve_if_asked();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for case in CASES.iter().filter(|case| selected(case.name)) {
        runtime.block_on(measure(case));
    }
}
