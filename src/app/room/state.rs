//! The state of a room's page and the one function that changes it.
//!
//! Rows stand in two parts: first what has been said, then our own messages that are under way. What has been said has a place in
//! the room's stream, in rising order and without holes, or is passing: of a room that keeps no history, of a program, of
//! another node's store. A passing row stands where it came, after what was there then and before what came later.
//!
//! A page that has read far back holds a stretch of the stream that ends before the newest message: the reader is in the past.
//! What is said meanwhile moves the position and is not shown; it is read when the reader comes down to it.
//!
//! A row's key is its author and the key that the author's client gave it, so the event of a message that we sent finds
//! the row that is already there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::Here;
use crate::wire::{Event, Joined, Key, Members, Message, Offset, Person, Position, Push, State, Stored, Timestamp};

/// What makes two rows the same message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    author: Arc<str>,
    key: Arc<str>,
}

impl RowKey {
    pub fn new(author: &str, key: &str) -> Self {
        Self { author: author.into(), key: key.into() }
    }

    /// What the author's client called the message.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// How far a message is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Accepted by the server, or said by somebody else.
    Sent,
    /// Ours, and not yet answered.
    Pending,
    /// Ours, and refused with this reason; it stays until it is sent again or thrown away.
    Failed(String),
}

/// One message on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: RowKey,
    pub from: Person,
    pub text: String,
    /// By the server's clock, or by this browser's while it is ours and under way; none where nobody said.
    pub at: Option<Timestamp>,
    pub offset: Option<Offset>,
    pub delivery: Delivery,
}

/// What happens to the page.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// An event of the topic.
    Pushed(Push),
    /// The answer to a join.
    Joined(Joined, State),
    /// Earlier messages that were asked for with `before` this offset.
    Older(Offset, Vec<Stored>),
    /// Later messages that were asked for with `after` this offset.
    Newer(Offset, Vec<Stored>),
    /// The newest messages, in place of those that have been said.
    Latest(Vec<Stored>),
    /// We said something; what is already there is not said again.
    Composed { key: Key, from: Person, text: String, at: Timestamp },
    /// The server accepted it.
    Accepted { key: RowKey, offset: Option<Offset> },
    /// The server refused it.
    Refused { key: RowKey, reason: String },
    /// Send a refused message again.
    Retried(RowKey),
    /// Throw a refused message away.
    Discarded(RowKey),
    /// Somebody else is writing something, by this browser's clock.
    Typing { from: Person, at: Timestamp },
    /// It is so late.
    Elapsed(Timestamp),
    /// Of what has been said, forget the rows at one end but for this many; they can be read again.
    Trimmed(End, usize),
}

/// An end of what has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Oldest,
    Newest,
}

/// The event is further on than the one that is due: the stream has to be joined again from the state's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap;

/// What the page shows of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    position: Position,
    rows: Vec<Row>,
    /// How many of the rows have been said; they come first.
    said: usize,
    /// Where each row stands.
    index: HashMap<RowKey, usize>,
    /// Earlier messages may exist.
    older: bool,
    /// Later messages exist that are not shown: the last row that has been said has a place, and it is before the position.
    newer: bool,
    /// Names the rows of events that came without a key.
    nameless: u64,
    here: Here,
}

impl RoomState {
    /// As the server's first answer has it: a stretch of messages of a stream that stands at `position`.
    pub fn new(position: Position, messages: Vec<Stored>) -> Self {
        let newer = messages.last().is_some_and(|last| last.offset < position.offset);
        let older = messages.first().is_some_and(|first| first.offset > Offset(1));
        let rows: Vec<Row> = messages.into_iter().map(placed).collect();
        let said = rows.len();
        let mut state = Self { position, rows, said, index: HashMap::new(), older, newer, nameless: 0, here: Here::default() };
        state.reindex();
        state
    }

    /// With these people in the room.
    #[must_use]
    pub fn with_members(mut self, members: Members) -> Self {
        self.here.joined(members);
        self
    }

    /// Who is in the room, and who is writing.
    pub fn here(&self) -> &Here {
        &self.here
    }

