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
        lease::{Holder, Taken},
        noun::Opened,
        presence::Attendance,
        problem::Problem,
        quota::Seat,
        websocket::CloseCode,
    },
    wire::{Event, Group, Left, Push, ServerFrame, SignedOut, Topic},
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
    lost: Vec<Topic>,
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
        topics.lost.clear();
    }
}

impl Topics {
    /// Ends what [`Open::begin`] began: whether the topic was taken back meanwhile.
    pub(super) fn is_lost(&mut self, topic: &Topic) -> bool {
        self.opening = false;
        self.is_over || std::mem::take(&mut self.lost).contains(topic)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
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
            Taken::Topic(topic) => {
                if topics.opening && !topics.lost.contains(topic) {
                    topics.lost.push(topic.clone());
                }
                let joined = topics.joined.remove(topic);
                if joined.is_some()
                    && let Some(outbound) = self.outbound.get()
                {
                    drop(joined);
                    let problem = Problem::TakenBack(topic.clone());
                    let event = Event::Left(Left { code: problem.code(), message: problem.to_string() });
                    outbound.retract(v1(&ServerFrame::Push(Push { topic: topic.clone(), offset: None, event })));
                }
            }
        }
    }
}
