//! What becomes of messages: edits, deletions and reactions, for those who are there, who come later and who come back.

use confab::server::settings::{History, Settings};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, browser, offset, rule},
    clients::{Plain, V1},
};

/// Rooms of each kind: `s-*` in the store, `m-*` in memory, `n-*` nowhere.
fn each_kind(settings: &mut Settings) {
    settings.rooms = vec![rule("s-*", History::Store), rule("m-*", History::Memory), rule("n-*", History::None)];
}

const KEPT: [&str; 2] = ["s-a", "m-a"];

/// A member of a room who sends commands about its messages.
struct Member {
    v1: V1,
    topic: String,
    said: u32,
}

impl Member {
    async fn of(app: &TestApp, group: &str) -> Self {
        Self { v1: V1::connect(app.address, &format!("/room/{group}/")).await, topic: format!("room/{group}"), said: 0 }
    }

    /// The guest of this number.
    async fn guest(app: &TestApp, group: &str, number: usize) -> Self {
        let v1 = V1::with(app.address, &format!("/room/{group}/"), &[("cookie", &cookie(number))]).await;
        Self { v1, topic: format!("room/{group}"), said: 0 }
    }

    /// The id of the message at an offset.
    fn id(&self, offset: u64) -> String {
        format!("{}-{offset}", self.v1.welcome["joined"]["epoch"].as_str().expect("an epoch"))
    }

    async fn say(&mut self, text: &str) -> u64 {
        self.said += 1;
        let (topic, key) = (self.topic.clone(), format!("k{}", self.said));
        self.v1.post(&topic, &key, text).await.as_u64().expect("an offset")
    }

    fn command(&self, name: &str, message: &str, more: &Value) -> Value {
        let mut body = json!({"topic": self.topic, "message": message});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({name: body})
    }

    async fn edit(&mut self, message: &str, text: &str) -> Value {
        let command = self.command("edit", message, &json!({"text": text}));
        self.v1.ok(command).await["offset"].clone()
    }

    async fn delete(&mut self, message: &str) -> Value {
        let command = self.command("delete", message, &json!({}));
        self.v1.ok(command).await["offset"].clone()
    }

    async fn react(&mut self, message: &str, emoji: &str, on: bool) -> Value {
        let command = self.command("react", message, &json!({"emoji": emoji, "on": on}));
        self.v1.ok(command).await["offset"].clone()
    }
}

fn cookie(guest: usize) -> String {
    format!("confab_guest={guest:032x}")
}

/// What a guest reads of a room over HTTP.
async fn read_by(app: &TestApp, guest: usize, path: &str) -> String {
    let asked = browser().get(app.url(path)).header("cookie", cookie(guest)).send();
    crate::within(path, asked).await.expect("an answer").text().await.expect("a body")
}

