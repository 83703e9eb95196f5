//! Plain tables in this database.

use std::{error::Error as StdError, task::Poll};

use bytes::BytesMut;
use deadpool_postgres::Object;
use futures_util::poll;
use tokio_postgres::{
    Error, Row as Found, Statement as Prepared,
    types::{IsNull, ToSql, Type, to_sql_checked},
};

use super::{
    error::Failure,
    text::{escape, unescape},
};
use crate::server::{
    causes::with_causes,
    store::{
        error::StoreError,
        records::{Results, Row, Statement, Value, Written},
    },
};

impl ToSql for Value {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Boolean(value) => value.to_sql_checked(of, out),
            Self::Integer(value) => match *of {
                Type::INT4 => i32::try_from(*value)?.to_sql(of, out),
                Type::INT2 => i16::try_from(*value)?.to_sql(of, out),
                _ => value.to_sql_checked(of, out),
            },
            Self::Real(value) => value.to_sql_checked(of, out),
            Self::Text(value) => escape(value).as_ref().to_sql_checked(of, out),
            Self::Bytes(value) => value.to_sql_checked(of, out),
        }
    }

    /// Each value is asked for itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A statement that is prepared, with its values.
pub(super) type Ready<'s> = (Prepared, &'s [Value]);

/// Prepares statements, so that their first poll sends them.
pub(super) async fn prepare<'s>(client: &Object, statements: &'s [Statement]) -> Result<Vec<Ready<'s>>, Error> {
    let mut ready = Vec::with_capacity(statements.len());
    for Statement { sql, values, .. } in statements {
        ready.push((client.prepare_cached(sql).await?, &values[..]));
    }
    Ok(ready)
}

/// Runs statements in their order. The first poll sends all of them.
pub(super) async fn run_all(client: &Object, statements: &[Ready<'_>]) -> Result<Vec<Written>, Failure> {
    let mut under_way = Vec::with_capacity(statements.len());
    for statement in statements {
        let mut run = Box::pin(run(client, statement));
        let done = poll!(run.as_mut());
        under_way.push((run, done));
    }
    let mut all = Vec::with_capacity(statements.len());
    for (run, done) in under_way {
        all.push(match done {
            Poll::Ready(done) => done?,
            Poll::Pending => run.await?,
        });
    }
    Ok(all)
}

/// Writes statements one after the other, in a transaction that has begun.
pub(super) async fn write(client: &Object, statements: &[Statement]) -> Result<Results, Failure> {
    // What comes later may need what is made before.
    let prepared = async |statement: &Statement| client.prepare_cached(statement.sql).await;
    let mut results = Vec::with_capacity(statements.len());
    for statement in statements {
        if !statement.may_fail {
            results.push(Ok(run(client, &(prepared(statement).await?, &statement.values)).await?));
            continue;
        }
        client.batch_execute("SAVEPOINT one").await?;
        let written = async { run(client, &(prepared(statement).await?, &statement.values)).await };
        match written.await {
            Ok(written) => {
                client.batch_execute("RELEASE one").await?;
                results.push(Ok(written));
            }
            Err(Failure::Refused(cause)) if cause.code().is_some() => {
                client.batch_execute("ROLLBACK TO one").await?;
                results.push(Err(StoreError::unavailable(with_causes(&cause))));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(results)
}

/// Runs a statement; gives what it has changed and returned.
pub(super) async fn run(client: &Object, (prepared, values): &Ready<'_>) -> Result<Written, Failure> {
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    if prepared.columns().is_empty() {
        return Ok(Written { changed: client.execute(prepared, &values).await?, rows: Vec::new() });
    }
    let found = client.query(prepared, &values).await?;
    let rows = found.iter().map(row).collect::<Result<Vec<_>, _>>().map_err(Failure::Damaged)?;
    Ok(Written { changed: rows.len() as u64, rows })
}

fn row(found: &Found) -> Result<Row, StoreError> {
    Ok(Row::new(values(found)?))
}

/// The values of a row.
pub(super) fn values(found: &Found) -> Result<Vec<Value>, StoreError> {
    let value = |(number, column): (usize, &tokio_postgres::Column)| {
        Ok(match *column.type_() {
            Type::BOOL => found.get::<_, Option<bool>>(number).into(),
            Type::INT2 => found.get::<_, Option<i16>>(number).map(i64::from).into(),
            Type::INT4 => found.get::<_, Option<i32>>(number).map(i64::from).into(),
            Type::INT8 => found.get::<_, Option<i64>>(number).into(),
            Type::FLOAT4 => found.get::<_, Option<f32>>(number).map(f64::from).into(),
            Type::FLOAT8 => found.get::<_, Option<f64>>(number).into(),
            Type::TEXT | Type::VARCHAR | Type::NAME => found.get::<_, Option<String>>(number).map(unescape).into(),
            Type::BYTEA => found.get::<_, Option<Vec<u8>>>(number).into(),
            ref other => return Err(StoreError::damage(format!("a column has the type {other}, which no value has"))),
        })
    };
    found.columns().iter().enumerate().map(value).collect()
}
