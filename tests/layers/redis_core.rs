//! The sorted sets of `channels_redis.core`: the suite on one server and on four, and what is true beyond the suite.

use std::{sync::Arc, time::Duration};

use confab::server::layers::{
    Channel, ChannelLayer, DEFAULT_PREFIX, GroupName, LayerError,
    redis::{Host, RedisCoreLayer, RedisOptions},
};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{
    conformance::{Backend, General, Limits},
    sink::{Told, attach, group, next, numbered, ones_own_arrive_in_spite_of},
    support::redis::Redis,
};

/// How long to wait for what must come. Only a test that fails waits so long.
const SOON: Duration = Duration::from_secs(20);

/// One server.
struct Core {
    layer: Arc<RedisCoreLayer>,
    _redis: Redis,
}

/// Four databases of a server, which are as good as four servers here.
struct Core4(Core);

impl Core {
    async fn over(dbs: u8, limits: Limits) -> Self {
        let redis = Redis::start().await;
        let Limits { capacity, channel_capacity, expiry, group_expiry } = limits;
        let hosts = (0..dbs).map(|db| Host::Url(redis.url_of_db(db))).collect();
        let options = RedisOptions { hosts, capacity, channel_capacity, expiry, group_expiry, ..RedisOptions::default() };
        Self { layer: RedisCoreLayer::start(options).expect("a layer"), _redis: redis }
    }
}

impl Backend for Core {
    async fn start(limits: Limits) -> Self {
        Self::over(1, limits).await
    }

    fn layer(&self) -> Arc<dyn ChannelLayer> {
        Arc::clone(&self.layer) as Arc<dyn ChannelLayer>
    }

    async fn pass_time(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl Backend for Core4 {
    const GENERAL: General = General::Spread;

    async fn start(limits: Limits) -> Self {
        Self(Core::over(4, limits).await)
    }

    fn layer(&self) -> Arc<dyn ChannelLayer> {
        self.0.layer()
    }

    async fn pass_time(&self, time: Duration) {
        self.0.pass_time(time).await;
    }
}

mod one_server {
    conformance!(super::Core);
}

mod four_servers {
    conformance!(spread super::Core4);
}

fn start(redis: &Redis) -> Arc<RedisCoreLayer> {
    RedisCoreLayer::start(RedisOptions { hosts: vec![Host::Url(redis.url())], ..RedisOptions::default() }).expect("a layer")
}

#[tokio::test]
async fn keys_are_those_of_channels_redis() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let own = layer.new_channel(DEFAULT_PREFIX).expect("a channel");
    layer.group_add(&group(), &own).await.expect("a member");
    layer.group_send(&group(), numbered(1)).await.expect("sent");
    layer.send(&"general-chan".parse().expect("a name"), numbered(2)).await.expect("sent");
    let mut keys: Vec<String> = redis.cli(&["KEYS", "*"]).await;
    keys.sort();
    assert_eq!(
        keys,
        ["asgi:group:test_group".replace('_', "-"), "asgigeneral-chan".to_owned(), format!("asgi{}", own.non_local())]
    );
    let ttl: i64 = redis.cli(&["TTL", &keys[2]]).await;
    assert!((1..=60).contains(&ttl), "{ttl}");
    let ttl: i64 = redis.cli(&["TTL", &keys[0]]).await;
    assert!((86_000..=86_400).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn a_burst_of_many_senders_reaches_a_sink_whole_and_in_each_senders_order() {
    let redis = Redis::start().await;
    let (sending, receiving) = (start(&redis), start(&redis));
    let (name, mut told) = attach(&*receiving);
    receiving.group_add(&group(), &name.with_local("g1").expect("a name")).await.expect("a member");
    let senders = (0..20_i64).map(|sender| {
        let sending = Arc::clone(&sending);
        async move {
            for n in 0..100 {
                sending.group_send(&group(), numbered(sender * 1_000 + n)).await.expect("sent");
            }
        }
    });
    let mut received = vec![Vec::new(); 20];
    let receive = async {
        for _ in 0..2_000 {
            let Told::Number(local, number) = next(&mut told).await else { panic!("nothing was lost") };
            assert_eq!(local, "g1");
            received[usize::try_from(number / 1_000).expect("a sender")].push(number % 1_000);
        }
    };
    tokio::join!(join_all(senders), receive);
    for numbers in received {
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
}

/// Its tasks begin in any order, and Redis may be there before the last of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_layer_is_well_whichever_of_its_tasks_begins_first() {
    let redis = Redis::start().await;
    for _ in 0..300 {
        let layer = start(&redis);
        let well = async {
            while layer.trouble().is_some() {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, well).await.expect("no trouble");
    }
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_gets_its_memberships_again_and_sinks_hear_of_the_gap() {
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
    // Both connections have to come back, in either order; after the second gap all is restored.
    assert_eq!(next(&mut told).await, Told::Gap);
    assert_eq!(layer.trouble(), None);
    layer.group_send(&group(), numbered(3)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 3));
}

#[tokio::test]
async fn a_receiver_whose_connection_is_cut_connects_again_and_tells_of_the_gap() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let (name, mut told) = attach(&*layer);
    let socket = name.with_local("s1").expect("a name");
    layer.send(&socket, numbered(1)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("s1".to_owned(), 1));
    redis.close_connections("normal").await;
    assert_eq!(next(&mut told).await, Told::Gap);
    // The shared connection was cut too: what is sent while it is made again may fail.
    while layer.send(&socket, numbered(2)).await.is_err() {}
    while next(&mut told).await == Told::Gap {}
}

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_loaded_again() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let channel: Channel = "general".parse().expect("a name");
    layer.send(&channel, numbered(1)).await.expect("sent");
    redis.cli::<()>(&["SCRIPT", "FLUSH"]).await;
    layer.send(&channel, numbered(2)).await.expect("sent");
    let count: usize = redis.cli(&["ZCARD", "asgigeneral"]).await;
    assert_eq!(count, 2);
}

#[tokio::test]
async fn what_cannot_be_read_stops_nothing() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let (name, mut told) = attach(&*layer);
    let queue = format!("asgi{name}");
    for (score, garbage) in [("1", "short"), ("2", "twelve bytes and no msgpack"), ("3", "twelve bytes\u{1}")] {
        redis.cli::<()>(&["ZADD", &queue, score, garbage]).await;
    }
    layer.send(&name.with_local("s1").expect("a name"), numbered(1)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("s1".to_owned(), 1));
}

#[tokio::test]
async fn nobody_is_served_from_an_address_that_is_none() {
    let options = RedisOptions { hosts: vec![Host::Url("redis://localhost:port".to_owned())], ..RedisOptions::default() };
    assert!(matches!(RedisCoreLayer::start(options).map(drop), Err(LayerError::Unavailable(_))));
    let options = RedisOptions { hosts: Vec::new(), ..RedisOptions::default() };
    assert!(matches!(RedisCoreLayer::start(options).map(drop), Err(LayerError::Unavailable(_))));
}

#[tokio::test]
async fn without_a_redis_a_call_fails_within_a_bound_and_says_why() {
    let mut redis = Redis::start().await;
    redis.kill();
    let layer = start(&redis);
    let sent = timeout(SOON, layer.send(&"a".parse().expect("a name"), numbered(1))).await.expect("an answer");
    assert!(matches!(sent, Err(LayerError::Unavailable(_))), "{sent:?}");
    let trouble = layer.trouble().expect("trouble");
    assert!(trouble.contains(&format!("127.0.0.1:{}", redis.port())), "{trouble}");
}

#[tokio::test]
async fn a_group_that_redis_has_forgotten_still_reaches_ones_own_and_is_told_of_again() {
    let redis = Redis::start().await;
    let (layer, other) = (start(&redis), start(&redis));
    let (name, mut told) = attach(&*layer);
    let member = name.with_local("g1").expect("a name");
    layer.group_add(&group(), &member).await.expect("a member");
    for n in 0..5 {
        redis.cli::<()>(&["FLUSHDB"]).await;
        layer.group_send(&group(), numbered(n)).await.expect("sent");
        assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), n));
        // Whether somebody sends or not, it is found out.
        assert_eq!(next(&mut told).await, Told::Missed("g1".to_owned()));
        other.group_send(&group(), numbered(100 + n)).await.expect("sent");
        assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 100 + n));
    }
    layer.group_discard(&group(), &member).await.expect("no member");
    layer.group_send(&group(), numbered(1)).await.expect("sent");
    layer.send(&member, numbered(2)).await.expect("sent");
    assert_eq!(next(&mut told).await, Told::Number("g1".to_owned(), 2));
}

