//! Whom a request comes from, by the address: what is bounded for each address goes by this.
//!
//! Without a proxy that is the other end of the TCP connection. A proxy that the settings trust says in `X-Forwarded-For` whom it
//! speaks for. Each proxy adds at the end of that header the address that it was asked from, and anybody may have written what
//! stands before. So it is read from the end: those that are trusted have told of the one before them, and the first that is
//! not trusted is who asks.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::http::{HeaderMap, HeaderName};

use super::settings::ProxyNetwork;
use crate::wire::InvalidName;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request comes from, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    address: IpAddr,
    /// A trusted proxy has told of it.
    told: bool,
}

/// Whoever shares what bounds an address: one IPv4 address, or an IPv6 network of 64 bits, in which everybody has as many
/// addresses as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet(IpAddr);

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(_) => write!(f, "{}/64", self.0),
            IpAddr::V4(_) => self.0.fmt(f),
        }
    }
}

impl From<IpAddr> for Subnet {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl FromStr for Subnet {
    type Err = InvalidName;

    /// An address, or a network as it is [shown](fmt::Display).
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const RULE: InvalidName =
            InvalidName("write an address, such as 192.0.2.7 or 2001:db8::7; of IPv6 its network of 64 bits is meant");
        let text = text.trim();
        let (address, is_network) = text.strip_suffix("/64").map_or((text, false), |address| (address, true));
        let subnet = address.parse().map(|address: IpAddr| Self::from(address)).map_err(|_| RULE)?;
        if is_network && matches!(subnet.0, IpAddr::V4(_)) { Err(RULE) } else { Ok(subnet) }
    }
}

impl Visitor {
    /// Somebody at the other end of the TCP connection.
    pub(super) fn direct(address: IpAddr) -> Self {
        Self { address, told: false }
    }

    pub(super) fn subnet(self) -> Subnet {
        self.address.into()
    }

    /// The address that is charged for what is asked: what comes from the server's own machine is its owner's, or of a proxy that nobody
    /// has told us to trust, and then of everybody's.
    pub(super) fn paying(self) -> Option<Subnet> {
        (!self.is_local()).then(|| self.subnet())
    }

    /// Whether it is on this machine: a program there, or a proxy that is not trusted and stands for many. Nobody is believed
    /// to be.
    fn is_local(self) -> bool {
        !self.told && self.address.is_loopback()
    }
}

/// The proxies that are believed whom they speak for.
pub struct Proxies(Vec<ProxyNetwork>);

impl Proxies {
    pub fn new(trusted: Vec<ProxyNetwork>) -> Self {
        Self(trusted)
    }

    /// Whom a request comes from that `peer` has sent.
    pub(super) fn visitor(&self, peer: IpAddr, headers: &HeaderMap) -> Visitor {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return Visitor::direct(peer);
        }
        // Whatever comes with the header has come through the proxy, also where what the header says cannot be read.
        let mut visitor = Visitor { address: peer, told: headers.contains_key(FORWARDED_FOR) };
        // What is no address ends it: nobody knows who has written what stands before.
        let told = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let told = told.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).map_while(address);
        for address in told {
            visitor = Visitor { address, told: true };
            if !self.trust(address) {
                break;
            }
        }
        visitor
    }

    /// Whose TCP connection it is that comes from `peer`; of a proxy's it is nobody's in particular.
    pub(super) fn counted(&self, peer: IpAddr) -> Option<Subnet> {
        let address = peer.to_canonical();
        (!self.trust(address)).then(|| Visitor::direct(address).subnet())
    }

    /// Whether an address is one of theirs; IPv4 addresses are not to be mapped to IPv6.
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// An address as proxies write it, some with the port, IPv6 in brackets or not.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim();
    let bare = || text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse().ok();
    let address: Option<IpAddr> = bare().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn who_is_no_trusted_proxy_speaks_for_itself() {
        let headers = HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_static("203.0.113.7"))]);
        let some = Proxies::new(vec!["10.0.0.0/8".parse().expect("a network")]);
        for (proxies, peer) in [(Proxies::new(Vec::new()), "127.0.0.1"), (some, "192.0.2.1")] {
            assert_eq!(proxies.visitor(ip(peer), &headers), Visitor { address: ip(peer), told: false });
        }
    }

    #[test]
    fn the_last_address_that_is_not_trusted_is_the_visitor() {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48", "::ffff:172.16.0.0/108"];
        let proxies = Proxies::new(trusted.map(|network| network.parse().expect("a network")).to_vec());
        for (lines, visitor) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            (&["198.51.100.1,203.0.113.7 , 10.1.2.3,10.3.2.1"], "203.0.113.7"),
            (&["198.51.100.1", "203.0.113.7", "10.1.2.3"], "203.0.113.7"),
            (&["203.0.113.7:4711"], "203.0.113.7"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["[2001:db8::7]:4711, 2001:db8:1:2::3"], "2001:db8::7"),
            (&["203.0.113.7, 172.31.0.1"], "203.0.113.7"),
            // Those who are trusted may ask for themselves.
            (&["10.1.2.3, 10.3.2.1"], "10.1.2.3"),
            // Before what is no address anything may stand.
            (&["203.0.113.7, unknown"], "127.0.0.1"),
            (&["203.0.113.7, unknown, 10.1.2.3"], "10.1.2.3"),
            (&["203.0.113.7, "], "127.0.0.1"),
            (&[""], "127.0.0.1"),
            (&[], "127.0.0.1"),
        ] {
            let headers = lines.iter().map(|line| (FORWARDED_FOR, HeaderValue::from_static(line))).collect();
            assert_eq!(proxies.visitor(ip("127.0.0.1"), &headers).address, ip(visitor), "{lines:?}");
            assert_eq!(proxies.visitor(ip("::ffff:127.0.0.1"), &headers).address, ip(visitor), "{lines:?} mapped");
        }
    }

    #[test]
    fn a_network_is_read_as_it_is_written() {
        for (text, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            (" ::ffff:192.0.2.7 ", "192.0.2.7"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
            ("2001:db8:0:1::/64", "2001:db8:0:1::/64"),
        ] {
            let subnet: Subnet = text.parse().expect(text);
            assert_eq!(subnet.to_string(), shown);
            assert_eq!(shown.parse(), Ok(subnet));
        }
        for bad in ["", "192.0.2.7/64", "192.0.2.0/24", "2001:db8::/48", "somebody", "192.0.2.7:80"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn local_is_who_asks_from_this_machine_and_not_who_is_said_to() {
        let proxies = Proxies::new(vec!["127.0.0.1".parse().expect("a network")]);
        let told = HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_static("127.0.0.1"))]);
        for (peer, headers, local) in [
            ("127.0.0.1", HeaderMap::new(), true),
            ("127.0.0.1", told.clone(), false),
            ("::1", told, true),
            ("192.0.2.1", HeaderMap::new(), false),
        ] {
            assert_eq!(proxies.visitor(ip(peer), &headers).is_local(), local, "{peer} {headers:?}");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_subnet_and_an_ipv4_address_is() {
        let subnet = |text| Visitor { address: ip(text), told: false }.subnet();
        assert_eq!(subnet("2001:db8:1:2::3"), subnet("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(subnet("2001:db8:1:2::3"), subnet("2001:db8:1:3::3"));
        assert_ne!(subnet("192.0.2.1"), subnet("192.0.2.2"));
    }
}
