//! How people with an account are seen by others: what they are called and mentioned by, as it is now, wherever they are shown.

use confab::server::settings::{Settings, SignUp};
use serde_json::{Value, json};

use crate::{
    accounts::{PASSWORD, log_in, page, post, sign_up, you},
    app::{Http as _, TestApp},
    clients::V1,
    within,
};

const GUEST: &str = "confab_guest=0123456789abcdef0123456789abcdef; confab_name=Gus";

fn open(settings: &mut Settings) {
    settings.accounts.sign_up = SignUp::Open;
}

/// Sends the form of one's names; the status, and the page.
async fn names(app: &TestApp, cookie: &str, name: &str, handle: &str) -> (u16, String) {
    let answer = post(app, "/account/", cookie, &[("do", "name"), ("name", name), ("handle", handle)]).await;
    (answer.status().as_u16(), answer.text().await.expect("a page"))
}

/// The next push of this type.
async fn pushed(tab: &mut V1, kind: &str) -> Value {
    loop {
        let event = tab.push().await["event"].take();
        if event["type"] == kind {
            return event;
        }
    }
}

/// How somebody is seen, as soon as it is told to whoever is in the room.
async fn seen_anew(tab: &mut V1, person: &Value) {
    while tab.change().await["event"]["joined"] != json!([person]) {}
}

/// The people under `from` of a room's messages.
async fn authors(app: &TestApp, room: &str) -> Vec<Value> {
    let (_, body) = app.api(&format!("/api/v1/rooms/{room}/messages")).await;
    body["messages"].as_array().expect("messages").iter().map(|message| message["from"].clone()).collect()
}

#[tokio::test]
async fn a_changed_name_and_handle_are_seen_everywhere_and_at_once_where_somebody_is() {
    let app = TestApp::with(open).await;
    let ann = sign_up(&app, "", "Ann").await;
    let mut anns = V1::with(app.address, "/room/a/", &[("cookie", &ann)]).await;
    let id = anns.welcome["you"]["id"].clone();
    let mut guest = V1::with(app.address, "/room/a/", &[("cookie", GUEST)]).await;
    guest.sees("room/a", 2).await;
    anns.join("me", None).await;
    anns.post("room/a", "k1", "said as Ann").await;
    guest.post("room/a", "k2", "said by a guest").await;
    // Rendered before, for all.
    assert!(page(&app, "/room/a/", "").await.1.contains("<bdi class=\"author\">Ann</bdi>"));
    assert!(page(&app, "/", "").await.1.contains("Gus"));

    assert_eq!(names(&app, &ann, "Anna Lee", "anna.lee").await.0, 303);
    let anna = json!({"id": id, "name": "Anna Lee", "handle": "anna.lee"});
    // Where she is they are told.
    seen_anew(&mut guest, &anna).await;
    assert_eq!(pushed(&mut anns, "renamed").await, json!({"type": "renamed", "name": "Anna Lee", "handle": "anna.lee"}));
    assert_eq!(you(&app, &ann).await, anna);
    // What was pushed before it was hers as she was then.
    guest.pushes_so_far().await;
    anns.post("room/a", "k3", "said after it, by the same connection").await;
    assert_eq!(pushed(&mut guest, "message").await["from"], anna);
    let guests = json!({"id": guest.welcome["you"]["id"], "name": "Gus"});
    assert_eq!(authors(&app, "a").await, [anna.clone(), guests, anna.clone()]);
    let (_, body) = page(&app, "/room/a/", "").await;
    assert!(!body.contains("<bdi class=\"author\">Ann</bdi>") && body.contains("@anna.lee"), "{body}");
    assert!(page(&app, "/", "").await.1.contains("Anna Lee"), "the list of rooms");
    // It may be found a moment later.
    let found =
        async { while !page(&app, "/search/?q=said", GUEST).await.1.contains("<bdi class=\"author\">Anna Lee</bdi>") {} };
    within("what she has said among what is found", found).await;
    let bob = sign_up(&app, "", "Bob").await;
    assert_eq!(page(&app, "/people/@Anna.Lee", &bob).await.0, 200);
    assert_eq!(page(&app, "/people/@ann", &bob).await.0, 404);
    // She signs in by the handle that she has now.
    assert_eq!(log_in(&app, "anna.lee", PASSWORD).await.status(), 303);
    assert_eq!(log_in(&app, "ann", PASSWORD).await.status(), 422);

    // A handle alone is told of, too; and what is sent as it was changes nothing.
    assert_eq!(names(&app, &ann, "Anna Lee", "anna").await.0, 303);
    seen_anew(&mut guest, &json!({"id": id, "name": "Anna Lee", "handle": "anna"})).await;
    assert_eq!(names(&app, &ann, "Anna Lee", "anna").await.0, 303);
    anns.ok(json!({"ping": {}})).await;
    assert_eq!(pushed(&mut anns, "renamed").await["handle"], "anna");
    assert!(anns.pushes_so_far().await.iter().all(|push| push["event"]["type"] != "renamed"));
}

