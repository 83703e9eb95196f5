//! A group on this node: its members, and the line in which everything waits that concerns all of them.
//!
//! Whoever brings something puts it into the line, and if it is the first has a task work the line off. The task lets all others
//! that are ready say what they have before it begins, and again as long as that brings more. So all members get all events in one
//! order, and what one sender says in one breath, or several say at once, costs each member one write. When nothing else happens the
//! task begins at once. After each slice of the members it lets others go on, pages above all: a group of ten thousand does not keep
//! the thread for the tens of milliseconds that it takes to write to all.
//!
//! What is in line and on its way is bounded, in events and in bytes. Consumers wait until [there is room](LocalGroup::has_room)
//! before they bring more; whoever does not wait, as what comes from another node, has to hand out itself beyond the bound, and is
//! held up by that.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, OnceCell, Semaphore};
use tracing::warn;

use super::{
    broadcast::Broadcast,
    latest::{self, Listing},
    members::{Members, Round},
    ordered::{Handed, Reading, Sequence},
};
use crate::{
    server::{
        layers::{Event, GroupName},
        presence::Audience,
        rooms::{Access, LayerGroup, Room, Rooms, Stream},
        settings::RoomEvents,
        store::{Missed, StoreError},
        telemetry::{FanOut, Fault},
    },
    wire::{self, Group, Position, RoomSummary, Topic},
};

/// How long to wait before a store is asked again that could not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// So many members are written to at a stretch, which takes about a millisecond.
const SLICE: usize = 128;
/// The others have so many turns at most before what waits is handed out.
const TURNS: usize = 8;
/// With so many in line whoever brings more hands out, if nobody does.
const CROWDED: usize = 256;
/// With so many, or so many bytes, it waits for whoever does.
const FULL: usize = 4_096;
const FULL_BYTES: usize = 16 * 1024 * 1024;
/// So much is handed out together, in bytes: the members get what is short in one piece, and each copy of what is long is one more.
const TOGETHER: usize = 256 * 1024;

/// A group's members on this node.
pub(super) struct LocalGroup {
    pub(super) id: u64,
    pub(super) name: GroupName,
    /// Has events for it too.
    beside: Option<GroupName>,
    /// How a room's events are read.
    events: Option<Arc<RoomEvents>>,
    topic: Topic,
    /// Done once the layer knows that this node wants the group's events, or is being told, and it is known where the stream stands.
    pub(super) ready: OnceCell<()>,
    /// The layer could not be told that this node wants the group's events.
    pub(super) untold: Fault,
    pub(super) members: Mutex<Members>,
    line: Mutex<Line>,
    /// Wakes the next one who waits until there is room in the line.
    eased: Notify,
    /// Held by whoever hands out: what is on its way to the members, if it has not come to the last.
    order: Mutex<Option<Round>>,
    source: Source,
    /// Used where the source is a stream. Changed by whoever hands out, but for the beginning of a reading.
    sequence: Mutex<Sequence>,
    /// Used where the source is the list of rooms.
    listing: Mutex<Listing>,
    /// How many groups of this node may read at a time.
    readers: Arc<Semaphore>,
    /// Shared by all groups of this node.
    fan_out: Arc<FanOut>,
}

/// Where a group's members get from what the layer has lost.
pub enum Source {
    /// From nowhere: it is lost.
    Nowhere,
    /// From the room's stream.
    Stream(Stream),
    /// The list of rooms is sent once more.
    List(Arc<Rooms>),
}

/// What is in line.
#[derive(Default)]
struct Line {
    waiting: Vec<Arrived>,
    /// The weight of what waits, and of what is on its way to the members.
    bytes: usize,
    /// A task is about to work it off.
    due: bool,
}

impl Line {
    /// What is handed out next, at least one where any waits, and its weight.
    fn next(&mut self) -> (Vec<Arrived>, usize) {
        let (mut count, mut bytes) = (0, 0);
        for arrived in &self.waiting {
            bytes += arrived.weight();
            count += 1;
            if bytes >= TOGETHER {
                break;
            }
        }
        let next =
            if count == self.waiting.len() { std::mem::take(&mut self.waiting) } else { self.waiting.drain(..count).collect() };
        (next, bytes)
    }
}

