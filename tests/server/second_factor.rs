//! The second factor, as browsers meet it.

use confab::server::settings::{Settings, SignUp};
use data_encoding::BASE32_NOPAD;
use ring::hmac;
use rusqlite::{Connection, params};
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::{
    accounts::{PASSWORD, confab, log_in, page, post, session, sign_up, you},
    app::TestApp,
    clients::V1,
    within,
};

const HERE: &str = "/account/second-factor";

fn open(settings: &mut Settings) {
    settings.accounts.sign_up = SignUp::Open;
}

/// What an authenticator app shows: the code of a key, so many half minutes from now.
fn code(key: &str, off: i64) -> String {
    let secret = BASE32_NOPAD.decode(key.replace(' ', "").as_bytes()).expect("a key");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs().cast_signed();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret), &(now / 30 + off).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0xf);
    let number = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().expect("four bytes")) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("{before} in {text}")).1;
    rest.split_once(after).expect("an end").0
}

fn all<'t>(text: &'t str, before: &'t str, after: &'t str) -> Vec<&'t str> {
    text.split(before).skip(1).map(|rest| rest.split(after).next().expect("a part")).collect()
}

/// The key that somebody types into their app.
async fn prepare(app: &TestApp, cookie: &str) -> String {
    let answer = post(app, HERE, cookie, &[("do", "prepare"), ("password", PASSWORD)]).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().expect("ASCII")), (303, HERE));
    let (_, body) = page(app, HERE, cookie).await;
    assert!(body.contains("<svg class=\"qr\"") && body.contains("autocomplete=\"one-time-code\""), "{body}");
    between(&body, "id=\"key\" readonly value=\"", "\"").to_owned()
}

/// Switches it on; gives the key, the codes on paper, and the cookie from then on.
async fn switch_on(app: &TestApp, cookie: &str) -> (String, Vec<String>, String) {
    let key = prepare(app, cookie).await;
    let answer = post(app, HERE, cookie, &[("do", "confirm"), ("code", &code(&key, -1))]).await;
    assert_eq!(answer.status(), 200);
    let cookie = session(answer.headers());
    let body = answer.text().await.expect("a page");
    let codes: Vec<_> = all(&body, "<code>", "</code>").into_iter().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{body}");
    (key, codes, cookie)
}

/// What the page that asks for a code says of the password that was right.
async fn pending(app: &TestApp, password: &str) -> String {
    let answer = log_in(app, "Zoe", password).await;
    assert!(
        answer.status() == 200
            && answer
                .headers()
                .get("set-cookie")
                .is_none_or(|cookie| { !cookie.to_str().expect("ASCII").starts_with("confab_session") })
    );
    let body = answer.text().await.expect("a page");
    assert!(body.contains("autocomplete=\"one-time-code\""), "{body}");
    between(&body, "name=\"pending\" value=\"", "\"").to_owned()
}

async fn with_code(app: &TestApp, pending: &str, code: &str) -> reqwest::Response {
    post(app, "/login/code", "", &[("pending", pending), ("code", code), ("next", "/room/a/")]).await
}

#[tokio::test]
async fn a_password_alone_signs_nobody_in_who_has_a_second_factor() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let phone = session(log_in(&app, "Zoe", PASSWORD).await.headers());
    let mut tab = V1::with(app.address, "/room/a/", &[("cookie", &phone)]).await;
    // It takes the password to set it up, and a code of the app to switch it on.
    assert_eq!(post(&app, HERE, &desk, &[("do", "prepare"), ("password", "wrong password")]).await.status(), 422);
    let key = prepare(&app, &desk).await;
    assert_eq!(post(&app, HERE, &desk, &[("do", "confirm"), ("code", "000000")]).await.status(), 422);
    assert_eq!(log_in(&app, "Zoe", PASSWORD).await.status(), 303, "it is not on yet");
    let (now, before) = (code(&key, 0), code(&key, -1));
    let answer = post(&app, HERE, &desk, &[("do", "confirm"), ("code", &before)]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(tab.closed().await.0, 4501, "sessions that were begun without it end");
    let rotated = session(answer.headers());
    assert_ne!(rotated, desk, "this one goes on by another token");
    assert_eq!(you(&app, &rotated).await["handle"], "Zoe");

    let pending = pending(&app, PASSWORD).await;
    assert_eq!(with_code(&app, &pending, "000000").await.status(), 422);
    assert_eq!(with_code(&app, &pending, &before).await.status(), 422, "a code is good once");
    assert_eq!(with_code(&app, &"0".repeat(64), &now).await.status(), 422, "by a code alone nobody is signed in");
    let spaced = format!("{} {}", &now[..3], &now[3..]);
    let answer = with_code(&app, &pending, &spaced).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().expect("ASCII")), (303, "/room/a/"));
    assert_eq!(you(&app, &session(answer.headers())).await["handle"], "Zoe");
    assert_eq!(with_code(&app, &pending, &code(&key, 1)).await.status(), 422, "that the password was right counts once, too");
}

