//! Finding messages by their words: the cases that every store with an index passes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use confab::{
    server::{
        search::{Found, LONGEST_QUERY, Query},
        store::{Bounds, Log, NewMessage, Search, Within},
    },
    wire::{Group, Hit, MessageId, Offset, Person, Segment, Timestamp},
};

use crate::{
    Opened, acknowledge_all, append,
    changes::{delete, edit},
    group, message,
    support::within,
};

pub(crate) fn query(text: &str) -> Query {
    Query::parse(text).expect("a query that is not too long")
}

pub(crate) fn room(name: &str) -> Within {
    Within::Room(group(name))
}

fn rooms(names: &'static [&str]) -> Within {
    Within::Rooms(Arc::new(|group: &Group| names.contains(&group.as_str())))
}

pub(crate) async fn search(store: &impl Search, text: &str, place: &Within) -> Found {
    store.search(&query(text), place, 100).await.expect("an answer")
}

/// Where it was found, in the order of the answer.
pub(crate) fn places(found: &Found) -> Vec<(&str, u64)> {
    found.hits.iter().map(|hit| (hit.group.as_str(), hit.offset.0)).collect()
}

/// The snippet with `[` and `]` around what was looked for.
fn snippet(hit: &Hit) -> String {
    let segment = |Segment { text, matches }: &Segment| if *matches { format!("[{text}]") } else { text.clone() };
    hit.snippet.iter().map(segment).collect()
}

/// Says something, later than whatever was said before in the same test.
async fn say(store: &impl Log, room: &str, number: u64, text: &str) -> u64 {
    let at = Timestamp::from_millis(i64::try_from(number).expect("a small number"));
    let message = NewMessage { at, ..message(room, &format!("k{number}"), text) };
    append(store, message).await.position.offset.0
}

/// Waits until all that was said in a room so far is in the index: until what is said now is found.
pub(crate) async fn indexed(store: &(impl Log + Search), name: &str) {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    // A word for which no test looks.
    let number = CALLS.fetch_add(1, Ordering::Relaxed).to_string();
    let word: String = number.bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    let text = format!("indexed up to q{word}");
    let offset = append(store, message(name, &text.replace(' ', "-"), &text)).await.position.offset;
    let is_there = |found: &Found| found.hits.iter().any(|hit| hit.offset == offset);
    within("the index", async { while !is_there(&search(store, &format!("\"{text}\""), &room(name)).await) {} }).await;
}

pub(crate) async fn the_best_is_found_first_with_what_was_looked_for_marked(opened: Opened<impl Log + Search>) {
    let _reader = acknowledge_all(opened.commits);
    let store = opened.store;
    for (number, text) in (1..).zip([
        "We had tea and then we had cake, and after that a walk along the river",
        "Tea! No other tea is like this tea",
        "teapot",
        "coffee",
        "un thé",
    ]) {
        say(&store, "lobby", number, text).await;
    }
    indexed(&store, "lobby").await;
    let found = search(&store, "TEA", &room("lobby")).await;
    assert_eq!(places(&found), [("lobby", 2), ("lobby", 3), ("lobby", 1)]);
    let snippets: Vec<_> = found.hits.iter().map(snippet).collect();
    assert_eq!(snippets[0], "[Tea]! No other [tea] is like this [tea]");
    assert_eq!(snippets[1], "[teapot]");
    let hit = &found.hits[0];
    let page = crate::whole(&store, "lobby").await;
    let stored = &page.messages[1];
    assert_eq!((hit.offset, &hit.id, hit.at), (Offset(2), &stored.message.id, stored.message.at));
    assert_eq!(hit.from, Person::new("ann", "Ann"));
    assert!(found.complete);
    for (text, expected) in [
        ("the", vec![("lobby", 5), ("lobby", 1)]),
        ("tea cake", vec![("lobby", 1)]),
        ("tea coffee", vec![]),
        ("\"had cake\"", vec![("lobby", 1)]),
        ("\"cake had\"", vec![]),
        ("riv", vec![("lobby", 1)]),
        ("ri", vec![]),
        ("nothing", vec![]),
        ("", vec![]),
        ("…?", vec![]),
    ] {
        assert_eq!(places(&search(&store, text, &room("lobby")).await), expected, "{text:?}");
    }
}

