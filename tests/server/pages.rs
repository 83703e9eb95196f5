//! Pages as they come from the server, and the forms on them, which work without a script.

use std::{collections::HashSet, io::Read as _};

use confab::server::{
    routing::routes,
    settings::{History, Pattern, RoomRule, TokenRule},
    who::Route,
};
use reqwest::{Client, Response};
use serde_json::Value;

use crate::{
    app::{Http as _, TestApp, browser, rule},
    clients::V1,
    within,
};

/// May send to every room.
const TOKEN: &str = "cron-0123456789abcdef";
const EVIL: &str = "<script>alert(1)</script>";

async fn posted(client: &Client, url: &str, fields: &[(&str, &str)]) -> Response {
    within(url, client.post(url).form(fields).send()).await.expect("an answer")
}

async fn shown(client: &Client, url: &str) -> String {
    within(url, client.get(url).send()).await.expect("an answer").text().await.expect("a page")
}

fn location(response: &Response) -> &str {
    response.headers()["location"].to_str().expect("ASCII")
}

/// What stands between two marks, the first time.
fn between<'h>(html: &'h str, start: &str, end: &str) -> &'h str {
    let (_, rest) = html.split_once(start).unwrap_or_else(|| panic!("no {start} in {html}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} in {html}")).0
}

/// The texts of the messages in the markup.
fn texts(html: &str) -> Vec<&str> {
    html.split("class=\"text\" dir=\"auto\">").skip(1).map(|rest| rest.split('<').next().unwrap_or_default()).collect()
}

async fn say(app: &TestApp, group: &str, from: u64, to: u64) {
    let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
    for n in from..=to {
        assert_eq!(author.post(&format!("room/{group}"), &format!("k{n}"), &format!("message-{n:03}")).await, n);
    }
}

#[tokio::test]
async fn the_page_of_a_room_has_the_newest_fifty_and_leads_to_those_before() {
    let app = TestApp::start().await;
    say(&app, "a", 1, 60).await;
    let expected = |from: u64, to: u64| (from..=to).map(|n| format!("message-{n:03}")).collect::<Vec<_>>();
    let page = shown(&browser(), &app.url("/room/a/")).await;
    assert_eq!(texts(&page), expected(11, 60));
    assert!(page.contains("/room/a/?before=11"), "no way to the earlier ones");
    let earlier = shown(&browser(), &app.url("/room/a/?before=11")).await;
    assert_eq!(texts(&earlier), expected(1, 10));
    assert!(!earlier.contains("?before="));
    assert!(earlier.contains("/room/a/?after=10#messages"), "no way to the later ones");
    let middle = shown(&browser(), &app.url("/room/a/?before=55")).await;
    assert_eq!(texts(&middle), expected(5, 54));
    let later = shown(&browser(), &app.url("/room/a/?after=10")).await;
    assert_eq!(texts(&later), expected(11, 60));
    assert!(later.contains("?before=11") && !later.contains("?after="), "these are the newest");
    let around = shown(&browser(), &app.url("/room/a/?around=30")).await;
    assert_eq!(texts(&around), expected(5, 54));
    assert!(around.contains("?before=5") && around.contains("?after=54"));
    assert!(texts(&shown(&browser(), &app.url("/room/a/?after=60")).await).is_empty());
    assert!(texts(&shown(&browser(), &app.url("/room/a/?before=1")).await).is_empty());
    // A number that is none shows the newest.
    assert_eq!(texts(&shown(&browser(), &app.url("/room/a/?before=x")).await), expected(11, 60));
}

