//! The Redis servers of a channel layer, written as for `channels_redis`: an address, a pair of host and port, or a table
//! with the arguments of redis-py's connections. Whatever the form, what comes of it is a [`RedisHost`].

use std::{fmt, net::Ipv6Addr, str::FromStr};

use super::{
    mistakes::{Invalid, Mistakes},
    secrets::Secret,
    show::{list, quoted},
    table::Table,
    values::{Node, Raw},
    web::{is_host, split_port},
};
use crate::server::percent::{percent_decode, percent_encode};

/// The ports where nothing else is said.
const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// The largest number of a database; servers have far fewer.
const LAST_DATABASE: u64 = i32::MAX as u64;

/// One entry of `hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisHost {
    Server(RedisServer),
    Master(SentinelMaster),
}

/// A Redis server. Its password is never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServer {
    pub place: RedisPlace,
    pub login: Login,
    /// The number of the database.
    pub db: u32,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisPlace {
    /// An IPv6 address has no brackets here.
    Tcp { host: String, port: u16, tls: bool },
    /// The path of a socket in the file system.
    Unix(String),
}

/// The server that sentinels currently call the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelMaster {
    /// At least one; all of them over TCP.
    pub sentinels: Vec<RedisServer>,
    pub master_name: String,
    /// To the master; each sentinel has its own.
    pub login: Login,
    pub db: u32,
    /// Whether the master is reached over TLS; each sentinel's place says so for itself.
    pub tls: bool,
}

/// What a server wants to know of whoever connects.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    pub username: Option<String>,
    pub password: Option<Secret>,
}

impl RedisHost {
    /// The default of `channels_redis`.
    pub fn local() -> Self {
        let place = RedisPlace::Tcp { host: "127.0.0.1".to_owned(), port: SERVER_PORT, tls: false };
        Self::Server(RedisServer { place, login: Login::default(), db: 0 })
    }

    /// As it stands in a TOML list, passwords masked.
    pub(super) fn toml(&self) -> String {
        let SentinelMaster { sentinels, master_name, login, db, tls } = match self {
            Self::Server(server) => return quoted(server),
            Self::Master(master) => master,
        };
        let sentinels = list(sentinels.iter().map(|sentinel| quoted(sentinel.address())));
        let username = login.username.iter().map(|username| format!(", username = {}", quoted(username)));
        let password = login.password.iter().map(|password| format!(", password = {}", quoted(password)));
        let login: String = username.chain(password).collect();
        format!("{{ sentinels = {sentinels}, master_name = {}{login}, db = {db}, ssl = {tls} }}", quoted(master_name))
    }
}

impl RedisServer {
    /// The address without the database, the password masked.
    fn address(&self) -> String {
        self.place.address(&self.login.to_string())
    }
}

impl RedisPlace {
    /// As an address without the database; `login` stands before the place as it is.
    pub fn address(&self, login: &str) -> String {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                format!("{scheme}://{login}{host}:{port}")
            }
            Self::Unix(path) => {
                let path: Vec<_> = path.split('/').map(percent_encode).collect();
                format!("unix://{login}{}", path.join("/"))
            }
        }
    }
}

/// The address with the password masked.
impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())?;
        match self.place {
            RedisPlace::Tcp { .. } => write!(f, "/{}", self.db),
            RedisPlace::Unix(_) => write!(f, "?db={}", self.db),
        }
    }
}

/// What stands in an address before the host, masked. A name alone is masked too: it may well be the password.
impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.username, &self.password) {
            (None, None) => Ok(()),
            (Some(_), None) => f.write_str("***@"),
            (username, Some(password)) => {
                write!(f, "{}:{password}@", percent_encode(username.as_deref().unwrap_or_default()))
            }
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({self})")
    }
}

impl FromStr for RedisServer {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Address::parse(text, SERVER_PORT).map(Address::server)
    }
}

