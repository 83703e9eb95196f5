//! What a delivery costs, beside uWebSockets and beside a loop that does nothing but write.
//!
//! A thousand plain clients are in one room, and every one of them checks all that it gets. All servers are measured in the same run,
//! in turns, and what counts is the ratio: the user and system time of the server process, divided by the deliveries.
//!
//! uWebSockets is the one in Python's `socketify`: the members are C++'s, Python runs once a message.

#![cfg(feature = "ssr")]

use std::{env, process::Command};

use common::{Cost, Server, Talk, cost, median};

mod bare;
mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const RUNS: usize = 5;

const ONE: Talk = Talk { members: 1_000, speakers: 1, on_the_way: 1, messages: 400, payload: 64 };
const CASES: [(&str, Talk); 5] = [
    ("one", ONE),
    ("burst", Talk { on_the_way: 8, messages: 1_600, ..ONE }),
    ("20 senders", Talk { speakers: 20, messages: 80, ..ONE }),
    ("one, 1 KiB", Talk { payload: 1_024, ..ONE }),
    ("one, 10,000 members", Talk { members: 9_000, messages: 60, ..ONE }),
];

/// A server of each kind.
async fn server(kind: &str) -> Server {
    match kind {
        "bare" => {
            Server::start(|port| {
                let mut command = Command::new(env::current_exe().expect("this program"));
                command.args(["--serve-bare", &port.to_string()]);
                command
            })
            .await
        }
        "uWebSockets" => {
            let python = support::interpreter("python-benches", "cargo xtask bench");
            Server::start(|port| {
                let mut command = Command::new(python);
                command.args([concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/uws.py"), &port.to_string()]);
                command
            })
            .await
        }
        _ => Server::confab(&[]).await,
    }
}

async fn measure() {
    const KINDS: [&str; 3] = ["bare", "uWebSockets", "Confab"];
    for (name, talk) in CASES {
        let mut costs = KINDS.map(|_| Vec::<Cost>::new());
        for _ in 0..RUNS {
            for (costs, kind) in costs.iter_mut().zip(KINDS) {
                costs.push(cost(&[server(kind).await], talk).await);
            }
        }
        let [bare, uws, confab] =
            costs.map(|costs| (median(costs.iter().map(|cost| cost.cpu)), median(costs.iter().map(|cost| cost.rate))));
        println!(
            "{name:<20} bare {:>5.2} us, uWebSockets {:>5.2} us, Confab {:>5.2} us = {:.2} x uWebSockets; deliveries/s {:.0}, {:.0}, {:.0}",
            bare.0,
            uws.0,
            confab.0,
            confab.0 / uws.0,
            bare.1,
            uws.1,
            confab.1
        );
    }
}

fn main() {
    let arguments: Vec<_> = env::args().collect();
    if let [_, flag, port] = &arguments[..]
        && flag == "--serve-bare"
    {
        return bare::serve(port.parse().expect("a port"));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
}
