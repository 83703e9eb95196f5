//! The list of rooms, live: joins the topic `me` and takes in what it says.

use leptos::prelude::*;

use super::connection::{self, Client, Line};
use crate::{
    app::{LobbyLink, LobbyState, Status},
    wire::{Answer, Command, Event, Join, Outcome, Person, Push, Reply, ServerFrame, Topic},
};

/// Opens the link of the page.
pub(super) fn open(link: LobbyLink) {
    // The page needs nothing of its connection but what it hears.
    let _ = connection::start("/ws/", List(link));
}

struct List(LobbyLink);

impl Client for List {
    fn opened(&self, _you: Person, line: &Line) {
        line.say(Command::Join(Join { topic: Topic::Me, since: None }));
    }

    fn received(&self, frame: ServerFrame, _line: &Line) {
        match frame {
            ServerFrame::Push(Push { topic: Topic::Me, event: Event::Room(room), .. }) => {
                self.0.state.update(|state| state.apply(room));
            }
            ServerFrame::Reply(Reply { outcome: Outcome::Ok(Answer::Joined { state, .. }), .. }) => {
                if let Some(rooms) = state.rooms {
                    self.0.state.set(LobbyState::new(rooms));
                }
            }
            _ => {}
        }
    }

    fn status(&self, status: Status) {
        self.0.status.set(status);
    }
}
