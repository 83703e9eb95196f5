//! The one thread that writes.
//!
//! It takes a job from the queue together with those that wait behind it and commits them as one transaction. What it
//! knows of the rooms is changed only when the commit has succeeded; after a failure it is read anew.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::mpsc;

use super::{
    bell::Bell,
    checkpoint::Checkpointer,
    condition::Condition,
    reader::{column, held, is_unreadable},
    records,
};
use crate::{
    server::store::{
        error::StoreError,
        log::{
            Appended, ChangeError, Entry, NewChange, NewMessage, Refused, What,
            beginning::Beginning,
            change::{Unnamed, kind_of, reaction_of, reactions_to_json},
            epoch::EpochSeed,
            queue::{Job, Made, Outbox, Work, gather},
            reactions,
        },
        records::{Results, Statement},
    },
    wire::{Change, Content, Emoji, Epoch, Group, Offset, Position, Timestamp},
};

/// So many rooms are remembered; with more the memory is emptied and filled anew from the database.
const REMEMBERED_ROOMS: usize = 10_000;

const INSERT: &str = "INSERT INTO messages (room_id, offset, key, author_id, author_name, text, at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key, author_id, room_id) DO NOTHING";
const FIND_KEY: &str = "SELECT offset FROM messages WHERE key = ?3 AND author_id = ?2 AND room_id = ?1";
const FIND_ROOM: &str = "SELECT id, epoch, head, latest, activity, touched FROM rooms WHERE name = ?1";
const SAVE_ROOM: &str =
    "INSERT INTO rooms (id, name, epoch, head, latest, activity, touched) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (id) DO UPDATE
    SET head = excluded.head, latest = excluded.latest, activity = excluded.activity, touched = excluded.touched";
const FIND_MESSAGE: &str = "SELECT offset, key, author_id, author_name, text, at, edited, deleted, reactions, changed, unnamed
    FROM messages WHERE room_id = ?1 AND offset = ?2";
const UPDATE_MESSAGE: &str =
    "UPDATE messages SET text = ?3, edited = ?4, deleted = ?5, reactions = ?6, changed = ?7, unnamed = ?8
    WHERE room_id = ?1 AND offset = ?2";
const FORGET_MESSAGES: &str = "DELETE FROM messages WHERE room_id = ?1 AND offset < ?2";
const FORGET_CHANGES: &str = "DELETE FROM changes WHERE room_id = ?1 AND offset < ?2";
const MOVE_BEGINNING: &str = "UPDATE rooms SET first = max(first, ?2), replayable = max(replayable, ?3) WHERE id = ?1";
const INSERT_CHANGE: &str = "INSERT INTO changes (room_id, offset, target, at, kind, emoji, author_id, author_name)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Where a room's stream stands.
#[derive(Clone, Debug)]
struct Room {
    id: i64,
    epoch: Epoch,
    head: i64,
    /// The offset of its newest message.
    latest: i64,
    /// The number of its newest message among the entries of all rooms.
    activity: i64,
    /// The number of its newest entry among them.
    touched: i64,
}

/// What a batch changes: becomes what the writer knows when the batch is committed.
#[derive(Debug)]
struct Draft {
    rooms: HashMap<Group, Room>,
    last: Last,
}

/// The highest numbers that are taken.
#[derive(Clone, Copy, Debug)]
struct Last {
    room_id: i64,
    /// Among the entries of all rooms.
    entry: i64,
}

/// What became of a job.
enum Outcome {
    /// The message is new and stands here.
    Message(Position),
    /// A new change.
    Change(Box<Made>),
    /// There is nothing new.
    Settled(Result<Appended, ChangeError>),
    /// Rows of plain tables.
    Records(Result<Results, StoreError>),
}

#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    checkpointer: Checkpointer,
    outbox: Outbox,
    seed: EpochSeed,
    condition: Condition,
    rooms: HashMap<Group, Room>,
    last: Last,
    /// Rung after each commit.
    bell: Option<Bell>,
}

