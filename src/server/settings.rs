//! The settings of a running server.
//!
//! Four sources, each over the one before: the defaults, a TOML file (`Leptos.toml` in the working folder, or the one
//! given with `--config`), environment variables and flags. Every source becomes a tree of [values](values::Node) that
//! know their key and their place; each value is handed to its entry in the [table of keys](keys), which checks it and
//! writes it into [`Settings`]. Nothing stops at the first fault: all [mistakes](Mistake) of all sources come back
//! together, those too in values that a later source replaces, since they are wrong all the same.
//!
//! What is in [`Settings`] has been checked and has a type of its own, so nobody parses or checks it again. A list or a
//! table of a later source replaces the earlier one; `[[rooms]]` and `[[tokens]]` are such lists.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use crate::wire::Group;

mod effective;
mod hosts;
mod keys;
mod mistakes;
mod room_events;
mod show;
mod sources;
mod types;
mod values;

pub use hosts::{Login, RedisHost, RedisPlace, RedisServer, SentinelMaster};
pub use keys::known_keys;
pub use mistakes::{Mistake, Mistakes, Place};
pub use room_events::{EventType, GroupTemplate, RoomEvents, TextKey};
pub use sources::{ConfigFile, Flag, LOG_FORMAT_VARIABLE, LOG_VARIABLE, Loaded, Sources, TOKEN_VARIABLE};
pub use types::{
    AllowedHost, AllowedOrigin, Backend, Durability, History, HostName, Invalid, MetricsFor, Origin, Pattern, ProgramName,
    ProxyNetwork, PushToken, Secret, SerializerFormat, StoreUrl, SubProtocol, host_and_port,
};

/// A message is never longer than this, whatever `limits.message_bytes` says: 64 MiB. One frame has to fit into memory.
pub const LARGEST_MESSAGE: usize = 64 << 20;

/// Everything that can be set. `Leptos.toml` in the repository says what each key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub server: ServerSettings,
    pub store: StoreSettings,
    pub channel_layers: ChannelLayers,
    /// The first rule that matches a room's name holds for it. Never empty.
    pub rooms: Vec<RoomRule>,
    /// The programs that may push over the HTTP API; no two have the same token.
    pub tokens: Vec<TokenRule>,
    pub limits: Limits,
}

impl Settings {
    /// The rule for a room, or `None` where no rule matches: then there is no such room.
    pub fn room(&self, group: &Group) -> Option<&RoomRule> {
        self.rooms.iter().find(|rule| rule.matches.matches(group.as_str()))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerSettings::default(),
            store: StoreSettings::default(),
            channel_layers: ChannelLayers::default(),
            rooms: vec![RoomRule::default()],
            tokens: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where to accept connections; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The folder of the embedded store; a relative one is under the working folder.
    pub data: PathBuf,
    /// The names that the server goes by, besides those of the allowed origins, `localhost` and IP addresses.
    pub hosts: Vec<AllowedHost>,
    /// Whose pages may open a socket, besides the server's own.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// The proxies that are believed whom they speak for.
    pub trusted_proxies: Vec<ProxyNetwork>,
    /// Who may read `/metrics`.
    pub metrics: MetricsFor,
    /// Whether messages are deflated for clients that offer it.
    pub deflate: bool,
    /// Over how long a stopping server says goodbye to its connections.
    pub drain: Duration,
}

impl ServerSettings {
    /// All names that the server goes by, those of the allowed origins too.
    pub fn names(&self) -> Vec<AllowedHost> {
        let of_origins = self.allowed_origins.iter().map(|allowed| match allowed {
            AllowedOrigin::Any => AllowedHost::Any,
            AllowedOrigin::Only(origin) => AllowedHost::Only(origin.host().clone()),
        });
        self.hosts.iter().cloned().chain(of_origins).collect()
    }

    /// Which requests are answered, by what they ask for: for people.
    pub fn answers(&self) -> String {
        let names = self.names();
        if names.contains(&AllowedHost::Any) {
            return "any host".to_owned();
        }
        let always = ["localhost".to_owned(), "IP addresses".to_owned()];
        let names: Vec<_> = always.into_iter().chain(names.iter().map(ToString::to_string)).collect();
        let proxies = if self.trusted_proxies.is_empty() { "" } else { ", and whatever the trusted proxies pass on" };
        names.join(", ") + proxies
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 3000).into(),
            data: "data".into(),
            hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            metrics: MetricsFor::Loopback,
            deflate: true,
            drain: Duration::from_secs(3),
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSettings {
    pub url: StoreUrl,
    pub durability: Durability,
}

/// `[channel_layers]`, by alias as in Django Channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelLayers {
    pub default: LayerSettings,
}

/// `[channel_layers.default]`: keys, meanings and defaults are those of `channels_redis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSettings {
    pub backend: Backend,
    /// The Redis servers, in the same order on every node. The memory backend does not read them: the key is checked all
    /// the same, so that one variable can change the backend while the rest of the file stays as it is.
    pub hosts: Vec<RedisHost>,
    /// What the layer's keys in Redis begin with. The memory backend has none and does not read it.
    pub prefix: String,
    /// How many unread messages a channel holds.
    pub capacity: usize,
    /// Other capacities for channels by name; the first pattern that matches counts.
    pub channel_capacity: Vec<(Pattern, usize)>,
    /// How long an unread message is kept, in whole seconds.
    pub expiry: Duration,
    /// How long a channel stays in a group after its last `group_add`, in whole seconds.
    pub group_expiry: Duration,
    /// The first one encrypts, all are tried to decrypt; empty: nothing is encrypted. The memory backend puts nothing on a
    /// network and does not read them.
    pub symmetric_encryption_keys: Vec<Secret>,
    /// The same on every node. The memory backend serializes nothing and does not read it.
    pub serializer_format: SerializerFormat,
    /// How many bytes stand before each message in a sorted set, 0 to 64; the same on every node. Only `channels_redis.core` reads it.
    pub random_prefix_length: usize,
}

