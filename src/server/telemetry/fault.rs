//! Faults that last: a store that cannot write, or a layer that is away, is met by everybody who needs it. The log says when that
//! begins and when it ends, not each time in between; and where it comes and goes, as when one of several backends is away, the
//! log says so now and then.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long nothing is news after something was.
const QUIET: Duration = Duration::from_secs(10);
/// How long a failure says something about how it would go now.
const TELLING: Duration = Duration::from_mins(1);

/// Whether something that is done again and again fails. It begins well.
#[derive(Debug, Default)]
pub struct Fault {
    /// The last time it failed.
    failed: AtomicBool,
    /// When it failed last.
    failed_at: Mutex<Option<Instant>>,
    /// What was news last, and when.
    told: AtomicBool,
    told_at: Mutex<Option<Instant>>,
}

impl Fault {
    /// Notes how it went this time, and says whether that is news: it is not as it was when something was news last, and that is
    /// a while ago.
    pub fn is_news(&self, failed: bool) -> bool {
        if failed {
            *self.failed_at.lock() = Some(Instant::now());
        }
        // Mostly it goes as it went before, which is known without writing.
        if self.failed.load(Relaxed) != failed {
            self.failed.store(failed, Relaxed);
        }
        if self.told.load(Relaxed) == failed {
            return false;
        }
        let mut told_at = self.told_at.lock();
        let news = self.told.load(Relaxed) != failed && told_at.is_none_or(|at| at.elapsed() >= QUIET);
        if news {
            self.told.store(failed, Relaxed);
            *told_at = Some(Instant::now());
        }
        news
    }

    /// The last time it failed, and not so long ago that nobody knows how it would go now: who stays away from it because of this
    /// would never find out that it is over.
    pub fn lasts(&self) -> bool {
        self.failed.load(Relaxed) && self.failed_at.lock().is_some_and(|at| at.elapsed() < TELLING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_forgotten_when_it_was_not_tried_again() {
        let fault = Fault::default();
        fault.is_news(true);
        tokio::time::advance(TELLING / 2).await;
        fault.is_news(true);
        tokio::time::advance(TELLING / 2).await;
        assert!(fault.lasts());
        tokio::time::advance(TELLING / 2).await;
        assert!(!fault.lasts());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_change_is_news_and_not_more_often_than_now_and_then() {
        let fault = Fault::default();
        for (failed, news) in [(false, false), (true, true), (true, false), (false, false), (true, false), (false, false)] {
            assert_eq!((fault.is_news(failed), fault.lasts()), (news, failed));
        }
        tokio::time::advance(QUIET).await;
        for (failed, news) in [(true, false), (false, true), (false, false), (true, false)] {
            assert_eq!((fault.is_news(failed), fault.lasts()), (news, failed));
        }
        tokio::time::advance(QUIET).await;
        assert!(fault.is_news(true), "it failed all the while");
    }
}
