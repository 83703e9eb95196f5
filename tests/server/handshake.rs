//! One address, two protocols: which request becomes a WebSocket, which a page, and which is refused with what.

use std::num::NonZeroU32;

use confab::server::settings::{AllowedOrigin, History, RoomRule, Settings};

use crate::{
    PATIENCE,
    app::{Http as _, TestApp, rule},
    clients::{Head, Plain, Raw, UPGRADE, V1, frame, request},
    within,
};

/// A handshake with one header changed, added, or taken away.
fn handshake(name: &str, value: Option<&str>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> =
        UPGRADE.iter().filter(|(key, _)| *key != name).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    headers
}

/// The head of the answer to one request on a connection of its own.
async fn ask(app: &TestApp, first_line: &str, headers: &[(impl AsRef<str>, impl AsRef<str>)]) -> Head {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    let mut raw = Raw::connect(app.address).await;
    raw.send(request(first_line, &headers).as_bytes()).await;
    raw.head().await
}

#[tokio::test]
async fn every_address_of_a_group_accepts_a_handshake_with_the_value_of_the_rfc() {
    let app = TestApp::start().await;
    for path in ["/room/a/", "/room/a", "/ws/a/", "/ws/a", "/chat/a/", "/chat/a", "/room/a/?x=1"] {
        let head = ask(&app, &format!("GET {path} HTTP/1.1"), &UPGRADE).await;
        assert_eq!(head.status, 101, "{path}");
        assert_eq!(head.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{path}");
        assert_eq!(head.get("upgrade"), Some("websocket"), "{path}");
        assert!(head.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")), "{path}");
        assert_eq!(head.get("sec-websocket-extensions"), None, "{path}");
    }
}

#[tokio::test]
async fn the_sub_protocol_is_named_only_where_the_client_offers_it() {
    let app = TestApp::start().await;
    for (offered, chosen) in [
        (None, None),
        (Some("confab.v1"), Some("confab.v1")),
        (Some("graphql-ws, confab.v1"), Some("confab.v1")),
        (Some("graphql-ws"), None),
        (Some("confab.v10"), None),
    ] {
        let head = ask(&app, "GET /room/a/ HTTP/1.1", &handshake("Sec-WebSocket-Protocol", offered)).await;
        assert_eq!((head.status, head.get("sec-websocket-protocol")), (101, chosen), "{offered:?}");
    }
}

#[tokio::test]
async fn the_address_without_a_group_is_for_confab_v1_alone() {
    let app = TestApp::start().await;
    for path in ["/ws/", "/ws"] {
        let first_line = format!("GET {path} HTTP/1.1");
        assert_eq!(ask(&app, &first_line, &handshake("Sec-WebSocket-Protocol", Some("confab.v1"))).await.status, 101);
        assert_eq!(ask(&app, &first_line, &UPGRADE).await.status, 400);
        assert_eq!(ask(&app, &first_line, &[("Host", "confab.example")]).await.status, 426);
    }
}

#[tokio::test]
async fn without_an_upgrade_the_same_address_is_a_page() {
    let app = TestApp::start().await;
    let page = app.get("/room/a/").await;
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-type"].to_str().is_ok_and(|value| value.starts_with("text/html")));
    assert!(page.headers().get_all("vary").iter().any(|value| value.to_str().is_ok_and(|value| value.contains("upgrade"))));
    let page = app.get("/room/a").await;
    assert_eq!((page.status().as_u16(), page.headers()["location"].to_str().ok()), (308, Some("/room/a/")));
    for path in ["/ws/a/", "/ws/a", "/chat/a/", "/chat/a"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["upgrade"]), (426, &"websocket".parse().expect("ASCII")));
    }
}

