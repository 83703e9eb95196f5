//! Invitations to the server: whoever has one may make an account. They are used when the account is made
//! ([`AccountRecords::create_invited`](crate::server::accounts::AccountRecords::create_invited)).

use std::sync::Arc;

use super::NotDone;
use crate::{
    locales::manage as say,
    server::{
        accounts::Token,
        audit::{Act, By, Deed},
        store::{Records, Row, Statement, StoreError, Value},
    },
    wire::Timestamp,
};

/// How many there are at most that can be used.
const MOST: i64 = 1_000;
/// How many people may come by one, at most,
pub const MOST_USES: u32 = 1_000;
/// and for how many days it is good, at most.
pub const MOST_DAYS: u32 = 365;
/// The longest note, in characters.
pub const LONGEST_NOTE: usize = 100;
const DAY: i64 = 24 * 60 * 60 * 1_000;

const MAKE: &str = "INSERT INTO sign_up_invitations (digest, note, uses, ends_at, made_at, by_id, by_name)
    SELECT $1, $2, CAST($3 AS bigint), CAST($4 AS bigint), CAST($5 AS bigint), CAST($6 AS text), $7
    WHERE (SELECT count(*) FROM sign_up_invitations) < $8";
const NOTE_MADE: &str = "INSERT INTO audit_log (at, id, by_id, by_name, act, subject_id, subject_name, detail)
    SELECT CAST($1 AS bigint), $2, $3, $4, $5, $6, $7, $8 FROM sign_up_invitations WHERE digest = $6";
/// What can be used no more goes with the next that is made.
const DROP_OVER: &str = "DELETE FROM sign_up_invitations WHERE uses = 0 OR ends_at <= $1";
const LIVING: &str = "SELECT digest, note, uses, ends_at, by_name FROM sign_up_invitations WHERE uses > 0 AND ends_at > $1
    ORDER BY made_at DESC, digest";
const REVOKE: &str = "DELETE FROM sign_up_invitations WHERE digest = $1";
const NOTE_REVOKED: &str = "INSERT INTO audit_log (at, id, by_id, by_name, act, subject_id, subject_name, detail)
    SELECT CAST($1 AS bigint), $2, $3, $4, $5, $6, COALESCE(NULLIF($7, ''), note), $8 FROM sign_up_invitations WHERE digest = $6";

/// One that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its name, which is of no use to come in.
    pub digest: String,
    pub note: String,
    /// How many may still come by it.
    pub uses: u32,
    pub ends: Timestamp,
    pub by_name: String,
}

/// One that is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewInvitation<'n> {
    /// What whoever makes it calls it.
    pub note: &'n str,
    pub uses: u32,
    pub days: u32,
}

/// The table of them.
#[derive(Clone)]
pub struct Invitations(Arc<dyn Records>);

impl Invitations {
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self(records)
    }

    /// Makes one. Its code is given this once.
    ///
    /// # Errors
    /// It is not as it has to be, or cannot be written now.
    pub async fn make(&self, by: By<'_>, new: NewInvitation<'_>) -> Result<Token, NotDone> {
        let NewInvitation { note, uses, days } = new;
        let wrong = |text: String| Err(NotDone::Wrong(text));
        if !(1..=MOST_USES).contains(&uses) {
            return wrong(say::invitation_uses(MOST_USES));
        }
        if !(1..=MOST_DAYS).contains(&days) {
            return wrong(say::invitation_days(MOST_DAYS));
        }
        let note = note.trim();
        if note.chars().count() > LONGEST_NOTE || note.chars().any(char::is_control) {
            return wrong(say::note_rule(LONGEST_NOTE));
        }
        let (code, now) = (Token::fresh(), Timestamp::now().as_millis());
        let (digest, ends) = (code.digest().hex(), now + i64::from(days) * DAY);
        let (by_id, by_name) = by.named();
        let values: [Value; 8] = [
            digest.as_str().into(),
            note.into(),
            i64::from(uses).into(),
            ends.into(),
            now.into(),
            by_id.into(),
            by_name.into(),
            MOST.into(),
        ];
        let detail = format!("for {uses}, until {}", Timestamp::from_millis(ends));
        let deed = Deed::new(by, Act::InvitationMade).to(&digest, note).detail(detail).at(now);
        let statements =
            vec![Statement::new(DROP_OVER, [now.into()]), Statement::new(MAKE, values), deed.statement_by(NOTE_MADE)];
        let results = self.0.write(statements).await?;
        let made = results.into_iter().nth(1).transpose()?.unwrap_or_default();
        if made.changed == 1 { Ok(code) } else { wrong(say::too_many_invitations(MOST)) }
    }

    /// Those that can be used, the last first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn living(&self) -> Result<Vec<Invitation>, StoreError> {
        let rows = self.0.query(LIVING, &[Timestamp::now().as_millis().into()]).await?;
        let invitation = |row: &Row| {
            Ok(Invitation {
                digest: row.get(0)?,
                note: row.get(1)?,
                uses: u32::try_from(row.get::<i64>(2)?).unwrap_or(u32::MAX),
                ends: Timestamp::from_millis(row.get(3)?),
                by_name: row.get(4)?,
            })
        };
        rows.iter().map(invitation).collect()
    }

    /// Revokes one. Says whether there was one.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn revoke(&self, by: By<'_>, digest: &str) -> Result<bool, StoreError> {
        let deed = Deed::new(by, Act::InvitationRevoked).to(digest, "");
        let statements = vec![deed.statement_by(NOTE_REVOKED), Statement::new(REVOKE, [digest.into()])];
        let results = self.0.write(statements).await?;
        Ok(results.into_iter().nth(1).transpose()?.is_some_and(|revoked| revoked.changed == 1))
    }
}
