//! How many statements a question costs the database, counted in the database's own log: the same, and few, however many messages,
//! rooms and members there are.

use confab::{
    server::{
        settings::{Backend, History, RedisHost},
        store::{Log as _, NewMessage, PostgresStore},
    },
    wire::{Person, Timestamp},
};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, rule},
    clients::V1,
    cluster::{ready, settings, v1_member},
    support::postgres::{Postgres, Statements},
};

/// How the statements begin that no question asks: the node sweeps its table of people, and reads which rooms that somebody owns have changed,
/// who has an account, whether administrators have changed something, and who is to go for good.
const SWEEPS: [&str; 5] = [
    "SELECT id FROM people WHERE id > ",
    "SELECT room, kind, posting, archived, deleted, changed FROM",
    "SELECT id, handle, name, changed_at",
    "SELECT changes FROM manage_changes",
    "SELECT account_id, said FROM departures WHERE finished IS NULL",
];

/// How much there is.
#[derive(Clone, Copy)]
struct Size {
    messages: usize,
    rooms: usize,
    members: usize,
}

#[tokio::test]
async fn a_question_costs_as_many_statements_however_much_there_is() {
    let small = Box::pin(costs(Size { messages: 20, rooms: 2, members: 1 })).await;
    let large = Box::pin(costs(Size { messages: 300, rooms: 80, members: 30 })).await;
    for ((question, most, mut few), (_, _, mut many)) in small.into_iter().zip(large) {
        for statements in [&mut few, &mut many] {
            statements.retain(|statement| !SWEEPS.iter().any(|sweep| statement.starts_with(sweep)));
        }
        // Those that are asked at once come in any order.
        few.sort();
        many.sort();
        assert_eq!(few, many, "{question}");
        assert_eq!(few.len(), most, "{question}: {few:#?}");
    }
}

/// Fills a database of its own, by a store that is gone before anything is asked: the node has nothing to catch up with.
async fn fill(database: &str, size: Size) {
    let (store, _) = PostgresStore::open(&database.parse().expect("a URL"), false).await.expect("a store");
    let message = |room: usize, number: usize| NewMessage {
        group: format!("s-{room}").parse().expect("a name"),
        key: format!("k{number}").parse().expect("a key"),
        from: Person::new(format!("g{}", number % 7), "Ann"),
        text: format!("text {number}"),
        at: Timestamp::from_millis(0),
    };
    let in_a_room = (1..=size.messages).map(|number| message(0, number));
    let messages = in_a_room.chain((1..size.rooms).map(|room| message(room, 1)));
    futures_util::future::try_join_all(messages.map(|message| store.append(message))).await.expect("all are stored");
    store.close().await;
}

/// Questions, what each may cost, and what it has cost.
async fn costs(size: Size) -> Vec<(&'static str, usize, Vec<String>)> {
    let postgres = Postgres::start().await;
    let database = postgres.database().await;
    fill(&database, size).await;
    let mut log = Statements::of(&postgres, &database).await;
    let app = TestApp::with(|all| {
        settings(all, Backend::Memory, RedisHost::local());
        all.store.url = database.parse().expect("the URL of a database");
        // Where rules leave no room out the list is one question; elsewhere the names are another.
        all.rooms = vec![rule("*", History::Store)];
    })
    .await;
    ready(&app).await;
    let mut all = Vec::new();
    let mut costs = |question, most, (_, statements): (_, Vec<String>)| all.push((question, most, statements));

    // The node finds out where the room stands, and then answers.
    let mut first = V1::connect(app.address, "/ws/").await;
    costs("the first join of a room on a node", 2, log.during(first.join("room/s-0", None)).await);
    let mut members = Vec::new();
    for _ in 1..size.members {
        members.push(v1_member(&app, "s-0").await);
    }
    let mut v1 = V1::connect(app.address, "/ws/").await;
    let (state, statements) = log.during(v1.join("room/s-0", None)).await;
    let position = |offset: usize| json!({"epoch": state["epoch"], "offset": offset});
    costs("a join without a position", 1, (Value::Null, statements));
    for (question, most, since) in [
        ("a join that missed nothing", 0, position(size.messages)),
        ("a join that missed a little", 1, position(size.messages - 1)),
        ("a join that missed all", 1, position(0)),
        ("a join with a position that the room has not reached", 2, position(size.messages + 1)),
        ("a join with a position of another epoch", 2, json!({"epoch": "another", "offset": 1})),
    ] {
        let mut v1 = V1::connect(app.address, "/ws/").await;
        costs(question, most, log.during(v1.join("room/s-0", Some(&since))).await);
    }
    for (question, most, path) in
        [("a page that comes back", 0, "/ws/"), ("a client that names its room in the address", 1, "/room/s-0/")]
    {
        let coming = async {
            let mut v1 = V1::connect(app.address, path).await;
            v1.join("me", None).await;
            v1.join("room/s-0", Some(&position(size.messages))).await
        };
        costs(question, most, log.during(coming).await);
    }
    let mut watcher = V1::connect(app.address, "/ws/").await;
    costs("a join of the list of rooms", 1, log.during(watcher.join("lobby", None)).await);
    for (question, most, path) in [
        ("the page of a room", 1, "/room/s-0/"),
        ("the page of a room in the past", 1, "/room/s-0/?before=15"),
        ("the page of a room around a message", 3, "/room/s-0/?around=10"),
        ("the page of a room where nothing was said", 1, "/room/s-nothing/"),
        ("the list of rooms", 1, "/"),
        ("messages for a program", 1, "/api/v1/rooms/s-0/messages?after=10"),
    ] {
        let (response, statements) = log.during(app.get(path)).await;
        assert_eq!(response.status(), 200, "{path}");
        costs(question, most, (Value::Null, statements));
    }
    all
}
