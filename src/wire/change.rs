//! What becomes of a message after it was said.
//!
//! A [`Change`] is an event of the room's stream with an offset of its own. A message carries its present [`Content`], the stream
//! carries the changes, and [`Content::apply`] is the one place that says what a change does: to the row of a store as to the row
//! of a page. Who reads a message and then hears of changes that are in it already ends up with the same content: the last one of
//! a kind counts, and nothing comes back that was deleted.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{InvalidName, MessageId, Person, Timestamp, cut};

/// How many reactions a message takes, of all people together.
pub const MOST_REACTIONS: usize = 100;

/// What somebody puts to a message: an emoji, or a short word. At most 32 bytes of UTF-8 without white space and control
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Emoji(Arc<str>);

impl Emoji {
    const LONGEST: usize = 32;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Emoji {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let fits = (1..=Self::LONGEST).contains(&text.len());
        if fits && !text.chars().any(|char| char.is_whitespace() || char.is_control()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName("a reaction is an emoji or a word of 1 to 32 bytes without spaces"))
        }
    }
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Emoji {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Emoji {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Something that was done to a message of the same room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Change {
    /// Its author has said it differently.
    Edit {
        id: MessageId,
        text: String,
        /// When the server accepted it.
        at: Timestamp,
    },
    /// Its author has taken it back: text and reactions are gone, its place is not.
    Delete { id: MessageId },
    /// Somebody has put a reaction to it (`on`), or taken it away.
    React { id: MessageId, emoji: Emoji, from: Person, on: bool },
}

impl Change {
    /// The message that it is about.
    pub fn id(&self) -> &MessageId {
        match self {
            Self::Edit { id, .. } | Self::Delete { id } | Self::React { id, .. } => id,
        }
    }
}

/// Who has put one emoji to a message, sorted by id. The order says nothing, so that it is the same whatever somebody has heard once
/// more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    pub emoji: Emoji,
    /// At least one.
    pub from: Vec<Person>,
}

/// What a message says now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Empty when it was deleted.
    pub text: String,
    /// When its author said it differently, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Timestamp>,
    /// Its author has taken it back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// Sorted by emoji.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(is: &bool) -> bool {
    !is
}

/// How much of a text stands for the whole of it, in code points.
const BEGINNING: usize = 200;

/// What of a text is shown where it stands for its message, as in the list of rooms.
pub fn beginning(text: &str) -> String {
    cut(text, BEGINNING).map_or_else(|| text.to_owned(), |beginning| format!("{beginning}…"))
}

impl Content {
    /// What was just said.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// How many reactions there are, of all people.
    pub fn reaction_count(&self) -> usize {
        self.reactions.iter().map(|reaction| reaction.from.len()).sum()
    }

    /// Whether a person has put this emoji.
    pub fn has_reaction(&self, emoji: &Emoji, person: &str) -> bool {
        let reaction = self.reactions.iter().find(|reaction| reaction.emoji == *emoji);
        reaction.is_some_and(|reaction| reaction.from.iter().any(|from| from.id == person))
    }

    /// Does to it what the change says; false where that is what it says already.
    pub fn apply(&mut self, change: &Change) -> bool {
        match change {
            _ if self.deleted => false,
            Change::Edit { text, at, .. } => {
                let new = self.text != *text;
                if new {
                    self.text.clone_from(text);
                    self.edited = Some(*at);
                }
                new
            }
            Change::Delete { .. } => {
                *self = Self { deleted: true, ..Self::default() };
                true
            }
            Change::React { emoji, from, on, .. } => {
                let new = self.has_reaction(emoji, &from.id) != *on;
                if new && *on {
                    self.put(emoji, from);
                } else if new {
                    self.take_away(emoji, &from.id);
                }
                new
            }
        }
    }

    fn put(&mut self, emoji: &Emoji, person: &Person) {
        let at = self.reactions.binary_search_by(|reaction| reaction.emoji.cmp(emoji)).unwrap_or_else(|at| {
            self.reactions.insert(at, Reaction { emoji: emoji.clone(), from: Vec::new() });
            at
        });
        let people = &mut self.reactions[at].from;
        if let Err(place) = people.binary_search_by(|from| from.id.cmp(&person.id)) {
            people.insert(place, person.clone());
        }
    }

