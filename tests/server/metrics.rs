//! `/metrics`: the numbers move as the traffic says, they are written as Prometheus reads them, and only those read them who may.
//!
//! A server and its clients share one thread here, so whatever the server does in one go is done when a client hears of it.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use std::{
    collections::{BTreeMap, HashSet},
    io::Write as _,
    num::NonZeroU32,
    process::{Command, Stdio},
    sync::Arc,
};

use confab::server::settings::{History, MetricsFor, RoomRule};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::{
    app::{Http as _, TestApp, browser, rule},
    clients::{Plain, Raw, UPGRADE, V1, frame, request},
    faulty::{Faulty, Mode},
    support::python,
    within,
};

/// What a server said of itself at one moment: each series, as it is written, with its value.
pub struct Scrape {
    text: String,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    pub async fn of(app: &TestApp) -> Self {
        let answer = app.get("/metrics").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let text = answer.text().await.expect("a body");
        let mut series = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            assert_eq!(series.insert(name.to_owned(), value.parse().expect("a number")), None, "twice: {line}");
        }
        Self { text, series }
    }

    pub fn get(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    #[track_caller]
    fn assert(&self, expected: &[(&str, u64)]) {
        for (series, value) in expected {
            assert_eq!(self.get(series), *value as f64, "{series}");
        }
    }
}

/// A plain client that has said ten letters, which it and those who were there before have heard.
async fn member(app: &TestApp, others: &mut [Raw]) -> Raw {
    let mut raw = Raw::upgraded(app.address, "/room/secret-room/").await;
    raw.send(&frame(0x81, b"here I am.")).await;
    for member in others.iter_mut().chain([&mut raw]) {
        assert_eq!(member.frame().await, Some((0x81, b"here I am.".to_vec())));
    }
    raw
}

