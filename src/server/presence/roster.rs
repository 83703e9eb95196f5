//! Who is in which room, as one node knows it: a state without clock and I/O. Whoever calls says what time it is and carries the
//! [letters](Letter) to the other nodes.
//!
//! A person is a member of a room as long as some node says so. Each node answers for those who are connected to it, and goes on
//! to for a while after the last connection has gone: who comes back in that time, here or elsewhere, was never away. What the
//! others say is kept node by node, so a node that is gone can be forgotten as a whole.
//!
//! A node numbers the changes that it tells of. Who finds a number missing, or never heard of that node, asks for all its
//! people; until they come it stays with what it has. Every node says regularly at which number it is, so that the loss of the last
//! change is found too.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Times,
    letters::{Known, Letter, PIECE},
};
use crate::{
    server::layers::Channel,
    wire::{Group, Members, Person, Presence, SAMPLE, TYPING_SHOWN_MS},
};

/// How many other nodes are known at most.
const MOST_NODES: usize = 256;
/// So many people are looked at at a stretch when what a node has said is forgotten.
const STRETCH: usize = 1_000;
/// With so many people in rooms no more are taken from other nodes.
const MOST_PEOPLE: usize = 1_000_000;
/// How much writing may wait until other nodes are told; the oldest is forgotten beyond it.
const MOST_TYPING: usize = 256;
/// So many writers of a room are told of at a time; pages name no more than two.
const SEVERAL: usize = 5;
/// For how long pages show somebody as writing.
const SHOWN_WRITING: Duration = Duration::from_millis(TYPING_SHOWN_MS as u64);

type Id = Arc<str>;

/// Whom a letter is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    All,
    One(Channel),
}

/// See the module.
pub(super) struct Roster {
    /// The channel that reaches this node.
    me: Channel,
    times: Times,
    /// Rooms with members.
    rooms: HashMap<Group, Occupancy>,
    /// The people in all of them.
    people: usize,
    nodes: HashMap<Channel, Node>,
    /// Tells the other nodes apart, also from those that had the same name before.
    next_key: u32,
    /// Rooms whose members are to be told of changes, by when.
    due: VecDeque<(Instant, Group)>,
    /// Who is to be let go, by when, unless he has come back.
    graces: VecDeque<(Instant, Group, Id)>,
    /// How many changes of people on this node the others were told of.
    seq: u64,
    /// They are not told of more before then.
    quiet: Instant,
    mail: Mail,
    /// What is to be forgotten.
    sweeps: VecDeque<Sweep>,
}

/// What a node has said and does not say any more. It is forgotten bit by bit: there may be hundreds of thousands of people, and
/// nobody can come or go meanwhile.
struct Sweep {
    node: u32,
    /// What belongs to a state before this one; without it all that the node has said.
    before: Option<u32>,
    /// Where it is still to be looked for, the last one next, and up to whom that one is done.
    rooms: Vec<Group>,
    done: Option<Id>,
    began: Instant,
}

/// What waits to be told to other nodes.
struct Mail {
    /// People on this node with whom something has changed.
    changed: BTreeMap<Group, BTreeSet<Id>>,
    typing: VecDeque<(Group, Person)>,
    /// Nodes that are to be told where this one is, asked for all their people, or told of all people here.
    beats: BTreeSet<Channel>,
    asks: BTreeSet<Channel>,
    states: BTreeSet<Channel>,
    /// When everybody is told next that this node is there, and whether they are asked to do the same.
    beat: Instant,
    answer: bool,
}

/// Who is in a room.
#[derive(Default)]
struct Occupancy {
    people: BTreeMap<Id, Member>,
    /// How many of them are here. Without any there is nobody to be told of changes, and they are not noted.
    here: usize,
    /// What the members here know of those with whom something has changed: the name, or that they are not there.
    before: BTreeMap<Id, Option<Arc<str>>>,
    /// Somebody was shown the room since the first of these changes: what is undone later is news to him.
    shown: bool,
    /// When the members are told.
    due: Option<Instant>,
    /// The largest number of people since they were told last: with more than the sample, a member may not know all.
    most: usize,
    /// Who is shown as writing, and when that was last told.
    writing: Vec<(String, Instant)>,
}

