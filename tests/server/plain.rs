//! Plain clients: what one says reaches every member verbatim, once, and nothing else does.

use confab::server::settings::History;
use serde_json::json;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::{
    app::{Http as _, TestApp, rule},
    clients::{Plain, V1},
    within,
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
    leaver.say("last words").await;
    leaver.say("exit").await;
    assert_eq!(leaver.text().await, "last words");
    assert_eq!(leaver.closed().await, (1000, String::new()));
    stayer.say("still here").await;
    assert_eq!((stayer.text().await, stayer.text().await), ("last words".to_owned(), "still here".to_owned()));
}

#[tokio::test]
async fn whatever_a_v1_client_does_a_plain_member_gets_only_the_texts() {
    let app = TestApp::start().await;
    let mut plain = Plain::connect(app.address, "/room/a/").await;
    let mut v1 = V1::connect(app.address, "/room/a/").await;
    v1.join("room/a", None).await;
    v1.join("lobby", None).await;
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
async fn a_text_in_which_nothing_is_seen_reaches_plain_members_and_is_no_message() {
    for history in [History::Store, History::None] {
        let app = TestApp::with(|settings| settings.rooms = vec![rule("*", history)]).await;
        let mut one = Plain::connect(app.address, "/room/a/").await;
        let mut other = Plain::connect(app.address, "/room/a/").await;
        let mut v1 = V1::connect(app.address, "/room/a/").await;
        app.has_members(3).await;
        for text in ["", " ", "\u{200b}", "\r\n", "seen \r\n"] {
            one.say(text).await;
            assert_eq!(one.text().await, text);
            assert_eq!(other.text().await, text);
            let push = v1.push().await;
            if text.starts_with("seen") {
                assert_eq!((&push["event"]["type"], &push["event"]["text"]), (&"message".into(), &text.into()));
            } else {
                assert_eq!(push, json!({"topic": "room/a", "event": {"type": "chat.message", "message": text}}));
            }
        }
        let kept: Vec<_> = app.all_messages("a").await.1.iter().map(|message| message["text"].clone()).collect();
        assert_eq!(kept, if history == History::Store { &["seen \r\n"][..] } else { &[] });
    }
}

#[tokio::test]
async fn who_brings_more_than_members_can_be_given_waits_and_nothing_is_lost() {
    const TALKERS: usize = 6;
    const EACH: usize = 80;
    let app = TestApp::with(|settings| {
        settings.rooms = vec![rule("*", History::None)];
        // What a reader may be behind is not shown here.
        settings.limits.backlog_bytes = None;
    })
    .await;
    let mut members = Vec::new();
    for _ in 0..TALKERS {
        members.push(Plain::connect(app.address, "/room/a/").await);
    }
    app.has_members(TALKERS).await;
    let talking = members.into_iter().enumerate().map(|(number, mut member)| {
        tokio::spawn(async move {
            let (mut said, mut heard) = (0, vec![0; TALKERS]);
            while heard.iter().sum::<usize>() < TALKERS * EACH {
                // Says one thing more after each that it has heard, and many more than that at the beginning.
                if said < EACH && said <= EACH / 2 + heard[number] {
                    member.say(&format!("{number} {said} {}", "x".repeat(60_000))).await;
                    said += 1;
                    continue;
                }
                let text = member.text().await;
                let mut words = text.split(' ').map(str::parse::<usize>);
                let (Some(Ok(who)), Some(Ok(which))) = (words.next(), words.next()) else { panic!("not ours") };
                assert_eq!(heard[who], which, "in the order of its sender, each once");
                heard[who] += 1;
            }
        })
    });
    for talker in talking.collect::<Vec<_>>() {
        within("everything", talker).await.expect("no panic");
    }
}
