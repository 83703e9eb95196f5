//! Searching.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Query as Parameters, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    described::{OfAll, OfRoom},
    enter, is_told_of,
    limit::Limit,
    may_read,
};
use crate::{
    server::{
        problem::Problem,
        search::{Found, Query, QueryTooLong},
        services::{Named, Services},
        store::StoreError,
        visitors::Visitor,
        who::Who,
    },
    wire::Hit,
};

/// What to search for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// What to search for; any text
    #[param(max_length = 256)]
    q: String,
    #[serde(default)]
    #[param(schema_with = Limit::<100, 20>::schema)]
    limit: Limit<100, 20>,
}

impl Search {
    fn read(self) -> Result<(Query, usize), Problem> {
        let query = Query::parse(&self.q).map_err(|too_long: QueryTooLong| Problem::Unreadable(too_long.to_string()))?;
        Ok((query, self.limit.get()?))
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Hits {
    hits: Vec<Hit>,
    /// Whether every message was considered; if not, these are the best of newer ones
    complete: bool,
}

impl From<Found> for Json<Hits> {
    fn from(Found { hits, complete }: Found) -> Self {
        Self(Hits { hits, complete })
    }
}

/// A room's messages that fit a query best
#[utoipa::path(
    get,
    path = "/rooms/{group}/search",
    operation_id = "searchRoom",
    params(Named, Search),
    responses((status = 200, description = "Done", body = Hits), OfRoom),
)]
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
    let access = enter(&services, &who, &group).await?;
    found(&services, visitor, async move { access.search(&query, limit).await }).await
}

/// The messages that fit a query best, of all rooms that may be entered
#[utoipa::path(
    get,
    path = "/search",
    operation_id = "search",
    params(Search),
    responses((status = 200, description = "Done", body = Hits), OfAll),
)]
pub(super) async fn in_all(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    search: Result<Parameters<Search>, QueryRejection>,
) -> Result<Json<Hits>, Problem> {
    let Parameters(search) = search.map_err(|rejection| Problem::Unreadable(rejection.body_text()))?;
    let (query, limit) = search.read()?;
    let rooms = Arc::clone(&services.rooms);
    may_read(&who)?;
    let reader = rooms.reader(who.asker()).await?;
    found(&services, visitor, async move {
        let mut found = rooms.search(&reader, &query, limit).await?;
        // Of rooms that its token is not for a program learns nothing.
        let all = found.hits.len();
        found.hits.retain(|hit| is_told_of(&who, &hit.group));
        found.complete &= found.hits.len() == all || all < limit;
        Ok(found)
    })
    .await
}

/// Searches when it is the turn of the visitor's address.
async fn found(
    services: &Services,
    visitor: Visitor,
    search: impl Future<Output = Result<Found, StoreError>> + Send + 'static,
) -> Result<Json<Hits>, Problem> {
    let Ok(found) = services.searches.run(visitor.subnet(), search).await else {
        return Err(Problem::Searches);
    };
    Ok(found.map_err(|panicked| StoreError::Unavailable(panicked.into()))??.into())
}
