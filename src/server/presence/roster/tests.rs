//! Several rosters that write to each other over lines that the test holds in its hands.

use std::{collections::HashSet, time::Duration};

use proptest::prelude::*;

use super::{super::letters::PIECE, *};
use crate::{
    app::{Input, RoomState},
    wire::{Mine, Offset, Stretch},
};

const TIMES: Times = Times {
    batch: Duration::from_secs(1),
    grace: Duration::from_secs(10),
    beat: Duration::from_secs(15),
    silence: Duration::from_secs(45),
    typing: Duration::from_secs(3),
};

/// How far the clock goes at a time.
const STEP: Duration = Duration::from_millis(250);

/// The grace but for one step.
const ALMOST: Duration = Duration::from_millis(9_750);

fn room(name: &str) -> Group {
    name.parse().unwrap()
}

fn known(id: &str, name: &str, at: i64) -> Known {
    Known { id: id.into(), name: name.into(), at }
}

fn channel(life: usize) -> Channel {
    format!("specific.{life}!p").parse().unwrap()
}

/// One node, and a page in the room `a` there.
struct Node {
    roster: Roster,
    page: Option<RoomState>,
    pushes: Vec<Presence>,
    /// Says that nothing it sends arrives, and nothing reaches it.
    cut: bool,
}

/// Nodes, and what is on its way between them.
struct Cluster {
    now: Instant,
    nodes: Vec<Node>,
    lives: usize,
    /// Names get a later time each.
    clock: i64,
    lost: usize,
}

impl Cluster {
    fn of(count: usize) -> Self {
        let mut cluster = Self { now: Instant::now(), nodes: Vec::new(), lives: 0, clock: 0, lost: 0 };
        for _ in 0..count {
            let node = cluster.fresh();
            cluster.nodes.push(node);
        }
        cluster.run(Duration::from_secs(2));
        cluster
    }

    fn fresh(&mut self) -> Node {
        self.lives += 1;
        let roster = Roster::new(channel(self.lives), TIMES, self.now);
        Node { roster, page: None, pushes: Vec::new(), cut: false }
    }

    /// A node dies, and one of another name is started in its place.
    fn restart(&mut self, node: usize) {
        self.nodes[node] = self.fresh();
    }

    fn enter(&mut self, node: usize, person: &str, name: &str) {
        self.clock += 1;
        let Node { roster, page, .. } = &mut self.nodes[node];
        roster.enter(&room("a"), known(person, name, self.clock), self.now);
        page.get_or_insert_with(|| {
            let (epoch, offset, messages, mine) = ("e".parse().unwrap(), Offset::START, Vec::new(), Mine::new());
            let empty = Stretch { epoch, offset, first: offset.next(), latest: offset, messages, mine };
            RoomState::new(empty).with_members(roster.members(&room("a")))
        });
    }

    fn exit(&mut self, node: usize, person: &str) {
        self.nodes[node].roster.exit(&room("a"), &person.into(), self.now);
    }

