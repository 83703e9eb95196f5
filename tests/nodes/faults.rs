//! What Redis does to nodes while people talk: it dies and comes back, stands still, cuts a connection, moves to another server.
//! Nobody connects again, and everybody has what was acknowledged on their node.

use confab::server::settings::{Backend, Login, RedisHost, SentinelMaster};
use serde_json::{Value, json};

use crate::{
    app::TestApp,
    clients::{Plain, V1},
    cluster::{host, in_trouble, node, plain_member, ready, settings, two_nodes, v1_member},
    support::{
        peer::{self, Options, Peer},
        redis::{Config, MASTER, Redis, Sentinels},
    },
    traffic::Traffic,
    within,
};

on_each_backend! {
    redis_is_killed_and_comes_back,
    redis_stands_still_for_a_while,
    the_connection_that_receives_is_cut,
    sentinels_make_another_server_master,
    a_node_starts_while_redis_is_away,
}

pub const PASSWORD: &str = "not-to-be-shown";

/// Both say that Redis is in trouble and which one, and not how to log in there.
pub async fn both_in_trouble(nodes: [&TestApp; 2], port: u16) {
    for app in nodes {
        let said = in_trouble(app).await;
        assert!(said.starts_with("the channel layer is in trouble: ") && !said.contains(PASSWORD), "{said}");
        assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    }
}

/// Members of a room without history: one of each kind on a node, and one on another.
struct Passing {
    v1: V1,
    plain: Plain,
    other: V1,
}

impl Passing {
    async fn open(app: &TestApp, other: &TestApp) -> Self {
        let plain = plain_member(app, "n-a", "here").await;
        Self { v1: v1_member(app, "n-a").await, plain, other: v1_member(other, "n-a").await }
    }

    /// While the layer is away.
    async fn assert_refused(&mut self) {
        let error = self.v1.error(json!({"send": {"topic": "room/n-a", "key": "k1", "text": "nobody hears"}})).await;
        let message = "the message cannot be taken now; send it again with the same key";
        assert_eq!(error, json!({"code": "unavailable", "message": message, "retry_after_ms": 1_000}));
        self.plain.say("nobody hears this either").await;
        assert_eq!(self.plain.closed().await.0, 1013);
    }

    /// When it is back.
    async fn assert_heard(mut self) {
        assert_eq!(self.v1.post("room/n-a", "k2", "all hear").await, Value::Null);
        for v1 in [&mut self.v1, &mut self.other] {
            let push = v1.push().await;
            assert_eq!((&push["event"]["text"], push.get("offset")), (&json!("all hear"), None));
        }
    }
}

/// Somebody who enters a room while the layer is away.
struct Late(V1);

impl Late {
    /// Hears what is said on this node.
    async fn join(app: &TestApp) -> Self {
        let mut v1 = v1_member(app, "s-late").await;
        let place = v1.post("room/s-late", "k", "alone").await;
        let push = v1.push().await;
        assert_eq!((&push["offset"], &push["event"]["text"]), (&place, &json!("alone")));
        Self(v1)
    }

    /// When the layer is back, hears what is said on the other node too, once the layer has been told.
    async fn hears(mut self, other: &TestApp) {
        let mut there = v1_member(other, "s-late").await;
        let heard = async {
            for n in 0.. {
                there.post("room/s-late", &format!("k{n}"), "here too").await;
                if let Some(first) = self.0.pushes_so_far().await.first() {
                    return assert_eq!(first["event"]["text"], "here too");
                }
            }
        };
        within("the other node", heard).await;
    }
}

async fn redis_is_killed_and_comes_back(backend: Backend) {
    let mut redis = Redis::with(Config { password: Some(PASSWORD), ..Config::default() }).await;
    let (a, b) = two_nodes(backend, &redis).await;
    let mut passing = Passing::open(&a, &b).await;
    let mut traffic = Traffic::start([&a, &b]).await;
    for first_stands_still in [false, true] {
        if first_stands_still {
            // Who comes now asks for a subscription on a connection that is open and silent.
            redis.pause();
        } else {
            redis.kill();
        }
        both_in_trouble([&a, &b], redis.port()).await;
        traffic.goes_on().await;
        let late = Late::join(&a).await;
        redis.restart().await;
        traffic.crosses().await;
        late.hears(&b).await;
        ready(&a).await;
        ready(&b).await;
    }
    redis.kill();
    both_in_trouble([&a, &b], redis.port()).await;
    passing.assert_refused().await;
    redis.restart().await;
    traffic.crosses().await;
    ready(&a).await;
    ready(&b).await;
    passing.assert_heard().await;
    traffic.audit([&a, &b]).await;
}

async fn redis_stands_still_for_a_while(backend: Backend) {
    let redis = Redis::with(Config { password: Some(PASSWORD), ..Config::default() }).await;
    let (a, b) = two_nodes(backend, &redis).await;
    let mut traffic = Traffic::start([&a, &b]).await;
    redis.pause();
    both_in_trouble([&a, &b], redis.port()).await;
    traffic.goes_on().await;
    let late = Late::join(&a).await;
    redis.resume();
    traffic.crosses().await;
    late.hears(&b).await;
    ready(&a).await;
    ready(&b).await;
    traffic.audit([&a, &b]).await;
}

