//! Connections that cost a descriptor and do nothing: how many one address may have, and what becomes of them where descriptors are
//! short.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::Path,
    process::Command,
};

use reqwest::header;
use serde_json::json;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
};

use crate::{
    app::{TestApp, browser},
    clients::{Raw, V1},
    support::process::Process,
    within,
};

/// A connection from another address of this machine, on which a head is begun or nothing is said.
async fn connect(from: Ipv4Addr, to: SocketAddr, head: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("an address of this machine");
    let stream = within("a connection", socket.connect(to)).await.expect("a connection");
    let mut raw = Raw::on(stream);
    raw.send(head).await;
    raw.stream
}

/// Whether the server has not ended it.
fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0; 64]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn an_address_has_a_bounded_number_of_tcp_connections() {
    let app = TestApp::with(|settings| settings.limits.connections_per_address = NonZeroU32::new(5)).await;
    let attacker = Ipv4Addr::new(127, 0, 0, 2);
    let mut open = Vec::new();
    for _ in 0..210 {
        open.push(connect(attacker, app.address, b"GET /").await);
    }
    let mut told = String::new();
    let mut one_more = connect(attacker, app.address, b"").await;
    within("an answer", one_more.read_to_string(&mut told)).await.expect("an answer");
    assert!(told.starts_with("HTTP/1.1 429 ") && told.contains(" 210 TCP connections"), "{told}");
    assert!(open.iter().all(is_open));
    // Others are not concerned.
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    v1.ok(json!({"ping": {}})).await;
    // A place is free when one leaves; the server notices when it gets to it.
    drop(open.pop());
    loop {
        let mut raw = Raw::on(connect(attacker, app.address, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await);
        match raw.try_head().await.map(|head| head.status) {
            Some(200) => break,
            other => assert!(matches!(other, None | Some(429)), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_proxys_connections_are_everybodys() {
    let app = TestApp::with(|settings| {
        settings.limits.connections_per_address = NonZeroU32::new(1);
        settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..300 {
        open.push(connect(Ipv4Addr::LOCALHOST, app.address, b"").await);
    }
    let forwarded = [("x-forwarded-for", "203.0.113.7")];
    let mut v1 = V1::with(app.address, "/room/a/", &forwarded).await;
    v1.ok(json!({"ping": {}})).await;
    assert!(open.iter().all(is_open));
}

/// The real program with so many descriptors.
async fn program(files: u32, data: &Path) -> (Process, SocketAddr) {
    let mut command = Command::new("sh");
    let start = format!("ulimit -n {files}; exec \"$0\" serve --listen 127.0.0.1:0 --data \"$1\" 2>&1");
    command.args(["-c", &start, env!("CARGO_BIN_EXE_confab")]).arg(data).current_dir(data);
    let process = Process::start(command, "it is built with the tests");
    process.logs("serving address=").await;
    let log = process.log();
    let address = log.split("serving address=").nth(1).and_then(|rest| rest.split_whitespace().next());
    (process, address.and_then(|address| address.parse().ok()).expect("an address in the log"))
}

#[tokio::test]
async fn where_descriptors_are_short_idle_connections_give_way_and_the_log_says_so_once() {
    let data = tempfile::tempdir().expect("a folder");
    let (process, address) = program(160, data.path()).await;
    let mut friend = V1::connect(address, "/room/a/").await;
    let mut idle = Vec::new();
    for n in 0..100 {
        // Some have begun a head, some have not; some have had an answer.
        let head: &[u8] = [&b"GET /room/"[..], b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"][n % 3];
        let stream = connect(Ipv4Addr::new(127, 0, 0, 2), address, head).await;
        idle.push(stream);
    }
    // Somebody else gets in at once, and has all that takes descriptors.
    let page = within("a page", browser().get(format!("http://{address}/room/a/")).send()).await.expect("an answer");
    assert_eq!(page.status(), 200);
    let mut buffer = [0; 4096];
    let open = idle
        .iter()
        .filter(|stream| match stream.try_read(&mut buffer) {
            Ok(length) => length > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        })
        .count();
    assert!(open > 40, "few had to give way: {open} are open");
    for n in 0..20 {
        let mut v1 = V1::connect(address, "/ws/").await;
        assert_eq!(v1.join(&format!("room/{n}"), None).await["offset"], 0);
        v1.join("lobby", None).await;
        assert_eq!(v1.post(&format!("room/{n}"), "k", "kept").await, 1);
        let found = browser().get(format!("http://{address}/api/v1/search?q=kept")).send();
        assert_eq!(within("an answer", found).await.expect("an answer").status(), 200);
    }
    friend.ok(json!({"ping": {}})).await;
    let begun = "no further connection can be accepted";
    process.logs(begun).await;
    drop(idle);
    process.logs("connections are accepted again").await;
    assert_eq!(process.log().matches(begun).count(), 1, "{}", process.log());
    assert!(!process.log().contains("ERROR"), "{}", process.log());
}

#[tokio::test]
async fn a_request_that_is_being_answered_does_not_give_way() {
    let data = tempfile::tempdir().expect("a folder");
    let (_process, address) = program(120, data.path()).await;
    let mut author = V1::connect(address, "/room/a/").await;
    for n in 0..60 {
        let text = format!("{n} {}", "x".repeat(60_000));
        // Over the rate it is told so; more than the buffers of a socket is all that is needed.
        author.ask(json!({"send": {"topic": "room/a", "key": format!("k{n}"), "text": text}})).await;
    }
    // It is sent as fast as it is read, and nobody reads it.
    let request = b"GET /api/v1/rooms/a/export HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a TCP option");
    let mut reader = Raw::on(within("a connection", socket.connect(address)).await.expect("a connection"));
    reader.send(request).await;
    let head = reader.head().await;
    assert_eq!((head.status, head.get(header::CONTENT_TYPE.as_str())), (200, Some("application/x-ndjson")));
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(connect(Ipv4Addr::new(127, 0, 0, 2), address, b"GET /").await);
    }
    let page = within("a page", browser().get(format!("http://{address}/room/a/")).send()).await.expect("an answer");
    assert_eq!(page.status(), 200);
    let rest = reader.rest().await;
    assert!(rest.ends_with(b"0\r\n\r\n"), "the export is whole");
}
