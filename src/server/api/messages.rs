//! Reading a room.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::openapi;
use crate::{
    server::{
        limits::Limits,
        problem::Problem,
        services::{Named, Services},
        store::Slice,
        who::Who,
    },
    wire::{Offset, Stretch},
};

/// How many messages an answer has at most, and how many when nothing is said.
const MOST: usize = 200;
const USUAL: usize = 50;

/// Which messages: at most one of `before`, `after` and `around`; none of them for the newest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    before: Option<u64>,
    after: Option<u64>,
    around: Option<u64>,
    limit: Option<usize>,
}

impl Part {
    fn slice(&self) -> Result<Slice, Problem> {
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(Slice::Latest),
            (Some(offset), None, None) => Ok(Slice::Before(Offset(offset))),
            (None, Some(offset), None) => Ok(Slice::After(Offset(offset))),
            (None, None, Some(offset)) => Ok(Slice::Around(Offset(offset))),
            _ => Err(Problem::SeveralParts),
        }
    }

    fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(USUAL),
            Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
            Some(_) => Err(Problem::Limit(MOST)),
        }
    }
}

/// `GET /api/v1/rooms/{group}/messages?before=|after=|around=OFFSET&limit=N`
pub(super) async fn messages(
    State(services): State<Arc<Services>>,
    Named(group): Named,
    who: Who,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<Stretch>, Problem> {
    let Query(part) = part.map_err(|rejection| Problem::Unreadable(rejection.body_text()))?;
    let (slice, limit) = (part.slice()?, part.limit()?);
    let group = group.map_err(Problem::NoName)?;
    let access = services.rooms.enter(who.person(), &group)?;
    Ok(Json(access.page(slice, limit).await?))
}

/// How `OpenAPI` describes it.
pub(super) fn operation(_limits: &Limits) -> Value {
    let offset = |name: &str, what: &str| openapi::parameter("query", name, what, &json!({"type": "integer", "minimum": 0}));
    json!({
        "operationId": "messages",
        "summary": "A part of a room's messages, in rising order of offset",
        "parameters": [
            openapi::group(),
            offset("before", "The newest messages before this offset"),
            offset("after", "The oldest messages after this offset"),
            offset("around", "Half from before this offset, the rest from it on"),
            openapi::parameter(
                "query",
                "limit",
                "How many messages at most",
                &json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}),
            ),
        ],
        "responses": openapi::responses(
            &json!({
                "type": "object",
                "required": ["epoch", "offset", "first", "latest", "messages"],
                "properties": {
                    "epoch": {"type": "string"},
                    "offset": {"type": "integer", "description": "Where the room's stream stood: what was done up to here is in it"},
                    "first": {"type": "integer", "description": "The smallest offset that the room holds"},
                    "latest": {"type": "integer", "description": "The offset of the newest message, 0 without one"},
                    "messages": {"type": "array", "items": {"$ref": "#/components/schemas/Message"}},
                    "mine": {
                        "type": "object",
                        "description": "What the person in the cookie has put to them, by the ids of the messages; left out when it is nothing",
                        "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    },
                },
            }),
            &[400, 403, 404, 429, 503],
        ),
    })
}
