//! That the Python peers do what their names say, and no more: a matrix that they pass by chance shows nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use confab::server::layers::{Event, Value};

use crate::support::{
    peer::{Backend, Options, Peer},
    redis::Redis,
    within,
};

#[tokio::test]
async fn values_come_through_a_peer_as_they_are() {
    let redis = Redis::start().await;
    let peer = Peer::start(&Options::new(Backend::Core, [redis.url()])).await;
    let channel = peer.new_channel().await;
    let event = Event::new("test.message")
        .with("nil", Value::Nil)
        .with("yes", true)
        .with("least", i64::MIN)
        .with("most", i64::MAX)
        .with("whole", 1.0)
        .with("text", "Grüße \u{1f980} \u{0} \"\n")
        .with("bytes", Bytes::from_static(&[0, 255, 254]))
        .with("list", vec![Value::Int(1), Value::List(Vec::new()), Value::Bytes(Bytes::new())])
        .with("map", BTreeMap::from([(String::new(), Value::Map(BTreeMap::new()))]));
    peer.send(&channel, &[event.clone(), Event::new("other")]).await;
    assert_eq!(peer.receive(&channel, 2).await, [event, Event::new("other")]);
}

#[tokio::test]
async fn what_python_raises_is_an_error() {
    let redis = Redis::start().await;
    let options = Options { capacity: Some(1), ..Options::new(Backend::Core, [redis.url()]) };
    let peer = Peer::start(&options).await;
    assert_eq!(peer.try_send("full", &[Event::new("one"), Event::new("two")]).await, Err("ChannelFull()".to_owned()));
    assert_eq!(peer.receive("full", 1).await, [Event::new("one")]);
}

#[tokio::test]
async fn listeners_live_through_the_death_of_redis() {
    for backend in [Backend::Core, Backend::PubSub] {
        let mut redis = Redis::start().await;
        let peer = Peer::start(&Options::new(backend, [redis.url()])).await;
        let mut listener = peer.listen(peer.new_channel().await).await;
        redis.restart().await;
        let channel = listener.channel().to_owned();
        // The pubsub layer finds out in its own time that it has to subscribe again, and the core layer's first send may meet
        // the broken connection.
        within("a message after the restart", async {
            while listener.now().is_none() {
                let _ = peer.try_send(&channel, &[Event::new("after")]).await;
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
