//! Connections to the database, made when they are needed and kept.

use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Timeouts};
use futures_util::future::BoxFuture;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::OpenError;
use crate::server::{
    causes::with_causes,
    postgres_url::PostgresUrl,
    store::{error::StoreError, rows::NotAlone},
};

/// How long a caller waits for a connection, be it made or given back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the database may take to answer before the connection is given up.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// What every connection is set to. Tables are found in the schema of ours. The planner is told what holds for each of our
/// statements, whatever it thinks of tables that are new or have grown since it looked: they go by an index, row for row. A node that
/// stops in the middle of a transaction holds its rooms for less time than others wait for them.
const SETTINGS: &str = "SET search_path = confab; SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET enable_bitmapscan = off; SET idle_in_transaction_session_timeout = '4s';
    SET default_transaction_isolation = 'read committed'; SET lock_timeout = '8s'; SET client_min_messages = warning";
/// For those that write: a statement has one plan for batches of every size, which is made once. To plan for each batch would take longer
/// than to carry it out.
const WRITING: &str = "SET plan_cache_mode = force_generic_plan";
/// Whoever writes as a server says so as long as the connection lasts, and finds out whether a command has the database alone: "Cnfu".
const IN_USE: i64 = 0x436e_6675;
const USING: &str = "DO $$ BEGIN
    IF NOT pg_try_advisory_lock_shared(1131308661) THEN RAISE EXCEPTION 'confab move is at work on it, or confab import; start again when it is done'; END IF;
END $$";
/// Whoever has just stopped may be there for a moment still.
const ALONE: &str = "SET lock_timeout = '3s'; SELECT pg_advisory_lock(1131308661); SET lock_timeout = 0";
const _: () = assert!(IN_USE == 1_131_308_661, "the statements have another number");
/// For whoever has it alone, however long that takes.
const MOVING: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
/// For those that read: what we wait for no longer, the server should not go on with either. Never where there are commits, of which
/// one that waits for a standby would be cut short and pass for done.
const READING: &str = "SET statement_timeout = '8s'";
/// For those that search: there is no other way to read the index of words.
const SEARCHING: &str = "SET statement_timeout = '8s'; SET enable_bitmapscan = on";
/// For what can be made again when a crash undoes it.
const INDEXING: &str = "SET statement_timeout = '8s'; SET synchronous_commit = off";
/// Where a commit would not wait for the disk, it does for ours.
const DURABLE: &str = "SELECT set_config('synchronous_commit', CASE level WHEN 'off' THEN 'on' ELSE level END, false)
    FROM current_setting('synchronous_commit') AS level";

/// What connections are for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Reading,
    Searching,
    Indexing,
    Moving,
    /// `durable`: a commit waits for the disk.
    Writing {
        durable: bool,
    },
}

/// A few connections, each with its prepared statements.
#[derive(Debug)]
pub(super) struct Connections(Pool);

impl Connections {
    /// At most so many; makes none yet.
    pub(super) fn new(url: &PostgresUrl, purpose: Purpose, most: usize) -> Result<Self, OpenError> {
        let tls = url.tls().map_err(OpenError::Certificates)?;
        // A closed connection is noticed by its task; a question before each use would double the round trips.
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(url.config().clone(), Connector { tls, purpose }, config);
        // Each host has its time to take a connection, and one of them to get through with it.
        let each = url.config().get_connect_timeout().copied().unwrap_or(PATIENCE);
        let create = each * (url.config().get_hosts().len() as u32 + 1);
        let timeouts = Timeouts { wait: Some(PATIENCE), create: Some(create), recycle: Some(PATIENCE) };
        let pool = Pool::builder(manager).max_size(most).timeouts(timeouts).runtime(deadpool_postgres::Runtime::Tokio1);
        Ok(Self(pool.build().expect("a runtime for the time limits"))) // never: it is named in the line above
    }

    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.0.get().await.map_err(|cause| match cause {
            PoolError::Backend(cause) => StoreError::unavailable(with_causes(&cause)),
            PoolError::Timeout(_) => StoreError::unavailable("no connection came about in time"),
            other => StoreError::unavailable(other),
        })
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// A connection to a database that no server uses as long as it lasts.
pub(super) async fn alone(url: &PostgresUrl) -> Result<Object, NotAlone> {
    let unusable = |cause: OpenError| NotAlone::Unusable { url: url.clone(), cause: cause.into() };
    let connections = Connections::new(url, Purpose::Moving, 1).map_err(unusable)?;
    let client = connections.get().await;
    let client = client.map_err(|StoreError::Unavailable(cause)| unusable(OpenError::Unreachable(cause)))?;
    match client.batch_execute(ALONE).await {
        Ok(()) => Ok(client),
        Err(cause) if cause.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Err(NotAlone::InUse { url: url.clone() }),
        Err(cause) => Err(unusable(cause.into())),
    }
}

/// Lets others use the database again, at once: the server notices only a moment later that a process has ended.
pub(super) async fn not_alone(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("SELECT pg_advisory_unlock_all()").await
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
    purpose: Purpose,
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let (config, tls, purpose) = (config.clone(), self.tls.clone(), self.purpose);
        Box::pin(async move {
            let (client, connection) = config.connect(tls).await?;
            let task = tokio::spawn(async move {
                // Whoever uses the connection is told the same, and logs it.
                let _ = connection.await;
            });
            client.batch_execute(SETTINGS).await?;
            match purpose {
                Purpose::Reading => client.batch_execute(READING).await?,
                Purpose::Searching => client.batch_execute(SEARCHING).await?,
                Purpose::Indexing => client.batch_execute(INDEXING).await?,
                Purpose::Moving => {
                    client.batch_execute(MOVING).await?;
                    client.batch_execute(DURABLE).await?;
                }
                Purpose::Writing { durable } => {
                    client.batch_execute(&format!("{WRITING}; {USING}")).await?;
                    if durable {
                        client.batch_execute(DURABLE).await?;
                    }
                }
            }
            Ok((client, task))
        })
    }
}
