//! A server that gets another store by `confab move`: to its people it is the one that they know. What they had come to they have, and
//! nothing of what they missed is lost.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

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
    fs::write(data.path().join("Leptos.toml"), format!("[store]\nurl = \"{store}\"\n")).expect("a file");
    data
}

/// Stops a server and carries what it has to another store.
async fn moves(program: Program, from: &Path, to: &str) -> String {
    program.terminate();
    assert_eq!(program.status().await.code(), Some(0));
    let (status, said, error) = confab(&["move", "--to", to, "--data", "."], &[], from).await;
    assert_eq!(status, Some(0), "{error}");
    said
}

/// Joins a room again with what was heard last; gives the texts that were missed.
async fn recovered(somebody: &Somebody, program: &Program, room: &str, since: &Value) -> Vec<String> {
    let mut socket = somebody.socket(program).await;
    let state = socket.join(&format!("room/{room}"), Some(since)).await;
    assert_eq!(state["recovered"], true, "{state}");
    let events = state["events"].as_array().expect("a list");
    events.iter().map(|event| event["event"]["text"].as_str().expect("a text").to_owned()).collect()
}

async fn found(somebody: &Somebody, program: &Program, word: &str) {
    // The index is made anew, beside all else.
    within("the word in the index", async {
        while somebody.api(program, &format!("/api/v1/search?q={word}")).await.1["hits"] == json!([]) {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_go_on_where_they_were_when_the_server_has_another_store() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let (first, second) = (settings("sqlite"), settings(&url));
    let program = Program::start(first.path()).await;
    let (ann, guest) = (Somebody::in_folder(first.path(), "ann"), Somebody::guest());
    ann.make(&program, "s-own", "closed").await;
    let mut socket = ann.socket(&program).await;
    let silent = socket.join("room/silent", None).await;
    let state = socket.join("room/s-own", None).await;
    socket.post("room/s-own", "k1", "heard").await;
    socket.post("room/s-own", "k2", "missed").await;
    let heard = json!({"epoch": state["epoch"], "offset": 1});

    let said = moves(program, first.path(), &url).await;
    assert!(said.contains("has 1 room, 2 messages, 1 account, "), "{said}");
    let program = Program::start(second.path()).await;
    assert_eq!(recovered(&ann, &program, "s-own", &heard).await, ["missed"]);
    let silent = json!({"epoch": silent["epoch"], "offset": 0});
    assert!(recovered(&ann, &program, "silent", &silent).await.is_empty(), "of a room without a message too");
    assert_eq!(guest.joins(&program, "s-own").await, "not_found");
    found(&ann, &program, "missed").await;
    let mut socket = ann.socket(&program).await;
    socket.join("room/s-own", None).await;
    assert_eq!(socket.post("room/s-own", "k2", "missed").await, 2, "its keys are known");
    assert_eq!(socket.post("room/s-own", "k3", "there").await, 3);

    let third = second.path().join("third");
    let said = moves(program, second.path(), &format!("sqlite:{}", third.display())).await;
    assert!(said.contains("has 1 room, 3 messages, 1 account, ") && said.contains("third\""), "{said}");
    let program = Program::start(&third).await;
    assert_eq!(recovered(&ann, &program, "s-own", &heard).await, ["missed", "there"]);
    assert_eq!(guest.joins(&program, "s-own").await, "not_found");
    found(&ann, &program, "there").await;
    let (_, messages) = program.all_messages("silent").await;
    assert!(messages.is_empty());
    let (status, answer) = ann.api(&program, "/api/v1/rooms/s-own/messages").await;
    assert_eq!((status, answer["messages"].as_array().map(|all| all.iter().map(offset).collect())), (200, Some(vec![1, 2, 3])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_which_a_server_was_only_started_is_as_good_as_empty() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let (first, second, third) = (settings("sqlite"), settings(&url), settings("sqlite"));
    for data in [&second, &third] {
        let program = Program::start(data.path()).await;
        // A page was looked at, too.
        program.get("/room/lobby/").await;
        program.terminate();
        assert_eq!(program.status().await.code(), Some(0));
    }
    let program = Program::start(first.path()).await;
    V1::connect(program.address, "/room/a/").await.post("room/a", "k", "first").await;
    let said = moves(program, first.path(), &url).await;
    assert!(said.contains("has 1 room, 1 message, "), "{said}");
    let to = format!("sqlite:{}", third.path().display());
    let (status, said, error) = confab(&["move", "--to", &to, "--data", "."], &[], first.path()).await;
    assert_eq!(status, Some(0), "{error}");
    assert!(said.contains("has 1 room, 1 message, "), "{said}");
    for data in [&second, &third] {
        let program = Program::start(data.path()).await;
        assert_eq!(program.all_messages("a").await.1.len(), 1);
        program.terminate();
        assert_eq!(program.status().await.code(), Some(0));
    }
    // With a message in it a store is somebody's.
    for (to, says) in [(&url, "there are rows in rooms"), (&to, "confab.db is there already")] {
        let (status, _, error) = confab(&["move", "--to", to, "--data", "."], &[], first.path()).await;
        assert!(status == Some(1) && error.contains(says), "{error}");
    }
}

/// A server that begins while everything is being carried would write where nothing is read any more.
#[tokio::test]
async fn no_server_begins_on_a_database_that_is_being_carried() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let data = settings(&url);
    let client = connection(&url).await;
    // As a transfer does.
    client.batch_execute("SELECT pg_advisory_lock(1131308661)").await.expect("a lock");
    let (status, _, error) = confab(&["serve", "--listen", "127.0.0.1:0", "--data", "."], &[], data.path()).await;
    assert_eq!(status, Some(1));
    assert!(error.contains("confab move is at work on it"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_and_what_fails_names_no_password() {
    let data = settings("sqlite");
    let program = Program::start(data.path()).await;
    program.terminate();
    program.status().await;
    for (from, to, status, says) in [
        (".", "elsewhere", 2, "sqlite:FOLDER"),
        (".", "sqlite", 2, "a folder is missing"),
        (".", "postgres://me@db", 2, "the database is missing"),
        ("data", "sqlite:there", 1, "there is no "),
        (".", "postgres://me:secret@127.0.0.1:1/confab", 1, "127.0.0.1:1/confab cannot be used"),
    ] {
        let (found, out, error) = confab(&["move", "--to", to, "--data", from], &[], data.path()).await;
        assert_eq!((found, out.as_str()), (Some(status), ""), "{to}: {error}");
        assert!(error.contains(says) && !error.contains("secret"), "{to}: {error}");
    }
}

/// A store with one room and very many messages.
async fn large(data: &Path) {
    let program = Program::start(data).await;
    V1::connect(program.address, "/room/a/").await.post("room/a", "k", "first").await;
    program.terminate();
    program.status().await;
    let rows = "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO messages (room_id, offset, key, author_id, author_name, text, at)
        SELECT 1, i, 'k' || i, 'ann', 'Ann', 'text number ' || i, i FROM n;
        UPDATE rooms SET head = 60000, latest = 60000";
    Connection::open(data.join("confab.db")).expect("the store").execute_batch(rows).expect("messages");
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect("a row").get(0)
}

/// Kills `confab move` when it is seen to be at work.
async fn kill(from: &Path, to: &str, is_at_work: impl AsyncFn() -> bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
    let mut child = command
        .args(["move", "--data", ".", "--to", to])
        .current_dir(from)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    within("work", async { while !is_at_work().await && child.try_wait().expect("a process").is_none() {} }).await;
    // It may have come to its end.
    let _ = child.kill();
    child.wait().expect("its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_killed_on_its_way_leaves_nothing_and_is_begun_anew() {
    const MESSAGES: i64 = 60_000;
    let server = Postgres::shared().await;
    let url = server.database().await;
    let (first, second) = (settings("sqlite"), settings(&url));
    large(first.path()).await;
    let client = connection(&url).await;
    let copying = "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database() AND tuples_processed > 0";
    kill(first.path(), &url, async || number(&client, copying).await > 0).await;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'confab' AND datname = current_database()";
    within("the end of its connection", async { while number(&client, others).await > 0 {} }).await;
    let there = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('confab')";
    if number(&client, there).await == 0 {
        let (status, _, error) = confab(&["move", "--data", ".", "--to", &url], &[], first.path()).await;
        assert_eq!(status, Some(0), "{error}");
    }
    assert_eq!(number(&client, "SELECT count(*) FROM confab.messages").await, MESSAGES);

    let third = second.path().join("third");
    let to = format!("sqlite:{}", third.display());
    let is_at_work = async || {
        let parts = fs::read_dir(&third).into_iter().flatten().flatten();
        parts.filter_map(|part| part.metadata().ok()).any(|part| part.len() > 1 << 20)
    };
    kill(second.path(), &to, is_at_work).await;
    if !third.join("confab.db").exists() {
        let (status, _, error) = confab(&["move", "--data", ".", "--to", &to], &[], second.path()).await;
        assert_eq!(status, Some(0), "{error}");
    }
    let store = Connection::open(third.join("confab.db")).expect("the store");
    let count: i64 = store.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).expect("a count");
    assert_eq!(count, MESSAGES);
}
