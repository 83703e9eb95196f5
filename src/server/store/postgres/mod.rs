//! The store that several nodes share: a PostgreSQL database.
//!
//! Messages and changes go down a queue to the one [writer] task of this node, which [appends](append) what has gathered there in one
//! transaction of one round trip, or two where messages are changed. Nodes that write to the same room take turns by the lock of its row, so its offsets rise without a gap
//! whoever writes. Pages are [read](reader) over connections of their own.
//!
//! A node hears of its own commits by [`Commits`], of the others' by the channel layer; and whatever was lost on the way there, or
//! died with the node that had committed it, by the [watch](reader::HeadWatch), which asks the database.
//!
//! The index of words, in which is [searched](searcher), [follows](indexer) the commits; nobody waits for it.

use std::fmt;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::JoinHandle};

use self::{
    indexer::Indexer,
    pool::{Connections, Purpose},
    reader::Readers,
    searcher::Searcher,
    writer::Writer,
};
use super::{
    Appended, Bounds, ChangeError, Commits, Extent, Found, Listed, Missed, NewChange, NewMessage, Page, Query, Slice, Store,
    StoreError, Watch, Within,
    batch::{Job, Work},
    commits::Outbox,
    intake::Intake,
};
use crate::wire::{Emoji, Group, Offset};

mod append;
mod indexer;
mod migrate;
mod pool;
mod reader;
mod searcher;
mod text;
mod url;
mod writer;

pub use url::PostgresUrl;

/// Why the database cannot be used. Nothing in it was changed.
#[derive(Debug)]
pub enum OpenError {
    /// The certificates that the server's is to be checked against.
    Certificates(String),
    /// No connection came about.
    Unreachable(StoreError),
    /// Its texts are not in UTF-8.
    Encoding(String),
    /// Another program's schema has our name.
    Foreign,
    /// A later version of Confab has written it.
    Newer { found: i32, known: i32 },
    /// It takes no writes: a standby, or set so.
    ReadOnly,
    /// It refuses what is asked: no right to make the schema, read-only, ...
    Database(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(cause: tokio_postgres::Error) -> Self {
        Self::Database(cause)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificates(cause) => f.write_str(cause),
            Self::Unreachable(StoreError::Unavailable(cause)) => write!(f, "it cannot be reached: {cause}"),
            Self::Encoding(encoding) => {
                write!(
                    f,
                    "its encoding is {encoding}; make a database with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
                )
            }
            Self::ReadOnly => f.write_str("it is read-only; with several hosts, add target_session_attrs=read-write"),
            Self::Foreign => {
                f.write_str("it has a schema `confab` that is not Confab's; it is left as it is, use another database")
            }
            Self::Newer { found, known } => write!(
                f,
                "it was written by a later version of Confab (schema {found}; this one knows up to {known}); it is left as it is"
            ),
            Self::Database(cause) => f.write_str(&with_causes(cause)),
        }
    }
}

impl std::error::Error for OpenError {}

/// An error and what led to it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// A [`Store`] in a database that other nodes may use too. It keeps every message.
///
/// [Close](Store::close) it to end well; dropped, it lets its writer finish on its own.
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
            let mut client = connections.get().await.map_err(OpenError::Unreachable)?;
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
impl Store for PostgresStore {
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

    async fn reacted(&self, group: &Group, person: &str, messages: &[Offset]) -> Result<Vec<(Offset, Vec<Emoji>)>, StoreError> {
        self.readers.reacted(group, person, messages).await
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

    async fn search(&self, query: &Query, within: &Within, count: usize) -> Result<Found, StoreError> {
        self.searcher.search(query, within, count).await
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
