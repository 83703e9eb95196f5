//! What readers are sent is bounded in bytes, whatever somebody has planted in a room, and nothing becomes unreachable by that.

use confab::{
    app::rendered_bytes,
    server::settings::{History, Settings},
    wire::Stretch,
};
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    app::{Http as _, TestApp, offset, rule},
    clients::V1,
    people::Somebody,
};

/// What messages take of a page and of an answer.
const BOUND: usize = 512 << 10;
/// What a page has beside its messages, at most.
const AROUND: usize = 24 << 10;

/// Rooms of two kinds: `s-*` in the store, `m-*` in memory.
fn kept(settings: &mut Settings) {
    settings.rooms = vec![rule("s-*", History::Store), rule("m-*", History::Memory)];
}

const KEPT: [&str; 2] = ["s-a", "m-a"];

/// The guest of this number, under a name of signs that are written in several bytes each.
async fn guest(app: &TestApp, group: &str, number: usize) -> V1 {
    let cookie = format!("confab_guest={number:032x}; confab_name={}", "%3C".repeat(40));
    V1::with(app.address, &format!("/room/{group}/"), &[("cookie", &cookie)]).await
}

/// A room's page.
async fn page(app: &TestApp, path: &str) -> String {
    let answer = app.get(path).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.expect("a page")
}

/// The offsets of the messages on a page.
fn shown(page: &str) -> Vec<u64> {
    let offsets = page.split("id=\"message-").skip(1).filter_map(|rest| rest.split('"').next());
    offsets.map(|offset| offset.parse().expect("an offset")).collect()
}

/// Goes through a room page by page, each of which is bounded, and gives the offsets of all messages.
async fn read_back(app: &TestApp, group: &str) -> Vec<u64> {
    let (mut all, mut path) = (Vec::new(), format!("/room/{group}/"));
    loop {
        let page = page(app, &path).await;
        let here = shown(&page);
        assert!(page.len() <= BOUND + AROUND || here.len() == 1, "{path} has {} bytes of {} messages", page.len(), here.len());
        all.splice(0..0, here);
        let Some((_, rest)) = page.split_once("?before=") else { return all };
        path = format!("/room/{group}/?before={}", rest.split('"').next().expect("an offset"));
    }
}

/// The answers to joins and of the API are bounded, and lead on to the end.
async fn assert_answers_are_bounded(app: &TestApp, group: &str, all: &[u64]) {
    let mut late = V1::connect(app.address, "/ws/").await;
    let state = late.join(&format!("room/{group}"), None).await;
    let newest: Vec<_> = state["events"].as_array().expect("a list").iter().map(offset).collect();
    assert!(state.to_string().len() <= BOUND + 1_000 && all.ends_with(&newest) && !newest.is_empty(), "{newest:?}");
    let (_, newest) = app.api(&format!("/api/v1/rooms/{group}/messages?limit=200")).await;
    assert!(newest.to_string().len() <= BOUND + 1_000, "{}", newest.to_string().len());
    let reached: Vec<_> = app.all_messages(group).await.1.iter().map(offset).collect();
    assert_eq!(reached, all, "{group}");
    let export = app.get(&format!("/api/v1/rooms/{group}/export")).await.text().await.expect("a body");
    assert_eq!(export.lines().count(), all.len());
}

#[tokio::test]
async fn planted_reactions_make_no_page_and_no_answer_larger_than_its_bound() {
    const MESSAGES: u64 = 14;
    const PEOPLE: usize = 42;
    let app = TestApp::with(kept).await;
    for group in KEPT {
        let topic = format!("room/{group}");
        let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
        for number in 1..=MESSAGES {
            author.post(&topic, &format!("k{number}"), "Vote!").await;
        }
        let epoch = author.welcome["joined"]["epoch"].as_str().expect("an epoch").to_owned();
        // All twenty kinds by more people than are named.
        join_all((0..PEOPLE).map(async |number| {
            let mut guest = guest(&app, group, number).await;
            for message in 1..=MESSAGES {
                for kind in 0..10 {
                    let emoji = format!("{}{}{kind}", "<".repeat(30), number % 2);
                    let message = format!("{epoch}-{message}");
                    guest.ok(json!({"react": {"topic": &topic, "message": message, "emoji": emoji, "on": true}})).await;
                }
            }
        }))
        .await;
        let all: Vec<u64> = (1..=MESSAGES).collect();
        assert!(shown(&page(&app, &format!("/room/{group}/")).await).len() < all.len(), "it is more than a page takes");
        assert_eq!(read_back(&app, group).await, all, "{group}");
        assert_answers_are_bounded(&app, group, &all).await;
    }
    // The list of rooms shows none of it.
    let rooms = V1::connect(app.address, "/ws/").await.join("lobby", None).await["rooms"].clone();
    assert_eq!(rooms.as_array().map(Vec::len), Some(2));
    assert!(!rooms.to_string().contains("reactions"), "{rooms}");
    assert!(!page(&app, "/").await.contains("reactions"));
}

