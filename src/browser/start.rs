//! Makes the page alive that the server has rendered: part by part, each when `app/start.js` gives it a turn, and when all are alive the page
//! opens its link. Where something else than the server has changed the page, it is rendered anew from its data.

use std::{cell::RefCell, mem, vec};

use any_spawner::Executor;
use leptos::{mount::mount_to, prelude::*};
use wasm_bindgen::{JsCast, UnwrapThrowExt};
use web_sys::{Element, HtmlElement, HtmlTextAreaElement};

use super::{element, lobby, pause, room, spawn, still, touch};
use crate::{
    app::{Client, LobbyView, Page, Part, RoomView},
    locales::{Language, speak},
};

thread_local! {
    /// What the server has rendered the page from, as it was read.
    static DATA: RefCell<Option<Page>> = const { RefCell::new(None) };
    /// The page, as long as it is not alive.
    static COMING: RefCell<Option<Coming>> = const { RefCell::new(None) };
}

/// A page that is not alive yet.
struct Coming {
    owner: Owner,
    view: View,
    parts: vec::IntoIter<Part>,
}

/// A page that comes alive.
enum View {
    Room(Box<RoomView>),
    Lobby(LobbyView),
}

/// Reads what the server has rendered the page from, which Leptos leaves in a variable.
pub fn prepare() {
    std::panic::set_hook(Box::new(panicked));
    let language = document().document_element().and_then(|html| Language::of_tag(&html.get_attribute("lang")?));
    speak(language.unwrap_or_default());
    let all = js_sys::Reflect::get(&window(), &"__RESOLVED_RESOURCES".into()).ok();
    let data = || serde_json::from_str(&all?.dyn_into::<js_sys::Array>().ok()?.get(0).as_string()?).ok();
    DATA.set(data());
}

/// Goes on with making the page alive that the server has rendered: by one part, and then by opening it. False when that was the last.
pub fn hydrate() -> bool {
    let Some(mut coming) = COMING.take() else {
        COMING.set(Coming::begin());
        return COMING.with_borrow(Option::is_some);
    };
    let Some(part) = coming.parts.next() else {
        coming.open();
        return false;
    };
    coming.owner.with(|| part.take_over(&element()));
    COMING.set(Some(coming));
    true
}

/// Renders the page anew from its data, where something else than the server has changed it, and makes it alive. What the reader has
/// written, and where they are, is theirs.
pub fn render() {
    let Some(coming) = COMING.take().or_else(Coming::begin) else { return };
    let (app, reader) = (element(), Reader::of_the_page());
    app.set_inner_html("");
    coming.render(app);
    reader.goes_on();
    coming.open();
}

impl Coming {
    /// The page, with its state; none where it is one that does not change, of which nothing has to be alive.
    fn begin() -> Option<Self> {
        // It drives what follows on a change. Where it is there already it is not made once more.
        let _ = Executor::init_wasm_bindgen();
        let owner = Owner::new();
        let data = DATA.take().expect_throw("the page has its data");
        let (view, parts) = owner.with(|| {
            provide_context(Client { anew: false, touch });
            match data {
                Page::Room(page) => {
                    let view = RoomView::new(page);
                    let parts = view.parts();
                    Some((View::Room(Box::new(view)), parts))
                }
                Page::Lobby(page) => {
                    let view = LobbyView::new(page);
                    let parts = view.parts();
                    Some((View::Lobby(view), parts))
                }
                Page::Still => {
                    still::show_times(".hits time");
                    None
                }
            }
        })?;
        Some(Self { owner, view, parts: parts.into_iter() })
    }

    fn render(&self, app: HtmlElement) {
        self.owner.with(|| {
            provide_context(Client { anew: true, touch });
            match &self.view {
                View::Room(view) => {
                    let view = view.clone();
                    mount_to(app, move || view.whole()).forget();
                }
                View::Lobby(view) => {
                    let view = view.clone();
                    mount_to(app, move || view.whole()).forget();
                }
            }
        });
    }

    /// Goes on once what the page looks like is there, and others have had their turn.
    fn open(self) {
        let Self { owner, view, .. } = self;
        spawn(async move {
            pause().await;
            match view {
                View::Room(view) => room::open(view.link).await,
                View::Lobby(view) => lobby::open(view.link),
            }
        });
        // It lives as long as the page does.
        mem::forget(owner);
    }
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
    fn composer() -> Option<HtmlTextAreaElement> {
        document().get_element_by_id("text").and_then(|element| element.dyn_into().ok())
    }

    fn log() -> Option<Element> {
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
