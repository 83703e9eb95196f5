//! The bytes before each message.
//!
//! A sorted set holds a member once, so `channels_redis` puts random bytes before each message and its readers strip them. Here
//! the first eight are a counter, which also tells this process's messages apart: where two have the same score, Redis orders
//! them by their bytes, and so by their time. The rest is drawn once and tells processes apart.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use super::super::shard::unavailable;
use crate::server::layers::LayerError;

pub(super) struct Envelope {
    length: usize,
    counter: AtomicU64,
    /// What follows the counter, where the prefix is longer than that.
    process: Vec<u8>,
}

impl Envelope {
    /// `length` is that of the prefix, in bytes, the same on every peer.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] if the system has no random numbers.
    pub(super) fn new(length: usize) -> Result<Self, LayerError> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let mut process = vec![0; length.saturating_sub(size_of::<u64>())];
        getrandom::fill(&mut process).map_err(unavailable)?;
        // A process that begins later begins higher.
        Ok(Self { length, counter: AtomicU64::new(now.as_micros() as u64), process })
    }

    /// The message behind its prefix.
    pub(super) fn seal(&self, message: &[u8]) -> Vec<u8> {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        // Of a prefix that is shorter, the part of the counter that changes.
        let counted = &counter[counter.len().saturating_sub(self.length)..];
        [counted, &self.process, message].concat()
    }

    /// The message without its prefix; none if it is shorter than that.
    pub(super) fn open<'a>(&self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        sealed.get(self.length..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_messages_sort_behind_and_equal_ones_differ() {
        for length in [4, 8, 12, 20] {
            let envelope = Envelope::new(length).unwrap();
            let sealed: Vec<_> = (0..100).map(|_| envelope.seal(b"same")).collect();
            assert!(sealed.is_sorted_by(|a, b| a < b), "{length}");
            assert!(sealed.iter().all(|sealed| envelope.open(sealed) == Some(b"same") && sealed.len() == length + 4));
        }
    }

    #[test]
    fn a_prefix_may_be_left_out_but_not_be_short() {
        assert_eq!(Envelope::new(0).unwrap().seal(b"bare"), b"bare");
        assert_eq!(Envelope::new(12).unwrap().open(b"too short"), None);
    }
}
