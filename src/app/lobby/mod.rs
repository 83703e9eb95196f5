//! The list of rooms.

mod state;
mod view;

pub use state::{LobbyLink, LobbyState};
pub use view::{LobbyView, rooms};
