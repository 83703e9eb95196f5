//! People with accounts, and what they do with rooms by the forms of pages.

use std::path::Path;

use confab::server::accounts::Token;
use reqwest::{Client, redirect};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    app::{Http, TestApp},
    clients::V1,
    support::postgres::connection,
    within,
};

const ACCOUNT: &str =
    "INSERT INTO accounts (id, handle, folded, name, administrator, created_at) VALUES ($1, $2, $2, $2, $3, 1)";
const SESSION: &str = "INSERT INTO sessions (id, digest, rotated_at, account_id, device, created_at, used_at, ends_at)
    VALUES ($1, $2, 1, $3, 'a test', 1, $4, $4)";

/// Somebody with an account, or a guest.
#[derive(Clone)]
pub struct Somebody {
    pub id: String,
    pub name: String,
    pub cookie: String,
}

/// A device on which somebody is signed in.
pub struct Device {
    pub session: String,
    pub cookie: String,
}

impl Somebody {
    /// Who has an account on a server with a database of its own; `admin` administers it.
    pub async fn new(app: &TestApp, name: &str) -> Self {
        // It is there when it answers.
        app.get("/healthz").await;
        Self::in_folder(app.data(), name)
    }

    /// The same in a folder in which there is a store.
    pub fn in_folder(folder: &Path, name: &str) -> Self {
        let (somebody, token) = Self::named(name);
        let Self { id, .. } = &somebody;
        let database = Connection::open(folder.join("confab.db")).expect("the database");
        database.execute(ACCOUNT, params![id, name, name == "admin"]).expect("an account");
        let digest = token.digest();
        database.execute(SESSION, params![name, digest.as_bytes(), id, i64::MAX]).expect("a session");
        somebody
    }

    /// The same in a database of `PostgreSQL`.
    pub async fn in_postgres(url: &str, name: &str) -> Self {
        let (somebody, token) = Self::named(name);
        let Self { id, .. } = &somebody;
        let database = connection(url).await;
        database.batch_execute("SET search_path = confab").await.expect("the schema");
        database.execute(ACCOUNT, &[id, &name, &(name == "admin")]).await.expect("an account");
        let digest = token.digest();
        database.execute(SESSION, &[&name, &digest.as_bytes(), id, &i64::MAX]).await.expect("a session");
        somebody
    }

    /// Another device on which they are signed in.
    pub async fn another_device_in_postgres(&self, url: &str) -> Device {
        let (token, session) = (Token::fresh(), format!("{}-phone", self.name));
        let database = connection(url).await;
        database.batch_execute("SET search_path = confab").await.expect("the schema");
        let digest = token.digest();
        database.execute(SESSION, &[&session, &digest.as_bytes(), &self.id, &i64::MAX]).await.expect("a session");
        Device { session, cookie: format!("confab_session={}", token.reveal()) }
    }

    fn named(name: &str) -> (Self, Token) {
        let token = Token::fresh();
        let number = name.bytes().fold(0_u64, |number, byte| number << 5 ^ u64::from(byte));
        let cookie = format!("confab_session={}", token.reveal());
        (Self { id: format!("a{number:016x}"), name: name.to_owned(), cookie }, token)
    }

    pub fn guest() -> Self {
        let cookie = "confab_guest=0123456789abcdef0123456789abcdef; confab_name=Guest".to_owned();
        Self { id: String::new(), name: "Guest".to_owned(), cookie }
    }

    /// The status and the body.
    pub async fn get(&self, app: &impl Http, path: &str) -> (u16, String) {
        let answer = within(path, client().get(app.url(path)).header("cookie", &self.cookie).send()).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    /// Sends a form; the status, and where it leads or the body.
    pub async fn send(&self, app: &impl Http, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let form = client().post(app.url(path)).header("cookie", &self.cookie).form(fields);
        let answer = within(path, form.send()).await.expect("an answer");
        let status = answer.status().as_u16();
        match answer.headers().get("location") {
            Some(location) => (status, location.to_str().expect("ASCII").to_owned()),
            None => (status, answer.text().await.expect("a body")),
        }
    }

    /// Makes a room.
    pub async fn make(&self, app: &impl Http, room: &str, kind: &str) {
        let made = self.send(app, "/rooms/new", &[("group", room), ("title", &format!("The {room}")), ("kind", kind)]).await;
        assert_eq!(made, (303, format!("/room/{room}/")));
    }

    /// Sends a form of a room's settings.
    pub async fn set(&self, app: &impl Http, room: &str, fields: &[(&str, &str)]) -> (u16, String) {
        self.send(app, &format!("/room/{room}/settings"), fields).await
    }

    /// The same where it is done.
    pub async fn does(&self, app: &impl Http, room: &str, act: &str, to: &Self, more: &[(&str, &str)]) {
        let fields = [&[("act", act), ("person", &to.id)], more].concat();
        assert_eq!(self.set(app, room, &fields).await, (303, format!("/room/{room}/settings")), "{act}");
    }

    /// Makes an invitation; gives its path.
    pub async fn invite(&self, app: &impl Http, room: &str, role: &str, uses: &str) -> String {
        let fields = [("act", "invite"), ("role", role), ("uses", uses), ("minutes", "0")];
        let (status, body) = self.set(app, room, &fields).await;
        assert_eq!(status, 200, "{body}");
        let path = body.split("/invite/").nth(1).and_then(|rest| rest.get(..32)).expect("a link");
        format!("/invite/{path}")
    }

    /// Comes in by an invitation that is made for that.
    pub async fn is_invited(&self, app: &impl Http, by: &Self, room: &str, role: &str) {
        let path = by.invite(app, room, role, "1").await;
        assert_eq!(self.send(app, &path, &[]).await, (303, format!("/room/{room}/")));
    }

    pub async fn socket(&self, app: &impl Http) -> V1 {
        V1::with(app.address(), "/ws/", &[("cookie", &self.cookie)]).await
    }

    /// What comes of joining a room: `ok`, or the code of the error.
    pub async fn joins(&self, app: &impl Http, room: &str) -> String {
        code(&self.socket(app).await.ask(json!({"join": {"topic": format!("room/{room}")}})).await)
    }

    /// The answer of the API.
    pub async fn api(&self, app: &impl Http, path: &str) -> (u16, Value) {
        let (status, body) = self.get(app, path).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }
}

/// `ok`, or the code of the error.
pub fn code(answer: &Value) -> String {
    answer["error"]["code"].as_str().unwrap_or("ok").to_owned()
}

/// Shows redirections, and keeps no cookies.
fn client() -> Client {
    Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client")
}
