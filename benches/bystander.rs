//! What an honest client notices while one other address does what it can to be in the way, within the bounds that are in force by
//! default.
//!
//! The honest client has a connection of `confab.v1` on which it sends a ping every 20 ms, and beside it loads the page of a room with 50
//! messages every 50 ms, over a connection that stays open. Each is timed from the moment when it was due, so that what waits behind a
//! slow one counts as well. That is done for some seconds on an idle server, and then on the same server beside one kind of attack. The
//! attackers are a process of their own at a lower priority. They are on the same cores all the same, so a second server is the control:
//! it is asked the same, is not attacked, and loses only what the machine loses.
//!
//! Attackers come from addresses other than the honest client's: their `WebSockets` and requests through a proxy that is trusted, all for
//! one address; idle TCP connections from one directly. Each says how much it has done and what it was answered, and an attack that
//! was not really made ends the benchmark. Memory is the most that the server has ever had resident.

#![cfg(feature = "ssr")]

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use common::{
    Server,
    connection::{Connection, Form, Inbox},
    median, quantile, quick, selected, text,
};
use flate2::{Compress, Compression, FlushCompress};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::within;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::Instant,
};

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const RUNS: usize = 3;
/// How long is measured, idle and beside the attack each.
const SPAN: Duration = Duration::from_secs(6);
const PING: Duration = Duration::from_millis(20);
const PAGE: Duration = Duration::from_millis(50);
const MESSAGES: usize = 50;
/// What is aimed at: times of the idle server, and bytes.
const MOST_TIMES: f64 = 5.0;
const MOST_BYTES: f64 = 256e6;

/// Whom the trusted proxy speaks for.
const ATTACKER: &str = "203.0.113.7";
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Who connects directly.
const DIRECT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// `WebSockets`, a little below the bound of an address.
const SOCKETS: usize = 190;
/// Of all accounts of the attackers.
const PASSWORD: &str = "correct horse battery";
/// HTTP requests a second: the bound of an address.
const REQUESTS: u32 = 100;

