//! How every store drops what a room is not to hold any more. Each case gets a fresh store and its commits.

use confab::{
    server::store::{Appended, Bounds, Extent, Log, Slice},
    wire::{MessageId, Offset, Timestamp},
};

use crate::{Opened, acknowledge_all, append, changes, fill, group, message, offsets, read, support::within, texts};

/// Drops until there is nothing more to drop.
async fn forget(store: &impl Log, room: &str, bounds: Bounds) {
    while store.forget(&group(room), bounds).await.expect("dropped") {}
}

fn newest(messages: u64) -> Bounds {
    Bounds { messages: Some(messages), ..Bounds::default() }
}

fn since(at: i64) -> Bounds {
    Bounds { since: Some(Timestamp::from_millis(at)), ..Bounds::default() }
}

fn newest_changes(changes: u64) -> Bounds {
    Bounds { changes: Some(changes), ..Bounds::default() }
}

/// Drops until the room's entries are held from an offset on: changes wait until they are indexed.
async fn forget_up_to(store: &impl Log, room: &str, bounds: Bounds, expected: u64) {
    let first = async || store.entries(&group(room), Offset(0), 0, 0).await.expect("entries").first;
    let dropping = async {
        while store.forget(&group(room), bounds).await.expect("dropped") || first().await < Offset(expected) {
            // A store in memory never waits.
            tokio::task::yield_now().await;
        }
    };
    within("changes to be dropped", dropping).await;
    assert_eq!(first().await, Offset(expected));
}

/// Edits a message of the lobby over and over.
async fn edit(store: &impl Log, offset: u64, times: usize) -> Vec<Appended> {
    let epoch = read(store, "lobby", Slice::Latest, 1).await.head.epoch;
    let id = MessageId { epoch, offset: Offset(offset) };
    let edit = |number| store.change(changes::edit(&id, "ann", &format!("edit {number}")));
    futures_util::future::try_join_all((1..=times).map(edit)).await.expect("changed")
}

/// The offsets after one, and where the entries begin that are held.
async fn entries(store: &impl Log, after: u64) -> (Vec<u64>, u64) {
    let missed = store.entries(&group("lobby"), Offset(after), 99, 9_999).await.expect("entries");
    (missed.entries.iter().map(|entry| entry.offset.0).collect(), missed.first.0)
}

pub(crate) async fn the_newest_are_kept_and_the_stream_goes_on(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    fill(&opened.store, "lobby", 10).await;
    fill(&opened.store, "next-door", 3).await;
    forget(&opened.store, "lobby", newest(20)).await;
    assert_eq!(offsets(&read(&opened.store, "lobby", Slice::Latest, 99).await).len(), 10);
    forget(&opened.store, "lobby", newest(4)).await;
    let page = read(&opened.store, "lobby", Slice::After(Offset(0)), 99).await;
    assert_eq!(
        (offsets(&page), page.first, page.latest, page.head.offset),
        (vec![7, 8, 9, 10], Offset(7), Offset(10), Offset(10))
    );
    let around = read(&opened.store, "lobby", Slice::Around(Offset(1)), 2).await;
    assert_eq!(offsets(&around), [7]);
    assert_eq!(offsets(&read(&opened.store, "lobby", Slice::Before(Offset(7)), 2).await), [0_u64; 0]);
    // Who stands before them has missed something for good, and sees that.
    let missed = opened.store.entries(&group("lobby"), Offset(3), 99, 9_999).await.expect("entries");
    let found: Vec<_> = missed.entries.iter().map(|entry| entry.offset.0).collect();
    assert_eq!((found, missed.first), (vec![7, 8, 9, 10], Offset(7)));
    assert_eq!(append(&opened.store, message("lobby", "new", "new")).await.position.offset, Offset(11));
    let freed = append(&opened.store, message("lobby", "1", "its key is free")).await;
    assert_eq!((freed.position.offset, freed.fresh), (Offset(12), true));
    assert!(!append(&opened.store, message("lobby", "9", "9")).await.fresh);
    assert_eq!(offsets(&read(&opened.store, "next-door", Slice::Latest, 99).await), [1, 2, 3], "no other room");
}

