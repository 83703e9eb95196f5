//! The channel layer: named channels and groups of them, as Django Channels defines it.
//!
//! An [`Event`] is a map with string keys and a string `type`. A [`Channel`] is a mailbox with one reader; a group is a set of
//! channels, and what is sent to the group is sent to each. Delivery is at most once and in order for one sender and one
//! channel; a full mailbox refuses (`send`) or drops (`group_send`). What must not be lost is in the store, and readers
//! find by its offsets that something is missing.
//!
//! A server with ten thousand sockets is one reader, not ten thousand: it [attaches](ChannelLayer::attach) a [`Sink`] to
//! a name that ends in `!`, and whatever is sent to any channel that begins with this name is handed to the sink as it
//! arrives, without a mailbox between. The part after the `!` is the server's own business.

use std::sync::Arc;

use async_trait::async_trait;

mod event;
mod memory;
mod names;

pub use event::{Event, Value};
pub use memory::MemoryLayer;
pub use names::{Channel, GroupName, InvalidName};

/// Why the layer refused.
#[derive(Debug)]
pub enum LayerError {
    /// The channel's mailbox has `capacity` unread messages.
    ChannelFull { channel: Channel, capacity: usize },
    /// The backend cannot be reached; the cause is for the log.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

/// Where a process takes what is sent to its own channels.
pub trait Sink: Send + Sync {
    /// `local` is the part of the channel's name after the `!` of the attached name. Called in the order of arrival, from the
    /// sender's task where the backend is in this process: must not block.
    fn deliver(&self, local: &str, event: &Arc<Event>);
}

#[async_trait]
pub trait ChannelLayer: Send + Sync {
    async fn send(&self, channel: &Channel, event: Event) -> Result<(), LayerError>;
    async fn receive(&self, channel: &Channel) -> Result<Event, LayerError>;
    fn new_channel(&self, prefix: &str) -> Channel;
    fn attach(&self, sink: Arc<dyn Sink>) -> Channel;
    async fn group_add(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError>;
    async fn group_discard(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError>;
    async fn group_send(&self, group: &GroupName, event: Event) -> Result<(), LayerError>;
    async fn flush(&self) -> Result<(), LayerError>;
}