#[tokio::test]
async fn any_number_of_people_react_and_everybody_knows_what_is_their_own() {
    const PEOPLE: usize = 120;
    let app = TestApp::with(each_kind).await;
    for group in KEPT {
        let mut ann = Member::guest(&app, group, 0).await;
        ann.say("Vote!").await;
        let id = ann.id(1);
        for number in 1..=PEOPLE {
            assert_eq!(Member::guest(&app, group, number).await.react(&id, "👍", true).await, number + 1, "{group}");
        }
        for push in ann.v1.pushes_so_far().await {
            assert!(push.get("mine").is_none() && push["event"].get("mine").is_none(), "what all get is nobody's own: {push}");
        }
        let path = format!("/api/v1/rooms/{group}/messages");
        let (mine, topic) = (json!({&*id: ["👍"]}), format!("room/{group}"));
        // One who has put none, one of those who are named, and the last, who is not.
        for (guest, mine) in [(0, None), (1, Some(&mine)), (PEOPLE, Some(&mine))] {
            let body: Value = serde_json::from_str(&read_by(&app, guest, &path).await).expect("JSON");
            let reaction = &body["messages"][0]["reactions"][0];
            assert_eq!((&reaction["count"], reaction["from"].as_array().map(Vec::len)), (&json!(PEOPLE), Some(20)));
            assert_eq!(body["messages"][0]["changed"], PEOPLE + 1);
            assert_eq!(body.get("mine"), mine, "{group} {guest}");
            let mut late = Member::guest(&app, group, guest).await;
            for since in [None, Some(json!({"epoch": ann.v1.welcome["joined"]["epoch"], "offset": 0}))] {
                let state = late.v1.join(&topic, since.as_ref()).await;
                assert_eq!((&state["recovered"], state.get("mine")), (&json!(since.is_some()), mine), "{group} {guest}");
                assert_eq!(state["events"][0]["event"]["reactions"][0]["count"], PEOPLE);
            }
            let page = read_by(&app, guest, &format!("/room/{group}/")).await;
            let pressed = page.contains("aria-pressed=\"true\"");
            assert_eq!(pressed, mine.is_some(), "{group} {guest}");
        }
        // Whose it is not known takes nothing away, whose it is takes one away.
        let mut last = Member::guest(&app, group, PEOPLE).await;
        assert_eq!(ann.react(&id, "👍", false).await, PEOPLE + 1);
        assert_eq!(last.react(&id, "👍", false).await, PEOPLE + 2);
        let (_, body) = app.api(&path).await;
        assert_eq!(body["messages"][0]["reactions"][0]["count"], PEOPLE - 1);
    }
}

#[tokio::test]
async fn a_message_takes_twenty_kinds_of_reactions_and_ten_of_one_person() {
    let app = TestApp::with(each_kind).await;
    for group in KEPT {
        let mut members = Vec::new();
        for number in 0..3 {
            members.push(Member::guest(&app, group, number).await);
        }
        members[0].say("Vote!").await;
        let id = members[0].id(1);
        for (member, bound) in [(0, "10"), (1, "20")] {
            for kind in 0..10 {
                members[member].react(&id, &format!("k{member}{kind}"), true).await;
            }
            // The first has put as many as one may; then there are as many as there may be.
            let refused = &mut members[2 * member];
            let error = refused.v1.error(refused.command("react", &id, &json!({"emoji": "more", "on": true}))).await;
            assert_eq!(error["code"], "too_large", "{error}");
            assert!(error["message"].as_str().is_some_and(|message| message.contains(bound)), "{error}");
        }
        assert_eq!(members[2].react(&id, "k03", true).await, 22, "nobody is shut out of what is there");
    }
}

#[tokio::test]
async fn members_hear_of_a_change_in_its_place_and_plain_clients_hear_nothing() {
    let app = TestApp::with(each_kind).await;
    for group in KEPT {
        let (mut ann, mut bob) = (Member::of(&app, group).await, Member::of(&app, group).await);
        let mut plain = Plain::connect(app.address, &format!("/room/{group}/")).await;
        plain.say("hello").await;
        assert_eq!(plain.text().await, "hello");
        ann.say("first").await;
        let id = ann.id(2);
        assert_eq!(ann.edit(&id, "First!").await, 3);
        assert_eq!(bob.react(&id, "👍", true).await, 4);
        assert_eq!(bob.react(&id, "👍", false).await, 5);
        assert_eq!(ann.delete(&id).await, 6);
        ann.say("last").await;
        let you = bob.v1.welcome["you"].clone();
        for member in [&mut ann, &mut bob] {
            let pushes = member.v1.pushes_so_far().await;
            assert!(pushes.iter().map(offset).eq(1..=7), "{pushes:?}");
            let events: Vec<_> = pushes[2..6].iter().map(|push| push["event"].clone()).collect();
            assert_eq!(
                (&events[0]["type"], &events[0]["id"], &events[0]["text"]),
                (&json!("edit"), &json!(id), &json!("First!"))
            );
            assert!(events[0]["at"].is_string(), "{}", events[0]);
            assert_eq!(events[1], json!({"type": "react", "id": id, "emoji": "👍", "from": you, "on": true}));
            assert_eq!(events[2], json!({"type": "react", "id": id, "emoji": "👍", "from": you, "on": false}));
            assert_eq!(events[3], json!({"type": "delete", "id": id}));
        }
        assert_eq!((plain.text().await, plain.text().await), ("first".to_owned(), "last".to_owned()), "{group}");
    }
}

