//! What a process sends to its own sinks by way of Redis, until it is back.
//!
//! A sink hears its own process as it hears everybody else: from Redis, in the one order that Redis gives to all. But on that way
//! something may be lost while the sending was a success: `FLUSHDB` takes a queue along, a subscription ends and nobody knows yet.
//! So what goes out is noted here and struck off when it comes back. What was overtaken by something that was sent later, or is not
//! back after a while, was lost: it is handed out from here. Should it come back after all, it is dropped, so nothing comes twice.
//!
//! Messages are told apart by a hash. Two that are equal to the last byte may take each other's place: who hears both sees no
//! difference.

use std::{
    collections::VecDeque,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};

use super::shard::unavailable;
use crate::server::layers::LayerError;

/// How often to ask for what is [overdue](Returns::overdue).
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// What may be on its way, in bytes; beyond it sending is refused.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How many messages are remembered that were handed out from here or refused, and may come back.
const REMEMBERED: usize = 16_384;

/// What was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The Redis channel or the key of the queue.
    pub(super) to: String,
    pub(super) body: Vec<u8>,
}

impl Sent {
    fn weight(&self) -> usize {
        self.to.len() + self.body.len() + size_of::<Item>()
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Returns {
    hasher: RandomState,
    state: Mutex<State>,
    /// Held by whoever hands out.
    order: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// In the order in which they were sent; their numbers rise.
    items: VecDeque<Item>,
    /// The number of the next one.
    next: u64,
    /// The weight of what is on its way.
    bytes: usize,
    /// How many are not on their way any more and may still come.
    remembered: usize,
    /// Up to this number they were there when somebody looked last.
    seen: u64,
}

struct Item {
    number: u64,
    hash: u64,
    /// None when it was handed out from here, or was refused.
    sent: Option<Sent>,
    /// Redis has taken it.
    taken: bool,
}

/// What to do with something that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Hand it out, after these, which it has overtaken.
    News(Vec<Sent>),
    /// Drop it: it was handed out, or its sender was told that it was not sent.
    Late,
}

impl Returns {
    /// Whether more may be sent.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`]: too much is on its way.
    pub(super) fn check(&self) -> Result<(), LayerError> {
        if self.state.lock().bytes < MOST_BYTES {
            return Ok(());
        }
        Err(unavailable(format!("{MOST_BYTES} bytes that were sent before are not back from Redis yet")))
    }

    /// Notes what is about to be sent, in the order of sending; gives its number.
    pub(super) fn note(&self, sent: Sent) -> u64 {
        let hash = self.hash(&sent.to, &sent.body);
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.bytes += sent.weight();
        state.items.push_back(Item { number, hash, sent: Some(sent), taken: false });
        number
    }

    /// Notes whether Redis has taken it. What it has refused is not handed out, also if it comes after all.
    pub(super) fn settle(&self, number: u64, taken: bool) {
        let mut state = self.state.lock();
        // It may be back already.
        let Ok(at) = state.items.binary_search_by_key(&number, |item| item.number) else { return };
        if taken {
            state.items[at].taken = true;
        } else {
            drop(state.take(at));
        }
    }

    /// Nobody has got it, and nobody will.
    pub(super) fn withdraw(&self, number: u64) {
        let mut state = self.state.lock();
        if let Ok(at) = state.items.binary_search_by_key(&number, |item| item.number) {
            drop(state.take(at));
            state.items.remove(at);
            state.remembered -= 1;
        }
    }

    /// What is on its way is not to be handed out any more.
    pub(super) fn give_up(&self) {
        let mut state = self.state.lock();
        for at in 0..state.items.len() {
            drop(state.take(at));
        }
        state.forget();
    }

    /// To be held while something is handed out, from asking here what that is.
    pub(super) fn in_order(&self) -> MutexGuard<'_, ()> {
        self.order.lock()
    }

    /// Something has come from Redis, whoever has sent it.
    pub(super) fn arrive(&self, to: &str, body: &[u8]) -> Arrival {
        // Mostly so where others speak.
        if self.state.lock().items.is_empty() {
            return Arrival::News(Vec::new());
        }
        let hash = self.hash(to, body);
        let mut state = self.state.lock();
        let alike = |item: &Item| item.hash == hash;
        // Of equal ones first what is on its way: one that was handed out may never come.
        let on_its_way = state.items.iter().position(|item| alike(item) && item.sent.is_some());
        let Some(at) = on_its_way.or_else(|| state.items.iter().position(alike)) else { return Arrival::News(Vec::new()) };
        let was_handed_out = state.take(at).is_none();
        state.items.remove(at);
        state.remembered -= 1;
        if was_handed_out {
            return Arrival::Late;
        }
        let overtaken = (0..at).filter_map(|before| state.take(before)).collect();
        state.forget();
        Arrival::News(overtaken)
    }

    /// What Redis had taken when this was asked last, and has not given back. To be asked every now and then.
    pub(super) fn overdue(&self) -> Vec<Sent> {
        let mut state = self.state.lock();
        let next = state.next;
        let seen = std::mem::replace(&mut state.seen, next);
        let late = state.items.partition_point(|item| item.number < seen);
        let overdue = (0..late).filter_map(|at| if state.items[at].taken { state.take(at) } else { None }).collect();
        state.forget();
        overdue
    }

    fn hash(&self, to: &str, body: &[u8]) -> u64 {
        self.hasher.hash_one((to, body))
    }
}

