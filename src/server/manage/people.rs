//! The people of the server, for those who administer it: a list with a search, what is to be known of each, and what can be done to them.
//! What somebody loses by that ends on all nodes before it is answered.

use std::sync::Arc;

use crate::{
    server::{
        accounts::{Accounts, Purpose, Token},
        audit::{Act, AuditLog, By, Deed},
        lease::{Leases, Taken},
        store::{Records, Row, Statement, StoreError, Value},
    },
    wire::{Person, Timestamp},
};

/// What is known of somebody, of all who have not gone for good.
macro_rules! listed {
    ($conditions:literal) => {
        concat!(
            "SELECT id, handle, name, administrator, origin, created_at, deactivated_at, password IS NOT NULL,
        (SELECT max(used_at) FROM sessions WHERE account_id = accounts.id), folded
    FROM accounts
    WHERE NOT EXISTS (SELECT 1 FROM departures AS d WHERE d.account_id = accounts.id AND d.finished IS NOT NULL) AND ",
            $conditions
        )
    };
}
const LIST: &str = listed!(
    "folded > $1 AND ($2 = '' OR folded LIKE $3 ESCAPE '\\' OR lower(name) LIKE $3 ESCAPE '\\' OR id = $2)
    ORDER BY folded LIMIT $4"
);
const ONE: &str = listed!("id = $1");
const ROOMS: &str = "SELECT m.room, r.title, m.role FROM room_members AS m JOIN room_records AS r ON r.room = m.room
    WHERE m.person = $1 AND r.kind <> 'direct' AND r.deleted IS NULL ORDER BY m.room LIMIT 500";
const COUNTS: &str = "SELECT (SELECT count(*) FROM accounts WHERE deactivated_at IS NULL),
    (SELECT count(*) FROM accounts WHERE deactivated_at IS NULL AND administrator),
    (SELECT count(*) FROM sessions WHERE ends_at > $1)";
/// Who goes for good does not come back.
const REACTIVATE: &str = "UPDATE accounts SET deactivated_at = NULL WHERE id = $1 AND deactivated_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM departures AS d WHERE d.account_id = $1)";
const MAKE_ADMINISTRATOR: &str =
    "UPDATE accounts SET administrator = TRUE WHERE id = $1 AND NOT administrator AND deactivated_at IS NULL";
const UNMAKE_ADMINISTRATOR: &str = "UPDATE accounts SET administrator = FALSE WHERE id = $1 AND administrator
    AND EXISTS (SELECT 1 FROM accounts AS o WHERE o.administrator AND o.deactivated_at IS NULL AND o.id <> $1)";

/// Somebody in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub handle: String,
    pub name: String,
    pub is_administrator: bool,
    /// The site that vouches for them, if one does.
    pub origin: Option<String>,
    pub has_password: bool,
    pub created: Timestamp,
    pub deactivated: Option<Timestamp>,
    /// When a device of theirs was used last, to the hour; none where they are signed in on none.
    pub used: Option<Timestamp>,
    /// Where the list goes on after them.
    pub place: String,
}

/// A room of somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomOf {
    pub group: String,
    pub title: String,
    pub role: String,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub accounts: i64,
    pub administrators: i64,
    pub sessions: i64,
}

/// What is done to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Deactivate,
    Reactivate,
    MakeAdministrator,
    UnmakeAdministrator,
    SignOut,
    /// For who has lost what shows their codes; they sign in with their password alone then.
    RemoveSecondFactor,
}

/// See the [module](self).
pub struct People {
    records: Arc<dyn Records>,
    accounts: Arc<Accounts>,
    audit: AuditLog,
    leases: Arc<Leases>,
}

impl People {
    pub fn new(records: Arc<dyn Records>, accounts: &Arc<Accounts>, audit: &AuditLog, leases: &Arc<Leases>) -> Self {
        Self { records, accounts: Arc::clone(accounts), audit: audit.clone(), leases: Arc::clone(leases) }
    }

