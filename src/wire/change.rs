//! What becomes of a message after it was said.
//!
//! A [`Change`] is an event of the room's stream with an offset of its own. A message carries its present [`Content`], the stream
//! carries the changes, and [`Content::apply`] is the one place that says what a change does: to the row of a store as to the row
//! of a page. A content says up to which change it was [followed](Content::follow), so who reads a message and then hears of
//! changes that are in it already ends up with the same content.
//!
//! Of those who have put one emoji a content has the number and a sample. The sample follows from the changes alone: who comes
//! takes a free place in it, and who goes leaves one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Emoji, MessageId, Offset, Person, Timestamp, cut};

/// How many kinds of emoji a message takes, of all people together.
pub const MOST_KINDS: usize = 20;
/// How many of them one person puts, so that nobody alone takes the room of the others.
pub const MOST_KINDS_OF_ONE: usize = 10;
/// How many of the people who have put one emoji are named.
pub const REACTION_SAMPLE: usize = 20;

/// What the reader has put to messages. It is the reader's own, so it stands beside the messages, never in what others get too.
pub type Mine = BTreeMap<MessageId, Vec<Emoji>>;

/// Something that was done to a message of the same room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "FlatChange")]
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

/// A change as it is read: what serde derives to read by a tag is several times as large, and the browser loads it.
#[derive(Deserialize)]
struct FlatChange {
    r#type: Kind,
    id: MessageId,
    text: Option<String>,
    at: Option<Timestamp>,
    emoji: Option<Emoji>,
    from: Option<Person>,
    on: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Edit,
    Delete,
    React,
}

impl TryFrom<FlatChange> for Change {
    type Error = &'static str;

    fn try_from(FlatChange { r#type, id, text, at, emoji, from, on }: FlatChange) -> Result<Self, &'static str> {
        match (r#type, text, at, emoji, from, on) {
            (Kind::Edit, Some(text), Some(at), ..) => Ok(Self::Edit { id, text, at }),
            (Kind::Delete, ..) => Ok(Self::Delete { id }),
            (Kind::React, .., Some(emoji), Some(from), Some(on)) => Ok(Self::React { id, emoji, from, on }),
            (Kind::Edit, ..) => Err("an edit has `text` and `at`"),
            (Kind::React, ..) => Err("a reaction has `emoji`, `from` and `on`"),
        }
    }
}

impl Change {
    /// The types of the events that are changes.
    pub(super) const TYPES: [&str; 3] = ["edit", "delete", "react"];

    /// The message that it is about.
    pub fn id(&self) -> &MessageId {
        match self {
            Self::Edit { id, .. } | Self::Delete { id } | Self::React { id, .. } => id,
        }
    }
}

/// How many people have put one emoji to a message, and some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[serde(from = "AnyReaction")]
pub struct Reaction {
    pub emoji: Emoji,
    /// At least one.
    #[cfg_attr(feature = "ssr", schema(minimum = 1))]
    pub count: u64,
    /// Some of them, sorted by id. The order says nothing.
    #[cfg_attr(feature = "ssr", schema(max_items = 20))]
    pub from: Vec<Person>,
}

/// A reaction as it may come: before there was a count everybody was named.
#[derive(Deserialize)]
struct AnyReaction {
    emoji: Emoji,
    count: Option<u64>,
    from: Vec<Person>,
}

impl From<AnyReaction> for Reaction {
    fn from(AnyReaction { emoji, count, from }: AnyReaction) -> Self {
        let named = from.len() as u64;
        Self { emoji, count: count.map_or(named, |count| count.max(named)), from }
    }
}

impl Reaction {
    /// Whether there are more people than are named.
    pub fn is_sampled(&self) -> bool {
        self.count > self.from.len() as u64
    }

