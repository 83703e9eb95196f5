//! Who is in a room and who is writing: what a join answers, what the others are told, and who does not count.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use confab::server::settings::History;
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, browser, rule},
    clients::{Plain, V1},
};

/// The cookies of somebody whose secret is one digit many times.
fn cookies(digit: char, name: &str) -> String {
    format!("confab_guest={}; confab_name={name}", digit.to_string().repeat(32))
}

/// A connection of that person.
async fn open(app: &TestApp, path: &str, (digit, name): (char, &str)) -> V1 {
    V1::with(app.address, path, &[("cookie", &cookies(digit, name))]).await
}

/// So long somebody may be away.
const GRACE: Duration = Duration::from_secs(10);

const ANN: (char, &str) = ('a', "Ann");
const BOB: (char, &str) = ('b', "Bob");
const CLEO: (char, &str) = ('c', "Cleo");

fn you(v1: &V1) -> Value {
    v1.welcome["you"].clone()
}

/// People, whatever their order.
fn set(people: &Value) -> BTreeSet<String> {
    people.as_array().expect("a list").iter().map(Value::to_string).collect()
}

#[tokio::test]
async fn a_join_says_who_is_there_and_the_others_are_told() {
    for history in [History::Store, History::Memory, History::None] {
        let app = TestApp::with(|settings| settings.rooms = vec![rule("*", history)]).await;
        let mut ann = open(&app, "/room/a/", ANN).await;
        assert_eq!(ann.join("room/a", None).await["members"], json!({"count": 1, "people": [you(&ann)]}));
        let told = ann.change().await;
        let event = json!({"type": "presence", "count": 1, "joined": [you(&ann)], "left": []});
        assert_eq!(told, json!({"topic": "room/a", "event": event}), "{history:?}");

        let mut bob = open(&app, "/ws/", BOB).await;
        let members = bob.join("room/a", None).await["members"].clone();
        assert_eq!((&members["count"], set(&members["people"])), (&json!(2), set(&json!([you(&ann), you(&bob)]))));
        assert_eq!(ann.sees("room/a", 2).await["joined"], json!([you(&bob)]));
        for topic in ["lobby", "me"] {
            assert_eq!(bob.join(topic, None).await.get("members"), None);
        }
    }
}

#[tokio::test]
async fn several_tabs_are_one_person_and_a_closed_one_changes_nothing() {
    let app = TestApp::start().await;
    let mut bob = open(&app, "/room/a/", BOB).await;
    let mut tab = open(&app, "/room/a/", ANN).await;
    bob.sees("room/a", 2).await;
    let other_tab = open(&app, "/room/a/", ANN).await;
    assert_eq!(tab.join("room/a", None).await["members"]["count"], 2);
    drop(other_tab);
    app.has_members(2).await;
    let away = Instant::now();
    drop(tab);
    app.has_members(1).await;
    let mut reloaded = open(&app, "/room/a/", ANN).await;
    assert_eq!(reloaded.join("room/a", None).await["members"]["count"], 2);
    // Where that took longer it was no reload.
    let in_time = away.elapsed() < GRACE;
    let cleo = open(&app, "/room/a/", CLEO).await;
    let event = json!({"type": "presence", "count": 3, "joined": [you(&cleo)], "left": []});
    if in_time {
        assert_eq!(bob.change().await["event"], event);
    }
}

