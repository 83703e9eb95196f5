//! Reading pages, the list of rooms, and which rooms have moved on.
//!
//! A page is read in two steps, first the head and then messages up to it. What is said meanwhile is beyond the head; what is changed
//! meanwhile may be in the page, and comes to its readers once more as a change, which makes no difference to them. So a page is
//! of the moment of its first step without a transaction.

use std::{ops::ControlFlow, sync::Arc};

use async_trait::async_trait;
use deadpool_postgres::Object;
use futures_util::future;
use tokio_postgres::{Row, types::ToSql};

use super::{
    error::{Failure, OpenError},
    pool::{Connections, Purpose, answer},
    records::run,
    text::unescape,
};
use crate::{
    server::{
        causes::with_causes,
        postgres_url::PostgresUrl,
        store::{
            error::{StoreError, tell_unreadable},
            log::{
                Bounds, Entry, Extent, Listed, ListedRoom, Missed, Moved, Page, Slice, Watch, What, Within,
                beginning::{Beginning, DROPPED_AT_ONCE, Kept},
                change::{ChangeRow, reactions_from_json},
                entry::{self, message_id},
                epoch::EpochSeed,
                listing::Picking,
                page::{self, Allowance, Runs, bytes_as_sent},
                passed::PassedOver,
            },
            records::{self, Value},
        },
        telemetry::Fault,
    },
    wire::{Content, Epoch, Group, InvalidName, Message, Offset, Person, Position, Reaction, RoomSummary, Stored, Timestamp},
};

/// So many reads run at a time; further ones wait.
const CONNECTIONS: usize = 6;

const ROOM: &str = "SELECT id, epoch, head, first, latest, replayable FROM rooms WHERE name = $1";
/// Of the room `$1`, up to `$4` messages and `$5` bytes of text, at least one message, from there on up to `$3` and not beyond the head. It is
/// not less than what fits: as they are sent messages have more bytes, which are counted when they are here.
macro_rules! messages {
    ($from:literal, $order:literal) => {
        concat!(
            r#"SELECT "offset", key, author_id, author_name, text, at, edited, deleted, reactions, changed FROM (
                SELECT *, row_number() OVER run AS number,
                    sum(octet_length(text) + coalesce(octet_length(reactions), 0)) OVER run AS bytes
                FROM (SELECT * FROM messages WHERE room_id = rooms.id AND "offset" BETWEEN "#,
            $from,
            r#" AND least($3, rooms.head) ORDER BY "offset" "#,
            $order,
            r#" LIMIT $4) AS slice WINDOW run AS (ORDER BY "offset" "#,
            $order,
            r#" ROWS UNBOUNDED PRECEDING)
            ) AS slice WHERE number = 1 OR bytes <= $5"#
        )
    };
}
/// Each row has the room as well. Where there is nothing else one has the room alone.
macro_rules! of_room {
    ($order:literal, $($run:tt)*) => {
        concat!(
            "SELECT run.*, id, epoch, head, first, latest, replayable FROM rooms LEFT JOIN LATERAL (",
            $($run)*,
            r#") AS run ON true WHERE name = $1 ORDER BY "offset" "#,
            $order
        )
    };
}
const RISING: &str = of_room!("ASC", messages!("$2", "ASC"));
const FALLING: &str = of_room!("DESC", messages!("$2", "DESC"));
/// What can be replayed: messages, and up to as many changes with up to as many bytes of text, at least one, with what edited messages say
/// now.
const ENTRIES: &str = of_room!(
    "ASC",
    "SELECT *, NULL::bigint AS message, NULL::text AS kind, NULL::text AS emoji FROM (",
    messages!("greatest($2, rooms.replayable)", "ASC"),
    r#") AS messages UNION ALL
    SELECT "offset", NULL, author_id, author_name, text, at, edited, deleted, NULL, NULL, target, kind, emoji FROM (
        SELECT *, row_number() OVER run AS number, sum(coalesce(octet_length(text), 0)) OVER run AS bytes FROM (
            SELECT changes.*, text, edited, deleted
            FROM changes LEFT JOIN messages
                ON kind = 'edit' AND messages.room_id = changes.room_id AND messages."offset" = target
            WHERE changes.room_id = rooms.id
                AND changes."offset" BETWEEN greatest($2, rooms.replayable) AND least($3, rooms.head)
            ORDER BY changes."offset" LIMIT $4
        ) AS slice WINDOW run AS (ORDER BY "offset" ROWS UNBOUNDED PRECEDING)
    ) AS slice WHERE number = 1 OR bytes <= $5"#
);
const EXTENTS: &str = "SELECT name, head + 1 - replayable FROM rooms WHERE name > $1 ORDER BY name LIMIT $2";
const OLDEST: &str = r#"SELECT "offset", at FROM messages WHERE room_id = $1 AND "offset" >= $2 ORDER BY "offset" LIMIT $3"#;
const MESSAGE_NOT_KEPT: &str = r#"SELECT "offset" FROM messages WHERE room_id = $1 ORDER BY "offset" DESC LIMIT 1 OFFSET $2"#;
/// The newest change that is not kept; or where the index of words has come to, if that is before it.
const CHANGE_NOT_KEPT: &str = r#"SELECT least("offset", coalesce((SELECT indexed FROM search_streams WHERE room_id = $1), 0))
    FROM changes WHERE room_id = $1 ORDER BY "offset" DESC LIMIT 1 OFFSET $2"#;
