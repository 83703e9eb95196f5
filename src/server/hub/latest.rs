//! What the members of the list of rooms are told, and whether they have heard of everything where several nodes write to one store.
//!
//! In the long run they are told four times a second, of each room what is newest: what comes meanwhile waits, and replaces what waits of
//! the same room. So not every message of a busy server goes to everybody who looks at the list.
//!
//! The list has no stream with offsets of its own. But of each latest message, and of each change of it, an event comes by the layer,
//! and the store says which rooms have moved on. Both name the entry of the room that made the latest message what it is. What the
//! store says and no event has said by the next time was lost: then the list is read and sent once more.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::broadcast::Broadcast;
use crate::wire::{Group, MessageId, Position, RoomSummary};

/// How often members are told in the long run.
pub(super) const BEAT: Duration = Duration::from_millis(250);
/// How many times they may be told at once after a while of quiet.
const AT_ONCE: u32 = 4;
/// With so many rooms waiting they are told at once.
const MOST_WAITING: usize = 1_000;

/// See the module.
#[derive(Default)]
pub(super) struct Listing {
    /// What members are to be told of each room, with its place in the order in which it came.
    waiting: HashMap<Group, (u64, Broadcast)>,
    /// How many have come.
    came: u64,
    /// How many times members were told that beats have not made up for yet.
    owed: u32,
    /// A beat is under way.
    beating: bool,
    /// Up to which entries members were told.
    told: HashMap<Group, Position>,
    /// What the store said last and members were not told until then; most often it was on its way.
    behind: Vec<(Group, Position)>,
    /// The list is being read.
    reading: bool,
    /// It has to be read once more.
    wanted: bool,
}

/// With more rooms told of they are forgotten, which costs a reading at most.
const REMEMBERED: usize = 10_000;

impl Listing {
    /// Takes in what members are to be told of a room; gives back what tells of none.
    pub(super) fn take(&mut self, broadcast: Broadcast) -> Option<Broadcast> {
        let Some((room, since)) = broadcast.listed() else { return Some(broadcast) };
        let (room, since) = (room.clone(), since.clone());
        let is_older = self
            .waiting
            .get(&room)
            .and_then(|(_, waiting)| waiting.listed())
            .is_some_and(|(_, known)| known.epoch == since.epoch && known.offset > since.offset);
        if !is_older {
            self.came += 1;
            self.waiting.insert(room.clone(), (self.came, broadcast));
        }
        self.told(&room, since);
        None
    }

    /// What members are told now, in the order in which it came.
    pub(super) fn told_now(&mut self) -> Vec<Broadcast> {
        let is_due = self.owed < AT_ONCE || self.waiting.len() >= MOST_WAITING;
        if self.waiting.is_empty() || !is_due {
            return Vec::new();
        }
        self.owed = AT_ONCE.min(self.owed + 1);
        self.all_waiting()
    }

    /// What waits, whether it is time or not.
    pub(super) fn all_waiting(&mut self) -> Vec<Broadcast> {
        let mut waiting: Vec<_> = self.waiting.drain().map(|(_, waiting)| waiting).collect();
        waiting.sort_unstable_by_key(|(came, _)| *came);
        let now = Instant::now();
        // That it has waited says nothing of how fast members are written to.
        let as_of_now = |(_, mut broadcast): (u64, Broadcast)| {
            broadcast.arrived = now;
            broadcast
        };
        waiting.into_iter().map(as_of_now).collect()
    }

    /// A beat is over.
    pub(super) fn beat(&mut self) {
        self.owed = self.owed.saturating_sub(1);
        self.beating = false;
    }

    /// Whether a beat begins now. If so, the caller sees to its end.
    pub(super) fn begins_beat(&mut self) -> bool {
        let begins = self.owed > 0 && !self.beating;
        self.beating |= begins;
        begins
    }

    /// Something may have been lost that nothing will show.
    pub(super) fn doubt(&mut self) {
        self.wanted = true;
    }

