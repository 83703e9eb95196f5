//! What every store promises, shown for each of them, and what only a store on disk has to show.
#![cfg(feature = "ssr")]

use std::{any::Any, sync::Arc};

use confab::{
    server::store::{Appended, Commits, Entry, Log, MemoryStore, NewMessage, Page, PostgresStore, Slice, SqliteStore, What},
    wire::{Epoch, Group, Offset, Person, Stored, Timestamp},
};
use tokio::task::JoinHandle;

mod accounts;
mod audit;
mod changes;
mod conformance;
mod like_memory;
mod memory;
mod passed;
mod postgres;
mod reactions;
mod records;
mod retention;
mod search;
mod sqlite;
#[path = "../support/mod.rs"]
mod support;
mod transfer;
mod upgrade;

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
    (@on $store:ident, $opened:expr; $($part:ident :: $case:ident)*) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::$part::$case($opened).await;
            })*
        }
    };
    (searching $($case:ident)*) => {
        conformance! { @on sqlite_index, crate::on_disk(); $(search::$case)* }
        conformance! { @on postgres_index, crate::in_postgres().await; $(search::$case)* }
    };
    (rows $($case:ident)*) => {
        conformance! { @on sqlite_rows, crate::records::on_disk().await; $(records::$case)* }
        conformance! { @on postgres_rows, crate::records::in_postgres().await; $(records::$case)* }
    };
    (accounts $($case:ident)*) => {
        conformance! { @on sqlite_accounts, crate::on_disk(); $(accounts::$case)* }
        conformance! { @on postgres_accounts, crate::in_postgres().await; $(accounts::$case)* }
    };
    (audit $($case:ident)*) => {
        conformance! { @on sqlite_audit, crate::on_disk(); $(audit::$case)* }
        conformance! { @on postgres_audit, crate::in_postgres().await; $(audit::$case)* }
    };
    ($($part:ident :: $case:ident)*) => {
        conformance! { @on memory_store, crate::in_memory(); $($part::$case)* }
        conformance! { @on sqlite_store, crate::on_disk(); $($part::$case)* }
        conformance! { @on postgres_store, crate::in_postgres().await; $($part::$case)* }
    };
}

conformance! {
    conformance::offsets_have_no_gap_under_concurrent_senders
    conformance::commits_pages_and_answers_agree_on_the_order
    conformance::nothing_is_acknowledged_before_the_reader_does_so
    conformance::a_commit_dropped_unacknowledged_still_answers
    conformance::appends_succeed_without_a_reader
    conformance::a_sender_that_goes_away_takes_nothing_back
    conformance::what_is_on_its_way_is_bounded
    conformance::a_repeated_key_is_the_same_message
    conformance::concurrent_repeats_make_one_message
    conformance::a_repeat_does_not_wait_for_the_first_to_be_acknowledged
    conformance::keys_of_other_authors_and_rooms_are_others
    conformance::every_slice_of_a_room
    conformance::pages_are_bounded_in_bytes_as_sent
    conformance::an_empty_room_has_a_head_and_is_not_made_by_looking
    conformance::the_epoch_outlives_the_first_message
    conformance::any_text_comes_back_as_it_was
    conformance::message_ids_are_unique_over_rooms
    conformance::rooms_come_by_activity_whatever_the_clock_says
    conformance::the_list_goes_on_where_it_ended_and_closed_rooms_take_no_place_in_it
    conformance::a_closed_store_refuses
    changes::a_change_is_an_entry_of_the_stream_and_its_message_is_as_it_makes_it
    changes::only_the_author_edits_and_deletes
    changes::what_is_deleted_is_gone_from_all_that_is_read
    changes::a_repeated_change_changes_nothing
    changes::any_number_of_people_react_and_each_is_counted_once
    reactions::of_a_large_crowd_everybody_is_known
    changes::kinds_of_reactions_are_bounded_and_nobody_alone_takes_them_all
    changes::what_is_not_there_is_not_changed
    changes::changes_and_messages_share_their_offsets_under_concurrent_writers
    changes::slices_pass_over_changes
    changes::entries_are_bounded_and_have_no_gap
    changes::a_change_of_the_newest_message_says_what_it_is_now
    changes::any_edit_and_reaction_comes_back_as_it_was
    changes::what_comes_at_once_is_done_in_its_order
    changes::a_message_may_be_changed_by_what_comes_with_it
    retention::the_newest_are_kept_and_the_stream_goes_on
    retention::old_ones_go_up_to_the_first_that_is_not_old
    retention::a_room_of_which_nothing_is_left_goes_on
    retention::changes_go_with_what_stands_before_them
    retention::a_long_room_is_dropped_part_by_part
    retention::the_newest_changes_can_be_replayed_and_all_messages_read
    retention::any_number_of_changes_goes
    retention::any_number_of_changes_goes_with_the_messages_before_them
    retention::all_rooms_come_by_name
}

conformance! { accounts
    an_account_is_found_by_what_it_is_called
    a_handle_is_kept_for_who_had_it
    sessions_and_links_go_with_their_account
}

conformance! { audit
    an_account_that_is_made_is_recorded_and_one_that_is_not_is_not
    what_is_recorded_with_something_is_there_with_it_or_not_at_all
}

conformance! { rows
    values_of_every_type_come_back
    what_is_there_already_can_be_changed_and_returned
    statements_are_written_all_or_none
    what_may_fail_alone_leaves_the_others
    rows_and_messages_share_the_queue
}

conformance! { searching
    the_best_is_found_first_with_what_was_looked_for_marked
    texts_without_spaces_are_found_by_any_part
    only_the_rooms_that_are_searched_are_found
    any_text_can_be_searched_for
    of_very_many_the_newest_are_looked_at
    what_is_edited_is_found_as_it_is_now_and_what_is_gone_is_not
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
        from: Person::new("ann", "Ann"),
        text: text.to_owned(),
        at: Timestamp::from_millis(1_795_176_000_123),
    }
}

/// Acknowledges whatever is committed, and gives it back when the store is closed.
fn acknowledge_all(mut commits: Commits) -> JoinHandle<Vec<(Group, Epoch, Entry)>> {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(committed) = commits.recv().await {
            seen.push((committed.group.clone(), committed.epoch.clone(), committed.entry.clone()));
            committed.acknowledge();
        }
        seen
    })
}

/// The message of an entry that is one.
fn stored(entry: &Entry) -> Stored {
    let What::Message(message) = &entry.what else { panic!("{entry:?} is a change") };
    Stored { offset: entry.offset, message: message.clone() }
}

async fn append(store: &impl Log, message: NewMessage) -> Appended {
    store.append(message).await.expect("stored")
}

/// Appends messages with the keys and texts 1 to `count`.
async fn fill(store: &impl Log, room: &str, count: u64) {
    for number in 1..=count {
        append(store, message(room, &number.to_string(), &number.to_string())).await;
    }
}

async fn read(store: &impl Log, room: &str, slice: Slice, count: usize) -> Page {
    store.read(&group(room), slice, count, usize::MAX).await.expect("a page")
}

fn offsets(page: &Page) -> Vec<u64> {
    page.messages.iter().map(|stored| stored.offset.0).collect()
}

fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|stored| stored.message.content.text.as_str()).collect()
}

/// The whole room, which must have no gap.
async fn whole(store: &impl Log, room: &str) -> Page {
    let page = read(store, room, Slice::After(Offset::START), usize::MAX).await;
    assert!(offsets(&page).into_iter().eq(1..=page.head.offset.0), "{:?}", offsets(&page));
    page
}
