//! `confab.v1`: one answer for each command, pushes with positions, and mistakes that stay the business of whoever made them.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    num::NonZeroU32,
    sync::Arc,
};

use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::{
    app::{Http as _, TestApp, offset},
    clients::{Plain, Raw, UPGRADE, V1, frame, request, unmasked_frame},
    within,
};

#[tokio::test]
async fn the_welcome_is_first_and_says_where_and_who_one_is() {
    let app = TestApp::start().await;
    let mut one = V1::connect(app.address, "/room/a/").await;
    one.post("room/a", "k1", "hello").await;
    let two = V1::connect(app.address, "/room/a/").await;
    let none = V1::connect(app.address, "/ws/").await;
    for welcome in [&one.welcome, &two.welcome, &none.welcome] {
        assert!(welcome["channel"].as_str().is_some_and(|name| !name.is_empty()), "{welcome}");
        assert!(welcome["you"]["id"].is_string() && welcome["you"]["name"].is_string(), "{welcome}");
        assert!(welcome["ping_s"].as_u64().is_some_and(|seconds| seconds > 0), "{welcome}");
        assert!(welcome["build"].is_string(), "{welcome}");
    }
    assert_ne!(one.welcome["channel"], two.welcome["channel"]);
    assert_ne!(one.welcome["you"]["id"], two.welcome["you"]["id"]);
    assert_eq!(one.welcome["joined"]["topic"], "room/a");
    assert_eq!(one.welcome["joined"]["offset"], 0);
    assert_eq!(two.welcome["joined"]["offset"], 1);
    assert_eq!(one.welcome["joined"]["epoch"], two.welcome["joined"]["epoch"]);
    assert_eq!(none.welcome.get("joined"), None);
}

#[tokio::test]
async fn a_message_is_answered_and_pushed_to_all_members_with_the_same_position() {
    let app = TestApp::start().await;
    let mut sender = V1::connect(app.address, "/room/a/").await;
    let mut member = V1::connect(app.address, "/chat/a/").await;
    let mut plain = Plain::connect(app.address, "/ws/a/").await;
    assert_eq!(sender.post("room/a", "key-1", "hello").await, 1);
    let push = sender.push().await;
    assert_eq!(push["topic"], "room/a");
    assert_eq!(push["offset"], 1);
    let event = &push["event"];
    assert_eq!((&event["type"], &event["key"], &event["text"]), (&json!("message"), &json!("key-1"), &json!("hello")));
    assert_eq!(event["from"], sender.welcome["you"]);
    assert!(event["id"].as_str().is_some_and(|id| !id.is_empty()), "{event}");
    let at = event["at"].as_str().expect("a time");
    assert!(at.len() == "2026-11-20T12:00:00.000Z".len() && at.ends_with('Z'), "{at}");
    assert_eq!(member.push().await, push);
    assert_eq!(plain.text().await, "hello");

    plain.say("from a plain client").await;
    let push = sender.push().await;
    assert_eq!((offset(&push), &push["event"]["text"]), (2, &json!("from a plain client")));
    assert_eq!(member.push().await, push);
}

#[tokio::test]
async fn the_same_key_again_is_the_same_message() {
    let app = TestApp::start().await;
    let mut sender = V1::connect(app.address, "/room/a/").await;
    let mut other = V1::connect(app.address, "/room/a/").await;
    assert_eq!(sender.post("room/a", "k", "once").await, 1);
    assert_eq!(sender.post("room/a", "k", "once").await, 1);
    assert_eq!(sender.post("room/a", "k", "and with another text").await, 1);
    // Another author's key is another key, and so is the same one in another room.
    assert_eq!(other.post("room/a", "k", "mine").await, 2);
    sender.join("room/b", None).await;
    assert_eq!(sender.post("room/b", "k", "elsewhere").await, 1);
    for client in [&mut sender, &mut other] {
        let pushes = client.pushes_so_far().await;
        let texts: Vec<_> = pushes.iter().filter(|push| push["topic"] == "room/a").map(|push| &push["event"]["text"]).collect();
        assert_eq!(texts, ["once", "mine"]);
    }
}

