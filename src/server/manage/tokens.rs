//! The tokens of programs that administrators make.

use super::{Manage, NotDone};
use crate::{
    locales::manage as say,
    server::{
        accounts::{MadeToken, Token, TokenRights},
        audit::{Act, By, Deed},
        random,
        settings::{Pattern, ProgramName},
        store::{Records, Row, Statement, StoreError, Value},
    },
    wire::{Person, Timestamp},
};

/// How many there are at most that can be used.
const MOST: i64 = 1_000;

const LIVING: &str =
    "SELECT id, name, digest, rooms, may_read, may_post, may_push FROM tokens WHERE revoked_at IS NULL ORDER BY made_at, id";
const ALL: &str = "SELECT id, name, rooms, may_read, may_post, may_push, made_at, by_name, used_at, revoked_at FROM tokens
    ORDER BY CASE WHEN revoked_at IS NULL THEN 0 ELSE 1 END, name, made_at LIMIT $1 OFFSET $2";
const MAKE: &str = "INSERT INTO tokens (id, name, digest, rooms, may_read, may_post, may_push, made_at, by_id, by_name)
    SELECT $1, $2, $3, $4, CAST($5 AS boolean), CAST($6 AS boolean), CAST($7 AS boolean), CAST($8 AS bigint), $9, $10
    WHERE (SELECT count(*) FROM tokens WHERE revoked_at IS NULL) < $11 ON CONFLICT DO NOTHING";
const NOTE_MADE: &str = "INSERT INTO audit_log (at, id, by_id, by_name, act, subject_id, subject_name, detail)
    SELECT CAST($1 AS bigint), $2, $3, $4, $5, $6, $7, $8 FROM tokens WHERE id = $6";
const REVOKE: &str = "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
const NOTE_REVOKED: &str = "INSERT INTO audit_log (at, id, by_id, by_name, act, subject_id, subject_name, detail)
    SELECT CAST($1 AS bigint), $2, $3, $4, $5, $6, COALESCE(NULLIF($7, ''), name), $8 FROM tokens
    WHERE id = $6 AND revoked_at = CAST($1 AS bigint)";
const USED: &str = "UPDATE tokens SET used_at = $2 WHERE id = $1";

/// A token as the list of them shows it; of the token itself nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Of the program, as others see it.
    pub id: String,
    pub name: String,
    /// Patterns of the rooms that it is for, with a space between them.
    pub rooms: String,
    pub may: TokenRights,
    pub made: Timestamp,
    pub by_name: String,
    /// To the hour, roughly.
    pub used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

/// One that is to be, as it was typed.
#[derive(Clone, Debug, Default)]
pub struct NewToken<'n> {
    pub name: &'n str,
    /// Patterns with spaces, commas or lines between them; all rooms where there is none.
    pub rooms: &'n str,
    pub may: TokenRights,
}

impl Manage {
    /// Makes a token. It is given this once.
    ///
    /// # Errors
    /// It is not as it has to be, or cannot be written now.
    pub async fn make_token(&self, by: &Person, new: &NewToken<'_>) -> Result<String, NotDone> {
        let wrong = |text: String| NotDone::Wrong(text);
        let name: ProgramName = new.name.trim().parse().map_err(|error| wrong(format!("{error}")))?;
        if self.programs.is_of_settings(name.as_str()) {
            return Err(wrong(say::token_of_settings().to_owned()));
        }
        let rooms = patterns(new.rooms).map_err(wrong)?;
        let rooms: Vec<_> = rooms.iter().map(ToString::to_string).collect();
        let rooms = if rooms.is_empty() { "*".to_owned() } else { rooms.join(" ") };
        let may = new.may;
        if may == TokenRights::default() {
            return Err(wrong(say::token_may_nothing().to_owned()));
        }
        let (token, now) = (Token::for_program(), Timestamp::now().as_millis());
        let id = format!("t{}", &random::hex_128()[..16]);
        let values: [Value; 11] = [
            id.as_str().into(),
            name.as_str().into(),
            token.digest().as_bytes().to_vec().into(),
            rooms.as_str().into(),
            may.read.into(),
            may.post.into(),
            may.push.into(),
            now.into(),
            by.id.as_str().into(),
            by.name.as_str().into(),
            MOST.into(),
        ];
        let detail = format!("{}, for {rooms}", does(may));
        let deed = Deed::new(By::Person(by), Act::TokenMade).to(&id, name.as_str()).detail(detail).at(now);
        if self.write(vec![Statement::new(MAKE, values), deed.statement_by(NOTE_MADE)]).await? == 1 {
            return Ok(token.reveal().to_owned());
        }
        let is_full = i64::try_from(self.programs.made()).unwrap_or(i64::MAX) >= MOST;
        Err(wrong(if is_full { say::too_many_tokens(MOST) } else { say::token_taken().to_owned() }))
    }

    /// Revokes a token: it is good for nothing from now on, and what is open by it ends. Says whether there was one.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn revoke_token(&self, by: &Person, id: &str) -> Result<bool, StoreError> {
        let now = Timestamp::now().as_millis();
        let deed = Deed::new(By::Person(by), Act::TokenRevoked).to(id, "").at(now);
        let revoke = Statement::new(REVOKE, [id.into(), now.into()]);
        Ok(self.write(vec![revoke, deed.statement_by(NOTE_REVOKED)]).await? == 1)
    }

    /// Tokens, those that can be used first; so many from a place on.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tokens(&self, most: i64, from: i64) -> Result<Vec<TokenRow>, StoreError> {
        self.records.query(ALL, &[most.into(), from.into()]).await?.iter().map(row).collect()
    }
}

/// As the log has it.
fn does(may: TokenRights) -> String {
    let all = [(may.read, "read"), (may.post, "post"), (may.push, "push")];
    all.iter().filter(|(may, _)| *may).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

fn patterns(text: &str) -> Result<Vec<Pattern>, String> {
    let words = text.split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty());
    let patterns: Vec<_> = words.map(Pattern::for_rooms).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if patterns.len() > 100 { Err(say::too_many_patterns().to_owned()) } else { Ok(patterns) }
}

fn row(row: &Row) -> Result<TokenRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.get::<Option<i64>>(column)?.map(Timestamp::from_millis));
    Ok(TokenRow {
        id: row.get(0)?,
        name: row.get(1)?,
        rooms: row.get(2)?,
        may: TokenRights { read: row.get(3)?, post: row.get(4)?, push: row.get(5)? },
        made: Timestamp::from_millis(row.get(6)?),
        by_name: row.get(7)?,
        used: time(8)?,
        revoked: time(9)?,
    })
}

/// The tokens that can be used.
pub(super) async fn read(records: &dyn Records) -> Result<Vec<MadeToken>, StoreError> {
    let made = |row: &Row| {
        let damaged = || StoreError::damage("a token is not as it was made");
        let rooms: String = row.get(3)?;
        let person = Person::new(row.get::<String>(0)?, row.get::<String>(1)?);
        Ok(MadeToken {
            person,
            digest: row.get::<Vec<u8>>(2)?.try_into().map_err(|_| damaged())?,
            rooms: patterns(&rooms).map_err(|_| damaged())?,
            may: TokenRights { read: row.get(4)?, post: row.get(5)?, push: row.get(6)? },
        })
    };
    records.query(LIVING, &[]).await?.iter().map(made).collect()
}

pub(super) fn used(id: &str, at: i64) -> Statement {
    Statement::new(USED, [id.into(), at.into()])
}
