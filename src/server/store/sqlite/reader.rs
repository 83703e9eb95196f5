//! Reading pages and the list of rooms, each from one moment of the database.

use std::{
    cmp::Reverse, ops::ControlFlow, os::unix::ffi::OsStrExt as _, path::PathBuf, str::FromStr, sync::Arc, time::Duration,
};

use parking_lot::Mutex;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, params,
    types::{ToSqlOutput, Type, ValueRef},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::condition::{Condition, is_damage};
use crate::{
    server::{
        store::{
            error::{StoreError, tell_unreadable},
            log::{
                Bounds, Entry, Extent, Listed, ListedRoom, Missed, Page, Slice, What, Within,
                beginning::{Beginning, DROPPED_AT_ONCE, Kept},
                change::{ChangeRow, reactions_from_json},
                entry::{self, message_id},
                epoch::EpochSeed,
                listing::Picking,
                page::{self, Allowance, Run, bytes_as_sent, merged},
            },
        },
        telemetry::Fault,
    },
    wire::{
        Content, Epoch, Group, InvalidName, Message, MessageId, Offset, Person, Position, Reaction, RoomSummary, Stored,
        Timestamp,
    },
};

const ROOM: &str = "SELECT id, epoch, head, first, latest, replayable FROM rooms WHERE name = ?1";
const RISING: &str = "SELECT offset, key, author_id, author_name, text, at, edited, deleted, reactions, changed FROM messages
    WHERE room_id = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3";
const FALLING: &str = "SELECT offset, key, author_id, author_name, text, at, edited, deleted, reactions, changed FROM messages
    WHERE room_id = ?1 AND offset <= ?2 ORDER BY offset DESC LIMIT ?3";
/// With what edited messages say now.
const CHANGES: &str =
    "SELECT changes.offset, target, changes.at, kind, emoji, changes.author_id, changes.author_name, text, edited,
        deleted
    FROM changes
    LEFT JOIN messages ON kind = 'edit' AND messages.room_id = changes.room_id AND messages.offset = target
    WHERE changes.room_id = ?1 AND changes.offset >= ?2 ORDER BY changes.offset LIMIT ?3";
const EXTENTS: &str = "SELECT name, head + 1 - replayable FROM rooms WHERE name > ?1 ORDER BY name LIMIT ?2";
const OLDEST: &str = "SELECT offset, at FROM messages WHERE room_id = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3";
const MESSAGE_NOT_KEPT: &str = "SELECT offset FROM messages WHERE room_id = ?1 ORDER BY offset DESC LIMIT 1 OFFSET ?2";
const CHANGE_NOT_KEPT: &str = "SELECT offset FROM changes WHERE room_id = ?1 ORDER BY offset DESC LIMIT 1 OFFSET ?2";
const LAST_AT_ONCE: &str = "SELECT offset FROM changes WHERE room_id = ?1 AND offset >= ?2 ORDER BY offset LIMIT 1 OFFSET ?3";
/// The names alone, since of those that are not asked for nothing else is read.
const NAMES: &str = "SELECT name, activity, id FROM rooms WHERE activity < ?1 AND latest > 0 ORDER BY activity DESC";
/// The list shows no reactions.
const ROOMS: &str = "SELECT offset, key, author_id, author_name, text, at, edited, deleted, NULL, name, epoch, activity
    FROM (SELECT value AS picked FROM json_each(?1)) CROSS JOIN rooms ON id = picked
    CROSS JOIN messages ON room_id = id AND offset = latest";

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
    known: Known,
    /// The store could not be read, the last time.
    unreadable: Fault,
    idle: Mutex<Vec<Connection>>,
}

/// What a read has to know of the database.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) seed: EpochSeed,
    pub(super) condition: Condition,
}

