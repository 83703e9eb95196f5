//! How many messages the embedded store acknowledges, each of them safe from a power cut, beside a loop that does nothing but insert.
//!
//! A thousand senders in a hundred rooms; each waits for the acknowledgement of its message before it says the next. The bare loop
//! inserts the same rows into the same table in batches as large as the store's were, on the same disk in the same run, and beside it
//! stands how often the disk can be made to keep something at all. At the end the store is read: every message that was acknowledged
//! is in its place, once.
//!
//! Then they go on in the same store at an even pace, half of the rate that is aimed at and half of what it has reached, and what counts
//! is how long an acknowledgement takes; and one sender says what it has all alone, for whom one sync is to be all that it waits for.

#![cfg(feature = "ssr")]

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use confab::{
    server::store::{Commits, Durability, Log, NewMessage, Slice, SqliteStore},
    wire::{Group, Key, Offset, Person, Timestamp},
};
use rusqlite::{Connection, params};
use tempfile::TempDir;
use tokio::time::MissedTickBehavior;

const RUNS: usize = 3;
const SENDERS: usize = 1_000;
const ROOMS: usize = 100;
/// How many each of the thousand says as fast as it can,
const EACH: usize = 100;
/// and at a pace: enough for the log to begin anew some times.
const EACH_PACED: usize = 200;
/// How many a second are to be acknowledged at least.
const AIM: f64 = 50_000.0;
/// How many the lone one says.
const ALONE: usize = 1_000;
const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A folder on the disk of the build, which is a real one where that of temporary files may be memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn group(sender: usize) -> Group {
    format!("room-{}", sender % ROOMS).parse().expect("a group")
}

/// A key as pages make them.
fn fresh_key(at: Timestamp) -> Key {
    Key::fresh(at, RandomState::new().hash_one(at).into())
}

fn message(sender: usize, key: Key) -> NewMessage {
    NewMessage {
        group: group(sender),
        key,
        from: Person::new(format!("sender-{sender}"), "Sender"),
        text: TEXT.to_owned(),
        at: Timestamp::from_millis(0),
    }
}

/// An open store whose commits are acknowledged as they come, as those are that are handed to members.
struct Subject {
    store: Arc<SqliteStore>,
    commits: Arc<AtomicUsize>,
    acknowledged: HashMap<(Group, Offset), Key>,
    _folder: TempDir,
}

impl Subject {
    fn open() -> Self {
        let folder = folder();
        let (store, mut commits): (_, Commits) = SqliteStore::open(folder.path(), Durability::Power).expect("a store");
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Some(committed) = commits.recv().await {
                counted.fetch_add(1, Ordering::Relaxed);
                committed.acknowledge();
            }
        });
        Self { store: Arc::new(store), commits: count, acknowledged: HashMap::new(), _folder: folder }
    }

    /// Everybody says `each` as fast as they are acknowledged, or all together so many a second: the seconds that it took, and for
    /// how long each waited.
    async fn say(&mut self, each: usize, rate: Option<f64>) -> (f64, Vec<Duration>) {
        let pace = rate.map(|rate| Duration::from_secs_f64(SENDERS as f64 / rate));
        let began = Instant::now();
        let senders = (0..SENDERS).map(|sender| {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move {
                let mut stored = Vec::with_capacity(each);
                let mut waits = Vec::with_capacity(each);
                let mut beat = pace.map(|pace| {
                    // Not all at the same moment.
                    let start = tokio::time::Instant::now() + pace.mul_f64(sender as f64 / SENDERS as f64);
                    let mut beat = tokio::time::interval_at(start, pace);
                    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
                    beat
                });
                for _ in 0..each {
                    let asked = match &mut beat {
                        // From when it was due: whoever is held up waits longer.
                        Some(beat) => beat.tick().await.into_std(),
                        None => Instant::now(),
                    };
                    let key = fresh_key(Timestamp::now());
                    let appended = store.append(message(sender, key.clone())).await.expect("stored");
                    waits.push(asked.elapsed());
                    stored.push((appended.position.offset, key));
                }
                (sender, stored, waits)
            })
        });
        let senders: Vec<_> = senders.collect();
        let mut waits = Vec::new();
        for sender in senders {
            let (sender, stored, waited) = sender.await.expect("a sender");
            for (offset, key) in stored {
                let twice = self.acknowledged.insert((group(sender), offset), key);
                assert_eq!(twice, None, "one place, one message");
            }
            waits.extend(waited);
        }
        (began.elapsed().as_secs_f64(), waits)
    }

    /// The store has what was acknowledged, and nothing else.
    async fn audit(mut self) {
        assert_eq!(self.commits.load(Ordering::Relaxed), self.acknowledged.len());
        for room in 0..ROOMS {
            let group = group(room);
            let mut after = Offset(0);
            loop {
                let page = self.store.read(&group, Slice::After(after), 10_000, usize::MAX).await.expect("a page");
                let Some(last) = page.messages.last() else { break };
                after = last.offset;
                for stored in page.messages {
                    let key = self.acknowledged.remove(&(group.clone(), stored.offset)).expect("what was acknowledged");
                    assert_eq!((&stored.message.key, stored.message.content.text.as_str()), (&key, TEXT));
                }
            }
        }
        assert!(self.acknowledged.is_empty(), "{} are missing", self.acknowledged.len());
    }
}

