//! A room as a topic: what its members are given (its feed), what somebody does in it to whom it is open, and what is said to them where
//! that is refused.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Access, AlterError, CatchUp, Denied, PostError, Refusal, Room, Rooms, Stream,
    events::{self, changes_name, group_name},
};
use crate::{
    server::{
        accounts::Asker,
        hub::{self, Feed, LayerGroups, Place, PlainMessage, Policy, Unavailable},
        layers::Event,
        noun::{self, Opened},
        problem::Problem,
        profiles::Profiles,
        settings::History,
        store::{Entry, Missed, StoreError, What},
    },
    wire::{Act, Change, Code, CommandError, Epoch, Group, Key, Offset, Position, Push, Rights, State, Text, Timestamp, Topic},
};

/// A room's messages and their changes, for those who may enter it.
struct RoomFeed {
    topic: Topic,
    room: Room,
    /// None where the room keeps no history.
    stream: Option<Stream>,
    profiles: Arc<Profiles>,
}

#[async_trait]
impl Feed for RoomFeed {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn groups(&self) -> LayerGroups {
        let Room { group, history, events, .. } = &self.room;
        let beside = (*history != History::None).then(|| changes_name(group));
        LayerGroups { name: group_name(group, events), beside }
    }

    fn policy(&self) -> Policy {
        if self.stream.is_some() { Policy::Ordered } else { Policy::Passing }
    }

    fn read(&self, event: &Event) -> Option<hub::Entry> {
        let mut entry = events::read_event(event, Some(&self.room.events));
        self.profiles.complete_event(&mut entry.event);
        Some(entry)
    }

    async fn after(&self, offset: Option<Offset>) -> Result<hub::Missed, Unavailable> {
        let Some(stream) = &self.stream else { return Err(Unavailable("the room keeps no history".into())) };
        let Missed { head, entries, .. } = stream.after(offset).await?;
        let mut entries: Vec<_> = entries.into_iter().map(|entry| stored(&head.epoch, entry)).collect();
        for entry in &mut entries {
            self.profiles.complete_event(&mut entry.event);
        }
        Ok(hub::Missed { head, entries })
    }

    fn shows_presence(&self) -> Option<&Group> {
        Some(&self.room.group)
    }
}

impl From<StoreError> for Unavailable {
    fn from(StoreError::Unavailable(cause): StoreError) -> Self {
        Self(cause)
    }
}

/// An entry of a room's stream, as the store gives it.
fn stored(epoch: &Epoch, Entry { offset, what }: Entry) -> hub::Entry {
    let plain = match &what {
        What::Message(message) if !message.content.deleted => Some(PlainMessage::Text(message.content.text.clone())),
        What::Message(_) | What::Change(_) => None,
    };
    hub::Entry { place: Place::At(Position { epoch: epoch.clone(), offset }), plain, event: what.into() }
}

impl Rooms {
    /// Opens a room.
    ///
    /// # Errors
    /// There is no such room, or it is not for this person.
    pub async fn open(self: &Arc<Self>, asker: Asker<'_>, group: &Group) -> Result<Arc<dyn Opened>, CommandError> {
        match self.enter(asker, group).await {
            Ok(access) => Ok(Arc::new(access)),
            Err(Refusal::NotFound) => Err(Problem::NoTopic(group.clone()).into()),
            Err(Refusal::Forbidden) => Err(Problem::ClosedTopic(group.clone()).into()),
            Err(Refusal::Unavailable) => Err(Problem::Unavailable.into()),
        }
    }
}

#[async_trait]
impl Opened for Access<Room> {
    fn feed(&self) -> Arc<dyn Feed> {
        let room = self.room().clone();
        let profiles = Arc::clone(&self.rooms.profiles);
        Arc::new(RoomFeed { topic: Topic::Room(room.group.clone()), stream: self.stream(), room, profiles })
    }

    async fn head(&self) -> Result<Position, Unavailable> {
        Ok(self.head().await?)
    }

