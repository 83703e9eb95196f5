//! The published messages of `channels_redis.pubsub`: the suite on one server and on four, and what is true beyond the suite.

use std::{sync::Arc, time::Duration};

use confab::server::layers::{
    ChannelLayer, DEFAULT_PREFIX, LayerError,
    redis::{Host, RedisOptions, RedisPubSubLayer},
};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{
    conformance::{Backend, General, Limits},
    lag::behind_lag,
    sink::{Told, attach, group, next, numbered},
    support::redis::Redis,
};

/// One server.
struct PubSub {
    layer: Arc<RedisPubSubLayer>,
    _redis: Vec<Redis>,
}

/// Four servers, since published messages know no databases. The last answers first, so that nothing takes them for one.
struct PubSub4(PubSub);

const AT_ONCE: &[Duration] = &[Duration::ZERO];

impl PubSub {
    /// One server for each of `lags`, by which its answers are late.
    async fn over(lags: &[Duration], limits: Limits) -> Self {
        let redis = join_all(lags.iter().map(|_| Redis::start())).await;
        let Limits { capacity, channel_capacity, expiry, group_expiry } = limits;
        let ports = join_all(redis.iter().zip(lags).map(|(redis, &lag)| behind_lag(redis.port(), lag))).await;
        let hosts = ports.iter().map(|port| Host::Url(format!("redis://127.0.0.1:{port}/0"))).collect();
        let options = RedisOptions { hosts, capacity, channel_capacity, expiry, group_expiry, ..RedisOptions::default() };
        Self { layer: RedisPubSubLayer::start(options).expect("a layer"), _redis: redis }
    }
}

impl Backend for PubSub {
    const GENERAL: General = General::Heard;

    async fn start(limits: Limits) -> Self {
        Self::over(AT_ONCE, limits).await
    }

    fn layer(&self) -> Arc<dyn ChannelLayer> {
        Arc::clone(&self.layer) as Arc<dyn ChannelLayer>
    }

    async fn pass_time(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl Backend for PubSub4 {
    const GENERAL: General = General::Heard;

    async fn start(limits: Limits) -> Self {
        Self(PubSub::over(&[30, 20, 10, 0].map(Duration::from_millis), limits).await)
    }

    fn layer(&self) -> Arc<dyn ChannelLayer> {
        self.0.layer()
    }

    async fn pass_time(&self, time: Duration) {
        self.0.pass_time(time).await;
    }
}

mod one_server {
    conformance!(heard super::PubSub);
}

mod four_servers {
    conformance!(heard spread super::PubSub4);
}

fn start(redis: &Redis) -> Arc<RedisPubSubLayer> {
    RedisPubSubLayer::start(RedisOptions { hosts: vec![Host::Url(redis.url())], ..RedisOptions::default() }).expect("a layer")
}

#[tokio::test]
async fn a_group_with_many_members_is_one_subscription() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let (name, _told) = attach(&*layer);
    for n in 0..10 {
        layer.group_add(&group(), &name.with_local(&format!("s{n}")).expect("a name")).await.expect("a member");
    }
    let count: (String, usize) = redis.cli(&["PUBSUB", "NUMSUB", "asgi__group__test-group"]).await;
    assert_eq!(count.1, 1);
    for n in 0..10 {
        layer.group_discard(&group(), &name.with_local(&format!("s{n}")).expect("a name")).await.expect("no member");
    }
    // A flush waits for all that was asked for before.
    layer.flush().await.expect("flushed");
    let count: (String, usize) = redis.cli(&["PUBSUB", "NUMSUB", "asgi__group__test-group"]).await;
    assert_eq!(count.1, 0);
}

#[tokio::test]
async fn nobody_adds_the_channels_of_others() {
    let redis = Redis::start().await;
    let (layer, other) = (start(&redis), start(&redis));
    let strange = other.new_channel(DEFAULT_PREFIX).expect("a channel");
    assert!(matches!(layer.group_add(&group(), &strange).await, Err(LayerError::NotOurs { .. })));
}

#[tokio::test]
async fn what_finds_a_full_mailbox_is_dropped() {
    let backend = PubSub::over(AT_ONCE, Limits { capacity: 2, ..Limits::default() }).await;
    let own = backend.layer.new_channel(DEFAULT_PREFIX).expect("a channel");
    for n in 0..5 {
        backend.layer.send(&own, numbered(n)).await.expect("sending hears of no capacity");
    }
    // Published after them, so heard after them.
    let (name, mut told) = attach(&*backend.layer);
    backend.layer.send(&name, numbered(9)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number(String::new(), 9));
    for n in 0..2 {
        assert_eq!(backend.layer.receive(&own).await.expect("a message").get_i64("n"), Some(n));
    }
    assert!(timeout(Duration::from_millis(200), backend.layer.receive(&own)).await.is_err());
}

#[tokio::test]
async fn a_subscription_that_is_cut_comes_back_and_sinks_hear_of_the_gap() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let (name, mut told) = attach(&*layer);
    layer.group_add(&group(), &name.with_local("g1").expect("a name")).await.expect("a member");
    layer.group_send(&group(), numbered(1)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 1));
    redis.close_connections("pubsub").await;
    assert_eq!(next(&mut told).await, Told::Gap);
    layer.group_send(&group(), numbered(2)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 2));
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_is_listened_to_again() {
    let mut redis = Redis::start().await;
    let layer = start(&redis);
    let (name, mut told) = attach(&*layer);
    layer.group_add(&group(), &name.with_local("g1").expect("a name")).await.expect("a member");
    layer.group_send(&group(), numbered(1)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 1));
    redis.kill();
    let lost = layer.group_send(&group(), numbered(2)).await;
    assert!(matches!(lost, Err(LayerError::Unavailable(_))), "{lost:?}");
    assert!(layer.trouble().is_some());
    redis.restart().await;
    assert_eq!(next(&mut told).await, Told::Gap);
    assert_eq!(next(&mut told).await, Told::Gap);
    layer.group_send(&group(), numbered(3)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 3));
    assert_eq!(layer.trouble(), None);
}

