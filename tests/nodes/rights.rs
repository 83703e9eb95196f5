//! Who gets what of a room that somebody owns: each address, command and topic that is about a room, for everybody there is, in an open room
//! and in a closed one. Rights are changed on one node and asked for on another, or both on a server with a database of its own.
//!
//! The tables are held to what the server has: whoever adds an address of a room, a command or a topic has to say here who gets what. What
//! is no room's is in `tests/server/permissions.rs`. What is not for somebody answers as what is not there.

use std::collections::BTreeSet;

use confab::server::{
    routing::routes,
    settings::{Backend, Settings},
};
use reqwest::{Client, Response, redirect};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, rule},
    clients::{UPGRADE, V1},
    cluster::{self, host},
    people::{Somebody, code},
    support::{postgres::Postgres, redis::Redis},
    within,
};

on_each_backend! {
    everybody_gets_on_one_node_what_was_said_on_the_other,
}

/// In the order of the columns: without a cookie, a guest, an account that was never there, one that was removed, one that is banned, members
/// who are muted, read-only and neither, the moderator, the owner, and an administrator who is no member.
const ROLES: [&str; 11] =
    ["nobody", "guest", "stranger", "former", "banned", "muted", "readonly", "member", "moderator", "owner", "admin"];

const CLOSED: &str = "
                                         nobody guest stranger former banned muted readonly member moderator owner admin
    GET     /room/{group}                   308   308      308    308    308   308      308    308       308   308   308
    GET     /room/{group}/                  404   404      404    404    404   200      200    200       200   200   404
    POST    /room/{group}/                  404   404      404    404    404   403      403    303       303   303   404
    GET     /room/{group}/settings          404   404      404    404    404   200      200    200       200   200   200
    POST    /room/{group}/settings          404   404      404    404    404   403      403    403       403   303   303
    invite  /room/{group}/settings          404   404      404    404    404   403      403    403       200   200   200
    upgrade /room/{group}                   404   404      404    404    404   101      101    101       101   101   404
    upgrade /room/{group}/                  404   404      404    404    404   101      101    101       101   101   404
    upgrade /ws/{group}                     404   404      404    404    404   101      101    101       101   101   404
    upgrade /ws/{group}/                    404   404      404    404    404   101      101    101       101   101   404
    upgrade /chat/{group}                   404   404      404    404    404   101      101    101       101   101   404
    upgrade /chat/{group}/                  404   404      404    404    404   101      101    101       101   101   404
    upgrade /ws/{kind}/{name}               404   404      404    404    404   101      101    101       101   101   404
    upgrade /ws/{kind}/{name}/              404   404      404    404    404   101      101    101       101   101   404
    GET     /api/v1/rooms/{group}/messages  404   404      404    404    404   200      200    200       200   200   404
    GET     /api/v1/rooms/{group}/export    404   404      404    404    404   200      200    200       200   200   404
    GET     /api/v1/rooms/{group}/search    404   404      404    404    404   200      200    200       200   200   404
    POST    /api/v1/groups/{group}/send     401   401      401    401    401   401      401    401       401   401   401
    GET     /manage/rooms/{group}           404   404      404    404    404   404      404    404       404   404   200
    POST    /manage/rooms/{group}           404   404      404    404    404   404      404    404       404   404   422
    listed  /api/v1/rooms                     -     -        -      -      -   yes      yes    yes       yes   yes     -
    found   /api/v1/search                    -     -        -      -      -   yes      yes    yes       yes   yes     -
    topic   room/{group}   not_found not_found not_found not_found not_found ok ok ok ok ok not_found
    topic   lobby          ok ok ok ok ok ok ok ok ok ok ok
    topic   me             ok ok ok ok ok ok ok ok ok ok ok
    command join           not_found not_found not_found not_found not_found ok ok ok ok ok not_found
    command leave          not_joined not_joined not_joined not_joined not_joined ok ok ok ok ok not_joined
    command send           not_joined not_joined not_joined not_joined not_joined forbidden forbidden ok ok ok not_joined
    command edit           not_joined not_joined not_joined not_joined not_joined forbidden forbidden forbidden forbidden forbidden not_joined
    command delete         not_joined not_joined not_joined not_joined not_joined forbidden forbidden forbidden ok ok not_joined
    command react          not_joined not_joined not_joined not_joined not_joined forbidden forbidden ok ok ok not_joined
    command typing         not_joined not_joined not_joined not_joined not_joined forbidden forbidden ok ok ok not_joined
    command read           not_joined not_joined not_joined not_joined not_joined ok ok ok ok ok not_joined
    command ping           ok ok ok ok ok ok ok ok ok ok ok
    command authorize      bad_request bad_request bad_request bad_request bad_request bad_request bad_request bad_request bad_request bad_request bad_request
";

