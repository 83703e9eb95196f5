//! A room that somebody loses is lost on all nodes, whichever way they are connected.

use confab::server::settings::Backend;
use serde_json::json;

use crate::{
    app::TestApp,
    clients::{Plain, V1},
    cluster::{host, node_on},
    people::{Somebody, code},
    support::{postgres::Postgres, redis::Redis},
    within,
};

on_each_backend! {
    whoever_loses_a_room_loses_it_on_all_nodes,
}

/// What somebody has open on a node.
struct Looks {
    node: usize,
    socket: V1,
    plain: Plain,
}

async fn looks(nodes: &[TestApp; 2], somebody: &Somebody, room: &str) -> Vec<Looks> {
    let mut all = Vec::new();
    for (node, app) in nodes.iter().enumerate() {
        let mut socket = somebody.socket(app).await;
        socket.join(&format!("room/{room}"), None).await;
        let mut plain = Plain::with(app.address, &format!("/room/{room}/"), &[("cookie", &somebody.cookie)]).await;
        plain.say("here").await;
        while plain.text().await != "here" {}
        all.push(Looks { node, socket, plain });
    }
    all
}

/// Has somebody lose a room; it is done on node 0.
async fn lose(nodes: &[TestApp; 2], ann: &Somebody, bob: &Somebody, act: &str, room: &str) {
    match act {
        "delete" => assert_eq!(ann.set(&nodes[0], room, &[("act", "delete"), ("sure", room)]).await, (303, "/".to_owned())),
        "close" => {
            let change = [("act", "change"), ("title", "T"), ("topic", ""), ("kind", "closed"), ("posting", "everybody")];
            assert_eq!(ann.set(&nodes[0], room, &change).await.0, 303);
        }
        act => ann.does(&nodes[0], room, act, bob, &[]).await,
    }
}

async fn two(backend: Backend, redis: &[Redis], database: &str) -> [TestApp; 2] {
    let last = redis.last().expect("a layer");
    [node_on(backend, host(&redis[0]), database).await, node_on(backend, host(last), database).await]
}

/// Each way in which a room is lost, in order: when it is done nothing more comes on the node where it was, and on the other one nothing after
/// what says so.
async fn loses_all(nodes: &[TestApp; 2], database: &str, is_told: bool) {
    let guest = Somebody::guest();
    let (ann, bob) = (Somebody::in_postgres(database, "ann").await, Somebody::in_postgres(database, "bob").await);
    for (act, room) in [("remove", "s-one"), ("ban", "s-two"), ("close", "s-three"), ("delete", "s-four")] {
        let topic = format!("room/{room}");
        ann.make(&nodes[0], room, if act == "close" { "open" } else { "closed" }).await;
        if act != "close" {
            bob.is_invited(&nodes[0], &ann, room, "member").await;
            // The other node may hear of a room a moment later, where nothing but the database tells it.
            within("the room on both nodes", async { while guest.joins(&nodes[1], room).await != "not_found" {} }).await;
        }
        let open = looks(nodes, &bob, room).await;
        lose(nodes, &ann, &bob, act, room).await;
        let mut anns = ann.socket(&nodes[0]).await;
        let joined = anns.ask(json!({"join": {"topic": topic}})).await;
        assert_eq!(code(&joined), if act == "delete" { "not_found" } else { "ok" });
        for Looks { node, mut socket, mut plain } in open {
            let mut texts = Vec::new();
            loop {
                let push = socket.push().await;
                if push["event"]["type"] == "left" {
                    assert_eq!(push["topic"], topic, "{act} on {node}");
                    break;
                }
                texts.extend(push["event"]["text"].as_str().map(str::to_owned));
            }
            // The other node hears of it a moment later than the form is answered.
            assert!(node > 0 || texts.iter().all(|text| text == "here"), "{act} on {node}: {texts:?}");
            // From here on nothing comes, whatever is said.
            if act != "delete" {
                anns.post(&topic, &format!("after-{node}"), "after").await;
            }
            let late = socket.ask(json!({"send": {"topic": topic, "key": "late", "text": "late"}})).await;
            assert_eq!(code(&late), "not_joined", "{act} on {node}");
            assert!(socket.pushes_so_far().await.is_empty(), "{act} on {node}");
            loop {
                match plain.try_next().await.expect("a close frame") {
                    tokio_tungstenite::tungstenite::Message::Close(Some(frame)) => {
                        assert_eq!(u16::from(frame.code), 4502, "{act} on {node}");
                        break;
                    }
                    message => assert!(node > 0 || message.into_text().expect("a text") == "here", "{act} on {node}"),
                }
            }
            assert_eq!(bob.joins(&nodes[node], room).await, "not_found", "{act} on {node}");
            for path in [format!("/room/{room}/"), format!("/api/v1/rooms/{room}/messages")] {
                assert_eq!(bob.get(&nodes[node], &path).await.0, 404, "{act} on {node}: {path}");
            }
            assert_eq!(bob.api(&nodes[node], "/api/v1/search?q=here").await.1["hits"], json!([]), "{act} on {node}");
        }
    }
    if is_told {
        is_muted_everywhere(nodes, &ann, &bob).await;
    }
}

