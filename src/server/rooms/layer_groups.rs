//! The groups of the channel layer that carry the rooms, the changes of their messages, and the list of rooms.

use std::sync::Arc;

use super::Room;
use crate::{
    server::{
        layers::GroupName,
        settings::{History, RoomEvents},
    },
    wire::Group,
};

/// A group of the channel layer that members join.
#[derive(Clone, Debug)]
pub struct LayerGroup {
    pub name: GroupName,
    /// How the events of a room are read there; none in the list of rooms.
    pub events: Option<Arc<RoomEvents>>,
    /// Another one beside it for what only servers read: the changes of messages, where the room keeps any.
    pub beside: Option<GroupName>,
}

/// The group of the channel layer that carries a room.
pub fn layer_group(room: &Room) -> LayerGroup {
    let beside = (room.history != History::None).then(|| changes_name(&room.group));
    LayerGroup { name: group_name(&room.group, &room.events), events: Some(Arc::clone(&room.events)), beside }
}

/// The group of the layer that carries the changes of a room's messages; no template of the settings gives this name.
pub(super) fn changes_name(group: &Group) -> GroupName {
    format!("confab.changes.{group}").parse().expect("letters, dots and a group's name") // never: 15 and 64 of 99 characters
}

/// The group of the layer that carries a room's messages: its own name, or what its rule makes of it.
pub(super) fn group_name(group: &Group, events: &RoomEvents) -> GroupName {
    events.group.group_of(group.as_str()).parse().expect("a template gives valid names") // never: it is made for its rule's rooms
}

/// The group of the channel layer that carries the list of rooms; no template of the settings gives this name.
pub fn list_group() -> LayerGroup {
    LayerGroup { name: list_name(), events: None, beside: None }
}

pub(super) fn list_name() -> GroupName {
    "confab.rooms".parse().expect("a constant") // never: letters and a dot
}
