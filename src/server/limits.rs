//! The bounds that hold for every connection and every request.

use std::time::Duration;

/// How many exports one address may have on their way.
pub const EXPORTS: u32 = 4;

/// How many requests with a body one address may have under way: each body waits in memory until it is whole.
pub const BODIES: u32 = 64;

/// How many searches of one address may be under way, all but one of them waiting.
pub const SEARCHES: usize = 10;

/// When to search again where that many are under way.
pub const SEARCH_AGAIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest text of a message, in bytes.
    pub message_bytes: usize,
    /// What may wait for one reader, in bytes; 0 for no bound.
    pub backlog_bytes: usize,
    /// Commands or plain messages a second; 0 for no bound.
    pub messages_per_second: u32,
    /// Bytes of messages and answers a second; 0 for no bound.
    pub bytes_per_second: u32,
    /// How many topics a connection may have joined.
    pub topics: usize,
    /// The interval of pings, in seconds.
    pub ping_s: u64,
}

impl Limits {
    /// The longest JSON that carries one message, in bytes: JSON may write a character in six bytes; around the text there are
    /// a command's or an event's other fields.
    pub fn json_bytes(&self) -> usize {
        self.message_bytes.saturating_mul(6).saturating_add(1024)
    }
}