impl Occupancy {
    /// Whether one more person is to be shown as writing: of many nobody can tell one from the other, and each would be told to
    /// everybody.
    fn takes_writer(&mut self, id: &str, now: Instant) -> bool {
        self.writing.retain(|(known, since)| known != id && now < *since + SHOWN_WRITING);
        let takes = self.writing.len() < SEVERAL;
        if takes {
            self.writing.push((id.to_owned(), now));
        }
        takes
    }
}

/// A person in a room. About 250 bytes with its texts, and 40 more for each further node.
#[derive(Default)]
struct Member {
    here: Option<Here>,
    there: Vec<There>,
}

/// A name; the younger one is the larger one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    at: i64,
    name: Arc<str>,
}

/// On this node.
struct Here {
    connections: usize,
    named: Named,
    /// The last connection has gone; so long it is waited for another one.
    until: Option<Instant>,
}

/// On another node.
struct There {
    node: u32,
    /// In which of that node's states it was, or which it followed.
    round: u32,
    named: Named,
}

/// Another node.
struct Node {
    key: u32,
    heard: Instant,
    /// It has stopped; so long its people are waited for elsewhere.
    until: Option<Instant>,
    /// Up to where its changes are known; none as long as it has to say everything.
    seq: Option<u64>,
    /// When it was last asked for that.
    asked: Option<Instant>,
    /// Of the last whole state.
    round: u32,
    /// The state that is arriving, and its next piece.
    arriving: Option<(u64, u64)>,
}

/// What the members of a room are told.
pub(super) type Told = (Group, Presence);

impl Member {
    /// What the person is called; none where no node says that they are here.
    fn name(&self) -> Option<Arc<str>> {
        let here = self.here.iter().map(|here| &here.named);
        here.chain(self.there.iter().map(|there| &there.named)).max().map(|named| Arc::clone(&named.name))
    }
}

impl Occupancy {
    fn sample(&self) -> Vec<Person> {
        self.people.iter().take(SAMPLE).filter_map(|(id, member)| Some(person(id, &member.name()?))).collect()
    }

    /// What has changed for the members since they were told last; none where all is as it was.
    fn change(&mut self) -> Option<Presence> {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        let shown = std::mem::take(&mut self.shown);
        for (id, before) in std::mem::take(&mut self.before) {
            match self.people.get(&id).and_then(Member::name) {
                now if now == before && !shown => {}
                Some(name) => joined.push(person(&id, &name)),
                None => left.push(id.to_string()),
            }
        }
        let most = std::mem::replace(&mut self.most, self.people.len());
        if joined.is_empty() && left.is_empty() {
            return None;
        }
        let count = self.people.len() as u64;
        let last_of_sample = self.people.keys().nth(SAMPLE - 1);
        let was_in_sample = |id: &String| last_of_sample.is_none_or(|last| **id < **last);
        let broken = most > SAMPLE && left.iter().any(was_in_sample);
        if broken || joined.len() + left.len() > SAMPLE {
            return Some(Presence { count, people: Some(self.sample()), ..Presence::default() });
        }
        Some(Presence { count, joined, left, people: None })
    }
}

fn person(id: &str, name: &str) -> Person {
    Person::new(id, name)
}

impl Roster {
    /// Knows nobody. `me` is the channel that reaches this node.
    pub(super) fn new(me: Channel, times: Times, now: Instant) -> Self {
        Self {
            me,
            times,
            rooms: HashMap::new(),
            people: 0,
            nodes: HashMap::new(),
            next_key: 0,
            due: VecDeque::new(),
            graces: VecDeque::new(),
            seq: 0,
            quiet: now,
            mail: Mail {
                changed: BTreeMap::new(),
                typing: VecDeque::new(),
                beats: BTreeSet::new(),
                asks: BTreeSet::new(),
                states: BTreeSet::new(),
                beat: now,
                answer: true,
            },
            sweeps: VecDeque::new(),
        }
    }

    /// The people in a room, for somebody who is told of changes from now on.
    pub(super) fn members(&mut self, room: &Group) -> Members {
        let Some(occupancy) = self.rooms.get_mut(room) else { return Members::default() };
        occupancy.shown = !occupancy.before.is_empty();
        Members { count: occupancy.people.len() as u64, people: occupancy.sample() }
    }

