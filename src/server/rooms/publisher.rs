//! Hands on to the channel layer what a store commits.
//!
//! There is one publisher for a store, and it alone reads its commits. It begins the sends in the order of the commits and lets them
//! overlap; when a message's own are through, its author hears that it was accepted. What the layer refuses is kept all the same,
//! and the [`Hub`] tells the members of this node.

use std::sync::{Arc, Weak};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use prometheus::IntCounter;
use tracing::{error, info};

use super::{
    events,
    layer_groups::{changes_name, group_name, list_name},
    rules::rule,
};
use crate::server::{
    hub::{Hub, News},
    layers::ChannelLayer,
    settings::RoomRule,
    store::{Commits, Committed, Entry, What},
    telemetry::Fault,
};

/// How many messages of one store may be on their way through the layer at a time.
const MOST_SENDING: usize = 1_024;

/// Hands on what one store commits.
pub(super) struct Publisher {
    layer: Arc<dyn ChannelLayer>,
    rules: Arc<[RoomRule]>,
    hub: Weak<Hub>,
    /// The layer's last answer was no.
    refused: Fault,
    /// Counts the new messages.
    committed: IntCounter,
}

impl Publisher {
    /// What the layer refuses goes to `hub`. `committed` counts the new messages.
    pub(super) fn new(layer: &Arc<dyn ChannelLayer>, rules: &Arc<[RoomRule]>, hub: &Arc<Hub>, committed: &IntCounter) -> Self {
        let (layer, rules, hub) = (Arc::clone(layer), Arc::clone(rules), Arc::downgrade(hub));
        Self { layer, rules, hub, refused: Fault::default(), committed: committed.clone() }
    }

    /// Runs as long as there are commits. Begins in order, so that the layer has it in order, but does not wait for one to be through before the next begins.
    pub(super) async fn publish(self, mut commits: Commits) {
        let mut sending = FuturesUnordered::new();
        loop {
            tokio::select! {
                // What was pushed last begins before the next commit is taken.
                biased;
                Some(()) = sending.next() => {}
                commit = commits.recv(), if sending.len() < MOST_SENDING => match commit {
                    Some(commit) => sending.push(self.hand_on(commit)),
                    None => break,
                },
            }
        }
        while sending.next().await.is_some() {}
    }

    /// Tells the room's members and the list's; when both are told, or the layer has refused, the author hears of it.
    async fn hand_on(&self, commit: Committed) {
        self.committed.inc();
        // Whoever has said it was let in by a rule, so there is one.
        let rule = rule(&self.rules, &commit.group);
        let events = rule.map(|rule| Arc::clone(&rule.events)).unwrap_or_default();
        let Entry { offset, what } = &commit.entry;
        let place = (&commit.epoch, *offset);
        let event = || match what {
            What::Message(message) => events::message(Some(place), message, &events),
            What::Change(change) => events::change(place, change),
        };
        let room = group_name(&commit.group, &events);
        let to = match what {
            What::Message(_) => room.clone(),
            What::Change(_) => changes_name(&commit.group),
        };
        let latest = match what {
            What::Message(message) => Some((*offset, message)),
            What::Change(_) => commit.latest.as_ref().map(|stored| (stored.offset, &stored.message)),
        };
        // The list is every guest's.
        let listed = || {
            let (place, message) = latest.filter(|_| rule.is_some_and(|rule| rule.guests))?;
            Some(events::listed(&commit.group, (&commit.epoch, place), message, *offset))
        };
        let list = list_name();
        let to_list = async {
            match listed() {
                Some(listed) => self.layer.group_send(&list, listed).await,
                None => Ok(()),
            }
        };
        let (to_room, to_list) = futures_util::join!(self.layer.group_send(&to, event()), to_list);
        let refused = to_room.is_err();
        if self.refused.is_news(refused) {
            if let Err(cause) = &to_room {
                error!(%cause, "the channel layer refuses what is committed; members on other nodes see it late, or not at all where the store is not theirs");
            } else {
                info!("the channel layer takes what is committed again");
            }
        }
        if let Some(hub) = self.hub.upgrade() {
            if refused {
                hub.hear(&room, News::Event(event()));
            }
            if let Some(listed) = listed().filter(|_| to_list.is_err()) {
                hub.hear(&list, News::Event(listed));
            }
        }
        commit.acknowledge();
    }
}
