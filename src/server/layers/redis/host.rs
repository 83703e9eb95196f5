//! Where a Redis server is, and how to get a connection to it.
//!
//! A [`Host`] is what the settings say; a [`Source`] is the same, checked, and gives connections: for a server by its
//! address, for a sentinels' master by asking them anew each time, since it may be another server by now.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo, RedisError, TlsMode,
    aio::{MultiplexedConnection, PubSub},
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use tokio::time::timeout;

/// How long a connection may take to come about, name resolution, TLS and sentinels included.
const CONNECT: Duration = Duration::from_secs(3);

/// A Redis server, or the master that sentinels know.
#[derive(Clone, PartialEq, Eq)]
pub enum Host {
    /// `redis://[user:password@]host:port/db`, `rediss://` for TLS, `unix:///path?db=1`.
    Url(String),
    /// The master of this name; each sentinel is a URL like those above, with its own credentials. The master is reached with those here.
    Sentinel {
        sentinels: Vec<String>,
        master_name: String,
        username: Option<String>,
        password: Option<String>,
        db: i64,
        tls: bool,
    },
}

impl Host {
    /// The server of this machine: `redis://127.0.0.1:6379/0`.
    pub fn local() -> Self {
        Self::Url("redis://127.0.0.1:6379/0".to_owned())
    }
}

/// Without passwords: for logs and messages.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                // A unix socket's password stands behind the question mark.
                write!(f, "{scheme}://{}", place.split('?').next().unwrap_or_default())
            }
            Self::Sentinel { master_name, sentinels, .. } => write!(f, "{master_name} of {} sentinels", sentinels.len()),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Gives connections to a host.
pub(super) struct Source {
    host: Host,
    way: Way,
}

enum Way {
    Direct(Box<Client>),
    Sentinels(Vec<ConnectionInfo>),
}

impl Source {
    /// Checks the host; connects to nothing.
    pub(super) fn new(host: Host) -> Result<Self, RedisError> {
        // The only error is that a provider has been chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let way = match &host {
            Host::Url(url) => Way::Direct(Box::new(Client::open(url.as_str())?)),
            Host::Sentinel { sentinels, .. } => {
                Way::Sentinels(sentinels.iter().map(|url| url.as_str().into_connection_info()).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { host, way })
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    async fn client(&self) -> Result<Client, RedisError> {
        match (&self.way, &self.host) {
            (Way::Sentinels(addresses), Host::Sentinel { master_name, username, password, db, tls, .. }) => {
                let mut login = RedisConnectionInfo::default().set_db(*db);
                if let Some(username) = username {
                    login = login.set_username(username);
                }
                if let Some(password) = password {
                    login = login.set_password(password);
                }
                let mut master = SentinelNodeConnectionInfo::default().set_redis_connection_info(login);
                if *tls {
                    master = master.set_tls_mode(TlsMode::Secure);
                }
                let kind = SentinelServerType::Master;
                SentinelClient::build(addresses.clone(), master_name, Some(master), kind)?.async_get_client().await
            }
            (Way::Direct(client), _) => Ok(Client::clone(client)),
            (Way::Sentinels(_), Host::Url(_)) => unreachable!("made together"), // never: see `new`
        }
    }

    /// A fresh connection on which an answer takes at most `patience`.
    pub(super) async fn connect(&self, patience: Duration) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(Some(patience));
        within(async { self.client().await?.get_multiplexed_async_connection_with_config(&config).await }).await
    }

    /// A fresh connection for subscriptions.
    pub(super) async fn subscriber(&self) -> Result<PubSub, RedisError> {
        within(async { self.client().await?.get_async_pubsub().await }).await
    }
}

async fn within<T>(connecting: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    let late = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection within three seconds");
    timeout(CONNECT, connecting).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("redis://me:secret@example.org:6379/2", "redis://example.org:6379/2"),
            ("redis://:p@ss@example.org", "redis://example.org"),
            ("rediss://example.org", "rediss://example.org"),
            ("unix:///run/redis.sock?db=1&pass=secret", "unix:///run/redis.sock"),
        ] {
            assert_eq!(Host::Url(url.to_owned()).to_string(), shown);
            assert_eq!(format!("{:?}", Host::Url(url.to_owned())), shown);
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_at_once() {
        assert!(Source::new(Host::Url("http://example.org".to_owned())).is_err());
        assert!(Source::new(Host::Url("redis://example.org:6379/one".to_owned())).is_err());
        assert!(Source::new(Host::local()).is_ok());
    }
}
