//! The cases that every store passes. Each one gets a fresh store and its commits.

use std::{pin::pin, sync::Arc};

use confab::{
    server::store::{Entry, Listed, Log, Slice, Within, bytes_as_sent},
    wire::{Offset, Person, Timestamp},
};
use futures_util::poll;
use tokio::task::JoinSet;

use crate::{Opened, acknowledge_all, append, fill, group, message, offsets, read, stored, texts, whole};

const SENDERS: usize = 50;
const EACH: usize = 12;
const ROOMS: [&str; 3] = ["red", "green", "blue"];

/// Fifty senders, each of which writes to all rooms in turn. Gives back (room, offset, text) of all answers.
async fn crowd(store: &Arc<impl Log + 'static>) -> Vec<(&'static str, u64, String)> {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let store = Arc::clone(store);
        senders.spawn(async move {
            let mut answers = Vec::new();
            for number in 0..EACH {
                let room = ROOMS[number % ROOMS.len()];
                let text = format!("{sender}-{number}");
                let appended = append(&*store, message(room, &text, &text)).await;
                assert!(appended.fresh);
                answers.push((room, appended.position.offset.0, text));
            }
            answers
        });
    }
    senders.join_all().await.into_iter().flatten().collect()
}

pub(crate) async fn offsets_have_no_gap_under_concurrent_senders(opened: Opened<impl Log + 'static>) {
    let store = Arc::new(opened.store);
    let reader = acknowledge_all(opened.commits);
    let answers = crowd(&store).await;
    for room in ROOMS {
        let mut taken: Vec<u64> = answers.iter().filter(|answer| answer.0 == room).map(|answer| answer.1).collect();
        taken.sort_unstable();
        assert!(taken.into_iter().eq(1..=(SENDERS * EACH / ROOMS.len()) as u64), "{room}");
    }
    store.close().await;
    assert_eq!(reader.await.expect("the reader").len(), SENDERS * EACH);
}

pub(crate) async fn commits_pages_and_answers_agree_on_the_order(opened: Opened<impl Log + 'static>) {
    let store = Arc::new(opened.store);
    let reader = acknowledge_all(opened.commits);
    let mut answers = crowd(&store).await;
    answers.sort_unstable();
    let mut pages = Vec::new();
    for room in ROOMS {
        pages.push((group(room), whole(&*store, room).await));
    }
    store.close().await;
    let commits = reader.await.expect("the reader");
    for (room, page) in pages {
        let committed: Vec<_> = commits.iter().filter(|commit| commit.0 == room).collect();
        assert!(
            committed.iter().map(|commit| commit.2.clone()).eq(page.messages.iter().cloned().map(Entry::from)),
            "{room}: as they arrived"
        );
        assert!(committed.iter().all(|commit| commit.1 == page.head.epoch));
        let answered = answers.iter().filter(|answer| answer.0 == room.as_str()).map(|answer| &answer.2);
        assert!(
            answered.eq(page.messages.iter().map(|stored| &stored.message.content.text)),
            "{room}: as the senders were told"
        );
    }
}

pub(crate) async fn nothing_is_acknowledged_before_the_reader_does_so(mut opened: Opened<impl Log>) {
    let mut sending = pin!(opened.store.append(message("lobby", "k", "hello")));
    assert!(poll!(&mut sending).is_pending());
    let committed = opened.commits.recv().await.expect("a commit");
    assert!(poll!(&mut sending).is_pending(), "stored, and nobody has acknowledged it");
    assert_eq!(whole(&opened.store, "lobby").await.messages, [stored(&committed.entry)], "it is stored already");
    committed.acknowledge();
    let appended = sending.await.expect("stored");
    assert_eq!((appended.position.offset, appended.fresh), (Offset(1), true));
}

