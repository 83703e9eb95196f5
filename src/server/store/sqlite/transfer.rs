//! This database as one of the two ends of a [transfer](super::super::transfer).
//!
//! Its own schema, read off an empty database in memory, is the one by which both ends go: what is in `migrations/records` is the same in
//! both databases.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params_from_iter};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Durability, connect,
    copy::{CopyError, Draft, check, full, vacant},
    error::OpenError,
    folder::{DATABASE, FolderLock},
    migrate, records,
    search::INDEX,
};
use crate::server::store::{
    records::Value,
    rows::{FORGET_FIRST_START, Gathering, Part, Parts, Progress, Schema, Table, TransferError},
};

/// What only this database has: the order in which messages lie on the disk.
const OWN_COLUMN: (&str, &str) = ("messages", "number");
/// What belongs to a database and goes another way.
const OWN_TABLE: &str = "meta";

/// The numbers by which this node's index of words and others follow the rooms rise from entry to entry and share their sequence with those
/// by which rooms sort.
const RENUMBER: &str = "UPDATE rooms SET touched = (SELECT max(activity) FROM rooms) + place
    FROM (SELECT id AS room, row_number() OVER (ORDER BY touched, id) AS place FROM rooms) WHERE room = id";

/// The tables of this version, each after those that it refers to: none is made before them.
pub(in crate::server::store) fn schema() -> Result<Schema, TransferError> {
    let made = || {
        let mut connection = Connection::open_in_memory()?;
        migrate::to_newest(&mut connection)?;
        tables(&connection)
    };
    Ok(Schema { tables: made().map_err(|cause| reading("the schema", cause))? })
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let names: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let table = |name: String| {
        let columns: Vec<String> = connection
            .prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?
            .query_map([&name], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let columns = columns.into_iter().filter(|column| (name.as_str(), column.as_str()) != OWN_COLUMN).collect();
        let begins_with_rows = count(connection, &name)? > 0;
        Ok(Table { name, columns, begins_with_rows })
    };
    names.into_iter().filter(|name| name != OWN_TABLE).map(table).collect()
}

/// Reads the database in a folder, which nobody may use meanwhile.
pub(in crate::server::store) async fn read_all(
    folder: &Path,
    schema: &Arc<Schema>,
    parts: mpsc::Sender<Part>,
    progress: &Arc<Progress>,
) -> Result<(), TransferError> {
    let (folder, schema, progress) = (folder.to_owned(), Arc::clone(schema), Arc::clone(progress));
    let read = spawn_blocking(move || read(&folder, &schema, &parts, &progress));
    read.await.map_err(|cause| TransferError::Reading { table: DATABASE.to_owned(), cause: cause.into() })?
}

fn read(folder: &Path, schema: &Schema, parts: &mpsc::Sender<Part>, progress: &Progress) -> Result<(), TransferError> {
    let file = full(&folder.join(DATABASE))?;
    // Before the lock, which makes the folder.
    check(&file)?;
    let _lock = FolderLock::take(folder)?;
    let unusable = |cause| OpenError::Database { file: file.clone(), cause };
    let mut connection = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE, Durability::Power).map_err(unusable)?;
    migrate::to_newest(&mut connection).map_err(unusable)?;
    let found = tables(&connection).map_err(unusable)?;
    schema.is_that_of(found.into_iter().map(|table| (table.name, table.columns)))?;
    let transaction = connection.transaction().map_err(unusable)?;
    let mut total = 0;
    for table in &schema.tables {
        total += count(&transaction, &table.name).map_err(|cause| reading(&table.name, cause))?;
    }
    progress.total.store(total, Relaxed);
    let seed = transaction.query_row("SELECT value FROM meta WHERE key = 'seed'", [], |row| row.get(0));
    give(parts, Part::Seed(seed.map_err(|cause| reading(OWN_TABLE, cause))?))?;
    for (number, table) in schema.tables.iter().enumerate() {
        let sql = format!("SELECT {} FROM \"{}\"", table.columns(), table.name);
        let mut statement = transaction.prepare(&sql).map_err(|cause| reading(&table.name, cause))?;
        let mut rows = statement.raw_query();
        let mut gathering = Gathering::of(number);
        while let Some(row) = rows.next().map_err(|cause| reading(&table.name, cause))? {
            let values = (0..table.columns.len()).map(|column| Ok(records::value(row.get_ref(column)?)));
            let values = values.collect::<rusqlite::Result<_>>().map_err(|cause| reading(&table.name, cause))?;
            if let Some(part) = gathering.add(values) {
                give(parts, part)?;
            }
        }
        if let Some(part) = gathering.rest() {
            give(parts, part)?;
        }
    }
    give(parts, Part::End)
}

fn give(parts: &mpsc::Sender<Part>, part: Part) -> Result<(), TransferError> {
    parts.blocking_send(part).map_err(|_| TransferError::Interrupted)
}

/// Makes a database of the parts in a folder that has none; gives how many rows each table has.
pub(in crate::server::store) async fn write_all(
    folder: &Path,
    schema: &Arc<Schema>,
    parts: Parts,
    progress: &Arc<Progress>,
) -> Result<Vec<u64>, TransferError> {
    let (folder, schema, progress) = (folder.to_owned(), Arc::clone(schema), Arc::clone(progress));
    let written = spawn_blocking(move || write(&folder, &schema, parts, &progress));
    written.await.map_err(|cause| TransferError::Writing { table: DATABASE.to_owned(), cause: cause.into() })?
}

