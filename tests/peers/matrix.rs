//! Everything that one side sends to the other arrives there once and as it was: Python to Rust, Rust to Python, and each to
//! its own kind, of which Python to Python shows that the harness itself loses and doubles nothing.
//!
//! A cell is a backend on one host or four, with a serializer, with keys or without. In each cell a node sends to another on many
//! routes: straight to mailboxes of every kind, and through groups. What arrives on a route is compared as a sequence, and a second
//! round shows what the first left behind.

use std::{
    fmt, iter,
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use confab::server::layers::{
    Channel, ChannelLayer, DEFAULT_PREFIX, Event, Sink, Value,
    redis::{Host, RedisCoreLayer, RedisOptions, RedisPubSubLayer, Serializer},
};
use futures_util::future::join_all;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::support::{
    peer::{Backend, Listener, Options, Peer},
    redis::Redis,
};

/// Bytes of the texts that are sent.
const SIZES: [usize; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
/// Short messages, one right after the other.
const BURST: usize = 12;
/// Mailboxes at the end of the routes.
const MAILBOXES: usize = 4;
/// Groups besides the one that all sizes go through: enough to be on several hosts.
const GROUPS: usize = 5;
/// More than is ever unread.
const CAPACITY: u32 = 10_000;
/// How long to wait for what must come. Only a test that fails waits so long.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn plain_messages_through_sorted_sets() {
    matrix(Backend::Core, Keys::None).await;
}

#[tokio::test]
async fn encrypted_messages_through_sorted_sets() {
    matrix(Backend::Core, Keys::Same).await;
}

#[tokio::test]
async fn messages_through_sorted_sets_while_keys_change() {
    matrix(Backend::Core, Keys::Rotated).await;
}

#[tokio::test]
async fn plain_messages_through_pubsub() {
    matrix(Backend::PubSub, Keys::None).await;
}

#[tokio::test]
async fn encrypted_messages_through_pubsub() {
    matrix(Backend::PubSub, Keys::Same).await;
}

#[tokio::test]
async fn messages_through_pubsub_while_keys_change() {
    matrix(Backend::PubSub, Keys::Rotated).await;
}

/// The keys of the two sides.
#[derive(Clone, Copy, Debug)]
enum Keys {
    None,
    Same,
    /// What the sender encrypts with is the second key of the receiver.
    Rotated,
}

impl Keys {
    fn sender(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Same => vec!["a secret".to_owned()],
            Self::Rotated => vec!["the new secret".to_owned(), "the old secret".to_owned()],
        }
    }

    fn receiver(self) -> Vec<String> {
        let mut keys = self.sender();
        keys.reverse();
        keys
    }
}

async fn matrix(backend: Backend, keys: Keys) {
    let servers = match backend {
        Backend::Core => vec![Redis::start().await],
        // Databases are all one to what is published.
        Backend::PubSub => join_all((0..4).map(|_| Redis::start())).await,
    };
    let hosts: Vec<_> = match backend {
        Backend::Core => (0..4).map(|db| servers[0].url_of_db(db)).collect(),
        Backend::PubSub => servers.iter().map(Redis::url).collect(),
    };
    let any = Options::new(backend, hosts.clone());
    let processes = (Peer::start(&any).await, Peer::start(&any).await);
    for count in [1, 4] {
        for serializer in [Serializer::Msgpack, Serializer::Json] {
            let cell = Cell { backend, keys, hosts: hosts[..count].to_vec(), serializer };
            cell.run(&processes).await;
        }
    }
}

struct Cell {
    backend: Backend,
    keys: Keys,
    hosts: Vec<String>,
    serializer: Serializer,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}-{}-{:?}-{:?}", self.backend, self.hosts.len(), self.serializer, self.keys)
    }
}

impl Cell {
    async fn run(&self, (sender, receiver): &(Peer, Peer)) {
        let (senders, receivers) =
            (self.nodes(sender, self.keys.sender()).await, self.nodes(receiver, self.keys.receiver()).await);
        for sender in &senders {
            for receiver in &receivers {
                Traffic::new(self, sender, receiver).await.run().await;
            }
        }
    }