impl Readers {
    /// So many reads run at a time, each on a connection and a thread of its own; further ones wait.
    pub(super) fn new(file: PathBuf, beside: Option<PathBuf>, seed: EpochSeed, condition: Condition, most: u32) -> Self {
        let (known, unreadable) = (Known { seed, condition }, Fault::default());
        let pool = Pool { file, beside, known, unreadable, idle: Mutex::new(Vec::new()) };
        Self { pool: Arc::new(pool), turns: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Runs a read on a connection and a thread where it may block. A connection that has failed is not used again.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection, &Known) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| StoreError::closed())?;
        let pool = Arc::clone(&self.pool);
        let told = Arc::clone(&pool);
        let reading = spawn_blocking(move || {
            let idle = pool.idle.lock().pop();
            let mut connection = idle.map_or_else(|| pool.connect(), Ok)?;
            let result = read(&mut connection, &pool.known).inspect_err(|cause| pool.note(cause))?;
            pool.idle.lock().push(connection);
            // Given back only now: who has every turn knows that every connection is idle.
            drop(turn);
            Ok(result)
        });
        let read = reading.await.map_err(StoreError::unavailable)?.map_err(|cause: rusqlite::Error| {
            if is_unreadable(&cause) { StoreError::damage(cause) } else { StoreError::unavailable(cause) }
        });
        told.tell(read.as_ref().err());
        read
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
        // After it was opened: it must not be another that was put in its place.
        self.known.condition.in_place()?;
        Ok(connection)
    }

    /// Of two databases that are read together nobody knows which one is damaged.
    fn note(&self, cause: &rusqlite::Error) {
        if self.beside.is_none() {
            self.known.condition.note(cause);
        }
    }

    /// Says in the log when the store cannot be read, and when it can be again.
    fn tell(&self, failed: Option<&StoreError>) {
        if self.beside.is_none() {
            tell_unreadable(&self.unreadable, failed);
        }
    }
}

/// Whether what is stored is to blame, and other parts of it may be read all the same.
pub(super) fn is_unreadable(cause: &rusqlite::Error) -> bool {
    is_damage(cause) || is_not_understood(cause)
}

