//! `confab import`: what a room's export has given comes into a room again, in both databases, once and as a whole.

use std::{fs, path::Path, sync::Arc};

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    app::{Http as _, Program, confab, offset},
    clients::V1,
    people::Somebody,
    support::postgres::{Postgres, connection},
    within,
};

/// A data folder whose settings name this store.
fn settings(store: &str) -> TempDir {
    let data = tempfile::tempdir().expect("a folder");
    let rules = "[[rooms]]\nmatch = \"fleeting\"\nhistory = \"memory\"\n[[rooms]]\nmatch = \"*\"\n";
    fs::write(data.path().join("Leptos.toml"), format!("{rules}[store]\nurl = \"{store}\"\n")).expect("a file");
    data
}

/// Both kinds of stores, without a database yet, and what one of them stands on.
async fn stores() -> (Arc<Postgres>, [TempDir; 2]) {
    let server = Postgres::shared().await;
    let stores = [settings("sqlite"), settings(&server.database().await)];
    (server, stores)
}

async fn imports(data: &Path, room: &str, lines: &str) -> (Option<i32>, String, String) {
    fs::write(data.join("lines.jsonl"), lines).expect("a file");
    confab(&["import", room, "lines.jsonl", "--data", "."], &[], data).await
}

/// The same where all goes well.
async fn imported(data: &Path, room: &str, lines: &str) -> String {
    let (status, said, error) = imports(data, room, lines).await;
    assert_eq!((status, error.as_str()), (Some(0), ""), "{said}");
    said
}

async fn stops(program: Program) {
    program.terminate();
    assert_eq!(program.status().await.code(), Some(0));
}

async fn export(program: &Program, room: &str) -> String {
    program.get(&format!("/api/v1/rooms/{room}/export")).await.text().await.expect("a file")
}

/// Lines of an export without what is the room's own, its epoch.
fn without_epochs(export: &str) -> Vec<Value> {
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        let id = line["id"].as_str().expect("an id").rsplit_once('-').expect("an epoch and an offset").1.to_owned();
        line["id"] = id.into();
        line
    };
    export.lines().map(line).collect()
}

/// A message as a program writes it.
fn line(key: &str, text: &str) -> String {
    json!({"key": key, "from": {"id": "d7", "name": "Dan"}, "text": text, "at": "2019-02-03T04:05:06.789+01:00"}).to_string()
        + "\n"
}

/// A room with a bit of everything; gives its export.
async fn a_room() -> String {
    let data = settings("sqlite");
    let program = Program::start(data.path()).await;
    let cookie = "confab_guest=1123456789abcdef0123456789abcdef; confab_name=Ann".to_owned();
    let (ann, guest) = (Somebody { cookie, ..Somebody::guest() }, Somebody::guest());
    let (mut anns, mut guests) = (ann.socket(&program).await, guest.socket(&program).await);
    let epoch = anns.join("room/old", None).await["epoch"].as_str().expect("an epoch").to_owned();
    guests.join("room/old", None).await;
    anns.post("room/old", "k1", "frist").await;
    guests.post("room/old", "k1", "the guest's own first\nof two lines").await;
    anns.post("room/old", "k2", "a slip").await;
    guests.post("room/old", "k2", "with \u{1} and 王小明").await;
    let id = |offset: u64| format!("{epoch}-{offset}");
    anns.ok(json!({"edit": {"topic": "room/old", "message": id(1), "text": "first"}})).await;
    anns.ok(json!({"delete": {"topic": "room/old", "message": id(3)}})).await;
    for socket in [&mut anns, &mut guests] {
        socket.ok(json!({"react": {"topic": "room/old", "message": id(2), "emoji": "👍", "on": true}})).await;
    }
    anns.post("room/old", "k3", "last").await;
    let export = export(&program, "old").await;
    stops(program).await;
    export
}

