//! A member that does not read is let go, and the others notice nothing.

use std::num::NonZeroUsize;

use confab::server::settings::History;
use tokio::net::TcpSocket;

use crate::{
    app::{Http as _, TestApp, rule},
    clients::{Plain, Raw, UPGRADE, request},
    within,
};

/// More than the systems on both ends take off the server's hands, in messages of nearly 64 KiB.
const MESSAGES: usize = 256;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_does_not_read_is_closed_and_a_fast_one_gets_everything() {
    let app = TestApp::with(|settings| {
        settings.limits.backlog_bytes = NonZeroUsize::new(128 * 1024);
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
    app.has_members(2).await;

    let text = |n: usize| format!("{n:65535}");
    for n in 0..MESSAGES {
        fast.say(&text(n)).await;
        assert_eq!(fast.text().await, text(n), "the fast member gets every message in order");
    }

    let mut read = 0;
    let mut end = None;
    while let Some((first, payload)) = slow.frame().await {
        match first {
            0x81 => {
                assert_eq!(payload, text(read).as_bytes(), "what it gets has no hole");
                read += 1;
            }
            _ => {
                assert_eq!(end.replace((first, payload)), None);
            }
        }
    }
    assert!(read < MESSAGES, "nothing was too much for the slow member");
    // Where it came back too late for the closing handshake, the connection just ends.
    if let Some((first, payload)) = end {
        assert_eq!((first, &payload[..2]), (0x88, &4001_u16.to_be_bytes()[..]));
        assert!(String::from_utf8_lossy(&payload[2..]).contains("131072"), "{payload:?}");
    }
    let metrics = app.get("/metrics").await.text().await.expect("a body");
    assert!(metrics.lines().any(|line| line == "confab_slow_closes_total 1"), "{metrics}");
    fast.say("go on").await;
    assert_eq!(fast.text().await, "go on");
}
