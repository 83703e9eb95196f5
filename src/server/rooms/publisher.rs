//! Hands on to the channel layer what a store commits.
//!
//! There is one publisher for a store, and it alone reads its commits. It begins the sends in the order of the commits and lets them
//! overlap; when a message's own send is through, its author hears that it was accepted. What the layer refuses is kept all the same,
//! and the [`Hub`] tells the members of this node.
//!
//! A commit is sent once, to its room. The list of rooms is told on the side, a few times a second, of each room what is newest.

use std::{
    pin::pin,
    sync::{Arc, Weak},
};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use prometheus::IntCounter;
use tokio::time::Instant;
use tracing::{error, info};

use super::{
    events::{self, changes_name, group_name, list_key, list_name},
    owned::Registry,
    rules::rule,
};
use crate::{
    server::{
        hub::{BEAT, Conflated, Hub, News},
        layers::ChannelLayer,
        settings::RoomRule,
        store::{Commits, Committed, Entry, What},
        telemetry::Fault,
    },
    wire::{Content, Epoch, Group, Message, Offset, Position, beginning},
};

/// How many messages of one store may be on their way through the layer at a time.
const MOST_SENDING: usize = 1_024;

/// What a publisher sends.
#[expect(clippy::large_enum_variant, reason = "nearly all are commits, and a box for each would be one more allocation")]
enum Work {
    Commit(Committed),
    /// What the list is told of some rooms.
    List(Vec<Listed>),
}

/// A room's latest message as the list shows it, and the entry that made it so.
struct Listed {
    group: Group,
    epoch: Epoch,
    at: Offset,
    message: Message,
    since: Offset,
}

impl Listed {
    fn since(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.since }
    }
}

/// Hands on what one store commits.
pub(super) struct Publisher {
    layer: Arc<dyn ChannelLayer>,
    rules: Arc<[RoomRule]>,
    registry: Arc<Registry>,
    hub: Weak<Hub>,
    /// The layer's last answer was no.
    refused: Fault,
    /// Counts the new messages.
    committed: IntCounter,
}

impl Publisher {
    /// What the layer refuses goes to `hub`. `committed` counts the new messages.
    pub(super) fn new(
        layer: &Arc<dyn ChannelLayer>,
        (rules, registry): (&Arc<[RoomRule]>, &Arc<Registry>),
        hub: &Arc<Hub>,
        committed: &IntCounter,
    ) -> Self {
        let (layer, rules, registry, hub) = (Arc::clone(layer), Arc::clone(rules), Arc::clone(registry), Arc::downgrade(hub));
        Self { layer, rules, registry, hub, refused: Fault::default(), committed: committed.clone() }
    }

    /// Runs as long as there are commits. Begins in order, so that the layer has it in order, but does not wait for one to be through before
    /// the next begins.
    pub(super) async fn publish(self, mut commits: Commits) {
        let (mut sending, mut list) = (FuturesUnordered::new(), Conflated::default());
        let mut beat = pin!(tokio::time::sleep(BEAT));
        let mut beating = false;
        loop {
            tokio::select! {
                // What was pushed last begins before the next commit is taken.
                biased;
                Some(()) = sending.next() => {}
                () = &mut beat, if beating => {
                    list.beat();
                    beating = false;
                }
                commit = commits.recv(), if sending.len() < MOST_SENDING => match commit {
                    Some(commit) => {
                        match self.listed(&commit) {
                            Some(listed) => list.take(&list_key(&listed.group), listed.since(), listed),
                            None => self.registry.said(&commit.group),
                        }
                        sending.push(self.send(Work::Commit(commit)));
                    }
                    None => break,
                },
            }
            let told = list.told_now();
            if !told.is_empty() {
                sending.push(self.send(Work::List(told)));
            }
            if list.begins_beat() {
                beat.as_mut().reset(Instant::now() + BEAT);
                beating = true;
            }
        }
        sending.push(self.send(Work::List(list.all_waiting())));
        while sending.next().await.is_some() {}
    }

    async fn send(&self, work: Work) {
        match work {
            Work::Commit(commit) => self.hand_on(commit).await,
            Work::List(told) => drop(join_all(told.into_iter().map(|listed| self.tell_list(listed))).await),
        }
    }

