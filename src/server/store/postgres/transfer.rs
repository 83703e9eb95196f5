//! This database as one of the two ends of a [transfer](super::super::transfer).
//!
//! Nobody else uses it meanwhile: servers hold a lock that can be shared, a transfer holds it [alone]. All that is written is one
//! transaction, the schema with it.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use futures_util::TryStreamExt as _;
use tokio::{pin, sync::mpsc};
use tokio_postgres::{
    Client, Error, Transaction,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::{
    append::digest,
    error::OpenError,
    migrate,
    pool::{alone, not_alone},
    records::values,
};
use crate::server::{
    causes::with_causes,
    postgres_url::PostgresUrl,
    store::{
        error::StoreError,
        records::Value,
        rows::{FORGET_FIRST_START, Gathering, Part, Parts, Progress, Schema, Table, TransferError},
    },
};

/// What only this database has. The index of words is made anew.
const OWN_TABLES: [&str; 3] = ["meta", "search_streams", "search_documents"];
const OWN_COLUMN: (&str, &str) = ("messages", "digest");

const COLUMNS: &str = "SELECT relname::text, array_agg(attname::text) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = to_regnamespace('confab') AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped GROUP BY relname";
/// Further rooms, and their order by activity, go on from what is there.
const GO_ON: &str = "SELECT setval(pg_get_serial_sequence('rooms', 'id'), greatest(max(id), 1), max(id) IS NOT NULL),
        setval('batches', coalesce(max(activity), 0) / 1024 + 1) FROM rooms";

/// Reads a database, which no server may use meanwhile.
pub(in crate::server::store) async fn read_all(
    url: &PostgresUrl,
    schema: &Arc<Schema>,
    parts: mpsc::Sender<Part>,
    progress: &Arc<Progress>,
) -> Result<(), TransferError> {
    let mut client = alone(url).await?;
    // What is not there is not made.
    let there = client.query_one("SELECT to_regclass('confab.meta') IS NOT NULL", &[]).await;
    if !there.map_err(|cause| reading("meta", &cause))?.get::<_, bool>(0) {
        return Err(TransferError::Database { url: url.clone(), cause: "there is no store in it".into() });
    }
    let seed = migrate::to_newest(&mut client).await.map_err(|cause| unusable(url, cause))?;
    let moment = client.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).read_only(true);
    let transaction = moment.start().await.map_err(|cause| unusable(url, cause.into()))?;
    is_known(&transaction, schema).await?;
    let mut total = 0;
    for table in &schema.tables {
        total += count(&transaction, table).await.map_err(|cause| reading(&table.name, &cause))?;
    }
    progress.total.store(total, Relaxed);
    give(&parts, Part::Seed(seed.as_bytes().to_vec())).await?;
    for (number, table) in schema.tables.iter().enumerate() {
        let sql = format!("SELECT {} FROM \"{}\"{}", table.columns(), table.name, order(table));
        let rows = transaction.query_raw(&sql, std::iter::empty::<&Value>()).await;
        let rows = rows.map_err(|cause| reading(&table.name, &cause))?;
        pin!(rows);
        let mut gathering = Gathering::of(number);
        while let Some(row) = rows.try_next().await.map_err(|cause| reading(&table.name, &cause))? {
            let values = values(&row)
                .map_err(|StoreError::Unavailable(cause)| TransferError::Reading { table: table.name.clone(), cause })?;
            if let Some(part) = gathering.add(values) {
                give(&parts, part).await?;
            }
        }
        if let Some(part) = gathering.rest() {
            give(&parts, part).await?;
        }
    }
    transaction.rollback().await.map_err(|cause| unusable(url, cause.into()))?;
    not_alone(&client).await.map_err(|cause| unusable(url, cause.into()))?;
    give(&parts, Part::End).await
}

/// Rooms lie one behind the other then in the other store.
fn order(table: &Table) -> &'static str {
    if table.name == "messages" { r#" ORDER BY room_id, "offset""# } else { "" }
}

async fn give(parts: &mpsc::Sender<Part>, part: Part) -> Result<(), TransferError> {
    parts.send(part).await.map_err(|_| TransferError::Interrupted)
}

