//! Everything from one store to another: every table of both databases, and what a store that was carried goes on with.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use confab::{
    server::store::{Bounds, Log, Place, PostgresStore, Progress, Slice, SqliteStore, TransferError, transfer},
    wire::{MessageId, Offset},
};
use rusqlite::{Connection, types::Value};

use crate::{
    acknowledge_all, append,
    changes::{delete, edit, react},
    group, message, postgres, read, sqlite,
    support::{
        postgres::{Postgres, connection},
        within,
    },
    texts,
};

/// Rows for the tables that no message has filled, with what is told apart in them. What is in none of these gets [some row](some_row).
const ROWS: &str = "
    INSERT INTO people VALUES ('bob', 'Bobby');
    INSERT INTO accounts VALUES ('ann', 'Ann', 'ann', 'Ann \u{1} 安', 1, '$argon2id$', NULL, NULL, 5, NULL, 8, 'zh-CN'),
        ('d1', 'Dan', 'dan', 'Dan', 0, NULL, 'django', '7', 6, 7, 0, NULL);
    INSERT INTO sessions VALUES ('s', x'0001ff', x'02', 1, 'ann', 'Firefox', 2, 3, 4);
    INSERT INTO links VALUES (x'00', 'reset', 'ann', 9), (x'01', 'setup', NULL, 9);
    INSERT INTO second_factors VALUES ('ann', x'00ff', 5, 7), ('d1', x'01', NULL, 0);
    INSERT INTO recovery_codes VALUES ('ann', x'0a'), ('ann', x'0b');
    INSERT INTO address_bans VALUES ('b1', '192.0.2.7', NULL, 1, 9, 1, 'ann', 'Ann', 'Mallory'),
        ('b2', '2001:db8::/64', 'lobby', 0, 9, 2, 'ann', 'Ann', '');
    INSERT INTO room_reads VALUES ('ann', 'lobby', 'e', 3, 9, 0), ('ann', 'kitchen', 'f', 1, 8, 7);
    INSERT INTO departures VALUES ('d1', 'goes', 8, NULL);
    UPDATE room_changes SET changes = 41;
    INSERT INTO room_records VALUES ('lobby', 'closed', 'Lobby', '', 'members', NULL, 1, NULL, NULL, 41),
        ('d-1', 'direct', '', '', 'everybody', 'ann bob', 2, 3, 4, 40);
    INSERT INTO room_members VALUES ('lobby', 'ann', 'Ann', 'owner', NULL, 1), ('lobby', 'bob', 'Bob', 'member', 99, 2);
    INSERT INTO room_bans VALUES ('lobby', 'eve', 'Eve', 3);
    INSERT INTO room_invitations VALUES ('abc', 'lobby', 'member', NULL, 3, 1, 'ann', 'Ann', NULL);
    INSERT INTO room_log VALUES ('lobby', 41, 1, 'ann', 'Ann', 'make', NULL, NULL, 'd');
";

/// What both databases have for themselves: numbers of places on the disk, and of what was touched when.
const OWN: [(&str, &str); 2] = [("messages", "number"), ("rooms", "touched")];

/// A store in a folder with rows in each table.
async fn filled(folder: &Path) {
    let (store, commits) = sqlite::open(folder);
    let _reader = acknowledge_all(commits);
    for (room, key, text) in [
        ("kitchen", "k1", "eggs"),
        ("lobby", "k1", "U+0000 \0 and U+0001 \u{1} and 王小明"),
        ("lobby", "k2", "second"),
        ("lobby", "k3", "third"),
        ("attic", "k1", "old"),
        ("attic", "k2", "new"),
    ] {
        append(&store, message(room, key, text)).await;
    }
    let page = read(&store, "lobby", Slice::Latest, 9).await;
    let id = |offset| MessageId { epoch: page.head.epoch.clone(), offset: Offset(offset) };
    for change in [edit(&id(1), "ann", "edited \0"), delete(&id(2), "ann"), react(&id(3), "bob", "👍", true)] {
        store.change(change).await.expect("changed");
    }
    let bounds = Bounds { messages: Some(1), since: None, changes: None };
    assert!(store.forget(&group("attic"), bounds).await.expect("forgotten"));
    append(&store, message("kitchen", "k2", "milk")).await;
    store.close().await;
    let connection = database(folder);
    connection.execute_batch(ROWS).expect("rows");
    for table in tables(&connection) {
        let count: i64 =
            connection.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0)).expect("a count");
        if count == 0 {
            some_row(&connection, &table);
        }
    }
}

