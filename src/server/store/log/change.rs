//! Changes of messages on their way in: what becomes of which message, the same for every store. Whether it may, a [`Rule`] says that
//! comes with the change, and is asked where nobody else changes the message.
//!
//! Of its reactions a message has what is shown of them. Who has put one stands in rows beside it ([`reactions`](super::reactions)), or in
//! memory as [`Unnamed`], and is read only where somebody puts one or takes one away, and where a reader has to be told which are their own.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{
    locales::problems as say,
    server::store::error::StoreError,
    wire::{
        Change, Content, Emoji, Group, InvalidName, MOST_KINDS, MOST_KINDS_OF_ONE, Message, MessageId, Person, REACTION_SAMPLE,
        Reaction, Timestamp,
    },
};

/// A change on its way in.
#[derive(Clone, Debug)]
pub struct NewChange {
    pub group: Group,
    pub change: Change,
    /// Who makes it, and when.
    pub from: Person,
    pub at: Timestamp,
    pub rule: Rule,
}

/// Whether a change may be made of the message as it is, to which its person has put so many kinds of emoji. Of the message the text may be
/// left out. It is not asked of what the message says already.
pub type Rule = fn(&NewChange, &Message, usize) -> Result<(), Refused>;

/// Why a change is not made; to try again does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is no such message in the room, or it is held no more, or was deleted.
    #[error("{}", say::no_message())]
    NotFound,
    /// It is another's, who alone may do that.
    #[error("{}", say::not_yours())]
    NotYours,
    /// It has as many kinds of emoji as a message takes.
    #[error("{}", say::too_many_kinds(MOST_KINDS))]
    TooManyKinds,
    /// The person has put as many to it as one may.
    #[error("{}", say::too_many_of_one(MOST_KINDS_OF_ONE))]
    TooManyOfOne,
}

/// Why a change was not made.
#[derive(Debug, Error)]
pub enum ChangeError {
    #[error("{0}")]
    Refused(Refused),
    #[error(transparent)]
    Store(#[from] StoreError),
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

impl NewChange {
    /// The bytes of text in it.
    pub(in crate::server::store) fn text_bytes(&self) -> usize {
        if let Change::Edit { text, .. } = &self.change { text.len() } else { 0 }
    }

    /// Makes the change of a message; gives its event, or none where the message says that already. For a reaction, `put` is what the person
    /// has put to the message.
    pub(in crate::server::store) fn make(&self, message: &mut Message, put: &[Emoji]) -> Result<Option<Change>, Refused> {
        if let Change::React { emoji, on, .. } = &self.change
            && !message.content.deleted
            && put.contains(emoji) == *on
        {
            return Ok(None);
        }
        (self.rule)(self, message, put.len())?;
        if message.content.deleted && !matches!(self.change, Change::Delete { .. }) {
            return Err(Refused::NotFound);
        }
        Ok(message.content.apply(&self.change).then(|| self.change.clone()))
    }
}

/// What is remembered of one of the unnamed.
const DIGEST: usize = 8;

/// Who has put a reaction to a message and is not named there: a digest of emoji and person for each. In memory these are all of them; in
/// a database those whom a version counted that had no rows for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::server::store) struct Unnamed(HashSet<[u8; DIGEST]>);

impl Unnamed {
    /// As a database has them.
    pub(in crate::server::store) fn read(digests: Option<&[u8]>) -> Self {
        Self(digests.unwrap_or_default().as_chunks().0.iter().copied().collect())
    }

    /// As a database has them; none when there are none.
    pub(in crate::server::store) fn to_bytes(&self) -> Option<Vec<u8>> {
        (!self.0.is_empty()).then(|| self.0.iter().flatten().copied().collect())
    }

    /// For how many there is room in memory.
    pub(in crate::server::store) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// What somebody is named for or has put among these, of a message's reactions.
    pub(in crate::server::store) fn put_by<'r>(
        &self,
        reactions: &'r [Reaction],
        person: &str,
    ) -> impl Iterator<Item = &'r Emoji> {
        let is_of =
            |reaction: &&Reaction| reaction.names(person) || (reaction.is_sampled() && self.has(&reaction.emoji, person));
        reactions.iter().filter(is_of).map(|reaction| &reaction.emoji)
    }

