//! What somebody does in a topic. Each act is a command of its own on the wire, in which the topic stands beside what the act says.

use serde::{
    Deserialize, Serialize,
    de::{Error, MapAccess},
};

use serde_json::Value;

use super::{Change, Emoji, InvalidName, Key, MessageId, Person, Timestamp, Topic, Unreadable, read::fields};

/// An act: the client sends it, and keeps it until it is answered; the server carries it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Act {
    /// Say something.
    Send { key: Key, text: String },
    /// Say one's own message differently. What it says already changes nothing, so the act may be repeated.
    Edit { message: MessageId, text: String },
    /// Take one's own message back. May be repeated.
    Delete { message: MessageId },
    /// Put a reaction to a message, or take one's own away. May be repeated.
    React { message: MessageId, emoji: Emoji, on: bool },
}

impl Act {
    /// What the commands are called.
    pub const NAMES: [&str; 4] = ["send", "edit", "delete", "react"];

    /// What its command is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
        }
    }

    /// About how many bytes of it every member is given.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Send { text, .. } | Self::Edit { text, .. } => text.len(),
            Self::Delete { .. } | Self::React { .. } => 0,
        }
    }

    /// The message that something becomes of; none where the act is to say one.
    pub fn message(&self) -> Option<&MessageId> {
        match self {
            Self::Send { .. } => None,
            Self::Edit { message, .. } | Self::Delete { message } | Self::React { message, .. } => Some(message),
        }
    }

    /// The change of a message that it is when this person does it now.
    pub fn change(&self, from: &Person, at: Timestamp) -> Option<Change> {
        let id = self.message()?.clone();
        match self {
            Self::Send { .. } => None,
            Self::Edit { text, .. } => Some(Change::Edit { id, text: text.clone(), at }),
            Self::Delete { .. } => Some(Change::Delete { id }),
            Self::React { emoji, on, .. } => Some(Change::React { id, emoji: emoji.clone(), from: from.clone(), on: *on }),
        }
    }

    /// Reads a command that is an act, as it is written without its `id`.
    ///
    /// # Errors
    /// It is none.
    pub fn from_command(command: &Value) -> Result<(Topic, Self), Unreadable> {
        let command = command.as_object().ok_or(Unreadable)?;
        let mut map = fields(command);
        let name: String = map.next_key()?.ok_or(Unreadable)?;
        Self::read(&name, &mut map)?.ok_or(Unreadable)
    }

    /// Reads the value of the command of this name; none where the value is null.
    ///
    /// # Errors
    /// No act is called so, or the value is none of it.
    pub(super) fn read<'de, M: MapAccess<'de>>(name: &str, map: &mut M) -> Result<Option<(Topic, Self)>, M::Error> {
        Ok(match name {
            "send" => {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Send {
                    topic: Topic,
                    key: Key,
                    text: String,
                }
                map.next_value::<Option<_>>()?.map(|Send { topic, key, text }| (topic, Self::Send { key, text }))
            }
            "edit" => {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Edit {
                    topic: Topic,
                    message: MessageId,
                    text: String,
                }
                map.next_value::<Option<_>>()?.map(|Edit { topic, message, text }| (topic, Self::Edit { message, text }))
            }
            "delete" => {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Delete {
                    topic: Topic,
                    message: MessageId,
                }
                map.next_value::<Option<_>>()?.map(|Delete { topic, message }| (topic, Self::Delete { message }))
            }
            "react" => map.next_value::<Option<_>>()?.map(|React { topic, message, emoji, on }| {
                let act = Self::React { message, emoji, on };
                (topic, act)
            }),
            name => return Err(M::Error::custom(format_args!("there is no act `{name}`"))),
        })
    }
}

/// A reaction as it is put or taken away.
#[derive(Deserialize)]
#[serde(try_from = "AnyReact")]
struct React {
    topic: Topic,
    message: MessageId,
    emoji: Emoji,
    on: bool,
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
