//! Durable data: rooms and their messages, each room a stream of its own.
//!
//! A message is [appended](Store::append) with a client-made key; the writer commits it together with others that wait and
//! gives it the room's next offset, gapless from 1. Then the commit goes down the [`Commits`] channel, in the order of the
//! offsets, and whoever reads that channel hands the events on and [acknowledges](Committed::acknowledge) them. So nothing is
//! seen by anybody, its author included, before it is durable, and everybody sees the same order.
//!
//! What is on its way is bounded in bytes, from [`Store::append`] until the acknowledgement: when the reader of commits or the
//! disk is slow, further appends wait.

use std::fmt;

use async_trait::async_trait;

use crate::wire::{Group, Key, Message, Offset, Person, Position, RoomSummary, Stored, Timestamp};

mod batch;
mod commits;
mod epoch;
mod memory;
mod page;
mod postgres;
mod search;
mod sqlite;

pub use commits::{Commits, Committed};
pub use memory::MemoryStore;
pub use postgres::{OpenError as PostgresOpenError, PostgresStore, PostgresUrl};
pub use search::{Found, LONGEST_QUERY, Query, QueryTooLong, Within};
pub use sqlite::{CopyError, Durability, Holdings, OpenError, SqliteStore, backup, restore};

/// Why the store could not.
#[derive(Debug)]
pub enum StoreError {
    /// It cannot write or read now (disk full, read-only, locked, closed, ...); the cause is for the log.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    fn closed() -> Self {
        Self::unavailable("the store is closed")
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(cause) => write!(f, "the store is unavailable: {cause}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// A message on its way in. Any text is kept as it is; the store sets no limit to its length, callers do.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub group: Group,
    pub key: Key,
    pub from: Person,
    pub text: String,
    pub at: Timestamp,
}

impl NewMessage {
    /// The message in its place. Epochs differ between rooms, hence epoch and offset name a message among all of them.
    fn stored_at(self, position: &Position) -> Stored {
        let Position { epoch, offset } = position;
        let Self { group: _, key, from, text, at } = self;
        Stored { offset: *offset, message: Message { id: message_id(epoch.as_str(), *offset), key, from, text, at } }
    }
}

/// What a message is called: unique over all rooms.
fn message_id(epoch: &str, offset: Offset) -> String {
    format!("{epoch}-{offset}")
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    pub position: Position,
    /// False when the same author's message with the same key was already there: then this is where that one stands.
    pub fresh: bool,
}

/// Which part of a room's stream to read. An offset may be any number, also one that the stream has not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// The newest.
    Latest,
    /// The newest of those before the offset.
    Before(Offset),
    /// The oldest of those after the offset.
    After(Offset),
    /// Half from before the offset, the rest from it on. An offset beyond an end of what is held means that end.
    Around(Offset),
}

/// A part of a room's stream, in rising order of offset and without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The stream's epoch and its last offset at the moment of reading.
    pub head: Position,
    /// The smallest offset that is still held, one past the head when none is. Everything from it up to the head is readable; a
    /// reader that stands at `first - 1` or later has missed nothing for good.
    pub first: Offset,
    pub messages: Vec<Stored>,
}

/// A store of rooms.
///
/// What every store keeps to:
///
/// - A room's offsets begin at 1 and have no gap, in the order in which its messages are committed; that is also the order on
///   [`Commits`]. A message that could not be stored takes no offset.
/// - A room's epoch is the same before and after its first message, and as long as its stream goes on: two messages with the
///   same epoch and offset are the same message. A room comes into being with its first message, not by being read.
/// - One author's key is one message in a room, for as long as the message is held: whoever appends it again learns where it
///   stands, and nobody hears of it twice.
/// - A page and its head are of one moment, and hold only what is durable (a little before it has gone down [`Commits`]).
#[async_trait]
pub trait Store: Send + Sync {
    /// Resolves when the message is durable *and* the reader of commits has acknowledged it; for a message that was already
    /// there, as soon as that is known. When the reader has dropped it unacknowledged, or there is no reader any more, durable is enough.
    ///
    /// Dropping the future does not take the message back. The reader of commits must not wait for an append itself: with
    /// enough on the way, that append would wait for the reader.
    ///
    /// # Errors
    /// The message is not stored and may be sent again, with the same key.
    async fn append(&self, message: NewMessage) -> Result<Appended, StoreError>;

    /// Reads at most `count` messages with at most `bytes` of text in total; a first message that is longer is given alone.
    /// It is the newest ones of [`Slice::Latest`] and [`Slice::Before`] that are kept, the oldest ones of [`Slice::After`], and for
    /// [`Slice::Around`] those next to the offset, each side with half of both bounds and the offset's own message the first.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn read(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Result<Page, StoreError>;

    /// At most `count` rooms, those with the newest activity first, each with its latest message.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn rooms(&self, count: usize) -> Result<Vec<RoomSummary>, StoreError>;

    /// The at most `count` messages that are best for the query, of the rooms that are searched. What was just committed is
    /// found a little later; what is no longer there is not. A store without an index of words finds nothing.
    ///
    /// # Errors
    /// The store or its index cannot be read now.
    async fn search(&self, _query: &Query, _within: &Within, _count: usize) -> Result<Found, StoreError> {
        Ok(Found::nothing())
    }

    /// Where several nodes may write to this store: what tells which rooms have moved on. None where this node is the only one.
    fn watch(&self) -> Option<Box<dyn Watch>> {
        None
    }

    /// Stores what was taken in, then lets go of everything: afterwards [`Commits`] ends and every call fails. Closing again
    /// does nothing.
    async fn close(&self);
}

/// Tells which rooms have moved on, whoever has written to them. It is how a node learns of what was lost on its way here, or was
/// never sent because the node that had committed it died.
#[async_trait]
pub trait Watch: Send {
    /// The rooms with messages that were committed since the last call, this node's own among them, and their heads. The first call
    /// begins here and now. A room may be given again, but none that has moved is left out.
    ///
    /// # Errors
    /// The store cannot be read now; what has moved meanwhile is in the next answer.
    async fn moved(&mut self) -> Result<Vec<(Group, Position)>, StoreError>;
}
