//! How often something was done of late: so many times in a span, for each address or account.
//!
//! Unlike a [bucket](super::bucket) it gives nothing back little by little: whoever has done it too often waits until the span is over.

use std::{cmp::Ordering, collections::HashMap, hash::Hash, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Of so many is counted at most. Beyond, that half is forgotten which has done least, and of those who have done as much the oldest.
const MOST: usize = 65_536;

/// See the [module](self).
pub struct Counts<K> {
    most: u32,
    within: Duration,
    kept: Mutex<HashMap<K, (u32, Instant)>>,
}

impl<K: Eq + Hash> Counts<K> {
    /// So many times at most in this span.
    pub fn new(most: u32, within: Duration) -> Self {
        Self { most, within, kept: Mutex::default() }
    }

    /// # Errors
    /// It was done so often already; how long until that does not count any more.
    pub fn may(&self, key: &K) -> Result<(), Duration> {
        match self.kept.lock().get(key) {
            Some((count, since)) if *count >= self.most && since.elapsed() < self.within => {
                Err(self.within.saturating_sub(since.elapsed()))
            }
            _ => Ok(()),
        }
    }

    /// It is done, whether it may be or not.
    pub fn count(&self, key: K) {
        let mut kept = self.kept.lock();
        if kept.len() >= MOST && !kept.contains_key(&key) {
            kept.retain(|_, (_, since)| since.elapsed() < self.within);
            if kept.len() > MOST / 2 {
                keep_greater_half(&mut kept, |counted| *counted);
            }
        }
        let (count, since) = kept.entry(key).or_insert_with(|| (0, Instant::now()));
        if since.elapsed() >= self.within {
            (*count, *since) = (0, Instant::now());
        }
        *count = count.saturating_add(1);
    }

    /// It was counted for nothing.
    pub fn give_back(&self, key: &K) {
        if let Some((count, _)) = self.kept.lock().get_mut(key) {
            *count = count.saturating_sub(1);
        }
    }

    /// The same as [`may`](Self::may), and counts it if it may be.
    ///
    /// # Errors
    /// See there.
    pub fn take(&self, key: K) -> Result<(), Duration> {
        self.may(&key)?;
        self.count(key);
        Ok(())
    }
}

/// Forgets that half of which the rank is least.
pub fn keep_greater_half<K: Eq + Hash, V, R: Ord + Copy>(map: &mut HashMap<K, V>, rank: impl Fn(&V) -> R) {
    let mut ranks: Vec<R> = map.values().map(&rank).collect();
    if ranks.is_empty() {
        return;
    }
    let half = ranks.len() / 2;
    let median = *ranks.select_nth_unstable(half).1;
    // Many may be alike: of these no more go than have to.
    let mut alike = half - ranks.iter().take(half).filter(|rank| **rank < median).count();
    map.retain(|_, value| match rank(value).cmp(&median) {
        Ordering::Less => false,
        Ordering::Equal if alike > 0 => {
            alike -= 1;
            false
        }
        _ => true,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_mins(3);

    #[tokio::test(start_paused = true)]
    async fn so_many_times_and_then_again_when_the_span_is_over() {
        let counts = Counts::new(3, SPAN);
        assert!((0..3).all(|_| counts.take("ann").is_ok()));
        tokio::time::advance(SPAN / 3).await;
        assert_eq!((counts.take("ann"), counts.take("bob")), (Err(SPAN * 2 / 3), Ok(())));
        counts.give_back(&"ann");
        assert_eq!((counts.take("ann"), counts.may(&"ann")), (Ok(()), Err(SPAN * 2 / 3)));
        tokio::time::advance(SPAN).await;
        assert_eq!(counts.take("ann"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded_and_who_has_done_most_is_remembered() {
        let counts = Counts::new(2, SPAN);
        assert!((0..2).all(|_| counts.take(0).is_ok()));
        for other in 1..3 * MOST {
            assert!(counts.take(other).is_ok());
            assert!(counts.may(&0).is_err(), "a flood of others frees nobody: {other}");
        }
        assert!(counts.kept.lock().len() <= MOST);
    }

    #[test]
    fn half_is_kept_whatever_the_values_are() {
        for values in [vec![], vec![1], vec![7; 10], (0..10).collect(), vec![1, 1, 1, 9, 9, 9]] {
            let mut map: HashMap<usize, i32> = values.iter().copied().enumerate().collect();
            keep_greater_half(&mut map, |value| *value);
            assert_eq!(map.len(), values.len() - values.len() / 2);
            assert!(map.values().max() == values.iter().max());
        }
    }
}