/// What an address says; a database that it leaves out may stand beside it.
struct Address {
    place: RedisPlace,
    login: Login,
    db: Option<u32>,
}

impl Address {
    /// `scheme://[[user]:password@]host[:port][/database][?options]`, or `unix://[[user]:password@]/path[?options]`.
    fn parse(text: &str, default_port: u16) -> Result<Self, Invalid> {
        const NEEDED: Invalid = Invalid(
            r#"a Redis address is redis://, rediss:// (TLS) or unix:// with a host, a port and the number of a database, like "redis://127.0.0.1:6379/0""#,
        );
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(NEEDED);
        }
        let (scheme, rest) = text.split_once("://").ok_or(NEEDED)?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        // An `@` behind is part of a password, which has to be percent-encoded.
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let login = Login::from_address(login).ok_or(NEEDED)?;
        let (place, db) = match scheme {
            "redis" | "rediss" => {
                let (host, port) = split_port(address).filter(|(host, _)| is_host(host)).ok_or(NEEDED)?;
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let db = Some(path.trim_start_matches('/')).filter(|db| !db.is_empty());
                let db = db.map(database).transpose().map_err(|_| NEEDED)?;
                (RedisPlace::Tcp { host, port: port.unwrap_or(default_port), tls: scheme == "rediss" }, db)
            }
            "unix" if address.is_empty() && path.len() > 1 => {
                (RedisPlace::Unix(percent_decode(path).filter(|path| !path.contains('\0')).ok_or(NEEDED)?), None)
            }
            _ => return Err(NEEDED),
        };
        let mut parsed = Self { place, login, db };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            parsed.option(option)?;
        }
        Ok(parsed)
    }

    /// An option goes over the rest of the address, as in redis-py.
    fn option(&mut self, option: &str) -> Result<(), Invalid> {
        const NEEDED: Invalid = Invalid("the options of a Redis address are db, username and password");
        let (name, value) = option.split_once('=').ok_or(NEEDED)?;
        let value = percent_decode(&value.replace('+', " ")).ok_or(NEEDED)?;
        match name {
            "db" => self.db = Some(database(&value)?),
            "username" => self.login.username = Some(value),
            "password" => self.login.password = Some(value.parse()?),
            "ssl_cert_reqs" => certificates(&value)?,
            _ => return Err(NEEDED),
        }
        Ok(())
    }

    fn server(self) -> RedisServer {
        RedisServer { place: self.place, login: self.login, db: self.db.unwrap_or_default() }
    }
}

impl Login {
    /// `user`, `user:password` or `:password`, percent-encoded. None where that is broken.
    fn from_address(text: &str) -> Option<Self> {
        let (username, password) = text.split_once(':').unwrap_or((text, ""));
        let given = |text: &str| Some(percent_decode(text)?).map(|text| Some(text).filter(|text| !text.is_empty()));
        let password = given(password)?.map(|password| password.parse()).transpose().ok()?;
        Some(Self { username: given(username)?, password })
    }

    /// The same, completed from `other`.
    fn or(self, other: Self) -> Self {
        Self { username: self.username.or(other.username), password: self.password.or(other.password) }
    }
}

fn database(text: &str) -> Result<u32, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|db| digits && u64::from(*db) <= LAST_DATABASE).ok_or(Invalid("a database has a number"))
}

fn certificates(text: &str) -> Result<(), Invalid> {
    if text == "required" {
        return Ok(());
    }
    Err(Invalid(
        r#"only "required" is possible: put the authority of a certificate of your own among the system's, or name its file in the variable SSL_CERT_FILE"#,
    ))
}

