//! The channel layer on published messages, `channels_redis.pubsub`: what is sent reaches who listens, and is nowhere kept.
//!
//! ```text
//!   send ───────► PUBLISH {channel}                   ┐                   ┌─► sinks, at once
//!   group_send ─► PUBLISH {prefix}__group__{group} ───┴─► subscriber ─────┴─► mailboxes ──► receive
//! ```
//!
//! One message costs one `PUBLISH`, however many members there are: who is a member is known to each process alone, which
//! listens to a group as long as it has members there. A process listens to all channels of its own by one pattern, on every
//! server, since a name may belong to any of them.
//!
//! There is no queue in Redis, so a sender hears nothing of capacity: mailboxes are in the process that reads, and what finds one
//! full is dropped there. On several servers, what goes to a group and what goes to a channel itself take different ways and may
//! overtake each other. What is sent to a channel without `!` that nobody has begun to receive from is lost.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use parking_lot::{Mutex, RwLock};
use tokio::{task::JoinHandle, time::sleep};
use tracing::{info, warn};

use super::{
    RedisOptions, SINK,
    codec::{ALIKE, Codec},
    returns::{self, Arrival, Returns, Sent},
    ring::ring,
    shard::{Shard, unavailable},
};
use crate::server::layers::{
    Capacities, Channel, ChannelLayer, Event, GroupName, LayerError, Sink,
    groups::Groups,
    mailboxes::{Mailboxes, Reader},
    names::{ClientId, new_process_name},
};
use subscriber::{Listener, Subscriber, Topic};

mod subscriber;

/// A [`ChannelLayer`] on published messages in Redis; see the module.
pub struct RedisPubSubLayer {
    local: Arc<Local>,
    servers: Arc<Vec<Server>>,
    tasks: Vec<JoinHandle<()>>,
}

struct Server {
    shard: Arc<Shard>,
    subscriber: Subscriber,
    /// Held by who hands a message over.
    turn: tokio::sync::Mutex<()>,
    /// What this process has sent to groups that it listens to.
    returns: Arc<Returns>,
}

/// What is in this process.
struct Local {
    client: ClientId,
    /// What the Redis channels of groups begin with.
    group_prefix: String,
    codec: Codec,
    capacities: Capacities,
    /// By the name they are attached to.
    sinks: RwLock<HashMap<Channel, Arc<dyn Sink>>>,
    groups: Mutex<Groups>,
    mailboxes: Mutex<Mailboxes>,
}

impl RedisPubSubLayer {
    /// Begins to connect, inside a tokio runtime, and does not wait for it: what is sent before waits for a moment.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] if a host's address is none or the system has no random numbers.
    pub fn start(options: RedisOptions) -> Result<Arc<Self>, LayerError> {
        let client = ClientId::draw()?;
        let own = client.pattern();
        let local = Arc::new(Local {
            client,
            group_prefix: format!("{}__group__", options.prefix),
            codec: Codec::new(options.serializer, &options.symmetric_encryption_keys, None),
            capacities: Capacities::new(options.capacity, options.channel_capacity.clone()),
            sinks: RwLock::default(),
            groups: Mutex::new(Groups::new(options.group_expiry)),
            mailboxes: Mutex::new(Mailboxes::new(options.expiry)),
        });
        let server = |host: &super::Host| {
            let shard = Arc::new(Shard::start(host.clone(), &[])?);
            let returns = Arc::new(Returns::default());
            let listener = Arc::new(Hearing { local: Arc::downgrade(&local), returns: Arc::clone(&returns) });
            let subscriber = Subscriber::start(&shard, &options.prefix, listener);
            subscriber.begin(Topic::Pattern(own.clone()));
            Ok::<_, LayerError>(Server { shard, subscriber, turn: tokio::sync::Mutex::default(), returns })
        };
        let servers: Vec<_> = options.hosts.iter().map(server).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(unavailable("no Redis host is given"));
        }
        let servers = Arc::new(servers);
        let watch = |index| tokio::spawn(tell_of_outages(Arc::downgrade(&servers), index, Arc::downgrade(&local)));
        let overdue = |index| tokio::spawn(hand_out_overdue(Arc::downgrade(&servers), index, Arc::downgrade(&local)));
        let tasks = (0..servers.len()).flat_map(|index| [watch(index), overdue(index)]).collect();
        Ok(Arc::new(Self { local, servers, tasks }))
    }

    fn server_of(&self, redis_channel: &str) -> &Server {
        &self.servers[ring(redis_channel, self.servers.len())]
    }

    /// Resolves when this process listens to all that it wants to by now, on all servers.
    async fn ready(&self) -> Result<(), LayerError> {
        try_join_all(self.servers.iter().map(|server| server.subscriber.ready())).await.map(drop)
    }

    /// Where it is `for_us` too, this process listens there.
    async fn publish(&self, redis_channel: &str, event: &Event, for_us: bool) -> Result<(), LayerError> {
        let payload = self.local.codec.encode(event, None)?;
        let server = self.server_of(redis_channel);
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(redis_channel).arg(&payload);
        let (noted, answer) = {
            // It is fair: who has to wait for a subscription is not overtaken by who comes when it is there.
            let _turn = server.turn.lock().await;
            // Who sends after having begun to listen hears it. The other servers have no part in this: they may be away.
            server.subscriber.ready().await?;
            let noted = if for_us {
                server.returns.check()?;
                Some(server.returns.note(Sent { to: redis_channel.to_owned(), body: payload }))
            } else {
                None
            };
            (noted, server.shard.submit(publish).await)
        };
        let published = match answer {
            Ok(answer) => answer.value().await,
            Err(error) => Err(error),
        };
        let heard = published.and_then(|by| redis::from_redis_value::<u64>(by).map_err(unavailable));
        let Some(number) = noted else { return heard.map(drop) };
        if let Ok(0) = heard {
            // The end of our subscription has not been noticed yet.
            server.returns.withdraw(number);
            return Err(unavailable("nobody has heard it: the subscription of this process is lost"));
        }
        server.returns.settle(number, heard.is_ok());
        heard.map(drop)
    }

    fn listen_to_group(&self, group: &GroupName) {
        let name = self.local.redis_channel(group);
        self.server_of(&name).subscriber.begin(Topic::Channel(name.clone()));
    }

    fn leave_group(&self, group: &GroupName) {
        let name = self.local.redis_channel(group);
        self.server_of(&name).subscriber.end(Topic::Channel(name.clone()));
    }

    /// Listens to a channel that others may write to and that no pattern covers.
    fn listen_to(&self, channel: &Channel) {
        if channel.local().is_none() {
            self.server_of(channel.as_str()).subscriber.begin(Topic::Channel(channel.as_str().to_owned()));
        }
    }
}

