//! Disks that fail, under the real program: one that takes nothing more and then does again, one that may not be written, and
//! a database that was damaged on it.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, Program, offset},
    clients::V1,
    within,
};

/// A program that takes the end of what the disk gives it for an error, as it is on a full disk, and not for a signal.
async fn start(data: &Path) -> Program {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    Program::start_by(shell, data).await
}

/// From now on no file of the program's grows beyond so many bytes; none: as large as it likes.
fn bound_files(program: &Program, bytes: Option<u64>) {
    let id = Pid::from_raw(i32::try_from(program.id()).expect("a number of a process")).expect("more than 0");
    // The hard bound stays, so that it can be taken back.
    let before = prlimit(Some(id), Resource::Fsize, Rlimit { current: Some(0), maximum: None }).expect("our child");
    prlimit(Some(id), Resource::Fsize, Rlimit { current: bytes, maximum: before.maximum }).expect("our child");
}

fn send(number: u64) -> Value {
    json!({"send": {"topic": "room/a", "key": format!("k{number}"), "text": format!("{number} {}", "x".repeat(4_000))}})
}

/// The offsets and keys of what the store has, which are 1 to `count`, each with its key.
async fn assert_stored(program: &Program, count: u64) {
    let (_, stored) = program.all_messages("a").await;
    let stored: Vec<_> = stored.iter().map(|message| (offset(message), message["key"].clone())).collect();
    assert_eq!(stored, (1..=count).map(|number| (number, json!(format!("k{number}")))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_more_is_said_reading_goes_on_and_nothing_is_lost_or_doubled() {
    let data = tempfile::tempdir().expect("a folder");
    let mut program = start(data.path()).await;
    let mut author = V1::connect(program.address, "/room/a/").await;
    let mut count = 0;
    for round in 1..=3 {
        count += 1;
        assert_eq!(author.ok(send(count)).await["offset"], count);
        let log = fs::metadata(data.path().join("confab.db-wal")).expect("the log").len();
        // Not at the beginning of a page.
        bound_files(&program, Some(log + 50_000 + round));
        let refusal = loop {
            let answer = author.ask(send(count + 1)).await;
            if answer.get("ok").is_none() {
                break answer["error"].clone();
            }
            count += 1;
            assert_eq!(answer["ok"]["offset"], count);
        };
        assert_eq!(refusal["code"], "unavailable", "{refusal}");
        let ready = program.get("/readyz").await;
        assert_eq!(ready.status(), 503);
        assert_eq!(ready.text().await.expect("a body"), "the store cannot be written: it did not take the last message\n");
        // Those who read notice nothing.
        assert_stored(&program, count).await;
        assert_eq!(program.get("/room/a/").await.status(), 200);
        let mut reader = V1::connect(program.address, "/ws/").await;
        assert_eq!(reader.join("room/a", None).await["offset"], count);

        if round == 2 {
            program.kill();
            program = start(data.path()).await;
            author = V1::with(program.address, "/room/a/", &[]).await;
            assert_stored(&program, count).await;
        } else {
            bound_files(&program, None);
        }
        count += 1;
        assert_eq!(author.ok(send(count)).await["offset"], count);
        assert_eq!(program.get("/readyz").await.status(), 200);
        assert_stored(&program, count).await;
    }
    drop(author);
    program.terminate();
    assert_eq!(program.status().await.code(), Some(0));
    assert_stored(&Program::start(data.path()).await, count).await;
}

/// The program for a user who may not do everything.
fn as_a_user() -> Command {
    // Root may write everywhere; without its capabilities it is a user like others.
    match fs::metadata("/proc/self").map(|process| std::os::unix::fs::MetadataExt::uid(&process)) {
        Ok(0) => {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--bounding-set", "-all", "--inh-caps", "-all", env!("CARGO_BIN_EXE_confab")]);
            setpriv
        }
        _ => Command::new(env!("CARGO_BIN_EXE_confab")),
    }
}

/// Runs a command; gives its status and what it says on standard error.
async fn run(mut command: Command) -> (Option<i32>, String) {
    command.current_dir("/").env_remove("CONFAB_STORE__URL");
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    let output = within("the end of the program", output).await.expect("its output");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

/// What the program says that refuses to serve a folder, and nothing in the folder is changed by it.
async fn refusal(folder: &Path) -> String {
    let mut command = as_a_user();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder).env_remove("CONFAB_STORE__URL").current_dir("/");
    let before = contents(folder);
    // It may serve after all.
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    let output = within("the end of the program", output).await.expect("its output");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(contents(folder) == before, "something was changed in the folder: {:?}", contents(folder).keys());
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// The files of a folder. Whoever looks at the database leaves a lock, a log and an index of it, which have nothing in them.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let content = |path: &Path| fs::read(path).expect("a file");
    let files = entries.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), content(&path)));
    files.filter(|(name, bytes)| name != "confab.db-shm" && !bytes.is_empty()).collect()
}

