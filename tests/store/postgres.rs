//! What a store that several nodes share has to show beside the conformance suite. A node is a store of its own on the same database.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use confab::{
    server::store::{Bounds, Commits, Entry, Log, NewChange, PostgresOpenError, PostgresStore, StoreError, Watch},
    wire::{MessageId, Offset, Timestamp},
};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    acknowledge_all, append,
    changes::{changed, edit, id, react},
    fill, group, message, search,
    support::{
        postgres::{Postgres, connection},
        within,
    },
    texts, whole,
};

const ROOMS: [&str; 4] = ["red", "green", "blue", "green-2"];

pub(crate) async fn open(url: &str) -> (PostgresStore, Commits) {
    PostgresStore::open(&url.parse().expect("an address"), true).await.expect("a store")
}

/// A node that acknowledges whatever it commits.
async fn node(url: &str) -> PostgresStore {
    let (store, commits) = open(url).await;
    acknowledge_all(commits);
    store
}

async fn refusal(url: &str) -> PostgresOpenError {
    PostgresStore::open(&url.parse().expect("an address"), true).await.map(|_| ()).expect_err("refused")
}

/// The rooms that have moved, with their heads.
async fn moved(watch: &mut Box<dyn Watch>) -> BTreeMap<String, u64> {
    let moved = watch.moved().await.expect("an answer");
    moved.into_iter().map(|moved| (moved.group.to_string(), moved.head.offset.0)).collect()
}

fn heads<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.map(|(room, head)| (room.to_owned(), head)).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_write_to_the_same_rooms_leave_no_gap() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let mut nodes = Vec::new();
    // All at once, on an empty database: they take turns with making the schema.
    for opened in futures_util::future::join_all((0..3).map(|_| open(&url))).await {
        let (store, commits) = opened;
        nodes.push((Arc::new(store), acknowledge_all(commits)));
    }
    let mut senders = JoinSet::new();
    for sender in 0..30 {
        let store = Arc::clone(&nodes[sender % 3].0);
        senders.spawn(async move {
            for number in 0..10 {
                let text = format!("{sender}-{number}");
                // Rooms in another order from sender to sender, so that batches want the same locks in any order.
                let room = ROOMS[(sender + number * 3) % ROOMS.len()];
                assert!(append(&*store, message(room, &text, &text)).await.fresh);
            }
        });
    }
    senders.join_all().await;
    let mut pages = BTreeMap::new();
    for room in ROOMS {
        let page = whole(&*nodes[0].0, room).await;
        for (store, _) in &nodes {
            assert_eq!(whole(&**store, room).await, page, "every node reads the same");
        }
        pages.insert(room.to_owned(), page.messages.into_iter().map(Entry::from).collect::<Vec<_>>());
    }
    assert_eq!(pages.values().map(Vec::len).sum::<usize>(), 300);
    let mut committed: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (store, reader) in nodes {
        store.close().await;
        let mut heads = BTreeMap::new();
        for (group, _, entry) in reader.await.expect("the reader") {
            let before = heads.insert(group.clone(), entry.offset).unwrap_or(Offset::START);
            assert!(before < entry.offset, "a node hears of its own commits in the order of the offsets");
            committed.entry(group.to_string()).or_default().push(entry);
        }
    }
    for entries in committed.values_mut() {
        entries.sort_by_key(|entry| entry.offset);
    }
    assert_eq!(committed, pages, "each commit reaches one node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_one_message_on_all_nodes() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let (one, two) = (Arc::new(node(&url).await), Arc::new(node(&url).await));
    let mut senders = JoinSet::new();
    for sender in 0..40 {
        let store = Arc::clone(if sender % 2 == 0 { &one } else { &two });
        senders.spawn(async move { append(&*store, message("lobby", &format!("k{}", sender % 4), "hello")).await });
    }
    let answers = senders.join_all().await;
    assert_eq!(answers.iter().filter(|appended| appended.fresh).count(), 4);
    let places: BTreeSet<_> = answers.iter().map(|appended| appended.position.offset.0).collect();
    assert_eq!(places, [1, 2, 3, 4].into());
    assert_eq!(whole(&*two, "lobby").await.messages.len(), 4);
}

#[tokio::test]
async fn a_watch_tells_which_rooms_have_moved() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let (one, two) = (node(&url).await, node(&url).await);
    fill(&one, "lobby", 2).await;
    let mut watch = one.watch().expect("a store that nodes share");
    assert_eq!(moved(&mut watch).await, heads([]), "it begins here and now");
    fill(&two, "lobby", 1).await;
    assert_eq!(moved(&mut watch).await, heads([]), "a repeat is nothing new");
    append(&two, message("lobby", "k", "k")).await;
    fill(&two, "kitchen", 3).await;
    let news = moved(&mut watch).await;
    assert_eq!(news, heads([("lobby", 3), ("kitchen", 3)]));
    assert_eq!(moved(&mut watch).await, heads([]), "once");
}

