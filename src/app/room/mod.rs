//! A room as the page holds it: one state, one reducer, for the server's first rendering and for everything after.

mod actions;
mod composer;
mod edits;
mod message;
mod presence;
mod reactions;
#[cfg(feature = "ssr")]
mod rendered;
mod signals;
mod state;
mod view;

pub use actions::MENU;
pub use edits::{Editing, Edits};
pub use presence::{Here, Typists};
#[cfg(feature = "ssr")]
pub use rendered::{as_data, rendered_bytes};
pub use signals::Signals;
pub use state::{Delivery, End, Input, RoomState, Row, RowKey};
pub(super) use view::Room;
