//! People who talk in one room on two nodes that share a store, and those who listen: all must hear the same, in the same order,
//! each message once, and it must be what was acknowledged and what the store says on either node.
//!
//! Whoever speaks or listens has one of two homes. A home is where its people connect: a node, until it dies, then another one.
//! Every text is `{home} {speaker} {number}`, and the numbers of a home rise. A speaker whose message is refused, or who does not
//! know what became of it, says it again with the same key, on the other node if need be, and goes on only when it is acknowledged.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Interval, interval},
};

use tokio_tungstenite::tungstenite::Message;

use crate::{
    app::{Http, offset},
    clients::{Plain, V1},
    within,
};

const GROUP: &str = "s-talk";
const TOPIC: &str = "room/s-talk";
/// Speakers of each home.
const SPEAKERS: usize = 2;
/// How often each of so many says something, more rarely where there are more, and how soon whoever was sent away tries again: it
/// matters when they do, not how much they say.
const PACE: Duration = Duration::from_millis(20);
/// After so many messages a wanderer leaves, and comes back on the other node.
const STAY: usize = 20;
/// Says the first word of a home, before all others, and the last.
const FIRST: &str = "first";
const LAST: &str = "last";

/// Where the people of each home connect.
type Homes = watch::Receiver<[SocketAddr; 2]>;

/// See the module.
pub struct Crowd {
    homes: watch::Sender<[SocketAddr; 2]>,
    /// Nodes that were homes and died.
    dead: HashSet<SocketAddr>,
    /// The last number that was given out in each home.
    numbers: [Arc<AtomicU64>; 2],
    /// How often the speakers of each home were refused.
    refusals: watch::Receiver<[u64; 2]>,
    /// Each gives what was acknowledged, with its offset.
    speakers: Vec<JoinHandle<Vec<(String, u64)>>>,
    listeners: Vec<Listener>,
    stop: watch::Sender<bool>,
}

struct Listener {
    /// The last number heard from each home.
    latest: watch::Receiver<[u64; 2]>,
    heard: JoinHandle<Heard>,
}

/// What somebody heard until everybody had said their last words, or its node died.
struct Heard {
    texts: Vec<String>,
    /// Where the first of it stands in the room, for those who are told.
    first: Option<u64>,
    /// Whose end cut it off, if it was.
    cut_off_from: Option<SocketAddr>,
}

impl Crowd {
    /// Begins on two nodes that are well.
    pub async fn start(nodes: [SocketAddr; 2]) -> Self {
        Self::of(SPEAKERS, nodes).await
    }

    /// The same with so many speakers of each home.
    pub async fn of(speakers_each: usize, nodes: [SocketAddr; 2]) -> Self {
        let pace = PACE * (speakers_each / SPEAKERS).max(1) as u32;
        let (homes, _) = watch::channel(nodes);
        let (told, refusals) = watch::channel([0, 0]);
        let numbers: [Arc<AtomicU64>; 2] = Default::default();
        let (stop, stopped) = watch::channel(false);
        let mut listeners = Vec::new();
        for (home, number) in numbers.iter().enumerate() {
            listeners.push(Listener::plain(nodes[home], text(home, FIRST, number)).await);
            for wanders in [false, true] {
                let place = Place { home, homes: homes.subscribe(), headers: Vec::new() };
                listeners.push(Listener::v1(place, wanders).await);
            }
        }
        let mut speakers = Vec::new();
        for (home, number) in numbers.iter().enumerate() {
            for name in 0..speakers_each {
                // The cookie that makes a client the same guest on every connection to every node.
                let cookie = format!("confab_guest={:032x}", home * speakers_each + name);
                let place = Place { home, homes: homes.subscribe(), headers: vec![("cookie", cookie)] };
                let speaker = Speaker::enter(place, (name.to_string(), Arc::clone(number)), told.clone(), interval(pace)).await;
                speakers.push(tokio::spawn(speaker.speak(stopped.clone())));
            }
        }
        let crowd = Self { homes, dead: HashSet::new(), numbers, refusals, speakers, listeners, stop };
        crowd.goes_on().await;
        crowd
    }

