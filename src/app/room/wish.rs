//! What we want done to messages, and has not come back as an event yet.
//!
//! A wish shows at once: the page makes its change of what the row shows, not of the row. Refused, it is forgotten and nothing has
//! happened; granted, it stands until the page has the event that it became, which makes the change for good.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::state::put_or_take;
use crate::wire::{Change, Content, Emoji, MessageId, Offset, Person, Position, Timestamp};

/// Something that we want done to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub message: MessageId,
    pub what: What,
}

/// What we want done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Say it differently.
    Edit(String),
    /// Take it back.
    Delete,
    /// Put a reaction to it, or take ours away.
    React { emoji: Emoji, on: bool },
}

/// The wishes of a page that are not events yet, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes(Vec<Open>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    /// What the page calls it.
    number: u64,
    /// What it will be, as far as we know.
    change: Change,
    /// Where it stands in the stream, once it was granted.
    granted: Option<Offset>,
}

impl Wishes {
    pub(super) fn add(&mut self, number: u64, Wish { message: id, what }: Wish, from: Person, at: Timestamp) {
        let change = match what {
            What::Edit(text) => Change::Edit { id, text, at },
            What::Delete => Change::Delete { id },
            What::React { emoji, on } => Change::React { id, emoji, from, on },
        };
        self.0.push(Open { number, change, granted: None });
    }

    pub(super) fn granted(&mut self, number: u64, offset: Offset) {
        if let Some(open) = self.0.iter_mut().find(|open| open.number == number) {
            open.granted = Some(offset);
        }
    }

    /// Forgets a wish, and says which message it was about.
    pub(super) fn denied(&mut self, number: u64) -> Option<MessageId> {
        let at = self.0.iter().position(|open| open.number == number)?;
        Some(self.0.remove(at).change.id().clone())
    }

    /// The page has every event up to here; those of another stream it will never have. Forgets the wishes that have become events and says
    /// which messages they were about.
    pub(super) fn settle(&mut self, Position { epoch, offset }: &Position) -> Vec<MessageId> {
        let is_done = |open: &mut Open| open.granted.is_some_and(|at| at <= *offset || open.change.id().epoch != *epoch);
        self.0.extract_if(.., is_done).map(|open| open.change.id().clone()).collect()
    }

    /// Nothing is wanted of any message.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anything is wanted of a message.
    pub(super) fn concern(&self, id: &MessageId) -> bool {
        self.0.iter().any(|open| open.change.id() == id)
    }

    /// Whether a message is wanted gone.
    pub(super) fn delete(&self, id: &MessageId) -> bool {
        self.0.iter().any(|open| matches!(&open.change, Change::Delete { id: gone } if gone == id))
    }

