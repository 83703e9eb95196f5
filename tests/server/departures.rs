//! The file with somebody's data, and the end of an account.

use std::path::Path;

use confab::server::settings::{Settings, SignUp};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    accounts::{PASSWORD, log_in, page, post, sign_up, you},
    app::{Http as _, Program, TestApp, browser},
    clients::V1,
    within,
};

fn open(settings: &mut Settings) {
    settings.accounts.sign_up = SignUp::Open;
}

fn database(data: &Path) -> Connection {
    Connection::open(data.join("confab.db")).expect("the database")
}

fn delete<'f>(said: &'f str, password: &'f str) -> [(&'f str, &'f str); 2] {
    [("said", said), ("password", password)]
}

/// What a room has, by the API.
async fn messages(app: &TestApp, room: &str) -> Vec<Value> {
    let (_, body) = page(app, &format!("/api/v1/rooms/{room}/messages"), "").await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    body["messages"].as_array().unwrap_or_else(|| panic!("{body}")).clone()
}

/// Waits until nothing of those who go is left to be put in order.
async fn all_is_in_order(data: &Path) {
    let database = database(data);
    let finished = async {
        let is_done =
            || database.query_row("SELECT count(*) FROM departures WHERE finished IS NULL", [], |row| row.get::<_, i64>(0));
        while is_done().expect("a number") > 0 {
            tokio::task::yield_now().await;
        }
    };
    within("the end of an account", finished).await;
}

/// Zoe, who has said something in two rooms and put a reaction; and Bob, to whose message. Gives their cookies.
async fn two(app: &TestApp) -> (String, String) {
    let (zoe, bob) = (sign_up(app, "", "Zoe").await, sign_up(app, "", "Bob").await);
    let mut tab = V1::with(app.address, "/room/a/", &[("cookie", &bob)]).await;
    tab.post("room/a", "k1", "of Bob").await;
    let id = tab.push().await["event"]["id"].clone();
    let mut tab = V1::with(app.address, "/room/a/", &[("cookie", &zoe)]).await;
    tab.ok(json!({"react": {"topic": "room/a", "message": id, "emoji": "👍", "on": true}})).await;
    tab.post("room/a", "k2", "first of Zoe").await;
    tab.join("room/b", None).await;
    tab.post("room/b", "k3", "second of Zoe").await;
    (zoe, bob)
}

#[tokio::test]
async fn what_somebody_said_stays_without_their_name_when_they_go() {
    let app = TestApp::with(open).await;
    let (zoe, bob) = two(&app).await;
    let mut tab = V1::with(app.address, "/room/a/", &[("cookie", &zoe)]).await;
    for form in [delete("stays", "wrong password"), delete("", PASSWORD), delete("burns", PASSWORD)] {
        assert_eq!(post(&app, "/account/delete", &zoe, &form).await.status(), 422, "{form:?}");
    }
    tab.ok(json!({"ping": {}})).await;
    let answer = post(&app, "/account/delete", &zoe, &delete("stays", PASSWORD)).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().expect("ASCII")), (303, "/"));
    assert_eq!(tab.closed().await.0, 4501);
    assert!(you(&app, &zoe).await.get("handle").is_none());
    all_is_in_order(app.data()).await;
    let said = messages(&app, "a").await;
    assert_eq!(
        said.iter().map(|message| message["text"].as_str().expect("a text")).collect::<Vec<_>>(),
        ["of Bob", "first of Zoe"]
    );
    assert_eq!(said[1]["from"]["name"], "former member");
    assert!(said[0].get("reactions").is_none_or(|reactions| reactions == &json!([])), "{said:?}");
    assert_eq!(messages(&app, "b").await[0]["from"]["name"], "former member");
    // What was rendered before is shown for a moment longer.
    let nameless = async {
        loop {
            let (_, body) = page(&app, "/room/a/", &bob).await;
            if body.contains("former member") {
                assert!(!body.contains(">Zoe<"), "{body}");
                break;
            }
        }
    };
    within("a page without the name", nameless).await;
    assert_eq!(log_in(&app, "Zoe", PASSWORD).await.status(), 422);
    let again = sign_up(&app, "", "Zoe").await;
    assert_ne!(you(&app, &again).await["id"], said[1]["from"]["id"], "the name is free, and is somebody else's now");
}

#[tokio::test]
async fn what_somebody_said_goes_with_them_if_they_like() {
    let app = TestApp::with(open).await;
    let (zoe, bob) = two(&app).await;
    let mut tab = V1::with(app.address, "/room/b/", &[("cookie", &bob)]).await;
    tab.join("room/b", None).await;
    assert_eq!(post(&app, "/account/delete", &zoe, &delete("goes", PASSWORD)).await.status(), 303);
    let change = tab.push().await;
    assert_eq!(change["event"]["type"], "delete", "whoever has the room open sees it go: {change}");
    all_is_in_order(app.data()).await;
    let text = |message: &Value| message["text"].as_str().map(str::to_owned).unwrap_or_default();
    let said: Vec<_> = messages(&app, "a").await.iter().chain(&messages(&app, "b").await).map(text).collect();
    assert!(said.contains(&"of Bob".to_owned()) && !said.iter().any(|text| text.contains("Zoe")), "{said:?}");
    for file in ["confab.db", "confab.db-wal"] {
        let bytes = std::fs::read(app.data().join(file)).expect("a file of the store");
        assert!(file.ends_with("wal") || !bytes.windows(13).any(|part| part == b"second of Zoe"), "{file}");
    }
}

