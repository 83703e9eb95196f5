//! The log of who did what: what administrators do, and what happens to accounts, rooms, tokens and the switches of the server.
//!
//! A [`Deed`] is one line of it. Whoever does something writes the deed [with it](Deed::statement), in one transaction, where that is easy,
//! and otherwise [records](AuditLog::record) it afterwards. Nothing secret stands in a deed: of a token, a link or a password its being made
//! or used, never itself. What is older than the settings say goes, and so does the oldest beyond [`MOST`].

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tracing::{debug, error};

use super::{
    random,
    store::{Records, Row, Statement, StoreError, Value},
};
use crate::{
    locales::audit as say,
    wire::{Person, Timestamp},
};

/// How many lines it has at most.
pub const MOST: i64 = 200_000;
/// How often what is too old is deleted.
const EVERY: Duration = Duration::from_mins(10);
/// The longest detail, in characters.
const LONGEST: usize = 500;

const RECORD: &str = "INSERT INTO audit_log (at, id, by_id, by_name, act, subject_id, subject_name, detail)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const PAGE: &str = "SELECT at, id, by_id, by_name, act, subject_id, subject_name, detail FROM audit_log
    WHERE (at < $1 OR at = $1 AND id < $2) ORDER BY at DESC, id DESC LIMIT $3";
const PAGE_OF: &str = "SELECT at, id, by_id, by_name, act, subject_id, subject_name, detail FROM audit_log
    WHERE (at < $1 OR at = $1 AND id < $2) AND (by_id = $4 OR subject_id = $4) ORDER BY at DESC, id DESC LIMIT $3";
const FORGET_OLD: &str = "DELETE FROM audit_log WHERE at < $1";
const FORGET_REST: &str =
    "DELETE FROM audit_log WHERE at < (SELECT at FROM audit_log ORDER BY at DESC, id DESC LIMIT 1 OFFSET $1)";

