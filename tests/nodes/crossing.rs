//! Two nodes: what is said on one reaches the members on the other, once and in order.

use confab::server::settings::{Backend, LayerSettings, SerializerFormat};
use reqwest::Client;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    app::{Http as _, TestApp, offset},
    clients::{Plain, V1},
    cluster::{TOKEN, host, node, plain_member, ready, settings, two_nodes, v1_member},
    support::redis::Redis,
    within,
};

on_each_backend! {
    what_is_said_on_one_node_is_heard_on_both_once_and_in_order,
    bytes_reach_the_members_on_the_other_node,
    a_program_reaches_one_connection_on_the_other_node,
    an_event_reaches_the_members_on_both_nodes,
    a_node_is_in_a_group_once_and_until_its_last_member_leaves,
    nodes_that_write_json_talk,
    nodes_that_encrypt_talk,
}

/// What one speaker says.
fn texts(speaker: &str) -> Vec<String> {
    (1..=50).map(|n| format!("{speaker} {n}")).collect()
}

/// Sends all commands at once and waits for the answers.
async fn post_all(v1: &mut V1, topic: &str, texts: &[String]) -> Vec<Value> {
    let command = |(id, text): (usize, &String)| {
        let key = text.replace(' ', "-");
        json!({"id": 1_000 + id, "send": {"topic": topic, "key": key, "text": text}}).to_string()
    };
    for command in texts.iter().enumerate().map(command) {
        v1.say(&command).await;
    }
    let mut offsets = Vec::new();
    for id in 0..texts.len() {
        offsets.push(v1.answer(json!(1_000 + id)).await.expect("an open connection")["ok"]["offset"].clone());
    }
    offsets
}

async fn assert_hears(plain: &mut Plain, texts: &[String]) {
    for text in texts {
        assert_eq!(plain.text().await, *text);
    }
}

/// The pushes with these texts, which have to be next.
async fn pushes(v1: &mut V1, texts: &[String]) -> Vec<Value> {
    let mut pushes = Vec::new();
    for text in texts {
        let push = v1.push().await;
        assert_eq!((&push["event"]["type"], &push["event"]["text"]), (&json!("message"), &json!(text)), "{push}");
        pushes.push(push);
    }
    pushes
}

async fn what_is_said_on_one_node_is_heard_on_both_once_and_in_order(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    for group in ["s-a", "n-a"] {
        let keeps = group == "s-a";
        let topic = format!("room/{group}");
        let mut plain_b = plain_member(&b, group, "plain on b").await;
        let mut plain_a = plain_member(&a, group, "plain on a").await;
        assert_eq!(plain_b.text().await, "plain on a");
        let (mut v1_a, mut v1_b) = (v1_member(&a, group).await, v1_member(&b, group).await);

        let (first, second, third) = (texts("v1 on a"), texts("plain on a"), texts("v1 on b"));
        let offsets = post_all(&mut v1_a, &topic, &first).await;
        // Its own message was the first in the room of this node.
        let places: Vec<_> = (2..=51).map(|place| if keeps { json!(place) } else { Value::Null }).collect();
        assert_eq!(offsets, places);
        let on_a = pushes(&mut v1_a, &first).await;
        let on_b = pushes(&mut v1_b, &first).await;
        for ((here, there), place) in on_a.iter().zip(&on_b).zip(places) {
            // The other node has another stream.
            assert_eq!((&here["offset"], there.get("offset")), (&place, None), "{there}");
            for field in ["id", "key", "from", "text", "at"] {
                assert_eq!(here["event"][field], there["event"][field], "{field}");
            }
        }
        assert_hears(&mut plain_a, &first).await;
        assert_hears(&mut plain_b, &first).await;

        for text in &second {
            plain_a.say(text).await;
        }
        for plain in [&mut plain_a, &mut plain_b] {
            assert_hears(plain, &second).await;
        }
        for v1 in [&mut v1_a, &mut v1_b] {
            pushes(v1, &second).await;
        }

        post_all(&mut v1_b, &topic, &third).await;
        for plain in [&mut plain_a, &mut plain_b] {
            assert_hears(plain, &third).await;
        }
        assert!(pushes(&mut v1_a, &third).await.iter().all(|push| push.get("offset").is_none()));
        let own = pushes(&mut v1_b, &third).await;
        assert!(!keeps || own.iter().map(offset).eq(2..=51));

        // What would have come twice, or to the wrong one, would have come before this.
        post_all(&mut v1_a, &topic, &["end of a".to_owned()]).await;
        for v1 in [&mut v1_a, &mut v1_b] {
            pushes(v1, &["end of a".to_owned()]).await;
            assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
        }
        for plain in [&mut plain_a, &mut plain_b] {
            assert_eq!(plain.text().await, "end of a");
        }
        let (_, kept) = if keeps { b.all_messages(group).await } else { (String::new(), Vec::new()) };
        let kept: Vec<_> = kept.iter().map(|message| message["text"].as_str().unwrap_or_default()).collect();
        let of_b: Vec<_> = std::iter::once("plain on b").chain(third.iter().map(String::as_str)).collect();
        assert_eq!(kept, if keeps { of_b } else { Vec::new() });
    }
}

