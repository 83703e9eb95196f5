//! Sees to it that a server knows the memberships of this process's channels.
//!
//! Each time the connection has come about they are told anew: the server may have lost them, and what was sent to them. And while
//! it lasts they are compared with what the server knows, since another program can have it forget without a connection breaking.
//! What it has forgotten it is told again, and whoever reads there hears that something may have been lost.
//!
//! A comparison asks for the score of each membership, some hundred with one command. The server is asked at the same time whether it
//! takes anything new at all: one that is full does not, and where nobody speaks nobody would know.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::Cmd;
use tokio::{sync::Notify, time::sleep};
use tracing::{debug, info, warn};

use super::{
    super::{
        host::Host,
        shard::{told, unavailable},
    },
    Shared,
    memberships::Member,
};
use crate::server::{
    layers::{GroupName, LayerError},
    telemetry::Fault,
};

/// How often memberships are compared, so that what was forgotten is known again within three seconds.
const EVERY: Duration = Duration::from_secs(2);
/// Before memberships that could not be made anew are tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a comparison that somebody asks for waits for others to ask too.
const PAUSE: Duration = Duration::from_millis(50);
/// Memberships that are compared, or made anew, together.
const BATCH: usize = 250;

/// How it goes with the memberships on one server.
#[derive(Default)]
pub(super) struct Standing {
    state: Mutex<State>,
    /// Somebody has seen that a membership is missing.
    missed: Notify,
    forgotten: Fault,
    full: Fault,
}

#[derive(Default)]
struct State {
    /// Since which of the connections the memberships are there.
    restored: u64,
    /// Why the server takes nothing new, by the last comparison.
    full: Option<String>,
    /// How many memberships the server had forgotten, by the last comparison.
    forgotten: usize,
}

impl Standing {
    /// What is wrong on the connection with this number, in words for an operator.
    pub(super) fn trouble(&self, generation: u64, host: &Host) -> Option<String> {
        let State { restored, full, forgotten } = &*self.state.lock();
        if *restored != generation {
            return Some(format!("the memberships on {host} are being made anew"));
        }
        let full = full.as_ref().map(|cause| format!("{host} takes nothing new: {cause}"));
        let forgot = || format!("{host} has forgotten {forgotten} memberships of this node, which are being made anew");
        full.or_else(|| (*forgotten > 0).then(forgot))
    }

    /// So many memberships are forgotten, and perhaps more.
    fn note_at_least(&self, forgotten: usize) {
        let mut state = self.state.lock();
        state.forgotten = state.forgotten.max(forgotten);
    }

    /// Has the memberships compared now.
    pub(super) fn look(&self) {
        self.missed.notify_one();
    }
}

/// Runs as long as the shard is there.
pub(super) async fn run(shared: Arc<Shared>, shard: usize) {
    let mut generation = shared.shards[shard].generation();
    let standing = &shared.standings[shard];
    let mut done = 0;
    loop {
        // Looks before it waits: Redis may be there before this task has begun.
        let look = async {
            tokio::select! {
                connected = generation.wait_for(|current| *current != done) => connected.map(|_| true),
                () = sleep(EVERY) => Ok(false),
                () = async { standing.missed.notified().await; sleep(PAUSE).await; } => Ok(false),
            }
        };
        let Ok(is_new) = look.await else { return };
        let current = *generation.borrow_and_update();
        if !is_new {
            if shared.shards[shard].trouble().is_none()
                && let Err(cause) = shared.compare(shard).await
            {
                debug!(%cause, "memberships could not be compared");
            }
            continue;
        }
        match shared.restore(shard).await {
            Ok(()) if *generation.borrow() == current => {
                standing.state.lock().restored = current;
                if current > 1 {
                    shared.gap();
                }
                done = current;
            }
            // It was lost again meanwhile, and is back.
            Ok(()) => {}
            Err(cause) => {
                warn!(%cause, "memberships could not be made anew");
                sleep(AGAIN).await;
            }
        }
    }
}

