//! The HTTP API for programs. Errors are JSON: `{"error": {"code", "message"}}`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use tracing::error;

use super::{
    accounts::Guest,
    rooms::Refusal,
    routing::{Named, Services},
    store::{Slice, StoreError},
};
use crate::wire::{Code, CommandError, Epoch, Offset, Stored};

/// How many messages an answer has at most, and how many when nothing is said.
const MOST: usize = 200;
const USUAL: usize = 50;

pub(super) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/rooms/{group}/messages", get(messages))
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
        (self.0, Json(Body { error: self.1 })).into_response()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self(StatusCode::NOT_FOUND, CommandError::new(Code::NotFound, "there is no such room")),
            Refusal::Forbidden => {
                Self(StatusCode::FORBIDDEN, CommandError::new(Code::Forbidden, "this room is not open to guests"))
            }
        }
    }
}

impl From<StoreError> for Error {
    fn from(StoreError::Unavailable(cause): StoreError) -> Self {
        error!(%cause, "the store could not be read");
        Self(StatusCode::SERVICE_UNAVAILABLE, CommandError::new(Code::Unavailable, "not now; try again"))
    }
}

/// Which messages: at most one of `before`, `after` and `around`; none of them for the newest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    before: Option<u64>,
    after: Option<u64>,
    around: Option<u64>,
    limit: Option<usize>,
}

impl Part {
    fn slice(&self) -> Result<Slice, Error> {
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(Slice::Latest),
            (Some(offset), None, None) => Ok(Slice::Before(Offset(offset))),
            (None, Some(offset), None) => Ok(Slice::After(Offset(offset))),
            (None, None, Some(offset)) => Ok(Slice::Around(Offset(offset))),
            _ => Err(bad_request("at most one of before, after and around")),
        }
    }

    fn limit(&self) -> Result<usize, Error> {
        match self.limit {
            None => Ok(USUAL),
            Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
            Some(_) => Err(bad_request(format!("limit is 1 to {MOST}"))),
        }
    }
}

fn bad_request(message: impl Into<String>) -> Error {
    Error(StatusCode::BAD_REQUEST, CommandError::new(Code::BadRequest, message))
}

#[derive(Serialize)]
struct Messages {
    epoch: Epoch,
    messages: Vec<Stored>,
}

/// `GET /api/v1/rooms/{group}/messages?before=|after=|around=OFFSET&limit=N`
async fn messages(
    State(services): State<Arc<Services>>,
    Named(group): Named,
    part: Result<Query<Part>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Messages>, Error> {
    let Query(part) = part.map_err(|rejection| bad_request(rejection.body_text()))?;
    let (slice, limit) = (part.slice()?, part.limit()?);
    let group = group.map_err(|reason| Error(StatusCode::NOT_FOUND, CommandError::new(Code::NotFound, reason.0)))?;
    let access = services.rooms.enter(&Guest::of(&headers).person, &group)?;
    let (epoch, messages) = access.page(slice, limit).await?;
    Ok(Json(Messages { epoch, messages }))
}