enum Arrived {
    /// With its weight: about how much memory it takes, in bytes.
    Event(Arc<Event>, Instant, usize),
    /// What the server says by itself, and keeps nowhere.
    Passing(wire::Event),
    /// Something may be lost.
    Doubt,
    /// The stream stands here.
    Head(Position),
    /// The latest messages of the list's rooms are what they are since these entries.
    Heads(Vec<(Group, Position)>),
    Read(Reading, Missed),
    List(Vec<RoomSummary>),
    /// Members of the list may be told once more.
    Beat,
}

impl Arrived {
    /// What it counts in the line. What the server says by itself and what it reads is bounded by how seldom it does.
    fn weight(&self) -> usize {
        if let Self::Event(.., weight) = self { *weight } else { 0 }
    }
}

impl Source {
    /// A room's.
    pub fn of(access: &Access<Room>) -> Self {
        access.stream().map_or(Self::Nowhere, Self::Stream)
    }
}

impl LocalGroup {
    /// Without members. At most as many groups read their source at a time as `readers` has permits.
    pub(super) fn new(
        id: u64,
        LayerGroup { name, events, beside }: LayerGroup,
        topic: Topic,
        source: Source,
        readers: &Arc<Semaphore>,
        fan_out: &Arc<FanOut>,
    ) -> Arc<Self> {
        let (ready, untold, members, line, order) = Default::default();
        let (sequence, readers, fan_out) = (Mutex::new(Sequence::new()), Arc::clone(readers), Arc::clone(fan_out));
        let (listing, eased) = (Mutex::default(), Notify::new());
        Arc::new(Self {
            id,
            name,
            beside,
            events,
            topic,
            ready,
            untold,
            members,
            line,
            eased,
            order,
            source,
            sequence,
            listing,
            readers,
            fan_out,
        })
    }

    /// Where the layer has events for it.
    pub(super) fn names(&self) -> impl Iterator<Item = &GroupName> {
        std::iter::once(&self.name).chain(&self.beside)
    }

    /// Hands an event to the members, if it is its turn.
    pub(super) fn publish(self: &Arc<Self>, event: &Arc<Event>) {
        self.take(Arrived::Event(Arc::clone(event), Instant::now(), event.weight()));
    }

    /// Brings the members level with the store, where there is one: the layer may have lost something.
    pub(super) fn doubt(self: &Arc<Self>) {
        self.take(Arrived::Doubt);
    }

    /// The stream has come to here: what of it the members have not got by the layer is read.
    pub(super) fn reached(self: &Arc<Self>, head: Position) {
        self.take(Arrived::Head(head));
    }

    /// Rooms of the list have come to here: what members were not told of by the layer is read.
    pub(super) fn rooms_reached(self: &Arc<Self>, heads: Vec<(Group, Position)>) {
        self.take(Arrived::Heads(heads));
    }

