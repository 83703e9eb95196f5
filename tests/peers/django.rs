//! A Django Channels project beside us: the chat of the Channels tutorial, and a program that pushes into a group.

use confab::server::layers::{
    ChannelLayer as _, DEFAULT_PREFIX, Event,
    redis::{Host, RedisCoreLayer, RedisOptions},
};

use crate::support::{
    django::{Browser, Django},
    peer::{Backend, Options, Peer},
    redis::Redis,
    within,
};

/// The backends, as Django's settings name them.
const BACKENDS: [(Backend, &str); 2] = [
    (Backend::Core, "channels_redis.core.RedisChannelLayer"),
    (Backend::PubSub, "channels_redis.pubsub.RedisPubSubChannelLayer"),
];

#[tokio::test]
async fn the_tutorial_runs_as_it_does_anywhere() {
    for (backend, path) in BACKENDS {
        let redis = Redis::start().await;
        let django = Django::start(path, [redis.url()]).await;
        let peer = Peer::start(&Options::new(backend, [redis.url()])).await;
        let mut listener = peer.listen(peer.new_channel().await).await;
        peer.group_add("chat_lobby", listener.channel()).await;
        let mut ann = Browser::open(&django.websocket("lobby")).await;
        let mut ben = Browser::open(&django.websocket("lobby")).await;
        ann.say("Grüße").await;
        assert_eq!((ann.hear().await, ben.hear().await), ("Grüße".to_owned(), "Grüße".to_owned()));
        assert_eq!(listener.next().await, Event::new("chat.message").with("message", "Grüße"));
        peer.group_send("chat_lobby", &[Event::new("chat.message").with("message", "from outside")]).await;
        assert_eq!((ann.hear().await, ben.hear().await), ("from outside".to_owned(), "from outside".to_owned()));
    }
}

#[tokio::test]
async fn a_program_of_the_project_pushes_into_a_group() {
    for (backend, path) in BACKENDS {
        let redis = Redis::start().await;
        let django = Django::start(path, [redis.url()]).await;
        let peer = Peer::start(&Options::new(backend, [redis.url()])).await;
        let mut listener = peer.listen(peer.new_channel().await).await;
        peer.group_add("coins", listener.channel()).await;
        django.push("{\"BTC\": 1}").await;
        assert_eq!(listener.next().await, Event::new("send_new_data").with("text", "{\"BTC\": 1}"));
    }
}

#[tokio::test]
async fn a_rust_layer_is_in_the_groups_of_the_project() {
    let redis = Redis::start().await;
    let django = Django::start("channels_redis.core.RedisChannelLayer", [redis.url()]).await;
    let options = RedisOptions { hosts: vec![Host::Url(redis.url())], ..RedisOptions::default() };
    let layer = RedisCoreLayer::start(options).unwrap();
    let (chat, coins) = ("chat_lobby".parse().unwrap(), "coins".parse().unwrap());
    let channel = layer.new_channel(DEFAULT_PREFIX).unwrap();
    layer.group_add(&chat, &channel).await.unwrap();
    layer.group_add(&coins, &channel).await.unwrap();
    let mut ann = Browser::open(&django.websocket("lobby")).await;

    ann.say("Grüße").await;
    assert_eq!(ann.hear().await, "Grüße");
    let from_ann = within("what Ann says", layer.receive(&channel)).await.unwrap();
    assert_eq!(from_ann, Event::new("chat.message").with("message", "Grüße"));

    // A key that the consumer does not ask for is none of its business.
    let ours = Event::new("chat.message").with("message", "from Rust").with("offset", 7);
    layer.group_send(&chat, ours.clone()).await.unwrap();
    assert_eq!(ann.hear().await, "from Rust");
    assert_eq!(within("our own message", layer.receive(&channel)).await.unwrap(), ours);

    django.push("{\"BTC\": 1}").await;
    let pushed = within("what is pushed", layer.receive(&channel)).await.unwrap();
    assert_eq!(pushed, Event::new("send_new_data").with("text", "{\"BTC\": 1}"));
}
