//! Tokens that another site has signed, with the library that Python programs have for it.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use confab::server::{
    accounts::jwt::{LONGEST, Refused, Sites, Visitor},
    settings::{ConfigFile, History, RoomRule, Sources},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value as Json, json};

use crate::{
    app::{Http as _, TestApp, browser, rule},
    clients::V1,
    support::{
        people::{People, Project},
        within,
    },
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// Sites with these tables in their `[[accounts.jwt]]`, or what is wrong with them.
fn try_sites(tables: &str) -> Result<Sites, String> {
    let file = Some(ConfigFile { name: "Leptos.toml".to_owned(), content: tables.as_bytes().to_vec() });
    let loaded = Sources { file, ..Sources::default() }.load().map_err(|mistakes| mistakes.to_string())?;
    Ok(Sites::new(&loaded.settings.jwt))
}

fn sites(tables: &str) -> Sites {
    try_sites(tables).expect("settings")
}

fn site(lines: &str) -> String {
    format!("[[accounts.jwt]]\nissuer = \"https://shop.example\"\naudience = \"confab\"\n{lines}\n")
}

fn shared() -> String {
    site(&format!("algorithm = \"HS256\"\nkey = \"{SECRET}\""))
}

/// Claims that are right, with others over them; null takes one out.
fn claims(others: Json) -> Json {
    let mut claims = json!({"iss": "https://shop.example", "aud": "confab", "sub": "7", "exp": now() + 600});
    for (name, value) in others.as_object().expect("a map") {
        if value.is_null() {
            claims.as_object_mut().expect("a map").remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

async fn signed(people: &mut People, algorithm: &str, key: &str, headers: Json, others: Json) -> String {
    let told = json!({"do": "token", "claims": claims(others), "key": key, "algorithm": algorithm, "headers": headers});
    people.tell(told).await.as_str().expect("a token").to_owned()
}

fn people() -> People {
    People::start(&Project::on_sqlite())
}

#[tokio::test]
async fn each_algorithm_is_checked_by_its_key() {
    let mut people = people();
    let folder = tempfile::tempdir().expect("a folder");
    let expected = Visitor {
        origin: "jwt:https://shop.example".to_owned(),
        subject: "7".to_owned(),
        name: Some("Ann Lee".parse().expect("a name")),
        handle: Some("ann".to_owned()),
        rooms: vec![
            ("lobby".parse().expect("a group"), "member".to_owned()),
            ("team".parse().expect("a group"), "moderator".to_owned()),
        ],
        ends_at: 4_000_000_000,
    };
    let more = json!({"name": "Ann  Lee", "preferred_username": "ann", "rooms": {"lobby": "member", "no room": "owner", "team": "moderator", "x": 1}, "exp": expected.ends_at, "aud": ["other", "confab"]});
    let hs256 = signed(&mut people, "HS256", SECRET, Json::Null, more.clone()).await;
    assert_eq!(sites(&shared()).visitor(&hs256), Ok(expected.clone()));
    for algorithm in ["RS256", "EdDSA"] {
        let keys = people.tell(json!({"do": "keys", "kind": algorithm, "kid": "one"})).await;
        let (private, public) = (keys["private"].as_str().expect("PEM"), keys["public"].as_str().expect("PEM"));
        let token = signed(&mut people, algorithm, private, Json::Null, more.clone()).await;
        let here = site(&format!("algorithm = \"{algorithm}\"\nkey = \"\"\"\n{public}\"\"\""));
        assert_eq!(sites(&here).visitor(&token), Ok(expected.clone()), "{algorithm}");
        let file = folder.path().join(algorithm);
        fs::write(&file, public).expect("a file");
        let in_file = site(&format!("algorithm = \"{algorithm}\"\nkey_file = '{}'", file.display()));
        assert_eq!(sites(&in_file).visitor(&token), Ok(expected.clone()), "{algorithm}");
        assert_eq!(sites(&in_file).visitor(&hs256), Err(Refused::Algorithm));
        assert_eq!(sites(&shared()).visitor(&token), Err(Refused::Algorithm));
        // One of another pair, and the secret half.
        let others = people.tell(json!({"do": "keys", "kind": algorithm, "kid": "one"})).await;
        let of_other = signed(&mut people, algorithm, others["private"].as_str().expect("PEM"), Json::Null, more.clone()).await;
        assert_eq!(sites(&in_file).visitor(&of_other), Err(Refused::Signature));
        fs::write(&file, private).expect("a file");
        assert!(try_sites(&in_file).err().is_some_and(|mistake| mistake.contains("private key") && !mistake.contains("BEGIN")));
        // The public key as if it were a secret: whoever reads it could sign.
        let forged =
            json!({"do": "forged", "header": {"alg": "HS256", "typ": "JWT"}, "claims": claims(json!({})), "secret": public});
        let forged = people.tell(forged).await.as_str().expect("a token").to_owned();
        assert_eq!(sites(&here).visitor(&forged), Err(Refused::Algorithm), "{algorithm}");
        let as_secret = site(&format!("algorithm = \"HS256\"\nkey = \"\"\"\n{public}\"\"\""));
        assert!(try_sites(&as_secret).err().is_some_and(|mistake| mistake.contains("no key in PEM")));
    }
}

#[tokio::test]
async fn a_set_of_keys_is_told_apart_by_kid_and_read_again() {
    let mut people = people();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("jwks.json");
    let [old, new] = [
        people.tell(json!({"do": "keys", "kind": "RS256", "kid": "old"})).await,
        people.tell(json!({"do": "keys", "kind": "EdDSA", "kid": "new"})).await,
    ];
    let of = |kid: &str| json!({"kid": kid});
    let private = |keys: &Json| keys["private"].as_str().expect("PEM").to_owned();
    let old_token = signed(&mut people, "RS256", &private(&old), of("old"), json!({})).await;
    let new_token = signed(&mut people, "EdDSA", &private(&new), of("new"), json!({})).await;
    let foreign = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "else"});
    fs::write(&file, json!({"keys": [foreign, old["jwk"], new["jwk"]]}).to_string()).expect("a file");
    let site = sites(&site(&format!("jwks_file = '{}'", file.display())));
    assert!(site.visitor(&old_token).is_ok() && site.visitor(&new_token).is_ok());
    for (headers, refused) in [(Json::Null, Refused::Key), (of("other"), Refused::Key), (of("new"), Refused::Algorithm)] {
        let token = signed(&mut people, "RS256", &private(&old), headers.clone(), json!({})).await;
        assert_eq!(site.visitor(&token), Err(refused), "{headers}");
    }
    // What is no set leaves the keys as they are; a set without one takes it away.
    fs::write(&file, "{").expect("a file");
    let still = async { while site.visitor(&old_token).is_err() {} };
    within("the keys before", still).await;
    fs::write(&file, json!({"keys": [new["jwk"]]}).to_string()).expect("a file");
    let gone = async {
        while site.visitor(&old_token) != Err(Refused::Key) {
            tokio::task::yield_now().await;
        }
    };
    within("the end of the old key", gone).await;
    assert!(site.visitor(&new_token).is_ok());
}

#[tokio::test]
async fn what_a_token_must_say_is_looked_at() {
    let mut people = people();
    let site = sites(&shared());
    for (others, refused) in [
        (json!({"iss": "https://other.example"}), Refused::Issuer),
        (json!({"iss": null}), Refused::Claims),
        (json!({"aud": "other"}), Refused::Audience),
        (json!({"aud": ["other", "more"]}), Refused::Audience),
        (json!({"aud": null}), Refused::Claims),
        (json!({"exp": null}), Refused::Claims),
        (json!({"exp": now() - 60}), Refused::Over),
        (json!({"exp": now() - 1}), Refused::Over),
        (json!({"nbf": now() + 3600}), Refused::Early),
        (json!({"nbf": 99_999_999_999_999_u64}), Refused::Early),
        (json!({"sub": null}), Refused::Claims),
        (json!({"sub": ""}), Refused::Claims),
        (json!({"sub": "x".repeat(256)}), Refused::Claims),
    ] {
        let token = signed(&mut people, "HS256", SECRET, Json::Null, others.clone()).await;
        assert_eq!(site.visitor(&token), Err(refused), "{others}");
    }
    // Clocks may differ a little.
    for others in [json!({"nbf": now() + 2}), json!({"rooms": 1, "name": 2, "preferred_username": []})] {
        let token = signed(&mut people, "HS256", SECRET, Json::Null, others.clone()).await;
        assert!(site.visitor(&token).is_ok(), "{others}");
    }
}

#[tokio::test]
async fn what_is_forged_or_broken_is_refused() {
    let mut people = people();
    let site = sites(&shared());
    let good = signed(&mut people, "HS256", SECRET, Json::Null, json!({})).await;
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    for alg in [json!("none"), json!("None"), json!("NONE"), json!(""), json!(null), json!("HS384"), json!("ES256")] {
        let told = json!({"do": "forged", "header": {"alg": alg, "typ": "JWT"}, "claims": claims(json!({})), "secret": ""});
        let token = people.tell(told).await.as_str().expect("a token").to_owned();
        assert_eq!(site.visitor(&token), Err(Refused::Algorithm), "{alg}");
        let with_signature = format!("{}{signature}", token.trim_end_matches(signature));
        assert_eq!(site.visitor(&with_signature), Err(Refused::Algorithm), "{alg}");
    }
    let other = signed(&mut people, "HS256", "another secret of thirty-two letters", Json::Null, json!({"sub": "8"})).await;
    assert_eq!(site.visitor(&other), Err(Refused::Signature));
    let stranger = other.split('.').nth(1).expect("a part");
    for (token, refused) in [
        (format!("{header}.{stranger}.{signature}"), Refused::Signature),
        (format!("{header}.{payload}."), Refused::Signature),
        (format!("{header}.{payload}.{}", &signature[4..]), Refused::Signature),
        (format!("{header}.{payload}.!!!!"), Refused::Malformed),
        (format!("{header}.{payload}"), Refused::Malformed),
        (format!("{header}.{payload}.{signature}.{signature}"), Refused::Malformed),
        (format!("{header}.!!!!.{signature}"), Refused::Malformed),
        (format!("!!!!.{payload}.{signature}"), Refused::Malformed),
        (format!("{payload}.{payload}.{signature}"), Refused::Malformed),
        (String::new(), Refused::Malformed),
        ("..".to_owned(), Refused::Malformed),
        ("x".repeat(LONGEST + 1), Refused::Long),
        (format!("{header}.{}.{signature}", "A".repeat(1 << 20)), Refused::Long),
        ("\u{e9}.\u{e9}.\u{e9}".to_owned(), Refused::Malformed),
    ] {
        assert_eq!(site.visitor(&token), Err(refused), "{}", &token[..token.len().min(100)]);
    }
    assert!(Sites::default().visitor(&good).is_err());
}

#[tokio::test]
async fn no_text_is_too_odd_to_be_refused_and_nothing_but_the_token_itself_is_taken() {
    let mut people = people();
    let sites = sites(&shared());
    let good = signed(&mut people, "HS256", SECRET, Json::Null, json!({})).await;
    assert!(sites.visitor(&good).is_ok());
    let mut runner = TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() });
    let odd = prop_oneof![
        ".{0,200}",
        r"[A-Za-z0-9_=+/-]{0,40}\.[A-Za-z0-9_=+/-]{0,40}\.[A-Za-z0-9_=+/-]{0,40}",
        r"e30\.e30\.[A-Za-z0-9_-]{0,60}",
        r"\PC{0,20}(\.\PC{0,20}){0,4}",
    ];
    let refused = |text: String| {
        prop_assert!(sites.visitor(&text).is_err(), "{text:?}");
        Ok(())
    };
    runner.run(&odd, refused).expect("all are refused");
    let changed = (0..good.len(), 0..3_u8, prop::char::any()).prop_map(|(at, how, sign)| {
        let (before, after) = good.split_at(at);
        match how {
            0 => format!("{before}{sign}{}", &after[1..]),
            1 => format!("{before}{sign}{after}"),
            _ => format!("{before}{}", &after[1..]),
        }
    });
    let changed = changed.prop_filter("it is another one", |text| *text != good);
    runner.run(&changed, refused).expect("all are refused");
}

