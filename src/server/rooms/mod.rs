//! Rooms: who may enter which, what is said in them, and what a reader needs to be level.
//!
//! ```text
//!   Rooms::enter(person, group) ──► Access<Room> ── post ──► Store::append ──► commit
//!                                       │                                       │ in the order of the offsets
//!                                       ├─ catch_up, page ◄── Store::read       ▼
//!                                       └─ (no history) ─────────────► ChannelLayer::group_send, then the acknowledgement
//!                                                                               │ refused
//!                                                                               ▼
//!   Store::watch ── what other nodes have committed ───────────────────────► Strandings: for this node's members
//! ```
//!
//! Having an [`Access`] *is* the permission: there is no other way to read or to say something. Of a message that is kept, the
//! publisher (one task a store) tells the layer after the commit and before its author hears that it was accepted. It begins the
//! sends in the order of the commits and lets them overlap. Where the layer refuses, the message is kept all the same: it goes
//! down [`Strandings`], so that at least the members of this node see it at once. A store that several nodes share is asked every
//! second which rooms have moved on, so that the others' members see it soon, with or without a layer.

mod events;
mod retention;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tracing::{debug, error, info};

pub use self::events::{Foreign, PlainMessage, Read, foreign_event, read_event};
use super::{
    layers::{ChannelLayer, Event, GroupName, LayerError},
    settings::{History, RoomEvents, RoomRule},
    store::{
        Alteration, Appended, ChangeError, Commits, Committed, Entry, Found, Missed, Moved, NewChange, NewMessage, Page, Query,
        Refused, Slice, Store, StoreError, Watch, What, Within,
    },
    telemetry::{Append, Appends, Fault},
};
use crate::wire::{Content, Epoch, Group, Key, Message, MessageId, Offset, Person, Position, RoomSummary, Stretch, Timestamp};

/// What a page of a room shows at first, and what a client gets that cannot be brought level by the difference alone.
pub const NEWEST: usize = 50;
/// The longest difference that a joining client is sent; a client further behind starts afresh.
const MOST_MISSED: usize = 5_000;
/// About how much text goes into one answer, in bytes: half of what may wait for a reader by default.
const ANSWER_BYTES: usize = 512 * 1024;
/// How many rooms a list shows.
const LISTED: usize = 100;
/// How many messages of one store may be on their way through the layer at a time.
const MOST_SENDING: usize = 1_024;
/// How often a store that others write to is asked what is new.
const LOOK_OUT: Duration = Duration::from_secs(1);
/// How many events may wait for the members of this node when the layer refused them; the publishers wait beyond it.
const MOST_STRANDED: usize = 1_024;

/// A room that the person may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub group: Group,
    pub history: History,
    /// How it looks in the channel layer.
    pub events: Arc<RoomEvents>,
}

impl Room {
    pub(in crate::server) fn new(group: &Group, rule: &RoomRule) -> Self {
        Self { group: group.clone(), history: rule.history, events: Arc::clone(&rule.events) }
    }
}

/// A group of the channel layer that members join.
#[derive(Clone, Debug)]
pub struct LayerGroup {
    pub name: GroupName,
    /// How the events of a room are read there; none in the list of rooms.
    pub events: Option<Arc<RoomEvents>>,
    /// Another one beside it for what only servers read: the changes of messages, where the room keeps any.
    pub beside: Option<GroupName>,
}

/// Proof that `person` may use `subject`; made by [`Rooms::enter`] and, for programs, [`Rooms::admit`] alone.
#[derive(Clone)]
pub struct Access<T> {
    subject: T,
    person: Person,
    rooms: Arc<Rooms>,
}

/// Why somebody may not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The settings have no such room.
    NotFound,
    /// It is there, but not for this person.
    Forbidden,
}

/// Why a message was not accepted.
#[derive(Debug)]
pub enum PostError {
    /// Over the bound, in bytes.
    TooLong(usize),

    /// The store or the layer cannot now; the cause is in the log.
    Unavailable,
}

/// Why a message was not changed.
#[derive(Debug)]
pub enum AlterError {
    /// It may not be changed so.
    Refused(Refused),
    /// As with a message.
    Post(PostError),
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
}

/// A room's stream, for those who hand its events out to people with an [`Access`]: to read what the layer has lost.
#[derive(Clone)]
pub struct Stream {
    group: Group,
    store: Arc<dyn Store>,
}

