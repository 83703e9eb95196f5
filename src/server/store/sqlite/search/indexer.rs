//! Following the commits with the index, behind the writer.
//!
//! The writer [rings](Bell) after a commit and waits for nothing. A thread of low priority then reads what is new over a connection of
//! its own and indexes it in batches. Each room carries the number of its newest entry among all of the database (`touched`), so the
//! rooms that have something new are those beyond the number up to which everything was followed. An edit or a deletion has its message
//! indexed again, as it is now.
//!
//! An index that is missing, damaged, of another version or made of another database is made anew from the first message on.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, params};

use super::index::{Fault, INDEX, Index, Indexing, Stream};
use crate::{
    server::store::{
        log::epoch::EpochSeed,
        sqlite::{
            bell::Bell,
            condition::Condition,
            folder::DATABASE,
            reader::{Readers, name},
        },
    },
    wire::{Epoch, Group},
};

/// A batch has at most so many messages,
const BATCH_MESSAGES: i64 = 1_000;
/// and no further one when it has so many bytes of text.
const BATCH_BYTES: usize = 4 << 20;
/// How long commits gather before what they have brought is indexed: a transaction of its own for each message costs more than all
/// else that becomes of it.
const GATHER: Duration = Duration::from_millis(200);
/// After a batch beside which there were commits it rests for so many times as long as that took.
const RESTS: u32 = 3;
/// After a failure it is tried again so much later.
const PAUSE: Duration = Duration::from_secs(5);
/// How much the thread gives way to others, as `nice` counts.
const NICENESS: i32 = 10;
/// So many searches run at a time.
const SEARCHES: u32 = 2;

const NEWS: &str =
    "SELECT id, name, epoch, head, touched, first, replayable FROM rooms WHERE touched > ?1 ORDER BY touched LIMIT 1000";
/// Each entry of a stream, the message that it is about, what that says now (nothing where it is held no more), and whether the entry
/// makes a difference to it.
const ENTRIES: &str = "SELECT offset, offset, iif(deleted, NULL, text), 1 FROM messages WHERE room_id = ?1 AND offset > ?2
    UNION ALL
    SELECT changes.offset, target, iif(kind IN ('edit', 'delete') AND NOT deleted, text, NULL), kind IN ('edit', 'delete') FROM changes
        LEFT JOIN messages ON messages.room_id = changes.room_id AND messages.offset = target
        WHERE changes.room_id = ?1 AND changes.offset > ?2
    ORDER BY 1 LIMIT ?3";

/// What the thread shares with those who search.
#[derive(Debug, Default)]
pub(in crate::server::store::sqlite) struct Shared {
    /// None while there is no index.
    readers: Mutex<Option<Arc<Readers>>>,
    /// Somebody has found it damaged.
    damaged: AtomicBool,
    stop: AtomicBool,
}

/// The thread that indexes.
#[derive(Debug)]
pub(in crate::server::store::sqlite) struct Indexer {
    pub(in crate::server::store::sqlite) bell: Bell,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Indexer {
    /// Opens the index of the store in `folder`, and begins to follow the store.
    pub(in crate::server::store::sqlite) fn start(
        folder: &Path,
        seed: EpochSeed,
        condition: Condition,
    ) -> std::io::Result<Self> {
        let (ring, rung) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let (folder, told) = (folder.to_owned(), false);
        let mut following = Following { folder, seed, condition, shared: Arc::clone(&shared), open: None, told };
        following.reopen();
        let thread = thread::Builder::new().name("store-index".to_owned()).spawn(move || following.run(&rung))?;
        Ok(Self { bell: Bell(ring), shared, thread })
    }

    pub(in crate::server::store::sqlite) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Ends the thread; what it has not indexed by now it does after the next start.
    pub(in crate::server::store::sqlite) fn finish(self) {
        self.shared.stop.store(true, Relaxed);
        self.bell.ring();
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the thread that indexes has panicked");
        }
    }
}

impl Shared {
    /// Connections to the index and its store.
    pub(in crate::server::store::sqlite) fn readers(&self) -> Option<Arc<Readers>> {
        self.readers.lock().clone()
    }

    /// Has the index made anew.
    pub(in crate::server::store::sqlite) fn is_damaged(&self, bell: &Bell) {
        self.damaged.store(true, Relaxed);
        bell.ring();
    }

