//! Rooms that last as long as the process.
//!
//! Each room is a ring of its newest messages, and the rooms stand in a line by their activity. When there are too many rooms,
//! or too much text in all of them, the room that has been silent for longest is dropped; its next stream gets another epoch, so
//! that no position of the old one seems to hold.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{
    Appended, Commits, NewMessage, Page, Slice, Store, StoreError,
    commits::{InFlight, Outbox, Ticket},
    epoch::EpochSeed,
    page::{self, Allowance, Run},
};
use crate::wire::{Epoch, Group, Key, Offset, Position, RoomSummary, Stored};

/// A [`Store`] in memory: idempotent within what is held, and gone with the process.
///
/// It holds the newest messages of each room, as many as [`MemoryStore::new`] is told, of at most 10,000 rooms with at most 256 MiB of
/// text in total. Beyond that the room that has been silent for longest is dropped, though never the one that was written to last.
#[derive(Debug)]
pub struct MemoryStore {
    in_flight: InFlight,
    /// None when closed.
    rooms: Mutex<Option<Rooms>>,
}

/// What a memory store may hold.
#[derive(Clone, Copy, Debug)]
struct Limits {
    messages_per_room: usize,
    rooms: usize,
    /// Of text, in all rooms together.
    bytes: usize,
}

impl MemoryStore {
    /// An empty store that holds the newest `per_room` messages of each room, at least one, and the end on which its commits arrive.
    pub fn new(per_room: usize) -> (Self, Commits) {
        Self::with(Limits { messages_per_room: per_room.max(1), rooms: 10_000, bytes: 256 << 20 })
    }

    fn with(limits: Limits) -> (Self, Commits) {
        let (outbox, commits) = Outbox::new();
        let rooms = Rooms {
            limits,
            outbox,
            seed: EpochSeed::random(),
            by_name: HashMap::new(),
            by_activity: BTreeMap::new(),
            messages: 0,
            bytes: 0,
        };
        (Self { in_flight: InFlight::new(), rooms: Mutex::new(Some(rooms)) }, commits)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, message: NewMessage) -> Result<Appended, StoreError> {
        let (ticket, answer) = self.in_flight.enter(&message).await?;
        self.rooms.lock().as_mut().ok_or_else(StoreError::closed)?.append(message, ticket);
        answer.wait().await
    }

    async fn read(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Result<Page, StoreError> {
        self.rooms.lock().as_ref().map(|rooms| rooms.read(group, slice, count, bytes)).ok_or_else(StoreError::closed)
    }

    async fn rooms(&self, count: usize) -> Result<Vec<RoomSummary>, StoreError> {
        self.rooms.lock().as_ref().map(|rooms| rooms.newest(count)).ok_or_else(StoreError::closed)
    }

    async fn close(&self) {
        *self.rooms.lock() = None;
    }
}

#[derive(Debug)]
struct Rooms {
    limits: Limits,
    outbox: Outbox,
    /// For the epochs of the rooms that are not held.
    seed: EpochSeed,
    by_name: HashMap<Group, Room>,
    /// The rooms by the number of their newest message.
    by_activity: BTreeMap<u64, Group>,
    /// How many messages have come in.
    messages: u64,
    /// Of text, in all rooms.
    bytes: usize,
}

impl Rooms {
    /// Stores the message and sends it on its way while nobody else can: the order of the commits is that of the offsets.
    fn append(&mut self, message: NewMessage, ticket: Ticket) {
        let group = &message.group;
        let room = self.by_name.entry(group.clone()).or_insert_with(|| Room::new(self.seed.epoch_of(group)));
        if let Some(offset) = room.offset_of(&message) {
            let position = Position { epoch: room.epoch.clone(), offset };
            ticket.answer(Ok(Appended { position, fresh: false }));
            return;
        }
        self.messages += 1;
        self.by_activity.remove(&room.activity);
        self.by_activity.insert(self.messages, group.clone());
        room.activity = self.messages;
        self.bytes += message.text.len();
        let position = room.push(message.clone());
        while room.messages.len() > self.limits.messages_per_room {
            self.bytes -= room.drop_oldest();
        }
        self.drop_silent_rooms();
        self.outbox.committed(message, position, ticket);
    }

