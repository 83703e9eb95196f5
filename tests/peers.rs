//! Confab and Python on one Redis.

#![cfg(feature = "ssr")]

#[path = "peers/django.rs"]
mod django;
#[path = "peers/harness.rs"]
mod harness;
#[path = "peers/matrix.rs"]
mod matrix;
#[path = "peers/python.rs"]
mod python;
#[path = "support/mod.rs"]
mod support;
