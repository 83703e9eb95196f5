//! The list of rooms.

mod own;
mod state;
mod view;

pub use state::{LobbyLink, LobbyState};
pub(super) use view::Lobby;
pub use view::rooms;
