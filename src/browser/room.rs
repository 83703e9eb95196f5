//! A room, live: turns intents into commands and what the server says into inputs of the state.
//!
//! A message is said again, with its key, whenever a connection is opened and it is not yet answered; the server takes it
//! for the same message. So a socket that drops in the middle of sending neither loses it nor doubles it.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use gloo_net::http;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use send_wrapper::SendWrapper;
use serde::Deserialize;
use wasm_bindgen_futures::spawn_local;

use super::{
    connection::{self, Client, Line},
    scroll::Scroll,
};
use crate::{
    app::{Input, Intent, Loading, RoomLink, Row, RowKey, Status},
    wire::{
        Answer, Code, Command, Epoch, Event, Group, Join, Key, Offset, Outcome, Push, Reply, Send, ServerFrame, Stored, Topic,
    },
};

/// How many rows a reader keeps who follows the end; more are forgotten from the top and can be read again.
const KEPT: usize = 200;
/// When it comes to that.
const TOO_MANY: usize = 400;
/// How many earlier messages are read at a time.
const PAGE: usize = 50;
/// How soon a message is sent again that the server could not take, in milliseconds, where it does not say.
const AGAIN: u64 = 1_000;

/// Opens the link of the page.
pub(super) fn open(link: RoomLink) {
    let (group, you) = link.about.with_value(|about| (about.group.clone(), about.you.clone()));
    let topic = Topic::Room(group.clone());
    let room = Rc::new(Session { link, topic, asked: RefCell::default(), scroll: Scroll::start(link) });
    let line = connection::start(&format!("/room/{group}/"), Rc::clone(&room));
    let draft = Draft::of(&group);
    draft.restore(link);
    let hear = SendWrapper::new(move |intent| match intent {
        Intent::Send(text) => {
            let key = fresh_key();
            room.scroll.to_end();
            room.apply(Input::Composed { key: key.clone(), from: you.clone(), text: text.clone() });
            room.say(&line, RowKey { author: you.id.clone(), key: key.to_string() }, text);
        }
        Intent::Retry(key) => {
            room.apply(Input::Retried(key.clone()));
            let text = link.state.with_untracked(|state| state.row(&key).map(|row| row.text.clone()));
            if let Some(text) = text {
                room.say(&line, key, text);
            }
        }
        Intent::Discard(key) => room.apply(Input::Discarded(key)),
        Intent::Older(before) => older(Rc::clone(&room), before),
        Intent::JumpToLatest => room.scroll.to_end(),
        Intent::Close => line.close(),
        Intent::Reconnect => line.open(),
        Intent::Draft(text) => draft.keep(&text),
    });
    link.ask.set_value(Some(Arc::new(move |intent| hear(intent))));
}

/// The page's side of the connection.
struct Session {
    link: RoomLink,
    topic: Topic,
    /// What the commands were about that have not been answered.
    asked: RefCell<HashMap<u64, RowKey>>,
    scroll: Scroll,
}

impl Session {
    fn apply(&self, input: Input) {
        self.try_apply(input);
    }

    /// Changes the state; false when an event is missing before this one.
    fn try_apply(&self, input: Input) -> bool {
        self.scroll.remember();
        self.link.state.try_update(|state| state.apply(input)).is_none_or(|applied| applied.is_ok())
    }

    fn count(&self) -> usize {
        self.link.state.with_untracked(|state| state.rows().len())
    }

    fn say(&self, line: &Line, key: RowKey, text: String) {
        // The key was made by `fresh_key` or read from the wire.
        let Ok(name) = key.key.parse() else { return };
        let id = line.say(Command::Send(Send { topic: self.topic.clone(), key: name, text }));
        self.asked.borrow_mut().insert(id, key);
    }

    fn join(&self, line: &Line) {
        let since = self.link.state.with_untracked(|state| state.position().clone());
        line.say(Command::Join(Join { topic: self.topic.clone(), since: Some(since) }));
    }

    /// Says what nobody has been asked about on this connection.
    fn say_pending(&self, line: &Line) {
        let asked: HashSet<RowKey> = self.asked.borrow().values().cloned().collect();
        let pending: Vec<Row> = self.link.state.with_untracked(|state| state.pending().cloned().collect());
        for row in pending.into_iter().filter(|row| !asked.contains(&row.key)) {
            self.say(line, row.key, row.text);
        }
    }

