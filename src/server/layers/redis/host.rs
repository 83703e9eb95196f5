//! Where a Redis server is.

use std::fmt;

/// A Redis server, or the master that sentinels know.
#[derive(Clone, PartialEq, Eq)]
pub enum Host {
    /// `redis://[user:password@]host:port/db`, `rediss://` for TLS, `unix:///path?db=1`.
    Url(String),
    /// The master of this name; each sentinel is a URL like those above. The master is reached with these credentials.
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

/// Without passwords.
impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                write!(f, "{scheme}://{place}")
            }
            Self::Sentinel { master_name, sentinels, .. } => write!(f, "{master_name} of {} sentinels", sentinels.len()),
        }
    }
}
