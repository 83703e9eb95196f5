//! Whoever tries to come in as somebody else, many times or by a trick: at what cost, and with what.

use confab::server::settings::{Settings, SignUp};
use reqwest::Response;
use rusqlite::Connection;

use crate::{
    accounts::{PASSWORD, log_in, page, post, session, sign_up, you},
    app::{Http as _, TestApp, browser},
    metrics::Scrape,
    within,
};

fn open(settings: &mut Settings) {
    settings.accounts.sign_up = SignUp::Open;
}

/// A proxy on this machine says whom it speaks for.
fn behind_a_proxy(settings: &mut Settings) {
    open(settings);
    settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
}

async fn from(app: &TestApp, address: &str, path: &str, form: &[(&str, &str)]) -> Response {
    let request = browser().post(app.url(path)).header("x-forwarded-for", address).form(form);
    within("an answer", request.send()).await.expect("an answer")
}

/// How many passwords were hashed so far.
async fn hashed(app: &TestApp) -> u64 {
    Scrape::of(app).await.get("confab_passwords_hashed_total") as u64
}

#[tokio::test]
async fn many_addresses_guess_no_password_and_its_owner_still_signs_in() {
    let app = TestApp::with(behind_a_proxy).await;
    let home = "198.51.100.1";
    let form = [("name", "Zoe"), ("password", PASSWORD)];
    assert_eq!(from(&app, home, "/signup", &form).await.status(), 303);
    let before = hashed(&app).await;
    let mut statuses = Vec::new();
    for n in 0..30 {
        let wrong = [("name", "zoe"), ("password", "wrong password")];
        statuses.push(from(&app, &format!("192.0.2.{n}"), "/login", &wrong).await.status().as_u16());
    }
    assert_eq!(statuses, [vec![422; 20], vec![429; 10]].concat(), "an account has its budget");
    assert_eq!(hashed(&app).await - before, 20, "what is over it costs nothing");
    assert_eq!(from(&app, "192.0.2.200", "/login", &form).await.status(), 429);
    assert_eq!(from(&app, home, "/login", &form).await.status(), 303, "from where its owner signs in");
    let other = [("name", "Bob"), ("password", "wrong password")];
    assert_eq!(from(&app, "192.0.2.1", "/login", &other).await.status(), 422, "others are not concerned");
}

#[tokio::test]
async fn whom_a_client_says_it_speaks_for_counts_from_trusted_proxies_alone() {
    let app = TestApp::with(open).await;
    let mut statuses = Vec::new();
    for n in 0..12 {
        let wrong = [("name", "zoe"), ("password", "wrong password")];
        statuses.push(from(&app, &format!("192.0.2.{n}"), "/login", &wrong).await.status().as_u16());
    }
    assert_eq!(statuses, [vec![422; 10], vec![429; 2]].concat(), "all of it is one address");
}

#[tokio::test]
async fn a_name_that_is_not_there_costs_as_many_hashes_as_one_that_is() {
    let app = TestApp::with(open).await;
    for name in ["Zoe", "Gone", "Elsewhere"] {
        sign_up(&app, "", name).await;
    }
    let database = Connection::open(app.data().join("confab.db")).expect("the database");
    database.execute("UPDATE accounts SET deactivated_at = 1 WHERE handle = 'Gone'", []).expect("written");
    database.execute("UPDATE accounts SET password = NULL WHERE handle = 'Elsewhere'", []).expect("written");
    for name in ["Zoe", "Nobody", "no/name", "Gone", "Elsewhere"] {
        let before = hashed(&app).await;
        assert_eq!(log_in(&app, name, "wrong password").await.status(), 422, "{name}");
        assert_eq!(hashed(&app).await - before, 1, "{name}");
    }
}

#[tokio::test]
async fn a_password_that_none_can_be_is_refused_unhashed() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let before = hashed(&app).await;
    for (length, status) in [(1_025, 422), (1 << 20, 413)] {
        let long = "x".repeat(length);
        assert_eq!(log_in(&app, "Zoe", &long).await.status().as_u16(), status);
        let form = [("name", "New"), ("password", long.as_str())];
        assert_eq!(post(&app, "/signup", "", &form).await.status().as_u16(), status);
        let form = [("do", "password"), ("password", PASSWORD), ("new_password", long.as_str())];
        assert_eq!(post(&app, "/account/", &desk, &form).await.status().as_u16(), status);
        let form = [("do", "deactivate"), ("password", long.as_str())];
        assert_eq!(post(&app, "/account/", &desk, &form).await.status().as_u16(), status);
    }
    assert_eq!(hashed(&app).await, before);
}

