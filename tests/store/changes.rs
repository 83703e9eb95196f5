//! What every store does with changes of messages. Each case gets a fresh store and its commits.

use std::{pin::pin, sync::Arc};

use confab::{
    server::{
        rooms::may_change,
        store::{Appended, ChangeError, Entry, Log, NewChange, Refused, Slice, What, bytes_as_sent},
    },
    wire::{
        Act, Change, Content, MOST_KINDS, MOST_KINDS_OF_ONE, MessageId, Offset, Person, Position, REACTION_SAMPLE, Timestamp,
    },
};
use futures_util::poll;
use tokio::task::JoinSet;

use crate::{Opened, acknowledge_all, append, fill, group, message, offsets, read, stored, texts, whole};

fn person(id: &str) -> Person {
    Person::new(id, id.to_uppercase())
}

/// What somebody does to a message of the lobby.
pub(crate) fn change(from: Person, act: &Act) -> NewChange {
    let at = Timestamp::from_millis(1_795_176_001_000);
    let change = act.change(&from, at).expect("it changes something");
    NewChange { group: group("lobby"), change, from, at, rule: may_change }
}

/// The authors of messages are `ann`.
pub(crate) fn edit(message: &MessageId, by: &str, text: &str) -> NewChange {
    change(person(by), &Act::Edit { message: message.clone(), text: text.to_owned() })
}

pub(crate) fn delete(message: &MessageId, by: &str) -> NewChange {
    change(person(by), &Act::Delete { message: message.clone() })
}

pub(crate) fn react(message: &MessageId, by: &str, emoji: &str, on: bool) -> NewChange {
    change(person(by), &Act::React { message: message.clone(), emoji: emoji.parse().expect("an emoji"), on })
}

pub(crate) fn id(Position { epoch, offset }: &Position) -> MessageId {
    MessageId { epoch: epoch.clone(), offset: *offset }
}

/// Says something in the lobby.
async fn say(store: &impl Log, key: &str) -> MessageId {
    id(&append(store, message("lobby", key, key)).await.position)
}

pub(crate) async fn changed(store: &impl Log, change: NewChange) -> Appended {
    store.change(change).await.expect("changed")
}

