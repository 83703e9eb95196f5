//! Who is there, over two nodes: people who wander between them, nodes that stop or die, and Redis away.
//!
//! Servers promise times that no test waits for. What is about them runs on the module itself, over real Redis, with shorter ones;
//! they say only when something happens at the earliest or at the latest, so a slow machine makes a test slow and not wrong.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

use confab::{
    server::{
        layers::{
            ChannelLayer, Event as LayerEvent, Sink,
            redis::{Host, RedisCoreLayer, RedisOptions, RedisPubSubLayer},
        },
        presence::{Attendance, Audience, Presence, Times},
        settings::Backend,
    },
    wire::{Event, Group, Person},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    app::{Http as _, TestApp, browser},
    clients::V1,
    cluster::two_nodes,
    support::redis::Redis,
    within,
};

on_each_backend! {
    people_are_seen_on_both_nodes_and_wander_without_an_event,
    writing_is_seen_on_both_nodes,
    a_new_name_reaches_the_tabs_on_both_nodes,
    who_has_gone_is_gone_on_both_nodes,
    a_node_that_stops_takes_its_people_with_it_after_a_while,
    a_node_that_dies_takes_its_people_with_it,
    nodes_are_level_again_when_redis_is_back,
    a_node_that_comes_later_learns_of_everybody,
}

async fn open(app: &TestApp, path: &str, (digit, name): (char, &str)) -> V1 {
    let cookies = format!("confab_guest={}; confab_name={name}", digit.to_string().repeat(32));
    V1::with(app.address, path, &[("cookie", &cookies)]).await
}

const ANN: (char, &str) = ('a', "Ann");
const BOB: (char, &str) = ('b', "Bob");
const CLEO: (char, &str) = ('c', "Cleo");

fn joined(v1: &V1, count: u64) -> Value {
    json!({"type": "presence", "count": count, "joined": [v1.welcome["you"]], "left": []})
}

async fn people_are_seen_on_both_nodes_and_wander_without_an_event(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let mut bob = open(&b, "/room/s-a/", BOB).await;
    assert_eq!(bob.change().await["event"], joined(&bob, 1));
    let mut ann = open(&a, "/room/s-a/", ANN).await;
    assert_eq!(bob.change().await["event"], joined(&ann, 2));
    ann.sees("room/s-a", 2).await;
    // Another tab, then only that one, then a reload; where that takes longer than one may be away, it is none.
    let away = std::time::Instant::now();
    let tab = open(&b, "/room/s-a/", ANN).await;
    b.has_members(2).await;
    drop(ann);
    a.has_members(0).await;
    drop(tab);
    b.has_members(1).await;
    let mut ann = open(&a, "/room/s-a/", ANN).await;
    assert_eq!(ann.join("room/s-a", None).await["members"]["count"], 2);
    let in_time = away.elapsed() < Times::default().grace;
    let cleo = open(&a, "/room/s-a/", CLEO).await;
    if in_time {
        assert_eq!(bob.change().await["event"], joined(&cleo, 3));
    } else {
        bob.sees("room/s-a", 3).await;
    }
    let page = b.get("/metrics").await.text().await.expect("a body");
    assert!(page.lines().any(|line| line == "confab_people 3") && page.lines().any(|line| line == "confab_nodes 2"));
}

async fn writing_is_seen_on_both_nodes(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let mut ann = open(&a, "/room/n-a/", ANN).await;
    let mut bob = open(&b, "/room/n-a/", BOB).await;
    // Then they know of each other, and so do their nodes.
    bob.sees("room/n-a", 2).await;
    ann.sees("room/n-a", 2).await;
    ann.ok(json!({"typing": {"topic": "room/n-a"}})).await;
    let push = json!({"topic": "room/n-a", "event": {"type": "typing", "from": ann.welcome["you"]}});
    assert_eq!(bob.push().await, push);
    assert_eq!(ann.push().await, push);
}

async fn a_new_name_reaches_the_tabs_on_both_nodes(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let (mut here, mut there) = (open(&a, "/ws/", ANN).await, open(&b, "/ws/", ANN).await);
    for tab in [&mut here, &mut there] {
        tab.join("me", None).await;
    }
    let cookies = format!("confab_guest={}; confab_name=Ann", "a".repeat(32));
    let form = browser().post(b.url("/me")).header("cookie", cookies).form(&[("name", "Anna")]);
    assert_eq!(form.send().await.expect("an answer").status(), 303);
    for tab in [&mut here, &mut there] {
        let event = within("the new name", tab.push()).await["event"].clone();
        assert_eq!(event, json!({"type": "renamed", "name": "Anna"}));
    }
}

async fn who_has_gone_is_gone_on_both_nodes(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let (mut bob, mut cleo) = (open(&b, "/room/s-a/", BOB).await, open(&a, "/room/s-a/", CLEO).await);
    let ann = open(&a, "/room/s-a/", ANN).await;
    for v1 in [&mut bob, &mut cleo] {
        v1.sees("room/s-a", 3).await;
    }
    let left = json!({"type": "presence", "count": 2, "joined": [], "left": [ann.welcome["you"]["id"]]});
    drop(ann);
    for v1 in [&mut bob, &mut cleo] {
        assert_eq!(v1.change().await["event"], left);
    }
}

