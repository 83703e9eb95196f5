//! How long somebody goes on hearing what was taken back from them.
//!
//! Somebody speaks in a room without a pause. Another looks on with a socket on the node where it is taken back and one on another node,
//! which share a PostgreSQL database, and a Redis or nothing else. The clock runs from the moment when the request that takes it back is
//! sent until the last message that each of the two sockets gets; a socket has to be told that it is over, and after that it gets nothing,
//! which is checked.
//! The nodes are within this process, so the time in which the client reads is in it.

#![cfg(feature = "ssr")]

use std::time::Instant;

use app::TestApp;
use clients::V1;
use cluster::{host, node_on};
use common::{median, quick, selected};
use confab::server::settings::{Backend, History};
use people::Somebody;
use serde_json::json;
use support::{postgres::Postgres, redis::Redis, within};
use tokio::{sync::watch, task::JoinHandle};

#[allow(dead_code, reason = "shared with tests, which use the rest")]
#[path = "../tests/server/app.rs"]
mod app;
#[allow(dead_code, reason = "shared with tests, which use the rest")]
#[path = "../tests/server/clients.rs"]
mod clients;
#[allow(dead_code, unused_macros, reason = "shared with tests, which use the rest")]
#[path = "../tests/nodes/cluster.rs"]
mod cluster;
mod common;
#[allow(dead_code, reason = "shared with tests, which use the rest")]
#[path = "../tests/server/people.rs"]
mod people;
#[path = "../tests/support/mod.rs"]
mod support;

const RUNS: usize = 30;
const QUICK: usize = 3;
/// So many messages each socket has got before anything is taken back.
const BEFORE: u64 = 20;

/// What is done to whom looks on.
const ACTS: [&str; 4] = ["remove", "ban", "close", "sign-out"];

#[tokio::main]
async fn main() {
    let (postgres, redis) = (Postgres::shared().await, Redis::start().await);
    println!("{:<10}{:<10}{:>24}{:>24}{:>16}", "nodes by", "act", "same node, ms", "another node, ms", "answered, ms");
    for layer in ["redis", "database"] {
        let database = postgres.database().await;
        let node = async || {
            if layer == "redis" {
                return node_on(Backend::RedisCore, host(&redis), &database).await;
            }
            TestApp::with(|all| {
                all.rooms = vec![app::rule("s-*", History::Store)];
                all.store.url = database.parse().expect("the URL of a database");
            })
            .await
        };
        let nodes = [node().await, node().await];
        cluster::ready(&nodes[1]).await;
        let owner = Somebody::in_postgres(&database, "owner").await;
        for act in ACTS.into_iter().filter(|act| selected(act)) {
            let (mut here, mut there, mut answered) = (Vec::new(), Vec::new(), Vec::new());
            for run in 0..if quick() { QUICK } else { RUNS } {
                let name = format!("{act}-{run}");
                let looks_on = Somebody::in_postgres(&database, &name).await;
                let [one, other, answer] = run_once(&nodes, &owner, &looks_on, act, &format!("s-{name}")).await;
                here.push(one);
                there.push(other);
                answered.push(answer);
            }
            let shown = |times: &[f64]| {
                let worst = times.iter().copied().fold(0.0, f64::max);
                format!("{:.1} (worst {worst:.1})", median(times.iter().copied()))
            };
            println!("{layer:<10}{act:<10}{:>24}{:>24}{:>16.1}", shown(&here), shown(&there), median(answered));
        }
    }
}

/// The last message on the same node, on the other one, and the answer to the request, in milliseconds after it was sent.
async fn run_once(nodes: &[TestApp; 2], owner: &Somebody, looks_on: &Somebody, act: &str, room: &str) -> [f64; 3] {
    let topic = format!("room/{room}");
    owner.make(&nodes[0], room, if act == "close" { "open" } else { "closed" }).await;
    if act != "close" {
        looks_on.is_invited(&nodes[0], owner, room, "member").await;
        within("the room on the other node", async { while looks_on.joins(&nodes[1], room).await != "ok" {} }).await;
    }
    let mut readers = Vec::new();
    for node in nodes {
        let mut socket = looks_on.socket(node).await;
        socket.join(&topic, None).await;
        readers.push(Reader::start(socket));
    }
    let mut speaker = owner.socket(&nodes[0]).await;
    speaker.join(&topic, None).await;
    let (stop, stopped) = watch::channel(false);
    let said = topic.clone();
    let speaking = tokio::spawn(async move {
        let mut number = 0;
        while !*stopped.borrow() {
            number += 1;
            speaker.post(&said, &format!("k-{number}"), "what is said without a pause").await;
        }
    });
    for reader in &mut readers {
        within("messages", reader.count.wait_for(|count| *count >= BEFORE)).await.expect("a reader");
    }
    let sent = Instant::now();
    match act {
        "close" => {
            let change = [("act", "change"), ("title", "T"), ("topic", ""), ("kind", "closed"), ("posting", "everybody")];
            assert_eq!(owner.set(&nodes[0], room, &change).await.0, 303);
        }
        "sign-out" => assert_eq!(looks_on.send(&nodes[0], "/logout", &[]).await.0, 303),
        act => owner.does(&nodes[0], room, act, looks_on, &[]).await,
    }
    let mut times = [0.0, 0.0, milliseconds(sent, Instant::now())];
    for (time, reader) in times.iter_mut().zip(readers) {
        *time = milliseconds(sent, within("its end", reader.task).await.expect("no panic"));
    }
    stop.send(true).expect("a speaker");
    within("the end of the speaker", speaking).await.expect("no panic");
    times
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1_000.0
}

/// Reads until it is told that it is over.
struct Reader {
    count: watch::Receiver<u64>,
    /// Gives when the last message came.
    task: JoinHandle<Instant>,
}

impl Reader {
    fn start(mut socket: V1) -> Self {
        let (counting, count) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut last = Instant::now();
            while let Ok(push) = socket.try_push().await {
                match push["event"]["type"].as_str() {
                    Some("message") => {
                        last = Instant::now();
                        counting.send_modify(|count| *count += 1);
                    }
                    Some("left") => {
                        // On one connection nothing overtakes: what was still to come would come before the answer.
                        for _ in 0..3 {
                            socket.ok(json!({"ping": {}})).await;
                        }
                        let late = socket.pushes_so_far().await;
                        assert!(late.iter().all(|push| push["event"]["type"] != "message"), "{late:?}");
                        break;
                    }
                    _ => {}
                }
            }
            last
        });
        Self { count, task }
    }
}
