//! The sessions of a real Django project, in each of its engines and both databases.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use confab::server::{
    accounts::django::{Django, Trouble, User, pickle},
    layers::redis::Host,
    settings::{ConfigFile, DjangoSettings, Sources},
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::json;

use crate::support::{
    people::{People, Project},
    postgres::Postgres,
    redis::Redis,
    within,
};

const KEY: &str = "of a project that only tests run";

/// Settings with these lines in `[accounts.django]`.
fn settings(lines: &str) -> DjangoSettings {
    let content = format!("[accounts.django]\nsecret_key = \"{KEY}\"\n{lines}").into_bytes();
    let file = Some(ConfigFile { name: "Leptos.toml".to_owned(), content });
    Sources { file, ..Sources::default() }.load().expect("settings").settings.django
}

async fn django(settings: &DjangoSettings, cache: Option<&Redis>) -> Django {
    let cache = cache.map(|redis| Host::Url(redis.url()));
    within("the project", Django::start(settings, cache)).await.expect("it is there").expect("it is set")
}

fn sqlite(file: &Path) -> String {
    format!("database = '{}'", file.display())
}

fn user(id: &str, username: &str, name: &str) -> User {
    User { id: id.to_owned(), username: username.to_owned(), name: name.parse().expect("a name") }
}

/// Who comes in, goes out, changes their password, and is shut out, as Django itself sees it.
async fn they_come_and_go(mut people: People, django: &Django, out_is_out: bool) {
    let of = async |cookie: &str| within("an answer", django.user(cookie)).await.expect("it is there");
    let ann_id = people.add("ann", json!({"first_name": "Ann", "last_name": "Lee"})).await;
    let ben_id = people.add("ben", json!({})).await;
    let (ann, ben) = (user(&ann_id, "ann", "Ann Lee"), user(&ben_id, "ben", "ben"));
    let (at_home, at_work) = (people.login("ann", "first").await, people.login("ann", "first").await);
    let bens = people.login("ben", "first").await;
    assert_eq!(of(&at_home).await.as_ref(), Some(&ann));
    assert_eq!(of(&bens).await.as_ref(), Some(&ben));
    let all = [at_home.as_str(), "0123456789abcdef0123456789abcdef", &bens, "", "'", &at_work];
    let users = within("all", django.users(&all)).await.expect("it is there");
    assert_eq!(users, [Some(ann.clone()), None, Some(ben.clone()), None, None, Some(ann.clone())]);

    // What else is in a session is no matter, long or odd.
    let long = format!("{{'a': ['{}', 1, -2.5, None, True], 'ü': {{'b': {{}}}}}}", "long ".repeat(500));
    let told = json!({"do": "remember", "cookie": bens, "literal": long});
    let bens = people.tell(told).await.as_str().expect("a cookie").to_owned();
    assert_eq!(of(&bens).await.as_ref(), Some(&ben));

    if out_is_out {
        people.logout(&at_work).await;
        assert_eq!(of(&at_work).await, None, "signed out there");
        assert_eq!(of(&at_home).await.as_ref(), Some(&ann), "and nowhere else");
    }
    people.password("ann", "second").await;
    assert_eq!(of(&at_home).await, None, "another password ends what the first has begun");
    let anew = people.login("ann", "second").await;
    assert_eq!(of(&anew).await.as_ref(), Some(&ann));
    people.change("ann", json!({"first_name": "Anna"})).await;
    assert_eq!(of(&anew).await, Some(user(&ann_id, "ann", "Anna Lee")));
    people.change("ann", json!({"is_active": false})).await;
    assert_eq!(of(&anew).await, None, "shut out");
    people.change("ann", json!({"is_active": true})).await;
    assert_eq!(of(&anew).await, Some(user(&ann_id, "ann", "Anna Lee")));
    people.password("ben", "second").await;
    assert_eq!(of(&bens).await, None);
}

const DATABASE: &str = "django.contrib.sessions.backends.db";
const CACHE: &str = "django.contrib.sessions.backends.cache";
const CACHED: &str = "django.contrib.sessions.backends.cached_db";
const COOKIES: &str = "django.contrib.sessions.backends.signed_cookies";

#[tokio::test]
async fn in_a_table_of_sqlite() {
    let project = Project::on_sqlite().with("SESSION_ENGINE", DATABASE);
    let people = People::of(&project).await;
    let django = django(&settings(&sqlite(&project.file())), None).await;
    they_come_and_go(people, &django, true).await;
}

#[tokio::test]
async fn in_a_table_of_postgres() {
    let postgres = Postgres::shared().await;
    let url = postgres.database().await;
    let people = People::of(&Project::on_postgres(&url).with("SESSION_ENGINE", DATABASE)).await;
    let django = django(&settings(&format!("database = \"{url}\"")), None).await;
    they_come_and_go(people, &django, true).await;
}

