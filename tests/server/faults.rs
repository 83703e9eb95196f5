//! What members see when the channel layer loses, reorders or refuses what it is given: in a room with history everybody sees
//! the same messages in the same order, each once.

use std::{collections::HashSet, pin::pin, sync::Arc};

use confab::server::settings::History;
use futures_util::poll;
use serde_json::{Value, json};

use crate::{
    app::{Http as _, TestApp, offset, rule},
    clients::{Plain, V1},
    faulty::{Faulty, Mode},
};

/// A server with rooms `s-*` in the store, `m-*` in memory and `n-*` nowhere, on a layer with faults.
async fn start() -> (TestApp, Arc<Faulty>) {
    let layer = Faulty::new();
    let rules = |settings: &mut confab::server::settings::Settings| {
        settings.rooms = vec![rule("s-*", History::Store), rule("m-*", History::Memory), rule("n-*", History::None)];
    };
    (TestApp::on(Arc::clone(&layer) as _, rules).await, layer)
}

/// A plain member, which is there when this returns; it has said `text`.
async fn plain_member(app: &TestApp, group: &str, text: &str) -> Plain {
    let mut plain = Plain::connect(app.address, &format!("/room/{group}/")).await;
    plain.say(text).await;
    assert_eq!(plain.text().await, text);
    plain
}

async fn assert_pushes(member: &mut V1, texts: &[(u64, &str)]) {
    for (place, text) in texts {
        let push = member.push().await;
        assert_eq!((offset(&push), &push["event"]["text"]), (*place, &json!(text)), "{push}");
    }
}

#[tokio::test]
async fn what_the_layer_loses_is_read_from_the_store_when_the_next_one_shows_it() {
    let (app, layer) = start().await;
    for group in ["s-a", "m-a"] {
        let topic = format!("room/{group}");
        let mut plain = plain_member(&app, group, "first").await;
        let mut member = V1::connect(app.address, &format!("/room/{group}/")).await;
        let mut author = V1::connect(app.address, &format!("/room/{group}/")).await;
        layer.set(Mode::Losing);
        assert_eq!(author.post(&topic, "k2", "lost").await, 2);
        assert_eq!(author.post(&topic, "k3", "lost too").await, 3);
        assert_eq!(member.pushes_so_far().await, [] as [Value; 0]);
        layer.set(Mode::Well);
        assert_eq!(author.post(&topic, "k4", "carried").await, 4);
        assert_eq!(author.post(&topic, "k5", "next").await, 5);
        let texts = [(2, "lost"), (3, "lost too"), (4, "carried"), (5, "next")];
        assert_pushes(&mut member, &texts).await;
        assert_pushes(&mut author, &texts).await;
        for (_, text) in texts {
            assert_eq!(plain.text().await, text);
        }
        for v1 in [&mut member, &mut author] {
            assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
        }
    }
}

