//! How long deliveries take, counted without a lock, since members note tens of thousands a second beside the server that is measured.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Instant,
};

/// Delays are told apart by so many microseconds,
const STEP: u64 = 20;
/// and up to so many times that; longer ones count as that long.
const STEPS: usize = 250_000;

/// When each message was sent, and how many deliveries took how long.
pub struct Delays {
    began: Instant,
    /// By the number of the message, in microseconds after the beginning.
    sent: Vec<AtomicU64>,
    counts: Vec<AtomicU32>,
}

impl Delays {
    /// For messages with the numbers 1 to `messages`.
    pub fn new(messages: u32) -> Self {
        let sent = (0..=messages).map(|_| AtomicU64::new(0)).collect();
        Self { began: Instant::now(), sent, counts: (0..STEPS).map(|_| AtomicU32::new(0)).collect() }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// The message is about to be sent.
    pub fn sent(&self, number: u32) {
        self.sent[number as usize].store(self.now(), Ordering::Relaxed);
    }

    /// A member has got it.
    pub fn arrived(&self, number: u32) {
        let delay = self.now().saturating_sub(self.sent[number as usize].load(Ordering::Relaxed));
        self.counts[((delay / STEP) as usize).min(STEPS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// How many deliveries were noted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(count.load(Ordering::Relaxed))).sum()
    }

    /// The delay below which a part of the deliveries is, in milliseconds.
    pub fn quantile(&self, part: f64) -> f64 {
        let below = (self.count() as f64 * part) as u64;
        let mut seen = 0;
        let step = self.counts.iter().position(|count| {
            seen += u64::from(count.load(Ordering::Relaxed));
            seen > below
        });
        (step.unwrap_or(STEPS) as u64 * STEP) as f64 / 1e3
    }
}
