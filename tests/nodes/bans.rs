//! Addresses from which guests are kept out: of the whole server and of a room, on all nodes, for a time.

use confab::server::settings::{Backend, Settings};
use reqwest::{Client, redirect};
use serde_json::json;

use crate::{
    app::{Http as _, TestApp},
    clients::{Plain, V1},
    cluster::{self, host},
    people::{Somebody, code},
    support::{
        postgres::{Postgres, connection},
        redis::Redis,
        within,
    },
};

on_each_backend! {
    guests_at_an_address_are_kept_out_of_all_nodes,
}

const HERE: &str = "203.0.113.7";
const ELSEWHERE: &str = "203.0.113.8";

/// Behind a proxy that says where somebody is.
fn proxied(settings: &mut Settings) {
    settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("a network")];
}

fn guest(number: u8) -> Somebody {
    Somebody {
        cookie: format!("confab_guest=0123456789abcdef0123456789abcd{number:02x}; confab_name=Mallory"),
        ..Somebody::guest()
    }
}

/// The status and the body of what somebody gets who is at this address.
async fn get(app: &TestApp, who: &Somebody, address: &str, path: &str) -> (u16, String) {
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client");
    let asked = client.get(app.url(path)).header("cookie", &who.cookie).header("x-forwarded-for", address);
    let answer = within(path, asked.send()).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

async fn socket(app: &TestApp, who: &Somebody, address: &str, path: &str) -> Option<V1> {
    V1::try_with(app.address, path, &[("cookie", &who.cookie), ("x-forwarded-for", address)]).await.ok()
}

async fn is_let_in(app: &TestApp, who: &Somebody, address: &str) -> bool {
    get(app, who, address, "/room/s-a/").await.0 == 200
}

/// All addresses that are open to somebody, and what they answer to guests who are kept out.
async fn assert_kept_out(app: &TestApp, who: &Somebody, address: &str) {
    for path in ["/", "/room/s-a/", "/signup", "/search/", "/rooms/new"] {
        let (status, page) = get(app, who, address, path).await;
        assert!(status == 403 && page.contains("kept out") && page.contains("href=\"/login\""), "{path}: {status} {page}");
        assert!(!page.contains("203.0.113"), "{page}");
    }
    for path in ["/api/v1/rooms", "/api/v1/rooms/s-a/messages", "/api/v1/rooms/s-a/export", "/api/v1/search?q=hello"] {
        let (status, answer) = get(app, who, address, path).await;
        assert!(status == 403 && answer.contains("\"forbidden\""), "{path}: {status} {answer}");
    }
    for path in ["/ws/", "/room/s-a/"] {
        assert!(socket(app, who, address, path).await.is_none(), "{path}");
    }
    for path in ["/login", "/healthz"] {
        assert_eq!(get(app, who, address, path).await.0, 200, "{path}");
    }
}

async fn guests_at_an_address_are_kept_out_of_all_nodes(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let node = async || cluster::node_with(backend, host(&redis), &database, proxied).await;
    let nodes = [node().await, node().await];
    let (admin, ann) = (Somebody::in_postgres(&database, "admin").await, Somebody::in_postgres(&database, "ann").await);
    of_the_whole_server(&nodes, &admin, &ann).await;
    of_a_room(&nodes, &admin, &ann).await;
    for_a_time(&nodes, &admin, &database).await;
}

async fn of_the_whole_server(nodes: &[TestApp; 2], admin: &Somebody, ann: &Somebody) {
    let (mallory, bystander) = (guest(1), guest(2));
    let (mut hers, mut theirs, mut anns) = (Vec::new(), Vec::new(), Vec::new());
    for app in nodes {
        let mut one = socket(app, &mallory, HERE, "/ws/").await.expect("a socket");
        one.join("room/s-a", None).await;
        let plain = Plain::with(app.address, "/room/s-a/", &[("cookie", &mallory.cookie), ("x-forwarded-for", HERE)]).await;
        hers.push((one, plain));
        theirs.push(socket(app, &bystander, ELSEWHERE, "/room/s-a/").await.expect("a socket"));
        anns.push(socket(app, ann, HERE, "/room/s-a/").await.expect("a socket"));
    }
    // What is no address is none, and who is no administrator bans nobody.
    let ban = |address: &'static str, more: &'static [(&'static str, &'static str)]| {
        [&[("act", "ban"), ("address", address), ("minutes", "60"), ("note", "Mallory")], more].concat()
    };
    let (status, page) = admin.send(&nodes[0], "/manage/bans/", &ban("no address", &[])).await;
    assert!(
        status == 422 && page.contains("value=\"no address\"") && page.contains("192.0.2.7"),
        "what was typed is kept: {page}"
    );
    assert_eq!(ann.send(&nodes[0], "/manage/bans/", &ban(HERE, &[])).await.0, 404);
    assert_eq!(admin.send(&nodes[0], "/manage/bans/", &ban(HERE, &[])).await.0, 303);

    for (app, (mut socket, mut plain)) in nodes.iter().zip(hers) {
        let end = loop {
            if let Err(end) = socket.try_push().await {
                break end.to_string();
            }
        };
        assert!(end.contains("4502") && end.contains("kept out"), "{end}");
        let closed = loop {
            if let tokio_tungstenite::tungstenite::Message::Close(frame) = plain.next().await {
                break u16::from(frame.expect("a reason").code);
            }
        };
        assert_eq!(closed, 4502);
        assert_kept_out(app, &mallory, HERE).await;
        // As somebody else she is at the same place.
        assert_kept_out(app, &guest(3), HERE).await;
    }
    for ((app, bystander_socket), ann_socket) in nodes.iter().zip(&mut theirs).zip(&mut anns) {
        bystander_socket.ok(json!({"ping": {}})).await;
        ann_socket.ok(json!({"ping": {}})).await;
        assert!(is_let_in(app, &bystander, ELSEWHERE).await && is_let_in(app, ann, HERE).await);
        assert!(is_let_in(app, &mallory, ELSEWHERE).await, "it is the address that is kept out");
    }

    // With people who have accounts, too, and of IPv6 the network.
    let of_network = ban("2001:db8:0:7::1", &[("accounts", "yes")]);
    assert_eq!(admin.send(&nodes[1], "/manage/bans/", &of_network).await.0, 303);
    let neighbour = "2001:db8:0:7:ffff::2";
    for app in [&nodes[1], &nodes[0]] {
        within("it to be known", async { while is_let_in(app, ann, neighbour).await {} }).await;
        assert!(!is_let_in(app, &bystander, neighbour).await && is_let_in(app, admin, neighbour).await);
        assert!(is_let_in(app, ann, "2001:db8:0:8::2").await);
    }
    let (_, page) = admin.get(&nodes[0], "/manage/bans/").await;
    assert!(page.contains(HERE) && page.contains("2001:db8:0:7::/64") && page.contains("Mallory"), "{page}");
    for _ in 0..2 {
        let (_, page) = admin.get(&nodes[1], "/manage/bans/").await;
        let id = page.split("name=\"id\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a ban");
        assert_eq!(admin.send(&nodes[1], "/manage/bans/", &[("act", "lift"), ("id", id)]).await.0, 303);
    }
    for app in nodes {
        let are_let_in = async || is_let_in(app, &mallory, HERE).await && is_let_in(app, ann, neighbour).await;
        within("it to be known", async { while !are_let_in().await {} }).await;
    }
    // The log is kept for longer than an address may be.
    let (_, log) = admin.get(&nodes[0], "/manage/log/").await;
    assert!(log.contains("banned the address") && log.contains("Mallory") && !log.contains(HERE), "{log}");
}

async fn of_a_room(nodes: &[TestApp; 2], admin: &Somebody, ann: &Somebody) {
    let (mallory, address) = (guest(4), "203.0.113.9");
    ann.make(&nodes[0], "s-own", "open").await;
    within("the room on the other node", async { while ann.joins(&nodes[1], "s-own").await != "ok" {} }).await;
    let mut hers = socket(&nodes[1], &mallory, address, "/ws/").await.expect("a socket");
    hers.join("room/s-own", None).await;
    hers.join("room/s-a", None).await;
    let id = hers.welcome["you"]["id"].as_str().expect("an id").to_owned();
    let settings = "/room/s-own/settings";
    within("her on the page", async { while !ann.get(&nodes[0], settings).await.1.contains("Ban with their address") {} })
        .await;
    let ban = [("act", "ban_address"), ("person", &*id), ("minutes", "60")];
    assert_eq!(mallory.send(&nodes[0], settings, &ban).await.0, 403);
    assert_eq!(ann.set(&nodes[0], "s-own", &ban).await, (303, settings.to_owned()));
    while hers.push().await["event"]["type"] != "left" {}
    assert_eq!(code(&hers.ask(json!({"join": {"topic": "room/s-own"}})).await), "not_found");
    assert_eq!(code(&hers.ask(json!({"typing": {"topic": "room/s-a"}})).await), "ok", "elsewhere nothing has changed");
    // Whoever she is there, she is kept out of this room alone.
    let again = guest(5);
    for app in nodes {
        within("it to be known", async { while get(app, &again, address, "/room/s-own/").await.0 != 404 {} }).await;
        for path in ["/api/v1/rooms/s-own/messages", settings] {
            assert_eq!(get(app, &again, address, path).await.0, 404, "{path}");
        }
        assert!(socket(app, &again, address, "/room/s-own/").await.is_none());
        let mut socket = socket(app, &again, address, "/ws/").await.expect("a socket");
        assert_eq!(code(&socket.ask(json!({"join": {"topic": "room/s-own"}})).await), "not_found");
        assert_eq!(get(app, &again, address, "/room/s-a/").await.0, 200);
        assert_eq!(get(app, &again, ELSEWHERE, "/room/s-own/").await.0, 200);
        assert_eq!(get(app, ann, address, "/room/s-own/").await.0, 200);
    }
    let (_, page) = ann.get(&nodes[0], settings).await;
    assert!(page.contains("Guests kept out") && !page.contains("203.0.113"), "whoever moderates sees no address: {page}");
    assert!(admin.get(&nodes[0], "/manage/bans/").await.1.contains(address));
    let ban = page.split("name=\"ban\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a ban");
    let lift = [("act", "lift_ban"), ("ban", ban)];
    assert_eq!(mallory.send(&nodes[0], settings, &lift).await.0, 404);
    assert_eq!(ann.set(&nodes[0], "s-own", &lift).await.0, 303);
    for app in nodes {
        within("it to be known", async { while get(app, &again, address, "/room/s-own/").await.0 != 200 {} }).await;
    }
}

/// When its time is over an address is nowhere any more.
async fn for_a_time(nodes: &[TestApp; 2], admin: &Somebody, database: &str) {
    let (mallory, address) = (guest(6), "203.0.113.10");
    let ban = [("act", "ban"), ("address", address), ("minutes", "60")];
    assert_eq!(admin.send(&nodes[0], "/manage/bans/", &ban).await.0, 303);
    within("it to be known", async { while is_let_in(&nodes[1], &mallory, address).await {} }).await;
    let records = connection(database).await;
    records
        .batch_execute(
            "SET search_path = confab; UPDATE address_bans SET ends_at = 1; UPDATE manage_changes SET changes = changes + 1",
        )
        .await
        .expect("its time is over");
    for app in nodes {
        within("it to be known", async { while !is_let_in(app, &mallory, address).await {} }).await;
        assert!(!admin.get(app, "/manage/bans/").await.1.contains(address));
    }
    let count = async || records.query_one("SELECT count(*) FROM address_bans", &[]).await.expect("a count").get::<_, i64>(0);
    within("the end of the row", async { while count().await > 0 {} }).await;
}
