//! Bounds on who connects, asks and talks: by connection, by address and by account.

use std::num::{NonZeroU32, NonZeroUsize};

use confab::server::settings::{MetricsFor, Settings};
use futures_util::FutureExt as _;
use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    PATIENCE,
    app::{Http as _, TestApp, browser},
    clients::{Plain, Raw, UPGRADE, V1, frame, request},
    within,
};

const ANN: (&str, &str) = ("cookie", "confab_guest=0123456789abcdef0123456789abcdef");
const BOB: (&str, &str) = ("cookie", "confab_guest=fedcba9876543210fedcba9876543210");
const FORWARDED: &str = "x-forwarded-for";

/// Behind a proxy on this machine.
fn proxied(settings: &mut Settings) {
    settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
}

fn send(key: &str, text: &str) -> Value {
    json!({"send": {"topic": "room/a", "key": key, "text": text}})
}

#[tokio::test]
async fn a_message_goes_through_whole_and_its_bytes_are_paid_off_before_the_next() {
    let app = TestApp::with(|settings| settings.limits.bytes_per_second = NonZeroU32::new(1_000)).await;
    let mut other = V1::connect(app.address, "/room/a/").await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    let text = "x".repeat(60_000);
    v1.ok(send("k1", &text)).await;
    let error = v1.error(send("k2", "y")).await;
    assert_eq!(error["code"], "rate_limited");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("1000 bytes")), "{error}");
    let wait = error["retry_after_ms"].as_u64().expect("a time");
    assert!((1_001..56_000).contains(&wait), "{wait}");
    // It can still find out that it is connected, and others can talk.
    v1.ok(json!({"ping": {}})).await;
    other.post("room/a", "k3", "z").await;
    assert_eq!(other.push().await["event"]["key"], "k1");
    assert_eq!(other.push().await["event"]["key"], "k3");
    assert_eq!(v1.push().await["event"]["key"], "k1");
}

#[tokio::test]
async fn what_a_plain_client_says_over_its_bytes_waits_and_holds_up_nobody_else() {
    let mut app = TestApp::with(|settings| settings.limits.bytes_per_second = NonZeroU32::new(1)).await;
    let mut talker = Plain::connect(app.address, "/room/a/").await;
    let mut other = Plain::connect(app.address, "/room/a/").await;
    app.has_members(2).await;
    // It is paid off in hours.
    let text = "x".repeat(60_000);
    talker.say(&text).await;
    talker.say("waits").await;
    assert_eq!((talker.text().await, other.text().await), (text.clone(), text));
    for word in ["a", "b", "c", "d"] {
        other.say(word).await;
        assert_eq!((talker.text().await, other.text().await), (word.to_owned(), word.to_owned()));
    }
    // Who is not read is told goodbye all the same.
    app.begin_to_stop();
    assert_eq!((talker.closed().await.0, other.closed().await.0), (4003, 4003));
    within("the end", app.stopped()).await;
}

#[tokio::test]
async fn a_plain_client_over_its_rate_loses_nothing() {
    let app = TestApp::with(|settings| {
        settings.limits.messages_per_second = NonZeroU32::new(100);
        settings.limits.messages_per_second_per_account = NonZeroU32::new(100);
    })
    .await;
    let mut plain = Plain::with(app.address, "/room/a/", &[ANN]).await;
    app.has_members(1).await;
    let words: Vec<_> = (0..600).map(|n| n.to_string()).collect();
    for word in &words {
        plain.say(word).await;
    }
    plain.say("exit").await;
    for word in &words {
        assert_eq!(plain.text().await, *word);
    }
    assert_eq!(plain.closed().await.0, 1000);
}

