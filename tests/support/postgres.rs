//! Real PostgreSQL servers: each on a free port with a folder of its own, and gone with the value that stands for it.
//!
//! A test that does something to the server [starts](Postgres::start) one; a test that only needs a
//! [database](Postgres::database) takes it from the one that the tests of a binary [share](Postgres::shared).

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};

use super::{free_port, process::Process, within};

const HINT: &str = "this installs it: cargo xtask test rust";
/// What a server logs once it takes connections and has replayed what it had not yet put in place.
const READY: &str = "ready to accept connections";

/// Many small databases on one small server, which need to survive its processes, but not the machine.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=32MB",
    "dynamic_shared_memory_type=mmap",
    "fsync=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
];

/// A running server, or one that was killed or stopped and can be [restarted](Self::restart).
pub struct Postgres {
    port: u16,
    /// How many databases it was asked for.
    databases: AtomicU32,
    /// None while it is down.
    process: Option<Process>,
    folder: TempDir,
}

impl Postgres {
    /// A server of its own.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        make(folder.path()).await;
        loop {
            let port = free_port();
            let process = Process::start(server(port, folder.path()), HINT);
            if process.ends_or_logs(0, READY).await {
                return Self { port, databases: AtomicU32::new(0), process: Some(process), folder };
            }
            // Somebody else was faster.
            assert!(process.log().contains("Address already in use"), "PostgreSQL does not start:\n{}", process.log());
        }
    }

    /// The server that the tests of this binary share. The first who asks starts it, and it is gone when nobody has it any more.
    pub async fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let started = Arc::new(Self::start().await);
        *shared = Arc::downgrade(&started);
        started
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new database with nothing in it, as `postgres://postgres@127.0.0.1:PORT/NAME`.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let administrator = connection(&self.url_of("postgres")).await;
        let create = format!("CREATE DATABASE {name}");
        within("a database", administrator.batch_execute(&create))
            .await
            .unwrap_or_else(|error| panic!("{name} cannot be created: {error}"));
        self.url_of(&name)
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// `kill -9` to all its processes, which are gone when this returns. What was committed is kept.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal_family("KILL");
        process.end();
        self.tidy();
    }

    /// Shuts it down as an administrator does: it tells its clients, and is gone when this returns.
    pub fn stop(&mut self) {
        self.shut_down("INT");
    }

    /// Starts again on the same port with what is on the disk, after a [`Self::kill`] or instead of one.
    pub async fn restart(&mut self) {
        self.kill();
        let process = Process::start(server(self.port, self.folder.path()), HINT);
        process.logs(READY).await;
        self.process = Some(process);
    }

    /// Stops all its processes without closing anything: connections stay open and nobody answers.
    pub fn pause(&self) {
        self.running().signal_family("STOP");
    }

    /// Ends a [`Self::pause`].
    pub fn resume(&self) {
        self.running().signal_family("CONT");
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    fn shut_down(&mut self, signal: &str) {
        let Some(mut process) = self.process.take() else { return };
        // It may be paused.
        process.signal_family("CONT");
        process.signal(signal);
        process.end();
    }

    /// Removes what a server that is killed leaves: a segment of shared memory, and the file that says which one and which
    /// process. The number of that process may belong to another server by the next start, which would refuse then.
    fn tidy(&self) {
        let file = self.folder.path().join("data/postmaster.pid");
        // A server that was shutting down has removed it.
        let Ok(lines) = fs::read_to_string(&file) else { return };
        if let Some(segment) = lines.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            // The same is true of the segment.
            let _ = Command::new("ipcrm").args(["-m", segment]).stderr(Stdio::null()).status();
        }
        fs::remove_file(&file).expect("the file can be removed");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, but it tidies up, which a killed one cannot.
        self.shut_down("QUIT");
    }
}

/// The statements that programs have a database execute from now on, as its server logs them before it does so.
pub struct Statements<'a> {
    server: &'a Postgres,
    /// Says in the log where something begins and ends.
    client: Client,
    marks: usize,
}

impl<'a> Statements<'a> {
    /// Of a database of the server, by its URL, on connections that are made after this.
    pub async fn of(server: &'a Postgres, url: &str) -> Self {
        let client = connection(url).await;
        let (_, name) = url.rsplit_once('/').expect("the URL of a database");
        let log = format!("ALTER DATABASE {name} SET log_statement = 'all'; SET log_statement = 'all'");
        within("the setting", client.batch_execute(&log)).await.expect("an administrator");
        Self { server, client, marks: 0 }
    }

