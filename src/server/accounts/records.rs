//! The tables of accounts: `migrations/records/0003_accounts.sql`.

use std::{fmt, sync::Arc, time::Duration};

use super::{Handle, SecondFactors, Token, TokenDigest};
use crate::{
    locales::{Language, accounts as say},
    server::{
        audit::{Act, By, Deed},
        store::{Records, Row, Statement, StoreError, Value, Written},
    },
    wire::{Person, PersonName},
};

/// How many sessions an account has at most; the one that was used longest ago makes room.
const SESSIONS: i64 = 50;
/// How long nobody else gets a handle that somebody had,
const KEPT: Duration = Duration::from_hours(30 * 24);
/// and how many of these somebody has at a time: so often another one may be taken.
const HANDLES: i64 = 3;
/// How long the token that a session had before is known, in milliseconds: requests with it are on their way.
const ROTATED: i64 = 60_000;

const CREATE: &str =
    "INSERT INTO accounts (id, handle, folded, name, administrator, password, origin, subject, created_at, changed_at)
    SELECT $1, $2, $3, $4, CAST($5 AS boolean), $6, $7, $8, CAST($9 AS bigint), CAST($9 AS bigint)
    WHERE NOT EXISTS (SELECT 1 FROM former_handles WHERE folded = $3 AND account_id <> $1 AND until > $9) ON CONFLICT DO NOTHING";
/// The same by an invitation that was used for it.
const CREATE_INVITED: &str =
    "INSERT INTO accounts (id, handle, folded, name, administrator, password, origin, subject, created_at, changed_at)
    SELECT $1, $2, $3, $4, CAST($5 AS boolean), $6, $7, $8, CAST($9 AS bigint), CAST($9 AS bigint)
    WHERE NOT EXISTS (SELECT 1 FROM former_handles WHERE folded = $3 AND account_id <> $1 AND until > $9)
    AND EXISTS (SELECT 1 FROM sign_up_invitations WHERE digest = $10 AND last_by = $1) ON CONFLICT DO NOTHING";
const USE_INVITATION: &str = "UPDATE sign_up_invitations SET uses = uses - 1, last_by = $2
    WHERE digest = $1 AND uses > 0 AND ends_at > $3";
/// It is given back where nobody came by it.
const INVITATION_USED: &str = "UPDATE sign_up_invitations SET last_by = NULL,
    uses = uses + CASE WHEN EXISTS (SELECT 1 FROM accounts WHERE id = $2 AND created_at = $3) THEN 0 ELSE 1 END
    WHERE digest = $1 AND last_by = $2";
const IS_INVITED: &str = "SELECT note FROM sign_up_invitations WHERE digest = $1 AND uses > 0 AND ends_at > $2";
/// That it was made, where it was.
const NOTE_MADE: &str = "INSERT INTO audit_log (at, id, by_id, by_name, act, subject_id, subject_name, detail)
    SELECT CAST($1 AS bigint), $2, $3, $4, $5, $6, $7, $8 FROM accounts WHERE id = $6 AND created_at = CAST($1 AS bigint)";
const BY_ID: &str = "SELECT id, handle, name, administrator, password, deactivated_at, language FROM accounts WHERE id = $1";
const BY_HANDLE: &str =
    "SELECT id, handle, name, administrator, password, deactivated_at, language FROM accounts WHERE folded = $1";
const BY_SUBJECT: &str = "SELECT id, handle, name, administrator, password, deactivated_at, language FROM accounts WHERE origin = $1 AND subject = $2";
/// But for those of which nothing is left but the id.
const ALL: &str = "SELECT id, handle, name, administrator, password, deactivated_at, language FROM accounts
    WHERE NOT EXISTS (SELECT 1 FROM departures AS d WHERE d.account_id = accounts.id AND d.finished IS NOT NULL) ORDER BY folded";
