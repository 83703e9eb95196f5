//! What the API says of itself: it has every address, and what is answered is what it says.

use std::collections::BTreeMap;

use boon::{Compiler, Draft, Schemas};
use confab::{
    server::{
        routing::routes,
        settings::{History, Pattern, RoomRule, TokenRule},
        who::Asks,
    },
    wire::REACTION_SAMPLE,
};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, rule},
    clients::V1,
    within,
};

const TOKEN: &str = "all-0123456789abcdef";
const API: &str = "/api/v1";

/// A server with a program, and a room `closed` that is closed to guests.
async fn start() -> TestApp {
    TestApp::with(|settings| {
        settings.tokens = vec![TokenRule {
            name: "Cron".parse().expect("a name"),
            token: TOKEN.parse().expect("a token"),
            groups: vec![Pattern::for_rooms("*").expect("a pattern")],
            channels: true,
        }];
        settings.rooms = vec![RoomRule { guests: false, ..rule("closed", History::Store) }, rule("*", History::Store)];
    })
    .await
}

async fn document(app: &TestApp) -> Value {
    let (status, document) = app.api("/api/v1/openapi.json").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    document
}

/// All operations: the path, the method and what is said of it.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().expect("paths").iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("operations").iter();
        methods.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[tokio::test]
async fn every_address_is_described_and_what_is_described_is_there() {
    let app = start().await;
    let document = document(&app).await;
    let described: BTreeMap<_, _> = operations(&document)
        .map(|(path, method, operation)| {
            let security = operation.get("security").cloned();
            ((path.to_owned(), method.to_uppercase()), security)
        })
        .collect();
    let mut there = BTreeMap::new();
    for (path, route) in routes() {
        let Some(path) = path.strip_prefix(API) else { continue };
        // The token is asked for where programs push.
        let security = match route.asks {
            Asks::Program => Some(json!([{"token": []}])),
            // Or by nobody in particular.
            Asks::Reader => Some(json!([{}, {"token": []}])),
            Asks::Nobody | Asks::Person => None,
        };
        there.extend(route.methods.iter().map(|method| ((path.to_owned(), (*method).to_owned()), security.clone())));
    }
    assert_eq!(described, there);

    let ids: Vec<&str> =
        operations(&document).map(|(.., operation)| operation["operationId"].as_str().expect("an id")).collect();
    let all = ["rooms", "messages", "export", "searchRoom", "search", "sendToGroup", "sendToChannel", "openapi"];
    assert_eq!(ids, all);
    for (path, method, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{method} {path}");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_path = parameters.filter(|parameter| parameter["in"] == "path").map(|parameter| parameter["name"].as_str());
        let named = path.split('{').skip(1).map(|rest| rest.split_once('}').map(|(name, _)| name));
        assert!(in_path.eq(named), "{method} {path}");
    }
    // It is written for those who use the API.
    let text = document.to_string();
    for inside in ["[`", "crate::", "{longest}", "{largest}"] {
        assert!(!text.contains(inside), "{inside}");
    }
}

