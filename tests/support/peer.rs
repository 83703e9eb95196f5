//! Real Python peers: a process that runs `tests/python/peer.py`, with layers of `channels_redis` in it.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use confab::server::layers::{Event, Value};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, oneshot};

use super::{python, within};

/// Which of the Python layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Core,
    PubSub,
}

/// How a layer is made. What is none is left to the defaults of `channels_redis`.
#[derive(Clone, Debug)]
pub struct Options {
    pub backend: Backend,
    /// In the notation of `channels_redis`: URLs, or tables such as `{"sentinels": [["127.0.0.1", 26379]], "master_name": "mymaster"}`.
    pub hosts: Vec<Json>,
    pub prefix: Option<String>,
    /// `msgpack` or `json`.
    pub serializer: Option<&'static str>,
    pub keys: Vec<String>,
    /// Of the core layer only, as are the two below; seconds.
    pub capacity: Option<u32>,
    pub expiry: Option<u32>,
    pub group_expiry: Option<u32>,
}

impl Options {
    pub fn new(backend: Backend, hosts: impl IntoIterator<Item = impl Into<Json>>) -> Self {
        let hosts = hosts.into_iter().map(Into::into).collect();
        let (prefix, serializer, keys) = (None, None, Vec::new());
        Self { backend, hosts, prefix, serializer, keys, capacity: None, expiry: None, group_expiry: None }
    }

    /// The arguments of `open`: those of the layer's constructor are the `options`.
    fn arguments(&self) -> Json {
        let backend = match self.backend {
            Backend::Core => "channels_redis.core",
            Backend::PubSub => "channels_redis.pubsub",
        };
        let options = [
            ("hosts", json!(self.hosts)),
            ("prefix", json!(self.prefix)),
            ("serializer_format", json!(self.serializer)),
            ("symmetric_encryption_keys", if self.keys.is_empty() { Json::Null } else { json!(self.keys) }),
            ("capacity", json!(self.capacity)),
            ("expiry", json!(self.expiry)),
            ("group_expiry", json!(self.group_expiry)),
        ];
        let given: serde_json::Map<_, _> =
            options.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect();
        json!({"backend": backend, "options": given})
    }
}

/// A Python layer in a process that ends with the last of its layers.
#[derive(Clone)]
pub struct Peer {
    process: Arc<Process>,
    layer: u64,
}

/// The messages of a channel that the peer listens on, as they arrive.
pub struct Listener {
    channel: String,
    messages: mpsc::UnboundedReceiver<Event>,
}

impl Peer {
    /// Starts a process with one layer.
    pub async fn start(options: &Options) -> Self {
        Self::open(Arc::new(Process::start()), options).await
    }

    /// Opens another layer in the same process: it shares nothing with this one but the interpreter.
    pub async fn another(&self, options: &Options) -> Self {
        Self::open(Arc::clone(&self.process), options).await
    }

    async fn open(process: Arc<Process>, options: &Options) -> Self {
        let layer = process.call("open", None, options.arguments()).await.expect("a layer").as_u64().expect("its number");
        Self { process, layer }
    }

    /// Sets the clock of the process so many seconds ahead, or back when it is negative.
    pub async fn set_clock_ahead(&self, seconds: f64) {
        self.call("clock", json!({"ahead": seconds})).await;
    }

    /// A fresh channel of this layer.
    pub async fn new_channel(&self) -> String {
        text(self.call("new_channel", json!({"well_hashed": false})).await)
    }

    /// A fresh channel that Python reaches by `send`, which with several hosts of the core backend it does not always: it may
    /// send to one host and listen on another.
    pub async fn new_well_hashed_channel(&self) -> String {
        text(self.call("new_channel", json!({"well_hashed": true})).await)
    }

    /// Sends the events one after the other; the error is Python's exception as `repr` shows it.
    pub async fn try_send(&self, channel: &str, events: &[Event]) -> Result<(), String> {
        let messages: Vec<_> = events.iter().map(event_to_json).collect();
        let done = self.process.call("send", Some(self.layer), json!({"channel": channel, "messages": messages}));
        done.await.map(|_| ())
    }

    pub async fn send(&self, channel: &str, events: &[Event]) {
        self.try_send(channel, events).await.unwrap_or_else(|error| panic!("send to {channel}: {error}"));
    }

    /// See [`Self::try_send`].
    pub async fn try_group_send(&self, group: &str, events: &[Event]) -> Result<(), String> {
        let messages: Vec<_> = events.iter().map(event_to_json).collect();
        let done = self.process.call("group_send", Some(self.layer), json!({"group": group, "messages": messages}));
        done.await.map(|_| ())
    }

    pub async fn group_send(&self, group: &str, events: &[Event]) {
        self.try_group_send(group, events).await.unwrap_or_else(|error| panic!("group_send to {group}: {error}"));
    }

    pub async fn group_add(&self, group: &str, channel: &str) {
        self.call("group_add", json!({"group": group, "channel": channel})).await;
    }

    pub async fn group_discard(&self, group: &str, channel: &str) {
        self.call("group_discard", json!({"group": group, "channel": channel})).await;
    }

    /// Waits for so many messages; the peer does nothing else meanwhile.
    pub async fn receive(&self, channel: &str, count: usize) -> Vec<Event> {
        let messages = self.call("receive", json!({"channel": channel, "count": count})).await;
        messages.as_array().expect("a list").iter().map(event_from_json).collect()
    }

    /// Reads the channel from now on, also through times when Redis is not there. Once for each channel.
    pub async fn listen(&self, channel: impl Into<String>) -> Listener {
        let channel = channel.into();
        let (sender, messages) = mpsc::unbounded_channel();
        self.process.heard.listeners.lock().insert((self.layer, channel.clone()), sender);
        self.call("listen", json!({"channel": &channel})).await;
        Listener { channel, messages }
    }

