//! Durable data.
//!
//! ```text
//!   log     rooms and their messages: streams that are appended to, read and followed
//!   records plain tables
//!   search  messages by their words, in an index that follows the log
//! ```
//!
//! Neither knows the other. `sqlite` and `postgres` are databases that have both, `memory` has the log for as long as the process lasts.

pub use super::postgres_url::PostgresUrl;

mod error;
mod import;
mod log;
mod memory;
mod postgres;
mod records;
mod rows;
mod search;
mod sqlite;
mod transfer;

pub use error::{StoreError, Trouble};
pub use import::{Brought, Import, ImportError, Imported};
pub use log::{
    Appended, Bounds, ChangeError, Commits, Committed, Entry, Extent, Listed, ListedRoom, Log, Missed, Moved, NewChange,
    NewMessage, Page, Refused, Rule, Slice, Watch, What, Within, bytes_as_sent, cut_down,
};
pub use memory::MemoryStore;
pub use postgres::{OpenError as PostgresOpenError, PostgresStore};
pub use records::{FromValue, Records, Results, Row, Statement, Value, Written};
pub use rows::{Progress, TransferError};
pub use search::Search;
pub use sqlite::{Beside, CopyError, Durability, Holdings, OpenError, SqliteStore, backup, restore};
pub use transfer::{Carried, Place, import, transfer};