#[tokio::test]
async fn a_watch_tells_which_entry_made_the_latest_message_what_it_is() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let store = node(&url).await;
    let mut watch = store.watch().expect("a store that nodes share");
    let mut steps = Vec::new();
    let mut look = async |step| {
        let moved = watch.moved().await.expect("an answer");
        steps.extend(moved.into_iter().map(|moved| (step, moved.head.offset.0, moved.latest_since.0)));
    };
    look("nothing").await;
    let first = id(&append(&store, message("lobby", "k1", "first")).await.position);
    let second = id(&append(&store, message("lobby", "k2", "second")).await.position);
    look("messages").await;
    changed(&store, edit(&first, "ann", "of the first")).await;
    look("an edit of the first").await;
    changed(&store, edit(&second, "ann", "of the latest")).await;
    look("an edit of the latest").await;
    append(&store, message("lobby", "k3", "third")).await;
    look("a message").await;
    let tomorrow = Bounds { since: Some(Timestamp::from_millis(i64::MAX)), ..Bounds::default() };
    while store.forget(&group("lobby"), tomorrow).await.expect("dropped") {}
    look("all is dropped").await;
    let expected = [
        ("messages", 2, 2),
        ("an edit of the first", 3, 2),
        ("an edit of the latest", 4, 4),
        ("a message", 5, 5),
        ("all is dropped", 5, 0),
    ];
    assert_eq!(steps, expected);
}

/// A transaction that began earlier and ends later is not overtaken.
#[tokio::test]
async fn a_watch_leaves_out_no_room_that_commits_late() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let store = Arc::new(node(&url).await);
    fill(&*store, "slow", 1).await;
    fill(&*store, "fast", 1).await;
    let mut watch = store.watch().expect("a store that nodes share");
    moved(&mut watch).await;
    let mut client = connection(&url).await;
    let late = client.transaction().await.expect("a transaction");
    late.batch_execute("UPDATE confab.rooms SET head = 2, touched = pg_current_xact_id()::text::bigint WHERE name = 'slow'")
        .await
        .expect("an update");
    append(&*store, message("fast", "k", "k")).await;
    assert_eq!(moved(&mut watch).await, heads([("fast", 2)]));
    late.commit().await.expect("a commit");
    assert_eq!(moved(&mut watch).await, heads([("slow", 2)]));
}

#[tokio::test]
async fn a_message_that_the_database_refuses_costs_the_others_nothing() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let store = node(&url).await;
    fill(&store, "lobby", 1).await;
    let constraint = "ALTER TABLE confab.messages ADD CONSTRAINT taste CHECK (text <> 'poison')";
    connection(&url).await.batch_execute(constraint).await.expect("a constraint");
    // All are in the queue before the writer has its turn: one batch.
    let texts_sent = ["a", "poison", "b", "poison"].into_iter().enumerate();
    let sending = texts_sent.map(|(number, text)| store.append(message("lobby", &format!("k{number}"), text)));
    let outcomes = futures_util::future::join_all(sending).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false]);
    let Err(StoreError::Unavailable(cause)) = &outcomes[1] else { panic!("it is stored") };
    assert!(cause.to_string().contains("taste"), "{cause}");
    assert_eq!(texts(&whole(&store, "lobby").await), ["1", "a", "b"]);
}

#[tokio::test]
async fn a_change_that_the_database_refuses_costs_the_others_nothing() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let store = node(&url).await;
    fill(&store, "lobby", 1).await;
    let constraint = "ALTER TABLE confab.changes ADD CONSTRAINT taste CHECK (emoji <> 'poison')";
    connection(&url).await.batch_execute(constraint).await.expect("a constraint");
    let id = MessageId { epoch: whole(&store, "lobby").await.head.epoch, offset: Offset(1) };
    let sending = ["a", "poison", "b", "c", "poison", "d"].map(|emoji| store.change(react(&id, "bob", emoji, true)));
    let sent = futures_util::future::join(futures_util::future::join_all(sending), append(&store, message("lobby", "k", "k")));
    let (outcomes, appended) = sent.await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, true, false, true]);
    assert_eq!(appended.position.offset, Offset(6));
    let page = crate::read(&store, "lobby", crate::Slice::Latest, 9).await;
    let kept: Vec<_> = page.messages[0].message.content.reactions.iter().map(|reaction| reaction.emoji.as_str()).collect();
    assert_eq!(kept, ["a", "b", "c", "d"]);
}

