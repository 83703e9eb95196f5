//! What Redis loses or refuses while the connection to it is well: another program empties the database, a key is evicted, the
//! memory is full. Who is on a node has what was said there all the same, once and in order.

use confab::server::settings::Backend;
use serde_json::{Value, json};

use crate::{
    app::{Program, TestApp},
    clients::{Plain, V1},
    cluster::{in_trouble, node, plain_member, ready, two_nodes, v1_member},
    crossing::members_are,
    support::{
        peer::{self, Options, Peer},
        redis::Redis,
    },
};

on_each_backend! {
    who_is_on_the_node_hears_what_is_said_there_after_redis_was_emptied,
    a_redis_that_is_emptied_again_and_again_while_people_talk_costs_them_nothing,
    who_comes_after_redis_was_emptied_hears_what_is_said,
    both_nodes_are_in_their_groups_again_after_redis_was_emptied,
    an_evicted_group_is_told_of_again,
    programs_in_python_hear_each_message_once_after_redis_was_emptied,
    what_is_kept_is_heard_on_its_node_while_redis_is_full,
}

/// Rooms of each kind: in the store, in the memory, and nowhere.
const ROOMS: [&str; 3] = ["s-a", "m-a", "n-a"];

async fn empty(redis: &Redis) {
    redis.cli::<()>(&["FLUSHDB"]).await;
}

/// Two who talk in a room, and one who listens plainly.
struct Talk {
    room: &'static str,
    said: usize,
    one: V1,
    other: V1,
    plain: Plain,
}

impl Talk {
    async fn open(app: &TestApp, room: &'static str) -> Self {
        let plain = plain_member(app, room, "here").await;
        Self { room, said: 0, one: v1_member(app, room).await, other: v1_member(app, room).await, plain }
    }

    /// Both say something, and all three hear it next.
    async fn goes_on(&mut self) {
        let topic = format!("room/{}", self.room);
        let texts = [0, 1].map(|n| format!("{} {}", self.room, self.said + n));
        self.one.post(&topic, &format!("k{}", self.said), &texts[0]).await;
        self.other.post(&topic, &format!("k{}", self.said + 1), &texts[1]).await;
        self.said += 2;
        for text in &texts {
            for v1 in [&mut self.one, &mut self.other] {
                assert_eq!(v1.push().await["event"]["text"], **text);
            }
            assert_eq!(self.plain.text().await, *text);
        }
    }
}

async fn who_is_on_the_node_hears_what_is_said_there_after_redis_was_emptied(backend: Backend) {
    let redis = Redis::start().await;
    let app = node(backend, &redis).await;
    let mut talks = Vec::new();
    for room in ROOMS {
        talks.push(Talk::open(&app, room).await);
    }
    for _ in 0..3 {
        empty(&redis).await;
        for talk in &mut talks {
            talk.goes_on().await;
        }
    }
    for talk in &mut talks {
        // What came twice would have come before this.
        talk.goes_on().await;
        assert_eq!(talk.one.pushes_so_far().await, [] as [Value; 0]);
        members_are(&redis, backend, talk.room, 1).await;
    }
    ready(&app).await;
}

/// In the midst of it too: what is in a queue in Redis at that moment is lost with it.
async fn a_redis_that_is_emptied_again_and_again_while_people_talk_costs_them_nothing(backend: Backend) {
    const SAID: usize = 300;
    let redis = Redis::start().await;
    let app = node(backend, &redis).await;
    for room in ROOMS {
        let (mut one, mut other) = (v1_member(&app, room).await, v1_member(&app, room).await);
        let mut plain = plain_member(&app, room, "here").await;
        for v1 in [&mut one, &mut other] {
            assert_eq!(v1.push().await["event"]["text"], "here");
        }
        let topic = format!("room/{room}");
        let talking = async {
            // Many at a time, so that some are on their way at any moment.
            for first in (0..SAID).step_by(10) {
                for n in first..first + 10 {
                    let send = json!({"topic": topic, "key": format!("k{n}"), "text": n.to_string()});
                    one.say(&json!({"id": n, "send": send}).to_string()).await;
                }
                for n in first..first + 10 {
                    let answer = one.answer(json!(n)).await.expect("an answer");
                    assert!(answer.get("ok").is_some(), "{answer}");
                }
            }
        };
        let emptying = async {
            loop {
                empty(&redis).await;
            }
        };
        tokio::select! {
            () = talking => {}
            () = emptying => {}
        }
        for n in 0..SAID {
            assert_eq!(plain.text().await, n.to_string());
            assert_eq!(other.push().await["event"]["text"], n.to_string());
            assert_eq!(one.push().await["event"]["text"], n.to_string());
        }
        assert_eq!(other.pushes_so_far().await, [] as [Value; 0]);
    }
}

async fn who_comes_after_redis_was_emptied_hears_what_is_said(backend: Backend) {
    let redis = Redis::start().await;
    let app = node(backend, &redis).await;
    for room in ROOMS {
        let mut talk = Talk::open(&app, room).await;
        empty(&redis).await;
        let mut late = v1_member(&app, room).await;
        talk.goes_on().await;
        for n in 0..2 {
            assert_eq!(late.push().await["event"]["text"], format!("{room} {n}"));
        }
    }
}

