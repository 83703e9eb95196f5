//! The schema and its versions.
//!
//! All of Confab is in the schema `confab` of the database, whose table `meta` counts the migrations that it has had. Nodes that
//! start at once take turns.

use tokio_postgres::{Client, Transaction};

use super::error::OpenError;
use crate::server::store::log::epoch::EpochSeed;

/// Each one brings the schema from its place in this list to the next version. What is published is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/postgres/0001_rooms_and_messages.sql"),
    include_str!("../../../../migrations/postgres/0002_changes.sql"),
    include_str!("../../../../migrations/postgres/0003_search.sql"),
    include_str!("../../../../migrations/postgres/0004_replay.sql"),
    include_str!("../../../../migrations/postgres/0005_words_without_what_nobody_sees.sql"),
    include_str!("../../../../migrations/postgres/0006_reactors.sql"),
    concat!(
        include_str!("../../../../migrations/records/0001_reactions.sql"),
        include_str!("../../../../migrations/records/0001_reactions.postgres.sql")
    ),
    include_str!("../../../../migrations/records/0002_people.sql"),
    include_str!("../../../../migrations/records/0003_accounts.sql"),
    include_str!("../../../../migrations/records/0004_rooms.sql"),
    include_str!("../../../../migrations/records/0005_manage.sql"),
    include_str!("../../../../migrations/records/0006_second_factor.sql"),
    include_str!("../../../../migrations/records/0007_departures.sql"),
    include_str!("../../../../migrations/records/0008_profiles.sql"),
    include_str!("../../../../migrations/records/0009_bans.sql"),
    include_str!("../../../../migrations/records/0010_reads.sql"),
    include_str!("../../../../migrations/records/0011_languages.sql"),
];

/// Holds whoever migrates, in this database; "Cnfb".
const TURN: i64 = 0x436e_6662;

/// Runs the migrations that the database has not had, in one transaction, and gives the seed of its epochs.
pub(super) async fn to_newest(client: &mut Client) -> Result<EpochSeed, OpenError> {
    let transaction = client.transaction().await?;
    let seed = within(&transaction).await?;
    transaction.commit().await?;
    Ok(seed)
}

/// The same in a transaction in which more is to be done.
pub(super) async fn within(transaction: &Transaction<'_>) -> Result<EpochSeed, OpenError> {
    let encoding: String = transaction.query_one("SHOW server_encoding", &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(OpenError::Encoding(encoding));
    }
    let read_only: String = transaction.query_one("SHOW transaction_read_only", &[]).await?.get(0);
    if read_only == "on" {
        return Err(OpenError::ReadOnly);
    }
    // Another node may be at it, and a large table take its time.
    transaction.batch_execute("SET LOCAL lock_timeout = 0").await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&TURN]).await?;
    let found = version(transaction).await?;
    let known = newest();
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (after, migration) in (1_i32..).zip(MIGRATIONS).filter(|(after, _)| *after > found) {
        transaction.batch_execute(migration).await?;
        transaction.execute("UPDATE meta SET version = $1", &[&after]).await?;
    }
    let seed = transaction.query_one("SELECT seed FROM meta", &[]).await?.get(0);
    Ok(EpochSeed::from_bytes(seed))
}

/// What the schema has had; begins it where there is none, or an empty one that was made for it.
async fn version(transaction: &Transaction<'_>) -> Result<i32, OpenError> {
    const FOUND: &str = "SELECT to_regnamespace('confab') IS NOT NULL, to_regclass('confab.meta') IS NOT NULL,
        EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('confab'))";
    const META: &str = "
        -- `seed`: from it and a room's name follows the room's epoch, which so is known before its first message makes the room.
        CREATE TABLE confab.meta (version integer NOT NULL, seed bytea NOT NULL);
        INSERT INTO confab.meta VALUES (0, uuid_send(gen_random_uuid()));";
    let found = transaction.query_one(FOUND, &[]).await?;
    let (schema, meta, anything): (bool, bool, bool) = (found.get(0), found.get(1), found.get(2));
    if meta {
        return Ok(transaction.query_one("SELECT version FROM meta", &[]).await?.get(0));
    }
    if anything {
        return Err(OpenError::Foreign);
    }
    if !schema {
        transaction.batch_execute("CREATE SCHEMA confab").await?;
    }
    transaction.batch_execute(META).await?;
    Ok(0)
}

fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}