/// A folder with a database in which a few things were said.
async fn used() -> tempfile::TempDir {
    let data = tempfile::tempdir().expect("a folder");
    let program = Program::start(data.path()).await;
    // A name that ends in no digit: it stands before the text in the file.
    let mut author = V1::with(program.address, "/room/a/", &[("cookie", "confab_name=Ann")]).await;
    for number in 1..=20 {
        author.ok(send(number)).await;
    }
    // The program would wait for it to say goodbye.
    drop(author);
    program.terminate();
    assert_eq!(program.status().await.code(), Some(0));
    data
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[tokio::test]
async fn a_folder_or_a_database_that_may_not_be_written_is_refused_and_left_as_it_is() {
    let data = used().await;
    let database = data.path().join("confab.db");
    let modes = [(0o500, 0o400, 0o400), (0o500, 0o600, 0o600), (0o700, 0o400, 0o600), (0o700, 0o600, 0o400)];
    for (folder, file, lock) in modes {
        set_mode(&data.path().join("confab.lock"), lock);
        set_mode(&database, file);
        set_mode(data.path(), folder);
        let said = refusal(data.path()).await;
        set_mode(data.path(), 0o700);
        let named = said.contains(&data.path().display().to_string());
        assert!(
            named && (said.contains("cannot be used: Permission denied") || said.contains("cannot be written: ")),
            "{said}"
        );
    }
    set_mode(&database, 0o600);
    set_mode(&data.path().join("confab.lock"), 0o600);
    assert_stored(&Program::start(data.path()).await, 20).await;
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_left_as_it_is() {
    let data = used().await;
    let database = data.path().join("confab.db");
    let whole = fs::read(&database).expect("the database");
    let noise = |bytes: &mut [u8]| bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 31 + 7) as u8);
    let mut head = whole.clone();
    noise(&mut head[..100]);
    let mut schema = whole.clone();
    noise(&mut schema[100..4096]);
    let mut beyond = whole.clone();
    noise(&mut beyond[4096..]);
    let half = whole[..whole.len() / 2 / 4096 * 4096].to_vec();
    let damaged = "; it is left as it is, restore it from a copy";
    for (what, bytes, says) in [
        ("its head", &head, "is not a SQLite database; it is left as it is"),
        ("its schema", &schema, damaged),
        ("all but its first page", &beyond, damaged),
        ("cut off", &half, damaged),
    ] {
        fs::write(&database, bytes).expect("a file");
        let said = refusal(data.path()).await;
        assert!(said.contains(&database.display().to_string()) && said.contains(says), "{what}: {said}");
    }
    fs::write(&database, &whole).expect("a file");
    assert_stored(&Program::start(data.path()).await, 20).await;
}

/// The page of the file on which a message stands, counted from 0.
fn page_of(database: &[u8], marker: &str) -> usize {
    let at = database.windows(marker.len()).position(|bytes| bytes == marker.as_bytes());
    at.expect("the message is in the file") / 4096
}

