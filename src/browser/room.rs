//! A room, live: turns intents into commands and what the server says into inputs of the state.
//!
//! What we say and do is asked for one thing after the other, each when the one before is answered, so that it arrives in the order
//! in which it was done (`outbox`). What is not answered is asked for again on the next connection; the server takes it for the same.
//! So a socket that drops in the middle neither loses nor doubles anything.
//!
//! `past` reads what was said before over HTTP.

mod announcer;
mod draft;
mod outbox;
mod past;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, closure::Closure};

use self::{
    announcer::Announcer,
    draft::Draft,
    outbox::{Kept, Outbox, Task, fresh_key},
};
use super::{
    connection::{self, Client, Line},
    scroll::Scroll,
    spawn,
};
use crate::{
    app::{Editing, Input, Intent, RoomLink, RowKey, Status, What, Wish},
    wire::{
        Answer, Code, Command, CommandError, Event, Group, Join, Joined, Key, Message, Offset, Outcome, Person, Push, Reply,
        ServerFrame, State, TYPING_SHOWN_MS, Timestamp, Topic, Typing, Typist, beginning, is_blank,
    },
};

/// How often the others are told that we are writing, in milliseconds: a little less often than the server takes it, lest a hurried
/// packet makes it leave one out.
const TYPING: f64 = 3_250.0;
/// How soon the same is asked for again that the server could not do, in milliseconds, where it does not say.
const AGAIN: u64 = 1_000;

/// Opens the link of the page.
pub(super) fn open(link: RoomLink) {
    let group = link.about.with_value(|about| about.group.clone());
    let topic = Topic::Room(group.clone());
    let room = Rc::new(Session {
        link,
        topic,
        inbox: RefCell::default(),
        painting: Cell::default(),
        ready: Cell::new(false),
        joining: Cell::new(None),
        outbox: Outbox::of(link, &group),
        wishes: Cell::default(),
        scroll: Scroll::start(link),
        place: RefCell::default(),
        announcer: Announcer::new(link.announcement),
        typed: Cell::default(),
    });
    room.bring_back(room.outbox.restore());
    let session = Rc::clone(&room);
    Effect::new(move || {
        link.edits.track();
        session.outbox.keep();
    });
    let line = connection::start(&format!("/room/{group}/"), Rc::new(Rc::clone(&room)));
    let draft = Draft::open(&group, link);
    let scroll = room.scroll.clone();
    let hear = SendWrapper::new(move |intent| match intent {
        Intent::Send(text) => {
            room.to_latest();
            room.compose(fresh_key(), text);
            room.ask_next(&line);
        }
        Intent::Retry(key) => {
            room.to_latest();
            room.outbox.add(Task::Say(key.clone()));
            room.apply(Input::Retried(key));
            room.ask_next(&line);
            focus(link.composer.get_untracked().as_deref());
        }
        Intent::Discard(key) => {
            room.apply(Input::Discarded(key));
            focus(link.composer.get_untracked().as_deref());
        }
        Intent::Change(wish) => {
            room.wish(wish);
            room.ask_next(&line);
        }
        Intent::Older(before) => room.read_older(before),
        Intent::Newer(after) => room.read_newer(after),
        Intent::JumpToLatest => {
            room.to_latest();
            focus(link.log.get_untracked().as_deref());
        }
        Intent::Close => line.close(),
        Intent::Reconnect => line.open(),
        Intent::Draft(text) => {
            draft.keep(&text);
            if !is_blank(&text) {
                room.is_typing(&line);
            }
        }
    });
    link.ask.set_value(Some(Arc::new(move |intent| (*hear)(intent))));
    write_from_anywhere(link);
    go_to_places(scroll, &group);
    // Where there are keys, somebody who comes to write can begin; a touch keyboard would cover half of what is to be read.
    if !super::touch() && document().active_element().is_none_or(|element| element.tag_name() == "BODY") {
        focus(link.composer.get_untracked().as_deref());
    }
}

/// Goes to the message that the address names, now and whenever it names another one. Where that is not among those that are shown, the
/// page is the one of the messages around it.
fn go_to_places(scroll: Scroll, group: &Group) {
    let room = format!("/room/{group}/");
    let go = move || {
        let location = window().location();
        let hash = location.hash().unwrap_or_default();
        let Some(place) = hash.strip_prefix("#message-").and_then(|place| place.parse::<u64>().ok()) else { return };
        let around = format!("?around={place}");
        if let Some(row) = document().get_element_by_id(&format!("message-{place}")) {
            row.scroll_into_view();
            scroll.remember();
        } else if location.search().is_ok_and(|search| search != around) {
            // Where it fails, the page is as good as without it.
            let _ = location.replace(&format!("{room}{around}{hash}"));
        }
    };
    go();
    let listener = Closure::<dyn Fn()>::new(go);
    if window().add_event_listener_with_callback("hashchange", listener.as_ref().unchecked_ref()).is_ok() {
        // It listens as long as the page lives.
        listener.forget();
    }
}

