//! The state of a room's page and the one function that changes it.
//!
//! Rows stand in two parts: first what has been said, then our own messages that are under way. What has been said has a place in
//! the room's stream, in rising order and without holes, or is passing: of a room that keeps no history, of a program, of
//! another node's store. A passing row stands where it came, after what was there then and before what came later.
//!
//! A page that has read far back holds a stretch of the stream that ends before the newest message: the reader is in the past.
//! What is said meanwhile moves the position and is not shown; it is read when the reader comes down to it. Our own stays under way
//! until it is answered.
//!
//! Changes of messages have places in the stream too. One that concerns a row is made at once. Rows that are read may have been
//! read before a change and come after it: so the last changes are kept and made of these rows as well.
//!
//! What we do to messages is shown before it is done (see [`Feed`]); a row itself says what the stream says. What we have put
//! to a message comes beside it, since of many people who have put something the message names some.
//!
//! A row's key is its author and the key that the author's client gave it, so the event of a message that we sent finds
//! the row that is already there.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::here::Here;
use crate::{
    app::feed::{Feed, Gap, Reducer, follow_mine},
    wire::{
        Act, BY_PROGRAM, Change, Content, Emoji, Event, Joined, Key, Members, Message, MessageId, Mine, Offset, Person,
        PersonName, Position, Push, State, Stored, Stretch, Timestamp, is_blank,
    },
};

/// So many changes are kept for rows that are being read.
const CHANGES: usize = 256;

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
    pub content: Content,
    /// What the reader has put to it, sorted.
    pub mine: Vec<Emoji>,
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
    Older(Offset, Stretch),
    /// Later messages that were asked for with `after` this offset.
    Newer(Offset, Stretch),
    /// The newest messages, in place of those that have been said.
    Latest(Stretch),
    /// Messages some of which are shown, as they are now.
    Refreshed(Stretch),
    /// We do something; what is already there is not said again.
    Begun { act: Act, from: Person, at: Timestamp },
    /// The server did it: where that stands, if it stands anywhere.
    Done { act: Act, offset: Option<Offset> },
    /// The server refused it.
    Refused { act: Act, reason: String },
    /// Send a refused message again.
    Retried(RowKey),
    /// Throw a message that was not accepted away.
    Discarded(RowKey),
    /// The server takes us for this person from now on; what was put to messages as another one is not ours.
    Are(String),
    /// Somebody else is writing something, by this browser's clock.
    Typing { from: Person, at: Timestamp },
    /// It is so late.
    Elapsed(Timestamp),
    /// Of what has been said, forget the rows at one end but for this many; they can be read again.
    Trimmed(End, usize),
    /// The reader has read up to here; with `back` what comes after that is unread again, otherwise what was read stays read.
    Read { up_to: Offset, back: bool },
    /// The reader was not there when the first of what they have not read came: it is parted from what they have read, as long as they read.
    Parted,
}

/// An end of what has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Oldest,
    Newest,
}

/// What of the page may look different.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Rows have come, gone or moved.
    pub list: bool,
    /// People have come or gone, or write or write no more.
    pub here: bool,
    /// These rows; some may be there no more.
    pub rows: Vec<RowKey>,
}

/// It is a note for the page and no part of what the page shows: two states are equal whatever has led to them.
impl PartialEq for Touched {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Touched {}

/// What the page shows of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    feed: Feed,
    rows: Vec<Row>,
    /// How many of the rows have been said; they come first.
    said: usize,
    /// Where each row stands.
    index: HashMap<RowKey, usize>,
    /// Earlier messages may exist.
    older: bool,
    /// Where the newest message stands that is known of.
    latest: Offset,
    /// The last changes, with their places.
    changes: VecDeque<(Offset, Change)>,
    /// Of changes up to here none is kept.
    forgotten: Offset,
    /// Names the rows of events that came without a key.
    nameless: u64,
    here: Here,
    /// The id of the reader.
    me: String,
    /// Up to where they have read; none where that is not known.
    read: Option<Offset>,
    /// What comes after that is parted from what stands before it.
    parted: Option<Offset>,
    /// What may look different since this was taken last.
    touched: Touched,
}

