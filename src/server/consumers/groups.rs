//! The members that groups have on this node, and the fan-out to them.
//!
//! ```text
//!   layer ── Sink::deliver ──► the group's line (local): a task hands out what has gathered there
//!   Strandings ─────────────►      │
//!                                  ▼
//!                              sequence: in the order of the offsets, each once ◄── what is missing ── rooms::Stream
//!                                  │ Broadcast: encoded once a form
//!                                  ▼
//!                              each member's gate (members) ──► Socket::send
//! ```
//!
//! The node joins a group in the layer once, with its first member, under a channel of its own (`<node>!g<number>`), and
//! leaves with the last. Every socket has a channel too (`<node>!s<number>`), which `send` reaches.
//!
//! A member that catches up closes its gate: what is published meanwhile waits there, and when the answer with the missing
//! events is written, what follows on it goes out and what it contained does not.
//!
//! While the layer cannot be reached the node goes on with what it has. Committed messages come by [`Strandings`] to its own
//! members, and where nodes share a store, word of what the others have committed does too; who joins a group is a member here,
//! and the layer is told when it is back. Then, with [`Sink::gap`], every group is brought level from the store, a few at a time.

mod listing;
mod local;
mod members;
mod sequence;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future;
use parking_lot::RwLock;
use tokio::{sync::Semaphore, time::MissedTickBehavior};
use tracing::{debug, info, warn};

pub use self::local::Source;
use self::{local::LocalGroup, members::Member};
use super::form::{Broadcast, Encoding, Form};
use crate::{
    server::{
        gateway::{CloseCode, Frame, Socket, SocketId},
        layers::{Channel, ChannelLayer, Event, GroupName, LayerError, Sink},
        presence::Audience,
        rooms::{LayerGroup, News, Stranded, Strandings},
        store::StoreError,
        telemetry::FanOut,
    },
    wire::{Position, Topic},
};

/// How many groups are brought level with the store, or the layer is told of, at a time.
const AT_A_TIME: usize = 8;
/// How long to wait before the layer is told again of a group of which it could not be told.
const AGAIN: Duration = Duration::from_secs(1);

/// The time between two batches of goodbyes.
const BEAT: Duration = Duration::from_millis(100);
/// The smallest of these batches.
const BATCH: usize = 100;

/// How many of `sockets` are told at a time if telling all may take `over`.
fn batch_of(sockets: usize, over: Duration) -> usize {
    let batches = over.as_millis() / BEAT.as_millis() + 1;
    sockets.div_ceil(usize::try_from(batches).unwrap_or(usize::MAX)).max(BATCH)
}

/// The groups with members on this node.
pub struct Groups {
    layer: Arc<dyn ChannelLayer>,
    /// What the layer calls this node: a name that ends in `!`.
    node: OnceLock<Channel>,
    table: RwLock<Table>,
    next_id: AtomicU64,
    /// Of those who read the store.
    readers: Arc<Semaphore>,
    /// Of those who tell the layer once more.
    tellers: Semaphore,
    fan_out: Arc<FanOut>,
    /// Other parts of the server, by the letter with which the local parts of their channels begin.
    parts: RwLock<Vec<(char, Weak<dyn Sink>)>>,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<GroupName, Arc<LocalGroup>>,
    by_id: HashMap<u64, Arc<LocalGroup>>,
    sockets: HashMap<SocketId, (Arc<Socket>, Form)>,
    /// The server is stopping: what every socket is told, also one that comes only now.
    goodbye: Option<(CloseCode, &'static str)>,
}

/// How many there are on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Groups with members.
    pub groups: usize,
    /// Memberships: a socket that has joined two groups is counted twice.
    pub members: usize,
}

/// Being a member; ends when it is dropped.
pub struct Membership {
    groups: Arc<Groups>,
    group: Arc<LocalGroup>,
    member: Arc<Member>,
}

/// Being reachable under a channel of one's own; ends when it is dropped.
pub struct Reachable {
    groups: Arc<Groups>,
    socket: SocketId,
    pub channel: Channel,
}

/// Hands what arrives for this node to its groups, as long as they are there.
struct Inbox(Weak<Groups>);

impl Sink for Inbox {
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        if let Some(groups) = self.0.upgrade() {
            groups.deliver(local, event);
        }
    }

    fn gap(&self) {
        if let Some(groups) = self.0.upgrade() {
            groups.gap();
        }
    }
}

