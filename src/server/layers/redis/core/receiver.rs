//! Drains the queue of an attached sink on one server.
//!
//! A connection of its own waits for the first message (`BZPOPMIN`, for five seconds at a time, so that a server that says nothing
//! any more is found soon), then takes what else there is in large bites. When the connection was lost, what was on it
//! may be lost too, and the sink is told that there is a gap.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{RedisError, aio::MultiplexedConnection};
use tokio::{task::JoinHandle, time::sleep};
use tracing::{debug, warn};

use super::{
    super::{
        codec::{ALIKE, Address},
        shard::Shard,
    },
    Outlet, Shared,
};
use crate::server::layers::Event;

/// How long Redis keeps us waiting for a message before it says that there is none, in seconds.
pub(super) const WAIT_S: u64 = 5;
/// How much longer than that an answer may take.
pub(super) const LATE: Duration = Duration::from_secs(3);
/// Messages in one bite.
const BITE: usize = 256;
/// Pauses between attempts to connect grow from the first to the second.
pub(super) const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];

/// Ends when dropped.
pub(super) struct Receiver {
    task: JoinHandle<()>,
    shard: Arc<Shard>,
    lost: Arc<AtomicBool>,
}

impl Receiver {
    pub(super) fn start(shared: &Arc<Shared>, shard: &Arc<Shard>, outlet: &Arc<Outlet>) -> Self {
        let lost = Arc::new(AtomicBool::new(false));
        let drain = Drain {
            shared: Arc::downgrade(shared),
            shard: Arc::clone(shard),
            queue: shared.queue(outlet.name.as_str()),
            outlet: Arc::clone(outlet),
            lost: Arc::clone(&lost),
        };
        Self { task: tokio::spawn(drain.run()), shard: Arc::clone(shard), lost }
    }

    /// What keeps us from the queue now.
    pub(super) fn trouble(&self) -> Option<String> {
        let host = self.shard.source().host();
        self.lost.load(Ordering::Relaxed).then(|| format!("the connection that receives from {host} is lost"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Drain {
    shared: Weak<Shared>,
    shard: Arc<Shard>,
    queue: String,
    outlet: Arc<Outlet>,
    lost: Arc<AtomicBool>,
}

impl Drain {
    async fn run(self) {
        let mut connected_before = false;
        let mut pause = PAUSES[0];
        loop {
            match self.connect().await {
                Ok(connection) => {
                    self.lost.store(false, Ordering::Relaxed);
                    pause = PAUSES[0];
                    if connected_before {
                        self.outlet.sink.gap();
                    }
                    connected_before = true;
                    let cause = self.drain(connection).await;
                    self.lost.store(true, Ordering::Relaxed);
                    warn!(host = %self.shard.source().host(), %cause, "the connection that receives from Redis is lost");
                }
                // The shard's own connection says so in the log.
                Err(cause) => debug!(%cause, "no connection to receive from"),
            }
            sleep(pause).await;
            pause = PAUSES[1].min(2 * pause);
        }
    }

    /// A connection that has answered: one that lacks a password comes about too.
    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = self.shard.source().connect(Duration::from_secs(WAIT_S) + LATE).await?;
        redis::cmd("PING").exec_async(&mut connection).await?;
        Ok(connection)
    }

    async fn drain(&self, mut connection: MultiplexedConnection) -> RedisError {
        loop {
            if let Err(cause) = self.bite(&mut connection).await {
                return cause;
            }
        }
    }

    /// Waits for a message, and takes what else there is.
    async fn bite(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let mut wait = redis::cmd("BZPOPMIN");
        wait.arg(&self.queue).arg(WAIT_S);
        let first: Option<(Vec<u8>, Vec<u8>, f64)> = wait.query_async(connection).await?;
        let Some((_, message, _)) = first else { return Ok(()) };
        self.deliver(&message);
        loop {
            let mut take = redis::cmd("ZPOPMIN");
            take.arg(&self.queue).arg(BITE);
            let more: Vec<(Vec<u8>, f64)> = take.query_async(connection).await?;
            for (message, _) in &more {
                self.deliver(message);
            }
            if more.len() < BITE {
                return Ok(());
            }
        }
    }

    fn deliver(&self, message: &[u8]) {
        if let Some(shared) = self.shared.upgrade() {
            self.outlet.arrive(&shared, message);
        }
    }
}

/// Opens a message from the queue of a process: the event, and for which channels it is. What cannot be read is logged and dropped:
/// it is a peer's mistake, and nothing that is received may stop the receiving.
pub(super) fn read(shared: &Shared, message: &[u8]) -> Option<(Event, Vec<String>)> {
    let Some(body) = shared.envelope.open(message) else {
        warn!(
            bytes = message.len(),
            "a message from Redis is shorter than its random prefix: is random_prefix_length the same everywhere?"
        );
        return None;
    };
    match shared.codec.decode(body) {
        Ok((event, address)) => {
            let channels = match address {
                Some(Address::One(channel)) => vec![channel],
                Some(Address::Many(channels)) => channels,
                None => Vec::new(),
            };
            Some((event, channels))
        }
        Err(cause) => {
            warn!(%cause, "a message from Redis cannot be read: {ALIKE}");
            None
        }
    }
}
