//! Every rule of RFC 6455 for what follows the handshake, on bytes: what a well-formed stream says, and how each breach ends
//! the connection.

use confab::server::{
    settings::History,
    websocket::{CloseCode, Decoded, Decoder, Message},
};
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::{
    self, Bytes,
    protocol::{Role, WebSocket, WebSocketConfig},
};

use crate::{
    app::{TestApp, rule},
    clients::{Plain, Raw, UPGRADE, frame, request, unmasked_frame},
};

/// First bytes and payloads.
type Frames<'a> = &'a [(u8, &'a [u8])];

/// What was sent to the room `a` comes back to its sender, since nobody keeps it.
async fn echo() -> TestApp {
    TestApp::with(|settings| settings.rooms = vec![rule("*", History::None)]).await
}

async fn connected(app: &TestApp) -> Raw {
    let raw = Raw::upgraded(app.address, "/room/a/").await;
    raw.stream.set_nodelay(true).expect("a TCP option");
    raw
}

/// Asks whether all that was sent so far was fine: nothing else comes before the answer.
async fn assert_alive(raw: &mut Raw, what: &str) {
    raw.send(&frame(0x89, b"there?")).await;
    assert_eq!(raw.frame().await, Some((0x8A, b"there?".to_vec())), "{what}");
}

/// The server closes with this code and a reason, and the connection ends.
async fn assert_closed(raw: &mut Raw, what: &str, code: u16) {
    let (closed, reason) = raw.closed().await;
    assert_eq!(closed, code, "{what}: {reason}");
    assert!(!reason.is_empty(), "{what}");
    assert_eq!(raw.frame().await, None, "{what}");
}

/// A frame whose length is written in so many bytes.
fn frame_with_length(length: u64, bytes: usize) -> Vec<u8> {
    let form = if bytes == 2 { 0x7E } else { 0x7F };
    let mut head = vec![0x82, 0x80 | form];
    head.extend(&length.to_be_bytes()[8 - bytes..]);
    // The mask is zero, so the payload is as it is.
    head.extend([0; 4]);
    head
}

#[tokio::test]
async fn messages_of_every_length_form_whole_and_in_pieces() {
    let app = echo().await;
    let mut raw = connected(&app).await;
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536] {
        for first in [0x81, 0x82] {
            let (payload, sent) = (vec![b'*'; length], frame(first, &vec![b'*'; length]));
            raw.send(&sent).await;
            assert_eq!(raw.frame().await, Some((first, payload.clone())), "{length}");
            for piece in sent.chunks(997) {
                raw.send(piece).await;
            }
            assert_eq!(raw.frame().await, Some((first, payload)), "{length} in pieces");
        }
    }
    for byte in frame(0x81, &[b'x'; 300]) {
        raw.send(&[byte]).await;
    }
    assert_eq!(raw.frame().await, Some((0x81, vec![b'x'; 300])), "byte by byte");
}

#[tokio::test]
async fn what_well_formed_frames_say() {
    let app = echo().await;
    let crab = "🦀".as_bytes();
    let many = |first: u8, parts: &[&[u8]]| -> Vec<u8> {
        let opcode = |n| if n == 0 { first } else { 0 };
        let last = |n| if n + 1 == parts.len() { 0x80 } else { 0 };
        parts.iter().enumerate().flat_map(|(n, part)| frame(opcode(n) | last(n), part)).collect()
    };
    let cases: [(&str, Vec<u8>, Frames<'_>); 17] = [
        ("an empty ping", frame(0x89, b""), &[(0x8A, b"")]),
        ("a ping with bytes", frame(0x89, &[0, 0xFF, 0xFE]), &[(0x8A, &[0, 0xFF, 0xFE])]),
        ("the longest ping", frame(0x89, &[7; 125]), &[(0x8A, &[7; 125])]),
        ("a pong that nobody asked for", frame(0x8A, b"why"), &[]),
        ("a pong, then a ping", [frame(0x8A, b"why"), frame(0x89, b"a")].concat(), &[(0x8A, b"a")]),
        (
            "pings",
            (0..5).flat_map(|n| frame(0x89, &[n])).collect(),
            &[(0x8A, &[0]), (0x8A, &[1]), (0x8A, &[2]), (0x8A, &[3]), (0x8A, &[4])],
        ),
        ("two fragments", many(1, &[b"frag", b"ment"]), &[(0x81, b"fragment")]),
        ("bytes in three", many(2, &[&[0xFF], &[], &[0xFE]]), &[(0x82, &[0xFF, 0xFE])]),
        ("empty fragments", many(1, &[b"", b"", b""]), &[(0x81, b"")]),
        ("a middle between empty ones", many(1, &[b"", b"middle", b""]), &[(0x81, b"middle")]),
        (
            "a ping and a pong between fragments",
            [frame(0x01, b"a"), frame(0x89, b"p"), frame(0x00, b"b"), frame(0x8A, b"q"), frame(0x80, b"c")].concat(),
            &[(0x8A, b"p"), (0x81, b"abc")],
        ),
        (
            "two messages in fragments",
            [many(1, &[b"a", b"b"]), many(2, &[b"c", b"d"])].concat(),
            &[(0x81, b"ab"), (0x82, b"cd")],
        ),
        // Only the whole message has to be UTF-8.
        ("a character in two fragments", many(1, &[&crab[..2], &crab[2..]]), &[(0x81, crab)]),
        ("a character byte by byte", many(1, &[&crab[..1], &crab[1..2], b"", &crab[2..3], &crab[3..]]), &[(0x81, crab)]),
        (
            "a ping within a character",
            [frame(0x01, &crab[..2]), frame(0x89, b"p"), frame(0x80, &crab[2..])].concat(),
            &[(0x8A, b"p"), (0x81, crab)],
        ),
        ("bytes that are no text", frame(0x82, &[0xC0, 0x80]), &[(0x82, &[0xC0, 0x80])]),
        ("a mask of zeros", [vec![0x81, 0x82, 0, 0, 0, 0], b"hi".to_vec()].concat(), &[(0x81, b"hi")]),
    ];
    for (what, sent, expected) in cases {
        for pieces in [sent.len(), 1] {
            let mut raw = connected(&app).await;
            for piece in sent.chunks(pieces) {
                raw.send(piece).await;
            }
            for (first, payload) in expected {
                assert_eq!(raw.frame().await, Some((*first, payload.to_vec())), "{what}");
            }
            assert_alive(&mut raw, what).await;
        }
    }
}

#[tokio::test]
async fn a_breach_of_the_protocol_has_its_close_code_and_nobody_else_notices() {
    let app = echo().await;
    let mut other = Plain::connect(app.address, "/room/other/").await;
    let mut cases: Vec<(String, Vec<u8>, u16)> = [
        ("a text over the bound", frame(0x81, &vec![b'x'; 65_537]), 1009),
        ("bytes over the bound", frame(0x82, &vec![0; 65_537]), 1009),
        ("fragments over the bound", [frame(0x01, &vec![b'x'; 65_536]), frame(0x80, b"x")].concat(), 1009),
        ("a length over the bound, and no payload", frame_with_length(65_537, 8), 1009),
        ("the longest length there is", frame_with_length(u64::MAX >> 1, 8), 1009),
        ("a length with its first bit set", frame_with_length(1 << 63, 8), 1002),
        ("a length of ones", frame_with_length(u64::MAX, 8), 1002),
        ("125 in two bytes", frame_with_length(125, 2), 1002),
        ("0 in two bytes", frame_with_length(0, 2), 1002),
        ("126 in eight bytes", frame_with_length(126, 8), 1002),
        ("65,535 in eight bytes", frame_with_length(65_535, 8), 1002),
        ("an unmasked text", unmasked_frame(0x81, b"hello"), 1002),
        ("an unmasked empty text", unmasked_frame(0x81, b""), 1002),
        ("an unmasked ping", unmasked_frame(0x89, b""), 1002),
        ("an unmasked close", unmasked_frame(0x88, b"\x03\xE8"), 1002),
        ("an unmasked continuation", [frame(0x01, b"hel"), unmasked_frame(0x80, b"lo")].concat(), 1002),
        ("a continuation of nothing", frame(0x80, b"hello"), 1002),
        ("the beginning of a continuation of nothing", frame(0x00, b"hello"), 1002),
        ("a text inside a text", [frame(0x01, b"hel"), frame(0x81, b"lo")].concat(), 1002),
        ("a beginning inside a text", [frame(0x01, b"hel"), frame(0x01, b"lo")].concat(), 1002),
        ("bytes inside a text", [frame(0x01, b"hel"), frame(0x00, b"l"), frame(0x82, b"o")].concat(), 1002),
        ("a long ping", frame(0x89, &[0; 126]), 1002),
        ("a long pong", frame(0x8A, &[0; 126]), 1002),
        ("a long close", frame(0x88, &[&b"\x03\xE8"[..], &[b'x'; 124]].concat()), 1002),
        ("a ping in fragments", frame(0x09, b"hello"), 1002),
        ("a pong in fragments", frame(0x0A, b"hello"), 1002),
        ("a close in fragments", frame(0x08, b"\x03\xE8"), 1002),
        ("a close of one byte", frame(0x88, &[3]), 1002),
        ("a close whose reason is not UTF-8", frame(0x88, b"\x03\xE8caf\xE9"), 1007),
        ("a close whose reason is cut", frame(0x88, b"\x03\xE8\xF0\x9F"), 1007),
    ]
    .map(|(what, sent, code)| (what.to_owned(), sent, code))
    .into();
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        cases.push((format!("opcode {opcode}"), frame(0x80 | opcode, b""), 1002));
        cases.push((format!("opcode {opcode} inside a text"), [frame(0x01, b"a"), frame(0x80 | opcode, b"b")].concat(), 1002));
    }
    for bits in 1..8_u8 {
        for (kind, opcode) in [("text", 0x81), ("binary", 0x82), ("close", 0x88), ("ping", 0x89), ("pong", 0x8A)] {
            cases.push((format!("reserved bits {bits:03b} of a {kind}"), frame(opcode | bits << 4, b""), 1002));
        }
        let continued = [frame(0x01, b"a"), frame(0x80 | bits << 4, b"b")].concat();
        cases.push((format!("reserved bits {bits:03b} of a continuation"), continued, 1002));
    }
    for (what, sent, code) in cases {
        let mut raw = connected(&app).await;
        // What was said before counts, and what comes after does not.
        raw.send(&frame(0x81, b"before")).await;
        assert_eq!(raw.frame().await, Some((0x81, b"before".to_vec())), "{what}");
        raw.send_in_vain(&[sent, frame(0x89, b"after")].concat()).await;
        assert_closed(&mut raw, &what, code).await;
    }
    other.say("nothing happened").await;
    assert_eq!(other.text().await, "nothing happened");
}

#[tokio::test]
async fn who_goes_on_after_a_breach_is_not_read_for_long() {
    // More than the system keeps for both sides of a connection.
    const MUCH: usize = 256;
    let app = echo().await;
    let mut raw = connected(&app).await;
    raw.send(&unmasked_frame(0x81, b"hello")).await;
    let more = vec![0; 1 << 20];
    let mut sent = 0;
    while sent < MUCH && raw.try_send(&more).await {
        sent += 1;
    }
    assert!(sent < MUCH, "{sent} MiB were read");
}

#[tokio::test]
async fn what_was_said_before_a_breach_in_the_same_read_is_answered_first() {
    let app = TestApp::with(|settings| {
        settings.rooms = vec![rule("s-*", History::Store), rule("m-*", History::Memory), rule("*", History::None)];
    })
    .await;
    let said = frame(0x81, b"before");
    let breaches: [(&str, Vec<u8>, u16); 12] = [
        // What Autobahn's cases 3.2, 3.3, 4.1.3, 4.1.4, 4.2.3, 4.2.4 and 5.15 send.
        ("reserved bits", frame(0xA1, b"x"), 1002),
        ("other reserved bits", frame(0xB1, b"x"), 1002),
        ("a reserved opcode", frame(0x85, b""), 1002),
        ("a reserved opcode with a payload", frame(0x86, b"x"), 1002),
        ("a reserved control opcode", frame(0x8D, b""), 1002),
        ("a reserved control opcode with a payload", frame(0x8E, b"x"), 1002),
        ("a continuation of nothing", [frame(0x00, b"x"), frame(0x81, b"never")].concat(), 1002),
        // And their kin.
        ("a frame that is not masked", unmasked_frame(0x81, b"x"), 1002),
        ("a text that is not UTF-8", frame(0x81, b"\xFF"), 1007),
        ("a length over the bound", frame_with_length(1 << 40, 8), 1009),
        ("a long ping", frame(0x89, &[0; 126]), 1002),
        ("a close of one byte", frame(0x88, b"x"), 1002),
    ];
    for room in ["none", "s-a", "m-a"] {
        for (what, breach, code) in &breaches {
            let whole = frame(0x81, b"before");
            let in_two = [frame(0x01, b"bef"), frame(0x80, b"ore")].concat();
            for said in [whole, in_two] {
                let mut raw = Raw::upgraded(app.address, &format!("/room/{room}/")).await;
                raw.send_in_vain(&[&said[..], breach, &frame(0x89, b"after")].concat()).await;
                assert_eq!(raw.frame().await, Some((0x81, b"before".to_vec())), "{room}: {what}");
                assert_closed(&mut raw, what, *code).await;
            }
        }
        // Who says goodbye in the same breath has been heard as well.
        let mut raw = Raw::upgraded(app.address, &format!("/room/{room}/")).await;
        raw.send_in_vain(&[&said[..], &frame(0x88, b"\x03\xE8")].concat()).await;
        assert_eq!(raw.frame().await, Some((0x81, b"before".to_vec())), "{room}");
        assert_eq!(raw.frame().await, Some((0x88, b"\x03\xE8".to_vec())), "{room}");
    }
    // A command is answered, and what it has said is pushed.
    let headers = [&UPGRADE[..], &[("Sec-WebSocket-Protocol", "confab.v1")]].concat();
    for room in ["none", "s-a", "m-a"] {
        let mut raw = Raw::connect(app.address).await;
        raw.send(request(&format!("GET /room/{room}/ HTTP/1.1"), &headers).as_bytes()).await;
        assert_eq!(raw.head().await.status, 101);
        raw.frame().await.expect("a welcome");
        let send = format!(r#"{{"id":7,"send":{{"topic":"room/{room}","key":"k-{room}","text":"said"}}}}"#);
        raw.send_in_vain(&[&frame(0x81, send.as_bytes())[..], &frame(0xF1, b"x")].concat()).await;
        let mut told = String::new();
        while let Some((0x81, payload)) = raw.frame().await {
            told.push_str(str::from_utf8(&payload).expect("JSON"));
        }
        assert!(told.contains(r#"{"id":7,"ok""#) && told.contains(r#""text":"said""#), "{room}: {told}");
    }
}

#[tokio::test]
async fn close_frames_are_answered_with_their_own_code() {
    let app = echo().await;
    let codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999_u16];
    for code in codes {
        for reason in ["", "bye", "é🦀", &"x".repeat(123)] {
            let mut raw = connected(&app).await;
            raw.send(&frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())).await;
            assert_eq!(raw.frame().await, Some((0x88, code.to_be_bytes().to_vec())), "{code} {reason}");
            assert_eq!(raw.frame().await, None, "{code} {reason}");
        }
    }
    let mut raw = connected(&app).await;
    raw.send(&frame(0x88, b"")).await;
    assert_eq!((raw.frame().await, raw.frame().await), (Some((0x88, Vec::new())), None));
}

#[tokio::test]
async fn close_codes_that_must_not_be_sent_are_a_breach() {
    let app = echo().await;
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        let mut raw = connected(&app).await;
        raw.send(&frame(0x88, &code.to_be_bytes())).await;
        assert_closed(&mut raw, &code.to_string(), 1002).await;
    }
}

#[tokio::test]
async fn after_a_close_frame_nothing_is_heard() {
    let app = echo().await;
    let mut other = Plain::connect(app.address, "/room/a/").await;
    let mut raw = connected(&app).await;
    raw.send_in_vain(&[frame(0x88, b"\x03\xE8"), frame(0x81, b"too late"), frame(0x89, b"there?")].concat()).await;
    assert_eq!(raw.frame().await, Some((0x88, b"\x03\xE8".to_vec())));
    assert_eq!(raw.frame().await, None);
    // In the midst of a message it ends that too.
    let mut raw = connected(&app).await;
    raw.send(&[frame(0x01, b"never"), frame(0x88, b"")].concat()).await;
    assert_eq!(raw.frame().await, Some((0x88, Vec::new())));
    other.say("the first that is heard").await;
    assert_eq!(other.text().await, "the first that is heard");
}

/// Texts that UTF-8 has, at the edges of its ranges.
const UTF8: [&[u8]; 20] = [
    b"",
    b"\x00",
    b"\x7F",
    b"\xC2\x80",
    b"\xDF\xBF",
    b"\xE0\xA0\x80",
    b"\xED\x9F\xBF",
    b"\xEE\x80\x80",
    b"\xEF\xBF\xBD",
    // What is no character is UTF-8 all the same.
    b"\xEF\xBF\xBE",
    b"\xEF\xBF\xBF",
    b"\xF0\x90\x80\x80",
    b"\xF0\x9F\xBF\xBE",
    b"\xF3\xBF\xBF\xBF",
    b"\xF4\x8F\xBF\xBF",
    b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5",
    b"\xEF\xBB\xBFwith a mark",
    b"e\xCC\x81",
    b"a\x00b",
    b"Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!",
];

/// What is not UTF-8, each with how many bytes it takes to see that.
const NOT_UTF8: [(&[u8], usize); 34] = [
    (b"\x80", 1),
    (b"\xBF", 1),
    (b"\x80\xBF\x80", 1),
    (b"ab\xFFcd", 3),
    (b"\xFE", 1),
    (b"\xFE\xFE\xFF\xFF", 1),
    // Longer than need be.
    (b"\xC0\x80", 1),
    (b"\xC1\xBF", 1),
    (b"\xC0\xAF", 1),
    (b"\xE0\x80\xAF", 2),
    (b"\xE0\x9F\xBF", 2),
    (b"\xF0\x80\x80\xAF", 2),
    (b"\xF0\x8F\xBF\xBF", 2),
    (b"\xF8\x88\x80\x80\x80", 1),
    (b"\xFC\x84\x80\x80\x80\x80", 1),
    // Beyond the last character.
    (b"\xF4\x90\x80\x80", 2),
    (b"\xF5\x80\x80\x80", 1),
    (b"\xF7\xBF\xBF\xBF", 1),
    (b"\xFB\xBF\xBF\xBF\xBF", 1),
    // Halves of surrogate pairs, and whole ones.
    (b"\xED\xA0\x80", 2),
    (b"\xED\xAD\xBF", 2),
    (b"\xED\xBF\xBF", 2),
    (b"\xED\xA0\x80\xED\xB0\x80", 2),
    // Broken off by another character.
    (b"\xC3 ", 2),
    (b"\xC3\xC3\xA4", 2),
    (b"\xE1\x80 ", 3),
    (b"\xE2\x82\xE2\x82\xAC", 3),
    (b"\xF0\x9F\xA6 ", 4),
    (b"\xF0\x9F\xA6\xF0", 4),
    (b"\xC3\xA4\xA4", 3),
    (b"\xE2\x82\xAC\x82", 4),
    (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited", 13),
    (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80edited", 13),
    (b"Hello\xF8\xA1\xA1\xA1\xA1", 6),
];

#[tokio::test]
async fn text_is_utf_8_however_it_is_cut() {
    let app = echo().await;
    let mut raw = connected(&app).await;
    for text in UTF8 {
        let last = text.len().saturating_sub(1);
        let bytes = |n: usize| frame(u8::from(n == 0) | if n == last { 0x80 } else { 0 }, text.get(n..=n).unwrap_or_default());
        for sent in [frame(0x81, text), (0..=last).flat_map(bytes).collect()] {
            raw.send(&sent).await;
            assert_eq!(raw.frame().await, Some((0x81, text.to_vec())), "{text:x?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_utf_8_ends_the_connection_at_the_first_byte_that_shows_it() {
    let app = echo().await;
    for (text, shown) in NOT_UTF8 {
        let in_one = frame(0x81, text);
        let header = in_one.len() - text.len();
        let in_two = [frame(0x01, &text[..shown]), frame(0x00, b"")].concat();
        let in_bytes: Vec<_> = (0..shown).flat_map(|n| frame(u8::from(n == 0), &text[n..=n])).collect();
        for (what, sent) in [
            ("whole", &in_one[..]),
            ("up to there, the rest of the frame to come", &in_one[..header + shown]),
            ("up to there, further frames to come", &in_two),
            ("byte by byte", &in_bytes),
        ] {
            let mut raw = connected(&app).await;
            raw.send_in_vain(sent).await;
            assert_closed(&mut raw, &format!("{text:x?} {what}"), 1007).await;
        }
        // One byte before it may still become a text.
        let mut raw = connected(&app).await;
        raw.send(&frame(0x01, &text[..shown - 1])).await;
        assert_alive(&mut raw, &format!("{text:x?}")).await;
    }
}

#[tokio::test]
async fn a_text_that_ends_within_a_character_is_not_utf_8() {
    let app = echo().await;
    for text in [&b"\xC3"[..], b"\xE2\x82", b"\xE2", b"\xF0\x9F\xA6", b"\xF0\x9F", b"\xF0", b"caf\xC3"] {
        for sent in [frame(0x81, text), [frame(0x01, text), frame(0x80, b"")].concat()] {
            let mut raw = connected(&app).await;
            raw.send(&sent).await;
            assert_closed(&mut raw, &format!("{text:x?}"), 1007).await;
        }
    }
}

/// What a stream of frames says, and whether it ends with a breach.
#[derive(Debug, PartialEq)]
struct Said {
    messages: Vec<Message>,
    broken: bool,
}

/// What our decoder makes of a stream that comes in these pieces.
fn by_us(stream: &[u8], cuts: &[usize]) -> Said {
    let mut decoder = Decoder::new(1 << 20, false);
    let mut said = Said { messages: Vec::new(), broken: false };
    let mut rest = stream;
    for cut in cuts.iter().cycle() {
        let (now, later) = rest.split_at(rest.len().min(*cut));
        decoder.feed(now);
        rest = later;
        loop {
            match decoder.decode() {
                Ok(Some(Decoded::Deflated(_))) => unreachable!("no extension was agreed on"),
                Ok(Some(Decoded::Message(message))) => {
                    let ended = matches!(message, Message::Close(..));
                    said.messages.push(message);
                    if ended {
                        return said;
                    }
                }
                Ok(None) => break,
                Err(_) => return Said { broken: true, ..said },
            }
        }
        if rest.is_empty() {
            return said;
        }
    }
    said
}

/// Reads from memory, then would block; what is written is nobody's.
struct Memory<'a>(&'a [u8]);

impl std::io::Read for Memory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl std::io::Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What tungstenite makes of it.
fn by_others(stream: &[u8]) -> Said {
    let mut socket = WebSocket::from_raw_socket(Memory(stream), Role::Server, Some(WebSocketConfig::default()));
    let mut said = Said { messages: Vec::new(), broken: false };
    loop {
        let bytes = |bytes: Bytes| bytes.to_vec();
        let message = match socket.read() {
            Ok(tungstenite::Message::Text(text)) => Message::Text(text.to_string()),
            Ok(tungstenite::Message::Binary(data)) => Message::Binary(bytes(data)),
            Ok(tungstenite::Message::Ping(data)) => Message::Ping(bytes(data)),
            Ok(tungstenite::Message::Pong(data)) => Message::Pong(bytes(data)),
            Ok(tungstenite::Message::Close(frame)) => {
                let (code, reason) = frame
                    .map_or((CloseCode::NONE, String::new()), |frame| (CloseCode(frame.code.into()), frame.reason.to_string()));
                said.messages.push(Message::Close(code, reason));
                return said;
            }
            Ok(tungstenite::Message::Frame(_)) => unreachable!("a frame is never read as such"),
            Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => return said,
            Err(_) => return Said { broken: true, ..said },
        };
        said.messages.push(message);
    }
}

/// A stream of frames, most of them good, and whether it is whole or ends anywhere.
fn streams() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let text = || ".{0,40}".prop_map(String::into_bytes);
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let long = || (120_usize..140, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]);
    let longer = || (65_530_usize..65_545, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]);
    let in_two = |opcode: u8, payload: Vec<u8>, at: usize, between: Vec<u8>| {
        let (first, second) = payload.split_at(at % (payload.len() + 1));
        [frame(opcode, first), between, frame(0x80, second)].concat()
    };
    let one = prop_oneof![
        6 => text().prop_map(|text| frame(0x81, &text)),
        4 => bytes().prop_map(|bytes| frame(0x82, &bytes)),
        2 => long().prop_map(|bytes| frame(0x82, &bytes)),
        1 => longer().prop_map(|bytes| frame(0x82, &bytes)),
        4 => (text(), any::<usize>()).prop_map(move |(text, at)| in_two(0x01, text, at, Vec::new())),
        4 => (text(), any::<usize>(), text()).prop_map(move |(text, at, ping)| in_two(0x01, text, at, frame(0x89, &ping[..ping.len().min(125)]))),
        2 => (bytes(), any::<usize>()).prop_map(move |(bytes, at)| in_two(0x02, bytes, at, frame(0x8A, b"pong"))),
        2 => text().prop_map(|text| frame(0x89, &text[..text.len().min(125)])),
        // Breaches, now and then.
        1 => bytes().prop_map(|bytes| frame(0x81, &bytes)),
        1 => (any::<u8>(), text()).prop_filter("a close frame has its own", |(first, _)| first & 0x0F != 8).prop_map(|(first, text)| frame(first, &text)),
        1 => text().prop_map(|text| unmasked_frame(0x81, &text)),
        1 => prop::sample::select(vec![1000_u16, 1001, 1007, 1011, 3000, 4999])
            .prop_flat_map(move |code| text().prop_map(move |text| frame(0x88, &[&code.to_be_bytes(), &text[..text.len().min(60)]].concat()))),
        1 => Just(frame(0x88, b"")),
        1 => Just(frame(0x88, b"\x03")),
    ];
    (prop::collection::vec(one, 1..12), any::<prop::sample::Index>(), prop::bool::weighted(0.2)).prop_map(
        |(frames, end, cut)| {
            let mut stream = frames.concat();
            if cut {
                stream.truncate(end.index(stream.len()));
            }
            (stream, !cut)
        },
    )
}

proptest! {
    #[test]
    fn a_second_implementation_reads_the_same_however_the_stream_is_cut(
        (stream, whole) in streams(),
        cuts in prop::collection::vec(prop_oneof![1_usize..20, 1_usize..20_000], 1..20),
    ) {
        let ours = by_us(&stream, &cuts);
        let theirs = by_others(&stream);
        prop_assert_eq!(&ours, &by_us(&stream, &[usize::MAX]));
        prop_assert_eq!(&ours.messages, &theirs.messages);
        // Ours says of a breach before the frame that has it is there; theirs may wait for the frame.
        prop_assert!(ours.broken == theirs.broken || (ours.broken && !whole), "{:?} {:?}", ours, theirs);
    }
}
