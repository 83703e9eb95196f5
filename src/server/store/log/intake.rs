//! The way in of the stores that write on a thread or a task of their own: what is to be written goes down a queue, and who has
//! brought it waits for the answer.

use tokio::sync::mpsc;

use super::{
    batch::{Job, Work},
    change::ChangeError,
    commits::InFlight,
    entry::Appended,
};
use crate::server::store::error::StoreError;

/// The queue, bounded by what is [in flight](InFlight).
#[derive(Debug)]
pub(in crate::server::store) struct Intake {
    in_flight: InFlight,
    queue: mpsc::WeakUnboundedSender<Job>,
}

impl Intake {
    /// It takes things in as long as the queue's own end is there.
    pub(in crate::server::store) fn new(queue: &mpsc::UnboundedSender<Job>) -> Self {
        Self { in_flight: InFlight::new(), queue: queue.downgrade() }
    }

    /// Waits until it is written and handed on.
    pub(in crate::server::store) async fn write(&self, work: Work) -> Result<Appended, ChangeError> {
        let (ticket, answer) = self.in_flight.enter(work.text_bytes()).await?;
        let sent = self.queue.upgrade().and_then(|queue| queue.send(Job { work, ticket }).ok());
        sent.ok_or_else(StoreError::closed)?;
        answer.wait().await
    }
}
