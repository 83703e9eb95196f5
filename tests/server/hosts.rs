//! The names that the server goes by: a page whose name was made to point here reads and writes nothing.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use confab::server::settings::{AllowedHost, Settings};
use serde_json::Value;

use crate::{
    app::TestApp,
    clients::{Raw, UPGRADE, request},
};

/// What `UPGRADE` has beside the host.
fn handshake(host: &str) -> Vec<(&str, &str)> {
    UPGRADE.into_iter().map(|(name, value)| if name == "Host" { (name, host) } else { (name, value) }).collect()
}

fn known(settings: &mut Settings) {
    settings.server.hosts = ["chat.example", "XN--Bcher-Kva.Example."].map(|name| name.parse().expect("a name")).to_vec();
    settings.server.allowed_origins = vec!["https://friend.example:8443".parse().expect("an origin")];
}

async fn status(app: &TestApp, first_line: &str, headers: &[(&str, &str)]) -> u16 {
    let mut raw = Raw::connect(app.address).await;
    raw.send(request(first_line, headers).as_bytes()).await;
    raw.head().await.status
}

/// The whole answer of a connection that is closed after it.
async fn answer(app: &TestApp, path: &str, host: &str, accept: &str) -> (u16, String, String) {
    let mut raw = Raw::connect(app.address).await;
    let headers = [("Host", host), ("Accept", accept), ("Connection", "close")];
    raw.send(request(&format!("GET {path} HTTP/1.1"), &headers).as_bytes()).await;
    let head = raw.head().await;
    let body = String::from_utf8(raw.rest().await).expect("text");
    (head.status, head.get("content-type").unwrap_or_default().to_owned(), body)
}

#[tokio::test]
async fn names_of_the_settings_localhost_and_addresses_are_let_in_and_nothing_else_is() {
    let app = TestApp::with(known).await;
    for (host, expected) in [
        ("localhost", 200),
        ("LocalHost:3000", 200),
        ("localhost.", 200),
        ("127.0.0.1:3000", 200),
        ("10.1.2.3", 200),
        ("[::1]:3000", 200),
        ("[2001:db8::7]", 200),
        ("chat.example", 200),
        ("Chat.Example.:8080", 200),
        ("xn--bcher-kva.example", 200),
        ("friend.example", 200),
        ("evil.example", 421),
        ("evil.example:3000", 421),
        ("chat.example.evil.example", 421),
        ("sub.chat.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("xlocalhost", 421),
        ("evil.localhost", 421),
        ("a\"><script>alert(1)</script>", 421),
        ("chat.example:x", 421),
        ("[::1", 421),
    ] {
        let html = [("Host", host), ("Accept", "text/html")];
        for (path, headers) in [("/", &html[..]), ("/room/a/", &html), ("/api/v1/rooms/a/messages", &html[..1])] {
            let found = status(&app, &format!("GET {path} HTTP/1.1"), headers).await;
            // Another check may come first for what is no host at all.
            assert!(found == expected || (expected == 421 && found == 400), "{host} {path}: {found}");
        }
        let expected = if expected == 200 { 101 } else { expected };
        let found = status(&app, "GET /room/a/ HTTP/1.1", &handshake(host)).await;
        assert!(found == expected || (expected == 421 && found == 400), "{host}: {found}");
    }
}

#[tokio::test]
async fn a_page_that_points_its_name_here_gets_nothing_of_the_server_but_a_word_on_how_to_let_it_in() {
    let app = TestApp::with(known).await;
    for path in ["/", "/room/a/", "/nothing", "/readyz", "/metrics", "/favicon.svg", "/search/?q=a", "/ws/a/"] {
        let (status, kind, body) = answer(&app, path, "evil.example:3000", "text/html,*/*").await;
        assert_eq!((status, &*kind), (421, "text/html; charset=utf-8"), "{path}");
        assert!(body.contains("server.hosts") && body.contains("evil.example"), "{path}: {body}");
        let (status, kind, body) = answer(&app, path, "evil.example", "*/*").await;
        assert_eq!((status, &*kind), (421, "text/plain; charset=utf-8"), "{path}");
        assert!(body.contains("server.hosts = [\"evil.example\"]"), "{path}: {body}");
    }
    let (status, _, body) = answer(&app, "/api/v1/rooms/a/messages", "evil.example", "text/html").await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &body["error"]["code"]), (421, &"forbidden".into()));
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.contains("server.hosts")), "{body}");
    // Nothing is written either, not by a form whose origin is as false as its host.
    let form = [("Host", "evil.example"), ("Origin", "http://evil.example"), ("Content-Length", "0")];
    assert_eq!(self::status(&app, "POST /me HTTP/1.1", &form).await, 421);
    // The process answers whoever wants to know no more than that.
    assert_eq!(answer(&app, "/healthz", "evil.example", "*/*").await.2, "ok\n");
    // A whole address in the first line goes over the header.
    assert_eq!(self::status(&app, "GET http://evil.example/ HTTP/1.1", &[("Host", "localhost")]).await, 421);
}

