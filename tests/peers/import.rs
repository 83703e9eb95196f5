//! What a Django project has kept of its own chat comes into a room, by the recipe of `docs/django.md`.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    app::{Http as _, Program, confab},
    support::{
        django::manage,
        people::{People, Project},
    },
    within,
};

/// The documentation has the very command that is run here.
#[test]
fn the_recipe_is_that_of_the_documentation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("a file");
    let (recipe, shown) = (read("tests/django/chat/management/commands/export_messages.py"), read("docs/django.md"));
    assert!(shown.contains(&format!("```python\n{recipe}```\n")), "docs/django.md shows another recipe");
}

#[tokio::test]
async fn the_messages_of_a_project_come_into_a_room() {
    let (project, data) = (Project::on_sqlite(), tempfile::tempdir().expect("a folder"));
    let mut people = People::of(&project).await;
    let ann = people.add("ann", json!({"first_name": "Ann", "last_name": "Lee"})).await;
    people.add("ben", json!({})).await;
    for (username, room, text, created) in [
        ("ben", "lobby", "second", "2019-02-03T04:05:07.000001Z"),
        ("ann", "lobby", "Grüße\nvon \"Ann\"", "2019-02-03T04:05:06.789Z"),
        ("ann", "kitchen", "elsewhere", "2019-02-03T04:05:06Z"),
        ("ann", "lobby", "  ", "2019-02-03T04:05:09Z"),
        ("ann", "lobby", "third", "2019-02-03T05:05:08+01:00"),
    ] {
        people.tell(json!({"do": "say", "username": username, "room": room, "text": text, "created": created})).await;
    }
    let lines = manage(&project, &["export_messages", "lobby"]).await;
    fs::write(data.path().join("lobby.jsonl"), &lines).expect("a file");
    for says in ["lobby: 3 messages imported, 0 there already\n", "lobby: 0 messages imported, 3 there already\n"] {
        let (status, said, error) = confab(&["import", "lobby", "lobby.jsonl", "--data", "."], &[], data.path()).await;
        assert_eq!((status, said.as_str()), (Some(0), says), "{error}");
    }
    let program = Program::start(data.path()).await;
    let (_, all) = program.all_messages("lobby").await;
    let shown: Vec<_> = all.iter().map(|one| (&one["from"]["name"], &one["text"], &one["at"])).collect();
    assert_eq!(
        json!(shown),
        json!([
            ["Ann Lee", "Grüße\nvon \"Ann\"", "2019-02-03T04:05:06.789Z"],
            ["ben", "second", "2019-02-03T04:05:07.000Z"],
            ["Ann Lee", "third", "2019-02-03T04:05:08.000Z"],
        ])
    );
    assert_eq!(all[0]["from"]["id"], Value::from(format!("d{ann}")));
    within("a word in the index", async { while program.api("/api/v1/search?q=second").await.1["hits"] == json!([]) {} }).await;
}
