//! Whether the members of the list of rooms have heard of everything, where several nodes write to one store.
//!
//! The list has no stream with offsets of its own. But of each latest message, and of each change of it, an event comes by the layer,
//! and the store says which rooms have moved on. Both name the entry of the room that made the latest message what it is. What the
//! store says and no event has said by the next time was lost: then the list is read and sent once more.

use std::collections::HashMap;

use crate::wire::{Group, MessageId, Position, RoomSummary};

/// See the module.
#[derive(Default)]
pub(super) struct Listing {
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
    use super::*;
    use crate::wire::{Content, Message, Offset, Person, Stored, Timestamp};

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
}