#[tokio::test]
async fn what_the_layer_reorders_is_put_in_order() {
    let (app, layer) = start().await;
    let mut member = V1::connect(app.address, "/room/s-a/").await;
    let mut author = V1::connect(app.address, "/room/s-a/").await;
    layer.set(Mode::Holding);
    for (key, text) in [("k1", "one"), ("k2", "two"), ("k3", "three")] {
        author.post("room/s-a", key, text).await;
    }
    layer.carry_backwards().await;
    author.post("room/s-a", "k4", "four").await;
    for v1 in [&mut member, &mut author] {
        assert_pushes(v1, &[(1, "one"), (2, "two"), (3, "three"), (4, "four")]).await;
        assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn when_the_layer_is_back_every_group_is_brought_level_and_joined_again() {
    let (app, layer) = start().await;
    let mut members = Vec::new();
    for n in 0..40 {
        members.push((format!("room/s-{n}"), V1::connect(app.address, &format!("/room/s-{n}/")).await));
    }
    let mut passing = V1::connect(app.address, "/room/n-a/").await;
    let mut lobby = V1::connect(app.address, "/ws/").await;
    lobby.join("lobby", None).await;
    layer.set(Mode::Losing);
    for (topic, member) in &mut members {
        assert_eq!(member.post(topic, "k1", "lost").await, 1);
    }
    assert_eq!(passing.post("room/n-a", "k1", "lost for good").await, Value::Null);
    layer.forget().await;
    layer.come_back();
    // The list is sent once more, whole.
    let mut listed = HashSet::new();
    while listed.len() < members.len() {
        let event = lobby.push().await["event"].take();
        listed.insert(event["group"].as_str().expect("a group").to_owned());
        assert_eq!(event["latest"]["text"], "lost");
    }
    for (topic, member) in &mut members {
        assert_pushes(member, &[(1, "lost")]).await;
        assert_eq!(member.post(topic, "k2", "carried").await, 2);
        assert_pushes(member, &[(2, "carried")]).await;
    }
    // Nothing can be had back where nothing is kept, and nobody is sent away for it.
    loop {
        passing.post("room/n-a", "k2", "again").await;
        if let Some(first) = passing.pushes_so_far().await.first() {
            assert_eq!(first["event"]["text"], "again");
            break;
        }
    }
}

#[tokio::test]
async fn while_the_layer_is_away_a_node_goes_on_with_its_own_members() {
    let (app, layer) = start().await;
    let mut lobby = V1::connect(app.address, "/ws/").await;
    lobby.join("lobby", None).await;
    let mut member = V1::connect(app.address, "/room/s-a/").await;
    let mut passing = V1::connect(app.address, "/room/n-a/").await;
    assert_eq!(app.get("/readyz").await.status(), 200);
    layer.set(Mode::Away);
    let ready = app.get("/readyz").await;
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.text().await.expect("a body"), "the channel layer is in trouble: nobody answers\n");

    // Who comes only now is a member too.
    let mut author = V1::connect(app.address, "/room/s-a/").await;
    let mut first = V1::connect(app.address, "/room/m-b/").await;
    assert_eq!(author.post("room/s-a", "k1", "one").await, 1);
    assert_eq!(author.post("room/s-a", "k2", "two").await, 2);
    assert_eq!(author.post("room/s-a", "k1", "one again").await, 1);
    assert_eq!(first.post("room/m-b", "k1", "uno").await, 1);
    for v1 in [&mut member, &mut author] {
        assert_pushes(v1, &[(1, "one"), (2, "two")]).await;
    }
    assert_pushes(&mut first, &[(1, "uno")]).await;
    // Of what comes in quick succession the newest of each room is told.
    let mut left = [("s-a", "one"), ("s-a", "two"), ("m-b", "uno")].into_iter();
    loop {
        let event = lobby.push().await["event"].take();
        let is_it = |(group, text): (&str, &str)| event["group"] == group && event["latest"]["text"] == text;
        assert!(left.any(is_it), "{event}");
        if event["group"] == "m-b" {
            break;
        }
    }
    // What is kept nowhere and carried by nobody is not said to be.
    let error = passing.error(json!({"send": {"topic": "room/n-a", "key": "k", "text": "nobody hears"}})).await;
    assert_eq!(
        error,
        json!({"code": "unavailable", "message": "the message cannot be taken now; send it again with the same key", "retry_after_ms": 1000})
    );

    layer.come_back();
    assert_eq!(app.get("/readyz").await.status(), 200);
    assert_eq!(author.post("room/s-a", "k3", "three").await, 3);
    assert_eq!(first.post("room/m-b", "k2", "due").await, 2);
    for v1 in [&mut member, &mut author] {
        assert_pushes(v1, &[(3, "three")]).await;
        assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
    }
    // The layer hears of the room again within a second, and the node reads what it missed until then.
    assert_pushes(&mut first, &[(2, "due")]).await;
}

#[tokio::test]
async fn a_message_of_another_nodes_store_is_shown_without_a_place_and_closes_nobody() {
    let (app, layer) = start().await;
    let foreign = |epoch: &str, place: u64| {
        json!({"type": "chat.message", "message": format!("{epoch} {place}"), "id": format!("{epoch}-{place}"), "key": format!("k{place}"),
            "from": {"id": "g2", "name": "Bob"}, "at": 0, "epoch": epoch, "offset": place})
    };
    for group in ["s-a", "m-a", "n-a"] {
        let topic = format!("room/{group}");
        let mut plain = plain_member(&app, group, "first").await;
        let mut member = V1::connect(app.address, &format!("/room/{group}/")).await;
        let mut other = V1::connect(app.address, &format!("/room/{group}/")).await;
        for place in [1, 2, 70] {
            layer.inject(group, foreign("elsewhere", place)).await;
            let text = format!("elsewhere {place}");
            for v1 in [&mut member, &mut other] {
                let push = v1.push().await;
                assert_eq!((push.get("offset"), &push["event"]["text"]), (None, &json!(text)), "{push}");
            }
            assert_eq!(plain.text().await, text);
        }
        // A place in this very stream that it has not reached is made up.
        if let Some(epoch) = member.welcome["joined"]["epoch"].as_str().filter(|_| group != "n-a") {
            layer.inject(group, foreign(epoch, 70)).await;
        }
        let place = member.post(&topic, "k2", "own").await;
        assert_eq!(place, if group == "n-a" { Value::Null } else { json!(2) });
        for v1 in [&mut member, &mut other] {
            assert_eq!(v1.push().await["event"]["text"], "own");
            assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
        }
    }
}

#[tokio::test]
async fn a_hole_that_cannot_be_filled_sends_members_back_to_join_and_plain_ones_go_on() {
    let (app, layer) = start().await;
    let mut plain = plain_member(&app, "m-a", "first").await;
    let mut member = V1::connect(app.address, "/room/m-a/").await;
    // The author is in the room by another address.
    let mut author = V1::connect(app.address, "/ws/").await;
    let joined = author.join("room/m-a", None).await;
    layer.set(Mode::Losing);
    for n in 2..=1_010 {
        assert_eq!(author.post("room/m-a", &format!("k{n}"), "lost").await, n);
    }
    layer.set(Mode::Well);
    layer.come_back();
    assert_eq!(member.closed().await.0, 4002);
    assert_eq!(author.closed().await.0, 4002);
    let mut back = V1::connect(app.address, "/ws/").await;
    let state = back.join("room/m-a", Some(&json!({"epoch": joined["epoch"], "offset": 1}))).await;
    assert_eq!((&state["recovered"], &state["offset"]), (&json!(false), &json!(1_010)));
    assert_eq!(back.post("room/m-a", "k", "on").await, 1_011);
    assert_pushes(&mut back, &[(1_011, "on")]).await;
    assert_eq!(plain.text().await, "on");
}

#[tokio::test]
async fn one_slow_send_does_not_hold_up_the_next_and_each_is_acknowledged_when_it_is_through() {
    let (app, layer) = start().await;
    let mut authors = Vec::new();
    for _ in 0..3 {
        authors.push(V1::connect(app.address, "/room/s-a/").await);
    }
    {
        let [one, two, three] = &mut authors[..] else { unreachable!("there are three") };
        layer.set(Mode::Slow);
        let mut one = pin!(one.post("room/s-a", "k1", "one"));
        assert!(poll!(&mut one).is_pending());
        layer.slow(1).await;
        let mut two = pin!(two.post("room/s-a", "k2", "two"));
        assert!(poll!(&mut two).is_pending());
        layer.slow(2).await;
        let mut three = pin!(three.post("room/s-a", "k3", "three"));
        assert!(poll!(&mut three).is_pending());
        layer.slow(3).await;
        layer.let_through(1);
        assert_eq!(two.await, 2);
        assert!(poll!(&mut one).is_pending() && poll!(&mut three).is_pending());
        layer.let_through(0);
        layer.let_through(2);
        assert_eq!((one.await, three.await), (json!(1), json!(3)));
    }
    layer.set(Mode::Well);
    for author in &mut authors {
        assert_pushes(author, &[(1, "one"), (2, "two"), (3, "three")]).await;
    }
}
