//! Reading pages and the list of rooms, each from one moment of the database.

use std::{os::unix::ffi::OsStrExt as _, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, params,
    types::{ToSqlOutput, Type, ValueRef},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    server::store::{
        Page, Slice, StoreError,
        epoch::EpochSeed,
        message_id,
        page::{self, Allowance, Run},
    },
    wire::{Epoch, Group, InvalidName, Message, Offset, Person, Position, RoomSummary, Stored, Timestamp},
};

const ROOM: &str = "SELECT id, epoch, head FROM rooms WHERE name = ?1";
const RISING: &str = "SELECT offset, key, author_id, author_name, text, at FROM messages
    WHERE room_id = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3";
const FALLING: &str = "SELECT offset, key, author_id, author_name, text, at FROM messages
    WHERE room_id = ?1 AND offset <= ?2 ORDER BY offset DESC LIMIT ?3";
const ROOMS: &str = "SELECT offset, key, author_id, author_name, text, at, name, epoch
    FROM rooms CROSS JOIN messages ON room_id = id AND offset = head ORDER BY activity DESC LIMIT ?1";

/// Connections that read.
#[derive(Debug)]
pub(super) struct Readers {
    pool: Arc<Pool>,
    turns: Arc<Semaphore>,
    most: u32,
}

#[derive(Debug)]
struct Pool {
    file: PathBuf,
    /// Another database that is read together with it, under the name `store`.
    beside: Option<PathBuf>,
    seed: EpochSeed,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// So many reads run at a time, each on a connection and a thread of its own; further ones wait.
    pub(super) fn new(file: PathBuf, beside: Option<PathBuf>, seed: EpochSeed, most: u32) -> Self {
        let pool = Pool { file, beside, seed, idle: Mutex::new(Vec::new()) };
        Self { pool: Arc::new(pool), turns: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Runs a read on a connection and a thread where it may block. A connection that has failed is not used again.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection, &EpochSeed) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| StoreError::closed())?;
        let pool = Arc::clone(&self.pool);
        let reading = spawn_blocking(move || {
            let idle = pool.idle.lock().pop();
            let mut connection = idle.map_or_else(|| pool.connect(), Ok)?;
            let result = read(&mut connection, &pool.seed)?;
            pool.idle.lock().push(connection);
            // Given back only now: who has every turn knows that every connection is idle.
            drop(turn);
            Ok(result)
        });
        reading.await.map_err(StoreError::unavailable)?.map_err(|cause: rusqlite::Error| StoreError::unavailable(cause))
    }

    /// Lets the reads end that have begun, refuses further ones and closes the connections.
    pub(super) async fn close(&self) {
        let all = self.turns.acquire_many(self.most).await;
        self.turns.close();
        self.pool.idle.lock().clear();
        drop(all);
    }
}

impl Pool {
    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        if let Some(beside) = &self.beside {
            // Paths need not be UTF-8, which `SQLite` does not look at.
            let path = ToSqlOutput::Borrowed(ValueRef::Text(beside.as_os_str().as_bytes()));
            connection.execute("ATTACH ?1 AS store", [path])?;
        }
        Ok(connection)
    }
}

/// Reads a part of a room's stream.
pub(super) fn page(
    connection: &mut Connection,
    seed: &EpochSeed,
    group: &Group,
    slice: Slice,
    count: usize,
    bytes: usize,
) -> rusqlite::Result<Page> {
    let moment = connection.transaction()?;
    let room = moment.prepare_cached(ROOM)?.query_row([group.as_str()], |row| {
        Ok((row.get::<_, i64>(0)?, Position { epoch: name(row, 1)?, offset: offset(row, 2)? }))
    });
    let first = Offset::START.next();
    let Some((room_id, head)) = room.optional()? else {
        let head = Position { epoch: seed.epoch_of(group), offset: Offset::START };
        return Ok(Page { head, first, messages: Vec::new() });
    };
    let messages = page::cut(slice, first, head.offset, count, bytes, |run, allowance| {
        take(&moment, room_id, &head.epoch, run, allowance)
    })?;
    Ok(Page { head, first, messages })
}

/// Collects a run of messages as far as the allowance goes; texts beyond it are not even copied.
fn take(
    moment: &Connection,
    room_id: i64,
    epoch: &Epoch,
    run: Run,
    allowance: &mut Allowance,
) -> rusqlite::Result<Vec<Stored>> {
    let (sql, bound) = match run {
        Run::From(offset) => (RISING, offset),
        Run::UpTo(offset) => (FALLING, offset),
    };
    let mut statement = moment.prepare_cached(sql)?;
    let mut rows = statement.query(params![room_id, column(bound.0), column(allowance.count as u64)])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        if !allowance.admits(row.get_ref(4)?.as_str()?.len()) {
            break;
        }
        messages.push(stored(row, epoch)?);
    }
    Ok(messages)
}

/// Reads the rooms that were active last.
pub(super) fn rooms(connection: &mut Connection, count: usize) -> rusqlite::Result<Vec<RoomSummary>> {
    let mut statement = connection.prepare_cached(ROOMS)?;
    let rooms = statement.query_map([column(count as u64)], |row| {
        Ok(RoomSummary { group: name(row, 6)?, latest: Some(stored(row, &name(row, 7)?)?) })
    })?;
    rooms.collect()
}

/// A message from the columns offset, key, author's id and name, text, at.
fn stored(row: &Row<'_>, epoch: &Epoch) -> rusqlite::Result<Stored> {
    let offset = offset(row, 0)?;
    let message = Message {
        id: message_id(epoch.as_str(), offset),
        key: name(row, 1)?,
        from: Person { id: row.get(2)?, name: row.get(3)? },
        text: row.get(4)?,
        at: Timestamp::from_millis(row.get(5)?),
    };
    Ok(Stored { offset, message })
}

/// A name that was checked when it was written; one that somebody has changed since is an error.
pub(super) fn name<T: FromStr<Err = InvalidName>>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(index)?.as_str()?;
    text.parse().map_err(|error: InvalidName| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error.into()))
}

pub(super) fn offset(row: &Row<'_>, index: usize) -> rusqlite::Result<Offset> {
    let number = row.get(index)?;
    u64::try_from(number).map(Offset).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, number))
}

/// A number for a column or a limit; the largest of `SQLite` stands for whatever is larger.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::sqlite::migrate;

    #[test]
    fn no_read_costs_more_in_a_longer_room() {
        let mut connection = Connection::open_in_memory().expect("a database");
        migrate::to_newest(&mut connection).expect("the schema");
        for sql in [ROOM, RISING, FALLING, ROOMS] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("valid SQL");
            let parameters = vec![1_i64; statement.parameter_count()];
            let steps: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))
                .and_then(Iterator::collect)
                .expect("a plan");
            // Walking an index in its order until the limit is fine; sorting, or looking through a table, is not.
            let costly = |step: &String| {
                step.contains("TEMP B-TREE") || (step.starts_with("SCAN") && !step.contains("INDEX rooms_by_activity"))
            };
            assert!(!steps.is_empty() && !steps.iter().any(costly), "{sql}: {steps:?}");
        }
    }
}
