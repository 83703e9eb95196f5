//! Settings that are one of a few words.

use std::{fmt, str::FromStr};

use super::{mistakes::Invalid, secrets::masked};
use crate::server::postgres_url::PostgresUrl;

/// A setting that is one of a few words.
macro_rules! word {
    ($name:ident, $needed:literal, $($text:literal => $variant:ident),+) => {
        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(Invalid($needed)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }
    };
}

/// What an acknowledged message survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: every commit waits for the disk.
    #[default]
    Power,
    /// The end of the process, `kill -9` included, but not of the machine: the system may still hold the latest commits.
    Process,
}

word!(Durability, r#""power" or "process" is needed"#, "power" => Power, "process" => Process);

/// Where a room's messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// In the store, for good.
    Store,
    /// In memory, until the server stops.
    Memory,
    /// Nowhere: who is not there does not get them.
    None,
}

word!(History, r#""store", "memory" or "none" is needed"#, "store" => Store, "memory" => Memory, "none" => None);

/// Who makes rooms that they own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// Everybody with an account.
    Accounts,
    /// Those who administer the server.
    Administrators,
    Nobody,
}

word!(Makes, r#""accounts", "administrators" or "nobody" is needed"#, "accounts" => Accounts, "administrators" => Administrators, "nobody" => Nobody);

/// How nodes reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Within this process: one node.
    Memory,
    /// Through sorted sets in Redis.
    RedisCore,
    /// Through publishing and subscribing in Redis.
    RedisPubSub,
}

impl FromStr for Backend {
    type Err = Invalid;

    /// The classes are what Django's settings have.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "memory" | "channels.layers.InMemoryChannelLayer" => Ok(Self::Memory),
            "channels_redis.core" | "channels_redis.core.RedisChannelLayer" => Ok(Self::RedisCore),
            "channels_redis.pubsub" | "channels_redis.pubsub.RedisPubSubChannelLayer" => Ok(Self::RedisPubSub),
            _ => Err(Invalid(r#""memory", "channels_redis.core" or "channels_redis.pubsub" is needed"#)),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::RedisCore => "channels_redis.core",
            Self::RedisPubSub => "channels_redis.pubsub",
        })
    }
}

/// How events become bytes on their way through Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerializerFormat {
    /// `MessagePack`.
    Msgpack,
    /// JSON, which has no bytes.
    Json,
}

word!(SerializerFormat, r#""msgpack" or "json" is needed"#, "msgpack" => Msgpack, "json" => Json);

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// Whoever has an invitation.
    Invite,
    /// Everybody.
    Open,
    /// Nobody: administrators make them.
    Closed,
}

word!(
    SignUp,
    r#""invite", "open" or "closed" is needed"#,
    "invite" => Invite,
    "open" => Open,
    "closed" => Closed
);

/// Who may read the server's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFor {
    /// Whoever can reach the server.
    Everyone,
    /// Programs on the same machine that do not come through a proxy.
    Loopback,
    /// There are none.
    Nobody,
}

word!(
    MetricsFor,
    r#""loopback", "everyone" or "off" is needed"#,
    "everyone" => Everyone,
    "loopback" => Loopback,
    "off" => Nobody
);

/// Where durable data is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreUrl {
    /// `SQLite`, as a file in the data folder.
    #[default]
    Sqlite,
    /// A database that several nodes may share.
    Postgres(PostgresUrl),
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const NEEDED: &str = r#""sqlite" or "postgres://user:password@host:port/database" is needed"#;
        match text {
            "sqlite" => Ok(Self::Sqlite),
            _ if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                text.parse().map(Self::Postgres).map_err(|wrong| format!("{wrong}; {NEEDED}"))
            }
            _ => Err(NEEDED.to_owned()),
        }
    }
}

/// As it was written, the password masked.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite => f.write_str("sqlite"),
            Self::Postgres(url) => f.write_str(&masked(url.as_str())),
        }
    }
}
