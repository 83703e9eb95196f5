//! Copies of the store while the program runs, what is put back from them, and rooms as files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use confab::server::settings::History;
use parking_lot::Mutex;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::{net::TcpSocket, sync::watch, task::JoinSet};

use crate::{
    app::{Http, Program, TestApp, confab, offset, rule},
    clients::{Raw, V1},
    people::Somebody,
    within,
};

/// Runs it where it does its work; gives the line that it says.
async fn done(command: &str, file: &str, data: &str, folder: &Path) -> String {
    let (status, out, error) = confab(&[command, file, "--data", data], &[], folder).await;
    assert_eq!((status, error.as_str()), (Some(0), ""), "{command} {file}");
    out
}

/// Runs it where it refuses; gives the reason.
async fn refused(command: &str, file: &str, data: &str, folder: &Path) -> String {
    let (status, out, error) = confab(&[command, file, "--data", data], &[], folder).await;
    assert_eq!((status, out.as_str()), (Some(1), ""), "{command} {file}: {error}");
    error
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// The lines of a room's export.
async fn export(app: &impl Http, group: &str) -> Vec<Value> {
    let response = app.get(&format!("/api/v1/rooms/{group}/export")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    assert_eq!(response.headers()["content-disposition"], format!("attachment; filename=\"{group}.jsonl\""));
    let text = within("the file", response.text()).await.expect("a whole file");
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_amid_messages_has_all_that_were_acknowledged_before_and_goes_on_under_a_new_epoch() {
    const SENDERS: usize = 5;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    let mut program = Program::start(&data).await;
    let address = program.address;
    let silent = V1::connect(address, "/room/silent/").await.position();
    V1::connect(address, "/room/b/").await.post("room/b", "first", "there are two rooms").await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    // Those in room `a`.
    let (count, mut counted) = watch::channel(0_u64);
    let count = Arc::new(count);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (acknowledged, count) = (Arc::clone(&acknowledged), Arc::clone(&count));
        senders.spawn(async move {
            let group = if sender == 0 { "b" } else { "a" };
            let mut v1 = V1::connect(address, &format!("/room/{group}/")).await;
            for n in 0.. {
                let key = format!("{sender}-{n}");
                let send =
                    json!({"send": {"topic": format!("room/{group}"), "key": key, "text": format!("text of {key} é😀")}});
                let Ok(answer) = v1.try_ask(send).await else { return };
                acknowledged.lock().push((group, offset(&answer["ok"]), key));
                count.send_modify(|count| *count += u64::from(group == "a"));
            }
        });
    }
    within("acknowledged messages", counted.wait_for(|count| *count >= 300)).await.expect("senders");
    let before = acknowledged.lock().clone();
    let line = done("backup", "copy.db", "data", folder.path()).await;
    // They were not held up for good.
    let now = *counted.borrow_and_update();
    within("further messages", counted.wait_for(|count| *count > now + 50)).await.expect("senders");
    let (lost_epoch, lost) = program.all_messages("a").await;
    program.kill();
    within("the end of the senders", senders.join_all()).await;

    let copy = folder.path().join("copy.db");
    let metadata = fs::metadata(&copy).expect("the copy");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["copy.db", "data"], "nothing else is left");
    let connection = Connection::open(&copy).expect("a database");
    let messages: i64 = connection.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).expect("a count");
    drop(connection);
    assert_eq!(line, format!("copy.db has 2 rooms with {messages} messages, {} bytes\n", metadata.len()));

    let line = done("restore", "copy.db", "other", folder.path()).await;
    assert!(line.starts_with(&format!("other has 2 rooms with {messages} messages, ")), "{line}");
    let other = folder.path().join("other");
    assert_eq!(names(&other), ["confab.db", "confab.lock"]);
    assert_eq!(fs::metadata(other.join("confab.db")).expect("the store").permissions().mode() & 0o777, 0o600);
    let program = Program::start(&other).await;
    let (epoch, stored) = program.all_messages("a").await;
    let (_, stored_b) = program.all_messages("b").await;
    assert_eq!(i64::try_from(stored.len() + stored_b.len()), Ok(messages));
    for stored in [&stored, &stored_b] {
        assert_eq!(stored.iter().map(offset).collect::<Vec<_>>(), (1..=stored.len() as u64).collect::<Vec<_>>());
    }
    for (group, offset, key) in &before {
        let stored = if *group == "a" { &stored } else { &stored_b };
        let message = usize::try_from(offset - 1).ok().and_then(|place| stored.get(place));
        let message = message.unwrap_or_else(|| panic!("{key} is missing"));
        assert_eq!((&message["key"], &message["text"]), (&json!(key), &json!(format!("text of {key} é😀"))));
    }
    // Messages are the same but for their ids, which have the epoch in them.
    assert_ne!(epoch, lost_epoch);
    assert!(stored.len() < lost.len(), "some came after the copy");
    for (stored, lost) in stored.iter().zip(&lost) {
        assert_eq!(stored["id"], format!("{epoch}-{}", offset(stored)));
        for field in ["offset", "key", "from", "text", "at"] {
            assert_eq!(stored[field], lost[field]);
        }
    }
    // Whoever has heard what is lost is told so, though the stream comes to the same offset with another message.
    let mut v1 = V1::connect(program.address, "/ws/").await;
    for position in [stored.len(), 1] {
        let since = json!({"epoch": lost_epoch, "offset": position});
        assert_eq!(v1.join("room/a", Some(&since)).await["recovered"], false);
        v1.ok(json!({"leave": {"topic": "room/a"}})).await;
    }
    let state = v1.join("room/a", Some(&json!({"epoch": epoch, "offset": stored.len() - 1}))).await;
    assert_eq!((&state["recovered"], &state["events"][0]["offset"]), (&json!(true), &json!(stored.len())));
    assert_eq!(v1.post("room/a", "new", "after").await, stored.len() + 1);
    // The same in a room that had no message when the copy was made.
    assert_eq!(v1.join("room/silent", Some(&silent)).await["recovered"], false);
}