#[tokio::test]
async fn in_a_cache() {
    let redis = Redis::start().await;
    for (prefix, version) in [("", 1), ("site", 2)] {
        let project = Project::on_sqlite().with("SESSION_ENGINE", CACHE).with_cache(&redis.url(), prefix, version);
        let people = People::of(&project).await;
        let lines = format!(
            "engine = \"{CACHE}\"\n{}\ncache = \"{}\"\ncache_key_prefix = \"{prefix}\"\ncache_version = {version}",
            sqlite(&project.file()),
            redis.url()
        );
        let django = django(&settings(&lines), Some(&redis)).await;
        they_come_and_go(people, &django, true).await;
    }
}

#[tokio::test]
async fn in_a_table_before_a_cache() {
    let redis = Redis::start().await;
    let project = Project::on_sqlite().with("SESSION_ENGINE", CACHED).with_cache(&redis.url(), "", 1);
    let people = People::of(&project).await;
    let django = django(&settings(&format!("engine = \"cached_db\"\n{}", sqlite(&project.file()))), None).await;
    they_come_and_go(people, &django, true).await;
}

#[tokio::test]
async fn in_the_cookie_itself() {
    let project = Project::on_sqlite().with("SESSION_ENGINE", COOKIES);
    let people = People::of(&project).await;
    let lines = format!("engine = \"signed_cookies\"\n{}", sqlite(&project.file()));
    let django = django(&settings(&lines), None).await;
    // Of a sign-out nothing is left but the cookie that the browser has dropped.
    they_come_and_go(people, &django, false).await;
}

#[tokio::test]
async fn what_is_over_or_signed_otherwise_opens_nothing() {
    let project = Project::on_sqlite();
    let mut people = People::of(&project).await;
    people.add("ann", json!({})).await;
    let cookie = people.login("ann", "first").await;
    let of = async |lines: &str| {
        let lines = format!("{}\n{lines}", sqlite(&project.file()));
        django(&settings(&lines), None).await.user(&cookie).await.expect("it is there").is_some()
    };
    assert!(of("").await);
    assert!(!of("session_salt = \"mysite.SessionStore\"").await);
    assert!(!of("authentication_backends = [\"mysite.Backend\"]").await);
    assert!(of("first_name = \"\"\nlast_name = \"\"\nis_active = \"\"").await);
    people.tell(json!({"do": "expire", "cookie": cookie, "seconds": -1})).await;
    assert!(!of("").await);

    let old = Project::on_sqlite().with("SESSION_ENGINE", COOKIES);
    let mut people = People::of(&old).await;
    people.add("ann", json!({})).await;
    let cookie = people.login("ann", "first").await;
    let of = async |age: &str| {
        let lines = format!("engine = \"signed_cookies\"\n{}\n{age}", sqlite(&old.file()));
        let django = django(&settings(&lines), None).await;
        django.user(&cookie).await.expect("it is there").is_some()
    };
    assert!(of("cookie_age = 3600").await);
    let short = async { while of("cookie_age = 1").await {} };
    within("the end of the cookie's second", short).await;
}

#[tokio::test]
async fn a_key_that_was_replaced_is_good_until_it_is_taken_out() {
    let project = Project::on_sqlite().with("SECRET_KEY", "the old one");
    let mut people = People::of(&project).await;
    people.add("ann", json!({})).await;
    let cookie = people.login("ann", "first").await;
    for (fallbacks, good) in [("[]", false), ("[\"another\", \"the old one\"]", true)] {
        let lines = format!("{}\nsecret_key_fallbacks = {fallbacks}", sqlite(&project.file()));
        let django = django(&settings(&lines), None).await;
        assert_eq!(django.user(&cookie).await.expect("it is there").is_some(), good, "{fallbacks}");
    }
}

