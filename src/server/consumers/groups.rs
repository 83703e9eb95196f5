//! The members that groups have on this node, and the fan-out to them.
//!
//! ```text
//!   layer ── Sink::deliver ──► the group's turn (local): events wait in line, whoever comes first hands out all of them
//!   Strandings ─────────────►      │
//!                                  ▼
//!                              sequence: in the order of the offsets, each once ◄── what is missing ── rooms::Stream
//!                                  │ Broadcast: encoded once a form
//!                                  ▼
//!                              each member's gate (members) ──► Socket::send
//! ```
//!
//! The node joins a group in the layer once, with its first member, under a channel of its own (`<node>!g<number>`), and
//! leaves with the last. Every socket has a channel too (`<node>!s<number>`), which `send` reaches.
//!
//! A member that catches up closes its gate: what is published meanwhile waits there, and when the answer with the missing
//! events is written, what follows on it goes out and what it contained does not.
//!
//! While the layer cannot be reached the node goes on with what it has. Committed messages come by [`Strandings`] to its own
//! members; who joins a group is a member here, and the layer is told when it is back. Then, with [`Sink::gap`], every
//! group is brought level from the store, a few at a time.

mod local;
mod members;
mod sequence;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use self::{local::LocalGroup, members::Member};
use super::form::{Broadcast, Form};
use crate::{
    server::{
        gateway::{CloseCode, Frame, Socket, SocketId},
        layers::{Channel, ChannelLayer, Event, GroupName, LayerError, Sink},
        rooms::{Stranded, Strandings, Stream},
        store::StoreError,
    },
    wire::{Position, Topic},
};

/// How many groups are brought level with the store, or the layer is told of, at a time.
const AT_A_TIME: usize = 8;
/// How long to wait before the layer is told again of a group of which it could not be told.
const AGAIN: Duration = Duration::from_secs(1);

/// The groups with members on this node.
pub struct Groups {
    layer: Arc<dyn ChannelLayer>,
    /// What the layer calls this node: a name that ends in `!`.
    node: OnceLock<Channel>,
    table: RwLock<Table>,
    next_id: AtomicU64,
    /// Of those who read the store.
    readers: Arc<Semaphore>,
    /// Of those who tell the layer once more.
    tellers: Semaphore,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<GroupName, Arc<LocalGroup>>,
    by_id: HashMap<u64, Arc<LocalGroup>>,
    sockets: HashMap<SocketId, (Arc<Socket>, Form)>,
    /// The server is stopping: what every socket is told, also one that comes only now.
    goodbye: Option<(CloseCode, &'static str)>,
}

/// Being a member; ends when it is dropped.
pub struct Membership {
    groups: Arc<Groups>,
    group: Arc<LocalGroup>,
    member: Arc<Member>,
}

/// Being reachable under a channel of one's own; ends when it is dropped.
pub struct Reachable {
    groups: Arc<Groups>,
    socket: SocketId,
    pub channel: Channel,
}

/// Hands what arrives for this node to its groups, as long as they are there.
struct Inbox(Weak<Groups>);

impl Sink for Inbox {
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        if let Some(groups) = self.0.upgrade() {
            groups.deliver(local, event);
        }
    }

    fn gap(&self) {
        if let Some(groups) = self.0.upgrade() {
            groups.gap();
        }
    }
}

