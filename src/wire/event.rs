//! What happens in a topic.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Change, Code, Content, Epoch, Group, Key, Mine, Offset, Person, Presence, Reaction, Timestamp, Typist, Unreadable, read,
};
#[cfg(feature = "ssr")]
use super::{Position, Topic};

/// The field of a pushed event that names the program that pushed it, as a [`Person`]; set by the server alone.
pub const BY_PROGRAM: &str = "confab.program";

/// One message of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[serde(from = "FlatMessage")]
pub struct Message {
    /// Unique over all rooms.
    pub id: String,
    /// What the author's client called it.
    pub key: Key,
    pub from: Person,
    /// Its text, and what has become of it.
    #[cfg_attr(feature = "ssr", schema(inline))]
    #[serde(flatten)]
    pub content: Content,
    /// When the server accepted it.
    pub at: Timestamp,
}

/// A message with its place in the room's stream, as the store and the HTTP API give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema), schema(as = Message))]
#[serde(try_from = "FlatMessage")]
pub struct Stored {
    pub offset: Offset,
    #[cfg_attr(feature = "ssr", schema(inline))]
    #[serde(flatten)]
    pub message: Message,
}

/// Both as they are read: what serde derives to read a flattened field is several times as large, and the browser loads it.
#[derive(Deserialize)]
struct FlatMessage {
    offset: Option<Offset>,
    id: String,
    key: Key,
    from: Person,
    text: String,
    edited: Option<Timestamp>,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    reactions: Vec<Reaction>,
    changed: Option<Offset>,
    at: Timestamp,
}

impl From<FlatMessage> for Message {
    fn from(flat: FlatMessage) -> Self {
        let FlatMessage { offset: _, id, key, from, text, edited, deleted, reactions, changed, at } = flat;
        Self { id, key, from, content: Content { text, edited, deleted, reactions, changed }, at }
    }
}

impl TryFrom<FlatMessage> for Stored {
    type Error = &'static str;

    fn try_from(flat: FlatMessage) -> Result<Self, &'static str> {
        let offset = flat.offset.ok_or("a stored message has an `offset`")?;
        Ok(Self { offset, message: flat.into() })
    }
}

/// A stretch of a room's messages, in rising order of offset, and where the stream stood when it was read. Offsets between them
/// are changes'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Stretch {
    pub epoch: Epoch,
    /// Everything up to here is in it: the stream's last offset at that moment.
    pub offset: Offset,
    /// The smallest offset that the room holds, one past the head when it holds none.
    pub first: Offset,
    /// The offset of the room's newest message; 0 when there is none.
    pub latest: Offset,
    pub messages: Vec<Stored>,
    /// What the reader has put to them, by the ids of the messages.
    #[cfg_attr(feature = "ssr", schema(value_type = BTreeMap<String, Vec<super::Emoji>>))]
    #[serde(default, skip_serializing_if = "Mine::is_empty")]
    pub mine: Mine,
}

/// A room as the list of rooms shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct RoomSummary {
    pub group: Group,
    /// The beginning of its newest message, without reactions; none when the room is empty.
    #[cfg_attr(feature = "ssr", schema(required))]
    pub latest: Option<Stored>,
}

/// A part of the list of rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct RoomList {
    /// Newest activity first.
    pub rooms: Vec<RoomSummary>,
    /// What to ask for the next part with; none where there is none.
    #[cfg_attr(feature = "ssr", schema(required))]
    pub next: Option<String>,
}

/// The person behind a connection is seen otherwise now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "renamed")]
pub struct Renamed {
    pub name: String,
    /// Of who has an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
}

/// The topic is not open to the reader any more: nothing follows in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "left")]
pub struct Left {
    pub code: Code,
    /// Why, and what would help; for people.
    pub message: String,
}

/// What the reader may do in the topic may be another thing now: joining it once more says what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "changed")]
pub struct Changed {}

/// The person behind a connection was signed out: it ends, and there is no coming back as the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "signed_out")]
pub struct SignedOut {}

