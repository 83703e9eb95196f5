//! The embedded store: one `SQLite` database in a folder of its own.
//!
//! An append goes down a queue to the one [writer](writer) thread, which commits what has gathered there in one transaction: while it
//! waits for the disk the next [batch](super::log::batch) gathers. Pages are [read](reader) over connections of their own, which
//! write-ahead logging lets see the last commit while the next is being written. What is in the log goes into the database
//! [beside](checkpoint) all this. The
//! index of words, in which is [searched](search), follows the commits; nobody waits for it.
//!
//! All connections share what is known of the database's [condition]: damage, and files that are not in their place any more.
//!
//! The folder holds `confab.db` with its log, `search.db`, which can be made again from it, and `confab.lock`, which the server
//! that uses the [folder] keeps locked. A
//! [copy] of it can be made meanwhile.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, MAIN_DB, OpenFlags, ffi};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::{
    condition::{Condition, beside},
    folder::{DATABASE, FolderLock},
    reader::Readers,
    search::{INDEX, Indexer, Searcher},
    writer::Writer,
};
use crate::{
    server::{
        search::{Found, Query},
        store::{
            error::{StoreError, Trouble},
            log::{
                Appended, Bounds, ChangeError, Commits, Extent, Listed, Log, Missed, NewChange, NewMessage, Page, Slice,
                Within,
                epoch::EpochSeed,
                queue::{Intake, Job, Outbox, Work},
            },
            records::{Records, Results, Row, Statement, Value},
            search::Search,
        },
    },
    wire::{Group, Offset},
};

mod bell;
mod beside;
mod checkpoint;
mod condition;
mod copy;
mod error;
mod folder;
mod import;
mod migrate;
mod reader;
mod records;
mod search;
mod still;
mod transfer;
mod writer;

pub use beside::Beside;
pub use copy::{CopyError, Holdings, backup, restore};
pub use error::OpenError;
pub(super) use import::import;
pub(super) use transfer::{read_all, schema, write_all};

/// What the writer keeps in memory of the pages that it has used, in KiB.
const WRITER_CACHE_KIB: i64 = 16 << 10;
/// So many pages are read at a time.
const READS: u32 = 4;

/// What an acknowledged message survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A power cut: each commit waits until the disk has it.
    #[default]
    Power,
    /// The end of the process, however sudden. What the operating system had not written is lost with it.
    Process,
}

/// A [`Log`] in a folder of this machine, with its index of words, and plain tables. It keeps every message.
///
/// [Close](Log::close) it to end well. Dropping it does the same and blocks its thread meanwhile.
#[derive(Debug)]
pub struct SqliteStore {
    intake: Intake,
    readers: Readers,
    searcher: Searcher,
    condition: Condition,
    /// None when closed.
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    queue: mpsc::UnboundedSender<Job>,
    writer: JoinHandle<()>,
    indexer: Indexer,
    /// Held until nothing of this process touches the folder any more.
    lock: FolderLock,
}

impl Running {
    /// Lets the writer commit what it was given and waits for its end.
    fn finish(self) {
        // Before the writer's end, which leaves everything in one file where nobody else has it open.
        self.indexer.finish();
        drop(self.queue);
        if self.writer.join().is_err() {
            tracing::error!("the writer of the store has panicked");
        }
        drop(self.lock);
    }
}

impl SqliteStore {
    /// Looks whether no server has the folder, which is made when missing.
    ///
    /// # Errors
    /// One has it, or it cannot be used.
    pub fn is_free(folder: &Path) -> Result<(), OpenError> {
        FolderLock::take(folder).map(drop)
    }

    /// Opens the store in `folder`, which is made when missing, readable for its owner alone; returns it and the end on
    /// which its commits arrive.
    ///
    /// # Errors
    /// Why the folder or the database in it cannot be used; both are left as they are.
    pub fn open(folder: &Path, durability: Durability) -> Result<(Self, Commits), OpenError> {
        let in_folder = |cause| OpenError::Folder { folder: folder.to_owned(), cause };
        let lock = FolderLock::take(folder)?;
        let file = database(folder)?;
        let (outbox, commits) = Outbox::new();
        let (mut writer, seed, condition) =
            prepare(&file, durability, outbox).map_err(|cause| OpenError::Database { file: file.clone(), cause })?;
        let indexer = Indexer::start(folder, seed.clone(), condition.clone()).map_err(in_folder)?;
        writer.rings(indexer.bell.clone());
        let searcher = Searcher::new(indexer.shared(), indexer.bell.clone(), condition.clone());
        let (queue, jobs) = mpsc::unbounded_channel();
        let writer =
            thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run(jobs)).map_err(in_folder)?;
        let intake = Intake::new(&queue);
        let running = Mutex::new(Some(Running { queue, writer, indexer, lock }));
        let readers = Readers::new(file, None, seed, condition.clone(), READS);
        Ok((Self { intake, readers, searcher, condition, running }, commits))
    }
}

#[async_trait]
impl Log for SqliteStore {
    async fn append(&self, message: NewMessage) -> Result<Appended, StoreError> {
        Ok(self.intake.write(Work::Message(message)).await?)
    }

    async fn change(&self, change: NewChange) -> Result<Appended, ChangeError> {
        self.intake.write(Work::Change(change)).await
    }

