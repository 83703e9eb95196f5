//! Drops what the rules of the rooms do not keep, and what no room keeps: more than so many changes of its messages.
//!
//! Every few minutes one task goes through the rooms of a store, a few names at a time, and has the store drop of each what is over
//! the bounds, which it does a part at a time, so that what is said meanwhile is not held up. Several nodes may do the same to one
//! store. A store that cannot is left alone until the next round.

use std::{sync::Arc, time::Duration};

use tracing::{debug, error, info};

use super::rules::rule;
use crate::{
    server::{
        settings::{Keep, RoomRule},
        store::{Bounds, Extent, Store, StoreError},
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

/// What is to be held of a room now; none where it has nothing more.
fn bounds(rules: &[RoomRule], Extent { group, entries }: &Extent, now: Timestamp) -> Option<Bounds> {
    let keep = rule(rules, group).map_or_else(Keep::default, |rule| rule.keep);
    let Keep { messages, days } = keep;
    let since = days.map(|days| Timestamp::from_millis(now.as_millis().saturating_sub(i64::from(days) * DAY_MS)));
    let bounds = Bounds { messages, since, changes: Some(MOST_CHANGES) };
    (keep.is_bounded() || *entries > MOST_CHANGES).then_some(bounds)
}

/// Keeps a store within the bounds, as long as somebody else holds it.
pub(super) async fn keep_within(store: std::sync::Weak<dyn Store>, rules: Arc<[RoomRule]>) {
    let unable = Fault::default();
    loop {
        let Some(store) = store.upgrade() else { return };
        let done = round(&*store, &rules).await;
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
async fn round(store: &dyn Store, rules: &[RoomRule]) -> Result<(), StoreError> {
    let mut after: Option<Group> = None;
    // One room's fault is not the next one's.
    let mut done = Ok(());
    loop {
        let rooms = store.groups(after.as_ref(), NAMES).await?;
        for room in &rooms {
            let Some(bounds) = bounds(rules, room, Timestamp::now()) else { continue };
            let forgotten = store.forget(&room.group, bounds).await.map(|dropped| {
                if dropped {
                    debug!(group = %room.group, "old messages or changes were dropped");
                }
            });
            done = done.and(forgotten);
        }
        match rooms.into_iter().last() {
            Some(last) => after = Some(last.group),
            None => return done,
        }
    }
}