/// The connections on which nodes receive, by Redis's numbers.
pub async fn receiving(redis: &Redis, backend: Backend) -> Vec<String> {
    let clients: String = redis.cli(&["CLIENT", "LIST"]).await;
    let is_receiving = |client: &&str| match backend {
        Backend::RedisCore => client.contains(" cmd=bzpopmin ") || client.contains(" cmd=zpopmin "),
        _ => !client.contains(" sub=0 "),
    };
    let id = |client: &str| Some(client.strip_prefix("id=")?.split(' ').next()?.to_owned());
    clients.lines().filter(is_receiving).filter_map(id).collect()
}

async fn the_connection_that_receives_is_cut(backend: Backend) {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(backend, &redis).await;
    let mut traffic = Traffic::start([&a, &b]).await;
    for _ in 0..3 {
        let cut = receiving(&redis, backend).await;
        assert_eq!(cut.len(), 2, "{cut:?}");
        for id in &cut {
            assert_eq!(redis.cli::<usize>(&["CLIENT", "KILL", "ID", id]).await, 1);
        }
        let anew = async {
            loop {
                let now = receiving(&redis, backend).await;
                if now.len() == 2 && now.iter().all(|id| !cut.contains(id)) {
                    return;
                }
            }
        };
        within("two connections anew", anew).await;
        traffic.crosses().await;
    }
    ready(&a).await;
    ready(&b).await;
    traffic.audit([&a, &b]).await;
}

/// The server that sentinels call the master, for the settings; its password is [`PASSWORD`].
pub fn master_of(sentinels: &Sentinels) -> RedisHost {
    RedisHost::Master(SentinelMaster {
        sentinels: sentinels.urls().iter().map(|url| url.parse().expect("an address")).collect(),
        master_name: MASTER.to_owned(),
        login: Login { username: None, password: Some(PASSWORD.parse().expect("a password")) },
        db: 0,
        tls: false,
    })
}

async fn sentinels_make_another_server_master(backend: Backend) {
    let mut sentinels = Sentinels::with(1, Config { password: Some(PASSWORD), ..Config::default() }).await;
    let master = master_of(&sentinels);
    let start = || TestApp::with(|all| settings(all, backend, master.clone()));
    let (a, b) = (start().await, start().await);
    ready(&a).await;
    ready(&b).await;
    let mut traffic = Traffic::start([&a, &b]).await;
    sentinels.fail_over().await;
    traffic.crosses().await;
    ready(&a).await;
    ready(&b).await;
    traffic.audit([&a, &b]).await;
}

async fn a_node_starts_while_redis_is_away(backend: Backend) {
    let mut redis = Redis::start().await;
    redis.kill();
    let a = TestApp::with(|all| settings(all, backend, host(&redis))).await;
    let said = in_trouble(&a).await;
    assert!(said.contains(&format!("127.0.0.1:{}", redis.port())), "{said}");
    let (mut one, mut other) = (v1_member(&a, "s-a").await, v1_member(&a, "s-a").await);
    let mut plain = plain_member(&a, "s-a", "plainly").await;
    assert_eq!(one.post("room/s-a", "k", "kept").await, 2);
    for v1 in [&mut one, &mut other] {
        assert_eq!(v1.push().await["offset"], 1);
        assert_eq!(v1.push().await["offset"], 2);
    }
    assert_eq!(plain.text().await, "kept");

    redis.restart().await;
    ready(&a).await;
    let b = node(backend, &redis).await;
    let mut there = v1_member(&b, "s-a").await;
    // The node is told of the groups that have members already, and tells Redis; then it hears what others say.
    let joined_in = async {
        for n in 0.. {
            there.post("room/s-a", &format!("k{n}"), "from the other node").await;
            there.push().await;
            let heard = one.pushes_so_far().await;
            if let Some(first) = heard.first() {
                return assert_eq!(first["event"]["text"], "from the other node");
            }
        }
    };
    within("the other node", joined_in).await;
    assert_eq!(other.push().await["event"]["text"], "from the other node");
    assert_eq!(plain.text().await, "from the other node");
    one.post("room/s-a", "back", "from this node").await;
    assert_eq!(there.push().await["event"]["text"], "from this node");
}

#[tokio::test]
async fn programs_in_python_whose_clocks_are_wrong_are_heard_and_hear() {
    let redis = Redis::start().await;
    let (a, b) = two_nodes(Backend::RedisCore, &redis).await;
    let mut v1 = v1_member(&a, "s-a").await;
    let mut plain = plain_member(&b, "s-a", "plainly").await;
    assert_eq!(v1.push().await["event"]["text"], "plainly");
    for (name, ahead) in [("ahead", 120.0), ("behind", -120.0)] {
        let peer = Peer::start(&Options::new(peer::Backend::Core, [redis.url()])).await;
        peer.set_clock_ahead(ahead).await;
        let mut listener = peer.listen(peer.new_channel().await).await;
        peer.group_add("s-a", listener.channel()).await;
        for n in 0..20 {
            v1.post("room/s-a", &format!("{name}-{n}"), &format!("to {name} {n}")).await;
            assert_eq!(listener.next().await.get_str("message"), Some(&*format!("to {name} {n}")));
            let text = format!("from {name} {n}");
            peer.group_send("s-a", &[confab::server::layers::Event::new("chat.message").with("message", &*text)]).await;
            assert_eq!(v1.push().await["event"]["text"], format!("to {name} {n}"));
            assert_eq!(v1.push().await["event"]["message"], text);
            assert_eq!(plain.text().await, format!("to {name} {n}"));
            assert_eq!(plain.text().await, text);
            assert_eq!(listener.next().await.get_str("message"), Some(&*text));
        }
        peer.group_discard("s-a", listener.channel()).await;
        assert_eq!(peer.troubles(), [] as [String; 0]);
    }
}