async fn bytes_reach_the_members_on_the_other_node(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let mut plain_b = plain_member(&b, "s-a", "plain on b").await;
    let mut v1_b = v1_member(&b, "s-a").await;
    let mut plain_a = plain_member(&a, "s-a", "plain on a").await;
    let bytes: Vec<u8> = (0..=255).collect();
    plain_a.send(Message::binary(bytes.clone())).await;
    assert_eq!(plain_a.next().await, Message::binary(bytes.clone()));
    assert_eq!(plain_b.text().await, "plain on a");
    assert_eq!(plain_b.next().await, Message::binary(bytes));
    assert_eq!(v1_b.push().await["event"]["text"], "plain on a");
    assert_eq!(v1_b.push().await["event"]["type"], "chat.binary");
}

/// What a program sends through a node; it has to be accepted.
async fn push(app: &TestApp, path: &str, body: Value) {
    let client = Client::builder().no_proxy().build().expect("a client");
    let request = client.post(app.url(&format!("/api/v1/{path}/send"))).bearer_auth(TOKEN).json(&body);
    let answer = within("an answer", request.send()).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.expect("a body"));
}

/// An event as its members get it when a program has pushed it.
fn pushed(mut event: Value) -> Value {
    event["confab.program"] = json!({"id": "tdd9d24965dbedc02", "name": "Cron"});
    event
}

async fn a_program_reaches_one_connection_on_the_other_node(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let (mut one, mut other) = (v1_member(&a, "s-a").await, v1_member(&a, "s-a").await);
    let mut third = v1_member(&b, "s-a").await;
    let channel = one.welcome["channel"].as_str().expect("a channel").to_owned();
    for n in 1..=20 {
        push(&b, &format!("channels/{channel}"), json!({"type": "note", "n": n})).await;
    }
    for n in 1..=20 {
        assert_eq!(one.push().await, json!({"topic": "me", "event": pushed(json!({"type": "note", "n": n}))}));
    }
    push(&b, "groups/s-a", json!({"text": "to all"})).await;
    for v1 in [&mut one, &mut other, &mut third] {
        assert_eq!(v1.push().await["event"]["text"], "to all");
        assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
    }
}

async fn an_event_reaches_the_members_on_both_nodes(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let (mut v1_a, mut v1_b) = (v1_member(&a, "s-a").await, v1_member(&b, "s-a").await);
    let event = json!({"type": "prices", "coins": [{"name": "BTC", "price": 1.5}], "at": null, "more": {"a": -1}});
    push(&a, "groups/s-a", event.clone()).await;
    push(&b, "groups/s-a", json!({"type": "end"})).await;
    for v1 in [&mut v1_a, &mut v1_b] {
        assert_eq!(v1.push().await, json!({"topic": "room/s-a", "event": pushed(event.clone())}));
        assert_eq!(v1.push().await["event"], pushed(json!({"type": "end"})));
    }
}

/// How many members a group has in Redis.
pub async fn members(redis: &Redis, backend: Backend, group: &str) -> usize {
    match backend {
        Backend::RedisCore => redis.cli(&["ZCARD", &format!("asgi:group:{group}")]).await,
        Backend::RedisPubSub => {
            let (_, count): (String, usize) = redis.cli(&["PUBSUB", "NUMSUB", &format!("asgi__group__{group}")]).await;
            count
        }
        Backend::Memory => unreachable!("it is not in Redis"),
    }
}

