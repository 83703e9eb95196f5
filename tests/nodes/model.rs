//! A model test: tabs on two nodes, which talk, leave, come back on the other node and are opened anew while nodes are killed and
//! stopped and started and Redis comes and goes, at random. When all is well again, what each tab shows is what the store has,
//! every command that was acknowledged is in it exactly once and where the answer said, and none of the others twice. They edit, delete
//! and react too: what a message says in the end is what the last of these has made of it.
//!
//! A node is a process of its own. A tab holds its room with the reducer of the real page, [`RoomState`], and treats it as the page
//! does: it joins with its position, and sends again, with the keys they had, the commands that have no answer.
//!
//! What happens is drawn from a seed. [`SEEDS`] are those of every run; `MODEL_SEEDS="17 18"` names others to run in their place.

use std::collections::{HashMap, HashSet, VecDeque};

use confab::{
    app::{Input, RoomState, Row, RowKey},
    server::settings::Backend,
    wire::{
        Answer, Code, Command, Delete, Edit, Join, Key, MessageId, Offset, Outcome, Person, Ping, Position, React, Request,
        Send, ServerFrame, Stored, Stretch, Timestamp, Topic,
    },
};
use futures_util::{SinkExt as _, StreamExt as _};
use proptest::{
    prelude::*,
    sample::Index,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use crate::{
    app::{Http as _, Program},
    clients::connect,
    cluster::{Victim, ready},
    support::{postgres::Postgres, redis::Redis},
    within,
};

const SEEDS: [u64; 4] = [1, 2, 3, 4];
const GROUP: &str = "s-model";
const TABS: usize = 6;
const STEPS: usize = 150;

/// What may happen. Where it cannot, nothing does: nobody comes to a node that is dead.
#[derive(Clone, Debug)]
enum Step {
    /// A tab sends commands, one right after the other, and waits for no answer.
    Acts(usize, Vec<Act>),
    /// A tab takes in what has come, up to the last answer that it waits for.
    Listens(usize),
    /// A tab's connection ends where it is, in the midst of a command perhaps.
    Drops(usize),
    /// A tab connects to a node, with its position, and sends again what has no answer.
    Comes(usize, usize),
    /// A tab is closed, and its person opens another one on a node. What had no answer is forgotten.
    Opens(usize, usize),
    /// `kill -9` of a node.
    Kills(usize),
    /// A node is asked to stop.
    Stops(usize),
    /// A node is started, if it is down.
    Starts(usize),
    KillsRedis,
    StartsRedis,
}

/// A command of a tab.
#[derive(Clone, Debug)]
enum Act {
    /// Says something.
    Says,
    /// Sends a command once more, with the same key, whatever became of it: one of the person's, in this tab or an earlier one.
    Repeats(Index),
    /// Says one of the person's messages that it shows differently.
    Edits(Index),
    /// Takes one of these back.
    Deletes(Index),
    /// Puts a reaction to any message that it shows, or takes it away.
    Reacts(Index, bool),
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
    let (tab, node) = (0..TABS, 0..2_usize);
    let acts = prop::collection::vec(act(), 1..12);
    prop_oneof![
        30 => (tab.clone(), acts).prop_map(|(tab, acts)| Step::Acts(tab, acts)),
        12 => tab.clone().prop_map(Step::Listens),
        6 => tab.clone().prop_map(Step::Drops),
        18 => (tab.clone(), node.clone()).prop_map(|(tab, node)| Step::Comes(tab, node)),
        4 => (tab, node.clone()).prop_map(|(tab, node)| Step::Opens(tab, node)),
        4 => node.clone().prop_map(Step::Kills),
        3 => node.clone().prop_map(Step::Stops),
        12 => node.prop_map(Step::Starts),
        3 => Just(Step::KillsRedis),
        4 => Just(Step::StartsRedis),
    ]
}

/// What happens with a seed.
fn steps(seed: u64) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    prop::collection::vec(step(), STEPS).new_tree(&mut runner).expect("steps").current()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_on_two_nodes_every_page_shows_what_the_store_has() {
    let named = std::env::var("MODEL_SEEDS").ok();
    let named = named.map(|seeds| seeds.split_whitespace().map(|seed| seed.parse().expect("a number")).collect());
    for seed in named.unwrap_or_else(|| SEEDS.to_vec()) {
        println!("MODEL_SEEDS={seed}");
        let mut world = World::new().await;
        for step in steps(seed) {
            println!("{step:?}");
            world.take(step).await;
        }
        world.end().await;
    }
}

/// Two nodes and all that is around them.
struct World {
    redis: Redis,
    redis_is_there: bool,
    database: String,
    nodes: [Option<Victim>; 2],
    tabs: Vec<Tab>,
    _postgres: std::sync::Arc<Postgres>,
}

impl World {
    /// Where all is well and each tab is open.
    async fn new() -> Self {
        let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
        let database = postgres.database().await;
        let mut world =
            Self { redis, redis_is_there: true, database, nodes: [None, None], tabs: Vec::new(), _postgres: postgres };
        world.start(0).await;
        world.start(1).await;
        for number in 0..TABS {
            let mut tab = Tab::new(number);
            tab.open(number % 2, world.node(number % 2).expect("it was started")).await;
            assert!(tab.link.is_some());
            world.tabs.push(tab);
        }
        world
    }

    fn node(&self, node: usize) -> Option<&Program> {
        self.nodes[node].as_ref().map(|node| &node.program)
    }

    async fn start(&mut self, node: usize) {
        if self.nodes[node].is_none() {
            self.nodes[node] = Some(Victim::start(Backend::RedisCore, &self.redis, &self.database).await);
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Acts(tab, acts) => self.tabs[tab].act(acts).await,
            Step::Listens(tab) => self.tabs[tab].listen().await,
            Step::Drops(tab) => self.tabs[tab].link = None,
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
        }
    }

    async fn stop(&mut self, node: usize) {
        let Some(Victim { program, .. }) = self.nodes[node].take() else { return };
        program.terminate();
        // It waits for those whom it says goodbye to.
        for tab in self.tabs.iter_mut().filter(|tab| tab.link.as_ref().is_some_and(|link| link.node == node)) {
            tab.hear_all().await;
        }
        assert_eq!(program.status().await.code(), Some(0));
    }

    /// Brings everything back and everybody level, and compares.
    async fn end(mut self) {
        self.take(Step::StartsRedis).await;
        for node in 0..2 {
            self.start(node).await;
            ready(self.node(node).expect("it was started")).await;
        }
        let [Some(a), Some(b)] = &self.nodes else { unreachable!("both were started") };
        for (number, tab) in self.tabs.iter_mut().enumerate() {
            let node = number % 2;
            let settling = async {
                // It may not know yet that its node was killed.
                tab.listen().await;
                while tab.link.is_none() || tab.state.unsent().next().is_some() {
                    tab.come(node, [&a.program, &b.program][node]).await;
                    tab.listen().await;
                }
            };
            within("an answer to every command", Box::pin(settling)).await;
        }
        let on_one = a.program.all_messages(GROUP).await;
        assert_eq!(on_one, b.program.all_messages(GROUP).await);
        let (epoch, stored) = on_one;
        let stored: Vec<Stored> =
            stored.into_iter().map(|message| serde_json::from_value(message).expect("a message")).collect();
        self.audit(&stored);
        let (_, newest) = a.program.api(&format!("/api/v1/rooms/{GROUP}/messages?limit=1")).await;
        let newest: Stretch = serde_json::from_value(newest).expect("a stretch");
        let head = Position { epoch: epoch.parse().expect("an epoch"), offset: newest.offset };
        assert_eq!(newest.epoch, head.epoch);
        for (number, tab) in self.tabs.iter_mut().enumerate() {
            tab.hear_up_to(&head).await;
            tab.read_back([&a.program, &b.program][number % 2]).await;
            tab.assert_shows(&stored);
        }
    }

    /// What was acknowledged is in the store where the answer said, and nothing is twice, or was never asked for.
    fn audit(&self, stored: &[Stored]) {
        // Between them are the changes.
        assert!(stored.is_sorted_by(|one, next| one.offset < next.offset));
        let mut taken: HashSet<Offset> = stored.iter().map(|message| message.offset).collect();
        let key_of = |message: &Stored| (message.message.from.id.clone(), message.message.key.clone());
        let mut places: HashMap<_, _> = stored.iter().map(|message| (key_of(message), message)).collect();
        assert_eq!(places.len(), stored.len(), "a command is there twice");
        for tab in &self.tabs {
            for said in &tab.said {
                let found = places.remove(&(tab.you().id.clone(), said.key.clone()));
                assert!(said.place.is_none() || said.place == found.map(|found| found.offset), "{said:?}: {found:?}");
                if let Some(found) = found {
                    tab.assert_says(found, &said.text);
                }
            }
            // No two edits have one text, so each has made a change of its own.
            for edit in tab.changed.iter().filter(|changed| matches!(changed.what, What::Edit(_))) {
                assert!(edit.place.is_none_or(|place| taken.insert(place)), "{edit:?} is where something else is");
            }
        }
        assert!(places.is_empty(), "nobody has said {places:?}");
    }
}

/// A person's tab, and what the person remembers over all of them.
struct Tab {
    cookie: String,
    you: Option<Person>,
    state: RoomState,
    /// None while it is not connected, as far as it knows.
    link: Option<Link>,
    /// Every message of the person's.
    said: Vec<Said>,
    /// Every change of the person's. One without an answer is not made again: it was made or it was not.
    changed: Vec<Changed>,
}

#[derive(Debug)]
struct Changed {
    message: MessageId,
    what: What,
    /// What the answer said, if one came and it was not refused: where the message's last change stands, if this was none.
    place: Option<Offset>,
    /// It has an answer.
    settled: bool,
}

#[derive(Debug, PartialEq)]
enum What {
    Edit(String),
    Delete,
    React,
}

#[derive(Debug)]
struct Said {
    key: Key,
    text: String,
    /// What the answer said, if one came.
    place: Option<Offset>,
}

/// A connection.
struct Link {
    node: usize,
    socket: WebSocketStream<TcpStream>,
    last_id: u64,
    /// What has no answer yet, in the order in which it was sent.
    waiting: VecDeque<(u64, Asked)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    /// To join; `anew`: without a position.
    Join {
        anew: bool,
    },
    /// The person's message of this number.
    Said(usize),
    /// The person's change of this number.
    Changed(usize),
    Ping,
}

/// A room in which nothing was said.
fn empty(epoch: &str) -> RoomState {
    let (offset, messages) = (Offset::START, Vec::new());
    RoomState::new(Stretch { epoch: epoch.parse().expect("a name"), offset, first: offset.next(), latest: offset, messages })
}

fn topic() -> Topic {
    Topic::Room(GROUP.parse().expect("a name"))
}

impl Link {
    /// Connects and asks to join.
    async fn begin(node: usize, program: &Program, cookie: &str, since: Option<Position>) -> Result<(Self, Person), Error> {
        let headers = [("sec-websocket-protocol", "confab.v1"), ("cookie", cookie)];
        let socket = connect(program.address, "/ws/", &headers).await?;
        let mut link = Self { node, socket, last_id: 0, waiting: VecDeque::new() };
        let ServerFrame::Welcome { welcome } = link.frame().await? else { panic!("no welcome") };
        let anew = since.is_none();
        link.ask(Asked::Join { anew }, Command::Join(Join { topic: topic(), since })).await?;
        Ok((link, welcome.you))
    }

    async fn ask(&mut self, asked: Asked, command: Command) -> Result<(), Error> {
        self.last_id += 1;
        self.waiting.push_back((self.last_id, asked));
        let request = serde_json::to_string(&Request { id: self.last_id, command }).expect("JSON");
        within("room to send", self.socket.send(Message::text(request))).await
    }

    async fn frame(&mut self) -> Result<ServerFrame, Error> {
        loop {
            match within("a frame", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("a frame of confab.v1")),
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Err(Error::ConnectionClosed),
                Some(Ok(other)) => panic!("not text: {other:?}"),
                Some(Err(error)) => return Err(error),
            }
        }
    }
}