#[tokio::test]
async fn a_mistake_is_answered_and_the_connection_goes_on() {
    let app = TestApp::start().await;
    let mut other = V1::connect(app.address, "/room/a/").await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    let long = "x".repeat(65_537);
    let key = "k".repeat(65);
    let cases = [
        ("hello".to_owned(), None, "bad_request"),
        (String::new(), None, "bad_request"),
        ("[]".to_owned(), None, "bad_request"),
        ("{\"id\":1,".to_owned(), None, "bad_request"),
        (json!({"ping": {}}).to_string(), None, "bad_request"),
        (json!({"id": "7", "ping": {}}).to_string(), None, "bad_request"),
        (json!({"id": -7, "ping": {}}).to_string(), None, "bad_request"),
        ("[".repeat(50_000), None, "bad_request"),
        (json!({"id": 7}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "dance": {}}).to_string(), Some(7), "unknown_command"),
        (json!({"id": 7, "ping": {}, "leave": {"topic": "room/a"}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "join": {"topic": "room/b", "colour": "red"}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "join": {}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "join": {"topic": "room/b", "since": {"epoch": "e"}}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "join": {"topic": "house/b"}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "join": {"topic": "room/a b"}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "leave": {"topic": "room/b"}}).to_string(), Some(7), "not_joined"),
        (json!({"id": 7, "send": {"topic": "room/b", "key": "k", "text": "x"}}).to_string(), Some(7), "not_joined"),
        (json!({"id": 7, "send": {"topic": "room/a", "text": "x"}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "send": {"topic": "room/a", "key": "k"}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "send": {"topic": "room/a", "key": "a b", "text": "x"}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "send": {"topic": "room/a", "key": key, "text": "x"}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "send": {"topic": "room/a", "key": "k", "text": 5}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "send": {"topic": "room/a", "key": "k", "text": ""}}).to_string(), Some(7), "bad_request"),
        (json!({"id": 7, "send": {"topic": "room/a", "key": "k", "text": long}}).to_string(), Some(7), "too_large"),
        (json!({"id": 7, "send": {"topic": "me", "key": "k", "text": "x"}}).to_string(), Some(7), "not_joined"),
    ];
    for (n, (text, id, code)) in cases.iter().enumerate() {
        let shown = text.get(..text.len().min(120)).unwrap_or_default();
        v1.say(text).await;
        let answer = v1.answer(json!(id)).await.expect("an open connection");
        let error = &answer["error"];
        assert_eq!(error["code"], *code, "{shown}: {answer}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{shown}");
        assert!(error["retry_after_ms"].is_null(), "{shown}");
        if *code == "too_large" {
            assert!(error["message"].as_str().is_some_and(|message| message.contains("65536")), "{error}");
        }
        // And goes on to work, after each of them.
        v1.ok(json!({"ping": {}})).await;
        assert_eq!(v1.post("room/a", &format!("good-{n}"), &format!("good {n}")).await, n as u64 + 1);
    }
    for n in 0..cases.len() {
        assert_eq!(other.push().await["event"]["text"], format!("good {n}"));
    }
    assert_eq!(other.pushes_so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn the_longest_text_goes_through_however_json_writes_it() {
    let app = TestApp::start().await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    for (n, text) in ["x".repeat(65_536), "\"".repeat(65_536), "🦀".repeat(16_384)].iter().enumerate() {
        assert_eq!(v1.post("room/a", &format!("k{n}"), text).await, n as u64 + 1);
        assert_eq!(v1.push().await["event"]["text"], **text);
    }
    // Six bytes for each sign are the most that JSON can take.
    let escaped = "\\u0078".repeat(65_536);
    v1.say(&format!(r#"{{"id":100,"send":{{"topic":"room/a","key":"escaped","text":"{escaped}"}}}}"#)).await;
    assert_eq!(v1.answer(json!(100)).await.expect("an answer")["ok"]["offset"], 4);
    assert_eq!(v1.push().await["event"]["text"], "x".repeat(65_536));
}

#[tokio::test]
async fn what_is_written_is_the_same_text_however_its_lines_end_and_something_of_it_is_seen() {
    let app = TestApp::start().await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    v1.post("room/a", "k", "\r\n a\rb\0\u{1b}[2J\r\n \r\n").await;
    let push = v1.push().await;
    assert_eq!(push["event"]["text"], " a\nb[2J");
    let message = push["event"]["id"].clone();
    for blank in ["", "  ", "\n\t", "\0", "\u{200b}", "\u{2800}\u{3164}\u{ad}"] {
        for command in [
            json!({"send": {"topic": "room/a", "key": "blank", "text": blank}}),
            json!({"edit": {"topic": "room/a", "message": message, "text": blank}}),
        ] {
            let error = v1.error(command.clone()).await;
            assert_eq!(error["code"], "bad_request", "{command}");
            assert!(error["message"].as_str().is_some_and(|message| message.contains("the text is empty")), "{error}");
        }
    }
    v1.ok(json!({"edit": {"topic": "room/a", "message": message, "text": "new\r\n"}})).await;
    assert_eq!(v1.push().await["event"]["text"], "new");
    assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_breach_of_the_protocol_closes_and_nobody_else_notices() {
    let app = TestApp::start().await;
    let mut other = V1::connect(app.address, "/room/a/").await;
    let too_big = Message::text("x".repeat(65_536 * 6 + 1025));
    for (message, code) in [(Message::Binary(Bytes::from_static(b"{}")), 1003), (too_big, 1009)] {
        let mut v1 = V1::connect(app.address, "/room/a/").await;
        v1.send(message).await;
        let (closed, reason) = v1.closed().await;
        assert_eq!(closed, code);
        assert!(!reason.is_empty());
    }
    for (bytes, code) in [(frame(0x81, b"{\"id\":1,\"ping\":{\xE9}}"), 1007), (unmasked_frame(0x81, b"{}"), 1002)] {
        let mut raw = Raw::connect(app.address).await;
        let headers: Vec<_> = UPGRADE.into_iter().chain([("Sec-WebSocket-Protocol", "confab.v1")]).collect();
        raw.send(request("GET /ws/ HTTP/1.1", &headers).as_bytes()).await;
        assert_eq!(raw.head().await.status, 101);
        let (first, welcome) = raw.frame().await.expect("a welcome");
        assert!(first == 0x81 && welcome.starts_with(b"{\"welcome\":"));
        raw.send(&bytes).await;
        assert_eq!(raw.closed().await.0, code);
        assert_eq!(raw.frame().await, None);
    }
    other.post("room/a", "k", "nothing happened").await;
    assert_eq!(other.push().await["event"]["text"], "nothing happened");
    assert_eq!(other.pushes_so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_come_back() {
    let app = TestApp::with(|settings| settings.limits.messages_per_second = NonZeroU32::new(1)).await;
    let mut other = V1::connect(app.address, "/room/a/").await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    let mut sent = Vec::new();
    // The burst is five; on a slow machine a few more have their second.
    let error = loop {
        let key = format!("k{}", sent.len());
        let answer = v1.ask(json!({"send": {"topic": "room/a", "key": key, "text": "x"}})).await;
        if answer.get("error").is_some() {
            break answer["error"].clone();
        }
        sent.push(key);
        assert!(sent.len() < 1000, "there is no bound");
    };
    assert!(sent.len() >= 5, "{sent:?}");
    assert_eq!(error["code"], "rate_limited");
    let wait = error["retry_after_ms"].as_u64().expect("a time");
    assert!((1..=1001).contains(&wait), "{wait}");
    // Pings are free, and what was refused has reached nobody.
    v1.ok(json!({"ping": {}})).await;
    for key in &sent {
        assert_eq!(other.push().await["event"]["key"], **key);
    }
    assert_eq!(other.pushes_so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_connection_joins_a_hundred_topics_and_not_one_more() {
    let app = TestApp::start().await;
    let mut v1 = V1::connect(app.address, "/ws/").await;
    for n in 0..100 {
        v1.join(&format!("room/r{n}"), None).await;
    }
    let error = v1.error(json!({"join": {"topic": "room/r100"}})).await;
    assert_eq!(error["code"], "too_large");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("100")), "{error}");
    // To join again is not one more, and to leave makes room.
    v1.join("room/r0", None).await;
    v1.ok(json!({"leave": {"topic": "room/r7"}})).await;
    v1.join("room/r100", None).await;

    let mut sender = V1::connect(app.address, "/ws/").await;
    for group in ["r0", "r7", "r50", "r99", "r100"] {
        let topic = format!("room/{group}");
        sender.join(&topic, None).await;
        assert_eq!(sender.post(&topic, "k", group).await, 1);
    }
    for topic in ["room/r0", "room/r50", "room/r99", "room/r100"] {
        let push = v1.push().await;
        assert_eq!((&push["topic"], offset(&push)), (&json!(topic), 1));
    }
    assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
}

/// A room with messages `m1` to the one with this number, and its epoch.
async fn room_with(app: &TestApp, group: &str, messages: u64) -> Value {
    let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
    for n in 1..=messages {
        assert_eq!(author.post(&format!("room/{group}"), &format!("k{n}"), &format!("m{n}")).await, n);
    }
    author.welcome["joined"]["epoch"].clone()
}

fn offsets(events: &Value) -> Vec<u64> {
    events.as_array().expect("a list").iter().map(offset).collect()
}

#[tokio::test]
async fn a_position_that_is_held_gives_exactly_what_was_missed() {
    let app = TestApp::start().await;
    let epoch = room_with(&app, "a", 120).await;
    let mut v1 = V1::connect(app.address, "/ws/").await;
    for since in [0, 1, 60, 119, 120] {
        let state = v1.join("room/a", Some(&json!({"epoch": epoch, "offset": since}))).await;
        assert_eq!((&state["topic"], &state["epoch"], &state["offset"]), (&json!("room/a"), &epoch, &json!(120)));
        assert_eq!(state["recovered"], true, "{since}");
        assert_eq!(offsets(&state["events"]), (since + 1..=120).collect::<Vec<_>>());
        for event in state["events"].as_array().expect("a list") {
            assert_eq!(event["topic"], "room/a");
            assert_eq!(event["event"]["text"], format!("m{}", offset(event)));
        }
    }
}

#[tokio::test]
async fn a_position_that_cannot_be_honoured_gives_the_newest_messages_and_says_so() {
    let app = TestApp::start().await;
    let epoch = room_with(&app, "a", 60).await;
    let mut v1 = V1::connect(app.address, "/ws/").await;
    for since in [
        None,
        Some(json!({"epoch": "another", "offset": 59})),
        Some(json!({"epoch": "another", "offset": 60})),
        Some(json!({"epoch": epoch, "offset": 61})),
        Some(json!({"epoch": epoch, "offset": u64::MAX})),
    ] {
        let state = v1.join("room/a", since.as_ref()).await;
        assert_eq!((&state["epoch"], &state["offset"]), (&epoch, &json!(60)), "{since:?}");
        assert_eq!(state["recovered"], false, "{since:?}");
        assert_eq!(offsets(&state["events"]), (11..=60).collect::<Vec<_>>(), "{since:?}");
    }
}

#[tokio::test]
async fn what_is_too_much_for_one_answer_is_not_given_in_part() {
    let app = TestApp::start().await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    for n in 1..=20 {
        assert_eq!(author.post("room/a", &format!("k{n}"), &"x".repeat(65_536)).await, n);
    }
    let mut v1 = V1::connect(app.address, "/ws/").await;
    let state = v1.join("room/a", Some(&author.position())).await;
    assert_eq!((&state["recovered"], &state["offset"]), (&json!(false), &json!(20)));
    let offsets = offsets(&state["events"]);
    let first = *offsets.first().expect("the newest");
    assert!(first > 1);
    assert_eq!(offsets, (first..=20).collect::<Vec<_>>());
    // Where the difference is small enough it is whole again.
    let state = v1.join("room/a", Some(&json!({"epoch": state["epoch"], "offset": 18}))).await;
    assert_eq!((&state["recovered"], self::offsets(&state["events"])), (&json!(true), vec![19, 20]));
}

#[tokio::test]
async fn who_has_left_gets_no_more_and_recovers_on_return() {
    let app = TestApp::start().await;
    let mut stayer = V1::connect(app.address, "/room/a/").await;
    let mut leaver = V1::connect(app.address, "/room/a/").await;
    stayer.post("room/a", "k1", "one").await;
    assert_eq!(offset(&leaver.push().await), 1);
    leaver.ok(json!({"leave": {"topic": "room/a"}})).await;
    assert_eq!(leaver.error(json!({"send": {"topic": "room/a", "key": "k", "text": "x"}})).await["code"], "not_joined");
    stayer.post("room/a", "k2", "two").await;
    assert_eq!(leaver.pushes_so_far().await, [] as [Value; 0]);
    let since = json!({"epoch": leaver.welcome["joined"]["epoch"], "offset": 1});
    let state = leaver.join("room/a", Some(&since)).await;
    assert_eq!((&state["recovered"], offsets(&state["events"])), (&json!(true), vec![2]));
    stayer.post("room/a", "k3", "three").await;
    assert_eq!(offset(&leaver.push().await), 3);
}

#[tokio::test]
async fn the_topic_lobby_has_the_rooms_and_their_news() {
    let app = TestApp::start().await;
    room_with(&app, "older", 1).await;
    room_with(&app, "newer", 2).await;
    let mut reader = V1::connect(app.address, "/ws/").await;
    let state = reader.join("lobby", None).await;
    assert_eq!(state["topic"], "lobby");
    let rooms = state["rooms"].as_array().expect("a list");
    let mut latest: Vec<_> = rooms.iter().map(|room| (&room["group"], &room["latest"]["text"])).collect();
    // Both may have been said in the same millisecond.
    latest.sort_by_key(|(group, _)| group.to_string());
    assert_eq!(latest, [(&json!("newer"), &json!("m2")), (&json!("older"), &json!("m1"))]);

    let mut author = V1::connect(app.address, "/room/fresh/").await;
    author.post("room/fresh", "k", "news").await;
    let push = reader.push().await;
    assert_eq!((&push["topic"], push.get("offset")), (&json!("lobby"), None));
    let event = &push["event"];
    assert_eq!((&event["type"], &event["group"]), (&json!("room"), &json!("fresh")));
    assert_eq!((offset(&event["latest"]), &event["latest"]["text"]), (1, &json!("news")));
    assert_eq!(reader.error(json!({"send": {"topic": "lobby", "key": "k", "text": "x"}})).await["code"], "bad_request");
}

/// Somewhere from 0 to `most`, elsewhere each time.
fn somewhere(most: u64) -> u64 {
    RandomState::new().build_hasher().finish() % (most + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_and_late_members_all_end_with_the_same_stream() {
    const SENDERS: u64 = 20;
    const EACH: u64 = 50;
    const ALL: u64 = SENDERS * EACH;
    let app = Arc::new(TestApp::start().await);
    let epoch = V1::connect(app.address, "/room/a/").await.welcome["joined"]["epoch"].clone();
    let (count, counted) = watch::channel(0_u64);
    let count = Arc::new(count);
    let mut members = JoinSet::new();
    for sender in 0..SENDERS {
        let (app, count) = (Arc::clone(&app), Arc::clone(&count));
        members.spawn(async move {
            let mut v1 = V1::connect(app.address, "/ws/").await;
            let state = v1.join("room/a", None).await;
            let mut stream = state["events"].as_array().expect("a list").clone();
            // A newcomer gets the newest fifty; the rest is history.
            let history = offset(&state).saturating_sub(50);
            for n in 0..EACH {
                v1.post("room/a", &format!("{sender}-{n}"), &format!("{sender} says {n}")).await;
                count.send_modify(|count| *count += 1);
            }
            while stream.len() as u64 + history < ALL {
                stream.push(v1.push().await);
            }
            assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
            (format!("sender {sender}"), history, stream)
        });
    }
    for joiner in 0..5 {
        let (app, mut counted, epoch) = (Arc::clone(&app), counted.clone(), epoch.clone());
        members.spawn(async move {
            let moment = somewhere(ALL);
            within("the moment to join", counted.wait_for(|count| *count >= moment)).await.expect("senders");
            let mut v1 = V1::connect(app.address, "/ws/").await;
            let state = v1.join("room/a", Some(&json!({"epoch": epoch, "offset": 0}))).await;
            assert_eq!(state["recovered"], true);
            let mut stream = state["events"].as_array().expect("a list").clone();
            while (stream.len() as u64) < ALL {
                stream.push(v1.push().await);
            }
            assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
            (format!("joiner {joiner} after {moment}"), 0, stream)
        });
    }
    let members = within("all streams", members.join_all()).await;
    let (api_epoch, history) = app.all_messages("a").await;
    assert_eq!(json!(api_epoch), epoch);
    assert_eq!(history.iter().map(offset).collect::<Vec<_>>(), (1..=ALL).collect::<Vec<_>>());
    for (who, from, stream) in members {
        assert_eq!(stream.iter().map(offset).collect::<Vec<_>>(), (from + 1..=ALL).collect::<Vec<_>>(), "{who}");
        for (push, stored) in stream.iter().zip(&history[usize::try_from(from).expect("small")..]) {
            let mut event = push["event"].clone();
            assert_eq!(event.as_object_mut().expect("an object").shift_remove("type"), Some(json!("message")), "{who}");
            event["offset"] = push["offset"].clone();
            assert_eq!(event, *stored, "{who}");
        }
    }
}
