//! The cookies of a request, and those of an answer.
//!
//! Ports do not part cookies, so a request shows those of every program on the same host, well formed or not. They are read as
//! bytes and pair by pair: whatever is not ours, or cannot be read, is passed over and takes nothing along.
//!
//! Behind TLS our cookies have the prefix `__Host-`, with which a browser takes them from this very host alone and over TLS alone
//! (RFC 6265bis section 4.1.3.2). A cookie without it is still read, after the other.

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderValue, header};

/// How long a browser keeps the cookies, in seconds: as long as browsers allow.
const LIFETIME: u32 = 400 * 24 * 60 * 60;
const PREFIX: &str = "__Host-";

/// What a request shows, and how an answer gives a cookie.
pub(super) struct Cookies<'h> {
    headers: &'h HeaderMap,
    pub(super) given: Given,
}

/// How an answer gives a browser a cookie: whether it may count on TLS.
#[derive(Clone, Copy)]
pub(super) struct Given {
    secure: bool,
}

impl<'h> Cookies<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        // A proxy that ends TLS says so; a client that claims it wrongly only keeps its own cookies from itself. The first of
        // several proxies is the one that the browser talks to.
        let proto = headers.get("x-forwarded-proto").and_then(|proto| proto.as_bytes().split(|byte| *byte == b',').next());
        let told = proto.is_some_and(|proto| proto.trim_ascii().eq_ignore_ascii_case(b"https"));
        // A proxy may leave it unsaid. A browser shows a cookie with the prefix where it takes one, and there a cookie without it
        // would have no say.
        let shown = || pairs(headers).any(|(name, _)| name.strip_prefix(PREFIX.as_bytes()).is_some_and(is_ours));
        Self { headers, given: Given { secure: told || shown() } }
    }

    /// The first value of a cookie that reads well, and whether an answer should give it under the name that is for TLS.
    pub(super) fn find<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<(T, bool)> {
        let of = |prefix: &str| {
            let values =
                pairs(self.headers).filter(|(shown, _)| shown.strip_prefix(prefix.as_bytes()) == Some(name.as_bytes()));
            values.filter_map(|(_, value)| str::from_utf8(unquoted(value)).ok()).find_map(&read)
        };
        of(PREFIX).map(|value| (value, false)).or_else(|| of("").map(|value| (value, self.given.secure)))
    }
}

impl Given {
    /// What gives a browser a cookie; `value` is ASCII without the signs that have a meaning in cookies.
    pub(super) fn set(self, name: &str, value: impl Display) -> HeaderValue {
        let (prefix, secure) = if self.secure { (PREFIX, "; Secure") } else { ("", "") };
        let text = format!("{prefix}{name}={value}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).expect("names, digits and percent-encoding are ASCII") // never: both callers encode
    }
}

/// What has a browser forget a cookie of ours, under both of its names.
pub(super) fn forgotten(name: &str) -> [HeaderValue; 2] {
    [("", ""), (PREFIX, "; Secure")].map(|(prefix, secure)| {
        let text = format!("{prefix}{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).expect("our names are ASCII") // never: both are constants
    })
}

fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"confab_")
}

/// The pairs of name and value in the order of the request.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes);
    lines.flat_map(|line| line.split(|byte| *byte == b';')).filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii()))
    })
}

/// A value may stand in quotation marks (RFC 6265 section 4.1.1).
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}
