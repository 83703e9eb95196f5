//! What every channel layer does, as tests that know nothing of the backend but how to start it.
//!
//! The invariants are those of the test suites of Channels and `channels_redis`, with those that fail there, and those of attached
//! sinks, which are ours. A backend implements [`Backend`] and says `conformance!(ItsName);` in a module of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use confab::server::layers::{Channel, ChannelLayer, DEFAULT_PREFIX, Event, GroupName, LayerError, Sink, Value};
use futures_util::{FutureExt, future::join_all, poll};
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

/// How long to wait for what must come. Only a test that fails waits so long.
const SOON: Duration = Duration::from_secs(20);
/// How long to wait for what must not come.
const QUIET: Duration = Duration::from_millis(200);
/// An expiry of messages or memberships that is short, and whole seconds as Redis wants it.
const SHORT: Duration = Duration::from_secs(2);

/// What a layer is started with; the defaults are large enough to be out of the way.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) capacity: usize,
    pub(crate) channel_capacity: Vec<(String, usize)>,
    pub(crate) expiry: Duration,
    pub(crate) group_expiry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let hour = Duration::from_hours(1);
        Self { capacity: 100, channel_capacity: Vec::new(), expiry: hour, group_expiry: hour }
    }
}

impl Limits {
    fn capacity(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    fn expiry(expiry: Duration) -> Self {
        Self { expiry, ..Self::default() }
    }
}

/// What a backend makes of channels without `!`, which any process may receive from.
#[derive(PartialEq)]
pub(crate) enum General {
    /// One queue, like the others.
    InOnePlace,
    /// A queue on each of several servers: without order, and with the capacity of all of them.
    Spread,
    /// No queue: what is sent before anybody listens is lost.
    Heard,
}

/// A backend under test: an empty layer of its own, and what it needs, for as long as this lives.
pub(crate) trait Backend: Sized {
    const GENERAL: General = General::InOnePlace;

    fn start(limits: Limits) -> impl Future<Output = Self>;

    fn layer(&self) -> Arc<dyn ChannelLayer>;