#[tokio::test]
async fn keys_that_are_none_stop_the_start() {
    let mut people = people();
    let short = people.tell(json!({"do": "keys", "kind": "RS256", "kid": "one", "bits": 1024})).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| {
        let file = folder.path().join(name);
        fs::write(&file, content).expect("a file");
        file.display().to_string()
    };
    let weak = short["public"].as_str().expect("PEM");
    let twice = json!({"keys": [{"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "kid": "a"}, {"kty": "oct", "k": "MTEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "kid": "a"}]});
    for (lines, mistake) in [
        (String::new(), "accounts.jwt[0] needs one of key, key_file and jwks_file"),
        (format!("key = \"{SECRET}\""), "accounts.jwt[0] needs the algorithm of its key"),
        (
            "algorithm = \"HS256\"\nkey = \"hush\"".to_owned(),
            "accounts.jwt[0].key cannot be what it is: a secret for HS256 has at least 32 letters",
        ),
        (format!("algorithm = \"RS256\"\nkey = \"{SECRET}\""), "the public key in PEM is needed"),
        (format!("algorithm = \"RS256\"\nkey = \"\"\"\n{weak}\"\"\""), "at least 2048 bits"),
        (format!("algorithm = \"EdDSA\"\nkey = \"\"\"\n{weak}\"\"\""), "of the algorithm's kind"),
        (
            format!("algorithm = \"none\"\nkey = \"{SECRET}\""),
            r#"accounts.jwt[0].algorithm cannot be "none": "HS256", "RS256" or "EdDSA" is needed"#,
        ),
        (
            "algorithm = \"RS256\"\nkey_file = \"/nowhere\"".to_owned(),
            r#"accounts.jwt[0].key_file cannot be "/nowhere": No such file"#,
        ),
        (format!("jwks_file = '{}'", file("a", "{}")), "it is no set of keys"),
        (format!("jwks_file = '{}'", file("b", "hush")), "it is not JSON"),
        (format!("jwks_file = '{}'", file("c", "{\"keys\": []}")), "it has no key for"),
        (format!("jwks_file = '{}'", file("d", &twice.to_string())), "two of its keys have one kid"),
        (format!("jwks_file = '{}'", file("e", &json!({"keys": [short["jwk"]]}).to_string())), "at least 2048 bits"),
        (format!("algorithm = \"HS256\"\nkey = \"{SECRET}\"\nleeway = 1"), "accounts.jwt[0].leeway is not a setting"),
    ] {
        let said = try_sites(&site(&lines)).err().unwrap_or_else(|| panic!("it starts: {lines}"));
        assert!(said.starts_with("Leptos.toml:") && said.contains(mistake) && !said.contains("hush"), "{lines}\n{said}");
    }
    let twice = try_sites(&(shared() + &shared())).err().expect("a mistake");
    assert!(twice.contains("accounts.jwt[1] has the issuer of accounts.jwt[0]"), "{twice}");
}

