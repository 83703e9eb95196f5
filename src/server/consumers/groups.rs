//! The members that groups have on this node, and the fan-out to them.
//!
//! ```text
//!   layer ── Sink::deliver ──► the group's turn: events wait in line, whoever comes first hands out all of them
//!                                  │ Broadcast: encoded once a form
//!                                  ▼
//!                              each member's gate ──► Socket::send
//! ```
//!
//! The node joins a group in the layer once, with its first member, under a channel of its own (`<node>!g<number>`), and
//! leaves with the last. Every socket has a channel too (`<node>!s<number>`), which `send` reaches.
//!
//! A member that catches up closes its gate: what is published meanwhile waits there, and when the answer with the missing
//! events is written, what follows on it goes out and what it contained does not.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::OnceCell;
use tracing::warn;

use super::form::{Broadcast, Form};
use crate::{
    server::{
        gateway::{CloseCode, Frame, Socket, SocketId},
        layers::{Channel, ChannelLayer, Event, GroupName, LayerError, Sink},
        rooms::LayerGroup,
        settings::RoomEvents,
    },
    wire::{Position, Topic},
};

/// What may wait at a closed gate, in bytes; a member that needs longer is closed and comes back.
const HELD_BYTES: usize = 4 * 1024 * 1024;

/// The groups with members on this node.
pub struct Groups {
    layer: Arc<dyn ChannelLayer>,
    /// What the layer calls this node: a name that ends in `!`.
    node: OnceLock<Channel>,
    table: RwLock<Table>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<GroupName, Arc<LocalGroup>>,
    by_id: HashMap<u64, Arc<LocalGroup>>,
    sockets: HashMap<SocketId, (Arc<Socket>, Form)>,
    /// The server is stopping: what every socket is told, also one that comes only now.
    goodbye: Option<(CloseCode, &'static str)>,
}

/// A group's members on this node.
struct LocalGroup {
    id: u64,
    name: GroupName,
    events: Option<Arc<RoomEvents>>,
    topic: Topic,
    /// Done once the layer knows that this node wants the group's events.
    added: OnceCell<()>,
    members: Mutex<Members>,
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Members {
    by_socket: HashMap<SocketId, Arc<Member>>,
    /// The same, ready to be walked without the lock; made anew by the first publication after a change.
    snapshot: Option<Arc<[Arc<Member>]>>,
}

/// Events in line, and whether somebody is handing them out.
#[derive(Default)]
struct Turn {
    waiting: Vec<Arc<Event>>,
    taken: bool,
}

struct Member {
    socket: Arc<Socket>,
    form: Form,
    gate: Mutex<Gate>,
}

struct Gate {
    /// The member has everything up to here from elsewhere; none for a plain client, which is never brought level.
    seen: Option<Position>,
    /// Closed: what waits.
    held: Option<Vec<(Option<Position>, Frame)>>,
}

/// What an event is to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// New.
    Send,
    /// It has it already.
    Skip,
    /// The stream was begun anew since it joined: what it has is void, and only a new join can tell it so.
    Lost,
}

impl Gate {
    fn verdict(&self, position: Option<&Position>) -> Verdict {
        match (&self.seen, position) {
            (Some(seen), Some(position)) if seen.epoch != position.epoch => Verdict::Lost,
            (Some(seen), Some(position)) if position.offset <= seen.offset => Verdict::Skip,
            _ => Verdict::Send,
        }
    }
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
}

/// Whether a channel is one under which a node is a member of a group: what is sent there reaches the group, not one connection.
pub fn is_groups_own(channel: &Channel) -> bool {
    let number = channel.local().and_then(|local| local.strip_prefix('g'));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

impl Groups {
    /// Attaches this node to the layer. The layer forgets memberships after `expiry`; they are renewed in time.
    ///
    /// # Errors
    /// The layer cannot be reached.
    pub fn start(layer: Arc<dyn ChannelLayer>, expiry: Duration) -> Result<Arc<Self>, LayerError> {
        let groups = Arc::new(Self { layer, node: OnceLock::new(), table: RwLock::default(), next_id: AtomicU64::new(1) });
        let node = groups.layer.attach(Arc::new(Inbox(Arc::downgrade(&groups))))?;
        groups.node.get_or_init(|| node);
        tokio::spawn(renew(Arc::downgrade(&groups), expiry / 3));
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

    /// Makes a socket a member, its gate closed if `closed`. When it resolves, whatever is sent to the group reaches the member.
    ///
    /// # Errors
    /// The layer cannot be told.
    pub async fn join(
        self: &Arc<Self>,
        LayerGroup { name, events }: LayerGroup,
        topic: &Topic,
        socket: &Arc<Socket>,
        form: Form,
        closed: bool,
    ) -> Result<Membership, LayerError> {
        let gate = Mutex::new(Gate { seen: None, held: closed.then(Vec::new) });
        let member = Arc::new(Member { socket: Arc::clone(socket), form, gate });
        let group = {
            let mut table = self.table.write();
            let group = table.by_name.get(&name).cloned().unwrap_or_else(|| {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let (members, turn) = Default::default();
                let (topic, added) = (topic.clone(), OnceCell::new());
                let group = Arc::new(LocalGroup { id, name: name.clone(), events, topic, added, members, turn });
                table.by_name.insert(name, Arc::clone(&group));
                table.by_id.insert(id, Arc::clone(&group));
                group
            });
            group.members.lock().insert(&member);
            group
        };
        let membership = Membership { groups: Arc::clone(self), group, member };
        let group = &membership.group;
        let channel = self.channel('g', group.id);
        group.added.get_or_try_init(|| self.layer.group_add(&group.name, &channel)).await?;
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
                let socket = self.table.read().sockets.get(&SocketId(id)).cloned();
                if let Some((socket, form)) = socket
                    && let Some(frame) = Broadcast::new(&Topic::Me, event, None).frame(form)
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
            if let Err(cause) = groups.layer.group_add(&group.name, &groups.channel('g', group.id)).await {
                warn!(group = %group.name, %cause, "the channel layer could not be told that a group still has members here");
            }
            // Its last member may have left meanwhile, and the layer been told before us.
            if !groups.table.read().by_id.contains_key(&group.id) {
                groups.forget(&group).await;
            }
        }
    }
}

impl LocalGroup {
    /// Hands an event to the members. Where another task is handing events out, it takes this one along: so all members get all
    /// events in one order, and what several senders publish at once goes out together.
    fn publish(&self, event: &Arc<Event>) {
        let mut turn = self.turn.lock();
        turn.waiting.push(Arc::clone(event));
        if turn.taken {
            return;
        }
        turn.taken = true;
        while !turn.waiting.is_empty() {
            let events = std::mem::take(&mut turn.waiting);
            drop(turn);
            self.hand_out(&events);
            turn = self.turn.lock();
        }
        turn.taken = false;
    }

    fn hand_out(&self, events: &[Arc<Event>]) {
        let members = self.members.lock().snapshot();
        let rule = self.events.as_deref();
        let broadcasts: Vec<_> = events.iter().map(|event| Broadcast::new(&self.topic, event, rule)).collect();
        let whole = |form| -> Vec<Frame> { broadcasts.iter().filter_map(|b| b.frame(form).cloned()).collect() };
        let each = |form| broadcasts.iter().filter_map(move |b| Some((b.position.clone(), b.frame(form)?.clone())));
        let (mut plain, mut v1) = (None, None);
        for member in members.iter() {
            let cache = match member.form {
                Form::Plain => &mut plain,
                Form::V1 => &mut v1,
            };
            let frames = cache.get_or_insert_with(|| whole(member.form));
            let mut gate = member.gate.lock();
            if let Some(held) = &mut gate.held {
                held.extend(each(member.form));
                if held.iter().map(|(_, frame)| frame.bytes().len()).sum::<usize>() > HELD_BYTES {
                    held.clear();
                    member.socket.close(CloseCode::SLOW_READER, "too much happened while catching up");
                }
            } else if broadcasts.iter().all(|b| gate.verdict(b.position.as_ref()) == Verdict::Send) {
                member.socket.send(frames);
            } else {
                member.send_new(&gate, None, each(member.form));
            }
        }
    }
}

impl Member {
    /// Sends `answer` and those of the frames that are new to the member.
    fn send_new(&self, gate: &Gate, answer: Option<Frame>, each: impl IntoIterator<Item = (Option<Position>, Frame)>) {
        let mut frames = Vec::from_iter(answer);
        let mut lost = false;
        for (position, frame) in each {
            match gate.verdict(position.as_ref()) {
                Verdict::Send => frames.push(frame),
                Verdict::Skip => {}
                Verdict::Lost => lost = true,
            }
        }
        if !frames.is_empty() {
            self.socket.send(&frames);
        }
        if lost {
            self.socket.close(CloseCode::LOST_POSITION, "the stream was begun anew");
        }
    }
}

impl Members {
    fn insert(&mut self, member: &Arc<Member>) {
        self.by_socket.insert(member.socket.id(), Arc::clone(member));
        self.snapshot = None;
    }

    fn snapshot(&mut self) -> Arc<[Arc<Member>]> {
        Arc::clone(self.snapshot.get_or_insert_with(|| self.by_socket.values().cloned().collect()))
    }
}

impl Membership {
    /// Closes the gate: what is published from now on waits for [`Self::release`].
    pub fn hold(&self) {
        self.member.gate.lock().held.get_or_insert_default();
    }

    /// Sends `answer`, then what waited at the gate, and opens it. `seen` is what the answer brought the member up to: events up
    /// to there are not sent again, now or later. Without it the member stands where it stood.
    pub fn release(&self, seen: Option<Position>, answer: Option<Frame>) {
        let mut gate = self.member.gate.lock();
        if seen.is_some() {
            gate.seen = seen;
        }
        let held = gate.held.take().unwrap_or_default();
        self.member.send_new(&gate, answer, held);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let last = {
            let mut table = self.groups.table.write();
            let mut members = self.group.members.lock();
            members.by_socket.remove(&self.member.socket.id());
            members.snapshot = None;
            let last = members.by_socket.is_empty();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: &str, offset: u64) -> Position {
        Position { epoch: epoch.parse().expect("an epoch"), offset: crate::wire::Offset(offset) }
    }

    #[test]
    fn a_member_is_sent_what_it_has_not_and_a_stream_begun_anew_is_lost_to_it() {
        let level = Gate { seen: Some(at("e", 5)), held: None };
        let plain = Gate { seen: None, held: None };
        for (position, by_level) in [
            (Some(at("e", 5)), Verdict::Skip),
            (Some(at("e", 6)), Verdict::Send),
            (Some(at("f", 1)), Verdict::Lost),
            (Some(at("f", 9)), Verdict::Lost),
            (None, Verdict::Send),
        ] {
            assert_eq!(level.verdict(position.as_ref()), by_level, "{position:?}");
            assert_eq!(plain.verdict(position.as_ref()), Verdict::Send, "{position:?}");
        }
    }
}