const OPEN: &str = "
                                         nobody guest stranger former banned muted readonly member moderator owner admin
    GET     /room/{group}                   308   308      308    308    308   308      308    308       308   308   308
    GET     /room/{group}/                  200   200      200    200    404   200      200    200       200   200   200
    POST    /room/{group}/                  303   303      303    303    404   403      403    303       303   303   303
    GET     /room/{group}/settings          200   200      200    200    404   200      200    200       200   200   200
    POST    /room/{group}/settings          403   403      403    403    404   403      403    403       403   303   303
    invite  /room/{group}/settings          403   403      403    403    404   403      403    403       200   200   200
    upgrade /room/{group}                   101   101      101    101    404   101      101    101       101   101   101
    upgrade /room/{group}/                  101   101      101    101    404   101      101    101       101   101   101
    upgrade /ws/{group}                     101   101      101    101    404   101      101    101       101   101   101
    upgrade /ws/{group}/                    101   101      101    101    404   101      101    101       101   101   101
    upgrade /chat/{group}                   101   101      101    101    404   101      101    101       101   101   101
    upgrade /chat/{group}/                  101   101      101    101    404   101      101    101       101   101   101
    upgrade /ws/{kind}/{name}               101   101      101    101    404   101      101    101       101   101   101
    upgrade /ws/{kind}/{name}/              101   101      101    101    404   101      101    101       101   101   101
    GET     /api/v1/rooms/{group}/messages  200   200      200    200    404   200      200    200       200   200   200
    GET     /api/v1/rooms/{group}/export    200   200      200    200    404   200      200    200       200   200   200
    GET     /api/v1/rooms/{group}/search    200   200      200    200    404   200      200    200       200   200   200
    POST    /api/v1/groups/{group}/send     401   401      401    401    401   401      401    401       401   401   401
    GET     /manage/rooms/{group}           404   404      404    404    404   404      404    404       404   404   200
    POST    /manage/rooms/{group}           404   404      404    404    404   404      404    404       404   404   422
    listed  /api/v1/rooms                   yes   yes      yes    yes      -   yes      yes    yes       yes   yes   yes
    found   /api/v1/search                  yes   yes      yes    yes      -   yes      yes    yes       yes   yes   yes
    topic   room/{group}   ok ok ok ok not_found ok ok ok ok ok ok
    topic   lobby          ok ok ok ok ok ok ok ok ok ok ok
    topic   me             ok ok ok ok ok ok ok ok ok ok ok
    command join           ok ok ok ok not_found ok ok ok ok ok ok
    command leave          ok ok ok ok not_joined ok ok ok ok ok ok
    command send           ok ok ok ok not_joined forbidden forbidden ok ok ok ok
    command edit           forbidden forbidden forbidden forbidden not_joined forbidden forbidden forbidden forbidden forbidden forbidden
    command delete         forbidden forbidden forbidden forbidden not_joined forbidden forbidden forbidden ok ok ok
    command react          ok ok ok ok not_joined forbidden forbidden ok ok ok ok
    command typing         ok ok ok ok not_joined forbidden forbidden ok ok ok ok
    command read           bad_request bad_request ok ok not_joined ok ok ok ok ok ok
    command ping           ok ok ok ok ok ok ok ok ok ok ok
    command authorize      bad_request bad_request bad_request bad_request bad_request bad_request bad_request bad_request bad_request bad_request bad_request
";

/// The rows of a table: what is done, to what, and what each role gets.
fn rows(table: &'static str) -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let heads: Vec<_> = lines.next().expect("a head").split_whitespace().collect();
    assert_eq!(heads, ROLES);
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let (does, what) = (words.next().expect("a word"), words.next().expect("two words"));
        let cells: Vec<_> = words.collect();
        assert_eq!(cells.len(), ROLES.len(), "{line}");
        (does, what, cells)
    };
    lines.map(row).collect()
}

/// What the people of a test are asked with.
struct Asking<'a> {
    app: &'a TestApp,
    people: &'a [Somebody],
    client: Client,
    room: &'a str,
    kind: &'a str,
    /// So that each message is another one.
    number: usize,
}

