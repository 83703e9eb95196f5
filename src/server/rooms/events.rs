//! Room messages as events of the channel layer, and back.
//!
//! A message is `{"type": "chat.message", "message": "<text>", ...}`: what a Python consumer of the Channels tutorial
//! understands, with further keys that it may ignore (`offset` and `epoch` of the stream, `id`, `key`, `from`, `at`). The type and
//! the key of the text are the rule's. A message says itself under which key its text is, where that is not `message`:
//! so it is read the same way on a node whose rule is another.
//!
//! Whatever goes to a room's group has the rule's type, also bytes, since a consumer without a method for a type fails. Clients
//! see nothing of all this: to them a message is a `message` and bytes are `chat.binary`. What is done to messages goes by a
//! group beside the room's, and what the list of rooms shows by one for all.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use thiserror::Error;

use crate::{
    server::{
        hub::{Entry, FeedKey, Place, PlainMessage},
        layers::{Event, GroupName, InvalidEvent, Value},
        settings::RoomEvents,
    },
    wire::{
        self, BY_PROGRAM, Change, Content, Epoch, Group, Message, Offset, Person, Position, RoomSummary, Stored, Timestamp,
    },
};

/// A room's text message, where its rule says nothing else.
const MESSAGE: &str = "chat.message";
/// The key of its text, where its rule says nothing else.
const TEXT: &str = "message";
/// Says which key the text has, where it has another one.
const TEXT_KEY: &str = "text_key";
/// Has the bytes that a plain client sent; the text is empty then.
const BYTES: &str = "bytes";
/// What such bytes are to clients that read events.
const BINARY: &str = "chat.binary";
/// A room of the list has a new latest message, or its latest message has changed.
const LISTED: &str = "confab.room";
/// Something was done to a message.
const CHANGE: &str = "confab.change";

/// What the types of events begin with that are the server's own business.
const OWN: &str = "confab.";
/// Types that the server alone has for clients.
const ALONE: [&str; 9] = ["presence", "typing", "edit", "delete", "react", "renamed", "left", "changed", "signed_out"];
/// The types that our messages and rooms have in the layer and on the wire.
const ALIKE: [&str; 4] = [MESSAGE, BINARY, "message", "room"];
/// What says in such events who has spoken and where it stands.
const OURS: [&str; 5] = ["offset", "epoch", "id", "from", "latest"];
/// Types of the wire: to clients an event of one of these may be the server's own.
const WIRE: [&str; 11] =
    ["message", "room", "edit", "delete", "react", "presence", "typing", "renamed", "left", "changed", "signed_out"];
/// What the type of a program's event begins with for clients that would take it for the server's own.
const PROGRAMS: &str = "program.";

/// Why an event from outside is not passed on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Foreign {
    /// It is none.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    /// Its type is the server's own.
    #[error("types that begin with {OWN} are the server's own, and so are {}; use another", ALONE.join(", "))]
    Kind,
    /// It has this field, which the server alone sets in events of this type.
    #[error("an event of type {0} has no `{1}` from outside: the server alone sets it; leave it out")]
    Field(String, String),
    /// It has all that a message of somebody has.
    #[error("with `id`, `key`, `from` and `at` it would be somebody's message; leave one of them out")]
    Message,
}

/// The group of the layer that carries the changes of a room's messages; no template of the settings gives this name.
pub(super) fn changes_name(group: &Group) -> GroupName {
    format!("confab.changes.{group}").parse().expect("letters, dots and a group's name") // never: 15 and 64 of 99 characters
}

/// The group of the layer that carries a room's messages: its own name, or what its rule makes of it.
pub(super) fn group_name(group: &Group, events: &RoomEvents) -> GroupName {
    events.group.group_of(group.as_str()).parse().expect("a template gives valid names") // never: it is made for its rule's rooms
}

