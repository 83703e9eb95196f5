//! The one thread that writes.
//!
//! It takes a job from the queue together with those that wait behind it and commits them as one transaction. What it
//! knows of the rooms is changed only when the commit has succeeded; after a failure it is read anew.

use std::{collections::HashMap, io, sync::Arc};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, ffi, params};
use tokio::sync::mpsc;

use super::{checkpoint::Checkpointer, indexer::Bell};
use crate::{
    server::store::{
        Appended, NewMessage, StoreError,
        batch::{Job, gather},
        commits::Outbox,
        epoch::EpochSeed,
    },
    wire::{Epoch, Group, Offset, Position},
};

/// So many rooms are remembered; with more the memory is emptied and filled anew from the database.
const REMEMBERED_ROOMS: usize = 10_000;

const INSERT: &str = "INSERT INTO messages (room_id, offset, key, author_id, author_name, text, at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (room_id, author_id, key) DO NOTHING";
const FIND_KEY: &str = "SELECT offset FROM messages WHERE room_id = ?1 AND author_id = ?2 AND key = ?3";
const FIND_ROOM: &str = "SELECT id, epoch, head FROM rooms WHERE name = ?1";
const SAVE_ROOM: &str = "INSERT INTO rooms (id, name, epoch, head, activity) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET head = excluded.head, activity = excluded.activity";

/// Where a room's stream stands.
#[derive(Clone, Debug)]
struct Room {
    id: i64,
    epoch: Epoch,
    head: i64,
    /// The number of its newest message among all; only of rooms that the batch has written to.
    activity: i64,
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
    activity: i64,
}

#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    checkpointer: Checkpointer,
    outbox: Outbox,
    seed: EpochSeed,
    rooms: HashMap<Group, Room>,
    last: Last,
    /// Rung after each commit.
    bell: Option<Bell>,
}

impl Writer {
    /// `beside` is the connection over which the log is copied into the database.
    pub(super) fn new(connection: Connection, beside: Connection, seed: EpochSeed, outbox: Outbox) -> rusqlite::Result<Self> {
        connection.set_prepared_statement_cache_capacity(16);
        let last = connection.query_row("SELECT ifnull(max(id), 0), ifnull(max(activity), 0) FROM rooms", [], |row| {
            Ok(Last { room_id: row.get(0)?, activity: row.get(1)? })
        })?;
        let checkpointer = Checkpointer::start(beside).map_err(no_thread)?;
        Ok(Self { connection, checkpointer, outbox, seed, rooms: HashMap::new(), last, bell: None })
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
        match self.write(&batch) {
            Ok((draft, outcomes)) => {
                self.last = draft.last;
                if self.rooms.len() + draft.rooms.len() > REMEMBERED_ROOMS {
                    self.rooms.clear();
                }
                self.rooms.extend(draft.rooms);
                let text_bytes = batch.iter().map(|job| job.message.text.len()).sum();
                self.checkpointer.committed(batch.len(), text_bytes, &self.connection);
                if let Some(bell) = &self.bell {
                    bell.ring();
                }
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    match outcome {
                        Ok(Appended { position, fresh: true }) => self.outbox.committed(job.message, position, job.ticket),
                        settled => job.ticket.answer(settled),
                    }
                }
            }
            Err(cause) => {
                self.rooms.clear();
                let cause = Arc::new(cause);
                for job in batch {
                    job.ticket.answer(Err(StoreError::unavailable(Arc::clone(&cause))));
                }
            }
        }
    }

    /// One transaction; it is rolled back where this returns an error.
    fn write(&mut self, batch: &[Job]) -> rusqlite::Result<(Draft, Vec<Result<Appended, StoreError>>)> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut draft = Draft { rooms: HashMap::new(), last: self.last };
        let mut outcomes = Vec::with_capacity(batch.len());
        for Job { message, .. } in batch {
            let mut room = match draft.rooms.get(&message.group).or_else(|| self.rooms.get(&message.group)) {
                Some(room) => room.clone(),
                None => find_or_make(&transaction, &self.seed, &message.group, &mut draft.last)?,
            };
            match insert(&transaction, &mut room, message) {
                Ok(appended) => {
                    if appended.fresh {
                        draft.last.activity += 1;
                        room.activity = draft.last.activity;
                    }
                    draft.rooms.insert(message.group.clone(), room);
                    outcomes.push(Ok(appended));
                }
                // The statement alone is undone: the fault is this message's.
                Err(cause) if is_of_the_message(&cause) && !transaction.is_autocommit() => {
                    outcomes.push(Err(StoreError::unavailable(cause)));
                }
                Err(cause) => return Err(cause),
            }
        }
        for (group, room) in draft.rooms.iter().filter(|(_, room)| room.activity > self.last.activity) {
            let row = params![room.id, group.as_str(), room.epoch.as_str(), room.head, room.activity];
            transaction.prepare_cached(SAVE_ROOM)?.execute(row)?;
        }
        transaction.commit()?;
        Ok((draft, outcomes))
    }
}

/// The room as it is in the database, or as it will be with its first message.
fn find_or_make(transaction: &Transaction<'_>, seed: &EpochSeed, group: &Group, last: &mut Last) -> rusqlite::Result<Room> {
    let found = transaction.prepare_cached(FIND_ROOM)?.query_row([group.as_str()], |row| {
        Ok(Room { id: row.get(0)?, epoch: super::reader::name(row, 1)?, head: row.get(2)?, activity: 0 })
    });
    if let Some(room) = found.optional()? {
        return Ok(room);
    }
    last.room_id += 1;
    Ok(Room { id: last.room_id, epoch: seed.epoch_of(group), head: 0, activity: 0 })
}

/// Puts the message behind the room's head, or finds where the same one stands.
fn insert(transaction: &Transaction<'_>, room: &mut Room, message: &NewMessage) -> rusqlite::Result<Appended> {
    let NewMessage { group: _, key, from, text, at } = message;
    let row = params![room.id, room.head + 1, key.as_str(), from.id, from.name, text, at.as_millis()];
    let fresh = transaction.prepare_cached(INSERT)?.execute(row)? == 1;
    let offset = if fresh {
        room.head += 1;
        room.head
    } else {
        transaction.prepare_cached(FIND_KEY)?.query_row(params![room.id, from.id, key.as_str()], |row| row.get(0))?
    };
    let offset = Offset(u64::try_from(offset).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, offset))?);
    Ok(Appended { position: Position { epoch: room.epoch.clone(), offset }, fresh })
}

/// Whether another message may fare better in the same transaction.
fn is_of_the_message(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch))
}

/// The system has no thread left for us.
fn no_thread(cause: io::Error) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOMEM), Some(cause.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::{
        Commits,
        batch::tests::job,
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
        let (number, StoreError::Unavailable(cause)) = refused.expect("a full disk");
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
