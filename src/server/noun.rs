//! What a noun gives to sessions: a topic that is open to somebody. Opening it was the permission.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    hub::{Feed, Unavailable},
    problem::Problem,
};
use crate::wire::{Act, CommandError, Offset, Position, State};

/// A topic that is open to a person.
#[async_trait]
pub trait Opened: Send + Sync {
    /// What its members are given.
    fn feed(&self) -> Arc<dyn Feed>;

    /// Where it stands.
    ///
    /// # Errors
    /// It cannot be read now.
    async fn head(&self) -> Result<Position, Unavailable>;

    /// Brings somebody level who is at `since`, or who is new. Says where that is.
    ///
    /// # Errors
    /// It cannot be read now.
    async fn catch_up(&self, since: Option<&Position>) -> Result<(Position, State), Unavailable>;

    /// Does something in it. Says where that stands, if it stands anywhere.
    ///
    /// # Errors
    /// What the person is told.
    async fn act(&self, act: Act) -> Result<Option<Offset>, CommandError> {
        let _ = act;
        Err(Problem::NothingSent(self.feed().topic().clone()).into())
    }
}
