//! What is open to people, and how it is taken back.
//!
//! ```text
//!   session, plain client, file on its way ── grant ──► Leases: by person, who holds something open
//!   Leases::take_back ──► Holder::take_back, on this node at once
//!          └──► ChannelLayer::group_send, the group `confab.leases` ──► the same on every other node
//! ```
//!
//! Opening a topic was the permission, and nobody asks again for each event or act. So whoever keeps something open for a person is a
//! [`Holder`] and has a [`Lease`] as long as it does. What is taken back ends where it is held: the fan-out knows nothing of leases, and
//! costs nothing more. What is not open any more is opened by nobody whom the noun's own rules refuse.
//!
//! Where it is a rule that has changed, and not what one person has, a node finds out itself whom that concerns: a noun
//! [announces](Leases::announce) the change, the noun of every other node [hears](Follower) of it, and each
//! [ends](Leases::end_for) what is open to whoever may not have it any more.
//!
//! Who has lost everything is signed out: the secret that made a guest this person is worth nothing from then on. Of those a node
//! remembers the last, in memory, as guests have no other place. A node that starts has not heard of them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tracing::{debug, info, warn};

use super::{
    layers::{Channel, ChannelLayer, Event, GroupName, Sink},
    presence::Presence,
    telemetry::Fault,
};
use crate::wire::{Person, Topic};

/// The type of what nodes tell each other.
const KIND: &str = "confab.taken";
/// How many who are signed out are remembered.
const REMEMBERED: usize = 10_000;
/// For how long other nodes are told again of what the layer did not take, or may have lost,
const TOLD_FOR: Duration = Duration::from_mins(1);
/// of how much of it,
const MOST_TOLD: usize = 1_000;
/// and how often, as long as the layer takes nothing.
const AGAIN: Duration = Duration::from_secs(1);
/// A layer that is away when the server starts is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest id of a person that is taken from another node, in bytes.
const LONGEST_ID: usize = 64;

/// What somebody loses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All that is open to them: they are signed out.
    Everything,
    Topic(Topic),
}

/// Something that is open for a person.
pub trait Holder: Send + Sync {
    /// Ends what is taken back: when this returns nothing more of it goes out, also of what waits, and nothing more is done in it.
    fn take_back(&self, taken: &Taken);
}

/// Hears what the same noun announces on other nodes.
pub trait Follower: Send + Sync {
    fn hear(self: Arc<Self>, event: &Event);
}

/// See the module.
pub struct Leases {
    layer: Arc<dyn ChannelLayer>,
    presence: Arc<Presence>,
    /// The channel under which this node is in the group of all nodes.
    me: Channel,
    group: GroupName,
    table: Mutex<Table>,
    told: Mutex<Told>,
    /// Wakes the task that tells again.
    wake: Arc<Notify>,
    /// Other nodes could not be told.
    unsent: Fault,
    /// Who hears what is announced.
    follower: OnceLock<Weak<dyn Follower>>,
}

/// What other nodes were told last.
#[derive(Default)]
struct Told {
    events: VecDeque<(Instant, Event)>,
    /// Some of it may not have come to them.
    again: bool,
}

/// Who holds something of a person, with the number of its lease.
type Held = (u64, Weak<dyn Holder>);

#[derive(Default)]
struct Table {
    by_person: HashMap<Arc<str>, Vec<Held>>,
    last: u64,
    signed_out: HashSet<Arc<str>>,
    /// The same in their order.
    order: VecDeque<Arc<str>>,
}

/// Being found when something is taken back; ends when it is dropped.
pub struct Lease {
    leases: Arc<Leases>,
    person: Arc<str>,
    number: u64,
}

impl Leases {
    /// The other nodes are told from now on, and heard when this resolves, if the layer is there. `share` has what is sent to a channel
    /// of this node handed to the sink, and says which channel. The layer forgets memberships after `expiry`; this one is renewed in time.
    pub async fn start(
        layer: Arc<dyn ChannelLayer>,
        presence: &Arc<Presence>,
        expiry: Duration,
        share: impl FnOnce(Weak<dyn Sink>) -> Channel,
    ) -> Arc<Self> {
        let leases = Arc::new_cyclic(|leases: &Weak<Self>| {
            let sink: Weak<dyn Sink> = leases.clone();
            let me = share(sink);
            let group = "confab.leases".parse().expect("a constant"); // never: letters and a dot
            let (table, told, wake, unsent, follower) = Default::default();
            Self { layer, presence: Arc::clone(presence), me, group, table, told, wake, unsent, follower }
        });
        let listening = tokio::time::timeout(PATIENCE, leases.listen()).await;
        let first = if matches!(listening, Ok(true)) { expiry / 3 } else { AGAIN };
        tokio::spawn(keep(Arc::downgrade(&leases), Arc::clone(&leases.wake), first, expiry / 3));
        leases
    }

