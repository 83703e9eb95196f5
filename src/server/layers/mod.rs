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

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use thiserror::Error;

mod capacity;
mod event;
mod groups;
mod mailboxes;
mod measured;
mod memory;
mod names;
pub mod redis;

pub use capacity::Capacities;
pub use event::{Event, InvalidEvent, Value};
pub use measured::Measured;
pub use memory::{MemoryLayer, MemoryOptions};
pub use names::{Channel, GroupName, InvalidName};

/// What the names of a process's own channels begin with, unless somebody asks for something else.
pub const DEFAULT_PREFIX: &str = "specific";

/// A time span longer than this is cut to it, so that adding it to the present cannot overflow: 30 years.
const LONGEST_TIME: Duration = Duration::from_hours(30 * 365 * 24);

/// Why the layer refused.
#[derive(Debug, Error)]
pub enum LayerError {
    /// The channel's mailbox has at least `capacity` unread messages, those of its virtual channels together. Sending again
    /// helps once somebody has read, or the oldest have expired.
    #[error("channel {channel} is full: {capacity} messages wait there unread, and it takes no more")]
    ChannelFull { channel: Channel, capacity: usize },
    /// The channel is read elsewhere: its name has a `!` and was not made by this layer's [`new_channel`](ChannelLayer::new_channel),
    /// so it is another process's, or it is a sink's.
    #[error("channel {channel} cannot be received from here: it belongs to another process or to an attached sink")]
    NotOurs { channel: Channel },
    /// The name that was asked for cannot be a channel's.
    #[error("{0}")]
    InvalidName(#[from] InvalidName),
    /// The event has something in it that the backend's serializer has no form for; says what.
    #[error("the event cannot be sent: {0}")]
    Unserializable(String),
    /// The backend, or the system's source of random numbers, cannot be reached; the cause is for the log.
    #[error("the channel layer cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where a process takes what is sent to its own channels.
pub trait Sink: Send + Sync {
    /// `local` is the part of the channel's name after the `!` of the attached name.
    ///
    /// Called once for each channel that is addressed, in the order in which one sender sent; calls for different senders may
    /// overlap. Where the backend is in this process the sender's task makes the call, under no lock of the layer: it may
    /// use the layer, but must not block. One `group_send` gives the same `Arc` to all members that are in this process.
    fn deliver(&self, local: &str, event: &Arc<Event>);

    /// Something that was sent to channels behind the attached name may have been lost: the connection to the backend was
    /// down and is back. What is sent from now on arrives, to the groups too of which the backend still knows; the sink's owner
    /// adds its channels again. Like [`Self::deliver`] this must not block. A backend in this process never calls this.
    fn gap(&self) {}

    /// The same for one channel, of which `local` is the part after the `!`: the backend had forgotten that it is in a group, and
    /// knows again. What other processes sent to the group meanwhile may have been lost. Like [`Self::deliver`] this must not block.
    fn missed(&self, local: &str) {
        let _ = local;
        self.gap();
    }
}

/// A backend that carries events between channels, in one process or between many.
///
/// What every backend promises, and `tests/layers/` checks:
///
/// - **At most once.** A message reaches one reader, once, or it is lost: to a mailbox that is full, to
///   expiry, to [`flush`](Self::flush), or to a backend that fails. It is never doubled, and a sender is not told what became
///   of a message that was accepted.
/// - **Order.** What one sender sends to one process-specific channel (its name has a `!`), each call awaited before
///   the next, is received in that order, and so are messages to a sink. Between senders there is no order. A channel without `!` may
///   be spread over several servers and then has no order either; in one process it is in order too. What is sent to one group need
///   not be awaited before the next: calls are in order too that are begun in order, each polled for the first time after
///   the one before, and awaited together.
/// - **Sending never waits** for a reader. A mailbox holds `capacity` unread messages; [`send`](Self::send) to one that is full is refused,
///   [`group_send`](Self::group_send) passes it over and goes on. The limit is on the part of the name up to the `!`, so
///   the virtual channels behind one `!` share it, and one group message counts once however many of them it is for.
///   Sinks have no mailbox and no capacity.
/// - **Expiry.** A message unread for `expiry` is dropped. A membership ends `group_expiry` after the last
///   [`group_add`](Self::group_add); an expired message does not end it.
/// - **Receiving may be cancelled** at any await: a message is then still there for the next reader. Where several wait
///   on a channel each message goes to one of them, and none waits for ever while others are served.
/// - **One's own.** What is sent to a group reaches the channels of this very process that are in it, or the sending fails, whatever
///   the backend has forgotten of the group meanwhile. What it has forgotten it is told again within three seconds, and
///   [`trouble`](Self::trouble) says so until then.
/// - **No starvation.** A busy channel does not keep the messages of a quiet one from its reader.
#[async_trait]
pub trait ChannelLayer: Send + Sync {
    /// Puts `event` into the mailbox of `channel`, or hands it to the sink that is attached there.
    ///
    /// # Errors
    /// [`LayerError::ChannelFull`], [`LayerError::Unavailable`].
    async fn send(&self, channel: &Channel, event: Event) -> Result<(), LayerError>;

    /// Takes the next message from `channel`; waits for one as long as it takes. Cancel-safe.
    ///
    /// # Errors
    /// [`LayerError::NotOurs`], [`LayerError::Unavailable`].
    async fn receive(&self, channel: &Channel) -> Result<Event, LayerError>;

    /// Makes a fresh channel that only this layer can receive from: `{prefix}.{client id}!{id}`, both ids 32 hexadecimal
    /// digits from the system's random numbers, the first the same for all channels of this layer. Nothing is kept for it until
    /// somebody uses it. [`DEFAULT_PREFIX`] is the usual prefix; it may have up to 33 characters.
    ///
    /// # Errors
    /// [`LayerError::InvalidName`] if no channel can begin with `prefix`, [`LayerError::Unavailable`] if the system has no random numbers.
    fn new_channel(&self, prefix: &str) -> Result<Channel, LayerError>;

    /// Hands whatever is sent to `{name}{local}` to `sink` from now on, for every `local`. The fresh name ends in `!`;
    /// [`Channel::with_local`] makes the channels behind it, to be given to others or added to groups.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`].
    fn attach(&self, sink: Arc<dyn Sink>) -> Result<Channel, LayerError>;

    /// Lets the sink of `name` go and ends the memberships of all channels behind it. A delivery that has begun may still reach it.
    /// What is sent there afterwards waits in vain and expires, as for any process that is gone. An unknown name is no error.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`].
    async fn detach(&self, name: &Channel) -> Result<(), LayerError>;

    /// Makes `channel` a member, or begins the time of its membership anew: a member is in the group once.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`].
    async fn group_add(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError>;

    /// Ends the membership. A channel that is no member is no error.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`].
    async fn group_discard(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError>;

    /// Sends `event` to all who are members now. A member whose mailbox is full misses it; the log says how many did.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`], never [`LayerError::ChannelFull`].
    async fn group_send(&self, group: &GroupName, event: Event) -> Result<(), LayerError>;

    /// Drops all messages and memberships. Sinks stay attached and whoever waits for a message goes on waiting. When this
    /// returns, nothing that was sent or added before the call is left.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`].
    async fn flush(&self) -> Result<(), LayerError>;

    /// What keeps the layer from its backend right now, in words for an operator; none while all is well.
    fn trouble(&self) -> Option<String> {
        None
    }
}
