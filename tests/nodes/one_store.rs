//! Nodes that share a store, while Redis or the database fails, or where there is no Redis: a [`Crowd`] has everything that was
//! acknowledged, on both nodes, and nobody has to connect again.
//!
//! The nodes ask the store every second which rooms have moved on. So what is said on one node is heard on the other without the
//! channel layer too, which [`Quiet`] shows: in a room where nobody else speaks, no later message tells of one that is missing.

use confab::server::settings::{Backend, RedisHost};
use serde_json::json;

use crate::{
    app::{Http as _, TestApp, offset},
    clients::V1,
    cluster::{host, in_trouble, node_on, ready, v1_member},
    crowd::Crowd,
    faults::{PASSWORD, both_in_trouble, master_of, receiving},
    support::{
        postgres::Postgres,
        redis::{Config, Redis, Sentinels},
    },
    within,
};

on_each_backend! {
    redis_is_killed_and_comes_back,
    redis_stands_still_for_longer_than_a_layer_waits,
    the_connections_to_redis_are_cut,
    sentinels_make_another_server_master,
    the_database_is_killed_and_comes_back,
    the_list_of_rooms_goes_on_without_redis,
}

/// A member on each node in a room where nobody else is.
struct Quiet {
    members: [V1; 2],
    said: u64,
}

impl Quiet {
    const TOPIC: &str = "room/s-quiet";

    async fn open(nodes: [&TestApp; 2]) -> Self {
        let [a, b] = nodes;
        Self { members: [v1_member(a, "s-quiet").await, v1_member(b, "s-quiet").await], said: 0 }
    }

    /// First one says something, which both hear, then the other.
    async fn crosses(&mut self) {
        for speaker in 0..2 {
            self.said += 1;
            let text = format!("word {}", self.said);
            assert_eq!(self.members[speaker].post(Self::TOPIC, &text.replace(' ', "-"), &text).await, self.said);
            for member in &mut self.members {
                let push = member.push().await;
                assert_eq!((offset(&push), &push["event"]["text"]), (self.said, &json!(text)));
            }
        }
    }
}

/// Two nodes with all that talks on them.
struct Scene {
    nodes: [TestApp; 2],
    crowd: Crowd,
    quiet: Quiet,
}

impl Scene {
    async fn open(backend: Backend, layer: RedisHost, database: &str) -> Self {
        let (a, b) = (node_on(backend, layer.clone(), database).await, node_on(backend, layer, database).await);
        let crowd = Crowd::start([a.address, b.address]).await;
        let quiet = Quiet::open([&a, &b]).await;
        Self { nodes: [a, b], crowd, quiet }
    }

    /// Everybody hears what is said on either node.
    async fn goes_on(&mut self) {
        self.crowd.goes_on().await;
        self.quiet.crosses().await;
    }

    async fn redis_in_trouble(&self, port: u16) {
        both_in_trouble(self.nodes.each_ref(), port).await;
    }

    /// Both say that the database is in trouble.
    async fn database_in_trouble(&self) {
        for app in &self.nodes {
            let said = in_trouble(app).await;
            assert!(said.starts_with("the store cannot be "), "{said}");
        }
    }

    /// When all is well again.
    async fn ends(mut self) {
        self.goes_on().await;
        let [a, b] = &self.nodes;
        ready(a).await;
        ready(b).await;
        self.crowd.audit((a, b)).await;
    }

    /// The same where the database was well all the time: then nobody is refused.
    async fn ends_unrefused(mut self) {
        self.goes_on().await;
        self.crowd.assert_never_refused();
        self.ends().await;
    }
}

async fn redis_is_killed_and_comes_back(backend: Backend) {
    let mut redis = Redis::with(Config { password: Some(PASSWORD), ..Config::default() }).await;
    let postgres = Postgres::shared().await;
    let mut scene = Scene::open(backend, host(&redis), &postgres.database().await).await;
    for _ in 0..2 {
        redis.kill();
        scene.redis_in_trouble(redis.port()).await;
        scene.goes_on().await;
        redis.restart().await;
        scene.goes_on().await;
    }
    // Away so shortly that nobody may notice more than the end of a connection.
    redis.restart().await;
    scene.ends_unrefused().await;
}

async fn redis_stands_still_for_longer_than_a_layer_waits(backend: Backend) {
    // A word of the quiet room waits on the other node for the store to be asked, and the answer to it for the first node's turn:
    // there and back takes at least the second between two questions. A layer waits no longer for anything than ten seconds
    // (three for an answer, five before a silent connection is tried). In one of the two forms it is half a minute.
    let there_and_back = match backend {
        Backend::RedisPubSub => 30,
        _ => 12,
    };
    let redis = Redis::with(Config { password: Some(PASSWORD), ..Config::default() }).await;
    let postgres = Postgres::shared().await;
    let mut scene = Scene::open(backend, host(&redis), &postgres.database().await).await;
    redis.pause();
    scene.redis_in_trouble(redis.port()).await;
    scene.crowd.goes_on().await;
    for _ in 0..there_and_back {
        scene.quiet.crosses().await;
    }
    scene.crowd.goes_on().await;
    // What nodes have sent while nobody read it is carried out now.
    redis.resume();
    scene.ends_unrefused().await;
}

async fn the_connections_to_redis_are_cut(backend: Backend) {
    let redis = Redis::start().await;
    let postgres = Postgres::shared().await;
    let mut scene = Scene::open(backend, host(&redis), &postgres.database().await).await;
    for _ in 0..3 {
        let both_receive = async { while receiving(&redis, backend).await.len() < 2 {} };
        within("both nodes, to receive", both_receive).await;
        assert!(redis.close_connections("normal").await + redis.close_connections("pubsub").await >= 2);
        scene.goes_on().await;
    }
    scene.ends_unrefused().await;
}

