//! Up to where people with accounts have read their rooms.
//!
//! ```text
//!   the command `read` ──► Reads::mark: in memory, at once ──► the table, all that has gathered, every few seconds
//!                                   └─ set back: the table, at once
//!   a join, the list of rooms ──► the table, and what waits to be written
//! ```
//!
//! A mark is a position of the room's stream and rises, but for somebody who says that something is unread. Nothing is written or counted when a
//! message comes: what is unread follows from the mark when it is asked for. Another node may not know of what was read within the last
//! seconds.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tracing::debug;

use crate::{
    server::store::{Records, Row, Statement, StoreError, Value},
    wire::{Group, Offset, Position, Timestamp},
};

/// How often what was read is written.
const EVERY: Duration = Duration::from_secs(3);
/// Of so many rooms it is kept for a person.
const MOST: i64 = 2_000;
/// So many messages after a mark are looked at to count those that are unread.
pub const COUNTED: u32 = 100;

const MARK: &str = "SELECT epoch, read FROM room_reads WHERE person = $1 AND room = $2";
const RAISE: &str = "INSERT INTO room_reads (person, room, epoch, read, at, back) VALUES ($1, $2, $3, $4, $5, 0)
    ON CONFLICT (person, room) DO UPDATE SET epoch = excluded.epoch, read = excluded.read, at = excluded.at
    WHERE room_reads.back < excluded.at AND (room_reads.epoch <> excluded.epoch OR room_reads.read < excluded.read)";
const SET_BACK: &str = "INSERT INTO room_reads (person, room, epoch, read, at, back) VALUES ($1, $2, $3, $4, $5, $5)
    ON CONFLICT (person, room) DO UPDATE
    SET epoch = excluded.epoch, read = excluded.read, at = excluded.at, back = excluded.back";
const TRIM: &str = "DELETE FROM room_reads WHERE person = $1
    AND at < (SELECT at FROM room_reads WHERE person = $1 ORDER BY at DESC LIMIT 1 OFFSET $2)";
/// What is unread of the rooms that were read last, and of direct ones that were never opened; deleted messages have no text.
const UNREAD: &str = r#"SELECT mine.room, (SELECT count(*) FROM (SELECT m.author_id, m.text FROM messages AS m
            WHERE m.room_id = rooms.id AND m."offset" > mine.read ORDER BY m."offset" LIMIT $2) AS next
        WHERE next.author_id <> mine.person AND next.text <> '')
    FROM (SELECT person, room, epoch, read FROM room_reads WHERE person = $1
        UNION ALL SELECT m.person, m.room, '', 0 FROM room_members AS m JOIN room_records AS r ON r.room = m.room
            WHERE m.person = $1 AND r.kind = 'direct' AND r.deleted IS NULL
            AND NOT EXISTS (SELECT 1 FROM room_reads AS k WHERE k.person = m.person AND k.room = m.room)) AS mine
    JOIN rooms ON rooms.name = mine.room AND rooms.head > mine.read AND (rooms.epoch = mine.epoch OR mine.epoch = '')
    ORDER BY rooms.activity DESC LIMIT 200"#;

/// See the module.
pub struct Reads {
    records: Arc<dyn Records>,
    /// What is not written yet, of whom and which room.
    waiting: Mutex<HashMap<(String, Group), Mark>>,
}

/// Up to where somebody has read, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    up_to: Position,
    at: i64,
}

impl Mark {
    /// Whether it goes further than another one.
    fn is_news_to(&self, other: &Position) -> bool {
        self.up_to.epoch != other.epoch || self.up_to.offset > other.offset
    }
}

impl Reads {
    /// In these tables.
    pub(super) fn start(records: &Arc<dyn Records>) -> Arc<Self> {
        let reads = Arc::new(Self { records: Arc::clone(records), waiting: Mutex::default() });
        tokio::spawn(keep(Arc::downgrade(&reads)));
        reads
    }