/// Whether a channel is one under which a node is a member of a group: what is sent there reaches the group, not one connection.
pub fn is_groups_own(channel: &Channel) -> bool {
    let number = channel.local().and_then(|local| local.strip_prefix('g'));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

impl Groups {
    /// Attaches this node to the layer. The layer forgets memberships after `expiry`; they are renewed in time. What the
    /// layer refused comes by `strandings`. `fan_out` counts what goes to the members.
    ///
    /// # Errors
    /// The layer cannot be reached.
    pub fn start(
        layer: Arc<dyn ChannelLayer>,
        strandings: Strandings,
        expiry: Duration,
        fan_out: FanOut,
    ) -> Result<Arc<Self>, LayerError> {
        let groups = Arc::new(Self {
            layer,
            node: OnceLock::new(),
            table: RwLock::default(),
            next_id: AtomicU64::new(1),
            readers: Arc::new(Semaphore::new(AT_A_TIME)),
            tellers: Semaphore::new(AT_A_TIME),
            fan_out: Arc::new(fan_out),
            parts: RwLock::default(),
        });
        let node = groups.layer.attach(Arc::new(Inbox(Arc::downgrade(&groups))))?;
        groups.node.get_or_init(|| node);
        tokio::spawn(renew(Arc::downgrade(&groups), expiry / 3));
        tokio::spawn(take_in(Arc::downgrade(&groups), strandings));
        Ok(groups)
    }

    /// The node's channel with a local part.
    fn channel(&self, kind: char, id: u64) -> Channel {
        let node = self.node.get().map(Channel::as_str).unwrap_or_default();
        format!("{node}{kind}{id}").parse().expect("a node's name has room for a number") // never: 42 of 99 characters
    }

    /// Hands to another part of the server what is sent to a channel of this node, and tells it of gaps: a node has one place in
    /// the layer, whatever it does there. `letter` is the part's own, and neither `g` nor `s`. Returns the channel.
    pub fn share(&self, letter: char, part: Weak<dyn Sink>) -> Channel {
        self.parts.write().push((letter, part));
        self.channel(letter, 0)
    }

    /// The part of the server with this letter, as long as it is there.
    fn part(&self, kind: &str) -> Option<Arc<dyn Sink>> {
        self.parts.read().iter().find(|(letter, _)| kind.starts_with(*letter)).and_then(|(_, part)| part.upgrade())
    }

    /// Makes a socket reachable under a channel of its own.
    pub fn register(self: &Arc<Self>, socket: &Arc<Socket>, form: Form) -> Reachable {
        let mut table = self.table.write();
        table.sockets.insert(socket.id(), (Arc::clone(socket), form));
        if let Some((code, reason)) = table.goodbye {
            socket.close(code, reason);
        }
        Reachable { groups: Arc::clone(self), socket: socket.id(), channel: self.channel('s', socket.id().0) }
    }

    /// Makes a socket a member, its gate closed if `closed`. When it resolves, whatever is sent to the group reaches the member;
    /// as long as the layer cannot be reached, what comes from this node. Where `source` is a stream all members get its
    /// messages in the order of their offsets, each once.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn join(
        self: &Arc<Self>,
        LayerGroup { name, events, beside }: LayerGroup,
        topic: &Topic,
        source: Source,
        socket: &Arc<Socket>,
        (form, closed): (Form, bool),
    ) -> Result<Membership, StoreError> {
        let member = Member::new(socket, form, closed);
        let group = {
            let mut table = self.table.write();
            let group = table.by_name.get(&name).cloned().unwrap_or_else(|| {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let layer_group = LayerGroup { name: name.clone(), events, beside };
                let group = LocalGroup::new(id, layer_group, topic.clone(), source, &self.readers, &self.fan_out);
                table.by_name.insert(name, Arc::clone(&group));
                table.by_id.insert(id, Arc::clone(&group));
                group
            });
            group.members.lock().insert(&member);
            group
        };
        let membership = Membership { groups: Arc::clone(self), group, member };
        membership.group.ready.get_or_try_init(|| self.make_ready(&membership.group)).await?;
        Ok(membership)
    }

    /// Tells the layer of a new group, then finds out where its stream stands: what is committed later will come, or be missed.
    async fn make_ready(self: &Arc<Self>, group: &Arc<LocalGroup>) -> Result<(), StoreError> {
        if !self.tell(group).await {
            tokio::spawn(keep_telling(Arc::downgrade(self), group.id));
        }
        group.find_place().await
    }

    /// Tells the layer that this node wants a group's events; says whether it could.
    async fn tell(&self, group: &LocalGroup) -> bool {
        let channel = self.channel('g', group.id);
        let tell = |name| self.layer.group_add(name, &channel);
        let told = future::try_join_all(group.names().map(tell)).await;
        let news = group.untold.is_news(told.is_err());
        match &told {
            // That the layer is back is told once for all groups.
            Ok(_) => {}
            Err(cause) if news => {
                warn!(group = %group.name, %cause, "the channel layer cannot be told that a group has members here");
            }
            Err(cause) => debug!(group = %group.name, %cause, "the channel layer still cannot be told of a group"),
        }
        // Its last member may have left meanwhile, and the layer been told before us.
        if !self.table.read().by_id.contains_key(&group.id) {
            self.forget(group).await;
        }
        told.is_ok()
    }

    /// The layer was away and is back. It may have forgotten who wants what, and lost what was sent meanwhile.
    fn gap(self: &Arc<Self>) {
        let ids: Vec<_> = self.table.read().by_id.keys().copied().collect();
        info!(groups = ids.len(), "the channel layer is back; bringing the groups level with the store");
        for id in ids {
            tokio::spawn(keep_telling(Arc::downgrade(self), id));
        }
        let parts: Vec<_> = self.parts.read().iter().filter_map(|(_, part)| part.upgrade()).collect();
        for part in parts {
            part.gap();
        }
    }

    /// What the layer has for this node.
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        let (kind, id) = local.split_at_checked(1).unwrap_or_default();
        match (kind, id.parse()) {
            ("g", Ok(id)) => {
                // Out of the lock before the group is walked.
                let group = self.table.read().by_id.get(&id).cloned();
                if let Some(group) = group {
                    group.publish(event);
                }
            }
            ("s", Ok(id)) => {
                let socket = self.table.read().sockets.get(&SocketId(id)).cloned();
                if let Some((socket, form)) = socket
                    && let encoding = (Encoding { form, deflate: socket.deflate() })
                    && let Some(frame) = Broadcast::new(&Topic::Me, event, None, Instant::now()).frame(encoding)
                {
                    socket.send(&[frame]);
                    self.fan_out.deliveries.inc();
                }
            }
            (kind, _) => {
                if let Some(part) = self.part(kind) {
                    part.deliver(local, event);
                }
            }
        }
    }

    /// Tells the layer that a group has no members here any more.
    async fn forget(&self, group: &LocalGroup) {
        let channel = self.channel('g', group.id);
        let forget = |name| self.layer.group_discard(name, &channel);
        if let Err(cause) = future::try_join_all(group.names().map(forget)).await {
            // What it still sends for the group is dropped here, and the membership expires.
            debug!(group = %group.name, %cause, "the channel layer could not be told that a group has no members here");
        }
    }

    /// How many groups and members there are now.
    pub fn census(&self) -> Census {
        let groups: Vec<_> = self.table.read().by_id.values().map(Arc::clone).collect();
        Census { groups: groups.len(), members: groups.iter().map(|group| group.members.lock().count()).sum() }
    }

    /// Says goodbye to every socket of this node, in batches over at most `over`, so that not all come back at once somewhere
    /// else; those that are still in their handshake are told as soon as they are there. A socket that has not been told yet goes
    /// on as ever. A few sockets are told at once.
    pub async fn drain(&self, code: CloseCode, reason: &'static str, over: Duration) {
        // Weak: who was told in the first batch and is gone is not kept until the last.
        let sockets: Vec<_> = {
            let mut table = self.table.write();
            table.goodbye = Some((code, reason));
            table.sockets.values().map(|(socket, _)| Arc::downgrade(socket)).collect()
        };
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for batch in sockets.chunks(batch_of(sockets.len(), over)) {
            beats.tick().await;
            let groups: Vec<_> = self.table.read().by_id.values().map(Arc::clone).collect();
            for group in groups {
                group.hand_out();
            }
            for socket in batch.iter().filter_map(Weak::upgrade) {
                socket.close(code, reason);
            }
        }
    }

    /// Takes this node out of all its groups in the layer, so that others send nothing more for it to where nobody reads.
    /// A layer that is away is not waited for.
    pub async fn leave(&self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let Some(node) = self.node.get() else { return };
        match tokio::time::timeout(PATIENCE, self.layer.detach(node)).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => warn!(%cause, "the channel layer could not be told that this node stops"),
            Err(_) => warn!("the channel layer could not be told in time that this node stops"),
        }
    }
}

