//! The stores in databases do what the store in memory does: random commands to all of them, several at once, and each gives the same
//! answers, hands on the same commits and holds the same.

use std::{fmt::Write as _, sync::Arc};

use confab::{
    server::{
        rooms::may_change,
        store::{Bounds, ChangeError, Commits, Log, MemoryStore, NewChange, NewMessage, PostgresStore, Slice, SqliteStore},
    },
    wire::{Act, Emoji, Epoch, Group, MessageId, Offset, Person, Timestamp},
};
use futures_util::future::join_all;
use parking_lot::Mutex;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::{
    group, postgres, sqlite,
    support::{postgres::Postgres, within},
};

const CASES: u32 = 24;
const ROOMS: [&str; 2] = ["red", "green"];
const PEOPLE: [&str; 2] = ["ann", "bob"];
const EMOJI: [&str; 2] = ["👍", "🎉"];

/// What is done to one room, by number.
#[derive(Clone, Debug)]
enum Command {
    /// With this key, by somebody.
    Say(usize, usize),
    /// To the message at this offset, if there is one.
    Edit(u64, usize, String),
    Delete(u64, usize),
    React(u64, usize, Emoji, bool),
}

#[derive(Clone, Debug)]
enum Step {
    /// All of it waits before the first is done. Each says in which room it is.
    Write(Vec<(usize, Command)>),
    /// What is over the bounds goes, in one room.
    Forget(usize, Bounds),
}