#[tokio::test]
async fn of_a_code_that_is_shown_many_times_at_once_one_signs_in() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let (key, codes, _) = switch_on(&app, &desk).await;
    for code in [&code(&key, 0), &codes[0]] {
        let pending = pending(&app, PASSWORD).await;
        let all = futures_util::future::join_all((0..6).map(|_| with_code(&app, &pending, code))).await;
        assert_eq!(all.iter().filter(|answer| answer.status() == 303).count(), 1);
    }
}

#[tokio::test]
async fn codes_on_paper_are_good_once_each_and_no_secret_of_them_is_in_the_store() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let (key, codes, cookie) = switch_on(&app, &desk).await;
    assert_eq!(with_code(&app, &pending(&app, PASSWORD).await, &codes[3].to_uppercase().replace('-', " ")).await.status(), 303);
    assert_eq!(with_code(&app, &pending(&app, PASSWORD).await, &codes[3]).await.status(), 422);
    let (_, body) = page(&app, HERE, &cookie).await;
    assert!(body.contains("9 codes on paper are left"), "{body}");
    for file in ["confab.db", "confab.db-wal"] {
        let bytes = std::fs::read(app.data().join(file)).expect("a file of the store");
        for code in &codes {
            for written in [code.clone(), code.replace('-', "")] {
                assert!(!bytes.windows(written.len()).any(|part| part == written.as_bytes()), "{file}");
            }
        }
    }
    // Others in their place.
    let form = [("do", "renew"), ("password", PASSWORD), ("code", &code(&key, 0))];
    let body = post(&app, HERE, &cookie, &form).await.text().await.expect("a page");
    assert_eq!(all(&body, "<code>", "</code>").len(), 10);
    assert_eq!(with_code(&app, &pending(&app, PASSWORD).await, &codes[4]).await.status(), 422);
}

#[tokio::test]
async fn wrong_codes_are_bounded_for_an_account_whoever_tries() {
    let app = TestApp::with(|settings| {
        open(settings);
        settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    })
    .await;
    let desk = sign_up(&app, "", "Zoe").await;
    let (key, ..) = switch_on(&app, &desk).await;
    let pending = pending(&app, PASSWORD).await;
    let tried = async |n: usize, code: &str| {
        let form = [("pending", pending.as_str()), ("code", code)];
        let request = crate::app::browser().post(crate::app::Http::url(&app, "/login/code")).form(&form);
        let answer = request.header("x-forwarded-for", format!("192.0.2.{n}")).send();
        within("an answer", answer).await.expect("an answer")
    };
    let mut statuses = Vec::new();
    for n in 0..12 {
        statuses.push(tried(n, "000000").await.status().as_u16());
    }
    assert_eq!(statuses, [vec![422; 10], vec![429; 2]].concat());
    let answer = tried(50, &code(&key, 0)).await;
    assert_eq!(answer.status(), 429, "from yet another address, by the right code");
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn it_is_switched_off_by_password_and_code_and_then_ends_the_other_sessions() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let (key, codes, cookie) = switch_on(&app, &desk).await;
    let phone = session(with_code(&app, &pending(&app, PASSWORD).await, &codes[0]).await.headers());
    let now = code(&key, 0);
    for (password, code) in [("wrong password", now.as_str()), (PASSWORD, "000000"), (PASSWORD, "")] {
        let answer = post(&app, HERE, &cookie, &[("do", "off"), ("password", password), ("code", code)]).await;
        assert_eq!(answer.status(), 422, "{password} {code}");
    }
    let answer = post(&app, HERE, &cookie, &[("do", "off"), ("password", PASSWORD), ("code", &now)]).await;
    assert_eq!(answer.status(), 200);
    assert_ne!(session(answer.headers()), cookie);
    assert!(you(&app, &phone).await.get("handle").is_none());
    assert_eq!(log_in(&app, "Zoe", PASSWORD).await.status(), 303);
}

#[tokio::test]
async fn administrators_who_have_to_have_it_can_do_nothing_before() {
    let app = TestApp::with(|settings| {
        open(settings);
        settings.accounts.second_factor_for_administrators = true;
    })
    .await;
    let ann = sign_up(&app, "", "Ann").await;
    let root = sign_up(&app, "", "Root").await;
    let database = Connection::open(app.data().join("confab.db")).expect("the database");
    database.execute("UPDATE accounts SET administrator = 1 WHERE handle = ?1", params!["Root"]).expect("written");
    let led = async {
        loop {
            let answer =
                within("a page", crate::app::browser().get(crate::app::Http::url(&app, "/")).header("cookie", &root).send());
            let answer = answer.await.expect("an answer");
            if answer.status() == 303 {
                return answer.headers()["location"].to_str().expect("ASCII").to_owned();
            }
        }
    };
    assert_eq!(within("what is known of them to be read anew", led).await, HERE);
    for path in ["/room/a/", "/account/", "/api/v1/rooms", "/search/?q=x", "/rooms/new"] {
        let status = page(&app, path, &root).await.0;
        assert_eq!(status, if path.starts_with("/api/") { 403 } else { 303 }, "{path}");
    }
    assert_eq!(post(&app, "/room/a/", &root, &[("key", "k1"), ("text", "hello")]).await.status(), 403);
    let socket = V1::try_with(app.address, "/ws/", &[("cookie", &root)]).await;
    assert!(matches!(&socket, Err(Error::Http(refused)) if refused.status() == 403));
    assert_eq!(page(&app, "/room/a/", &ann).await.0, 200, "others are not asked");
    assert_eq!(page(&app, HERE, &root).await.0, 200);
    assert_eq!(page(&app, "/logout", &root).await.0, 200);
    let (key, _, root) = switch_on(&app, &root).await;
    assert_eq!(page(&app, "/room/a/", &root).await.0, 200);
    let mut tab = V1::with(app.address, "/ws/", &[("cookie", &root)]).await;
    tab.ok(json!({"ping": {}})).await;
    let form = [("do", "off"), ("password", PASSWORD), ("code", &code(&key, 0))];
    assert_eq!(post(&app, HERE, &root, &form).await.status(), 403, "and they do not switch it off");
}

