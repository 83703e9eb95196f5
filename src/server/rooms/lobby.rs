//! The list of rooms as a feed: of each room the newest message, in the short form that the list shows.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Rooms, events,
    events::{list_key, list_name},
};
use crate::{
    server::{
        hub::{Entry, Feed, LayerGroups, Missed, Place, Policy, Unavailable},
        layers::Event,
        noun::Opened,
    },
    wire::{self, Epoch, MessageId, Offset, Position, RoomSummary, State, Topic},
};

/// The rooms that guests may enter, for everybody.
#[derive(Clone)]
struct Lobby {
    rooms: Arc<Rooms>,
}

impl Rooms {
    /// Opens the list of rooms.
    pub fn lobby(self: &Arc<Self>) -> Arc<dyn Opened> {
        Arc::new(Lobby { rooms: Arc::clone(self) })
    }
}

#[async_trait]
impl Opened for Lobby {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.clone())
    }

    async fn head(&self) -> Result<Position, Unavailable> {
        Ok(list_position())
    }

    async fn catch_up(&self, _: Option<&Position>) -> Result<(Position, State), Unavailable> {
        let rooms = Some(self.rooms.newest().await?);
        Ok((list_position(), State { rooms, ..State::default() }))
    }
}

#[async_trait]
impl Feed for Lobby {
    fn topic(&self) -> &Topic {
        &Topic::Lobby
    }

    fn groups(&self) -> LayerGroups {
        LayerGroups { name: list_name(), beside: None }
    }

    fn policy(&self) -> Policy {
        Policy::Latest
    }

    fn read(&self, event: &Event) -> Option<Entry> {
        let mut entry = events::read_event(event, None);
        self.rooms.profiles.complete_event(&mut entry.event);
        Some(entry)
    }

    async fn after(&self, _: Option<Offset>) -> Result<Missed, Unavailable> {
        let entries = self.rooms.newest().await?.into_iter().map(listed).collect();
        Ok(Missed { head: list_position(), entries })
    }
}

/// A room of the list, as it was read.
fn listed(room: RoomSummary) -> Entry {
    // At least since then: it may have been changed.
    let latest = room.latest.as_ref().and_then(|latest| latest.message.id.parse().ok());
    let place = latest
        .map_or(Place::None, |MessageId { epoch, offset }| Place::Newest(list_key(&room.group), Position { epoch, offset }));
    Entry { place, plain: None, event: wire::Event::Room(room) }
}

/// The list has no history: every join gets it whole.
fn list_position() -> Position {
    let epoch: Epoch = "list".parse().expect("a constant"); // never: four letters
    Position { epoch, offset: Offset::START }
}
