//! The types of single settings: each is made from a text and can only hold what is right.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};
use sha2::{Digest, Sha256};

use crate::{
    server::{glob::Glob, postgres_url::PostgresUrl},
    wire::{PersonName, SUBPROTOCOL},
};

/// Why a text was refused: what is needed instead, to be read after `cannot be "...": `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

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

/// What a list of the settings lets in: a thing that it names, or all with `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed<T> {
    /// `*`: all.
    Any,
    /// This one.
    Only(T),
}

/// Whose pages may open a socket.
pub type AllowedOrigin = Allowed<Origin>;

/// A name that the server goes by.
pub type AllowedHost = Allowed<HostName>;

impl<T: FromStr<Err = Invalid>> FromStr for Allowed<T> {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "*" { Ok(Self::Any) } else { text.parse().map(Self::Only) }
    }
}

impl<T: fmt::Display> fmt::Display for Allowed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Only(one) => one.fmt(f),
        }
    }
}

/// An address, or a network in CIDR notation, of proxies that are believed whom they speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyNetwork(IpNet);

impl ProxyNetwork {
    /// Whether an address is in it. IPv4 addresses are not expected as mapped to IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for ProxyNetwork {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const NEEDED: Invalid = Invalid(
            r#"the IP address of a proxy, or a network of proxies, is needed, like "127.0.0.1", "10.0.0.0/8" or "2001:db8::/32""#,
        );
        /// The bits before an IPv4 address in an IPv6 one.
        const MAPPED: u8 = 96;
        let alone = text.parse().map(|address: IpAddr| address.into());
        let network: IpNet = alone.or_else(|_| text.parse()).map_err(|_| NEEDED)?;
        // IPv4 addresses are looked for as such, so an entry that has them mapped would silently never match.
        let mapped = match network {
            IpNet::V6(network) if network.prefix_len() >= MAPPED => {
                let address = network.addr().to_ipv4_mapped();
                address.and_then(|address| Ipv4Net::new(address, network.prefix_len() - MAPPED).ok())
            }
            _ => None,
        };
        Ok(Self(mapped.map_or(network, Into::into).trunc()))
    }
}

impl fmt::Display for ProxyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// A host as browsers send it, in lower case and without the dot that may stand at the end, so that two are the same if their
/// texts are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(String);

impl HostName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the name that every machine has for itself.
    pub fn is_localhost(&self) -> bool {
        self.0 == "localhost"
    }

    /// Whether it is no name but an IP address.
    pub fn is_address(&self) -> bool {
        self.0.starts_with('[') || self.0.parse::<Ipv4Addr>().is_ok()
    }
}

impl FromStr for HostName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const NEEDED: Invalid = Invalid(
            r#"the name of a host is needed as browsers send it, without scheme and port, like "chat.example.org" or "xn--bcher-kva.example"; "*" lets in all"#,
        );
        let text = text.strip_suffix('.').unwrap_or(text);
        if is_host(text) { Ok(Self(text.to_ascii_lowercase())) } else { Err(NEEDED) }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The two parts of `Host`; none where it is not well formed. A port may be empty (RFC 3986 section 3.2.3).
pub fn host_and_port(authority: &str) -> Option<(HostName, Option<u16>)> {
    let (host, port) = split_port(authority.strip_suffix(':').unwrap_or(authority))?;
    Some((host.parse().ok()?, port))
}

/// An origin as browsers send it in `Origin` (RFC 6454 section 6.2): `scheme://host` or `scheme://host:port`, in lower case and
/// without the port that the scheme implies, so that two are the same if their texts are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: HostName,
    /// None for the one that the scheme implies.
    port: Option<u16>,
}

impl Origin {
    /// The host of its pages.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Whether its pages are those of a server that was asked for by this host and port. The scheme is not compared, since a
    /// proxy may end TLS; it says which port is implied.
    pub fn is_at(&self, host: &HostName, port: Option<u16>) -> bool {
        self.host == *host && self.port == port.filter(|port| implied_port(&self.scheme) != Some(*port))
    }
}

