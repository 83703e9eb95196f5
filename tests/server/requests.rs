//! What a request has to say before it is looked at, on bytes, and what every answer says.

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokio::runtime::Runtime;

use crate::{
    app::{Http as _, TestApp, browser},
    clients::{Head, Raw, UPGRADE, request},
    within,
};

const HOST: (&str, &str) = ("Host", "confab.example");

/// The answer to one request on a connection of its own.
async fn ask(app: &TestApp, first_line: &str, headers: &[(&str, &str)]) -> Head {
    let mut raw = Raw::connect(app.address).await;
    raw.send(request(first_line, headers).as_bytes()).await;
    raw.head().await
}

#[tokio::test]
async fn a_target_that_is_no_path_of_a_server_is_a_bad_request() {
    let app = TestApp::start().await;
    for line in [
        "CONNECT a:1 HTTP/1.1",
        "CONNECT confab.example:443 HTTP/1.0",
        "CONNECT /room/a/ HTTP/1.1",
        "CONNECT * HTTP/1.1",
        "GET a:1 HTTP/1.1",
        "GET evil.example HTTP/1.1",
        "GET room HTTP/1.1",
        "POST a:1 HTTP/1.1",
        "HEAD evil.example HTTP/1.0",
        "GET * HTTP/1.1",
        "POST * HTTP/1.1",
        "GET ftp://confab.example/ HTTP/1.1",
        "GET http://ann:secret@confab.example/ HTTP/1.1",
        "GET user@confab.example HTTP/1.1",
        "GET room/a/ HTTP/1.1",
        "GET ? HTTP/1.1",
        "GET  HTTP/1.1",
    ] {
        for headers in [&[HOST][..], &[&[HOST][..], &UPGRADE[1..]].concat()] {
            assert_eq!(ask(&app, line, headers).await.status, 400, "{line}");
        }
    }
    // The server goes on, and serves what is asked for in any of the forms of RFC 9112.
    for line in [
        "GET /room/a/ HTTP/1.1",
        "GET http://confab.example/room/a/ HTTP/1.1",
        "GET HTTPS://confab.example:8443/room/a/?x HTTP/1.1",
        "GET http://confab.example HTTP/1.1",
        "GET /?next=http://evil.example HTTP/1.1",
    ] {
        assert_eq!(ask(&app, line, &[HOST]).await.status, 200, "{line}");
    }
    assert_eq!(ask(&app, "OPTIONS * HTTP/1.1", &[HOST]).await.status, 204);
    assert_eq!(ask(&app, "GET http://confab.example/room/a/ HTTP/1.1", &UPGRADE).await.status, 101);
}

#[tokio::test]
async fn a_request_is_for_one_host() {
    let app = TestApp::start().await;
    let hosts: [&[&str]; 14] = [
        &[],
        &["confab.example", "confab.example"],
        &["confab.example", "evil.example"],
        &["confab.example", ""],
        &[""],
        &[" "],
        &["confab.example evil.example"],
        &["confab.example, evil.example"],
        &["confab.example:"],
        &["confab.example:99999"],
        &["confab.example:80:80"],
        &["ann@confab.example"],
        &["http://confab.example"],
        &["confab.example/room"],
    ];
    for hosts in hosts {
        let headers: Vec<_> = hosts.iter().map(|host| ("Host", *host)).collect();
        let status = if hosts == ["confab.example:"] { 200 } else { 400 };
        for path in ["/room/a/", "/healthz", "/api/v1/rooms/a/messages", "/nowhere"] {
            let head = ask(&app, &format!("GET {path} HTTP/1.1"), &headers).await;
            let status = if path == "/nowhere" && status == 200 { 404 } else { status };
            assert_eq!(head.status, status, "{path} {hosts:?}");
        }
        let upgrade = [&headers[..], &UPGRADE[1..]].concat();
        let status = if status == 200 { 101 } else { 400 };
        assert_eq!(ask(&app, "GET /room/a/ HTTP/1.1", &upgrade).await.status, status, "{hosts:?}");
    }
    let mut raw = Raw::connect(app.address).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: caf\xC3\xA9\r\n\r\n").await;
    assert_eq!(raw.head().await.status, 400);
    // Before HTTP/1.1 there was no such header.
    assert_eq!(ask(&app, "GET /healthz HTTP/1.0", &[]).await.status, 200);
    assert_eq!(ask(&app, "GET /healthz HTTP/1.0", &[HOST, HOST]).await.status, 400);
}