/// How often the tables of rooms and their streams were read by an index and in sequence, once nobody of ours is connected any more:
/// what connections have counted is added up when they end, a moment after they are closed.
async fn scans(client: &tokio_postgres::Client) -> (i64, i64) {
    const COUNTS: &str = "SELECT sum(idx_scan)::bigint, sum(seq_scan)::bigint FROM pg_stat_user_tables
        WHERE relname IN ('rooms', 'messages', 'changes') AND pg_stat_clear_snapshot() IS NOT NULL";
    const OPEN: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'confab' AND datname = current_database()";
    let counting = async {
        loop {
            let open: i64 = client.query_one(OPEN, &[]).await.expect("a count").get(0);
            let counts = client.query_one(COUNTS, &[]).await.expect("counts");
            if open == 0 {
                return (counts.get(0), counts.get(1));
            }
        }
    };
    within("our connections to end", counting).await
}

#[tokio::test]
async fn no_statement_looks_through_a_table() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let client = connection(&url).await;
    // Making the tables looks through them.
    node(&url).await.close().await;
    let before = scans(&client).await;
    let store = node(&url).await;
    let mut watch = store.watch().expect("a store that nodes share");
    for room in ROOMS {
        fill(&store, room, 10).await;
        append(&store, message(room, "1", "a repeat")).await;
        moved(&mut watch).await;
        for slice in [
            crate::Slice::Latest,
            crate::Slice::Before(Offset(5)),
            crate::Slice::After(Offset(5)),
            crate::Slice::Around(Offset(5)),
        ] {
            crate::read(&store, room, slice, 5).await;
        }
        store.rooms(5).await.expect("rooms");
        let id = MessageId { epoch: whole(&store, room).await.head.epoch, offset: Offset(3) };
        for number in 0..9 {
            let edit = NewChange { group: group(room), ..edit(&id, "ann", &number.to_string()) };
            store.change(edit).await.expect("changed");
        }
        store.entries(&group(room), Offset(5), 9, 99).await.expect("entries");
        store.groups(None, 9).await.expect("rooms");
        let bounds = Bounds { messages: Some(8), since: None, changes: Some(3) };
        store.forget(&group(room), bounds).await.expect("dropped");
    }
    drop(watch);
    store.close().await;
    let after = scans(&client).await;
    assert!(after.0 - before.0 > 100, "{before:?} {after:?}");
    // A node that starts looks through the rooms for what is not indexed.
    assert!(after.1 - before.1 <= 1, "{before:?} {after:?}");
}

#[tokio::test]
async fn changes_wait_until_they_are_indexed() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let (store, client) = (node(&url).await, connection(&url).await);
    // Whose turn it is to index.
    let turn = async |statement: &str| {
        client.batch_execute(&format!("SELECT {statement}({})", 0x436e_6673)).await.expect("a lock");
    };
    search::changes_wait_for_the_index(&store, turn("pg_advisory_lock"), turn("pg_advisory_unlock")).await;
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    node(&url).await.close().await;
    let client = connection(&url).await;
    let version: i32 = client.query_one("SELECT version FROM confab.meta", &[]).await.expect("a version").get(0);
    client.batch_execute("UPDATE confab.meta SET version = 99").await.expect("an update");
    let error = refusal(&url).await;
    assert!(matches!(error, PostgresOpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("a later version of Confab"), "{error}");
    client.execute("UPDATE confab.meta SET version = $1", &[&version]).await.expect("an update");
    node(&url).await.close().await;
}

#[tokio::test]
async fn a_schema_of_another_program_is_left_alone() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let client = connection(&url).await;
    client.batch_execute("CREATE SCHEMA confab; CREATE TABLE confab.rooms (colour text)").await.expect("a table");
    let error = refusal(&url).await;
    assert!(matches!(error, PostgresOpenError::Foreign), "{error}");
    client.batch_execute("SELECT colour FROM confab.rooms").await.expect("it is as it was");
    client.batch_execute("DROP TABLE confab.rooms").await.expect("gone");
    // An empty schema was made for us by somebody with more rights.
    node(&url).await.close().await;
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let client = connection(&url).await;
    client.batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").await.expect("a database");
    let (place, _) = url.rsplit_once('/').expect("an address");
    let error = refusal(&format!("{place}/latin")).await;
    assert!(matches!(&error, PostgresOpenError::Encoding(encoding) if encoding == "LATIN1"), "{error}");
    client.batch_execute("DROP DATABASE latin WITH (FORCE)").await.expect("gone");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let error = refusal(&url.replace("test_", "no_test_")).await;
    assert!(error.to_string().contains("does not exist"), "{error}");
    let port = crate::support::free_port();
    let error = refusal(&format!("postgres://me:hush@127.0.0.1:{port}/db")).await;
    assert!(error.to_string().contains("refused") && !error.to_string().contains("hush"), "{error}");
}

/// People who each say one thing after the other, and the next only when the last was acknowledged; what is refused they say again.
struct Talk {
    senders: JoinSet<Vec<String>>,
    stop: watch::Sender<bool>,
    /// How many were acknowledged.
    acknowledged: watch::Receiver<usize>,
}

