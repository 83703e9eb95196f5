//! People of a Django project, by the cookie of its sessions.
//!
//! ```text
//!   sessionid ──► the session, by its engine: table · cache · the cookie itself      (signing, pickle)
//!             ──► who it says it is, and with the digest of which password            (session)
//!             ──► that user as the project has them now: active, the same password    (database)
//! ```
//!
//! That is what `django.contrib.auth.get_user` does for each request, and it is done here for each request too: a sign-out or another
//! password holds at once. For what stays open, all that is open is asked for together, by one question, every few
//! seconds. Nothing is written to the project.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use redis::{Value as Answer, cmd};
use thiserror::Error;

mod database;
pub mod pickle;
mod session;
mod signing;

use self::{database::Database, session::Claim, signing::Signer};
use super::foreign::first_name;
use crate::{
    server::{
        layers::redis::{Host, Shard, told},
        settings::{DjangoSettings, SessionEngine},
    },
    wire::PersonName,
};

/// The longest cookie that is looked at: browsers keep none that is longer.
const LONGEST_COOKIE: usize = 4_096;
/// How long keys of sessions are: Django's own have 32 letters, and its table has room for 40.
const KEYS: std::ops::RangeInclusive<usize> = 8..=40;
/// So many values are asked of Redis at once.
const AT_ONCE: usize = 500;
/// The salt of the digest of a password in a session.
const PASSWORD_SALT: &str = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";
/// What the key of a session in the cache begins with, after the cache's own prefix.
const CACHE_PREFIX: &str = "django.contrib.sessions.cache";

/// A Django project whose people are known here.
pub struct Django {
    sessions: Sessions,
    passwords: Signer,
    backends: HashSet<String>,
    database: Database,
}

/// Where its sessions are.
enum Sessions {
    Database { signer: Signer },
    Cache { redis: Shard, prefix: String },
    Cookies { signer: Signer, age: Duration },
}

/// Somebody who is signed in to the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The primary key in the project, as text.
    pub id: String,
    pub username: String,
    /// Their name, as far as one is known and others can be shown it; otherwise what they sign in with.
    pub name: PersonName,
}

/// Why it is not known who somebody is.
#[derive(Debug, Error)]
pub enum Trouble {
    /// The project's database or cache cannot be asked now.
    #[error("the Django project's sessions cannot be asked: {0}")]
    Away(String),
    /// They do not have what the settings say.
    #[error("accounts.django: {0}; run the project's migrations first, and compare its settings with these")]
    Wrong(String),
}

impl Django {
    /// The project of the settings; none where they name none. `cache` is the Redis that they name. Asks the database once.
    ///
    /// # Errors
    /// [`Trouble::Wrong`]: the database has no such tables, or there is no such file. One that cannot be reached is tried again by whoever
    /// needs it.
    pub async fn start(settings: &DjangoSettings, cache: Option<Host>) -> Result<Option<Self>, Trouble> {
        let (Some(key), Some(database)) = (&settings.secret_key, &settings.database) else { return Ok(None) };
        let secrets = || std::iter::once(key).chain(&settings.secret_key_fallbacks);
        let salt = settings.session_salt.as_deref().unwrap_or_else(|| settings.engine.salt());
        let signer = || Signer::new(&format!("{salt}signer"), secrets());
        let sessions = match (settings.engine, cache) {
            (SessionEngine::Cache, Some(host)) => {
                let redis = Shard::start(host, &[]).map_err(|cause| Trouble::Wrong(told(&cause)))?;
                let prefix = format!("{}:{}:{CACHE_PREFIX}", settings.cache_key_prefix, settings.cache_version);
                Sessions::Cache { redis, prefix }
            }
            (SessionEngine::Cache, None) => return Err(Trouble::Wrong("the engine cache needs a cache".to_owned())),
            (SessionEngine::SignedCookies, _) => Sessions::Cookies { signer: signer(), age: settings.cookie_age },
            // Where both have it the table counts: what is over is gone from it.
            (SessionEngine::Database | SessionEngine::CachedDatabase, _) => Sessions::Database { signer: signer() },
        };
        let database = Database::new(database, settings)?;
        let passwords = Signer::new(PASSWORD_SALT, secrets());
        let backends = settings.authentication_backends.iter().cloned().collect();
        let django = Self { sessions, passwords, backends, database };
        match django.try_out().await {
            Err(Trouble::Away(cause)) => tracing::warn!(cause, "the Django project cannot be asked yet"),
            tried => tried?,
        }
        Ok(Some(django))
    }

