//! The browser's side of a live page: what the components ask of the [`Outside`](crate::app::Outside).
//!
//! ```text
//!   component ── Intent ──► room ── Input ──► RoomState::apply ──► the components render
//!                            │ ▲
//!                  Command   ▼ │ ServerFrame
//!                          connection: one WebSocket, opened again and again while the page lives
//! ```
//!
//! `scroll` keeps the reader's place whatever the state does to the list.

mod connection;
mod lobby;
mod room;
mod scroll;

use leptos::{mount::hydrate_body, prelude::*};

use crate::{
    app::{App, Outside},
    wire::Timestamp,
};

/// Makes the page alive that the server has rendered.
pub fn start() {
    console_error_panic_hook::set_once();
    hydrate_body(|| {
        provide_context(Outside { room: room::open, lobby: lobby::open, zone, touch });
        view! { <App /> }
    });
}

/// Minutes ahead of UTC at that moment; JavaScript counts the other way round.
fn zone(at: Timestamp) -> i32 {
    -(js_sys::Date::new(&(at.as_millis() as f64).into()).get_timezone_offset() as i32)
}

fn touch() -> bool {
    let query = window().match_media("(hover: none) and (pointer: coarse)");
    query.ok().flatten().is_some_and(|list| list.matches())
}

/// The address of a WebSocket of this server.
fn socket_address(path: &str) -> String {
    let location = window().location();
    let scheme = if location.protocol().is_ok_and(|protocol| protocol == "https:") { "wss" } else { "ws" };
    format!("{scheme}://{}{path}", location.host().unwrap_or_default())
}