/// Whose keys are UUIDs, which only PostgreSQL has a type for.
#[tokio::test]
async fn people_of_a_table_of_the_projects_own() {
    let postgres = Postgres::shared().await;
    let url = postgres.database().await;
    let files = Project::on_sqlite();
    let (file, database) = (sqlite(&files.file()), format!("database = \"{url}\""));
    for (project, database) in [(files, file), (Project::on_postgres(&url), database)] {
        let apps =
            ["channels", "chat", "members", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"];
        let project = project.with("AUTH_USER_MODEL", "members.Member").with("INSTALLED_APPS", apps.to_vec());
        let project = project.with("ROOT_URLCONF", "members.urls");
        let mut people = People::of(&project).await;
        let columns = "username = \"email\"\nfirst_name = \"full_name\"\nlast_name = \"\"\nis_active = \"\"";
        let django = django(&settings(&format!("{database}\nuser_table = \"club_members\"\n{columns}")), None).await;
        let id = people.add("ann@example.org", json!({"full_name": "Ann Lee"})).await;
        let cookie = people.login("ann@example.org", "first").await;
        let ann = user(&id, "ann@example.org", "Ann Lee");
        assert_eq!(django.user(&cookie).await.expect("it is there"), Some(ann));
        people.password("ann@example.org", "second").await;
        assert_eq!(django.user(&cookie).await.expect("it is there"), None);
    }
}

#[tokio::test]
async fn tables_that_are_not_there_stop_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let started = async |lines: &str| match Django::start(&settings(lines), None).await {
        Err(Trouble::Wrong(cause)) => cause,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it starts"),
    };
    let missing = started(&sqlite(&folder.path().join("none.sqlite3"))).await;
    assert!(missing.contains("none.sqlite3"), "{missing}");
    let project = Project::on_sqlite();
    let _people = People::of(&project).await;
    let table = started(&format!("{}\nuser_table = \"people\"", sqlite(&project.file()))).await;
    assert!(table.contains("people"), "{table}");
    let postgres = Postgres::shared().await;
    let empty = started(&format!("database = \"{}\"", postgres.database().await)).await;
    assert!(empty.contains("auth_user"), "{empty}");
}

#[tokio::test]
async fn a_database_that_is_away_is_said_to_be() {
    let settings = settings("database = \"postgres://ann:hush@127.0.0.1:1/none\"");
    let django = Django::start(&settings, None).await.expect("it may come").expect("it is set");
    let Err(Trouble::Away(cause)) = django.user("0123456789abcdef0123456789abcdef").await else { panic!("nobody is there") };
    assert!(!cause.contains("hush"), "{cause}");
}

/// A value as Python writes it, and as it is read.
fn literal() -> impl Strategy<Value = (String, pickle::Value)> {
    use pickle::Value::{Bool, Bytes, Dict, Float, Int, List, None, Text, Tuple};
    let text = "[a-zA-Zäß漢 .:]{0,300}".prop_map(|text: String| (format!("'{text}'"), Text(text)));
    let leaf = prop_oneof![
        Just(("None".to_owned(), None)),
        any::<bool>().prop_map(|truth| (if truth { "True" } else { "False" }.to_owned(), Bool(truth))),
        any::<i64>().prop_map(|number| (number.to_string(), Int(number))),
        (-300_i64..300).prop_map(|number| (number.to_string(), Int(number))),
        (-1e9..1e9).prop_map(|number: f64| (format!("{number:?}"), Float(number))),
        text,
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| {
            let digits = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<Vec<_>>().concat();
            (format!("b'{digits}'"), Bytes(bytes))
        }),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let many = proptest::collection::vec(inner.clone(), 0..6);
        let joined =
            |items: &[(String, pickle::Value)]| items.iter().map(|(text, _)| format!("{text}, ")).collect::<Vec<_>>().concat();
        let values = |items: Vec<(String, pickle::Value)>| items.into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        prop_oneof![
            many.clone().prop_map(move |items| (format!("[{}]", joined(&items)), List(values(items)))),
            many.clone().prop_map(move |items| {
                let text = if items.is_empty() { "()".to_owned() } else { format!("({})", joined(&items)) };
                (text, Tuple(values(items)))
            }),
            many.prop_map(|items| {
                let fields = items.iter().enumerate().map(|(at, (text, _))| format!("'k{at}': {text}, "));
                let text = format!("{{{}}}", fields.collect::<String>());
                let value = items.into_iter().enumerate().map(|(at, (_, value))| (Text(format!("k{at}")), value));
                (text, Dict(value.collect()))
            }),
        ]
    })
}

#[tokio::test]
async fn what_python_pickles_is_read_as_it_was() {
    let project = Project::on_sqlite();
    let mut people = People::start(&project);
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let (text, value) = literal().new_tree(&mut runner).expect("a value").current();
        for protocol in 2..=5 {
            // In the second, bytes are made by a call.
            if protocol == 2 && text.contains("b'") {
                continue;
            }
            let told = json!({"do": "pickled", "literal": text, "protocol": protocol});
            let bytes = BASE64_STANDARD.decode(people.tell(told).await.as_str().expect("text")).expect("base64");
            assert_eq!(pickle::read(&bytes), Ok(value.clone()), "{text} by protocol {protocol}");
            // Cut anywhere, it is refused.
            for end in 0..bytes.len() {
                assert!(pickle::read(&bytes[..end]).is_err(), "{text} by protocol {protocol}, {end} bytes of it");
            }
        }
    }
}