    /// What a message says when all that is wanted of it is done, and what of its reactions is ours then.
    pub(super) fn upon<'a>(
        &self,
        id: &MessageId,
        content: &'a Content,
        mine: &'a [Emoji],
    ) -> (Cow<'a, Content>, Cow<'a, [Emoji]>) {
        let (mut content, mut mine) = (Cow::Borrowed(content), Cow::Borrowed(mine));
        for open in self.0.iter().filter(|open| open.change.id() == id) {
            match &open.change {
                // What we have put is not put once more; the content does not know it of all who have.
                Change::React { emoji, on, .. } if mine.contains(emoji) == *on => {}
                Change::React { emoji, on, .. } => {
                    if content.to_mut().apply(&open.change) {
                        put_or_take(mine.to_mut(), emoji, *on);
                    }
                }
                Change::Delete { .. } => {
                    content.to_mut().apply(&open.change);
                    mine = Cow::Owned(Vec::new());
                }
                Change::Edit { .. } => {
                    content.to_mut().apply(&open.change);
                }
            }
        }
        (content, mine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(epoch: &str, offset: u64) -> MessageId {
        MessageId { epoch: epoch.parse().expect("an epoch"), offset: Offset(offset) }
    }

    fn me() -> Person {
        Person { id: "me".to_owned(), name: "Me".to_owned() }
    }

    fn wishes(whats: impl IntoIterator<Item = What>) -> Wishes {
        let mut wishes = Wishes::default();
        for (number, what) in (0..).zip(whats) {
            wishes.add(number, Wish { message: id("e", 1), what }, me(), Timestamp::from_millis(5));
        }
        wishes
    }

    fn text(wishes: &Wishes) -> String {
        wishes.upon(&id("e", 1), &Content::new("old"), &[]).0.text.clone()
    }

    fn settle(wishes: &mut Wishes, epoch: &str, offset: u64) {
        wishes.settle(&Position { epoch: epoch.parse().expect("an epoch"), offset: Offset(offset) });
    }

    #[test]
    fn what_is_wanted_shows_in_its_order_and_with_its_message_alone() {
        let wishes = wishes([What::Edit("one".to_owned()), What::Edit("two".to_owned())]);
        assert_eq!(text(&wishes), "two");
        let other = Content::new("other");
        assert!(matches!(wishes.upon(&id("e", 2), &other, &[]).0, Cow::Borrowed(_)));
        assert!(wishes.concern(&id("e", 1)) && !wishes.concern(&id("e", 2)));
    }

    #[test]
    fn a_reaction_that_is_wanted_is_one_of_many() {
        let person = |number: u64| Person { id: format!("p{number}"), name: "P".to_owned() };
        let emoji: Emoji = "+1".parse().expect("an emoji");
        let from = (0..20).map(person).collect();
        let reactions = vec![crate::wire::Reaction { emoji: emoji.clone(), count: 30, from }];
        let crowd = Content { reactions, ..Content::new("vote") };
        let shown = |wishes: &Wishes, mine: &[Emoji]| {
            let (content, mine) = wishes.upon(&id("e", 1), &crowd, mine);
            (content.reactions[0].count, !mine.is_empty())
        };
        let [on, off] = [true, false].map(|on| What::React { emoji: emoji.clone(), on });
        let put = [emoji.clone()];
        assert_eq!(shown(&wishes([on.clone()]), &[]), (31, true));
        assert_eq!(shown(&wishes([on.clone()]), &put), (30, true), "we are one of those who are not named");
        assert_eq!(shown(&wishes([off.clone()]), &put), (29, false));
        assert_eq!(shown(&wishes([off.clone()]), &[]), (30, false));
        assert_eq!(shown(&wishes([on, off]), &[]), (30, false));
    }

    #[test]
    fn what_is_refused_has_not_happened() {
        let mut wishes = wishes([What::Edit("one".to_owned()), What::Delete]);
        assert!(wishes.delete(&id("e", 1)) && !wishes.delete(&id("e", 2)));
        wishes.denied(1);
        assert_eq!(text(&wishes), "one");
        assert!(!wishes.delete(&id("e", 1)));
        wishes.denied(0);
        assert_eq!(text(&wishes), "old");
    }

    #[test]
    fn what_is_granted_shows_until_the_page_has_its_event() {
        let mut wishes = wishes([What::Edit("one".to_owned()), What::Edit("two".to_owned())]);
        settle(&mut wishes, "e", 9);
        assert_eq!(text(&wishes), "two", "neither is answered");
        wishes.granted(0, Offset(10));
        wishes.granted(1, Offset(12));
        settle(&mut wishes, "e", 9);
        assert_eq!(text(&wishes), "two");
        settle(&mut wishes, "e", 11);
        assert_eq!(wishes.0.len(), 1);
        settle(&mut wishes, "e", 12);
        assert_eq!(text(&wishes), "old", "which the row itself says no more");
    }

    #[test]
    fn nothing_is_waited_for_that_another_stream_was_to_bring() {
        let mut wishes = wishes([What::Delete]);
        wishes.granted(0, Offset(10));
        settle(&mut wishes, "f", 3);
        assert_eq!(wishes, Wishes::default());
    }
}
