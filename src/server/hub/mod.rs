//! The hub: the members that feeds have on this node, and the fan-out to them. It knows feeds and no noun (`feed`).
//!
//! ```text
//!   layer ── Sink::deliver ──► the group's queue (group): a task hands out what has gathered there
//!   Hub::hear ──────────────►      │ Feed::read: an entry
//!                                  ▼
//!                              the feed's policy: ordered, latest or passing ◄── what is missing ── Feed::after
//!                                  │ Broadcast: encoded once a form
//!                                  ▼
//!                              each member's gate (members) ──► Outbound::send
//! ```
//!
//! The node joins a group in the layer once, with its first member, under a channel of its own (`<node>!g<number>`), and
//! leaves with the last. Every connection has a channel too (`<node>!s<number>`), which `send` reaches.
//!
//! A member that catches up closes its gate: what is published meanwhile waits there, and when the answer with the missing
//! events is written, what follows on it goes out and what it contained does not.
//!
//! While the layer cannot be reached the node goes on with what it has. What nouns have committed they [tell](Hub::hear) to this node's
//! members without it, and where nodes share a store, what the others have committed too; who joins a group is a member here, and the
//! layer is told when it is back (`subscription`). Then, with [`Sink::gap`], every group is brought level by its feed, a few at a time.
//! A server that stops takes its leave of the members in batches (`drain`).

mod broadcast;
mod conflate;
mod drain;
mod feed;
mod group;
mod latest;
#[cfg(test)]
mod mailbox;
mod members;
mod ordered;
mod outbound;
mod subscription;
#[cfg(test)]
mod testing;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use tokio::sync::Semaphore;

pub(super) use self::broadcast::v1;
#[cfg(test)]
pub use self::mailbox::Mailbox;
pub use self::{
    broadcast::Form,
    conflate::{BEAT, Conflated},
    feed::{Entry, Feed, FeedKey, LayerGroups, Missed, News, Place, PlainMessage, Policy, Unavailable},
    outbound::Outbound,
};
use self::{
    broadcast::{Broadcast, Encoding},
    group::LocalGroup,
    members::Member,
};
use crate::{
    server::{
        layers::{Channel, ChannelLayer, Event, GroupName, LayerError, Sink},
        presence::Audience,
        telemetry::FanOut,
        websocket::{CloseCode, ConnectionId, Frame},
    },
    wire::{Position, Topic},
};

/// How many groups are brought level with their feeds, or the layer is told of, at a time.
const AT_A_TIME: usize = 8;

/// The groups with members on this node.
pub struct Hub {
    layer: Arc<dyn ChannelLayer>,
    /// What the layer calls this node: a name that ends in `!`.
    node: OnceLock<Channel>,
    table: RwLock<Table>,
    next_id: AtomicU64,
    /// Reads what is sent to a connection's own channel.
    direct: fn(&Event) -> Entry,
    /// Of those who read a feed.
    readers: Arc<Semaphore>,
    /// Of those who tell the layer once more.
    tellers: Semaphore,
    fan_out: Arc<FanOut>,
    /// Other parts of the server, by the letter with which the local parts of their channels begin.
    parts: RwLock<Vec<(char, Weak<dyn Sink>)>>,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<GroupName, Arc<LocalGroup>>,
    by_id: HashMap<u64, Arc<LocalGroup>>,
    connections: HashMap<ConnectionId, (Outbound, Form)>,
    /// The server is stopping: what every connection is told, also one that comes only now.
    goodbye: Option<(CloseCode, &'static str)>,
}

/// How many there are on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Hub with members.
    pub groups: usize,
    /// Memberships: a socket that has joined two groups is counted twice.
    pub members: usize,
}

/// Being a member; ends when it is dropped.
pub struct Membership {
    hub: Arc<Hub>,
    group: Arc<LocalGroup>,
    member: Arc<Member>,
}

/// The line of a group, for whoever brings something, a member still or not.
pub struct Line(Arc<LocalGroup>);

/// Being reachable under a channel of one's own; ends when it is dropped.
pub struct Reachable {
    hub: Arc<Hub>,
    connection: ConnectionId,
    pub channel: Channel,
}

/// Hands what arrives for this node to its groups, as long as they are there.
struct Inbox(Weak<Hub>);

