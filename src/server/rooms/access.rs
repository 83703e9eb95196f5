//! A room that somebody may use, and what may be done with it: to say something, to change it, to read, to be brought level.
//!
//! What is kept goes to the store, and from there on is the publisher's. What is not goes to the channel layer at once. A reader that
//! comes back is told what it has missed, or, where that is too much or no longer held, what is newest.

use std::sync::Arc;

use tracing::{debug, error, info};

use super::{
    NEWEST, Room, Rooms,
    changes::{may_change, may_moderate},
    events,
    layer_groups::group_name,
    owned::{Act, Denied, Record, Seen, may},
};
use crate::{
    server::{
        accounts::{Asker, Kind},
        layers::{Event, GroupName, LayerError},
        search::{Found, Query},
        settings::History,
        store::{
            Alteration, Appended, Entry, Log, Missed, NewChange, NewMessage, Page, Refused, Slice, StoreError, What, Within,
            cut_down,
        },
    },
    wire::{
        Content, Epoch, Group, Key, Message, MessageId, Mine, Offset, Person, Position, Reaction, Stored, Stretch, Text,
        Timestamp,
    },
};

/// The longest difference that a joining client is sent; a client further behind starts afresh.
const MOST_MISSED: usize = 5_000;
/// How many bytes that difference has at most, as it is sent,
const MISSED_BYTES: usize = 1 << 20;
/// and a part of a room: half of what may wait for a reader by default.
const ANSWER_BYTES: usize = 512 << 10;

/// So many people of those whom an answer names are called what they are called now; more there are only where somebody makes them.
const MOST_NAMED: usize = 1_000;

/// Proof that `person` may read `subject`; made by [`Rooms::enter`] alone. What else they may do in a room that somebody owns is asked each
/// time: it may be another thing by then.
#[derive(Clone)]
pub struct Access<T> {
    subject: T,
    person: Person,
    kind: Kind,
    rooms: Arc<Rooms>,
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

/// Where a client stands after a join, and what it needs to stand there.
#[derive(Debug, PartialEq, Eq)]
pub struct CatchUp {
    pub head: Position,
    /// True: `entries` are all after the client's position. False: they are the newest messages.
    pub recovered: bool,
    pub entries: Vec<Entry>,
    /// What the person has put to the messages among them.
    pub mine: Mine,
}

/// A room's stream, for those who hand its events out to people with an [`Access`]: to read what the layer has lost.
#[derive(Clone)]
pub struct Stream {
    group: Group,
    store: Arc<dyn Log>,
}

impl Stream {
    /// What stands after an offset, as much as a client that joins is sent at most; without an offset nothing but where the
    /// stream stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn after(&self, offset: Option<Offset>) -> Result<Missed, StoreError> {
        let (offset, most) = offset.map_or((Offset(u64::MAX), 0), |offset| (offset, MOST_MISSED));
        self.store.entries(&self.group, offset, most, MISSED_BYTES).await
    }
}

impl Access<Room> {
    /// Only where the rules were asked.
    pub(super) fn new(room: Room, Asker { person, kind }: Asker<'_>, rooms: &Arc<Rooms>) -> Self {
        Self { subject: room, person: person.clone(), kind, rooms: Arc::clone(rooms) }
    }

    pub fn room(&self) -> &Room {
        &self.subject
    }

    pub fn person(&self) -> &Person {
        &self.person
    }

