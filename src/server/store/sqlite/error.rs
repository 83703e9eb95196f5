//! Why a folder's store cannot be opened.

use std::{fmt, io, path::PathBuf};

/// Why a folder's store cannot be opened. Nothing in it was changed.
#[derive(Debug)]
pub enum OpenError {
    /// The folder or a file in it cannot be made or opened.
    Folder { folder: PathBuf, cause: io::Error },
    /// Another server uses it.
    InUse { folder: PathBuf },
    /// The file is a database, though not one of Confab.
    Foreign { file: PathBuf },
    /// There is no database or an empty one, beside something that was made of one.
    Lost { file: PathBuf, beside: PathBuf },
    /// A later version of Confab has written it.
    Newer { file: PathBuf, found: i64, known: i64 },
    /// `SQLite` cannot read or prepare it: no database at all, a damaged one, no right to write, a full disk, ...
    Database { file: PathBuf, cause: rusqlite::Error },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { folder, cause } => write!(f, "the data folder {} cannot be used: {cause}", folder.display()),
            Self::InUse { folder } => {
                write!(f, "the data folder {} is in use by another server; stop it, or use another folder", folder.display())
            }
            Self::Foreign { file } => write!(f, "{} is a database of another program; it is left as it is", file.display()),
            Self::Lost { file, beside } => write!(
                f,
                "{} is missing or empty, though {} was made of it; put it back, or restore it from a copy; to begin anew, move both away",
                file.display(),
                beside.display()
            ),
            Self::Newer { file, found, known } => write!(
                f,
                "{} was written by a later version of Confab (schema {found}; this one knows up to {known}); it is left as it is",
                file.display()
            ),
            Self::Database { file, cause } => match cause.sqlite_error_code() {
                Some(rusqlite::ErrorCode::NotADatabase) => {
                    write!(f, "{} is not a SQLite database; it is left as it is", file.display())
                }
                Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
                    write!(f, "{} is damaged ({cause}); it is left as it is, restore it from a copy", file.display())
                }
                Some(rusqlite::ErrorCode::ReadOnly) => {
                    write!(f, "the database {} and its folder cannot be written: {cause}", file.display())
                }
                _ => write!(f, "the database {} cannot be opened: {cause}", file.display()),
            },
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { cause, .. } => Some(cause),
            Self::Database { cause, .. } => Some(cause),
            Self::InUse { .. } | Self::Foreign { .. } | Self::Lost { .. } | Self::Newer { .. } => None,
        }
    }
}