    /// What the members of rooms are told where somebody is, when that person is seen otherwise and has not come or gone.
    pub(super) fn seen_anew(&self, id: &str) -> Vec<Told> {
        let told = |(room, occupancy): (&Group, &Occupancy)| {
            let name = occupancy.people.get(id)?.name()?;
            let joined = vec![person(id, &name)];
            Some((room.clone(), Presence { count: occupancy.people.len() as u64, joined, ..Presence::default() }))
        };
        self.rooms.iter().filter(|(_, occupancy)| occupancy.here > 0).filter_map(told).collect()
    }

    /// How many people there are, each as often as in rooms, and how many nodes with this one.
    pub(super) fn census(&self) -> (usize, usize) {
        (self.people, self.nodes.len() + 1)
    }

    /// What the other nodes are called that have not said goodbye.
    pub(super) fn nodes(&self) -> Vec<String> {
        let there = self.nodes.iter().filter(|(_, node)| node.until.is_none());
        let mut names: Vec<_> = there.map(|(name, _)| name.as_str().split('!').next().unwrap_or_default().to_owned()).collect();
        names.sort();
        names
    }

    /// A connection of a person has joined a room on this node.
    pub(super) fn enter(&mut self, room: &Group, Known { id, name, at }: Known, now: Instant) {
        let mut told = false;
        self.alter(room, &id, now, |member| {
            let shown = member.name();
            if let Some(here) = &mut member.here {
                here.connections += 1;
                here.until = None;
                // Elsewhere the person may have got another name since.
                if here.named.name != name || shown.as_ref() != Some(&name) {
                    here.named = Named { at: at.max(here.named.at), name };
                    told = true;
                }
            } else {
                member.here = Some(Here { connections: 1, named: Named { at, name }, until: None });
                told = true;
            }
        });
        if told {
            self.changed(room, &id);
        }
    }

    /// A connection that has entered has gone.
    pub(super) fn exit(&mut self, room: &Group, id: &Id, now: Instant) {
        let member = self.rooms.get_mut(room).and_then(|occupancy| occupancy.people.get_mut(id));
        let Some(here) = member.and_then(|member| member.here.as_mut()) else { return };
        here.connections = here.connections.saturating_sub(1);
        if here.connections == 0 {
            let until = now + self.times.grace;
            here.until = Some(until);
            self.graces.push_back((until, room.clone(), Arc::clone(id)));
        }
    }

    /// Nobody waits for a person any more who has no connection on this node, in a room or in all of them; gives the rooms in which
    /// nobody is left on this node.
    pub(super) fn expel(&mut self, id: &str, room: Option<&Group>, now: Instant) -> Vec<Group> {
        let from = |(room, occupancy): (&Group, &Occupancy)| {
            let (id, member) = occupancy.people.get_key_value(id)?;
            let waited_for = member.here.as_ref().is_some_and(|here| here.connections == 0);
            waited_for.then(|| (room.clone(), Arc::clone(id)))
        };
        let gone: Vec<_> = match room {
            Some(room) => self.rooms.get_key_value(room).and_then(from).into_iter().collect(),
            None => self.rooms.iter().filter_map(from).collect(),
        };
        let mut deserted = Vec::new();
        for (room, id) in gone {
            self.changed(&room, &id);
            if self.alter(&room, &id, now, |member| member.here = None) {
                deserted.push(room);
            }
        }
        deserted
    }

    /// Somebody on this node is writing something; says whether that is news.
    pub(super) fn typing(&mut self, room: &Group, from: &Person, now: Instant) -> bool {
        let Some(occupancy) = self.rooms.get_mut(room).filter(|occupancy| occupancy.people.contains_key(from.id.as_str()))
        else {
            return false;
        };
        let told = occupancy.writing.iter().any(|(known, since)| *known == from.id && now < *since + self.times.typing);
        if told || !occupancy.takes_writer(&from.id, now) {
            return false;
        }
        if self.mail.typing.len() == MOST_TYPING {
            self.mail.typing.pop_front();
        }
        self.mail.typing.push_back((room.clone(), from.clone()));
        true
    }

    /// Takes a letter of another node; gives somebody who is writing in a room.
    pub(super) fn receive(&mut self, from: &Channel, letter: Letter, now: Instant) -> Option<(Group, Person)> {
        if *from == self.me {
            return None;
        }
        match letter {
            Letter::Bye => {
                let until = now + self.times.grace;
                if let Some(node) = self.nodes.get_mut(from) {
                    node.until.get_or_insert(until);
                }
            }
            Letter::Typing { room, from } => {
                let told = self.rooms.get_mut(&room).is_none_or(|occupancy| occupancy.takes_writer(&from.id, now));
                return told.then_some((room, from));
            }
            letter => self.level(from, letter, now),
        }
        None
    }