pub(crate) async fn a_commit_dropped_unacknowledged_still_answers(mut opened: Opened<impl Log>) {
    let mut sending = pin!(opened.store.append(message("lobby", "k", "hello")));
    assert!(poll!(&mut sending).is_pending());
    drop(opened.commits.recv().await.expect("a commit"));
    assert!(sending.await.expect("stored").fresh);
}

pub(crate) async fn appends_succeed_without_a_reader(opened: Opened<impl Log>) {
    drop(opened.commits);
    fill(&opened.store, "lobby", 3).await;
    assert_eq!(texts(&whole(&opened.store, "lobby").await), ["1", "2", "3"]);
}

pub(crate) async fn a_sender_that_goes_away_takes_nothing_back(mut opened: Opened<impl Log>) {
    {
        let mut sending = pin!(opened.store.append(message("lobby", "k", "hello")));
        assert!(poll!(&mut sending).is_pending());
    }
    opened.commits.recv().await.expect("a commit").acknowledge();
    assert_eq!(texts(&whole(&opened.store, "lobby").await), ["hello"]);
}

pub(crate) async fn what_is_on_its_way_is_bounded(mut opened: Opened<impl Log>) {
    const MANY: usize = 40;
    let mebibyte = "x".repeat(1 << 20);
    let mut begun = 0;
    {
        let mut sendings: Vec<_> =
            (0..MANY).map(|n| opened.store.append(message("lobby", &n.to_string(), &mebibyte))).collect();
        for sending in &mut sendings {
            assert!(poll!(sending).is_pending());
        }
        // Those that wait for their turn are given up here, and were never taken in.
    }
    opened.store.close().await;
    while let Some(committed) = opened.commits.recv().await {
        begun += 1;
        committed.acknowledge();
    }
    assert!((8..=16).contains(&begun), "{begun} messages of 1 MiB were taken in unacknowledged");
}

pub(crate) async fn a_repeated_key_is_the_same_message(opened: Opened<impl Log>) {
    let reader = acknowledge_all(opened.commits);
    let first = append(&opened.store, message("lobby", "k", "first")).await;
    append(&opened.store, message("lobby", "other", "between")).await;
    let again = append(&opened.store, message("lobby", "k", "another text")).await;
    assert_eq!((&again.position, again.fresh), (&first.position, false));
    assert_eq!(texts(&whole(&opened.store, "lobby").await), ["first", "between"]);
    append(&opened.store, message("lobby", "third", "after")).await;
    assert_eq!(whole(&opened.store, "lobby").await.head.offset, Offset(3), "the repeat has taken no offset");
    opened.store.close().await;
    let seen: Vec<_> =
        reader.await.expect("the reader").into_iter().map(|commit| stored(&commit.2).message.content.text).collect();
    assert_eq!(seen, ["first", "between", "after"]);
}

pub(crate) async fn concurrent_repeats_make_one_message(opened: Opened<impl Log + 'static>) {
    let store = Arc::new(opened.store);
    let reader = acknowledge_all(opened.commits);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let store = Arc::clone(&store);
        senders.spawn(async move { append(&*store, message("lobby", &format!("k{}", sender % 5), "hello")).await });
    }
    let answers = senders.join_all().await;
    assert_eq!(answers.iter().filter(|appended| appended.fresh).count(), 5);
    let mut places: Vec<u64> = answers.iter().map(|appended| appended.position.offset.0).collect();
    places.sort_unstable();
    assert!(places.chunks(SENDERS / 5).zip(1..).all(|(same, offset)| same.iter().all(|place| *place == offset)), "{places:?}");
    assert_eq!(whole(&*store, "lobby").await.messages.len(), 5);
    store.close().await;
    assert_eq!(reader.await.expect("the reader").len(), 5);
}

