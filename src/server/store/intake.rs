//! The way in of the stores that write on a thread or a task of their own: what is to be written goes down a queue, and who has
//! brought it waits for the answer.

use tokio::sync::mpsc;

use super::{
    Appended, ChangeError, StoreError,
    batch::{Job, Work},
    commits::InFlight,
};

/// The queue, bounded by what is [in flight](InFlight).
#[derive(Debug)]
pub(super) struct Intake {
    in_flight: InFlight,
    queue: mpsc::WeakUnboundedSender<Job>,
}

impl Intake {
    /// It takes things in as long as the queue's own end is there.
    pub(super) fn new(queue: &mpsc::UnboundedSender<Job>) -> Self {
        Self { in_flight: InFlight::new(), queue: queue.downgrade() }
    }

    /// Waits until it is written and handed on.
    pub(super) async fn write(&self, work: Work) -> Result<Appended, ChangeError> {
        let (ticket, answer) = self.in_flight.enter(work.text_bytes()).await?;
        let sent = self.queue.upgrade().and_then(|queue| queue.send(Job { work, ticket }).ok());
        sent.ok_or_else(StoreError::closed)?;
        answer.wait().await
    }
}