pub(crate) async fn texts_without_spaces_are_found_by_any_part(opened: Opened<impl Log + Search>) {
    let _reader = acknowledge_all(opened.commits);
    let store = opened.store;
    for (number, text) in (1..).zip(["我们在学中文", "中间的文字", "日本語を勉強する", "한국어를 배워요", "สวัสดีครับ", "🎉 done"])
    {
        say(&store, "lobby", number, text).await;
    }
    indexed(&store, "lobby").await;
    for (text, expected) in [
        ("中文", vec![1]),
        ("我", vec![1]),
        ("文", vec![2, 1]),
        ("学中文", vec![1]),
        ("中文学", vec![]),
        ("中 文", vec![2, 1]),
        ("勉強", vec![3]),
        ("한국", vec![4]),
        ("สวัสดี", vec![5]),
        ("🎉", vec![6]),
    ] {
        let found = search(&store, text, &room("lobby")).await;
        let offsets: Vec<_> = found.hits.iter().map(|hit| hit.offset.0).collect();
        assert_eq!(offsets, expected, "{text:?}");
    }
    assert_eq!(snippet(&search(&store, "中文", &Within::Everything).await.hits[0]), "我们在学[中文]");
}

pub(crate) async fn what_is_edited_is_found_as_it_is_now_and_what_is_gone_is_not(opened: Opened<impl Log + Search>) {
    let _reader = acknowledge_all(opened.commits);
    let store = opened.store;
    for (number, text) in (1..).zip(["green tea", "black tea", "old tea"]) {
        say(&store, "lobby", number, text).await;
    }
    indexed(&store, "lobby").await;
    let epoch = crate::whole(&store, "lobby").await.head.epoch;
    let id = |offset: u64| MessageId { epoch: epoch.clone(), offset: Offset(offset) };
    for change in [edit(&id(1), "ann", "first coffee"), edit(&id(1), "ann", "white coffee"), delete(&id(2), "ann")] {
        store.change(change).await.expect("changed");
    }
    let finds = async |text: &str| {
        search(&store, text, &room("lobby")).await.hits.into_iter().map(|hit| hit.offset.0).collect::<Vec<_>>()
    };
    within("the edit in the index", async { while finds("white").await != [1] {} }).await;
    // At once: what is not there any more is not shown, whatever the index has.
    for (text, expected) in [("tea", vec![3]), ("black", vec![]), ("green", vec![]), ("first", vec![]), ("coffee", vec![1])] {
        assert_eq!(finds(text).await, expected, "{text}");
    }
    let keep_two = Bounds { messages: Some(2), ..Bounds::default() };
    while store.forget(&group("lobby"), keep_two).await.expect("dropped") {}
    assert_eq!(finds("coffee").await, [0_u64; 0]);
    // What comes afterwards is indexed as ever, also in a room of which nothing was left.
    let nothing = Bounds { since: Some(Timestamp::from_millis(i64::MAX)), ..Bounds::default() };
    while store.forget(&group("lobby"), nothing).await.expect("dropped") {}
    let offset = say(&store, "lobby", 99, "mint tea").await;
    within("the message in the index", async { while finds("mint").await != [offset] {} }).await;
}

pub(crate) async fn only_the_rooms_that_are_searched_are_found(opened: Opened<impl Log + Search>) {
    let _reader = acknowledge_all(opened.commits);
    let store = opened.store;
    let names = ["red", "green", "blue"];
    for (number, name) in (1..).zip(names) {
        say(&store, name, number, "the same").await;
    }
    for name in names {
        indexed(&store, name).await;
    }
    for (place, expected) in [
        (Within::Everything, vec![("blue", 1), ("green", 1), ("red", 1)]),
        (room("red"), vec![("red", 1)]),
        (room("never-used"), vec![]),
        (rooms(&["red", "green", "blue", "more"]), vec![("blue", 1), ("green", 1), ("red", 1)]),
        (rooms(&["red", "blue"]), vec![("blue", 1), ("red", 1)]),
        (rooms(&["green"]), vec![("green", 1)]),
        (rooms(&[]), vec![]),
    ] {
        assert_eq!(places(&search(&store, "same", &place).await), expected, "{place:?}");
    }
}

