//! A page of forms whose content is a view, as those of rooms are. New pages are written with [`form`](super::form).

use axum::{http::StatusCode, response::Response};
use leptos::prelude::*;

use super::{html::Html, plain};
use crate::server::who::Who;

/// Where such a page leads back to, and in which words.
pub(super) struct Back(pub(super) String, pub(super) &'static str);

/// A page of this title, for somebody.
pub(super) fn sheet<V: IntoView>(
    status: StatusCode,
    title: &str,
    who: &Who,
    Back(href, words): Back,
    content: impl FnOnce() -> V,
) -> Response {
    let html = Owner::new().with(|| {
        view! {
            <p>
                <a href=href>{words}</a>
            </p>
            <div class="sheet">{content()}</div>
        }
        .to_html()
    });
    plain::page(status, title, who, &Html::made(html))
}
