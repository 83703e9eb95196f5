//! permessage-deflate (RFC 7692): what is agreed on, what members of one room get, and which deflated messages are taken.

use confab::server::settings::History;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};

use crate::{
    app::{TestApp, rule},
    clients::{Plain, Raw, UPGRADE, V1, frame, request},
};

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// What comes back.
type Texts<'a> = &'a [&'a [u8]];

async fn echo() -> TestApp {
    TestApp::with(|settings| settings.rooms = vec![rule("*", History::None)]).await
}

/// A client that offers these extensions, and what was agreed on.
async fn offering(app: &TestApp, offers: &[&str], protocol: Option<&str>) -> (Raw, Option<String>) {
    let mut headers = UPGRADE.to_vec();
    headers.extend(offers.iter().map(|offer| ("Sec-WebSocket-Extensions", *offer)));
    headers.extend(protocol.map(|protocol| ("Sec-WebSocket-Protocol", protocol)));
    let mut raw = Raw::connect(app.address).await;
    raw.send(request("GET /room/a/ HTTP/1.1", &headers).as_bytes()).await;
    let head = raw.head().await;
    assert_eq!(head.status, 101, "{offers:?}");
    (raw, head.get("sec-websocket-extensions").map(str::to_owned))
}

async fn deflating(app: &TestApp) -> Raw {
    let (raw, agreed) = offering(app, &[OFFER], None).await;
    assert_eq!(agreed.as_deref(), Some(AGREED));
    raw
}

/// As a client deflates it, with nothing left of earlier messages.
fn deflated(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() * 2 + 64);
    Compress::new(Compression::default(), false).compress_vec(message, &mut out, FlushCompress::Sync).expect("DEFLATE");
    assert!(out.ends_with(&[0, 0, 0xFF, 0xFF]));
    out.truncate(out.len() - 4);
    out
}

/// What a client makes of it.
fn inflated(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let whole = [message, &[0, 0, 0xFF, 0xFF]].concat();
    Decompress::new(false).decompress_vec(&whole, &mut out, FlushDecompress::Sync).expect("DEFLATE");
    out
}

/// Words that repeat, as people's do.
fn prose(length: usize) -> String {
    let words = ["the ", "room ", "is ", "open ", "and ", "nobody ", "says ", "why "];
    let mut text: String = (0..length).map(|n| words[(n * n / 7 + n) % words.len()]).collect();
    text.truncate(length);
    text
}

/// Bytes that do not shrink.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test]
async fn the_first_offer_that_can_be_kept_is_agreed_to_and_no_offer_is_refused() {
    let app = echo().await;
    let with_bits = |bits| Some(format!("{AGREED}; server_max_window_bits={bits}"));
    let plainly = || Some(AGREED.to_owned());
    for (offers, agreed) in [
        (&[][..], None),
        (&["permessage-deflate"][..], plainly()),
        (&[OFFER], plainly()),
        (&["permessage-deflate; server_no_context_takeover; client_no_context_takeover"], plainly()),
        (&["permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"], with_bits(12)),
        (&["permessage-deflate; server_max_window_bits=\"9\""], with_bits(9)),
        (&["permessage-deflate; server_max_window_bits=8, permessage-deflate"], with_bits(8)),
        (&["permessage-deflate; server_max_window_bits=7, permessage-deflate"], plainly()),
        (&["permessage-deflate; server_max_window_bits=16", "permessage-foo", OFFER], plainly()),
        (&["permessage-deflate; server_max_window_bits=16"], None),
        (&["permessage-deflate; client_max_window_bits=7"], None),
        (&["permessage-deflate; mystery"], None),
        (&["permessage-deflate; server_no_context_takeover; server_no_context_takeover"], None),
        (&["x-webkit-deflate-frame"], None),
        (&["permessage-deflate; \""], None),
        (&[";;;,,,\"\"=\"", OFFER], plainly()),
    ] {
        let (mut raw, answer) = offering(&app, offers, None).await;
        assert_eq!(answer, agreed, "{offers:?}");
        raw.send(&frame(0x81, b"hello")).await;
        assert_eq!(raw.frame().await, Some((0x81, b"hello".to_vec())), "{offers:?}");
    }
}

