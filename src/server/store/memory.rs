//! Rooms that last as long as the process.
//!
//! Each room has a ring of its newest messages, as they are now, and one of its newest changes. The rooms stand in a line by their
//! activity. When there are too many rooms, or all of them hold too much, the room that has been silent for longest is dropped; its
//! next stream gets another epoch, so that no position of the old one seems to hold. Of one that is left alone the oldest messages go.
//!
//! What a room holds is reckoned as the memory that it takes (`memory/footprint`): what is in it, and the places of its tables, those too
//! that stand empty. Tables in which most places do are made smaller.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
    ops::ControlFlow,
};

use async_trait::async_trait;
use parking_lot::Mutex;

mod footprint;

use self::footprint::{Held, heap, table};
use super::{
    error::StoreError,
    log::{
        Appended, Bounds, ChangeError, Commits, Entry, Extent, Listed, ListedRoom, Log, Missed, NewChange, NewMessage, Page,
        Refused, Slice, What, Within,
        change::{Unnamed, edit_as_it_is_now},
        epoch::EpochSeed,
        listing::Picking,
        page::{self, Allowance, Run, bytes_as_sent},
        queue::{InFlight, Made, Outbox, Ticket},
    },
};
use crate::wire::{Change, Emoji, Epoch, Group, Key, Message, Offset, Position, RoomSummary, Stored};

