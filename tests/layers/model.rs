//! The memory layer against a model that is too simple to be wrong: one list of unread messages, one of memberships,
//! one of readers that wait, each searched from the front.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use confab::server::layers::{
    Channel, ChannelLayer, DEFAULT_PREFIX, Event, GroupName, LayerError, MemoryLayer, MemoryOptions, Sink,
};
use futures_util::{FutureExt, future::BoxFuture, poll};
use parking_lot::Mutex;
use proptest::{collection::vec, prelude::*};

const CAPACITY: usize = 3;
const EXPIRY: u64 = 10;
const GROUP_EXPIRY: u64 = 25;

/// Channels by number: two shared ones, the second with a capacity of one; three behind the client's `!`; two of a sink.
const CHANNELS: usize = 7;
const GROUPS: usize = 2;

fn is_sink(channel: usize) -> bool {
    channel >= 5
}

fn mailbox(channel: usize) -> usize {
    channel.min(2)
}

fn capacity(channel: usize) -> usize {
    if channel == 1 { 1 } else { CAPACITY }
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    /// Sends, and before the first reader who waits there can do anything, it gives up.
    SendAndGiveUp(usize),
    /// Sends, and before a reader can do anything, some seconds pass.
    SendAndPass(usize, u64),
    /// Tries once.
    Receive(usize),
    /// Begins to wait.
    Wait(usize),
    /// The first reader who waits there no longer does.
    GiveUp(usize),
    Add(usize, usize),
    Discard(usize, usize),
    GroupSend(usize),
    Pass(u64),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let (channel, group, seconds) = (0..CHANNELS, 0..GROUPS, 1..=12_u64);
    let mailbox = 0..5_usize;
    prop_oneof![
        6 => channel.clone().prop_map(Step::Send),
        2 => channel.clone().prop_map(Step::SendAndGiveUp),
        1 => (channel.clone(), seconds.clone()).prop_map(|(channel, seconds)| Step::SendAndPass(channel, seconds)),
        6 => mailbox.clone().prop_map(Step::Receive),
        3 => mailbox.clone().prop_map(Step::Wait),
        1 => mailbox.prop_map(Step::GiveUp),
        6 => (group.clone(), channel.clone()).prop_map(|(group, channel)| Step::Add(group, channel)),
        2 => (group.clone(), channel).prop_map(|(group, channel)| Step::Discard(group, channel)),
        6 => group.prop_map(Step::GroupSend),
        2 => seconds.prop_map(Step::Pass),
        1 => Just(Step::Flush),
    ]
}

/// What a step makes happen.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    refused: bool,
    /// By the sink: channel and message. Sorted, for the members of a group have no order.
    delivered: Vec<(usize, i64)>,
    /// By readers: channel, which of those who ever waited or tried, message.
    received: Vec<(usize, usize, i64)>,
}

struct Letter {
    channel: usize,
    message: i64,
    expires: u64,
}

#[derive(Default)]
struct Model {
    now: u64,
    unread: Vec<Letter>,
    /// With the end of the membership.
    members: BTreeMap<(usize, usize), u64>,
    /// Channel and reader, in the order in which they came.
    waiting: Vec<(usize, usize)>,
}

