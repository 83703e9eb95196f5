//! A kind of topic in a folder of its own, the [`counter`], on two nodes: what is done on one is seen on the other.

use std::sync::Arc;

use confab::server::{
    layers::{ChannelLayer, MemoryLayer, MemoryOptions},
    noun::Make,
    settings::Backend,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::{
    app::TestApp,
    clients::{Plain, V1, connect},
    cluster::{host, ready, settings},
    counter,
    support::{postgres::Postgres, redis::Redis},
};

on_each_backend! {
    what_is_done_on_one_node_is_seen_on_the_other_over_one_database,
    who_is_barred_loses_the_counter_on_all_nodes,
    what_is_taken_from_everybody_ends_for_all_on_all_nodes,
    a_plain_client_is_sent_the_newest_value_and_then_each_and_presses_by_what_it_says,
}

const NOUNS: &[Make] = &[counter::make];
const ANN: &str = "confab_guest=0123456789abcdef0123456789abcdef";
const BOB: &str = "confab_guest=fedcba9876543210fedcba9876543210";
const TOPIC: &str = "counter/a.b";

/// Two nodes on one Redis and one database.
async fn two_nodes(backend: Backend, redis: &Redis, postgres: &Postgres) -> [TestApp; 2] {
    let database = postgres.database().await;
    let node = async || {
        let node = TestApp::begin(None, NOUNS, |all| {
            settings(all, backend, host(redis));
            all.store.url = database.parse().expect("the URL of a database");
        });
        let node = node.await;
        ready(&node).await;
        node
    };
    [node().await, node().await]
}

/// Presses so many times; gives what the counter says at last.
async fn press(client: &mut V1, times: usize) -> u64 {
    let mut value = 0;
    for _ in 0..times {
        value = client.ok(json!({"press": {"topic": TOPIC}})).await["offset"].as_u64().expect("a value");
    }
    value
}

/// Waits until it is told of this value: of those before it some may be left out, and they rise.
async fn sees(client: &mut V1, value: u64) {
    let mut last = 0;
    while last < value {
        let push = client.push().await;
        assert_eq!((&push["topic"], &push["event"]["type"]), (&json!(TOPIC), &json!("count")));
        let told = push["event"]["value"].as_u64().expect("a value");
        assert!((last + 1..=value).contains(&told), "{told} after {last}, of {value}");
        last = told;
    }
}

fn position(joined: &Value) -> Value {
    json!({"epoch": joined["epoch"], "offset": joined["offset"]})
}

/// What comes of `join` with what one has: whether that is honoured, and the values.
async fn comes_back(node: &TestApp, since: Option<&Value>) -> (bool, Vec<u64>) {
    let joined = V1::connect(node.address, "/ws/").await.join(TOPIC, since).await;
    let events = joined["events"].as_array().expect("a list");
    (
        joined["recovered"].as_bool().expect("yes or no"),
        events.iter().filter_map(|push| push["event"]["value"].as_u64()).collect(),
    )
}

async fn what_is_done_on_one_node_is_seen_on_the_other_over_one_database(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let nodes = two_nodes(backend, &redis, &postgres).await;
    let mut ann = V1::connect(nodes[0].address, "/ws/").await;
    let mut bob = V1::connect(nodes[1].address, "/ws/").await;
    let begin = position(&ann.join(TOPIC, None).await);
    assert_eq!(begin, json!({"epoch": "presses", "offset": 0}));
    bob.join(TOPIC, None).await;
    assert_eq!(press(&mut ann, 3).await, 3);
    sees(&mut bob, 3).await;
    sees(&mut ann, 3).await;
    assert_eq!(press(&mut bob, 7).await, 10);
    sees(&mut ann, 10).await;
    let now = position(&ann.join(TOPIC, None).await);
    assert_eq!(now["offset"], 10);
    for node in &nodes {
        assert_eq!(comes_back(node, Some(&begin)).await, (true, vec![10]), "the newest, and not those between");
        assert_eq!(comes_back(node, Some(&now)).await, (true, vec![]));
        assert_eq!(comes_back(node, None).await, (false, vec![10]));
        for void in [json!({"epoch": "presses", "offset": 11}), json!({"epoch": "others", "offset": 1})] {
            assert_eq!(comes_back(node, Some(&void)).await, (false, vec![10]));
        }
    }
}

#[tokio::test]
async fn what_is_done_on_one_node_is_seen_on_the_other_beside_a_database_each() {
    let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).expect("a layer"));
    let node = async || TestApp::begin(Some(Arc::clone(&layer)), NOUNS, |_| {}).await;
    let nodes = [node().await, node().await];
    let mut ann = V1::connect(nodes[0].address, "/ws/").await;
    let mut bob = V1::connect(nodes[1].address, "/ws/").await;
    let begin = position(&ann.join(TOPIC, None).await);
    bob.join(TOPIC, None).await;
    assert_eq!(press(&mut ann, 5).await, 5);
    sees(&mut bob, 5).await;
    assert_eq!(comes_back(&nodes[0], Some(&begin)).await, (true, vec![5]));
}

