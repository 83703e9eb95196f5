//! Finding messages by their words: what is the same for every index.
//!
//! ```text
//!   the commits ─────────────────────────────────► readers, senders        nothing waits for the index
//!        └─ later ─► words::terms ─► the index     (a database's own: which messages have a term)
//!                                       │
//!   Query ─ needs ─────────────────────►│ the newest that have them all
//!                                       ▼
//!                                     Hunt ── Query::find on each message's text ─► the best, with their snippets
//! ```
//!
//! An index numbers what it holds in the order in which it came, its *documents*, and only says where to look. What a message says
//! is read from the message itself, and ranked here. So all stores rank alike, and an index that lags or is out of date shows nothing
//! that is not there.
//!
//! What a search costs is bounded: it goes back from the newest document in [stretches](Hunt::stretch) that double, and ends when it
//! has looked at enough messages, or had enough work with them. A word that is everywhere is found often in the first short stretch; a
//! rare one is looked up in few long ones. The best are then the best of the newest that were looked at, and the answer says so.

mod query;
mod words;

use std::{
    collections::HashSet,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

pub(in crate::server) use self::{
    query::Need,
    words::{searched, terms},
};
use query::{Finder, Work};
pub use query::{LONGEST_QUERY, Query, QueryTooLong};

use crate::wire::{Epoch, Group, Hit, MessageId, Offset, Person, Timestamp};

/// The length of the first stretch, in documents.
const FIRST_STRETCH: i64 = 1 << 14;
/// A search ends when it has looked at so many messages that have its terms,
const MOST_CANDIDATES: usize = 1_000;
/// or has had so much to do with them: bytes that were read, tokens that were compared,
const MOST_WORK: Work = 2 << 20;
/// or has found so many,
const MOST_FOUND: usize = 300;
/// or has taken so long.
const LONGEST: Duration = Duration::from_secs(5);
/// So many rooms are told apart; of those that were used longer ago nothing is found where not every room is searched.
pub(in crate::server) const MOST_ROOMS: usize = 10_000;
/// So many of them go into one question to an index.
const NAMED_ROOMS: usize = 500;

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The best first; the newer first where they are as good.
    pub hits: Vec<Hit>,
    /// Whether all messages were considered that there are. If not, these are the best of newer ones.
    pub complete: bool,
}

impl Found {
    /// Where there is nothing to search.
    pub fn nothing() -> Self {
        Self { hits: Vec::new(), complete: true }
    }
}

/// The rooms of a search by the numbers that an index has for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) enum Filter {
    All,
    Only(Vec<i64>),
    Except(Vec<i64>),
}

impl Filter {
    /// Which of `rooms` are `allowed`, where these are the rooms of the index, up to [`MOST_ROOMS`], those that were used last first;
    /// and whether it leaves out rooms that would be searched if there were fewer.
    pub(in crate::server) fn of(rooms: &[(i64, Group)], allowed: impl Fn(&Group) -> bool) -> (Self, bool) {
        let whole = rooms.len() < MOST_ROOMS;
        let (open, closed): (Vec<_>, Vec<_>) = rooms.iter().partition(|(_, group)| allowed(group));
        let numbers = |rooms: &[&(i64, Group)]| rooms.iter().map(|(number, _)| *number).collect();
        if whole && closed.is_empty() {
            (Self::All, false)
        } else if whole && closed.len() < open.len().min(NAMED_ROOMS) {
            (Self::Except(numbers(&closed)), false)
        } else {
            (Self::Only(numbers(&open[..open.len().min(NAMED_ROOMS)])), !whole || open.len() > NAMED_ROOMS)
        }
    }
}

/// The term under which an index has all messages of a room. No text has it.
pub(in crate::server) fn room_term(number: i64) -> String {
    format!("\u{e000}{number}")
}

/// A message that an index has found, with as much of its text as is searched.
#[derive(Debug)]
pub(in crate::server) struct Candidate {
    pub(in crate::server) group: Group,
    pub(in crate::server) epoch: Epoch,
    pub(in crate::server) offset: Offset,
    pub(in crate::server) from: Person,
    pub(in crate::server) text: String,
    pub(in crate::server) at: Timestamp,
}