/// What the members of a group on this node would not hear of by the channel layer.
#[derive(Debug)]
pub struct Stranded {
    pub group: GroupName,
    pub what: News,
}

/// What is new in a group.
#[derive(Debug)]
pub enum News {
    /// An event that stands for something committed and that the layer refused. It may be out of order, and the layer may have
    /// carried it after all before it gave up.
    Event(Event),
    /// The room's stream has come to here, whoever has written it. Most of the time the members know.
    Head(Position),
    /// Rooms of the list have their newest messages here, whoever has written them.
    Heads(Vec<(Group, Offset)>),
}

/// Where it arrives. It ends when the stores are closed.
pub type Strandings = mpsc::Receiver<Stranded>;

/// All rooms of this server.
pub struct Rooms {
    rules: Arc<[RoomRule]>,
    durable: Keeper,
    volatile: Keeper,
    layer: Arc<dyn ChannelLayer>,
    /// The layer refused what is not kept, the last time.
    refused: Fault,
    /// The durable store could not be read, the last time that it was looked at.
    unreadable: Fault,
    /// The longest text, in bytes.
    longest: usize,
    /// The epoch of rooms without history: there is nothing in them to come back to, and after a restart not even this.
    passing: Epoch,
}

/// A store, and how it goes there.
struct Keeper {
    store: Arc<dyn Store>,
    append: Append,
    /// The last message was not stored.
    unwritable: Fault,
}

impl Keeper {
    fn new(store: Arc<dyn Store>, append: &Append) -> Self {
        Self { store, append: append.clone(), unwritable: Fault::default() }
    }

    async fn append(&self, message: NewMessage) -> Result<Appended, PostError> {
        self.wait(self.store.append(message)).await
    }

    async fn change(&self, change: NewChange) -> Result<Appended, AlterError> {
        let changed = self.wait(async {
            match self.store.change(change).await {
                Ok(appended) => Ok(Ok(appended)),
                Err(ChangeError::Refused(refused)) => Ok(Err(refused)),
                Err(ChangeError::Store(error)) => Err(error),
            }
        });
        changed.await?.map_err(AlterError::Refused)
    }

    /// Waits for the store to take something.
    async fn wait<T>(&self, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, PostError> {
        let begun = Instant::now();
        let written = write.await;
        let news = self.unwritable.is_news(written.is_err());
        match written {
            Ok(answer) => {
                self.append.seconds.observe(begun.elapsed().as_secs_f64());
                if news {
                    info!("messages can be stored again");
                }
                Ok(answer)
            }
            Err(StoreError::Unavailable(cause)) => {
                self.append.failures.inc();
                if news {
                    error!(%cause, "messages cannot be stored");
                } else {
                    debug!(%cause, "another message could not be stored");
                }
                Err(PostError::Unavailable)
            }
        }
    }
}

impl Rooms {
    /// Starts the publishers; they end when the stores do. [`Strandings`] must be read or dropped. `appends` counts what is kept.
    pub fn start(
        rules: Vec<RoomRule>,
        durable: (Arc<dyn Store>, Commits),
        volatile: (Arc<dyn Store>, Commits),
        layer: Arc<dyn ChannelLayer>,
        longest: usize,
        appends: &Appends,
    ) -> (Arc<Self>, Strandings) {
        let rules: Arc<[RoomRule]> = rules.into();
        let (stranded, strandings) = mpsc::channel(MOST_STRANDED);
        if let Some(watch) = durable.0.watch() {
            tokio::spawn(look_out(watch, Arc::clone(&rules), stranded.clone()));
        }
        for store in [&durable.0, &volatile.0] {
            tokio::spawn(retention::keep_within(Arc::downgrade(store), Arc::clone(&rules)));
        }
        let committed = |append: &Append| append.committed.clone();
        for (commits, stranded, committed) in
            [(durable.1, stranded.clone(), committed(&appends.durable)), (volatile.1, stranded, committed(&appends.volatile))]
        {
            let publisher = Publisher {
                layer: Arc::clone(&layer),
                rules: Arc::clone(&rules),
                stranded,
                refused: Fault::default(),
                committed,
            };
            tokio::spawn(async move { publisher.publish(commits).await });
        }
        let passing = format!("n{:x}", Timestamp::now().as_millis()).parse().expect("hexadecimal digits"); // never: 12 of them
        let (durable, volatile) = (Keeper::new(durable.0, &appends.durable), Keeper::new(volatile.0, &appends.volatile));
        let (refused, unreadable) = Default::default();
        let rooms = Self { rules, durable, volatile, layer, refused, unreadable, longest, passing };
        (Arc::new(rooms), strandings)
    }

