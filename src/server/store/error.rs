//! Why a store could not, and what is wrong with it.

use thiserror::Error;

use crate::server::telemetry::Fault;

/// Why the store could not.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It cannot write or read now (disk full, read-only, locked, closed, ...); the cause is for the log.
    #[error("the store is unavailable: {0}")]
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    pub(super) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    pub(super) fn closed() -> Self {
        Self::unavailable("the store is closed")
    }

    /// A part of what is stored cannot be read, and will not be when it is tried again.
    pub(in crate::server) fn damage(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::unavailable(Damage(cause.into()))
    }

    /// Whether only a part of what is stored cannot be read, but others can.
    pub fn is_damage(&self) -> bool {
        let Self::Unavailable(cause) = self;
        cause.is::<Damage>()
    }
}

/// See [`StoreError::damage`].
#[derive(Debug, Error)]
#[error("what is stored is damaged: {0}")]
struct Damage(Box<dyn std::error::Error + Send + Sync>);

/// Says in the log when what is stored cannot be read now, and when it can be again. Damage is said by whoever finds it.
pub(super) fn tell_unreadable(fault: &Fault, failed: Option<&StoreError>) {
    let failed = failed.filter(|cause| !cause.is_damage());
    if fault.is_news(failed.is_some()) {
        match failed {
            Some(StoreError::Unavailable(cause)) => tracing::error!(%cause, "the store cannot be read"),
            None => tracing::info!("the store can be read again"),
        }
    }
}

/// What keeps a store from serving, in words for an operator who may be anybody: they name no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be read now.
    Unreadable,
    /// A part of it cannot be read any more.
    Damaged,
    /// Its files are not where they were opened.
    Displaced,
}

impl Trouble {
    pub fn words(self) -> &'static str {
        match self {
            Self::Unreadable => "the store cannot be read",
            Self::Damaged => "the store is damaged: a part of it cannot be read; restore it from a copy",
            Self::Displaced => "the database was deleted or replaced under the server, which stores nothing any more",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::telemetry::captured::Captured;

    #[tokio::test(start_paused = true)]
    async fn that_the_store_cannot_be_read_is_said_once_and_that_it_can_again_once() {
        let (log, fault) = (Captured::begin(), Fault::default());
        tell_unreadable(&fault, None);
        // Damage does not end, and is said by whoever finds it.
        tell_unreadable(&fault, Some(&StoreError::damage("a broken page")));
        assert_eq!(log.lines(), [""; 0]);
        for _ in 0..3 {
            tell_unreadable(&fault, Some(&StoreError::unavailable("it is locked")));
        }
        let [begins] = &log.lines()[..] else { panic!("one line") };
        assert!(begins.starts_with("ERROR ") && begins.ends_with("the store cannot be read cause=it is locked"), "{begins}");
        tokio::time::advance(Duration::from_secs(10)).await;
        for _ in 0..3 {
            tell_unreadable(&fault, None);
        }
        let [ends] = &log.lines()[..] else { panic!("one line") };
        assert!(ends.starts_with("INFO ") && ends.ends_with("the store can be read again"), "{ends}");
    }
}