/// A search on its way back through an index.
#[derive(Debug)]
pub(in crate::server) struct Hunt {
    finder: Finder,
    /// The stretch that is being looked through; empty at the end.
    highest: i64,
    lowest: i64,
    found: Vec<(f64, Hit)>,
    seen: HashSet<(Epoch, Offset)>,
    candidates: usize,
    work: Work,
    until: Instant,
}

impl Hunt {
    /// Begins at the newest document; documents are numbered from 1.
    pub(in crate::server) fn new(query: &Query, newest: i64) -> Self {
        Self {
            finder: Finder::new(query),
            highest: newest,
            lowest: (newest - FIRST_STRETCH + 1).max(1),
            found: Vec::new(),
            seen: HashSet::new(),
            candidates: 0,
            work: 0,
            until: Instant::now() + LONGEST,
        }
    }

    /// The documents to look through next, from the newest of them on; none when the search is over.
    pub(in crate::server) fn stretch(&self) -> Option<RangeInclusive<i64>> {
        let enough = self.candidates >= MOST_CANDIDATES
            || self.found.len() >= MOST_FOUND
            || self.work >= MOST_WORK
            || Instant::now() > self.until;
        (self.highest >= 1 && !enough).then_some(self.lowest..=self.highest)
    }

    /// Looks at a document that has the terms; without a candidate where its message is no longer there.
    pub(in crate::server) fn look_at(&mut self, document: i64, candidate: Option<Candidate>) {
        self.highest = document - 1;
        self.candidates += 1;
        let Some(Candidate { group, epoch, offset, from, text, at }) = candidate else { return };
        let (found, work) = self.finder.find(&text);
        self.work += work;
        let Some(found) = found else { return };
        let id = MessageId { epoch: epoch.clone(), offset }.to_string();
        if self.seen.insert((epoch, offset)) {
            let snippet = found.snippet(&text);
            self.found.push((found.score, Hit { group, offset, id, from, at, snippet }));
        }
    }

    /// The stretch has no further document with the terms: goes on with one of twice the length.
    pub(in crate::server) fn end_of_stretch(&mut self, stretch: &RangeInclusive<i64>) {
        let length = (stretch.end() - stretch.start() + 1).max(FIRST_STRETCH);
        self.highest = stretch.start() - 1;
        self.lowest = (self.highest - 2 * length + 1).max(1);
    }