#[tokio::test]
async fn what_people_write_is_text_wherever_it_stands() {
    let app = TestApp::start().await;
    let client = browser();
    let named = posted(&client, &app.url("/me"), &[("name", EVIL), ("next", "/room/a/")]).await;
    assert_eq!(named.status(), 303);
    let text = format!("{EVIL}</p></li></ol></script><!-- & \" ' </textarea>");
    assert_eq!(posted(&client, &app.url("/room/a/"), &[("key", "k1"), ("text", &text)]).await.status(), 303);
    let lobby = app.url("/");
    let room = app.url("/room/a/");
    for url in [&lobby, &room] {
        for reader in [&client, &browser()] {
            let page = shown(reader, url).await;
            assert!(!page.contains("<script>alert"), "{page}");
            assert!(page.contains("&lt;script&gt;alert(1)"), "the markup has it: {page}");
            assert!(
                !page.contains("</script><!--") && !page.contains("</textarea>\"") && !page.contains("' </textarea>"),
                "{page}"
            );
            // In the data beside the markup, too, nothing ends the script that holds it.
            let scripts: Vec<_> = page.split("<script").skip(1).map(|rest| between(rest, ">", "</script>")).collect();
            let data = scripts.iter().filter(|script| script.contains("alert(1)")).count();
            assert_eq!(data, 1, "the data has it once: {page}");
        }
    }
}

#[tokio::test]
async fn the_page_that_all_share_is_each_ones_own_and_shows_at_once_what_is_new() {
    let app = TestApp::start().await;
    let (ann, bob) = (browser(), browser());
    let url = app.url("/room/a/");
    for (client, name) in [(&ann, "Ann <&\"'"), (&bob, "Bob")] {
        posted(client, &app.url("/me"), &[("name", name)]).await;
    }
    assert!(shown(&ann, &url).await.contains("Nothing has been said here yet"));
    for n in 0..4 {
        for (client, word) in [(&ann, "tea"), (&bob, "coffee")] {
            let text = format!("{word} {n}");
            posted(client, &url, &[("key", &format!("k{n}")), ("text", &text)]).await;
            let [to_ann, to_bob] = [shown(&ann, &url).await, shown(&bob, &url).await];
            for page in [&to_ann, &to_bob] {
                assert_eq!(texts(page).last(), Some(&text.as_str()), "what was said is there at once");
            }
            assert!(to_ann.contains("<bdi class=\"name\">Ann &lt;&amp;&quot;'</bdi>"), "{to_ann}");
            assert!(to_bob.contains("<bdi class=\"name\">Bob</bdi>"));
            let own = |page: &str| page.matches("class=\"message mine").count();
            assert_eq!(own(&to_ann) + own(&to_bob), texts(&to_ann).len(), "each message is somebody's own");
            let keys = [&to_ann, &to_bob].map(|page| between(page, "name=\"key\" value=\"", "\""));
            assert_ne!(keys[0], keys[1]);
        }
    }
    assert!(shown(&ann, &app.url("/room/b/")).await.contains("Nothing has been said here yet"), "another room's is its own");
}

#[tokio::test]
async fn pages_go_out_in_gzip_to_those_who_take_it() {
    let app = TestApp::start().await;
    say(&app, "a", 1, 50).await;
    let (reader, author) = (browser(), browser());
    posted(&author, &app.url("/room/a/"), &[("key", "k"), ("text", "my own")]).await;
    for client in [&reader, &author] {
        for path in ["/", "/room/a/", "/room/a/?before=20", "/search/?q=message"] {
            let url = app.url(path);
            let plain = shown(client, &url).await;
            let answer = within(path, client.get(&url).header("accept-encoding", "br, gzip").send()).await.expect("an answer");
            assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
            assert!(answer.headers()["vary"].to_str().expect("ASCII").contains("accept-encoding"));
            let packed = answer.bytes().await.expect("a body");
            let mut page = String::new();
            flate2::read::GzDecoder::new(&*packed).read_to_string(&mut page).expect("gzip");
            assert_eq!(texts(&page), texts(&plain), "{path}");
            assert_eq!(page.len(), plain.len(), "{path}");
            assert!(packed.len() * 2 < page.len(), "{path}: {} of {}", packed.len(), page.len());
        }
    }
}