const LAST_AT_ONCE: &str =
    r#"SELECT "offset" FROM changes WHERE room_id = $1 AND "offset" >= $2 ORDER BY "offset" LIMIT 1 OFFSET $3"#;
/// The list shows no reactions.
const ROOMS: &str = r#"SELECT "offset", key, author_id, author_name, text, at, edited, deleted, NULL::text, name, epoch, activity
    FROM rooms JOIN messages ON room_id = id AND "offset" = latest WHERE activity < $1 ORDER BY activity DESC LIMIT $2"#;
/// The names alone, where not all rooms are asked for: of the others nothing else is read.
const NAMES: &str = "SELECT name, activity, id FROM rooms WHERE activity < $1 AND latest > 0 ORDER BY activity DESC LIMIT $2";
/// The rooms with these numbers.
const PICKED: &str = r#"SELECT "offset", key, author_id, author_name, text, at, edited, deleted, NULL::text, name, epoch, activity
    FROM rooms JOIN messages ON room_id = id AND "offset" = latest WHERE id = ANY($1) ORDER BY activity DESC"#;
/// So many names are read at a time.
const NAMES_AT_ONCE: u64 = 1_000;
/// The rooms that were written to by transactions which the earlier moment `$2` did not show; `$1` is the first that it may not
/// show. And the moment of this answer. Always at least one row. What another cluster has counted, from which the database was restored,
/// is beyond this one's transactions.
const MOVED: &str = r#"SELECT pg_current_snapshot()::text, name, epoch, head, pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
        coalesce(changed, latest)
    FROM (VALUES (true)) AS always LEFT JOIN rooms ON touched >= $1
        AND touched < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        AND NOT pg_visible_in_snapshot(touched::text::xid8, $2::text::pg_snapshot)
    LEFT JOIN messages ON room_id = rooms.id AND "offset" = latest"#;
/// Shows no transaction.
const NO_MOMENT: &str = "1:1:";

/// A room as its row has it.
struct Room {
    /// None when it has not begun.
    id: Option<i64>,
    head: Position,
    beginning: Beginning,
    latest: Offset,
}

/// Connections that read.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    connections: Arc<Connections>,
    seed: EpochSeed,
    /// The database could not be read, the last time.
    unreadable: Arc<Fault>,
    passed_over: Arc<PassedOver>,
}

impl Readers {
    pub(super) fn new(url: &PostgresUrl, seed: EpochSeed) -> Result<Self, OpenError> {
        Ok(Self {
            connections: Arc::new(Connections::new(url, Purpose::Reading, CONNECTIONS)?),
            seed,
            unreadable: Arc::default(),
            passed_over: Arc::default(),
        })
    }

    pub(super) fn close(&self) {
        self.connections.close();
    }

    /// Asks over a connection, and says in the log when that cannot be done, and when it can be again.
    async fn ask<T>(&self, asked: impl AsyncFnOnce(&Object) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let answered = match self.connections.get().await {
            Ok(client) => answer(client, asked).await.flatten(),
            Err(cause) => Err(cause),
        };
        tell_unreadable(&self.unreadable, answered.as_ref().err());
        answered
    }