    /// The room of a group, for this person.
    ///
    /// # Errors
    /// The settings have no such room, or not for guests.
    pub fn enter(self: &Arc<Self>, person: &Person, group: &Group) -> Result<Access<Room>, Refusal> {
        let rule = rule(&self.rules, group).ok_or(Refusal::NotFound)?;
        if !rule.guests {
            return Err(Refusal::Forbidden);
        }
        Ok(Access { subject: Room::new(group, rule), person: person.clone(), rooms: Arc::clone(self) })
    }

    /// The room of a group, for a program to which the settings give this group. It is no guest: what a rule says of guests does
    /// not hold for it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn admit(self: &Arc<Self>, program: &Person, group: &Group) -> Result<Access<Room>, Refusal> {
        let rule = rule(&self.rules, group).ok_or(Refusal::NotFound)?;
        Ok(Access { subject: Room::new(group, rule), person: program.clone(), rooms: Arc::clone(self) })
    }

    /// What is wrong with the durable store, in words for an operator; none while all is well. It is read to find out; whether it
    /// can be written is known from the last message that was to be stored.
    pub async fn trouble(&self) -> Option<&'static str> {
        let read = self.durable.store.rooms(1).await;
        if self.unreadable.is_news(read.is_err()) {
            match &read {
                Ok(_) => info!("the store can be read again"),
                Err(cause) => error!(%cause, "the store cannot be read"),
            }
        }
        match read {
            Err(_) => Some("the store cannot be read"),
            Ok(_) if !self.can_store() => Some("the store cannot be written: it did not take the last message"),
            Ok(_) => None,
        }
    }

    /// Whether the durable store took the last message that it was given; that it did not is forgotten after a while.
    pub fn can_store(&self) -> bool {
        !self.durable.unwritable.lasts()
    }

    /// The rooms that guests may enter and that have been used, newest activity first, each with the beginning of its latest
    /// message.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<RoomSummary>, StoreError> {
        let mut rooms = self.durable.store.rooms(LISTED).await?;
        rooms.extend(self.volatile.store.rooms(LISTED).await?);
        rooms.retain(|room| rule(&self.rules, &room.group).is_some_and(|rule| rule.guests));
        for latest in rooms.iter_mut().filter_map(|room| room.latest.as_mut()) {
            latest.message.content.text = events::beginning(&latest.message.content.text);
        }
        rooms.sort_by_key(|room| std::cmp::Reverse(room.latest.as_ref().map(|latest| latest.message.at)));
        rooms.truncate(LISTED);
        Ok(rooms)
    }

    /// The messages that fit the query best, at most so many, of all rooms that guests may enter and that keep their messages in
    /// the store. Where there is no such room nothing is asked.
    ///
    /// # Errors
    /// The store cannot be searched.
    pub async fn search(&self, query: &Query, count: usize) -> Result<Found, StoreError> {
        match searched(&self.rules) {
            Some(within) => self.durable.store.search(query, &within, count).await,
            None => Ok(Found::nothing()),
        }
    }

    /// What the layer has said of something that is not kept.
    fn handed_on(&self, group: &GroupName, sent: Result<(), LayerError>) -> Result<(), PostError> {
        let news = self.refused.is_news(sent.is_err());
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

    fn keeper(&self, history: History) -> Option<&Keeper> {
        match history {
            History::Store => Some(&self.durable),
            History::Memory => Some(&self.volatile),
            History::None => None,
        }
    }
}

/// The first rule that matches.
fn rule<'r>(rules: &'r [RoomRule], group: &Group) -> Option<&'r RoomRule> {
    rules.iter().find(|rule| rule.matches.matches(group.as_str()))
}

/// The rooms in which a guest searches; none where the rules open no room that keeps its messages.
fn searched(rules: &Arc<[RoomRule]>) -> Option<Within> {
    let open = |rule: &RoomRule| rule.guests && rule.history == History::Store;
    if !rules.iter().any(open) {
        return None;
    }
    // The first rule that matches decides, so those after one that matches everything do not count.
    let last = rules.iter().position(|rule| rule.matches.matches_everything());
    if last.is_some_and(|last| rules[..=last].iter().all(open)) {
        return Some(Within::Everything);
    }
    let rules = Arc::clone(rules);
    Some(Within::Rooms(Arc::new(move |group| rule(&rules, group).is_some_and(open))))
}