/// Inserts the same rows in batches of `batch`, with one sync each: rows per second.
fn bare(batch: usize) -> f64 {
    let folder = folder();
    let mut connection = Connection::open(folder.path().join("bare.db")).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE messages (
                 number INTEGER PRIMARY KEY, room_id INTEGER NOT NULL, offset INTEGER NOT NULL, key TEXT NOT NULL,
                 author_id TEXT NOT NULL, author_name TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL
             ) STRICT;
             CREATE UNIQUE INDEX messages_by_offset ON messages (room_id, offset);
             CREATE UNIQUE INDEX messages_by_key ON messages (key, author_id, room_id);",
        )
        .expect("a table");
    let start = Timestamp::now().as_millis();
    // As many a millisecond as are expected of the store.
    let key = |number: usize| fresh_key(Timestamp::from_millis(start + i64::try_from(number / 50).expect("a few")));
    let rows: Vec<_> = (0..SENDERS * EACH).map(|number| (number % SENDERS, message(number % SENDERS, key(number)))).collect();
    let mut heads = [0_i64; ROOMS];
    let began = Instant::now();
    for batch in rows.chunks(batch) {
        let transaction = connection.transaction().expect("a transaction");
        for (sender, message) in batch {
            let room = sender % ROOMS;
            heads[room] += 1;
            transaction
                .prepare_cached("INSERT INTO messages VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7)")
                .and_then(|mut insert| {
                    let NewMessage { key, from, text, at, .. } = message;
                    insert.execute(params![
                        i64::try_from(room).expect("a few"),
                        heads[room],
                        key.as_str(),
                        from.id,
                        from.name,
                        text,
                        at.as_millis()
                    ])
                })
                .expect("inserted");
        }
        transaction.commit().expect("committed");
    }
    rows.len() as f64 / began.elapsed().as_secs_f64()
}

/// How often a second the disk keeps 4 KiB more when it is told to.
fn syncs() -> f64 {
    const COUNT: u32 = 1_000;
    let folder = folder();
    let mut file = File::create(folder.path().join("syncs")).expect("a file");
    let began = Instant::now();
    for _ in 0..COUNT {
        file.write_all(&[0; 4_096]).and_then(|()| file.sync_data()).expect("written");
    }
    f64::from(COUNT) / began.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Of many waits the one that so many of a thousand are shorter than, in milliseconds.
fn quantile(waits: &mut [Duration], thousandth: usize) -> f64 {
    waits.sort();
    waits[(waits.len() - 1) * thousandth / 1_000].as_secs_f64() * 1e3
}

async fn measure() {
    let total = (SENDERS * EACH) as f64;
    let (mut rates, mut bares, mut disks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let mut subject = Subject::open();
        let (seconds, _) = subject.say(EACH, None).await;
        subject.audit().await;
        rates.push(total / seconds);
        // A thousand senders who each wait for one message make batches of half a thousand: the others gather meanwhile.
        bares.push(tokio::task::spawn_blocking(|| bare(SENDERS / 2)).await.expect("a rate"));
        disks.push(syncs());
    }
    let (rate, bare, disk) = (median(rates), median(bares), median(disks));
    println!(
        "{SENDERS} senders in {ROOMS} rooms: {rate:.0} acknowledged/s; bare inserts {bare:.0}/s: {:.2} x; {disk:.0} syncs/s",
        rate / bare
    );

    for paced in [AIM / 2.0, rate / 2.0] {
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let mut subject = Subject::open();
            subject.say(EACH, None).await;
            let (_, mut waits) = subject.say(EACH_PACED, Some(paced)).await;
            subject.audit().await;
            p50.push(quantile(&mut waits, 500));
            p99.push(quantile(&mut waits, 990));
        }
        println!("at {paced:.0} a second: acknowledged after {:.1} ms (p50), {:.1} ms (p99)", median(p50), median(p99));
    }

    let subject = Subject::open();
    let mut waits = Vec::new();
    for _ in 0..ALONE {
        let asked = Instant::now();
        subject.store.append(message(0, fresh_key(Timestamp::now()))).await.expect("stored");
        waits.push(asked.elapsed());
    }
    let alone = quantile(&mut waits, 500);
    println!("one sender alone: acknowledged after {alone:.2} ms (p50), {:.1} x one sync", alone * disk / 1e3);
}

fn main() {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(measure());
}
