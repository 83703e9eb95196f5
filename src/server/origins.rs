//! By which names the server is asked, and whose pages may act on it.
//!
//! A browser lets a page of any site send forms here and open sockets, and says whose page it is: [`Origins`] compares that
//! with the name that was asked for, `Host`. But a page may have its own name made to point at this server (DNS rebinding), and
//! then both are the same. So [`Hosts`] knows the names that the server goes by, before anything else is looked at.
//!
//! Names are compared in one form: in small letters, without the dot that may stand at the end, and without the port that the
//! scheme implies.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use tracing::warn;

use super::{
    settings::{AllowedHost, AllowedOrigin, HostName, Origin, host_and_port},
    telemetry::Seldom,
};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How much of what a stranger sent goes to the log, in characters.
const SHOWN: usize = 200;

/// The names that the server goes by, besides `localhost` and IP addresses: nobody can have these made to point elsewhere.
pub struct Hosts {
    known: Vec<AllowedHost>,
    refused: Seldom,
}

impl Hosts {
    /// The names that the settings let in.
    pub fn new(known: Vec<AllowedHost>) -> Self {
        Self { known, refused: Seldom::default() }
    }

    /// Whether a request asks for this server by one of its names. Only programs older than HTTP/1.1 name none.
    ///
    /// # Errors
    /// The name that is none of them, as far as it can be read.
    pub(super) fn know(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Option<HostName>> {
        // With a whole address in the first line, that is what was asked for (RFC 9112 section 3.2.2).
        let target = uri.authority().map(|authority| authority.as_str().as_bytes());
        let asked = target.into_iter().chain(headers.get_all(header::HOST).into_iter().map(HeaderValue::as_bytes));
        asked.into_iter().try_for_each(|asked| self.know_one(asked))
    }

    fn know_one(&self, asked: &[u8]) -> Result<(), Option<HostName>> {
        if self.known.contains(&AllowedHost::Any) {
            return Ok(());
        }
        let name = str::from_utf8(asked).ok().and_then(host_and_port).map(|(name, _)| name);
        match name {
            Some(name) if name.is_localhost() || name.is_address() => Ok(()),
            Some(name) if self.known.iter().any(|known| matches!(known, AllowedHost::Only(known) if *known == name)) => Ok(()),
            name => {
                self.refused.say(|others| {
                    let host = shown(Some(asked));
                    warn!(host, others, "asked for by a name that is not this server's; server.hosts names those that are");
                });
                Err(name)
            }
        }
    }
}

/// Which pages may open a socket or send a form, besides the server's own.
pub struct Origins {
    allowed: Vec<AllowedOrigin>,
    refused: Seldom,
}

impl Origins {
    pub fn new(allowed: Vec<AllowedOrigin>) -> Self {
        Self { allowed, refused: Seldom::default() }
    }

    /// Whether a request that may change something comes from a page that may, or from no page at all. What a browser says of
    /// this, a page cannot forge; programs other than browsers say nothing.
    pub(super) fn allow(&self, headers: &HeaderMap) -> bool {
        if self.allowed.contains(&AllowedOrigin::Any) {
            return true;
        }
        let own = headers.get(header::HOST).and_then(|host| host_and_port(host.to_str().ok()?));
        let may = |origin: &str| {
            origin.parse().is_ok_and(|origin: Origin| {
                own.as_ref().is_some_and(|(host, port)| origin.is_at(host, *port))
                    || self.allowed.iter().any(|allowed| matches!(allowed, AllowedOrigin::Only(allowed) if *allowed == origin))
            })
        };
        let read = |value: &HeaderValue| value.to_str().is_ok_and(may);
        let good = match headers.get(header::ORIGIN) {
            Some(origin) => read(origin),
            // Browsers that leave `Origin` out of a form say by one of these that another site's page has it.
            None => match headers.get(header::REFERER) {
                Some(page) => page.to_str().is_ok_and(|page| may(&origin_of(page))),
                None => headers.get(FETCH_SITE).is_none_or(|site| site == "same-origin" || site == "none"),
            },
        };
        if !good {
            self.refused.say(|others| {
                let [origin, host, page] = [header::ORIGIN, header::HOST, header::REFERER]
                    .map(|name| headers.get(name).map(HeaderValue::as_bytes))
                    .map(shown);
                warn!(
                    origin,
                    host,
                    page,
                    others,
                    "a page of another origin may not act here; server.allowed_origins names those that may"
                );
            });
        }
        good
    }
}

/// The origin of a page by its address: everything up to its path.
fn origin_of(page: &str) -> Cow<'_, str> {
    let authority = page.find("://").map_or(page.len(), |scheme| scheme + 3);
    let end = page[authority..].find(['/', '?', '#']).map_or(page.len(), |end| authority + end);
    page[..end].into()
}

