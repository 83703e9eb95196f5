//! What cannot be read and is passed over, since it would keep people from all that stands around it.

use std::{collections::HashSet, fmt::Display};

use parking_lot::Mutex;

/// So many rooms are remembered; of further ones nothing is said.
const ROOMS: usize = 1_000;

/// The rooms of which the log has said that a part of them cannot be read.
#[derive(Debug, Default)]
pub(in crate::server::store) struct PassedOver(Mutex<HashSet<String>>);

impl PassedOver {
    /// Says so, once for each room.
    pub(in crate::server::store) fn tell(&self, room: &str, cause: impl Display) {
        let mut told = self.0.lock();
        if told.len() < ROOMS && told.insert(room.to_owned()) {
            tracing::error!(room, %cause, "a part of the room cannot be read; it is passed over");
        }
    }
}