#[tokio::test]
async fn rooms_of_somebody_who_goes_get_another_owner_and_the_last_administrator_stays() {
    let app = TestApp::with(open).await;
    let (root, zoe) = (sign_up(&app, "", "Root").await, sign_up(&app, "", "Zoe").await);
    let id = |handle: &str| {
        let find = "SELECT id FROM accounts WHERE handle = ?1";
        database(app.data()).query_row(find, params![handle], |row| row.get::<_, String>(0)).expect("an account")
    };
    let (root_id, zoe_id) = (id("Root"), id("Zoe"));
    database(app.data()).execute("UPDATE accounts SET administrator = 1 WHERE handle = 'Root'", []).expect("written");
    let make = [("group", "team"), ("title", "The team"), ("kind", "closed")];
    assert_eq!(post(&app, "/rooms/new", &zoe, &make).await.status(), 303);
    let (_, body) = page(&app, "/account/delete", &zoe).await;
    assert!(body.contains("<bdi>The team</bdi> goes to <bdi>Root</bdi>"), "{body}");
    assert_eq!(post(&app, "/account/delete", &zoe, &delete("stays", PASSWORD)).await.status(), 303);
    all_is_in_order(app.data()).await;
    let owner = "SELECT person FROM room_members WHERE room = 'team' AND role = 'owner'";
    let owner = database(app.data()).query_row(owner, [], |row| row.get::<_, String>(0)).expect("an owner");
    assert_eq!(owner, root_id);
    let left = "SELECT count(*) FROM room_members WHERE person = ?1";
    assert_eq!(database(app.data()).query_row(left, params![zoe_id], |row| row.get::<_, i64>(0)).expect("a number"), 0);
    let (status, body) = page(&app, "/room/team/settings", &root).await;
    assert!(status == 200 && !body.contains("Zoe"), "what the room knows of her has no name: {body}");
    let answer = post(&app, "/account/delete", &root, &delete("goes", PASSWORD)).await;
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.expect("a page").contains("You are the last administrator"));
    assert_eq!(you(&app, &root).await["handle"], "Root");
}

#[tokio::test]
async fn what_a_server_was_killed_in_the_middle_of_is_finished_by_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let env = || {
        let mut env = std::process::Command::new("env");
        env.arg("CONFAB_ACCOUNTS__SIGN_UP=open");
        env
    };
    let mut program = Program::start_by(env(), folder.path()).await;
    let zoe = sign_up(&program, "", "Zoe").await;
    for (key, text) in [("k1", "first of Zoe"), ("k2", "second of Zoe")] {
        assert_eq!(post(&program, "/room/a/", &zoe, &[("key", key), ("text", text)]).await.status(), 303);
    }
    program.kill();
    // As it is when the first message is deleted and the second is not.
    let begun = "UPDATE accounts SET deactivated_at = 1, password = NULL;
        INSERT INTO departures SELECT id, 'goes', 1, NULL FROM accounts";
    database(folder.path()).execute_batch(begun).expect("written");
    let _program = Program::start_by(env(), folder.path()).await;
    all_is_in_order(folder.path()).await;
    let database = database(folder.path());
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
    assert_eq!(number("SELECT count(*) FROM messages WHERE NOT deleted"), 0);
    assert_eq!(number("SELECT count(*) FROM sessions"), 0);
    assert_eq!(number("SELECT count(*) FROM accounts WHERE name = 'former member' AND password IS NULL"), 1);
}

#[tokio::test]
async fn a_file_has_all_that_is_kept_of_somebody_and_of_nobody_else() {
    let app = TestApp::with(open).await;
    let (zoe, _) = two(&app).await;
    let request = browser().get(app.url("/account/data.jsonl")).header("cookie", &zoe);
    let answer = within("a file", request.send()).await.expect("a file");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"confab-data.jsonl\"");
    let body = answer.text().await.expect("a file");
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).cloned().collect::<Vec<_>>();
    assert_eq!(of("account")[0]["handle"], "Zoe");
    assert_eq!(of("session").len(), 1);
    let said = of("message");
    let mut texts: Vec<_> = said.iter().map(|line| line["message"]["text"].as_str().expect("a text")).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["first of Zoe", "second of Zoe"]);
    assert_eq!((of("reaction").len(), &of("reaction")[0]["emoji"]), (1, &json!("👍")));
    assert!(!of("log").is_empty(), "{body}");
    assert!(!body.contains("of Bob") && !body.contains("argon2"), "{body}");
    let guest = within("an answer", browser().get(app.url("/account/data.jsonl")).send()).await.expect("an answer");
    assert_eq!(guest.status(), 303);
}
