//! Names and addresses as browsers and proxies have them: hosts, origins, networks, sub-protocols. Each type is made from a text and can
//! only hold what is right.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};

use super::mistakes::Invalid;
use crate::wire::SUBPROTOCOL;

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
}
