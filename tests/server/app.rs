//! Servers to test.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use confab::server::{
    self,
    layers::ChannelLayer,
    noun::Make,
    settings::{Durability, History, Pattern, RoomRule, Settings},
    topics::NOUNS,
};
use reqwest::{Client, redirect};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::within;

/// A server within this process; it ends with the test.
pub struct TestApp {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), server::Error>>,
    data: TempDir,
}

impl TestApp {
    /// Waits until so many connections are members of groups: a plain client is answered a moment before it is one.
    pub async fn has_members(&self, count: usize) {
        let line = format!("confab_members {count}");
        let asked = async { while !self.get("/metrics").await.text().await.expect("a body").lines().any(|it| it == line) {} };
        within("members", asked).await;
    }

    /// With the default settings, but without a bound on how fast clients talk.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with some settings changed.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::begin(None, NOUNS, change).await
    }

    /// The same on a channel layer of the test's own.
    pub async fn on(layer: Arc<dyn ChannelLayer>, change: impl FnOnce(&mut Settings)) -> Self {
        Self::begin(Some(layer), NOUNS, change).await
    }

    /// With nouns of the test's own.
    pub async fn begin(
        layer: Option<Arc<dyn ChannelLayer>>,
        nouns: &'static [Make],
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::default();
        settings.server.data = data.path().to_owned();
        // What raw clients ask for.
        settings.server.hosts = ["confab.example", "a"].map(|name| name.parse().expect("a name")).to_vec();
        // What survives a power cut is not shown here, and waiting for the disk is slow.
        settings.store.durability = Durability::Process;
        settings.limits.messages_per_second = None;
        settings.limits.bytes_per_second = None;
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // An error means that the test is over, which is a reason to stop as well.
            let _ = stopped.await;
        };
        let running = tokio::spawn(server::run_with(layer, nouns, settings, listener, shutdown));
        Self { address, stop: Some(stop), running, data }
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Asks it to stop.
    pub fn begin_to_stop(&mut self) {
        self.stop.take().expect("it runs").send(()).expect("it listens");
    }

    /// Waits until it has stopped.
    pub async fn stopped(&mut self) {
        within("the end of the server", &mut self.running).await.expect("no panic").expect("a clean end");
    }
}

/// What can be asked of a server over HTTP.
pub trait Http {
    fn address(&self) -> SocketAddr;

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        within(path, browser().get(self.url(path)).send()).await.expect("an answer")
    }

    /// The answer of the API, which is JSON whatever its status.
    async fn api(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).await;
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.expect("a body")).expect("JSON"))
    }

    /// All messages of a room with its epoch, read page by page.
    async fn all_messages(&self, group: &str) -> (String, Vec<Value>) {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, offset);
            let (status, body) = self.api(&format!("/api/v1/rooms/{group}/messages?after={after}&limit=200")).await;
            assert_eq!(status, 200, "{body}");
            let page = body["messages"].as_array().expect("a list").clone();
            if page.is_empty() {
                return (body["epoch"].as_str().expect("an epoch").to_owned(), all);
            }
            all.extend(page);
        }
    }
}

impl Http for TestApp {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The offset of a message or a push.
pub fn offset(item: &Value) -> u64 {
    item["offset"].as_u64().unwrap_or_else(|| panic!("no offset in {item}"))
}

/// A browser as far as cookies go; it shows redirections instead of following them.
pub fn browser() -> Client {
    Client::builder().no_proxy().redirect(redirect::Policy::none()).cookie_store(true).build().expect("a client")
}

/// A rule for rooms, open to guests.
pub fn rule(pattern: &str, history: History) -> RoomRule {
    RoomRule { matches: Pattern::for_rooms(pattern).expect("a pattern"), history, ..RoomRule::default() }
}

/// Runs a command of the program to its end; gives its status and what it says.
pub async fn confab(arguments: &[&str], variables: &[(&str, &str)], folder: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).current_dir(folder).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = within("the end of the program", output).await.expect("no panic").expect("its output");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The real program; killed when the test ends.
pub struct Program {
    pub address: SocketAddr,
    child: Child,
    /// Gives what the program has logged when that has ended.
    log: Option<std::thread::JoinHandle<String>>,
}

impl Program {
    /// Starts it on a data folder, with the default settings but for the bounds on how fast clients talk, and the name that raw clients
    /// ask for.
    pub async fn start(data: &Path) -> Self {
        Self::start_with(Command::new(env!("CARGO_BIN_EXE_confab")), data).await
    }

    /// The same by a command line that goes on with the program and its arguments, and becomes it.
    pub async fn start_by(mut command: Command, data: &Path) -> Self {
        command.arg(env!("CARGO_BIN_EXE_confab"));
        Self::start_with(command, data).await
    }

    async fn start_with(mut command: Command, data: &Path) -> Self {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CONFAB_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("CONFAB_LIMITS__MESSAGES_PER_SECOND", "0")
            .env("CONFAB_LIMITS__BYTES_PER_SECOND", "0")
            .env("CONFAB_SERVER__HOSTS", r#"["confab.example"]"#)
            .current_dir(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let (told, address) = oneshot::channel();
        // Reads to the end, so that the program never waits for a reader of its log.
        let log = std::thread::spawn(move || {
            let (mut told, mut all) = (Some(told), String::new());
            for line in log.lines().map_while(Result::ok) {
                let address = line.split("serving address=").nth(1).and_then(|rest| rest.split_whitespace().next());
                if let Some(address) = address.and_then(|address| address.parse().ok())
                    && let Some(told) = told.take()
                {
                    // The test may have given up.
                    let _ = told.send(address);
                }
                all.push_str(&line);
                all.push('\n');
            }
            all
        });
        let address = within("the address in the log", address).await.expect("the program serves");
        Self { address, child, log: Some(log) }
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
    }

    /// `kill -9`, and all that it has logged.
    pub fn into_log(mut self) -> String {
        self.kill();
        self.log.take().expect("it was not asked before").join().expect("its reader")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, as service managers do.
    pub fn terminate(&self) {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().expect("a shell");
        assert!(sent.success());
    }

    /// How it ended.
    pub async fn status(mut self) -> ExitStatus {
        let ended = tokio::task::spawn_blocking(move || self.child.wait());
        within("the end of the program", ended).await.expect("no panic").expect("a status")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Http for Program {
    fn address(&self) -> SocketAddr {
        self.address
    }
}
