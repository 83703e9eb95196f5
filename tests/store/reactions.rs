//! Who has put which emoji: as rows, with the message they go, and what databases of earlier versions become.

use std::{collections::BTreeMap, sync::Arc};

use confab::{
    server::store::{Bounds, Log, NewChange, Slice, SqliteStore, backup, restore},
    wire::{MessageId, Offset, Person, REACTION_SAMPLE},
};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use crate::{
    Opened, acknowledge_all, append,
    changes::{changed, delete, id, react},
    group, message, postgres, sqlite,
    support::postgres::{Postgres, connection},
};

/// How many have put it to the room's first message, and how many of them are named.
async fn shown(store: &impl Log) -> (u64, usize) {
    let page = store.read(&group("lobby"), Slice::Latest, 9, usize::MAX).await.expect("a page");
    let reaction = &page.messages[0].message.content.reactions[0];
    (reaction.count, reaction.from.len())
}

/// Whether the person has put something to a message of the lobby.
async fn has(store: &impl Log, person: &str, message: &MessageId) -> bool {
    let reacted = store.reacted(&group("lobby"), person, &[message.offset]).await.expect("an answer");
    reacted.iter().any(|(_, put)| !put.is_empty())
}

pub(crate) async fn of_a_large_crowd_everybody_is_known(opened: Opened<impl Log>) {
    const PEOPLE: u64 = 2_100;
    let _reader = acknowledge_all(opened.commits);
    let store = &opened.store;
    let first = id(&append(store, message("lobby", "k", "vote")).await.position);
    let people = || (0..PEOPLE).map(|number| format!("p{number:04}"));
    let each = async |on| {
        let all = people().map(|person| store.change(react(&first, &person, "+1", on)));
        let all = futures_util::future::join_all(all).await;
        all.into_iter().filter(|done| done.as_ref().expect("changed").fresh).count() as u64
    };
    assert_eq!(each(true).await, PEOPLE);
    assert_eq!(each(true).await, 0, "everybody once");
    assert_eq!(shown(store).await, (PEOPLE, REACTION_SAMPLE));
    // Those who came just after the ones who are named were forgotten first when their number was bounded.
    for person in ["p0000", "p0019", "p0020", "p0021", "p2099"] {
        assert!(has(store, person, &first).await, "{person}");
    }
    assert!(!has(store, "nobody", &first).await);
    assert_eq!(each(false).await, PEOPLE);
    assert!(!has(store, "p0020", &first).await);
}

const ROWS: &str = "SELECT count(*) FROM reactions";

#[tokio::test]
async fn rows_go_with_their_messages_and_come_back_with_a_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = sqlite::open(folder.path());
    let _reader = acknowledge_all(commits);
    let rows = |folder: &std::path::Path| {
        let database = Connection::open(folder.join("confab.db")).expect("the database");
        database.query_row(ROWS, [], |row| row.get::<_, i64>(0)).expect("a number")
    };
    let first = id(&append(&store, message("lobby", "1", "1")).await.position);
    let second = id(&append(&store, message("lobby", "2", "2")).await.position);
    for message in [&first, &second] {
        for person in ["bob", "eve"] {
            changed(&store, react(message, person, "+1", true)).await;
        }
    }
    assert_eq!(rows(folder.path()), 4);
    rename(&store, "bob", "Bobby").await;
    let (copies, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let copy = copies.path().join("copy.db");
    backup(folder.path(), &copy).expect("a copy");
    changed(&store, delete(&second, "ann")).await;
    assert_eq!(rows(folder.path()), 2, "what is deleted has none");
    let none = Bounds { messages: Some(1), ..Bounds::default() };
    assert!(store.forget(&group("lobby"), none).await.expect("dropped"));
    assert_eq!(rows(folder.path()), 0, "nor has what is held no more");
    store.close().await;

    restore(&copy, elsewhere.path()).expect("put back");
    let (store, _commits) = sqlite::open(elsewhere.path());
    assert_eq!(rows(elsewhere.path()), 4);
    assert_eq!(called(&store, &["bob", "eve"]).await, names([("bob", "Bobby")]));
    assert_eq!(shown(&store).await, (2, 2));
    assert!(has(&store, "eve", &second).await);
}