#[tokio::test]
async fn a_bad_handshake_is_told_what_is_wrong_with_it() {
    let app = TestApp::start().await;
    for (name, value, status) in [
        ("Sec-WebSocket-Version", Some("8"), 426),
        ("Sec-WebSocket-Version", Some("14"), 426),
        ("Sec-WebSocket-Version", None, 426),
        ("Sec-WebSocket-Key", None, 400),
        ("Sec-WebSocket-Key", Some(""), 400),
        ("Sec-WebSocket-Key", Some("c2hvcnQ="), 400),
        ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZSE="), 400),
        ("Sec-WebSocket-Key", Some("not base64 at all!!!!!!!"), 400),
        ("Connection", None, 400),
        ("Connection", Some("keep-alive"), 400),
    ] {
        let head = ask(&app, "GET /room/a/ HTTP/1.1", &handshake(name, value)).await;
        assert_eq!(head.status, status, "{name}: {value:?}");
        let version = (status == 426).then_some("13");
        assert_eq!(head.get("sec-websocket-version"), version, "{name}: {value:?}");
    }
    let twice: Vec<_> =
        UPGRADE.into_iter().chain(UPGRADE.into_iter().filter(|(name, _)| *name == "Sec-WebSocket-Key")).collect();
    assert_eq!(ask(&app, "GET /room/a/ HTTP/1.1", &twice).await.status, 400, "two keys");
    assert_eq!(ask(&app, "GET /room/a/ HTTP/1.0", &UPGRADE).await.status, 400);
    assert_eq!(ask(&app, "HEAD /room/a/ HTTP/1.1", &UPGRADE).await.status, 400);
    for first_line in ["GARBAGE", "GET /room/a/ HTTP/9.9", "GET /room/\u{1}/ HTTP/1.1"] {
        assert_eq!(ask(&app, first_line, &UPGRADE).await.status, 400, "{first_line}");
    }
    let mut tokens = handshake("Connection", Some("keep-alive, UPGRADE"));
    tokens.retain(|(name, _)| name != "Upgrade");
    tokens.push(("Upgrade".to_owned(), "WebSocket".to_owned()));
    assert_eq!(ask(&app, "GET /room/a/ HTTP/1.1", &tokens).await.status, 101, "tokens have no case");
}

#[tokio::test]
async fn a_name_that_is_no_group_is_not_found() {
    let app = TestApp::start().await;
    let long = "x".repeat(65);
    for bad in ["a%20b", "a.b", "%C3%A9", "%00", "%FF", "a%2Fb", "..%2Fetc", &long] {
        for path in [format!("/room/{bad}/"), format!("/room/{bad}")] {
            assert_eq!(app.get(&path).await.status(), 404, "{path}");
        }
        for path in [format!("/room/{bad}/"), format!("/room/{bad}"), format!("/ws/{bad}/"), format!("/chat/{bad}/")] {
            assert_eq!(ask(&app, &format!("GET {path} HTTP/1.1"), &UPGRADE).await.status, 404, "{path}");
        }
    }
    let longest = format!("/room/{}/", "x".repeat(64));
    assert_eq!(app.get(&longest).await.status(), 200);
    assert_eq!(ask(&app, &format!("GET {longest} HTTP/1.1"), &UPGRADE).await.status, 101);
}

#[tokio::test]
async fn sockets_are_for_own_pages_allowed_ones_and_programs() {
    let strict = TestApp::with(|settings| {
        settings.server.allowed_origins = vec!["https://friend.example".parse().expect("an origin")];
    })
    .await;
    let open = TestApp::with(|settings| settings.server.allowed_origins = vec![AllowedOrigin::Any]).await;
    for (origin, status) in [
        (None, 101),
        (Some("http://confab.example"), 101),
        (Some("http://confab.example:80"), 101),
        (Some("https://confab.example"), 101),
        (Some("https://Confab.Example.:443"), 101),
        (Some("http://confab.example:443"), 403),
        (Some("https://friend.example"), 101),
        (Some("http://friend.example"), 403),
        (Some("https://foreign.example"), 403),
        (Some("http://confab.example.foreign.example"), 403),
        (Some("http://confab.example:81"), 403),
        (Some("null"), 403),
        (Some(""), 403),
    ] {
        let headers = handshake("Origin", origin);
        for path in ["/room/a/", "/chat/a/"] {
            let first_line = format!("GET {path} HTTP/1.1");
            assert_eq!(ask(&strict, &first_line, &headers).await.status, status, "{origin:?}");
            assert_eq!(ask(&open, &first_line, &headers).await.status, 101, "{origin:?}");
        }
    }
}

