//! A group on this node: the members of one feed, and the queue in which everything waits that concerns all of them.
//!
//! Whoever brings something puts it into the queue, and if it is the first has a task work the queue off. The task lets all others
//! that are ready say what they have before it begins, and again as long as that brings more. So all members get all events in one
//! order, and what one sender says in one breath, or several say at once, costs each member one write. When nothing else happens the
//! task begins at once. After each slice of the members it lets others go on, pages above all: a group of ten thousand does not keep
//! the thread for the tens of milliseconds that it takes to write to all.
//!
//! What is in the queue and on its way is bounded, in events and in bytes. Consumers wait until [there is room](LocalGroup::has_room)
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
    broadcast::{Broadcast, Encoding, Form},
    conflate::BEAT,
    feed::{Entry, Feed, FeedKey, LayerGroups, Missed, News, Policy, Unavailable},
    latest::Latest,
    members::{Members, Round},
    ordered::{Handed, Reading, Sequence},
};
use crate::{
    server::{
        layers::{Event, GroupName},
        presence::Audience,
        telemetry::{FanOut, Fault},
        websocket::Frame,
    },
    wire::{self, Position, Topic},
};

/// How long to wait before a feed is read again that could not be.
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

/// A feed's members on this node.
pub(super) struct LocalGroup {
    pub(super) id: u64,
    feed: Arc<dyn Feed>,
    topic: Topic,
    /// Where the layer has events for it.
    pub(super) layer: LayerGroups,
    /// Done once the layer knows that this node wants the group's events, or is being told, and it is known where the feed stands.
    pub(super) ready: OnceCell<()>,
    /// The layer could not be told that this node wants the group's events.
    pub(super) untold: Fault,
    pub(super) members: Mutex<Members>,
    queue: Mutex<Queue>,
    /// Wakes the next one who waits until there is room in the queue.
    eased: Notify,
    /// Held by whoever hands out: what is on its way to the members, if it has not come to the last.
    round: Mutex<Option<Round>>,
    /// Changed by whoever hands out, but for the beginning of a reading.
    order: Mutex<Order>,
    /// How many groups of this node may read at a time.
    readers: Arc<Semaphore>,
    /// Shared by all groups of this node.
    fan_out: Arc<FanOut>,
}

/// What decides, by the feed's policy, when an entry is handed out.
enum Order {
    Ordered(Sequence),
    Latest(Latest),
    Passing,
}

impl Order {
    fn new(policy: Policy) -> Self {
        match policy {
            Policy::Ordered => Self::Ordered(Sequence::new()),
            Policy::Latest => Self::Latest(Latest::default()),
            Policy::Passing => Self::Passing,
        }
    }

    /// Whether the feed has to be read now. If so, the caller does.
    fn due(&mut self, doubt: bool) -> bool {
        match self {
            Self::Ordered(sequence) => {
                if doubt {
                    sequence.doubt();
                }
                sequence.due()
            }
            Self::Latest(latest) => {
                if doubt {
                    latest.doubt();
                }
                latest.due()
            }
            Self::Passing => false,
        }
    }

    /// A reading begins.
    fn begin(&mut self) -> Reading {
        if let Self::Ordered(sequence) = self { sequence.begin() } else { Reading::default() }
    }
}

/// What waits to be handed out.
#[derive(Default)]
struct Queue {
    waiting: Vec<Arrived>,
    /// The weight of what waits, and of what is on its way to the members.
    bytes: usize,
    /// A task is about to work it off.
    due: bool,
}

impl Queue {
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
    /// The feed stands here.
    Head(Position),
    /// The newest of these keys are what they are since these versions.
    Newest(Vec<(FeedKey, Position)>),
    Read(Reading, Missed),
    /// Members of a latest feed may be told once more.
    Beat,
}

impl Arrived {
    /// What it counts in the queue. What the server says by itself and what it reads is bounded by how seldom it does.
    fn weight(&self) -> usize {
        if let Self::Event(.., weight) = self { *weight } else { 0 }
    }
}

