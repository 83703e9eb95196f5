//! Messages that come into a room of this database [from a file](super::super::import).
//!
//! Whoever does it has the database [alone], so nobody waits for the transaction, however long it is.

use std::{borrow::Cow, collections::HashMap, convert::Infallible};

use deadpool_postgres::{Object, Transaction};
use tokio::sync::mpsc;
use tokio_postgres::Error;

use super::{
    append::digest,
    error::OpenError,
    migrate,
    pool::{alone, not_alone},
    text::{escape, unescape},
};
use crate::{
    server::{
        causes::with_causes,
        postgres_url::PostgresUrl,
        store::{
            import::{Brought, Import, ImportError, Imported, Placed, Placing, There},
            log::change::reactions_to_json,
            rows::NotAlone,
        },
    },
    wire::{Group, Timestamp},
};

const IS_DELETED: &str = "SELECT EXISTS (SELECT FROM room_records WHERE room = $1 AND deleted IS NOT NULL)";
const ROOM: &str = "SELECT id, head FROM rooms WHERE name = $1";
const MAKE_ROOM: &str = "INSERT INTO rooms (name, epoch) VALUES ($1, $2) RETURNING id";
const KNOWN: &str = r#"SELECT digest, "offset", at, text FROM messages WHERE room_id = $1 AND digest = ANY ($2)"#;
const INSERT: &str = r#"INSERT INTO messages
        (room_id, "offset", digest, key, author_id, author_name, text, at, edited, deleted, reactions, changed)
    SELECT $1, given.* FROM unnest($2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
        $9::bigint[], $10::boolean[], $11::text[], $12::bigint[]) AS given"#;
const PUT: &str = r#"INSERT INTO reactions (room_id, "offset", person_id, emoji, name)
    SELECT $1, given.* FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[]) AS given ON CONFLICT DO NOTHING"#;
/// What follows on what is there can be replayed from its end on.
const SAVE_ROOM: &str =
    "UPDATE rooms SET head = $2::bigint, latest = $3, first = CASE WHEN $5 THEN $4 ELSE first END, replayable = $2::bigint + 1,
    activity = nextval('batches') * 1024 + 1, touched = pg_current_xact_id()::text::bigint WHERE id = $1";

/// See [`import`](super::super::transfer::import).
pub(in crate::server::store) async fn import(
    url: &PostgresUrl,
    group: &Group,
    parts: mpsc::Receiver<Import>,
) -> Result<Brought, ImportError> {
    let mut client = alone(url).await?;
    let brought = fill(&mut client, url, group, parts).await?;
    not_alone(&client).await.map_err(writing)?;
    Ok(brought)
}

/// One transaction; it is rolled back where this returns an error.
async fn fill(
    client: &mut Object,
    url: &PostgresUrl,
    group: &Group,
    mut parts: mpsc::Receiver<Import>,
) -> Result<Brought, ImportError> {
    let unusable = |cause: OpenError| NotAlone::Unusable { url: url.clone(), cause: cause.into() };
    let seed = migrate::to_newest(client).await.map_err(unusable)?;
    let transaction = client.transaction().await.map_err(writing)?;
    if transaction.query_one(IS_DELETED, &[&group.as_str()]).await.map_err(writing)?.get(0) {
        return Err(ImportError::Deleted(group.clone()));
    }
    let found = transaction.query_opt(ROOM, &[&group.as_str()]).await.map_err(writing)?;
    let head: Option<i64> = found.as_ref().map(|row| row.get(1));
    let room: i64 = if let Some(row) = found {
        row.get(0)
    } else {
        let epoch = seed.epoch_of(group);
        transaction.query_one(MAKE_ROOM, &[&group.as_str(), &epoch.as_str()]).await.map_err(writing)?.get(0)
    };
    let mut placing = Placing::after(head);
    while let Import::Messages(part) = parts.recv().await.ok_or(ImportError::Interrupted)? {
        let mut known = known(&transaction, room, &part).await.map_err(writing)?;
        let find = |message: &Imported| Ok::<_, Infallible>(known.remove(&name(message)));
        let placed = placing.place(&part, find).unwrap_or_else(|impossible| match impossible {});
        insert(&transaction, room, &placed).await.map_err(writing)?;
    }
    let brought = placing.finish()?;
    if brought.new > 0 {
        let Placing { first, latest, head: end, .. } = placing;
        transaction.execute(SAVE_ROOM, &[&room, &end, &latest, &first, &head.is_none()]).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
    }
    Ok(brought)
}

fn name(message: &Imported) -> Vec<u8> {
    digest(&message.from.id, message.key.as_str())
}

/// What the room has of a part, by what makes it the same.
async fn known(transaction: &Transaction<'_>, room: i64, part: &[Imported]) -> Result<HashMap<Vec<u8>, There>, Error> {
    let names: Vec<Vec<u8>> = part.iter().map(name).collect();
    let find = transaction.prepare_cached(KNOWN).await?;
    let rows = transaction.query(&find, &[&room, &names]).await?;
    let there = rows.iter().map(|row| {
        let there = There { offset: row.get(1), at: row.get(2), text: unescape(row.get(3)) };
        (row.get(0), there)
    });
    Ok(there.collect())
}

async fn insert(transaction: &Transaction<'_>, room: i64, placed: &[Placed<'_>]) -> Result<(), Error> {
    let messages = || placed.iter().map(|placed| placed.message);
    let offsets: Vec<i64> = placed.iter().map(|placed| placed.offset).collect();
    let digests: Vec<Vec<u8>> = messages().map(name).collect();
    let keys: Vec<&str> = messages().map(|message| message.key.as_str()).collect();
    let ids: Vec<Cow<'_, str>> = messages().map(|message| escape(&message.from.id)).collect();
    let names: Vec<Cow<'_, str>> = messages().map(|message| escape(&message.from.name)).collect();
    let texts: Vec<Cow<'_, str>> = messages().map(|message| escape(&message.content.text)).collect();
    let times: Vec<i64> = messages().map(|message| message.at.as_millis()).collect();
    let edited: Vec<Option<i64>> = messages().map(|message| message.content.edited.map(Timestamp::as_millis)).collect();
    let deleted: Vec<bool> = messages().map(|message| message.content.deleted).collect();
    let reactions: Vec<Option<String>> = messages().map(|message| reactions_to_json(&message.content.reactions)).collect();
    let changed: Vec<Option<i64>> = placed.iter().map(|placed| placed.changed).collect();
    let insert = transaction.prepare_cached(INSERT).await?;
    transaction
        .execute(
            &insert,
            &[&room, &offsets, &digests, &keys, &ids, &names, &texts, &times, &edited, &deleted, &reactions, &changed],
        )
        .await?;
    let put = || placed.iter().flat_map(|placed| placed.message.reactors.iter().map(|put| (placed.offset, put)));
    let offsets: Vec<i64> = put().map(|(offset, _)| offset).collect();
    if !offsets.is_empty() {
        let ids: Vec<Cow<'_, str>> = put().map(|(_, (_, person))| escape(&person.id)).collect();
        let emoji: Vec<Cow<'_, str>> = put().map(|(_, (emoji, _))| escape(emoji.as_str())).collect();
        let names: Vec<Cow<'_, str>> = put().map(|(_, (_, person))| escape(&person.name)).collect();
        let insert = transaction.prepare_cached(PUT).await?;
        transaction.execute(&insert, &[&room, &offsets, &ids, &emoji, &names]).await?;
    }
    Ok(())
}

fn writing(cause: Error) -> ImportError {
    ImportError::Writing(with_causes(&cause).into())
}
