//! Administration: who gets its pages, what is done there, and what follows from that.

use confab::server::settings::{History, RoomRule, Settings};
use futures_util::future::join_all;
use reqwest::{Client, redirect};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, rule},
    clients::{Plain, V1},
    people::{Somebody, code},
    within,
};

/// What each address of administration answers to somebody who administers the server, by `GET` and by `POST` of a form that asks for nothing.
const PAGES: [(&str, u16, Option<u16>); 12] = [
    ("/manage/", 200, None),
    ("/manage/people/", 200, None),
    ("/manage/people/{ann}", 200, Some(422)),
    ("/manage/rooms/", 200, None),
    ("/manage/rooms/lobby", 200, Some(422)),
    ("/manage/invitations/", 200, Some(422)),
    ("/manage/tokens/", 200, Some(422)),
    ("/manage/connections/", 200, Some(303)),
    ("/manage/bans/", 200, Some(422)),
    ("/manage/server/", 200, Some(422)),
    ("/manage/log/", 200, None),
    ("/manage/export/people.csv", 200, None),
];

fn client() -> Client {
    Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client")
}

/// What an input of a page that is shown once has in it.
fn shown_once(page: &str) -> String {
    let rest = page.split("id=\"once\"").nth(1).unwrap_or_else(|| panic!("nothing is shown once: {page}"));
    rest.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a value").to_owned()
}

/// A path of an address.
fn path_of(address: &str) -> String {
    format!("/{}", address.splitn(4, '/').nth(3).expect("a path"))
}

#[tokio::test]
async fn administration_is_there_for_administrators_alone() {
    let app = TestApp::start().await;
    let (admin, ann, guest) = (Somebody::new(&app, "admin").await, Somebody::new(&app, "ann").await, Somebody::guest());
    let (_, nothing) = ann.get(&app, "/nothing/at/all").await;
    for (page, shown, acted) in PAGES {
        let path = page.replace("{ann}", &ann.id);
        assert_eq!(admin.get(&app, &path).await.0, shown, "{path}");
        for who in [&ann, &guest] {
            let (status, text) = who.get(&app, &path).await;
            // But for where the choice of another language leads back to.
            let text = text.replace(&format!("value=\"{path}\""), "value=\"/nothing/at/all\"");
            assert_eq!((status, text == nothing), (404, true), "{path} for {}", who.name);
        }
        let Some(acted) = acted else { continue };
        for who in [&ann, &guest] {
            assert_eq!(who.send(&app, &path, &[("act", "nothing")]).await.0, 404, "{path} for {}", who.name);
        }
        assert_eq!(admin.send(&app, &path, &[("act", "nothing")]).await.0, acted, "{path}");
        let foreign = client().post(app.url(&path)).header("cookie", &admin.cookie).header("origin", "https://evil.example");
        assert_eq!(foreign.form(&[("act", "nothing")]).send().await.expect("an answer").status(), 403, "{path}");
    }
}

