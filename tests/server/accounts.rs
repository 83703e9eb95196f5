//! People with accounts, as browsers and sockets meet them.

use confab::server::{
    accounts::Token,
    settings::{History, RoomRule},
};
use reqwest::header::SET_COOKIE;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, browser, rule},
    clients::{Plain, V1},
    within,
};

/// A guest.
const ANN: &str = "confab_guest=0123456789abcdef0123456789abcdef; confab_name=Ann";

/// Has an account made, and a session of it; gives the cookie.
async fn sign_in(app: &TestApp, id: &str, handle: &str, session: &str) -> String {
    // It is there when it answers.
    app.get("/healthz").await;
    let database = Connection::open(app.data().join("confab.db")).expect("the database");
    let account = "INSERT OR IGNORE INTO accounts (id, handle, folded, name, administrator, created_at)
        VALUES (?1, ?2, ?2, ?2, 0, 1)";
    database.execute(account, params![id, handle]).expect("an account");
    let token = Token::fresh();
    let begin = "INSERT INTO sessions (id, digest, rotated_at, account_id, device, created_at, used_at, ends_at)
        VALUES (?1, ?2, 1, ?3, 'a test', 1, ?4, ?4)";
    database.execute(begin, params![session, token.digest().as_bytes(), id, i64::MAX]).expect("a session");
    format!("confab_session={}", token.reveal())
}

async fn me(app: &TestApp, cookie: &str, form: &[(&str, &str)]) -> reqwest::Response {
    let form = browser().post(app.url("/me")).header("cookie", cookie).form(form);
    within("an answer", form.send()).await.expect("an answer")
}

async fn page(app: &TestApp, path: &str, cookie: &str) -> (u16, String) {
    let page = within("a page", browser().get(app.url(path)).header("cookie", cookie).send()).await.expect("a page");
    (page.status().as_u16(), page.text().await.expect("a body"))
}

async fn you(app: &TestApp, cookie: &str) -> Value {
    V1::with(app.address, "/ws/", &[("cookie", cookie)]).await.welcome["you"].clone()
}

#[tokio::test]
async fn whoever_is_signed_in_is_that_person_by_every_way() {
    let closed = |settings: &mut confab::server::settings::Settings| {
        settings.rooms = vec![RoomRule { guests: false, ..rule("closed", History::Store) }, rule("*", History::Store)];
    };
    let app = TestApp::with(closed).await;
    let cookie = sign_in(&app, "a0000000000000001", "zoe", "s1").await;
    assert_eq!(you(&app, &cookie).await, json!({"id": "a0000000000000001", "name": "zoe", "handle": "zoe"}));
    let mut zoe = V1::with(app.address, "/room/closed/", &[("cookie", &cookie)]).await;
    zoe.join("room/closed", None).await;
    zoe.post("room/closed", "k1", "by socket").await;
    let from = json!({"id": "a0000000000000001", "name": "zoe"});
    assert_eq!(zoe.push().await["event"]["from"], from);
    let form = [("key", "k2"), ("text", "by form")];
    let form = browser().post(app.url("/room/closed/")).header("cookie", &cookie).form(&form);
    assert_eq!(within("an answer", form.send()).await.expect("an answer").status(), 303);
    assert_eq!(zoe.push().await["event"]["from"], from);
    let (status, body) = page(&app, "/room/closed/", &cookie).await;
    assert!(status == 200 && body.contains("by form") && body.contains("message mine"), "{body}");
    for cookie in [ANN, "confab_session=0123", &format!("confab_session={}", "0".repeat(64))] {
        assert_eq!(page(&app, "/room/closed/", cookie).await.0, 403, "{cookie}");
    }
}

#[tokio::test]
async fn an_account_has_its_name_in_its_row() {
    let app = TestApp::start().await;
    let cookie = sign_in(&app, "a0000000000000001", "zoe", "s1").await;
    let mut tab = V1::with(app.address, "/ws/", &[("cookie", &cookie)]).await;
    tab.join("me", None).await;
    let answer = me(&app, &cookie, &[("name", "Zoë")]).await;
    assert_eq!((answer.status().as_u16(), answer.headers().get(SET_COOKIE)), (303, None));
    assert_eq!(tab.push().await["event"], json!({"type": "renamed", "name": "Zoë"}));
    assert_eq!(you(&app, &cookie).await["name"], "Zoë");
    let (_, body) = page(&app, "/room/a/", &cookie).await;
    assert!(body.contains("Zoë"));
}

#[tokio::test]
async fn who_signs_out_closes_what_that_session_has_open_and_nothing_else() {
    let app = TestApp::start().await;
    let (phone, desk) =
        (sign_in(&app, "a0000000000000001", "zoe", "s1").await, sign_in(&app, "a0000000000000001", "zoe", "s2").await);
    let mut tab = V1::with(app.address, "/room/a/", &[("cookie", &phone)]).await;
    let mut plain = Plain::with(app.address, "/room/a/", &[("cookie", &phone)]).await;
    let mut other = V1::with(app.address, "/room/a/", &[("cookie", &desk)]).await;
    tab.join("me", None).await;
    let answer = me(&app, &phone, &[("forget", "yes")]).await;
    let cookies: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().expect("ASCII")).collect();
    for name in ["confab_session=;", "__Host-confab_session=;", "confab_guest=;"] {
        assert!(cookies.iter().any(|cookie| cookie.starts_with(name) && cookie.contains("; Max-Age=0")), "{cookies:?}");
    }
    assert_eq!(tab.push().await["event"], json!({"type": "signed_out"}));
    assert_eq!(tab.closed().await.0, 4501);
    assert_eq!(plain.closed().await.0, 4501);
    other.ok(json!({"ping": {}})).await;
    let back = you(&app, &phone).await;
    assert!(back["id"].as_str().is_some_and(|id| id.starts_with('g')) && back.get("handle").is_none(), "{back}");
    assert_eq!(you(&app, &desk).await["handle"], "zoe");
}

#[tokio::test]
async fn no_secret_of_a_session_is_in_the_store() {
    let app = TestApp::start().await;
    let cookie = sign_in(&app, "a0000000000000001", "zoe", "s1").await;
    you(&app, &cookie).await;
    let token = cookie.split_once('=').expect("a cookie").1.as_bytes();
    for file in ["confab.db", "confab.db-wal"] {
        let bytes = std::fs::read(app.data().join(file)).expect("a file of the store");
        assert!(!bytes.windows(token.len()).any(|part| part == token), "{file}");
    }
}
