//! Messages that come into a room of this database [from a file](super::super::import).

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::mpsc;

use super::{
    Durability, connect, database,
    error::OpenError,
    folder::FolderLock,
    migrate,
    reader::{name, offset},
};
use crate::{
    server::store::{
        import::{Brought, Import, ImportError, Imported, Placed, Placing, There},
        log::{change::reactions_to_json, epoch::EpochSeed},
    },
    wire::{Content, Epoch, Group, Timestamp},
};

const ROOM: &str = "SELECT id, epoch, head FROM rooms WHERE name = ?1";
const IS_DELETED: &str = "SELECT count(*) FROM room_records WHERE room = ?1 AND deleted IS NOT NULL";
/// For a room that is not there yet, its number, and by what it sorts and is followed.
const NEXT: &str = "SELECT ifnull(max(id), 0) + 1, max(ifnull(max(touched), 0), ifnull(max(activity), 0)) + 1 FROM rooms";
const KNOWN: &str = "SELECT offset, at, text FROM messages WHERE key = ?3 AND author_id = ?2 AND room_id = ?1";
const INSERT: &str = "INSERT INTO messages
    (room_id, offset, key, author_id, author_name, text, at, edited, deleted, reactions, changed)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const PUT: &str = "INSERT INTO reactions (room_id, offset, person_id, emoji, name) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO NOTHING";
/// What follows on what is there can be replayed from its end on.
const SAVE_ROOM: &str = "INSERT INTO rooms (id, name, epoch, head, latest, activity, touched, first, replayable)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?4 + 1)
    ON CONFLICT (id) DO UPDATE SET head = excluded.head, latest = excluded.latest, activity = excluded.activity,
        touched = excluded.touched, replayable = excluded.replayable";

/// See [`import`](super::super::transfer::import).
pub(in crate::server::store) fn import(
    folder: &Path,
    group: &Group,
    parts: mpsc::Receiver<Import>,
) -> Result<Brought, ImportError> {
    let _lock = FolderLock::take(folder)?;
    let file = database(folder)?;
    let unusable = |cause| OpenError::Database { file: file.clone(), cause };
    let mut connection = connect(&file, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE, Durability::Power).map_err(unusable)?;
    migrate::to_newest(&mut connection).map_err(unusable)?;
    let brought = fill(&mut connection, group, parts)?;
    connection.close().map_err(|(_, cause)| writing(cause))?;
    Ok(brought)
}

/// The room that the messages come into.
struct Room {
    id: i64,
    epoch: Epoch,
    /// None where it has not begun.
    head: Option<i64>,
}

/// One transaction; it is rolled back where this returns an error.
fn fill(connection: &mut Connection, group: &Group, mut parts: mpsc::Receiver<Import>) -> Result<Brought, ImportError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(writing)?;
    if transaction.query_row(IS_DELETED, [group.as_str()], |row| row.get::<_, i64>(0)).map_err(writing)? > 0 {
        return Err(ImportError::Deleted(group.clone()));
    }
    let (next_room, next_entry) =
        transaction.query_row(NEXT, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).map_err(writing)?;
    let room = room(&transaction, group, next_room).map_err(writing)?;
    let mut placing = Placing::after(room.head);
    while let Import::Messages(part) = parts.blocking_recv().ok_or(ImportError::Interrupted)? {
        let placed = placing.place(&part, |message| known(&transaction, &room, message)).map_err(writing)?;
        placed.iter().try_for_each(|placed| insert(&transaction, &room, placed)).map_err(writing)?;
    }
    let brought = placing.finish()?;
    if brought.new > 0 {
        let Placing { first, latest, head, .. } = placing;
        let row = params![room.id, group.as_str(), room.epoch.as_str(), head, latest, next_entry, first];
        transaction.execute(SAVE_ROOM, row).map_err(writing)?;
        transaction.commit().map_err(writing)?;
    }
    Ok(brought)
}

fn room(transaction: &Transaction<'_>, group: &Group, next: i64) -> rusqlite::Result<Room> {
    let found = transaction.query_row(ROOM, [group.as_str()], |row| {
        Ok(Room { id: row.get(0)?, epoch: name(row, 1)?, head: Some(i64::try_from(offset(row, 2)?.0).unwrap_or(i64::MAX)) })
    });
    if let Some(room) = found.optional()? {
        return Ok(room);
    }
    let seed = transaction.query_row("SELECT value FROM meta WHERE key = 'seed'", [], |row| row.get(0))?;
    Ok(Room { id: next, epoch: EpochSeed::from_bytes(seed).epoch_of(group), head: None })
}

fn known(transaction: &Transaction<'_>, room: &Room, message: &Imported) -> rusqlite::Result<Option<There>> {
    let name = params![room.id, message.from.id, message.key.as_str()];
    let there = transaction
        .prepare_cached(KNOWN)?
        .query_row(name, |row| Ok(There { offset: row.get(0)?, at: row.get(1)?, text: row.get(2)? }));
    there.optional()
}

fn insert(transaction: &Transaction<'_>, room: &Room, placed: &Placed<'_>) -> rusqlite::Result<()> {
    let Placed { offset, changed, message } = placed;
    let Imported { key, from, content, reactors, at, .. } = message;
    let Content { text, edited, deleted, reactions, .. } = content;
    let (edited, shown) = (edited.map(Timestamp::as_millis), reactions_to_json(reactions));
    let row = params![room.id, offset, key.as_str(), from.id, from.name, text, at.as_millis(), edited, deleted, shown, changed];
    transaction.prepare_cached(INSERT)?.execute(row)?;
    for (emoji, person) in reactors {
        let row = params![room.id, offset, person.id, emoji.as_str(), person.name];
        transaction.prepare_cached(PUT)?.execute(row)?;
    }
    Ok(())
}

fn writing(cause: rusqlite::Error) -> ImportError {
    ImportError::Writing(cause.into())
}

impl From<OpenError> for ImportError {
    fn from(cause: OpenError) -> Self {
        Self::Store(cause.into())
    }
}