    async fn read(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Result<Page, StoreError> {
        let group = group.clone();
        self.readers.run(move |connection, known| reader::page(connection, known, &group, slice, count, bytes)).await
    }

    async fn entries(&self, group: &Group, after: Offset, count: usize, bytes: usize) -> Result<Missed, StoreError> {
        let group = group.clone();
        self.readers.run(move |connection, known| reader::entries(connection, known, &group, after, count, bytes)).await
    }

    fn records(&self) -> Option<&dyn Records> {
        Some(self)
    }

    async fn list(&self, within: &Within, before: Option<u64>, count: usize) -> Result<Listed, StoreError> {
        let within = within.clone();
        self.readers.run(move |connection, known| reader::list(connection, &known.condition, &within, before, count)).await
    }

    async fn groups(&self, after: Option<&Group>, count: usize) -> Result<Vec<Extent>, StoreError> {
        let after = after.cloned();
        self.readers.run(move |connection, _| reader::groups(connection, after.as_ref(), count)).await
    }

    async fn forget(&self, group: &Group, bounds: Bounds) -> Result<bool, StoreError> {
        let indexed = self.searcher.indexed(group).await;
        let room = group.clone();
        let kept = self.readers.run(move |connection, _| reader::kept(connection, &room, bounds, indexed)).await?;
        let Some(kept) = kept else { return Ok(false) };
        let mut dropped = false;
        loop {
            let room = group.clone();
            let next = self.readers.run(move |connection, _| reader::next_beginning(connection, &room, &kept)).await?;
            let Some(next) = next else { return Ok(dropped) };
            self.intake.write(Work::Forget(group.clone(), next)).await?;
            dropped = true;
        }
    }

    async fn trouble(&self) -> Option<(Trouble, StoreError)> {
        if let Some(damage) = self.condition.damage() {
            return Some((Trouble::Damaged, StoreError::damage(damage)));
        }
        if let Err(displaced) = self.condition.in_place() {
            return Some((Trouble::Displaced, StoreError::unavailable(displaced)));
        }
        let cause = self.rooms(1).await.err()?;
        Some((if cause.is_damage() { Trouble::Damaged } else { Trouble::Unreadable }, cause))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.searcher.close().await;
        let running = self.running.lock().take();
        if let Some(running) = running {
            // A panic of the writer is logged where it is joined.
            let _ = tokio::task::spawn_blocking(|| running.finish()).await;
        }
    }
}

#[async_trait]
impl Records for SqliteStore {
    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let values = values.to_vec();
        self.readers.run(move |connection, _| Ok(records::run(connection, sql, &values)?.rows)).await
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<Results, StoreError> {
        self.intake.write_records(statements).await
    }
}

#[async_trait]
impl Search for SqliteStore {
    async fn search(&self, query: &Query, within: &Within, count: usize) -> Result<Found, StoreError> {
        self.searcher.search(query, within, count).await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut().take() {
            running.finish();
        }
    }
}

/// The database in a folder of which the caller has the lock; an empty file where there is none yet.
fn database(folder: &Path) -> Result<PathBuf, OpenError> {
    let in_folder = |cause| OpenError::Folder { folder: folder.to_owned(), cause };
    let file = folder.join(DATABASE);
    let exists = file.try_exists().map_err(in_folder)?;
    if !exists || migrate::check(&file)? == 0 {
        lost(&file).map_err(in_folder)?.map_or(Ok(()), Err)?;
    }
    if !exists {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(in_folder)?;
    }
    Ok(file)
}

/// A folder without a database that has what only a database leaves behind: it is not taken for a new one.
fn lost(file: &Path) -> io::Result<Option<OpenError>> {
    let left = [beside(file, "-wal"), beside(file, "-journal"), file.with_file_name(INDEX)];
    for beside in left {
        match fs::metadata(&beside) {
            Ok(there) if there.is_file() && there.len() > 0 => {
                return Ok(Some(OpenError::Lost { file: file.to_owned(), beside }));
            }
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
    }
    Ok(None)
}

/// Brings the database to the newest schema and makes ready to write.
fn prepare(file: &Path, durability: Durability, outbox: Outbox) -> rusqlite::Result<(Writer, EpochSeed, Condition)> {
    let mut connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE, durability)?;
    migrate::to_newest(&mut connection)?;
    let seed = connection.query_row("SELECT value FROM meta WHERE key = 'seed'", [], |row| row.get(0))?;
    let seed = EpochSeed::from_bytes(seed);
    let copier = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE, durability)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // It has read the database, so the log is there.
    let condition = Condition::of(file).map_err(|cause| {
        let error = ffi::Error::new(ffi::SQLITE_CANTOPEN);
        rusqlite::Error::SqliteFailure(error, Some(cause.to_string()))
    })?;
    Ok((Writer::new(connection, copier, seed.clone(), condition.clone(), outbox)?, seed, condition))
}

/// A connection of ours that can write. Nobody else should hold a lock; a person looking at the file is waited for.
fn connect(file: &Path, access: OpenFlags, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Where it may not write, SQLite opens the file for reading and says so only when a message is to be stored.
    if connection.is_readonly(MAIN_DB)? {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), None));
    }
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let synchronous = match durability {
        Durability::Power => "full",
        Durability::Process => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // What was deleted is not to be found in the file: it is overwritten with zeros, which costs a message nothing.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", checkpoint::LOG_FILE_BYTES)?;
    Ok(connection)
}
