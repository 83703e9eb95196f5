//! Up to where people have read: kept, told to their other pages, and counted in their list, whichever node they come to.

use confab::server::settings::{Backend, History};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, rule},
    clients::V1,
    cluster::{host, node_on},
    people::{Somebody, code},
    support::{postgres::Postgres, redis::Redis},
    within,
};

on_each_backend! {
    what_was_read_on_one_node_is_read_on_the_other,
}

const TOPIC: &str = "room/s-team";

fn read(topic: &str, epoch: &Value, offset: u64, back: bool) -> Value {
    let up_to = json!({"epoch": epoch, "offset": offset});
    json!({"read": if back { json!({"topic": topic, "up_to": up_to, "back": true}) } else { json!({"topic": topic, "up_to": up_to}) }})
}

/// What stands beside a room in somebody's list; nothing where all of it is read.
async fn number(app: &TestApp, who: &Somebody, room: &str) -> String {
    let (status, list) = who.get(app, "/rooms/own").await;
    assert_eq!(status, 200);
    let row = list
        .split("<li ")
        .find(|row| row.contains(&format!("href=\"/room/{room}/\"")))
        .unwrap_or_else(|| panic!("{room} in {list}"));
    let count = row.split("<span class=\"unread-count\">").nth(1).and_then(|rest| rest.split('<').next());
    count.unwrap_or_default().to_owned()
}

async fn comes_to(app: &TestApp, who: &Somebody, room: &str, expected: &str) {
    within(expected, async { while number(app, who, room).await != expected {} }).await;
}

/// The next that one of their pages is told of what was read.
async fn told(socket: &mut V1) -> Value {
    loop {
        let push = socket.push().await;
        if push["event"]["type"] == "read" {
            assert_eq!(push["topic"], "me");
            return push["event"].clone();
        }
    }
}

async fn pages(app: &TestApp, who: &Somebody) -> V1 {
    let mut socket = who.socket(app).await;
    socket.join("me", None).await;
    socket.join(TOPIC, None).await;
    socket
}

async fn is_kept(one: &TestApp, other: &TestApp, ann: &Somebody, bob: &Somebody) {
    ann.make(one, "s-team", "closed").await;
    bob.is_invited(one, ann, "s-team", "member").await;
    within("the room on the other node", async { while bob.joins(other, "s-team").await != "ok" {} }).await;
    let mut anns = ann.socket(one).await;
    let epoch = anns.join(TOPIC, None).await["epoch"].clone();
    for number in 1..=3 {
        assert_eq!(anns.post(TOPIC, &format!("k{number}"), "hello").await, number);
    }
    assert_eq!(number(other, bob, "s-team").await, "", "who has never read it is not told of all that was said");
    let (mut desk, mut phone) = (pages(one, bob).await, pages(other, bob).await);
    assert!(bob.socket(one).await.join(TOPIC, None).await.get("read").is_none());

    desk.ok(read(TOPIC, &epoch, 2, false)).await;
    let up_to = |offset| json!({"epoch": epoch, "offset": offset});
    let event = |offset, back| json!({"type": "read", "topic": TOPIC, "up_to": up_to(offset), "back": back});
    for page in [&mut desk, &mut phone] {
        assert_eq!(told(page).await, event(2, false));
    }
    comes_to(one, bob, "s-team", "1").await;
    comes_to(other, bob, "s-team", "1").await;
    // What was read stays read, and is told once.
    desk.ok(read(TOPIC, &epoch, 1, false)).await;
    desk.ok(read(TOPIC, &epoch, 2, false)).await;
    for app in [one, other] {
        assert_eq!(bob.socket(app).await.join(TOPIC, None).await["read"], up_to(2));
    }
    // One's own count nothing, nor what was deleted.
    desk.post(TOPIC, "own", "mine").await;
    assert_eq!(number(other, bob, "s-team").await, "1");
    let message = format!("{}-3", epoch.as_str().expect("an epoch"));
    anns.ok(json!({"delete": {"topic": TOPIC, "message": message}})).await;
    comes_to(other, bob, "s-team", "").await;

    // Unread again, from a message on.
    phone.ok(read(TOPIC, &epoch, 0, true)).await;
    for page in [&mut phone, &mut desk] {
        assert_eq!(told(page).await, event(0, true));
    }
    comes_to(one, bob, "s-team", "2").await;
    desk.ok(read(TOPIC, &epoch, 5, false)).await;
    assert_eq!(told(&mut phone).await, event(5, false));
    comes_to(other, bob, "s-team", "").await;
    // There are bounds to counting.
    for number in 0..120 {
        anns.post(TOPIC, &format!("many-{number}"), "x").await;
    }
    comes_to(other, bob, "s-team", "99+").await;
    assert_eq!(number(one, ann, "s-team").await, "", "they are her own");
}

