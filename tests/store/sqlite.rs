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
    server::store::{
        Bounds, Commits, Durability, Log, OpenError, Search as _, Slice, SqliteStore, StoreError, Trouble, backup, restore,
    },
    wire::{MessageId, Offset},
};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::{
    acknowledge_all, append,
    changes::{delete, edit, id},
    fill, group, message, search, stored,
    support::within,
    texts, whole,
};

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
    let highest = killed_while_writing(NAME, FOLDER, folder.path(), 500);
    let (store, commits) = open(folder.path());
    drop(commits);
    let page = whole(&store, "lobby").await;
    assert!(page.head.offset.0 >= highest, "{highest} of {:?}", page.head);
    let next = append(&store, message("lobby", "after", "after")).await;
    assert_eq!(next.position.offset, page.head.offset.next());
}

/// Runs a test of this program as another process, which writes to a folder, and kills it after so many acknowledgements. Gives the
/// highest offset that it had acknowledged.
fn killed_while_writing(test: &str, variable: &str, folder: &Path, acknowledgements: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("another process");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let acknowledged = |line: Result<String, _>| line.ok()?.strip_prefix("acknowledged ")?.parse::<u64>().ok();
    let highest = lines.by_ref().filter_map(acknowledged).take(acknowledgements).max();
    child.kill().expect("killed");
    child.wait().expect("ended");
    highest.max(lines.filter_map(acknowledged).max()).expect("something was acknowledged")
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

/// What a database leaves behind when it goes.
#[tokio::test]
async fn a_database_that_is_gone_is_not_begun_anew() {
    let goes: [fn(&Path); 2] = [|file| fs::write(file, "").expect("emptied"), |file| fs::remove_file(file).expect("removed")];
    for go in goes {
        let folder = tempfile::tempdir().expect("a folder");
        closed_with(folder.path(), &["tea"]).await;
        let (file, index) = (folder.path().join("confab.db"), folder.path().join("search.db"));
        go(&file);
        let (there, indexed) = (file.exists(), fs::read(&index).expect("the index"));
        let (error, text) = refusal(folder.path(), &file);
        assert!(matches!(error, OpenError::Lost { .. }) && text.contains("search.db"), "{text}");
        assert!(file.exists() == there && fs::read(&index).expect("the index") == indexed, "something was changed");
        // Its log may be all that is left of what was said last, which SQLite would delete.
        fs::remove_file(&index).expect("removed");
        let log = folder.path().join("confab.db-wal");
        fs::write(&log, "what was said last").expect("a log");
        let (error, text) = refusal(folder.path(), &file);
        assert!(matches!(error, OpenError::Lost { .. }) && text.contains("confab.db-wal"), "{text}");
        assert_eq!(fs::read(&log).expect("the log"), b"what was said last");
        fs::remove_file(&log).expect("removed");
        assert_eq!(whole(&open(folder.path()).0, "lobby").await.messages, [], "an empty folder is a new store");
    }
}

/// What somebody does to the files of a store that is used, and how that is undone.
type Move = fn(&Path);

#[tokio::test]
async fn nothing_is_stored_in_a_database_that_was_deleted_or_replaced() {
    fn shift(file: &Path) {
        fs::rename(file, file.with_extension("away")).expect("moved away");
    }
    fn shift_back(file: &Path) {
        fs::rename(file.with_extension("away"), file).expect("moved back");
    }
    fn copy(file: &Path) {
        shift(file);
        fs::copy(file.with_extension("away"), file).expect("a copy");
    }
    let ways: [(&str, Move); 2] = [("moved away", shift), ("replaced", copy)];
    for file in ["confab.db", "confab.db-wal"] {
        for (what, displace) in ways {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join(file);
            let (store, commits) = open(folder.path());
            let reader = acknowledge_all(commits);
            fill(&store, "lobby", 2).await;
            assert!(store.trouble().await.is_none());
            displace(&file);
            let StoreError::Unavailable(cause) = store.append(message("lobby", "3", "3")).await.expect_err("not stored");
            assert!(cause.to_string().contains(&file.display().to_string()), "{what}: {cause}");
            let (trouble, _) = store.trouble().await.expect("trouble");
            assert_eq!(trouble, Trouble::Displaced, "{what}");
            shift_back(&file);
            assert!(store.trouble().await.is_none(), "{what}");
            let appended = append(&store, message("lobby", "3", "3")).await;
            assert_eq!((appended.position.offset, appended.fresh), (Offset(3), true), "{what}");
            store.close().await;
            let heard = reader.await.expect("the reader").into_iter().map(|commit| commit.2.offset.0).collect::<Vec<_>>();
            assert_eq!(heard, [1, 2, 3], "{what}");
            assert_eq!(texts(&whole(&open(folder.path()).0, "lobby").await), ["1", "2", "3"]);
        }
    }
}

#[tokio::test]
async fn what_another_database_has_is_not_read_or_indexed() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    closed_with(other.path(), &["coffee"]).await;
    let (store, commits) = open(folder.path());
    drop(commits);
    append(&store, message("lobby", "1", "tea")).await;
    search::indexed(&store, "lobby").await;
    let file = folder.path().join("confab.db");
    fs::rename(other.path().join("confab.db"), &file).expect("replaced");
    // More at once than there are connections, so that new ones are opened.
    let lobby = group("lobby");
    let reads = (0..40).map(|_| store.read(&lobby, Slice::Latest, 9, 999));
    for page in futures_util::future::join_all(reads).await {
        assert!(page.is_err() || page.is_ok_and(|page| texts(&page)[0] == "tea"));
    }
    // Whatever happens to the index, the words of the other database are not in it.
    let found = store.search(&search::query("coffee"), &search::room("lobby"), 9).await;
    assert!(found.is_err() || found.is_ok_and(|found| found.hits.is_empty()));
    store.close().await;
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

#[tokio::test]
async fn what_was_edited_deleted_or_dropped_is_not_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    drop(commits);
    // Some on the page of their row, some on pages of their own; and others around them.
    let text = |number: usize| match number % 4 {
        0 => format!("secret-{number} "),
        1 => format!("secret-{number} ").repeat(1_000),
        _ => "open".to_owned(),
    };
    let mut epoch = None;
    for number in 0..200 {
        epoch = Some(append(&store, message("lobby", &format!("k{number}"), &text(number))).await.position.epoch);
    }
    for number in 100_u64..200 {
        let id = MessageId { epoch: epoch.clone().expect("an epoch"), offset: Offset(number + 1) };
        let change = if number % 8 < 4 { delete(&id, "ann") } else { edit(&id, "ann", "open") };
        store.change(change).await.expect("changed");
    }
    let newest = Bounds { messages: Some(100), ..Bounds::default() };
    assert!(store.forget(&group("lobby"), newest).await.expect("dropped"));
    let page = store.read(&group("lobby"), Slice::Latest, 999, usize::MAX).await.expect("a page");
    assert_eq!((page.first, page.messages.len()), (Offset(101), 100));
    store.close().await;
    let bytes = fs::read(folder.path().join("confab.db")).expect("the file");
    let left = bytes.windows(7).filter(|bytes| bytes == b"secret-").count();
    assert_eq!(left, 0, "something of it is left");
}

