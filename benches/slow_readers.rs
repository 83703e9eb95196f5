//! What a thousand members of a group notice of those beside them who read nothing.
//!
//! Before it is measured, the slow ones are members, and as much is said in texts of 2 KiB as fills the buffers of their sockets on both
//! ends and most of what Confab lets wait for them. Then the fast members come. They are talked to at an even pace, and each
//! checks what it gets and notes how long that took from the sender. After two thirds of that the slow ones are over the bound and are closed:
//! that is in the figures too. Now they read what they had been sent, which is checked as well: it has no hole and ends with 4001.
//!
//! Without slow ones, with one and with ten is measured in turns, each time on a fresh server. Memory is the most that the server has
//! resident while the fast ones are talked to; what the slow ones take is what that is more than without them.

#![cfg(feature = "ssr")]

use std::{sync::Arc, time::Duration};

use common::{
    Kind, Server,
    connection::{Connection, Form, text_frame},
    hall::{Gathering, Talk},
    median, quick, selected, text,
};
use serde_json::Value as Json;
use support::within;
use tokio::{io::AsyncWriteExt as _, net::TcpSocket, sync::watch, task::JoinHandle};

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const RUNS: usize = 5;
const SLOW: [usize; 3] = [0, 1, 10];
const PER_SECOND: u32 = 25;
/// Twelve seconds.
const MESSAGES: u32 = 300;

/// What Confab lets wait for one reader by default, in bytes.
const BACKLOG: f64 = 1_048_576.0;
/// What it counts for each message that waits, beside its bytes.
const ENTRY: f64 = 64.0;
/// The size of the texts that fill the buffers.
const FILL: usize = 2_048;
/// Who says them.
const FILLER: usize = 1;
/// During which part of what is said the slow ones are still connected, roughly.
const OPEN: f64 = 2.0 / 3.0;
/// Bytes of a push of `confab.v1` beside its text, and of a plain message.
const PUSH: f64 = 200.0;
const HEAD: f64 = 4.0;

/// How often the server is looked at.
const LOOK: Duration = Duration::from_millis(100);

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

const V1: Form = Form::V1 { history: false };
const CASES: [(&str, Form, usize); 4] = [
    ("plain, 64 bytes", Form::Plain, 64),
    ("plain, 1 KiB", Form::Plain, 1_024),
    ("confab.v1, 64 bytes", V1, 64),
    ("confab.v1, 1 KiB", V1, 1_024),
];

/// A member who reads nothing yet.
async fn slow(port: u16, form: Form) -> Connection {
    let socket = TcpSocket::new_v4().expect("a socket");
    // The system reads ahead for a client; this much only.
    socket.set_recv_buffer_size(16 * 1024).expect("a TCP option");
    let stream = socket.connect(([127, 0, 0, 1], port).into()).await.expect("a server that listens");
    Connection::on(stream, form).await.expect("a connection")
}