/// Tells the layer every so often that this node still wants its groups, as long as they are there.
async fn renew(groups: Weak<Groups>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(groups) = groups.upgrade() else { return };
        let local: Vec<_> = groups.table.read().by_id.values().map(Arc::clone).collect();
        for group in local {
            groups.tell(&group).await;
        }
    }
}

/// Tells the layer of a group until it is told, as long as the group is there; what was sent before may be lost, and is read.
async fn keep_telling(groups: Weak<Groups>, id: u64) {
    loop {
        {
            let Some(groups) = groups.upgrade() else { return };
            let Ok(_permit) = groups.tellers.acquire().await else { return };
            let group = groups.table.read().by_id.get(&id).cloned();
            let Some(group) = group else { return };
            if groups.tell(&group).await {
                return group.doubt();
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Hands what does not come by the layer to the members that are here.
async fn take_in(groups: Weak<Groups>, mut strandings: Strandings) {
    while let Some(Stranded { group, what }) = strandings.recv().await {
        let Some(groups) = groups.upgrade() else { return };
        let group = groups.table.read().by_name.get(&group).cloned();
        match (group, what) {
            (Some(group), News::Event(event)) => group.publish(&Arc::new(event)),
            (Some(group), News::Head(head)) => group.reached(head),
            (Some(group), News::Heads(heads)) => group.rooms_reached(heads),
            (None, _) => {}
        }
    }
}

impl Membership {
    /// All members of the group on this node.
    pub fn audience(&self) -> Weak<dyn Audience> {
        // Written out, since a weak reference is not turned into one to a trait by itself.
        let group: Weak<LocalGroup> = Arc::downgrade(&self.group);
        group
    }

    /// Hands out now what the group has in line.
    pub fn hand_out(&self) {
        self.group.hand_out();
    }

    /// Closes the gate: what is published from now on waits for [`Self::release`].
    pub fn hold(&self) {
        self.member.hold();
    }

    /// Sends `answer`, then what waited at the gate, and opens it. `seen` is what the answer brought the member up to: events up
    /// to there are not sent again, now or later. Without it the member stands where it stood.
    pub fn release(&self, seen: Option<Position>, answer: Option<Frame>) {
        self.groups.fan_out.deliveries.inc_by(self.member.release(seen, answer));
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.member.leave();
        let last = {
            let mut table = self.groups.table.write();
            let last = self.group.members.lock().remove(&self.member);
            if last {
                table.by_name.remove(&self.group.name);
                table.by_id.remove(&self.group.id);
            }
            last
        };
        // A later member gets a new number, so this cannot undo its membership, however late it is.
        if last && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (groups, group) = (Arc::clone(&self.groups), Arc::clone(&self.group));
            runtime.spawn(async move { groups.forget(&group).await });
        }
    }
}

impl Drop for Reachable {
    fn drop(&mut self) {
        self.groups.table.write().sockets.remove(&self.socket);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use async_trait::async_trait;
    use parking_lot::Mutex;
    use tokio::{
        io::AsyncReadExt as _,
        net::{TcpListener, TcpStream},
        sync::mpsc,
    };

    use super::*;
    use crate::{
        server::{
            layers::{MemoryLayer, MemoryOptions, Value},
            rooms::{Room, Rooms, layer_group},
            settings::Settings,
            store::{
                Appended, Bounds, ChangeError, Entry, Extent, MemoryStore, Missed, NewChange, NewMessage, Page, Slice, Store,
            },
            telemetry::Appends,
        },
        wire::{Content, Group, Message, Offset, Person, RoomSummary, Stored, Timestamp},
    };

    /// A stream that is what the test says.
    struct Told {
        head: Mutex<Position>,
        broken: AtomicBool,
        readings: AtomicU64,
    }

    #[async_trait]
    impl Store for Told {
        async fn append(&self, _: NewMessage) -> Result<Appended, StoreError> {
            Err(StoreError::Unavailable("not asked".into()))
        }

        async fn change(&self, _: NewChange) -> Result<Appended, ChangeError> {
            Err(StoreError::Unavailable("not asked".into()).into())
        }

        async fn read(&self, _: &Group, _: Slice, _: usize, _: usize) -> Result<Page, StoreError> {
            Err(StoreError::Unavailable("not asked".into()))
        }

        async fn entries(&self, _: &Group, Offset(after): Offset, count: usize, _: usize) -> Result<Missed, StoreError> {
            self.readings.fetch_add(1, Ordering::Relaxed);
            if self.broken.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable("broken".into()));
            }
            let head = self.head.lock().clone();
            let entries = (after.saturating_add(1)..=head.offset.0).take(count).map(stored).map(Entry::from).collect();
            Ok(Missed { head, first: Offset(1), entries })
        }

        async fn groups(&self, _: Option<&Group>, _: usize) -> Result<Vec<Extent>, StoreError> {
            Ok(Vec::new())
        }

        async fn forget(&self, _: &Group, _: Bounds) -> Result<bool, StoreError> {
            Ok(false)
        }

        async fn rooms(&self, _: usize) -> Result<Vec<RoomSummary>, StoreError> {
            Ok(Vec::new())
        }

        async fn close(&self) {}
    }

    fn at(epoch: &str, offset: u64) -> Position {
        Position { epoch: epoch.parse().unwrap(), offset: Offset(offset) }
    }

    /// Where the layer has a room under the rule that all rooms have by default.
    fn group_of(group: &Group) -> LayerGroup {
        layer_group(&Room::new(group, &Settings::default().rooms[0]))
    }

    fn person() -> Person {
        Person { id: "g1".to_owned(), name: "Ann".to_owned() }
    }

    fn stored(offset: u64) -> Stored {
        let (key, text) = (format!("k{offset}").parse().unwrap(), format!("m{offset}"));
        let message = Message {
            id: format!("i{offset}"),
            key,
            from: person(),
            content: Content::new(text),
            at: Timestamp::from_millis(0),
        };
        Stored { offset: Offset(offset), message }
    }

    /// A room's message as another node sends it.
    fn event(epoch: &str, offset: u64) -> Event {
        let from = [("id", "g1"), ("name", "Ann")].map(|(key, value)| (key.to_owned(), Value::from(value)));
        let offset = i64::try_from(offset).unwrap();
        Event::new("chat.message")
            .with("message", format!("m{offset}"))
            .with("id", format!("i{offset}"))
            .with("key", format!("k{offset}"))
            .with("from", Value::Map(from.into_iter().collect()))
            .with("at", 0_i64)
            .with("epoch", epoch)
            .with("offset", offset)
    }

    /// A member of the room `a`, level with the store, and the other end of its connection.
    struct Test {
        layer: Arc<dyn ChannelLayer>,
        store: Arc<Told>,
        group: Group,
        _membership: Membership,
        reader: TcpStream,
    }

    impl Test {
        /// The store stands at 5 of the epoch `e`.
        async fn new() -> Self {
            let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
            let head = Mutex::new(at("e", 5));
            let store = Arc::new(Told { head, broken: AtomicBool::new(false), readings: AtomicU64::new(0) });
            let each = || (Arc::clone(&store) as Arc<dyn Store>, mpsc::unbounded_channel().1);
            let rules = Settings::default().rooms;
            let (rooms, strandings) = Rooms::start(rules, each(), each(), Arc::clone(&layer), 10, &Appends::default());
            let groups = Groups::start(Arc::clone(&layer), strandings, Duration::from_hours(1), FanOut::default()).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let socket = Arc::new(Socket::new(listener.accept().await.unwrap().0, None, 0, &Arc::default()));
            let group: Group = "a".parse().unwrap();
            let access = rooms.enter(&person(), &group).unwrap();
            let (topic, source) = (Topic::Room(group.clone()), Source::of(&access));
            let membership = groups.join(group_of(&group), &topic, source, &socket, (Form::V1, true)).await.unwrap();
            membership.release(Some(access.head().await.unwrap()), None);
            store.readings.store(0, Ordering::Relaxed);
            Self { layer, store, group, _membership: membership, reader }
        }

        async fn send(&self, epoch: &str, offset: u64) {
            self.layer.group_send(&group_of(&self.group).name, event(epoch, offset)).await.unwrap();
        }

        /// The next frame: the text and its offset, or the code of a close frame.
        async fn next(&mut self) -> (String, Option<u64>) {
            let kind = self.reader.read_u8().await.unwrap() & 0x0f;
            let length = match self.reader.read_u8().await.unwrap() {
                126 => usize::from(self.reader.read_u16().await.unwrap()),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.reader.read_exact(&mut payload).await.unwrap();
            if kind == 8 {
                return ("closed".to_owned(), Some(u64::from(u16::from_be_bytes([payload[0], payload[1]]))));
            }
            let push: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            (push["event"]["text"].as_str().unwrap().to_owned(), push["offset"].as_u64())
        }

        fn readings(&self) -> u64 {
            self.store.readings.load(Ordering::Relaxed)
        }
    }

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

    /// Members of the group `a`, in memory, who only listen.
    struct Audience {
        groups: Arc<Groups>,
        there: Vec<(Reachable, Membership, TcpStream)>,
    }

    impl Audience {
        async fn of(count: usize) -> Self {
            let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
            let (_, strandings) = Rooms::start(
                Settings::default().rooms,
                (Arc::new(MemoryStore::new(1).0), mpsc::unbounded_channel().1),
                (Arc::new(MemoryStore::new(1).0), mpsc::unbounded_channel().1),
                Arc::clone(&layer),
                10,
                &Appends::default(),
            );
            let groups = Groups::start(layer, strandings, Duration::from_hours(1), FanOut::default()).unwrap();
            let (group, topic) = (group_of(&"a".parse().unwrap()), Topic::Room("a".parse().unwrap()));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut there = Vec::new();
            for _ in 0..count {
                let reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let socket = Arc::new(Socket::new(listener.accept().await.unwrap().0, None, 0, &Arc::default()));
                let reachable = groups.register(&socket, Form::Plain);
                let joined = groups.join(group.clone(), &topic, Source::Nowhere, &socket, (Form::Plain, false)).await;
                there.push((reachable, joined.unwrap(), reader));
            }
            Self { groups, there }
        }

        /// Sends an event: how many have got it, time after time. `between` is done to them when some have it and some do not.
        async fn slices(mut self, between: impl Fn(&mut Vec<(Reachable, Membership, TcpStream)>)) -> Vec<u64> {
            let all = self.there.len() as u64;
            let group = group_of(&"a".parse().unwrap());
            self.groups.layer.group_send(&group.name, Event::new("a").with("text", "hello")).await.unwrap();
            let mut seen = Vec::new();
            // More turns than it can take.
            for _ in 0..100 {
                let reached = self.groups.fan_out.deliveries.get();
                if reached > 0 && reached < all {
                    between(&mut self.there);
                }
                seen.push(reached);
                tokio::task::yield_now().await;
            }
            seen.dedup();
            seen
        }

        /// Who has been told to go.
        fn closing(&self) -> Vec<(SocketId, Weak<Socket>)> {
            let table = self.groups.table.read();
            let closing = table.sockets.values().filter(|(socket, _)| socket.is_closing());
            closing.map(|(socket, _)| (socket.id(), Arc::downgrade(socket))).collect()
        }
    }

    #[tokio::test]
    async fn others_go_on_between_the_slices_of_a_large_group() {
        let audience = Audience::of(130).await;
        assert_eq!(audience.slices(|_| {}).await, [0, 128, 130]);
    }

    #[tokio::test]
    async fn who_leaves_while_an_event_is_on_its_way_does_not_get_it_afterwards() {
        let audience = Audience::of(130).await;
        // With an event that is on its way between the slices a member may leave and join again, and have the event in the answer.
        assert_eq!(audience.slices(Vec::clear).await, [0, 128]);
    }

    #[tokio::test(start_paused = true)]
    async fn goodbyes_are_said_in_batches() {
        let mut audience = Audience::of(150).await;
        let groups = Arc::clone(&audience.groups);
        let began = tokio::time::Instant::now();
        let goodbye = groups.drain(CloseCode::SHUTTING_DOWN, "over", Duration::from_secs(1));
        let watch = async {
            // Later than a batch and earlier than the next.
            tokio::time::sleep(BEAT / 2).await;
            let first = audience.closing();
            assert_eq!(first.len(), 100);
            // Whose connection has ended is gone, however many are still to be told.
            audience.there.retain(|(reachable, ..)| !first.iter().any(|(id, _)| *id == reachable.socket));
            assert!(first.iter().all(|(_, socket)| socket.strong_count() == 0));
            tokio::time::sleep(BEAT).await;
            assert_eq!((audience.closing().len(), audience.there.len()), (50, 50));
        };
        tokio::join!(watch, goodbye);
        assert!(began.elapsed() <= Duration::from_secs(1));
    }

    #[test]
    fn batches_are_as_large_as_the_time_demands() {
        let second = Duration::from_secs(1);
        for (sockets, over, batch) in [
            (0, second, 100),
            (1_100, second, 100),
            (1_101, second, 101),
            (11_000, second, 1_000),
            (11_000, Duration::ZERO, 11_000),
        ] {
            assert_eq!(batch_of(sockets, over), batch, "{sockets} over {over:?}");
        }
    }
}