/// Declares the acts with the words that stand in the table, once published a word stays, and with what pages say.
macro_rules! acts {
    ($($(#[$about:meta])* $name:ident, $word:literal, $says:ident;)+) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Act {
            $($(#[$about])* $name,)+
        }

        impl Act {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// As it stands in the table and in the exported file.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// As a page says it, between who did it and to whom.
            pub fn says(self) -> &'static str {
                match self {
                    $(Self::$name => say::$says(),)+
                }
            }
        }
    };
}

acts! {
    AccountMade, "account.made", account_made;
    AccountDeactivated, "account.deactivated", account_deactivated;
    AccountReactivated, "account.reactivated", account_reactivated;
    AccountDeleted, "account.deleted", account_deleted;
    AdministratorMade, "account.administrator_made", administrator_made;
    AdministratorUnmade, "account.administrator_unmade", administrator_unmade;
    /// The detail says which it was before.
    HandleChanged, "account.handle_changed", handle_changed;
    PasswordChanged, "account.password_changed", password_changed;
    /// By a link that somebody was given.
    PasswordReset, "account.password_reset", password_reset;
    ResetLinkMade, "account.reset_link_made", reset_link_made;
    SignedOutEverywhere, "account.signed_out_everywhere", signed_out_everywhere;
    SessionEnded, "account.session_ended", session_ended;
    SecondFactorAdded, "account.second_factor_added", second_factor_added;
    SecondFactorRemoved, "account.second_factor_removed", second_factor_removed;
    RecoveryCodesMade, "account.recovery_codes_made", recovery_codes_made;
    RecoveryCodeUsed, "account.recovery_code_used", recovery_code_used;
    DataExported, "account.data_exported", data_exported;
    RoomMade, "room.made", room_made;
    RoomArchived, "room.archived", room_archived;
    RoomReopened, "room.reopened", room_reopened;
    RoomDeleted, "room.deleted", room_deleted;
    RoomOwnerGiven, "room.owner_given", room_owner_given;
    RoomInvitationRevoked, "room.invitation_revoked", room_invitation_revoked;
    AddressBanned, "address.banned", address_banned;
    AddressUnbanned, "address.unbanned", address_unbanned;
    InvitationMade, "invitation.made", invitation_made;
    InvitationRevoked, "invitation.revoked", invitation_revoked;
    TokenMade, "token.made", token_made;
    TokenRevoked, "token.revoked", token_revoked;
    AnnouncementMade, "announcement.made", announcement_made;
    AnnouncementEnded, "announcement.ended", announcement_ended;
    Switched, "server.switched", switched;
    ConnectionClosed, "connection.closed", connection_closed;
    ListExported, "server.exported", list_exported;
}

/// Who did it.
#[derive(Clone, Copy, Debug)]
pub enum By<'d> {
    Person(&'d Person),
    /// The server by itself, or somebody before they were anybody, as by the link of the first start.
    Server,
    /// Whoever may run `confab` on the server's machine.
    CommandLine,
}

impl<'d> By<'d> {
    /// Their id, if they have one, and what they are called.
    pub fn named(self) -> (Option<&'d str>, &'d str) {
        match self {
            Self::Person(person) => (Some(&person.id), &person.name),
            Self::Server => (None, "the server"),
            Self::CommandLine => (None, "the command line"),
        }
    }
}

/// Something that was done, to be recorded.
#[derive(Clone, Debug)]
pub struct Deed<'d> {
    by: By<'d>,
    act: Act,
    to: Option<(&'d str, &'d str)>,
    detail: String,
    at: i64,
}

impl<'d> Deed<'d> {
    pub fn new(by: By<'d>, act: Act) -> Self {
        Self { by, act, to: None, detail: String::new(), at: Timestamp::now().as_millis() }
    }

    /// To whom or what: its id, and what people call it.
    #[must_use]
    pub fn to(self, id: &'d str, name: &'d str) -> Self {
        Self { to: Some((id, name)), ..self }
    }

    /// What else there is to know. Nothing secret.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(LONGEST) {
            detail.truncate(end);
        }
        Self { detail, ..self }
    }

    /// When it was done, where that is another moment than now.
    #[must_use]
    pub fn at(self, at: i64) -> Self {
        Self { at, ..self }
    }

    /// What records it, to be written with what was done.
    pub fn statement(&self) -> Statement {
        self.statement_by(RECORD)
    }

    /// The same with an `INSERT` of one's own, that records it only where something else was done. It has `$1` to `$8`: when, an id, the id
    /// and the name of who did it, the act, the id and the name of whom it was done to, and the detail.
    pub fn statement_by(&self, sql: &'static str) -> Statement {
        let (by_id, by_name) = self.by.named();
        let (to_id, to_name) = self.to.unzip();
        let values: [Value; 8] = [
            self.at.into(),
            random::hex_128().into(),
            by_id.into(),
            by_name.into(),
            self.act.word().into(),
            to_id.into(),
            to_name.into(),
            self.detail.as_str().into(),
        ];
        Statement::new(sql, values)
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub at: Timestamp,
    pub id: String,
    /// None where it was no account.
    pub by_id: Option<String>,
    pub by_name: String,
    /// As [`Act::word`] gives it, perhaps one of a later version.
    pub act: String,
    pub to: Option<(String, String)>,
    pub detail: String,
}

impl Recorded {
    /// As a page says it.
    pub fn says(&self) -> &str {
        Act::ALL.iter().find(|act| act.word() == self.act).map_or(&self.act, |act| act.says())
    }
}

/// Where a part of the log ends: the next one is of what is older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub at: i64,
    pub id: String,
}

impl Place {
    /// Before the newest line.
    pub fn newest() -> Self {
        Self { at: i64::MAX, id: String::new() }
    }
}

/// See the [module](self).
#[derive(Clone)]
pub struct AuditLog(Arc<dyn Records>);

impl AuditLog {
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self(records)
    }

    /// Keeps of it what is younger than `keep`, all of it where that is none, as long as the tables are there.
    pub fn keep(&self, keep: Option<Duration>) {
        tokio::spawn(forget(Arc::downgrade(&self.0), keep));
    }

    /// Records what was done a moment ago. Where that cannot be written, the server's own log has it.
    pub async fn record(&self, deed: &Deed<'_>) {
        if let Err(cause) = self.0.write_one(deed.statement()).await {
            error!(?deed, %cause, "what was done could not be recorded");
        }
    }

    /// What is older than a place, the newest first; with an id only what was done by whom or to whom it is.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn page(&self, before: &Place, of: Option<&str>, most: usize) -> Result<Vec<Recorded>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let values: [Value; 3] = [before.at.into(), before.id.as_str().into(), most.into()];
        let rows = match of {
            Some(id) => self.0.query(PAGE_OF, &[&values[..], &[id.into()]].concat()).await?,
            None => self.0.query(PAGE, &values).await?,
        };
        rows.iter().map(recorded).collect()
    }
}