    /// Asks for what nobody has, so that names that are wrong are found at once.
    async fn try_out(&self) -> Result<(), Trouble> {
        self.database.users(vec!["0".to_owned()]).await?;
        if let Sessions::Database { .. } = &self.sessions {
            self.database.sessions(vec!["0".to_owned()]).await?;
        }
        Ok(())
    }

    /// Who shows this cookie; nobody where it opens nothing, any more or at all.
    ///
    /// # Errors
    /// [`Trouble::Away`]
    pub async fn user(&self, cookie: &str) -> Result<Option<User>, Trouble> {
        Ok(self.users(&[cookie]).await?.pop().flatten())
    }

    /// Who shows each of these cookies, by one question for all.
    ///
    /// # Errors
    /// [`Trouble::Away`]
    pub async fn users(&self, cookies: &[&str]) -> Result<Vec<Option<User>>, Trouble> {
        let claims = self.claims(cookies).await?;
        let ids: HashSet<_> = claims.iter().flatten().map(|claim| claim.user.clone()).collect();
        let rows = self.database.users(ids.into_iter().collect()).await?;
        let user = |claim: Claim| {
            let row = rows.get(&claim.user)?;
            let holds = row.is_active && self.passwords.is_digest(&row.password, &claim.hash);
            let (name, username) = (row.name(&claim.user), row.username.clone());
            holds.then_some(User { id: claim.user, username, name })
        };
        Ok(claims.into_iter().map(|claim| claim.and_then(user)).collect())
    }

    /// Who each cookie says it is, as the project has written.
    async fn claims(&self, cookies: &[&str]) -> Result<Vec<Option<Claim>>, Trouble> {
        let keys = || cookies.iter().filter(|cookie| is_key(cookie));
        let mut claims: Vec<Option<Claim>> = match &self.sessions {
            Sessions::Database { signer } => {
                let found = self.database.sessions(keys().map(|key| (*key).to_owned()).collect()).await?;
                let claim = |cookie: &&str| Claim::from_json(&signer.read(found.get(*cookie)?)?.bytes);
                cookies.iter().map(claim).collect()
            }
            Sessions::Cache { redis, prefix } => {
                let keys: Vec<&str> = keys().copied().collect();
                let mut found = HashMap::new();
                for part in keys.chunks(AT_ONCE) {
                    let mut mget = cmd("MGET");
                    for key in part {
                        mget.arg(format!("{prefix}{key}"));
                    }
                    let answer = redis.query(mget).await.map_err(|cause| Trouble::Away(told(&cause)))?;
                    let Answer::Array(values) = answer else { continue };
                    let claims = part.iter().zip(&values).filter_map(|(key, value)| Some((*key, from_cache(value)?)));
                    found.extend(claims);
                }
                cookies.iter().map(|cookie| found.get(cookie).cloned()).collect()
            }
            Sessions::Cookies { signer, age } => {
                let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs().cast_signed();
                let read = |cookie: &&str| {
                    let signed = signer.read(Some(*cookie).filter(|cookie| cookie.len() <= LONGEST_COOKIE)?)?;
                    let age = now.checked_sub(signed.at)? <= age.as_secs().cast_signed();
                    age.then(|| Claim::from_json(&signed.bytes)).flatten()
                };
                cookies.iter().map(read).collect()
            }
        };
        for claim in &mut claims {
            claim.take_if(|claim| !self.backends.contains(&claim.backend));
        }
        Ok(claims)
    }
}

/// What the cache has under the key of a session.
fn from_cache(value: &Answer) -> Option<Claim> {
    let Answer::BulkString(bytes) = value else { return None };
    // A whole number is kept as its digits, and is no session.
    if bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
        return None;
    }
    match Claim::from_pickle(bytes) {
        Ok(claim) => claim,
        Err(cause) => {
            tracing::warn!(%cause, "a session in the Django project's cache cannot be read, and whose it is is not signed in");
            None
        }
    }
}

fn is_key(cookie: &str) -> bool {
    KEYS.contains(&cookie.len()) && cookie.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl database::Row {
    /// What others see of the user with this key.
    fn name(&self, id: &str) -> PersonName {
        let full = [self.first_name.trim(), self.last_name.trim()].join(" ");
        let name = first_name([full.as_str(), &self.username, &format!("User {id}")]);
        name.expect("a word") // never: four letters of the last are one
    }
}