#[tokio::test]
async fn whoever_comes_later_reads_the_message_as_it_is_now() {
    let app = TestApp::with(each_kind).await;
    for group in KEPT {
        let mut ann = Member::of(&app, group).await;
        for text in ["first", "second", "third"] {
            ann.say(text).await;
        }
        let (first, second) = (ann.id(1), ann.id(2));
        ann.edit(&first, "First!").await;
        ann.delete(&second).await;
        ann.react(&first, "🎉", true).await;
        let (_, body) = app.api(&format!("/api/v1/rooms/{group}/messages")).await;
        assert_eq!((&body["offset"], &body["first"], &body["latest"]), (&json!(6), &json!(1), &json!(3)), "{group}");
        let messages = body["messages"].as_array().expect("a list");
        assert_eq!((&messages[0]["text"], messages[0]["edited"].is_string()), (&json!("First!"), true));
        assert_eq!(messages[0]["reactions"], json!([{"emoji": "🎉", "count": 1, "from": [ann.v1.welcome["you"]]}]));
        assert_eq!((&messages[1]["text"], &messages[1]["deleted"]), (&json!(""), &json!(true)));
        assert_eq!((messages[2].get("edited"), messages[2].get("deleted"), messages[2].get("reactions")), (None, None, None));

        let export = app.get(&format!("/api/v1/rooms/{group}/export")).await.text().await.expect("a body");
        let lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(&lines, messages, "{group}");

        let page = app.get(&format!("/room/{group}/")).await.text().await.expect("a page");
        assert!(page.contains("First!") && page.contains("third") && !page.contains("second\""), "{group}");

        let mut late = V1::connect(app.address, "/ws/").await;
        let state = late.join(&format!("room/{group}"), None).await;
        assert_eq!((&state["offset"], &state["recovered"]), (&json!(6), &json!(false)));
        let events = state["events"].as_array().expect("a list");
        assert!(events.iter().map(offset).eq(1..=3), "the messages alone");
        assert_eq!(events[0]["event"]["text"], "First!");
    }
}

#[tokio::test]
async fn who_was_away_is_told_of_the_changes_it_has_missed() {
    let app = TestApp::with(each_kind).await;
    for group in KEPT {
        let mut ann = Member::of(&app, group).await;
        ann.say("first").await;
        ann.say("second").await;
        let since = json!({"epoch": ann.v1.welcome["joined"]["epoch"], "offset": 2});
        let (first, second) = (ann.id(1), ann.id(2));
        ann.edit(&first, "once").await;
        ann.edit(&first, "twice").await;
        ann.edit(&second, "a secret").await;
        ann.delete(&second).await;
        let mut back = V1::connect(app.address, "/ws/").await;
        let state = back.join(&format!("room/{group}"), Some(&since)).await;
        assert_eq!((&state["offset"], &state["recovered"]), (&json!(6), &json!(true)), "{group}");
        let events = state["events"].as_array().expect("a list");
        assert!(events.iter().map(offset).eq(3..=6));
        let kinds: Vec<_> = events.iter().map(|push| (&push["event"]["type"], &push["event"]["text"])).collect();
        let (edit, delete, twice) = (json!("edit"), json!("delete"), json!("twice"));
        let none = Value::Null;
        assert_eq!(kinds, [(&edit, &twice), (&edit, &twice), (&delete, &none), (&delete, &none)], "as they are now");
    }
}

