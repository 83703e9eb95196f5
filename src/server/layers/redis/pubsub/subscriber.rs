//! The subscriptions on one server: a connection that only listens, made anew whenever it is lost.
//!
//! What is wanted is kept here, so that a new connection begins where the last one ended. Orders are carried out one after
//! another; [`Subscriber::ready`] waits for those that were given before.
//!
//! A subscription can die without a sign. So every five seconds a probe is published on the server and has to arrive here
//! within three.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use redis::{
    Msg, RedisError,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tracing::{debug, warn};

use super::super::shard::{Shard, unavailable};
use crate::server::{layers::LayerError, random::hex_128};

/// Between probes.
const QUIET: Duration = Duration::from_secs(5);
/// How long a probe may take, and a subscription.
const LATE: Duration = Duration::from_secs(3);
/// How long somebody waits for orders to be carried out.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between attempts to connect.
const PAUSE: Duration = Duration::from_millis(250);
/// Names in one command.
const CHUNK: usize = 500;

/// What is listened to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Channel(String),
    /// A glob.
    Pattern(String),
}

#[derive(Debug)]
enum Order {
    Begin(Topic),
    End(Topic),
}

/// What hears the messages: the payload on a channel, and that there may be a gap.
pub(super) trait Listener: Send + Sync + 'static {
    /// Says whether anybody here wants what comes on this channel; if nobody does, it is listened to no more.
    fn message(&self, channel: &str, payload: &[u8]) -> bool;
    fn gap(&self);
}

/// The subscriptions on one server, until it is dropped.
pub(super) struct Subscriber {
    orders: mpsc::UnboundedSender<Order>,
    given: AtomicU64,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    shard: Arc<Shard>,
    /// The channel of the probes.
    probe: String,
    /// The number of the latest probe.
    probes: AtomicU64,
    /// The highest number among the probes that have been heard.
    heard: watch::Sender<u64>,
    /// How many orders have been carried out.
    done: watch::Sender<u64>,
    lost: Mutex<Option<Lost>>,
}

/// Why there is no connection, and since when.
struct Lost {
    since: Instant,
    cause: String,
}

impl Subscriber {
    pub(super) fn start(shard: &Arc<Shard>, prefix: &str, listener: Arc<dyn Listener>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            shard: Arc::clone(shard),
            probe: format!("{prefix}__probe__{}", hex_128()),
            probes: AtomicU64::new(0),
            heard: watch::Sender::new(0),
            done: watch::Sender::new(0),
            lost: Mutex::default(),
        });
        let task = Task { state: Arc::clone(&state), listener, orders: received, wanted: BTreeSet::new(), taken: 0 };
        Self { orders, given: AtomicU64::new(0), state, task: tokio::spawn(task.run()) }
    }

    /// Listens to a topic from some time on, [`Self::ready`] tells when; again does nothing.
    pub(super) fn begin(&self, topic: Topic) {
        self.give(Order::Begin(topic));
    }

    /// Listens to it no more.
    pub(super) fn end(&self, topic: Topic) {
        self.give(Order::End(topic));
    }

    fn give(&self, order: Order) {
        self.given.fetch_add(1, Ordering::SeqCst);
        // The task ends with this alone.
        let _ = self.orders.send(order);
    }

    /// Resolves when all orders that were given by now are carried out.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`]: the server is away; they will be carried out when it is back.
    pub(super) async fn ready(&self) -> Result<(), LayerError> {
        let given = self.given.load(Ordering::SeqCst);
        if *self.state.done.borrow() >= given {
            return Ok(());
        }
        let mut done = self.state.done.subscribe();
        // Not at all where the connection has been lost for so long: nobody is to wait anew with each message.
        let lost_for = self.state.lost.lock().as_ref().map_or(Duration::ZERO, |lost| lost.since.elapsed());
        let carried_out = timeout(PATIENCE.saturating_sub(lost_for), done.wait_for(|done| *done >= given)).await;
        carried_out
            .map(drop)
            .map_err(|_| unavailable(self.trouble().unwrap_or_else(|| "Redis is slow to subscribe".to_owned())))
    }

    /// Resolves when everything that was published on this server before has been heard.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`].
    pub(super) async fn level(&self) -> Result<(), LayerError> {
        self.ready().await?;
        self.state.probe().await
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.state.lost.lock().as_ref().map(|lost| lost.cause.clone())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// Sends a probe and waits until it is heard, or one that somebody sent later.
    async fn probe(&self) -> Result<(), LayerError> {
        let mut heard = self.heard.subscribe();
        let number = 1 + self.probes.fetch_add(1, Ordering::SeqCst);
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&self.probe).arg(number);
        self.shard.query(publish).await?;
        let answer = timeout(LATE, heard.wait_for(|heard| *heard >= number)).await;
        answer.map(drop).map_err(|_| unavailable("the subscription is silent"))
    }
}

struct Task {
    state: Arc<State>,
    listener: Arc<dyn Listener>,
    orders: mpsc::UnboundedReceiver<Order>,
    wanted: BTreeSet<Topic>,
    /// How many orders have been noted in `wanted`. One whose connection breaks is carried out by the next.
    taken: u64,
}

