//! The one task of this node that writes.
//!
//! ```text
//!   queue ──► gather ──► one round trip: begin · make rooms · lock rooms · append · commit ──► Commits, in the order of offsets
//!                          then some changes, each in two: begin · lock its room · find, and write · commit
//!                ▲                                   │
//!                └── again, on a new connection ◄────┘ the connection broke: nobody knows whether it was committed
//! ```
//!
//! A batch whose outcome is unknown is sent again: what was committed the first time is found by its key, its senders are told where
//! it stands, and the watch sees to it that members get it. Where the database stays away the senders are told that it is unavailable;
//! should it have committed after all, a sender that tries again finds that out, and the watch does.

use std::{
    collections::{HashSet, VecDeque},
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
    reader::{column, name, offset, stored},
    text::escape,
    with_causes,
};
use crate::{
    server::store::{
        Appended, ChangeError, Entry, NewChange, NewMessage, Refused, StoreError, What,
        batch::{Job, Work, gather},
        change::{kind_of, reaction_of, reactions_to_json},
        commits::{Made, Outbox, Ticket},
        epoch::EpochSeed,
    },
    wire::{Content, Emoji, Group, Offset, Position, Timestamp},
};

/// How long a database that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// So many changes are made, each in a transaction of its own, before messages that came meanwhile are committed.
const OTHERS_AT_ONCE: usize = 16;
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
        UPDATE rooms SET head = new.head, latest = new.head, activity = batch.number * 1024 + new.number,
            touched = pg_current_xact_id()::text::bigint
        FROM batch, (
            SELECT room_id, max("offset") AS head, max(number) AS number FROM placed WHERE fresh GROUP BY room_id
        ) AS new
        WHERE rooms.id = new.room_id
    )
    SELECT epoch, "offset", fresh FROM placed ORDER BY number"#;

/// With the room locked, so that nobody changes it now.
const FIND_MESSAGE: &str = r#"SELECT "offset", key, author_id, author_name, text, at, edited, deleted, reactions, changed,
        rooms.id, head, latest
    FROM rooms JOIN messages ON room_id = rooms.id AND "offset" = $3 WHERE name = $1 AND epoch = $2"#;
const UPDATE_MESSAGE: &str = r#"UPDATE messages SET text = $3, edited = $4, deleted = $5, reactions = $6, changed = $7
    WHERE room_id = $1 AND "offset" = $2"#;
const INSERT_CHANGE: &str = r#"INSERT INTO changes (room_id, "offset", target, at, kind, emoji, author_id, author_name)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"#;
/// Drops what stands before the offset.
const FORGET: &str = r#"
    WITH room AS (
        UPDATE rooms SET first = greatest(first, $2), touched = pg_current_xact_id()::text::bigint,
            latest = CASE WHEN latest < $2
                THEN (SELECT coalesce(max("offset"), 0) FROM messages WHERE room_id = rooms.id AND "offset" >= $2)
                ELSE latest END
        WHERE name = $1 RETURNING id, epoch, head
    ), messages AS (
        DELETE FROM messages USING room WHERE room_id = room.id AND "offset" < $2
    ), changes AS (
        DELETE FROM changes USING room WHERE room_id = room.id AND "offset" < $2
    )
    SELECT epoch, head FROM room"#;
const MOVE_ROOM: &str = "UPDATE rooms SET head = $2, touched = pg_current_xact_id()::text::bigint WHERE id = $1";

/// Why something is not committed, or not known to be.
enum Failure {
    /// The database has refused it; nothing of it is there.
    Refused(tokio_postgres::Error),
    /// There was no connection, or there is none any more: it may or may not be there.
    Lost(StoreError),
    /// What is there cannot be understood.
    Damaged(StoreError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(cause: tokio_postgres::Error) -> Self {
        Self::Refused(cause)
    }
}

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

    fn write(&self, writer: &Writer, client: &Object) -> impl Future<Output = Result<Self::Written, Failure>> + Send;
}

impl Unit for Vec<(NewMessage, Ticket)> {
    type Written = Vec<Row>;

    async fn write(&self, writer: &Writer, client: &Object) -> Result<Vec<Row>, Failure> {
        writer.append(client, self).await
    }
}

impl Unit for NewChange {
    type Written = Changed;

    async fn write(&self, writer: &Writer, client: &Object) -> Result<Changed, Failure> {
        writer.change(client, self).await
    }
}

/// Where a room is to begin.
struct Beginning {
    group: Group,
    first: Offset,
}

impl Unit for Beginning {
    /// Where the room's stream stands, if there is such a room.
    type Written = Option<Position>;