/// Whether a channel is one under which a node is a member of a group: what is sent there reaches the group, not one connection.
pub fn is_groups_own(channel: &Channel) -> bool {
    let number = channel.local().and_then(|local| local.strip_prefix('g'));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

impl Groups {
    /// Attaches this node to the layer. The layer forgets memberships after `expiry`; they are renewed in time. What the
    /// layer refused comes by `strandings`.
    ///
    /// # Errors
    /// The layer cannot be reached.
    pub fn start(layer: Arc<dyn ChannelLayer>, strandings: Strandings, expiry: Duration) -> Result<Arc<Self>, LayerError> {
        let groups = Arc::new(Self {
            layer,
            node: OnceLock::new(),
            table: RwLock::default(),
            next_id: AtomicU64::new(1),
            readers: Arc::new(Semaphore::new(AT_A_TIME)),
            tellers: Semaphore::new(AT_A_TIME),
        });
        let node = groups.layer.attach(Arc::new(Inbox(Arc::downgrade(&groups))))?;
        groups.node.get_or_init(|| node);
        tokio::spawn(renew(Arc::downgrade(&groups), expiry / 3));
        tokio::spawn(take_in(Arc::downgrade(&groups), strandings));
        Ok(groups)
    }

    /// The node's channel with a local part.
    fn channel(&self, kind: char, id: u64) -> Channel {
        let node = self.node.get().map(Channel::as_str).unwrap_or_default();
        format!("{node}{kind}{id}").parse().expect("a node's name has room for a number") // never: 42 of 99 characters
    }

    /// Makes a socket reachable under a channel of its own.
    pub fn register(self: &Arc<Self>, socket: &Arc<Socket>, form: Form) -> Reachable {
        let mut table = self.table.write();
        table.sockets.insert(socket.id(), (Arc::clone(socket), form));
        if let Some((code, reason)) = table.goodbye {
            socket.close(code, reason);
        }
        Reachable { groups: Arc::clone(self), socket: socket.id(), channel: self.channel('s', socket.id().0) }
    }

    /// Makes a socket a member, its gate closed if `closed`. When it resolves, whatever is sent to the group reaches the member;
    /// what the layer has no part in, as long as it cannot be reached. Where the group is a room with history, `stream` is that,
    /// and all members get its messages in the order of their offsets, each once.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn join(
        self: &Arc<Self>,
        name: GroupName,
        topic: &Topic,
        stream: Option<Stream>,
        socket: &Arc<Socket>,
        (form, closed): (Form, bool),
    ) -> Result<Membership, StoreError> {
        let member = Member::new(socket, form, closed);
        let group = {
            let mut table = self.table.write();
            let group = table.by_name.get(&name).cloned().unwrap_or_else(|| {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let group = LocalGroup::new(id, name.clone(), topic.clone(), stream, &self.readers);
                table.by_name.insert(name, Arc::clone(&group));
                table.by_id.insert(id, Arc::clone(&group));
                group
            });
            group.members.lock().insert(&member);
            group
        };
        let membership = Membership { groups: Arc::clone(self), group, member };
        membership.group.ready.get_or_try_init(|| self.make_ready(&membership.group)).await?;
        Ok(membership)
    }

    /// Tells the layer of a new group, then finds out where its stream stands: what is committed later will come, or be missed.
    async fn make_ready(self: &Arc<Self>, group: &Arc<LocalGroup>) -> Result<(), StoreError> {
        if !self.tell(group).await {
            tokio::spawn(keep_telling(Arc::downgrade(self), group.id));
        }
        group.find_place().await
    }

    /// Tells the layer that this node wants a group's events; says whether it could.
    async fn tell(&self, group: &LocalGroup) -> bool {
        let told = self.layer.group_add(&group.name, &self.channel('g', group.id)).await;
        if let Err(cause) = &told {
            warn!(group = %group.name, %cause, "the channel layer could not be told that a group has members here");
        }
        // Its last member may have left meanwhile, and the layer been told before us.
        if !self.table.read().by_id.contains_key(&group.id) {
            self.forget(group).await;
        }
        told.is_ok()
    }

    /// The layer was away and is back. It may have forgotten who wants what, and lost what was sent meanwhile.
    fn gap(self: &Arc<Self>) {
        let ids: Vec<_> = self.table.read().by_id.keys().copied().collect();
        info!(groups = ids.len(), "the channel layer is back; bringing the groups level with the store");
        for id in ids {
            tokio::spawn(keep_telling(Arc::downgrade(self), id));
        }
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
                let socket = self.table.read().sockets.get(&SocketId(id)).cloned();
                if let Some((socket, form)) = socket
                    && let Some(frame) = Broadcast::new(&Topic::Me, event).frame(form)
                {
                    socket.send(std::slice::from_ref(frame));
                }
            }
            _ => {}
        }
    }

    /// Tells the layer that a group has no members here any more.
    async fn forget(&self, group: &LocalGroup) {
        if let Err(cause) = self.layer.group_discard(&group.name, &self.channel('g', group.id)).await {
            warn!(group = %group.name, %cause, "the channel layer could not be told that a group has no members here");
        }
    }

    /// Says goodbye to every socket of this node, and to those that are still in their handshake once they are there.
    pub fn close_all(&self, code: CloseCode, reason: &'static str) {
        let sockets: Vec<_> = {
            let mut table = self.table.write();
            table.goodbye = Some((code, reason));
            table.sockets.values().map(|(socket, _)| Arc::clone(socket)).collect()
        };
        for socket in sockets {
            socket.close(code, reason);
        }
    }
}

/// Tells the layer every so often that this node still wants its groups, as long as they are there.
async fn renew(groups: Weak<Groups>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(groups) = groups.upgrade() else { return };
        let local: Vec<_> = groups.table.read().by_id.values().map(Arc::clone).collect();
        for group in local {
            groups.tell(&group).await;
        }
    }
}

/// Tells the layer of a group until it is told, as long as the group is there; what was sent before may be lost, and is read.
async fn keep_telling(groups: Weak<Groups>, id: u64) {
    loop {
        {
            let Some(groups) = groups.upgrade() else { return };
            let Ok(_permit) = groups.tellers.acquire().await else { return };
            let group = groups.table.read().by_id.get(&id).cloned();
            let Some(group) = group else { return };
            if groups.tell(&group).await {
                return group.doubt();
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Hands what the layer refused to the members that are here.
async fn take_in(groups: Weak<Groups>, mut strandings: Strandings) {
    while let Some(Stranded { group, event }) = strandings.recv().await {
        let Some(groups) = groups.upgrade() else { return };
        let group = groups.table.read().by_name.get(&group).cloned();
        if let Some(group) = group {
            group.publish(&Arc::new(event));
        }
    }
}

impl Membership {
    /// Closes the gate: what is published from now on waits for [`Self::release`].
    pub fn hold(&self) {
        self.member.hold();
    }

    /// Sends `answer`, then what waited at the gate, and opens it. `seen` is what the answer brought the member up to: events up
    /// to there are not sent again, now or later. Without it the member stands where it stood.
    pub fn release(&self, seen: Option<Position>, answer: Option<Frame>) {
        self.member.release(seen, answer);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let last = {
            let mut table = self.groups.table.write();
            let last = self.group.members.lock().remove(&self.member);
            if last {
                table.by_name.remove(&self.group.name);
                table.by_id.remove(&self.group.id);
            }
            last
        };
        // A later member gets a new number, so this cannot undo its membership, however late it is.
        if last && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (groups, group) = (Arc::clone(&self.groups), Arc::clone(&self.group));
            runtime.spawn(async move { groups.forget(&group).await });
        }
    }
}

impl Drop for Reachable {
    fn drop(&mut self) {
        self.groups.table.write().sockets.remove(&self.socket);
    }
}