#[tokio::test]
async fn the_form_says_something_and_leads_back() {
    let app = TestApp::start().await;
    let client = browser();
    let room = app.url("/room/a/");
    let page = shown(&client, &room).await;
    let form = between(&page, "<form method=\"post\" action=\"/room/a/\"", "</form>");
    let key = between(between(form, "name=\"key\"", ">"), "value=\"", "\"");
    // The button may be pressed twice.
    for _ in 0..2 {
        let answer = posted(&client, &room, &[("key", key), ("text", "two\r\nlines")]).await;
        assert_eq!((answer.status().as_u16(), location(&answer)), (303, "/room/a/"));
    }
    for blank in ["", "   ", "\r\n\t", "\u{200b}", "\u{ad}\u{2800}", "\0"] {
        let answer = posted(&client, &room, &[("key", "blank"), ("text", blank)]).await;
        assert_eq!((answer.status().as_u16(), location(&answer)), (303, "/room/a/"), "{blank:?}");
    }
    let (_, stored) = app.all_messages("a").await;
    let said: Vec<_> = stored.iter().map(|message| (&message["key"], &message["text"])).collect();
    assert_eq!(said, [(&key.into(), &"two\nlines".into())]);
    let page = shown(&client, &room).await;
    assert_eq!(texts(&page), ["two\nlines"]);
    let next = between(between(&page, "name=\"key\"", ">"), "value=\"", "\"");
    assert_ne!(next, key, "the next message has a key of its own");
}

#[tokio::test]
async fn a_form_that_is_used_again_for_another_text_loses_nothing() {
    let app = TestApp::start().await;
    let client = browser();
    let room = app.url("/room/a/");
    let say = async |text: &str| posted(&client, &room, &[("key", "K"), ("text", text)]).await;
    for _ in 0..2 {
        assert_eq!(say("first").await.status(), 303);
    }
    let again = say("second & last").await;
    assert_eq!(again.status(), 409);
    let page = again.text().await.expect("a page");
    let area = between(&page, "<textarea", "</textarea>");
    assert!(area.ends_with(">second &amp; last"), "the text is kept: {area}");
    let key = between(between(&page, "name=\"key\"", ">"), "value=\"", "\"");
    assert_eq!(posted(&client, &room, &[("key", key), ("text", "second & last")]).await.status(), 303);
    // Line ends are no difference.
    assert_eq!(posted(&client, &room, &[("key", "L"), ("text", "two\nlines")]).await.status(), 303);
    assert_eq!(posted(&client, &room, &[("key", "L"), ("text", "two\r\nlines\r\n")]).await.status(), 303);
    let said: Vec<_> = app.all_messages("a").await.1.iter().map(|message| message["text"].clone()).collect();
    assert_eq!(said, ["first", "second & last", "two\nlines"]);
}

#[tokio::test]
async fn a_form_reaches_the_members_and_its_author_is_the_one_on_the_socket() {
    let app = TestApp::start().await;
    let client = browser();
    let named = posted(&client, &app.url("/me"), &[("name", "Zoë 🦀"), ("next", "/room/a/?before=7")]).await;
    assert_eq!((named.status().as_u16(), location(&named)), (303, "/room/a/?before=7"));
    let cookies: Vec<_> = named.headers().get_all("set-cookie").iter().map(|value| value.to_str().expect("ASCII")).collect();
    assert_eq!(cookies.len(), 2);
    for cookie in &cookies {
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"), "{cookie}");
    }
    let pairs: Vec<_> = cookies.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    let mut v1 = V1::with(app.address, "/room/a/", &[("cookie", &pairs.join("; "))]).await;
    assert_eq!(v1.welcome["you"]["name"], "Zoë 🦀");
    posted(&client, &app.url("/room/a/"), &[("key", "k"), ("text", "from the form")]).await;
    let push = v1.push().await;
    assert_eq!(push["event"]["text"], "from the form");
    assert_eq!(push["event"]["from"], v1.welcome["you"]);
    let page = shown(&client, &app.url("/room/a/")).await;
    assert!(page.contains("<bdi class=\"author\">Zoë 🦀</bdi>"), "{page}");
    // Who has a cookie gets no other one.
    let again = within("a page", client.get(app.url("/room/a/")).send()).await.expect("an answer");
    assert_eq!(again.headers().get("set-cookie"), None);
}