pub(crate) async fn a_repeat_does_not_wait_for_the_first_to_be_acknowledged(mut opened: Opened<impl Log>) {
    let mut first = pin!(opened.store.append(message("lobby", "k", "hello")));
    assert!(poll!(&mut first).is_pending());
    let again = append(&opened.store, message("lobby", "k", "hello")).await;
    assert_eq!((again.position.offset, again.fresh), (Offset(1), false));
    opened.commits.recv().await.expect("a commit").acknowledge();
    assert!(first.await.expect("stored").fresh);
}

pub(crate) async fn keys_of_other_authors_and_rooms_are_others(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let by_ann = message("lobby", "k", "ann's");
    let mut by_bob = message("lobby", "k", "bob's");
    by_bob.from = Person::new("bob", "Ann");
    for message in [by_ann, by_bob, message("kitchen", "k", "elsewhere")] {
        assert!(append(&opened.store, message).await.fresh);
    }
    assert_eq!(texts(&whole(&opened.store, "lobby").await), ["ann's", "bob's"]);
    assert_eq!(texts(&whole(&opened.store, "kitchen").await), ["elsewhere"]);
    let mut renamed = message("lobby", "k", "ann's");
    renamed.from.name.push('a');
    assert!(!append(&opened.store, renamed).await.fresh, "a new name is no new author");
}

// 1..=0 is an empty page.
#[allow(clippy::reversed_empty_ranges)]
pub(crate) async fn every_slice_of_a_room(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    fill(&opened.store, "lobby", 10).await;
    fill(&opened.store, "next-door", 3).await;
    let [before, after, around] = [Slice::Before, Slice::After, Slice::Around]
        .map(|slice| move |offset: u64, count: usize| (slice(Offset(offset)), count));
    for ((slice, count), expected) in [
        ((Slice::Latest, 3), 8..=10),
        ((Slice::Latest, 10), 1..=10),
        ((Slice::Latest, usize::MAX), 1..=10),
        ((Slice::Latest, 0), 1..=0),
        (before(5, 2), 3..=4),
        (before(5, 100), 1..=4),
        (before(11, 2), 9..=10),
        (before(u64::MAX, 2), 9..=10),
        (before(1, 5), 1..=0),
        (before(0, 5), 1..=0),
        (before(5, 0), 1..=0),
        (after(0, 3), 1..=3),
        (after(7, 2), 8..=9),
        (after(7, 100), 8..=10),
        (after(9, 5), 10..=10),
        (after(10, 5), 1..=0),
        (after(u64::MAX, 5), 1..=0),
        (after(3, 0), 1..=0),
        (around(5, 4), 3..=6),
        (around(5, 5), 3..=7),
        (around(5, 1), 5..=5),
        (around(5, 0), 1..=0),
        (around(1, 4), 1..=2),
        (around(10, 4), 8..=10),
        (around(0, 4), 1..=2),
        (around(u64::MAX, 4), 8..=10),
        (around(5, 100), 1..=10),
        (around(5, usize::MAX), 1..=10),
    ] {
        let page = read(&opened.store, "lobby", slice, count).await;
        assert_eq!(offsets(&page), expected.clone().collect::<Vec<_>>(), "{slice:?} of {count}");
        assert_eq!(texts(&page), expected.map(|n| n.to_string()).collect::<Vec<_>>(), "{slice:?} of {count}");
        assert_eq!((page.head.offset, page.first), (Offset(10), Offset(1)));
    }
}

