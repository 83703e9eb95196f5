//! `[accounts.django]`: a Django project whose sessions are understood. Each key is named after Django's own setting where there is one,
//! and has its default.

use std::{fmt, path::PathBuf, str::FromStr};

use super::{
    RedisHost, Settings, hosts,
    mistakes::{Invalid, Mistake, Mistakes, Place},
    secrets::{Secret, masked},
    show::quoted,
    values::{Node, Raw, TEXTS},
};
use crate::server::{percent::percent_encode, postgres_url::PostgresUrl};

/// Where a project keeps its sessions: `SESSION_ENGINE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionEngine {
    #[default]
    Database,
    Cache,
    /// In both: what the database has counts.
    CachedDatabase,
    SignedCookies,
}

impl SessionEngine {
    /// The salt of what it signs, unless the project has a class of its own.
    pub fn salt(self) -> &'static str {
        match self {
            Self::SignedCookies => "django.contrib.sessions.backends.signed_cookies",
            Self::Database | Self::Cache | Self::CachedDatabase => "django.contrib.sessions.SessionStore",
        }
    }
}

impl FromStr for SessionEngine {
    type Err = Invalid;

    /// Modules as Django's settings name them, and their last part.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix("django.contrib.sessions.backends.").unwrap_or(text) {
            "db" => Ok(Self::Database),
            "cache" => Ok(Self::Cache),
            "cached_db" => Ok(Self::CachedDatabase),
            "signed_cookies" => Ok(Self::SignedCookies),
            _ => Err(Invalid(r#""db", "cache", "cached_db" or "signed_cookies" is needed"#)),
        }
    }
}

impl fmt::Display for SessionEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "db",
            Self::Cache => "cache",
            Self::CachedDatabase => "cached_db",
            Self::SignedCookies => "signed_cookies",
        })
    }
}

/// Where the project's database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DjangoDatabase {
    Sqlite(PathBuf),
    Postgres(PostgresUrl),
}

impl FromStr for DjangoDatabase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const NEEDED: &str = r#"the path of an SQLite file or "postgres://user:password@host:port/database" is needed"#;
        match text.split_once("://") {
            None if !text.is_empty() && !text.contains('\0') => Ok(Self::Sqlite(text.into())),
            Some(("postgres" | "postgresql", _)) => {
                text.parse().map(Self::Postgres).map_err(|wrong: String| format!("{wrong}; {NEEDED}"))
            }
            _ => Err(NEEDED.to_owned()),
        }
    }
}

/// As it was written, the password masked.
impl fmt::Display for DjangoDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => file.display().fmt(f),
            Self::Postgres(url) => f.write_str(&masked(url.as_str())),
        }
    }
}

/// The name of a table, with that of its schema where it has one, or of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlName(String);

impl SqlName {
    /// As it stands in a statement.
    pub fn quoted(&self) -> String {
        self.0.split('.').map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(".")
    }
}

impl FromStr for SqlName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let good = |part: &str| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'$')
        };
        if text.split('.').count() <= 2 && text.split('.').all(good) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid(r#"the name of a table or a column is needed, like "auth_user""#))
    }
}

impl fmt::Display for SqlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieName(String);