#[tokio::test]
async fn a_cookie_of_another_program_takes_nobodys_identity_away() {
    let app = TestApp::start().await;
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let ours = "confab_guest=0123456789abcdef0123456789abcdef; confab_name=Ann";
    let you = V1::with(app.address, "/ws/", &[("cookie", ours)]).await.welcome["you"].clone();
    for beside in [&b"city=Z\xc3\xbcrich"[..], b"city=Z\xfcrich", b"confab_guest=broken; confab_name=%", b"x"] {
        let line = [beside, b"; ", ours.as_bytes()].concat();
        let cookie = reqwest::header::HeaderValue::from_bytes(&line).expect("a header");
        for path in ["/", "/room/a/", "/search/"] {
            let answer = within(path, client.get(app.url(path)).header("cookie", &cookie).send()).await.expect("an answer");
            assert_eq!(answer.headers().get("set-cookie"), None, "{path} {cookie:?}");
            assert!(answer.text().await.expect("a page").contains("<bdi class=\"name\">Ann</bdi>"), "{path} {cookie:?}");
        }
        let form = client.post(app.url("/room/a/")).header("cookie", &cookie).form(&[("key", "k"), ("text", "hello")]);
        let answer = within("an answer", form.send()).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers().get("set-cookie")), (303, None), "{cookie:?}");
    }
    let (_, stored) = app.all_messages("a").await;
    assert_eq!(stored.iter().map(|message| &message["from"]).collect::<Vec<_>>(), [&you], "one person, one message");
}