    /// Somebody has read a room up to here. Where they set it `back`, what comes after it is unread again. Says whether it is news.
    ///
    /// # Errors
    /// It cannot be read or written now.
    pub(super) async fn mark(&self, person: &str, group: &Group, up_to: Position, back: bool) -> Result<bool, StoreError> {
        let (key, mark) = ((person.to_owned(), group.clone()), Mark { up_to, at: Timestamp::now().as_millis() });
        if back {
            self.waiting.lock().remove(&key);
            self.records.write_one(Statement::new(SET_BACK, mark.values(&key))).await?;
            return Ok(true);
        }
        let known = self.find(person, group).await?;
        let mut waiting = self.waiting.lock();
        // Another of their tabs may have come first.
        let known = waiting.get(&key).map(|mark| mark.up_to.clone()).or(known);
        let is_news = known.is_none_or(|known| mark.is_news_to(&known));
        if is_news {
            waiting.insert(key, mark);
        }
        Ok(is_news)
    }

    /// Up to where somebody has read a room; none where that is not known.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn find(&self, person: &str, group: &Group) -> Result<Option<Position>, StoreError> {
        if let Some(mark) = self.waiting.lock().get(&(person.to_owned(), group.clone())) {
            return Ok(Some(mark.up_to.clone()));
        }
        let rows = self.records.query(MARK, &[person.into(), group.as_str().into()]).await?;
        rows.first().map(position).transpose()
    }

    /// How many messages of others are unread in the rooms of somebody, where there are any: of a hundred that come next those that are not
    /// deleted.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub(super) async fn unread(&self, person: &str) -> Result<HashMap<Group, u32>, StoreError> {
        // What was just read counts.
        self.write_of(Some(person)).await?;
        let rows = self.records.query(UNREAD, &[person.into(), i64::from(COUNTED).into()]).await?;
        let count = |row: &Row| {
            let group: String = row.get(0)?;
            let group = group.parse().map_err(|_| StoreError::damage("a room has a name that none can have"))?;
            Ok((group, u32::try_from(row.get::<i64>(1)?).unwrap_or(COUNTED)))
        };
        let counts = rows.iter().map(count).collect::<Result<HashMap<_, _>, StoreError>>()?;
        Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// It cannot be written now; it waits on.
    pub async fn write(&self) -> Result<(), StoreError> {
        self.write_of(None).await
    }

    /// The same of one person, or of all.
    async fn write_of(&self, person: Option<&str>) -> Result<(), StoreError> {
        let marks: Vec<_> = {
            let mut waiting = self.waiting.lock();
            waiting.extract_if(|(whose, _), _| person.is_none_or(|person| person == whose)).collect()
        };
        if marks.is_empty() {
            return Ok(());
        }
        let people: BTreeSet<&str> = marks.iter().map(|((person, _), _)| person.as_str()).collect();
        let raise = marks.iter().map(|(key, mark)| Statement::new(RAISE, mark.values(key)));
        let trim = people.into_iter().map(|person| Statement::new(TRIM, [person.into(), MOST.into()]));
        let written = self.records.write(raise.chain(trim).collect()).await;
        if let Err(cause) = written {
            let mut waiting = self.waiting.lock();
            for (key, mark) in marks {
                // What has come meanwhile goes further.
                waiting.entry(key).or_insert(mark);
            }
            return Err(cause);
        }
        Ok(())
    }
}

impl Mark {
    fn values(&self, (person, group): &(String, Group)) -> [Value; 5] {
        let Position { epoch, offset } = &self.up_to;
        let read = i64::try_from(offset.0).unwrap_or(i64::MAX);
        [person.as_str().into(), group.as_str().into(), epoch.as_str().into(), read.into(), self.at.into()]
    }
}

fn position(row: &Row) -> Result<Position, StoreError> {
    let epoch: String = row.get(0)?;
    let epoch = epoch.parse().map_err(|_| StoreError::damage("a room was read in an epoch that none can be"))?;
    Ok(Position { epoch, offset: Offset(row.get::<i64>(1)?.unsigned_abs()) })
}

async fn keep(reads: Weak<Reads>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(reads) = reads.upgrade() else { return };
        if let Err(cause) = reads.write().await {
            // The store says in the log when its trouble begins and ends.
            debug!(%cause, "up to where people have read could not be written yet");
        }
    }
}