impl Task {
    async fn run(mut self) {
        let mut connected_before = false;
        loop {
            let cause = match self.connect().await {
                Ok((sink, stream)) => {
                    *self.state.lost.lock() = None;
                    if connected_before {
                        self.listener.gap();
                    }
                    connected_before = true;
                    let cause = self.listen(sink, stream).await;
                    warn!(host = %self.state.shard.source().host(), %cause, "the subscription to Redis is lost");
                    cause
                }
                Err(cause) => {
                    // The shard's own connection says so in the log.
                    debug!(%cause, "no subscription to Redis");
                    cause.to_string()
                }
            };
            self.note_lost(&cause);
            sleep(PAUSE).await;
        }
    }

    fn note_lost(&self, cause: &str) {
        let cause = format!("the subscription to {} is lost: {cause}", self.state.shard.source().host());
        let mut lost = self.state.lost.lock();
        let since = lost.as_ref().map_or_else(Instant::now, |lost| lost.since);
        *lost = Some(Lost { since, cause });
    }

    /// A connection that listens to all that is wanted.
    async fn connect(&mut self) -> Result<(PubSubSink, PubSubStream), RedisError> {
        let (mut sink, stream) = self.state.shard.source().subscriber().await?.split();
        while let Ok(order) = self.orders.try_recv() {
            self.note(order);
        }
        let names = |pattern: bool| {
            let wanted = self.wanted.iter().filter_map(move |topic| match topic {
                Topic::Channel(name) => (!pattern).then_some(name.as_str()),
                Topic::Pattern(name) => pattern.then_some(name.as_str()),
            });
            wanted.collect::<Vec<_>>()
        };
        on_time(sink.subscribe(&self.state.probe)).await?;
        for names in names(false).chunks(CHUNK) {
            on_time(sink.subscribe(names)).await?;
        }
        for names in names(true).chunks(CHUNK) {
            on_time(sink.psubscribe(names)).await?;
        }
        self.state.done.send_replace(self.taken);
        Ok((sink, stream))
    }

    /// Whether something changes.
    fn note(&mut self, order: Order) -> bool {
        self.taken += 1;
        match order {
            Order::Begin(topic) => self.wanted.insert(topic),
            Order::End(topic) => self.wanted.remove(&topic),
        }
    }

    /// Listens until the connection is lost; returns why.
    async fn listen(&mut self, mut sink: PubSubSink, mut stream: PubSubStream) -> String {
        let state = Arc::clone(&self.state);
        let mut silence = std::pin::pin!(quiet(&state));
        loop {
            tokio::select! {
                message = stream.next() => {
                    let Some(message) = message else { return "the connection is closed".to_owned() };
                    if !self.hear(&message)
                        && let Err(cause) = self.give_up(&mut sink, message.get_channel_name()).await
                    {
                        return cause.to_string();
                    }
                }
                Some(order) = self.orders.recv() => {
                    if let Err(cause) = self.carry_out(&mut sink, order).await {
                        return cause.to_string();
                    }
                    self.state.done.send_replace(self.taken);
                }
                () = &mut silence => return "it is silent".to_owned(),
            }
        }
    }

    async fn carry_out(&mut self, sink: &mut PubSubSink, order: Order) -> Result<(), RedisError> {
        let (topic, begins) = match &order {
            Order::Begin(topic) => (topic.clone(), true),
            Order::End(topic) => (topic.clone(), false),
        };
        if !self.note(order) {
            return Ok(());
        }
        match (topic, begins) {
            (Topic::Channel(name), true) => on_time(sink.subscribe(name)).await,
            (Topic::Channel(name), false) => on_time(sink.unsubscribe(name)).await,
            (Topic::Pattern(name), true) => on_time(sink.psubscribe(name)).await,
            (Topic::Pattern(name), false) => on_time(sink.punsubscribe(name)).await,
        }
    }

    /// Says whether anybody wants what comes on this channel.
    fn hear(&self, message: &Msg) -> bool {
        let channel = message.get_channel_name();
        if channel != self.state.probe {
            return self.listener.message(channel, message.get_payload_bytes());
        }
        if let Some(number) = str::from_utf8(message.get_payload_bytes()).ok().and_then(|number| number.parse::<u64>().ok()) {
            self.state.heard.send_modify(|heard| *heard = number.max(*heard));
        }
        true
    }

    /// Listens no more to a channel that nobody wants. Who wants it again gives an order after that, which is still to come.
    async fn give_up(&mut self, sink: &mut PubSubSink, channel: &str) -> Result<(), RedisError> {
        if !self.wanted.remove(&Topic::Channel(channel.to_owned())) {
            return Ok(());
        }
        on_time(sink.unsubscribe(channel)).await
    }
}

/// Resolves when a probe has not been heard although the server took it.
async fn quiet(state: &State) {
    loop {
        sleep(QUIET).await;
        // Where the server does not even take it, its own connection finds out; this one may be well.
        if state.shard.trouble().is_none() && state.probe().await.is_err() && state.shard.trouble().is_none() {
            return;
        }
    }
}

async fn on_time<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    let late = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer to a subscription within three seconds");
    timeout(LATE, answer).await.map_err(late)?
}