#[tokio::test]
async fn what_needs_no_identity_makes_none() {
    let app = TestApp::start().await;
    for path in ["/nothing", "/room/a", "/room/?group=a", "/api/v1/rooms/a/messages", "/healthz"] {
        assert_eq!(app.get(path).await.headers().get("set-cookie"), None, "{path}");
    }
    for fields in [&[("key", "k"), ("text", " ")][..], &[("text", "x")]] {
        let answer = posted(&browser(), &app.url("/room/a/"), fields).await;
        assert_eq!(answer.headers().get("set-cookie"), None, "{fields:?}");
    }
    // Whatever a page of the routes answers that is no page for its reader: a mistake, or where to go.
    let mut looked_at = 0;
    for (path, Route { methods, .. }) in routes() {
        let path =
            path.replace("{group}", "a").replace("{room}", "a").replace("{token}", &"0".repeat(64)).replace("{code}", "x");
        let path = path.replace("{account}", "a0").replace(['{', '}'], "").replace('*', "");
        // Who takes a name becomes somebody.
        for method in methods.iter().filter(|method| **method != "HEAD" && path != "/me") {
            let method: reqwest::Method = method.parse().expect("a method");
            let form = [("name", "x"), ("password", "wrong password")];
            let request = browser().request(method.clone(), app.url(&path)).form(&form);
            let answer = within(&path, request.send()).await.expect("an answer");
            if !answer.status().is_success() && answer.status().as_u16() != 101 {
                looked_at += 1;
                // To forget is no identity.
                let given = answer.headers().get_all("set-cookie").iter();
                let given: Vec<_> = given.filter(|cookie| !cookie.to_str().is_ok_and(|it| it.contains("Max-Age=0"))).collect();
                assert!(given.is_empty(), "{method} {path}: {} {given:?}", answer.status());
            }
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

#[tokio::test]
async fn a_text_that_is_too_long_is_not_lost() {
    let app = TestApp::with(|settings| settings.limits.message_bytes = 100).await;
    let text = format!("</textarea>{EVIL} & {}", "x".repeat(100));
    let answer = posted(&browser(), &app.url("/room/a/"), &[("key", "k"), ("text", &text)]).await;
    assert_eq!(answer.status(), 413);
    let page = answer.text().await.expect("a page");
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let area = between(&page, "<textarea", "</textarea>");
    assert_eq!(area.split_once('>').map(|(_, text)| text), Some(&*escaped));
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("at most 100"), "the bound is named: {page}");
    assert!(app.all_messages("a").await.1.is_empty());
}

#[tokio::test]
async fn a_form_that_is_none_or_comes_from_elsewhere_changes_nothing() {
    let app = TestApp::start().await;
    let room = app.url("/room/a/");
    let client = browser();
    for fields in [&[("text", "x")][..], &[("key", "k")], &[("key", "a b"), ("text", "x")], &[]] {
        assert_eq!(posted(&client, &room, fields).await.status(), 422, "{fields:?}");
    }
    let json = client.post(&room).header("content-type", "application/json").body("{}").send();
    assert_eq!(within("an answer", json).await.expect("an answer").status(), 415);
    let own = app.url("");
    for (origin, room_status) in [("https://foreign.example", 403), ("null", 403), (&*own, 303)] {
        for (path, fields) in [("/room/a/", [("key", "k"), ("text", "x")]), ("/me", [("name", "Eve"), ("next", "/")])] {
            let request = client.post(app.url(path)).header("origin", origin).form(&fields);
            let answer = within("an answer", request.send()).await.expect("an answer");
            assert_eq!(answer.status(), room_status, "{origin} {path}");
            assert_eq!(answer.headers().contains_key("set-cookie"), room_status == 303, "{origin} {path}");
        }
        let stored = app.all_messages("a").await.1.len();
        assert_eq!(stored, usize::from(room_status == 303), "{origin}");
    }
}

#[tokio::test]
async fn a_form_that_does_not_say_its_origin_is_told_by_what_else_a_browser_says() {
    let app = TestApp::start().await;
    let own = app.url("/room/a/");
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 303),
        ("sec-fetch-site", "none", 303),
        ("referer", "https://foreign.example/page", 403),
        ("referer", "https://foreign.example?http://127.0.0.1", 403),
        ("referer", "http://127.0.0.1.foreign.example/", 403),
        ("referer", "nonsense", 403),
        ("referer", &own, 303),
    ] {
        let request = browser().post(app.url("/me")).header(name, value).form(&[("name", "Eve"), ("next", "/")]);
        let answer = within("an answer", request.send()).await.expect("an answer");
        assert_eq!(answer.status(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_new_name_leads_back_to_this_server_only() {
    let app = TestApp::start().await;
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "room/a/",
        "",
        "/\t/evil.example",
    ] {
        let answer = posted(&browser(), &app.url("/me"), &[("name", "Ann"), ("next", next)]).await;
        assert_eq!((answer.status().as_u16(), location(&answer)), (303, "/"), "{next:?}");
    }
    for name in ["", "   ", "\u{200b}\u{200b}", "\u{2800}", "\u{3164}", "\u{202e}", &"x".repeat(41)] {
        let answer = posted(&browser(), &app.url("/me"), &[("name", name), ("next", "/")]).await;
        assert_eq!(answer.status(), 422, "{name:?}");
        assert!(
            !answer.headers().contains_key("set-cookie")
                || !answer.headers()["set-cookie"].as_bytes().starts_with(b"confab_name")
        );
    }
}

#[tokio::test]
async fn a_room_is_gone_to_by_its_name() {
    let app = TestApp::start().await;
    let answer = app.get("/room/?group=general").await;
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, "/room/general/"));
    for (query, shown) in [("a%20b", "a b"), ("%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", "&lt;script"), ("%C3%A9", "é")] {
        let answer = app.get(&format!("/room/?group={query}")).await;
        assert_eq!(answer.status(), 422, "{query}");
        let page = answer.text().await.expect("a page");
        let input = between(&page, "<input id=\"group\"", ">");
        assert!(page.contains("1 to 64"), "{page}");
        assert!(input.contains(shown), "the text is kept: {query}: {input}");
        assert!(!page.contains("<script>alert"), "{page}");
    }
}

#[tokio::test]
async fn an_address_without_its_slash_leads_to_the_one_with_it_and_loses_nothing() {
    let app = TestApp::start().await;
    for (path, leads_to) in [
        ("/room/a", "/room/a/"),
        ("/room/a?around=5", "/room/a/?around=5"),
        ("/room/a?before=5&x=%20%2F", "/room/a/?before=5&x=%20%2F"),
        ("/room/a?", "/room/a/?"),
    ] {
        let answer = app.get(path).await;
        assert_eq!((answer.status().as_u16(), location(&answer)), (308, leads_to), "{path}");
    }
}

#[tokio::test]
async fn the_lobby_shows_the_rooms_with_their_latest_message() {
    let app = TestApp::with(|settings| {
        settings.rooms = vec![rule("hidden", History::None), rule("*", History::Store)];
    })
    .await;
    say(&app, "a", 1, 3).await;
    let page = app.get("/").await.text().await.expect("a page");
    assert!(page.contains("href=\"/room/a/\"") && page.contains("message-003") && !page.contains("message-002"), "{page}");
}

/// The names of the rooms in the markup.
fn rooms(html: &str) -> Vec<&str> {
    html.split("<a href=\"/room/").skip(1).map(|rest| rest.split('/').next().unwrap_or_default()).collect()
}

/// Where a link of this class leads to.
fn link<'h>(html: &'h str, class: &str) -> Option<&'h str> {
    let link =
        html.split("<a ").find(|link| link.split('>').next().is_some_and(|tag| tag.contains(&format!("class=\"{class}\""))))?;
    Some(between(link, "href=\"", "\""))
}

