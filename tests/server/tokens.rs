//! Tokens of other sites: shown in a socket's first message, and the rooms that they give.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use confab::{
    server::settings::{ConfigFile, Settings, Sources},
    wire::Timestamp,
};
use ring::hmac;
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, browser},
    clients::V1,
    people::{Somebody, code},
    within,
};

const SECRET: &str = "a secret of more than thirty-two letters";

fn settings(settings: &mut Settings) {
    let table = format!(
        "[[accounts.jwt]]\nissuer = \"https://shop.example\"\naudience = \"confab\"\nalgorithm = \"HS256\"\nkey = \"{SECRET}\"\n"
    );
    let file = Some(ConfigFile { name: "Leptos.toml".to_owned(), content: table.into_bytes() });
    let loaded = Sources { file, ..Sources::default() }.load().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    settings.jwt = loaded.settings.jwt;
}

fn now() -> i64 {
    Timestamp::now().as_millis() / 1_000
}

/// A token of somebody, with these rooms, that is good until then.
fn token(subject: &str, rooms: Value, until: i64) -> String {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let claims =
        json!({"iss": "https://shop.example", "aud": "confab", "sub": subject, "name": subject, "exp": until, "rooms": rooms});
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

async fn authorize(socket: &mut V1, token: &str) -> Value {
    socket.ask(json!({"authorize": {"token": token}})).await
}

#[tokio::test]
async fn a_token_in_the_first_message_says_who_asks_on_a_connection() {
    let app = TestApp::with(settings).await;
    let guest = Somebody::guest();
    let mut socket = guest.socket(&app).await;
    socket.ok(json!({"ping": {}})).await;
    let answer = authorize(&mut socket, &token("zoe", json!(null), now() + 600)).await;
    let you = answer["ok"]["you"].clone();
    assert_eq!((&you["name"], &you["handle"], &you["kind"]), (&json!("zoe"), &json!("zoe"), &json!("account")), "{answer}");
    socket.join("room/a", None).await;
    socket.post("room/a", "k1", "by token").await;
    assert_eq!(socket.push().await["event"]["from"], json!({"id": you["id"], "name": "zoe", "handle": "zoe"}));
    // Once, and before anything else.
    for (path, first) in
        [("/ws/", Some(json!({"join": {"topic": "room/a"}}))), ("/ws/", Some(json!({"dance": {}}))), ("/room/a/", None)]
    {
        let mut late = V1::with(app.address, path, &[("cookie", &guest.cookie)]).await;
        if let Some(first) = &first {
            late.ask(first.clone()).await;
        }
        let answer = authorize(&mut late, &token("zoe", json!(null), now() + 600)).await;
        assert_eq!(code(&answer), "bad_request", "{path} {first:?}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .is_some_and(|message| message.starts_with("a token is shown before anything else"))
        );
    }
    assert_eq!(code(&authorize(&mut socket, &token("bob", json!(null), now() + 600)).await), "bad_request");
    // One that is not believed changes nothing, and another may not follow.
    let mut wrong = guest.socket(&app).await;
    let forged = token("zoe", json!(null), now() + 600).replace('.', ".x");
    assert_eq!(code(&authorize(&mut wrong, &forged).await), "unauthorized");
    assert_eq!(code(&authorize(&mut wrong, &token("zoe", json!(null), now() + 600)).await), "bad_request");
    wrong.join("room/a", None).await;
    wrong.post("room/a", "k2", "as a guest").await;
    assert!(socket.push().await["event"]["from"].get("handle").is_none());
    let mut unread = guest.socket(&app).await;
    for bad in [json!({"authorize": {}}), json!({"authorize": {"token": 1}}), json!({"authorize": {"token": "x", "more": 1}})] {
        assert_eq!(code(&unread.ask(bad.clone()).await), "bad_request", "{bad}");
    }
}

#[tokio::test]
async fn what_is_open_by_a_token_ends_with_it() {
    let app = TestApp::with(settings).await;
    let mut socket = Somebody::guest().socket(&app).await;
    let answer = authorize(&mut socket, &token("zoe", json!(null), now() + 3)).await;
    assert_eq!(code(&answer), "ok");
    socket.join("me", None).await;
    assert_eq!(socket.push().await["event"], json!({"type": "signed_out"}));
    assert_eq!(socket.closed().await.0, 4501);
}

#[tokio::test]
async fn a_token_lets_its_person_into_the_rooms_that_it_names_with_their_roles() {
    let app = TestApp::with(settings).await;
    let ann = Somebody::new(&app, "ann").await;
    for room in ["one", "two", "three", "four", "five"] {
        ann.make(&app, room, "closed").await;
    }
    let mut anns = ann.socket(&app).await;
    anns.join("room/one", None).await;
    anns.post("room/one", "k", "first").await;
    let roles = json!({"one": "member", "two": "read_only", "three": "owner", "four": "king", "open": "moderator"});
    let long = token("zoe", roles, now() + 600);
    let mut socket = Somebody::guest().socket(&app).await;
    let you = authorize(&mut socket, &long).await["ok"]["you"].clone();
    let joins = async |socket: &mut V1, room: &str| code(&socket.ask(json!({"join": {"topic": format!("room/{room}")}})).await);
    for (room, comes) in
        [("one", "ok"), ("two", "ok"), ("three", "not_found"), ("four", "not_found"), ("five", "not_found"), ("open", "ok")]
    {
        assert_eq!(joins(&mut socket, room).await, comes, "{room}");
    }
    socket.post("room/one", "k", "by token").await;
    let send = json!({"send": {"topic": "room/two", "key": "k", "text": "x"}});
    assert_eq!(code(&socket.ask(send).await), "forbidden", "it reads only");
    // The same over HTTP: the room, its list, and what is found in it.
    let get = async |path: &str| {
        let answer = browser().get(app.url(path)).bearer_auth(&long).send();
        let answer = within("an answer", answer).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    assert_eq!((get("/api/v1/rooms/one/messages").await.0, get("/api/v1/rooms/five/messages").await.0), (200, 404));
    assert!(get("/api/v1/rooms").await.1.contains("\"one\""));
    within("the index", async { while !get("/api/v1/search?q=first").await.1.contains("\"one\"") {} }).await;
    // A ban is stronger than a token.
    let zoe = Somebody { id: you["id"].as_str().expect("an id").to_owned(), name: "zoe".to_owned(), cookie: String::new() };
    ann.does(&app, "one", "ban", &zoe, &[]).await;
    loop {
        let push = socket.push().await;
        if push["event"]["type"] == "left" {
            break;
        }
    }
    assert_eq!((joins(&mut socket, "one").await, get("/api/v1/rooms/one/messages").await.0), ("not_found".to_owned(), 404));
    // Another token of the same person gives what it says.
    let mut other = Somebody::guest().socket(&app).await;
    authorize(&mut other, &token("zoe", json!(["three"]), now() + 600)).await;
    assert_eq!((joins(&mut other, "two").await, joins(&mut other, "three").await), ("not_found".to_owned(), "ok".to_owned()));
}
