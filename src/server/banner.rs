//! What stands at the head of every page as long as it is so: an announcement to all, and that the server is read-only.
//!
//! It is the same for all readers, but for those who have dismissed it: that a cookie says. So it is no part of a page's data, and the page
//! that is rendered once for all has an empty place for it. The middleware [`around`] a request knows what belongs there, and whatever
//! makes a page of it asks [`html`].

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Uri, header, uri::PathAndQuery},
};

use super::{percent::percent_encode, request_cookies::cookies};
use crate::{app::words, locales::pages as say, wire::Announced};

/// The cookie that says which announcement was dismissed.
const COOKIE: &str = "confab_dismissed";
/// Where a page asks for what stands at its head.
const PATH: &str = "/banner";

tokio::task_local! {
    static BANNER: Arc<str>;
}

/// Answers a request with this at the head of its page.
pub async fn around<T>(banner: Arc<str>, answer: impl Future<Output = T>) -> T {
    BANNER.scope(banner, answer).await
}

/// What stands at the head of the page that is being made; nothing, mostly.
pub fn html() -> Arc<str> {
    BANNER.try_with(Arc::clone).unwrap_or_default()
}

/// What a reader sees of it, on the page at this address.
pub fn of(announced: &Announced, headers: &HeaderMap, here: &str) -> Arc<str> {
    let Announced { announcement, read_only } = announced;
    let announcement = announcement.as_ref().filter(|announcement| !is_dismissed(headers, &announcement.id));
    let mut html = String::new();
    if *read_only {
        let _ = write!(html, "<div class=\"banner\"><p>{}</p></div>", say::read_only_banner()); // a text takes whatever is written
    }
    if let Some(announcement) = announcement {
        let _ = write!(
            // a text takes whatever is written
            html,
            "<div class=\"banner\"><p>{}</p><form method=\"post\" action=\"/dismiss\">\
             <input type=\"hidden\" name=\"announcement\" value=\"{}\"><input type=\"hidden\" name=\"next\" value=\"{}\">\
             <button type=\"submit\" class=\"quiet\">{}</button></form></div>",
            words(&announcement.text),
            words(&announcement.id),
            words(here),
            say::dismiss(),
        );
    }
    html.into()
}

/// The page that is made for a request, or that asks for what stands at its head. Where something was sent to another address than a page's
/// that one leads to nothing, so it is the first of all.
pub fn page_of(request: &Request) -> PathAndQuery {
    let asker = || request.headers().get(header::REFERER).and_then(|from| from.to_str().ok()?.parse::<Uri>().ok());
    let page = match request.uri().path() {
        PATH => asker().and_then(|from| from.path_and_query().cloned()),
        _ => request.uri().path_and_query().filter(|_| request.method().is_safe()).cloned(),
    };
    page.unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// Whether a browser has dismissed an announcement.
pub fn is_dismissed(headers: &HeaderMap, id: &str) -> bool {
    cookies(headers).any(|cookie| cookie.name_value() == (COOKIE, id))
}

/// What has a browser dismiss an announcement for a month, longer than which none is shown.
pub fn dismissed(id: &str) -> Option<HeaderValue> {
    let id = percent_encode(id);
    HeaderValue::try_from(format!("{COOKIE}={id}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax")).ok()
}