    fn has(&self, emoji: &Emoji, person: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&digest(emoji, person))
    }

    /// Keeps level with a change that the message has just made.
    pub(in crate::server::store) fn follow(&mut self, content: &Content, change: &Change) {
        match change {
            Change::React { emoji, from, on: true, .. } => {
                if content.reaction(emoji).is_some_and(|reaction| !reaction.names(&from.id)) {
                    self.0.insert(digest(emoji, &from.id));
                }
            }
            change => self.lose(change),
        }
    }

    /// The same where further ones have rows.
    pub(in crate::server::store) fn lose(&mut self, change: &Change) {
        match change {
            Change::Edit { .. } | Change::React { on: true, .. } => {}
            Change::Delete { .. } => self.0 = HashSet::new(),
            Change::React { emoji, from, on: false, .. } => {
                if !self.0.is_empty() && self.0.remove(&digest(emoji, &from.id)) && self.0.len() < self.0.capacity() / 4 {
                    self.0.shrink_to_fit();
                }
            }
        }
    }
}

/// What a database has of a message's reactions: JSON, with no more people than are shown. Before there were rows it named everybody.
pub(in crate::server::store) fn reactions_from_json(json: Option<&str>) -> Result<Vec<Reaction>, serde_json::Error> {
    let mut reactions: Vec<Reaction> = json.map_or_else(|| Ok(Vec::new()), serde_json::from_str)?;
    for Reaction { from, .. } in &mut reactions {
        from.truncate(REACTION_SAMPLE);
    }
    Ok(reactions)
}

fn digest(emoji: &Emoji, person: &str) -> [u8; DIGEST] {
    // No emoji has a U+0000.
    let whole = Sha256::new().chain_update(emoji.as_str()).chain_update([0]).chain_update(person).finalize();
    std::array::from_fn(|at| whole[at])
}

/// An edit that was made at `at`, to be read now: with the text of today. Where the message has been deleted since, or is held no
/// more, it is deleted already.
pub(in crate::server::store) fn edit_as_it_is_now(id: MessageId, at: Timestamp, content: Option<&Content>) -> Change {
    match content {
        Some(content) if !content.deleted => Change::Edit { id, text: content.text.clone(), at: content.edited.unwrap_or(at) },
        _ => Change::Delete { id },
    }
}

/// What a database calls a change.
pub(in crate::server::store) fn kind_of(change: &Change) -> &'static str {
    match change {
        Change::Edit { .. } => "edit",
        Change::Delete { .. } => "delete",
        Change::React { on: true, .. } => "react",
        Change::React { on: false, .. } => "unreact",
    }
}

/// Of a reaction: what, and whose.
pub(in crate::server::store) fn reaction_of(change: &Change) -> Option<(&Emoji, &Person)> {
    if let Change::React { emoji, from, .. } = change { Some((emoji, from)) } else { None }
}

/// A change as a database has it.
pub(in crate::server::store) struct ChangeRow<'r> {
    pub(in crate::server::store) kind: &'r str,
    pub(in crate::server::store) id: MessageId,
    pub(in crate::server::store) at: Timestamp,
    /// What and whose, if it has them.
    pub(in crate::server::store) reaction: Option<(&'r str, Person)>,
    /// What the message says now, if it is held.
    pub(in crate::server::store) content: Option<Content>,
}