#[tokio::test]
async fn damage_that_is_found_later_is_said_and_the_rest_is_read() {
    let data = used().await;
    let database = data.path().join("confab.db");
    let mut bytes = fs::read(&database).expect("the database");
    let page = page_of(&bytes, "12 xxx");
    bytes[page * 4096..(page + 1) * 4096].fill(0xff);
    fs::write(&database, bytes).expect("damaged");
    let program = Program::start(data.path()).await;
    let ready = async || {
        let response = program.get("/readyz").await;
        (response.status().as_u16(), response.text().await.expect("a body"))
    };
    let (status, body) = program.api("/api/v1/rooms/a/messages?after=0").await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")), "{body}");
    let said = "the store is damaged: a part of it cannot be read; restore it from a copy\n";
    assert_eq!(ready().await, (503, said.to_owned()));
    let (status, body) = program.api("/api/v1/rooms/a/messages?after=15").await;
    assert_eq!((status, body["messages"].as_array().map(Vec::len)), (200, Some(5)), "{body}");
    assert_eq!(ready().await.0, 503, "it does not go by itself");
    // The file of the room has the rest, and says what is left out.
    let export = program.get("/api/v1/rooms/a/export").await;
    assert_eq!(export.status(), 200);
    let lines = export.text().await.expect("a whole file");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (unreadable, read): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.get("error").is_some());
    let [unreadable] = unreadable[..] else { panic!("one gap: {unreadable:?}") };
    let (from, to) = (offset(unreadable), unreadable["to"].as_u64().expect("an offset"));
    assert!(from <= 12 && 12 <= to, "{unreadable}");
    let expected: Vec<u64> = (1..=20).filter(|number| !(from..=to).contains(number)).collect();
    assert_eq!(read.into_iter().map(offset).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_broken_row_keeps_nobody_from_the_rest_and_is_said_once() {
    let data = used().await;
    let program = Program::start(data.path()).await;
    V1::connect(program.address, "/room/b/").await.post("room/b", "k", "well").await;
    let store = rusqlite::Connection::open(data.path().join("confab.db")).expect("the store");
    store.execute("UPDATE messages SET key = '' WHERE text LIKE '20 x%'", []).expect("a change");
    for _ in 0..3 {
        let (status, list) = program.api("/api/v1/rooms").await;
        assert_eq!((status, list["rooms"].as_array().map(Vec::len)), (200, Some(1)), "{list}");
        assert_eq!(program.get("/").await.status(), 200);
        assert_eq!(program.get("/room/a/").await.status(), 200);
        let (status, page) = program.api("/api/v1/rooms/a/messages?after=18").await;
        assert_eq!((status, &page["messages"][1]["deleted"], &page["messages"][1]["text"]), (200, &json!(true), &json!("")));
        let mut reader = V1::connect(program.address, "/ws/").await;
        assert_eq!(reader.join("room/a", None).await["offset"], 20);
    }
    let log = program.into_log();
    assert_eq!(log.matches("passed over").count(), 1, "{log}");
}

#[tokio::test]
async fn that_the_store_cannot_be_read_is_said_once() {
    let data = used().await;
    let program = Program::start(data.path()).await;
    let store = rusqlite::Connection::open(data.path().join("confab.db")).expect("the store");
    store.execute_batch("ALTER TABLE messages RENAME TO elsewhere").expect("a change");
    for _ in 0..3 {
        assert_eq!(program.api("/api/v1/rooms/a/messages").await.0, 503);
        assert_eq!(program.get("/room/a/").await.status(), 503);
        assert_eq!(program.get("/readyz").await.status(), 503);
    }
    let log = program.into_log();
    // The index of words, which has work of its own to do in the table, says once that it cannot, if it comes to it.
    let errors = log.lines().filter(|line| line.contains("ERROR"));
    let (of_index, errors): (Vec<_>, Vec<_>) = errors.partition(|line| line.contains("search::indexer"));
    assert!(of_index.len() <= 1, "{log}");
    assert_eq!(errors.len(), 1, "{log}");
    assert!(errors[0].contains("the store cannot be read"), "{log}");
}

#[tokio::test]
async fn a_database_that_is_deleted_under_the_program_is_said() {
    let data = used().await;
    let program = Program::start(data.path()).await;
    let mut author = V1::connect(program.address, "/room/a/").await;
    author.ok(send(21)).await;
    fs::remove_file(data.path().join("confab.db")).expect("removed");
    let refusal = author.error(send(22)).await;
    assert_eq!(refusal["code"], "unavailable", "{refusal}");
    let ready = program.get("/readyz").await;
    assert_eq!(ready.status(), 503);
    let said = "the database was deleted or replaced under the server, which stores nothing any more\n";
    assert_eq!(ready.text().await.expect("a body"), said);
}

/// A database that may not be written, as on a file system that is mounted so: after a clean end, and as a crash has left it.
#[tokio::test]
async fn a_copy_is_made_of_what_may_only_be_read() {
    for crash in [false, true] {
        let data = used().await;
        if crash {
            let mut program = Program::start(data.path()).await;
            V1::connect(program.address, "/room/a/").await.ok(send(21)).await;
            program.kill();
        }
        let target = tempfile::tempdir().expect("a folder");
        let copy = target.path().join("confab.db");
        let files = || fs::read_dir(data.path()).expect("a folder").map(|entry| entry.expect("an entry").path());
        files().for_each(|file| set_mode(&file, 0o400));
        set_mode(data.path(), 0o500);
        let before = contents(data.path());
        let mut command = as_a_user();
        command.arg("backup").arg(&copy).arg("--data").arg(data.path());
        let (status, said) = run(command).await;
        assert!(contents(data.path()) == before, "something was changed");
        set_mode(data.path(), 0o700);
        assert_eq!(status, Some(0), "crash: {crash}, {said}");
        assert_stored(&Program::start(target.path()).await, if crash { 21 } else { 20 }).await;
    }
}

#[tokio::test]
async fn a_disk_that_is_too_small_for_a_copy_is_said() {
    let data = used().await;
    let target = tempfile::tempdir().expect("a folder");
    let copy = target.path().join("copy.db");
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_confab"), "backup"]);
    command.arg(&copy).arg("--data").arg(data.path());
    let (status, said) = run(command).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(&format!("{} cannot be written", copy.display())), "{said}");
    assert_eq!(fs::read_dir(target.path()).expect("a folder").count(), 0, "nothing is left behind");
}
