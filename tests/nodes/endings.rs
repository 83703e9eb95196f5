//! Each way in which something ends for somebody, on two nodes with one database, held to its order and to no time: whoever was told that it
//! is over gets nothing more of it, a file that was on its way is cut off, and pages, the API, search and sockets refuse what showed who they
//! are. Somebody speaks all the while, and it is done on node 0.

use std::sync::Arc;

use confab::server::{
    accounts::Token,
    settings::{Backend, ConfigFile, Settings, Sources},
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    app::{Http as _, TestApp},
    clients::{Plain, Raw, V1, request},
    cluster::{self, host},
    people::{Somebody, code},
    support::{
        people::{People, Project},
        postgres::Postgres,
        redis::Redis,
        within,
    },
};

on_each_backend! {
    whoever_loses_a_room_gets_nothing_after_being_told,
    whoever_is_signed_out_gets_nothing_after_being_told,
    a_revoked_token_ends_what_its_program_has_open,
    a_token_of_another_site_ends_what_is_open_by_it,
    a_sign_out_of_a_django_project_ends_what_is_open_by_it,
}

const ROOM: &str = "s-plans";
const TOPIC: &str = "room/s-plans";
/// What a file has at its end that is whole.
const WHOLE: &[u8] = b"\r\n0\r\n\r\n";

