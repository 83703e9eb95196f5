//! Sends group messages, in the order in which they were handed over.
//!
//! What gathers while a batch is on its way is the next batch: the members of its groups are read once each, then all messages
//! for the queues of one server go there in one command. One message alone is a batch of one.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
};

use futures_util::future::join_all;
use redis::Value;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use super::{
    super::{
        codec::Address,
        shard::{Answer, unavailable},
    },
    Shared, taken,
};
use crate::server::layers::{Channel, Event, GroupName, LayerError};

/// Group messages in one batch. A queue gets that many in one `ZADD` at most; Lua passes about eight thousand arguments.
const BATCH: usize = 512;
/// About how many bytes one command has; Redis does nothing else meanwhile.
const COMMAND_BYTES: usize = 1 << 20;

/// A group message on its way.
pub(super) struct Outgoing {
    pub(super) group: GroupName,
    pub(super) event: Event,
    pub(super) answer: oneshot::Sender<Result<(), LayerError>>,
}

/// The members of a group by the queue that they are behind, or why they are not known.
type Members = Result<BTreeMap<String, Vec<Channel>>, String>;

pub(super) async fn run(shared: Arc<Shared>, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut batch = Vec::with_capacity(BATCH);
    while outgoing.recv_many(&mut batch, BATCH).await > 0 {
        send(&shared, mem::take(&mut batch)).await;
    }
}

async fn send(shared: &Shared, batch: Vec<Outgoing>) {
    let mut groups: Vec<_> = batch.iter().map(|outgoing| &outgoing.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let members = join_all(groups.iter().map(|group| members(shared, group))).await;
    let members: HashMap<&GroupName, Members> = groups.into_iter().zip(members).collect();

    let mut outcomes: Vec<_> = batch.iter().map(|_| Outcome::default()).collect();
    let mut load = Load::default();
    let mut handed = Vec::new();
    for (index, outgoing) in batch.iter().enumerate() {
        let packed = match &members[&outgoing.group] {
            Ok(queues) => load.add(shared, index, &outgoing.event, queues),
            Err(cause) => Err(unavailable(cause.clone())),
        };
        outcomes[index].error = packed.err();
        if load.bytes > COMMAND_BYTES {
            handed.extend(mem::take(&mut load).hand_over(shared).await);
        }
    }
    handed.extend(load.hand_over(shared).await);
    for handed in handed {
        handed.conclude(&mut outcomes).await;
    }

    let sizes = batch.iter().map(|outgoing| match &members[&outgoing.group] {
        Ok(queues) => queues.values().map(Vec::len).sum(),
        Err(_) => 0,
    });
    let sizes: Vec<usize> = sizes.collect();
    drop(members);
    for ((Outgoing { group, answer, .. }, Outcome { missed, error }), of) in batch.into_iter().zip(outcomes).zip(sizes) {
        if missed > 0 {
            info!("{missed} of {of} channels over capacity in group {group}");
        }
        // Whoever sent it may have gone.
        let _ = answer.send(error.map_or(Ok(()), Err));
    }
}

async fn members(shared: &Shared, group: &GroupName) -> Members {
    let mut cmd = shared.scripts.members.call(1);
    cmd.arg(shared.group(group)).arg(shared.group_expiry.as_secs_f64());
    let found = shared.shards[shared.shard_of(group.as_str())].query(cmd).await;
    let cause = |error: LayerError| match error {
        LayerError::Unavailable(cause) => cause.to_string(),
        other => other.to_string(),
    };
    let Value::Array(names) = found.map_err(cause)? else { return Ok(BTreeMap::new()) };
    let text = |name: Value| if let Value::BulkString(bytes) = name { String::from_utf8(bytes).ok() } else { None };
    let mut queues: BTreeMap<String, Vec<Channel>> = BTreeMap::new();
    // Python accepts some names that are none here, and nothing that listens has them.
    for channel in names.into_iter().filter_map(|name| text(name)?.parse::<Channel>().ok()) {
        queues.entry(channel.non_local().to_owned()).or_default().push(channel);
    }
    Ok(queues)
}

/// What has become of one message.
#[derive(Default)]
struct Outcome {
    /// How many members had no room for it.
    missed: usize,
    error: Option<LayerError>,
}

/// Messages for the queues of each server.
#[derive(Default)]
struct Load {
    servers: BTreeMap<usize, BTreeMap<String, Queue>>,
    bytes: usize,
}

/// Messages for one queue.
struct Queue {
    capacity: usize,
    messages: Vec<Vec<u8>>,
    /// For each message, its place in the batch and how many members are behind it.
    behind: Vec<(usize, usize)>,
}

impl Load {
    /// A copy of the event for each queue.
    fn add(
        &mut self,
        shared: &Shared,
        index: usize,
        event: &Event,
        queues: &BTreeMap<String, Vec<Channel>>,
    ) -> Result<(), LayerError> {
        for (non_local, channels) in queues {
            let names = Address::Many(channels.iter().map(|channel| channel.as_str().to_owned()).collect());
            let message = shared.envelope.seal(shared.codec.encode(event, Some(&names))?)?;
            self.bytes += message.len();
            let capacity = || channels.first().map_or(0, |channel| shared.capacity(channel));
            let server = self.servers.entry(shared.shard_of(non_local)).or_default();
            if !server.contains_key(non_local) {
                server.insert(non_local.clone(), Queue { capacity: capacity(), messages: Vec::new(), behind: Vec::new() });
            }
            if let Some(queue) = server.get_mut(non_local) {
                queue.messages.push(message);
                queue.behind.push((index, channels.len()));
            }
        }
        Ok(())
    }

    /// One command for each server.
    async fn hand_over(self, shared: &Shared) -> Vec<Handed> {
        let mut handed = Vec::with_capacity(self.servers.len());
        for (shard, queues) in self.servers {
            let mut put = shared.scripts.put.call(queues.len());
            for non_local in queues.keys() {
                put.arg(shared.queue(non_local));
            }
            put.arg(shared.expiry.as_secs_f64());
            let mut behind = Vec::with_capacity(queues.len());
            for (non_local, queue) in queues {
                put.arg(queue.capacity).arg(shared.unread(&non_local).await).arg(queue.messages.len()).arg(queue.messages);
                behind.push(queue.behind);
            }
            handed.push(Handed { behind, answer: shared.shards[shard].submit(put).await });
        }
        handed
    }
}

/// Messages that have been handed to a server, by queue.
struct Handed {
    behind: Vec<Vec<(usize, usize)>>,
    answer: Result<Answer, LayerError>,
}

impl Handed {
    /// Notes what has become of them; a server that fails does not cost the others theirs.
    async fn conclude(self, outcomes: &mut [Outcome]) {
        let answer = match self.answer {
            Ok(answer) => answer.value().await.and_then(|value| taken(&value)),
            Err(error) => Err(error),
        };
        match answer {
            Ok(taken) => {
                for (queue, taken) in self.behind.iter().zip(taken) {
                    for (index, members) in queue.iter().skip(taken) {
                        outcomes[*index].missed += members;
                    }
                }
            }
            Err(error) => {
                let told = match error {
                    LayerError::Unavailable(cause) => cause.to_string(),
                    other => other.to_string(),
                };
                for (index, _) in self.behind.into_iter().flatten() {
                    outcomes[index].error = Some(unavailable(told.clone()));
                }
            }
        }
    }
}
