//! What goes from one database to another when everything is [transferred](super::transfer): rows of tables, in parts of a bounded size.

use std::{collections::BTreeMap, error::Error, sync::atomic::AtomicU64};

use thiserror::Error;
use tokio::sync::mpsc;

use super::records::Value;
use crate::server::postgres_url::PostgresUrl;

/// What a server writes when it starts for the first time and is used by nobody: the link by which the first administrator would make
/// their account. Where a store has nothing else it is as good as empty.
pub(super) const FORGET_FIRST_START: &str = "DELETE FROM links WHERE purpose = 'setup' AND account_id IS NULL";

/// A part has so many rows at most,
const PART_ROWS: usize = 500;
/// and no further one when it has so many bytes.
const PART_BYTES: usize = 256 << 10;
/// So many parts are on their way at most.
const PARTS: usize = 4;

/// How far it is, in rows of all tables.
#[derive(Debug, Default)]
pub struct Progress {
    /// 0 until they are counted.
    pub total: AtomicU64,
    pub done: AtomicU64,
}

/// Why nothing was transferred. The store that it was to go to is as it was.
#[derive(Debug, Error)]
pub enum TransferError {
    #[error("everything is there already; name another store")]
    Same,
    /// A folder, or the database in it, cannot be used.
    #[error("{0}")]
    Folder(Box<dyn Error + Send + Sync>),
    #[error("the database {url} cannot be used: {cause}")]
    Database { url: PostgresUrl, cause: Box<dyn Error + Send + Sync> },
    #[error("a server uses the database {url}, or another transfer does; stop all that do, and begin anew")]
    InUse { url: PostgresUrl },
    #[error(
        "the database {url} is not empty: there are rows in {table}; use another database, or drop the schema `confab` there if \
         nobody needs it"
    )]
    Occupied { url: PostgresUrl, table: String },
    /// Something was added to a database by hand.
    #[error("{what} is not as in this version's schema, and so cannot be carried")]
    Unknown { what: String },
    #[error("{table} cannot be read: {cause}")]
    Reading { table: String, cause: Box<dyn Error + Send + Sync> },
    #[error("{table} cannot be written: {cause}")]
    Writing { table: String, cause: Box<dyn Error + Send + Sync> },
    /// What was read and what is there are not the same.
    #[error("{table}: {read} rows were read, and {written} are there")]
    Count { table: String, read: u64, written: u64 },
    /// The other end has failed.
    #[error("it was interrupted")]
    Interrupted,
}

/// Why nobody else can be kept away from a database.
#[derive(Debug, Error)]
pub(super) enum NotAlone {
    #[error("a server uses the database {url}, or another command does; stop all that do, and begin anew")]
    InUse { url: PostgresUrl },
    #[error("the database {url} cannot be used: {cause}")]
    Unusable { url: PostgresUrl, cause: Box<dyn Error + Send + Sync> },
}

impl From<NotAlone> for TransferError {
    fn from(cause: NotAlone) -> Self {
        match cause {
            NotAlone::InUse { url } => Self::InUse { url },
            NotAlone::Unusable { url, cause } => Self::Database { url, cause },
        }
    }
}

/// A table as both databases have it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// A fresh store has rows in it, in whose place those of the other store come.
    pub(super) begins_with_rows: bool,
}

/// The tables of this version that both databases have, each after those that it refers to.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) tables: Vec<Table>,
}

impl Schema {
    /// Whether a database has these tables with these columns, in whatever order, and no others.
    pub(super) fn is_that_of(&self, found: impl IntoIterator<Item = (String, Vec<String>)>) -> Result<(), TransferError> {
        let mut known: BTreeMap<&str, &Table> = self.tables.iter().map(|table| (table.name.as_str(), table)).collect();
        for (name, mut columns) in found {
            let mut wanted = known.remove(name.as_str()).map_or_else(Vec::new, |table| table.columns.clone());
            wanted.sort();
            columns.sort();
            if wanted != columns {
                return Err(TransferError::Unknown { what: format!("the table {name}") });
            }
        }
        match known.pop_first() {
            None => Ok(()),
            Some((name, _)) => Err(TransferError::Unknown { what: format!("the missing table {name}") }),
        }
    }
}

impl Table {
    /// Holds what is there to what was read.
    pub(super) fn has_all(&self, read: u64, written: u64) -> Result<(), TransferError> {
        if read == written { Ok(()) } else { Err(TransferError::Count { table: self.name.clone(), read, written }) }
    }

    /// The names of its columns, for a statement. Of the names in our schema none has a quote.
    pub(super) fn columns(&self) -> String {
        format!("\"{}\"", self.columns.join("\", \""))
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

/// What is read of one store and written to the other.
pub(super) enum Part {
    /// What the epochs of rooms follow from that have no message yet.
    Seed(Vec<u8>),
    /// Rows of the table with this number, the values in the order of its columns. Those of a table come one after the other.
    Rows(usize, Vec<Vec<Value>>),
    /// That was all.
    End,
}

pub(super) type Parts = mpsc::Receiver<Part>;

pub(super) fn way() -> (mpsc::Sender<Part>, Parts) {
    mpsc::channel(PARTS)
}

/// Gathers the rows of a table to parts.
pub(super) struct Gathering {
    table: usize,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Gathering {
    pub(super) fn of(table: usize) -> Self {
        Self { table, rows: Vec::new(), bytes: 0 }
    }

    /// Adds a row; gives the part that is full with it.
    pub(super) fn add(&mut self, row: Vec<Value>) -> Option<Part> {
        self.bytes += row.iter().map(Value::bytes).sum::<usize>();
        self.rows.push(row);
        (self.rows.len() >= PART_ROWS || self.bytes >= PART_BYTES).then(|| self.take())
    }

    /// What is left.
    pub(super) fn rest(mut self) -> Option<Part> {
        (!self.rows.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Part {
        self.bytes = 0;
        Part::Rows(self.table, std::mem::take(&mut self.rows))
    }
}
