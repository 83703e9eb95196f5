//! Rooms that somebody owns: who may do what there, how people come in, and what ends when they lose it.

use confab::server::settings::{History, RoomRule, Settings};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::{
    app::{Http as _, TestApp, browser, rule},
    clients::{Plain, V1},
    people::{Somebody, code},
    within,
};

/// The rooms `private-*` are closed to guests by their rule.
fn settings(settings: &mut Settings) {
    settings.rooms = vec![RoomRule { guests: false, ..rule("private-*", History::Store) }, rule("*", History::Store)];
}

/// Waits until somebody finds what was said: the index follows what is committed.
async fn is_indexed(app: &TestApp, somebody: &Somebody, text: &str) {
    let path = format!("/api/v1/search?q={}", text.replace(' ', "+").replace(',', ""));
    within("the index", async { while somebody.api(app, &path).await.1["hits"] == json!([]) {} }).await;
}

#[tokio::test]
async fn a_room_that_a_rule_closes_to_guests_is_open_to_people_with_accounts() {
    let app = TestApp::with(settings).await;
    let (ann, guest) = (Somebody::new(&app, "ann").await, Somebody::guest());
    let mut socket = ann.socket(&app).await;
    socket.join("room/private-a", None).await;
    socket.post("room/private-a", "k", "first").await;
    is_indexed(&app, &ann, "first").await;
    assert_eq!(
        (guest.joins(&app, "private-a").await.as_str(), guest.get(&app, "/room/private-a/").await.0),
        ("forbidden", 403)
    );
    for (who, seen) in [(&ann, 1), (&guest, 0)] {
        assert_eq!(who.api(&app, "/api/v1/search?q=first").await.1["hits"].as_array().map(Vec::len), Some(seen));
        assert_eq!(who.api(&app, "/api/v1/rooms").await.1["rooms"].as_array().map(Vec::len), Some(seen));
    }
}

#[tokio::test]
async fn only_people_with_an_account_make_rooms_and_each_name_once() {
    let app = TestApp::with(settings).await;
    let (ann, bob, guest) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await, Somebody::guest());
    let form = |group, kind| [("group", group), ("title", "Team"), ("kind", kind)];
    assert_eq!(guest.send(&app, "/rooms/new", &form("team", "open")).await, (303, "/login?next=%2Frooms%2Fnew".to_owned()));
    ann.make(&app, "team", "closed").await;
    assert_eq!(bob.send(&app, "/rooms/new", &form("team", "open")).await.0, 409);
    let (status, body) = bob.send(&app, "/rooms/new", &form("no name", "open")).await;
    assert!(status == 422 && body.contains("value=\"no name\"") && body.contains("aria-invalid=\"true\""), "{body}");
    assert_eq!(bob.send(&app, "/rooms/new", &form("x", "direct")).await.0, 422);
    // What was said in a room that is nobody's is everybody's.
    let mut socket = guest.socket(&app).await;
    socket.join("room/used", None).await;
    socket.post("room/used", "k", "everybody's").await;
    assert_eq!(bob.send(&app, "/rooms/new", &form("used", "closed")).await.0, 409);
    assert_eq!(guest.joins(&app, "used").await, "ok");
}

