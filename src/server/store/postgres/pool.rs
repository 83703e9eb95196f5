//! Connections to the database, made when they are needed and kept.

use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Timeouts};
use futures_util::future::BoxFuture;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::OpenError;
use crate::server::store::{PostgresUrl, StoreError};

/// How long a caller waits for a connection, be it made or given back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the database may take to answer before the connection is given up.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// What every connection is set to. Tables are found in the schema of ours. The planner is told what holds for each of our
/// statements, whatever it thinks of tables that are new or have grown since it looked: they go by an index, row for row.
const SETTINGS: &str = "SET search_path = confab; SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET enable_bitmapscan = off; SET idle_in_transaction_session_timeout = '30s';
    SET client_min_messages = warning";
/// Where a commit would not wait for the disk, it does for ours.
const DURABLE: &str =
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// A few connections, each with its prepared statements.
#[derive(Debug)]
pub(super) struct Connections(Pool);

impl Connections {
    /// At most so many; makes none yet.
    pub(super) fn new(url: &PostgresUrl, durable: bool, most: usize) -> Result<Self, OpenError> {
        let tls = url.tls().map_err(OpenError::Certificates)?;
        // A closed connection is noticed by its task; a question before each use would double the round trips.
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(url.config().clone(), Connector { tls, durable }, config);
        let timeouts = Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
        let pool = Pool::builder(manager).max_size(most).timeouts(timeouts).runtime(deadpool_postgres::Runtime::Tokio1);
        Ok(Self(pool.build().expect("a runtime for the time limits"))) // never: it is named in the line above
    }

    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.0.get().await.map_err(StoreError::unavailable)
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// Waits for what is `asked` on a connection. One that does not answer in time is not given back: whoever has it next would wait
/// as long, or take the late answer for its own.
pub(super) async fn answer<T>(client: Object, asked: impl AsyncFnOnce(&Object) -> T) -> Result<T, StoreError> {
    let answered = timeout(ANSWER, asked(&client)).await;
    answered.map_err(|_| {
        drop(Object::take(client));
        StoreError::unavailable(format!("no answer within {} seconds", ANSWER.as_secs()))
    })
}

/// Makes connections and sets them up.
#[derive(Clone)]
struct Connector {
    tls: MakeRustlsConnect,
    durable: bool,
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let (config, tls, durable) = (config.clone(), self.tls.clone(), self.durable);
        Box::pin(async move {
            let (client, connection) = config.connect(tls).await?;
            let task = tokio::spawn(async move {
                // Whoever uses the connection is told the same, and logs it.
                let _ = connection.await;
            });
            client.batch_execute(SETTINGS).await?;
            if durable {
                client.batch_execute(DURABLE).await?;
            }
            Ok((client, task))
        })
    }
}
