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
use tracing::error;

use super::{
    accounts::{Program, Unknown},
    limits::Limits,
    rooms::Refusal,
    services::Services,
    store::StoreError,
};
use crate::wire::{Code, CommandError};

/// An address of the API.
struct Address {
    /// Below `/api/v1`; axum and `OpenAPI` write parameters alike.
    path: &'static str,
    /// In lower case, as `OpenAPI` has it.
    method: &'static str,
    handler: fn() -> MethodRouter<Arc<Services>>,
    /// The operation object of `OpenAPI`.
    operation: fn(&Limits) -> serde_json::Value,
}

const ADDRESSES: [Address; 8] = [
    Address { path: "/rooms", method: "get", handler: || get(rooms::rooms), operation: rooms::operation },
    Address {
        path: "/rooms/{group}/messages",
        method: "get",
        handler: || get(messages::messages),
        operation: messages::operation,
    },
    Address { path: "/rooms/{group}/export", method: "get", handler: || get(export::export), operation: export::operation },
    Address {
        path: "/rooms/{group}/search",
        method: "get",
        handler: || get(search::in_room),
        operation: search::room_operation,
    },
    Address { path: "/search", method: "get", handler: || get(search::in_all), operation: search::operation_of_all },
    Address {
        path: "/groups/{group}/send",
        method: "post",
        handler: || post(push::to_group),
        operation: push::group_operation,
    },
    Address {
        path: "/channels/{channel}/send",
        method: "post",
        handler: || post(push::to_channel),
        operation: push::channel_operation,
    },
    Address { path: "/openapi.json", method: "get", handler: || get(openapi::document), operation: openapi::operation },
];

pub(super) fn router(limits: &Limits) -> Router<Arc<Services>> {
    let routes = ADDRESSES.iter().fold(Router::new(), |router, address| router.route(address.path, (address.handler)()));
    routes
        .layer(push::body_limit(limits))
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
        error!(%cause, "the store could not be read");
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
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> Result<Self, Error> {
        services.programs.of(&parts.headers).map(Self).map_err(|unknown| {
            let message = match unknown {
                Unknown::NoToken => "a token is needed: Authorization: Bearer TOKEN",
                Unknown::WrongToken => "the server knows no such token; the setting tokens has those that it knows",
            };
            Error(StatusCode::UNAUTHORIZED, CommandError::new(Code::Unauthorized, message))
        })
    }
}