#[tokio::test]
async fn the_lobby_has_every_room_page_by_page_whatever_is_said_in_closed_ones() {
    let app = TestApp::with(|settings| {
        let closed = RoomRule { guests: false, ..rule("closed-*", History::Store) };
        settings.rooms = vec![closed, rule("memory-*", History::Memory), rule("*", History::Store)];
        let groups = vec![Pattern::for_rooms("*").expect("a pattern")];
        let (name, token) = ("cron".parse().expect("a name"), TOKEN.parse().expect("a token"));
        settings.tokens = vec![TokenRule { name, token, groups, channels: false }];
    })
    .await;
    let client = browser();
    let push = async |name: &str| {
        let request = client.post(app.url(&format!("/api/v1/groups/{name}/send"))).bearer_auth(TOKEN);
        let request = request.header("content-type", "text/plain").body("hello");
        assert_eq!(within("a push", request.send()).await.expect("an answer").status(), 200, "{name}");
    };
    let mut expected = Vec::new();
    for n in 0..130 {
        // Of every thirteen one is of the other store.
        let name = if n % 13 == 0 { format!("memory-{n:03}") } else { format!("store-{n:03}") };
        push(&name).await;
        expected.insert(0, name);
    }
    for n in 0..100 {
        push(&format!("closed-{n:03}")).await;
    }
    let first = app.get("/").await.text().await.expect("a page");
    // What is said in the two stores within one millisecond has no order.
    let by_store = |names: &[&str]| {
        let of = |store: &str| {
            names.iter().filter(|name| name.starts_with(store)).map(|name| (*name).to_owned()).collect::<Vec<_>>()
        };
        (of("store-"), of("memory-"))
    };
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    assert_eq!(by_store(&rooms(&first)), by_store(&expected[..100]));
    let next = link(&first, "more").expect("a way to the others").replace("&amp;", "&");
    // What is said meanwhile takes none over the edge.
    push("store-001").await;
    push("memory-000").await;
    let second = app.get(&next).await.text().await.expect("a page");
    let rest: Vec<_> = expected[100..].iter().copied().filter(|name| !["store-001", "memory-000"].contains(name)).collect();
    assert_eq!(by_store(&rooms(&second)), by_store(&rest));
    assert_eq!(link(&second, "more"), None);
    assert!(second.contains("Newest rooms"));

    let found = app.get("/?group=E-12").await.text().await.expect("a page");
    let twelves = (120..130).rev().map(|n| format!("store-{n}"));
    assert_eq!(rooms(&found), twelves.collect::<Vec<_>>());
    assert_eq!(between(between(&found, "<input id=\"group\"", ">"), "value=\"", "\""), "E-12");
    let none = app.get("/?group=closed").await.text().await.expect("a page");
    assert!(rooms(&none).is_empty() && none.contains("No room has “closed” in its name"), "{none}");

    let (status, list) = app.api("/api/v1/rooms?name=MEMORY").await;
    assert_eq!((status, list["rooms"].as_array().map(Vec::len), &list["next"]), (200, Some(10), &Value::Null));
    assert_eq!(list["rooms"][0]["group"], "memory-000");
    let (status, list) = app.api("/api/v1/rooms").await;
    assert_eq!((status, list["rooms"].as_array().map(Vec::len)), (200, Some(100)));
    let (_, rest) = app.api(&format!("/api/v1/rooms?before={}", list["next"].as_str().expect("a place"))).await;
    assert_eq!((rest["rooms"].as_array().map(Vec::len), &rest["next"]), (Some(30), &Value::Null));
    for bad in ["before=x", "limit=3"] {
        let (status, error) = app.api(&format!("/api/v1/rooms?{bad}")).await;
        assert_eq!((status, &error["error"]["code"]), (400, &"bad_request".into()), "{bad}");
    }
}

