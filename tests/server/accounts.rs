//! People with accounts, as browsers and sockets meet them.

use std::{process::Command, sync::Arc};

use confab::{
    server::{
        accounts::{AccountRecords, Purpose, Token},
        settings::{AllowedOrigin, History, RoomRule, Settings, SignUp},
        store::Beside,
    },
    wire::Timestamp,
};
use reqwest::{
    Response,
    header::{HeaderMap, SET_COOKIE},
};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, Program, TestApp, browser, rule},
    clients::{Plain, V1},
    within,
};

/// A guest.
const ANN: &str = "confab_guest=0123456789abcdef0123456789abcdef; confab_name=Ann";

/// Has an account made, and a session of it; gives the cookie.
pub async fn sign_in(app: &TestApp, id: &str, handle: &str, session: &str) -> String {
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

async fn me(app: &TestApp, cookie: &str, form: &[(&str, &str)]) -> Response {
    let form = browser().post(app.url("/me")).header("cookie", cookie).form(form);
    within("an answer", form.send()).await.expect("an answer")
}

pub async fn page(app: &TestApp, path: &str, cookie: &str) -> (u16, String) {
    let page = within("a page", browser().get(app.url(path)).header("cookie", cookie).send()).await.expect("a page");
    (page.status().as_u16(), page.text().await.expect("a body"))
}

pub async fn you(app: &TestApp, cookie: &str) -> Value {
    V1::with(app.address, "/ws/", &[("cookie", cookie)]).await.welcome["you"].clone()
}

#[tokio::test]
async fn whoever_is_signed_in_is_that_person_by_every_way() {
    let closed = |settings: &mut Settings| {
        settings.rooms = vec![RoomRule { guests: false, ..rule("closed", History::Store) }, rule("*", History::Store)];
    };
    let app = TestApp::with(closed).await;
    let cookie = sign_in(&app, "a0000000000000001", "zoe", "s1").await;
    assert_eq!(you(&app, &cookie).await, json!({"id": "a0000000000000001", "name": "zoe", "handle": "zoe"}));
    let mut zoe = V1::with(app.address, "/room/closed/", &[("cookie", &cookie)]).await;
    zoe.join("room/closed", None).await;
    zoe.post("room/closed", "k1", "by socket").await;
    let from = json!({"id": "a0000000000000001", "name": "zoe", "handle": "zoe"});
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
async fn a_session_that_is_not_known_here_may_be_anothers_and_takes_nothing_away() {
    let app = TestApp::start().await;
    let cookie = sign_in(&app, "a0000000000000001", "zoe", "s1").await;
    let foreign = format!("confab_session={}", "0".repeat(64));
    // Cookies know no ports: another Confab on this host has given it, whose people would be signed out.
    let answer = browser().get(app.url("/room/a/")).header("cookie", &foreign).send();
    let answer = within("an answer", answer).await.expect("an answer");
    let given: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().expect("ASCII")).collect();
    assert!(!given.iter().any(|cookie| cookie.contains("confab_session")), "{given:?}");
    for cookies in
        [format!("{foreign}; {cookie}"), format!("{cookie}; {foreign}"), format!("confab_session=0; {foreign}; {cookie}")]
    {
        assert_eq!(you(&app, &cookies).await["handle"], "zoe", "{cookies}");
    }
    // One that is known to be over is forgotten.
    assert_eq!(post(&app, "/logout", &cookie, &[("everywhere", "yes")]).await.status(), 303);
    let answer = browser().get(app.url("/room/a/")).header("cookie", &cookie).send();
    let answer = within("an answer", answer).await.expect("an answer");
    let given: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().expect("ASCII")).collect();
    assert!(given.iter().any(|cookie| cookie.starts_with("confab_session=;")), "{given:?}");
}