/// When somebody is seen otherwise: later than before, whatever the clocks say.
macro_rules! changed_at {
    ($now:literal) => {
        concat!(
            "changed_at = CASE WHEN changed_at < CAST(",
            $now,
            " AS bigint) THEN CAST(",
            $now,
            " AS bigint) ELSE changed_at + 1 END"
        )
    };
}
const RENAME: &str = concat!("UPDATE accounts SET name = $2, ", changed_at!("$3"), " WHERE id = $1");
/// But not one that somebody else has, or had of late; and not more often than may be, unless it was one's own or is only written otherwise.
const TAKE_HANDLE: &str = concat!(
    "UPDATE accounts SET handle = $2, folded = $3, ",
    changed_at!("$5"),
    " WHERE id = $1 AND folded = $4
    AND NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.folded = $3 AND a.id <> $1)
    AND NOT EXISTS (SELECT 1 FROM former_handles AS f WHERE f.folded = $3 AND f.account_id <> $1 AND f.until > $5)
    AND (folded = $3 OR EXISTS (SELECT 1 FROM former_handles AS f WHERE f.folded = $3 AND f.account_id = $1)
        OR (SELECT count(*) FROM former_handles AS f WHERE f.account_id = $1 AND f.until > $5) < $6)"
);
/// Where another was taken, the one before is nobody else's for a while,
const KEEP_HANDLE: &str = "INSERT INTO former_handles (folded, account_id, until)
    SELECT CAST($3 AS text), id, CAST($4 AS bigint) FROM accounts WHERE id = $1 AND folded = $2 AND folded <> CAST($3 AS text)
    ON CONFLICT (folded) DO UPDATE SET account_id = excluded.account_id, until = excluded.until";
/// and the one that was taken back is theirs again.
const HAVE_HANDLE: &str = "DELETE FROM former_handles WHERE folded = $2
    AND EXISTS (SELECT 1 FROM accounts AS a WHERE a.id = $1 AND a.folded = $2)";
const HOLDERS: &str = "SELECT id FROM accounts WHERE folded = $1
    UNION ALL SELECT account_id FROM former_handles WHERE folded = $1 AND until > $2";
const NEXT_HANDLE: &str = "SELECT min(until) FROM former_handles WHERE account_id = $1 AND until > $2";
const FORMER_HANDLES: &str = "SELECT folded, until FROM former_handles WHERE account_id = $1 ORDER BY until, folded";
const FORGET_HANDLES: &str = "DELETE FROM former_handles WHERE until <= $1";
/// Of whom nothing is left but the id it is said.
const SINCE: &str = "SELECT id, handle, name, changed_at,
        EXISTS (SELECT 1 FROM departures AS d WHERE d.account_id = accounts.id AND d.finished IS NOT NULL)
    FROM accounts WHERE changed_at >= $1";
const SEEN: &str = "SELECT id, handle, name, changed_at,
        EXISTS (SELECT 1 FROM departures AS d WHERE d.account_id = accounts.id AND d.finished IS NOT NULL)
    FROM accounts WHERE id = $1";

const BEGIN: &str = "INSERT INTO sessions (id, digest, rotated_at, account_id, device, created_at, used_at, ends_at)
    VALUES ($1, $2, $4, $3, $5, $4, $4, $6)";
const MAKE_ROOM: &str = "DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE account_id = $1 ORDER BY used_at DESC, id LIMIT 1000000 OFFSET $2
    ) RETURNING id";
const FIND: &str = "SELECT sessions.id, used_at, accounts.id, handle, name, administrator,
        EXISTS (SELECT 1 FROM second_factors AS f WHERE f.account_id = accounts.id AND f.since IS NOT NULL), changed_at, language
    FROM sessions JOIN accounts ON accounts.id = account_id
    WHERE (digest = $1 OR previous = $1 AND rotated_at > $3) AND ends_at > $2 AND deactivated_at IS NULL";
const USED: &str = "UPDATE sessions SET used_at = $2, ends_at = $3 WHERE id = $1";
const ROTATE: &str = "UPDATE sessions SET previous = digest, digest = $2, rotated_at = $3 WHERE id = $1";
const OF_ACCOUNT: &str = "SELECT id, device, created_at, used_at FROM sessions WHERE account_id = $1 AND ends_at > $2
    ORDER BY used_at DESC, id";
