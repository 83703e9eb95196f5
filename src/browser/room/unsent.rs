//! What a page has that would be lost with it: what we said and did and have no answer to, what was refused, and what is written in place of
//! messages. The tab's storage has a copy, so that a reload loses nothing.

use std::cell::RefCell;

use leptos::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::{
    app::{Editing, Edits, RoomLink, RoomState},
    wire::{Act, Command, Key, Topic, read},
};

/// One thing that was kept.
pub(super) enum Kept {
    Act(Act),
    Edit(Editing),
}

/// What the storage has of it.
#[derive(Serialize)]
#[serde(untagged)]
enum Copy {
    Act(Command),
    Edit(Editing),
}

/// The copy of what a room's page has.
pub(super) struct Unsent {
    link: RoomLink,
    topic: Topic,
    /// Where the storage has it.
    place: String,
    /// As it was written last; none where that was not yet.
    written: RefCell<Option<String>>,
}

impl Unsent {
    pub(super) fn of(link: RoomLink) -> Self {
        let group = link.about.with_value(|about| about.group.clone());
        Self { link, place: format!("confab:unsent:{group}"), topic: Topic::Room(group), written: RefCell::default() }
    }

    /// Sees to the copy.
    pub(super) fn keep(&self) {
        let topic = &self.topic;
        let acts = self.link.state.with_untracked(RoomState::unanswered).into_iter();
        let acts = acts.map(|act| Copy::Act(Command::Act { topic: topic.clone(), act }));
        let unsaved = |edits: &Edits| edits.all().iter().filter(|editing| editing.is_unsaved()).cloned().collect::<Vec<_>>();
        let edits = self.link.edits.with_untracked(unsaved).into_iter().map(Copy::Edit);
        let kept: Vec<_> = acts.chain(edits).collect();
        let Ok(text) = serde_json::to_string(&kept) else { return };
        // Most of what happens in a room changes nothing here.
        if self.written.borrow().as_ref() == Some(&text) {
            return;
        }
        let Some(storage) = storage() else { return };
        let written = if kept.is_empty() { storage.remove_item(&self.place) } else { storage.set_item(&self.place, &text) };
        // A full or forbidden storage costs the copy, not the message; it is tried again at the next change.
        self.written.replace(written.is_ok().then_some(text));
    }

    /// What the tab had when the page was left. What cannot be read, as another version may have written it, takes nothing with it.
    pub(super) fn restore(&self) -> Vec<Kept> {
        let kept = storage().and_then(|storage| storage.get_item(&self.place).ok().flatten());
        let Some(Value::Array(kept)) = kept.and_then(|text| serde_json::from_str(&text).ok()) else { return Vec::new() };
        let read = |one: &Value| {
            if one.is_array() {
                // So versions before had a message that waits.
                return read(one).map(|(key, text)| Kept::Act(Act::Send { key, text })).ok();
            }
            match Act::from_command(one) {
                Ok((_, act)) => Some(Kept::Act(act)),
                Err(_) => read(one).map(Kept::Edit).ok(),
            }
        };
        kept.iter().filter_map(read).collect()
    }
}

/// A key for a new message.
pub(super) fn fresh_key() -> Key {
    let mut bytes = [0_u8; 16];
    if window().crypto().and_then(|crypto| crypto.get_random_values_with_u8_array(&mut bytes)).is_err() {
        bytes.fill_with(|| (js_sys::Math::random() * 256.0) as u8);
    }
    Key::fresh(super::now(), u128::from_ne_bytes(bytes))
}

/// The tab's.
pub(super) fn storage() -> Option<web_sys::Storage> {
    window().session_storage().ok().flatten()
}
