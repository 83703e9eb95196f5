//! What several test binaries stand on: real Redis servers, and real Python programs that talk through them.
//!
//! A binary takes it in with `#[path = "support/mod.rs"] mod support;`. Nothing here sleeps: every wait is for one event, and
//! the bound on it only ends a test that hangs.

#![allow(dead_code, reason = "no test binary uses all of it")]

use std::{env, ffi::OsString, future::Future, path::Path, time::Duration};

pub mod django;
pub mod peer;
mod process;
pub mod redis;

/// Longer than anything takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for what must come.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("never came: {what}"))
}

/// The Python interpreter that has the packages of `tests/python/requirements.txt`: `PEER_PYTHON`, or that of the virtual
/// environment that xtask makes.
pub fn python() -> OsString {
    if let Some(interpreter) = env::var_os("PEER_PYTHON") {
        return interpreter;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder in the target folder");
    let interpreter = target.join("python/bin/python");
    assert!(interpreter.exists(), "there is no {}; this makes it: cargo xtask test rust", interpreter.display());
    interpreter.into()
}
