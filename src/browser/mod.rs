//! The browser's side of a live page: what the components ask of the [`Client`](crate::app::Client).
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
//! `scroll` keeps the reader's place whatever the state does to the list.

mod connection;
mod lobby;
mod markup;
mod me;
mod room;
mod scroll;
mod still;
mod topic;

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
};

use gloo_net::http;
use gloo_timers::future::TimeoutFuture;
use leptos::{
    mount::{hydrate_from, mount_to},
    prelude::*,
};
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, UnwrapThrowExt};
use wasm_bindgen_futures::spawn_local;

use crate::{
    app::{App, Client, Page},
    wire::{Timestamp, read},
};

thread_local! {
    /// The page is whole. Where hydration has failed, another program has taken over, and what was begun here is not gone on with.
    static WHOLE: Cell<bool> = const { Cell::new(false) };
    /// What the server has rendered the page from, as it was read.
    static DATA: RefCell<Option<Page>> = const { RefCell::new(None) };
}

/// Reads what the server has rendered the page from, which Leptos leaves in a variable.
pub fn prepare() {
    std::panic::set_hook(Box::new(panicked));
    let all = js_sys::Reflect::get(&window(), &"__RESOLVED_RESOURCES".into()).ok();
    let data = || serde_json::from_str(&all?.dyn_into::<js_sys::Array>().ok()?.get(0).as_string()?).ok();
    DATA.set(data());
}

fn data() -> Page {
    DATA.take().expect_throw("the page has its data")
}

/// Makes the page alive that the server has rendered.
pub fn hydrate() {
    match data() {
        Page::Still => still::show_times(),
        data => {
            hydrate_from(element(), || page(data, false)).forget();
            WHOLE.set(true);
        }
    }
}

/// Renders the page anew from its data, where something else than the server has changed it, and makes it alive. What the reader has
/// written, and where they are, is theirs.
pub fn render() {
    let (data, app, reader) = (data(), element(), Reader::of_the_page());
    if matches!(data, Page::Still) {
        return still::show_times();
    }
    app.set_inner_html("");
    mount_to(app, || page(data, true)).forget();
    reader.goes_on();
    WHOLE.set(true);
}

fn page(data: Page, anew: bool) -> impl IntoView {
    provide_context(data);
    provide_context(Client {
        room: |link| if_whole(room::open(link)),
        lobby: |link| if_whole(async move { lobby::open(link) }),
        anew,
        zone,
        touch,
    });
    view! { <App /> }
}

/// Goes on once what the page looks like is there, and others have had their turn.
fn if_whole(open: impl Future<Output = ()> + 'static) {
    spawn(async {
        pause().await;
        if WHOLE.get() {
            open.await;
        }
    });
}

/// Lets others have their turn: what is long to do is done in parts, so that what the reader does is never long in waiting.
async fn pause() {
    TimeoutFuture::new(0).await;
}

/// Where the page is; beside it may stand what others have put there.
fn element() -> web_sys::HtmlElement {
    document().get_element_by_id("app").expect_throw("the page has it").unchecked_into()
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
    read_json(&request.send().await.ok()?.text().await.ok()?)
}

/// After a panic nothing goes on: the page says so.
fn panicked(info: &std::panic::PanicHookInfo) {
    web_sys::console::error_1(&info.to_string().into());
    if let Some(dead) = document().get_element_by_id("dead") {
        // It may be gone.
        let _ = dead.remove_attribute("hidden");
    }
}

/// What a page has of its reader that its data has not.
struct Reader {
    written: String,
    is_writing: bool,
    scrolled: i32,
}

impl Reader {
    fn composer() -> Option<web_sys::HtmlTextAreaElement> {
        document().get_element_by_id("text").and_then(|element| element.dyn_into().ok())
    }

    fn log() -> Option<web_sys::Element> {
        document().query_selector(".log").ok().flatten()
    }

    fn of_the_page() -> Self {
        let composer = Self::composer();
        Self {
            is_writing: composer.is_some() && document().active_element() == composer.clone().map(Into::into),
            written: composer.map(|composer| composer.value()).unwrap_or_default(),
            scrolled: Self::log().map_or(0, |log| log.scroll_top()),
        }
    }

    fn goes_on(self) {
        if let Some(composer) = Self::composer() {
            composer.set_value(&self.written);
            if self.is_writing {
                // An element that cannot take the keyboard leaves it where it is.
                let _ = composer.focus();
            }
        }
        if let Some(log) = Self::log() {
            log.set_scroll_top(self.scrolled);
        }
    }
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