#[tokio::test]
async fn who_goes_on_when_refused_gets_every_answer_and_is_not_read_until_there_is_a_token() {
    let app = TestApp::with(|settings| settings.limits.messages_per_second = NonZeroU32::new(2)).await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    let ids = 1..=18;
    for id in ids.clone() {
        let mut command = send(&format!("k{id}"), "x");
        command["id"] = id.into();
        v1.say(&command.to_string()).await;
    }
    let mut refused = Vec::new();
    for id in ids {
        let answer = v1.answer(json!(id)).await.expect("an open connection");
        let error = &answer["error"];
        if !error.is_null() {
            assert!(error["code"] == "rate_limited" && error["retry_after_ms"].is_u64(), "{answer}");
            refused.push(id);
        }
    }
    assert!(refused.first().is_none_or(|id| *id > 10), "five seconds' worth may come at once: {refused:?}");
    assert!(refused.windows(2).all(|pair| pair[0] + 1 < pair[1]), "there was a token after each: {refused:?}");
}

#[tokio::test]
async fn frames_that_complete_no_message_are_paid_for() {
    let app = TestApp::with(|settings| settings.limits.bytes_per_second = NonZeroU32::new(1_000)).await;
    let cases = [
        frame(0x89, &[b'x'; 125]).repeat(200),
        [frame(0x89, b"").repeat(20), frame(0x8A, b"").repeat(200)].concat(),
        // All that these say is the text "x"; the last of them is never read.
        [frame(0x01, b"x"), frame(0x00, b"").repeat(10_000), frame(0x80, b"")].concat(),
    ];
    let mut open = Vec::new();
    for (number, frames) in cases.into_iter().enumerate() {
        let room = format!("/room/{number}/");
        let mut other = Plain::connect(app.address, &room).await;
        app.has_members(2 * number + 1).await;
        let mut raw = Raw::upgraded(app.address, &room).await;
        // It is a member when it hears itself.
        raw.send(&frame(0x81, b"in")).await;
        assert_eq!((raw.frame().await, other.text().await), (Some((0x81, b"in".to_vec())), "in".to_owned()));
        raw.send(&frames).await;
        raw.send(&frame(0x81, b"out")).await;
        other.say("others go on").await;
        assert_eq!(other.text().await, "others go on");
        let mut pongs = 0;
        loop {
            match raw.frame().await {
                Some((0x8A, _)) => pongs += 1,
                said => {
                    assert_eq!(said, Some((0x81, b"others go on".to_vec())));
                    break;
                }
            }
        }
        assert!(pongs < 100, "it is read slowly: {pongs}");
        // What it is told comes at once, all the same.
        other.say("and on").await;
        assert_eq!((other.text().await, raw.frame().await), ("and on".to_owned(), Some((0x81, b"and on".to_vec()))));
        open.push((raw, other));
    }
}