    /// Those after a place whose handle or name has this in it, or who have this id, in the order of their handles.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, find: &str, after: &str, most: i64) -> Result<Vec<Listed>, StoreError> {
        let find = find.trim().trim_start_matches('@');
        let mut pattern = String::from("%");
        for sign in find.to_lowercase().chars() {
            if matches!(sign, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(sign);
        }
        pattern.push('%');
        let values: [Value; 4] = [after.into(), find.into(), pattern.into(), most.into()];
        self.records.query(LIST, &values).await?.iter().map(listed).collect()
    }

    /// Somebody by their id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<Listed>, StoreError> {
        self.records.query(ONE, &[id.into()]).await?.first().map(listed).transpose()
    }

    /// The rooms that somebody is a member of, direct ones left out.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn rooms(&self, id: &str) -> Result<Vec<RoomOf>, StoreError> {
        let room = |row: &Row| Ok(RoomOf { group: row.get(0)?, title: row.get(1)?, role: row.get(2)? });
        self.records.query(ROOMS, &[id.into()]).await?.iter().map(room).collect()
    }

    /// How many there are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let rows = self.records.query(COUNTS, &[Timestamp::now().as_millis().into()]).await?;
        let number = |column| rows.first().map_or(Ok(0), |row: &Row| row.get(column));
        Ok(Counts { accounts: number(0)?, administrators: number(1)?, sessions: number(2)? })
    }

    /// Does something to somebody. Says whether it was done: where it is so already it is not, nor to the last who administers the server.
    /// Their rights are those of a session: where they change, all of theirs end, and they sign in with another.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn change(&self, by: &Person, whom: &Listed, change: Change) -> Result<bool, StoreError> {
        let id = whom.id.as_str();
        let records = &self.accounts.records;
        let write = async |sql| records.change_administrators(vec![Statement::new(sql, [id.into()])]).await;
        let (is_done, act) = match change {
            Change::Deactivate => (records.deactivate(id, Timestamp::now().as_millis()).await?, Act::AccountDeactivated),
            Change::Reactivate => (write(REACTIVATE).await?, Act::AccountReactivated),
            Change::MakeAdministrator => (write(MAKE_ADMINISTRATOR).await?, Act::AdministratorMade),
            Change::UnmakeAdministrator => (write(UNMAKE_ADMINISTRATOR).await?, Act::AdministratorUnmade),
            Change::RemoveSecondFactor => (self.accounts.second_factors.switch_off(id).await?, Act::SecondFactorRemoved),
            Change::SignOut => (true, Act::SignedOutEverywhere),
        };
        if !is_done {
            return Ok(false);
        }
        if change != Change::Reactivate {
            self.end(id).await?;
        }
        self.note(by, whom, act).await;
        Ok(true)
    }

    /// A link with which somebody chooses another password, once and within a day.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn reset_link(&self, by: &Person, whom: &Listed) -> Result<Token, StoreError> {
        let now = Timestamp::now().as_millis();
        let token = self.accounts.records.make_link(Purpose::Reset, Some(&whom.id), now).await?;
        self.note(by, whom, Act::ResetLinkMade).await;
        Ok(token)
    }

    /// All sessions of somebody end, and all that is open to them, also by another site.
    async fn end(&self, id: &str) -> Result<(), StoreError> {
        self.accounts.end_all(id, None).await?;
        self.leases.take_back(id, Taken::Everything).await;
        Ok(())
    }

    async fn note(&self, by: &Person, whom: &Listed, act: Act) {
        self.audit.record(&Deed::new(By::Person(by), act).to(&whom.id, &whom.handle)).await;
    }
}

fn listed(row: &Row) -> Result<Listed, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.get::<Option<i64>>(column)?.map(Timestamp::from_millis));
    Ok(Listed {
        id: row.get(0)?,
        handle: row.get(1)?,
        name: row.get(2)?,
        is_administrator: row.get(3)?,
        origin: row.get(4)?,
        created: Timestamp::from_millis(row.get(5)?),
        deactivated: time(6)?,
        has_password: row.get(7)?,
        used: time(8)?,
        place: row.get(9)?,
    })
}
