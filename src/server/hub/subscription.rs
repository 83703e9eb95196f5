//! What this node tells the layer: which groups have members here, and which have none any more.
//!
//! The layer hears of a group when its first member comes, again every so often, since it forgets, and when it was away. Where it cannot
//! be told now it is told again until it knows. What was sent before that may be lost, so then the group is brought level.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::future;
use tracing::{debug, info, warn};

use super::{Hub, feed::Unavailable, group::LocalGroup};

/// How long to wait before the layer is told again of a group of which it could not be told.
const AGAIN: Duration = Duration::from_secs(1);

impl Hub {
    /// Tells the layer of a new group, then finds out where its feed stands: what is committed later will come, or be missed.
    pub(super) async fn make_ready(self: &Arc<Self>, group: &Arc<LocalGroup>) -> Result<(), Unavailable> {
        if !self.tell(group).await {
            tokio::spawn(keep_telling(Arc::downgrade(self), group.id));
        }
        group.find_place().await
    }

    /// Tells the layer that this node wants a group's events; says whether it could.
    async fn tell(&self, group: &LocalGroup) -> bool {
        let channel = self.channel('g', group.id);
        let tell = |name| self.layer.group_add(name, &channel);
        let told = future::try_join_all(group.layer.names().map(tell)).await;
        let news = group.untold.is_news(told.is_err());
        match &told {
            // That the layer is back is told once for all groups.
            Ok(_) => {}
            Err(cause) if news => {
                warn!(group = %group.name(), %cause, "the channel layer cannot be told that a group has members here");
            }
            Err(cause) => debug!(group = %group.name(), %cause, "the channel layer still cannot be told of a group"),
        }
        // Its last member may have left meanwhile, and the layer been told before us.
        if !self.table.read().by_id.contains_key(&group.id) {
            self.forget(group).await;
        }
        told.is_ok()
    }

    /// The layer was away and is back. It may have forgotten who wants what, and lost what was sent meanwhile.
    pub(super) fn gap(self: &Arc<Self>) {
        let ids: Vec<_> = self.table.read().by_id.keys().copied().collect();
        info!(groups = ids.len(), "the channel layer is back; bringing the groups level with the store");
        for id in ids {
            tokio::spawn(keep_telling(Arc::downgrade(self), id));
        }
        let parts: Vec<_> = self.parts.read().iter().filter_map(|(_, part)| part.upgrade()).collect();
        for part in parts {
            part.gap();
        }
    }

    /// The layer had forgotten that one of this node's channels is in a group. It was told again; what others sent meanwhile may be
    /// lost.
    pub(super) fn missed(&self, local: &str) {
        let (kind, id) = local.split_at_checked(1).unwrap_or_default();
        match (kind, id.parse()) {
            ("g", Ok(id)) => {
                let group = self.table.read().by_id.get(&id).map(Arc::clone);
                if let Some(group) = group {
                    group.doubt();
                }
            }
            (kind, _) => {
                if let Some(part) = self.part(kind) {
                    part.gap();
                }
            }
        }
    }

    /// Tells the layer that a group has no members here any more.
    pub(super) async fn forget(&self, group: &LocalGroup) {
        let channel = self.channel('g', group.id);
        let forget = |name| self.layer.group_discard(name, &channel);
        if let Err(cause) = future::try_join_all(group.layer.names().map(forget)).await {
            // What it still sends for the group is dropped here, and the membership expires.
            debug!(group = %group.name(), %cause, "the channel layer could not be told that a group has no members here");
        }
    }

    /// Takes this node out of all its groups in the layer, so that others send nothing more for it to where nobody reads.
    /// A layer that is away is not waited for.
    pub async fn leave(&self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let Some(node) = self.node.get() else { return };
        match tokio::time::timeout(PATIENCE, self.layer.detach(node)).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => warn!(%cause, "the channel layer could not be told that this node stops"),
            Err(_) => warn!("the channel layer could not be told in time that this node stops"),
        }
    }
}

/// Tells the layer every so often that this node still wants its groups, as long as they are there.
pub(super) async fn renew(hub: Weak<Hub>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(hub) = hub.upgrade() else { return };
        let local: Vec<_> = hub.table.read().by_id.values().map(Arc::clone).collect();
        for group in local {
            hub.tell(&group).await;
        }
    }
}

/// Tells the layer of a group until it is told, as long as the group is there; what was sent before may be lost, and is read.
async fn keep_telling(hub: Weak<Hub>, id: u64) {
    loop {
        {
            let Some(hub) = hub.upgrade() else { return };
            let Ok(_permit) = hub.tellers.acquire().await else { return };
            let group = hub.table.read().by_id.get(&id).cloned();
            let Some(group) = group else { return };
            if hub.tell(&group).await {
                return group.doubt();
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
