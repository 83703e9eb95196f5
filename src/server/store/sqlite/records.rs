//! Plain tables in this database.

use rusqlite::{
    Connection, Result, Statement as Prepared, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::server::store::records::{Row, Value, Written};

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Boolean(value) => ValueRef::Integer(i64::from(*value)),
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

/// Runs a statement; gives what it has changed and returned.
pub(super) fn run(connection: &Connection, sql: &str, values: &[Value]) -> Result<Written> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    if statement.column_count() == 0 {
        return Ok(Written { changed: statement.raw_execute()? as u64, rows: Vec::new() });
    }
    let columns = statement.column_count();
    let mut answer = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = answer.next()? {
        let values = (0..columns).map(|column| Ok(value(row.get_ref(column)?)));
        rows.push(Row::new(values.collect::<Result<_>>()?));
    }
    Ok(Written { changed: rows.len() as u64, rows })
}

/// By their names: `SQLite` numbers `$2` and `$1` in the order in which they stand.
fn bind(statement: &mut Prepared<'_>, values: &[Value]) -> Result<()> {
    for (number, value) in (1..).zip(values) {
        if let Some(place) = statement.parameter_index(&format!("${number}"))? {
            statement.raw_bind_parameter(place, value)?;
        }
    }
    Ok(())
}

pub(super) fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Value::Bytes(value.to_vec()),
    }
}
