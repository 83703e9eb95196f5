//! What the rules of the rooms do not keep is gone.

use confab::server::settings::{History, Settings};
use serde_json::Value;

use crate::{
    app::{Http as _, TestApp, offset, rule},
    clients::V1,
    within,
};

/// Keeps three messages of rooms `s-*`, and all of others.
fn keeps_three(settings: &mut Settings) {
    settings.rooms = vec![rule("s-*", History::Store), rule("*", History::Store)];
    settings.rooms[0].keep.messages = Some(3);
}

#[tokio::test]
async fn what_is_over_the_bounds_of_its_rule_goes_when_the_server_looks() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_owned();
    let epoch = {
        let mut app = TestApp::with(|settings| settings.server.data = data.clone()).await;
        let mut epoch = Value::Null;
        for group in ["s-a", "other"] {
            let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
            epoch = author.welcome["joined"]["epoch"].clone();
            for n in 1..=10 {
                author.post(&format!("room/{group}"), &format!("k{n}"), &format!("m{n}")).await;
            }
        }
        app.begin_to_stop();
        app.stopped().await;
        epoch
    };
    let app = TestApp::with(|settings| {
        keeps_three(settings);
        settings.server.data = data;
    })
    .await;
    // It looks when it starts, and then every few minutes.
    let dropped = async { while app.all_messages("s-a").await.1.len() > 3 {} };
    within("the old messages to go", dropped).await;
    let (_, body) = app.api("/api/v1/rooms/s-a/messages").await;
    let offsets: Vec<_> = body["messages"].as_array().expect("a list").iter().map(offset).collect();
    assert_eq!((offsets, &body["first"], &body["offset"]), (vec![8, 9, 10], &Value::from(8), &Value::from(10)));
    let (other_epoch, other) = app.all_messages("other").await;
    assert_eq!((other.len(), Value::from(other_epoch)), (10, epoch));
    // Who was away for longer than what is kept starts afresh.
    let mut back = V1::connect(app.address, "/ws/").await;
    for (since, recovered) in [(6, false), (7, true)] {
        let since = serde_json::json!({"epoch": body["epoch"], "offset": since});
        assert_eq!(back.join("room/s-a", Some(&since)).await["recovered"], recovered);
    }
    let page = app.get("/room/s-a/").await.text().await.expect("a page");
    assert!(page.contains("m8") && !page.contains("Earlier messages"), "nothing earlier is to be had");
}
