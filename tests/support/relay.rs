//! Relays between programs and a server, which fail as a network does and a server alone does not: they lose what is on its way
//! back, with the connection or without a sign, when the test says so.
//!
//! ```text
//!   program ──► Relay, which listens on a port of its own ──► server
//!      ◄─────── Line: what of the answers goes on, and when ◄────┘
//! ```
//!
//! A [`RedisRelay`] loses events, a [`PostgresRelay`] the answers to commits. While the server is away, connections end as soon as
//! they have come about.

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{postgres::Postgres, redis::Redis, within};

/// Carries connections on to a server until it is dropped.
struct Relay {
    port: u16,
    task: JoinHandle<()>,
}

/// What becomes of what passes on one connection.
trait Line: Send + 'static {
    /// This goes to the server now.
    fn asked(&mut self, bytes: &[u8]);

    /// This has come from the server, nothing after [`Self::changed`]; gives what goes on to the program now, or none where the
    /// connection ends instead.
    fn answered(&mut self, bytes: &[u8]) -> Option<Vec<u8>>;

    /// Resolves when the test has changed what becomes of it.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

impl Relay {
    /// To a server on this machine, each connection on a line of its own.
    async fn to<L: Line>(server: u16, line: impl Fn() -> L + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let task = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            while let Ok((program, _)) = listener.accept().await {
                connections.spawn(carry(program, server, line()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { port, task }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Both ends close together, whoever is the first.
async fn carry(mut program: TcpStream, server: u16, mut line: impl Line) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
    program.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_program, mut to_program), (mut from_server, mut to_server)) = (program.split(), server.split());
    let (mut asked, mut answered) = (Vec::with_capacity(1 << 16), Vec::with_capacity(1 << 16));
    loop {
        tokio::select! {
            read = from_program.read_buf(&mut asked) => {
                if read? == 0 {
                    return Ok(());
                }
                line.asked(&asked);
                to_server.write_all(&asked).await?;
                asked.clear();
            }
            read = from_server.read_buf(&mut answered) => {
                if read? == 0 {
                    return Ok(());
                }
                let Some(goes_on) = line.answered(&answered) else { return Ok(()) };
                to_program.write_all(&goes_on).await?;
                answered.clear();
            }
            () = line.changed() => {
                let Some(goes_on) = line.answered(&[]) else { return Ok(()) };
                to_program.write_all(&goes_on).await?;
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What becomes of the events that Redis has for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    Come,
    /// They are gone, and everything else goes on: nobody can know.
    AreLost,
    /// They wait for another of these.
    Wait,
}

/// Between a program and Redis, for either backend.
pub struct RedisRelay {
    relay: Relay,
    order: watch::Sender<Order>,
    /// What was lost since the last order.
    lost: watch::Sender<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    events: Events,
    /// How often the connections for events were cut.
    cuts: u64,
}

impl RedisRelay {
    pub async fn before(redis: &Redis) -> Self {
        let order = watch::Sender::new(Order { events: Events::Come, cuts: 0 });
        let lost = watch::Sender::new(Vec::new());
        let (subscribed, losing) = (order.clone(), lost.clone());
        let line = move || {
            let cuts = subscribed.borrow().cuts;
            RedisLine {
                order: subscribed.subscribe(),
                cuts,
                lost: losing.clone(),
                way: None,
                unread: Vec::new(),
                waiting: Vec::new(),
            }
        };
        Self { relay: Relay::to(redis.port(), line).await, order, lost }
    }

    /// `redis://127.0.0.1:PORT/0`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.relay.port)
    }

    /// From now on.
    pub fn events(&self, events: Events) {
        self.lost.send_modify(Vec::clear);
        self.order.send_modify(|order| order.events = events);
    }

    /// The connections on which events come end, with what waits. On new ones events come.
    pub fn cut(&self) {
        self.order.send_modify(|order| *order = Order { events: Events::Come, cuts: order.cuts + 1 });
    }

    /// Waits until so many events with this text in them have been lost since they [are](Self::events).
    pub async fn has_lost(&self, count: usize, text: &str) {
        let mut lost = self.lost.subscribe();
        let all = lost.wait_for(|lost| lost.windows(text.len()).filter(|window| *window == text.as_bytes()).count() >= count);
        within(&format!("the loss of {text:?}"), all).await.expect("the relay is there");
    }
}

/// How events come on a connection: the two backends.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As answers to somebody who takes them from a queue.
    Taken,
    Published,
}

impl Way {
    fn of(request: &[u8]) -> Option<Self> {
        if contains(request, b"BZPOPMIN") {
            Some(Self::Taken)
        } else {
            contains(request, b"SUBSCRIBE").then_some(Self::Published)
        }
    }

    /// What comes instead of an event that is lost; none where this is no event.
    fn instead_of(self, value: &[u8]) -> Option<&'static [u8]> {
        let is = |begin: &[u8]| value.starts_with(begin);
        match self {
            // One with its queue and score, or several with their scores: from an empty queue comes nil, or nothing.
            Self::Taken if is(b"*3\r\n") => Some(b"*-1\r\n"),
            Self::Taken if is(b"*") && !is(b"*-1\r\n") => Some(b"*0\r\n"),
            // By its probes a program would know.
            Self::Published if contains(value, b"__probe__") => None,
            Self::Published => (is(b"*3\r\n$7\r\nmessage\r\n") || is(b"*4\r\n$8\r\npmessage\r\n")).then_some(b""),
            Self::Taken => None,
        }
    }
}

struct RedisLine {
    order: watch::Receiver<Order>,
    /// How often the connections for events had been cut when this came about.
    cuts: u64,
    lost: watch::Sender<Vec<u8>>,
    /// None where no events come.
    way: Option<Way>,
    /// The beginning of a value.
    unread: Vec<u8>,
    waiting: Vec<Vec<u8>>,
}

impl Line for RedisLine {
    fn asked(&mut self, bytes: &[u8]) {
        self.way = self.way.or_else(|| Way::of(bytes));
    }

    fn answered(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Order { events, cuts } = *self.order.borrow_and_update();
        self.unread.extend(bytes);
        while let Some(length) = length_of_value(&self.unread) {
            self.waiting.push(self.unread.drain(..length).collect());
        }
        if self.way.is_some() && cuts > self.cuts {
            return None;
        }
        let mut goes_on = Vec::new();
        for value in std::mem::take(&mut self.waiting) {
            let instead = self.way.and_then(|way| way.instead_of(&value));
            match (events, instead) {
                (Events::Come, _) | (_, None) => goes_on.extend(value),
                (Events::AreLost, Some(instead)) => {
                    goes_on.extend(instead);
                    self.lost.send_modify(|lost| lost.extend(value));
                }
                (Events::Wait, Some(_)) => self.waiting.push(value),
            }
        }
        Some(goes_on)
    }

    async fn changed(&mut self) {
        // An error: there is no test any more that could change it.
        if self.order.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The length of the first value in an answer (in RESP 2), once all of it is there.
fn length_of_value(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|end| end == b"\r\n")?;
    let mut length = line + 2;
    // -1 is nil.
    let count = || str::from_utf8(&bytes[1..line]).expect("a number").parse::<isize>().expect("a number");
    match bytes[0] {
        b'$' => length += usize::try_from(count()).map_or(0, |count| count + 2),
        b'*' => {
            for _ in 0..count() {
                length += length_of_value(bytes.get(length..)?)?;
            }
        }
        _ => {}
    }
    (length <= bytes.len()).then_some(length)
}

/// What PostgreSQL says last of a transaction that is committed: a `CommandComplete`.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";
/// What only a connection asks that writes messages.
const WRITES: &[u8] = b"INSERT INTO messages";

/// Between programs and PostgreSQL.
pub struct PostgresRelay {
    relay: Relay,
    /// The next commit of messages loses its answer.
    loses: Arc<AtomicBool>,
    /// How many have.
    losses: watch::Sender<u64>,
}

impl PostgresRelay {
    pub async fn before(postgres: &Postgres) -> Self {
        let (loses, losses) = (Arc::default(), watch::Sender::new(0));
        let (losing, counted) = (Arc::clone(&loses), losses.clone());
        let line =
            move || PostgresLine { loses: Arc::clone(&losing), losses: counted.clone(), writes: false, last: Vec::new() };
        Self { relay: Relay::to(postgres.port(), line).await, loses, losses }
    }

    /// A database of the server, by its URL, as programs find it behind this.
    pub fn url(&self, database: &str) -> String {
        let (_, name) = database.rsplit_once('/').expect("the URL of a database");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.relay.port)
    }

    /// Lets the next transaction that writes messages be committed, and cuts its connection instead of saying so.
    pub async fn loses_an_answer(&self) {
        let before = *self.losses.borrow();
        self.loses.store(true, Ordering::Relaxed);
        let mut losses = self.losses.subscribe();
        within("a commit", losses.wait_for(|losses| *losses > before)).await.expect("the relay is there");
    }

    /// How many answers were lost.
    pub fn losses(&self) -> u64 {
        *self.losses.borrow()
    }
}

struct PostgresLine {
    loses: Arc<AtomicBool>,
    losses: watch::Sender<u64>,
    writes: bool,
    /// The end of what has gone on, in which the sign of a commit may begin.
    last: Vec<u8>,
}

impl Line for PostgresLine {
    fn asked(&mut self, bytes: &[u8]) {
        self.writes |= contains(bytes, WRITES);
    }

    fn answered(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.last.extend(bytes);
        if self.writes && contains(&self.last, COMMITTED) && self.loses.swap(false, Ordering::Relaxed) {
            self.losses.send_modify(|losses| *losses += 1);
            return None;
        }
        let seen = self.last.len().saturating_sub(COMMITTED.len() - 1);
        self.last.drain(..seen);
        Some(bytes.to_vec())
    }

    async fn changed(&mut self) {
        std::future::pending::<()>().await;
    }
}
