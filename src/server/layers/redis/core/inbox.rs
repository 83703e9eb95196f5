//! Takes messages out of a queue for those who wait in [`receive`](crate::server::layers::ChannelLayer::receive).
//!
//! A message stays in Redis, where it counts against the capacity, until somebody waits for it. While a reader waits, a pump for
//! each server takes one message after another; it goes to the mailbox of the channel that it is for, perhaps not the one that
//! is waited for, and counts from there. A pop that is under way when the last reader gives up is called back, so that it takes
//! nothing that nobody wants.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{
    super::shard::Shard,
    Shared,
    receiver::{LATE, PAUSES, WAIT_S, read},
};
use crate::server::layers::{Capacities, Channel, mailboxes::Mailboxes};

/// How long an unblocking may take effect before it is repeated: it may have overtaken its pop.
const REPEAT: Duration = Duration::from_millis(5);

/// A message with its score, as popped.
type Popped = (Vec<u8>, f64);

/// The queue of one non-local name, as this process reads it.
pub(super) struct Inbox {
    non_local: String,
    mailboxes: Mutex<Mailboxes>,
    /// Redis has checked already.
    capacities: Capacities,
    woken: Notify,
    pumps: Vec<Pump>,
}

struct Pump {
    shard: Arc<Shard>,
    /// While a pop is under way: the connection that is blocked, as Redis numbers it.
    popping: watch::Sender<Option<i64>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Inbox {
    pub(super) fn open(shared: &Arc<Shared>, non_local: &str) -> Arc<Self> {
        let pump =
            |shard: &Arc<Shard>| Pump { shard: Arc::clone(shard), popping: watch::Sender::new(None), task: Mutex::default() };
        let inbox = Arc::new(Self {
            non_local: non_local.to_owned(),
            mailboxes: Mutex::new(Mailboxes::new(shared.expiry)),
            capacities: Capacities::new(usize::MAX, Vec::<(&str, usize)>::new()),
            woken: Notify::new(),
            pumps: shared.shards.iter().map(pump).collect(),
        });
        for (index, pump) in inbox.pumps.iter().enumerate() {
            *pump.task.lock() = Some(tokio::spawn(run(Arc::downgrade(shared), Arc::downgrade(&inbox), index)));
        }
        inbox
    }

    pub(super) fn mailboxes(&self) -> &Mutex<Mailboxes> {
        &self.mailboxes
    }

    /// Somebody has begun to wait.
    pub(super) fn wake(&self) {
        self.woken.notify_waiters();
    }

    /// Ends the pumps.
    pub(super) fn stop(&self) {
        for pump in &self.pumps {
            if let Some(task) = pump.task.lock().take() {
                task.abort();
            }
        }
    }

    pub(super) fn unread(&self) -> usize {
        self.mailboxes.lock().unread(&self.non_local)
    }

    pub(super) fn clear(&self) {
        self.mailboxes.lock().clear();
    }

    /// Calls back the pops that are under way for nobody.
    pub(super) async fn settle(&self) {
        for pump in &self.pumps {
            let mut popping = pump.popping.subscribe();
            loop {
                let Some(client) = *popping.borrow_and_update() else { break };
                if self.mailboxes.lock().is_hungry() {
                    break;
                }
                let mut unblock = redis::cmd("CLIENT");
                unblock.arg("UNBLOCK").arg(client);
                if pump.shard.query(unblock).await.is_err() {
                    break;
                }
                // Either way the next round looks again.
                let _ = timeout(REPEAT, popping.changed()).await;
            }
        }
    }

    /// Begins a pop if somebody waits for a message.
    fn begin(&self, pump: &Pump, client: i64) -> bool {
        let mailboxes = self.mailboxes.lock();
        let hungry = mailboxes.is_hungry();
        if hungry {
            pump.popping.send_replace(Some(client));
        }
        hungry
    }

    /// Ends a pop: gives what it brought to whom it is for. Of a queue that other processes read too, gives back what nobody
    /// here waits for any more.
    fn end(&self, pump: &Pump, shared: &Shared, popped: Option<Popped>) -> Option<Popped> {
        let mut mailboxes = self.mailboxes.lock();
        let mut back = None;
        if let Some((message, score)) = popped {
            let shared_queue = !self.non_local.ends_with('!');
            if shared_queue && !mailboxes.is_hungry() {
                back = Some((message, score));
            } else if let Some((event, channels)) = read(shared, &message) {
                let mut channels: Vec<Channel> = channels.iter().filter_map(|name| name.parse().ok()).collect();
                if shared_queue {
                    channels = self.non_local.parse().into_iter().collect();
                }
                channels.retain(|channel| channel.non_local() == self.non_local);
                mailboxes.put(&channels, &Arc::new(event), &self.capacities);
            }
        }
        pump.popping.send_replace(None);
        back
    }
}

/// Settles when a reader has gone, with its message or without.
pub(super) struct SettleOnDrop(pub(super) Arc<Inbox>);

impl Drop for SettleOnDrop {
    fn drop(&mut self) {
        let under_way = self.0.pumps.iter().any(|pump| pump.popping.borrow().is_some());
        if under_way && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let inbox = Arc::clone(&self.0);
            runtime.spawn(async move { inbox.settle().await });
        }
    }
}