async fn refused(store: &impl Log, change: NewChange) -> Refused {
    match store.change(change).await {
        Err(ChangeError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

async fn entries(store: &impl Log, after: u64) -> Vec<Entry> {
    let missed = store.entries(&group("lobby"), Offset(after), usize::MAX, usize::MAX).await.expect("entries");
    let offsets: Vec<_> = missed.entries.iter().map(|entry| entry.offset.0).collect();
    assert!(offsets.iter().copied().eq(after + 1..=missed.head.offset.0), "{offsets:?}");
    missed.entries
}

/// All messages of the lobby.
async fn messages(store: &impl Log) -> Vec<Content> {
    let page = read(store, "lobby", Slice::After(Offset::START), usize::MAX).await;
    page.messages.into_iter().map(|stored| stored.message.content).collect()
}

pub(crate) async fn a_change_is_an_entry_of_the_stream_and_its_message_is_as_it_makes_it(opened: Opened<impl Log>) {
    let reader = acknowledge_all(opened.commits);
    let first = say(&opened.store, "first").await;
    say(&opened.store, "second").await;
    let edited = changed(&opened.store, edit(&first, "ann", "First!")).await;
    assert_eq!((edited.position.offset, edited.fresh), (Offset(3), true));
    let reacted = changed(&opened.store, react(&first, "bob", "👍", true)).await;
    assert_eq!(reacted.position, Position { epoch: first.epoch.clone(), offset: Offset(4) });
    say(&opened.store, "third").await;
    let page = read(&opened.store, "lobby", Slice::Latest, 10).await;
    assert_eq!((offsets(&page), page.head.offset, page.latest), (vec![1, 2, 5], Offset(5), Offset(5)));
    assert_eq!(texts(&page), ["First!", "second", "third"]);
    let content = &page.messages[0].message.content;
    assert_eq!(content.edited, Some(Timestamp::from_millis(1_795_176_001_000)));
    assert_eq!(content.reactions[0].from, [person("bob")]);
    // The messages as they are now, and the changes.
    let all = entries(&opened.store, 0).await;
    assert_eq!(stored(&all[0]), page.messages[0]);
    assert!(matches!(&all[2].what, What::Change(Change::Edit { id, text, .. }) if *id == first && text == "First!"));
    assert!(matches!(&all[3].what, What::Change(Change::React { id, on: true, .. }) if *id == first));
    assert_eq!(entries(&opened.store, 3).await, all[3..]);
    opened.store.close().await;
    let committed = reader.await.expect("the reader");
    assert!(committed.iter().map(|commit| commit.2.offset.0).eq(1..=5), "in order and each once");
    assert_eq!(committed[2].2, all[2]);
}

pub(crate) async fn only_the_author_edits_and_deletes(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let first = say(&opened.store, "first").await;
    for change in [edit(&first, "bob", "mine"), delete(&first, "bob")] {
        assert_eq!(refused(&opened.store, change).await, Refused::NotYours);
    }
    assert_eq!(messages(&opened.store).await, [Content::new("first")]);
    assert_eq!(whole(&opened.store, "lobby").await.head.offset, Offset(1), "what is refused takes no offset");
}

pub(crate) async fn what_is_deleted_is_gone_from_all_that_is_read(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let first = say(&opened.store, "first").await;
    changed(&opened.store, edit(&first, "ann", "a secret")).await;
    changed(&opened.store, react(&first, "bob", "👍", true)).await;
    changed(&opened.store, delete(&first, "ann")).await;
    let gone = Content { deleted: true, changed: Some(Offset(4)), ..Content::default() };
    assert_eq!(messages(&opened.store).await, [gone]);
    let all = entries(&opened.store, 0).await;
    assert!(!format!("{all:?}").contains("secret"), "{all:?}");
    assert_eq!(all[1].what, What::Change(Change::Delete { id: first.clone() }), "the edit is a deletion already");
    for change in [edit(&first, "ann", "back"), react(&first, "ann", "👍", true), react(&first, "ann", "👍", false)] {
        assert_eq!(refused(&opened.store, change).await, Refused::NotFound);
    }
    // Its key is still taken: whoever sends it again has not said it anew.
    assert!(!append(&opened.store, message("lobby", "first", "first")).await.fresh);
}

pub(crate) async fn a_repeated_change_changes_nothing(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let first = say(&opened.store, "first").await;
    let none = changed(&opened.store, edit(&first, "ann", "first")).await;
    assert_eq!((none.position.offset, none.fresh), (Offset(1), false), "it says so from the first");
    let react = |on| react(&first, "ann", "👍", on);
    for (change, offset) in [(edit(&first, "ann", "again"), 2), (react(true), 3), (react(false), 4), (delete(&first, "ann"), 5)]
    {
        for fresh in [true, false] {
            let appended = changed(&opened.store, change.clone()).await;
            assert_eq!((appended.position.offset.0, appended.fresh), (offset, fresh), "{change:?}");
        }
    }
    assert_eq!(entries(&opened.store, 0).await.len(), 5);
}

/// Of one message of the lobby: how many have put it, and how many of them are named.
async fn put(store: &impl Log, emoji: &str) -> (u64, usize) {
    let content = messages(store).await.remove(0);
    let reaction = content.reaction(&emoji.parse().expect("an emoji")).expect("somebody has put it");
    (reaction.count, reaction.from.len())
}

pub(crate) async fn any_number_of_people_react_and_each_is_counted_once(opened: Opened<impl Log>) {
    const PEOPLE: u64 = 150;
    let _reader = acknowledge_all(opened.commits);
    let store = &opened.store;
    let first = say(store, "first").await;
    for number in 0..PEOPLE {
        assert!(changed(store, react(&first, &format!("p{number}"), "👍", true)).await.fresh);
    }
    assert_eq!(put(store, "👍").await, (PEOPLE, REACTION_SAMPLE));
    for number in 0..PEOPLE {
        let again = changed(store, react(&first, &format!("p{number}"), "👍", true)).await;
        assert!(!again.fresh, "p{number} has put it already");
    }
    // What is whose can be asked for, whether they are named or not.
    changed(store, react(&first, "p149", "🎉", true)).await;
    let second = say(store, "second").await;
    let reacted = async |who: &str| {
        let both = [first.offset, second.offset];
        let all = store.reacted(&group("lobby"), who, &both).await.expect("an answer");
        let of = |offset| all.iter().filter(move |(at, _)| *at == offset).flat_map(|(_, put)| put);
        assert_eq!(of(second.offset).count(), 0);
        of(first.offset).map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(reacted("p3").await, ["👍"]);
    assert_eq!(reacted("p149").await, ["🎉", "👍"]);
    assert_eq!(reacted("nobody").await, [""; 0]);
    // One who is named and one who is not take it away; who comes then is named.
    for who in ["p0", "p149"] {
        assert!(changed(store, react(&first, who, "👍", false)).await.fresh);
        assert!(!changed(store, react(&first, who, "👍", false)).await.fresh);
    }
    assert_eq!(put(store, "👍").await, (PEOPLE - 2, REACTION_SAMPLE - 1));
    assert!(changed(store, react(&first, "late", "👍", true)).await.fresh);
    assert_eq!(put(store, "👍").await, (PEOPLE - 1, REACTION_SAMPLE));
    for number in 1..PEOPLE - 1 {
        assert!(changed(store, react(&first, &format!("p{number}"), "👍", false)).await.fresh);
    }
    assert_eq!(put(store, "👍").await, (1, 1));
    // What comes at once is counted like what comes one after the other.
    let at_once = (0..60).map(|number| store.change(react(&first, &format!("q{}", number % 30), "👍", true)));
    let fresh = futures_util::future::join_all(at_once).await;
    assert_eq!(fresh.into_iter().filter(|done| done.as_ref().expect("changed").fresh).count(), 30);
    assert_eq!(put(store, "👍").await, (31, REACTION_SAMPLE));
}

pub(crate) async fn kinds_of_reactions_are_bounded_and_nobody_alone_takes_them_all(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let store = &opened.store;
    let first = say(store, "first").await;
    for number in 0..MOST_KINDS_OF_ONE {
        changed(store, react(&first, "ann", &format!("a{number}"), true)).await;
    }
    assert_eq!(refused(store, react(&first, "ann", "more", true)).await, Refused::TooManyOfOne);
    for number in MOST_KINDS_OF_ONE..MOST_KINDS {
        changed(store, react(&first, "bob", &format!("b{number}"), true)).await;
    }
    assert_eq!(refused(store, react(&first, "eve", "more", true)).await, Refused::TooManyKinds);
    // Of what is there everybody may put some, and what has been put may be put again.
    changed(store, react(&first, "eve", "a0", true)).await;
    assert!(!changed(store, react(&first, "ann", "a0", true)).await.fresh);
    // The last one of a kind makes room.
    changed(store, react(&first, "bob", "b19", false)).await;
    changed(store, react(&first, "eve", "more", true)).await;
    assert_eq!(messages(store).await[0].reactions.len(), MOST_KINDS);
}

pub(crate) async fn what_is_not_there_is_not_changed(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let first = say(&opened.store, "first").await;
    let reaction = changed(&opened.store, react(&first, "ann", "👍", true)).await;
    let elsewhere = id(&append(&opened.store, message("kitchen", "k", "k")).await.position);
    let other_epoch = MessageId { epoch: "other".parse().expect("an epoch"), offset: Offset(1) };
    let beyond = MessageId { offset: Offset(u64::MAX), ..first.clone() };
    let zero = MessageId { offset: Offset(0), ..first.clone() };
    for target in [id(&reaction.position), elsewhere, other_epoch, beyond, zero] {
        for change in [edit(&target, "ann", "x"), delete(&target, "ann"), react(&target, "ann", "👍", true)] {
            assert_eq!(refused(&opened.store, change).await, Refused::NotFound, "{target}");
        }
    }
    let mut nowhere = delete(&first, "ann");
    nowhere.group = group("nowhere");
    assert_eq!(refused(&opened.store, nowhere).await, Refused::NotFound);
    assert_eq!(opened.store.rooms(10).await.expect("rooms").len(), 2, "a refused change makes no room");
}

pub(crate) async fn changes_and_messages_share_their_offsets_under_concurrent_writers(opened: Opened<impl Log + 'static>) {
    const WRITERS: usize = 20;
    let store = Arc::new(opened.store);
    let reader = acknowledge_all(opened.commits);
    let target = say(&*store, "target").await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, target) = (Arc::clone(&store), target.clone());
        writers.spawn(async move {
            for number in 0..4 {
                say(&*store, &format!("{writer}-{number}")).await;
                let reaction = react(&target, &format!("p{writer}"), "👍", number % 2 == 0);
                assert!(changed(&*store, reaction).await.fresh);
            }
        });
    }
    writers.join_all().await;
    let all = entries(&*store, 0).await;
    assert_eq!(all.len(), 1 + WRITERS * 8);
    assert_eq!(messages(&*store).await[0].reactions, [], "everybody has taken it away again");
    store.close().await;
    let committed = reader.await.expect("the reader");
    assert!(committed.iter().map(|commit| commit.2.offset.0).eq(1..=all.len() as u64));
    // Whoever makes what was committed of what was first said has what the store has.
    let mut content = Content::new("target");
    for commit in &committed {
        if let What::Change(change) = &commit.2.what {
            let before = content.clone();
            content.follow(commit.2.offset, change);
            assert!((&content.text, &content.reactions) != (&before.text, &before.reactions), "{change:?} changes nothing");
        }
    }
    assert_eq!(content, stored(&all[0]).message.content);
}

pub(crate) async fn slices_pass_over_changes(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    // Messages at 1, 3, 5, 7, 9 and a reaction after each.
    for number in 1..=5 {
        let target = say(&opened.store, &number.to_string()).await;
        changed(&opened.store, react(&target, "bob", "👍", true)).await;
    }
    for (slice, count, expected) in [
        (Slice::Latest, 2, vec![7, 9]),
        (Slice::Before(Offset(6)), 2, vec![3, 5]),
        (Slice::Before(Offset(5)), 9, vec![1, 3]),
        (Slice::After(Offset(3)), 2, vec![5, 7]),
        (Slice::After(Offset(4)), 9, vec![5, 7, 9]),
        (Slice::After(Offset(9)), 9, vec![]),
        (Slice::Around(Offset(5)), 2, vec![3, 5]),
        (Slice::Around(Offset(6)), 2, vec![5, 7]),
        (Slice::Around(Offset(u64::MAX)), 2, vec![9]),
    ] {
        let page = read(&opened.store, "lobby", slice, count).await;
        assert_eq!(offsets(&page), expected, "{slice:?} of {count}");
        assert_eq!((page.head.offset, page.first, page.latest), (Offset(10), Offset(1), Offset(9)));
    }
}

pub(crate) async fn entries_are_bounded_and_have_no_gap(opened: Opened<impl Log>) {
    const LONG: usize = 1_000;
    let _reader = acknowledge_all(opened.commits);
    let long = |letter: &str| letter.repeat(LONG);
    // 1: long, 2: a reaction, 3: an edit to something long, 4 and 5: short.
    let target = id(&append(&opened.store, message("lobby", "long", &long("x"))).await.position);
    changed(&opened.store, react(&target, "bob", "👍", true)).await;
    changed(&opened.store, edit(&target, "ann", &long("y"))).await;
    fill(&opened.store, "lobby", 2).await;
    let sizes = entries(&opened.store, 0).await.into_iter().map(|entry| match entry.what {
        What::Message(message) => bytes_as_sent(&message),
        What::Change(change) => bytes_as_sent(&change),
    });
    let sizes: Vec<_> = sizes.collect();
    assert!(sizes[0] > LONG && sizes[2] > LONG, "{sizes:?}");
    let up_to = |count: usize| sizes[..count].iter().sum::<usize>();
    for (after, count, bytes, expected) in [
        (0, 9, usize::MAX, 1..=5),
        (0, 2, usize::MAX, 1..=2),
        (1, 2, usize::MAX, 2..=3),
        (0, 9, 0, 1..=1),
        (0, 9, up_to(2) - 1, 1..=1),
        (0, 9, up_to(2), 1..=2),
        (0, 9, up_to(3) - 1, 1..=2),
        (0, 9, up_to(3), 1..=3),
        (0, 9, up_to(4), 1..=4),
        (1, 9, up_to(3) - up_to(1), 2..=3),
        (2, 9, 1, 3..=3),
    ] {
        let missed = opened.store.entries(&group("lobby"), Offset(after), count, bytes).await.expect("entries");
        let offsets: Vec<_> = missed.entries.iter().map(|entry| entry.offset.0).collect();
        assert_eq!(offsets, expected.collect::<Vec<_>>(), "{count} after {after}, of {bytes} bytes");
        assert_eq!((missed.head.offset, missed.first), (Offset(5), Offset(1)));
    }
    for (after, count) in [(5, 9), (u64::MAX, 9), (0, 0)] {
        let missed = opened.store.entries(&group("lobby"), Offset(after), count, 9).await.expect("entries");
        assert_eq!((missed.entries, missed.head.offset), (Vec::new(), Offset(5)));
    }
    let empty = opened.store.entries(&group("kitchen"), Offset(0), 9, 9).await.expect("entries");
    assert_eq!((empty.entries, empty.head.offset, empty.first), (Vec::new(), Offset(0), Offset(1)));
}

pub(crate) async fn a_change_of_the_newest_message_says_what_it_is_now(mut opened: Opened<impl Log + 'static>) {
    let store = Arc::new(opened.store);
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let [first, second] = [say(&*store, "first").await, say(&*store, "second").await];
            changed(&*store, edit(&first, "ann", "First!")).await;
            changed(&*store, edit(&second, "ann", "Second!")).await;
        }
    });
    let mut latest = Vec::new();
    for _ in 0..4 {
        let committed = opened.commits.recv().await.expect("a commit");
        latest.push(committed.latest.clone().map(|stored| stored.message.content.text));
        committed.acknowledge();
    }
    writer.await.expect("the writer");
    assert_eq!(latest, [None, None, None, Some("Second!".to_owned())]);
    let rooms = store.rooms(1).await.expect("rooms");
    assert_eq!(rooms[0].latest.as_ref().map(|stored| (stored.offset.0, &*stored.message.content.text)), Some((2, "Second!")));
}

