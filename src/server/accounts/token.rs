//! Secrets that are drawn at random: of sessions, in a cookie, and of links that say once who somebody is. Only their digests are kept.

use std::fmt::{self, Write as _};

use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::cookies::{Cookies, forgotten};
use crate::server::random;

/// Holds the token of a session.
const COOKIE: &str = "confab_session";
/// What the tokens of programs begin with that are made here: so whoever finds one knows what it is.
pub(super) const OF_PROGRAM: &str = "confab_";

/// 256 bits of the system's randomness, as 64 hexadecimal digits. It prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// What is kept of a token: its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl Token {
    pub fn fresh() -> Self {
        Self(random::hex_128() + &random::hex_128())
    }

    /// Of a program, told from other secrets by how it begins.
    pub fn for_program() -> Self {
        Self(format!("{OF_PROGRAM}{}{}", random::hex_128(), random::hex_128()))
    }

    /// None where the text is no token of a session or a link.
    pub fn read(text: &str) -> Option<Self> {
        let good = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        good.then(|| Self(text.to_owned()))
    }

    /// Those of sessions that a request shows.
    pub fn of_sessions(headers: &HeaderMap) -> Vec<Self> {
        Cookies::of(headers).own(COOKIE, Self::read)
    }

    /// What has a browser show it from now on.
    pub fn cookie(&self, asked: &HeaderMap) -> HeaderValue {
        Cookies::of(asked).given.set(COOKIE, &self.0)
    }

    /// What has a browser show none any more.
    pub fn forgotten() -> [HeaderValue; 2] {
        forgotten(COOKIE)
    }

    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(&self.0).into())
    }

    /// The secret itself, for the address of a link that is shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl TokenDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// In hexadecimal digits.
    pub fn hex(self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // a text takes whatever is written
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn shown(cookie: &str, tls: bool) -> Option<Token> {
        let mut headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())]);
        if tls {
            headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        }
        Token::of_sessions(&headers).into_iter().next()
    }

    #[test]
    fn a_session_is_known_by_its_whole_token() {
        let token = Token::fresh();
        let (plain, host) = (format!("confab_session={}", token.reveal()), format!("__Host-confab_session={}", token.reveal()));
        assert!(shown(&plain, false).as_ref() == Some(&token) && shown(&host, true).as_ref() == Some(&token));
        assert_eq!(shown(&plain, true), None, "over TLS a cookie without the prefix may be anybody's");
        for wrong in ["", "confab_session=", "confab_session=0123", &plain.to_uppercase(), &plain[..plain.len() - 1]] {
            assert_eq!(shown(wrong, false), None, "{wrong}");
        }
        assert!(!format!("{token:?}").contains(&token.reveal()[..8]));
        let cookie = token.cookie(&HeaderMap::new());
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with(&plain) && cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    }
}
