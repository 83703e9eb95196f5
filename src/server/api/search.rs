//! Searching.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Query as Parameters, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::openapi;
use crate::{
    server::{
        limits::Limits,
        problem::Problem,
        search::{Found, LONGEST_QUERY, Query, QueryTooLong},
        services::{Named, Services},
        store::StoreError,
        visitors::Visitor,
        who::Who,
    },
    wire::Hit,
};

/// How many messages an answer has at most, and how many when nothing is said.
const MOST: usize = 100;
const USUAL: usize = 20;

/// What to search for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    q: String,
    limit: Option<usize>,
}

impl Search {
    fn read(self) -> Result<(Query, usize), Problem> {
        let query = Query::parse(&self.q).map_err(|too_long: QueryTooLong| Problem::Unreadable(too_long.to_string()))?;
        match self.limit.unwrap_or(USUAL) {
            limit @ 1..=MOST => Ok((query, limit)),
            _ => Err(Problem::Limit(MOST)),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Hits {
    hits: Vec<Hit>,
    complete: bool,
}

impl From<Found> for Json<Hits> {
    fn from(Found { hits, complete }: Found) -> Self {
        Self(Hits { hits, complete })
    }
}

/// `GET /api/v1/rooms/{group}/search?q=TEXT&limit=N`
pub(super) async fn in_room(
    State(services): State<Arc<Services>>,
    Named(group): Named,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    search: Result<Parameters<Search>, QueryRejection>,
) -> Result<Json<Hits>, Problem> {
    let Parameters(search) = search.map_err(|rejection| Problem::Unreadable(rejection.body_text()))?;
    let (query, limit) = search.read()?;
    let group = group.map_err(Problem::NoName)?;
    let access = services.rooms.enter(who.person(), &group)?;
    found(&services, visitor, async move { access.search(&query, limit).await }).await
}

/// `GET /api/v1/search?q=TEXT&limit=N`
pub(super) async fn in_all(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    search: Result<Parameters<Search>, QueryRejection>,
) -> Result<Json<Hits>, Problem> {
    let Parameters(search) = search.map_err(|rejection| Problem::Unreadable(rejection.body_text()))?;
    let (query, limit) = search.read()?;
    let rooms = Arc::clone(&services.rooms);
    found(&services, visitor, async move { rooms.search(&query, limit).await }).await
}

/// Searches when it is the turn of the visitor's address.
async fn found(
    services: &Services,
    visitor: Visitor,
    search: impl Future<Output = Result<Found, StoreError>> + Send + 'static,
) -> Result<Json<Hits>, Problem> {
    let Ok(found) = services.searches.run(visitor.household(), search).await else {
        return Err(Problem::Searches);
    };
    Ok(found.map_err(|panicked| StoreError::Unavailable(panicked.into()))??.into())
}

/// How `OpenAPI` describes the search in a room.
pub(super) fn room_operation(_limits: &Limits) -> Value {
    operation("searchRoom", "A room's messages that fit a query best", &[openapi::group()], &[400, 403, 404, 429, 503])
}

/// How `OpenAPI` describes the search in all rooms.
pub(super) fn operation_of_all(_limits: &Limits) -> Value {
    operation("search", "The messages that fit a query best, of all rooms that may be entered", &[], &[400, 429, 503])
}

fn operation(id: &str, summary: &str, path: &[Value], errors: &[u16]) -> Value {
    let text = json!({"type": "string", "maxLength": LONGEST_QUERY});
    let number = json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL});
    let mut q = openapi::parameter("query", "q", "What to search for; any text", &text);
    q["required"] = true.into();
    let limit = openapi::parameter("query", "limit", "How many messages at most", &number);
    let parameters: Vec<&Value> = path.iter().chain([&q, &limit]).collect();
    json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters,
        "responses": openapi::responses(
            &json!({
                "type": "object",
                "required": ["hits", "complete"],
                "properties": {
                    "hits": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}},
                    "complete": {
                        "type": "boolean",
                        "description": "Whether every message was considered; if not, these are the best of newer ones",
                    },
                },
            }),
            errors,
        ),
    })
}
