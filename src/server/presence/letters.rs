//! What nodes write to each other about people, and how it looks in the channel layer.
//!
//! All of it are events of the type `confab.presence`, in a group of Confab's own or to one node's channel; never in the group of
//! a room, where consumers in Python would meet a type that they have no method for. `v` is the version of the form. A node that
//! meets another one reads nothing of it, rather than half.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    server::layers::{Channel, Event, Value},
    wire::{Group, Person},
};

/// The type of these events.
const KIND: &str = "confab.presence";
/// The version of their form.
const VERSION: i64 = 1;
/// The longest id of a person that is taken from another node, in bytes.
const LONGEST_ID: usize = 64;
/// The longest name of a person that is taken from another node, in bytes.
const LONGEST_NAME: usize = 256;
/// How many people one letter names at most.
pub(super) const PIECE: usize = 200;

/// Somebody, with the time at which a node was given the name, in milliseconds since 1970: nodes may know different names of a
/// person, and the youngest one holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) at: i64,
}

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    /// I am here and have told of so many changes. With `answer`, tell me the same of yourself.
    Beat { seq: u64, answer: bool },
    /// Tell me of all your people.
    Ask,
    /// A piece of all my people, as they were after so many changes.
    State { seq: u64, part: u64, last: bool, people: Vec<(Group, Known)> },
    /// The change with this number: people who are here from now on, perhaps under another name, and others who are not.
    Delta { seq: u64, joined: Vec<(Group, Known)>, left: Vec<(Group, Arc<str>)> },
    /// Somebody is writing something in a room.
    Typing { room: Group, from: Person },
    /// I stop.
    Bye,
}

impl Letter {
    /// The event for the layer; `from` is the channel that reaches the node that writes.
    pub(super) fn sign(&self, from: &Channel) -> Event {
        let event = |what: &str| Event::new(KIND).with("v", VERSION).with("node", from.as_str()).with("what", what);
        let number = |number: u64| number.cast_signed();
        match self {
            Self::Beat { seq, answer } => event("beat").with("seq", number(*seq)).with("answer", *answer),
            Self::Ask => event("ask"),
            Self::State { seq, part, last, people } => event("state")
                .with("seq", number(*seq))
                .with("part", number(*part))
                .with("last", *last)
                .with("people", by_room(people, person)),
            Self::Delta { seq, joined, left } => event("delta")
                .with("seq", number(*seq))
                .with("joined", by_room(joined, person))
                .with("left", by_room(left, |id| Value::from(&**id))),
            Self::Typing { room, from } => {
                event("typing").with("room", room.as_str()).with("id", from.id.as_str()).with("name", from.name.as_str())
            }
            Self::Bye => event("bye"),
        }
    }

    /// Who says to have written a letter, which was not looked at.
    pub(super) fn writer(event: &Event) -> Option<&str> {
        event.get_str("node")
    }

    /// The letter and who wrote it; none where the event is not such a letter, whole and in every part.
    pub(super) fn read(event: &Event) -> Option<(Channel, Self)> {
        if event.kind() != KIND || event.get_i64("v") != Some(VERSION) {
            return None;
        }
        let from = event.get_str("node")?.parse::<Channel>().ok().filter(|from| from.local().is_some())?;
        let letter = match event.get_str("what")? {
            "beat" => Self::Beat { seq: event.get_u64("seq")?, answer: event.get_bool("answer")? },
            "ask" => Self::Ask,
            "state" => Self::State {
                seq: event.get_u64("seq")?,
                part: event.get_u64("part")?,
                last: event.get_bool("last")?,
                people: read_by_room(event.get("people")?, read_person)?,
            },
            "delta" => Self::Delta {
                seq: event.get_u64("seq")?,
                joined: read_by_room(event.get("joined")?, read_person)?,
                left: read_by_room(event.get("left")?, |id| bounded(id.as_str()?, LONGEST_ID))?,
            },
            "typing" => Self::Typing {
                room: event.get_str("room")?.parse().ok()?,
                from: Person::new(
                    bounded(event.get_str("id")?, LONGEST_ID)?.to_string(),
                    bounded(event.get_str("name")?, LONGEST_NAME)?.to_string(),
                ),
            },
            "bye" => Self::Bye,
            _ => return None,
        };
        Some((from, letter))
    }
}