#[tokio::test]
async fn people_are_found_and_what_is_done_to_them_holds_at_once() {
    let app = TestApp::start().await;
    let (admin, ann, bob) =
        (Somebody::new(&app, "admin").await, Somebody::new(&app, "ann").await, Somebody::new(&app, "bob_50%").await);
    for (find, is_found) in [("", true), ("AN", true), ("@ann", true), (&*ann.id, true), ("50%25", false), ("x%25n", false)] {
        let (_, page) = admin.get(&app, &format!("/manage/people/?find={find}")).await;
        assert_eq!(page.contains("@ann"), is_found, "{find}: {page}");
    }
    assert!(admin.get(&app, "/manage/people/?find=50%25").await.1.contains(&bob.id));
    let of = |somebody: &Somebody| format!("/manage/people/{}", somebody.id);
    let does = async |somebody: &Somebody, act: &str| admin.send(&app, &of(somebody), &[("act", act)]).await;

    // Deactivated: what is open ends, and the session opens nothing.
    let mut socket = ann.socket(&app).await;
    socket.join("room/lobby", None).await;
    assert_eq!(does(&ann, "deactivate").await.0, 303);
    assert_eq!(socket.closed().await.0, 4501);
    assert_eq!(ann.get(&app, "/account/").await.0, 303);
    assert_eq!(does(&ann, "deactivate").await.0, 409, "it is so already");
    assert_eq!(does(&ann, "reactivate").await.0, 303);

    // The last who administers the server stays it.
    for act in ["no_administrator", "deactivate"] {
        let (status, page) = does(&admin, act).await;
        assert!(status == 409 && page.contains("obody else administers this server"), "{status} {page}");
    }
    // Rights are those of a session: with others it is another.
    assert_eq!(does(&bob, "administrator").await.0, 303);
    assert_eq!(bob.get(&app, "/account/").await.0, 303, "the session from before is over");
    assert_eq!(does(&bob, "no_administrator").await.0, 303);

    // A link for another password is shown once, and is good once.
    let (status, page) = does(&ann, "reset").await;
    let link = path_of(&shown_once(&page));
    assert!(status == 200 && link.starts_with("/reset/"), "{link}");
    assert!(!admin.get(&app, &of(&ann)).await.1.contains(&link));
    let guest = Somebody::guest();
    assert_eq!(guest.get(&app, &link).await.0, 200);
    assert_eq!(guest.send(&app, &link, &[("password", "four words of hers")]).await.0, 303);
    assert_eq!(guest.get(&app, &link).await.0, 404);

    // All of it is in the log, by whom and to whom.
    let (_, log) = admin.get(&app, &format!("/manage/log/?of={}", ann.id)).await;
    for says in ["deactivated", "let in again", "made a link for another password of"] {
        assert!(log.contains(says), "{says}: {log}");
    }
    assert!(!log.contains(link.trim_start_matches("/reset/")), "nothing secret is in it");
}

#[tokio::test]
async fn who_is_invited_to_the_server_makes_an_account_and_of_fifty_one_uses_the_last() {
    let app = TestApp::start().await;
    let admin = Somebody::new(&app, "admin").await;
    let invite = [("act", "invite"), ("note", "Bob"), ("uses", "1"), ("days", "7")];
    let (status, page) = admin.send(&app, "/manage/invitations/", &invite).await;
    assert_eq!(status, 200, "{page}");
    let link = path_of(&shown_once(&page));
    let code = link.split("invite=").nth(1).expect("a code").to_owned();
    let guest = Somebody::guest();
    // Looking at it uses nothing.
    for _ in 0..3 {
        assert!(guest.get(&app, &link).await.1.contains("name=\"password\""));
    }
    let sign_up = async |n: usize| {
        let form = [("name", format!("bob{n}")), ("password", "four words of his".to_owned()), ("invite", code.clone())];
        let answer = client().post(app.url("/signup")).form(&form).send().await.expect("an answer");
        answer.status().as_u16()
    };
    let statuses = within("all", join_all((0..8).map(sign_up))).await;
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert!(guest.get(&app, &link).await.1.contains("not good any more"));
    // Bad input is told, and kept.
    let bad = [("act", "invite"), ("note", "Too many"), ("uses", "5000"), ("days", "7")];
    let (status, page) = admin.send(&app, "/manage/invitations/", &bad).await;
    assert!(status == 422 && page.contains("for 1 to 1000 people") && page.contains("value=\"5000\""), "{page}");
    // A revoked one is good for nothing.
    let (_, page) = admin.send(&app, "/manage/invitations/", &[("act", "invite"), ("uses", "2"), ("days", "7")]).await;
    let link = path_of(&shown_once(&page));
    let digest = page.split("name=\"digest\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a digest");
    assert_eq!(admin.send(&app, "/manage/invitations/", &[("act", "revoke"), ("digest", digest)]).await.0, 303);
    assert!(guest.get(&app, &link).await.1.contains("not good any more"));
}

