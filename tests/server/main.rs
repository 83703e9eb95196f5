//! The server as its clients see it: each test starts one on a free port with a data folder of its own, and speaks to it
//! over real sockets.
//!
//! `app` starts servers, within this process or as the real program. `clients` has those who talk to them: a WebSocket
//! client that shares no code with the server for what is well formed, and bytes on a TCP connection for what is not. `faulty`
//! is a channel layer that fails when it is told to. The other modules are the tests, by what they are about.
//!
//! Nothing here sleeps or measures time. Every wait is for one event; the bound on it only ends a test that hangs.

#![cfg(feature = "ssr")]

mod accounts;
mod app;
mod backup;
mod changes;
mod chat;
mod clients;
mod deflate;
mod departures;
mod descriptors;
mod disk;
mod durability;
mod faults;
mod faulty;
mod floods;
mod frames;
mod handshake;
mod history;
mod hosts;
mod known;
mod language;
mod limits;
mod log;
mod manage;
mod metrics;
mod openapi;
mod owned;
mod pages;
mod peers;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod people;
mod permissions;
mod plain;
mod presence;
mod profiles;
mod push;
mod requests;
mod retention;
mod revocation;
mod search;
mod second_factor;
mod signals;
mod sizes;
mod slow_reader;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use std::{future::Future, time::Duration};

/// Longer than anything takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for what must come.
async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("never came: {what}"))
}
