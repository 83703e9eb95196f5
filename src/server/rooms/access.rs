//! A room that somebody may use, and what may be said in it. What is read of it is in `reading`.
//!
//! What is kept goes to the store, and from there on is the publisher's. What is not goes to the channel layer at once.

use std::sync::Arc;

use bytes::Bytes;
use tracing::{debug, error, info};

use super::{
    Room, Rooms,
    changes::{may_change, may_moderate},
    events::{self, group_name},
    owned::{Act, Denied, Record, Role, RoomKind, Seen, granted, may, rights},
    reads::Reads,
};
use crate::{
    server::{
        accounts::{Asker, Kind},
        layers::{Event, GroupName, LayerError},
        settings::History,
        store::{Appended, NewChange, NewMessage, Refused, Slice, StoreError},
        visitors::Subnet,
    },
    wire::{Change, Content, Key, Message, Offset, Person, Position, Rights, Stretch, Text, Timestamp},
};

/// Proof that `person` may read `subject`; made by [`Rooms::enter`] alone. What else they may do in a room that somebody owns is asked each
/// time: it may be another thing by then.
#[derive(Clone)]
pub struct Access<T> {
    pub(super) subject: T,
    pub(super) person: Person,
    kind: Kind,
    /// Of a guest, from where they ask.
    address: Option<Subnet>,
    /// What another site has made them in the room.
    granted: Option<Role>,
    pub(super) rooms: Arc<Rooms>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// None in a room that keeps none.
    pub offset: Option<Offset>,
    /// It was not said before with this key.
    pub fresh: bool,
}

/// Why a message was not accepted.
#[derive(Debug)]
pub enum PostError {
    /// Over the bound, in bytes.
    TooLong(usize),

    /// The store or the layer cannot now; the cause is in the log.
    Unavailable,

    /// They may not, in this room.
    Denied(Denied),
}

/// Why a message was not changed.
#[derive(Debug)]
pub enum AlterError {
    /// It may not be changed so.
    Refused(Refused),
    /// As with a message.
    Post(PostError),
}

impl From<StoreError> for PostError {
    fn from(StoreError::Unavailable(cause): StoreError) -> Self {
        // The store says in the log when that begins and ends.
        debug!(%cause, "the store could not be asked whether somebody may do something");
        Self::Unavailable
    }
}

impl From<PostError> for AlterError {
    fn from(error: PostError) -> Self {
        Self::Post(error)
    }
}

impl Access<Room> {
    /// Only where the rules were asked.
    pub(super) fn new(room: Room, asker: Asker<'_>, rooms: &Arc<Rooms>) -> Self {
        let (person, granted) = (asker.person.clone(), granted(asker, &room.group));
        Self { subject: room, person, kind: asker.kind, address: asker.address, granted, rooms: Arc::clone(rooms) }
    }

    pub fn room(&self) -> &Room {
        &self.subject
    }

    pub fn person(&self) -> &Person {
        &self.person
    }

    /// How they stand in the room now.
    pub(super) async fn seen(&self) -> Result<Seen, StoreError> {
        let Room { group, guests, .. } = &self.subject;
        self.rooms.stands(&self.person, (self.kind, self.address), self.granted, group, *guests).await
    }

    /// Asks whether they may do something in the room now.
    async fn allow(&self, act: Act) -> Result<(), PostError> {
        may(&self.seen().await?, act, Timestamp::now()).map_err(PostError::Denied)
    }

    /// Asks whether they may say something now.
    ///
    /// # Errors
    /// They may not, or that cannot be found out now.
    pub async fn may_post(&self) -> Result<(), PostError> {
        self.allow(Act::Post).await
    }

    /// What they may do in the room now beside reading it.
    ///
    /// # Errors
    /// That cannot be found out now.
    pub async fn rights(&self) -> Result<Rights, StoreError> {
        Ok(rights(&self.seen().await?, Timestamp::now()))
    }

    /// Those that note up to where they have read it; none where nothing is kept, of the room or of them.
    fn reads(&self) -> Option<&Reads> {
        let is_kept = self.subject.history != History::None && matches!(self.kind, Kind::Account | Kind::Administrator);
        self.rooms.reads.as_deref().filter(|_| is_kept)
    }

