//! Rooms: who may enter which, what is said in them, and what a reader needs to be level.
//!
//! ```text
//!   Rooms::enter(who, group) ──► Access<Room> ── post ──► Log::append ──► commit
//!                                       │                                       │ in the order of the offsets
//!                                       ├─ catch_up, page ◄── Log::read       ▼
//!                                       └─ (no history) ─────────────► ChannelLayer::group_send, then the acknowledgement
//!                                                                               │ refused
//!                                                                               ▼
//!   Log::watch ── what other nodes have committed ───────────────────────► Hub::hear: for this node's members
//! ```
//!
//! Having an [`Access`] *is* the permission (`access`): there is no other way to read or to say something, and the `rules` of the
//! settings say who gets one; of rooms that somebody owns it is said in `owned`. `topic` opens a room to a session and gives it
//! to its members as a [feed](crate::server::hub::Feed); the list of rooms is another (`lobby`). Who may do what to a message is
//! in `changes`. What is kept waits for the store (`metered`). After the commit and before its author hears that it was accepted,
//! the `publisher` tells the layer, as an event in the room's group there (`events`). Where the layer refuses, the members of
//! this node hear of it at once all the same. Where several nodes share a store, each learns from it what the others have
//! committed, with or without a layer (`watcher`). What the rules do not keep goes again (`retention`), by age only when a clock
//! that is watched says so (`server/steady_clock.rs`).

mod access;
mod administration;
mod changes;
mod events;
mod glance;
mod listing;
mod lobby;
mod metered;
mod owned;
mod publisher;
mod reader;
mod reading;
mod reads;
mod retention;
mod rules;
mod said;
mod topic;
mod watcher;

use std::{collections::HashMap, sync::Arc};

use tracing::{debug, error, info};

pub use self::{
    access::{Access, AlterError, PostError, Posted},
    administration::{Overview, Owned, Size, StandingInvitation},
    changes::may_change,
    events::{Foreign, foreign_event, read_direct},
    listing::{OwnRoom, OwnRooms, Place},
    owned::{
        About, Act, Brief, Code, DIRECT, Denied, FORMER, Invitation, Invited, Logged, Member, NotDone, Posting, Record,
        Registry, Role, RoomKind, Terms, Title, Topic, What,
    },
    reader::Reader,
    reading::{CatchUp, Fit, Stream},
    reads::COUNTED as UNREAD_COUNTED,
    said::{Put, Said, Walk},
};
use self::{
    glance::Glance,
    metered::MeteredStore,
    owned::may,
    publisher::Publisher,
    reads::Reads,
    rules::{rule, within},
};
use super::{
    accounts::Asker,
    hub::Hub,
    layers::ChannelLayer,
    profiles::Profiles,
    search::{Found, Query},
    settings::{History, RoomEvents, RoomRule},
    store::{Commits, Log, Search, StoreError, Trouble, Within},
    telemetry::{Appends, Fault},
};
use crate::wire::{Epoch, Group, Person, Timestamp};

/// What a page of a room shows at first, and what a client gets that cannot be brought level by the difference alone.
pub const NEWEST: usize = 50;

/// A room that the person may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub group: Group,
    pub history: History,
    /// How it looks in the channel layer.
    pub events: Arc<RoomEvents>,
    /// What its rule says of guests.
    guests: bool,
}

impl Room {
    pub(in crate::server) fn new(group: &Group, rule: &RoomRule) -> Self {
        let (history, events, guests) = (rule.history, Arc::clone(&rule.events), rule.guests);
        Self { group: group.clone(), history, events, guests }
    }
}

/// Why somebody may not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such room, or none that this person may know of.
    NotFound,
    /// It is there, but not for guests.
    Forbidden,
    /// It cannot be looked up now.
    Unavailable,
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        if denied == Denied::Guests { Self::Forbidden } else { Self::NotFound }
    }
}

impl From<StoreError> for Refusal {
    fn from(StoreError::Unavailable(cause): StoreError) -> Self {
        debug!(%cause, "how somebody stands in a room could not be read");
        Self::Unavailable
    }
}

/// What keeps the rooms, and what each store commits.
pub struct Stores {
    pub durable: (Arc<dyn Log>, Commits),
    /// None where the durable store has no index of words.
    pub search: Option<Arc<dyn Search>>,
    /// Of the rooms whose messages are kept in memory.
    pub volatile: (Arc<dyn Log>, Commits),
    /// The rooms that somebody owns.
    pub registry: Arc<Registry>,
    /// What stores and other nodes do not say of people.
    pub profiles: Arc<Profiles>,
}

/// All rooms of this server.
pub struct Rooms {
    rules: Arc<[RoomRule]>,
    registry: Arc<Registry>,
    profiles: Arc<Profiles>,
    durable: MeteredStore,
    volatile: MeteredStore,
    /// None where the durable store has no index of words.
    search: Option<Arc<dyn Search>>,
    layer: Arc<dyn ChannelLayer>,
    /// The layer refused what is not kept, the last time.
    refused: Fault,
    /// What was wrong with the durable store when it was last looked at.
    readable: Glance<Option<Trouble>>,
    /// The durable store's files were not in their place, the last time that they were looked at.
    displaced: Fault,
    /// Up to where people have read; none where there are no tables.
    reads: Option<Arc<Reads>>,
    /// The longest text, in bytes.
    longest: usize,
    /// The epoch of rooms without history: there is nothing in them to come back to, and after a restart not even this.
    passing: Epoch,
}

