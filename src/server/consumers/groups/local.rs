//! A group on this node: its members, and the line in which everything waits that concerns all of them.
//!
//! Whoever brings something puts it into the line; whoever finds nobody at work takes the turn and works off all of it, what
//! others bring meanwhile too. So all members get all events in one order, what several senders publish at once goes out
//! together, and nobody waits.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};
use tracing::warn;

use super::{
    super::form::Broadcast,
    members::{Members, hand_out},
    sequence::{Handed, Reading, Sequence},
};
use crate::{
    server::{
        layers::{Event, GroupName},
        rooms::Stream,
        store::{Page, StoreError},
    },
    wire::Topic,
};

/// How long to wait before a store is asked again that could not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// A group's members on this node.
pub(super) struct LocalGroup {
    pub(super) id: u64,
    pub(super) name: GroupName,
    topic: Topic,
    /// Done once the layer knows that this node wants the group's events, or is being told, and it is known where the stream stands.
    pub(super) ready: OnceCell<()>,
    pub(super) members: Mutex<Members>,
    turn: Mutex<Turn>,
    /// None where there is no history: then there is nothing to wait for, and nothing to read.
    history: Option<History>,
}

struct History {
    stream: Stream,
    /// Changed by whoever has the turn, but for the beginning of a reading.
    sequence: Mutex<Sequence>,
    /// How many groups of this node may read at a time.
    readers: Arc<Semaphore>,
}

/// What is in line, and whether somebody is working it off.
#[derive(Default)]
struct Turn {
    waiting: Vec<Arrived>,
    taken: bool,
}

enum Arrived {
    Event(Arc<Event>),
    /// Something may be lost.
    Doubt,
    Read(Reading, Page),
}

impl LocalGroup {
    /// Without members. `stream` where the room keeps history; at most as many groups read it as `readers` has permits.
    pub(super) fn new(id: u64, name: GroupName, topic: Topic, stream: Option<Stream>, readers: &Arc<Semaphore>) -> Arc<Self> {
        let history = stream.map(|stream| {
            let sequence = Mutex::new(Sequence::new());
            History { stream, sequence, readers: Arc::clone(readers) }
        });
        let (ready, members, turn) = Default::default();
        Arc::new(Self { id, name, topic, ready, members, turn, history })
    }

    /// Hands an event to the members, if it is its turn.
    pub(super) fn publish(self: &Arc<Self>, event: &Arc<Event>) {
        self.take(Arrived::Event(Arc::clone(event)));
    }

    /// Brings the members level with the store, where there is one: the layer may have lost something.
    pub(super) fn doubt(self: &Arc<Self>) {
        self.take(Arrived::Doubt);
    }

    /// Finds out where the stream stands; until then, what has a place in it waits.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn find_place(self: &Arc<Self>) -> Result<(), StoreError> {
        let Some(History { stream, sequence, .. }) = &self.history else { return Ok(()) };
        let reading = sequence.lock().begin();
        let page = stream.after(reading.since).await?;
        self.take(Arrived::Read(reading, page));
        Ok(())
    }

    fn take(self: &Arc<Self>, arrived: Arrived) {
        let mut turn = self.turn.lock();
        turn.waiting.push(arrived);
        if turn.taken {
            return;
        }
        turn.taken = true;
        while !turn.waiting.is_empty() {
            let arrived = std::mem::take(&mut turn.waiting);
            drop(turn);
            let handed = self.put_in_order(arrived);
            if !handed.is_empty() {
                let members = self.members.lock().snapshot();
                hand_out(&members, &handed);
            }
            turn = self.turn.lock();
        }
        turn.taken = false;
    }

    /// What of it can go out now.
    fn put_in_order(self: &Arc<Self>, arrived: Vec<Arrived>) -> Vec<Handed> {
        let mut handed = Vec::with_capacity(arrived.len());
        let Some(history) = &self.history else {
            // A position is another node's, whose settings keep what ours do not.
            handed.extend(arrived.into_iter().filter_map(|arrived| match arrived {
                Arrived::Event(event) => Some(Handed::Event(Broadcast::new(&self.topic, &event).without_position())),
                Arrived::Doubt | Arrived::Read(..) => None,
            }));
            return handed;
        };
        let mut sequence = history.sequence.lock();
        for arrived in arrived {
            match arrived {
                Arrived::Event(event) => sequence.arrive(Broadcast::new(&self.topic, &event), &mut handed),
                Arrived::Doubt => sequence.doubt(),
                Arrived::Read(reading, page) => sequence.level(reading, page, &self.topic, &mut handed),
            }
        }
        if sequence.due() {
            tokio::spawn(read(Arc::downgrade(self), Arc::clone(&history.readers)));
        }
        handed
    }
}

/// Reads what a group has missed; asks until the store answers, as long as there are members.
async fn read(group: Weak<LocalGroup>, readers: Arc<Semaphore>) {
    loop {
        let Ok(permit) = readers.acquire().await else { return };
        let Some(group) = group.upgrade() else { return };
        let Some(History { stream, sequence, .. }) = &group.history else { return };
        let reading = sequence.lock().begin();
        match stream.after(reading.since).await {
            Ok(page) => return group.take(Arrived::Read(reading, page)),
            Err(cause) => warn!(group = %group.name, %cause, "what the channel layer may have lost could not be read yet"),
        }
        drop((permit, group));
        tokio::time::sleep(AGAIN).await;
    }
}