#[tokio::test]
async fn only_what_says_so_is_kept_by_caches() {
    let app = TestApp::start().await;
    for (path, kept) in [
        ("/api/v1/rooms/a/messages", "no-store"),
        ("/api/v1/rooms/a/messages?limit=0", "no-store"),
        ("/api/v1/rooms/a/export", "no-store"),
        ("/api/v1/search?q=x", "no-store"),
        ("/api/v1/openapi.json", "no-store"),
        ("/api/v1/nowhere", "no-store"),
        ("/room/a", "no-store"),
        ("/room/?group=a", "no-store"),
        ("/ws/a/", "no-store"),
        ("/healthz", "no-store"),
        ("/readyz", "no-store"),
        ("/metrics", "no-store"),
        ("/pkg/dev/nothing.js", "no-store"),
        ("/nowhere", "no-store"),
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.headers()["cache-control"], kept, "{path}");
    }
    for path in ["/", "/room/a/"] {
        let answer = app.get(path).await;
        let kept = answer.headers()["cache-control"].to_str().expect("ASCII");
        assert!(kept.starts_with("private, no-cache"), "{path}: {kept}");
    }
    let said = browser().post(app.url("/room/a/")).form(&[("key", "k"), ("text", "x")]).send();
    assert_eq!(within("an answer", said).await.expect("an answer").headers()["cache-control"], "no-store");
    // A handshake is kept by nobody anyway.
    assert_eq!(ask(&app, "GET /room/a/ HTTP/1.1", &UPGRADE).await.get("cache-control"), None);
}

#[tokio::test]
async fn every_answer_has_the_date() {
    let app = TestApp::start().await;
    for (line, headers) in [("GET / HTTP/1.1", &[HOST][..]), ("GET /room/a/ HTTP/1.1", &UPGRADE), ("GET * HTTP/1.1", &[HOST])] {
        let head = ask(&app, line, headers).await;
        assert!(head.get("date").is_some_and(|date| date.ends_with(" GMT")), "{line}: {head:?}");
    }
}

/// Heads from which others are made.
const HEADS: [&str; 12] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /room/a/?before=5&around=6 HTTP/1.1\r\nHost: a:80\r\nCookie: confab_guest=0123456789abcdef0123456789abcdef; confab_name=%41\r\n\r\n",
    "GET /room/a/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: confab.v1\r\nSec-WebSocket-Extensions: permessage-deflate; \
     client_max_window_bits\r\nOrigin: http://a\r\n\r\n",
    "GET /api/v1/rooms/a/messages?limit=5 HTTP/1.1\r\nHost: [::1]:3000\r\nAccept: application/json\r\n\r\n",
    "GET /api/v1/search?q=%22a%20b%22 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /search/?q=a&room=b HTTP/1.0\r\n\r\n",
    "HEAD /pkg/dev/confab.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br;q=0.5, gzip\r\nIf-None-Match: \"x\", W/\"y\"\r\n\r\n",
    "POST /me HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n",
    "POST /api/v1/groups/a/send HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    "GET http://a/room/b?c HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4, [::1]:5\r\nX-Forwarded-Proto: https\r\n\r\n",
];

/// What a head may have in it that matters.
const WORDS: [&str; 22] = [
    " ",
    "\r\n",
    "\t",
    "\0",
    ":",
    "//",
    "/../",
    "%",
    "%00",
    "%FF",
    "?",
    "#",
    "*",
    "@",
    "[",
    "]",
    "é",
    "http://",
    "Host: b\r\n",
    "HTTP/1.1",
    "Upgrade: websocket\r\n",
    "CONNECT ",
];

/// A head with some of it changed, which may still be a good one.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..12_usize, 0..4_u8, prop::sample::select(WORDS.to_vec()), any::<u8>());
    (prop::sample::select(HEADS.to_vec()), prop::collection::vec(change, 0..6)).prop_map(|(head, changes)| {
        let mut head = head.as_bytes().to_vec();
        for (place, length, kind, word, byte) in changes {
            let from = place.index(head.len());
            let to = (from + length).min(head.len());
            match kind {
                0 => drop(head.splice(from..from, word.bytes())),
                1 => drop(head.drain(from..to)),
                2 => head[from] = byte,
                _ => {
                    let again = head[from..to].to_vec();
                    drop(head.splice(from..from, again));
                }
            }
            if head.is_empty() {
                head.push(byte);
            }
        }
        head
    })
}

#[test]
fn whatever_a_head_says_it_is_answered() {
    let runtime = Runtime::new().expect("a runtime");
    let app = runtime.block_on(TestApp::start());
    let mut runner = TestRunner::new(Config::with_cases(400));
    let run = runner.run(&heads(), |head| {
        runtime.block_on(async {
            let mut raw = Raw::connect(app.address).await;
            // What is not whole becomes the beginning of this one.
            raw.send_in_vain(&[&head[..], b"\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"].concat()).await;
            let answer = raw.try_head().await;
            let status = answer.map_or(0, |head| head.status);
            if (101..=599).contains(&status) && status != 500 {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{status} to {:?}", String::from_utf8_lossy(&head))))
            }
        })
    });
    run.expect("every head is answered");
    assert_eq!(runtime.block_on(app.get("/room/a/")).status(), 200);
}
