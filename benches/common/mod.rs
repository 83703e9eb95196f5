//! What the benchmarks share: Confab and its peers as processes of their own, whose time and memory are read from the kernel's
//! accounts; and in [`hall`] members who check everything that they get.

#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use self::connection::{Connection, Form};
use crate::support::{free_port, interpreter, within};

pub mod bare;
pub mod connection;
pub mod delays;
pub mod hall;
pub mod text;

/// Clock ticks of the kernel's accounts in a second, on Linux.
const TICKS: f64 = 100.0;
/// Bytes of the pages in which it counts memory, on the processors that Confab is measured on.
const PAGE: f64 = 4_096.0;

/// Between one question and the next.
const PAUSE: Duration = Duration::from_millis(10);
/// Longer than any server takes until it listens.
const START: Duration = Duration::from_mins(5);

/// Settings of Confab, as the environment has them, without their `CONFAB_`.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// The servers that are measured. Each carries what is said in a group to everybody there, the speaker included.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// The loop in [`bare`].
    Bare,
    /// The one in Python's `socketify`: the members are C++'s, Python runs once a message.
    UWebSockets,
    /// uWebSockets which deflates, with one compressor for all its sockets.
    UWebSocketsDeflating,
    /// The package `ws` on Node.js.
    Ws,
    /// Django Channels on uvicorn, in one process, with the layer in its memory.
    Channels,
    /// Confab without limits, with rooms without history unless the settings say otherwise.
    Confab(Settings<'static>),
}

impl Kind {
    /// What starts it.
    pub fn command(self, port: u16) -> Command {
        let peer = |file: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(file);
        let python = || Command::new(interpreter("python-benches", "cargo xtask bench"));
        let mut command;
        match self {
            Self::Bare => {
                command = Command::new(env::current_exe().expect("this program"));
                command.arg("--serve-bare");
            }
            Self::UWebSockets | Self::UWebSocketsDeflating => {
                command = python();
                command.arg(peer("uws.py"));
            }
            Self::Ws => {
                command = Command::new("node");
                command.arg(peer("ws.mjs"));
            }
            Self::Channels => {
                command = python();
                command.args([
                    "-m",
                    "uvicorn",
                    "django_channels:application",
                    "--log-level",
                    "error",
                    "--lifespan",
                    "off",
                    "--ws-ping-interval",
                    "3600",
                ]);
                command.arg("--app-dir").arg(peer("")).arg("--port");
                command.env("PYTHONDONTWRITEBYTECODE", "1");
            }
            Self::Confab(settings) => return confab(port, settings),
        }
        command.arg(port.to_string());
        if self == Self::UWebSocketsDeflating {
            command.arg("deflate");
        }
        command
    }
}

fn confab(port: u16, settings: &[(&str, &str)]) -> Command {
    // Another build of Confab can be measured by the same benchmark.
    let program = env::var_os("CONFAB_BENCH_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_confab").into());
    let mut command = Command::new(program);
    command
        .arg("serve")
        .env("CONFAB_SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env("CONFAB_ROOMS", r#"[{"match": "*", "history": "none"}]"#)
        .env("CONFAB_LIMITS__CONNECTIONS_PER_ADDRESS", "0")
        .env("CONFAB_LIMITS__MESSAGES_PER_SECOND", "0")
        .env("CONFAB_LIMITS__BYTES_PER_SECOND", "0")
        .env_remove("CONFAB_BENCH_PROGRAM")
        .envs(settings.iter().map(|(key, value)| (format!("CONFAB_{key}"), value)));
    command
}

/// A server process. It is killed when dropped.
pub struct Server {
    command: Command,
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Server {
    pub async fn of(kind: Kind) -> Self {
        Self::start(|port| kind.command(port)).await
    }

    /// Confab as [`Kind::Confab`] is, with settings that are known only now.
    pub async fn confab(settings: &[(&str, &str)]) -> Self {
        Self::start(|port| confab(port, settings)).await
    }

    /// Whatever listens on the port that it is given. It runs in an empty folder.
    pub async fn start(command: impl FnOnce(u16) -> Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut command = command(port);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(&mut command);
        let mut server = Self { command, child, port, folder };
        server.listens().await;
        server
    }

    async fn listens(&mut self) {
        // Under valgrind it takes its time. Whoever asks all the time takes it from the server.
        let listening = async {
            while self.connect(Form::Plain).await.is_none() {
                assert_eq!(self.child.try_wait().expect("our child"), None, "{:?} ended", self.command);
                tokio::time::sleep(PAUSE).await;
            }
        };
        let waited = tokio::time::timeout(START, listening).await;
        waited.unwrap_or_else(|_| panic!("{:?} does not listen", self.command));
    }

    /// `kill -9`; it is gone when this returns.
    pub fn kill(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again after its end: on the same port, in the same folder.
    pub async fn restart(&mut self) {
        self.child = spawn(&mut self.command);
        self.listens().await;
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its working folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A member of the group that the benchmarks talk in; none when the server cannot be reached.
    pub async fn connect(&self, form: Form) -> Option<Connection> {
        Connection::open(self.port, form).await
    }

    /// User and system time so far, in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = self.account("stat");
        // The name may have spaces; it ends at the last parenthesis.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / TICKS
    }

    /// Memory that it has, in bytes.
    pub fn resident(&self) -> f64 {
        let pages = self.account("statm").split_whitespace().nth(1).map(str::parse::<f64>);
        pages.expect("two numbers").expect("a number") * PAGE
    }

    /// The most memory that it has ever had, in bytes.
    pub fn peak(&self) -> f64 {
        let status = self.account("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.expect("a peak").trim().parse::<f64>().expect("a number") * 1_024.0
    }

    fn account(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("a process")
    }

    /// Asks it to end and waits until it has.
    pub async fn end(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(asked.success(), "it runs until now");
        within("the end of a server", async {
            while self.child.try_wait().expect("our child").is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Becomes the bare server if this process was started as one.
pub fn serve_if_asked() {
    let arguments: Vec<_> = env::args().collect();
    if let [_, flag, port] = &arguments[..]
        && flag == "--serve-bare"
    {
        bare::serve(port.parse().expect("a port"));
    }
}

/// Whether a case is to run: all are unless the command line has words, and then those with one of them in their names.
pub fn selected(case: &str) -> bool {
    // Cargo adds `--bench`.
    let words: Vec<_> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    words.is_empty() || words.iter().any(|word| case.contains(word.as_str()))
}

/// Whether to do less of everything, as a check of the benchmark itself: `--quick` on the command line. Its figures say nothing.
pub fn quick() -> bool {
    env::args().any(|word| word == "--quick")
}

/// The one below which a part of the values is: 0.5 for the median, 0.99 for the 99th percentile.
pub fn quantile(part: f64, values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * part) as usize).min(values.len() - 1)]
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(0.5, values)
}
