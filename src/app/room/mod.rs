//! A room as the page holds it: one state, one reducer, for the server's first rendering and for everything after.

mod composer;
mod message;
mod presence;
mod state;
mod view;

pub use presence::{Here, Typists};
pub use state::{Delivery, End, Gap, Input, RoomState, Row, RowKey};
pub(super) use view::Room;