    fn stops(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

/// The thread's own.
struct Following {
    folder: PathBuf,
    seed: EpochSeed,
    /// Of the store.
    condition: Condition,
    shared: Arc<Shared>,
    /// None while it cannot be opened.
    open: Option<Open>,
    /// It was said that it does not work.
    told: bool,
}

/// The index and the store that it is made of.
struct Open {
    index: Index,
    store: Connection,
}

impl Open {
    fn new(folder: &Path, condition: &Condition) -> Result<Self, Fault> {
        let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Connection::open_with_flags(folder.join(DATABASE), access)?;
        store.busy_timeout(Duration::from_secs(5))?;
        // After it was opened: another's messages are not to be found here.
        condition.in_place().map_err(|displaced| Fault::Unavailable(displaced.to_string()))?;
        let index = Index::open(folder)?;
        index.check(&store)?;
        Ok(Self { index, store })
    }
}

impl Following {
    fn run(mut self, rung: &Receiver<()>) {
        // What cannot give way goes on as it is.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        while !self.shared.stops() {
            let began = Instant::now();
            match self.follow() {
                // While there are commits it rests for most of the time: each of its own takes the disk and a processor from them.
                Ok(true) if rung.try_recv().is_ok() => thread::park_timeout(began.elapsed() * RESTS),
                Ok(true) => {}
                // Where it is to stop it is woken.
                Ok(false) if rung.recv().is_ok() => thread::park_timeout(GATHER),
                Ok(false) => return,
                Err(Fault::Useless(why)) => self.anew(&why),
                Err(Fault::Unavailable(cause)) => {
                    self.tell(&cause);
                    self.open = None;
                    if !self.wait(rung) {
                        return;
                    }
                    self.reopen();
                }
            }
        }
    }

    /// Waits until it may be better; whether to go on then.
    fn wait(&self, rung: &Receiver<()>) -> bool {
        let until = Instant::now() + PAUSE;
        while !self.shared.stops() {
            match rung.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        false
    }

    fn tell(&mut self, cause: &str) {
        if !self.told {
            self.told = true;
            tracing::error!(%cause, "the index for searching cannot be kept; messages are stored all the same");
        }
    }

    fn reopen(&mut self) {
        match Open::new(&self.folder, &self.condition) {
            Ok(open) => self.opened(open),
            Err(Fault::Useless(why)) => self.anew(&why),
            Err(Fault::Unavailable(cause)) => self.tell(&cause),
        }
    }

    fn anew(&mut self, why: &str) {
        tracing::warn!(%why, file = %self.folder.join(INDEX).display(), "the index for searching is made anew");
        *self.shared.readers.lock() = None;
        self.open = None;
        match Index::remove(&self.folder).map_err(Fault::from).and_then(|()| Open::new(&self.folder, &self.condition)) {
            Ok(open) => self.opened(open),
            Err(Fault::Useless(cause) | Fault::Unavailable(cause)) => self.tell(&cause),
        }
    }

    fn opened(&mut self, open: Open) {
        self.open = Some(open);
        self.shared.damaged.store(false, Relaxed);
        let (index, store) = (self.folder.join(INDEX), self.folder.join(DATABASE));
        let readers = Readers::new(index, Some(store), self.seed.clone(), self.condition.clone(), SEARCHES);
        *self.shared.readers.lock() = Some(Arc::new(readers));
    }

    /// Indexes a batch of what is new; whether there was anything.
    fn follow(&mut self) -> Result<bool, Fault> {
        if self.shared.damaged.load(Relaxed) {
            return Err(Fault::Useless("it is damaged".to_owned()));
        }
        let Some(Open { index, store }) = &mut self.open else { return Err(Fault::Unavailable("it is not open".to_owned())) };
        let indexing = index.begin()?;
        let indexed = batch(indexing, store, &self.condition)?;
        if indexed && self.told {
            self.told = false;
            tracing::info!("the index for searching can be kept again");
        }
        Ok(indexed)
    }
}

/// A room of the store.
struct Room {
    id: i64,
    group: Group,
    epoch: Epoch,
    head: i64,
    touched: i64,
    first: i64,
    replayable: i64,
}

/// Indexes the next messages, those of rooms that were silent for longest first.
fn batch(mut indexing: Indexing<'_>, store: &Connection, condition: &Condition) -> Result<bool, Fault> {
    let mut followed = indexing.followed()?;
    let rooms = news(store, followed).map_err(|cause| of_store(&cause, condition))?;
    if rooms.is_empty() {
        return Ok(false);
    }
    let (mut messages, mut bytes) = (BATCH_MESSAGES, BATCH_BYTES);
    for room in rooms {
        let stream = indexing.stream(&room.group, &room.epoch, room.replayable)?;
        if stream.first < room.first {
            indexing.forget(stream, room.first)?;
        }
        let store = (store, condition);
        let reached = run(&mut indexing, stream, store, &room, &mut messages, &mut bytes)?;
        indexing.reached(stream, reached)?;
        if reached < room.head {
            break;
        }
        followed = room.touched;
    }
    indexing.commit(followed)?;
    Ok(true)
}

/// The rooms that have something new.
fn news(store: &Connection, followed: i64) -> rusqlite::Result<Vec<Room>> {
    let mut statement = store.prepare_cached(NEWS)?;
    let rooms = statement.query_map([followed], |row| {
        let (id, group, epoch) = (row.get(0)?, name(row, 1)?, name(row, 2)?);
        let (head, touched, first, replayable) = (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
        Ok(Room { id, group, epoch, head, touched, first, replayable })
    })?;
    rooms.collect()
}

/// The store cannot be read, for which another index would be no remedy.
fn of_store(cause: &rusqlite::Error, condition: &Condition) -> Fault {
    condition.note(cause);
    Fault::Unavailable(format!("the store cannot be read: {cause}"))
}

/// Indexes messages of one room as far as the batch goes; gives how far that is.
fn run(
    indexing: &mut Indexing<'_>,
    stream: Stream,
    (store, condition): (&Connection, &Condition),
    room: &Room,
    messages: &mut i64,
    bytes: &mut usize,
) -> Result<i64, Fault> {
    let of_store = |cause: rusqlite::Error| of_store(&cause, condition);
    let mut reached = stream.indexed;
    let mut statement = store.prepare_cached(ENTRIES).map_err(of_store)?;
    let mut rows = statement.query(params![room.id, stream.indexed, *messages]).map_err(of_store)?;
    while let Some(row) = rows.next().map_err(of_store)? {
        // Whatever else somebody has put there, it is not text that can be searched for.
        let text = row.get_ref(2)?.as_bytes_or_null().map_err(rusqlite::Error::from)?.map(String::from_utf8_lossy);
        let text = text.as_deref();
        if row.get(3)? {
            indexing.settle(stream, row.get(1)?, text)?;
        }
        reached = row.get(0)?;
        *messages -= 1;
        *bytes = bytes.saturating_sub(text.map_or(0, str::len));
        if *bytes == 0 {
            *messages = 0;
            break;
        }
    }
    // Where the batch was not too small there is nothing more; what a room keeps no longer is not waited for.
    Ok(if *messages > 0 { reached.max(room.head) } else { reached })
}