fn implied_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl FromStr for Origin {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const NEEDED: Invalid = Invalid(
            r#"an origin is a page's scheme, host and port and nothing else, like "https://chat.example.org" or "http://localhost:8080"; "*" allows all"#,
        );
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(NEEDED)?;
        let (host, port) = split_port(authority).ok_or(NEEDED)?;
        // A page is never loaded over ws: such an entry would silently never match.
        let good_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && !matches!(scheme, "ws" | "wss");
        if !good_scheme {
            return Err(NEEDED);
        }
        let host = host.parse().map_err(|_| NEEDED)?;
        Ok(Self { scheme: scheme.to_owned(), host, port: port.filter(|port| implied_port(scheme) != Some(*port)) })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        write!(f, "{scheme}://{host}")?;
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The host and, if there is one, the port; `None` if what follows the colon is not a port.
pub(super) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        // The last colon of a bare IPv6 address is inside the brackets.
        Some((host, port)) if !port.ends_with(']') => {
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            let port = port.parse().ok().filter(|port| digits && *port != 0)?;
            Some((host, Some(port)))
        }
        _ => Some((authority, None)),
    }
}

pub(super) fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    }
}

/// A pattern for names: `*` stands for any number of letters, `?` for exactly one, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    glob: Glob,
}

impl Pattern {
    /// `*`.
    pub fn everything() -> Self {
        Self::new("*")
    }

    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), glob: Glob::new(text) }
    }

    /// A pattern for the names of rooms.
    ///
    /// # Errors
    /// If there is a letter in it that no room's name has: it could never match.
    pub fn for_rooms(text: &str) -> Result<Self, Invalid> {
        Self::of(text, b"_-*?")
            .ok_or(Invalid("a room pattern is made of A-Z a-z 0-9 _ - with * for any letters and ? for any one"))
    }

    /// A pattern for the names of channels.
    ///
    /// # Errors
    /// If there is a letter in it that no channel's name has: it could never match.
    pub fn for_channels(text: &str) -> Result<Self, Invalid> {
        Self::of(text, b"_-.!*?")
            .ok_or(Invalid("a channel pattern is made of A-Z a-z 0-9 _ - . ! with * for any letters and ? for any one"))
    }

    fn of(text: &str, besides: &[u8]) -> Option<Self> {
        let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || besides.contains(&b));
        good.then(|| Self::new(text))
    }

    /// Whether it matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        self.glob.matches(name.as_bytes())
    }

    /// The one name that it matches, if it has no `*` and no `?`.
    pub fn only(&self) -> Option<&str> {
        (!self.text.contains(['*', '?'])).then_some(&*self.text)
    }

    /// Whether there is no name that it does not match.
    pub fn matches_everything(&self) -> bool {
        self.text.bytes().all(|letter| letter == b'*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name of a sub-protocol of WebSocket, as it stands in a handshake (RFC 6455 section 4.1), other than our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubProtocol(String);

impl SubProtocol {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SubProtocol {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == SUBPROTOCOL {
            return Err(Invalid("whoever offers confab.v1 speaks it, in every room; name others"));
        }
        let good = (1..=100).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        good.then(|| Self(text.to_owned()))
            .ok_or(Invalid("a sub-protocol is 1 to 100 of A-Z a-z 0-9 ! # $ % & ' * + - . ^ _ ` | ~, like chat.v2"))
    }
}

impl fmt::Display for SubProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for who needs it: not to be printed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() { Err(Invalid("at least one letter is needed")) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The name that a program speaks under: one that a guest could have, exactly as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramName(PersonName);

impl ProgramName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ProgramName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = text.parse().ok().filter(|name: &PersonName| name.as_str() == text);
        name.map(Self).ok_or(Invalid(
            "a name of 1 to 40 characters is needed, without spaces around it, double spaces, or characters that nobody sees",
        ))
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The token of a program, as its SHA-256: the token itself is not held and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PushToken([u8; 32]);

impl PushToken {
    /// What [`Self::is`] compares.
    pub fn digest(token: &str) -> [u8; 32] {
        Sha256::digest(token).into()
    }

    /// Whether this is the token with the digest; takes the same time whether it is or not.
    pub fn is(&self, digest: &[u8; 32]) -> bool {
        self.0.iter().zip(digest).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }
}

impl FromStr for PushToken {
    type Err = Invalid;

    /// The letters are those of RFC 6750 section 2.1, which leaves out what `confab check` prints in the token's place.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let good = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        good.then(|| Self(Self::digest(text)))
            .ok_or(Invalid("at least 16 of A-Z a-z 0-9 - . _ ~ + / = are needed, such as `openssl rand -hex 32` prints"))
    }
}

impl fmt::Display for PushToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for PushToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushToken(***)")
    }
}

