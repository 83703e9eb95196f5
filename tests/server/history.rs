//! What rooms keep, by their rule, and the HTTP API that reads it.

use std::{collections::HashMap, time::Instant};

use confab::server::settings::{History, Settings};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, offset, rule},
    clients::V1,
};

/// Rooms of each kind: `s-*` in the store, `m-*` in memory, `n-*` nowhere.
fn each_kind(settings: &mut Settings) {
    settings.rooms = vec![rule("s-*", History::Store), rule("m-*", History::Memory), rule("n-*", History::None)];
}

#[tokio::test]
async fn rooms_with_history_give_it_to_whoever_comes_later() {
    let app = TestApp::with(each_kind).await;
    for group in ["s-a", "m-a"] {
        let topic = format!("room/{group}");
        let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
        for n in 1..=3 {
            assert_eq!(author.post(&topic, &format!("k{n}"), &format!("m{n}")).await, n);
            assert_eq!(offset(&author.push().await), n);
        }
        assert_eq!(author.post(&topic, "k2", "again").await, 2);
        let mut later = V1::connect(app.address, "/ws/").await;
        let since = json!({"epoch": author.welcome["joined"]["epoch"], "offset": 1});
        let state = later.join(&topic, Some(&since)).await;
        let offsets: Vec<_> = state["events"].as_array().expect("a list").iter().map(offset).collect();
        assert_eq!((&state["recovered"], offsets), (&json!(true), vec![2, 3]), "{group}");
        let (epoch, messages) = app.all_messages(group).await;
        assert_eq!(json!(epoch), since["epoch"], "{group}");
        let texts: Vec<_> = messages.iter().map(|message| &message["text"]).collect();
        assert_eq!(texts, ["m1", "m2", "m3"], "{group}");
    }
}

#[tokio::test]
async fn a_room_without_history_keeps_nothing_and_its_messages_have_no_place() {
    let app = TestApp::with(each_kind).await;
    let mut author = V1::connect(app.address, "/room/n-a/").await;
    let mut member = V1::connect(app.address, "/room/n-a/").await;
    assert_eq!(author.post("room/n-a", "k1", "passing").await, Value::Null);
    for client in [&mut author, &mut member] {
        let push = client.push().await;
        assert_eq!(push.get("offset"), None, "{push}");
        assert_eq!((&push["event"]["type"], &push["event"]["text"]), (&json!("message"), &json!("passing")));
        assert_eq!(push["event"]["key"], "k1");
    }
    let mut later = V1::connect(app.address, "/ws/").await;
    for since in [None, Some(author.position())] {
        let state = later.join("room/n-a", since.as_ref()).await;
        assert_eq!(state["events"], json!([]), "{since:?}");
        assert_eq!(state["recovered"], false, "{since:?}");
    }
    assert_eq!(app.all_messages("n-a").await.1, [] as [Value; 0]);
    let page = app.get("/room/n-a/").await.text().await.expect("a page");
    assert!(!page.contains("passing"));
    // Nor is it in the list of rooms.
    assert_eq!(later.join("lobby", None).await["rooms"], json!([]));
}