#[tokio::test]
async fn a_session_that_somebody_else_has_put_there_is_not_the_one_that_signs_in() {
    let app = TestApp::with(open).await;
    let mallory = sign_up(&app, "", "Mallory").await;
    sign_up(&app, "", "Zoe").await;
    for planted in [mallory.as_str(), &format!("confab_session={}", "5".repeat(64))] {
        let form = [("name", "Zoe"), ("password", PASSWORD)];
        let fresh = session(post(&app, "/login", planted, &form).await.headers());
        assert_ne!(fresh, planted);
        assert_eq!(you(&app, &fresh).await["handle"], "Zoe");
        assert!(you(&app, planted).await.get("handle").is_none(), "it is nobody's from then on");
    }
}

#[tokio::test]
async fn nothing_leads_to_another_site() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    for (n, next) in ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)", "\t//evil.example"]
        .into_iter()
        .enumerate()
    {
        let login = [("name", "Zoe"), ("password", PASSWORD), ("next", next)];
        let answers = [
            post(&app, "/login", "", &login).await,
            post(&app, "/signup", "", &[("name", &format!("New{n}")), ("password", PASSWORD), ("next", next)]).await,
            post(&app, "/me", "confab_guest=0123456789abcdef0123456789abcdef", &[("name", "Ann"), ("next", next)]).await,
            post(&app, "/logout", "", &[("next", next)]).await,
        ];
        for answer in answers {
            assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().expect("ASCII")), (303, "/"), "{next}");
        }
        let query = browser().get(app.url("/login")).query(&[("next", next)]).header("cookie", &desk).send();
        let answer = within("an answer", query).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().expect("ASCII")), (303, "/"), "{next}");
    }
}

#[tokio::test]
async fn the_address_of_a_page_with_a_secret_in_it_goes_nowhere() {
    let app = TestApp::with(open).await;
    let desk = sign_up(&app, "", "Zoe").await;
    let body = post(&app, "/account/", &desk, &[("do", "device")]).await.text().await.expect("a page");
    let link = body.split("/device/").nth(1).and_then(|rest| rest.get(..64)).expect("a link");
    let answer = within("a page", browser().get(app.url(&format!("/device/{link}"))).send()).await.expect("a page");
    assert_eq!(answer.headers()["referrer-policy"], "strict-origin");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body = answer.text().await.expect("a page");
    assert!(!body.contains("http://") && !body.contains("https://"), "the page fetches nothing from elsewhere: {body}");
}

#[tokio::test]
async fn an_account_is_deactivated_by_its_password_and_the_last_administrator_stays() {
    let app = TestApp::with(open).await;
    let root = sign_up(&app, "", "Root").await;
    let desk = sign_up(&app, "", "Zoe").await;
    let phone = session(log_in(&app, "Zoe", PASSWORD).await.headers());
    let database = Connection::open(app.data().join("confab.db")).expect("the database");
    database.execute("UPDATE accounts SET administrator = 1 WHERE handle = 'Root'", []).expect("written");
    let deactivate = |password| [("do", "deactivate"), ("password", password)];
    let answer = post(&app, "/account/", &desk, &deactivate("wrong password")).await;
    assert_eq!(answer.status(), 422);
    let body = answer.text().await.expect("a page");
    assert!(body.contains("id=\"deactivate-password-error\""), "{body}");
    let answer = post(&app, "/account/", &root, &deactivate(PASSWORD)).await;
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.expect("a page").contains("You are the last administrator"));
    assert_eq!(post(&app, "/account/", &desk, &deactivate(PASSWORD)).await.status(), 303);
    for cookie in [&desk, &phone] {
        assert!(you(&app, cookie).await.get("handle").is_none());
    }
    assert_eq!(log_in(&app, "Zoe", PASSWORD).await.status(), 422);
    assert_eq!(page(&app, "/account/", &root).await.0, 200);
}
