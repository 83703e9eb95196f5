//! How many instructions a delivery takes in user space, which a busy machine does not change.
//!
//! The server runs under valgrind's `callgrind`, once for some messages and once for twice as many; the difference, divided by its
//! deliveries, has neither start nor end in it. What the kernel does is not counted, and it does most of the work: hold these figures
//! beside those of another version, not beside the time that a delivery takes.
//!
//! What each function takes is kept in `target/instructions`, for `callgrind_annotate`.
//!
//! Confab runs on one thread of its runtime here, since valgrind lets only one run at a time. A burst is written by its sender with
//! one write, and the next one when all have it, so that how it is cut does not depend on the clock.

#![cfg(feature = "ssr")]

use std::{fs, path::PathBuf, process::Command};

use common::{
    Kind, Server,
    connection::Form,
    hall::{Talk, cost},
    selected, serve_if_asked,
};

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const OUTPUT: &str = "callgrind.out";
const ONE: Talk = Talk { members: 100, messages: 200, ..Talk::ONE };
const BURST: Talk = Talk { together: 8, on_the_way: 8, messages: 800, ..ONE };
const KIBIBYTE: Talk = Talk { payload: 1_024, ..ONE };
const MEMORY: &[(&str, &str)] = &[("ROOMS", r#"[{"match": "*", "history": "memory"}]"#)];
const STORE: &[(&str, &str)] = &[("ROOMS", r#"[{"match": "*", "history": "store"}]"#)];

const LINES: [(&str, Kind, Form); 6] = [
    ("bare loop", Kind::Bare, Form::Plain),
    ("uWebSockets", Kind::UWebSockets, Form::Plain),
    ("Confab, plain", Kind::Confab(&[]), Form::Plain),
    ("Confab, confab.v1, none", Kind::Confab(&[]), Form::V1 { history: false }),
    ("Confab, confab.v1, memory", Kind::Confab(MEMORY), Form::V1 { history: true }),
    ("Confab, confab.v1, store", Kind::Confab(STORE), Form::V1 { history: true }),
];

/// The same command under valgrind.
fn counted(command: &Command) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", &format!("--callgrind-out-file={OUTPUT}")])
        .arg(command.get_program())
        .args(command.get_args());
    valgrind.env("TOKIO_WORKER_THREADS", "1");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => valgrind.env(name, value),
            None => valgrind.env_remove(name),
        };
    }
    valgrind
}

/// Instructions of a server from its start to its end. Its profile is kept under this name.
async fn instructions(name: &str, kind: Kind, talk: Talk) -> f64 {
    let mut server = Server::start(|port| counted(&kind.command(port))).await;
    cost(std::slice::from_ref(&server), talk).await;
    server.end().await;
    let output = fs::read_to_string(server.folder().join(OUTPUT)).expect("what valgrind writes at the end");
    fs::write(kept().join(format!("{name}, {} messages.out", talk.messages)), &output).expect("a folder of our own");
    let total = output.lines().find_map(|line| line.strip_prefix("totals: ")).expect("a total");
    total.trim().parse().expect("a number")
}

/// Where the profiles are kept.
fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/instructions")
}

async fn measure(name: &str, kind: Kind, form: Form, talk: Talk) -> f64 {
    let once = Talk { form, ..talk };
    let twice = Talk { messages: 2 * talk.messages, ..once };
    let difference = instructions(name, kind, twice).await - instructions(name, kind, once).await;
    let figure = difference / (f64::from(talk.messages) * (talk.members + talk.speakers) as f64);
    println!("{name:<32} {figure:>7.0} instructions a delivery");
    figure
}

fn main() {
    serve_if_asked();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    fs::create_dir_all(kept()).expect("a folder of our own");
    for (case, talk) in [("one", ONE), ("burst", BURST), ("1 KiB", KIBIBYTE)] {
        for (server, kind, form) in LINES {
            let name = format!("{case}, {server}");
            if selected(&name) {
                runtime.block_on(measure(&name, kind, form, talk));
            }
        }
    }
}
