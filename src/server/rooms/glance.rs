//! A look at something that whoever asks may have as it was a moment ago, so that asking often costs no more than asking once.

use std::{future::Future, time::Duration};

use tokio::{sync::Mutex, time::Instant};

/// For how long a look is as good as another.
const FRESH: Duration = Duration::from_secs(1);

/// What was last seen, and when. While somebody looks, the others wait for what that one sees.
#[derive(Default)]
pub(super) struct Glance<T> {
    seen: Mutex<Option<(Instant, T)>>,
}

impl<T: Copy> Glance<T> {
    /// What `look` finds, or found within the last second.
    pub(super) async fn at(&self, look: impl Future<Output = T>) -> T {
        let mut seen = self.seen.lock().await;
        if let Some((when, found)) = *seen
            && when.elapsed() < FRESH
        {
            return found;
        }
        let found = look.await;
        *seen = Some((Instant::now(), found));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everybody_shares_one_look_a_second() {
        let (glance, looks) = (&Glance::default(), &AtomicUsize::new(0));
        let look = |found| async move {
            looks.fetch_add(1, Relaxed);
            tokio::time::sleep(FRESH / 2).await;
            found
        };
        let look = |found| glance.at(look(found));
        let first = join_all((0..100).map(|n| look(n == 0))).await;
        assert!(first.iter().all(|found| *found));
        assert_eq!(looks.load(Relaxed), 1);
        assert!(look(false).await);
        tokio::time::advance(FRESH).await;
        assert!(!join_all((0..100).map(|_| look(false))).await.contains(&true));
        assert_eq!(looks.load(Relaxed), 2);
    }
}