#[tokio::test]
async fn the_bounds_that_are_described_are_those_that_hold() {
    let app = start().await;
    let document = document(&app).await;
    let schema = |pointer: &str| document.pointer(&format!("/components/schemas/{pointer}")).unwrap_or(&Value::Null);
    assert_eq!(*schema("Reaction/properties/from/maxItems"), json!(REACTION_SAMPLE));
    assert_eq!(schema("Said/properties/text/description"), "At most 65536 bytes of UTF-8");
    let parameter = |path: &str, name: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().expect("parameters");
        parameters.iter().find(|parameter| parameter["name"] == name).expect(name)["schema"].clone()
    };
    let items = usize::try_from(schema("List/maxItems").as_u64().expect("a bound")).expect("it fits");
    let longest = parameter("/search", "q")["maxLength"].as_u64().expect("a bound");
    let longest = usize::try_from(longest).expect("it fits");
    for beyond in [0, 1] {
        let body = json!(vec![json!({"type": "x"}); items + beyond]);
        let (status, _) = ask(&app, "post", "/groups/a/send", |request| request.bearer_auth(TOKEN).json(&body)).await;
        assert_eq!(status, [200, 413][beyond]);
        let path = format!("/search?q={}", "x".repeat(longest + beyond));
        assert_eq!(ask(&app, "get", &path, |request| request).await.0, [200, 400][beyond]);
    }
    for path in ["/rooms/{group}/messages", "/rooms/{group}/search", "/search"] {
        let limit = parameter(path, "limit");
        let (least, most) = (limit["minimum"].as_u64().expect("a bound"), limit["maximum"].as_u64().expect("a bound"));
        let usual = limit["default"].as_u64().expect("a number");
        assert!(least <= usual && usual <= most, "{path}");
        for (limit, expected) in [(least, 200), (most, 200), (least - 1, 400), (most + 1, 400)] {
            let word = if path.ends_with("search") { "q=x&" } else { "" };
            let path = format!("{}?{word}limit={limit}", path.replace("{group}", "a"));
            assert_eq!(ask(&app, "get", &path, |request| request).await.0, expected, "{path}");
        }
    }
}

async fn ask(app: &TestApp, method: &str, path: &str, with: impl FnOnce(RequestBuilder) -> RequestBuilder) -> (u16, String) {
    let client = Client::builder().no_proxy().build().expect("a client");
    let method: Method = method.to_uppercase().parse().expect("a method");
    let request = with(client.request(method, app.url(&format!("{API}{path}"))));
    let response = within("an answer", request.send()).await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a body"))
}

/// Whether a value is what the document says at a place; why it is not. Fields that are not described are none.
fn fits(document: &Value, pointer: &str, value: &Value) -> Result<(), String> {
    const AT: &str = "https://confab.example/openapi.json";
    let mut document = document.clone();
    for schema in document["components"]["schemas"].as_object_mut().expect("schemas").values_mut() {
        if (schema.get("properties").is_some() || schema.get("allOf").is_some()) && schema.get("additionalProperties").is_none()
        {
            schema["unevaluatedProperties"] = json!(false);
        }
    }
    assert!(document.pointer(pointer).is_some(), "{pointer}");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.enable_format_assertions();
    compiler.add_resource(AT, document).expect("a document");
    let schema = compiler.compile(&format!("{AT}#{pointer}"), &mut schemas).expect("a schema");
    schemas.validate(value, schema).map_err(|error| format!("{error:#}"))
}

fn escaped(path: &str) -> String {
    path.replace('~', "~0").replace('/', "~1")
}

