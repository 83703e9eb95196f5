//! Who is in which room, over all nodes, and who is writing something.
//!
//! ```text
//!   session   ── enter, Presence::typing ──► Roster (this node's view: pure state)
//!      ▲                                       │ ▲
//!      │ Audience::tell                        │ │ Letter
//!      └─ crier: once a second a room ◄────────┤ │
//!                poster: once a second ◄───────┘ │
//!                   │                            │
//!                   └──► ChannelLayer, the group `confab.people` and nodes' channels ──► Sink::deliver
//! ```
//!
//! It knows layers and the wire, neither sessions nor sockets: whoever joins a room gives with it an [`Audience`] that
//! reaches the members on this node. Messages do not pass through here, so presence costs them nothing.
//!
//! A person is there as long as a connection is, and for [`Times::grace`] after: a reload, another node or a deploy of one node after
//! the other is no event. A server that is alone knows nobody when it starts: the number climbs as people come back. A
//! node that stops says so, and its people are kept as long; one that says nothing for [`Times::silence`] is forgotten with its
//! people. As long as the layer is away, each node goes on with those of its own; when it is back, they tell each other where
//! they are.

mod letters;
mod roster;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tracing::{debug, info, warn};

use self::{
    letters::{Known, Letter},
    roster::{Roster, To},
};
use super::{
    layers::{Channel, ChannelLayer, Event, GroupName, LayerError, Sink},
    profiles::Profiles,
    telemetry::Fault,
};
use crate::wire::{self, Group, Members, Person, Timestamp, Typist};

/// What takes time here. The default is what the server promises; tests have less of it.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Members of a room, and other nodes, are told of changes at most once in this time.
    pub batch: Duration,
    /// So long somebody whose last connection has gone is still there.
    pub grace: Duration,
    /// How often a node says that it is there.
    pub beat: Duration,
    /// A node that says nothing for so long is gone.
    pub silence: Duration,
    /// A person is said to be writing in a room at most once in this time.
    pub typing: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            batch: Duration::from_secs(1),
            grace: Duration::from_secs(10),
            beat: Duration::from_secs(15),
            silence: Duration::from_secs(45),
            typing: Duration::from_secs(3),
        }
    }
}

/// The members of a room on this node, those of them that read events.
pub trait Audience: Send + Sync {
    /// Hands them an event that is not kept. Must not block.
    fn tell(self: Arc<Self>, event: wire::Event);
}

/// The people in the rooms of all nodes.
pub struct Presence {
    layer: Arc<dyn ChannelLayer>,
    /// The channel under which this node is in the group of all nodes.
    me: Channel,
    group: GroupName,
    state: Mutex<State>,
    /// Nodes tell each other ids and names alone.
    profiles: Arc<Profiles>,
    /// Wake the two tasks when there is something to do earlier than they know.
    crier: Arc<Notify>,
    poster: Arc<Notify>,
    /// Letters could not be sent.
    unsent: Fault,
}

struct State {
    roster: Roster,
    /// Of the rooms with people on this node.
    audiences: HashMap<Group, Weak<dyn Audience>>,
    /// The node has said goodbye and writes nothing any more.
    stopped: bool,
}

/// Being in a room with one connection; ends when it is dropped.
pub struct Attendance {
    presence: Arc<Presence>,
    room: Group,
    id: Arc<str>,
}

/// How many there are, over all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headcount {
    /// People, each as often as there are rooms that the person is in.
    pub people: usize,
    /// Nodes that are known, this one among them.
    pub nodes: usize,
}

impl Sink for Presence {
    fn deliver(&self, _: &str, event: &Arc<Event>) {
        self.receive(event);
    }

    fn gap(&self) {
        self.with(|state| state.roster.doubt(Instant::now()));
    }
}