/// Whether it is what a row says.
fn is_not_understood(cause: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(cause, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

/// A room as its row has it.
struct Room {
    id: i64,
    head: Position,
    beginning: Beginning,
    latest: Offset,
}

/// The room, if it has begun.
fn room(moment: &Connection, group: &Group) -> rusqlite::Result<Option<Room>> {
    let room = moment.prepare_cached(ROOM)?.query_row([group.as_str()], |row| {
        let head = Position { epoch: name(row, 1)?, offset: offset(row, 2)? };
        let beginning = Beginning { first: offset(row, 3)?, replayable: offset(row, 5)? };
        Ok(Room { id: row.get(0)?, head, beginning, latest: offset(row, 4)? })
    });
    room.optional()
}

/// Where a room stands that has not begun.
fn beginning(seed: &EpochSeed, group: &Group) -> Position {
    Position { epoch: seed.epoch_of(group), offset: Offset::START }
}

/// Reads a part of a room's messages.
pub(super) fn page(
    connection: &mut Connection,
    Known { seed, condition }: &Known,
    group: &Group,
    slice: Slice,
    count: usize,
    bytes: usize,
) -> rusqlite::Result<Page> {
    let moment = connection.transaction()?;
    let Some(Room { id, head, beginning: Beginning { first, .. }, latest }) = room(&moment, group)? else {
        let head = beginning(seed, group);
        return Ok(Page { head, first: Offset(1), latest: Offset::START, messages: Vec::new(), unreadable: Vec::new() });
    };
    let mut unreadable = Vec::new();
    let pass_over = &mut |offset, cause: &_| {
        unreadable.push(offset);
        condition.pass_over(group.as_str(), cause);
    };
    let messages = page::cut(slice, first, head.offset, count, bytes, |run, allowance| {
        take(&moment, id, &head.epoch, run, allowance, pass_over)
    })?;
    Ok(Page { head, first, latest, messages, unreadable })
}

/// Reads a part of a room's stream.
pub(super) fn entries(
    connection: &mut Connection,
    Known { seed, condition }: &Known,
    group: &Group,
    after: Offset,
    count: usize,
    bytes: usize,
) -> rusqlite::Result<Missed> {
    let moment = connection.transaction()?;
    let Some(Room { id, head, beginning: Beginning { replayable: mut first, .. }, .. }) = room(&moment, group)? else {
        return Ok(Missed { head: beginning(seed, group), first: Offset(1), entries: Vec::new() });
    };
    if after >= head.offset {
        return Ok(Missed { head, first, entries: Vec::new() });
    }
    let most = Allowance::new(count, bytes);
    let pass_over = &mut |_, cause: &_| condition.pass_over(group.as_str(), cause);
    let (changes, lost) =
        take_changes(&moment, id, &head.epoch, (after.next().max(first), count), &mut most.clone(), pass_over)?;
    if let Some(lost) = lost {
        first = lost.next();
    }
    let from = after.next().max(first);
    let messages = take(&moment, id, &head.epoch, Run::From(from), &mut most.clone(), pass_over)?;
    let entries = merged(from, messages, changes, most);
    Ok(Missed { head, first, entries })
}

/// Collects a run of messages as far as the allowance goes.
fn take(
    moment: &Connection,
    room_id: i64,
    epoch: &Epoch,
    run: Run,
    allowance: &mut Allowance,
    pass_over: &mut dyn FnMut(Offset, &rusqlite::Error),
) -> rusqlite::Result<Vec<Stored>> {
    let (sql, bound) = match run {
        Run::From(offset) => (RISING, offset),
        Run::UpTo(offset) => (FALLING, offset),
    };
    let mut statement = moment.prepare_cached(sql)?;
    let mut rows = statement.query(params![room_id, column(bound.0), column(allowance.count as u64)])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let stored = match held(row, epoch) {
            Err(cause) if is_not_understood(&cause) => {
                let stored = unreadable(row, epoch)?;
                pass_over(stored.offset, &cause);
                stored
            }
            read => read?,
        };
        if !allowance.admits(bytes_as_sent(&stored.message)) {
            break;
        }
        messages.push(stored);
    }
    Ok(messages)
}

/// Collects changes from an offset on, as [`take`] does messages: each edit has all of its message's text. After one that is passed over
/// it begins anew, and says where that stands.
fn take_changes(
    moment: &Connection,
    room_id: i64,
    epoch: &Epoch,
    (from, count): (Offset, usize),
    allowance: &mut Allowance,
    pass_over: &mut dyn FnMut(Offset, &rusqlite::Error),
) -> rusqlite::Result<(Vec<Entry>, Option<Offset>)> {
    let mut statement = moment.prepare_cached(CHANGES)?;
    let mut rows = statement.query(params![room_id, column(from.0), column(count as u64)])?;
    let (mut changes, mut lost) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let change = match change(row, epoch) {
            Err(cause) if is_not_understood(&cause) => {
                let offset = offset(row, 0)?;
                pass_over(offset, &cause);
                changes.clear();
                lost = Some(offset);
                continue;
            }
            read => read?,
        };
        if !allowance.admits(change.bytes_as_sent()) {
            break;
        }
        changes.push(change);
    }
    Ok((changes, lost))
}

/// Reads the names of rooms, and how long their streams are.
pub(super) fn groups(connection: &mut Connection, after: Option<&Group>, count: usize) -> rusqlite::Result<Vec<Extent>> {
    let mut statement = connection.prepare_cached(EXTENTS)?;
    let after = after.map_or("", Group::as_str);
    let extent = |row: &Row<'_>| Ok(Extent { group: name(row, 0)?, entries: offset(row, 1)?.0 });
    statement.query_map(params![after, column(count as u64)], extent)?.collect()
}

