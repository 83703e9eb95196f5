//! Guests: identity from cookies.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::{
    server::{
        percent::{percent_decode, percent_encode},
        random,
    },
    wire::Person,
};

/// Holds the secret: 32 hexadecimal digits. Whoever has it is that guest.
const SECRET: &str = "confab_guest";
/// Holds the chosen name, percent-encoded.
const NAME: &str = "confab_name";
/// The longest name, in characters.
const LONGEST_NAME: usize = 40;
/// How long a browser keeps the cookies, in seconds: as long as browsers allow.
const LIFETIME: u32 = 400 * 24 * 60 * 60;

/// Tells accounts apart where something is counted for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account(u64);

/// A visitor, as the request's cookies tell.
pub struct Guest {
    pub person: Person,
    /// Who this is when something is counted.
    pub account: Account,
    /// To be set on the answer where the browser had none: makes this guest the same one on the next request.
    pub cookie: Option<HeaderValue>,
}

/// Why a name cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName;

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a name is 1 to {LONGEST_NAME} characters and not only spaces")
    }
}

impl Guest {
    /// Reads the cookies of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        let known = cookie(headers, SECRET).filter(|secret| is_secret(secret));
        let fresh = known.is_none().then(random::hex_128);
        let secret = known.or(fresh.as_deref()).unwrap_or_default();
        let account = Account(public_number(secret));
        let id = format!("g{:016x}", account.0);
        let name = cookie(headers, NAME).and_then(|encoded| checked_name(&percent_decode(encoded)?).ok());
        let name = name.unwrap_or_else(|| format!("Guest {}", &id[1..5]));
        let cookie = fresh.map(|secret| set_cookie(headers, SECRET, &secret));
        Self { person: Person { id, name }, account, cookie }
    }
}

/// The cookie that gives a guest a name.
///
/// # Errors
/// The name is too long or empty.
pub fn name_cookie(headers: &HeaderMap, name: &str) -> Result<HeaderValue, InvalidName> {
    Ok(set_cookie(headers, NAME, &percent_encode(&checked_name(name)?)))
}

fn checked_name(name: &str) -> Result<String, InvalidName> {
    // Control characters would let a name break out of its line in logs and terminals.
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() || name.chars().count() > LONGEST_NAME { Err(InvalidName) } else { Ok(name) }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find_map(|(key, value)| (key == name).then_some(value))
}

fn set_cookie(headers: &HeaderMap, name: &str, value: &str) -> HeaderValue {
    // A proxy that ends TLS says so; a client that claims it wrongly only keeps its own cookie from itself.
    let https = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let secure = if https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).expect("names, digits and percent-encoding are ASCII") // never: both callers encode
}

fn is_secret(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What the others may know of a secret: enough to tell guests apart, not enough to be one.
fn public_number(secret: &str) -> u64 {
    let digest = Sha256::new().chain_update(secret.to_ascii_lowercase()).finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).expect("ASCII"))])
    }

    #[test]
    fn the_same_secret_is_the_same_person_and_does_not_show() {
        let secret = "0123456789abcdef0123456789abcdef";
        let one = Guest::of(&headers(&format!("other=1; {SECRET}={secret}")));
        let two = Guest::of(&headers(&format!("{SECRET}={secret}")));
        assert_eq!(one.person, two.person);
        assert!(one.cookie.is_none() && !one.person.id.contains(&secret[..8]));
    }

    #[test]
    fn a_newcomer_gets_a_cookie_that_leads_back_to_the_same_person() {
        let new = Guest::of(&HeaderMap::new());
        let cookie = new.cookie.expect("a cookie");
        let text = cookie.to_str().expect("ASCII");
        assert!(text.contains("HttpOnly") && text.contains("SameSite=Lax") && !text.contains("Secure"));
        let back = Guest::of(&headers(text.split(';').next().expect("a pair")));
        assert_eq!(back.person, new.person);
        assert!(back.cookie.is_none());
    }

    #[test]
    fn names_come_back_as_they_were_chosen() {
        for name in ["Ann", "Zoë; Max=1", "王小明", "100% 🦀", "שלום"] {
            let cookie = name_cookie(&HeaderMap::new(), name).expect(name);
            let pair = cookie.to_str().expect("ASCII").split(';').next().expect("a pair").to_owned();
            assert_eq!(Guest::of(&headers(&pair)).person.name, name);
        }
        for bad in ["", "   ", "\u{7}", &"x".repeat(41)] {
            assert_eq!(name_cookie(&HeaderMap::new(), bad), Err(InvalidName), "{bad:?}");
        }
    }

    #[test]
    fn broken_cookies_are_ignored() {
        for broken in [
            "confab_guest=short",
            "confab_guest",
            "confab_name=%",
            "confab_name=%4",
            "confab_name=%4x",
            "confab_name=%ff%0a",
            "=;;=",
        ] {
            assert!(Guest::of(&headers(broken)).person.name.starts_with("Guest "), "{broken}");
        }
    }
}