    /// Notes that something is open for a person. Where they are signed out it ends at once.
    pub fn grant(self: &Arc<Self>, person: &Person, holder: &Arc<impl Holder + 'static>) -> Lease {
        // Written out, since a weak reference is not turned into one to a trait by itself.
        let weak: Weak<dyn Holder> = {
            let weak: Weak<_> = Arc::downgrade(holder);
            weak
        };
        let mut table = self.table.lock();
        table.last += 1;
        let number = table.last;
        // The key is one text for all that is open to a person.
        let known = table.by_person.get_key_value(person.id.as_str()).map(|(id, _)| Arc::clone(id));
        let id = known.unwrap_or_else(|| person.id.as_str().into());
        table.by_person.entry(Arc::clone(&id)).or_insert_with(|| Vec::with_capacity(1)).push((number, weak));
        let is_over = table.signed_out.contains(&id);
        drop(table);
        if is_over {
            holder.take_back(&Taken::Everything);
        }
        Lease { leases: Arc::clone(self), person: id, number }
    }

    /// Whether whoever is this person was signed out, and can be so no more.
    pub fn is_over(&self, person: &Person) -> bool {
        self.table.lock().signed_out.contains(person.id.as_str())
    }

    /// Takes something back from a person: on this node when this resolves, and on the others as soon as the layer has told them.
    pub async fn take_back(&self, person: &str, taken: Taken) {
        self.end(person, &taken);
        self.tell_all(to_layer(person, &taken)).await;
    }

    /// Has the noun of every other node hear of something, as soon as the layer has told them.
    pub async fn announce(&self, event: Event) {
        self.tell_all(event).await;
    }

    /// Who hears what is announced on other nodes; there is one.
    pub fn follow(&self, follower: Weak<dyn Follower>) {
        // It is set once, when the server starts.
        let _ = self.follower.set(follower);
    }

    /// Ends a topic on this node for all who do not keep it.
    pub fn end_for(&self, topic: &Topic, keeps: impl Fn(&str) -> bool) {
        let people: Vec<_> = self.table.lock().by_person.keys().map(Arc::clone).collect();
        let taken = Taken::Topic(topic.clone());
        for person in people.iter().filter(|person| !keeps(person)) {
            self.end(person, &taken);
        }
    }

    /// Tells the other nodes, and keeps it to tell it again.
    async fn tell_all(&self, event: Event) {
        let event = event.with("node", self.me.as_str());
        {
            let mut told = self.told.lock();
            if told.events.len() == MOST_TOLD {
                told.events.pop_front();
            }
            told.events.push_back((Instant::now(), event.clone()));
        }
        if !self.tell(event).await {
            self.tell_again();
        }
    }

    fn tell_again(&self) {
        self.told.lock().again = true;
        self.wake.notify_one();
    }

    /// What is open on this node ends.
    fn end(&self, person: &str, taken: &Taken) {
        let holders: Vec<_> = {
            let mut table = self.table.lock();
            if *taken == Taken::Everything {
                table.sign_out(person);
            }
            table.by_person.get(person).into_iter().flatten().filter_map(|(_, holder)| holder.upgrade()).collect()
        };
        for holder in holders {
            holder.take_back(taken);
        }
        match taken {
            Taken::Everything => self.presence.expel(person, None),
            Taken::Topic(Topic::Room(room)) => self.presence.expel(person, Some(room)),
            Taken::Topic(_) => {}
        }
    }

    /// Tells the other nodes; says whether the layer took it.
    async fn tell(&self, event: Event) -> bool {
        let sent = self.layer.group_send(&self.group, event).await;
        let news = self.unsent.is_news(sent.is_err());
        match &sent {
            Ok(()) if news => info!("other nodes can be told again what is taken back"),
            Ok(()) => {}
            Err(cause) if news => warn!(%cause, "other nodes cannot be told what is taken back; they are told again"),
            Err(cause) => debug!(%cause, "other nodes still cannot be told what is taken back"),
        }
        sent.is_ok()
    }

    /// Has the layer bring what other nodes tell; says whether it does.
    async fn listen(&self) -> bool {
        let listening = self.layer.group_add(&self.group, &self.me).await;
        if let Err(cause) = &listening {
            debug!(%cause, "what other nodes take back cannot be heard yet");
        }
        listening.is_ok()
    }

    /// Tells once more what may not have come to the other nodes; says whether it has now. To hear of it twice is no harm.
    async fn tell_rest(&self) -> bool {
        let events: Vec<_> = {
            let mut told = self.told.lock();
            told.events.retain(|(at, _)| at.elapsed() < TOLD_FOR);
            if !std::mem::take(&mut told.again) {
                return true;
            }
            told.events.iter().map(|(_, event)| event.clone()).collect()
        };
        for event in events {
            if !self.tell(event).await {
                self.told.lock().again = true;
                return false;
            }
        }
        true
    }
}

