//! A room as the page holds it: one state, one reducer, for the server's first rendering and for everything after.

mod actions;
mod composer;
mod edits;
mod here;
mod link;
mod message;
mod presence;
mod reactions;
mod reader;
#[cfg(feature = "ssr")]
mod rendered;
mod state;
mod view;

pub use actions::MENU;
pub use edits::{Editing, Edits};
pub use here::{Here, Typists};
pub use link::{Intent, RoomLink};
pub use message::message;
pub use reader::Reader;
#[cfg(not(feature = "ssr"))]
pub use reader::{DAY, day_number};
#[cfg(feature = "ssr")]
pub use rendered::{as_data, rendered_bytes};
pub use state::{Delivery, End, Input, RoomState, Row, RowKey, Touched};
pub use view::RoomView;