    /// How they stand in the room now.
    pub(super) async fn seen(&self) -> Result<Seen, StoreError> {
        let asker = Asker { person: &self.person, kind: self.kind };
        self.rooms.stands(asker, &self.subject.group, self.subject.guests).await
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

    /// The room's stream; none where the room keeps no history.
    pub fn stream(&self) -> Option<Stream> {
        let store = Arc::clone(&self.rooms.store(self.subject.history)?.store);
        Some(Stream { group: self.subject.group.clone(), store })
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

    /// Whether the message at an offset says exactly this: one that was changed since may have said anything.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn says(&self, offset: Offset, text: &str) -> Result<bool, StoreError> {
        let Stretch { messages, .. } = self.page(Slice::Before(offset.next()), 1).await?;
        let unchanged = |content: &Content| content.edited.is_none() && content.text == text;
        Ok(messages.last().is_some_and(|stored| stored.offset == offset && unchanged(&stored.message.content)))
    }

    /// Hands a text in which nothing is seen to those who take texts as they are. It is no message and not kept.
    ///
    /// # Errors
    /// Too long, or it cannot be handed on now.
    pub async fn pass_on(&self, blank: &str) -> Result<(), PostError> {
        if blank.len() > self.rooms.longest {
            return Err(PostError::TooLong(self.rooms.longest));
        }
        self.allow(Act::Post).await?;
        self.hand_on(events::blank(blank, &self.subject.events)).await
    }

    /// Changes a message of the room: it is durable and handed on to the members when this resolves. A change may be repeated.
    /// Gives where it stands, or where the message's last change does if it says that already.
    ///
    /// # Errors
    /// It is refused, the text is out of bounds, or it cannot be kept now.
    pub async fn change(&self, id: MessageId, alteration: Alteration) -> Result<Offset, AlterError> {
        if let Alteration::Edit(text) = &alteration
            && text.len() > self.rooms.longest
        {
            return Err(PostError::TooLong(self.rooms.longest).into());
        }
        let seen = self.seen().await.map_err(PostError::from)?;
        let act = match &alteration {
            Alteration::Edit(_) => Act::Edit,
            Alteration::Delete => Act::Delete,
            Alteration::React { .. } => Act::React,
        };
        may(&seen, act, Timestamp::now()).map_err(PostError::Denied)?;
        let moderates = alteration == Alteration::Delete && may(&seen, Act::DeleteOthers, Timestamp::now()).is_ok();
        let Room { group, history, .. } = &self.subject;
        // What is not kept cannot be found again.
        let store = self.rooms.store(*history).ok_or(AlterError::Refused(Refused::NotFound))?;
        let (group, from, at) = (group.clone(), self.person.clone(), Timestamp::now());
        if !moderates {
            let change = NewChange { group, id, from, alteration, at, rule: may_change };
            return Ok(store.change(change).await?.position.offset);
        }
        let author = self.author(id.offset).await.map_err(PostError::from)?;
        let change = NewChange { group, id, from, alteration, at, rule: may_moderate };
        let Appended { position, fresh } = store.change(change).await?;
        if let Some(author) = author.filter(|author| fresh && author.id != self.person.id) {
            self.rooms.note_deletion(&self.subject.group, &self.person, &author).await;
        }
        Ok(position.offset)
    }

    /// Who has said what stands at an offset, if something does.
    async fn author(&self, offset: Offset) -> Result<Option<Person>, StoreError> {
        let Stretch { messages, .. } = self.part(Slice::Before(offset.next()), 1).await?;
        Ok(messages.into_iter().find(|stored| stored.offset == offset).map(|stored| stored.message.from))
    }

    /// Sends bytes to the members as they are; they are not kept.
    ///
    /// # Errors
    /// Too long, or it cannot be handed on now.
    pub async fn post_binary(&self, bytes: Vec<u8>) -> Result<(), PostError> {
        if bytes.len() > self.rooms.longest {
            return Err(PostError::TooLong(self.rooms.longest));
        }
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

    /// Where the room's stream stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn head(&self) -> Result<Position, StoreError> {
        match self.stream() {
            Some(stream) => Ok(stream.after(None).await?.head),
            None => Ok(Position { epoch: self.rooms.passing.clone(), offset: Offset::START }),
        }
    }

    /// Brings a client level that is at `since`, or a new one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn catch_up(&self, since: Option<&Position>) -> Result<CatchUp, StoreError> {
        let Some(stream) = self.stream() else {
            return Ok(CatchUp { head: self.head().await?, recovered: false, entries: Vec::new(), mine: Mine::new() });
        };
        if let Some(since) = since {
            let Missed { head, first, mut entries } = stream.after(Some(since.offset)).await?;
            let held = first <= since.offset.next() && since.offset <= head.offset;
            let whole = entries.last().map_or(since.offset, |last| last.offset) == head.offset;
            if head.epoch == since.epoch && held && whole {
                let contents = entries.iter_mut().filter_map(|entry| match &mut entry.what {
                    What::Message(message) => Some(&mut message.content),
                    What::Change(_) => None,
                });
                call_by_present_names(&*stream.store, contents).await?;
                let messages = entries.iter().filter_map(|entry| match &entry.what {
                    What::Message(message) => Some((entry.offset, &message.content)),
                    What::Change(_) => None,
                });
                let mine = self.mine(&stream, &head.epoch, messages).await?;
                return Ok(CatchUp { head, recovered: true, entries, mine });
            }
        }
        let page = stream.store.read(&stream.group, Slice::Latest, NEWEST, ANSWER_BYTES).await?;
        let Page { head, mut messages, .. } = page;
        call_by_present_names(&*stream.store, contents_mut(&mut messages)).await?;
        let mine = self.mine(&stream, &head.epoch, contents(&messages)).await?;
        Ok(CatchUp { head, recovered: false, entries: messages.into_iter().map(Entry::from).collect(), mine })
    }

