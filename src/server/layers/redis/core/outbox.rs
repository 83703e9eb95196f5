//! Sends group messages, in the order in which they were handed over.
//!
//! What gathers while a batch is on its way is the next batch: the members of its groups are read once each, then all messages
//! for the queues of one server go there in one command. One message alone is a batch of one. Of this process's own channels the
//! process knows by itself which are members, so they get what is sent here also where Redis has forgotten them.

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
        shard::{Answer, told, unavailable},
    },
    Noted, Outlet, Shared,
    memberships::Member,
    taken,
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

/// The members of a group that are behind one queue.
struct Behind {
    non_local: String,
    shard: usize,
    capacity: usize,
    count: usize,
    /// Their names, as each message for them says.
    names: Address,
    /// Where it is this process's own.
    own: Option<Arc<Outlet>>,
}

/// The members of a group by queue, or why they are not known.
type Members = Result<Vec<Behind>, String>;

pub(super) async fn run(shared: Arc<Shared>, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut batch = Vec::with_capacity(BATCH);
    while outgoing.recv_many(&mut batch, BATCH).await > 0 {
        send(&shared, mem::take(&mut batch)).await;
    }
}

async fn send(shared: &Shared, batch: Vec<Outgoing>) {
    let outcomes = hand_over(shared, &batch).await;
    for (Outgoing { group, answer, .. }, Outcome { members, missed, error }) in batch.into_iter().zip(outcomes) {
        if missed > 0 {
            info!("{missed} of {members} channels over capacity in group {group}");
        }
        // Whoever sent it may have gone.
        let _ = answer.send(error.map_or(Ok(()), Err));
    }
}

async fn hand_over(shared: &Shared, batch: &[Outgoing]) -> Vec<Outcome> {
    let mut groups: Vec<_> = batch.iter().map(|outgoing| &outgoing.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let members = join_all(groups.iter().map(|group| members(shared, group))).await;
    let members: HashMap<&GroupName, Members> = groups.into_iter().zip(members).collect();

    let mut outcomes: Vec<_> = batch.iter().map(|_| Outcome::default()).collect();
    let mut load = Load::default();
    let mut handed = Vec::new();
    for (index, outgoing) in batch.iter().enumerate() {
        match &members[&outgoing.group] {
            Ok(queues) => {
                outcomes[index].members = queues.iter().map(|queue| queue.count).sum();
                outcomes[index].error = load.add(shared, index, &outgoing.event, queues).err();
            }
            Err(cause) => outcomes[index].error = Some(unavailable(cause.clone())),
        }
        if load.bytes > COMMAND_BYTES {
            handed.extend(mem::take(&mut load).hand_over(shared).await);
        }
    }
    handed.extend(load.hand_over(shared).await);
    for handed in handed {
        handed.conclude(&mut outcomes).await;
    }
    outcomes
}

/// Who is in a group: all whom Redis names, and our own whether it names them or not.
async fn members(shared: &Shared, group: &GroupName) -> Members {
    // Before Redis is asked: it names those that were there by then.
    let own = shared.memberships.lock().of(group);
    let shard = shared.shard_of(group.as_str());
    let mut cmd = shared.scripts.members.call(1);
    cmd.arg(shared.group(group)).arg(shared.group_expiry.as_secs_f64());
    let found = shared.shards[shard].query(cmd).await.map_err(|error| told(&error))?;
    let names = if let Value::Array(names) = found { names } else { Vec::new() };
    let text = |name: Value| if let Value::BulkString(bytes) = name { String::from_utf8(bytes).ok() } else { None };
    let mut queues: BTreeMap<String, Vec<Channel>> = BTreeMap::new();
    // Python accepts some names that are none here, and nothing that listens has them.
    for channel in names.into_iter().filter_map(|name| text(name)?.parse::<Channel>().ok()) {
        queues.entry(channel.non_local().to_owned()).or_default().push(channel);
    }
    for Member { channel, confirmed, .. } in own {
        let named = queues.get(channel.non_local()).is_some_and(|channels| channels.contains(&channel));
        // It may have left meanwhile.
        if !named && shared.memberships.lock().contains(group, &channel) {
            if confirmed {
                shared.standings[shard].look();
            }
            queues.entry(channel.non_local().to_owned()).or_default().push(channel);
        }
    }
    Ok(queues.into_iter().map(|(non_local, channels)| Behind::new(shared, non_local, &channels)).collect())
}

impl Behind {
    fn new(shared: &Shared, non_local: String, channels: &[Channel]) -> Self {
        Self {
            shard: shared.shard_of(&non_local),
            capacity: channels.first().map_or(0, |channel| shared.capacity(channel)),
            count: channels.len(),
            own: shared.outlet(&non_local),
            names: Address::Many(channels.iter().map(|channel| channel.as_str().to_owned()).collect()),
            non_local,
        }
    }
}

/// What has become of one message.
#[derive(Default)]
struct Outcome {
    members: usize,
    /// How many members had no room for it.
    missed: usize,
    error: Option<LayerError>,
}

/// Messages for the queues of each server.
#[derive(Default)]
struct Load<'a> {
    servers: BTreeMap<usize, BTreeMap<&'a str, Queue>>,
    bytes: usize,
}