#[tokio::test]
async fn the_setting_switches_it_off() {
    let app = TestApp::with(|settings| settings.server.deflate = false).await;
    let (mut raw, agreed) = offering(&app, &[OFFER], None).await;
    assert_eq!(agreed, None);
    let text = prose(2_000);
    raw.send(&frame(0x81, text.as_bytes())).await;
    assert_eq!(raw.frame().await, Some((0x81, text.into_bytes())));
    raw.send(&frame(0xC1, &deflated(b"hello"))).await;
    assert_eq!(raw.closed().await.0, 1002);
}

#[tokio::test]
async fn each_member_gets_a_message_as_it_can_read_it() {
    let app = echo().await;
    let mut first = deflating(&app).await;
    let mut second = deflating(&app).await;
    let (mut narrow, _) = offering(&app, &["permessage-deflate; server_max_window_bits=9"], None).await;
    let (mut none, _) = offering(&app, &[], None).await;
    for length in [256, 512, 513, 5_000, 65_536] {
        for opcode in [0x81, 0x82] {
            let message = prose(length).into_bytes();
            none.send(&frame(opcode, &message)).await;
            assert_eq!(none.frame().await, Some((opcode, message.clone())), "{length}");
            let (first_byte, payload) = first.frame().await.expect("a frame");
            assert_eq!(first_byte, opcode | 0x40, "{length}");
            assert!(payload.len() * 10 < length * 8, "{length}: {}", payload.len());
            assert_eq!(inflated(&payload), message);
            // The same bytes: they are made once.
            assert_eq!(second.frame().await, Some((first_byte, payload.clone())), "{length}");
            // It holds 512 bytes.
            let expected = if length <= 512 { (first_byte, payload) } else { (opcode, message) };
            assert_eq!(narrow.frame().await, Some(expected), "{length}");
        }
    }
}

#[tokio::test]
async fn what_is_short_or_does_not_shrink_goes_out_as_it_is() {
    let app = echo().await;
    let mut raw = deflating(&app).await;
    for message in [Vec::new(), b"hello".to_vec(), vec![b'x'; 255], noise(256), noise(1_000), noise(65_536)] {
        raw.send(&frame(0xC2, &deflated(&message))).await;
        assert_eq!(raw.frame().await, Some((0x82, message)));
    }
}