/// Counts what is to be held of a room; none where there is no such room. Changes beyond `indexed` are kept.
pub(super) fn kept(
    connection: &mut Connection,
    group: &Group,
    bounds: Bounds,
    indexed: Option<Offset>,
) -> rusqlite::Result<Option<Kept>> {
    let moment = connection.transaction()?;
    let Some(Room { id, head, beginning, .. }) = room(&moment, group)? else { return Ok(None) };
    let count =
        |sql, passed| moment.prepare_cached(sql)?.query_row(params![id, column(passed)], |row| offset(row, 0)).optional();
    let message = match beginning.messages_to_count(bounds, head.offset) {
        Some(most) => count(MESSAGE_NOT_KEPT, most)?,
        None => None,
    };
    let change = match beginning.changes_to_count(bounds, head.offset) {
        Some(most) => count(CHANGE_NOT_KEPT, most)?,
        None => None,
    };
    let change = change.map(|change| indexed.map_or(change, |indexed| change.min(indexed)));
    let [messages, changes] = [message, change].map(|gone| gone.map(Offset::next).unwrap_or_default());
    Ok(Some(Kept { messages, since: bounds.since, changes }))
}

/// The next part of the way to what is to be held of a room; none where it is through.
pub(super) fn next_beginning(connection: &mut Connection, group: &Group, kept: &Kept) -> rusqlite::Result<Option<Beginning>> {
    let moment = connection.transaction()?;
    let Some(Room { id, head, beginning, .. }) = room(&moment, group)? else { return Ok(None) };
    let oldest = if beginning.may_drop_messages(kept) { oldest(&moment, id, beginning.first)? } else { Vec::new() };
    let goal = beginning.goal(kept, &oldest, head.offset);
    let last = if goal.replayable > beginning.replayable {
        let bound = params![id, column(beginning.replayable.0), column(DROPPED_AT_ONCE as u64 - 1)];
        moment.prepare_cached(LAST_AT_ONCE)?.query_row(bound, |row| offset(row, 0)).optional()?
    } else {
        None
    };
    Ok(Some(beginning.towards(goal, last)).filter(|next| *next != beginning))
}

/// The oldest messages of a room, one more than are dropped at once, and when they were said.
fn oldest(moment: &Connection, room_id: i64, first: Offset) -> rusqlite::Result<Vec<(Offset, Timestamp)>> {
    let mut statement = moment.prepare_cached(OLDEST)?;
    let oldest = statement.query_map(params![room_id, column(first.0), column(DROPPED_AT_ONCE as u64 + 1)], |row| {
        Ok((offset(row, 0)?, Timestamp::from_millis(row.get(1)?)))
    });
    oldest?.collect()
}

/// Reads a part of the list of rooms.
pub(super) fn list(
    connection: &mut Connection,
    condition: &Condition,
    within: &Within,
    before: Option<u64>,
    count: usize,
) -> rusqlite::Result<Listed> {
    let moment = connection.transaction()?;
    let mut picking = Picking::new(within, before, count);
    let mut picked = Vec::new();
    {
        let mut names = moment.prepare_cached(NAMES)?;
        let mut rows = names.query([column(before.unwrap_or(u64::MAX))])?;
        while let Some(row) = rows.next()? {
            let group = match name(row, 0) {
                Err(cause) if is_not_understood(&cause) => {
                    condition.pass_over(&String::from_utf8_lossy(row.get_ref(0)?.as_bytes().unwrap_or_default()), &cause);
                    continue;
                }
                read => read?,
            };
            match picking.pick(number(row, 1)?, &group) {
                ControlFlow::Continue(true) => picked.push((row.get::<_, i64>(2)?, group)),
                ControlFlow::Continue(false) => {}
                ControlFlow::Break(()) => break,
            }
        }
    }
    let mut rooms = match listed(&moment, &picked) {
        // The others are listed all the same.
        Err(cause) if is_unreadable(&cause) => {
            let mut rooms = Vec::new();
            for room in picked {
                match listed(&moment, std::slice::from_ref(&room)) {
                    Err(cause) if is_unreadable(&cause) => condition.pass_over(room.1.as_str(), &cause),
                    read => rooms.extend(read?),
                }
            }
            rooms
        }
        read => read?,
    };
    rooms.sort_by_key(|listed| Reverse(listed.activity));
    Ok(Listed { rooms, next: picking.next() })
}

