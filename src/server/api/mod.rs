//! The HTTP API for programs: the list of [rooms], reading a room ([`messages`], [`export`]), [searching](search) and pushing from
//! outside ([`push`]). Errors are JSON: `{"error": {"code", "message", "retry_after_ms"}}`.
//!
//! Each address stands once, in [`ADDRESSES`], with its handler and its description; the router and the document at
//! `/api/v1/openapi.json` are both made of that table.

mod export;
mod messages;
mod openapi;
mod push;
mod rooms;
mod search;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use serde::Serialize;
use tracing::debug;

use super::{
    accounts::{Program, Unknown},
    limits::Limits,
    rooms::Refusal,
    services::Services,
    store::StoreError,
    who::{Asks, Route, Who, mount},
};
use crate::wire::{Code, CommandError};

/// An address of the API.
struct Address {
    /// Below `/api/v1`; axum and `OpenAPI` write parameters alike.
    route: Route,
    /// The operation object of `OpenAPI`, for the route's one method.
    operation: fn(&Limits) -> serde_json::Value,
}

const fn reading(
    path: &'static str,
    asks: Asks,
    handlers: fn() -> MethodRouter<Arc<Services>>,
    operation: fn(&Limits) -> serde_json::Value,
) -> Address {
    Address { route: Route { path, methods: &["GET"], asks, handlers }, operation }
}

const fn pushing(
    path: &'static str,
    handlers: fn() -> MethodRouter<Arc<Services>>,
    operation: fn(&Limits) -> serde_json::Value,
) -> Address {
    Address { route: Route { path, methods: &["POST"], asks: Asks::Program, handlers }, operation }
}

static ADDRESSES: [Address; 8] = [
    reading("/rooms", Asks::Nobody, || get(rooms::rooms), rooms::operation),
    reading("/rooms/{group}/messages", Asks::Person, || get(messages::messages), messages::operation),
    reading("/rooms/{group}/export", Asks::Person, || get(export::export), export::operation),
    reading("/rooms/{group}/search", Asks::Person, || get(search::in_room), search::room_operation),
    reading("/search", Asks::Nobody, || get(search::in_all), search::operation_of_all),
    pushing("/groups/{group}/send", || post(push::to_group), push::group_operation),
    pushing("/channels/{channel}/send", || post(push::to_channel), push::channel_operation),
    reading("/openapi.json", Asks::Nobody, || get(openapi::document), openapi::operation),
];

/// What can be asked for, below `/api/v1`.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    ADDRESSES.iter().map(|address| &address.route)
}

pub(super) fn router(services: &Arc<Services>) -> Router<Arc<Services>> {
    mount(Router::new(), routes(), services)
        .layer(push::body_limit(&services.limits))
        .fallback(|| async { Error(StatusCode::NOT_FOUND, CommandError::new(Code::NotFound, "there is no such address")) })
}

/// An answer that says what is wrong.
struct Error(StatusCode, CommandError);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: CommandError,
        }
        let Self(status, error) = self;
        let retry_after = error.retry_after_ms.map(|ms| HeaderValue::from(ms.div_ceil(1_000)));
        let mut response = (status, Json(Body { error })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => not_found("there is no such room"),
            Refusal::Forbidden => forbidden("this room is not open to guests"),
        }
    }
}

impl From<StoreError> for Error {
    fn from(StoreError::Unavailable(cause): StoreError) -> Self {
        debug!(%cause, "the store could not be read");
        Self(StatusCode::SERVICE_UNAVAILABLE, CommandError::new(Code::Unavailable, "not now; try again"))
    }
}

/// The answer to a request that came too soon.
fn too_many_requests(error: CommandError) -> Response {
    refused(StatusCode::TOO_MANY_REQUESTS, error)
}

/// The answer to a request that no handler sees.
pub(super) fn refused(status: StatusCode, error: CommandError) -> Response {
    Error(status, error).into_response()
}

fn bad_request(message: impl Into<String>) -> Error {
    Error(StatusCode::BAD_REQUEST, CommandError::new(Code::BadRequest, message))
}

fn not_found(message: impl Into<String>) -> Error {
    Error(StatusCode::NOT_FOUND, CommandError::new(Code::NotFound, message))
}

fn forbidden(message: impl Into<String>) -> Error {
    Error(StatusCode::FORBIDDEN, CommandError::new(Code::Forbidden, message))
}

/// The program that a request comes from; without one there is no push.
struct Caller(Arc<Program>);

impl FromRequestParts<Arc<Services>> for Caller {
    type Rejection = Unknown;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> Result<Self, Unknown> {
        match Who::from_request_parts(parts, services).await? {
            Who::Program(program) => Ok(Self(program)),
            Who::Guest(_) => Err(Unknown::NoToken),
        }
    }
}

impl IntoResponse for Unknown {
    fn into_response(self) -> Response {
        let message = match self {
            Self::NoToken => "a token is needed: Authorization: Bearer TOKEN",
            Self::WrongToken => "the server knows no such token; the setting tokens has those that it knows",
        };
        Error(StatusCode::UNAUTHORIZED, CommandError::new(Code::Unauthorized, message)).into_response()
    }
}
