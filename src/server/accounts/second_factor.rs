//! The second factor of accounts: the secret that an authenticator app has, and codes on paper for when the app is lost
//! (`migrations/records/0006_second_factor.sql`).

use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

use super::totp::Secret;
use crate::server::{
    random,
    store::{Records, Statement, StoreError, Value},
};

/// How many codes on paper there are.
const RECOVERY: usize = 10;
/// How many signs each has: 80 bits.
const SIGNS: usize = 16;

const FIND: &str = "SELECT secret, since, (SELECT count(*) FROM recovery_codes AS c WHERE c.account_id = f.account_id)
    FROM second_factors AS f WHERE account_id = $1";
const PREPARE: &str = "INSERT INTO second_factors (account_id, secret, last_step) VALUES ($1, $2, 0)
    ON CONFLICT (account_id) DO UPDATE SET secret = excluded.secret WHERE second_factors.since IS NULL";
const CONFIRM: &str = "UPDATE second_factors SET since = CAST($2 AS bigint), last_step = $3
    WHERE account_id = $1 AND since IS NULL AND secret = $4";
const TAKE: &str = "UPDATE second_factors SET last_step = $2 WHERE account_id = $1 AND last_step < $2 AND since IS NOT NULL";
const TAKE_RECOVERY: &str = "DELETE FROM recovery_codes WHERE account_id = $1 AND digest = $2
    AND EXISTS (SELECT 1 FROM second_factors AS f WHERE f.account_id = $1 AND f.since IS NOT NULL)";
const NO_RECOVERY: &str = "DELETE FROM recovery_codes WHERE account_id = $1";
const ADD_RECOVERY: &str = "INSERT INTO recovery_codes (account_id, digest) VALUES ($1, $2)";
const OFF: &str = "DELETE FROM second_factors WHERE account_id = $1";

/// See the [module](self).
#[derive(Clone)]
pub struct SecondFactors(Arc<dyn Records>);

/// The second factor of somebody.
#[derive(Debug, PartialEq, Eq)]
pub struct SecondFactor {
    pub secret: Secret,
    /// When it was switched on, in milliseconds since 1970; none as long as it is being set up, and asks for nothing.
    pub since: Option<i64>,
    /// How many codes on paper are left.
    pub left: u64,
}

impl SecondFactors {
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self(records)
    }

    /// What somebody has; one that is being set up too.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, account: &str) -> Result<Option<SecondFactor>, StoreError> {
        let rows = self.0.query(FIND, &[account.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let secret =
            Secret::read(&row.get::<Vec<u8>>(0)?).ok_or_else(|| StoreError::damage("a second factor has no secret"))?;
        let left: i64 = row.get(2)?;
        Ok(Some(SecondFactor { secret, since: row.get(1)?, left: left.unsigned_abs() }))
    }

    /// Whether somebody is asked for a code.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_on(&self, account: &str) -> Result<bool, StoreError> {
        Ok(self.find(account).await?.is_some_and(|factor| factor.since.is_some()))
    }

    /// Gives somebody a secret that is to be confirmed by a code, in place of one that was not. Where one is switched on nothing is done.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn prepare(&self, account: &str) -> Result<(), StoreError> {
        let values: [Value; 2] = [account.into(), Secret::fresh().as_bytes().to_vec().into()];
        self.0.write_one(Statement::new(PREPARE, values)).await.map(|_| ())
    }

    /// Switches on what was prepared, if the code is right; gives the codes on paper then. They are shown once.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn confirm(&self, account: &str, code: &str, now: i64) -> Result<Option<Vec<String>>, StoreError> {
        let Some(SecondFactor { secret, since: None, .. }) = self.find(account).await? else { return Ok(None) };
        let Some(step) = secret.step(&plain(code), now) else { return Ok(None) };
        let values: [Value; 4] = [account.into(), now.into(), step.into(), secret.as_bytes().to_vec().into()];
        // Codes are given to whoever has switched it on alone: of two who do so at once the other would make them worthless.
        if self.0.write_one(Statement::new(CONFIRM, values)).await?.changed == 1 {
            self.renew(account).await.map(Some)
        } else {
            Ok(None)
        }
    }

    /// Whether a code is right, of the app or on paper. It is not right again.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn take(&self, account: &str, code: &str, now: i64) -> Result<bool, StoreError> {
        let code = plain(code);
        let Some(SecondFactor { secret, since: Some(_), .. }) = self.find(account).await? else { return Ok(false) };
        let take = if let Some(step) = secret.step(&code, now) {
            Statement::new(TAKE, [account.into(), step.into()])
        } else if code.len() == SIGNS {
            Statement::new(TAKE_RECOVERY, [account.into(), digest(&code)])
        } else {
            return Ok(false);
        };
        Ok(self.0.write_one(take).await?.changed == 1)
    }

    /// Gives somebody other codes on paper, in place of those that they had.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn renew(&self, account: &str) -> Result<Vec<String>, StoreError> {
        let (codes, renew) = fresh_codes(account);
        self.0.write(renew).await?;
        Ok(codes)
    }

    /// Switches it off.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn switch_off(&self, account: &str) -> Result<bool, StoreError> {
        let statements = [OFF, NO_RECOVERY].map(|sql| Statement::new(sql, [account.into()]));
        let written = self.0.write(statements.to_vec()).await?.into_iter().next().transpose()?;
        Ok(written.is_some_and(|written| written.changed == 1))
    }
}

/// A code as it is compared: without what stands between its parts.
fn plain(code: &str) -> String {
    code.chars().filter(|sign| !sign.is_whitespace() && *sign != '-').flat_map(char::to_lowercase).collect()
}

fn digest(code: &str) -> Value {
    Sha256::digest(code).to_vec().into()
}

/// Codes on paper, and what has the store know them and no others.
fn fresh_codes(account: &str) -> (Vec<String>, Vec<Statement>) {
    let mut statements = vec![Statement::new(NO_RECOVERY, [account.into()])];
    let mut codes = Vec::with_capacity(RECOVERY);
    for _ in 0..RECOVERY {
        let code = BASE32_NOPAD.encode(&random::bits_128().to_ne_bytes()).to_lowercase();
        let code = &code[..SIGNS]; // 16 bytes are 26 signs
        statements.push(Statement::new(ADD_RECOVERY, [account.into(), digest(code)]));
        codes.push(code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join("-"));
    }
    (codes, statements)
}
