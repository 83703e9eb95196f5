//! What is open to people, and how it is taken back.
//!
//! ```text
//!   session, plain client, file on its way ── grant ──► Leases: by person, who holds something open
//!   Leases::take_back, end_for ──► Holder::take_back, on this node at once
//!          └──► ChannelLayer::group_send, the group `confab.leases` ──► the same on every other node
//! ```
//!
//! Opening a topic was the permission, and nobody asks again for each event or act. So whoever keeps something open for a person is a
//! [`Holder`] and has a [`Lease`] as long as it does. What is taken back ends where it is held: the fan-out knows nothing of leases, and
//! costs nothing more. What is not open any more is opened by nobody whom the noun's own rules refuse.
//!
//! Where it is a rule that has changed, and not what one person has, a node finds out itself whom that concerns: a noun
//! [announces](Leases::announce) the change, the noun of every other node [hears](Follower) of it, and each
//! [ends](Leases::end_for) what is open to whoever may not have it any more. That nobody may is a rule that needs no noun to
//! [be told](Leases::take_from_all).
//!
//! Who has lost everything is signed out: the secret that made a guest this person is worth nothing from then on. So is a session that has
//! ended; what else its owner has open by other sessions goes on. Of both a node remembers the last, in memory, as guests have no other
//! place. A node that starts has not heard of them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::Instant};
use tracing::{debug, info, warn};

use super::{
    layers::{Channel, ChannelLayer, Event, GroupName, Sink},
    presence::Presence,
    telemetry::Fault,
    visitors::Subnet,
};
use crate::{
    locales::problems as say,
    wire::{Group, Topic},
};

/// The type of what nodes tell each other.
const KIND: &str = "confab.taken";
/// How many guests and sessions that are over are remembered.
const REMEMBERED: usize = 10_000;
/// For how long other nodes are told again of what the layer did not take, or may have lost,
const TOLD_FOR: Duration = Duration::from_mins(1);
/// of how much of it,
const MOST_TOLD: usize = 1_000;
/// and how often, as long as the layer takes nothing.
const AGAIN: Duration = Duration::from_secs(1);
/// A layer that is away when the server starts is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest id of a person or a session that is taken from another node, in bytes.
const LONGEST_ID: usize = 64;

/// What somebody loses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All that is open to them: they are signed out.
    Everything,
    Topic(Topic, Why),
}

/// Why somebody loses a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Why {
    /// That is nobody's business, or not known.
    #[default]
    Unsaid,
    Removed,
    Banned,
    /// They have left it.
    Left,
    /// It is for its members alone now.
    Closed,
    Deleted,
}

impl Why {
    const ALL: [Self; 6] = [Self::Unsaid, Self::Removed, Self::Banned, Self::Left, Self::Closed, Self::Deleted];

    /// Between nodes.
    fn as_str(self) -> &'static str {
        match self {
            Self::Unsaid => "",
            Self::Removed => "removed",
            Self::Banned => "banned",
            Self::Left => "left",
            Self::Closed => "closed",
            Self::Deleted => "deleted",
        }
    }

    /// What they are told, who lose a topic.
    pub fn said(self, topic: &Topic) -> String {
        let said = match self {
            Self::Unsaid => return say::not_open_any_more(topic),
            Self::Removed => say::removed(),
            Self::Banned => say::banned(),
            Self::Left => say::left(),
            Self::Closed => say::closed(),
            Self::Deleted => say::deleted(),
        };
        said.to_owned()
    }
}

/// What is taken back, and from whom.
#[derive(Debug, PartialEq, Eq)]
struct Loss<'l> {
    person: &'l str,
    /// Only what is open by this session of theirs.
    session: Option<&'l str>,
    taken: Taken,
}

/// What another node says.
#[derive(Debug, PartialEq, Eq)]
enum Said<'l> {
    Lost(Loss<'l>),
    /// Nobody may have this topic.
    Ended(Topic),
}

/// Something that is open for a person.
pub trait Holder: Send + Sync {
    /// Ends what is taken back: when this returns nothing more of it goes out, also of what waits, and nothing more is done in it.
    fn take_back(&self, taken: &Taken);