#[tokio::test]
async fn the_number_of_topics_is_what_the_settings_say() {
    let app = TestApp::with(|settings| settings.limits.topics_per_connection = NonZeroUsize::new(2)).await;
    // The group in the address is one of them.
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    v1.join("lobby", None).await;
    v1.join("room/a", None).await;
    let error = v1.error(json!({"join": {"topic": "room/b"}})).await;
    assert_eq!(error["code"], "too_large");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(" 2 ")), "{error}");
    v1.ok(json!({"leave": {"topic": "lobby"}})).await;
    v1.join("room/b", None).await;
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_connections_and_a_place_is_free_when_one_leaves() {
    let app = TestApp::with(|settings| settings.limits.connections_per_account = NonZeroU32::new(2)).await;
    let mut first = Plain::with(app.address, "/room/a/", &[ANN]).await;
    let mut second = V1::with(app.address, "/ws/", &[ANN]).await;
    let (code, reason) = Plain::with(app.address, "/room/a/", &[ANN]).await.closed().await;
    assert_eq!(code, 4503);
    assert!(reason.contains("account") && reason.contains(" 2 "), "the bound is named: {reason}");
    // Others on the same address are not concerned, whether they show who they are or not.
    V1::with(app.address, "/ws/", &[BOB]).await;
    let mut strangers = Vec::new();
    for _ in 0..5 {
        strangers.push(V1::connect(app.address, "/ws/").await);
    }
    second.join("room/a", None).await;

    first.say("exit").await;
    assert_eq!(first.closed().await.0, 1000);
    // The server notices the end of a connection when it gets to it, so the place is asked for until it is there.
    let admitted = async {
        loop {
            let mut raw = Raw::connect(app.address).await;
            raw.send(request("GET /room/a/ HTTP/1.1", &[&UPGRADE[..], &[ANN]].concat()).as_bytes()).await;
            match raw.head().await.status {
                // So many are being told at the moment.
                429 => continue,
                status => assert_eq!(status, 101),
            }
            raw.send(&frame(0x89, b"in?")).await;
            if raw.frame().await.is_some_and(|(first, _)| first == 0x8A) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, admitted).await.expect("the place is free again");
}

#[tokio::test]
async fn the_tabs_and_the_form_of_one_account_share_one_rate() {
    let app = TestApp::with(|settings| {
        settings.limits.messages_per_second = NonZeroU32::new(1_000);
        settings.limits.messages_per_second_per_account = NonZeroU32::new(1);
    })
    .await;
    let mut other = V1::with(app.address, "/room/a/", &[BOB]).await;
    let mut tab = V1::with(app.address, "/room/a/", &[ANN]).await;
    // What plain clients say is taken and paid off afterwards: a minute and a half, with these.
    let mut tabs = Vec::new();
    for _ in 0..95 {
        let mut tab = Plain::with(app.address, "/room/a/", &[ANN]).await;
        tab.say("x").await;
        tabs.push(tab);
    }
    for _ in &tabs {
        assert_eq!(other.push().await["event"]["text"], "x");
    }
    let error = tab.error(send("k", "y")).await;
    assert_eq!(error["code"], "rate_limited");
    // Who shows no secret has a connection's rate alone.
    let mut stranger = V1::connect(app.address, "/ws/").await;
    for _ in 0..20 {
        stranger.join("room/a", None).await;
    }
    assert!(error["message"].as_str().is_some_and(|message| message.contains("all of your connections")), "{error}");
    let wait = error["retry_after_ms"].as_u64().expect("a time");
    assert!((1_001..=91_001).contains(&wait), "{wait}");

    let form = [("key", "f"), ("text", "from the form")];
    let said = |who| browser().post(app.url("/room/a/")).header(ANN.0, who).form(&form).send();
    let response = within("an answer", said(ANN.1)).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=92).contains(&retry_after(&response)));
    let page = response.text().await.expect("a page");
    assert!(page.contains("from the form") && page.contains("At most 1 messages a second"), "{page}");
    assert_eq!(within("an answer", said(BOB.1)).await.expect("an answer").status(), StatusCode::SEE_OTHER);
    assert_eq!(other.push().await["event"]["text"], "from the form");
    assert_eq!(other.pushes_so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn forms_without_a_cookie_share_the_rate_of_their_address() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.messages_per_second = NonZeroU32::new(1);
        settings.limits.messages_per_second_per_account = NonZeroU32::new(1);
    })
    .await;
    let said = async |address: &'static str, cookie: Option<&'static str>| {
        let form = browser().post(app.url("/room/a/")).header("x-forwarded-for", address).form(&[("key", "k"), ("text", "x")]);
        let form = if let Some(cookie) = cookie { form.header("cookie", cookie) } else { form };
        within("an answer", form.send()).await.expect("an answer")
    };
    let mut refused = None;
    // Each is an author of its own, and five seconds' worth goes through at once.
    for _ in 0..100 {
        let answer = said("203.0.113.7", None).await;
        if answer.status() != StatusCode::SEE_OTHER {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a hundred are more than one a second");
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(retry_after(&refused) >= 1);
    let page = refused.text().await.expect("a page");
    assert!(page.contains("At most 1 messages a second are taken from all who come from your address"), "{page}");
    assert_eq!(said("203.0.113.7", Some(ANN.1)).await.status(), StatusCode::SEE_OTHER, "who has a cookie has an account");
    assert_eq!(said("203.0.113.8", None).await.status(), StatusCode::SEE_OTHER, "another address");
}

#[tokio::test]
async fn without_a_rate_on_connections_accounts_have_none() {
    let app = TestApp::with(|settings| {
        settings.limits.messages_per_second = None;
        settings.limits.messages_per_second_per_account = NonZeroU32::new(1);
    })
    .await;
    let mut v1 = V1::with(app.address, "/ws/", &[ANN]).await;
    for _ in 0..100 {
        v1.join("room/a", None).await;
    }
}

#[tokio::test]
async fn the_tabs_of_one_account_share_one_rate_of_bytes() {
    let app = TestApp::with(|settings| {
        settings.limits.bytes_per_second = NonZeroU32::new(1_000_000);
        settings.limits.bytes_per_second_per_account = NonZeroU32::new(1_000);
    })
    .await;
    let mut tab = V1::with(app.address, "/room/a/", &[ANN]).await;
    let mut second = V1::with(app.address, "/room/a/", &[ANN]).await;
    let mut other = V1::with(app.address, "/room/a/", &[BOB]).await;
    tab.ok(send("k1", &"x".repeat(60_000))).await;
    let error = second.error(send("k2", "y")).await;
    assert_eq!(error["code"], "rate_limited");
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains("1000 bytes") && message.contains("all of your connections"), "{error}");
    let wait = error["retry_after_ms"].as_u64().expect("a time");
    assert!((1_001..60_000).contains(&wait), "{wait}");
    other.post("room/a", "k3", "z").await;
}

