//! The two languages of the pages: which one a reader gets, and that the choice is kept.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use reqwest::{Client, redirect};
use serde_json::json;

use crate::{
    app::{Http as _, TestApp},
    clients::V1,
    people::Somebody,
    within,
};

const CHINESE: &str = "zh-CN,zh;q=0.9,en;q=0.8";

fn client() -> Client {
    Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client")
}

/// A page as a browser gets it that shows these cookies and asks for these languages.
async fn page(app: &TestApp, path: &str, cookie: &str, languages: &str) -> String {
    let asked = client().get(app.url(path)).header("cookie", cookie).header("accept-language", languages);
    within(path, asked.send()).await.expect("an answer").text().await.expect("a body")
}

/// Chooses a language on a page; the cookie that keeps it, and where it leads.
async fn choose(app: &TestApp, language: &str, next: &str, cookie: &str) -> (String, String) {
    let form = client().post(app.url("/language")).header("cookie", cookie).form(&[("language", language), ("next", next)]);
    let answer = within("a choice", form.send()).await.expect("an answer");
    assert_eq!(answer.status(), 303);
    let header = |name: &str| answer.headers()[name].to_str().expect("ASCII").to_owned();
    (header("set-cookie").split(';').next().expect("a pair").to_owned(), header("location"))
}

fn is_in(page: &str, language: &str) -> bool {
    page.contains(&format!("<html lang=\"{language}\">"))
}

#[tokio::test]
async fn a_page_is_in_the_language_that_the_browser_asks_for_and_in_the_one_that_was_chosen_from_then_on() {
    let app = TestApp::start().await;
    let english = page(&app, "/login", "", "").await;
    assert!(is_in(&english, "en") && english.contains(">Sign in</button>"), "{english}");
    let chinese = page(&app, "/login?next=/room/a/", "", CHINESE).await;
    assert!(is_in(&chinese, "zh-CN") && chinese.contains(">登录</button>"), "{chinese}");
    // The page names the other one, and leads back to itself.
    let switch = "<input type=\"hidden\" name=\"next\" value=\"/login?next=/room/a/\">\
                  <button type=\"submit\" class=\"quiet\" name=\"language\" value=\"en\" lang=\"en\">English</button>";
    assert!(chinese.contains(switch), "{chinese}");
    let (cookie, location) = choose(&app, "en", "/login?next=/room/a/", "").await;
    assert_eq!(location, "/login?next=/room/a/");
    assert!(is_in(&page(&app, "/login", &cookie, CHINESE).await, "en"));
    let (cookie, _) = choose(&app, "zh-CN", "/", &cookie).await;
    assert!(is_in(&page(&app, "/login", &cookie, "en").await, "zh-CN"));
}

#[tokio::test]
async fn who_has_an_account_has_chosen_for_all_of_their_browsers() {
    let app = TestApp::start().await;
    let ann = Somebody::new(&app, "ann").await;
    assert!(is_in(&page(&app, "/rooms/new", &ann.cookie, "").await, "en"));
    choose(&app, "zh-CN", "/", &ann.cookie).await;
    // Another browser of theirs has another choice of somebody's, and asks for another language.
    let other = format!("{}; confab_language=en", ann.cookie);
    for path in ["/", "/room/a/", "/rooms/new", "/account/"] {
        assert!(is_in(&page(&app, path, &other, "en").await, "zh-CN"), "{path}");
    }
    let v1 = V1::with(app.address, "/ws/", &[("cookie", &other), ("accept-language", "en")]).await;
    assert_eq!(v1.language, "zh-CN");
    let data = page(&app, "/account/data.jsonl", &other, "en").await;
    assert!(data.contains("\"language\":\"zh-CN\""), "{data}");
    // Nobody else has.
    assert!(is_in(&page(&app, "/", "", "en").await, "en"));
}

#[tokio::test]
async fn a_language_that_there_is_not_is_refused_in_words() {
    let app = TestApp::start().await;
    let form = client().post(app.url("/language")).header("accept-language", CHINESE).form(&[("language", "tlh")]);
    let answer = within("a choice", form.send()).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers().get("set-cookie")), (422, None));
    assert!(answer.text().await.expect("a body").contains("没有这种语言。"));
}