#[tokio::test]
async fn an_account_has_its_name_in_its_row() {
    let app = TestApp::start().await;
    let cookie = sign_in(&app, "a0000000000000001", "zoe", "s1").await;
    let mut tab = V1::with(app.address, "/ws/", &[("cookie", &cookie)]).await;
    tab.join("me", None).await;
    let answer = me(&app, &cookie, &[("name", "Zoë")]).await;
    assert_eq!((answer.status().as_u16(), answer.headers().get(SET_COOKIE)), (303, None));
    assert_eq!(tab.push().await["event"], json!({"type": "renamed", "name": "Zoë", "handle": "zoe"}));
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

pub const PASSWORD: &str = "correct horse battery";

fn open(settings: &mut Settings) {
    settings.accounts.sign_up = SignUp::Open;
}

/// The tables of a server.
async fn records(app: &TestApp) -> AccountRecords {
    // It is there when it answers.
    app.get("/healthz").await;
    AccountRecords::new(Arc::new(Beside::open(app.data()).expect("the database")))
}

fn now() -> i64 {
    Timestamp::now().as_millis()
}

pub async fn post(app: &impl crate::app::Http, path: &str, cookie: &str, form: &[(&str, &str)]) -> Response {
    let request = browser().post(app.url(path)).header("cookie", cookie).form(form);
    within("an answer", request.send()).await.expect("an answer")
}

/// The cookie of the session that an answer begins.
pub fn session(headers: &HeaderMap) -> String {
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let mut sessions = cookies.filter(|cookie| cookie.starts_with("confab_session=") && !cookie.contains("Max-Age=0"));
    sessions.next_back().and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned()
}

pub async fn sign_up(app: &impl crate::app::Http, cookie: &str, name: &str) -> String {
    let answer = post(app, "/signup", cookie, &[("name", name), ("password", PASSWORD), ("next", "/room/a/")]).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/room/a/".parse().expect("a header")));
    session(answer.headers())
}

pub async fn log_in(app: &impl crate::app::Http, name: &str, password: &str) -> Response {
    post(app, "/login", "", &[("name", name), ("password", password)]).await
}

#[tokio::test]
async fn a_guest_who_signs_up_keeps_who_they_are_and_signs_in_again() {
    let app = TestApp::with(open).await;
    let mut guest = V1::with(app.address, "/room/a/", &[("cookie", ANN)]).await;
    guest.post("room/a", "k1", "as a guest").await;
    let id = guest.welcome["you"]["id"].clone();
    let session = sign_up(&app, ANN, "Ann").await;
    assert_eq!(guest.push().await["event"]["text"], "as a guest");
    assert_eq!(guest.closed().await.0, 4501, "the guest is nobody any more");
    assert_eq!(you(&app, &session).await, json!({"id": id, "name": "Ann", "handle": "Ann"}));
    assert_ne!(you(&app, ANN).await["id"], id, "by the guest's secret nobody is her");
    let (_, body) = page(&app, "/room/a/", &session).await;
    assert!(body.contains("message mine") && body.contains("as a guest"), "what she wrote is hers");
    let answer = post(&app, "/logout", &session, &[]).await;
    assert_eq!(answer.status(), 303);
    assert!(you(&app, &session).await.get("handle").is_none());
    // Another way to write it is the same name, and where it leads is an address of this server.
    for (name, next, to) in [("@ANN", "/search/?q=x", "/search/?q=x"), ("ann", "//evil.example/", "/")] {
        let answer = post(&app, "/login", "", &[("name", name), ("password", PASSWORD), ("next", next)]).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().expect("ASCII")), (303, to));
        assert_eq!(you(&app, &self::session(answer.headers())).await["id"], id);
    }
}

#[tokio::test]
async fn nobody_learns_which_names_there_are_by_signing_in() {
    let app = TestApp::with(open).await;
    sign_up(&app, "", "Zoe").await;
    let mut pages = Vec::new();
    for name in ["Zoe", "Nobody", "no/name"] {
        let answer = log_in(&app, name, "wrong password").await;
        assert_eq!(answer.status(), 422);
        pages.push(answer.text().await.expect("a page").replace(name, "NAME"));
    }
    assert!(pages[0].contains("The name or the password is wrong.") && pages[0].contains("value=\"NAME\""), "{}", pages[0]);
    assert!(pages.iter().all(|page| *page == pages[0]));
    assert!(!pages[0].contains("wrong password"), "a password is never shown");
    let (_, body) = page(&app, "/login?over=yes", "").await;
    assert!(body.contains("You were signed out on this device"), "where a page leads whose session is over");
}

#[tokio::test]
async fn wrong_passwords_are_bounded_and_their_number_is_said() {
    let app = TestApp::with(open).await;
    sign_up(&app, "", "Zoe").await;
    let mut statuses = Vec::new();
    for n in 0..12 {
        statuses.push(log_in(&app, &format!("name{n}"), "wrong password").await.status().as_u16());
    }
    assert_eq!(statuses, [vec![422; 10], vec![429; 2]].concat());
    let answer = log_in(&app, "Zoe", PASSWORD).await;
    assert!(answer.headers()["retry-after"].to_str().is_ok_and(|wait| wait.parse::<u64>().is_ok_and(|wait| wait <= 180)));
    let body = answer.text().await.expect("a page");
    assert!(body.contains("There were too many attempts to sign in"), "{body}");
}

