//! Who may do what: every address with every method, every command and every topic, for everybody there is.
//!
//! The tables below say what each gets. They are held to what the server has: the list of its routes, and the commands and topics that it
//! names when it is asked for others. So whoever adds one has to say here who may use it.

use std::collections::BTreeMap;

use confab::server::{
    accounts::Token,
    assets,
    routing::routes,
    settings::{History, Pattern, RoomRule, Settings, TokenRule},
};
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::{Value, json};

use crate::{
    accounts::sign_in,
    app::{Http as _, TestApp, rule},
    clients::{UPGRADE, V1},
    within,
};

/// The token of a program that may send to every group and to channels.
const ALL: &str = "all-0123456789abcdef";
/// That of one that may send to `elsewhere` alone.
const ELSEWHERE: &str = "elsewhere-0123456789abcdef";
const ANN: &str = "confab_guest=0123456789abcdef0123456789abcdef";
const BOB: &str = "confab_guest=fedcba9876543210fedcba9876543210";

/// Who asks, in the order of the columns.
const ASKERS: [&str; 8] = [
    "nobody known",
    "a guest",
    "a program",
    "a program for other groups",
    "a wrong token",
    "a page of another site",
    "a name made to point here",
    "somebody with an account",
];

/// One guest and one program show what would let them in, but for where they come from.
fn shows(asker: usize, session: &str, request: RequestBuilder) -> RequestBuilder {
    match asker {
        0 => request,
        1 => request.header("cookie", ANN),
        2 => request.bearer_auth(ALL),
        3 => request.bearer_auth(ELSEWHERE),
        4 => request.bearer_auth("wrong-0123456789abcdef"),
        5 => request.header("cookie", ANN).bearer_auth(ALL).header("origin", "https://evil.example"),
        6 => request.header("cookie", ANN).bearer_auth(ALL).header("host", "evil.example"),
        7 => request.header("cookie", session),
        other => unreachable!("there is no asker {other}"),
    }
}

/// The room `closed` is closed to guests, all others are open.
fn settings(settings: &mut Settings) {
    let token = |name: &str, token: &str, group, channels| TokenRule {
        name: name.parse().expect("a name"),
        token: token.parse().expect("a token"),
        groups: vec![Pattern::for_rooms(group).expect("a pattern")],
        channels,
    };
    settings.tokens = vec![token("All", ALL, "*", true), token("Elsewhere", ELSEWHERE, "elsewhere", false)];
    settings.rooms = vec![RoomRule { guests: false, ..rule("closed", History::Store) }, rule("*", History::Store)];
}

/// What somebody does at an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    Get,
    /// Asks for a WebSocket.
    Upgrade,
    /// Sends a form, or JSON to the API.
    Post,
    /// Sends the form by which a browser forgets who it is.
    Forget,
}

/// The statuses for the askers, in their order.
type Row = [u16; ASKERS.len()];

/// A page that everybody may see.
const SEEN: Row = [200, 200, 200, 200, 200, 200, 421, 200];
/// A form that everybody may send but from another site.
const FORM: Row = [303, 303, 303, 303, 303, 403, 421, 303];
/// What sends on to another address.
const MOVED: Row = [308, 308, 308, 308, 308, 308, 421, 308];
/// Where there is nothing.
const NOTHING: Row = [404, 404, 404, 404, 404, 404, 421, 404];
const NO_FORM: Row = [404, 404, 404, 404, 404, 403, 421, 404];

/// What is not for guests, and what somebody with an account gets.
const fn members(status: u16) -> Row {
    [403, 403, 403, 403, 403, 403, 421, status]
}

/// A WebSocket that everybody may have but from another site.
const SOCKET: Row = [101, 101, 101, 101, 101, 403, 421, 101];
/// Where there is nothing but a WebSocket.
const NO_PAGE: Row = [426, 426, 426, 426, 426, 426, 421, 426];
const PROGRAMS: Row = [401, 401, 200, 403, 401, 403, 421, 401];

