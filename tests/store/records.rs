//! Plain tables: what both databases do with the same statements. Each case gets a fresh store with a table.

use std::fs;

use confab::server::store::{Log, PostgresStore, Records, Results, Row, SqliteStore, Statement, StoreError, Value};
use futures_util::future::join_all;

use crate::{
    Opened, append, message, postgres,
    support::postgres::{Postgres, connection},
};

const TABLE: &str =
    "CREATE TABLE things (name text PRIMARY KEY, number bigint NOT NULL, real double precision, data bytea, flag boolean)";
/// Types are made with the tables, each in its own words.
const SQLITE_TABLE: &str =
    "CREATE TABLE things (name text PRIMARY KEY, number bigint NOT NULL, real real, data blob, flag boolean)";
const PUT: &str = "INSERT INTO things (name, number) VALUES ($1, $2)";
const ADD: &str = "INSERT INTO things (name, number) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET number = things.number + excluded.number RETURNING name, number";
const EVERYTHING: &str =
    "INSERT INTO things (flag, data, real, number, name) VALUES ($5, $4, $3, $2, $1) RETURNING name, number, real, data, flag";
const ALL: &str = "SELECT name, number FROM things ORDER BY name";

/// A store with a table for the test.
pub(crate) async fn on_disk() -> Opened<SqliteStore> {
    let opened = crate::on_disk();
    opened.store.write(vec![Statement::new(SQLITE_TABLE, [])]).await.expect("a table");
    opened
}

pub(crate) async fn in_postgres() -> Opened<PostgresStore> {
    let opened = crate::in_postgres().await;
    opened.store.write(vec![Statement::new(TABLE, [])]).await.expect("a table");
    opened
}

fn put(name: &str, number: i64) -> Statement {
    Statement::new(PUT, [name.into(), number.into()])
}

fn pairs(rows: &[Row]) -> Vec<(String, i64)> {
    rows.iter().map(|row| (row.get(0).expect("a name"), row.get(1).expect("a number"))).collect()
}

async fn all(store: &impl Records) -> Vec<(String, i64)> {
    pairs(&store.query(ALL, &[]).await.expect("rows"))
}

fn one(name: &str, number: i64) -> (String, i64) {
    (name.to_owned(), number)
}

pub(crate) async fn values_of_every_type_come_back(opened: Opened<impl Records>) {
    let store = &opened.store;
    for (name, number, real, data, flag) in [
        ("plain", 1, Some(0.5), Some(vec![0, 255]), Some(true)),
        ("with \0 and \u{1}", i64::MIN, Some(-1e300), Some(Vec::new()), Some(false)),
        ("", i64::MAX, None, None, None),
    ] {
        let values: [Value; 5] = [name.into(), number.into(), real.into(), data.clone().into(), flag.into()];
        let mut results = store.write(vec![Statement::new(EVERYTHING, values.clone())]).await.expect("written");
        let written = results.remove(0).expect("taken");
        assert_eq!(written.changed, 1);
        let found = store.query("SELECT name, number, real, data, flag FROM things WHERE name = $1", &[name.into()]).await;
        for row in [&written.rows[0], &found.expect("a row")[0]] {
            assert_eq!(
                (row.get::<String>(0).expect("text"), row.get::<i64>(1).expect("an integer")),
                (name.to_owned(), number)
            );
            assert_eq!(row.get::<Option<f64>>(2).expect("a real"), real);
            assert_eq!(row.get::<Option<Vec<u8>>>(3).expect("bytes"), data);
            assert_eq!(row.get::<Option<bool>>(4).expect("a boolean"), flag);
            row.get::<bool>(0).expect_err("a text is no boolean");
            row.get::<i64>(9).expect_err("there is no such column");
        }
    }
}