async fn who_is_barred_loses_the_counter_on_all_nodes(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let nodes = two_nodes(backend, &redis, &postgres).await;
    let mut ann = V1::connect(nodes[0].address, "/ws/").await;
    ann.join(TOPIC, None).await;
    let mut tabs = [
        V1::with(nodes[0].address, "/ws/", &[("cookie", BOB)]).await,
        V1::with(nodes[1].address, "/ws/", &[("cookie", BOB)]).await,
    ];
    for tab in &mut tabs {
        tab.join(TOPIC, None).await;
        tab.join("room/s-a", None).await;
    }
    let bob = tabs[0].welcome["you"]["id"].clone();
    ann.ok(json!({"bar": {"topic": TOPIC, "person": bob}})).await;
    let left = json!({"type": "left", "code": "forbidden", "message": format!("{TOPIC} is not open to you any more")});
    for tab in &mut tabs {
        assert_eq!(tab.push().await, json!({"topic": TOPIC, "event": left}));
    }
    assert_eq!(press(&mut ann, 1).await, 1);
    sees(&mut ann, 1).await;
    for tab in &mut tabs {
        assert_eq!(tab.error(json!({"press": {"topic": TOPIC}})).await["code"], "not_joined");
        let refused = tab.error(json!({"join": {"topic": TOPIC}})).await;
        assert_eq!((&refused["code"], &refused["message"]), (&json!("forbidden"), &json!("this counter is not open to you")));
        tab.post("room/s-a", "k", "what else is open stays so").await;
    }
    assert_eq!(comes_back(&nodes[1], None).await, (false, vec![1]), "it was pressed once");
}

/// What a plain client's handshake is answered.
async fn status_of(node: &TestApp, path: &str, cookie: &str) -> u16 {
    match connect(node.address, path, &[("cookie", cookie)]).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("no answer: {error}"),
    }
}

/// Waits until a plain client is told of this value, as the text that it is.
async fn reads(client: &mut Plain, value: u64) {
    let mut last = 0;
    while last < value {
        let told = client.text().await.parse().expect("a number");
        assert!((last + 1..=value).contains(&told), "{told} after {last}, of {value}");
        last = told;
    }
}