    /// Lets time pass for the layer: in truth, or by moving a paused clock.
    fn pass_time(&self, time: Duration) -> impl Future<Output = ()>;
}

/// Stamps out a test for each invariant; arguments for `#[tokio::test]` may follow the backend. One that is missing here is
/// never called, which the compiler reports. A backend that spreads general channels over servers says `spread` before its
/// name, one without queues `heard`, and one without queues on several servers both: they leave out what can be true of no such backend.
macro_rules! conformance {
    (heard spread $backend:ty) => {
        conformance! { @everywhere $backend, () }
    };
    (heard $backend:ty) => {
        conformance! { @everywhere $backend, () }
        conformance! { @on_one_way $backend, () }
    };
    (spread $backend:ty) => {
        conformance! { @everywhere $backend, () }
        conformance! { @on_one_way $backend, () }
        conformance! { @queues $backend, () }
    };
    (@everywhere $backend:ty, $runtime:tt) => {
        conformance! { @each $backend, $runtime:
            a_message_arrives_unchanged
            a_large_message_arrives
            messages_wait_for_their_reader_in_order
            a_waiting_reader_is_woken
            process_specific_channels_are_told_apart
            a_busy_channel_does_not_hide_a_quiet_one
            each_message_reaches_one_of_many_readers
            a_cancelled_receive_loses_nothing
            a_woken_reader_that_gives_up_passes_its_message_on
            only_its_own_specific_channels_are_received_from
            new_channels_have_long_random_names
            no_channel_is_made_from_a_bad_prefix
            a_group_reaches_its_members
            a_channel_is_in_a_group_once
            groups_are_told_apart
            a_discard_before_any_add_is_no_error
            a_large_group_gets_one_message_each
            virtual_channels_of_one_process_all_get_a_group_message
            a_message_expires
            only_what_is_due_expires
            nothing_expires_before_its_time
            a_group_message_expires
            expiry_on_one_channel_leaves_the_others
            expiry_does_not_end_a_membership
            a_membership_ends_in_time
            a_membership_is_renewed_by_adding_again
            a_flush_wakes_nobody
            a_sink_gets_what_is_sent_behind_its_name
            sinks_are_told_apart
            a_group_send_shares_one_event
            a_sink_is_not_received_from
            a_sink_outlives_a_flush
            a_detached_sink_gets_nothing_more
            a_detached_sink_is_in_no_group
        }
    };
    // What is sent to a group and what is sent to a channel itself do not go over different servers.
    (@on_one_way $backend:ty, $runtime:tt) => {
        conformance! { @each $backend, $runtime:
            group_messages_arrive_in_order
            a_sink_has_no_capacity
            a_sink_is_reached_through_groups
        }
    };
    // What is sent has its place at once, and the sender hears of the capacity.
    (@queues $backend:ty, $runtime:tt) => {
        conformance! { @each $backend, $runtime:
            a_full_channel_refuses
            a_group_send_to_a_full_channel_is_no_error
            a_channel_may_come_back
            a_flush_leaves_nothing
            reading_makes_room
            virtual_channels_share_their_capacity
            a_group_message_counts_once_behind_an_exclamation_mark
            expiry_makes_room
        }
    };
    // General channels are like those of a process.
    (@in_one_place $backend:ty, $runtime:tt) => {
        conformance! { @each $backend, $runtime:
            a_pattern_sets_the_capacity
            each_channel_has_its_own_capacity
            a_group_send_keeps_the_oldest_and_says_how_many_missed_it
            a_full_member_does_not_cost_the_others_theirs
        }
    };
    (@each $backend:ty, $runtime:tt: $($invariant:ident)*) => {$(
        conformance! { @one $backend, $runtime, $invariant }
    )*};
    (@one $backend:ty, ($($runtime:tt)*), $invariant:ident) => {
        #[tokio::test($($runtime)*)]
        async fn $invariant() {
            $crate::conformance::$invariant::<$backend>().await;
        }
    };
    ($backend:ty $(, $($runtime:tt)*)?) => {
        conformance! { @everywhere $backend, ($($($runtime)*)?) }
        conformance! { @on_one_way $backend, ($($($runtime)*)?) }
        conformance! { @queues $backend, ($($($runtime)*)?) }
        conformance! { @in_one_place $backend, ($($($runtime)*)?) }
    };
}

// What the tests are made of.

fn channel(name: &str) -> Channel {
    name.parse().expect("a channel's name")
}

fn group(name: &str) -> GroupName {
    name.parse().expect("a group's name")
}

fn numbered(n: i64) -> Event {
    Event::new("test.message").with("n", n)
}

fn number(event: &Event) -> i64 {
    event.get_i64("n").expect("a numbered event")
}

fn own(layer: &Arc<dyn ChannelLayer>) -> Channel {
    layer.new_channel(DEFAULT_PREFIX).expect("a new channel")
}

/// A channel of the layer itself, and one that any process may receive from, where the backend keeps that in a queue.
fn subjects<B: Backend>(layer: &Arc<dyn ChannelLayer>, general: &str) -> Vec<Channel> {
    let general = (B::GENERAL == General::InOnePlace).then(|| channel(general));
    general.into_iter().chain([own(layer)]).collect()
}

async fn send(layer: &Arc<dyn ChannelLayer>, channel: &Channel, numbers: impl IntoIterator<Item = i64>) {
    for n in numbers {
        layer.send(channel, numbered(n)).await.expect("room for the message");
    }
}

async fn group_send(layer: &Arc<dyn ChannelLayer>, group: &GroupName, numbers: impl IntoIterator<Item = i64>) {
    for n in numbers {
        layer.group_send(group, numbered(n)).await.expect("a group send never fails for capacity");
    }
}

async fn add(layer: &Arc<dyn ChannelLayer>, group: &GroupName, channels: &[&Channel]) {
    for channel in channels {
        layer.group_add(group, channel).await.expect("a member");
    }
}

async fn next(layer: &Arc<dyn ChannelLayer>, channel: &Channel) -> Event {
    let received = timeout(SOON, layer.receive(channel)).await;
    received.unwrap_or_else(|_| panic!("nothing came on {channel}")).expect("a message")
}

/// The next `count` messages, and after them nothing.
async fn all(layer: &Arc<dyn ChannelLayer>, channel: &Channel, count: usize) -> Vec<i64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(number(&next(layer, channel).await));
    }
    nothing(layer, channel).await;
    numbers
}

async fn nothing(layer: &Arc<dyn ChannelLayer>, channel: &Channel) {
    if let Ok(event) = timeout(QUIET, layer.receive(channel)).await {
        panic!("{event:?} came on {channel}");
    }
}

async fn assert_full(layer: &Arc<dyn ChannelLayer>, full: &Channel, of: usize) {
    match layer.send(full, numbered(-1)).await {
        Err(LayerError::ChannelFull { channel, capacity }) => assert_eq!((&channel, capacity), (full, of)),
        other => panic!("{full} should be full: {other:?}"),
    }
}

async fn assert_not_ours(layer: &Arc<dyn ChannelLayer>, other: &Channel) {
    match timeout(SOON, layer.receive(other)).await.expect("an answer at once") {
        Err(error @ LayerError::NotOurs { .. }) => assert!(error.to_string().contains(other.as_str()), "{error}"),
        received => panic!("{other} should not be received from: {received:?}"),
    }
}

/// A sink that keeps what it gets.
struct Outlet(mpsc::UnboundedSender<(String, Arc<Event>)>);

impl Sink for Outlet {
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        // The test may have ended and dropped the other side.
        let _ = self.0.send((local.to_owned(), Arc::clone(event)));
    }
}

struct Delivered(mpsc::UnboundedReceiver<(String, Arc<Event>)>);

impl Delivered {
    async fn next(&mut self) -> (String, Arc<Event>) {
        timeout(SOON, self.0.recv()).await.expect("something for the sink").expect("a sink that is attached")
    }

    /// The next `count` deliveries, and after them nothing.
    async fn all(&mut self, count: usize) -> Vec<(String, i64)> {
        let mut deliveries = Vec::new();
        for _ in 0..count {
            let (local, event) = self.next().await;
            deliveries.push((local, number(&event)));
        }
        self.nothing().await;
        deliveries
    }

