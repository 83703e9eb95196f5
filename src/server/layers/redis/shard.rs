//! One Redis server: a connection that everybody's commands share, made anew whenever it is lost.
//!
//! ```text
//!   query ──► queue ──► worker: all that waits goes out as one pipeline ──► answers
//!                         │ lost, refused, silent for three seconds
//!                         └──► connects again, with growing pauses; `generation` tells who has to restore something
//! ```
//!
//! One command alone goes out at once; while an answer is on its way, the next commands gather. A command that was on its way
//! when the connection broke is not sent again: nobody knows whether it was carried out. One that still waits, waits for a
//! second at most, and not at all once the server has been away for so long.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{Cmd, Pipeline, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::host::{Host, Source};
use crate::server::layers::LayerError;

/// Commands that wait for the worker; whoever has one more waits to hand it over.
const QUEUE: usize = 4_096;
/// Commands in one pipeline.
const BATCH: usize = 1_024;
/// How long an answer may take; then the server counts as lost.
const ANSWER: Duration = Duration::from_secs(3);
/// How long a command waits for a server that is away.
const PATIENCE: Duration = Duration::from_secs(1);
/// After so much silence the connection is tried.
const PROBE: Duration = Duration::from_secs(5);
/// Pauses between attempts to connect grow from the first to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];
/// Clocks that differ by more are worth a warning: messages and memberships expire by them.
const SKEW: Duration = Duration::from_secs(1);

/// A Lua script, known to the server by its digest.
pub(super) struct Script {
    digest: String,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        Self { digest: redis::Script::new(text).get_hash().to_owned() }
    }

    /// A call with so many keys; keys and arguments follow.
    pub(super) fn call(&self, keys: usize) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.digest).arg(keys);
        cmd
    }
}

/// A server, as long as somebody uses it.
pub(in crate::server) struct Shard {
    source: Arc<Source>,
    queue: mpsc::Sender<Job>,
    health: Arc<Health>,
    worker: JoinHandle<()>,
}

/// What will be the answer to a command.
pub(super) struct Answer(oneshot::Receiver<Result<Value, LayerError>>);

impl Answer {
    /// # Errors
    /// As for [`Shard::query`].
    pub(super) async fn value(self) -> Result<Value, LayerError> {
        self.0.await.map_err(|_| closed())?
    }
}

struct Job {
    cmd: Cmd,
    since: Instant,
    answer: oneshot::Sender<Result<Value, LayerError>>,
}

/// What is known of the connection.
struct Health {
    trouble: Mutex<Option<String>>,
    /// How often the connection has come about.
    generation: watch::Sender<u64>,
}

