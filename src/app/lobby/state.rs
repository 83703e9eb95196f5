//! The state of the list of rooms, and what stands between its page and the browser.

use std::sync::Arc;

use leptos::{html, prelude::*};

use crate::{
    app::{
        feed::{Feed, Reducer},
        status::{Loading, Status},
    },
    wire::{Content, Event, Group, MessageId, Offset, RoomList, RoomSummary, State, Stored, Timestamp},
};

/// The rooms that the page knows, newest activity first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LobbyState {
    rooms: Vec<RoomSummary>,
    /// What to ask with for the rooms after these; none where all are known.
    next: Option<String>,
    /// The name that was last asked for, and what to ask with for more rooms that have it.
    found: Option<(String, Option<String>)>,
    /// There are none between the rooms that it knows.
    level: bool,
    feed: Feed,
}

impl LobbyState {
    /// The beginning of the list of all rooms.
    pub fn new(RoomList { rooms, next }: RoomList) -> Self {
        Self { rooms, next, found: None, level: true, feed: Feed::default() }
    }

    /// The same, of a list that is followed already.
    pub fn begin_anew(&mut self, list: RoomList) {
        *self = Self { feed: std::mem::take(&mut self.feed), ..Self::new(list) };
    }

    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// False where there may be others between the rooms that it knows: they have to be read anew.
    pub fn is_level(&self) -> bool {
        self.level
    }

    /// The beginning of the list of those that have the name; of the others nothing is known.
    pub(super) fn named(name: &str, RoomList { rooms, next }: RoomList) -> Self {
        if name.is_empty() {
            return Self::new(RoomList { rooms, next });
        }
        Self { next: Some(String::new()), found: Some((name.to_owned(), next)), ..Self::new(RoomList { rooms, next: None }) }
    }

    pub fn rooms(&self) -> &[RoomSummary] {
        &self.rooms
    }

    /// The rooms that have this in their names, in any case.
    pub(super) fn with_name(&self, name: &str) -> impl Iterator<Item = &RoomSummary> {
        let name = name.to_ascii_lowercase();
        self.rooms.iter().filter(move |room| room.group.as_str().to_ascii_lowercase().contains(&name))
    }

    /// What to ask with for more rooms that have this in their names, which is nothing where they have not been asked for yet; none
    /// where all are known.
    pub fn next(&self, name: &str) -> Option<&str> {
        let next = self.next.as_deref()?;
        if name.is_empty() {
            return Some(next);
        }
        match &self.found {
            Some((asked, next)) if asked == name => next.as_deref(),
            // Who has the longer name has the shorter one.
            Some((asked, None)) if name.contains(asked) => None,
            _ => Some(""),
        }
    }

    /// More rooms that have this in their names were read.
    pub fn read(&mut self, name: &str, RoomList { rooms, next }: RoomList) {
        for room in rooms {
            self.apply(room);
        }
        if name.is_empty() {
            self.next = next;
        } else {
            self.found = Some((name.to_owned(), next));
        }
    }

    pub(super) fn room(&self, group: &Group) -> Option<&RoomSummary> {
        self.rooms.iter().find(|room| room.group == *group)
    }

    /// Takes in a room's latest message, or what has become of it; what is older than what is shown changes nothing.
    pub fn apply(&mut self, news: RoomSummary) {
        if self.room(&news.group).is_some_and(|known| is_older(&news, known)) {
            return;
        }
        self.rooms.retain(|room| room.group != news.group);
        let place = self.rooms.partition_point(|room| at(room) > at(&news));
        self.rooms.insert(place, news);
    }
}

impl Reducer for LobbyState {
    fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// These are the newest rooms; those after them stay.
    fn snapshot(&mut self, _: bool, state: State) {
        let rooms = state.rooms.unwrap_or_default();
        let Some(oldest) = rooms.iter().map(at).min() else { return self.begin_anew(RoomList::default()) };
        self.level = self.next.as_deref() != Some("") && self.rooms.iter().any(|known| at(known) >= oldest);
        self.rooms.retain(|known| at(known) < oldest && !rooms.iter().any(|room| room.group == known.group));
        self.rooms.splice(..0, rooms);
    }

