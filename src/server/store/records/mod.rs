//! Plain tables, beside the log and in the same databases.
//!
//! A statement has one text for `SQLite` and PostgreSQL: its parameters are `$1`, `$2` and so on, `INSERT ... ON CONFLICT ... RETURNING` is the
//! same in both. The tables are made by `migrations/records`. What is written waits in the same queue as messages, in the order in which it
//! came, and the log writes rows with a message in one transaction.
//!
//! There are none in memory: the server always has a database, and what is forgotten with the process needs no table.

use async_trait::async_trait;

use super::error::StoreError;

mod value;

pub use value::{FromValue, Value};

/// A row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Vec<Value>);

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values)
    }

    /// The value of a column, counted from 0.
    ///
    /// # Errors
    /// It is none of this type.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T, StoreError> {
        let value = self.0.get(column).ok_or_else(|| StoreError::damage(format!("there is no column {column}")))?;
        T::from_value(value).ok_or_else(|| StoreError::damage(format!("column {column} has a value of another type")))
    }
}

/// Something to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
    pub(super) may_fail: bool,
}

impl Statement {
    pub fn new(sql: &'static str, values: impl Into<Vec<Value>>) -> Self {
        Self { sql, values: values.into(), may_fail: false }
    }

    /// Where the database refuses this one, the others are written all the same.
    #[must_use]
    pub fn may_fail(self) -> Self {
        Self { may_fail: true, ..self }
    }

    /// The bytes in it, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.values.iter().map(Value::bytes).sum()
    }
}

/// What a statement has done: how many rows it has changed, and those that it returns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    pub changed: u64,
    pub rows: Vec<Row>,
}

/// What became of statements, one for each. An error is only there for one that [may fail](Statement::may_fail).
pub type Results = Vec<Result<Written, StoreError>>;

/// Tables of one database.
#[async_trait]
pub trait Records: Send + Sync {
    /// The rows of a question.
    ///
    /// # Errors
    /// The store cannot be read now.
    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Writes all of it or nothing, in one transaction; it is durable when this resolves.
    ///
    /// # Errors
    /// The database refuses one of the statements, or cannot write now: nothing is written. Where the connection to it is lost at the end,
    /// nobody knows whether it is.
    async fn write(&self, statements: Vec<Statement>) -> Result<Results, StoreError>;

    /// The same of one statement.
    ///
    /// # Errors
    /// As with several.
    async fn write_one(&self, statement: Statement) -> Result<Written, StoreError> {
        self.write(vec![statement]).await?.pop().unwrap_or_else(|| Ok(Written::default()))
    }
}
