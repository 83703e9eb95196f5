//! Confab and Python on one Redis.

#![cfg(feature = "ssr")]

#[path = "peers/harness.rs"]
mod harness;
#[path = "support/mod.rs"]
mod support;