fn host_name(text: &str) -> Result<String, Invalid> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let good = bare.parse::<Ipv6Addr>().is_ok() || is_host(text);
    good.then(|| bare.to_owned()).ok_or(Invalid(r#"the name or the address of a machine is needed, like "127.0.0.1""#))
}

fn word(text: &str) -> Result<String, Invalid> {
    let good = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    good.then(|| text.to_owned()).ok_or(Invalid("one word is needed"))
}

/// An entry of `hosts`.
pub(super) fn read(node: &Node) -> Result<RedisHost, Mistakes> {
    match node.raw {
        Raw::Table(_) => Said::read(node),
        _ => address(node, SERVER_PORT).map(|address| RedisHost::Server(address.server())),
    }
}

/// A text, or a pair of host and port.
fn address(node: &Node, default_port: u16) -> Result<Address, Mistakes> {
    const NEEDED: &str = r#"an address like "redis://127.0.0.1:6379/0" or a pair like ["127.0.0.1", 6379]"#;
    match &node.raw {
        Raw::Text(_) => node.parsed(|text| Address::parse(text, default_port)),
        Raw::List(items) => {
            let [host, port] = &items[..] else { return Err(node.must_be(NEEDED)) };
            let mut mistakes = Mistakes::default();
            let (host, port) = (mistakes.keep(host.parsed(host_name)), mistakes.keep(port.whole(1..=u16::MAX.into())));
            let place = host.zip(port).map(|(host, port)| RedisPlace::Tcp { host, port, tls: false });
            match place {
                Some(place) => mistakes.or(Address { place, login: Login::default(), db: None }),
                None => Err(mistakes),
            }
        }
        _ => Err(node.must_be(NEEDED)),
    }
}

/// A sentinel. It has no databases.
fn sentinel(node: &Node) -> Result<RedisServer, Mistakes> {
    let server = address(node, SENTINEL_PORT)?.server();
    match server {
        RedisServer { place: RedisPlace::Tcp { .. }, db: 0, .. } => Ok(server),
        _ => Err(node.mistake(r#"must be a sentinel's host and port, like ["127.0.0.1", 26379]"#)),
    }
}

/// What a table says, before it is known which kind of host it is.
struct Said {
    address: Option<Address>,
    host: Option<String>,
    port: Option<u16>,
    sentinels: Option<Vec<RedisServer>>,
    master_name: Option<String>,
    to_sentinels: Option<Access>,
    db: Option<u32>,
    access: Access,
}

/// What is said of a server besides where it is.
#[derive(Default)]
struct Access {
    login: Login,
    tls: bool,
}

impl Access {
    /// Asks for the keys that say it.
    fn read(table: &mut Table<'_>) -> Self {
        let username = table.read("username", |field| field.parsed(word));
        let password = table.read("password", |field| field.secret(str::parse));
        let tls = table.read("ssl", Node::truth).unwrap_or_default();
        table.read("ssl_cert_reqs", |field| field.parsed(certificates));
        Self { login: Login { username, password }, tls }
    }

    /// The place with this access, where it has none of its own.
    fn complete(&self, server: RedisServer) -> RedisServer {
        let RedisServer { mut place, login, db } = server;
        if let RedisPlace::Tcp { tls, .. } = &mut place {
            *tls |= self.tls;
        }
        RedisServer { place, login: login.or(self.login.clone()), db }
    }
}

impl Said {
    fn read(node: &Node) -> Result<RedisHost, Mistakes> {
        let mut table = Table::of(node, "a table")?;
        let said = Self {
            address: table.read("address", |field| address(field, SERVER_PORT)),
            host: table.read("host", |field| field.parsed(host_name)),
            port: table.read("port", |field| field.whole(1..=u16::MAX.into())),
            db: table.read("db", |field| field.whole(0..=LAST_DATABASE)),
            access: Access::read(&mut table),
            sentinels: table.read("sentinels", |field| {
                field.at_least_one(field.list(r#"a list of sentinels, like [["127.0.0.1", 26379]]"#, sentinel)?)
            }),
            master_name: table.read("master_name", |field| field.parsed(word)),
            to_sentinels: table.read("sentinel_kwargs", sentinel_access),
        };
        table.end(Some(said))?.host(node)
    }

    /// What the fields are together.
    fn host(self, node: &Node) -> Result<RedisHost, Mistakes> {
        let of_sentinels = self.master_name.is_some() || self.to_sentinels.is_some();
        match self {
            Self { address: Some(Address { place, login, db }), host: None, port: None, sentinels: None, access, .. }
                if !of_sentinels =>
            {
                if access.tls && matches!(place, RedisPlace::Unix(_)) {
                    return Err(node.mistake("has ssl = true, which a unix socket has not"));
                }
                let db = db.or(self.db).unwrap_or_default();
                Ok(RedisHost::Server(access.complete(RedisServer { place, login, db })))
            }
            Self { address: None, host: Some(host), port, sentinels: None, access, db, .. } if !of_sentinels => {
                let place = RedisPlace::Tcp { host, port: port.unwrap_or(SERVER_PORT), tls: access.tls };
                Ok(RedisHost::Server(RedisServer { place, login: access.login, db: db.unwrap_or_default() }))
            }
            Self {
                address: None,
                host: None,
                port: None,
                sentinels: Some(sentinels),
                master_name: Some(master_name),
                to_sentinels,
                access: Access { login, tls },
                db,
            } => {
                let to_sentinels = to_sentinels.unwrap_or_default();
                let sentinels = sentinels.into_iter().map(|sentinel| to_sentinels.complete(sentinel)).collect();
                let db = db.unwrap_or_default();
                Ok(RedisHost::Master(SentinelMaster { sentinels, master_name, login, db, tls }))
            }
            _ => Err(node.mistake("needs either an address, or host and perhaps port, or sentinels and master_name")),
        }
    }
}

fn sentinel_access(node: &Node) -> Result<Access, Mistakes> {
    let mut table = Table::of(node, r#"a table, like { password = "..." }"#)?;
    let access = Access::read(&mut table);
    table.end(Some(access))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Option<String> {
        text.parse::<RedisServer>().map(|server| server.to_string()).ok()
    }

    #[test]
    fn addresses_are_read_and_printed_in_one_form_without_passwords() {
        for (text, form) in [
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("redis://h", "redis://h:6379/0"),
            ("redis://h/", "redis://h:6379/0"),
            ("rediss://:pw@h:1/15", "rediss://:***@h:1/15"),
            ("redis://u:p@[::1]:6379", "redis://u:***@[::1]:6379/0"),
            ("redis://me:p@w@h", "redis://me:***@h:6379/0"),
            ("redis://pw@h", "redis://***@h:6379/0"),
            ("redis://h/1?db=2&username=a%2Fb&password=p%40w", "redis://a%2Fb:***@h:6379/2"),
            ("rediss://h?ssl_cert_reqs=required", "rediss://h:6379/0"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0"),
            ("unix://:pw@/run/my%20redis.sock?db=3", "unix://:***@/run/my%20redis.sock?db=3"),
        ] {
            assert_eq!(printed(text).as_deref(), Some(form), "{text}");
            let again = printed(form);
            assert_eq!(again.as_deref(), Some(form), "what is printed can be read");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "h:6379",
            "http://h",
            "redis://",
            "redis://:6379",
            "redis://h:x",
            "redis://h/a",
            "redis://h/+1",
            "redis://h/4294967296",
            "redis://h h",
            "redis://h#insecure",
            "redis://h?socket_timeout=5",
            "rediss://h?ssl_cert_reqs=none",
            "redis://h?db",
            "redis://:%4@h",
            "unix://run",
            "unix://",
            "unix:///",
            "redis://me:p/w@h",
            "redis://me:1?w@h",
        ] {
            assert!(text.parse::<RedisServer>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_login_is_decoded() {
        let server: RedisServer = "redis://us%65r:p%40w%2F@h".parse().unwrap();
        assert_eq!(server.login.username.as_deref(), Some("user"));
        assert_eq!(server.login.password.map(|password| password.reveal().to_owned()).as_deref(), Some("p@w/"));
    }
}