/// A text that may be an address, right or wrong, without what may be a password in it: everything before the last `@` but
/// the scheme and the user, and the value of an option with `pass` in its name.
pub(super) fn masked(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (&text[..scheme.len() + 3], rest));
    let (user, address) = match rest.rsplit_once('@') {
        // Without a colon the one word may well be the password.
        Some((user, address)) => (user.split_once(':').map_or("***@".to_owned(), |(user, _)| format!("{user}:***@")), address),
        None => (String::new(), rest),
    };
    let Some((address, options)) = address.split_once('?') else { return format!("{scheme}{user}{address}") };
    let option = |option: &str| match option.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=***"),
        _ => option.to_owned(),
    };
    format!("{scheme}{user}{address}?{}", options.split('&').map(option).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_in_one_form() {
        for (text, form) in [
            ("https://chat.example.org", "https://chat.example.org"),
            ("HTTPS://Chat.Example.ORG:443", "https://chat.example.org"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("http://[::1]", "http://[::1]"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("tauri://localhost", "tauri://localhost"),
            ("https://chat.example.org.", "https://chat.example.org"),
        ] {
            assert_eq!(text.parse::<Origin>().map(|origin| origin.to_string()), Ok(form.to_owned()));
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "null",
            "example.org",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://a:",
            "https://a:0",
            "https://a:+1",
            "https://a:65536",
            "https://a b",
            "https://*.example.org",
            "https://ä.example",
            "wss://a",
            "http://[::1",
            "http://::1",
            "1http://a",
            "://a",
            "**",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_port_that_a_scheme_implies_is_no_difference() {
        for (origin, asked, same) in [
            ("https://chat.example", "chat.example", true),
            ("https://chat.example", "chat.example:443", true),
            ("https://chat.example:443", "chat.example", true),
            ("http://chat.example", "chat.example:80", true),
            ("https://Chat.Example.", "cHAT.example:443", true),
            ("https://chat.example:3000", "chat.example:3000", true),
            ("http://[::1]", "[::1]:80", true),
            ("http://chat.example", "chat.example:", true),
            ("https://chat.example", "chat.example:80", false),
            ("http://chat.example", "chat.example:443", false),
            ("https://chat.example:3000", "chat.example", false),
            ("https://chat.example", "chat.example:3000", false),
            ("https://chat.example", "other.example", false),
        ] {
            let (host, port) = host_and_port(asked).unwrap();
            assert_eq!(origin.parse::<Origin>().unwrap().is_at(&host, port), same, "{origin} {asked}");
        }
    }

    #[test]
    fn a_host_has_no_scheme_and_no_port() {
        for (text, form) in [("Chat.Example.", "chat.example"), ("a_b", "a_b"), ("10.0.0.1", "10.0.0.1"), ("[::1]", "[::1]")] {
            assert_eq!(text.parse::<HostName>().map(|name| name.to_string()), Ok(form.to_owned()));
        }
        for bad in ["", ".", "a:80", "http://a", "a/b", "bücher.example", "a b", "*.example", "::1", "[::1"] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
        let is_address = |text: &str| text.parse::<HostName>().unwrap().is_address();
        assert!(
            is_address("127.0.0.1") && is_address("[::1]") && !is_address("127.0.0.1.evil.example") && !is_address("1.2.3")
        );
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "lobby", true),
            ("lobby", "lobby", true),
            ("lobby", "lobby2", false),
            ("lobby", "lobb", false),
            ("lobby?", "lobby2", true),
            ("lobby?", "lobby", false),
            ("team-*", "team-", true),
            ("team-*", "team", false),
            ("*-x-*", "a-x-x-b", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("*a", "aaab", false),
            ("?*", "", false),
            ("a**", "a", true),
        ] {
            assert_eq!(Pattern::for_rooms(pattern).map(|pattern| pattern.matches(name)), Ok(expected), "{pattern} {name}");
        }
    }

    #[test]
    fn passwords_are_masked() {
        for (text, shown) in [
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("redis://:pw@h:1/0", "redis://:***@h:1/0"),
            ("redis://me:p@w@h", "redis://me:***@h"),
            ("redis://me:p/w@h/0", "redis://me:***@h/0"),
            ("redis://me:p?w@h", "redis://me:***@h"),
            ("redis://pw@h", "redis://***@h"),
            ("me:pw@h", "me:***@h"),
            ("postgres://h/db?user=me&password=pw&sslmode=on", "postgres://h/db?user=me&password=***&sslmode=on"),
            ("lobby", "lobby"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