/// The rooms `private-*` are closed to guests by their rule.
fn settings(settings: &mut Settings) {
    settings.rooms = vec![RoomRule { guests: false, ..rule("private-*", History::Store) }, rule("*", History::Store)];
}

#[tokio::test]
async fn a_room_that_nobody_owns_gets_an_owner_and_rooms_are_archived_and_deleted() {
    let app = TestApp::with(settings).await;
    let (admin, ann, bob) =
        (Somebody::new(&app, "admin").await, Somebody::new(&app, "ann").await, Somebody::new(&app, "bob").await);
    let mut guest = Somebody::guest().socket(&app).await;
    guest.join("room/old", None).await;
    guest.post("room/old", "k", "from before").await;
    ann.make(&app, "team", "closed").await;
    let (status, _) = bob.send(&app, &format!("/people/{}/direct", ann.id), &[]).await;
    assert_eq!(status, 303);
    let (_, list) = admin.get(&app, "/manage/rooms/").await;
    assert!(list.contains("/manage/rooms/old") && list.contains("/manage/rooms/team") && !list.contains("direct-"), "{list}");
    assert!(list.contains("1 rooms that somebody made or owns, and 1 direct ones"), "{list}");
    assert!(!admin.get(&app, "/manage/rooms/?find=EA").await.1.contains("rooms/old"));

    let does = async |room: &str, fields: &[(&str, &str)]| admin.send(&app, &format!("/manage/rooms/{room}"), fields).await;
    let (status, page) = does("old", &[("act", "owner"), ("owner", "nobody-like-that")]).await;
    assert!(status == 422 && page.contains("value=\"nobody-like-that\""), "{page}");
    assert_eq!(does("old", &[("act", "owner"), ("owner", "@bob")]).await.0, 303);
    let (_, page) = admin.get(&app, "/manage/rooms/old").await;
    assert!(page.contains(&format!("/manage/people/{}", bob.id)) && page.contains("1 message, 11 B"), "{page}");
    // It is his, and as open as before.
    assert_eq!(bob.get(&app, "/room/old/settings").await.0, 200);
    guest.post("room/old", "k2", "as before").await;
    assert_eq!(does("old", &[("act", "owner"), ("owner", "@ann")]).await.0, 422, "somebody owns it");

    assert_eq!(does("old", &[("act", "archive")]).await.0, 303);
    let refused = guest.ask(json!({"send": {"topic": "room/old", "key": "k3", "text": "x"}})).await;
    assert_eq!(code(&refused), "forbidden");
    assert_eq!(does("old", &[("act", "delete"), ("sure", "team")]).await.0, 422);
    assert_eq!(does("old", &[("act", "delete"), ("sure", "old")]).await, (303, "/manage/rooms/".to_owned()));
    assert_eq!(admin.get(&app, "/manage/rooms/old").await.0, 404);
    assert_eq!(bob.get(&app, "/room/old/").await.0, 404);

    // Invitations to rooms that can be used are listed, and revoked.
    let link = ann.invite(&app, "team", "member", "1").await;
    let (_, page) = admin.get(&app, "/manage/invitations/").await;
    let digest = page.split("name=\"digest\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a digest");
    let revoke = [("act", "revoke_of_room"), ("room", "team"), ("digest", digest)];
    assert_eq!(admin.send(&app, "/manage/invitations/", &revoke).await.0, 303);
    let code = link.rsplit('/').next().expect("a code").to_owned();
    assert_eq!(bob.get(&app, &format!("/invite/{code}")).await.0, 404);
    let (_, log) = admin.get(&app, "/manage/log/").await;
    for says in [
        "made the room",
        "gave an owner to the room",
        "archived the room",
        "deleted the room",
        "revoked an invitation to the room",
    ] {
        assert!(log.contains(says), "{says}");
    }
    assert!(!log.contains("direct-"), "direct rooms are their people's");
}

