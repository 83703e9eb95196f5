//! A room, live: turns intents into commands and what the server says into inputs of the state.
//!
//! Messages are said one after the other, each when the one before is answered, so that they arrive in the order in which they
//! were written. One that is not answered is said again, with its key, on the next connection; the server takes it for the same
//! message. So a socket that drops in the middle of sending neither loses it nor doubles it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use gloo_net::http;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use send_wrapper::SendWrapper;
use wasm_bindgen_futures::spawn_local;

use super::{
    connection::{self, Client, Line},
    scroll::Scroll,
};
use crate::{
    app::{End, Input, Intent, Loading, RoomLink, RoomState, Row, RowKey, Status},
    wire::{
        Answer, Code, Command, Content, Event, Group, Join, Key, Offset, Outcome, Person, Push, Reply, Send, ServerFrame,
        Stretch, TYPING_SHOWN_MS, Timestamp, Topic, Typing, Typist,
    },
};

/// The page shows so many rows at most; with more it forgets those that are far from the reader, who can read them again,
const MOST: usize = 400;
/// and keeps so many.
const KEPT: usize = 300;
/// How many messages are read at a time.
const PAGE: usize = 50;
/// How often the others are told that we are writing, in milliseconds: a little less often than the server takes it, lest a hurried
/// packet makes it leave one out.
const TYPING: f64 = 3_250.0;
/// How soon a message is sent again that the server could not take, in milliseconds, where it does not say.
const AGAIN: u64 = 1_000;

/// Opens the link of the page.
pub(super) fn open(link: RoomLink) {
    let group = link.about.with_value(|about| about.group.clone());
    let topic = Topic::Room(group.clone());
    let room = Rc::new(Session {
        link,
        topic,
        ready: Cell::new(false),
        joining: Cell::new(false),
        asked: RefCell::default(),
        scroll: Scroll::start(link),
        place: RefCell::default(),
        announcer: Announcer::new(link.announcement),
        unsent: Unsent::of(&group),
        typed: Cell::default(),
    });
    for (key, text) in room.unsent.restore() {
        room.compose(key, text);
    }
    let line = connection::start(&format!("/room/{group}/"), Rc::clone(&room));
    let draft = Draft::of(&group);
    draft.restore(link);
    let hear = SendWrapper::new(move |intent| match intent {
        Intent::Send(text) => {
            to_latest(&room);
            room.compose(fresh_key(), text);
            room.say_next(&line);
        }
        Intent::Retry(key) => {
            to_latest(&room);
            room.apply(Input::Retried(key));
            room.say_next(&line);
            focus(link.composer.get_untracked().as_deref());
        }
        Intent::Discard(key) => {
            room.apply(Input::Discarded(key));
            focus(link.composer.get_untracked().as_deref());
        }
        Intent::Older(before) if room.link.loading.get_untracked() != Loading::Busy => {
            let part = (room.link.loading, format!("before={before}"));
            spawn_local(read(Rc::clone(&room), part, move |stretch| Input::Older(before, stretch)));
        }
        Intent::Newer(after) if room.link.returning.get_untracked() != Loading::Busy => {
            let part = (room.link.returning, format!("after={after}"));
            spawn_local(read(Rc::clone(&room), part, move |stretch| Input::Newer(after, stretch)));
        }
        // They are on their way.
        Intent::Older(_) | Intent::Newer(_) => {}
        Intent::JumpToLatest => {
            to_latest(&room);
            focus(link.log.get_untracked().as_deref());
        }
        Intent::Close => line.close(),
        Intent::Reconnect => line.open(),
        Intent::Draft(text) => {
            draft.keep(&text);
            if !text.trim().is_empty() {
                room.is_typing(&line);
            }
        }
    });
    link.ask.set_value(Some(Arc::new(move |intent| (*hear)(intent))));
    // Where there are keys, somebody who comes to write can begin; a touch keyboard would cover half of what is to be read.
    if !super::touch() && document().active_element().is_none_or(|element| element.tag_name() == "BODY") {
        focus(link.composer.get_untracked().as_deref());
    }
}

/// Gives the keyboard to an element whose neighbour has just gone.
fn focus(element: Option<&web_sys::HtmlElement>) {
    if let Some(element) = element {
        // An element that cannot take it leaves it where it is.
        let _ = element.focus();
    }
}

