//! A token bucket: so many a second, with a burst of five seconds' worth.

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
        if self.rate == 0.0 {
            return Ok(());
        }
        let now = Instant::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * self.rate;
        (self.tokens, self.filled) = ((self.tokens + earned).min(self.rate * BURST_S), now);
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate));
        }
        self.tokens -= 1.0;
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

    #[test]
    fn zero_is_no_bound() {
        let mut bucket = Bucket::new(0);
        assert!((0..100_000).all(|_| bucket.take().is_ok()));
    }
}
