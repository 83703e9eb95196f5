//! Changes of messages on their way in: what may become of which message, the same for every store.

use std::fmt;

use super::StoreError;
use crate::wire::{Change, Content, Emoji, Group, InvalidName, MOST_REACTIONS, MessageId, Person, Reaction, Timestamp};

/// A change on its way in.
#[derive(Clone, Debug)]
pub struct NewChange {
    pub group: Group,
    /// The message.
    pub id: MessageId,
    /// Who changes it.
    pub from: Person,
    pub alteration: Alteration,
    pub at: Timestamp,
}

/// What is to become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// Its author says it differently.
    Edit(String),
    /// Its author takes it back.
    Delete,
    /// Somebody puts this to it, or takes it away.
    React { emoji: Emoji, on: bool },
}

/// Why a change is not made; to try again does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such message in the room, or it is held no more, or was deleted.
    NotFound,
    /// It is another's.
    NotYours,
    /// It has as many reactions as a message takes.
    TooMany,
}

/// Why a change was not made.
#[derive(Debug)]
pub enum ChangeError {
    Refused(Refused),
    Store(StoreError),
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ChangeError> for StoreError {
    /// For what is no change, and so never refused.
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => error,
            ChangeError::Refused(refused) => Self::unavailable(refused.to_string()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such message here; it may have been deleted"),
            Self::NotYours => f.write_str("only its author may edit or delete a message"),
            Self::TooMany => write!(f, "a message takes at most {MOST_REACTIONS} reactions"),
        }
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChangeError {}

impl NewChange {
    /// The bytes of text in it.
    pub(super) fn text_bytes(&self) -> usize {
        if let Alteration::Edit(text) = &self.alteration { text.len() } else { 0 }
    }

    /// Makes the change of a message of this author's; gives its event, or none where the message says that already.
    pub(super) fn make(&self, author: &str, content: &mut Content) -> Result<Option<Change>, Refused> {
        let id = self.id.clone();
        let change = match &self.alteration {
            Alteration::Edit(_) | Alteration::Delete if author != self.from.id => return Err(Refused::NotYours),
            Alteration::Delete => Change::Delete { id },
            _ if content.deleted => return Err(Refused::NotFound),
            Alteration::Edit(text) => Change::Edit { id, text: text.clone(), at: self.at },
            Alteration::React { emoji, on } => {
                let new = *on && !content.has_reaction(emoji, &self.from.id);
                if new && content.reaction_count() >= MOST_REACTIONS {
                    return Err(Refused::TooMany);
                }
                Change::React { id, emoji: emoji.clone(), from: self.from.clone(), on: *on }
            }
        };
        Ok(content.apply(&change).then_some(change))
    }
}

/// An edit that was made at `at`, to be read now: with the text of today. Where the message has been deleted since, or is held no
/// more, it is deleted already.
pub(super) fn edit_as_it_is_now(id: MessageId, at: Timestamp, content: Option<&Content>) -> Change {
    match content {
        Some(content) if !content.deleted => Change::Edit { id, text: content.text.clone(), at: content.edited.unwrap_or(at) },
        _ => Change::Delete { id },
    }
}

/// What a database calls a change.
pub(super) fn kind_of(change: &Change) -> &'static str {
    match change {
        Change::Edit { .. } => "edit",
        Change::Delete { .. } => "delete",
        Change::React { on: true, .. } => "react",
        Change::React { on: false, .. } => "unreact",
    }
}

/// Of a reaction: what, and whose.
pub(super) fn reaction_of(change: &Change) -> Option<(&Emoji, &Person)> {
    if let Change::React { emoji, from, .. } = change { Some((emoji, from)) } else { None }
}

/// A change as a database has it.
pub(super) struct ChangeRow<'r> {
    pub(super) kind: &'r str,
    pub(super) id: MessageId,
    pub(super) at: Timestamp,
    /// What and whose, if it has them.
    pub(super) reaction: Option<(&'r str, Person)>,
    /// What the message says now, if it is held.
    pub(super) content: Option<Content>,
}

impl ChangeRow<'_> {
    /// The change as it is to be read now.
    pub(super) fn read(self) -> Result<Change, InvalidName> {
        let Self { kind, id, at, reaction, content } = self;
        match (kind, reaction) {
            ("edit", _) => Ok(edit_as_it_is_now(id, at, content.as_ref())),
            ("delete", _) => Ok(Change::Delete { id }),
            ("react" | "unreact", Some((emoji, from))) => {
                Ok(Change::React { id, emoji: emoji.parse()?, from, on: kind == "react" })
            }
            _ => Err(InvalidName("a change is an edit, a deletion or a reaction")),
        }
    }
}

/// Reactions as a database has them; none when there are none.
pub(super) fn reactions_to_json(reactions: &[Reaction]) -> Option<String> {
    let json = || serde_json::to_string(reactions).expect("reactions are JSON"); // never: strings alone
    (!reactions.is_empty()).then(json)
}

/// And back.
pub(super) fn reactions_from_json(json: Option<&str>) -> Result<Vec<Reaction>, serde_json::Error> {
    json.map_or_else(|| Ok(Vec::new()), serde_json::from_str)
}