impl State {
    /// Takes what is on its way; from now on it is remembered alone.
    fn take(&mut self, at: usize) -> Option<Sent> {
        let sent = self.items[at].sent.take();
        if let Some(sent) = &sent {
            self.bytes -= sent.weight();
        }
        self.remembered += usize::from(sent.is_some());
        sent
    }

    /// Bounds what is remembered; the oldest go.
    fn forget(&mut self) {
        while self.remembered > REMEMBERED
            && let Some(at) = self.items.iter().position(|item| item.sent.is_none())
        {
            self.items.remove(at);
            self.remembered -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: &str) -> Sent {
        Sent { to: "group".to_owned(), body: body.as_bytes().to_vec() }
    }

    /// What is handed out when this arrives, it included.
    fn arrive(returns: &Returns, body: &str) -> Vec<String> {
        match returns.arrive("group", body.as_bytes()) {
            Arrival::News(overtaken) => bodies(overtaken).into_iter().chain([body.to_owned()]).collect(),
            Arrival::Late => Vec::new(),
        }
    }

    fn bodies(sent: Vec<Sent>) -> Vec<String> {
        sent.into_iter().map(|sent| String::from_utf8(sent.body).unwrap()).collect()
    }

    fn overdue(returns: &Returns) -> Vec<String> {
        bodies(returns.overdue())
    }

    /// These are taken by Redis.
    fn taken(returns: &Returns, sent_bodies: &[&str]) {
        for body in sent_bodies {
            let number = returns.note(sent(body));
            returns.settle(number, true);
        }
    }

    fn assert_idle(returns: &Returns) {
        let state = returns.state.lock();
        assert_eq!((state.items.len(), state.bytes, state.remembered), (0, 0, 0));
    }

    #[test]
    fn what_comes_back_is_handed_out_as_it_comes() {
        let returns = Returns::default();
        taken(&returns, &["a", "b"]);
        for body in ["a", "another's", "b", "another's"] {
            assert_eq!(arrive(&returns, body), [body]);
        }
        assert!(overdue(&returns).is_empty() && overdue(&returns).is_empty());
        assert_idle(&returns);
    }

    #[test]
    fn what_is_overtaken_was_lost_and_goes_first() {
        let returns = Returns::default();
        taken(&returns, &["a", "b"]);
        returns.note(sent("c"));
        taken(&returns, &["d", "e"]);
        assert_eq!(arrive(&returns, "d"), ["a", "b", "c", "d"]);
        assert_eq!(arrive(&returns, "e"), ["e"]);
        for late in ["b", "a", "c"] {
            assert!(arrive(&returns, late).is_empty(), "{late} comes after all");
            // What another process sends is not what we have sent.
            assert_eq!(arrive(&returns, late), [late]);
        }
        assert_idle(&returns);
    }

    #[test]
    fn what_is_not_back_in_time_was_lost() {
        let returns = Returns::default();
        taken(&returns, &["a"]);
        let asked = returns.note(sent("not answered yet"));
        assert!(overdue(&returns).is_empty(), "it may be on its way");
        taken(&returns, &["b"]);
        assert_eq!(overdue(&returns), ["a"]);
        returns.settle(asked, true);
        assert_eq!(overdue(&returns), ["not answered yet", "b"]);
        assert!(overdue(&returns).is_empty());
        assert!(arrive(&returns, "a").is_empty(), "it comes after all");
    }

    #[test]
    fn what_was_refused_is_not_handed_out() {
        let returns = Returns::default();
        let refused = returns.note(sent("a"));
        returns.settle(refused, false);
        taken(&returns, &["b"]);
        assert_eq!(arrive(&returns, "b"), ["b"]);
        // It is sent again.
        taken(&returns, &["a"]);
        assert_eq!(arrive(&returns, "a"), ["a"]);
        assert!(arrive(&returns, "a").is_empty(), "Redis has carried the first one after all");
        let withdrawn = returns.note(sent("c"));
        returns.withdraw(withdrawn);
        assert_eq!(arrive(&returns, "c"), ["c"], "another's");
        assert_idle(&returns);
    }

    #[test]
    fn what_was_given_up_is_not_handed_out() {
        let returns = Returns::default();
        taken(&returns, &["a", "b"]);
        returns.give_up();
        taken(&returns, &["c"]);
        assert_eq!(arrive(&returns, "c"), ["c"]);
        assert!(overdue(&returns).is_empty() && overdue(&returns).is_empty());
    }

    #[test]
    fn equal_messages_are_handed_out_as_often_as_they_were_sent() {
        let returns = Returns::default();
        taken(&returns, &["a", "tick", "b", "tick"]);
        // One of another process is among them; which one cannot be told, and makes no difference.
        let heard: Vec<_> = ["tick", "a", "tick", "b", "tick"].iter().flat_map(|body| arrive(&returns, body)).collect();
        assert_eq!(heard, ["a", "tick", "b", "tick", "tick"]);
        assert_idle(&returns);
    }

    #[test]
    fn what_is_on_its_way_and_what_is_remembered_are_bounded() {
        let returns = Returns::default();
        let number = returns.note(Sent { to: String::new(), body: vec![0; MOST_BYTES] });
        assert!(returns.check().is_err());
        returns.settle(number, false);
        assert!(returns.check().is_ok());
        for n in 0..2 * REMEMBERED {
            taken(&returns, &[&n.to_string()]);
        }
        overdue(&returns);
        assert_eq!(overdue(&returns).len(), 2 * REMEMBERED);
        let state = returns.state.lock();
        assert_eq!((state.items.len(), state.bytes, state.remembered), (REMEMBERED, 0, REMEMBERED));
    }
}
