//! What a client may ask for.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap as _,
};

use super::{Act, Code, CommandError, Position, Topic};

/// A command with the number that its one answer will carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    pub id: u64,
    #[serde(flatten)]
    pub command: Command,
}

/// What a client has said, as far as the wire knows it.
#[derive(Debug)]
pub enum Asked<'t> {
    Request(Request),
    /// It has the form of a command whose name is none of [`Command`]'s.
    Other(Other<'t>),
}

/// A command of its own that a noun may have.
#[derive(Debug)]
pub struct Other<'t> {
    pub id: u64,
    pub name: Cow<'t, str>,
    text: &'t str,
}

/// The commands that the wire knows; on the wire each is one key beside `id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Join(Join),
    Leave(Leave),
    /// Do something in a topic that was joined.
    Act {
        topic: Topic,
        act: Act,
    },
    Typing(Typing),
    Read(Read),
    Ping(Ping),
}

/// Become a member of a topic and catch up with it. Joining again is allowed: it catches up from `since`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    pub topic: Topic,
    /// What the client already has; without it the answer carries the current state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Position>,
}

/// Stop being a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    pub topic: Topic,
}

/// Let the others in a room that was joined know that one is writing something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typing {
    pub topic: Topic,
}

/// Say up to where one has read a room that was joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    pub topic: Topic,
    pub up_to: Position,
    /// What comes after that is unread again; otherwise what was read stays read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

/// Ask whether the server is there; programs that cannot send a ping frame (browsers) use this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {}

/// The largest number that JavaScript can count to, 2^53 - 1: a larger `id` would come back as another one.
const LARGEST_ID: u64 = (1 << 53) - 1;

/// How much is said about a command that cannot be read, in characters: what is wrong may quote as much as the client has sent.
const LONGEST_COMPLAINT: usize = 300;

impl<'t> Asked<'t> {
    /// Reads one text message of a client, straight into the command. What is no part of a command is passed over without memory,
    /// however much of it there is and however deep it is nested.
    ///
    /// # Errors
    /// What is wrong with it, with the `id` to answer to where one could be read.
    pub fn parse(text: &'t str) -> Result<Self, (Option<u64>, CommandError)> {
        let error = match serde_json::from_str(text) {
            Ok(Whole(Some(request))) => return Ok(Self::Request(request)),
            Ok(Whole(None)) => None,
            Err(error) => Some(error),
        };
        let Keys { id, name, others } = serde_json::from_str(text)
            .map_err(|error| bad(None, format!("a command is a JSON object like {{\"id\":1,\"ping\":{{}}}}: {error}")))?;
        let Some(id) = id else {
            return Err(bad(None, "a command has an `id`, a whole number from 0 to 2^53 - 1".to_owned()));
        };
        let (Some(name), 1) = (name, others) else {
            return Err(bad(Some(id), "beside `id` a command has exactly one key, its name".to_owned()));
        };
        if names().any(|known| known == name) {
            let error = error.map_or_else(|| "an object is needed".to_owned(), |error| error.to_string());
            return Err(bad(Some(id), format!("{name}: {error}")));
        }
        Ok(Self::Other(Other { id, name, text }))
    }
}

impl Other<'_> {
    /// Reads what is said with it.
    ///
    /// # Errors
    /// It is not of that form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        struct Body<'n, T>(&'n str, PhantomData<T>);

        impl<'de, T: DeserializeOwned> Visitor<'de> for Body<'_, T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Option<T>, M::Error> {
                let mut body = None;
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    if key == self.0 {
                        body = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(body)
            }
        }

        let read = serde_json::Deserializer::from_str(self.text).deserialize_map(Body(&self.name, PhantomData));
        let complaint = |what: &str| bad(None, format!("{}: {what}", self.name)).1;
        read.map_err(|error| complaint(&error.to_string()))?.ok_or_else(|| complaint("an object is needed"))
    }

    /// What is said where no noun has such a command either; `others` are those that nouns have.
    pub fn unknown(&self, others: impl IntoIterator<Item = &'static str>) -> CommandError {
        let all: Vec<_> = names().chain(others).collect();
        let (last, all) = all.split_last().unwrap_or((&"", &[]));
        let name: String = self.name.chars().take(32).collect();
        let message = format!("there is no command `{name}`; there are {} and {last}", all.join(", "));
        CommandError::new(Code::UnknownCommand, message)
    }
}