/// Short, and apart from each other by more than a slow machine may take.
const TIMES: Times = Times {
    batch: Duration::from_millis(20),
    grace: Duration::from_millis(500),
    beat: Duration::from_millis(100),
    silence: Duration::from_secs(5),
    typing: Duration::from_secs(3),
};

/// Members of a room: they hear that something has changed.
struct Ears(mpsc::UnboundedSender<Event>);

impl Audience for Ears {
    fn tell(self: Arc<Self>, event: Event) {
        // The test may have heard enough.
        let _ = self.0.send(event);
    }
}

/// Hands on what arrives, as long as somebody is there to take it.
struct Inbox(Weak<dyn Sink>);

impl Sink for Inbox {
    fn deliver(&self, local: &str, event: &Arc<LayerEvent>) {
        if let Some(sink) = self.0.upgrade() {
            sink.deliver(local, event);
        }
    }

    fn gap(&self) {
        if let Some(sink) = self.0.upgrade() {
            sink.gap();
        }
    }
}

/// A node with a room in which people are, and nothing else.
struct Node {
    presence: Arc<Presence>,
    ears: Arc<dyn Audience>,
    told: mpsc::UnboundedReceiver<Event>,
    people: Vec<Attendance>,
}

impl Node {
    fn start(backend: Backend, redis: &Redis) -> Self {
        let options = RedisOptions { hosts: vec![Host::Url(redis.url())], ..RedisOptions::default() };
        let layer: Arc<dyn ChannelLayer> = match backend {
            Backend::RedisPubSub => RedisPubSubLayer::start(options).expect("a layer"),
            _ => RedisCoreLayer::start(options).expect("a layer"),
        };
        let (tell, told) = mpsc::unbounded_channel();
        let attach = |sink| layer.attach(Arc::new(Inbox(sink))).expect("a sink").with_local("p").expect("a channel");
        let presence = Presence::start(Arc::clone(&layer), TIMES, Arc::default(), attach);
        Self { presence, ears: Arc::new(Ears(tell)), told, people: Vec::new() }
    }

    fn enter(&mut self, id: &str) {
        let person = Person::new(id, id.to_uppercase());
        self.people.push(self.presence.enter(&room(), &person, Arc::downgrade(&self.ears)));
    }

    fn ids(&self) -> BTreeSet<String> {
        self.presence.members(&room()).people.into_iter().map(|person| person.id).collect()
    }

    /// Waits until these are there.
    async fn sees(&mut self, ids: &[&str]) {
        let ids: BTreeSet<_> = ids.iter().map(|id| (*id).to_owned()).collect();
        let seen = async {
            while self.ids() != ids {
                self.told.recv().await.expect("its own audience");
            }
        };
        within(&format!("{ids:?}"), seen).await;
    }
}

fn room() -> Group {
    "a".parse().expect("a name")
}

/// Two nodes, each with somebody, that know of each other.
async fn level(backend: Backend, redis: &Redis) -> (Node, Node) {
    let (mut one, mut other) = (Node::start(backend, redis), Node::start(backend, redis));
    one.enter("ann");
    other.enter("bob");
    one.sees(&["ann", "bob"]).await;
    other.sees(&["ann", "bob"]).await;
    (one, other)
}

async fn a_node_that_stops_takes_its_people_with_it_after_a_while(backend: Backend) {
    let redis = Redis::start().await;
    let (stops, mut stays) = level(backend, &redis).await;
    let began = std::time::Instant::now();
    stops.presence.leave().await;
    drop(stops);
    stays.sees(&["bob"]).await;
    assert!(began.elapsed() >= TIMES.grace);
}

async fn a_node_that_dies_takes_its_people_with_it(backend: Backend) {
    let redis = Redis::start().await;
    let (dies, mut stays) = level(backend, &redis).await;
    // Nothing of it is left that could say so.
    drop(dies);
    stays.sees(&["bob"]).await;
    assert_eq!(stays.presence.headcount().nodes, 1);
}

async fn nodes_are_level_again_when_redis_is_back(backend: Backend) {
    let mut redis = Redis::start().await;
    let (mut one, mut other) = level(backend, &redis).await;
    redis.kill();
    one.enter("cleo");
    other.enter("dan");
    one.sees(&["ann", "cleo"]).await;
    other.sees(&["bob", "dan"]).await;
    redis.restart().await;
    for node in [&mut one, &mut other] {
        node.sees(&["ann", "bob", "cleo", "dan"]).await;
    }
}

async fn a_node_that_comes_later_learns_of_everybody(backend: Backend) {
    let redis = Redis::start().await;
    let (mut one, mut other) = level(backend, &redis).await;
    // More than one letter has room for.
    for n in 0..450 {
        one.enter(&format!("g{n}"));
    }
    let mut late = Node::start(backend, &redis);
    late.enter("late");
    for node in [&mut one, &mut other, &mut late] {
        let all = async {
            while node.presence.members(&room()).count != 453 {
                node.told.recv().await.expect("its own audience");
            }
        };
        within("everybody", all).await;
    }
}
