//! What is open on which node, and how busy each is: a node says it of itself, and asks the others by the channel layer, with a bounded wait.
//!
//! ```text
//!   Nodes::ask ── Leases::ask, `confab.asked` ──► every other node
//!        ▲                                          │ Leases::answer, to the asker's own channel
//!        └── `confab.answered` ◄────────────────────┘
//! ```
//!
//! Which nodes there are says presence; those that have not answered in time are named.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tracing::debug;

use super::figures::{Counted, Figures, Rates};
use crate::server::{
    layers::{Channel, Event},
    lease::{Follower, Leases, Shown},
    presence::Presence,
};

/// The types of what nodes ask and answer each other.
const ASKED: &str = "confab.asked";
const ANSWERED: &str = "confab.answered";
const CLOSE: &str = "confab.close";
/// How long other nodes have to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many connections a node names; how many there are it says all the same.
const NAMED: usize = 200;
/// The longest id of a person that is asked for, in bytes.
const LONGEST_ID: usize = 64;

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What it is called in the layer.
    pub node: String,
    pub figures: Figures,
    /// What is open there, of whoever was asked for; of many the first.
    pub open: Vec<Shown>,
    /// How many that are.
    pub count: usize,
}

/// What all nodes say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// This node's first.
    pub answers: Vec<Answer>,
    /// The nodes that have not answered.
    pub silent: Vec<String>,
}

/// What this node counts now, and all else that it says of itself but how much of it there is in a second.
type Look = Box<dyn Fn() -> (Counted, Figures) + Send + Sync>;

/// See the [module](self).
pub struct Nodes {
    leases: Arc<Leases>,
    presence: Arc<Presence>,
    look: Look,
    started: Instant,
    rates: Mutex<Rates>,
    /// Who waits for answers, by the number of the question.
    waiting: Mutex<HashMap<u64, mpsc::UnboundedSender<Answer>>>,
    last: AtomicU64,
}

impl Nodes {
    /// Answers the other nodes from now on.
    pub fn start(
        leases: &Arc<Leases>,
        presence: &Arc<Presence>,
        look: impl Fn() -> (Counted, Figures) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let nodes = Arc::new(Self {
            leases: Arc::clone(leases),
            presence: Arc::clone(presence),
            look: Box::new(look),
            started: Instant::now(),
            rates: Mutex::default(),
            waiting: Mutex::default(),
            last: AtomicU64::new(0),
        });
        let follower: Weak<dyn Follower> = {
            let weak: Weak<_> = Arc::downgrade(&nodes);
            weak
        };
        leases.follow(follower);
        tokio::spawn(sample(Arc::downgrade(&nodes)));
        nodes
    }

    /// What this node says of itself.
    pub fn own(&self, of: Option<&str>) -> Answer {
        let (open, count) = self.leases.shown(of, NAMED);
        Answer { node: self.leases.node().to_owned(), figures: self.figures(), open, count }
    }

    fn figures(&self) -> Figures {
        let (counted, figures) = (self.look)();
        let up = self.started.elapsed();
        let (messages_per_s, deliveries_per_s) = self.rates.lock().per_second(up, counted);
        Figures { up_s: up.as_secs(), messages_per_s, deliveries_per_s, ..figures }
    }

    /// What all nodes say of themselves; with the id of a person what is open of theirs.
    pub async fn ask(&self, of: Option<&str>) -> Seen {
        let mut silent = self.presence.nodes();
        let mut answers = vec![self.own(of)];
        if silent.is_empty() {
            return Seen { answers, silent };
        }
        let (number, (sender, mut receiver)) = (self.last.fetch_add(1, Relaxed) + 1, mpsc::unbounded_channel());
        self.waiting.lock().insert(number, sender);
        let until = Instant::now() + PATIENCE;
        let question = Event::new(ASKED).with("question", number.cast_signed());
        let question = of.into_iter().fold(question, |question, id| question.with("of", id));
        let asked = timeout_at(until, self.leases.ask(question)).await;
        if asked == Ok(true) {
            while !silent.is_empty()
                && let Ok(Some(answer)) = timeout_at(until, receiver.recv()).await
            {
                silent.retain(|node| *node != answer.node);
                answers.push(answer);
            }
        }
        self.waiting.lock().remove(&number);
        answers[1..].sort_by(|one, other| one.node.cmp(&other.node));
        Seen { answers, silent }
    }

    /// Closes a connection, on whichever node it is. Says whether it was there, as far as that is this node.
    pub async fn close(&self, node: &str, number: u64) -> bool {
        if node == self.leases.node() {
            return self.leases.close(number);
        }
        let close = Event::new(CLOSE).with("on", node).with("number", number.cast_signed());
        self.leases.ask(close).await
    }

    async fn answer(&self, event: &Event) {
        let asker = event.get_str("node").and_then(|node| node.parse::<Channel>().ok());
        let (Some(asker), Some(question)) = (asker, event.get_i64("question")) else {
            debug!("a question arrived that names nobody who asks");
            return;
        };
        let of = event.get_str("of").filter(|id| id.len() <= LONGEST_ID);
        let Ok(answer) = serde_json::to_string(&self.own(of)) else { return };
        self.leases.answer(&asker, Event::new(ANSWERED).with("question", question).with("answer", answer)).await;
    }

    fn take(&self, event: &Event) {
        let question = event.get_i64("question").map(i64::cast_unsigned);
        let answer = event.get_str("answer").and_then(|answer| serde_json::from_str(answer).ok());
        let (Some(question), Some(answer)) = (question, answer) else {
            debug!("an answer arrived that cannot be read");
            return;
        };
        // Nobody waits any more for one that comes late.
        if let Some(waiting) = self.waiting.lock().get(&question) {
            let _ = waiting.send(answer);
        }
    }
}

impl Follower for Nodes {
    fn hear(self: Arc<Self>, event: &Event) {
        match event.kind() {
            ASKED => {
                let event = event.clone();
                tokio::spawn(async move { self.answer(&event).await });
            }
            ANSWERED => self.take(event),
            CLOSE if event.get_str("on") == Some(self.leases.node()) => {
                let number = event.get_i64("number").map(i64::cast_unsigned);
                let closed = number.is_some_and(|number| self.leases.close(number));
                debug!(closed, "another node has a connection closed");
            }
            _ => {}
        }
    }
}

/// Keeps the counts of the last seconds.
async fn sample(nodes: Weak<Nodes>) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let Some(nodes) = nodes.upgrade() else { return };
        let (counted, _) = (nodes.look)();
        let up = nodes.started.elapsed();
        nodes.rates.lock().sample(up, counted);
    }
}