    /// Waits until everybody, on either node, has heard some twenty messages of each home that are said from now on.
    pub async fn goes_on(&self) {
        let marks = self.numbers.each_ref().map(|number| number.load(Ordering::Relaxed) + 20);
        for listener in &self.listeners {
            let mut latest = listener.latest.clone();
            let heard = latest.wait_for(|latest| latest.iter().zip(marks).all(|(latest, mark)| *latest >= mark));
            // Whoever listens no more tells why at the end.
            let _ = within("what is said now", heard).await;
        }
    }

    /// Waits until speakers of both homes are refused.
    pub async fn is_refused(&self) {
        let mut refusals = self.refusals.clone();
        let before = *refusals.borrow_and_update();
        let refused = refusals.wait_for(|refusals| refusals.iter().zip(before).all(|(now, before)| *now > before));
        within("a refusal on each node", refused).await.expect("speakers");
    }

    /// All that was said so far was taken at the first try.
    pub fn assert_never_refused(&self) {
        assert_eq!(*self.refusals.borrow(), [0, 0]);
    }

    /// The node of a home is dead: its people go to another, as they are or as soon as they notice.
    pub fn moves(&mut self, home: usize, to: SocketAddr) {
        self.homes.send_modify(|homes| {
            self.dead.insert(std::mem::replace(&mut homes[home], to));
        });
    }

    /// A node is there in place of one that died: the people of a home go there.
    pub fn returns(&mut self, home: usize, to: SocketAddr) {
        self.homes.send_modify(|homes| homes[home] = to);
    }

    /// Stops, and holds what everybody heard against what was acknowledged and what both nodes have in the store.
    pub async fn audit(self, nodes: (&impl Http, &impl Http)) {
        self.stop.send_replace(true);
        let mut acknowledged = Vec::new();
        for speaker in self.speakers {
            let of_one = within("the end of a speaker", speaker).await.expect("no panic");
            assert!(of_one.is_sorted_by_key(|(_, place)| *place), "out of order: {of_one:?}");
            acknowledged.extend(of_one);
        }
        for (home, address) in [nodes.0.address(), nodes.1.address()].into_iter().enumerate() {
            let mut v1 = V1::connect(address, &format!("/room/{GROUP}/")).await;
            let last = text(home, LAST, &self.numbers[home]);
            let place = v1.post(TOPIC, &key(&last), &last).await;
            acknowledged.push((last, place.as_u64().expect("an offset")));
        }

        let stored = nodes.0.all_messages(GROUP).await;
        assert_eq!(stored, nodes.1.all_messages(GROUP).await, "both nodes have the same");
        let (_, stored) = stored;
        assert!(stored.iter().map(offset).eq(1..=stored.len() as u64));
        let stored: Vec<_> = stored.iter().map(|message| message["text"].as_str().expect("a text")).collect();
        acknowledged.sort_by_key(|(_, place)| *place);
        // The first words are not among the acknowledged, but heard.
        let said = stored.iter().enumerate().filter(|(_, text)| parts(text).1 != FIRST);
        let said: Vec<_> = said.map(|(index, text)| ((*text).to_owned(), index as u64 + 1)).collect();
        assert_eq!(said.len() + self.numbers.len(), stored.len());
        assert!(said == acknowledged, "the store has {said:?}, not {acknowledged:?}");

        for listener in self.listeners {
            let heard = within("the end of a listener", listener.heard).await.expect("no panic");
            heard.check(&stored, &self.dead);
        }
    }
}

impl Heard {
    /// It is all that is stored from its first message on, or up to where the node died.
    fn check(self, stored: &[&str], dead: &HashSet<SocketAddr>) {
        let Self { texts, first, cut_off_from } = self;
        let place = stored.iter().position(|stored| *stored == texts[0]).expect("what was heard is in the store");
        assert!(first.is_none_or(|first| first == place as u64 + 1));
        let to_hear = &stored[place..];
        match cut_off_from {
            None => assert_eq!(texts, to_hear),
            Some(node) => {
                assert!(dead.contains(&node), "cut off from a node that lives");
                assert_eq!(texts, &to_hear[..texts.len()]);
            }
        }
    }
}

