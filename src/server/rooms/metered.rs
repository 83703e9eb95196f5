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
