//! Programs that push from outside: over the HTTP API, and with `confab send`.

use std::{
    io::Write as _,
    num::NonZeroU32,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use confab::server::settings::{GroupTemplate, History, Pattern, RoomEvents, RoomRule, Settings, TokenRule};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, offset, rule},
    clients::{Plain, V1},
    within,
};

/// May send to every room and to channels.
const ALL: &str = "all-0123456789abcdef";
/// May send to `team-*` and `lobby` alone.
const SOME: &str = "some-0123456789abcdef";

fn token(name: &str, token: &str, groups: &[&str], channels: bool) -> TokenRule {
    let groups = groups.iter().map(|pattern| Pattern::for_rooms(pattern).expect("a pattern")).collect();
    TokenRule { name: name.parse().expect("a name"), token: token.parse().expect("a token"), groups, channels }
}

fn programs(settings: &mut Settings) {
    settings.tokens = vec![token("Cron", ALL, &["*"], true), token("Some", SOME, &["team-*", "lobby"], false)];
}

async fn start() -> TestApp {
    TestApp::with(programs).await
}

fn post(app: &TestApp, path: &str, token: &str) -> RequestBuilder {
    let client = Client::builder().no_proxy().build().expect("a client");
    client.post(app.url(&format!("/api/v1/{path}/send"))).bearer_auth(token)
}

async fn answer(request: RequestBuilder) -> Response {
    within("an answer", request.send()).await.expect("an answer")
}

async fn body(response: Response) -> Value {
    serde_json::from_str(&response.text().await.expect("a body")).expect("JSON")
}

/// Sends JSON that is accepted, and gives the offsets.
async fn offsets(app: &TestApp, group: &str, json: Value) -> Vec<Value> {
    let response = answer(post(app, &format!("groups/{group}"), ALL).json(&json)).await;
    assert_eq!(response.status(), 200, "{json}");
    let results = body(response).await["results"].clone();
    results.as_array().expect("a list").iter().map(|done| done["offset"].clone()).collect()
}

/// The id of the program `Cron`: t and the beginning of the name's SHA-256.
const CRON: &str = "tdd9d24965dbedc02";

/// An event as its members get it when `Cron` has pushed it.
fn pushed(mut event: Value) -> Value {
    event["confab.program"] = json!({"id": CRON, "name": "Cron"});
    event
}

/// Sends what is refused; gives the status and the message.
async fn refused(request: RequestBuilder) -> (u16, String) {
    let response = answer(request).await;
    let status = response.status().as_u16();
    let body = body(response).await;
    (status, body["error"]["message"].as_str().unwrap_or_else(|| panic!("no message in {body}")).to_owned())
}

#[tokio::test]
async fn a_pushed_text_is_a_message_like_any_other() {
    let app = start().await;
    let mut plain = Plain::connect(app.address, "/ws/a/").await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    let mut list = V1::connect(app.address, "/ws/").await;
    list.join("lobby", None).await;
    v1.post("room/a", "k", "before").await;
    assert_eq!(v1.push().await["event"]["text"], "before");
    assert_eq!(offsets(&app, "a", json!({"text": "pushed", "key": "p-1"})).await, [2]);
    let response = answer(post(&app, "groups/a", ALL).header("content-type", "text/plain").body("plainly\nso")).await;
    assert_eq!(body(response).await, json!({"results": [{"offset": 3}]}));
    for text in ["before", "pushed", "plainly\nso"] {
        assert_eq!(plain.text().await, text);
    }
    let first = v1.push().await;
    let event = &first["event"];
    assert_eq!(
        (offset(&first), &event["type"], &event["key"], &event["text"]),
        (2, &json!("message"), &json!("p-1"), &json!("pushed"))
    );
    assert_eq!(event["from"], json!({"id": CRON, "name": "Cron"}));
    let second = v1.push().await;
    assert_eq!(
        (offset(&second), &second["event"]["text"], &second["event"]["from"]),
        (3, &json!("plainly\nso"), &event["from"])
    );
    // Of what comes in quick succession the newest is told.
    let mut latest = list.push().await["event"]["latest"].take();
    while latest["text"] == "before" {
        latest = list.push().await["event"]["latest"].take();
    }
    assert_eq!(latest["from"], event["from"]);
    let page = app.get("/room/a/").await.text().await.expect("a page");
    assert!(page.contains("pushed") && page.contains("Cron"), "{page}");
}

