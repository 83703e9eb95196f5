//! A model test: tabs on two nodes, which talk, leave, come back on the other node and are opened anew while nodes are killed and
//! stopped and started, Redis comes and goes and is emptied and events are lost on their way from it, at random. When all is well again, what each
//! tab shows is what the store has, every command that was acknowledged is in it exactly once and where the answer said, and none of
//! the others twice. They edit, delete and react too: what a message says in the end is what the last of these has made of it. And
//! the list of rooms says in each tab what was said last.
//!
//! A node is a process of its own, behind a relay of its own to Redis. A [`Tab`] does as the real page does, in several rooms. Those
//! that wander are in the rooms that both nodes keep in the database. A sitter stays on its node as long as that lives; it is in
//! these rooms too, and in one that its node keeps in its memory.
//!
//! What is lost on its way is found in three ways, and the end of each run needs each of them. Both nodes lose the last words in all
//! rooms, and in most of them nothing is said after that, so that no later event tells of a hole. One node loses its connection with
//! them, which is the sign to read what may be missing: nothing else brings them to the room in its memory. The other one
//! sees no sign; it finds them as the database says that its rooms have moved on, and in its memory by the hole before the next word.
//!
//! What happens is drawn from a seed. [`SEEDS`] are those of every run, with the two backends in turn; `MODEL_SEEDS="17 18"` names
//! others to run in their place.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use confab::{
    server::settings::Backend,
    wire::{Offset, Position, Stored, Stretch},
};
use proptest::{
    prelude::*,
    sample::Index,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    app::{Http as _, Program},
    cluster::{Victim, ready},
    support::{
        postgres::Postgres,
        redis::Redis,
        relay::{Events, RedisRelay},
    },
    tab::{Act, Asking, Tab, What},
    within,
};

const SEEDS: [u64; 4] = [1, 2, 3, 4];
const STEPS: usize = 150;
const NODES: usize = 2;
/// Those that wander. Behind them come the sitters, one a node.
const WANDERERS: usize = 6;
const TABS: usize = WANDERERS + NODES;
/// The rooms in the database: most is said in the first.
const SHARED: [&str; 4] = ["s-busy", "s-calm", "s-quiet", "s-still"];
/// That of these in which the last word is corrected.
const STILL: usize = 3;
/// The room in the memory of each node. Of a sitter's rooms it is the last.
const OWN: [&str; NODES] = ["m-0", "m-1"];

