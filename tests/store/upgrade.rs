//! What a store of every earlier version becomes. Its rows are written as the first version wrote them; from the second one on there is a
//! room that has changes, and of which the beginning was dropped.

use std::sync::Arc;

use confab::{
    server::store::{Bounds, Log, NewMessage, Slice, SqliteStore},
    wire::{MessageId, Offset, Person, Timestamp},
};
use rusqlite::Connection;

use crate::{
    Opened, acknowledge_all, append,
    changes::edit,
    group, message, postgres, sqlite,
    support::postgres::{Postgres, connection},
    texts, whole,
};

/// What makes each version of the one before it.
const OF_SQLITE: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_rooms_and_messages.sql"),
    include_str!("../../migrations/sqlite/0002_changes.sql"),
    include_str!("../../migrations/sqlite/0003_messages_as_they_come.sql"),
];
const OF_POSTGRES: &[&str] = &[
    include_str!("../../migrations/postgres/0001_rooms_and_messages.sql"),
    include_str!("../../migrations/postgres/0002_changes.sql"),
    include_str!("../../migrations/postgres/0003_search.sql"),
];

/// A room of two messages, and one that was active before it.
const ROOMS: &str =
    "INSERT INTO rooms (id, name, epoch, head, activity) VALUES (1, 'lobby', 'old-epoch', 2, 3), (2, 'kitchen', 'other', 1, 2)";

/// And one with a message and a reaction to it, of which the beginning was dropped.
const ATTIC: &str = r#"
    INSERT INTO rooms (id, name, epoch, head, latest, first, activity) VALUES (3, 'attic', 'third', 5, 4, 4, 1);
    INSERT INTO changes (room_id, "offset", target, at, kind, emoji, author_id, author_name)
        VALUES (3, 5, 4, 7, 'react', 'x', 'bob', 'Bob');
    UPDATE messages SET changed = 5, reactions = '[{"emoji":"x","from":[{"id":"bob","name":"Bob"}]}]'
        WHERE room_id = 3 AND "offset" = 4"#;

/// What was dropped and what was not is as it was.
async fn assert_attic_is_there(store: &impl Log) {
    let missed = store.entries(&group("attic"), Offset(0), 9, 9_999).await.expect("entries");
    let offsets: Vec<_> = missed.entries.iter().map(|entry| entry.offset.0).collect();
    assert_eq!((missed.first, offsets), (Offset(4), vec![4, 5]));
    let page = store.read(&group("attic"), Slice::Latest, 9, 9_999).await.expect("a page");
    assert_eq!((page.first, page.messages[0].message.content.reactions.len()), (Offset(4), 1));
    // Who has put something then can be called otherwise now.
    let bob = Person::new("bob", "Bobby");
    store.rename(&bob).await.expect("noted");
    assert_eq!(store.called(&[bob.id]).await.expect("an answer").into_values().collect::<Vec<_>>(), ["Bobby"]);
    let bounds = Bounds { messages: Some(1), since: None, changes: Some(1) };
    assert!(!store.forget(&group("attic"), bounds).await.expect("nothing to drop"));
}

/// It goes on from where it stood, and what is new is there.
async fn assert_goes_on(opened: Opened<impl Log>, version: usize) {
    let _reader = acknowledge_all(opened.commits);
    let store = opened.store;
    let page = whole(&store, "lobby").await;
    assert_eq!(texts(&page), ["first", "second"]);
    assert_eq!((page.head.epoch.as_str(), page.latest, page.first), ("old-epoch", Offset(2), Offset(1)));
    let names = store.rooms(9).await.expect("rooms").into_iter().map(|room| room.group.to_string()).collect::<Vec<_>>();
    let expected = ["lobby", "kitchen", "attic"];
    assert_eq!(names, expected[..if version > 1 { 3 } else { 2 }]);
    if version > 1 {
        assert_attic_is_there(&store).await;
    }
    let again = append(&store, message("lobby", "k2", "second")).await;
    assert_eq!((again.position.offset, again.fresh), (Offset(2), false), "its keys are known");
    let id = MessageId { epoch: page.head.epoch, offset: Offset(1) };
    assert_eq!(store.change(edit(&id, "ann", "First!")).await.expect("changed").position.offset, Offset(3));
    assert_eq!(append(&store, message("lobby", "k3", "third")).await.position.offset, Offset(4));
    let page = store.read(&group("lobby"), Slice::Latest, 9, 9_999).await.expect("a page");
    assert_eq!(texts(&page), ["First!", "second", "third"]);
    assert_eq!(append(&store, message("kitchen", "k2", "more")).await.position.offset, Offset(2));
    let newest = store.rooms(1).await.expect("rooms").remove(0);
    assert_eq!(newest.group.as_str(), "kitchen", "activity goes on from where it stood");
    store.close().await;
}

