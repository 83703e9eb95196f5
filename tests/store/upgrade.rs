//! What a store of every earlier version becomes. Its rows are written as that version wrote them.

use confab::{
    server::store::{Alteration, NewChange, SqliteStore, Store},
    wire::{MessageId, Offset, Person, Timestamp},
};
use rusqlite::Connection;

use crate::{
    Opened, acknowledge_all, append, group, message, postgres, sqlite,
    support::postgres::{Postgres, connection},
    texts, whole,
};

const FIRST_OF_SQLITE: &str = include_str!("../../migrations/sqlite/0001_rooms_and_messages.sql");
const FIRST_OF_POSTGRES: &str = include_str!("../../migrations/postgres/0001_rooms_and_messages.sql");

/// A room of two messages, and one that was active before it.
const ROOMS: &str =
    "INSERT INTO rooms (id, name, epoch, head, activity) VALUES (1, 'lobby', 'old-epoch', 2, 3), (2, 'kitchen', 'other', 1, 2)";

/// It goes on from where it stood, and what is new is there.
async fn assert_goes_on(opened: Opened<impl Store>) {
    let _reader = acknowledge_all(opened.commits);
    let store = opened.store;
    let page = whole(&store, "lobby").await;
    assert_eq!(texts(&page), ["first", "second"]);
    assert_eq!((page.head.epoch.as_str(), page.latest, page.first), ("old-epoch", Offset(2), Offset(1)));
    let names = store.rooms(9).await.expect("rooms").into_iter().map(|room| room.group.to_string()).collect::<Vec<_>>();
    assert_eq!(names, ["lobby", "kitchen"]);
    let again = append(&store, message("lobby", "k2", "second")).await;
    assert_eq!((again.position.offset, again.fresh), (Offset(2), false), "its keys are known");
    let id = MessageId { epoch: page.head.epoch, offset: Offset(1) };
    let from = Person { id: "ann".to_owned(), name: "Ann".to_owned() };
    let (alteration, at) = (Alteration::Edit("First!".to_owned()), Timestamp::from_millis(7));
    let change = NewChange { group: group("lobby"), id, from, alteration, at };
    assert_eq!(store.change(change).await.expect("changed").position.offset, Offset(3));
    assert_eq!(append(&store, message("lobby", "k3", "third")).await.position.offset, Offset(4));
    let page = store.read(&group("lobby"), confab::server::store::Slice::Latest, 9, 999).await.expect("a page");
    assert_eq!(texts(&page), ["First!", "second", "third"]);
    assert_eq!(append(&store, message("kitchen", "k2", "more")).await.position.offset, Offset(2));
    let newest = store.rooms(1).await.expect("rooms").remove(0);
    assert_eq!(newest.group.as_str(), "kitchen", "activity goes on from where it stood");
    store.close().await;
}

#[tokio::test]
async fn a_sqlite_database_of_the_first_version_is_brought_to_this_one() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let connection = Connection::open(folder.path().join("confab.db")).expect("a file");
        connection.execute_batch(FIRST_OF_SQLITE).expect("the schema");
        connection.execute_batch("PRAGMA application_id = 0x436e6662; PRAGMA user_version = 1").expect("its version");
        connection.execute_batch(ROOMS).expect("rooms");
        let rows = "INSERT INTO messages (room_id, offset, key, author_id, author_name, text, at) VALUES
            (1, 1, 'k1', 'ann', 'Ann', 'first', 5), (1, 2, 'k2', 'ann', 'Ann', 'second', 6), (2, 1, 'k1', 'ann', 'Ann', 'x', 4)";
        connection.execute_batch(rows).expect("messages");
    }
    let (store, commits): (SqliteStore, _) = sqlite::open(folder.path());
    assert_goes_on(Opened { store, commits, _ground: Box::new(folder) }).await;
}

#[tokio::test]
async fn a_postgresql_database_of_the_first_version_is_brought_to_this_one() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let client = connection(&url).await;
    let meta = "CREATE SCHEMA confab; SET search_path = confab;
        CREATE TABLE meta (version integer NOT NULL, seed bytea NOT NULL);
        INSERT INTO meta VALUES (1, uuid_send(gen_random_uuid()));";
    client.batch_execute(meta).await.expect("the schema");
    client.batch_execute(FIRST_OF_POSTGRES).await.expect("the tables");
    // As an identity column numbers them, and the batches that have written them.
    let rooms =
        ROOMS.replace(" VALUES", " OVERRIDING SYSTEM VALUE VALUES").replace("2, 3)", "2, 2048)").replace("1, 2)", "1, 1024)");
    client.batch_execute(&rooms).await.expect("rooms");
    let numbers = "SELECT setval(pg_get_serial_sequence('rooms', 'id'), 2), setval('batches', 2)";
    client.batch_execute(numbers).await.expect("numbers");
    for (room, offset, key, text) in [(1_i64, 1_i64, "k1", "first"), (1, 2, "k2", "second"), (2, 1, "k1", "x")] {
        let row = r#"INSERT INTO messages (room_id, "offset", digest, key, author_id, author_name, text, at)
            VALUES ($1, $2, sha256('\x0300000000000000' || convert_to('ann' || $3, 'UTF8')), $3, 'ann', 'Ann', $4, 5)"#;
        client.execute(row, &[&room, &offset, &key, &text]).await.expect("a message");
    }
    let (store, commits) = postgres::open(&url).await;
    assert_goes_on(Opened { store, commits, _ground: Box::new((server, client)) }).await;
}