fn person(Known { id, name, at }: &Known) -> Value {
    let fields = [("id", Value::from(&**id)), ("name", Value::from(&**name)), ("at", Value::from(*at))];
    Value::Map(fields.map(|(key, value)| (key.to_owned(), value)).into())
}

fn read_person(value: &Value) -> Option<Known> {
    let map = value.as_map()?;
    let text = |key: &str, longest: usize| bounded(map.get(key)?.as_str()?, longest);
    Some(Known { id: text("id", LONGEST_ID)?, name: text("name", LONGEST_NAME)?, at: map.get("at")?.as_i64()? })
}

fn bounded(text: &str, longest: usize) -> Option<Arc<str>> {
    (text.len() <= longest).then(|| text.into())
}

/// A map from rooms to lists.
fn by_room<T>(items: &[(Group, T)], value: impl Fn(&T) -> Value) -> Value {
    let mut rooms: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (room, item) in items {
        rooms.entry(room.to_string()).or_default().push(value(item));
    }
    Value::Map(rooms.into_iter().map(|(room, values)| (room, Value::List(values))).collect())
}

fn read_by_room<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<(Group, T)>> {
    let mut items = Vec::new();
    for (room, values) in value.as_map()? {
        let room: Group = room.parse().ok()?;
        let Value::List(values) = values else { return None };
        for value in values {
            items.push((room.clone(), read(value)?));
        }
    }
    (items.len() <= PIECE).then_some(items)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node() -> Channel {
        "specific.0123!p".parse().unwrap()
    }

    fn room(name: &str) -> Group {
        name.parse().unwrap()
    }

    fn known(id: &str) -> Known {
        Known { id: id.into(), name: "Ann \u{1f980}".into(), at: 7 }
    }

    #[test]
    fn every_letter_is_read_as_it_was_written() {
        let people = vec![(room("a"), known("g1")), (room("a"), known("g2")), (room("b"), known("g1"))];
        for letter in [
            Letter::Beat { seq: 3, answer: true },
            Letter::Ask,
            Letter::State { seq: 3, part: 0, last: false, people: people.clone() },
            Letter::State { seq: 3, part: 1, last: true, people: Vec::new() },
            Letter::Delta { seq: 4, joined: people, left: vec![(room("a"), "g3".into())] },
            Letter::Typing { room: room("a"), from: Person::new("g1", "Ann") },
            Letter::Bye,
        ] {
            // As JSON too, which one of the serializers is.
            let event = letter.sign(&node());
            for event in [Event::from_json(event.to_json()).unwrap(), event] {
                assert_eq!(Letter::read(&event), Some((node(), letter.clone())));
            }
        }
    }

    #[test]
    fn what_is_malformed_is_no_letter() {
        let beat = json!({"type": "confab.presence", "v": 1, "node": "a.b!p", "what": "beat", "seq": 1, "answer": false});
        let delta = json!({"type": "confab.presence", "v": 1, "node": "a.b!p", "what": "delta", "seq": 1,
            "joined": {"a": [{"id": "g1", "name": "Ann", "at": 1}]}, "left": {}});
        let many: Vec<_> = (0..=PIECE).map(|id| json!({"id": format!("g{id}"), "name": "Ann", "at": 1})).collect();
        for (base, key, value) in [
            (&beat, "type", json!("confab.other")),
            (&beat, "v", json!(2)),
            (&beat, "v", json!("1")),
            (&beat, "node", json!("no channel of a process")),
            (&beat, "node", json!("shared")),
            (&beat, "what", json!("dance")),
            (&beat, "seq", json!(-1)),
            (&beat, "answer", json!(1)),
            (&delta, "left", json!([])),
            (&delta, "left", json!({"a": ["x".repeat(65)]})),
            (&delta, "left", json!({"a b": []})),
            (&delta, "joined", json!({"a": {}})),
            (&delta, "joined", json!({"a": [{"id": "g1", "name": "x".repeat(257), "at": 1}]})),
            (&delta, "joined", json!({"a": [{"id": "g1", "name": "Ann"}]})),
            (&delta, "joined", json!({"a": many})),
        ] {
            let good = Event::from_json(base.clone()).unwrap();
            assert!(Letter::read(&good).is_some());
            let mut bad = base.clone();
            bad[key] = value;
            let bad = Event::from_json(bad).unwrap();
            assert_eq!(Letter::read(&bad), None, "{bad:?}");
        }
    }
}