/// Renews the place of this node in the group of all nodes, and tells again what may be lost, as long as there is anything to take back.
async fn keep(leases: Weak<Leases>, wake: Arc<Notify>, first: Duration, every: Duration) {
    let mut pause = first;
    loop {
        // An error is the end of the time: that is what is waited for.
        drop(tokio::time::timeout(pause, wake.notified()).await);
        let Some(leases) = leases.upgrade() else { return };
        pause = if leases.listen().await && leases.tell_rest().await { every } else { AGAIN };
    }
}

fn to_layer(person: &str, taken: &Taken) -> Event {
    let event = Event::new(KIND).with("person", person);
    match taken {
        Taken::Everything => event,
        Taken::Topic(topic) => event.with("topic", topic.to_string()),
    }
}

/// From whom what is taken; none where the event says no such thing.
fn from_layer(event: &Event) -> Option<(&str, Taken)> {
    let person = event.get_str("person").filter(|id| event.kind() == KIND && (1..=LONGEST_ID).contains(&id.len()))?;
    let taken = match event.get("topic") {
        Some(_) => Taken::Topic(event.get_str("topic")?.parse().ok()?),
        None => Taken::Everything,
    };
    Some((person, taken))
}

impl Table {
    fn sign_out(&mut self, person: &str) {
        let id: Arc<str> = person.into();
        if !self.signed_out.insert(Arc::clone(&id)) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(first) = self.order.pop_front()
        {
            self.signed_out.remove(&first);
        }
    }
}

impl Sink for Leases {
    fn deliver(&self, _: &str, event: &Arc<Event>) {
        if event.get_str("node") == Some(self.me.as_str()) {
            return;
        }
        let follower = || self.follower.get().and_then(Weak::upgrade);
        match from_layer(event) {
            Some((person, taken)) => self.end(person, &taken),
            None if event.kind() == KIND => debug!("something arrived that takes nothing back"),
            None => _ = follower().map(|follower| follower.hear(event)),
        }
    }

    fn gap(&self) {
        self.tell_again();
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.leases.table.lock();
        if let Some(holders) = table.by_person.get_mut(&self.person) {
            holders.retain(|(number, _)| *number != self.number);
            if holders.is_empty() {
                table.by_person.remove(&self.person);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{
        layers::{MemoryLayer, MemoryOptions},
        presence::Times,
    };

    /// Remembers what it lost.
    #[derive(Default)]
    struct Holds(Mutex<Vec<Taken>>);

    impl Holder for Holds {
        fn take_back(&self, taken: &Taken) {
            self.0.lock().push(taken.clone());
        }
    }

    fn person(id: &str) -> Person {
        Person { id: id.to_owned(), name: "Ann".to_owned() }
    }

    async fn leases() -> Arc<Leases> {
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let presence = Presence::start(Arc::clone(&layer), Times::default(), |_| "node!p0".parse().unwrap());
        Leases::start(layer, &presence, Duration::from_hours(1), |_| "node!l0".parse().unwrap()).await
    }

    #[tokio::test]
    async fn who_holds_something_of_a_person_loses_it_and_nobody_else_does() {
        let leases = leases().await;
        let [one, other, gone, bobs] = [(); 4].map(|()| Arc::new(Holds::default()));
        let kept = [leases.grant(&person("g1"), &one), leases.grant(&person("g1"), &other), leases.grant(&person("g2"), &bobs)];
        drop(leases.grant(&person("g1"), &gone));
        let room = Taken::Topic("room/a".parse().unwrap());
        leases.take_back("g1", room.clone()).await;
        leases.take_back("g1", Taken::Everything).await;
        for holds in [one, other] {
            assert_eq!(*holds.0.lock(), [room.clone(), Taken::Everything]);
        }
        assert!(gone.0.lock().is_empty() && bobs.0.lock().is_empty());
        assert!(leases.is_over(&person("g1")) && !leases.is_over(&person("g2")));
        let late = Arc::new(Holds::default());
        let lease = leases.grant(&person("g1"), &late);
        assert_eq!(*late.0.lock(), [Taken::Everything], "what was about to be opened");
        drop((kept, lease));
        assert!(leases.table.lock().by_person.is_empty(), "all is given back");
    }

    #[tokio::test]
    async fn of_those_who_are_signed_out_the_last_are_remembered() {
        let leases = leases().await;
        for n in 0..=REMEMBERED {
            leases.end(&n.to_string(), &Taken::Everything);
        }
        assert!(!leases.is_over(&person("0")) && leases.is_over(&person("1")));
        assert_eq!(leases.table.lock().signed_out.len(), REMEMBERED);
    }

    #[test]
    fn what_goes_by_the_layer_is_read_as_it_was() {
        for taken in [Taken::Everything, Taken::Topic("room/a".parse().unwrap())] {
            let event = to_layer("g1", &taken);
            assert_eq!(from_layer(&event), Some(("g1", taken)));
        }
        let event = |topic: &str| Event::new(KIND).with("person", "g1").with("topic", topic);
        assert_eq!(from_layer(&event("nothing/at all")), None, "it takes not more than it says");
        assert_eq!(from_layer(&Event::new("chat.message").with("person", "g1")), None);
    }
}