/// Home, speaker and number of a text.
fn parts(text: &str) -> (usize, &str, u64) {
    let mut parts = text.split(' ');
    let mut part = || parts.next().unwrap_or_else(|| panic!("{text:?} was never said"));
    (part().parse().expect("a home"), part(), part().parse().expect("a number"))
}

/// The next text of a home.
fn text(home: usize, speaker: &str, number: &AtomicU64) -> String {
    format!("{home} {speaker} {}", number.fetch_add(1, Ordering::Relaxed) + 1)
}

fn key(text: &str) -> String {
    text.replace(' ', "-")
}

/// Who connects where.
struct Place {
    home: usize,
    homes: Homes,
    headers: Vec<(&'static str, String)>,
}

impl Place {
    fn address(&self) -> SocketAddr {
        self.homes.borrow()[self.home]
    }

    /// Connects until a node takes it in: the database may be away, or the node die just now.
    async fn connect(&self, path: &str, pace: &mut Interval) -> (SocketAddr, V1) {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let connecting = async {
            loop {
                let address = self.address();
                if let Ok(v1) = V1::try_with(address, path, &headers).await {
                    return (address, v1);
                }
                pace.tick().await;
            }
        };
        within("a node that takes somebody in", connecting).await
    }

    /// Comes back to the room with a position; gives the answer too.
    async fn come_back(&self, position: &Value, pace: &mut Interval) -> (SocketAddr, V1, Value) {
        let coming = async {
            loop {
                let (address, mut v1) = self.connect("/ws/", pace).await;
                let answer = v1.try_ask(json!({"join": {"topic": TOPIC, "since": position}})).await;
                if let Some(state) = answer.ok().as_mut().and_then(|answer| answer.get_mut("ok")) {
                    return (address, v1, state.take());
                }
                pace.tick().await;
            }
        };
        within("the room", Box::pin(coming)).await
    }

    /// Nobody loses a connection to a node that lives: waits until the home is elsewhere.
    async fn lost(&mut self, address: SocketAddr) {
        let home = self.home;
        let moved = self.homes.wait_for(|homes| homes[home] != address);
        within("the end of the node that closed a connection", moved).await.expect("the test goes on");
    }
}

struct Speaker {
    place: Place,
    name: String,
    number: Arc<AtomicU64>,
    refusals: watch::Sender<[u64; 2]>,
    pace: Interval,
    address: SocketAddr,
    v1: V1,
}

impl Speaker {
    async fn enter(
        place: Place,
        (name, number): (String, Arc<AtomicU64>),
        refusals: watch::Sender<[u64; 2]>,
        mut pace: Interval,
    ) -> Self {
        let (address, v1) = place.connect(&format!("/room/{GROUP}/"), &mut pace).await;
        Self { place, name, number, refusals, pace, address, v1 }
    }

    /// What was acknowledged, until it is told to stop.
    async fn speak(mut self, stop: watch::Receiver<bool>) -> Vec<(String, u64)> {
        let mut acknowledged = Vec::new();
        while !*stop.borrow() {
            self.pace.tick().await;
            let text = text(self.place.home, &self.name, &self.number);
            let place = self.post(&text).await;
            acknowledged.push((text, place));
        }
        acknowledged
    }

