//! The cookies of a request, and those of an answer.
//!
//! Ports do not part cookies, so a request shows those of every program on the same host, well formed or not. They are read as
//! bytes and pair by pair: whatever is not ours, or cannot be read, is passed over and takes nothing along.
//!
//! Behind TLS our cookies have the prefix `__Host-`, with which a browser takes them from this very host alone and over TLS alone
//! (RFC 6265bis section 4.1.3.2). A cookie without it is still read, after the other.

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite, time::Duration};

/// How long a browser keeps the cookies: as long as browsers allow.
const LIFETIME: Duration = Duration::days(400);
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
        let shown = || pairs(headers).any(|cookie| cookie.name().strip_prefix(PREFIX).is_some_and(is_ours));
        Self { headers, given: Given { secure: told || shown() } }
    }

    /// The first value of a cookie that reads well, and whether an answer should give it under the name that is for TLS.
    pub(super) fn find<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<(T, bool)> {
        let of = |prefix: &str| {
            let mut values = pairs(self.headers).filter(|cookie| cookie.name().strip_prefix(prefix) == Some(name));
            values.find_map(|cookie| read(cookie.value_trimmed()))
        };
        of(PREFIX).map(|value| (value, false)).or_else(|| of("").map(|value| (value, self.given.secure)))
    }
}

impl Given {
    /// What gives a browser a cookie; `value` is ASCII without the signs that have a meaning in cookies.
    pub(super) fn set(self, name: &str, value: &str) -> HeaderValue {
        self.cookie(name, value, LIFETIME)
    }

    fn cookie(self, name: &str, value: &str, lifetime: Duration) -> HeaderValue {
        let name = if self.secure { format!("{PREFIX}{name}") } else { name.to_owned() };
        let cookie = Cookie::build((name, value)).path("/").max_age(lifetime).http_only(true).same_site(SameSite::Lax);
        let text = cookie.secure(self.secure).to_string();
        HeaderValue::try_from(text).expect("names, digits and percent-encoding are ASCII") // never: all callers encode
    }
}

/// The first value of another program's cookie.
pub(super) fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    pairs(headers).find(|cookie| cookie.name() == name).map(|cookie| cookie.value_trimmed().to_owned())
}

/// Whether the browser that asks does so over TLS, as far as that can be known.
pub fn is_over_tls(headers: &HeaderMap) -> bool {
    Cookies::of(headers).given.secure
}

/// What has a browser forget a cookie of ours, under both of its names.
pub(super) fn forgotten(name: &str) -> [HeaderValue; 2] {
    [false, true].map(|secure| Given { secure }.cookie(name, "", Duration::ZERO))
}

fn is_ours(name: &str) -> bool {
    name.starts_with("confab_")
}

/// The cookies in the order of the request.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let lines = headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(|pair| Cookie::parse(str::from_utf8(pair).ok()?).ok())
}