#[tokio::test]
async fn a_message_that_cannot_be_understood_is_nobody_elses_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    let _reader = acknowledge_all(commits);
    fill(&store, "lobby", 3).await;
    tamper(folder.path(), "UPDATE messages SET key = '' WHERE offset = 2");
    let epoch = store.entries(&group("lobby"), Offset(9), 0, 0).await.expect("a head").head.epoch;
    let delete = |offset: u64| delete(&MessageId { epoch: epoch.clone(), offset: Offset(offset) }, "ann");
    let (one, broken, said) =
        tokio::join!(store.change(delete(1)), store.change(delete(2)), store.append(message("lobby", "4", "4")));
    broken.expect_err("it cannot be understood");
    assert_eq!((one.expect("changed").position.offset, said.expect("stored").position.offset), (Offset(4), Offset(5)));
    let read = store.read(&group("lobby"), Slice::Latest, 9, 999).await.expect("a page");
    assert_eq!(read.unreadable, [Offset(2)]);
    assert!(store.trouble().await.is_none(), "the file itself is whole");
}

#[tokio::test]
async fn a_change_that_the_database_refuses_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    let reader = acknowledge_all(commits);
    let position = append(&store, message("lobby", "1", "as it was")).await.position;
    // The change itself is taken, what it makes of the message is not.
    tamper(
        folder.path(),
        "CREATE TRIGGER refused BEFORE UPDATE ON messages WHEN new.text = 'bad' BEGIN SELECT raise(ABORT, 'not this one'); END;",
    );
    let edit = |text: &str| edit(&id(&position), "ann", text);
    // Alone, and among others that are taken.
    store.change(edit("bad")).await.expect_err("refused");
    let (one, bad, other) = tokio::join!(store.change(edit("good")), store.change(edit("bad")), store.change(edit("better")));
    bad.expect_err("refused");
    assert_eq!((one.expect("changed").position.offset, other.expect("changed").position.offset), (Offset(2), Offset(3)));
    assert_eq!(append(&store, message("lobby", "2", "next")).await.position.offset, Offset(4));
    let missed = store.entries(&group("lobby"), Offset(0), 9, 9_999).await.expect("entries");
    assert_eq!(missed.entries.iter().map(|entry| entry.offset.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    store.close().await;
    assert_eq!(reader.await.expect("the reader").len(), 4);
}

/// A store whose room `lobby` has these messages, all in the index, closed again.
async fn closed_with(folder: &Path, texts: &[&str]) {
    let (store, commits) = open(folder);
    drop(commits);
    for (number, text) in texts.iter().enumerate() {
        append(&store, message("lobby", &number.to_string(), text)).await;
    }
    search::indexed(&store, "lobby").await;
    store.close().await;
}

/// Waits until the index of a store that was opened again has caught up, and gives where a word is.
async fn found_after_restart(folder: &Path, word: &str) -> Vec<u64> {
    let (store, commits) = open(folder);
    drop(commits);
    search::indexed(&store, "lobby").await;
    let found = search::search(&store, word, &search::room("lobby")).await;
    store.close().await;
    search::places(&found).iter().map(|place| place.1).collect()
}

#[tokio::test]
async fn an_index_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    closed_with(folder.path(), &["tea", "coffee"]).await;
    let index = folder.path().join("search.db");
    assert_eq!(fs::metadata(&index).expect("an index").permissions().mode() & 0o777, 0o600);
    let documents = || -> (i64, i64) {
        let connection = Connection::open(&index).expect("the index");
        connection
            .query_row("SELECT count(*), (SELECT indexed FROM streams) FROM documents", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("numbers")
    };
    assert_eq!(documents(), (3, 3));
    let inode = |file: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(file).expect("a file"));
    let before = inode(&index);
    assert_eq!(found_after_restart(folder.path(), "tea").await, [1]);
    assert_eq!((documents(), inode(&index)), ((4, 4), before), "it was not made anew, and nothing is in it twice");
}

