//! Plain clients: what one says reaches every member verbatim, once, and nothing else does.

use serde_json::json;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::{
    app::TestApp,
    clients::{Plain, Raw, V1, frame, unmasked_frame},
};

#[tokio::test]
async fn every_member_and_the_sender_get_what_was_said_verbatim_and_once() {
    let app = TestApp::start().await;
    let mut members = Vec::new();
    for path in ["/room/a/", "/ws/a/", "/chat/a/"] {
        members.push(Plain::connect(app.address, path).await);
    }
    let said = [
        Message::text("hello"),
        Message::text(""),
        Message::text("Zoë 王小明 שלום 👩‍👩‍👧 \0\r\n\t <script>alert(1)</script> {\"id\":1}"),
        Message::text("x".repeat(65_536)),
        Message::text("é".repeat(32_768)),
        Message::text("exit "),
        Message::binary(vec![0, 159, 146, 150, 255]),
        Message::binary(Bytes::new()),
        Message::binary(vec![7; 65_536]),
        Message::text("the last"),
    ];
    for message in &said {
        members[0].send(message.clone()).await;
        // One after the other: text waits for the store and bytes do not.
        for member in &mut members {
            assert_eq!(member.next().await, *message);
        }
    }
}

#[tokio::test]
async fn groups_are_separate() {
    let app = TestApp::start().await;
    let mut one = Plain::connect(app.address, "/room/one/").await;
    let mut two = Plain::connect(app.address, "/room/two/").await;
    one.say("for one").await;
    assert_eq!(one.text().await, "for one");
    two.say("for two").await;
    assert_eq!(two.text().await, "for two");
    one.say("end").await;
    assert_eq!(one.text().await, "end");
}

#[tokio::test]
async fn the_messages_of_one_sender_keep_their_order_for_every_member() {
    let app = TestApp::start().await;
    let mut sender = Plain::connect(app.address, "/room/a/").await;
    let mut member = Plain::connect(app.address, "/room/a/").await;
    let said: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    for text in &said {
        sender.say(text).await;
    }
    for client in [&mut member, &mut sender] {
        for text in &said {
            assert_eq!(client.text().await, *text);
        }
    }
}

#[tokio::test]
async fn exit_closes_and_is_not_passed_on() {
    let app = TestApp::start().await;
    let mut leaver = Plain::connect(app.address, "/room/a/").await;
    let mut stayer = Plain::connect(app.address, "/room/a/").await;
    leaver.say("exit").await;
    assert_eq!(leaver.closed().await, (1000, String::new()));
    stayer.say("still here").await;
    assert_eq!(stayer.text().await, "still here");
}

#[tokio::test]
async fn whatever_a_v1_client_does_a_plain_member_gets_only_the_texts() {
    let app = TestApp::start().await;
    let mut plain = Plain::connect(app.address, "/room/a/").await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    v1.join("room/a", None).await;
    v1.join("me", None).await;
    v1.error(json!({"send": {"topic": "room/a", "key": "k", "text": ""}})).await;
    v1.error(json!({"dance": {}})).await;
    v1.post("room/a", "k1", "first").await;
    v1.post("room/a", "k1", "first").await;
    v1.ok(json!({"ping": {}})).await;
    v1.ok(json!({"leave": {"topic": "room/a"}})).await;
    v1.join("room/a", None).await;
    v1.post("room/a", "k2", "second").await;
    assert_eq!(plain.text().await, "first");
    assert_eq!(plain.text().await, "second");
    plain.say("third").await;
    assert_eq!(plain.text().await, "third");
}

#[tokio::test]
async fn a_breach_of_the_protocol_has_its_close_code_and_nobody_else_notices() {
    let app = TestApp::start().await;
    let mut other = Plain::connect(app.address, "/room/a/").await;
    let two_byte_close = 1005_u16.to_be_bytes();
    let cases: [(&str, Vec<u8>, u16); 12] = [
        ("a text over the bound", frame(0x81, &vec![b'x'; 65_537]), 1009),
        ("bytes over the bound", frame(0x82, &vec![0; 65_537]), 1009),
        ("fragments over the bound", [frame(0x01, &vec![b'x'; 65_536]), frame(0x80, b"x")].concat(), 1009),
        ("text that is not UTF-8", frame(0x81, b"caf\xE9"), 1007),
        ("an unmasked frame", unmasked_frame(0x81, b"hello"), 1002),
        ("a reserved bit", frame(0xC1, b"hello"), 1002),
        ("a reserved opcode", frame(0x83, b"hello"), 1002),
        ("a continuation of nothing", frame(0x80, b"hello"), 1002),
        ("a message inside another", [frame(0x01, b"hel"), frame(0x81, b"lo")].concat(), 1002),
        ("a long ping", frame(0x89, &[0; 126]), 1002),
        ("a ping in fragments", frame(0x09, b"hello"), 1002),
        ("a close code that must not be sent", frame(0x88, &two_byte_close), 1002),
    ];
    for (what, bytes, code) in cases {
        let mut raw = Raw::upgraded(app.address, "/room/a/").await;
        raw.send(&bytes).await;
        let (closed, reason) = raw.closed().await;
        assert_eq!(closed, code, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
        assert_eq!(raw.frame().await, None, "{what}");
    }
    other.say("nothing happened").await;
    assert_eq!(other.text().await, "nothing happened");
}

#[tokio::test]
async fn fragments_are_one_message_and_a_ping_between_them_is_answered() {
    let app = TestApp::start().await;
    let mut raw = Raw::upgraded(app.address, "/room/a/").await;
    // The crab is cut in the middle: only the whole message has to be UTF-8.
    let crab = "🦀".as_bytes();
    for bytes in [frame(0x01, &crab[..2]), frame(0x89, b"there?"), frame(0x00, b""), frame(0x80, &crab[2..])] {
        raw.send(&bytes).await;
    }
    assert_eq!(raw.frame().await, Some((0x8A, b"there?".to_vec())));
    assert_eq!(raw.frame().await, Some((0x81, crab.to_vec())));
}

#[tokio::test]
async fn a_message_may_come_byte_by_byte() {
    let app = TestApp::start().await;
    let mut raw = Raw::upgraded(app.address, "/room/a/").await;
    raw.stream.set_nodelay(true).expect("a TCP option");
    for byte in frame(0x81, &[b'x'; 300]) {
        raw.send(&[byte]).await;
    }
    assert_eq!(raw.frame().await, Some((0x81, vec![b'x'; 300])));
}

#[tokio::test]
async fn the_closing_handshake_is_answered_with_the_same_code() {
    let app = TestApp::start().await;
    for (payload, echoed) in
        [(&b"\x03\xE8bye"[..], &b"\x03\xE8"[..]), (b"\x03\xE9", b"\x03\xE9"), (b"\x0F\xA0", b"\x0F\xA0"), (b"", b"")]
    {
        let mut raw = Raw::upgraded(app.address, "/room/a/").await;
        raw.send(&frame(0x88, payload)).await;
        assert_eq!(raw.frame().await, Some((0x88, echoed.to_vec())));
        assert_eq!(raw.frame().await, None);
    }
}