/// Each address, what is done there, and what comes of it: in an open room, and in one that is closed to guests where it has one.
fn table() -> BTreeMap<(&'static str, Does), (Row, Option<Row>)> {
    use Does::{Forget, Get, Post, Upgrade};
    let alike = |row| (row, None);
    let rooms = |open, closed| (open, Some(closed));
    let mut table = BTreeMap::from([
        (("/", Get), alike(SEEN)),
        (("/me", Post), alike(FORM)),
        // It is about whoever asks: see `nobody_signs_somebody_else_out`.
        (("/me", Forget), alike(FORM)),
        (("/room/", Get), alike([303, 303, 303, 303, 303, 303, 421, 303])),
        (("/room/{group}", Get), rooms(MOVED, MOVED)),
        (("/room/{group}", Upgrade), rooms(SOCKET, members(101))),
        (("/room/{group}/", Get), rooms(SEEN, members(200))),
        (("/room/{group}/", Upgrade), rooms(SOCKET, members(101))),
        (("/room/{group}/", Post), rooms(FORM, members(303))),
        // Sign-up takes an invitation by default, and the form of the test has neither one nor a password.
        (("/signup", Get), alike(SEEN)),
        (("/signup", Post), alike(members(403))),
        (("/login", Get), alike([200, 200, 200, 200, 200, 200, 421, 303])),
        (("/login", Post), alike([422, 422, 422, 422, 422, 403, 421, 422])),
        // Without a code, and without what says that the password was right.
        (("/login/code", Post), alike([422, 422, 422, 422, 422, 403, 421, 422])),
        (("/account/second-factor", Get), alike([303, 303, 303, 303, 303, 303, 421, 200])),
        (("/account/second-factor", Post), alike([303, 303, 303, 303, 303, 403, 421, 422])),
        (("/account/delete", Get), alike([303, 303, 303, 303, 303, 303, 421, 200])),
        (("/account/delete", Post), alike([303, 303, 303, 303, 303, 403, 421, 422])),
        (("/account/data.jsonl", Get), alike([303, 303, 303, 303, 303, 303, 421, 200])),
        // Without a token of another site.
        (("/login/token", Post), alike([422, 422, 422, 422, 422, 403, 421, 422])),
        (("/logout", Get), alike(SEEN)),
        (("/logout", Post), alike(FORM)),
        (("/account/", Get), alike([303, 303, 303, 303, 303, 303, 421, 200])),
        (("/account/", Post), alike([303, 303, 303, 303, 303, 403, 421, 422])),
        (("/setup/{token}", Get), alike(NOTHING)),
        (("/setup/{token}", Post), alike(NO_FORM)),
        (("/reset/{token}", Get), alike(NOTHING)),
        (("/reset/{token}", Post), alike(NO_FORM)),
        (("/device/{token}", Get), alike(NOTHING)),
        (("/device/{token}", Post), alike(NO_FORM)),
        // Rooms that somebody owns, their people and invitations: what is not there is not there, and the rest needs an account.
        (("/room/{group}/settings", Get), rooms(NOTHING, NOTHING)),
        (("/room/{group}/settings", Post), rooms(NO_FORM, NO_FORM)),
        (("/rooms/own", Get), alike([403, 403, 403, 403, 403, 403, 421, 200])),
        (("/rooms/new", Get), alike([303, 303, 303, 303, 303, 303, 421, 200])),
        (("/rooms/new", Post), alike([303, 303, 303, 303, 303, 403, 421, 422])),
        (("/invite/{code}", Get), alike(NOTHING)),
        (("/invite/{code}", Post), alike(NO_FORM)),
        (("/people/{account}", Get), alike([303, 303, 303, 303, 303, 303, 421, 404])),
        (("/people/{account}/direct", Post), alike([303, 303, 303, 303, 303, 403, 421, 404])),
        // Administration is there for administrators alone: see `manage`, where they are asked, too.
        (("/manage/", Get), alike(NOTHING)),
        (("/manage/people/", Get), alike(NOTHING)),
        (("/manage/people/{account}", Get), alike(NOTHING)),
        (("/manage/people/{account}", Post), alike(NO_FORM)),
        (("/manage/rooms/", Get), alike(NOTHING)),
        (("/manage/rooms/{group}", Get), rooms(NOTHING, NOTHING)),
        (("/manage/rooms/{group}", Post), rooms(NO_FORM, NO_FORM)),
        (("/manage/invitations/", Get), alike(NOTHING)),
        (("/manage/invitations/", Post), alike(NO_FORM)),
        (("/manage/tokens/", Get), alike(NOTHING)),
        (("/manage/tokens/", Post), alike(NO_FORM)),
        (("/manage/connections/", Get), alike(NOTHING)),
        (("/manage/connections/", Post), alike(NO_FORM)),
        (("/manage/bans/", Get), alike(NOTHING)),
        (("/manage/bans/", Post), alike(NO_FORM)),
        (("/manage/server/", Get), alike(NOTHING)),
        (("/manage/server/", Post), alike(NO_FORM)),
        (("/manage/log/", Get), alike(NOTHING)),
        (("/manage/export/{list}", Get), alike(NOTHING)),
        (("/banner", Get), alike(SEEN)),
        // It is about nobody but whose browser it is; the form of the test names no announcement.
        (("/dismiss", Post), alike([422, 422, 422, 422, 422, 403, 421, 422])),
        // The same; the form names no language.
        (("/language", Post), alike([422, 422, 422, 422, 422, 403, 421, 422])),
        (("/search/", Get), alike(SEEN)),
        (("/healthz", Get), alike([200; ASKERS.len()])),
        (("/readyz", Get), alike(SEEN)),
        (("/metrics", Get), alike(SEEN)),
        (("/api/v1/rooms", Get), alike(SEEN)),
        (("/api/v1/rooms/{group}/messages", Get), rooms(SEEN, members(200))),
        (("/api/v1/rooms/{group}/export", Get), rooms(SEEN, members(200))),
        (("/api/v1/rooms/{group}/search", Get), rooms(SEEN, members(200))),
        (("/api/v1/search", Get), alike(SEEN)),
        // What a rule says of guests does not hold for programs.
        (("/api/v1/groups/{group}/send", Post), rooms(PROGRAMS, PROGRAMS)),
        (("/api/v1/channels/{channel}/send", Post), alike(PROGRAMS)),
        (("/api/v1/openapi.json", Get), alike(SEEN)),
    ]);
    for path in ["/ws", "/ws/"] {
        table.insert((path, Get), alike(NO_PAGE));
        table.insert((path, Upgrade), alike(SOCKET));
    }
    for path in ["/ws/{group}", "/ws/{group}/", "/chat/{group}", "/chat/{group}/"] {
        table.insert((path, Get), rooms(NO_PAGE, NO_PAGE));
        table.insert((path, Upgrade), rooms(SOCKET, members(101)));
    }
    for path in ["/ws/{kind}/{name}", "/ws/{kind}/{name}/"] {
        table.insert((path, Get), rooms(NO_PAGE, NO_PAGE));
        table.insert((path, Upgrade), rooms(SOCKET, members(101)));
    }
    table
}