fn bad(id: Option<u64>, message: String) -> (Option<u64>, CommandError) {
    let short = message.char_indices().nth(LONGEST_COMPLAINT).map(|(end, _)| format!("{}…", &message[..end]));
    (id, CommandError::new(Code::BadRequest, short.unwrap_or(message)))
}

/// What the commands are called.
fn names() -> impl Iterator<Item = &'static str> {
    ["join", "leave"].into_iter().chain(Act::NAMES).chain(["typing", "read", "ping"])
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct InTopic<'a> {
            topic: &'a Topic,
            #[serde(flatten)]
            act: &'a Act,
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Join(join) => map.serialize_entry("join", join)?,
            Self::Leave(leave) => map.serialize_entry("leave", leave)?,
            Self::Act { topic, act } => map.serialize_entry(act.name(), &InTopic { topic, act })?,
            Self::Typing(typing) => map.serialize_entry("typing", typing)?,
            Self::Read(read) => map.serialize_entry("read", read)?,
            Self::Ping(ping) => map.serialize_entry("ping", ping)?,
        }
        map.end()
    }
}

impl Command {
    /// Reads the value of the command of this name; none where the value is null.
    fn read<'de, M: MapAccess<'de>>(name: &str, map: &mut M) -> Result<Option<Self>, M::Error> {
        Ok(match name {
            "join" => map.next_value::<Option<_>>()?.map(Self::Join),
            "leave" => map.next_value::<Option<_>>()?.map(Self::Leave),
            "typing" => map.next_value::<Option<_>>()?.map(Self::Typing),
            "read" => map.next_value::<Option<_>>()?.map(Self::Read),
            "ping" => map.next_value::<Option<_>>()?.map(Self::Ping),
            act => Act::read(act, map)?.map(|(topic, act)| Self::Act { topic, act }),
        })
    }
}

/// A command that is as it should be; none unless it has exactly one. The first key or value that is not as it should be ends the reading.
struct Whole(Option<Request>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Whole, M::Error> {
                let (mut id, mut command) = (None, None);
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    match (&*key, &id, &command) {
                        ("id", None, _) => id = Some(map.next_value::<Id>()?.0),
                        ("id", ..) => return Err(M::Error::duplicate_field("id")),
                        (name, _, None) => command = Some(Command::read(name, &mut map)?),
                        (..) => return Err(M::Error::custom("there is a second command")),
                    }
                }
                Ok(Whole(id.zip(command.flatten()).map(|(id, command)| Request { id, command })))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// What a command carries for its answer.
struct Id(u64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = u64::deserialize(deserializer).ok().filter(|id| *id <= LARGEST_ID);
        id.map(Self).ok_or_else(|| D::Error::custom("an `id` is a whole number from 0 to 2^53 - 1"))
    }
}

/// A key, of the text itself where it has no escapes.
#[derive(Deserialize)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);

