//! A token bucket: so many a second, with a burst of five seconds' worth. It bounds the connections and the programs that push.

use std::time::Duration;

use tokio::time::Instant;

/// How many seconds' worth may come at once.
const BURST_S: f64 = 5.0;

pub(super) struct Bucket {
    /// Per second; 0 for no bound.
    rate: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(per_second: u32) -> Self {
        let rate = f64::from(per_second);
        Self { rate, tokens: rate * BURST_S, filled: Instant::now() }
    }

    /// Takes a token, or says how long it is until there is one.
    pub(super) fn take(&mut self) -> Result<(), Duration> {
        self.take_many(1)
    }

    /// Takes so many at once as soon as there is one: what goes beyond is owed, and paid off before the next are given. So a
    /// batch larger than the burst can go through, and the rate holds all the same.
    pub(super) fn take_many(&mut self, count: u32) -> Result<(), Duration> {
        if self.rate == 0.0 {
            return Ok(());
        }
        let now = Instant::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * self.rate;
        (self.tokens, self.filled) = ((self.tokens + earned).min(self.rate * BURST_S), now);
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate));
        }
        self.tokens -= f64::from(count);
        Ok(())
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

    #[test]
    fn zero_is_no_bound() {
        let mut bucket = Bucket::new(0);
        assert!((0..100_000).all(|_| bucket.take().is_ok()));
    }
}