/// Makes a token; the token, and its page after that.
async fn token(app: &TestApp, admin: &Somebody, fields: &[(&str, &str)]) -> (String, String) {
    let (status, page) = admin.send(app, "/manage/tokens/", &[&[("act", "make")], fields].concat()).await;
    assert_eq!(status, 200, "{page}");
    (shown_once(&page), admin.get(app, "/manage/tokens/").await.1)
}

/// What an address of the API answers to a program: the status and the code of the error.
async fn api(app: &TestApp, token: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let url = app.url(&format!("/api/v1{path}"));
    let request = match body {
        Some(body) => client().post(url).json(&body),
        None => client().get(url),
    };
    let answer = within(path, request.bearer_auth(token).send()).await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_token_does_what_it_was_made_for_until_it_is_revoked() {
    let app = TestApp::start().await;
    let admin = Somebody::new(&app, "admin").await;
    let (posts, page) = token(&app, &admin, &[("name", "Cron"), ("rooms", "team-*, lobby"), ("post", "yes")]).await;
    assert!(posts.starts_with("confab_") && !page.contains(&posts) && page.contains("Cron"), "{page}");
    let (reads, _) = token(&app, &admin, &[("name", "Reader"), ("rooms", "team-*"), ("read", "yes")]).await;
    let (pushes, _) = token(&app, &admin, &[("name", "Ticker"), ("push", "yes")]).await;
    // Of the token the database has the digest alone.
    for name in ["confab.db", "confab.db-wal"] {
        let file = std::fs::read(app.data().join(name)).unwrap_or_default();
        assert!(!file.windows(posts.len()).any(|part| part == posts.as_bytes()), "{name} has the token");
    }
    let mut guest = Somebody::guest().socket(&app).await;
    guest.join("room/team-a", None).await;
    let text = || Some(json!({"text": "hello"}));
    let event = || Some(json!({"type": "tick", "value": 1}));
    assert_eq!(api(&app, &posts, "/groups/team-a/send", text()).await.0, 200);
    let said = guest.push().await;
    assert_eq!((&said["event"]["from"]["name"], &said["event"]["text"]), (&json!("Cron"), &json!("hello")));
    for (token, path, body, expected) in [
        (&posts, "/groups/team-a/send", event(), 403),
        (&posts, "/groups/other/send", text(), 403),
        (&posts, "/rooms/team-a/messages", None, 403),
        (&posts, "/rooms", None, 403),
        (&reads, "/rooms/team-a/messages", None, 200),
        (&reads, "/rooms/other/messages", None, 403),
        (&reads, "/groups/team-a/send", text(), 403),
        (&reads, "/search?q=hello", None, 200),
        (&pushes, "/groups/team-a/send", text(), 403),
        (&pushes, "/groups/team-a/send", event(), 200),
        (&pushes, "/channels/specific.nobody/send", event(), 200),
    ] {
        assert_eq!(api(&app, token, path, body.clone()).await.0, expected, "{path} {body:?}");
    }
    // An event that is pushed says whose it is.
    let pushed = guest.push().await;
    assert_eq!(pushed["event"]["confab.program"]["name"], "Ticker", "{pushed}");
    // Of other rooms a program that is narrowed learns nothing.
    guest.join("room/other", None).await;
    guest.post("room/other", "k", "hello, too").await;
    let (_, list) = api(&app, &reads, "/rooms", None).await;
    assert_eq!(list["rooms"].as_array().expect("rooms").len(), 1, "{list}");
    let (_, found) = api(&app, &reads, "/search?q=hello", None).await;
    assert!(found["hits"].as_array().expect("hits").iter().all(|hit| hit["group"] == "team-a"), "{found}");

    // Names are each one's own.
    let again = [("act", "make"), ("name", "Cron"), ("post", "yes")];
    let (status, page) = admin.send(&app, "/manage/tokens/", &again).await;
    assert!(status == 422 && page.contains("There is a token of this name"), "{page}");
    for (fields, complaint) in [
        (vec![("name", "x")], "Say what it may do"),
        (vec![("name", ""), ("post", "yes")], "A name of 1 to 40 characters"),
        (vec![("name", "x"), ("rooms", "ä"), ("post", "yes")], "A room pattern is made of"),
    ] {
        let (status, page) = admin.send(&app, "/manage/tokens/", &[&[("act", "make")], &fields[..]].concat()).await;
        assert!(status == 422 && page.contains(complaint), "{complaint}: {page}");
    }

    let (_, page) = admin.get(&app, "/manage/tokens/").await;
    let row = page.split("<tr>").find(|row| row.contains("Cron")).expect("a row");
    let id = row.split("name=\"id\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    assert_eq!(admin.send(&app, "/manage/tokens/", &[("act", "revoke"), ("id", id)]).await.0, 303);
    assert_eq!(api(&app, &posts, "/groups/team-a/send", text()).await.0, 401);
    assert_eq!(api(&app, &posts, "/rooms/team-a/messages", None).await.0, 401, "it is nobody's");
    assert_eq!(api(&app, &reads, "/rooms/team-a/messages", None).await.0, 200, "others stay");
    // The name is free again, and the program another one.
    token(&app, &admin, &[("name", "Cron"), ("post", "yes")]).await;
    let (_, log) = admin.get(&app, &format!("/manage/log/?of={id}")).await;
    assert!(log.contains("made the token") && log.contains("revoked the token") && log.contains("Cron"), "{log}");
}

#[tokio::test]
async fn connections_are_seen_by_person_and_closed_one_by_one() {
    let app = TestApp::start().await;
    let (admin, ann) = (Somebody::new(&app, "admin").await, Somebody::new(&app, "ann").await);
    let (mut first, mut second) = (ann.socket(&app).await, ann.socket(&app).await);
    first.join("room/lobby", None).await;
    second.join("me", None).await;
    let mut plain = Plain::connect(app.address, "/ws/lobby/").await;
    let (_, all) = admin.get(&app, "/manage/connections/").await;
    assert_eq!(all.matches("<tr>").count(), 4, "{all}");
    let path = format!("/manage/connections/?of={}", ann.id);
    let (_, page) = admin.get(&app, &path).await;
    assert_eq!(page.matches("<tr>").count(), 3, "{page}");
    let value = |part: &str, name: &str| {
        let rest = part.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("a field");
        rest.split('"').next().expect("its value").to_owned()
    };
    // The one that came first.
    let row = page.split("<tr>").nth(2).expect("a row");
    let (node, number) = (value(row, "node"), value(row, "number"));
    let fields = [("node", &*node), ("number", &*number), ("id", &*ann.id), ("name", "ann"), ("of", &*ann.id)];
    assert_eq!(admin.send(&app, "/manage/connections/", &fields).await, (303, path.clone()));
    assert_eq!(first.closed().await.0, 4504);
    // Her session is hers still, and so is the other connection.
    assert_eq!(ann.get(&app, "/account/").await.0, 200);
    second.ask(json!({"ping": {}})).await;
    assert_eq!(admin.get(&app, &path).await.1.matches("<tr>").count(), 2);
    plain.say("x").await;
    assert_eq!(plain.text().await, "x");
    assert!(admin.get(&app, &format!("/manage/log/?of={}", ann.id)).await.1.contains("closed a connection of"));
    // Figures are there, and come again and again where that is asked for.
    let live = client().get(app.url("/manage/?refresh=yes")).header("cookie", &admin.cookie).send().await.expect("an answer");
    assert_eq!(live.headers()["refresh"], "5");
    let text = live.text().await.expect("a body");
    assert!(text.contains("Deliveries/s") && text.contains("Signed-in devices"), "{text}");
}

#[tokio::test]
async fn what_is_announced_is_on_every_page_and_told_to_those_that_are_open() {
    let app = TestApp::start().await;
    let admin = Somebody::new(&app, "admin").await;
    let guest = Somebody::guest();
    let mut socket = guest.socket(&app).await;
    socket.join("me", None).await;
    assert!(socket.pushes_so_far().await.is_empty(), "there is nothing to be told");
    let announce = [("act", "announce"), ("text", "At 18:00 it is <b>over</b> & out"), ("minutes", "60")];
    assert_eq!(admin.send(&app, "/manage/server/", &announce).await.0, 303);
    let told = socket.push().await;
    assert_eq!((&told["topic"], &told["event"]["type"]), (&json!("me"), &json!("announced")));
    assert_eq!(told["event"]["announcement"]["text"], "At 18:00 it is <b>over</b> & out");
    let id = told["event"]["announcement"]["id"].as_str().expect("an id").to_owned();
    let text = "At 18:00 it is &lt;b&gt;over&lt;/b&gt; &amp; out";
    for path in ["/", "/room/lobby/", "/search/?q=x", "/login", "/nothing", "/rooms/new"] {
        let (_, page) = guest.get(&app, path).await;
        assert_eq!(page.contains(text), path != "/rooms/new", "{path}: {page}");
    }
    // Who comes only now is told behind the answer.
    let mut late = V1::with(app.address, "/ws/", &[("cookie", &guest.cookie)]).await;
    late.join("me", None).await;
    assert_eq!(late.push().await["event"]["announcement"]["id"], json!(id));
    // A page that is told asks for it as it is shown.
    let piece = client().get(app.url("/banner")).header("referer", app.url("/room/lobby/?x")).send().await.expect("an answer");
    let piece = piece.text().await.expect("a body");
    assert!(piece.contains(text) && piece.contains("value=\"/room/lobby/?x\""), "{piece}");
    // Who has dismissed it sees it no more, until there is another one.
    let answer = client().post(app.url("/dismiss")).form(&[("announcement", &*id), ("next", "/room/lobby/")]);
    let answer = answer.send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/room/lobby/".parse().expect("a path")));
    let cookie = answer.headers()["set-cookie"].to_str().expect("ASCII").split(';').next().expect("a pair").to_owned();
    let dismissed = Somebody { cookie: format!("{}; {cookie}", guest.cookie), ..guest.clone() };
    assert!(!dismissed.get(&app, "/room/lobby/").await.1.contains(text));
    let other = [("act", "announce"), ("text", "It was put off"), ("minutes", "60")];
    assert_eq!(admin.send(&app, "/manage/server/", &other).await.0, 303);
    assert_eq!(socket.push().await["event"]["announcement"]["text"], "It was put off");
    assert!(dismissed.get(&app, "/room/lobby/").await.1.contains("It was put off"));
    // It is taken back, everywhere.
    assert_eq!(admin.send(&app, "/manage/server/", &[("act", "end")]).await.0, 303);
    assert_eq!(socket.push().await["event"], json!({"type": "announced", "announcement": null, "read_only": false}));
    assert!(!guest.get(&app, "/").await.1.contains("It was put off"));
    for (text, minutes) in [("", "60"), ("x", "0"), (&*"x".repeat(501), "60")] {
        let fields = [("act", "announce"), ("text", text), ("minutes", minutes)];
        assert_eq!(admin.send(&app, "/manage/server/", &fields).await.0, 422, "{minutes}");
    }
}

#[tokio::test]
async fn a_read_only_server_is_read_and_nothing_else_also_after_it_was_started_anew() {
    let data = tempfile::tempdir().expect("a folder");
    let at = data.path().to_owned();
    let mut app = TestApp::with(|settings| settings.server.data = at.clone()).await;
    app.get("/healthz").await;
    let (admin, ann) = (Somebody::in_folder(data.path(), "admin"), Somebody::in_folder(data.path(), "ann"));
    let mut socket = ann.socket(&app).await;
    socket.join("room/lobby", None).await;
    socket.join("me", None).await;
    socket.post("room/lobby", "k", "before").await;
    assert_eq!(socket.push().await["event"]["text"], "before");
    let mut plain = Plain::connect(app.address, "/ws/lobby/").await;
    assert_eq!(admin.send(&app, "/manage/server/", &[("act", "read_only")]).await.0, 303);
    is_switched(&mut socket, true).await;
    let may = socket.join("room/lobby", None).await["may"].clone();
    assert!(may["post"] == false && may["message"].as_str().is_some_and(|why| why.contains("read-only")), "{may}");
    is_read_only(&app, &ann, &mut socket).await;
    assert_eq!(admin.send(&app, "/manage/server/", &[("act", "writable")]).await.0, 303);
    is_switched(&mut socket, false).await;
    assert!(socket.join("room/lobby", None).await.get("may").is_none());
    assert_eq!(admin.send(&app, "/manage/server/", &[("act", "read_only")]).await.0, 303);
    plain.say("x").await;
    assert_eq!(plain.closed().await.0, 1013);
    app.begin_to_stop();
    drop(socket);
    app.stopped().await;

    let mut app = TestApp::with(|settings| settings.server.data = at.clone()).await;
    let mut socket = ann.socket(&app).await;
    socket.join("me", None).await;
    assert_eq!(socket.push().await["event"]["read_only"], true);
    socket.join("room/lobby", None).await;
    is_read_only(&app, &ann, &mut socket).await;
    // Who administers it comes in, and lets the others write again.
    assert_eq!(ann.send(&app, "/logout", &[]).await.0, 303);
    assert_eq!(admin.send(&app, "/manage/server/", &[("act", "writable")]).await.0, 303);
    assert_eq!(admin.send(&app, "/room/lobby/", &[("key", "f"), ("text", "again")]).await.0, 303);
    app.begin_to_stop();
    app.stopped().await;
}

/// Everybody is told, and what is open there to ask once more what may be done. It comes in either order.
async fn is_switched(socket: &mut V1, read_only: bool) {
    let pushes = [socket.push().await, socket.push().await];
    assert!(pushes.contains(&json!({"topic": "room/lobby", "event": {"type": "changed"}})), "{pushes:?}");
    assert!(pushes.iter().any(|push| push["event"]["read_only"] == read_only), "{pushes:?}");
}

/// What was said can be read, and nothing is taken.
async fn is_read_only(app: &TestApp, ann: &Somebody, socket: &mut V1) {
    for command in [
        json!({"send": {"topic": "room/lobby", "key": "k9", "text": "x"}}),
        json!({"react": {"topic": "room/lobby", "message": "e-1", "emoji": "👍", "on": true}}),
        json!({"typing": {"topic": "room/lobby"}}),
    ] {
        assert_eq!(code(&socket.ask(command.clone()).await), "read_only", "{command}");
    }
    let (status, page) = ann.send(app, "/room/lobby/", &[("key", "f"), ("text", "what was typed")]).await;
    assert!(status == 503 && page.contains("what was typed") && page.contains("This server is read-only"), "{page}");
    for (path, fields) in [
        ("/me", &[("name", "Anna")][..]),
        ("/account/", &[("do", "name"), ("name", "Anna")]),
        ("/rooms/new", &[("group", "new"), ("title", ""), ("kind", "open")]),
        ("/signup", &[("name", "x"), ("password", "four words of x")]),
    ] {
        let (status, page) = ann.send(app, path, fields).await;
        assert!([403, 503].contains(&status) && page.to_lowercase().contains("read-only"), "{path}: {status} {page}");
    }
    let (status, page) = ann.get(app, "/room/lobby/").await;
    assert!(status == 200 && page.contains("before") && page.contains("This server is read-only now"), "{page}");
    let pushed = client().post(app.url("/api/v1/channels/x/send")).json(&json!({"type": "x"})).send().await.expect("an answer");
    assert_eq!(pushed.status(), 503);
    let body: Value = pushed.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], "read_only");
}