impl Asking<'_> {
    fn somebody(&self, role: &str) -> &Somebody {
        let at = ROLES.iter().position(|known| *known == role).expect("a role");
        &self.people[at]
    }

    /// What somebody gets, in the words of the tables.
    async fn ask(&mut self, role: &str, does: &str, what: &str) -> String {
        self.number += 1;
        let who = self.somebody(role).clone();
        let path = what.replace("{kind}/{name}", "room/{group}").replace("{group}", self.room);
        match does {
            "listed" => {
                let (_, list) = who.api(self.app, &path).await;
                self.has(&list["rooms"])
            }
            "found" => {
                let (_, found) = who.api(self.app, &format!("{path}?q=needle&limit=100")).await;
                self.has(&found["hits"])
            }
            "topic" => code(&who.socket(self.app).await.ask(json!({"join": {"topic": path}})).await),
            "command" => self.command(&who, role, what).await,
            _ => self.send(&who, does, &path).await.status().as_u16().to_string(),
        }
    }

    fn has(&self, list: &Value) -> String {
        let is_there = list.as_array().expect("a list").iter().any(|item| item["group"] == self.room);
        if is_there { "yes" } else { "-" }.to_owned()
    }

    async fn send(&self, who: &Somebody, does: &str, path: &str) -> Response {
        let url = self.app.url(path);
        let change = [("act", "change"), ("title", "T"), ("topic", ""), ("kind", self.kind), ("posting", "everybody")];
        let invite = [("act", "invite"), ("role", "member"), ("uses", "1"), ("minutes", "30")];
        let key = format!("form-{}", self.number);
        let request = match does {
            "GET" => self.client.get(url).query(&[("q", "needle")].as_slice()[..usize::from(path.ends_with("search"))]),
            "upgrade" => UPGRADE
                .into_iter()
                .filter(|(name, _)| *name != "Host")
                .fold(self.client.get(url), |request, (name, value)| request.header(name, value)),
            "invite" => self.client.post(url).form(&invite),
            "POST" if path.ends_with("settings") => self.client.post(url).form(&change),
            "POST" if path.starts_with("/api/") => self.client.post(url).json(&json!({"text": "x"})),
            "POST" => self.client.post(url).form(&[("key", key.as_str()), ("text", "x")]),
            other => panic!("what is {other}?"),
        };
        within(path, request.header("cookie", &who.cookie).send()).await.expect("an answer")
    }

    /// About a message of somebody else's, in the room if it can be joined.
    async fn command(&self, who: &Somebody, role: &str, name: &str) -> String {
        let topic = format!("room/{}", self.room);
        let author = self.somebody(if role == "member" { "owner" } else { "member" });
        let mut writes = author.socket(self.app).await;
        let epoch = writes.join(&topic, None).await["epoch"].as_str().expect("an epoch").to_owned();
        let offset = writes.post(&topic, &format!("theirs-{}", self.number), "theirs").await;
        let message = format!("{epoch}-{offset}");
        let mut socket = who.socket(self.app).await;
        if name != "join" {
            socket.ask(json!({"join": {"topic": topic}})).await;
        }
        let arguments = match name {
            "join" | "leave" | "typing" => json!({"topic": topic}),
            "send" => json!({"topic": topic, "key": format!("own-{}", self.number), "text": "x"}),
            "edit" => json!({"topic": topic, "message": message, "text": "y"}),
            "delete" => json!({"topic": topic, "message": message}),
            "react" => json!({"topic": topic, "message": message, "emoji": "👍", "on": true}),
            "read" => json!({"topic": topic, "up_to": {"epoch": epoch, "offset": offset}}),
            "ping" => json!({}),
            // Who one is has been settled when a room is joined.
            "authorize" => json!({"token": "x"}),
            other => panic!("what does {other} take?"),
        };
        code(&socket.ask(json!({name: arguments})).await)
    }

    /// Status, headers and body of an answer, without what is another thing each time.
    async fn answer(&self, who: &Somebody, does: &str, path: &str, room: &str) -> String {
        let answer = self.send(who, does, path).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let nonce = headers.get("content-security-policy").and_then(|policy| policy.to_str().ok());
        let nonce = nonce.and_then(|policy| policy.split("'nonce-").nth(1)?.split('\'').next()).unwrap_or("no nonce");
        let mut lines: Vec<String> = headers
            .iter()
            .filter(|(name, _)| !["date", "set-cookie"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")))
            .collect();
        lines.sort();
        let all = format!("{status}\n{}\n\n", lines.join("\n"));
        let body = answer.text().await.expect("a body");
        (all + &body).replace(nonce, "NONCE").replace(room, "ROOM")
    }
}

/// Makes rooms on one server and has everybody ask for them on another, which may be the same.
async fn everybody_gets_what_the_tables_say(changed: &TestApp, asked: &TestApp, people: &[Somebody]) {
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client");
    let person = |role: &str| &people[ROLES.iter().position(|known| *known == role).expect("a role")];
    let owner = person("owner");
    let mut wrong = Vec::new();
    for (kind, table) in [("open", OPEN), ("closed", CLOSED)] {
        let room = format!("s-{kind}");
        owner.make(changed, &room, kind).await;
        for role in ["former", "banned", "muted", "readonly", "member", "moderator"] {
            let role_there = if role == "moderator" { role } else { "member" };
            person(role).is_invited(changed, owner, &room, role_there).await;
        }
        let mut socket = owner.socket(changed).await;
        socket.join(&format!("room/{room}"), None).await;
        socket.post(&format!("room/{room}"), "first", "needle").await;
        owner.does(changed, &room, "remove", person("former"), &[]).await;
        owner.does(changed, &room, "ban", person("banned"), &[]).await;
        owner.does(changed, &room, "mute", person("muted"), &[("minutes", "60")]).await;
        owner.does(changed, &room, "role", person("readonly"), &[("role", "read_only")]).await;
        let mut asking = Asking { app: asked, people, client: client.clone(), room: &room, kind, number: 0 };
        // Another node hears of it a moment later; of the last, when it has heard of all.
        within("the rights on the other node", async {
            while asking.ask("readonly", "command", "send").await != "forbidden" {}
            while asking.ask("owner", "found", "/api/v1/search").await != "yes" {}
        })
        .await;
        for (does, what, cells) in rows(table) {
            for (role, expected) in ROLES.iter().zip(cells) {
                let found = asking.ask(role, does, what).await;
                if found != expected {
                    wrong.push(format!("{does} {what} of the {kind} room by {role}: {found}, not {expected}"));
                }
            }
        }
        if kind == "closed" {
            for (does, what, _) in rows(table).into_iter().filter(|(_, what, cells)| cells[0] == "404" && what.contains('{')) {
                for role in ["nobody", "guest", "stranger", "former", "banned"] {
                    // No rule is for the other name, which is as long.
                    let of = async |room: &str| {
                        let path = what.replace("{kind}/{name}", "room/{group}").replace("{group}", room);
                        asking.answer(person(role), does, &path, room).await
                    };
                    let (hidden, missing) = (of(&room).await, of("x-closed").await);
                    if hidden != missing {
                        wrong.push(format!("{does} {what} tells {role} that there is something:\n{hidden}\n---\n{missing}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_tables_are_whole(asked).await;
}

/// A list as sentences have it: `a, b and c`.
fn listed(sentence: &Value, after: &str) -> BTreeSet<String> {
    let sentence = sentence["message"].as_str().expect("a sentence");
    let list = sentence.split(after).nth(1).unwrap_or_else(|| panic!("no list in: {sentence}"));
    list.split(", ").flat_map(|part| part.split(" and ")).flat_map(|part| part.split(" or ")).map(str::to_owned).collect()
}

async fn assert_tables_are_whole(app: &TestApp) {
    let mut socket = V1::connect(app.address, "/ws/").await;
    let commands = listed(&socket.error(json!({"nothing": {}})).await, "there are ");
    let topics = listed(&socket.error(json!({"join": {"topic": "nothing/at-all"}})).await, "a topic is ");
    let addresses: BTreeSet<String> = routes()
        .filter(|(path, _)| path.contains("{group}") || path.contains("{name}"))
        .flat_map(|(path, route)| route.methods.iter().map(move |method| format!("{method} {path}")))
        .collect();
    for table in [OPEN, CLOSED] {
        let of = |kind: &str| -> BTreeSet<String> {
            rows(table).into_iter().filter(|(does, ..)| *does == kind).map(|(_, what, _)| what.to_owned()).collect()
        };
        assert_eq!(of("command"), commands, "each command has a row: who gets what?");
        assert_eq!(of("topic"), topics, "each topic has a row: who gets what?");
        // To an address that is a WebSocket alone nobody comes by GET.
        let there: BTreeSet<String> = rows(table)
            .into_iter()
            .filter_map(|(does, what, _)| match does {
                "GET" | "POST" => Some(format!("{does} {what}")),
                "upgrade" => Some(format!("GET {what}")),
                _ => None,
            })
            .filter(|row| row.contains('{'))
            .collect();
        assert_eq!(there, addresses, "each address of a room has a row: who gets what?");
    }
}

fn rules(settings: &mut Settings) {
    settings.rooms = vec![rule("s-*", confab::server::settings::History::Store)];
    settings.limits.requests_per_second = None;
}

/// One for each role, in their order.
async fn people(somebody: impl AsyncFn(&'static str) -> Somebody) -> Vec<Somebody> {
    let mut all = vec![Somebody { cookie: String::new(), ..Somebody::guest() }, Somebody::guest()];
    for role in &ROLES[2..] {
        all.push(somebody(role).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_what_the_tables_say_of_a_server_with_a_database_of_its_own() {
    let app = TestApp::with(rules).await;
    let people = people(async |role| Somebody::new(&app, role).await).await;
    Box::pin(everybody_gets_what_the_tables_say(&app, &app, &people)).await;
}

async fn everybody_gets_on_one_node_what_was_said_on_the_other(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let node = async || cluster::node_with(backend, host(&redis), &database, rules).await;
    let (one, other) = (node().await, node().await);
    let people = people(async |role| Somebody::in_postgres(&database, role).await).await;
    Box::pin(everybody_gets_what_the_tables_say(&one, &other, &people)).await;
}
