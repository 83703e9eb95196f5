//! Moving what is in the write-ahead log into the database, beside the writer.
//!
//! `SQLite` tells [`Checkpointer`] at every commit how long the log is. When it has grown by enough a thread copies the log's pages
//! over, which holds up nobody. The writer then begins the log anew by itself, unless it is so busy that there is always something
//! left; when the log has become large that way, the writer does one copy between two commits, when nothing can be added.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, ffi, hooks::Wal};

/// The size from which the log is large.
const LARGE_LOG_BYTES: i64 = 64 << 20;
/// The size to which the file is cut back when the log begins anew: more than it usually grows to, so that it is written over in place.
/// To give the disk room back and take it again holds up commits.
pub(super) const LOG_FILE_BYTES: i64 = 2 * LARGE_LOG_BYTES;
/// So many further times a large log is copied beside the writer before the writer does it.
const PASSES: usize = 2;

const PAGE_BYTES: i64 = 4096;

/// When it has grown by so many pages the log is copied: 4 MiB. The syncs of a copy hold up the commits beside it, for longer the more
/// there is to copy.
const PAGES_BETWEEN: i64 = 1_024;

/// The writer's hold on the thread that copies.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    log_is_large: Arc<AtomicBool>,
    /// How many pages the log has, as of the newest commit.
    length: Arc<AtomicI64>,
    growth: Growth,
}

/// How long the log was when it was last copied.
#[derive(Debug, Default)]
struct Growth {
    copied_at: i64,
}

impl Growth {
    /// Whether a log of so many pages is to be copied.
    fn is_enough(&mut self, length: i64) -> bool {
        if length < self.copied_at {
            // It has begun anew.
            self.copied_at = 0;
        }
        let enough = length - self.copied_at >= PAGES_BETWEEN;
        if enough {
            self.copied_at = length;
        }
        enough
    }
}

impl Checkpointer {
    /// Follows the writer's commits, and starts the thread on a connection of its own.
    pub(super) fn start(writer: &mut Connection, connection: Connection) -> rusqlite::Result<Self> {
        let length = Arc::new(AtomicI64::new(0));
        let reached = Arc::clone(&length);
        writer.wal_hook(Some(move |_: &mut Wal, pages| {
            reached.store(i64::from(pages), Ordering::Relaxed);
            Ok(())
        }))?;
        let (wake, woken) = sync_channel(1);
        let log_is_large = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&log_is_large);
        let thread = thread::Builder::new().name("store-checkpoint".to_owned()).spawn(move || run(&connection, &woken, &told));
        Ok(Self { wake, thread: thread.map_err(no_thread)?, log_is_large, length, growth: Growth::default() })
    }

    /// Between two commits of the writer.
    pub(super) fn committed(&mut self, writer: &Connection) {
        if self.growth.is_enough(self.length.load(Ordering::Relaxed)) {
            // One that is already waiting to be woken will do for this as well.
            let _ = self.wake.try_send(());
        }
        if self.log_is_large.swap(false, Ordering::Relaxed) {
            copy(writer, "PASSIVE");
        }
    }

    /// Ends the thread, then empties the log.
    pub(super) fn finish(self, writer: &Connection) {
        drop(self.wake);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread of the store has panicked");
        }
        copy(writer, "TRUNCATE");
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, log_is_large: &AtomicBool) {
    while woken.recv().is_ok() {
        if copy(connection, "PASSIVE") > LARGE_LOG_BYTES {
            // What was added meanwhile is copied too, and then what was added meanwhile, so that little is left for the writer.
            for _ in 0..PASSES {
                copy(connection, "PASSIVE");
            }
            log_is_large.store(true, Ordering::Relaxed);
        }
    }
}

/// Copies the log and returns how long it is, in bytes. A failure harms nothing: the log keeps what it has.
fn copy(connection: &Connection, mode: &str) -> i64 {
    let pages = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(1));
    match pages {
        Ok(pages) => pages * PAGE_BYTES,
        Err(error) => {
            tracing::warn!(%error, "the log of the store could not be copied into the database");
            0
        }
    }
}

/// The system has no thread left for us.
fn no_thread(cause: io::Error) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOMEM), Some(cause.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use rusqlite::OpenFlags;

    use super::*;
    use crate::server::store::sqlite::{Durability, connect};

    /// An empty database, and the size of its file.
    fn database(folder: &tempfile::TempDir) -> (Connection, PathBuf, impl Fn() -> u64) {
        let file = folder.path().join("confab.db");
        fs::File::create(&file).expect("a file");
        let connection = open(&file);
        let path = file.clone();
        (connection, file, move || fs::metadata(&path).expect("the file").len())
    }

    fn open(file: &std::path::Path) -> Connection {
        connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE, Durability::Process).expect("a database")
    }

    /// Commits so many pages, and a few more.
    fn write(writer: &Connection, pages: i64) {
        let table = format!("CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (zeroblob({}))", pages * PAGE_BYTES);
        writer.execute_batch(&table).expect("a table");
    }

    #[test]
    fn the_log_is_copied_beside_the_writer_when_it_has_grown_by_enough() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut writer, file, size) = database(&folder);
        for (pages, copied) in [(PAGES_BETWEEN / 2, false), (PAGES_BETWEEN / 2, true)] {
            let mut checkpointer = Checkpointer::start(&mut writer, open(&file)).expect("a thread");
            write(&writer, pages);
            checkpointer.committed(&writer);
            drop(checkpointer.wake);
            checkpointer.thread.join().expect("its end");
            assert_eq!(size() > 100_000, copied, "{pages} pages more, {} bytes", size());
        }
    }

    #[test]
    fn growth_counts_from_the_start_when_the_log_begins_anew() {
        let mut growth = Growth::default();
        let lengths =
            [PAGES_BETWEEN - 1, PAGES_BETWEEN, 2 * PAGES_BETWEEN - 1, 7, PAGES_BETWEEN - 1, PAGES_BETWEEN, PAGES_BETWEEN];
        assert_eq!(lengths.map(|length| growth.is_enough(length)), [false, true, false, false, false, true, false]);
    }

    #[test]
    fn a_large_log_is_copied_between_two_commits() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut writer, file, size) = database(&folder);
        let mut checkpointer = Checkpointer::start(&mut writer, open(&file)).expect("a thread");
        write(&writer, 25);
        checkpointer.log_is_large.store(true, Ordering::Relaxed);
        checkpointer.committed(&writer);
        assert!(size() > 100_000, "{} bytes", size());
        assert!(!checkpointer.log_is_large.load(Ordering::Relaxed), "once is enough");
        checkpointer.finish(&writer);
    }

    #[test]
    fn the_end_leaves_an_empty_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut writer, file, size) = database(&folder);
        let checkpointer = Checkpointer::start(&mut writer, open(&file)).expect("a thread");
        write(&writer, 25);
        checkpointer.finish(&writer);
        assert_eq!(fs::metadata(file.with_extension("db-wal")).expect("the log").len(), 0);
        assert!(size() > 100_000);
    }
}
