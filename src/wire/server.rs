//! What the server sends.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    CommandError, Epoch, Event, Members, Mine, Offset, Person, Position, Rights, RoomSummary, Topic, Unreadable, read,
    read::{field, take},
};

/// One text message from the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub enum ServerFrame {
    Welcome { welcome: Welcome },
    Reply(Reply),
    Push(Push),
}

/// A frame is known by its keys.
impl TryFrom<Value> for ServerFrame {
    type Error = Unreadable;

    fn try_from(frame: Value) -> Result<Self, Unreadable> {
        if let Some(welcome) = frame.get("welcome") {
            read(welcome).map(|welcome| Self::Welcome { welcome })
        } else if frame.get("event").is_some() {
            Push::try_from(frame).map(Self::Push)
        } else {
            Reply::try_from(frame).map(Self::Reply)
        }
    }
}

/// The first message on every connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The connection's own name in the channel layer: what is sent to it reaches this connection alone.
    pub channel: String,
    /// Who the server takes the client for.
    pub you: Person,
    /// The server pings a silent connection after this many seconds; one that is silent for more than twice as long is gone.
    pub ping_s: u64,
    /// Which build answers; a page from another build may want to reload.
    pub build: String,
    /// The topic that the address has joined, if it names one, and where its stream stood: pushes follow from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Joined>,
}

/// Where a connection has joined a topic's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub topic: Topic,
    pub epoch: Epoch,
    pub offset: Offset,
}

/// The one answer to a command. `id` is null only where none could be read from the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Reply {
    pub id: Option<u64>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl TryFrom<Value> for Reply {
    type Error = Unreadable;

    fn try_from(mut reply: Value) -> Result<Self, Unreadable> {
        let id = field(&reply, "id")?;
        let outcome = match (take(&mut reply, "ok"), reply.get("error")) {
            (Value::Null, Some(error)) => Outcome::Error(read(error)?),
            (answer, None) => Outcome::Ok(answer.try_into()?),
            _ => return Err(Unreadable),
        };
        Ok(Self { id, outcome })
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok(Answer),
    Error(CommandError),
}

/// What an accepted command answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub enum Answer {
    /// To `join`.
    Joined {
        #[serde(flatten)]
        at: Joined,
        #[serde(flatten)]
        state: State,
    },
    /// To `send`: where the message stands; no offset in a room that keeps none. To `edit`, `delete` and `react`: where the
    /// change stands, or the last one where it changed nothing.
    Sent { offset: Option<Offset> },
    /// To `leave`, `typing` and `ping`.
    Done {},
    /// To `authorize`: who the server takes the client for from then on.
    #[cfg(feature = "ssr")]
    You { you: Person },
}

/// An answer is known by its keys too.
impl TryFrom<Value> for Answer {
    type Error = Unreadable;

    fn try_from(mut answer: Value) -> Result<Self, Unreadable> {
        let keys = answer.as_object().ok_or(Unreadable)?;
        if !keys.contains_key("recovered") {
            return Ok(if keys.contains_key("offset") {
                Self::Sent { offset: field(&answer, "offset")? }
            } else {
                Self::Done {}
            });
        }
        let Value::Array(events) = take(&mut answer, "events") else { return Err(Unreadable) };
        let state = State {
            recovered: field(&answer, "recovered")?,
            events: events.into_iter().map(Push::try_from).collect::<Result<_, _>>()?,
            mine: field::<Option<Mine>>(&answer, "mine")?.unwrap_or_default(),
            rooms: field(&answer, "rooms")?,
            members: field(&answer, "members")?,
            may: field::<Option<Rights>>(&answer, "may")?.unwrap_or_default(),
            read: field(&answer, "read")?,
        };
        Ok(Self::Joined { at: read(&answer)?, state })
    }
}

/// What a joining client needs to be level with the topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    /// True: `events` are exactly those after `since`. False: they are the newest ones, and what the client had before
    /// is void.
    pub recovered: bool,
    pub events: Vec<Push>,
    /// What the person who joins has put to the messages among them.
    #[serde(default, skip_serializing_if = "Mine::is_empty")]
    pub mine: Mine,
    /// The rooms, newest activity first (topic `lobby` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Vec<RoomSummary>>,
    /// Who is in the room, the joining person too (topics of rooms only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
    /// What the joining person may do there (topics of rooms only).
    #[serde(default, skip_serializing_if = "Rights::are_usual")]
    pub may: Rights,
    /// Up to where the joining person has read it (topics of rooms, for people with accounts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Position>,
}

/// An event on its way to the members of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Push {
    pub topic: Topic,
    /// Where it stands in the stream; none for what is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    pub event: Event,
}

impl TryFrom<Value> for Push {
    type Error = Unreadable;

    fn try_from(mut push: Value) -> Result<Self, Unreadable> {
        let event = take(&mut push, "event").try_into()?;
        Ok(Self { topic: field(&push, "topic")?, offset: field(&push, "offset")?, event })
    }
}

#[cfg(test)]
mod tests;