    /// One in each language.
    async fn nodes(&self, process: &Peer, keys: Vec<String>) -> Vec<Node> {
        vec![self.python(process, keys.clone()).await, self.rust(keys)]
    }

    async fn python(&self, process: &Peer, keys: Vec<String>) -> Node {
        let serializer = match self.serializer {
            Serializer::Msgpack => "msgpack",
            Serializer::Json => "json",
        };
        let options = Options {
            prefix: Some(self.to_string()),
            serializer: Some(serializer),
            keys,
            capacity: Some(CAPACITY),
            ..Options::new(self.backend, self.hosts.clone())
        };
        Node::Python(process.another(&options).await)
    }

    fn rust(&self, keys: Vec<String>) -> Node {
        let options = RedisOptions {
            hosts: self.hosts.iter().cloned().map(Host::Url).collect(),
            prefix: self.to_string(),
            capacity: CAPACITY as usize,
            symmetric_encryption_keys: keys,
            serializer: self.serializer,
            ..RedisOptions::default()
        };
        Node::Rust(match self.backend {
            Backend::Core => RedisCoreLayer::start(options).expect("a layer"),
            Backend::PubSub => RedisPubSubLayer::start(options).expect("a layer"),
        })
    }

    /// What goes over a route: a burst of short messages, and one of each size.
    fn messages(&self, route: &str, sizes: &[usize]) -> Vec<Event> {
        let burst = (0..BURST).map(|_| 30).chain(sizes.iter().copied());
        (0..).zip(burst).map(|(number, size)| self.message(route, number, size)).collect()
    }

    fn message(&self, route: &str, number: u32, size: usize) -> Event {
        let event = Event::new("test.message").with("route", route).with("number", number).with("text", &TEXT[..size]).with(
            "values",
            vec![Value::Nil, true.into(), i64::MIN.into(), i64::MAX.into(), 0.1.into(), "Grüße \u{1f980} \u{0} \"\n".into()],
        );
        match self.serializer {
            Serializer::Msgpack => event.with("bytes", (0..=u8::MAX).collect::<Bytes>()),
            // It has no bytes.
            Serializer::Json => event,
        }
    }
}

/// Text in which nothing repeats itself, as long as the longest that is sent.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + ((state >> 32) % 95) as u8)
    };
    iter::repeat_with(random).take(SIZES[SIZES.len() - 1]).collect()
});

/// One end, in either language.
enum Node {
    Python(Peer),
    Rust(Arc<dyn ChannelLayer>),
}

