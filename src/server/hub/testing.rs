//! What the tests of groups stand on: members whose connections the test reads, of a room whose store is what the test says.

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
            Appended, Bounds, ChangeError, Entry, Extent, Listed, Log, MemoryStore, Missed, NewChange, NewMessage, Page, Slice,
            Within,
        },
        telemetry::Appends,
    },
    wire::{Content, Group, Message, Offset, Person, Stored, Timestamp},
};

/// A stream that is what the test says.
pub(super) struct Told {
    pub(super) head: Mutex<Position>,
    pub(super) broken: AtomicBool,
    readings: AtomicU64,
}

#[async_trait]
impl Log for Told {
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

    async fn list(&self, _: &Within, _: Option<u64>, _: usize) -> Result<Listed, StoreError> {
        Ok(Listed::default())
    }

    async fn close(&self) {}
}

pub(super) fn at(epoch: &str, offset: u64) -> Position {
    Position { epoch: epoch.parse().unwrap(), offset: Offset(offset) }
}

/// Where the layer has a room under the rule that all rooms have by default.
pub(super) fn group_of(group: &Group) -> LayerGroup {
    layer_group(&Room::new(group, &Settings::default().rooms[0]))
}

fn person() -> Person {
    Person { id: "g1".to_owned(), name: "Ann".to_owned() }
}

fn stored(offset: u64) -> Stored {
    let (key, text) = (format!("k{offset}").parse().unwrap(), format!("m{offset}"));
    let message =
        Message { id: format!("i{offset}"), key, from: person(), content: Content::new(text), at: Timestamp::from_millis(0) };
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
pub(super) struct Test {
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) store: Arc<Told>,
    pub(super) group: Group,
    _membership: Membership,
    reader: TcpStream,
}

impl Test {
    /// The store stands at 5 of the epoch `e`.
    pub(super) async fn new() -> Self {
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let head = Mutex::new(at("e", 5));
        let store = Arc::new(Told { head, broken: AtomicBool::new(false), readings: AtomicU64::new(0) });
        let each = || (Arc::clone(&store) as Arc<dyn Log>, mpsc::unbounded_channel().1);
        let rules = Settings::default().rooms;
        let (rooms, strandings) = Rooms::start(rules, each(), None, each(), Arc::clone(&layer), 10, &Appends::default());
        let groups = Hub::start(Arc::clone(&layer), strandings, Duration::from_hours(1), FanOut::default()).unwrap();
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

    pub(super) async fn send(&self, epoch: &str, offset: u64) {
        self.layer.group_send(&group_of(&self.group).name, event(epoch, offset)).await.unwrap();
    }

    /// The next frame: the text and its offset, or the code of a close frame.
    pub(super) async fn next(&mut self) -> (String, Option<u64>) {
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

    pub(super) fn readings(&self) -> u64 {
        self.store.readings.load(Ordering::Relaxed)
    }
}

/// Members of the group `a`, in memory, who only listen.
pub(super) struct Crowd {
    pub(super) groups: Arc<Hub>,
    pub(super) there: Vec<(Reachable, Membership, TcpStream)>,
}

impl Crowd {
    pub(super) async fn of(count: usize) -> Self {
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let (_, strandings) = Rooms::start(
            Settings::default().rooms,
            (Arc::new(MemoryStore::new(1).0), mpsc::unbounded_channel().1),
            None,
            (Arc::new(MemoryStore::new(1).0), mpsc::unbounded_channel().1),
            Arc::clone(&layer),
            10,
            &Appends::default(),
        );
        let groups = Hub::start(layer, strandings, Duration::from_hours(1), FanOut::default()).unwrap();
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
    pub(super) async fn slices(mut self, between: impl Fn(&mut Vec<(Reachable, Membership, TcpStream)>)) -> Vec<u64> {
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
    pub(super) fn closing(&self) -> Vec<(SocketId, Weak<Socket>)> {
        let table = self.groups.table.read();
        let closing = table.sockets.values().filter(|(socket, _)| socket.is_closing());
        closing.map(|(socket, _)| (socket.id(), Arc::downgrade(socket))).collect()
    }
}