async fn finds(program: &Program, word: &str, count: usize) {
    within("the word in the index", async {
        let path = format!("/api/v1/search?q={word}");
        while program.api(&path).await.1["hits"].as_array().map_or(0, Vec::len) != count {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exported_comes_back_as_it_was_and_once() {
    let lines = a_room().await;
    let (_server, stores) = stores().await;
    for data in stores {
        let data = data.path();
        assert_eq!(imported(data, "old", &lines).await, "old: 5 messages imported, 0 there already\n");
        assert_eq!(imported(data, "old", &lines).await, "old: 0 messages imported, 5 there already\n");
        let program = Program::start(data).await;
        let back = export(&program, "old").await;
        assert_eq!(without_epochs(&back), without_epochs(&lines));
        // It is a room like any: found, read page by page, and gone on with.
        finds(&program, "first", 2).await;
        finds(&program, "slip", 0).await;
        let (_, page) = program.api("/api/v1/rooms/old/messages?after=1&limit=2").await;
        assert_eq!(page["messages"].as_array().expect("a list").iter().map(offset).collect::<Vec<_>>(), [2, 3], "{page}");
        let guest = Somebody::guest();
        let mut socket = guest.socket(&program).await;
        let state = socket.join("room/old", None).await;
        assert_eq!((&state["recovered"], &state["offset"]), (&json!(false), &json!(9)), "{state}");
        let second = state["events"][1]["event"].clone();
        assert_eq!(state["mine"][second["id"].as_str().expect("an id")], json!(["👍"]), "whoever has put something has");
        assert_eq!(socket.post("room/old", "k2", "with \u{1} and 王小明").await, 4, "its keys are known");
        assert_eq!(socket.post("room/old", "k9", "news").await, 10);
        let edit = json!({"edit": {"topic": "room/old", "message": second["id"], "text": "said differently"}});
        assert_eq!(socket.ok(edit).await["offset"], 11, "one's own is one's own");
        let since = json!({"epoch": state["epoch"], "offset": 9});
        let state = guest.socket(&program).await.join("room/old", Some(&since)).await;
        assert_eq!((&state["recovered"], state["events"].as_array().map(Vec::len)), (&json!(true), Some(2)), "{state}");
        let earlier = json!({"epoch": state["epoch"], "offset": 4});
        assert_eq!(guest.socket(&program).await.join("room/old", Some(&earlier)).await["recovered"], false);
        let again = export(&program, "old").await;
        stops(program).await;
        // What has been edited since is left as it is.
        assert_eq!(imported(data, "old", &lines).await, "old: 0 messages imported, 5 there already\n");
        let program = Program::start(data).await;
        assert_eq!(export(&program, "old").await, again);
        stops(program).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn into_a_room_in_use_they_come_after_what_is_there_and_whoever_knew_it_begins_anew() {
    let (_server, stores) = stores().await;
    for data in stores {
        let data = data.path();
        let program = Program::start(data).await;
        let mut socket = V1::connect(program.address, "/room/talk/").await;
        for key in ["k1", "k2"] {
            socket.post("room/talk", key, "earlier words").await;
        }
        V1::connect(program.address, "/room/other/").await.post("room/other", "k1", "elsewhere").await;
        let state = socket.join("room/talk", None).await;
        let known = json!({"epoch": state["epoch"], "offset": state["offset"]});
        finds(&program, "earlier", 2).await;
        let (status, said, error) = imports(data, "talk", &line("d1", "imported words")).await;
        assert_eq!((status, said.as_str()), (Some(1), ""));
        assert!(error.contains("nothing was imported") && error.contains("stop"), "a server runs on it: {error}");
        stops(program).await;

        let lines = line("d1", "imported words") + "\n" + &line("d2", "imported words, too");
        assert_eq!(imported(data, "talk", &lines).await, "talk: 2 messages imported, 0 there already\n");
        let program = Program::start(data).await;
        let (_, all) = program.all_messages("talk").await;
        assert_eq!(all.iter().map(offset).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!((&all[3]["from"]["name"], &all[3]["at"]), (&json!("Dan"), &json!("2019-02-03T03:05:06.789Z")));
        let mut socket = V1::connect(program.address, "/ws/").await;
        let state = socket.join("room/talk", Some(&known)).await;
        assert_eq!((&state["recovered"], &state["offset"]), (&json!(false), &json!(4)), "{state}");
        assert_eq!(state["events"].as_array().map(Vec::len), Some(4));
        finds(&program, "words", 4).await;
        finds(&program, "elsewhere", 1).await;
        assert_eq!(program.api("/api/v1/rooms").await.1["rooms"][0]["group"], "talk");
        stops(program).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_named_by_its_line_and_nothing_is_imported() {
    let (_server, stores) = stores().await;
    for data in stores {
        let data = data.path();
        let good: String = (0..1_200).map(|number| line(&format!("k{number}"), "good")).collect();
        let bad = format!("{good}{}not JSON\n{}", line("k 1", "a key"), line("k0", "another text"));
        let (status, said, error) = imports(data, "talk", &bad).await;
        assert_eq!((status, said.as_str()), (Some(1), ""));
        for wrong in
            ["nothing was imported", "line 1201: it is no message: a key is 1 to 64 of", "line 1202: it is no message: "]
        {
            assert!(error.contains(wrong), "{wrong} in {error}");
        }
        let (status, _, error) = imports(data, "talk", &(good.clone() + &line("k0", "another text"))).await;
        assert_eq!(status, Some(1));
        assert!(error.contains("line 1201: its author has another message with this key"), "{error}");
        let longest = line("long", &"x".repeat(1_000_000));
        let (_, _, error) = imports(data, "talk", &(longest + &line("k", "y"))).await;
        assert!(error.contains("line 1: it is longer than") && !error.contains("line 2"), "{error}");
        for (room, says) in [("fleeting", "history = \"store\""), ("no room", "a group name is 1 to 64")] {
            let (status, _, error) = imports(data, room, &good).await;
            assert!(status != Some(0) && error.contains(says), "{error}");
        }
        let (status, _, error) = confab(&["import", "talk", "nowhere.jsonl", "--data", "."], &[], data).await;
        assert!(status == Some(1) && error.contains("nowhere.jsonl cannot be read"), "{error}");

        let said = imported(data, "talk", &(good.clone() + &line("k0", "good"))).await;
        assert_eq!(said, "talk: 1200 messages imported, 1 there already\n");
        let lost = json!({"offset": 3, "to": 4, "error": "what stands here cannot be read"}).to_string();
        let said = imported(data, "rest", &format!("\u{FEFF}{lost}\r\n{}", line("k", "the rest"))).await;
        assert!(said.starts_with("rest: 1 message imported, 0 there already\n1 line of the file stood for what"), "{said}");
        let program = Program::start(data).await;
        assert_eq!(program.all_messages("talk").await.1.len(), 1_200);
        stops(program).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_was_deleted_gets_nothing() {
    const DELETED: &str = "INSERT INTO room_records (room, kind, title, topic, posting, made, deleted, changed)
        VALUES ('gone', 'closed', '', '', 'everybody', 1, 2, 3)";
    let (_server, stores) = stores().await;
    for data in stores {
        let data = data.path();
        stops(Program::start(data).await).await;
        let settings = fs::read_to_string(data.join("Leptos.toml")).expect("a file");
        match settings.split('"').find(|text| text.starts_with("postgres:")) {
            Some(url) => {
                let rows = format!("SET search_path = confab; {DELETED}");
                connection(url).await.batch_execute(&rows).await.expect("a row");
            }
            None => {
                Connection::open(data.join("confab.db")).expect("the store").execute_batch(DELETED).expect("a row");
            }
        }
        let (status, _, error) = imports(data, "gone", &line("k", "text")).await;
        assert!(status == Some(1) && error.contains("the room gone was deleted"), "{error}");
    }
}
