//! The one task of this node that writes.
//!
//! ```text
//!   queue ──► gather ──► one round trip: begin · make rooms · lock rooms · append · commit ──► Commits, in the order of offsets
//!                ▲                                   │
//!                └── again, on a new connection ◄────┘ the connection broke: nobody knows whether it was committed
//! ```
//!
//! A batch whose outcome is unknown is sent again: what was committed the first time is found by its key, its senders are told where
//! it stands, and the watch sees to it that members get it. Where the database stays away the senders are told that it is unavailable;
//! should it have committed after all, a sender that tries again finds that out, and the watch does.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::Object;
use futures_util::try_join;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_postgres::{Row, error::SqlState, types::ToSql};
use tracing::warn;

use super::{
    pool::{ANSWER, Connections},
    reader::{name, offset},
    text::escape,
    with_causes,
};
use crate::{
    server::store::{
        Appended, NewMessage, StoreError,
        batch::{Job, gather},
        commits::Outbox,
        epoch::EpochSeed,
    },
    wire::{Group, Position},
};

/// How long a database that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// So many rooms are remembered to be there; with more the memory is emptied.
const REMEMBERED_ROOMS: usize = 10_000;

/// Where another node makes the same room at once, its name and its epoch are both taken.
const MAKE_ROOMS: &str = "INSERT INTO rooms (name, epoch)
    SELECT name, epoch FROM unnest($1::text[], $2::text[]) AS made (name, epoch) ORDER BY name COLLATE \"C\"
    ON CONFLICT DO NOTHING";
/// In one order on all nodes, so that they cannot wait for each other in a ring.
const LOCK_ROOMS: &str = "SELECT FROM rooms WHERE name = ANY ($1::text[]) ORDER BY name FOR UPDATE";
/// Gives those that are new the next offsets of their rooms, in the order of the batch. The statement sees what was committed
/// before the rooms were locked, and nobody adds to them now. Answers for each message in that order: the room's epoch, the message's
/// offset, and whether it is new.
const APPEND: &str = r#"
    WITH batch AS MATERIALIZED (
        SELECT nextval('batches') AS number
    ), given AS (
        SELECT given.*, rooms.id AS room_id, rooms.epoch, rooms.head, old."offset" AS old,
            old."offset" IS NULL AND given.number = min(given.number) OVER (PARTITION BY rooms.id, given.digest) AS fresh
        FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[]) WITH ORDINALITY
            AS given (room, digest, key, author_id, author_name, text, at, number)
        JOIN rooms ON rooms.name = given.room
        LEFT JOIN LATERAL (
            SELECT "offset" FROM messages WHERE room_id = rooms.id AND messages.digest = given.digest LIMIT 1
        ) AS old ON true
    ), counted AS (
        SELECT given.*, head + count(*) FILTER (WHERE fresh) OVER (PARTITION BY room_id ORDER BY number) AS place FROM given
    ), placed AS MATERIALIZED (
        SELECT counted.*,
            coalesce(old, min(place) FILTER (WHERE fresh) OVER (PARTITION BY room_id, digest)) AS "offset"
        FROM counted
    ), stored AS (
        INSERT INTO messages (room_id, "offset", digest, key, author_id, author_name, text, at)
        SELECT room_id, "offset", digest, key, author_id, author_name, text, at FROM placed WHERE fresh
    ), moved AS (
        UPDATE rooms SET head = new.head, activity = batch.number * 1024 + new.number,
            touched = pg_current_xact_id()::text::bigint
        FROM batch, (
            SELECT room_id, max("offset") AS head, max(number) AS number FROM placed WHERE fresh GROUP BY room_id
        ) AS new
        WHERE rooms.id = new.room_id
    )
    SELECT epoch, "offset", fresh FROM placed ORDER BY number"#;

/// Why a batch is not committed, or not known to be.
enum Failure {
    /// The database has refused it; nothing of it is there.
    Refused(tokio_postgres::Error),
    /// There was no connection, or there is none any more: it may or may not be there.
    Lost(StoreError),
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