    /// What the person has put to these messages. It may be a little newer than they are: then the change is still to come.
    async fn mine<'m>(
        &self,
        Stream { group, store }: &Stream,
        epoch: &Epoch,
        messages: impl Iterator<Item = (Offset, &'m Content)> + Send,
    ) -> Result<Mine, StoreError> {
        let id = |offset| MessageId { epoch: epoch.clone(), offset };
        let (mut mine, mut crowded) = (Mine::new(), Vec::new());
        for (offset, Content { reactions, .. }) in messages {
            if reactions.iter().any(Reaction::is_sampled) {
                crowded.push(offset);
                continue;
            }
            let put = reactions.iter().filter(|reaction| reaction.names(&self.person.id));
            let put: Vec<_> = put.map(|reaction| reaction.emoji.clone()).collect();
            if !put.is_empty() {
                mine.insert(id(offset), put);
            }
        }
        if !crowded.is_empty() {
            let put = store.reacted(group, &self.person.id, &crowded).await?;
            mine.extend(put.into_iter().filter(|(_, put)| !put.is_empty()).map(|(offset, put)| (id(offset), put)));
        }
        Ok(mine)
    }

    /// Whether the room's messages can be searched: those that are kept in the store can.
    pub fn is_searched(&self) -> bool {
        self.subject.history == History::Store
    }

    /// The room's messages that fit the query best, at most so many.
    ///
    /// # Errors
    /// The store cannot be searched.
    pub async fn search(&self, query: &Query, count: usize) -> Result<Found, StoreError> {
        if !self.is_searched() {
            return Ok(Found::nothing());
        }
        self.rooms.search_within(query, &Within::Room(self.subject.group.clone()), count).await
    }