/// The page's side of the connection.
struct Session {
    link: RoomLink,
    topic: Topic,
    /// The connection is there and the room joined; messages may be said.
    ready: Cell<bool>,
    /// A join is under way; another one would bring nothing else.
    joining: Cell<bool>,
    /// The message that was said and is not answered, and the number of the command.
    asked: RefCell<Option<(u64, RowKey)>>,
    scroll: Scroll,
    /// The first row in sight; none for a reader who follows the end.
    place: RefCell<Option<RowKey>>,
    announcer: Announcer,
    unsent: Unsent,
    /// When the others were last told that we are writing, in milliseconds, and the number of the command.
    typed: Cell<Option<(f64, u64)>>,
}

/// Says in the tab's storage that the page was made anew for another person.
const RELOADED: &str = "confab:reloaded";

impl Session {
    fn apply(&self, input: Input) {
        self.try_apply(input);
    }

    /// Changes the state; false when an event is missing before this one.
    fn try_apply(&self, input: Input) -> bool {
        self.scroll.remember();
        // The list shows a change a moment after the state has it; until then the row that was in sight before is still it.
        if self.scroll.follows() {
            self.place.replace(None);
        } else if self.scroll.shown() == self.count() {
            let row = |at: usize| self.link.state.with_untracked(|state| state.rows().get(at).map(|row| row.key.clone()));
            self.place.replace(self.scroll.place().and_then(row));
        }
        let applied = self.link.state.try_update(|state| state.apply(input)).is_none_or(|applied| applied.is_ok());
        self.unsent.keep(self.link);
        applied
    }

    fn compose(&self, key: Key, text: String) {
        let from = self.link.about.with_value(|about| about.you.clone());
        self.apply(Input::Composed { key, from, text, at: now() });
    }

    fn count(&self) -> usize {
        self.link.state.with_untracked(|state| state.rows().len())
    }

    fn join(&self, line: &Line) {
        if self.joining.replace(true) {
            return;
        }
        let since = self.link.state.with_untracked(|state| state.position().clone());
        line.say(Command::Join(Join { topic: self.topic.clone(), since: Some(since) }));
    }

    /// Lets the others know that we are writing.
    fn is_typing(&self, line: &Line) {
        let time = js_sys::Date::now();
        let quiet = self.typed.get().is_none_or(|(last, _)| (time - last).abs() >= TYPING);
        if quiet && self.ready.get() {
            let id = line.say(Command::Typing(Typing { topic: self.topic.clone() }));
            self.typed.set(Some((time, id)));
        }
    }

    /// Shows for a while that somebody is writing.
    fn typist(self: &Rc<Self>, Typist { from }: Typist) {
        if self.is_mine(&from.id) {
            return;
        }
        self.apply(Input::Typing { from, at: now() });
        let session = Rc::clone(self);
        spawn_local(async move {
            // A little more than that: a timer may be early by the clock.
            TimeoutFuture::new(TYPING_SHOWN_MS + 250).await;
            session.apply(Input::Elapsed(now()));
        });
    }

    /// Says the first message that waits, unless one is under way.
    fn say_next(&self, line: &Line) {
        if !self.ready.get() || self.asked.borrow().is_some() {
            return;
        }
        let next = self.link.state.with_untracked(|state| state.pending().next().cloned());
        if let Some(Row { key, content: Content { text, .. }, .. }) = next
            // The key was made by `fresh_key`.
            && let Ok(name) = key.key().parse()
        {
            let id = line.say(Command::Send(Send { topic: self.topic.clone(), key: name, text }));
            self.asked.replace(Some((id, key)));
        }
    }