    /// The same sorted by name: what is sent under two names may come over two servers, one faster than the other.
    async fn by_name(&mut self, count: usize) -> Vec<(String, i64)> {
        let mut deliveries = self.all(count).await;
        deliveries.sort_by(|(one, _), (other, _)| one.cmp(other));
        deliveries
    }

    /// Nothing comes: either the sink is gone, or it stays quiet.
    async fn nothing(&mut self) {
        if let Ok(Some(delivery)) = timeout(QUIET, self.0.recv()).await {
            panic!("{delivery:?} came to the sink");
        }
    }
}

fn attach(layer: &Arc<dyn ChannelLayer>) -> (Channel, Delivered) {
    let (outlet, delivered) = mpsc::unbounded_channel();
    let name = layer.attach(Arc::new(Outlet(outlet))).expect("an attached sink");
    (name, Delivered(delivered))
}

fn behind(name: &Channel, local: &str) -> Channel {
    name.with_local(local).expect("a virtual channel")
}

fn deliveries<const N: usize>(expected: [(&str, i64); N]) -> Vec<(String, i64)> {
    expected.map(|(local, n)| (local.to_owned(), n)).to_vec()
}

// Sending and receiving.

pub(crate) async fn a_message_arrives_unchanged<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let map = BTreeMap::from([(String::new(), Value::Nil), ("deep".to_owned(), vec![Value::List(Vec::new())].into())]);
    let event = Event::new("test.message")
        .with("nil", Value::Nil)
        .with("no", false)
        .with("least", i64::MIN)
        .with("most", i64::MAX)
        .with("float", -0.1)
        .with("whole float", 1.0)
        .with("infinite", f64::INFINITY)
        .with("text", "Gr\u{fc}\u{df}e \u{1f980} \u{0} <script>")
        .with("bytes", Bytes::from_static(&[0, 128, 255]))
        .with("list", vec![1.into(), "a".into(), map.clone().into()])
        .with("map", map)
        .with("\u{e9}", "");
    for channel in subjects::<B>(&layer, "test-channel-1") {
        layer.send(&channel, event.clone()).await.expect("room");
        assert_eq!(next(&layer, &channel).await, event);
    }
}

pub(crate) async fn a_large_message_arrives<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let event = Event::new("test.message").with("text", "x".repeat(1 << 20));
    for channel in subjects::<B>(&layer, "test-channel-1") {
        layer.send(&channel, event.clone()).await.expect("room");
        assert_eq!(next(&layer, &channel).await, event);
    }
}

pub(crate) async fn messages_wait_for_their_reader_in_order<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    for channel in subjects::<B>(&layer, "test-channel-3") {
        send(&layer, &channel, 1..=50).await;
        assert_eq!(all(&layer, &channel, 50).await, (1..=50).collect::<Vec<_>>());
    }
}

pub(crate) async fn a_waiting_reader_is_woken<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    for channel in subjects::<B>(&layer, "test-channel-1") {
        let mut reader = layer.receive(&channel);
        assert!(poll!(&mut reader).is_pending());
        send(&layer, &channel, [7]).await;
        let event = timeout(SOON, reader).await.expect("the reader is woken").expect("a message");
        assert_eq!(number(&event), 7);
    }
}

pub(crate) async fn process_specific_channels_are_told_apart<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (one, two) = (own(&layer), own(&layer));
    send(&layer, &one, [1]).await;
    send(&layer, &two, [2]).await;
    assert_eq!(all(&layer, &two, 1).await, [2]);
    assert_eq!(all(&layer, &one, 1).await, [1]);

    let readers = join_all([&two, &one].map(|channel| next(&layer, channel)));
    let sender = async {
        send(&layer, &one, [3]).await;
        send(&layer, &two, [4]).await;
    };
    let (received, ()) = tokio::join!(readers, sender);
    assert_eq!(received.iter().map(number).collect::<Vec<_>>(), [4, 3]);
}

pub(crate) async fn a_busy_channel_does_not_hide_a_quiet_one<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    for (busy, quiet) in subjects::<B>(&layer, "busy").into_iter().zip(subjects::<B>(&layer, "quiet")) {
        send(&layer, &busy, 0..60).await;
        send(&layer, &quiet, [7]).await;
        assert_eq!(all(&layer, &quiet, 1).await, [7]);
        assert_eq!(all(&layer, &busy, 60).await, (0..60).collect::<Vec<_>>());
    }
}

pub(crate) async fn each_message_reaches_one_of_many_readers<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    for channel in subjects::<B>(&layer, "jobs") {
        let mut readers = JoinSet::new();
        for _ in 0..20 {
            let (layer, channel) = (Arc::clone(&layer), channel.clone());
            readers.spawn(async move { number(&next(&layer, &channel).await) });
        }
        send(&layer, &channel, 0..20).await;
        let received: BTreeSet<_> = readers.join_all().await.into_iter().collect();
        assert_eq!(received, (0..20).collect(), "each once");
        nothing(&layer, &channel).await;
    }
}

