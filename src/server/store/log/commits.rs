//! The way from a commit to those who hear of it, and back to the sender.
//!
//! An append [enters](InFlight::enter) with the weight of its message and gets a [`Ticket`], whose other end the sender waits
//! on. When the message is durable the ticket goes down the [`Commits`] channel inside a [`Committed`]; its acknowledgement
//! answers the sender and gives the weight back. So the channel needs no bound of its own.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    change::ChangeError,
    entry::{Appended, Entry, NewMessage},
};
use crate::{
    server::store::error::StoreError,
    wire::{Epoch, Group, Position, Stored, beginning},
};

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
