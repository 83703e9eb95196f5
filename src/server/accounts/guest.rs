//! Guests: identity from cookies.

use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::cookies::{Cookies, Given, forgotten};
use crate::{
    server::{
        percent::{percent_decode, percent_encode},
        random,
        visitors::Subnet,
    },
    wire::{Person, PersonName},
};

/// Holds the secret: 32 hexadecimal digits. Whoever has it is that guest.
const SECRET: &str = "confab_guest";
/// Holds the chosen name, percent-encoded.
const NAME: &str = "confab_name";

/// Tells people apart where something is counted for each: whose rates and quotas these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateKey(u64);

impl RateKey {
    /// The number in a person's id: whoever was a guest is counted as before.
    pub fn of(person: &Person) -> Self {
        let digits = person.id.get(1..).filter(|digits| digits.len() == 16);
        Self(digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_else(|| digest(&person.id)))
    }
}

/// A visitor, as the request's cookies tell.
#[derive(Clone)]
pub struct Guest {
    pub person: Person,
    /// Who this is when something is counted.
    pub rate_key: RateKey,
    /// The request has shown no secret: this is somebody new, and nobody else can be.
    pub is_new: bool,
    /// To be set on the answer: a secret where the browser had none, so that this guest is the same one on the next request; and
    /// behind TLS, under the names that are for TLS, what it has shown under others. No request that shows a secret is given
    /// another.
    pub cookies: Vec<HeaderValue>,
    /// Where the request comes from, unless that is the server's own machine.
    pub address: Option<Subnet>,
    given: Given,
}

impl Guest {
    /// Reads the cookies of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        let cookies = Cookies::of(headers);
        let shown = cookies.find(SECRET, |text| is_secret(text).then(|| text.to_owned()));
        let name = cookies.find(NAME, |encoded| percent_decode(encoded)?.parse().ok());
        Self::who_shows(shown, name, cookies.given)
    }

    /// Somebody new, whatever cookies the request has: what it shows is worth nothing any more.
    pub fn anew(headers: &HeaderMap) -> Self {
        let guest = Self::who_shows(None, None, Cookies::of(headers).given);
        // The name first, and the secret under all of its names: the new one comes after.
        let cookies = [NAME, SECRET].into_iter().flat_map(forgotten).chain(guest.cookies).collect();
        Self { cookies, ..guest }
    }

    /// The same, who is given these cookies too.
    #[must_use]
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.cookies.extend(cookies);
        self
    }

    /// The same, who is given no cookies.
    #[must_use]
    pub fn without_cookies(&self) -> Self {
        let Self { person, rate_key, is_new, address, given, .. } = self;
        Self {
            person: person.clone(),
            rate_key: *rate_key,
            is_new: *is_new,
            cookies: Vec::new(),
            address: *address,
            given: *given,
        }
    }

    fn who_shows(shown: Option<(String, bool)>, name: Option<(PersonName, bool)>, given: Given) -> Self {
        let is_new = shown.is_none();
        let (secret, set_secret) = shown.unwrap_or_else(|| (random::hex_128(), true));
        let rate_key = RateKey(public_number(&secret));
        let id = format!("g{:016x}", rate_key.0);
        let mut set = Vec::new();
        if set_secret {
            set.push(given.set(SECRET, &secret));
        }
        if let Some((name, true)) = &name {
            set.push(name_cookie(given, name));
        }
        let name = name.map_or_else(|| format!("Guest {}", &id[1..5]), |(name, _): (PersonName, _)| name.into_string());
        Self { person: Person::new(id, name), rate_key, is_new, cookies: set, address: None, given }
    }

    /// What has the browser forget this guest.
    pub fn forgotten() -> Vec<HeaderValue> {
        [NAME, SECRET].into_iter().flat_map(forgotten).collect()
    }

    /// The cookie that gives this guest another name.
    pub fn renamed(&self, name: &PersonName) -> HeaderValue {
        name_cookie(self.given, name)
    }
}

fn name_cookie(given: Given, name: &PersonName) -> HeaderValue {
    given.set(NAME, &percent_encode(name.as_str()))
}