impl Writer {
    /// `beside` is the connection over which the log is copied into the database.
    pub(super) fn new(
        mut connection: Connection,
        beside: Connection,
        seed: EpochSeed,
        condition: Condition,
        outbox: Outbox,
    ) -> rusqlite::Result<Self> {
        connection.set_prepared_statement_cache_capacity(64);
        let last = connection.query_row("SELECT ifnull(max(id), 0), ifnull(max(touched), 0) FROM rooms", [], |row| {
            Ok(Last { room_id: row.get(0)?, entry: row.get(1)? })
        })?;
        let checkpointer = Checkpointer::start(&mut connection, beside)?;
        Ok(Self { connection, checkpointer, outbox, seed, condition, rooms: HashMap::new(), last, bell: None })
    }

    /// Has somebody told of each commit, who does not hold it up.
    pub(super) fn rings(&mut self, bell: Bell) {
        self.bell = Some(bell);
    }

    /// Commits what comes down the queue until its other end is dropped and it is empty.
    pub(super) fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            self.commit(gather(first, &mut queue));
        }
        self.checkpointer.finish(&self.connection);
    }

    /// Commits the batch and answers each job, or refuses them all.
    fn commit(&mut self, batch: Vec<Job>) {
        match self.write_in_place(&batch) {
            Ok((draft, outcomes)) => {
                self.last = draft.last;
                if self.rooms.len() + draft.rooms.len() > REMEMBERED_ROOMS {
                    self.rooms.clear();
                }
                self.rooms.extend(draft.rooms);
                self.checkpointer.committed(&self.connection);
                if let Some(bell) = &self.bell {
                    bell.ring();
                }
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    match (job, outcome) {
                        (Job::Log(Work::Message(message), ticket), Outcome::Message(position)) => {
                            self.outbox.message(message, position, ticket);
                        }
                        (Job::Log(Work::Change(change), ticket), Outcome::Change(made)) => {
                            self.outbox.entry(change.group, *made, ticket);
                        }
                        (Job::Log(_, ticket), Outcome::Settled(settled)) => ticket.answer(settled),
                        (Job::Records(_, ticket), Outcome::Records(written)) => ticket.answer(written.map_err(Into::into)),
                        _ => unreachable!("see `write`"), // never: what becomes of a job is of its kind
                    }
                }
            }
            Err(cause) => {
                self.rooms.clear();
                let cause: Arc<dyn std::error::Error + Send + Sync> = cause.into();
                for job in batch {
                    let cause = StoreError::unavailable(Arc::clone(&cause)).into();
                    match job {
                        Job::Log(_, ticket) => ticket.answer(Err(cause)),
                        Job::Records(_, ticket) => ticket.answer(Err(cause)),
                    }
                }
            }
        }
    }

    /// One transaction, where the database is still in its place when it is through: what is in a file that was deleted is not stored.
    fn write_in_place(&mut self, batch: &[Job]) -> Result<(Draft, Vec<Outcome>), Box<dyn std::error::Error + Send + Sync>> {
        self.condition.in_place()?;
        let written = self.write(batch).inspect_err(|cause| self.condition.note(cause))?;
        self.condition.in_place()?;
        Ok(written)
    }

    /// One transaction; it is rolled back where this returns an error.
    fn write(&mut self, batch: &[Job]) -> rusqlite::Result<(Draft, Vec<Outcome>)> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut draft = Draft { rooms: HashMap::new(), last: self.last };
        let mut outcomes = Vec::with_capacity(batch.len());
        for job in batch {
            let work = match job {
                Job::Log(work, _) => work,
                Job::Records(statements, _) => {
                    outcomes.push(Outcome::Records(write_records(&transaction, statements)?));
                    continue;
                }
            };
            let group = work.group();
            let mut room = match draft.rooms.get(group).or_else(|| self.rooms.get(group)) {
                Some(room) => room.clone(),
                None => find_or_make(&transaction, &self.seed, group, &mut draft.last)?,
            };
            let written = match work {
                Work::Message(message) => insert(&transaction, &mut room, message),
                Work::Change(change) => as_one(&transaction, || alter(&transaction, &mut room, change)),
                Work::Forget(_, beginning) => as_one(&transaction, || forget(&transaction, &mut room, *beginning)),
            };
            match written {
                Ok(outcome) => {
                    if !matches!(outcome, Outcome::Settled(_)) {
                        draft.last.entry += 1;
                        room.touched = draft.last.entry;
                        if matches!(outcome, Outcome::Message(_)) {
                            room.activity = draft.last.entry;
                        }
                        draft.rooms.insert(group.clone(), room);
                    } else if matches!(work, Work::Forget(..)) && room.head > 0 {
                        // The index has to forget it too.
                        draft.last.entry += 1;
                        room.touched = draft.last.entry;
                        draft.rooms.insert(group.clone(), room);
                    }
                    outcomes.push(outcome);
                }
                // It alone is undone: the fault is this message's.
                Err(cause) if is_of_the_message(&cause) && !transaction.is_autocommit() => {
                    outcomes.push(Outcome::Settled(Err(StoreError::unavailable(cause).into())));
                }
                Err(cause) => return Err(cause),
            }
        }
        for (group, room) in &draft.rooms {
            let Room { id, epoch, head, latest, activity, touched } = room;
            let row = params![id, group.as_str(), epoch.as_str(), head, latest, activity, touched];
            transaction.prepare_cached(SAVE_ROOM)?.execute(row)?;
        }
        transaction.commit()?;
        Ok((draft, outcomes))
    }
}

