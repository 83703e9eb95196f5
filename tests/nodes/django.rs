//! A node beside a project of Django Channels whose consumer is that of the tutorial, unchanged.

use std::sync::Arc;

use confab::server::settings::{Backend, GroupTemplate, History, RoomEvents};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    app::{TestApp, rule},
    clients::{Plain, V1},
    cluster::{host, plain_member, ready, settings, v1_member},
    support::{
        django::{Browser, Django},
        redis::Redis,
    },
};

on_each_backend! {
    browsers_of_both_talk_with_each_other,
    what_a_task_pushes_into_a_group_is_shown,
    bytes_from_a_plain_client_do_no_harm_to_the_consumer,
}

/// A project on this Redis, and a node: the tutorial's group of a room is `chat_` and its name, but that of `coins` is its name alone.
async fn start(backend: Backend, redis: &Redis, history: History) -> (Django, TestApp) {
    let path = match backend {
        Backend::RedisCore => "channels_redis.core.RedisChannelLayer",
        Backend::RedisPubSub => "channels_redis.pubsub.RedisPubSubChannelLayer",
        Backend::Memory => unreachable!("Django is another process"),
    };
    let django = Django::start(path, [redis.url()]).await;
    let app = TestApp::with(|all| {
        settings(all, backend, host(redis));
        let mut chat = rule("*", history);
        let group = GroupTemplate::new("chat_{group}", &chat.matches).expect("a template");
        chat.events = Arc::new(RoomEvents { group, ..RoomEvents::default() });
        all.rooms = vec![rule("coins", history), chat];
    })
    .await;
    ready(&app).await;
    (django, app)
}

/// Shows that nothing went wrong in the project until now, and that it would have been seen.
async fn assert_untroubled(django: &Django, mut browser: Browser) {
    let log = django.log();
    assert!(!log.contains("Traceback") && !log.contains("Exception"), "{log}");
    browser.say_as_it_is("not what the consumer expects").await;
    django.logs("Traceback").await;
}

/// Everybody in the room.
struct Lobby {
    plain: Plain,
    v1: V1,
    ann: Browser,
    ben: Browser,
}

impl Lobby {
    async fn open(django: &Django, app: &TestApp) -> Self {
        let plain = plain_member(app, "lobby", "the first").await;
        let v1 = v1_member(app, "lobby").await;
        let (ann, ben) = (Browser::open(&django.websocket("lobby")).await, Browser::open(&django.websocket("lobby")).await);
        Self { plain, v1, ann, ben }
    }

    /// All hear the text next; `v1` has an event of this type with the text under this key.
    async fn assert_heard(&mut self, text: &str, (kind, key): (&str, &str)) {
        assert_eq!(self.plain.text().await, text);
        let push = self.v1.push().await;
        assert_eq!((&push["event"]["type"], &push["event"][key]), (&json!(kind), &json!(text)), "{push}");
        assert_eq!((self.ann.hear().await, self.ben.hear().await), (text.to_owned(), text.to_owned()));
    }
}

const CONFABS: (&str, &str) = ("message", "text");
const DJANGOS: (&str, &str) = ("chat.message", "message");

async fn browsers_of_both_talk_with_each_other(backend: Backend) {
    let redis = Redis::start().await;
    for history in [History::Store, History::None] {
        let (django, app) = start(backend, &redis, history).await;
        let mut lobby = Lobby::open(&django, &app).await;
        let texts = ["Grüße 🦀", "", "a\nb\t\"c\"\\ \u{1}", &"long ".repeat(10_000), "last"];
        for text in texts {
            lobby.ann.say(text).await;
        }
        for text in texts {
            lobby.assert_heard(text, DJANGOS).await;
        }
        // What is written in Confab shows something, and has no control characters but line feeds and tabs.
        let written = texts.map(|text| text.replace('\u{1}', ""));
        let written: Vec<_> = written.iter().filter(|text| !text.is_empty()).collect();
        for (n, text) in written.iter().enumerate() {
            lobby.v1.post("room/lobby", &format!("k{n}"), text).await;
        }
        for text in written {
            lobby.assert_heard(text, CONFABS).await;
        }
        for n in 0..50 {
            lobby.plain.say(&format!("plain {n}")).await;
        }
        for n in 0..50 {
            lobby.assert_heard(&format!("plain {n}"), CONFABS).await;
        }
        for n in 0..50 {
            lobby.ben.say(&format!("ben {n}")).await;
        }
        for n in 0..50 {
            lobby.assert_heard(&format!("ben {n}"), DJANGOS).await;
        }
        // What came twice would have come before this.
        lobby.v1.post("room/lobby", "end", "the end").await;
        lobby.assert_heard("the end", CONFABS).await;
        assert_eq!(lobby.v1.pushes_so_far().await, [] as [Value; 0]);
        assert_untroubled(&django, lobby.ben).await;
    }
}

async fn what_a_task_pushes_into_a_group_is_shown(backend: Backend) {
    let redis = Redis::start().await;
    let (django, app) = start(backend, &redis, History::Store).await;
    let mut plain = plain_member(&app, "coins", "first").await;
    let mut v1 = v1_member(&app, "coins").await;
    for text in ["{\"BTC\": 1}", "{\"BTC\": 2}"] {
        django.push(text).await;
        assert_eq!(plain.text().await, text);
        let event = json!({"type": "send_new_data", "text": text});
        assert_eq!(v1.push().await, json!({"topic": "room/coins", "event": event}));
    }
}

async fn bytes_from_a_plain_client_do_no_harm_to_the_consumer(backend: Backend) {
    let redis = Redis::start().await;
    let (django, app) = start(backend, &redis, History::Store).await;
    let mut lobby = Lobby::open(&django, &app).await;
    let bytes = vec![0, 1, 0xC3, 0x28, 0xFF];
    lobby.plain.send(Message::binary(bytes.clone())).await;
    assert_eq!(lobby.plain.next().await, Message::binary(bytes));
    assert_eq!(lobby.v1.push().await["event"], json!({"type": "chat.binary", "bytes": "AAHDKP8="}));
    // To the consumer it is a message without text.
    assert_eq!((lobby.ann.hear().await, lobby.ben.hear().await), (String::new(), String::new()));
    lobby.ann.say("still here").await;
    lobby.assert_heard("still here", DJANGOS).await;
    assert_untroubled(&django, lobby.ben).await;
}