#[tokio::test]
async fn forms_of_rooms_come_from_pages_of_this_server_alone() {
    let app = TestApp::with(|all| {
        settings(all);
        all.server.allowed_origins = vec!["*".parse().expect("an origin")];
    })
    .await;
    let ann = Somebody::new(&app, "ann").await;
    ann.make(&app, "team", "closed").await;
    let invitation = ann.invite(&app, "team", "member", "1").await;
    for path in ["/rooms/new", "/room/team/settings", &invitation] {
        let form = reqwest::Client::new().post(app.url(path)).header("cookie", &ann.cookie);
        let form = form.header("origin", "https://evil.example").form(&[("act", "archive"), ("group", "x"), ("kind", "open")]);
        assert_eq!(within("an answer", form.send()).await.expect("an answer").status(), 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_for_one_is_used_by_one_and_looking_at_it_spends_nothing() {
    let app = TestApp::with(|all| {
        settings(all);
        all.limits.requests_per_second = None;
    })
    .await;
    let ann = Somebody::new(&app, "ann").await;
    ann.make(&app, "team", "closed").await;
    let path = ann.invite(&app, "team", "member", "1").await;
    let mut people = Vec::new();
    for n in 0..50 {
        people.push(Somebody::new(&app, &format!("p{n}")).await);
    }
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let look = reqwest::Client::new().request(method.clone(), app.url(&path)).header("sec-purpose", "prefetch");
        let look = within("an answer", look.send()).await.expect("an answer");
        assert_eq!((look.status().as_u16(), look.headers()["referrer-policy"].as_bytes()), (200, &b"strict-origin"[..]));
        let body = look.text().await.expect("a body");
        assert!(
            method == Method::HEAD || (body.contains("The team") && body.contains("ann") && body.contains("1 member")),
            "{body}"
        );
    }
    let guest = Somebody::guest();
    assert_eq!(guest.send(&app, &path, &[]).await, (303, format!("/login?next={}", path.replace('/', "%2F"))));
    let came = join_all(people.iter().map(|somebody| somebody.send(&app, &path, &[]))).await;
    let statuses: Vec<_> = came.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [303, 404].contains(status)), "{statuses:?}");
    let mut members = 0;
    for somebody in &people {
        members += usize::from(somebody.joins(&app, "team").await == "ok");
    }
    assert_eq!(members, 1);
    assert_eq!(guest.get(&app, &path).await.0, 404, "it is used up");
    // The same one many times spends one of several.
    let path = ann.invite(&app, "team", "member", "5").await;
    let newcomer = people.iter().zip(&came).find(|(_, (status, _))| *status == 404).expect("one who did not come").0;
    let came = join_all((0..10).map(|_| newcomer.send(&app, &path, &[]))).await;
    assert!(came.iter().all(|(status, _)| *status == 303), "{came:?}");
    assert!(ann.get(&app, "/room/team/settings").await.1.contains("4 more"));
    let database = std::fs::read(app.data().join("confab.db")).expect("the database");
    let log = std::fs::read(app.data().join("confab.db-wal")).unwrap_or_default();
    let secret = path.rsplit('/').next().expect("a code").as_bytes();
    assert!(![database, log].iter().any(|bytes| bytes.windows(secret.len()).any(|part| part == secret)));
}

#[tokio::test]
async fn who_is_invited_and_has_no_account_signs_up_and_is_in_the_room() {
    let app = TestApp::with(settings).await;
    let ann = Somebody::new(&app, "ann").await;
    ann.make(&app, "team", "closed").await;
    let path = ann.invite(&app, "team", "read_only", "1").await;
    let code = path.rsplit('/').next().expect("a code");
    let newcomer = browser();
    let page = within("a page", newcomer.get(app.url(&path)).send()).await.expect("an answer").text().await.expect("a body");
    assert!(page.contains(&format!("href=\"/signup?invite={code}&amp;next=")), "{page}");
    let form = [("name", "Newcomer"), ("password", "correct horse battery"), ("invite", code), ("next", &path)];
    let answer = within("an answer", newcomer.post(app.url("/signup")).form(&form).send()).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].as_bytes()), (303, &b"/room/team/"[..]));
    let page = within("a page", newcomer.get(app.url("/room/team/")).send()).await.expect("an answer");
    assert_eq!(page.status(), 200);
    assert!(ann.get(&app, "/room/team/settings").await.1.contains("Newcomer"));
    assert_eq!(Somebody::guest().get(&app, &path).await.0, 404, "it is used up");
}

#[tokio::test]
async fn an_invitation_that_is_revoked_over_or_none_leads_nowhere() {
    let app = TestApp::with(settings).await;
    let (ann, bob) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await);
    ann.make(&app, "team", "closed").await;
    let path = ann.invite(&app, "team", "member", "0").await;
    assert_eq!(bob.get(&app, &path).await.0, 200);
    let (_, page) = ann.get(&app, "/room/team/settings").await;
    let digest =
        page.split("name=\"invitation\" value=\"").nth(1).and_then(|rest| rest.get(..64)).expect("a digest").to_owned();
    assert!(!path.contains(&digest[..32]));
    assert_eq!(ann.set(&app, "team", &[("act", "revoke"), ("invitation", &digest)]).await.0, 303);
    for path in [path.as_str(), "/invite/x", "/invite/0123456789abcdef0123456789abcdef", "/invite/%ff"] {
        assert_eq!((bob.get(&app, path).await.0, bob.send(&app, path, &[]).await.0), (404, 404), "{path}");
    }
    // Who is banned does not come back by another.
    bob.is_invited(&app, &ann, "team", "member").await;
    let path = ann.invite(&app, "team", "member", "0").await;
    ann.does(&app, "team", "ban", &bob, &[]).await;
    assert_eq!(bob.send(&app, &path, &[]).await.0, 404);
    ann.does(&app, "team", "unban", &bob, &[]).await;
    assert_eq!(bob.send(&app, &path, &[]).await.0, 303);
}