/// Several statements that are undone together where one of them fails, and nothing else of the transaction is.
fn as_one<T>(transaction: &Transaction<'_>, write: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let run = |sql| transaction.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT one")?;
    let written = write();
    // Some failures have undone all of the transaction already.
    if written.is_err() && !transaction.is_autocommit() {
        run("ROLLBACK TO one")?;
    }
    if !transaction.is_autocommit() {
        run("RELEASE one")?;
    }
    written
}

/// Rows of plain tables: all of them, or none where one is refused that may not be.
fn write_records(transaction: &Transaction<'_>, statements: &[Statement]) -> rusqlite::Result<Result<Results, StoreError>> {
    let run = |statement: &Statement| records::run(transaction, statement.sql, &statement.values);
    let refused = |cause: &rusqlite::Error| !transaction.is_autocommit() && is_refusal(cause);
    let written = as_one(transaction, || {
        let results = statements.iter().map(|statement| {
            if !statement.may_fail {
                return run(statement).map(Ok);
            }
            match as_one(transaction, || run(statement)) {
                Err(cause) if refused(&cause) => Ok(Err(StoreError::unavailable(cause))),
                written => written.map(Ok),
            }
        });
        results.collect::<rusqlite::Result<Results>>()
    });
    match written {
        Err(cause) if refused(&cause) => Ok(Err(StoreError::unavailable(cause))),
        written => written.map(Ok),
    }
}

/// The room as it is in the database, or as it will be with its first message.
fn find_or_make(transaction: &Transaction<'_>, seed: &EpochSeed, group: &Group, last: &mut Last) -> rusqlite::Result<Room> {
    let found = transaction.prepare_cached(FIND_ROOM)?.query_row([group.as_str()], |row| {
        let (id, epoch, head) = (row.get(0)?, super::reader::name(row, 1)?, row.get(2)?);
        Ok(Room { id, epoch, head, latest: row.get(3)?, activity: row.get(4)?, touched: row.get(5)? })
    });
    if let Some(room) = found.optional()? {
        return Ok(room);
    }
    last.room_id += 1;
    Ok(Room { id: last.room_id, epoch: seed.epoch_of(group), head: 0, latest: 0, activity: 0, touched: 0 })
}

