//! What people see. Both sides compile this: the server renders a [`Page`] to HTML, the browser hydrates the same components from
//! the same data, and from then on one reducer a page ([`RoomState::apply`], [`LobbyState::apply`]) takes in what happens.
//!
//! ```text
//!   server: Page ──► Shell ──► App ──► HTML, with the Page as JSON beside it
//!   browser: that JSON ──► the same components, made alive part by part
//!                           │  the browser module opens the page's link
//!                           ▼
//!            components ── Intent ──► the browser module (socket, clock, storage) ── Input ──► the state
//! ```
//!
//! Nothing here does I/O. What the components need done they ask by the page's link, which nobody hears on the server. What they must know of
//! the browser stands in the [`Client`], which is not there either.

mod client;
mod components;
mod feed;
mod live;
mod lobby;
mod markup;
mod page;
#[cfg(not(feature = "ssr"))]
mod part;
mod room;
mod search;
mod status;
mod words;

pub use client::Client;
#[cfg(feature = "ssr")]
pub use components::mark;
pub use components::{called, clock};
#[cfg(feature = "ssr")]
pub use components::{hue, initial};
pub use feed::{Feed, Gap, Reducer};
#[cfg(feature = "ssr")]
use leptos::{either::EitherOf3 as Kind, nonce::use_nonce, prelude::*};
pub use live::effect;
pub use lobby::{LobbyLink, LobbyState, LobbyView, rooms};
pub use markup::{Inner, Markup, first_word};
pub use page::{Alike, LobbyPage, OwnedRoom, Page, RoomPage};
#[cfg(feature = "ssr")]
pub use page::{Outcome, SearchPage};
#[cfg(not(feature = "ssr"))]
pub use part::Part;
#[cfg(not(feature = "ssr"))]
pub use room::{DAY, day_number};
pub use room::{
    Delivery, Editing, Edits, End, Here, Input, Intent, MENU, Reader, RoomLink, RoomState, RoomView, Row, RowKey, Touched,
    Typists, message,
};
#[cfg(feature = "ssr")]
pub use room::{as_data, rendered_bytes};
pub use status::{Loading, Status};
pub use words::words;

#[cfg(feature = "ssr")]
use crate::locales::{here, still as say};
use crate::wire::Timestamp;

#[cfg(feature = "ssr")]
use self::search::Search;

/// What makes the page alive.
#[cfg(feature = "ssr")]
const START: &str = include_str!("start.js");

/// What loads the page again while Confab is worked on.
#[cfg(feature = "ssr")]
fn reload() -> Option<impl IntoView> {
    let is_worked_on = cfg!(debug_assertions) && std::env::var_os("LEPTOS_WATCH").is_some();
    is_worked_on.then(|| view! { <script nonce=use_nonce()>{include_str!("reload.js")}</script> })
}

/// The whole document around a page; the server's alone. `banner` is HTML and stands at its head, `version` below all pages but rooms.
#[cfg(feature = "ssr")]
pub fn shell(page: Page, banner: String, version: &'static str, options: LeptosOptions) -> impl IntoView {
    let (title, description) = (page.title(), page.description());
    let file = |kind| format!("/{}/{}.{kind}", options.site_pkg_dir, options.output_name);
    // Nothing is painted before all is there, the composer too: above it the list would jump while it is being read.
    let is_room = matches!(&page, Page::Room(_));
    let expect = is_room.then(|| view! { <link rel="expect" href="#start" blocking="render" /> });
    provide_context(page);
    view! {
        <!DOCTYPE html>
        <html lang=here().tag()>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content" />
                <meta name="color-scheme" content="light dark" />
                // Phones would make links of what looks like a number, and the page would not know its texts again.
                <meta name="format-detection" content="telephone=no, date=no, address=no, email=no" />
                <meta name="theme-color" content="#ffffff" media="(prefers-color-scheme: light)" />
                <meta name="theme-color" content="#202024" media="(prefers-color-scheme: dark)" />
                <meta name="description" content=description />
                <title>{title}</title>
                <link rel="icon" href="/favicon.ico" sizes="32x32" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="apple-touch-icon" href="/apple-touch-icon.png" />
                <link rel="manifest" href="/manifest.webmanifest" />
                <link rel="stylesheet" href=file("css") />
                {expect}
            </head>
            <body>
                <p id="dead" class="dead" role="alert" hidden>
                    {say::program_dead()} " " <a href="">{say::reload()}</a>
                </p>
                <div id="banner" role="status" inner_html=banner></div>
                <div id="app">
                    <App />
                </div>
                {(!is_room).then(|| view! { <footer class="version">"Confab " {version}</footer> })}
                <script id="start" nonce=use_nonce() data-program=file("js") data-binary=file("wasm")>
                    {START}
                </script>
                {reload()}
            </body>
        </html>
    }
}

/// One page, from its data.
#[cfg(feature = "ssr")]
#[component]
fn App() -> impl IntoView {
    // It is left in the page for the browser.
    match SharedValue::new(expect_context::<Page>).into_inner() {
        Page::Lobby(page) => Kind::A(LobbyView::new(page).whole()),
        Page::Room(page) => Kind::B(RoomView::new(page).whole()),
        Page::Search(page) => Kind::C(view! { <Search page /> }),
    }
}

/// How many minutes ahead of UTC the reader's clock was at a moment: it changes twice a year in many places.
pub type ZoneOf = fn(Timestamp) -> i32;