    /// What may be done in a topic that stays open may be another thing now.
    fn stir(&self, _topic: &Topic) {}

    /// What it is, for those who administer the server.
    fn about(&self) -> About;

    /// Whatever stays open, what may be done in it may be another thing now.
    fn stir_all(&self) {}

    /// Ends all of it, though nothing is taken back from the person.
    fn close(&self, why: Closed);
}

/// Why something is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// An administrator has closed this one.
    ByHand,
    /// Guests at its address are kept out.
    KeptOut,
}

impl Closed {
    /// What whoever has it open is told.
    pub fn said(self) -> &'static str {
        match self {
            Self::ByHand => say::closed_by_administrator(),
            Self::KeptOut => say::kept_out_for_a_while(),
        }
    }
}

/// What somebody has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// A word for it.
    pub kind: &'static str,
    /// What the person was called when it was opened.
    pub name: String,
    /// When that was, in milliseconds since 1970.
    pub since: i64,
    /// From which address, where that is not the server's own machine.
    pub address: Option<Subnet>,
    /// How many topics are open.
    pub topics: usize,
}

/// The same with whose it is, as nodes tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// By which it is [closed](Leases::close).
    pub number: u64,
    pub person: String,
    pub name: String,
    pub kind: String,
    pub since: i64,
    pub address: Option<String>,
    pub topics: usize,
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
    followers: RwLock<Vec<Weak<dyn Follower>>>,
}

/// What other nodes were told last.
#[derive(Default)]
struct Told {
    events: VecDeque<(Instant, Event)>,
    /// Some of it may not have come to them.
    again: bool,
}

/// Who holds something of a person.
struct Held {
    /// Of its lease.
    number: u64,
    /// By what the person is known: their session, or their id.
    known_by: Arc<str>,
    holder: Weak<dyn Holder>,
}

