//! The cookies of a request, and those of an answer.
//!
//! Two Confabs on one host show each other's cookies, too: what is not known here may be known there. So of several values of a cookie the
//! first counts that is believed, and a browser is told to forget only what is known to be over.
//!
//! Behind TLS our cookies have the prefix `__Host-`, with which a browser takes them from this very host alone and over TLS alone
//! (RFC 6265bis section 4.1.3.2). A cookie without it is still read, after the other.

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite, time::Duration};

use crate::server::request_cookies::cookies;

/// How long a browser keeps the cookies: as long as browsers allow.
const LIFETIME: Duration = Duration::days(400);
const PREFIX: &str = "__Host-";
/// Of so many values of one cookie, whether it is somebody's is looked at.
const MOST: usize = 4;

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
        let shown = || cookies(headers).any(|cookie| cookie.name().strip_prefix(PREFIX).is_some_and(is_ours));
        Self { headers, given: Given { secure: told || shown() } }
    }

    /// The first value of a cookie that reads well, and whether an answer should give it under the name that is for TLS.
    pub(super) fn find<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<(T, bool)> {
        let of = |prefix: &str| {
            let mut values = cookies(self.headers).filter(|cookie| cookie.name().strip_prefix(prefix) == Some(name));
            values.find_map(|cookie| read(cookie.value_trimmed()))
        };
        of(PREFIX).map(|value| (value, false)).or_else(|| of("").map(|value| (value, self.given.secure)))
    }
}

impl Cookies<'_> {
    /// The values of a cookie that read well and that only somebody could have given whom a browser takes for this very host: over TLS those
    /// with the prefix, since any other may come from somebody else's page under the same name. Of more than a few, the first.
    pub(super) fn own<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let of =
            |prefix: &'static str| cookies(self.headers).filter(move |cookie| cookie.name().strip_prefix(prefix) == Some(name));
        let unsure = of("").filter(|_| !self.given.secure);
        of(PREFIX).chain(unsure).filter_map(|cookie| read(cookie.value_trimmed())).take(MOST).collect()
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

/// The value of a Django project's cookie, as Django reads it: of several the last counts, whatever it is.
pub(super) fn of_django(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).into_iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let mut last = None;
    for line in lines {
        for pair in line.split(';') {
            let (named, value) = pair.split_once('=').unwrap_or(("", pair));
            if named.trim() == name {
                last = Some(unquoted(value.trim()));
            }
        }
    }
    last
}

/// A value as Python reads it: in quotes a backslash stands before what is meant, or before three octal digits of it.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let (mut rest, mut read) = (inner, String::with_capacity(inner.len()));
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        let octal = rest.get(..3).filter(|digits| digits.bytes().all(|byte| matches!(byte, b'0'..=b'7')));
        match (sign, octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()), rest.chars().next()) {
            ('\\', Some(byte), _) => {
                read.push(char::from(byte));
                rest = &rest[3..];
            }
            ('\\', None, Some(meant)) => {
                read.push(meant);
                rest = &rest[meant.len_utf8()..];
            }
            _ => read.push(sign),
        }
    }
    read
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    const TLS: (HeaderName, &[u8]) = (HeaderName::from_static("x-forwarded-proto"), b"https");

    fn headers(lines: &[(HeaderName, &[u8])]) -> HeaderMap {
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).expect("bytes that a header may have");
        lines.iter().map(|(name, bytes)| (name.clone(), value(bytes))).collect()
    }

    fn own(lines: &[(HeaderName, &[u8])]) -> Vec<String> {
        Cookies::of(&headers(lines)).own("confab_token", |text| Some(text.to_owned()))
    }

    #[test]
    fn all_that_may_be_somebodys_is_looked_at_and_over_tls_only_what_is_for_this_host() {
        let line: &[u8] = b"confab_token=one; confab_token=two; other=x; confab_token=three";
        assert_eq!(own(&[(header::COOKIE, line)]), ["one", "two", "three"]);
        assert_eq!(own(&[TLS, (header::COOKIE, line)]), [""; 0], "over TLS they may be anybody's");
        let mixed: &[u8] = b"confab_token=one; __Host-confab_token=two";
        for lines in [&[(header::COOKIE, mixed)][..], &[TLS, (header::COOKIE, mixed)]] {
            assert_eq!(own(lines), ["two"], "a cookie with the prefix is shown over TLS alone");
        }
        // Whoever leaves a guest's cookie for TLS has come over TLS.
        let beside: &[u8] = b"confab_token=mallorys; __Host-confab_guest=0123456789abcdef0123456789abcdef";
        assert_eq!(own(&[(header::COOKIE, beside)]), [""; 0]);
        let many = "confab_token=x; ".repeat(100);
        assert_eq!(own(&[(header::COOKIE, many.as_bytes())]).len(), MOST, "not all of very many");
    }

    #[test]
    fn of_a_projects_cookie_the_last_counts_as_in_python() {
        for (line, value) in [
            ("sessionid=one; sessionid=two", Some("two")),
            ("sessionid=one; sessionid=", Some("")),
            ("sessionid=one; sessionid", Some("one")),
            ("sessionid = one ;x", Some("one")),
            ("sessionid=a=b", Some("a=b")),
            ("sessionid=\"one\"", Some("one")),
            ("sessionid=\"o\\156e\\\"\"", Some("one\"")),
            ("sessionid=\"", Some("\"")),
            ("Sessionid=one", None),
            ("", None),
        ] {
            assert_eq!(of_django(&headers(&[(header::COOKIE, line.as_bytes())]), "sessionid").as_deref(), value, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_bytes_in_front_or_behind_take_a_session_or_a_token_away(
            front in prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..60),
            behind in prop::collection::vec(
                prop_oneof![Just(b';'), Just(b'='), Just(b'"'), 0x20_u8..0x7f, 0x80_u8..=0xff],
                0..60,
            ),
            name in prop_oneof![Just("confab_session"), Just("confab_token"), Just("sessionid")],
        ) {
            let value = "ab".repeat(32);
            let line = [&front[..], b"; ", name.as_bytes(), b"=", value.as_bytes(), b";", &behind].concat();
            let headers = headers(&[(header::COOKIE, &line)]);
            let cookies = Cookies::of(&headers);
            // Where something in front or behind has a prefix that is for TLS alone it is another matter.
            if !cookies.given.secure {
                if name == "sessionid" {
                    prop_assert_eq!(of_django(&headers, name), Some(value));
                } else {
                    let own = cookies.own(name, |text| (text.len() == 64).then(|| text.to_owned()));
                    prop_assert_eq!(own, [value]);
                }
            }
        }
    }
}
