//! What happens in a topic.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};

use super::{Change, Content, Epoch, Group, Key, Mine, Offset, Presence, Timestamp, Typist};

/// Somebody, as the others see them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Stable, unique and public; says nothing about the secret in the person's cookie.
    pub id: String,
    /// What to call them; any text.
    pub name: String,
}

impl Person {
    /// Whether this is no guest: a program that pushes, or one that nobody knows.
    pub fn is_program(&self) -> bool {
        self.id.is_empty() || self.id.starts_with('t')
    }
}

/// The field of a pushed event that names the program that pushed it, as a [`Person`]; set by the server alone.
pub const BY_PROGRAM: &str = "confab.program";

/// One message of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Unique over all rooms.
    pub id: String,
    /// What the author's client called it.
    pub key: Key,
    pub from: Person,
    /// Its text, and what has become of it.
    #[serde(flatten)]
    pub content: Content,
    /// When the server accepted it.
    pub at: Timestamp,
}

/// A message with its place in the room's stream, as the store and the HTTP API give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub offset: Offset,
    #[serde(flatten)]
    pub message: Message,
}

/// A stretch of a room's messages, in rising order of offset, and where the stream stood when it was read. Offsets between them
/// are changes'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    pub epoch: Epoch,
    /// Everything up to here is in it: the stream's last offset at that moment.
    pub offset: Offset,
    /// The smallest offset that the room holds, one past the head when it holds none.
    pub first: Offset,
    /// The offset of the room's newest message; 0 when there is none.
    pub latest: Offset,
    pub messages: Vec<Stored>,
    /// What the reader has put to them.
    #[serde(default, skip_serializing_if = "Mine::is_empty")]
    pub mine: Mine,
}

/// A room as the list of rooms shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSummary {
    pub group: Group,
    /// The newest message; none when the room is empty.
    pub latest: Option<Stored>,
}

/// A part of the list of rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomList {
    /// Newest activity first.
    pub rooms: Vec<RoomSummary>,
    /// What to ask for the next part with; none where there is none.
    pub next: Option<String>,
}

/// The person behind a connection has another name now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "renamed")]
pub struct Renamed {
    pub name: String,
}

/// Something that happened in a topic: a JSON object with a string `type`.
#[derive(Clone, Debug, PartialEq)]
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
    /// Whatever else a program has sent to the group, as it came.
    Other(Map<String, Value>),
}

/// The events with a form of their own, as serde sees them.
#[derive(Serialize, Deserialize)]
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
            Self::Other(map) => map.serialize(serializer),
        }
    }
}

/// A program may send an event of the same type and another shape: it is passed on as it is.
fn known<T: DeserializeOwned>(map: Map<String, Value>, event: impl FnOnce(T) -> Event) -> Event {
    serde_json::from_value(Value::Object(map.clone())).map_or(Event::Other(map), event)
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::deserialize(deserializer)?;
        match map.get("type").and_then(Value::as_str) {
            Some("message" | "room") => Ok(known(map, |known| match known {
                Known::Message(message) => Self::Message(message),
                Known::Room(room) => Self::Room(room),
            })),
            Some("edit" | "delete" | "react") => Ok(known(map, Self::Change)),
            Some("presence") => Ok(known(map, Self::Presence)),
            Some("typing") => Ok(known(map, Self::Typing)),
            Some("renamed") => Ok(known(map, Self::Renamed)),
            Some(_) => Ok(Self::Other(map)),
            None => Err(D::Error::custom("an event has a string `type`")),
        }
    }
}
