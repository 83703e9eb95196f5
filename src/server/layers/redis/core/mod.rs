//! The channel layer on sorted sets, `channels_redis.core`: what is sent waits in Redis until its reader takes it.
//!
//! ```text
//!   send ───────────────────────► PUT ──► {prefix}{name up to the !} ──► inbox: BZPOPMIN while a reader waits ──► receive
//!   group_send ──► outbox:                        (one queue a process)
//!                  MEMBERS of the batch's groups      └──► receiver of an attached sink: drains at once ──► Sink::deliver
//!                   and our own memberships there
//!                  PUT, one copy for each process
//!   group_add ───► memberships ──► JOIN
//!                       └─ reminder: compared with what Redis knows, told again
//! ```
//!
//! A group is a sorted set `{prefix}:group:{group}` of channel names. A message in the queue of a process says in
//! `__asgi_channel__` for which of its channels it is.
//!
//! What differs from the Python package, all of it invisible on the wire: scores rise strictly and come from the clock of Redis;
//! capacity is checked and the message written in one step; queues of sinks are drained in batches, without a second
//! set of messages in flight; every process listens on *every* server for its own queue, because Python sends to specific channels
//! by the hash of the full name and reads by that of the first part.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::sleep,
};

use super::{
    RedisOptions, SINK,
    codec::{Address, Codec},
    returns::{self, Arrival, Returns, Sent},
    ring::ring,
    shard::{Shard, unavailable},
};
use crate::server::layers::{
    Capacities, Channel, ChannelLayer, Event, GroupName, LayerError, Sink,
    mailboxes::Reader,
    names::{ClientId, new_process_name},
};
use envelope::Envelope;
use inbox::Inbox;
use memberships::{Member, Memberships};
use outbox::Outgoing;
use receiver::Receiver;
use reminder::Standing;
use scripts::Scripts;

mod envelope;
mod inbox;
mod memberships;
mod outbox;
mod receiver;
mod reminder;
mod scripts;

/// What may wait in the queue of a sink. It is drained as fast as it fills, so this is for a node that has died: its queue
/// ends here, and for good when nothing is written any more.
const SINK_CAPACITY: usize = 16_384;
/// How much older than a message's expiry an encrypted one may be, as in Python.
const GRACE: Duration = Duration::from_secs(10);
/// Group messages that wait for the outbox.
const OUTBOX: usize = 4_096;

/// A [`ChannelLayer`] on sorted sets in Redis; see the module.
pub struct RedisCoreLayer {
    shared: Arc<Shared>,
    outbox: mpsc::Sender<Outgoing>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the layer and its tasks know.
struct Shared {
    client: ClientId,
    prefix: String,
    codec: Codec,
    envelope: Envelope,
    capacities: Capacities,
    expiry: Duration,
    group_expiry: Duration,
    scripts: Scripts,
    shards: Vec<Arc<Shard>>,
    /// For each shard, how it goes with the memberships there.
    standings: Vec<Standing>,
    /// Where the next message to a channel that any process reads goes.
    next: AtomicUsize,
    /// Those of this process's channels.
    memberships: Mutex<Memberships>,
    sinks: Mutex<HashMap<Channel, Attached>>,
    /// By the non-local name.
    inboxes: Mutex<HashMap<String, Arc<Inbox>>>,
}

struct Attached {
    outlet: Arc<Outlet>,
    /// One for each shard.
    receivers: Vec<Receiver>,
}

/// An attached sink, and what this process has sent there.
struct Outlet {
    name: Channel,
    sink: Arc<dyn Sink>,
    returns: Returns,
}

impl RedisCoreLayer {
    /// Begins to connect, inside a tokio runtime, and does not wait for it: what is sent before waits for a moment.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] if a host's address is none or the system has no random numbers.
    pub fn start(options: RedisOptions) -> Result<Arc<Self>, LayerError> {
        let shards = options.hosts.iter().map(|host| Shard::start(host.clone(), &scripts::ALL).map(Arc::new));
        let shards: Vec<_> = shards.collect::<Result<_, _>>()?;
        if shards.is_empty() {
            return Err(unavailable("no Redis host is given"));
        }
        let max_age = Some(options.expiry.saturating_add(GRACE));
        let shared = Arc::new(Shared {
            client: ClientId::draw()?,
            prefix: options.prefix,
            codec: Codec::new(options.serializer, &options.symmetric_encryption_keys, max_age),
            envelope: Envelope::new(options.random_prefix_length)?,
            capacities: Capacities::new(options.capacity, options.channel_capacity),
            expiry: options.expiry,
            group_expiry: options.group_expiry,
            scripts: Scripts::new(),
            standings: shards.iter().map(|_| Standing::default()).collect(),
            shards,
            next: AtomicUsize::new(0),
            memberships: Mutex::new(Memberships::new(options.group_expiry)),
            sinks: Mutex::default(),
            inboxes: Mutex::default(),
        });
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let mut tasks = vec![tokio::spawn(outbox::run(Arc::clone(&shared), outgoing))];
        tasks.push(tokio::spawn(hand_out_overdue(Arc::clone(&shared))));
        tasks.extend((0..shared.shards.len()).map(|shard| tokio::spawn(reminder::run(Arc::clone(&shared), shard))));
        Ok(Arc::new(Self { shared, outbox, tasks }))
    }
}

impl Drop for RedisCoreLayer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.sinks.lock().clear();
        for (_, inbox) in self.shared.inboxes.lock().drain() {
            inbox.stop();
        }
    }
}

