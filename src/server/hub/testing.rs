//! What the tests of the hub stand on: members whose connections the test reads, of a feed that is what the test says.

use std::{io, sync::atomic::AtomicBool};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    server::{
        layers::{MemoryLayer, MemoryOptions},
        websocket::Socket,
    },
    wire::{self, Content, Message, Offset, Person, Timestamp},
};

/// A feed that is what the test says.
pub(super) struct Told {
    topic: Topic,
    policy: Policy,
    pub(super) head: Mutex<Position>,
    pub(super) broken: AtomicBool,
    readings: AtomicU64,
}

impl Told {
    fn new(policy: Policy) -> Arc<Self> {
        let topic = "room/a".parse().unwrap();
        Arc::new(Self {
            topic,
            policy,
            head: Mutex::new(at("e", 5)),
            broken: AtomicBool::new(false),
            readings: AtomicU64::new(0),
        })
    }
}

#[async_trait]
impl Feed for Told {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn groups(&self) -> LayerGroups {
        LayerGroups { name: name(), beside: None }
    }

    fn policy(&self) -> Policy {
        self.policy
    }

    fn read(&self, event: &Event) -> Option<Entry> {
        let epoch = event.get_str("epoch").map(|epoch| epoch.parse().unwrap());
        let offset = event.get_u64("offset").map(Offset);
        let position = epoch.zip(offset).map(|(epoch, offset)| Position { epoch, offset });
        Some(said(position.map_or(Place::None, Place::At), event.get_str("text")?))
    }

    async fn after(&self, offset: Option<Offset>) -> Result<Missed, Unavailable> {
        self.readings.fetch_add(1, Ordering::Relaxed);
        if self.broken.load(Ordering::Relaxed) {
            return Err(Unavailable(io::Error::other("broken").into()));
        }
        let head = self.head.lock().clone();
        let stored = |offset| {
            let place = Place::At(Position { offset: Offset(offset), ..head.clone() });
            said(place, &format!("m{offset}"))
        };
        let entries = offset.map_or_else(Vec::new, |Offset(after)| (after + 1..=head.offset.0).map(stored).collect());
        Ok(Missed { head, entries })
    }
}

pub(super) fn at(epoch: &str, offset: u64) -> Position {
    Position { epoch: epoch.parse().unwrap(), offset: Offset(offset) }
}

/// The group of the layer that carries the feed.
pub(super) fn name() -> GroupName {
    "a".parse().unwrap()
}

/// What Ann has said.
pub(super) fn said(place: Place, text: &str) -> Entry {
    let from = Person::new("g1", "Ann");
    let (id, key, content) = ("i".to_owned(), "k".parse().unwrap(), Content::new(text));
    let event = wire::Event::Message(Message { id, key, from, content, at: Timestamp::from_millis(0) });
    Entry { place, plain: Some(PlainMessage::Text(text.to_owned())), event }
}

/// The same on its way through the layer, without a place.
pub(super) fn message(text: &str) -> Event {
    Event::new("said").with("text", text)
}

fn layer() -> Arc<dyn ChannelLayer> {
    Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap())
}

fn start(layer: &Arc<dyn ChannelLayer>) -> Arc<Hub> {
    let direct = |_: &Event| said(Place::None, "direct");
    Hub::start(Arc::clone(layer), direct, Duration::from_hours(1), FanOut::default()).unwrap()
}

/// A socket of this process, and its other end.
async fn connected(listener: &TcpListener) -> (Outbound, TcpStream) {
    let reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let socket = Socket::new(listener.accept().await.unwrap().0, None, 0, None, &Arc::default());
    (Outbound::WebSocket(Arc::new(socket)), reader)
}

/// A member of an ordered feed, level with it, and the other end of its connection.
pub(super) struct Test {
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) feed: Arc<Told>,
    _membership: Membership,
    reader: TcpStream,
}

impl Test {
    /// The feed stands at 5 of the epoch `e`.
    pub(super) async fn new() -> Self {
        let (layer, feed) = (layer(), Told::new(Policy::Ordered));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (socket, reader) = connected(&listener).await;
        let membership = start(&layer).join(Arc::clone(&feed) as _, &socket, (Form::V1, true)).await.unwrap();
        membership.release(Some(at("e", 5)), None);
        feed.readings.store(0, Ordering::Relaxed);
        Self { layer, feed, _membership: membership, reader }
    }

    pub(super) async fn send(&self, epoch: &str, offset: u64) {
        let event = message(&format!("m{offset}")).with("epoch", epoch).with("offset", offset.cast_signed());
        self.layer.group_send(&name(), event).await.unwrap();
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
        self.feed.readings.load(Ordering::Relaxed)
    }
}

/// Members of a passing feed who only listen.
pub(super) struct Crowd {
    pub(super) hub: Arc<Hub>,
    pub(super) there: Vec<(Reachable, Membership, TcpStream)>,
}

impl Crowd {
    pub(super) async fn of(count: usize) -> Self {
        let (hub, feed) = (start(&layer()), Told::new(Policy::Passing));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut there = Vec::new();
        for _ in 0..count {
            let (socket, reader) = connected(&listener).await;
            let reachable = hub.register(&socket, Form::Plain);
            let joined = hub.join(Arc::clone(&feed) as _, &socket, (Form::Plain, false)).await;
            there.push((reachable, joined.unwrap(), reader));
        }
        Self { hub, there }
    }

    /// Sends an event: how many have got it, time after time. `between` is done to them when some have it and some do not.
    pub(super) async fn slices(mut self, between: impl Fn(&mut Vec<(Reachable, Membership, TcpStream)>)) -> Vec<u64> {
        let all = self.there.len() as u64;
        self.hub.layer.group_send(&name(), message("hello")).await.unwrap();
        let mut seen = Vec::new();
        // More turns than it can take.
        for _ in 0..100 {
            let reached = self.hub.fan_out.deliveries.get();
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
    pub(super) fn closing(&self) -> Vec<(ConnectionId, Weak<Socket>)> {
        let table = self.hub.table.read();
        let sockets = table.connections.values().filter_map(|(outbound, _)| match outbound {
            Outbound::WebSocket(socket) => Some(socket),
            Outbound::Mailbox(_) => None,
        });
        sockets.filter(|socket| socket.is_closing()).map(|socket| (socket.id(), Arc::downgrade(socket))).collect()
    }
}