/// Puts the message behind the room's head, or finds where the same one stands.
fn insert(transaction: &Transaction<'_>, room: &mut Room, message: &NewMessage) -> rusqlite::Result<Outcome> {
    let NewMessage { group: _, key, from, text, at } = message;
    let row = params![room.id, room.head + 1, key.as_str(), from.id, from.name, text, at.as_millis()];
    if transaction.prepare_cached(INSERT)?.execute(row)? == 1 {
        room.head += 1;
        room.latest = room.head;
        let position = Position { epoch: room.epoch.clone(), offset: offset(room.head)? };
        return Ok(Outcome::Message(position));
    }
    let stands: i64 =
        transaction.prepare_cached(FIND_KEY)?.query_row(params![room.id, from.id, key.as_str()], |row| row.get(0))?;
    settled(room, stands)
}

/// Changes a message and puts the change behind the room's head, or finds that there is nothing to change.
fn alter(transaction: &Transaction<'_>, room: &mut Room, new: &NewChange) -> rusqlite::Result<Outcome> {
    let refused = |refused| Ok(Outcome::Settled(Err(ChangeError::Refused(refused))));
    let id = new.change.id();
    if id.epoch != room.epoch {
        return refused(Refused::NotFound);
    }
    let target = column(id.offset.0);
    let found = transaction.prepare_cached(FIND_MESSAGE)?.query_row(params![room.id, target], |row| {
        Ok((held(row, &room.epoch)?, Unnamed::read(row.get_ref(10)?.as_blob_or_null()?)))
    });
    let (mut stored, mut unnamed) = match found.optional() {
        Ok(Some(found)) => found,
        Ok(None) => return refused(Refused::NotFound),
        // Others need not suffer for it.
        Err(cause) if is_unreadable(&cause) => return Ok(Outcome::Settled(Err(StoreError::damage(cause).into()))),
        Err(cause) => return Err(cause),
    };
    let changed = stored.message.content.changed;
    let is_reaction = matches!(new.change, Change::React { .. });
    let put = if is_reaction { put_by(transaction, new, &unnamed, &stored.message.content)? } else { Vec::new() };
    let change = match new.make(&mut stored.message, &put) {
        Ok(Some(change)) => change,
        Ok(None) => return settled(room, changed.map_or(target, |changed| column(changed.0))),
        Err(cause) => return refused(cause),
    };
    let head = room.head + 1;
    stored.message.content.changed = Some(offset(head)?);
    let (emoji, from) = reaction_of(&change).unzip();
    let (author_id, author_name) = from.map(|from| (from.id.as_str(), from.name.as_str())).unzip();
    let (kind, at) = (kind_of(&change), new.at.as_millis());
    let row = params![room.id, head, target, at, kind, emoji.map(Emoji::as_str), author_id, author_name];
    transaction.prepare_cached(INSERT_CHANGE)?.execute(row)?;
    let Content { text, edited, deleted, reactions: shown, .. } = &stored.message.content;
    let (edited, shown) = (edited.map(Timestamp::as_millis), reactions_to_json(shown));
    unnamed.lose(&change);
    let row = params![room.id, target, text, edited, deleted, shown, head, unnamed.to_bytes()];
    transaction.prepare_cached(UPDATE_MESSAGE)?.execute(row)?;
    if let Some(statement) = reactions::statement(&new.group, &change) {
        records::run(transaction, statement.sql, &statement.values)?;
    }
    room.head = head;
    let entry = Entry { offset: offset(head)?, what: What::Change(change) };
    let latest = (target == room.latest).then_some(stored);
    Ok(Outcome::Change(Box::new(Made { epoch: room.epoch.clone(), entry, latest })))
}

