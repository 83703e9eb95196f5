//! Whatever a page went through, it shows what a page shows that is opened now: `apply(snapshot, events) == fresh snapshot`. And whatever
//! has changed of what it shows has been noted, for else it would not be rendered.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::wire::{Epoch, Topic};

/// A room's stream, as a store holds it.
#[derive(Default)]
struct Room {
    /// The one at `n` has offset `n + 1`.
    events: Vec<Event>,
}

/// What somebody does in the room. Numbers choose among the messages that there are.
#[derive(Clone, Debug)]
enum Deed {
    Say,
    Edit(usize),
    Delete(usize),
    /// Somebody by number; the first is the reader.
    React(usize, u8, u8, bool),
}

/// What happens to the page.
#[derive(Clone, Debug)]
enum Step {
    Deed(Deed),
    /// The page says something of its own.
    Composed,
    /// It deletes a message, and is refused the one of this number.
    Deletes(usize),
    Refused(usize),
    /// It asks the server for the first that waits, and has the answer or loses it.
    Asked(bool),
    /// So many events come that are on their way.
    Come(usize),
    /// The socket was down: all that was missed comes in the answer to the join.
    Missed,
    /// The same, but the server cannot honour the position.
    Reset,
    /// The page asks for a part of the room. It is read at once and comes when it is answered.
    Older(usize),
    Newer(usize),
    Latest,
    Answer,
    /// The last few events come a second time.
    Repeated(usize),
    Trimmed(End, usize),
}

const NEWEST: usize = 20;

fn epoch() -> Epoch {
    "e".parse().unwrap()
}

fn id(offset: u64) -> MessageId {
    MessageId { epoch: epoch(), offset: Offset(offset) }
}

fn ann() -> Person {
    Person::new("ann", "Ann")
}

fn me() -> Person {
    Person::new("me", "Me")
}

fn compose(page: &mut RoomState, number: usize) -> RowKey {
    let row = RowKey::new("me", &format!("mine-{number}"));
    assert_eq!(page.apply(begun(said_as(&row))), Ok(()));
    row
}

fn said_as(row: &RowKey) -> Act {
    Act::Send { key: row.key().parse().unwrap(), text: row.key().replace('-', " ") }
}

fn begun(act: Act) -> Input {
    Input::Begun { act, from: me(), at: Timestamp::from_millis(0) }
}

impl Room {
    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    /// Who has put what to which message.
    fn put(&self) -> BTreeSet<(Offset, Emoji, String)> {
        let mut put = BTreeSet::new();
        for event in &self.events {
            match event {
                Event::Change(Change::React { id, emoji, from, on }) => {
                    let one = (id.offset, emoji.clone(), from.id.clone());
                    assert!(if *on { put.insert(one) } else { put.remove(&one) }, "it changes nothing");
                }
                Event::Change(Change::Delete { id }) => put.retain(|(offset, ..)| *offset != id.offset),
                _ => {}
            }
        }
        put
    }