#[tokio::test]
async fn whatever_a_trusted_proxy_passes_on_is_let_in_and_any_name_where_the_settings_say_so() {
    let behind = TestApp::with(|settings| {
        settings.server.hosts.clear();
        settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    })
    .await;
    let any = TestApp::with(|settings| settings.server.hosts = vec![AllowedHost::Any]).await;
    for app in [&behind, &any] {
        assert_eq!(status(app, "GET / HTTP/1.1", &[("Host", "some.example")]).await, 200);
        assert_eq!(status(app, "GET /room/a/ HTTP/1.1", &handshake("some.example")).await, 101);
    }
    let other = TestApp::with(|settings| {
        settings.server.hosts.clear();
        settings.server.trusted_proxies = vec!["192.0.2.1".parse().expect("an address")];
    })
    .await;
    let told = [("Host", "some.example"), ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Host", "localhost")];
    assert_eq!(status(&other, "GET / HTTP/1.1", &told).await, 421, "who is not trusted says nothing");
}

#[test]
fn the_log_says_once_in_a_while_who_was_refused_and_at_the_start_what_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Command::new(env!("CARGO_BIN_EXE_confab"))
        .env_clear()
        .envs([("CONFAB_LOG_FORMAT", "json"), ("CONFAB_SERVER__HOSTS", "[\"chat.example\"]")])
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut log = BufReader::new(server.stderr.take().expect("it is piped")).lines().map(|line| {
        let line = line.expect("text");
        serde_json::from_str::<Value>(&line).expect(&line)["fields"].clone()
    });
    let mut next = |text: &str| log.find(|line| line["message"].as_str().is_some_and(|message| message.contains(text)));
    let answered = next("answering requests that ask for").expect("a line");
    assert!(answered["message"].as_str().is_some_and(|message| message.contains("localhost, IP addresses, chat.example")));
    let address: SocketAddr = next("serving").expect("a line")["address"].as_str().expect("text").parse().expect("an address");
    let ask = |line: &str, headers: &str| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        write!(stream, "{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n").expect("room to send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for _ in 0..3 {
        assert!(ask("GET /", "Host: evil.example:3000\r\n").starts_with("HTTP/1.1 421"));
        let foreign = "Host: chat.example\r\nOrigin: https://friend.example\r\n";
        assert!(ask("POST /me", foreign).starts_with("HTTP/1.1 403"));
    }
    // Asked to stop, it says no more; so what was said before is all there is.
    let stopped = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().expect("kill");
    assert!(stopped.success() && server.wait().expect("its end").success());
    let lines: Vec<Value> = log.filter(|line| line["others"].is_number()).collect();
    let [host, origin] = &lines[..] else { panic!("one line of each: {lines:?}") };
    assert_eq!((&host["host"], &host["others"]), (&"evil.example:3000".into(), &0.into()));
    assert_eq!(
        (&origin["origin"], &origin["host"], &origin["others"]),
        (&"https://friend.example".into(), &"chat.example".into(), &0.into())
    );
}
