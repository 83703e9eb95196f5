//! What the handlers of all addresses work with, put together once for a server.

use std::{collections::HashMap, convert::Infallible, net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, header, request::Parts},
};
use parking_lot::Mutex;

use super::{
    accounts::Programs,
    consumers::{Groups, Limits},
    layers::ChannelLayer,
    presence::Presence,
    rooms::Rooms,
    settings::{AllowedOrigin, MetricsFor, Origin},
    telemetry::Metrics,
};
use crate::wire::{Group, InvalidName};

/// What the handlers work with.
pub struct Services {
    pub rooms: Arc<Rooms>,
    pub groups: Arc<Groups>,
    pub presence: Arc<Presence>,
    pub layer: Arc<dyn ChannelLayer>,
    pub programs: Programs,
    pub connections: Connections,
    /// Those that are being told that they are too many.
    pub refused: Connections,
    pub origins: Origins,
    /// Whether `WebSocket`s may agree on permessage-deflate.
    pub deflate: bool,
    pub limits: Limits,
    pub metrics: Metrics,
    pub metrics_for: MetricsFor,
}

/// The group that an address names, or why it names none. What is not even UTF-8 is such a name too, not a bad request.
pub(super) struct Named(pub(super) Result<Group, InvalidName>);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(name.map_or_else(|_| "\u{FFFD}".parse(), |Path(name)| name.parse())))
    }
}

/// Which pages may open a socket or send a form, besides the server's own.
pub struct Origins(Vec<AllowedOrigin>);

impl Origins {
    pub fn new(allowed: Vec<AllowedOrigin>) -> Self {
        Self(allowed)
    }

    /// Programs other than browsers send no `Origin`; what a browser sends, a page cannot forge.
    pub(super) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        // A proxy may end TLS: the scheme is not compared.
        let same = origin.split_once("://").zip(own).is_some_and(|((_, authority), own)| authority.eq_ignore_ascii_case(own));
        same || self.0.iter().any(|allowed| match allowed {
            AllowedOrigin::Any => true,
            AllowedOrigin::Only(allowed) => origin.parse().is_ok_and(|origin: Origin| origin == *allowed),
        })
    }
}

/// How many `WebSocket`s each address has.
pub struct Connections {
    pub(super) most: Option<u32>,
    open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A connection's place among those of its address, given back when dropped.
pub(super) struct Place {
    address: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Connections {
    /// At most so many for each address; none for no bound.
    pub fn new(most: Option<u32>) -> Self {
        Self { most, open: Arc::default() }
    }

    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if self.most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        Some(Place { address, open: Arc::clone(&self.open) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn origins() {
        let own = (header::HOST, "chat.example:3000");
        let none = Origins::new(Vec::new());
        let some = Origins::new(vec!["https://friend.example".parse().expect("an origin")]);
        let any = Origins::new(vec![AllowedOrigin::Any]);
        for (origin, by_none, by_some) in [
            ("http://chat.example:3000", true, true),
            ("https://chat.example:3000", true, true),
            ("http://chat.example", false, false),
            ("https://friend.example", false, true),
            ("http://friend.example", false, false),
            ("null", false, false),
        ] {
            let headers = headers(&[own.clone(), (header::ORIGIN, origin)]);
            assert_eq!(none.allow(&headers), by_none, "{origin}");
            assert_eq!(some.allow(&headers), by_some, "{origin}");
            assert!(any.allow(&headers));
        }
        assert!(none.allow(&headers(&[own])));
    }

    #[test]
    fn an_address_gets_its_places_back() {
        let connections = Connections::new(Some(2));
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = connections.enter(one);
        let second = connections.enter(one);
        assert!(first.is_some() && second.is_some() && connections.enter(one).is_none() && connections.enter(other).is_some());
        drop(first);
        assert!(connections.enter(one).is_some());
        drop(second);
        assert!(connections.open.lock().is_empty());
    }
}