/// Reads what it was sent up to a close frame, from the moment on in which it is told to; nothing is looked at, as the others are still
/// being measured. Returns the payloads, and the close code.
async fn read_late(connection: Connection, mut told: watch::Receiver<bool>) -> (Vec<Vec<u8>>, Option<u16>) {
    let Connection { mut stream, mut inbox, .. } = connection;
    told.wait_for(|told| *told).await.expect("somebody tells");
    let mut messages = Vec::new();
    loop {
        while let Some(frame) = inbox.frame() {
            match frame.first {
                TEXT => messages.push(frame.payload.to_vec()),
                CLOSE => return (messages, frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
                _ => {}
            }
        }
        if !within("the end", inbox.read(&mut stream)).await {
            return (messages, None);
        }
    }
}

/// Each message follows on the one before.
fn check(messages: &[Vec<u8>], form: Form) {
    let (mut filled, mut said) = (0, 0);
    for message in messages {
        let message = str::from_utf8(message).expect("text");
        let text = match form {
            Form::V1 { .. } => {
                let push: Json = serde_json::from_str(message).expect("JSON");
                let Some(text) = push["event"]["text"].as_str() else { continue };
                text.to_owned()
            }
            _ => message.to_owned(),
        };
        let (speaker, number) = text::checked(&text, text.len());
        // Number 0 was said while the fast ones came.
        if number > 0 {
            let last = if speaker == FILLER { &mut filled } else { &mut said };
            assert_eq!(number, *last + 1, "what a slow member gets has no hole");
            *last = number;
        }
    }
    assert!(filled > 0, "it got what was said before");
}

/// The server's own metrics.
struct Metrics(String);

impl Metrics {
    async fn of(client: &reqwest::Client, port: u16) -> Self {
        let answer = client.get(format!("http://127.0.0.1:{port}/metrics")).send().await.expect("an answer");
        Self(answer.text().await.expect("a whole answer"))
    }

    fn value(&self, name: &str) -> f64 {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{}", self.0))
    }

    /// Bytes that wait for slow readers.
    fn queued(&self) -> f64 {
        self.value("confab_queued_bytes")
    }

    fn slow_closes(&self) -> f64 {
        self.value("confab_slow_closes_total")
    }
}

/// Says so much that at least `bytes` wait in the server in total.
async fn fill(client: &reqwest::Client, port: u16, bytes: f64) {
    let mut filler = Connection::open(port, Form::Plain).await.expect("a connection");
    for number in 1.. {
        if Metrics::of(client, port).await.queued() >= bytes {
            return;
        }
        let text = text::said(FILLER, number, FILL);
        filler.stream.write_all(&text_frame(&text)).await.expect("a server that listens");
        let echo = async {
            loop {
                if let Some(frame) = filler.inbox.frame() {
                    return frame.payload.to_vec();
                }
                assert!(filler.inbox.read(&mut filler.stream).await, "it is open");
            }
        };
        assert_eq!(within("what was said", echo).await, text.as_bytes());
    }
}

/// What was seen of the server while the fast ones were talked to.
struct Seen {
    /// In bytes.
    resident: f64,
    queued: f64,
}

/// Looks at the server again and again, and tells the slow ones to read once it has given them all up.
async fn watch(
    client: reqwest::Client,
    server: Arc<Server>,
    slow: usize,
    tell: watch::Sender<bool>,
    seen: watch::Sender<Seen>,
) {
    let mut clock = tokio::time::interval(LOOK);
    loop {
        clock.tick().await;
        let (resident, metrics) = (server.resident(), Metrics::of(&client, server.port()).await);
        seen.send_modify(|seen| {
            seen.resident = seen.resident.max(resident);
            seen.queued = seen.queued.max(metrics.queued());
        });
        if metrics.slow_closes() >= slow as f64 {
            tell.send_replace(true);
        }
    }
}

/// One run.
struct Figures {
    p50: f64,
    p99: f64,
    cpu: f64,
    resident: f64,
    queued: f64,
}

async fn run(slow_ones: usize, talk: Talk) -> Figures {
    let server = Arc::new(Server::of(Kind::Confab(&[])).await);
    let (port, client) = (server.port(), reqwest::Client::builder().no_proxy().build().expect("a client"));
    let (tell, told) = watch::channel(false);
    let mut readers: Vec<JoinHandle<_>> = Vec::new();
    for _ in 0..slow_ones {
        readers.push(tokio::spawn(read_late(slow(port, talk.form).await, told.clone())));
    }
    if slow_ones > 0 {
        let beside = if talk.form == V1 { PUSH } else { HEAD };
        let to_come = f64::from(talk.messages) * OPEN * (talk.payload as f64 + beside + ENTRY);
        // Of what is counted, this is bytes.
        let bytes = FILL as f64 + beside;
        fill(&client, port, slow_ones as f64 * (BACKLOG - to_come) * bytes / (bytes + ENTRY)).await;
    }
    let mut fast = Gathering::new(&[port], talk).await;
    let (seeing, seen) = watch::channel(Seen { resident: 0.0, queued: 0.0 });
    let watching = tokio::spawn(watch(client.clone(), Arc::clone(&server), slow_ones, tell, seeing));
    let before = server.cpu();
    let delays = fast.speak_evenly(PER_SECOND).await;
    let cpu = server.cpu() - before;
    let deliveries = u64::from(talk.messages) * talk.members as u64;
    assert_eq!(delays.count(), deliveries);
    let (p50, p99) = (delays.quantile(0.5), delays.quantile(0.99));
    fast.assert_whole();
    let closed = Metrics::of(&client, port).await.slow_closes() as usize;
    assert_eq!(closed, slow_ones, "the slow ones are given up, and nobody else");
    for reader in readers {
        let (messages, code) = reader.await.expect("nothing wrong");
        assert_eq!(code, Some(4_001), "how a slow member ends, after {} messages", messages.len());
        check(&messages, talk.form);
    }
    watching.abort();
    let Seen { resident, queued } = *seen.borrow();
    Figures { p50, p99, cpu: cpu * 1e6 / deliveries as f64, resident, queued }
}

async fn measure(name: &str, form: Form, payload: usize) {
    let (runs, messages) = if quick() { (1, MESSAGES / 2) } else { (RUNS, MESSAGES) };
    let talk = Talk { form, payload, messages, timed: true, ..Talk::ONE };
    let mut figures = SLOW.map(|_| Vec::new());
    for _ in 0..runs {
        for (figures, slow) in figures.iter_mut().zip(SLOW) {
            figures.push(run(slow, talk).await);
        }
    }
    println!("{name}, {PER_SECOND} messages/s to {} members", talk.members);
    let middle = |figures: &[Figures], part: fn(&Figures) -> f64| median(figures.iter().map(part));
    let without = &figures[0];
    for (figures, slow) in figures.iter().zip(SLOW) {
        let (p50, p99, cpu) = (middle(figures, |f| f.p50), middle(figures, |f| f.p99), middle(figures, |f| f.cpu));
        let (resident, queued) = (middle(figures, |f| f.resident), middle(figures, |f| f.queued));
        print!("  {slow:>2} slow: p50 {p50:>6.2} ms = {:.2} x", p50 / middle(without, |f| f.p50));
        print!(", p99 {p99:>6.2} ms = {:.2} x; {cpu:.2} us a delivery", p99 / middle(without, |f| f.p99));
        print!("; at most {:.1} MB resident", resident / 1e6);
        if slow > 0 {
            let each = (resident - middle(without, |f| f.resident)) / slow as f64;
            print!(", {:.2} MB for each slow one; {:.2} MB waiting", each / 1e6, queued / slow as f64 / 1e6);
        }
        println!();
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (name, form, payload) in CASES.into_iter().filter(|case| selected(case.0)) {
        runtime.block_on(measure(name, form, payload));
    }
}