impl Tab {
    fn new(number: usize) -> Self {
        let (said, changed) = Default::default();
        Self { cookie: format!("confab_guest={number:032x}"), you: None, state: empty("none"), link: None, said, changed }
    }

    /// What one of the person's messages says in the end is what the last change has made of it, as far as answers tell.
    fn assert_says(&self, found: &Stored, first: &str) {
        let content = &found.message.content;
        let of_it: Vec<_> = self.changed.iter().filter(|changed| changed.message.to_string() == found.message.id).collect();
        let deletions = || of_it.iter().filter(|changed| changed.what == What::Delete);
        assert!(!content.deleted || deletions().next().is_some(), "nobody has deleted {found:?}");
        if content.deleted {
            return;
        }
        assert!(deletions().all(|deletion| !deletion.settled), "{found:?} was deleted");
        let last =
            of_it.iter().filter(|changed| matches!(changed.what, What::Edit(_))).filter_map(|changed| changed.place).max();
        let may_say = |changed: &&&Changed| !changed.settled || last.is_some() && changed.place == last;
        let mut texts = of_it.iter().filter(may_say).filter_map(|changed| match &changed.what {
            What::Edit(text) => Some(text.as_str()),
            What::Delete | What::React => None,
        });
        assert!((last.is_none() && content.text == first) || texts.any(|text| text == content.text), "{found:?}: {of_it:?}");
    }