/// Has a letter that is typed where nothing is written come into the composer.
fn write_from_anywhere(link: RoomLink) {
    let pressed = Closure::<dyn Fn(web_sys::KeyboardEvent)>::new(move |event: web_sys::KeyboardEvent| {
        if is_letter(&event) && !event.default_prevented() && !is_in_use(&event) {
            // What the key does, it does where the keyboard is by then.
            focus(link.composer.get_untracked().as_deref());
        }
    });
    let _ = document().add_event_listener_with_callback("keydown", pressed.as_ref().unchecked_ref());
    // It lives as long as the page does.
    pressed.forget();
}

/// A key that writes a sign, and does nothing else: a space presses buttons and scrolls.
fn is_letter(event: &web_sys::KeyboardEvent) -> bool {
    let key = event.key();
    let is_one = key.chars().count() == 1 && key != " ";
    is_one && !(event.ctrl_key() || event.alt_key() || event.meta_key() || event.is_composing())
}

/// Letters have a meaning where the keyboard is.
fn is_in_use(event: &web_sys::KeyboardEvent) -> bool {
    const FIELDS: &str = "input, textarea, select, [contenteditable], dialog, [popover]";
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|target| target.closest(FIELDS).ok().flatten().is_some())
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
    /// What has come and is not shown yet.
    inbox: RefCell<Vec<Push>>,
    /// What was shown last is not painted yet.
    painting: Cell<bool>,
    /// The connection is there and the room joined; something may be said and done.
    ready: Cell<bool>,
    /// The number of the join that is under way; another one would bring nothing else.
    joining: Cell<Option<u64>>,
    outbox: Outbox,
    /// How many wishes there were, which numbers them.
    wishes: Cell<u64>,
    scroll: Scroll,
    /// The first row in sight; none for a reader who follows the end.
    place: RefCell<Option<RowKey>>,
    announcer: Announcer,
    /// When the others were last told that we are writing, in milliseconds, and the number of the command.
    typed: Cell<Option<(f64, u64)>>,
}

/// Says in the tab's storage that the page was made anew for another person.
const RELOADED: &str = "confab:reloaded";

impl Session {
    fn apply(&self, input: Input) {
        self.apply_all([input]);
    }

    /// Changes the state, all at once; false when an event is missing.
    fn apply_all(&self, inputs: impl IntoIterator<Item = Input>) -> bool {
        self.scroll.remember();
        // The list shows a change a moment after the state has it; until then the row that was in sight before is still it.
        if self.scroll.follows() {
            self.place.replace(None);
        } else if self.scroll.shown() == self.count() {
            let row = |at: usize| self.link.state.with_untracked(|state| state.rows().get(at).map(|row| row.key.clone()));
            self.place.replace(self.scroll.place().and_then(row));
        }
        let applied = self.link.apply(inputs).is_ok();
        self.outbox.keep();
        applied
    }

    fn you(&self) -> Person {
        self.link.about.with_value(|about| about.you.clone())
    }

    fn compose(&self, key: Key, text: String) {
        let from = self.you();
        self.outbox.add(Task::Say(RowKey::new(&from.id, key.as_str())));
        self.apply(Input::Composed { key, from, text, at: now() });
    }

    fn wish(&self, wish: Wish) {
        let number = self.wishes.replace(self.wishes.get() + 1);
        self.outbox.add(Task::Change(number, wish.clone()));
        self.apply(Input::Wished { number, wish, from: self.you(), at: now() });
    }

    fn count(&self) -> usize {
        self.link.state.with_untracked(|state| state.rows().len())
    }

    fn join(&self, line: &Line) {
        if self.joining.get().is_some() {
            return;
        }
        let since = self.link.state.with_untracked(|state| state.position().clone());
        let id = line.say(Command::Join(Join { topic: self.topic.clone(), since: Some(since) }));
        self.joining.set(Some(id));
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
        spawn(async move {
            // A little more than that: a timer may be early by the clock.
            TimeoutFuture::new(TYPING_SHOWN_MS + 250).await;
            session.apply(Input::Elapsed(now()));
        });
    }

    /// Asks for the first thing that waits, unless one is under way.
    fn ask_next(&self, line: &Line) {
        if self.ready.get() {
            self.outbox.ask(|command| line.say(command));
        }
    }