    /// Reads a part of a room's messages.
    pub(super) async fn page(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Result<Page, StoreError> {
        self.ask(async |client| self.page_on(client, group, slice, count, bytes).await).await
    }

    async fn page_on(
        &self,
        client: &Object,
        group: &Group,
        slice: Slice,
        count: usize,
        bytes: usize,
    ) -> Result<Page, StoreError> {
        let known = match slice {
            // What it is around may not be there, and of nothing no row would tell.
            Slice::Around(_) | Slice::Before(Offset(0)) | Slice::After(Offset(u64::MAX)) => {
                Some(self.room(client, group).await?)
            }
            Slice::Latest | Slice::Before(_) | Slice::After(_) => None,
        };
        let (first, head) =
            known.as_ref().map_or((Offset(1), Offset(u64::MAX)), |room| (room.beginning.first, room.head.offset));
        let Runs { back, on } = page::runs(slice, first, head, count, bytes);
        let take = |run| take(client, group, head, run);
        let ((back_room, back), (on_room, on)) = future::try_join(take(back), take(on)).await?;
        let room = known.or(back_room).or(on_room).unwrap_or_else(|| self.beginning(group));
        let Room { head, beginning: Beginning { first, .. }, latest, .. } = room;
        let mut unreadable = Vec::new();
        let read = back.into_iter().rev().chain(on);
        let messages = read.map(|(stored, cause)| {
            if let Some(cause) = cause {
                unreadable.push(stored.offset);
                self.passed_over.tell(group.as_str(), cause);
            }
            stored
        });
        let messages = messages.collect();
        Ok(Page { head, first, latest, messages, unreadable })
    }

    /// Reads a part of a room's stream.
    pub(super) async fn entries(&self, group: &Group, after: Offset, count: usize, bytes: usize) -> Result<Missed, StoreError> {
        self.ask(async |client| self.entries_on(client, group, after, count, bytes).await).await
    }

    async fn entries_on(
        &self,
        client: &Object,
        group: &Group,
        after: Offset,
        count: usize,
        bytes: usize,
    ) -> Result<Missed, StoreError> {
        let most = Allowance::new(count, bytes);
        if count == 0 {
            let Room { head, beginning: Beginning { replayable: first, .. }, .. } = self.room(client, group).await?;
            return Ok(Missed { head, first, entries: Vec::new() });
        }
        let rows = run_of(client, ENTRIES, group, (after.next(), Offset(u64::MAX)), most).await?;
        let room = rows.first().map(|row| room(row, 13)).transpose()?.unwrap_or_else(|| self.beginning(group));
        let Room { head, beginning: Beginning { replayable: mut first, .. }, .. } = room;
        let from = after.next().max(first);
        let (mut messages, mut changes) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| has_entry(row)) {
            if row.get::<_, Option<&str>>(11).is_none() {
                let (stored, cause) = held_or_stand_in(row, &head.epoch)?;
                if let Some(cause) = cause {
                    self.passed_over.tell(group.as_str(), cause);
                }
                messages.push(stored);
                continue;
            }
            match change(row, &head.epoch) {
                Ok(change) => changes.push(change),
                Err(cause) => {
                    // What could be replayed begins after it.
                    first = offset(row, 0)?.next();
                    changes.clear();
                    self.passed_over.tell(group.as_str(), cause);
                }
            }
        }
        let from = from.max(first);
        messages.retain(|stored| stored.offset >= from);
        let entries = page::merged(from, messages, changes, most);
        Ok(Missed { head, first, entries })
    }

    /// The rows of a question to plain tables.
    pub(super) async fn records(&self, sql: &str, values: &[Value]) -> Result<Vec<records::Row>, StoreError> {
        let answered = self.ask(async |client| {
            let prepared = client.prepare_cached(sql).await.map_err(StoreError::unavailable)?;
            Ok(run(client, &(prepared, values)).await)
        });
        match answered.await? {
            Ok(written) => Ok(written.rows),
            Err(Failure::Refused(cause)) => Err(StoreError::unavailable(with_causes(&cause))),
            Err(Failure::Lost(cause) | Failure::Damaged(cause)) => Err(cause),
        }
    }

    /// The room as its row has it, or as it begins.
    async fn room(&self, client: &Object, group: &Group) -> Result<Room, StoreError> {
        let statement = client.prepare_cached(ROOM).await.map_err(StoreError::unavailable)?;
        let row = client.query_opt(&statement, &[&group.as_str()]).await.map_err(StoreError::unavailable)?;
        row.map_or_else(|| Ok(self.beginning(group)), |row| room(&row, 0))
    }

    /// A room in which nothing was said yet.
    fn beginning(&self, group: &Group) -> Room {
        let head = Position { epoch: self.seed.epoch_of(group), offset: Offset::START };
        let beginning = Beginning { first: Offset(1), replayable: Offset(1) };
        Room { id: None, head, beginning, latest: Offset::START }
    }

