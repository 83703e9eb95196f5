//! The tables of a Django project: its users, and its sessions where they are in them. They are only read, by one question for
//! as many as are asked for.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Timeouts};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::{sync::OnceCell, task::spawn_blocking, time::timeout};
use tokio_postgres::types::Type;

use super::Trouble;
use crate::server::{
    causes::with_causes,
    postgres_url::PostgresUrl,
    settings::{DjangoDatabase, DjangoSettings, SqlName},
};

/// How long the database may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// So many are asked at the same time.
const CONNECTIONS: usize = 4;

/// What the project knows of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) username: String,
    /// As it is kept: a digest.
    pub(super) password: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) is_active: bool,
}

pub(super) struct Database {
    way: Way,
    /// What is selected of users, and where; the condition follows.
    users: String,
    /// The column that tells them apart.
    user_id: String,
    /// The type of that column in PostgreSQL.
    id_type: OnceCell<IdType>,
    /// What is selected of sessions; the condition follows.
    sessions: String,
}

enum Way {
    Sqlite(Arc<Readers>),
    Postgres(Pool),
}

/// What primary keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdType {
    Integer,
    Uuid,
    /// Compared as text, whatever it is.
    Text,
}

impl Database {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The certificates that are to be trusted cannot be read.
    pub(super) fn new(database: &DjangoDatabase, settings: &DjangoSettings) -> Result<Self, Trouble> {
        let DjangoSettings { session_table, user_table, user_id, username, password, first_name, last_name, is_active, .. } =
            settings;
        let way = match database {
            DjangoDatabase::Sqlite(file) => Way::Sqlite(Arc::new(Readers { file: file.clone(), idle: Mutex::default() })),
            DjangoDatabase::Postgres(url) => Way::Postgres(pool(url)?),
        };
        let text = |column: &SqlName| format!("COALESCE(CAST({} AS text), '')", column.quoted());
        let optional = |column: &Option<SqlName>| column.as_ref().map_or_else(|| "''".to_owned(), text);
        let is_active =
            is_active.as_ref().map_or_else(|| "1".to_owned(), |column| format!("CAST({} AS integer)", column.quoted()));
        let columns = [text(user_id), text(username), text(password), optional(first_name), optional(last_name), is_active];
        Ok(Self {
            way,
            users: format!("SELECT {} FROM {}", columns.join(", "), user_table.quoted()),
            user_id: user_id.quoted(),
            id_type: OnceCell::new(),
            sessions: format!("SELECT session_key, session_data FROM {}", session_table.quoted()),
        })
    }

    /// What is kept of each of these sessions that is there and not over, by its key.
    pub(super) async fn sessions(&self, keys: Vec<String>) -> Result<HashMap<String, String>, Trouble> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        match &self.way {
            Way::Sqlite(readers) => {
                let sql = format!(
                    "{} WHERE session_key IN (SELECT value FROM json_each(?1)) AND expire_date > strftime('%Y-%m-%d %H:%M:%f', 'now')",
                    self.sessions
                );
                readers.rows(sql, keys, |row| Ok((row.get(0)?, row.get(1)?))).await
            }
            Way::Postgres(pool) => {
                let sql = format!("{} WHERE session_key = ANY($1) AND expire_date > now()", self.sessions);
                let rows = ask(pool, async |client| client.query(&client.prepare_cached(&sql).await?, &[&keys]).await).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
            }
        }
    }

    /// Each of these users that is there, by the text of their primary key.
    pub(super) async fn users(&self, ids: Vec<String>) -> Result<HashMap<String, Row>, Trouble> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        match &self.way {
            Way::Sqlite(readers) => {
                // A UUID is kept there without its dashes.
                let forms = ids.iter().flat_map(|id| [id.clone(), id.replace('-', "")]).collect();
                let sql = format!("{} WHERE {} IN (SELECT value FROM json_each(?1))", self.users, self.user_id);
                let read = |row: &rusqlite::Row<'_>| {
                    let is_active: Option<i64> = row.get(5)?;
                    let [username, password, first_name, last_name] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
                    Ok((row.get(0)?, Row { username, password, first_name, last_name, is_active: is_active == Some(1) }))
                };
                let found: HashMap<String, Row> = readers.rows(sql, forms, read).await?;
                let of = |id: &String| found.get(id).or_else(|| found.get(&id.replace('-', ""))).cloned();
                Ok(ids.iter().filter_map(|id| Some((id.clone(), of(id)?))).collect())
            }
            Way::Postgres(pool) => {
                let id_type = *self.id_type.get_or_try_init(|| self.ask_id_type(pool)).await?;
                let ids: Vec<String> = ids.into_iter().filter(|id| id_type.has(id)).collect();
                let condition = match id_type {
                    IdType::Integer => format!("{} = ANY(CAST(CAST($1 AS text[]) AS bigint[]))", self.user_id),
                    IdType::Uuid => format!("{} = ANY(CAST(CAST($1 AS text[]) AS uuid[]))", self.user_id),
                    IdType::Text => format!("CAST({} AS text) = ANY($1)", self.user_id),
                };
                let sql = format!("{} WHERE {condition}", self.users);
                let rows = ask(pool, async |client| client.query(&client.prepare_cached(&sql).await?, &[&ids]).await).await?;
                let row = |row: &tokio_postgres::Row| {
                    let is_active: Option<i32> = row.try_get(5)?;
                    Ok((
                        row.try_get(0)?,
                        Row {
                            username: row.try_get(1)?,
                            password: row.try_get(2)?,
                            first_name: row.try_get(3)?,
                            last_name: row.try_get(4)?,
                            is_active: is_active == Some(1),
                        },
                    ))
                };
                rows.iter().map(row).collect()
            }
        }
    }

    async fn ask_id_type(&self, pool: &Pool) -> Result<IdType, Trouble> {
        let sql = self.users.split_once(" FROM ").map(|(_, table)| format!("SELECT {} FROM {table}", self.user_id));
        let sql = sql.unwrap_or_default();
        let statement = ask(pool, async |client| client.prepare(&sql).await).await?;
        Ok(match statement.columns().first().map(tokio_postgres::Column::type_) {
            Some(id) if [Type::INT2, Type::INT4, Type::INT8].contains(id) => IdType::Integer,
            Some(id) if *id == Type::UUID => IdType::Uuid,
            _ => IdType::Text,
        })
    }
}

