//! The topics of a page over its one connection.
//!
//! On every connection each is joined once, with the position that the page has, and again only where an event is missing. What the reader
//! does is asked for one act after the other, each when the one before is answered, so that they arrive in the order in which they were
//! done. What has no answer is asked for again on the next connection, which does no harm: a message has its key, and a change that was made
//! already changes nothing. So a socket that drops in the middle neither loses nor doubles anything.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;

use super::{
    connection::{self, Heard, Line},
    spawn,
};
use crate::{
    app::{Gap, Status},
    wire::{
        Act, Answer, Code, Command, CommandError, Join, Joined, Offset, Outcome, Person, Position, Push, Read, Reply,
        ServerFrame, State, Topic, Typing,
    },
};

/// How soon the same is asked for again that the server could not do, in milliseconds, where it does not say.
const AGAIN: u64 = 1_000;

/// What a page makes of a topic.
pub(super) trait Subscriber {
    /// A connection is there, and the server takes us for this person. False where nothing is to be said by them: the page is about to go.
    fn welcomed(&self, you: &Person) -> bool;

    /// Where the page stands in the topic's stream.
    fn since(&self) -> Option<Position>;

    /// The answer to a join.
    fn joined(&self, at: Joined, state: State);

    /// The topic cannot be joined.
    fn not_joined(&self, error: CommandError);

    /// Something has happened.
    ///
    /// # Errors
    /// Something is missing before it.
    fn pushed(&self, push: Push) -> Result<(), Gap>;

    /// The first act that has no answer.
    fn next(&self) -> Option<Act> {
        None
    }

    /// The server has done it, or will not.
    fn answered(&self, act: Act, outcome: Result<Option<Offset>, CommandError>) {
        let _ = (act, outcome);
    }
}

/// The topics of the page.
pub(super) struct Topics {
    line: Line,
    status: RwSignal<Status>,
    all: RefCell<Vec<Rc<Subscription>>>,
}

/// A topic that the page has joined, or is about to.
pub(super) struct Subscription {
    topic: Topic,
    line: Line,
    subscriber: Rc<dyn Subscriber>,
    /// The connection is there and the topic joined; something may be said and done.
    ready: Cell<bool>,
    /// The number of the join that is under way; another one would bring nothing else.
    joining: Cell<Option<u64>>,
    /// The act that is asked for, and the number of the command.
    asked: RefCell<Option<(u64, Act)>>,
    /// The number of the command that says that the reader is writing, or has read: the last one on whose answer nothing hangs.
    typing: Cell<Option<u64>>,
}

impl Topics {
    /// Opens the page's connection; `status` says how it is doing. What is subscribed before anything is waited for is joined at once.
    pub(super) fn open(status: RwSignal<Status>) -> Rc<Self> {
        connection::start(|line| {
            let topics = Rc::new(Self { line, status, all: RefCell::default() });
            let hearing = Rc::clone(&topics);
            (topics, Rc::new(move |heard| hearing.hear(heard)))
        })
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    pub(super) fn subscribe(&self, topic: Topic, subscriber: Rc<dyn Subscriber>) -> Rc<Subscription> {
        let subscription = Rc::new(Subscription {
            topic,
            line: self.line.clone(),
            subscriber,
            ready: Cell::default(),
            joining: Cell::default(),
            asked: RefCell::default(),
            typing: Cell::default(),
        });
        self.all.borrow_mut().push(Rc::clone(&subscription));
        subscription
    }

    fn hear(&self, heard: Heard) {
        let all = self.all.borrow();
        match heard {
            Heard::Status(status) => self.status.set(status),
            Heard::Welcome(you) => {
                all.iter().for_each(|one| one.begin_anew());
                if all.iter().all(|one| one.subscriber.welcomed(&you)) {
                    all.iter().for_each(|one| one.join());
                }
            }
            Heard::Frame(ServerFrame::Push(push)) => {
                if let Some(one) = all.iter().find(|one| one.topic == push.topic)
                    && one.subscriber.pushed(push).is_err()
                {
                    one.join();
                }
            }
            Heard::Frame(ServerFrame::Reply(Reply { id, outcome })) => {
                let waiting = id.and_then(|id| all.iter().find(|one| one.waits_for(id)).zip(Some(id)));
                match (waiting, outcome) {
                    (Some((one, id)), outcome) => one.answered(id, outcome),
                    (None, Outcome::Error(error)) => {
                        leptos::logging::warn!("an error in answer to nothing that waits for one: {error}");
                    }
                    (None, Outcome::Ok(_)) => {}
                }
            }
            Heard::Frame(ServerFrame::Welcome { .. }) => {}
        }
    }
}

impl Subscription {
    /// The connection is a new one: there will be no answers any more.
    fn begin_anew(&self) {
        self.ready.set(false);
        self.joining.set(None);
        self.asked.replace(None);
        self.typing.set(None);
    }

