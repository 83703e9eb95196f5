//! Rooms that last as long as the process.
//!
//! Each room has a ring of its newest messages, as they are now, and one of its newest changes. The rooms stand in a line by their
//! activity. When there are too many rooms, or too much text in all of them, the room that has been silent for longest is dropped; its
//! next stream gets another epoch, so that no position of the old one seems to hold.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
    ops::ControlFlow,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{
    Appended, Bounds, ChangeError, Commits, Entry, Extent, Listed, ListedRoom, Missed, NewChange, NewMessage, Page, Refused,
    Slice, Store, StoreError, What, Within,
    change::{Others, edit_as_it_is_now},
    commits::{InFlight, Made, Outbox, Ticket},
    epoch::EpochSeed,
    listing::Picking,
    page::{self, Allowance, Run, bytes_as_sent},
};
use crate::wire::{Change, Emoji, Epoch, Group, Key, Message, Offset, Position, RoomSummary, Stored};

/// A [`Store`] in memory: idempotent within what is held, and gone with the process.
///
/// It holds the newest messages of each room, as many as [`MemoryStore::new`] is told, and eight times as many of their changes. And it
/// holds at most 10,000 rooms with at most 256 MiB of text in total. Beyond that the room that has been silent for longest is
/// dropped, though never the one that was written to last.
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
    changes_per_room: usize,
    rooms: usize,
    /// Of text, in all rooms together.
    bytes: usize,
}

impl MemoryStore {
    /// An empty store that holds the newest `per_room` messages of each room, at least one, and the end on which its commits arrive.
    pub fn new(per_room: usize) -> (Self, Commits) {
        let messages_per_room = per_room.max(1);
        let changes_per_room = messages_per_room.saturating_mul(8);
        Self::with(Limits { messages_per_room, changes_per_room, rooms: 10_000, bytes: 256 << 20 })
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
        let (ticket, answer) = self.in_flight.enter(message.text.len()).await?;
        self.rooms.lock().as_mut().ok_or_else(StoreError::closed)?.append(message, ticket);
        Ok(answer.wait().await?)
    }

    async fn change(&self, change: NewChange) -> Result<Appended, ChangeError> {
        let (ticket, answer) = self.in_flight.enter(change.text_bytes()).await?;
        self.rooms.lock().as_mut().ok_or_else(StoreError::closed)?.change(&change, ticket);
        answer.wait().await
    }

