//! Clients on other people's implementations with permessage-deflate: what they say arrives byte for byte, and what they are
//! sent reaches them so.

use std::{path::Path, process::Stdio};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use confab::server::settings::History;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    app::{TestApp, rule},
    clients::Plain,
    support, within,
};

const LONGEST: usize = 1 << 20;
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Where all of them are.
fn room(app: &TestApp) -> String {
    format!("ws://{}/room/a/", app.address)
}

/// A client in a process of its own, which ends with it.
struct Peer {
    name: &'static str,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Peer {
    /// `websockets` in Python, with windows of so many bits.
    async fn python(app: &TestApp, window_bits: u8) -> Self {
        let mut command = Command::new(support::python());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/websocket.py")).arg(room(app));
        command.arg(window_bits.to_string());
        Self::start("Python", command, &format!("{AGREED}; server_max_window_bits={window_bits}")).await
    }

    /// `ws` in Node.js.
    async fn node(app: &TestApp) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        assert!(folder.join("node_modules/ws").exists(), "the package ws is missing; this installs it: cargo xtask test rust");
        let mut command = Command::new("node");
        command.arg(folder.join("websocket.js")).arg(room(app));
        Self::start("Node.js", command, AGREED).await
    }

    /// `agreed` is what it has to agree on with the server.
    async fn start(name: &'static str, mut command: Command, agreed: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let input = process.stdin.take().expect("it is piped");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut peer = Self { name, input, lines, _process: process };
        assert_eq!(peer.line().await, json!({ "agreed": agreed }), "{name}");
        peer
    }

    async fn line(&mut self) -> Value {
        let line = within(self.name, self.lines.next_line()).await.expect("text");
        line.unwrap_or_else(|| panic!("{} ended", self.name)).parse().expect("JSON")
    }

    async fn send(&mut self, message: &Message) {
        let line = match message {
            Message::Text(text) => json!({ "text": text.as_str() }),
            other => json!({ "binary": BASE64_STANDARD.encode(other.clone().into_data()) }),
        };
        within(self.name, self.input.write_all(format!("{line}\n").as_bytes())).await.expect("it reads");
    }

    /// The next message.
    async fn next(&mut self) -> Message {
        let line = self.line().await;
        match (line["text"].as_str(), line["binary"].as_str()) {
            (Some(text), None) => Message::text(text),
            (None, Some(base64)) => Message::binary(BASE64_STANDARD.decode(base64).expect("base64")),
            _ => panic!("{line} is no message"),
        }
    }
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize
    }

    /// Of this length in bytes: words that repeat, any characters, a few bytes over and over, or noise.
    fn message(&mut self, length: usize) -> Message {
        let characters = |pick: &mut dyn FnMut() -> char| {
            let mut text = String::with_capacity(length);
            while text.len() < length {
                let next = pick();
                text.push(if text.len() + next.len_utf8() > length { '.' } else { next });
            }
            Message::text(text)
        };
        match self.next() % 4 {
            0 => {
                let words = b"the room is open and nobody says why ";
                let (mut at, mut left) = (0, 0);
                characters(&mut || {
                    if left == 0 {
                        (at, left) = (self.next() % words.len(), 3 + self.next() % 9);
                    }
                    left -= 1;
                    at += 1;
                    char::from(words[at % words.len()])
                })
            }
            1 => characters(&mut || char::from_u32((self.next() % 0x11_0000) as u32).unwrap_or('\u{FFFD}')),
            2 => Message::binary((0..length).map(|_| (self.next() % 3) as u8).collect::<Vec<_>>()),
            _ => Message::binary((0..length).map(|_| self.next() as u8).collect::<Vec<_>>()),
        }
    }

    /// Lengths of all magnitudes, and the edges of the forms of a frame.
    fn lengths(&mut self) -> Vec<usize> {
        let edges = [0, 1, 125, 126, 127, 255, 256, 4_096, 4_097, 32_768, 65_535, 65_536, LONGEST - 1, LONGEST];
        let random = (0..30).map(|n| self.next() % (LONGEST >> (n % 15)));
        edges.into_iter().chain(random.collect::<Vec<_>>()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_up_to_a_mebibyte_go_both_ways_byte_for_byte() {
    let app = TestApp::with(|settings| {
        settings.rooms = vec![rule("*", History::None)];
        settings.limits.message_bytes = LONGEST;
        settings.limits.backlog_bytes = None;
    })
    .await;
    let mut peers = [Peer::python(&app, 15).await, Peer::python(&app, 10).await, Peer::node(&app).await];
    let mut plain = Plain::connect(app.address, "/room/a/").await;
    // The answer to a handshake goes out before the client is a member; that it hears itself shows that it is.
    for at in 0..peers.len() {
        let hello = Message::text(format!("peer {at} is there"));
        peers[at].send(&hello).await;
        for peer in &mut peers[..=at] {
            while peer.next().await != hello {}
        }
    }
    plain.say("all are there").await;
    while plain.text().await != "all are there" {}
    for peer in &mut peers {
        while peer.next().await != Message::text("all are there") {}
    }

    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for length in numbers.lengths() {
        for sender in 0..=peers.len() {
            let message = numbers.message(length);
            match peers.get_mut(sender) {
                Some(peer) => peer.send(&message).await,
                None => plain.send(message.clone()).await,
            }
            for peer in &mut peers {
                assert!(peer.next().await == message, "{} of {length} bytes from {sender}", peer.name);
            }
            assert!(plain.next().await == message, "{length} bytes from {sender}");
        }
    }
}