#[tokio::test]
async fn wrong_passwords_that_come_at_once_are_counted_before_they_are_looked_at() {
    let app = TestApp::with(open).await;
    let names: Vec<String> = (0..100).map(|n| format!("name{n}")).collect();
    let all = futures_util::future::join_all(names.iter().map(|name| log_in(&app, name, "wrong password"))).await;
    let of = |status| all.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((of(reqwest::StatusCode::UNPROCESSABLE_ENTITY), of(reqwest::StatusCode::TOO_MANY_REQUESTS)), (10, 90));
}

/// The most memory that a process has had in use, in bytes.
fn most_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

#[tokio::test]
async fn a_flood_of_passwords_takes_little_memory_and_keeps_nobody_out() {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("env");
    command.arg("CONFAB_ACCOUNTS__SIGN_UP=open");
    let program = Program::start_by(command, data.path()).await;
    sign_up(&program, "", "Zoe").await;
    let flood = (2..42).flat_map(|address| (0..5).map(move |n| (address, n)));
    let flood = flood.map(async |(address, n)| {
        let address = std::net::Ipv4Addr::new(127, 0, 0, address);
        let client = reqwest::Client::builder().no_proxy().local_address(Some(address.into())).build().expect("a client");
        let form = [("name", format!("name-{address}-{n}")), ("password", "wrong password".to_owned())];
        let answer = within("an answer", client.post(program.url("/login")).form(&form).send()).await.expect("an answer");
        answer.status().as_u16()
    });
    let (answers, honest) = tokio::join!(futures_util::future::join_all(flood), log_in(&program, "Zoe", PASSWORD));
    assert!(answers.iter().all(|status| *status == 422), "each is within its bound, and is told what was wrong: {answers:?}");
    assert_eq!(honest.status(), 303, "and so is somebody else");
    let most = most_memory(program.id());
    assert!(most < 128 << 20, "{most}");
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let app = TestApp::with(open).await;
    sign_up(&app, "", "Zoe").await;
    let long = "x".repeat(1 << 20);
    let over = "x".repeat(1_025);
    for (name, password, status, says) in [
        ("", PASSWORD, 422, "id=\"name-error\""),
        ("a/b", PASSWORD, 422, "A name is 1 to 32 letters and digits"),
        ("\u{202E}ann", PASSWORD, 422, "id=\"name-error\""),
        ("z\u{43E}e", PASSWORD, 422, "or one that looks like it"),
        ("New", "short", 422, "A password has at least 8 bytes"),
        ("New", "password", 422, "among the first that others would try"),
        ("New", &over, 422, "A password has at most 1024 bytes"),
        ("New", &long, 413, "That was not understood"),
    ] {
        let answer = post(&app, "/signup", "", &[("name", name), ("password", password)]).await;
        assert_eq!(answer.status().as_u16(), status, "{name}");
        let body = answer.text().await.expect("a page");
        assert!(body.contains(says) && !body.contains(&over), "{name}: {body}");
        assert!(
            status == 413 || body.contains("aria-invalid=\"true\"") && body.contains(&format!("value=\"{name}\"")),
            "{body}"
        );
    }
}

#[tokio::test]
async fn who_may_sign_up_says_the_setting() {
    for (setting, status, says) in [
        (SignUp::Invite, 403, "takes an invitation"),
        (SignUp::Closed, 403, "made by the administrators"),
        (SignUp::Open, 303, ""),
    ] {
        let app = TestApp::with(|settings| settings.accounts.sign_up = setting).await;
        let form = [("name", "Zoe"), ("password", PASSWORD), ("invite", &"0".repeat(32))];
        let answer = post(&app, "/signup", "", &form[..2]).await;
        assert_eq!(answer.status().as_u16(), status);
        assert!(answer.text().await.expect("a page").contains(says));
        if status == 403 {
            assert_eq!(post(&app, "/signup", "", &form).await.status(), 403, "there is no such invitation");
        }
    }
}

#[tokio::test]
async fn forms_of_accounts_take_the_own_origin_alone() {
    let app = TestApp::with(|settings| {
        open(settings);
        settings.server.allowed_origins = vec![AllowedOrigin::Any];
    })
    .await;
    let session = sign_up(&app, "", "Zoe").await;
    for path in ["/login", "/signup", "/logout", "/account/", "/setup/x", "/reset/x", "/device/x"] {
        let form = [("name", "New"), ("password", PASSWORD)];
        let request = browser().post(app.url(path)).header("cookie", &session).header("origin", "https://friend.example");
        let answer = within("an answer", request.form(&form).send()).await.expect("an answer");
        assert_eq!(answer.status(), 403, "{path}");
    }
    assert_eq!(you(&app, &session).await["handle"], "Zoe");
}

