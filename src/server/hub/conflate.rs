//! News of many things, told a few times a second: of each the newest.
//!
//! What comes after a while of quiet is told at once. Otherwise it waits for the next beat, and replaces what waits of the same key. This
//! is a state without clock; its owner counts the beats.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::feed::FeedKey;
use crate::wire::Position;

/// How often one is told in the long run.
pub const BEAT: Duration = Duration::from_millis(250);
/// How many times one may be told at once after a while of quiet.
pub(super) const AT_ONCE: u32 = 4;
/// With so many keys waiting one is told at once.
pub(super) const MOST_WAITING: usize = 1_000;

/// See the module.
pub struct Conflated<T> {
    waiting: HashMap<FeedKey, Waiting<T>>,
    /// How many have come.
    came: u64,
    /// How many times one was told that beats have not made up for yet.
    owed: u32,
    /// A beat is under way.
    beating: bool,
}

struct Waiting<T> {
    /// Its place in the order in which all came.
    came: u64,
    version: Position,
    news: T,
}

impl<T> Default for Conflated<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), came: 0, owed: 0, beating: false }
    }
}

impl<T> Conflated<T> {
    /// Takes in what is new of a key; what is older than what waits is let go.
    pub fn take(&mut self, key: &FeedKey, version: Position, news: T) {
        let is_newer = |known: &Position| known.epoch == version.epoch && known.offset > version.offset;
        if !self.waiting.get(key).is_some_and(|waiting| is_newer(&waiting.version)) {
            self.came += 1;
            self.waiting.insert(Arc::clone(key), Waiting { came: self.came, version, news });
        }
    }

    /// What is told now, in the order in which it came.
    pub fn told_now(&mut self) -> Vec<T> {
        let is_due = self.owed < AT_ONCE || self.waiting.len() >= MOST_WAITING;
        if self.waiting.is_empty() || !is_due {
            return Vec::new();
        }
        self.owed = AT_ONCE.min(self.owed + 1);
        self.all_waiting()
    }

    /// What waits, whether it is time or not.
    pub fn all_waiting(&mut self) -> Vec<T> {
        let mut waiting: Vec<_> = self.waiting.drain().map(|(_, waiting)| waiting).collect();
        waiting.sort_unstable_by_key(|waiting| waiting.came);
        waiting.into_iter().map(|waiting| waiting.news).collect()
    }

    /// A beat is over.
    pub fn beat(&mut self) {
        self.owed = self.owed.saturating_sub(1);
        self.beating = false;
    }

    /// Whether a beat begins now. If so, the caller sees to its end.
    pub fn begins_beat(&mut self) -> bool {
        let begins = self.owed > 0 && !self.beating;
        self.beating |= begins;
        begins
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