#[tokio::test]
async fn a_sqlite_database_of_every_version_is_brought_to_this_one() {
    for version in 1..=OF_SQLITE.len() {
        let folder = tempfile::tempdir().expect("a folder");
        {
            let connection = Connection::open(folder.path().join("confab.db")).expect("a file");
            connection.execute_batch(OF_SQLITE[0]).expect("the schema");
            connection.execute_batch(ROOMS).expect("rooms");
            let rows = "INSERT INTO messages (room_id, offset, key, author_id, author_name, text, at) VALUES
                (1, 1, 'k1', 'ann', 'Ann', 'first', 5), (1, 2, 'k2', 'ann', 'Ann', 'second', 6), (2, 1, 'k1', 'ann', 'Ann', 'x', 4)";
            connection.execute_batch(rows).expect("messages");
            for migration in &OF_SQLITE[1..version] {
                connection.execute_batch(migration).expect("the next version");
            }
            if version > 1 {
                let row = "INSERT INTO messages (room_id, offset, key, author_id, author_name, text, at) VALUES
                    (3, 4, 'k4', 'ann', 'Ann', 'text', 5)";
                connection.execute_batch(&format!("BEGIN; {row}; {ATTIC}; COMMIT")).expect("a room");
            }
            let marks = format!("PRAGMA application_id = 0x436e6662; PRAGMA user_version = {version}");
            connection.execute_batch(&marks).expect("its version");
        }
        let (store, commits): (SqliteStore, _) = sqlite::open(folder.path());
        assert_goes_on(Opened { store, commits, _ground: Box::new(folder) }, version).await;
    }
}