impl Shared {
    /// Makes all memberships on a server anew.
    async fn restore(&self, shard: usize) -> Result<(), LayerError> {
        let mut after = None;
        loop {
            let (members, next) = self.batch(shard, after.as_ref());
            self.rejoin(shard, &members).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn batch(&self, shard: usize, after: Option<&GroupName>) -> (Vec<Member>, Option<GroupName>) {
        self.memberships.lock().batch(after, BATCH, |group| self.shard_of(group.as_str()) == shard)
    }

    /// Makes memberships anew, with the age that they have; ends those again that nobody wants any more.
    async fn rejoin(&self, shard: usize, members: &[Member]) -> Result<(), LayerError> {
        self.shards[shard].query_all(members.iter().map(|member| self.join(member)).collect()).await?;
        let unwanted: Vec<_> = {
            let mut memberships = self.memberships.lock();
            for Member { group, channel, .. } in members {
                memberships.confirm(group, channel);
            }
            members.iter().filter(|member| !memberships.contains(&member.group, &member.channel)).collect()
        };
        for Member { group, channel, .. } in unwanted {
            self.leave(group, [channel.clone()]).await?;
        }
        Ok(())
    }

    /// Compares the memberships with what a server knows, and tells it again what it has forgotten.
    async fn compare(&self, shard: usize) -> Result<(), LayerError> {
        let (server, standing) = (&self.shards[shard], &self.standings[shard]);
        let host = server.source().host();
        let full = server.query(self.touch()).await.err().map(|cause| told(&cause));
        let news = standing.full.is_news(full.is_some());
        match &full {
            Some(cause) if news => {
                warn!(%host, cause, "Redis takes nothing new: it cannot be told of groups, and what is sent may be refused");
            }
            None if news => info!(%host, "Redis takes what is new again"),
            _ => {}
        }
        standing.state.lock().full = full;
        let mut forgotten = 0;
        let compared = self.compare_all(shard, &mut forgotten).await;
        if forgotten > 0 || compared.is_ok() {
            standing.state.lock().forgotten = forgotten;
            let news = standing.forgotten.is_news(forgotten > 0);
            if forgotten > 0 && news {
                warn!(
                    %host, forgotten,
                    "Redis has forgotten which groups this node is in, and is told again; \
                     does another program empty its database, or are keys evicted?"
                );
            } else if news {
                info!(%host, "Redis knows the groups of this node");
            }
        }
        compared
    }

    /// Counts those that were forgotten; they are known again when this resolves without an error.
    async fn compare_all(&self, shard: usize, forgotten: &mut usize) -> Result<(), LayerError> {
        let mut after = None;
        loop {
            let (members, next) = self.batch(shard, after.as_ref());
            let missing = self.unknown(shard, &members).await?;
            *forgotten += missing.iter().filter(|member| member.confirmed).count();
            // Before they are told again, which may fail.
            self.standings[shard].note_at_least(*forgotten);
            self.rejoin(shard, &missing).await?;
            for member in &missing {
                self.missed(&member.channel);
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Those of the members that the server does not know.
    async fn unknown(&self, shard: usize, members: &[Member]) -> Result<Vec<Member>, LayerError> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut unknown = self.scripts.unknown.call(members.len());
        for member in members {
            unknown.arg(self.group(&member.group));
        }
        for member in members {
            unknown.arg(member.channel.as_str());
        }
        let places: Vec<usize> = redis::from_redis_value(self.shards[shard].query(unknown).await?).map_err(unavailable)?;
        // Counted from 1, as Lua does.
        let unknown = places.into_iter().filter_map(|place| members.get(place.checked_sub(1)?));
        let memberships = self.memberships.lock();
        // Some may have been ended meanwhile.
        Ok(unknown.filter(|member| memberships.contains(&member.group, &member.channel)).cloned().collect())
    }

    /// Writes nothing, but is refused where nothing can be written.
    fn touch(&self) -> Cmd {
        let mut cmd = redis::cmd("ZADD");
        cmd.arg(format!("{}:none", self.prefix)).arg("XX").arg(0).arg("none");
        cmd
    }
}