    fn you(&self) -> &Person {
        self.you.as_ref().expect("it was connected")
    }

    /// Opens another tab of the same person; nothing comes of it where the node dies meanwhile.
    async fn open(&mut self, node: usize, program: &Program) {
        let opened = self.try_link(node, program, None).await;
        self.keep(opened);
    }

    /// Connects again with what is there.
    async fn come(&mut self, node: usize, program: &Program) {
        let mut came = self.try_link(node, program, Some(self.state.position().clone())).await;
        if came.is_ok() {
            came = self.try_send_again().await;
        }
        self.keep(came);
    }

    async fn try_link(&mut self, node: usize, program: &Program, since: Option<Position>) -> Result<(), Error> {
        self.link = None;
        let (link, you) = Link::begin(node, program, &self.cookie, since).await?;
        assert!(self.you.replace(you.clone()).is_none_or(|before| before == you));
        self.link = Some(link);
        self.try_listen().await
    }

    /// After an error the connection is gone.
    fn keep(&mut self, done: Result<(), Error>) {
        if done.is_err() {
            self.link = None;
        }
    }

    async fn act(&mut self, acts: Vec<Act>) {
        for act in acts {
            let sent = match act {
                Act::Says => {
                    let number = self.say();
                    self.try_send(number).await
                }
                Act::Repeats(_) if self.said.is_empty() => continue,
                Act::Repeats(which) => self.try_send(which.index(self.said.len())).await,
                Act::Edits(which) => self.try_edit(which).await,
                Act::Deletes(which) => self.try_delete(which).await,
                Act::Reacts(which, on) => self.try_react(which, on).await,
            };
            self.keep(sent);
        }
    }

