//! The document that describes the API: made of what stands at the handlers, of the types that they read and answer, of [`ROUTES`],
//! and of the limits of this very server.

use std::sync::{Arc, OnceLock};

use axum::{Extension, extract::State, http::header, response::IntoResponse};
use bytes::Bytes;
use utoipa::{
    OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use super::{ROUTES, described::ToEverybody, export, messages, push, rooms, search};
use crate::server::{limits::Limits, problem::ErrorBody, services::Services, who::Asks};

/// What stands at the handlers.
#[derive(OpenApi)]
#[openapi(
    info(title = "Confab"),
    servers((url = "/api/v1")),
    paths(
        rooms::rooms,
        messages::messages,
        export::export,
        search::in_room,
        search::in_all,
        push::to_group,
        push::to_channel,
        document,
    ),
    components(schemas(ErrorBody)),
)]
struct Handlers;

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    responses((status = 200, description = "Done", content_type = "application/json", body = Object), ToEverybody),
)]
pub(super) async fn document(
    State(services): State<Arc<Services>>,
    Extension(document): Extension<Document>,
) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document.of(&services.limits))
}

/// The document of a server, made when it is asked for the first time.
#[derive(Clone, Default)]
pub(super) struct Document(Arc<OnceLock<Bytes>>);

impl Document {
    fn of(&self, limits: &Limits) -> Bytes {
        self.0.get_or_init(|| describe(limits).into()).clone()
    }
}

fn describe(limits: &Limits) -> String {
    let mut document = Handlers::openapi();
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", token);
    let token = || SecurityRequirement::new("token", [""; 0]);
    for route in &ROUTES {
        let security = match route.asks {
            Asks::Program => vec![token()],
            // Without one it is a person who reads.
            Asks::Reader => vec![SecurityRequirement::default(), token()],
            Asks::Nobody | Asks::Person => continue,
        };
        let item = document.paths.paths.get_mut(route.path).into_iter();
        for operation in item.flat_map(|item| [&mut item.get, &mut item.post]).flatten() {
            operation.security = Some(security.clone());
        }
    }
    // The keys of all its maps are texts, so it is JSON.
    #[expect(clippy::unwrap_used)]
    let text = document.to_json().unwrap();
    text.replace("{longest}", &limits.message_bytes.to_string()).replace("{largest}", &push::body_bytes(limits).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_made_once() {
        let document = Document::default();
        let limits = Limits {
            message_bytes: 1_000,
            backlog_bytes: 0,
            messages_per_second: 0,
            bytes_per_second: 0,
            topics: 1,
            ping_s: 25,
        };
        assert_eq!(document.of(&limits).as_ptr(), document.of(&limits).as_ptr());
    }
}