const ROOMS: &str = r#"[{"match": "passing", "history": "none"}, {"match": "*", "history": "store"}]"#;
/// The bounds are those that are in force by default.
const SETTINGS: [(&str, &str); 6] = [
    ("ROOMS", ROOMS),
    ("SERVER__TRUSTED_PROXIES", r#"["127.0.0.3"]"#),
    ("LIMITS__CONNECTIONS_PER_ADDRESS", "200"),
    ("LIMITS__MESSAGES_PER_SECOND", "20"),
    ("LIMITS__BYTES_PER_SECOND", "1048576"),
    ("ACCOUNTS__SIGN_UP", "open"),
];

/// The attacks, and how much each has to have done in a second to count as one.
const ATTACKS: [(&str, f64); 13] = [
    ("nested JSON, deflated", 20.0),
    ("big joins", 20.0),
    ("planted reactions", 10.0),
    ("planted signs of HTML", 10.0),
    ("64 KiB without history", 20.0),
    ("idle TCP and slow heads", 10.0),
    ("searches of a phrase", 1.0),
    ("empty fragments and pings", 20.0),
    ("forms without a cookie", 10.0),
    ("sign-ins", 10.0),
    ("joins of many rooms", 20.0),
    ("planted rooms", 10.0),
    ("unfinished messages and bodies", 10.0),
];

// The honest client.

/// Times in milliseconds.
#[derive(Default)]
struct Times {
    pings: Vec<f64>,
    pages: Vec<f64>,
}

/// What is done at an even pace for a while: how long after it was due each was done.
struct Pace {
    began: Instant,
    every: Duration,
    span: Duration,
    times: Vec<Duration>,
}

impl Pace {
    fn new(every: Duration, span: Duration) -> Self {
        Self { began: Instant::now(), every, span, times: Vec::new() }
    }

    fn next_due(&self) -> Option<Instant> {
        let due = self.every * self.times.len() as u32;
        (due < self.span).then(|| self.began + due)
    }

    /// Waits until the next is due; false at the end.
    async fn is_due(&mut self) -> bool {
        match self.next_due() {
            Some(due) if self.began.elapsed() < self.span => {
                tokio::time::sleep_until(due).await;
                true
            }
            _ => false,
        }
    }

    fn done(&mut self) {
        self.times.extend(self.next_due().map(|due| due.elapsed()));
    }

    /// In milliseconds. What could not even be begun has waited for so long at least.
    fn end(mut self) -> Vec<f64> {
        while let Some(due) = self.next_due() {
            self.times.push(self.began + self.span - due);
        }
        self.times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect()
    }
}

struct Honest {
    socket: Connection,
    client: reqwest::Client,
    page: String,
    last: u32,
}

impl Honest {
    async fn of(server: &Server) -> Self {
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(redirects).no_proxy().build().expect("a client");
        let page = address(server.port(), "/room/quiet/");
        for n in 0..MESSAGES {
            let form = [("key", format!("message-{n}")), ("text", text::said(0, n as u32, 100))];
            let answer = client.post(&page).form(&form).header("cookie", guest(n)).send().await.expect("an answer");
            assert_eq!(answer.status(), 303);
        }
        let socket = server.connect(Form::V1 { history: true }).await.expect("a connection");
        Self { socket, client, page, last: 0 }
    }

    async fn times(&mut self, span: Duration) -> Times {
        let Self { socket, client, page, last } = self;
        let pings = async {
            let mut pace = Pace::new(PING, span);
            while pace.is_due().await {
                *last += 1;
                let answer = socket.ask(*last, &format!(r#"{{"id":{last},"ping":{{}}}}"#)).await;
                pace.done();
                assert!(String::from_utf8_lossy(&answer).contains(r#""ok""#));
            }
            pace.end()
        };
        let pages = async {
            let mut pace = Pace::new(PAGE, span);
            while pace.is_due().await {
                let answer = within("a page", client.get(&*page).send()).await.expect("an answer");
                assert_eq!(answer.status(), 200);
                let body = within("a page", answer.text()).await.expect("a whole answer");
                pace.done();
                let missing = (0..MESSAGES).find(|n| !body.contains(&format!("0 {n} ")));
                assert_eq!(missing, None, "all messages");
            }
            pace.end()
        };
        let (pings, pages) = tokio::join!(pings, pages);
        Times { pings, pages }
    }
}

fn address(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

/// The cookie of a guest.
fn guest(number: usize) -> String {
    format!("confab_guest={number:032x}")
}

// The attackers.

/// What they have done, and what they were answered.
#[derive(Default)]
struct Done {
    acts: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
}

#[derive(Clone)]
struct Attack {
    port: u16,
    done: Arc<Done>,
}

/// A client's frame, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        medium @ 126..=0xFFFF => {
            bytes.push(0xFE);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0xFF);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// A text message, deflated.
fn deflated(text: &str) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(text.len() + 1_024);
    compress.compress_vec(text.as_bytes(), &mut out, FlushCompress::Sync).expect("room for all");
    assert_eq!(compress.total_in(), text.len() as u64);
    assert!(out.ends_with(&[0, 0, 0xFF, 0xFF]));
    out.truncate(out.len() - 4);
    frame(0xC1, &out)
}

impl Attack {
    fn act(&self, bytes: usize) {
        self.done.acts.fetch_add(1, Relaxed);
        self.done.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    async fn connect(&self, from: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// An open WebSocket of a guest, through the proxy; with deflate, and `confab.v1` or not.
    async fn socket(&self, path: &str, number: usize, v1: bool) -> Option<(TcpStream, Inbox)> {
        let mut stream = self.connect(PROXY).await.ok()?;
        let protocol = if v1 { "Sec-WebSocket-Protocol: confab.v1\r\n" } else { "" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\nX-Forwarded-For: {ATTACKER}\r\n\
             Cookie: {}\r\n{protocol}\r\n",
            self.port,
            guest(1_000 + number)
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        // What came behind the head is the beginning of what follows.
        let mut inbox = Inbox::default();
        let head = inbox.head(&mut stream).await?;
        head.starts_with("HTTP/1.1 101").then_some((stream, inbox))
    }

    /// Opens the sockets of the address, each of which says `first` at once and then `rest` again and again, so many times a second, as fast
    /// as it is taken; what it is told is read and counted. One that is closed comes back after a second.
    async fn sockets(&self, path: &'static str, v1: bool, first: Vec<u8>, rest: Vec<u8>, per_second: f64) {
        let (first, rest): (Arc<[u8]>, Arc<[u8]>) = (first.into(), rest.into());
        self.sockets_of(path, v1, |_| (Arc::clone(&first), Arc::clone(&rest)), per_second).await;
    }

    /// The same, where each socket says what it is told to by its number.
    async fn sockets_of(&self, path: &'static str, v1: bool, says: impl Fn(usize) -> (Arc<[u8]>, Arc<[u8]>), per_second: f64) {
        let mut opened = Vec::new();
        for number in 0..SOCKETS {
            opened.push(self.socket(path, number, v1).await.expect("an address may have so many"));
        }
        for (number, mut socket) in opened.into_iter().enumerate() {
            let (attack, (first, rest)) = (self.clone(), says(number));
            tokio::spawn(async move {
                loop {
                    attack.one_socket(socket, &first, &rest, per_second).await;
                    attack.done.refused.fetch_add(1, Relaxed);
                    socket = loop {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        if let Some(socket) = attack.socket(path, number, v1).await {
                            break socket;
                        }
                    };
                }
            });
        }
    }

    async fn one_socket(&self, (stream, mut inbox): (TcpStream, Inbox), first: &[u8], rest: &[u8], per_second: f64) {
        let (mut reading, mut writing) = stream.into_split();
        let read = async {
            inbox.reserve(64 * 1024);
            loop {
                while let Some(frame) = inbox.frame() {
                    if frame.first & 0x0F == 8 {
                        return;
                    }
                    self.done.answered.fetch_add(1, Relaxed);
                    self.done.bytes_in.fetch_add(frame.whole.len() as u64, Relaxed);
                }
                if !inbox.read(&mut reading).await {
                    return;
                }
            }
        };
        let write = async {
            writing.write_all(first).await?;
            self.act(first.len());
            let mut clock = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
            clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                clock.tick().await;
                writing.write_all(rest).await?;
                self.act(rest.len());
            }
            #[allow(unreachable_code, reason = "it says what the block is")]
            Ok::<(), io::Error>(())
        };
        tokio::select! {
            () = read => {}
            // The server has cut it.
            _ = write => {}
        }
    }

    fn client() -> reqwest::Client {
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(redirects).no_proxy().local_address(Some(PROXY.into()));
        client.build().expect("a client")
    }

    /// Asks as often as the address may, whatever the answers; a bounded number is under way.
    fn requests(&self, request: impl Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync + 'static) {
        let (attack, client, request) = (self.clone(), Self::client(), Arc::new(request));
        let under_way = Arc::new(tokio::sync::Semaphore::new(150));
        tokio::spawn(async move {
            let mut clock = tokio::time::interval(Duration::from_secs(1) / REQUESTS);
            for number in 0.. {
                clock.tick().await;
                let permit = Arc::clone(&under_way).acquire_owned().await.expect("it is never closed");
                let (attack, asked) = (attack.clone(), request(&client, number).header("x-forwarded-for", ATTACKER));
                tokio::spawn(async move {
                    attack.act(0);
                    if let Ok(answer) = asked.send().await {
                        let good = answer.status().as_u16() < 400;
                        let counter = if good { &attack.done.answered } else { &attack.done.refused };
                        counter.fetch_add(1, Relaxed);
                        if let Ok(body) = answer.bytes().await {
                            attack.done.bytes_in.fetch_add(body.len() as u64, Relaxed);
                        }
                    }
                    drop(permit);
                });
            }
        });
    }

    /// Says these in a room, each as another guest, by its form; as many as are taken.
    async fn plant(&self, room: &str, texts: impl IntoIterator<Item = String>) {
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().expect("a client");
        for (n, text) in texts.into_iter().enumerate() {
            let form = [("key", format!("planted-{n}")), ("text", text)];
            let said = client.post(address(self.port, &format!("/room/{room}/"))).form(&form);
            let answer = said.header("cookie", guest(500 + n)).send().await.expect("an answer");
            assert_eq!(answer.status(), 303, "{n}");
        }
    }

    /// Begins; it goes on in the background.
    async fn begin(&self, name: &str) {
        match name {
            "nested JSON, deflated" => {
                let nested = deflated(&format!(r#"{{"id":1,"ping":[{}[]]}}"#, "[],".repeat(130_000)));
                self.sockets("/ws/", true, nested.repeat(13), nested, 1.0).await;
            }
            "big joins" => {
                self.plant("joins", (0..9).map(|n| prose(n, 60_000))).await;
                let join = frame(0x81, br#"{"id":1,"join":{"topic":"room/joins"}}"#);
                self.sockets("/ws/", true, join.clone(), join, 20.0).await;
            }
            "planted reactions" => {
                self.plant("planted", (0..18).map(|n| format!("message {n}"))).await;
                self.react().await;
                let port = self.port;
                self.requests(move |client, _| client.get(address(port, "/room/planted/")));
            }
            "planted signs of HTML" => {
                self.plant("signs", (0..8).map(|_| "<".repeat(65_000))).await;
                let port = self.port;
                self.requests(move |client, _| client.get(address(port, "/room/signs/")));
            }
            "64 KiB without history" => {
                let text = deflated(&"x".repeat(65_536));
                self.sockets("/room/passing/", false, text.repeat(80), text, 16.0).await;
            }
            "idle TCP and slow heads" => self.idle(),
            "searches of a phrase" => {
                self.plant("found", (0..60).map(|n| format!("{n} {}", "lorem ipsum dolor ".repeat(3_600)))).await;
                let port = self.port;
                let search =
                    move || address(port, "/api/v1/rooms/found/search?q=%22ipsum%20lorem%22%20%22dolor%20lorem%22&limit=100");
                let client = reqwest::Client::builder().no_proxy().build().expect("a client");
                // Nothing waits for the index; a search may be over before it has come to the oldest.
                let indexed = async {
                    loop {
                        let answer = client.get(address(port, "/api/v1/rooms/found/search?q=lorem&limit=100")).send().await;
                        let body = answer.expect("an answer").text().await.expect("a whole answer");
                        if body.contains(r#""offset":60,"#) {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                };
                within("the index", indexed).await;
                self.requests(move |client, _| client.get(search()));
            }
            "empty fragments and pings" => {
                let begun = frame(0x01, b"");
                let idle =
                    [frame(0x00, b"").repeat(1_000), frame(0x89, &[b'x'; 125]).repeat(100), frame(0x8A, b"").repeat(100)]
                        .concat();
                // As fast as they are taken.
                self.sockets("/room/passing/", false, begun, idle, 1_000.0).await;
            }
            "forms without a cookie" => {
                let port = self.port;
                self.requests(move |client, number| {
                    let form = [("key", format!("form-{number}")), ("text", format!("{number} {}", "x".repeat(60_000)))];
                    client.post(address(port, "/room/forms/")).form(&form)
                });
            }
            "sign-ins" => {
                self.sign_up("flooder").await;
                let port = self.port;
                self.requests(move |client, number| {
                    // One knows the password of an account; of others it is guessed.
                    let name = if number % 2 == 0 { "flooder".to_owned() } else { format!("name{number}") };
                    client.post(address(port, "/login")).form(&[("name", name.as_str()), ("password", PASSWORD)])
                });
            }
            "joins of many rooms" => {
                let join = |number: usize, room: usize| {
                    frame(0x81, format!(r#"{{"id":1,"join":{{"topic":"room/many-{number}-{room}"}}}}"#).as_bytes())
                };
                let says = |number: usize| {
                    let first: Vec<u8> = (0..100).flat_map(|room| join(number, room)).collect();
                    let leave = format!(r#"{{"id":1,"leave":{{"topic":"room/many-{number}-0"}}}}"#);
                    let rest = [frame(0x81, leave.as_bytes()), join(number, 0)].concat();
                    (first.into(), rest.into())
                };
                self.sockets_of("/ws/", true, says, 5.0).await;
            }
            "planted rooms" => {
                let cookie = self.plant_rooms().await;
                let port = self.port;
                self.requests(move |client, _| client.get(address(port, "/")).header("cookie", &cookie));
            }
            "unfinished messages and bodies" => {
                // As long as a command may be with its JSON escaped, but for its end.
                let begun = frame(0x01, &vec![b'x'; 390_000]);
                self.sockets("/ws/", true, begun, frame(0x89, b""), 1.0).await;
                self.bodies();
            }
            other => panic!("there is no attack {other:?}"),
        }
    }

    /// Somebody has an account; the cookie of their session.
    async fn sign_up(&self, name: &str) -> String {
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(redirects).no_proxy().build().expect("a client");
        let form = [("name", name), ("password", PASSWORD)];
        let answer = client.post(address(self.port, "/signup")).form(&form).send().await.expect("an answer");
        assert_eq!(answer.status(), 303, "{name}");
        let cookies = answer.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
        let mut sessions = cookies.filter(|cookie| cookie.starts_with("confab_session=") && !cookie.contains("Max-Age=0"));
        sessions.next().and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned()
    }

    /// As many direct rooms with one account as its others may make; the cookie of that one.
    async fn plant_rooms(&self) -> String {
        const OTHERS: usize = 9;
        let whose = self.sign_up("whose").await;
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(redirects).no_proxy().build().expect("a client");
        let mut cookies = Vec::new();
        for number in 0..OTHERS {
            cookies.push(self.sign_up(&format!("other{number}")).await);
        }
        let mut taken = 0;
        for (number, cookie) in cookies.iter().enumerate() {
            // Each set of the five that come after them.
            for set in 0..32 {
                let with: Vec<_> = (0..5).filter(|bit| set >> bit & 1 == 1).collect();
                let with: Vec<_> = with.iter().map(|bit| format!("@other{}", (number + 1 + bit) % OTHERS)).collect();
                let form = [("with", with.join(" "))];
                let made = client.post(address(self.port, "/people/@whose/direct")).form(&form).header("cookie", cookie);
                taken += usize::from(made.send().await.expect("an answer").status() == 303);
            }
        }
        assert!(taken >= 100, "rooms were planted: {taken}");
        whose
    }

    /// As many forms on their way as there can be, each but for its last bytes; one that ends is begun again.
    fn bodies(&self) {
        const CONNECTIONS: usize = 400;
        for _ in 0..CONNECTIONS {
            let attack = self.clone();
            tokio::spawn(async move {
                loop {
                    let Ok(mut stream) = attack.connect(PROXY).await else {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        continue;
                    };
                    let head = format!(
                        "POST /room/bodies/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {ATTACKER}\r\n\
                         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 200000\r\n\r\nkey=k&text="
                    );
                    attack.act(head.len());
                    let sent = [head.as_bytes(), &vec![b'x'; 199_000]].concat();
                    let mut told = Vec::new();
                    // It ends when the server ends it, with or without a word.
                    let _ = stream.write_all(&sent).await;
                    let _ = stream.read_to_end(&mut told).await;
                    attack.done.refused.fetch_add(1, Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
        }
    }

    /// A hundred reactions to each message of the room `planted`, or as many as are taken, by many guests.
    async fn react(&self) {
        let mut guests = Vec::new();
        for number in 0..SOCKETS {
            guests.push(self.socket("/room/planted/", number, true).await.expect("an address may have so many"));
        }
        let history = reqwest::get(address(self.port, "/api/v1/rooms/planted/messages")).await.expect("an answer");
        let body = history.text().await.expect("a whole answer");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let ids: Vec<_> = body["messages"].as_array().expect("a list").iter().map(|message| message["id"].clone()).collect();
        assert_eq!(ids.len(), 18);
        let mut reacting = Vec::new();
        for (number, (mut stream, mut inbox)) in guests.into_iter().enumerate() {
            let commands: Vec<_> = (0..10)
                .map(|n| {
                    let (message, kind) = (&ids[(number + n) % ids.len()], number * 10 + n);
                    let emoji = char::from_u32(0x1F300 + (kind % 100) as u32).expect("an emoji");
                    format!(
                        r#"{{"id":{n},"react":{{"topic":"room/planted","message":{message},"emoji":"{emoji}","on":true}}}}"#
                    )
                })
                .collect();
            reacting.push(tokio::spawn(async move {
                let all: Vec<u8> = commands.iter().flat_map(|command| frame(0x81, command.as_bytes())).collect();
                stream.write_all(&all).await.expect("a server that listens");
                let (mut answers, mut taken) = (0, 0);
                while answers < commands.len() {
                    while let Some(frame) = inbox.frame() {
                        let answer = String::from_utf8_lossy(frame.payload).into_owned();
                        answers += usize::from(answer.starts_with(r#"{"id":"#));
                        taken += usize::from(answer.starts_with(r#"{"id":"#) && answer.contains(r#""ok""#));
                    }
                    assert!(answers == commands.len() || within("an answer", inbox.read(&mut stream)).await, "it is open");
                }
                taken
            }));
        }
        let mut taken = 0;
        for reacting in reacting {
            taken += reacting.await.expect("they are answered");
        }
        assert!(taken >= 18 * 10, "reactions were planted: {taken}");
    }

    /// As many TCP connections as there can be, half of them with a head that goes on; one that ends is opened again.
    fn idle(&self) {
        const CONNECTIONS: usize = 2_000;
        for number in 0..CONNECTIONS {
            let attack = self.clone();
            tokio::spawn(async move {
                loop {
                    let Ok(mut stream) = attack.connect(DIRECT).await else {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        continue;
                    };
                    attack.act(0);
                    if number % 2 == 0 {
                        // Up to some kilobytes below the bound on a head.
                        let mut sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
                        for _ in 0..30 {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                            if sent.is_err() {
                                break;
                            }
                            sent = stream.write_all(&[b'x'; 1_000]).await;
                        }
                    }
                    let mut told = Vec::new();
                    // It ends when the server ends it, with or without a word.
                    let _ = stream.read_to_end(&mut told).await;
                    let counter = if told.is_empty() { &attack.done.answered } else { &attack.done.refused };
                    counter.fetch_add(1, Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
        }
    }
}

/// Text that shrinks as people's does.
fn prose(seed: u32, length: usize) -> String {
    const WORDS: [&str; 16] = [
        "the", "of", "river", "and", "morning", "to", "house", "without", "a", "quiet", "never", "in", "letter", "because",
        "green", "walked",
    ];
    let (mut text, mut state) = (String::new(), seed.wrapping_mul(2_654_435_761).wrapping_add(1));
    while text.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(WORDS[(state >> 28) as usize]);
        text.push(if state & 0x0F00_0000 == 0 { '\n' } else { ' ' });
    }
    text.truncate(length);
    text.trim_end().to_owned()
}

/// What [`Attackers`] runs.
async fn be_attackers(port: u16, name: &str) {
    let say = |line: String| {
        println!("{line}");
        io::stdout().flush().expect("a pipe");
    };
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("its own bound");
    let attack = Attack { port, done: Arc::default() };
    attack.begin(name).await;
    say("ready".to_owned());
    let closed = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()).expect("a pipe"));
    closed.await.expect("read");
    let Done { acts, answered, refused, bytes_out, bytes_in } = &*attack.done;
    let counts = [acts, answered, refused, bytes_out, bytes_in].map(|counter| counter.load(Relaxed).to_string());
    say(counts.join(" "));
}

/// The attackers, in a process of their own; killed when dropped.
struct Attackers {
    child: Child,
    /// Closed to end them.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Attackers {
    /// They are at it when this returns.
    fn start(port: u16, name: &str) -> Self {
        let mut command = Command::new("nice");
        command.arg("--adjustment=10").arg(env::current_exe().expect("this program")).args([
            "--attack",
            &port.to_string(),
            name,
        ]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("nice");
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("a pipe")));
        let mut attackers = Self { child, input, output };
        assert_eq!(attackers.line(), "ready");
        attackers
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a pipe");
        line.trim().to_owned()
    }

    /// Ends them: acts, answers, refusals, bytes out and in.
    fn end(mut self) -> [f64; 5] {
        self.input.take();
        let line = self.line();
        let counts: Vec<f64> = line.split(' ').map(|count| count.parse().expect("a number")).collect();
        counts.try_into().expect("five numbers")
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        // They may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Run {
    idle: Times,
    beside: Times,
    control: Times,
    peak: f64,
    counts: [f64; 5],
}

async fn run(name: &'static str, span: Duration) -> Run {
    let (server, control) = (Server::confab(&SETTINGS).await, Server::confab(&SETTINGS).await);
    let (mut honest, mut on_control) = (Honest::of(&server).await, Honest::of(&control).await);
    // The first ones bring everything into memory.
    tokio::join!(honest.times(span / 4), on_control.times(span / 4));
    let (idle, _) = tokio::join!(honest.times(span), on_control.times(span));
    let port = server.port();
    let attackers =
        within("attackers", tokio::task::spawn_blocking(move || Attackers::start(port, name))).await.expect("attackers");
    let (beside, control) = tokio::join!(honest.times(span), on_control.times(span));
    let counts = attackers.end();
    Run { idle, beside, control, peak: server.peak(), counts }
}

async fn measure(name: &'static str, least: f64) {
    let (runs, span) = if quick() { (1, SPAN / 4) } else { (RUNS, SPAN) };
    let mut figures = Vec::new();
    for _ in 0..runs {
        let run = run(name, span).await;
        let [acts, answered, refused, ..] = run.counts;
        let most = acts.max(answered + refused);
        assert!(most >= least * span.as_secs_f64(), "{name} was no attack: {:?}", run.counts);
        figures.push(run);
    }
    let middle = |part: &dyn Fn(&Run) -> f64| median(figures.iter().map(part));
    let peak = middle(&|run| run.peak);
    let counts: Vec<_> = (0..5).map(|n| middle(&|run| run.counts[n]) / span.as_secs_f64()).collect();
    println!(
        "{name}: {:.0} acts/s, {:.0} answered, {:.0} refused, {:.2} MB/s in, {:.2} MB/s out; at most {:.1} MB resident{}",
        counts[0],
        counts[1],
        counts[2],
        counts[3] / 1e6,
        counts[4] / 1e6,
        peak / 1e6,
        if peak > MOST_BYTES { " TOO MUCH" } else { "" }
    );
    for (what, part) in [("ping", (|times| &times.pings) as fn(&Times) -> &Vec<f64>), ("room page", |times| &times.pages)] {
        let of = |q: f64, times: &dyn Fn(&Run) -> &Times| middle(&|run| quantile(q, part(times(run)).iter().copied()));
        let [idle50, idle99] = [0.5, 0.99].map(|q| of(q, &|run| &run.idle));
        let [beside50, beside99] = [0.5, 0.99].map(|q| of(q, &|run| &run.beside));
        let [control50, control99] = [0.5, 0.99].map(|q| of(q, &|run| &run.control));
        println!(
            "  {what:<9} idle p50 {idle50:>7.2} ms, p99 {idle99:>7.2} ms; beside it p50 {beside50:>7.2} ms = {:.1} x, p99 {beside99:>8.2} ms = {:.1} x{}; \
             control {:.1} x, {:.1} x",
            beside50 / idle50,
            beside99 / idle99,
            if beside99 / idle99 > MOST_TIMES { " TOO SLOW" } else { "" },
            control50 / idle50,
            control99 / idle99,
        );
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let arguments: Vec<_> = env::args().collect();
    if let [_, flag, port, name] = &arguments[..]
        && flag == "--attack"
    {
        return runtime.block_on(be_attackers(port.parse().expect("a port"), name));
    }
    for (name, least) in ATTACKS.into_iter().filter(|attack| selected(attack.0)) {
        runtime.block_on(measure(name, least));
    }
}
