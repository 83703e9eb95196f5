//! The schema and its versions.
//!
//! `user_version` counts the migrations that a database has had, `application_id` tells Confab's databases from others. Both
//! are written in the transaction of the migration, so a database is always of one version.

use std::{fs, path::Path};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, ffi};

use super::{error::OpenError, still::Still};

/// Each one brings the schema from its place in this list to the next version. What is published is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/sqlite/0001_rooms_and_messages.sql"),
    include_str!("../../../../migrations/sqlite/0002_changes.sql"),
    include_str!("../../../../migrations/sqlite/0003_messages_as_they_come.sql"),
    include_str!("../../../../migrations/sqlite/0004_replay.sql"),
    include_str!("../../../../migrations/sqlite/0005_reactors.sql"),
    concat!(
        include_str!("../../../../migrations/records/0001_reactions.sql"),
        include_str!("../../../../migrations/records/0001_reactions.sqlite.sql")
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

/// "Cnfb", as it stands in the header of the file.
const APPLICATION_ID: i64 = 0x436e_6662;

/// Looks at an existing file without changing it: is it empty, or a database of ours and of a version that we know? Gives the
/// version, 0 for an empty one.
pub(super) fn check(file: &Path) -> Result<i64, OpenError> {
    // SQLite deletes the log of an empty file when it opens it.
    if fs::metadata(file).is_ok_and(|file| file.len() == 0) {
        return Ok(0);
    }
    let (application_id, version, objects) = Still::open(file)
        .and_then(|still| look_at(&still.connection))
        .or_else(|cause| match cause.sqlite_error() {
            // A transaction was cut off by a crash. Only who may write can undo the half of it that the file has.
            Some(error) if error.extended_code == ffi::SQLITE_READONLY_ROLLBACK => {
                look_at(&Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
            }
            _ => Err(cause),
        })
        .map_err(|cause| OpenError::Database { file: file.to_owned(), cause })?;
    let known = newest();
    match application_id {
        0 if version == 0 && objects == 0 => Ok(0),
        APPLICATION_ID if version <= known => Ok(version),
        APPLICATION_ID => Err(OpenError::Newer { file: file.to_owned(), found: version, known }),
        _ => Err(OpenError::Foreign { file: file.to_owned() }),
    }
}

fn look_at(connection: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    let number = |sql| connection.query_row(sql, [], |row| row.get(0));
    let objects = number("SELECT count(*) FROM sqlite_schema")?;
    Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?, objects))
}

/// Runs the migrations that the database has not had, each in a transaction of its own.
pub(super) fn to_newest(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (after, migration) in (1_i64..).zip(MIGRATIONS).filter(|(after, _)| *after > version) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", after)?;
        transaction.commit()?;
    }
    Ok(())
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}