pub(crate) async fn a_cancelled_receive_loses_nothing<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let channel = own(&layer);
    let mut received = Vec::new();
    for n in 0..60 {
        // Gives up after some steps before and some after the message is sent, in all combinations.
        let mut reader = layer.receive(&channel).fuse();
        for step in 0..n % 5 + n % 4 {
            if step == n % 5 {
                send(&layer, &channel, [n]).await;
            }
            if let Poll::Ready(event) = poll!(&mut reader) {
                received.push(event.expect("a message"));
            }
            tokio::task::yield_now().await;
        }
        drop(reader);
        if n % 4 == 0 {
            send(&layer, &channel, [n]).await;
        }
    }
    while received.len() < 60 {
        received.push(next(&layer, &channel).await);
    }
    assert_eq!(received.iter().map(number).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
    nothing(&layer, &channel).await;
}

pub(crate) async fn a_woken_reader_that_gives_up_passes_its_message_on<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let channel = own(&layer);
    let (mut first, mut second) = (layer.receive(&channel), layer.receive(&channel));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    send(&layer, &channel, [1]).await;
    drop(first);
    let event = timeout(SOON, second).await.expect("the second reader is woken").expect("a message");
    assert_eq!(number(&event), 1);
    nothing(&layer, &channel).await;
}

// Names.

pub(crate) async fn only_its_own_specific_channels_are_received_from<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let strange = "specific.0123456789abcdef0123456789abcdef!fedcba9876543210fedcba9876543210";
    for name in ["not-client-prefix!local_part", strange] {
        assert_not_ours(&layer, &channel(name)).await;
    }
}

pub(crate) async fn new_channels_have_long_random_names<B: Backend>() {
    let (backend, other) = (B::start(Limits::default()).await, B::start(Limits::default()).await);
    let (layer, other) = (backend.layer(), other.layer());
    let names: Vec<_> = (0..100).map(|_| own(&layer)).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), 100);
    for name in &names {
        let is_id = |text: &str| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let client = name.non_local().strip_prefix("specific.").and_then(|rest| rest.strip_suffix('!'));
        assert!(client.is_some_and(is_id) && name.local().is_some_and(is_id), "{name}");
        assert_eq!(name.non_local(), names[0].non_local());
    }
    assert_ne!(own(&other).non_local(), names[0].non_local());
    let longest = layer.new_channel(&"p".repeat(33)).expect("99 characters");
    send(&layer, &longest, [1]).await;
    assert_eq!(all(&layer, &longest, 1).await, [1]);
}

pub(crate) async fn no_channel_is_made_from_a_bad_prefix<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    for prefix in ["a!", "a b", "\u{e9}", "a\n", &"p".repeat(34)] {
        let made = backend.layer().new_channel(prefix);
        assert!(matches!(made, Err(LayerError::InvalidName(_))), "{prefix:?}: {made:?}");
    }
}

// Capacity.

pub(crate) async fn a_full_channel_refuses<B: Backend>() {
    let backend = B::start(Limits::capacity(3)).await;
    let layer = backend.layer();
    for channel in subjects::<B>(&layer, "test-channel-1") {
        send(&layer, &channel, 1..=3).await;
        assert_full(&layer, &channel, 3).await;
        assert_full(&layer, &channel, 3).await;
        assert_eq!(all(&layer, &channel, 3).await, [1, 2, 3]);
    }
}

pub(crate) async fn reading_makes_room<B: Backend>() {
    let backend = B::start(Limits::capacity(1)).await;
    let layer = backend.layer();
    for channel in subjects::<B>(&layer, "test-channel-1") {
        send(&layer, &channel, [1]).await;
        assert_full(&layer, &channel, 1).await;
        assert_eq!(number(&next(&layer, &channel).await), 1);
        send(&layer, &channel, [2]).await;
        assert_full(&layer, &channel, 1).await;
        assert_eq!(all(&layer, &channel, 1).await, [2]);
    }
}

pub(crate) async fn a_pattern_sets_the_capacity<B: Backend>() {
    let patterns = [("tiny", 1), ("tin*", 2), ("room.[0-9]", 0)];
    let channel_capacity = patterns.map(|(pattern, capacity)| (pattern.to_owned(), capacity)).to_vec();
    let backend = B::start(Limits { channel_capacity, ..Limits::capacity(3) }).await;
    let layer = backend.layer();
    for (name, capacity) in [("tiny", 1), ("tin", 2), ("tinier", 2), ("room.7", 0), ("room.77", 3), ("a-tiny", 3)] {
        let channel = channel(name);
        for n in 0..capacity {
            send(&layer, &channel, [i64::try_from(n).expect("a small number")]).await;
        }
        assert_full(&layer, &channel, capacity).await;
    }
}

pub(crate) async fn virtual_channels_share_their_capacity<B: Backend>() {
    let backend = B::start(Limits::capacity(3)).await;
    let layer = backend.layer();
    let channels = [(); 4].map(|()| own(&layer));
    for (n, channel) in (0..).zip(&channels[..3]) {
        send(&layer, channel, [n]).await;
    }
    for full in &channels {
        assert_full(&layer, full, 3).await;
    }
    assert_eq!(number(&next(&layer, &channels[1]).await), 1);
    let elsewhere = channel("elsewhere");
    send(&layer, &elsewhere, [4]).await;
    assert_eq!(all(&layer, &elsewhere, 1).await, [4]);
}