fn listed(moment: &Connection, rooms: &[(i64, Group)]) -> rusqlite::Result<Vec<ListedRoom>> {
    let ids = rooms.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(",");
    let mut statement = moment.prepare_cached(ROOMS)?;
    let rooms = statement.query_map([format!("[{ids}]")], |row| {
        let room = RoomSummary { group: name(row, 9)?, latest: Some(stored(row, &name(row, 10)?)?) };
        Ok(ListedRoom { activity: number(row, 11)?, room })
    });
    rooms?.collect()
}

/// What stands for the message of a row that is not understood, with what of it is.
fn unreadable(row: &Row<'_>, epoch: &Epoch) -> rusqlite::Result<Stored> {
    let from = Person::new(row.get::<_, String>(2).unwrap_or_default(), row.get::<_, String>(3).unwrap_or_default());
    let at = Timestamp::from_millis(row.get(5).unwrap_or_default());
    Ok(entry::unreadable(epoch, offset(row, 0)?, from, at))
}

/// A message from the columns offset, key, author's id and name, text, at, edited, deleted, reactions.
pub(super) fn stored(row: &Row<'_>, epoch: &Epoch) -> rusqlite::Result<Stored> {
    let offset = offset(row, 0)?;
    let message = Message {
        id: message_id(epoch, offset).to_string(),
        key: name(row, 1)?,
        from: Person::new(row.get::<_, String>(2)?, row.get::<_, String>(3)?),
        content: Content {
            text: row.get(4)?,
            edited: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
            deleted: row.get(7)?,
            reactions: reactions(row, 8)?,
            changed: None,
        },
        at: Timestamp::from_millis(row.get(5)?),
    };
    Ok(Stored { offset, message })
}

/// The same, and from the column after these what its last change was.
pub(super) fn held(row: &Row<'_>, epoch: &Epoch) -> rusqlite::Result<Stored> {
    let mut stored = stored(row, epoch)?;
    stored.message.content.changed = row.get::<_, Option<i64>>(9)?.map(|_| offset(row, 9)).transpose()?;
    Ok(stored)
}

/// The reactions in a column.
fn reactions(row: &Row<'_>, json: usize) -> rusqlite::Result<Vec<Reaction>> {
    reactions_from_json(row.get_ref(json)?.as_str_or_null()?).map_err(|error| invalid(json, error))
}

/// A change from the columns offset, target, at, kind, emoji, author's id and name, and what the message has of text, edited, deleted.
fn change(row: &Row<'_>, epoch: &Epoch) -> rusqlite::Result<Entry> {
    let person = |id: Option<String>| Ok::<_, rusqlite::Error>(Person::new(id.unwrap_or_default(), row.get::<_, String>(6)?));
    let content = match row.get(7)? {
        Some(text) => {
            let edited = row.get::<_, Option<i64>>(8)?.map(Timestamp::from_millis);
            Some(Content { text, edited, deleted: row.get(9)?, ..Content::default() })
        }
        None => None,
    };
    let change = ChangeRow {
        kind: row.get_ref(3)?.as_str()?,
        id: MessageId { epoch: epoch.clone(), offset: offset(row, 1)? },
        at: Timestamp::from_millis(row.get(2)?),
        reaction: match row.get_ref(4)?.as_str_or_null()? {
            Some(emoji) => Some((emoji, person(row.get(5)?)?)),
            None => None,
        },
        content,
    };
    let change = change.read().map_err(|error| invalid(3, error))?;
    Ok(Entry { offset: offset(row, 0)?, what: What::Change(change) })
}

/// Somebody has changed what was checked when it was written.
fn invalid(index: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
}

/// A name that was checked when it was written; one that somebody has changed since is an error.
pub(super) fn name<T: FromStr<Err = InvalidName>>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(index)?.as_str()?;
    text.parse().map_err(|error: InvalidName| invalid(index, error))
}