#[tokio::test]
async fn only_memberships_that_are_wanted_and_not_over_are_made_again_and_keep_their_age() {
    let redis = Redis::start().await;
    let hosts = vec![Host::Url(redis.url())];
    let options = RedisOptions { hosts, group_expiry: Duration::from_hours(1), ..RedisOptions::default() };
    let layer = RedisCoreLayer::start(options).expect("a layer");
    let (name, mut told) = attach(&*layer);
    let ended: GroupName = "ended".parse().expect("a name");
    layer.group_add(&ended, &name.with_local("g2").expect("a name")).await.expect("a member");
    layer.group_add(&group(), &name.with_local("g1").expect("a name")).await.expect("a member");
    let score = async || redis.cli::<f64>(&["ZSCORE", "asgi:group:test-group", &format!("{name}g1")]).await;
    let before = score().await;
    layer.group_discard(&ended, &name.with_local("g2").expect("a name")).await.expect("no member");
    redis.cli::<()>(&["FLUSHDB"]).await;
    assert_eq!(next(&mut told).await, Told::Missed("g1".to_owned()));
    // The clocks of two machines do not go exactly alike.
    assert!((score().await - before).abs() < 0.5);
    assert_eq!(redis.cli::<Vec<String>>(&["KEYS", "*"]).await, ["asgi:group:test-group"]);
}

#[tokio::test]
async fn a_layer_says_while_redis_takes_nothing_new() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let says = async |well: bool| {
        let asking = async {
            while layer.trouble().is_none() != well {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, asking).await.expect("a change");
    };
    says(true).await;
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    says(false).await;
    let trouble = layer.trouble().expect("trouble");
    assert!(trouble.contains("takes nothing new") && trouble.contains("OOM"), "{trouble}");
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    says(true).await;
    assert_eq!(redis.cli::<Vec<String>>(&["KEYS", "*"]).await, [] as [String; 0], "nothing is written to find out");
}

#[tokio::test]
async fn what_redis_forgets_on_its_way_to_ones_own_is_handed_out_in_its_place() {
    let redis = Redis::start().await;
    let layer = start(&redis);
    let (name, mut told) = attach(&*layer);
    layer.group_add(&group(), &name.with_local("g1").expect("a name")).await.expect("a member");
    let connection = redis.connection().await;
    let queue = format!("asgi{name}");
    ones_own_arrive_in_spite_of(&*layer, &mut told, async || {
        let mut connection = connection.clone();
        redis::cmd("DEL").arg(&queue).exec_async(&mut connection).await.expect("deleted");
    })
    .await;
}
