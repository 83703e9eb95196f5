//! The HTTP API for programs: the list of [rooms], reading a room ([`messages`], [`export`]), [searching](search) and pushing from
//! outside ([`push`]). Errors are JSON: `{"error": {"code", "message", "retry_after_ms"}}`, made of a [`Problem`].
//!
//! [`ROUTES`] names the addresses with their handlers. The document at `/api/v1/openapi.json` is made of what stands at the handlers and
//! of the types that they read and answer; a test holds the two to each other, and the answers to the document.

#![expect(unused_qualifications, reason = "the descriptions of handlers name the types of parameters by a path")]

mod described;
mod export;
mod limit;
mod messages;
mod openapi;
mod push;
mod rooms;
mod search;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::FromRequestParts,
    http::request::Parts,
    routing::{MethodRouter, get, post},
};

use super::{
    accounts::Program,
    problem::Problem,
    rooms::{Access, Room},
    services::Services,
    who::{Asks, Route, Who, mount},
};
use crate::wire::Group;

const fn reading(path: &'static str, asks: Asks, handlers: fn() -> MethodRouter<Arc<Services>>) -> Route {
    Route { path, methods: &["GET"], asks, handlers }
}

const fn pushing(path: &'static str, handlers: fn() -> MethodRouter<Arc<Services>>) -> Route {
    Route { path, methods: &["POST"], asks: Asks::Program, handlers }
}

/// What can be asked for, below `/api/v1`; axum and `OpenAPI` write parameters alike.
pub(super) static ROUTES: [Route; 8] = [
    reading("/rooms", Asks::Reader, || get(rooms::rooms)),
    reading("/rooms/{group}/messages", Asks::Reader, || get(messages::messages)),
    reading("/rooms/{group}/export", Asks::Reader, || get(export::export)),
    reading("/rooms/{group}/search", Asks::Reader, || get(search::in_room)),
    reading("/search", Asks::Reader, || get(search::in_all)),
    pushing("/groups/{group}/send", || post(push::to_group)),
    pushing("/channels/{channel}/send", || post(push::to_channel)),
    reading("/openapi.json", Asks::Nobody, || get(openapi::document)),
];

pub(super) fn router(services: &Arc<Services>) -> Router<Arc<Services>> {
    let routes = mount(Router::new(), &ROUTES, services).layer(Extension(openapi::Document::default()));
    routes.layer(push::body_limit(&services.limits)).fallback(|| async { Problem::NoAddress })
}

/// A room, for whoever reads it over the API.
async fn enter(services: &Services, who: &Who, group: &Group) -> Result<Access<Room>, Problem> {
    may_read(who)?;
    if let Who::Program(program) = who
        && !program.is_for(group)
    {
        return Err(Problem::OtherRoom { group: group.clone(), allowed: program.groups().to_vec() });
    }
    Ok(services.rooms.enter(who.asker(), group).await?)
}

/// Whether whoever asks may read rooms over the API at all.
fn may_read(who: &Who) -> Result<(), Problem> {
    match who {
        Who::Program(program) if !program.may.read => Err(Problem::TokenLacks("read")),
        _ => Ok(()),
    }
}

/// Whether a room is among those that whoever asks may be told of.
fn is_told_of(who: &Who, group: &Group) -> bool {
    if let Who::Program(program) = who { program.is_for(group) } else { true }
}

/// The program that a request comes from; without one there is no push.
struct Caller(Arc<Program>);

impl FromRequestParts<Arc<Services>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> Result<Self, Problem> {
        match Who::from_request_parts(parts, services).await? {
            Who::Program(program) => Ok(Self(program)),
            Who::Guest(_) | Who::Account(_) => Err(Problem::NoToken),
        }
    }
}
