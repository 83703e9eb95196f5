//! What we said and did, in the order in which we did it, until the server has answered to it.
//!
//! The first is asked for, and when it is answered the next. What has no answer is asked for again on the next connection, which does
//! no harm: a message has its key, and a change that was made already changes nothing. The tab's storage has a copy, so that a
//! reload loses nothing either; with it, what was refused and what is written in place of messages.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use leptos::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::{
    app::{Delivery, Editing, RoomLink, RowKey, What, Wish},
    wire::{Act, Command, Group, Key, MessageId, Topic, Unreadable, read},
};

/// One thing that waits.
#[derive(Clone)]
pub(super) enum Task {
    /// Say the message of this row.
    Say(RowKey),
    /// Have this done, which the page calls by a number.
    Change(u64, Wish),
}

/// What the storage has of one thing.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Kept {
    Say(Key, String),
    Change(Wish),
    Edit(Editing),
}

impl TryFrom<Value> for Kept {
    type Error = Unreadable;

    fn try_from(kept: Value) -> Result<Self, Unreadable> {
        if kept.is_array() {
            read(&kept).map(|(key, text)| Self::Say(key, text))
        } else if kept.get("what").is_some() {
            read(&kept).map(Self::Change)
        } else {
            read(&kept).map(Self::Edit)
        }
    }
}

/// What waits to be asked for, and what is being asked.
pub(super) struct Outbox {
    link: RoomLink,
    topic: Topic,
    tasks: RefCell<VecDeque<Task>>,
    /// The number of the command that asks for the first task, while its answer is awaited.
    asked: Cell<Option<u64>>,
    /// Where the storage has the copy.
    place: String,
    /// The copy as it was written last; none where that was not yet.
    written: RefCell<Option<String>>,
}

impl Outbox {
    /// Of a room, as empty as it is for somebody who has not been here.
    pub(super) fn of(link: RoomLink, group: &Group) -> Self {
        Self {
            link,
            topic: Topic::Room(group.clone()),
            tasks: RefCell::default(),
            asked: Cell::default(),
            place: format!("confab:unsent:{group}"),
            written: RefCell::default(),
        }
    }

    pub(super) fn add(&self, task: Task) {
        self.tasks.borrow_mut().push_back(task);
    }

    /// The connection is a new one: there will be no answer any more.
    pub(super) fn forget_asked(&self) {
        self.asked.set(None);
    }

    /// Has `say` ask for the first task, unless that is being done.
    pub(super) fn ask(&self, say: impl FnOnce(Command) -> u64) {
        if self.asked.get().is_some() {
            return;
        }
        let mut tasks = self.tasks.borrow_mut();
        while let Some(task) = tasks.front() {
            if let Some(command) = self.command(task) {
                self.asked.set(Some(say(command)));
                return;
            }
            // It is done: a message that was said before has come as an event.
            tasks.pop_front();
        }
    }

    /// Takes an answer to the command of this number; none where it is about something else.
    pub(super) fn answered(&self, id: Option<u64>) -> Option<Task> {
        let is_ours = id.is_some() && self.asked.get() == id;
        is_ours.then(|| self.asked.set(None))?;
        self.tasks.borrow().front().cloned()
    }

    /// Another edit of the message waits.
    pub(super) fn will_edit(&self, message: &MessageId) -> bool {
        let edits = |task: &Task| match task {
            Task::Change(_, Wish { message: other, what: What::Edit(_) }) => other == message,
            Task::Change(..) | Task::Say(_) => false,
        };
        self.tasks.borrow().iter().any(edits)
    }

    /// What was answered is done with.
    pub(super) fn done(&self) {
        self.tasks.borrow_mut().pop_front();
    }

    fn command(&self, task: &Task) -> Option<Command> {
        let topic = self.topic.clone();
        match task {
            Task::Say(key) => {
                let (key, text) = self.link.state.with_untracked(|state| {
                    let row = state.row(key).filter(|row| row.delivery == Delivery::Pending)?;
                    // The key was made by `fresh_key`.
                    Some((key.key().parse().ok()?, row.content.text.clone()))
                })?;
                Some(Command::Act { topic, act: Act::Send { key, text } })
            }
            Task::Change(_, wish) => Some(command_of(topic, wish.clone())),
        }
    }

    /// Sees to the copy.
    pub(super) fn keep(&self) {
        let kept = self.to_keep();
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

    /// Lets go of all that waits and of the messages that were refused, and gives it.
    pub(super) fn take(&self) -> Vec<Kept> {
        let mut kept = self.to_keep();
        kept.retain(|kept| !matches!(kept, Kept::Edit(_)));
        self.tasks.take();
        self.asked.take();
        kept
    }

    /// What waits, before it the messages that were refused, and after it what is written in place of messages.
    fn to_keep(&self) -> Vec<Kept> {
        let say = |key: &RowKey, text: &str| Some(Kept::Say(key.key().parse().ok()?, text.to_owned()));
        self.link.state.with_untracked(|state| {
            let is_refused = |delivery: &Delivery| matches!(delivery, Delivery::Failed(_));
            let refused = state.unsent().filter(|row| is_refused(&row.delivery));
            let refused = refused.filter_map(|row| say(&row.key, &row.content.text));
            let tasks = self.tasks.borrow();
            let waiting = tasks.iter().filter_map(|task| match task {
                Task::Say(key) => {
                    state.row(key).filter(|row| row.delivery == Delivery::Pending).and_then(|row| say(key, &row.content.text))
                }
                Task::Change(_, wish) => Some(Kept::Change(wish.clone())),
            });
            let edits = self.link.edits.with_untracked(|edits| {
                edits.all().iter().filter(|editing| editing.is_unsaved()).cloned().map(Kept::Edit).collect::<Vec<_>>()
            });
            refused.chain(waiting).chain(edits).collect()
        })
    }

    /// What the tab had when the page was left. What cannot be read, as another version may have written it, takes nothing with it.
    pub(super) fn restore(&self) -> Vec<Kept> {
        let kept = storage().and_then(|storage| storage.get_item(&self.place).ok().flatten());
        let Some(Value::Array(kept)) = kept.and_then(|text| serde_json::from_str(&text).ok()) else { return Vec::new() };
        kept.into_iter().filter_map(|one| Kept::try_from(one).ok()).collect()
    }
}

/// What asks for it.
fn command_of(topic: Topic, Wish { message, what }: Wish) -> Command {
    let act = match what {
        What::Edit(text) => Act::Edit { message, text },
        What::Delete => Act::Delete { message },
        What::React { emoji, on } => Act::React { message, emoji, on },
    };
    Command::Act { topic, act }
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
