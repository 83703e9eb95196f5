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
    num::{NonZero, NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use crate::wire::Group;

mod django;
mod effective;
mod hosts;
mod jwt;
mod keys;
mod mistakes;
mod patterns;
mod room_events;
mod rooms;
mod secrets;
mod show;
mod sources;
mod table;
mod tokens;
mod values;
mod web;
mod words;

pub use django::{CookieName, DjangoDatabase, LoginUrl, SessionEngine, SqlName};
pub use hosts::{Login, RedisHost, RedisPlace, RedisServer, SentinelMaster};
pub use jwt::{JwtAlgorithm, JwtKey, JwtKeys, JwtRule, read_key_file, read_key_set};
pub use keys::known_keys;
pub use mistakes::{Invalid, Mistake, Mistakes, Place};
pub use patterns::Pattern;
pub use room_events::{EventType, GroupTemplate, RoomEvents, TextKey};
pub use rooms::{Keep, RoomRule};
pub use secrets::Secret;
pub use sources::{ConfigFile, Flag, LOG_FORMAT_VARIABLE, LOG_VARIABLE, Loaded, Sources, TOKEN_VARIABLE};
pub use tokens::{ProgramName, PushToken, TokenRule};
pub use web::{AllowedHost, AllowedOrigin, HostName, Origin, ProxyNetwork, SubProtocol, host_and_port};
pub use words::{Backend, Durability, History, Makes, MetricsFor, SerializerFormat, SignUp, StoreUrl};

use self::{
    django::{optional, optional_redis, optional_secret, secrets, shown_optional, shown_redis},
    keys::{
        Form, HOUR, Key, MOST, PROXIES, YEAR, address, channel_capacity, folder, form, message_bytes, prefix, read,
        redis_hosts, section, show, shown_capacities, shown_folder, shown_hosts,
    },
    show::{list, quoted},
    values::TEXTS,
};

/// A message is never longer than this, whatever `limits.message_bytes` says: 64 MiB. One frame has to fit into memory.
pub const LARGEST_MESSAGE: usize = 64 << 20;

/// Everything that can be set. `Leptos.toml` in the repository says what each key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub server: ServerSettings,
    pub store: StoreSettings,
    pub accounts: AccountSettings,
    pub channel_layers: ChannelLayers,
    /// The first rule that matches a room's name holds for it. Never empty.
    pub rooms: Vec<RoomRule>,
    /// The programs that may push over the HTTP API; no two have the same token.
    pub tokens: Vec<TokenRule>,
    pub limits: Limits,
    pub django: DjangoSettings,
    /// Sites whose tokens say who somebody is; no two have the same issuer.
    pub jwt: Vec<JwtRule>,
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
            accounts: AccountSettings::default(),
            channel_layers: ChannelLayers::default(),
            rooms: vec![RoomRule::default()],
            tokens: Vec::new(),
            limits: Limits::default(),
            django: DjangoSettings::default(),
            jwt: Vec::new(),
        }
    }
}

section! {
    /// `[server]`
    ServerSettings, "server", server;
    /// Where to accept connections; port 0 takes any free one.
    listen, "listen": SocketAddr = (Ipv4Addr::LOCALHOST, 3000).into(), text(address);
    /// The folder of the embedded store; a relative one is under the working folder.
    data, "data": PathBuf = "data".into(), own(Form::Text, folder, shown_folder);
    /// The names that the server goes by, besides those of the allowed origins, `localhost` and IP addresses.
    hosts, "hosts": Vec<AllowedHost> = Vec::new(), list(TEXTS);
    /// Whose pages may open a socket, besides the server's own.
    allowed_origins, "allowed_origins": Vec<AllowedOrigin> = Vec::new(), list(TEXTS);
    /// The proxies that are believed whom they speak for.
    trusted_proxies, "trusted_proxies": Vec<ProxyNetwork> = Vec::new(), list(PROXIES);
    /// Who may read `/metrics`.
    metrics, "metrics": MetricsFor = MetricsFor::Loopback, text(str::parse);
    /// Whether messages are deflated for clients that offer it.
    deflate, "deflate": bool = true, truth();
    /// Over how long a stopping server says goodbye to its connections.
    drain, "drain_seconds": Duration = Duration::from_secs(3), seconds(0..=HOUR);
    /// For how many days it is known who did what.
    audit_days, "audit_days": Option<NonZeroU32> = NonZeroU32::new(365), limit(36_500);
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

section! {
    /// `[store]`
    StoreSettings, "store", store;
    /// Where durable data is.
    url, "url": StoreUrl = StoreUrl::default(), text(str::parse);
    /// What an acknowledged message survives.
    durability, "durability": Durability = Durability::default(), text(str::parse);
}

section! {
    /// `[accounts]`
    AccountSettings, "accounts", accounts;
    /// Who may make an account.
    sign_up, "sign_up": SignUp = SignUp::Invite, text(str::parse);
    /// How long a session lasts that nobody uses.
    session, "session_days": Duration = Duration::from_hours(60 * 24), days(1..=3650);
    /// Whether administrators have to have a second factor.
    second_factor_for_administrators, "second_factor_for_administrators": bool = false, truth();
}

/// `[channel_layers]`, by alias as in Django Channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelLayers {
    pub default: LayerSettings,
}