#[tokio::test]
async fn rows_go_with_their_messages_in_postgresql() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let (store, commits) = postgres::open(&url).await;
    let _reader = acknowledge_all(commits);
    let client = connection(&url).await;
    client.batch_execute("SET search_path = confab").await.expect("the schema");
    let rows = async || client.query_one(ROWS, &[]).await.expect("a number").get::<_, i64>(0);
    let first = id(&append(&store, message("lobby", "1", "1")).await.position);
    let second = id(&append(&store, message("lobby", "2", "2")).await.position);
    for message in [&first, &second] {
        changed(&store, react(message, "bob", "+1", true)).await;
    }
    assert_eq!(rows().await, 2);
    changed(&store, delete(&second, "ann")).await;
    assert_eq!(rows().await, 1);
    assert!(store.forget(&group("lobby"), Bounds { messages: Some(1), ..Bounds::default() }).await.expect("dropped"));
    assert_eq!(rows().await, 0);
}

async fn called(store: &impl Log, people: &[&str]) -> BTreeMap<String, String> {
    let people: Vec<String> = people.iter().map(|person| (*person).to_owned()).collect();
    store.called(&people).await.expect("an answer").into_iter().collect()
}

async fn rename(store: &impl Log, person: &str, name: &str) {
    store.rename(&Person::new(person, name)).await.expect("noted");
}

fn names<const N: usize>(names: [(&str, &str); N]) -> BTreeMap<String, String> {
    names.into_iter().map(|(person, name)| (person.to_owned(), name.to_owned())).collect()
}

async fn who_has_put_something_is_known_by_their_new_name_as_long_as_it_is_there(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let store = &opened.store;
    let first = id(&append(store, message("lobby", "1", "1")).await.position);
    let second = id(&append(store, message("kitchen", "2", "2")).await.position);
    let put = async |message: &MessageId, room: &str, person: &str, on| {
        let change = NewChange { group: group(room), ..react(message, person, "+1", on) };
        changed(store, change).await;
    };
    put(&first, "lobby", "bob", true).await;
    put(&second, "kitchen", "bob", true).await;
    let people = ["bob", "eve", "nobody", ""];
    assert_eq!(called(store, &people).await, names([]));
    // Of who has put nothing there is nothing to be known.
    rename(store, "eve", "Eva").await;
    for name in ["Bobby", "Bobby", "R\u{f6}b \u{1f980}"] {
        rename(store, "bob", name).await;
        store.forget_names().await.expect("done");
        assert_eq!(called(store, &people).await, names([("bob", name)]));
    }
    put(&first, "lobby", "bob", false).await;
    store.forget_names().await.expect("done");
    assert_eq!(called(store, &people).await.len(), 1, "the other is there");
    changed(store, NewChange { group: group("kitchen"), ..delete(&second, "ann") }).await;
    store.forget_names().await.expect("done");
    assert_eq!(called(store, &people).await, names([]));
    // More than are asked for, or dropped, at a time.
    let crowd: Vec<String> = (0..1_010).map(|number| format!("p{number:04}")).collect();
    futures_util::future::join_all(crowd.iter().map(|person| put(&first, "lobby", person, true))).await;
    futures_util::future::join_all(crowd.iter().map(|person| rename(store, person, "New"))).await;
    assert_eq!(store.called(&crowd).await.expect("an answer").len(), crowd.len());
    changed(store, delete(&first, "ann")).await;
    store.forget_names().await.expect("done");
    assert_eq!(store.called(&crowd).await.expect("an answer").len(), 0);
}

#[tokio::test]
async fn in_a_folder_who_has_put_something_is_known_by_their_new_name() {
    who_has_put_something_is_known_by_their_new_name_as_long_as_it_is_there(crate::on_disk()).await;
}

#[tokio::test]
async fn in_postgresql_who_has_put_something_is_known_by_their_new_name() {
    who_has_put_something_is_known_by_their_new_name_as_long_as_it_is_there(crate::in_postgres().await).await;
}

/// A message of the version before there were rows: five people are counted, of whom two are named, two are known by a digest each, and
/// one was forgotten. Another one of the time when everybody was named, and one that is broken.
const FIRST: &str = r#"[{"emoji":"+1","count":5,"from":[{"id":"ann","name":"Ann \"A\" \\u0001"},{"id":"bob","name":"Bob"}]}]"#;
const BROKEN: &str = "{";