    /// Takes what is about another node's people.
    fn level(&mut self, from: &Channel, letter: Letter, now: Instant) {
        let Some(node) = self.node(from, now) else { return };
        node.heard = now;
        match letter {
            Letter::Beat { seq, answer } => {
                let behind = node.seq.is_none_or(|known| known < seq);
                if answer {
                    self.mail.beats.insert(from.clone());
                }
                if behind {
                    self.ask(from, now);
                }
            }
            Letter::Ask => {
                self.mail.states.insert(from.clone());
            }
            Letter::State { seq, part, last, people } => {
                if node.seq.is_some_and(|known| known >= seq) {
                    return;
                }
                if part == 0 {
                    node.arriving = Some((seq, 0));
                    node.round += 1;
                }
                if node.arriving != Some((seq, part)) {
                    node.arriving = None;
                    return self.ask(from, now);
                }
                node.arriving = (!last).then_some((seq, part + 1));
                let (key, round) = (node.key, node.round);
                if last {
                    node.seq = Some(seq);
                }
                for (room, known) in people {
                    self.member_there(&room, known, key, round, now);
                }
                if last {
                    self.clear(key, Some(round), now);
                }
            }
            Letter::Delta { seq, joined, left } => match node.seq {
                Some(known) if seq <= known => {}
                Some(known) if seq == known + 1 => {
                    node.seq = Some(seq);
                    let (key, round) = (node.key, node.round);
                    for (room, known) in joined {
                        self.member_there(&room, known, key, round, now);
                    }
                    for (room, id) in left {
                        self.alter(&room, &id, now, |member| member.there.retain(|there| there.node != key));
                    }
                }
                Some(_) | None => {
                    node.seq = None;
                    self.ask(from, now);
                }
            },
            Letter::Typing { .. } | Letter::Bye => {}
        }
    }

    /// A node that is there; none where it has stopped, or too many are there.
    fn node(&mut self, name: &Channel, now: Instant) -> Option<&mut Node> {
        if !self.nodes.contains_key(name) {
            if self.nodes.len() >= MOST_NODES {
                return None;
            }
            let key = self.next_key;
            self.next_key += 1;
            let node = Node { key, heard: now, until: None, seq: None, asked: None, round: 0, arriving: None };
            self.nodes.insert(name.clone(), node);
        }
        self.nodes.get_mut(name).filter(|node| node.until.is_none())
    }