impl Presence {
    /// The other nodes hear of this one, and say who is with them. `share` has what is sent to a channel of this node handed to
    /// the sink, and says which channel.
    pub fn start(
        layer: Arc<dyn ChannelLayer>,
        times: Times,
        profiles: Arc<Profiles>,
        share: impl FnOnce(Weak<dyn Sink>) -> Channel,
    ) -> Arc<Self> {
        let presence = Arc::new_cyclic(|presence: &Weak<Self>| {
            let sink: Weak<dyn Sink> = presence.clone();
            let me = share(sink);
            let group = "confab.people".parse().expect("a constant"); // never: letters and a dot
            let roster = Roster::new(me.clone(), times, Instant::now());
            let state = Mutex::new(State { roster, audiences: HashMap::new(), stopped: false });
            let (poster, unsent) = Default::default();
            // Whoever is seen otherwise is told of as soon as that is known.
            let crier = profiles.wake();
            Self { layer, me, group, state, profiles, crier, poster, unsent }
        });
        tokio::spawn(cry(Arc::downgrade(&presence), Arc::clone(&presence.crier)));
        tokio::spawn(post(Arc::downgrade(&presence), Arc::clone(&presence.poster), times));
        presence
    }

    /// A connection of a person joins a room on this node. `audience` reaches all members of the room on this node from now on.
    pub fn enter(self: &Arc<Self>, room: &Group, person: &Person, audience: Weak<dyn Audience>) -> Attendance {
        let id: Arc<str> = person.id.as_str().into();
        let known = Known { id: Arc::clone(&id), name: person.name.as_str().into(), at: Timestamp::now().as_millis() };
        self.with(|state| {
            state.audiences.insert(room.clone(), audience);
            state.roster.enter(room, known, Instant::now());
        });
        Attendance { presence: Arc::clone(self), room: room.clone(), id }
    }

    /// Who was sent away is not waited for: whoever has no connection left on this node is gone at once, from a room or from all of them.
    pub fn expel(&self, person: &str, room: Option<&Group>) {
        self.with(|state| {
            for room in state.roster.expel(person, room, Instant::now()) {
                state.audiences.remove(&room);
            }
        });
    }

    /// Who is in a room.
    pub fn members(&self, room: &Group) -> Members {
        let mut members = self.state.lock().roster.members(room);
        self.profiles.complete_members(&mut members);
        members
    }

    /// Somebody who is in a room on this node is writing something there. More often than [`Times::typing`] it is no news.
    pub fn typing(&self, room: &Group, person: &Person) {
        let audience = self.with(|state| {
            let news = state.roster.typing(room, person, Instant::now());
            news.then(|| state.audience(room)).flatten()
        });
        self.tell_typing(audience, person.clone());
    }

    /// How many people and nodes there are.
    pub fn headcount(&self) -> Headcount {
        let (people, nodes) = self.state.lock().roster.census();
        Headcount { people, nodes }
    }

    /// What the other nodes are called in the layer that are known and have not said goodbye.
    pub fn nodes(&self) -> Vec<String> {
        self.state.lock().roster.nodes()
    }

    /// Tells the other nodes that this one stops. A layer that is away is not waited for.
    pub async fn leave(&self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        self.state.lock().stopped = true;
        let goodbye = self.layer.group_send(&self.group, Letter::Bye.sign(&self.me));
        match tokio::time::timeout(PATIENCE, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => debug!(%cause, "other nodes could not be told that this one stops; they will find out"),
            Err(_) => debug!("other nodes could not be told in time that this one stops; they will find out"),
        }
    }

    fn receive(&self, event: &Event) {
        if Letter::writer(event) == Some(self.me.as_str()) {
            return;
        }
        let Some((from, letter)) = Letter::read(event) else {
            debug!(kind = event.kind(), "something arrived that is no letter of a node");
            return;
        };
        let told = self.with(|state| {
            let (room, person) = state.roster.receive(&from, letter, Instant::now())?;
            Some((state.audience(&room), person))
        });
        if let Some((audience, person)) = told {
            self.tell_typing(audience, person);
        }
    }

    fn tell_typing(&self, audience: Option<Arc<dyn Audience>>, from: Person) {
        if let Some(audience) = audience {
            self.tell(audience, wire::Event::Typing(Typist { from }));
        }
    }

    fn tell(&self, audience: Arc<dyn Audience>, mut event: wire::Event) {
        self.profiles.complete_event(&mut event);
        audience.tell(event);
    }

