//! The one task of this node that writes.
//!
//! ```text
//!   queue ──► gather ──► one transaction for messages and changes, in one or two round trips ──► Commits, in the order of offsets
//!                ▲                                   │
//!                └── again, on a new connection ◄────┘ the connection broke: nobody knows whether it was committed
//! ```
//!
//! A batch whose outcome is unknown is sent again: what was committed the first time is found by its key, its senders are told where
//! it stands, and the watch sees to it that members get it. Changes have no keys: done once more in their order they end the same, with
//! entries of their own where one of them had been overtaken by the next. Where the database stays away the senders are told that it is unavailable;
//! should it have committed after all, a sender that tries again finds that out, and the watch does.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::Object;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_postgres::{Row, error::SqlState};
use tracing::warn;

use super::{
    append::{New, Outcome, append},
    error::Failure,
    pool::{ANSWER, Connections},
    reader::{column, name, offset},
    records,
};
use crate::{
    server::{
        causes::with_causes,
        store::{
            error::StoreError,
            log::{
                Appended, ChangeError, Refused,
                beginning::Beginning,
                epoch::EpochSeed,
                queue::{Job, Outbox, Ticket, Work, gather},
            },
            records::{Results, Statement},
        },
    },
    wire::{Epoch, Group, Position},
};

/// How long a database that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// So many rooms are remembered to be there; with more the memory is emptied.
const REMEMBERED_ROOMS: usize = 10_000;

/// Drops what stands before a room's new beginning.
const FORGET: &str = r#"
    WITH room AS (
        UPDATE rooms SET first = greatest(first, $2), replayable = greatest(replayable, $3),
            touched = CASE WHEN first < $2 THEN pg_current_xact_id()::text::bigint ELSE touched END,
            latest = CASE WHEN latest < $2
                THEN (SELECT coalesce(max("offset"), 0) FROM messages WHERE room_id = rooms.id AND "offset" >= $2)
                ELSE latest END
        WHERE name = $1 RETURNING id, epoch, head
    ), messages AS (
        DELETE FROM messages USING room WHERE room_id = room.id AND "offset" < $2
    ), changes AS (
        DELETE FROM changes USING room WHERE room_id = room.id AND "offset" < $3
    )
    SELECT epoch, head FROM room"#;

/// Why something is not committed after all that could be tried.
enum Verdict {
    /// A part of it may fare better.
    Unfit(tokio_postgres::Error),
    Unavailable(StoreError),
}

impl From<Verdict> for StoreError {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Unfit(cause) => Self::unavailable(with_causes(&cause)),
            Verdict::Unavailable(error) => error,
        }
    }
}

/// What is committed together.
trait Unit: Sync {
    type Written: Send;
    /// Whether it may be sent again when nobody knows if it was committed.
    const REPEATABLE: bool = true;

    fn write(&self, writer: &Writer, client: &Object) -> impl Future<Output = Result<Self::Written, Failure>> + Send;
}

/// Messages and changes, with those who wait for them.
type Batch = Vec<(New, Ticket)>;

impl Unit for Batch {
    /// What became of them, or of the first of them.
    type Written = Vec<Outcome>;

    async fn write(&self, writer: &Writer, client: &Object) -> Result<Vec<Outcome>, Failure> {
        let batch: Vec<&New> = self.iter().map(|(new, _)| new).collect();
        append(client, &batch, &writer.unknown(&batch)).await
    }
}

impl Unit for (Group, Beginning) {
    /// Where the room's stream stands, if there is such a room.
    type Written = Option<Position>;

    async fn write(&self, _: &Writer, client: &Object) -> Result<Option<Position>, Failure> {
        let (group, Beginning { first, replayable }) = self;
        let forgotten = client.prepare_cached(FORGET).await?;
        let row = client.query_opt(&forgotten, &[&group.as_str(), &column(first.0), &column(replayable.0)]).await?;
        let position = |row: Row| Ok(Position { epoch: name(&row, 0)?, offset: offset(&row, 1)? });
        row.map(position).transpose().map_err(Failure::Damaged)
    }
}

/// Rows of plain tables.
impl Unit for Vec<Statement> {
    type Written = Results;
    const REPEATABLE: bool = false;

    async fn write(&self, _: &Writer, client: &Object) -> Result<Results, Failure> {
        client.batch_execute("BEGIN").await?;
        let written = records::write(client, self).await;
        if written.is_err() {
            client.batch_execute("ROLLBACK").await?;
        }
        let written = written?;
        client.batch_execute("COMMIT").await?;
        Ok(written)
    }
}

pub(super) struct Writer {
    connections: Connections,
    seed: EpochSeed,
    outbox: Outbox,
    /// Notified after each commit, which that does not hold up.
    news: Arc<Notify>,
    /// Rooms that the database has.
    rooms: HashSet<Group>,
    /// Since when the database is away.
    away: Option<Instant>,
}

impl Writer {
    pub(super) fn new(connections: Connections, seed: EpochSeed, outbox: Outbox, news: Arc<Notify>) -> Self {
        Self { connections, seed, outbox, news, rooms: HashSet::new(), away: None }
    }