/// The group of the channel layer that carries a room.
pub fn layer_group(room: &Room) -> LayerGroup {
    let beside = (room.history != History::None).then(|| changes_name(&room.group));
    LayerGroup { name: group_name(&room.group, &room.events), events: Some(Arc::clone(&room.events)), beside }
}

/// The group of the layer that carries the changes of a room's messages; no template of the settings gives this name.
fn changes_name(group: &Group) -> GroupName {
    format!("confab.changes.{group}").parse().expect("letters, dots and a group's name") // never: 15 and 64 of 99 characters
}

fn group_name(group: &Group, events: &RoomEvents) -> GroupName {
    events.group.group_of(group.as_str()).parse().expect("a template gives valid names") // never: it is made for its rule's rooms
}

/// The group of the channel layer that carries the list of rooms; no template of the settings gives this name.
pub fn list_group() -> LayerGroup {
    LayerGroup { name: list_name(), events: None, beside: None }
}

fn list_name() -> GroupName {
    "confab.rooms".parse().expect("a constant") // never: letters and a dot
}

/// Hands on what one store commits.
struct Publisher {
    layer: Arc<dyn ChannelLayer>,
    rules: Arc<[RoomRule]>,
    stranded: mpsc::Sender<Stranded>,
    /// The layer's last answer was no.
    refused: Fault,
    /// Counts the new messages.
    committed: IntCounter,
}

impl Publisher {
    /// Begins in order, so that the layer has it in order, but does not wait for one to be through before the next begins.
    async fn publish(&self, mut commits: Commits) {
        let mut sending = FuturesUnordered::new();
        loop {
            tokio::select! {
                // What was pushed last begins before the next commit is taken.
                biased;
                Some(()) = sending.next() => {}
                commit = commits.recv(), if sending.len() < MOST_SENDING => match commit {
                    Some(commit) => sending.push(self.hand_on(commit)),
                    None => break,
                },
            }
        }
        while sending.next().await.is_some() {}
    }

    /// Tells the room's members and the list's; when both are told, or the layer has refused, the author hears of it.
    async fn hand_on(&self, commit: Committed) {
        self.committed.inc();
        // Whoever has said it was let in by a rule, so there is one.
        let rule = rule(&self.rules, &commit.group);
        let events = rule.map(|rule| Arc::clone(&rule.events)).unwrap_or_default();
        let Entry { offset, what } = &commit.entry;
        let place = (&commit.epoch, *offset);
        let event = || match what {
            What::Message(message) => events::message(Some(place), message, &events),
            What::Change(change) => events::change(place, change),
        };
        let room = group_name(&commit.group, &events);
        let to = match what {
            What::Message(_) => room.clone(),
            What::Change(_) => changes_name(&commit.group),
        };
        let latest = match what {
            What::Message(message) => Some((*offset, message)),
            What::Change(_) => commit.latest.as_ref().map(|stored| (stored.offset, &stored.message)),
        };
        // The list is every guest's.
        let listed = || {
            let (offset, message) = latest.filter(|_| rule.is_some_and(|rule| rule.guests))?;
            Some(events::listed(&commit.group, (&commit.epoch, offset), message))
        };
        let list = list_name();
        let to_list = async {
            match listed() {
                Some(listed) => self.layer.group_send(&list, listed).await,
                None => Ok(()),
            }
        };
        let (to_room, to_list) = futures_util::join!(self.layer.group_send(&to, event()), to_list);
        let refused = to_room.is_err();
        if self.refused.is_news(refused) {
            if let Err(cause) = &to_room {
                error!(%cause, "the channel layer refuses what is committed; members on other nodes see it late, or not at all where the store is not theirs");
            } else {
                info!("the channel layer takes what is committed again");
            }
        }
        // An error of the sending says that nobody reads these, which is nobody's loss.
        if refused {
            let _ = self.stranded.send(Stranded { group: room, what: News::Event(event()) }).await;
        }
        if let Some(listed) = listed().filter(|_| to_list.is_err()) {
            let _ = self.stranded.send(Stranded { group: list, what: News::Event(listed) }).await;
        }
        commit.acknowledge();
    }
}