    fn answered(self: &Rc<Self>, Reply { id, outcome }: Reply, line: &Line) {
        let is = |number: Option<u64>| number.is_some() && number == id;
        // Whether the others were told does not matter to what we say.
        if is(self.typed.get().map(|(_, id)| id)) {
            return;
        }
        if is(self.joining.get()) {
            self.joining.set(None);
            self.join_answered(outcome, line);
        } else if let Some(task) = self.outbox.answered(id) {
            self.task_answered(task, outcome, line);
        } else if let Outcome::Error(error) = outcome {
            leptos::logging::warn!("an error in answer to nothing that waits for one: {error}");
        }
        self.ask_next(line);
    }

    fn join_answered(self: &Rc<Self>, outcome: Outcome, line: &Line) {
        match outcome {
            Outcome::Ok(Answer::Joined { at, state }) => self.joined(at, state),
            Outcome::Error(error) if is_passing(&error) => {
                self.ready.set(false);
                let (session, line) = (Rc::clone(self), line.clone());
                spawn(async move {
                    TimeoutFuture::new(wait_after(&error)).await;
                    session.join(&line);
                });
            }
            Outcome::Error(error) => self.link.problem.set(Some(format!("Not joined: {error}"))),
            Outcome::Ok(_) => {}
        }
    }

    fn task_answered(self: &Rc<Self>, task: Task, outcome: Outcome, line: &Line) {
        match outcome {
            Outcome::Ok(Answer::Sent { offset }) => self.accepted(task, offset),
            Outcome::Error(error) if is_passing(&error) => {
                self.ready.set(false);
                let (session, line) = (Rc::clone(self), line.clone());
                spawn(async move {
                    TimeoutFuture::new(wait_after(&error)).await;
                    if session.joining.get().is_none() {
                        session.ready.set(true);
                        session.ask_next(&line);
                    }
                });
            }
            Outcome::Error(error) => self.refused(task, error),
            Outcome::Ok(_) => {}
        }
    }

    fn joined(self: &Rc<Self>, at: Joined, state: State) {
        let same = self.link.state.with_untracked(|state| state.position().epoch == at.epoch);
        let stays = self.is_past() && same;
        let fresh = !state.recovered;
        let missed = if fresh { 0 } else { state.events.iter().filter_map(|push| self.news(push)).count() };
        self.apply(Input::Joined(at, state));
        if fresh && stays {
            self.refresh();
        } else if fresh {
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

    /// The server has done what we asked for.
    fn accepted(self: &Rc<Self>, task: Task, offset: Option<Offset>) {
        self.outbox.done();
        match task {
            Task::Say(key) => {
                self.apply(Input::Accepted { key, offset });
                // Where the reader is in the past it has no place; who says something wants to see it.
                if self.is_past() {
                    self.to_latest();
                }
            }
            Task::Change(number, Wish { message, what }) => {
                if what == What::Delete {
                    // There is nothing left in whose place it could be said.
                    self.link.edits.update(|edits| edits.finish(&message));
                }
                self.apply(match offset {
                    Some(offset) => Input::Granted { number, offset },
                    // A room without places has nothing to change.
                    None => Input::Denied(number),
                });
            }
        }
    }

    /// The server will not do what we asked for: a message stays as it is in the list, an edit is offered once more, of anything else we
    /// hear beside the composer.
    fn refused(&self, task: Task, CommandError { message: reason, .. }: CommandError) {
        self.outbox.done();
        match task {
            Task::Say(key) => self.apply(Input::Refused { key, reason }),
            Task::Change(number, Wish { message, what }) => {
                self.apply(Input::Denied(number));
                match what {
                    // What was written must not be lost.
                    What::Edit(text) if !self.outbox.will_edit(&message) => {
                        let before = self.link.state.with_untracked(|state| state.text(&message).map(str::to_owned));
                        let before = before.unwrap_or_default();
                        let editing = Editing { message, before, text, refused: Some(reason) };
                        self.link.edits.update(|edits| edits.refuse(editing));
                    }
                    // What we have written since then is what we want.
                    What::Edit(_) => {}
                    What::Delete => self.link.problem.set(Some(format!("Not deleted: {reason}"))),
                    What::React { .. } => self.link.problem.set(Some(format!("Not changed: {reason}"))),
                }
            }
        }
    }

    /// Something has happened in the room. The first thing is shown at once; what comes before that is painted waits for it, and is shown
    /// together. A page that nobody looks at is not painted.
    fn pushed(self: &Rc<Self>, push: Push, line: &Line) {
        self.inbox.borrow_mut().push(push);
        if !self.painting.get() || document().hidden() {
            self.take_in(line);
        }
    }

    /// Shows what has come.
    fn take_in(self: &Rc<Self>, line: &Line) {
        let pushes = self.inbox.take();
        if pushes.is_empty() {
            return;
        }
        if !self.painting.replace(true) {
            let (session, line) = (Rc::clone(self), line.clone());
            request_animation_frame(move || {
                session.painting.set(false);
                session.take_in(&line);
            });
        }
        let mut news = pushes.iter().filter_map(|push| self.news(push));
        let (heard, count) = (news.next().map(heard), news.count());
        if !self.apply_all(pushes.into_iter().map(Input::Pushed)) {
            self.join(line);
        } else if heard.is_some() {
            self.scroll.came(1 + count);
            self.announcer.came(1 + count, heard.filter(|_| count == 0));
        }
        self.bound();
    }

    /// What somebody else has said that the page does not know.
    fn news<'a>(&self, push: &'a Push) -> Option<&'a Message> {
        let Event::Message(message) = &push.event else { return None };
        let known = |offset: Offset| self.link.state.with_untracked(|state| offset <= state.position().offset);
        (!self.is_mine(&message.from.id) && !push.offset.is_some_and(known)).then_some(message)
    }