    fn answered(self: &Rc<Self>, reply: Reply, line: &Line) {
        // Whether the others were told does not matter to what we say.
        if self.typed.get().is_some_and(|(_, id)| reply.id == Some(id)) {
            return;
        }
        let about = self.asked.borrow_mut().take_if(|(id, _)| reply.id == Some(*id)).map(|(_, key)| key);
        match (reply.outcome, about) {
            (Outcome::Ok(Answer::Joined { at, state }), _) => {
                self.joining.set(false);
                let in_the_past = self.link.state.with_untracked(|state| state.is_past());
                let fresh = !state.recovered;
                let missed = if state.recovered { state.events.iter().filter(|push| self.is_news(push)).count() } else { 0 };
                self.apply(Input::Joined(at, state));
                if fresh && !in_the_past {
                    // The rows are others.
                    self.scroll.to_end();
                }
                self.bound();
                if missed > 0 {
                    self.scroll.came(missed);
                    self.announcer.came(missed, None);
                }
                self.ready.set(true);
            }
            (Outcome::Ok(Answer::Sent { offset }), Some(key)) => {
                self.apply(Input::Accepted { key, offset });
                // Where the reader is in the past it has no place; who says something wants to see it.
                if self.link.state.with_untracked(|state| state.is_past()) {
                    to_latest(self);
                }
            }
            // These pass: the same is asked for until it goes through.
            (Outcome::Error(error), about) if matches!(error.code, Code::RateLimited | Code::Unavailable) => {
                self.ready.set(false);
                if about.is_none() {
                    self.joining.set(false);
                }
                let wait = u32::try_from(error.retry_after_ms.unwrap_or(AGAIN)).unwrap_or(u32::MAX);
                let (session, line) = (Rc::clone(self), line.clone());
                spawn_local(async move {
                    TimeoutFuture::new(wait).await;
                    if about.is_none() {
                        session.join(&line);
                    } else {
                        session.ready.set(true);
                        session.say_next(&line);
                    }
                });
            }
            (Outcome::Error(error), Some(key)) => self.apply(Input::Refused { key, reason: error.message }),
            _ => {}
        }
        self.say_next(line);
    }

    fn pushed(&self, push: Push, line: &Line) {
        let heard = match &push.event {
            Event::Message(message) if !self.is_mine(&message.from.id) => {
                Some(format!("{}: {}", message.from.name, message.content.text.chars().take(200).collect::<String>()))
            }
            _ => None,
        };
        let news = self.is_news(&push);
        if !self.try_apply(Input::Pushed(push)) {
            self.join(line);
            return;
        }
        if news && heard.is_some() {
            self.scroll.came(1);
            self.announcer.came(1, heard);
        }
        self.bound();
    }

    /// Somebody else has said something that the page does not know.
    fn is_news(&self, push: &Push) -> bool {
        let Event::Message(message) = &push.event else { return false };
        let known = |offset: Offset| self.link.state.with_untracked(|state| offset <= state.position().offset);
        !self.is_mine(&message.from.id) && !push.offset.is_some_and(known)
    }

    /// Keeps the list from growing without end: what is far from the reader goes.
    fn bound(&self) {
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

    /// The server says who we are. Where that is somebody else than the page was made for (another tab came first with its
    /// cookie, or the cookies were cleared), the page is made anew, once; what is not sent yet comes along.
    fn are(&self, you: Person) {
        let known = self.link.about.with_value(|about| about.you.clone());
        if known.id != you.id
            && let Some(storage) = session_storage()
            && storage.get_item(RELOADED).ok().flatten().is_none()
            && storage.set_item(RELOADED, "1").is_ok()
        {
            // Where it fails, the page goes on as it is.
            let _ = window().location().reload();
        }
        self.link.about.update_value(|about| about.you = you);
    }

    fn is_mine(&self, id: &str) -> bool {
        self.link.about.with_value(|about| about.you.id == id)
    }
}

impl Client for Rc<Session> {
    fn opened(&self, you: Person, line: &Line) {
        self.are(you);
        self.ready.set(false);
        self.joining.set(false);
        self.asked.replace(None);
        self.join(line);
    }

    fn received(&self, frame: ServerFrame, line: &Line) {
        match frame {
            ServerFrame::Push(Push { topic, event: Event::Typing(typist), .. }) if topic == self.topic => self.typist(typist),
            ServerFrame::Push(push) if push.topic == self.topic => self.pushed(push, line),
            ServerFrame::Reply(reply) => self.answered(reply, line),
            ServerFrame::Push(_) | ServerFrame::Welcome { .. } => {}
        }
    }