#[tokio::test]
async fn the_api_gives_any_part_of_the_stream() {
    let app = TestApp::start().await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    for n in 1..=210 {
        assert_eq!(author.post("room/a", &format!("k{n}"), &format!("m{n}")).await, n);
    }
    for (query, first, last) in [
        ("", 161, 210),
        ("?limit=1", 210, 210),
        ("?limit=200", 11, 210),
        ("?after=0", 1, 50),
        ("?after=0&limit=3", 1, 3),
        ("?after=208&limit=3", 209, 210),
        ("?before=1", 1, 0),
        ("?before=4&limit=2", 2, 3),
        ("?before=100", 50, 99),
        ("?before=9999&limit=2", 209, 210),
        ("?after=210", 1, 0),
        ("?after=9999", 1, 0),
        ("?after=18446744073709551615", 1, 0),
        ("?before=18446744073709551615&limit=2", 209, 210),
        ("?before=0", 1, 0),
    ] {
        let (status, body) = app.api(&format!("/api/v1/rooms/a/messages{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        assert_eq!(body["epoch"], author.welcome["joined"]["epoch"], "{query}");
        let messages = body["messages"].as_array().expect("a list");
        assert_eq!(messages.iter().map(offset).collect::<Vec<_>>(), (first..=last).collect::<Vec<_>>(), "{query}");
        for message in messages {
            assert_eq!(message["text"], format!("m{}", offset(message)), "{query}");
            assert_eq!(message["key"], format!("k{}", offset(message)), "{query}");
            assert_eq!(message["from"], author.welcome["you"], "{query}");
        }
    }
    for (around, limit) in [(100, 10), (1, 10), (210, 10), (100, 1), (100, 11), (100, 200)] {
        let (status, body) = app.api(&format!("/api/v1/rooms/a/messages?around={around}&limit={limit}")).await;
        assert_eq!(status, 200, "{body}");
        let offsets: Vec<_> = body["messages"].as_array().expect("a list").iter().map(offset).collect();
        let first = *offsets.first().expect("messages");
        assert!(offsets.contains(&around) && offsets.len() <= limit, "{around}, {limit}: {offsets:?}");
        assert_eq!(offsets, (first..first + offsets.len() as u64).collect::<Vec<_>>(), "{around}, {limit}");
    }
}

#[tokio::test]
async fn an_offset_that_no_stream_reaches_is_a_question_like_any_other() {
    let app = TestApp::with(each_kind).await;
    for group in ["s-a", "m-a", "n-a"] {
        let mut v1 = V1::connect(app.address, &format!("/room/{group}/")).await;
        v1.post(&format!("room/{group}"), "k", "text").await;
        for offset in [0, 1 << 53, (1 << 63) - 1, 1 << 63, u64::MAX] {
            for part in ["after", "before", "around"] {
                let (status, body) = app.api(&format!("/api/v1/rooms/{group}/messages?{part}={offset}")).await;
                assert_eq!(status, 200, "{group} {part} {offset}: {body}");
            }
            assert_eq!(app.get(&format!("/room/{group}/?before={offset}")).await.status(), 200, "{group} {offset}");
            let since = json!({"epoch": v1.position()["epoch"], "offset": offset});
            let state = v1.join(&format!("room/{group}"), Some(&since)).await;
            assert_eq!(state["recovered"], offset == 0 && group != "n-a", "{group} {offset}");
        }
    }
}

#[tokio::test]
async fn the_api_says_what_is_wrong_with_a_request() {
    let app = TestApp::start().await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=ten",
        "limit=",
        "after=-1",
        "after=x",
        "before=1.5",
        "around=99999999999999999999",
        "after=1&before=9",
        "after=1&around=1",
        "since=1",
        "after=1&after=2",
    ] {
        let (status, body) = app.api(&format!("/api/v1/rooms/a/messages?{query}")).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!("bad_request")), "{query}: {body}");
        assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{query}");
    }
    for path in [
        "/api/v1/rooms/a.b/messages",
        "/api/v1/rooms/%FF/messages",
        "/api/v1/rooms/a/nothing",
        "/api/v1/rooms/a",
        "/api/v1/nothing",
    ] {
        let (status, body) = app.api(path).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")), "{path}: {body}");
    }
    let (status, body) = app.api("/api/v1/rooms/never-used/messages").await;
    assert_eq!((status, &body["messages"]), (200, &json!([])));
}

#[tokio::test]
async fn the_list_of_rooms_shows_the_beginning_of_a_long_message() {
    let app = TestApp::start().await;
    let mut watcher = V1::connect(app.address, "/ws/").await;
    watcher.join("lobby", None).await;
    let long = "ä".repeat(30_000);
    let mut author = V1::connect(app.address, "/room/a/").await;
    author.post("room/a", "k", &long).await;
    let shown = format!("{}…", "ä".repeat(200));
    assert_eq!(watcher.push().await["event"]["latest"]["text"], shown);
    let joined = V1::connect(app.address, "/ws/").await.join("lobby", None).await;
    assert_eq!(joined["rooms"][0]["latest"]["text"], shown);
    let page = app.get("/").await.text().await.expect("a page");
    assert!(page.contains(&shown) && !page.contains(&"ä".repeat(201)));
}

#[tokio::test]
async fn the_list_of_rooms_is_told_the_newest_of_each_a_few_times_a_second() {
    let app = TestApp::start().await;
    let began = Instant::now();
    let mut watcher = V1::connect(app.address, "/ws/").await;
    watcher.join("lobby", None).await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    author.join("room/b", None).await;
    for n in 0..150 {
        for group in ["a", "b"] {
            author.post(&format!("room/{group}"), &format!("k{n}"), &n.to_string()).await;
        }
    }
    let mut newest = HashMap::new();
    let mut told = 0;
    while newest.get("a") != Some(&149) || newest.get("b") != Some(&149) {
        let event = watcher.push().await["event"].take();
        let text = event["latest"]["text"].as_str().and_then(|text| text.parse().ok()).expect("a number");
        let before = newest.insert(event["group"].as_str().expect("a group").to_owned(), text);
        assert!(before.is_none_or(|before: i32| before < text), "{before:?} {text}");
        told += 1;
    }
    // Four times at once, then four times a second, of two rooms each.
    let beats = began.elapsed().as_millis() / 250;
    assert!(told <= 2 * (beats + 5), "told {told} times in {beats} beats");
}
