//! How ten thousand clients come back at once after the server has died.
//!
//! They speak `confab.v1` and are in one room with history in the store. Some messages are said, of which half of the clients see only the
//! first half before they leave. Then the server is killed and started again, and before the clients are let back a program says a
//! hundred messages more. Now all open a connection at the same moment, as clients do that have just lost theirs, and join with
//! the position that they have; whoever is turned away, as there are more than the system lets wait, tries again after half a second. The
//! clock runs from that moment until the last of them is level.
//!
//! Each client checks that it gets exactly what it missed, and at the end one last message, which has to follow on it. Beside this
//! stands the same without anything missed, in the same run, in turns: what it costs to come back at all.

#![cfg(feature = "ssr")]

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    Server,
    connection::{Connection, Form, open_all},
    median, quantile, quick, selected, text,
};
use parking_lot::RwLock;
use serde_json::{Value as Json, json};
use support::within;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const RUNS: usize = 3;
const CLIENTS: usize = 10_000;
/// Said while all are there; half of the clients leave in the middle.
const BEFORE: u64 = 20;
/// Said while nobody is there.
const AWAY: u64 = 100;
/// The size of each text, in bytes.
const LENGTH: usize = 64;
/// How long a client waits that was turned away.
const AGAIN: Duration = Duration::from_millis(500);

const V1: Form = Form::V1 { history: true };
const ROOMS: (&str, &str) = ("ROOMS", r#"[{"match": "*", "history": "store"}]"#);

/// What one client knows when it has no connection.
#[derive(Clone)]
struct Client {
    epoch: Arc<str>,
    offset: u64,
}

/// What is known of lists of events, by their bytes. Many clients get the same ones: the first to ask
/// looks into them, so that the clients take as little as they can from the server on the same cores.
#[derive(Default)]
struct Known(RwLock<HashMap<Vec<u8>, Ends>>);

/// The offsets of the first and the last message of a list; none where there is no message in it.
type Ends = Option<(u64, u64)>;

impl Known {
    /// The offsets of a list of pushes, which rise by one; each is the message that was said in its place.
    fn offsets(&self, events: &str) -> Ends {
        if let Some(known) = self.0.read().get(events.as_bytes()) {
            return *known;
        }
        let list: Vec<Json> = serde_json::from_str(events).expect("a list");
        let offsets: Vec<_> = list.iter().filter_map(message).collect();
        assert!(offsets.is_sorted_by(|before, after| before + 1 == *after), "{offsets:?}");
        let found = offsets.first().copied().zip(offsets.last().copied());
        self.0.write().insert(events.as_bytes().to_vec(), found);
        found
    }
}

/// The offset of a push, if it is a message, which has to be the one that was said in its place.
fn message(push: &Json) -> Option<u64> {
    if push["event"]["type"] != "message" {
        return None;
    }
    let offset = push["offset"].as_u64().expect("an offset");
    let said = text::said(0, offset as u32, LENGTH);
    assert_eq!((&push["topic"], &push["event"]["text"]), (&json!("room/bench"), &json!(said)), "{push}");
    Some(offset)
}

/// Says the messages that get these offsets.
async fn say(speaker: &mut Connection, offsets: RangeInclusive<u64>) {
    for offset in offsets {
        let send =
            json!({"topic": "room/bench", "key": format!("bench-{offset}"), "text": text::said(0, offset as u32, LENGTH)});
        let answer = speaker.ask(offset as u32, &json!({"id": offset, "send": send}).to_string()).await;
        let answer: Json = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["ok"]["offset"], offset, "{answer}");
    }
}

/// Reads until the message with this offset has come, each following on the one before.
async fn read_to(connection: &mut Connection, known: &Known, from: u64, to: u64) {
    let mut offset = from;
    loop {
        while offset < to
            && let Some(frame) = connection.inbox.frame()
        {
            let push = str::from_utf8(frame.payload).expect("text");
            if let Some((next, _)) = known.offsets(&format!("[{push}]")) {
                assert_eq!(next, offset + 1, "none lost, none twice");
                offset = next;
            }
        }
        if offset >= to {
            return;
        }
        assert!(within("a message", connection.inbox.read(&mut connection.stream)).await, "it is open");
    }
}

/// Clients that have seen what was said, half of them only half of it if `some_leave`, and are then cut off as the server dies.
async fn cut_off(server: &mut Server, known: &Arc<Known>, clients: usize, some_leave: bool) -> Vec<Client> {
    let mut speaker = server.connect(V1).await.expect("a connection");
    let mut reading = JoinSet::new();
    for (n, mut connection) in open_all(server.port(), V1, clients).await.into_iter().enumerate() {
        let known = Arc::clone(known);
        let until = if some_leave && n % 2 == 0 { BEFORE / 2 } else { BEFORE };
        reading.spawn(async move {
            let joined = &connection.welcome.as_ref().expect("a welcome")["welcome"]["joined"];
            assert_eq!(joined["offset"], 0, "{joined}");
            let epoch = joined["epoch"].as_str().expect("an epoch").into();
            read_to(&mut connection, &known, 0, until).await;
            // Those that leave early close their connections here.
            (Client { epoch, offset: until }, (until == BEFORE).then_some(connection))
        });
    }
    say(&mut speaker, 1..=BEFORE).await;
    let (clients, connections): (Vec<_>, Vec<_>) = reading.join_all().await.into_iter().unzip();
    server.kill();
    drop(connections);
    clients
}

