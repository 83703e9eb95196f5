//! What every store promises, shown for each of them, and what only a store on disk has to show.
#![cfg(feature = "ssr")]

use std::{any::Any, sync::Arc};

use confab::{
    server::store::{Appended, Commits, MemoryStore, NewMessage, Page, PostgresStore, Slice, SqliteStore, Store},
    wire::{Epoch, Group, Offset, Person, Stored, Timestamp},
};
use tokio::task::JoinHandle;

mod conformance;
mod postgres;
mod search;
mod sqlite;
#[path = "../support/mod.rs"]
mod support;

use support::postgres::Postgres;

/// An open store and what it stands on.
pub(crate) struct Opened<S> {
    store: S,
    commits: Commits,
    /// Ends with the test: a folder, a server.
    _ground: Box<dyn Any + Send>,
}

fn in_memory() -> Opened<MemoryStore> {
    let (store, commits) = MemoryStore::new(10_000);
    Opened { store, commits, _ground: Box::new(()) }
}

fn on_disk() -> Opened<SqliteStore> {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = sqlite::open(folder.path());
    Opened { store, commits, _ground: Box::new(folder) }
}

async fn in_postgres() -> Opened<PostgresStore> {
    let server: Arc<Postgres> = Postgres::shared().await;
    let (store, commits) = postgres::open(&server.database().await).await;
    Opened { store, commits, _ground: Box::new(server) }
}

/// Runs each case against each store.
macro_rules! conformance {
    (@on $store:ident, $opened:expr, $cases:ident; $($case:ident)*) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::$cases::$case($opened).await;
            })*
        }
    };
    (searching $($case:ident)*) => {
        conformance! { @on sqlite_index, crate::on_disk(), search; $($case)* }
        conformance! { @on postgres_index, crate::in_postgres().await, search; $($case)* }
    };
    ($($case:ident)*) => {
        conformance! { @on memory_store, crate::in_memory(), conformance; $($case)* }
        conformance! { @on sqlite_store, crate::on_disk(), conformance; $($case)* }
        conformance! { @on postgres_store, crate::in_postgres().await, conformance; $($case)* }
    };
}

conformance! {
    offsets_have_no_gap_under_concurrent_senders
    commits_pages_and_answers_agree_on_the_order
    nothing_is_acknowledged_before_the_reader_does_so
    a_commit_dropped_unacknowledged_still_answers
    appends_succeed_without_a_reader
    a_sender_that_goes_away_takes_nothing_back
    what_is_on_its_way_is_bounded
    a_repeated_key_is_the_same_message
    concurrent_repeats_make_one_message
    a_repeat_does_not_wait_for_the_first_to_be_acknowledged
    keys_of_other_authors_and_rooms_are_others
    every_slice_of_a_room
    pages_are_bounded_in_bytes
    an_empty_room_has_a_head_and_is_not_made_by_looking
    the_epoch_outlives_the_first_message
    any_text_comes_back_as_it_was
    message_ids_are_unique_over_rooms
    rooms_come_by_activity_whatever_the_clock_says
    a_closed_store_refuses
}

conformance! { searching
    the_best_is_found_first_with_what_was_looked_for_marked
    texts_without_spaces_are_found_by_any_part
    only_the_rooms_that_are_searched_are_found
    any_text_can_be_searched_for
    of_very_many_the_newest_are_looked_at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_indexes_give_the_same_answers() {
    let (disk, postgres) = (on_disk(), in_postgres().await);
    let _readers = [acknowledge_all(disk.commits), acknowledge_all(postgres.commits)];
    let (on_disk, in_postgres) = tokio::join!(search::answers(&disk.store), search::answers(&postgres.store));
    assert!(on_disk.iter().filter(|answer| !answer.1.is_empty()).count() > 25, "{on_disk:?}");
    for (one, other) in on_disk.iter().zip(&in_postgres) {
        assert_eq!(one, other);
    }
}

fn group(name: &str) -> Group {
    name.parse().expect("a group name")
}

/// A message of Ann's; the key makes it what it is.
fn message(room: &str, key: &str, text: &str) -> NewMessage {
    NewMessage {
        group: group(room),
        key: key.parse().expect("a key"),
        from: Person { id: "ann".to_owned(), name: "Ann".to_owned() },
        text: text.to_owned(),
        at: Timestamp::from_millis(1_795_176_000_123),
    }
}

/// Acknowledges whatever is committed, and gives it back when the store is closed.
fn acknowledge_all(mut commits: Commits) -> JoinHandle<Vec<(Group, Epoch, Stored)>> {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(committed) = commits.recv().await {
            seen.push((committed.group.clone(), committed.epoch.clone(), committed.stored.clone()));
            committed.acknowledge();
        }
        seen
    })
}

async fn append(store: &impl Store, message: NewMessage) -> Appended {
    store.append(message).await.expect("stored")
}

/// Appends messages with the keys and texts 1 to `count`.
async fn fill(store: &impl Store, room: &str, count: u64) {
    for number in 1..=count {
        append(store, message(room, &number.to_string(), &number.to_string())).await;
    }
}

async fn read(store: &impl Store, room: &str, slice: Slice, count: usize) -> Page {
    store.read(&group(room), slice, count, usize::MAX).await.expect("a page")
}

fn offsets(page: &Page) -> Vec<u64> {
    page.messages.iter().map(|stored| stored.offset.0).collect()
}

fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|stored| stored.message.text.as_str()).collect()
}

/// The whole room, which must have no gap.
async fn whole(store: &impl Store, room: &str) -> Page {
    let page = read(store, room, Slice::After(Offset::START), usize::MAX).await;
    assert!(offsets(&page).into_iter().eq(1..=page.head.offset.0), "{:?}", offsets(&page));
    page
}
