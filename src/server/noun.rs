//! What a noun gives to sessions: a topic that is open to somebody. Opening it was the permission.
//!
//! Rooms and what concerns one person have topics that the wire knows, and messages are the acts that it knows. Any other noun is a [`Noun`]:
//! it has a kind of topic, and commands of its own, which it reads itself.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use tracing::debug;

/// What a noun has to do with, handed on.
pub use super::{
    accounts::Asker,
    hub::{Entry, Feed, Missed, Place, PlainMessage, Policy, Unavailable},
    layers::Event,
    lease::{Taken, Why},
    store::Statement,
};
use super::{
    hub::{Hub, LayerGroups, News},
    layers::ChannelLayer,
    lease::Leases,
    problem::Problem,
    store::Records,
};
use crate::wire::{CommandError, Key, OfNoun, Offset, Other, Position, Push, Rights, State, Topic};

/// A kind of topic with a folder of its own.
#[async_trait]
pub trait Noun: Send + Sync {
    /// What its topics begin with: they are `{kind}/{name}`.
    fn kind(&self) -> &'static str;

    /// The commands that it has beside those of the wire.
    fn commands(&self) -> &'static [&'static str] {
        &[]
    }

    /// Reads one of these commands. Who may do what is asked when it is done: reading says nothing but what is wrong with the text.
    ///
    /// # Errors
    /// The command has not the form that it has to have.
    fn read(&self, command: &Other<'_>) -> Result<Act, CommandError> {
        Err(command.unknown([]))
    }

    /// Opens a topic for somebody.
    ///
    /// # Errors
    /// There is no such topic, or it is not for them.
    async fn open(&self, topic: &OfNoun, asker: Asker<'_>) -> Result<Arc<dyn Opened>, CommandError>;
}

/// What a noun works with.
#[derive(Clone)]
pub struct Parts {
    pub records: Arc<dyn Records>,
    pub layer: Arc<dyn ChannelLayer>,
    pub hub: Arc<Hub>,
    pub leases: Arc<Leases>,
}

impl Parts {
    /// Tells the members of a topic on all nodes; where the layer refuses, those of this node.
    pub async fn tell(&self, topic: &Topic, event: Event) {
        let LayerGroups { name, .. } = LayerGroups::of(topic);
        if let Err(cause) = self.layer.group_send(&name, event.clone()).await {
            debug!(%topic, %cause, "other nodes could not be told of something in a topic");
            self.hub.hear(&name, News::Event(event));
        }
    }
}

/// Makes a noun for a server.
pub type Make = fn(&Parts) -> Arc<dyn Noun>;

/// A topic that is open to a person.
#[async_trait]
pub trait Opened: Send + Sync {
    /// What its members are given.
    fn feed(&self) -> Arc<dyn Feed>;

    /// Where it stands.
    ///
    /// # Errors
    /// It cannot be read now.
    async fn head(&self) -> Result<Position, Unavailable> {
        Ok(self.feed().after(None).await?.head)
    }

    /// Brings somebody level who is at `since`, or who is new. Says where that is. As it is done here they get, where that position is
    /// honoured, of an ordered feed what stands after it, and of a latest one the newest of what has changed since. Otherwise they get
    /// nothing of an ordered one, and the whole of a latest.
    ///
    /// # Errors
    /// It cannot be read now.
    async fn catch_up(&self, since: Option<&Position>) -> Result<(Position, State), Unavailable> {
        let feed = self.feed();
        let is_ordered = feed.policy() == Policy::Ordered;
        let Missed { head, entries } = feed.after(since.filter(|_| is_ordered).map(|since| since.offset)).await?;
        // All that is missing has to be there.
        let is_whole = |since: &Position| !is_ordered || since.offset.0 + entries.len() as u64 == head.offset.0;
        let since = since.filter(|since| since.epoch == head.epoch && since.offset <= head.offset && is_whole(since));
        let push = |Entry { place, event, .. }: Entry| {
            let (offset, is_news) = match (place, since) {
                (Place::At(position), since) => (Some(position.offset), since.is_some()),
                (Place::Newest(_, version), Some(since)) => {
                    (None, version.epoch != since.epoch || version.offset > since.offset)
                }
                (Place::Newest(..) | Place::None, _) => (None, true),
            };
            is_news.then(|| Push { topic: feed.topic().clone(), offset, event })
        };
        let events = entries.into_iter().filter_map(push).collect();
        Ok((head, State { recovered: since.is_some(), events, ..State::default() }))
    }

    /// Whether the person may write in it now, which the others are told of while they do.
    ///
    /// # Errors
    /// They may not.
    async fn may_write(&self) -> Result<(), CommandError> {
        Ok(())
    }

    /// What else the person may do in it now, beside reading it.
    ///
    /// # Errors
    /// It cannot be read now.
    async fn rights(&self) -> Result<Rights, Unavailable> {
        Ok(Rights::default())
    }

    /// Up to where the person has read it; none where that is not known or not kept.
    ///
    /// # Errors
    /// It cannot be read now.
    async fn read_up_to(&self) -> Result<Option<Position>, Unavailable> {
        Ok(None)
    }

    /// The person has read it up to here; with `back` what comes after that is unread again. Says whether it is news.
    ///
    /// # Errors
    /// It is not kept, or cannot be now.
    async fn has_read(&self, _up_to: Position, _back: bool) -> Result<bool, CommandError> {
        Err(Problem::NothingRead(self.feed().topic().clone()).into())
    }

    /// Whether plain clients may open it. What they are sent is what the feed's entries are [to them](Entry::plain); of a latest feed they begin
    /// with the newest of each key.
    fn is_plain(&self) -> bool {
        false
    }

    /// Takes what a plain client says, as it is. The key is its own.
    ///
    /// # Errors
    /// Why not, for the goodbye: there is no other answer.
    async fn take(&self, _said: PlainMessage, _key: Key) -> Result<(), CommandError> {
        Err(Problem::NothingSent(self.feed().topic().clone()).into())
    }

    /// Does something in it. Says where that stands, if it stands anywhere.
    ///
    /// # Errors
    /// What the person is told.
    async fn act(&self, act: Act) -> Result<Option<Offset>, CommandError> {
        Err(Problem::NothingSent(act.topic).into())
    }
}

/// What somebody does in a topic.
pub struct Act {
    pub topic: Topic,
    /// About how many bytes of it every member is given.
    pub bytes: usize,
    what: Box<dyn Any + Send>,
}

impl Act {
    /// `what` is read again by the noun of the topic.
    pub fn new(topic: Topic, bytes: usize, what: impl Any + Send) -> Self {
        Self { topic, bytes, what: Box::new(what) }
    }

    /// What is done.
    ///
    /// # Errors
    /// Another noun has such acts, and the topic is none of its own.
    pub fn what<T: Any>(self) -> Result<T, CommandError> {
        let Self { topic, what, .. } = self;
        what.downcast().map(|what| *what).map_err(|_| Problem::NothingSent(topic).into())
    }
}