    async fn read(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Result<Page, StoreError> {
        self.rooms.lock().as_ref().map(|rooms| rooms.read(group, slice, count, bytes)).ok_or_else(StoreError::closed)
    }

    async fn entries(&self, group: &Group, after: Offset, count: usize, bytes: usize) -> Result<Missed, StoreError> {
        self.rooms.lock().as_ref().map(|rooms| rooms.entries(group, after, count, bytes)).ok_or_else(StoreError::closed)
    }

    async fn reacted(&self, group: &Group, person: &str, messages: &[Offset]) -> Result<Vec<(Offset, Vec<Emoji>)>, StoreError> {
        let rooms = self.rooms.lock();
        let room = rooms.as_ref().ok_or_else(StoreError::closed)?.by_name.get(group);
        Ok(room.map_or_else(Vec::new, |room| room.reacted(person, messages)))
    }

    async fn list(&self, within: &Within, before: Option<u64>, count: usize) -> Result<Listed, StoreError> {
        self.rooms.lock().as_ref().map(|rooms| rooms.list(within, before, count)).ok_or_else(StoreError::closed)
    }

    async fn groups(&self, after: Option<&Group>, count: usize) -> Result<Vec<Extent>, StoreError> {
        self.rooms.lock().as_ref().map(|rooms| rooms.groups(after, count)).ok_or_else(StoreError::closed)
    }

    async fn forget(&self, group: &Group, bounds: Bounds) -> Result<bool, StoreError> {
        Ok(self.rooms.lock().as_mut().ok_or_else(StoreError::closed)?.forget(group, bounds))
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
        let group = message.group.clone();
        let room = self.by_name.entry(group.clone()).or_insert_with(|| Room::new(self.seed.epoch_of(&group)));
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
        let (epoch, stored) = room.push(message);
        self.bytes -= room.drop_oldest(self.limits);
        self.drop_silent_rooms();
        self.outbox.entry(group, Made { epoch, entry: stored.into(), latest: None }, ticket);
    }

    /// Changes a message and says so, as above.
    fn change(&mut self, change: &NewChange, ticket: Ticket) {
        let room = self.by_name.get_mut(&change.group).filter(|room| room.epoch == change.id.epoch);
        let Some(changed) = room.map(|room| room.change(change)) else {
            return ticket.answer(Err(ChangeError::Refused(Refused::NotFound)));
        };
        match changed {
            Ok(Changed { made: Some((entry, latest)), epoch, grown, shrunk, .. }) => {
                self.bytes = self.bytes + grown - shrunk;
                if let Some(room) = self.by_name.get_mut(&change.group) {
                    self.bytes -= room.drop_oldest(self.limits);
                }
                self.drop_silent_rooms();
                self.outbox.entry(change.group.clone(), Made { epoch, entry, latest }, ticket);
            }
            Ok(Changed { made: None, epoch, last, .. }) => {
                ticket.answer(Ok(Appended { position: Position { epoch, offset: last }, fresh: false }));
            }
            Err(refused) => ticket.answer(Err(ChangeError::Refused(refused))),
        }
    }

    fn drop_silent_rooms(&mut self) {
        while self.by_name.len() > 1 && (self.by_name.len() > self.limits.rooms || self.bytes > self.limits.bytes) {
            let Some((_, group)) = self.by_activity.pop_first() else { return };
            let Some(room) = self.by_name.remove(&group) else { return };
            self.bytes -= room.messages.iter().map(|held| held.stored.message.content.text.len()).sum::<usize>();
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

    fn entries(&self, group: &Group, after: Offset, count: usize, bytes: usize) -> Missed {
        match self.by_name.get(group) {
            Some(room) => room.missed(after, Allowance::new(count, bytes)),
            None => Room::new(self.seed.epoch_of(group)).missed(after, Allowance::new(0, 0)),
        }
    }

    fn groups(&self, after: Option<&Group>, count: usize) -> Vec<Extent> {
        let mut rooms: Vec<_> = self.by_name.iter().filter(|(group, _)| after.is_none_or(|after| *group > after)).collect();
        rooms.sort_unstable_by_key(|(group, _)| *group);
        let extent =
            |(group, room): (&Group, &Room)| Extent { group: group.clone(), entries: room.head.0 + 1 - room.replayable.0 };
        rooms.into_iter().take(count).map(extent).collect()
    }

    fn forget(&mut self, group: &Group, Bounds { messages, since, changes }: Bounds) -> bool {
        let Some(room) = self.by_name.get_mut(group) else { return false };
        let before = (room.first, room.replayable);
        let over = |room: &Room, message: &Message| {
            messages.is_some_and(|most| room.messages.len() as u64 > most) || since.is_some_and(|since| message.at < since)
        };
        while room.messages.front().is_some_and(|oldest| over(room, &oldest.stored.message)) {
            self.bytes -= room.drop_first();
        }
        while changes.is_some_and(|most| room.changes.len() as u64 > most) {
            room.drop_change();
        }
        (room.first, room.replayable) != before
    }

    fn list(&self, within: &Within, before: Option<u64>, count: usize) -> Listed {
        let mut picking = Picking::new(within, before, count);
        let mut rooms = Vec::new();
        for (activity, group) in self.by_activity.range(..before.unwrap_or(u64::MAX)).rev() {
            // One that holds nothing any more is no longer used.
            let Some(latest) = self.latest(group) else { continue };
            match picking.pick(*activity, group) {
                ControlFlow::Continue(true) => {
                    let room = RoomSummary { group: group.clone(), latest: Some(latest) };
                    rooms.push(ListedRoom { activity: *activity, room });
                }
                ControlFlow::Continue(false) => {}
                ControlFlow::Break(()) => break,
            }
        }
        Listed { rooms, next: picking.next() }
    }

    /// The newest message as the list shows it, without reactions.
    fn latest(&self, group: &Group) -> Option<Stored> {
        let mut latest = self.by_name.get(group)?.latest()?;
        (latest.message.content.reactions, latest.message.content.changed) = Default::default();
        Some(latest)
    }
}

/// A room's newest messages and changes.
#[derive(Debug)]
struct Room {
    epoch: Epoch,
    head: Offset,
    /// The messages from here on are held,
    first: Offset,
    /// and the changes from here on; never before the messages.
    replayable: Offset,
    messages: VecDeque<Held>,
    /// Edits among them have lost their text, which stands in the message.
    changes: VecDeque<Entry>,
    /// Where the messages stand that are held, by author and key.
    keys: HashMap<(String, Key), Offset>,
    /// The number of the newest message among those of all rooms.
    activity: u64,
}

/// A message that is held.
#[derive(Debug)]
struct Held {
    stored: Stored,
    /// Who has put a reaction to it without being named there.
    others: Others,
}

impl Held {
    fn offset(&self) -> Offset {
        self.stored.offset
    }
}

/// What a change has come to.
struct Changed {
    epoch: Epoch,
    /// Its entry, and the newest message where that is the one that was changed. None where it said so already.
    made: Option<(Entry, Option<Stored>)>,
    /// Where the message's last change stands, or itself.
    last: Offset,
    /// How many bytes of text came, and how many went.
    grown: usize,
    shrunk: usize,
}

impl Room {
    fn new(epoch: Epoch) -> Self {
        let (head, first, replayable) = (Offset::START, Offset::START.next(), Offset::START.next());
        let (messages, changes, keys, activity) = Default::default();
        Self { epoch, head, first, replayable, messages, changes, keys, activity }
    }

    fn offset_of(&self, message: &NewMessage) -> Option<Offset> {
        self.keys.get(&(message.from.id.clone(), message.key.clone())).copied()
    }

    fn push(&mut self, message: NewMessage) -> (Epoch, Stored) {
        self.head = self.head.next();
        self.keys.insert((message.from.id.clone(), message.key.clone()), self.head);
        let stored = message.stored_at(&Position { epoch: self.epoch.clone(), offset: self.head });
        self.messages.push_back(Held { stored: stored.clone(), others: Others::default() });
        (self.epoch.clone(), stored)
    }

    fn change(&mut self, new: &NewChange) -> Result<Changed, Refused> {
        let target = new.id.offset;
        let at = self.messages_before(target);
        let held = self.messages.get_mut(at).filter(|held| held.offset() == target).ok_or(Refused::NotFound)?;
        let Held { stored: Stored { message, .. }, others } = held;
        let before = message.content.text.len();
        let change = new.make(&message.from.id, &mut message.content, others)?;
        let (epoch, grown) = (self.epoch.clone(), message.content.text.len());
        let Some(change) = change else {
            let last = message.content.changed.unwrap_or(target);
            return Ok(Changed { epoch, made: None, last, grown, shrunk: before });
        };
        self.head = self.head.next();
        message.content.changed = Some(self.head);
        let kept = match &change {
            Change::Edit { id, at, .. } => Change::Edit { id: id.clone(), text: String::new(), at: *at },
            other => other.clone(),
        };
        self.changes.push_back(Entry { offset: self.head, what: What::Change(kept) });
        let latest = self.latest().filter(|latest| latest.offset == target);
        let entry = Entry { offset: self.head, what: What::Change(change) };
        Ok(Changed { epoch, made: Some((entry, latest)), last: self.head, grown, shrunk: before })
    }

    /// Drops what is over the bounds. Returns how many bytes of text are gone.
    fn drop_oldest(&mut self, limits: Limits) -> usize {
        let mut gone = 0;
        while self.messages.len() > limits.messages_per_room {
            gone += self.drop_first();
        }
        while self.changes.len() > limits.changes_per_room {
            self.drop_change();
        }
        gone
    }

    /// Drops the oldest message, if there is one, with the changes before the next. Returns how many bytes of text are gone.
    fn drop_first(&mut self) -> usize {
        let Some(Held { stored: Stored { message, .. }, .. }) = self.messages.pop_front() else { return 0 };
        self.keys.remove(&(message.from.id, message.key));
        self.first = self.messages.front().map_or(self.head.next(), Held::offset);
        self.replayable = self.replayable.max(self.first);
        let before = self.changes_before(self.replayable);
        self.changes.drain(..before);
        message.content.text.len()
    }

    /// Drops the oldest change, if there is one.
    fn drop_change(&mut self) {
        if let Some(gone) = self.changes.pop_front() {
            self.replayable = gone.offset.next();
        }
    }

    fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.head }
    }

    fn latest(&self) -> Option<Stored> {
        self.messages.back().map(|held| held.stored.clone())
    }

    fn read(&self, slice: Slice, count: usize, bytes: usize) -> Page {
        let first = self.first;
        let taken = page::cut(slice, first, self.head, count, bytes, |run, allowance| Ok(self.take(run, allowance)));
        let messages = taken.unwrap_or_else(|impossible: Infallible| match impossible {});
        let latest = self.messages.back().map_or(Offset::START, Held::offset);
        Page { head: self.position(), first, latest, messages }
    }

    fn take(&self, run: Run, allowance: &mut Allowance) -> Vec<Stored> {
        let mut take = |held: &Held| allowance.admits(bytes_as_sent(&held.stored.message)).then(|| held.stored.clone());
        match run {
            Run::From(offset) => self.messages.range(self.messages_before(offset)..).map_while(&mut take).collect(),
            Run::UpTo(offset) => {
                self.messages.range(..self.messages_before(offset.next())).rev().map_while(&mut take).collect()
            }
        }
    }

    fn reacted(&self, person: &str, messages: &[Offset]) -> Vec<(Offset, Vec<Emoji>)> {
        let held = messages.iter().filter_map(|offset| self.held(*offset));
        let put = |held: &Held| held.others.put_by(&held.stored.message.content.reactions, person).cloned().collect();
        held.map(|held| (held.offset(), put(held))).collect()
    }

    fn missed(&self, after: Offset, most: Allowance) -> Missed {
        let from = after.next().max(self.replayable);
        let messages = self.take(Run::From(from), &mut most.clone());
        let mut allowance = most;
        let changes = self.changes.range(self.changes_before(from)..).map(|entry| self.as_it_is_now(entry));
        let changes = changes.take_while(|entry| allowance.admits(entry.bytes_as_sent())).collect();
        Missed { head: self.position(), first: self.replayable, entries: page::merged(from, messages, changes, most) }
    }

    /// An edit with what its message says now.
    fn as_it_is_now(&self, entry: &Entry) -> Entry {
        let what = match &entry.what {
            What::Change(Change::Edit { id, at, .. }) => {
                let now = self.held(id.offset).map(|held| &held.stored.message.content);
                What::Change(edit_as_it_is_now(id.clone(), *at, now))
            }
            what => what.clone(),
        };
        Entry { offset: entry.offset, what }
    }

    fn held(&self, offset: Offset) -> Option<&Held> {
        self.messages.get(self.messages_before(offset)).filter(|held| held.offset() == offset)
    }

    /// How many messages stand before the offset.
    fn messages_before(&self, offset: Offset) -> usize {
        self.messages.partition_point(|held| held.offset() < offset)
    }

    /// How many changes stand before it.
    fn changes_before(&self, offset: Offset) -> usize {
        self.changes.partition_point(|entry| entry.offset < offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        server::store::Alteration,
        wire::{MessageId, Person, Timestamp},
    };

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
        let (store, _) = MemoryStore::with(Limits { messages_per_room: 10, changes_per_room: 80, rooms: 2, bytes: usize::MAX });
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
    async fn changes_are_bounded_and_drive_no_message_out() {
        let limits = Limits { messages_per_room: 3, changes_per_room: 2, rooms: 9, bytes: usize::MAX };
        let (store, _) = MemoryStore::with(limits);
        let said = fill(&store, "lobby", 3, "x").await.position;
        for number in 0..5 {
            let id = MessageId { epoch: said.epoch.clone(), offset: Offset(2) };
            let from = Person { id: "ann".to_owned(), name: "Ann".to_owned() };
            let (alteration, at) = (Alteration::Edit(number.to_string()), Timestamp::from_millis(0));
            let group = "lobby".parse().expect("a group name");
            store.change(NewChange { group, id, from, alteration, at }).await.expect("changed");
        }
        let page = latest(&store, "lobby").await;
        assert_eq!((page.first, page.head.offset, offsets(&page)), (Offset(1), Offset(8), vec![1, 2, 3]));
        assert_eq!(page.messages[1].message.content.text, "4");
        let entries = async || store.entries(&"lobby".parse().expect("a name"), Offset(0), 9, 9_999).await.expect("entries");
        let missed = entries().await;
        let found: Vec<_> = missed.entries.iter().map(|entry| entry.offset.0).collect();
        assert_eq!((missed.first, found), (Offset(7), vec![7, 8]));
        // With the edited message its edits stand behind others; they are of nothing now.
        store.append(message("lobby", "x", 4)).await.expect("stored");
        store.append(message("lobby", "x", 5)).await.expect("stored");
        let missed = entries().await;
        assert_eq!((missed.first, missed.entries.len(), latest(&store, "lobby").await.first), (Offset(7), 4, Offset(3)));
        assert!(matches!(missed.entries[1].what, What::Change(Change::Delete { .. })), "{missed:?}");
    }

    #[tokio::test]
    async fn text_is_bounded_over_all_rooms() {
        let (store, _) = MemoryStore::with(Limits { messages_per_room: 2, changes_per_room: 16, rooms: 9, bytes: 100 });
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