#[tokio::test]
async fn the_same_key_again_is_the_same_message() {
    let app = start().await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    assert_eq!(offsets(&app, "a", json!({"text": "once", "key": "k"})).await, [1]);
    assert_eq!(offsets(&app, "a", json!([{"text": "once", "key": "k"}, {"text": "next"}])).await, [1, 2]);
    for request in [
        post(&app, "groups/a", ALL).json(&json!({"text": "once"})),
        post(&app, "groups/a", ALL).json(&json!({"text": "once", "key": "k"})),
        post(&app, "groups/a", ALL).header("content-type", "text/plain; charset=utf-8").body("once"),
    ] {
        let response = answer(request.header("Idempotency-Key", "k")).await;
        assert_eq!(body(response).await["results"], json!([{"offset": 1}]));
    }
    // Another program's key is another key.
    let response = answer(post(&app, "groups/lobby", SOME).json(&json!({"text": "mine", "key": "k"}))).await;
    assert_eq!(body(response).await["results"], json!([{"offset": 1}]));
    let texts: Vec<Value> = v1.pushes_so_far().await.iter().map(|push| push["event"]["text"].clone()).collect();
    assert_eq!(texts, ["once", "next"]);
}

#[tokio::test]
async fn a_batch_is_sent_in_its_order() {
    let app = start().await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    let mut batch: Vec<Value> = (1..=500).map(|n| json!({"text": format!("m{n}")})).collect();
    batch[250] = json!({"type": "half", "n": 250});
    let expected: Vec<Value> = (1..=500).map(|n| if n == 251 { Value::Null } else { json!(n - u64::from(n > 251)) }).collect();
    assert_eq!(offsets(&app, "a", json!(batch)).await, expected);
    for (n, place) in (1..=500).zip(expected) {
        let push = v1.push().await;
        assert_eq!(push["offset"], place);
        if n == 251 {
            assert_eq!(push["event"], pushed(json!({"type": "half", "n": 250})));
        } else {
            assert_eq!(push["event"]["text"], format!("m{n}"));
        }
    }
    assert_eq!(offsets(&app, "a", json!([])).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_room_without_history_gives_no_offset_and_one_closed_to_guests_takes_a_program() {
    let app = TestApp::with(|settings| {
        programs(settings);
        settings.rooms = vec![rule("passing", History::None), rule("closed", History::Memory)];
        settings.rooms[1].guests = false;
    })
    .await;
    let mut v1 = V1::connect(app.address, "/room/passing/").await;
    assert_eq!(offsets(&app, "passing", json!({"text": "x"})).await, [Value::Null]);
    assert_eq!(v1.push().await["event"]["text"], "x");
    assert_eq!(offsets(&app, "closed", json!([{"text": "x"}, {"text": "y"}])).await, [1, 2]);
    assert_eq!(refused(post(&app, "groups/none", ALL).json(&json!({"text": "x"}))).await.0, 404);
}

#[tokio::test]
async fn guests_are_not_told_of_rooms_that_are_closed_to_them() {
    let app = TestApp::with(|settings| {
        programs(settings);
        settings.rooms = vec![rule("closed", History::Store), rule("*", History::Store)];
        settings.rooms[0].guests = false;
    })
    .await;
    let mut guest = V1::connect(app.address, "/ws/").await;
    assert_eq!(guest.join("lobby", None).await["rooms"], json!([]));
    offsets(&app, "closed", json!({"text": "secret"})).await;
    offsets(&app, "open", json!({"text": "hello"})).await;
    let push = guest.push().await;
    assert_eq!((&push["event"]["group"], &push["event"]["latest"]["text"]), (&json!("open"), &json!("hello")), "{push}");
}

#[tokio::test]
async fn an_event_reaches_the_members_as_it_is_and_says_who_pushed_it() {
    let app = start().await;
    let mut v1 = V1::connect(app.address, "/room/coins/").await;
    let mut plain = Plain::connect(app.address, "/room/coins/").await;
    let events = [
        json!({"type": "send_new_data", "text": "BTC 1", "id": 7, "offset": 9, "from": "x", "deep": [{"a": null}, 1.5, true]}),
        json!({"type": "chat.message", "message": "from Django"}),
        json!({"type": "message", "text": "no message of anybody"}),
    ];
    for event in &events {
        assert_eq!(offsets(&app, "coins", event.clone()).await, [Value::Null]);
        assert_eq!(v1.push().await, json!({"topic": "room/coins", "event": pushed(event.clone())}));
    }
    for text in ["BTC 1", "from Django", "no message of anybody"] {
        assert_eq!(plain.text().await, text);
    }
    assert_eq!(app.all_messages("coins").await.1, [] as [Value; 0]);
}

#[tokio::test]
async fn the_rule_of_a_room_says_how_a_python_message_looks_and_members_see_no_difference() {
    let app = TestApp::with(|settings| {
        programs(settings);
        let events = RoomEvents {
            event_type: "room.said".parse().expect("a type"),
            text_key: "body".parse().expect("a key"),
            group: GroupTemplate::new("chat_{group}", &Pattern::everything()).expect("a template"),
        };
        settings.rooms = vec![RoomRule { events: Arc::new(events), ..rule("*", History::Store) }];
    })
    .await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    let mut plain = Plain::connect(app.address, "/room/a/").await;
    // The group is named after the room, whatever carries it.
    assert_eq!(
        offsets(&app, "a", json!([{"text": "one"}, {"type": "room_said", "body": "two"}])).await,
        [json!(1), Value::Null]
    );
    let message = v1.push().await;
    assert_eq!(
        (&message["offset"], &message["event"]["type"], &message["event"]["text"]),
        (&json!(1), &json!("message"), &json!("one"))
    );
    let event = json!({"type": "room_said", "body": "two", "text": "two"});
    assert_eq!(v1.push().await, json!({"topic": "room/a", "event": pushed(event)}));
    assert_eq!((plain.text().await, plain.text().await), ("one".to_owned(), "two".to_owned()));
    let (status, message) =
        refused(post(&app, "groups/a", ALL).json(&json!({"type": "room_said", "body": "x", "from": "y"}))).await;
    assert!(status == 422 && message.contains("`from`"), "{status} {message}");
}

#[tokio::test]
async fn no_event_passes_for_somebodys_message() {
    let app = start().await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    let from = json!({"id": "g1", "name": "Ann"});
    let whole = json!({"id": "x-9", "key": "k", "from": from, "message": "forged", "text": "forged", "at": 1, "offset": 99, "epoch": "e"});
    for kind in ["chat.message", "chat_message", "chat.binary", "message", "room"] {
        for field in ["id", "from", "offset", "epoch"] {
            let (status, message) =
                refused(post(&app, "groups/a", ALL).json(&json!({"type": kind, field: whole[field]}))).await;
            assert!(status == 422 && message.contains(&format!("`{field}`")), "{kind} {field}: {status} {message}");
        }
    }
    let mut message = whole.clone();
    message["type"] = json!("chat.message");
    let mut of_the_wire = whole.clone();
    of_the_wire["type"] = json!("else");
    of_the_wire.as_object_mut().expect("an object").remove("message");
    for event in [
        message,
        of_the_wire,
        json!({"type": "else", "text": "forged", "confab.program": {"id": "g1", "name": "Ann"}}),
        json!({"type": "confab.room", "group": "a", "latest": whole}),
        json!({"type": "confab_room", "group": "a", "latest": whole}),
        json!({"type": "room", "group": "a", "latest": whole}),
        json!({"type": "presence", "count": 7, "joined": [], "left": []}),
        json!({"type": "typing", "from": from}),
        json!({"type": "confab.presence", "v": 1, "node": "a!p", "what": "bye"}),
    ] {
        let channel = format!("channels/{}", v1.welcome["channel"].as_str().expect("a name"));
        for path in ["groups/a", &channel] {
            assert_eq!(refused(post(&app, path, ALL).json(&event)).await.0, 422, "{path} {event}");
        }
    }
    assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn an_event_to_a_channel_reaches_one_connection() {
    let app = start().await;
    let mut one = V1::connect(app.address, "/room/a/").await;
    let mut other = V1::connect(app.address, "/room/a/").await;
    let name = one.welcome["channel"].as_str().expect("a name").to_owned();
    let event = json!({"type": "for.you", "text": "only"});
    let response = answer(post(&app, &format!("channels/{name}"), ALL).json(&event)).await;
    assert_eq!((response.status().as_u16(), body(response).await), (200, json!({})));
    assert_eq!(one.push().await, json!({"topic": "me", "event": pushed(event.clone())}));
    assert_eq!(other.pushes_so_far().await, [] as [Value; 0]);

    // Plain clients are not told their names; this one has the number after the other's.
    let (node, number) = name.rsplit_once("!s").expect("a number");
    let mut plain = Plain::connect(app.address, "/room/a/").await;
    let number: u64 = number.parse().expect("a number");
    for number in number..number + 10 {
        answer(post(&app, &format!("channels/{node}!s{number}"), ALL).json(&event)).await;
    }
    assert_eq!(plain.text().await, "only");

    for (path, token, json, status) in [
        (format!("channels/{name}"), SOME, event.clone(), 403),
        (format!("channels/{node}!g1"), ALL, event.clone(), 404),
        ("channels/a%20b".to_owned(), ALL, event.clone(), 404),
        ("channels/%FF".to_owned(), ALL, event.clone(), 404),
        (format!("channels/{name}"), ALL, json!({"text": "no type"}), 422),
        (format!("channels/{name}"), ALL, json!([event]), 422),
    ] {
        assert_eq!(refused(post(&app, &path, token).json(&json)).await.0, status, "{path} {json}");
    }
    let text = post(&app, &format!("channels/{name}"), ALL).header("content-type", "text/plain").body("text");
    assert_eq!(refused(text).await.0, 415);
}

#[tokio::test]
async fn a_channel_that_nobody_reads_is_full_at_last() {
    let app = TestApp::with(|settings| {
        programs(settings);
        settings.channel_layers.default.capacity = 2;
    })
    .await;
    for _ in 0..2 {
        assert_eq!(answer(post(&app, "channels/jobs", ALL).json(&json!({"type": "job"}))).await.status(), 200);
    }
    let response = answer(post(&app, "channels/jobs", ALL).json(&json!({"type": "job"}))).await;
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].as_bytes()), (429, &b"1"[..]));
    assert!(body(response).await["error"]["message"].as_str().is_some_and(|message| message.contains("full")));
}

