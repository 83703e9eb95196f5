//! What the rules of the rooms do not keep is gone.

use confab::{
    server::{
        rooms::may_change,
        search::Query,
        settings::{History, Settings},
        store::{Durability, Log as _, NewChange, NewMessage, Search as _, SqliteStore, Within},
    },
    wire::{Change, MessageId, Offset, Person, Timestamp},
};
use serde_json::Value;

use crate::{
    app::{Http as _, TestApp, offset, rule},
    clients::V1,
    within,
};

/// Keeps three messages of rooms `s-*`, and all of others.
fn keeps_three(settings: &mut Settings) {
    settings.rooms = vec![rule("s-*", History::Store), rule("*", History::Store)];
    settings.rooms[0].keep.messages = Some(3);
}

#[tokio::test]
async fn what_is_over_the_bounds_of_its_rule_goes_when_the_server_looks() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_owned();
    let epoch = {
        let mut app = TestApp::with(|settings| settings.server.data = data.clone()).await;
        let mut epoch = Value::Null;
        for group in ["s-a", "other"] {
            let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
            epoch = author.welcome["joined"]["epoch"].clone();
            for n in 1..=10 {
                author.post(&format!("room/{group}"), &format!("k{n}"), &format!("m{n}")).await;
            }
        }
        app.begin_to_stop();
        app.stopped().await;
        epoch
    };
    let app = TestApp::with(|settings| {
        keeps_three(settings);
        settings.server.data = data;
    })
    .await;
    // It looks when it starts, and then every few minutes.
    let dropped = async { while app.all_messages("s-a").await.1.len() > 3 {} };
    within("the old messages to go", dropped).await;
    let (_, body) = app.api("/api/v1/rooms/s-a/messages").await;
    let offsets: Vec<_> = body["messages"].as_array().expect("a list").iter().map(offset).collect();
    assert_eq!((offsets, &body["first"], &body["offset"]), (vec![8, 9, 10], &Value::from(8), &Value::from(10)));
    let (other_epoch, other) = app.all_messages("other").await;
    assert_eq!((other.len(), Value::from(other_epoch)), (10, epoch));
    // Who was away for longer than what is kept starts afresh.
    let mut back = V1::connect(app.address, "/ws/").await;
    for (since, recovered) in [(6, false), (7, true)] {
        let since = serde_json::json!({"epoch": body["epoch"], "offset": since});
        assert_eq!(back.join("room/s-a", Some(&since)).await["recovered"], recovered);
    }
    let page = app.get("/room/s-a/").await.text().await.expect("a page");
    assert!(page.contains("m8") && !page.contains("Earlier messages"), "nothing earlier is to be had");
}

/// A store with a message that was edited over and over, and one after it, all of it indexed. Gives the room's epoch.
async fn edited_for_ever(folder: &std::path::Path, times: u64) -> String {
    let (store, commits) = SqliteStore::open(folder, Durability::Process).expect("a store");
    drop(commits);
    let group: confab::wire::Group = "lobby".parse().expect("a name");
    let ann = || Person::new("ann", "Ann");
    let say = async |key: &str, text: &str| {
        let (group, text, at) = (group.clone(), text.to_owned(), Timestamp::from_millis(0));
        let message = NewMessage { group, key: key.parse().expect("a key"), from: ann(), text, at };
        store.append(message).await.expect("stored").position
    };
    let first = say("k1", "first").await;
    let edit = |number: u64| {
        let id = MessageId { epoch: first.epoch.clone(), offset: Offset(1) };
        let change = Change::Edit { id, text: format!("edit {number}"), at: Timestamp::from_millis(0) };
        NewChange { group: group.clone(), change, from: ann(), at: Timestamp::from_millis(0), rule: may_change }
    };
    // At once, and so in any order; then the last.
    futures_util::future::try_join_all((1..times).map(|number| store.change(edit(number)))).await.expect("changed");
    store.change(edit(times)).await.expect("changed");
    say("k2", "the very last").await;
    let query = Query::parse("very last").expect("a query");
    let found = async || store.search(&query, &Within::Room(group.clone()), 1).await.is_ok_and(|found| !found.hits.is_empty());
    within("the index", async { while !found().await {} }).await;
    store.close().await;
    first.epoch.to_string()
}

#[tokio::test]
async fn of_very_many_changes_the_newest_can_be_caught_up_with() {
    const CHANGES: u64 = 12_000;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_owned();
    let epoch = edited_for_ever(&data, CHANGES).await;
    let app = TestApp::with(|settings| settings.server.data = data).await;
    let mut back = V1::connect(app.address, "/ws/").await;
    let mut recovered = async |offset: u64| {
        let since = serde_json::json!({"epoch": epoch, "offset": offset});
        back.join("room/lobby", Some(&since)).await["recovered"] == true
    };
    // A client is sent at most 5,000 entries that it has missed, so nobody sees the 10,000 from without, but that the older are gone.
    assert!(recovered(CHANGES + 2).await && recovered(CHANGES - 2_000).await);
    assert!(!recovered(1).await);
    let database = rusqlite::Connection::open(folder.path().join("confab.db")).expect("the database");
    let left = || database.query_row("SELECT count(*) FROM changes", [], |row| row.get::<_, i64>(0)).expect("a count");
    within("the old changes to go", async {
        while left() > 10_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(left(), 10_000);
    assert!(recovered(CHANGES + 2).await && recovered(CHANGES - 2_000).await && !recovered(1).await);
    let (_, body) = app.api("/api/v1/rooms/lobby/messages").await;
    let texts: Vec<_> = body["messages"].as_array().expect("a list").iter().map(|message| message["text"].as_str()).collect();
    assert_eq!((texts, &body["first"]), (vec![Some("edit 12000"), Some("the very last")], &Value::from(1)));
}