/// One client comes back and is level with `head`. Also how often it was turned away before.
async fn come_back(port: u16, client: &Client, head: u64, known: &Known) -> (Connection, usize) {
    let mut turned_away = 0;
    let mut connection = loop {
        if let Some(connection) = Connection::open(port, V1).await {
            break connection;
        }
        turned_away += 1;
        tokio::time::sleep(AGAIN).await;
    };
    let Client { epoch, offset: since } = client;
    let join = json!({"id": 1, "join": {"topic": "room/bench", "since": {"epoch": **epoch, "offset": since}}});
    let answer = connection.ask(1, &join.to_string()).await;
    let answer = str::from_utf8(&answer).expect("text");
    // {"id":1,"ok":{...,"events":[...],"members":{...}}}
    let (head_of_it, rest) = answer.split_once(r#","events":"#).expect("events");
    let (events, _) = rest.rsplit_once(r#","members":"#).expect("members");
    let state: Json = serde_json::from_str(&format!("{head_of_it}}}}}")).expect("JSON");
    let state = &state["ok"];
    assert_eq!(
        (&state["recovered"], &state["offset"], &state["epoch"]),
        (&json!(true), &json!(head), &json!(**epoch)),
        "{state}"
    );
    let missed = (*since < head).then_some((since + 1, head));
    assert_eq!(known.offsets(events), missed, "exactly what was missed");
    (connection, turned_away)
}

struct Figures {
    /// When each was level, in seconds.
    level: Vec<f64>,
    /// Of the server's time, in seconds.
    cpu: f64,
    resident: f64,
    /// How often connections ended before the server had answered their handshake.
    turned_away: usize,
}

async fn run(clients: usize, missed: bool) -> Figures {
    let known = Arc::new(Known::default());
    let mut server = Server::confab(&[ROOMS]).await;
    let clients = cut_off(&mut server, &known, clients, missed).await;
    server.restart().await;
    let mut speaker = server.connect(V1).await.expect("a connection");
    let head = if missed { BEFORE + AWAY } else { BEFORE };
    say(&mut speaker, BEFORE + 1..=head).await;

    let (port, before, began) = (server.port(), server.cpu(), Instant::now());
    let (tell, told) = watch::channel(false);
    let (last, mut back) = (head + 1, JoinSet::new());
    let (mut level, mut turned_away) = (Vec::new(), 0);
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    for client in clients.clone() {
        let (known, mut told, arrive) = (Arc::clone(&known), told.clone(), arrive.clone());
        back.spawn(async move {
            let (mut connection, turned_away) = come_back(port, &client, head, &known).await;
            arrive.send((began.elapsed().as_secs_f64(), turned_away)).expect("somebody counts");
            told.wait_for(|told| *told).await.expect("all are told");
            read_to(&mut connection, &known, head, last).await;
        });
    }
    drop(arrive);
    while level.len() < clients.len() {
        // It ends early when somebody has found something wrong.
        let (after, again) = within("the next to be level", arrived.recv()).await.expect("all come back");
        level.push(after);
        turned_away += again;
    }
    let (cpu, resident) = (server.cpu() - before, server.resident());
    say(&mut speaker, last..=last).await;
    tell.send_replace(true);
    back.join_all().await;
    Figures { level, cpu, resident, turned_away }
}

async fn measure() {
    let (runs, clients) = if quick() { (1, CLIENTS / 20) } else { (RUNS, CLIENTS) };
    let cases = [("nothing missed", false), ("messages missed", true)];
    let mut figures = cases.map(|_| Vec::new());
    for _ in 0..runs {
        for (figures, (_, missed)) in figures.iter_mut().zip(cases) {
            figures.push(run(clients, missed).await);
        }
    }
    println!(
        "{clients} clients come back at once; {AWAY} messages were said meanwhile, {} more missed by half of them",
        BEFORE / 2
    );
    let middle = |figures: &[Figures], part: fn(&Figures) -> f64| median(figures.iter().map(part));
    let all = |figures: &Figures| quantile(1.0, figures.level.iter().copied());
    for ((name, _), own) in cases.iter().zip(&figures) {
        let (time, cpu) = (middle(own, all), middle(own, |f| f.cpu));
        println!(
            "  {name:<15} all level after {time:>6.2} s = {:.2} x, half after {:>5.2} s; server {:>4.0} us a client = {:.2} x; {:.0} MB resident; turned away {:.0} times",
            time / middle(&figures[0], all),
            middle(own, |f| quantile(0.5, f.level.iter().copied())),
            cpu * 1e6 / clients as f64,
            cpu / middle(&figures[0], |f| f.cpu),
            middle(own, |f| f.resident) / 1e6,
            middle(own, |f| f.turned_away as f64),
        );
    }
}

fn main() {
    if selected("recovery") {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(measure());
    }
}
