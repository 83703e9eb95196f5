//! Drops what the rules of the rooms do not keep, and what no room keeps: more than so many changes of its messages.
//!
//! Every few minutes one task goes through the rooms of a store, a few names at a time, and has the store drop of each what is over
//! the bounds, which it does a part at a time, so that what is said meanwhile is not held up. Several nodes may do the same to one
//! store. A store that cannot is left alone until the next round. How old a message is goes by a [clock that is watched](SteadyClock), for
//! what is dropped is gone.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tracing::{debug, error, info};

use super::{owned::Registry, rules::rule};
use crate::{
    server::{
        settings::{Keep, RoomRule},
        steady_clock::SteadyClock,
        store::{Bounds, Extent, Log, StoreError},
        telemetry::Fault,
    },
    wire::{Group, Timestamp},
};

/// From one round to the next.
const ROUND: Duration = Duration::from_mins(5);
/// How many names are read at a time.
const NAMES: usize = 500;
/// So many of a room's changes can be replayed to who comes back. Without a bound a message that stays could be reacted to for ever, each
/// time with a row. Twice of what a client that comes back is sent at most, [`super::MOST_MISSED`], so none is told to start afresh that
/// would not be anyway.
const MOST_CHANGES: u64 = 10_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What is to be held of a room now; none where it has nothing more. While no time is certain nothing is too old.
fn bounds(
    rules: &[RoomRule],
    registry: &Registry,
    Extent { group, entries }: &Extent,
    now: Option<Timestamp>,
) -> Option<Bounds> {
    if registry.brief(group).is_some_and(|brief| brief.is_deleted) {
        return Some(Bounds { messages: Some(0), since: None, changes: Some(0) });
    }
    let keep = rule(rules, group).map_or_else(Keep::default, |rule| rule.keep);
    let Keep { messages, days } = keep;
    let since =
        days.zip(now).map(|(days, now)| Timestamp::from_millis(now.as_millis().saturating_sub(i64::from(days) * DAY_MS)));
    let bounds = Bounds { messages, since, changes: Some(MOST_CHANGES) };
    (keep.is_bounded() || *entries > MOST_CHANGES).then_some(bounds)
}

/// Keeps a store within the bounds, as long as somebody else holds it. `clock` says what time it is.
pub(super) async fn keep_within(
    store: Weak<dyn Log>,
    rules: Arc<[RoomRule]>,
    registry: Arc<Registry>,
    clock: impl Fn() -> Timestamp + Send + Sync,
) {
    let unable = Fault::default();
    let mut steady = SteadyClock::default();
    loop {
        let Some(store) = store.upgrade() else { return };
        let done = round(&*store, (&rules, &registry), &mut steady, &clock).await;
        drop(store);
        if unable.is_news(done.is_err()) {
            match &done {
                Ok(()) => info!("old messages can be dropped again"),
                Err(cause) => error!(%cause, "old messages cannot be dropped"),
            }
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// Goes through all rooms once.
async fn round(
    store: &dyn Log,
    (rules, registry): (&[RoomRule], &Registry),
    steady: &mut SteadyClock,
    clock: &(impl Fn() -> Timestamp + Sync),
) -> Result<(), StoreError> {
    // Where nothing is dropped for its age it makes no difference what time it is.
    let by_age = rules.iter().any(|rule| rule.keep.days.is_some());
    let newest = if by_age && steady.is_new() { newest(store).await? } else { None };
    let now = steady.read(clock(), newest);
    let mut after: Option<Group> = None;
    // One room's fault is not the next one's.
    let mut done = Ok(());
    loop {
        let rooms = store.groups(after.as_ref(), NAMES).await?;
        for room in &rooms {
            let Some(bounds) = bounds(rules, registry, room, now) else { continue };
            let forgotten = store.forget(&room.group, bounds).await.map(|dropped| {
                if dropped {
                    debug!(group = %room.group, "old messages or changes were dropped");
                }
            });
            done = done.and(forgotten);
        }
        match rooms.into_iter().last() {
            Some(last) => after = Some(last.group),
            None => return done.and(store.forget_names().await),
        }
    }
}

/// When the newest message was said.
async fn newest(store: &dyn Log) -> Result<Option<Timestamp>, StoreError> {
    let newest = store.rooms(1).await?.into_iter().next();
    Ok(newest.and_then(|room| room.latest).map(|latest| latest.message.at))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::{
        server::{
            settings::Pattern,
            store::{MemoryStore, NewMessage, Slice},
        },
        wire::Person,
    };

    const HOUR: Duration = Duration::from_hours(1);
    const TEN_YEARS: i64 = 3_650 * DAY_MS;

    /// A room that keeps its messages for two days, with one of now, of an hour ago and of a day ago.
    async fn kept_for_two_days(now: Timestamp) -> Arc<dyn Log> {
        let (store, commits) = MemoryStore::new(10);
        drop(commits);
        for (key, hours) in [("k1", 24), ("k2", 1), ("k3", 0)] {
            let at = Timestamp::from_millis(now.as_millis() - hours * 3_600_000);
            let from = Person::new("ann", "Ann");
            let (group, key, text) = ("a".parse().expect("a name"), key.parse().expect("a key"), key.to_owned());
            store.append(NewMessage { group, key, from, text, at }).await.expect("stored");
        }
        Arc::new(store)
    }

    async fn held(store: &Arc<dyn Log>) -> Vec<String> {
        let page = store.read(&"a".parse().expect("a name"), Slice::Latest, 10, 1_000).await.expect("a page");
        page.messages.into_iter().map(|stored| stored.message.content.text).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_far_ahead_for_a_while_deletes_nothing_and_age_deletes_later() {
        let (began, start) = (Instant::now(), Timestamp::now());
        let store = kept_for_two_days(start).await;
        let ahead = Arc::new(AtomicI64::new(0));
        let keep = Keep { messages: None, days: Some(2) };
        let rules = vec![RoomRule { matches: Pattern::everything(), keep, ..RoomRule::default() }];
        let error = Arc::clone(&ahead);
        let clock = move || {
            let passed = i64::try_from(began.elapsed().as_millis()).expect("days");
            Timestamp::from_millis(start.as_millis() + passed + error.load(Relaxed))
        };
        let keeping = tokio::spawn(keep_within(Arc::downgrade(&store), rules.into(), Registry::none(), clock));
        // A clock that is wrong at the start, once more later, and for fifty minutes.
        for (hours_before, minutes) in [(0, 30), (3, 10), (4, 50)] {
            sleep(HOUR * hours_before).await;
            ahead.store(TEN_YEARS, Relaxed);
            sleep(Duration::from_mins(minutes)).await;
            ahead.store(0, Relaxed);
            assert_eq!(held(&store).await, ["k1", "k2", "k3"], "{minutes} minutes");
        }
        // Some hours of a clock that is right, and what has become old is gone.
        sleep(HOUR * 12).await;
        assert_eq!(held(&store).await, ["k1", "k2", "k3"]);
        sleep(HOUR * 12).await;
        assert_eq!(held(&store).await, ["k2", "k3"]);
        sleep(HOUR * 24).await;
        assert_eq!(held(&store).await, [""; 0]);
        keeping.abort();
    }
}