impl CookieName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CookieName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let good = (1..=100).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if !good {
            return Err(Invalid(r#"the name of a cookie is needed, like "sessionid""#));
        }
        if text.trim_start_matches("__Host-").starts_with("confab_") {
            return Err(Invalid("confab_... are Confab's own cookies"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where somebody signs in to the project: a path of the same site, or a whole address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginUrl(String);

impl LoginUrl {
    /// The address that leads back to a path of this server afterwards.
    pub fn with_next(&self, next: &str) -> String {
        let joint = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{joint}next={}", self.0, percent_encode(next))
    }
}

impl FromStr for LoginUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let is_address =
            ["https://", "http://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        let is_clean = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"'<>#".contains(&byte));
        if (is_path || is_address) && is_clean {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid(r#"a path like "/accounts/login/" or an address like "https://example.org/accounts/login/" is needed"#))
    }
}

impl fmt::Display for LoginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that may be left empty.
pub(super) fn optional<T: FromStr<Err: fmt::Display>>(node: &Node) -> Result<Option<T>, Mistakes> {
    node.parsed(|text| if text.is_empty() { Ok(None) } else { text.parse().map(Some) })
}

/// The same of one that mistakes do not show.
pub(super) fn optional_secret(node: &Node) -> Result<Option<Secret>, Mistakes> {
    node.secret(|text| if text.is_empty() { Ok(None) } else { text.parse().map(Some) })
}

pub(super) fn secrets(node: &Node) -> Result<Vec<Secret>, Mistakes> {
    node.list(TEXTS, |item| item.secret(str::parse))
}

/// A Redis server that may be left out; written like those of a channel layer.
pub(super) fn optional_redis(node: &Node) -> Result<Option<RedisHost>, Mistakes> {
    match &node.raw {
        Raw::Text(text) if text.is_empty() => Ok(None),
        _ => hosts::read(node).map(Some),
    }
}

#[expect(clippy::ref_option, reason = "as the table of keys hands it over")]
pub(super) fn shown_optional<T: fmt::Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| quoted(""), quoted)
}

#[expect(clippy::ref_option, reason = "as the table of keys hands it over")]
pub(super) fn shown_redis(host: &Option<RedisHost>) -> String {
    host.as_ref().map_or_else(|| quoted(""), RedisHost::toml)
}

/// What does not go together, each at the place of a key.
pub(super) fn check(settings: &Settings, place_of: impl Fn(&str) -> Option<Place>) -> Mistakes {
    let django = &settings.django;
    let mistake = |key: &str, says: &str| {
        place_of(&format!("accounts.django.{key}"))
            .map(|place| Mistake { place, says: format!("accounts.django.{key} {says}") })
    };
    let needed = |key: &str, has: bool, says: &str| {
        // A key that says the same as the default is set, too: it has a place.
        (!has).then(|| mistake(key, says).or_else(|| mistake("secret_key", says))).flatten()
    };
    if django.secret_key.is_none() {
        let says = "needs accounts.django.secret_key beside it, the project's SECRET_KEY";
        let set = [
            ("secret_key_fallbacks", !django.secret_key_fallbacks.is_empty()),
            ("database", django.database.is_some()),
            ("cache", django.cache.is_some()),
            ("login_url", django.login_url.is_some()),
        ];
        return set.into_iter().filter(|(_, set)| *set).find_map(|(key, _)| mistake(key, says)).into_iter().collect();
    }
    let database = needed(
        "secret_key",
        django.database.is_some(),
        "needs accounts.django.database beside it, where the project keeps its users: the path of an SQLite file or a postgres:// address",
    );
    let cache = needed(
        "engine",
        django.engine != SessionEngine::Cache || django.cache.is_some(),
        r#"is "cache" and needs accounts.django.cache beside it, the LOCATION of the project's cache in Redis"#,
    );
    database.into_iter().chain(cache).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_cannot_be_more() {
        for (text, quoted) in [("auth_user", "\"auth_user\""), ("public.auth_user", "\"public\".\"auth_user\"")] {
            assert_eq!(text.parse::<SqlName>().map(|name| name.quoted()), Ok(quoted.to_owned()));
        }
        for bad in ["", ".", "a.", "a.b.c", "a\"b", "a b", "a;b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<SqlName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn where_one_signs_in_is_an_address_and_leads_back() {
        let leads = |text: &str| text.parse::<LoginUrl>().map(|url| url.with_next("/room/a/?before=3")).ok();
        for (text, address) in [
            ("/accounts/login/", "/accounts/login/?next=%2Froom%2Fa%2F%3Fbefore%3D3"),
            ("https://example.org/login?by=us", "https://example.org/login?by=us&next=%2Froom%2Fa%2F%3Fbefore%3D3"),
        ] {
            assert_eq!(leads(text).as_deref(), Some(address));
        }
        for bad in
            ["", "login", "//example.org/", "javascript:alert(1)", "https://", "/a b", "/\\example.org", "/a\"", "/login#here"]
        {
            assert_eq!(leads(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cookie_of_ours_is_not_djangos() {
        assert!("sessionid".parse::<CookieName>().is_ok() && "__Host-sessionid".parse::<CookieName>().is_ok());
        for bad in ["", "a=b", "a;b", "a b", "confab_guest", "__Host-confab_session"] {
            assert!(bad.parse::<CookieName>().is_err(), "{bad}");
        }
    }
}
