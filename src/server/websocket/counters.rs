//! What the connections of a server have carried, for whoever watches over it.
//!
//! A delivery takes about a microsecond, so it must not count on anything that the cores share. Each socket has a [`Tally`]
//! that it alone writes to, under the lock that it holds anyway; they are added up when somebody [asks](Counters::traffic).

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

use super::id::ConnectionId;

/// Counts for all connections of one server.
#[derive(Default)]
pub struct Counters {
    slow_closes: AtomicU64,
    tallies: Mutex<Tallies>,
}

#[derive(Default)]
struct Tallies {
    open: HashMap<ConnectionId, Arc<Tally>>,
    /// Connections since the start, the open ones among them.
    opened: u64,
    /// What those have carried that are gone.
    gone: Carried,
}

#[derive(Clone, Copy, Default)]
struct Carried {
    messages_in: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// What was counted from the start until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections that are open now.
    pub open: usize,
    /// Connections since the start.
    pub opened: u64,
    /// Connections that were closed with 4001, since their reader was too slow.
    pub slow_closes: u64,
    /// Text and binary messages from clients.
    pub messages_in: u64,
    /// Bytes of frames from clients. The handshakes are not among them.
    pub bytes_in: u64,
    /// Bytes of frames that the sockets have taken.
    pub bytes_out: u64,
    /// Bytes that wait now until a socket takes them.
    pub queued_bytes: usize,
}

/// What one connection has carried. Each number has one writer at a time.
#[derive(Default)]
struct Tally {
    messages_in: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    queued: AtomicUsize,
}

/// A connection's share in the counters; what it has counted stays when it is dropped.
pub(super) struct Counted {
    id: ConnectionId,
    tally: Arc<Tally>,
    counters: Arc<Counters>,
}

impl Counters {
    /// Counts one more connection, until the share is dropped.
    pub(super) fn enter(self: &Arc<Self>, id: ConnectionId) -> Counted {
        let tally = Arc::new(Tally::default());
        let mut tallies = self.tallies.lock();
        tallies.opened += 1;
        tallies.open.insert(id, Arc::clone(&tally));
        Counted { id, tally, counters: Arc::clone(self) }
    }

    /// Adds up what the connections have counted; no number of those that grow is ever smaller than before.
    pub fn traffic(&self) -> Traffic {
        let tallies = self.tallies.lock();
        let mut carried = tallies.gone;
        let mut queued_bytes = 0;
        for tally in tallies.open.values() {
            carried.add(tally);
            queued_bytes += tally.queued.load(Relaxed);
        }
        let Carried { messages_in, bytes_in, bytes_out } = carried;
        let (open, opened) = (tallies.open.len(), tallies.opened);
        Traffic { open, opened, slow_closes: self.slow_closes.load(Relaxed), messages_in, bytes_in, bytes_out, queued_bytes }
    }
}

impl Carried {
    fn add(&mut self, tally: &Tally) {
        self.messages_in += tally.messages_in.load(Relaxed);
        self.bytes_in += tally.bytes_in.load(Relaxed);
        self.bytes_out += tally.bytes_out.load(Relaxed);
    }
}

impl Counted {
    /// A text or binary message has come.
    pub(super) fn message_in(&self) {
        self.tally.messages_in.fetch_add(1, Relaxed);
    }

    /// So many bytes have come.
    pub(super) fn bytes_in(&self, count: usize) {
        self.tally.bytes_in.fetch_add(count as u64, Relaxed);
    }

    /// So many bytes have gone out so far, and so many wait.
    pub(super) fn outbound(&self, sent: u64, queued: usize) {
        // The caller holds the lock of the queue, so nobody else stores here: plain stores, which cost next to nothing.
        self.tally.bytes_out.store(sent, Relaxed);
        self.tally.queued.store(queued, Relaxed);
    }

    /// The reader was too slow and is sent away.
    pub(super) fn slow_close(&self) {
        self.counters.slow_closes.fetch_add(1, Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut tallies = self.counters.tallies.lock();
        tallies.open.remove(&self.id);
        tallies.gone.add(&self.tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_has_carried_stays_counted_when_it_is_gone() {
        let counters = Arc::new(Counters::default());
        let (one, other) = (counters.enter(ConnectionId(1)), counters.enter(ConnectionId(2)));
        one.bytes_in(10);
        one.message_in();
        one.outbound(100, 7);
        other.outbound(1, 2);
        one.slow_close();
        let both =
            Traffic { open: 2, opened: 2, slow_closes: 1, messages_in: 1, bytes_in: 10, bytes_out: 101, queued_bytes: 9 };
        assert_eq!(counters.traffic(), both);
        drop(one);
        assert_eq!(counters.traffic(), Traffic { open: 1, queued_bytes: 2, ..both });
        drop(other);
        assert_eq!(counters.traffic(), Traffic { open: 0, queued_bytes: 0, ..both });
    }
}