#[tokio::test]
async fn a_fresh_server_is_set_up_by_its_link_and_once() {
    let app = TestApp::start().await;
    let records = records(&app).await;
    let token = records.make_link(Purpose::SetUp, None, now()).await.expect("a link");
    let path = format!("/setup/{}", token.reveal());
    for _ in 0..3 {
        let (status, body) = page(&app, &path, "").await;
        assert!(status == 200 && body.contains("autocomplete=\"new-password\""), "looking at it spends nothing");
    }
    assert_eq!(post(&app, &path, "", &[("name", "Root"), ("password", "short")]).await.status(), 422);
    let answer = post(&app, &path, "", &[("name", "Root"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(you(&app, &session(answer.headers())).await["handle"], "Root");
    assert!(records.has_administrator().await.expect("read"));
    assert_eq!(page(&app, &path, "").await.0, 404);
    assert_eq!(post(&app, &path, "", &[("name", "Other"), ("password", PASSWORD)]).await.status(), 404);
}

#[tokio::test]
async fn the_devices_are_listed_and_one_is_signed_out() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let phone = session(log_in(&app, "Zoe", PASSWORD).await.headers());
    let mut tab = V1::with(app.address, "/room/a/", &[("cookie", &phone)]).await;
    let mut stays = V1::with(app.address, "/room/a/", &[("cookie", &desk)]).await;
    let (_, body) = page(&app, "/account/", &desk).await;
    assert_eq!((body.matches("This device").count(), body.matches("Sign it out").count()), (1, 1), "{body}");
    let other =
        body.split("name=\"session\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a session").to_owned();
    // Somebody else does not end it.
    let bob = sign_up(&app, "", "Bob").await;
    assert_eq!(post(&app, "/account/", &bob, &[("do", "revoke"), ("session", &other)]).await.status(), 303);
    tab.ok(json!({"ping": {}})).await;
    assert_eq!(post(&app, "/account/", &desk, &[("do", "revoke"), ("session", &other)]).await.status(), 303);
    assert_eq!(tab.closed().await.0, 4501);
    stays.ok(json!({"ping": {}})).await;
    assert!(you(&app, &phone).await.get("handle").is_none());
    let again = session(log_in(&app, "Zoe", PASSWORD).await.headers());
    assert_eq!(post(&app, "/logout", &desk, &[("everywhere", "yes")]).await.status(), 303);
    assert_eq!(stays.closed().await.0, 4501);
    assert!(you(&app, &again).await.get("handle").is_none());
}

#[tokio::test]
async fn another_password_ends_the_other_sessions_and_gives_this_one_another_token() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let phone = session(log_in(&app, "Zoe", PASSWORD).await.headers());
    let mut tab = V1::with(app.address, "/room/a/", &[("cookie", &phone)]).await;
    let new = "another horse battery";
    let change = |password| [("do", "password"), ("password", password), ("new_password", new)];
    let answer = post(&app, "/account/", &desk, &change("wrong password")).await;
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.expect("a page").contains("The password that you have now is another one"));
    let answer = post(&app, "/account/", &desk, &change(PASSWORD)).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(tab.closed().await.0, 4501);
    let rotated = session(answer.headers());
    assert_ne!(rotated, desk);
    for token in [&rotated, &desk] {
        assert_eq!(you(&app, token).await["handle"], "Zoe", "what is on its way is not signed out");
    }
    assert_eq!(log_in(&app, "Zoe", PASSWORD).await.status(), 422);
    assert_eq!(log_in(&app, "Zoe", new).await.status(), 303);
}

#[tokio::test]
async fn another_device_is_signed_in_by_a_link_once() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let body = post(&app, "/account/", &desk, &[("do", "device")]).await.text().await.expect("a page");
    assert!(body.contains("<svg class=\"qr\""), "{body}");
    let link = body.split("/device/").nth(1).and_then(|rest| rest.get(..64)).expect("a link");
    let path = format!("/device/{link}");
    for _ in 0..2 {
        let (status, body) = page(&app, &path, "").await;
        assert!(status == 200 && body.contains("Sign in here"), "looking at it spends nothing");
    }
    let posts = futures_util::future::join_all((0..8).map(|_| post(&app, &path, "", &[]))).await;
    let mut sessions = posts.iter().filter(|answer| answer.status() == 303);
    let answer = sessions.next().expect("one is signed in");
    assert_eq!(sessions.count(), 0, "and one alone");
    assert_eq!(you(&app, &session(answer.headers())).await["handle"], "Zoe");
    assert_eq!(page(&app, &path, "").await.0, 404);
}

