//! How people are known where they are shown: as guests, by accounts, as programs.

use confab::server::settings::{Settings, SignUp};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, browser},
    people::Somebody,
    within,
};

fn open(settings: &mut Settings) {
    settings.accounts.sign_up = SignUp::Open;
}

/// How often somebody is marked on a page as a guest, and by this handle.
async fn marks(app: &TestApp, who: &Somebody, path: &str) -> (usize, usize) {
    let (status, page) = who.get(app, path).await;
    assert_eq!(status, 200, "{path}");
    (page.matches(">guest</span>").count(), page.matches(">@bob</bdi>").count())
}

#[tokio::test]
async fn whoever_has_an_account_is_known_by_the_handle_wherever_they_are_shown() {
    let app = TestApp::start().await;
    let (guest, bob) = (Somebody::guest(), Somebody::new(&app, "bob").await);
    // Who is called otherwise than by the handle is told apart by it.
    assert_eq!(bob.send(&app, "/me", &[("name", "Guest"), ("next", "/")]).await.0, 303);
    let (mut guests, mut bobs) = (guest.socket(&app).await, bob.socket(&app).await);
    for (socket, kind) in [(&guests, "guest"), (&bobs, "account")] {
        assert_eq!(socket.kind, kind);
    }
    let id = guests.welcome["you"]["id"].clone();
    let (anonymous, known) = (json!({"id": id, "name": "Guest"}), json!({"id": bob.id, "name": "Guest", "handle": "bob"}));
    guests.join("room/a", None).await;
    let joined = bobs.join("room/a", None).await;
    let mut people = joined["members"]["people"].as_array().expect("people").clone();
    people.sort_by_key(|person| person["id"] == id);
    assert_eq!(people, [known.clone(), anonymous.clone()]);
    assert!(guests.sees("room/a", 2).await["joined"].as_array().is_some_and(|joined| joined.contains(&known)));
    guests.post("room/a", "k1", "by a guest").await;
    bobs.post("room/a", "k2", "by an account").await;
    let epoch = joined["epoch"].as_str().expect("an epoch");
    for (socket, emoji) in [(&mut guests, "👍"), (&mut bobs, "👍")] {
        socket.ok(json!({"react": {"topic": "room/a", "message": format!("{epoch}-1"), "emoji": emoji, "on": true}})).await;
    }
    bobs.ok(json!({"typing": {"topic": "room/a"}})).await;
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let push = guests.push().await;
        seen.push((push["event"]["type"].clone(), push["event"]["from"].clone()));
    }
    let said = |kind: &str, from: &Value| (json!(kind), from.clone());
    let expected = [said("message", &anonymous), said("message", &known), said("react", &anonymous), said("react", &known)];
    assert_eq!(seen, [&expected[..], &[said("typing", &known)]].concat());

    // What was said before is read so, too.
    let back = guest.socket(&app).await.join("room/a", None).await;
    let from = |index: usize| back["events"][index]["event"]["from"].clone();
    assert_eq!((from(0), from(1)), (anonymous.clone(), known.clone()));
    let mut put = back["events"][0]["event"]["reactions"][0]["from"].as_array().expect("people").clone();
    put.sort_by_key(|person| person["id"] == id);
    assert_eq!(put, [known.clone(), anonymous.clone()]);
    let (_, read) = guest.api(&app, "/api/v1/rooms/a/messages").await;
    assert_eq!((&read["messages"][0]["from"], &read["messages"][1]["from"]), (&anonymous, &known));
    let (_, export) = guest.get(&app, "/api/v1/rooms/a/export").await;
    let lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["from"], &lines[1]["from"]), (&anonymous, &known));
    let found = within("the index", async {
        loop {
            let (_, found) = guest.api(&app, "/api/v1/search?q=account").await;
            if found["hits"] != json!([]) {
                break found;
            }
        }
    });
    assert_eq!(found.await["hits"][0]["from"], known);
    let (_, list) = guest.api(&app, "/api/v1/rooms").await;
    assert_eq!(list["rooms"][0]["latest"]["from"], known);
    // The message of each and the list of people; on the list of rooms the last message.
    assert_eq!(marks(&app, &Somebody { cookie: String::new(), ..guest.clone() }, "/room/a/").await, (2, 2));
    assert_eq!(marks(&app, &guest, "/").await, (0, 1));
    assert_eq!(marks(&app, &guest, "/search/?q=guest").await, (1, 0));
}

#[tokio::test]
async fn what_a_guest_has_said_is_the_accounts_once_there_is_one() {
    let app = TestApp::with(open).await;
    let (guest, other) = (Somebody::guest(), Somebody { cookie: String::new(), ..Somebody::guest() });
    let mut socket = guest.socket(&app).await;
    socket.join("room/a", None).await;
    socket.post("room/a", "k1", "as a guest").await;
    assert_eq!(marks(&app, &other, "/room/a/").await.0, 2, "the message, and among those who are there");
    let form = [("name", "Zoe"), ("password", "correct horse battery"), ("next", "/")];
    let form = browser().post(app.url("/signup")).header("cookie", &guest.cookie).form(&form);
    assert_eq!(within("an answer", form.send()).await.expect("an answer").status(), 303);
    let (_, read) = other.api(&app, "/api/v1/rooms/a/messages").await;
    assert_eq!(read["messages"][0]["from"], json!({"id": socket.welcome["you"]["id"], "name": "Zoe", "handle": "Zoe"}));
    // Not what was rendered before.
    within("the page", async { while marks(&app, &other, "/room/a/").await.0 > 0 {} }).await;
}