impl Model {
    fn run(&mut self, step: &Step, n: usize) -> Outcome {
        let message = i64::try_from(n).expect("a small number");
        let mut outcome = Outcome::default();
        match *step {
            Step::Send(channel) => outcome.refused = self.put(&[channel], message, &mut outcome.delivered),
            Step::SendAndGiveUp(channel) => {
                outcome.refused = self.put(&[channel], message, &mut outcome.delivered);
                self.give_up(channel);
            }
            Step::SendAndPass(channel, seconds) => {
                outcome.refused = self.put(&[channel], message, &mut outcome.delivered);
                self.pass(seconds);
                if !outcome.refused && seconds >= EXPIRY {
                    // The reader was called in vain and goes to the end of the line.
                    let first = self.give_up(channel);
                    self.waiting.extend(first);
                }
            }
            Step::Receive(channel) => {
                self.waiting.push((channel, n));
                self.settle(&mut outcome.received);
                self.waiting.retain(|(_, reader)| *reader != n);
            }
            Step::Wait(channel) => self.waiting.push((channel, n)),
            Step::GiveUp(channel) => {
                self.give_up(channel);
            }
            Step::Add(group, channel) => {
                self.members.insert((group, channel), self.now + GROUP_EXPIRY);
            }
            Step::Discard(group, channel) => {
                self.members.remove(&(group, channel));
            }
            Step::GroupSend(group) => {
                let members = self.members.keys().filter(|(of, _)| *of == group).map(|(_, channel)| *channel);
                let members: Vec<_> = members.collect();
                for process in members.chunk_by(|a, b| mailbox(*a) == mailbox(*b) && is_sink(*a) == is_sink(*b)) {
                    self.put(process, message, &mut outcome.delivered);
                }
            }
            Step::Pass(seconds) => self.pass(seconds),
            Step::Flush => {
                self.unread.clear();
                self.members.clear();
            }
        }
        self.settle(&mut outcome.received);
        outcome
    }

    /// To channels of one process; says whether one was full.
    fn put(&mut self, channels: &[usize], message: i64, delivered: &mut Vec<(usize, i64)>) -> bool {
        let mut same_mailbox: Vec<_> = self
            .unread
            .iter()
            .filter(|letter| mailbox(letter.channel) == mailbox(channels[0]))
            .map(|letter| letter.message)
            .collect();
        same_mailbox.sort_unstable();
        same_mailbox.dedup();
        let mut full = false;
        for &channel in channels {
            if is_sink(channel) {
                delivered.push((channel, message));
            } else if same_mailbox.len() < capacity(channel) {
                self.unread.push(Letter { channel, message, expires: self.now + EXPIRY });
            } else {
                full = true;
            }
        }
        full
    }

    fn give_up(&mut self, channel: usize) -> Option<(usize, usize)> {
        let first = self.waiting.iter().position(|(of, _)| *of == channel)?;
        Some(self.waiting.remove(first))
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        self.unread.retain(|letter| letter.expires > self.now);
        self.members.retain(|_, end| *end > self.now);
    }

    /// Gives to readers what is there.
    fn settle(&mut self, received: &mut Vec<(usize, usize, i64)>) {
        let waiting = std::mem::take(&mut self.waiting);
        for (channel, reader) in waiting {
            match self.unread.iter().position(|letter| letter.channel == channel) {
                Some(letter) => received.push((channel, reader, self.unread.remove(letter).message)),
                None => self.waiting.push((channel, reader)),
            }
        }
        received.sort_unstable();
    }
}

#[derive(Default)]
struct Outlet(Mutex<Vec<(String, i64)>>);

impl Sink for Outlet {
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        self.0.lock().push((local.to_owned(), number(event)));
    }
}

fn number(event: &Event) -> i64 {
    event.get_i64("n").expect("a numbered event")
}

/// The layer, its channels and groups by number.
struct Real {
    layer: MemoryLayer,
    channels: [Channel; CHANNELS],
    groups: [GroupName; GROUPS],
    outlet: Arc<Outlet>,
}

/// Channel, which reader, its receive.
type Waiter<'a> = (usize, usize, BoxFuture<'a, Result<Event, LayerError>>);
type Waiting<'a> = Vec<Waiter<'a>>;

impl Real {
    fn start() -> Self {
        let layer = MemoryLayer::new(MemoryOptions {
            capacity: CAPACITY,
            channel_capacity: vec![("narr?w".to_owned(), 1), ("n*".to_owned(), 2)],
            expiry: Duration::from_secs(EXPIRY),
            group_expiry: Duration::from_secs(GROUP_EXPIRY),
        })
        .expect("random numbers");
        let outlet = Arc::new(Outlet::default());
        let sink = layer.attach(Arc::clone(&outlet) as Arc<dyn Sink>).expect("a sink");
        let own = || layer.new_channel(DEFAULT_PREFIX).expect("a channel");
        let behind = |local| sink.with_local(local).expect("a channel");
        let shared = |name: &str| name.parse().expect("a channel");
        let channels = [shared("wide"), shared("narrow"), own(), own(), own(), behind("5"), behind("6")];
        let groups = ["one", "two"].map(|name| name.parse().expect("a group"));
        Self { layer, channels, groups, outlet }
    }

