//! People who go for good: their account is deleted, and what they leave behind is put in order.
//!
//! ```text
//!   begin ──► one transaction: the account lets nobody in any more, and a row says that it is to go
//!     └──► finish: rooms get other owners ──► messages and reactions ──► the account has no name, and the row says so
//! ```
//!
//! Whatever [`finish`](Departures::finish) does can be done again. So a server that is killed in the middle, or a store that is away, only
//! puts it off: each node looks every [`EVERY`] whether there is somebody to go, and as soon as it starts.
//!
//! Of an account that has gone its id stays, without anything else: what a guest's secret once was opens nothing by it, and a message without
//! a name has an author whom nobody else can become.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::Notify;
use tracing::{debug, info};

use super::{
    accounts::{Accounts, Handle},
    lease::{Leases, Taken},
    rooms::{FORMER, Rooms, Said},
    store::{Records, Statement, StoreError, Value},
};
use crate::wire::Timestamp;

/// How often is looked whether somebody is to go.
const EVERY: Duration = Duration::from_mins(1);

const CLOSE: &str = "UPDATE accounts SET deactivated_at = COALESCE(deactivated_at, CAST($2 AS bigint)), password = NULL WHERE id = $1
    AND (NOT administrator OR EXISTS (SELECT 1 FROM accounts AS a WHERE a.administrator AND a.deactivated_at IS NULL AND a.id <> $1))";
const BEGIN: &str = "INSERT INTO departures (account_id, said, at) SELECT id, $2, CAST($3 AS bigint) FROM accounts
    WHERE id = $1 AND deactivated_at IS NOT NULL AND password IS NULL ON CONFLICT DO NOTHING";
const ALL: &str = "SELECT account_id, said FROM departures WHERE finished IS NULL ORDER BY at, account_id LIMIT 100";
const NAMELESS: &str =
    "UPDATE accounts SET handle = $2, folded = $3, name = $4, administrator = FALSE, password = NULL, language = NULL, origin = NULL,
    subject = NULL, changed_at = CASE WHEN changed_at < CAST($5 AS bigint) THEN CAST($5 AS bigint) ELSE changed_at + 1 END
    WHERE id = $1";
const FINISHED: &str = "UPDATE departures SET finished = CAST($2 AS bigint) WHERE account_id = $1";
const REST: [&str; 6] = [
    "DELETE FROM sessions WHERE account_id = $1",
    "DELETE FROM links WHERE account_id = $1",
    "DELETE FROM second_factors WHERE account_id = $1",
    "DELETE FROM recovery_codes WHERE account_id = $1",
    "DELETE FROM former_handles WHERE account_id = $1",
    "DELETE FROM room_reads WHERE person = $1",
];

/// See the [module](self).
pub struct Departures {
    records: Arc<dyn Records>,
    accounts: Arc<Accounts>,
    rooms: Arc<Rooms>,
    leases: Arc<Leases>,
    wake: Arc<Notify>,
}

impl Departures {
    pub fn start(records: &Arc<dyn Records>, accounts: &Arc<Accounts>, rooms: &Arc<Rooms>, leases: &Arc<Leases>) -> Arc<Self> {
        let departures = Arc::new(Self {
            records: Arc::clone(records),
            accounts: Arc::clone(accounts),
            rooms: Arc::clone(rooms),
            leases: Arc::clone(leases),
            wake: Arc::default(),
        });
        tokio::spawn(keep(Arc::downgrade(&departures), Arc::clone(&departures.wake)));
        departures
    }

    /// Somebody goes for good: from now on nobody is let in by the account, and all that is open by it ends. The rest follows. Says whether
    /// that was done: the last administrator stays.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn begin(&self, account: &str, said: Said) -> Result<bool, StoreError> {
        let now = Timestamp::now().as_millis();
        let word = if said == Said::Goes { "goes" } else { "stays" };
        let close = Statement::new(CLOSE, [account.into(), now.into()]);
        let begin = Statement::new(BEGIN, [account.into(), word.into(), now.into()]);
        if !self.accounts.records.change_administrators(vec![close, begin]).await? {
            return Ok(false);
        }
        self.accounts.end_all(account, None).await?;
        self.leases.take_back(account, Taken::Everything).await;
        self.wake.notify_one();
        Ok(true)
    }

    /// Puts in order what those leave behind who go.
    ///
    /// # Errors
    /// The store cannot be read or written now. It is tried again.
    async fn finish(&self) -> Result<(), StoreError> {
        loop {
            let rows = self.records.query(ALL, &[]).await?;
            for row in &rows {
                let account: String = row.get(0)?;
                let said = if row.get::<String>(1)? == "goes" { Said::Goes } else { Said::Stays };
                self.accounts.end_all(&account, None).await?;
                self.rooms.part_with(&account).await?;
                self.rooms.silence(&account, said).await?;
                self.forget(&account).await?;
                info!(account, "somebody has gone for good");
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn forget(&self, account: &str) -> Result<(), StoreError> {
        let handle: Handle =
            format!("gone-{account}").parse().map_err(|_| StoreError::damage("an account has an id that none has"))?;
        let now = Timestamp::now().as_millis();
        let values: [Value; 5] = [account.into(), handle.as_str().into(), handle.folded().into(), FORMER.into(), now.into()];
        let mut statements = vec![Statement::new(NAMELESS, values)];
        statements.extend(REST.map(|sql| Statement::new(sql, [account.into()])));
        statements.push(Statement::new(FINISHED, [account.into(), now.into()]));
        self.records.write(statements).await.map(|_| ())
    }
}

async fn keep(departures: Weak<Departures>, wake: Arc<Notify>) {
    loop {
        {
            let Some(departures) = departures.upgrade() else { return };
            if let Err(cause) = departures.finish().await {
                debug!(%cause, "what somebody leaves behind could not be put in order yet");
            }
        }
        // Woken or not, it looks again.
        let _ = tokio::time::timeout(EVERY, wake.notified()).await;
    }
}