fn command() -> impl Strategy<Value = Command> {
    let (target, person) = (1..40_u64, 0..PEOPLE.len());
    let emoji = (0..EMOJI.len()).prop_map(|emoji| EMOJI[emoji].parse().expect("an emoji"));
    prop_oneof![
        16 => (0..30_usize, person.clone()).prop_map(|(key, person)| Command::Say(key, person)),
        9 => (target.clone(), person.clone(), 0..3_u8)
            .prop_map(|(target, person, text)| Command::Edit(target, person, format!("edited {text}"))),
        3 => (target.clone(), person.clone()).prop_map(|(target, person)| Command::Delete(target, person)),
        12 => (target, person, emoji, any::<bool>())
            .prop_map(|(target, person, emoji, on)| Command::React(target, person, emoji, on)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let bound = |most: u64| proptest::option::of(1..=most);
    let bounds = (bound(12), bound(60), bound(12)).prop_map(|(messages, since, changes)| {
        let since = since.map(|since| Timestamp::from_millis(since.cast_signed()));
        Bounds { messages, since, changes }
    });
    prop_oneof![
        4 => vec((0..ROOMS.len(), command()), 1..12).prop_map(Step::Write),
        1 => (0..ROOMS.len(), bounds).prop_map(|(room, bounds)| Step::Forget(room, bounds)),
    ]
}

/// A store, and what it has done.
struct Side {
    store: Box<dyn Log>,
    /// The rooms' epochs, which differ from store to store.
    epochs: Vec<Epoch>,
    committed: Arc<Mutex<Vec<String>>>,
    _reader: JoinHandle<()>,
}

impl Side {
    async fn new(store: impl Log + 'static, mut commits: Commits) -> Self {
        let committed = Arc::new(Mutex::new(Vec::new()));
        let (store, noted): (Box<dyn Log>, _) = (Box::new(store), Arc::clone(&committed));
        let mut epochs = Vec::new();
        for room in ROOMS {
            epochs.push(store.read(&group(room), Slice::Latest, 1, 1).await.expect("a page").head.epoch);
        }
        let reader = tokio::spawn(async move {
            while let Some(commit) = commits.recv().await {
                noted.lock().push(format!("{} {:?} {:?}", commit.group, commit.entry, commit.latest));
                commit.acknowledge();
            }
        });
        Self { store, epochs, committed, _reader: reader }
    }

    /// A text without what differs from store to store.
    fn plain(&self, text: String) -> String {
        self.epochs.iter().fold(text, |text, epoch| text.replace(epoch.as_str(), "epoch"))
    }

    async fn run(&self, room: usize, command: &Command, now: i64) -> String {
        let at = Timestamp::from_millis(now);
        let person = |number: usize| Person::new(PEOPLE[number].to_owned(), format!("the {now}th"));
        let group: Group = group(ROOMS[room]);
        let message = |offset: u64| MessageId { epoch: self.epochs[room].clone(), offset: Offset(offset) };
        let (by, act) = match command {
            Command::Say(key, by) => {
                (by, Act::Send { key: format!("k{key}").parse().expect("a key"), text: format!("said at {now}") })
            }
            Command::Edit(target, by, text) => (by, Act::Edit { message: message(*target), text: text.clone() }),
            Command::Delete(target, by) => (by, Act::Delete { message: message(*target) }),
            Command::React(target, by, emoji, on) => {
                (by, Act::React { message: message(*target), emoji: emoji.clone(), on: *on })
            }
        };
        let from = person(*by);
        let done = match (act.change(&from, at), act) {
            (Some(change), _) => self.store.change(NewChange { group, change, from, at, rule: may_change }).await,
            (None, Act::Send { key, text }) => {
                self.store.append(NewMessage { group, key, from, text, at }).await.map_err(ChangeError::from)
            }
            (None, act) => panic!("{act:?}"),
        };
        match done {
            Ok(appended) => format!("{} {}", appended.position.offset.0, appended.fresh),
            Err(ChangeError::Refused(refused)) => format!("{refused:?}"),
            Err(ChangeError::Store(error)) => panic!("{command:?}: {error}"),
        }
    }

    async fn write(&self, commands: &[(usize, Command)], now: i64) -> Vec<String> {
        let writing = (now..).zip(commands).map(|(now, (room, command))| self.run(*room, command, now));
        join_all(writing).await
    }

    /// All that can be read of a room, as a whole and by parts.
    async fn holds(&self, room: usize) -> String {
        let group = group(ROOMS[room]);
        let mut all = String::new();
        for after in [0, 3, 10, 25, 60] {
            let missed = self.store.entries(&group, Offset(after), 9, usize::MAX).await.expect("entries");
            writeln!(all, "after {after}: {missed:?}").expect("a text");
        }
        for slice in [Slice::Latest, Slice::Before(Offset(12)), Slice::After(Offset(7)), Slice::Around(Offset(20))] {
            writeln!(all, "{slice:?}: {:?}", self.store.read(&group, slice, 7, usize::MAX).await.expect("a page"))
                .expect("a text");
        }
        let missed = self.store.entries(&group, Offset(0), usize::MAX, usize::MAX).await.expect("entries");
        writeln!(all, "{missed:?}").expect("a text");
        self.plain(all)
    }

    /// Drops until the room begins where that of the other side does: changes wait for the index.
    async fn forget(&self, room: usize, bounds: Bounds, like: &Self) {
        let group = group(ROOMS[room]);
        let beginning = async |side: &Self| side.store.entries(&group, Offset(0), 0, 0).await.expect("entries").first;
        let expected = beginning(like).await;
        let forgetting = async {
            loop {
                self.store.forget(&group, bounds).await.expect("dropped");
                if beginning(self).await == expected {
                    return;
                }
            }
        };
        within("the same beginning", forgetting).await;
    }
}

async fn compare(memory: &Side, others: &[Side], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut now = 0;
    for step in steps {
        match step {
            Step::Write(commands) => {
                let expected = memory.write(&commands, now).await;
                for other in others {
                    prop_assert_eq!(&other.write(&commands, now).await, &expected, "{:?}", commands);
                }
                now += 10;
            }
            Step::Forget(room, bounds) => {
                memory.store.forget(&group(ROOMS[room]), bounds).await.expect("dropped");
                for other in others {
                    other.forget(room, bounds, memory).await;
                }
            }
        }
        for room in 0..ROOMS.len() {
            let expected = memory.holds(room).await;
            for other in others {
                prop_assert_eq!(&other.holds(room).await, &expected);
            }
        }
    }
    for other in others {
        let committed = |side: &Side| side.plain(side.committed.lock().join("\n"));
        prop_assert_eq!(committed(other), committed(memory));
    }
    Ok(())
}

#[test]
fn databases_do_what_memory_does() {
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(Postgres::shared());
    let mut runner = TestRunner::new(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&vec(step(), 1..14), |steps| {
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let (in_memory, commits) = MemoryStore::new(10_000);
            let memory = Side::new(in_memory, commits).await;
            let (on_disk, commits): (SqliteStore, _) = sqlite::open(folder.path());
            let disk = Side::new(on_disk, commits).await;
            let (in_postgres, commits): (PostgresStore, _) = postgres::open(&server.database().await).await;
            let postgres = Side::new(in_postgres, commits).await;
            let others = [disk, postgres];
            let compared = compare(&memory, &others, steps).await;
            for side in &others {
                side.store.close().await;
            }
            compared
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