/// Messages for one queue.
struct Queue {
    capacity: usize,
    own: Option<Arc<Outlet>>,
    messages: Vec<Vec<u8>>,
    /// For each message, its place in the batch and how many members are behind it.
    behind: Vec<(usize, usize)>,
}

impl<'a> Load<'a> {
    /// A copy of the event for each queue.
    fn add(&mut self, shared: &Shared, index: usize, event: &Event, queues: &'a [Behind]) -> Result<(), LayerError> {
        for own in queues.iter().filter_map(|queue| queue.own.as_ref()) {
            own.returns.check()?;
        }
        for Behind { non_local, shard, capacity, count, names, own } in queues {
            let message = shared.envelope.seal(&shared.codec.encode(event, Some(names))?);
            self.bytes += message.len();
            let new = || Queue { capacity: *capacity, own: own.clone(), messages: Vec::new(), behind: Vec::new() };
            let queue = self.servers.entry(*shard).or_default().entry(non_local).or_insert_with(new);
            queue.messages.push(message);
            queue.behind.push((index, *count));
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
            let (mut behind, mut noted) = (Vec::with_capacity(queues.len()), Vec::new());
            for (non_local, queue) in queues {
                put.arg(queue.capacity).arg(shared.unread(non_local).await).arg(queue.messages.len()).arg(&queue.messages);
                behind.push(queue.behind);
                if let Some(own) = queue.own {
                    noted.extend(queue.messages.into_iter().map(|body| own.note(body)));
                }
            }
            handed.push(Handed { behind, noted, answer: shared.shards[shard].submit(put).await });
        }
        handed
    }
}

/// Messages that have been handed to a server, by queue.
struct Handed {
    behind: Vec<Vec<(usize, usize)>>,
    /// Those for this process itself.
    noted: Vec<Noted>,
    answer: Result<Answer, LayerError>,
}

impl Handed {
    /// Notes what has become of them; a server that fails does not cost the others theirs.
    async fn conclude(self, outcomes: &mut [Outcome]) {
        let answer = match self.answer {
            Ok(answer) => answer.value().await.and_then(|value| taken(&value)),
            Err(error) => Err(error),
        };
        for noted in self.noted {
            // One for which its queue has no room counts as lost on the way, too.
            noted.settle(answer.is_ok());
        }
        match answer {
            Ok(taken) => {
                for (queue, taken) in self.behind.iter().zip(taken) {
                    for (index, members) in queue.iter().skip(taken) {
                        outcomes[*index].missed += members;
                    }
                }
            }
            Err(error) => {
                let told = told(&error);
                for (index, _) in self.behind.into_iter().flatten() {
                    outcomes[index].error = Some(unavailable(told.clone()));
                }
            }
        }
    }
}
