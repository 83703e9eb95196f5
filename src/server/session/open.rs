//! What is open on a connection, for its session and for whoever takes something back.
//!
//! A topic is opened in steps, between which somebody may take it back: so what is lost meanwhile is noted, and the last step looks. Each
//! step that sends something, or does something in a topic, is made while nobody can take anything back.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    locales::problems as say,
    server::{
        hub::{Membership, Outbound, v1},
        lease::{About, Closed, Holder, Taken, Why},
        noun::Opened,
        presence::Attendance,
        problem::Problem,
        quota::Seat,
        scope::{Scope, Whose, goodbye},
        websocket::{CloseCode, Frame},
    },
    wire::{Changed, Event, Group, Left, Push, ServerFrame, SignedOut, Topic},
};

/// See the module.
pub(super) struct Open {
    whose: Whose,
    /// Set once the connection is there.
    pub(super) outbound: OnceLock<Outbound>,
    topics: Mutex<Topics>,
}

/// The topics that are open.
#[derive(Default)]
pub(super) struct Topics {
    /// In boxes: most connections have one of them, and a table has room for four.
    pub(super) joined: HashMap<Topic, Box<Joined>>,
    /// A topic is being opened.
    opening: bool,
    /// What was taken back meanwhile.
    lost: Vec<(Topic, Why)>,
    /// What may be done in it may be another thing, which was heard of meanwhile.
    stirred: bool,
    /// All of it was taken back, with this code and reason.
    over: Option<(CloseCode, &'static str)>,
}

/// A topic that was joined: what may be done in it, and being told of it.
pub(super) struct Joined {
    pub(super) opened: Arc<dyn Opened>,
    /// Where the others see that the person is here.
    pub(super) attendance: Option<(Group, Attendance)>,
    pub(super) membership: Membership,
    /// Among those of the address.
    pub(super) _seat: Seat,
}

impl Open {
    pub(super) fn new(scope: &Scope) -> Self {
        Self { whose: Whose::of(scope), outbound: OnceLock::new(), topics: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock()
    }

    /// What is taken back from now on is noted until [`Topics::is_lost`] is asked.
    pub(super) fn begin(&self) {
        let mut topics = self.topics.lock();
        topics.opening = true;
        topics.stirred = false;
        topics.lost.clear();
    }
}

impl Topics {
    /// Ends what [`Open::begin`] began: whether the topic was taken back meanwhile, and why.
    pub(super) fn is_lost(&mut self, topic: &Topic) -> Option<Why> {
        self.opening = false;
        let lost = std::mem::take(&mut self.lost).into_iter().find(|(lost, _)| lost == topic);
        lost.map(|(_, why)| why).or_else(|| self.over.map(|_| Why::Unsaid))
    }

    /// Whether it was heard since [`Open::begin`] that the rights in a topic may be others.
    pub(super) fn is_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    /// How it has ended, if it has.
    pub(super) fn over(&self) -> Option<(CloseCode, &'static str)> {
        self.over
    }
}

/// Says that what may be done in a topic may be another thing now.
pub(super) fn changed(topic: &Topic) -> Frame {
    v1(&ServerFrame::Push(Push { topic: topic.clone(), offset: None, event: Event::Changed(Changed {}) }))
}

impl Open {
    /// Ends all of it; who has joined their own topic gets this event there before.
    fn end(&self, code: CloseCode, reason: &'static str, event: Option<Event>) {
        let mut topics = self.topics.lock();
        topics.over = Some((code, reason));
        let joined = std::mem::take(&mut topics.joined);
        let event = event.filter(|_| joined.contains_key(&Topic::Me));
        // Memberships first: what comes after that is none of theirs.
        drop(joined);
        if let Some(outbound) = self.outbound.get() {
            let word = |event| v1(&ServerFrame::Push(Push { topic: Topic::Me, offset: None, event }));
            outbound.cut(event.map(word), code, reason);
        }
    }
}

impl Holder for Open {
    fn about(&self) -> About {
        self.whose.about("confab.v1", self.topics.lock().joined.len())
    }

    fn close(&self, why: Closed) {
        let (code, reason) = self.whose.told(|| goodbye(why));
        self.end(code, reason, None);
    }

    fn take_back(&self, taken: &Taken) {
        match taken {
            Taken::Everything => {
                let event = Event::SignedOut(SignedOut {});
                self.end(CloseCode::SIGNED_OUT, self.whose.told(say::signed_out), Some(event));
            }
            Taken::Topic(topic, why) => {
                let mut topics = self.topics.lock();
                if topics.opening && !topics.lost.iter().any(|(lost, _)| lost == topic) {
                    topics.lost.push((topic.clone(), *why));
                }
                let joined = topics.joined.remove(topic);
                if joined.is_some()
                    && let Some(outbound) = self.outbound.get()
                {
                    drop(joined);
                    let problem = Problem::TakenBack(self.whose.told(|| why.said(topic)));
                    let event = Event::Left(Left { code: problem.code(), message: problem.to_string() });
                    outbound.retract(v1(&ServerFrame::Push(Push { topic: topic.clone(), offset: None, event })));
                }
            }
        }
    }

    fn stir(&self, topic: &Topic) {
        let mut topics = self.topics.lock();
        topics.stirred |= topics.opening;
        if topics.joined.contains_key(topic)
            && let Some(outbound) = self.outbound.get()
        {
            outbound.send(&[outbound.fitted(changed(topic))]);
        }
    }

    fn stir_all(&self) {
        let mut topics = self.topics.lock();
        topics.stirred |= topics.opening;
        let Some(outbound) = self.outbound.get() else { return };
        for topic in topics.joined.keys().filter(|topic| matches!(topic, Topic::Room(_))) {
            outbound.send(&[outbound.fitted(changed(topic))]);
        }
    }
}