#[tokio::test]
async fn of_the_last_two_administrators_who_go_at_once_one_stays() {
    let app = TestApp::start().await;
    for (round, act) in ["no_administrator", "deactivate", "no_administrator", "deactivate"].into_iter().enumerate() {
        let [one, two] = [format!("one{round}"), format!("two{round}")];
        let [one, two] = [Somebody::new(&app, &one).await, Somebody::new(&app, &two).await];
        let database = rusqlite::Connection::open(app.data().join("confab.db")).expect("the database");
        let appoint = "UPDATE accounts SET administrator = (id IN (?1, ?2))";
        database.execute(appoint, [&one.id, &two.id]).expect("both administer it");
        let goes = async |who: &Somebody| who.send(&app, &format!("/manage/people/{}", who.id), &[("act", act)]).await.0;
        let mut went = join_all([goes(&one), goes(&two)]).await;
        went.sort_unstable();
        assert_eq!(went, [303, 409], "{act}");
        let left = "SELECT count(*) FROM accounts WHERE administrator AND deactivated_at IS NULL";
        assert_eq!(database.query_row(left, [], |row| row.get::<_, i64>(0)).expect("a count"), 1, "{act}");
    }
}

#[tokio::test]
async fn who_may_sign_up_is_switched_and_the_settings_say_what_holds_otherwise() {
    let app = TestApp::start().await;
    let admin = Somebody::new(&app, "admin").await;
    let guest = Somebody::guest();
    let offers = async || guest.get(&app, "/signup").await.1.contains("name=\"password\"");
    assert!(!offers().await, "by invitation");
    for (sign_up, expected) in [("open", true), ("closed", false), ("invite", false)] {
        assert_eq!(admin.send(&app, "/manage/server/", &[("act", "sign_up"), ("sign_up", sign_up)]).await.0, 303);
        assert_eq!(offers().await, expected, "{sign_up}");
    }
    assert_eq!(admin.send(&app, "/manage/server/", &[("act", "sign_up"), ("sign_up", "everybody")]).await.0, 422);
}