/// A direct room says so before it was ever opened.
async fn a_direct_room_counts_from_the_first(one: &TestApp, other: &TestApp, ann: &Somebody, bob: &Somebody) {
    let (status, path) = ann.send(one, &format!("/people/{}/direct", bob.id), &[]).await;
    assert_eq!(status, 303);
    let room = path.trim_start_matches("/room/").trim_end_matches('/').to_owned();
    let mut anns = ann.socket(one).await;
    anns.join(&format!("room/{room}"), None).await;
    anns.post(&format!("room/{room}"), "k", "hello").await;
    within("the room on the other node", async { while bob.joins(other, &room).await != "ok" {} }).await;
    comes_to(other, bob, &room, "1").await;
}

async fn not_of_everything(app: &TestApp, ann: &Somebody) {
    let mut guest = Somebody::guest().socket(app).await;
    let epoch = guest.join("room/s-open", None).await["epoch"].clone();
    assert_eq!(code(&guest.ask(read("room/s-open", &epoch, 1, false)).await), "bad_request", "their browser keeps it");
    let mut anns = ann.socket(app).await;
    assert_eq!(code(&anns.ask(read("room/s-open", &epoch, 1, false)).await), "not_joined");
    anns.join("me", None).await;
    anns.join("room/n-nothing", None).await;
    for topic in ["me", "room/n-nothing"] {
        assert_eq!(code(&anns.ask(read(topic, &epoch, 1, false)).await), "bad_request", "{topic}");
    }
    anns.join("room/s-open", None).await;
    anns.ok(read("room/s-open", &epoch, 1, false)).await;
    for wrong in [json!({"read": {"topic": "room/s-open"}}), json!({"read": {"topic": "room/s-open", "up_to": 1}})] {
        assert_eq!(code(&anns.ask(wrong).await), "bad_request");
    }
    // A position of another stream says nothing of this one.
    anns.ok(read("room/s-open", &json!("another"), 9, false)).await;
    assert_eq!(number(app, ann, "s-team").await, "");
}

#[tokio::test]
async fn what_was_read_is_kept_by_a_server_with_a_database_of_its_own() {
    let app = TestApp::with(|all| {
        all.rooms = vec![rule("n-*", History::None), rule("*", History::Store)];
    })
    .await;
    let (ann, bob) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await);
    Box::pin(is_kept(&app, &app, &ann, &bob)).await;
    a_direct_room_counts_from_the_first(&app, &app, &ann, &bob).await;
    not_of_everything(&app, &ann).await;
}

async fn what_was_read_on_one_node_is_read_on_the_other(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let (one, other) = (node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await);
    let (ann, bob) = (Somebody::in_postgres(&database, "ann").await, Somebody::in_postgres(&database, "bob").await);
    Box::pin(is_kept(&one, &other, &ann, &bob)).await;
}

#[tokio::test]
async fn what_was_read_last_is_written_before_the_server_stops() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().to_owned();
    let at = || TestApp::with(|settings| settings.server.data = folder.clone());
    let mut app = at().await;
    app.get("/healthz").await;
    let ann = Somebody::in_folder(&folder, "ann");
    let mut socket = ann.socket(&app).await;
    let epoch = socket.join("room/a", None).await["epoch"].clone();
    socket.post("room/a", "k", "hello").await;
    socket.ok(read("room/a", &epoch, 1, false)).await;
    app.begin_to_stop();
    drop(socket);
    app.stopped().await;
    let app = at().await;
    assert_eq!(ann.socket(&app).await.join("room/a", None).await["read"], json!({"epoch": epoch, "offset": 1}));
}