    /// Writes something down; gives its number.
    fn say(&mut self) -> usize {
        let number = self.said.len();
        let (key, text) = (format!("k{number}").parse::<Key>().expect("a key"), format!("{} says {number}", self.you().name));
        let (from, at) = (self.you().clone(), Timestamp::from_millis(0));
        self.said.push(Said { key: key.clone(), text: text.clone(), place: None });
        self.apply(Input::Composed { key, from, text, at });
        number
    }

    /// Sends a command as far as there is a connection.
    async fn try_send(&mut self, number: usize) -> Result<(), Error> {
        let Said { key, text, .. } = &self.said[number];
        let command = Command::Send(Send { topic: topic(), key: key.clone(), text: text.clone() });
        match &mut self.link {
            Some(link) => link.ask(Asked::Said(number), command).await,
            None => Ok(()),
        }
    }

    /// One of the messages that it shows, of the person's own where `mine`.
    fn shown(&self, which: Index, mine: bool) -> Option<MessageId> {
        let you = self.you.as_ref()?;
        let fits = |row: &&Row| !row.content.deleted && (!mine || row.from.id == you.id);
        let ids: Vec<_> = self.state.rows().iter().filter(fits).filter_map(|row| self.state.id(row)).collect();
        (!ids.is_empty()).then(|| which.get(&ids).clone())
    }

    async fn try_edit(&mut self, which: Index) -> Result<(), Error> {
        let Some(message) = self.shown(which, true) else { return Ok(()) };
        let text = format!("edit {}", self.changed.len());
        let edit = Edit { topic: topic(), message: message.clone(), text: text.clone() };
        self.try_change(message, What::Edit(text), Command::Edit(edit)).await
    }

    async fn try_delete(&mut self, which: Index) -> Result<(), Error> {
        let Some(message) = self.shown(which, true) else { return Ok(()) };
        let delete = Delete { topic: topic(), message: message.clone() };
        self.try_change(message, What::Delete, Command::Delete(delete)).await
    }

    async fn try_react(&mut self, which: Index, on: bool) -> Result<(), Error> {
        let Some(message) = self.shown(which, false) else { return Ok(()) };
        let emoji = "👍".parse().expect("an emoji");
        let react = React { topic: topic(), message: message.clone(), emoji, on };
        self.try_change(message, What::React, Command::React(react)).await
    }

