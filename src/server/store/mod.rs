//! Durable data: rooms and their messages, each room a stream of its own.
//!
//! A message is [appended](Store::append) with a client-made key; the writer commits it together with others that wait and
//! gives it the room's next offset, gapless from 1. Then the commit goes down the [`Commits`] channel, in the order of the
//! offsets, and whoever reads that channel hands the events on and [acknowledges](Committed::acknowledge) them. So nothing is
//! seen by anybody, its author included, before it is durable, and everybody sees the same order.

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::wire::{Epoch, Group, Key, Offset, Person, Position, RoomSummary, Stored, Timestamp};

mod memory;
mod sqlite;

pub use memory::MemoryStore;
pub use sqlite::{Durability, SqliteStore};

/// What a store's reader of commits gets: see the module.
pub type Commits = mpsc::UnboundedReceiver<Committed>;

/// Why the store could not.
#[derive(Debug)]
pub enum StoreError {
    /// It cannot write or read now (disk full, read-only, locked, ...); the cause is for the log.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

/// A message on its way in.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub group: Group,
    pub key: Key,
    pub from: Person,
    pub text: String,
    pub at: Timestamp,
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    pub position: Position,
    /// False when the same author's message with the same key was already there: then this is where that one stands.
    pub fresh: bool,
}

/// A message that is durable and not yet acknowledged.
#[derive(Debug)]
pub struct Committed {
    pub group: Group,
    pub epoch: Epoch,
    pub stored: Stored,
    ack: oneshot::Sender<Result<Appended, StoreError>>,
}

/// Which part of a room's stream to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// The newest.
    Latest,
    /// The newest of those before the offset.
    Before(Offset),
    /// The oldest of those after the offset.
    After(Offset),
    /// Half from before the offset, the rest from it on.
    Around(Offset),
}

/// A part of a room's stream, in rising order of offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The stream's epoch and its last offset at the moment of reading: all offsets up to it are readable.
    pub head: Position,
    pub messages: Vec<Stored>,
}

#[async_trait]
pub trait Store: Send + Sync {
    /// Resolves when the message is durable *and* the reader of commits has acknowledged it.
    async fn append(&self, message: NewMessage) -> Result<Appended, StoreError>;
    /// At most `count` messages and, past the first, at most about `bytes` of text.
    async fn read(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Result<Page, StoreError>;
    /// The rooms with the newest activity first.
    async fn rooms(&self, count: usize) -> Result<Vec<RoomSummary>, StoreError>;
}
