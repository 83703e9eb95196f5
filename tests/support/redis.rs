//! Real Redis servers: each on a free port with a folder of its own, and gone with the value that stands for it.

use std::{path::PathBuf, process::Command};

use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tempfile::TempDir;

use super::{free_port, process::Process, within};

const HINT: &str = "this installs it: cargo xtask test rust";
/// What a server logs once it takes connections and has loaded what it kept.
const READY: &str = "Ready to accept connections";

/// How a server is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// The password of the default user; none: everybody may connect.
    pub password: Option<&'static str>,
    /// Listens on a Unix socket besides its port: see [`Redis::socket_url`].
    pub unix_socket: bool,
    /// Writes every command to the disk before it answers, so that all survives [`Redis::kill`].
    pub durable: bool,
}

/// A running server, or one that was killed and can be [restarted](Self::restart).
pub struct Redis {
    config: Config,
    /// Further lines for its command line.
    more: Vec<String>,
    port: u16,
    folder: TempDir,
    process: Process,
}

impl Redis {
    /// A server that keeps nothing on the disk.
    pub async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// A server that is set up in another way.
    pub async fn with(config: Config) -> Self {
        Self::with_more(config, &[]).await
    }

    async fn with_more(config: Config, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let more = more.iter().map(ToString::to_string).collect::<Vec<_>>();
        loop {
            let port = free_port();
            let process = Process::start(command(port, config, &more, &folder), HINT);
            if process.ends_or_logs(0, READY).await {
                return Self { config, more, port, folder, process };
            }
            // Somebody else was faster.
            assert!(process.log().contains("Address already in use"), "redis-server does not start:\n{}", process.log());
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT/0`, with the password if there is one.
    pub fn url(&self) -> String {
        self.url_of_db(0)
    }

    /// The same for another of the databases 0 to 15. Published messages know no databases: they reach all subscribers.
    pub fn url_of_db(&self, db: u8) -> String {
        let user = self.config.password.map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{user}127.0.0.1:{}/{db}", self.port)
    }

    /// The path of the socket, for a server with [`Config::unix_socket`].
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// `unix:///path?db=0`, with the password if there is one, for a server with [`Config::unix_socket`].
    pub fn socket_url(&self) -> String {
        let password = self.config.password.map(|password| format!("&pass={password}")).unwrap_or_default();
        format!("unix://{}?db=0{password}", self.socket().display())
    }

    /// `kill -9`. What is not [durable](Config::durable) is lost.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts again on the same port with what is on the disk, after a [`Self::kill`] or instead of one.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = Process::start(command(self.port, self.config, &self.more, &self.folder), HINT);
        self.process.logs(READY).await;
    }

    /// Stops it without closing anything: connections stay open and nobody answers.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// Ends a [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// A connection of the test itself to database 0.
    pub async fn connection(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).expect("a URL");
        // The library gives up after half a second, which a busy machine may take.
        let patient = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&patient);
        within("a connection to Redis", connection).await.expect("a connection to Redis")
    }

    /// Runs one command, `["CLIENT", "LIST"]` for instance, on a connection of its own.
    pub async fn cli<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        let mut connection = self.connection().await;
        within("an answer of Redis", command.query_async(&mut connection))
            .await
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Closes the connections of a kind, `pubsub` or `normal`, but that on which this is asked; how many there were.
    pub async fn close_connections(&self, kind: &str) -> usize {
        self.cli(&["CLIENT", "KILL", "TYPE", kind]).await
    }
}

fn command(port: u16, config: Config, more: &[String], folder: &TempDir) -> Command {
    let mut command = Command::new("redis-server");
    command.current_dir(folder.path()).args(["--bind", "127.0.0.1", "--save", ""]).arg("--port").arg(port.to_string());
    if let Some(password) = config.password {
        command.args(["--requirepass", password, "--masterauth", password]);
    }
    if config.unix_socket {
        command.args(["--unixsocket", "redis.sock"]);
    }
    if config.durable {
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    command.args(more);
    command
}

/// The name by which [`Sentinels`] know their master.
pub const MASTER: &str = "mymaster";

/// A master with a replica, and sentinels that make the replica master when the master is gone.
pub struct Sentinels {
    /// The server that is master until it fails.
    pub master: Redis,
    /// The server that is master then.
    pub replica: Redis,
    watchers: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    process: Process,
    _folder: TempDir,
}

impl Sentinels {
    /// With so many sentinels, more than half of which must agree. They know each other and the replica when this returns.
    pub async fn start(count: usize) -> Self {
        Self::with(count, Config::default()).await
    }

    /// The same with servers that are set up in another way. The sentinels themselves ask for no password.
    pub async fn with(count: usize, config: Config) -> Self {
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let master = Redis::with_more(config, &at_once).await;
        let replicate = ["--replicaof", "127.0.0.1", &master.port.to_string()];
        let replica = Redis::with_more(config, &[&at_once[..], &replicate[..]].concat()).await;
        replica.process.logs("sync: Finished with success").await;
        let mut watchers = Vec::new();
        for _ in 0..count {
            watchers.push(Sentinel::start(master.port, config, count / 2 + 1).await);
        }
        for sentinel in &watchers {
            sentinel.process.logs("+slave ").await;
            let others = watchers.iter().filter(|other| other.port != sentinel.port);
            for other in others {
                sentinel.process.logs(&format!(" 127.0.0.1 {} @ {MASTER}", other.port)).await;
            }
        }
        Self { master, replica, watchers }
    }

    /// Where the sentinels are, as `redis://127.0.0.1:PORT`.
    pub fn urls(&self) -> Vec<String> {
        self.ports().map(|port| format!("redis://127.0.0.1:{port}")).collect()
    }

    /// The ports of the sentinels.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.watchers.iter().map(|sentinel| sentinel.port)
    }

    /// Kills the master; the replica is master, and all sentinels say so, when this returns.
    pub async fn fail_over(&mut self) {
        let marks: Vec<_> = self.watchers.iter().map(|sentinel| sentinel.process.mark()).collect();
        self.master.kill();
        for (sentinel, mark) in self.watchers.iter().zip(marks) {
            let switched = format!("+switch-master {MASTER} 127.0.0.1 {} 127.0.0.1 {}", self.master.port, self.replica.port);
            sentinel.process.logs_after(mark, &switched).await;
        }
    }
}

impl Sentinel {
    async fn start(master: u16, config: Config, quorum: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let auth = config.password.map(|password| format!("sentinel auth-pass {MASTER} {password}\n")).unwrap_or_default();
        loop {
            let port = free_port();
            let lines = format!(
                "bind 127.0.0.1\nport {port}\nsentinel monitor {MASTER} 127.0.0.1 {master} {quorum}\n{auth}\
                 sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 5000\n",
            );
            let file = folder.path().join("sentinel.conf");
            std::fs::write(&file, lines).expect("a file of settings");
            let mut command = Command::new("redis-server");
            command.current_dir(folder.path()).arg(&file).arg("--sentinel");
            let process = Process::start(command, HINT);
            if process.ends_or_logs(0, "+monitor master").await {
                return Self { port, process, _folder: folder };
            }
            assert!(process.log().contains("Address already in use"), "Sentinel does not start:\n{}", process.log());
        }
    }
}
