//! Durable data: rooms and their messages, each room a stream of its own.
//!
//! A message is [appended](Store::append) with a client-made key; the writer commits it together with others that wait and
//! gives it the room's next offset, gapless from 1. Then the commit goes down the [`Commits`] channel, in the order of the
//! offsets, and whoever reads that channel hands the events on and [acknowledges](Committed::acknowledge) them. So nothing is
//! seen by anybody, its author included, before it is durable, and everybody sees the same order.
//!
//! What becomes of a message, an edit for one, is [an entry of the stream](Store::change) like a message: with an offset of its own
//! and on the same way. The message itself is kept as it is now, so that a reader needs its page and nothing of what led to it.
//!
//! What is on its way is bounded in bytes, from [`Store::append`] until the acknowledgement: when the reader of commits or the
//! disk is slow, further appends wait.

use std::fmt;

use async_trait::async_trait;

use crate::wire::{
    Change, Content, Emoji, Epoch, Event, Group, Key, Message, MessageId, Offset, Person, Position, RoomSummary, Stored,
    Timestamp,
};

mod batch;
mod beginning;
mod change;
mod commits;
mod epoch;
mod intake;
mod listing;
mod memory;
mod page;
mod postgres;
mod search;
mod sqlite;

pub use change::{Alteration, ChangeError, NewChange, Refused};
pub use commits::{Commits, Committed};
pub use listing::{Listed, ListedRoom};
pub use memory::MemoryStore;
pub use page::{bytes_as_sent, cut_down};
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

    /// A part of what is stored cannot be read, and will not be when it is tried again.
    fn damage(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::unavailable(Damage(cause.into()))
    }

    /// Whether only a part of what is stored cannot be read, but others can.
    pub fn is_damage(&self) -> bool {
        let Self::Unavailable(cause) = self;
        cause.is::<Damage>()
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

/// See [`StoreError::damage`].
#[derive(Debug)]
struct Damage(Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what is stored is damaged: {}", self.0)
    }
}

impl std::error::Error for Damage {}

/// What keeps a store from serving, in words for an operator who may be anybody: they name no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be read now.
    Unreadable,
    /// A part of it cannot be read any more.
    Damaged,
    /// Its files are not where they were opened.
    Displaced,
}

impl Trouble {
    pub fn words(self) -> &'static str {
        match self {
            Self::Unreadable => "the store cannot be read",
            Self::Damaged => "the store is damaged: a part of it cannot be read; restore it from a copy",
            Self::Displaced => "the database was deleted or replaced under the server, which stores nothing any more",
        }
    }
}

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
        let id = message_id(epoch, *offset).to_string();
        Stored { offset: *offset, message: Message { id, key, from, content: Content::new(text), at } }
    }
}

/// What a message is called.
fn message_id(epoch: &Epoch, offset: Offset) -> MessageId {
    MessageId { epoch: epoch.clone(), offset }
}

/// Where a message or a change stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    pub position: Position,
    /// False when the same author's message with the same key was already there: then this is where that one stands. Or when
    /// the message says already what the change would make of it: then this is where its last change stands.
    pub fresh: bool,
}

/// What stands at a place in a room's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub offset: Offset,
    pub what: What,
}

/// See [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Message(Message),
    Change(Change),
}

impl From<Stored> for Entry {
    fn from(Stored { offset, message }: Stored) -> Self {
        Self { offset, what: What::Message(message) }
    }
}

impl From<What> for Event {
    fn from(what: What) -> Self {
        match what {
            What::Message(message) => Self::Message(message),
            What::Change(change) => Self::Change(change),
        }
    }
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

/// A part of a room's messages, in rising order of offset, as they are now. None of those between is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The stream's epoch and its last offset at the moment of reading.
    pub head: Position,
    /// The smallest offset from which on every message is held, one past the head when none is.
    pub first: Offset,
    /// The offset of the newest message; 0 when none is held.
    pub latest: Offset,
    pub messages: Vec<Stored>,
}

/// A part of a room's stream, in rising order of offset and without gaps: messages as they are now, and changes. An edit too has
/// the text that its message has now; where that was deleted since, it is a deletion already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// As in a [`Page`].
    pub head: Position,
    /// The smallest offset from which on every entry is held, one past the head when none is; never less than that of a [`Page`], since
    /// of a message that is held the changes may be gone. A reader that stands at `first - 1` or later has missed nothing for good.
    pub first: Offset,
    pub entries: Vec<Entry>,
}

/// What of a room is to be held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// So many of the newest messages.
    pub messages: Option<u64>,
    /// Messages that are not older.
    pub since: Option<Timestamp>,
    /// So many of the newest changes. The messages are as the others have made them.
    pub changes: Option<u64>,
}

/// A room, and how long its stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    pub group: Group,
    /// So many entries can be [read](Store::entries).
    pub entries: u64,
}

