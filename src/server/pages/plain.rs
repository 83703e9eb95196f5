//! Pages of forms: plain HTML in the looks of the rest, without a program. Whatever is written by people goes through [`words`].

use std::fmt::Write as _;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};

use super::render::with_cookies;
use crate::{
    app::words,
    server::{
        assets::{BUILD, VERSION},
        who::Who,
    },
};

/// Nothing runs on such a page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// A field of a form, with what is wrong with what was typed.
#[derive(Default)]
pub(in crate::server) struct Field<'f> {
    pub(in crate::server) name: &'f str,
    pub(in crate::server) label: &'f str,
    /// `text` if it is none.
    pub(in crate::server) kind: &'f str,
    pub(in crate::server) autocomplete: &'f str,
    pub(in crate::server) value: &'f str,
    pub(in crate::server) hint: &'f str,
    pub(in crate::server) error: Option<String>,
}

impl Field<'_> {
    pub(in crate::server) fn html(&self) -> String {
        let Self { name, label, kind, autocomplete, value, hint, error } = self;
        let kind = if kind.is_empty() { "text" } else { kind };
        let mut described = Vec::new();
        let mut beside = String::new();
        if !hint.is_empty() {
            described.push(format!("{name}-hint"));
            let _ = write!(beside, "<span id=\"{name}-hint\" class=\"hint\">{}</span>", words(hint));
        }
        if let Some(error) = error {
            described.push(format!("{name}-error"));
            let _ = write!(
                beside,
                "<span id=\"{name}-error\" class=\"wrong\" role=\"alert\">{}.</span>",
                words(error.trim_end_matches('.'))
            );
        }
        let described =
            if described.is_empty() { String::new() } else { format!(" aria-describedby=\"{}\"", described.join(" ")) };
        let invalid = if error.is_some() { " aria-invalid=\"true\"" } else { "" };
        format!(
            "<p class=\"entry\"><label for=\"{name}\">{}</label><input id=\"{name}\" name=\"{name}\" type=\"{kind}\" required \
             autocomplete=\"{autocomplete}\" value=\"{}\"{described}{invalid}>{beside}</p>",
            words(label),
            words(value),
        )
    }
}

/// A hidden field.
pub(in crate::server) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", words(value))
}

/// What is wrong with a form as a whole.
pub(in crate::server) fn alert(text: &str) -> String {
    format!("<p class=\"wrong\" role=\"alert\">{}</p>", words(text))
}

/// The page with this HTML in it, for somebody.
pub(in crate::server) fn page(status: StatusCode, title: &str, who: &Who, main: &str) -> Response {
    let you = who.you();
    let me = match &you.handle {
        Some(_) => format!("<a class=\"button quiet\" href=\"/account/\"><bdi>{}</bdi></a>", words(&you.name)),
        None => "<a class=\"button quiet\" href=\"/login\">Sign in</a>".to_owned(),
    };
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title} · Confab</title>\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/pkg/{BUILD}/confab.css\"></head>\
         <body><div id=\"app\"><header class=\"bar\"><a class=\"home\" href=\"/\"><span class=\"word\">Confab</span></a>{me}</header>\
         <main class=\"forms\"><h1>{title}</h1>{main}</main></div><footer class=\"version\">Confab {VERSION}</footer></body></html>",
        title = words(title),
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Addresses of such pages may have a secret in them. Who sends a form says where it comes from all the same.
        (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin")),
    ];
    with_cookies((status, headers, Html(html)).into_response(), who.cookies())
}