#[tokio::test]
async fn a_copy_is_never_put_over_anything_and_only_a_sound_one_is_put_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    assert!(refused("backup", "copy.db", "data", here).await.contains("data/confab.db\n"));
    assert_eq!(names(here), [] as [&str; 0], "nothing is made where there is nothing to copy");
    assert!(refused("restore", "copy.db", "data", here).await.contains("there is no "));

    let data = here.join("data");
    fs::create_dir(&data).expect("a folder");
    let program = Program::start(&data).await;
    let mut v1 = V1::connect(program.address, "/room/a/").await;
    v1.post("room/a", "k", "kept").await;
    done("backup", "copy.db", "data", here).await;
    let copy = fs::read(here.join("copy.db")).expect("the copy");
    let reason = refused("backup", "copy.db", "data", here).await;
    assert!(reason.contains("copy.db is there already and is not overwritten"), "{reason}");
    assert_eq!(fs::read(here.join("copy.db")).expect("the copy"), copy);
    let reason = refused("backup", "missing/copy.db", "data", here).await;
    assert!(reason.contains("missing/copy.db cannot be written"), "{reason}");
    let reason = refused("restore", "copy.db", "data", here).await;
    assert!(reason.contains("is in use by another server"), "{reason}");
    program.terminate();
    assert_eq!(program.status().await.code(), Some(0));
    // Without a server too.
    assert!(done("backup", "stopped.db", "data", here).await.starts_with("stopped.db has 1 room with 1 message, "));
    let kept = fs::read(data.join("confab.db")).expect("the store");
    let reason = refused("restore", "copy.db", "data", here).await;
    assert!(reason.contains("data/confab.db is there already") && reason.contains("move it away first"), "{reason}");
    assert_eq!(fs::read(data.join("confab.db")).expect("the store"), kept);
    // The log of another database would be taken for that of the restored one.
    fs::create_dir(here.join("log")).expect("a folder");
    fs::write(here.join("log/confab.db-wal"), "what a crash has left").expect("a file");
    assert!(refused("restore", "copy.db", "log", here).await.contains("log/confab.db-wal is there already"));

    fs::write(here.join("text.db"), "no database, however long it goes on. ".repeat(100)).expect("a file");
    fs::write(here.join("empty.db"), "").expect("a file");
    fs::write(here.join("cut.db"), &copy[..copy.len() / 2]).expect("a file");
    let changed = |name: &str, sql: &str| {
        fs::write(here.join(name), &copy).expect("a file");
        Connection::open(here.join(name)).expect("a database").execute_batch(sql).expect("a change");
    };
    changed("newer.db", "PRAGMA user_version = 1000");
    changed("foreign.db", "PRAGMA application_id = 5");
    // A page of its end, which no look at the head of the file shows.
    let mut holed = copy.clone();
    let page = holed.len() - 4096;
    holed[page..].fill(0);
    fs::write(here.join("unsound.db"), holed).expect("a file");
    let before = names(here);
    for (file, says) in [
        ("text.db", "is not a SQLite database"),
        ("empty.db", "is empty"),
        ("cut.db", "is damaged"),
        ("newer.db", "was written by a later version of Confab (schema 1000"),
        ("foreign.db", "is a database of another program"),
        ("unsound.db", "is damaged: "),
        ("missing.db", "there is no "),
    ] {
        let reason = refused("restore", file, "new", here).await;
        assert!(reason.contains(file) && reason.contains(says), "{file}: {reason}");
    }
    assert_eq!(names(here), before, "nothing is made of what is no copy");

    for command in ["backup", "restore"] {
        let (status, _, reason) = confab(&[command, "-", "--data", "data"], &[], here).await;
        assert!(status == Some(2) && reason.contains("not a stream"), "{reason}");
        let url = [("CONFAB_STORE__URL", "postgres://me:secret@db.example/confab")];
        let (status, _, reason) = confab(&[command, "pg.db"], &url, here).await;
        assert!(status == Some(1) && reason.contains("pg_dump") && !reason.contains("secret"), "{reason}");
    }
}