impl LocalGroup {
    /// Without members. At most as many groups read their feed at a time as `readers` has permits.
    pub(super) fn new(id: u64, feed: Arc<dyn Feed>, readers: &Arc<Semaphore>, fan_out: &Arc<FanOut>) -> Arc<Self> {
        Arc::new(Self {
            id,
            topic: feed.topic().clone(),
            layer: feed.groups(),
            ready: OnceCell::new(),
            untold: Fault::default(),
            members: Mutex::default(),
            queue: Mutex::default(),
            eased: Notify::new(),
            round: Mutex::default(),
            order: Mutex::new(Order::new(feed.policy())),
            readers: Arc::clone(readers),
            fan_out: Arc::clone(fan_out),
            feed,
        })
    }

    /// What the layer calls it.
    pub(super) fn name(&self) -> &GroupName {
        &self.layer.name
    }

    /// Hands an event to the members, if it is its turn.
    pub(super) fn publish(self: &Arc<Self>, event: &Arc<Event>) {
        self.take(Arrived::Event(Arc::clone(event), Instant::now(), event.weight()));
    }

    /// Brings the members level with what the feed can read, if it can: the layer may have lost something.
    pub(super) fn doubt(self: &Arc<Self>) {
        self.take(Arrived::Doubt);
    }

    /// Takes what did not come by the layer.
    pub(super) fn hear(self: &Arc<Self>, news: News) {
        match news {
            News::Event(event) => self.publish(&Arc::new(event)),
            News::Head(head) => self.take(Arrived::Head(head)),
            News::Newest(versions) => self.take(Arrived::Newest(versions)),
        }
    }

    /// Where an ordered feed stands, if that is known here. Whoever holds a member before it asks is brought there by what is handed out and
    /// what waits at the gate.
    pub(super) fn stands_at(&self) -> Option<Position> {
        if let Order::Ordered(sequence) = &*self.order.lock() { sequence.settled().cloned() } else { None }
    }

    /// The newest of each key of a latest feed, for a reader of this form.
    ///
    /// # Errors
    /// The feed cannot be read.
    pub(super) async fn newest(&self, form: Form) -> Result<Vec<Frame>, Unavailable> {
        if self.feed.policy() != Policy::Latest {
            return Ok(Vec::new());
        }
        let Missed { entries, .. } = self.feed.after(None).await?;
        let encoding = Encoding { form, deflate: None };
        let now = Instant::now();
        Ok(entries.into_iter().filter_map(|entry| Broadcast::new(&self.topic, entry, now).frame(encoding)).collect())
    }

    /// Finds out where an ordered feed stands; until then, what has a place in it waits.
    ///
    /// # Errors
    /// The feed cannot be read.
    pub(super) async fn find_place(self: &Arc<Self>) -> Result<(), Unavailable> {
        if self.feed.policy() == Policy::Ordered {
            let read = self.read().await?;
            self.take(read);
            // At once, since whoever waits for this may stand there.
            self.hand_out();
        }
        Ok(())
    }

    async fn read(&self) -> Result<Arrived, Unavailable> {
        let reading = self.order.lock().begin();
        Ok(Arrived::Read(reading, self.feed.after(reading.since).await?))
    }

    /// Waits until there is room for what one more member says.
    pub(super) async fn has_room(&self) {
        let has_room = || self.queue.lock().bytes < FULL_BYTES;
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
        let mut queue = self.queue.lock();
        queue.waiting.push(arrived);
        queue.bytes += weight;
        let begin = !std::mem::replace(&mut queue.due, true);
        let (waiting, bytes) = (queue.waiting.len(), queue.bytes);
        drop(queue);
        if begin {
            tokio::spawn(Arc::clone(self).work_off());
        } else if waiting >= FULL || bytes >= FULL_BYTES {
            self.hand_out_in(self.round.lock());
        } else if waiting >= CROWDED
            && let Some(round) = self.round.try_lock()
            // Between two slices somebody does.
            && round.is_none()
        {
            self.hand_out_in(round);
        }
    }

