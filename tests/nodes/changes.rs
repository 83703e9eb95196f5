//! What becomes of a message on one node reaches the members on the other; consumers in Python hear nothing of it.

use confab::server::settings::Backend;
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, offset},
    clients::V1,
    cluster::{host, node_on, v1_member},
    support::{
        peer::{self, Options, Peer},
        postgres::Postgres,
        redis::Redis,
    },
};

on_each_backend! {
    changes_reach_the_members_on_the_other_node_in_their_place,
    consumers_in_python_hear_the_messages_alone,
}

async fn two_on_one_store(backend: Backend, redis: &Redis, postgres: &Postgres) -> [TestApp; 2] {
    let database = postgres.database().await;
    [node_on(backend, host(redis), &database).await, node_on(backend, host(redis), &database).await]
}

/// Edits, reacts and deletes on all nodes in turn; gives the number of entries, the message at the offset 1 among them.
async fn talk(members: &mut [V1; 2]) -> u64 {
    let [ann, bob] = members;
    assert_eq!(ann.post("room/s-a", "k1", "first").await, 1);
    let id = format!("{}-1", ann.welcome["joined"]["epoch"].as_str().expect("an epoch"));
    for number in 0..10 {
        let text = format!("edit {number}");
        ann.ok(json!({"edit": {"topic": "room/s-a", "message": id, "text": text}})).await;
        bob.ok(json!({"react": {"topic": "room/s-a", "message": id, "emoji": "👍", "on": number % 2 == 0}})).await;
        bob.post("room/s-a", &format!("m{number}"), "between").await;
    }
    ann.ok(json!({"delete": {"topic": "room/s-a", "message": id}})).await;
    32
}

async fn changes_reach_the_members_on_the_other_node_in_their_place(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let [a, b] = two_on_one_store(backend, &redis, &postgres).await;
    let mut members = [v1_member(&a, "s-a").await, v1_member(&b, "s-a").await];
    let entries = talk(&mut members).await;
    let mut heard: Vec<Vec<Value>> = Vec::new();
    for member in &mut members {
        let mut pushes = Vec::new();
        for place in 1..=entries {
            let push = member.push().await;
            assert_eq!(offset(&push), place, "{push}");
            pushes.push(push);
        }
        assert_eq!(member.pushes_so_far().await, [] as [Value; 0]);
        heard.push(pushes);
    }
    // What was read from the store, because it came too late by the layer, has the text of today.
    let kinds = |pushes: &[Value]| pushes.iter().map(|push| push["event"]["type"].clone()).collect::<Vec<_>>();
    assert_eq!(kinds(&heard[0]).iter().filter(|kind| *kind == "message").count(), 11);
    assert_eq!(heard[0].last().expect("pushes")["event"]["type"], "delete");
    for app in [&a, &b] {
        let (_, messages) = app.all_messages("s-a").await;
        assert_eq!((messages.len(), &messages[0]["deleted"]), (11, &json!(true)));
    }
}

/// Redis forgets for a moment that anybody wants the list. No event of the room's group is lost, and nothing breaks.
#[tokio::test]
async fn the_list_on_the_other_node_has_an_edit_of_which_the_layer_loses_the_event() {
    const GROUP: [&str; 2] = ["asgi:group:confab.rooms", "asgi:group:forgotten"];
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let [a, b] = two_on_one_store(Backend::RedisCore, &redis, &postgres).await;
    let (mut ann, mut watcher) = (v1_member(&a, "s-a").await, V1::connect(b.address, "/ws/").await);
    watcher.join("lobby", None).await;
    ann.post("room/s-a", "k1", "first").await;
    let first = watcher.push().await;
    let id = &first["event"]["latest"]["id"];
    let shown = |push: &Value| push["event"]["latest"]["text"].clone();
    assert_eq!(shown(&first), json!("first"));

    redis.cli::<()>(&["RENAME", GROUP[0], GROUP[1]]).await;
    ann.ok(json!({"edit": {"topic": "room/s-a", "message": id, "text": "corrected"}})).await;
    redis.cli::<()>(&["RENAME", GROUP[1], GROUP[0]]).await;
    assert_eq!(shown(&watcher.push().await), json!("corrected"));
    ann.post("room/s-a", "k2", "second").await;
    assert_eq!(shown(&watcher.push().await), json!("second"));
}

async fn consumers_in_python_hear_the_messages_alone(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let [a, b] = two_on_one_store(backend, &redis, &postgres).await;
    let python = match backend {
        Backend::RedisPubSub => peer::Backend::PubSub,
        _ => peer::Backend::Core,
    };
    let peer = Peer::start(&Options::new(python, [redis.url()])).await;
    let mut consumer = peer.listen(peer.new_channel().await).await;
    peer.group_add("s-a", consumer.channel()).await;
    let mut members = [v1_member(&a, "s-a").await, v1_member(&b, "s-a").await];
    talk(&mut members).await;
    members[0].post("room/s-a", "end", "the end").await;
    let mut heard: Vec<String> = Vec::new();
    while heard.last().is_none_or(|text| text != "the end") {
        let event = consumer.next().await;
        assert_eq!(event.kind(), "chat.message", "{event:?}");
        heard.push(event.get_str("message").expect("a text").to_owned());
    }
    assert_eq!(heard.len(), 12, "{heard:?}");
}