#[tokio::test]
async fn the_connections_and_requests_of_one_address_share_one_rate_of_bytes() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.bytes_per_second_per_address = NonZeroU32::new(1_000);
    })
    .await;
    let one = "203.0.113.7";
    let mut v1 = V1::with(app.address, "/room/a/", &[(FORWARDED, one)]).await;
    let mut plain = Plain::with(app.address, "/room/a/", &[(FORWARDED, one)]).await;
    let mut second = V1::with(app.address, "/room/a/", &[(FORWARDED, one)]).await;
    let mut other = V1::with(app.address, "/room/a/", &[(FORWARDED, "203.0.113.8")]).await;
    app.has_members(4).await;
    v1.ok(send("k1", &"x".repeat(60_000))).await;
    assert_eq!(plain.text().await.len(), 60_000);
    // A plain client says one thing more, which is charged too, and is not read for a minute.
    plain.say("waits").await;
    assert_eq!(
        (other.push().await["event"]["key"].clone(), other.push().await["event"]["text"].clone()),
        ("k1".into(), "waits".into())
    );
    let error = second.error(send("k2", "y")).await;
    assert_eq!(error["code"], "rate_limited");
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains("1000 bytes") && message.contains("one address"), "{error}");
    let wait = error["retry_after_ms"].as_u64().expect("a time");
    assert!((1_001..90_000).contains(&wait), "{wait}");

    for path in ["/room/a/", "/api/v1/rooms/a/messages"] {
        let response = asked(&app, path, one).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        assert!((1..=90).contains(&retry_after(&response)), "{path}");
        assert!(response.text().await.expect("a body").contains("1000 bytes a second"), "{path}");
    }
    // Others are not concerned, and neither is this machine.
    other.post("room/a", "k3", "z").await;
    assert_eq!(app.get("/room/a/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_said_costs_the_address_the_copies_too() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.bytes_per_second_per_address = NonZeroU32::new(13_500);
    })
    .await;
    let one = [(FORWARDED, "203.0.113.7")];
    let mut quiet = V1::with(app.address, "/room/quiet/", &one).await;
    let mut talker = V1::with(app.address, "/room/a/", &one).await;
    let mut second = V1::with(app.address, "/ws/", &one).await;
    let mut members = Vec::new();
    for _ in 0..100 {
        members.push(Plain::connect(app.address, "/room/a/").await);
    }
    app.has_members(102).await;
    // Five seconds' worth are 67,500 bytes: enough for all of this, but for the copies.
    quiet.post("room/quiet", "k1", &"x".repeat(3_000)).await;
    assert_eq!(second.error(json!({"leave": {"topic": "room/b"}})).await["code"], "not_joined");
    talker.ok(send("k2", &"x".repeat(60_000))).await;
    let error = second.error(json!({"leave": {"topic": "room/b"}})).await;
    assert_eq!(error["code"], "rate_limited");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("one address")), "{error}");
}