    /// Finds out where the stream stands; until then, what has a place in it waits.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn find_place(self: &Arc<Self>) -> Result<(), StoreError> {
        match &self.source {
            Source::Stream(stream) => {
                let read = self.read(stream).await?;
                self.take(read);
                Ok(())
            }
            Source::Nowhere | Source::List(_) => Ok(()),
        }
    }

    async fn read(&self, stream: &Stream) -> Result<Arrived, StoreError> {
        let reading = self.sequence.lock().begin();
        Ok(Arrived::Read(reading, stream.after(reading.since).await?))
    }

    /// Waits until there is room for what one more member says.
    pub(super) async fn has_room(&self) {
        let has_room = || self.line.lock().bytes < FULL_BYTES;
        if has_room() {
            return;
        }
        loop {
            self.eased.notified().await;
            if has_room() {
                // One after the other: all at once they would bring more than there is room for.
                return self.eased.notify_one();
            }
        }
    }

    fn take(self: &Arc<Self>, arrived: Arrived) {
        let weight = arrived.weight();
        let mut line = self.line.lock();
        line.waiting.push(arrived);
        line.bytes += weight;
        let begin = !std::mem::replace(&mut line.due, true);
        let (waiting, bytes) = (line.waiting.len(), line.bytes);
        drop(line);
        if begin {
            tokio::spawn(Arc::clone(self).work_off());
        } else if waiting >= FULL || bytes >= FULL_BYTES {
            self.hand_out_in(self.order.lock());
        } else if waiting >= CROWDED
            && let Some(order) = self.order.try_lock()
            // Between two slices somebody does.
            && order.is_none()
        {
            self.hand_out_in(order);
        }
    }

    /// Hands out what waits until nothing does.
    async fn work_off(self: Arc<Self>) {
        let _due = Due(&self);
        loop {
            self.gather().await;
            while self.hand_out_slice(&mut self.order.lock(), SLICE) {
                tokio::task::yield_now().await;
            }
            let mut line = self.line.lock();
            if line.waiting.is_empty() {
                // Under the same lock: who brings something from now on begins anew.
                line.due = false;
                return;
            }
        }
    }

    /// Lets all others that have something to say just now say it first, as long as a turn of theirs brings more.
    async fn gather(&self) {
        let waiting = || {
            let line = self.line.lock();
            (line.waiting.len(), line.bytes)
        };
        let (mut before, _) = waiting();
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            let (now, bytes) = waiting();
            if now == before || bytes >= TOGETHER {
                return;
            }
            before = now;
        }
    }

    /// Hands out what waits now.
    pub(super) fn hand_out(self: &Arc<Self>) {
        let mut order = self.order.lock();
        // Each round but the first, which another may have begun, takes at least one of these.
        let rounds = 1 + self.line.lock().waiting.len();
        for _ in 0..rounds {
            while self.hand_out_slice(&mut order, usize::MAX) {}
            if self.line.lock().waiting.is_empty() {
                return;
            }
        }
    }

    /// Hands out the next of what waits.
    fn hand_out_in(self: &Arc<Self>, mut order: MutexGuard<'_, Option<Round>>) {
        // What is on its way may be a round that another has begun; what waits is the one after it.
        for _ in 0..2 {
            while self.hand_out_slice(&mut order, usize::MAX) {}
        }
    }

    /// Goes on with what is on its way, or else begins with what waits. Says whether members are left that it has not come to.
    fn hand_out_slice(self: &Arc<Self>, round: &mut Option<Round>, most: usize) -> bool {
        if round.is_none() {
            let (arrived, bytes) = self.line.lock().next();
            let handed = self.put_in_order(arrived);
            if handed.is_empty() {
                self.ease(bytes);
            } else {
                *round = Some(Round::new(handed, bytes, self.members.lock().snapshot()));
            }
        }
        let Some(on_its_way) = round else { return false };
        self.fan_out.deliveries.inc_by(on_its_way.go_on(most));
        if !on_its_way.is_done() {
            return true;
        }
        self.time(on_its_way.handed());
        self.ease(on_its_way.weight());
        *round = None;
        false
    }

    /// So many bytes are in line and on the way no more.
    fn ease(&self, bytes: usize) {
        let mut line = self.line.lock();
        line.bytes -= bytes;
        let has_room = line.bytes < FULL_BYTES;
        drop(line);
        if has_room {
            self.eased.notify_one();
        }
    }

    /// Notes how long what was handed out has taken.
    fn time(&self, handed: &[Handed]) {
        let now = Instant::now();
        for event in handed.iter().filter_map(Handed::event) {
            self.fan_out.seconds.observe(now.saturating_duration_since(event.arrived).as_secs_f64());
        }
    }

    /// What of it can go out now.
    fn put_in_order(self: &Arc<Self>, arrived: Vec<Arrived>) -> Vec<Handed> {
        let mut handed = Vec::with_capacity(arrived.len());
        let (is_stream, is_list) = (matches!(self.source, Source::Stream(_)), matches!(self.source, Source::List(_)));
        let mut doubt = false;
        let (mut sequence, mut listing) = (self.sequence.lock(), self.listing.lock());
        for arrived in arrived {
            match arrived {
                Arrived::Event(event, at, _) => {
                    let broadcast = Broadcast::new(&self.topic, &event, self.events.as_deref(), at);
                    if is_stream {
                        sequence.arrive(broadcast, &mut handed);
                    } else {
                        // Where it has a position, another node's settings keep what ours do not.
                        let broadcast = broadcast.without_position();
                        let at_once = if is_list { listing.take(broadcast) } else { Some(broadcast) };
                        handed.extend(at_once.map(Handed::Event));
                    }
                }
                Arrived::Passing(event) => handed.push(Handed::Event(Broadcast::passing(&self.topic, event))),
                Arrived::Doubt => doubt = true,
                Arrived::Head(head) => sequence.reached(&head),
                Arrived::Heads(heads) => doubt |= listing.moved(heads),
                Arrived::Read(reading, page) => sequence.level(reading, page, &self.topic, &mut handed),
                Arrived::Beat => listing.beat(),
                Arrived::List(rooms) => {
                    listing.is_read(&rooms);
                    // What is read may be newer than what waits.
                    handed.extend(listing.all_waiting().into_iter().map(Handed::Event));
                    handed.extend(rooms.into_iter().map(|room| Handed::Event(Broadcast::room(&self.topic, room))));
                }
            }
        }
        let read = match &self.source {
            Source::Nowhere => false,
            Source::Stream(_) => {
                if doubt {
                    sequence.doubt();
                }
                sequence.due()
            }
            Source::List(_) => {
                handed.extend(listing.told_now().into_iter().map(Handed::Event));
                if listing.begins_beat() {
                    tokio::spawn(beat(Arc::downgrade(self)));
                }
                if doubt {
                    listing.doubt();
                }
                listing.due()
            }
        };
        if read {
            tokio::spawn(catch_up(Arc::downgrade(self)));
        }
        handed
    }
}