/// Does something to the file of an index.
type Spoil = fn(&Path);

#[tokio::test]
async fn an_index_that_is_missing_or_useless_is_made_anew() {
    let ways: [(&str, Spoil); 7] = [
        ("missing", |index| fs::remove_file(index).expect("removed")),
        ("empty", |index| fs::write(index, "").expect("emptied")),
        ("no database", |index| fs::write(index, "x".repeat(5_000)).expect("overwritten")),
        ("another version", |index| change(index, "PRAGMA user_version = 99")),
        ("ahead of the store", |index| change(index, "UPDATE streams SET indexed = 9")),
        ("of another stream", |index| change(index, "UPDATE streams SET epoch = 'other'")),
        ("behind changes that are gone", |index| {
            change(index, "DELETE FROM words WHERE rowid = 1");
            change(&index.with_file_name("confab.db"), "UPDATE rooms SET replayable = 5");
        }),
    ];
    for (what, spoil) in ways {
        let folder = tempfile::tempdir().expect("a folder");
        closed_with(folder.path(), &["tea", "coffee"]).await;
        spoil(&folder.path().join("search.db"));
        assert_eq!(found_after_restart(folder.path(), "tea").await, [1], "{what}");
    }
}

fn change(index: &Path, sql: &str) {
    Connection::open(index).and_then(|connection| connection.execute_batch(sql)).expect("changed");
}

