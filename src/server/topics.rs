//! Every kind of topic, and the noun that it belongs to.

use std::sync::Arc;

use super::{noun::Opened, personal::Personal, rooms::Rooms};
use crate::wire::{CommandError, Person, Topic};

/// The nouns of this server.
pub struct Topics {
    pub rooms: Arc<Rooms>,
    pub personal: Arc<Personal>,
}

impl Topics {
    /// Opens a topic for somebody.
    ///
    /// # Errors
    /// There is no such topic, or it is not for them.
    pub fn open(&self, topic: &Topic, person: &Person) -> Result<Arc<dyn Opened>, CommandError> {
        match topic {
            Topic::Room(group) => self.rooms.open(person, group),
            Topic::Lobby => Ok(self.rooms.lobby()),
            Topic::Me => Ok(self.personal.open(person)),
        }
    }
}