const END: &str = "DELETE FROM sessions WHERE account_id = $1 AND id = $2 RETURNING id";
const END_ALL: &str = "DELETE FROM sessions WHERE account_id = $1 AND id <> $2 RETURNING id";
const SET_LANGUAGE: &str = "UPDATE accounts SET language = $2 WHERE id = $1";
const SET_PASSWORD: &str = "UPDATE accounts SET password = $2 WHERE id = $1";
const DEACTIVATE: &str = "UPDATE accounts SET deactivated_at = CAST($2 AS bigint) WHERE id = $1 AND deactivated_at IS NULL
    AND (NOT administrator OR EXISTS (SELECT 1 FROM accounts AS a WHERE a.administrator AND a.deactivated_at IS NULL AND a.id <> $1))";
/// Who administers the server is changed by one after the other, also from several nodes: or the last two would go at once, each looking at
/// the other.
const TURN: &str = "UPDATE manage_changes SET changes = changes + 1";
const ADMINISTRATORS: &str = "SELECT id FROM accounts WHERE administrator AND deactivated_at IS NULL LIMIT 1";
const MAKE_LINK: &str = "INSERT INTO links (digest, purpose, account_id, ends_at) VALUES ($1, $2, $3, $4)";
const DROP_LINKS: &str = "DELETE FROM links WHERE purpose = $1 AND (account_id = CAST($2 AS text) OR account_id IS NULL AND CAST($2 AS text) IS NULL)";
const LINK: &str = "SELECT account_id FROM links WHERE digest = $1 AND purpose = $2 AND ends_at > $3";
const SPEND: &str = "DELETE FROM links WHERE digest = $1 AND purpose = $2 AND ends_at > $3 RETURNING account_id";
const FORGET_LINKS: &str = "DELETE FROM links WHERE ends_at <= $1";
const LAST_USED: &str = "SELECT max(used_at) FROM sessions";
const FORGET_ENDED: &str = "DELETE FROM sessions WHERE ends_at <= $1";

/// See the [module](self).
#[derive(Clone)]
pub struct AccountRecords(Arc<dyn Records>);

/// A person of this server.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Of the person, as others see it.
    pub id: String,
    pub handle: Handle,
    pub name: String,
    pub is_administrator: bool,
    /// The hash of the password, as a PHC string; none for whoever signs in elsewhere.
    pub password: Option<String>,
    pub is_deactivated: bool,
    /// The one that they have chosen.
    pub language: Option<Language>,
}

/// One that is to be.
#[derive(Clone)]
pub struct NewAccount {
    /// The id of the guest who becomes one, or a fresh one.
    pub id: String,
    pub handle: Handle,
    pub name: PersonName,
    pub is_administrator: bool,
    pub password: Option<String>,
    /// Of somebody of another site: who vouches for them, and what that site calls them.
    pub subject: Option<(String, String)>,
}

/// Why there is no new account.
#[derive(Debug)]
pub enum CreateError {
    /// Another one has the handle, or one that looks like it.
    Taken,
    /// This person has one already.
    Exists,
    /// The invitation is used up, revoked or over.
    NotInvited,
    Store(StoreError),
}

impl From<StoreError> for CreateError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

/// A session that was found by its token.
pub(super) struct Found {
    pub(super) session: String,
    pub(super) used_at: i64,
    pub(super) account: String,
    pub(super) handle: Handle,
    pub(super) name: String,
    pub(super) is_administrator: bool,
    pub(super) has_second_factor: bool,
    pub(super) changed_at: i64,
    pub(super) language: Option<Language>,
}

/// How somebody is seen now who has an account.
pub(super) struct Seen {
    pub(super) account: String,
    pub(super) handle: Handle,
    pub(super) name: String,
    pub(super) changed_at: i64,
    /// They have gone for good.
    pub(super) is_gone: bool,
}

