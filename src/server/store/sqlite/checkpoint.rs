//! Moving what is in the write-ahead log into the database, beside the writer.
//!
//! The writer tells [`Checkpointer`] about every commit. After enough of them a thread copies the log's pages over, which
//! holds up nobody. The writer then begins the log anew by itself, unless it is so busy that there is always something left; when the
//! log has become large that way, the writer does one copy between two commits, when nothing can be added.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;

/// The size from which the log is large. The file is cut back to it when the log begins anew.
pub(super) const LARGE_LOG_BYTES: i64 = 64 << 20;

const PAGE_BYTES: i64 = 4096;

/// After so many pages were written, by estimate, the log is copied: 8 MiB.
const PAGES_BETWEEN: usize = 2_000;

/// The writer's hold on the thread that copies.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    log_is_large: Arc<AtomicBool>,
    /// Since the thread was last woken, by estimate.
    pages: usize,
}

impl Checkpointer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let log_is_large = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&log_is_large);
        let thread =
            thread::Builder::new().name("store-checkpoint".to_owned()).spawn(move || run(&connection, &woken, &told))?;
        Ok(Self { wake, thread, log_is_large, pages: 0 })
    }

    /// Tells of a commit. A message changes its leaf of the table and one of the index of keys, and its room.
    pub(super) fn committed(&mut self, messages: usize, text_bytes: usize, writer: &Connection) {
        self.pages += 4 + messages + text_bytes / 4096;
        if self.pages >= PAGES_BETWEEN {
            self.pages = 0;
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

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use rusqlite::OpenFlags;

    use super::*;
    use crate::server::store::sqlite::{Durability, connect};

    /// A database whose log holds a table of 100 kB, and the size of its file.
    fn with_a_log(folder: &tempfile::TempDir) -> (Connection, PathBuf, impl Fn() -> u64) {
        let file = folder.path().join("confab.db");
        fs::File::create(&file).expect("a file");
        let connection = open(&file);
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))").expect("a table");
        let path = file.clone();
        (connection, file, move || fs::metadata(&path).expect("the file").len())
    }

    fn open(file: &std::path::Path) -> Connection {
        connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE, Durability::Process).expect("a database")
    }

    #[test]
    fn the_log_is_copied_beside_the_writer_after_enough_commits() {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, file, size) = with_a_log(&folder);
        for (messages, copied) in [(PAGES_BETWEEN / 2, false), (PAGES_BETWEEN, true)] {
            let mut checkpointer = Checkpointer::start(open(&file)).expect("a thread");
            checkpointer.committed(messages, 0, &writer);
            drop(checkpointer.wake);
            checkpointer.thread.join().expect("its end");
            assert_eq!(size() > 100_000, copied, "{messages} messages, {} bytes", size());
        }
    }

    #[test]
    fn a_large_log_is_copied_between_two_commits() {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, file, size) = with_a_log(&folder);
        let mut checkpointer = Checkpointer::start(open(&file)).expect("a thread");
        checkpointer.log_is_large.store(true, Ordering::Relaxed);
        checkpointer.committed(1, 0, &writer);
        assert!(size() > 100_000, "{} bytes", size());
        assert!(!checkpointer.log_is_large.load(Ordering::Relaxed), "once is enough");
        checkpointer.finish(&writer);
    }

    #[test]
    fn the_end_leaves_an_empty_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, file, size) = with_a_log(&folder);
        Checkpointer::start(open(&file)).expect("a thread").finish(&writer);
        assert_eq!(fs::metadata(file.with_extension("db-wal")).expect("the log").len(), 0);
        assert!(size() > 100_000);
    }
}
