//! What the channel layer calls the groups that carry the rooms, the changes of their messages, and the list of rooms.

use crate::{
    server::{hub::FeedKey, layers::GroupName, settings::RoomEvents},
    wire::Group,
};

/// The group of the layer that carries the changes of a room's messages; no template of the settings gives this name.
pub(super) fn changes_name(group: &Group) -> GroupName {
    format!("confab.changes.{group}").parse().expect("letters, dots and a group's name") // never: 15 and 64 of 99 characters
}

/// The group of the layer that carries a room's messages: its own name, or what its rule makes of it.
pub(super) fn group_name(group: &Group, events: &RoomEvents) -> GroupName {
    events.group.group_of(group.as_str()).parse().expect("a template gives valid names") // never: it is made for its rule's rooms
}

/// The group of the channel layer that carries the list of rooms; no template of the settings gives this name.
pub(super) fn list_name() -> GroupName {
    "confab.rooms".parse().expect("a constant") // never: letters and a dot
}

/// What the list knows a room by.
pub(super) fn list_key(group: &Group) -> FeedKey {
    group.as_str().into()
}
