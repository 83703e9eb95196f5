//! A new name reaches the reader's other tabs.
//!
//! A name is taken with a form, whose page is then shown anew. Whoever has the same secret is in the same browser, so the tabs tell each
//! other by the browser's storage, whichever nodes they are connected to: a page leaves there who it was made for, and the others, which
//! hear of that, open their connections once more. By its welcome a page learns what it is called now.

use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};

use crate::wire::Person;

/// Where the storage has the person for whom a page was last made.
const PLACE: &str = "confab:you";

/// The page was made for this person.
pub(super) fn tell(you: &Person) {
    let now = format!("{} {}", you.id, you.name);
    if last_told().as_ref() != Some(&now)
        && let Some(storage) = storage()
    {
        // Without a storage the other tabs learn of it when they are connected anew.
        let _ = storage.set_item(PLACE, &now);
    }
}

/// Has something done whenever another tab was made for somebody else, or for a new name.
pub(super) fn on_change(act: impl Fn() + 'static) {
    let known = StoredValue::new(last_told());
    let listener = Closure::<dyn Fn()>::new(move || {
        let told = last_told();
        if known.get_value() != told {
            known.set_value(told);
            act();
        }
    });
    if window().add_event_listener_with_callback("storage", listener.as_ref().unchecked_ref()).is_ok() {
        // It listens as long as the page lives.
        listener.forget();
    }
}

fn last_told() -> Option<String> {
    storage()?.get_item(PLACE).ok().flatten()
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