pub(super) fn offset(row: &Row<'_>, index: usize) -> rusqlite::Result<Offset> {
    number(row, index).map(Offset)
}

fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let number = row.get(index)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, number))
}

/// A number for a column or a limit; the largest of `SQLite` stands for whatever is larger.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rusqlite::trace::{TraceEvent, TraceEventCodes};

    use super::*;
    use crate::server::store::{
        Durability, Log as _, NewMessage, SqliteStore,
        log::{names, reactions},
        sqlite::migrate,
    };

    /// Runs a read alone and gives the statements that the database has executed for it.
    async fn statements<T>(store: &SqliteStore, read: impl Future<Output = Result<T, StoreError>>) -> Vec<String> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (pool, told) = (&store.readers.pool, Arc::clone(&seen));
        let mut connection = pool.connect().expect("a connection");
        let note = move |event: TraceEvent<'_>| {
            if let TraceEvent::Stmt(statement, _) = event {
                told.lock().push(statement.sql().into_owned());
            }
        };
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note)).expect("a trace");
        *pool.idle.lock() = vec![connection];
        read.await.expect("an answer");
        pool.idle.lock().clear();
        std::mem::take(&mut seen.lock())
    }

    #[tokio::test]
    async fn a_read_takes_as_many_statements_however_much_there_is() {
        async fn taken(messages: usize, rooms: usize) -> Vec<Vec<String>> {
            let folder = tempfile::tempdir().expect("a folder");
            let (store, commits) = SqliteStore::open(folder.path(), Durability::Process).expect("a store");
            drop(commits);
            let message = |room: usize, number: usize| NewMessage {
                group: format!("s-{room}").parse().expect("a name"),
                key: format!("k{number}").parse().expect("a key"),
                from: Person::new(format!("g{}", number % 7), "Ann"),
                text: "text".to_owned(),
                at: Timestamp::from_millis(0),
            };
            for (room, number) in (1..=messages).map(|number| (0, number)).chain((1..rooms).map(|room| (room, 1))) {
                store.append(message(room, number)).await.expect("stored");
            }
            let group = "s-0".parse().expect("a name");
            let mut taken = vec![statements(&store, store.rooms(100)).await];
            let slices = [Slice::Latest, Slice::After(Offset(1)), Slice::Before(Offset(15)), Slice::Around(Offset(10))];
            for slice in slices {
                taken.push(statements(&store, store.read(&group, slice, 200, 1_000_000)).await);
            }
            taken
        }
        let few = taken(20, 2).await;
        assert_eq!(few, taken(300, 80).await);
        // A page is of one moment: between a BEGIN and its end, the room, and then one or two runs of messages; or of the list, the names
        // and then the rooms that are on it.
        assert_eq!(few.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4, 4, 5], "{few:?}");
    }

    #[test]
    fn no_read_costs_more_in_a_longer_room() {
        let mut connection = Connection::open_in_memory().expect("a database");
        migrate::to_newest(&mut connection).expect("the schema");
        for sql in [
            ROOM,
            RISING,
            FALLING,
            reactions::REACTED,
            reactions::PUT_BY,
            names::CALLED,
            CHANGES,
            EXTENTS,
            OLDEST,
            MESSAGE_NOT_KEPT,
            CHANGE_NOT_KEPT,
            LAST_AT_ONCE,
            NAMES,
            ROOMS,
        ] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("valid SQL");
            let parameters = vec![1_i64; statement.parameter_count()];
            let steps: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))
                .and_then(Iterator::collect)
                .expect("a plan");
            // Sorting, or looking through a table, is not fine; the array has what is on the page.
            let costly = |step: &String| {
                step.contains("TEMP B-TREE") || (step.starts_with("SCAN") && !step.starts_with("SCAN json_each "))
            };
            assert!(!steps.is_empty() && !steps.iter().any(costly), "{sql}: {steps:?}");
        }
    }
}