pub(crate) async fn pages_are_bounded_in_bytes_as_sent(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    // Signs that JSON writes in six bytes, so the text alone is a sixth of what is sent.
    for number in 10..=19 {
        append(&opened.store, message("lobby", &number.to_string(), &"\u{1}".repeat(10_000))).await;
    }
    append(&opened.store, message("lobby", "short", "short")).await;
    let all = whole(&opened.store, "lobby").await;
    let sizes: Vec<_> = all.messages.iter().map(|stored| bytes_as_sent(&stored.message)).collect();
    let (long, short) = (sizes[0].max(sizes[9]), sizes[10]);
    assert!(sizes[..10].iter().all(|size| (60_000..62_000).contains(size)) && short < 1_000, "{sizes:?}");
    for (slice, bytes, expected) in [
        (Slice::Latest, 3 * long, 9..=11),
        (Slice::Latest, 2 * long + short, 9..=11),
        (Slice::Latest, sizes[9] + short, 10..=11),
        (Slice::Latest, sizes[9] + short - 1, 11..=11),
        (Slice::Latest, 0, 11..=11),
        (Slice::Before(Offset(11)), long - 10, 10..=10),
        (Slice::Before(Offset(11)), long, 10..=10),
        (Slice::Before(Offset(11)), 2 * long, 9..=10),
        (Slice::After(Offset(0)), 0, 1..=1),
        (Slice::After(Offset(0)), 3 * long - 10, 1..=2),
        (Slice::After(Offset(8)), 3 * long, 9..=11),
        (Slice::Around(Offset(5)), 0, 5..=5),
        (Slice::Around(Offset(5)), long, 5..=5),
        (Slice::Around(Offset(5)), 2 * long, 4..=5),
        (Slice::Around(Offset(5)), 4 * long, 3..=6),
        (Slice::Around(Offset(5)), usize::MAX, 1..=11),
    ] {
        let page = opened.store.read(&group("lobby"), slice, 100, bytes).await.expect("a page");
        assert_eq!(offsets(&page), expected.collect::<Vec<_>>(), "{slice:?} of {bytes} bytes");
    }
}

pub(crate) async fn an_empty_room_has_a_head_and_is_not_made_by_looking(opened: Opened<impl Log>) {
    for slice in
        [Slice::Latest, Slice::Before(Offset(3)), Slice::After(Offset(0)), Slice::Around(Offset(0)), Slice::Around(Offset(3))]
    {
        let page = read(&opened.store, "lobby", slice, 10).await;
        assert_eq!((page.head.offset, page.first, page.messages.len()), (Offset(0), Offset(1), 0), "{slice:?}");
    }
    assert_eq!(opened.store.rooms(10).await.expect("rooms"), []);
}

pub(crate) async fn the_epoch_outlives_the_first_message(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let before = whole(&opened.store, "lobby").await.head.epoch;
    assert_eq!(whole(&opened.store, "lobby").await.head.epoch, before);
    let appended = append(&opened.store, message("lobby", "k", "hello")).await;
    assert_eq!(appended.position.epoch, before);
    assert_eq!(whole(&opened.store, "lobby").await.head, appended.position);
    assert_ne!(whole(&opened.store, "kitchen").await.head.epoch, before);
}

pub(crate) async fn any_text_comes_back_as_it_was(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let long = "long ".repeat(13_107);
    let any = [
        "",
        " ",
        "a\0b\0",
        "\0",
        "<script>alert(1)</script>",
        "👩‍👩‍👧‍👦 e\u{301}",
        "שלום \u{202e}مرحبا",
        "'; DROP TABLE messages; --",
        "\r\n\t\u{feff}\u{ffff}",
        &long,
    ];
    for (number, text) in any.into_iter().enumerate() {
        let mut sent = message("lobby", &number.to_string(), text);
        sent.from = Person::new(format!("id {number} {text}"), text);
        sent.at = Timestamp::from_millis(-1);
        append(&opened.store, sent).await;
    }
    let page = whole(&opened.store, "lobby").await;
    assert_eq!(texts(&page), any);
    for (number, stored) in page.messages.iter().enumerate() {
        let message = &stored.message;
        assert_eq!((&*message.from.name, message.at), (any[number], Timestamp::from_millis(-1)));
        assert_eq!(message.from.id, format!("id {number} {}", any[number]));
        assert_eq!(message.key.as_str(), number.to_string());
    }
}

pub(crate) async fn message_ids_are_unique_over_rooms(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let mut ids = Vec::new();
    for room in ROOMS {
        fill(&opened.store, room, 5).await;
        ids.extend(whole(&opened.store, room).await.messages.into_iter().map(|stored| stored.message.id));
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 15);
}