/// Fills a database in which there is nothing; gives how many rows each table has.
pub(in crate::server::store) async fn write_all(
    url: &PostgresUrl,
    schema: &Arc<Schema>,
    mut parts: Parts,
    progress: &Arc<Progress>,
) -> Result<Vec<u64>, TransferError> {
    let mut client = alone(url).await?;
    let lost = |cause: Error| unusable(url, cause.into());
    let transaction = Client::transaction(&mut client).await.map_err(lost)?;
    migrate::within(&transaction).await.map_err(|cause| unusable(url, cause))?;
    is_known(&transaction, schema).await?;
    transaction.execute(FORGET_FIRST_START, &[]).await.map_err(|cause| writing("links", &cause))?;
    for table in &schema.tables {
        let writing = |cause| writing(&table.name, &cause);
        if table.begins_with_rows {
            transaction.execute(&format!("DELETE FROM \"{}\"", table.name), &[]).await.map_err(writing)?;
        } else if count(&transaction, table).await.map_err(writing)? > 0 {
            return Err(TransferError::Occupied { url: url.clone(), table: table.name.clone() });
        }
    }
    let transfer = transaction.query_one("SELECT pg_current_xact_id()::text::bigint", &[]).await.map_err(lost)?.get(0);
    let mut read = vec![0; schema.tables.len()];
    let mut next = parts.recv().await;
    loop {
        match next.take().ok_or(TransferError::Interrupted)? {
            Part::Seed(seed) => {
                transaction.execute("UPDATE meta SET seed = $1", &[&seed]).await.map_err(|cause| writing("meta", &cause))?;
                next = parts.recv().await;
            }
            Part::Rows(number, rows) => {
                let (Some(table), Some(read)) = (schema.tables.get(number), read.get_mut(number)) else {
                    return Err(TransferError::Interrupted);
                };
                let mut copying =
                    Copying::begin(&transaction, table, transfer).await.map_err(|cause| writing(&table.name, &cause))?;
                let mut rows = Some(rows);
                // Until those of another table come.
                while let Some(some) = rows.take() {
                    *read += some.len() as u64;
                    progress.done.fetch_add(some.len() as u64, Relaxed);
                    copying.add(some).await.map_err(|cause| writing(&table.name, &cause))?;
                    match parts.recv().await {
                        Some(Part::Rows(same, some)) if same == number => rows = Some(some),
                        other => next = other,
                    }
                }
                copying.finish().await.map_err(|cause| writing(&table.name, &cause))?;
            }
            Part::End => break,
        }
    }
    transaction.execute(GO_ON, &[]).await.map_err(|cause| writing("rooms", &cause))?;
    for (table, read) in schema.tables.iter().zip(&read) {
        table.has_all(*read, count(&transaction, table).await.map_err(|cause| writing(&table.name, &cause))?)?;
    }
    transaction.commit().await.map_err(lost)?;
    not_alone(&client).await.map_err(lost)?;
    Ok(read)
}

/// Whether its tables are those that are carried.
async fn is_known(transaction: &Transaction<'_>, schema: &Schema) -> Result<(), TransferError> {
    let rows = transaction.query(COLUMNS, &[]).await.map_err(|cause| reading("the schema", &cause))?;
    let tables = rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, Vec<String>>(1)));
    let tables = tables.filter(|(name, _)| !OWN_TABLES.contains(&name.as_str()));
    schema.is_that_of(tables.map(|(name, mut columns)| {
        columns.retain(|column| (name.as_str(), column.as_str()) != OWN_COLUMN);
        (name, columns)
    }))
}

async fn count(transaction: &Transaction<'_>, table: &Table) -> Result<u64, Error> {
    let row = transaction.query_one(&format!("SELECT count(*) FROM \"{}\"", table.name), &[]).await?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Rows on their way into a table.
struct Copying {
    out: std::pin::Pin<Box<BinaryCopyInWriter>>,
    types: Vec<Type>,
    of: Own,
}

/// What a row is here that is another thing in the other store.
enum Own {
    Nothing,
    /// A room was touched last by this transaction, in this column.
    Touched(usize, i64),
    /// What makes a message the same one: of the author and the key in these columns.
    Digest(usize, usize),
}

impl Copying {
    async fn begin(transaction: &Transaction<'_>, table: &Table, transfer: i64) -> Result<Self, Error> {
        let (mut columns, mut of) = (table.columns(), Own::Nothing);
        if let (OWN_COLUMN, Some(author), Some(key)) =
            ((table.name.as_str(), "digest"), table.column("author_id"), table.column("key"))
        {
            (columns, of) = (format!("{columns}, \"digest\""), Own::Digest(author, key));
        }
        if let ("rooms", Some(touched)) = (table.name.as_str(), table.column("touched")) {
            of = Own::Touched(touched, transfer);
        }
        let shape = transaction.prepare(&format!("SELECT {columns} FROM \"{}\"", table.name)).await?;
        let types: Vec<Type> = shape.columns().iter().map(|column| column.type_().clone()).collect();
        let sink = transaction.copy_in(&format!("COPY \"{}\" ({columns}) FROM STDIN BINARY", table.name)).await?;
        Ok(Self { out: Box::pin(BinaryCopyInWriter::new(sink, &types)), types, of })
    }

    async fn add(&mut self, rows: Vec<Vec<Value>>) -> Result<(), Error> {
        for mut row in rows {
            match self.of {
                Own::Nothing => {}
                Own::Touched(column, transfer) => row[column] = transfer.into(),
                Own::Digest(author, key) => {
                    let text = |value: &Value| if let Value::Text(text) = value { text.clone() } else { String::new() };
                    row.push(digest(&text(&row[author]), &text(&row[key])).into());
                }
            }
            for (value, of) in row.iter_mut().zip(&self.types) {
                // SQLite has no truth values.
                if let (Value::Integer(number), &Type::BOOL) = (&*value, of) {
                    *value = (*number != 0).into();
                }
            }
            let row: Vec<&(dyn ToSql + Sync)> = row.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            self.out.as_mut().write(&row).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, Error> {
        self.out.as_mut().finish().await
    }
}

fn unusable(url: &PostgresUrl, cause: OpenError) -> TransferError {
    TransferError::Database { url: url.clone(), cause: cause.into() }
}

fn reading(table: &str, cause: &Error) -> TransferError {
    TransferError::Reading { table: table.to_owned(), cause: with_causes(cause).into() }
}

fn writing(table: &str, cause: &Error) -> TransferError {
    TransferError::Writing { table: table.to_owned(), cause: with_causes(cause).into() }
}