/// The address of a group.
fn of_group(path: &str, group: &str) -> String {
    path.replace("{kind}/{name}", &format!("room/{group}"))
        .replace("{group}", group)
        .replace("{channel}", "specific.nobody")
        .replace("{token}", &"0".repeat(64))
}

fn client() -> Client {
    Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client")
}

/// The cookie of a fresh session of somebody.
async fn signed_in(app: &TestApp) -> String {
    sign_in(app, "a0000000000000001", "zoe", &Token::fresh().reveal()[..32]).await
}

async fn status(request: RequestBuilder) -> u16 {
    within("an answer", request.send()).await.expect("an answer").status().as_u16()
}

fn request(app: &TestApp, client: &Client, path: &str, does: Does, group: &str) -> RequestBuilder {
    let url = app.url(&of_group(path, group));
    match does {
        Does::Get => client
            .get(url)
            .query(&[("q", "x")].as_slice()[..usize::from(path.ends_with("search"))])
            .query(&[("group", "open")].as_slice()[..usize::from(path == "/room/")]),
        Does::Upgrade => {
            let headers = UPGRADE.into_iter().filter(|(name, _)| *name != "Host");
            let request = headers.fold(client.get(url), |request, (name, value)| request.header(name, value));
            request.header("sec-websocket-protocol", "confab.v1")
        }
        Does::Forget => client.post(url).form(&[("forget", "yes")]),
        Does::Post if path.contains("/channels/") => client.post(url).json(&json!({"type": "x"})),
        Does::Post if path.starts_with("/api/") => client.post(url).json(&json!({"text": "x"})),
        Does::Post => client.post(url).form(&[("key", "k"), ("text", "x"), ("name", "Ann")]),
    }
}

