//! A store whose appends are counted and timed: who keeps something waits here, and hears of it if it could not be kept.

use std::{sync::Arc, time::Instant};

use tracing::{debug, error, info};

use super::{AlterError, PostError};
use crate::server::{
    store::{Appended, ChangeError, Log, NewChange, NewMessage, StoreError},
    telemetry::{Append, Fault},
};

/// See the module.
pub(super) struct MeteredStore {
    pub(super) store: Arc<dyn Log>,
    append: Append,
    /// The last message was not stored.
    unwritable: Fault,
}

impl MeteredStore {
    pub(super) fn new(store: Arc<dyn Log>, append: &Append) -> Self {
        Self { store, append: append.clone(), unwritable: Fault::default() }
    }

    /// Keeps a message.
    ///
    /// # Errors
    /// [`PostError::Unavailable`].
    pub(super) async fn append(&self, message: NewMessage) -> Result<Appended, PostError> {
        self.wait(self.store.append(message)).await
    }

    /// Keeps a change of a message.
    ///
    /// # Errors
    /// It is refused, or cannot be kept now.
    pub(super) async fn change(&self, change: NewChange) -> Result<Appended, AlterError> {
        let changed = self.wait(async {
            match self.store.change(change).await {
                Ok(appended) => Ok(Ok(appended)),
                Err(ChangeError::Refused(refused)) => Ok(Err(refused)),
                Err(ChangeError::Store(error)) => Err(error),
            }
        });
        changed.await?.map_err(AlterError::Refused)
    }

    /// Whether the store took the last message that it was given; that it did not is forgotten after a while.
    pub(super) fn can_store(&self) -> bool {
        !self.unwritable.lasts()
    }

    /// Waits for the store to take something.
    async fn wait<T>(&self, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, PostError> {
        let begun = Instant::now();
        let written = write.await;
        let news = self.unwritable.is_news(written.is_err());
        match written {
            Ok(answer) => {
                self.append.seconds.observe(begun.elapsed().as_secs_f64());
                if news {
                    info!("messages can be stored again");
                }
                Ok(answer)
            }
            Err(StoreError::Unavailable(cause)) => {
                self.append.failures.inc();
                if news {
                    error!(%cause, "messages cannot be stored");
                } else {
                    debug!(%cause, "another message could not be stored");
                }
                Err(PostError::Unavailable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::{
        store::MemoryStore,
        telemetry::{Appends, captured::Captured},
    };

    #[tokio::test(start_paused = true)]
    async fn that_messages_cannot_be_stored_is_said_once_and_that_they_can_again_once() {
        let log = Captured::begin();
        let store = MeteredStore::new(Arc::new(MemoryStore::new(10).0), &Appends::default().durable);
        let fails = async || store.wait::<()>(async { Err(StoreError::Unavailable("the disk is full".into())) }).await;
        let stores = async || store.wait(async { Ok(()) }).await;
        for round in 1..=2 {
            assert!(stores().await.is_ok());
            assert_eq!(log.lines(), [""; 0], "{round}");
            for _ in 0..3 {
                assert!(fails().await.is_err());
            }
            let [begins] = &log.lines()[..] else { panic!("one line") };
            assert!(
                begins.starts_with("ERROR ") && begins.ends_with("messages cannot be stored cause=the disk is full"),
                "{begins}"
            );
            assert!(!store.can_store());
            tokio::time::advance(Duration::from_secs(10)).await;
            for _ in 0..3 {
                assert!(stores().await.is_ok());
            }
            let [ends] = &log.lines()[..] else { panic!("one line") };
            assert!(ends.starts_with("INFO ") && ends.ends_with("messages can be stored again"), "{ends}");
            assert!(store.can_store());
            tokio::time::advance(Duration::from_secs(10)).await;
        }
    }
}