    pub async fn flush(&self) {
        self.call("flush", json!({})).await;
    }

    /// How many seconds Python takes to send the event to the channel so many times, one after the other.
    pub async fn bench_send(&self, channel: &str, event: &Event, count: usize) -> f64 {
        self.bench(json!({"channel": channel, "message": event_to_json(event), "count": count})).await
    }

    /// The same for a group.
    pub async fn bench_group_send(&self, group: &str, event: &Event, count: usize) -> f64 {
        self.bench(json!({"group": group, "message": event_to_json(event), "count": count})).await
    }

    async fn bench(&self, arguments: Json) -> f64 {
        self.call("bench", arguments).await.as_f64().expect("seconds")
    }

    /// What went wrong in listeners of this process so far, as Python's exceptions.
    pub fn troubles(&self) -> Vec<String> {
        self.process.heard.troubles.lock().clone()
    }

    async fn call(&self, what: &str, arguments: Json) -> Json {
        self.process.call(what, Some(self.layer), arguments).await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }
}

impl Listener {
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The next message.
    pub async fn next(&mut self) -> Event {
        within("a message to the Python peer", self.messages.recv()).await.expect("the peer ended")
    }

    /// A message that has arrived and was not yet asked for.
    pub fn now(&mut self) -> Option<Event> {
        self.messages.try_recv().ok()
    }
}

/// What the peer answers: the value, or Python's exception.
type Answer = Result<Json, String>;

/// The interpreter; it is killed with the last that knows of it.
struct Process {
    child: Mutex<Child>,
    /// Lines for its standard input; a thread writes them, for a pipe may be full.
    input: std::sync::mpsc::Sender<String>,
    next: AtomicU64,
    heard: Arc<Heard>,
}

/// What the threads that read from the peer and those who talk with it share.
#[derive(Default)]
struct Heard {
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    listeners: Mutex<HashMap<(u64, String), mpsc::UnboundedSender<Event>>>,
    troubles: Mutex<Vec<String>>,
    /// What Python logged: to be shown when it fails.
    log: Mutex<Vec<String>>,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/peer.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a Python interpreter");
        let heard = Arc::new(Heard::default());
        let mut stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (input, lines) = std::sync::mpsc::channel::<String>();
        // An error means that the peer has ended, which whoever waits for an answer is told.
        thread::spawn(move || lines.iter().try_for_each(|line| stdin.write_all(line.as_bytes())));
        let (answers, log) = (Arc::clone(&heard), Arc::clone(&heard));
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                answers.line(&line);
            }
            answers.waiting.lock().clear();
            answers.listeners.lock().clear();
        });
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| log.log.lock().push(line)));
        Self { child: Mutex::new(child), input, next: AtomicU64::new(0), heard }
    }

    async fn call(&self, what: &str, layer: Option<u64>, mut arguments: Json) -> Answer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        arguments["id"] = id.into();
        arguments["do"] = what.into();
        arguments["layer"] = layer.into();
        let (told, answer) = oneshot::channel();
        self.heard.waiting.lock().insert(id, told);
        // An error means that the peer has ended; then there is no answer either.
        let _ = self.input.send(format!("{arguments}\n"));
        within(what, answer).await.unwrap_or_else(|_| panic!("the Python peer ended:\n{}", self.heard.log.lock().join("\n")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Heard {
    /// A line of the peer.
    fn line(&self, line: &str) {
        let mut line: Json = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        if let Some(id) = line["id"].as_u64() {
            let answer = match line.get("error") {
                Some(error) => Err(text(error.clone())),
                None => Ok(line["ok"].take()),
            };
            if let Some(told) = self.waiting.lock().remove(&id) {
                // Who asked may have given up.
                let _ = told.send(answer);
            }
        } else if line.get("trouble").is_some() {
            self.troubles.lock().push(text(line["trouble"].take()));
        } else {
            let listener = (line["layer"].as_u64().expect("a layer"), text(line["channel"].take()));
            let event = event_from_json(&line["message"]);
            // The test may have all it wants.
            self.listeners.lock().get(&listener).map(|messages| messages.send(event));
        }
    }
}

fn text(json: Json) -> String {
    if let Json::String(text) = json { text } else { panic!("{json} is no text") }
}

const BYTES: &str = "$bytes";

fn event_to_json(event: &Event) -> Json {
    let fields = event.fields().iter().map(|(key, value)| (key.as_str(), to_json(value)));
    std::iter::once(("type", event.kind().into())).chain(fields).collect()
}

fn event_from_json(json: &Json) -> Event {
    match from_json(json) {
        Value::Map(map) => Event::from_map(map).unwrap_or_else(|error| panic!("{json}: {error}")),
        _ => panic!("{json} is no map"),
    }
}

/// As [`Value::to_json`], but what comes back is the same.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Bytes(bytes) => json!({BYTES: BASE64_STANDARD.encode(bytes)}),
        Value::List(values) => values.iter().map(to_json).collect(),
        Value::Map(values) => values.iter().map(|(key, value)| (key.as_str(), to_json(value))).collect(),
        Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value.to_json(),
    }
}

fn from_json(json: &Json) -> Value {
    match json {
        Json::Array(values) => Value::List(values.iter().map(from_json).collect()),
        Json::Object(values) => match values.get(BYTES) {
            Some(bytes) => Value::Bytes(BASE64_STANDARD.decode(bytes.as_str().expect("base64")).expect("base64").into()),
            None => Value::Map(values.iter().map(|(key, value)| (key.clone(), from_json(value))).collect::<BTreeMap<_, _>>()),
        },
        other => Value::from_json(other.clone()).expect("a number of 64 bits"),
    }
}