pub(crate) async fn old_ones_go_up_to_the_first_that_is_not_old(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    // The clock went back once: what stands after one that is kept stays.
    for (number, at) in [(1, 100), (2, 200), (3, 900), (4, 300), (5, 1_000)] {
        let mut sent = message("lobby", &number.to_string(), &number.to_string());
        sent.at = Timestamp::from_millis(at);
        append(&opened.store, sent).await;
    }
    forget(&opened.store, "lobby", since(100)).await;
    assert_eq!(offsets(&read(&opened.store, "lobby", Slice::Latest, 9).await), [1, 2, 3, 4, 5]);
    forget(&opened.store, "lobby", since(500)).await;
    assert_eq!(offsets(&read(&opened.store, "lobby", Slice::Latest, 9).await), [3, 4, 5]);
    let two = Bounds { messages: Some(2), since: Some(Timestamp::from_millis(0)), changes: None };
    forget(&opened.store, "lobby", two).await;
    assert_eq!(offsets(&read(&opened.store, "lobby", Slice::Latest, 9).await), [4, 5]);
}

pub(crate) async fn a_room_of_which_nothing_is_left_goes_on(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    for (room, nothing) in [("lobby", since(i64::MAX)), ("next-door", newest(0))] {
        fill(&opened.store, room, 3).await;
        let epoch = read(&opened.store, room, Slice::Latest, 9).await.head.epoch;
        forget(&opened.store, room, nothing).await;
        let page = read(&opened.store, room, Slice::Latest, 9).await;
        assert_eq!((offsets(&page), page.first, page.latest, page.head.offset), (vec![], Offset(4), Offset(0), Offset(3)));
        let missed = opened.store.entries(&group(room), Offset(3), 9, 9).await.expect("entries");
        assert_eq!((missed.entries.len(), missed.first), (0, Offset(4)), "who had them all has missed nothing");
        append(&opened.store, message(room, "new", "new")).await;
        let page = read(&opened.store, room, Slice::Latest, 9).await;
        assert_eq!((texts(&page), &page.head.epoch, page.latest), (vec!["new"], &epoch, Offset(4)));
    }
    forget(&opened.store, "nowhere", newest(1)).await;
    assert_eq!(opened.store.rooms(9).await.expect("rooms").len(), 2);
}

pub(crate) async fn changes_go_with_what_stands_before_them(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    // 1 to 3: messages, 4: an edit of the first, 5: a message, 6: an edit of the fifth.
    fill(&opened.store, "lobby", 3).await;
    let epoch = read(&opened.store, "lobby", Slice::Latest, 9).await.head.epoch;
    let id = |offset: u64| MessageId { epoch: epoch.clone(), offset: Offset(offset) };
    let edit = |offset| changes::edit(&id(offset), "ann", "edited");
    opened.store.change(edit(1)).await.expect("changed");
    append(&opened.store, message("lobby", "5", "5")).await;
    opened.store.change(edit(5)).await.expect("changed");
    forget(&opened.store, "lobby", newest(2)).await;
    let missed = opened.store.entries(&group("lobby"), Offset(2), 9, 9_999).await.expect("entries");
    let found: Vec<_> = missed.entries.iter().map(|entry| entry.offset.0).collect();
    assert_eq!((found, missed.first), (vec![3, 4, 5, 6], Offset(3)));
    // The edited message is held no more: to a reader who has it, that is what its edit says now.
    assert!(format!("{:?}", missed.entries[1]).contains("Delete"), "{:?}", missed.entries[1]);
    opened.store.change(edit(1)).await.expect_err("it is held no more");
    forget(&opened.store, "lobby", newest(1)).await;
    let missed = opened.store.entries(&group("lobby"), Offset(4), 9, 9_999).await.expect("entries");
    assert_eq!((missed.entries.len(), missed.first), (2, Offset(5)));
}

