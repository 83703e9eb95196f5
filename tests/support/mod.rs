//! What several test binaries stand on: real Redis and PostgreSQL servers, relays to them that lose what is on its way, and real
//! Python programs that talk through Redis.
//!
//! A binary takes it in with `#[path = "support/mod.rs"] mod support;`. Nothing here sleeps: every wait is for one event, and
//! the bound on it only ends a test that hangs.

#![allow(dead_code, reason = "no test binary uses all of it")]

use std::{
    env,
    ffi::OsString,
    future::Future,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

pub mod django;
pub mod nginx;
pub mod peer;
pub mod people;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod relay;

/// Longer than anything takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for what must come.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("never came: {what}"))
}

/// A port that was free a moment ago, below those that the system gives to outgoing connections: a client that
/// tries to reach a dead server could be given the very port, and would reach itself.
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(64);
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (begin.wrapping_add(step) % u32::from(COUNT)) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The Python interpreter that has the packages of `tests/python/requirements.txt`: `PEER_PYTHON`, or that of the virtual
/// environment that xtask makes.
pub fn python() -> OsString {
    if let Some(interpreter) = env::var_os("PEER_PYTHON") {
        return interpreter;
    }
    interpreter("python", "cargo xtask test rust").into()
}

/// That of a virtual environment in the target folder, and what makes it.
pub fn interpreter(environment: &str, remedy: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder in the target folder");
    let interpreter = target.join(environment).join("bin/python");
    assert!(interpreter.exists(), "there is no {}; this makes it: {remedy}", interpreter.display());
    interpreter
}
