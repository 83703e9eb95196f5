//! Reading a database beside whatever else is done with it, also where nothing may be written.
//!
//! With a write-ahead log a reader needs to write too, into the index of the log. Where there is neither a log nor the right to write, the
//! file is all there is and does not change: `SQLite` is told so, and the folder's lock is held meanwhile, so that no server begins to
//! write.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{condition::beside, folder::LOCK};

/// A connection that reads, and what has to last as long as it does.
pub(super) struct Still {
    pub(super) connection: Connection,
    _kept: Option<Kept>,
}

impl Still {
    pub(super) fn open(file: &Path) -> rusqlite::Result<Self> {
        let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(file, access).and_then(usable);
        match opened {
            Ok(connection) => Ok(Self { connection, _kept: None }),
            Err(cause) if matches!(cause.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) => {
                let Some(kept) = nobody_writes(file) else { return Err(cause) };
                let connection = Connection::open_with_flags(unchanging(file), access | OpenFlags::SQLITE_OPEN_URI)?;
                Ok(Self { connection: usable(connection)?, _kept: Some(kept) })
            }
            Err(cause) => Err(cause),
        }
    }
}

/// Only by reading it turns out whether it can be read.
fn usable(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// What tells servers that somebody reads here.
enum Kept {
    Away(#[expect(dead_code, reason = "held, not looked at")] File),
    /// No server was ever there.
    NeverThere,
}

/// Where there is no log and no server that could begin one: what keeps servers away.
fn nobody_writes(file: &Path) -> Option<Kept> {
    let absent = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
    for log in [beside(file, "-wal"), beside(file, "-journal")] {
        match fs::metadata(log) {
            Ok(log) if log.len() == 0 => {}
            Err(cause) if absent(&cause) => {}
            _ => return None,
        }
    }
    match File::open(file.with_file_name(LOCK)) {
        Err(cause) if absent(&cause) => Some(Kept::NeverThere),
        Err(_) => None,
        Ok(lock) => match lock.try_lock_shared() {
            Ok(()) => Some(Kept::Away(lock)),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
        },
    }
}

/// The address by which `SQLite` takes a file for one that nobody changes.
fn unchanging(file: &Path) -> String {
    let encoded = |byte: &u8| match byte {
        b'/' | b'-' | b'_' | b'.' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let path: String = file.as_os_str().as_bytes().iter().map(encoded).collect();
    format!("file:{path}?immutable=1")
}