    /// A part of the room's messages, with what the person has put to them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn page(&self, slice: Slice, count: usize) -> Result<Stretch, StoreError> {
        let stretch = self.part(slice, count).await?;
        self.with_mine(stretch).await
    }

    /// The same with at most so many bytes, as the messages are weighed by whoever shows them; a first one that is heavier is given alone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn page_of(
        &self,
        slice: Slice,
        count: usize,
        bytes: usize,
        weigh: fn(&Stored) -> usize,
    ) -> Result<Stretch, StoreError> {
        let stretch = self.part_of(slice, count, bytes, weigh).await?;
        self.with_mine(stretch).await
    }

    /// The same as it is to everybody.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn part_of(
        &self,
        slice: Slice,
        count: usize,
        bytes: usize,
        weigh: fn(&Stored) -> usize,
    ) -> Result<Stretch, StoreError> {
        let mut stretch = self.part(slice, count).await?;
        stretch.messages = cut_down(slice, stretch.messages, count, bytes, weigh);
        Ok(stretch)
    }

    async fn with_mine(&self, mut stretch: Stretch) -> Result<Stretch, StoreError> {
        if let Some(stream) = self.stream() {
            stretch.mine = self.mine(&stream, &stretch.epoch, contents(&stretch.messages)).await?;
        }
        Ok(stretch)
    }

    /// A part of the room's messages, as they are to everybody.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn part(&self, slice: Slice, count: usize) -> Result<Stretch, StoreError> {
        let mine = Mine::new();
        let Some(Stream { group, store }) = self.stream() else {
            let (epoch, offset, messages) = (self.rooms.passing.clone(), Offset::START, Vec::new());
            return Ok(Stretch { epoch, offset, first: offset.next(), latest: offset, messages, mine });
        };
        let Page { head, first, latest, mut messages, .. } = store.read(&group, slice, count, ANSWER_BYTES).await?;
        call_by_present_names(&*store, contents_mut(&mut messages)).await?;
        Ok(Stretch { epoch: head.epoch, offset: head.offset, first, latest, messages, mine })
    }

    /// The same for who has to know of each message whether it is what was said.
    ///
    /// # Errors
    /// The store cannot be read, or one of the messages.
    pub async fn exact_part(&self, slice: Slice, count: usize) -> Result<Stretch, StoreError> {
        if let Some(Stream { group, store }) = self.stream() {
            let page = store.read(&group, slice, count, ANSWER_BYTES).await?;
            let Page { head, first, latest, mut messages, unreadable } = page;
            call_by_present_names(&*store, contents_mut(&mut messages)).await?;
            return match unreadable[..] {
                [] => Ok(Stretch { epoch: head.epoch, offset: head.offset, first, latest, messages, mine: Mine::new() }),
                [first, ..] => Err(StoreError::damage(format!("message {first} cannot be read"))),
            };
        }
        self.part(slice, count).await
    }
}

fn contents(messages: &[Stored]) -> impl Iterator<Item = (Offset, &Content)> {
    messages.iter().map(|stored| (stored.offset, &stored.message.content))
}

fn contents_mut(messages: &mut [Stored]) -> impl Iterator<Item = &mut Content> {
    messages.iter_mut().map(|stored| &mut stored.message.content)
}

/// Calls those who are named in reactions what they are called now.
async fn call_by_present_names<'m>(store: &dyn Log, contents: impl Iterator<Item = &'m mut Content>) -> Result<(), StoreError> {
    let named: Vec<&mut Person> = contents.flat_map(|content| &mut content.reactions).flat_map(|put| &mut put.from).collect();
    if named.is_empty() {
        return Ok(());
    }
    let mut people: Vec<String> = named.iter().map(|person| person.id.clone()).collect();
    people.sort_unstable();
    people.dedup();
    people.truncate(MOST_NAMED);
    let names = store.called(&people).await?;
    for person in named {
        if let Some(name) = names.get(&person.id) {
            person.name.clone_from(name);
        }
    }
    Ok(())
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
        settings::{GroupTemplate, Pattern, RoomEvents, RoomRule},
        store::MemoryStore,
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
            Stores { durable, search: None, volatile, registry: Registry::none() },
            &layer,
            &hub,
            100,
            &Appends::default(),
        );
        let person = Person { id: "g1".to_owned(), name: "Ann".to_owned(), handle: None };
        let access = rooms.enter(Asker::guest(&person), &"lobby".parse().unwrap()).await.ok().unwrap();
        access.post("k".parse().unwrap(), Text::written("hello").unwrap()).await.unwrap();
        access.post_binary(vec![1, 2]).await.unwrap();
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
