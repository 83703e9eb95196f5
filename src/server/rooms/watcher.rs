//! Follows what other nodes write to a store, where it is theirs as well.
//!
//! An event may be lost on its way, or its node have died between the commit and the sending. So the store is asked every second which
//! rooms have moved on, and the hub is told; it knows whether the members on this node have heard of it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tracing::{error, info};

use super::{
    events::{group_name, list_key, list_name},
    owned::Registry,
    rules::rule,
};
use crate::{
    server::{
        hub::{Hub, News},
        settings::{History, RoomRule},
        store::{Moved, Watch},
        telemetry::Fault,
    },
    wire::Position,
};

/// How often a store that others write to is asked what is new.
const EVERY: Duration = Duration::from_secs(1);

/// Asks and tells as long as the hub is there.
pub(super) async fn follow(mut watch: Box<dyn Watch>, rules: Arc<[RoomRule]>, registry: Arc<Registry>, hub: Weak<Hub>) {
    let away = Fault::default();
    loop {
        let moved = watch.moved().await;
        let Some(hub) = hub.upgrade() else { return };
        if away.is_news(moved.is_err()) {
            if let Err(cause) = &moved {
                error!(%cause, "the store cannot be asked what is new in it");
            } else {
                info!("the store can be asked again what is new in it");
            }
        }
        if let Ok(moved) = moved {
            let kept = moved.into_iter().filter_map(|moved| {
                let rule = rule(&rules, &moved.group).filter(|rule| rule.history == History::Store)?;
                Some((rule, moved))
            });
            let mut newest = Vec::new();
            for (rule, Moved { group, head, latest_since }) in kept {
                if rule.guests && registry.is_open(&group) {
                    newest.push((list_key(&group), Position { epoch: head.epoch.clone(), offset: latest_since }));
                }
                hub.hear(&group_name(&group, &rule.events), News::Head(head));
            }
            hub.hear(&list_name(), News::Newest(newest));
        }
        drop(hub);
        tokio::time::sleep(EVERY).await;
    }
}