/// What may happen. Where it cannot, nothing does: nobody comes to a node that is dead.
#[derive(Clone, Debug)]
enum Step {
    /// A tab sends commands about one of its rooms, one right after the other, and waits for no answer.
    Acts(usize, usize, Vec<Act>),
    /// A tab takes in what has come, up to the last answer that it waits for.
    Listens(usize),
    /// A wanderer's connection ends where it is, in the midst of a command perhaps.
    Drops(usize),
    /// A wanderer connects to a node, with its positions, and sends again what has no answer.
    Comes(usize, usize),
    /// A wanderer is closed, and its person opens another one on a node. What had no answer is forgotten.
    Opens(usize, usize),
    /// `kill -9` of a node.
    Kills(usize),
    /// A node is asked to stop.
    Stops(usize),
    /// A node is started, if it is down.
    Starts(usize),
    KillsRedis,
    StartsRedis,
    /// Another program has Redis forget all that it has.
    EmptiesRedis,
    /// What becomes from now on of what Redis has for a node.
    Has(usize, Events),
    /// A node's connection for events ends.
    Cuts(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => Just(Act::Says),
        1 => any::<Index>().prop_map(Act::Repeats),
        2 => any::<Index>().prop_map(Act::Edits),
        1 => any::<Index>().prop_map(Act::Deletes),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(which, on)| Act::Reacts(which, on)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (tab, wanderer, node) = (0..TABS, 0..WANDERERS, 0..NODES);
    let room = prop_oneof![5 => Just(0), 5 => 1..=SHARED.len()];
    let acts = prop::collection::vec(act(), 1..12);
    let events = prop_oneof![3 => Just(Events::Come), 2 => Just(Events::AreLost), 2 => Just(Events::Wait)];
    prop_oneof![
        30 => (tab.clone(), room, acts).prop_map(|(tab, room, acts)| Step::Acts(tab, room, acts)),
        12 => tab.prop_map(Step::Listens),
        6 => wanderer.clone().prop_map(Step::Drops),
        18 => (wanderer.clone(), node.clone()).prop_map(|(tab, node)| Step::Comes(tab, node)),
        4 => (wanderer, node.clone()).prop_map(|(tab, node)| Step::Opens(tab, node)),
        4 => node.clone().prop_map(Step::Kills),
        3 => node.clone().prop_map(Step::Stops),
        12 => node.clone().prop_map(Step::Starts),
        3 => Just(Step::KillsRedis),
        4 => Just(Step::StartsRedis),
        3 => Just(Step::EmptiesRedis),
        9 => (node.clone(), events).prop_map(|(node, events)| Step::Has(node, events)),
        3 => node.prop_map(Step::Cuts),
    ]
}

/// What happens with a seed.
pub fn drawn<T: std::fmt::Debug>(seed: u64, what: impl Strategy<Value = T>) -> T {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    what.new_tree(&mut runner).expect("it can be drawn").current()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_on_two_nodes_every_page_shows_what_the_store_has() {
    let named = std::env::var("MODEL_SEEDS").ok();
    let named = named.map(|seeds| seeds.split_whitespace().map(|seed| seed.parse().expect("a number")).collect());
    for seed in named.unwrap_or_else(|| SEEDS.to_vec()) {
        println!("MODEL_SEEDS={seed}");
        let mut world = World::new(if seed % 2 == 0 { Backend::RedisPubSub } else { Backend::RedisCore }).await;
        for step in drawn(seed, prop::collection::vec(step(), STEPS)) {
            println!("{step:?}");
            world.take(step).await;
        }
        world.end().await;
    }
}

/// Two nodes and all that is around them.
struct World {
    backend: Backend,
    redis: Redis,
    redis_is_there: bool,
    relays: [RedisRelay; NODES],
    database: String,
    nodes: [Option<Victim>; NODES],
    tabs: Vec<Tab>,
    _postgres: Arc<Postgres>,
}

impl World {
    /// Where all is well and each tab is open.
    async fn new(backend: Backend) -> Self {
        let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
        let (relays, database) =
            ([RedisRelay::before(&redis).await, RedisRelay::before(&redis).await], postgres.database().await);
        let mut tabs: Vec<_> = (0..WANDERERS).map(|number| Tab::new(number, &SHARED)).collect();
        tabs.extend((0..NODES).map(|node| Tab::new(WANDERERS + node, &[&SHARED[..], &[OWN[node]]].concat())));
        let (redis_is_there, nodes) = (true, [None, None]);
        let mut world = Self { backend, redis, redis_is_there, relays, database, nodes, tabs, _postgres: postgres };
        for node in 0..NODES {
            world.start(node).await;
        }
        for number in 0..WANDERERS {
            world.take(Step::Opens(number, number % NODES)).await;
            assert!(world.tabs[number].is_connected());
        }
        world
    }

    /// With its sitter.
    async fn start(&mut self, node: usize) {
        if self.nodes[node].is_none() {
            let url = self.relays[node].url();
            let victim = self.nodes[node].insert(Victim::start(self.backend, &url, &self.database).await);
            let sitter = &mut self.tabs[WANDERERS + node];
            // What was in the node's memory is gone.
            sitter.forget(SHARED.len());
            sitter.come(node, &victim.program).await;
            assert!(sitter.is_connected());
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Acts(tab, room, acts) => self.tabs[tab].act(room, acts).await,
            Step::Listens(tab) => self.tabs[tab].listen().await,
            Step::Drops(tab) => self.tabs[tab].drop_link(),
            Step::Comes(tab, node) => {
                if let Some(Victim { program, .. }) = &self.nodes[node] {
                    self.tabs[tab].come(node, program).await;
                }
            }
            Step::Opens(tab, node) => {
                if let Some(Victim { program, .. }) = &self.nodes[node] {
                    self.tabs[tab].open(node, program).await;
                }
            }
            Step::Kills(node) => {
                if let Some(mut victim) = self.nodes[node].take() {
                    victim.program.kill();
                }
            }
            Step::Stops(node) => self.stop(node).await,
            Step::Starts(node) => self.start(node).await,
            Step::KillsRedis => {
                self.redis.kill();
                self.redis_is_there = false;
            }
            Step::StartsRedis => {
                if !std::mem::replace(&mut self.redis_is_there, true) {
                    self.redis.restart().await;
                }
            }
            Step::EmptiesRedis => {
                if self.redis_is_there {
                    self.redis.cli::<()>(&["FLUSHALL"]).await;
                }
            }
            Step::Has(node, events) => self.relays[node].events(events),
            Step::Cuts(node) => self.relays[node].cut(),
        }
    }

    async fn stop(&mut self, node: usize) {
        let Some(Victim { program, .. }) = self.nodes[node].take() else { return };
        program.terminate();
        // It waits for those whom it says goodbye to.
        for tab in self.tabs.iter_mut().filter(|tab| tab.is_on(node)) {
            tab.hear_all().await;
        }
        assert_eq!(program.status().await.code(), Some(0));
    }

    /// Brings everything back and everybody level, and compares.
    async fn end(mut self) {
        self.take(Step::StartsRedis).await;
        for node in 0..NODES {
            self.relays[node].events(Events::Come);
            self.start(node).await;
            ready(&self.nodes[node].as_ref().expect("it was started").program).await;
        }
        let [Some(Victim { program: a, .. }), Some(Victim { program: b, .. })] = &self.nodes else {
            unreachable!("both were started")
        };
        let nodes = [a, b];
        for (number, tab) in self.tabs.iter_mut().enumerate() {
            let node = number % NODES;
            let settling = async {
                // It may not know yet that its node was killed.
                tab.listen().await;
                assert!(number < WANDERERS || tab.is_connected(), "a sitter has lost its node, which lives");
                while !tab.is_settled() {
                    tab.come(node, nodes[node]).await;
                    tab.listen().await;
                }
            };
            within("an answer to every command", Box::pin(settling)).await;
        }
        // From here on nobody connects again.
        last_words(&mut self.tabs, &self.relays).await;

        let mut ends = Vec::new();
        for group in SHARED {
            let end = Ending::of(group, a).await;
            assert_eq!(end, Ending::of(group, b).await);
            ends.push(end);
        }
        for (own, node) in OWN.into_iter().zip(nodes) {
            ends.push(Ending::of(own, node).await);
        }
        for end in &ends {
            audit(&self.tabs, end);
        }
        for tab in &mut self.tabs {
            let of_its: Vec<_> = ends.iter().filter(|end| tab.shows(end.group)).collect();
            let heads = of_its.iter().map(|end| (end.group, &end.head));
            within("the last of every room", Box::pin(tab.hear_up_to(heads.collect()))).await;
            let latest = ends[..SHARED.len()].iter().filter_map(|end| Some((end.group, end.stored.last()?)));
            within("the latest of every room", Box::pin(tab.hear_of_all(latest.collect()))).await;
            for end in of_its {
                tab.read_back(end.group, nodes[tab.node()]).await;
                tab.assert_shows(end.group, &end.stored);
            }
        }
    }
}

/// Both sitters have the last word in all their rooms, one corrects it in one of them, and no node hears any of it by Redis. Then
/// one loses its connection, the other
/// hears the next word in its own room.
async fn last_words(tabs: &mut [Tab], relays: &[RedisRelay; NODES]) {
    for relay in relays {
        relay.events(Events::AreLost);
    }
    let sitters = &mut tabs[WANDERERS..];
    for (node, sitter) in sitters.iter_mut().enumerate() {
        for room in 0..=SHARED.len() {
            let text = sitter.says(room).await;
            for (listening, relay) in relays.iter().enumerate() {
                // In the room and in the list of rooms.
                let events = if room < SHARED.len() || node == listening { 2 } else { 1 };
                relay.has_lost(events, &text).await;
            }
        }
    }
    // In the list of rooms too nothing comes after this that would tell of it.
    let text = sitters[1].corrects(STILL).await;
    for relay in relays {
        relay.has_lost(2, &text).await;
    }
    relays[0].cut();
    relays[1].events(Events::Come);
    sitters[1].says(SHARED.len()).await;
}

/// What the store has in the end of a room.
#[derive(Debug, PartialEq)]
struct Ending {
    group: &'static str,
    head: Position,
    stored: Vec<Stored>,
}

impl Ending {
    async fn of(group: &'static str, node: &Program) -> Self {
        let (epoch, stored) = node.all_messages(group).await;
        let stored = stored.into_iter().map(|message| serde_json::from_value(message).expect("a message")).collect();
        let (_, newest) = node.api(&format!("/api/v1/rooms/{group}/messages?limit=1")).await;
        let newest: Stretch = serde_json::from_value(newest).expect("a stretch");
        assert_eq!(newest.epoch.as_str(), epoch);
        Self { group, head: Position { epoch: newest.epoch, offset: newest.offset }, stored }
    }
}

/// What was acknowledged is in the store where the answer said, and nothing is twice, or was never asked for.
fn audit(tabs: &[Tab], Ending { group, stored, .. }: &Ending) {
    // Between them are the changes.
    assert!(stored.is_sorted_by(|one, next| one.offset < next.offset));
    let mut taken: HashSet<Offset> = stored.iter().map(|message| message.offset).collect();
    let key_of = |message: &Stored| (message.message.from.id.clone(), message.message.key.clone());
    let mut places: HashMap<_, _> = stored.iter().map(|message| (key_of(message), message)).collect();
    assert_eq!(places.len(), stored.len(), "a command is there twice");
    for (you, Asking { said, changed }) in tabs.iter().filter_map(|tab| tab.asked(group)) {
        for said in said {
            let found = places.remove(&(you.id.clone(), said.key.clone()));
            assert!(said.place.is_none() || said.place == found.map(|found| found.offset), "{said:?}: {found:?}");
            if let Some(found) = found {
                crate::tab::assert_says(found, &said.text, changed);
            }
        }
        // No two edits have one text, so each has made a change of its own.
        for edit in changed.iter().filter(|changed| matches!(changed.what, What::Edit(_))) {
            assert!(edit.place.is_none_or(|place| taken.insert(place)), "{edit:?} is where something else is");
        }
    }
    assert!(places.is_empty(), "nobody has said {places:?}");
}
