//! What is read by hand is read as by what serde derives.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::wire::{Change, Content, Message, Presence, Reaction, Renamed, Stored, Timestamp, Typist};

/// What serde derives from the types as they are written, which is what was read until they were read by hand.
#[expect(dead_code, reason = "what was read is compared by how it is shown")]
mod derived {
    use serde::Deserialize;
    use serde_json::{Map, Value};

    use crate::wire::{
        CommandError, Content, Emoji, Epoch, Group, Key, Members, MessageId, Mine, Offset, Person, Position, Presence, Renamed,
        Rights, Timestamp, Topic, Typist, Welcome,
    };

    #[derive(Debug, Deserialize)]
    pub(super) struct Message {
        id: String,
        key: Key,
        from: Person,
        #[serde(flatten)]
        content: Content,
        at: Timestamp,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Stored {
        offset: Offset,
        #[serde(flatten)]
        message: Message,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    pub(super) enum Change {
        Edit { id: MessageId, text: String, at: Timestamp },
        Delete { id: MessageId },
        React { id: MessageId, emoji: Emoji, from: Person, on: bool },
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct RoomSummary {
        group: Group,
        latest: Option<Stored>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Known {
        Message(Message),
        Room(RoomSummary),
    }

    #[derive(Debug)]
    pub(super) enum Event {
        Message(Message),
        Change(Change),
        Room(RoomSummary),
        Presence(Presence),
        Typing(Typist),
        Renamed(Renamed),
        Other(Map<String, Value>),
    }

    impl<'de> Deserialize<'de> for Event {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let map = Map::deserialize(deserializer)?;
            let Some(kind) = map.get("type").and_then(Value::as_str) else {
                return Err(serde::de::Error::custom("an event has a string `type`"));
            };
            let event = Value::Object(map.clone());
            let known = match kind {
                "message" | "room" => serde_json::from_value(event).map(|known| match known {
                    Known::Message(message) => Self::Message(message),
                    Known::Room(room) => Self::Room(room),
                }),
                "edit" | "delete" | "react" => serde_json::from_value(event).map(Self::Change),
                "presence" => serde_json::from_value(event).map(Self::Presence),
                "typing" => serde_json::from_value(event).map(Self::Typing),
                "renamed" => serde_json::from_value(event).map(Self::Renamed),
                _ => return Ok(Self::Other(map)),
            };
            Ok(known.unwrap_or(Self::Other(map)))
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    pub(super) enum ServerFrame {
        Welcome { welcome: Welcome },
        Reply(Reply),
        Push(Push),
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Reply {
        id: Option<u64>,
        #[serde(flatten)]
        outcome: Outcome,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Outcome {
        Ok(Answer),
        Error(CommandError),
    }

    #[derive(Debug, Deserialize)]
    struct Joined {
        topic: Topic,
        epoch: Epoch,
        offset: Offset,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Answer {
        Joined {
            #[serde(flatten)]
            at: Joined,
            #[serde(flatten)]
            state: Box<State>,
        },
        Sent {
            offset: Option<Offset>,
        },
    }

    #[derive(Debug, Deserialize)]
    struct State {
        recovered: bool,
        events: Vec<Push>,
        #[serde(default)]
        mine: Mine,
        rooms: Option<Vec<RoomSummary>>,
        members: Option<Members>,
        #[serde(default)]
        may: Rights,
        read: Option<Position>,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Push {
        topic: Topic,
        offset: Option<Offset>,
        event: Event,
    }
}

/// Reads it in both ways and compares, with the help of how both are shown.
fn is_read_as_before(json: &Value) {
    let now = serde_json::from_value::<ServerFrame>(json.clone()).ok().map(|frame| format!("{frame:?}"));
    let before = serde_json::from_value::<derived::ServerFrame>(json.clone()).ok();
    assert_eq!(now, before.map(|frame| format!("{frame:?}")), "{json}");
}

fn person() -> impl Strategy<Value = Person> {
    ("[a-z]{0,3}", any::<String>()).prop_map(|(id, name)| Person::new(id, name))
}

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![0..9_u64, Just(u64::MAX)].prop_map(Offset)
}

fn at() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn content() -> impl Strategy<Value = Content> {
    let reactions = prop::collection::vec((person(), 1..9_u64), 0..2).prop_map(|all| {
        let one = |(from, count)| Reaction { emoji: "👍".parse().unwrap(), count, from: vec![from] };
        all.into_iter().map(one).collect()
    });
    (any::<String>(), prop::option::of(at()), any::<bool>(), reactions, prop::option::of(offset()))
        .prop_map(|(text, edited, deleted, reactions, changed)| Content { text, edited, deleted, reactions, changed })
}

fn message() -> impl Strategy<Value = Message> {
    (any::<String>(), "[a-z]{1,3}", person(), content(), at()).prop_map(|(id, key, from, content, at)| Message {
        id,
        key: key.parse().unwrap(),
        from,
        content,
        at,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let id = || offset().prop_map(|offset| format!("e-{offset}").parse().unwrap());
    prop_oneof![
        (id(), any::<String>(), at()).prop_map(|(id, text, at)| Change::Edit { id, text, at }),
        id().prop_map(|id| Change::Delete { id }),
        (id(), person(), any::<bool>())
            .prop_map(|(id, from, on)| Change::React { id, emoji: "🎉".parse().unwrap(), from, on }),
    ]
}

fn room() -> impl Strategy<Value = RoomSummary> {
    let latest = (offset(), message()).prop_map(|(offset, message)| Stored { offset, message });
    prop::option::of(latest).prop_map(|latest| RoomSummary { group: "lobby".parse().unwrap(), latest })
}

fn event() -> impl Strategy<Value = Event> {
    let presence = (0..9_u64, prop::collection::vec(person(), 0..2), prop::option::of(prop::collection::vec(person(), 0..2)))
        .prop_map(|(count, joined, people)| Presence { count, joined, left: vec!["x".to_owned()], people });
    prop_oneof![
        message().prop_map(Event::Message),
        change().prop_map(Event::Change),
        room().prop_map(Event::Room),
        presence.prop_map(Event::Presence),
        person().prop_map(|from| Event::Typing(Typist { from })),
        any::<String>().prop_map(|name| Event::Renamed(Renamed { name, handle: None })),
        any::<i8>().prop_map(|n| Event::Other(
            json!({"type": "notify", "n": [n, 0.5], "b": {"a": null}}).as_object().unwrap().clone()
        )),
    ]
}

fn push() -> impl Strategy<Value = Push> {
    (prop::option::of(offset()), event()).prop_map(|(offset, event)| Push { topic: "room/a".parse().unwrap(), offset, event })
}

fn joined() -> impl Strategy<Value = Joined> {
    offset().prop_map(|offset| Joined { topic: "me".parse().unwrap(), epoch: "e".parse().unwrap(), offset })
}

fn answer() -> impl Strategy<Value = Answer> {
    let members = prop::option::of(prop::collection::vec(person(), 0..2).prop_map(|people| Members { count: 7, people }));
    let mine = prop::bool::ANY.prop_map(|some| {
        let one = ("e-1".parse().unwrap(), vec!["👍".parse().unwrap()]);
        if some { Mine::from([one]) } else { Mine::default() }
    });
    let (events, rooms) = (prop::collection::vec(push(), 0..3), prop::option::of(prop::collection::vec(room(), 0..2)));
    let state = (any::<bool>(), events, mine, rooms, members).prop_map(|(recovered, events, mine, rooms, members)| State {
        may: Rights { moderate: recovered, ..Rights::default() },
        read: recovered.then(|| Position { epoch: "e".parse().unwrap(), offset: Offset(7) }),
        recovered,
        events,
        mine,
        rooms,
        members,
    });
    prop_oneof![
        (joined(), state).prop_map(|(at, state)| Answer::Joined { at, state }),
        prop::option::of(offset()).prop_map(|offset| Answer::Sent { offset }),
    ]
}

fn frame() -> impl Strategy<Value = ServerFrame> {
    let error = (any::<String>(), prop::option::of(0..9_u64)).prop_map(|(message, retry_after_ms)| CommandError {
        code: crate::wire::Code::RateLimited,
        message,
        retry_after_ms,
    });
    let outcome = prop_oneof![answer().prop_map(Outcome::Ok), error.prop_map(Outcome::Error)];
    let welcome = (person(), prop::option::of(joined())).prop_map(|(you, joined)| Welcome {
        channel: "c".to_owned(),
        you,
        ping_s: 20,
        build: "b".to_owned(),
        joined,
    });
    prop_oneof![
        welcome.prop_map(|welcome| ServerFrame::Welcome { welcome }),
        (prop::option::of(0..9_u64), outcome).prop_map(|(id, outcome)| ServerFrame::Reply(Reply { id, outcome })),
        push().prop_map(ServerFrame::Push),
    ]
}

/// All places in a value, one after the other, to be changed by a test.
fn places(json: &Value) -> Vec<String> {
    let inner =
        |key: String, value: &Value| places(value).into_iter().map(move |rest| format!("/{key}{rest}")).collect::<Vec<_>>();
    let inside: Vec<String> = match json {
        Value::Object(map) => {
            map.iter().flat_map(|(key, value)| inner(key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(list) => list.iter().enumerate().flat_map(|(at, value)| inner(at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    std::iter::once(String::new()).chain(inside).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_as_before(frame in frame()) {
        let json = serde_json::to_value(&frame).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ServerFrame>(&json.to_string()).unwrap(), &frame);
        is_read_as_before(&json);
    }

    /// Without a field, with one more, or with another value in its place: it is the same event, or still passed on as it came.
    #[test]
    fn an_event_that_is_somewhat_different_is_read_as_before(event in event(), at in any::<prop::sample::Index>(), how in 0..8_u8) {
        let mut json = serde_json::to_value(&event).unwrap();
        let places = places(&json);
        let place = &places[at.index(places.len())];
        let Some(value) = json.pointer_mut(place) else { return Err(TestCaseError::fail(place.clone())) };
        match how {
            0 => *value = Value::Null,
            1 => *value = json!(-1),
            2 => *value = json!("text"),
            3 => *value = json!({}),
            4 => *value = json!(true),
            5 => if let Some(map) = value.as_object_mut() {
                map.insert("more".to_owned(), json!([1.5, null]));
            },
            6 => *value = json!(1.5),
            _ => if let Some(map) = value.as_object_mut()
                && let Some(key) = map.keys().nth(at.index(map.len().max(1))).cloned() {
                map.remove(&key);
            },
        }
        let now = serde_json::from_value::<Event>(json.clone()).ok().map(|event| format!("{event:?}"));
            let before = serde_json::from_value::<derived::Event>(json.clone()).ok().map(|event| format!("{event:?}"));
            prop_assert_eq!(now, before, "{}", json);
    }
}

#[test]
fn answers_are_told_apart_by_their_keys() {
    let read = |json: Value| serde_json::from_value::<ServerFrame>(json).ok();
    let answer = |answer| Some(ServerFrame::Reply(Reply { id: Some(1), outcome: Outcome::Ok(answer) }));
    for (json, frame) in [
        (json!({"id": 1, "ok": {}}), answer(Answer::Done {})),
        (json!({"id": 1, "ok": {"news": 1}}), answer(Answer::Done {})),
        (json!({"id": 1, "ok": {"offset": null}}), answer(Answer::Sent { offset: None })),
        (json!({"id": 1, "ok": {"offset": 7, "news": []}}), answer(Answer::Sent { offset: Some(Offset(7)) })),
        (json!({"id": 1, "ok": {"offset": "7"}}), None),
        (json!({"id": 1, "ok": {"recovered": true, "offset": 7}}), None),
        (json!({"id": 1, "ok": {}, "error": {"code": "forbidden", "message": "no"}}), None),
        (json!({"id": 1}), None),
        (json!([]), None),
    ] {
        assert_eq!(read(json.clone()), frame, "{json}");
    }
}
