//! Why a folder's store cannot be opened.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why a folder's store cannot be opened. Nothing in it was changed.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be made or opened.
    #[error("the data folder {folder} cannot be used: {cause}")]
    Folder {
        folder: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// Another server uses it.
    #[error("the data folder {folder} is in use by another server; stop it, or use another folder")]
    InUse { folder: PathBuf },
    /// The file is a database, though not one of Confab.
    #[error("{file} is a database of another program; it is left as it is")]
    Foreign { file: PathBuf },
    /// There is no database or an empty one, beside something that was made of one.
    #[error(
        "{file} is missing or empty, though {beside} was made of it; put it back, or restore it from a copy; to begin anew, move \
        both away"
    )]
    Lost { file: PathBuf, beside: PathBuf },
    /// A later version of Confab has written it.
    #[error(
        "{file} was written by a later version of Confab (schema {found}; this one knows up to {known}); it is left as it is"
    )]
    Newer { file: PathBuf, found: i64, known: i64 },
    /// `SQLite` cannot read or prepare it: no database at all, a damaged one, no right to write, a full disk, ...
    #[error("{}", found(file, cause))]
    Database {
        file: PathBuf,
        #[source]
        cause: rusqlite::Error,
    },
}

/// What `SQLite` found, in words about the file.
fn found(file: &Path, cause: &rusqlite::Error) -> String {
    let file = file.display();
    match cause.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => format!("{file} is not a SQLite database; it is left as it is"),
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            format!("{file} is damaged ({cause}); it is left as it is, restore it from a copy")
        }
        Some(rusqlite::ErrorCode::ReadOnly) => format!("the database {file} and its folder cannot be written: {cause}"),
        _ => format!("the database {file} cannot be opened: {cause}"),
    }
}
