//! Up to where the reader has read.
//!
//! What has been in sight for about a second is read, while the tab is looked at and has the keyboard. Of somebody with an account the server
//! keeps it, and their other pages hear of it in the topic `me`; of a guest this browser does. What had come while nobody looked is parted from
//! the rest by a line, which stays as long as one reads on.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;

use super::Session;
use crate::{
    app::{Input, RoomState, RowKey},
    browser::{me::ReadElsewhere, spawn},
    wire::{Offset, Position, Topic},
};

/// How often is looked what is in sight, in milliseconds: so long it has to be.
const LOOK: u32 = 1_000;
/// The server is told after so many looks at the earliest.
const TOLD: u32 = 3;
/// With more the number is not said.
const MOST: usize = 99;

/// What is noted beside the state.
pub(super) struct Reads {
    /// The title of the page, without a number.
    title: String,
    /// What was in sight when it was looked last.
    seen: Cell<Option<Offset>>,
    /// The server, or this browser, knows up to here.
    known: Cell<Offset>,
    /// So many looks ago it was told.
    told: Cell<u32>,
    /// The reader has said that something is unread: nothing is read until they have gone and come back.
    held: Cell<bool>,
    /// The page has gone to where the unread begins.
    landed: Cell<bool>,
    shown: RefCell<String>,
}

impl Reads {
    pub(super) fn new() -> Self {
        let title = document().title();
        let (seen, known, held, landed) = Default::default();
        Self { shown: RefCell::new(title.clone()), title, seen, known: Cell::new(known), told: Cell::new(TOLD), held, landed }
    }
}

/// Somebody looks at the page.
fn is_looked_at() -> bool {
    !document().hidden() && document().has_focus().unwrap_or(false)
}

impl Session {
    /// Looks again and again at what is in sight, as long as the page lives.
    pub(super) fn watch_reading(self: &Rc<Self>) {
        let session = Rc::clone(self);
        spawn(async move {
            loop {
                TimeoutFuture::new(LOOK).await;
                session.look();
            }
        });
    }

    /// The server says up to where the reader has read, as they join; of a guest this browser knows it.
    pub(super) fn has_read(&self, said: Option<Position>) {
        let kept = if self.is_guest() { self.kept() } else { said };
        let is_in = |position: &Position| self.link.state.with_untracked(|state| state.feed().is_in(&position.epoch));
        let read = kept.filter(is_in).map(|position| position.offset);
        let is_first = !self.reads.landed.replace(true);
        let head = self.link.state.with_untracked(|state| state.feed().offset());
        // Who has never been here begins with what comes next.
        let up_to = read.unwrap_or(head);
        self.reads.known.set(if read.is_some() { up_to } else { Offset::START });
        self.apply(Input::Read { up_to, back: false });
        if is_first || !is_looked_at() {
            self.part();
        }
        if is_first && window().location().hash().is_ok_and(|hash| hash.is_empty()) && self.scroll.follows() {
            let line = document().query_selector(".messages .new").ok().flatten();
            if let Some(row) = line.and_then(|line| line.closest(".message").ok().flatten()) {
                self.scroll.show(&row);
            }
        }
        self.say_number();
    }

    /// What is unread stands apart from now on.
    fn part(&self) {
        if self.link.state.with_untracked(|state| state.unread() > 0) {
            self.apply(Input::Parted);
        }
    }

    /// Something is about to be shown that others have said; whether it is parted from what stands above it.
    pub(super) fn parts_news(&self) -> Option<Input> {
        let is_read = || self.link.state.with_untracked(|state| state.read().is_some());
        (!is_looked_at() && is_read()).then_some(Input::Parted)
    }

    /// This message is unread again, and what comes after it.
    pub(super) fn unread_from(&self, key: &RowKey) {
        let first = self.link.state.with_untracked(|state| state.row(key).and_then(|row| row.offset));
        let Some(up_to) = first.map(|first| Offset(first.0.saturating_sub(1))) else { return };
        self.apply(Input::Read { up_to, back: true });
        self.reads.held.set(true);
        self.reads.known.set(up_to);
        self.tell(up_to, true);
        self.say_number();
    }