pub(crate) async fn each_channel_has_its_own_capacity<B: Backend>() {
    let backend = B::start(Limits::capacity(2)).await;
    let layer = backend.layer();
    for channel in [channel("one"), channel("two"), own(&layer)] {
        send(&layer, &channel, [1, 2]).await;
        assert_full(&layer, &channel, 2).await;
    }
}

// Groups.

pub(crate) async fn a_group_reaches_its_members<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let group = group("test-group");
    let [one, two, three] =
        ["test-gr-chan-1", "test-gr-chan-2", "test-gr-chan-3"].map(|prefix| layer.new_channel(prefix).expect("a new channel"));
    let shared = channel("shared");
    add(&layer, &group, &[&one, &two, &three, &shared]).await;
    layer.group_discard(&group, &two).await.expect("a discard");
    group_send(&layer, &group, [1]).await;
    for member in [&one, &three, &shared] {
        assert_eq!(all(&layer, member, 1).await, [1]);
    }
    nothing(&layer, &two).await;
}

pub(crate) async fn a_channel_is_in_a_group_once<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (group, member) = (group("test-group"), own(&layer));
    add(&layer, &group, &[&member, &member, &member]).await;
    group_send(&layer, &group, [1]).await;
    assert_eq!(all(&layer, &member, 1).await, [1]);
    layer.group_discard(&group, &member).await.expect("a discard");
    group_send(&layer, &group, [2]).await;
    nothing(&layer, &member).await;
}

pub(crate) async fn groups_are_told_apart<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (one, two, both) = (own(&layer), own(&layer), own(&layer));
    add(&layer, &group("one"), &[&one, &both]).await;
    add(&layer, &group("two"), &[&two, &both]).await;
    group_send(&layer, &group("one"), [1]).await;
    group_send(&layer, &group("two"), [2]).await;
    group_send(&layer, &group("nobody"), [3]).await;
    assert_eq!(all(&layer, &one, 1).await, [1]);
    assert_eq!(all(&layer, &two, 1).await, [2]);
    // Which of the two is first is nobody's promise: they may come over two servers.
    let mut of_both = all(&layer, &both, 2).await;
    of_both.sort_unstable();
    assert_eq!(of_both, [1, 2]);
}

pub(crate) async fn a_discard_before_any_add_is_no_error<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (group, member) = (group("test-group"), own(&layer));
    layer.group_discard(&group, &member).await.expect("no error");
    add(&layer, &group, &[&member]).await;
    layer.group_discard(&group, &own(&layer)).await.expect("no error");
    group_send(&layer, &group, [1]).await;
    assert_eq!(all(&layer, &member, 1).await, [1]);
}

pub(crate) async fn a_channel_may_come_back<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (group, member) = (group("test-group"), own(&layer));
    for n in 0..3 {
        add(&layer, &group, &[&member]).await;
        group_send(&layer, &group, [n]).await;
        layer.group_discard(&group, &member).await.expect("a discard");
        group_send(&layer, &group, [-1]).await;
    }
    assert_eq!(all(&layer, &member, 3).await, [0, 1, 2]);
}

pub(crate) async fn a_large_group_gets_one_message_each<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let group = group("test-group");
    let specific = (0..100).map(|n| layer.new_channel(&format!("channel{n}")).expect("a new channel"));
    let members: Vec<_> = specific.chain((0..100).map(|n| channel(&format!("shared-{n}")))).collect();
    for member in &members {
        add(&layer, &group, &[member]).await;
    }
    group_send(&layer, &group, [1]).await;
    for received in join_all(members.iter().map(|member| all(&layer, member, 1))).await {
        assert_eq!(received, [1]);
    }
}

pub(crate) async fn group_messages_arrive_in_order<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let group = group("test-group");
    let members = [own(&layer), own(&layer), channel("shared")];
    add(&layer, &group, &members.each_ref()).await;
    for n in 0..20 {
        group_send(&layer, &group, [2 * n]).await;
        send(&layer, &members[0], [2 * n + 1]).await;
    }
    assert_eq!(all(&layer, &members[0], 40).await, (0..40).collect::<Vec<_>>(), "with what is sent to the channel itself");
    for member in &members[1..] {
        assert_eq!(all(&layer, member, 20).await, (0..20).map(|n| 2 * n).collect::<Vec<_>>());
    }
}

pub(crate) async fn virtual_channels_of_one_process_all_get_a_group_message<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let group = group("test-group");
    let [one, two, three] = [(); 3].map(|()| own(&layer));
    add(&layer, &group, &[&one, &two, &three]).await;
    layer.group_discard(&group, &two).await.expect("a discard");
    group_send(&layer, &group, [1, 2]).await;
    for member in [&one, &three] {
        assert_eq!(all(&layer, member, 2).await, [1, 2]);
    }
    nothing(&layer, &two).await;
}

