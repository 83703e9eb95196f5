//! What a client may ask for.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Code, CommandError, Emoji, InvalidName, Key, MessageId, Position, Topic};

/// A command with the number that its one answer will carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    pub id: u64,
    #[serde(flatten)]
    pub command: Command,
}

/// The commands; on the wire each is one key beside `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    Join(Join),
    Leave(Leave),
    Send(Send),
    Edit(Edit),
    Delete(Delete),
    React(React),
    Typing(Typing),
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

/// Say something in a room that was joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    pub topic: Topic,
    pub key: Key,
    pub text: String,
}

/// Say one's own message differently. What it says already changes nothing, so the command may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub topic: Topic,
    /// The message.
    pub message: MessageId,
    pub text: String,
}

/// Take one's own message back. May be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    pub topic: Topic,
    pub message: MessageId,
}

/// Put a reaction to a message, or take one's own away. May be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AnyReact")]
pub struct React {
    pub topic: Topic,
    pub message: MessageId,
    pub emoji: Emoji,
    pub on: bool,
}

/// A reaction as it may come: what may not be put may have been, and can be taken away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnyReact {
    topic: Topic,
    message: MessageId,
    emoji: Emoji,
    on: bool,
}

impl TryFrom<AnyReact> for React {
    type Error = InvalidName;

    fn try_from(AnyReact { topic, message, emoji, on }: AnyReact) -> Result<Self, InvalidName> {
        let emoji = if on { emoji.as_str().parse()? } else { emoji };
        Ok(Self { topic, message, emoji, on })
    }
}

/// Let the others in a room that was joined know that one is writing something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typing {
    pub topic: Topic,
}

/// Ask whether the server is there; programs that cannot send a ping frame (browsers) use this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {}

/// The largest number that JavaScript can count to, 2^53 - 1: a larger `id` would come back as another one.
const LARGEST_ID: u64 = (1 << 53) - 1;

impl Request {
    /// Reads one text message of a client.
    ///
    /// # Errors
    /// What is wrong with it, with the `id` to answer to where one could be read.
    pub fn parse(text: &str) -> Result<Self, (Option<u64>, CommandError)> {
        let bad = |id: Option<u64>, message: String| (id, CommandError::new(Code::BadRequest, message));
        let mut map: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| bad(None, format!("a command is a JSON object like {{\"id\":1,\"ping\":{{}}}}: {error}")))?;
        let id = match map.shift_remove("id") {
            Some(Value::Number(number)) => number.as_u64().filter(|id| *id <= LARGEST_ID),
            _ => None,
        };
        let Some(id) = id else {
            return Err(bad(None, "a command has an `id`, a whole number from 0 to 2^53 - 1".to_owned()));
        };
        let mut rest = map.into_iter();
        let (Some((name, body)), None) = (rest.next(), rest.next()) else {
            return Err(bad(Some(id), "beside `id` a command has exactly one key, its name".to_owned()));
        };
        let command = match name.as_str() {
            "join" => body_of(body).map(Command::Join),
            "leave" => body_of(body).map(Command::Leave),
            "send" => body_of(body).map(Command::Send),
            "edit" => body_of(body).map(Command::Edit),
            "delete" => body_of(body).map(Command::Delete),
            "react" => body_of(body).map(Command::React),
            "typing" => body_of(body).map(Command::Typing),
            "ping" => body_of(body).map(Command::Ping),
            _ => {
                let name: String = name.chars().take(32).collect();
                let message =
                    format!("there is no command `{name}`; there are join, leave, send, edit, delete, react, typing and ping");
                return Err((Some(id), CommandError::new(Code::UnknownCommand, message)));
            }
        };
        match command {
            Ok(command) => Ok(Self { id, command }),
            Err(error) => Err(bad(Some(id), format!("{name}: {error}"))),
        }
    }
}

fn body_of<T: DeserializeOwned>(body: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Option<u64>, Code) {
        let (id, error) = Request::parse(text).expect_err(text);
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
            r#"{"id":9007199254740991,"ping":{}}"#,
        ] {
            let request = Request::parse(text).expect(text);
            assert_eq!(serde_json::to_string(&request).expect("JSON"), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_id_where_there_is_one() {
        for text in [
            "",
            "hello",
            "[]",
            "1",
            "{",
            "{}",
            r#"{"ping":{}}"#,
            r#"{"id":-1,"ping":{}}"#,
            r#"{"id":"1","ping":{}}"#,
            r#"{"id":9007199254740992,"ping":{}}"#,
            r#"{"id":1.5,"ping":{}}"#,
        ] {
            assert_eq!(refused(text), (None, Code::BadRequest), "{text}");
        }
        for text in [
            r#"{"id":7}"#,
            r#"{"id":7,"ping":{},"join":{}}"#,
            r#"{"id":7,"ping":{"x":1}}"#,
            r#"{"id":7,"ping":null}"#,
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
}
