//! The list of rooms.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::openapi;
use crate::{
    server::{limits::Limits, problem::Problem, rooms::Place, services::Services},
    wire::RoomList,
};

/// Which rooms, and from where on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    #[serde(default)]
    name: String,
    #[serde(default)]
    before: String,
}

/// `GET /api/v1/rooms?name=PART&before=NEXT`
pub(super) async fn rooms(
    State(services): State<Arc<Services>>,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<RoomList>, Problem> {
    let Query(Part { name, before }) = part.map_err(|rejection| Problem::Unreadable(rejection.body_text()))?;
    let place = match before.as_str() {
        "" => Place::default(),
        before => before.parse().map_err(Problem::Before)?,
    };
    Ok(Json(services.rooms.list(&name, place).await?))
}

/// How `OpenAPI` describes it.
pub(super) fn operation(_limits: &Limits) -> Value {
    let text = json!({"type": "string"});
    json!({
        "operationId": "rooms",
        "summary": "The rooms that guests may enter, the one with the newest activity first",
        "parameters": [
            openapi::parameter("query", "name", "Only those with this in their names, in any case", &text),
            openapi::parameter("query", "before", "The next of an earlier answer, to go on after it", &text),
        ],
        "responses": openapi::responses(
            &json!({
                "type": "object",
                "required": ["rooms", "next"],
                "properties": {
                    "rooms": {"type": "array", "items": {
                        "type": "object",
                        "required": ["group", "latest"],
                        "properties": {
                            "group": text,
                            "latest": {"$ref": "#/components/schemas/Message", "description": "The beginning of its newest message, without reactions"},
                        },
                    }},
                    "next": {"type": ["string", "null"], "description": "What to ask with for the rooms after these; null when there are no more"},
                },
            }),
            &[400, 429, 503],
        ),
    })
}
