//! Unread messages of this process, and who waits for one; the backends share it.
//!
//! Each channel has a line of messages and a line of readers. A message stays in its line until a reader takes it, so a
//! reader may give up at any time and nothing is lost. The readers' line is a semaphore with one permit for each message: it is
//! fair, it passes a permit on when its holder gives up, and whoever comes later cannot overtake.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::Instant};

use super::{Capacities, Channel, Event, LONGEST_TIME};

pub(super) struct Mailboxes {
    expiry: Duration,
    /// Those that have a message or a reader.
    lines: HashMap<Channel, Line>,
    /// How many letters there are for each non-local name that has any.
    unread: HashMap<Box<str>, usize>,
    /// Every line with a message, by when its first message expires.
    due: BTreeSet<(Instant, Channel)>,
}

struct Line {
    letters: VecDeque<Arc<Letter>>,
    readers: usize,
    /// At least one permit for each letter. There may be more: the permit of an expired letter that was with a reader already.
    /// Such a reader finds nothing and queues again.
    turns: Arc<Semaphore>,
}

/// One message to one mailbox. Virtual channels that get it by one `group_send` share it, and it counts once until
/// the last of them has it. Only lines hold letters, under the lock of [`Mailboxes`], so its reference count tells which is last.
struct Letter {
    event: Arc<Event>,
    expires: Instant,
}

impl Line {
    fn new() -> Self {
        Self { letters: VecDeque::new(), readers: 0, turns: Arc::new(Semaphore::new(0)) }
    }

    fn is_unused(&self) -> bool {
        self.letters.is_empty() && self.readers == 0
    }
}

impl Mailboxes {
    pub(super) fn new(expiry: Duration) -> Self {
        Self { expiry: expiry.min(LONGEST_TIME), lines: HashMap::new(), unread: HashMap::new(), due: BTreeSet::new() }
    }

    /// Puts `event` into the mailbox of `channels`, which have the same non-local part. Returns how many of them were full.
    pub(super) fn put(&mut self, channels: &[Channel], event: &Arc<Event>, capacities: &Capacities) -> usize {
        let Some(first) = channels.first() else { return 0 };
        let now = self.expire();
        let unread = self.unread.get(first.non_local()).copied().unwrap_or(0);
        let letter = Arc::new(Letter { event: Arc::clone(event), expires: now + self.expiry });
        let mut full = 0;
        for channel in channels {
            if unread < capacities.of(channel) {
                self.append(channel, &letter);
            } else {
                full += 1;
            }
        }
        if full < channels.len() {
            *self.unread.entry(first.non_local().into()).or_default() += 1;
        }
        full
    }

    fn append(&mut self, channel: &Channel, letter: &Arc<Letter>) {
        let line = self.lines.entry(channel.clone()).or_insert_with(Line::new);
        if line.letters.is_empty() {
            self.due.insert((letter.expires, channel.clone()));
        }
        line.letters.push_back(Arc::clone(letter));
        line.turns.add_permits(1);
    }

    /// Whether a reader waits for whom there is no message.
    pub(super) fn is_hungry(&self) -> bool {
        self.lines.values().any(|line| line.readers > line.letters.len())
    }

    /// How many messages with this non-local part are unread.
    pub(super) fn unread(&mut self, non_local: &str) -> usize {
        self.expire();
        self.unread.get(non_local).copied().unwrap_or(0)
    }

    /// The oldest message of `channel`, for a reader that had its turn; with it the reader has left the line.
    fn take(&mut self, channel: &Channel) -> Option<Arc<Event>> {
        self.expire();
        let line = self.lines.get_mut(channel)?;
        let letter = line.letters.pop_front()?;
        line.readers -= 1;
        self.due.remove(&(letter.expires, channel.clone()));
        if let Some(next) = line.letters.front() {
            self.due.insert((next.expires, channel.clone()));
        }
        if line.is_unused() {
            self.lines.remove(channel);
        }
        let event = Arc::clone(&letter.event);
        self.release(channel, letter);
        Some(event)
    }

    /// Drops the messages that are due, and returns the present. The present is only read here, under the lock, so the
    /// messages of a line expire in the order in which they stand.
    fn expire(&mut self) -> Instant {
        let now = Instant::now();
        while self.due.first().is_some_and(|(expires, _)| *expires <= now) {
            if let Some((_, channel)) = self.due.pop_first() {
                self.expire_line(&channel, now);
            }
        }
        now
    }

    fn expire_line(&mut self, channel: &Channel, now: Instant) {
        let Some(line) = self.lines.get_mut(channel) else { return };
        let fresh = line.letters.partition_point(|letter| letter.expires <= now);
        let expired: Vec<_> = line.letters.drain(..fresh).collect();
        line.turns.forget_permits(expired.len());
        if let Some(next) = line.letters.front() {
            self.due.insert((next.expires, channel.clone()));
        } else if line.is_unused() {
            self.lines.remove(channel);
        }
        for letter in expired {
            self.release(channel, letter);
        }
    }

    /// Counts the letter as read if no other line has it.
    fn release(&mut self, channel: &Channel, letter: Arc<Letter>) {
        if Arc::into_inner(letter).is_none() {
            return;
        }
        if let Some(unread) = self.unread.get_mut(channel.non_local()) {
            *unread -= 1;
            if *unread == 0 {
                self.unread.remove(channel.non_local());
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.unread.clear();
        self.due.clear();
        self.lines.retain(|_, line| {
            line.turns.forget_permits(line.letters.len());
            line.letters.clear();
            !line.is_unused()
        });
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.unread.is_empty() && self.due.is_empty()
    }
}

/// A place in the readers' line of a channel, given up by dropping it.
pub(super) struct Reader<'a> {
    mailboxes: &'a Mutex<Mailboxes>,
    channel: &'a Channel,
    turns: Arc<Semaphore>,
    /// Until it has its message.
    in_line: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn join(mailboxes: &'a Mutex<Mailboxes>, channel: &'a Channel) -> Self {
        let mut guard = mailboxes.lock();
        let line = guard.lines.entry(channel.clone()).or_insert_with(Line::new);
        line.readers += 1;
        Self { mailboxes, channel, turns: Arc::clone(&line.turns), in_line: true }
    }

    /// The channel's next message. Between getting the turn and taking the message there is no await, so that nobody can give
    /// up there.
    pub(super) async fn next(mut self) -> Arc<Event> {
        loop {
            let turn = self.turns.acquire().await.expect("the semaphore is open"); // never: nobody closes it
            turn.forget();
            let taken = self.mailboxes.lock().take(self.channel);
            if let Some(event) = taken {
                self.in_line = false;
                return event;
            }
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if !self.in_line {
            return;
        }
        let mut guard = self.mailboxes.lock();
        let Some(line) = guard.lines.get_mut(self.channel) else { return };
        line.readers -= 1;
        if line.is_unused() {
            guard.lines.remove(self.channel);
        }
    }
}
