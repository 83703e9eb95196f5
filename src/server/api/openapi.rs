//! The document that describes the API: made of [`ADDRESSES`], the descriptions beside their handlers, and the limits of this
//! very server.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};

use super::ADDRESSES;
use crate::{
    server::{limits::Limits, services::Services},
    wire::REACTION_SAMPLE,
};

/// `GET /api/v1/openapi.json`
pub(super) async fn document(State(services): State<Arc<Services>>) -> Json<Value> {
    Json(describe(&services.limits))
}

/// How `OpenAPI` describes it.
pub(super) fn operation(_limits: &Limits) -> Value {
    json!({
        "operationId": "openapi",
        "summary": "This document",
        "responses": responses(&json!({"type": "object"}), &[429]),
    })
}

fn describe(limits: &Limits) -> Value {
    let mut paths = Map::new();
    for address in &ADDRESSES {
        let path = paths.entry(address.route.path).or_insert_with(|| json!({}));
        for method in address.route.methods {
            path[method.to_ascii_lowercase()] = (address.operation)(limits);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Confab", "version": env!("CARGO_PKG_VERSION")},
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    })
}

fn schemas() -> Value {
    let text = json!({"type": "string"});
    let offset = json!({"type": "integer", "minimum": 1});
    let person = json!({"type": "object", "required": ["id", "name"], "properties": {"id": text, "name": text}});
    let at = json!({"type": "string", "format": "date-time"});
    json!({
        "Message": {
            "type": "object",
            "required": ["offset", "id", "key", "from", "text", "at"],
            "properties": {
                "offset": offset, "id": text, "key": key(), "text": text,
                "from": person, "at": at,
                "edited": {"type": "string", "format": "date-time", "description": "When its author said it differently; left out otherwise"},
                "deleted": {"type": "boolean", "description": "Its author has taken it back, its text is empty; left out otherwise"},
                "reactions": {"type": "array", "description": "Left out when there are none", "items": {
                    "type": "object",
                    "required": ["emoji", "count", "from"],
                    "properties": {
                        "emoji": text,
                        "count": {"type": "integer", "minimum": 1, "description": "How many people have put it"},
                        "from": {"type": "array", "description": "Some of them", "items": person, "maxItems": REACTION_SAMPLE},
                    },
                }},
                "changed": {"type": "integer", "minimum": 1, "description": "The offset of its last change, which is in it; left out otherwise"},
            },
        },
        "Hit": {
            "type": "object",
            "required": ["group", "offset", "id", "from", "at", "snippet"],
            "properties": {
                "group": text, "offset": offset, "id": text, "from": person, "at": at,
                "snippet": {
                    "type": "array",
                    "description": "The text around what was searched for, in pieces",
                    "items": {
                        "type": "object",
                        "required": ["text", "match"],
                        "properties": {"text": text, "match": {"type": "boolean"}},
                    },
                },
            },
        },
        "Event": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"type": "string", "description": "Not one that begins with `confab.`, as no field does"}},
            "additionalProperties": true,
        },
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {"error": {
                "type": "object",
                "required": ["code", "message", "retry_after_ms"],
                "properties": {"code": text, "message": text, "retry_after_ms": {"type": ["integer", "null"]}},
            }},
        },
    })
}

/// The schema of a message's key.
pub(super) fn key() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
}

/// A parameter; those in the path are required.
pub(super) fn parameter(place: &str, name: &str, what: &str, schema: &Value) -> Value {
    json!({"in": place, "name": name, "description": what, "required": place == "path", "schema": schema})
}

/// The group in the address.
pub(super) fn group() -> Value {
    parameter("path", "group", "The group's name", &json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}))
}

/// What an operation answers: 200 with JSON of this schema, and errors with these statuses.
pub(super) fn responses(good: &Value, errors: &[u16]) -> Value {
    let body = |what: &str, schema: &Value| json!({"description": what, "content": {"application/json": {"schema": schema}}});
    let mut responses = Map::new();
    responses.insert("200".to_owned(), body("Done", good));
    // Whatever is asked for, the server is asked for by one of its names.
    for status in errors.iter().chain(&[421]) {
        let what = match status {
            400 => "The request cannot be read",
            401 => "There is no token, or the server does not know it",
            403 => "It is not allowed",
            404 => "There is no such thing",
            413 => "Over a bound, which the message names",
            415 => "The body's Content-Type is none of those that are read here",
            421 => "The server does not go by the name that was asked for; server.hosts would let it in",
            422 => "An item is wrong; nothing was done",
            429 => "Too much; Retry-After says when it may go through",
            _ => "The server cannot now; the same may go through later",
        };
        responses.insert(status.to_string(), body(what, &json!({"$ref": "#/components/schemas/Error"})));
    }
    Value::Object(responses)
}