/// Something that administrators say to everybody, on every page.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Each has one of its own.
    pub id: String,
    pub text: String,
    /// It is shown until then.
    pub until: Timestamp,
}

/// What everybody is to know of the server as a whole. A page has the server say it anew, and reads nothing of it.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "announced")]
pub struct Announced {
    /// None where nothing is announced any more.
    #[serde(default)]
    pub announcement: Option<Announcement>,
    /// Nothing can be said or changed now.
    #[serde(default)]
    pub read_only: bool,
}

/// The person behind a connection has read a room up to here, on another of their pages. A page picks out what it needs.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "read")]
pub struct UpTo {
    pub topic: Topic,
    pub up_to: Position,
    /// What comes after that is unread again.
    pub back: bool,
}

/// Something that happened in a topic: a JSON object with a string `type`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Event {
    /// `message`: somebody said something.
    Message(Message),
    /// `edit`, `delete`, `react`: something was done to a message.
    Change(Change),
    /// `room`: the room in the list has a new latest message (topic `lobby`).
    Room(RoomSummary),
    /// `presence`: people have come or gone.
    Presence(Presence),
    /// `typing`: somebody is writing something.
    Typing(Typist),
    /// `renamed`: the person has another name now (topic `me`).
    Renamed(Renamed),
    /// `left`: the topic was taken back from the reader (any topic).
    Left(Left),
    /// `changed`: the reader's rights may be others (topics of rooms), or the list of their rooms (topic `me`).
    Changed(Changed),
    /// `signed_out`: the person was signed out (topic `me`).
    SignedOut(SignedOut),
    /// `announced`: what is announced to all, and whether the server is read-only (topic `me`).
    #[cfg(feature = "ssr")]
    Announced(Announced),
    /// `read`: up to where a room was read (topic `me`).
    #[cfg(feature = "ssr")]
    Read(UpTo),
    /// Whatever else a program has sent to the group, as it came.
    Other(Map<String, Value>),
}

/// The events whose type is no part of them, as they are written.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Known<M, R> {
    Message(M),
    Room(R),
}

impl Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Message(message) => Known::<_, ()>::Message(message).serialize(serializer),
            Self::Room(room) => Known::<(), _>::Room(room).serialize(serializer),
            Self::Change(change) => change.serialize(serializer),
            Self::Presence(presence) => presence.serialize(serializer),
            Self::Typing(typist) => typist.serialize(serializer),
            Self::Renamed(renamed) => renamed.serialize(serializer),
            Self::Left(left) => left.serialize(serializer),
            Self::Changed(changed) => changed.serialize(serializer),
            Self::SignedOut(signed_out) => signed_out.serialize(serializer),
            #[cfg(feature = "ssr")]
            Self::Announced(announced) => announced.serialize(serializer),
            #[cfg(feature = "ssr")]
            Self::Read(read) => read.serialize(serializer),
            Self::Other(map) => map.serialize(serializer),
        }
    }
}

impl TryFrom<Value> for Event {
    type Error = Unreadable;

    fn try_from(event: Value) -> Result<Self, Unreadable> {
        let kind = event.get("type").and_then(Value::as_str).ok_or(Unreadable)?;
        let known = match kind {
            "message" => read(&event).map(Self::Message),
            "room" => read(&event).map(Self::Room),
            change if Change::TYPES.contains(&change) => read(&event).map(Self::Change),
            "presence" => read(&event).map(Self::Presence),
            "typing" => read(&event).map(Self::Typing),
            "renamed" => read(&event).map(Self::Renamed),
            "left" => read(&event).map(Self::Left),
            "changed" => read(&event).map(Self::Changed),
            "signed_out" => read(&event).map(Self::SignedOut),
            #[cfg(feature = "ssr")]
            "announced" => read(&event).map(Self::Announced),
            _ => Err(Unreadable),
        };
        // A program may send an event of the same type and another shape: it is passed on as it is.
        match (known, event) {
            (Err(Unreadable), Value::Object(map)) => Ok(Self::Other(map)),
            (known, _) => known,
        }
    }
}