#[tokio::test]
async fn what_is_sent_and_answered_over_http_is_charged_to_the_address() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.bytes_per_second_per_address = NonZeroU32::new(1_000);
    })
    .await;
    let form = format!("key=k&text={}", "x".repeat(60_000));
    let said = async |address, head: &str, body: String| {
        let mut raw = Raw::connect(app.address).await;
        let headers = [
            ("Host", "confab.example"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            (FORWARDED, address),
            head.split_once(": ").expect("a header"),
        ];
        raw.send(request("POST /room/a/ HTTP/1.1", &headers).as_bytes()).await;
        raw.send(body.as_bytes()).await;
        assert_eq!(raw.head().await.status, 303);
    };
    said("203.0.113.7", &format!("Content-Length: {}", form.len()), form.clone()).await;
    said("203.0.113.8", "Transfer-Encoding: chunked", format!("{:x}\r\n{form}\r\n0\r\n\r\n", form.len())).await;
    for address in ["203.0.113.7", "203.0.113.8"] {
        let refused = asked(&app, "/room/a/", address).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!((1..=90).contains(&retry_after(&refused)), "{}", retry_after(&refused));
    }
    // The page of the room has what was said.
    let reader = "203.0.113.9";
    assert_eq!(asked(&app, "/room/a/", reader).await.status(), StatusCode::OK);
    let refused = asked(&app, "/room/a/", reader).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=1_000).contains(&retry_after(&refused)), "{}", retry_after(&refused));
}

#[tokio::test]
async fn an_export_is_charged_to_the_address_and_goes_on_when_that_is_paid_for() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.bytes_per_second_per_address = NonZeroU32::new(1);
    })
    .await;
    // Without the header nobody in particular has said it.
    let mut author = V1::connect(app.address, "/room/a/").await;
    for n in 0..20 {
        author.ok(send(&format!("k{n}"), &"x".repeat(60_000))).await;
    }
    let mut begun = asked(&app, "/api/v1/rooms/a/export", "203.0.113.7").await;
    assert_eq!(begun.status(), StatusCode::OK);
    let first = within("the first page", begun.chunk()).await.expect("a body");
    assert!(first.is_some_and(|first| first.len() > 1_000));
    let refused = asked(&app, "/api/v1/rooms", "203.0.113.7").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    // Another export is read to its end, and of this one the pages after the first have not come.
    let other = within("a body", app.get("/api/v1/rooms/a/export").await.text()).await.expect("a whole file");
    assert_eq!(other.lines().count(), 20);
    let mut length = 0;
    while let Some(Ok(Some(chunk))) = begun.chunk().now_or_never() {
        length += chunk.len();
    }
    assert!(length < other.len() / 2, "{length} of {} bytes", other.len());
}

#[tokio::test]
async fn the_answer_to_a_join_is_paid_for_by_its_size() {
    let app = TestApp::with(|settings| settings.limits.bytes_per_second = NonZeroU32::new(10_000)).await;
    for n in 0..4 {
        let mut v1 = V1::connect(app.address, "/room/a/").await;
        v1.ok(send(&format!("k{n}"), &"x".repeat(60_000))).await;
    }
    let mut reader = V1::connect(app.address, "/ws/").await;
    // What is short is paid for at once, though its length was not known before.
    for _ in 0..10 {
        reader.join("room/empty", None).await;
    }
    assert_eq!(reader.join("room/a", None).await["events"].as_array().map(Vec::len), Some(4));
    let error = reader.error(json!({"leave": {"topic": "room/a"}})).await;
    assert_eq!(error["code"], "rate_limited");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("10000 bytes")), "{error}");
    let wait = error["retry_after_ms"].as_u64().expect("a time");
    assert!((1_001..25_000).contains(&wait), "{wait}");
}

fn retry_after(response: &Response) -> u64 {
    response.headers()[header::RETRY_AFTER].to_str().expect("ASCII").parse().expect("seconds")
}

/// Asks as an address until that is too much.
async fn refused(app: &TestApp, path: &str, address: &str) -> Response {
    for _ in 0..1_000 {
        let response = asked(app, path, address).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            return response;
        }
    }
    panic!("{path} has no bound for {address}");
}

