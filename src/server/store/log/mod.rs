//! The log: rooms and their messages, each room a stream of its own.
//!
//! A message is [appended](Log::append) with a client-made key; the writer commits it together with others that wait and
//! gives it the room's next offset, gapless from 1. Then the commit goes down the [`Commits`] channel, in the order of the
//! offsets, and whoever reads that channel hands the events on and [acknowledges](Committed::acknowledge) them. So nothing is
//! seen by anybody, its author included, before it is durable, and everybody sees the same order.
//!
//! What becomes of a message, an edit for one, is [an entry of the stream](Log::change) like a message: with an offset of its own
//! and on the same way. The message itself is kept as it is now, so that a reader needs its page and nothing of what led to it.
//!
//! What is on its way is bounded in bytes, from [`Log::append`] until the acknowledgement: when the reader of commits or the
//! disk is slow, further appends wait.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{
    error::{StoreError, Trouble},
    records::Records,
};
use crate::wire::{Emoji, Group, Offset, Person, RoomSummary};

pub(super) mod beginning;
pub(super) mod change;
pub(super) mod entry;
pub(super) mod epoch;
pub(super) mod listing;
pub(super) mod names;
pub(super) mod page;
pub(super) mod passed;
pub(super) mod queue;
pub(super) mod reactions;

pub use change::{ChangeError, NewChange, Refused, Rule};
pub use entry::{Appended, Bounds, Entry, Extent, Missed, Moved, NewMessage, Page, Slice, What};
pub use listing::{Listed, ListedRoom, Within};
pub use page::{bytes_as_sent, cut_down};
pub use queue::{Commits, Committed};

/// A log of rooms.
///
/// What every log keeps to:
///
/// - A room's offsets begin at 1 and have no gap, in the order in which its messages and changes are committed; that is also the order
///   on [`Commits`]. What could not be stored takes no offset.
/// - A change and what it makes of its message are one: no reader sees one without the other.
/// - A room's epoch is the same before and after its first message, and as long as its stream goes on: two entries with the
///   same epoch and offset are the same entry. A room comes into being with its first message, not by being read.
/// - One author's key is one message in a room, for as long as the message is held: whoever appends it again learns where it
///   stands, and nobody hears of it twice.
/// - What cannot be read and will not be when it is tried again is passed over, and the log says so once: a message stands there as
///   deleted, a room is in no list, and what was to be replayed begins after a change that is so.
/// - A page and its head are of one moment, and hold only what is durable (a little before it has gone down [`Commits`]).
#[async_trait]
pub trait Log: Send + Sync {
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
    /// held, and where the change's [`Rule`] says so.
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

    /// The plain tables beside it, in which it notes who has put a reaction and what they are called; none where it forgets with the process.
    fn records(&self) -> Option<&dyn Records> {
        None
    }

    /// What a person has put to some of a room's messages. Of most messages that follows from what is [read](Self::read); this is for
    /// those to which more people have put something than are named there. A store in which that cannot be gives nothing.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn reacted(&self, group: &Group, person: &str, messages: &[Offset]) -> Result<Vec<(Offset, Vec<Emoji>)>, StoreError> {
        match self.records() {
            Some(records) => reactions::reacted(records, group, person, messages).await,
            None => Ok(Vec::new()),
        }
    }

    /// Notes what somebody is called from now on, for [`Self::called`], if they have put a reaction.
    ///
    /// # Errors
    /// The store cannot write now.
    async fn rename(&self, person: &Person) -> Result<(), StoreError> {
        match self.records() {
            Some(records) => names::rename(records, person).await,
            None => Ok(()),
        }
    }

    /// What those of these people are called now, by their ids, who have taken another name since they put a reaction.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn called(&self, people: &[String]) -> Result<HashMap<String, String>, StoreError> {
        match self.records() {
            Some(records) => names::called(records, people).await,
            None => Ok(HashMap::new()),
        }
    }

    /// Drops the names of those of whose reactions none is left.
    ///
    /// # Errors
    /// The store cannot write now.
    async fn forget_names(&self) -> Result<(), StoreError> {
        match self.records() {
            Some(records) => names::forget(records).await,
            None => Ok(()),
        }
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
