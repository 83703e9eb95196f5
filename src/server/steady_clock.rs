//! The time for what cannot be undone: messages, sessions and links that are deleted for their age.
//!
//! A clock can be wrong, for minutes after a machine has started or for as long as a server of time says something wrong, and a clock that
//! is far ahead makes every message old. So no single reading counts. The time that is certain to have come is the least that all readings of the
//! last hour say, each carried on to now by the monotonic clock; less than an hour of readings says nothing. And where a clock
//! leaps ahead by more than a day, of its own last reading or of what was said last before the start, it has to go on like that for six hours.
//!
//! What this errs by is to the side of keeping: a clock that was behind, a machine that was asleep and a server that has just started
//! delete later.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;
use tracing::warn;

use crate::wire::Timestamp;

/// So long the readings have to go back.
const SPAN: Duration = Duration::from_hours(1);
/// By more than this a clock leaps,
const LEAP: Duration = Duration::from_hours(24);
/// and then it is not believed for so long.
const AFTER_LEAP: Duration = Duration::from_hours(6);

/// What the clock said, and when.
#[derive(Clone, Copy, Debug)]
struct Reading {
    said: Timestamp,
    at: Instant,
}

impl Reading {
    /// What a clock says at `now` that goes on from here.
    fn carried_on_to(self, now: Instant) -> Timestamp {
        later(self.said, now.saturating_duration_since(self.at))
    }
}

/// A clock that is watched.
#[derive(Debug, Default)]
pub struct SteadyClock {
    /// The readings of the last [`SPAN`] and the one before them, in their order.
    readings: VecDeque<Reading>,
    /// When it leapt ahead last.
    leapt: Option<Instant>,
}

impl SteadyClock {
    /// Whether it was not read yet.
    pub fn is_new(&self) -> bool {
        self.readings.is_empty()
    }

    /// Notes what the clock says now, and gives the time that is certain to have come, if any is. `newest` is when something was
    /// done last, for the first reading: until then somebody else's readings are all that is known.
    pub fn read(&mut self, said: Timestamp, newest: Option<Timestamp>) -> Option<Timestamp> {
        let now = Instant::now();
        let expected = self.readings.back().map(|last| last.carried_on_to(now)).or(newest);
        if let Some(expected) = expected
            && said > later(expected, LEAP)
        {
            warn!(%said, %expected, "the clock is far ahead of what is known; for six hours nothing is deleted for its age");
            self.leapt = Some(now);
        }
        self.readings.push_back(Reading { said, at: now });
        while self.readings.get(1).is_some_and(|second| now.duration_since(second.at) >= SPAN) {
            self.readings.pop_front();
        }
        let watched = self.readings.front().is_some_and(|first| now.duration_since(first.at) >= SPAN);
        let calm = self.leapt.is_none_or(|leapt| now.duration_since(leapt) >= AFTER_LEAP);
        let least = self.readings.iter().map(|reading| reading.carried_on_to(now)).min();
        least.filter(|_| watched && calm)
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const YEAR: Duration = Duration::from_hours(24 * 365);

    /// Reads a clock every five minutes for so long, from now on; gives what was certain then. `ahead` says by how much the clock is wrong
    /// so many minutes after the beginning.
    async fn watch(mut clock: SteadyClock, minutes: u64, ahead: impl Fn(u64) -> Duration) -> Vec<Option<i64>> {
        let mut certain = Vec::new();
        for minute in (0..minutes).step_by(5) {
            let truth = Timestamp::from_millis(i64::try_from(minute).expect("few") * 60_000);
            let newest = Timestamp::from_millis(-60_000);
            let time = clock.read(later(truth, ahead(minute)), Some(newest));
            certain.push(time.map(|time| (time.as_millis() - truth.as_millis()) / 60_000));
            tokio::time::advance(5 * MINUTE).await;
        }
        certain
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_is_believed_after_an_hour() {
        let certain = watch(SteadyClock::default(), 120, |_| Duration::ZERO).await;
        assert_eq!(certain, [vec![None; 12], vec![Some(0); 12]].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_clock_says_for_less_than_an_hour_is_never_certain() {
        // By less than what it is said of, and by a lot.
        for by in [20 * MINUTE, YEAR] {
            let certain =
                watch(SteadyClock::default(), 1_000, |minute| if (200..255).contains(&minute) { by } else { Duration::ZERO });
            let certain = certain.await;
            assert!(certain.iter().flatten().all(|error| *error == 0), "{by:?}: {certain:?}");
            assert_eq!(certain.last(), Some(&Some(0)), "it is believed again");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_far_ahead_from_the_start_is_believed_after_six_hours() {
        let ahead = u64::try_from(YEAR.as_millis()).expect("a year") / 60_000;
        let certain = watch(SteadyClock::default(), 365, |_| YEAR).await;
        let (believed, not) = certain.split_last().expect("readings");
        assert!(not.iter().all(Option::is_none), "{certain:?}");
        assert_eq!(*believed, Some(i64::try_from(ahead).expect("a year")));
        // Unless it is set right before.
        let certain = watch(SteadyClock::default(), 500, |minute| if minute < 350 { YEAR } else { Duration::ZERO }).await;
        assert!(certain.iter().flatten().all(|error| *error == 0), "{certain:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_behind_is_followed_an_hour_later() {
        let certain = watch(SteadyClock::default(), 300, |minute| if minute < 100 { Duration::ZERO } else { 30 * MINUTE });
        let certain = certain.await;
        assert_eq!((certain[12], certain[20], certain[31], certain[32]), (Some(0), Some(0), Some(0), Some(30)));
    }
}