/// Why somebody does not get another handle.
#[derive(Debug)]
pub enum HandleError {
    /// Another one has it, or one that looks like it, or had it of late.
    Taken,
    /// They have taken others too often; how long until they may take one.
    TooOften(Duration),
    Store(StoreError),
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str(say::handle_taken()),
            Self::TooOften(wait) => {
                let days = wait.as_secs().div_ceil(24 * 60 * 60);
                f.write_str(&say::handle_too_often(HANDLES, days))
            }
            Self::Store(cause) => write!(f, "{cause}"),
        }
    }
}

impl std::error::Error for HandleError {}

impl From<StoreError> for HandleError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub session: String,
    /// The browser and the system.
    pub device: String,
    pub created_at: i64,
    pub used_at: i64,
}

/// What a link is for that says once who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first administrator makes their account.
    SetUp,
    /// Somebody takes another password.
    Reset,
    /// Somebody signs in on another device.
    Device,
    /// Somebody has shown their password, and is asked for a code. It is in no address.
    Code,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::SetUp => "setup",
            Self::Reset => "reset",
            Self::Device => "device",
            Self::Code => "code",
        }
    }

    /// How long it is good, in milliseconds.
    fn lifetime(self) -> i64 {
        const HOUR: i64 = 60 * 60 * 1_000;
        match self {
            Self::SetUp => 7 * 24 * HOUR,
            Self::Reset => 24 * HOUR,
            Self::Device => 4 * HOUR,
            Self::Code => HOUR / 6,
        }
    }
}