/// Hands out what this process has sent to its own sinks and Redis has lost.
async fn hand_out_overdue(shared: Arc<Shared>) {
    loop {
        sleep(returns::EVERY).await;
        for outlet in shared.outlets() {
            let _order = outlet.returns.in_order();
            for Sent { body, .. } in outlet.returns.overdue() {
                outlet.deliver(&shared, &body);
            }
        }
    }
}

impl Shared {
    fn shard_of(&self, name: &str) -> usize {
        ring(name, self.shards.len())
    }

    fn queue(&self, non_local: &str) -> String {
        [&self.prefix, non_local].concat()
    }

    fn group(&self, group: &GroupName) -> String {
        format!("{}:group:{group}", self.prefix)
    }

    fn capacity(&self, channel: &Channel) -> usize {
        let is_sinks =
            channel.as_str().strip_prefix(SINK).is_some_and(|rest| rest.starts_with('.')) && channel.local().is_some();
        if is_sinks { SINK_CAPACITY } else { self.capacities.of(channel) }
    }

    fn join(&self, Member { group, channel, age, .. }: &Member) -> Cmd {
        let mut cmd = self.scripts.join.call(1);
        cmd.arg(self.group(group)).arg(self.group_expiry.as_secs_f64()).arg(age.as_secs_f64()).arg(channel.as_str());
        cmd
    }

    /// Whether the channel is read in this process, so that a membership of it is ours to keep.
    fn is_ours(&self, channel: &Channel) -> bool {
        channel.local().is_some() && (self.client.may_read(channel) || self.is_attached(channel))
    }

    fn is_attached(&self, channel: &Channel) -> bool {
        self.sinks.lock().contains_key(channel.non_local())
    }

    fn gap(&self) {
        for outlet in self.outlets() {
            outlet.sink.gap();
        }
    }

    fn outlets(&self) -> Vec<Arc<Outlet>> {
        self.sinks.lock().values().map(|attached| Arc::clone(&attached.outlet)).collect()
    }

    fn outlet(&self, non_local: &str) -> Option<Arc<Outlet>> {
        self.sinks.lock().get(non_local).map(|attached| Arc::clone(&attached.outlet))
    }

    /// What was sent to a channel by way of a group may be lost.
    fn missed(&self, channel: &Channel) {
        if let Some((outlet, local)) = self.outlet(channel.non_local()).zip(channel.local()) {
            outlet.sink.missed(local);
        }
    }

