//! A room as a topic that is open to somebody: what they do in it, and what is said to them where that is refused.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Access, AlterError, CatchUp, Denied, PostError, Refusal, Room, Rooms};
use crate::{
    server::{
        accounts::Asker,
        hub::{Feed, PlainMessage, Unavailable},
        noun::{self, Opened},
        problem::Problem,
        store::{Alteration, Entry},
    },
    wire::{Act, Code, CommandError, Group, Key, MessageId, Offset, Position, Push, State, Text, Topic},
};

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
        self.feed()
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
            act => match Alteration::of(act) {
                Some((message, alteration)) => alter(self, message, alteration).await,
                None => Err(Problem::NothingSent(self.feed().topic().clone()).into()),
            },
        }
    }
}

async fn alter(access: &Access<Room>, message: MessageId, mut alteration: Alteration) -> Result<Option<Offset>, CommandError> {
    if let Alteration::Edit(text) = &mut alteration {
        *text = written(text)?.into_string();
    }
    let changed = access.change(message, alteration).await;
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
