//! The order in which a group's events are handed out where its feed is ordered: that of the offsets, each once.
//!
//! ```text
//!   the layer ──► arrive ──┬─ the next offset ──────────────────────► handed out, and what waited for it
//!                          ├─ one that was there, or no offset at all ► dropped; handed out, behind the unsorted
//!                          ├─ beyond a hole ─────► line ──────┐
//!                          └─ of another epoch ──► unsorted ──┤ due: read the store
//!   the store ──► level ◄─────────────────────────────────────┘
//! ```
//!
//! The layer loses events, and when it fails it may reorder them. The store has them all: every event is committed before it is
//! sent, so a reading that begins after an event has come contains it and whatever is before it. What is beyond the end of
//! such a reading, or of an epoch that the store does not have, is another's: a second node with a store of its own sends
//! into the same group, or somebody who makes up events.
//!
//! This is a state machine without I/O; its owner reads when [`Sequence::due`] says so.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use tracing::warn;

use super::{broadcast::Broadcast, feed::Missed};
use crate::wire::{Epoch, Offset, Position, Topic};

/// What may wait for a reading, in bytes. Beyond it everything that waits is let go: the store has it.
const WAITING_BYTES: usize = 4 * 1024 * 1024;
/// How many epochs of others a group remembers; an epoch that it has forgotten costs a reading.
const FOREIGN_EPOCHS: usize = 16;

/// What goes to the members, in this order.
#[expect(clippy::large_enum_variant, reason = "nearly all are events, and a box for each would be one more allocation")]
pub(super) enum Handed {
    Event(Broadcast),
    /// What is missing up to here is too much to be handed out: whoever is not beyond it has to join again.
    Skipped(Position),
}

/// A reading that has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    number: u64,
    /// What stands after this is wanted; none: only where the stream stands.
    pub(super) since: Option<Offset>,
}

/// See the module.
pub(super) struct Sequence {
    /// Everything up to here was handed out, or happened before the group was there. None until the first reading.
    last: Option<Position>,
    /// Of the epoch of `last` and beyond a hole.
    line: BTreeMap<Offset, Waiting>,
    /// Of an epoch about which the store has to be asked, and what came behind them without a place; in the order of arrival.
    unsorted: Vec<Waiting>,
    /// The weight of what waits.
    bytes: usize,
    /// Epochs that are not this store's.
    foreign: VecDeque<Epoch>,
    /// How many readings have begun.
    begun: u64,
    /// A reading has begun or is about to.
    reading: bool,
    /// Another one is needed.
    wanted: bool,
}

struct Waiting {
    broadcast: Broadcast,
    /// How many readings had begun when it came.
    begun: u64,
}

impl Sequence {
    /// Waits for a first reading, which says where the stream stands and which the owner does unasked.
    pub(super) fn new() -> Self {
        Self {
            last: None,
            line: BTreeMap::new(),
            unsorted: Vec::new(),
            bytes: 0,
            foreign: VecDeque::new(),
            begun: 0,
            reading: true,
            wanted: false,
        }
    }

    /// Takes what the layer has brought; what can go out now is pushed to `out`.
    pub(super) fn arrive(&mut self, broadcast: Broadcast, out: &mut Vec<Handed>) {
        let Some(position) = broadcast.position() else { return self.pass(broadcast, out) };
        match &mut self.last {
            Some(last) if last.epoch == position.epoch => {
                if position.offset == last.offset.next() {
                    last.offset = position.offset;
                    out.push(Handed::Event(broadcast));
                    self.advance(out);
                } else if position.offset > last.offset {
                    self.wait(broadcast);
                }
            }
            Some(_) if self.foreign.contains(&position.epoch) => self.pass(broadcast.without_position(), out),
            _ => self.wait(broadcast),
        }
    }

    /// Hands out what has no place: at once, unless some wait of which it is not known yet whether they have one. Its sender
    /// may have sent them before it.
    fn pass(&mut self, broadcast: Broadcast, out: &mut Vec<Handed>) {
        if self.unsorted.is_empty() {
            out.push(Handed::Event(broadcast));
        } else {
            self.wait(broadcast);
        }
    }

    /// Something may have been lost that nothing will show.
    pub(super) fn doubt(&mut self) {
        self.wanted = true;
    }

