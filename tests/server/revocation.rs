//! What is taken back from somebody while it waits for them: it does not go out any more.

use std::num::NonZeroUsize;

use confab::server::settings::History;
use serde_json::json;

use crate::{
    app::{Http as _, TestApp, browser, rule},
    clients::{Plain, Raw, UPGRADE, request},
    within,
};

const ANN: &str = "confab_guest=0123456789abcdef0123456789abcdef";

/// Ann, on a connection for which the system reads ahead as little as may be.
async fn slow(app: &TestApp, first_line: &str, headers: &[(&str, &str)]) -> Raw {
    let mut raw = Raw::slow(app.address).await;
    let headers: Vec<_> = headers.iter().copied().chain([("Cookie", ANN)]).collect();
    raw.send(request(first_line, &headers).as_bytes()).await;
    raw
}

/// Has Ann's browser forget who she is.
async fn sign_out(app: &TestApp) {
    let form = browser().post(app.url("/me")).header("cookie", ANN).form(&[("forget", "yes")]).send();
    assert_eq!(within("an answer", form).await.expect("an answer").status(), 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_slow_reader_is_given_up() {
    /// More than the systems on both ends take off the server's hands, in messages of nearly 64 KiB.
    const MESSAGES: usize = 256;
    let app = TestApp::with(|settings| {
        settings.limits.backlog_bytes = NonZeroUsize::new(64 << 20);
        settings.rooms = vec![rule("*", History::None)];
    })
    .await;
    let mut bob = Plain::connect(app.address, "/room/a/").await;
    let mut ann = slow(&app, "GET /room/a/ HTTP/1.1", &UPGRADE).await;
    assert_eq!(ann.head().await.status, 101);
    app.has_members(2).await;
    let text = |n: usize| format!("{n:65535}");
    for n in 0..MESSAGES {
        bob.say(&text(n)).await;
        assert_eq!(bob.text().await, text(n));
    }
    sign_out(&app).await;
    let (mut read, mut end) = (0, None);
    while let Some((first, payload)) = ann.frame().await {
        if first == 0x81 {
            assert_eq!(payload, text(read).as_bytes());
            read += 1;
        } else {
            assert_eq!(end.replace((first, payload)), None, "the last frame is the goodbye");
        }
    }
    assert!(read < MESSAGES, "nothing waited");
    let (first, payload) = end.expect("a close frame");
    assert_eq!((first, &payload[..2]), (0x88, &4501_u16.to_be_bytes()[..]));
    bob.say("go on").await;
    assert_eq!(bob.text().await, "go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_on_its_way_is_cut_off() {
    let app = TestApp::with(|settings| {
        settings.limits.bytes_per_second_per_address = None;
        settings.rooms = vec![rule("*", History::Memory)];
    })
    .await;
    let mut bob = crate::clients::V1::connect(app.address, "/room/a/").await;
    // More than the systems on both ends take off the server's hands.
    let text = "x".repeat(60_000);
    for n in 0..512 {
        bob.ok(json!({"send": {"topic": "room/a", "key": format!("k{n}"), "text": text}})).await;
    }
    let whole = slow(&app, "GET /api/v1/rooms/a/export HTTP/1.1", &[("Host", "confab.example")]).await.rest().await;
    assert!(whole.ends_with(b"\r\n0\r\n\r\n"));
    let mut ann = slow(&app, "GET /api/v1/rooms/a/export HTTP/1.1", &[("Host", "confab.example")]).await;
    assert_eq!(ann.head().await.status, 200);
    sign_out(&app).await;
    let part = ann.rest().await;
    assert!(part.len() < whole.len() / 2 && !part.ends_with(b"\r\n0\r\n\r\n"), "{} of {}", part.len(), whole.len());
}
