//! The list of rooms, live: joins the topic `lobby` and takes in what it says. Further rooms, and those with a name that is being typed, are
//! read over HTTP.

use std::{rc::Rc, sync::Arc};

use gloo_net::http;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;

use super::{
    answer,
    markup::merge_children,
    me, spawn,
    topic::{Subscriber, Topics},
    zone,
};
use crate::{
    app::{Gap, Loading, LobbyLink, Reducer, effect, rooms},
    wire::{CommandError, Joined, Person, Position, Push, RoomList, State, Topic},
};

/// How long somebody who types has stopped before rooms are asked for, in milliseconds.
const TYPED: u32 = 200;

/// Opens the link of the page.
pub(super) fn open(link: LobbyLink) {
    let Some(list) = link.list.get_untracked() else { return };
    // The server has rendered them by its own clock.
    let mut before = link.name.with_untracked(|name| link.state.with_untracked(|state| rooms(state, name, |_| 0)));
    effect(move || {
        let now = link.name.with(|name| link.state.with(|state| rooms(state, name, zone)));
        merge_children(&list, &before, &now);
        before = now;
    });
    if !link.first {
        return;
    }
    let topics = Topics::open(link.status);
    topics.subscribe(Topic::Lobby, Rc::new(List(link)));
    me::subscribe(&topics, link.called);
    link.read.set_value(Some(Arc::new(move || spawn(read_on(link)))));
    effect(move || {
        let name = link.name.get();
        spawn(async move {
            TimeoutFuture::new(TYPED).await;
            if link.name.get_untracked() == name {
                read_named(link).await;
            }
        });
    });
}

/// Reads the first rooms with the name that is typed, unless that was done.
async fn read_named(link: LobbyLink) {
    let name = link.name.get_untracked();
    if link.state.with_untracked(|state| state.next(&name) == Some("")) {
        read_on(link).await;
    }
}

/// Reads further rooms with the name that is typed.
async fn read_on(link: LobbyLink) {
    let name = link.name.get_untracked();
    let next = link.state.with_untracked(|state| state.next(&name).map(str::to_owned));
    let Some(next) = next else { return };
    link.loading.set(Loading::Busy);
    let list = read(&name, &next).await;
    link.loading.set(if list.is_some() { Loading::Idle } else { Loading::Failed });
    if let Some(list) = list {
        link.state.update(|state| state.read(&name, list));
    }
}

async fn read(name: &str, before: &str) -> Option<RoomList> {
    answer(http::Request::get("/api/v1/rooms").query([("name", name), ("before", before)])).await
}

struct List(LobbyLink);

impl Subscriber for List {
    fn welcomed(&self, _: &Person) -> bool {
        true
    }

    fn since(&self) -> Option<Position> {
        self.0.state.with_untracked(|state| state.feed().position().cloned())
    }

    fn joined(&self, at: Joined, state: State) {
        let link = self.0;
        let is_level = link.state.try_update(|list| {
            list.joined(at, state);
            list.is_level()
        });
        if is_level == Some(false) {
            spawn(async move {
                // Where it fails, the list has its newest rooms and those that it had.
                if let Some(list) = read("", "").await {
                    link.state.update(|state| state.begin_anew(list));
                    read_named(link).await;
                }
            });
        }
    }

    /// The list stays as it is.
    fn not_joined(&self, _: CommandError) {}

    fn pushed(&self, push: Push) -> Result<(), Gap> {
        self.0.state.try_update(|state| state.pushed(push)).unwrap_or(Ok(()))
    }
}
