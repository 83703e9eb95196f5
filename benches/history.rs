//! What it costs to read a room with a million messages behind it, beside a room with a hundred.
//!
//! Each room is alone in a store and a server of its own, and both are asked the same in turns: to join it without a position and with one
//! a hundred messages behind, for its page, and for messages from somewhere in the middle, each time from another place. Every answer
//! is checked for its messages. What counts is the ratio: it should be one.
//!
//! The store with the million is filled through the store itself and kept in the target folder for the next run.

#![cfg(feature = "ssr")]

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Instant,
};

use common::{
    Server,
    connection::{Connection, Form},
    median, quantile, quick, selected, text,
};
use confab::{
    server::store::{Commits, Durability, Log, NewMessage, PostgresStore, Slice, SqliteStore},
    wire::{Group, Offset, Person, Timestamp},
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value as Json, json};
use support::postgres::Postgres;
use tokio::task::coop::unconstrained;

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const RUNS: usize = 3;
/// How often each is asked in a run.
const TIMES: u64 = 500;
const MANY: u64 = 1_000_000;
const FEW: u64 = 100;

/// The size of a text, in bytes.
const LENGTH: usize = 100;
/// How many messages wait for their commit when a store is filled.
const WAITING: usize = 4_000;
/// How many messages a join without a position and a page bring.
const NEWEST: u64 = 50;
/// How many are asked for of those in the middle.
const LIMIT: u64 = 40;
/// How far behind a reader is that comes back.
const BEHIND: u64 = 100;

const ROOMS: (&str, &str) = ("ROOMS", r#"[{"match": "*", "history": "store"}]"#);

/// What is asked for.
#[derive(Clone, Copy)]
enum Question {
    Join,
    JoinSince,
    Page,
    EarlierPage,
    Before,
    After,
    Around,
}

const QUESTIONS: [(&str, Question); 7] = [
    ("join", Question::Join),
    ("join, 100 behind", Question::JoinSince),
    ("room page", Question::Page),
    ("room page, ?before", Question::EarlierPage),
    ("messages?before", Question::Before),
    ("messages?after", Question::After),
    ("messages?around", Question::Around),
];

fn group() -> Group {
    "bench".parse().expect("a group")
}

fn said(number: u64) -> String {
    text::said(0, number as u32, LENGTH)
}

fn message(number: u64) -> NewMessage {
    NewMessage {
        group: group(),
        key: number.to_string().parse().expect("a key"),
        from: Person::new("bench", "Bench"),
        text: said(number),
        at: Timestamp::from_millis(0),
    }
}

/// Says everything; the number of a message is its offset.
async fn fill(store: &dyn Log, mut commits: Commits, messages: u64) {
    let acknowledging = tokio::spawn(async move {
        while let Some(committed) = commits.recv().await {
            committed.acknowledge();
        }
    });
    let began = Instant::now();
    let mut appends = stream::iter(1..=messages).map(|number| store.append(message(number))).buffered(WAITING).enumerate();
    // A task that has to give way in the middle would let a later message overtake.
    unconstrained(async {
        while let Some((before, appended)) = appends.next().await {
            assert_eq!(appended.expect("stored").position.offset, Offset(before as u64 + 1));
        }
    })
    .await;
    drop(appends);
    store.close().await;
    acknowledging.await.expect("no panic");
    println!("  {messages} messages stored in {:.1} s", began.elapsed().as_secs_f64());
}

/// The folder of an embedded store with so many messages, of an earlier run or filled now.
async fn sqlite(messages: u64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("history-{messages}"));
    if !is_filled(&folder, messages).await {
        // It may not be there, or be half of one.
        let _ = fs::remove_dir_all(&folder);
        let (store, commits) = SqliteStore::open(&folder, Durability::Process).expect("a store");
        fill(&store, commits, messages).await;
    }
    folder
}

async fn is_filled(folder: &Path, messages: u64) -> bool {
    let Ok((store, _commits)) = SqliteStore::open(folder, Durability::Process) else { return false };
    let page = store.read(&group(), Slice::Latest, 1, usize::MAX).await.expect("a page");
    store.close().await;
    let last = page.messages.last().map(|stored| stored.message.content.text.as_str());
    page.head.offset == Offset(messages) && last == Some(said(messages).as_str())
}

/// A new database with so many messages.
async fn postgres(server: &Postgres, messages: u64) -> String {
    let url = server.database().await;
    let (store, commits) = PostgresStore::open(&url.parse().expect("a URL"), true).await.expect("a store");
    fill(&store, commits, messages).await;
    // Nobody else tells this server's planner what there is.
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute("VACUUM ANALYZE").await.expect("statistics");
    url
}

/// A server with a room, and who asks it.
struct Subject {
    messages: u64,
    server: Server,
    client: reqwest::Client,
    connection: Connection,
    /// Of commands.
    last_id: u32,
}

impl Subject {
    async fn new(messages: u64, setting: (&str, &str)) -> Self {
        let server = Server::confab(&[ROOMS, setting]).await;
        let connection = server.connect(Form::V1 { history: true }).await.expect("a connection");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { messages, server, client, connection, last_id: 0 }
    }

    /// A place in the middle, another one each time.
    fn middle(&self, n: u64) -> u64 {
        // A page before it is full, and so is what comes after it.
        NEWEST + 1 + n * 7_919 % (self.messages - NEWEST - LIMIT)
    }