#[tokio::test]
async fn lists_are_files_without_secrets_whose_cells_are_no_formulas() {
    let app = TestApp::start().await;
    let (admin, ann) = (Somebody::new(&app, "admin").await, Somebody::new(&app, "ann").await);
    ann.send(&app, "/account/", &[("do", "name"), ("name", "=1+1, \"x\"")]).await;
    let (secret, _) = token(&app, &admin, &[("name", "-Cron"), ("post", "yes")]).await;
    ann.make(&app, "team", "closed").await;
    let list = async |name: &str| {
        let answer = client().get(app.url(&format!("/manage/export/{name}.csv"))).header("cookie", &admin.cookie);
        let answer = answer.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(answer.headers()["content-disposition"], format!("attachment; filename=\"{name}.csv\""));
        assert!(answer.headers()["content-type"].to_str().expect("ASCII").starts_with("text/csv"));
        answer.text().await.expect("a body")
    };
    let (people, rooms, tokens) = (list("people").await, list("rooms").await, list("tokens").await);
    assert!(people.starts_with("id,handle,name,administrator,"), "{people}");
    assert_eq!(people.lines().count(), 3, "{people}");
    assert!(people.contains(",\"'=1+1, \"\"x\"\"\","), "{people}");
    assert!(rooms.contains("team,closed,"), "{rooms}");
    assert!(tokens.contains(",'-Cron,*,no,yes,no,") && !tokens.contains(&secret), "{tokens}");
    let log = list("log").await;
    assert!(log.contains("token.made") && log.contains("server.exported") && !log.contains(&secret), "{log}");
    assert_eq!(admin.get(&app, "/manage/export/secrets.csv").await.0, 404);
}