/// Asks a store that others write to which rooms have moved on, and tells those that have members here: an event may be lost on its
/// way, or its node have died between the commit and the sending. Ends when nobody reads what it tells.
async fn look_out(mut watch: Box<dyn Watch>, rules: Arc<[RoomRule]>, stranded: mpsc::Sender<Stranded>) {
    let away = Fault::default();
    loop {
        let moved = watch.moved().await;
        if away.is_news(moved.is_err()) {
            if let Err(cause) = &moved {
                error!(%cause, "the store cannot be asked what is new in it");
            } else {
                info!("the store can be asked again what is new in it");
            }
        }
        if let Ok(moved) = moved {
            let kept = moved.into_iter().filter_map(|moved| {
                let rule = rule(&rules, &moved.group).filter(|rule| rule.history == History::Store)?;
                Some((rule, moved))
            });
            let (mut news, mut heads) = (Vec::new(), Vec::new());
            for (rule, Moved { group, head, latest }) in kept {
                if rule.guests {
                    heads.push((group.clone(), latest));
                }
                news.push(Stranded { group: group_name(&group, &rule.events), what: News::Head(head) });
            }
            news.push(Stranded { group: list_name(), what: News::Heads(heads) });
            for news in news {
                if stranded.send(news).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_OUT) => {}
            () = stranded.closed() => return,
        }
    }
}

impl Stream {
    /// What stands after an offset, as much as a client that joins is sent at most; without an offset nothing but where the
    /// stream stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn after(&self, offset: Option<Offset>) -> Result<Missed, StoreError> {
        let (offset, most) = offset.map_or((Offset(u64::MAX), 0), |offset| (offset, MOST_MISSED));
        self.store.entries(&self.group, offset, most, ANSWER_BYTES).await
    }
}

impl Access<Room> {
    pub fn room(&self) -> &Room {
        &self.subject
    }

    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The room's stream; none where the room keeps no history.
    pub fn stream(&self) -> Option<Stream> {
        let store = Arc::clone(&self.rooms.keeper(self.subject.history)?.store);
        Some(Stream { group: self.subject.group.clone(), store })
    }

    /// Says something in the room: it is durable, where the room keeps history, and handed on to the members when this
    /// resolves. The same key again is the same message. Gives its offset, or none in a room that keeps none.
    ///
    /// # Errors
    /// The text is out of bounds or it cannot be kept or handed on now.
    pub async fn post(&self, key: Key, text: String) -> Result<Option<Offset>, PostError> {
        if text.len() > self.rooms.longest {
            return Err(PostError::TooLong(self.rooms.longest));
        }
        let Room { group, history, events } = &self.subject;
        let (from, at) = (self.person.clone(), Timestamp::now());
        if let Some(keeper) = self.rooms.keeper(*history) {
            let appended = keeper.append(NewMessage { group: group.clone(), key, from, text, at }).await?;
            return Ok(Some(appended.position.offset));
        }
        let id = format!("{}-{}", from.id, key);
        let event = events::message(None, &Message { id, key, from, content: Content::new(text), at }, events);
        self.hand_on(event).await?;
        Ok(None)
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
        let Room { group, history, .. } = &self.subject;
        // What is not kept cannot be found again.
        let keeper = self.rooms.keeper(*history).ok_or(AlterError::Refused(Refused::NotFound))?;
        let change = NewChange { group: group.clone(), id, from: self.person.clone(), alteration, at: Timestamp::now() };
        Ok(keeper.change(change).await?.position.offset)
    }

    /// Sends bytes to the members as they are; they are not kept.
    ///
    /// # Errors
    /// Too long, or it cannot be handed on now.
    pub async fn post_binary(&self, bytes: Vec<u8>) -> Result<(), PostError> {
        if bytes.len() > self.rooms.longest {
            return Err(PostError::TooLong(self.rooms.longest));
        }
        let Room { group, events, .. } = &self.subject;
        let group = group_name(group, events);
        let sent = match self.rooms.layer.group_send(&group, events::binary(bytes.clone(), events)).await {
            Err(LayerError::Unserializable(_)) => {
                self.rooms.layer.group_send(&group, events::binary_as_text(&bytes, events)).await
            }
            sent => sent,
        };
        self.rooms.handed_on(&group, sent)
    }

    /// Hands an event to the members as it is; it is not kept. Make it with [`foreign_event`] where it comes from outside.
    ///
    /// # Errors
    /// It cannot be handed on now.
    pub async fn relay(&self, event: Event) -> Result<(), PostError> {
        self.hand_on(event).await
    }

