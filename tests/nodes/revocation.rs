//! What is taken back from a person ends on all nodes, whichever way they are connected.

use std::sync::Arc;

use confab::{
    server::{
        accounts::{AccountRecords, NewAccount, Purpose},
        settings::Backend,
        store::PostgresStore,
    },
    wire::Timestamp,
};
use reqwest::header::{HeaderMap, SET_COOKIE};
use serde_json::json;

use crate::{
    app::{Http as _, TestApp, browser},
    clients::{Plain, V1},
    cluster::{host, node_on},
    support::{postgres::Postgres, redis::Redis},
    within,
};

on_each_backend! {
    who_gives_up_who_they_are_is_gone_from_all_nodes,
    who_is_signed_out_on_one_node_is_gone_from_all_and_keeps_other_sessions,
}

const ANN: &str = "confab_guest=0123456789abcdef0123456789abcdef; confab_name=Ann";
const SIGNED_OUT: (u16, &str) = (4501, "you were signed out");

/// Has the browser with this cookie forget who it is.
async fn forget(app: &TestApp, cookie: &str) -> HeaderMap {
    let form = browser().post(app.url("/me")).header("cookie", cookie).form(&[("forget", "yes"), ("next", "/room/s-a/")]);
    let answer = within("an answer", form.send()).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/room/s-a/".parse().expect("a header")));
    answer.headers().clone()
}

fn closed((code, reason): (u16, String)) {
    assert_eq!((code, reason.as_str()), SIGNED_OUT);
}

async fn who_gives_up_who_they_are_is_gone_from_all_nodes(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let [here, there] = [node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await];
    let mut bob = V1::connect(there.address, "/room/s-a/").await;
    let cookie = [("cookie", ANN)];
    let mut tabs = Vec::new();
    let mut plain = Vec::new();
    for node in [&here, &there] {
        let mut tab = V1::with(node.address, "/room/s-a/", &cookie).await;
        tab.join("me", None).await;
        tab.join("room/s-b", None).await;
        tabs.push(tab);
        let mut said = Plain::with(node.address, "/room/s-p/", &cookie).await;
        said.say("a member").await;
        while said.text().await != "a member" {}
        plain.push(said);
    }
    bob.join("room/s-a", None).await;
    bob.sees("room/s-a", 2).await;
    bob.post("room/s-a", "k-1", "before").await;
    for tab in &mut tabs {
        assert_eq!(tab.push().await["event"]["text"], "before");
    }
    let you = tabs[0].welcome["you"]["id"].clone();

    let headers = forget(&here, ANN).await;
    // On the node it is over by now, whatever the client still says.
    tabs[0].say(&json!({"id": 99, "send": {"topic": "room/s-a", "key": "late", "text": "too late"}}).to_string()).await;
    plain[0].say("too late").await;
    bob.post("room/s-a", "k-2", "after").await;
    for mut tab in tabs {
        let push = tab.push().await;
        assert_eq!(push, json!({"topic": "me", "event": {"type": "signed_out"}}));
        closed(tab.closed().await);
    }
    for mut client in plain {
        while let Ok(message) = client.try_next().await {
            if let tokio_tungstenite::tungstenite::Message::Close(Some(frame)) = message {
                closed((frame.code.into(), frame.reason.to_string()));
                break;
            }
            // What the other node's plain client has said before.
            assert_eq!(message.into_text().expect("a text"), "a member");
        }
    }
    // Nobody waits for somebody who has gone like this.
    bob.sees("room/s-a", 1).await;
    for (group, said) in [("s-a", vec!["before", "after"]), ("s-p", vec!["a member"; 2])] {
        let (_, messages) = here.all_messages(group).await;
        let texts: Vec<_> = messages.iter().map(|message| message["text"].as_str().expect("a text")).collect();
        assert_eq!(texts, said);
    }

    let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().expect("ASCII")).collect();
    for name in ["confab_guest=;", "confab_name=;", "__Host-confab_guest=;", "__Host-confab_name=;"] {
        assert!(cookies.iter().any(|cookie| cookie.starts_with(name) && cookie.contains("; Max-Age=0")), "{cookies:?}");
    }
    assert_eq!(headers["clear-site-data"], "\"storage\"");
    // Whoever still has the secret is nobody by it, on every node.
    for node in [&here, &there] {
        let back = V1::with(node.address, "/ws/", &cookie).await;
        assert_ne!(back.welcome["you"]["id"], you);
        let page = within("a page", browser().get(node.url("/room/s-a/")).header("cookie", ANN).send()).await.expect("a page");
        let given = page.headers().get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        assert!(given.into_iter().any(|cookie| cookie.starts_with("confab_guest=") && !cookie.contains("Max-Age=0")));
        let body = page.text().await.expect("a body");
        assert!(!body.contains(you.as_str().expect("an id")) || body.contains("a member"), "the page is somebody else's");
    }
}

/// The cookie of the session that an answer begins.
fn session(headers: &HeaderMap) -> String {
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let mut sessions = cookies.filter(|cookie| cookie.starts_with("confab_session=") && !cookie.contains("Max-Age=0"));
    sessions.next_back().and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned()
}

async fn who_is_signed_out_on_one_node_is_gone_from_all_and_keeps_other_sessions(backend: Backend) {
    const PASSWORD: &str = "correct horse battery";
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let [here, there] = [node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await];
    let post = async |node: &TestApp, path: &str, cookie: &str, form: &[(&str, &str)]| {
        let form = browser().post(node.url(path)).header("cookie", cookie).form(form);
        let answer = within("an answer", form.send()).await.expect("an answer");
        assert_eq!(answer.status(), 303, "{path}");
        answer.headers().clone()
    };
    // Somebody makes an account of hers on the store that both have.
    let (store, _commits) = PostgresStore::open(&database.parse().expect("an address"), false).await.expect("the store");
    let records = AccountRecords::new(Arc::new(store));
    let (id, now) = ("a0000000000000001".to_owned(), Timestamp::now().as_millis());
    let (handle, name) = ("zoe".parse().expect("a handle"), "Zoe".parse().expect("a name"));
    let new = NewAccount { id: id.clone(), handle, name, is_administrator: false, password: None, subject: None };
    records.create(&new, now).await.expect("an account");
    let token = records.make_link(Purpose::Reset, Some(&id), now).await.expect("a link");
    let reset = post(&here, &format!("/reset/{}", token.reveal()), "", &[("password", PASSWORD)]).await;
    let desk = session(&reset);
    let phone = session(&post(&there, "/login", "", &[("name", "Zoe"), ("password", PASSWORD)]).await);

    let mut phones = Vec::new();
    let mut desks = Vec::new();
    for node in [&here, &there] {
        phones.push(V1::with(node.address, "/room/s-a/", &[("cookie", &phone)]).await);
        desks.push(V1::with(node.address, "/room/s-a/", &[("cookie", &desk)]).await);
    }
    for tab in phones.iter().chain(&desks) {
        assert_eq!(tab.welcome["you"]["handle"], "zoe");
    }
    // From the desk, on the other node.
    post(&here, "/account/", &desk, &[("do", "revoke_others")]).await;
    for tab in phones {
        closed({ tab }.closed().await);
    }
    for tab in &mut desks {
        tab.ok(json!({"ping": {}})).await;
    }
    for node in [&here, &there] {
        let back = V1::with(node.address, "/ws/", &[("cookie", &phone)]).await;
        assert!(back.welcome["you"].get("handle").is_none());
    }
    post(&there, "/logout", &desk, &[("everywhere", "yes")]).await;
    for tab in desks {
        closed({ tab }.closed().await);
    }
}
