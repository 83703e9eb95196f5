//! What is written and not yet sent, kept by the browser over reloads.

use leptos::prelude::*;

use crate::{app::RoomLink, wire::Group};

/// The draft of one room.
pub(super) struct Draft(String);

impl Draft {
    pub(super) fn of(group: &Group) -> Self {
        Self(format!("confab:draft:{group}"))
    }

    pub(super) fn keep(&self, text: &str) {
        if let Some(storage) = storage() {
            // A full or forbidden storage costs the draft, not the message.
            let _ = if text.is_empty() { storage.remove_item(&self.0) } else { storage.set_item(&self.0, text) };
        }
    }

    /// Shows the draft, unless something has been written already.
    pub(super) fn restore(&self, link: RoomLink) {
        let kept = storage().and_then(|storage| storage.get_item(&self.0).ok().flatten());
        if let (Some(text), Some(composer)) = (kept, link.composer.get_untracked())
            && composer.value().is_empty()
        {
            composer.set_value(&text);
        }
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