    async fn catch_up(&self, since: Option<&Position>) -> Result<(Position, State), Unavailable> {
        let CatchUp { head, recovered, entries, mine } = self.catch_up(since).await?;
        let topic = Topic::Room(self.room().group.clone());
        let push = |Entry { offset, what }| Push { topic: topic.clone(), offset: Some(offset), event: what.into() };
        let events = entries.into_iter().map(push).collect();
        Ok((head, State { recovered, events, mine, ..State::default() }))
    }

    async fn may_write(&self) -> Result<(), CommandError> {
        Ok(self.may_post().await.map_err(|error| refused(error, Problem::Unavailable))?)
    }

    async fn rights(&self) -> Result<Rights, Unavailable> {
        Ok(self.rights().await?)
    }

    async fn read_up_to(&self) -> Result<Option<Position>, Unavailable> {
        Ok(self.read_up_to().await?)
    }

    async fn has_read(&self, up_to: Position, back: bool) -> Result<bool, CommandError> {
        match self.has_read(up_to, back).await {
            Some(marked) => Ok(marked.map_err(Problem::from)?),
            None => Err(Problem::NothingRead(Topic::Room(self.room().group.clone())).into()),
        }
    }

    fn is_plain(&self) -> bool {
        true
    }

    /// What is said reaches every member as it is. A text in which nothing is seen reaches plain clients, and is no message.
    async fn take(&self, said: PlainMessage, key: Key) -> Result<(), CommandError> {
        let taken = match said {
            PlainMessage::Text(text) => match Text::exactly(text) {
                Ok(text) => self.post(key, text).await.map(drop),
                Err(blank) => self.pass_on(&blank).await,
            },
            PlainMessage::Binary(bytes) => self.post_binary(bytes).await,
        };
        taken.map_err(|error| match error {
            PostError::TooLong(longest) => CommandError::new(Code::TooLarge, format!("a message is at most {longest} bytes")),
            PostError::Denied(denied @ Denied::Server) => Problem::from(denied).into(),
            PostError::Denied(denied) => Problem::NotAllowed(denied.to_string()).into(),
            PostError::Unavailable => CommandError::new(Code::Unavailable, "the message cannot be taken now; send it again"),
        })
    }

    async fn act(&self, act: noun::Act) -> Result<Option<Offset>, CommandError> {
        match act.what()? {
            Act::Send { key, text } => {
                let posted = self.post(key, written(&text)?).await.map_err(|error| refused(error, Problem::NotTaken))?;
                Ok(posted.offset)
            }
            act => {
                let at = Timestamp::now();
                match act.change(self.person(), at) {
                    Some(change) => make(self, change, at).await,
                    None => Err(Problem::NothingSent(self.feed().topic().clone()).into()),
                }
            }
        }
    }
}

async fn make(access: &Access<Room>, mut change: Change, at: Timestamp) -> Result<Option<Offset>, CommandError> {
    if let Change::Edit { text, .. } = &mut change {
        *text = written(text)?.into_string();
    }
    let changed = access.change(change, at).await;
    changed.map(Some).map_err(|error| match error {
        AlterError::Post(error) => refused(error, Problem::NotChanged).into(),
        AlterError::Refused(refused) => Problem::Unchangeable(refused).into(),
    })
}

fn written(text: &str) -> Result<Text, Problem> {
    Text::written(text).map_err(|blank| Problem::WrongItem(blank.to_string()))
}

/// Why something was not taken; `now` where it may be taken later.
fn refused(error: PostError, now: Problem) -> Problem {
    match error {
        PostError::TooLong(longest) => Problem::LongText(longest),
        PostError::Unavailable => now,
        PostError::Denied(denied) => denied.into(),
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotThere => Self::NoRoom,
            Denied::Guests => Self::ClosedRoom,
            Denied::Server => Self::ReadOnly,
            denied => Self::NotAllowed(denied.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::NoRoom,
            Refusal::Forbidden => Self::ClosedRoom,
            Refusal::Unavailable => Self::Unavailable,
        }
    }
}
