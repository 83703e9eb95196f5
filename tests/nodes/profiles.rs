//! How people are seen is the same on all nodes that share a database.

use confab::server::settings::Backend;
use serde_json::json;

use crate::{
    cluster::{host, node_on},
    people::Somebody,
    support::{postgres::Postgres, redis::Redis},
    within,
};

on_each_backend! {
    a_name_that_is_changed_on_one_node_is_seen_on_the_other,
}

async fn a_name_that_is_changed_on_one_node_is_seen_on_the_other(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let (a, b) = (node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await);
    let (ann, guest) = (Somebody::in_postgres(&database, "ann").await, Somebody::guest());
    let mut anns = ann.socket(&a).await;
    anns.join("room/s-a", None).await;
    anns.post("room/s-a", "k1", "hello").await;
    let mut guests = guest.socket(&b).await;
    guests.join("room/s-a", None).await;
    guests.sees("room/s-a", 2).await;
    let form = [("do", "name"), ("name", "Anna"), ("handle", "anna")];
    assert_eq!(ann.send(&a, "/account/", &form).await, (303, "/account/".to_owned()));
    let anna = json!({"id": ann.id, "name": "Anna", "handle": "anna"});
    let told = async { while guests.change().await["event"]["joined"] != json!([anna]) {} };
    within("her other name", told).await;
    // What she says by the connection that she had is hers, too.
    anns.post("room/s-a", "k2", "still here").await;
    let said = async {
        loop {
            let event = guests.push().await["event"].take();
            if event["type"] == "message" {
                return event;
            }
        }
    };
    assert_eq!(within("what she says", said).await["from"], anna);
    let (_, body) = guest.get(&b, "/room/s-a/").await;
    assert!(body.contains("<bdi class=\"author\">Anna</bdi>") && !body.contains("<bdi class=\"author\">ann</bdi>"), "{body}");
}
