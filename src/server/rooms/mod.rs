//! Rooms: who may enter which, what is said in them, and what a reader needs to be level.
//!
//! ```text
//!   Rooms::enter(person, group) ──► Access<Room> ── post ──► Log::append ──► commit
//!                                       │                                       │ in the order of the offsets
//!                                       ├─ catch_up, page ◄── Log::read       ▼
//!                                       └─ (no history) ─────────────► ChannelLayer::group_send, then the acknowledgement
//!                                                                               │ refused
//!                                                                               ▼
//!   Log::watch ── what other nodes have committed ───────────────────────► Strandings: for this node's members
//! ```
//!
//! Having an [`Access`] *is* the permission (`access`): there is no other way to read or to say something, and the `rules` of the
//! settings say who gets one. What is kept waits for the store (`keeper`). After the commit and before its author hears that it was
//! accepted, the `publisher` tells the layer, as an event (`events`) in the room's group there (`layer_groups`). Where the layer
//! refuses, the members of this node hear of it at once all the same, by [`Strandings`] (`news`). Where several nodes share a store,
//! each learns from it what the others have committed, with or without a layer (`look_out`). What the rules do not keep goes again
//! (`retention`), by age only when a clock that is watched says so (`steady_clock`).

mod access;
mod events;
mod glance;
mod keeper;
mod layer_groups;
mod listing;
mod look_out;
mod news;
mod publisher;
mod retention;
mod rules;
mod steady_clock;

use std::sync::Arc;

use tracing::{error, info};

pub use self::{
    access::{Access, AlterError, CatchUp, PostError, Posted, Stream},
    events::{Foreign, PlainMessage, Read, foreign_event, read_event},
    layer_groups::{LayerGroup, layer_group, list_group},
    listing::Place,
    news::{News, Stranded, Strandings},
};
use self::{
    glance::Glance,
    keeper::Keeper,
    publisher::Publisher,
    rules::{rule, within},
};
use super::{
    layers::ChannelLayer,
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
}

impl Room {
    pub(in crate::server) fn new(group: &Group, rule: &RoomRule) -> Self {
        Self { group: group.clone(), history: rule.history, events: Arc::clone(&rule.events) }
    }
}

/// Why somebody may not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The settings have no such room.
    NotFound,
    /// It is there, but not for this person.
    Forbidden,
}

/// All rooms of this server.
pub struct Rooms {
    rules: Arc<[RoomRule]>,
    durable: Keeper,
    volatile: Keeper,
    /// None where the durable store has no index of words.
    search: Option<Arc<dyn Search>>,
    layer: Arc<dyn ChannelLayer>,
    /// The layer refused what is not kept, the last time.
    refused: Fault,
    /// What was wrong with the durable store when it was last looked at.
    readable: Glance<Option<Trouble>>,
    /// The durable store could not be read, the last time that it was looked at.
    unreadable: Fault,
    /// The longest text, in bytes.
    longest: usize,
    /// The epoch of rooms without history: there is nothing in them to come back to, and after a restart not even this.
    passing: Epoch,
}

impl Rooms {
    /// Starts the publishers; they end when the stores do. [`Strandings`] must be read or dropped. `appends` counts what is kept.
    pub fn start(
        rules: Vec<RoomRule>,
        durable: (Arc<dyn Log>, Commits),
        search: Option<Arc<dyn Search>>,
        volatile: (Arc<dyn Log>, Commits),
        layer: Arc<dyn ChannelLayer>,
        longest: usize,
        appends: &Appends,
    ) -> (Arc<Self>, Strandings) {
        let rules: Arc<[RoomRule]> = rules.into();
        let (stranded, strandings) = news::queue();
        if let Some(watch) = durable.0.watch() {
            tokio::spawn(look_out::look_out(watch, Arc::clone(&rules), stranded.clone()));
        }
        for store in [&durable.0, &volatile.0] {
            tokio::spawn(retention::keep_within(Arc::downgrade(store), Arc::clone(&rules), Timestamp::now));
        }
        for (commits, append) in [(durable.1, &appends.durable), (volatile.1, &appends.volatile)] {
            let publisher = Publisher::new(&layer, &rules, stranded.clone(), &append.committed);
            tokio::spawn(publisher.publish(commits));
        }
        let passing = format!("n{:x}", Timestamp::now().as_millis()).parse().expect("hexadecimal digits"); // never: 12 of them
        let (durable, volatile) = (Keeper::new(durable.0, &appends.durable), Keeper::new(volatile.0, &appends.volatile));
        let (refused, readable, unreadable) = Default::default();
        let rooms = Self { rules, durable, volatile, search, layer, refused, readable, unreadable, longest, passing };
        (Arc::new(rooms), strandings)
    }

    /// The room of a group, for this person.
    ///
    /// # Errors
    /// The settings have no such room, or not for guests.
    pub fn enter(self: &Arc<Self>, person: &Person, group: &Group) -> Result<Access<Room>, Refusal> {
        let rule = rule(&self.rules, group).ok_or(Refusal::NotFound)?;
        if !rule.guests {
            return Err(Refusal::Forbidden);
        }
        Ok(Access::new(Room::new(group, rule), person, self))
    }

    /// Whether plain clients of a room may be told that this sub-protocol is spoken.
    pub fn speaks(&self, group: &Group, protocol: &str) -> bool {
        let rule = rule(&self.rules, group);
        rule.is_some_and(|rule| rule.protocols.iter().any(|known| known.as_str() == protocol))
    }

    /// The room of a group, for a program to which the settings give this group. It is no guest: what a rule says of guests does
    /// not hold for it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn admit(self: &Arc<Self>, program: &Person, group: &Group) -> Result<Access<Room>, Refusal> {
        let rule = rule(&self.rules, group).ok_or(Refusal::NotFound)?;
        Ok(Access::new(Room::new(group, rule), program, self))
    }

    /// What is wrong with the durable store, in words for an operator; none while all is well. It is read to find out,
    /// once a second for everybody; whether it can be written is known from the last message that was to be stored.
    pub async fn trouble(&self) -> Option<&'static str> {
        let trouble = self.readable.at(async {
            let trouble = self.durable.store.trouble().await;
            if self.unreadable.is_news(trouble.is_some()) {
                match &trouble {
                    None => info!("the store can be read again"),
                    // The store has said so when it found it.
                    Some((Trouble::Damaged, _)) => {}
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

    /// The messages that fit the query best, at most so many, of all rooms that guests may enter and that keep their messages in
    /// the store. Where there is no such room nothing is asked.
    ///
    /// # Errors
    /// The store cannot be searched.
    pub async fn search(&self, query: &Query, count: usize) -> Result<Found, StoreError> {
        match within(&self.rules, History::Store) {
            Some(within) => self.search_within(query, &within, count).await,
            None => Ok(Found::nothing()),
        }
    }

    async fn search_within(&self, query: &Query, within: &Within, count: usize) -> Result<Found, StoreError> {
        match &self.search {
            Some(search) => search.search(query, within, count).await,
            None => Ok(Found::nothing()),
        }
    }

    fn keeper(&self, history: History) -> Option<&Keeper> {
        match history {
            History::Store => Some(&self.durable),
            History::Memory => Some(&self.volatile),
            History::None => None,
        }
    }
}