    /// What the list is to be told, which is every guest's.
    fn listed(&self, commit: &Committed) -> Option<Listed> {
        let latest = match &commit.entry.what {
            What::Message(message) => Some((commit.entry.offset, message)),
            What::Change(_) => commit.latest.as_ref().map(|stored| (stored.offset, &stored.message)),
        };
        let (at, message) = latest.filter(|_| self.is_listed(&commit.group))?;
        let Message { id, key, from, content, at: time } = message;
        let content = Content { text: beginning(&content.text), reactions: Vec::new(), changed: None, ..*content };
        let message = Message { id: id.clone(), key: key.clone(), from: from.clone(), content, at: *time };
        let (group, epoch) = (commit.group.clone(), commit.epoch.clone());
        Some(Listed { group, epoch, at, message, since: commit.entry.offset })
    }

    /// Whether a room stands in the list, which is the same for all.
    fn is_listed(&self, group: &Group) -> bool {
        rule(&self.rules, group).is_some_and(|rule| rule.guests) && self.registry.is_open(group)
    }

    async fn tell_list(&self, listed: Listed) {
        let Listed { group, epoch, at, message, since } = listed;
        let (list, event) = (list_name(), events::listed(&group, (&epoch, at), &message, since));
        // That the layer refuses is said where it refuses the rooms.
        if self.layer.group_send(&list, event.clone()).await.is_err()
            && let Some(hub) = self.hub.upgrade()
        {
            hub.hear(&list, News::Event(event));
        }
    }

    /// Tells the room's members; when they are told, or the layer has refused, the author hears of it.
    async fn hand_on(&self, commit: Committed) {
        self.committed.inc();
        // Whoever has said it was let in by a rule, so there is one.
        let events = rule(&self.rules, &commit.group).map(|rule| Arc::clone(&rule.events)).unwrap_or_default();
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
        let sent = self.layer.group_send(&to, event()).await;
        if self.refused.is_news(sent.is_err()) {
            if let Err(cause) = &sent {
                error!(%cause, "the channel layer refuses what is committed; members on other nodes see it late, or not at all where the store is not theirs");
            } else {
                info!("the channel layer takes what is committed again");
            }
        }
        if sent.is_err()
            && let Some(hub) = self.hub.upgrade()
        {
            hub.hear(&room, News::Event(event()));
        }
        commit.acknowledge();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::{
        server::{
            accounts::Asker,
            layers::{MemoryLayer, MemoryOptions},
            rooms::{Rooms, Stores, read_direct},
            settings::Settings,
            store::{Log, MemoryStore},
            telemetry::{Appends, FanOut},
        },
        wire::{Person, Text},
    };

    #[tokio::test(start_paused = true)]
    async fn each_commit_is_sent_once_and_the_list_is_told_the_newest_a_few_times() {
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let [room, list] = [group_name(&"a".parse().unwrap(), &Arc::default()), list_name()].map(|group| {
            let reader = layer.new_channel("specific").unwrap();
            (group, reader)
        });
        for (group, reader) in [&room, &list] {
            layer.group_add(group, reader).await.unwrap();
        }
        let hub = Hub::start(Arc::clone(&layer), read_direct, Duration::from_hours(1), FanOut::default()).unwrap();
        let [durable, volatile] =
            [MemoryStore::new(100), MemoryStore::new(100)].map(|(store, commits)| (Arc::new(store) as Arc<dyn Log>, commits));
        let stores = Stores { durable, search: None, volatile, registry: Registry::none(), profiles: Arc::default() };
        let rooms = Rooms::start(Settings::default().rooms, stores, &layer, &hub, 100, &Appends::default());
        let ann = Person::new("g1", "Ann");
        let access = rooms.enter(Asker::guest(&ann), &"a".parse().unwrap()).await.ok().unwrap();
        for n in 1..=50 {
            access.post(format!("k{n}").parse().unwrap(), Text::written("hello").unwrap()).await.unwrap();
        }
        let told = async |reader| {
            let mut told = Vec::new();
            // By a clock that goes on when there is nothing else to do.
            while let Ok(event) = timeout(Duration::from_secs(10), layer.receive(reader)).await {
                told.push(event.unwrap());
            }
            told
        };
        assert_eq!(told(&room.1).await.len(), 50);
        let told = told(&list.1).await;
        assert!(told.len() <= 6, "{}", told.len());
        assert_eq!(told.last().and_then(|event| event.get_u64("since")), Some(50));
    }
}