#[tokio::test]
async fn a_page_that_was_rendered_for_all_is_not_older_than_a_name() {
    let app = TestApp::with(open).await;
    let ann = sign_up(&app, "", "Ann").await;
    assert_eq!(post(&app, "/room/a/", &ann, &[("key", "k1"), ("text", "hello")]).await.status(), 303);
    for name in ["Anna", "Annabel", "Anneliese"] {
        page(&app, "/room/a/", "").await;
        // Nobody who is in the room, and no message.
        assert_eq!(names(&app, &ann, name, "ann").await.0, 303);
        let (_, body) = page(&app, "/room/a/", "").await;
        assert!(body.contains(&format!("<bdi class=\"author\">{name}</bdi>")), "{body}");
    }
}

#[tokio::test]
async fn a_handle_that_somebody_had_is_nobody_elses_for_a_while_and_theirs_again() {
    let app = TestApp::with(open).await;
    let (ann, bob) = (sign_up(&app, "", "Ann").await, sign_up(&app, "", "Bob").await);
    assert_eq!(names(&app, &ann, "Ann", "anna").await.0, 303);
    // By whatever looks like it.
    for handle in ["ann", "ANN", "\u{430}nn", "anna", "@Anna"] {
        let (status, body) = names(&app, &bob, "Bob", handle).await;
        assert_eq!(status, 422, "{handle}");
        let said = "<span id=\"handle-error\" class=\"wrong\" role=\"alert\">Somebody has this handle";
        assert!(body.contains(said) && body.contains(&format!("value=\"{handle}\"")), "{body}");
        let form = [("name", handle), ("password", PASSWORD)];
        assert_eq!(post(&app, "/signup", "", &form).await.status(), 422, "{handle}: nor does anybody sign up by it");
    }
    assert_eq!(you(&app, &bob).await["handle"], "Bob");
    // Written otherwise it is the same, and the first one is hers again.
    for handle in ["Anna", "ann", "anna"] {
        assert_eq!(names(&app, &ann, "Ann", handle).await.0, 303, "{handle}");
        assert_eq!(you(&app, &ann).await["handle"], handle);
    }
    // Three times another one, of which the first was `anna`.
    for handle in ["ann-2", "ann-3"] {
        assert_eq!(names(&app, &ann, "Ann", handle).await.0, 303, "{handle}");
    }
    let (status, body) = names(&app, &ann, "Ann", "ann-4").await;
    assert_eq!(status, 422);
    assert!(body.contains("You have taken another handle 3 times in 30 days; the next can be taken in 30 days."), "{body}");
    assert_eq!(names(&app, &ann, "Ann", "ann").await.0, 303, "one of hers she can always take back");
    assert_eq!(you(&app, &ann).await["handle"], "ann");
}

#[tokio::test]
async fn what_is_wrong_with_a_name_or_a_handle_stands_beside_it_and_changing_them_has_a_bound() {
    let app = TestApp::with(open).await;
    let ann = sign_up(&app, "", "Ann").await;
    let (status, body) = names(&app, &ann, "\u{200B}", "a@b").await;
    assert_eq!(status, 422);
    for part in ["id=\"name-error\"", "id=\"handle-error\"", "value=\"a@b\""] {
        assert!(body.contains(part), "{part} in {body}");
    }
    for hostile in ["\u{202E}nna", "a/b", "", "👍", &"x".repeat(33), &"x".repeat(100_000)] {
        assert_eq!(names(&app, &ann, "Ann", hostile).await.0, 422, "{}", hostile.len());
    }
    assert_eq!(you(&app, &ann).await["handle"], "Ann");
    // What is refused for what it is counts for nothing.
    for n in 0..20 {
        assert_eq!(names(&app, &ann, &format!("Ann {n}"), "Ann").await.0, 303, "{n}");
    }
    let answer = post(&app, "/account/", &ann, &[("do", "name"), ("name", "Ann"), ("handle", "Ann")]).await;
    assert_eq!(answer.status(), 429);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(answer.text().await.expect("a page").contains("you can do it again in 60 minutes"));
    assert_eq!(post(&app, "/me", &ann, &[("name", "Ann")]).await.status(), 429, "by whichever form");
    assert_eq!(you(&app, &ann).await["name"], "Ann 19");
}