/// All are in the queue before the first is done: one batch, or a few.
pub(crate) async fn what_comes_at_once_is_done_in_its_order(mut opened: Opened<impl Log>) {
    let store = &opened.store;
    let first = {
        let mut saying = pin!(say(store, "first"));
        assert!(poll!(&mut saying).is_pending());
        opened.commits.recv().await.expect("a commit").acknowledge();
        saying.await
    };
    let nowhere = MessageId { epoch: first.epoch.clone(), offset: Offset(9) };
    let edit = |by: &str, text: &str| store.change(edit(&first, by, text));
    let react = |id: &MessageId, on| store.change(react(id, "bob", "👍", on));
    let all = [
        edit("ann", "one"),
        edit("ann", "one"),
        edit("bob", "not mine"),
        react(&first, true),
        react(&nowhere, true),
        edit("ann", "two"),
        react(&first, true),
        react(&first, false),
    ];
    let first_half = futures_util::future::join_all(all);
    let then = store.append(message("lobby", "second", "second"));
    let again = store.append(message("lobby", "second", "second"));
    let last = [edit("ann", "three"), store.change(delete(&first, "ann")), react(&first, true)];
    let doing = async { tokio::join!(first_half, then, again, futures_util::future::join_all(last)) };
    let reading = async {
        let mut latest = Vec::new();
        for offset in 2..=8 {
            let committed = opened.commits.recv().await.expect("a commit");
            assert_eq!(committed.entry.offset, Offset(offset));
            latest.push(committed.latest.as_ref().map(|stored| stored.message.content.text.clone()));
            committed.acknowledge();
        }
        latest
    };
    let ((changes, then, again, last), latest) = tokio::join!(doing, reading);
    let told = |done: &Result<Appended, ChangeError>| match done {
        Ok(appended) => format!("{} {}", appended.position.offset.0, appended.fresh),
        Err(refused) => format!("{refused:?}"),
    };
    let answers: Vec<_> = changes.iter().chain(&last).map(told).collect();
    let expected = [
        "2 true",
        "2 false",
        "Refused(NotYours)",
        "3 true",
        "Refused(NotFound)",
        "4 true",
        "4 false",
        "5 true",
        "7 true",
        "8 true",
        "Refused(NotFound)",
    ];
    assert_eq!(answers, expected);
    let appended = [then, again].map(|done| done.map(|appended| (appended.position.offset.0, appended.fresh)).expect("stored"));
    assert_eq!(appended, [(6, true), (6, false)]);
    // Only as long as it is the newest message.
    let expected = [Some("one"), Some("one"), Some("two"), Some("two"), None, None, None];
    assert_eq!(latest, expected.map(|text| text.map(str::to_owned)));
    let kind = |entry: Entry| match entry.what {
        What::Message(_) => "message",
        What::Change(Change::Edit { .. }) => "edit",
        What::Change(Change::Delete { .. }) => "delete",
        What::Change(Change::React { on: true, .. }) => "react",
        What::Change(Change::React { on: false, .. }) => "unreact",
    };
    let kinds: Vec<_> = entries(store, 0).await.into_iter().map(kind).collect();
    // The edits are of a message that was deleted since.
    assert_eq!(kinds, ["message", "delete", "react", "delete", "unreact", "message", "delete", "delete"]);
}