    /// The store has come to here. Nothing has to be read when all of it is there or on its way from the store.
    pub(super) fn reached(&mut self, head: &Position) {
        let level = self.last.as_ref().is_some_and(|last| last.epoch == head.epoch && last.offset >= head.offset);
        self.wanted |= !level;
    }

    /// Where the stream stands, as far as everything is known: nothing waits, and nothing has to be read.
    pub(super) fn settled(&self) -> Option<&Position> {
        let is_settled = !self.wanted && !self.reading && self.line.is_empty() && self.unsorted.is_empty();
        self.last.as_ref().filter(|_| is_settled)
    }

    /// Whether the store has to be read now. If so, the caller does.
    pub(super) fn due(&mut self) -> bool {
        let due = self.wanted && !self.reading;
        self.reading |= due;
        due
    }

    /// A reading begins: what has come until now is in it.
    pub(super) fn begin(&mut self) -> Reading {
        self.begun += 1;
        self.wanted = false;
        Reading { number: self.begun, since: self.last.as_ref().map(|last| last.offset) }
    }

    /// Takes what a reading has brought.
    pub(super) fn level(&mut self, reading: Reading, page: Missed, topic: &Topic, out: &mut Vec<Handed>) {
        match &mut self.last {
            None => self.last = Some(self.earliest(page.head)),
            Some(last) if last.epoch == page.head.epoch => self.fill(reading, page, topic, out),
            Some(last) => {
                // Begun anew: all that the new stream has was said while this group was there. Members learn it from its
                // first event.
                self.wanted |= page.head.offset > Offset::START;
                *last = Position { offset: Offset::START, ..page.head };
                let void = std::mem::take(&mut self.line);
                self.bytes -= void.values().map(|waiting| waiting.broadcast.weight()).sum::<usize>();
            }
        }
        self.sort(reading, out);
        self.reading = false;
        self.wanted |= !self.line.is_empty() || !self.unsorted.is_empty();
    }

    /// Where the group begins: at the head, unless events before it have come already, which then are news.
    fn earliest(&self, head: Position) -> Position {
        let positions = self.unsorted.iter().filter_map(|waiting| waiting.broadcast.position());
        let before =
            positions.filter(|position| position.epoch == head.epoch).map(|position| position.offset.0.saturating_sub(1));
        let offset = before.min().map_or(head.offset, |before| head.offset.min(Offset(before)));
        Position { offset, ..head }
    }

    fn fill(&mut self, reading: Reading, page: Missed, topic: &Topic, out: &mut Vec<Handed>) {
        let Missed { head, entries } = page;
        for entry in entries {
            self.arrive(Broadcast::new(topic, entry, Instant::now()), out);
        }
        if let Some(last) = &mut self.last
            && last.offset < head.offset
        {
            // Either it is too much for one reading, or the store holds it no more.
            last.offset = head.offset;
            out.push(Handed::Skipped(head.clone()));
            self.drop_from_line(|offset, _| offset <= head.offset);
            self.advance(out);
        }
        let beyond = self.drop_from_line(|_, waiting| waiting.begun < reading.number);
        if beyond > 0 {
            warn!(%topic, beyond, "dropped events that claim places which the stream has not reached");
        }
    }

    /// Finds out about those that came before the reading began, and gives all another try.
    fn sort(&mut self, reading: Reading, out: &mut Vec<Handed>) {
        for Waiting { broadcast, begun } in std::mem::take(&mut self.unsorted) {
            self.bytes -= broadcast.weight();
            if let Some((last, position)) = self.last.as_ref().zip(broadcast.position())
                && last.epoch != position.epoch
                && begun < reading.number
                && !self.foreign.contains(&position.epoch)
            {
                self.foreign.truncate(FOREIGN_EPOCHS - 1);
                self.foreign.push_front(position.epoch.clone());
            }
            self.arrive(broadcast, out);
        }
    }

    /// Hands out what waited for the last one.
    fn advance(&mut self, out: &mut Vec<Handed>) {
        let Some(last) = &mut self.last else { return };
        while let Some(next) = self.line.first_entry() {
            if *next.key() > last.offset.next() {
                return;
            }
            let (offset, Waiting { broadcast, .. }) = next.remove_entry();
            self.bytes -= broadcast.weight();
            // The store may have brought it meanwhile.
            if offset > last.offset {
                last.offset = offset;
                out.push(Handed::Event(broadcast));
            }
        }
    }

