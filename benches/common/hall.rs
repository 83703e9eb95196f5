//! A hall of members, some of whom speak, and all of whom check everything that they get: whole, in order, once.
//!
//! Members are tasks of this process, each with a socket of its own. What a frame says is found out once and then known by its bytes
//! ([`Hall::hear`]): all members get the same ones, and what they cost is taken from the server on the same cores.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use flate2::{Decompress, FlushDecompress};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value as Json, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::Notify,
    task::JoinHandle,
};

use super::{
    Server,
    connection::{Connection, Form, Frame, Inbox, text_frame},
    delays::Delays,
    text,
};
use crate::support::within;

const TEXT: u8 = 0x81;
const DEFLATED: u8 = 0xC1;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: [u8; 6] = [0x8A, 0x80, 0, 0, 0, 0];

/// How members talk.
#[derive(Clone, Copy)]
pub struct Talk {
    pub form: Form,
    pub members: usize,
    /// How many more of them speak; each waits for its own messages only.
    pub speakers: usize,
    /// How many messages each speaker may have on their way.
    pub on_the_way: u32,
    /// How many of these it sends with one write, all or one after the other.
    pub together: u32,
    /// How many each says.
    pub messages: u32,
    /// The size of each text, in bytes.
    pub payload: usize,
    /// Members note how long each delivery took; there is one speaker then.
    pub timed: bool,
}

impl Talk {
    /// A thousand plain members and one who speaks, with one message of 64 bytes on its way.
    pub const ONE: Self = Self {
        form: Form::Plain,
        members: 1_000,
        speakers: 1,
        on_the_way: 1,
        together: 1,
        messages: 400,
        payload: 64,
        timed: false,
    };
    /// With eight.
    pub const BURST: Self = Self { on_the_way: 8, messages: 1_600, ..Self::ONE };
}

/// What a talk has cost and how long it took.
pub struct Cost {
    /// Of the servers' time for a delivery, in microseconds.
    pub cpu: f64,
    /// Deliveries in a second of the clock on the wall.
    pub rate: f64,
    /// What a member reads for a message, in bytes with the frame's head.
    pub bytes: f64,
    /// With one message on its way, how long each took from the sender to the last member, in milliseconds.
    pub latencies: Vec<f64>,
}

/// What a frame says.
#[derive(Clone, Copy)]
struct Heard {
    speaker: usize,
    number: u32,
    offset: Option<u64>,
}

/// What one speaker has said, and how many of the members have it.
#[derive(Default)]
struct Said {
    deliveries: AtomicU64,
    bytes: AtomicU64,
    /// When as many deliveries had been made as so many messages take.
    complete: Mutex<Vec<Instant>>,
    changed: Notify,
    /// How many commands of `confab.v1` the server has accepted.
    accepted: AtomicU64,
}

impl Said {
    /// One more delivery; so many make a message complete.
    fn add(&self, bytes: usize, until: u64) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if (self.deliveries.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(until) {
            self.complete.lock().push(Instant::now());
            self.changed.notify_one();
        }
    }

    async fn reach(&self, messages: u32) {
        while self.complete.lock().len() < messages as usize {
            self.changed.notified().await;
        }
    }

    async fn accept(&self, commands: u64) {
        while self.accepted.load(Ordering::Relaxed) < commands {
            self.changed.notified().await;
        }
    }
}

/// Where members talk.
pub struct Hall {
    talk: Talk,
    speakers: Vec<Said>,
    /// Members that have got anything.
    warm: Said,
    /// What is known of frames, by their bytes.
    known: RwLock<HashMap<Vec<u8>, Option<Heard>>>,
    delays: Option<Delays>,
}

impl Hall {
    /// What a frame says, if it is a message. The first to ask finds it out.
    fn hear(&self, frame: &Frame<'_>) -> Option<Heard> {
        if let Some(heard) = self.known.read().get(frame.whole) {
            return *heard;
        }
        let heard = understand(self.talk, frame);
        self.known.write().insert(frame.whole.to_vec(), heard);
        heard
    }
}

fn understand(talk: Talk, frame: &Frame<'_>) -> Option<Heard> {
    let checked = |text: &str, offset| {
        let (speaker, number) = text::checked(text, talk.payload);
        Some(Heard { speaker, number, offset })
    };
    match talk.form {
        Form::Plain => {
            assert_eq!(frame.first, TEXT, "a text message");
            checked(str::from_utf8(frame.payload).expect("text"), None)
        }
        Form::Deflate => {
            assert_eq!(frame.first, DEFLATED, "a deflated text message");
            checked(&inflated(frame.payload), None)
        }
        Form::V1 { history } => {
            assert_eq!(frame.first, TEXT, "a text message");
            let push: Json = serde_json::from_slice(frame.payload).expect("JSON");
            let event = &push["event"];
            // Who is here is told as people come.
            if event["type"] == "presence" {
                return None;
            }
            assert_eq!((&push["topic"], &event["type"]), (&json!("room/bench"), &json!("message")), "{push}");
            assert_eq!(push["offset"].is_u64(), history, "{push}");
            let heard = checked(event["text"].as_str().expect("a text"), push["offset"].as_u64())?;
            assert!(heard.number == 0 || event["key"] == key(heard.speaker, heard.number), "{push}");
            Some(heard)
        }
    }
}