#[tokio::test]
async fn whether_another_room_is_meant_is_asked_where_only_the_case_differs() {
    let app = TestApp::start().await;
    say(&app, "design", 1, 1).await;
    let asked = app.get("/room/?group=Design").await;
    assert_eq!(asked.status(), 200);
    let page = asked.text().await.expect("a page");
    assert!(page.contains("Go to design") && page.contains("href=\"/room/design/\""), "{page}");
    assert!(page.contains("Make Design") && page.contains("href=\"/room/Design/\""), "{page}");
    for name in ["design", "designs"] {
        let answer = app.get(&format!("/room/?group={name}")).await;
        assert_eq!((answer.status().as_u16(), location(&answer)), (303, &*format!("/room/{name}/")));
    }
    // Once both are there, both are meant.
    say(&app, "Design", 1, 1).await;
    let answer = app.get("/room/?group=Design").await;
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, "/room/Design/"));
}

#[tokio::test]
async fn every_page_has_a_policy_with_a_nonce_of_its_own() {
    let app = TestApp::start().await;
    let mut nonces = HashSet::new();
    for path in ["/nothing/here", "/room/a.b/"] {
        let answer = app.get(path).await;
        let policy = answer.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        assert_eq!(answer.headers()["referrer-policy"], "same-origin");
        assert!(!answer.text().await.expect("a page").contains("<script"), "on a page without a program nothing runs");
    }
    for path in ["/", "/room/a/", "/room/a/"] {
        let answer = app.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "private, no-cache, no-transform"),
        ] {
            assert_eq!(answer.headers().get(name).and_then(|value| value.to_str().ok()), Some(value), "{path}");
        }
        let policy = answer.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline"), "{policy}");
        let nonce = between(&policy, "'nonce-", "'").to_owned();
        assert!(nonce.len() >= 16, "{nonce}");
        let page = answer.text().await.expect("a page");
        let scripts: Vec<_> = page.split("<script").skip(1).map(|rest| rest.split('>').next().unwrap_or_default()).collect();
        assert!(!scripts.is_empty());
        for script in scripts {
            assert!(script.contains(&format!("nonce=\"{nonce}\"")), "{path}: <script{script}>");
        }
        // Browsers hide it in the attribute of that name, and in no other.
        let shown = page.matches(&*nonce).count();
        assert_eq!(shown, page.matches(&format!("nonce=\"{nonce}\"")).count(), "{path}: the nonce can be read: {page}");
        assert!(nonces.insert(nonce), "{path}: the same nonce twice");
    }
}

#[tokio::test]
async fn other_addresses_and_methods() {
    let app = TestApp::start().await;
    for path in ["/nothing", "/room/a/nothing", "/.env", "/room//", "/static/../etc/passwd"] {
        let answer = app.get(path).await;
        assert_eq!(answer.status(), 404, "{path}");
        let page = answer.text().await.expect("a page");
        assert!(page.contains("Nothing is here") && page.contains("href=\"/\""), "{path}: {page}");
    }
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = app.get(path).await;
        assert_eq!((answer.status().as_u16(), answer.text().await.expect("a body")), (200, body.to_owned()));
    }
    for path in ["/healthz", "/ws/a/", "/api/v1/rooms/a/messages", "/"] {
        assert_eq!(posted(&browser(), &app.url(path), &[]).await.status(), 405, "{path}");
    }
    let head = within("an answer", browser().head(app.url("/room/a/")).send()).await.expect("an answer");
    assert_eq!(head.status(), 200);
}
