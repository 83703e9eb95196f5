//! Searching, by the HTTP API and on the page.

use std::time::Duration;

use confab::server::settings::{History, RoomRule, Settings};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, browser, rule},
    clients::V1,
    support::postgres::{Postgres, connection},
    within,
};

/// Says it in the rooms, and waits until it can be found.
async fn say(app: &TestApp, said: &[(&str, &str)]) {
    for (number, (group, text)) in said.iter().enumerate() {
        let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
        author.post(&format!("room/{group}"), &format!("k{number}"), text).await;
    }
    for (group, _) in said {
        is_indexed(app, group).await;
    }
}

/// Waits until the newest message of a room is found.
async fn is_indexed(app: &TestApp, group: &str) {
    let (_, messages) = app.all_messages(group).await;
    let newest = messages.last().expect("a message");
    let text = percent(newest["text"].as_str().expect("a text"));
    let asked = async {
        loop {
            let (status, body) = app.api(&format!("/api/v1/rooms/{group}/search?limit=100&q={text}")).await;
            assert_eq!(status, 200, "{body}");
            if body["hits"].as_array().expect("a list").iter().any(|hit| hit["id"] == newest["id"]) {
                return;
            }
        }
    };
    within("the index", asked).await;
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

/// Room and offset of each hit.
fn places(body: &Value) -> Vec<(&str, u64)> {
    let hits = body["hits"].as_array().unwrap_or_else(|| panic!("no hits: {body}"));
    hits.iter().map(|hit| (hit["group"].as_str().expect("a name"), hit["offset"].as_u64().expect("a number"))).collect()
}

async fn page(app: &TestApp, path: &str) -> (u16, String) {
    let response = app.get(path).await;
    (response.status().as_u16(), response.text().await.expect("a page"))
}

fn closed(pattern: &str) -> RoomRule {
    RoomRule { guests: false, ..rule(pattern, History::Store) }
}

#[tokio::test]
async fn messages_are_found_in_a_room_and_in_all() {
    let app = TestApp::start().await;
    say(&app, &[("a", "Tea & cake, 我们喝茶"), ("b", "no tea"), ("a", "coffee")]).await;
    let (status, body) = app.api("/api/v1/rooms/a/search?q=TEA").await;
    let (_, stored) = app.all_messages("a").await;
    let hit = json!({
        "group": "a",
        "offset": 1,
        "id": stored[0]["id"],
        "from": stored[0]["from"],
        "at": stored[0]["at"],
        "snippet": [{"text": "Tea", "match": true}, {"text": " & cake, 我们喝茶", "match": false}],
    });
    assert_eq!((status, body), (200, json!({"hits": [hit], "complete": true})));
    for (path, expected) in [
        ("search?q=tea", vec![("b", 1), ("a", 1)]),
        ("search?q=tea&limit=1", vec![("b", 1)]),
        ("search?q=%E8%8C%B6", vec![("a", 1)]),
        ("rooms/a/search?q=%E5%96%9D%E8%8C%B6", vec![("a", 1)]),
        ("rooms/b/search?q=coffee", vec![]),
        ("rooms/never-used/search?q=tea", vec![]),
        ("search?q=", vec![]),
        ("search?q=%22%20*%20OR", vec![]),
    ] {
        let (status, body) = app.api(&format!("/api/v1/{path}")).await;
        assert_eq!((status, places(&body)), (200, expected), "{path}");
    }
}

#[tokio::test]
async fn a_search_that_cannot_be_read_says_what_is_wrong() {
    let app = TestApp::with(|settings| settings.rooms = vec![closed("staff"), rule("a*", History::Store)]).await;
    let long = "x".repeat(257);
    for (path, status, code, text) in [
        ("search".to_owned(), 400, "bad_request", "q"),
        ("search?q=a&limit=0".to_owned(), 400, "bad_request", "limit is 1 to 100"),
        ("search?q=a&limit=101".to_owned(), 400, "bad_request", "limit is 1 to 100"),
        ("search?q=a&more=1".to_owned(), 400, "bad_request", "more"),
        (format!("search?q={long}"), 400, "bad_request", "at most 256 characters"),
        (format!("rooms/a/search?q={long}"), 400, "bad_request", "at most 256 characters"),
        ("rooms/staff/search?q=a".to_owned(), 403, "forbidden", "guests"),
        ("rooms/b/search?q=a".to_owned(), 404, "not_found", "no such room"),
        ("rooms/a.b/search?q=a".to_owned(), 404, "not_found", "group name"),
    ] {
        let (answered, body) = app.api(&format!("/api/v1/{path}")).await;
        assert_eq!((answered, body["error"]["code"].as_str()), (status, Some(code)), "{path}: {body}");
        assert!(body["error"]["message"].as_str().expect("a text").contains(text), "{path}: {body}");
    }
    let (status, body) = app.api(&format!("/api/v1/search?q={}", percent(&"中".repeat(256)))).await;
    assert_eq!((status, places(&body)), (200, vec![]));
}

#[tokio::test]
async fn nothing_is_found_in_rooms_that_are_closed_or_kept_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_owned();
    let mut app = TestApp::with(|settings| settings.server.data = data.clone()).await;
    let said = ["team-a", "team-b", "staff", "open"].map(|group| (group, "the secret"));
    say(&app, &said).await;
    assert_eq!(places(&app.api("/api/v1/search?q=secret").await.1).len(), 4);
    app.begin_to_stop();
    app.stopped().await;
    let restart = async |rules: Vec<RoomRule>| {
        TestApp::with(|settings: &mut Settings| {
            settings.server.data = data.clone();
            settings.rooms = rules;
        })
        .await
    };
    for (rules, expected) in [
        (vec![closed("staff"), rule("*", History::Store)], vec!["open", "team-a", "team-b"]),
        (vec![closed("team-a"), rule("team-*", History::Store), closed("*")], vec!["team-b"]),
        (vec![rule("open", History::Store)], vec!["open"]),
        (vec![rule("staff", History::Memory), rule("s*", History::Store), rule("team-a", History::Store)], vec!["team-a"]),
        (vec![closed("*"), rule("open", History::Store)], vec![]),
        (vec![rule("*", History::None)], vec![]),
    ] {
        let mut app = restart(rules.clone()).await;
        let (status, body) = app.api("/api/v1/search?q=secret").await;
        let mut found: Vec<_> = places(&body).into_iter().map(|place| place.0).collect();
        found.sort_unstable();
        assert_eq!((status, found), (200, expected.clone()), "{rules:?}");
        let (_, html) = page(&app, "/search/?q=secret").await;
        for (group, _) in said {
            assert_eq!(html.contains(&format!("/room/{group}/?around=")), expected.contains(&group), "{group} {rules:?}");
        }
        app.begin_to_stop();
        app.stopped().await;
    }
}