#[tokio::test]
async fn a_change_that_is_not_allowed_says_why() {
    let app = TestApp::with(each_kind).await;
    for group in KEPT {
        let (mut ann, mut bob) = (Member::of(&app, group).await, Member::of(&app, group).await);
        ann.say("first").await;
        ann.say("gone").await;
        let (first, gone) = (ann.id(1), ann.id(2));
        ann.delete(&gone).await;
        let long = "x".repeat(65_537);
        let mut refusals = Vec::new();
        for (name, message, more, code) in [
            ("edit", &*first, json!({"text": "bob's"}), "forbidden"),
            ("delete", &first, json!({}), "forbidden"),
            ("edit", &first, json!({"text": ""}), "bad_request"),
            ("edit", &first, json!({"text": long}), "too_large"),
            ("edit", "nonsense", json!({"text": "x"}), "bad_request"),
            ("react", &first, json!({"emoji": "two words", "on": true}), "bad_request"),
            ("react", &first, json!({"emoji": "\u{200b}", "on": true}), "bad_request"),
            ("react", &gone, json!({"emoji": "👍", "on": true}), "not_found"),
            ("react", &ann.id(3), json!({"emoji": "👍", "on": true}), "not_found"),
            ("react", "other-1", json!({"emoji": "👍", "on": true}), "not_found"),
        ] {
            let command = bob.command(name, message, &more);
            let error = bob.v1.error(command).await;
            assert_eq!(error["code"], code, "{name} {message}: {error}");
            refusals.push(error["message"].as_str().expect("a text").to_owned());
        }
        assert!(refusals[0].contains("author") && refusals[3].contains("65536"), "{refusals:?}");
        let mut elsewhere = V1::connect(app.address, "/ws/").await;
        let error = elsewhere.error(bob.command("delete", &first, &json!({}))).await;
        assert_eq!(error["code"], "not_joined");
        assert_eq!(app.all_messages(group).await.1[0]["text"], "first", "{group}");
    }
    let mut passing = Member::of(&app, "n-a").await;
    passing.v1.post("room/n-a", "k", "text").await;
    let id = passing.v1.push().await["event"]["id"].as_str().expect("an id").to_owned();
    for message in [id, passing.id(1)] {
        let error = passing.v1.ask(passing.command("delete", &message, &json!({}))).await;
        assert!(error["error"]["code"] == "not_found" || error["error"]["code"] == "bad_request", "{error}");
    }
}

#[tokio::test]
async fn a_repeated_change_is_told_once() {
    let app = TestApp::with(each_kind).await;
    for group in KEPT {
        let mut ann = Member::of(&app, group).await;
        ann.say("first").await;
        let id = ann.id(1);
        for _ in 0..3 {
            assert_eq!(ann.edit(&id, "again").await, 2);
        }
        for _ in 0..3 {
            assert_eq!(ann.react(&id, "👍", true).await, 3);
        }
        for _ in 0..3 {
            assert_eq!(ann.delete(&id).await, 4);
        }
        let pushes = ann.v1.pushes_so_far().await;
        assert!(pushes.iter().map(offset).eq(1..=4), "{pushes:?}");
    }
}

