//! What administrators change on one node holds on the others.

use confab::server::settings::Backend;
use reqwest::Client;
use serde_json::json;

use crate::{
    app::{Http as _, TestApp},
    cluster::{host, node_on},
    people::{Somebody, code},
    support::{
        postgres::{Postgres, connection},
        redis::Redis,
    },
    within,
};

on_each_backend! {
    what_is_switched_on_one_node_holds_on_all,
    of_the_last_two_administrators_one_stays,
}

/// The status of a message that a program sends to a node.
async fn pushed(app: &TestApp, token: &str) -> u16 {
    let url = app.url("/api/v1/groups/s-a/send");
    let client = Client::builder().no_proxy().build().expect("a client");
    let sent = client.post(url).bearer_auth(token).json(&json!({"text": "hello"})).send();
    within("an answer", sent).await.expect("an answer").status().as_u16()
}

/// The part of a page between two texts.
fn between<'p>(page: &'p str, before: &str, after: &str) -> &'p str {
    page.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap_or_else(|| panic!("no {before} in {page}"))
}

async fn holds_everywhere(nodes: &[TestApp; 2], database: &str) -> Somebody {
    let (admin, ann) = (Somebody::in_postgres(database, "admin").await, Somebody::in_postgres(database, "ann").await);
    // A token that is made on one node is known on the other, and revoked there it is good for nothing on both.
    let make = [("act", "make"), ("name", "Ticker"), ("post", "yes")];
    let (_, page) = admin.send(&nodes[0], "/manage/tokens/", &make).await;
    let token = between(&page, "readonly value=\"", "\"").to_owned();
    assert_eq!(pushed(&nodes[0], &token).await, 200);
    within("the token on the other node", async { while pushed(&nodes[1], &token).await != 200 {} }).await;
    let (_, page) = admin.get(&nodes[1], "/manage/tokens/").await;
    let id = between(&page, "name=\"id\" value=\"", "\"").to_owned();
    assert_eq!(admin.send(&nodes[1], "/manage/tokens/", &[("act", "revoke"), ("id", &id)]).await.0, 303);
    assert_eq!(pushed(&nodes[1], &token).await, 401, "on the node it is so when it is done");
    within("the other node to know it", async { while pushed(&nodes[0], &token).await != 401 {} }).await;

    // Read-only: what is open is told, and nothing is taken.
    let mut sockets = Vec::new();
    for node in nodes {
        let mut socket = ann.socket(node).await;
        socket.join("room/s-a", None).await;
        socket.join("me", None).await;
        sockets.push(socket);
    }
    for (act, read_only, outcome) in [("read_only", true, "read_only"), ("writable", false, "ok")] {
        assert_eq!(admin.send(&nodes[0], "/manage/server/", &[("act", act)]).await.0, 303);
        for (node, socket) in sockets.iter_mut().enumerate() {
            let told = async {
                loop {
                    let push = socket.push().await;
                    if push["event"]["type"] == "announced" {
                        return push["event"]["read_only"].clone();
                    }
                }
            };
            assert_eq!(within("the switch", told).await, read_only, "node {node}");
            let send = json!({"send": {"topic": "room/s-a", "key": format!("{act}-{node}"), "text": "x"}});
            assert_eq!(code(&socket.ask(send).await), outcome, "node {node}");
        }
    }
    // Whoever is deactivated on one node is out on both.
    assert_eq!(admin.send(&nodes[0], &format!("/manage/people/{}", ann.id), &[("act", "deactivate")]).await.0, 303);
    within("the other node to know it", async { while ann.get(&nodes[1], "/account/").await.0 != 303 {} }).await;
    admin
}

async fn what_is_switched_on_one_node_holds_on_all(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let nodes = [node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await];
    let admin = holds_everywhere(&nodes, &database).await;
    connections_of_all(&nodes, &admin, &database).await;
}

#[tokio::test]
async fn nodes_without_a_common_layer_know_by_the_database_what_is_switched() {
    let (redis, postgres) = ([Redis::start().await, Redis::start().await], Postgres::shared().await);
    let database = postgres.database().await;
    let backend = Backend::RedisPubSub;
    let nodes = [node_on(backend, host(&redis[0]), &database).await, node_on(backend, host(&redis[1]), &database).await];
    Box::pin(holds_everywhere(&nodes, &database)).await;
}

/// A node shows what is open on the others, and closes it there.
async fn connections_of_all(nodes: &[TestApp; 2], admin: &Somebody, database: &str) {
    let bob = Somebody::in_postgres(database, "bob").await;
    let mut there = bob.socket(&nodes[1]).await;
    there.join("room/s-b", None).await;
    let path = format!("/manage/connections/?of={}", bob.id);
    // The nodes know each other as soon as they have said that they are there.
    let row = within("the other node's connection", async {
        loop {
            let (_, page) = admin.get(&nodes[0], &path).await;
            if let Some(row) = page.split("<tr>").find(|row| row.contains("name=\"number\"")) {
                return row.to_owned();
            }
        }
    })
    .await;
    let value = |name: &str| between(&row, &format!("name=\"{name}\" value=\""), "\"").to_owned();
    let (node, number) = (value("node"), value("number"));
    let close = [("node", &*node), ("number", &*number), ("id", &*bob.id), ("name", "bob"), ("of", "")];
    assert_eq!(admin.send(&nodes[0], "/manage/connections/", &close).await.0, 303);
    assert_eq!(there.closed().await.0, 4504);
    // Each node has a row, as soon as it answers in time.
    within("both nodes", async { while admin.get(&nodes[0], "/manage/").await.1.matches("<tr>").count() != 3 {} }).await;
}

/// Both go at once, each on a node of their own.
async fn of_the_last_two_administrators_one_stays(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let nodes = [node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await];
    let records = connection(&database).await;
    records.batch_execute("SET search_path = confab").await.expect("the schema");
    for (round, act) in ["no_administrator", "deactivate", "no_administrator", "deactivate"].into_iter().enumerate() {
        let both = [format!("one{round}"), format!("two{round}")];
        let [one, two] = [Somebody::in_postgres(&database, &both[0]).await, Somebody::in_postgres(&database, &both[1]).await];
        records.batch_execute("UPDATE accounts SET administrator = FALSE").await.expect("nobody administers it");
        let appoint = "UPDATE accounts SET administrator = TRUE WHERE handle = $1 OR handle = $2";
        assert_eq!(records.execute(appoint, &[&both[0], &both[1]]).await.expect("both do"), 2);
        let goes = async |node: &TestApp, who: &Somebody| {
            who.send(node, &format!("/manage/people/{}", who.id), &[("act", act)]).await.0
        };
        let mut went = [0; 2];
        (went[0], went[1]) = tokio::join!(goes(&nodes[0], &one), goes(&nodes[1], &two));
        went.sort_unstable();
        assert_eq!(went, [303, 409], "{act}");
        let left = "SELECT count(*) FROM accounts WHERE administrator AND deactivated_at IS NULL";
        assert_eq!(records.query_one(left, &[]).await.expect("a count").get::<_, i64>(0), 1, "{act}");
    }
}