fn recorded(row: &Row) -> Result<Recorded, StoreError> {
    let to: Option<String> = row.get(5)?;
    let to = to.map(|id| Ok::<_, StoreError>((id, row.get::<Option<String>>(6)?.unwrap_or_default()))).transpose()?;
    Ok(Recorded {
        at: Timestamp::from_millis(row.get(0)?),
        id: row.get(1)?,
        by_id: row.get(2)?,
        by_name: row.get(3)?,
        act: row.get(4)?,
        to,
        detail: row.get(7)?,
    })
}

/// Deletes again and again what is too old, and the oldest where there is too much.
async fn forget(records: Weak<dyn Records>, keep: Option<Duration>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(records) = records.upgrade() else { return };
        if let Err(cause) = forget_once(&*records, keep, MOST).await {
            debug!(%cause, "what is too old of the log of who did what could not be deleted yet");
        }
    }
}

async fn forget_once(records: &dyn Records, keep: Option<Duration>, most: i64) -> Result<(), StoreError> {
    let mut statements = vec![Statement::new(FORGET_REST, [(most - 1).into()])];
    if let Some(keep) = keep {
        let since = Timestamp::now().as_millis().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        statements.push(Statement::new(FORGET_OLD, [since.into()]));
    }
    records.write(statements).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::{Durability, SqliteStore};

    fn tables() -> (Arc<dyn Records>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(SqliteStore::open(folder.path(), Durability::Process).unwrap().0), folder)
    }

    #[test]
    fn each_act_has_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = Act::ALL.iter().map(|act| act.word()).collect();
        assert_eq!(words.len(), Act::ALL.len());
    }

    #[tokio::test]
    async fn what_was_done_is_read_in_parts_the_newest_first() {
        let (records, _folder) = tables();
        let log = AuditLog::new(records);
        let ann = Person::new("a1", "Ann");
        for at in 1..=5 {
            // Two in one millisecond.
            let to = if at % 2 == 0 { "a2" } else { "a3" };
            for act in [Act::PasswordReset, Act::SignedOutEverywhere] {
                log.record(&Deed::new(By::Person(&ann), act).to(to, "Bob").at(at)).await;
            }
        }
        log.record(&Deed::new(By::CommandLine, Act::Switched).detail("x".repeat(2 * LONGEST)).at(9)).await;
        let (mut place, mut seen) = (Place::newest(), Vec::new());
        loop {
            let part = log.page(&place, None, 3).await.unwrap();
            let Some(last) = part.last() else { break };
            place = Place { at: last.at.as_millis(), id: last.id.clone() };
            seen.extend(part);
        }
        let times: Vec<_> = seen.iter().map(|line| line.at.as_millis()).collect();
        assert_eq!(times, [9, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1]);
        assert_eq!((seen[0].by_id.as_deref(), &*seen[0].by_name, seen[0].detail.len()), (None, "the command line", LONGEST));
        assert_eq!(seen[1].to, Some(("a3".to_owned(), "Bob".to_owned())));
        let of = async |id| log.page(&Place::newest(), Some(id), 100).await.unwrap().len();
        assert_eq!((of("a1").await, of("a2").await, of("a3").await, of("a4").await), (10, 4, 6, 0));
    }

    #[tokio::test]
    async fn what_is_too_old_goes_and_so_does_the_oldest_of_too_much() {
        let (records, _folder) = tables();
        let log = AuditLog::new(Arc::clone(&records));
        let now = Timestamp::now().as_millis();
        for age in 0..10 {
            log.record(&Deed::new(By::Server, Act::Switched).at(now - age * 60_000)).await;
        }
        let ages = async || {
            let all = log.page(&Place::newest(), None, 100).await.unwrap();
            all.iter().map(|line| (now - line.at.as_millis()) / 60_000).collect::<Vec<_>>()
        };
        forget_once(&*records, None, 100).await.unwrap();
        assert_eq!(ages().await.len(), 10);
        forget_once(&*records, Some(Duration::from_secs(270)), 100).await.unwrap();
        assert_eq!(ages().await, [0, 1, 2, 3, 4]);
        forget_once(&*records, None, 2).await.unwrap();
        assert_eq!(ages().await, [0, 1]);
    }
}