impl Sink for Inbox {
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        if let Some(hub) = self.0.upgrade() {
            hub.deliver(local, event);
        }
    }

    fn gap(&self) {
        if let Some(hub) = self.0.upgrade() {
            hub.gap();
        }
    }

    fn missed(&self, local: &str) {
        if let Some(hub) = self.0.upgrade() {
            hub.missed(local);
        }
    }
}

/// Whether a channel is one under which a node is a member of a group, or hears other nodes: what is sent there reaches no one connection.
pub fn is_nodes_own(channel: &Channel) -> bool {
    let number = channel.local().and_then(|local| local.strip_prefix(['g', 'l', 'p']));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

impl Hub {
    /// Attaches this node to the layer. The layer forgets memberships after `expiry`; they are renewed in time. `direct` reads what is
    /// sent to a connection's own channel. `fan_out` counts what goes to the members.
    ///
    /// # Errors
    /// The layer cannot be reached.
    pub fn start(
        layer: Arc<dyn ChannelLayer>,
        direct: fn(&Event) -> Entry,
        expiry: Duration,
        fan_out: FanOut,
    ) -> Result<Arc<Self>, LayerError> {
        let hub = Arc::new(Self {
            layer,
            node: OnceLock::new(),
            table: RwLock::default(),
            next_id: AtomicU64::new(1),
            direct,
            readers: Arc::new(Semaphore::new(AT_A_TIME)),
            tellers: Semaphore::new(AT_A_TIME),
            fan_out: Arc::new(fan_out),
            parts: RwLock::default(),
        });
        let node = hub.layer.attach(Arc::new(Inbox(Arc::downgrade(&hub))))?;
        hub.node.get_or_init(|| node);
        tokio::spawn(subscription::renew(Arc::downgrade(&hub), expiry / 3));
        Ok(hub)
    }

    /// The node's channel with a local part.
    fn channel(&self, kind: char, id: u64) -> Channel {
        let node = self.node.get().map(Channel::as_str).unwrap_or_default();
        format!("{node}{kind}{id}").parse().expect("a node's name has room for a number") // never: 42 of 99 characters
    }

    /// Hands to another part of the server what is sent to a channel of this node, and tells it of gaps: a node has one place in
    /// the layer, whatever it does there. `letter` is the part's own, and neither `g` nor `s`. Returns the channel.
    pub fn share(&self, letter: char, part: Weak<dyn Sink>) -> Channel {
        self.parts.write().push((letter, part));
        self.channel(letter, 0)
    }

    /// The part of the server with this letter, as long as it is there.
    fn part(&self, kind: &str) -> Option<Arc<dyn Sink>> {
        self.parts.read().iter().find(|(letter, _)| kind.starts_with(*letter)).and_then(|(_, part)| part.upgrade())
    }

    /// Makes a connection reachable under a channel of its own.
    pub fn register(self: &Arc<Self>, outbound: &Outbound, form: Form) -> Reachable {
        let id = outbound.id();
        let mut table = self.table.write();
        table.connections.insert(id, (outbound.clone(), form));
        if let Some((code, reason)) = table.goodbye {
            outbound.close(code, reason);
        }
        Reachable { hub: Arc::clone(self), connection: id, channel: self.channel('s', id.0) }
    }

    /// Makes a connection a member of a feed, its gate closed if `closed`. When it resolves, whatever is sent to the feed reaches the member;
    /// as long as the layer cannot be reached, what comes from this node.
    ///
    /// # Errors
    /// The feed cannot be read.
    pub async fn join(
        self: &Arc<Self>,
        feed: Arc<dyn Feed>,
        outbound: &Outbound,
        (form, closed): (Form, bool),
    ) -> Result<Membership, Unavailable> {
        let member = Member::new(outbound, form, closed);
        let group = {
            let name = feed.groups().name;
            let mut table = self.table.write();
            let group = table.by_name.get(&name).cloned().unwrap_or_else(|| {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let group = LocalGroup::new(id, feed, &self.readers, &self.fan_out);
                table.by_name.insert(name, Arc::clone(&group));
                table.by_id.insert(id, Arc::clone(&group));
                group
            });
            group.members.lock().insert(&member);
            group
        };
        let membership = Membership { hub: Arc::clone(self), group, member };
        membership.group.ready.get_or_try_init(|| self.make_ready(&membership.group)).await?;
        Ok(membership)
    }

    /// What the layer has for this node.
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        let (kind, id) = local.split_at_checked(1).unwrap_or_default();
        match (kind, id.parse()) {
            ("g", Ok(id)) => {
                // Out of the lock before the group is walked.
                let group = self.table.read().by_id.get(&id).cloned();
                if let Some(group) = group {
                    group.publish(event);
                }
            }
            ("s", Ok(id)) => {
                let connection = self.table.read().connections.get(&ConnectionId(id)).cloned();
                if let Some((outbound, form)) = connection
                    && let encoding = (Encoding { form, deflate: outbound.deflate() })
                    && let Some(frame) = Broadcast::new(&Topic::Me, (self.direct)(event), Instant::now()).frame(encoding)
                {
                    outbound.send(&[frame]);
                    self.fan_out.deliveries.inc();
                }
            }
            (kind, _) => {
                if let Some(part) = self.part(kind) {
                    part.deliver(local, event);
                }
            }
        }
    }

    /// Tells the members on this node what did not come by the layer.
    pub fn hear(&self, group: &GroupName, news: News) {
        // Out of the lock before the group is walked.
        let group = self.table.read().by_name.get(group).cloned();
        if let Some(group) = group {
            group.hear(news);
        }
    }

    /// How many groups and members there are now.
    pub fn census(&self) -> Census {
        let groups: Vec<_> = self.table.read().by_id.values().map(Arc::clone).collect();
        Census { groups: groups.len(), members: groups.iter().map(|group| group.members.lock().count()).sum() }
    }
}