/// A [`Log`] in memory: idempotent within what is held, and gone with the process.
///
/// It holds the newest messages of each room, as many as [`MemoryStore::new`] is told, and eight times as many of their changes. And it
/// holds at most 10,000 rooms, and takes at most 256 MiB of memory for all of them with whatever is in them. Beyond that the room that has
/// been silent for longest is dropped; where the one that was written to last is left alone, its oldest messages are, but for the last.
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
    /// Of memory, for all rooms together.
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
impl Log for MemoryStore {
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
    /// What the rooms take, without their places among the others.
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
        let before = room.taken();
        let (epoch, stored) = room.push(message);
        room.drop_oldest(self.limits);
        self.bytes = self.bytes - before + room.taken();
        self.drop_what_is_too_much();
        self.outbox.entry(group, Made { epoch, entry: stored.into(), latest: None }, ticket);
    }

    /// Changes a message and says so, as above.
    fn change(&mut self, change: &NewChange, ticket: Ticket) {
        let Some(room) = self.by_name.get_mut(&change.group).filter(|room| room.epoch == change.change.id().epoch) else {
            return ticket.answer(Err(ChangeError::Refused(Refused::NotFound)));
        };
        let before = room.taken();
        let changed = room.change(change);
        room.drop_oldest(self.limits);
        self.bytes = self.bytes - before + room.taken();
        match changed {
            Ok(Changed { made: Some((entry, latest)), epoch, .. }) => {
                self.drop_what_is_too_much();
                self.outbox.entry(change.group.clone(), Made { epoch, entry, latest }, ticket);
            }
            Ok(Changed { made: None, epoch, last }) => {
                ticket.answer(Ok(Appended { position: Position { epoch, offset: last }, fresh: false }));
            }
            Err(refused) => ticket.answer(Err(ChangeError::Refused(refused))),
        }
    }

    /// What all of it takes.
    fn taken(&self) -> usize {
        // Half of a tree's places stand empty. The longest name has 64 bytes, an epoch about twelve.
        let each = 2 * size_of::<(u64, Group)>() + heap(16 + 64) + heap(16 + 12);
        self.bytes + table::<(Group, Room)>(self.by_name.capacity()) + self.by_name.len() * each
    }

    fn drop_what_is_too_much(&mut self) {
        while self.by_name.len() > 1 && (self.by_name.len() > self.limits.rooms || self.taken() > self.limits.bytes) {
            let Some((_, group)) = self.by_activity.pop_first() else { return };
            let Some(room) = self.by_name.remove(&group) else { return };
            self.bytes -= room.taken();
            if footprint::is_loose(self.by_name.len(), self.by_name.capacity()) {
                self.by_name.shrink_to_fit();
            }
            // The name's next stream begins at offset 1 again, and must not pass for the one that is dropped.
            self.seed = EpochSeed::random();
        }
        let taken = self.taken();
        if taken > self.limits.bytes
            && let Some(last) = self.by_activity.values().next_back()
            && let Some(room) = self.by_name.get_mut(last)
        {
            let before = room.taken();
            let rest = self.limits.bytes.saturating_sub(taken - before);
            while room.taken() > rest && room.drop_something() {}
            self.bytes = self.bytes - before + room.taken();
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
        let taken = room.taken();
        while room.messages.front().is_some_and(|oldest| over(room, &oldest.stored.message)) {
            room.drop_first();
        }
        while changes.is_some_and(|most| room.changes.len() as u64 > most) {
            room.drop_change();
        }
        self.bytes = self.bytes - taken + room.taken();
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
    /// What the messages, the changes and the keys take beside their places.
    contents: usize,
}

/// What a change has come to.
struct Changed {
    epoch: Epoch,
    /// Its entry, and the newest message where that is the one that was changed. None where it said so already.
    made: Option<(Entry, Option<Stored>)>,
    /// Where the message's last change stands, or itself.
    last: Offset,
}

impl Room {
    fn new(epoch: Epoch) -> Self {
        let (head, first, replayable) = (Offset::START, Offset::START.next(), Offset::START.next());
        let (messages, changes, keys, activity) = Default::default();
        Self { epoch, head, first, replayable, messages, changes, keys, activity, contents: 0 }
    }

    /// The memory that it takes, without its place among the rooms.
    fn taken(&self) -> usize {
        let places = size_of::<Held>() * self.messages.capacity() + size_of::<Entry>() * self.changes.capacity();
        self.contents + places + table::<((String, Key), Offset)>(self.keys.capacity())
    }

    fn offset_of(&self, message: &NewMessage) -> Option<Offset> {
        self.keys.get(&(message.from.id.clone(), message.key.clone())).copied()
    }

    fn push(&mut self, message: NewMessage) -> (Epoch, Stored) {
        self.head = self.head.next();
        self.keys.insert((message.from.id.clone(), message.key.clone()), self.head);
        let stored = message.stored_at(&Position { epoch: self.epoch.clone(), offset: self.head });
        // A copy has no room to spare, however its text came.
        let held = Held { stored: stored.clone(), unnamed: Unnamed::default() };
        self.contents += footprint::of_held(&held);
        self.messages.push_back(held);
        (self.epoch.clone(), stored)
    }

    fn change(&mut self, new: &NewChange) -> Result<Changed, Refused> {
        let target = new.change.id().offset;
        let at = self.messages_before(target);
        let held = self.messages.get_mut(at).filter(|held| held.offset() == target).ok_or(Refused::NotFound)?;
        let before = footprint::of_held(held);
        let Held { stored: Stored { message, .. }, unnamed } = &mut *held;
        let put: Vec<_> = unnamed.put_by(&message.content.reactions, &new.from.id).cloned().collect();
        let change = new.make(message, &put)?.inspect(|change| unnamed.follow(&message.content, change));
        let epoch = self.epoch.clone();
        let Some(change) = change else {
            return Ok(Changed { epoch, made: None, last: message.content.changed.unwrap_or(target) });
        };
        self.head = self.head.next();
        message.content.changed = Some(self.head);
        // What was said first may have been longer.
        message.content.text.shrink_to_fit();
        self.contents = self.contents - before + footprint::of_held(held);
        let kept = match &change {
            Change::Edit { id, at, .. } => Change::Edit { id: id.clone(), text: String::new(), at: *at },
            other => other.clone(),
        };
        let kept = Entry { offset: self.head, what: What::Change(kept) };
        self.contents += footprint::of_entry(&kept);
        self.changes.push_back(kept);
        let latest = self.latest().filter(|latest| latest.offset == target);
        let entry = Entry { offset: self.head, what: What::Change(change) };
        Ok(Changed { epoch, made: Some((entry, latest)), last: self.head })
    }

    /// Drops what is over the bounds.
    fn drop_oldest(&mut self, limits: Limits) {
        while self.messages.len() > limits.messages_per_room {
            self.drop_first();
        }
        while self.changes.len() > limits.changes_per_room {
            self.drop_change();
        }
    }

    /// Drops what is oldest, but for the last message; false where there is nothing else.
    fn drop_something(&mut self) -> bool {
        if self.messages.len() > 1 {
            self.drop_first();
        } else if self.changes.is_empty() {
            return false;
        } else {
            self.drop_change();
        }
        true
    }

    /// Drops the oldest message, if there is one, with the changes before the next.
    fn drop_first(&mut self) {
        let Some(held) = self.messages.pop_front() else { return };
        self.contents -= footprint::of_held(&held);
        let Message { from, key, .. } = held.stored.message;
        self.keys.remove(&(from.id, key));
        self.first = self.messages.front().map_or(self.head.next(), Held::offset);
        self.replayable = self.replayable.max(self.first);
        let before = self.changes_before(self.replayable);
        self.contents -= self.changes.drain(..before).map(|entry| footprint::of_entry(&entry)).sum::<usize>();
        self.give_back();
    }

    /// Drops the oldest change, if there is one.
    fn drop_change(&mut self) {
        if let Some(gone) = self.changes.pop_front() {
            self.contents -= footprint::of_entry(&gone);
            self.replayable = gone.offset.next();
            self.give_back();
        }
    }

    /// Makes tables smaller in which most places stand empty.
    fn give_back(&mut self) {
        if footprint::is_loose(self.messages.len(), self.messages.capacity()) {
            self.messages.shrink_to_fit();
        }
        if footprint::is_loose(self.changes.len(), self.changes.capacity()) {
            self.changes.shrink_to_fit();
        }
        if footprint::is_loose(self.keys.len(), self.keys.capacity()) {
            self.keys.shrink_to_fit();
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
        Page { head: self.position(), first, latest, messages, unreadable: Vec::new() }
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
        let put = |held: &Held| held.unnamed.put_by(&held.stored.message.content.reactions, person).cloned().collect();
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
    use crate::wire::{Act, MessageId, Person, Timestamp};

    fn message(room: &str, text: &str, number: u64) -> NewMessage {
        NewMessage {
            group: room.parse().expect("a group name"),
            key: format!("key-{number}").parse().expect("a key"),
            from: Person::new("ann", "Ann"),
            text: text.to_owned(),
            at: Timestamp::from_millis(0),
        }
    }

    /// A change of a message that nobody forbids.
    fn by(from: Person, room: &str, act: Act) -> NewChange {
        let (group, at) = (room.parse().expect("a group name"), Timestamp::from_millis(0));
        let change = act.change(&from, at).expect("it changes something");
        NewChange { group, change, from, at, rule: |_, _, _| Ok(()) }
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
            let message = MessageId { epoch: said.epoch.clone(), offset: Offset(2) };
            let from = Person::new("ann", "Ann");
            store.change(by(from, "lobby", Act::Edit { message, text: number.to_string() })).await.expect("changed");
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

    /// What the store reckons that it takes.
    fn taken(store: &MemoryStore) -> usize {
        store.rooms.lock().as_ref().expect("open").taken()
    }

    fn limits(bytes: usize) -> Limits {
        Limits { messages_per_room: 1_000, changes_per_room: 8_000, rooms: 10_000, bytes }
    }

    #[tokio::test]
    async fn everything_that_is_held_counts() {
        let store = |bytes| MemoryStore::with(limits(bytes)).0;
        let (short, long) = (store(usize::MAX), store(usize::MAX));
        fill(&short, "a", 100, "x").await;
        fill(&long, "a", 100, &"x".repeat(1_000)).await;
        assert!((300..1_500).contains(&(taken(&short) / 100)), "a message is more than its text: {}", taken(&short));
        assert!((95_000..110_000).contains(&(taken(&long) - taken(&short))));
        // Reactions, and who has put them.
        let before = taken(&short);
        let epoch = latest(&short, "a").await.head.epoch;
        for number in 0..1_000 {
            let message = MessageId { epoch: epoch.clone(), offset: Offset(1 + number % 2) };
            let from = Person::new(format!("p{number}"), "n".repeat(100));
            let react = Act::React { message, emoji: "+1".parse().expect("an emoji"), on: true };
            short.change(by(from, "a", react)).await.expect("changed");
        }
        let grown = taken(&short) - before;
        assert!((200_000..500_000).contains(&grown), "{grown}");
        // And all of it is given back.
        let group = "a".parse().expect("a group name");
        assert!(short.forget(&group, Bounds { messages: Some(1), since: None, changes: Some(1) }).await.expect("forgotten"));
        assert!(taken(&short) < 10_000, "{}", taken(&short));
    }

    #[tokio::test]
    async fn the_memory_of_all_rooms_is_bounded_and_the_oldest_go() {
        const BOUND: usize = 200_000;
        let (store, _) = MemoryStore::with(limits(BOUND));
        for room in ["a", "b", "c", "d", "e", "f"] {
            fill(&store, room, 100, "x").await;
            assert!(taken(&store) <= BOUND);
        }
        let names: Vec<_> = store.rooms(9).await.expect("rooms").iter().map(|room| room.group.to_string()).collect();
        assert!(names.starts_with(&["f".to_owned(), "e".to_owned()]) && names.len() < 6, "{names:?}");
        assert_eq!(latest(&store, "f").await.messages.len(), 100);
        // One room alone loses its own oldest.
        let last = fill(&store, "g", 1_000, &"x".repeat(500)).await.position.offset;
        let page = latest(&store, "g").await;
        assert!(taken(&store) <= BOUND && page.messages.len() == 100 && page.first > Offset(1), "{:?}", page.first);
        assert_eq!((page.latest, store.rooms(9).await.expect("rooms").len()), (last, 1));
        // The last message stays, whatever it is.
        store.append(message("h", &"x".repeat(2 * BOUND), 1)).await.expect("stored");
        assert_eq!((offsets(&latest(&store, "h").await), store.rooms(9).await.expect("rooms").len()), (vec![1], 1));
        // And goes when another one comes.
        fill(&store, "i", 1, "x").await;
        assert!(taken(&store) < 10_000, "{}", taken(&store));
    }

    #[tokio::test]
    async fn a_text_that_was_long_is_held_no_longer_than_it_is() {
        let (store, _) = MemoryStore::with(limits(usize::MAX));
        let said = fill(&store, "a", 1, &"x".repeat(100_000)).await.position;
        let message = MessageId { epoch: said.epoch, offset: said.offset };
        let from = Person::new("ann", "Ann");
        store.change(by(from, "a", Act::Edit { message, text: "short".to_owned() })).await.expect("changed");
        assert!(taken(&store) < 10_000, "{}", taken(&store));
        let rooms = store.rooms.lock();
        let held = &rooms.as_ref().expect("open").by_name[&"a".parse::<Group>().expect("a group name")].messages[0];
        assert_eq!(held.stored.message.content.text.capacity(), 5);
    }
}