pub(crate) async fn a_group_message_counts_once_behind_an_exclamation_mark<B: Backend>() {
    let backend = B::start(Limits::capacity(3)).await;
    let layer = backend.layer();
    let group = group("test-group");
    let members = [(); 5].map(|()| own(&layer));
    add(&layer, &group, &members.each_ref()).await;
    group_send(&layer, &group, 1..=3).await;
    assert_full(&layer, &members[0], 3).await;
    for member in &members {
        assert_eq!(all(&layer, member, 3).await, [1, 2, 3]);
    }
    send(&layer, &members[0], 4..=6).await;
    assert_full(&layer, &members[4], 3).await;
}

pub(crate) async fn a_group_send_to_a_full_channel_is_no_error<B: Backend>() {
    let backend = B::start(Limits::capacity(3)).await;
    let layer = backend.layer();
    let (group, member) = (group("test-group"), channel("test-gr-chan-1"));
    add(&layer, &group, &[&member]).await;
    group_send(&layer, &group, 1..=5).await;
    assert_eq!(all(&layer, &member, 3).await, [1, 2, 3]);
}

pub(crate) async fn a_group_send_keeps_the_oldest_and_says_how_many_missed_it<B: Backend>() {
    let backend = B::start(Limits::capacity(3)).await;
    let layer = backend.layer();
    let group = group("test-group");
    let members = ["one", "two", "three"].map(channel);
    add(&layer, &group, &members.each_ref()).await;
    send(&layer, &members[2], [0]).await;

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    // While it is the only one, a thread of another test that comes to the same line first has it switched off for all.
    let beside = tracing::Dispatch::new(tracing_subscriber::registry());
    let logging = tracing::subscriber::set_default(subscriber);
    group_send(&layer, &group, 1..=2).await;
    assert!(!log.text().contains("over capacity"), "{}", log.text());
    group_send(&layer, &group, [3]).await;
    assert!(log.text().contains("1 of 3 channels over capacity in group test-group"), "{}", log.text());
    group_send(&layer, &group, [4]).await;
    assert!(log.text().contains("3 of 3 channels over capacity in group test-group"), "{}", log.text());
    drop((logging, beside));

    for member in &members[..2] {
        assert_eq!(all(&layer, member, 3).await, [1, 2, 3]);
    }
    assert_eq!(all(&layer, &members[2], 3).await, [0, 1, 2]);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) async fn a_full_member_does_not_cost_the_others_theirs<B: Backend>() {
    let backend = B::start(Limits::capacity(2)).await;
    let layer = backend.layer();
    let group = group("test-group");
    let (full, roomy, specific) = (channel("full"), channel("roomy"), own(&layer));
    add(&layer, &group, &[&full, &roomy, &specific]).await;
    send(&layer, &full, [1, 2]).await;
    group_send(&layer, &group, [3]).await;
    assert_eq!(all(&layer, &full, 2).await, [1, 2]);
    assert_eq!(all(&layer, &roomy, 1).await, [3]);
    assert_eq!(all(&layer, &specific, 1).await, [3]);
}

// Expiry.

pub(crate) async fn a_message_expires<B: Backend>() {
    let backend = B::start(Limits::expiry(SHORT)).await;
    let layer = backend.layer();
    let channels = subjects::<B>(&layer, "test-channel-1");
    for channel in &channels {
        send(&layer, channel, [1, 2]).await;
    }
    backend.pass_time(2 * SHORT).await;
    for channel in &channels {
        nothing(&layer, channel).await;
        send(&layer, channel, [3]).await;
        assert_eq!(all(&layer, channel, 1).await, [3]);
    }
}

pub(crate) async fn only_what_is_due_expires<B: Backend>() {
    let backend = B::start(Limits::expiry(3 * SHORT)).await;
    let layer = backend.layer();
    let channels = subjects::<B>(&layer, "test-channel-1");
    for n in [1, 2] {
        for channel in &channels {
            send(&layer, channel, [n]).await;
        }
        backend.pass_time(2 * SHORT).await;
    }
    for channel in &channels {
        assert_eq!(all(&layer, channel, 1).await, [2]);
    }
}

pub(crate) async fn nothing_expires_before_its_time<B: Backend>() {
    let backend = B::start(Limits::expiry(10 * SHORT)).await;
    let layer = backend.layer();
    let channels = subjects::<B>(&layer, "test-channel-1");
    for channel in &channels {
        send(&layer, channel, [1, 2]).await;
    }
    backend.pass_time(SHORT).await;
    for channel in &channels {
        assert_eq!(all(&layer, channel, 2).await, [1, 2]);
    }
}

pub(crate) async fn a_group_message_expires<B: Backend>() {
    let backend = B::start(Limits::expiry(SHORT)).await;
    let layer = backend.layer();
    let group = group("test-group");
    let members = [channel("test-channel-1"), own(&layer), own(&layer)];
    add(&layer, &group, &members.each_ref()).await;
    group_send(&layer, &group, [1]).await;
    backend.pass_time(2 * SHORT).await;
    for member in &members {
        nothing(&layer, member).await;
    }
}