#[derive(Default)]
struct Table {
    by_person: HashMap<Arc<str>, Vec<Held>>,
    last: u64,
    /// The guests and sessions that are over, by what they were known.
    over: HashSet<Arc<str>>,
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
            let (table, told, wake, unsent, followers) = Default::default();
            Self { layer, presence: Arc::clone(presence), me, group, table, told, wake, unsent, followers }
        });
        let listening = tokio::time::timeout(PATIENCE, leases.listen()).await;
        let first = if matches!(listening, Ok(true)) { expiry / 3 } else { AGAIN };
        tokio::spawn(keep(Arc::downgrade(&leases), Arc::clone(&leases.wake), first, expiry / 3));
        leases
    }

    /// Notes that something is open for somebody, by a session of theirs if they have one. Where they are signed out it ends at once.
    pub fn grant(self: &Arc<Self>, person: &str, session: Option<&Arc<str>>, holder: &Arc<impl Holder + 'static>) -> Lease {
        // Written out, since a weak reference is not turned into one to a trait by itself.
        let weak: Weak<dyn Holder> = {
            let weak: Weak<_> = Arc::downgrade(holder);
            weak
        };
        let mut table = self.table.lock();
        table.last += 1;
        let number = table.last;
        // The key is one text for all that is open to a person.
        let known = table.by_person.get_key_value(person).map(|(id, _)| Arc::clone(id));
        let id = known.unwrap_or_else(|| person.into());
        let known_by = Arc::clone(session.unwrap_or(&id));
        let is_over = table.over.contains(&known_by);
        let held = Held { number, known_by, holder: weak };
        table.by_person.entry(Arc::clone(&id)).or_insert_with(|| Vec::with_capacity(1)).push(held);
        drop(table);
        if is_over {
            holder.take_back(&Taken::Everything);
        }
        Lease { leases: Arc::clone(self), person: id, number }
    }

    /// Whether whoever is known by this session or id was signed out, and can be so no more.
    pub fn is_over(&self, known_by: &str) -> bool {
        self.table.lock().over.contains(known_by)
    }

    /// Whether something is open on this node by what a person is known by.
    pub fn holds(&self, person: &str, known_by: &str) -> bool {
        let table = self.table.lock();
        table.by_person.get(person).is_some_and(|held| held.iter().any(|held| *held.known_by == *known_by))
    }

    /// Takes something back from a person: on this node when this resolves, and on the others as soon as the layer has told them.
    pub async fn take_back(&self, person: &str, taken: Taken) {
        self.take(Loss { person, session: None, taken }).await;
    }

    /// Takes back all that is open to a person by one of their sessions, in the same way.
    pub async fn end_session(&self, person: &str, session: &str) {
        self.take(Loss { person, session: Some(session), taken: Taken::Everything }).await;
    }

    /// Takes a topic back from everybody, in the same way, as one that is there no more.
    pub async fn take_from_all(&self, topic: Topic) {
        self.end_for(&topic, Why::Unsaid, |_| false);
        self.tell_all(to_layer(&Said::Ended(topic))).await;
    }

    async fn take(&self, loss: Loss<'_>) {
        self.end(&loss);
        self.tell_all(to_layer(&Said::Lost(loss))).await;
    }

    /// What is open on this node, of one person or of all: the first of it, and how much there is.
    pub fn shown(&self, of: Option<&str>, most: usize) -> (Vec<Shown>, usize) {
        // What each says of itself it says outside of the lock.
        let held: Vec<_> = {
            let table = self.table.lock();
            let all = |(person, held): (&Arc<str>, &Vec<Held>)| {
                held.iter().map(|held| (Arc::clone(person), held.number, held.holder.clone())).collect::<Vec<_>>()
            };
            match of {
                Some(person) => table.by_person.get_key_value(person).map(all).unwrap_or_default(),
                None => table.by_person.iter().flat_map(all).collect(),
            }
        };
        let count = held.len();
        let mut shown: Vec<_> = held
            .into_iter()
            .filter_map(|(person, number, holder)| {
                let About { kind, name, since, address, topics } = holder.upgrade()?.about();
                let address = address.map(|address| address.to_string());
                Some(Shown { number, person: person.to_string(), name, kind: kind.to_owned(), since, address, topics })
            })
            .collect();
        shown.sort_by_key(|shown| (shown.since, shown.number));
        shown.truncate(most);
        (shown, count)
    }

    /// Closes something that is open on this node. Says whether it was there.
    pub fn close(&self, number: u64) -> bool {
        let holder = {
            let table = self.table.lock();
            let held = table.by_person.values().flatten().find(|held| held.number == number);
            held.and_then(|held| held.holder.upgrade())
        };
        holder.is_some_and(|holder| {
            holder.close(Closed::ByHand);
            true
        })
    }

    /// Ends what guests at an address have open on this node: in a room, or all of it; and what people with accounts have, where that is meant.
    pub fn keep_out(&self, address: Subnet, room: Option<&Group>, with_accounts: bool) {
        let held: Vec<_> = {
            let table = self.table.lock();
            let all = table.by_person.iter().flat_map(|(person, held)| held.iter().map(move |held| (person, held)));
            // A guest is known by nothing else than their id.
            let is_meant = |(person, held): &(&Arc<str>, &Held)| with_accounts || *held.known_by == ***person;
            all.filter(is_meant).filter_map(|(_, held)| held.holder.upgrade()).collect()
        };
        let taken = room.map(|room| Taken::Topic(Topic::Room(room.clone()), Why::Banned));
        for holder in held.iter().filter(|holder| holder.about().address == Some(address)) {
            match &taken {
                Some(taken) => holder.take_back(taken),
                None => holder.close(Closed::KeptOut),
            }
        }
    }

    /// Has everybody on this node hear that what they may do may be another thing, wherever they are.
    pub fn stir_all(&self) {
        let holders: Vec<_> = {
            let table = self.table.lock();
            table.by_person.values().flatten().filter_map(|held| held.holder.upgrade()).collect()
        };
        for holder in &holders {
            holder.stir_all();
        }
    }

    /// What this node is called in the layer.
    pub fn node(&self) -> &str {
        node(&self.me)
    }

    /// Has every other node hear of something now, or not at all. Says whether the layer took it.
    pub async fn ask(&self, event: Event) -> bool {
        let sent = self.layer.group_send(&self.group, event.with("node", self.me.as_str())).await;
        if let Err(cause) = &sent {
            debug!(%cause, "other nodes cannot be asked");
        }
        sent.is_ok()
    }

    /// The same of the one that has asked, by the `node` of its question.
    pub async fn answer(&self, asker: &Channel, event: Event) {
        if let Err(cause) = self.layer.send(asker, event.with("node", self.me.as_str())).await {
            debug!(%cause, "another node cannot be answered");
        }
    }

    /// Has the noun of every other node hear of something, as soon as the layer has told them.
    pub async fn announce(&self, event: Event) {
        self.tell_all(event).await;
    }

    /// The same of what is not told again, where the layer has lost it.
    pub async fn mention(&self, event: Event) {
        self.tell(event.with("node", self.me.as_str())).await;
    }

    /// Who hears what is announced, asked and answered by other nodes. Each looks whether it is for them.
    pub fn follow(&self, follower: Weak<dyn Follower>) {
        self.followers.write().push(follower);
    }

    /// Has those who hold a topic on this node hear that what they may do there may be another thing: all of them, or those of a person.
    pub fn stir(&self, person: Option<&str>, topic: &Topic) {
        let of = |all: &Vec<Held>| all.iter().filter_map(|held| held.holder.upgrade()).collect::<Vec<_>>();
        let holders: Vec<_> = {
            let table = self.table.lock();
            match person {
                Some(person) => table.by_person.get(person).map(of).unwrap_or_default(),
                None => table.by_person.values().flat_map(of).collect(),
            }
        };
        for holder in &holders {
            holder.stir(topic);
        }
    }

    /// Ends a topic on this node for all who do not keep it.
    pub fn end_for(&self, topic: &Topic, why: Why, keeps: impl Fn(&str) -> bool) {
        let people: Vec<_> = self.table.lock().by_person.keys().map(Arc::clone).collect();
        let taken = Taken::Topic(topic.clone(), why);
        for person in people.iter().filter(|person| !keeps(person)) {
            self.end(&Loss { person, session: None, taken: taken.clone() });
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
    fn end(&self, Loss { person, session, taken }: &Loss<'_>) {
        let holders: Vec<_> = {
            let mut table = self.table.lock();
            if *taken == Taken::Everything {
                table.is_over(session.unwrap_or(person));
            }
            let is_meant = |held: &&Held| session.is_none_or(|session| *session == *held.known_by);
            let held = table.by_person.get(*person).into_iter().flatten();
            held.filter(is_meant).filter_map(|held| held.holder.upgrade()).collect()
        };
        for holder in holders {
            holder.take_back(taken);
        }
        match taken {
            Taken::Everything => self.presence.expel(person, None),
            Taken::Topic(Topic::Room(room), _) => self.presence.expel(person, Some(room)),
            Taken::Topic(..) => {}
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

/// What a node is called whose channel this is.
fn node(channel: &Channel) -> &str {
    channel.as_str().split('!').next().unwrap_or_default()
}

fn to_layer(said: &Said<'_>) -> Event {
    let event = Event::new(KIND);
    match said {
        Said::Ended(topic) => event.with("topic", topic.to_string()),
        Said::Lost(Loss { person, session, taken }) => {
            let event = event.with("person", *person);
            let event = match session {
                Some(session) => event.with("session", *session),
                None => event,
            };
            match taken {
                Taken::Everything => event,
                Taken::Topic(topic, Why::Unsaid) => event.with("topic", topic.to_string()),
                Taken::Topic(topic, why) => event.with("topic", topic.to_string()).with("why", why.as_str()),
            }
        }
    }
}

/// What another node says; none where the event says no such thing.
fn from_layer(event: &Event) -> Option<Said<'_>> {
    if event.kind() != KIND {
        return None;
    }
    let id = |key| match event.get(key) {
        Some(_) => event.get_str(key).filter(|id| (1..=LONGEST_ID).contains(&id.len())).map(Some),
        None => Some(None),
    };
    let (person, session) = (id("person")?, id("session")?);
    let topic = match event.get("topic") {
        Some(_) => Some(event.get_str("topic")?.parse().ok()?),
        None => None,
    };
    match (person, topic) {
        (Some(person), topic) => {
            // A later version may have more of them.
            let why = event.get_str("why").and_then(|why| Why::ALL.into_iter().find(|known| known.as_str() == why));
            let taken = topic.map_or(Taken::Everything, |topic| Taken::Topic(topic, why.unwrap_or_default()));
            Some(Said::Lost(Loss { person, session, taken }))
        }
        (None, Some(topic)) => Some(Said::Ended(topic)),
        // Nothing signs everybody out.
        (None, None) => None,
    }
}

impl Table {
    fn is_over(&mut self, known_by: &str) {
        let known_by: Arc<str> = known_by.into();
        if !self.over.insert(Arc::clone(&known_by)) {
            return;
        }
        self.order.push_back(known_by);
        if self.order.len() > REMEMBERED
            && let Some(first) = self.order.pop_front()
        {
            self.over.remove(&first);
        }
    }
}

impl Sink for Leases {
    fn deliver(&self, _: &str, event: &Arc<Event>) {
        if event.get_str("node") == Some(self.me.as_str()) {
            return;
        }
        let followers = || self.followers.read().iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        match from_layer(event) {
            Some(Said::Lost(loss)) => self.end(&loss),
            Some(Said::Ended(topic)) => self.end_for(&topic, Why::Unsaid, |_| false),
            None if event.kind() == KIND => debug!("something arrived that takes nothing back"),
            None => followers().into_iter().for_each(|follower| follower.hear(event)),
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
            holders.retain(|held| held.number != self.number);
            if holders.is_empty() {
                table.by_person.remove(&self.person);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        server::{
            accounts::{SignedIn, Who},
            layers::{MemoryLayer, MemoryOptions},
            presence::Times,
        },
        wire::Person,
    };

    /// Remembers what it lost.
    #[derive(Default)]
    struct Holds(Mutex<Vec<Taken>>);

    impl Holder for Holds {
        fn take_back(&self, taken: &Taken) {
            self.0.lock().push(taken.clone());
        }

        fn about(&self) -> About {
            About { kind: "test", name: "Ann".to_owned(), since: 0, address: None, topics: self.0.lock().len() }
        }

        fn close(&self, _: Closed) {
            self.0.lock().push(Taken::Everything);
        }
    }

    /// Somebody who is signed in by this session.
    fn who(id: &str, session: &str) -> Who {
        let person = Person::new(id, "Ann");
        let handle = "ann".parse().unwrap();
        Who::Account(Arc::new(SignedIn {
            person,
            handle,
            session: session.into(),
            is_administrator: false,
            lacks_second_factor: false,
            elsewhere: None,
            rooms: Arc::default(),
            language: None,
        }))
    }

    fn grant(leases: &Arc<Leases>, who: &Who, holds: &Arc<Holds>) -> Lease {
        leases.grant(&who.person().id, who.session(), holds)
    }

    async fn leases() -> Arc<Leases> {
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let presence = Presence::start(Arc::clone(&layer), Times::default(), Arc::default(), |_| "node!p0".parse().unwrap());
        Leases::start(layer, &presence, Duration::from_hours(1), |_| "node!l0".parse().unwrap()).await
    }

    #[tokio::test]
    async fn who_holds_something_of_a_person_loses_it_and_nobody_else_does() {
        let leases = leases().await;
        let [one, other, gone, bobs] = [(); 4].map(|()| Arc::new(Holds::default()));
        let (ann, bob) = (Who::guest("g1", "Ann"), Who::guest("g2", "Bob"));
        let kept = [grant(&leases, &ann, &one), grant(&leases, &ann, &other), grant(&leases, &bob, &bobs)];
        drop(grant(&leases, &ann, &gone));
        let room = Taken::Topic("room/a".parse().unwrap(), Why::Banned);
        leases.take_back("g1", room.clone()).await;
        leases.take_back("g1", Taken::Everything).await;
        leases.take_from_all("room/b".parse().unwrap()).await;
        let from_all = Taken::Topic("room/b".parse().unwrap(), Why::Unsaid);
        for holds in [one, other] {
            assert_eq!(*holds.0.lock(), [room.clone(), Taken::Everything, from_all.clone()]);
        }
        assert!(gone.0.lock().is_empty());
        assert_eq!(*bobs.0.lock(), [from_all]);
        assert!(leases.is_over("g1") && !leases.is_over("g2"));
        let late = Arc::new(Holds::default());
        let lease = grant(&leases, &ann, &late);
        assert_eq!(*late.0.lock(), [Taken::Everything], "what was about to be opened");
        drop((kept, lease));
        assert!(leases.table.lock().by_person.is_empty(), "all is given back");
    }

    #[tokio::test]
    async fn of_several_sessions_the_one_ends_that_is_meant() {
        let leases = leases().await;
        let [phone, desk, bobs] = [(); 3].map(|()| Arc::new(Holds::default()));
        let (ann, bob) = (["phone", "desk"].map(|session| who("a1", session)), who("a2", "bobs"));
        let _kept = [grant(&leases, &ann[0], &phone), grant(&leases, &ann[1], &desk), grant(&leases, &bob, &bobs)];
        // Of another person's it is none.
        leases.end_session("a2", "desk").await;
        leases.end_session("a1", "phone").await;
        assert_eq!(*phone.0.lock(), [Taken::Everything]);
        assert!(desk.0.lock().is_empty() && bobs.0.lock().is_empty());
        assert!(leases.is_over("phone") && !leases.is_over("a1"));
        let late = Arc::new(Holds::default());
        let _lease = grant(&leases, &ann[0], &late);
        assert_eq!(*late.0.lock(), [Taken::Everything], "what was about to be opened");
    }

    #[tokio::test]
    async fn what_is_open_is_shown_and_closed_one_by_one() {
        let leases = leases().await;
        let [phone, desk, bobs] = [(); 3].map(|()| Arc::new(Holds::default()));
        let (ann, bob) = (["phone", "desk"].map(|session| who("a1", session)), who("a2", "bobs"));
        let _kept = [grant(&leases, &ann[0], &phone), grant(&leases, &ann[1], &desk), grant(&leases, &bob, &bobs)];
        let (all, count) = leases.shown(None, 2);
        assert_eq!((all.len(), count), (2, 3), "of many the first");
        let (of_ann, _) = leases.shown(Some("a1"), 9);
        let numbers: Vec<_> = of_ann.iter().map(|shown| shown.number).collect();
        assert_eq!(of_ann.iter().map(|shown| (&*shown.person, &*shown.kind)).collect::<Vec<_>>(), [("a1", "test"); 2]);
        assert!(leases.close(numbers[1]) && !leases.close(99));
        assert!(phone.0.lock().is_empty() && bobs.0.lock().is_empty());
        assert_eq!(*desk.0.lock(), [Taken::Everything]);
        assert!(!leases.is_over("desk"), "nothing is taken back");
        assert_eq!(leases.shown(Some("a3"), 9), (Vec::new(), 0));
    }

    #[tokio::test]
    async fn of_those_who_are_signed_out_the_last_are_remembered() {
        let leases = leases().await;
        for n in 0..=REMEMBERED {
            leases.end(&Loss { person: &n.to_string(), session: None, taken: Taken::Everything });
        }
        assert!(!leases.is_over("0") && leases.is_over("1"));
        assert_eq!(leases.table.lock().over.len(), REMEMBERED);
    }

    #[test]
    fn what_goes_by_the_layer_is_read_as_it_was() {
        let (room, everything) = (|| Taken::Topic("room/a".parse().unwrap(), Why::Banned), || Taken::Everything);
        let lost = |session, taken| Said::Lost(Loss { person: "g1", session, taken });
        let ended = Said::Ended("room/a".parse().unwrap());
        for said in [lost(None, everything()), lost(Some("s1"), everything()), lost(None, room()), ended] {
            let event = to_layer(&said);
            assert_eq!(from_layer(&event), Some(said));
        }
        assert_eq!(from_layer(&Event::new(KIND)), None, "nothing signs everybody out");
        let event = |topic: &str| Event::new(KIND).with("person", "g1").with("topic", topic);
        assert_eq!(from_layer(&event("nothing/at all")), None, "it takes not more than it says");
        assert_eq!(from_layer(&Event::new("chat.message").with("person", "g1")), None);
    }
}
