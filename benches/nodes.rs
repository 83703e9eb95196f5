//! What a delivery costs the servers when two nodes share a Redis, beside one node with the memory backend and as many members.
//!
//! Two thousand plain clients in all are in one room; a client says 64 bytes, and when everybody has the message (`one`), or with
//! eight on their way (`burst`), the next. Every client checks that each message comes once, whole and in order. The cost is the
//! user and system time of the server processes, divided by the deliveries; how busy the machine is otherwise hardly counts.

#![cfg(feature = "ssr")]

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use support::redis::Redis;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

#[path = "../tests/support/mod.rs"]
mod support;

const MEMBERS: usize = 2_000;
const MESSAGES: u64 = 300;
const RUNS: usize = 5;
const PAYLOAD: usize = 64;
/// Clock ticks of the kernel's accounts in a second, on Linux.
const TICKS: f64 = 100.0;

/// A server process.
struct Node {
    child: Child,
    port: u16,
    _data: TempDir,
}

impl Node {
    async fn start(layer: &[(&str, String)]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let child = Command::new(env!("CARGO_BIN_EXE_confab"))
            .arg("serve")
            .current_dir(data.path())
            .env("CONFAB_SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env("CONFAB_ROOMS", r#"[{"match": "*", "history": "none"}]"#)
            .env("CONFAB_LIMITS__CONNECTIONS_PER_ADDRESS", "0")
            .env("CONFAB_LIMITS__MESSAGES_PER_SECOND", "0")
            .envs(layer.iter().map(|(key, value)| (format!("CONFAB_CHANNEL_LAYERS__DEFAULT__{key}"), value)))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a server");
        let node = Self { child, port, _data: data };
        support::within("a server that listens", async { while node.connect().await.is_none() {} }).await;
        node
    }

    async fn connect(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let request = format!(
            "GET /room/bench/ HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Some(stream)
    }

    /// User and system time so far, in seconds.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a process");
        // The name may have spaces; it ends at the last parenthesis.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / TICKS
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What all members together have got.
#[derive(Default)]
struct Got {
    /// Messages with a number from 1 on; 0 is for warming up.
    deliveries: AtomicU64,
    /// Members that have got anything.
    warm: AtomicU64,
    changed: Notify,
}

/// Reads and checks until the server is gone.
async fn member(mut stream: TcpStream, got: Arc<Got>) {
    let (mut buffer, mut held, mut last, mut warm) = ([0; 4_096], Vec::new(), 0, false);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        held.extend_from_slice(&buffer[..count]);
        let frames = held.chunks_exact(2 + PAYLOAD);
        let rest = frames.remainder().to_vec();
        let mut deliveries = 0;
        for frame in frames {
            assert_eq!(frame[..2], [0x81, PAYLOAD as u8], "a text message of 64 bytes");
            let number: u64 = str::from_utf8(&frame[2..]).expect("text").trim_end().parse().expect("a number");
            if number > 0 {
                assert_eq!(number, last + 1, "in order, none lost, none twice");
                last = number;
                deliveries += 1;
            }
            if !warm {
                warm = true;
                got.warm.fetch_add(1, Ordering::Relaxed);
            }
        }
        held = rest;
        got.deliveries.fetch_add(deliveries, Ordering::Relaxed);
        got.changed.notify_one();
    }
}

async fn say(stream: &mut TcpStream, number: u64) {
    let mut frame = vec![0x81, 0x80 | PAYLOAD as u8, 0, 0, 0, 0];
    frame.extend(format!("{number:<PAYLOAD$}").bytes());
    stream.write_all(&frame).await.expect("a server that listens");
}

/// Microseconds of the servers' time for a delivery, with so many messages on their way at once.
async fn cost(nodes: &[Node], on_the_way: u64) -> f64 {
    let got = Arc::new(Got::default());
    for n in 0..MEMBERS {
        let stream = nodes[n % nodes.len()].connect().await.expect("a connection");
        tokio::spawn(member(stream, Arc::clone(&got)));
    }
    let mut sender = nodes[0].connect().await.expect("a connection");
    let until = |counter: fn(&Got) -> &AtomicU64, least: u64| {
        let got = Arc::clone(&got);
        async move {
            while counter(&got).load(Ordering::Relaxed) < least {
                got.changed.notified().await;
            }
        }
    };
    // The nodes join the group when their first member comes; what is said before does not reach them.
    while got.warm.load(Ordering::Relaxed) < MEMBERS as u64 {
        say(&mut sender, 0).await;
        let _ = tokio::time::timeout(Duration::from_millis(300), until(|got| &got.warm, MEMBERS as u64)).await;
    }
    let before: f64 = nodes.iter().map(Node::cpu).sum();
    for number in 1..=MESSAGES {
        say(&mut sender, number).await;
        let complete = number.saturating_sub(on_the_way - 1) * MEMBERS as u64;
        support::within("a message to all", until(|got| &got.deliveries, complete)).await;
    }
    support::within("all messages", until(|got| &got.deliveries, MESSAGES * MEMBERS as u64)).await;
    let after: f64 = nodes.iter().map(Node::cpu).sum();
    // The sender hears itself too.
    (after - before) * 1e6 / (MESSAGES * (MEMBERS as u64 + 1)) as f64
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

#[tokio::main]
async fn main() {
    let redis = Redis::start().await;
    for (mode, on_the_way) in [("one", 1), ("burst", 8)] {
        let mut costs = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (costs, backend) in costs.iter_mut().zip(["memory", "channels_redis.core", "channels_redis.pubsub"]) {
                let settings = [("BACKEND", backend.to_owned()), ("HOSTS", format!("[\"{}\"]", redis.url()))];
                let mut nodes = vec![Node::start(&settings).await];
                if backend != "memory" {
                    nodes.push(Node::start(&settings).await);
                }
                costs.push(cost(&nodes, on_the_way).await);
            }
        }
        let [memory, core, pubsub] = costs.map(median);
        println!(
            "{mode:<6} memory {memory:>6.2} us, core {core:>6.2} us ({:.2} x), pubsub {pubsub:>6.2} us ({:.2} x)",
            core / memory,
            pubsub / memory
        );
    }
}
