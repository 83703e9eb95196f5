//! How busy a node is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The figures of one node at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// The machine's name, and the number of the process there.
    pub host: String,
    pub version: String,
    /// For how long it runs, in seconds.
    pub up_s: u64,
    /// `WebSocket`s that are open now.
    pub connections: u64,
    /// Messages from clients in a second, over the last seconds.
    pub messages_per_s: f64,
    /// Events that were handed to sockets in a second, over the last seconds.
    pub deliveries_per_s: f64,
    /// Memory of the process, in bytes; 0 where the system does not say.
    pub memory_bytes: u64,
    /// What waits for sockets to take it, in bytes.
    pub queued_bytes: u64,
    /// Topics with members here.
    pub groups: u64,
    /// What the channel layer is in trouble with, if it is,
    pub layer: Option<String>,
    /// and the store.
    pub store: Option<String>,
}

/// What grows while a server runs, at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub messages: u64,
    pub deliveries: u64,
}

/// What was counted some seconds ago, twice: so a rate is of five to ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    older: (Duration, Counted),
    newer: (Duration, Counted),
}

/// How long a sample is the newest.
const SAMPLED: Duration = Duration::from_secs(5);

impl Rates {
    /// What is counted now, at a time since the start; gives how much of it there is in a second.
    pub(super) fn per_second(&mut self, at: Duration, now: Counted) -> (f64, f64) {
        let (since, before) = self.older;
        let seconds = at.saturating_sub(since).as_secs_f64().max(1.0);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let rates = (rate(now.messages, before.messages), rate(now.deliveries, before.deliveries));
        self.sample(at, now);
        rates
    }

    /// Keeps what is counted now, if the last time was long enough ago.
    pub(super) fn sample(&mut self, at: Duration, now: Counted) {
        if at.saturating_sub(self.newer.0) >= SAMPLED {
            self.older = self.newer;
            self.newer = (at, now);
        }
    }
}

/// How much memory the process has, in bytes.
pub fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// The machine's name, and the number of this process.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = if name.trim().is_empty() { "this machine" } else { name.trim() };
    format!("{name} ({})", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_seconds() {
        let mut rates = Rates::default();
        let second = |n| Duration::from_secs(n);
        let counted = |n| Counted { messages: 10 * n, deliveries: 100 * n };
        // Ten and a hundred a second.
        for n in 0..60 {
            let (messages, deliveries) = rates.per_second(second(n), counted(n));
            if n > 0 {
                assert!((messages - 10.0).abs() < 1e-9 && (deliveries - 100.0).abs() < 1e-9, "{n}");
            }
        }
        // Then nothing: it is forgotten soon.
        for n in 60..72 {
            rates.sample(second(n), counted(59));
        }
        assert_eq!(rates.per_second(second(72), counted(59)), (0.0, 0.0));
        assert!(memory() > 1 << 20 && host().ends_with(')'));
    }
}