fn inflated(payload: &[u8]) -> String {
    let mut text = Vec::with_capacity(1 << 16);
    let whole = [payload, &[0, 0, 0xFF, 0xFF]].concat();
    Decompress::new(false).decompress_vec(&whole, &mut text, FlushDecompress::Sync).expect("DEFLATE");
    String::from_utf8(text).expect("text")
}

/// Reads and checks until the server is gone.
async fn member(connection: Connection, hall: Arc<Hall>) {
    let Connection { mut stream, mut inbox, welcome } = connection;
    let members = hall.talk.members as u64;
    let mut offset = welcome.and_then(|welcome| welcome["welcome"]["joined"]["offset"].as_u64());
    let (mut last, mut warm) = (vec![0; hall.talk.speakers], false);
    inbox.reserve(16 * 1024);
    loop {
        let mut pinged = false;
        while let Some(frame) = inbox.frame() {
            match frame.first {
                CLOSE => return,
                PING => {
                    pinged = true;
                    continue;
                }
                _ => {}
            }
            let Some(Heard { speaker, number, offset: here }) = hall.hear(&frame) else { continue };
            if here.is_some() {
                assert_eq!(here, offset.map(|before| before + 1), "offsets that rise by one");
                offset = here;
            }
            if number > 0 {
                assert_eq!(number, last[speaker] + 1, "in order, none lost, none twice");
                last[speaker] = number;
                if let Some(delays) = &hall.delays {
                    delays.arrived(number);
                }
                hall.speakers[speaker].add(frame.whole.len(), members);
            }
            if !warm {
                warm = true;
                hall.warm.add(0, members);
            }
        }
        if pinged {
            // The server may be gone.
            let _ = stream.write_all(&PONG).await;
        }
        if !inbox.read(&mut stream).await {
            return;
        }
    }
}

/// A speaker hears what it says too; what it counts are the replies.
async fn overhear(speaker: usize, mut stream: OwnedReadHalf, mut inbox: Inbox, hall: Arc<Hall>) {
    while inbox.read(&mut stream).await {
        while let Some(frame) = inbox.frame() {
            if frame.payload.starts_with(br#"{"id":"#) {
                let reply: Json = serde_json::from_slice(frame.payload).expect("JSON");
                assert!(reply["ok"].is_object(), "{reply}");
                hall.speakers[speaker].accepted.fetch_add(1, Ordering::Relaxed);
                hall.speakers[speaker].changed.notify_one();
            }
        }
    }
}

fn key(speaker: usize, number: u32) -> String {
    format!("bench-{speaker}-{number}")
}

/// What a speaker sends for a text.
fn sent(form: Form, id: u32, key: &str, text: &str) -> Vec<u8> {
    match form {
        Form::Plain | Form::Deflate => text_frame(text),
        Form::V1 { .. } => {
            text_frame(&json!({"id": id, "send": {"topic": "room/bench", "key": key, "text": text}}).to_string())
        }
    }
}

/// One who speaks.
struct Speaker {
    number: usize,
    stream: OwnedWriteHalf,
    /// Texts said while the hall warmed up.
    before: u32,
    /// When it said what.
    said: Vec<Instant>,
}

impl Speaker {
    /// What tells whether members are there; each with a key of its own, or it would be the same message.
    async fn call(&mut self, talk: Talk) {
        self.before += 1;
        let frame = sent(talk.form, 0, &format!("call-{}", self.before), &text::said(0, 0, talk.payload));
        self.stream.write_all(&frame).await.expect("a server that listens");
    }

    async fn say(&mut self, talk: Talk, numbers: impl IntoIterator<Item = u32>) {
        let mut frames = Vec::new();
        for n in numbers {
            let text = text::said(self.number, n, talk.payload);
            frames.extend(sent(talk.form, n, &key(self.number, n), &text));
            self.said.push(Instant::now());
        }
        self.stream.write_all(&frames).await.expect("a server that listens");
    }

    /// Says everything, never with more on the way than may be.
    async fn speak(mut self, hall: Arc<Hall>) -> Self {
        let (talk, said) = (hall.talk, &hall.speakers[self.number]);
        for first in (1..=talk.messages).step_by(talk.together as usize) {
            let last = (first + talk.together - 1).min(talk.messages);
            self.say(talk, first..=last).await;
            within("a message to all", said.reach((last + talk.together).saturating_sub(talk.on_the_way))).await;
        }
        within("all messages", said.reach(talk.messages)).await;
        if matches!(talk.form, Form::V1 { .. }) {
            within("all replies", said.accept(u64::from(talk.messages + self.before))).await;
        }
        self
    }
}

/// Members that are there, and speakers that have not spoken yet.
pub struct Gathering {
    hall: Arc<Hall>,
    speakers: Vec<Speaker>,
    tasks: Vec<JoinHandle<()>>,
}

