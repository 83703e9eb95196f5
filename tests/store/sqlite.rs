//! What a store on disk has to show beside the conformance suite: that it comes back, and what it refuses.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use confab::{
    server::store::{Commits, Durability, OpenError, SqliteStore, Store, StoreError},
    wire::Offset,
};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::{acknowledge_all, append, fill, message, stored, texts, whole};

pub(crate) fn open(folder: &Path) -> (SqliteStore, Commits) {
    SqliteStore::open(folder, Durability::Process).expect("a store")
}

/// The error, which must name the path.
fn refusal(folder: &Path, named: &Path) -> (OpenError, String) {
    let error = SqliteStore::open(folder, Durability::Power).map(|_| ()).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains(&named.display().to_string()), "{text}");
    (error, text)
}

/// Another program's hand on the database.
fn tamper(folder: &Path, sql: &str) {
    Connection::open(folder.join("confab.db")).and_then(|connection| connection.execute_batch(sql)).expect("tampered with");
}

#[tokio::test]
async fn rooms_come_back_after_a_close() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    drop(commits);
    fill(&store, "lobby", 5).await;
    fill(&store, "kitchen", 2).await;
    let (lobby, unborn) = (whole(&store, "lobby").await, whole(&store, "unborn").await);
    let rooms = store.rooms(9).await.expect("rooms");
    store.close().await;

    let (store, commits) = open(folder.path());
    drop(commits);
    assert_eq!(whole(&store, "lobby").await, lobby);
    assert_eq!(whole(&store, "unborn").await, unborn);
    assert_eq!(store.rooms(9).await.expect("rooms"), rooms);
    assert!(!append(&store, message("lobby", "3", "3")).await.fresh);
    fill(&store, "unborn", 1).await;
    let next = append(&store, message("lobby", "6", "6")).await;
    assert_eq!((next.position.offset, next.position.epoch), (Offset(6), lobby.head.epoch));
    assert_eq!(whole(&store, "unborn").await.head.epoch, unborn.head.epoch);
    let names: Vec<_> = store.rooms(9).await.expect("rooms").into_iter().map(|room| room.group.to_string()).collect();
    assert_eq!(names, ["lobby", "unborn", "kitchen"], "activity goes on where it was");
}

#[tokio::test]
async fn a_close_leaves_everything_in_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = SqliteStore::open(folder.path(), Durability::Power).expect("a store");
    drop(commits);
    fill(&store, "lobby", 5).await;
    whole(&store, "lobby").await;
    store.close().await;
    assert!(!folder.path().join("confab.db-wal").exists());
    let copy = tempfile::tempdir().expect("a folder");
    fs::copy(folder.path().join("confab.db"), copy.path().join("confab.db")).expect("a copy");
    assert_eq!(texts(&whole(&open(copy.path()).0, "lobby").await), ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn dropping_is_closing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    drop(commits);
    fill(&store, "lobby", 2).await;
    drop(store);
    assert_eq!(whole(&open(folder.path()).0, "lobby").await.head.offset, Offset(2));
}

/// The test runs itself as another process, which it kills while that one writes.
#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    const FOLDER: &str = "STORE_TEST_WRITES_TO";
    const NAME: &str = "sqlite::what_was_acknowledged_survives_a_kill";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_until_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("another process");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let acknowledged = |line: Result<String, _>| line.ok()?.strip_prefix("acknowledged ")?.parse::<u64>().ok();
    let mut highest = lines.by_ref().filter_map(acknowledged).take(500).max();
    child.kill().expect("killed");
    child.wait().expect("ended");
    highest = highest.max(lines.filter_map(acknowledged).max());

    let (store, commits) = open(folder.path());
    drop(commits);
    let page = whole(&store, "lobby").await;
    assert!(page.head.offset.0 >= highest.expect("something was acknowledged"), "{highest:?} of {:?}", page.head);
    let next = append(&store, message("lobby", "after", "after")).await;
    assert_eq!(next.position.offset, page.head.offset.next());
}

async fn write_until_killed(folder: &Path) {
    let (store, commits) = open(folder);
    let _reader = acknowledge_all(commits);
    let store = Arc::new(store);
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let store = Arc::clone(&store);
        senders.spawn(async move {
            for number in 0.. {
                let appended = append(&*store, message("lobby", &format!("{sender}-{number}"), "hello")).await;
                // Fails when the other end has gone, and ends this process if it was not killed.
                writeln!(std::io::stdout().lock(), "acknowledged {}", appended.position.offset).expect("a reader");
            }
        });
    }
    senders.join_all().await;
}

#[tokio::test]
async fn a_second_server_is_refused_until_the_first_has_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _commits) = open(folder.path());
    let (error, text) = refusal(folder.path(), folder.path());
    assert!(matches!(error, OpenError::InUse { .. }) && text.contains("in use"), "{text}");
    store.close().await;
    open(folder.path());
}

/// A process that another thread is just starting has a copy of every open file until it turns into its program.
#[tokio::test]
async fn a_folder_is_free_after_a_close_while_other_processes_are_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let starting = thread::spawn(|| {
        for _ in 0..300 {
            Command::new("true").status().expect("another process");
        }
    });
    while !starting.is_finished() {
        let (store, _commits) = open(folder.path());
        store.close().await;
    }
    starting.join().expect("all were started");
}