/// A server that believes the shop, with a room that is not open to guests.
async fn app() -> TestApp {
    app_allowing("https://shop.example").await
}

async fn app_allowing(origin: &str) -> TestApp {
    TestApp::with(|settings| {
        settings.server.allowed_origins = vec![origin.parse().expect("an origin")];
        let file = ConfigFile { name: "Leptos.toml".to_owned(), content: shared().into_bytes() };
        settings.jwt = Sources { file: Some(file), ..Sources::default() }.load().expect("settings").settings.jwt;
        settings.rooms = vec![RoomRule { guests: false, ..rule("members", History::Store) }, rule("*", History::Store)];
    })
    .await
}

async fn asked(app: &TestApp, path: &str, token: &str) -> (u16, String) {
    let asked = browser().get(app.url(path)).header("authorization", format!("Bearer {token}")).send();
    let answer = within(path, asked).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

#[tokio::test]
async fn a_token_in_the_header_is_somebody_on_pages_the_api_and_sockets() {
    let mut people = people();
    let app = app().await;
    let named = json!({"name": "Ann Lee", "preferred_username": "ann"});
    let token = signed(&mut people, "HS256", SECRET, Json::Null, named.clone()).await;
    let messages = "/api/v1/rooms/members/messages";
    assert_eq!(app.get(messages).await.status(), 403);
    assert_eq!(asked(&app, messages, &token).await.0, 200);
    let (status, page) = asked(&app, "/room/members/", &token).await;
    assert!(status == 200 && page.contains("Ann Lee"), "{status}");
    let bearer = format!("Bearer {token}");
    let socket = V1::with(app.address, "/room/members/", &[("authorization", &bearer)]).await;
    let you = &socket.welcome["you"];
    assert_eq!((&you["name"], &you["handle"]), (&json!("Ann Lee"), &json!("ann")));
    // Another token of the same subject is the same person; another subject is another one.
    for (subject, same) in [("7", true), ("8", false)] {
        let other = json!({"name": "Ann Lee", "preferred_username": "ann", "sub": subject, "exp": now() + 900});
        let bearer = format!("Bearer {}", signed(&mut people, "HS256", SECRET, Json::Null, other).await);
        let other = V1::with(app.address, "/ws/", &[("authorization", &bearer)]).await;
        assert_eq!(other.welcome["you"] == *you, same, "{}", other.welcome);
    }
    // Who shows one that is not believed is nobody, not a guest.
    for (others, said) in [(json!({"aud": "other"}), "its aud is another"), (json!({"exp": now() - 1}), "its exp is past")] {
        let token = signed(&mut people, "HS256", SECRET, Json::Null, others).await;
        let (status, body) = asked(&app, "/api/v1/rooms/lobby/messages", &token).await;
        assert!(status == 401 && body.contains(said) && body.contains("unauthorized"), "{status} {body}");
        assert_eq!(asked(&app, "/room/lobby/", &token).await.0, 401);
    }
    // What is no token at all means nothing here, as before.
    assert_eq!(asked(&app, "/api/v1/rooms/lobby/messages", "program-0123456789abcdef").await.0, 200);
}

#[tokio::test]
async fn of_several_cookies_the_token_that_is_believed_counts_and_what_others_may_believe_is_left() {
    let mut people = people();
    let app = app().await;
    let anns = signed(&mut people, "HS256", SECRET, Json::Null, json!({"name": "Ann Lee"})).await;
    let over = signed(&mut people, "HS256", SECRET, Json::Null, json!({"exp": now() - 1})).await;
    let foreign = signed(&mut people, "HS256", &"another".repeat(8), Json::Null, json!({})).await;
    let answer = async |cookies: &str, tls: bool| {
        let mut asked = browser().get(app.url("/room/lobby/")).header("cookie", cookies);
        if tls {
            asked = asked.header("x-forwarded-proto", "https");
        }
        let answer = within("a page", asked.send()).await.expect("an answer");
        let given = answer.headers().get_all("set-cookie").iter();
        let deletes = given.filter(|cookie| cookie.to_str().is_ok_and(|cookie| cookie.contains("confab_token=;"))).count();
        (answer.text().await.expect("a page").contains("Ann Lee"), deletes > 0)
    };
    for beside in [&over, &foreign, "broken", ""] {
        for cookies in
            [format!("confab_token={beside}; confab_token={anns}"), format!("confab_token={anns}; confab_token={beside}")]
        {
            assert_eq!(answer(&cookies, false).await, (true, false), "{cookies}");
        }
    }
    // Cookies know no ports: what is not believed here may be believed by another Confab on this host.
    for (token, deleted) in [(&foreign, false), (&"broken".to_owned(), false), (&over, true)] {
        assert_eq!(answer(&format!("confab_token={token}"), false).await, (false, deleted), "{token}");
    }
    // Over TLS a neighbour under the same domain could have set it.
    assert!(!answer(&format!("confab_token={anns}"), true).await.0);
    let guest = "__Host-confab_guest=0123456789abcdef0123456789abcdef";
    assert!(!answer(&format!("{guest}; confab_token={anns}"), false).await.0);
    assert!(answer(&format!("confab_token={foreign}; __Host-confab_token={anns}"), true).await.0);
}

#[tokio::test]
async fn what_is_open_by_a_token_ends_with_it() {
    let mut people = people();
    let app = app().await;
    let long = signed(&mut people, "HS256", SECRET, Json::Null, json!({})).await;
    let mut by_long = V1::with(app.address, "/room/members/", &[("authorization", &format!("Bearer {long}"))]).await;
    for (header, before) in [("authorization", "Bearer "), ("cookie", "confab_token=")] {
        let (mut by_short, short) = opened_for_a_while(&app, &mut people, header, before).await;
        assert_eq!(by_short.closed().await, (4501, "you were signed out".to_owned()), "{header}");
        assert_eq!(asked(&app, "/api/v1/rooms/members/messages", &short).await.0, 401, "{header}");
    }
    by_long.post("room/members", "k1", "still here").await;
}

/// A socket by a token that soon ends, and the token: where the machine was too busy to open one meanwhile, by one that ends later.
async fn opened_for_a_while(app: &TestApp, people: &mut People, header: &'static str, before: &str) -> (V1, String) {
    for seconds in [3, 10, 25] {
        let token = signed(people, "HS256", SECRET, Json::Null, json!({"exp": now() + seconds})).await;
        let value = format!("{before}{token}");
        match V1::try_with(app.address, "/room/members/", &[(header, &value)]).await {
            Ok(socket) if socket.welcome["you"]["handle"].is_string() => return (socket, token),
            // By a cookie that is over one is a guest.
            Ok(_) | Err(_) => {}
        }
    }
    panic!("no socket within the time of a token");
}

/// A form of the shop's page with a token in it.
async fn form(app: &TestApp, origin: Option<&str>, fields: &[(&str, &str)], cookie: &str) -> (u16, Vec<String>, String) {
    let mut sent = browser().post(app.url("/login/token")).form(fields).header("cookie", cookie);
    if let Some(origin) = origin {
        sent = sent.header("origin", origin);
    }
    let answer = within("the form", sent.send()).await.expect("an answer");
    let cookies =
        answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().expect("ASCII").to_owned()).collect();
    let location = answer.headers().get("location").map(|to| to.to_str().expect("ASCII").to_owned()).unwrap_or_default();
    (answer.status().as_u16(), cookies, location)
}

