//! What the benchmarks of fan-out share: servers in processes of their own, whose time is read from the kernel's accounts, and
//! members who check everything that they get.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
};

use crate::support::{free_port, within};

/// Clock ticks of the kernel's accounts in a second, on Linux.
const TICKS: f64 = 100.0;

/// A server process that carries what is said at `/room/bench/` to everybody there.
pub struct Server {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    /// Confab with further settings, rooms without history and no limits.
    pub async fn confab(settings: &[(&str, String)]) -> Self {
        Self::start(|port| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
            command
                .arg("serve")
                .env("CONFAB_SERVER__LISTEN", format!("127.0.0.1:{port}"))
                .env("CONFAB_ROOMS", r#"[{"match": "*", "history": "none"}]"#)
                .env("CONFAB_LIMITS__CONNECTIONS_PER_ADDRESS", "0")
                .env("CONFAB_LIMITS__MESSAGES_PER_SECOND", "0")
                .env("CONFAB_LIMITS__BYTES_PER_SECOND", "0")
                .envs(settings.iter().map(|(key, value)| (format!("CONFAB_{key}"), value)));
            command
        })
        .await
    }

    /// Whatever listens on the port that it is given.
    pub async fn start(command: impl FnOnce(u16) -> Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut command = command(port);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let server = Self { child, port, _folder: folder };
        within("a server that listens", async { while server.connect().await.is_none() {} }).await;
        server
    }

    /// A member.
    pub async fn connect(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let request = format!(
            "GET /room/bench/ HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Some(stream)
    }

    /// User and system time so far, in seconds.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a process");
        // The name may have spaces; it ends at the last parenthesis.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / TICKS
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How members talk.
#[derive(Clone, Copy)]
pub struct Talk {
    pub members: usize,
    /// How many of them speak; each waits for its own messages only.
    pub speakers: usize,
    /// How many messages each speaker may have on their way.
    pub on_the_way: usize,
    /// How many each says.
    pub messages: u32,
    /// The size of each, in bytes.
    pub payload: usize,
}

/// What a talk has cost and how long it took.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Of the servers' time for a delivery, in microseconds.
    pub cpu: f64,
    /// Deliveries in a second of the clock on the wall.
    pub rate: f64,
}

/// What one speaker has said, and how many of the members have it.
#[derive(Default)]
struct Said {
    deliveries: AtomicU64,
    changed: Notify,
}

struct Hall {
    talk: Talk,
    speakers: Vec<Said>,
    /// Members that have got anything.
    warm: Said,
}

impl Said {
    fn add(&self, deliveries: u64, until: u64) {
        let before = self.deliveries.fetch_add(deliveries, Ordering::Relaxed);
        // A speaker waits for whole messages to all members.
        if before / until != (before + deliveries) / until {
            self.changed.notify_one();
        }
    }

