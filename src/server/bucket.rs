//! Token buckets: so many a second, with a burst of five seconds' worth. A [`Bucket`] bounds one connection or program;
//! [`Buckets`] has one for each address or account, as long as it matters.

use std::{collections::HashMap, hash::Hash, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// How many seconds' worth may come at once.
const BURST_S: f64 = 5.0;
/// With so many buckets, those that are full are looked for the first time.
const FEW: usize = 1_024;
/// How many buckets are kept at most: about 4 MiB of them.
const MOST: usize = 65_536;

pub struct Bucket {
    /// Per second; 0 for no bound.
    rate: f64,
    /// Below zero for what is owed.
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub fn new(per_second: u32) -> Self {
        let rate = f64::from(per_second);
        Self { rate, tokens: rate * BURST_S, filled: Instant::now() }
    }

    /// Takes a token, or says how long it is until there is one.
    pub fn take(&mut self) -> Result<(), Duration> {
        self.take_many(1)
    }

    /// Takes so many at once as soon as there is one: what goes beyond is owed, and paid off before the next are given. So a
    /// batch larger than the burst can go through, and the rate holds all the same.
    pub fn take_many(&mut self, count: u32) -> Result<(), Duration> {
        match self.wait(Instant::now()) {
            Duration::ZERO => {
                self.charge(count);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// How long it is until there is a token.
    pub fn wait(&mut self, now: Instant) -> Duration {
        if self.rate == 0.0 {
            return Duration::ZERO;
        }
        self.fill(now);
        Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.rate)
    }

    /// Takes so many, whether they are there or have to be owed.
    pub fn charge(&mut self, count: u32) {
        if self.rate > 0.0 {
            self.tokens -= f64::from(count);
        }
    }

    /// Gives back so many that were taken or owed for nothing.
    pub fn refund(&mut self, count: u32) {
        self.tokens = (self.tokens + f64::from(count)).min(self.rate * BURST_S);
    }

    fn fill(&mut self, now: Instant) {
        let earned = now.duration_since(self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + earned).min(self.rate * BURST_S);
        // Whoever had to wait for a lock may come with a time that is past.
        self.filled = self.filled.max(now);
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.rate * BURST_S
    }
}

/// A bucket for each address or account, all with the same rate.
///
/// A bucket that is full again is as good as a new one and need not be kept. They are looked for when there are twice as many
/// as were left the last time, so a bucket costs the same however many there are, and nothing has to run for that. There are
/// never more than [`MOST`]: beyond, that half is forgotten which has taken least.
pub struct Buckets<K> {
    per_second: u32,
    kept: Mutex<Kept<K>>,
}

struct Kept<K> {
    buckets: HashMap<K, Bucket>,
    /// With so many, some are to be forgotten before one more comes.
    room: usize,
}

impl<K: Eq + Hash + Copy> Buckets<K> {
    /// Of this rate each; 0 for no bound.
    pub fn new(per_second: u32) -> Self {
        Self { per_second, kept: Mutex::new(Kept { buckets: HashMap::new(), room: FEW }) }
    }

    /// The rate of each; 0 for no bound.
    pub fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Takes a token of this one's, or says how long it is until there is one.
    pub fn take(&self, key: K) -> Result<(), Duration> {
        self.with(key, Bucket::take).unwrap_or(Ok(()))
    }

    /// Takes so many tokens of this one's, owed if need be, and says how long it is until there is another.
    pub fn charge(&self, key: K, count: u32) -> Duration {
        let charged = self.with(key, |bucket| {
            bucket.charge(count);
            bucket.wait(Instant::now())
        });
        charged.unwrap_or_default()
    }

    /// Gives back so many that this one has taken or owes for nothing.
    pub fn refund(&self, key: K, count: u32) {
        if let Some(bucket) = self.kept.lock().buckets.get_mut(&key) {
            bucket.refund(count);
        }
    }

    /// How long it is until this one has a token.
    pub fn wait(&self, key: K) -> Duration {
        // One that is not kept is full.
        self.kept.lock().buckets.get_mut(&key).map_or(Duration::ZERO, |bucket| bucket.wait(Instant::now()))
    }

    fn with<T>(&self, key: K, spend: impl FnOnce(&mut Bucket) -> T) -> Option<T> {
        if self.per_second == 0 {
            return None;
        }
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        if kept.buckets.len() >= kept.room && !kept.buckets.contains_key(&key) {
            kept.forget(Instant::now());
        }
        Some(spend(kept.buckets.entry(key).or_insert_with(|| Bucket::new(self.per_second))))
    }
}

impl<K: Eq + Hash> Kept<K> {
    fn forget(&mut self, now: Instant) {
        self.buckets.retain(|_, bucket| !bucket.is_full(now));
        if self.buckets.len() > MOST / 2 {
            let mut tokens: Vec<f64> = self.buckets.values().map(|bucket| bucket.tokens).collect();
            let middle = tokens.len() / 2;
            let (_, median, _) = tokens.select_nth_unstable_by(middle, f64::total_cmp);
            self.buckets.retain(|_, bucket| bucket.tokens < *median);
        }
        self.room = (self.buckets.len() * 2).clamp(FEW, MOST);
        self.buckets.shrink_to(self.room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate() {
        let mut bucket = Bucket::new(20);
        assert!((0..100).all(|_| bucket.take().is_ok()));
        let wait = bucket.take().expect_err("the burst is used up");
        assert_eq!(wait.as_millis(), 50);
        tokio::time::advance(wait + Duration::from_micros(1)).await;
        assert!(bucket.take().is_ok() && bucket.take().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_batch_is_paid_off_afterwards() {
        let mut bucket = Bucket::new(20);
        assert!(bucket.take_many(1_000).is_ok());
        let wait = bucket.take().expect_err("900 are owed");
        assert_eq!(wait.as_millis(), 45_050);
        tokio::time::advance(wait + Duration::from_micros(1)).await;
        assert!(bucket.take().is_ok() && bucket.take().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_is_past_earns_nothing() {
        let mut bucket = Bucket::new(1);
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(bucket.take_many(5).is_ok());
        let wait = Duration::from_secs(1);
        assert_eq!((bucket.wait(Instant::now()), bucket.wait(before), bucket.wait(Instant::now())), (wait, wait, wait));
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_no_bound() {
        let mut bucket = Bucket::new(0);
        assert!((0..100_000).all(|_| bucket.take().is_ok()));
        bucket.charge(1_000);
        assert!(bucket.take().is_ok());
        let buckets = Buckets::new(0);
        assert!((0..100_000).all(|_| buckets.take(1).is_ok() && buckets.charge(1, 1).is_zero()));
        assert!(buckets.kept.lock().buckets.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_its_own_and_what_is_owed_is_paid_off() {
        let buckets = Buckets::new(1);
        assert!((0..5).all(|_| buckets.take("one").is_ok()));
        assert_eq!(buckets.take("one"), Err(Duration::from_secs(1)));
        assert_eq!(buckets.charge("one", 1), Duration::from_secs(2));
        assert!(buckets.take("other").is_ok());
        tokio::time::advance(Duration::from_millis(2_001)).await;
        assert!(buckets.take("one").is_ok() && buckets.take("one").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn full_buckets_are_forgotten_and_others_are_not() {
        let buckets = Buckets::new(1);
        for key in 0..FEW {
            buckets.charge(key, 1);
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!((0..5).all(|_| buckets.take(FEW).is_ok()));
        let kept = buckets.kept.lock().buckets.len();
        assert_eq!(kept, 1, "all the others were full again");
        for key in 0..FEW - 1 {
            buckets.charge(key, 1);
        }
        assert!(buckets.take(FEW + 1).is_ok());
        assert_eq!(buckets.kept.lock().buckets.len(), FEW + 1, "none of them is full");
        assert!(buckets.take(FEW).is_err(), "it has nothing left");
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_too_many_and_who_took_most_is_remembered() {
        let buckets = Buckets::new(1);
        assert!((0..5).all(|_| buckets.take(0).is_ok()));
        for key in 1..3 * MOST {
            assert!(buckets.take(key).is_ok());
            assert!(buckets.take(0).is_err(), "it was forgotten with {key}");
        }
        assert!(buckets.kept.lock().buckets.len() <= MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_is_there_again_and_never_more_than_the_burst() {
        let buckets = Buckets::new(10);
        assert_eq!(buckets.charge("one", 1_000), Duration::from_millis(95_100));
        buckets.refund("one", 949);
        assert_eq!(buckets.wait("one"), Duration::from_millis(200));
        buckets.refund("one", 1_000_000);
        assert_eq!(buckets.charge("one", 49), Duration::ZERO);
        assert_eq!(buckets.charge("one", 1), Duration::from_millis(100));
        buckets.refund("another", 1);
        assert_eq!((buckets.wait("another"), buckets.kept.lock().buckets.len()), (Duration::ZERO, 1));
    }
}