async fn both_nodes_are_in_their_groups_again_after_redis_was_emptied(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    for room in ["s-a", "n-a"] {
        let topic = format!("room/{room}");
        let (mut on_a, mut on_b) = (v1_member(&a, room).await, v1_member(&b, room).await);
        empty(&redis).await;
        if backend == Backend::RedisCore {
            for app in [&a, &b] {
                let said = in_trouble(app).await;
                assert!(said.contains("has forgotten") && said.contains(&format!("127.0.0.1:{}", redis.port())), "{said}");
            }
        }
        ready(&a).await;
        ready(&b).await;
        members_are(&redis, backend, room, 2).await;
        on_a.post(&topic, "a", "from a").await;
        on_b.post(&topic, "b", "from b").await;
        for v1 in [&mut on_a, &mut on_b] {
            let mut heard = [v1.push().await, v1.push().await].map(|push| push["event"]["text"].clone());
            heard.sort_by_key(ToString::to_string);
            assert_eq!(heard, ["from a", "from b"]);
        }
    }
}

async fn an_evicted_group_is_told_of_again(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    for room in ["s-a", "n-a"] {
        let mut talk = Talk::open(&a, room).await;
        let mut there = v1_member(&b, room).await;
        redis.cli::<()>(&["DEL", &format!("asgi:group:{room}")]).await;
        // Before anything is found out.
        talk.goes_on().await;
        members_are(&redis, backend, room, 2).await;
        // The other node may have heard what was said meanwhile, or not.
        let before = there.pushes_so_far().await.len();
        assert!(before <= 2);
        there.post(&format!("room/{room}"), "k", "from the other node").await;
        assert_eq!(talk.one.push().await["event"]["text"], "from the other node");
        assert_eq!(talk.plain.text().await, "from the other node");
        ready(&a).await;
        ready(&b).await;
    }
}

async fn programs_in_python_hear_each_message_once_after_redis_was_emptied(backend: Backend) {
    let redis = Redis::start().await;
    let app = node(backend, &redis).await;
    let of_peer = match backend {
        Backend::RedisCore => peer::Backend::Core,
        _ => peer::Backend::PubSub,
    };
    let peer = Peer::start(&Options::new(of_peer, [redis.url()])).await;
    for room in ["s-a", "n-a"] {
        let mut talk = Talk::open(&app, room).await;
        let mut listener = peer.listen(peer.new_channel().await).await;
        for round in 0..3 {
            empty(&redis).await;
            // A consumer is in a group again when it adds itself again.
            peer.group_add(room, listener.channel()).await;
            talk.goes_on().await;
            for n in 0..2 {
                let text = format!("{room} {}", 2 * round + n);
                assert_eq!(listener.next().await.get_str("message"), Some(&*text));
            }
            members_are(&redis, backend, room, 2).await;
            let text = format!("from Python {round}");
            let event = confab::server::layers::Event::new("chat.message").with("message", &*text);
            peer.group_send(room, &[event]).await;
            assert_eq!(listener.next().await.get_str("message"), Some(&*text));
            assert_eq!(talk.one.push().await["event"]["message"], *text);
            assert_eq!(talk.other.push().await["event"]["message"], *text);
            assert_eq!(talk.plain.text().await, *text);
        }
        peer.group_discard(room, listener.channel()).await;
    }
    assert_eq!(peer.troubles(), [] as [String; 0]);
}

async fn what_is_kept_is_heard_on_its_node_while_redis_is_full(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let mut talks = Vec::new();
    for room in ["s-a", "m-a"] {
        talks.push(Talk::open(&a, room).await);
    }
    let mut passing = v1_member(&a, "n-a").await;
    let mut there = v1_member(&b, "n-a").await;
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    if backend == Backend::RedisCore {
        let said = in_trouble(&a).await;
        assert!(said.contains("takes nothing new") && said.contains("OOM"), "{said}");
    }
    let text = "heard or refused";
    let answer = passing.ask(json!({"send": {"topic": "room/n-a", "key": "k1", "text": text}})).await;
    if answer.get("ok").is_some() {
        for v1 in [&mut passing, &mut there] {
            assert_eq!(v1.push().await["event"]["text"], text);
        }
    } else {
        assert_eq!(answer["error"]["code"], "unavailable");
    }
    for talk in &mut talks {
        talk.goes_on().await;
        let mut late = v1_member(&a, talk.room).await;
        talk.goes_on().await;
        for n in 2..4 {
            assert_eq!(late.push().await["event"]["text"], format!("{} {n}", talk.room));
        }
    }
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    ready(&a).await;
    ready(&b).await;
    for talk in &mut talks {
        talk.goes_on().await;
    }
    passing.ok(json!({"send": {"topic": "room/n-a", "key": "k2", "text": "heard"}})).await;
    for v1 in [&mut passing, &mut there] {
        assert_eq!(v1.push().await["event"]["text"], "heard");
    }
}

/// An operator reads in the log what happened, and what may be the cause.
#[tokio::test]
async fn the_log_says_that_redis_has_forgotten_the_groups_of_a_node() {
    let redis = Redis::start().await;
    let data = tempfile::tempdir().expect("a folder");
    let settings = format!("[channel_layers.default]\nbackend = \"{}\"\nhosts = [\"{}\"]\n", Backend::RedisCore, redis.url());
    std::fs::write(data.path().join("Leptos.toml"), settings).expect("a file");
    let program = Program::start(data.path()).await;
    let _member = V1::connect(program.address, "/room/s-a/").await;
    members_are(&redis, Backend::RedisCore, "s-a", 1).await;
    // When it is told the second time the first is in the log.
    for _ in 0..2 {
        empty(&redis).await;
        members_are(&redis, Backend::RedisCore, "s-a", 1).await;
    }
    let log = program.into_log();
    let said: Vec<_> = log.lines().filter(|line| line.contains("Redis has forgotten which groups this node is in")).collect();
    assert!(!said.is_empty(), "{log}");
    for line in said {
        assert!(line.contains("WARN") && line.contains("forgotten=") && line.contains("are keys evicted?"), "{line}");
        assert!(line.contains("host="), "it says which: {line}");
    }
}
