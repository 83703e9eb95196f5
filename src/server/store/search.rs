//! Finding messages by their words.

use async_trait::async_trait;

use super::{error::StoreError, log::Within};
use crate::server::search::{Found, Query};

/// What can be searched.
#[async_trait]
pub trait Search: Send + Sync {
    /// The at most `count` messages that are best for the query, of the rooms that are searched. What was just committed is
    /// found a little later; what is no longer there is not.
    ///
    /// # Errors
    /// The store or its index cannot be read now.
    async fn search(&self, query: &Query, within: &Within, count: usize) -> Result<Found, StoreError>;
}
