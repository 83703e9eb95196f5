//! Whether the database is whole, and still in its place.
//!
//! Who has a file open goes on writing into it when somebody deletes it or puts another in its place, and all of that is gone when it is
//! closed. So the writer looks before each commit and after it, and so does whoever opens the database anew. Damage to a part of it
//! shows only to who reads that part; it is noted here by whoever meets it, and stays.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rusqlite::{ErrorCode, ffi};

use crate::server::store::log::passed::PassedOver;

/// What all connections to the database know of it.
#[derive(Clone, Debug)]
pub(super) struct Condition(Arc<State>);

#[derive(Debug)]
struct State {
    /// The database and its log.
    files: [OpenFile; 2],
    /// What was found first of damage.
    damage: OnceLock<String>,
    passed_over: PassedOver,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    identity: Identity,
}

/// The file system and the number of the file on it.
type Identity = (u64, u64);

/// A file is not where it was opened.
#[derive(Debug)]
pub(super) struct Displaced {
    path: PathBuf,
    /// None where another is in its place.
    cause: Option<io::Error>,
}

impl fmt::Display for Displaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            None => write!(f, "{path} was replaced while the server uses it")?,
            Some(cause) if cause.kind() == io::ErrorKind::NotFound => write!(f, "{path} was deleted while the server uses it")?,
            Some(cause) => return write!(f, "{path} cannot be looked at: {cause}"),
        }
        f.write_str("; nothing is stored until it is put back, or the server is stopped and started with a copy of it")
    }
}

impl std::error::Error for Displaced {}

impl From<Displaced> for rusqlite::Error {
    fn from(displaced: Displaced) -> Self {
        Self::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(displaced.to_string()))
    }
}

impl Condition {
    /// Of a database that a connection has open and has read: then its log is there too.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        let file = |path: PathBuf| Ok::<_, io::Error>(OpenFile { identity: identity(&path)?, path });
        let files = [file(database.to_owned())?, file(beside(database, "-wal"))?];
        Ok(Self(Arc::new(State { files, damage: OnceLock::new(), passed_over: PassedOver::default() })))
    }

    /// # Errors
    /// One of the files was deleted or replaced.
    pub(super) fn in_place(&self) -> Result<(), Displaced> {
        for OpenFile { path, identity: opened } in &self.0.files {
            let cause = match identity(path) {
                Ok(found) if found == *opened => continue,
                Ok(_) => None,
                Err(cause) => Some(cause),
            };
            return Err(Displaced { path: path.clone(), cause });
        }
        Ok(())
    }

    /// Notes an error that tells of damage; the first one goes to the log.
    pub(super) fn note(&self, cause: &rusqlite::Error) {
        if is_damage(cause) && self.0.damage.set(cause.to_string()).is_ok() {
            let file = self.0.files[0].path.display();
            tracing::error!(%file, %cause, "the database is damaged; stop the server and restore it from a copy");
        }
    }

    /// Notes what is wrong with a part of a room that is passed over.
    pub(super) fn pass_over(&self, room: &str, cause: &rusqlite::Error) {
        self.note(cause);
        self.0.passed_over.tell(room, cause);
    }

    /// What was found first of damage.
    pub(super) fn damage(&self) -> Option<&str> {
        self.0.damage.get().map(String::as_str)
    }
}

/// Whether a file is to blame.
pub(super) fn is_damage(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

/// The file whose name is that of the database and what is added to it.
pub(super) fn beside(database: &Path, added: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(added);
    name.into()
}