    /// Reads the names of rooms, and how long their streams are.
    pub(super) async fn groups(&self, after: Option<&Group>, count: usize) -> Result<Vec<Extent>, StoreError> {
        let after = after.map_or("", Group::as_str);
        let rows = self.ask(async |client| query(client, EXTENTS, &[&after, &column(count as u64)]).await).await?;
        rows.iter().map(|row| Ok(Extent { group: name(row, 0)?, entries: offset(row, 1)?.0 })).collect()
    }

    /// Counts what is to be held of a room; none where there is no such room.
    pub(super) async fn kept(&self, group: &Group, bounds: Bounds) -> Result<Option<Kept>, StoreError> {
        self.ask(async |client| {
            let Room { id: Some(id), head, beginning, .. } = self.room(client, group).await? else { return Ok(None) };
            let message = match beginning.messages_to_count(bounds, head.offset) {
                Some(most) => one(client, MESSAGE_NOT_KEPT, &[&id, &column(most)]).await?,
                None => None,
            };
            let change = match beginning.changes_to_count(bounds, head.offset) {
                Some(most) => one(client, CHANGE_NOT_KEPT, &[&id, &column(most)]).await?,
                None => None,
            };
            let [messages, changes] = [message, change].map(|gone| gone.map(Offset::next).unwrap_or_default());
            Ok(Some(Kept { messages, since: bounds.since, changes }))
        })
        .await
    }

    /// The next part of the way to what is to be held of a room; none where it is through.
    pub(super) async fn next_beginning(&self, group: &Group, kept: &Kept) -> Result<Option<Beginning>, StoreError> {
        self.ask(async |client| {
            let Room { id: Some(id), head, beginning, .. } = self.room(client, group).await? else { return Ok(None) };
            let oldest =
                if beginning.may_drop_messages(kept) { oldest(client, id, beginning.first).await? } else { Vec::new() };
            let goal = beginning.goal(kept, &oldest, head.offset);
            let last = if goal.replayable > beginning.replayable {
                let (from, passed) = (column(beginning.replayable.0), column(DROPPED_AT_ONCE as u64 - 1));
                one(client, LAST_AT_ONCE, &[&id, &from, &passed]).await?
            } else {
                None
            };
            Ok(Some(beginning.towards(goal, last)).filter(|next| *next != beginning))
        })
        .await
    }

    /// Reads a part of the list of rooms.
    pub(super) async fn list(&self, within: &Within, before: Option<u64>, count: usize) -> Result<Listed, StoreError> {
        self.ask(async |client| match within {
            Within::Everything => self.list_all(client, before, count).await,
            _ => self.list_some(client, within, before, count).await,
        })
        .await
    }

    pub(super) fn watch(&self) -> HeadWatch {
        HeadWatch { readers: self.clone(), moment: None }
    }

    /// A part of the list of all rooms, with one question.
    async fn list_all(&self, client: &Object, before: Option<u64>, count: usize) -> Result<Listed, StoreError> {
        let one_more = column((count as u64).saturating_add(1));
        let rows = query(client, ROOMS, &[&column(before.unwrap_or(u64::MAX)), &one_more]).await?;
        let (more, rows) = (rows.len() > count, &rows[..rows.len().min(count)]);
        let last = rows.last().map(|row| number(row, 11)).transpose()?.or(before);
        Ok(Listed { rooms: self.listed(rows), next: last.or(Some(u64::MAX)).filter(|_| more) })
    }