/// The group of the channel layer that carries the list of rooms; no template of the settings gives this name.
pub(super) fn list_name() -> GroupName {
    "confab.rooms".parse().expect("a constant") // never: letters and a dot
}

/// What the list knows a room by.
pub(super) fn list_key(group: &Group) -> FeedKey {
    group.as_str().into()
}

/// An event from outside, checked, with the program that it comes from: nothing that clients take for a message of somebody, or
/// for a place in a stream, can be made in this way. Consumers in Python take `_` for `.` in types, and so does this. `events`
/// is what the rule of the room says that the event is for, if it is for one.
///
/// # Errors
/// What is wrong with it.
pub fn foreign_event(json: serde_json::Value, program: &Person, events: Option<&RoomEvents>) -> Result<Event, Foreign> {
    let event = Event::from_json(json)?;
    let kind = event.kind().replace('_', ".");
    if kind.starts_with(OWN) || ALONE.iter().any(|own| own.replace('_', ".") == kind) {
        return Err(Foreign::Kind);
    }
    if let Some(field) = event.fields().keys().find(|field| field.starts_with(OWN)) {
        return Err(Foreign::Field(event.kind().to_owned(), field.clone()));
    }
    let alike = ALIKE.contains(&kind.as_str()) || events.is_some_and(|events| events.event_type.is(event.kind()));
    let ours = OURS.into_iter().find(|field| event.get(field).is_some());
    match ours {
        Some(field) if alike => Err(Foreign::Field(event.kind().to_owned(), field.to_owned())),
        _ if has_all_of_a_message(event.fields()) => Err(Foreign::Message),
        _ => Ok(event.with(BY_PROGRAM, person(program))),
    }
}

/// Whether it has an author and whatever else a message has, its text being under the layer's key or under that of the wire.
fn has_all_of_a_message(map: &Map) -> bool {
    let text = map.get("text").map(|text| Map::from([(TEXT.to_owned(), text.clone())]));
    let of_the_wire = text.map(|text| map.iter().map(|(key, value)| (key.clone(), value.clone())).chain(text).collect::<Map>());
    read_message(map).is_some() || of_the_wire.is_some_and(|map| read_message(&map).is_some())
}

/// Says a message in a room; `place` where it keeps history.
pub(super) fn message(place: Option<(&Epoch, Offset)>, message: &Message, events: &RoomEvents) -> Event {
    let event = in_full(events.event_type.as_str(), events.text_key.as_str(), place, message);
    if events.text_key.is_usual() { event } else { event.with(TEXT_KEY, events.text_key.as_str()) }
}

fn in_full(kind: &str, text_key: &str, place: Option<(&Epoch, Offset)>, message: &Message) -> Event {
    let event = Event::new(kind)
        .with(text_key, message.content.text.as_str())
        .with("id", message.id.as_str())
        .with("key", message.key.as_str())
        .with("from", person(&message.from))
        .with("at", message.at.as_millis());
    let event = match place {
        Some(place) => in_place(event, place),
        None => event,
    };
    let event = match message.content.edited {
        Some(edited) => event.with("edited", edited.as_millis()),
        None => event,
    };
    if message.content.deleted { event.with("deleted", true) } else { event }
}

fn person(Person { id, name, handle, .. }: &Person) -> Value {
    let fields = [("id", Some(id)), ("name", Some(name)), ("handle", handle.as_ref())];
    let fields = fields.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?.as_str()))));
    Value::Map(fields.collect())
}

fn in_place(event: Event, (epoch, offset): (&Epoch, Offset)) -> Event {
    event.with("epoch", epoch.as_str()).with("offset", offset.0.cast_signed())
}

/// Says what was done to a message: in a group that the rooms of nodes alone join, for a consumer in Python has nothing that it
/// could do with it.
pub(super) fn change(place: (&Epoch, Offset), change: &Change) -> Event {
    let json = serde_json::to_string(change).expect("a change is JSON"); // never: strings, numbers and a flag
    in_place(Event::new(CHANGE).with("change", json), place)
}

