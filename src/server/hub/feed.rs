//! What the members of a group are given: a feed.
//!
//! A noun, such as the rooms or the list of rooms, gives its topics as feeds, and the hub knows nothing else of them: which groups of the
//! channel layer carry a feed, how an event of the layer is read, in which order its [entries](Entry) are handed out ([`Policy`]), and
//! how to read what the layer may have lost.

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    server::layers::{Event, GroupName},
    wire::{self, Change, Group, Offset, Position, Topic},
};

/// A stream of one noun, as all members on this node get it.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Under which topic its entries reach the members.
    fn topic(&self) -> &Topic;

    /// The groups of the channel layer that carry it. The first names it: feeds with the same are one.
    fn groups(&self) -> LayerGroups {
        LayerGroups::of(self.topic())
    }

    fn policy(&self) -> Policy;

    /// Reads what the layer has brought; called once for each event on a node. None: it is nothing to the members.
    fn read(&self, event: &Event) -> Option<Entry>;

    /// What the layer may have lost. Of an ordered feed: what stands after the offset, and nothing but the head without one. Of the
    /// latest: the newest of each key. Not asked where all is passing.
    ///
    /// # Errors
    /// It cannot be read now.
    async fn after(&self, offset: Option<Offset>) -> Result<Missed, Unavailable>;

    /// The room in which the members see each other; none where nobody is shown.
    fn shows_presence(&self) -> Option<&Group> {
        None
    }
}

/// In which order, and how completely, a feed is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// In the order of the offsets, each entry once, without a gap.
    Ordered,
    /// Of each key the newest, a few times a second.
    Latest,
    /// As it comes; what is lost is lost.
    Passing,
}

/// Groups of the channel layer that carry one feed.
#[derive(Clone, Debug)]
pub struct LayerGroups {
    pub name: GroupName,
    /// Another one beside it, for what only servers read.
    pub beside: Option<GroupName>,
}

impl LayerGroups {
    /// What carries a topic, unless its noun says otherwise: one group of its own.
    pub fn of(topic: &Topic) -> Self {
        let name = format!("confab.{topic}").replace('/', ".");
        // never: what a topic is made of may stand there too, and at most 96 bytes of it
        Self { name: name.parse().expect("letters, digits and signs"), beside: None } // never: see above
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &GroupName> {
        std::iter::once(&self.name).chain(&self.beside)
    }
}

/// Tells the things of a [latest](Policy::Latest) feed apart.
pub type FeedKey = Arc<str>;

/// Something of a feed, in the one form that it has inside the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub place: Place,
    /// What a plain client is sent; none where it is nothing to them.
    pub plain: Option<PlainMessage>,
    /// What a `confab.v1` client is sent.
    pub event: wire::Event,
}

/// Where an entry stands in its feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it passes.
    None,
    /// In the stream of an ordered feed.
    At(Position),
    /// It says what is newest of a key since this version: versions of one epoch rise.
    Newest(FeedKey, Position),
}

/// A message to a plain client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainMessage {
    Text(String),
    Binary(Bytes),
}

/// What a feed has that members may have missed.
#[derive(Debug)]
pub struct Missed {
    /// Where the stream stands. More than the entries may be missing up to there.
    pub head: Position,
    pub entries: Vec<Entry>,
}

/// A feed cannot be read now; the cause is for the log.
#[derive(Debug)]
pub struct Unavailable(pub Box<dyn Error + Send + Sync>);

/// What members on this node hear of without the channel layer.
#[derive(Debug)]
pub enum News {
    /// Something that the layer refused. It may be out of order, and the layer may have carried it after all before it gave up.
    Event(Event),
    /// An ordered feed has come to here, whoever has written it. Most of the time the members know.
    Head(Position),
    /// The newest of these keys are what they are since these versions.
    Newest(Vec<(FeedKey, Position)>),
}

impl Entry {
    /// What passes, and is nothing to plain clients.
    pub fn passing(event: wire::Event) -> Self {
        Self { place: Place::None, plain: None, event }
    }

    /// What is newest of a key since this version, and nothing to plain clients.
    pub fn newest(key: impl Into<FeedKey>, version: Position, event: wire::Event) -> Self {
        Self { place: Place::Newest(key.into(), version), ..Self::passing(event) }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        const REST: usize = 512;
        match &self.plain {
            Some(PlainMessage::Text(text)) => 2 * text.len() + REST,
            Some(PlainMessage::Binary(bytes)) => bytes.len() + REST,
            None => match &self.event {
                wire::Event::Change(Change::Edit { text, .. }) => text.len() + REST,
                _ => REST,
            },
        }
    }
}