    /// The queue of a process from which this process receives.
    fn inbox(self: &Arc<Self>, non_local: &str) -> Arc<Inbox> {
        let mut inboxes = self.inboxes.lock();
        let inbox = inboxes.entry(non_local.to_owned()).or_insert_with(|| Inbox::open(self, non_local));
        Arc::clone(inbox)
    }

    /// How many messages of a queue wait in this process already; no pop is under way when this resolves, unless for a reader.
    async fn unread(&self, non_local: &str) -> usize {
        let inbox = self.inboxes.lock().get(non_local).map(Arc::clone);
        match inbox {
            Some(inbox) => {
                inbox.settle().await;
                inbox.unread()
            }
            None => 0,
        }
    }

    /// Tells Redis that channels have left.
    async fn leave(&self, group: &GroupName, channels: impl IntoIterator<Item = Channel>) -> Result<(), LayerError> {
        let mut cmd = redis::cmd("ZREM");
        cmd.arg(self.group(group));
        for channel in channels {
            cmd.arg(channel.as_str());
        }
        self.shards[self.shard_of(group.as_str())].query(cmd).await.map(drop)
    }

    /// Removes everything under the prefix from a server.
    async fn clear(&self, shard: &Shard) -> Result<(), LayerError> {
        let pattern = format!("{}*", escape_glob(&self.prefix));
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1_000);
            let found = shard.query(scan).await?;
            let (next, keys): (u64, Vec<Vec<u8>>) = redis::from_redis_value(found).map_err(unavailable)?;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(keys);
                shard.query(unlink).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// A message that this process sends to its own sink.
struct Noted {
    outlet: Arc<Outlet>,
    number: u64,
}

impl Noted {
    /// Redis has taken it, or has not.
    fn settle(&self, taken: bool) {
        self.outlet.returns.settle(self.number, taken);
    }
}

impl Outlet {
    /// Notes a message that is about to be sent here.
    fn note(self: &Arc<Self>, body: Vec<u8>) -> Noted {
        let number = self.returns.note(Sent { to: String::new(), body });
        Noted { outlet: Arc::clone(self), number }
    }

    /// A message has come from Redis.
    fn arrive(&self, shared: &Shared, message: &[u8]) {
        let _order = self.returns.in_order();
        if let Arrival::News(overtaken) = self.returns.arrive("", message) {
            for Sent { body, .. } in overtaken {
                self.deliver(shared, &body);
            }
            self.deliver(shared, message);
        }
    }