#[tokio::test]
async fn what_cannot_be_read_stops_nothing() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let (name, mut told) = attach(&*layer);
    layer.group_add(&group(), &name.with_local("g1").expect("a name")).await.expect("a member");
    for garbage in ["", "no msgpack", "\u{1}"] {
        redis.cli::<()>(&["PUBLISH", "asgi__group__test-group", garbage]).await;
    }
    layer.group_send(&group(), numbered(1)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 1));
}

#[tokio::test]
async fn a_server_that_is_away_does_not_hold_up_what_goes_over_another() {
    let (well, mut away) = (Redis::start().await, Redis::start().await);
    away.kill();
    let hosts = [&well, &away].map(|redis| Host::Url(redis.url())).to_vec();
    let layer = RedisPubSubLayer::start(RedisOptions { hosts, ..RedisOptions::default() }).expect("a layer");
    let (name, mut told) = attach(&*layer);
    let member = name.with_local("g1").expect("a name");
    // Among two servers the channel of this group is on the first, and that of `chat` on the second.
    let group = "room.1".parse().expect("a group's name");
    layer.group_add(&group, &member).await.expect("a member");
    layer.group_send(&group, numbered(1)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 1));
    let chat = "chat".parse().expect("a group's name");
    assert!(matches!(layer.group_add(&chat, &member).await, Err(LayerError::Unavailable(_))));
    layer.group_send(&group, numbered(2)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 2));
}

#[tokio::test]
async fn a_subscription_lost_before_its_answer_is_made_again() {
    let mut redis = Redis::start().await;
    let layer = start(&redis);
    let (name, mut told) = attach(&*layer);
    layer.group_add(&group(), &name).await.expect("a member");
    redis.pause();
    let late = "late".parse().expect("a group's name");
    assert!(matches!(layer.group_add(&late, &name).await, Err(LayerError::Unavailable(_))));
    redis.restart().await;
    assert_eq!(next(&mut told).await, Told::Gap);
    assert_eq!(next(&mut told).await, Told::Gap);
    for n in 0..3 {
        layer.group_send(&late, numbered(n)).await.expect("sent");
        assert_eq!(next(&mut told).await, Told::Number(String::new(), n));
    }
}

#[tokio::test]
async fn a_group_whose_members_have_all_expired_is_listened_to_no_more() {
    let redis = Redis::start().await;
    let hosts = vec![Host::Url(redis.url())];
    let options = RedisOptions { hosts, group_expiry: Duration::from_secs(1), ..RedisOptions::default() };
    let layer = RedisPubSubLayer::start(options).expect("a layer");
    let (name, mut told) = attach(&*layer);
    layer.group_add(&group(), &name).await.expect("a member");
    layer.group_send(&group(), numbered(1)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number(String::new(), 1));
    let abandoned = async { while redis.cli::<usize>(&["PUBLISH", "asgi__group__test-group", "to nobody"]).await > 0 {} };
    timeout(Duration::from_secs(20), abandoned).await.expect("nobody listens");
    layer.group_add(&group(), &name).await.expect("a member again");
    layer.group_send(&group(), numbered(2)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number(String::new(), 2));
}

/// What is refused because nobody listens is sent again; what is accepted is heard, also where others alone have listened.
#[tokio::test]
async fn what_is_sent_while_the_subscription_is_cut_is_heard_or_refused() {
    const COUNT: i64 = 60;
    let redis = Redis::start().await;
    let (layer, other) = (start(&redis), start(&redis));
    let (name, mut told) = attach(&*layer);
    let (others, _others_told) = attach(&*other);
    for (layer, name) in [(&layer, &name), (&other, &others)] {
        layer.group_add(&group(), &name.with_local("g1").expect("a name")).await.expect("a member");
    }
    for n in 0..COUNT {
        if n % 10 == 5 {
            redis.close_connections("pubsub").await;
        }
        while layer.group_send(&group(), numbered(n)).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    let mut heard = Vec::new();
    while heard.last() != Some(&(COUNT - 1)) {
        if let Told::Number(_, number) = next(&mut told).await {
            heard.push(number);
        }
    }
    assert_eq!(heard, (0..COUNT).collect::<Vec<_>>());
}