    /// Lets time pass, each node telling its members and the other nodes what is due.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            if self.now >= end {
                return;
            }
            self.now += STEP;
        }
    }

    /// Does what is due now, until nobody has more to say.
    fn settle(&mut self) {
        loop {
            let mut letters = Vec::new();
            for (at, Node { roster, page, pushes, .. }) in self.nodes.iter_mut().enumerate() {
                if !roster.tick(self.now).is_empty() {
                    *page = None;
                }
                for (_, change) in roster.pushes(self.now) {
                    if let Some(page) = page {
                        let topic = crate::wire::Topic::Room(room("a"));
                        let event = crate::wire::Event::Presence(change.clone());
                        page.apply(Input::Pushed(crate::wire::Push { topic, offset: None, event })).unwrap();
                    }
                    pushes.push(change);
                }
                letters.extend(roster.letters(self.now).into_iter().map(|letter| (at, letter)));
            }
            if letters.is_empty() {
                return;
            }
            for (at, (to, letter)) in letters {
                self.carry(at, &to, &letter);
            }
        }
    }

    fn carry(&mut self, from: usize, to: &To, letter: &Letter) {
        let me = self.nodes[from].roster.me.clone();
        // Through its form, which must lose nothing.
        let (signed, letter) = Letter::read(&letter.sign(&me)).unwrap();
        assert_eq!(signed, me);
        let cut = self.nodes[from].cut;
        for Node { roster, cut: deaf, .. } in &mut self.nodes {
            let addressed = *to == To::All || *to == To::One(roster.me.clone());
            if addressed && !cut && !*deaf {
                roster.receive(&me, letter.clone(), self.now);
            } else if addressed {
                self.lost += 1;
            }
        }
    }

    fn names(&mut self, node: usize) -> Vec<(String, String)> {
        let members = self.nodes[node].roster.members(&room("a"));
        assert_eq!(members.count, members.people.len() as u64, "few enough to be named");
        members.people.into_iter().map(|person| (person.id, person.name)).collect()
    }

    fn ids(&mut self, node: usize) -> Vec<String> {
        self.names(node).into_iter().map(|(id, _)| id).collect()
    }

    /// What the members on a node were told since this was asked last.
    fn told(&mut self, node: usize) -> Vec<Presence> {
        std::mem::take(&mut self.nodes[node].pushes)
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn ten_thousand_who_join_within_a_second_are_one_push() {
    let mut cluster = Cluster::of(1);
    for n in 0..10_000 {
        cluster.enter(0, &format!("g{n:05}"), "Guest");
        cluster.now += Duration::from_micros(99);
    }
    cluster.run(seconds(5));
    let told = cluster.told(0);
    let sample: Vec<_> = (0..SAMPLE).map(|n| person(&format!("g{n:05}"), "Guest")).collect();
    assert_eq!(told, [Presence { count: 10_000, people: Some(sample), ..Presence::default() }]);
}

#[test]
fn ten_thousand_people_reach_another_node_and_a_newcomer() {
    let mut cluster = Cluster::of(2);
    for n in 0..10_000 {
        cluster.enter(0, &format!("g{n:05}"), "Guest");
    }
    cluster.run(seconds(2));
    let node = cluster.fresh();
    cluster.nodes.push(node);
    cluster.run(seconds(2));
    for node in &mut cluster.nodes {
        assert_eq!(node.roster.members(&room("a")).count, 10_000);
        assert_eq!(node.roster.census(), (10_000, 3));
    }
    for letter in cluster.nodes[0].roster.state() {
        assert!(matches!(letter, Letter::State { people, .. } if people.len() <= PIECE));
    }
}

#[test]
fn several_tabs_and_nodes_are_one_person() {
    let mut cluster = Cluster::of(2);
    for node in [0, 0, 1, 1] {
        cluster.enter(node, "ann", "Ann");
    }
    cluster.enter(0, "bob", "Bob");
    cluster.run(seconds(3));
    for node in 0..2 {
        assert_eq!(cluster.ids(node), ["ann", "bob"]);
        cluster.told(node);
    }
    for node in [0, 0, 1] {
        cluster.exit(node, "ann");
    }
    cluster.run(seconds(30));
    assert_eq!(
        (cluster.ids(0), cluster.ids(1)),
        (vec!["ann".to_owned(), "bob".to_owned()], vec!["ann".to_owned(), "bob".to_owned()])
    );
    assert_eq!((cluster.told(0), cluster.told(1)), (Vec::new(), Vec::new()));
    cluster.exit(1, "ann");
    cluster.run(TIMES.grace + seconds(2));
    assert_eq!(cluster.ids(0), ["bob"]);
    let gone = Presence { count: 1, left: vec!["ann".to_owned()], ..Presence::default() };
    assert_eq!(cluster.told(0), [gone]);
}

#[test]
fn a_reload_or_another_node_within_the_grace_is_no_event() {
    let mut cluster = Cluster::of(2);
    cluster.enter(0, "bob", "Bob");
    cluster.enter(1, "cleo", "Cleo");
    cluster.enter(0, "ann", "Ann");
    cluster.run(seconds(3));
    cluster.told(0);
    cluster.told(1);
    let mut home = 0;
    for next in [0, 1, 1, 0] {
        cluster.exit(home, "ann");
        cluster.run(seconds(9));
        cluster.enter(next, "ann", "Ann");
        home = next;
        cluster.run(seconds(1));
    }
    cluster.run(TIMES.grace + seconds(5));
    for node in 0..2 {
        assert_eq!(cluster.ids(node), ["ann", "bob", "cleo"]);
        assert_eq!(cluster.told(node), []);
    }
}

#[test]
fn who_stays_away_is_gone_after_the_grace_and_not_before() {
    let mut cluster = Cluster::of(1);
    cluster.enter(0, "ann", "Ann");
    cluster.enter(0, "bob", "Bob");
    cluster.exit(0, "ann");
    cluster.run(ALMOST);
    assert_eq!(cluster.ids(0), ["ann", "bob"]);
    cluster.run(STEP);
    assert_eq!(cluster.ids(0), ["bob"]);
}

#[test]
fn the_people_of_a_node_that_stops_have_the_grace_to_come_back() {
    let mut cluster = Cluster::of(2);
    for person in ["ann", "bob"] {
        cluster.enter(0, person, person);
    }
    cluster.enter(1, "cleo", "cleo");
    cluster.run(seconds(2));
    cluster.told(1);
    cluster.carry(0, &To::All, &Letter::Bye);
    // What it had on its way does not bring it back.
    cluster.carry(0, &To::All, &Letter::Beat { seq: 9, answer: true });
    cluster.restart(0);
    cluster.run(seconds(8));
    assert_eq!(cluster.ids(1), ["ann", "bob", "cleo"]);
    cluster.enter(0, "ann", "ann");
    cluster.run(seconds(5));
    assert_eq!(cluster.ids(1), ["ann", "cleo"]);
    assert_eq!(cluster.told(1), [Presence { count: 2, left: vec!["bob".to_owned()], ..Presence::default() }]);
}

#[test]
fn a_dead_node_is_forgotten_with_its_people_within_a_minute() {
    let mut cluster = Cluster::of(2);
    cluster.enter(0, "ann", "Ann");
    cluster.enter(1, "bob", "Bob");
    cluster.run(seconds(20));
    cluster.nodes[0].cut = true;
    cluster.run(seconds(29));
    assert_eq!(cluster.ids(1), ["ann", "bob"], "it may be slow");
    cluster.run(seconds(31));
    assert_eq!(cluster.ids(1), ["bob"]);
    assert_eq!(cluster.nodes[1].roster.census(), (1, 1));
}

#[test]
fn a_node_that_was_cut_off_goes_on_with_its_own_people_and_is_level_again() {
    let mut cluster = Cluster::of(3);
    for (node, person) in ["ann", "bob", "cleo"].into_iter().enumerate() {
        cluster.enter(node, person, person);
    }
    cluster.run(seconds(2));
    cluster.nodes[0].cut = true;
    cluster.enter(0, "dan", "dan");
    cluster.enter(1, "eve", "eve");
    cluster.run(seconds(60));
    assert_eq!(cluster.ids(0), ["ann", "dan"]);
    assert_eq!(cluster.ids(1), ["bob", "cleo", "eve"]);
    cluster.nodes[0].cut = false;
    let now = cluster.now;
    cluster.nodes[0].roster.doubt(now);
    cluster.run(STEP);
    for node in 0..3 {
        assert_eq!(cluster.ids(node), ["ann", "bob", "cleo", "dan", "eve"], "{node}");
    }
}

#[test]
fn one_lost_change_is_found_by_the_next_or_by_the_beat() {
    for quiet in [false, true] {
        let mut cluster = Cluster::of(2);
        cluster.enter(0, "ann", "ann");
        cluster.run(seconds(2));
        cluster.nodes[1].cut = true;
        cluster.enter(0, "bob", "bob");
        cluster.run(STEP);
        assert!(cluster.lost > 0);
        cluster.nodes[1].cut = false;
        cluster.run(seconds(2));
        assert_eq!(cluster.ids(1), ["ann"]);
        if quiet {
            cluster.run(TIMES.beat);
            assert_eq!(cluster.ids(1), ["ann", "bob"]);
        } else {
            cluster.enter(0, "cleo", "cleo");
            cluster.run(STEP);
            assert_eq!(cluster.ids(1), ["ann", "bob", "cleo"]);
        }
    }
}

#[test]
fn a_state_with_a_lost_piece_is_asked_for_again() {
    let mut cluster = Cluster::of(1);
    for n in 0..=PIECE * 2 {
        cluster.enter(0, &format!("g{n:05}"), "Guest");
    }
    cluster.run(seconds(2));
    let pieces = cluster.nodes[0].roster.state();
    let from = cluster.nodes[0].roster.me.clone();
    let mut newcomer = cluster.fresh().roster;
    for piece in [&pieces[0], &pieces[2]] {
        newcomer.receive(&from, piece.clone(), cluster.now);
    }
    let asks = |newcomer: &mut Roster, now| {
        newcomer.letters(now).into_iter().filter(|(_, letter)| *letter == Letter::Ask).collect::<Vec<_>>()
    };
    assert_eq!(asks(&mut newcomer, cluster.now), [(To::One(from.clone()), Letter::Ask)]);
    for piece in &pieces {
        newcomer.receive(&from, piece.clone(), cluster.now);
    }
    assert_eq!(newcomer.members(&room("a")).count, PIECE as u64 * 2 + 1);
    assert_eq!(asks(&mut newcomer, cluster.now), []);
}

#[test]
fn a_new_name_is_shown_whichever_node_had_the_old_one() {
    let mut cluster = Cluster::of(2);
    cluster.enter(0, "ann", "Ann");
    cluster.enter(1, "bob", "Bob");
    cluster.run(seconds(3));
    cluster.told(0);
    // Another tab, on the other node, while the first one is still called Ann.
    cluster.enter(1, "ann", "Anna");
    cluster.run(seconds(3));
    for node in 0..2 {
        assert_eq!(cluster.names(node)[0], ("ann".to_owned(), "Anna".to_owned()));
    }
    assert_eq!(cluster.told(0), [Presence { count: 2, joined: vec![person("ann", "Anna")], ..Presence::default() }]);
    // And back again on the first node, which had it all the time.
    cluster.enter(0, "ann", "Ann");
    cluster.run(seconds(3));
    for node in 0..2 {
        assert_eq!(cluster.names(node)[0], ("ann".to_owned(), "Ann".to_owned()));
    }
}

#[test]
fn who_joins_between_a_change_and_its_undoing_is_told_of_both() {
    let mut cluster = Cluster::of(1);
    cluster.enter(0, "bob", "Bob");
    cluster.enter(0, "ann", "Ann");
    cluster.run(seconds(2));
    cluster.told(0);
    for (joins, expected) in [(false, None), (true, Some(person("ann", "Ann")))] {
        cluster.enter(0, "ann", "Anna");
        if joins {
            assert_eq!(cluster.names(0)[0].1, "Anna");
        }
        cluster.enter(0, "ann", "Ann");
        cluster.run(seconds(2));
        let joined: Vec<_> = cluster.told(0).into_iter().flat_map(|change| change.joined).collect();
        assert_eq!(joined, Vec::from_iter(expected));
    }
}

#[test]
fn a_page_is_told_whom_to_name_instead_of_somebody_of_its_sample_who_has_gone() {
    let mut cluster = Cluster::of(1);
    let ids: Vec<_> = (0..60).map(|n| format!("g{n:02}")).collect();
    for id in &ids {
        cluster.enter(0, id, id);
    }
    cluster.run(seconds(2));
    cluster.told(0);
    cluster.exit(0, &ids[55]);
    cluster.run(TIMES.grace + seconds(2));
    assert_eq!(cluster.told(0), [Presence { count: 59, left: vec![ids[55].clone()], ..Presence::default() }]);
    cluster.exit(0, &ids[3]);
    cluster.run(TIMES.grace + seconds(2));
    let [Presence { count: 58, joined, left, people: Some(people) }] = &cluster.told(0)[..] else { panic!("a fresh sample") };
    assert_eq!((joined.len(), left.len(), people.len()), (0, 0, SAMPLE));
    assert_eq!(people.last(), Some(&person(&ids[50], &ids[50])));
}

#[test]
fn writing_is_news_every_few_seconds_for_who_is_here() {
    let mut cluster = Cluster::of(2);
    cluster.enter(0, "ann", "Ann");
    let (ann, nobody, a) = (person("ann", "Ann"), person("nobody", "Nobody"), room("a"));
    let now = cluster.now;
    let roster = &mut cluster.nodes[0].roster;
    let later = now + TIMES.typing;
    let news = [(&ann, now), (&ann, later - STEP), (&nobody, now), (&ann, later)].map(|(who, at)| roster.typing(&a, who, at));
    assert_eq!(news, [true, false, false, true]);
    assert!(!roster.typing(&room("b"), &ann, later));
    let me = roster.me.clone();
    let letters = roster.letters(later);
    let typing = Letter::Typing { room: a.clone(), from: ann.clone() };
    assert_eq!(letters.iter().filter(|(to, letter)| *to == To::All && *letter == typing).count(), 2);
    assert_eq!(cluster.nodes[1].roster.receive(&me, typing.clone(), later), Some((a, ann)));
    assert_eq!(cluster.nodes[0].roster.receive(&me, typing, later), None, "one's own");
}

#[test]
fn who_is_alone_writes_nothing_but_that_it_is_there() {
    let mut cluster = Cluster::of(1);
    cluster.enter(0, "ann", "Ann");
    let roster = &mut cluster.nodes[0].roster;
    assert!(roster.typing(&room("a"), &person("ann", "Ann"), cluster.now));
    assert_eq!(roster.letters(cluster.now), []);
    assert_eq!(roster.next_letter(cluster.now), roster.mail.beat);
    assert_eq!(roster.letters(roster.mail.beat), [(To::All, Letter::Beat { seq: 1, answer: false })]);
}

#[test]
fn of_many_writers_a_few_are_told_of() {
    let mut cluster = Cluster::of(1);
    for n in 0..=SEVERAL {
        cluster.enter(0, &format!("g{n}"), "Guest");
    }
    let (a, now) = (room("a"), cluster.now);
    let roster = &mut cluster.nodes[0].roster;
    let mut writes = |n: usize, at| roster.typing(&a, &person(&format!("g{n}"), "Guest"), at);
    for n in 0..=SEVERAL {
        assert_eq!(writes(n, now), n < SEVERAL, "{n}");
    }
    // Whoever goes on writing is told of again; whoever has stopped makes room.
    let later = now + TIMES.typing;
    assert!((1..SEVERAL).all(|n| writes(n, later)) && !writes(SEVERAL, later));
    assert!(writes(SEVERAL, now + SHOWN_WRITING));
}

#[test]
fn nothing_is_kept_of_rooms_without_people() {
    let mut cluster = Cluster::of(2);
    for person in ["ann", "bob"] {
        cluster.enter(0, person, person);
        cluster.run(seconds(2));
        cluster.exit(0, person);
    }
    cluster.run(TIMES.grace + seconds(2));
    for Node { roster, .. } in &cluster.nodes {
        assert!(roster.rooms.is_empty() && roster.due.is_empty() && roster.graces.is_empty() && roster.mail.changed.is_empty());
        assert_eq!(roster.census().0, 0);
    }
}

/// What may happen.
#[derive(Clone, Debug)]
enum Act {
    Enter {
        node: usize,
        person: usize,
        name: usize,
    },
    /// One of the connections goes.
    Exit(usize),
    Wait(u64),
    /// A node's lines are cut, or joined again; with it, the layer says so.
    Cut(usize),
    Join(usize, bool),
    /// A node is killed, or stops and says so, and begins anew.
    Kill(usize),
    Stop(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..3_usize, 0..6_usize, 0..3_usize).prop_map(|(node, person, name)| Act::Enter { node, person, name }),
        6 => any::<usize>().prop_map(Act::Exit),
        6 => (0..20_000_u64).prop_map(Act::Wait),
        2 => (0..3_usize).prop_map(Act::Cut),
        2 => (0..3_usize, any::<bool>()).prop_map(|(node, told)| Act::Join(node, told)),
        1 => (0..3_usize).prop_map(Act::Kill),
        1 => (0..3_usize).prop_map(Act::Stop),
    ]
}

