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
    server::{
        hub::{Membership, Outbound, v1},
        lease::{Holder, Taken, Why},
        noun::Opened,
        presence::Attendance,
        problem::Problem,
        quota::Seat,
        websocket::{CloseCode, Frame},
    },
    wire::{Changed, Event, Group, Left, Push, ServerFrame, SignedOut, Topic},
};

/// See the module.
#[derive(Default)]
pub(super) struct Open {
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
    /// All of it was taken back.
    is_over: bool,
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
        lost.map(|(_, why)| why).or_else(|| self.is_over.then_some(Why::Unsaid))
    }

    /// Whether it was heard since [`Open::begin`] that the rights in a topic may be others.
    pub(super) fn is_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Says that what may be done in a topic may be another thing now.
pub(super) fn changed(topic: &Topic) -> Frame {
    v1(&ServerFrame::Push(Push { topic: topic.clone(), offset: None, event: Event::Changed(Changed {}) }))
}

/// What somebody is told who was signed out.
pub(super) const SIGNED_OUT: &str = "you were signed out";

impl Holder for Open {
    fn take_back(&self, taken: &Taken) {
        let mut topics = self.topics.lock();
        match taken {
            Taken::Everything => {
                topics.is_over = true;
                let joined = std::mem::take(&mut topics.joined);
                let joined_me = joined.contains_key(&Topic::Me);
                // Memberships first: what comes after that is none of theirs.
                drop(joined);
                if let Some(outbound) = self.outbound.get() {
                    let signed_out = Event::SignedOut(SignedOut {});
                    let word = || v1(&ServerFrame::Push(Push { topic: Topic::Me, offset: None, event: signed_out }));
                    outbound.cut(joined_me.then(word), CloseCode::SIGNED_OUT, SIGNED_OUT);
                }
            }
            Taken::Topic(topic, why) => {
                if topics.opening && !topics.lost.iter().any(|(lost, _)| lost == topic) {
                    topics.lost.push((topic.clone(), *why));
                }
                let joined = topics.joined.remove(topic);
                if joined.is_some()
                    && let Some(outbound) = self.outbound.get()
                {
                    drop(joined);
                    let problem = Problem::TakenBack(why.said(topic));
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
}