    /// Commits what comes down the queue until its other end is dropped and it is empty.
    pub(super) async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        while let Some(first) = queue.recv().await {
            self.settle(gather(first, &mut queue)).await;
        }
        self.connections.close();
    }

    /// Commits what came, in its order, and answers each, one way or the other.
    async fn settle(&mut self, jobs: Vec<Job>) {
        let mut batch = Batch::new();
        for job in jobs {
            match job {
                Job::Log(Work::Message(message), ticket) => batch.push((New::Message(message), ticket)),
                Job::Log(Work::Change(change), ticket) => batch.push((New::Change(change), ticket)),
                Job::Log(Work::Forget(group, beginning), ticket) => {
                    self.settle_batch(std::mem::take(&mut batch)).await;
                    self.settle_beginning(&(group, beginning), ticket).await;
                }
                Job::Records(statements, ticket) => {
                    self.settle_batch(std::mem::take(&mut batch)).await;
                    ticket.answer(self.persist(&statements).await.map_err(|verdict| StoreError::from(verdict).into()));
                }
            }
        }
        self.settle_batch(batch).await;
    }

    async fn settle_beginning(&mut self, beginning: &(Group, Beginning), ticket: Ticket) {
        let settled = match self.persist(beginning).await {
            Ok(Some(position)) => Ok(Appended { position, fresh: false }),
            Ok(None) => Err(ChangeError::Refused(Refused::NotFound)),
            Err(verdict) => Err(StoreError::from(verdict).into()),
        };
        ticket.answer(settled);
    }

    async fn settle_batch(&mut self, mut batch: Batch) {
        while !batch.is_empty() {
            match self.persist(&batch).await {
                Ok(outcomes) => {
                    let rest = batch.split_off(outcomes.len());
                    self.hand_on(std::mem::replace(&mut batch, rest), outcomes);
                }
                // The fault is one's; the others are found by halves.
                Err(Verdict::Unfit(_)) if batch.len() > 1 => {
                    let rest = batch.split_off(batch.len() / 2);
                    Box::pin(self.settle_batch(std::mem::replace(&mut batch, rest))).await;
                }
                Err(verdict) => return refuse(batch, verdict.into()),
            }
        }
    }

    /// Has something written, again and again as long as that may help.
    async fn persist<U: Unit>(&mut self, unit: &U) -> Result<U::Written, Verdict> {
        let began = Instant::now();
        loop {
            match self.write(unit).await {
                Ok(written) => {
                    self.away = None;
                    return Ok(written);
                }
                Err(Failure::Damaged(cause)) => {
                    self.rooms.clear();
                    return Err(Verdict::Unavailable(cause));
                }
                Err(Failure::Refused(cause)) if is_unfit(&cause) => return Err(Verdict::Unfit(cause)),
                Err(Failure::Refused(cause)) if !may_succeed(&cause) || began.elapsed() > PATIENCE => {
                    return Err(Verdict::Unavailable(StoreError::unavailable(with_causes(&cause))));
                }
                Err(Failure::Refused(_)) => {}
                Err(Failure::Lost(cause)) if !U::REPEATABLE => return Err(Verdict::Unavailable(cause)),
                Err(Failure::Lost(cause)) => {
                    if self.away.is_none() {
                        warn!(%cause, "a transaction is not known to be committed; it is sent again");
                    }
                    if self.away.get_or_insert(began).elapsed() > PATIENCE {
                        return Err(Verdict::Unavailable(cause));
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One transaction.
    async fn write<U: Unit>(&self, unit: &U) -> Result<U::Written, Failure> {
        let client = self.connections.get().await.map_err(Failure::Lost)?;
        let lost = match timeout(ANSWER, unit.write(self, &client)).await {
            Ok(Err(Failure::Refused(cause))) if is_of_the_connection(&cause) => StoreError::unavailable(with_causes(&cause)),
            Ok(written) => return written,
            Err(_) => StoreError::unavailable(format!("no answer within {} seconds", ANSWER.as_secs())),
        };
        // Not given back: what is still in it would be taken for an answer to the next transaction's.
        drop(Object::take(client));
        Err(Failure::Lost(lost))
    }

    /// The rooms of new messages that may not be there yet, with their epochs.
    fn unknown<'b>(&self, batch: &[&'b New]) -> Vec<(&'b Group, Epoch)> {
        let messages = batch.iter().filter(|new| matches!(new, New::Message(_)));
        let unknown: HashSet<_> = messages.map(|new| new.group()).filter(|group| !self.rooms.contains(*group)).collect();
        unknown.into_iter().map(|group| (group, self.seed.epoch_of(group))).collect()
    }

    /// Answers those that are committed: the new ones when they were handed on.
    fn hand_on(&mut self, batch: Batch, outcomes: Vec<Outcome>) {
        self.news.notify_one();
        if self.rooms.len() > REMEMBERED_ROOMS {
            self.rooms.clear();
        }
        for ((new, ticket), outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Made(made) => {
                    self.rooms.insert(new.group().clone());
                    self.outbox.entry(new.into_group(), *made, ticket);
                }
                Outcome::Settled(settled) => ticket.answer(settled),
            }
        }
    }
}

/// Tells all of them the same.
fn refuse(batch: Batch, StoreError::Unavailable(cause): StoreError) {
    let cause: Arc<dyn std::error::Error + Send + Sync> = cause.into();
    for (_, ticket) in batch {
        ticket.answer(Err(StoreError::unavailable(Arc::clone(&cause)).into()));
    }
}

/// Another node was in the way (SQLSTATE class 40: it was rolled back for no fault of its own).
fn may_succeed(cause: &tokio_postgres::Error) -> bool {
    cause.code().is_some_and(|code| code.code().starts_with("40"))
}

/// Whether a batch may fare better without one of its messages: SQLSTATE classes 22 (data), 23 (constraints), 54 (limits).
fn is_unfit(cause: &tokio_postgres::Error) -> bool {
    cause.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.code().starts_with(class)))
}

/// Whether another connection may fare better: this one is broken (class 08), the server or a pooler ends it (class 57P, 25P03), or
/// it takes no writes since another one has become the primary.
fn is_of_the_connection(cause: &tokio_postgres::Error) -> bool {
    cause.code().is_none_or(|code| {
        ["08", "57P", "25P03"].iter().any(|class| code.code().starts_with(class))
            || *code == SqlState::READ_ONLY_SQL_TRANSACTION
    })
}