    /// Hands out what waits until nothing does.
    async fn work_off(self: Arc<Self>) {
        let _due = Due(&self);
        loop {
            self.gather().await;
            while self.hand_out_slice(&mut self.round.lock(), SLICE) {
                tokio::task::yield_now().await;
            }
            let mut queue = self.queue.lock();
            if queue.waiting.is_empty() {
                // Under the same lock: who brings something from now on begins anew.
                queue.due = false;
                return;
            }
        }
    }

    /// Lets all others that have something to say just now say it first, as long as a turn of theirs brings more.
    async fn gather(&self) {
        let waiting = || {
            let queue = self.queue.lock();
            (queue.waiting.len(), queue.bytes)
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
        let mut round = self.round.lock();
        // Each round but the first, which another may have begun, takes at least one of these.
        let rounds = 1 + self.queue.lock().waiting.len();
        for _ in 0..rounds {
            while self.hand_out_slice(&mut round, usize::MAX) {}
            if self.queue.lock().waiting.is_empty() {
                return;
            }
        }
    }

    /// Hands out the next of what waits.
    fn hand_out_in(self: &Arc<Self>, mut round: MutexGuard<'_, Option<Round>>) {
        // What is on its way may be a round that another has begun; what waits is the one after it.
        for _ in 0..2 {
            while self.hand_out_slice(&mut round, usize::MAX) {}
        }
    }

    /// Goes on with what is on its way, or else begins with what waits. Says whether members are left that it has not come to.
    fn hand_out_slice(self: &Arc<Self>, round: &mut Option<Round>, most: usize) -> bool {
        if round.is_none() {
            let (arrived, bytes) = self.queue.lock().next();
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
        let mut queue = self.queue.lock();
        queue.bytes -= bytes;
        let has_room = queue.bytes < FULL_BYTES;
        drop(queue);
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
        let mut doubt = false;
        let mut order = self.order.lock();
        for arrived in arrived {
            match (arrived, &mut *order) {
                (Arrived::Event(event, at, _), order) => {
                    let Some(entry) = self.feed.read(&event) else { continue };
                    let broadcast = Broadcast::new(&self.topic, entry, at);
                    match order {
                        Order::Ordered(sequence) => sequence.arrive(broadcast, &mut handed),
                        // Where it has a position, another node's settings keep what ours do not.
                        Order::Latest(latest) => handed.extend(latest.take(broadcast.without_position()).map(Handed::Event)),
                        Order::Passing => handed.push(Handed::Event(broadcast.without_position())),
                    }
                }
                (Arrived::Passing(event), _) => {
                    let broadcast = Broadcast::new(&self.topic, Entry::passing(event), Instant::now());
                    handed.push(Handed::Event(broadcast));
                }
                (Arrived::Doubt, _) => doubt = true,
                (Arrived::Head(head), Order::Ordered(sequence)) => sequence.reached(&head),
                (Arrived::Newest(versions), Order::Latest(latest)) => doubt |= latest.moved(versions),
                (Arrived::Read(reading, missed), Order::Ordered(sequence)) => {
                    sequence.level(reading, missed, &self.topic, &mut handed);
                }
                (Arrived::Read(_, Missed { entries, .. }), Order::Latest(latest)) => {
                    latest.is_read(&entries);
                    // What is read may be newer than what waits.
                    handed.extend(latest.all_waiting().into_iter().map(Handed::Event));
                    let now = Instant::now();
                    handed.extend(entries.into_iter().map(|entry| Handed::Event(Broadcast::new(&self.topic, entry, now))));
                }
                (Arrived::Beat, Order::Latest(latest)) => latest.beat(),
                (Arrived::Head(_) | Arrived::Newest(_) | Arrived::Read(..) | Arrived::Beat, _) => {}
            }
        }
        if let Order::Latest(latest) = &mut *order {
            handed.extend(latest.told_now().into_iter().map(Handed::Event));
            if latest.begins_beat() {
                tokio::spawn(beat(Arc::downgrade(self)));
            }
        }
        if order.due(doubt) {
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

/// Has the next one begin anew who brings something, however the task that works off the queue ends.
struct Due<'g>(&'g LocalGroup);

impl Drop for Due<'_> {
    fn drop(&mut self) {
        self.0.queue.lock().due = false;
    }
}

/// Lets the members of a latest feed be told once more after a while.
async fn beat(group: Weak<LocalGroup>) {
    tokio::time::sleep(BEAT).await;
    if let Some(group) = group.upgrade() {
        group.take(Arrived::Beat);
    }
}

/// Reads what a group has missed; asks until the feed answers, as long as there are members.
async fn catch_up(group: Weak<LocalGroup>) {
    let fault = Fault::default();
    loop {
        {
            let Some(group) = group.upgrade() else { return };
            let Ok(_permit) = group.readers.acquire().await else { return };
            match group.read().await {
                Ok(read) => return group.take(read),
                Err(Unavailable(cause)) if fault.is_news(true) => {
                    warn!(group = %group.name(), %cause, "what the channel layer may have lost could not be read yet");
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
        super::testing::{Crowd, Test, at, message, name},
        *,
    };

    #[tokio::test]
    async fn events_in_order_and_a_known_others_do_not_touch_the_store() {
        let mut test = Test::new().await;
        for offset in 6..=20 {
            test.send("e", offset).await;
            assert_eq!(test.next().await, (format!("m{offset}"), Some(offset)));
        }
        *test.feed.head.lock() = at("e", 20);
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
        *test.feed.head.lock() = at("f", 1);
        test.send("f", 1).await;
        assert_eq!(test.next().await, ("closed".to_owned(), Some(4002)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hole_waits_for_a_store_that_cannot_answer() {
        let mut test = Test::new().await;
        test.feed.broken.store(true, Ordering::Relaxed);
        *test.feed.head.lock() = at("e", 8);
        test.send("e", 8).await;
        while test.readings() < 3 {
            tokio::time::sleep(AGAIN).await;
        }
        // What has no place waits for nothing.
        test.layer.group_send(&name(), message("at once")).await.unwrap();
        assert_eq!(test.next().await, ("at once".to_owned(), None));
        test.feed.broken.store(false, Ordering::Relaxed);
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

    /// A message of so many bytes for the members.
    async fn say(crowd: &Crowd, bytes: usize) {
        crowd.hub.layer.group_send(&name(), message(&"x".repeat(bytes))).await.unwrap();
    }

    fn in_queue(group: &LocalGroup) -> usize {
        let queue = group.queue.lock();
        queue.waiting.iter().map(Arrived::weight).sum()
    }

    #[tokio::test]
    async fn what_is_in_queue_is_bounded_in_bytes_whoever_brings_it() {
        let crowd = Crowd::of(2 * SLICE).await;
        let group = Arc::clone(&crowd.there[0].1.group);
        say(&crowd, 1).await;
        // Some members have it and some do not: what comes now waits.
        while group.round.lock().is_none() {
            tokio::task::yield_now().await;
        }
        let mut most = 0;
        for _ in 0..1_000 {
            say(&crowd, 60_000).await;
            most = most.max(in_queue(&group));
        }
        assert!(most > FULL_BYTES / 2, "{most}");
        assert!(most <= FULL_BYTES + 100_000, "{most}");
        group.hand_out();
        assert_eq!((in_queue(&group), group.queue.lock().bytes), (0, 0));
    }

    #[tokio::test]
    async fn who_has_more_to_say_than_is_in_queue_waits_until_there_is_room() {
        let crowd = Crowd::of(2 * SLICE).await;
        let group = Arc::clone(&crowd.there[0].1.group);
        say(&crowd, FULL_BYTES).await;
        let mut waits = std::pin::pin!(group.has_room());
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        // It is as good as in line until the last member has it.
        let some = |group: &Arc<LocalGroup>| group.hand_out_slice(&mut group.round.lock(), 1);
        assert!(some(&group) && in_queue(&group) == 0);
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
        while group.hand_out_slice(&mut group.round.lock(), SLICE) {
            slices += 1;
        }
        assert_eq!(slices, 33, "three members get more than a megabyte");
    }
}