section! {
    /// `[channel_layers.default]`: keys, meanings and defaults are those of `channels_redis`.
    LayerSettings, "channel_layers.default", channel_layers.default;
    /// How nodes reach each other.
    backend, "backend": Backend = Backend::Memory, text(str::parse);
    /// The Redis servers, in the same order on every node. The memory backend does not read them: the key is checked all
    /// the same, so that one variable can change the backend while the rest of the file stays as it is.
    hosts, "hosts": Vec<RedisHost> = vec![RedisHost::local()],
        own(Form::Json, redis_hosts, shown_hosts);
    /// What the layer's keys in Redis begin with. The memory backend has none and does not read it.
    prefix, "prefix": String = "asgi".to_owned(), text(prefix);
    /// How many unread messages a channel holds.
    capacity, "capacity": usize = 100, whole(1..=MOST);
    /// Other capacities for channels by name; the first pattern that matches counts.
    channel_capacity, "channel_capacity": Vec<(Pattern, usize)> = Vec::new(),
        own(Form::Json, channel_capacity, shown_capacities);
    /// How long an unread message is kept, in whole seconds.
    expiry, "expiry": Duration = Duration::from_mins(1), seconds(1..=YEAR);
    /// How long a channel stays in a group after its last `group_add`, in whole seconds.
    group_expiry, "group_expiry": Duration = Duration::from_hours(24), seconds(1..=YEAR);
    /// The first one encrypts, all are tried to decrypt; empty: nothing is encrypted. The memory backend puts nothing on a
    /// network and does not read them.
    symmetric_encryption_keys, "symmetric_encryption_keys": Vec<Secret> = Vec::new(), list(TEXTS);
    /// The same on every node. The memory backend serializes nothing and does not read it.
    serializer_format, "serializer_format": SerializerFormat = SerializerFormat::Msgpack, text(str::parse);
    /// How many bytes stand before each message in a sorted set, 0 to 64; the same on every node. Only `channels_redis.core` reads it.
    random_prefix_length, "random_prefix_length": usize = 12, whole(0..=64);
}

section! {
    /// `[limits]`: 0 in the file is `None` here.
    Limits, "limits", limits;
    /// The longest message, in bytes, 1 to [`LARGEST_MESSAGE`]; the file's 0 is [`LARGEST_MESSAGE`].
    message_bytes, "message_bytes": usize = 65_536, own(Form::Whole, message_bytes, ToString::to_string);
    /// Open connections from one address.
    connections_per_address, "connections_per_address": Option<NonZeroU32> = NonZeroU32::new(200), limit(MOST);
    /// Open connections of one account.
    connections_per_account, "connections_per_account": Option<NonZeroU32> = NonZeroU32::new(100), limit(MOST);
    /// HTTP requests per second from one address, with a burst of five seconds' worth.
    requests_per_second, "requests_per_second": Option<NonZeroU32> = NonZeroU32::new(100), limit(MOST);
    /// Messages per second on one connection, with a burst of five seconds' worth.
    messages_per_second, "messages_per_second": Option<NonZeroU32> = NonZeroU32::new(20), limit(MOST);
    /// Messages per second of one account on all of its connections, with a burst of five seconds' worth. Not in effect where
    /// `messages_per_second` is none.
    messages_per_second_per_account, "messages_per_second_per_account": Option<NonZeroU32> = NonZeroU32::new(40), limit(MOST);
    /// Bytes per second of the messages and answers on one connection, with a burst of five seconds' worth.
    bytes_per_second, "bytes_per_second": Option<NonZeroU32> = NonZeroU32::new(1 << 20), limit(MOST);
    /// Bytes per second of the messages and answers of one account on all of its connections, with a burst of five seconds' worth.
    /// Not in effect where `bytes_per_second` is none.
    bytes_per_second_per_account, "bytes_per_second_per_account": Option<NonZeroU32> = NonZeroU32::new(2 << 20), limit(MOST);
    /// Bytes per second of the messages, bodies and answers of one address, with a burst of five seconds' worth.
    bytes_per_second_per_address, "bytes_per_second_per_address": Option<NonZeroU32> = NonZeroU32::new(4 << 20), limit(MOST);
    /// Topics that one connection has joined.
    topics_per_connection, "topics_per_connection": Option<NonZeroUsize> = NonZeroUsize::new(100), limit(MOST);
    /// How much may wait for a reader that does not keep up before it is closed with 4001.
    backlog_bytes, "backlog_bytes": Option<NonZeroUsize> = NonZeroUsize::new(1 << 20), limit(MOST);
}