#[tokio::test]
async fn who_has_no_right_is_told_what_is_missing() {
    let app = start().await;
    let good = json!({"text": "x"});
    let url = app.url("/api/v1/groups/a/send");
    let client = Client::builder().no_proxy().build().expect("a client");
    for request in [client.post(&url), client.post(&url).bearer_auth("wrong"), client.post(&url).basic_auth("a", Some(ALL))] {
        let response = answer(request.json(&good)).await;
        assert_eq!((response.status().as_u16(), response.headers()["www-authenticate"].as_bytes()), (401, &b"Bearer"[..]));
        assert_eq!(body(response).await["error"]["code"], "unauthorized");
    }
    let (status, message) = refused(post(&app, "groups/a", SOME).json(&good)).await;
    assert_eq!((status, &*message), (403, "this token may not send to a; it may send to team-*, lobby"));
    assert_eq!(answer(post(&app, "groups/team-a", SOME).json(&good)).await.status(), 200);
    for group in ["a.b", "%FF", "a%20b", &"x".repeat(65)] {
        assert_eq!(refused(post(&app, &format!("groups/{group}"), ALL).json(&good)).await.0, 404, "{group}");
    }
    // Without tokens in the settings there are none.
    let none = TestApp::start().await;
    assert_eq!(refused(post(&none, "groups/a", ALL).json(&good)).await.0, 401);
}