fn read_change(event: &Event) -> Option<(Position, Change)> {
    let change = serde_json::from_str(event.get_str("change")?).ok()?;
    let offset = event.get("offset").and_then(Value::as_u64).map(Offset)?;
    Some((Position { epoch: event.get_str("epoch")?.parse().ok()?, offset }, change))
}

/// Says what a room's latest message is now, since the entry at the offset `since`: it is that entry or was changed by it. The list
/// shows the beginning.
pub(super) fn listed(group: &Group, place: (&Epoch, Offset), message: &Message, since: Offset) -> Event {
    let message = in_full(MESSAGE, TEXT, Some(place), message);
    let event = Event::new(LISTED).with("group", group.as_str()).with("latest", Value::Map(message.fields().clone()));
    event.with("since", since.0.cast_signed())
}

/// Bytes for the members of a room.
pub(super) fn binary(bytes: Bytes, events: &RoomEvents) -> Event {
    in_room("", events).with(BYTES, Value::Bytes(bytes))
}

/// The same bytes for a layer that has no form for bytes: as base64 (standard alphabet, padded).
pub(super) fn binary_as_text(bytes: &[u8], events: &RoomEvents) -> Event {
    in_room("", events).with(BYTES, BASE64_STANDARD.encode(bytes))
}

/// A text in which nothing is seen, as it is: to those who read events it is no message.
pub(super) fn blank(text: &str, events: &RoomEvents) -> Event {
    in_room(text, events)
}

fn in_room(text: &str, events: &RoomEvents) -> Event {
    Event::new(events.event_type.as_str()).with(events.text_key.as_str(), text)
}

/// Reads any event: our own messages in full; of a program's, the text is shown to plain clients and the whole reaches
/// the others as it is. `events` is what the rule of the room says that the event came to, if it came to one: a message of
/// a consumer in Python has its text where the rule says, and the others, who do not know the rule, find it under `text` too.
pub(super) fn read_event(event: &Event, events: Option<&RoomEvents>) -> Entry {
    let read = |position: Option<Position>, plain, event| {
        let place = position.map_or(Place::None, Place::At);
        Entry { place, plain, event }
    };
    if event.kind() == LISTED
        && let Some((room, since)) = read_listed(event)
    {
        let place = Place::Newest(list_key(&room.group), since);
        return Entry { place, plain: None, event: wire::Event::Room(room) };
    }
    if event.kind() == CHANGE
        && let Some((position, change)) = read_change(event)
    {
        return read(Some(position), None, wire::Event::Change(change));
    }
    if !event.kind().starts_with(OWN)
        && let Some((message, offset)) = read_message(event.fields())
    {
        let plain = Some(PlainMessage::Text(message.content.text.clone()));
        let epoch = event.get_str("epoch").and_then(|epoch| epoch.parse().ok());
        let position = epoch.zip(offset).map(|(epoch, offset)| Position { epoch, offset });
        return read(position, plain, wire::Event::Message(message));
    }
    let own = events.filter(|events| events.event_type.is(event.kind()));
    let own = own.and_then(|events| event.get_str(events.text_key.as_str()));
    if own == Some("")
        && let Some(bytes) = read_bytes(event)
    {
        let event = wire::Event::Other(object(&Event::new(BINARY).with(BYTES, bytes.clone())));
        return read(None, Some(PlainMessage::Binary(bytes)), event);
    }
    let usual = text(event.fields());
    let mut map = object(event);
    if WIRE.contains(&event.kind()) && would_pass_for_ours(&map) {
        map.insert("type".to_owned(), format!("{PROGRAMS}{}", event.kind()).into());
    }
    if let Some(own) = own.filter(|own| usual != Some(own)) {
        map.insert("text".to_owned(), own.into());
    }
    let plain = own.or(usual).map(|text| PlainMessage::Text(text.to_owned()));
    read(None, plain, wire::Event::Other(map))
}