/// A member of the room by both protocols.
async fn looks(app: &TestApp, somebody: &Somebody, room: &str) -> (V1, Plain) {
    let mut socket = somebody.socket(app).await;
    socket.join(&format!("room/{room}"), None).await;
    let plain = Plain::with(app.address, &format!("/room/{room}/"), &[("cookie", &somebody.cookie)]).await;
    (socket, plain)
}

#[tokio::test]
async fn whoever_loses_a_room_hears_nothing_of_it_any_more() {
    let app = TestApp::with(settings).await;
    let (ann, bob) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await);
    for (act, room) in [("remove", "one"), ("ban", "two"), ("leave", "three"), ("delete", "four"), ("close", "five")] {
        let topic = format!("room/{room}");
        ann.make(&app, room, if act == "close" { "open" } else { "closed" }).await;
        if act != "close" {
            bob.is_invited(&app, &ann, room, "member").await;
        }
        let mut anns = ann.socket(&app).await;
        anns.join(&topic, None).await;
        let (mut socket, mut plain) = looks(&app, &bob, room).await;
        app.has_members(3).await;
        anns.post(&topic, "k-1", "before").await;
        assert_eq!((socket.push().await["event"]["text"].as_str(), plain.text().await.as_str()), (Some("before"), "before"));
        match act {
            "leave" => assert_eq!(bob.set(&app, room, &[("act", "leave")]).await, (303, "/".to_owned())),
            "delete" => {
                assert_eq!(ann.set(&app, room, &[("act", "delete"), ("sure", "another")]).await.0, 422);
                assert_eq!(ann.set(&app, room, &[("act", "delete"), ("sure", room)]).await, (303, "/".to_owned()));
            }
            "close" => {
                let change = [("act", "change"), ("title", "T"), ("topic", ""), ("kind", "closed"), ("posting", "everybody")];
                assert_eq!(ann.set(&app, room, &change).await.0, 303);
            }
            act => ann.does(&app, room, act, &bob, &[]).await,
        }
        // It is over by now.
        let late = socket.ask(json!({"send": {"topic": topic, "key": "late", "text": "too late"}})).await;
        assert_eq!(code(&late), "not_joined", "{act}");
        let anns_answer = anns.ask(json!({"send": {"topic": topic, "key": "k-2", "text": "after"}})).await;
        assert_eq!(code(&anns_answer), if act == "delete" { "not_joined" } else { "ok" }, "{act}");
        let word = socket.push().await;
        assert_eq!((&word["event"]["type"], &word["topic"]), (&json!("left"), &json!(topic)), "{act}");
        assert!(socket.pushes_so_far().await.is_empty(), "{act}");
        assert_eq!(plain.closed().await.0, 4502, "{act}");
        assert_eq!(bob.joins(&app, room).await, "not_found", "{act}");
        for path in [format!("/room/{room}/"), format!("/api/v1/rooms/{room}/messages"), format!("/room/{room}/settings")] {
            assert_eq!(bob.get(&app, &path).await.0, 404, "{act}: {path}");
        }
        assert!(!bob.get(&app, "/api/v1/rooms").await.1.contains(&format!("\"{room}\"")), "{act}");
        let (_, found) = bob.api(&app, "/api/v1/search?q=before").await;
        assert_eq!(found["hits"], json!([]), "{act}");
        drop((anns, socket, plain));
        app.has_members(0).await;
    }
    let mut admin = Somebody::new(&app, "admin").await.socket(&app).await;
    assert_eq!(code(&admin.ask(json!({"join": {"topic": "room/four"}})).await), "not_found", "a name is used once");
}