    async fn reach(&self, least: u64) {
        while self.deliveries.load(Ordering::Relaxed) < least {
            self.changed.notified().await;
        }
    }
}

/// The frame of a server: two bytes for short payloads, four for those up to 64 KiB.
fn head(payload: usize) -> Vec<u8> {
    match payload {
        0..126 => vec![0x81, payload as u8],
        _ => [vec![0x81, 126], (payload as u16).to_be_bytes().to_vec()].concat(),
    }
}

/// A text of the right size: speaker, number, filling.
fn text(speaker: usize, number: u32, payload: usize) -> String {
    format!("{:<payload$}", format!("{speaker} {number}"))
}

/// Reads and checks until the server is gone: each speaker's messages once, whole and in order.
async fn member(mut stream: TcpStream, hall: Arc<Hall>) {
    const PING: [u8; 2] = [0x89, 0];
    const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
    let (head, payload) = (head(hall.talk.payload), hall.talk.payload);
    let (mut buffer, mut held) = (vec![0; 16 * 1024], Vec::new());
    let (mut last, mut warm) = (vec![0; hall.talk.speakers], false);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        held.extend_from_slice(&buffer[..count]);
        let mut rest = &held[..];
        loop {
            if let Some(behind) = rest.strip_prefix(&PING) {
                // The server may be gone.
                let _ = stream.write_all(&PONG).await;
                rest = behind;
            }
            let Some((frame, behind)) = rest.split_at_checked(head.len() + payload) else { break };
            rest = behind;
            assert_eq!(frame[..head.len()], head, "a text message of the size");
            let mut words = str::from_utf8(&frame[head.len()..]).expect("text").split_whitespace();
            let mut word = || words.next().expect("a number").parse::<u32>().expect("a number");
            let (speaker, number) = (word() as usize, word());
            if number > 0 {
                assert_eq!(number, last[speaker] + 1, "in order, none lost, none twice");
                last[speaker] = number;
                hall.speakers[speaker].add(1, hall.talk.members as u64);
            }
            if !warm {
                warm = true;
                hall.warm.add(1, hall.talk.members as u64);
            }
        }
        held = rest.to_vec();
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    let mut frame = head(text.len());
    frame[1] |= 0x80;
    frame.extend([0; 4]);
    frame.extend(text.bytes());
    stream.write_all(&frame).await.expect("a server that listens");
}

/// Says everything, never with more on the way than may be.
async fn speak(speaker: usize, mut stream: OwnedWriteHalf, hall: Arc<Hall>) {
    let members = hall.talk.members as u64;
    for number in 1..=hall.talk.messages {
        say(&mut stream, &text(speaker, number, hall.talk.payload)).await;
        let complete = u64::from(number).saturating_sub(hall.talk.on_the_way as u64 - 1) * members;
        within("a message to all", hall.speakers[speaker].reach(complete)).await;
    }
    within("all messages", hall.speakers[speaker].reach(u64::from(hall.talk.messages) * members)).await;
}

/// A speaker is a member too, and no slow reader.
async fn overhear(mut stream: OwnedReadHalf) {
    let mut sink = tokio::io::sink();
    // Until the server is gone.
    let _ = tokio::io::copy(&mut stream, &mut sink).await;
}

/// Has members, spread over the servers, talk on the first.
pub async fn cost(servers: &[Server], talk: Talk) -> Cost {
    let speakers = (0..talk.speakers).map(|_| Said::default()).collect();
    let hall = Arc::new(Hall { talk, speakers, warm: Said::default() });
    for n in 0..talk.members {
        let stream = servers[n % servers.len()].connect().await.expect("a connection");
        tokio::spawn(member(stream, Arc::clone(&hall)));
    }
    let mut streams = Vec::new();
    for _ in 0..talk.speakers {
        let (reading, writing) = servers[0].connect().await.expect("a connection").into_split();
        tokio::spawn(overhear(reading));
        streams.push(writing);
    }
    // Nodes join a group when their first member comes; what is said before does not reach them.
    while hall.warm.deliveries.load(Ordering::Relaxed) < talk.members as u64 {
        say(&mut streams[0], &text(0, 0, talk.payload)).await;
        let _ = tokio::time::timeout(Duration::from_millis(300), hall.warm.reach(talk.members as u64)).await;
    }
    let (before, began) = (servers.iter().map(Server::cpu).sum::<f64>(), Instant::now());
    let speaking = streams.into_iter().enumerate().map(|(n, stream)| tokio::spawn(speak(n, stream, Arc::clone(&hall))));
    let speaking: Vec<_> = speaking.collect();
    for speaker in speaking {
        speaker.await.expect("all was heard");
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = servers.iter().map(Server::cpu).sum::<f64>() - before;
    // The speakers are members too.
    let messages = talk.speakers as f64 * f64::from(talk.messages);
    let deliveries = messages * (talk.members + talk.speakers) as f64;
    Cost { cpu: cpu * 1e6 / deliveries, rate: deliveries / seconds }
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
