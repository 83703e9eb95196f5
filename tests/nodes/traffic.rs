//! People who talk on two nodes the whole time, and those who listen: what each of them heard is compared with what was
//! acknowledged.
//!
//! Every text is `{node} {speaker} {number}`, and the numbers of a node rise. The room is kept, by each node in a store of its
//! own. So who listens on a node must hear all that is acknowledged there, whatever happens between the nodes; of what is said on the
//! other node, each message at most once, and all of it when the nodes reach each other.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    app::{Http as _, TestApp, offset},
    clients::{Plain, V1},
    cluster::{plain_member, v1_member},
    within,
};

const GROUP: &str = "s-talk";
const TOPIC: &str = "room/s-talk";
/// Speakers on each node.
const SPEAKERS: usize = 2;
/// How often each says something: it matters when they do, not how much they say.
const PACE: Duration = Duration::from_millis(10);
/// The speaker who has the last word on a node, when the others have stopped.
const LAST: &str = "last";

/// See the module.
pub struct Traffic {
    sides: [Side; 2],
    stop: watch::Sender<bool>,
}

/// The people on one node.
struct Side {
    address: SocketAddr,
    /// The last number that was given out.
    number: Arc<AtomicU64>,
    /// Each gives what was acknowledged, with its offset.
    speakers: Vec<JoinHandle<Vec<(String, u64)>>>,
    listeners: Vec<Listener>,
    /// What was said with a higher number reaches the other node.
    level: u64,
}

struct Listener {
    /// The last number heard from each node.
    latest: watch::Receiver<[u64; 2]>,
    /// Gives all that it heard: the texts with their offsets.
    heard: JoinHandle<Vec<(Option<u64>, String)>>,
}

/// Who listens.
enum Ear {
    Plain(Box<Plain>),
    V1(Box<V1>),
}

impl Ear {
    async fn next(&mut self) -> (Option<u64>, String) {
        match self {
            Self::Plain(plain) => (None, plain.text().await),
            Self::V1(v1) => {
                let push = v1.push().await;
                let text = push["event"]["text"].as_str().unwrap_or_else(|| panic!("no text in {push}")).to_owned();
                (push["offset"].as_u64(), text)
            }
        }
    }
}

/// Node, speaker and number of a text.
fn parts(text: &str) -> (usize, &str, u64) {
    let mut parts = text.split(' ');
    let mut part = || parts.next().unwrap_or_else(|| panic!("{text:?} was never said"));
    (part().parse().expect("a node"), part(), part().parse().expect("a number"))
}

impl Traffic {
    /// Begins on two nodes that are well: when this returns, what is said on either reaches the other.
    pub async fn start(nodes: [&TestApp; 2]) -> Self {
        let stop = watch::Sender::new(false);
        let mut sides = Vec::new();
        for (node, app) in nodes.into_iter().enumerate() {
            // Who listens comes first: the first message of each node is that with which it has shown to be there.
            let plain = plain_member(app, GROUP, &format!("{node} first 0")).await;
            let v1 = v1_member(app, GROUP).await;
            let listeners = [Ear::Plain(Box::new(plain)), Ear::V1(Box::new(v1))].map(Listener::start).into();
            sides.push(Side { address: app.address, number: Arc::default(), speakers: Vec::new(), listeners, level: 0 });
        }
        for (node, side) in sides.iter_mut().enumerate() {
            for speaker in 0..SPEAKERS {
                let speaking = speak(side.address, (node, speaker), Arc::clone(&side.number), stop.subscribe());
                side.speakers.push(tokio::spawn(speaking));
            }
        }
        let Ok(sides) = sides.try_into() else { unreachable!("there are two nodes") };
        let mut traffic = Self { sides, stop };
        traffic.crosses().await;
        traffic
    }

    /// Waits until everybody has heard some twenty messages that are said on their own node from now on.
    pub async fn goes_on(&self) {
        for node in 0..2 {
            self.heard(node, node, 20).await;
        }
    }

    /// Waits until everybody has heard what is said on the other node from now on. What follows must be heard too, see [`Self::audit`].
    pub async fn crosses(&mut self) {
        self.heard(1, 0, 1).await;
        self.heard(0, 1, 1).await;
        for side in &mut self.sides {
            side.level = side.number.load(Ordering::Relaxed);
        }
        self.goes_on().await;
    }

    /// Waits until the listeners of `here` have heard something from `there` that is said when `more` others have been said.
    async fn heard(&self, here: usize, there: usize, more: u64) {
        let mark = self.sides[there].number.load(Ordering::Relaxed) + more;
        for listener in &self.sides[here].listeners {
            let mut latest = listener.latest.clone();
            let heard = latest.wait_for(|latest| latest[there] >= mark);
            within("somebody's words", heard).await.expect("a listener");
        }
    }