#[test]
fn the_people_of_a_node_are_forgotten_bit_by_bit() {
    let now = Instant::now();
    let (me, other) = (channel(1), channel(2));
    let mut roster = Roster::new(me, TIMES, now);
    let people: Vec<_> =
        (0..5 * STRETCH + 7).map(|n| (room(["a", "b", "c"][n % 3]), known(&format!("g{n}"), "Ann", 1))).collect();
    let state = |seq, people: &[(Group, Known)]| {
        let pieces: Vec<_> = people.chunks(PIECE).map(<[_]>::to_vec).collect();
        let last = pieces.len() - 1;
        let piece = move |(part, people)| Letter::State { seq, part: part as u64, last: part == last, people };
        pieces.into_iter().enumerate().map(piece).collect::<Vec<_>>()
    };
    let receive = |roster: &mut Roster, letters: Vec<Letter>| {
        for letter in letters {
            roster.receive(&other, letter, now);
        }
    };
    receive(&mut roster, state(1, &people));
    while roster.next_tick().is_some_and(|next| next <= now) {
        roster.tick(now);
    }
    assert_eq!(roster.census(), (people.len(), 2));
    // It says once more who is there, and most are not.
    receive(&mut roster, state(2, &people[..10]));
    let mut before = roster.census().0;
    assert!(before >= people.len() - STRETCH);
    while roster.next_tick().is_some_and(|next| next <= now) {
        roster.tick(now);
        let left = roster.census().0;
        assert!(before - left <= STRETCH && left >= 10, "{before} {left}");
        before = left;
    }
    assert_eq!(before, 10);
    // Somebody may come back while the node that has said so is being forgotten.
    receive(&mut roster, state(3, &people));
    let gone = now + TIMES.silence;
    roster.tick(gone);
    assert!(roster.census().0 > 10);
    roster.enter(&room("a"), known("g0", "Ann", 2), gone);
    while roster.next_tick().is_some_and(|next| next <= gone) {
        roster.tick(gone);
        roster.pushes(gone);
    }
    assert_eq!(roster.census(), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever has happened, all nodes and pages know in the end who is there and nobody else.
    #[test]
    fn all_views_are_equal_in_the_end(acts in prop::collection::vec(act(), 0..60)) {
        let mut cluster = Cluster::of(3);
        // The connections that are there.
        let mut open: Vec<(usize, String)> = Vec::new();
        for act in acts {
            match act {
                Act::Enter { node, person, name } => {
                    let id = format!("g{person}");
                    cluster.enter(node, &id, &format!("name {name}"));
                    open.push((node, id));
                }
                Act::Exit(which) if !open.is_empty() => {
                    let (node, id) = open.swap_remove(which % open.len());
                    cluster.exit(node, &id);
                }
                Act::Exit(_) => {}
                Act::Wait(millis) => cluster.run(Duration::from_millis(millis)),
                Act::Cut(node) => cluster.nodes[node].cut = true,
                Act::Join(node, told) => {
                    cluster.nodes[node].cut = false;
                    if told {
                        let now = cluster.now;
                        cluster.nodes[node].roster.doubt(now);
                    }
                }
                Act::Kill(node) | Act::Stop(node) => {
                    if matches!(act, Act::Stop(_)) {
                        cluster.carry(node, &To::All, &Letter::Bye);
                    }
                    cluster.restart(node);
                    open.retain(|(home, _)| *home != node);
                }
            }
        }
        for node in 0..3 {
            cluster.nodes[node].cut = false;
        }
        cluster.run(Duration::from_mins(1));
        let there: HashSet<_> = open.iter().map(|(_, id)| id.clone()).collect();
        for node in 0..3 {
            let names = cluster.names(node);
            prop_assert_eq!(names.iter().map(|(id, _)| id.clone()).collect::<HashSet<_>>(), there.clone());
            let others = cluster.names(0);
            prop_assert_eq!(&names, &others);
            prop_assert_eq!(cluster.nodes[node].page.is_some(), open.iter().any(|(home, _)| *home == node));
            if let Some(page) = &cluster.nodes[node].page {
                let shown: HashSet<_> = page.here().people("").into_iter().map(|person| (person.id, person.name)).collect();
                prop_assert_eq!(page.here().count(), names.len() as u64);
                prop_assert_eq!(shown, names.into_iter().collect::<HashSet<_>>());
            }
        }
    }
}