    /// Whether the list has to be read now. If so, the caller does.
    pub(super) fn due(&mut self) -> bool {
        let due = self.wanted && !self.reading;
        if due {
            (self.reading, self.wanted) = (true, false);
        }
        due
    }

    /// What was read is there, and members are told of it.
    pub(super) fn is_read(&mut self, rooms: &[RoomSummary]) {
        self.reading = false;
        for RoomSummary { group, latest } in rooms {
            if let Some(MessageId { epoch, offset }) = latest.as_ref().and_then(|latest| latest.message.id.parse().ok()) {
                // At least since then: it may have been changed.
                self.told(group, Position { epoch, offset });
            }
        }
    }

    /// Members are told of a room, whose latest message is what it is since this entry.
    pub(super) fn told(&mut self, room: &Group, since: Position) {
        if self.is_told(room, &since) {
            return;
        }
        if self.told.len() >= REMEMBERED {
            self.told.clear();
        }
        self.told.insert(room.clone(), since);
    }

    fn is_told(&self, room: &Group, since: &Position) -> bool {
        self.told.get(room).is_some_and(|told| told.epoch == since.epoch && told.offset >= since.offset)
    }

    /// Takes what the store says, which may be what it has said before; says whether the list has to be read.
    pub(super) fn moved(&mut self, moved: Vec<(Group, Position)>) -> bool {
        let behind = std::mem::take(&mut self.behind);
        let lost = !behind.iter().all(|(room, since)| self.is_told(room, since));
        if lost {
            // What is read now has all of it.
            for (room, since) in behind.into_iter().chain(moved) {
                self.told(&room, since);
            }
        } else {
            self.behind = moved.into_iter().filter(|(room, since)| !self.is_told(room, since)).collect();
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        server::layers::{Event, Value},
        wire::{Content, Message, Offset, Person, Stored, Timestamp, Topic},
    };

    fn at(room: &str, offset: u64) -> (Group, Position) {
        (room.parse().unwrap(), Position { epoch: "e".parse().unwrap(), offset: Offset(offset) })
    }

    fn tell(listing: &mut Listing, room: &str, since: u64) {
        let (room, since) = at(room, since);
        listing.told(&room, since);
    }

    /// What is read of a room: its latest message.
    fn summary(room: &str, offset: u64) -> RoomSummary {
        let from = Person { id: "g1".to_owned(), name: "Ann".to_owned() };
        let (id, key) = (format!("e-{offset}"), "k".parse().unwrap());
        let message = Message { id, key, from, content: Content::default(), at: Timestamp::from_millis(0) };
        RoomSummary { group: room.parse().unwrap(), latest: Some(Stored { offset: Offset(offset), message }) }
    }

    #[test]
    fn what_came_by_the_layer_before_or_soon_after_is_not_read() {
        let mut listing = Listing::default();
        tell(&mut listing, "a", 1);
        assert!(!listing.moved(vec![at("a", 1), at("b", 7)]));
        tell(&mut listing, "b", 7);
        tell(&mut listing, "b", 6);
        for _ in 0..5 {
            assert!(!listing.moved(vec![at("a", 1), at("b", 7)]), "as long as the store says the same");
        }
        assert!(!listing.moved(Vec::new()));
    }

    #[test]
    fn one_reading_at_a_time() {
        let mut listing = Listing::default();
        assert!(!listing.due());
        listing.doubt();
        assert!(listing.due());
        listing.doubt();
        assert!(!listing.due(), "it is being read");
        listing.is_read(&[]);
        assert!(listing.due(), "once more, for what came meanwhile");
        listing.is_read(&[]);
        assert!(!listing.due());
    }

    #[test]
    fn what_members_know_is_not_read_however_long_ago_they_were_told() {
        let mut listing = Listing::default();
        tell(&mut listing, "a", 1);
        for _ in 0..5 {
            assert!(!listing.moved(Vec::new()));
        }
        // Something has become of an older message.
        assert!(!listing.moved(vec![at("a", 1)]));
        assert!(!listing.moved(Vec::new()));
    }

    #[test]
    fn a_stream_begun_anew_is_not_what_members_were_told_of() {
        let mut listing = Listing::default();
        let (room, position) = at("a", 9);
        listing.told(&room, Position { epoch: "before".parse().unwrap(), ..position });
        assert!(!listing.moved(vec![at("a", 1)]));
        assert!(listing.moved(Vec::new()));
    }

    #[test]
    fn what_was_read_need_not_come() {
        let mut listing = Listing::default();
        assert!(!listing.moved(vec![at("a", 3)]));
        listing.doubt();
        assert!(listing.due());
        listing.is_read(&[summary("a", 3)]);
        assert!(!listing.moved(Vec::new()));
    }

    #[test]
    fn a_change_of_a_message_that_members_were_told_of_has_to_come_too() {
        let mut listing = Listing::default();
        tell(&mut listing, "a", 1);
        assert!(!listing.moved(vec![at("a", 2)]));
        tell(&mut listing, "a", 2);
        assert!(!listing.moved(vec![at("a", 3)]), "it came");
        assert!(listing.moved(Vec::new()), "the next one did not");
    }

    #[test]
    fn what_did_not_come_is_read_once() {
        let mut listing = Listing::default();
        tell(&mut listing, "a", 1);
        assert!(!listing.moved(vec![at("a", 2)]));
        assert!(listing.moved(vec![at("b", 1)]));
        assert!(!listing.moved(vec![at("b", 1)]), "it was in the list that was read");
        assert!(!listing.moved(Vec::new()));
        assert!(!listing.moved(Vec::new()));
    }

    /// What the layer says of a room: the offset of its latest message is that of the entry.
    fn news(room: &str, offset: u64) -> Broadcast {
        let from = Value::Map([("id", "g1"), ("name", "Ann")].map(|(key, text)| (key.to_owned(), Value::from(text))).into());
        let latest = Event::new("x")
            .with("message", format!("m{offset}"))
            .with("id", format!("e-{offset}"))
            .with("key", "k")
            .with("from", from)
            .with("at", 0_i64)
            .with("epoch", "e")
            .with("offset", offset.cast_signed());
        let event = Event::new("confab.room").with("group", room).with("latest", Value::Map(latest.fields().clone()));
        Broadcast::new(&Topic::Me, &Arc::new(event.with("since", offset.cast_signed())), None, Instant::now())
    }

    fn told(broadcasts: &[Broadcast]) -> Vec<(&str, u64)> {
        broadcasts.iter().filter_map(Broadcast::listed).map(|(room, since)| (room.as_str(), since.offset.0)).collect()
    }

    #[test]
    fn after_some_news_at_once_the_newest_of_each_room_waits_for_a_beat() {
        let mut listing = Listing::default();
        for offset in 1..=4 {
            assert!(listing.take(news("a", offset)).is_none());
            assert_eq!(told(&listing.told_now()), [("a", offset)]);
            assert_eq!(listing.begins_beat(), offset == 1, "one at a time");
        }
        for (room, offset) in [("a", 5), ("b", 1), ("a", 7), ("a", 6), ("c", 1), ("b", 2)] {
            assert!(listing.take(news(room, offset)).is_none());
            assert!(listing.told_now().is_empty());
        }
        listing.beat();
        assert_eq!(told(&listing.told_now()), [("a", 7), ("c", 1), ("b", 2)]);
        assert!(!listing.moved(vec![at("a", 7), at("b", 2)]) && !listing.moved(Vec::new()), "all of it is told");
        for _ in 0..AT_ONCE {
            assert!(listing.begins_beat());
            listing.beat();
            assert!(listing.told_now().is_empty());
        }
        assert!(!listing.begins_beat(), "there is nothing to wait for");
    }

    #[test]
    fn very_many_rooms_do_not_wait() {
        let mut listing = Listing::default();
        for room in 0..10 * MOST_WAITING {
            listing.take(news(&format!("r{room}"), 1));
            listing.told_now();
            assert!(listing.waiting.len() < MOST_WAITING);
        }
    }
}