    /// The reader has read this room on another page.
    pub(super) fn was_read(&self, ReadElsewhere { topic, up_to, back }: &ReadElsewhere) {
        let is_here = self.link.about.with_value(|about| matches!(topic, Topic::Room(group) if *group == about.group));
        if !is_here || !self.link.state.with_untracked(|state| state.feed().is_in(&up_to.epoch)) {
            return;
        }
        let (known, back) = (self.link.state.with_untracked(RoomState::read), *back);
        // What comes back is what this page has said itself.
        if known != Some(up_to.offset) {
            self.reads.held.set(back);
            self.reads.known.set(up_to.offset);
            self.apply(Input::Read { up_to: up_to.offset, back });
            self.say_number();
        }
    }

    /// What is in sight now, and was when it was looked before, is read.
    fn look(&self) {
        let Reads { seen, known, told, held, .. } = &self.reads;
        told.set(told.get().saturating_add(1));
        if !is_looked_at() {
            seen.set(None);
            held.set(false);
            self.say_number();
            return;
        }
        let (read, now) = (self.link.state.with_untracked(RoomState::read), self.in_sight());
        let before = seen.replace(now);
        if let (Some(read), Some(both), false) = (read, now.zip(before).map(|(now, before)| now.min(before)), held.get())
            && both > read
        {
            self.apply(Input::Read { up_to: both, back: false });
        }
        let read = self.link.state.with_untracked(RoomState::read);
        if let Some(read) = read.filter(|read| *read > known.get() && told.get() >= TOLD && !held.get())
            && self.tell(read, false)
        {
            known.set(read);
            told.set(0);
        }
        self.say_number();
    }

    /// Where the last message in sight stands.
    fn in_sight(&self) -> Option<Offset> {
        if self.scroll.follows() {
            return Some(self.link.state.with_untracked(RoomState::latest));
        }
        let key = self.list.key_of(&self.scroll.last()?)?;
        self.link.state.with_untracked(|state| {
            let place = state.place(&key)?;
            state.rows()[..=place].iter().rev().find_map(|row| row.offset)
        })
    }

    /// Has it kept; false where it cannot be now.
    fn tell(&self, offset: Offset, back: bool) -> bool {
        let epoch = self.link.state.with_untracked(|state| state.feed().position().map(|position| position.epoch.clone()));
        let Some(epoch) = epoch else { return false };
        if self.is_guest() {
            if let Ok(Some(storage)) = window().local_storage() {
                // A full or forbidden storage costs the line, and nothing else.
                let _ = storage.set_item(&self.place_in_storage(), &format!("{epoch} {offset}"));
            }
            return true;
        }
        self.subscription.get().is_some_and(|subscription| subscription.read(Position { epoch, offset }, back))
    }

    fn kept(&self) -> Option<Position> {
        let text = window().local_storage().ok().flatten()?.get_item(&self.place_in_storage()).ok().flatten()?;
        let (epoch, offset) = text.split_once(' ')?;
        Some(Position { epoch: epoch.parse().ok()?, offset: Offset(offset.parse().ok()?) })
    }

    fn place_in_storage(&self) -> String {
        self.link.about.with_value(|about| format!("confab:read:{}", about.group))
    }

    fn is_guest(&self) -> bool {
        self.link.about.with_value(|about| about.you.handle.is_none())
    }

    /// Says in the title how much is unread. What is being read is not counted.
    pub(super) fn say_number(&self) {
        let is_reading = is_looked_at() && self.scroll.follows() && !self.reads.held.get();
        let count = if is_reading { 0 } else { self.link.state.with_untracked(RoomState::unread) };
        let title = match count {
            0 => self.reads.title.clone(),
            1..=MOST => format!("({count}) {}", self.reads.title),
            _ => format!("({MOST}+) {}", self.reads.title),
        };
        if *self.reads.shown.borrow() != title {
            document().set_title(&title);
            self.reads.shown.replace(title);
        }
    }
}