    /// Stops, and holds what everybody heard against what was acknowledged.
    pub async fn audit(self, nodes: [&TestApp; 2]) {
        self.stop.send_replace(true);
        let mut acknowledged = [Vec::new(), Vec::new()];
        let mut listeners = Vec::new();
        let levels = self.sides.each_ref().map(|side| side.level);
        for (node, side) in self.sides.into_iter().enumerate() {
            for speaker in side.speakers {
                acknowledged[node].extend(within("the end of a speaker", speaker).await.expect("no panic"));
            }
            let last = text(node, LAST, &side.number);
            let mut v1 = v1_member(nodes[node], GROUP).await;
            acknowledged[node].push(post(&mut v1, last).await);
            listeners.extend(side.listeners.into_iter().map(|listener| (node, listener.heard)));
        }
        for (node, listener) in listeners {
            let heard = within("the end of a listener", listener).await.expect("no panic");
            assert_heard_all(nodes[node], node, &acknowledged[node], &heard).await;
            let other = 1 - node;
            assert_heard_once(other, levels[other], &acknowledged[other], &heard);
        }
    }
}

/// Of its own node a listener has heard what is stored there after the first message, which is what was acknowledged.
async fn assert_heard_all(app: &TestApp, node: usize, acknowledged: &[(String, u64)], heard: &[(Option<u64>, String)]) {
    let (_, stored) = app.all_messages(GROUP).await;
    assert!(stored.iter().map(offset).eq(1..=stored.len() as u64));
    let stored: Vec<_> = stored[1..].iter().map(|message| message["text"].as_str().expect("a text")).collect();
    assert_eq!(stored.len(), acknowledged.len());
    for (text, offset) in acknowledged {
        assert_eq!(stored.get(*offset as usize - 2), Some(&text.as_str()), "{offset}");
    }
    let own = heard.iter().filter(|(_, text)| parts(text).0 == node);
    let (places, texts): (Vec<Option<u64>>, Vec<_>) = own.map(|(place, text)| (*place, text.as_str())).unzip();
    assert_eq!(texts, stored, "on node {node}");
    assert!(places.iter().all(Option::is_none) || places.into_iter().eq((2..).map(Some).take(stored.len())));
}

/// Of another node a listener has heard, of each speaker in order and once each, messages that were said there; all of those
/// after `level`.
fn assert_heard_once(node: usize, level: u64, acknowledged: &[(String, u64)], heard: &[(Option<u64>, String)]) {
    let theirs: Vec<_> = heard.iter().filter(|(_, text)| parts(text).0 == node && parts(text).1 != "first").collect();
    assert!(theirs.iter().all(|(place, _)| place.is_none()));
    let mut in_order = acknowledged.to_vec();
    in_order.sort_by_key(|(_, offset)| *offset);
    let in_order: Vec<_> = in_order.iter().map(|(text, _)| text.as_str()).collect();
    let of = |texts: &[&str], speaker: &str| -> Vec<String> {
        texts.iter().filter(|text| parts(text).1 == speaker).map(ToString::to_string).collect()
    };
    let theirs: Vec<_> = theirs.iter().map(|(_, text)| text.as_str()).collect();
    for speaker in ["0", "1", LAST] {
        let (said, heard) = (of(&in_order, speaker), of(&theirs, speaker));
        let mut rest = said.iter();
        // Each is found behind the one before, so none is there twice.
        assert!(heard.iter().all(|text| rest.any(|said| said == text)), "from node {node}: {heard:?}");
        let is_late = |text: &&String| parts(text).2 > level;
        assert!(heard.iter().filter(is_late).eq(said.iter().filter(is_late)), "from node {node}: {heard:?}, not {said:?}");
    }
}

/// The next text of a node.
fn text(node: usize, speaker: &str, number: &AtomicU64) -> String {
    format!("{node} {speaker} {}", number.fetch_add(1, Ordering::Relaxed) + 1)
}

/// Says something that has to be acknowledged; gives it back with its offset.
async fn post(v1: &mut V1, text: String) -> (String, u64) {
    let key = text.replace(' ', "-");
    let place: Value = v1.ok(json!({"send": {"topic": TOPIC, "key": key, "text": text}})).await;
    (text, offset(&place))
}

async fn speak(
    address: SocketAddr,
    (node, speaker): (usize, usize),
    number: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
) -> Vec<(String, u64)> {
    let mut v1 = V1::connect(address, &format!("/room/{GROUP}/")).await;
    let mut pace = tokio::time::interval(PACE);
    let mut acknowledged = Vec::new();
    while !*stop.borrow() {
        pace.tick().await;
        acknowledged.push(post(&mut v1, text(node, &speaker.to_string(), &number)).await);
    }
    acknowledged
}

impl Listener {
    fn start(mut ear: Ear) -> Self {
        let (told, latest) = watch::channel([0, 0]);
        let heard = tokio::spawn(async move {
            let (mut heard, mut ends) = (Vec::new(), 0);
            while ends < 2 {
                let (place, text) = ear.next().await;
                let (node, speaker, number) = parts(&text);
                ends += usize::from(speaker == LAST);
                told.send_modify(|latest| latest[node] = latest[node].max(number));
                heard.push((place, text));
            }
            heard
        });
        Self { latest, heard }
    }
}