fn is_secret(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What the others may know of a secret: enough to tell guests apart, not enough to be one.
fn public_number(secret: &str) -> u64 {
    digest(&secret.to_ascii_lowercase())
}

/// The beginning of a text's SHA-256.
pub(super) fn digest(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::{HeaderName, header};
    use proptest::prelude::*;

    use super::*;
    use crate::server::accounts::Who;

    const ANN: &str = "0123456789abcdef0123456789abcdef";
    const BOB: &str = "fedcba9876543210fedcba9876543210";
    const TLS: (HeaderName, &[u8]) = (HeaderName::from_static("x-forwarded-proto"), b"https");

    fn headers(lines: &[(HeaderName, &[u8])]) -> HeaderMap {
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).expect("bytes that a header may have");
        lines.iter().map(|(name, bytes)| (name.clone(), value(bytes))).collect()
    }

    fn guest(cookie: impl AsRef<[u8]>) -> Guest {
        Guest::of(&headers(&[(header::COOKIE, cookie.as_ref())]))
    }

    fn ann() -> Person {
        guest(format!("confab_guest={ANN}; confab_name=Ann")).person
    }

    fn set(cookies: &[HeaderValue]) -> Vec<&str> {
        cookies.iter().map(|cookie| cookie.to_str().expect("ASCII")).collect()
    }

    fn is_secure(cookie: &str) -> bool {
        cookie.split("; ").any(|attribute| attribute == "Secure")
    }

    #[test]
    fn the_same_secret_is_the_same_person_and_does_not_show() {
        let one = guest(format!("other=1; confab_guest={ANN}"));
        let two = guest(format!("confab_guest={ANN}"));
        assert_eq!(one.person, two.person);
        assert!(one.cookies.is_empty() && !one.is_new && !one.person.id.contains(&ANN[..8]));
    }

    #[test]
    fn a_newcomer_gets_a_cookie_that_leads_back_to_the_same_person() {
        for (tls, name) in [(false, "confab_guest="), (true, "__Host-confab_guest=")] {
            let tls_line = [TLS];
            let new = Guest::of(&headers(if tls { &tls_line } else { &[] }));
            assert!(new.is_new);
            let [text] = set(&new.cookies)[..] else { panic!("one cookie") };
            assert!(text.starts_with(name) && text.contains("; HttpOnly; SameSite=Lax"), "{text}");
            assert_eq!(text.contains("; Secure"), tls, "{text}");
            let back = guest(text.split(';').next().expect("a pair"));
            assert_eq!(back.person, new.person);
            assert!(back.cookies.is_empty() && !back.is_new);
        }
    }

    /// What stands beside our cookies, from other programs on the same host or from broken hands.
    const BESIDE: [&[u8]; 16] = [
        b"city=Z\xc3\xbcrich",
        b"city=Z\xfcrich",
        b"\xff\xfe=\xff",
        b"confab_guest=short",
        b"confab_guest=",
        b"confab_guest",
        b"confab_guest=\xff",
        b"confab_guest=%30123456789abcdef0123456789abcdef",
        b"__Host-confab_guest=x",
        b"confab_name=%",
        b"confab_name=%20",
        b"confab_name=%ff%0a",
        b"json={\"a\":[1,2]}",
        b"=",
        b"a=b=c==",
        b"",
    ];

    #[test]
    fn whoever_shows_a_secret_keeps_it_whatever_stands_beside_it() {
        let good = format!("confab_guest={ANN}; confab_name=Ann");
        for beside in BESIDE {
            for line in [[beside, b"; ", good.as_bytes()].concat(), [good.as_bytes(), b";", beside].concat()] {
                // A prefix is shown over TLS alone.
                let (Guest { person, is_new, cookies, .. }, shown) = (guest(&line), String::from_utf8_lossy(&line));
                assert_eq!((person, is_new), (ann(), false), "{shown}");
                assert!(cookies.is_empty() || shown.contains("__Host-"), "{shown}");
            }
            let two = headers(&[(header::COOKIE, beside), (header::COOKIE, good.as_bytes())]);
            assert_eq!(Guest::of(&two).person, ann());
        }
        for line in
            [format!("confab_guest=\"{ANN}\";confab_name=\"Ann\""), format!("  confab_guest = {ANN} ;\tconfab_name=Ann;")]
        {
            assert_eq!(guest(&line).person, ann(), "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_bytes_in_front_or_behind_take_an_identity_away(
            front in prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..60),
            behind in prop::collection::vec(
                prop_oneof![Just(b';'), Just(b'='), Just(b'"'), 0x20_u8..0x7f, 0x80_u8..=0xff],
                0..60,
            ),
            tls: bool,
        ) {
            let line = [&front[..], b"; confab_guest=", ANN.as_bytes(), b"; confab_name=Ann;", &behind[..]].concat();
            let tls_line = [TLS];
            let mut all = headers(if tls { &tls_line } else { &[] });
            all.append(header::COOKIE, HeaderValue::from_bytes(&line).expect("no control characters"));
            let Guest { person, is_new, cookies, .. } = Guest::of(&all);
            prop_assert_eq!(person, ann());
            prop_assert!(!is_new);
            let shown: Vec<_> = set(&cookies).into_iter().map(|cookie| cookie.split(';').next().unwrap_or_default()).collect();
            let moved = [format!("__Host-confab_guest={ANN}"), "__Host-confab_name=Ann".to_owned()];
            prop_assert_eq!(shown, moved.iter().take(if tls { 2 } else { 0 }).map(String::as_str).collect::<Vec<_>>());
        }
    }

    #[test]
    fn behind_tls_cookies_are_the_hosts_own_and_those_of_before_move_over() {
        let old = format!("confab_guest={ANN}; confab_name=Ann");
        let moved = Guest::of(&headers(&[TLS, (header::COOKIE, old.as_bytes())]));
        assert_eq!((moved.person, moved.is_new), (ann(), false));
        let [secret, name] = set(&moved.cookies)[..] else { panic!("{:?}", moved.cookies) };
        for (cookie, begins) in [(secret, format!("__Host-confab_guest={ANN};")), (name, "__Host-confab_name=Ann;".to_owned())]
        {
            assert!(cookie.starts_with(&begins) && cookie.contains("; Path=/;") && is_secure(cookie), "{cookie}");
        }
        // A page of a neighbour under the same domain can set the names without the prefix alone.
        let tossed = format!("confab_guest={BOB}; confab_name=Bob; __Host-confab_name=Ann; __Host-confab_guest={ANN}");
        for line in [&[TLS, (header::COOKIE, tossed.as_bytes())][..], &[(header::COOKIE, tossed.as_bytes())]] {
            let guest = Guest::of(&headers(line));
            assert_eq!((guest.person, guest.cookies.is_empty()), (ann(), true));
        }
        // A new name has to be the one that is read from then on, also where the proxy does not say that there is TLS.
        let shown = headers(&[(header::COOKIE, format!("__Host-confab_guest={ANN}").as_bytes())]);
        let cookie = Guest::of(&shown).renamed(&"Zoe".parse().expect("a name"));
        assert!(cookie.to_str().is_ok_and(|cookie| cookie.starts_with("__Host-confab_name=Zoe;") && is_secure(cookie)));
        for (proto, tls) in [("https", true), ("HTTPS, http", true), ("http", false), ("http, https", false), ("", false)] {
            let [cookie] = &Guest::of(&headers(&[(TLS.0, proto.as_bytes())])).cookies[..] else { panic!("one cookie") };
            assert_eq!(cookie.to_str().is_ok_and(is_secure), tls, "{proto}");
        }
    }

    #[test]
    fn names_come_back_as_they_were_chosen() {
        for name in ["Ann", "Zoë; Max=1", "王小明", "100% 🦀", "שלום", "👩\u{200D}👧"] {
            let cookie = Guest::of(&HeaderMap::new()).renamed(&name.parse().expect(name));
            let pair = cookie.to_str().expect("ASCII").split(';').next().expect("a pair").to_owned();
            assert_eq!(guest(&pair).person.name, name);
        }
        // One that was taken before the rule was so is read by it.
        assert_eq!(guest(format!("confab_guest={ANN}; confab_name=A%E2%80%8Bnn%E2%80%AE")).person.name, "Ann");
    }

    #[test]
    fn who_is_made_anew_is_somebody_else_and_the_browser_forgets_who_it_was() {
        for line in
            [format!("confab_guest={ANN}; confab_name=Ann"), format!("__Host-confab_guest={ANN}; __Host-confab_name=Ann")]
        {
            let new = Guest::anew(&headers(&[(header::COOKIE, line.as_bytes())]));
            assert!(new.is_new && new.person.id != ann().id && new.person.name.starts_with("Guest "));
            let cookies = set(&new.cookies);
            let [forgotten @ .., given] = &cookies[..] else { panic!("{cookies:?}") };
            assert!(
                forgotten.len() == 4 && forgotten.iter().all(|cookie| cookie.contains("=; ") && cookie.contains("; Max-Age=0"))
            );
            assert!(given.contains("confab_guest=") && given.contains("; Max-Age=34560000"), "{given}");
        }
    }

    #[test]
    fn a_connection_holds_no_cookies_and_is_the_same_somebody() {
        let new = Who::Guest(Arc::new(Guest::of(&headers(&[]))));
        assert!(!new.cookies().is_empty());
        let connected = new.connected();
        assert_eq!((connected.person(), connected.rate_key()), (new.person(), new.rate_key()));
        assert!(connected.cookies().is_empty());
    }

    #[test]
    fn broken_cookies_are_ignored() {
        for broken in BESIDE {
            let guest = guest(broken);
            assert!(guest.is_new && guest.person.name.starts_with("Guest "), "{}", String::from_utf8_lossy(broken));
        }
    }
}
