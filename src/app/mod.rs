//! What people see. Both sides compile this: the server renders a [`Page`] to HTML, the browser hydrates the same components from
//! the same data, and from then on one reducer a page ([`RoomState::apply`], [`LobbyState::apply`]) takes in what happens.
//!
//! ```text
//!   server: Page ──► Shell ──► App ──► HTML, with the Page as JSON beside it
//!   browser: that JSON ──► App ──► the same components, now alive
//!                           │  the page opens a link to the Outside
//!                           ▼
//!            components ── Intent ──► Outside (the browser module: socket, clock, storage) ── Input ──► the state
//! ```
//!
//! Nothing here does I/O. What the components need done they ask of the [`Outside`], which on the server is not there.

mod components;
mod lobby;
mod outside;
mod page;
mod room;
mod search;

#[cfg(feature = "ssr")]
use leptos::nonce::use_nonce;
use leptos::prelude::*;
pub use lobby::LobbyState;
pub use outside::{Intent, Loading, LobbyLink, Outside, RoomLink, Status};
pub use page::{Alike, LobbyPage, NoticePage, Outcome, Page, RoomPage, SearchPage};
#[cfg(feature = "ssr")]
pub use room::rendered_bytes;
pub use room::{Delivery, Editing, Edits, End, Gap, Here, Input, MENU, RoomState, Row, RowKey, Signals, Typists, What, Wish};

use crate::wire::Timestamp;

use self::{lobby::Lobby, page::Notice, room::Room, search::Search};

/// The whole document around a page; the server's alone.
#[cfg(feature = "ssr")]
pub fn shell(page: Page, options: LeptosOptions) -> impl IntoView {
    let title = page.title();
    let stylesheet = format!("/{}/{}.css", options.site_pkg_dir, options.output_name);
    provide_context(page);
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content" />
                <meta name="color-scheme" content="light dark" />
                <title>{title}</title>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="stylesheet" href=stylesheet />
                <Scripts options />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// Has the page come alive. The nonce stands where browsers hide it from whoever looks at the page, as `HydrationScripts` of Leptos does
/// not.
#[cfg(feature = "ssr")]
#[component]
fn Scripts(options: LeptosOptions) -> impl IntoView {
    let file = |kind: &str| format!("/{}/{}.{kind}", options.site_pkg_dir, options.output_name);
    let (script, module) = (file("js"), file("wasm"));
    let begin =
        format!("import({script:?}).then(page => page.default({{ module_or_path: {module:?} }}).then(() => page.hydrate()))");
    view! {
        <link rel="modulepreload" href=script crossorigin="anonymous" />
        <link rel="preload" href=module r#as="fetch" r#type="application/wasm" crossorigin="anonymous" />
        <script type="module" nonce=use_nonce()>
            {begin}
        </script>
    }
}

/// One page, from the data that the server gave it.
#[component]
pub fn App() -> impl IntoView {
    let page = SharedValue::new(expect_context::<Page>).into_inner();
    provide_context(Zone(RwSignal::new(|_| 0)));
    match page {
        Page::Lobby(page) => view! { <Lobby page /> }.into_any(),
        Page::Room(page) => view! { <Room page /> }.into_any(),
        Page::Search(page) => view! { <Search page /> }.into_any(),
        Page::Notice(page) => view! { <Notice page /> }.into_any(),
    }
}

/// How many minutes ahead of UTC the reader's clock was at a moment: it changes twice a year in many places.
pub type ZoneOf = fn(Timestamp) -> i32;

/// The reader's clock; UTC while the page is as the server rendered it.
#[derive(Clone, Copy)]
pub struct Zone(pub RwSignal<ZoneOf>);