async fn asked(app: &TestApp, path: &str, address: &str) -> Response {
    within(path, browser().get(app.url(path)).header(FORWARDED, address).send()).await.expect("an answer")
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.server.metrics = MetricsFor::Everyone;
        settings.limits.requests_per_second = NonZeroU32::new(1);
    })
    .await;
    let one = "203.0.113.7";
    for path in ["/", "/room/a/", "/ws/a/", "/nowhere"] {
        let response = refused(&app, path, one).await;
        assert!((1..=2).contains(&retry_after(&response)), "{path}");
        assert!(response.headers()[header::CONTENT_TYPE].to_str().is_ok_and(|kind| kind.starts_with("text/html")));
        assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(response.text().await.expect("a page").contains("at most 1 requests a second"));
    }
    let response = refused(&app, "/api/v1/rooms/a/messages", one).await;
    assert!((1..=2).contains(&retry_after(&response)));
    let error: Value = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    assert_eq!(error["error"]["code"], "rate_limited");
    assert!(error["error"]["retry_after_ms"].as_u64().is_some_and(|wait| (1..=1_001).contains(&wait)), "{error}");

    // What operators and pages need is not counted.
    for path in ["/healthz", "/readyz", "/metrics", "/pkg/dev/confab.css"] {
        for _ in 0..20 {
            assert_ne!(asked(&app, path, one).await.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        }
    }
    // Neither is what others ask, nor what comes from this machine.
    assert_eq!(asked(&app, "/room/a/", "203.0.113.8").await.status(), StatusCode::OK);
    for _ in 0..20 {
        assert_eq!(app.get("/room/a/").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_handshake_is_a_request_too() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.requests_per_second = NonZeroU32::new(1);
    })
    .await;
    let headers = [&UPGRADE[..], &[(FORWARDED, "203.0.113.7")]].concat();
    let mut open = Vec::new();
    let head = loop {
        let mut raw = Raw::connect(app.address).await;
        raw.send(request("GET /room/a/ HTTP/1.1", &headers).as_bytes()).await;
        match raw.head().await {
            head if head.status == 101 => open.push(raw),
            head => break head,
        }
        assert!(open.len() < 1_000, "there is no bound");
    };
    assert!(open.len() >= 5, "{}", open.len());
    assert_eq!(head.status, 429);
    assert!(head.get("retry-after").is_some_and(|seconds| ["1", "2"].contains(&seconds)), "{head:?}");
    let metrics = app.get("/metrics").await.text().await.expect("a body");
    assert!(metrics.contains("confab_connections_refused_total{reason=\"too_soon\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn an_ipv6_network_counts_as_one_address() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.connections_per_address = NonZeroU32::new(1);
    })
    .await;
    let _first = V1::with(app.address, "/ws/", &[(FORWARDED, "2001:db8:1:2::1")]).await;
    let same = [(FORWARDED, "2001:db8:1:2:ffff::2")];
    assert_eq!(Plain::with(app.address, "/room/a/", &same).await.closed().await.0, 4503);
    let _other = V1::with(app.address, "/ws/", &[(FORWARDED, "2001:db8:1:3::1")]).await;
}

#[tokio::test]
async fn a_trusted_proxy_says_whom_it_speaks_for_and_nobody_else_does() {
    let limited = |settings: &mut Settings| settings.limits.connections_per_address = NonZeroU32::new(1);
    let app = TestApp::with(|settings| {
        proxied(settings);
        limited(settings);
    })
    .await;
    let mut one = V1::with(app.address, "/ws/", &[(FORWARDED, "203.0.113.7")]).await;
    let mut other = V1::with(app.address, "/ws/", &[(FORWARDED, "203.0.113.8")]).await;
    // What stands before the last address is what the client has made up.
    let spoofed = [(FORWARDED, "198.51.100.1, 203.0.113.7")];
    assert_eq!(Plain::with(app.address, "/room/a/", &spoofed).await.closed().await.0, 4503);
    one.ok(json!({"ping": {}})).await;
    other.ok(json!({"ping": {}})).await;

    let app = TestApp::with(limited).await;
    let mut one = V1::with(app.address, "/ws/", &[(FORWARDED, "203.0.113.7")]).await;
    let unheard = [(FORWARDED, "203.0.113.8")];
    assert_eq!(Plain::with(app.address, "/room/a/", &unheard).await.closed().await.0, 4503);
    one.ok(json!({"ping": {}})).await;
}