    /// Whether this person is one of the sample.
    pub fn names(&self, person: &str) -> bool {
        self.from.binary_search_by(|from| from.id.as_str().cmp(person)).is_ok()
    }
}

/// What a message says now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Content {
    /// Empty when it was deleted.
    pub text: String,
    /// When its author said it differently, the last time.
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Timestamp>,
    /// Its author has taken it back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// Sorted by emoji.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// The last change that is in it, with all that were before.
    #[cfg_attr(feature = "ssr", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Offset>,
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

    /// What people have put of this emoji, if somebody has.
    pub fn reaction(&self, emoji: &Emoji) -> Option<&Reaction> {
        self.reactions.iter().find(|reaction| reaction.emoji == *emoji)
    }

    /// Does to it what the change at this place of the stream says, unless that is in it already.
    pub fn follow(&mut self, at: Offset, change: &Change) {
        if self.changed.is_none_or(|changed| changed < at) {
            self.apply(change);
            // Of several edits that were missed each has the last one's text, which may be the one that is here.
            if let Change::Edit { at: edited, .. } = change
                && !self.deleted
            {
                self.edited = Some(*edited);
            }
            self.changed = Some(at);
        }
    }

    /// Does to it what a change says that is not in it; false where that is what it says already. Whether somebody has put an emoji is
    /// known of the sample alone: of others the caller has to know it.
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
            Change::React { emoji, from, on: true, .. } => self.put(emoji, from),
            Change::React { emoji, from, on: false, .. } => self.take_away(emoji, &from.id),
        }
    }

    fn put(&mut self, emoji: &Emoji, person: &Person) -> bool {
        let at = self.reactions.binary_search_by(|reaction| reaction.emoji.cmp(emoji)).unwrap_or_else(|at| {
            self.reactions.insert(at, Reaction { emoji: emoji.clone(), count: 0, from: Vec::new() });
            at
        });
        let Reaction { count, from, .. } = &mut self.reactions[at];
        let Err(place) = from.binary_search_by(|from| from.id.cmp(&person.id)) else { return false };
        *count += 1;
        if from.len() < REACTION_SAMPLE {
            from.insert(place, person.clone());
        }
        true
    }

    fn take_away(&mut self, emoji: &Emoji, person: &str) -> bool {
        let Ok(at) = self.reactions.binary_search_by(|reaction| reaction.emoji.cmp(emoji)) else { return false };
        let Reaction { count, from, .. } = &mut self.reactions[at];
        match from.binary_search_by(|from| from.id.as_str().cmp(person)) {
            Ok(place) => drop(from.remove(place)),
            Err(_) if *count > from.len() as u64 => {}
            Err(_) => return false,
        }
        // At least one: the sample never has more.
        *count -= 1;
        if *count == 0 {
            self.reactions.remove(at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        let from = Person::new(who, who.to_uppercase());
        Change::React { id: id(), emoji: emoji.parse().unwrap(), from, on }
    }

    fn after(changes: &[Change]) -> Content {
        let mut content = Content::new("hello");
        for (at, change) in (2..).map(Offset).zip(changes) {
            content.follow(at, change);
        }
        content
    }

    #[test]
    fn reactions_are_there_once_a_person_and_in_one_order() {
        let content = after(&[react("👍", "bob", true), react("🎉", "bob", true), react("👍", "ann", true)]);
        let shown: Vec<_> = content.reactions.iter().map(|one| (one.emoji.as_str(), one.count, one.from.len())).collect();
        assert_eq!(shown, [("🎉", 1, 1), ("👍", 2, 2)]);
        assert_eq!(content.reactions[1].from[0].id, "ann");
        let mut content = content;
        assert!(!content.apply(&react("👍", "ann", true)), "once a person");
        assert!(content.apply(&react("🎉", "bob", false)) && !content.apply(&react("🎉", "bob", false)));
        assert_eq!(content.reactions.len(), 1, "nobody's reaction is none");
    }

    #[test]
    fn of_many_people_some_are_named_and_all_are_counted() {
        let people: Vec<String> = (0..25).map(|number| format!("p{number:02}")).collect();
        let all: Vec<_> = people.iter().map(|person| react("👍", person, true)).collect();
        let named = |content: &Content| {
            let reaction = &content.reactions[0];
            (reaction.count, reaction.from.iter().map(|from| from.id.clone()).collect::<Vec<_>>())
        };
        let mut content = after(&all);
        assert_eq!(named(&content), (25, people[..20].to_vec()));
        // Somebody who is not named takes it away, and somebody who is.
        assert!(content.apply(&react("👍", "p24", false)) && content.apply(&react("👍", "p00", false)));
        assert_eq!(named(&content), (23, people[1..20].to_vec()));
        // Who comes takes the free place.
        assert!(content.apply(&react("👍", "new", true)) && content.apply(&react("👍", "newer", true)));
        assert_eq!(named(&content), (25, [&["new".to_owned()], &people[1..20]].concat()));
    }

    #[test]
    fn a_reaction_from_before_there_was_a_count_counts_everybody() {
        let person = |id: &str| Person::new(id, id.to_uppercase());
        let old = r#"{"emoji":"👍","from":[{"id":"ann","name":"ANN"},{"id":"bob","name":"BOB"}]}"#;
        let reaction: Reaction = serde_json::from_str(old).unwrap();
        assert_eq!(reaction, Reaction { emoji: "👍".parse().unwrap(), count: 2, from: vec![person("ann"), person("bob")] });
        let new = r#"{"emoji":"👍","count":2,"from":[{"id":"ann","name":"ANN"},{"id":"bob","name":"BOB"}]}"#;
        assert_eq!(serde_json::to_string(&reaction).unwrap(), new);
    }

    #[test]
    fn edits_that_lead_back_to_the_same_text_are_the_later_ones() {
        let mut content = after(&[edit("tea", 1)]);
        // "coffee" at 2 and "tea" at 3 were missed, and are told as they are now.
        content.follow(Offset(3), &edit("tea", 3));
        content.follow(Offset(4), &edit("tea", 3));
        assert_eq!(content, after(&[edit("tea", 1), edit("coffee", 2), edit("tea", 3)]));
    }

    #[test]
    fn what_is_deleted_stays_so_and_says_nothing() {
        let content = after(&[edit("hi", 1), react("👍", "ann", true), Change::Delete { id: id() }, edit("back", 2)]);
        assert_eq!(content, Content { deleted: true, changed: Some(Offset(5)), ..Content::default() });
    }

    /// As a store has them: nothing among them that changes nothing.
    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let one = prop_oneof![
            4 => (prop::sample::select(vec!["a", "b", "c"]), 1_i64..5).prop_map(|(text, at)| edit(text, at)),
            40 => (prop::sample::select(vec!["👍", "🎉"]), 0..30_u8, prop::bool::weighted(0.7))
                .prop_map(|(emoji, who, on)| react(emoji, &format!("p{who}"), on)),
            1 => Just(Change::Delete { id: id() }),
        ];
        prop::collection::vec(one, 0..80).prop_map(|all| {
            let mut put = std::collections::HashSet::new();
            let mut content = Content::new("hello");
            let news = all.into_iter().filter(|change| match change {
                Change::React { emoji, from, on, .. } if !content.deleted => {
                    let one = (emoji.clone(), from.id.clone());
                    let new = if *on { put.insert(one) } else { put.remove(&one) };
                    new && content.apply(change)
                }
                change => content.apply(change),
            });
            news.collect()
        })
    }

    proptest! {
        /// Who reads the message in the midst of it, and hears of some changes once more, says the same in the end.
        #[test]
        fn hearing_of_a_change_again_changes_nothing(changes in changes(), read in 0_usize..80, from in 0_usize..80) {
            let read = read.min(changes.len());
            let mut content = after(&changes[..read]);
            for (at, change) in (2..).map(Offset).zip(&changes).skip(from.min(read)) {
                content.follow(at, change);
            }
            prop_assert_eq!(content, after(&changes));
        }
    }
}