impl Talk {
    fn start(nodes: &[Arc<PostgresStore>], senders: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (count, acknowledged) = watch::channel(0);
        let mut talk = Self { senders: JoinSet::new(), stop, acknowledged };
        for sender in 0..senders {
            let (store, stopped, count) = (Arc::clone(&nodes[sender % nodes.len()]), stopped.clone(), count.clone());
            talk.senders.spawn(async move {
                let mut said = Vec::new();
                while !*stopped.borrow() {
                    let text = format!("{sender}-{}", said.len());
                    while store.append(message("lobby", &text, &text)).await.is_err() {}
                    said.push(text);
                    count.send_modify(|count| *count += 1);
                }
                said
            });
        }
        talk
    }

    /// Until so many more are acknowledged.
    async fn goes_on(&mut self, more: usize) {
        let count = *self.acknowledged.borrow_and_update() + more;
        self.acknowledged.wait_for(|acknowledged| *acknowledged >= count).await.expect("senders");
    }

    /// All that was acknowledged.
    async fn end(self) -> BTreeSet<String> {
        self.stop.send_replace(true);
        self.senders.join_all().await.into_iter().flatten().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_killed_server_and_is_there_once() {
    let mut server = Postgres::start().await;
    let url = server.database().await;
    let nodes = [Arc::new(node(&url).await), Arc::new(node(&url).await)];
    let mut talk = Talk::start(&nodes, 20);
    for _ in 0..3 {
        talk.goes_on(200).await;
        server.kill();
        server.restart().await;
    }
    talk.goes_on(200).await;
    let acknowledged = talk.end().await;
    let page = whole(&*nodes[0], "lobby").await;
    let stored: Vec<_> = texts(&page).into_iter().map(str::to_owned).collect();
    assert_eq!(
        stored.iter().cloned().collect::<BTreeSet<_>>(),
        acknowledged,
        "all, and nothing that nobody was told of in the end"
    );
    assert_eq!(stored.len(), acknowledged.len(), "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_that_hung_was_given_is_there_once() {
    let server = Postgres::start().await;
    let store = node(&server.database().await).await;
    fill(&store, "lobby", 2).await;
    server.pause();
    // Given up after a while; the server has it all the same, and finds it when it goes on.
    let StoreError::Unavailable(cause) = store.append(message("lobby", "k", "k")).await.expect_err("it hangs");
    assert!(!cause.to_string().is_empty());
    server.resume();
    let again = append(&store, message("lobby", "k", "k")).await;
    assert_eq!(again.position.offset, Offset(3));
    append(&store, message("lobby", "after", "after")).await;
    assert_eq!(texts(&whole(&store, "lobby").await), ["1", "2", "k", "after"]);
}

#[tokio::test]
async fn a_server_that_stays_away_is_an_error_and_no_loss() {
    let mut server = Postgres::start().await;
    let url = server.database().await;
    let store = node(&url).await;
    fill(&store, "lobby", 2).await;
    let mut watch = store.watch().expect("a store that nodes share");
    moved(&mut watch).await;
    server.stop();
    let StoreError::Unavailable(cause) = store.append(message("lobby", "k", "k")).await.expect_err("it is away");
    assert!(!cause.to_string().is_empty());
    // It is known to be away now, and nobody waits for it again.
    store.append(message("lobby", "k2", "k2")).await.expect_err("it is away");
    store.rooms(1).await.expect_err("it is away");
    watch.moved().await.expect_err("it is away");
    server.restart().await;
    assert!(append(&store, message("lobby", "k", "k")).await.fresh);
    assert_eq!(texts(&whole(&store, "lobby").await), ["1", "2", "k"]);
    assert_eq!(moved(&mut watch).await, heads([("lobby", 3)]), "what has moved meanwhile is in the next answer");
}

#[tokio::test]
async fn the_defaults_of_a_database_do_not_matter() {
    let server = Postgres::shared().await;
    let url = server.database().await;
    let name = url.rsplit_once('/').expect("an address").1;
    let client = connection(&url).await;
    let defaults =
        [("default_transaction_isolation", "serializable"), ("synchronous_commit", "off"), ("search_path", "public")];
    for (setting, value) in defaults {
        client.batch_execute(&format!("ALTER DATABASE {name} SET {setting} = '{value}'")).await.expect("a default");
    }
    let nodes = [Arc::new(node(&url).await), Arc::new(node(&url).await)];
    let mut talk = Talk::start(&nodes, 6);
    talk.goes_on(100).await;
    let acknowledged = talk.end().await;
    assert_eq!(whole(&*nodes[1], "lobby").await.messages.len(), acknowledged.len());

    client.batch_execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await.expect("a default");
    let error = refusal(&url).await;
    assert!(matches!(error, PostgresOpenError::ReadOnly), "{error}");
}
