//! The HTTP API for programs: the list of [rooms], reading a room ([`messages`], [`export`]), [searching](search) and pushing from
//! outside ([`push`]). Errors are JSON: `{"error": {"code", "message", "retry_after_ms"}}`, made of a [`Problem`].
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
    Router,
    extract::FromRequestParts,
    http::request::Parts,
    routing::{MethodRouter, get, post},
};

use super::{
    accounts::Program,
    limits::Limits,
    problem::Problem,
    services::Services,
    who::{Asks, Route, Who, mount},
};

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
    mount(Router::new(), routes(), services).layer(push::body_limit(&services.limits)).fallback(|| async { Problem::NoAddress })
}

/// The program that a request comes from; without one there is no push.
struct Caller(Arc<Program>);

impl FromRequestParts<Arc<Services>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> Result<Self, Problem> {
        match Who::from_request_parts(parts, services).await? {
            Who::Program(program) => Ok(Self(program)),
            Who::Guest(_) => Err(Problem::NoToken),
        }
    }
}