pub(crate) async fn expiry_on_one_channel_leaves_the_others<B: Backend>() {
    let backend = B::start(Limits::expiry(3 * SHORT)).await;
    let layer = backend.layer();
    for (early, late) in subjects::<B>(&layer, "early").into_iter().zip(subjects::<B>(&layer, "late")) {
        send(&layer, &early, [1]).await;
        backend.pass_time(2 * SHORT).await;
        send(&layer, &late, [2]).await;
        backend.pass_time(2 * SHORT).await;
        nothing(&layer, &early).await;
        assert_eq!(all(&layer, &late, 1).await, [2]);
    }
}

pub(crate) async fn expiry_makes_room<B: Backend>() {
    let backend = B::start(Limits { expiry: SHORT, ..Limits::capacity(2) }).await;
    let layer = backend.layer();
    let group = group("test-group");
    let members = [own(&layer), own(&layer), own(&layer)];
    add(&layer, &group, &members.each_ref()).await;
    group_send(&layer, &group, [1, 2]).await;
    assert_full(&layer, &members[0], 2).await;
    backend.pass_time(2 * SHORT).await;
    send(&layer, &members[0], [3, 4]).await;
    assert_full(&layer, &members[1], 2).await;
    assert_eq!(all(&layer, &members[0], 2).await, [3, 4]);
}

pub(crate) async fn expiry_does_not_end_a_membership<B: Backend>() {
    let backend = B::start(Limits::expiry(SHORT)).await;
    let layer = backend.layer();
    let group = group("test-group");
    let members = [channel("test-channel-1"), own(&layer)];
    add(&layer, &group, &members.each_ref()).await;
    group_send(&layer, &group, [1]).await;
    backend.pass_time(2 * SHORT).await;
    for member in &members {
        nothing(&layer, member).await;
    }
    group_send(&layer, &group, [2]).await;
    for member in &members {
        assert_eq!(all(&layer, member, 1).await, [2]);
    }
}

pub(crate) async fn a_membership_ends_in_time<B: Backend>() {
    let backend = B::start(Limits { group_expiry: 3 * SHORT, ..Limits::default() }).await;
    let layer = backend.layer();
    let group = group("test-group");
    let (early, late) = (own(&layer), own(&layer));
    add(&layer, &group, &[&early]).await;
    backend.pass_time(2 * SHORT).await;
    add(&layer, &group, &[&late]).await;
    group_send(&layer, &group, [1]).await;
    backend.pass_time(2 * SHORT).await;
    group_send(&layer, &group, [2]).await;
    assert_eq!(all(&layer, &early, 1).await, [1]);
    assert_eq!(all(&layer, &late, 2).await, [1, 2]);
}

pub(crate) async fn a_membership_is_renewed_by_adding_again<B: Backend>() {
    let backend = B::start(Limits { group_expiry: 3 * SHORT, ..Limits::default() }).await;
    let layer = backend.layer();
    let (group, member) = (group("test-group"), own(&layer));
    for n in 0..4 {
        add(&layer, &group, &[&member]).await;
        backend.pass_time(2 * SHORT).await;
        group_send(&layer, &group, [n]).await;
    }
    assert_eq!(all(&layer, &member, 4).await, [0, 1, 2, 3]);
}

// Flushing.

pub(crate) async fn a_flush_leaves_nothing<B: Backend>() {
    let backend = B::start(Limits::capacity(2)).await;
    let layer = backend.layer();
    let group = group("test-group");
    let channels = subjects::<B>(&layer, "test-channel-1");
    add(&layer, &group, &channels.iter().collect::<Vec<_>>()).await;
    group_send(&layer, &group, [1]).await;
    send(&layer, &channels[0], [2]).await;
    layer.flush().await.expect("a flush");
    group_send(&layer, &group, [3]).await;
    for channel in &channels {
        nothing(&layer, channel).await;
        send(&layer, channel, [4, 5]).await;
        assert_full(&layer, channel, 2).await;
        assert_eq!(all(&layer, channel, 2).await, [4, 5]);
    }
}

pub(crate) async fn a_flush_wakes_nobody<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    for channel in subjects::<B>(&layer, "test-channel-1") {
        let mut reader = layer.receive(&channel);
        assert!(poll!(&mut reader).is_pending());
        layer.flush().await.expect("a flush");
        assert!(timeout(QUIET, &mut reader).await.is_err(), "there is nothing to receive");
        send(&layer, &channel, [1]).await;
        let event = timeout(SOON, reader).await.expect("the reader still waits").expect("a message");
        assert_eq!(number(&event), 1);
    }
}

// Sinks.

pub(crate) async fn a_sink_gets_what_is_sent_behind_its_name<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (name, mut delivered) = attach(&layer);
    let id = name.as_str().strip_suffix('!').and_then(|name| Some(name.split_once('.')?.1));
    assert!(id.is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{name}");
    send(&layer, &behind(&name, "a"), [1]).await;
    send(&layer, &behind(&name, "b"), [2]).await;
    send(&layer, &name, [3]).await;
    send(&layer, &behind(&name, "a"), [4]).await;
    assert_eq!(delivered.by_name(4).await, deliveries([("", 3), ("a", 1), ("a", 4), ("b", 2)]));
}

