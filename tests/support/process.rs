//! A program that logs on its standard output: what it says there are the events that tests wait for.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::within;

/// Killed when dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// How many lines the log has; closed at its end.
    lines: watch::Receiver<usize>,
}

impl Process {
    /// Starts the program; it must be there, which `hint` says how to come to.
    pub fn start(command: &mut Command, hint: &str) -> Self {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{}: {error}; {hint}", command.get_program().to_string_lossy()));
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (told, lines) = watch::channel(0);
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&log);
        // Reads to the end, so that the program never waits for a reader of its log.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                written.lock().push(line);
                told.send_modify(|lines| *lines += 1);
            }
        });
        Self { child, log, lines }
    }

    /// How many lines were logged so far: a mark for [`Self::logs_after`].
    pub fn mark(&self) -> usize {
        self.log.lock().len()
    }

    /// Waits for a line with `text` in it.
    pub async fn logs(&self, text: &str) {
        self.logs_after(0, text).await;
    }

    /// Waits for a line with `text` in it after a mark.
    pub async fn logs_after(&self, mark: usize, text: &str) {
        assert!(self.ends_or_logs(mark, text).await, "{text:?} is not in the log, which ended:\n{}", self.log());
    }

    /// Waits for a line with `text` in it, or the end of the log; whether it was the line.
    pub async fn ends_or_logs(&self, mark: usize, text: &str) -> bool {
        let mut lines = self.lines.clone();
        let seen = || self.log.lock().iter().skip(mark).any(|line| line.contains(text));
        // The end is an error to `wait_for`, the line may have been the last.
        within(text, lines.wait_for(|_| seen())).await.is_ok() || seen()
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.log.lock().join("\n")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; the program is gone when this returns.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Another signal by its name, `TERM` for instance.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().expect("a shell");
        assert!(sent.success(), "{name} could not be sent");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