#[tokio::test]
async fn every_message_is_a_delivery_for_each_member_and_every_byte_is_counted() {
    let app = TestApp::with(|settings| settings.rooms = vec![rule("*", History::None)]).await;
    Scrape::of(&app).await.assert(&[
        ("confab_open_connections", 0),
        ("confab_connections_total", 0),
        ("confab_deliveries_total", 0),
        ("confab_sent_bytes_total", 0),
        ("confab_groups", 0),
        ("confab_fan_out_seconds_count", 0),
    ]);
    let mut members = Vec::new();
    for _ in 0..3 {
        let new = member(&app, &mut members).await;
        members.push(new);
    }
    for _ in 0..5 {
        members[1].send(&frame(0x81, b"ten bytes!")).await;
        for member in &mut members {
            assert_eq!(member.frame().await, Some((0x81, b"ten bytes!".to_vec())));
        }
    }
    // One, two and three heard the greetings, three each of the five.
    let (messages, deliveries) = (3 + 5, 1 + 2 + 3 + 5 * 3);
    let carried = [
        ("confab_connections_total", 3),
        ("confab_messages_received_total", messages),
        ("confab_deliveries_total", deliveries),
        // A header of two bytes, and from clients a mask of four.
        ("confab_received_bytes_total", messages * 16),
        ("confab_sent_bytes_total", deliveries * 12),
        ("confab_fan_out_seconds_count", messages),
        (r#"confab_layer_send_seconds_count{to="group"}"#, messages),
        (r#"confab_layer_refusals_total{reason="unavailable"}"#, 0),
        (r#"confab_messages_committed_total{history="store"}"#, 0),
    ];
    let now = Scrape::of(&app).await;
    now.assert(&carried);
    now.assert(&[("confab_open_connections", 3), ("confab_groups", 1), ("confab_members", 3), ("confab_queued_bytes", 0)]);
    assert!(now.get("confab_fan_out_seconds_sum") > 0.0);

    // What was carried stays counted when they are gone. A close frame and the answer to it have four more bytes each.
    for mut member in members.drain(..) {
        member.send(&frame(0x88, &1000_u16.to_be_bytes())).await;
        assert_eq!(member.closed().await.0, 1000);
        assert_eq!(member.frame().await, None);
    }
    let now = Scrape::of(&app).await;
    now.assert(&carried[..3]);
    now.assert(&[
        ("confab_open_connections", 0),
        ("confab_members", 0),
        ("confab_groups", 0),
        ("confab_received_bytes_total", messages * 16 + 3 * 8),
        ("confab_sent_bytes_total", deliveries * 12 + 3 * 4),
    ]);
}

#[tokio::test]
async fn what_is_kept_is_counted_where_it_is_kept_and_doubles_are_not_new() {
    let app = TestApp::with(|settings| settings.rooms = vec![rule("s", History::Store), rule("m", History::Memory)]).await;
    let mut author = V1::connect(app.address, "/room/s/").await;
    author.join("room/m", None).await;
    for (topic, key) in [("room/s", "k1"), ("room/s", "k2"), ("room/s", "k1"), ("room/m", "k1")] {
        author.post(topic, key, "text").await;
    }
    assert_eq!(author.pushes_so_far().await.len(), 3);
    Scrape::of(&app).await.assert(&[
        (r#"confab_messages_committed_total{history="store"}"#, 2),
        (r#"confab_messages_committed_total{history="memory"}"#, 1),
        (r#"confab_append_seconds_count{history="store"}"#, 3),
        (r#"confab_append_seconds_count{history="memory"}"#, 1),
        (r#"confab_append_failures_total{history="store"}"#, 0),
        // Each new message goes to its room and to the list of rooms, which nobody reads here.
        (r#"confab_layer_send_seconds_count{to="group"}"#, 6),
        ("confab_groups", 2),
        ("confab_members", 2),
        ("confab_messages_received_total", 6),
    ]);
}

#[tokio::test]
async fn what_waits_for_a_reader_is_counted_until_it_is_read() {
    const MESSAGES: u64 = 256;
    const BYTES: u64 = 60_000;
    let app = TestApp::with(|settings| {
        settings.limits.backlog_bytes = None;
        settings.rooms = vec![rule("*", History::None)];
    })
    .await;
    let mut fast = Plain::connect(app.address, "/room/a/").await;
    let socket = TcpSocket::new_v4().expect("a socket");
    // The system reads ahead for a client; this much only.
    socket.set_recv_buffer_size(16 * 1024).expect("a TCP option");
    let mut slow = Raw::on(within("a connection", socket.connect(app.address)).await.expect("a connection"));
    slow.send(request("GET /room/a/ HTTP/1.1", &UPGRADE).as_bytes()).await;
    assert_eq!(slow.head().await.status, 101);
    let text = "x".repeat(usize::try_from(BYTES).expect("an address"));
    for _ in 0..MESSAGES {
        fast.say(&text).await;
        assert_eq!(fast.text().await, text);
    }
    let all = 2 * MESSAGES * (BYTES + 4);
    let now = Scrape::of(&app).await;
    let (sent, queued) = (now.get("confab_sent_bytes_total"), now.get("confab_queued_bytes"));
    assert!(queued > 0.0, "everything went out");
    assert_eq!(sent + queued, all as f64);
    for _ in 0..MESSAGES {
        assert_eq!(slow.frame().await.expect("a frame").1.len() as u64, BYTES);
    }
    let now = Scrape::of(&app).await;
    now.assert(&[("confab_sent_bytes_total", all), ("confab_queued_bytes", 0), ("confab_slow_closes_total", 0)]);
}

#[tokio::test]
async fn a_request_for_a_socket_that_gets_none_is_counted_by_the_reason() {
    let app = TestApp::with(|settings| {
        settings.limits.connections_per_address = NonZeroU32::new(1);
        settings.rooms = vec![rule("open-*", History::Store), RoomRule { guests: false, ..rule("closed", History::Store) }];
    })
    .await;
    let other = |name: &str, value: &'static str| -> Vec<(&str, &str)> {
        let mut headers: Vec<_> = UPGRADE.into_iter().filter(|(key, _)| *key != name).collect();
        headers.push((UPGRADE.iter().map(|(key, _)| *key).find(|key| *key == name).unwrap_or("Origin"), value));
        headers
    };
    let good = UPGRADE.to_vec();
    for (path, headers, status, reason, count) in [
        ("/room/open-a/", other("Sec-WebSocket-Version", "8"), 426, "malformed", 1),
        ("/room/open-a/", other("Sec-WebSocket-Key", "short"), 400, "malformed", 2),
        ("/room/open-a/", other("Origin", "http://evil.example"), 403, "origin", 1),
        ("/room/other/", good.clone(), 404, "not_found", 1),
        ("/ws/no%20name/", good.clone(), 404, "not_found", 2),
        ("/chat/closed/", good.clone(), 403, "forbidden", 1),
        ("/ws/", good.clone(), 400, "no_group", 1),
    ] {
        let mut raw = Raw::connect(app.address).await;
        raw.send(request(&format!("GET {path} HTTP/1.1"), &headers).as_bytes()).await;
        assert_eq!(raw.head().await.status, status, "{path} {headers:?}");
        let series = format!("confab_connections_refused_total{{reason=\"{reason}\"}}");
        Scrape::of(&app).await.assert(&[(&series, count), ("confab_connections_total", 0)]);
    }
    let _first = V1::connect(app.address, "/ws/").await;
    assert_eq!(Plain::connect(app.address, "/room/open-a/").await.closed().await.0, 4503);
    // A page where only a socket is served is no refused socket.
    assert_eq!(app.get("/ws/no%20name/").await.status(), 404);
    Scrape::of(&app).await.assert(&[
        (r#"confab_connections_refused_total{reason="too_many"}"#, 1),
        (r#"confab_connections_refused_total{reason="not_found"}"#, 2),
        ("confab_connections_total", 2),
    ]);
}

#[tokio::test]
async fn requests_are_timed_by_route_and_nothing_names_rooms_or_people() {
    let app = TestApp::start().await;
    let cookie = ("cookie", "confab_name=Mallory");
    let mut person = V1::with(app.address, "/room/secret-room/", &[cookie]).await;
    person.post("room/secret-room", "k", "a secret text").await;
    for path in
        ["/room/secret-room/", "/room/other/", "/room/no%20room/", "/no-such-page", "/api/v1/rooms/secret-room/messages"]
    {
        app.get(path).await;
    }
    app.get("/api/v1/no-such-address").await;
    let now = Scrape::of(&app).await;
    let count =
        |route: &str, status: &str| format!("confab_http_request_seconds_count{{route=\"{route}\",status=\"{status}\"}}");
    now.assert(&[
        (&count("/room/{group}/", "1xx"), 1),
        (&count("/room/{group}/", "2xx"), 2),
        (&count("/room/{group}/", "4xx"), 1),
        (&count("/api/v1/rooms/{group}/messages", "2xx"), 1),
        (&count("none", "4xx"), 2),
    ]);
    for secret in ["secret", "Mallory", "no-such", "127.0.0.1"] {
        assert!(!now.text.contains(secret), "{secret} in\n{}", now.text);
    }
}

#[tokio::test]
async fn a_layer_that_refuses_is_seen() {
    let layer = Faulty::new();
    let app = TestApp::on(Arc::clone(&layer) as _, |settings| settings.rooms = vec![rule("*", History::None)]).await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    author.post("room/a", "k1", "heard").await;
    layer.set(Mode::Away);
    author.error(json!({"send": {"topic": "room/a", "key": "k2", "text": "not heard"}})).await;
    let refused = r#"confab_layer_refusals_total{reason="unavailable"}"#;
    Scrape::of(&app).await.assert(&[("confab_layer_available", 0), (refused, 1)]);
    layer.come_back();
    author.post("room/a", "k2", "heard").await;
    let sends = r#"confab_layer_send_seconds_count{to="group"}"#;
    Scrape::of(&app).await.assert(&[("confab_layer_available", 1), (refused, 1), (sends, 3)]);
}

#[tokio::test]
async fn a_store_that_cannot_write_makes_the_server_unready_until_it_can() {
    let app = TestApp::start().await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    author.post("room/a", "k1", "one").await;
    let failures = r#"confab_append_failures_total{history="store"}"#;
    Scrape::of(&app).await.assert(&[("confab_store_writable", 1), (failures, 0)]);

    let database = Connection::open(app.data().join("confab.db")).expect("the database");
    let refusing = "CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT raise(ABORT, 'the disk is full'); END";
    database.execute_batch(refusing).expect("a trigger");
    let send = json!({"send": {"topic": "room/a", "key": "k2", "text": "two"}});
    assert_eq!(author.error(send.clone()).await["code"], "unavailable");
    let ready = app.get("/readyz").await;
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.text().await.expect("a body"), "the store cannot be written: it did not take the last message\n");
    assert_eq!(app.get("/healthz").await.status(), 200);
    Scrape::of(&app).await.assert(&[("confab_store_writable", 0), (failures, 1)]);

    database.execute_batch("DROP TRIGGER full").expect("no trigger");
    author.ok(send).await;
    assert_eq!(app.get("/readyz").await.status(), 200);
    Scrape::of(&app).await.assert(&[("confab_store_writable", 1), (failures, 1)]);
}

#[tokio::test]
async fn only_those_read_the_numbers_who_may() {
    let [local, open, off] = [MetricsFor::Loopback, MetricsFor::Everyone, MetricsFor::Nobody];
    let start = |who| {
        TestApp::with(move |settings| {
            settings.server.metrics = who;
            settings.server.hosts = vec!["chat.example".parse().expect("a name")];
        })
    };
    for (app, direct, proxied) in [(start(local).await, 200, 403), (start(open).await, 200, 200), (start(off).await, 404, 404)]
    {
        assert_eq!(app.get("/metrics").await.status(), direct);
        for (name, value) in [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=203.0.113.9"),
            ("host", "chat.example"),
        ] {
            let asked = browser().get(app.url("/metrics")).header(name, value).send();
            assert_eq!(within("an answer", asked).await.expect("an answer").status(), proxied, "{name}");
        }
        let posted = within("an answer", browser().post(app.url("/metrics")).send()).await.expect("an answer");
        assert_eq!(posted.status(), 405);
    }
}

/// What the parser of Prometheus' Python client makes of it: its name, type and help for each family, and all samples.
fn parsed(text: &str) -> Value {
    const PROGRAM: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
print(json.dumps([
    {"name": f.name, "type": f.type, "help": f.documentation, "samples": [[s.name, s.labels, s.value] for s in f.samples]}
    for f in parse(sys.stdin.read())]))
"#;
    let mut child = Command::new(python())
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a Python interpreter");
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "it cannot be parsed:\n{text}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn another_implementation_reads_the_same() {
    let app = TestApp::start().await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    author.post("room/a", "k1", "one").await;
    app.get("/").await;
    let now = Scrape::of(&app).await;
    let families = parsed(&now.text);
    let mut names = HashSet::new();
    let mut samples = 0;
    for family in families.as_array().expect("a list") {
        let text = |key: &str| family[key].as_str().expect("text");
        // The Python client knows a counter by its name without the suffix.
        let name = if text("type") == "counter" { format!("{}_total", text("name")) } else { text("name").to_owned() };
        assert!(names.insert(name.clone()), "{name} stands twice");
        assert!(["counter", "gauge", "histogram"].contains(&text("type")), "{family}");
        assert!(!text("help").is_empty(), "{family}");
        assert!(name.starts_with("confab_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), text("type") == "counter", "{name}");
        assert_eq!(name.ends_with("_seconds") && name.starts_with("confab_"), text("type") == "histogram", "{name}");
        for header in ["HELP", "TYPE"] {
            let lines = now.text.lines().filter(|line| line.starts_with(&format!("# {header} {name} ")));
            assert_eq!(lines.count(), 1, "{header} of {name}");
        }
        for sample in family["samples"].as_array().expect("a list") {
            assert!(sample[0].as_str().is_some_and(|sample| sample.starts_with(&name)), "{sample} in {name}");
            samples += 1;
        }
    }
    assert_eq!(samples, now.series.len());
    let sum = |name: &str| -> f64 {
        let all = families.as_array().expect("a list").iter().flat_map(|family| family["samples"].as_array().expect("a list"));
        all.filter(|sample| sample[0] == name).map(|sample| sample[2].as_f64().expect("a number")).sum()
    };
    assert_eq!(sum("confab_connections_total"), 1.0);
    assert_eq!(sum("confab_messages_committed_total"), 1.0);
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds", "process_threads"] {
        assert!(sum(name) > 0.0, "{name}");
    }
    assert!(names.contains("process_cpu_seconds_total"));
}