pub(crate) async fn a_sink_has_no_capacity<B: Backend>() {
    let backend = B::start(Limits::capacity(1)).await;
    let layer = backend.layer();
    let (group, (name, mut delivered)) = (group("test-group"), attach(&layer));
    add(&layer, &group, &[&behind(&name, "g")]).await;
    for n in 0..100 {
        send(&layer, &behind(&name, "a"), [2 * n]).await;
        group_send(&layer, &group, [2 * n + 1]).await;
    }
    let expected = (0..200).map(|n| (if n % 2 == 0 { "a" } else { "g" }.to_owned(), n));
    assert_eq!(delivered.all(200).await, expected.collect::<Vec<_>>(), "in the order of sending");
}

pub(crate) async fn sinks_are_told_apart<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (one, mut delivered_to_one) = attach(&layer);
    let (two, mut delivered_to_two) = attach(&layer);
    assert_ne!(one, two);
    send(&layer, &behind(&one, "a"), [1]).await;
    send(&layer, &behind(&two, "a"), [2]).await;
    send(&layer, &channel("a"), [3]).await;
    send(&layer, &own(&layer), [4]).await;
    assert_eq!(delivered_to_one.all(1).await, deliveries([("a", 1)]));
    assert_eq!(delivered_to_two.all(1).await, deliveries([("a", 2)]));
}

pub(crate) async fn a_sink_is_reached_through_groups<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (name, mut delivered) = attach(&layer);
    let (_, mut delivered_to_another) = attach(&layer);
    let mailbox = own(&layer);
    add(&layer, &group("one"), &[&behind(&name, "g1"), &mailbox]).await;
    add(&layer, &group("two"), &[&behind(&name, "g2")]).await;
    group_send(&layer, &group("one"), [1]).await;
    group_send(&layer, &group("two"), [2]).await;
    assert_eq!(delivered.all(2).await, deliveries([("g1", 1), ("g2", 2)]));
    // Whoever leaves may miss what is still on its way.
    layer.group_discard(&group("one"), &behind(&name, "g1")).await.expect("a discard");
    group_send(&layer, &group("one"), [3]).await;
    group_send(&layer, &group("two"), [4]).await;
    assert_eq!(delivered.all(1).await, deliveries([("g2", 4)]));
    assert_eq!(all(&layer, &mailbox, 2).await, [1, 3]);
    delivered_to_another.nothing().await;
}

pub(crate) async fn a_group_send_shares_one_event<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (group, (name, mut delivered)) = (group("test-group"), attach(&layer));
    add(&layer, &group, &[&behind(&name, "a"), &behind(&name, "b"), &behind(&name, "c")]).await;
    group_send(&layer, &group, [1]).await;
    let (first, event) = delivered.next().await;
    let mut locals = BTreeSet::from([first]);
    for _ in 0..2 {
        let (local, same) = delivered.next().await;
        assert!(Arc::ptr_eq(&event, &same), "{local} got a copy");
        locals.insert(local);
    }
    assert_eq!(locals, ["a", "b", "c"].map(str::to_owned).into());
    delivered.nothing().await;
}

pub(crate) async fn a_sink_is_not_received_from<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (name, _delivered) = attach(&layer);
    for channel in [name.clone(), behind(&name, "a")] {
        assert_not_ours(&layer, &channel).await;
    }
}

pub(crate) async fn a_sink_outlives_a_flush<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (group, (name, mut delivered)) = (group("test-group"), attach(&layer));
    add(&layer, &group, &[&behind(&name, "g")]).await;
    layer.flush().await.expect("a flush");
    group_send(&layer, &group, [1]).await;
    send(&layer, &behind(&name, "a"), [2]).await;
    add(&layer, &group, &[&behind(&name, "g")]).await;
    group_send(&layer, &group, [3]).await;
    assert_eq!(delivered.by_name(2).await, deliveries([("a", 2), ("g", 3)]));
}

pub(crate) async fn a_detached_sink_gets_nothing_more<B: Backend>() {
    let backend = B::start(Limits::default()).await;
    let layer = backend.layer();
    let (name, mut delivered) = attach(&layer);
    let (other, mut delivered_to_other) = attach(&layer);
    send(&layer, &behind(&name, "a"), [1]).await;
    assert_eq!(delivered.all(1).await, deliveries([("a", 1)]));
    for _ in 0..2 {
        layer.detach(&name).await.expect("no error, also when it is gone");
    }
    send(&layer, &behind(&name, "a"), [2]).await;
    send(&layer, &behind(&other, "a"), [3]).await;
    assert_eq!(delivered_to_other.all(1).await, deliveries([("a", 3)]));
    delivered.nothing().await;
}

/// A member that nobody reads would fill up and be reported as over capacity.
pub(crate) async fn a_detached_sink_is_in_no_group<B: Backend>() {
    let backend = B::start(Limits::capacity(1)).await;
    let layer = backend.layer();
    let (group, (name, mut delivered)) = (group("test-group"), attach(&layer));
    let (member, other) = (behind(&name, "g"), own(&layer));
    add(&layer, &group, &[&member, &other]).await;
    layer.detach(&name).await.expect("a detach");
    group_send(&layer, &group, [1]).await;
    send(&layer, &member, [2]).await;
    assert_eq!(all(&layer, &other, 1).await, [1]);
    delivered.nothing().await;
}