    /// Says it until it is acknowledged.
    async fn post(&mut self, text: &str) -> u64 {
        loop {
            if self.place.address() != self.address {
                (self.address, self.v1) = self.place.connect(&format!("/room/{GROUP}/"), &mut self.pace).await;
            }
            let send = json!({"send": {"topic": TOPIC, "key": key(text), "text": text}});
            match self.v1.try_ask(send).await {
                Ok(answer) if answer.get("ok").is_some() => return offset(&answer["ok"]),
                Ok(answer) => {
                    assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
                    self.refusals.send_modify(|refusals| refusals[self.place.home] += 1);
                    self.pace.tick().await;
                }
                Err(_) => self.place.lost(self.address).await,
            }
        }
    }
}

/// What a listener has heard so far.
struct Ear {
    texts: Vec<String>,
    /// Where the first of it stands in the room, for those who are told.
    first: Option<u64>,
    latest: watch::Sender<[u64; 2]>,
    /// How many last words were among it.
    ends: usize,
}

impl Ear {
    fn new() -> (Self, watch::Receiver<[u64; 2]>) {
        let (told, latest) = watch::channel([0, 0]);
        (Self { texts: Vec::new(), first: None, latest: told, ends: 0 }, latest)
    }

    fn hear(&mut self, text: &str) {
        let (home, speaker, number) = parts(text);
        self.ends += usize::from(speaker == LAST);
        self.latest.send_modify(|latest| latest[home] = latest[home].max(number));
        self.texts.push(text.to_owned());
    }

    /// What stands next in the room.
    fn hear_next(&mut self, position: &mut Value, push: &Value) {
        let place = offset(position) + 1;
        assert_eq!((&push["topic"], offset(push)), (&json!(TOPIC), place), "{push}");
        position["offset"] = json!(place);
        self.first.get_or_insert(place);
        self.hear(push["event"]["text"].as_str().expect("a text"));
    }

    fn has_heard_all(&self) -> bool {
        self.ends == 2
    }

    fn end(self, cut_off_from: Option<SocketAddr>) -> Heard {
        Heard { texts: self.texts, first: self.first, cut_off_from }
    }
}

impl Listener {
    /// A plain client, which has said the first word of its home and heard it. It stays as long as its node lives.
    async fn plain(address: SocketAddr, first: String) -> Self {
        let mut plain = Plain::connect(address, &format!("/room/{GROUP}/")).await;
        let (mut ear, latest) = Ear::new();
        plain.say(&first).await;
        ear.hear(&plain.text().await);
        let heard = tokio::spawn(async move {
            while !ear.has_heard_all() {
                match plain.try_next().await {
                    Ok(Message::Text(text)) => ear.hear(&text),
                    // It asks whether somebody is there.
                    Ok(Message::Ping(_)) => {}
                    Ok(Message::Close(_)) | Err(_) => return ear.end(Some(address)),
                    Ok(other) => panic!("not text: {other:?}"),
                }
            }
            // What comes twice comes before this.
            plain.say("exit").await;
            assert_eq!(plain.closed().await.0, 1000);
            ear.end(None)
        });
        Self { latest, heard }
    }

    /// A client that comes back with its position: when its home is elsewhere, and if it wanders, every so often on the other
    /// node.
    async fn v1(mut place: Place, wanders: bool) -> Self {
        let mut pace = interval(PACE);
        let (mut address, mut v1) = place.connect(&format!("/room/{GROUP}/"), &mut pace).await;
        let (mut ear, latest) = Ear::new();
        let heard = tokio::spawn(async move {
            let (mut position, mut since_then) = (v1.position(), 0);
            while !ear.has_heard_all() {
                tokio::select! {
                    push = v1.try_push() => match push {
                        Ok(push) => {
                            ear.hear_next(&mut position, &push);
                            since_then += 1;
                        }
                        Err(_) => place.lost(address).await,
                    },
                    moved = place.homes.changed() => moved.expect("the test goes on"),
                }
                if wanders && since_then >= STAY {
                    (place.home, since_then) = (1 - place.home, 0);
                }
                if place.address() != address {
                    let state;
                    (address, v1, state) = place.come_back(&position, &mut pace).await;
                    assert_eq!((&state["recovered"], &state["epoch"]), (&json!(true), &position["epoch"]));
                    for push in state["events"].as_array().expect("a list") {
                        ear.hear_next(&mut position, push);
                    }
                    assert_eq!(position["offset"], state["offset"]);
                }
            }
            // What comes twice comes before this.
            assert_eq!(v1.pushes_so_far().await, [] as [Value; 0]);
            ear.end(None)
        });
        Self { latest, heard }
    }
}