#[tokio::test]
async fn a_missing_folder_is_made_for_its_owner_alone() {
    let above = tempfile::tempdir().expect("a folder");
    let folder = above.path().join("a/b");
    let (store, commits) = open(&folder);
    drop(commits);
    fill(&store, "lobby", 1).await;
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&above.path().join("a"))), (0o700, 0o700));
    for file in ["confab.db", "confab.db-wal", "confab.lock"] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let above = tempfile::tempdir().expect("a folder");
    fs::write(above.path().join("file"), "").expect("a file");
    let folder = above.path().join("file/data");
    let (error, text) = refusal(&folder, &folder);
    assert!(matches!(error, OpenError::Folder { .. }), "{text}");
}

#[tokio::test]
async fn what_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("confab.db");
    let bytes = b"Dear diary, today I was mistaken for a database. ".repeat(200);
    fs::write(&file, &bytes).expect("a file");
    let (_, text) = refusal(folder.path(), &file);
    assert!(text.contains("not a SQLite database"), "{text}");
    assert_eq!(fs::read(&file).expect("the file"), bytes);
}

#[tokio::test]
async fn a_damaged_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    drop(commits);
    fill(&store, "lobby", 200).await;
    store.close().await;
    let file = folder.path().join("confab.db");
    let mut bytes = fs::read(&file).expect("the file");
    bytes.truncate(bytes.len() / 2 / 4096 * 4096);
    fs::write(&file, &bytes).expect("a shorter file");
    let (_, text) = refusal(folder.path(), &file);
    assert!(text.contains("damaged"), "{text}");
    assert_eq!(fs::read(&file).expect("the file"), bytes);
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    drop(commits);
    fill(&store, "lobby", 1).await;
    store.close().await;
    tamper(folder.path(), "PRAGMA user_version = 99");
    let file = folder.path().join("confab.db");
    let bytes = fs::read(&file).expect("the file");
    let (error, text) = refusal(folder.path(), &file);
    assert!(matches!(error, OpenError::Newer { found: 99, .. }) && text.contains("later version"), "{text}");
    assert_eq!(fs::read(&file).expect("the file"), bytes);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    tamper(folder.path(), "CREATE TABLE recipes (name TEXT)");
    let file = folder.path().join("confab.db");
    let bytes = fs::read(&file).expect("the file");
    let (error, text) = refusal(folder.path(), &file);
    assert!(matches!(error, OpenError::Foreign { .. }), "{text}");
    assert_eq!(fs::read(&file).expect("the file"), bytes);
}

/// Makes the COMMIT fail of every transaction that holds the text "doom": `SQLite` then finds a reference to nothing.
const DOOM: &str = "
    CREATE TABLE doom (room INTEGER REFERENCES rooms (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER doomed AFTER INSERT ON messages WHEN new.text = 'doom' BEGIN INSERT INTO doom VALUES (-1); END;";

#[tokio::test]
async fn a_failed_commit_stores_nothing_and_the_writer_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    let reader = acknowledge_all(commits);
    fill(&store, "lobby", 2).await;
    tamper(folder.path(), DOOM);
    for room in ["lobby", "new"] {
        let StoreError::Unavailable(cause) = store.append(message(room, "k", "doom")).await.expect_err("no commit");
        assert!(cause.to_string().contains("FOREIGN KEY"), "{cause}");
    }
    assert_eq!(whole(&store, "lobby").await.head.offset, Offset(2));
    assert_eq!(store.rooms(9).await.expect("rooms").len(), 1, "the room was not made");

    for (room, offset) in [("lobby", 3), ("new", 1)] {
        let appended = append(&store, message(room, "k", "fine")).await;
        assert_eq!((appended.position.offset, appended.fresh), (Offset(offset), true));
    }
    assert_eq!(texts(&whole(&store, "lobby").await), ["1", "2", "fine"]);
    store.close().await;
    let seen: Vec<_> =
        reader.await.expect("the reader").into_iter().map(|commit| stored(&commit.2).message.content.text).collect();
    assert_eq!(seen, ["1", "2", "fine", "fine"]);
}

#[tokio::test]
async fn a_message_that_the_database_refuses_fails_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    let _reader = acknowledge_all(commits);
    fill(&store, "lobby", 1).await;
    tamper(
        folder.path(),
        "CREATE TRIGGER refused BEFORE INSERT ON messages WHEN new.text = 'bad' BEGIN SELECT raise(ABORT, 'not this one'); END;",
    );
    let store = Arc::new(store);
    let mut senders = JoinSet::new();
    for number in 0..60 {
        let store = Arc::clone(&store);
        let text = if number % 3 == 0 { "bad" } else { "good" };
        let room = if number % 2 == 0 { "lobby" } else { "new" };
        senders.spawn(async move {
            let result = store.append(message(room, &format!("k{number}"), text)).await;
            assert_eq!(result.is_ok(), text == "good", "{result:?}");
        });
    }
    senders.join_all().await;
    assert_eq!(whole(&*store, "lobby").await.head.offset, Offset(21));
    assert_eq!(whole(&*store, "new").await.head.offset, Offset(20));
}