/// Reads what is sent to a connection's own channel.
pub fn read_direct(event: &Event) -> Entry {
    read_event(event, None)
}

/// A room of the list, and since which entry its latest message is so. A node that does not say the latter knows of no changes.
fn read_listed(event: &Event) -> Option<(RoomSummary, Position)> {
    let group = event.get_str("group")?.parse().ok()?;
    let latest = event.get("latest")?.as_map()?;
    let (message, offset) = read_message(latest)?;
    let offset = offset?;
    let epoch = latest.get("epoch")?.as_str()?.parse().ok()?;
    let since = Position { epoch, offset: event.get("since").and_then(Value::as_u64).map_or(offset, Offset) };
    Some((RoomSummary { group, latest: Some(Stored { offset, message }) }, since))
}

/// Whether clients would read a program's event as one that the server alone has.
fn would_pass_for_ours(map: &serde_json::Map<String, serde_json::Value>) -> bool {
    let read = serde_json::from_value(serde_json::Value::Object(map.clone()));
    read.is_ok_and(|event| !matches!(event, wire::Event::Other(_)))
}

fn object(event: &Event) -> serde_json::Map<String, serde_json::Value> {
    let serde_json::Value::Object(map) = event.to_json() else {
        unreachable!("an event is an object") // never: see its `to_json`
    };
    map
}