    fn wait(&mut self, broadcast: Broadcast) {
        self.bytes += broadcast.weight();
        self.wanted |= !self.reading;
        let placed = self.last.as_ref().zip(broadcast.position());
        let in_line = placed.filter(|(last, position)| last.epoch == position.epoch).map(|(_, position)| position.offset);
        let waiting = Waiting { broadcast, begun: self.begun };
        match in_line {
            None => self.unsorted.push(waiting),
            Some(offset) => {
                if let Some(same) = self.line.insert(offset, waiting) {
                    self.bytes -= same.broadcast.weight();
                }
            }
        }
        if self.bytes > WAITING_BYTES {
            warn!(events = self.line.len() + self.unsorted.len(), "too much waits for the store; it will be read instead");
            (self.line, self.unsorted, self.bytes) = (BTreeMap::new(), Vec::new(), 0);
            self.wanted = true;
        }
    }

    fn drop_from_line(&mut self, which: impl Fn(Offset, &Waiting) -> bool) -> usize {
        let before = self.line.len();
        self.line.retain(|offset, waiting| {
            let drop = which(*offset, waiting);
            if drop {
                self.bytes -= waiting.broadcast.weight();
            }
            !drop
        });
        before - self.line.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::hub::{
        feed::{Entry, Place},
        testing::said,
    };

    fn at(epoch: &str, offset: u64) -> Position {
        Position { epoch: epoch.parse().unwrap(), offset: Offset(offset) }
    }

    fn topic() -> Topic {
        Topic::Room("a".parse().unwrap())
    }

    fn stored(epoch: &str, offset: u64) -> Entry {
        said(Place::At(at(epoch, offset)), "text")
    }

    fn event(epoch: &str, offset: u64) -> Broadcast {
        Broadcast::new(&topic(), stored(epoch, offset), Instant::now())
    }

    /// What the store answers that holds `first` to `head`, when what stands after `since` is wanted, and no more than `most` of it.
    fn page(epoch: &str, first: u64, head: u64, since: Option<Offset>, most: usize) -> Missed {
        let from = since.map_or(head, |since| since.0) + 1;
        let entries = (from.max(first)..=head).take(most).map(|offset| stored(epoch, offset)).collect();
        Missed { head: at(epoch, head), entries }
    }

    /// A sequence with what it has handed out: offsets, `skip` for what it gave up, 0 for what has no place.
    struct Test {
        sequence: Sequence,
        out: Vec<Handed>,
    }

    impl Test {
        /// Stands at 5 of the epoch `e`.
        fn new() -> Self {
            let mut test = Self { sequence: Sequence::new(), out: Vec::new() };
            assert!(!test.sequence.due());
            test.read("e", 1, 5, 100);
            test
        }

        fn arrive(&mut self, epoch: &str, offsets: impl IntoIterator<Item = u64>) {
            for offset in offsets {
                self.sequence.arrive(event(epoch, offset), &mut self.out);
            }
        }

        fn read(&mut self, epoch: &str, first: u64, head: u64, most: usize) {
            let reading = self.sequence.begin();
            self.level(reading, epoch, first, head, most);
        }

        fn level(&mut self, reading: Reading, epoch: &str, first: u64, head: u64, most: usize) {
            let page = page(epoch, first, head, reading.since, most);
            self.sequence.level(reading, page, &topic(), &mut self.out);
        }

        fn handed(&mut self) -> Vec<String> {
            let name = |handed| match handed {
                Handed::Event(broadcast) => broadcast
                    .position()
                    .map_or_else(|| "nowhere".to_owned(), |Position { epoch, offset }| format!("{epoch}{offset}")),
                Handed::Skipped(Position { epoch, offset }) => format!("skip {epoch}{offset}"),
            };
            self.out.drain(..).map(name).collect()
        }

        fn settled(&self) -> Option<u64> {
            self.sequence.settled().map(|position| position.offset.0)
        }

        fn assert_idle(&mut self) {
            assert!(!self.sequence.due());
            assert_eq!((self.sequence.bytes, self.sequence.line.len(), self.sequence.unsorted.len()), (0, 0, 0));
        }
    }

    #[test]
    fn word_of_a_head_has_the_store_read_where_it_is_news() {
        let mut test = Test::new();
        for head in [at("e", 4), at("e", 5)] {
            test.sequence.reached(&head);
            test.assert_idle();
        }
        test.sequence.reached(&at("e", 7));
        assert!(test.sequence.due());
        test.arrive("e", [6]);
        test.read("e", 1, 7, 100);
        test.arrive("e", [7]);
        assert_eq!(test.handed(), ["e6", "e7"]);
        test.sequence.reached(&at("e", 7));
        test.assert_idle();
        test.sequence.reached(&at("f", 1));
        assert!(test.sequence.due(), "begun anew");
    }

    #[test]
    fn the_next_one_goes_out_at_once_and_one_that_was_there_does_not() {
        let mut test = Test::new();
        assert_eq!(test.settled(), Some(5));
        test.arrive("e", [5, 6, 6, 7, 1, 8]);
        assert_eq!(test.handed(), ["e6", "e7", "e8"]);
        test.assert_idle();
        assert_eq!(test.settled(), Some(8));
    }

    #[test]
    fn what_comes_in_another_order_goes_out_in_that_of_the_offsets() {
        let mut test = Test::new();
        test.arrive("e", [9, 7, 8]);
        assert_eq!(test.settled(), None, "something is missing");
        assert!(test.handed().is_empty() && test.sequence.due() && !test.sequence.due());
        test.arrive("e", [6]);
        assert_eq!(test.handed(), ["e6", "e7", "e8", "e9"]);
        assert_eq!(test.settled(), None, "it is being read");
        // The reading that was due comes too late and brings nothing new.
        test.read("e", 1, 9, 100);
        assert!(test.handed().is_empty());
        test.assert_idle();
    }

    #[test]
    fn a_hole_is_filled_from_the_store() {
        let mut test = Test::new();
        test.arrive("e", [9, 10]);
        assert!(test.sequence.due());
        let reading = test.sequence.begin();
        assert_eq!(reading.since, Some(Offset(5)));
        test.arrive("e", [11, 13]);
        test.level(reading, "e", 1, 10, 100);
        assert_eq!(test.handed(), ["e6", "e7", "e8", "e9", "e10", "e11"]);
        // 13 came when the reading had begun: whether 12 is lost only the next one can tell.
        assert!(test.sequence.due());
        test.read("e", 1, 13, 100);
        assert_eq!(test.handed(), ["e12", "e13"]);
        test.assert_idle();
    }

    #[test]
    fn a_doubt_reads_once_more_also_in_the_midst_of_a_reading() {
        let mut test = Test::new();
        test.sequence.doubt();
        assert_eq!(test.settled(), None);
        assert!(test.sequence.due());
        let reading = test.sequence.begin();
        test.sequence.doubt();
        assert!(!test.sequence.due());
        test.level(reading, "e", 1, 6, 100);
        assert!(test.sequence.due());
        test.read("e", 1, 7, 100);
        assert_eq!(test.handed(), ["e6", "e7"]);
        test.assert_idle();
    }

    #[test]
    fn a_hole_that_one_reading_cannot_fill_is_skipped_and_said() {
        for (first, most) in [(1, 2), (8, 100)] {
            let mut test = Test::new();
            test.arrive("e", [12]);
            assert!(test.sequence.due());
            let reading = test.sequence.begin();
            test.arrive("e", [13]);
            test.level(reading, "e", first, 12, most);
            let handed = test.handed();
            assert_eq!(handed[handed.len() - 2..], ["skip e12", "e13"], "{handed:?}");
            test.arrive("e", [14]);
            assert_eq!(test.handed(), ["e14"]);
            test.assert_idle();
        }
    }

    #[test]
    fn what_the_store_has_not_reached_is_made_up_and_dropped() {
        let mut test = Test::new();
        test.arrive("e", [u64::MAX, 6]);
        assert_eq!(test.handed(), ["e6"]);
        assert!(test.sequence.due());
        test.read("e", 1, 6, 100);
        assert!(test.handed().is_empty());
        test.assert_idle();
    }

    #[test]
    fn what_waits_is_bounded_and_comes_from_the_store_when_it_can() {
        let mut test = Test::new();
        test.arrive("e", [7]);
        assert!(test.sequence.due());
        let reading = test.sequence.begin();
        let mut most = 0;
        for offset in 8..=20_000 {
            test.arrive("e", [offset]);
            most = most.max(test.sequence.bytes);
        }
        assert!(most <= WAITING_BYTES && most > WAITING_BYTES / 2 && test.out.is_empty());
        test.level(reading, "e", 1, 7, 5_000);
        assert_eq!(test.handed(), ["e6", "e7"]);
        assert!(test.sequence.due());
        test.read("e", 1, 20_000, 30_000);
        let all: Vec<_> = (8..=20_000).map(|offset| format!("e{offset}")).collect();
        assert!(test.handed() == all);
        test.assert_idle();
    }

    #[test]
    fn anothers_epoch_has_no_place_here_and_is_asked_about_once() {
        let mut test = Test::new();
        test.arrive("x", [70]);
        test.arrive("e", [6]);
        test.arrive("x", [71]);
        assert_eq!(test.handed(), ["e6"]);
        assert!(test.sequence.due());
        let reading = test.sequence.begin();
        test.arrive("y", [1]);
        test.level(reading, "e", 1, 6, 100);
        assert_eq!(test.handed(), ["nowhere", "nowhere"]);
        // The one that came meanwhile may be of a stream that was begun just now.
        assert!(test.sequence.due());
        test.read("e", 1, 6, 100);
        assert_eq!(test.handed(), ["nowhere"]);
        test.arrive("x", [72]);
        test.arrive("y", [2]);
        test.arrive("e", [7]);
        assert_eq!(test.handed(), ["nowhere", "nowhere", "e7"]);
        test.assert_idle();
    }

    #[test]
    fn what_has_no_place_does_not_overtake_what_may_have_none_either() {
        let mut test = Test::new();
        test.arrive("x", [1]);
        test.sequence.arrive(event("x", 2).without_position(), &mut test.out);
        test.arrive("e", [6]);
        assert_eq!(test.handed(), ["e6"]);
        assert!(test.sequence.due());
        let reading = test.sequence.begin();
        test.arrive("y", [1]);
        test.arrive("x", [3]);
        test.level(reading, "e", 1, 6, 100);
        // The one behind `y` still waits with it.
        assert_eq!(test.handed(), ["nowhere", "nowhere"]);
        test.read("e", 1, 6, 100);
        assert_eq!(test.handed(), ["nowhere", "nowhere"]);
        test.arrive("x", [4]);
        test.sequence.arrive(event("x", 5).without_position(), &mut test.out);
        assert_eq!(test.handed(), ["nowhere", "nowhere"]);
        test.assert_idle();
    }

    #[test]
    fn as_many_others_as_one_likes_are_forgotten_in_turn() {
        let mut test = Test::new();
        for other in 0..100 {
            test.arrive(&format!("x{other}"), [1]);
            assert!(test.sequence.due());
            test.read("e", 1, 5, 100);
        }
        assert_eq!(test.handed().len(), 100);
        assert_eq!(test.sequence.foreign.len(), FOREIGN_EPOCHS);
        test.arrive("x99", [2]);
        assert_eq!(test.handed(), ["nowhere"]);
        test.assert_idle();
    }

    #[test]
    fn a_stream_begun_anew_goes_out_from_its_start() {
        let mut test = Test::new();
        test.arrive("e", [9]);
        test.arrive("f", [2]);
        assert!(test.sequence.due());
        test.read("f", 1, 2, 100);
        assert!(test.handed().is_empty() && test.sequence.due());
        test.read("f", 1, 2, 100);
        assert_eq!(test.handed(), ["f1", "f2"]);
        test.arrive("f", [3]);
        assert_eq!(test.handed(), ["f3"]);
        test.assert_idle();
    }

    #[test]
    fn what_comes_before_the_group_knows_where_it_stands_waits_and_goes_out() {
        let mut test = Test { sequence: Sequence::new(), out: Vec::new() };
        test.arrive("e", [9]);
        let reading = test.sequence.begin();
        test.arrive("e", [11, 12]);
        assert!(test.handed().is_empty() && !test.sequence.due());
        // 9 was committed when the reading began, and 11 and 12 came later.
        test.level(reading, "e", 1, 10, 0);
        assert_eq!(test.handed(), ["e9"]);
        assert!(test.sequence.due());
        test.read("e", 1, 12, 100);
        assert_eq!(test.handed(), ["e10", "e11", "e12"]);
        test.assert_idle();
    }
}