impl Rooms {
    /// Starts the publishers; they end when the stores do. `hub` has the members of this node, `appends` counts what is kept.
    pub fn start(
        rules: Vec<RoomRule>,
        Stores { durable, search, volatile, registry, profiles }: Stores,
        layer: &Arc<dyn ChannelLayer>,
        hub: &Arc<Hub>,
        longest: usize,
        appends: &Appends,
    ) -> Arc<Self> {
        let rules: Arc<[RoomRule]> = rules.into();
        if let Some(watch) = durable.0.watch() {
            tokio::spawn(watcher::follow(watch, Arc::clone(&rules), Arc::clone(&registry), Arc::downgrade(hub)));
        }
        for store in [&durable.0, &volatile.0] {
            tokio::spawn(retention::keep_within(
                Arc::downgrade(store),
                Arc::clone(&rules),
                Arc::clone(&registry),
                Timestamp::now,
            ));
        }
        for (commits, append) in [(durable.1, &appends.durable), (volatile.1, &appends.volatile)] {
            let publisher = Publisher::new(layer, (&rules, &registry), hub, &append.committed);
            tokio::spawn(publisher.publish(commits));
        }
        let passing = format!("n{:x}", Timestamp::now().as_millis()).parse().expect("hexadecimal digits"); // never: 12 of them
        let (durable, volatile) =
            (MeteredStore::new(durable.0, &appends.durable), MeteredStore::new(volatile.0, &appends.volatile));
        let reads = registry.records().ok().map(Reads::start);
        Arc::new(Self {
            rules,
            registry,
            reads,
            profiles,
            durable,
            volatile,
            search,
            layer: Arc::clone(layer),
            refused: Fault::default(),
            readable: Glance::default(),
            displaced: Fault::default(),
            longest,
            passing,
        })
    }

    /// The room of a group, for whoever asks.
    ///
    /// # Errors
    /// There is no such room, or none that they may know of; or it is not for guests.
    pub async fn enter(self: &Arc<Self>, asker: Asker<'_>, group: &Group) -> Result<Access<Room>, Refusal> {
        let rule = rule(&self.rules, group).ok_or(Refusal::NotFound)?;
        let access = Access::new(Room::new(group, rule), asker, self);
        may(&access.seen().await?, Act::Read, Timestamp::now())?;
        Ok(access)
    }

    /// Whether plain clients of a room may be told that this sub-protocol is spoken.
    pub fn speaks(&self, group: &Group, protocol: &str) -> bool {
        let rule = rule(&self.rules, group);
        rule.is_some_and(|rule| rule.protocols.iter().any(|known| known.as_str() == protocol))
    }

    /// What is wrong with the durable store, in words for an operator; none while all is well. It is read to find out,
    /// once a second for everybody; whether it can be written is known from the last message that was to be stored.
    pub async fn trouble(&self) -> Option<&'static str> {
        let trouble = self.readable.at(async {
            let trouble = self.durable.store.trouble().await;
            // Of the rest the store has said so when it found it.
            let displaced = trouble.as_ref().filter(|(trouble, _)| *trouble == Trouble::Displaced);
            if self.displaced.is_news(displaced.is_some()) {
                match displaced {
                    None => info!("the database is in its place again"),
                    Some((trouble, cause)) => error!(%cause, "{}", trouble.words()),
                }
            }
            trouble.map(|(trouble, _)| trouble)
        });
        match trouble.await {
            Some(trouble) => Some(trouble.words()),
            None if !self.can_store() => Some("the store cannot be written: it did not take the last message"),
            None => None,
        }
    }

    /// Whether the durable store took the last message that it was given; that it did not is forgotten after a while.
    pub fn can_store(&self) -> bool {
        self.durable.can_store()
    }

    /// How many messages are unread in which of somebody's rooms.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unread(&self, person: &Person) -> Result<HashMap<Group, u32>, StoreError> {
        match &self.reads {
            Some(reads) => reads.unread(&person.id).await,
            None => Ok(HashMap::new()),
        }
    }

    /// Writes up to where people have read, before the store is put away.
    pub async fn write_reads(&self) {
        if let Some(reads) = &self.reads
            && let Err(cause) = reads.write().await
        {
            debug!(%cause, "up to where people have read last could not be written");
        }
    }

    /// Somebody is called so from now on: others see it where they are named. What they say from now on has the name from themselves.
    pub async fn renamed(&self, person: &Person) {
        if let Err(cause) = self.durable.store.rename(person).await {
            // The name is in their cookie; the store says in the log when its trouble begins and ends.
            debug!(%cause, "what somebody is called now could not be noted");
        }
    }

    /// The messages that fit the query best, at most so many, of all rooms that a reader may enter and that keep their messages in
    /// the store. Where there is no such room nothing is asked.
    ///
    /// # Errors
    /// The store cannot be searched.
    pub async fn search(&self, reader: &Reader, query: &Query, count: usize) -> Result<Found, StoreError> {
        match within(&self.rules, &self.registry, reader, History::Store) {
            Some(within) => self.search_within(query, &within, count).await,
            None => Ok(Found::nothing()),
        }
    }

    async fn search_within(&self, query: &Query, within: &Within, count: usize) -> Result<Found, StoreError> {
        match &self.search {
            Some(search) => {
                let mut found = search.search(query, within, count).await?;
                self.profiles.complete(found.hits.iter_mut().map(|hit| &mut hit.from));
                Ok(found)
            }
            None => Ok(Found::nothing()),
        }
    }

    fn store(&self, history: History) -> Option<&MeteredStore> {
        match history {
            History::Store => Some(&self.durable),
            History::Memory => Some(&self.volatile),
            History::None => None,
        }
    }
}
