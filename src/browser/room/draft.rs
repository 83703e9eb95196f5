//! What is written and not yet sent, kept by the browser over reloads.
//!
//! A draft belongs to its tab: what one tab has sent would else stand in another, to be sent twice. When a tab is left its draft is put
//! where a new tab finds it; the first that has none of its own takes it over. `app/start.js` keeps in the same place what is typed before
//! the page is alive.

use std::{cell::Cell, rc::Rc};

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, closure::Closure};

use super::unsent::storage;
use crate::{app::RoomLink, browser::read_json, wire::Group};

/// So many drafts of tabs that were left are kept for a room; the oldest go.
const LEFT: usize = 32;

/// The draft of one room.
#[derive(Clone)]
pub(super) struct Draft {
    /// Where the tab's storage has it.
    own: String,
    /// Where the browser's storage has those of tabs that were left.
    left: String,
    /// It waits there now for another tab.
    waits: Rc<Cell<bool>>,
}

/// A draft that no tab has.
#[derive(PartialEq, Serialize, Deserialize)]
struct Left {
    /// The tab that was left.
    tab: String,
    text: String,
}

impl Draft {
    /// The draft, in the composer unless something is written there already.
    pub(super) fn open(group: &Group, link: RoomLink) -> Self {
        let (own, left) = (format!("confab:draft:{group}"), format!("confab:left:{group}"));
        let draft = Self { own, left, waits: Rc::default() };
        draft.come_back();
        if let Some(composer) = link.composer.get_untracked() {
            let own = draft.own().or_else(|| draft.take_over());
            match own {
                Some(text) if composer.value().is_empty() => composer.set_value(&text),
                _ => {}
            }
            // What was written before the page was alive, or what the form sent in vain.
            draft.keep(&composer.value());
        }
        draft.watch(link);
        draft
    }

    pub(super) fn keep(&self, text: &str) {
        if let Some(storage) = storage() {
            // A full or forbidden storage costs the draft, not the message.
            let _ = if text.is_empty() { storage.remove_item(&self.own) } else { storage.set_item(&self.own, text) };
        }
    }

    fn own(&self) -> Option<String> {
        storage()?.get_item(&self.own).ok().flatten()
    }

    /// The draft stays with the tab while it is open and waits for another one when it is left. A page that the browser shows again as it
    /// was has it back, unless it was taken over meanwhile.
    fn watch(&self, link: RoomLink) {
        let draft = self.clone();
        let hides = Closure::<dyn Fn()>::new(move || draft.leave());
        let draft = self.clone();
        let shows = Closure::<dyn Fn(web_sys::PageTransitionEvent)>::new(move |event: web_sys::PageTransitionEvent| {
            if event.persisted() && draft.waits.take() && !draft.come_back() {
                draft.keep("");
                let is_draft = link.edits.with_untracked(|edits| edits.open().is_none());
                if let Some(composer) = link.composer.get_untracked().filter(|_| is_draft) {
                    composer.set_value("");
                }
            }
        });
        for (event, listener) in [("pagehide", hides.as_ref()), ("pageshow", shows.as_ref())] {
            let _ = window().add_event_listener_with_callback(event, listener.unchecked_ref());
        }
        // They live as long as the page does.
        hides.forget();
        shows.forget();
    }

    /// Puts the draft where another tab finds it.
    fn leave(&self) {
        if let (Some(tab), Some(text)) = (tab(), self.own()) {
            let mut all = self.all_left();
            all.retain(|left| left.tab != tab);
            all.push(Left { tab, text });
            all.drain(..all.len().saturating_sub(LEFT));
            self.waits.set(self.set_left(&all));
        }
    }

    /// Takes back what this tab has put there; false where it is not there.
    fn come_back(&self) -> bool {
        let (Some(tab), Some(text)) = (tab(), self.own()) else { return false };
        let (own, mut all) = (Left { tab, text }, self.all_left());
        let count = all.len();
        all.retain(|left| *left != own);
        let is_back = all.len() < count;
        if is_back {
            self.set_left(&all);
        }
        is_back
    }

    /// The draft of the tab that was left last.
    fn take_over(&self) -> Option<String> {
        let mut all = self.all_left();
        let last = all.pop()?;
        self.set_left(&all);
        Some(last.text)
    }

    fn all_left(&self) -> Vec<Left> {
        let kept = shared().and_then(|storage| storage.get_item(&self.left).ok().flatten());
        // What cannot be read, another version has written.
        kept.and_then(|text| read_json(&text)).unwrap_or_default()
    }

    /// False where the storage is full or forbidden.
    fn set_left(&self, all: &[Left]) -> bool {
        let (Some(storage), Ok(text)) = (shared(), serde_json::to_string(all)) else { return false };
        if all.is_empty() { storage.remove_item(&self.left) } else { storage.set_item(&self.left, &text) }.is_ok()
    }
}

/// What this tab is called, as long as it is open.
fn tab() -> Option<String> {
    const TAB: &str = "confab:tab";
    let storage = storage()?;
    if let Some(tab) = storage.get_item(TAB).ok()? {
        return Some(tab);
    }
    let tab = super::fresh_key().as_str().to_owned();
    storage.set_item(TAB, &tab).ok()?;
    Some(tab)
}

/// The browser's, for all its tabs.
fn shared() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