async fn a_plain_client_is_sent_the_newest_value_and_then_each_and_presses_by_what_it_says(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let nodes = two_nodes(backend, &redis, &postgres).await;
    let mut ann = V1::connect(nodes[0].address, "/ws/counter/a.b").await;
    let joined = ann.welcome["joined"].clone();
    assert_eq!((&joined["topic"], &joined["offset"]), (&json!(TOPIC), &json!(0)));
    assert_eq!(press(&mut ann, 2).await, 2);
    let mut bob = Plain::with(nodes[1].address, "/ws/counter/a.b/", &[("cookie", BOB)]).await;
    assert_eq!(bob.text().await, "2", "what there is");
    assert_eq!(press(&mut ann, 1).await, 3);
    reads(&mut bob, 3).await;
    bob.say("+1").await;
    reads(&mut bob, 4).await;
    sees(&mut ann, 4).await;
    let person = V1::with(nodes[0].address, "/ws/", &[("cookie", BOB)]).await.welcome["you"]["id"].clone();
    ann.ok(json!({"bar": {"topic": TOPIC, "person": person}})).await;
    assert_eq!(bob.closed().await.0, 4502);
    for (path, cookie, status) in
        [("/ws/counter/a.b", BOB, 403), ("/ws/abacus/a", ANN, 400), ("/ws/counter/%20", ANN, 404), ("/ws/room/s-a", ANN, 101)]
    {
        assert_eq!(status_of(&nodes[1], path, cookie).await, status, "{path}");
    }
}

async fn what_is_taken_from_everybody_ends_for_all_on_all_nodes(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let nodes = two_nodes(backend, &redis, &postgres).await;
    let (mut tabs, mut plain) = (Vec::new(), Vec::new());
    for node in &nodes {
        for cookie in [ANN, BOB] {
            let mut tab = V1::with(node.address, "/ws/", &[("cookie", cookie)]).await;
            tab.join(TOPIC, None).await;
            tab.join("counter/other", None).await;
            tabs.push(tab);
            let mut client = Plain::with(node.address, "/ws/counter/a.b", &[("cookie", cookie)]).await;
            assert_eq!(client.text().await, "0", "it is a member");
            plain.push(client);
        }
    }
    tabs[0].ok(json!({"bar": {"topic": TOPIC, "person": "*"}})).await;
    let left = json!({"type": "left", "code": "forbidden", "message": format!("{TOPIC} is not open to you any more")});
    for tab in &mut tabs {
        assert_eq!(tab.push().await, json!({"topic": TOPIC, "event": left}));
    }
    for tab in &mut tabs {
        assert_eq!(tab.error(json!({"press": {"topic": TOPIC}})).await["code"], "not_joined");
        assert!(tab.ok(json!({"press": {"topic": "counter/other"}})).await["offset"].is_number(), "what else is open stays so");
    }
    for client in &mut plain {
        assert_eq!(client.closed().await, (4502, "this is not open to you any more".to_owned()));
    }
}

#[tokio::test]
async fn the_commands_and_topics_of_a_noun_are_named_and_read_like_all_others() {
    let node = TestApp::begin(None, NOUNS, |_| {}).await;
    let mut ann = V1::connect(node.address, "/room/a/").await;
    for (command, code, message) in [
        (
            json!({"dance": {}}),
            "unknown_command",
            "there is no command `dance`; there are join, leave, send, edit, delete, react, typing, read, ping, press, bar and authorize",
        ),
        (json!({"join": {"topic": "abacus/a"}}), "bad_request", "a topic is room/{group}, lobby, me or counter/{name}"),
        (json!({"press": {"topic": TOPIC}}), "not_joined", "join counter/a.b first"),
        (json!({"press": {"topic": "room/a"}}), "bad_request", "nothing can be sent to room/a"),
        (json!({"press": {}}), "bad_request", "press: missing field `topic`"),
    ] {
        let error = ann.error(command.clone()).await;
        // Where in the text it is stands after it.
        let found = error["message"].as_str().expect("words").split(" at line").next();
        assert_eq!((&error["code"], found), (&json!(code), Some(message)), "{command}");
    }
    ann.join(TOPIC, None).await;
    let error = ann.error(json!({"send": {"topic": TOPIC, "key": "k", "text": "x"}})).await;
    assert_eq!(error["message"], "nothing can be sent to counter/a.b");
    assert_eq!(ann.error(json!({"typing": {"topic": TOPIC}})).await["code"], "bad_request");
}