    fn waits_for(&self, id: u64) -> bool {
        let asked = self.asked.borrow().as_ref().map(|(asked, _)| *asked);
        [self.joining.get(), asked, self.typing.get()].contains(&Some(id))
    }

    /// Joins from where the page stands.
    pub(super) fn join(&self) {
        if self.joining.get().is_none() {
            let join = Join { topic: self.topic.clone(), since: self.subscriber.since() };
            self.joining.set(Some(self.line.say(Command::Join(join))));
        }
    }

    /// Asks for the first act that has no answer, unless one is asked for.
    pub(super) fn ask(&self) {
        if self.ready.get()
            && self.asked.borrow().is_none()
            && let Some(act) = self.subscriber.next()
        {
            let id = self.line.say(Command::Act { topic: self.topic.clone(), act: act.clone() });
            self.asked.replace(Some((id, act)));
        }
    }

    /// Lets the others know that the reader is writing something; false where nobody can be told. Nothing hangs on the answer.
    pub(super) fn typing(&self) -> bool {
        if self.ready.get() {
            let typing = Typing { topic: self.topic.clone() };
            self.typing.set(Some(self.line.say(Command::Typing(typing))));
        }
        self.ready.get()
    }

    /// Lets the server know up to where the reader has read; false where it cannot be told. Nothing hangs on the answer.
    pub(super) fn read(&self, up_to: Position, back: bool) -> bool {
        if self.ready.get() {
            let read = Read { topic: self.topic.clone(), up_to, back };
            self.typing.set(Some(self.line.say(Command::Read(read))));
        }
        self.ready.get()
    }

    fn answered(self: &Rc<Self>, id: u64, outcome: Outcome) {
        if self.typing.get() == Some(id) {
            return;
        }
        let is_join = self.joining.get() == Some(id);
        let asked = if is_join { None } else { self.asked.take().map(|(_, act)| act) };
        self.joining.set(self.joining.get().filter(|_| !is_join));
        match (asked, outcome) {
            (asked, Outcome::Error(error)) if is_passing(&error) => self.wait(asked.is_none(), &error),
            (None, Outcome::Ok(Answer::Joined { at, state })) => {
                self.subscriber.joined(at, state);
                self.ready.set(true);
            }
            (Some(act), Outcome::Ok(Answer::Sent { offset })) => self.subscriber.answered(act, Ok(offset)),
            (None, Outcome::Error(error)) => self.subscriber.not_joined(error),
            (Some(act), Outcome::Error(error)) => self.subscriber.answered(act, Err(error)),
            (_, Outcome::Ok(_)) => {}
        }
        self.ask();
    }

    /// The server could not do it now; the same is asked for until it goes through.
    fn wait(self: &Rc<Self>, join: bool, error: &CommandError) {
        self.ready.set(false);
        let wait = u32::try_from(error.retry_after_ms.unwrap_or(AGAIN)).unwrap_or(u32::MAX);
        let this = Rc::clone(self);
        spawn(async move {
            TimeoutFuture::new(wait).await;
            if join {
                this.join();
            } else if this.joining.get().is_none() {
                this.ready.set(true);
                this.ask();
            }
        });
    }
}

fn is_passing(error: &CommandError) -> bool {
    matches!(error.code, Code::RateLimited | Code::Unavailable)
}