/// An object by its keys: what is needed to say what is wrong with a command.
#[derive(Default)]
struct Keys<'t> {
    id: Option<u64>,
    /// The first key beside it, and how many there are.
    name: Option<Cow<'t, str>>,
    others: usize,
}

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Keys<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Keys<'de>, M::Error> {
                let mut keys = Keys::default();
                while let Some(Name(key)) = map.next_key()? {
                    if key == "id" {
                        keys.id = Some(map.next_value::<Id>()?.0);
                        continue;
                    }
                    map.next_value::<IgnoredAny>()?;
                    keys.name.get_or_insert(key);
                    keys.others += 1;
                }
                Ok(keys)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::value::MapDeserializer;

    use super::*;

    /// A command that the wire knows; where there are no nouns there are no others.
    fn parse(text: &str) -> Result<Request, (Option<u64>, CommandError)> {
        match Asked::parse(text)? {
            Asked::Request(request) => Ok(request),
            Asked::Other(other) => Err((Some(other.id), other.unknown([]))),
        }
    }

    fn refused(text: &str) -> (Option<u64>, Code) {
        let (id, error) = parse(text).expect_err(text);
        (id, error.code)
    }

    #[test]
    fn every_command_reads_back_what_it_prints() {
        for text in [
            r#"{"id":1,"join":{"topic":"room/lobby","since":{"epoch":"k3f9","offset":41}}}"#,
            r#"{"id":1,"join":{"topic":"me"}}"#,
            r#"{"id":2,"send":{"topic":"room/lobby","key":"a-1","text":"hello"}}"#,
            r#"{"id":4,"edit":{"topic":"room/lobby","message":"k3f9-41","text":"hello!"}}"#,
            r#"{"id":5,"delete":{"topic":"room/lobby","message":"k3f9-41"}}"#,
            r#"{"id":6,"react":{"topic":"room/lobby","message":"k3f9-41","emoji":"👍","on":true}}"#,
            "{\"id\":6,\"react\":{\"topic\":\"room/lobby\",\"message\":\"k3f9-41\",\"emoji\":\"\u{200b}\",\"on\":false}}",
            r#"{"id":3,"leave":{"topic":"room/lobby"}}"#,
            r#"{"id":7,"typing":{"topic":"room/lobby"}}"#,
            r#"{"id":8,"read":{"topic":"room/lobby","up_to":{"epoch":"k3f9","offset":41}}}"#,
            r#"{"id":9,"read":{"topic":"room/lobby","up_to":{"epoch":"k3f9","offset":40},"back":true}}"#,
            r#"{"id":9007199254740991,"ping":{}}"#,
        ] {
            let request = parse(text).expect(text);
            assert_eq!(serde_json::to_string(&request).expect("JSON"), text);
        }
    }

    #[test]
    fn a_command_of_a_nouns_own_is_read_by_the_noun() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Press {
            topic: Topic,
        }
        let topic: Topic = "counter/a.b".parse().expect("a topic");
        for (text, read) in [
            (r#"{"id":7,"press":{"topic":"counter/a.b"}}"#, Ok(())),
            (r#"{"\u0070ress":{"topic":"counter/a.b"},"id":7}"#, Ok(())),
            (r#"{"id":7,"press":{}}"#, Err("press: missing field `topic` at line 1 column 18")),
            (r#"{"id":7,"press":null}"#, Err("press: invalid type: null, expected struct Press at line 1 column 20")),
            (
                r#"{"id":7,"press":{"topic":"counter/a.b","x":1}}"#,
                Err("press: unknown field `x`, expected `topic` at line 1 column 42"),
            ),
        ] {
            let Ok(Asked::Other(other)) = Asked::parse(text) else { panic!("{text}") };
            assert_eq!((other.id, &*other.name), (7, "press"));
            let (expected, found) = (read.map(|()| Press { topic: topic.clone() }), other.read::<Press>());
            assert_eq!(
                found.map_err(|error| (error.code, error.message)),
                expected.map_err(|text| (Code::BadRequest, text.to_owned()))
            );
        }
        let Ok(Asked::Other(other)) = Asked::parse(r#"{"id":7,"dance":{}}"#) else { panic!("no command") };
        assert!(other.unknown(["press"]).message.ends_with("react, typing, read, ping and press"));
    }

    #[test]
    fn every_command_that_is_named_is_one() {
        for name in names() {
            let (id, error) = parse(&format!(r#"{{"id":7,"{name}":0}}"#)).expect_err("a number");
            assert_eq!((id, error.code), (Some(7), Code::BadRequest), "{name}");
            assert!(error.message.starts_with(&format!("{name}: invalid type: integer `0`, expected ")), "{}", error.message);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_id_where_there_is_one() {
        for text in [
            "",
            "hello",
            "[]",
            "[7,null,null,null,null,null,null,null,{}]",
            "1",
            "{",
            "{}",
            r#"{"ping":{}}"#,
            r#"{"id":-1,"ping":{}}"#,
            r#"{"id":"1","ping":{}}"#,
            r#"{"id":9007199254740992,"ping":{}}"#,
            r#"{"id":1.5,"ping":{}}"#,
            r#"{"id":7,"ping":{}"#,
            r#"{"id":7,"ping":{"x":1}} more"#,
        ] {
            assert_eq!(refused(text), (None, Code::BadRequest), "{text}");
        }
        for text in [
            r#"{"id":7}"#,
            r#"{"id":7,"ping":{},"join":{}}"#,
            r#"{"id":7,"ping":{"x":1}}"#,
            r#"{"id":7,"ping":null}"#,
            r#"{"id":7,"ping":{},"ping":{}}"#,
            r#"{"ping":{"x":1},"id":7}"#,
            r#"{"send":{"topic":"room/a","key":"k","text":[[]]},"id":7}"#,
            r#"{"id":7,"join":{"topic":"room/a b"}}"#,
            r#"{"id":7,"send":{"topic":"room/a","text":"x"}}"#,
            r#"{"id":7,"delete":{"topic":"room/a","message":41}}"#,
            r#"{"id":7,"react":{"topic":"room/a","message":"e-1","emoji":"","on":true}}"#,
            r#"{"id":7,"react":{"topic":"room/a","message":"e-1","emoji":"\u200b","on":true}}"#,
            r#"{"id":7,"react":{"topic":"room/a","message":"e-1","emoji":"x","on":true,"extra":1}}"#,
            r#"{"id":7,"send":{"topic":"room/a","key":"k","text":"x","extra":1}}"#,
        ] {
            assert_eq!(refused(text), (Some(7), Code::BadRequest), "{text}");
        }
        assert_eq!(refused(r#"{"id":7,"dance":{}}"#), (Some(7), Code::UnknownCommand));
    }

    #[test]
    fn what_is_no_part_of_a_command_is_passed_over_however_much_it_is_and_however_deep() {
        for nested in [
            "[".repeat(100_000) + &"]".repeat(100_000),
            "[],".repeat(100_000) + "1",
            r#"{"a":"#.repeat(9_999) + "1" + &"}".repeat(9_999),
        ] {
            for (text, code) in [
                (format!(r#"{{"id":7,"dance":[{nested}]}}"#), Code::UnknownCommand),
                (format!(r#"{{"dance":[{nested}],"id":7}}"#), Code::UnknownCommand),
                (format!(r#"{{"ping":[{nested}],"id":7}}"#), Code::BadRequest),
                (format!(r#"{{"id":7,"send":{{"topic":"room/a","key":"k","text":[{nested}]}}}}"#), Code::BadRequest),
                (format!(r#"{{"id":7,"ping":{{}},"x":[{nested}]}}"#), Code::BadRequest),
            ] {
                assert_eq!(refused(&text), (Some(7), code), "{} bytes of {}", text.len(), &text[..40]);
            }
        }
    }

    #[test]
    fn a_complaint_is_short_whatever_was_sent() {
        let long = "é".repeat(50_000);
        for text in [
            format!(r#"{{"id":7,"{long}":1}}"#),
            format!(r#"{{"id":7,"ping":{{"{long}":1}}}}"#),
            format!(r#"{{"id":7,"ping":"{long}"}}"#),
            format!(r#""{long}""#),
        ] {
            let (_, error) = parse(&text).expect_err("no command");
            assert!(error.message.len() < 1_000, "{}", error.message.len());
        }
    }

    /// What a tree of the whole message says of it: the answer to it, and the command.
    fn by_tree(text: &str) -> (Option<u64>, Result<Command, Code>) {
        let Ok(serde_json::Value::Object(mut map)) = serde_json::from_str(text) else { return (None, Err(Code::BadRequest)) };
        let id = map.remove("id").and_then(|id| id.as_u64()).filter(|id| *id <= LARGEST_ID);
        let Some(id) = id else { return (None, Err(Code::BadRequest)) };
        let mut rest = map.into_iter();
        let (Some((name, body)), None) = (rest.next(), rest.next()) else { return (Some(id), Err(Code::BadRequest)) };
        if !names().any(|known| known == name) {
            return (Some(id), Err(Code::UnknownCommand));
        }
        let mut map = MapDeserializer::<_, serde_json::Error>::new([(name.as_str(), body)].into_iter());
        let command = map.next_key::<String>().and_then(|_| Command::read(&name, &mut map));
        (Some(id), command.ok().flatten().ok_or(Code::BadRequest))
    }

    fn parsed(text: &str) -> (Option<u64>, Result<Command, Code>) {
        match parse(text) {
            Ok(Request { id, command }) => (Some(id), Ok(command)),
            Err((id, error)) => (id, Err(error.code)),
        }
    }

    /// Messages that are commands, or nearly.
    const CORPUS: [&str; 12] = [
        r#"{"id":1,"join":{"topic":"room/lobby","since":{"epoch":"k3f9","offset":41}}}"#,
        r#"{"id":1,"join":{"topic":"me","since":null}}"#,
        r#"{"id":2,"send":{"topic":"room/a","key":"k","text":"\u0000\ud83e\udd80 \"x\""}}"#,
        r#" { "send" : {"text":"","key":"k","topic":"room/a"} , "id" : 0 } "#,
        r#"{"id":4,"edit":{"topic":"room/a","message":"e-1","text":"x"}}"#,
        r#"{"id":5,"delete":{"topic":"room/a","message":"e-1"}}"#,
        r#"{"id":6,"react":{"topic":"room/a","message":"e-1","emoji":"x","on":false}}"#,
        r#"{"id":3,"leave":{"topic":"room/a"}}"#,
        r#"{"id":7,"typing":{"topic":"room/a"}}"#,
        r#"{"id":9007199254740991,"ping":{}}"#,
        r#"{"id":8,"dance":[{"a":[null,true,1.5e3,-0]}]}"#,
        r#"{"i\u0064":9,"p\u0069ng":{}}"#,
    ];

    #[test]
    fn the_corpus_is_read_as_its_tree_says() {
        for text in CORPUS {
            assert_eq!(parsed(text), by_tree(text), "{text}");
        }
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let texts = prop::sample::select(vec!["room/a", "me", "e-1", "k", "x", "", "a b"]).prop_map(Value::from);
        let leaves =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i8>().prop_map(Value::from), texts];
        let keys = prop::sample::select(vec![
            "id", "topic", "since", "epoch", "offset", "key", "text", "message", "emoji", "on", "ping", "join", "send", "edit",
            "delete", "react", "leave", "typing", "dance",
        ]);
        leaves.prop_recursive(4, 24, 5, move |inner| {
            let maps = prop::collection::vec((keys.clone(), inner.clone()), 0..5);
            let maps = maps.prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Value>());
            prop_oneof![1 => prop::collection::vec(inner, 0..5).prop_map(Value::from), 4 => maps]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_as_its_tree_says(value in values()) {
            let text = value.to_string();
            prop_assert_eq!(parsed(&text), by_tree(&text));
        }

        /// Bytes of a command are exchanged, doubled and left out. Where a key is there twice the tree keeps the last, and a
        /// command is refused.
        #[test]
        fn what_is_nearly_a_command_is_read_as_its_tree_says(
            which in 0..CORPUS.len(), at in 0_usize..90, cut in 0_usize..4, put in "[\\[\\]{}:,\"\\\\a-e0-9 ]{0,4}",
        ) {
            let mut bytes = CORPUS[which].as_bytes().to_vec();
            let at = at.min(bytes.len());
            bytes.splice(at..(at + cut).min(bytes.len()), put.bytes());
            let text = String::from_utf8(bytes).expect("ASCII");
            let (read, by_tree) = (parsed(&text), by_tree(&text));
            prop_assert!(read == by_tree || read.1 == Err(Code::BadRequest), "{text}: {read:?}, {by_tree:?}");
        }
    }
}