fn tables(connection: &Connection) -> Vec<String> {
    strings(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid")
}

/// A row with a value in each column: where the column refers to another table, one that is there.
fn some_row(connection: &Connection, table: &str) {
    let value = format!(
        "SELECT coalesce((SELECT format('(SELECT %s FROM %s LIMIT 1)', coalesce(\"to\", columns.name), \"table\")
                FROM pragma_foreign_key_list('{table}') WHERE \"from\" = columns.name),
            CASE lower(type) WHEN 'text' THEN '''some text''' WHEN 'bytea' THEN 'x''00ff''' ELSE '1' END)
        FROM pragma_table_info('{table}') AS columns ORDER BY cid"
    );
    let row = format!("INSERT INTO \"{table}\" VALUES ({})", strings(connection, &value).join(", "));
    connection
        .execute_batch(&row)
        .unwrap_or_else(|error| panic!("{table} takes no such row ({error}): write one for it above"));
}

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("confab.db")).expect("a database")
}

/// All of a folder's store: the rows of each table, sorted, without what is a database's own.
fn everything(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let connection = database(folder);
    let names = tables(&connection);
    let rows = |name: &String| {
        let columns = strings(&connection, &format!("SELECT name FROM pragma_table_info('{name}')"));
        let columns: Vec<_> =
            columns.into_iter().filter(|column| !OWN.contains(&(name, column))).map(|it| format!("\"{it}\"")).collect();
        let mut statement = connection.prepare(&format!("SELECT {} FROM \"{name}\"", columns.join(", "))).expect("a statement");
        let found = statement.query_map([], |row| {
            (0..columns.len()).map(|column| row.get::<_, Value>(column)).collect::<rusqlite::Result<Vec<_>>>()
        });
        let mut rows: Vec<_> = found.expect("rows").map(|row| format!("{:?}", row.expect("a row"))).collect();
        rows.sort();
        rows
    };
    names.iter().map(|name| (name.clone(), rows(name))).collect()
}

fn strings(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).expect("a statement");
    statement.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a row")).collect()
}

fn at(url: &str) -> Place {
    Place::Postgres(url.parse().expect("an address"))
}

async fn carry(from: &Place, to: &Place) -> Result<u64, TransferError> {
    let progress = Arc::new(Progress::default());
    within("the end of a transfer", Box::pin(transfer(from, to, &progress))).await.map(|carried| carried.rows)
}

/// What a store that was carried does as the first one would have.
async fn assert_goes_on(store: &impl Log) {
    let page = read(store, "lobby", Slice::Latest, 9).await;
    assert_eq!(texts(&page), ["edited \0", "", "third"]);
    assert_eq!((page.head.offset, page.latest, page.first), (Offset(6), Offset(3), Offset(1)));
    assert_eq!(page.messages[2].message.content.reactions[0].from[0].id, "bob");
    let attic = read(store, "attic", Slice::Latest, 9).await;
    assert_eq!((texts(&attic), attic.first, attic.head.offset), (vec!["new"], Offset(2), Offset(2)));
    let rooms =
        async || store.rooms(9).await.expect("rooms").into_iter().map(|room| room.group.to_string()).collect::<Vec<_>>();
    assert_eq!(rooms().await, ["kitchen", "attic", "lobby"]);
    let again = append(store, message("lobby", "k3", "third")).await;
    assert_eq!((again.position.offset, again.fresh), (Offset(3), false), "its keys are known");
    let next = append(store, message("lobby", "k4", "fourth")).await;
    assert_eq!((next.position.offset, &next.position.epoch), (Offset(7), &page.head.epoch));
    assert_eq!(rooms().await, ["lobby", "kitchen", "attic"], "activity goes on from where it stood");
    append(store, message("cellar", "k1", "wine")).await;
    assert_eq!(rooms().await, ["cellar", "lobby", "kitchen", "attic"]);
    let missed = store.entries(&group("lobby"), Offset(3), 9, 9_999).await.expect("entries");
    let offsets: Vec<_> = missed.entries.iter().map(|entry| entry.offset.0).collect();
    assert_eq!((missed.first, offsets), (Offset(1), vec![4, 5, 6, 7]), "changes are there to be replayed");
    assert_eq!(store.called(&["bob".to_owned()]).await.expect("names")["bob"], "Bobby");
}