/// What somebody may do in a room is another thing on all nodes.
async fn is_muted_everywhere(nodes: &[TestApp; 2], ann: &Somebody, bob: &Somebody) {
    ann.make(&nodes[0], "s-five", "closed").await;
    bob.is_invited(&nodes[0], ann, "s-five", "member").await;
    let mut sockets = Vec::new();
    for node in nodes {
        let mut socket = bob.socket(node).await;
        socket.join("room/s-five", None).await;
        socket.post("room/s-five", &format!("before-{}", sockets.len()), "before").await;
        sockets.push(socket);
    }
    ann.does(&nodes[0], "s-five", "role", bob, &[("role", "read_only")]).await;
    let mut number = 0;
    let mut refused = async |socket: &mut V1| {
        number += 1;
        let send = json!({"topic": "room/s-five", "key": format!("after-{number}"), "text": "x"});
        code(&socket.ask(json!({"send": send})).await) == "forbidden"
    };
    assert!(refused(&mut sockets[0]).await, "on the node it is so when it is done");
    within("the other node to know it", async { while !refused(&mut sockets[1]).await {} }).await;
    let react = json!({"react": {"topic": "room/s-five", "message": "x-1", "emoji": "👍", "on": true}});
    assert_eq!(code(&sockets[1].ask(react).await), "forbidden");
    assert_eq!(code(&sockets[1].ask(json!({"typing": {"topic": "room/s-five"}})).await), "forbidden");
}

async fn whoever_loses_a_room_loses_it_on_all_nodes(backend: Backend) {
    let (redis, postgres) = ([Redis::start().await], Postgres::shared().await);
    let database = postgres.database().await;
    let nodes = two(backend, &redis, &database).await;
    loses_all(&nodes, &database, true).await;
}

#[tokio::test]
async fn nodes_without_a_common_layer_know_by_the_database_who_has_lost_a_room() {
    let (redis, postgres) = ([Redis::start().await, Redis::start().await], Postgres::shared().await);
    let database = postgres.database().await;
    let nodes = two(Backend::RedisPubSub, &redis, &database).await;
    Box::pin(loses_all(&nodes, &database, false)).await;
}

/// What is asked of the tables for lists is asked of both databases alike.
#[tokio::test]
async fn own_rooms_are_listed_by_a_shared_database_too() {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let app = node_on(Backend::RedisCore, host(&redis), &database).await;
    let (ann, bob) = (Somebody::in_postgres(&database, "ann").await, Somebody::in_postgres(&database, "bob").await);
    ann.make(&app, "s-team", "closed").await;
    bob.make(&app, "s-theirs", "open").await;
    let mut socket = ann.socket(&app).await;
    socket.join("room/s-theirs", None).await;
    bob.does(&app, "s-theirs", "ban", &ann, &[]).await;
    for path in ["/", "/?own=0"] {
        let (status, page) = ann.get(&app, path).await;
        assert!(status == 200 && page.contains("href=\"/room/s-team/\""), "{page}");
    }
    assert!(!ann.get(&app, "/?own=1").await.1.contains("href=\"/room/s-team/\""), "it was on the page before");
    socket.join("room/s-team", None).await;
    socket.post("room/s-team", "k", "among us").await;
    assert_eq!(ann.api(&app, "/api/v1/rooms").await.1["rooms"][0]["group"], "s-team");
    let path = ann.invite(&app, "s-team", "member", "1").await;
    assert_eq!(bob.send(&app, &path, &[]).await.0, 303);
    assert_eq!(ann.set(&app, "s-team", &[("act", "delete"), ("sure", "s-team")]).await.0, 303);
    assert!(!ann.get(&app, "/").await.1.contains("href=\"/room/s-team/\""));
}