#[tokio::test]
async fn a_proxy_may_name_the_port_that_the_scheme_implies() {
    let app = TestApp::start().await;
    for (host, origin, status) in [
        ("confab.example:443", "https://confab.example", 101),
        ("confab.example:80", "http://confab.example", 101),
        ("CONFAB.example.:443", "https://confab.example", 101),
        ("confab.example:8443", "https://confab.example", 403),
        ("confab.example", "https://confab.example:8443", 403),
    ] {
        for proto in ["http", "https"] {
            let mut headers = UPGRADE.to_vec();
            headers[0] = ("Host", host);
            headers.extend([("Origin", origin), ("X-Forwarded-Proto", proto)]);
            assert_eq!(ask(&app, "GET /room/a/ HTTP/1.1", &headers).await.status, status, "{host} {origin} {proto}");
        }
    }
}

#[tokio::test]
async fn a_plain_client_is_given_a_sub_protocol_that_the_rule_of_its_room_names() {
    let rules = |settings: &mut Settings| {
        let protocols = ["chat.v2", "soap"].map(|name| name.parse().expect("a sub-protocol")).to_vec();
        settings.rooms = vec![RoomRule { protocols, ..rule("old-*", History::Store) }, rule("*", History::Store)];
    };
    let app = TestApp::with(rules).await;
    for (group, offered, taken_up) in [
        ("old-a", Some("chat.v2"), Some("chat.v2")),
        ("old-a", Some("x, soap, chat.v2"), Some("soap")),
        ("old-a", Some("soap, confab.v1"), Some("confab.v1")),
        ("old-a", Some("CHAT.V2"), None),
        ("old-a", None, None),
        ("a", Some("chat.v2"), None),
        ("a", Some("chat.v2, confab.v1"), Some("confab.v1")),
    ] {
        for path in ["room", "ws", "chat"] {
            let first_line = format!("GET /{path}/{group}/ HTTP/1.1");
            let head = ask(&app, &first_line, &handshake("Sec-WebSocket-Protocol", offered)).await;
            assert_eq!((head.status, head.get("sec-websocket-protocol")), (101, taken_up), "{first_line} {offered:?}");
        }
    }
    // It speaks as plain clients do, and who is one too many hears of it.
    let app = TestApp::with(|settings| {
        rules(settings);
        settings.limits.connections_per_address = NonZeroU32::new(1);
    })
    .await;
    let offer = [("sec-websocket-protocol", "chat.v2")];
    let mut first = Plain::with(app.address, "/room/old-a/", &offer).await;
    first.say("hello").await;
    assert_eq!(first.text().await, "hello");
    let mut second = Plain::with(app.address, "/room/old-a/", &offer).await;
    assert_eq!(second.closed().await.0, 4503);
}

#[tokio::test]
async fn rooms_that_the_settings_do_not_have_or_not_for_guests() {
    let app = TestApp::with(|settings| {
        settings.rooms = vec![rule("open-*", History::Store), RoomRule { guests: false, ..rule("closed-*", History::Store) }];
    })
    .await;
    for (group, status) in [("open-a", None), ("closed-a", Some(403)), ("other", Some(404))] {
        assert_eq!(app.get(&format!("/room/{group}/")).await.status(), status.unwrap_or(200), "{group}");
        let api = app.api(&format!("/api/v1/rooms/{group}/messages")).await;
        assert_eq!(api.0, status.unwrap_or(200), "{group}");
        for protocol in [None, Some("confab.v1")] {
            for path in ["room", "ws", "chat"] {
                let first_line = format!("GET /{path}/{group}/ HTTP/1.1");
                let head = ask(&app, &first_line, &handshake("Sec-WebSocket-Protocol", protocol)).await;
                assert_eq!(head.status, status.unwrap_or(101), "{first_line} {protocol:?}");
            }
        }
    }
    let mut v1 = V1::connect(app.address, "/ws/").await;
    for (topic, code) in [("room/closed-a", "forbidden"), ("room/other", "not_found")] {
        assert_eq!(v1.error(serde_json::json!({"join": {"topic": topic}})).await["code"], code);
    }
    v1.join("room/open-a", None).await;
}