#[tokio::test]
async fn a_sqlite_database_of_the_second_version_keeps_what_became_of_its_messages() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let connection = Connection::open(folder.path().join("confab.db")).expect("a file");
        connection.execute_batch(&OF_SQLITE[..2].concat()).expect("the schema");
        connection.execute_batch("PRAGMA application_id = 0x436e6662; PRAGMA user_version = 2").expect("its version");
        let rows = r#"
            INSERT INTO rooms (id, name, epoch, head, activity, latest, first, touched) VALUES (1, 'lobby', 'old-epoch', 7, 4, 4, 2, 7);
            INSERT INTO messages (room_id, offset, key, author_id, author_name, text, at, edited, deleted, reactions, changed) VALUES
                (1, 2, 'k2', 'ann', 'Ann', 'as edited', 5, 8, 0, NULL, 5),
                (1, 3, 'k3', 'ann', 'Ann', '', 6, NULL, 1, NULL, 6),
                (1, 4, 'k1', 'bob', 'Bob', 'liked', 7, NULL, 0, '[{"emoji":"+1","from":[{"id":"ann","name":"Ann"}]}]', 7);
            INSERT INTO changes (room_id, offset, target, at, kind, emoji, author_id, author_name) VALUES
                (1, 5, 2, 8, 'edit', NULL, NULL, NULL),
                (1, 6, 3, 9, 'delete', NULL, NULL, NULL),
                (1, 7, 4, 10, 'react', '+1', 'ann', 'Ann')"#;
        connection.execute_batch(rows).expect("rows");
        // There was a time when everybody was named.
        let people: Vec<_> = (10..60).map(|n| format!(r#"{{"id":"p{n}","name":"P{n}"}}"#)).collect();
        let reactions = format!(r#"[{{"emoji":"+1","from":[{}]}}]"#, people.join(","));
        connection.execute("UPDATE messages SET reactions = ?1 WHERE offset = 2", [reactions]).expect("a crowd");
    }
    let (store, commits) = sqlite::open(folder.path());
    let _reader = acknowledge_all(commits);
    let page = store.read(&group("lobby"), Slice::Latest, 9, 9_999).await.expect("a page");
    let contents: Vec<_> = page.messages.iter().map(|stored| (stored.offset.0, stored.message.content.clone())).collect();
    let [(2, edited), (3, deleted), (4, liked)] = contents.as_slice() else { panic!("three messages: {contents:?}") };
    assert_eq!((edited.text.as_str(), edited.edited), ("as edited", Some(Timestamp::from_millis(8))));
    assert_eq!((deleted.text.as_str(), deleted.deleted), ("", true));
    assert_eq!((liked.text.as_str(), liked.reactions.len()), ("liked", 1));
    let crowd = &edited.reactions[0];
    assert_eq!((crowd.count, crowd.from.len(), edited.changed), (50, 20, Some(Offset(5))));
    for (who, put) in [("p10", 1), ("p59", 1), ("p60", 0)] {
        let reacted = store.reacted(&group("lobby"), who, &[Offset(2)]).await.expect("an answer");
        assert_eq!(reacted.iter().map(|(_, put)| put.len()).sum::<usize>(), put, "{who}");
    }
    assert_eq!((page.head.offset, page.first, page.latest), (Offset(7), Offset(2), Offset(4)));
    for (key, author, stands) in [("k2", "ann", 2), ("k3", "ann", 3), ("k1", "bob", 4)] {
        let again = NewMessage { from: Person::new(author, String::new()), ..message("lobby", key, "again") };
        let appended = append(&store, again).await;
        assert_eq!((appended.position.offset, appended.fresh), (Offset(stands), false), "its keys are known");
    }
    let other = append(&store, message("lobby", "k1", "of another author")).await;
    assert_eq!((other.position.offset, other.fresh), (Offset(8), true));
    store.close().await;
}

#[tokio::test]
async fn a_postgresql_database_of_every_version_is_brought_to_this_one() {
    let server = Postgres::shared().await;
    for version in 1..=OF_POSTGRES.len() {
        let url = server.database().await;
        let client = connection(&url).await;
        let meta = format!(
            "CREATE SCHEMA confab; SET search_path = confab;
            CREATE TABLE meta (version integer NOT NULL, seed bytea NOT NULL);
            INSERT INTO meta VALUES ({version}, uuid_send(gen_random_uuid()));"
        );
        client.batch_execute(&meta).await.expect("the schema");
        client.batch_execute(OF_POSTGRES[0]).await.expect("the tables");
        // As an identity column numbers them, and the batches that have written them.
        let rooms = ROOMS
            .replace(" VALUES", " OVERRIDING SYSTEM VALUE VALUES")
            .replace("2, 3)", "2, 2048)")
            .replace("1, 2)", "1, 1024)");
        client.batch_execute(&rooms).await.expect("rooms");
        let numbers = "SELECT setval(pg_get_serial_sequence('rooms', 'id'), 3), setval('batches', 2)";
        client.batch_execute(numbers).await.expect("numbers");
        let say = async |room: i64, offset: i64, key: &str, text: &str| {
            let row = r#"INSERT INTO messages (room_id, "offset", digest, key, author_id, author_name, text, at)
                VALUES ($1, $2, sha256('\x0300000000000000' || convert_to('ann' || $3, 'UTF8')), $3, 'ann', 'Ann', $4, 5)"#;
            client.execute(row, &[&room, &offset, &key, &text]).await.expect("a message");
        };
        for (room, offset, key, text) in [(1, 1, "k1", "first"), (1, 2, "k2", "second"), (2, 1, "k1", "x")] {
            say(room, offset, key, text).await;
        }
        for migration in &OF_POSTGRES[1..version] {
            client.batch_execute(migration).await.expect("the next version");
        }
        if version > 1 {
            let (room, rest) = ATTIC.split_once(';').expect("two statements");
            client.batch_execute(&room.replace(" VALUES", " OVERRIDING SYSTEM VALUE VALUES")).await.expect("a room");
            say(3, 4, "k4", "text").await;
            client.batch_execute(rest).await.expect("a reaction");
        }
        let (store, commits) = postgres::open(&url).await;
        assert_goes_on(Opened { store, commits, _ground: Box::new((Arc::clone(&server), client)) }, version).await;
    }
}