#[tokio::test]
async fn the_topics_of_all_connections_of_an_address_are_bounded_together_and_given_back() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.topics_per_connection = NonZeroUsize::new(4);
    })
    .await;
    let one = [(FORWARDED, "203.0.113.7")];
    let join = |room: &str| json!({"join": {"topic": format!("room/{room}")}});
    let mut sockets = Vec::new();
    for number in 0..32 {
        let mut socket = V1::with(app.address, "/ws/", &one).await;
        for topic in 0..4 {
            socket.ok(join(&format!("r-{number}-{topic}"))).await;
        }
        sockets.push(socket);
    }
    let mut late = V1::with(app.address, "/ws/", &one).await;
    let error = late.error(join("one-more")).await;
    assert_eq!(error["code"], "too_large");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("128 topics together")), "{error}");
    sockets[0].ok(json!({"leave": {"topic": "room/r-0-0"}})).await;
    late.ok(join("one-more")).await;
    assert_eq!(late.error(join("and-another")).await["code"], "too_large");
    // Who joins what they are in takes no place, and another address has its own.
    late.ok(join("one-more")).await;
    V1::with(app.address, "/ws/", &[(FORWARDED, "203.0.113.8")]).await.ok(join("and-another")).await;
    // A connection that ends gives back all of its own.
    drop(sockets.pop());
    let free = async { while late.ask(join("and-another")).await["ok"].is_null() {} };
    within("a free place", free).await;
}

#[tokio::test]
async fn an_address_has_a_bounded_number_of_bodies_on_their_way() {
    let app = TestApp::with(proxied).await;
    let begin = async |address| {
        let mut raw = Raw::connect(app.address).await;
        let headers = [
            ("Host", "confab.example"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", "14"),
            ("Expect", "100-continue"),
            (FORWARDED, address),
        ];
        raw.send(request("POST /room/a/ HTTP/1.1", &headers).as_bytes()).await;
        let status = raw.head().await.status;
        (raw, status)
    };
    let mut begun = Vec::new();
    for number in 0..64 {
        let (raw, status) = begin("203.0.113.7").await;
        assert_eq!(status, 100, "{number}");
        begun.push(raw);
    }
    assert_eq!(begin("203.0.113.7").await.1, 429);
    assert_eq!(begin("203.0.113.8").await.1, 100, "another address has its own");
    let mut first = begun.remove(0);
    first.send(b"key=k&text=yes").await;
    assert_eq!(first.head().await.status, 303);
    assert_eq!(begin("203.0.113.7").await.1, 100, "a place is free again");
}

#[tokio::test]
async fn a_list_by_a_part_of_a_name_is_charged_for_the_names_that_are_looked_at() {
    let app = TestApp::with(|settings| {
        proxied(settings);
        settings.limits.bytes_per_second_per_address = NonZeroU32::new(1_000);
    })
    .await;
    // Without the header nobody in particular has said it.
    let mut author = V1::connect(app.address, "/ws/").await;
    for room in 0..100 {
        let topic = format!("room/r{room}");
        author.ok(json!({"join": {"topic": topic}})).await;
        author.ok(json!({"send": {"topic": topic, "key": "k", "text": "used"}})).await;
    }
    let (named, all) = ("/api/v1/rooms?name=nothing", "/api/v1/rooms/r1/messages?limit=1");
    // Five seconds' worth are 5,000 bytes, and the names of a hundred rooms come to 3,200.
    let answer = asked(&app, named, "203.0.113.7").await;
    assert!(answer.status() == StatusCode::OK && answer.content_length().is_some_and(|length| length < 100));
    assert_eq!(asked(&app, named, "203.0.113.7").await.status(), StatusCode::OK);
    assert_eq!(asked(&app, all, "203.0.113.7").await.status(), StatusCode::TOO_MANY_REQUESTS);
    for _ in 0..3 {
        assert_eq!(asked(&app, all, "203.0.113.8").await.status(), StatusCode::OK, "what is as short costs little");
    }
}