#[tokio::test]
async fn what_signed_somebody_in_when_a_copy_was_made_does_not_where_it_is_put_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    fs::create_dir(&data).expect("a folder");
    let program = Program::start(&data).await;
    let ann = Somebody::in_folder(&data, "ann");
    assert_eq!(ann.get(&program, "/account/").await.0, 200);
    done("backup", "copy.db", "data", folder.path()).await;
    done("restore", "copy.db", "other", folder.path()).await;
    // The link for the first administrator of the first server among them.
    let store = Connection::open(other.join("confab.db")).expect("the store");
    let left = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM links)";
    assert_eq!(store.query_row(left, [], |row| row.get::<_, i64>(0)).expect("a count"), 0);
    let program = Program::start(&other).await;
    assert_eq!(ann.get(&program, "/account/").await.0, 303, "she signs in again");
    let (_, listed, _) = confab(&["user", "list", "--data", "other"], &[], folder.path()).await;
    assert!(listed.contains("ann"), "{listed}");
}

#[tokio::test]
async fn an_export_is_what_paging_gives_line_by_line() {
    let rules = vec![rule("m-*", History::Memory), rule("n-*", History::None), rule("*", History::Store)];
    let app = TestApp::with(|settings| settings.rooms = rules).await;
    for (group, count) in [("small", 3), ("large", 1_001), ("m-a", 1_001)] {
        let topic = format!("room/{group}");
        let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
        for n in 1..=count {
            // Some are so long that a page is cut by its bytes.
            let text = if n % 100 == 0 { "字😀".repeat(9_000) } else { format!("first\nsecond\u{2028}\"{n}\" é 字 😀") };
            assert_eq!(author.post(&topic, &format!("k{n}"), &text).await, n);
        }
        let (_, messages) = app.all_messages(group).await;
        assert_eq!(messages.len(), count.min(if group == "m-a" { 1_000 } else { count }));
        assert_eq!(export(&app, group).await, messages, "{group}");
    }
    for group in ["nothing", "n-a"] {
        assert_eq!(export(&app, group).await, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn an_export_follows_the_rules_of_reading() {
    let mut closed = rule("closed", History::Store);
    closed.guests = false;
    let app = TestApp::with(|settings| settings.rooms = vec![closed, rule("open", History::Store)]).await;
    for (group, status) in [("closed", 403), ("none", 404), ("a.b", 404)] {
        for what in ["messages", "export"] {
            assert_eq!(app.api(&format!("/api/v1/rooms/{group}/{what}")).await.0, status, "{group}/{what}");
        }
    }
    // Its end would not be told from a lost connection.
    let mut old = Raw::connect(app.address).await;
    old.send(b"GET /api/v1/rooms/open/export HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.head().await.status, 400);
}

#[tokio::test]
async fn an_export_names_what_cannot_be_read_and_goes_on() {
    let app = TestApp::start().await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    for n in 1..=1_100 {
        author.post("room/a", &format!("k{n}"), "text").await;
    }
    // Reactions are whole JSON, so these messages cannot be read.
    let store = Connection::open(app.data().join("confab.db")).expect("the store");
    let broken = "UPDATE messages SET reactions = '{' WHERE offset IN (1, 1050, 1051, 1100)";
    assert_eq!(store.execute(broken, []).expect("a change"), 4);
    let lines = export(&app, "a").await;
    let (named, read): (Vec<&Value>, Vec<&Value>) = lines.iter().partition(|line| line.get("error").is_some());
    let named: Vec<_> = named.into_iter().map(|line| (offset(line), line["to"].as_u64().expect("an offset"))).collect();
    assert_eq!(named, [(1, 1), (1_050, 1_051), (1_100, 1_100)]);
    assert!(read.into_iter().map(offset).eq((2..1_050).chain(1_052..1_100)));
    assert!(lines.iter().map(offset).is_sorted(), "all in their places");
}

/// A room `a` with 300 messages, more than sockets take while nobody reads; its author; and the answer to its export, which waits.
async fn export_that_waits_for_its_reader() -> (TestApp, V1, reqwest::Response) {
    let app = TestApp::start().await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    let text = "x".repeat(60_000);
    for n in 1..=300 {
        author.post("room/a", &format!("k{n}"), &text).await;
    }
    let begun = app.get("/api/v1/rooms/a/export").await;
    (app, author, begun)
}

#[tokio::test]
async fn an_export_that_the_store_breaks_is_no_complete_file() {
    let (app, _author, begun) = export_that_waits_for_its_reader().await;
    assert_eq!(begun.status(), 200);
    let store = Connection::open(app.data().join("confab.db")).expect("the store");
    store.execute_batch("ALTER TABLE messages RENAME TO elsewhere").expect("a change");
    assert!(within("the end", begun.bytes()).await.is_err(), "it looks complete");
    // The server is there, and other rooms are well.
    assert_eq!(export(&app, "b").await, [] as [Value; 0]);
}

#[tokio::test]
async fn an_address_has_few_exports_at_a_time_and_they_end_at_the_head_of_their_beginning() {
    let (app, mut author, begun) = export_that_waits_for_its_reader().await;
    assert_eq!(author.post("room/a", "late", "late").await, 301);
    let text = within("the file", begun.text()).await.expect("a whole file");
    let offsets: Vec<u64> = text.lines().map(|line| offset(&serde_json::from_str(line).expect("JSON"))).collect();
    assert_eq!(offsets, (1..=300).collect::<Vec<_>>());

    let mut idle = Vec::new();
    for _ in 0..4 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        let mut raw = Raw::on(within("a connection", socket.connect(app.address)).await.expect("a connection"));
        raw.send(b"GET /api/v1/rooms/a/export HTTP/1.1\r\nHost: confab.example\r\n\r\n").await;
        assert_eq!(raw.head().await.status, 200);
        idle.push(raw);
    }
    let (status, error) = app.api("/api/v1/rooms/a/export").await;
    assert_eq!((status, &error["error"]["code"]), (429, &json!("rate_limited")));
    drop(idle);
    let freed = within("a free place", async {
        loop {
            let response = app.get("/api/v1/rooms/a/export").await;
            if response.status() != 429 {
                break response;
            }
        }
    });
    let text = within("the file", freed.await.text()).await.expect("a whole file");
    assert_eq!(text.lines().count(), 301);
}