impl Drop for RedisPubSubLayer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// While a server was away, others could not publish there either: even where the subscription has survived, there is a gap.
async fn tell_of_outages(servers: Weak<Vec<Server>>, index: usize, local: Weak<Local>) {
    let Some(mut generation) = servers.upgrade().map(|servers| servers[index].shard.generation()) else { return };
    while generation.changed().await.is_ok() {
        let (Some(servers), Some(local)) = (servers.upgrade(), local.upgrade()) else { return };
        if *generation.borrow() > 1 {
            // What is published from now on must be heard before anybody looks for what was not.
            if let Err(cause) = servers[index].subscriber.level().await {
                warn!(%cause, "the subscription is not back yet");
            }
            local.gap();
        }
    }
}

/// What this process has sent to itself and a server has lost.
async fn hand_out_overdue(servers: Weak<Vec<Server>>, index: usize, local: Weak<Local>) {
    loop {
        sleep(returns::EVERY).await;
        let (Some(servers), Some(local)) = (servers.upgrade(), local.upgrade()) else { return };
        let returns = &servers[index].returns;
        let _order = returns.in_order();
        for Sent { to, body } in returns.overdue() {
            local.hear(&to, &body);
        }
    }
}

impl Local {
    fn redis_channel(&self, group: &GroupName) -> String {
        format!("{}{group}", self.group_prefix)
    }

    fn is_attached(&self, channel: &Channel) -> bool {
        self.sink_of(channel).is_some()
    }

    fn sink_of(&self, channel: &Channel) -> Option<Arc<dyn Sink>> {
        self.sinks.read().get(channel.non_local()).map(Arc::clone)
    }

    /// Gives an event to channels, those of one process standing together; returns how many had no room for it.
    fn deliver(&self, channels: &[Channel], event: &Arc<Event>) -> usize {
        let processes = channels.chunk_by(|a, b| a.non_local() == b.non_local());
        let given = processes.map(|channels| match channels.first().and_then(|first| self.sink_of(first)) {
            Some(sink) => {
                for channel in channels {
                    sink.deliver(channel.local().unwrap_or_default(), event);
                }
                0
            }
            None => self.mailboxes.lock().put(channels, event, &self.capacities),
        });
        given.sum()
    }