    /// What the reader has put to these messages.
    fn mine<'m>(&self, messages: impl Iterator<Item = &'m Stored>) -> Mine {
        let asked: BTreeSet<_> = messages.map(|stored| stored.offset).collect();
        let mut mine = Mine::new();
        for (offset, emoji, person) in self.put() {
            if person == me().id && asked.contains(&offset) {
                mine.entry(id(offset.0)).or_default().push(emoji);
            }
        }
        mine
    }

    /// All messages as they are now.
    fn messages(&self) -> Vec<Stored> {
        let mut messages: Vec<Stored> = Vec::new();
        for (offset, event) in (1..).map(Offset).zip(&self.events) {
            match event {
                Event::Message(message) => messages.push(Stored { offset, message: message.clone() }),
                Event::Change(change) => {
                    let target = messages.iter_mut().find(|stored| stored.offset == change.id().offset).unwrap();
                    target.message.content.follow(offset, change);
                }
                other => panic!("{other:?}"),
            }
        }
        messages
    }

    /// Takes a message of the page's own, as a store does: what was said with this key is not said again.
    fn take(&mut self, key: &RowKey) -> Offset {
        let is_it = |event: &Event| matches!(event, Event::Message(message) if message.from == me() && message.key.as_str() == key.key());
        let at = self.events.iter().position(is_it).unwrap_or_else(|| {
            let next = self.head() + 1;
            let (key, content) = (key.key().parse().unwrap(), Content::new(key.key()));
            let message = Message { id: id(next).to_string(), key, from: me(), content, at: Timestamp::from_millis(0) };
            self.events.push(Event::Message(message));
            self.events.len() - 1
        });
        Offset(at as u64 + 1)
    }

    fn act(&mut self, deed: &Deed) {
        let next = self.head() + 1;
        let messages = self.messages();
        let target = |number: &usize| messages.get(number % messages.len().max(1)).map(|stored| id(stored.offset.0));
        let change = match deed {
            Deed::Say => {
                let (key, content) = (format!("k{next}").parse().unwrap(), Content::new(format!("text {next}")));
                let message = Message { id: id(next).to_string(), key, from: ann(), content, at: Timestamp::from_millis(0) };
                return self.events.push(Event::Message(message));
            }
            Deed::Edit(number) => target(number).map(|id| {
                let at = Timestamp::from_millis(i64::try_from(next).unwrap());
                Change::Edit { id, text: format!("edited {}", next % 3), at }
            }),
            Deed::Delete(number) => target(number).map(|id| Change::Delete { id }),
            Deed::React(number, emoji, who, on) => {
                let from = if *who == 0 { me() } else { Person::new(format!("p{who}"), format!("P{who}")) };
                let emoji: Emoji = emoji.to_string().parse().unwrap();
                let is_there = |id: &MessageId| self.put().contains(&(id.offset, emoji.clone(), from.id.clone()));
                let id = target(number).filter(|id| is_there(id) != *on);
                id.map(|id| Change::React { id, emoji: emoji.clone(), from: from.clone(), on: *on })
            }
        };
        // As in a store, what changes nothing is no event.
        if let Some(change) = change
            && let Some(mut stored) = messages.into_iter().find(|stored| stored.offset == change.id().offset)
            && stored.message.content.apply(&change)
        {
            self.events.push(Event::Change(change));
        }
    }

    fn stretch(&self, messages: Vec<Stored>) -> Stretch {
        let latest = self.messages().last().map_or(Offset::START, |last| last.offset);
        let mine = self.mine(messages.iter());
        Stretch { epoch: epoch(), offset: Offset(self.head()), first: Offset(1), latest, messages, mine }
    }

    fn newest(&self) -> Stretch {
        let messages = self.messages();
        let from = messages.len().saturating_sub(NEWEST);
        self.stretch(messages[from..].to_vec())
    }

    /// What a store gives after an offset: messages as they are now, and the changes.
    fn after(&self, offset: Offset) -> Vec<Push> {
        let now = self.messages();
        let events = (1..).map(Offset).zip(&self.events).filter(|(at, _)| *at > offset);
        let event = |(offset, event): (Offset, &Event)| {
            let event = match event {
                Event::Message(_) => Event::Message(now.iter().find(|stored| stored.offset == offset).unwrap().message.clone()),
                Event::Change(Change::Edit { id, .. }) => {
                    let content = &now.iter().find(|stored| stored.offset == id.offset).unwrap().message.content;
                    Event::Change(match content.edited {
                        Some(at) => Change::Edit { id: id.clone(), text: content.text.clone(), at },
                        None => Change::Delete { id: id.clone() },
                    })
                }
                other => other.clone(),
            };
            push(offset, event)
        };
        events.map(event).collect()
    }
}

fn topic() -> Topic {
    Topic::Room("lobby".parse().unwrap())
}

fn push(offset: Offset, event: Event) -> Push {
    Push { topic: topic(), offset: Some(offset), event }
}