    /// A part of the list of those rooms that are asked for.
    async fn list_some(
        &self,
        client: &Object,
        within: &Within,
        before: Option<u64>,
        count: usize,
    ) -> Result<Listed, StoreError> {
        let mut picking = Picking::new(within, before, count);
        let mut picked = Vec::new();
        let mut last = before;
        'names: loop {
            let rows = query(client, NAMES, &[&column(last.unwrap_or(u64::MAX)), &column(NAMES_AT_ONCE)]).await?;
            for row in &rows {
                let activity = number(row, 1)?;
                last = Some(activity);
                let group = match name(row, 0) {
                    Ok(group) => group,
                    Err(cause) => {
                        self.passed_over.tell(row.get(0), cause);
                        continue;
                    }
                };
                match picking.pick(activity, &group) {
                    ControlFlow::Continue(true) => picked.push(row.get::<_, i64>(2)),
                    ControlFlow::Continue(false) => {}
                    ControlFlow::Break(()) => break 'names,
                }
            }
            if (rows.len() as u64) < NAMES_AT_ONCE {
                break;
            }
        }
        let rows = if picked.is_empty() { Vec::new() } else { query(client, PICKED, &[&picked]).await? };
        Ok(Listed { rooms: self.listed(&rows), next: picking.next() })
    }

    /// The rooms of rows that can be read.
    fn listed(&self, rows: &[Row]) -> Vec<ListedRoom> {
        let room = |row: &Row| {
            let room = RoomSummary { group: name(row, 9)?, latest: Some(stored(row, &name(row, 10)?)?) };
            Ok::<_, StoreError>(ListedRoom { activity: number(row, 11)?, room })
        };
        let read = rows.iter().filter_map(|row| room(row).inspect_err(|cause| self.passed_over.tell(row.get(9), cause)).ok());
        read.collect()
    }
}

async fn query(client: &Object, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
    let statement = client.prepare_cached(sql).await.map_err(StoreError::unavailable)?;
    client.query(&statement, parameters).await.map_err(StoreError::unavailable)
}

