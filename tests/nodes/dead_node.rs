//! `kill -9` of one of two nodes that share a store. It is a process of its own; the other one stays in this.

use confab::server::settings::Backend;
use serde_json::json;

use crate::{
    app::{Http as _, offset},
    clients::V1,
    cluster::{Victim, host, node_on, plain_member, ready, v1_member},
    crowd::Crowd,
    support::{postgres::Postgres, redis::Redis},
    within,
};

on_each_backend! {
    its_people_go_on_on_the_other_node_and_come_back,
    what_it_has_committed_and_told_nobody_is_heard,
}

async fn its_people_go_on_on_the_other_node_and_come_back(backend: Backend) {
    let redis = Redis::start().await;
    let postgres = Postgres::shared().await;
    let database = postgres.database().await;
    let mut victim = Victim::start(backend, &redis.url(), &database).await;
    let b = node_on(backend, host(&redis), &database).await;
    let mut crowd = Crowd::start([victim.program.address, b.address]).await;
    for _ in 0..5 {
        victim.program.kill();
        crowd.moves(0, b.address);
        crowd.goes_on().await;
        victim = Victim::start(backend, &redis.url(), &database).await;
        crowd.returns(0, victim.program.address);
        crowd.goes_on().await;
    }
    crowd.audit((&victim.program, &b)).await;
}

async fn what_it_has_committed_and_told_nobody_is_heard(backend: Backend) {
    const ANN: (&str, &str) = ("cookie", "confab_guest=0123456789abcdef0123456789abcdef");
    let mut redis = Redis::start().await;
    let postgres = Postgres::shared().await;
    let database = postgres.database().await;
    let mut victim = Victim::start(backend, &redis.url(), &database).await;
    let b = node_on(backend, host(&redis), &database).await;
    let mut plain = plain_member(&b, "s-a", "the first").await;
    let mut stayer = v1_member(&b, "s-a").await;
    let mut ann = V1::with(victim.program.address, "/room/s-a/", &[ANN]).await;
    let position = ann.position();

    // Redis reads nothing any more, and forgets what it would have read when it is killed.
    redis.pause();
    let send = json!({"topic": "room/s-a", "key": "k", "text": "her last words there"});
    ann.say(&json!({"id": 1, "send": send}).to_string()).await;
    let committed = async { while b.all_messages("s-a").await.1.len() < 2 {} };
    within("the commit", committed).await;
    victim.program.kill();
    let push = stayer.push().await;
    assert_eq!((offset(&push), &push["event"]["text"]), (2, &send["text"]));
    assert_eq!(plain.text().await, "her last words there");
    redis.restart().await;
    ready(&b).await;

    // She does not know that she was heard.
    let mut ann = V1::with(b.address, "/ws/", &[ANN]).await;
    let state = ann.join("room/s-a", Some(&position)).await;
    assert_eq!((&state["recovered"], &state["events"]), (&json!(true), &json!([push])));
    assert_eq!(ann.ok(json!({"send": send})).await, json!({"offset": 2}));
    assert_eq!(ann.post("room/s-a", "k2", "here").await, 3);
    for v1 in [&mut stayer, &mut ann] {
        let push = v1.push().await;
        assert_eq!((offset(&push), &push["event"]["text"]), (3, &json!("here")));
    }
    assert_eq!(plain.text().await, "here");
}