    async fn hand_on(&self, event: Event) -> Result<(), PostError> {
        let group = group_name(&self.subject.group, &self.subject.events);
        self.rooms.handed_on(&group, self.rooms.layer.group_send(&group, event).await)
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
            return Ok(CatchUp { head: self.head().await?, recovered: false, entries: Vec::new() });
        };
        if let Some(since) = since {
            let Missed { head, first, entries } = stream.after(Some(since.offset)).await?;
            let held = first <= since.offset.next() && since.offset <= head.offset;
            let whole = entries.last().map_or(since.offset, |last| last.offset) == head.offset;
            if head.epoch == since.epoch && held && whole {
                return Ok(CatchUp { head, recovered: true, entries });
            }
        }
        let page = stream.store.read(&stream.group, Slice::Latest, NEWEST, ANSWER_BYTES).await?;
        let entries = page.messages.into_iter().map(Entry::from).collect();
        Ok(CatchUp { head: page.head, recovered: false, entries })
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
        self.rooms.durable.store.search(query, &Within::Room(self.subject.group.clone()), count).await
    }

    /// A part of the room's messages.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn page(&self, slice: Slice, count: usize) -> Result<Stretch, StoreError> {
        let Some(Stream { store, .. }) = self.stream() else {
            let (epoch, offset, messages) = (self.rooms.passing.clone(), Offset::START, Vec::new());
            return Ok(Stretch { epoch, offset, first: offset.next(), latest: offset, messages });
        };
        let Page { head, first, latest, messages } = store.read(&self.subject.group, slice, count, ANSWER_BYTES).await?;
        Ok(Stretch { epoch: head.epoch, offset: head.offset, first, latest, messages })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use tokio::time::timeout;

    use super::*;
    use crate::server::{
        layers::{Channel, MemoryLayer, MemoryOptions, Sink},
        settings::{GroupTemplate, Pattern},
        store::MemoryStore,
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
            [MemoryStore::new(10), MemoryStore::new(10)].map(|(store, commits)| (Arc::new(store) as Arc<dyn Store>, commits));
        let consumer = layer.new_channel("specific").unwrap();
        layer.group_add(&"chat_lobby".parse().unwrap(), &consumer).await.unwrap();
        let (rooms, _strandings) = Rooms::start(vec![rule], durable, volatile, Arc::clone(&layer), 100, &Appends::default());
        let person = Person { id: "g1".to_owned(), name: "Ann".to_owned() };
        let access = rooms.enter(&person, &"lobby".parse().unwrap()).ok().unwrap();
        access.post("k".parse().unwrap(), "hello".to_owned()).await.unwrap();
        access.post_binary(vec![1, 2]).await.unwrap();
        access.relay(Event::new("tick")).await.unwrap();
        let next = || async { timeout(Duration::from_secs(5), layer.receive(&consumer)).await.expect("an event").unwrap() };
        [next().await, next().await, next().await]
    }

    #[test]
    fn only_open_rooms_that_are_kept_are_searched() {
        let rule = |pattern: &str, history, guests| RoomRule {
            matches: Pattern::for_rooms(pattern).unwrap(),
            history,
            guests,
            ..RoomRule::default()
        };
        let (store, memory) = (History::Store, History::Memory);
        for rules in [
            vec![],
            vec![rule("*", store, false)],
            vec![rule("*", memory, true)],
            vec![rule("a", store, false), rule("*", memory, true)],
        ] {
            assert!(searched(&rules.clone().into()).is_none(), "{rules:?}");
        }
        for rules in
            [vec![rule("*", store, true)], vec![rule("a", store, true), rule("**", store, true), rule("b", store, false)]]
        {
            assert!(matches!(searched(&rules.clone().into()), Some(Within::Everything)), "{rules:?}");
        }
        for (rules, open) in [
            (vec![rule("a*", store, true)], vec!["a", "ab"]),
            (vec![rule("ab", store, false), rule("*", store, true)], vec!["a", "b"]),
            (vec![rule("ab", memory, true), rule("a*", store, true), rule("*", store, false)], vec!["a"]),
            (vec![rule("*", store, false), rule("a", store, true)], vec![]),
        ] {
            let Some(Within::Rooms(allowed)) = searched(&rules.clone().into()) else { panic!("some rooms: {rules:?}") };
            let found: Vec<_> = ["a", "ab", "b"].into_iter().filter(|name| allowed(&name.parse().unwrap())).collect();
            assert_eq!(found, open, "{rules:?}");
        }
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
