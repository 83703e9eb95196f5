//! The browser's side of a live page: what is done that the components ask for.
//!
//! ```text
//!   component ── Intent ──► room ── Input ──► RoomState::apply ──► the components render
//!                            │ ▲
//!                       Act  ▼ │ Push, Joined, the answer to an Act
//!                          topic: the page's topics, each joined where the page stands, and its acts one after the other
//!                            │ ▲
//!                  Command   ▼ │ ServerFrame
//!                          connection: one WebSocket, opened again and again while the page lives
//! ```
//!
//! `start` makes the page alive, and `scroll` keeps the reader's place whatever the state does to the list.

mod connection;
mod lobby;
mod markup;
mod me;
mod room;
mod scroll;
mod start;
mod still;
mod topic;

use std::pin::Pin;

use gloo_net::http;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast as _, UnwrapThrowExt as _};
use wasm_bindgen_futures::spawn_local;

pub use self::start::{hydrate, prepare, render};
use crate::wire::{Timestamp, read};

/// Lets others have their turn: what is long to do is done in parts, so that what the reader does is never long in waiting. Where nobody
/// looks at the page nothing waits, and browsers give its timers one turn a second.
async fn pause() {
    if !document().hidden() {
        TimeoutFuture::new(0).await;
    }
}

/// What a text says in JSON; none where that is something else.
fn read_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    read(&serde_json::from_str(text).ok()?).ok()
}

/// Begins something that takes its time. It is in a box: each kind of future would bring what drives it once more.
fn spawn(work: impl Future<Output = ()> + 'static) {
    spawn_local(Box::pin(work) as Pin<Box<dyn Future<Output = ()>>>);
}

/// What is answered to a request; none where nothing can be had, or nothing that is understood.
async fn answer<T: DeserializeOwned>(request: http::RequestBuilder) -> Option<T> {
    read_json(&text(request).await?)
}

/// The text of an answer; none where nothing can be had.
async fn text(request: http::RequestBuilder) -> Option<String> {
    let answer = request.send().await.ok()?;
    if answer.ok() { answer.text().await.ok() } else { None }
}

/// Where the page is; beside it may stand what others have put there.
fn element() -> web_sys::HtmlElement {
    document().get_element_by_id("app").expect_throw("the page has it").unchecked_into()
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
