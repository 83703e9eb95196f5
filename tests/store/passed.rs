//! What somebody has written into a database that no message, no change and no room can be: it is passed over.

use std::{fs, sync::Arc};

use confab::{
    server::store::{Log, Slice},
    wire::{Content, Offset},
};
use rusqlite::Connection;

use crate::{
    acknowledge_all, append,
    changes::{changed, react},
    fill, group, message, offsets, postgres, read,
    support::postgres::{Postgres, connection},
};

/// Of the lobby the second message, of the den the only one; the lobby's second change, which is the entry 6.
const BROKEN: &str = r#"
    UPDATE messages SET reactions = '{' WHERE "offset" = 2 AND room_id = (SELECT id FROM rooms WHERE name = 'lobby');
    UPDATE messages SET key = '' WHERE room_id = (SELECT id FROM rooms WHERE name = 'den');
    UPDATE changes SET emoji = '' WHERE "offset" = 6"#;

async fn is_passed_over(store: &impl Log, breaks: impl AsyncFnOnce()) {
    append(store, message("attic", "k", "quiet")).await;
    append(store, message("den", "k", "quiet")).await;
    fill(store, "lobby", 4).await;
    let epoch = read(store, "lobby", Slice::Latest, 1).await.head.epoch;
    let id = confab::wire::MessageId { epoch, offset: Offset(1) };
    for emoji in ["a", "b", "c"] {
        changed(store, react(&id, "bob", emoji, true)).await;
    }
    breaks().await;
    let page = read(store, "lobby", Slice::Latest, 9).await;
    assert_eq!((offsets(&page), &page.unreadable[..]), (vec![1, 2, 3, 4], &[Offset(2)][..]));
    let stands = &page.messages[1].message;
    assert_eq!(stands.content, Content { deleted: true, ..Content::default() });
    assert_eq!(stands.from.id, "ann", "what can be read is told");
    // Who was before the change that is lost begins anew, who was behind it is brought level.
    let missed = store.entries(&group("lobby"), Offset(1), 9, 9_999).await.expect("entries");
    assert_eq!((missed.first, missed.entries.len()), (Offset(7), 1));
    let rooms = store.rooms(9).await.expect("a list").into_iter().map(|room| room.group.to_string()).collect::<Vec<_>>();
    assert_eq!(rooms, ["lobby", "attic"]);
    assert_eq!(read(store, "den", Slice::Latest, 9).await.unreadable, [Offset(1)]);
}

#[tokio::test]
async fn what_is_broken_in_a_sqlite_database_keeps_nobody_from_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, commits) = crate::sqlite::open(folder.path());
    let _reader = acknowledge_all(commits);
    let file = folder.path().join("confab.db");
    is_passed_over(&store, async || {
        assert!(fs::exists(&file).expect("a folder"));
        Connection::open(&file).and_then(|connection| connection.execute_batch(BROKEN)).expect("broken");
    })
    .await;
    assert!(store.trouble().await.is_none(), "the file itself is whole");
}

#[tokio::test]
async fn what_is_broken_in_a_postgresql_database_keeps_nobody_from_the_rest() {
    let server: Arc<Postgres> = Postgres::shared().await;
    let url = server.database().await;
    let (store, commits) = postgres::open(&url).await;
    let _reader = acknowledge_all(commits);
    is_passed_over(&store, async || {
        let client = connection(&url).await;
        client.batch_execute(&format!("SET search_path = confab; {BROKEN}")).await.expect("broken");
    })
    .await;
}