    fn take_away(&mut self, emoji: &Emoji, person: &str) {
        for reaction in self.reactions.iter_mut().filter(|reaction| reaction.emoji == *emoji) {
            reaction.from.retain(|from| from.id != person);
        }
        self.reactions.retain(|reaction| !reaction.from.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Offset;

    #[test]
    fn of_a_long_text_the_beginning_is_shown() {
        assert_eq!(beginning(&"ü".repeat(BEGINNING)), "ü".repeat(BEGINNING));
        assert_eq!(beginning(&"ü".repeat(BEGINNING + 1)), "ü".repeat(BEGINNING) + "…");
    }

    fn id() -> MessageId {
        MessageId { epoch: "e".parse().unwrap(), offset: Offset(1) }
    }

    fn edit(text: &str, at: i64) -> Change {
        Change::Edit { id: id(), text: text.to_owned(), at: Timestamp::from_millis(at) }
    }

    fn react(emoji: &str, who: &str, on: bool) -> Change {
        let from = Person { id: who.to_owned(), name: who.to_uppercase() };
        Change::React { id: id(), emoji: emoji.parse().unwrap(), from, on }
    }

    fn after(changes: &[Change]) -> Content {
        let mut content = Content::new("hello");
        for change in changes {
            content.apply(change);
        }
        content
    }

    #[test]
    fn reactions_are_there_once_a_person_and_in_one_order() {
        let content = after(&[react("👍", "bob", true), react("🎉", "bob", true), react("👍", "ann", true)]);
        let shown: Vec<_> = content.reactions.iter().map(|one| (one.emoji.as_str(), one.from.len())).collect();
        assert_eq!((shown, content.reaction_count()), (vec![("🎉", 1), ("👍", 2)], 3));
        assert_eq!(content.reactions[1].from[0].id, "ann");
        let mut content = content;
        assert!(!content.apply(&react("👍", "ann", true)), "once a person");
        assert!(content.apply(&react("🎉", "bob", false)) && !content.apply(&react("🎉", "bob", false)));
        assert_eq!(content.reactions.len(), 1, "nobody's reaction is none");
    }

    #[test]
    fn what_is_deleted_stays_so_and_says_nothing() {
        let content = after(&[edit("hi", 1), react("👍", "ann", true), Change::Delete { id: id() }, edit("back", 2)]);
        assert_eq!(content, Content { deleted: true, ..Content::default() });
    }

    #[test]
    fn what_makes_no_reaction_is_refused() {
        for text in ["", " ", "a b", "a\n", "\u{7}", &"x".repeat(33)] {
            assert!(text.parse::<Emoji>().is_err(), "{text:?}");
        }
        for text in ["👍", "👩‍👩‍👧‍👦", "+1", "好", &"x".repeat(32)] {
            assert!(text.parse::<Emoji>().is_ok(), "{text:?}");
        }
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let people = || prop::sample::select(vec!["ann", "bob"]);
        let one = prop_oneof![
            4 => (prop::sample::select(vec!["a", "b", "c"]), 1_i64..5).prop_map(|(text, at)| edit(text, at)),
            8 => (prop::sample::select(vec!["👍", "🎉"]), people(), any::<bool>())
                .prop_map(|(emoji, who, on)| react(emoji, who, on)),
            1 => Just(Change::Delete { id: id() }),
        ];
        prop::collection::vec(one, 0..12)
    }

    proptest! {
        /// Who reads the message in the midst of it, and hears of some changes once more, says the same in the end.
        #[test]
        fn hearing_of_a_change_again_changes_nothing(changes in changes(), read in 0_usize..12, from in 0_usize..12) {
            let read = read.min(changes.len());
            let mut content = after(&changes[..read]);
            for change in &changes[from.min(read)..] {
                content.apply(change);
            }
            let straight = after(&changes);
            prop_assert_eq!((&content.text, content.deleted), (&straight.text, straight.deleted));
            prop_assert_eq!(content.reactions, straight.reactions);
        }
    }
}
