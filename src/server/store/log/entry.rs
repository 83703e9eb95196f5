//! What goes into a room's stream, what stands there, and the parts of it that are read.

use crate::wire::{Change, Content, Epoch, Event, Group, Key, Message, MessageId, Offset, Person, Position, Stored, Timestamp};

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
    pub(in crate::server::store) fn stored_at(self, position: &Position) -> Stored {
        let Position { epoch, offset } = position;
        let Self { group: _, key, from, text, at } = self;
        let id = message_id(epoch, *offset).to_string();
        Stored { offset: *offset, message: Message { id, key, from, content: Content::new(text), at } }
    }
}

/// What a message is called.
pub(in crate::server::store) fn message_id(epoch: &Epoch, offset: Offset) -> MessageId {
    MessageId { epoch: epoch.clone(), offset }
}

/// What stands for a message that cannot be read, with what is known of it.
pub(in crate::server::store) fn unreadable(epoch: &Epoch, offset: Offset, from: Person, at: Timestamp) -> Stored {
    let id = message_id(epoch, offset).to_string();
    let key = format!("unreadable-{offset}").parse().expect("a key"); // never: letters, digits and dashes are one
    Stored { offset, message: Message { id, key, from, content: Content { deleted: true, ..Content::default() }, at } }
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
    /// Which of them cannot be read: they stand there as deleted.
    pub unreadable: Vec<Offset>,
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
    /// So many entries can be [read](super::Log::entries).
    pub entries: u64,
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