pub(crate) async fn what_is_there_already_can_be_changed_and_returned(opened: Opened<impl Records>) {
    let add = |number: i64| Statement::new(ADD, ["a".into(), number.into()]);
    let results = opened.store.write(vec![add(2), add(3)]).await.expect("written");
    let returned: Vec<_> = results.iter().map(|written| pairs(&written.as_ref().expect("taken").rows)).collect();
    assert_eq!(returned, [[one("a", 2)], [one("a", 5)]]);
    let update = Statement::new("UPDATE things SET number = $2 WHERE name = $1", ["a".into(), 7_i64.into()]);
    let none = Statement::new("DELETE FROM things WHERE name = $1", ["b".into()]);
    let results = opened.store.write(vec![update, none]).await.expect("written");
    assert_eq!(results.iter().map(|written| written.as_ref().expect("taken").changed).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(all(&opened.store).await, [one("a", 7)]);
}

pub(crate) async fn statements_are_written_all_or_none(opened: Opened<impl Records>) {
    let store = &opened.store;
    for refused in [put("a", 2), Statement::new("INSERT INTO nothing VALUES ($1)", ["x".into()])] {
        store.write(vec![put("a", 1), refused]).await.expect_err("one is refused");
        assert_eq!(all(store).await, []);
    }
    store.write(vec![put("a", 1)]).await.expect("the next is none the worse");
    assert_eq!(all(store).await, [one("a", 1)]);
}

pub(crate) async fn what_may_fail_alone_leaves_the_others(opened: Opened<impl Records>) {
    let statements = vec![put("a", 1), put("a", 2).may_fail(), put("b", 3), put("c", 4).may_fail()];
    let results: Results = opened.store.write(statements).await.expect("written");
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, true]);
    let cause: &StoreError = results[1].as_ref().expect_err("refused");
    assert!(cause.to_string().to_lowercase().contains("unique"), "{cause}");
    assert_eq!(all(&opened.store).await, [one("a", 1), one("b", 3), one("c", 4)]);
}

pub(crate) async fn rows_and_messages_share_the_queue(opened: Opened<impl Records + Log>) {
    let _reader = crate::acknowledge_all(opened.commits);
    let store = &opened.store;
    let adding = join_all((0..50_i64).map(|number| store.write(vec![Statement::new(ADD, ["sum".into(), number.into()])])));
    let saying = join_all((0..50).map(|number| append(store, message("lobby", &format!("k{number}"), "text"))));
    let (added, said) = tokio::join!(adding, saying);
    assert!(added.iter().all(Result::is_ok));
    assert!(said.iter().map(|said| said.position.offset.0).eq(1..=50));
    assert_eq!(all(store).await, [one("sum", (0..50).sum())]);
    store.close().await;
    store.write(vec![put("late", 1)]).await.expect_err("it is closed");
    store.query(ALL, &[]).await.expect_err("it is closed");
}

#[tokio::test]
async fn two_nodes_write_to_the_same_row() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let ((one_node, _), (other, _)) = (postgres::open(&url).await, postgres::open(&url).await);
    one_node.write(vec![Statement::new(TABLE, [])]).await.expect("a table");
    let (a, b) = tokio::join!(join_all((0..40).map(|_| add_one(&one_node))), join_all((0..40).map(|_| add_one(&other))));
    assert!(a.iter().chain(&b).all(Result::is_ok));
    assert_eq!(all(&other).await, [one("sum", 80)]);
}

async fn add_one(store: &PostgresStore) -> Result<Results, StoreError> {
    store.write(vec![Statement::new(ADD, ["sum".into(), 1_i64.into()])]).await
}

#[tokio::test]
async fn what_a_sqlite_database_has_written_is_there_after_a_kill() {
    let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (store, _) = crate::sqlite::open(from.path());
    store.write(vec![Statement::new(SQLITE_TABLE, []), put("a", 1)]).await.expect("written");
    // What the system has of the files when it resolves is what a process that is killed leaves.
    for file in ["confab.db", "confab.db-wal"] {
        fs::copy(from.path().join(file), to.path().join(file)).expect("a copy");
    }
    let (left, _) = crate::sqlite::open(to.path());
    assert_eq!(all(&left).await, [one("a", 1)]);
}

#[tokio::test]
async fn what_a_postgresql_database_has_written_is_there_after_a_kill() {
    let mut server = Postgres::start().await;
    let url = server.database().await;
    let (store, _) = postgres::open(&url).await;
    store.write(vec![Statement::new(TABLE, []), put("a", 1)]).await.expect("written");
    server.kill();
    store.write(vec![put("b", 1)]).await.expect_err("the database is gone");
    server.restart().await;
    let (store, _) = postgres::open(&url).await;
    assert_eq!(all(&store).await, [one("a", 1)]);
    let seen: i64 = connection(&url).await.query_one("SELECT count(*) FROM confab.things", &[]).await.expect("a number").get(0);
    assert_eq!(seen, 1, "in the schema of Confab's");
}