impl Gathering {
    /// Spreads members over the servers on these ports; speakers are on the first. Each member has got something when this returns.
    pub async fn new(ports: &[u16], talk: Talk) -> Self {
        let said = (0..talk.speakers).map(|_| Said::default()).collect();
        let delays = talk.timed.then(|| Delays::new(talk.messages));
        let hall = Arc::new(Hall { talk, speakers: said, warm: Said::default(), known: RwLock::default(), delays });
        let (mut speakers, mut tasks) = (Vec::new(), Vec::new());
        for n in 0..talk.members {
            let connection = Connection::open(ports[n % ports.len()], talk.form).await.expect("a connection");
            tasks.push(tokio::spawn(member(connection, Arc::clone(&hall))));
        }
        for number in 0..talk.speakers {
            let Connection { stream, inbox, .. } = Connection::open(ports[0], talk.form).await.expect("a connection");
            let (reading, stream) = stream.into_split();
            tasks.push(tokio::spawn(overhear(number, reading, inbox, Arc::clone(&hall))));
            speakers.push(Speaker { number, stream, before: 0, said: Vec::new() });
        }
        let mut gathering = Self { hall, speakers, tasks };
        // Nodes join a group when their first member comes; what is said before does not reach them.
        let warm = &gathering.hall.warm;
        while warm.complete.lock().is_empty() {
            gathering.speakers[0].call(talk).await;
            let _ = tokio::time::timeout(Duration::from_secs(2), warm.reach(1)).await;
        }
        gathering
    }

    /// Has the first speaker say everything at an even pace, and waits until all members have it. A message that is late is followed by
    /// the next at once.
    pub async fn speak_evenly(&mut self, per_second: u32) -> &Delays {
        let delays = self.hall.delays.as_ref().expect("a talk that is timed");
        let mut clock = tokio::time::interval(Duration::from_secs(1) / per_second);
        for number in 1..=self.hall.talk.messages {
            clock.tick().await;
            delays.sent(number);
            self.speakers[0].say(self.hall.talk, [number]).await;
        }
        within("all messages", self.hall.speakers[0].reach(self.hall.talk.messages)).await;
        delays
    }

    /// Panics unless everybody is still there: who finds something wrong ends.
    pub fn assert_whole(&self) {
        assert!(self.tasks.iter().all(|task| !task.is_finished()), "somebody was cut off or got what is wrong; see above");
    }
}

/// Has members, spread over the servers, talk on the first.
pub async fn cost(servers: &[Server], talk: Talk) -> Cost {
    let ports: Vec<_> = servers.iter().map(Server::port).collect();
    let mut gathering = Gathering::new(&ports, talk).await;
    let cpu = || servers.iter().map(Server::cpu).sum::<f64>();
    let (before, began) = (cpu(), Instant::now());
    let speakers = gathering.speakers.drain(..).map(|speaker| tokio::spawn(speaker.speak(Arc::clone(&gathering.hall))));
    let speakers: Vec<_> = speakers.collect();
    for speaker in speakers {
        // They stay until the end.
        gathering.speakers.push(speaker.await.expect("all was heard"));
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = cpu() - before;
    gathering.assert_whole();
    let messages = talk.speakers as f64 * f64::from(talk.messages);
    let bytes: u64 = gathering.hall.speakers.iter().map(|said| said.bytes.load(Ordering::Relaxed)).sum();
    // The speakers are members too.
    let deliveries = messages * (talk.members + talk.speakers) as f64;
    Cost {
        cpu: cpu * 1e6 / deliveries,
        rate: deliveries / seconds,
        bytes: bytes as f64 / (messages * talk.members as f64),
        latencies: latencies(&gathering),
    }
}

/// How long each message took from the sender to the last member, in milliseconds. Only where there was one at a time is it known
/// which delivery was the last of which message.
fn latencies(gathering: &Gathering) -> Vec<f64> {
    let ([speaker], [heard]) = (&gathering.speakers[..], &gathering.hall.speakers[..]) else { return Vec::new() };
    if gathering.hall.talk.on_the_way > 1 {
        return Vec::new();
    }
    let complete = heard.complete.lock();
    speaker.said.iter().zip(&*complete).map(|(said, complete)| complete.duration_since(*said).as_secs_f64() * 1e3).collect()
}

/// Has the members of one server talk at a pace, so many messages a second, until the signal comes. `ready` is called when they begin.
/// Returns how many deliveries came in a second. A message that is late is not made up for.
pub async fn keep_talking(port: u16, talk: Talk, per_second: u32, ready: impl FnOnce(), stop: impl Future<Output = ()>) -> f64 {
    let mut gathering = Gathering::new(&[port], talk).await;
    ready();
    let began = Instant::now();
    let mut clock = tokio::time::interval(Duration::from_secs(1) / per_second);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut said, mut stop) = (0, std::pin::pin!(stop));
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = clock.tick() => {}
        }
        said += 1;
        gathering.speakers[0].say(talk, [said]).await;
    }
    within("what was said last", gathering.hall.speakers[0].reach(said)).await;
    let seconds = began.elapsed().as_secs_f64();
    gathering.assert_whole();
    f64::from(said) * talk.members as f64 / seconds
}