    async fn run<'a>(&'a self, step: &Step, n: usize, waiting: &mut Waiting<'a>) -> Outcome {
        let message = Event::new("test.message").with("n", i64::try_from(n).expect("a small number"));
        let mut outcome = Outcome::default();
        match *step {
            Step::Send(channel) => outcome.refused = self.send(channel, message).await,
            Step::SendAndGiveUp(channel) => {
                outcome.refused = self.send(channel, message).await;
                drop(give_up(waiting, channel));
            }
            Step::SendAndPass(channel, seconds) => {
                outcome.refused = self.send(channel, message).await;
                tokio::time::advance(Duration::from_secs(seconds)).await;
                if !outcome.refused && seconds >= EXPIRY {
                    let first = give_up(waiting, channel);
                    waiting.extend(first);
                }
            }
            Step::Receive(channel) => {
                if let Some(event) = self.layer.receive(&self.channels[channel]).now_or_never() {
                    outcome.received.push((channel, n, number(&event.expect("a message"))));
                }
            }
            Step::Wait(channel) => waiting.push((channel, n, self.layer.receive(&self.channels[channel]))),
            Step::GiveUp(channel) => drop(give_up(waiting, channel)),
            Step::Add(group, channel) => {
                self.layer.group_add(&self.groups[group], &self.channels[channel]).await.expect("a member");
            }
            Step::Discard(group, channel) => {
                self.layer.group_discard(&self.groups[group], &self.channels[channel]).await.expect("a discard");
            }
            Step::GroupSend(group) => self.layer.group_send(&self.groups[group], message).await.expect("a group send"),
            Step::Pass(seconds) => tokio::time::advance(Duration::from_secs(seconds)).await,
            Step::Flush => self.layer.flush().await.expect("a flush"),
        }
        for (channel, reader, mut receive) in std::mem::take(waiting) {
            match poll!(&mut receive) {
                std::task::Poll::Ready(event) => outcome.received.push((channel, reader, number(&event.expect("a message")))),
                std::task::Poll::Pending => waiting.push((channel, reader, receive)),
            }
        }
        outcome.received.sort_unstable();
        let delivered = std::mem::take(&mut *self.outlet.0.lock());
        outcome.delivered = delivered.into_iter().map(|(local, n)| (local.parse().expect("a number"), n)).collect();
        outcome.delivered.sort_unstable();
        outcome
    }

    /// Says whether the channel was full.
    async fn send(&self, channel: usize, message: Event) -> bool {
        match self.layer.send(&self.channels[channel], message).await {
            Ok(()) => false,
            Err(LayerError::ChannelFull { capacity: told, .. }) if told == capacity(channel) => true,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Takes the first who waits on `channel` out of the line. It gives up only when what is returned is dropped.
fn give_up<'a>(waiting: &mut Waiting<'a>, channel: usize) -> Option<Waiter<'a>> {
    let first = waiting.iter().position(|waiter| waiter.0 == channel)?;
    Some(waiting.remove(first))
}

async fn compare(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (real, mut model, mut waiting) = (Real::start(), Model::default(), Waiting::new());
    for (n, step) in steps.iter().enumerate() {
        prop_assert_eq!(real.run(step, n, &mut waiting).await, model.run(step, n), "step {}, {:?}", n, step);
    }
    waiting.clear();
    for channel in (0..CHANNELS).filter(|channel| !is_sink(*channel)) {
        let left = model.unread.iter().filter(|letter| letter.channel == channel).map(|letter| letter.message);
        let mut received = Vec::new();
        while let Some(event) = real.layer.receive(&real.channels[channel]).now_or_never() {
            received.push(number(&event.expect("a message")));
        }
        prop_assert_eq!(received, left.collect::<Vec<_>>(), "left on channel {}", channel);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_memory_layer_does_what_the_model_does(steps in vec(step(), 1..80)) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
        // A poll here is meant to say what is there, not whether others should have a turn first.
        runtime.block_on(tokio::task::coop::unconstrained(compare(steps)))?;
    }
}