    fn drop_silent_rooms(&mut self) {
        while self.by_name.len() > 1 && (self.by_name.len() > self.limits.rooms || self.bytes > self.limits.bytes) {
            let Some((_, group)) = self.by_activity.pop_first() else { return };
            let Some(room) = self.by_name.remove(&group) else { return };
            self.bytes -= room.messages.iter().map(|stored| stored.message.text.len()).sum::<usize>();
            // The name's next stream begins at offset 1 again, and must not pass for the one that is dropped.
            self.seed = EpochSeed::random();
        }
    }

    fn read(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Page {
        match self.by_name.get(group) {
            Some(room) => room.read(slice, count, bytes),
            None => Room::new(self.seed.epoch_of(group)).read(slice, count, bytes),
        }
    }

    fn newest(&self, count: usize) -> Vec<RoomSummary> {
        let groups = self.by_activity.values().rev().take(count);
        groups.map(|group| RoomSummary { group: group.clone(), latest: self.latest(group) }).collect()
    }

    fn latest(&self, group: &Group) -> Option<Stored> {
        self.by_name.get(group)?.messages.back().cloned()
    }
}

/// A room's stream and its newest messages.
#[derive(Debug)]
struct Room {
    epoch: Epoch,
    head: Offset,
    messages: VecDeque<Stored>,
    /// Where the messages stand that are held, by author and key.
    keys: HashMap<(String, Key), Offset>,
    /// The number of the newest message among those of all rooms.
    activity: u64,
}

impl Room {
    fn new(epoch: Epoch) -> Self {
        Self { epoch, head: Offset::START, messages: VecDeque::new(), keys: HashMap::new(), activity: 0 }
    }

    fn offset_of(&self, message: &NewMessage) -> Option<Offset> {
        self.keys.get(&(message.from.id.clone(), message.key.clone())).copied()
    }

    fn push(&mut self, message: NewMessage) -> Position {
        self.head = self.head.next();
        let position = Position { epoch: self.epoch.clone(), offset: self.head };
        self.keys.insert((message.from.id.clone(), message.key.clone()), self.head);
        self.messages.push_back(message.stored_at(&position));
        position
    }

    /// Returns how many bytes of text are gone.
    fn drop_oldest(&mut self) -> usize {
        let Some(Stored { message, .. }) = self.messages.pop_front() else { return 0 };
        self.keys.remove(&(message.from.id, message.key));
        message.text.len()
    }

    fn first(&self) -> Offset {
        self.messages.front().map_or(self.head.next(), |oldest| oldest.offset)
    }

    fn read(&self, slice: Slice, count: usize, bytes: usize) -> Page {
        let first = self.first();
        let taken = page::cut(slice, first, self.head, count, bytes, |run, allowance| Ok(self.take(run, allowance)));
        let messages = taken.unwrap_or_else(|impossible: Infallible| match impossible {});
        Page { head: Position { epoch: self.epoch.clone(), offset: self.head }, first, messages }
    }

    fn take(&self, run: Run, allowance: &mut Allowance) -> Vec<Stored> {
        let admitted = |stored: &&Stored| allowance.admits(stored.message.text.len());
        match run {
            Run::From(offset) => self.messages.range(self.index_of(offset)..).take_while(admitted).cloned().collect(),
            Run::UpTo(offset) => {
                self.messages.range(..self.index_of(offset.next())).rev().take_while(admitted).cloned().collect()
            }
        }
    }

