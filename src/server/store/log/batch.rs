//! What a writer takes from its queue for one transaction.
//!
//! While a writer waits for the disk or the network the next batch gathers, so a busy server shares each commit among many
//! messages and a quiet one waits for none but its own.

use tokio::sync::mpsc;

use super::{beginning::Beginning, change::NewChange, commits::Ticket, entry::NewMessage};
use crate::{
    server::store::records::{Results, Statement},
    wire::Group,
};

/// What waits for its commit.
#[derive(Debug)]
pub(in crate::server::store) enum Job {
    Log(Work, Ticket),
    /// Rows of plain tables, which are written as one.
    Records(Vec<Statement>, Ticket<Results>),
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Log(work, _) => work.text_bytes(),
            Self::Records(statements, _) => statements.iter().map(Statement::bytes).sum(),
        }
    }
}

/// What a writer does to a room.
#[derive(Clone, Debug)]
pub(in crate::server::store) enum Work {
    Message(NewMessage),
    Change(NewChange),
    /// Drop what the room has before its new beginning.
    Forget(Group, Beginning),
}

impl Work {
    pub(in crate::server::store) fn group(&self) -> &Group {
        match self {
            Self::Message(message) => &message.group,
            Self::Change(change) => &change.group,
            Self::Forget(group, _) => group,
        }
    }

    pub(in crate::server::store) fn text_bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.text.len(),
            Self::Change(change) => change.text_bytes(),
            Self::Forget(..) => 0,
        }
    }
}

/// A transaction takes at most so many messages and changes,
pub(in crate::server::store) const BATCH_MESSAGES: usize = 1_000;
/// and no further one when it has so many bytes of text.
const BATCH_BYTES: usize = 4 << 20;

/// Takes what waits behind the first job, up to the bounds of a batch.
pub(in crate::server::store) fn gather(first: Job, queue: &mut mpsc::UnboundedReceiver<Job>) -> Vec<Job> {
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while batch.len() < BATCH_MESSAGES && bytes < BATCH_BYTES {
        let Ok(job) = queue.try_recv() else { break };
        bytes += job.bytes();
        batch.push(job);
    }
    batch
}

#[cfg(test)]
pub(in crate::server::store) mod tests {
    use super::*;
    use crate::{
        server::store::log::commits::{Answer, InFlight},
        wire::{Person, Timestamp},
    };

    pub(in crate::server::store) async fn job(number: usize, text: String) -> (Job, Answer) {
        let message = NewMessage {
            group: "lobby".parse().expect("a group name"),
            key: format!("key-{number}").parse().expect("a key"),
            from: Person { id: "ann".to_owned(), name: "Ann".to_owned(), handle: None },
            text,
            at: Timestamp::from_millis(0),
        };
        let (ticket, answer) = InFlight::new().enter(message.text.len()).await.expect("room for it");
        (Job::Log(Work::Message(message), ticket), answer)
    }

    #[tokio::test]
    async fn a_batch_is_bounded_by_count_and_by_bytes() {
        let (queue, mut jobs) = mpsc::unbounded_channel();
        for number in 0..=BATCH_MESSAGES {
            queue.send(job(number, "x".to_owned()).await.0).expect("a queue");
        }
        let batch = gather(job(0, String::new()).await.0, &mut jobs);
        assert_eq!((batch.len(), jobs.len()), (BATCH_MESSAGES, 2));
        jobs.close();

        let (queue, mut jobs) = mpsc::unbounded_channel();
        for number in 0..10 {
            queue.send(job(number, "x".repeat(BATCH_BYTES / 4)).await.0).expect("a queue");
        }
        let batch = gather(job(0, String::new()).await.0, &mut jobs);
        assert_eq!((batch.len(), jobs.len()), (5, 6));
    }
}
