//! Reading a room.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{described::OfRoom, enter, limit::Limit};
use crate::{
    server::{
        problem::Problem,
        services::{Named, Services},
        store::Slice,
        who::Who,
    },
    wire::{Offset, Stretch},
};

/// Which messages: at most one of `before`, `after` and `around`; none of them for the newest.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// The newest messages before this offset
    before: Option<u64>,
    /// The oldest messages after this offset
    after: Option<u64>,
    /// Half from before this offset, the rest from it on
    around: Option<u64>,
    #[serde(default)]
    #[param(schema_with = Limit::<200, 50>::schema)]
    limit: Limit<200, 50>,
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
}

/// A part of a room's messages, in rising order of offset
#[utoipa::path(
    get,
    path = "/rooms/{group}/messages",
    params(Named, Part),
    responses((status = 200, description = "Done", body = Stretch), OfRoom),
)]
pub(super) async fn messages(
    State(services): State<Arc<Services>>,
    Named(group): Named,
    who: Who,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<Stretch>, Problem> {
    let Query(part) = part.map_err(|rejection| Problem::Unreadable(rejection.body_text()))?;
    let (slice, limit) = (part.slice()?, part.limit.get()?);
    let group = group.map_err(Problem::NoName)?;
    let access = enter(&services, &who, &group).await?;
    Ok(Json(access.page(slice, limit, None).await?))
}