    fn status(&self, status: Status) {
        self.link.status.set(status);
    }
}

/// By this browser's clock.
fn now() -> Timestamp {
    Timestamp::from_millis(js_sys::Date::now() as i64)
}

/// Goes to the end of the room: to that of the list, or out of the past.
fn to_latest(room: &Rc<Session>) {
    if room.link.state.with_untracked(|state| state.is_past()) {
        let room = Rc::clone(room);
        spawn_local(async move {
            let returning = room.link.returning;
            read(Rc::clone(&room), (returning, String::new()), Input::Latest).await;
            // Something may have been said while they were on their way, our own message for one.
            let newer = || room.link.state.with_untracked(RoomState::newer_than);
            let mut before = None;
            // It ends too where reading brings nothing: the connection will say why.
            while let Some(after) = newer().filter(|after| returning.get_untracked() == Loading::Idle && before != Some(*after))
            {
                before = Some(after);
                let part = (returning, format!("after={after}"));
                read(Rc::clone(&room), part, move |stretch| Input::Newer(after, stretch)).await;
            }
            room.scroll.to_end();
        });
    } else {
        room.scroll.to_end();
    }
}

/// Reads a part of the room and makes it an input; says in the signal how that goes.
async fn read(room: Rc<Session>, (loading, part): (RwSignal<Loading>, String), input: impl FnOnce(Stretch) -> Input + 'static) {
    loading.set(Loading::Busy);
    let group = room.link.about.with_value(|about| about.group.clone());
    let outcome = match part_of(&group, &part).await {
        Ok(stretch) => {
            // The room may have been begun anew meanwhile, which the connection has said or will say.
            if room.link.state.with_untracked(|state| state.position().epoch == stretch.epoch) {
                room.apply(input(stretch));
                room.bound();
            }
            Loading::Idle
        }
        Err(_) => Loading::Failed,
    };
    loading.set(outcome);
}

async fn part_of(group: &Group, part: &str) -> Result<Stretch, gloo_net::Error> {
    let url = format!("/api/v1/rooms/{group}/messages?limit={PAGE}&{part}");
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

/// Tells a screen reader what came: the message, or only how many when they come faster than they can be read out. What was
/// told is taken away again, so that it is not found twice by somebody who reads through the page.
#[derive(Clone)]
struct Announcer {
    text: RwSignal<String>,
    speaking: Rc<Cell<bool>>,
    untold: Rc<Cell<usize>>,
}

/// How long an announcement stands, in milliseconds.
const SPEAKING: u32 = 2_000;

impl Announcer {
    fn new(text: RwSignal<String>) -> Self {
        Self { text, speaking: Rc::default(), untold: Rc::default() }
    }

    /// So many messages came; the text is for one alone.
    fn came(&self, count: usize, text: Option<String>) {
        self.untold.set(self.untold.get() + count);
        if self.speaking.replace(true) {
            return;
        }
        let (this, mut text) = (self.clone(), text);
        spawn_local(async move {
            loop {
                let untold = this.untold.replace(0);
                if untold == 0 {
                    break;
                }
                this.text.set(text.take().unwrap_or_else(|| {
                    let messages = if untold == 1 { "message" } else { "messages" };
                    format!("{untold} new {messages}")
                }));
                TimeoutFuture::new(SPEAKING).await;
            }
            this.text.set(String::new());
            this.speaking.set(false);
        });
    }
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

/// What was said and is not accepted, kept by the tab over reloads: its key makes it the same message when it is said again.
struct Unsent {
    place: String,
    kept: Cell<bool>,
}

impl Unsent {
    fn of(group: &Group) -> Self {
        Self { place: format!("confab:unsent:{group}"), kept: Cell::new(true) }
    }

    fn keep(&self, link: RoomLink) {
        let unsent: Vec<(String, String)> = link
            .state
            .with_untracked(|state| state.unsent().map(|row| (row.key.key().to_owned(), row.content.text.clone())).collect());
        // Mostly there was nothing and there is nothing.
        if !self.kept.replace(!unsent.is_empty()) && unsent.is_empty() {
            return;
        }
        if let (Some(storage), Ok(text)) = (session_storage(), serde_json::to_string(&unsent)) {
            // A full or forbidden storage costs the copy, not the message.
            let _ = if unsent.is_empty() { storage.remove_item(&self.place) } else { storage.set_item(&self.place, &text) };
        }
    }

    fn restore(&self) -> Vec<(Key, String)> {
        let kept = session_storage().and_then(|storage| storage.get_item(&self.place).ok().flatten());
        kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }
}

fn session_storage() -> Option<web_sys::Storage> {
    window().session_storage().ok().flatten()
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
