//! The list of rooms, live: joins the topic `lobby` and takes in what it says. Further rooms, and those with a name that is being typed, are
//! read over HTTP.

use std::{rc::Rc, sync::Arc};

use gloo_net::http;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;

use super::{
    answer,
    connection::{self, Client, Line},
    spawn,
};
use crate::{
    app::{Loading, LobbyLink, LobbyState, Status},
    wire::{Answer, Command, Event, Join, Outcome, Person, Push, Reply, RoomList, ServerFrame, Topic},
};

/// How long somebody who types has stopped before rooms are asked for, in milliseconds.
const TYPED: u32 = 200;

/// Opens the link of the page.
pub(super) fn open(link: LobbyLink) {
    // The page needs nothing of its connection but what it hears.
    let _ = connection::start("/ws/", Rc::new(List(link)));
    link.read.set_value(Some(Arc::new(move || spawn(read_on(link)))));
    Effect::new(move || {
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

impl Client for List {
    fn opened(&self, you: Person, line: &Line) {
        self.0.called.set(you.name);
        line.say(Command::Join(Join { topic: Topic::Lobby, since: None }));
    }

    fn received(&self, frame: ServerFrame, _line: &Line) {
        let link = self.0;
        let state = link.state;
        match frame {
            ServerFrame::Push(Push { topic: Topic::Lobby, event: Event::Room(room), .. }) => {
                state.update(|state| state.apply(room));
            }
            ServerFrame::Reply(Reply { outcome: Outcome::Ok(Answer::Joined { state: joined, .. }), .. }) => {
                let Some(rooms) = joined.rooms else { return };
                if !state.try_update(|state| state.joined(rooms)).unwrap_or(true) {
                    spawn(async move {
                        // Where it fails, the list has its newest rooms and those that it had.
                        if let Some(list) = read("", "").await {
                            state.set(LobbyState::new(list));
                            read_named(link).await;
                        }
                    });
                }
            }
            _ => {}
        }
    }

    fn status(&self, status: Status) {
        self.0.status.set(status);
    }
}