/// Waits until a group has so many members in Redis.
pub async fn members_are(redis: &Redis, backend: Backend, group: &str, count: usize) {
    let asking = async {
        while members(redis, backend, group).await != count {
            tokio::task::yield_now().await;
        }
    };
    within(&format!("{count} members of {group}"), asking).await;
}

async fn a_node_is_in_a_group_once_and_until_its_last_member_leaves(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let mut plain = Vec::new();
    for n in 0..5 {
        plain.push(plain_member(&a, "s-a", &format!("{n}")).await);
    }
    assert_eq!(members(&redis, backend, "s-a").await, 1);
    let mut last = v1_member(&a, "s-a").await;
    assert_eq!(members(&redis, backend, "s-a").await, 1);
    let mut other = v1_member(&b, "s-a").await;
    assert_eq!(members(&redis, backend, "s-a").await, 2);

    for mut plain in plain.drain(..) {
        plain.say("exit").await;
        while !matches!(plain.next().await, Message::Close(_)) {}
    }
    other.post("room/s-a", "k", "still there?").await;
    assert_eq!(last.push().await["event"]["text"], "still there?");
    assert_eq!(members(&redis, backend, "s-a").await, 2);
    last.ok(json!({"leave": {"topic": "room/s-a"}})).await;
    members_are(&redis, backend, "s-a", 1).await;
    drop(other);
    members_are(&redis, backend, "s-a", 0).await;
}

async fn nodes_that_write_json_talk(backend: Backend) {
    nodes_that_write_alike_talk(backend, |layer| layer.serializer_format = SerializerFormat::Json).await;
}

async fn nodes_that_encrypt_talk(backend: Backend) {
    let keys = ["not to be shown", "an old one"].map(|key| key.parse().expect("a key"));
    nodes_that_write_alike_talk(backend, |layer| layer.symmetric_encryption_keys = keys.to_vec()).await;
}

/// Two nodes with these settings talk with each other, but not with a third one that has none of them.
async fn nodes_that_write_alike_talk(backend: Backend, change: impl Fn(&mut LayerSettings)) {
    let redis = Redis::start().await;
    let start = || {
        TestApp::with(|all| {
            settings(all, backend, host(&redis));
            change(&mut all.channel_layers.default);
        })
    };
    let (a, b, third) = (start().await, start().await, node(backend, &redis).await);
    ready(&a).await;
    ready(&b).await;
    let mut plain_b = plain_member(&b, "s-a", "plain on b").await;
    let mut plain_a = plain_member(&a, "s-a", "plain on a").await;
    assert_eq!(plain_b.text().await, "plain on a");
    let (mut v1_a, mut v1_b) = (v1_member(&a, "s-a").await, v1_member(&b, "s-a").await);
    let mut outsider = v1_member(&third, "s-a").await;

    let text = "Grüße \0 \"🦀\"";
    plain_a.say(text).await;
    for plain in [&mut plain_a, &mut plain_b] {
        assert_eq!(plain.text().await, text);
    }
    // Nobody can read what the third one sends, and nobody comes to harm.
    outsider.post("room/s-a", "k", "to nobody").await;
    let bytes: Vec<u8> = (0..=255).collect();
    plain_b.send(Message::binary(bytes.clone())).await;
    let event = json!({"type": "prices", "coins": [{"name": "BTC", "price": 1.5}], "at": null, "more": {"a": -1}});
    for plain in [&mut plain_a, &mut plain_b] {
        assert_eq!(plain.next().await, Message::binary(bytes.clone()));
    }
    push(&b, "groups/s-a", event.clone()).await;
    v1_b.post("room/s-a", "k2", "the last").await;
    for v1 in [&mut v1_a, &mut v1_b] {
        assert_eq!(v1.push().await["event"]["text"], text);
        assert_eq!(v1.push().await["event"]["type"], "chat.binary");
        assert_eq!(v1.push().await, json!({"topic": "room/s-a", "event": pushed(event.clone())}));
        assert_eq!(v1.push().await["event"]["text"], "the last");
    }
    for plain in [&mut plain_a, &mut plain_b] {
        assert_eq!(plain.text().await, "the last");
    }
    assert_eq!(outsider.push().await["event"]["text"], "to nobody");
    outsider.post("room/s-a", "end", "still to nobody").await;
    assert_eq!(outsider.push().await["event"]["text"], "still to nobody");
}