    /// The server says who we are. Where that is somebody else than the page was made for (another tab came first with its
    /// cookie, or the cookies were cleared), the page is made anew; what is not sent yet comes along. A page that is made for somebody
    /// else again, since the browser takes no cookies, goes on as it is. True when the page is about to be made anew: nothing is said by
    /// somebody who it will not be.
    fn are(&self, you: Person) -> bool {
        let is_other = self.you().id != you.id;
        if let Some(storage) = outbox::storage() {
            if !is_other {
                // The page is made for who we are. Should we be another one once more, it is made anew once more.
                let _ = storage.remove_item(RELOADED);
            } else if storage.get_item(RELOADED).ok().flatten().is_none()
                && storage.set_item(RELOADED, "1").is_ok()
                && window().location().reload().is_ok()
            {
                return true;
            }
        }
        self.apply(Input::Are(you.id.clone()));
        self.link.called.set(you.name.clone());
        self.link.about.update_value(|about| about.you = you);
        if is_other {
            self.say_as_we_are();
        }
        false
    }

    /// What waits is said by who we are now: under the old name its event would not be known again.
    fn say_as_we_are(&self) {
        let kept = self.outbox.take();
        let unsent = self.link.state.with_untracked(|state| state.unsent().map(|row| row.key.clone()).collect::<Vec<_>>());
        let wishes = (0..self.wishes.get()).map(Input::Denied);
        self.apply_all(unsent.into_iter().map(Input::Discarded).chain(wishes));
        self.bring_back(kept);
    }

    /// Has asked for once more what was kept.
    fn bring_back(&self, kept: Vec<Kept>) {
        for kept in kept {
            match kept {
                Kept::Say(key, text) => self.compose(key, text),
                Kept::Change(wish) => self.wish(wish),
                Kept::Edit(editing) => self.link.edits.update(|edits| edits.restore(editing)),
            }
        }
    }

    fn is_mine(&self, id: &str) -> bool {
        self.link.about.with_value(|about| about.you.id == id)
    }
}

impl Client for Rc<Session> {
    fn opened(&self, you: Person, line: &Line) {
        self.take_in(line);
        self.ready.set(false);
        self.joining.set(None);
        self.outbox.forget_asked();
        if !self.are(you) {
            self.join(line);
        }
    }

    fn received(&self, frame: ServerFrame, line: &Line) {
        match frame {
            ServerFrame::Push(Push { topic, event: Event::Typing(typist), .. }) if topic == self.topic => self.typist(typist),
            ServerFrame::Push(push) if push.topic == self.topic => self.pushed(push, line),
            ServerFrame::Reply(reply) => {
                // What was pushed before it comes before it.
                self.take_in(line);
                self.answered(reply, line);
            }
            ServerFrame::Push(_) | ServerFrame::Welcome { .. } => {}
        }
    }

    fn status(&self, status: Status) {
        self.link.status.set(status);
    }
}

/// What a screen reader is told of a message.
fn heard(message: &Message) -> String {
    format!("{}: {}", message.from.name, beginning(&message.content.text))
}

/// The same is asked for until it goes through.
fn is_passing(error: &CommandError) -> bool {
    matches!(error.code, Code::RateLimited | Code::Unavailable)
}

/// When it is asked for again, in milliseconds.
fn wait_after(error: &CommandError) -> u32 {
    u32::try_from(error.retry_after_ms.unwrap_or(AGAIN)).unwrap_or(u32::MAX)
}

/// By this browser's clock.
fn now() -> Timestamp {
    Timestamp::from_millis(js_sys::Date::now() as i64)
}