#[tokio::test]
async fn deflated_messages_are_taken_in_every_form() {
    let app = echo().await;
    let hello = deflated(b"hello");
    let crab = deflated("🦀".as_bytes());
    let fragments = |payload: &[u8]| -> Vec<u8> {
        let last = payload.len() - 1;
        let first = |n| if n == 0 { 0x41 } else { 0 } | if n == last { 0x80 } else { 0 };
        payload.iter().enumerate().flat_map(|(n, byte)| frame(first(n), &[*byte])).collect()
    };
    let cases: [(&str, Vec<u8>, Texts<'_>); 13] = [
        ("whole", frame(0xC1, &hello), &[b"hello"]),
        ("byte by byte", fragments(&hello), &[b"hello"]),
        ("a character byte by byte", fragments(&crab), &["🦀".as_bytes()]),
        ("an empty frame first", [frame(0x41, b""), frame(0x80, &hello)].concat(), &[b"hello"]),
        ("an empty frame last", [frame(0x41, &hello), frame(0x00, b""), frame(0x80, b"")].concat(), &[b"hello"]),
        ("an empty message", frame(0xC1, &[0]), &[b""]),
        ("an empty message as zlib makes it", frame(0xC1, &deflated(b"")), &[b""]),
        ("an empty message without a byte", frame(0xC1, b""), &[b""]),
        ("no compression", frame(0xC1, b"\x00\x05\x00\xFA\xFFHello\x00"), &[b"Hello"]),
        ("a last block", frame(0xC1, b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00"), &[b"Hello"]),
        ("two blocks", frame(0xC1, b"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00"), &[b"Hello"]),
        (
            "not deflated between deflated ones",
            [frame(0xC1, &hello), frame(0x81, b"as it is"), frame(0xC1, &hello)].concat(),
            &[b"hello", b"as it is", b"hello"],
        ),
        ("not deflated, in fragments", [frame(0x01, b"as it "), frame(0x80, b"is")].concat(), &[b"as it is"]),
    ];
    for (what, sent, expected) in cases {
        for pieces in [sent.len(), 1] {
            let mut raw = deflating(&app).await;
            for piece in sent.chunks(pieces) {
                raw.send(piece).await;
            }
            for text in expected {
                assert_eq!(raw.frame().await, Some((0x81, text.to_vec())), "{what}");
            }
        }
    }
    // The example of RFC 7692 section 7.2.3.1 in two fragments, with a ping between.
    let mut raw = deflating(&app).await;
    let sent = [frame(0x41, b"\xF2\x48\xCD"), frame(0x89, b"there?"), frame(0x80, b"\xC9\xC9\x07\x00")];
    raw.send(&sent.concat()).await;
    assert_eq!(raw.frame().await, Some((0x8A, b"there?".to_vec())));
    assert_eq!(raw.frame().await, Some((0x81, b"Hello".to_vec())));
}

#[tokio::test]
async fn the_longest_message_may_come_deflated_also_when_that_makes_it_longer() {
    let app = echo().await;
    let mut raw = deflating(&app).await;
    for message in [vec![b'x'; 65_536], noise(65_536)] {
        raw.send(&frame(0xC2, &deflated(&message))).await;
        let (first, payload) = raw.frame().await.expect("a frame");
        assert!(if first == 0xC2 { inflated(&payload) == message } else { payload == message });
    }
    // In blocks of a few bytes.
    let blocks = |message: &[u8]| -> Vec<u8> {
        let block = |part: &[u8]| {
            let length = u16::try_from(part.len()).expect("a short block");
            [&[0], &length.to_le_bytes()[..], &(!length).to_le_bytes(), part].concat()
        };
        [message.chunks(64).flat_map(block).collect(), vec![0]].concat()
    };
    let message = noise(65_536);
    let sent = blocks(&message);
    assert!(sent.len() > message.len() + 5_000);
    raw.send(&frame(0xC2, &sent)).await;
    assert_eq!(raw.frame().await, Some((0x82, message)));
}

#[tokio::test]
async fn a_breach_has_its_close_code() {
    let app = echo().await;
    let hello = deflated(b"hello");
    let cases: [(&str, Vec<u8>, u16); 17] = [
        ("a continuation that says it is deflated", [frame(0x41, &hello[..2]), frame(0xC0, &hello[2..])].concat(), 1002),
        ("a continuation of what is not", [frame(0x01, b"hel"), frame(0xC0, b"lo")].concat(), 1002),
        ("a ping", frame(0xC9, b""), 1002),
        ("a pong", frame(0xCA, b""), 1002),
        ("a close", frame(0xC8, b"\x03\xE8"), 1002),
        ("another reserved bit", frame(0xA1, b"hello"), 1002),
        ("another reserved bit beside it", frame(0xE1, &hello), 1002),
        ("the third reserved bit", frame(0xD1, &hello), 1002),
        ("no DEFLATE", frame(0xC1, b"\xFF\xFF\xFF\xFF"), 1007),
        ("a part of it", frame(0xC1, &hello[..hello.len() - 2]), 1007),
        ("bytes that are no DEFLATE", frame(0xC2, b"\x06"), 1007),
        ("text that is not UTF-8", frame(0xC1, &deflated(b"caf\xE9")), 1007),
        ("text that ends within a character", frame(0xC1, &deflated(b"caf\xC3")), 1007),
        ("more than the bound", frame(0xC1, &deflated(&vec![b'x'; 65_537])), 1009),
        ("very much more", frame(0xC2, &deflated(&vec![0; 60_000_000])), 1009),
        ("a length beyond what can inflate to the bound", frame(0xC2, &vec![0; 80_000]), 1009),
        ("the same in fragments", [frame(0x42, &vec![0; 60_000]), frame(0x80, &vec![0; 20_000])].concat(), 1009),
    ];
    for (what, sent, code) in cases {
        let mut raw = deflating(&app).await;
        raw.send_in_vain(&sent).await;
        let (closed, reason) = raw.closed().await;
        assert_eq!(closed, code, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
        assert_eq!(raw.frame().await, None, "{what}");
    }
}

/// It was agreed that neither side refers to earlier messages.
#[tokio::test]
async fn a_message_that_refers_to_the_one_before_is_a_breach() {
    let app = echo().await;
    let mut raw = deflating(&app).await;
    raw.send(&frame(0xC1, b"\xF2\x48\xCD\xC9\xC9\x07\x00")).await;
    assert_eq!(raw.frame().await, Some((0x81, b"Hello".to_vec())));
    raw.send(&frame(0xC1, b"\xF2\x00\x11\x00\x00")).await;
    assert_eq!(raw.closed().await.0, 1007);
}

/// The next frame of a `confab.v1` connection: whether it came deflated, and the JSON.
async fn json_frame(raw: &mut Raw) -> (bool, Value) {
    loop {
        let (first, payload) = raw.frame().await.expect("a frame");
        assert_eq!(first & 0xBF, 0x81);
        let deflated = first & 0x40 != 0;
        let text = if deflated { inflated(&payload) } else { payload };
        let json: Value = serde_json::from_slice(&text).expect("JSON");
        // Who came is told some time later.
        if json["event"]["type"] != "presence" {
            return (deflated, json);
        }
    }
}

#[tokio::test]
async fn answers_and_pushes_of_confab_v1_are_deflated_and_say_the_same() {
    let app = TestApp::start().await;
    let mut other = V1::connect(app.address, "/room/a/").await;
    let mut plain = Plain::connect(app.address, "/room/a/").await;
    let (mut raw, agreed) = offering(&app, &[OFFER], Some("confab.v1")).await;
    assert_eq!(agreed.as_deref(), Some(AGREED));
    let (_, welcome) = json_frame(&mut raw).await;
    assert_eq!(welcome["welcome"]["joined"]["topic"], "room/a");
    for n in 0..20 {
        let text = prose(200 + n);
        other.post("room/a", &format!("k{n}"), &text).await;
        assert_eq!(plain.text().await, text);
        let (deflated, push) = json_frame(&mut raw).await;
        assert!(deflated, "{push}");
        assert_eq!(push, other.push().await);
    }
    let join = json!({"id": 1, "join": {"topic": "room/a"}});
    raw.send(&frame(0xC1, &deflated(join.to_string().as_bytes()))).await;
    let (deflated, answer) = json_frame(&mut raw).await;
    assert!(deflated);
    assert_eq!(answer["ok"], other.join("room/a", None).await);
    assert_eq!(answer["ok"]["events"].as_array().map(Vec::len), Some(20));
    raw.send(&frame(0x81, br#"{"id": 2, "ping": {}}"#)).await;
    assert_eq!(json_frame(&mut raw).await, (false, json!({"id": 2, "ok": {}})));
}

#[tokio::test]
async fn a_long_answer_to_one_client_is_not_deflated_and_a_short_one_is() {
    let app = TestApp::start().await;
    let mut other = V1::connect(app.address, "/room/a/").await;
    let (mut raw, _) = offering(&app, &[OFFER], Some("confab.v1")).await;
    json_frame(&mut raw).await;
    let join = frame(0x81, br#"{"id": 1, "join": {"topic": "room/a"}}"#);
    for (key, is_deflated) in [("k1", true), ("k2", false)] {
        other.post("room/a", key, &prose(20_000)).await;
        // What goes to all who are there is deflated for them together.
        let (deflated, push) = json_frame(&mut raw).await;
        assert!(deflated && push["event"]["key"] == key);
        raw.send(&join).await;
        let (deflated, answer) = json_frame(&mut raw).await;
        assert_eq!(deflated, is_deflated, "{key}");
        assert_eq!(answer["ok"]["events"].as_array().and_then(|events| events.last()), Some(&push));
    }
}

#[tokio::test]
async fn a_command_costs_its_inflated_length_whatever_it_says() {
    let app = TestApp::with(|settings| {
        settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
        settings.limits.bytes_per_second_per_address = std::num::NonZeroU32::new(1_000);
    })
    .await;
    let nested = format!(r#"{{"id":1,"x":[{}1]}}"#, "[],".repeat(130_000));
    let bomb = frame(0xC1, &deflated(nested.as_bytes()));
    assert!(bomb.len() < 2_000);
    let mut raws = Vec::new();
    for address in ["203.0.113.7", "203.0.113.7", "203.0.113.8"] {
        let more = [("X-Forwarded-For", address), ("Sec-WebSocket-Extensions", OFFER), ("Sec-WebSocket-Protocol", "confab.v1")];
        let mut raw = Raw::connect(app.address).await;
        raw.send(request("GET /ws/ HTTP/1.1", &[&UPGRADE[..], &more].concat()).as_bytes()).await;
        assert_eq!(raw.head().await.status, 101);
        json_frame(&mut raw).await;
        raws.push(raw);
    }
    for (raw, code) in raws.iter_mut().zip(["unknown_command", "rate_limited", "unknown_command"]) {
        raw.send(&bomb).await;
        let (_, answer) = json_frame(raw).await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(code)));
    }
}
