//! The list of rooms as a feed: of each room the newest message, in the short form that the list shows.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Rooms, events};
use crate::{
    server::{
        hub::{Entry, Feed, FeedKey, LayerGroups, Missed, Place, Policy, Unavailable},
        layers::{Event, GroupName},
    },
    wire::{self, Epoch, Group, MessageId, Offset, Position, RoomSummary, Topic},
};

/// The rooms that guests may enter, for everybody.
struct Lobby {
    rooms: Arc<Rooms>,
}

impl Rooms {
    /// What those who look at the list are given.
    pub fn feed(self: &Arc<Self>) -> Arc<dyn Feed> {
        Arc::new(Lobby { rooms: Arc::clone(self) })
    }
}

#[async_trait]
impl Feed for Lobby {
    fn topic(&self) -> &Topic {
        &Topic::Me
    }

    fn groups(&self) -> LayerGroups {
        LayerGroups { name: list_name(), beside: None }
    }

    fn policy(&self) -> Policy {
        Policy::Latest
    }

    fn read(&self, event: &Event) -> Entry {
        events::read_event(event, None)
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

/// What the list knows a room by.
pub(super) fn list_key(group: &Group) -> FeedKey {
    group.as_str().into()
}

/// The list has no history: every join gets it whole.
pub fn list_position() -> Position {
    let epoch: Epoch = "list".parse().expect("a constant"); // never: four letters
    Position { epoch, offset: Offset::START }
}

/// The group of the channel layer that carries the list of rooms; no template of the settings gives this name.
pub(super) fn list_name() -> GroupName {
    "confab.rooms".parse().expect("a constant") // never: letters and a dot
}