impl Node {
    fn name(&self) -> &'static str {
        match self {
            Self::Python(_) => "python",
            Self::Rust(_) => "rust",
        }
    }

    async fn send(&self, to: &str, events: &[Event]) {
        match self {
            Self::Python(peer) => peer.send(to, events).await,
            Self::Rust(layer) => {
                let channel = to.parse().expect("a channel");
                for event in events {
                    layer.send(&channel, event.clone()).await.expect("sent");
                }
            }
        }
    }

    async fn group_send(&self, to: &str, events: &[Event]) {
        match self {
            Self::Python(peer) => peer.group_send(to, events).await,
            Self::Rust(layer) => {
                let group = to.parse().expect("a group");
                for event in events {
                    layer.group_send(&group, event.clone()).await.expect("sent");
                }
            }
        }
    }

    async fn group_add(&self, group: &str, channel: &str) {
        match self {
            Self::Python(peer) => peer.group_add(group, channel).await,
            Self::Rust(layer) => {
                let (group, channel) = (group.parse().expect("a group"), channel.parse().expect("a channel"));
                layer.group_add(&group, &channel).await.expect("added");
            }
        }
    }

    /// Some mailboxes of this node; of a Rust node the first two are a sink's, the others are received from.
    async fn mailboxes(&self, from: &Self) -> Vec<Mailbox> {
        let mut mailboxes = Vec::new();
        match self {
            Self::Python(peer) => {
                for _ in 0..MAILBOXES {
                    let name = match from {
                        Self::Python(_) => peer.new_well_hashed_channel().await,
                        Self::Rust(_) => peer.new_channel().await,
                    };
                    mailboxes.push(self.mailbox(name).await);
                }
            }
            Self::Rust(layer) => {
                let (senders, inboxes): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::unbounded_channel()).unzip();
                let attached = layer.attach(Arc::new(Inbox(senders))).expect("attached");
                for (local, inbox) in inboxes.into_iter().enumerate() {
                    let name = attached.with_local(&local.to_string()).expect("a name").to_string();
                    mailboxes.push(Mailbox { name, messages: Messages::Rust(inbox, JoinSet::new()) });
                }
                while mailboxes.len() < MAILBOXES {
                    let name = layer.new_channel(DEFAULT_PREFIX).expect("a channel");
                    mailboxes.push(self.mailbox(name.to_string()).await);
                }
            }
        }
        mailboxes
    }

    /// Receives from this channel from now on.
    async fn mailbox(&self, name: String) -> Mailbox {
        let messages = match self {
            Self::Python(peer) => Messages::Python(peer.listen(&*name).await),
            Self::Rust(layer) => {
                let (sender, inbox) = mpsc::unbounded_channel();
                let (layer, channel) = (Arc::clone(layer), name.parse::<Channel>().expect("a channel"));
                let mut receiving = JoinSet::new();
                receiving.spawn(async move {
                    // Until the test has all it wants.
                    while sender.send(layer.receive(&channel).await.expect("a message")).is_ok() {}
                });
                Messages::Rust(inbox, receiving)
            }
        };
        Mailbox { name, messages }
    }
}

/// A sink with a mailbox for each of the local parts `0`, `1` and so on.
struct Inbox(Vec<mpsc::UnboundedSender<Event>>);

impl Sink for Inbox {
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        let number: usize = local.parse().expect("one of ours");
        // The test may have all it wants.
        let _ = self.0[number].send(Event::clone(event));
    }
}

struct Mailbox {
    name: String,
    messages: Messages,
}

enum Messages {
    Python(Listener),
    /// With the task that receives, which ends with this.
    Rust(mpsc::UnboundedReceiver<Event>, #[expect(dead_code, reason = "kept to be dropped")] JoinSet<()>),
}

impl Mailbox {
    /// The next messages, fewer when they do not come.
    async fn next(&mut self, count: usize) -> Vec<Event> {
        let mut messages = Vec::new();
        while messages.len() < count {
            let message = match &mut self.messages {
                Messages::Python(listener) => timeout(SOON, listener.next()).await.ok(),
                Messages::Rust(inbox, _) => timeout(SOON, inbox.recv()).await.ok().flatten(),
            };
            let Some(message) = message else { break };
            messages.push(message);
        }
        messages
    }
}

/// A way from the sender to one mailbox or several.
struct Route {
    /// The channel or the group.
    name: String,
    group: bool,
    /// The mailboxes at its end.
    members: Vec<usize>,
    /// What it carries besides short messages.
    sizes: &'static [usize],
    /// Whether what is sent one after the other arrives so.
    ordered: bool,
}

/// What one node sends to another.
struct Traffic<'a> {
    cell: &'a Cell,
    sender: &'a Node,
    receiver: &'a Node,
    routes: Vec<Route>,
    mailboxes: Vec<Mailbox>,
}

impl<'a> Traffic<'a> {
    async fn new(cell: &'a Cell, sender: &'a Node, receiver: &'a Node) -> Self {
        let mailboxes = receiver.mailboxes(sender).await;
        let mut this = Self { cell, sender, receiver, routes: Vec::new(), mailboxes };
        this.add_channels();
        this.add_groups().await;
        this.add_general_channel().await;
        this
    }