pub(crate) async fn any_text_can_be_searched_for(opened: Opened<impl Log + Search>) {
    let _reader = acknowledge_all(opened.commits);
    let store = opened.store;
    let strange = [
        "a* OR b",
        "\"unclosed",
        "NEAR(a b, 2)",
        "words : {terms} ^first",
        "x & y | !z <-> 'w':*",
        "back\\slash 'quote' \"\"",
        "-minus +plus (paren",
        "a\0b \u{1}a \u{e000}",
        "हिन्दी שָׁלוֹם مَرْحَبًا e\u{301}",
        "👩‍👩‍👧‍👦🇩🇪",
    ];
    for (number, text) in (1..).zip(strange) {
        say(&store, "lobby", number, text).await;
    }
    let long = "中".repeat(LONGEST_QUERY);
    say(&store, "lobby", 99, &long).await;
    indexed(&store, "lobby").await;
    for (number, text) in (1..).zip(strange) {
        let found = search(&store, text, &room("lobby")).await;
        assert!(places(&found).contains(&("lobby", number)), "{text:?}: {found:?}");
    }
    assert_eq!(search(&store, &long, &room("lobby")).await.hits.len(), 1);
    assert_eq!(search(&store, &"a ".repeat(LONGEST_QUERY / 2), &room("lobby")).await.hits.len(), 3);
    assert_eq!(search(&store, "\u{e000}1", &Within::Everything).await.hits, [], "what an index adds is nobody's word");
}

pub(crate) async fn of_very_many_the_newest_are_looked_at(opened: Opened<impl Log + Search>) {
    let _reader = acknowledge_all(opened.commits);
    let store = opened.store;
    let sayings = (1..=400).map(|number| say(&store, "lobby", number, "the same"));
    futures_util::future::join_all(sayings).await;
    indexed(&store, "lobby").await;
    let found = store.search(&query("same"), &room("lobby"), 3).await.expect("an answer");
    let newest: BTreeSet<_> = [398, 399, 400].map(Timestamp::from_millis).into();
    assert_eq!(found.hits.iter().map(|hit| hit.at).collect::<BTreeSet<_>>(), newest);
    assert!(!found.complete);
    assert!(search(&store, "indexed", &room("lobby")).await.complete);
}

/// Changes of which the index has not heard stay while it is held back, and go when it is let go.
pub(crate) async fn changes_wait_for_the_index(
    store: &(impl Log + Search),
    hold: impl Future<Output = ()>,
    release: impl Future<Output = ()>,
) {
    say(store, "lobby", 1, "green tea").await;
    indexed(store, "lobby").await;
    let first = async || store.entries(&group("lobby"), Offset(0), 0, 0).await.expect("entries").first;
    let bounds = Bounds { changes: Some(1), ..Bounds::default() };
    hold.await;
    let epoch = store.entries(&group("lobby"), Offset(0), 0, 0).await.expect("entries").head.epoch;
    for (offset, text) in [(1, "black coffee"), (2, "a"), (2, "b"), (2, "c"), (2, "d")] {
        let id = MessageId { epoch: epoch.clone(), offset: Offset(offset) };
        store.change(edit(&id, "ann", text)).await.expect("changed");
    }
    store.forget(&group("lobby"), bounds).await.expect("dropped");
    assert_eq!(first().await, Offset(3), "all five can be replayed");
    release.await;
    let dropping = async { while first().await < Offset(7) && store.forget(&group("lobby"), bounds).await.is_ok() {} };
    within("the changes to go", dropping).await;
    indexed(store, "lobby").await;
    assert_eq!(places(&search(store, "coffee", &room("lobby")).await), [("lobby", 1)]);
    assert_eq!(search(store, "tea", &room("lobby")).await.hits, []);
}

/// What a search gives, without what differs between two stores of the same messages.
pub(crate) async fn answers(store: &(impl Log + Search)) -> Vec<(String, Vec<Hit>, bool)> {
    let texts = [
        "Good morning! Tea, anybody?",
        "MORNING tea is the best tea",
        "我想喝茶 with tea",
        "喝茶喝茶",
        "The release is v1.2.3: https://example.org/releases/1.2.3",
        "the the the",
        "Zażółć gęślą jaźń",
        "no tea",
        "  ",
        "tea\r\ntea\ttea",
    ];
    let names = ["red", "green", "blue"];
    for number in 1..=150_u64 {
        let name = names[usize::try_from(number).expect("a small number") % 3];
        let text = texts[usize::try_from(number * 7).expect("a small number") % texts.len()];
        say(store, name, number, &format!("{text} {}", number / 10)).await;
    }
    for name in names {
        indexed(store, name).await;
    }
    let mut answers = Vec::new();
    for text in ["tea", "morning tea", "the", "喝茶", "茶", "\"1.2.3\" releases", "zazolc", "rel", "10", "no te"] {
        for place in [Within::Everything, room("red"), rooms(&["green", "blue"]), rooms(&["blue"])] {
            let Found { mut hits, complete } = search(store, text, &place).await;
            for hit in &mut hits {
                hit.id.clear();
            }
            answers.push((format!("{text:?} in {place:?}"), hits, complete));
        }
    }
    answers
}