#[tokio::test]
async fn the_page_shows_what_was_found_and_leads_there() {
    let app = TestApp::start().await;
    let evil = "<b>tea</b> & </mark><script>alert(1)</script>";
    say(&app, &[("a", "first"), ("a", evil), ("b", "green tea")]).await;
    let (status, html) = page(&app, "/search/?q=tea").await;
    assert_eq!(status, 200);
    assert!(html.contains("<title>Search · Confab</title>") && html.contains("role=\"search\""), "{html}");
    assert!(
        html.contains("href=\"/room/a/?around=2#message-2\"") && html.contains("href=\"/room/b/?around=1#message-1\""),
        "{html}"
    );
    assert!(html.contains("<mark>tea</mark>") && html.contains("&lt;b&gt;"), "{html}");
    assert!(!html.contains("<script>alert") && !html.contains("<b>"), "{html}");
    assert!(html.contains("The 2 messages that fit best"), "{html}");
    let (_, there) = page(&app, "/room/a/?around=2").await;
    assert!(there.contains("id=\"message-2\""), "{there}");
    // In one room.
    let (_, html) = page(&app, "/search/?q=tea&room=b").await;
    assert!(html.contains("/room/b/?around=1") && !html.contains("/room/a/?around"), "{html}");
    assert!(html.contains("name=\"room\" value=\"b\"") && html.contains("Search in b"), "{html}");
    // The text is kept in the form, as a text.
    let (_, html) = page(&app, "/search/?q=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert!(!html.contains("<script>alert"), "{html}");
    let (_, input) = html.split_once("<input id=\"q\"").expect("the form");
    assert!(input.contains("value=\"&quot;&gt;&lt;script"), "{input}");
}

#[tokio::test]
async fn the_page_says_why_there_is_nothing() {
    let app =
        TestApp::with(|settings| settings.rooms = vec![closed("staff"), rule("m", History::Memory), rule("*", History::Store)])
            .await;
    let long = "x".repeat(257);
    for (query, status, text) in [
        ("", 200, "A message is found that has all words"),
        ("?q=", 200, "A message is found that has all words"),
        ("?q=&room=a", 200, "Search in a"),
        ("?q=tea", 200, "Nothing was found."),
        ("?q=tea&room=", 200, "Nothing was found."),
        ("?q=%3F!", 200, "Nothing was found."),
        ("?q=tea&q=cake", 200, "A message is found that has all words"),
        (&*format!("?q={long}"), 422, "This is 257 characters long; a search has at most 256."),
        ("?q=tea&room=m", 200, "not kept in the store"),
        ("?q=tea&room=staff", 403, "not open to guests"),
        ("?q=tea&room=a%20b", 404, "Nothing is here"),
    ] {
        let (answered, html) = page(&app, &format!("/search/{query}")).await;
        assert_eq!(answered, status, "{query}");
        assert!(html.contains(text), "{query}: {html}");
    }
    let (_, lobby) = page(&app, "/").await;
    assert!(lobby.contains("action=\"/search/\"") && lobby.contains("Search all rooms"), "{lobby}");
    let (_, room) = page(&app, "/room/a/").await;
    assert!(room.contains("href=\"/search/?room=a\""), "{room}");
}

#[tokio::test]
async fn a_store_that_cannot_be_searched_is_no_page_that_breaks() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("search.db")).expect("something in the index's place");
    let data = folder.path().to_owned();
    let app = TestApp::with(|settings| settings.server.data = data).await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    assert_eq!(author.post("room/a", "k", "tea").await, 1);
    let (status, body) = app.api("/api/v1/search?q=tea").await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")));
    let (status, html) = page(&app, "/search/?q=tea").await;
    assert_eq!(status, 503);
    assert!(html.contains("cannot be searched now") && html.contains("value=\"tea\""), "{html}");
    let answer = browser().get(app.url("/readyz")).timeout(Duration::from_mins(1)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "the rest of it works");
}

