//! Everything from one store to another: a folder's to a database, a database's to a folder, or to another of its kind.
//!
//! ```text
//!   the store, which nobody writes to ── parts of rows ──► one transaction in a database, or a file beside the one it becomes
//!                                                            └─ counted ──► committed, or renamed
//! ```
//!
//! Ids, offsets and epochs stay, and the seed from which further epochs follow: to whoever is connected the new store is the old one.
//! The index of words is not carried; the server makes it anew. What is transferred is read off the tables of this version's schema, so a
//! table that is added is carried too; a database with a table that this version does not know is refused.
//!
//! A transfer that does not come to its end leaves nothing in the other store, and is begun anew.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::mpsc;

use super::{
    import::{Brought, Import, ImportError},
    postgres,
    rows::{Progress, TransferError, way},
    sqlite,
};
use crate::{server::postgres_url::PostgresUrl, wire::Group};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the database of this folder.
    Folder(PathBuf),
    Postgres(PostgresUrl),
}

/// What was carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    pub rooms: u64,
    pub messages: u64,
    pub accounts: u64,
    /// Of all tables.
    pub rows: u64,
}

/// Carries everything from one store, which no server may be using, to another, which has to be empty. The former is brought to this
/// version's schema, as a server would on its start, and stays as it is otherwise.
///
/// # Errors
/// Why it cannot be, or was not; then the other store is as it was.
pub async fn transfer(from: &Place, to: &Place, progress: &Arc<Progress>) -> Result<Carried, TransferError> {
    if from == to {
        return Err(TransferError::Same);
    }
    let schema = Arc::new(sqlite::schema()?);
    let (sender, parts) = way();
    let reading = async {
        match from {
            Place::Folder(folder) => sqlite::read_all(folder, &schema, sender, progress).await,
            Place::Postgres(url) => postgres::read_all(url, &schema, sender, progress).await,
        }
    };
    let writing = async {
        match to {
            Place::Folder(folder) => sqlite::write_all(folder, &schema, parts, progress).await,
            Place::Postgres(url) => postgres::write_all(url, &schema, parts, progress).await,
        }
    };
    let counts = match tokio::join!(reading, writing) {
        (Ok(()), Ok(counts)) => counts,
        // Whichever failed of itself.
        (Err(TransferError::Interrupted) | Ok(()), Err(cause)) | (Err(cause), _) => return Err(cause),
    };
    let of =
        |name: &str| schema.tables.iter().zip(&counts).find(|(table, _)| table.name == name).map_or(0, |(_, count)| *count);
    Ok(Carried { rooms: of("rooms"), messages: of("messages"), accounts: of("accounts"), rows: counts.iter().sum() })
}

/// Puts messages into a room of a store that no server uses; a store that is not there yet is made.
///
/// # Errors
/// Why it cannot be, or was not; then the store is as it was.
pub async fn import(place: &Place, group: &Group, parts: mpsc::Receiver<Import>) -> Result<Brought, ImportError> {
    match place {
        Place::Folder(folder) => {
            let (folder, group) = (folder.clone(), group.clone());
            let written = tokio::task::spawn_blocking(move || sqlite::import(&folder, &group, parts));
            written.await.map_err(|cause| ImportError::Writing(cause.into()))?
        }
        Place::Postgres(url) => postgres::import(url, group, parts).await,
    }
}