    /// Commits the batch and answers each job, one way or the other.
    async fn settle(&mut self, batch: Vec<Job>) {
        let began = Instant::now();
        loop {
            match self.write(&batch).await {
                Ok(rows) => return self.hand_on(batch, &rows),
                Err(Failure::Refused(cause)) if is_of_a_message(&cause) && batch.len() > 1 => {
                    for job in batch {
                        Box::pin(self.settle(vec![job])).await;
                    }
                    return;
                }
                Err(Failure::Refused(cause)) if !may_succeed(&cause) || began.elapsed() > PATIENCE => {
                    return refuse(batch, StoreError::unavailable(with_causes(&cause)));
                }
                Err(Failure::Refused(_)) => {}
                Err(Failure::Lost(cause)) => {
                    if self.away.is_none() {
                        warn!(%cause, messages = batch.len(), "a batch is not known to be committed; it is sent again");
                    }
                    if self.away.get_or_insert(began).elapsed() > PATIENCE {
                        return refuse(batch, cause);
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One transaction.
    async fn write(&mut self, batch: &[Job]) -> Result<Vec<Row>, Failure> {
        let client = self.connections.get().await.map_err(Failure::Lost)?;
        let written = match timeout(ANSWER, self.transaction(&client, batch)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(cause)) if is_of_the_connection(&cause) => Err(StoreError::unavailable(with_causes(&cause))),
            Ok(Err(cause)) => return Err(Failure::Refused(cause)),
            Err(_) => Err(StoreError::unavailable(format!("no answer within {} seconds", ANSWER.as_secs()))),
        };
        match written {
            Ok(rows) => {
                self.away = None;
                if self.rooms.len() > REMEMBERED_ROOMS {
                    self.rooms.clear();
                }
                self.rooms.extend(batch.iter().map(|job| job.message.group.clone()));
                Ok(rows)
            }
            Err(cause) => {
                // Not given back: what is still in it would be taken for an answer to the next transaction's.
                drop(Object::take(client));
                Err(Failure::Lost(cause))
            }
        }
    }

    /// Sends all of it at once. After an error the database ignores what follows and takes the commit for a rollback.
    async fn transaction(&self, client: &Object, batch: &[Job]) -> Result<Vec<Row>, tokio_postgres::Error> {
        let made = client.prepare_cached(MAKE_ROOMS).await?;
        let locked = client.prepare_cached(LOCK_ROOMS).await?;
        let appended = client.prepare_cached(APPEND).await?;
        let groups: Vec<&Group> = batch.iter().map(|job| &job.message.group).collect();
        let names: Vec<&str> = groups.iter().map(|group| group.as_str()).collect();
        let (mut new, mut epochs) = (Vec::new(), Vec::new());
        for group in groups.iter().filter(|group| !self.rooms.contains(**group)) {
            if !new.contains(&group.as_str()) {
                new.push(group.as_str());
                epochs.push(self.seed.epoch_of(group).to_string());
            }
        }
        let messages = || batch.iter().map(|job| &job.message);
        let digests: Vec<_> = messages().map(digest).collect();
        let keys: Vec<&str> = messages().map(|message| message.key.as_str()).collect();
        let author_ids: Vec<_> = messages().map(|message| escape(&message.from.id)).collect();
        let author_names: Vec<_> = messages().map(|message| escape(&message.from.name)).collect();
        let texts: Vec<_> = messages().map(|message| escape(&message.text)).collect();
        let times: Vec<i64> = messages().map(|message| message.at.as_millis()).collect();
        let to_make: [&(dyn ToSql + Sync); 2] = [&new, &epochs];
        let to_lock: [&(dyn ToSql + Sync); 1] = [&names];
        let to_append: [&(dyn ToSql + Sync); 7] = [&names, &digests, &keys, &author_ids, &author_names, &texts, &times];
        let ((), _, _, rows, ()) = try_join!(
            client.batch_execute("BEGIN"),
            client.execute(&made, &to_make),
            client.execute(&locked, &to_lock),
            client.query(&appended, &to_append),
            client.batch_execute("COMMIT"),
        )?;
        Ok(rows)
    }

    /// Answers those that are committed: the new ones when they were handed on.
    fn hand_on(&mut self, batch: Vec<Job>, rows: &[Row]) {
        self.news.notify_one();
        if rows.len() != batch.len() {
            // Somebody has taken rooms away that are remembered.
            self.rooms.clear();
            return refuse(batch, StoreError::unavailable("the database has lost rooms"));
        }
        for (Job { message, ticket }, row) in batch.into_iter().zip(rows) {
            let position = name(row, 0).and_then(|epoch| Ok(Position { epoch, offset: offset(row, 1)? }));
            match (position, row.get(2)) {
                (Ok(position), true) => self.outbox.committed(message, position, ticket),
                (position, fresh) => ticket.answer(position.map(|position| Appended { position, fresh })),
            }
        }
    }
}

/// Tells all senders the same.
fn refuse(batch: Vec<Job>, cause: StoreError) {
    let StoreError::Unavailable(cause) = cause;
    let cause: Arc<dyn std::error::Error + Send + Sync> = cause.into();
    for job in batch {
        job.ticket.answer(Err(StoreError::unavailable(Arc::clone(&cause))));
    }
}

/// What makes a message the same one within its room.
fn digest(message: &NewMessage) -> Vec<u8> {
    let author = message.from.id.as_str();
    let length = (author.len() as u64).to_le_bytes();
    Sha256::new().chain_update(length).chain_update(author).chain_update(message.key.as_str()).finalize().to_vec()
}

/// Another node was in the way (SQLSTATE class 40: it was rolled back for no fault of its own).
fn may_succeed(cause: &tokio_postgres::Error) -> bool {
    cause.code().is_some_and(|code| code.code().starts_with("40"))
}

/// Whether the batch may fare better without one of its messages: SQLSTATE classes 22 (data), 23 (constraints), 54 (limits).
fn is_of_a_message(cause: &tokio_postgres::Error) -> bool {
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