/// Who is here is told like everything else, in one order for all.
impl Audience for LocalGroup {
    fn tell(self: Arc<Self>, event: wire::Event) {
        self.take(Arrived::Passing(event));
    }
}

/// Has the next one begin anew who brings something, however the task that works off the line ends.
struct Due<'g>(&'g LocalGroup);

impl Drop for Due<'_> {
    fn drop(&mut self) {
        self.0.line.lock().due = false;
    }
}

/// Lets the members of the list be told once more after a while.
async fn beat(group: Weak<LocalGroup>) {
    tokio::time::sleep(latest::BEAT).await;
    if let Some(group) = group.upgrade() {
        group.take(Arrived::Beat);
    }
}

/// Reads what a group has missed; asks until the store answers, as long as there are members.
async fn catch_up(group: Weak<LocalGroup>) {
    let fault = Fault::default();
    loop {
        {
            let Some(group) = group.upgrade() else { return };
            let Ok(_permit) = group.readers.acquire().await else { return };
            let read = match &group.source {
                Source::Nowhere => return,
                Source::Stream(stream) => group.read(stream).await,
                Source::List(rooms) => rooms.newest().await.map(Arrived::List),
            };
            match read {
                Ok(read) => return group.take(read),
                Err(cause) if fault.is_news(true) => {
                    warn!(group = %group.name, %cause, "what the channel layer may have lost could not be read yet");
                }
                Err(_) => {}
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{
        super::testing::{Crowd, Test, at, group_of},
        *,
    };

    #[tokio::test]
    async fn events_in_order_and_a_known_others_do_not_touch_the_store() {
        let mut test = Test::new().await;
        for offset in 6..=20 {
            test.send("e", offset).await;
            assert_eq!(test.next().await, (format!("m{offset}"), Some(offset)));
        }
        *test.store.head.lock() = at("e", 20);
        assert_eq!(test.readings(), 0);
        for offset in [1, 2, 90] {
            test.send("x", offset).await;
            assert_eq!(test.next().await, (format!("m{offset}"), None));
        }
        assert_eq!(test.readings(), 1);
    }

    #[tokio::test]
    async fn a_stream_begun_anew_closes_those_who_stood_in_the_old_one() {
        let mut test = Test::new().await;
        *test.store.head.lock() = at("f", 1);
        test.send("f", 1).await;
        assert_eq!(test.next().await, ("closed".to_owned(), Some(4002)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hole_waits_for_a_store_that_cannot_answer() {
        let mut test = Test::new().await;
        test.store.broken.store(true, Ordering::Relaxed);
        *test.store.head.lock() = at("e", 8);
        test.send("e", 8).await;
        while test.readings() < 3 {
            tokio::time::sleep(AGAIN).await;
        }
        // What has no place waits for nothing.
        test.layer.group_send(&group_of(&test.group).name, Event::new("a").with("text", "at once")).await.unwrap();
        assert_eq!(test.next().await, ("at once".to_owned(), None));
        test.store.broken.store(false, Ordering::Relaxed);
        for offset in 6..=8 {
            assert_eq!(test.next().await, (format!("m{offset}"), Some(offset)));
        }
    }

    #[tokio::test]
    async fn others_go_on_between_the_slices_of_a_large_group() {
        let crowd = Crowd::of(130).await;
        assert_eq!(crowd.slices(|_| {}).await, [0, 128, 130]);
    }

    #[tokio::test]
    async fn who_leaves_while_an_event_is_on_its_way_does_not_get_it_afterwards() {
        let crowd = Crowd::of(130).await;
        // With an event that is on its way between the slices a member may leave and join again, and have the event in the answer.
        assert_eq!(crowd.slices(Vec::clear).await, [0, 128]);
    }

    /// A message of so many bytes for the room `a`.
    async fn say(crowd: &Crowd, bytes: usize) {
        let group = group_of(&"a".parse().unwrap());
        crowd.groups.layer.group_send(&group.name, Event::new("a").with("text", "x".repeat(bytes))).await.unwrap();
    }

    fn in_line(group: &LocalGroup) -> usize {
        let line = group.line.lock();
        line.waiting.iter().map(Arrived::weight).sum()
    }

    #[tokio::test]
    async fn what_is_in_line_is_bounded_in_bytes_whoever_brings_it() {
        let crowd = Crowd::of(2 * SLICE).await;
        let group = Arc::clone(&crowd.there[0].1.group);
        say(&crowd, 1).await;
        // Some members have it and some do not: what comes now waits.
        while group.order.lock().is_none() {
            tokio::task::yield_now().await;
        }
        let mut most = 0;
        for _ in 0..1_000 {
            say(&crowd, 60_000).await;
            most = most.max(in_line(&group));
        }
        assert!(most > FULL_BYTES / 2, "{most}");
        assert!(most <= FULL_BYTES + 100_000, "{most}");
        group.hand_out();
        assert_eq!((in_line(&group), group.line.lock().bytes), (0, 0));
    }

    #[tokio::test]
    async fn who_has_more_to_say_than_is_in_line_waits_until_there_is_room() {
        let crowd = Crowd::of(2 * SLICE).await;
        let group = Arc::clone(&crowd.there[0].1.group);
        say(&crowd, FULL_BYTES).await;
        let mut waits = std::pin::pin!(crowd.there[0].1.has_room());
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        // It is as good as in line until the last member has it.
        let some = |group: &Arc<LocalGroup>| group.hand_out_slice(&mut group.order.lock(), 1);
        assert!(some(&group) && in_line(&group) == 0);
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        while some(&group) {}
        assert!(futures_util::poll!(waits.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn what_is_long_goes_out_in_small_slices() {
        let crowd = Crowd::of(100).await;
        let group = Arc::clone(&crowd.there[0].1.group);
        say(&crowd, 400_000).await;
        let mut slices = 0;
        while group.hand_out_slice(&mut group.order.lock(), SLICE) {
            slices += 1;
        }
        assert_eq!(slices, 33, "three members get more than a megabyte");
    }
}