#[tokio::test]
async fn a_forgotten_password_is_chosen_anew_by_a_link_and_all_sessions_end() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let mut tab = V1::with(app.address, "/room/a/", &[("cookie", &desk)]).await;
    let records = records(&app).await;
    let zoe = records.by_handle(&"zoe".parse().expect("a handle")).await.expect("read").expect("there");
    let token = records.make_link(Purpose::Reset, Some(&zoe.id), now()).await.expect("a link");
    let path = format!("/reset/{}", token.reveal());
    let (status, body) = page(&app, &path, "").await;
    assert!(status == 200 && body.contains("Zoe"), "{body}");
    assert_eq!(post(&app, &path, "", &[("password", "short")]).await.status(), 422);
    tab.ok(json!({"ping": {}})).await;
    let new = "another horse battery";
    let answer = post(&app, &path, "", &[("password", new)]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(tab.closed().await.0, 4501);
    assert!(you(&app, &desk).await.get("handle").is_none());
    assert_eq!(you(&app, &session(answer.headers())).await["handle"], "Zoe");
    assert_eq!(post(&app, &path, "", &[("password", new)]).await.status(), 404);
    assert_eq!(log_in(&app, "zoe", new).await.status(), 303);
    // For another purpose it would be none.
    let device = records.make_link(Purpose::Device, Some(&zoe.id), now()).await.expect("a link");
    assert_eq!(page(&app, &format!("/reset/{}", device.reveal()), "").await.0, 404);
}

#[tokio::test]
async fn whoever_is_deactivated_is_signed_out_and_does_not_come_in() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let database = Connection::open(app.data().join("confab.db")).expect("the database");
    database.execute("UPDATE accounts SET deactivated_at = 1", []).expect("written");
    assert_eq!(log_in(&app, "Zoe", PASSWORD).await.status(), 422);
    let signed_out = async { while you(&app, &desk).await.get("handle").is_some() {} };
    within("the end of what was known", signed_out).await;
}

/// What the real program is asked beside a server that runs on the same data.
pub fn confab(arguments: &[&str], data: &std::path::Path) -> (bool, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_confab")).args(arguments).arg("--data").arg(data).current_dir(data).output();
    let done = done.expect("the program");
    (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

#[tokio::test]
async fn an_administrator_is_made_beside_a_running_server_and_no_secret_is_in_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut env = Command::new("env");
    env.args(["CONFAB_LOG=trace", "CONFAB_ACCOUNTS__SIGN_UP=open"]);
    let program = Program::start_by(env, folder.path()).await;
    let (is_well, said) = confab(&["user", "add", "Zoë Smith", "--admin"], folder.path());
    assert!(is_well, "{said}");
    let link = said.split("/reset/").nth(1).and_then(|rest| rest.get(..64)).expect("a link").to_owned();
    let (is_well, refused) = confab(&["user", "add", "ZOË_SMITH"], folder.path());
    assert!(!is_well && refused.contains("looks like it"), "{refused}");
    let answer = post(&program, &format!("/reset/{link}"), "", &[("password", PASSWORD)]).await;
    assert_eq!(answer.status(), 303);
    let cookie = session(answer.headers());
    let mut zoe = V1::with(program.address, "/ws/", &[("cookie", &cookie)]).await;
    assert_eq!(zoe.welcome["you"]["handle"], "Zoë_Smith");
    let (is_well, list) = confab(&["user", "list"], folder.path());
    assert!(is_well && list.contains("Zoë_Smith\tadministrator\tZoë Smith"), "{list}");
    let (is_well, said) = confab(&["user", "reset", "zoë smith"], folder.path());
    assert!(is_well && said.contains("/reset/"), "{said}");
    let again = said.split("/reset/").nth(1).and_then(|rest| rest.get(..64)).expect("a link").to_owned();
    assert_eq!(log_in(&program, "zoë smith", "wrong password!").await.status(), 422);
    sign_up(&program, ANN, "Ann").await;
    zoe.ok(json!({"ping": {}})).await;
    let log = program.into_log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log has what it can have");
    for secret in [&link, &again, cookie.split_once('=').expect("a cookie").1, PASSWORD, "wrong password!", "argon2id"] {
        assert!(!log.contains(secret), "{secret}");
    }
    let (is_well, said) = confab(&["user", "add", "Later"], folder.path());
    assert!(is_well, "without a server too: {said}");
}
