//! The store that several nodes share: a PostgreSQL database.
//!
//! Messages and changes go down a queue to the one [writer] task of this node, which [appends](append) what has gathered there in one
//! transaction of one round trip, or two where messages are changed. Nodes that write to the same room take turns by the lock of
//! its row, so its offsets rise without a gap
//! whoever writes. Pages are [read](reader) over connections of their own.
//!
//! A node hears of its own commits by [`Commits`], of the others' by the channel layer; and whatever was lost on the way there, or
//! died with the node that had committed it, by the [watch](reader::HeadWatch), which asks the database.
//!
//! The index of words, in which is [searched](search), follows the commits; nobody waits for it.

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::JoinHandle};

use self::{
    pool::{Connections, Purpose},
    reader::Readers,
    search::{Indexer, Searcher},
    writer::Writer,
};
use crate::{
    server::{
        postgres_url::PostgresUrl,
        search::{Found, Query},
        store::{
            error::StoreError,
            log::{
                Appended, Bounds, ChangeError, Commits, Extent, Listed, Log, Missed, NewChange, NewMessage, Page, Slice, Watch,
                Within,
                queue::{Intake, Job, Outbox, Work},
            },
            records::{Records, Results, Row, Statement, Value},
            search::Search,
        },
    },
    wire::{Group, Offset},
};

mod append;
mod error;
mod import;
mod migrate;
mod pool;
mod reader;
mod records;
mod search;
mod text;
mod transfer;
mod writer;

pub use error::OpenError;
pub(super) use import::import;
pub(super) use transfer::{read_all, write_all};

/// A [`Log`] in a database that other nodes may use too. It keeps every message.
///
/// [Close](Log::close) it to end well; dropped, it lets its writer finish on its own.
#[derive(Debug)]
pub struct PostgresStore {
    intake: Intake,
    readers: Readers,
    searcher: Searcher,
    /// None when closed.
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    queue: mpsc::UnboundedSender<Job>,
    writer: JoinHandle<()>,
    indexer: Indexer,
}

impl PostgresStore {
    /// Connects, brings the schema to this version's, and returns the store and the end on which this node's commits arrive.
    ///
    /// With `durable`, a commit waits until the disk has it, also where the server's settings say otherwise.
    ///
    /// # Errors
    /// Why the database cannot be used.
    pub async fn open(url: &PostgresUrl, durable: bool) -> Result<(Self, Commits), OpenError> {
        let connections = Connections::new(url, Purpose::Writing { durable }, 1)?;
        let seed = {
            let mut client = connections.get().await.map_err(|StoreError::Unavailable(cause)| OpenError::Unreachable(cause))?;
            migrate::to_newest(&mut client).await?
        };
        let (outbox, commits) = Outbox::new();
        let (queue, jobs) = mpsc::unbounded_channel();
        let (readers, searcher) = (Readers::new(url, seed.clone())?, Searcher::new(url)?);
        let indexer = Indexer::start(url, &readers)?;
        let writer = tokio::spawn(Writer::new(connections, seed, outbox, indexer.news()).run(jobs));
        let intake = Intake::new(&queue);
        let running = Mutex::new(Some(Running { queue, writer, indexer }));
        Ok((Self { intake, readers, searcher, running }, commits))
    }
}

#[async_trait]
impl Log for PostgresStore {
    async fn append(&self, message: NewMessage) -> Result<Appended, StoreError> {
        Ok(self.intake.write(Work::Message(message)).await?)
    }

    async fn change(&self, change: NewChange) -> Result<Appended, ChangeError> {
        self.intake.write(Work::Change(change)).await
    }

    async fn read(&self, group: &Group, slice: Slice, count: usize, bytes: usize) -> Result<Page, StoreError> {
        self.readers.page(group, slice, count, bytes).await
    }

    async fn entries(&self, group: &Group, after: Offset, count: usize, bytes: usize) -> Result<Missed, StoreError> {
        self.readers.entries(group, after, count, bytes).await
    }

    fn records(&self) -> Option<&dyn Records> {
        Some(self)
    }

    async fn list(&self, within: &Within, before: Option<u64>, count: usize) -> Result<Listed, StoreError> {
        self.readers.list(within, before, count).await
    }

    async fn groups(&self, after: Option<&Group>, count: usize) -> Result<Vec<Extent>, StoreError> {
        self.readers.groups(after, count).await
    }

    async fn forget(&self, group: &Group, bounds: Bounds) -> Result<bool, StoreError> {
        let Some(kept) = self.readers.kept(group, bounds).await? else { return Ok(false) };
        let mut dropped = false;
        while let Some(next) = self.readers.next_beginning(group, &kept).await? {
            self.intake.write(Work::Forget(group.clone(), next)).await?;
            dropped = true;
        }
        Ok(dropped)
    }

    fn watch(&self) -> Option<Box<dyn Watch>> {
        Some(Box::new(self.readers.watch()))
    }

    async fn close(&self) {
        self.readers.close();
        self.searcher.close();
        let running = self.running.lock().take();
        if let Some(Running { queue, writer, indexer }) = running {
            indexer.finish().await;
            drop(queue);
            if writer.await.is_err() {
                tracing::error!("the writer of the store has panicked");
            }
        }
    }
}

#[async_trait]
impl Records for PostgresStore {
    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.readers.records(sql, values).await
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<Results, StoreError> {
        self.intake.write_records(statements).await
    }
}

#[async_trait]
impl Search for PostgresStore {
    async fn search(&self, query: &Query, within: &Within, count: usize) -> Result<Found, StoreError> {
        self.searcher.search(query, within, count).await
    }
}