#[tokio::test]
async fn each_address_answers_everybody_as_the_table_says() {
    let app = TestApp::with(settings).await;
    let client = client();
    let mut wrong = Vec::new();
    for ((path, does), (open, closed)) in table() {
        let name = match does {
            Does::Get => "GET",
            Does::Upgrade => "upgrade",
            Does::Post | Does::Forget => "POST",
        };
        // The one before may have signed out.
        let session = signed_in(&app).await;
        for (group, row) in [("open", Some(open)), ("closed", closed)] {
            for (asker, expected) in row.into_iter().flatten().enumerate() {
                let found = status(shows(asker, &session, request(&app, &client, path, does, group))).await;
                if found != expected {
                    wrong.push(format!("{name} {path} of {group} by {}: {found}, not {expected}", ASKERS[asker]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn nobody_signs_somebody_else_out() {
    for (asker, (name, expected)) in ASKERS.iter().zip(FORM).enumerate() {
        let app = TestApp::with(settings).await;
        let mut ann = V1::with(app.address, "/ws/", &[("cookie", ANN)]).await;
        let form = client()
            .post(app.url("/me"))
            .form(&[("forget", "yes"), ("id", ann.welcome["you"]["id"].as_str().unwrap_or_default())]);
        assert_eq!(status(shows(asker, &signed_in(&app).await, form)).await, expected, "{name}");
        if asker == 1 {
            assert_eq!(ann.closed().await.0, 4501);
        } else {
            assert_eq!(outcome(&mut ann, json!({"ping": {}})).await, "ok", "{name}");
        }
    }
}

#[tokio::test]
async fn each_address_and_method_is_in_the_table_and_others_are_not_answered() {
    let app = TestApp::with(settings).await;
    let client = client();
    let mut rows: BTreeMap<_, _> = table().into_iter().map(|((path, does), row)| ((path.to_owned(), does), row)).collect();
    for (path, route) in routes() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let does = if method == "GET" { Does::Get } else { Does::Post };
            if route.methods.contains(&method) {
                let row = rows.remove(&(path.clone(), does));
                let (_, closed) = row.unwrap_or_else(|| panic!("{method} {path} is not in the table: who may do that?"));
                assert_eq!(
                    closed.is_some(),
                    of_group(&path, "x") != of_group(&path, "y"),
                    "{method} {path}: a room may be closed to guests"
                );
            } else {
                let method: Method = method.parse().expect("a method");
                let url = app.url(&of_group(&path, "open"));
                // With a token, which is asked for before all else.
                let found = status(client.request(method.clone(), url).bearer_auth(ALL)).await;
                assert_eq!(found, 405, "{method} {path}");
            }
        }
    }
    rows.retain(|(_, does), _| !matches!(does, Does::Upgrade | Does::Forget));
    assert!(rows.is_empty(), "there are no such addresses: {:?}", rows.keys().map(|(path, _)| path).collect::<Vec<_>>());
    let session = signed_in(&app).await;
    // The files of the site are everybody's.
    for path in assets::paths() {
        let url = app.url(&path.replace("{build}", "x").replace("{*path}", "nothing"));
        for (asker, name) in ASKERS.iter().enumerate() {
            let found = status(shows(asker, &session, client.get(&url))).await;
            let there = if path.contains('{') { 404 } else { 200 };
            assert_eq!(found, if asker == 6 { 421 } else { there }, "GET {path} by {name}");
        }
        assert_eq!(status(client.post(&url)).await, 405, "POST {path}");
    }
}

/// What a command of somebody's gets: about a message of their own and about another's, both in a room that they have joined; about one in
/// a room that they have not joined; in one that is closed to guests; and in the topic `me`, joined.
const COMMANDS: [(&str, [&str; 5]); 10] = [
    ("join", ["ok", "ok", "ok", "forbidden", "ok"]),
    ("leave", ["ok", "ok", "not_joined", "not_joined", "ok"]),
    ("send", ["ok", "ok", "not_joined", "not_joined", "bad_request"]),
    ("edit", ["ok", "forbidden", "not_joined", "not_joined", "bad_request"]),
    ("delete", ["ok", "forbidden", "not_joined", "not_joined", "bad_request"]),
    ("react", ["ok", "ok", "not_joined", "not_joined", "bad_request"]),
    ("typing", ["ok", "ok", "not_joined", "not_joined", "bad_request"]),
    // Of a guest that is for the browser to keep.
    ("read", ["bad_request", "bad_request", "not_joined", "not_joined", "bad_request"]),
    ("ping", ["ok", "ok", "ok", "ok", "ok"]),
    // Whoever has asked for something is who they are.
    ("authorize", ["bad_request", "bad_request", "bad_request", "bad_request", "bad_request"]),
];

/// Who may join a topic, by the code of the answer: a guest, somebody without a cookie, and a guest who shows a program's token, which
/// opens nothing.
const TOPICS: [(&str, &str, [&str; 3]); 4] = [
    ("room/{group}", "room/open", ["ok", "ok", "ok"]),
    ("room/{group}", "room/closed", ["forbidden", "forbidden", "forbidden"]),
    ("lobby", "lobby", ["ok", "ok", "ok"]),
    ("me", "me", ["ok", "ok", "ok"]),
];

/// What comes of a command: `ok`, or the code of the error.
async fn outcome(client: &mut V1, command: Value) -> String {
    let answer = client.ask(command).await;
    answer["error"]["code"].as_str().unwrap_or("ok").to_owned()
}

/// A list as sentences have it: `a, b and c`.
fn listed(sentence: &str, after: &str) -> Vec<String> {
    let list = sentence.split(after).nth(1).unwrap_or_else(|| panic!("no list in: {sentence}"));
    list.split(", ").flat_map(|part| part.split(" and ")).flat_map(|part| part.split(" or ")).map(str::to_owned).collect()
}

fn command(name: &str, topic: &str, message: &str, key: &str) -> Value {
    let arguments = match name {
        "join" | "leave" | "typing" => json!({"topic": topic}),
        "send" => json!({"topic": topic, "key": key, "text": "x"}),
        "edit" => json!({"topic": topic, "message": message, "text": "y"}),
        "delete" => json!({"topic": topic, "message": message}),
        "react" => json!({"topic": topic, "message": message, "emoji": "👍", "on": true}),
        "read" => json!({"topic": topic, "up_to": {"epoch": "x", "offset": 1}}),
        "ping" => json!({}),
        "authorize" => json!({"token": "x"}),
        other => panic!("what does {other} take?"),
    };
    json!({name: arguments})
}

#[tokio::test]
async fn each_command_is_answered_as_the_table_says() {
    let app = TestApp::with(settings).await;
    let mut ann = V1::with(app.address, "/ws/", &[("cookie", ANN)]).await;
    let there = ann.error(json!({"nothing": {}})).await["message"].as_str().expect("a sentence").to_owned();
    let names: Vec<_> = COMMANDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed(&there, "there are "), names, "a command is not in the table: who may use it?");
    let mut bob = V1::with(app.address, "/ws/", &[("cookie", BOB)]).await;
    let epoch = bob.join("room/open", None).await["epoch"].as_str().expect("an epoch").to_owned();
    let id = |offset: Value| format!("{epoch}-{offset}");
    for (name, expected) in COMMANDS {
        let theirs = id(bob.post("room/open", &format!("{name}-bob"), "Bob's").await);
        ann.join("room/open", None).await;
        ann.join("me", None).await;
        let own = id(ann.post("room/open", &format!("{name}-ann"), "Ann's").await);
        let asked =
            [("room/open", &own), ("room/open", &theirs), ("room/other", &theirs), ("room/closed", &theirs), ("me", &theirs)];
        for (at, ((topic, message), expected)) in asked.into_iter().zip(expected).enumerate() {
            let found = outcome(&mut ann, command(name, topic, message, &format!("{name}-{at}"))).await;
            assert_eq!(found, expected, "{name} in {topic}, {at}");
            // Whatever it was, the next finds what it expects.
            ann.join("room/open", None).await;
            outcome(&mut ann, json!({"leave": {"topic": "room/other"}})).await;
        }
    }
}

#[tokio::test]
async fn each_topic_is_joined_by_whom_the_table_says() {
    let app = TestApp::with(settings).await;
    let mut clients = [
        V1::with(app.address, "/ws/", &[("cookie", ANN)]).await,
        V1::connect(app.address, "/ws/").await,
        V1::with(app.address, "/ws/", &[("cookie", BOB), ("authorization", &format!("Bearer {ALL}"))]).await,
    ];
    let there = clients[0].error(json!({"join": {"topic": "nothing/at-all"}})).await["message"]
        .as_str()
        .expect("a sentence")
        .to_owned();
    let mut kinds: Vec<_> = TOPICS.iter().map(|(kind, ..)| (*kind).to_owned()).collect();
    kinds.dedup();
    assert_eq!(listed(&there, "a topic is "), kinds, "a topic is not in the table: who may join it?");
    for (_, topic, expected) in TOPICS {
        for (client, expected) in clients.iter_mut().zip(expected) {
            assert_eq!(outcome(client, json!({"join": {"topic": topic}})).await, expected, "{topic}");
        }
    }
}