#[tokio::test]
async fn who_leaves_or_goes_is_gone_after_a_while() {
    let app = TestApp::start().await;
    let mut bob = open(&app, "/room/a/", BOB).await;
    let mut ann = open(&app, "/room/a/", ANN).await;
    let cleo = open(&app, "/room/a/", CLEO).await;
    bob.sees("room/a", 3).await;
    let gone = BTreeSet::from([you(&ann)["id"].to_string(), you(&cleo)["id"].to_string()]);
    ann.ok(json!({"leave": {"topic": "room/a"}})).await;
    drop(cleo);
    let mut left = BTreeSet::new();
    while left.len() < 2 {
        let event = bob.change().await["event"].clone();
        assert_eq!(event["joined"], json!([]));
        left.extend(set(&event["left"]));
    }
    assert_eq!(left, gone);
    assert_eq!(bob.join("room/a", None).await["members"], json!({"count": 1, "people": [you(&bob)]}));
    assert_eq!(ann.pushes_so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_new_name_is_told_as_the_same_person() {
    let app = TestApp::start().await;
    let mut bob = open(&app, "/room/a/", BOB).await;
    let ann = open(&app, "/room/a/", ANN).await;
    bob.sees("room/a", 2).await;
    let anna = open(&app, "/room/a/", (ANN.0, "Anna")).await;
    assert_eq!(you(&ann)["id"], you(&anna)["id"]);
    let event = json!({"type": "presence", "count": 2, "joined": [you(&anna)], "left": []});
    assert_eq!(bob.change().await["event"], event);
}

#[tokio::test]
async fn of_many_people_some_are_named_and_all_are_counted() {
    const ALL: u64 = 60;
    let app = TestApp::start().await;
    let mut first = V1::connect(app.address, "/room/a/").await;
    let mut crowd = Vec::new();
    for _ in 1..ALL {
        crowd.push(V1::connect(app.address, "/room/a/").await);
    }
    first.sees("room/a", ALL).await;
    let members = first.join("room/a", None).await["members"].clone();
    assert_eq!(members["count"], ALL);
    let everybody = set(&crowd.iter().chain([&first]).map(you).collect());
    let people = set(&members["people"]);
    assert!(people.len() == 50 && people.is_subset(&everybody));
}

#[tokio::test]
async fn plain_clients_are_nobody_and_hear_nothing_of_it() {
    let app = TestApp::start().await;
    let mut plain = Plain::connect(app.address, "/room/a/").await;
    app.has_members(1).await;
    let mut ann = open(&app, "/room/a/", ANN).await;
    assert_eq!(ann.join("room/a", None).await["members"]["count"], 1);
    ann.ok(json!({"typing": {"topic": "room/a"}})).await;
    ann.change().await;
    ann.post("room/a", "k", "the first that it hears").await;
    assert_eq!(plain.text().await, "the first that it hears");
}

#[tokio::test]
async fn writing_is_told_at_once_and_not_too_often() {
    const PACE_S: u64 = 3;
    let app = TestApp::start().await;
    let mut ann = open(&app, "/room/a/", ANN).await;
    let mut bob = open(&app, "/room/a/", BOB).await;
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(ann.ok(json!({"typing": {"topic": "room/a"}})).await, json!({}));
    }
    let took = began.elapsed();
    ann.post("room/a", "k", "said").await;
    let mut told = 0;
    loop {
        let push = bob.push().await;
        if push["event"]["type"] == "message" {
            break;
        }
        assert_eq!(push, json!({"topic": "room/a", "event": {"type": "typing", "from": you(&ann)}}));
        told += 1;
    }
    assert!(told >= 1 && told <= 1 + took.as_secs() / PACE_S, "{told} in {took:?}");
    // Somebody else, and another room, have a pace of their own.
    ann.join("room/b", None).await;
    bob.join("room/b", None).await;
    ann.ok(json!({"typing": {"topic": "room/b"}})).await;
    assert_eq!(bob.push().await["topic"], "room/b");
    bob.ok(json!({"typing": {"topic": "room/b"}})).await;
    let heard: Vec<_> = ann.pushes_so_far().await.iter().map(|push| push["event"]["from"].clone()).collect();
    assert_eq!(heard.last(), Some(&you(&bob)));
}

#[tokio::test]
async fn only_who_has_joined_a_room_writes_there() {
    let app = TestApp::start().await;
    let mut ann = open(&app, "/ws/", ANN).await;
    let typing = |topic: &str| json!({"typing": {"topic": topic}});
    assert_eq!(ann.error(typing("room/a")).await["code"], "not_joined");
    ann.join("room/a", None).await;
    ann.ok(typing("room/a")).await;
    ann.ok(json!({"leave": {"topic": "room/a"}})).await;
    assert_eq!(ann.error(typing("room/a")).await["code"], "not_joined");
    for topic in ["lobby", "me"] {
        ann.join(topic, None).await;
        assert_eq!(ann.error(typing(topic)).await["code"], "bad_request");
    }
    assert_eq!(ann.error(json!({"typing": {"topic": "room/a", "text": "x"}})).await["code"], "bad_request");
}

#[tokio::test]
async fn the_page_says_how_many_and_who() {
    let app = TestApp::start().await;
    let button = |page: &str| {
        let (_, from) = page.split_once("popovertarget=\"people\"").expect("a button");
        let (_, inside) = from.split_once('>').expect("its text");
        let inside = inside.split_once("</button>").expect("its end").0;
        // What stands between the tags and comments.
        inside.split('<').map(|part| part.rsplit('>').next().unwrap_or_default()).collect::<String>()
    };
    let page = async |path: &str| app.get(path).await.text().await.expect("a page");
    assert_eq!(button(&page("/room/a/").await), "Nobody here");
    let _ann = open(&app, "/room/a/", (ANN.0, "Ann%20%3Cb%3E")).await;
    let shown = page("/room/a/").await;
    assert_eq!(button(&shown), "1 here");
    assert!(shown.contains("title=\"Ann <b>\"") || shown.contains("title=\"Ann &lt;b&gt;\""), "{shown}");
    let numbers = page("/metrics").await;
    assert!(numbers.lines().any(|line| line == "confab_people 1") && numbers.lines().any(|line| line == "confab_nodes 1"));
}

/// Takes another name, as the form does.
async fn rename(app: &TestApp, who: (char, &str), name: &str) {
    let form = browser().post(app.url("/me")).header("cookie", cookies(who.0, who.1)).form(&[("name", name)]);
    assert_eq!(form.send().await.expect("an answer").status(), 303);
}

#[tokio::test]
async fn a_new_name_is_told_to_all_of_ones_connections_and_to_who_comes_back() {
    let app = TestApp::start().await;
    let (mut one, mut other) = (open(&app, "/ws/", ANN).await, open(&app, "/room/a/", ANN).await);
    let mut bob = open(&app, "/ws/", BOB).await;
    let joined = one.join("me", None).await;
    let (epoch, offset) = (&joined["epoch"], &joined["offset"]);
    let expected = json!({"topic": "me", "epoch": epoch, "offset": 0, "recovered": false, "events": []});
    assert_eq!(joined, expected);
    let since = json!({"epoch": epoch, "offset": offset});
    for tab in [&mut other, &mut bob] {
        tab.join("me", None).await;
    }
    rename(&app, ANN, "Ann").await;
    rename(&app, ANN, "Anna").await;
    let renamed = json!({"topic": "me", "offset": 1, "event": {"type": "renamed", "name": "Anna"}});
    for tab in [&mut one, &mut other] {
        assert_eq!(tab.push().await, renamed, "once: the name that one has is no other");
    }
    let mut late = open(&app, "/ws/", ANN).await;
    let joined = late.join("me", Some(&since)).await;
    assert_eq!((&joined["recovered"], &joined["events"]), (&json!(true), &json!([renamed])));
    // It is nobody else's.
    rename(&app, BOB, "Rob").await;
    assert_eq!(bob.push().await["event"]["name"], "Rob");
}