section! {
    /// `[accounts.django]`: a Django project whose sessions are understood.
    DjangoSettings, "accounts.django", django;
    /// The project's `SECRET_KEY`; none: there is no project.
    secret_key, "secret_key": Option<Secret> = None, own(Form::Text, optional_secret, shown_optional);
    /// The project's `SECRET_KEY_FALLBACKS`.
    secret_key_fallbacks, "secret_key_fallbacks": Vec<Secret> = Vec::new(),
        own(Form::Json, secrets, |secrets: &[Secret]| list(secrets.iter().map(quoted)));
    /// The project's `SESSION_ENGINE`.
    engine, "engine": SessionEngine = SessionEngine::default(), text(str::parse);
    /// The database with the project's users, and its sessions where they are in one.
    database, "database": Option<DjangoDatabase> = None, own(Form::Text, optional, shown_optional);
    /// The Redis of the project's `SESSION_CACHE_ALIAS`. Only the engine `cache` reads it.
    cache, "cache": Option<RedisHost> = None, own(Form::Text, optional_redis, shown_redis);
    /// The `KEY_PREFIX` of that cache.
    cache_key_prefix, "cache_key_prefix": String = String::new(), text(|text| Ok::<_, Invalid>(text.to_owned()));
    /// The `VERSION` of that cache.
    cache_version, "cache_version": u32 = 1, whole(0..=MOST);
    /// The project's `SESSION_COOKIE_NAME`.
    cookie_name, "cookie_name": CookieName = "sessionid".parse().expect("a name"), text(str::parse); // never: letters
    /// The project's `SESSION_COOKIE_AGE`, in seconds: for signed cookies alone, the others keep how long they are good for.
    cookie_age, "cookie_age": Duration = Duration::from_secs(14 * 24 * HOUR), seconds(1..=YEAR);
    /// The salt of what the engine signs, where the project has a class of its own for sessions; none: that of Django's.
    session_salt, "session_salt": Option<String> = None, own(Form::Text, optional, shown_optional);
    /// Where people sign in to the project, its `LOGIN_URL`; none: pages do not lead there.
    login_url, "login_url": Option<LoginUrl> = None, own(Form::Text, optional, shown_optional);
    /// Who may have let somebody in: the project's `AUTHENTICATION_BACKENDS`.
    authentication_backends, "authentication_backends": Vec<String> = vec!["django.contrib.auth.backends.ModelBackend".to_owned()],
        list(TEXTS);
    /// The table of the sessions.
    session_table, "session_table": SqlName = "django_session".parse().expect("a name"), text(str::parse); // never: letters
    /// The table of the users, and the columns in it; those that a table of the project's own does not have are none.
    user_table, "user_table": SqlName = "auth_user".parse().expect("a name"), text(str::parse); // never: letters
    user_id, "user_id": SqlName = "id".parse().expect("a name"), text(str::parse); // never: letters
    username, "username": SqlName = "username".parse().expect("a name"), text(str::parse); // never: letters
    password, "password": SqlName = "password".parse().expect("a name"), text(str::parse); // never: letters
    first_name, "first_name": Option<SqlName> = "first_name".parse().ok(), own(Form::Text, optional, shown_optional);
    last_name, "last_name": Option<SqlName> = "last_name".parse().ok(), own(Form::Text, optional, shown_optional);
    is_active, "is_active": Option<SqlName> = "is_active".parse().ok(), own(Form::Text, optional, shown_optional);
}