/// Somebody may know what it will be called.
pub(crate) async fn a_message_may_be_changed_by_what_comes_with_it(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    let store = &opened.store;
    let epoch = read(store, "lobby", Slice::Latest, 1).await.head.epoch;
    let id = |offset| MessageId { epoch: epoch.clone(), offset: Offset(offset) };
    let (early, late) = (id(2), id(2));
    let (before, first, second, after, third) = tokio::join!(
        store.change(react(&early, "bob", "👍", true)),
        store.append(message("lobby", "first", "first")),
        store.append(message("lobby", "second", "second")),
        store.change(react(&late, "bob", "🎉", true)),
        store.append(message("lobby", "third", "third")),
    );
    assert!(matches!(before, Err(ChangeError::Refused(Refused::NotFound))), "{before:?}");
    let places = [first, second, third].map(|done| done.expect("stored").position.offset.0);
    assert_eq!((places, after.expect("changed").position.offset), ([1, 2, 4], Offset(3)));
    assert_eq!(messages(store).await[1].reactions[0].emoji.as_str(), "🎉");
}

pub(crate) async fn any_edit_and_reaction_comes_back_as_it_was(opened: Opened<impl Log>) {
    let _reader = acknowledge_all(opened.commits);
    for (number, text) in ["", "a\0b\u{1}c", "\u{1}", "'; --", "שלום 中文 👩‍👩‍👧‍👦", "\r\n\t\u{feff}\u{ffff}"].into_iter().enumerate()
    {
        let target = say(&opened.store, &format!("k{number}")).await;
        changed(&opened.store, edit(&target, "ann", text)).await;
        let from = Person::new(format!("id {text}"), text);
        let emoji = "👩‍👩‍👧‍👦".parse().expect("an emoji");
        let reaction = change(from, &Act::React { message: target.clone(), emoji, on: true });
        changed(&opened.store, reaction.clone()).await;
        let content = messages(&opened.store).await.pop().expect("a message");
        assert_eq!((content.text.as_str(), &content.reactions[0].from[..]), (text, std::slice::from_ref(&reaction.from)));
        let all = entries(&opened.store, target.offset.0).await;
        assert!(matches!(&all[0].what, What::Change(Change::Edit { text: edited, .. }) if edited == text), "{:?}", all[0]);
        assert!(matches!(&all[1].what, What::Change(Change::React { from, .. }) if *from == reaction.from), "{:?}", all[1]);
    }
}