/// What a stranger sent, as the log may have it.
fn shown(sent: Option<&[u8]>) -> String {
    let Some(sent) = sent else { return "none".to_owned() };
    String::from_utf8_lossy(sent).chars().take(SHOWN).collect::<String>().escape_debug().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(host: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_bytes(host).expect("bytes that a header may have"))])
    }

    fn hosts() -> Hosts {
        Hosts::new(vec!["chat.example".parse().expect("a name")])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn nothing_is_let_in_but_the_names_and_addresses(
            host in prop_oneof![
                prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..40),
                "(chat\\.example|localhost|127\\.0\\.0\\.1|\\[::1\\])?[.:@a-z0-9\\[\\]]{0,6}".prop_map(String::into_bytes),
            ]
        ) {
            let let_in = hosts().know(&Uri::from_static("/"), &asked(&host)).is_ok();
            let text = String::from_utf8_lossy(&host).to_ascii_lowercase();
            let name = text.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(&*text, |(name, _)| name);
            let name = name.strip_suffix('.').unwrap_or(name);
            let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
            let good = matches!(name, "chat.example" | "localhost") || address.parse::<std::net::IpAddr>().is_ok();
            prop_assert!(!let_in || good, "{}", text);
        }

        #[test]
        fn no_page_but_an_own_one_may_act_whatever_stands_in_its_headers(
            origin in prop_oneof![
                prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..40),
                "(https?://)?(chat\\.example)?[.:@/a-z0-9]{0,6}".prop_map(String::into_bytes),
            ],
            name in prop_oneof![Just(header::ORIGIN), Just(header::REFERER)],
        ) {
            let mut headers = asked(b"chat.example");
            headers.insert(name.clone(), HeaderValue::from_bytes(&origin).expect("no control characters"));
            let text = String::from_utf8_lossy(&origin).to_ascii_lowercase();
            let own = ["http", "https"].iter().any(|scheme| {
                let rest = text.strip_prefix(&format!("{scheme}://chat.example"));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':', '/', '?', '#']))
            });
            // Other schemes than these are the pages of programs that say so of themselves.
            let of_the_web = text.starts_with("http://") || text.starts_with("https://");
            prop_assert!(!Origins::new(Vec::new()).allow(&headers) || own || !of_the_web, "{}", text);
        }
    }

    #[test]
    fn origins() {
        let none = Origins::new(Vec::new());
        let some = Origins::new(vec!["https://friend.example".parse().expect("an origin")]);
        let any = Origins::new(vec![AllowedOrigin::Any]);
        for (origin, by_none, by_some) in [
            ("http://chat.example:3000", true, true),
            ("https://chat.example:3000", true, true),
            ("http://chat.example", false, false),
            ("https://friend.example", false, true),
            ("http://friend.example", false, false),
            ("null", false, false),
        ] {
            let mut headers = asked(b"chat.example:3000");
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(none.allow(&headers), by_none, "{origin}");
            assert_eq!(some.allow(&headers), by_some, "{origin}");
            assert!(any.allow(&headers));
        }
        assert!(none.allow(&asked(b"chat.example:3000")));
    }
}