/// The epoch of a room that has no message yet.
async fn epoch_to_come(store: &impl Log) -> String {
    read(store, "not-yet", Slice::Latest, 1).await.head.epoch.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_is_carried_to_the_other_database_and_back() {
    let (server, folders) = (Postgres::shared().await, [(); 3].map(|()| tempfile::tempdir().expect("a folder")));
    let [first, back, copy] = [0, 1, 2].map(|number: usize| Place::Folder(folders[number].path().to_owned()));
    filled(folders[0].path()).await;
    let before = everything(folders[0].path());
    for (table, rows) in &before {
        assert!(!rows.is_empty(), "{table} has no row, so this does not show that it is carried");
    }
    let (there, elsewhere) = (server.database().await, server.database().await);
    let carried: usize = before.iter().filter(|(table, _)| *table != "meta").map(|(_, rows)| rows.len()).sum();
    for (from, to) in [(&first, &at(&there)), (&at(&there), &at(&elsewhere)), (&at(&elsewhere), &back), (&back, &copy)] {
        assert_eq!(carry(from, to).await.expect("carried"), carried as u64);
    }
    for folder in &folders {
        assert_eq!(everything(folder.path()), before);
    }
    let (store, commits): (PostgresStore, _) = postgres::open(&elsewhere).await;
    let reader = acknowledge_all(commits);
    assert_goes_on(&store).await;
    let to_come = epoch_to_come(&store).await;
    store.close().await;
    reader.await.expect("no panic");
    for folder in [&folders[0], &folders[2]] {
        let (store, commits): (SqliteStore, _) = sqlite::open(folder.path());
        let reader = acknowledge_all(commits);
        assert_goes_on(&store).await;
        assert_eq!(epoch_to_come(&store).await, to_come);
        store.close().await;
        reader.await.expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_carried_that_is_in_use_or_unknown_nor_over_anything() {
    let (server, folder) = (Postgres::shared().await, tempfile::tempdir().expect("a folder"));
    let (source, empty) = (folder.path().join("source"), folder.path().join("empty"));
    let (from, url) = (Place::Folder(source.clone()), server.database().await);
    let refused = async |from: &Place, to: &Place| carry(from, to).await.expect_err("refused").to_string();
    assert!(refused(&from, &at(&url)).await.contains("there is no "));
    assert!(!source.exists(), "nothing is made where there is nothing to carry");
    assert!(refused(&at(&url), &from).await.contains("there is no store in it"));
    std::fs::create_dir_all(&source).expect("a folder");
    filled(&source).await;
    assert!(refused(&from, &from).await.contains("name another store"));

    // A server has one of the two.
    let (running, _commits) = sqlite::open(&source);
    assert!(refused(&from, &at(&url)).await.contains("is in use by another server"));
    running.close().await;
    let (running, _commits) = postgres::open(&url).await;
    assert!(refused(&from, &at(&url)).await.contains("a server uses the database"));
    assert!(refused(&at(&url), &Place::Folder(empty.clone())).await.contains("a server uses the database"));
    running.close().await;
    drop(running);

    // Something is there already: in a table of the records, in a file.
    let client = connection(&url).await;
    client.batch_execute("INSERT INTO confab.people VALUES ('eve', 'Eve')").await.expect("a row");
    assert!(refused(&from, &at(&url)).await.contains("is not empty: there are rows in people"));
    client.batch_execute("TRUNCATE confab.people").await.expect("no row");
    std::fs::create_dir_all(&empty).expect("a folder");
    for name in ["confab.db", "confab.db-wal", "search.db"] {
        std::fs::write(empty.join(name), "x").expect("a file");
        let reason = refused(&from, &Place::Folder(empty.clone())).await;
        assert!(reason.contains(&format!("{name} is there already")), "{reason}");
        std::fs::remove_file(empty.join(name)).expect("a file");
    }

    // What this version does not know would be lost.
    client.batch_execute("ALTER TABLE confab.people ADD COLUMN age integer").await.expect("a column");
    assert!(refused(&from, &at(&url)).await.contains("the table people is not as in this version's schema"));
    client.batch_execute("ALTER TABLE confab.people DROP COLUMN age").await.expect("no column");
    database(&source).execute_batch("CREATE TABLE notes (text text)").expect("a table");
    assert!(refused(&from, &at(&url)).await.contains("the table notes is not as in this version's schema"));
    database(&source)
        .execute_batch("DROP TABLE notes; INSERT INTO reactions VALUES (9, 9, 'x', 'x', 'x')")
        .expect_err("kept together");
    database(&source)
        .execute_batch("PRAGMA foreign_keys = off; INSERT INTO reactions VALUES (9, 9, 'x', 'x', 'x')")
        .expect("a row");
    for to in [at(&url), Place::Folder(empty.clone())] {
        let reason = refused(&from, &to).await;
        assert!(reason.contains("reactions cannot be written"), "{reason}");
    }
    database(&source).execute_batch("DELETE FROM reactions WHERE room_id = 9").expect("no row");
    let names = |folder: &Path| std::fs::read_dir(folder).expect("a folder").count();
    assert_eq!(names(&empty), 1, "only the lock is left");

    // What was refused leaves nothing that would be in the way.
    for to in [at(&url), Place::Folder(empty)] {
        carry(&from, &to).await.expect("carried");
    }
}