    /// Where the first message at or after the offset is: the offsets have no gap.
    fn index_of(&self, offset: Offset) -> usize {
        let distance = offset.0.saturating_sub(self.first().0);
        usize::try_from(distance).map_or(self.messages.len(), |distance| distance.min(self.messages.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Person, Timestamp};

    fn message(room: &str, text: &str, number: u64) -> NewMessage {
        NewMessage {
            group: room.parse().expect("a group name"),
            key: format!("key-{number}").parse().expect("a key"),
            from: Person { id: "ann".to_owned(), name: "Ann".to_owned() },
            text: text.to_owned(),
            at: Timestamp::from_millis(0),
        }
    }

    async fn fill(store: &MemoryStore, room: &str, count: u64, text: &str) -> Appended {
        for number in 1..count {
            store.append(message(room, text, number)).await.expect("stored");
        }
        store.append(message(room, text, count)).await.expect("stored")
    }

    async fn latest(store: &MemoryStore, room: &str) -> Page {
        store.read(&room.parse().expect("a group name"), Slice::Latest, 100, usize::MAX).await.expect("a page")
    }

    fn offsets(page: &Page) -> Vec<u64> {
        page.messages.iter().map(|stored| stored.offset.0).collect()
    }

    #[tokio::test]
    async fn the_oldest_messages_go_and_offsets_rise_on() {
        let (store, _) = MemoryStore::new(3);
        fill(&store, "lobby", 5, "x").await;
        let page = latest(&store, "lobby").await;
        assert_eq!((page.first, page.head.offset, offsets(&page)), (Offset(3), Offset(5), vec![3, 4, 5]));
        let lobby = "lobby".parse().expect("a group name");
        let after = |offset| store.read(&lobby, Slice::After(Offset(offset)), 100, usize::MAX);
        assert_eq!(offsets(&after(0).await.expect("a page")), [3, 4, 5], "what is left; `first` says that 1 and 2 are gone");
        assert_eq!(offsets(&after(3).await.expect("a page")), [4, 5]);
        let around = store.read(&lobby, Slice::Around(Offset(1)), 2, usize::MAX).await.expect("a page");
        assert_eq!(offsets(&around), [3]);
    }

    #[tokio::test]
    async fn a_key_is_known_as_long_as_its_message_is_held() {
        let (store, _) = MemoryStore::new(2);
        fill(&store, "lobby", 3, "x").await;
        let held = store.append(message("lobby", "x", 2)).await.expect("stored");
        assert_eq!((held.position.offset, held.fresh), (Offset(2), false));
        let gone = store.append(message("lobby", "x", 1)).await.expect("stored");
        assert_eq!((gone.position.offset, gone.fresh), (Offset(4), true));
    }

    #[tokio::test]
    async fn the_longest_silent_room_goes_first_and_comes_back_with_another_epoch() {
        let (store, _) = MemoryStore::with(Limits { messages_per_room: 10, rooms: 2, bytes: usize::MAX });
        let old = fill(&store, "a", 2, "x").await;
        fill(&store, "b", 1, "x").await;
        store.append(message("a", "x", 3)).await.expect("stored");
        fill(&store, "c", 1, "x").await;
        let names: Vec<_> = store.rooms(9).await.expect("rooms").iter().map(|room| room.group.to_string()).collect();
        assert_eq!(names, ["c", "a"], "b was silent for longest");
        fill(&store, "d", 1, "x").await;
        let page = latest(&store, "a").await;
        assert_eq!((page.first, page.head.offset, page.messages.len()), (Offset(1), Offset(0), 0));
        assert_ne!(page.head.epoch, old.position.epoch);
        let again = fill(&store, "a", 1, "x").await;
        assert_eq!((again.position.epoch, again.fresh), (page.head.epoch, true));
    }

    #[tokio::test]
    async fn text_is_bounded_over_all_rooms() {
        let (store, _) = MemoryStore::with(Limits { messages_per_room: 2, rooms: 9, bytes: 100 });
        fill(&store, "a", 5, &"x".repeat(40)).await;
        assert_eq!(offsets(&latest(&store, "a").await), [4, 5], "what the ring has dropped counts no more");
        fill(&store, "b", 1, &"x".repeat(20)).await;
        assert_eq!(store.rooms(9).await.expect("rooms").len(), 2, "exactly 100 bytes");
        fill(&store, "c", 1, "x").await;
        assert_eq!(offsets(&latest(&store, "a").await), [0_u64; 0]);
        assert_eq!(offsets(&latest(&store, "b").await), [1]);
        fill(&store, "d", 1, &"x".repeat(1_000)).await;
        assert_eq!(store.rooms(9).await.expect("rooms").len(), 1, "the newest room stays, whatever it holds");
    }
}