    /// The best of what was found.
    pub(in crate::server) fn finish(self, count: usize) -> Found {
        let complete = self.highest < 1;
        let mut found = self.found;
        found.sort_by(|(one_score, one), (other_score, other)| {
            let newer = (other.at, other.offset, &other.group).cmp(&(one.at, one.offset, &one.group));
            other_score.total_cmp(one_score).then(newer)
        });
        found.truncate(count);
        Found { hits: found.into_iter().map(|(_, hit)| hit).collect(), complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Group {
        name.parse().expect("a group name")
    }

    fn candidate(offset: u64, at: i64, text: &str) -> Candidate {
        Candidate {
            group: group("lobby"),
            epoch: "e".parse().expect("an epoch"),
            offset: Offset(offset),
            from: Person::new("ann", "Ann"),
            text: text.to_owned(),
            at: Timestamp::from_millis(at),
        }
    }

    fn hunt(newest: i64) -> Hunt {
        // However slow the machine is.
        Hunt { until: Instant::now() + Duration::from_hours(1), ..Hunt::new(&Query::parse("tea").expect("a query"), newest) }
    }

    fn offsets(found: &Found) -> Vec<u64> {
        found.hits.iter().map(|hit| hit.offset.0).collect()
    }

    #[test]
    fn the_best_come_first_and_the_newer_of_those_that_are_as_good() {
        let mut hunt = hunt(5);
        for (document, at, text) in
            [(5, 50, "tea or so"), (4, 70, "no"), (3, 60, "tea or so"), (2, 20, "tea"), (1, 60, "tea or so")]
        {
            hunt.look_at(document, Some(candidate(document.unsigned_abs(), at, text)));
        }
        assert_eq!(hunt.stretch(), None);
        let found = hunt.finish(9);
        assert_eq!((offsets(&found), found.complete), (vec![2, 3, 1, 5], true));
    }

    #[test]
    fn it_goes_back_in_stretches_that_double_until_the_first_document() {
        let mut hunt = hunt(10 * FIRST_STRETCH);
        let mut lengths = Vec::new();
        let mut next = 10 * FIRST_STRETCH;
        while let Some(stretch) = hunt.stretch() {
            assert_eq!(*stretch.end(), next);
            next = stretch.start() - 1;
            lengths.push((stretch.end() - stretch.start() + 1) / FIRST_STRETCH);
            hunt.end_of_stretch(&stretch);
        }
        assert_eq!((lengths, next), (vec![1, 2, 4, 3], 0));
        assert!(hunt.finish(9).complete);
    }

    #[test]
    fn it_ends_when_it_has_seen_enough() {
        let big = "tea ".repeat(10_000);
        for (text, looked_at) in [("tea", MOST_FOUND), ("cake", MOST_CANDIDATES), (&*big, MOST_WORK / big.len() + 1)] {
            let mut hunt = hunt(1_000_000);
            let mut looked = 0;
            while let Some(stretch) = hunt.stretch() {
                looked += 1;
                hunt.look_at(*stretch.end(), Some(candidate(stretch.end().unsigned_abs(), 0, text)));
            }
            assert_eq!(looked, looked_at);
            let found = hunt.finish(10);
            assert_eq!((found.hits.len(), found.complete), (if text == "cake" { 0 } else { 10 }, false));
        }
    }

    #[test]
    fn a_phrase_that_is_nearly_everywhere_ends_a_search_soon() {
        let phrase = Query::parse(&format!("\"{}b\"", "a ".repeat(120))).expect("a query");
        let planted = format!("b {}", "a ".repeat(32 << 10));
        let mut hunt = Hunt { until: Instant::now() + Duration::from_hours(1), ..Hunt::new(&phrase, 1_000) };
        let mut looked = 0;
        while let Some(stretch) = hunt.stretch() {
            looked += 1;
            hunt.look_at(*stretch.end(), Some(candidate(stretch.end().unsigned_abs(), 0, &planted)));
        }
        assert_eq!((looked, hunt.finish(9)), (1, Found { hits: Vec::new(), complete: false }));
    }

    #[test]
    fn a_message_is_found_once_and_one_that_is_gone_is_not() {
        let mut hunt = hunt(3);
        hunt.look_at(3, Some(candidate(1, 0, "tea")));
        hunt.look_at(2, None);
        hunt.look_at(1, Some(candidate(1, 0, "tea")));
        assert_eq!(offsets(&hunt.finish(9)), [1]);
    }

    #[test]
    fn a_question_names_the_fewer_rooms_and_not_too_many() {
        let rooms = |count: i64| (1..=count).map(|number| (number, group(&format!("r{number}")))).collect::<Vec<_>>();
        let among = |names: &'static [&str]| move |group: &Group| names.contains(&group.as_str());
        assert_eq!(Filter::of(&rooms(3), |_| true), (Filter::All, false));
        assert_eq!(Filter::of(&rooms(3), |_| false), (Filter::Only(vec![]), false));
        assert_eq!(Filter::of(&rooms(5), among(&["r2", "r4"])), (Filter::Only(vec![2, 4]), false));
        let all_but = |group: &Group| !among(&["r2", "r4"])(group);
        assert_eq!(Filter::of(&rooms(5), all_but), (Filter::Except(vec![2, 4]), false));
        let many = i64::try_from(MOST_ROOMS).expect("a number");
        let first: Vec<_> = (1..=500).collect();
        assert_eq!(Filter::of(&rooms(many), |_| true), (Filter::Only(first.clone()), true), "there may be more rooms");
        let even = |group: &Group| group.as_str().ends_with(['0', '2', '4', '6', '8']);
        let (filter, partly) = Filter::of(&rooms(4_000), even);
        assert_eq!((filter, partly), (Filter::Only((1..=500).map(|number| number * 2).collect()), true));
        assert_eq!(Filter::of(&rooms(500), |_| true), (Filter::All, false));
    }
}
