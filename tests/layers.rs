//! One suite for every channel layer: `layers/conformance.rs` holds what each must do, and each backend has a module
//! here that says how it is started and what else is true of it.

#![cfg(feature = "ssr")]

#[path = "layers/conformance.rs"]
#[macro_use]
mod conformance;
#[path = "layers/lag.rs"]
mod lag;
#[path = "layers/like_memory.rs"]
mod like_memory;
#[path = "layers/memory.rs"]
mod memory;
#[path = "layers/model.rs"]
mod model;
#[path = "layers/redis_core.rs"]
mod redis_core;
#[path = "layers/redis_pubsub.rs"]
mod redis_pubsub;
#[path = "layers/sink.rs"]
mod sink;
#[path = "support/mod.rs"]
mod support;