/// What a person who puts a reaction to a message, or takes one away, has put to it.
fn put_by(
    transaction: &Transaction<'_>,
    new: &NewChange,
    unnamed: &Unnamed,
    content: &Content,
) -> rusqlite::Result<Vec<Emoji>> {
    let values = reactions::by(&new.group, &new.from.id, new.change.id().offset);
    let rows = records::run(transaction, reactions::PUT_BY, &values)?.rows;
    let rows = rows.iter().filter_map(|row| row.get::<String>(0).ok()?.parse().ok());
    let mut put: Vec<Emoji> = rows.chain(unnamed.put_by(&content.reactions, &new.from.id).cloned()).collect();
    put.sort();
    put.dedup();
    Ok(put)
}

/// Drops what stands before the room's new beginning.
fn forget(transaction: &Transaction<'_>, room: &mut Room, to: Beginning) -> rusqlite::Result<Outcome> {
    let (first, replayable) = (column(to.first.0), column(to.replayable.0));
    transaction.prepare_cached(FORGET_MESSAGES)?.execute(params![room.id, first])?;
    transaction.prepare_cached(FORGET_CHANGES)?.execute(params![room.id, replayable])?;
    transaction.prepare_cached(MOVE_BEGINNING)?.execute(params![room.id, first, replayable])?;
    if room.latest < first {
        room.latest = 0;
    }
    settled(room, room.head)
}

/// It is there already, and stands here.
fn settled(room: &Room, stands: i64) -> rusqlite::Result<Outcome> {
    let position = Position { epoch: room.epoch.clone(), offset: offset(stands)? };
    Ok(Outcome::Settled(Ok(Appended { position, fresh: false })))
}

fn offset(number: i64) -> rusqlite::Result<Offset> {
    u64::try_from(number).map(Offset).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, number))
}

/// Whether the database does not take a statement, and may take others.
fn is_refusal(cause: &rusqlite::Error) -> bool {
    is_of_the_message(cause) || cause.sqlite_error_code() == Some(ErrorCode::Unknown)
}

/// Whether another message may fare better in the same transaction.
fn is_of_the_message(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::{
        log::{Commits, queue::tests::job},
        sqlite::{Durability, prepare},
    };

    fn writer(folder: &tempfile::TempDir) -> (Writer, Commits) {
        let file = folder.path().join("confab.db");
        std::fs::File::create(&file).expect("a file");
        let (outbox, commits) = Outbox::new();
        (prepare(&file, Durability::Process, outbox).expect("a database").0, commits)
    }

    #[tokio::test]
    async fn a_full_disk_is_reported_and_then_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut writer, commits) = writer(&folder);
        drop(commits);
        let pages: i64 = writer.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a number");
        // `max_page_count` makes SQLite find the disk full, with the error that a full disk gives.
        let limit = |writer: &Writer, pages: i64| {
            writer.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).expect("a limit");
        };
        limit(&writer, pages + 8);
        let (mut stored, mut refused) = (Vec::new(), None);
        for number in 0..100 {
            let ((first, answer_first), (second, answer_second)) =
                (job(number, "x".repeat(4_000)).await, job(number + 1_000, "y".repeat(4_000)).await);
            writer.commit(vec![first, second]);
            match (answer_first.wait().await, answer_second.wait().await) {
                (Ok(first), Ok(second)) => stored.extend([first.position.offset.0, second.position.offset.0]),
                (Err(error), Err(_)) => {
                    refused = Some((number, error));
                    break;
                }
                halves => panic!("a transaction is stored as a whole or not at all: {halves:?}"),
            }
        }
        let (number, error) = refused.expect("a full disk");
        let StoreError::Unavailable(cause) = error.into();
        assert!(cause.to_string().contains("full"), "{cause}");

        limit(&writer, 1_000_000);
        let (again, answer) = job(number, "x".to_owned()).await;
        writer.commit(vec![again]);
        let appended = answer.wait().await.expect("stored");
        stored.push(appended.position.offset.0);
        assert!(appended.fresh, "what was refused is not there");
        assert!(stored.iter().copied().eq(1..=stored.len() as u64), "{stored:?}");
    }
}