#[tokio::test]
async fn the_list_of_rooms_shows_what_becomes_of_a_latest_message() {
    let app = TestApp::with(each_kind).await;
    let mut watcher = V1::connect(app.address, "/ws/").await;
    watcher.join("lobby", None).await;
    let mut ann = Member::of(&app, "s-a").await;
    ann.say("first").await;
    ann.say("second").await;
    let (first, second) = (ann.id(1), ann.id(2));
    ann.edit(&first, "not the latest").await;
    ann.edit(&second, "Second!").await;
    ann.react(&second, "👍", true).await;
    ann.delete(&second).await;
    // Of what comes in quick succession the newest is told.
    let [one, two, edited] = ["first", "second", "Second!"].map(Value::from);
    let all = [(1, one, false), (2, two, false), (2, edited.clone(), false), (2, edited, false), (2, json!(""), true)];
    let mut left = all.iter();
    loop {
        let latest = watcher.push().await["event"]["latest"].clone();
        let seen = (offset(&latest), latest["text"].clone(), latest["deleted"] == true);
        assert!(left.any(|one| *one == seen), "{seen:?} is not one of {all:?}, in their order");
        if seen.2 {
            break;
        }
    }
    let rooms = V1::connect(app.address, "/ws/").await.join("lobby", None).await["rooms"].clone();
    assert_eq!((&rooms[0]["latest"]["deleted"], &rooms[0]["latest"]["text"]), (&json!(true), &json!("")));
    let page = app.get("/").await.text().await.expect("a page");
    assert!(page.contains("message deleted") && !page.contains("Second!"));
}

#[tokio::test]
async fn nobody_makes_up_a_change_from_outside() {
    let app = TestApp::with(|settings| {
        each_kind(settings);
        let (name, token) = ("Cron".parse().expect("a name"), "program-0123456789abcdef".parse().expect("a token"));
        let groups = vec![confab::server::settings::Pattern::everything()];
        settings.tokens = vec![confab::server::settings::TokenRule { name, token, groups, channels: true }];
    })
    .await;
    let mut ann = Member::of(&app, "s-a").await;
    ann.say("first").await;
    ann.v1.push().await;
    let id = ann.id(1);
    for event in [
        json!({"type": "delete", "id": id}),
        json!({"type": "edit", "id": id, "text": "theirs", "at": "2026-11-21T00:00:00.000Z"}),
        json!({"type": "react", "id": id, "emoji": "x", "from": {"id": "a", "name": "b"}, "on": true}),
        json!({"type": "confab.change", "epoch": "e", "offset": 2, "change": "{}"}),
    ] {
        let answer = reqwest::Client::builder().no_proxy().build().expect("a client").post(app.url("/api/v1/groups/s-a/send"));
        let answer = answer.bearer_auth("program-0123456789abcdef").json(&event).send().await.expect("an answer");
        assert_eq!(answer.status(), 422, "{event}");
    }
    assert_eq!(ann.v1.pushes_so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn who_takes_another_name_is_shown_by_it_where_they_have_put_something() {
    let app = TestApp::start().await;
    let mut ann = Member::guest(&app, "a", 1).await;
    ann.say("text").await;
    let mut bob = Member::guest(&app, "a", 2).await;
    let id = ann.id(1);
    bob.react(&id, "x", true).await;
    let rename = async |guest: usize, name: &str| {
        let form = browser().post(app.url("/me")).header("cookie", cookie(guest)).form(&[("name", name)]);
        crate::within("the new name", form.send()).await.expect("an answer");
    };
    rename(2, "Zo\u{eb}").await;
    // Nobody else has this name, and nothing else is called so.
    let names = async |guest: usize| {
        let (page, api) = (read_by(&app, guest, "/room/a/").await, read_by(&app, guest, "/api/v1/rooms/a/messages").await);
        [page.contains("Zo\u{eb}"), api.contains("Zo\u{eb}")]
    };
    assert_eq!(names(1).await, [true, true]);
    // Who joins from the beginning, and who comes back, hears the same.
    let mut back = V1::with(app.address, "/ws/", &[("cookie", &cookie(3))]).await;
    let since = json!({"epoch": ann.v1.welcome["joined"]["epoch"], "offset": 0});
    for since in [None, Some(&since)] {
        let joined = back.join("room/a", since).await.to_string();
        assert!(joined.contains("Zo\u{eb}"), "{joined}");
        back.ok(json!({"leave": {"topic": "room/a"}})).await;
    }
    // With the last of what they have put their name goes, and who puts something then has it from their cookie.
    bob.react(&id, "x", false).await;
    assert!(!names(1).await[1]);
}