    fn add_channels(&mut self) {
        // Of the kinds of mailboxes of a Rust node one gets all sizes on one host, the other on several.
        let all_sizes = if self.cell.hosts.len() == 1 { 0 } else { MAILBOXES - 1 };
        for (number, mailbox) in self.mailboxes.iter().enumerate() {
            let sizes = if number == all_sizes { &SIZES[..] } else { &[] };
            let name = mailbox.name.clone();
            self.routes.push(Route { name, group: false, members: vec![number], sizes, ordered: true });
        }
    }

    async fn add_groups(&mut self) {
        for number in 0..=GROUPS {
            let name = format!("{}-{}-{number}", self.sender.name(), self.receiver.name());
            let (members, sizes) = match number {
                0 => (vec![0, MAILBOXES - 1], &SIZES[..]),
                1 => ((0..MAILBOXES).collect(), &[][..]),
                _ => (vec![number % MAILBOXES, (number + 1) % MAILBOXES], &[][..]),
            };
            for &member in &members {
                self.receiver.group_add(&name, &self.mailboxes[member].name).await;
            }
            self.routes.push(Route { name, group: true, members, sizes, ordered: true });
        }
    }

    /// A channel without `!`, which any process may read. Its messages are spread over the hosts, and whoever reads it in Python
    /// waits at one of them, whatever comes at the others. Pubsub has nowhere to keep what nobody reads yet.
    async fn add_general_channel(&mut self) {
        let (one_host, rust) = (self.cell.hosts.len() == 1, matches!(self.receiver, Node::Rust(_)));
        if self.cell.backend == Backend::Core && (one_host || rust) {
            let name = format!("{}-to-{}", self.sender.name(), self.receiver.name());
            let members = vec![self.mailboxes.len()];
            self.mailboxes.push(self.receiver.mailbox(name.clone()).await);
            self.routes.push(Route { name, group: false, members, sizes: &SIZES[..5], ordered: one_host });
        }
    }

    async fn run(mut self) {
        let all = self.routes.iter().map(|route| self.cell.messages(&route.name, route.sizes)).collect();
        self.round(all).await;
        // A message of the first round that comes a second time, or late, is among these.
        let last = self.routes.iter().map(|route| vec![self.cell.message(&route.name, 1_000, 1)]).collect();
        self.round(last).await;
    }

    /// Sends on all routes at the same time, and compares what arrives.
    async fn round(&mut self, sent: Vec<Vec<Event>>) {
        join_all(self.routes.iter().zip(&sent).map(async |(route, events)| {
            if route.group {
                self.sender.group_send(&route.name, events).await;
            } else {
                self.sender.send(&route.name, events).await;
            }
        }))
        .await;
        for (number, mailbox) in self.mailboxes.iter_mut().enumerate() {
            let here: Vec<_> = self.routes.iter().zip(&sent).filter(|(route, _)| route.members.contains(&number)).collect();
            let arrived = mailbox.next(here.iter().map(|(_, events)| events.len()).sum()).await;
            for (route, wanted) in here {
                let mut arrived: Vec<_> =
                    arrived.iter().filter(|event| event.get_str("route") == Some(&route.name)).cloned().collect();
                if !route.ordered {
                    arrived.sort_by_key(|event| event.get_i64("number"));
                }
                // Not with what is in them: some are long.
                assert!(
                    arrived == *wanted,
                    "{}, {} to {}, mailbox {number} ({}), route {}: {} instead of {}",
                    self.cell,
                    self.sender.name(),
                    self.receiver.name(),
                    mailbox.name,
                    route.name,
                    shown(&arrived, wanted),
                    shown(wanted, wanted),
                );
            }
        }
    }
}

/// The numbers of messages, with a question mark where there is no such message in `wanted`.
fn shown(messages: &[Event], wanted: &[Event]) -> String {
    let mark = |event: &Event| if wanted.contains(event) { "" } else { "?" };
    let numbers = messages.iter().map(|event| format!("{}{}", event.get_i64("number").unwrap_or_default(), mark(event)));
    numbers.collect::<Vec<_>>().join(" ")
}