fn write(folder: &Path, schema: &Schema, parts: Parts, progress: &Progress) -> Result<Vec<u64>, TransferError> {
    let to = full(&folder.join(DATABASE))?;
    // What another database has left there would be taken for a part of this one. Before the lock, whose holder has a database there.
    let is_vacant = || {
        let names = [DATABASE.to_owned(), format!("{DATABASE}-wal"), format!("{DATABASE}-journal"), INDEX.to_owned()];
        names.iter().try_for_each(|name| vacant(&folder.join(name)))
    };
    let is_there = to.is_file();
    if !is_there {
        is_vacant()?;
    }
    let _lock = FolderLock::take(folder)?;
    if is_there {
        if !is_unused(&to, schema) {
            return Err(CopyError::Occupied { file: to }.into());
        }
    } else {
        is_vacant()?;
    }
    let draft = Draft::new(to)?;
    let counts = fill(draft.path(), schema, parts, progress)?;
    if is_there {
        remove(folder).map_err(|cause| OpenError::Folder { folder: folder.to_owned(), cause })?;
    }
    draft.keep()?;
    Ok(counts)
}

/// Whether a file is a database of this version that has nothing but what a first start makes.
fn is_unused(file: &Path, schema: &Schema) -> bool {
    let look = || -> rusqlite::Result<bool> {
        let mut connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let found = tables(&connection)?;
        if schema.is_that_of(found.into_iter().map(|table| (table.name, table.columns))).is_err() {
            return Ok(false);
        }
        // It is undone.
        let transaction = connection.transaction()?;
        transaction.execute(FORGET_FIRST_START, [])?;
        for table in schema.tables.iter().filter(|table| !table.begins_with_rows) {
            if count(&transaction, &table.name)? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    };
    // What is no database of ours is not ours to remove.
    check(file).is_ok() && look().unwrap_or(false)
}

/// Removes a database, that itself last: until then the folder is one whose database is there.
fn remove(folder: &Path) -> io::Result<()> {
    for name in [INDEX, DATABASE] {
        for part in ["-wal", "-shm", "-journal", ""] {
            match fs::remove_file(folder.join(format!("{name}{part}"))) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
        }
    }
    Ok(())
}

fn fill(file: &Path, schema: &Schema, mut parts: Parts, progress: &Progress) -> Result<Vec<u64>, TransferError> {
    let failed = |cause| writing(DATABASE, cause);
    let mut connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    // It is synced as a whole when it is done, and thrown away if it never is. What refers to nothing is looked for at the end.
    for (pragma, value) in [("journal_mode", "memory"), ("synchronous", "off"), ("foreign_keys", "off")] {
        connection.pragma_update(None, pragma, value).map_err(failed)?;
    }
    migrate::to_newest(&mut connection).map_err(failed)?;
    let transaction = connection.transaction().map_err(failed)?;
    for table in schema.tables.iter().filter(|table| table.begins_with_rows) {
        transaction.execute(&format!("DELETE FROM \"{}\"", table.name), []).map_err(failed)?;
    }
    let mut read = vec![0; schema.tables.len()];
    loop {
        match parts.blocking_recv().ok_or(TransferError::Interrupted)? {
            Part::Seed(seed) => {
                transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'seed'", [seed]).map_err(failed)?;
            }
            Part::Rows(number, rows) => {
                let (Some(table), Some(read)) = (schema.tables.get(number), read.get_mut(number)) else { continue };
                insert(&transaction, table, &rows).map_err(|cause| writing(&table.name, cause))?;
                *read += rows.len() as u64;
                progress.done.fetch_add(rows.len() as u64, Relaxed);
            }
            Part::End => break,
        }
    }
    transaction.execute(RENUMBER, []).map_err(failed)?;
    for (table, read) in schema.tables.iter().zip(&read) {
        let written = count(&transaction, &table.name).map_err(|cause| writing(&table.name, cause))?;
        table.has_all(*read, written)?;
    }
    if let Some(table) = astray(&transaction).map_err(failed)? {
        return Err(TransferError::Writing { table, cause: "a row refers to another that is not there".into() });
    }
    transaction.commit().map_err(failed)?;
    connection.close().map_err(|(_, cause)| failed(cause))?;
    Ok(read)
}

/// A table with a row that refers to one that is not there.
fn astray(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1", [], |row| row.get(0)).optional()
}

fn insert(connection: &Connection, table: &Table, rows: &[Vec<Value>]) -> rusqlite::Result<()> {
    let places: Vec<String> = (1..=table.columns.len()).map(|place| format!("?{place}")).collect();
    let sql = format!("INSERT INTO \"{}\" ({}) VALUES ({})", table.name, table.columns(), places.join(", "));
    let mut statement = connection.prepare_cached(&sql)?;
    for row in rows {
        statement.execute(params_from_iter(row))?;
    }
    Ok(())
}

fn count(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    connection.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

fn reading(table: &str, cause: rusqlite::Error) -> TransferError {
    TransferError::Reading { table: table.to_owned(), cause: cause.into() }
}

fn writing(table: &str, cause: rusqlite::Error) -> TransferError {
    TransferError::Writing { table: table.to_owned(), cause: cause.into() }
}

impl From<OpenError> for TransferError {
    fn from(cause: OpenError) -> Self {
        Self::Folder(cause.into())
    }
}

impl From<CopyError> for TransferError {
    fn from(cause: CopyError) -> Self {
        Self::Folder(cause.into())
    }
}