    /// Has a node asked for all its people, unless it was just now.
    fn ask(&mut self, name: &Channel, now: Instant) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.asked.is_none_or(|asked| now >= asked + self.times.batch) {
            node.asked = Some(now);
            self.mail.asks.insert(name.clone());
        }
    }

    fn member_there(&mut self, room: &Group, Known { id, name, at }: Known, node: u32, round: u32, now: Instant) {
        let full = self.people >= MOST_PEOPLE;
        if full && !self.rooms.get(room).is_some_and(|occupancy| occupancy.people.contains_key(&id)) {
            return;
        }
        let named = Named { at, name };
        self.alter(room, &id, now, |member| match member.there.iter_mut().find(|there| there.node == node) {
            Some(there) => (there.named, there.round) = (named, round),
            None => member.there.push(There { node, round, named }),
        });
    }

    /// Begins to forget what a node has said in the states before `before`, or at all.
    fn clear(&mut self, node: u32, before: Option<u32>, now: Instant) {
        let rooms = self.rooms.keys().cloned().collect();
        self.sweeps.push_back(Sweep { node, before, rooms, done: None, began: now });
        self.sweep(now);
    }

    /// Goes on with what is to be forgotten, one stretch.
    fn sweep(&mut self, now: Instant) {
        let mut left = STRETCH;
        while left > 0
            && let Some(sweep) = self.sweeps.front_mut()
        {
            let Some(room) = sweep.rooms.last().cloned() else {
                self.sweeps.pop_front();
                continue;
            };
            let (node, before) = (sweep.node, sweep.before);
            let is_gone = |there: &There| there.node == node && before.is_none_or(|before| there.round < before);
            let from = sweep.done.take().map_or(Bound::Unbounded, Bound::Excluded);
            let people = self.rooms.get(&room).map(|occupancy| &occupancy.people);
            let (mut looked, mut gone) = (0, Vec::new());
            for (id, member) in people.into_iter().flat_map(|people| people.range((from.clone(), Bound::Unbounded))).take(left)
            {
                looked += 1;
                sweep.done = (looked == left).then(|| Arc::clone(id));
                if member.there.iter().any(is_gone) {
                    gone.push(Arc::clone(id));
                }
            }
            if sweep.done.is_none() {
                sweep.rooms.pop();
            }
            left -= looked.max(1);
            for id in gone {
                self.alter(&room, &id, now, |member| member.there.retain(|there| !is_gone(there)));
            }
        }
    }

    /// Changes a member, who is made for that and goes when no node says that they are here, and notes what the members of the room do not
    /// know yet. Says whether nobody of the room is left on this node.
    fn alter(&mut self, room: &Group, id: &Id, now: Instant, change: impl FnOnce(&mut Member)) -> bool {
        let occupancy = self.rooms.entry(room.clone()).or_default();
        let (people, here) = (occupancy.people.len(), occupancy.here);
        let member = occupancy.people.entry(Arc::clone(id)).or_default();
        let (before, was_here) = (member.name(), member.here.is_some());
        change(member);
        let (after, is_here) = (member.name(), member.here.is_some());
        if after.is_none() {
            occupancy.people.remove(id);
        }
        occupancy.here = occupancy.here + usize::from(is_here) - usize::from(was_here);
        self.people = self.people + occupancy.people.len() - people;
        occupancy.most = if here == 0 { occupancy.people.len() } else { occupancy.most.max(occupancy.people.len()) };
        if occupancy.here == 0 {
            occupancy.before.clear();
            (occupancy.due, occupancy.shown) = (None, false);
        } else if before != after {
            occupancy.before.entry(Arc::clone(id)).or_insert(before);
            if occupancy.due.is_none() {
                let due = now + self.times.batch;
                occupancy.due = Some(due);
                self.due.push_back((due, room.clone()));
            }
        }
        let deserted = occupancy.here == 0 && here > 0;
        if occupancy.people.is_empty() {
            self.rooms.remove(room);
        }
        deserted
    }

    /// The others have to hear of somebody on this node.
    fn changed(&mut self, room: &Group, id: &Id) {
        self.mail.changed.entry(room.clone()).or_default().insert(Arc::clone(id));
    }

    /// Lets go whose time is over; gives the rooms in which nobody is left on this node.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Group> {
        let mut deserted = Vec::new();
        self.sweep(now);
        while let Some((until, room, id)) = self.graces.pop_front_if(|(until, ..)| *until <= now) {
            let member = self.rooms.get(&room).and_then(|occupancy| occupancy.people.get(&id));
            // Who has come back and gone again stands in the line once more.
            if member.and_then(|member| member.here.as_ref()).is_some_and(|here| here.until == Some(until)) {
                if self.alter(&room, &id, now, |member| member.here = None) {
                    deserted.push(room.clone());
                }
                self.changed(&room, &id);
            }
        }
        let silence = self.times.silence;
        let gone: Vec<_> = self.nodes.extract_if(|_, node| node.end(silence) <= now).map(|(_, node)| node.key).collect();
        for key in gone {
            self.clear(key, None, now);
        }
        deserted
    }

    /// What the members of rooms are to be told now.
    pub(super) fn pushes(&mut self, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some((due, room)) = self.due.pop_front_if(|(due, _)| *due <= now) {
            // A room in which nobody was left meanwhile may stand in the line twice.
            if let Some(occupancy) = self.rooms.get_mut(&room).filter(|occupancy| occupancy.due == Some(due)) {
                occupancy.due = None;
                told.extend(occupancy.change().map(|change| (room, change)));
            }
        }
        told
    }

    /// When [`Self::tick`] or [`Self::pushes`] have something to do.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let push = self.due.front().map(|(due, _)| *due);
        let grace = self.graces.front().map(|(until, ..)| *until);
        let node = self.nodes.values().map(|node| node.end(self.times.silence)).min();
        let sweep = self.sweeps.front().map(|sweep| sweep.began);
        [push, grace, node, sweep].into_iter().flatten().min()
    }

    /// What is to be told to other nodes now, in this order.
    pub(super) fn letters(&mut self, now: Instant) -> Vec<(To, Letter)> {
        let mut letters = Vec::new();
        if self.nodes.is_empty() {
            self.talk_to_nobody();
        }
        if self.changes_due().is_some_and(|due| due <= now) {
            self.quiet = now + self.times.batch;
            self.deltas(&mut letters);
        }
        let mail = &mut self.mail;
        letters.extend(mail.typing.drain(..).map(|(room, from)| (To::All, Letter::Typing { room, from })));
        let seq = self.seq;
        if mail.beat <= now {
            mail.beat = now + self.times.beat;
            letters.push((To::All, Letter::Beat { seq, answer: std::mem::take(&mut mail.answer) }));
        }
        let beats = std::mem::take(&mut mail.beats).into_iter();
        letters.extend(beats.map(|node| (To::One(node), Letter::Beat { seq, answer: false })));
        letters.extend(std::mem::take(&mut mail.asks).into_iter().map(|node| (To::One(node), Letter::Ask)));
        for node in std::mem::take(&mut mail.states) {
            letters.extend(self.state().into_iter().map(|piece| (To::One(node.clone()), piece)));
        }
        letters
    }

    /// No other node is known: nothing is written. One that is there all the same misses a number and asks.
    fn talk_to_nobody(&mut self) {
        if !std::mem::take(&mut self.mail.changed).is_empty() {
            self.seq += 1;
        }
        self.mail.typing.clear();
    }

    fn changes_due(&self) -> Option<Instant> {
        (!self.mail.changed.is_empty()).then_some(self.quiet)
    }

    /// All changes that the others have not been told of, in as many letters as it takes.
    fn deltas(&mut self, letters: &mut Vec<(To, Letter)>) {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for (room, ids) in std::mem::take(&mut self.mail.changed) {
            let occupancy = self.rooms.get(&room);
            for id in ids {
                match occupancy.and_then(|occupancy| occupancy.people.get(&id)).and_then(|member| member.here.as_ref()) {
                    Some(here) => joined.push((room.clone(), here.known(&id))),
                    None => left.push((room.clone(), id)),
                }
            }
        }
        let joined = joined.chunks(PIECE).map(|joined| (joined.to_vec(), Vec::new()));
        let left = left.chunks(PIECE).map(|left| (Vec::new(), left.to_vec()));
        for (joined, left) in joined.chain(left) {
            self.seq += 1;
            letters.push((To::All, Letter::Delta { seq: self.seq, joined, left }));
        }
    }

    /// All people on this node.
    fn state(&self) -> Vec<Letter> {
        let of_room = |(room, occupancy): (&Group, &Occupancy)| {
            let here = occupancy.people.iter().filter_map(|(id, member)| Some((room.clone(), member.here.as_ref()?.known(id))));
            here.collect::<Vec<_>>()
        };
        let people: Vec<_> = self.rooms.iter().flat_map(of_room).collect();
        let mut pieces: Vec<_> = people.chunks(PIECE).map(<[_]>::to_vec).collect();
        if pieces.is_empty() {
            pieces.push(Vec::new());
        }
        let count = pieces.len();
        let pieces = pieces.into_iter().enumerate();
        pieces
            .map(|(part, people)| Letter::State { seq: self.seq, part: part as u64, last: part + 1 == count, people })
            .collect()
    }

    /// When [`Self::letters`] has something to tell.
    pub(super) fn next_letter(&self, now: Instant) -> Instant {
        let Mail { typing, beats, asks, states, beat, .. } = &self.mail;
        if !(typing.is_empty() && beats.is_empty() && asks.is_empty() && states.is_empty()) {
            return now;
        }
        self.changes_due().map_or(*beat, |due| due.min(*beat))
    }

    /// Something may be lost that other nodes have said, or they may have lost something of this one: everybody says where they
    /// are.
    pub(super) fn doubt(&mut self, at: Instant) {
        (self.mail.beat, self.mail.answer) = (at, true);
    }
}

impl Here {
    fn known(&self, id: &Id) -> Known {
        Known { id: Arc::clone(id), name: Arc::clone(&self.named.name), at: self.named.at }
    }
}

impl Node {
    /// When it is forgotten unless it says something.
    fn end(&self, silence: Duration) -> Instant {
        self.until.unwrap_or(self.heard + silence)
    }
}

#[cfg(test)]
mod tests;
