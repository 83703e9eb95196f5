//! A program that logs on its standard output: what it says there are the events that tests wait for.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
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
    /// Reads the log to its end; none once that was waited for.
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts the program; it must be there, which `hint` says how to come to.
    pub fn start(mut command: Command, hint: &str) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let (told, lines) = watch::channel(0);
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&log);
        let (started, child) = mpsc::channel();
        // Reads to the end, so that the program never waits for a reader of its log. It starts the program too: a program
        // that asks to be told of its parent's end is told of that of the thread, and the thread of a test may end sooner.
        let reader = thread::spawn(move || {
            let mut spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
            let output = spawned.as_mut().ok().and_then(|child| child.stdout.take());
            started.send(spawned).expect("it is waited for");
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok) {
                written.lock().push(line);
                told.send_modify(|lines| *lines += 1);
            }
        });
        let child = child.recv().expect("the thread tells").unwrap_or_else(|error| panic!("{program}: {error}; {hint}"));
        Self { child, log, lines, reader: Some(reader) }
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

    /// Waits until the program, and all that it started, have ended by themselves: until nobody can write to its log.
    pub fn end(&mut self) {
        self.child.wait().expect("the program is our child");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log is read");
        }
    }

    /// Another signal by its name, `TERM` for instance.
    pub fn signal(&self, name: &str) {
        send(name, &self.id().to_string());
    }

    /// A signal to the program and to those that it started.
    pub fn signal_family(&self, name: &str) {
        // Nobody is born or forgotten meanwhile.
        self.signal("STOP");
        let children = format!("/proc/{0}/task/{0}/children", self.id());
        let children = fs::read_to_string(&children).unwrap_or_else(|error| panic!("{children}: {error}"));
        send(name, &format!("{children} {}", self.id()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn send(name: &str, ids: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {ids}")]).status().expect("a shell");
    assert!(sent.success(), "{name} could not be sent");
}