/// What shows who somebody is: a header and its value.
#[derive(Clone)]
struct Shows(&'static str, String);

impl Shows {
    fn cookie_of(somebody: &Somebody) -> Self {
        Self("cookie", somebody.cookie.clone())
    }

    /// The status and the body.
    async fn get(&self, app: &TestApp, path: &str) -> (u16, String) {
        let client = Client::builder().no_proxy().build().expect("a client");
        let asked = client.get(app.url(path)).header(self.0, &self.1).send();
        let answer = within(path, asked).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    async fn socket(&self, app: &TestApp, path: &str) -> Option<V1> {
        V1::try_with(app.address, path, &[(self.0, &self.1)]).await.ok()
    }

    /// A file that is on its way to them.
    async fn file(&self, app: &TestApp) -> Option<Raw> {
        let mut file = Raw::slow(app.address).await;
        let headers = [("Host", "confab.example"), (self.0, &*self.1)];
        file.send(request(&format!("GET /api/v1/rooms/{ROOM}/export HTTP/1.1"), &headers).as_bytes()).await;
        (file.head().await.status == 200).then_some(file)
    }

    /// A socket that has joined the room and its own topic, a plain one, and a file on its way.
    async fn opens(&self, node: usize, app: &TestApp) -> Option<Open> {
        let mut socket = self.socket(app, "/ws/").await?;
        for topic in ["me", TOPIC] {
            // What shows it may be over meanwhile.
            socket.try_ask(json!({"join": {"topic": topic}})).await.ok()?.get("ok")?;
        }
        let plain = Plain::try_with(app.address, &format!("/room/{ROOM}/"), &[(self.0, &self.1)]).await.ok()?;
        Some(Open { node, socket, plain, file: self.file(app).await? })
    }

    async fn opens_on(&self, nodes: &[TestApp; 2]) -> Vec<Open> {
        let mut all = Vec::new();
        for (node, app) in nodes.iter().enumerate() {
            all.push(self.opens(node, app).await.expect("it is open to them"));
        }
        all
    }

    /// It opens nothing more: this is the answer.
    async fn opens_nothing(&self, app: &TestApp, status: u16, way: &str) {
        let room = format!("/api/v1/rooms/{ROOM}");
        for path in
            [format!("/room/{ROOM}/"), format!("{room}/messages"), format!("{room}/export"), format!("{room}/search?q=needle")]
        {
            assert_eq!(self.get(app, &path).await.0, status, "{way}: {path}");
        }
        let (answered, found) = self.get(app, "/api/v1/search?q=needle").await;
        if status == 404 {
            let found: Value = serde_json::from_str(&found).expect("JSON");
            assert_eq!((answered, &found["hits"]), (200, &json!([])), "{way}");
        } else {
            assert_eq!(answered, status, "{way}");
        }
        match self.socket(app, "/ws/").await {
            Some(mut socket) => {
                let joined = code(&socket.ask(json!({"join": {"topic": TOPIC}})).await);
                assert_eq!(joined, "not_found", "{way}");
            }
            None => assert_eq!(status, 401, "{way}"),
        }
    }
}

/// How somebody is told.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// That they have lost the room.
    Left,
    SignedOut,
}

/// What somebody has open on a node.
struct Open {
    node: usize,
    socket: V1,
    plain: Plain,
    file: Raw,
}

impl Open {
    /// Reads on until they are told that it is over, and holds that nothing comes after that.
    async fn ends(mut self, told: Told, way: &str) {
        let at = format!("{way}, on node {}", self.node);
        let event = if told == Told::Left { "left" } else { "signed_out" };
        while self.socket.push().await["event"]["type"] != event {}
        if told == Told::SignedOut {
            assert_eq!(self.socket.closed().await, (4501, "you were signed out".to_owned()), "{at}");
        } else {
            // Who has come and gone before that was told before that.
            self.socket.changes_so_far();
            for _ in 0..3 {
                let late = [self.socket.pushes_so_far().await, self.socket.changes_so_far()].concat();
                assert!(late.iter().all(|push| push["topic"] != TOPIC), "{at}: {late:?}");
            }
            for act in [json!({"send": {"topic": TOPIC, "key": "late", "text": "late"}}), json!({"typing": {"topic": TOPIC}})] {
                assert_eq!(code(&self.socket.ask(act).await), "not_joined", "{at}");
            }
        }
        let closed = loop {
            if let Message::Close(frame) = self.plain.try_next().await.expect("a close frame") {
                break u16::from(frame.expect("a reason").code);
            }
        };
        assert_eq!(closed, if told == Told::Left { 4502 } else { 4501 }, "{at}");
        assert!(self.plain.try_next().await.is_err(), "{at}");
        assert!(!self.file.rest().await.ends_with(WHOLE), "{at}: the whole file came");
    }
}

/// Somebody who speaks without a pause.
struct Speaker {
    said: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Speaker {
    async fn start(app: &TestApp, owner: &Somebody) -> Self {
        let mut socket = owner.socket(app).await;
        socket.join(TOPIC, None).await;
        let ((saying, said), (stop, stopped)) = (watch::channel(0), watch::channel(false));
        let mut number = 0;
        let task = tokio::spawn(async move {
            while !*stopped.borrow() {
                number += 1;
                let key = Token::fresh();
                let send = json!({"topic": TOPIC, "key": key.reveal().get(..32), "text": format!("number {number}")});
                // In a room that is archived or deleted nobody speaks.
                socket.ask(json!({"send": send})).await;
                saying.send_replace(number);
                // What nobody reads is not kept.
                socket.pushes_so_far().await;
            }
        });
        Self { said, stop, task }
    }

    /// Waits until something more has been said.
    async fn goes_on(&mut self) {
        let until = *self.said.borrow() + 3;
        within("something that is said", self.said.wait_for(|said| *said >= until)).await.expect("a speaker");
    }

    async fn stops(self) {
        self.stop.send(true).expect("a speaker");
        within("the end of the speaker", self.task).await.expect("no panic");
    }
}

/// Two nodes and a room with so much in it that a file of it is on its way for long.
struct House {
    nodes: [TestApp; 2],
    database: String,
    owner: Somebody,
    _servers: (Redis, Arc<Postgres>),
}

impl House {
    async fn new(backend: Backend, kind: &str, change: impl Fn(&mut Settings)) -> Self {
        let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
        let database = postgres.database().await;
        let node = async || cluster::node_with(backend, host(&redis), &database, &change).await;
        let nodes = [node().await, node().await];
        let owner = Somebody::in_postgres(&database, "owner").await;
        owner.make(&nodes[0], ROOM, kind).await;
        within("the room on the other node", async { while owner.joins(&nodes[1], ROOM).await != "ok" {} }).await;
        let mut socket = owner.socket(&nodes[0]).await;
        socket.join(TOPIC, None).await;
        // More than the systems on both ends take off the server's hands.
        let text = format!("needle {}", "x".repeat(60_000));
        for number in 0..200 {
            socket.post(TOPIC, &format!("first-{number}"), &text).await;
            socket.pushes_so_far().await;
        }
        let house = Self { nodes, database, owner, _servers: (redis, postgres) };
        let of_owner = Shows::cookie_of(&house.owner);
        for app in &house.nodes {
            within("the index", async { while !of_owner.get(app, "/api/v1/search?q=needle").await.1.contains(ROOM) {} }).await;
        }
        house
    }

    async fn somebody(&self, name: &str) -> Somebody {
        Somebody::in_postgres(&self.database, name).await
    }

    /// Somebody who is a member, which both nodes know.
    async fn member(&self, name: &str) -> Somebody {
        let somebody = self.somebody(name).await;
        self.comes_in(&somebody).await;
        somebody
    }

    async fn comes_in(&self, somebody: &Somebody) {
        somebody.is_invited(&self.nodes[0], &self.owner, ROOM, "member").await;
        within("the member on the other node", async { while somebody.joins(&self.nodes[1], ROOM).await != "ok" {} }).await;
    }

    /// Something ends for those who show this, while somebody speaks.
    async fn ends(&self, way: &str, all: &[Shows], told: Told, act: impl Future<Output = ()>) {
        let mut open = Vec::new();
        for shows in all {
            open.extend(shows.opens_on(&self.nodes).await);
        }
        self.ends_open(way, all, open, told, act, 404).await;
    }

    async fn ends_open(
        &self,
        way: &str,
        all: &[Shows],
        open: Vec<Open>,
        told: Told,
        act: impl Future<Output = ()>,
        status: u16,
    ) {
        let mut speaker = Speaker::start(&self.nodes[0], &self.owner).await;
        speaker.goes_on().await;
        act.await;
        speaker.goes_on().await;
        for open in open {
            let node = open.node;
            open.ends(told, way).await;
            for shows in all {
                shows.opens_nothing(&self.nodes[node], status, way).await;
            }
        }
        speaker.stops().await;
    }
}

async fn whoever_loses_a_room_gets_nothing_after_being_told(backend: Backend) {
    let house = House::new(backend, "open", |_| {}).await;
    let (node, owner) = (&house.nodes[0], &house.owner);
    let (ann, guest) = (house.somebody("ann").await, Somebody::guest());
    let anns = [Shows::cookie_of(&ann)];
    let both = [Shows::cookie_of(&ann), Shows::cookie_of(&guest)];
    let close = async {
        let change = [("act", "change"), ("title", "T"), ("topic", ""), ("kind", "closed"), ("posting", "everybody")];
        assert_eq!(owner.set(node, ROOM, &change).await.0, 303);
    };
    house.ends("closed", &both, Told::Left, close).await;
    house.comes_in(&ann).await;
    house.ends("left", &anns, Told::Left, async { assert_eq!(ann.set(node, ROOM, &[("act", "leave")]).await.0, 303) }).await;
    house.comes_in(&ann).await;
    house.ends("removed", &anns, Told::Left, owner.does(node, ROOM, "remove", &ann, &[])).await;
    house.comes_in(&ann).await;
    house.ends("banned", &anns, Told::Left, owner.does(node, ROOM, "ban", &ann, &[])).await;
    owner.does(node, ROOM, "unban", &ann, &[]).await;
    house.comes_in(&ann).await;
    nothing_is_said_in_an_archived_room(&house, &ann).await;
    let delete = async { assert_eq!(owner.set(node, ROOM, &[("act", "delete"), ("sure", ROOM)]).await.0, 303) };
    house.ends("deleted", &anns, Told::Left, delete).await;
}

/// It is read on, and whoever was told of it says nothing more there.
async fn nothing_is_said_in_an_archived_room(house: &House, ann: &Somebody) {
    let mut sockets = Vec::new();
    for app in &house.nodes {
        let mut socket = ann.socket(app).await;
        socket.join(TOPIC, None).await;
        sockets.push(socket);
    }
    let mut speaker = Speaker::start(&house.nodes[0], &house.owner).await;
    speaker.goes_on().await;
    assert_eq!(house.owner.set(&house.nodes[0], ROOM, &[("act", "archive")]).await.0, 303);
    let end = house.owner.socket(&house.nodes[0]).await.join(TOPIC, None).await["offset"].clone();
    speaker.goes_on().await;
    speaker.stops().await;
    for (node, mut socket) in sockets.into_iter().enumerate() {
        while socket.push().await["event"]["type"] != "changed" {}
        let late = json!({"send": {"topic": TOPIC, "key": "late", "text": "late"}});
        assert_eq!(code(&socket.ask(late).await), "forbidden", "on node {node}");
        let form = [("key", "late"), ("text", "late")];
        assert_eq!(ann.send(&house.nodes[node], &format!("/room/{ROOM}/"), &form).await.0, 403, "on node {node}");
        assert_eq!(socket.join(TOPIC, None).await["offset"], end, "nothing was said after it, on node {node}");
        assert_eq!(ann.get(&house.nodes[node], &format!("/room/{ROOM}/")).await.0, 200, "on node {node}");
    }
}

async fn whoever_is_signed_out_gets_nothing_after_being_told(backend: Backend) {
    let house = House::new(backend, "closed", |_| {}).await;
    let node = &house.nodes[0];
    let admin = house.somebody("admin").await;
    for way in ["everywhere", "device", "others", "password", "deactivated"] {
        let desk = house.member(&format!("of-{way}")).await;
        let phone = desk.another_device_in_postgres(&house.database).await;
        // What they do at the desk ends what is open on the phone.
        let act = async {
            let manage = format!("/manage/people/{}", desk.id);
            let (by, path, form): (_, _, &[(&str, &str)]) = match way {
                "everywhere" => (&desk, "/logout", &[("everywhere", "yes")]),
                "device" => (&desk, "/account/", &[("do", "revoke"), ("session", &phone.session)]),
                "others" => (&desk, "/account/", &[("do", "revoke_others")]),
                "password" => (&desk, "/account/", &[("do", "password"), ("new_password", "correct horse battery")]),
                "deactivated" => (&admin, &*manage, &[("act", "deactivate")]),
                other => panic!("what is {other}?"),
            };
            let (status, body) = by.send(node, path, form).await;
            assert_eq!(status, 303, "{way}: {body}");
        };
        house.ends(way, &[Shows("cookie", phone.cookie.clone())], Told::SignedOut, act).await;
    }
}

async fn a_revoked_token_ends_what_its_program_has_open(backend: Backend) {
    let house = House::new(backend, "closed", |_| {}).await;
    let admin = house.somebody("admin").await;
    let make = [("act", "make"), ("name", "Archivist"), ("read", "yes"), ("post", "yes"), ("rooms", "s-*")];
    let (_, page) = admin.send(&house.nodes[0], "/manage/tokens/", &make).await;
    let between = |before: &str| {
        let found = page.split(before).nth(1).and_then(|rest| rest.split('"').next());
        found.unwrap_or_else(|| panic!("no {before} in {page}")).to_owned()
    };
    let (token, id) = (between("readonly value=\""), between("name=\"id\" value=\""));
    let shows = Shows("authorization", format!("Bearer {token}"));
    let messages = format!("/api/v1/rooms/{ROOM}/messages");
    within("the token on the other node", async { while shows.get(&house.nodes[1], &messages).await.0 != 200 {} }).await;
    let mut files = Vec::new();
    for app in &house.nodes {
        files.push(shows.file(app).await.expect("a file"));
    }
    let mut speaker = Speaker::start(&house.nodes[0], &house.owner).await;
    speaker.goes_on().await;
    let revoke = [("act", "revoke"), ("id", &*id)];
    assert_eq!(admin.send(&house.nodes[0], "/manage/tokens/", &revoke).await.0, 303);
    for (app, mut file) in house.nodes.iter().zip(files) {
        assert!(!file.rest().await.ends_with(WHOLE), "the whole file came");
        for path in [messages.clone(), format!("/api/v1/rooms/{ROOM}/export"), "/api/v1/search?q=needle".to_owned()] {
            assert_eq!(shows.get(app, &path).await.0, 401, "{path}");
        }
        let client = Client::builder().no_proxy().build().expect("a client");
        let url = app.url(&format!("/api/v1/groups/{ROOM}/send"));
        let sent = client.post(url).header("authorization", &shows.1).json(&json!({"text": "late"})).send();
        assert_eq!(within("an answer", sent).await.expect("an answer").status(), 401);
    }
    speaker.stops().await;
}

/// What these lines of settings say of people of other sites.
fn of_settings(lines: &str) -> Settings {
    let file = Some(ConfigFile { name: "Leptos.toml".to_owned(), content: lines.as_bytes().to_vec() });
    Sources { file, ..Sources::default() }.load().expect("settings").settings
}

async fn a_token_of_another_site_ends_what_is_open_by_it(backend: Backend) {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let lines = format!(
        "[[accounts.jwt]]\nissuer = \"https://shop.example\"\naudience = \"confab\"\nalgorithm = \"HS256\"\nkey = \"{SECRET}\"\n"
    );
    let house = House::new(backend, "closed", |all| all.jwt = of_settings(&lines).jwt).await;
    let mut people = People::start(&Project::on_sqlite());
    let mut opened = None;
    // Where the machine was too busy to open everything before the end of the first, by one that ends later.
    for seconds in [8, 20, 50] {
        let end = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs() + seconds;
        let claims = json!({"iss": "https://shop.example", "aud": "confab", "sub": "7", "exp": end, "rooms": [ROOM]});
        let told = json!({"do": "token", "claims": claims, "key": SECRET, "algorithm": "HS256", "headers": null});
        let token = people.tell(told).await.as_str().expect("a token").to_owned();
        let shows = Shows("authorization", format!("Bearer {token}"));
        if let (Some(one), Some(other)) = (shows.opens(0, &house.nodes[0]).await, shows.opens(1, &house.nodes[1]).await) {
            opened = Some((shows, vec![one, other]));
            break;
        }
    }
    let (shows, open) = opened.expect("all of it is open within the time of a token");
    house.ends_open("exp", &[shows], open, Told::SignedOut, async {}, 401).await;
}

async fn a_sign_out_of_a_django_project_ends_what_is_open_by_it(backend: Backend) {
    let project = Project::on_sqlite();
    let mut people = People::of(&project).await;
    let lines = format!(
        "[accounts.django]\nsecret_key = \"of a project that only tests run\"\ndatabase = '{}'",
        project.file().display()
    );
    let house = House::new(backend, "closed", |all| all.django = of_settings(&lines).django).await;
    people.add("ann", json!({})).await;
    for way in ["signed out there", "another password there"] {
        let session = people.login("ann", "first").await;
        let mut ann = Somebody { cookie: format!("sessionid={session}"), ..Somebody::guest() };
        ann.socket(&house.nodes[0]).await.welcome["you"]["id"].as_str().expect("an id").clone_into(&mut ann.id);
        if way == "signed out there" {
            house.comes_in(&ann).await;
        }
        let act = async {
            if way == "signed out there" {
                people.logout(&session).await;
            } else {
                people.password("ann", "second").await;
            }
        };
        house.ends(way, &[Shows::cookie_of(&ann)], Told::SignedOut, act).await;
    }
}