#[tokio::test]
async fn signs_that_are_written_in_many_bytes_are_counted_as_they_are_sent() {
    let app = TestApp::with(kept).await;
    for group in KEPT {
        let topic = format!("room/{group}");
        let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
        for (number, sign) in (1..=24).zip(["<", "\\", "\"", "\u{200b}", "x", "👍"].into_iter().cycle()) {
            // Something of a text is seen.
            author.post(&topic, &format!("k{number}"), &format!("x{}", sign.repeat(40_000 / sign.len()))).await;
        }
        let all: Vec<u64> = (1..=24).collect();
        assert_eq!(read_back(&app, group).await, all, "{group}");
        assert_answers_are_bounded(&app, group, &all).await;
        // What is missing is 1 MiB as it is sent, or the newest.
        let state = author.join(&topic, Some(&json!({"epoch": author.position()["epoch"], "offset": 0}))).await;
        assert_eq!(state["recovered"], false, "{group}");
        let since = json!({"epoch": author.position()["epoch"], "offset": 16});
        let state = author.join(&topic, Some(&since)).await;
        assert_eq!((&state["recovered"], state["events"].as_array().map(Vec::len)), (&json!(true), Some(8)), "{group}");
        // One that is alone over the bound is shown alone.
        author.post(&topic, "long", &"<".repeat(65_536)).await;
        assert_eq!(shown(&page(&app, &format!("/room/{group}/")).await), [25]);
        assert_eq!(read_back(&app, group).await, (1..=25).collect::<Vec<_>>(), "{group}");
    }
}

#[tokio::test]
async fn what_a_page_is_reckoned_to_have_it_has() {
    let app = TestApp::with(kept).await;
    let group = "s-a";
    let empty = page(&app, "/room/s-a/").await.len();
    assert!(empty < AROUND, "{empty}");
    let mut authors = Vec::new();
    for number in 0..2 {
        authors.push(guest(&app, group, number).await);
    }
    let epoch = authors[0].welcome["joined"]["epoch"].as_str().expect("an epoch").to_owned();
    for number in 1..=40_usize {
        let text = ["short", "<b>\"quoted\" & more</b>\n", "👍 e\u{301}\u{200b}", "\\\t\u{1}"][number % 4].repeat(number);
        let author = &mut authors[number / 5 % 2];
        author.post("room/s-a", &format!("k{number}"), &text).await;
    }
    for (number, author) in authors.iter_mut().enumerate() {
        for message in 1..=10 {
            for kind in 0..message {
                let react = json!({"topic": "room/s-a", "message": format!("{epoch}-{message}"), "emoji": format!("👍{number}{kind}"), "on": true});
                author.ok(json!({"react": react})).await;
            }
        }
    }
    let page = page(&app, "/room/s-a/").await;
    let (_, stretch) = app.api("/api/v1/rooms/s-a/messages").await;
    let stretch: Stretch = serde_json::from_value(stretch).expect("a stretch");
    let reckoned: usize = stretch.messages.iter().map(rendered_bytes).sum();
    let real = page.len() - empty;
    assert!(real <= reckoned && reckoned <= 2 * real, "{real} bytes, reckoned as {reckoned}");
    assert_eq!(shown(&page).len(), 40);
}

#[tokio::test]
async fn planted_rooms_make_no_list_larger_than_its_bound_and_each_is_reached() {
    let app = TestApp::start().await;
    let ann = Somebody::new(&app, "ann").await;
    let mut database = rusqlite::Connection::open(app.data().join("confab.db")).expect("the database");
    let all = database.transaction().expect("a transaction");
    let name = "<>&\"'".repeat(10);
    for number in 0..1_500 {
        let room = format!("direct-{number:032x}");
        let make = "INSERT INTO room_records (room, kind, title, topic, posting, people, made, changed)
            VALUES (?1, 'direct', '', '', 'everybody', ?1, 1, 1)";
        all.execute(make, [&room]).expect("a room");
        for person in 0..8 {
            let id = if person == 0 { ann.id.clone() } else { format!("a{number}-{person}") };
            let add = "INSERT INTO room_members (room, person, name, role, joined) VALUES (?1, ?2, ?3, 'member', 1)";
            all.execute(add, [&room, &id, &name]).expect("a member");
        }
    }
    all.commit().expect("it is written");
    let (mut path, mut reached) = ("/".to_owned(), std::collections::BTreeSet::new());
    loop {
        let (status, page) = ann.get(&app, &path).await;
        assert!(status == 200 && page.len() <= BOUND + AROUND, "{path}: {} bytes", page.len());
        let before = reached.len();
        reached.extend(page.split("href=\"/room/direct-").skip(1).filter_map(|rest| Some(rest.get(..32)?.to_owned())));
        assert!(reached.len() > before, "{path} shows nothing new");
        let Some((_, rest)) = page.split_once("?own=") else { break };
        path = format!("/?own={}", rest.split('"').next().expect("a place"));
    }
    assert_eq!(reached.len(), 1_500);
}
