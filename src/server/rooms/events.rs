//! Room messages as events of the channel layer, and back.
//!
//! A message is `{"type": "chat.message", "message": "<text>", ...}`: what a Python consumer of the Channels tutorial
//! understands, with further keys that it may ignore (`offset` and `epoch` of the stream, `id`, `key`, `from`, `at`).

use std::fmt;

use crate::{
    server::layers::{Event, InvalidEvent, Value},
    wire::{Epoch, Group, Message, Offset, Person, Position, RoomSummary, Stored, Timestamp},
};

/// A room's text message.
const MESSAGE: &str = "chat.message";
/// Bytes that a plain client sent.
const BINARY: &str = "chat.binary";
/// A room of the list has a new latest message.
const LISTED: &str = "confab.room";

/// What the types of events begin with that are the server's own business.
const OWN: &str = "confab.";
/// The types that our messages and rooms have in the layer and on the wire.
const ALIKE: [&str; 4] = [MESSAGE, BINARY, "message", "room"];
/// What says in such events who has spoken and where it stands.
const OURS: [&str; 5] = ["offset", "epoch", "id", "from", "latest"];

/// Why an event from outside is not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It is none.
    Invalid(InvalidEvent),
    /// Its type is the server's own.
    Kind,
    /// It has this field, which the server alone sets in events of this type.
    Field(String, &'static str),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Kind => write!(f, "types that begin with {OWN} are the server's own; use another"),
            Self::Field(kind, field) => {
                write!(f, "an event of type {kind} has no `{field}` from outside: the server alone sets it; leave it out")
            }
        }
    }
}

/// An event from outside, checked: nothing that clients take for a message of somebody, or for a place in a stream, can be
/// made in this way. Consumers in Python take `_` for `.` in types, and so does this.
///
/// # Errors
/// What is wrong with it.
pub fn foreign_event(json: serde_json::Value) -> Result<Event, Foreign> {
    let event = Event::from_json(json).map_err(Foreign::Invalid)?;
    let kind = event.kind().replace('_', ".");
    if kind.starts_with(OWN) {
        return Err(Foreign::Kind);
    }
    let ours = OURS.into_iter().find(|field| event.get(field).is_some());
    match ours {
        Some(field) if ALIKE.contains(&kind.as_str()) => Err(Foreign::Field(event.kind().to_owned(), field)),
        _ => Ok(event),
    }
}

/// Says a message; `place` where the room keeps history.
pub(super) fn message(place: Option<(&Epoch, Offset)>, message: &Message) -> Event {
    let from = Value::Map(
        [("id", &message.from.id), ("name", &message.from.name)]
            .into_iter()
            .map(|(key, text)| (key.to_owned(), Value::from(text.as_str())))
            .collect(),
    );
    let event = Event::new(MESSAGE)
        .with("message", message.text.as_str())
        .with("id", message.id.as_str())
        .with("key", message.key.as_str())
        .with("from", from)
        .with("at", message.at.as_millis());
    match place {
        Some((epoch, offset)) => event.with("epoch", epoch.as_str()).with("offset", offset.0.cast_signed()),
        None => event,
    }
}

/// Says that a room has a new latest message, of which the list shows the beginning.
pub(super) fn listed(group: &Group, epoch: &Epoch, stored: &Stored) -> Event {
    let Message { id, key, from, text, at } = &stored.message;
    let shown = Message { id: id.clone(), key: key.clone(), from: from.clone(), text: beginning(text), at: *at };
    let message = message(Some((epoch, stored.offset)), &shown);
    Event::new(LISTED).with("group", group.as_str()).with("latest", Value::Map(message.fields().clone()))
}

/// How much of a message the list of rooms shows, in characters.
const SHOWN: usize = 200;

/// Of a text what the list of rooms shows.
pub(super) fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Bytes for the members.
pub(super) fn binary(bytes: Vec<u8>) -> Event {
    Event::new(BINARY).with("bytes", Value::Bytes(bytes.into()))
}

/// What an event of the layer is to the members of a topic.
pub struct Read {
    /// Where it stands in the room's stream, if it does.
    pub position: Option<Position>,
    /// What a plain client is sent: the text, or the bytes.
    pub plain: Option<PlainMessage>,
    /// What a `confab.v1` client is sent.
    pub event: crate::wire::Event,
}

/// A message to a plain client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainMessage {
    Text(String),
    Binary(bytes::Bytes),
}

/// Reads any event: our own messages in full; of a program's, the text is shown to plain clients and the whole reaches
/// the others as it is. None when it is not JSON's kind of data.
pub fn read_event(event: &Event) -> Read {
    if event.kind() == LISTED
        && let Some(summary) =
            event.get("group").and_then(Value::as_str).and_then(|group| group.parse().ok()).and_then(|group: Group| {
                let latest = event.get("latest").and_then(|latest| read_message(latest.as_map()?));
                let (message, offset) = latest?;
                Some(RoomSummary { group, latest: Some(Stored { offset: offset?, message }) })
            })
    {
        return Read { position: None, plain: None, event: crate::wire::Event::Room(summary) };
    }
    if event.kind() == MESSAGE
        && let Some((message, offset)) = read_message(event.fields())
    {
        let plain = Some(PlainMessage::Text(message.text.clone()));
        let epoch = event.get_str("epoch").and_then(|epoch| epoch.parse().ok());
        let position = epoch.zip(offset).map(|(epoch, offset)| Position { epoch, offset });
        return Read { position, plain, event: crate::wire::Event::Message(message) };
    }
    let plain = match event.get("bytes") {
        Some(Value::Bytes(bytes)) if event.kind() == BINARY => Some(PlainMessage::Binary(bytes.clone())),
        _ => text(event.fields()).map(|text| PlainMessage::Text(text.to_owned())),
    };
    let serde_json::Value::Object(map) = event.to_json() else {
        unreachable!("an event is an object") // never: see its `to_json`
    };
    Read { position: None, plain, event: crate::wire::Event::Other(map) }
}

type Map = std::collections::BTreeMap<String, Value>;

/// A message with all that ours have.
fn read_message(map: &Map) -> Option<(Message, Option<Offset>)> {
    let str = |key: &str| map.get(key).and_then(Value::as_str);
    let from = map.get("from")?.as_map()?;
    let from_str = |key: &str| from.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = Message {
        id: str("id")?.to_owned(),
        key: str("key")?.parse().ok()?,
        from: Person { id: from_str("id")?, name: from_str("name")? },
        text: str("message")?.to_owned(),
        at: Timestamp::from_millis(map.get("at")?.as_i64()?),
    };
    let offset = map.get("offset").and_then(Value::as_i64).and_then(|offset| u64::try_from(offset).ok()).map(Offset);
    Some((message, offset))
}

/// The text that a program's event shows: under `text`, `message`, `message.text` or `msg.text`.
fn text(map: &Map) -> Option<&str> {
    let nested = |key: &str| map.get(key).and_then(Value::as_map).and_then(|inner| inner.get("text"));
    [map.get("text"), map.get("message"), nested("message"), nested("msg")].into_iter().flatten().find_map(Value::as_str)
}