fn everybody() -> String {
    let people: Vec<_> = (10..60).map(|n| format!(r#"{{"id":"p{n}","name":"P{n}"}}"#)).collect();
    format!(r#"[{{"emoji":"+1","from":[{}]}}]"#, people.join(","))
}

fn digests() -> Vec<u8> {
    let of = |person: &str| Sha256::new().chain_update("+1").chain_update([0]).chain_update(person).finalize()[..8].to_vec();
    [of("carl"), of("dora")].concat()
}

async fn is_as_it_was(store: &impl Log) {
    let page = store.read(&group("lobby"), Slice::Latest, 9, usize::MAX).await.expect("a page");
    let counts: Vec<_> = page.messages.iter().map(|stored| &stored.message.content.reactions).collect();
    assert_eq!((counts[0][0].count, counts[0][0].from.len()), (5, 2));
    assert_eq!(counts[0][0].from[0].name, r#"Ann "A" \u0001"#);
    assert_eq!((counts[1][0].count, counts[1][0].from.len()), (50, REACTION_SAMPLE));
    assert_eq!(page.unreadable, [Offset(3)]);
    let at = |offset| MessageId { epoch: page.head.epoch.clone(), offset: Offset(offset) };
    for (person, first, second) in [
        ("ann", true, false),
        ("bob", true, false),
        ("carl", true, false),
        ("dora", true, false),
        ("p10", false, true),
        ("p59", false, true),
        ("p60", false, false),
    ] {
        assert_eq!((has(store, person, &at(1)).await, has(store, person, &at(2)).await), (first, second), "{person}");
    }
    // Who is known puts it no second time, and takes it away once.
    for person in ["bob", "carl"] {
        assert!(!changed(store, react(&at(1), person, "+1", true)).await.fresh, "{person}");
        assert!(changed(store, react(&at(1), person, "+1", false)).await.fresh, "{person}");
        assert!(!changed(store, react(&at(1), person, "+1", false)).await.fresh, "{person}");
        assert!(!has(store, person, &at(1)).await, "{person}");
    }
    assert_eq!(shown(store).await, (3, 1));
    // With a row of their own.
    assert!(changed(store, react(&at(1), "carl", "+1", true)).await.fresh);
    assert!(has(store, "carl", &at(1)).await && has(store, "dora", &at(1)).await);
    assert_eq!(shown(store).await, (4, 2));
}

#[tokio::test]
async fn a_sqlite_database_from_before_there_were_rows_shows_what_it_showed() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let connection = Connection::open(folder.path().join("confab.db")).expect("a file");
        for migration in OF_SQLITE {
            connection.execute_batch(migration).expect("the schema");
        }
        let marks = "PRAGMA application_id = 0x436e6662; PRAGMA user_version = 5;
            INSERT INTO rooms (id, name, epoch, head, latest, activity, touched) VALUES (1, 'lobby', 'old-epoch', 3, 3, 3, 3);";
        connection.execute_batch(marks).expect("a room");
        for (offset, shown, digests) in [(1, FIRST, Some(digests())), (2, &everybody(), None), (3, BROKEN, None)] {
            let row = "INSERT INTO messages (room_id, offset, key, author_id, author_name, text, at, reactions, reactors)
                VALUES (1, ?1, 'k' || ?1, 'ann', 'Ann', 'text', 5, ?2, ?3)";
            connection.execute(row, rusqlite::params![offset, shown, digests]).expect("a message");
        }
    }
    let (store, commits): (SqliteStore, _) = sqlite::open(folder.path());
    let _reader = acknowledge_all(commits);
    is_as_it_was(&store).await;
}

const OF_SQLITE: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_rooms_and_messages.sql"),
    include_str!("../../migrations/sqlite/0002_changes.sql"),
    include_str!("../../migrations/sqlite/0003_messages_as_they_come.sql"),
    include_str!("../../migrations/sqlite/0004_replay.sql"),
    include_str!("../../migrations/sqlite/0005_reactors.sql"),
];
const OF_POSTGRES: &[&str] = &[
    include_str!("../../migrations/postgres/0001_rooms_and_messages.sql"),
    include_str!("../../migrations/postgres/0002_changes.sql"),
    include_str!("../../migrations/postgres/0003_search.sql"),
    include_str!("../../migrations/postgres/0004_replay.sql"),
    include_str!("../../migrations/postgres/0005_words_without_what_nobody_sees.sql"),
    include_str!("../../migrations/postgres/0006_reactors.sql"),
];

/// Makes the tables of an earlier version.
async fn schema_of(client: &tokio_postgres::Client, version: i32, migrations: &[&str]) {
    let meta =
        "CREATE SCHEMA confab; SET search_path = confab; CREATE TABLE meta (version integer NOT NULL, seed bytea NOT NULL)";
    client.batch_execute(meta).await.expect("the schema");
    let version = client.execute("INSERT INTO meta VALUES ($1, uuid_send(gen_random_uuid()))", &[&version]).await;
    assert_eq!(version.expect("the version"), 1);
    for migration in migrations {
        client.batch_execute(migration).await.expect("the tables");
    }
}

#[tokio::test]
async fn a_postgresql_database_from_before_there_were_rows_shows_what_it_showed_and_refuses_the_old_server() {
    let server: Arc<Postgres> = Postgres::shared().await;
    let url = server.database().await;
    let client = connection(&url).await;
    schema_of(&client, 6, OF_POSTGRES).await;
    let room = "INSERT INTO rooms (name, epoch, head, latest) VALUES ('lobby', 'old-epoch', 4, 4)";
    client.batch_execute(room).await.expect("a room");
    // U+0000 in a name is the escape of JSON, and no text of PostgreSQL's.
    let zero = r#"[{"emoji":"+1","count":1,"from":[{"id":"z\u0000\u0001","name":"Z"}]}]"#;
    for (offset, shown, digests) in
        [(1_i64, FIRST, Some(digests())), (2, &everybody(), None), (3, BROKEN, None), (4, zero, None)]
    {
        let row = r#"INSERT INTO messages (room_id, "offset", digest, key, author_id, author_name, text, at, reactions, reactors)
            VALUES (1, $1, sha256($2::text::bytea), $2, 'ann', 'Ann', 'text', 5, $3, $4)"#;
        client.execute(row, &[&offset, &format!("k{offset}"), &shown, &digests]).await.expect("a message");
    }
    // A server of that version that has its statements ready.
    let old = connection(&url).await;
    old.batch_execute("SET search_path = confab").await.expect("the schema");
    let reads = old.prepare("SELECT reactions, reactors FROM messages WHERE room_id = $1").await.expect("prepared");
    let writes =
        old.prepare("UPDATE messages SET reactions = NULL, reactors = NULL WHERE room_id = $1").await.expect("prepared");
    let says = r#"INSERT INTO messages (room_id, "offset", digest, key, author_id, author_name, text, at)
        VALUES ($1, 99, 'd', 'k', 'ann', 'Ann', $2, 5)"#;
    let says = old.prepare(says).await.expect("prepared");
    assert_eq!(old.query(&reads, &[&1_i64]).await.expect("rows").len(), 4);

    let (store, commits) = postgres::open(&url).await;
    let _reader = acknowledge_all(commits);
    is_as_it_was(&store).await;
    // It changes no message any more; what it says is seen as before.
    for refused in [old.query(&reads, &[&1_i64]).await, old.query(&writes, &[&1_i64]).await] {
        let cause = refused.expect_err("refused");
        assert_eq!(cause.code(), Some(&tokio_postgres::error::SqlState::UNDEFINED_COLUMN), "{cause}");
    }
    let with_zero = MessageId { epoch: "old-epoch".parse().expect("an epoch"), offset: Offset(4) };
    assert!(has(&store, "z\0\u{1}", &with_zero).await);
    assert_eq!(old.execute(&says, &[&1_i64, &"text"]).await.expect("a message"), 1);
}

/// A server of the version before there were names, on the same database, does all that it did.
#[tokio::test]
async fn a_server_of_before_there_were_names_goes_on_beside_this_one() {
    let server: Arc<Postgres> = Postgres::shared().await;
    let url = server.database().await;
    let old = connection(&url).await;
    let of_records = [
        include_str!("../../migrations/records/0001_reactions.sql"),
        include_str!("../../migrations/records/0001_reactions.postgres.sql"),
    ];
    schema_of(&old, 7, &[OF_POSTGRES, &of_records].concat()).await;
    old.batch_execute("INSERT INTO rooms (name, epoch, head, latest) VALUES ('lobby', 'old-epoch', 1, 1)")
        .await
        .expect("a room");
    let row = r#"INSERT INTO messages (room_id, "offset", digest, key, author_id, author_name, text, at)
        VALUES (1, 1, sha256('k'), 'k', 'ann', 'Ann', 'text', 5)"#;
    old.execute(row, &[]).await.expect("a message");
    let put = r#"INSERT INTO reactions (room_id, "offset", person_id, emoji, name) VALUES (1, 1, $1, '+1', 'Old')"#;
    let put = old.prepare(put).await.expect("prepared");
    old.execute(&put, &[&"bob"]).await.expect("put");

    let (store, _commits) = postgres::open(&url).await;
    old.execute(&put, &[&"eve"]).await.expect("put");
    for person in ["bob", "eve"] {
        rename(&store, person, "New").await;
    }
    assert_eq!(called(&store, &["bob", "eve"]).await.len(), 2);
    old.execute("DELETE FROM messages", &[]).await.expect("dropped");
    store.forget_names().await.expect("done");
    assert_eq!(called(&store, &["bob", "eve"]).await, names([]));
}
