//! The channel layers on Redis, which speak `channels_redis` both ways.

use std::time::Duration;

mod codec;
mod core;
mod host;
mod msgpack;
mod pubsub;
mod returns;
mod ring;
mod shard;

pub use codec::Serializer;
pub use core::RedisCoreLayer;
pub use host::Host;
pub use pubsub::RedisPubSubLayer;
pub(in crate::server) use shard::{Shard, told};

/// What the names of attached sinks begin with.
const SINK: &str = "confab";

/// How a layer on Redis works; names, meanings and defaults are those of `channels_redis`, and what is told apart on the wire
/// must be the same on every peer: hosts and their order, prefix, serializer, keys, the length of the random prefix.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// The servers over which channels and groups are spread, in the same order on every peer. At least one.
    pub hosts: Vec<Host>,
    /// What keys and group channels in Redis begin with.
    pub prefix: String,
    /// Unread messages that a channel holds.
    pub capacity: usize,
    /// Other capacities by name: see [`super::Capacities::new`].
    pub channel_capacity: Vec<(String, usize)>,
    /// How long a message waits for its reader, in whole seconds.
    pub expiry: Duration,
    /// How long a membership lasts after the last `group_add`, in whole seconds.
    pub group_expiry: Duration,
    /// The first one encrypts, all decrypt; none: nothing is encrypted.
    pub symmetric_encryption_keys: Vec<String>,
    pub serializer: Serializer,
    /// How many bytes stand before each message in a sorted set (`channels_redis.core` only).
    pub random_prefix_length: usize,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            hosts: vec![Host::local()],
            prefix: "asgi".to_owned(),
            capacity: 100,
            channel_capacity: Vec::new(),
            expiry: Duration::from_mins(1),
            group_expiry: Duration::from_hours(24),
            symmetric_encryption_keys: Vec::new(),
            serializer: Serializer::Msgpack,
            random_prefix_length: 12,
        }
    }
}
