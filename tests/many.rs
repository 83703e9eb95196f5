//! One server and very many connections.

#![cfg(feature = "ssr")]

#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "server/app.rs"]
mod app;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "server/clients.rs"]
mod clients;
#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;

use app::{Http as _, Program};
use clients::{Plain, Raw, frame};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::within;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// What a process may have open must be a little more, here and in the server, each of which has one end of every connection.
const CONNECTIONS: usize = 19_000;
/// So many connect at a time.
const AT_A_TIME: usize = 200;
const TEXT: &str = "to everybody";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nineteen_thousand_connections_are_held_hear_everything_and_are_told_to_go() {
    let allowed = getrlimit(Resource::Nofile);
    let needed = CONNECTIONS as u64 + 500;
    assert!(
        allowed.maximum.is_none_or(|most| most >= needed),
        "a process may open {allowed:?} files; this test needs {needed} (ulimit -Hn)"
    );
    setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }).expect("as many files as may be");
    let data = tempfile::tempdir().expect("a folder");
    let settings = "[limits]\nconnections_per_address = 0\n\n[[rooms]]\nmatch = \"*\"\nhistory = \"none\"\n";
    std::fs::write(data.path().join("Leptos.toml"), settings).expect("a file");
    let program = Program::start(data.path()).await;

    let (hear, mut heard) = watch::channel(0);
    let mut crowd = JoinSet::new();
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    for _ in 0..CONNECTIONS {
        let (address, turns, hear) = (program.address, Arc::clone(&turns), hear.clone());
        crowd.spawn(async move {
            let turn = turns.acquire().await.expect("a turn");
            let raw = Raw::upgraded(address, "/room/a/").await;
            drop(turn);
            listen(raw, &hear).await;
        });
    }
    let open = format!("confab_members {CONNECTIONS}");
    while !program.get("/metrics").await.text().await.expect("a body").lines().any(|line| line == open) {
        assert!(crowd.try_join_next().is_none(), "nobody leaves");
    }

    let mut speaker = Plain::connect(program.address, "/room/a/").await;
    speaker.say(TEXT).await;
    assert_eq!(speaker.text().await, TEXT);
    within("the text, everywhere", heard.wait_for(|heard| *heard == CONNECTIONS)).await.expect("listeners");
    assert_eq!(program.get("/room/a/").await.status(), 200);

    program.terminate();
    crowd.join_all().await;
    drop(speaker);
    assert_eq!(program.status().await.code(), Some(0));
    assert_eq!(*heard.borrow(), CONNECTIONS);
}

/// Until the server says that it stops.
async fn listen(mut raw: Raw, heard: &watch::Sender<usize>) {
    loop {
        match raw.frame().await {
            Some((0x89, payload)) => raw.send(&frame(0x8A, &payload)).await,
            Some((0x81, text)) => {
                assert_eq!(text, TEXT.as_bytes());
                heard.send_modify(|heard| *heard += 1);
            }
            Some((0x88, reason)) => return assert_eq!(reason.first_chunk(), Some(&4003_u16.to_be_bytes())),
            other => panic!("{other:?}"),
        }
    }
}