impl Shard {
    /// Begins to connect. Inside a tokio runtime.
    ///
    /// # Errors
    /// The address is none.
    pub(in crate::server) fn start(host: Host, scripts: &[&'static str]) -> Result<Self, LayerError> {
        let source = Arc::new(Source::new(host).map_err(|cause| LayerError::Unavailable(cause.into()))?);
        let trouble = Mutex::new(Some(format!("{} is not connected yet", source.host())));
        let health = Arc::new(Health { trouble, generation: watch::Sender::new(0) });
        let (queue, jobs) = mpsc::channel(QUEUE);
        let worker = Worker {
            source: Arc::clone(&source),
            scripts: scripts.to_vec(),
            jobs,
            health: Arc::clone(&health),
            waiting: VecDeque::new(),
        };
        let worker = tokio::spawn(worker.run());
        Ok(Self { source, queue, health, worker })
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Puts a command into the queue; the answer is waited for apart, so that several can be on their way in a known order.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`]: the shard is being dropped.
    pub(super) async fn submit(&self, cmd: Cmd) -> Result<Answer, LayerError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Job { cmd, since: Instant::now(), answer }).await.map_err(|_| closed())?;
        Ok(Answer(answered))
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`]: the server is away, was lost before it answered, or refused.
    pub(in crate::server) async fn query(&self, cmd: Cmd) -> Result<Value, LayerError> {
        self.submit(cmd).await?.value().await
    }

    /// Sends commands in this order and waits for all of them.
    ///
    /// # Errors
    /// The first that there was.
    pub(super) async fn query_all(&self, cmds: Vec<Cmd>) -> Result<(), LayerError> {
        for part in cmds.chunks(QUEUE / 2) {
            let mut answers = Vec::with_capacity(part.len());
            for cmd in part {
                answers.push(self.submit(cmd.clone()).await?);
            }
            for answer in answers {
                answer.value().await?;
            }
        }
        Ok(())
    }

    /// What keeps us from the server now.
    pub(super) fn trouble(&self) -> Option<String> {
        self.health.trouble.lock().clone()
    }

    /// Changes each time the connection has come about; 0 before the first.
    pub(super) fn generation(&self) -> watch::Receiver<u64> {
        self.health.generation.subscribe()
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

fn closed() -> LayerError {
    unavailable("the connection to Redis is closed")
}

/// What is behind an error, to be told to several.
pub(in crate::server) fn told(error: &LayerError) -> String {
    match error {
        LayerError::Unavailable(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

pub(super) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LayerError {
    LayerError::Unavailable(cause.into())
}

struct Worker {
    source: Arc<Source>,
    scripts: Vec<&'static str>,
    jobs: mpsc::Receiver<Job>,
    health: Arc<Health>,
    /// Taken from the queue and not sent yet.
    waiting: VecDeque<Job>,
}

impl Worker {
    async fn run(mut self) {
        let mut away = Away::new();
        loop {
            match self.connect(&away).await {
                Ok(connection) => {
                    *self.health.trouble.lock() = None;
                    self.health.generation.send_modify(|generation| *generation += 1);
                    info!(host = %self.source.host(), "connected to Redis");
                    let cause = self.serve(connection).await;
                    warn!(host = %self.source.host(), %cause, "Redis is lost");
                    self.note(&cause);
                    away = Away::new();
                }
                Err(cause) => {
                    if away.attempts == 0 {
                        warn!(host = %self.source.host(), %cause, "Redis cannot be reached; trying again");
                    }
                    self.note(&cause);
                    let pause = away.pause();
                    self.meanwhile(&away, Box::pin(sleep(pause))).await;
                }
            }
        }
    }

    fn note(&self, cause: &RedisError) {
        *self.health.trouble.lock() = Some(format!("{} cannot be reached: {cause}", self.source.host()));
    }

    async fn connect(&mut self, away: &Away) -> Result<MultiplexedConnection, RedisError> {
        let source = Arc::clone(&self.source);
        let scripts = self.scripts.clone();
        let connecting = Box::pin(async move {
            let mut connection = source.connect(ANSWER).await?;
            load(&mut connection, &scripts).await?;
            check_clock(&source, &mut connection).await?;
            Ok(connection)
        });
        self.meanwhile(away, connecting).await
    }

    /// Does `work` without a connection; the commands that come meanwhile wait, or are refused where the server has been away
    /// for long.
    async fn meanwhile<T>(&mut self, away: &Away, mut work: impl Future<Output = T> + Unpin) -> T {
        loop {
            self.give_up(if away.since.elapsed() > PATIENCE { Duration::ZERO } else { PATIENCE });
            tokio::select! {
                done = &mut work => return done,
                () = sleep(PAUSES[0]) => {}
                Some(job) = self.jobs.recv(), if self.waiting.len() < QUEUE => self.waiting.push_back(job),
            }
        }
    }

    /// Refuses what has waited for longer.
    fn give_up(&mut self, patience: Duration) {
        while self.waiting.front().is_some_and(|job| job.since.elapsed() >= patience) {
            if let Some(job) = self.waiting.pop_front() {
                let trouble = self.health.trouble.lock().clone().unwrap_or_default();
                // Whoever asked may have gone.
                let _ = job.answer.send(Err(unavailable(trouble)));
            }
        }
    }

    /// Carries commands out until the connection is lost.
    async fn serve(&mut self, mut connection: MultiplexedConnection) -> RedisError {
        loop {
            if self.waiting.is_empty() {
                match timeout(PROBE, self.jobs.recv()).await {
                    Ok(Some(job)) => self.waiting.push_back(job),
                    // Nobody is left to ask; the shard's end stops this task.
                    Ok(None) => std::future::pending().await,
                    Err(_) => {
                        if let Err(cause) = connection.send_packed_command(&redis::cmd("PING")).await {
                            return cause;
                        }
                        continue;
                    }
                }
            }
            while self.waiting.len() < BATCH
                && let Ok(job) = self.jobs.try_recv()
            {
                self.waiting.push_back(job);
            }
            if let Err(cause) = self.carry_out(&mut connection).await {
                return cause;
            }
        }
    }

    async fn carry_out(&mut self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let count = self.waiting.len().min(BATCH);
        let (mut pipeline, mut answers) = (Pipeline::with_capacity(count), Vec::with_capacity(count));
        pipeline.ignore_errors();
        for job in self.waiting.drain(..count) {
            pipeline.add_command(job.cmd);
            answers.push(job.answer);
        }
        let mut values = match connection.send_packed_commands(&pipeline, 0, count).await {
            Ok(values) => values,
            Err(cause) => {
                let told = cause.to_string();
                for answer in answers {
                    let _ = answer.send(Err(unavailable(told.clone())));
                }
                return Err(cause);
            }
        };
        let kind = |value: &Value| if let Value::ServerError(error) = value { error.kind() } else { None };
        // A server that was restarted behind our back, or told to forget.
        if values.iter().any(|value| kind(value) == Some(ServerErrorKind::NoScript)) {
            load(connection, &self.scripts).await?;
            for (cmd, value) in pipeline.cmd_iter().zip(&mut values) {
                if kind(value) == Some(ServerErrorKind::NoScript) {
                    *value = connection.send_packed_command(cmd).await?;
                }
            }
        }
        let mut lost = None;
        for (answer, value) in answers.into_iter().zip(values) {
            let result = match value {
                Value::ServerError(error) => {
                    let cause = RedisError::from(error);
                    let told = unavailable(cause.to_string());
                    if matches!(cause.kind(), redis::ErrorKind::Server(kind) if no_master(kind)) {
                        lost = Some(cause);
                    }
                    Err(told)
                }
                value => Ok(value),
            };
            let _ = answer.send(result);
        }
        lost.map_or(Ok(()), Err)
    }
}

/// What a server says that is no master, or not any more: the connection has to be made to another.
fn no_master(kind: ServerErrorKind) -> bool {
    matches!(kind, ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading)
}

async fn load(connection: &mut MultiplexedConnection, scripts: &[&str]) -> Result<(), RedisError> {
    for script in scripts {
        redis::cmd("SCRIPT").arg("LOAD").arg(script).exec_async(connection).await?;
    }
    Ok(())
}

/// Warns where the server's clock and this machine's differ: peers that go by their own clock drop each other's messages.
async fn check_clock(source: &Source, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let (seconds, microseconds): (u64, u32) = redis::cmd("TIME").query_async(connection).await?;
    let theirs = Duration::new(seconds, microseconds * 1_000);
    let ours = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    if ours.abs_diff(theirs) > SKEW {
        let by = ours.abs_diff(theirs).as_secs_f32();
        warn!(host = %source.host(), "the clocks of this machine and of Redis differ by {by:.1} s; set both by NTP");
    }
    Ok(())
}

/// How long a server has been away.
struct Away {
    since: Instant,
    attempts: u32,
}

impl Away {
    fn new() -> Self {
        Self { since: Instant::now(), attempts: 0 }
    }

    /// The time until the next attempt: twice the last one, up to a bound.
    fn pause(&mut self) -> Duration {
        let pause = PAUSES[0] * 2_u32.pow(self.attempts.min(10));
        self.attempts += 1;
        pause.min(PAUSES[1])
    }
}
