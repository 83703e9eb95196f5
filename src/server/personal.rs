//! What concerns one person, on all of their connections: the topic `me`.
//!
//! ```text
//!   Personal::tell ──► the person's stream: the next offset ──► ChannelLayer::group_send, the group `confab.me.{id}` ──► Hub
//!                                                                  │ refused: Hub::hear, for this node's connections
//! ```
//!
//! Each node has a stream of its own for a person, with its last few events in memory: guests have no other place. Whoever comes back to
//! the same node gets what was missed; what other nodes tell passes, as everything does that comes from a stream which is another's.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tracing::debug;

use super::{
    hub::{Entry, Feed, Hub, LayerGroups, Missed, News, Place, Policy, Unavailable},
    layers::{ChannelLayer, Event, GroupName},
    noun::Opened,
    random,
};
use crate::wire::{self, Offset, Person, Position, Topic};

/// The type of such an event in the layer.
const KIND: &str = "confab.me";
/// How many events of a person are held.
const HELD: usize = 64;
/// With so many streams those are let go that nobody has open.
const STREAMS: usize = 10_000;

/// See the module.
pub struct Personal {
    layer: Arc<dyn ChannelLayer>,
    hub: Weak<Hub>,
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    by_person: HashMap<String, Arc<Stream>>,
    /// How many were left when some were let go, twice: so each is looked at seldom.
    most: usize,
}

/// The last events of a person.
struct Stream {
    group: GroupName,
    held: Mutex<Held>,
}

struct Held {
    head: Position,
    /// The last of them stands at the head.
    events: VecDeque<wire::Event>,
}

/// A person's stream for their connections.
#[derive(Clone)]
struct Mine(Arc<Stream>);

impl Personal {
    pub fn new(layer: &Arc<dyn ChannelLayer>, hub: &Arc<Hub>) -> Self {
        Self { layer: Arc::clone(layer), hub: Arc::downgrade(hub), streams: Mutex::default() }
    }

    /// Opens a person's own topic.
    pub fn open(&self, person: &Person) -> Arc<dyn Opened> {
        Arc::new(Mine(self.stream(person)))
    }

    /// Tells all connections of a person that have joined their topic, on all nodes.
    pub async fn tell(&self, person: &Person, event: wire::Event) {
        let stream = self.stream(person);
        let event = {
            let mut held = stream.held.lock();
            let offset = held.head.offset.next();
            held.head.offset = offset;
            let in_layer = to_layer(&held.head, &event);
            held.events.push_back(event);
            if held.events.len() > HELD {
                held.events.pop_front();
            }
            in_layer
        };
        if let Err(cause) = self.layer.group_send(&stream.group, event.clone()).await {
            debug!(%cause, "other nodes could not be told what concerns a person");
            if let Some(hub) = self.hub.upgrade() {
                hub.hear(&stream.group, News::Event(event));
            }
        }
    }

    /// Tells all connections of this node that have joined their own topic. It passes: nobody is told of it who comes later.
    pub fn tell_all_here(&self, event: &wire::Event) {
        let Some(hub) = self.hub.upgrade() else { return };
        let streams: Vec<_> = {
            let streams = self.streams.lock();
            streams.by_person.values().filter(|stream| Arc::strong_count(stream) > 1).map(Arc::clone).collect()
        };
        let event = passing_to_layer(event);
        for stream in streams {
            hub.hear(&stream.group, News::Event(event.clone()));
        }
    }

    fn stream(&self, person: &Person) -> Arc<Stream> {
        let mut streams = self.streams.lock();
        if let Some(stream) = streams.by_person.get(&person.id) {
            return Arc::clone(stream);
        }
        if streams.by_person.len() >= streams.most.max(STREAMS) {
            streams.by_person.retain(|_, stream| Arc::strong_count(stream) > 1);
            streams.most = 2 * streams.by_person.len();
        }
        let stream = Arc::new(Stream::new(person));
        streams.by_person.insert(person.id.clone(), Arc::clone(&stream));
        stream
    }
}

impl Stream {
    fn new(person: &Person) -> Self {
        // never: an id is a letter and 16 hexadecimal digits
        let group = format!("{KIND}.{}", person.id).parse().expect("letters, digits and dots"); // never: see above
        let epoch = random::hex_128().parse().expect("hexadecimal digits"); // never: 32 of them
        Self { group, held: Mutex::new(Held { head: Position { epoch, offset: Offset::START }, events: VecDeque::new() }) }
    }
}

impl Held {
    /// The offset of the first event that is held.
    fn first(&self) -> Offset {
        Offset((self.head.offset.0 + 1).saturating_sub(self.events.len() as u64))
    }

    /// What stands after an offset, as far as it is held.
    fn after(&self, offset: Offset) -> impl Iterator<Item = (Offset, &wire::Event)> {
        let offsets = (self.first().0..).map(Offset);
        offsets.zip(&self.events).filter(move |(at, _)| *at > offset)
    }
}

