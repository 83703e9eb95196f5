//! Copies of a store: out of a folder whose server may be running, and back into a folder without a store.
//!
//! ```text
//!   confab.db ── VACUUM INTO ──► a temporary file beside the target ── check, sync ──► renamed, never over another file
//! ```
//!
//! `VACUUM INTO` reads in one transaction, so a copy is of one moment, with what is still in the log, and holds up no writer. A
//! copy that is put back goes on from an older head. It gets new epochs, for under the old ones the next messages would have the
//! places of those that were lost, and who had heard those would never ask for these. Nobody is signed in to it.

use std::{
    fs::File,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf, absolute},
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, ffi,
    types::{ToSqlOutput, ValueRef},
};
use tempfile::NamedTempFile;
use thiserror::Error;

use super::{
    error::OpenError,
    folder::{DATABASE, FolderLock},
    migrate, reader,
    still::Still,
};
use crate::{server::store::log::epoch::EpochSeed, wire::Group};

/// Somebody may have been signed out since, or a link used: in what is put back both would be alive again.
const SIGN_OUT: &str = "DELETE FROM sessions; DELETE FROM links";

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    pub rooms: u64,
    pub messages: u64,
    /// The size of the file.
    pub bytes: u64,
}

/// Why there is no copy. Nothing was overwritten, and nothing is left behind but perhaps an empty folder.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The store, or what should be one, cannot be used.
    #[error("{0}")]
    Store(#[from] OpenError),
    /// There is nothing to copy.
    #[error("there is no {file}")]
    Missing { file: PathBuf },
    /// There is something to copy, but it is empty.
    #[error("{file} is empty, there is no store in it")]
    Empty { file: PathBuf },
    /// A file is where the copy should be, or one that would be taken for a part of it.
    #[error("{file} is there already and is not overwritten; move it away first")]
    Occupied { file: PathBuf },
    /// A database of ours, but a damaged one; `fault` is what was found first.
    #[error("{file} is damaged: {fault}")]
    Damaged { file: PathBuf, fault: String },
    /// It could not be read, or the copy not be written; the disk may be full.
    #[error("{file} cannot be copied: {cause}")]
    Copying {
        file: PathBuf,
        #[source]
        cause: rusqlite::Error,
    },
    /// The file of the copy cannot be made.
    #[error("{file} cannot be written: {cause}")]
    Target {
        file: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Copies the store in `folder` to the new file `to`, readable for its owner alone. A server may be using the store meanwhile.
///
/// # Errors
/// There is no such store, or no copy could be made; then there is no file `to`, or the one that was there before.
pub fn backup(folder: &Path, to: &Path) -> Result<Holdings, CopyError> {
    let (from, to) = (full(&folder.join(DATABASE))?, full(to)?);
    check(&from)?;
    vacant(&to)?;
    let draft = Draft::copy(&from, to)?;
    draft.keep()
}

/// Puts the copy `from` into `folder`, which is made when missing and must have no store: brought to the newest schema, with a new epoch
/// for each room, and without the sessions and links that opened the server then.
///
/// # Errors
/// The copy is none or cannot be read, a server uses the folder, or a store is in it.
pub fn restore(from: &Path, folder: &Path) -> Result<Holdings, CopyError> {
    let (from, to) = (full(from)?, full(&folder.join(DATABASE))?);
    check(&from)?;
    read(&from).and_then(|still| sound(&still.connection, &from))?;
    let _lock = FolderLock::take(folder)?;
    // What another database has left there would be taken for the log of this one.
    for beside in ["", "-wal", "-journal"] {
        vacant(&folder.join(format!("{DATABASE}{beside}")))?;
    }
    let draft = Draft::copy(&from, to)?;
    draft.begin_anew().map_err(|cause| CopyError::Copying { file: from, cause })?;
    draft.keep()
}

/// A copy under a name that is no backup's; it goes when this is dropped.
pub(super) struct Draft {
    file: NamedTempFile,
    /// What it is to be called.
    to: PathBuf,
}

impl Draft {
    /// An empty one, beside `to`.
    pub(super) fn new(to: PathBuf) -> Result<Self, CopyError> {
        let folder = to.parent().unwrap_or(&to);
        let file = tempfile::Builder::new().prefix(".confab-").suffix(".part").tempfile_in(folder);
        match file {
            Ok(file) => Ok(Self { file, to }),
            Err(cause) => Err(CopyError::Target { file: to, cause }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Copies `from` to beside `to`.
    fn copy(from: &Path, to: PathBuf) -> Result<Self, CopyError> {
        let draft = Self::new(to)?;
        let still = read(from)?;
        // Paths need not be UTF-8, which `SQLite` does not look at.
        let path = ToSqlOutput::Borrowed(ValueRef::Text(draft.path().as_os_str().as_bytes()));
        still.connection.execute("VACUUM INTO ?1", [path]).map_err(|cause| match cause.sqlite_error() {
            Some(error) if is_of_writing(*error) => {
                CopyError::Target { file: draft.to.clone(), cause: io::Error::other(cause) }
            }
            _ => CopyError::Copying { file: from.to_owned(), cause },
        })?;
        Ok(draft)
    }

    /// Makes a store of it that goes on by itself.
    fn begin_anew(&self) -> rusqlite::Result<()> {
        let mut connection = Connection::open_with_flags(self.file.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // It is synced as a whole when it is done, and thrown away if it never is.
        connection.pragma_update(None, "journal_mode", "memory")?;
        connection.pragma_update(None, "synchronous", "off")?;
        migrate::to_newest(&mut connection)?;
        begin_new_epochs(&mut connection)?;
        connection.execute_batch(SIGN_OUT)?;
        connection.close().map_err(|(_, cause)| cause)
    }

    /// Checks it, sees to it that a power cut does not undo it, and gives it its name.
    pub(super) fn keep(self) -> Result<Holdings, CopyError> {
        check(self.file.path())?;
        let still = read(self.file.path())?;
        sound(&still.connection, self.file.path())?;
        let counted =
            still.connection.query_row("SELECT (SELECT count(*) FROM rooms), (SELECT count(*) FROM messages)", [], |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
            });
        drop(still);
        let Self { file, to } = self;
        let (rooms, messages) = counted.map_err(|cause| CopyError::Copying { file: to.clone(), cause })?;
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::AlreadyExists => CopyError::Occupied { file: to.clone() },
            _ => CopyError::Target { file: to.clone(), cause },
        };
        let bytes = file.as_file().sync_all().and_then(|()| file.as_file().metadata()).map_err(failed)?.len();
        file.persist_noclobber(&to).map_err(|refused| failed(refused.error))?;
        File::open(to.parent().unwrap_or(&to)).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(Holdings { rooms, messages, bytes })
    }
}

/// Gives every room another epoch, those too that have no message yet.
fn begin_new_epochs(connection: &mut Connection) -> rusqlite::Result<()> {
    let seed = EpochSeed::random();
    let transaction = connection.transaction()?;
    transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'seed'", [seed.as_bytes()])?;
    let rooms: Vec<(i64, Group)> = transaction
        .prepare("SELECT id, name FROM rooms")?
        .query_map([], |row| Ok((row.get(0)?, reader::name(row, 1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut save = transaction.prepare("UPDATE rooms SET epoch = ?2 WHERE id = ?1")?;
    for (id, group) in rooms {
        save.execute((id, seed.epoch_of(&group).as_str()))?;
    }
    drop(save);
    transaction.commit()
}

/// The whole path: to `SQLite`, `:memory:` or `file:...` are no files.
pub(super) fn full(file: &Path) -> Result<PathBuf, CopyError> {
    absolute(file).map_err(|cause| CopyError::Target { file: file.to_owned(), cause })
}

/// Whether there is a database of ours, and one that we know how to read.
pub(super) fn check(file: &Path) -> Result<(), CopyError> {
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(CopyError::Missing { file: file.to_owned() }),
        Err(cause) => return Err(OpenError::Folder { folder: file.to_owned(), cause }.into()),
    }
    match migrate::check(file)? {
        0 => Err(CopyError::Empty { file: file.to_owned() }),
        _ => Ok(()),
    }
}

pub(super) fn vacant(file: &Path) -> Result<(), CopyError> {
    match file.symlink_metadata() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(CopyError::Target { file: file.to_owned(), cause }),
        Ok(_) => Err(CopyError::Occupied { file: file.to_owned() }),
    }
}

fn read(file: &Path) -> Result<Still, CopyError> {
    Still::open(file).map_err(|cause| OpenError::Database { file: file.to_owned(), cause }.into())
}

/// Whether it is the copy that could not be written: of what is read nothing is written but the index of its log.
fn is_of_writing(error: ffi::Error) -> bool {
    error.code == ErrorCode::DiskFull
        || matches!(
            error.extended_code,
            ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_TRUNCATE | ffi::SQLITE_IOERR_DIR_FSYNC
        )
}

fn sound(connection: &Connection, file: &Path) -> Result<(), CopyError> {
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    let fault = match found {
        Ok(found) if found == "ok" => return Ok(()),
        Ok(fault) => fault,
        Err(cause) => cause.to_string(),
    };
    Err(CopyError::Damaged { file: file.to_owned(), fault })
}