#[tokio::test]
async fn a_form_of_a_named_site_signs_somebody_in_until_they_sign_out() {
    let mut people = people();
    for allowed in ["https://shop.example", "*"] {
        let app = app_allowing(allowed).await;
        let token = signed(&mut people, "HS256", SECRET, Json::Null, json!({"name": "Ann Lee"})).await;
        let fields = [("token", token.as_str()), ("next", "/room/members/")];
        // Whoever else has a token of their own could sign others in as themselves, and read what those write.
        let named = allowed != "*";
        assert_eq!(form(&app, Some("https://shop.example"), &fields, "").await.0, if named { 303 } else { 403 });
        assert_eq!(form(&app, Some("https://evil.example"), &fields, "").await.0, 403, "{allowed}");
        let own = app.url("");
        let (status, cookies, to) = form(&app, Some(&own), &fields, "confab_guest=0123456789abcdef0123456789abcdef").await;
        assert_eq!((status, to.as_str()), (303, "/room/members/"));
        let cookie = cookies.iter().find_map(|cookie| cookie.strip_prefix("confab_token=")).expect("a cookie");
        assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        let cookie = format!("confab_token={}", cookie.split(';').next().expect("a value"));
        let mut socket = V1::with(app.address, "/room/members/", &[("cookie", &cookie)]).await;
        assert_eq!(socket.welcome["you"]["name"], "Ann Lee");
        let page = async |path: &str| {
            let asked = browser().get(app.url(path)).header("cookie", &cookie).send();
            within(path, asked).await.expect("an answer").text().await.expect("a page")
        };
        assert!(page("/room/members/").await.contains("Ann Lee"));
        // What would outlast the token is not to be had.
        assert!(page("/account/").await.contains("signed in by another site"));
        for form in [&[("do", "password"), ("new_password", "correct horse battery")][..], &[("do", "device")]] {
            let sent = browser().post(app.url("/account/")).header("cookie", &cookie).form(form).send();
            assert_eq!(within("a form", sent).await.expect("an answer").status(), 403, "{form:?}");
        }
        let sent = browser().post(app.url("/logout")).header("cookie", &cookie).form(&[("next", "/")]).send();
        let answer = within("a form", sent).await.expect("an answer");
        let gone = |cookie: &&str| cookie.starts_with("confab_token=;");
        let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()).collect();
        assert!(answer.status() == 303 && cookies.iter().any(gone), "{cookies:?}");
        assert_eq!(socket.closed().await.0, 4501);
    }
    let app = app().await;
    for (token, next, status) in [("x", "/", 422), ("", "/", 422), (&"x".repeat(1 << 20), "/", 413)] {
        assert_eq!(form(&app, None, &[("token", token), ("next", next)], "").await.0, status, "{}", token.len());
    }
    let long = signed(&mut people, "HS256", SECRET, Json::Null, json!({"more": "x".repeat(4_000)})).await;
    assert_eq!(form(&app, None, &[("token", &long)], "").await.0, 422);
    let good = signed(&mut people, "HS256", SECRET, Json::Null, json!({})).await;
    let (status, _, to) = form(&app, None, &[("token", &good), ("next", "//evil.example/")], "").await;
    assert_eq!((status, to.as_str()), (303, "/"));
}
