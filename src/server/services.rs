//! What the handlers of all addresses work with, put together once for a server.

use std::{collections::HashMap, convert::Infallible, hash::Hash, num::NonZeroU32, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use parking_lot::Mutex;

use super::{
    accounts::{Accounts, Attempts, Elsewhere, Passwords, Programs, RateKey, Who},
    audit::AuditLog,
    bucket::Buckets,
    departures::Departures,
    hub::Hub,
    layers::ChannelLayer,
    lease::Leases,
    limits::Limits,
    manage::{Invitations, Manage, Nodes, People},
    origins::{Hosts, Origins},
    personal::Personal,
    presence::Presence,
    profiles::Profiles,
    quota::{Payer, Quotas},
    room_pages::RoomPages,
    rooms::Rooms,
    scope::Scope,
    settings::MetricsFor,
    telemetry::Metrics,
    topics::Topics,
    turns::Turns,
    visitors::{Proxies, Subnet},
    websocket::Backlog,
};
use crate::wire::{Group, InvalidName, Topic};

/// What the handlers work with.
pub struct Services {
    pub rooms: Arc<Rooms>,
    pub topics: Arc<Topics>,
    pub personal: Arc<Personal>,
    pub hub: Arc<Hub>,
    pub presence: Arc<Presence>,
    /// How everybody with an account is seen.
    pub profiles: Arc<Profiles>,
    pub leases: Arc<Leases>,
    pub layer: Arc<dyn ChannelLayer>,
    pub accounts: Arc<Accounts>,
    pub departures: Arc<Departures>,
    /// Who did what.
    pub audit: AuditLog,
    pub passwords: Passwords,
    pub attempts: Attempts,
    /// What administrators switch, and the tokens that they make.
    pub manage: Arc<Manage>,
    /// The people of the server, for administrators.
    pub people: People,
    /// Invitations to the server.
    pub invitations: Invitations,
    /// What is open on which node.
    pub nodes: Arc<Nodes>,
    /// Who is somebody on another site.
    pub elsewhere: Arc<Elsewhere>,
    pub programs: Arc<Programs>,
    /// The `WebSocket`s of each address.
    pub by_subnet: Connections<Subnet>,
    /// The `WebSocket`s of each account.
    pub by_account: Connections<RateKey>,
    /// The exports of each address that are on their way.
    pub exports: Connections<Subnet>,
    /// The requests with a body of each address.
    pub bodies: Connections<Subnet>,
    /// The searches of each address.
    pub searches: Turns<Subnet>,
    /// The HTTP requests of each address.
    pub requests: Buckets<Subnet>,
    /// What each account says.
    pub rates: Arc<Buckets<RateKey>>,
    /// What those of each address say by forms who have shown no secret: each would be an account of its own.
    pub strangers: Buckets<Subnet>,
    /// What each account and each address has carried, in bytes.
    pub quotas: Arc<Quotas>,
    pub proxies: Proxies,
    pub hosts: Hosts,
    pub origins: Origins,
    /// Of forms that only the server's own pages may send, whatever the settings allow.
    pub own_origin: Origins,
    /// The same, and pages of the origins that the settings name one by one.
    pub named_origins: Origins,
    /// Whether `WebSocket`s may agree on permessage-deflate.
    pub deflate: bool,
    pub limits: Limits,
    /// What of the rooms' pages is rendered already.
    pub room_pages: RoomPages,
    pub metrics: Metrics,
    pub metrics_for: MetricsFor,
}

impl Services {
    /// What a connection begins with.
    pub fn scope(&self, who: &Who, payer: Payer, topic: Option<Topic>) -> Scope {
        Scope {
            who: who.connected(),
            payer,
            rates: Arc::clone(&self.rates),
            quotas: Arc::clone(&self.quotas),
            topic,
            topics: Arc::clone(&self.topics),
            hub: Arc::clone(&self.hub),
            presence: Arc::clone(&self.presence),
            leases: Arc::clone(&self.leases),
            elsewhere: Arc::clone(&self.elsewhere),
            manage: Arc::clone(&self.manage),
            limits: self.limits,
        }
    }
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

/// The topic that an address names as its last two parts, or why it names none.
pub(super) struct NamedTopic(pub(super) Result<Topic, InvalidName>);

impl<S: Send + Sync> FromRequestParts<S> for NamedTopic {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        Ok(Self(path.map_or_else(|_| "\u{FFFD}".parse(), |Path((kind, name))| format!("{kind}/{name}").parse())))
    }
}

/// How many connections of a kind each address or account has.
pub struct Connections<K> {
    most: Option<NonZeroU32>,
    open: Counts<K>,
    /// Those that are being told that they are too many. That takes a connection as well, so there may be as many of them.
    told: Counts<K>,
}

type Counts<K> = Arc<Mutex<HashMap<K, Count>>>;

/// How many there are of one, and what waits on them.
#[derive(Default)]
struct Count {
    open: u32,
    backlog: Arc<Backlog>,
}

/// What becomes of one more connection.
pub(super) enum Entry<K: Eq + Hash> {
    /// It has a place.
    In(Place<K>),
    /// It is told that it is one more than there may be, and has a place for that.
    TooMany(Place<K>, NonZeroU32),
    /// So many are being told that there is not even a place for that.
    FarTooMany,
}

/// A connection's place among those of its address or account, given back when dropped.
pub(super) struct Place<K: Eq + Hash> {
    key: K,
    counts: Counts<K>,
    pub(super) backlog: Arc<Backlog>,
}

impl<K: Eq + Hash + Copy> Connections<K> {
    /// At most so many for each; none for no bound.
    pub fn new(most: Option<NonZeroU32>) -> Self {
        Self { most, open: Arc::default(), told: Arc::default() }
    }

    pub(super) fn enter(&self, key: K) -> Entry<K> {
        match (Self::count(&self.open, key, self.most), self.most) {
            (Some(place), _) => Entry::In(place),
            (None, Some(most)) => {
                let place = Self::count(&self.told, key, self.most);
                place.map_or(Entry::FarTooMany, |place| Entry::TooMany(place, most))
            }
            (None, None) => Entry::FarTooMany,
        }
    }

    fn count(counts: &Counts<K>, key: K, most: Option<NonZeroU32>) -> Option<Place<K>> {
        let mut held = counts.lock();
        let count = held.entry(key).or_default();
        if most.is_some_and(|most| count.open >= most.get()) {
            return None;
        }
        count.open += 1;
        let backlog = Arc::clone(&count.backlog);
        drop(held);
        Some(Place { key, counts: Arc::clone(counts), backlog })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            count.open -= 1;
            if count.open == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back_and_those_who_are_told_are_bounded_too() {
        let connections = Connections::new(NonZeroU32::new(2));
        let is_in = |key| matches!(connections.enter(key), Entry::In(_));
        let (first, second) = (connections.enter(1), connections.enter(1));
        assert!(matches!((&first, &second), (Entry::In(_), Entry::In(_))));
        let told = [connections.enter(1), connections.enter(1)];
        assert!(told.iter().all(|entry| matches!(entry, Entry::TooMany(_, most) if most.get() == 2)));
        assert!(matches!(connections.enter(1), Entry::FarTooMany));
        assert!(is_in(2), "another one's places are its own");
        drop(told);
        assert!(matches!(connections.enter(1), Entry::TooMany(..)));
        drop(first);
        assert!(is_in(1));
        drop(second);
        assert!(connections.open.lock().is_empty() && connections.told.lock().is_empty());
    }

    #[test]
    fn without_a_bound_everybody_is_let_in() {
        let connections = Connections::new(None);
        let entries: Vec<_> = (0..1_000).map(|_| connections.enter(1)).collect();
        assert!(entries.iter().all(|entry| matches!(entry, Entry::In(_))));
    }
}