/// Pops as long as somebody waits.
async fn run(shared: Weak<Shared>, inbox: Weak<Inbox>, index: usize) {
    let Some(source) = inbox.upgrade().and_then(|inbox| Some(Arc::clone(inbox.pumps.get(index)?.shard.source()))) else {
        return;
    };
    loop {
        let connected = async {
            let mut connection = source.connect(Duration::from_secs(WAIT_S) + LATE).await?;
            let client: i64 = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await?;
            Ok::<_, RedisError>((connection, client))
        };
        match connected.await {
            Ok((mut connection, client)) => {
                while let (Some(shared), Some(inbox)) = (shared.upgrade(), inbox.upgrade()) {
                    let Some(pump) = inbox.pumps.get(index) else { return };
                    let woken = inbox.woken.notified();
                    if !inbox.begin(pump, client) {
                        woken.await;
                        continue;
                    }
                    let popped = pop(&shared, &inbox.non_local, &mut connection).await;
                    let (popped, lost) = popped.map_or_else(|cause| (None, Some(cause)), |popped| (popped, None));
                    if let Some((message, score)) = inbox.end(pump, &shared, popped) {
                        let mut back = redis::cmd("ZADD");
                        back.arg(shared.queue(&inbox.non_local)).arg(score).arg(message);
                        if let Err(cause) = back.exec_async(&mut connection).await {
                            warn!(%cause, "a message that nobody waits for could not be given back to Redis");
                        }
                    }
                    if let Some(cause) = lost {
                        debug!(%cause, "the connection that receives from Redis is lost");
                        break;
                    }
                }
            }
            Err(cause) => debug!(%cause, "no connection to receive from"),
        }
        sleep(PAUSES[0]).await;
    }
}

/// The oldest message that has not expired; waits for one.
async fn pop(shared: &Shared, non_local: &str, connection: &mut MultiplexedConnection) -> Result<Option<Popped>, RedisError> {
    let queue = shared.queue(non_local);
    let mut take = shared.scripts.take.call(1);
    take.arg(&queue).arg(shared.expiry.as_secs_f64()).arg(1);
    let mut taken: Vec<Popped> = take.query_async(connection).await?;
    if let Some(popped) = taken.pop() {
        return Ok(Some(popped));
    }
    let mut wait = redis::cmd("BZPOPMIN");
    wait.arg(&queue).arg(WAIT_S);
    let waited: Option<(Vec<u8>, Vec<u8>, f64)> = wait.query_async(connection).await?;
    Ok(waited.map(|(_, message, score)| (message, score)))
}
