//! The command line: `serve` (also what `confab` alone does), `check`, `user`, `backup` and `restore`, `move`, `import`, and `send`, which
//! is a client of a running server.
//!
//! The flags and the environment become the [sources](Sources) of the settings; the commands load them, so a start fails
//! exactly where `check` does. The process ends with 0 when all went well, 1 when the server failed, and 2 when the flags
//! or the settings are wrong.

mod backup;
mod import;
mod invite;
mod send;
mod transfer;
mod user;
mod words;

use std::{
    error::Error,
    ffi::OsString,
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::SystemTime,
};

use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{
    assets::VERSION,
    settings::{ConfigFile, Flag, Loaded, Mistakes, Settings, Sources},
    telemetry::Log,
};

/// The status for flags and settings that are wrong; clap uses the same.
const WRONG_USE: u8 = 2;

/// A self-hosted real-time group server and web application
#[derive(Parser)]
#[command(name = "confab", version = VERSION, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Without a command, confab serves. It exits with 0 when all went well, 1 when the server failed or refused and \
                        2 when flags or settings are wrong."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until SIGINT or SIGTERM
    Serve(Flags),
    /// Check the settings and print those in effect as TOML, secrets masked
    Check {
        /// Print only what is wrong
        #[arg(long)]
        quiet: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Say something in a room of a running server, with a token of its settings
    Send(send::Flags),
    /// Make an invitation to the server, by which people sign up; the server may be running
    Invite(invite::Flags),
    /// Make accounts, and links for those who have forgotten their password; the server may be running
    #[command(subcommand)]
    User(user::Command),
    /// Copy the embedded store to a new file; the server may be running
    Backup(backup::Flags),
    /// Put a copy into a data folder that has no store
    Restore(backup::Flags),
    /// Carry everything from the store of the settings to another, which is empty; no server may be running on either
    Move(transfer::Flags),
    /// Put the messages of a file into a room, as its export gives them; no server may be running on the store
    Import(import::Flags),
}

#[derive(Args)]
struct Flags {
    /// Read this file of settings instead of Leptos.toml in the working folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Accept connections on this IP address and port
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Keep data in this folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
}

impl Flags {
    /// Everything that the process was given, checked; all mistakes at once.
    fn load(self, environment: Vec<(OsString, OsString)>) -> Result<(Loaded, Log), Mistakes> {
        let mut mistakes = Mistakes::default();
        let flag = |name, key, value: Option<String>| value.map(|value| Flag { name, key, value });
        let file = mistakes.keep(ConfigFile::find(self.config.as_deref())).flatten();
        let log = mistakes.keep(Log::from_environment(&environment));
        let flags = [flag("--listen", "server.listen", self.listen), flag("--data", "server.data", self.data)];
        let sources = Sources { file, environment, flags: flags.into_iter().flatten().collect() };
        let loaded = mistakes.keep(sources.load());
        match loaded.zip(log) {
            Some(good) => mistakes.or(good),
            None => Err(mistakes),
        }
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let CommandLine { command, flags } = CommandLine::parse();
    let done = match command.unwrap_or(Command::Serve(flags)) {
        Command::Serve(flags) => with_settings(flags, |loaded, log| run(loaded.settings, log)),
        Command::Check { quiet: true, flags } => with_settings(flags, |_, _| Ok(())),
        Command::Check { quiet: false, flags } => {
            with_settings(flags, |loaded, _| Ok(io::stdout().write_all(loaded.effective().as_bytes())?))
        }
        Command::Send(flags) => send::run(flags),
        Command::Invite(flags) => invite::run(flags),
        Command::User(command) => user::run(command),
        Command::Backup(flags) => backup::backup(flags),
        Command::Restore(flags) => backup::restore(flags),
        Command::Move(flags) => transfer::run(flags),
        Command::Import(flags) => import::run(flags),
    };
    done.unwrap_or_else(|error| {
        complain(format_args!("confab: {error}"));
        ExitCode::FAILURE
    })
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn with_settings(flags: Flags, command: impl FnOnce(Loaded, Log) -> Outcome<()>) -> Outcome<ExitCode> {
    match flags.load(std::env::vars_os().collect()) {
        Ok((loaded, log)) => command(loaded, log).map(|()| ExitCode::SUCCESS),
        Err(mistakes) => {
            complain(mistakes);
            Ok(ExitCode::from(WRONG_USE))
        }
    }
}

/// A line for people. Nobody may be reading any more, which is no reason to panic as `eprintln!` does.
fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn run(settings: Settings, log: Log) -> Outcome<()> {
    log.start()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        // Before anything else, so that a signal during the start is a clean stop too.
        let shutdown = stop_signal()?;
        ignore_signals()?;
        tracing::info!(version = VERSION, "starting");
        look_at_the_clock(SystemTime::now())?;
        raise_the_limit_of_files();
        serve(settings, shutdown).await
    })
}

/// Answers have the date in HTTP's form, in which there is none before 1970, and messages the time; a clock that stands there was
/// never set.
fn look_at_the_clock(now: SystemTime) -> Outcome<()> {
    if now < SystemTime::UNIX_EPOCH {
        return Err("the clock of this machine stands before 1970; set it, and start again".into());
    }
    Ok(())
}

/// Takes as many open files as the system allows: each connection is one, and the usual bound of 1,024 is that of programs from
/// the time of `select`.
fn raise_the_limit_of_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(cause) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%cause, ?limit, "the bound on open files cannot be raised to what the system allows");
    }
}

/// Serves until `shutdown` resolves and everything is put away.
async fn serve(settings: Settings, shutdown: impl Future<Output = ()> + Send + 'static) -> Outcome<()> {
    let address = settings.server.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|cause| format!("cannot listen on {address}: {cause}; server.listen or --listen chooses another address"))?;
    super::run(settings, listener, shutdown).await
}

/// Signals by which other servers read their settings or open their log anew would end the process without a goodbye. Here there is
/// nothing to do anew: settings are read at the start, and the log is standard error.
fn ignore_signals() -> io::Result<()> {
    let signals =
        [(SignalKind::hangup(), "SIGHUP"), (SignalKind::user_defined1(), "SIGUSR1"), (SignalKind::user_defined2(), "SIGUSR2")];
    for (kind, name) in signals {
        let mut received = signal(kind)?;
        tokio::spawn(async move {
            while received.recv().await.is_some() {
                tracing::info!(signal = name, "this signal changes nothing; SIGINT and SIGTERM stop the server");
            }
        });
    }
    Ok(())
}

/// Resolves on the first SIGINT or SIGTERM. From this call on they no longer end the process by themselves; the second one ends it
/// at once, which loses nothing that was acknowledged.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut next = async move || {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    };
    let (stop, stopping) = oneshot::channel();
    // Listens from now on, whatever the start takes.
    tokio::spawn(async move {
        let signal = next().await;
        tracing::info!(signal, "stopping");
        // A server that has failed meanwhile needs no word.
        let _ = stop.send(());
        let signal = next().await;
        tracing::warn!(signal, "stopping at once");
        std::process::exit(1)
    });
    Ok(async {
        // The other end lives as long as the process.
        let _ = stopping.await;
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_told() {
        assert!(look_at_the_clock(SystemTime::UNIX_EPOCH).is_ok());
        let error = look_at_the_clock(SystemTime::UNIX_EPOCH - Duration::from_secs(1)).expect_err("it is before 1970");
        assert!(error.to_string().contains("1970"), "{error}");
    }
}