    /// Hands out a message; says whether anybody here wants what comes on this channel.
    fn hear(&self, redis_channel: &str, payload: &[u8]) -> bool {
        let group = redis_channel.strip_prefix(&self.group_prefix).and_then(|group| group.parse::<GroupName>().ok());
        let channels: Arc<[Channel]> = match &group {
            Some(group) => self.groups.lock().members(group),
            None => redis_channel.parse().into_iter().collect(),
        };
        if channels.is_empty() {
            // The last memberships have expired: nobody has said that the group is left.
            return false;
        }
        // A peer's mistake; nothing that is received may stop the receiving.
        let event = match self.codec.decode(payload) {
            Ok((event, _)) => Arc::new(event),
            Err(cause) => {
                warn!(%cause, channel = redis_channel, "a message from Redis cannot be read: {ALIKE}");
                return true;
            }
        };
        let full = self.deliver(&channels, &event);
        match group {
            Some(group) if full > 0 => info!("{full} of {} channels over capacity in group {group}", channels.len()),
            None if full > 0 => info!("channel {redis_channel} over capacity"),
            _ => {}
        }
        true
    }

    fn gap(&self) {
        let sinks: Vec<_> = self.sinks.read().values().map(Arc::clone).collect();
        for sink in sinks {
            sink.gap();
        }
    }
}

/// Takes what the subscriber of a server hears, as long as the layer is there.
struct Hearing {
    local: Weak<Local>,
    returns: Arc<Returns>,
}

impl Listener for Hearing {
    fn message(&self, redis_channel: &str, payload: &[u8]) -> bool {
        let Some(local) = self.local.upgrade() else { return true };
        let _order = self.returns.in_order();
        match self.returns.arrive(redis_channel, payload) {
            Arrival::News(overtaken) => {
                for Sent { to, body } in overtaken {
                    local.hear(&to, &body);
                }
                local.hear(redis_channel, payload)
            }
            Arrival::Late => true,
        }
    }

    fn gap(&self) {
        if let Some(local) = self.local.upgrade() {
            local.gap();
        }
    }
}

#[async_trait]
impl ChannelLayer for RedisPubSubLayer {
    async fn send(&self, channel: &Channel, event: Event) -> Result<(), LayerError> {
        self.publish(channel.as_str(), &event, false).await
    }

    async fn receive(&self, channel: &Channel) -> Result<Event, LayerError> {
        if !self.local.client.may_read(channel) {
            return Err(LayerError::NotOurs { channel: channel.clone() });
        }
        self.listen_to(channel);
        let event = Reader::join(&self.local.mailboxes, channel).next().await;
        Ok(Arc::unwrap_or_clone(event))
    }

    fn new_channel(&self, prefix: &str) -> Result<Channel, LayerError> {
        self.local.client.new_channel(prefix)
    }

    fn attach(&self, sink: Arc<dyn Sink>) -> Result<Channel, LayerError> {
        let name = new_process_name(SINK)?;
        self.local.sinks.write().insert(name.clone(), sink);
        for server in self.servers.iter() {
            server.subscriber.begin(Topic::Pattern(format!("{name}*")));
        }
        Ok(name)
    }

    async fn detach(&self, name: &Channel) -> Result<(), LayerError> {
        if self.local.sinks.write().remove(name).is_none() {
            return Ok(());
        }
        for server in self.servers.iter() {
            server.subscriber.end(Topic::Pattern(format!("{name}*")));
        }
        {
            let mut groups = self.local.groups.lock();
            for left in groups.discard_process(name.non_local()) {
                self.leave_group(&left);
            }
        }
        self.ready().await
    }

    async fn group_add(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        if !self.local.client.may_read(channel) && !self.local.is_attached(channel) {
            return Err(LayerError::NotOurs { channel: channel.clone() });
        }
        {
            // Under the lock, so that the order of a last member that leaves and a first one that comes is that of their orders.
            let mut groups = self.local.groups.lock();
            groups.add(group, channel);
            self.listen_to_group(group);
        }
        self.listen_to(channel);
        self.server_of(&self.local.redis_channel(group)).subscriber.ready().await?;
        if channel.local().is_none() {
            self.server_of(channel.as_str()).subscriber.ready().await?;
        }
        Ok(())
    }

    async fn group_discard(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        let mut groups = self.local.groups.lock();
        groups.discard(group, channel);
        if groups.members(group).is_empty() {
            self.leave_group(group);
        }
        Ok(())
    }

    async fn group_send(&self, group: &GroupName, event: Event) -> Result<(), LayerError> {
        let for_us = !self.local.groups.lock().members(group).is_empty();
        self.publish(&self.local.redis_channel(group), &event, for_us).await
    }

    async fn flush(&self) -> Result<(), LayerError> {
        try_join_all(self.servers.iter().map(|server| server.subscriber.level())).await?;
        let mut groups = self.local.groups.lock();
        for group in groups.clear() {
            self.leave_group(&group);
        }
        self.local.mailboxes.lock().clear();
        for server in self.servers.iter() {
            server.returns.give_up();
        }
        Ok(())
    }

    fn trouble(&self) -> Option<String> {
        let mut servers = self.servers.iter();
        servers.find_map(|server| server.shard.trouble().or_else(|| server.subscriber.trouble()))
    }
}