    fn event(&mut self, _: Option<Offset>, event: Event) {
        if let Event::Room(news) = event {
            self.apply(news);
        }
    }
}

fn at(room: &RoomSummary) -> Option<Timestamp> {
    room.latest.as_ref().map(|latest| latest.message.at)
}

/// Whether this says less of a room than what is known. Its stream tells which message is the later one, for the times of messages
/// are by the clocks of several nodes; only those of different streams, of nodes with a store each, have nothing else.
fn is_older(news: &RoomSummary, known: &RoomSummary) -> bool {
    let (Some(news), Some(known)) = (&news.latest, &known.latest) else { return known.latest.is_some() };
    let stream = |stored: &Stored| stored.message.id.parse::<MessageId>().map(|id| id.epoch).ok();
    let place = |stored: &Stored| {
        let Content { deleted, edited, .. } = stored.message.content;
        (stored.offset, deleted, edited)
    };
    if stream(news) == stream(known) {
        place(news) < place(known)
    } else {
        (news.message.at, place(news)) < (known.message.at, place(known))
    }
}

/// Between the list of rooms and the browser.
#[derive(Clone, Copy)]
pub struct LobbyLink {
    pub state: RwSignal<LobbyState>,
    pub status: RwSignal<Status>,
    /// What the reader is called, as in a room.
    pub called: RwSignal<String>,
    /// What the rooms that are shown have in their names.
    pub name: RwSignal<String>,
    /// It begins with the newest and shows what is new; else it stays as it is.
    pub first: bool,
    /// Further rooms are on their way, or could not be had.
    pub loading: RwSignal<Loading>,
    /// The element with the rooms in it.
    pub list: NodeRef<html::Ul>,
    /// Has further rooms with that name read; filled in by the browser.
    pub read: StoredValue<Option<Arc<dyn Fn() + Send + Sync>>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Content, Joined, Message, Offset, Person, Stored, Timestamp, Topic};

    fn summary(group: &str, offset: u64, at: i64) -> RoomSummary {
        let message = Message {
            id: format!("{group}-{offset}"),
            key: "k".parse().expect("a key"),
            from: Person::new("ann", "Ann"),
            content: Content::new("hello"),
            at: Timestamp::from_millis(at),
        };
        RoomSummary { group: group.parse().expect("a group"), latest: Some(Stored { offset: Offset(offset), message }) }
    }

    fn state(rooms: Vec<RoomSummary>) -> LobbyState {
        LobbyState::new(RoomList { rooms, next: None })
    }

    fn names<'s>(state: &'s LobbyState, name: &str) -> Vec<&'s str> {
        state.with_name(name).map(|room| room.group.as_str()).collect()
    }

    fn list(rooms: Vec<RoomSummary>, next: Option<&str>) -> RoomList {
        RoomList { rooms, next: next.map(str::to_owned) }
    }

    #[test]
    fn rooms_are_found_by_a_part_of_their_names_and_asked_for_where_not_all_are_known() {
        let mut state = LobbyState::new(list(vec![summary("Design", 5, 50), summary("ops", 3, 40)], Some("7-")));
        assert_eq!((names(&state, "SIG"), state.next("sig"), state.next("")), (vec!["Design"], Some(""), Some("7-")));
        state.read("sig", list(vec![summary("Design", 5, 50), summary("signals", 2, 20)], Some("4-")));
        assert_eq!((names(&state, "sig"), state.next("sig")), (vec!["Design", "signals"], Some("4-")));
        state.read("sig", list(vec![summary("old-sigma", 2, 10)], None));
        assert_eq!((names(&state, "sig"), state.next("sig")), (vec!["Design", "signals", "old-sigma"], None));
        assert_eq!((state.next("sigm"), state.next("op")), (None, Some("")), "the longer name is known as well");
        state.read("", list(vec![summary("last", 1, 1)], None));
        assert_eq!((state.next(""), state.next("op")), (None, None));
    }

    /// Takes in the answer to a join; false where the list has to be read anew.
    fn joins(list: &mut LobbyState, rooms: Vec<RoomSummary>) -> bool {
        let at = Joined { topic: Topic::Lobby, epoch: "list".parse().expect("an epoch"), offset: Offset::START };
        list.joined(at, State { rooms: Some(rooms), ..State::default() });
        list.is_level()
    }

    #[test]
    fn a_join_brings_the_newest_and_leaves_what_was_read_after_them() {
        let mut state = LobbyState::new(list(vec![summary("a", 5, 50), summary("b", 4, 40), summary("c", 3, 30)], Some("2-")));
        state.read("", list(vec![summary("d", 2, 20)], Some("1-")));
        assert!(joins(&mut state, vec![summary("e", 1, 60), summary("a", 5, 50), summary("b", 4, 40)]));
        assert_eq!((names(&state, ""), state.next("")), (vec!["e", "a", "b", "c", "d"], Some("1-")));
        // What is no longer among the newest is gone.
        assert!(joins(&mut state, vec![summary("e", 1, 60), summary("b", 4, 40)]));
        assert_eq!(names(&state, ""), ["e", "b", "c", "d"]);
        // There may be others between.
        assert!(!joins(&mut state, vec![summary("f", 1, 80), summary("g", 4, 70)]));
        assert_eq!(names(&state, ""), ["f", "g", "e", "b", "c", "d"]);
        assert!(joins(&mut state, vec![]));
        assert_eq!((names(&state, ""), state.next("")), (vec![], None));
    }

    #[test]
    fn the_newest_room_is_first_and_each_is_there_once() {
        let mut state = state(vec![summary("b", 5, 50), summary("a", 3, 30)]);
        state.apply(summary("a", 4, 60));
        state.apply(summary("c", 1, 55));
        let names: Vec<_> = state.rooms().iter().map(|room| room.group.to_string()).collect();
        assert_eq!(names, ["a", "c", "b"]);
    }

    #[test]
    fn what_was_said_later_is_the_latest_although_its_node_has_a_slow_clock() {
        let mut state = state(vec![summary("b", 5, 50), summary("a", 3, 40)]);
        for _ in 0..2 {
            state.apply(summary("a", 4, 30));
            assert_eq!(state.rooms(), [summary("b", 5, 50), summary("a", 4, 30)]);
            state.apply(summary("a", 3, 40));
        }
        // Of another node's stream, whose offsets have nothing to do with these.
        let mut other = summary("a", 1, 60);
        other.latest.as_mut().expect("a message").message.id = "x-1".to_owned();
        state.apply(other.clone());
        state.apply(summary("a", 5, 55));
        assert_eq!(state.rooms(), [other, summary("b", 5, 50)]);
    }

    #[test]
    fn what_becomes_of_a_latest_message_stays() {
        let first = summary("a", 3, 30);
        let amended = |deleted, edited: Option<i64>| {
            let mut room = first.clone();
            let content = &mut room.latest.as_mut().expect("a message").message.content;
            (content.deleted, content.edited) = (deleted, edited.map(Timestamp::from_millis));
            room
        };
        let mut state = state(vec![summary("b", 5, 50), first.clone()]);
        for room in [amended(false, Some(40)), amended(false, Some(41)), amended(true, None)] {
            state.apply(room.clone());
            state.apply(first.clone());
            assert_eq!(state.rooms()[1], room);
        }
    }

    #[test]
    fn of_two_edits_of_one_moment_the_one_that_comes_later_is_shown() {
        let edited = |text: &str| {
            let mut room = summary("a", 3, 30);
            let content = &mut room.latest.as_mut().expect("a message").message.content;
            *content = Content { edited: Some(Timestamp::from_millis(40)), ..Content::new(text) };
            room
        };
        let mut state = state(vec![summary("a", 3, 30)]);
        for text in ["first", "second"] {
            state.apply(edited(text));
            assert_eq!(state.rooms(), [edited(text)]);
        }
    }

    #[test]
    fn older_news_changes_nothing() {
        let mut state = state(vec![summary("b", 5, 50), summary("a", 3, 30)]);
        let before = state.clone();
        state.apply(summary("b", 4, 49));
        state.apply(summary("a", 3, 30));
        assert_eq!(state, before);
    }
}
