//! Drops what the rules of the rooms do not keep.
//!
//! Every few minutes one task goes through the rooms of a store, a few names at a time, and has the store drop of each what is over
//! the bounds of its rule, a part at a time, so that what is said meanwhile is not held up. Several nodes may do the same to one
//! store. A store that cannot is left alone until the next round.

use std::{sync::Arc, time::Duration};

use tracing::{debug, error, info};

use super::rules::rule;
use crate::{
    server::{
        settings::{Keep, RoomRule},
        store::{Bounds, Store, StoreError},
        telemetry::Fault,
    },
    wire::{Group, Timestamp},
};

/// From one round to the next.
const ROUND: Duration = Duration::from_mins(5);
/// How many names are read at a time.
const NAMES: usize = 500;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What is to be held of a room now.
fn bounds(Keep { messages, days }: Keep, now: Timestamp) -> Bounds {
    let since = days.map(|days| Timestamp::from_millis(now.as_millis().saturating_sub(i64::from(days) * DAY_MS)));
    Bounds { messages, since }
}

/// Keeps a store within its rules, as long as somebody else holds it. Does nothing where nothing is ever dropped.
pub(super) async fn keep_within(store: std::sync::Weak<dyn Store>, rules: Arc<[RoomRule]>) {
    if !rules.iter().any(|rule| rule.keep.is_bounded()) {
        return;
    }
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
        let groups = store.groups(after.as_ref(), NAMES).await?;
        for group in &groups {
            let keep = rule(rules, group).map(|rule| rule.keep).filter(|keep| keep.is_bounded());
            if let Some(keep) = keep {
                let forgotten = forget(store, group, bounds(keep, Timestamp::now())).await;
                done = done.and(forgotten);
            }
        }
        match groups.into_iter().last() {
            Some(last) => after = Some(last),
            None => return done,
        }
    }
}

/// Drops of a room what is over the bounds.
async fn forget(store: &dyn Store, group: &Group, bounds: Bounds) -> Result<(), StoreError> {
    while store.forget(group, bounds).await? {
        debug!(%group, "old messages were dropped");
    }
    Ok(())
}