impl AccountRecords {
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self(records)
    }

    /// What is asked beside a password.
    pub fn second_factors(&self) -> SecondFactors {
        SecondFactors::new(Arc::clone(&self.0))
    }

    /// The person makes it for themselves.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create(&self, new: &NewAccount, now: i64) -> Result<(), CreateError> {
        let themselves = Person::new(new.id.clone(), new.name.as_str().to_owned());
        self.create_by(new, By::Person(&themselves), now).await
    }

    /// Somebody else makes it.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create_by(&self, new: &NewAccount, by: By<'_>, now: i64) -> Result<(), CreateError> {
        let written = self.0.write(vec![Statement::new(CREATE, values(new, now)), made(new, by, now)]).await?;
        self.outcome(new, written.into_iter().next(), now).await
    }

    /// The person makes it for themselves by an invitation to the server, which is used by that.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create_invited(&self, new: &NewAccount, invitation: &Token, now: i64) -> Result<(), CreateError> {
        let (digest, id): (Value, Value) = (invitation.digest().hex().into(), new.id.as_str().into());
        let mut create = values(new, now);
        create.push(digest.clone());
        let themselves = Person::new(new.id.clone(), new.name.as_str().to_owned());
        let mut written = self
            .0
            .write(vec![
                Statement::new(USE_INVITATION, [digest.clone(), id.clone(), now.into()]),
                Statement::new(CREATE_INVITED, create),
                Statement::new(INVITATION_USED, [digest, id, now.into()]),
                made(new, By::Person(&themselves), now),
            ])
            .await?
            .into_iter();
        if written.next().transpose()?.is_none_or(|used| used.changed == 0) {
            return Err(CreateError::NotInvited);
        }
        self.outcome(new, written.next(), now).await
    }

    /// Whether an invitation to the server can be used; uses nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_invited(&self, invitation: &Token, now: i64) -> Result<bool, StoreError> {
        let rows = self.0.query(IS_INVITED, &[invitation.digest().hex().into(), now.into()]).await?;
        Ok(!rows.is_empty())
    }

    /// What has become of an account that was to be made.
    async fn outcome(
        &self,
        new: &NewAccount,
        created: Option<Result<Written, StoreError>>,
        now: i64,
    ) -> Result<(), CreateError> {
        if created.transpose()?.is_some_and(|created| created.changed == 1) {
            return Ok(());
        }
        let is_free = self.is_free(&new.handle, &new.id, now).await?;
        Err(if is_free { CreateError::Exists } else { CreateError::Taken })
    }

    /// # Errors
    /// The store cannot be read.
    pub async fn by_id(&self, id: &str) -> Result<Option<Account>, StoreError> {
        self.one(BY_ID, &[id.into()]).await
    }

    /// The account with this handle, or with one that looks like it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn by_handle(&self, handle: &Handle) -> Result<Option<Account>, StoreError> {
        self.one(BY_HANDLE, &[handle.folded().into()]).await
    }

    /// The account of somebody of another site.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn by_subject(&self, origin: &str, subject: &str) -> Result<Option<Account>, StoreError> {
        self.one(BY_SUBJECT, &[origin.into(), subject.into()]).await
    }

    /// All of them, in the order of their handles.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all(&self) -> Result<Vec<Account>, StoreError> {
        self.0.query(ALL, &[]).await?.iter().map(account).collect()
    }

    async fn one(&self, sql: &'static str, values: &[Value]) -> Result<Option<Account>, StoreError> {
        self.0.query(sql, values).await?.first().map(account).transpose()
    }

    /// Says whether there is such an account.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn rename(&self, id: &str, name: &PersonName, now: i64) -> Result<bool, StoreError> {
        self.changes(Statement::new(RENAME, [id.into(), name.as_str().into(), now.into()])).await
    }

    /// Gives somebody who has one handle another. Nobody else gets the one before for a while.
    ///
    /// # Errors
    /// See [`HandleError`].
    pub async fn take_handle(&self, id: &str, before: &Handle, handle: &Handle, now: i64) -> Result<(), HandleError> {
        let (folded, old): (Value, Value) = (handle.folded().into(), before.folded().into());
        let kept_until = now + i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX / 2);
        let take = [id.into(), handle.as_str().into(), folded.clone(), old.clone(), now.into(), HANDLES.into()];
        let keep = [id.into(), folded.clone(), old, kept_until.into()];
        let statements = vec![
            // Somebody on another node may take it in the same moment.
            Statement::new(TAKE_HANDLE, take).may_fail(),
            Statement::new(KEEP_HANDLE, keep),
            Statement::new(HAVE_HANDLE, [id.into(), folded]),
        ];
        let taken = self.0.write(statements).await?.into_iter().next();
        if taken.is_some_and(|taken| taken.is_ok_and(|written| written.changed == 1)) {
            return Ok(());
        }
        if !self.is_free(handle, id, now).await? {
            return Err(HandleError::Taken);
        }
        let rows = self.0.query(NEXT_HANDLE, &[id.into(), now.into()]).await?;
        match rows.first().map_or(Ok(None), |row| row.get::<Option<i64>>(0))? {
            Some(next) => Err(HandleError::TooOften(Duration::from_millis((next - now).max(0).cast_unsigned()))),
            // They have taken another one in the same moment.
            None => Err(StoreError::damage("an account has another handle meanwhile").into()),
        }
    }

    /// Whether a handle may be this person's: nobody else has it, or one that looks like it, nor had it of late.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_free(&self, handle: &Handle, of: &str, now: i64) -> Result<bool, StoreError> {
        let holders = ids(&self.0.query(HOLDERS, &[handle.folded().into(), now.into()]).await?)?;
        Ok(holders.iter().all(|holder| holder == of))
    }

    /// The handles that nobody else gets because somebody had them, in their folded form, and until when.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn former_handles(&self, id: &str) -> Result<Vec<(String, i64)>, StoreError> {
        let rows = self.0.query(FORMER_HANDLES, &[id.into()]).await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// How those are seen with whom that has changed since.
    pub(super) async fn since(&self, since: i64) -> Result<Vec<Seen>, StoreError> {
        self.0.query(SINCE, &[since.into()]).await?.iter().map(seen).collect()
    }

    /// How somebody is seen.
    pub(super) async fn seen(&self, id: &str) -> Result<Option<Seen>, StoreError> {
        self.0.query(SEEN, &[id.into()]).await?.first().map(seen).transpose()
    }

    /// Begins a session of this id. Gives those that have made room for it.
    pub(super) async fn begin(
        &self,
        (session, digest): (&str, TokenDigest),
        account: &str,
        device: &str,
        (now, end): (i64, i64),
    ) -> Result<Vec<String>, StoreError> {
        let values: [Value; 6] = [session.into(), bytes(digest), account.into(), now.into(), device.into(), end.into()];
        let make_room = Statement::new(MAKE_ROOM, [account.into(), (SESSIONS - 1).into()]);
        let written = self.0.write(vec![make_room, Statement::new(BEGIN, values)]).await?;
        written.into_iter().next().map_or_else(|| Ok(Vec::new()), |ended| ids(&ended?.rows))
    }

    pub(super) async fn find(&self, digest: TokenDigest, now: i64) -> Result<Option<Found>, StoreError> {
        let rows = self.0.query(FIND, &[bytes(digest), now.into(), (now - ROTATED).into()]).await?;
        let found = |row: &Row| {
            Ok(Found {
                session: row.get(0)?,
                used_at: row.get(1)?,
                account: row.get(2)?,
                handle: handle(row, 3)?,
                name: row.get(4)?,
                is_administrator: row.get(5)?,
                has_second_factor: row.get(6)?,
                changed_at: row.get(7)?,
                language: language(row, 8)?,
            })
        };
        rows.first().map(found).transpose()
    }

    /// Notes that a session was used, and that it ends later therefore.
    pub(super) async fn used(&self, session: &str, now: i64, end: i64) -> Result<(), StoreError> {
        self.changes(Statement::new(USED, [session.into(), now.into(), end.into()])).await.map(|_| ())
    }

    /// Gives a session another token.
    pub(super) async fn rotate(&self, session: &str, digest: TokenDigest, now: i64) -> Result<bool, StoreError> {
        self.changes(Statement::new(ROTATE, [session.into(), bytes(digest), now.into()])).await
    }

    /// The sessions of an account, the one that was used last first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn devices(&self, account: &str, now: i64) -> Result<Vec<Device>, StoreError> {
        let rows = self.0.query(OF_ACCOUNT, &[account.into(), now.into()]).await?;
        let device =
            |row: &Row| Ok(Device { session: row.get(0)?, device: row.get(1)?, created_at: row.get(2)?, used_at: row.get(3)? });
        rows.iter().map(device).collect()
    }

    /// Ends a session of an account; says which it was, if it was there.
    pub(super) async fn end(&self, account: &str, session: &str) -> Result<Vec<String>, StoreError> {
        ids(&self.0.write_one(Statement::new(END, [account.into(), session.into()])).await?.rows)
    }

    /// Ends all sessions of an account but this one; says which.
    pub(super) async fn end_all(&self, account: &str, but: &str) -> Result<Vec<String>, StoreError> {
        ids(&self.0.write_one(Statement::new(END_ALL, [account.into(), but.into()])).await?.rows)
    }

    /// When a session was used last.
    pub(super) async fn last_used(&self) -> Result<Option<i64>, StoreError> {
        self.0.query(LAST_USED, &[]).await?.first().map_or(Ok(None), |row| row.get(0))
    }

    /// Deletes the sessions and links that have come to their end, and lets go of the handles that nobody has had for so long.
    pub(super) async fn forget_ended(&self, now: i64) -> Result<(), StoreError> {
        let forget = [FORGET_ENDED, FORGET_LINKS, FORGET_HANDLES].map(|sql| Statement::new(sql, [now.into()]));
        self.0.write(forget.to_vec()).await.map(|_| ())
    }

    /// # Errors
    /// It cannot be written now.
    pub(super) async fn set_language(&self, id: &str, language: Language) -> Result<(), StoreError> {
        self.changes(Statement::new(SET_LANGUAGE, [id.into(), language.tag().into()])).await.map(|_| ())
    }

    /// # Errors
    /// It cannot be written now.
    pub async fn set_password(&self, id: &str, hash: &str) -> Result<(), StoreError> {
        self.changes(Statement::new(SET_PASSWORD, [id.into(), hash.into()])).await.map(|_| ())
    }

    /// Lets nobody in by an account any more. Says whether that was done: the last administrator stays.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn deactivate(&self, id: &str, now: i64) -> Result<bool, StoreError> {
        self.change_administrators(vec![Statement::new(DEACTIVATE, [id.into(), now.into()])]).await
    }

    /// Writes what may make somebody an administrator or take one away. Says whether the first statement has changed anything.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn change_administrators(&self, statements: Vec<Statement>) -> Result<bool, StoreError> {
        let all = [Statement::new(TURN, [])].into_iter().chain(statements).collect();
        let first = self.0.write(all).await?.into_iter().nth(1).transpose()?;
        Ok(first.is_some_and(|written| written.changed > 0))
    }

    /// Whether anybody administers the server.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn has_administrator(&self) -> Result<bool, StoreError> {
        Ok(!self.0.query(ADMINISTRATORS, &[]).await?.is_empty())
    }

    /// Makes a link for somebody, or for whoever sets the server up. It stands for the one before.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn make_link(&self, purpose: Purpose, account: Option<&str>, now: i64) -> Result<Token, StoreError> {
        let token = Token::fresh();
        let (name, account): (Value, Value) = (purpose.as_str().into(), account.into());
        let drop = Statement::new(DROP_LINKS, [name.clone(), account.clone()]);
        let values = [bytes(token.digest()), name, account, (now + purpose.lifetime()).into()];
        self.0.write(vec![drop, Statement::new(MAKE_LINK, values)]).await?;
        Ok(token)
    }

    /// Whom a link is for, if it is good; spends nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn link(&self, token: &Token, purpose: Purpose, now: i64) -> Result<Option<Option<String>>, StoreError> {
        let values = [bytes(token.digest()), purpose.as_str().into(), now.into()];
        self.0.query(LINK, &values).await?.first().map(|row| row.get(0)).transpose()
    }

    /// Whom a link is for, which is good no more: of several who ask for it at once one is told.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn spend(&self, token: &Token, purpose: Purpose, now: i64) -> Result<Option<Option<String>>, StoreError> {
        let values = [bytes(token.digest()), purpose.as_str().into(), now.into()];
        self.0.write_one(Statement::new(SPEND, values)).await?.rows.first().map(|row| row.get(0)).transpose()
    }

    async fn changes(&self, statement: Statement) -> Result<bool, StoreError> {
        Ok(self.0.write_one(statement).await?.changed > 0)
    }
}

