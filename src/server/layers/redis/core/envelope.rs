//! The bytes before each message.
//!
//! A sorted set holds a member once, so `channels_redis` puts random bytes before each message and its readers strip them. Here
//! the first eight are a counter: where two messages have the same score, Redis orders them by their bytes, and so by
//! their time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use crate::server::layers::LayerError;

pub(super) struct Envelope {
    length: usize,
    counter: AtomicU64,
}

impl Envelope {
    /// `length` is that of the prefix, in bytes, the same on every peer.
    pub(super) fn new(length: usize) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        // A process that begins later begins higher.
        Self { length, counter: AtomicU64::new(now.as_micros() as u64) }
    }

    /// The message behind its prefix.
    pub(super) fn seal(&self, message: Vec<u8>) -> Result<Vec<u8>, LayerError> {
        let mut sealed = vec![0; self.length];
        let counter = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        // Of a prefix that is shorter, the part of the counter that changes.
        let counted = self.length.min(counter.len());
        sealed[..counted].copy_from_slice(&counter[counter.len() - counted..]);
        getrandom::fill(&mut sealed[counted..]).map_err(|cause| LayerError::Unavailable(cause.into()))?;
        sealed.extend(message);
        Ok(sealed)
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
            let envelope = Envelope::new(length);
            let sealed: Vec<_> = (0..100).map(|_| envelope.seal(b"same".to_vec()).unwrap()).collect();
            assert!(sealed.is_sorted_by(|a, b| a < b), "{length}");
            assert!(sealed.iter().all(|sealed| envelope.open(sealed) == Some(b"same") && sealed.len() == length + 4));
        }
    }

    #[test]
    fn a_prefix_may_be_left_out_but_not_be_short() {
        assert_eq!(Envelope::new(0).seal(b"bare".to_vec()).unwrap(), b"bare");
        assert_eq!(Envelope::new(12).open(b"too short"), None);
    }
}
