//! Why the database cannot be used, and why something is not committed there.

use thiserror::Error;

use crate::server::{causes::with_causes, store::error::StoreError};

/// Why the database cannot be used. Nothing in it was changed.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The certificates that the server's is to be checked against.
    #[error("{0}")]
    Certificates(String),
    /// No connection came about.
    #[error("it cannot be reached: {0}")]
    Unreachable(Box<dyn std::error::Error + Send + Sync>),
    /// Its texts are not in UTF-8.
    #[error("its encoding is {0}; make a database with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0")]
    Encoding(String),
    /// Another program's schema has our name.
    #[error("it has a schema `confab` that is not Confab's; it is left as it is, use another database")]
    Foreign,
    /// A later version of Confab has written it.
    #[error("it was written by a later version of Confab (schema {found}; this one knows up to {known}); it is left as it is")]
    Newer { found: i32, known: i32 },
    /// It takes no writes: a standby, or set so.
    #[error("it is read-only; with several hosts, add target_session_attrs=read-write")]
    ReadOnly,
    /// It refuses what is asked: no right to make the schema, read-only, ...
    #[error("{}", with_causes(.0))]
    Database(#[from] tokio_postgres::Error),
}

/// Why something is not committed, or not known to be.
pub(super) enum Failure {
    /// The database has refused it; nothing of it is there.
    Refused(tokio_postgres::Error),
    /// There was no connection, or there is none any more: it may or may not be there.
    Lost(StoreError),
    /// What is there cannot be understood.
    Damaged(StoreError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(cause: tokio_postgres::Error) -> Self {
        Self::Refused(cause)
    }
}