pub(crate) async fn rooms_come_by_activity_whatever_the_clock_says(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    for (number, room) in (1_i64..).zip(["a", "b", "c", "a"]) {
        let mut sent = message(room, &number.to_string(), &number.to_string());
        sent.at = Timestamp::from_millis(-number);
        append(&opened.store, sent).await;
    }
    append(&opened.store, message("b", "2", "a repeat is no activity")).await;
    let rooms = opened.store.rooms(10).await.expect("rooms");
    let latest =
        |room: &confab::wire::RoomSummary| room.latest.clone().map(|stored| (stored.offset.0, stored.message.content.text));
    let shown: Vec<_> = rooms.iter().map(|room| (room.group.as_str(), latest(room).expect("a message"))).collect();
    assert_eq!(shown, [("a", (2, "4".to_owned())), ("c", (1, "3".to_owned())), ("b", (1, "2".to_owned()))]);
    assert_eq!(rooms[0].latest, whole(&opened.store, "a").await.messages.pop());
    assert_eq!(opened.store.rooms(2).await.expect("rooms"), rooms[..2]);
    assert_eq!(opened.store.rooms(0).await.expect("rooms"), []);
    assert_eq!(opened.store.rooms(usize::MAX).await.expect("rooms"), rooms);
}

pub(crate) async fn the_list_goes_on_where_it_ended_and_closed_rooms_take_no_place_in_it(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let store = &opened.store;
    for number in 0..130 {
        append(store, message(&format!("open-{number:03}"), "k", "hello")).await;
    }
    for number in 0..100 {
        append(store, message(&format!("closed-{number:03}"), "k", "hello")).await;
    }
    let open = Within::Rooms(Arc::new(|group| group.as_str().starts_with("open")));
    let expected: Vec<_> = (0..130).rev().map(|number| format!("open-{number:03}")).collect();
    for (within, newest) in [(open, &expected[..]), (Within::Everything, &[])] {
        let (mut names, mut before) = (Vec::new(), None);
        loop {
            let listed = store.list(&within, before, 40).await.expect("a part");
            assert!(listed.rooms.len() == 40 || listed.next.is_none());
            names.extend(listed.rooms.into_iter().map(|listed| listed.room.group.to_string()));
            // Whoever comes to the front meanwhile is on the first page, and moves nobody over the edge of this one.
            append(store, message(&names[0], &format!("again-{}", names.len()), "hello")).await;
            before = listed.next;
            if before.is_none() {
                break;
            }
        }
        assert!(names.starts_with(newest) && names.ends_with(&expected[90..]), "{names:?}");
        assert_eq!(names.len(), if newest.is_empty() { 230 } else { 130 });
    }
    let nothing = Within::Rooms(Arc::new(|_| false));
    assert_eq!(store.list(&nothing, None, 40).await.expect("a part"), Listed::default());
}

pub(crate) async fn a_closed_store_refuses(mut opened: Opened<impl Log>) {
    let mut sending = pin!(opened.store.append(message("lobby", "k", "in time")));
    assert!(poll!(&mut sending).is_pending());
    opened.store.close().await;
    let committed = opened.commits.recv().await.expect("what was taken in is committed");
    assert_eq!(stored(&committed.entry).message.content.text, "in time");
    committed.acknowledge();
    assert!(sending.await.expect("stored").fresh);
    assert!(opened.commits.recv().await.is_none());
    opened.store.append(message("lobby", "k2", "too late")).await.expect_err("closed");
    opened.store.read(&group("lobby"), Slice::Latest, 1, 1).await.expect_err("closed");
    opened.store.entries(&group("lobby"), Offset(0), 1, 1).await.expect_err("closed");
    opened.store.rooms(1).await.expect_err("closed");
    opened.store.close().await;
}
