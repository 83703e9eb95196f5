//! How many things an answer has at most.

use serde::Deserialize;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::server::problem::Problem;

/// The parameter `limit`: 1 to `MOST`, and `USUAL` when nothing is said.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Limit<const MOST: usize, const USUAL: usize>(usize);

impl<const MOST: usize, const USUAL: usize> Default for Limit<MOST, USUAL> {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<const MOST: usize, const USUAL: usize> Limit<MOST, USUAL> {
    pub fn get(&self) -> Result<usize, Problem> {
        if (1..=MOST).contains(&self.0) { Ok(self.0) } else { Err(Problem::Limit(MOST)) }
    }

    /// How `OpenAPI` describes it.
    pub fn schema() -> Object {
        let bounded = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MOST));
        bounded.default(Some(USUAL.into())).description(Some("How many messages at most")).build()
    }
}
