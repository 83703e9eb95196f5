//! In which language a request is answered: the one that its browser was told to keep, or else the first of those that the browser asks for
//! which there is. Whoever has an account has chosen for all of their browsers, which `who` says.
//!
//! The page that is made knows of it by [`locales`](crate::locales::here), and of its own address, to which the choice leads back, by
//! [`page`].

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header, uri::PathAndQuery},
};

use super::{banner, request_cookies::cookies};
use crate::locales::{self, Language};

/// The cookie that keeps the choice.
const COOKIE: &str = "confab_language";
/// As long as browsers keep any, in seconds.
const LIFETIME: u32 = 400 * 24 * 60 * 60;

tokio::task_local! {
    static PAGE: PathAndQuery;
}

/// Answers a request in its language.
pub fn of_request<A: Future>(request: Request, answer: impl FnOnce(Request) -> A) -> impl Future<Output = A::Output> {
    let (language, page) = (asked(request.headers()), banner::page_of(&request));
    PAGE.scope(page, locales::around(language, answer(request)))
}

/// The address of the page that is made.
pub fn page() -> PathAndQuery {
    PAGE.try_with(PathAndQuery::clone).unwrap_or_else(|_| PathAndQuery::from_static("/"))
}

/// The language that a request asks for.
pub fn asked(headers: &HeaderMap) -> Language {
    kept(headers).or_else(|| accepted(headers)).unwrap_or_default()
}

/// What has a browser keep a choice.
pub fn keep(language: Language) -> HeaderValue {
    let text = format!("{COOKIE}={}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Lax", language.tag());
    HeaderValue::try_from(text).expect("names, tags and numbers are ASCII") // never: each tag is
}

fn kept(headers: &HeaderMap) -> Option<Language> {
    cookies(headers).filter(|cookie| cookie.name() == COOKIE).find_map(|cookie| Language::of_tag(cookie.value()))
}

/// The one that a browser likes most of those that there are (RFC 9110 section 12.5.4); any Chinese is written as there is one.
fn accepted(headers: &HeaderMap) -> Option<Language> {
    let lines = headers.get_all(header::ACCEPT_LANGUAGE).into_iter().filter_map(|line| line.to_str().ok());
    let mut best: Option<(Language, f32)> = None;
    for range in lines.flat_map(|line| line.split(',')) {
        let (tag, quality) = range.split_once(';').map_or((range, 1.0), |(tag, rest)| (tag, quality(rest)));
        let first = tag.trim().split('-').next().unwrap_or_default();
        let language = Language::ALL.into_iter().find(|language| {
            let own = language.tag().split('-').next().unwrap_or_default();
            own.eq_ignore_ascii_case(first)
        });
        // Of two that are liked alike the first.
        if let Some(language) = language.filter(|_| quality > best.map_or(0.0, |(_, best)| best)) {
            best = Some((language, quality));
        }
    }
    best.map(|(language, _)| language)
}

/// Nothing that cannot be read is wanted.
fn quality(parameter: &str) -> f32 {
    let value = parameter.trim().strip_prefix("q=").or_else(|| parameter.trim().strip_prefix("Q="));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: header::HeaderName, value: &'static str) -> Language {
        asked(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_browser_gets_the_language_that_it_likes_most_of_those_that_there_are() {
        for (accepted, language) in [
            ("", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-GB,en;q=0.9,zh-CN;q=0.8", Language::English),
            ("fr-FR, de;q=0.9, zh;q=0.1", Language::Chinese),
            ("fr, *;q=0.5", Language::English),
            ("en;q=0.3, ZH-hant-TW;q=0.7", Language::Chinese),
            ("zh;q=0", Language::English),
            ("zh;q=x, en", Language::English),
            ("en, zh", Language::English),
        ] {
            assert_eq!(of(header::ACCEPT_LANGUAGE, accepted), language, "{accepted}");
        }
    }

    #[test]
    fn a_choice_is_kept_whatever_the_browser_asks_for() {
        let mut headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_static("zh-CN"))]);
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; confab_language=en"));
        assert_eq!(asked(&headers), Language::English);
        assert_eq!(of(header::COOKIE, "confab_language=xx; confab_language=zh-CN"), Language::Chinese);
        let foreign = HeaderValue::from_bytes(b"other=caf\xe9; confab_language=zh-CN").unwrap();
        assert_eq!(asked(&HeaderMap::from_iter([(header::COOKIE, foreign)])), Language::Chinese, "beside what is not UTF-8");
        assert!(keep(Language::Chinese).to_str().unwrap().starts_with("confab_language=zh-CN; Path=/; Max-Age="));
    }
}
