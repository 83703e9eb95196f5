//! A room, live: turns intents into commands and what the server says into inputs of the state.
//!
//! What we say and do is an [`Act`] that the state shows before it is done; [`topic`](super::topic) asks the server for it. `unsent` keeps a
//! copy of what has no answer, and `past` reads what was said before over HTTP.

mod announcer;
mod draft;
mod list;
mod past;
mod reads;
mod unsent;

use std::{
    cell::{Cell, OnceCell, RefCell},
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
    list::List,
    reads::Reads,
    unsent::{Kept, Unsent, fresh_key},
};
use super::{
    me, pause,
    scroll::Scroll,
    spawn,
    topic::{Subscriber, Subscription, Topics},
};
use crate::{
    app::{Editing, Gap, Input, Intent, RoomLink, RoomState, RowKey, called, effect},
    locales::room as say,
    wire::{
        Act, CommandError, Event, Group, Joined, Message, Offset, Person, Position, Push, Rights, State, TYPING_SHOWN_MS,
        Timestamp, Topic, Typist, beginning, is_blank,
    },
};

/// How often the others are told that we are writing, in milliseconds: a little less often than the server takes it, lest a hurried
/// packet makes it leave one out.
const TYPING: f64 = 3_250.0;

/// Opens the link of the page, in parts. The connection is asked for as soon as somebody hears what the reader wants, and not before.
pub(super) async fn open(link: RoomLink) {
    let scroll = Scroll::start(link);
    pause().await;
    // The page of a room has one.
    let Some(list) = List::of_the_page(link, scroll.clone()).map(Rc::new) else { return };
    pause().await;
    let group = link.about.with_value(|about| about.group.clone());
    let room = Rc::new(Session {
        link,
        subscription: OnceCell::new(),
        inbox: RefCell::default(),
        painting: Cell::default(),
        unsent: Unsent::of(link),
        scroll: scroll.clone(),
        list: Rc::clone(&list),
        place: RefCell::default(),
        announcer: Announcer::new(link.announcement),
        typed: Cell::default(),
        reads: Reads::new(),
    });
    room.bring_back(room.unsent.restore());
    let session = Rc::clone(&room);
    effect(move || {
        link.edits.track();
        session.unsent.keep();
    });
    effect(move || {
        link.status.track();
        list.status_changed();
    });
    pause().await;
    let draft = Draft::open(&group, link);
    pause().await;
    let topics = Topics::open(link.status);
    let subscription = topics.subscribe(Topic::Room(group.clone()), Rc::new(Rc::clone(&room)));
    let reading = Rc::clone(&room);
    me::subscribe(&topics, link.called, None, Some(Rc::new(move |up_to| reading.was_read(&up_to))));
    room.watch_reading();
    // It is set once, before anything is heard.
    let _ = room.subscription.set(subscription);
    let hear = SendWrapper::new(move |intent| match intent {
        Intent::Send(text) => {
            room.to_latest();
            room.act(Act::Send { key: fresh_key(), text });
        }
        Intent::Retry(key) => {
            room.to_latest();
            room.apply(Input::Retried(key));
            room.ask();
            focus(link.composer.get_untracked().as_deref());
        }
        Intent::Discard(key) => {
            room.apply(Input::Discarded(key));
            focus(link.composer.get_untracked().as_deref());
        }
        Intent::Fold(key) => room.list.fold(&key),
        Intent::Act(act) => room.act(act),
        Intent::Unread(key) => room.unread_from(&key),
        Intent::Older(before) => room.read_older(before),
        Intent::Newer(after) => room.read_newer(after),
        Intent::JumpToLatest => {
            room.to_latest();
            focus(link.log.get_untracked().as_deref());
        }
        Intent::Close => topics.line().close(),
        Intent::Reconnect => topics.line().open(),
        Intent::Draft(text) => {
            draft.keep(&text);
            if !is_blank(&text) {
                room.is_typing();
            }
        }
    });
    link.ask.set_value(Some(Arc::new(move |intent| (*hear)(intent))));
    pause().await;
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

/// The page's side of the topic.
struct Session {
    link: RoomLink,
    subscription: OnceCell<Rc<Subscription>>,
    /// What has come and is not shown yet.
    inbox: RefCell<Vec<Push>>,
    /// What was shown last is not painted yet.
    painting: Cell<bool>,
    unsent: Unsent,
    scroll: Scroll,
    list: Rc<List>,
    /// The first row in sight; none for a reader who follows the end.
    place: RefCell<Option<RowKey>>,
    announcer: Announcer,
    /// When the others were last told that we are writing, in milliseconds.
    typed: Cell<Option<f64>>,
    reads: Reads,
}

/// Says in the tab's storage that the page was made anew for another person.
const RELOADED: &str = "confab:reloaded";

impl Session {
    fn apply(&self, input: Input) {
        // Only of what is pushed something may be missing.
        let _ = self.apply_all([input]);
    }

    /// Changes the state, all at once, and shows what has come of it.
    fn apply_all(&self, inputs: impl IntoIterator<Item = Input>) -> Result<(), Gap> {
        self.scroll.remember();
        self.place.replace(self.scroll.anchor().and_then(|row| self.list.key_of(&row)));
        let (touched, applied) = self.link.apply(inputs);
        self.list.show(&touched);
        self.scroll.restore();
        self.unsent.keep();
        applied
    }

    fn you(&self) -> Person {
        self.link.about.with_value(|about| about.you.clone())
    }

    /// Does something: it shows at once, and is asked for when all is answered that was done before.
    fn act(&self, act: Act) {
        self.begin(act);
        self.ask();
    }

    fn begin(&self, act: Act) {
        self.apply(Input::Begun { act, from: self.you(), at: now() });
    }

    fn ask(&self) {
        if let Some(subscription) = self.subscription.get() {
            subscription.ask();
        }
    }

    fn count(&self) -> usize {
        self.link.state.with_untracked(|state| state.rows().len())
    }

    /// Lets the others know that we are writing.
    fn is_typing(&self) {
        let time = js_sys::Date::now();
        let quiet = self.typed.get().is_none_or(|last| (time - last).abs() >= TYPING);
        if quiet && self.subscription.get().is_some_and(|subscription| subscription.typing()) {
            self.typed.set(Some(time));
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

    fn level(self: &Rc<Self>, at: Joined, mut state: State) {
        self.may(std::mem::take(&mut state.may));
        let same = self.link.state.with_untracked(|state| state.feed().is_in(&at.epoch));
        let stays = self.is_past() && same;
        let read = state.read.take();
        let fresh = !state.recovered;
        // Of a room that keeps nothing all that is shown stays.
        let is_replaced = !same || !state.events.is_empty();
        let missed = if fresh { 0 } else { state.events.iter().filter_map(|push| self.news(push)).count() };
        self.apply(Input::Joined(at, state));
        if fresh && stays {
            self.refresh();
        } else if fresh && is_replaced {
            // The rows are others.
            self.scroll.to_end();
        }
        self.has_read(read);
        self.bound();
        if missed > 0 {
            self.scroll.came(missed);
            self.announcer.came(missed, None);
        }
    }

    /// The server has done what we asked for.
    fn done(self: &Rc<Self>, act: Act, offset: Option<Offset>) {
        let deleted = if let Act::Delete { message } = &act { Some(message.clone()) } else { None };
        let is_message = act.message().is_none();
        self.apply(Input::Done { act, offset });
        if let Some(message) = deleted {
            // There is nothing left in whose place it could be said.
            self.link.edits.update(|edits| edits.finish(&message));
        }
        // Where the reader is in the past it has no place; who says something wants to see it.
        if is_message && self.is_past() {
            self.to_latest();
        }
    }

    /// The server will not do what we asked for: a message stays as it is in the list, an edit is offered once more, of anything else we
    /// hear beside the composer.
    fn refused(&self, act: Act, reason: String) {
        self.apply(Input::Refused { act: act.clone(), reason: reason.clone() });
        match act {
            Act::Send { .. } => {}
            // What was written must not be lost, unless we have written something else since then.
            Act::Edit { message, text } => {
                let before = self.link.state.with_untracked(|state| {
                    let mut waiting = state.feed().waiting();
                    let is_edit = |act: &Act| matches!(act, Act::Edit { message: other, .. } if *other == message);
                    (!waiting.any(is_edit)).then(|| state.text(&message).unwrap_or_default().to_owned())
                });
                if let Some(before) = before {
                    let editing = Editing { message, before, text, refused: Some(reason) };
                    self.link.edits.update(|edits| edits.refuse(editing));
                }
            }
            act => {
                let is_delete = matches!(act, Act::Delete { .. });
                self.link.problem.set(Some(if is_delete { say::not_deleted(reason) } else { say::not_changed(reason) }));
            }
        }
    }

    /// Something has happened in the room. The first thing is shown at once; what comes before that is painted waits for it, and is shown
    /// together. A page that nobody looks at is not painted.
    fn came(self: &Rc<Self>, push: Push) -> Result<(), Gap> {
        self.inbox.borrow_mut().push(push);
        if !self.painting.get() || document().hidden() { self.take_in() } else { Ok(()) }
    }

    /// Shows what has come.
    fn take_in(self: &Rc<Self>) -> Result<(), Gap> {
        let pushes = self.inbox.take();
        if pushes.is_empty() {
            return Ok(());
        }
        if !self.painting.replace(true) {
            let session = Rc::clone(self);
            request_animation_frame(move || {
                session.painting.set(false);
                session.take_in_or_join();
            });
        }
        let mut news = pushes.iter().filter_map(|push| self.news(push));
        let (heard, count) = (news.next().map(heard), news.count());
        let parts = heard.as_ref().and_then(|_| self.parts_news());
        let applied = self.apply_all(parts.into_iter().chain(pushes.into_iter().map(Input::Pushed)));
        if applied.is_ok() && heard.is_some() {
            self.say_number();
            self.scroll.came(1 + count);
            self.announcer.came(1 + count, heard.filter(|_| count == 0));
        }
        self.bound();
        applied
    }

    /// The same; where something is missing the room is joined again.
    fn take_in_or_join(self: &Rc<Self>) {
        if self.take_in().is_err() {
            self.join();
        }
    }

    fn join(&self) {
        if let Some(subscription) = self.subscription.get() {
            subscription.join();
        }
    }

    /// The reader may do this from now on. What ends by itself is asked about when it has.
    fn may(self: &Rc<Self>, may: Rights) {
        let until = may.until;
        self.link.may().set(may);
        if let Some(until) = until {
            // Clocks differ; a timer takes no more than 24 days.
            let wait = (until.as_millis() - now().as_millis()).clamp(1_000, 1 << 31) as u32;
            let session = Rc::clone(self);
            spawn(async move {
                TimeoutFuture::new(wait).await;
                if session.link.may().with_untracked(|may| may.until == Some(until)) {
                    session.join();
                }
            });
        }
    }

    /// What somebody else has said that the page does not know.
    fn news<'a>(&self, push: &'a Push) -> Option<&'a Message> {
        let Event::Message(message) = &push.event else { return None };
        let known = |offset: Offset| self.link.state.with_untracked(|state| offset <= state.feed().offset());
        (!self.is_mine(&message.from.id) && !push.offset.is_some_and(known)).then_some(message)
    }

    /// The server says who we are. Where that is somebody else than the page was made for (another tab came first with its
    /// cookie, or the cookies were cleared), the page is made anew; what is not sent yet comes along. A page that is made for somebody
    /// else again, since the browser takes no cookies, goes on as it is. True when the page is about to be made anew: nothing is said by
    /// somebody who it will not be.
    fn are(&self, you: &Person) -> bool {
        let is_other = self.you().id != you.id;
        if let Some(storage) = unsent::storage() {
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
        self.link.about.update_value(|about| about.you = you.clone());
        if is_other {
            self.say_as_we_are();
        }
        false
    }

    /// What waits is said by who we are now: under the old name its event would not be known again.
    fn say_as_we_are(&self) {
        let acts = self.link.state.with_untracked(RoomState::unanswered);
        let unsent = self.link.state.with_untracked(|state| state.unsent().map(|row| row.key.clone()).collect::<Vec<_>>());
        let forgotten = acts.iter().cloned().map(|act| Input::Refused { act, reason: String::new() });
        let gone = unsent.into_iter().map(Input::Discarded);
        // Nothing of this is pushed.
        let _ = self.apply_all(gone.chain(forgotten));
        for act in acts {
            self.begin(act);
        }
    }

    /// Has asked for once more what was kept.
    fn bring_back(&self, kept: Vec<Kept>) {
        for kept in kept {
            match kept {
                Kept::Act(act) => self.begin(act),
                Kept::Edit(editing) => self.link.edits.update(|edits| edits.restore(editing)),
            }
        }
    }

    fn is_mine(&self, id: &str) -> bool {
        self.link.about.with_value(|about| about.you.id == id)
    }
}

impl Subscriber for Rc<Session> {
    fn welcomed(&self, you: &Person) -> bool {
        self.take_in_or_join();
        !self.are(you)
    }

    fn since(&self) -> Option<Position> {
        self.link.state.with_untracked(|state| state.feed().position().cloned())
    }

    fn joined(&self, at: Joined, state: State) {
        // What was pushed before an answer comes before it.
        self.take_in_or_join();
        self.level(at, state);
    }

    fn not_joined(&self, error: CommandError) {
        self.link.problem.set(Some(say::not_joined(error)));
    }

    fn pushed(&self, push: Push) -> Result<(), Gap> {
        match push.event {
            Event::Typing(typist) => self.typist(typist),
            // The answer to a join says what.
            Event::Changed(_) => self.join(),
            _ => return self.came(push),
        }
        Ok(())
    }

    fn next(&self) -> Option<Act> {
        self.link.state.with_untracked(|state| state.feed().waiting().next().cloned())
    }

    fn answered(&self, act: Act, outcome: Result<Option<Offset>, CommandError>) {
        self.take_in_or_join();
        match outcome {
            Ok(offset) => self.done(act, offset),
            Err(error) => self.refused(act, error.message),
        }
    }
}

/// What a screen reader is told of a message.
fn heard(message: &Message) -> String {
    say::heard(called(&message.from), beginning(&message.content.text))
}

/// By this browser's clock.
fn now() -> Timestamp {
    Timestamp::from_millis(js_sys::Date::now() as i64)
}