impl Default for LayerSettings {
    fn default() -> Self {
        Self {
            backend: Backend::Memory,
            hosts: vec![RedisHost::local()],
            prefix: "asgi".to_owned(),
            capacity: 100,
            channel_capacity: Vec::new(),
            expiry: Duration::from_mins(1),
            group_expiry: Duration::from_hours(24),
            symmetric_encryption_keys: Vec::new(),
            serializer_format: SerializerFormat::Msgpack,
            random_prefix_length: 12,
        }
    }
}

/// One `[[rooms]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRule {
    /// `match` in the file: which room names the rule is for.
    pub matches: Pattern,
    pub history: History,
    /// Whether people who are not signed in may enter.
    pub guests: bool,
    /// `keep_messages` and `keep_days` in the file.
    pub keep: Keep,
    /// `event_type`, `text_key` and `group` in the file.
    pub events: Arc<RoomEvents>,
    /// The sub-protocols that plain clients may offer: one of them is taken up.
    pub protocols: Vec<SubProtocol>,
}

/// The rule without `[[rooms]]`, and what a rule has that says nothing more than `match = "*"`.
impl Default for RoomRule {
    fn default() -> Self {
        Self {
            matches: Pattern::everything(),
            history: History::Store,
            guests: true,
            keep: Keep::default(),
            events: Arc::default(),
            protocols: Vec::new(),
        }
    }
}

/// How much of a room's history is kept; without bounds all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest messages.
    pub messages: Option<u64>,
    /// Messages for so many days.
    pub days: Option<u32>,
}

impl Keep {
    /// Whether anything is ever dropped.
    pub fn is_bounded(self) -> bool {
        self != Self::default()
    }
}

/// One `[[tokens]]`: a program that may push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRule {
    /// Who it speaks as.
    pub name: ProgramName,
    pub token: PushToken,
    /// The groups that it may send to.
    pub groups: Vec<Pattern>,
    /// Whether it may send to single channels too.
    pub channels: bool,
}

/// `[limits]`: 0 in the file is `None` here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes, 1 to [`LARGEST_MESSAGE`]; the file's 0 is [`LARGEST_MESSAGE`].
    pub message_bytes: usize,
    /// Open connections from one address.
    pub connections_per_address: Option<NonZeroU32>,
    /// Open connections of one account.
    pub connections_per_account: Option<NonZeroU32>,
    /// HTTP requests per second from one address, with a burst of five seconds' worth.
    pub requests_per_second: Option<NonZeroU32>,
    /// Messages per second on one connection, with a burst of five seconds' worth.
    pub messages_per_second: Option<NonZeroU32>,
    /// Messages per second of one account on all of its connections, with a burst of five seconds' worth. Not in effect where
    /// `messages_per_second` is none.
    pub messages_per_second_per_account: Option<NonZeroU32>,
    /// Bytes per second of the messages and answers on one connection, with a burst of five seconds' worth.
    pub bytes_per_second: Option<NonZeroU32>,
    /// Bytes per second of the messages and answers of one account on all of its connections, with a burst of five seconds' worth.
    /// Not in effect where `bytes_per_second` is none.
    pub bytes_per_second_per_account: Option<NonZeroU32>,
    /// Bytes per second of the messages, bodies and answers of one address, with a burst of five seconds' worth.
    pub bytes_per_second_per_address: Option<NonZeroU32>,
    /// Topics that one connection has joined.
    pub topics_per_connection: Option<NonZeroUsize>,
    /// How much may wait for a reader that does not keep up before it is closed with 4001.
    pub backlog_bytes: Option<NonZeroUsize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 65_536,
            connections_per_address: NonZeroU32::new(200),
            connections_per_account: NonZeroU32::new(100),
            requests_per_second: NonZeroU32::new(100),
            messages_per_second: NonZeroU32::new(20),
            messages_per_second_per_account: NonZeroU32::new(40),
            bytes_per_second: NonZeroU32::new(1 << 20),
            bytes_per_second_per_account: NonZeroU32::new(2 << 20),
            bytes_per_second_per_address: NonZeroU32::new(4 << 20),
            topics_per_connection: NonZeroUsize::new(100),
            backlog_bytes: NonZeroUsize::new(1 << 20),
        }
    }
}