#[tokio::test]
async fn an_address_searches_once_at_a_time_and_a_few_more_wait() {
    let postgres = Postgres::shared().await;
    let url = postgres.database().await;
    let app = TestApp::with(|settings| settings.store.url = url.parse().expect("the URL of a database")).await;
    say(&app, &[("a", "tea")]).await;
    // Now whoever searches waits.
    let client = connection(&url).await;
    let lock = "BEGIN; LOCK TABLE confab.search_documents IN ACCESS EXCLUSIVE MODE";
    client.batch_execute(lock).await.expect("a lock");
    let paths = ["/api/v1/search?q=tea", "/search/?q=tea", "/api/v1/rooms/a/search?q=tea"];
    let searches = (0..12).map(|number| browser().get(app.url(paths[number % 3])).send());
    let mut searches: FuturesUnordered<_> = searches.collect();
    for _ in 0..2 {
        let refused = within("an answer", searches.next()).await.expect("searches").expect("an answer");
        assert_eq!(refused.status(), 429, "{}", refused.url());
        assert!(refused.headers().contains_key("retry-after"), "{}", refused.url());
    }
    client.batch_execute("ROLLBACK").await.expect("let go");
    while let Some(found) = within("an answer", searches.next()).await {
        assert_eq!(found.expect("an answer").status(), 200);
    }
    assert_eq!(app.api("/api/v1/search?q=tea").await.0, 200);
}
