//! What the members of a latest feed are told, and whether they have heard of everything where several nodes write to one store.
//!
//! In the long run they are told four times a second, of each key what is newest: what comes meanwhile waits, and replaces what waits of
//! the same key. So not every message of a busy server goes to everybody who looks at the list of rooms.
//!
//! Such a feed has no stream with offsets of its own, but versions of its keys. Both the events of the layer and what the feed's source
//! says name them. What the source says and no event has said by the next time was lost: then the feed is read and sent once more.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::{
    broadcast::Broadcast,
    conflate::Conflated,
    feed::{Entry, FeedKey, Place},
};
use crate::wire::Position;

/// See the module.
#[derive(Default)]
pub(super) struct Latest {
    /// What members are to be told of each key.
    news: Conflated<Broadcast>,
    /// Up to which versions members were told.
    told: HashMap<FeedKey, Position>,
    /// What the source said last and members were not told until then; most often it was on its way.
    behind: Vec<(FeedKey, Position)>,
    /// The feed is being read.
    reading: bool,
    /// It has to be read once more.
    wanted: bool,
}

/// With more keys told of they are forgotten, which costs a reading at most.
const REMEMBERED: usize = 10_000;

impl Latest {
    /// Takes in what members are to be told of a key; gives back what tells of none.
    pub(super) fn take(&mut self, broadcast: Broadcast) -> Option<Broadcast> {
        let Some((key, version)) = broadcast.newest() else { return Some(broadcast) };
        let (key, version) = (Arc::clone(key), version.clone());
        self.news.take(&key, version.clone(), broadcast);
        self.told(&key, version);
        None
    }

    /// What members are told now, in the order in which it came.
    pub(super) fn told_now(&mut self) -> Vec<Broadcast> {
        as_of_now(self.news.told_now())
    }

    /// What waits, whether it is time or not.
    pub(super) fn all_waiting(&mut self) -> Vec<Broadcast> {
        as_of_now(self.news.all_waiting())
    }

    /// A beat is over.
    pub(super) fn beat(&mut self) {
        self.news.beat();
    }

    /// Whether a beat begins now. If so, the caller sees to its end.
    pub(super) fn begins_beat(&mut self) -> bool {
        self.news.begins_beat()
    }

    /// Something may have been lost that nothing will show.
    pub(super) fn doubt(&mut self) {
        self.wanted = true;
    }

    /// Whether the feed has to be read now. If so, the caller does.
    pub(super) fn due(&mut self) -> bool {
        let due = self.wanted && !self.reading;
        if due {
            (self.reading, self.wanted) = (true, false);
        }
        due
    }

    /// What was read is there, and members are told of it.
    pub(super) fn is_read(&mut self, entries: &[Entry]) {
        self.reading = false;
        for Entry { place, .. } in entries {
            if let Place::Newest(key, version) = place {
                self.told(key, version.clone());
            }
        }
    }

    /// Members are told of a key, which is what it is since this version.
    fn told(&mut self, key: &FeedKey, version: Position) {
        if self.is_told(key, &version) {
            return;
        }
        if self.told.len() >= REMEMBERED {
            self.told.clear();
        }
        self.told.insert(Arc::clone(key), version);
    }

    fn is_told(&self, key: &FeedKey, version: &Position) -> bool {
        self.told.get(key).is_some_and(|told| told.epoch == version.epoch && told.offset >= version.offset)
    }

    /// Takes what the source says, which may be what it has said before; says whether the feed has to be read.
    pub(super) fn moved(&mut self, moved: Vec<(FeedKey, Position)>) -> bool {
        let behind = std::mem::take(&mut self.behind);
        let lost = !behind.iter().all(|(key, version)| self.is_told(key, version));
        if lost {
            // What is read now has all of it.
            for (key, version) in behind.into_iter().chain(moved) {
                self.told(&key, version);
            }
        } else {
            self.behind = moved.into_iter().filter(|(key, version)| !self.is_told(key, version)).collect();
        }
        lost
    }
}