impl RoomState {
    /// As the server's first answer has it.
    pub fn new(stretch: Stretch) -> Self {
        let older = reaches_further_back(&stretch);
        let Stretch { epoch, offset, latest, messages, mine, .. } = stretch;
        let rows = rows_of(messages, mine);
        let said = rows.len();
        let mut state = Self {
            feed: Feed::at(Position { epoch, offset }),
            rows,
            said,
            index: HashMap::new(),
            older,
            latest,
            changes: VecDeque::new(),
            forgotten: offset,
            nameless: 0,
            here: Here::default(),
            me: String::new(),
            read: None,
            parted: None,
            touched: Touched::default(),
        };
        state.reindex();
        state
    }

    /// As this person reads it.
    #[must_use]
    pub fn read_by(mut self, me: &str) -> Self {
        me.clone_into(&mut self.me);
        self
    }

    /// With these people in the room.
    #[must_use]
    pub fn with_members(mut self, members: Members) -> Self {
        self.here.joined(members);
        self
    }

    /// With this row below all others.
    #[cfg(test)]
    pub(super) fn with_row(mut self, row: Row) -> Self {
        self.append(row);
        self
    }

    /// Who is in the room, and who is writing.
    pub fn here(&self) -> &Here {
        &self.here
    }

    /// Where the page stands, and what is under way.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn row(&self, key: &RowKey) -> Option<&Row> {
        self.index.get(key).map(|at| &self.rows[*at])
    }

    /// The row of the message at this place of the stream.
    pub fn key_at(&self, offset: Offset) -> Option<&RowKey> {
        self.place_of(offset).map(|at| &self.rows[at].key)
    }

    /// How many rows stand above this one.
    pub fn place(&self, key: &RowKey) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// Before which offset earlier messages may exist.
    pub fn older_than(&self) -> Option<Offset> {
        self.rows[..self.said].iter().find_map(|row| row.offset).filter(|_| self.older)
    }

    /// After which offset later messages exist that are not shown; none where the rows reach up to the present.
    pub fn newer_than(&self) -> Option<Offset> {
        self.rows[..self.said].last().and_then(|row| row.offset).filter(|last| *last < self.latest)
    }

    /// The reader is in the past: the rows end before the present.
    pub fn is_past(&self) -> bool {
        self.newer_than().is_some()
    }

    /// Up to where the reader has read; none where that is not known.
    pub fn read(&self) -> Option<Offset> {
        self.read
    }

    /// Where the newest message stands that is known of.
    pub fn latest(&self) -> Offset {
        self.latest
    }

    /// How many messages of others the reader has not read, of those that are shown.
    pub fn unread(&self) -> usize {
        let Some(read) = self.read else { return 0 };
        let said = self.rows[..self.said].iter().rev();
        let after = said.take_while(|row| row.offset.is_none_or(|offset| offset > read));
        after.filter(|row| row.offset.is_some() && row.from.id != self.me && !row.content.deleted).count()
    }

    /// Whether the row at this place is the first that the reader had not read.
    pub fn begins_new(&self, place: usize) -> bool {
        let Some(parted) = self.parted else { return false };
        let above = || self.rows[..place].iter().rev().find_map(|row| row.offset);
        self.rows[place].offset.is_some_and(|offset| offset > parted) && above().is_none_or(|above| above <= parted)
    }

    /// What may look different since it was asked last.
    pub(super) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// What the server calls the message of a row; none where it has no place.
    pub fn id(&self, row: &Row) -> Option<MessageId> {
        row.offset.and_then(|offset| self.feed.id(offset))
    }

    /// What a message says, if it has a row.
    pub fn text(&self, id: &MessageId) -> Option<&str> {
        let is_it = |row: &&Row| row.offset == Some(id.offset) && self.feed.is_in(&id.epoch);
        self.rows[..self.said].iter().rev().find(is_it).map(|row| row.content.text.as_str())
    }

    /// What a row shows: what it says, and what we do to it.
    pub fn content<'a>(&self, row: &'a Row) -> Cow<'a, Content> {
        self.shown(row).0
    }

    /// The same, and what of its reactions is ours.
    pub fn shown<'a>(&self, row: &'a Row) -> (Cow<'a, Content>, Cow<'a, [Emoji]>) {
        match self.changing(row) {
            Some(id) => self.feed.upon(&id, &row.content, &row.mine),
            None => (Cow::Borrowed(&row.content), Cow::Borrowed(&row.mine)),
        }
    }

    /// What the server calls the message of a row, where something may be under way with it: mostly nothing is, with any.
    fn changing(&self, row: &Row) -> Option<MessageId> {
        if self.feed.is_quiet() { None } else { self.id(row) }
    }

    /// Something that we do to the message is not done yet.
    pub fn is_changing(&self, row: &Row) -> bool {
        self.changing(row).is_some_and(|id| self.feed.concerns(&id))
    }

    /// Something can be done to the message.
    pub fn is_changeable(&self, row: &Row) -> bool {
        row.offset.is_some() && !self.content(row).deleted
    }

    /// The last message that something can be done to.
    pub fn last_changeable(&self) -> Option<&RowKey> {
        self.rows[..self.said].iter().rev().find(|row| self.is_changeable(row)).map(|row| &row.key)
    }

    /// The last of this person's messages that can be edited.
    pub fn last_said_by(&self, person: &str) -> Option<&Row> {
        self.rows[..self.said].iter().rev().find(|row| row.from.id == person && self.is_changeable(row))
    }

    /// Our messages that wait for an answer, in the order in which they were said.
    pub fn pending(&self) -> impl Iterator<Item = &Row> {
        self.unsent().filter(|row| row.delivery == Delivery::Pending)
    }

    /// Our messages that the server has not accepted, the refused ones too.
    pub fn unsent(&self) -> impl Iterator<Item = &Row> {
        self.rows[self.said..].iter().filter(|row| row.delivery != Delivery::Sent)
    }

    /// What is lost unless it is sent again: the messages that were refused, and what has no answer.
    pub fn unanswered(&self) -> Vec<Act> {
        let refused = self.unsent().filter(|row| row.delivery != Delivery::Pending).filter_map(Row::to_send);
        refused.chain(self.feed.waiting().cloned()).collect()
    }

    /// Changes the state.
    ///
    /// # Errors
    /// An event is missing in between; the state is as before.
    pub fn apply(&mut self, input: Input) -> Result<(), Gap> {
        let applied = self.take(input);
        let unsent = &self.rows[self.said..];
        // A message waits for its answer as long as it has no place.
        let waits = |act: &Act| match act {
            Act::Send { key, .. } => unsent.iter().any(|row| row.is_called(key) && row.delivery == Delivery::Pending),
            _ => true,
        };
        for id in self.feed.settle(waits) {
            self.touch_message(&id);
        }
        applied
    }

    /// A row may look different.
    fn touch(&mut self, at: usize) {
        self.touched.rows.push(self.rows[at].key.clone());
    }

    /// The same of the row of a message, if it is there.
    fn touch_message(&mut self, id: &MessageId) {
        if self.feed.is_in(&id.epoch)
            && let Some(at) = self.place_of(id.offset)
        {
            self.touch(at);
        }
    }

    /// Rows stand otherwise up to here: this one has another one above it, and that may matter to all that the same person goes on with.
    fn touch_from(&mut self, at: usize) {
        self.touched.list = true;
        for next in at..self.rows.len() {
            if next > at && self.rows[next].from != self.rows[next - 1].from {
                break;
            }
            self.touch(next);
        }
    }

    /// All rows may look different.
    fn touch_all(&mut self) {
        self.touched.list = true;
        self.touched.rows = self.rows.iter().map(|row| row.key.clone()).collect();
    }

    fn take(&mut self, input: Input) -> Result<(), Gap> {
        match input {
            Input::Pushed(push) => return self.pushed(push),
            Input::Joined(at, state) => self.level(at, state),
            Input::Older(before, stretch) => self.prepend(before, stretch),
            Input::Newer(after, stretch) => self.go_on(after, stretch),
            Input::Latest(stretch) => self.return_to(stretch),
            Input::Refreshed(stretch) => self.refresh(stretch),
            Input::Begun { act, from, at } => self.begin(act, from, at),
            Input::Done { act, offset } => {
                self.feed.done(&act, offset);
                match (act.message(), self.own(&act)) {
                    (Some(message), _) => self.touch_message(message),
                    (None, Some(key)) => self.accepted(&key, offset),
                    (None, None) => {}
                }
            }
            Input::Refused { act, reason } => {
                self.feed.forget(&act);
                match (act.message(), self.own(&act)) {
                    (Some(message), _) => self.touch_message(message),
                    (None, Some(key)) => self.deliver(&key, Delivery::Failed(reason)),
                    (None, None) => {}
                }
            }
            Input::Retried(key) => {
                if let Some(row) = self.under_way(&key).cloned()
                    && let (Some(act), Some(at)) = (row.to_send(), row.at)
                {
                    self.remove(&key);
                    self.begin(act, row.from, at);
                }
            }
            Input::Discarded(key) => self.remove_under_way(&key),
            Input::Are(me) => self.are(me),
            Input::Typing { from, at } => {
                self.touched.here = true;
                self.here.typing(from, at);
            }
            Input::Elapsed(now) => {
                self.touched.here = true;
                self.here.elapsed(now);
            }
            Input::Trimmed(End::Oldest, keep) => self.trim_oldest(keep),
            Input::Trimmed(End::Newest, keep) => self.trim_newest(keep),
            Input::Read { up_to, back } => {
                if back || self.read.is_none_or(|read| read < up_to) {
                    self.read = Some(up_to);
                }
                if back {
                    self.part(Some(up_to));
                }
            }
            Input::Parted => self.part(self.read),
        }
        Ok(())
    }

    /// Has what comes after this stand apart, and nothing else.
    fn part(&mut self, parted: Option<Offset>) {
        let first = |state: &Self| (0..state.said).rev().find(|place| state.begins_new(*place));
        if self.parted != parted {
            let before = first(self);
            self.parted = parted;
            before.into_iter().chain(first(self)).for_each(|at| self.touch(at));
        }
    }

    /// Does what shows before it is done.
    fn begin(&mut self, act: Act, from: Person, at: Timestamp) {
        match &act {
            Act::Send { key, text } => {
                let key = RowKey::new(&from.id, key.as_str());
                if self.index.contains_key(&key) {
                    return;
                }
                let (from, content, mine) = (from.clone(), Content::new(text), Vec::new());
                self.append(Row { key, from, content, mine, at: Some(at), offset: None, delivery: Delivery::Pending });
            }
            change => change.message().into_iter().for_each(|id| self.touch_message(id)),
        }
        self.feed.begin(act, from, at);
    }

    /// The row of a message of ours that has no place yet.
    fn own(&self, act: &Act) -> Option<RowKey> {
        let Act::Send { key, .. } = act else { return None };
        self.rows[self.said..].iter().find(|row| row.is_called(key)).map(|row| row.key.clone())
    }

    /// Takes in the answer to a join, with what it says of the reader beside the events.
    fn level(&mut self, at: Joined, mut state: State) {
        let members = state.members.take();
        let mine = if state.recovered { std::mem::take(&mut state.mine) } else { Mine::new() };
        self.joined(at, state);
        for (id, put) in mine {
            if let Some(row) = self.place_of(id.offset) {
                self.rows[row].mine = put;
                self.touch(row);
            }
        }
        if let Some(members) = members {
            self.touched.here = true;
            self.recognize(&members.people);
            self.here.joined(members);
        }
    }

    /// Shows people with an account as they are now, also over what they have said before. What a guest was called then stays.
    fn recognize(&mut self, people: &[Person]) {
        let mut are_seen_anew = false;
        for now in people.iter().filter(|person| person.handle.is_some()) {
            for row in &mut self.rows {
                let put = row.content.reactions.iter_mut().flat_map(|put| &mut put.from);
                for person in put.chain([&mut row.from]) {
                    are_seen_anew |= person.becomes(now);
                }
            }
        }
        if are_seen_anew {
            self.touch_all();
        }
    }

    fn are(&mut self, me: String) {
        if self.me != me {
            self.rows.iter_mut().for_each(|row| row.mine.clear());
            self.me = me;
            self.touch_all();
        }
    }

    /// Does to its row what the change says, if the row is there.
    fn change(&mut self, at: Offset, change: &Change) {
        let me = std::mem::take(&mut self.me);
        if self.feed.is_in(&change.id().epoch)
            && let Some(row) = self.place_of(change.id().offset)
        {
            self.rows[row].follow(at, change, &me);
            self.touch(row);
        }
        self.me = me;
    }

    /// Where the row of an offset stands. Rows with an offset stand in its order, those without one among them.
    fn place_of(&self, offset: Offset) -> Option<usize> {
        self.rows[..self.said].iter().rposition(|row| row.offset == Some(offset))
    }

    fn remember(&mut self, offset: Offset, change: Change) {
        self.changes.push_back((offset, change));
        if self.changes.len() > CHANGES
            && let Some((gone, _)) = self.changes.pop_front()
        {
            self.forgotten = gone;
        }
    }

    /// Makes of what was read the rows that it is by now; none where that is not known any more.
    fn up_to_date(&self, read: Offset, messages: Vec<Stored>, mine: Mine) -> Option<Vec<Row>> {
        if read < self.forgotten {
            return None;
        }
        let mut rows = rows_of(messages, mine);
        for (at, change) in self.changes.iter().filter(|(offset, _)| *offset > read) {
            if let Ok(row) = rows.binary_search_by_key(&Some(change.id().offset), |row| row.offset) {
                rows[row].follow(*at, change, &self.me);
            }
        }
        Some(rows)
    }

    fn prepend(&mut self, before: Offset, stretch: Stretch) {
        // The rows may have changed since they were asked for.
        if self.older_than() != Some(before) {
            return;
        }
        let older = reaches_further_back(&stretch);
        let Some(mut rows) = self.up_to_date(stretch.offset, stretch.messages, stretch.mine) else { return };
        self.older = older;
        rows.retain(|row| row.offset < Some(before));
        let added: HashSet<_> = rows.iter().map(|row| row.key.clone()).collect();
        self.retain(|row| row.offset.is_some() || !added.contains(&row.key));
        let count = rows.len();
        self.said += count;
        rows.append(&mut self.rows);
        self.rows = rows;
        self.reindex();
        self.touch_from(count);
    }

    fn go_on(&mut self, after: Offset, stretch: Stretch) {
        // The rows may have changed since they were asked for.
        if self.newer_than() != Some(after) {
            return;
        }
        // What stood in between is held no more: the reader finds the oldest that is.
        if stretch.first > after.next() {
            return self.return_to(stretch);
        }
        let Some(rows) = self.up_to_date(stretch.offset, stretch.messages, stretch.mine) else { return };
        // What is further on than the position is still to come, and with it what was done before to others.
        let known = self.feed.offset();
        for row in rows.into_iter().filter(|row| row.offset > Some(after) && row.offset <= Some(known)) {
            self.say(row);
        }
    }

    fn return_to(&mut self, stretch: Stretch) {
        // It may have been asked for twice.
        if !self.is_past() {
            return;
        }
        let older = reaches_further_back(&stretch);
        let Some(rows) = self.up_to_date(stretch.offset, stretch.messages, stretch.mine) else { return };
        self.older = older;
        self.rows.drain(..self.said);
        self.said = 0;
        self.reindex();
        self.touch_all();
        let is_ahead = stretch.offset > self.feed.offset();
        if is_ahead {
            self.forget_accepted();
        }
        for row in rows {
            self.say(row);
        }
        // It may be ahead of the events that are on their way: all that is shown is as new as this.
        if is_ahead {
            self.feed.reach(stretch.offset);
            self.latest = stretch.latest;
            self.changes.clear();
            self.forgotten = stretch.offset;
        }
    }

    fn refresh(&mut self, stretch: Stretch) {
        let Some(rows) = self.up_to_date(stretch.offset, stretch.messages, stretch.mine) else { return };
        for Row { offset, content, mine, .. } in rows {
            if let Some(at) = offset.and_then(|offset| self.place_of(offset)) {
                (self.rows[at].content, self.rows[at].mine) = (content, mine);
                self.touch(at);
            }
        }
    }

    fn accepted(&mut self, key: &RowKey, offset: Option<Offset>) {
        let Some(row) = self.under_way(key) else { return };
        match offset {
            // It stands before what the page shows: an earlier attempt had gone through after all.
            Some(offset) if offset <= self.feed.offset() => self.remove(key),
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

    /// Shows what is said now, unless the reader is in the past, where it has no place.
    fn say_now(&mut self, row: Row) {
        if !self.is_past() {
            self.say(row);
        } else if row.offset.is_some() {
            self.leave_to_its_answer(&row.key);
        } else {
            self.remove_under_way(&row.key);
        }
    }

    /// Lets go of a message of ours that stands further down than the rows, but not before it is answered: the answer leads the reader
    /// to it. Where the answer was lost, the row is there to be asked about again.
    fn leave_to_its_answer(&mut self, key: &RowKey) {
        if self.under_way(key).is_some_and(|row| row.delivery != Delivery::Pending) {
            self.remove(key);
        }
    }

    /// Puts a row at the end of what has been said.
    fn say(&mut self, row: Row) {
        self.touched.here |= self.here.stopped_typing(&row.from.id);
        self.remove(&row.key);
        self.rows.insert(self.said, row);
        self.said += 1;
        self.reindex_from(self.said - 1);
        self.touch(self.said - 1);
        self.touch_from(self.said);
    }

    fn append(&mut self, row: Row) {
        self.remove(&row.key);
        self.index.insert(row.key.clone(), self.rows.len());
        self.rows.push(row);
        self.touch_from(self.rows.len() - 1);
    }

    fn remove(&mut self, key: &RowKey) {
        if let Some(at) = self.index.remove(key) {
            self.rows.remove(at);
            if at < self.said {
                self.said -= 1;
            }
            self.reindex_from(at);
            self.touch_from(at);
        }
    }

    /// Lets go of our messages that were accepted and whose events will not come any more: they are in the stream.
    fn forget_accepted(&mut self) {
        let accepted = self.rows[self.said..].iter().filter(|row| row.delivery == Delivery::Sent);
        for key in accepted.map(|row| row.key.clone()).collect::<Vec<_>>() {
            self.remove(&key);
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
            && let Some(at) = self.place(key)
        {
            self.rows[at].delivery = delivery;
            self.touch(at);
        }
    }

    fn trim_oldest(&mut self, keep: usize) {
        let drop = self.said.saturating_sub(keep);
        // What is passing cannot be read again, nor could it by somebody who comes now.
        self.older |= self.rows[..drop].iter().any(|row| row.offset.is_some());
        self.rows.drain(..drop);
        self.said -= drop;
        self.reindex();
        self.touch_from(0);
    }

    fn trim_newest(&mut self, keep: usize) {
        // The last one has a place, from which later ones can be read. Where that is not to be had, what is passing goes from its
        // beginning.
        let last = self.rows[..self.said.min(keep)].iter().rposition(|row| row.offset.is_some());
        let Some(last) = last.filter(|last| *last >= keep / 2) else { return self.trim_oldest(keep) };
        if !self.is_past() && self.rows[last + 1..self.said].iter().all(|row| row.offset.is_none()) {
            return self.trim_oldest(keep);
        }
        self.rows.drain(last + 1..self.said);
        self.said = last + 1;
        self.reindex();
        self.touch_from(self.said);
    }

    fn retain(&mut self, mut keeps: impl FnMut(&Row) -> bool) {
        let (said, mut at) = (self.said, 0);
        self.rows.retain(|row| {
            let stays = keeps(row);
            self.said -= usize::from(at < said && !stays);
            at += 1;
            stays
        });
        if self.rows.len() < at {
            self.reindex();
            self.touch_all();
        }
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

impl Reducer for RoomState {
    fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    fn event(&mut self, at: Option<Offset>, event: Event) {
        match (at, event) {
            (Some(offset), Event::Message(message)) => {
                self.say_now(placed(Stored { offset, message }));
                self.latest = offset;
            }
            (Some(offset), Event::Change(change)) => {
                self.change(offset, &change);
                self.remember(offset, change);
            }
            (None, Event::Message(message)) => self.unnumbered(message),
            (None, Event::Other(map)) => {
                if let Some(text) = text_of(&map) {
                    let key = RowKey::new("", &format!("event-{}", self.nameless));
                    self.nameless += 1;
                    let (from, content, mine) = (program_of(&map), Content::new(text), Vec::new());
                    self.say_now(Row { key, from, content, mine, at: None, offset: None, delivery: Delivery::Sent });
                }
            }
            (None, Event::Presence(change)) => {
                self.touched.here = true;
                self.recognize(&change.joined);
                self.recognize(change.people.as_deref().unwrap_or_default());
                self.here.changed(change);
            }
            // It is said in the reader's own topic.
            #[cfg(feature = "ssr")]
            (None, Event::Announced(_) | Event::Read(_)) => {}
            // Of typing the time is not in it, what is changed has a place, and others see to what is taken back and to rights.
            (Some(_), _)
            | (
                None,
                Event::Typing(_)
                | Event::Room(_)
                | Event::Renamed(_)
                | Event::Left(_)
                | Event::Changed(_)
                | Event::SignedOut(_)
                | Event::Change(_),
            ) => {}
        }
    }

    fn snapshot(&mut self, same: bool, state: State) {
        self.changes.clear();
        self.forgotten = self.feed.offset();
        let said = state.events.into_iter().filter_map(|Push { offset, event, .. }| match event {
            Event::Message(message) => Some(Stored { offset: offset?, message }),
            _ => None,
        });
        let said = rows_of(said.collect(), state.mine);
        if !same {
            // Positions of another stream say nothing of this one.
            (self.read, self.parted) = (None, None);
        }
        let is_past = self.is_past() && same;
        self.latest = said.last().and_then(|row| row.offset).unwrap_or(Offset::START);
        self.forget_accepted();
        if is_past {
            // None of it has a place; it is read when the reader comes down to it.
            for row in said {
                self.leave_to_its_answer(&row.key);
            }
            return;
        }
        // What is passing cannot be read again; the stream that is now begins after it.
        self.retain(|row| row.offset.is_none());
        self.older = said.first().and_then(|row| row.offset).is_some_and(|first| first > Offset(1));
        for row in said {
            self.say(row);
        }
        self.touch_all();
    }
}

fn placed(Stored { offset, message }: Stored) -> Row {
    let Message { key, from, content, at, .. } = message;
    let key = RowKey::new(&from.id, key.as_str());
    Row { key, from, content, mine: Vec::new(), at: Some(at), offset: Some(offset), delivery: Delivery::Sent }
}

/// The rows of messages of a stream, with what the reader has put to them.
fn rows_of(messages: Vec<Stored>, mine: Mine) -> Vec<Row> {
    // Few have any, so they are looked for one by one.
    let mut mine: Vec<_> = mine.into_iter().map(|(id, put)| (id.offset, put)).collect();
    let row = |stored: Stored| {
        let place = mine.iter().position(|(offset, _)| *offset == stored.offset);
        Row { mine: place.map(|place| mine.swap_remove(place).1).unwrap_or_default(), ..placed(stored) }
    };
    messages.into_iter().map(row).collect()
}

impl Row {
    fn is_called(&self, key: &Key) -> bool {
        self.key.key() == key.as_str()
    }

    /// What says it; none where its key is of an event.
    fn to_send(&self) -> Option<Act> {
        Some(Act::Send { key: self.key.key().parse().ok()?, text: self.content.text.clone() })
    }

    /// Does to it what the change at this place of the stream says, unless that is in it already; the reader is `me`.
    fn follow(&mut self, at: Offset, change: &Change, me: &str) {
        if self.content.changed.is_some_and(|changed| changed >= at) {
            return;
        }
        self.content.follow(at, change);
        if !matches!(change, Change::React { from, .. } if from.id != me) {
            follow_mine(&mut self.mine, change);
        }
    }
}

/// The text that a program's event shows: under `text`, `message`, `message.text` or `msg.text`.
fn text_of(map: &Map<String, Value>) -> Option<&str> {
    let nested = |key: &str| map.get(key).and_then(|inner| inner.get("text"));
    let text = [map.get("text"), map.get("message"), nested("message"), nested("msg")];
    text.into_iter().flatten().find_map(Value::as_str).filter(|text| !is_blank(text))
}

/// The program that an event comes from: the one that pushed it, or one that goes by the name in it. It is never a person.
fn program_of(map: &Map<String, Value>) -> Person {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let pushed = map.get(BY_PROGRAM).and_then(|by| Some(Person::new(text(by, "id")?, text(by, "name")?)));
    pushed.filter(Person::is_program).unwrap_or_else(|| {
        let names = ["from", "username", "user"].into_iter().filter_map(|key| map.get(key)?.as_str()?.parse().ok());
        let name = names.map(PersonName::into_string).next();
        Person::new(String::new(), name.unwrap_or_else(|| "Program".to_owned()))
    })
}

/// Whether messages are held that stand before those of the stretch.
fn reaches_further_back(stretch: &Stretch) -> bool {
    stretch.messages.first().is_some_and(|oldest| oldest.offset > stretch.first)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
