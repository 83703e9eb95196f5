//! What a connection costs: how much memory one takes that is open, and how many can be opened in a second.
//!
//! Memory is what the server process has resident after ten thousand connections less what it had before, divided by them. Each
//! connection has got one message, which it checks: so all of them are members, and what a server keeps after a first delivery is
//! in the figure.
//!
//! Connections are opened by 64 clients, each one after the other, up to the answer to the handshake, which is checked. They stay
//! open. The clients are on the same cores, so what counts is the ratio.

#![cfg(feature = "ssr")]

use std::time::Instant;

use common::{
    Kind, Server,
    connection::{Form, open_all},
    hall::{Gathering, Talk},
    median, selected, serve_if_asked,
};

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const HELD: usize = 10_000;
const HELD_RUNS: usize = 3;
const OPENED: usize = 5_000;
const OPENED_RUNS: usize = 5;

const STORE: &[(&str, &str)] = &[("ROOMS", r#"[{"match": "*", "history": "store"}]"#)];
const V1: Form = Form::V1 { history: true };
const PEERS: [(&str, Kind, Form); 5] = [
    ("bare loop", Kind::Bare, Form::Plain),
    ("uWebSockets", Kind::UWebSockets, Form::Plain),
    ("ws", Kind::Ws, Form::Plain),
    ("Confab", Kind::Confab(&[]), Form::Plain),
    ("Confab, confab.v1", Kind::Confab(STORE), V1),
];

/// Memory for a connection, in bytes.
async fn memory(kind: Kind, form: Form) -> f64 {
    let server = Server::of(kind).await;
    // What the first connection and the first message bring into memory is not theirs.
    let few = Talk { form, members: 1, ..Talk::ONE };
    let first = Gathering::new(&[server.port()], few).await;
    let before = server.resident();
    let members = Gathering::new(&[server.port()], Talk { members: HELD, ..few }).await;
    let after = server.resident();
    first.assert_whole();
    members.assert_whole();
    (after - before) / (HELD + few.speakers) as f64
}

/// Connections opened in a second, and what one costs the server, in microseconds.
async fn opened(kind: Kind, form: Form) -> (f64, f64) {
    let server = Server::of(kind).await;
    let (before, began) = (server.cpu(), Instant::now());
    let connections = open_all(server.port(), form, OPENED).await;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), server.cpu() - before);
    assert_eq!(connections.len(), OPENED);
    (OPENED as f64 / seconds, cpu * 1e6 / OPENED as f64)
}

async fn measure_memory() {
    let mut figures = PEERS.map(|_| Vec::new());
    for _ in 0..HELD_RUNS {
        for (figures, (_, kind, form)) in figures.iter_mut().zip(PEERS) {
            figures.push(memory(kind, form).await);
        }
    }
    println!("memory");
    for ((name, ..), figures) in PEERS.iter().zip(figures) {
        println!("  {name:<18} {:>5.2} kB a connection", median(figures) / 1e3);
    }
}

async fn measure_opening() {
    let mut figures = PEERS.map(|_| Vec::new());
    for _ in 0..OPENED_RUNS {
        for (figures, (_, kind, form)) in figures.iter_mut().zip(PEERS) {
            figures.push(opened(kind, form).await);
        }
    }
    println!("opening");
    let rates = figures.each_ref().map(|figures| median(figures.iter().map(|figure| figure.0)));
    for (((name, ..), figures), rate) in PEERS.iter().zip(&figures).zip(rates) {
        let cpu = median(figures.iter().map(|figure| figure.1));
        println!("  {name:<18} {rate:>6.0} connections/s = {:.2} x uWebSockets; {cpu:>5.0} us of the server", rate / rates[1]);
    }
}

fn main() {
    serve_if_asked();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if selected("memory") {
        runtime.block_on(measure_memory());
    }
    if selected("opening") {
        runtime.block_on(measure_opening());
    }
}
