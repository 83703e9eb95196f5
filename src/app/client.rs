//! What the components ask of the browser.

use leptos::web_sys;

use super::{ZoneOf, lobby::LobbyLink, room::RoomLink};

/// What the browser does for a page once it is alive; in the context of the application, or not there at all.
#[derive(Clone, Copy)]
pub struct Client {
    pub room: fn(RoomLink),
    pub lobby: fn(LobbyLink),
    /// Keeps an element where it is in the window, whatever becomes of it until it is painted next.
    pub hold: fn(web_sys::Element),
    /// The reader's clock.
    pub zone: ZoneOf,
    /// The reader has a touch screen and nothing more precise.
    pub touch: fn() -> bool,
}