impl Membership {
    /// All members of the group on this node.
    pub fn audience(&self) -> Weak<dyn Audience> {
        // Written out, since a weak reference is not turned into one to a trait by itself.
        let group: Weak<LocalGroup> = Arc::downgrade(&self.group);
        group
    }

    /// How many members the group has on this node.
    pub fn members(&self) -> usize {
        self.group.members.lock().count()
    }

    /// The group's line, in which what members bring waits.
    pub fn line(&self) -> Line {
        Line(Arc::clone(&self.group))
    }

    /// Hands out now what the group has in line.
    pub fn hand_out(&self) {
        self.group.hand_out();
    }

    /// Whether the member, while its gate is closed, misses nothing that is not on its way if it has everything up to here.
    pub fn is_level(&self, since: &Position) -> bool {
        self.group.stands_at().as_ref() == Some(since)
    }

    /// What a plain member of a latest feed begins with: the newest of each key. Of another feed it is nothing.
    ///
    /// # Errors
    /// The feed cannot be read.
    pub async fn newest(&self) -> Result<Vec<Frame>, Unavailable> {
        self.group.newest(Form::Plain).await
    }

    /// Closes the gate: what is published from now on waits for [`Self::release`].
    pub fn hold(&self) {
        self.member.hold();
    }

    /// Sends `answer`, then what waited at the gate, and opens it. `seen` is what the answer brought the member up to: events up
    /// to there are not sent again, now or later. Without it the member stands where it stood.
    pub fn release(&self, seen: Option<Position>, answer: impl IntoIterator<Item = Frame>) {
        self.hub.fan_out.deliveries.inc_by(self.member.release(seen, answer));
    }
}

impl Line {
    /// Waits until there is room for one more event: the members cannot be given faster than they can be written to.
    pub async fn has_room(&self) {
        self.0.has_room().await;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.member.leave();
        let last = {
            let mut table = self.hub.table.write();
            let last = self.group.members.lock().remove(&self.member);
            if last {
                table.by_name.remove(self.group.name());
                table.by_id.remove(&self.group.id);
            }
            last
        };
        // A later member gets a new number, so this cannot undo its membership, however late it is.
        if last && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (hub, group) = (Arc::clone(&self.hub), Arc::clone(&self.group));
            runtime.spawn(async move { hub.forget(&group).await });
        }
    }
}

impl Drop for Reachable {
    fn drop(&mut self) {
        self.hub.table.write().connections.remove(&self.connection);
    }
}
