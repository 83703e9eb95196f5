//! From where on a room is held, and how far that moves at once: the same for both databases.
//!
//! What is [kept](Kept) is counted once. Then the [`Beginning`] moves there part by part, each part a transaction of a bounded size.

use super::entry::Bounds;
use crate::wire::{Offset, Timestamp};

/// So many messages, and so many changes, are dropped at once. Those of a room may lie on a page each, and commits wait for it.
pub(in crate::server::store) const DROPPED_AT_ONCE: usize = 200;

/// From where on a room is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server::store) struct Beginning {
    /// Its messages.
    pub(in crate::server::store) first: Offset,
    /// Its changes, and so all of its stream; never before its messages.
    pub(in crate::server::store) replayable: Offset,
}

/// What is to be held of a room; what is counted is an offset.
#[derive(Clone, Copy, Debug)]
pub(in crate::server::store) struct Kept {
    /// The messages from here on, unless they are too old.
    pub(in crate::server::store) messages: Offset,
    /// Messages that are not older.
    pub(in crate::server::store) since: Option<Timestamp>,
    /// The changes from here on.
    pub(in crate::server::store) changes: Offset,
}

impl Beginning {
    /// The bound on messages, where the stream is long enough that there may be more: only then they have to be counted.
    pub(in crate::server::store) fn messages_to_count(self, bounds: Bounds, head: Offset) -> Option<u64> {
        bounds.messages.filter(|most| head.0 >= self.first.0.saturating_add(*most))
    }

    /// The same for changes.
    pub(in crate::server::store) fn changes_to_count(self, bounds: Bounds, head: Offset) -> Option<u64> {
        bounds.changes.filter(|most| head.0 >= self.replayable.0.saturating_add(*most))
    }

    /// Whether the oldest messages have to be looked at to know which of them go.
    pub(in crate::server::store) fn may_drop_messages(self, kept: &Kept) -> bool {
        kept.since.is_some() || kept.messages > self.first
    }

    /// Where it moves with the messages that are dropped at once. `oldest` are the room's oldest messages, one more than are dropped at
    /// once, and when they were said; `head` is the end of the stream.
    pub(in crate::server::store) fn goal(self, kept: &Kept, oldest: &[(Offset, Timestamp)], head: Offset) -> Self {
        let over = |(offset, at): &&(Offset, Timestamp)| *offset < kept.messages || kept.since.is_some_and(|since| *at < since);
        let dropped = oldest.iter().take(DROPPED_AT_ONCE).take_while(over).count();
        let next = || oldest.get(dropped).map_or(head.next(), |(offset, _)| *offset);
        let first = if dropped > 0 { self.first.max(next()) } else { self.first };
        Self { first, replayable: self.replayable.max(kept.changes).max(first) }
    }

    /// The next part of the way to the goal. `last` is the last of the changes that are dropped at once, where there are as many.
    pub(in crate::server::store) fn towards(self, goal: Self, last: Option<Offset>) -> Self {
        match last.map(Offset::next) {
            // The messages wait until the changes between them are few.
            Some(replayable) if replayable < goal.replayable => Self { first: self.first, replayable },
            _ => goal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(first: u64, replayable: u64) -> Beginning {
        Beginning { first: Offset(first), replayable: Offset(replayable) }
    }

    fn kept(messages: u64, since: Option<i64>, changes: u64) -> Kept {
        Kept { messages: Offset(messages), since: since.map(Timestamp::from_millis), changes: Offset(changes) }
    }

    /// Messages at these offsets, each said at the moment of its offset.
    fn said(offsets: impl IntoIterator<Item = u64>) -> Vec<(Offset, Timestamp)> {
        offsets.into_iter().map(|offset| (Offset(offset), Timestamp::from_millis(offset.cast_signed()))).collect()
    }

    #[test]
    fn it_moves_to_the_first_message_that_is_kept_and_the_changes_with_it() {
        for (kept, expected) in [
            (kept(0, None, 0), at(2, 4)),
            (kept(5, None, 0), at(5, 5)),
            (kept(4, None, 0), at(5, 5)),
            (kept(3, None, 0), at(3, 4)),
            (kept(5, Some(7), 0), at(9, 9)),
            (kept(9, Some(100), 3), at(21, 21)),
            (kept(5, None, 8), at(5, 8)),
            (kept(0, None, 8), at(2, 8)),
        ] {
            assert_eq!(at(2, 4).goal(&kept, &said([2, 3, 5, 9]), Offset(20)), expected, "{kept:?}");
        }
    }

    #[test]
    fn it_moves_past_a_bounded_number_of_messages_at_once() {
        let next = DROPPED_AT_ONCE as u64 + 1;
        let goal = at(1, 1).goal(&kept(5_000, None, 0), &said(1..=next), Offset(9_000));
        assert_eq!(goal, at(next, next));
    }

    #[test]
    fn many_changes_go_before_the_messages_around_them() {
        assert_eq!(at(1, 1).towards(at(7_000, 9_000), Some(Offset(4_000))), at(1, 4_001));
        assert_eq!(at(1, 4_001).towards(at(7_000, 9_000), Some(Offset(8_999))), at(7_000, 9_000));
        assert_eq!(at(1, 4_001).towards(at(7_000, 9_000), None), at(7_000, 9_000));
    }

    #[test]
    fn few_entries_are_not_counted() {
        let bounds = Bounds { messages: Some(5), since: None, changes: Some(3) };
        let counted = |head| {
            let beginning = at(1, 4);
            (beginning.messages_to_count(bounds, Offset(head)), beginning.changes_to_count(bounds, Offset(head)))
        };
        assert_eq!((counted(5), counted(6), counted(7)), ((None, None), (Some(5), None), (Some(5), Some(3))));
        assert_eq!(at(1, 1).messages_to_count(Bounds::default(), Offset(1_000)), None);
    }
}