/// The link that an answer gives.
fn reset_link(text: &str) -> String {
    let token = text.split("/reset/").nth(1).and_then(|rest| rest.get(..64)).unwrap_or_else(|| panic!("no link in {text}"));
    format!("/reset/{token}")
}

#[tokio::test]
async fn each_of_three_losses_has_its_way_back_that_is_logged_and_ends_the_old_sessions() {
    const NEW: &str = "another horse battery";
    let app = TestApp::with(open).await;
    let (admin, zoe, ann) = (sign_up(&app, "", "Max").await, sign_up(&app, "", "Zoe").await, sign_up(&app, "", "Ann").await);
    let database = Connection::open(app.data().join("confab.db")).expect("the database");
    database.execute("UPDATE accounts SET administrator = 1 WHERE handle = 'Max'", []).expect("written");
    let id = |handle: &str| -> String {
        database.query_row("SELECT id FROM accounts WHERE handle = ?1", [handle], |row| row.get(0)).expect("an id")
    };
    let log = || -> Vec<(String, String)> {
        let mut rows = database.prepare("SELECT act, by_name FROM audit_log ORDER BY at, id").expect("a statement");
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.map(|row| row.expect("a row"))
            .filter(|(act, _): &(String, String)| !act.ends_with("made") || act.contains("link"))
            .collect()
    };
    let came_back = async |link: String, old: &str, name: &str| {
        assert_eq!(page(&app, &link, "").await.0, 200);
        assert!(you(&app, old).await.get("handle").is_some(), "looking at a link ends nothing");
        let answer = post(&app, &link, "", &[("password", NEW)]).await;
        assert_eq!(answer.status(), 303, "{name}");
        assert!(you(&app, old).await.get("handle").is_none(), "{name}: the old session is over");
        assert_eq!(you(&app, &session(answer.headers())).await["handle"], name);
        assert_eq!(post(&app, &link, "", &[("password", NEW)]).await.status(), 404, "{name}: it is good once");
        assert_eq!(log_in(&app, name, PASSWORD).await.status(), 422, "{name}");
        assert_eq!(log_in(&app, name, NEW).await.status(), 303, "{name}: by the password alone");
    };
    let logged = |expected: &[(&str, &str)], from: usize| {
        let all = log();
        let found: Vec<_> = all[from..].iter().map(|(act, by)| (act.as_str(), by.as_str())).collect();
        assert_eq!(found, expected);
        all.len()
    };
    let begin = log().len();

    // A member has forgotten the password: an administrator makes a link.
    let answer = post(&app, &format!("/manage/people/{}", id("Zoe")), &admin, &[("act", "reset")]).await;
    assert_eq!(answer.status(), 200);
    came_back(reset_link(&answer.text().await.expect("a page")), &zoe, "Zoe").await;
    let at = logged(&[("account.reset_link_made", "Max"), ("account.password_reset", "the server")], begin);

    // The only administrator has: one command on the server's machine.
    let (is_well, said) = confab(&["user", "reset", "Max"], app.data());
    assert!(is_well, "{said}");
    came_back(reset_link(&said), &admin, "Max").await;
    let at = logged(&[("account.reset_link_made", "the command line"), ("account.password_reset", "the server")], at);

    // The app with the codes is lost, and the codes on paper: the same command.
    let (_, _, ann) = switch_on(&app, &ann).await;
    let at = logged(&[("account.second_factor_added", "Ann")], at);
    assert_eq!(log_in(&app, "Ann", PASSWORD).await.status(), 200, "it asks for a code");
    let (is_well, said) = confab(&["user", "reset", "Ann", "--second-factor"], app.data());
    assert!(is_well, "{said}");
    came_back(reset_link(&said), &ann, "Ann").await;
    logged(
        &[
            ("account.second_factor_removed", "the command line"),
            ("account.reset_link_made", "the command line"),
            ("account.password_reset", "the server"),
        ],
        at,
    );
}
