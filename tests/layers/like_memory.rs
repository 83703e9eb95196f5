//! The layers on Redis do what the memory layer does: random steps on both, and what one delivers the other does.
//!
//! The memory layer is held against a model of its own in `model.rs`; here it is the model. Time stands still, as it were: nothing
//! expires.

use std::{sync::Arc, time::Duration};

use confab::server::layers::{
    Channel, ChannelLayer, DEFAULT_PREFIX, Event, GroupName, LayerError, MemoryLayer, MemoryOptions,
    redis::{Host, RedisCoreLayer, RedisOptions, RedisPubSubLayer},
};
use futures_util::FutureExt as _;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use tokio::{runtime::Runtime, task::unconstrained, time::timeout};

use crate::support::redis::Redis;

const SOON: Duration = Duration::from_secs(20);
/// How long nothing may come.
const QUIET: Duration = Duration::from_millis(20);
const CAPACITY: usize = 4;
const CASES: u32 = 40;

/// Channels by number: the first that any process may receive from, the others behind the layer's `!`.
const CHANNELS: usize = 4;
const GROUPS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    GroupSend(usize),
    Add(usize, usize),
    Discard(usize, usize),
    /// The next message, if there is one.
    Receive(usize),
    /// Begins to receive and gives up.
    GiveUp(usize),
    Flush,
}

/// `first` is the first channel that takes part.
fn step(first: usize) -> impl Strategy<Value = Step> {
    let (channel, group) = (first..CHANNELS, 0..GROUPS);
    prop_oneof![
        6 => channel.clone().prop_map(Step::Send),
        6 => group.clone().prop_map(Step::GroupSend),
        4 => (group.clone(), channel.clone()).prop_map(|(group, channel)| Step::Add(group, channel)),
        2 => (group, channel.clone()).prop_map(|(group, channel)| Step::Discard(group, channel)),
        8 => channel.clone().prop_map(Step::Receive),
        2 => channel.prop_map(Step::GiveUp),
        1 => Just(Step::Flush),
    ]
}

struct Side {
    layer: Arc<dyn ChannelLayer>,
    channels: Vec<Channel>,
    marker: Channel,
}

impl Side {
    fn new(layer: Arc<dyn ChannelLayer>) -> Self {
        let own = || layer.new_channel(DEFAULT_PREFIX).expect("a channel");
        let channels = vec!["general".parse().expect("a name"), own(), own(), own()];
        let marker = own();
        Self { layer, channels, marker }
    }

    /// The next message, if one is there: of the memory layer, where it is there at once.
    fn waiting(&self, channel: usize) -> Option<Event> {
        // Or tokio would at times make it wait for others' sake.
        let received = unconstrained(self.layer.receive(&self.channels[channel])).now_or_never();
        received.map(|event| event.expect("a message"))
    }

    /// Waits until all that was sent has arrived; where it waits for its reader in Redis it has.
    async fn level(&self) {
        match self.layer.send(&self.marker, Event::new("test.level")).await {
            Err(LayerError::ChannelFull { .. }) => return,
            sent => sent.expect("sent"),
        }
        timeout(SOON, self.layer.receive(&self.marker)).await.expect("the marker in time").expect("the marker");
    }

    /// A step that brings nothing; whether it was refused.
    async fn go(&self, step: &Step, n: i64) -> bool {
        let event = || Event::new("test.message").with("n", n);
        let done = match *step {
            Step::Send(channel) => self.layer.send(&self.channels[channel], event()).await,
            Step::GroupSend(group) => self.layer.group_send(&name(group), event()).await,
            Step::Add(group, channel) => self.layer.group_add(&name(group), &self.channels[channel]).await,
            Step::Discard(group, channel) => self.layer.group_discard(&name(group), &self.channels[channel]).await,
            Step::Flush => self.layer.flush().await,
            Step::Receive(_) | Step::GiveUp(_) => Ok(()),
        };
        match done {
            Ok(()) => false,
            Err(LayerError::ChannelFull { .. }) => true,
            Err(other) => panic!("{step:?}: {other}"),
        }
    }
}

fn name(group: usize) -> GroupName {
    format!("group-{group}").parse().expect("a name")
}

/// Both sides do the steps, and in the end everything that waits is received.
async fn compare(memory: &Side, redis: &Side, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let all = (0..CHANNELS).flat_map(|channel| vec![Step::Receive(channel); 64]);
    for (n, step) in (0_i64..).zip(steps.into_iter().chain(all)) {
        match step {
            Step::Receive(channel) => {
                let Some(expected) = memory.waiting(channel) else { continue };
                let received = timeout(SOON, redis.layer.receive(&redis.channels[channel])).await;
                let received = received.map_err(|_| TestCaseError::fail(format!("nothing came on channel {channel}")))?;
                prop_assert_eq!(received.expect("a message"), expected, "channel {}", channel);
            }
            Step::GiveUp(channel) => {
                // Only where nothing waits: what is taken here would be lost to the comparison.
                if let Some(expected) = memory.waiting(channel) {
                    let received = timeout(SOON, redis.layer.receive(&redis.channels[channel])).await;
                    prop_assert_eq!(received.expect("a message in time").expect("a message"), expected);
                } else if let Ok(surprise) = timeout(QUIET, redis.layer.receive(&redis.channels[channel])).await {
                    prop_assert!(false, "{:?} came on channel {}", surprise, channel);
                }
            }
            step => {
                // Where nothing is kept in between, a message that is still on its way misses a member who leaves meanwhile, and
                // reaches one who comes.
                if let Step::Add(..) | Step::Discard(..) = step {
                    redis.level().await;
                }
                let (expected, refused) = (memory.go(&step, n).await, redis.go(&step, n).await);
                prop_assert_eq!(refused, expected, "refused: {:?}", step);
            }
        }
    }
    for channel in &redis.channels {
        let surprise = timeout(QUIET, redis.layer.receive(channel)).await;
        prop_assert!(surprise.is_err(), "{:?} came on {}", surprise, channel);
    }
    Ok(())
}

/// `first` is the first channel that takes part.
fn run(first: usize, capacity: usize, start: impl Fn(RedisOptions) -> Arc<dyn ChannelLayer>) {
    let runtime = Runtime::new().expect("a runtime");
    let redis = runtime.block_on(Redis::start());
    let mut runner = TestRunner::new(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&vec(step(first), 0..60), |steps| {
        runtime.block_on(async {
            let memory = MemoryLayer::new(MemoryOptions { capacity, ..MemoryOptions::default() }).expect("random numbers");
            let hosts = vec![Host::Url(redis.url())];
            let on_redis = Side::new(start(RedisOptions { hosts, capacity, ..RedisOptions::default() }));
            on_redis.layer.flush().await.expect("a clean beginning");
            compare(&Side::new(Arc::new(memory)), &on_redis, steps).await
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn core_does_what_memory_does() {
    run(0, CAPACITY, |options| RedisCoreLayer::start(options).expect("a layer"));
}

/// Senders hear of no capacity there, and a general channel has no queue: so many messages that no mailbox is full, and the
/// layer's own channels.
#[test]
fn pubsub_does_what_memory_does() {
    run(1, 1_000, |options| RedisPubSubLayer::start(options).expect("a layer"));
}