fn joined(room: &Room, recovered: bool, events: Vec<Push>) -> Input {
    let at = Joined { topic: topic(), epoch: epoch(), offset: Offset(room.head()) };
    let said: Vec<_> = room.messages();
    let told = said.iter().filter(|stored| events.iter().any(|push| push.offset == Some(stored.offset)));
    let mine = room.mine(told);
    Input::Joined(at, State { recovered, events, mine, rooms: None, members: None, ..State::default() })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => Just(Deed::Say),
        2 => any::<usize>().prop_map(Deed::Edit),
        1 => any::<usize>().prop_map(Deed::Delete),
        2 => (any::<usize>(), 0..2_u8, 0..3_u8, any::<bool>())
            .prop_map(|(number, emoji, who, on)| Deed::React(number, emoji, who, on)),
        // A crowd, at the first message.
        4 => (0..2_u8, 0..30_u8, prop::bool::weighted(0.8)).prop_map(|(emoji, who, on)| Deed::React(0, emoji, who, on)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => deed().prop_map(Step::Deed),
        3 => Just(Step::Composed),
        2 => any::<usize>().prop_map(Step::Deletes),
        2 => (0..20_usize).prop_map(Step::Refused),
        4 => any::<bool>().prop_map(Step::Asked),
        6 => (1..30_usize).prop_map(Step::Come),
        1 => Just(Step::Missed),
        1 => Just(Step::Reset),
        3 => (1..30_usize).prop_map(Step::Older),
        3 => (1..30_usize).prop_map(Step::Newer),
        1 => Just(Step::Latest),
        8 => Just(Step::Answer),
        1 => (0..10_usize).prop_map(Step::Repeated),
        1 => (5..30_usize).prop_map(|keep| Step::Trimmed(End::Oldest, keep)),
        2 => (5..30_usize).prop_map(|keep| Step::Trimmed(End::Newest, keep)),
    ]
}

/// What a row looks like: who said all that its author said in one go before it and the one before that, and when; the row; what it shows;
/// whether something is being done to it, and whether something can be.
type Looks = (Vec<(Person, Option<Timestamp>)>, Row, Content, [bool; 2]);

/// What the page shows, in its order.
fn looks(page: &RoomState) -> Vec<(RowKey, Looks)> {
    let mut above: Vec<(Person, Option<Timestamp>)> = Vec::new();
    let look = |row: &Row| {
        if above.last().is_some_and(|(from, _)| *from != row.from) {
            above.drain(..above.len() - 1);
        }
        let stands_below = above.clone();
        above.push((row.from.clone(), row.at));
        let flags = [page.is_changing(row), page.is_changeable(row)];
        (row.key.clone(), (stands_below, row.clone(), page.content(row).into_owned(), flags))
    };
    page.rows().iter().map(look).collect()
}

/// Fails unless all is noted that looks different now.
fn assert_noted(before: &[(RowKey, Looks)], page: &mut RoomState) {
    let (touched, now) = (page.take_touched(), looks(page));
    let order = |looks: &[(RowKey, Looks)]| looks.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert!(touched.list || order(before) == order(&now), "rows have come, gone or moved");
    for (key, look) in &now {
        // One that comes is rendered then.
        let was = before.iter().find(|(other, _)| other == key);
        assert!(was.is_none_or(|(_, was)| was == look) || touched.rows.contains(key), "{key:?} looks different");
    }
}

/// Brings the page some of what is on its way.
fn come(page: &mut RoomState, room: &Room, most: usize) {
    let from = page.feed().offset().0;
    for offset in (from + 1..=room.head()).take(most) {
        let at = usize::try_from(offset).unwrap() - 1;
        assert_eq!(page.apply(Input::Pushed(push(Offset(offset), room.events[at].clone()))), Ok(()));
    }
}