#[tokio::test]
async fn what_people_may_do_is_asked_each_time() {
    let app = TestApp::with(settings).await;
    let (ann, bob) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await);
    ann.make(&app, "team", "closed").await;
    bob.is_invited(&app, &ann, "team", "member").await;
    let mut socket = bob.socket(&app).await;
    socket.join("room/team", None).await;
    let mut number = 0;
    let mut says = async |socket: &mut V1| {
        number += 1;
        let answer = socket.ask(json!({"send": {"topic": "room/team", "key": format!("k{number}"), "text": "x"}})).await;
        (code(&answer), answer["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(says(&mut socket).await.0, "ok");
    ann.does(&app, "team", "mute", &bob, &[("minutes", "60")]).await;
    let (refused, why) = says(&mut socket).await;
    assert!(refused == "forbidden" && why.starts_with("you are muted in this room until 20"), "{refused}: {why}");
    ann.does(&app, "team", "unmute", &bob, &[]).await;
    assert_eq!(says(&mut socket).await.0, "ok");
    ann.does(&app, "team", "role", &bob, &[("role", "read_only")]).await;
    assert_eq!(says(&mut socket).await.1, "you may read this room, and not write in it");
    ann.does(&app, "team", "role", &bob, &[("role", "moderator")]).await;
    assert_eq!(says(&mut socket).await.0, "ok");
    assert_eq!(ann.set(&app, "team", &[("act", "archive")]).await.0, 303);
    assert_eq!(says(&mut socket).await.1, "this room is archived: what was said can be read");
    let (status, page) = bob.send(&app, "/room/team/", &[("key", "f"), ("text", "kept")]).await;
    assert!(status == 403 && page.contains("kept") && page.contains("archived"), "{page}");
    assert_eq!(ann.set(&app, "team", &[("act", "reopen")]).await.0, 303);
    assert_eq!(says(&mut socket).await.0, "ok");
    // Handed over, it is the other's.
    assert_eq!(bob.set(&app, "team", &[("act", "delete"), ("sure", "team")]).await.0, 403);
    ann.does(&app, "team", "role", &bob, &[("role", "owner")]).await;
    assert_eq!(ann.set(&app, "team", &[("act", "delete"), ("sure", "team")]).await.0, 403);
    assert_eq!(bob.set(&app, "team", &[("act", "leave")]).await.0, 403);
    let (_, page) = bob.get(&app, "/room/team/settings").await;
    for done in ["made", "joined", "muted", "unmuted", "role", "archived", "opened again", "handed over"] {
        assert!(page.contains(done), "{done} is not in the log: {page}");
    }
}

/// What the answer to a join says of one's rights, by what an answer looks like that says nothing.
async fn may(socket: &mut V1, room: &str) -> (bool, bool, bool, String) {
    let may = socket.join(&format!("room/{room}"), None).await["may"].clone();
    let is = |key: &str, usual: bool| may[key].as_bool().unwrap_or(usual);
    let why = may["message"].as_str().unwrap_or_default().to_owned();
    (is("post", true), is("react", true), is("moderate", false), why)
}

/// Waits until somebody hears that their rights in a room may be others.
async fn hears(socket: &mut V1, topic: &str) {
    assert_eq!(socket.push().await, json!({"topic": topic, "event": {"type": "changed"}}));
}

#[tokio::test]
async fn whoever_may_not_write_is_told_why_at_once_on_sockets_and_on_the_page() {
    let app = TestApp::with(settings).await;
    let (ann, bob, guest) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await, Somebody::guest());
    ann.make(&app, "team", "open").await;
    bob.is_invited(&app, &ann, "team", "member").await;
    let (mut anns, mut bobs, mut guests) = (ann.socket(&app).await, bob.socket(&app).await, guest.socket(&app).await);
    assert_eq!(guests.join("room/other", None).await.get("may"), None, "in a room that is nobody's nothing is said");
    let (yes, moderates) = ((true, true, false, String::new()), (true, true, true, String::new()));
    assert_eq!((may(&mut anns, "team").await, may(&mut bobs, "team").await), (moderates.clone(), yes.clone()));
    assert_eq!(may(&mut guests, "team").await, yes);
    // Of one person that one alone hears.
    ann.does(&app, "team", "mute", &bob, &[("minutes", "60")]).await;
    hears(&mut bobs, "room/team").await;
    let answer = bobs.join("room/team", None).await["may"].clone();
    assert!(answer["until"].as_str().is_some_and(|until| until.starts_with("20")), "{answer}");
    let muted = "You are muted in this room.";
    let (post, react, _, why) = may(&mut bobs, "team").await;
    assert!(!post && !react && why.starts_with(muted), "{why}");
    let (_, page) = bob.get(&app, "/room/team/").await;
    assert!(page.contains(muted) && page.contains("Until <time") && is_hidden(&page), "{page}");
    assert!(anns.pushes_so_far().await.is_empty() && guests.pushes_so_far().await.is_empty());
    ann.does(&app, "team", "unmute", &bob, &[]).await;
    hears(&mut bobs, "room/team").await;
    assert_eq!(may(&mut bobs, "team").await, yes);
    ann.does(&app, "team", "role", &bob, &[("role", "read_only")]).await;
    hears(&mut bobs, "room/team").await;
    assert!(may(&mut bobs, "team").await.3.starts_with("You may read this room, and not write in it."));
    ann.does(&app, "team", "role", &bob, &[("role", "moderator")]).await;
    hears(&mut bobs, "room/team").await;
    assert_eq!(may(&mut bobs, "team").await, moderates);
    // Of the room all hear.
    for (posting, bobs_post, said) in [
        ("members", true, "Only members of this room write in it. Sign in"),
        ("moderators", true, "Only the owner and the moderators of this room write in it."),
    ] {
        let change = [("act", "change"), ("title", "T"), ("topic", ""), ("kind", "open"), ("posting", posting)];
        assert_eq!(ann.set(&app, "team", &change).await.0, 303);
        for socket in [&mut anns, &mut bobs, &mut guests] {
            hears(socket, "room/team").await;
        }
        assert_eq!(may(&mut bobs, "team").await.0, bobs_post);
        let (post, react, _, why) = may(&mut guests, "team").await;
        assert!(!post && react && why.starts_with(said), "{why}");
        // As it is rendered for all who may as much.
        for somebody in [&guest, &Somebody { cookie: String::new(), ..guest.clone() }] {
            let (_, page) = somebody.get(&app, "/room/team/").await;
            assert!(page.contains(said) && page.contains("/login?next=/room/team/") && is_hidden(&page), "{page}");
        }
        assert!(!is_hidden(&bob.get(&app, "/room/team/").await.1));
    }
    assert_eq!(ann.set(&app, "team", &[("act", "archive")]).await.0, 303);
    hears(&mut anns, "room/team").await;
    let archived = may(&mut anns, "team").await;
    assert!(!archived.0 && !archived.1 && archived.2 && archived.3.starts_with("This room is archived"), "{archived:?}");
    assert!(is_hidden(&ann.get(&app, "/room/team/").await.1));
    // What was sent in vain is not lost.
    let (status, page) = ann.send(&app, "/room/team/", &[("key", "f"), ("text", "kept")]).await;
    assert!(status == 403 && page.contains("kept") && !is_hidden(&page), "{page}");
}

/// The rooms that the reader's own part of the list has, in its order.
async fn own_rooms(app: &TestApp, somebody: &Somebody) -> Vec<String> {
    let (status, html) = somebody.get(app, "/rooms/own").await;
    assert_eq!(status, 200, "{html}");
    let (_, page) = somebody.get(app, "/").await;
    assert!(page.contains(html.split("</h2>").next().expect("a heading")), "the page has it, too");
    html.split("data-room=\"").skip(1).map(|room| room.split('"').next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn the_list_of_rooms_is_the_readers_own_and_they_hear_when_it_changes() {
    let app = TestApp::with(settings).await;
    let (ann, bob, guest) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await, Somebody::guest());
    assert_eq!(guest.get(&app, "/rooms/own").await.0, 403);
    let (mut anns, mut bobs, mut guests) = (ann.socket(&app).await, bob.socket(&app).await, guest.socket(&app).await);
    for socket in [&mut anns, &mut bobs, &mut guests] {
        socket.join("me", None).await;
    }
    assert!(own_rooms(&app, &bob).await.is_empty());
    // A room is made, and somebody comes into it elsewhere.
    ann.make(&app, "one", "closed").await;
    hears(&mut anns, "me").await;
    bob.is_invited(&app, &ann, "one", "member").await;
    hears(&mut bobs, "me").await;
    // A direct one.
    let (status, direct) = ann.send(&app, &format!("/people/{}/direct", bob.id), &[]).await;
    assert_eq!(status, 303);
    let direct = direct.trim_start_matches("/room/").trim_end_matches('/').to_owned();
    hears(&mut anns, "me").await;
    hears(&mut bobs, "me").await;
    let (_, html) = bob.get(&app, "/rooms/own").await;
    assert!(html.contains("<span class=\"name\">ann</span>") && html.contains("<span class=\"name\">The one</span>"), "{html}");
    // What is said comes first, and only its members hear of it.
    for (room, key) in [("one", "k1"), (direct.as_str(), "k2"), ("one", "k3")] {
        let mut sender = ann.socket(&app).await;
        sender.join(&format!("room/{room}"), None).await;
        sender.post(&format!("room/{room}"), key, &format!("said as {key}")).await;
        hears(&mut anns, "me").await;
        hears(&mut bobs, "me").await;
        assert_eq!(own_rooms(&app, &bob).await[0], room);
    }
    let (_, html) = bob.get(&app, "/rooms/own").await;
    assert!(html.contains("said as k3") && html.contains("said as k2") && !html.contains("said as k1"), "{html}");
    assert!(!guest.get(&app, "/").await.1.contains("said as"));
    // Another title, and who has lost it.
    let change = [("act", "change"), ("title", "New <title>"), ("topic", ""), ("kind", "closed"), ("posting", "everybody")];
    assert_eq!(ann.set(&app, "one", &change).await.0, 303);
    hears(&mut bobs, "me").await;
    assert!(bob.get(&app, "/rooms/own").await.1.contains("New &lt;title&gt;"));
    ann.does(&app, "one", "remove", &bob, &[]).await;
    hears(&mut bobs, "me").await;
    assert_eq!(own_rooms(&app, &bob).await, [direct]);
    // A room that its rule closes to guests is for everybody with an account.
    let mut socket = bob.socket(&app).await;
    socket.join("room/private-a", None).await;
    socket.post("room/private-a", "k", "not for guests").await;
    assert!(own_rooms(&app, &ann).await.contains(&"private-a".to_owned()));
    assert!(guests.pushes_so_far().await.is_empty(), "nobody else hears of any of it");
}

/// Whether a room's page has no composer to be seen.
fn is_hidden(page: &str) -> bool {
    let composer = page.split("<form ").find(|form| form.contains("class=\"composer\"")).expect("a composer");
    composer.split('>').next().is_some_and(|tag| tag.contains(" hidden"))
}

#[tokio::test]
async fn who_loses_a_room_is_told_why() {
    let app = TestApp::with(settings).await;
    let (ann, bob) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await);
    for (act, room, said) in [
        ("remove", "one", "you were removed from this room; "),
        ("ban", "two", "you were banned from this room; "),
        ("leave", "three", "you have left this room; "),
        ("delete", "four", "this room was deleted"),
        ("close", "five", "this room is for its members alone now; "),
    ] {
        ann.make(&app, room, if act == "close" { "open" } else { "closed" }).await;
        if act != "close" {
            bob.is_invited(&app, &ann, room, "member").await;
        }
        let (mut socket, mut plain) = looks(&app, &bob, room).await;
        app.has_members(2).await;
        match act {
            "leave" => assert_eq!(bob.set(&app, room, &[("act", "leave")]).await.0, 303),
            "delete" => assert_eq!(ann.set(&app, room, &[("act", "delete"), ("sure", room)]).await.0, 303),
            "close" => {
                let change = [("act", "change"), ("title", "T"), ("topic", ""), ("kind", "closed"), ("posting", "everybody")];
                assert_eq!(ann.set(&app, room, &change).await.0, 303);
            }
            act => ann.does(&app, room, act, &bob, &[]).await,
        }
        let word = socket.push().await;
        assert_eq!((&word["event"]["type"], &word["event"]["code"]), (&json!("left"), &json!("forbidden")), "{act}");
        assert!(word["event"]["message"].as_str().is_some_and(|message| message.starts_with(said)), "{word}");
        let (code, reason) = plain.closed().await;
        assert!(code == 4502 && reason.starts_with(said), "{act}: {reason}");
        drop((socket, plain));
        app.has_members(0).await;
    }
}

#[tokio::test]
async fn a_page_that_is_not_for_guests_offers_the_ways_in() {
    let app = TestApp::with(settings).await;
    let (status, page) = Somebody::guest().get(&app, "/room/private-a/").await;
    assert_eq!(status, 403);
    for way in ["/login?next=%2Froom%2Fprivate-a%2F", "/signup?next=%2Froom%2Fprivate-a%2F"] {
        assert!(page.contains(&format!("href=\"{way}\"")), "{page}");
    }
}

#[tokio::test]
async fn the_title_is_what_people_see() {
    let app = TestApp::with(settings).await;
    let (ann, guest) = (Somebody::new(&app, "ann").await, Somebody::guest());
    ann.make(&app, "team", "open").await;
    let change =
        [("act", "change"), ("title", "<b>Team</b> ✨"), ("topic", "All & sundry"), ("kind", "open"), ("posting", "everybody")];
    assert_eq!(ann.set(&app, "team", &change).await.0, 303);
    let (_, page) = guest.get(&app, "/room/team/").await;
    assert!(page.contains("&lt;b&gt;Team&lt;/b&gt; ✨ · Confab</title>") && page.contains("All &amp; sundry"), "{page}");
    let bad = [("act", "change"), ("title", "\u{202e}x"), ("topic", "kept"), ("kind", "open"), ("posting", "everybody")];
    let (status, page) = ann.set(&app, "team", &bad).await;
    assert!(status == 422 && page.contains("A title is 1 to 80 characters") && page.contains("value=\"kept\""), "{page}");
}

#[tokio::test]
async fn what_an_administrator_gives_an_owner_stays_as_it_was() {
    let app = TestApp::with(settings).await;
    let (admin, bob, guest) = (Somebody::new(&app, "admin").await, Somebody::new(&app, "bob").await, Somebody::guest());
    let mut socket = guest.socket(&app).await;
    socket.join("room/old", None).await;
    socket.post("room/old", "k1", "before").await;
    assert_eq!(
        (bob.get(&app, "/room/old/settings").await.0, bob.set(&app, "old", &[("act", "take_over")]).await.0),
        (404, 404)
    );
    assert!(admin.get(&app, "/room/old/settings").await.1.contains("Nobody owns this room"));
    assert_eq!(admin.set(&app, "old", &[("act", "take_over")]).await.0, 303);
    socket.post("room/old", "k2", "after").await;
    let id = socket.welcome["you"]["id"].as_str().expect("an id").to_owned();
    let them = Somebody { id, ..guest };
    admin.does(&app, "old", "ban", &them, &[]).await;
    let late = socket.ask(json!({"send": {"topic": "room/old", "key": "k3", "text": "late"}})).await;
    assert_eq!((code(&late).as_str(), them.joins(&app, "old").await.as_str()), ("not_joined", "not_found"));
}

#[tokio::test]
async fn there_is_one_direct_room_for_each_set_of_people_and_nobody_else_sees_it() {
    let app = TestApp::with(settings).await;
    let mut people = Vec::new();
    for name in ["ann", "bob", "eve", "admin"] {
        people.push(Somebody::new(&app, name).await);
    }
    let [ann, bob, eve, admin] = &people[..] else { panic!("four") };
    let guest = Somebody::guest();
    assert_eq!(guest.get(&app, &format!("/people/{}", bob.id)).await.0, 303);
    assert_eq!((ann.get(&app, "/people/a0").await.0, ann.get(&app, "/people/@nobody").await.0), (404, 404));
    assert!(ann.get(&app, "/people/@bob").await.1.contains("Talk directly"));
    let opens = async |by: &Somebody, with: &Somebody, more: &str| {
        let (status, location) = by.send(&app, &format!("/people/{}/direct", with.id), &[("with", more)]).await;
        assert_eq!(status, 303, "{location}");
        location
    };
    let two = opens(ann, bob, "").await;
    assert_eq!((opens(bob, ann, "").await, opens(ann, bob, "@ann").await), (two.clone(), two.clone()));
    let three = opens(ann, bob, "@eve").await;
    assert_ne!(three, two);
    assert_eq!(opens(eve, ann, "bob,").await, three);
    for (with, more) in [(ann, ""), (bob, "@nobody"), (ann, "@ann")] {
        let (status, body) = ann.send(&app, &format!("/people/{}/direct", with.id), &[("with", more)]).await;
        assert!(status == 422 && body.contains("class=\"mistake\""), "{more}: {status}");
    }
    let room = two.trim_matches('/').trim_start_matches("room/").to_owned();
    let mut socket = ann.socket(&app).await;
    socket.join(&format!("room/{room}"), None).await;
    socket.post(&format!("room/{room}"), "k", "between us").await;
    is_indexed(&app, bob, "between us").await;
    for who in [eve, admin, &guest] {
        assert_eq!(who.joins(&app, &room).await, "not_found", "{}", who.name);
        for path in [two.clone(), format!("{two}settings"), format!("/api/v1/rooms/{room}/messages")] {
            assert_eq!(who.get(&app, &path).await.0, 404, "{}: {path}", who.name);
        }
        assert_eq!(who.api(&app, "/api/v1/search?q=between").await.1["hits"], json!([]), "{}", who.name);
        assert!(!who.get(&app, "/api/v1/rooms").await.1.contains(&room), "{}", who.name);
    }
    // It is called by the other.
    let (_, page) = ann.get(&app, &two).await;
    assert!(page.contains("<title>bob · Confab</title>") && page.contains("between us"), "{page}");
    assert!(bob.get(&app, "/").await.1.contains("<span class=\"name\">ann</span>"));
    // Nobody decides for the others.
    for act in ["leave", "delete", "archive", "remove"] {
        let fields = [("act", act), ("person", bob.id.as_str()), ("sure", room.as_str())];
        assert_eq!(ann.set(&app, &room, &fields).await.0, 404, "{act}");
    }
    let banned = bob.send(&app, &two, &[("key", "b"), ("text", "yes")]).await;
    assert_eq!(banned, (303, two));
}

#[tokio::test]
async fn rooms_are_made_at_a_rate_and_a_name_that_was_used_counts_for_good() {
    let app = TestApp::with(settings).await;
    let (ann, bob) = (Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await);
    let make = async |who: &Somebody, room: &str| {
        who.send(&app, "/rooms/new", &[("group", room), ("title", "A room"), ("kind", "open")]).await
    };
    for number in 0..30 {
        let room = format!("room-{number}");
        assert_eq!(make(&ann, &room).await.0, 303, "{room}");
        if number < 10 {
            assert_eq!(ann.set(&app, &room, &[("act", "delete"), ("sure", &room)]).await.0, 303);
        }
    }
    let (status, body) = make(&ann, "one-more").await;
    assert!(status == 429 && body.contains("30 rooms an hour"), "{status} {body}");
    let (status, body) = ann.send(&app, &format!("/people/{}/direct", bob.id), &[("with", "")]).await;
    assert!(status == 429 && body.contains("30 rooms an hour"), "it puts others into rooms: {status} {body}");
    assert_eq!(make(&bob, "one-more").await.0, 303, "another's rate is their own");
    // Of a room that was deleted the name is left, and who had it.
    let database = rusqlite::Connection::open(app.data().join("confab.db")).expect("the database");
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
    assert_eq!(count("SELECT count(*) FROM room_log WHERE room LIKE 'room-%' AND act = 'deleted'"), 10);
    assert_eq!(
        count("SELECT count(*) FROM room_log AS l JOIN room_records AS r ON r.room = l.room WHERE deleted IS NOT NULL"),
        10
    );
    // So much was used over the years.
    let own = "INSERT INTO room_records (room, kind, title, topic, posting, made, deleted, changed) SELECT 'old-' || ?1, 'open', '', '',
        'everybody', 1, 1, 1";
    for number in 0..1_000 {
        database.execute(own, [number]).expect("a room");
        let owner = "INSERT INTO room_members (room, person, name, role, joined) VALUES ('old-' || ?1, ?2, 'bob', 'owner', 1)";
        database.execute(owner, rusqlite::params![number, bob.id]).expect("an owner");
    }
    let (status, body) = make(&bob, "and-another").await;
    assert!(status == 422 && body.contains("1000"), "{status} {body}");
}

#[tokio::test]
async fn what_is_done_with_rooms_is_done_at_a_rate() {
    let app = TestApp::with(settings).await;
    let ann = Somebody::new(&app, "ann").await;
    ann.make(&app, "team", "open").await;
    let mut statuses = Vec::new();
    for number in 0..620 {
        let act = if number % 2 == 0 { "archive" } else { "reopen" };
        statuses.push(ann.set(&app, "team", &[("act", act)]).await.0);
    }
    assert_eq!((statuses.iter().filter(|status| **status == 303).count(), statuses.last()), (600, Some(&429)));
}