/// What a new account's row has.
fn values(new: &NewAccount, now: i64) -> Vec<Value> {
    let NewAccount { id, handle, name, is_administrator, password, subject } = new;
    let folded = handle.folded();
    let (origin, subject) = subject.clone().unzip();
    vec![
        id.as_str().into(),
        handle.as_str().into(),
        folded.as_str().into(),
        name.as_str().into(),
        (*is_administrator).into(),
        password.clone().into(),
        origin.into(),
        subject.into(),
        now.into(),
    ]
}

/// Records that it was made, where it was.
fn made(new: &NewAccount, by: By<'_>, now: i64) -> Statement {
    let what = if new.is_administrator { "as an administrator" } else { "" };
    Deed::new(by, Act::AccountMade).to(&new.id, new.handle.as_str()).detail(what).at(now).statement_by(NOTE_MADE)
}

/// One that there is no more is none.
fn language(row: &Row, column: usize) -> Result<Option<Language>, StoreError> {
    Ok(row.get::<Option<String>>(column)?.and_then(|tag| Language::of_tag(&tag)))
}

fn bytes(digest: TokenDigest) -> Value {
    digest.as_bytes().to_vec().into()
}

fn ids(rows: &[Row]) -> Result<Vec<String>, StoreError> {
    rows.iter().map(|row| row.get(0)).collect()
}

fn handle(row: &Row, column: usize) -> Result<Handle, StoreError> {
    row.get::<String>(column)?.parse().map_err(|_| StoreError::damage("an account has no handle"))
}

fn seen(row: &Row) -> Result<Seen, StoreError> {
    Ok(Seen { account: row.get(0)?, handle: handle(row, 1)?, name: row.get(2)?, changed_at: row.get(3)?, is_gone: row.get(4)? })
}

fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.get(0)?,
        handle: handle(row, 1)?,
        name: row.get(2)?,
        is_administrator: row.get(3)?,
        password: row.get(4)?,
        is_deactivated: row.get::<Option<i64>>(5)?.is_some(),
        language: language(row, 6)?,
    })
}