#[tokio::test]
async fn an_address_has_a_bounded_number_of_connections_and_a_place_is_free_when_one_leaves() {
    let app = TestApp::with(|settings| settings.limits.connections_per_address = NonZeroU32::new(2)).await;
    let mut first = Plain::connect(app.address, "/room/a/").await;
    let mut second = V1::connect(app.address, "/ws/").await;
    let mut third = Plain::connect(app.address, "/room/a/").await;
    let (code, reason) = third.closed().await;
    assert_eq!(code, 4503);
    assert!(reason.contains(" 2 "), "the bound is named: {reason}");
    // Those that are there stay, and pages are not connections in this sense.
    second.join("room/a", None).await;
    assert_eq!(app.get("/room/a/").await.status(), 200);

    first.say("exit").await;
    assert_eq!(first.closed().await.0, 1000);
    // The server notices the end of a connection when it gets to it, so the place is asked for until it is there.
    let admitted = async {
        loop {
            let mut raw = Raw::upgraded(app.address, "/room/a/").await;
            raw.send(&frame(0x89, b"in?")).await;
            if raw.frame().await.is_some_and(|(first, _)| first == 0x8A) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, admitted).await.expect("the place is free again");
}

#[tokio::test]
async fn heads_and_bodies_are_bounded() {
    let app = TestApp::with(|settings| settings.limits.message_bytes = 1000).await;
    let long = "x".repeat(200_000);
    let mut raw = Raw::connect(app.address).await;
    raw.send_in_vain(request("GET /room/a/ HTTP/1.1", &[("Host", "confab.example"), ("X-Long", &long)]).as_bytes()).await;
    assert_eq!(raw.head().await.status, 431);
    let mut raw = Raw::connect(app.address).await;
    let body = "x".repeat(8000);
    let form = [
        ("Host", "confab.example"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", "8000"),
        ("Connection", "close"),
    ];
    raw.send(request("POST /room/a/ HTTP/1.1", &form).as_bytes()).await;
    raw.send_in_vain(body.as_bytes()).await;
    assert_eq!(raw.head().await.status, 413);
    // The server goes on.
    assert_eq!(app.get("/room/a/").await.status(), 200);
}

#[tokio::test]
async fn frames_in_the_same_segment_as_the_handshake_are_not_lost() {
    let app = TestApp::start().await;
    let mut raw = Raw::connect(app.address).await;
    let mut bytes = request("GET /room/a/ HTTP/1.1", &UPGRADE).into_bytes();
    for text in ["one", "two", "three"] {
        bytes.extend(frame(0x81, text.as_bytes()));
    }
    // A frame that is only begun belongs to what follows.
    let last = frame(0x81, b"four");
    bytes.extend(&last[..3]);
    raw.send(&bytes).await;
    assert_eq!(raw.head().await.status, 101);
    for text in ["one", "two", "three"] {
        assert_eq!(raw.frame().await, Some((0x81, text.into())));
    }
    raw.send(&last[3..]).await;
    assert_eq!(raw.frame().await, Some((0x81, b"four".to_vec())));
}

#[tokio::test]
async fn a_stopping_server_says_goodbye_to_everybody() {
    let mut app = TestApp::start().await;
    let mut plain = Plain::connect(app.address, "/room/a/").await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    plain.say("before").await;
    assert_eq!(plain.text().await, "before");
    assert_eq!(v1.push().await["event"]["text"], "before");
    app.begin_to_stop();
    assert_eq!(plain.closed().await.0, 4003);
    assert_eq!(v1.closed().await.0, 4003);
    within("the end", app.stopped()).await;
}

#[tokio::test]
async fn a_handshake_that_is_completed_while_the_server_stops_is_told_so() {
    let mut app = TestApp::start().await;
    let whole = request("GET /room/a/ HTTP/1.1", &UPGRADE);
    let (first, rest) = whole.split_at(whole.len() / 2);
    let mut raw = Raw::connect(app.address).await;
    raw.send(first.as_bytes()).await;
    // Another connection after it shows that the server has seen the first half.
    let mut other = V1::connect(app.address, "/room/a/").await;
    app.begin_to_stop();
    assert_eq!(other.closed().await.0, 4003);
    raw.send(rest.as_bytes()).await;
    assert_eq!(raw.head().await.status, 101);
    assert_eq!(raw.closed().await.0, 4003);
    drop((raw, other));
    app.stopped().await;
}