    fn deliver(&self, shared: &Shared, message: &[u8]) {
        let Some((event, channels)) = receiver::read(shared, message) else { return };
        let event = Arc::new(event);
        for channel in channels {
            if let Some(local) = channel.strip_prefix(self.name.as_str()) {
                self.sink.deliver(local, &event);
            }
        }
    }
}

fn escape_glob(text: &str) -> String {
    text.chars().flat_map(|c| r"\*?[]^-".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// How many messages were taken, for each key of a [`scripts::PUT`].
fn taken(answer: &Value) -> Result<Vec<usize>, LayerError> {
    redis::from_redis_value_ref(answer).map_err(unavailable)
}

#[async_trait]
impl ChannelLayer for RedisCoreLayer {
    async fn send(&self, channel: &Channel, event: Event) -> Result<(), LayerError> {
        let shared = &self.shared;
        let address = channel.local().map(|_| Address::One(channel.as_str().to_owned()));
        let message = shared.envelope.seal(&shared.codec.encode(&event, address.as_ref())?);
        let shard = match channel.local() {
            Some(_) => shared.shard_of(channel.non_local()),
            None => shared.next.fetch_add(1, Ordering::Relaxed) % shared.shards.len(),
        };
        let capacity = shared.capacity(channel);
        let unread = shared.unread(channel.non_local()).await;
        let mut put = shared.scripts.put.call(1);
        put.arg(shared.queue(channel.non_local()))
            .arg(shared.expiry.as_secs_f64())
            .arg(capacity)
            .arg(unread)
            .arg(1)
            .arg(message);
        match taken(&shared.shards[shard].query(put).await?)?.first() {
            Some(0) => Err(LayerError::ChannelFull { channel: channel.clone(), capacity }),
            _ => Ok(()),
        }
    }

    async fn receive(&self, channel: &Channel) -> Result<Event, LayerError> {
        if !self.shared.client.may_read(channel) {
            return Err(LayerError::NotOurs { channel: channel.clone() });
        }
        let inbox = self.shared.inbox(channel.non_local());
        // Declared first, dropped last: then the reader has left the line.
        let settled = inbox::SettleOnDrop(Arc::clone(&inbox));
        let reader = Reader::join(inbox.mailboxes(), channel);
        inbox.wake();
        let event = reader.next().await;
        drop(settled);
        Ok(Arc::unwrap_or_clone(event))
    }

    fn new_channel(&self, prefix: &str) -> Result<Channel, LayerError> {
        self.shared.client.new_channel(prefix)
    }

    fn attach(&self, sink: Arc<dyn Sink>) -> Result<Channel, LayerError> {
        let name = new_process_name(SINK)?;
        let outlet = Arc::new(Outlet { name: name.clone(), sink, returns: Returns::default() });
        let receivers = self.shared.shards.iter().map(|shard| Receiver::start(&self.shared, shard, &outlet)).collect();
        self.shared.sinks.lock().insert(name.clone(), Attached { outlet, receivers });
        Ok(name)
    }

    async fn detach(&self, name: &Channel) -> Result<(), LayerError> {
        let Some(attached) = self.shared.sinks.lock().remove(name) else { return Ok(()) };
        drop(attached);
        let left = self.shared.memberships.lock().discard_process(name.as_str());
        let leaving = left.into_iter().map(|(group, channels)| async move { self.shared.leave(&group, channels).await });
        futures_util::future::try_join_all(leaving).await?;
        let queue = self.shared.queue(name.as_str());
        let clearing = self.shared.shards.iter().map(|shard| {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(&queue);
            shard.query(unlink)
        });
        futures_util::future::try_join_all(clearing).await.map(drop)
    }

    async fn group_add(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        let shared = &self.shared;
        let ours = shared.is_ours(channel);
        // Before Redis is asked: if it is away now, the membership is made when it is back.
        if ours {
            shared.memberships.lock().add(group, channel);
        }
        let member = Member { group: group.clone(), channel: channel.clone(), age: Duration::ZERO, confirmed: false };
        shared.shards[shared.shard_of(group.as_str())].query(shared.join(&member)).await?;
        if ours {
            shared.memberships.lock().confirm(group, channel);
        }
        Ok(())
    }

    async fn group_discard(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        self.shared.memberships.lock().discard(group, channel);
        self.shared.leave(group, [channel.clone()]).await
    }

    async fn group_send(&self, group: &GroupName, event: Event) -> Result<(), LayerError> {
        let (answer, answered) = oneshot::channel();
        let gone = || unavailable("the channel layer is closed");
        self.outbox.send(Outgoing { group: group.clone(), event, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    async fn flush(&self) -> Result<(), LayerError> {
        let inboxes: Vec<_> = self.shared.inboxes.lock().values().map(Arc::clone).collect();
        for inbox in &inboxes {
            inbox.settle().await;
        }
        self.shared.memberships.lock().clear();
        futures_util::future::try_join_all(self.shared.shards.iter().map(|shard| self.shared.clear(shard))).await?;
        for inbox in &inboxes {
            inbox.clear();
        }
        for outlet in self.shared.outlets() {
            outlet.returns.give_up();
        }
        Ok(())
    }

    fn trouble(&self) -> Option<String> {
        let shard = self.shared.shards.iter().zip(&self.shared.standings).find_map(|(shard, standing)| {
            let generation = *shard.generation().borrow();
            shard.trouble().or_else(|| standing.trouble(generation, shard.source().host()))
        });
        let receiver =
            || self.shared.sinks.lock().values().flat_map(|attached| &attached.receivers).find_map(Receiver::trouble);
        shard.or_else(receiver)
    }
}