#[async_trait]
impl Opened for Mine {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl Feed for Mine {
    fn topic(&self) -> &Topic {
        &Topic::Me
    }

    fn groups(&self) -> LayerGroups {
        LayerGroups { name: self.0.group.clone(), beside: None }
    }

    fn policy(&self) -> Policy {
        Policy::Ordered
    }

    fn read(&self, event: &Event) -> Option<Entry> {
        let (position, event) = from_layer(event)?;
        Some(Entry { place: position.map_or(Place::None, Place::At), ..Entry::passing(event) })
    }

    async fn after(&self, offset: Option<Offset>) -> Result<Missed, Unavailable> {
        let held = self.0.held.lock();
        let place = |offset| Place::At(Position { offset, ..held.head.clone() });
        let entry = |(at, event): (Offset, &wire::Event)| Entry { place: place(at), ..Entry::passing(event.clone()) };
        let entries = offset.map_or_else(Vec::new, |offset| held.after(offset).map(entry).collect());
        Ok(Missed { head: held.head.clone(), entries })
    }
}

fn to_layer(Position { epoch, offset }: &Position, event: &wire::Event) -> Event {
    passing_to_layer(event).with("epoch", epoch.as_str()).with("offset", offset.0.cast_signed())
}

/// One that is no part of the stream.
fn passing_to_layer(event: &wire::Event) -> Event {
    let json = serde_json::to_string(event).expect("the wire is JSON"); // never: it has string keys and no fallible serializers
    Event::new(KIND).with("event", json)
}

/// The event, and where it stands if it is a part of the stream.
fn from_layer(event: &Event) -> Option<(Option<Position>, wire::Event)> {
    let json = (event.kind() == KIND).then(|| event.get_str("event"))??;
    let position = match event.get("epoch") {
        Some(_) => Some(Position { epoch: event.get_str("epoch")?.parse().ok()?, offset: Offset(event.get_u64("offset")?) }),
        None => None,
    };
    Some((position, serde_json::from_str(json).ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        server::{
            layers::{MemoryLayer, MemoryOptions},
            telemetry::FanOut,
        },
        wire::{Renamed, State},
    };

    fn person(n: usize) -> Person {
        Person::new(format!("g{n}"), "Ann")
    }

    fn renamed(n: usize) -> wire::Event {
        wire::Event::Renamed(Renamed { name: n.to_string(), handle: None })
    }

    fn personal() -> Personal {
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let direct = |_: &Event| Entry::passing(renamed(0));
        let hub = Hub::start(Arc::clone(&layer), direct, Duration::from_hours(1), FanOut::default()).unwrap();
        Personal::new(&layer, &hub)
    }

    #[tokio::test]
    async fn who_comes_back_gets_what_was_missed_as_far_as_it_is_held() {
        let personal = personal();
        let mine = personal.open(&person(1));
        let begin = mine.head().await.unwrap();
        for n in 1..=HELD {
            personal.tell(&person(1), renamed(n)).await;
        }
        let (head, State { recovered, events, .. }) = mine.catch_up(Some(&begin)).await.unwrap();
        assert_eq!((head.offset, recovered, events.len()), (Offset(64), true, HELD));
        assert_eq!((events[0].offset, &events[0].event), (Some(Offset(1)), &renamed(1)));
        personal.tell(&person(1), renamed(65)).await;
        let (_, State { recovered, events, .. }) = mine.catch_up(Some(&begin)).await.unwrap();
        assert_eq!((recovered, events.len()), (false, 0), "the first is gone");
        let since = Position { offset: Offset(64), ..begin.clone() };
        let (_, State { recovered, events, .. }) = mine.catch_up(Some(&since)).await.unwrap();
        assert_eq!((recovered, &events[0].event), (true, &renamed(65)));
        let ahead = Position { offset: Offset(66), ..begin };
        assert!(!mine.catch_up(Some(&ahead)).await.unwrap().1.recovered);
        assert!(mine.catch_up(None).await.unwrap().1.events.is_empty(), "who is new begins at the head");
    }

    #[tokio::test]
    async fn streams_that_nobody_has_open_are_let_go_when_there_are_many() {
        let personal = personal();
        let kept = personal.open(&person(0));
        let begin = kept.head().await.unwrap();
        for n in 1..3 * STREAMS {
            personal.stream(&person(n));
            assert!(personal.streams.lock().by_person.len() <= STREAMS);
        }
        assert_eq!(personal.open(&person(0)).head().await.unwrap(), begin);
    }

    #[test]
    fn what_goes_by_the_layer_is_read_as_it_was() {
        let position = Position { epoch: "e".parse().unwrap(), offset: Offset(7) };
        let event = to_layer(&position, &renamed(1));
        assert_eq!(from_layer(&event), Some((Some(position), renamed(1))));
        assert_eq!(from_layer(&passing_to_layer(&renamed(2))), Some((None, renamed(2))));
        assert_eq!(from_layer(&Event::new("chat.message").with("event", "{}")), None);
    }
}