    async fn try_change(&mut self, message: MessageId, what: What, command: Command) -> Result<(), Error> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let number = self.changed.len();
        self.changed.push(Changed { message, what, place: None, settled: false });
        link.ask(Asked::Changed(number), command).await
    }

    /// What this tab has said and has no answer to.
    async fn try_send_again(&mut self) -> Result<(), Error> {
        let pending: HashSet<String> = self.state.pending().map(|row| row.key.key().to_owned()).collect();
        for number in 0..self.said.len() {
            if pending.contains(self.said[number].key.as_str()) {
                self.try_send(number).await?;
            }
        }
        Ok(())
    }

    async fn listen(&mut self) {
        let listened = self.try_listen().await;
        self.keep(listened);
    }

    /// On one connection nothing overtakes: what came before the answer to a ping is here.
    async fn try_listen(&mut self) -> Result<(), Error> {
        if let Some(link) = &mut self.link {
            link.ask(Asked::Ping, Command::Ping(Ping {})).await?;
        }
        while self.link.as_ref().is_some_and(|link| !link.waiting.is_empty()) {
            self.try_take().await?;
        }
        Ok(())
    }

    /// To the end of the connection.
    async fn hear_all(&mut self) {
        while self.try_take().await.is_ok() {}
        self.link = None;
    }

    async fn hear_up_to(&mut self, head: &Position) {
        assert_eq!(self.state.position().epoch, head.epoch);
        while self.state.position().offset < head.offset {
            self.try_take().await.expect("the node lives");
        }
    }

    /// Takes in the next frame.
    async fn try_take(&mut self) -> Result<(), Error> {
        let link = self.link.as_mut().expect("it is connected");
        match link.frame().await? {
            ServerFrame::Push(push) => {
                assert_eq!(push.topic, topic());
                self.apply(Input::Pushed(push));
            }
            ServerFrame::Reply(reply) => {
                let (id, asked) = link.waiting.pop_front().expect("an answer to something");
                assert_eq!(reply.id, Some(id));
                self.answered(asked, reply.outcome);
            }
            ServerFrame::Welcome { .. } => panic!("a second welcome"),
        }
        Ok(())
    }

    fn answered(&mut self, asked: Asked, outcome: Outcome) {
        match (asked, outcome) {
            (Asked::Join { anew }, Outcome::Ok(Answer::Joined { at, state })) => {
                // Nothing is ever forgotten here, and nobody is away for long.
                assert_eq!(state.recovered, !anew, "since {:?}: {at:?}", self.state.position());
                if anew {
                    self.state = empty(at.epoch.as_str());
                }
                self.apply(Input::Joined(at, state));
            }
            (Asked::Said(number), Outcome::Ok(Answer::Sent { offset: Some(place) })) => {
                let said = &mut self.said[number];
                assert!(said.place.is_none_or(|before| before == place), "{said:?} is at {place} now");
                said.place = Some(place);
                let key = RowKey::new(&self.you.as_ref().expect("it was connected").id, said.key.as_str());
                self.apply(Input::Accepted { key, offset: Some(place) });
            }
            (Asked::Changed(number), Outcome::Ok(Answer::Sent { offset: Some(place) })) => {
                let changed = &mut self.changed[number];
                (changed.settled, changed.place) = (true, Some(place));
            }
            // Another command has deleted it.
            (Asked::Changed(number), Outcome::Error(error)) if error.code == Code::NotFound => {
                self.changed[number].settled = true;
            }
            (Asked::Changed(_), Outcome::Error(error)) if error.code == Code::Unavailable => {}
            // It stays among what has no answer.
            (Asked::Said(_), Outcome::Error(error)) if error.code == Code::Unavailable => {}
            (Asked::Ping, Outcome::Ok(_)) => {}
            (asked, outcome) => panic!("{asked:?} is answered with {outcome:?}"),
        }
    }

    /// Nothing is missing on a connection.
    fn apply(&mut self, input: Input) {
        self.state.apply(input.clone()).unwrap_or_else(|_| panic!("a hole after {:?}: {input:?}", self.state.position()));
    }

    /// Reads what was said before the tab was opened, as it does when it is scrolled.
    async fn read_back(&mut self, program: &Program) {
        while let Some(before) = self.state.older_than() {
            let (status, body) = program.api(&format!("/api/v1/rooms/{GROUP}/messages?before={before}&limit=50")).await;
            assert_eq!(status, 200, "{body}");
            let stretch: Stretch = serde_json::from_value(body).expect("a stretch");
            self.apply(Input::Older(before, stretch));
        }
    }

    fn assert_shows(&self, stored: &[Stored]) {
        let shown: Vec<_> =
            self.state.rows().iter().map(|row| (row.offset, row.key.key(), &row.from, &row.content, row.at)).collect();
        let stored: Vec<_> = stored
            .iter()
            .map(|Stored { offset, message }| {
                (Some(*offset), message.key.as_str(), &message.from, &message.content, Some(message.at))
            })
            .collect();
        assert_eq!(shown, stored);
    }
}
