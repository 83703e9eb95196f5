//! Sends group messages, in the order in which they were handed over.
//!
//! What gathers while a batch is on its way is the next batch: the members of its groups are read once each, then each
//! message goes to every queue that has a member behind it. One message alone is a batch of one.

use std::{collections::BTreeMap, collections::HashMap, sync::Arc};

use futures_util::future::join_all;
use redis::Value;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use super::{
    super::{
        codec::Address,
        shard::{Answer, unavailable},
    },
    Shared, full,
};
use crate::server::layers::{Channel, Event, GroupName, LayerError};

/// Group messages in one batch.
const BATCH: usize = 512;

/// A group message on its way.
pub(super) struct Outgoing {
    pub(super) group: GroupName,
    pub(super) event: Event,
    pub(super) answer: oneshot::Sender<Result<(), LayerError>>,
}

/// The members of a group, or why they are not known.
type Members = Result<Vec<Channel>, String>;

/// A message that has been handed to a server; for each queue, how many members are behind it.
struct Handed {
    behind: Vec<usize>,
    answer: Answer,
}

pub(super) async fn run(shared: Arc<Shared>, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut batch = Vec::with_capacity(BATCH);
    while outgoing.recv_many(&mut batch, BATCH).await > 0 {
        send(&shared, batch.drain(..)).await;
    }
}

async fn send(shared: &Shared, batch: impl Iterator<Item = Outgoing>) {
    let batch: Vec<_> = batch.collect();
    let mut groups: Vec<_> = batch.iter().map(|outgoing| &outgoing.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let members = join_all(groups.iter().map(|group| members(shared, group))).await;
    let members: HashMap<GroupName, Members> = groups.into_iter().cloned().zip(members).collect();

    let mut handed = Vec::with_capacity(batch.len());
    for Outgoing { group, event, answer } in batch {
        let result = match members.get(&group) {
            Some(Ok(members)) => hand_over(shared, members, &event).await,
            Some(Err(cause)) => Err(unavailable(cause.clone())),
            None => Ok(Vec::new()),
        };
        handed.push((group, answer, result));
    }
    for (group, answer, result) in handed {
        let result = match result {
            Ok(handed) => conclude(&group, members.get(&group), handed).await,
            Err(error) => Err(error),
        };
        // Whoever sent it may have gone.
        let _ = answer.send(result);
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
    let Value::Array(names) = found.map_err(cause)? else { return Ok(Vec::new()) };
    let text = |name: Value| if let Value::BulkString(bytes) = name { String::from_utf8(bytes).ok() } else { None };
    // Python accepts some names that are none here, and nothing that listens has them.
    Ok(names.into_iter().filter_map(|name| text(name)?.parse().ok()).collect())
}

/// One copy for every queue, one command for every server.
async fn hand_over(shared: &Shared, members: &[Channel], event: &Event) -> Result<Vec<Handed>, LayerError> {
    let mut queues: BTreeMap<&str, Vec<&Channel>> = BTreeMap::new();
    for member in members {
        queues.entry(member.non_local()).or_default().push(member);
    }
    let mut servers: BTreeMap<usize, Vec<(&str, Vec<&Channel>)>> = BTreeMap::new();
    for (non_local, channels) in queues {
        servers.entry(shared.shard_of(non_local)).or_default().push((non_local, channels));
    }
    let mut handed = Vec::with_capacity(servers.len());
    for (shard, queues) in servers {
        let mut put = shared.scripts.put.call(queues.len());
        for (non_local, _) in &queues {
            put.arg(shared.queue(non_local));
        }
        put.arg(shared.expiry.as_secs_f64());
        for (non_local, channels) in &queues {
            let names = Address::Many(channels.iter().map(|channel| channel.as_str().to_owned()).collect());
            let capacity = channels.first().map_or(0, |channel| shared.capacity(channel));
            put.arg(shared.envelope.seal(shared.codec.encode(event, Some(&names))?)?);
            put.arg(capacity).arg(shared.unread(non_local).await);
        }
        let behind = queues.iter().map(|(_, channels)| channels.len()).collect();
        handed.push(Handed { behind, answer: shared.shards[shard].submit(put).await? });
    }
    Ok(handed)
}

/// Waits for all servers; those that fail do not cost the others theirs.
async fn conclude(group: &GroupName, members: Option<&Members>, handed: Vec<Handed>) -> Result<(), LayerError> {
    let (mut missed, mut outcome) = (0, Ok(()));
    for Handed { behind, answer } in handed {
        match answer.value().await.and_then(|value| full(&value)) {
            Ok(full) => missed += behind.iter().zip(full).filter(|(_, full)| *full).map(|(count, _)| count).sum::<usize>(),
            Err(error) => outcome = Err(error),
        }
    }
    if missed > 0 {
        let of = members.and_then(|members| members.as_ref().ok()).map_or(0, Vec::len);
        info!("{missed} of {of} channels over capacity in group {group}");
    }
    outcome
}