    /// Waits for what happens, and gives the statements of that time in their order, without what a connection is set up with and
    /// without what a node does by itself meanwhile: each second it asks which rooms have moved on, it indexes what is new, and it
    /// looks which rooms are too long.
    pub async fn during<T>(&mut self, event: impl Future<Output = T>) -> (T, Vec<String>) {
        let before = self.mark().await;
        let output = event.await;
        let after = self.mark().await;
        let log = self.server.running().log();
        let between = log.split(&before).nth(1).and_then(|rest| rest.split(&after).next()).expect("both are in the log");
        // The further lines of a statement begin with a tab. That of the second mark is empty here.
        let whole = between.replace("\n\t", " ");
        let statements = whole.lines().filter_map(|line| {
            let (_, words) = line.split_once("LOG:  ")?;
            // `statement: ...`, or `execute s7: ...` for a prepared one.
            let words = words.strip_prefix("statement: ").or_else(|| Some(words.strip_prefix("execute ")?.split_once(": ")?.1));
            Some(words?.split_whitespace().collect::<Vec<_>>().join(" "))
        });
        let apart = ["SET ", "SELECT set_config", "SELECT pg_current_snapshot", "SELECT name, head + 1 - replayable"];
        let indexing = ["search_streams", "search_documents", "pg_try_advisory_xact_lock", "AS target"];
        let ends = ["", "START TRANSACTION", "COMMIT", "ROLLBACK"];
        let counts = |statement: &String| {
            !ends.contains(&statement.as_str())
                && !apart.iter().any(|begin| statement.starts_with(begin))
                && !indexing.iter().any(|word| statement.contains(word))
        };
        (output, statements.filter(counts).collect())
    }

    async fn mark(&mut self) -> String {
        self.marks += 1;
        let mark = format!("SELECT 'mark {}'", self.marks);
        within("a mark", self.client.batch_execute(&mark)).await.expect("a database");
        self.server.running().logs(&mark).await;
        mark
    }
}

/// A connection of the test itself to a database, by its URL.
pub async fn connection(url: &str) -> Client {
    let connecting = tokio_postgres::connect(url, NoTls);
    let (client, connection) = within("a connection to PostgreSQL", connecting).await.expect("a connection to PostgreSQL");
    // Ends with the client; what goes wrong is told to the client.
    tokio::spawn(connection);
    client
}

/// Makes an empty server in `data` in a folder.
async fn make(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("postgres").arg(folder).status().expect("chown is there");
        assert!(given.success(), "the folder cannot be given to the user postgres; {HINT}");
    }
    let mut command = program("initdb", folder);
    command.args(["--pgdata", "data", "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]);
    command.args(["--wal-segsize", "1", "--no-sync"]).stdin(Stdio::null());
    let made = tokio::task::spawn_blocking(move || command.output());
    let made = within("the end of initdb", made).await.expect("no panic").expect("a shell");
    assert!(made.status.success(), "initdb failed; {HINT}\n{}", String::from_utf8_lossy(&made.stdout));
}

fn server(port: u16, folder: &Path) -> Command {
    let mut command = program("postgres", folder);
    command.args(["-D", "data", "-p", &port.to_string()]);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
}

/// A program of the server, in a folder. It logs on its standard output, ends when this process does, however that ends, and is
/// not run as root, which it would refuse.
fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.current_dir(folder).args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    // This process may have ended before the program has asked to be told.
    command.args(["sh", "-c", "test $PPID = $0 && exec \"$@\" 2>&1"]).arg(std::process::id().to_string()).arg(path(name));
    command
}

/// Where a program of the server is: in the folder of Debian's newest version, or on the PATH.
fn path(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbered = versions.filter_map(|version| Some((version.file_name().to_str()?.parse::<u32>().ok()?, version.path())));
    let programs = numbered.map(|(number, folder)| (number, folder.join("bin").join(program)));
    let newest = programs.filter(|(_, path)| path.exists()).max();
    newest.map_or_else(|| program.into(), |(_, path)| path)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("a process has a folder").uid() == 0
}
