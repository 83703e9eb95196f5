//! A room as a feed: the groups of the channel layer that carry its messages and their changes, and its stream.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Access, Room, Stream, events,
    layer_groups::{changes_name, group_name},
};
use crate::{
    server::{
        hub::{self, Feed, LayerGroups, Place, PlainMessage, Policy, Unavailable},
        layers::Event,
        settings::History,
        store::{Entry, Missed, StoreError, What},
    },
    wire::{Epoch, Group, Offset, Position, Topic},
};

/// A room's messages and their changes, for those who may enter it.
struct RoomFeed {
    topic: Topic,
    room: Room,
    /// None where the room keeps no history.
    stream: Option<Stream>,
}

impl Access<Room> {
    /// What the members of the room are given.
    pub fn feed(&self) -> Arc<dyn Feed> {
        let room = self.room().clone();
        Arc::new(RoomFeed { topic: Topic::Room(room.group.clone()), stream: self.stream(), room })
    }
}

#[async_trait]
impl Feed for RoomFeed {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn groups(&self) -> LayerGroups {
        let Room { group, history, events, .. } = &self.room;
        let beside = (*history != History::None).then(|| changes_name(group));
        LayerGroups { name: group_name(group, events), beside }
    }

    fn policy(&self) -> Policy {
        if self.stream.is_some() { Policy::Ordered } else { Policy::Passing }
    }

    fn read(&self, event: &Event) -> Option<hub::Entry> {
        Some(events::read_event(event, Some(&self.room.events)))
    }

    async fn after(&self, offset: Option<Offset>) -> Result<hub::Missed, Unavailable> {
        let Some(stream) = &self.stream else { return Err(Unavailable("the room keeps no history".into())) };
        let Missed { head, entries, .. } = stream.after(offset).await?;
        let entries = entries.into_iter().map(|entry| stored(&head.epoch, entry)).collect();
        Ok(hub::Missed { head, entries })
    }

    fn shows_presence(&self) -> Option<&Group> {
        Some(&self.room.group)
    }
}

impl From<StoreError> for Unavailable {
    fn from(StoreError::Unavailable(cause): StoreError) -> Self {
        Self(cause)
    }
}

/// An entry of a room's stream, as the store gives it.
fn stored(epoch: &Epoch, Entry { offset, what }: Entry) -> hub::Entry {
    let plain = match &what {
        What::Message(message) if !message.content.deleted => Some(PlainMessage::Text(message.content.text.clone())),
        What::Message(_) | What::Change(_) => None,
    };
    hub::Entry { place: Place::At(Position { epoch: epoch.clone(), offset }), plain, event: what.into() }
}
