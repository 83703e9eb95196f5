//! Reading what was said before, and what has become of it, over the HTTP API.

use std::rc::Rc;

use gloo_net::http;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;

use super::Session;
use crate::{
    app::{End, Input, Loading, RoomState},
    browser::{answer, spawn},
    wire::{Group, Offset, Stretch},
};

/// How soon what could not be read is asked for again, in milliseconds.
const AGAIN: u32 = 2_000;
/// The page shows so many rows at most; with more it forgets those that are far from the reader, who can read them again,
const MOST: usize = 400;
/// and keeps so many.
const KEPT: usize = 300;
/// How many messages are read at a time.
const PAGE: usize = 50;
/// How many are read at a time that are shown: as many as an answer has.
const SHOWN: usize = 200;

impl Session {
    /// Shows what was said before this, unless that is on its way.
    pub(super) fn read_older(self: &Rc<Self>, before: Offset) {
        let loading = self.link.loading;
        if loading.get_untracked() != Loading::Busy {
            let part = (loading, format!("before={before}"));
            spawn(read(Rc::clone(self), part, move |stretch| Input::Older(before, stretch)));
        }
    }

    /// Shows what was said after this, unless that is on its way.
    pub(super) fn read_newer(self: &Rc<Self>, after: Offset) {
        let returning = self.link.returning;
        if returning.get_untracked() != Loading::Busy {
            let part = (returning, format!("after={after}"));
            spawn(read(Rc::clone(self), part, move |stretch| Input::Newer(after, stretch)));
        }
    }

    /// Goes to the end of the room: to that of the list, or out of the past.
    pub(super) fn to_latest(self: &Rc<Self>) {
        if !self.is_past() {
            self.scroll.to_end();
            return;
        }
        let session = Rc::clone(self);
        spawn(async move {
            let returning = session.link.returning;
            read(Rc::clone(&session), (returning, String::new()), Input::Latest).await;
            // Something may have been said while they were on their way, our own message for one.
            let newer = || session.link.state.with_untracked(RoomState::newer_than);
            let mut before = None;
            // It ends too where reading brings nothing: the connection will say why.
            while let Some(after) = newer().filter(|after| returning.get_untracked() == Loading::Idle && before != Some(*after))
            {
                before = Some(after);
                let part = (returning, format!("after={after}"));
                read(Rc::clone(&session), part, move |stretch| Input::Newer(after, stretch)).await;
            }
            session.scroll.to_end();
        });
    }

    /// Reads once more what is shown: it may have changed in a time of which no events are left.
    pub(super) fn refresh(self: &Rc<Self>) {
        let session = Rc::clone(self);
        spawn(async move {
            let shown = session.link.state.with_untracked(|state| {
                let mut places = state.rows().iter().filter_map(|row| row.offset);
                let first = places.next()?;
                Some((first, places.next_back().unwrap_or(first)))
            });
            let Some((first, last)) = shown else { return };
            let mut after = Offset(first.0.saturating_sub(1));
            while after < last {
                let Some(stretch) = part_of(&session.group(), SHOWN, &format!("after={after}")).await else {
                    // No event will say what has changed, so it is asked for until it is answered, or the reader has left the past.
                    TimeoutFuture::new(AGAIN).await;
                    if session.is_past() {
                        continue;
                    }
                    return;
                };
                let Some(newest) = stretch.messages.last().map(|stored| stored.offset) else { return };
                session.take(stretch, Input::Refreshed);
                after = newest;
            }
        });
    }

    /// Keeps the list from growing without end: what is far from the reader goes.
    pub(super) fn bound(&self) {
        if self.count() <= MOST {
            return;
        }
        let place = self.place.borrow().clone();
        let place = place.and_then(|key| self.link.state.with_untracked(|state| state.place(&key)));
        if let Some(place) = place {
            self.apply(Input::Trimmed(End::Newest, place + KEPT / 2));
        }
        if self.count() > MOST {
            self.apply(Input::Trimmed(End::Oldest, KEPT));
        }
    }

    pub(super) fn is_past(&self) -> bool {
        self.link.state.with_untracked(RoomState::is_past)
    }

    fn group(&self) -> Group {
        self.link.about.with_value(|about| about.group.clone())
    }

    /// Makes an input of what was read. The room may have been begun anew meanwhile, which the connection has said or will say.
    fn take(&self, stretch: Stretch, input: impl FnOnce(Stretch) -> Input) {
        if self.link.state.with_untracked(|state| state.feed().is_in(&stretch.epoch)) {
            self.apply(input(stretch));
        }
    }
}

/// Reads a part of the room and makes it an input; says in the signal how that goes.
async fn read(
    session: Rc<Session>,
    (loading, part): (RwSignal<Loading>, String),
    input: impl FnOnce(Stretch) -> Input + 'static,
) {
    loading.set(Loading::Busy);
    let outcome = match part_of(&session.group(), PAGE, &part).await {
        Some(stretch) => {
            session.take(stretch, input);
            session.bound();
            Loading::Idle
        }
        None => Loading::Failed,
    };
    loading.set(outcome);
}

async fn part_of(group: &Group, limit: usize, part: &str) -> Option<Stretch> {
    let url = format!("/api/v1/rooms/{group}/messages?limit={limit}&{part}");
    answer(http::Request::get(&url)).await
}
