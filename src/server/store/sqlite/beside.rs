//! The tables of a database that a server has open: for commands that are run beside it. What they write the server finds when it asks.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{error::OpenError, folder::DATABASE, records::run};
use crate::server::store::{
    error::StoreError,
    records::{Records, Results, Row, Statement, Value},
};

/// The server writes in short transactions.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the [module](self).
pub struct Beside(Arc<Mutex<Connection>>);

impl Beside {
    /// Opens the database in a folder, which is there.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let file = folder.join(DATABASE);
        let open = || {
            let connection = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(connection)
        };
        let connection = open().map_err(|cause| OpenError::Database { file: file.clone(), cause })?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&mut connection.lock())).await;
        done.map_err(|cause| StoreError::Unavailable(cause.into()))?.map_err(|cause| StoreError::Unavailable(cause.into()))
    }
}

#[async_trait]
impl Records for Beside {
    async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let values = values.to_vec();
        self.with(move |connection| Ok(run(connection, sql, &values)?.rows)).await
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<Results, StoreError> {
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut results = Vec::with_capacity(statements.len());
            for Statement { sql, values, .. } in &statements {
                results.push(Ok(run(&transaction, sql, values)?));
            }
            transaction.commit()?;
            Ok(results)
        })
        .await
    }
}