#[tokio::test]
async fn nothing_of_a_batch_is_done_when_an_item_is_wrong() {
    let app = start().await;
    let long = "x".repeat(65_537);
    for (wrong, status, reason) in [
        (json!({}), 422, "text"),
        (json!(5), 422, "object"),
        (json!({"text": ""}), 422, "empty"),
        (json!({"text": " \n\u{200b}"}), 422, "empty"),
        (json!({"text": 5}), 422, "string"),
        (json!({"text": "x", "colour": "red"}), 422, "colour"),
        (json!({"text": "x", "key": "a b"}), 422, "a key is 1 to 64"),
        (json!({"type": 5}), 422, "type"),
        (json!({"type": "x", "n": u64::MAX}), 422, "18446744073709551615"),
        (json!({"text": long}), 413, "65536"),
        (json!({"type": "x", "a": "x".repeat(400_000)}), 413, "394240"),
    ] {
        let (found, message) = refused(post(&app, "groups/a", ALL).json(&wrong)).await;
        assert!(found == status && message.contains(reason), "{found}: {message}");
        let (found, message) = refused(post(&app, "groups/a", ALL).json(&json!([{"text": "good"}, wrong]))).await;
        assert!(found == status && message.starts_with("item 1: ") && message.contains(reason), "{found}: {message}");
    }
    let items = |count| json!(vec![json!({"type": "x"}); count]);
    let (status, message) = refused(post(&app, "groups/a", ALL).json(&items(1_001))).await;
    assert!(status == 413 && message.contains("1000"), "{status}: {message}");
    assert_eq!(offsets(&app, "a", items(1_000)).await.len(), 1_000);
    assert_eq!(app.all_messages("a").await.1, [] as [Value; 0]);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_the_reason() {
    let app = start().await;
    let with = |kind: &'static str, body: Vec<u8>| post(&app, "groups/a", ALL).header("content-type", kind).body(body);
    for (request, status, reason) in [
        (with("application/json", b"{".to_vec()), 400, "not JSON"),
        (with("application/json", "[".repeat(100_000).into_bytes()), 400, "not JSON"),
        (with("text/plain", vec![0xff]), 400, "not UTF-8"),
        (with("text/plain", Vec::new()), 422, "empty"),
        (with("text/plain", "\u{feff}".as_bytes().to_vec()), 422, "empty"),
        (with("text/plain", vec![b'x'; 65_537]), 413, "65536"),
        (with("text/plain", vec![b'x'; (4 << 20) + 1]), 413, "4194304"),
        (with("application/x-www-form-urlencoded", b"text=x".to_vec()), 415, "application/json or text/plain"),
        (post(&app, "groups/a", ALL).body("x"), 415, "application/json or text/plain"),
        (post(&app, "groups/a", ALL).header("Idempotency-Key", "a b").json(&json!({"text": "x"})), 422, "a key is 1 to 64"),
        (post(&app, "groups/a", ALL).header("Idempotency-Key", "k").json(&json!([{"text": "x"}])), 422, "single text"),
        (post(&app, "groups/a", ALL).header("Idempotency-Key", "k").json(&json!({"type": "x"})), 422, "event"),
        (
            post(&app, "groups/a", ALL).header("Idempotency-Key", "k").json(&json!({"text": "x", "key": "l"})),
            422,
            "not the same",
        ),
    ] {
        let (found, message) = refused(request).await;
        assert!(found == status && message.contains(reason), "{found}: {message}");
    }
    assert_eq!(app.all_messages("a").await.1, [] as [Value; 0]);
}

#[tokio::test]
async fn what_a_program_has_said_is_marked_in_rooms_in_the_list_and_among_what_was_found() {
    let app = start().await;
    V1::connect(app.address, "/room/a/").await.post("room/a", "k", "a person's word").await;
    offsets(&app, "b", json!({"text": "a program's word"})).await;
    for (path, marks) in [("/room/a/", 0), ("/room/b/", 1), ("/?group=a", 0), ("/?group=b", 1), ("/", 1)] {
        let page = app.get(path).await.text().await.expect("a page");
        assert_eq!(page.matches(r#"class="program""#).count(), marks, "{path}: {page}");
    }
    // A message can be found a moment after it was kept.
    for (word, marks) in [("person", 0), ("program", 1)] {
        let page = loop {
            let page = app.get(&format!("/search/?q={word}")).await.text().await.expect("a page");
            if page.contains(r#"class="hits""#) {
                break page;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(page.matches(r#"class="program""#).count(), marks, "{word}: {page}");
    }
}

#[tokio::test]
async fn a_mark_of_the_order_of_bytes_is_passed_over() {
    let app = start().await;
    for (kind, body) in [("text/plain", "\u{feff}one"), ("application/json", "\u{feff}{\"text\": \"two\"}")] {
        let response = answer(post(&app, "groups/a", ALL).header("content-type", kind).body(body)).await;
        assert_eq!(response.status(), 200, "{kind}");
    }
    let texts: Vec<Value> = app.all_messages("a").await.1.iter().map(|message| message["text"].clone()).collect();
    assert_eq!(texts, ["one", "two"]);
}

#[tokio::test]
async fn each_token_has_a_rate_of_its_own() {
    let app = TestApp::with(|settings| {
        programs(settings);
        settings.limits.messages_per_second = NonZeroU32::new(1);
    })
    .await;
    // More than the burst of five, which is paid off afterwards.
    assert_eq!(offsets(&app, "lobby", json!(vec![json!({"text": "x"}); 60])).await.len(), 60);
    let response = answer(post(&app, "groups/lobby", ALL).json(&json!({"text": "y"}))).await;
    assert_eq!(response.status(), 429);
    let seconds: u64 = response.headers()["retry-after"].to_str().expect("ASCII").parse().expect("seconds");
    assert!((1..=57).contains(&seconds), "{seconds}");
    assert_eq!(body(response).await["error"]["code"], "rate_limited");
    assert_eq!(answer(post(&app, "groups/lobby", SOME).json(&json!({"text": "z"}))).await.status(), 200);
}

/// `confab send`, with only these variables.
async fn confab(variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
    command.current_dir(folder.path()).env_clear().envs(variables.iter().copied()).arg("send").args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may end without reading, where its flags are wrong.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    within("the end of the program", ended).await.expect("no panic").expect("its output")
}

/// What it says where it fails, with its status.
fn failure(output: &Output) -> (Option<i32>, String) {
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn the_command_says_something_in_a_room() {
    let app = start().await;
    let url = format!("http://{}", app.address);
    let numbered: Vec<String> = (1..=2_500).map(|n| format!("line {n}")).collect();
    let lines = "\u{feff}".to_owned() + &numbered.join("\n \u{200b}\n\n");
    let address = app.address.to_string();
    for (variables, arguments, input) in [
        (&[("CONFAB_TOKEN", ALL)][..], &["--url", &url, "a", "from the command line"][..], ""),
        (&[("CONFAB_TOKEN", ALL)], &["--url", &url, "--key", "k", "a", "keyed"], ""),
        (&[("CONFAB_TOKEN", "of somebody else")], &["--url", &url, "--token", ALL, "--key", "k", "a", "keyed"], ""),
        (&[("CONFAB_TOKEN", ALL), ("CONFAB_SERVER__LISTEN", &address)], &["a", "-"], "\u{feff}two\nlines\n"),
        (&[("CONFAB_TOKEN", ALL)], &["--url", &url, "--lines", "a", "-"], &lines),
    ] {
        assert_eq!(failure(&confab(variables, arguments, input).await), (Some(0), String::new()), "{arguments:?}");
    }
    let (_, messages) = app.all_messages("a").await;
    let texts: Vec<&str> = messages.iter().map(|message| message["text"].as_str().expect("a text")).collect();
    assert_eq!(texts[..3], ["from the command line", "keyed", "two\nlines"]);
    assert_eq!(texts[3..], numbered);
}

#[tokio::test]
async fn the_command_says_why_it_could_not() {
    let app = start().await;
    let url = format!("http://{}", app.address);
    for (token, arguments, status, reason) in [
        (SOME, &["--url", &url, "a", "x"][..], 1, "confab: the server refused (403): this token may not send to a; it may"),
        ("0123456789abcdef", &["--url", &url, "a", "x"], 1, "the server refused (401): "),
        (ALL, &["--url", &url, "a", ""], 1, "the text is empty"),
        (ALL, &["--url", "http://127.0.0.1:1", "a", "x"], 1, "http://127.0.0.1:1 cannot be reached: Connection refused"),
        (ALL, &["--url", "https://127.0.0.1", "a", "x"], 2, "https is not spoken here"),
        (ALL, &["--url", "127.0.0.1:3000", "a", "x"], 2, "is not an address like http://127.0.0.1:3000"),
        (ALL, &["--url", &url, "a b", "x"], 2, "a group name is 1 to 64"),
        (ALL, &["--url", &url, "--lines", "a", "x"], 2, "--lines reads standard input"),
        ("", &["--url", &url, "a", "x"], 2, "a token is needed"),
    ] {
        let (found, says) = failure(&confab(&[("CONFAB_TOKEN", token)], arguments, "").await);
        assert!(found == Some(status) && says.contains(reason), "{arguments:?}: {found:?} {says}");
    }
    assert_eq!(app.all_messages("a").await.1, [] as [Value; 0]);
}