#[tokio::test]
async fn what_is_answered_is_what_is_described() {
    let app = start().await;
    let document = document(&app).await;
    // Something of all that a message may have.
    let mut ann = V1::connect(app.address, "/room/a/").await;
    for (number, text) in ["edited", "deleted", "with a reaction"].into_iter().enumerate() {
        ann.post("room/a", &format!("k-{number}"), text).await;
    }
    let (_, messages) = app.all_messages("a").await;
    let ids: Vec<&str> = messages.iter().map(|message| message["id"].as_str().expect("an id")).collect();
    for command in [
        json!({"edit": {"topic": "room/a", "message": ids[0], "text": "otherwise"}}),
        json!({"delete": {"topic": "room/a", "message": ids[1]}}),
        json!({"react": {"topic": "room/a", "message": ids[2], "emoji": "👍", "on": true}}),
    ] {
        ann.ok(command).await;
    }
    let as_it_is = |request: RequestBuilder| request;
    let program = |body: Value| move |request: RequestBuilder| request.bearer_auth(TOKEN).json(&body);
    let mut seen = Vec::new();
    let mut check = |method: &str, path: &str, (status, body): (u16, String)| {
        let described = format!("/paths/{}/{method}/responses/{status}", escaped(path));
        assert!(document.pointer(&described).is_some(), "{method} {path}: {status} is not described");
        let lines = status == 200 && path.ends_with("/export");
        for body in if lines { body.lines().collect() } else { vec![body.as_str()] } {
            let value: Value = serde_json::from_str(body).expect("JSON");
            let schema = if lines {
                "/components/schemas/Message".to_owned()
            } else {
                format!("{described}/content/application~1json/schema")
            };
            fits(&document, &schema, &value)
                .unwrap_or_else(|why| panic!("{method} {path}: {value} is not as described: {why}"));
        }
        seen.push((path.to_owned(), status));
    };
    for (path, asked) in [
        ("/rooms", "/rooms?name=a"),
        ("/rooms", "/rooms?limit=1"),
        ("/rooms/{group}/messages", "/rooms/a/messages"),
        ("/rooms/{group}/messages", "/rooms/nothing-said/messages"),
        ("/rooms/{group}/messages", "/rooms/a/messages?before=1&after=1"),
        ("/rooms/{group}/messages", "/rooms/closed/messages"),
        ("/rooms/{group}/messages", "/rooms/a%20b/messages"),
        ("/rooms/{group}/export", "/rooms/a/export"),
        ("/rooms/{group}/export", "/rooms/closed/export"),
        ("/rooms/{group}/search", "/rooms/a/search?q=reaction"),
        ("/rooms/{group}/search", "/rooms/a/search"),
        ("/search", "/search?q=reaction"),
        ("/search", "/search?q=reaction&limit=0"),
        ("/openapi.json", "/openapi.json"),
    ] {
        check("get", path, ask(&app, "get", asked, as_it_is).await);
    }
    let wrong_host = |request: RequestBuilder| request.header("host", "evil.example");
    check("get", "/rooms", ask(&app, "get", "/rooms", wrong_host).await);
    let request = "/requestBody/content/application~1json/schema";
    for (path, asked, body, status) in [
        ("/groups/{group}/send", "/groups/a/send", json!({"text": "x", "key": "k"}), 200),
        ("/groups/{group}/send", "/groups/a/send", json!([{"text": "x"}, {"type": "x", "more": [1, null]}]), 200),
        ("/groups/{group}/send", "/groups/a/send", json!([{"text": "x", "more": 1}]), 422),
        ("/groups/{group}/send", "/groups/a/send", json!({"text": ""}), 422),
        ("/groups/{group}/send", "/groups/a/send", json!({"text": "x", "key": "a b"}), 422),
        ("/groups/{group}/send", "/groups/a/send", json!({"type": 1}), 422),
        ("/groups/{group}/send", "/groups/a/send", json!("x"), 422),
        ("/channels/{channel}/send", "/channels/specific.nobody/send", json!({"type": "x"}), 200),
        ("/channels/{channel}/send", "/channels/specific.nobody/send", json!({"no": "type"}), 422),
    ] {
        let answer = ask(&app, "post", asked, program(body.clone())).await;
        assert_eq!(answer.0, status, "{body}");
        check("post", path, answer);
        // What is taken is what is said to be taken.
        let read = fits(&document, &format!("/paths/{}/post{request}", escaped(path)), &body);
        assert_eq!(read.is_ok(), status == 200, "{body}: {read:?}");
    }
    for path in ["/groups/{group}/send", "/channels/{channel}/send"] {
        let asked = path.replace("{group}", "a").replace("{channel}", "specific.nobody");
        check("post", path, ask(&app, "post", &asked, as_it_is).await);
        check("post", path, ask(&app, "post", &asked, |request| request.bearer_auth(TOKEN).body("x")).await);
    }
    // The document would say so if it were otherwise.
    let message = messages[0].clone();
    let with = |field: &str, value: Value| {
        let mut other = message.clone();
        other[field] = value;
        fits(&document, "/components/schemas/Message", &other)
    };
    assert_eq!(with("text", json!("x")), Ok(()));
    for (field, value) in [("more", json!(1)), ("at", json!("now")), ("offset", json!("1")), ("from", json!({"id": "g1"}))] {
        assert!(with(field, value).is_err(), "{field}");
    }
    for (path, _, operation) in operations(&document) {
        let good = seen.contains(&(path.to_owned(), 200));
        assert!(good && operation["responses"].get("200").is_some(), "{path} was not asked for");
    }
}