/// The bytes of a plain client, as a layer with or without a form for bytes has them.
fn read_bytes(event: &Event) -> Option<Bytes> {
    match event.get(BYTES)? {
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::Str(base64) => BASE64_STANDARD.decode(base64).ok().map(Into::into),
        _ => None,
    }
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
        from: Person { handle: from_str("handle"), ..Person::new(from_str("id")?, from_str("name")?) },
        content: Content {
            text: str(str(TEXT_KEY).unwrap_or(TEXT))?.to_owned(),
            edited: map.get("edited").and_then(Value::as_i64).map(Timestamp::from_millis),
            deleted: map.get("deleted").and_then(Value::as_bool).unwrap_or_default(),
            ..Content::default()
        },
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::settings::{GroupTemplate, Pattern};

    fn said() -> Message {
        let (id, name) = ("g1".to_owned(), "Ann".to_owned());
        let (from, at) = (Person::new(id, name), Timestamp::from_millis(7));
        Message { id: "e-3".to_owned(), key: "k".parse().unwrap(), from, content: Content::new("hello"), at }
    }

    fn cron() -> Person {
        Person::new("t1", "Cron")
    }

    fn rule(event_type: &str, text_key: &str) -> RoomEvents {
        let group = GroupTemplate::new("chat_{group}", &Pattern::everything()).unwrap();
        RoomEvents { event_type: event_type.parse().unwrap(), text_key: text_key.parse().unwrap(), group }
    }

    fn event(json: serde_json::Value) -> Event {
        Event::from_json(json).unwrap()
    }

    /// What plain clients and the others are sent.
    fn shown(json: serde_json::Value, events: Option<&RoomEvents>) -> (Option<PlainMessage>, serde_json::Value) {
        let Entry { place, plain, event } = read_event(&event(json), events);
        assert_eq!(place, Place::None);
        (plain, serde_json::to_value(event).unwrap())
    }

    fn plain(text: &str) -> PlainMessage {
        PlainMessage::Text(text.to_owned())
    }

    #[test]
    fn a_message_has_the_type_and_the_key_of_its_rule() {
        let epoch: Epoch = "e".parse().unwrap();
        let ours = json!({"id": "e-3", "key": "k", "from": {"id": "g1", "name": "Ann"}, "at": 7, "epoch": "e", "offset": 3});
        for (rule, more) in [
            (RoomEvents::default(), json!({"type": "chat.message", "message": "hello"})),
            (rule("room_said", "body"), json!({"type": "room_said", "body": "hello", "text_key": "body"})),
        ] {
            let mut expected = ours.clone();
            expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(message(Some((&epoch, Offset(3))), &said(), &rule).to_json(), expected);
        }
    }

    #[test]
    fn a_message_is_read_the_same_whatever_the_rule_of_the_reader() {
        let epoch: Epoch = "e".parse().unwrap();
        for writer in [RoomEvents::default(), rule("room.said", "body"), rule("room.said", "text"), rule("chat.message", "msg")]
        {
            let event = message(Some((&epoch, Offset(3))), &said(), &writer);
            for reader in [None, Some(RoomEvents::default()), Some(writer), Some(rule("other", "else"))] {
                let read = read_event(&event, reader.as_ref());
                assert_eq!(read.place, Place::At(Position { epoch: epoch.clone(), offset: Offset(3) }));
                assert_eq!(read.plain, Some(plain("hello")));
                assert_eq!(read.event, wire::Event::Message(said()));
            }
        }
    }

    #[test]
    fn the_list_of_rooms_does_not_depend_on_rules() {
        let stored = Stored { offset: Offset(3), message: said() };
        let group: Group = "lobby".parse().unwrap();
        let since = Position { epoch: "e".parse().unwrap(), offset: Offset(7) };
        let event = listed(&group, (&since.epoch, stored.offset), &stored.message, since.offset);
        let read = read_event(&event, None);
        assert_eq!(read.event, wire::Event::Room(RoomSummary { group, latest: Some(stored) }));
        assert_eq!((read.place, read.plain), (Place::Newest("lobby".into(), since), None));
    }

    #[test]
    fn a_python_consumers_message_has_its_text_where_the_rule_says() {
        let rule = rule("room.said", "body");
        let said = json!({"type": "room_said", "body": "hello", "msg": {"text": "no"}});
        let with_text = json!({"type": "room_said", "body": "hello", "msg": {"text": "no"}, "text": "hello"});
        assert_eq!(shown(said.clone(), Some(&rule)), (Some(plain("hello")), with_text));
        assert_eq!(shown(said.clone(), None), (Some(plain("no")), said), "no room, no rule");
        let both = json!({"type": "room.said", "text": "no", "body": "hello"});
        assert_eq!(
            shown(both, Some(&rule)),
            (Some(plain("hello")), json!({"type": "room.said", "text": "hello", "body": "hello"}))
        );
        for (other, text) in [
            (json!({"type": "else", "body": "hidden"}), None),
            (json!({"type": "room.said", "body": 5}), None),
            (json!({"type": "else", "text": "a", "message": "b"}), Some(plain("a"))),
            (json!({"type": "room.said", "message": {"text": "a"}}), Some(plain("a"))),
            (json!({"type": "room.said", "msg": {"text": "a"}}), Some(plain("a"))),
        ] {
            assert_eq!(shown(other.clone(), Some(&rule)), (text, other));
        }
        let tutorial = json!({"type": "chat.message", "message": "hello"});
        assert_eq!(shown(tutorial.clone(), Some(&RoomEvents::default())), (Some(plain("hello")), tutorial));
    }

    #[test]
    fn bytes_are_a_message_without_text_to_consumers_and_bytes_to_members() {
        let rule = rule("room.said", "body");
        let bytes = vec![1, 2, 255];
        let as_bytes = binary(bytes.clone().into(), &rule);
        assert_eq!((as_bytes.kind(), as_bytes.get_str("body"), as_bytes.fields().len()), ("room.said", Some(""), 2));
        for event in [as_bytes, binary_as_text(&bytes, &rule)] {
            let Entry { place, plain, event } = read_event(&event, Some(&rule));
            assert_eq!((place, plain), (Place::None, Some(PlainMessage::Binary(bytes.clone().into()))));
            assert_eq!(serde_json::to_value(event).unwrap(), json!({"type": "chat.binary", "bytes": "AQL/"}));
        }
        for event in [
            json!({"type": "room.said", "body": "x", "bytes": "AQL/"}),
            json!({"type": "room.said", "body": "", "bytes": "no base64"}),
            json!({"type": "room.said", "body": "", "bytes": 5}),
            json!({"type": "else", "body": "", "bytes": "AQL/"}),
        ] {
            let binary = matches!(shown(event.clone(), Some(&rule)).0, Some(PlainMessage::Binary(_)));
            assert!(!binary, "{event}");
        }
    }

    #[test]
    fn nothing_from_outside_is_read_as_somebodys_message() {
        let rule = rule("room.said", "body");
        let epoch: Epoch = "e".parse().unwrap();
        for kind in ["chat.message", "room_said", "else"] {
            for writer in [RoomEvents::default(), rule.clone()] {
                let mut forged = message(Some((&epoch, Offset(3))), &said(), &writer).to_json();
                forged["type"] = kind.into();
                let of_the_wire = {
                    let mut event = forged.clone();
                    let fields = event.as_object_mut().unwrap();
                    let text = fields.remove("message").or_else(|| fields.remove("body")).unwrap();
                    fields.insert("text".to_owned(), text);
                    fields.remove("text_key");
                    event
                };
                for forged in [forged, of_the_wire] {
                    assert!(foreign_event(forged.clone(), &cron(), Some(&rule)).is_err(), "{forged}");
                    assert!(foreign_event(forged.clone(), &cron(), None).is_err(), "{forged}");
                }
            }
        }
        let partly = |kind: &str| json!({"type": kind, "body": "x", "from": "Django"});
        let field = |kind: &str, field: &str| Err(Foreign::Field(kind.to_owned(), field.to_owned()));
        assert_eq!(foreign_event(partly("room_said"), &cron(), Some(&rule)), field("room_said", "from"));
        assert!(foreign_event(partly("room_said"), &cron(), None).is_ok());
        assert!(foreign_event(partly("else"), &cron(), Some(&rule)).is_ok());
        let signed = json!({"type": "else", BY_PROGRAM: {"id": "g1", "name": "Ann"}});
        assert_eq!(foreign_event(signed, &cron(), None), field("else", BY_PROGRAM));
    }

    #[test]
    fn a_pushed_event_says_which_program_pushed_it() {
        let pushed = foreign_event(json!({"type": "tick", "text": "x", "from": "Ann"}), &cron(), None).unwrap();
        let Entry { plain, event, .. } = read_event(&pushed, None);
        assert_eq!(plain, Some(PlainMessage::Text("x".to_owned())));
        let by = json!({"id": "t1", "name": "Cron"});
        assert_eq!(
            serde_json::to_value(event).unwrap(),
            json!({"type": "tick", "text": "x", "from": "Ann", "confab.program": by})
        );
    }

    #[test]
    fn no_event_of_the_layer_is_one_of_the_servers_own_to_clients() {
        let from = json!({"id": "g1", "name": "Ann"});
        let at = "2026-11-21T02:40:11.880Z";
        for event in [
            json!({"type": "message", "id": "e-3", "key": "k", "from": from, "at": at, "text": "forged"}),
            json!({"type": "typing", "from": from}),
            json!({"type": "presence", "count": 7, "joined": [], "left": []}),
            json!({"type": "delete", "id": "e-3"}),
            json!({"type": "renamed", "name": "Bob"}),
            json!({"type": "edit", "id": "e-3", "text": "forged", "at": at}),
            json!({"type": "room", "group": "a", "latest": null}),
        ] {
            let (_, shown) = shown(event.clone(), None);
            assert_eq!(shown["type"], format!("program.{}", event["type"].as_str().unwrap()), "{event}");
        }
        // What only has the type of one is no other than it says.
        let event = json!({"type": "message", "text": "no message of anybody"});
        assert_eq!(shown(event.clone(), None).1, event);
    }
}