proptest! {
    #[test]
    fn events_lead_where_a_fresh_state_stands(
        before in prop::collection::vec(deed(), 0..60),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut room = Room::default();
        for deed in &before {
            room.act(deed);
        }
        let mut page = RoomState::new(room.newest()).read_by("me");
        let mut asked: Option<Input> = None;
        // What the page says, as long as it has neither an answer nor a place.
        let (mut composed, mut waiting) = (0, Vec::<RowKey>::new());
        let mut deletes = Vec::new();
        for step in steps {
            let before = looks(&page);
            match step {
                Step::Deed(deed) => room.act(&deed),
                Step::Composed => {
                    composed += 1;
                    waiting.push(compose(&mut page, composed));
                }
                Step::Deletes(number) => {
                    let row = page.rows().get(number % page.rows().len().max(1));
                    if let Some(message) = row.and_then(|row| page.id(row)) {
                        let act = Act::Delete { message };
                        prop_assert_eq!(page.apply(begun(act.clone())), Ok(()));
                        deletes.push(act);
                    }
                }
                Step::Refused(number) => {
                    if let Some(act) = deletes.get(number).cloned() {
                        prop_assert_eq!(page.apply(Input::Refused { act, reason: "no".to_owned() }), Ok(()));
                    }
                }
                Step::Asked(is_answered) => {
                    let first = page.pending().next().map(|row| row.key.clone());
                    if let Some(key) = first {
                        let offset = Some(room.take(&key));
                        if is_answered {
                            waiting.retain(|one| *one != key);
                            prop_assert_eq!(page.apply(Input::Done { act: said_as(&key), offset }), Ok(()));
                        }
                    }
                }
                Step::Come(count) => come(&mut page, &room, count),
                Step::Missed => {
                    let missed = room.after(page.feed().offset());
                    prop_assert_eq!(page.apply(joined(&room, true, missed)), Ok(()));
                }
                Step::Reset => {
                    let newest = room.newest().messages.into_iter();
                    let events = newest.map(|stored| push(stored.offset, Event::Message(stored.message))).collect();
                    prop_assert_eq!(page.apply(joined(&room, false, events)), Ok(()));
                    if page.is_past() {
                        prop_assert_eq!(page.apply(Input::Refreshed(room.stretch(room.messages()))), Ok(()));
                    }
                }
                Step::Older(count) => {
                    if let Some(before) = page.older_than() {
                        let mut messages = room.messages();
                        messages.retain(|stored| stored.offset < before);
                        let from = messages.len().saturating_sub(count);
                        asked = Some(Input::Older(before, room.stretch(messages[from..].to_vec())));
                    }
                }
                Step::Newer(count) => {
                    if let Some(after) = page.newer_than() {
                        let messages = room.messages().into_iter().filter(|stored| stored.offset > after).take(count);
                        asked = Some(Input::Newer(after, room.stretch(messages.collect())));
                    }
                }
                Step::Latest => asked = Some(Input::Latest(room.newest())),
                Step::Answer => {
                    if let Some(answer) = asked.take() {
                        prop_assert_eq!(page.apply(answer), Ok(()));
                    }
                }
                Step::Repeated(count) => {
                    let position = usize::try_from(page.feed().offset().0).unwrap();
                    for at in position.saturating_sub(count)..position {
                        let again = push(Offset(at as u64 + 1), room.events[at].clone());
                        prop_assert_eq!(page.apply(Input::Pushed(again)), Ok(()));
                    }
                }
                Step::Trimmed(end, keep) => prop_assert_eq!(page.apply(Input::Trimmed(end, keep)), Ok(())),
            }
            assert_noted(&before, &mut page);
            prop_assert!(waiting.iter().all(|key| page.row(key).is_some()), "{waiting:?}");
            waiting.retain(|key| page.row(key).is_some_and(|row| row.offset.is_none()));
        }
        // All that waits is asked for again and answered, before its event comes or after it.
        let mut answers: Vec<_> = page.pending().map(|row| row.key.clone()).collect();
        let later = answers.split_off(answers.len() / 2);
        for key in answers {
            let offset = Some(room.take(&key));
            prop_assert_eq!(page.apply(Input::Done { act: said_as(&key), offset }), Ok(()));
        }
        let later: Vec<_> = later.into_iter().map(|key| (room.take(&key), key)).collect();
        come(&mut page, &room, usize::MAX);
        for (offset, key) in later {
            prop_assert_eq!(page.apply(Input::Done { act: said_as(&key), offset: Some(offset) }), Ok(()));
        }
        prop_assert_eq!(page.unsent().count(), 0);
        prop_assert!(page.feed().waiting().all(|act| deletes.contains(act)), "what has a place is asked for no more");
        prop_assert_eq!(page.feed().position(), Some(&Position { epoch: epoch(), offset: Offset(room.head()) }));
        let all = room.messages();
        let rows = page.rows();
        prop_assert!(rows.len() >= all.len().min(5), "{} of {}", rows.len(), all.len());
        let first = rows.first().and_then(|row| row.offset).unwrap_or(Offset(1));
        // A page in the past shows a stretch that ends earlier, and knows that it does.
        let last = page.newer_than();
        prop_assert_eq!(page.older_than().is_some(), first > Offset(1));
        prop_assert!(last.is_none_or(|last| all.last().is_some_and(|newest| newest.offset > last)));
        let shown = |stored: &Stored| stored.offset >= first && last.is_none_or(|last| stored.offset <= last);
        let fresh = RoomState::new(room.stretch(all.into_iter().filter(shown).collect())).read_by("me");
        prop_assert_eq!(rows, fresh.rows());
        prop_assert_eq!(page.newer_than(), fresh.newer_than());
    }
}
