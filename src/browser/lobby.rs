//! The list of rooms, live: joins the topic `lobby` and takes in what it says. Further rooms, and those with a name that is being typed, are
//! read over HTTP.

use std::{cell::Cell, rc::Rc, sync::Arc};

use gloo_net::http;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

use super::{
    answer,
    markup::merge_children,
    me, spawn,
    still::show_times,
    text,
    topic::{Subscriber, Topics},
    zone,
};
use crate::{
    app::{Gap, Loading, LobbyLink, Reducer, effect, rooms},
    wire::{CommandError, Joined, Person, Position, Push, RoomList, State, Topic},
};

/// How long somebody who types has stopped before rooms are asked for, in milliseconds.
const TYPED: u32 = 200;
/// How soon after it was heard that the reader's own rooms are others they are asked for, in milliseconds.
const SOON: u32 = 50;

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
    me::subscribe(&topics, link.called, own_rooms(), None);
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

/// Shows the rooms of the reader's own, if there are any on the page, as they are now.
fn own_rooms() -> Option<Rc<dyn Fn()>> {
    let section = document().query_selector(".own").ok().flatten()?;
    let asked = Rc::new(Cell::new(0_u32));
    Some(Rc::new(move || {
        let (section, asked) = (section.clone(), Rc::clone(&asked));
        let number = asked.get() + 1;
        asked.set(number);
        spawn(async move {
            // What comes in quick succession is asked for once.
            TimeoutFuture::new(SOON).await;
            if asked.get() != number {
                return;
            }
            let Some(html) = text(http::Request::get("/rooms/own")).await else { return };
            if asked.get() == number {
                let place = document().active_element().filter(|active| section.contains(Some(active)));
                let place = place.and_then(|link| link.get_attribute("href"));
                section.set_inner_html(&html);
                show_times(".own time");
                let link = place.and_then(|href| section.query_selector(&format!("[href=\"{href}\"]")).ok().flatten());
                if let Some(link) = link.and_then(|link| link.dyn_into::<web_sys::HtmlElement>().ok()) {
                    // An element that cannot take the keyboard leaves it where it is.
                    let _ = link.focus();
                }
            }
        });
    }))
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