/// A store of rooms.
///
/// What every store keeps to:
///
/// - A room's offsets begin at 1 and have no gap, in the order in which its messages and changes are committed; that is also the order
///   on [`Commits`]. What could not be stored takes no offset.
/// - A change and what it makes of its message are one: no reader sees one without the other.
/// - A room's epoch is the same before and after its first message, and as long as its stream goes on: two entries with the
///   same epoch and offset are the same entry. A room comes into being with its first message, not by being read.
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

    /// Changes a message of the room as [`NewChange`] says; resolves as [`Self::append`] does. It is refused unless the message is
    /// held, and the person's own where it is edited or deleted.
    ///
    /// Changing it again in the same way does nothing, so a change whose answer was lost may be sent again.
    ///
    /// # Errors
    /// The change is refused, or the store cannot write now.
    async fn change(&self, change: NewChange) -> Result<Appended, ChangeError>;

    /// Reads at most `count` messages with at most `bytes` in total, [as they are sent](bytes_as_sent); a first message that is longer is
    /// given alone.
    /// It is the newest ones of [`Slice::Latest`] and [`Slice::Before`] that are kept, the oldest ones of [`Slice::After`], and for
    /// [`Slice::Around`] those next to the offset, each side with half of both bounds and the offset's own message the first.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn read(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Result<Page, StoreError>;

    /// Reads the oldest entries after an offset, at most `count` with at most `bytes` in total, as they are sent; a first one that is
    /// longer is given alone.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn entries(&self, group: &Group, after: Offset, count: usize, bytes: usize) -> Result<Missed, StoreError>;

    /// What a person has put to some of a room's messages. Of most messages that follows from what is [read](Self::read); this is for
    /// those to which more people have put something than are named there. A store in which that cannot be gives nothing.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn reacted(
        &self,
        _group: &Group,
        _person: &str,
        _messages: &[Offset],
    ) -> Result<Vec<(Offset, Vec<Emoji>)>, StoreError> {
        Ok(Vec::new())
    }

    /// At most `count` of the rooms `within`, those with the newest activity first, each with its latest message, without its
    /// reactions; with `before`, which is the [`next`](Listed::next) of an earlier answer, those after that one's. It may be fewer
    /// although there are more, where many others had to be passed over.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn list(&self, within: &Within, before: Option<u64>, count: usize) -> Result<Listed, StoreError>;

    /// At most `count` rooms of all, those with the newest activity first.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn rooms(&self, count: usize) -> Result<Vec<RoomSummary>, StoreError> {
        let Listed { rooms, .. } = self.list(&Within::Everything, None, count).await?;
        Ok(rooms.into_iter().map(|listed| listed.room).collect())
    }

    /// At most `count` rooms in the order of their names, those after `after`. It is for those who go through all of them.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn groups(&self, after: Option<&Group>, count: usize) -> Result<Vec<Extent>, StoreError>;

    /// Drops the oldest messages of a room that are over the bounds, with all that comes before the first one that is not, and the
    /// oldest changes; says whether there were any. It does so part by part, so that what is said meanwhile is not held up. What is
    /// held has no gap: an old message after one that is kept stays. The stream goes on from where it stands, with other beginnings
    /// [of its messages](Page::first) and [of its entries](Missed::first). The keys of messages that were dropped are free.
    ///
    /// Changes that the index of words has not come to yet stay.
    ///
    /// # Errors
    /// The store cannot write now.
    async fn forget(&self, group: &Group, bounds: Bounds) -> Result<bool, StoreError>;

    /// The at most `count` messages that are best for the query, of the rooms that are searched. What was just committed is
    /// found a little later; what is no longer there is not. A store without an index of words finds nothing.
    ///
    /// # Errors
    /// The store or its index cannot be read now.
    async fn search(&self, _query: &Query, _within: &Within, _count: usize) -> Result<Found, StoreError> {
        Ok(Found::nothing())
    }

    /// What is wrong with it, as far as can be seen by reading a little, with the cause for the log.
    async fn trouble(&self) -> Option<(Trouble, StoreError)> {
        Some((Trouble::Unreadable, self.rooms(1).await.err()?))
    }

    /// Where several nodes may write to this store: what tells which rooms have moved on. None where this node is the only one.
    fn watch(&self) -> Option<Box<dyn Watch>> {
        None
    }

    /// Stores what was taken in, then lets go of everything: afterwards [`Commits`] ends and every call fails. Closing again
    /// does nothing.
    async fn close(&self);
}

/// A room that has moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub group: Group,
    /// Where its stream stands.
    pub head: Position,
    /// The entry that made its newest message what it is now: the message's own offset, or that of its last change. 0 when none is
    /// held.
    pub latest_since: Offset,
}

/// Tells which rooms have moved on, whoever has written to them. It is how a node learns of what was lost on its way here, or was
/// never sent because the node that had committed it died.
#[async_trait]
pub trait Watch: Send {
    /// The rooms with entries that were committed since the last call, this node's own among them, and their heads. The first call
    /// begins here and now. A room may be given again, but none that has moved is left out.
    ///
    /// # Errors
    /// The store cannot be read now; what has moved meanwhile is in the next answer.
    async fn moved(&mut self) -> Result<Vec<Moved>, StoreError>;
}