async fn sentinels_make_another_server_master(backend: Backend) {
    let mut sentinels = Sentinels::with(1, Config { password: Some(PASSWORD), ..Config::default() }).await;
    let postgres = Postgres::shared().await;
    let mut scene = Scene::open(backend, master_of(&sentinels), &postgres.database().await).await;
    sentinels.fail_over().await;
    scene.goes_on().await;
    scene.ends_unrefused().await;
}

async fn the_database_is_killed_and_comes_back(backend: Backend) {
    let redis = Redis::start().await;
    let mut postgres = Postgres::start().await;
    let mut scene = Scene::open(backend, host(&redis), &postgres.database().await).await;
    postgres.kill();
    scene.database_in_trouble().await;
    scene.crowd.is_refused().await;
    postgres.restart().await;
    scene.goes_on().await;
    // Away so shortly that those who speak then only wait. What was on its way may be committed or not.
    for _ in 0..3 {
        postgres.restart().await;
        scene.goes_on().await;
    }
    scene.ends().await;
}

#[tokio::test]
async fn the_database_stands_still_for_a_while() {
    let redis = Redis::start().await;
    let postgres = Postgres::start().await;
    let mut scene = Scene::open(Backend::RedisPubSub, host(&redis), &postgres.database().await).await;
    postgres.pause();
    scene.crowd.is_refused().await;
    scene.database_in_trouble().await;
    // What was refused and had been sent to it may be committed now.
    postgres.resume();
    scene.goes_on().await;
    scene.ends().await;
}

#[tokio::test]
async fn redis_and_the_database_fail_together() {
    let mut redis = Redis::start().await;
    let mut postgres = Postgres::start().await;
    let mut scene = Scene::open(Backend::RedisCore, host(&redis), &postgres.database().await).await;
    redis.kill();
    postgres.kill();
    scene.crowd.is_refused().await;
    postgres.restart().await;
    scene.goes_on().await;
    redis.restart().await;
    scene.ends().await;
}

#[tokio::test]
async fn nodes_without_a_common_layer_hear_each_other_by_the_store() {
    let postgres = Postgres::shared().await;
    let mut scene = Scene::open(Backend::Memory, RedisHost::local(), &postgres.database().await).await;
    for _ in 0..3 {
        scene.goes_on().await;
    }
    scene.ends_unrefused().await;
}

async fn the_list_of_rooms_goes_on_without_redis(backend: Backend) {
    let mut redis = Redis::with(Config { password: Some(PASSWORD), ..Config::default() }).await;
    let postgres = Postgres::shared().await;
    let database = postgres.database().await;
    let (a, b) = (node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await);
    let mut watcher = V1::connect(b.address, "/ws/").await;
    assert_eq!(watcher.join("lobby", None).await["rooms"], json!([]));
    redis.kill();
    both_in_trouble([&a, &b], redis.port()).await;
    let mut author = v1_member(&a, "s-new").await;
    author.post("room/s-new", "k1", "without Redis").await;
    assert_news(&watcher.push().await, 1, "without Redis");
    assert!(b.get("/").await.text().await.expect("a page").contains("without Redis"));

    redis.restart().await;
    ready(&a).await;
    ready(&b).await;
    author.post("room/s-new", "k2", "with Redis").await;
    // The list is sent whole when Redis is back.
    let mut push = watcher.push().await;
    while offset(&push["event"]["latest"]) == 1 {
        assert_news(&push, 1, "without Redis");
        push = watcher.push().await;
    }
    assert_news(&push, 2, "with Redis");
}

#[tokio::test]
async fn the_list_of_rooms_is_level_without_a_common_layer() {
    let postgres = Postgres::shared().await;
    let database = postgres.database().await;
    let node = || node_on(Backend::Memory, RedisHost::local(), &database);
    let (a, b) = (node().await, node().await);
    let mut watcher = V1::connect(b.address, "/ws/").await;
    assert_eq!(watcher.join("lobby", None).await["rooms"], json!([]));
    let mut author = v1_member(&a, "s-new").await;
    for (place, text) in [(1, "here"), (2, "and here")] {
        author.post("room/s-new", &format!("k{place}"), text).await;
        assert_news(&watcher.push().await, place, text);
    }
}

#[tokio::test]
async fn what_becomes_of_a_latest_message_is_in_the_list_without_a_common_layer() {
    let postgres = Postgres::shared().await;
    let database = postgres.database().await;
    let node = || node_on(Backend::Memory, RedisHost::local(), &database);
    let (a, b) = (node().await, node().await);
    let mut watcher = V1::connect(b.address, "/ws/").await;
    watcher.join("lobby", None).await;
    let mut author = v1_member(&a, "s-new").await;
    author.post("room/s-new", "k1", "said").await;
    let said = watcher.push().await;
    assert_news(&said, 1, "said");
    let message = &said["event"]["latest"]["id"];
    for text in ["edited", "edited once more"] {
        author.ok(json!({"edit": {"topic": "room/s-new", "message": message, "text": text}})).await;
        assert_news(&watcher.push().await, 1, text);
    }
    author.ok(json!({"delete": {"topic": "room/s-new", "message": message}})).await;
    let deleted = watcher.push().await;
    assert_news(&deleted, 1, "");
    assert_eq!(deleted["event"]["latest"]["deleted"], json!(true));
}

/// It says what was said last in the room `s-new`.
fn assert_news(push: &serde_json::Value, place: u64, text: &str) {
    let event = &push["event"];
    assert_eq!((&push["topic"], &event["type"], &event["group"]), (&json!("lobby"), &json!("room"), &json!("s-new")));
    assert_eq!((offset(&event["latest"]), &event["latest"]["text"]), (place, &json!(text)));
}