    async fn write(&self, _: &Writer, client: &Object) -> Result<Option<Position>, Failure> {
        let forgotten = client.prepare_cached(FORGET).await?;
        let row = client.query_opt(&forgotten, &[&self.group.as_str(), &column(self.first.0)]).await?;
        let position = |row: Row| Ok(Position { epoch: name(&row, 0)?, offset: offset(&row, 1)? });
        row.map(position).transpose().map_err(Failure::Damaged)
    }
}

/// What became of a change.
enum Changed {
    Made(Box<Made>),
    /// The message says that already; its last change stands here.
    Already(Position),
    Refused(Refused),
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
        // What is not a message, and waits while messages go first.
        let mut others = VecDeque::new();
        loop {
            let first = if others.is_empty() { queue.recv().await } else { queue.try_recv().ok() };
            match first {
                Some(first) => self.settle(gather(first, &mut queue), &mut others).await,
                None if others.is_empty() => break,
                None => {}
            }
            for (work, ticket) in others.drain(..others.len().min(OTHERS_AT_ONCE)) {
                self.settle_other(work, ticket).await;
            }
        }
        self.connections.close();
    }

    /// Commits the messages of the batch together and answers each, one way or the other. The others get in line.
    async fn settle(&mut self, batch: Vec<Job>, others: &mut VecDeque<(Work, Ticket)>) {
        let mut messages = Vec::new();
        for Job { work, ticket } in batch {
            match work {
                Work::Message(message) => messages.push((message, ticket)),
                other => others.push_back((other, ticket)),
            }
        }
        if !messages.is_empty() {
            self.settle_messages(messages).await;
        }
    }

    async fn settle_other(&mut self, work: Work, ticket: Ticket) {
        match work {
            Work::Message(message) => self.settle_messages(vec![(message, ticket)]).await,
            Work::Change(change) => self.settle_change(&change, ticket).await,
            Work::Forget(group, first) => self.settle_beginning(&Beginning { group, first }, ticket).await,
        }
    }

    async fn settle_beginning(&mut self, beginning: &Beginning, ticket: Ticket) {
        let settled = match self.persist(beginning).await {
            Ok(Some(position)) => Ok(Appended { position, fresh: false }),
            Ok(None) => Err(ChangeError::Refused(Refused::NotFound)),
            Err(verdict) => Err(StoreError::from(verdict).into()),
        };
        ticket.answer(settled);
    }

    async fn settle_messages(&mut self, batch: Vec<(NewMessage, Ticket)>) {
        match self.persist(&batch).await {
            Ok(rows) => self.hand_on(batch, &rows),
            Err(Verdict::Unfit(_)) if batch.len() > 1 => {
                for message in batch {
                    Box::pin(self.settle_messages(vec![message])).await;
                }
            }
            Err(verdict) => refuse(batch, verdict.into()),
        }
    }

    async fn settle_change(&mut self, change: &NewChange, ticket: Ticket) {
        match self.persist(change).await {
            Ok(Changed::Made(made)) => {
                self.news.notify_one();
                self.outbox.entry(change.group.clone(), *made, ticket);
            }
            Ok(Changed::Already(position)) => ticket.answer(Ok(Appended { position, fresh: false })),
            Ok(Changed::Refused(refused)) => ticket.answer(Err(ChangeError::Refused(refused))),
            Err(verdict) => ticket.answer(Err(StoreError::from(verdict).into())),
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
                Err(Failure::Damaged(cause)) => return Err(Verdict::Unavailable(cause)),
                Err(Failure::Refused(cause)) if is_unfit(&cause) => return Err(Verdict::Unfit(cause)),
                Err(Failure::Refused(cause)) if !may_succeed(&cause) || began.elapsed() > PATIENCE => {
                    return Err(Verdict::Unavailable(StoreError::unavailable(with_causes(&cause))));
                }
                Err(Failure::Refused(_)) => {}
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

    /// Sends all of it at once. After an error the database ignores what follows and takes the commit for a rollback.
    async fn append(&self, client: &Object, batch: &[(NewMessage, Ticket)]) -> Result<Vec<Row>, Failure> {
        let made = client.prepare_cached(MAKE_ROOMS).await?;
        let locked = client.prepare_cached(LOCK_ROOMS).await?;
        let appended = client.prepare_cached(APPEND).await?;
        let messages = || batch.iter().map(|(message, _)| message);
        let names: Vec<&str> = messages().map(|message| message.group.as_str()).collect();
        let (mut new, mut epochs) = (Vec::new(), Vec::new());
        for group in messages().map(|message| &message.group).filter(|group| !self.rooms.contains(*group)) {
            if !new.contains(&group.as_str()) {
                new.push(group.as_str());
                epochs.push(self.seed.epoch_of(group).to_string());
            }
        }
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

    async fn change(&self, client: &Object, change: &NewChange) -> Result<Changed, Failure> {
        let changed = self.begin_change(client, change).await;
        if !matches!(changed, Ok(Changed::Made(..))) {
            client.batch_execute("ROLLBACK").await?;
        }
        changed
    }

    /// Reads the message in one round trip, and commits what it becomes in another. Where there is nothing to commit, or an error, the
    /// transaction is still to be ended.
    async fn begin_change(&self, client: &Object, change: &NewChange) -> Result<Changed, Failure> {
        let locked = client.prepare_cached(LOCK_ROOMS).await?;
        let found = client.prepare_cached(FIND_MESSAGE).await?;
        let inserted = client.prepare_cached(INSERT_CHANGE).await?;
        let updated = client.prepare_cached(UPDATE_MESSAGE).await?;
        let moved = client.prepare_cached(MOVE_ROOM).await?;
        let (name, epoch, target) = (change.group.as_str(), &change.id.epoch, column(change.id.offset.0));
        let names = vec![name];
        let to_lock: [&(dyn ToSql + Sync); 1] = [&names];
        let epoch_name = epoch.as_str();
        let to_find: [&(dyn ToSql + Sync); 3] = [&name, &epoch_name, &target];
        let ((), _, row) =
            try_join!(client.batch_execute("BEGIN"), client.execute(&locked, &to_lock), client.query_opt(&found, &to_find),)?;
        let Some(row) = row else { return Ok(Changed::Refused(Refused::NotFound)) };
        let mut stored = stored(&row, epoch).map_err(Failure::Damaged)?;
        let (room, head, latest): (i64, i64, i64) = (row.get(10), row.get::<_, i64>(11) + 1, row.get(12));
        let place =
            |number: i64| u64::try_from(number).map(Offset).map_err(|error| Failure::Damaged(StoreError::unavailable(error)));
        let made = match change.make(&stored.message.from.id, &mut stored.message.content) {
            Ok(Some(made)) => made,
            Ok(None) => {
                let stands = row.get::<_, Option<i64>>(9).unwrap_or(target);
                return Ok(Changed::Already(Position { epoch: epoch.clone(), offset: place(stands)? }));
            }
            Err(refused) => return Ok(Changed::Refused(refused)),
        };
        let (emoji, from) = reaction_of(&made).unzip();
        let (author_id, author_name) = from.map(|from| (escape(&from.id), escape(&from.name))).unzip();
        let (kind, at, emoji) = (kind_of(&made), change.at.as_millis(), emoji.map(Emoji::as_str));
        let to_insert: [&(dyn ToSql + Sync); 8] = [&room, &head, &target, &at, &kind, &emoji, &author_id, &author_name];
        let Content { text, edited, deleted, reactions } = &stored.message.content;
        let (text, edited, reactions) = (escape(text), edited.map(Timestamp::as_millis), reactions_to_json(reactions));
        let to_update: [&(dyn ToSql + Sync); 7] = [&room, &target, &text, &edited, deleted, &reactions, &head];
        let to_move: [&(dyn ToSql + Sync); 2] = [&room, &head];
        try_join!(
            client.execute(&inserted, &to_insert),
            client.execute(&updated, &to_update),
            client.execute(&moved, &to_move),
            client.batch_execute("COMMIT"),
        )?;
        let entry = Entry { offset: place(head)?, what: What::Change(made) };
        let latest = (target == latest).then_some(stored);
        Ok(Changed::Made(Box::new(Made { epoch: epoch.clone(), entry, latest })))
    }

    /// Answers those that are committed: the new ones when they were handed on.
    fn hand_on(&mut self, batch: Vec<(NewMessage, Ticket)>, rows: &[Row]) {
        self.news.notify_one();
        if rows.len() != batch.len() {
            // Somebody has taken rooms away that are remembered.
            self.rooms.clear();
            return refuse(batch, StoreError::unavailable("the database has lost rooms"));
        }
        if self.rooms.len() > REMEMBERED_ROOMS {
            self.rooms.clear();
        }
        self.rooms.extend(batch.iter().map(|(message, _)| message.group.clone()));
        for ((message, ticket), row) in batch.into_iter().zip(rows) {
            let position = name(row, 0).and_then(|epoch| Ok(Position { epoch, offset: offset(row, 1)? }));
            match (position, row.get(2)) {
                (Ok(position), true) => self.outbox.message(message, position, ticket),
                (position, fresh) => ticket.answer(position.map(|position| Appended { position, fresh }).map_err(Into::into)),
            }
        }
    }
}

/// Tells all senders the same.
fn refuse(batch: Vec<(NewMessage, Ticket)>, StoreError::Unavailable(cause): StoreError) {
    let cause: Arc<dyn std::error::Error + Send + Sync> = cause.into();
    for (_, ticket) in batch {
        ticket.answer(Err(StoreError::unavailable(Arc::clone(&cause)).into()));
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