/// What is in Latin letters on a Chinese page: what it is called, what is typed on a keyboard, signs of the trade, and what people and rooms of the
/// tests are called.
const LATIN: &[&str] = &[
    "Confab",
    "English",
    "UTC",
    "CSV",
    "ID",
    "API",
    "JSON",
    "KiB",
    "MiB",
    "GiB",
    "Cookie",
    "Enter",
    "Shift",
    "Escape",
    "Authorization",
    "Bearer",
    "TOKEN",
    "confab",
    "user",
    "add",
    "admin",
    "lobby",
    "closed",
    "The",
    "Guest",
    "test",
    "ann",
    "build",
    "general",
    "empty",
    "zzz",
    "Lobby",
    "dev",
];

/// The words in Latin letters that a page shows or has read out, but for what people have written and code.
fn latin_words(page: &str) -> BTreeSet<String> {
    let (mut texts, mut rest, mut skipped) = (Vec::new(), page, None::<String>);
    while let Some((text, tag)) = rest.split_once('<') {
        let Some((tag, after)) = tag.split_once('>') else { break };
        rest = after;
        if skipped.is_none() {
            texts.push(text.to_owned());
        }
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or_default().to_lowercase();
        match &skipped {
            Some(skips) if tag.starts_with('/') && *skips == name => skipped = None,
            None if !tag.starts_with('/') && ["script", "style", "code", "bdi"].contains(&&*name) => {
                skipped = Some(name);
            }
            _ => {}
        }
        for attribute in ["aria-label", "title", "placeholder", "alt"] {
            let value = tag.split_once(&format!(" {attribute}=\"")).and_then(|(_, value)| value.split('"').next());
            texts.extend(value.map(str::to_owned));
        }
    }
    // Nodes are called by what was drawn at random, and machines by their owners.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_name = |word: &&str| word.contains(|sign: char| sign.is_ascii_digit()) || *word == host.trim();
    let plain = texts.iter().flat_map(|text| text.split_whitespace()).filter(|word| !is_name(word));
    let words = plain.flat_map(|word| word.split(|sign: char| !sign.is_ascii_alphabetic()));
    words.filter(|word| word.len() > 1 && !LATIN.contains(word)).map(str::to_owned).collect()
}