    /// Up to where they have read it, as far as that is known.
    ///
    /// # Errors
    /// That cannot be found out now.
    pub async fn read_up_to(&self) -> Result<Option<Position>, StoreError> {
        match self.reads() {
            Some(reads) => reads.find(&self.person.id, &self.subject.group).await,
            None => Ok(None),
        }
    }

    /// They have read it up to here; with `back` what comes after that is unread again. Says whether it is news; none where it is not kept.
    pub async fn has_read(&self, up_to: Position, back: bool) -> Option<Result<bool, StoreError>> {
        let reads = self.reads()?;
        Some(reads.mark(&self.person.id, &self.subject.group, up_to, back).await)
    }

    /// What the room is called and about; none where it is nobody's.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn record(&self) -> Result<Option<Record>, StoreError> {
        match self.rooms.registry.brief(&self.subject.group) {
            Some(_) => self.rooms.registry.record(&self.subject.group).await,
            None => Ok(None),
        }
    }

    /// Whether it is a direct room.
    pub fn is_direct(&self) -> bool {
        self.rooms.registry.brief(&self.subject.group).is_some_and(|brief| brief.kind == RoomKind::Direct)
    }

    /// The names of the room's members but for one: so its people know a direct room.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn others(&self, but: &Person) -> Result<String, StoreError> {
        let members = self.rooms.registry.members(&self.subject.group).await?;
        let others = members.into_iter().map(|member| member.person).filter(|person| person.id != but.id);
        Ok(others.map(|person| person.name).collect::<Vec<_>>().join(", "))
    }

    /// Says something in the room: it is durable, where the room keeps history, and handed on to the members when this
    /// resolves. The same key again is the same message.
    ///
    /// # Errors
    /// The text is out of bounds or it cannot be kept or handed on now.
    pub async fn post(&self, key: Key, text: Text) -> Result<Posted, PostError> {
        let text = text.into_string();
        if text.len() > self.rooms.longest {
            return Err(PostError::TooLong(self.rooms.longest));
        }
        let _acting = self.rooms.registry.acting(&self.subject.group).await;
        self.allow(Act::Post).await?;
        let Room { group, history, events, .. } = &self.subject;
        let (from, at) = (self.person.clone(), Timestamp::now());
        if let Some(store) = self.rooms.store(*history) {
            let appended = store.append(NewMessage { group: group.clone(), key, from, text, at }).await?;
            return Ok(Posted { offset: Some(appended.position.offset), fresh: appended.fresh });
        }
        let id = format!("{}-{}", from.id, key);
        let event = events::message(None, &Message { id, key, from, content: Content::new(text), at }, events);
        self.hand_on(event).await?;
        Ok(Posted { offset: None, fresh: true })
    }

    /// Hands a text in which nothing is seen to those who take texts as they are. It is no message and not kept.
    ///
    /// # Errors
    /// Too long, or it cannot be handed on now.
    pub async fn pass_on(&self, blank: &str) -> Result<(), PostError> {
        if blank.len() > self.rooms.longest {
            return Err(PostError::TooLong(self.rooms.longest));
        }
        let _acting = self.rooms.registry.acting(&self.subject.group).await;
        self.allow(Act::Post).await?;
        self.hand_on(events::blank(blank, &self.subject.events)).await
    }

    /// Makes a change of a message of the room: it is durable and handed on to the members when this resolves. A change may be repeated.
    /// Gives where it stands, or where the message's last change does if it says that already.
    ///
    /// # Errors
    /// It is refused, the text is out of bounds, or it cannot be kept now.
    pub async fn change(&self, change: Change, at: Timestamp) -> Result<Offset, AlterError> {
        if let Change::Edit { text, .. } = &change
            && text.len() > self.rooms.longest
        {
            return Err(PostError::TooLong(self.rooms.longest).into());
        }
        let _acting = self.rooms.registry.acting(&self.subject.group).await;
        let seen = self.seen().await.map_err(PostError::from)?;
        let act = match &change {
            Change::Edit { .. } => Act::Edit,
            Change::Delete { .. } => Act::Delete,
            Change::React { .. } => Act::React,
        };
        may(&seen, act, at).map_err(PostError::Denied)?;
        let moderates = act == Act::Delete && may(&seen, Act::DeleteOthers, at).is_ok();
        let Room { group, history, .. } = &self.subject;
        // What is not kept cannot be found again.
        let store = self.rooms.store(*history).ok_or(AlterError::Refused(Refused::NotFound))?;
        let (group, from) = (group.clone(), self.person.clone());
        if !moderates {
            let new = NewChange { group, change, from, at, rule: may_change };
            return Ok(store.change(new).await?.position.offset);
        }
        let author = self.author(change.id().offset).await.map_err(PostError::from)?;
        let new = NewChange { group, change, from, at, rule: may_moderate };
        let Appended { position, fresh } = store.change(new).await?;
        if let Some(author) = author.filter(|author| fresh && author.id != self.person.id) {
            self.rooms.note_deletion(&self.subject.group, &self.person, &author).await;
        }
        Ok(position.offset)
    }

    /// Who has said what stands at an offset, if something does.
    async fn author(&self, offset: Offset) -> Result<Option<Person>, StoreError> {
        let Stretch { messages, .. } = self.part(Slice::Before(offset.next()), 1, None).await?;
        Ok(messages.into_iter().find(|stored| stored.offset == offset).map(|stored| stored.message.from))
    }

    /// Sends bytes to the members as they are; they are not kept.
    ///
    /// # Errors
    /// Too long, or it cannot be handed on now.
    pub async fn post_binary(&self, bytes: Bytes) -> Result<(), PostError> {
        if bytes.len() > self.rooms.longest {
            return Err(PostError::TooLong(self.rooms.longest));
        }
        let _acting = self.rooms.registry.acting(&self.subject.group).await;
        self.allow(Act::Post).await?;
        let Room { group, events, .. } = &self.subject;
        let group = group_name(group, events);
        let sent = match self.rooms.layer.group_send(&group, events::binary(bytes.clone(), events)).await {
            Err(LayerError::Unserializable(_)) => {
                self.rooms.layer.group_send(&group, events::binary_as_text(&bytes, events)).await
            }
            sent => sent,
        };
        self.handed_on(&group, sent)
    }

    /// Hands an event to the members as it is; it is not kept. Make it with [`foreign_event`] where it comes from outside.
    ///
    /// # Errors
    /// It cannot be handed on now.
    pub async fn relay(&self, event: Event) -> Result<(), PostError> {
        let _acting = self.rooms.registry.acting(&self.subject.group).await;
        self.allow(Act::Post).await?;
        self.hand_on(event).await
    }

    async fn hand_on(&self, event: Event) -> Result<(), PostError> {
        let group = group_name(&self.subject.group, &self.subject.events);
        self.handed_on(&group, self.rooms.layer.group_send(&group, event).await)
    }

    /// What the layer has said of something that is not kept.
    fn handed_on(&self, group: &GroupName, sent: Result<(), LayerError>) -> Result<(), PostError> {
        let news = self.rooms.refused.is_news(sent.is_err());
        match sent {
            Ok(()) => {
                if news {
                    info!("the channel layer takes what is not kept again");
                }
                Ok(())
            }
            Err(cause) => {
                if news {
                    error!(%group, %cause, "the channel layer refuses what is not kept; its authors are told");
                } else {
                    debug!(%group, %cause, "the channel layer refuses what is not kept");
                }
                Err(PostError::Unavailable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use tokio::time::timeout;

    use super::{
        super::{Registry, Stores, read_direct},
        *,
    };
    use crate::server::{
        accounts::Asker,
        hub::Hub,
        layers::{Channel, ChannelLayer, MemoryLayer, MemoryOptions, Sink},
        settings::{GroupTemplate, History, Pattern, RoomEvents, RoomRule},
        store::{Log, MemoryStore},
        telemetry::{Appends, FanOut},
    };

    /// A layer that, as one that writes JSON, has no form for bytes.
    struct NoBytes(MemoryLayer);

    #[async_trait]
    impl ChannelLayer for NoBytes {
        async fn send(&self, channel: &Channel, event: Event) -> Result<(), LayerError> {
            self.0.send(channel, event).await
        }

        async fn receive(&self, channel: &Channel) -> Result<Event, LayerError> {
            self.0.receive(channel).await
        }

        fn new_channel(&self, prefix: &str) -> Result<Channel, LayerError> {
            self.0.new_channel(prefix)
        }

        fn attach(&self, sink: Arc<dyn Sink>) -> Result<Channel, LayerError> {
            self.0.attach(sink)
        }

        async fn detach(&self, name: &Channel) -> Result<(), LayerError> {
            self.0.detach(name).await
        }

        async fn group_add(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
            self.0.group_add(group, channel).await
        }

        async fn group_discard(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
            self.0.group_discard(group, channel).await
        }

        async fn group_send(&self, group: &GroupName, event: Event) -> Result<(), LayerError> {
            if event.get_bytes("bytes").is_some() {
                return Err(LayerError::Unserializable("bytes".to_owned()));
            }
            self.0.group_send(group, event).await
        }

        async fn flush(&self) -> Result<(), LayerError> {
            self.0.flush().await
        }
    }

    /// A consumer in Python as far as the layer sees it: what it receives of a text, bytes and an event in the room `lobby`.
    async fn received(layer: Arc<dyn ChannelLayer>, history: History) -> [Event; 3] {
        let template = GroupTemplate::new("chat_{group}", &Pattern::everything()).unwrap();
        let events =
            RoomEvents { event_type: "room.said".parse().unwrap(), text_key: "body".parse().unwrap(), group: template };
        let rule = RoomRule { history, events: Arc::new(events), ..RoomRule::default() };
        let [durable, volatile] =
            [MemoryStore::new(10), MemoryStore::new(10)].map(|(store, commits)| (Arc::new(store) as Arc<dyn Log>, commits));
        let consumer = layer.new_channel("specific").unwrap();
        layer.group_add(&"chat_lobby".parse().unwrap(), &consumer).await.unwrap();
        let hub = Hub::start(Arc::clone(&layer), read_direct, Duration::from_hours(1), FanOut::default()).unwrap();
        let rooms = Rooms::start(
            vec![rule],
            Stores { durable, search: None, volatile, registry: Registry::none(), profiles: Arc::default() },
            &layer,
            &hub,
            100,
            &Appends::default(),
        );
        let person = Person::new("g1", "Ann");
        let access = rooms.enter(Asker::guest(&person), &"lobby".parse().unwrap()).await.ok().unwrap();
        access.post("k".parse().unwrap(), Text::written("hello").unwrap()).await.unwrap();
        access.post_binary(vec![1, 2].into()).await.unwrap();
        access.relay(Event::new("tick")).await.unwrap();
        let next = || async { timeout(Duration::from_secs(5), layer.receive(&consumer)).await.expect("an event").unwrap() };
        [next().await, next().await, next().await]
    }

    #[tokio::test]
    async fn what_is_sent_to_a_room_goes_to_the_group_and_in_the_type_of_its_rule() {
        for history in [History::Store, History::Memory, History::None] {
            let layer = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
            let events = received(layer, history).await;
            let seen: Vec<_> = events.iter().map(|event| (event.kind(), event.get_str("body"))).collect();
            assert_eq!(seen, [("room.said", Some("hello")), ("room.said", Some("")), ("tick", None)], "{history:?}");
            assert_eq!(events[1].get_bytes("bytes").map(|bytes| &bytes[..]), Some(&[1, 2][..]));
        }
    }

    #[tokio::test]
    async fn bytes_go_through_a_layer_that_has_no_bytes() {
        let layer = Arc::new(NoBytes(MemoryLayer::new(MemoryOptions::default()).unwrap()));
        let events = received(layer, History::None).await;
        assert_eq!((events[1].kind(), events[1].get_str("bytes")), ("room.said", Some("AQI=")));
    }
}