impl ChangeRow<'_> {
    /// The change as it is to be read now.
    pub(in crate::server::store) fn read(self) -> Result<Change, InvalidName> {
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
pub(in crate::server::store) fn reactions_to_json(reactions: &[Reaction]) -> Option<String> {
    let json = || serde_json::to_string(reactions).expect("reactions are JSON"); // never: strings alone
    (!reactions.is_empty()).then(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn react(emoji: &str, who: &str, on: bool) -> NewChange {
        let from = Person::new(who, who.to_uppercase());
        let (id, emoji) = ("e-1".parse().expect("an id"), emoji.parse().expect("an emoji"));
        NewChange {
            group: "lobby".parse().expect("a name"),
            change: Change::React { id, emoji, from: from.clone(), on },
            from,
            at: Timestamp::from_millis(0),
            rule: |_, _, _| Ok(()),
        }
    }

    /// Of Ann's.
    fn message(content: &Content) -> Message {
        let from = Person::new("ann", "Ann");
        let (key, at) = ("k".parse().expect("a key"), Timestamp::from_millis(0));
        Message { id: "e-1".to_owned(), key, from, content: content.clone(), at }
    }

    /// As a message in memory does it: whether it was new.
    fn make(content: &mut Content, unnamed: &mut Unnamed, change: &NewChange) -> bool {
        let mut message = message(content);
        let put: Vec<_> = unnamed.put_by(&content.reactions, &change.from.id).cloned().collect();
        let made = change.make(&mut message, &put).expect("allowed");
        *content = message.content;
        made.inspect(|change| unnamed.follow(content, change)).is_some()
    }

    #[test]
    fn everybody_is_known_of_a_crowd() {
        let (mut content, mut unnamed) = (Content::new("vote"), Unnamed::default());
        let person = |number: usize| format!("p{number}");
        for number in 0..3_000 {
            assert!(make(&mut content, &mut unnamed, &react("+1", &person(number), true)));
        }
        for number in (0..3_000).rev() {
            assert!(!make(&mut content, &mut unnamed, &react("+1", &person(number), true)), "{number} has put it");
        }
        assert!(!make(&mut content, &mut unnamed, &react("+1", "nobody", false)));
        assert_eq!((content.reactions[0].count, content.reactions[0].from.len()), (3_000, REACTION_SAMPLE));
        // As a database has it, and back.
        let json = reactions_to_json(&content.reactions);
        assert_eq!(reactions_from_json(json.as_deref()).expect("as it was written"), content.reactions);
        assert_eq!(Unnamed::read(unnamed.to_bytes().as_deref()), unnamed);
        for number in 0..3_000 {
            assert!(make(&mut content, &mut unnamed, &react("+1", &person(number), false)));
            assert!(!make(&mut content, &mut unnamed, &react("+1", &person(number), false)));
        }
        assert_eq!((content, unnamed), (Content::new("vote"), Unnamed::default()));
    }

    #[test]
    fn the_rule_is_asked_of_what_would_change_something() {
        fn rule(change: &NewChange, message: &Message, put: usize) -> Result<(), Refused> {
            assert_eq!((change.from.id.as_str(), message.from.id.as_str()), ("bob", "ann"));
            if put == 2 { Err(Refused::TooManyOfOne) } else { Ok(()) }
        }
        let mut ann = message(&Content::new("hello"));
        let mut has = Vec::new();
        for (emoji, expected) in [("a", Ok(true)), ("b", Ok(true)), ("c", Err(Refused::TooManyOfOne)), ("b", Ok(false))] {
            let change = NewChange { rule, ..react(emoji, "bob", true) };
            let made = change.make(&mut ann, &has).map(|made| made.is_some());
            assert_eq!(made, expected, "{emoji}");
            if made == Ok(true) {
                has.push(emoji.parse().expect("an emoji"));
            }
        }
        assert_eq!(ann.content.reactions.len(), 2);
    }

    #[test]
    fn a_message_from_before_names_everybody_and_is_shown_with_some() {
        let people: Vec<_> = (10..60).map(|n| format!(r#"{{"id":"p{n}","name":"P{n}"}}"#)).collect();
        let json = format!(r#"[{{"emoji":"+1","from":[{}]}}]"#, people.join(","));
        let reactions = reactions_from_json(Some(&json)).expect("it is read");
        assert_eq!((reactions[0].count, reactions[0].from.len()), (50, REACTION_SAMPLE));
    }
}
