//! The list of rooms.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{described::OfAll, is_told_of, may_read};
use crate::{
    server::{problem::Problem, quota::Weight, rooms::Place, services::Services, who::Who},
    wire::RoomList,
};

/// Which rooms, and from where on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Only those with this in their names, in any case
    #[serde(default)]
    name: String,
    /// The next of an earlier answer, to go on after it
    #[serde(default)]
    before: String,
}

/// The rooms that may be entered, the one with the newest activity first
#[utoipa::path(
    get,
    path = "/rooms",
    params(Part),
    responses((status = 200, description = "Done", body = RoomList), OfAll),
)]
pub(super) async fn rooms(
    State(services): State<Arc<Services>>,
    who: Who,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<(Extension<Weight>, Json<RoomList>), Problem> {
    let Query(Part { name, before }) = part.map_err(|rejection| Problem::Unreadable(rejection.body_text()))?;
    let place = match before.as_str() {
        "" => Place::default(),
        before => before.parse().map_err(Problem::Before)?,
    };
    may_read(&who)?;
    let (mut list, looked_at) = services.rooms.list(&services.rooms.reader(who.asker()).await?, &name, place).await?;
    list.rooms.retain(|room| is_told_of(&who, &room.group));
    Ok((Extension(Weight::of_names(looked_at)), Json(list)))
}