    /// Works on the state, and wakes whoever has something to do earlier than before.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let due = |state: &State| (state.roster.next_tick(), state.roster.next_letter(Instant::now()));
        let (tick, letter) = due(&state);
        let done = work(&mut state);
        let (new_tick, new_letter) = due(&state);
        drop(state);
        if new_tick.is_some_and(|new| tick.is_none_or(|tick| new < tick)) {
            self.crier.notify_one();
        }
        if new_letter < letter {
            self.poster.notify_one();
        }
        done
    }

    /// Lets go whose time is over, and tells the members of rooms what has changed, and who is seen otherwise. Gives when there is more to do.
    fn tick(&self) -> Option<Instant> {
        let now = Instant::now();
        let changed = self.profiles.take_changed();
        let (told, next) = self.with(|state| {
            for room in state.roster.tick(now) {
                state.audiences.remove(&room);
            }
            let seen_anew = changed.iter().flat_map(|id| state.roster.seen_anew(id)).collect::<Vec<_>>();
            let pushes = state.roster.pushes(now).into_iter().chain(seen_anew);
            let told: Vec<_> = pushes.filter_map(|(room, change)| Some((state.audience(&room)?, change))).collect();
            (told, state.roster.next_tick())
        });
        for (audience, change) in told {
            self.tell(audience, wire::Event::Presence(change));
        }
        next
    }

    /// Tells other nodes what they are to be told. Gives when there is more to tell.
    async fn tell_nodes(&self, again: Duration) -> Option<Instant> {
        let letters = {
            let mut state = self.state.lock();
            if state.stopped {
                return None;
            }
            state.roster.letters(Instant::now())
        };
        for (to, letter) in letters {
            let sent = self.send(&to, &letter).await;
            let news = self.unsent.is_news(matches!(sent, Err(LayerError::Unavailable(_))));
            match sent {
                Ok(()) if news => info!("other nodes can be told again who is here"),
                Ok(()) => {}
                // It has too much to read, or is dead. The rest is for others.
                Err(cause) if !matches!(cause, LayerError::Unavailable(_)) => {
                    debug!(?to, %cause, "another node cannot be told who is here");
                }
                Err(cause) => {
                    if news {
                        warn!(%cause, "other nodes cannot be told who is here");
                    } else {
                        debug!(%cause, "other nodes still cannot be told who is here");
                    }
                    // Numbers show the others that something is missing, but for what is the last for long.
                    self.state.lock().roster.doubt(Instant::now() + again);
                    break;
                }
            }
        }
        Some(self.state.lock().roster.next_letter(Instant::now()))
    }

    async fn send(&self, to: &To, letter: &Letter) -> Result<(), LayerError> {
        let event = letter.sign(&self.me);
        match to {
            To::One(node) => self.layer.send(node, event).await,
            To::All => {
                // The layer may have forgotten the membership, and it ends by itself unless it is renewed.
                if matches!(letter, Letter::Beat { .. }) {
                    self.layer.group_add(&self.group, &self.me).await?;
                }
                self.layer.group_send(&self.group, event).await
            }
        }
    }
}

impl State {
    fn audience(&self, room: &Group) -> Option<Arc<dyn Audience>> {
        self.audiences.get(room)?.upgrade()
    }
}

/// Tells the members of rooms, as long as somebody may enter one.
async fn cry(presence: Weak<Presence>, wake: Arc<Notify>) {
    loop {
        let Some(next) = presence.upgrade().map(|presence| presence.tick()) else { return };
        match next {
            // There was more than is done at a stretch: the others have their turn first.
            Some(next) if next <= Instant::now() => tokio::task::yield_now().await,
            // An error is the end of the time: that is what is waited for.
            Some(next) => drop(tokio::time::timeout_at(next, wake.notified()).await),
            None => wake.notified().await,
        }
    }
}

/// Tells the other nodes, until this one stops.
async fn post(presence: Weak<Presence>, wake: Arc<Notify>, times: Times) {
    loop {
        let next = match presence.upgrade() {
            Some(presence) => presence.tell_nodes(times.batch).await,
            None => return,
        };
        let Some(next) = next else { return };
        drop(tokio::time::timeout_at(next, wake.notified()).await);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.crier.notify_one();
        self.poster.notify_one();
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.presence.with(|state| state.roster.exit(&self.room, &self.id, Instant::now()));
    }
}

#[cfg(test)]
mod tests;