    fn answered(self: &Rc<Self>, reply: Reply, line: &Line) {
        let about = reply.id.and_then(|id| self.asked.borrow_mut().remove(&id));
        match (reply.outcome, about) {
            (Outcome::Ok(Answer::Joined { at, state }), _) => {
                let (before, recovered) = (self.count(), state.recovered);
                self.apply(Input::Joined(at, state));
                let missed = self.count().saturating_sub(before);
                if recovered && missed > 0 {
                    self.scroll.came(missed);
                    let messages = if missed == 1 { "message" } else { "messages" };
                    self.link.announcement.set(format!("{missed} new {messages}"));
                }
                self.say_pending(line);
            }
            (Outcome::Ok(Answer::Sent { offset }), Some(key)) => self.apply(Input::Accepted { key, offset }),
            // These pass: the same is asked for until it goes through.
            (Outcome::Error(error), about) if matches!(error.code, Code::RateLimited | Code::Unavailable) => {
                let wait = u32::try_from(error.retry_after_ms.unwrap_or(AGAIN)).unwrap_or(u32::MAX);
                let (session, line) = (Rc::clone(self), line.clone());
                spawn_local(async move {
                    TimeoutFuture::new(wait).await;
                    if about.is_some() { session.say_pending(&line) } else { session.join(&line) }
                });
            }
            (Outcome::Error(error), Some(key)) => self.apply(Input::Refused { key, reason: error.message }),
            _ => {}
        }
    }

    fn pushed(&self, push: Push, line: &Line) {
        let heard = match &push.event {
            Event::Message(message) if !self.is_mine(&message.from.id) => {
                format!("{}: {}", message.from.name, message.text.chars().take(200).collect::<String>())
            }
            _ => String::new(),
        };
        let before = self.count();
        if !self.try_apply(Input::Pushed(push)) {
            self.join(line);
            return;
        }
        let rows = self.count();
        if rows > before && !heard.is_empty() {
            self.scroll.came(1);
            self.link.announcement.set(heard);
        }
        if rows > TOO_MANY && self.scroll.follows() {
            self.apply(Input::Trimmed(KEPT));
        }
    }

    fn is_mine(&self, id: &str) -> bool {
        self.link.about.with_value(|about| about.you.id == id)
    }
}

impl Client for Rc<Session> {
    fn opened(&self, line: &Line) {
        self.asked.borrow_mut().clear();
        self.join(line);
    }

    fn received(&self, frame: ServerFrame, line: &Line) {
        match frame {
            ServerFrame::Push(push) if push.topic == self.topic => self.pushed(push, line),
            ServerFrame::Reply(reply) => self.answered(reply, line),
            ServerFrame::Push(_) | ServerFrame::Welcome { .. } => {}
        }
    }

    fn status(&self, status: Status) {
        self.link.status.set(status);
    }
}

/// Reads what was said before the first row.
fn older(room: Rc<Session>, before: Offset) {
    if room.link.loading.get_untracked() == Loading::Busy {
        return;
    }
    room.link.loading.set(Loading::Busy);
    spawn_local(async move {
        let (group, epoch) = (
            room.link.about.with_value(|about| about.group.clone()),
            room.link.state.with_untracked(|state| state.position().epoch.clone()),
        );
        let loading = match earlier(&group, before).await {
            Ok(answer) => {
                // The room was begun anew meanwhile; the connection will say so.
                if answer.epoch == epoch {
                    room.apply(Input::Older(before, answer.messages));
                }
                Loading::Idle
            }
            Err(_) => Loading::Failed,
        };
        room.link.loading.set(loading);
    });
}

/// The HTTP API's answer.
#[derive(Deserialize)]
struct Earlier {
    epoch: Epoch,
    messages: Vec<Stored>,
}

async fn earlier(group: &Group, before: Offset) -> Result<Earlier, gloo_net::Error> {
    let url = format!("/api/v1/rooms/{group}/messages?before={before}&limit={PAGE}");
    http::Request::get(&url).send().await?.json().await
}

/// A random UUID (RFC 9562 version 4). `crypto.randomUUID` would be it, but it is missing on pages without TLS.
fn fresh_key() -> Key {
    let mut bytes = [0_u8; 16];
    if window().crypto().and_then(|crypto| crypto.get_random_values_with_u8_array(&mut bytes)).is_err() {
        bytes.fill_with(|| (js_sys::Math::random() * 256.0) as u8);
    }
    let number = u128::from_be_bytes(bytes) & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-").parse().expect("hexadecimal digits and dashes") // never: 36 of them
}

/// What is written and not yet sent, kept by the browser over reloads.
struct Draft(String);

impl Draft {
    fn of(group: &Group) -> Self {
        Self(format!("confab:draft:{group}"))
    }

    fn keep(&self, text: &str) {
        if let Some(storage) = storage() {
            // A full or forbidden storage costs the draft, not the message.
            let _ = if text.is_empty() { storage.remove_item(&self.0) } else { storage.set_item(&self.0, text) };
        }
    }

    /// Shows the draft, unless something has been written already.
    fn restore(&self, link: RoomLink) {
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