impl IdType {
    /// Whether a text can be such a key. One that cannot would have the database refuse all that it is asked together with.
    fn has(self, id: &str) -> bool {
        match self {
            Self::Integer => id.parse::<i64>().is_ok(),
            Self::Uuid => {
                let dashes = [8, 13, 18, 23];
                id.len() == 36
                    && id.bytes().enumerate().all(
                        |(at, byte)| {
                            if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
                        },
                    )
            }
            Self::Text => !id.contains('\0'),
        }
    }
}

/// Connections to a file of `SQLite`, each used by one question at a time.
struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// The rows of a question about a list of texts, which it has as JSON.
    async fn rows<T: Send + 'static>(
        self: &Arc<Self>,
        sql: String,
        list: Vec<String>,
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<(String, T)> + Send + 'static,
    ) -> Result<HashMap<String, T>, Trouble> {
        let readers = Arc::clone(self);
        let asked = spawn_blocking(move || {
            let idle = readers.idle.lock().pop();
            let connection = idle.map_or_else(|| readers.connect(), Ok)?;
            let list = serde_json::Value::from(list).to_string();
            let rows = connection.prepare_cached(&sql)?.query_map([list], read)?.collect::<rusqlite::Result<_>>()?;
            let mut idle = readers.idle.lock();
            if idle.len() < CONNECTIONS {
                idle.push(connection);
            }
            Ok(rows)
        });
        let asked: rusqlite::Result<_> = asked.await.map_err(|cause| Trouble::Away(cause.to_string()))?;
        asked.map_err(|cause| match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Trouble::Away(cause.to_string()),
            _ => Trouble::Wrong(format!("{}: {cause}", self.file.display())),
        })
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        connection.busy_timeout(ANSWER)?;
        Ok(connection)
    }
}

fn pool(url: &PostgresUrl) -> Result<Pool, Trouble> {
    let tls = url.tls().map_err(Trouble::Wrong)?;
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(url.config().clone(), tls, config);
    let timeouts = Timeouts { wait: Some(ANSWER), create: Some(ANSWER), recycle: Some(ANSWER) };
    let pool = Pool::builder(manager).max_size(CONNECTIONS).timeouts(timeouts).runtime(deadpool_postgres::Runtime::Tokio1);
    pool.build().map_err(|cause| Trouble::Wrong(cause.to_string()))
}

/// Asks on a connection of the pool. One that does not answer in time is not used again.
async fn ask<T>(pool: &Pool, question: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>) -> Result<T, Trouble> {
    let client = pool.get().await.map_err(|cause| Trouble::Away(with_causes(&cause)))?;
    let Ok(answer) = timeout(ANSWER, question(&client)).await else {
        drop(Object::take(client));
        return Err(Trouble::Away(format!("no answer within {} seconds", ANSWER.as_secs())));
    };
    Ok(answer?)
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(cause: tokio_postgres::Error) -> Self {
        // What the server says about names and types is no passing trouble: classes 42 and 22 of SQLSTATE.
        let is_wrong = cause.code().is_some_and(|code| code.code().starts_with("42") || code.code().starts_with("22"));
        if is_wrong { Self::Wrong(with_causes(&cause)) } else { Self::Away(with_causes(&cause)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_type_is_nobodys() {
        for (id_type, good, bad) in [
            (IdType::Integer, &["1", "-7", "9223372036854775807"][..], &["", "a", "9223372036854775808", "1 OR 1=1"][..]),
            (IdType::Uuid, &["01234567-89ab-cdef-0123-456789ABCDEF"], &["", "0123456789abcdef0123456789abcdef", "x"]),
            (IdType::Text, &["", "ann"], &["\0"]),
        ] {
            assert!(good.iter().all(|id| id_type.has(id)) && !bad.iter().any(|id| id_type.has(id)), "{id_type:?}");
        }
    }
}