    /// Up to where the page has everything.
    pub fn position(&self) -> &Position {
        &self.position
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn row(&self, key: &RowKey) -> Option<&Row> {
        self.index.get(key).map(|at| &self.rows[*at])
    }

    /// How many rows stand above this one.
    pub fn place(&self, key: &RowKey) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// The row before this one, if it is there.
    pub fn before(&self, key: &RowKey) -> Option<&Row> {
        self.index.get(key).and_then(|at| at.checked_sub(1)).map(|at| &self.rows[at])
    }

    /// Before which offset earlier messages may exist.
    pub fn older_than(&self) -> Option<Offset> {
        self.rows[..self.said].iter().find_map(|row| row.offset).filter(|_| self.older)
    }

    /// After which offset later messages exist that are not shown; none where the rows reach up to the present.
    pub fn newer_than(&self) -> Option<Offset> {
        self.rows[..self.said].last().and_then(|row| row.offset).filter(|_| self.newer)
    }

    /// Our messages that wait for an answer, in the order in which they were said.
    pub fn pending(&self) -> impl Iterator<Item = &Row> {
        self.unsent().filter(|row| row.delivery == Delivery::Pending)
    }

    /// Our messages that the server has not accepted, the refused ones too.
    pub fn unsent(&self) -> impl Iterator<Item = &Row> {
        self.rows[self.said..].iter().filter(|row| row.delivery != Delivery::Sent)
    }

    /// Changes the state.
    ///
    /// # Errors
    /// An event is missing in between; the state is as before.
    pub fn apply(&mut self, input: Input) -> Result<(), Gap> {
        match input {
            Input::Pushed(push) => return self.pushed(push),
            Input::Joined(at, state) => self.joined(at, state),
            Input::Older(before, messages) => self.prepend(before, messages),
            Input::Newer(after, messages) => self.go_on(after, messages),
            Input::Latest(messages) => self.return_to(messages),
            Input::Composed { key, from, text, at } => {
                let key = RowKey::new(&from.id, key.as_str());
                if !self.index.contains_key(&key) {
                    self.append(Row { key, from, text, at: Some(at), offset: None, delivery: Delivery::Pending });
                }
            }
            Input::Accepted { key, offset } => self.accepted(&key, offset),
            Input::Refused { key, reason } => self.deliver(&key, Delivery::Failed(reason)),
            Input::Retried(key) => {
                if let Some(row) = self.under_way(&key).cloned() {
                    self.remove(&key);
                    self.append(Row { delivery: Delivery::Pending, ..row });
                }
            }
            Input::Discarded(key) => {
                if self.under_way(&key).is_some() {
                    self.remove(&key);
                }
            }
            Input::Typing { from, at } => self.here.typing(from, at),
            Input::Elapsed(now) => self.here.elapsed(now),
            Input::Trimmed(End::Oldest, keep) => self.trim_oldest(keep),
            Input::Trimmed(End::Newest, keep) => self.trim_newest(keep),
        }
        Ok(())
    }

    fn pushed(&mut self, Push { offset, event, .. }: Push) -> Result<(), Gap> {
        match (offset, event) {
            (Some(offset), _) if offset <= self.position.offset => {}
            (Some(offset), _) if offset > self.position.offset.next() => return Err(Gap),
            (Some(offset), Event::Message(message)) => {
                self.position.offset = offset;
                self.say_now(placed(Stored { offset, message }));
            }
            (Some(offset), _) => self.position.offset = offset,
            (None, Event::Message(message)) => self.unnumbered(message),
            (None, Event::Other(map)) => {
                if let Some(text) = text_of(&map) {
                    let key = RowKey::new("", &format!("event-{}", self.nameless));
                    self.nameless += 1;
                    let from = Person { id: String::new(), name: name_of(&map).unwrap_or("Program").to_owned() };
                    let text = text.to_owned();
                    self.say_now(Row { key, from, text, at: None, offset: None, delivery: Delivery::Sent });
                }
            }
            (None, Event::Presence(change)) => self.here.changed(change),
            // Its time is not in it.
            (None, Event::Typing(_) | Event::Room(_)) => {}
        }
        Ok(())
    }

    fn joined(&mut self, at: Joined, state: State) {
        if let Some(members) = state.members {
            self.here.joined(members);
        }
        if !state.recovered && self.newer && at.epoch == self.position.epoch {
            // In the past none of it has a place; it is read when the reader comes down to it.
            for push in state.events {
                if let Event::Message(Message { from, key, .. }) = push.event {
                    self.remove_under_way(&RowKey::new(&from.id, key.as_str()));
                }
            }
            self.position.offset = self.position.offset.max(at.offset);
            return;
        }
        if !state.recovered {
            // What is passing cannot be read again; the stream that is now begins after it.
            self.retain(|row| row.offset.is_none());
            self.newer = false;
            let first = state.events.iter().find_map(|push| push.offset).unwrap_or(at.offset.next());
            self.older = first > Offset(1);
            self.position = Position { epoch: at.epoch, offset: Offset(first.0.saturating_sub(1)) };
        }
        for push in state.events {
            // The answer has no holes; what a hole would follow on is not shown rather than shown in the wrong place.
            if self.pushed(push).is_err() {
                return;
            }
        }
        self.position.offset = self.position.offset.max(at.offset);
    }

    fn prepend(&mut self, before: Offset, messages: Vec<Stored>) {
        // The rows may have changed since they were asked for.
        if self.older_than() != Some(before) {
            return;
        }
        self.older = messages.first().is_some_and(|first| first.offset > Offset(1));
        let mut rows: Vec<Row> = messages.into_iter().filter(|message| message.offset < before).map(placed).collect();
        let added: HashSet<_> = rows.iter().map(|row| row.key.clone()).collect();
        self.retain(|row| row.offset.is_some() || !added.contains(&row.key));
        self.said += rows.len();
        rows.append(&mut self.rows);
        self.rows = rows;
        self.reindex();
    }

    fn go_on(&mut self, after: Offset, messages: Vec<Stored>) {
        // The rows may have changed since they were asked for.
        if self.newer_than() != Some(after) {
            return;
        }
        // What stood in between is held no more: the reader finds the oldest that is.
        if messages.first().is_some_and(|first| first.offset > after.next()) {
            return self.return_to(messages);
        }
        let last = messages.last().map_or(after, |last| last.offset);
        for message in messages.into_iter().filter(|message| message.offset > after) {
            self.say(placed(message));
        }
        self.newer = last > after && last < self.position.offset;
        self.position.offset = self.position.offset.max(last);
    }

    fn return_to(&mut self, messages: Vec<Stored>) {
        // It may have been asked for twice.
        if !self.newer {
            return;
        }
        self.rows.drain(..self.said);
        self.said = 0;
        self.reindex();
        let last = messages.last().map_or(self.position.offset, |last| last.offset);
        self.older = messages.first().is_some_and(|first| first.offset > Offset(1));
        for message in messages {
            self.say(placed(message));
        }
        // More may have been said since they were read.
        self.newer = self.said > 0 && last < self.position.offset;
        self.position.offset = self.position.offset.max(last);
    }

    fn accepted(&mut self, key: &RowKey, offset: Option<Offset>) {
        let Some(row) = self.under_way(key) else { return };
        match offset {
            // It stands before what the page shows: an earlier attempt had gone through after all.
            Some(offset) if offset <= self.position.offset => self.remove(key),
            // Its event says where it stands.
            Some(_) => self.deliver(key, Delivery::Sent),
            None => {
                let row = Row { delivery: Delivery::Sent, ..row.clone() };
                self.say_now(row);
            }
        }
    }

    /// A message without a place: ours came back, or somebody said it.
    fn unnumbered(&mut self, message: Message) {
        let row = Row { offset: None, ..placed(Stored { offset: Offset::START, message }) };
        if !self.index.contains_key(&row.key) || self.under_way(&row.key).is_some() {
            self.say_now(row);
        }
    }

    /// Shows what is said now, unless the reader is in the past, where it has no place. Ours is under way no more either way.
    fn say_now(&mut self, row: Row) {
        if self.newer {
            self.remove_under_way(&row.key);
        } else {
            self.say(row);
        }
    }

    /// Puts a row at the end of what has been said.
    fn say(&mut self, row: Row) {
        self.here.stopped_typing(&row.from.id);
        self.remove(&row.key);
        self.rows.insert(self.said, row);
        self.said += 1;
        self.reindex_from(self.said - 1);
    }

    fn append(&mut self, row: Row) {
        self.remove(&row.key);
        self.index.insert(row.key.clone(), self.rows.len());
        self.rows.push(row);
    }

    fn remove(&mut self, key: &RowKey) {
        if let Some(at) = self.index.remove(key) {
            self.rows.remove(at);
            if at < self.said {
                self.said -= 1;
            }
            self.reindex_from(at);
        }
    }

    fn remove_under_way(&mut self, key: &RowKey) {
        if self.under_way(key).is_some() {
            self.remove(key);
        }
    }

    /// The row, if it is ours and has not been said yet.
    fn under_way(&self, key: &RowKey) -> Option<&Row> {
        self.index.get(key).filter(|at| **at >= self.said).map(|at| &self.rows[*at])
    }

    fn deliver(&mut self, key: &RowKey, delivery: Delivery) {
        if self.under_way(key).is_some()
            && let Some(at) = self.index.get(key)
        {
            self.rows[*at].delivery = delivery;
        }
    }

    fn trim_oldest(&mut self, keep: usize) {
        let drop = self.said.saturating_sub(keep);
        // What is passing cannot be read again, nor could it by somebody who comes now.
        self.older |= self.rows[..drop].iter().any(|row| row.offset.is_some());
        self.rows.drain(..drop);
        self.said -= drop;
        self.reindex();
    }

    fn trim_newest(&mut self, keep: usize) {
        // The last one has a place, from which later ones can be read. Where that is not to be had, what is passing goes from its
        // beginning.
        let last = self.rows[..self.said.min(keep)].iter().rposition(|row| row.offset.is_some());
        let Some(last) = last.filter(|last| *last >= keep / 2) else { return self.trim_oldest(keep) };
        if !self.newer && self.rows[last + 1..self.said].iter().all(|row| row.offset.is_none()) {
            return self.trim_oldest(keep);
        }
        self.newer = true;
        self.rows.drain(last + 1..self.said);
        self.said = last + 1;
        self.reindex();
    }

    fn retain(&mut self, mut keeps: impl FnMut(&Row) -> bool) {
        let (said, mut at) = (self.said, 0);
        self.rows.retain(|row| {
            let stays = keeps(row);
            self.said -= usize::from(at < said && !stays);
            at += 1;
            stays
        });
        self.reindex();
    }

    fn reindex(&mut self) {
        self.index.clear();
        self.reindex_from(0);
    }

    fn reindex_from(&mut self, from: usize) {
        for (at, row) in self.rows.iter().enumerate().skip(from) {
            self.index.insert(row.key.clone(), at);
        }
    }
}

fn placed(Stored { offset, message }: Stored) -> Row {
    let Message { key, from, text, at, .. } = message;
    let key = RowKey::new(&from.id, key.as_str());
    Row { key, from, text, at: Some(at), offset: Some(offset), delivery: Delivery::Sent }
}

/// The text that a program's event shows: under `text`, `message`, `message.text` or `msg.text`.
fn text_of(map: &Map<String, Value>) -> Option<&str> {
    let nested = |key: &str| map.get(key).and_then(|inner| inner.get("text"));
    [map.get("text"), map.get("message"), nested("message"), nested("msg")].into_iter().flatten().find_map(Value::as_str)
}

fn name_of(map: &Map<String, Value>) -> Option<&str> {
    ["from", "username", "user"].into_iter().filter_map(|key| map.get(key)).find_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Topic;

    fn epoch(name: &str) -> crate::wire::Epoch {
        name.parse().expect("an epoch")
    }

    fn at(offset: u64) -> Position {
        Position { epoch: epoch("e"), offset: Offset(offset) }
    }

    fn me() -> Person {
        Person { id: "me".to_owned(), name: "Me".to_owned() }
    }

    fn stored(offset: u64) -> Stored {
        said(offset, &Person { id: "ann".to_owned(), name: "Ann".to_owned() }, &format!("k{offset}"))
    }

    fn said(offset: u64, from: &Person, key: &str) -> Stored {
        let message = Message {
            id: format!("e-{offset}"),
            key: key.parse().expect("a key"),
            from: from.clone(),
            text: format!("text {offset}"),
            at: Timestamp::from_millis(i64::try_from(offset).expect("small") * 1_000),
        };
        Stored { offset: Offset(offset), message }
    }

    fn push(stored: Stored) -> Push {
        let topic = Topic::Room("lobby".parse().expect("a group"));
        Push { topic, offset: Some(stored.offset), event: Event::Message(stored.message) }
    }

    fn answer(epoch_name: &str, head: u64, recovered: bool, events: impl IntoIterator<Item = Stored>) -> Input {
        let topic = Topic::Room("lobby".parse().expect("a group"));
        let events = events.into_iter().map(push).collect();
        Input::Joined(
            Joined { topic, epoch: epoch(epoch_name), offset: Offset(head) },
            State { recovered, events, rooms: None, members: None },
        )
    }

    fn compose(state: &mut RoomState, key: &str) -> RowKey {
        let (text, at) = (format!("mine {key}"), Timestamp::from_millis(0));
        let input = Input::Composed { key: key.parse().expect("a key"), from: me(), text, at };
        assert_eq!(state.apply(input), Ok(()));
        RowKey::new("me", key)
    }

    fn offsets(state: &RoomState) -> Vec<Option<u64>> {
        state.rows().iter().map(|row| row.offset.map(|offset| offset.0)).collect()
    }

    #[test]
    fn an_own_message_is_one_row_whichever_comes_first_answer_or_event() {
        for event_first in [true, false] {
            let mut state = RoomState::new(at(3), (1..=3).map(stored).collect());
            let key = compose(&mut state, "a");
            assert_eq!(state.row(&key).map(|row| &row.delivery), Some(&Delivery::Pending));
            let accepted = Input::Accepted { key: key.clone(), offset: Some(Offset(4)) };
            let event = Input::Pushed(push(said(4, &me(), "a")));
            let inputs = if event_first { [event, accepted] } else { [accepted, event] };
            for input in inputs {
                assert_eq!(state.apply(input), Ok(()));
                assert_eq!(state.rows().len(), 4);
                assert_eq!(state.row(&key).map(|row| &row.delivery), Some(&Delivery::Sent));
            }
            assert_eq!(offsets(&state), [Some(1), Some(2), Some(3), Some(4)]);
        }
    }

    #[test]
    fn a_hole_is_reported_and_changes_nothing() {
        let mut state = RoomState::new(at(3), (1..=3).map(stored).collect());
        let before = state.clone();
        assert_eq!(state.apply(Input::Pushed(push(stored(5)))), Err(Gap));
        assert_eq!(state, before);
    }

    #[test]
    fn what_was_seen_is_not_seen_again() {
        let mut state = RoomState::new(at(3), (1..=3).map(stored).collect());
        let before = state.clone();
        assert_eq!(state.apply(Input::Pushed(push(stored(2)))), Ok(()));
        assert_eq!(state.apply(answer("e", 3, true, (1..=3).map(stored))), Ok(()));
        assert_eq!(state, before);
    }

    #[test]
    fn a_fresh_state_replaces_the_stream_and_keeps_what_is_under_way() {
        let mut state = RoomState::new(at(3), (1..=3).map(stored).collect());
        let pending = compose(&mut state, "a");
        assert_eq!(state.apply(answer("f", 90, false, (41..=90).map(stored))), Ok(()));
        assert_eq!(state.position(), &Position { epoch: epoch("f"), offset: Offset(90) });
        assert_eq!(state.rows().len(), 51);
        assert_eq!(state.older_than(), Some(Offset(41)));
        assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&pending]);
        // Sent again, it turns out that it had arrived long ago.
        assert_eq!(state.apply(Input::Accepted { key: pending, offset: Some(Offset(7)) }), Ok(()));
        assert_eq!(state.rows().len(), 50);
    }

    #[test]
    fn a_fresh_state_that_contains_what_is_under_way_answers_it() {
        let mut state = RoomState::new(at(0), Vec::new());
        let key = compose(&mut state, "a");
        assert_eq!(state.apply(answer("e", 2, false, [stored(1), said(2, &me(), "a")])), Ok(()));
        assert_eq!(offsets(&state), [Some(1), Some(2)]);
        assert_eq!(state.pending().count(), 0);
        assert_eq!(state.row(&key).and_then(|row| row.offset), Some(Offset(2)));
    }

    #[test]
    fn a_refused_message_can_be_sent_again_or_thrown_away() {
        let mut state = RoomState::new(at(0), Vec::new());
        let (first, second) = (compose(&mut state, "a"), compose(&mut state, "b"));
        let refused = Input::Refused { key: first.clone(), reason: "too long".to_owned() };
        assert_eq!(state.apply(refused), Ok(()));
        assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&second]);
        assert_eq!(state.apply(Input::Retried(first.clone())), Ok(()));
        assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&second, &first]);
        assert_eq!(state.apply(Input::Discarded(second)), Ok(()));
        assert_eq!(state.rows().len(), 1);
    }

    #[test]
    fn trimmed_rows_can_be_read_again() {
        let all: Vec<Stored> = (1..=100).map(stored).collect();
        let mut state = RoomState::new(at(100), all.clone());
        let untouched = state.clone();
        assert_eq!(state.apply(Input::Trimmed(End::Oldest, 30)), Ok(()));
        assert_eq!((state.rows().len(), state.older_than()), (30, Some(Offset(71))));
        assert_eq!(state.apply(Input::Older(Offset(71), all[..70].to_vec())), Ok(()));
        assert_eq!(state, untouched);
    }

    #[test]
    fn in_the_past_what_is_said_is_not_shown_until_the_reader_comes_down_to_it() {
        let mut state = RoomState::new(at(100), (1..=100).map(stored).collect());
        assert_eq!(state.apply(Input::Trimmed(End::Newest, 30)), Ok(()));
        assert_eq!((state.rows().len(), state.newer_than()), (30, Some(Offset(30))));
        let key = compose(&mut state, "a");
        assert_eq!(state.apply(Input::Pushed(push(stored(101)))), Ok(()));
        assert_eq!(state.apply(Input::Pushed(push(said(102, &me(), "a")))), Ok(()));
        assert_eq!((state.row(&key), state.rows().len()), (None, 30), "it stands further down");
        assert_eq!(state.position(), &at(102));
        // A program's word that nobody keeps has no place in the past.
        let Push { topic, event, .. } = push(stored(33));
        assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
        assert_eq!(state.rows().len(), 30);
        assert_eq!(state.apply(Input::Newer(Offset(30), (31..=90).map(stored).collect())), Ok(()));
        assert_eq!(state.newer_than(), Some(Offset(90)));
        let rest = (91..=103).map(|offset| if offset == 102 { said(102, &me(), "a") } else { stored(offset) });
        assert_eq!(state.apply(Input::Newer(Offset(90), rest.collect())), Ok(()));
        assert_eq!((state.newer_than(), state.position()), (None, &at(103)), "the answer was ahead of the socket");
        assert_eq!(state.apply(Input::Pushed(push(stored(103)))), Ok(()));
        assert_eq!(offsets(&state), (1..=103).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn in_the_past_a_position_that_is_lost_moves_no_row() {
        let mut state = RoomState::new(at(100), (1..=30).map(stored).collect());
        let key = compose(&mut state, "a");
        let other = compose(&mut state, "b");
        let newest = (901..=950).map(|offset| if offset == 940 { said(940, &me(), "a") } else { stored(offset) });
        assert_eq!(state.apply(answer("e", 950, false, newest)), Ok(()));
        assert_eq!((state.newer_than(), state.position()), (Some(Offset(30)), &at(950)));
        assert_eq!((state.row(&key), state.pending().map(|row| &row.key).collect::<Vec<_>>()), (None, vec![&other]));
        // Another stream takes the place of the one that was.
        assert_eq!(state.apply(answer("f", 9, false, [stored(9)])), Ok(()));
        assert_eq!((state.newer_than(), offsets(&state)), (None, vec![Some(9), None]));
    }

    #[test]
    fn what_is_held_no_more_makes_no_hole() {
        let mut state = RoomState::new(at(1_900), (351..=400).map(stored).collect());
        assert_eq!(state.apply(Input::Newer(Offset(400), (901..=950).map(stored).collect())), Ok(()));
        assert_eq!(offsets(&state), (901..=950).map(Some).collect::<Vec<_>>());
        assert_eq!((state.older_than(), state.newer_than()), (Some(Offset(901)), Some(Offset(950))));
    }

    #[test]
    fn the_newest_messages_take_the_place_of_the_past_and_leave_what_is_under_way() {
        let mut state = RoomState::new(at(100), (1..=30).map(stored).collect());
        assert_eq!(state.newer_than(), Some(Offset(30)));
        let key = compose(&mut state, "a");
        // One more has been said since they were read.
        assert_eq!(state.apply(Input::Pushed(push(stored(101)))), Ok(()));
        assert_eq!(state.apply(Input::Latest((51..=100).map(stored).collect())), Ok(()));
        assert_eq!((state.older_than(), state.newer_than()), (Some(Offset(51)), Some(Offset(100))));
        assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&key]);
        assert_eq!(state.apply(Input::Newer(Offset(100), vec![stored(101)])), Ok(()));
        assert_eq!(state.newer_than(), None);
        assert_eq!(state.rows().len(), 52);
    }

    #[test]
    fn what_is_passing_is_trimmed_from_its_beginning_since_it_cannot_be_read_again() {
        let mut state = RoomState::new(at(0), Vec::new());
        for number in 1..=10 {
            let Push { topic, event, .. } = push(stored(number));
            assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
        }
        assert_eq!(state.apply(Input::Trimmed(End::Newest, 3)), Ok(()));
        let texts: Vec<_> = state.rows().iter().map(|row| row.text.as_str()).collect();
        assert_eq!((texts, state.newer_than()), (vec!["text 8", "text 9", "text 10"], None));
    }

    #[test]
    fn messages_without_a_place_are_shown_in_the_order_of_their_coming() {
        let mut state = RoomState::new(at(0), Vec::new());
        let key = compose(&mut state, "a");
        for (name, from) in [("x", "ann"), ("a", "me")] {
            let from = Person { id: from.to_owned(), name: from.to_owned() };
            let Push { topic, event, .. } = push(said(1, &from, name));
            assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
        }
        assert_eq!(state.rows().len(), 2);
        assert_eq!(state.rows()[1].key, key, "where everybody else has it");
        assert_eq!(state.pending().count(), 0);
    }

    #[test]
    fn a_message_without_a_place_stays_where_it_came() {
        let mut state = RoomState::new(at(3), (2..=3).map(stored).collect());
        let passing = |state: &mut RoomState, number| {
            let Push { topic, event, .. } = push(said(number, &me(), &format!("passing-{number}")));
            assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
        };
        let texts = |state: &RoomState| state.rows().iter().map(|row| row.text.clone()).collect::<Vec<_>>();
        passing(&mut state, 33);
        compose(&mut state, "a");
        assert_eq!(state.apply(Input::Pushed(push(stored(4)))), Ok(()));
        passing(&mut state, 44);
        assert_eq!(state.apply(Input::Older(Offset(2), vec![stored(1)])), Ok(()));
        assert_eq!(texts(&state), ["text 1", "text 2", "text 3", "text 33", "text 4", "text 44", "mine a"]);
        assert_eq!(state.pending().count(), 1);
        assert_eq!(state.apply(Input::Trimmed(End::Oldest, 3)), Ok(()));
        assert_eq!(texts(&state), ["text 33", "text 4", "text 44", "mine a"]);
        assert_eq!(state.older_than(), Some(Offset(4)));
        // The stream begins anew; what was passing is not in it, and stands above.
        assert_eq!(state.apply(answer("f", 9, false, [stored(9)])), Ok(()));
        assert_eq!(texts(&state), ["text 33", "text 44", "text 9", "mine a"]);
        assert_eq!(state.pending().count(), 1);
    }

    #[test]
    fn what_is_accepted_without_a_place_is_said_at_once_and_once() {
        let mut state = RoomState::new(at(0), Vec::new());
        let (first, second) = (compose(&mut state, "a"), compose(&mut state, "b"));
        assert_eq!(state.apply(Input::Accepted { key: second.clone(), offset: None }), Ok(()));
        assert_eq!(state.rows().iter().map(|row| &row.key).collect::<Vec<_>>(), [&second, &first]);
        let Push { topic, event, .. } = push(said(1, &me(), "b"));
        assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
        assert_eq!(state.rows().iter().map(|row| &row.key).collect::<Vec<_>>(), [&second, &first]);
        assert_eq!(state.pending().map(|row| &row.key).collect::<Vec<_>>(), [&first]);
    }

    #[test]
    fn what_is_already_there_is_not_said_again() {
        let mut state = RoomState::new(at(1), vec![said(1, &me(), "a")]);
        compose(&mut state, "a");
        assert_eq!(offsets(&state), [Some(1)]);
        assert_eq!(state.unsent().count(), 0);
    }

    #[test]
    fn of_messages_without_a_place_the_oldest_go_too_but_none_of_ours_that_is_under_way() {
        let mut state = RoomState::new(at(0), Vec::new());
        let pending = compose(&mut state, "mine");
        for number in 1..=10 {
            let Push { topic, event, .. } = push(stored(number));
            assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
        }
        assert_eq!(state.apply(Input::Trimmed(End::Oldest, 3)), Ok(()));
        let texts: Vec<_> = state.rows().iter().map(|row| row.text.as_str()).collect();
        assert_eq!(texts, ["text 8", "text 9", "text 10", "mine mine"]);
        assert_eq!(state.row(&pending).map(|row| row.text.as_str()), Some("mine mine"));
    }

    #[test]
    fn a_programs_event_with_a_text_is_shown() {
        let mut state = RoomState::new(at(0), Vec::new());
        for json in [r#"{"type":"x","text":"1"}"#, r#"{"type":"x","message":{"text":"2"}}"#, r#"{"type":"x","value":3}"#] {
            let event = serde_json::from_str(json).expect("an event");
            let topic = Topic::Room("lobby".parse().expect("a group"));
            assert_eq!(state.apply(Input::Pushed(Push { topic, offset: None, event })), Ok(()));
        }
        assert_eq!(state.rows().iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    }

    /// Where a page stands that was away for some of the room's life.
    #[derive(Clone, Debug)]
    enum Step {
        /// So many messages are said; the page gets them.
        Live(u64),
        /// So many are said while the socket is down; then the page joins and is brought level.
        Missed(u64),
        /// The same, but the server cannot honour the position.
        Reset(u64),
        /// The page reads so many earlier messages.
        Older(usize),
        /// The page reads so many later ones, if it is in the past.
        Newer(usize),
        /// The page goes to the newest.
        Latest,
        /// The last few events come a second time.
        Repeated(u64),
        Trimmed(End, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_u64).prop_map(Step::Live),
            (0..80_u64).prop_map(Step::Missed),
            (0..80_u64).prop_map(Step::Reset),
            (1..60_usize).prop_map(Step::Older),
            (1..60_usize).prop_map(Step::Newer),
            Just(Step::Latest),
            (0..10_u64).prop_map(Step::Repeated),
            (20..60_usize).prop_map(|keep| Step::Trimmed(End::Oldest, keep)),
            (20..60_usize).prop_map(|keep| Step::Trimmed(End::Newest, keep)),
        ]
    }

    proptest! {
        /// Whatever a page went through, it shows what a page shows that is opened now (as far back as both reach).
        #[test]
        fn events_lead_where_a_fresh_state_stands(start in 0..120_u64, steps in prop::collection::vec(step(), 0..25)) {
            const NEWEST: u64 = 50;
            let newest = |head: u64| (head.saturating_sub(NEWEST) + 1..=head).map(stored);
            let mut head = start;
            let mut page = RoomState::new(at(head), newest(head).collect());
            for step in steps {
                match step {
                    Step::Live(count) => {
                        for offset in head + 1..=head + count {
                            prop_assert_eq!(page.apply(Input::Pushed(push(stored(offset)))), Ok(()));
                        }
                        head += count;
                    }
                    Step::Missed(count) => {
                        let missed = (head + 1..=head + count).map(stored);
                        head += count;
                        prop_assert_eq!(page.apply(answer("e", head, true, missed)), Ok(()));
                    }
                    Step::Reset(count) => {
                        head += count;
                        prop_assert_eq!(page.apply(answer("e", head, false, newest(head))), Ok(()));
                    }
                    Step::Older(count) => {
                        if let Some(before) = page.older_than() {
                            let first = before.0.saturating_sub(count as u64).max(1);
                            let older = (first..before.0).map(stored).collect();
                            prop_assert_eq!(page.apply(Input::Older(before, older)), Ok(()));
                        }
                    }
                    Step::Newer(count) => {
                        if let Some(after) = page.newer_than() {
                            let newer = (after.0 + 1..=head.min(after.0 + count as u64)).map(stored).collect();
                            prop_assert_eq!(page.apply(Input::Newer(after, newer)), Ok(()));
                        }
                    }
                    Step::Latest => prop_assert_eq!(page.apply(Input::Latest(newest(head).collect())), Ok(())),
                    Step::Repeated(count) => {
                        for offset in head.saturating_sub(count).max(1)..=head {
                            prop_assert_eq!(page.apply(Input::Pushed(push(stored(offset)))), Ok(()));
                        }
                    }
                    Step::Trimmed(end, keep) => prop_assert_eq!(page.apply(Input::Trimmed(end, keep)), Ok(())),
                }
                prop_assert_eq!(page.position(), &at(head));
                let rows = page.rows();
                prop_assert!(rows.len() as u64 >= head.min(20), "{} of {head}", rows.len());
                let first = rows.first().and_then(|row| row.offset).map_or(1, |offset| offset.0);
                prop_assert_eq!(page.older_than().is_some(), first > 1);
                // A page in the past shows a stretch that ends earlier, and knows that it does.
                let last = page.newer_than().map_or(head, |last| last.0);
                prop_assert!(page.newer_than().is_none() || last < head);
                let fresh = RoomState::new(at(head), (first..=last).map(stored).collect());
                prop_assert_eq!(rows, fresh.rows());
                prop_assert_eq!(page.newer_than(), fresh.newer_than());
            }
        }
    }
}