/// The offset that is asked for, if there is one.
async fn one(client: &Object, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Option<Offset>, StoreError> {
    let statement = client.prepare_cached(sql).await.map_err(StoreError::unavailable)?;
    let row = client.query_opt(&statement, parameters).await.map_err(StoreError::unavailable)?;
    row.map(|row| offset(&row, 0)).transpose()
}

/// The oldest messages of a room, one more than are dropped at once, and when they were said.
async fn oldest(client: &Object, room_id: i64, first: Offset) -> Result<Vec<(Offset, Timestamp)>, StoreError> {
    let statement = client.prepare_cached(OLDEST).await.map_err(StoreError::unavailable)?;
    let most = column(DROPPED_AT_ONCE as u64 + 1);
    let rows = client.query(&statement, &[&room_id, &column(first.0), &most]).await.map_err(StoreError::unavailable)?;
    rows.iter().map(|row| Ok((offset(row, 0)?, Timestamp::from_millis(row.get(1))))).collect()
}

/// The rows of [`of_room`] between two offsets.
async fn run_of(
    client: &Object,
    sql: &str,
    group: &Group,
    (from, to): (Offset, Offset),
    most: Allowance,
) -> Result<Vec<Row>, StoreError> {
    let (from, to) = (column(from.0), column(to.0));
    let (count, bytes) = (column(most.count as u64), column(most.bytes as u64));
    query(client, sql, &[&group.as_str(), &from, &to, &count, &bytes]).await
}

/// Whether a row has more than the room.
fn has_entry(row: &Row) -> bool {
    row.get::<_, Option<i64>>(0).is_some()
}

/// A run of messages, each with why it cannot be read where another one stands for it.
type Run = Vec<(Stored, Option<StoreError>)>;

/// Collects a run of messages up to the head as far as the allowance goes, with the room if there is one.
async fn take(
    client: &Object,
    group: &Group,
    head: Offset,
    run: Option<(page::Run, Allowance)>,
) -> Result<(Option<Room>, Run), StoreError> {
    let Some((run, mut allowance)) = run else { return Ok((None, Vec::new())) };
    let (sql, between) = match run {
        page::Run::From(offset) => (RISING, (offset, head)),
        page::Run::UpTo(offset) => (FALLING, (Offset::START, offset)),
    };
    let rows = run_of(client, sql, group, between, allowance).await?;
    let room = rows.first().map(|row| room(row, 10)).transpose()?;
    let mut messages = Vec::new();
    for (row, Room { head, .. }) in rows.iter().filter(|row| has_entry(row)).zip(std::iter::repeat(&room).flatten()) {
        let (stored, cause) = held_or_stand_in(row, &head.epoch)?;
        if !allowance.admits(bytes_as_sent(&stored.message)) {
            break;
        }
        messages.push((stored, cause));
    }
    Ok((room, messages))
}

/// Asks which rooms have moved on since it asked last.
pub(super) struct HeadWatch {
    readers: Readers,
    /// What is known, as PostgreSQL writes a snapshot, and the first transaction that may not be in it.
    moment: Option<(i64, String)>,
}

#[async_trait]
impl Watch for HeadWatch {
    async fn moved(&mut self) -> Result<Vec<Moved>, StoreError> {
        let (since, moment) = self.moment.clone().unwrap_or_else(|| (i64::MAX, NO_MOMENT.to_owned()));
        let rows = self.readers.ask(async |client| query(client, MOVED, &[&since, &moment]).await).await?;
        let mut moved = Vec::new();
        for row in &rows {
            self.moment = Some((row.get(4), row.get(0)));
            if row.get::<_, Option<&str>>(1).is_some() {
                let head = Position { epoch: name(row, 2)?, offset: offset(row, 3)? };
                moved.push(Moved { group: name(row, 1)?, head, latest_since: offset(row, 5)? });
            }
        }
        Ok(moved)
    }
}

/// A message from the columns offset, key, author's id and name, text, at, edited, deleted, reactions.
pub(super) fn stored(row: &Row, epoch: &Epoch) -> Result<Stored, StoreError> {
    let offset = offset(row, 0)?;
    let message = Message {
        id: message_id(epoch, offset).to_string(),
        key: name(row, 1)?,
        from: Person::new(unescape(row.get(2)), unescape(row.get(3))),
        content: Content {
            text: unescape(row.get(4)),
            edited: row.get::<_, Option<i64>>(6).map(Timestamp::from_millis),
            deleted: row.get(7),
            reactions: reactions(row, 8)?,
            changed: None,
        },
        at: Timestamp::from_millis(row.get(5)),
    };
    Ok(Stored { offset, message })
}

/// The same, and from the column after these what its last change was.
pub(super) fn held(row: &Row, epoch: &Epoch) -> Result<Stored, StoreError> {
    let mut stored = stored(row, epoch)?;
    stored.message.content.changed = row.get::<_, Option<i64>>(9).map(|_| offset(row, 9)).transpose()?;
    Ok(stored)
}

/// The same, or what stands for a message that cannot be read, and why it cannot.
fn held_or_stand_in(row: &Row, epoch: &Epoch) -> Result<(Stored, Option<StoreError>), StoreError> {
    match held(row, epoch) {
        Ok(stored) => Ok((stored, None)),
        Err(cause) => {
            let from = Person::new(unescape(row.get(2)), unescape(row.get(3)));
            let at = Timestamp::from_millis(row.get(5));
            Ok((entry::unreadable(epoch, offset(row, 0)?, from, at), Some(cause)))
        }
    }
}

/// A room from the columns id, epoch, head, first, latest, replayable.
fn room(row: &Row, at: usize) -> Result<Room, StoreError> {
    let head = Position { epoch: name(row, at + 1)?, offset: offset(row, at + 2)? };
    let beginning = Beginning { first: offset(row, at + 3)?, replayable: offset(row, at + 5)? };
    Ok(Room { id: Some(row.get(at)), head, beginning, latest: offset(row, at + 4)? })
}

/// The reactions in a column.
fn reactions(row: &Row, json: usize) -> Result<Vec<Reaction>, StoreError> {
    reactions_from_json(row.get(json)).map_err(StoreError::damage)
}

/// A change from the columns of a message, with what the message has of text, edited, deleted, and target, kind and emoji from the tenth on.
fn change(row: &Row, epoch: &Epoch) -> Result<Entry, StoreError> {
    let person = || Some(Person::new(unescape(row.get::<_, Option<String>>(2)?), unescape(row.get(3))));
    let content = |text: String| {
        let edited = row.get::<_, Option<i64>>(6).map(Timestamp::from_millis);
        Content { text: unescape(text), edited, deleted: row.get(7), ..Content::default() }
    };
    let change = ChangeRow {
        kind: row.get(11),
        id: message_id(epoch, offset(row, 10)?),
        at: Timestamp::from_millis(row.get(5)),
        reaction: row.get::<_, Option<&str>>(12).and_then(|emoji| Some((emoji, person()?))),
        content: row.get::<_, Option<String>>(4).map(content),
    };
    Ok(Entry { offset: offset(row, 0)?, what: What::Change(change.read().map_err(StoreError::damage)?) })
}

/// A name that was checked when it was written; one that somebody has changed since is an error.
pub(super) fn name<T: std::str::FromStr<Err = InvalidName>>(row: &Row, index: usize) -> Result<T, StoreError> {
    row.get::<_, &str>(index).parse().map_err(StoreError::damage)
}

pub(super) fn offset(row: &Row, index: usize) -> Result<Offset, StoreError> {
    number(row, index).map(Offset)
}

fn number(row: &Row, index: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(index)).map_err(StoreError::damage)
}

/// A number for a column or a limit; the largest of PostgreSQL stands for whatever is larger.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
