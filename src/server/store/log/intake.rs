//! The way in of the stores that write on a thread or a task of their own: what is to be written goes down a queue, and who has
//! brought it waits for the answer.

use tokio::sync::mpsc;

use super::{
    batch::{Job, Work},
    change::ChangeError,
    commits::InFlight,
    entry::Appended,
};
use crate::server::store::{
    error::StoreError,
    records::{Results, Statement},
};

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
        self.send(Job::Log(work, ticket))?;
        answer.wait().await
    }

    /// Waits until rows are written.
    pub(in crate::server::store) async fn write_records(&self, statements: Vec<Statement>) -> Result<Results, StoreError> {
        let (ticket, answer) = self.in_flight.enter(statements.iter().map(Statement::bytes).sum()).await?;
        self.send(Job::Records(statements, ticket))?;
        Ok(answer.wait().await?)
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let sent = self.queue.upgrade().and_then(|queue| queue.send(job).ok());
        sent.ok_or_else(StoreError::closed)
    }
}