    /// How long an answer takes until all of it is here, in milliseconds. It has what it should.
    async fn ask(&mut self, question: Question, n: u64) -> f64 {
        let (last, middle) = (self.messages, self.middle(n));
        match question {
            Question::Join => self.join(None, last - NEWEST + 1).await,
            Question::JoinSince => self.join(Some(last - BEHIND), last - BEHIND + 1).await,
            Question::Page => self.page("", last - NEWEST + 1..=last).await,
            Question::EarlierPage => self.page(&format!("?before={middle}"), middle - NEWEST..=middle - 1).await,
            Question::Before => self.part("before", middle, middle - LIMIT..=middle - 1).await,
            Question::After => self.part("after", middle, middle + 1..=middle + LIMIT).await,
            Question::Around => self.part("around", middle, middle - LIMIT / 2..=middle + LIMIT / 2 - 1).await,
        }
    }

    async fn command(&mut self, name: &str, of: &Json) -> (f64, Json) {
        self.last_id += 1;
        let command = json!({"id": self.last_id, name: of}).to_string();
        let began = Instant::now();
        let answer = self.connection.ask(self.last_id, &command).await;
        (began.elapsed().as_secs_f64() * 1e3, serde_json::from_slice(&answer).expect("JSON"))
    }

    async fn join(&mut self, since: Option<u64>, first: u64) -> f64 {
        self.command("leave", &json!({"topic": "room/bench"})).await;
        let joined = &self.connection.welcome.as_ref().expect("a welcome")["welcome"]["joined"];
        let join = match since {
            Some(offset) => json!({"topic": "room/bench", "since": {"epoch": joined["epoch"], "offset": offset}}),
            None => json!({"topic": "room/bench"}),
        };
        let (time, answer) = self.command("join", &join).await;
        let state = &answer["ok"];
        assert_eq!((&state["recovered"], &state["offset"]), (&json!(since.is_some()), &json!(self.messages)), "{answer}");
        let events = state["events"].as_array().expect("a list").iter();
        check(events.map(|event| (&event["offset"], &event["event"]["text"])), first..=self.messages);
        time
    }

    async fn get(&self, path: &str) -> (f64, String) {
        let address = format!("http://127.0.0.1:{}{path}", self.server.port());
        let began = Instant::now();
        let answer = self.client.get(address).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let body = answer.text().await.expect("a whole answer");
        (began.elapsed().as_secs_f64() * 1e3, body)
    }

    async fn page(&self, query: &str, expected: RangeInclusive<u64>) -> f64 {
        let (time, body) = self.get(&format!("/room/bench/{query}")).await;
        let missing = expected.clone().find(|number| !body.contains(&format!(">0 {number} ")));
        assert_eq!(missing, None, "all of {expected:?}");
        time
    }

    async fn part(&self, which: &str, offset: u64, expected: RangeInclusive<u64>) -> f64 {
        let (time, body) = self.get(&format!("/api/v1/rooms/bench/messages?{which}={offset}&limit={LIMIT}")).await;
        let answer: Json = serde_json::from_str(&body).expect("JSON");
        let messages = answer["messages"].as_array().expect("a list").iter();
        check(messages.map(|message| (&message["offset"], &message["text"])), expected);
        time
    }
}

/// These messages, each in its place, and no others.
fn check<'a>(messages: impl Iterator<Item = (&'a Json, &'a Json)>, expected: RangeInclusive<u64>) {
    let mut messages = messages;
    for number in expected {
        let (offset, text) = messages.next().unwrap_or_else(|| panic!("{number} is missing"));
        assert!(*offset == number && *text == said(number), "{number}: {offset} {text}");
    }
    assert_eq!(messages.next(), None);
}

/// Times for each of the questions.
type Times = [Vec<f64>; QUESTIONS.len()];

async fn measure(many: &mut Subject, few: &mut Subject) {
    let (runs, each) = if quick() { (1, TIMES / 10) } else { (RUNS, TIMES) };
    let mut figures: Vec<[Times; 2]> = Vec::new();
    // The first run brings everything into memory.
    for run in 0..=runs {
        let mut figure = [Times::default(), Times::default()];
        for n in 0..each {
            for (of_question, (_, question)) in QUESTIONS.into_iter().enumerate() {
                for (times, subject) in figure.iter_mut().zip([&mut *many, &mut *few]) {
                    times[of_question].push(subject.ask(question, run as u64 * each + n).await);
                }
            }
        }
        if run > 0 {
            figures.push(figure);
        }
    }
    for (of_question, (name, _)) in QUESTIONS.iter().enumerate() {
        let part =
            |part, room: usize| median(figures.iter().map(|figure| quantile(part, figure[room][of_question].iter().copied())));
        let [many50, few50, many99, few99] = [part(0.5, 0), part(0.5, 1), part(0.99, 0), part(0.99, 1)];
        println!(
            "  {name:<18} p50 {many50:>6.3} ms = {:.2} x {few50:>6.3} ms; p99 {many99:>6.3} ms = {:.2} x {few99:>6.3} ms",
            many50 / few50,
            many99 / few99
        );
    }
}

async fn measure_all() {
    let many = if quick() { MANY / 50 } else { MANY };
    if selected("SQLite") {
        println!("SQLite, {many} messages beside {FEW}");
        let [large, small] = [sqlite(many).await, sqlite(FEW).await];
        let data = |folder: PathBuf| folder.into_os_string().into_string().expect("UTF-8");
        let mut large = Subject::new(many, ("SERVER__DATA", &data(large))).await;
        let mut small = Subject::new(FEW, ("SERVER__DATA", &data(small))).await;
        measure(&mut large, &mut small).await;
    }
    if selected("PostgreSQL") {
        println!("PostgreSQL, {many} messages beside {FEW}");
        let server = Postgres::start().await;
        let [large, small] = [postgres(&server, many).await, postgres(&server, FEW).await];
        let mut large = Subject::new(many, ("STORE__URL", &large)).await;
        let mut small = Subject::new(FEW, ("STORE__URL", &small)).await;
        measure(&mut large, &mut small).await;
    }
}

fn main() {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(measure_all());
}