/// What somebody gets who reads Chinese.
async fn chinese(app: &TestApp, somebody: &Somebody, path: &str, form: Option<&[(&str, &str)]>) -> (u16, String) {
    let asked = match form {
        None => client().get(app.url(path)),
        Some(form) => client().post(app.url(path)).form(form),
    };
    let asked = asked.header("cookie", &somebody.cookie).header("accept-language", CHINESE);
    let answer = within(path, asked.send()).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

#[tokio::test]
async fn pages_in_chinese_have_no_words_in_latin_letters_but_a_few() {
    let app = TestApp::start().await;
    let (admin, ann, guest) = (Somebody::new(&app, "admin").await, Somebody::new(&app, "ann").await, Somebody::guest());
    admin.make(&app, "closed", "closed").await;
    admin.invite(&app, "closed", "member", "5").await;
    admin.is_invited(&app, &admin, "closed", "member").await;
    let mut found = BTreeMap::new();
    let mut look = async |who: &Somebody, path: &str, form: Option<&[(&str, &str)]>, status: u16| {
        let (got, page) = chinese(&app, who, path, form).await;
        assert_eq!(got, status, "{path}: {page}");
        assert!(is_in(&page, "zh-CN"), "{path}: {page}");
        let words = latin_words(&page);
        if !words.is_empty() {
            found.insert(format!("{path} {form:?}"), words);
        }
    };
    let mut author = V1::connect(app.address, "/room/lobby/").await;
    author.post("room/lobby", "k", "你好").await;
    let open = [
        "/",
        "/?group=zzz",
        "/room/lobby/",
        "/room/empty/",
        "/search/",
        "/search/?q=zzz",
        "/search/?room=lobby&q=%E4%BD%A0%E5%A5%BD",
    ];
    for path in ["/login", "/login?over=yes", "/signup", "/logout"].into_iter().chain(open) {
        look(&guest, path, None, 200).await;
    }
    look(&guest, "/nothing", None, 404).await;
    look(&guest, "/room/?group=not+good", None, 422).await;
    look(&guest, "/room/?group=Lobby", None, 200).await;
    look(&guest, "/invite/0123456789abcdef0123456789abcdef", None, 404).await;
    look(&guest, "/login", Some(&[("name", "nobody"), ("password", "wrong wrong")]), 422).await;
    look(&guest, "/login/code", Some(&[]), 422).await;
    look(&guest, "/me", Some(&[("name", " ")]), 422).await;
    for path in [
        "/account/",
        "/account/?done=yes",
        "/account/?weak=yes",
        "/account/second-factor",
        "/account/delete",
        "/rooms/new",
        "/room/closed/settings",
        "/manage/",
        "/manage/?refresh=yes",
        "/manage/people/",
        "/manage/people/?find=zzz",
        "/manage/rooms/",
        "/manage/rooms/?find=zzz",
        "/manage/rooms/closed",
        "/manage/rooms/lobby",
        "/manage/invitations/",
        "/manage/tokens/",
        "/manage/connections/",
        "/manage/server/",
        "/manage/log/",
    ] {
        look(&admin, path, None, 200).await;
    }
    for person in [&admin, &ann] {
        look(&admin, &format!("/people/{}", person.id), None, 200).await;
        look(&admin, &format!("/manage/people/{}", person.id), None, 200).await;
    }
    look(&ann, "/account/", Some(&[("do", "device")]), 200).await;
    look(&ann, "/account/", Some(&[("do", "name"), ("name", "")]), 422).await;
    look(&ann, "/account/", Some(&[("do", "password"), ("new_password", "short")]), 422).await;
    look(&ann, "/account/", Some(&[("do", "password"), ("new_password", "password")]), 422).await;
    look(&ann, "/account/", Some(&[("do", "nothing")]), 422).await;
    look(&ann, "/account/delete", Some(&[]), 422).await;
    look(&ann, "/rooms/new", Some(&[("group", "not good")]), 422).await;
    look(&ann, "/rooms/new", Some(&[("group", "closed"), ("kind", "open")]), 409).await;
    look(
        &admin,
        "/room/closed/settings",
        Some(&[("act", "invite"), ("role", "member"), ("uses", "1"), ("minutes", "60")]),
        200,
    )
    .await;
    for (form, status) in [
        (&[("act", "change"), ("title", "")][..], 422),
        (&[("act", "delete")], 422),
        (&[("act", "leave")], 403),
        (&[("act", "role"), ("role", "none")], 422),
        (&[("act", "nothing")], 422),
    ] {
        look(&admin, "/room/closed/settings", Some(form), status).await;
    }
    for (path, form) in [
        ("/manage/server/", &[("act", "announce"), ("text", "")][..]),
        ("/manage/invitations/", &[("act", "invite"), ("uses", "0")]),
        ("/manage/tokens/", &[("act", "make"), ("name", "x")]),
        ("/manage/rooms/lobby", &[("act", "owner"), ("owner", "zzz")]),
    ] {
        look(&admin, path, Some(form), 422).await;
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn a_page_that_is_rendered_once_for_all_never_comes_in_another_readers_language() {
    let app = TestApp::start().await;
    let mut author = V1::connect(app.address, "/room/a/").await;
    author.post("room/a", "k", "hello").await;
    let asked = |n: usize| {
        let (path, texts) =
            [("/", ["<h1>Rooms</h1>", "<h1>群聊</h1>"]), ("/room/a/", ["placeholder=\"Message\"", "placeholder=\"输入消息\""])]
                [n % 2];
        let is_chinese = n / 2 % 3 != 1;
        let app = &app;
        async move {
            let page = page(app, path, "", if is_chinese { CHINESE } else { "en" }).await;
            assert!(is_in(&page, if is_chinese { "zh-CN" } else { "en" }), "{path}: {page}");
            for (text, of_chinese) in texts.into_iter().zip([false, true]) {
                assert_eq!(page.contains(text), is_chinese == of_chinese, "{path}, {text}: {page}");
            }
        }
    };
    // One after the other, and many at a time.
    for n in 0..6 {
        asked(n).await;
    }
    join_all((0..60).map(asked)).await;
}

#[tokio::test]
async fn what_a_connection_is_told_is_in_the_language_that_it_was_asked_for_in() {
    let app = TestApp::start().await;
    for (languages, language, message) in [("", "en", "join room/a first"), (CHINESE, "zh-CN", "请先加入 room/a")] {
        let mut v1 = V1::with(app.address, "/ws/", &[("accept-language", languages)]).await;
        assert_eq!(v1.language, language);
        let refused = v1.ask(json!({"send": {"topic": "room/a", "key": "k", "text": "hello"}})).await;
        assert_eq!((&refused["error"]["code"], &refused["error"]["message"]), (&json!("not_joined"), &json!(message)));
    }
}