pub(crate) async fn a_long_room_is_dropped_part_by_part(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let mut sending = Vec::new();
    for number in 1..=2_500 {
        sending.push(opened.store.append(message("lobby", &number.to_string(), "text")));
    }
    futures_util::future::try_join_all(sending).await.expect("stored");
    forget(&opened.store, "lobby", newest(7)).await;
    let page = read(&opened.store, "lobby", Slice::After(Offset(0)), 99).await;
    assert_eq!((page.first, page.messages.len()), (Offset(2_494), 7));
}

pub(crate) async fn the_newest_changes_can_be_replayed_and_all_messages_read(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let store = &opened.store;
    fill(store, "lobby", 3).await;
    edit(store, 1, 1).await;
    edit(store, 2, 4).await;
    append(store, message("lobby", "9", "9")).await;
    edit(store, 2, 1).await;
    forget_up_to(store, "lobby", newest_changes(6), 1).await;
    assert_eq!(entries(store, 0).await, ((1..=10).collect(), 1), "there are no more than that");
    forget_up_to(store, "lobby", newest_changes(2), 8).await;
    assert_eq!(entries(store, 7).await, (vec![8, 9, 10], 8));
    assert_eq!(entries(store, 9).await, (vec![10], 8));
    // Who stands before them has missed something for good, and sees that.
    assert_eq!(entries(store, 3).await, (vec![8, 9, 10], 8));
    assert_eq!(entries(store, 10).await, (vec![], 8));
    let page = read(store, "lobby", Slice::After(Offset(0)), 99).await;
    assert_eq!((offsets(&page), page.first, page.latest, page.head.offset.0), (vec![1, 2, 3, 9], Offset(1), Offset(9), 10));
    assert_eq!(texts(&page), ["edit 1", "edit 1", "3", "9"]);
    // What was done by a change that is gone is not done again.
    let again = edit(store, 1, 1).await.remove(0);
    assert_eq!((again.position.offset, again.fresh), (Offset(4), false));
    assert!(!append(store, message("lobby", "1", "1")).await.fresh);
    edit(store, 3, 1).await;
    assert_eq!(entries(store, 7).await, (vec![8, 9, 10, 11], 8));
    // With the messages the mark moves on, and only then.
    forget(store, "lobby", newest(2)).await;
    assert_eq!(entries(store, 0).await, (vec![8, 9, 10, 11], 8));
    forget(store, "lobby", newest(1)).await;
    assert_eq!(entries(store, 0).await, (vec![9, 10, 11], 9));
}

pub(crate) async fn any_number_of_changes_goes(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    fill(&opened.store, "lobby", 2).await;
    edit(&opened.store, 1, 2_500).await;
    forget_up_to(&opened.store, "lobby", newest_changes(10), 2_493).await;
    assert_eq!(entries(&opened.store, 0).await, ((2_493..=2_502).collect(), 2_493));
    let page = read(&opened.store, "lobby", Slice::Latest, 9).await;
    assert_eq!((offsets(&page), page.first), (vec![1, 2], Offset(1)));
    let extents = opened.store.groups(None, 9).await.expect("rooms");
    assert_eq!(extents, [Extent { group: group("lobby"), entries: 10 }]);
}

pub(crate) async fn any_number_of_changes_goes_with_the_messages_before_them(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    fill(&opened.store, "lobby", 2).await;
    edit(&opened.store, 1, 2_500).await;
    append(&opened.store, message("lobby", "new", "new")).await;
    forget(&opened.store, "lobby", newest(1)).await;
    assert_eq!(entries(&opened.store, 0).await, (vec![2_503], 2_503));
    let page = read(&opened.store, "lobby", Slice::Latest, 9).await;
    assert_eq!((offsets(&page), page.first), (vec![2_503], Offset(2_503)));
}

pub(crate) async fn all_rooms_come_by_name(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    for room in ["b", "a-2", "Z", "a_1", "c"] {
        append(&opened.store, message(room, "k", "text")).await;
    }
    let mut names: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let part = opened.store.groups(after.as_ref(), 2).await.expect("names");
        let Some(last) = part.last() else { break };
        assert!(part.len() <= 2);
        names.extend(part.iter().map(|room| room.group.to_string()));
        after = Some(last.group.clone());
    }
    assert_eq!(names, ["Z", "a-2", "a_1", "b", "c"]);
}