#[tokio::test]
async fn changes_wait_until_they_are_indexed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = open(folder.path());
    drop(commits);
    let index = Connection::open(folder.path().join("search.db")).expect("the index");
    index.busy_timeout(std::time::Duration::from_secs(5)).expect("set");
    // Whoever writes there waits.
    let hold = async { index.execute_batch("BEGIN IMMEDIATE").expect("a lock") };
    search::changes_wait_for_the_index(&store, hold, async { index.execute_batch("ROLLBACK").expect("let go") }).await;
    store.close().await;
}

/// A part of the file that is not looked at when it is opened.
#[tokio::test]
async fn a_damage_that_is_found_later_has_the_index_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts: Vec<String> = (0..500).map(|number| format!("tea {number} {}", "filling ".repeat(20))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    closed_with(folder.path(), &texts).await;
    let index = folder.path().join("search.db");
    let root = Connection::open(&index)
        .and_then(|connection| {
            connection.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'words_data'", [], |row| row.get::<_, i32>(0))
        })
        .expect("a page");
    let root = usize::try_from(root).expect("a number");
    let mut bytes = fs::read(&index).expect("the index");
    bytes[(root - 1) * 4096..root * 4096].fill(0xff);
    fs::write(&index, bytes).expect("damaged");
    let (store, commits) = open(folder.path());
    drop(commits);
    let all_found = async {
        loop {
            let found = store.search(&search::query("tea"), &search::room("lobby"), 1_000).await;
            if found.is_ok_and(|found| !found.complete && found.hits.len() >= 300) {
                return;
            }
        }
    };
    within("an index that is made anew", all_found).await;
    store.close().await;
}

#[tokio::test]
async fn a_restored_store_is_not_searched_in_the_index_of_another() {
    let folder = tempfile::tempdir().expect("a folder");
    closed_with(folder.path(), &["tea"]).await;
    let copy = folder.path().join("copy.db");
    backup(folder.path(), &copy).expect("a copy");
    let (store, commits) = open(folder.path());
    drop(commits);
    append(&store, message("lobby", "later", "coffee")).await;
    search::indexed(&store, "lobby").await;
    store.close().await;
    fs::remove_file(folder.path().join("confab.db")).expect("removed");
    restore(&copy, folder.path()).expect("restored");
    let (store, commits) = open(folder.path());
    drop(commits);
    append(&store, message("lobby", "other", "cocoa")).await;
    assert_eq!(search::search(&store, "coffee", &search::room("lobby")).await.hits, []);
    store.close().await;
    assert_eq!(found_after_restart(folder.path(), "coffee").await, [0_u64; 0]);
    assert_eq!(found_after_restart(folder.path(), "cocoa").await, [3]);
}

/// The store is killed in the middle of indexing, and the index catches up.
#[tokio::test]
async fn an_index_catches_up_after_a_kill() {
    const FOLDER: &str = "TEST_INDEXES_IN";
    const NAME: &str = "sqlite::an_index_catches_up_after_a_kill";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_until_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    killed_while_writing(NAME, FOLDER, folder.path(), 2_000);
    let (store, commits) = open(folder.path());
    drop(commits);
    search::indexed(&store, "lobby").await;
    let said = i64::try_from(whole(&store, "lobby").await.messages.len()).expect("a number");
    store.close().await;
    let index = Connection::open(folder.path().join("search.db")).expect("the index");
    let counted: (i64, i64, i64) = index
        .query_row(
            "SELECT count(*), (SELECT indexed FROM streams), (SELECT count(*) FROM words WHERE words MATCH 'hello')
             FROM documents",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .expect("numbers");
    assert_eq!(counted, (said, said, said - 1), "each message once");
}

#[tokio::test]
async fn a_store_goes_on_where_there_can_be_no_index() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("search.db")).expect("something in its place");
    let (store, commits) = open(folder.path());
    drop(commits);
    fill(&store, "lobby", 3).await;
    let StoreError::Unavailable(cause) =
        store.search(&search::query("1"), &search::room("lobby"), 9).await.expect_err("no index");
    assert!(cause.to_string().contains("index"), "{cause}");
    assert_eq!(whole(&store, "lobby").await.messages.len(), 3);
    store.close().await;
}
