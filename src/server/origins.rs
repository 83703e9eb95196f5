//! By which names the server is asked, and whose pages may act on it.
//!
//! A browser lets a page of any site send forms here and open sockets, and says whose page it is: [`Origins`] compares that with the
//! name that was asked for, `Host`. But a page may have its own name made to point at this server (DNS rebinding), and then both are
//! the same. So [`Hosts`] knows the names that the server goes by, before anything else is looked at.
//!
//! Names are compared in one form: in small letters, without the dot that may stand at the end, and without the port that the scheme
//! implies.

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
