//! The write queue: from those who have something written, through one writer, to those who hear of it, and back.
//!
//! ```text
//!   Intake::write ── Job, Ticket ──► the queue ── gather ──► one transaction of the writer
//!                       ▲                                            │ durable
//!                       └── acknowledge ◄── Committed ◄── Commits ◄──┘ Outbox
//! ```
//!
//! What is to be written [enters](InFlight::enter) with its weight and gets a [`Ticket`], whose other end the sender waits on. While a
//! writer waits for the disk or the network the next batch gathers, so a busy server shares each commit among many messages and a quiet
//! one waits for none but its own. When the message is durable the ticket goes down the [`Commits`] channel inside a [`Committed`]; its
//! acknowledgement answers the sender and gives the weight back. So no channel here needs a bound of its own.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    beginning::Beginning,
    change::{ChangeError, NewChange},
    entry::{Appended, Entry, NewMessage},
};
use crate::{
    server::store::{
        error::StoreError,
        records::{Results, Statement},
    },
    wire::{Epoch, Group, Position, Stored, beginning},
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

/// What waits for its commit.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are messages, and a box for each would be one more allocation")]
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

/// What a store's reader of commits gets, in the order of the commits. It ends when the store is closed or dropped.
pub type Commits = mpsc::UnboundedReceiver<Committed>;

/// An entry that is durable and not yet acknowledged. Dropping it acknowledges it too: it is stored, and its sender must not
/// wait for ever.
#[derive(Debug)]
pub struct Committed {
    pub group: Group,
    pub epoch: Epoch,
    pub entry: Entry,
    /// The room's newest message as it is now, where this is a change of it: what the list shows of it, the beginning.
    pub latest: Option<Stored>,
    ack: Acknowledgement,
}

impl Committed {
    /// Lets the sender know: it has been handed on to whoever is to see it.
    pub fn acknowledge(self) {
        drop(self.ack);
    }
}

/// Answers the sender when it is dropped.
#[derive(Debug)]
struct Acknowledgement(Option<(Ticket, Appended)>);

impl Drop for Acknowledgement {
    fn drop(&mut self) {
        if let Some((ticket, appended)) = self.0.take() {
            ticket.answer(Ok(appended));
        }
    }
}

/// The sender's claim to an answer, and its share of what may be on the way.
#[derive(Debug)]
pub(in crate::server::store) struct Ticket<T = Appended> {
    reply: oneshot::Sender<Result<T, ChangeError>>,
    /// Given back by being dropped.
    _weight: OwnedSemaphorePermit,
}

impl<T> Ticket<T> {
    /// A sender that waits no longer has its message stored all the same.
    pub(in crate::server::store) fn answer(self, result: Result<T, ChangeError>) {
        let _ = self.reply.send(result);
    }
}

/// Where a sender waits for its [`Ticket`] to be answered.
pub(in crate::server::store) struct Answer<T = Appended>(oneshot::Receiver<Result<T, ChangeError>>);

impl<T> Answer<T> {
    pub(in crate::server::store) async fn wait(self) -> Result<T, ChangeError> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::closed().into()))
    }
}

/// Bounds what has been taken in and not yet acknowledged.
#[derive(Debug)]
pub(in crate::server::store) struct InFlight(Arc<Semaphore>);

impl InFlight {
    /// So many bytes of messages may be on the way.
    const BYTES: u32 = 16 << 20;
    /// What a message takes beside its text, roughly.
    const OVERHEAD: usize = 512;

    pub(in crate::server::store) fn new() -> Self {
        Self(Arc::new(Semaphore::new(Self::BYTES as usize)))
    }

    /// Waits for its turn until there is room for so many bytes of text; more than all of it goes alone.
    pub(in crate::server::store) async fn enter<T>(&self, text_bytes: usize) -> Result<(Ticket<T>, Answer<T>), StoreError> {
        let weight = u32::try_from(text_bytes + Self::OVERHEAD).unwrap_or(u32::MAX).min(Self::BYTES);
        let permit = Arc::clone(&self.0).acquire_many_owned(weight).await.map_err(|_| StoreError::closed())?;
        let (reply, answer) = oneshot::channel();
        Ok((Ticket { reply, _weight: permit }, Answer(answer)))
    }
}

/// What a writer has made durable: see [`Committed`].
#[derive(Debug)]
pub(in crate::server::store) struct Made {
    pub(in crate::server::store) epoch: Epoch,
    pub(in crate::server::store) entry: Entry,
    pub(in crate::server::store) latest: Option<Stored>,
}

/// The writing end of [`Commits`].
#[derive(Debug)]
pub(in crate::server::store) struct Outbox(mpsc::UnboundedSender<Committed>);

impl Outbox {
    pub(in crate::server::store) fn new() -> (Self, Commits) {
        let (sender, commits) = mpsc::unbounded_channel();
        (Self(sender), commits)
    }

    /// Hands a durable message on. Without a reader it is acknowledged here, by being dropped.
    pub(in crate::server::store) fn message(&self, message: NewMessage, position: Position, ticket: Ticket) {
        let group = message.group.clone();
        let stored = message.stored_at(&position);
        self.entry(group, Made { epoch: position.epoch, entry: stored.into(), latest: None }, ticket);
    }

    /// Hands on a durable entry of any kind.
    pub(in crate::server::store) fn entry(&self, group: Group, Made { epoch, entry, latest }: Made, ticket: Ticket) {
        let position = Position { epoch: epoch.clone(), offset: entry.offset };
        // It waits with its change, which may be a few bytes of something long.
        let latest = latest.map(|mut latest| {
            let content = &mut latest.message.content;
            (content.text, content.reactions) = (beginning(&content.text), Vec::new());
            latest
        });
        let ack = Acknowledgement(Some((ticket, Appended { position, fresh: true })));
        let _ = self.0.send(Committed { group, epoch, entry, latest, ack });
    }
}

#[cfg(test)]
pub(in crate::server::store) mod tests {
    use super::*;
    use crate::wire::{Person, Timestamp};

    pub(in crate::server::store) async fn job(number: usize, text: String) -> (Job, Answer) {
        let message = NewMessage {
            group: "lobby".parse().expect("a group name"),
            key: format!("key-{number}").parse().expect("a key"),
            from: Person::new("ann", "Ann"),
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
