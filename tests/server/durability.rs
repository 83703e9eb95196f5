//! What was acknowledged stays, however the program ends; these tests run the real one.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    app::{Http as _, Program, offset},
    clients::V1,
    within,
};

/// The cookie that makes a client the same guest on every connection.
fn guest(number: usize) -> (&'static str, String) {
    ("cookie", format!("confab_guest={number:032x}"))
}

/// What a sender has said, as it remembers it.
#[derive(Default)]
struct Log {
    /// Keys and the offsets that the server answered.
    acknowledged: HashMap<String, u64>,
    /// Keys whose answer never came, by sender.
    unanswered: Vec<(usize, String)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_every_acknowledged_message_is_there_once_in_its_place() {
    const SENDERS: usize = 20;
    let data = tempfile::tempdir().expect("a folder");
    let mut program = Program::start(data.path()).await;
    let address = program.address;
    let mut reader = V1::connect(address, "/room/a/").await;
    let epoch = reader.welcome["joined"]["epoch"].clone();

    let log = Arc::new(Mutex::new(Log::default()));
    let (count, mut counted) = watch::channel(0_usize);
    let count = Arc::new(count);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (log, count) = (Arc::clone(&log), Arc::clone(&count));
        senders.spawn(async move {
            let (name, cookie) = guest(sender);
            let mut v1 = V1::with(address, "/room/a/", &[(name, &cookie)]).await;
            for n in 0.. {
                let key = format!("{sender}-{n}");
                let send = json!({"send": {"topic": "room/a", "key": key, "text": format!("text of {key}")}});
                match v1.try_ask(send).await {
                    Ok(answer) => {
                        log.lock().acknowledged.insert(key, offset(&answer["ok"]));
                        count.send_modify(|count| *count += 1);
                    }
                    Err(_) => return log.lock().unanswered.push((sender, key)),
                }
            }
        });
    }
    // The reader loses its connection somewhere on the way too.
    let mut read = 0;
    while read < 50 {
        read += 1;
        assert_eq!(offset(&reader.push().await), read);
    }
    within("acknowledged messages", counted.wait_for(|count| *count >= 300)).await.expect("senders");
    program.kill();
    within("the end of the senders", senders.join_all()).await;
    let log = Arc::into_inner(log).expect("the senders are gone").into_inner();
    assert!(log.acknowledged.len() >= 300 && log.unanswered.len() == SENDERS);

    let program = Program::start(data.path()).await;
    let (epoch_after, stored) = program.all_messages("a").await;
    assert_eq!(json!(epoch_after), epoch);
    let all = stored.len() as u64;
    assert_eq!(stored.iter().map(offset).collect::<Vec<_>>(), (1..=all).collect::<Vec<_>>());
    let mut places = HashMap::new();
    for message in &stored {
        let key = message["key"].as_str().expect("a key").to_owned();
        assert_eq!(message["text"], format!("text of {key}"));
        assert_eq!(places.insert(key, offset(message)), None, "twice: {message}");
    }
    for (key, offset) in &log.acknowledged {
        assert_eq!(places.get(key), Some(offset), "{key}");
    }

    // The reader goes on where it was.
    let mut reader = V1::connect(program.address, "/ws/").await;
    let state = reader.join("room/a", Some(&json!({"epoch": epoch, "offset": read}))).await;
    assert_eq!((&state["recovered"], &state["offset"]), (&json!(true), &json!(all)));
    let events = state["events"].as_array().expect("a list");
    assert_eq!(events.iter().map(offset).collect::<Vec<_>>(), (read + 1..=all).collect::<Vec<_>>());

    // So do the senders: what had no answer may or may not be there, and is there once when it was sent again.
    let mut expected = all;
    for (sender, key) in log.unanswered {
        let (name, cookie) = guest(sender);
        let mut v1 = V1::with(program.address, "/room/a/", &[(name, &cookie)]).await;
        let place = places.get(&key).copied().unwrap_or_else(|| {
            expected += 1;
            expected
        });
        assert_eq!(v1.post("room/a", &key, &format!("text of {key}")).await, place, "{key}");
    }
    let (_, stored) = program.all_messages("a").await;
    assert_eq!(stored.iter().map(offset).collect::<Vec<_>>(), (1..=expected).collect::<Vec<_>>());
    for place in all + 1..=expected {
        assert_eq!(offset(&reader.push().await), place);
    }
}

#[tokio::test]
async fn sigterm_says_goodbye_and_ends_well() {
    let data = tempfile::tempdir().expect("a folder");
    let program = Program::start(data.path()).await;
    let mut v1 = V1::connect(program.address, "/room/a/").await;
    assert_eq!(v1.post("room/a", "k", "kept").await, 1);
    let pushed = v1.push().await;
    program.terminate();
    assert_eq!(v1.closed().await.0, 4003);
    assert_eq!(program.status().await.code(), Some(0));

    let program = Program::start(data.path()).await;
    let (epoch, stored) = program.all_messages("a").await;
    assert_eq!(json!(epoch), v1.welcome["joined"]["epoch"]);
    assert_eq!(stored.len(), 1);
    for field in ["id", "key", "from", "text", "at"] {
        assert_eq!(stored[0][field], pushed["event"][field]);
    }
    let mut back = V1::connect(program.address, "/ws/").await;
    let state = back.join("room/a", Some(&json!({"epoch": epoch, "offset": 1}))).await;
    assert_eq!((&state["recovered"], &state["events"]), (&json!(true), &json!([] as [Value; 0])));
}

#[tokio::test]
async fn what_is_kept_in_memory_ends_with_the_program_and_says_so() {
    let data = tempfile::tempdir().expect("a folder");
    let settings = "[[rooms]]\nmatch = \"*\"\nhistory = \"memory\"\n";
    std::fs::write(data.path().join("Leptos.toml"), settings).expect("a file");
    let mut program = Program::start(data.path()).await;
    let mut v1 = V1::connect(program.address, "/room/a/").await;
    assert_eq!(v1.post("room/a", "k", "passing").await, 1);
    let position = json!({"epoch": v1.position()["epoch"], "offset": 1});
    program.kill();

    let program = Program::start(data.path()).await;
    let mut back = V1::connect(program.address, "/ws/").await;
    assert_eq!(back.join("room/a", None).await["events"], json!([]));
    let mut author = V1::connect(program.address, "/room/a/").await;
    assert_eq!(author.post("room/a", "k", "another life").await, 1);
    // The offset is the same and the message is not: only the epoch tells.
    let state = back.join("room/a", Some(&position)).await;
    assert_eq!(state["recovered"], false);
    assert_ne!(state["epoch"], position["epoch"]);
    assert_eq!(state["events"][0]["event"]["text"], "another life");
}