/// That it has waited says nothing of how fast members are written to.
fn as_of_now(mut broadcasts: Vec<Broadcast>) -> Vec<Broadcast> {
    let now = Instant::now();
    for broadcast in &mut broadcasts {
        broadcast.arrived = now;
    }
    broadcasts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        server::hub::{
            conflate::{AT_ONCE, MOST_WAITING},
            testing::said,
        },
        wire::{Offset, Topic},
    };

    fn at(key: &str, offset: u64) -> (FeedKey, Position) {
        (key.into(), Position { epoch: "e".parse().unwrap(), offset: Offset(offset) })
    }

    fn tell(latest: &mut Latest, key: &str, version: u64) {
        let (key, version) = at(key, version);
        latest.told(&key, version);
    }

    fn entry(key: &str, offset: u64) -> Entry {
        let (key, version) = at(key, offset);
        said(Place::Newest(key, version), "text")
    }

    #[test]
    fn what_came_by_the_layer_before_or_soon_after_is_not_read() {
        let mut latest = Latest::default();
        tell(&mut latest, "a", 1);
        assert!(!latest.moved(vec![at("a", 1), at("b", 7)]));
        tell(&mut latest, "b", 7);
        tell(&mut latest, "b", 6);
        for _ in 0..5 {
            assert!(!latest.moved(vec![at("a", 1), at("b", 7)]), "as long as the store says the same");
        }
        assert!(!latest.moved(Vec::new()));
    }

    #[test]
    fn one_reading_at_a_time() {
        let mut latest = Latest::default();
        assert!(!latest.due());
        latest.doubt();
        assert!(latest.due());
        latest.doubt();
        assert!(!latest.due(), "it is being read");
        latest.is_read(&[]);
        assert!(latest.due(), "once more, for what came meanwhile");
        latest.is_read(&[]);
        assert!(!latest.due());
    }

    #[test]
    fn what_members_know_is_not_read_however_long_ago_they_were_told() {
        let mut latest = Latest::default();
        tell(&mut latest, "a", 1);
        for _ in 0..5 {
            assert!(!latest.moved(Vec::new()));
        }
        // Something has become of an older message.
        assert!(!latest.moved(vec![at("a", 1)]));
        assert!(!latest.moved(Vec::new()));
    }

    #[test]
    fn a_stream_begun_anew_is_not_what_members_were_told_of() {
        let mut latest = Latest::default();
        let (room, position) = at("a", 9);
        latest.told(&room, Position { epoch: "before".parse().unwrap(), ..position });
        assert!(!latest.moved(vec![at("a", 1)]));
        assert!(latest.moved(Vec::new()));
    }

    #[test]
    fn what_was_read_need_not_come() {
        let mut latest = Latest::default();
        assert!(!latest.moved(vec![at("a", 3)]));
        latest.doubt();
        assert!(latest.due());
        latest.is_read(&[entry("a", 3)]);
        assert!(!latest.moved(Vec::new()));
    }

    #[test]
    fn a_change_of_a_message_that_members_were_told_of_has_to_come_too() {
        let mut latest = Latest::default();
        tell(&mut latest, "a", 1);
        assert!(!latest.moved(vec![at("a", 2)]));
        tell(&mut latest, "a", 2);
        assert!(!latest.moved(vec![at("a", 3)]), "it came");
        assert!(latest.moved(Vec::new()), "the next one did not");
    }

    #[test]
    fn what_did_not_come_is_read_once() {
        let mut latest = Latest::default();
        tell(&mut latest, "a", 1);
        assert!(!latest.moved(vec![at("a", 2)]));
        assert!(latest.moved(vec![at("b", 1)]));
        assert!(!latest.moved(vec![at("b", 1)]), "it was in the list that was read");
        assert!(!latest.moved(Vec::new()));
        assert!(!latest.moved(Vec::new()));
    }

    fn news(key: &str, offset: u64) -> Broadcast {
        Broadcast::new(&Topic::Me, entry(key, offset), Instant::now())
    }

    fn told(broadcasts: &[Broadcast]) -> Vec<(&str, u64)> {
        broadcasts.iter().filter_map(Broadcast::newest).map(|(key, version)| (&**key, version.offset.0)).collect()
    }

    #[test]
    fn after_some_news_at_once_the_newest_of_each_room_waits_for_a_beat() {
        let mut latest = Latest::default();
        for offset in 1..=4 {
            assert!(latest.take(news("a", offset)).is_none());
            assert_eq!(told(&latest.told_now()), [("a", offset)]);
            assert_eq!(latest.begins_beat(), offset == 1, "one at a time");
        }
        for (room, offset) in [("a", 5), ("b", 1), ("a", 7), ("a", 6), ("c", 1), ("b", 2)] {
            assert!(latest.take(news(room, offset)).is_none());
            assert!(latest.told_now().is_empty());
        }
        latest.beat();
        assert_eq!(told(&latest.told_now()), [("a", 7), ("c", 1), ("b", 2)]);
        assert!(!latest.moved(vec![at("a", 7), at("b", 2)]) && !latest.moved(Vec::new()), "all of it is told");
        for _ in 0..AT_ONCE {
            assert!(latest.begins_beat());
            latest.beat();
            assert!(latest.told_now().is_empty());
        }
        assert!(!latest.begins_beat(), "there is nothing to wait for");
    }

    #[test]
    fn very_many_rooms_do_not_wait() {
        let mut latest = Latest::default();
        for room in 0..10 * MOST_WAITING {
            latest.take(news(&format!("r{room}"), 1));
            latest.told_now();
            assert!(latest.news.len() < MOST_WAITING);
        }
    }
}
