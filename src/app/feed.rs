//! What a page knows of a topic, whichever it is: where it stands in the topic's stream, and what the reader does there that is under way.
//!
//! A page begins with a snapshot and goes on with events. An event is the next one, is known already, or comes after one that is missing:
//! then the topic is joined again, from where the page stands. The answer to a join has the events that were missed, or is a snapshot.
//! [`Reducer`] is this for every topic; what a topic shows is its own.
//!
//! An act shows before it is done: it is made of what is shown, not of what the stream has said. So one that is refused is forgotten, and
//! nothing has happened. One that is done stands until the page has come to the event that it became, which makes the change for good.

use std::borrow::Cow;

use crate::wire::{
    Act, Change, Content, Emoji, Epoch, Event, Joined, MessageId, Offset, Person, Position, Push, State, Timestamp,
};

/// The event is further on than the one that is due: the topic has to be joined again from where the page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap;

/// The part of a page's state that is alike for all topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    position: Option<Position>,
    /// In the order in which they were begun.
    acts: Vec<UnderWay>,
}

/// An act that is not an event yet, as far as the page knows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnderWay {
    act: Act,
    from: Person,
    at: Timestamp,
    /// Where it stands in the stream, once it was done.
    done: Option<Offset>,
}

/// A state that follows a topic: `snapshot` and `event` are told in such an order that nothing is missing, and nothing comes twice.
pub trait Reducer {
    fn feed(&mut self) -> &mut Feed;

    /// The topic is as this says, whatever was known of it. The feed stands there already; `same`: in the stream in which it stood.
    fn snapshot(&mut self, same: bool, state: State);

    /// This has happened, at its place in the stream, or passing.
    fn event(&mut self, at: Option<Offset>, event: Event);

    /// Takes in an event.
    ///
    /// # Errors
    /// One is missing in between; nothing has changed.
    fn pushed(&mut self, Push { offset, event, .. }: Push) -> Result<(), Gap> {
        if self.feed().advance(offset)? {
            self.event(offset, event);
        }
        Ok(())
    }

    /// Takes in the answer to a join. It has no holes; what a hole would follow on is not shown rather than shown in the wrong place.
    fn joined(&mut self, at: Joined, state: State) {
        let Joined { epoch, offset, .. } = at;
        if state.recovered {
            if state.events.into_iter().try_for_each(|push| self.pushed(push)).is_ok() {
                self.feed().reach(offset);
            }
        } else {
            let same = self.feed().is_in(&epoch);
            self.feed().position = Some(Position { epoch, offset });
            self.snapshot(same, state);
        }
    }
}

impl Feed {
    /// Of a topic of which everything is known up to here.
    pub fn at(position: Position) -> Self {
        Self { position: Some(position), acts: Vec::new() }
    }

    /// Up to where everything is known; none before the first join.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// How far that is.
    pub fn offset(&self) -> Offset {
        self.position.as_ref().map_or(Offset::START, |position| position.offset)
    }

    pub fn is_in(&self, epoch: &Epoch) -> bool {
        self.position.as_ref().is_some_and(|position| position.epoch == *epoch)
    }

    /// What is at this place of the stream.
    pub fn id(&self, offset: Offset) -> Option<MessageId> {
        self.position.as_ref().map(|position| MessageId { epoch: position.epoch.clone(), offset })
    }

    /// Everything is known up to here.
    pub fn reach(&mut self, offset: Offset) {
        if let Some(position) = &mut self.position {
            position.offset = position.offset.max(offset);
        }
    }

    /// Comes to an event, unless it is known.
    fn advance(&mut self, to: Option<Offset>) -> Result<bool, Gap> {
        match (&mut self.position, to) {
            (Some(position), Some(to)) if to > position.offset => {
                if to > position.offset.next() {
                    return Err(Gap);
                }
                position.offset = to;
                Ok(true)
            }
            (_, to) => Ok(to.is_none()),
        }
    }

    /// Somebody does this now.
    pub fn begin(&mut self, act: Act, from: Person, at: Timestamp) {
        self.acts.push(UnderWay { act, from, at, done: None });
    }

    /// What has no answer yet, in the order in which it is to be asked for.
    pub fn waiting(&self) -> impl Iterator<Item = &Act> {
        self.acts.iter().filter(|one| one.done.is_none()).map(|one| &one.act)
    }

    /// The act was done, as this event of the stream. What leaves no change there is over.
    pub fn done(&mut self, act: &Act, offset: Option<Offset>) {
        match self.position_of(act) {
            Some(at) if act.message().is_some() && offset.is_some() => self.acts[at].done = offset,
            Some(at) => _ = self.acts.remove(at),
            None => {}
        }
    }

    /// The act was not done, and will not be.
    pub fn forget(&mut self, act: &Act) {
        if let Some(at) = self.position_of(act) {
            self.acts.remove(at);
        }
    }

    /// Of several alike the first is answered first.
    fn position_of(&self, act: &Act) -> Option<usize> {
        self.acts.iter().position(|one| one.done.is_none() && one.act == *act)
    }

    /// Forgets the acts that have become events the page has, or that another stream was to bring, and those without an answer that do not
    /// wait any more. Says which messages they were about.
    pub fn settle(&mut self, waits: impl Fn(&Act) -> bool) -> Vec<MessageId> {
        let Some(Position { epoch, offset }) = &self.position else { return Vec::new() };
        let is_over = |one: &mut UnderWay| match (one.done, one.act.message()) {
            (Some(done), Some(message)) => done <= *offset || message.epoch != *epoch,
            _ => !waits(&one.act),
        };
        self.acts.extract_if(.., is_over).filter_map(|one| one.act.message().cloned()).collect()
    }

    /// What is under way with this message.
    fn of<'a>(&'a self, id: &'a MessageId) -> impl Iterator<Item = &'a UnderWay> {
        self.acts.iter().filter(move |one| one.act.message() == Some(id))
    }

    /// Nothing is under way with any message, which is mostly so.
    pub fn is_quiet(&self) -> bool {
        self.acts.is_empty()
    }

    /// Something is under way with the message.
    pub fn concerns(&self, id: &MessageId) -> bool {
        self.of(id).next().is_some()
    }

    /// The message is being deleted.
    pub fn deletes(&self, id: &MessageId) -> bool {
        self.of(id).any(|one| matches!(one.act, Act::Delete { .. }))
    }

    /// What a message says when all is done that is under way with it, and what of its reactions is the reader's then.
    pub fn upon<'a>(&self, id: &MessageId, content: &'a Content, mine: &'a [Emoji]) -> (Cow<'a, Content>, Cow<'a, [Emoji]>) {
        let (mut content, mut mine) = (Cow::Borrowed(content), Cow::Borrowed(mine));
        for change in self.of(id).filter_map(|one| one.act.change(&one.from, one.at)) {
            // What the reader has put is not put once more; the content does not know it of all who have.
            let is_so = matches!(&change, Change::React { emoji, on, .. } if mine.contains(emoji) == *on);
            if !is_so && content.to_mut().apply(&change) {
                follow_mine(mine.to_mut(), &change);
            }
        }
        (content, mine)
    }
}

/// Keeps what the reader has put to a message, sorted, level with a change of the message that is the reader's.
pub fn follow_mine(mine: &mut Vec<Emoji>, change: &Change) {
    if let Change::React { emoji, on, .. } = change {
        match mine.binary_search(emoji) {
            Err(at) if *on => mine.insert(at, emoji.clone()),
            Ok(at) if !on => drop(mine.remove(at)),
            _ => {}
        }
    } else if let Change::Delete { .. } = change {
        mine.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Renamed, Topic};

    /// A topic that shows the last names that somebody had.
    #[derive(Default)]
    struct Names {
        feed: Feed,
        names: Vec<Event>,
    }

    const NEWEST: usize = 5;

    impl Reducer for Names {
        fn feed(&mut self) -> &mut Feed {
            &mut self.feed
        }

        fn snapshot(&mut self, _: bool, state: State) {
            self.names = state.events.into_iter().map(|push| push.event).collect();
        }

        fn event(&mut self, _: Option<Offset>, event: Event) {
            self.names.push(event);
        }
    }

    /// The event at this place of the stream.
    fn named(offset: u64) -> Push {
        Push {
            topic: Topic::Me,
            offset: Some(Offset(offset)),
            event: Event::Renamed(Renamed { name: offset.to_string(), handle: None }),
        }
    }

    /// The answer to a join from where somebody stands, or to one that begins anew.
    fn answer(epoch: u8, head: u64, since: Option<&Feed>) -> (Joined, State) {
        let epoch: Epoch = format!("e{epoch}").parse().expect("an epoch");
        let known = since.filter(|feed| feed.is_in(&epoch)).map(|feed| feed.offset().0);
        let first = known.map_or(head.saturating_sub(NEWEST as u64) + 1, |known| known + 1);
        let events = (first..=head).map(named).collect();
        let at = Joined { topic: Topic::Me, epoch, offset: Offset(head) };
        (at, State { recovered: known.is_some(), events, ..State::default() })
    }

    /// What happens to a page.
    #[derive(Clone, Debug)]
    enum Step {
        Happens,
        /// The stream is begun anew.
        Begun,
        /// An event comes: the one so many after the one that is due.
        Comes(u64),
        /// One that is known comes again.
        Repeated(u64),
        Joined(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => Just(Step::Happens),
            1 => Just(Step::Begun),
            8 => prop_oneof![9 => Just(0_u64), 1 => 1..3_u64].prop_map(Step::Comes),
            2 => (0..4_u64).prop_map(Step::Repeated),
            2 => any::<bool>().prop_map(Step::Joined),
        ]
    }

    proptest! {
        /// However a page has come to where it stands, it shows what a page shows that is opened there.
        #[test]
        fn events_lead_where_a_fresh_snapshot_stands(steps in prop::collection::vec(step(), 0..100)) {
            let (mut epoch, mut head) = (0, 0);
            let mut page = Names::default();
            let joins = |page: &mut Names, epoch, head, again: bool| {
                let (at, state) = answer(epoch, head, Some(&page.feed).filter(|_| again));
                page.joined(at, state);
            };
            joins(&mut page, epoch, head, true);
            for step in steps {
                match step {
                    Step::Happens => head += 1,
                    Step::Begun => {
                        (epoch, head) = (epoch + 1, 0);
                        joins(&mut page, epoch, head, true);
                    }
                    Step::Comes(after) => {
                        let due = page.feed.offset().0 + 1;
                        if due + after <= head {
                            let before = page.names.clone();
                            prop_assert_eq!(page.pushed(named(due + after)), if after == 0 { Ok(()) } else { Err(Gap) });
                            prop_assert!(after == 0 || page.names == before);
                        }
                    }
                    Step::Repeated(before) => {
                        let known = page.feed.offset().0.saturating_sub(before);
                        prop_assert_eq!(page.pushed(named(known)), Ok(()));
                    }
                    Step::Joined(again) => joins(&mut page, epoch, head, again),
                }
            }
            let mut fresh = Names::default();
            joins(&mut fresh, epoch, page.feed.offset().0, false);
            let shown = page.names.len().saturating_sub(NEWEST);
            prop_assert_eq!(&page.names[shown..], &fresh.names[..]);
            prop_assert_eq!(page.feed, fresh.feed);
        }
    }

    fn id(epoch: &str, offset: u64) -> MessageId {
        MessageId { epoch: epoch.parse().expect("an epoch"), offset: Offset(offset) }
    }

    fn edit(text: &str) -> Act {
        Act::Edit { message: id("e", 1), text: text.to_owned() }
    }

    fn delete() -> Act {
        Act::Delete { message: id("e", 1) }
    }

    fn feed(epoch: &str, offset: u64) -> Feed {
        Feed::at(Position { epoch: epoch.parse().expect("an epoch"), offset: Offset(offset) })
    }

    fn under_way(acts: impl IntoIterator<Item = Act>) -> Feed {
        let mut feed = feed("e", 9);
        for act in acts {
            feed.begin(act, Person::new("me", "Me"), Timestamp::from_millis(5));
        }
        feed
    }

    fn text(feed: &Feed) -> String {
        feed.upon(&id("e", 1), &Content::new("old"), &[]).0.text.clone()
    }

    fn settle(feed: &mut Feed, offset: u64) {
        feed.reach(Offset(offset));
        feed.settle(|_| true);
    }

    #[test]
    fn what_is_under_way_shows_in_its_order_and_with_its_message_alone() {
        let feed = under_way([edit("one"), edit("two")]);
        assert_eq!(text(&feed), "two");
        let other = Content::new("other");
        assert!(matches!(feed.upon(&id("e", 2), &other, &[]).0, Cow::Borrowed(_)));
        assert!(feed.concerns(&id("e", 1)) && !feed.concerns(&id("e", 2)));
    }

    #[test]
    fn a_reaction_that_is_under_way_is_one_of_many() {
        let person = |number: u64| Person::new(format!("p{number}"), "P");
        let emoji: Emoji = "+1".parse().expect("an emoji");
        let from = (0..20).map(person).collect();
        let reactions = vec![crate::wire::Reaction { emoji: emoji.clone(), count: 30, from }];
        let crowd = Content { reactions, ..Content::new("vote") };
        let shown = |feed: &Feed, mine: &[Emoji]| {
            let (content, mine) = feed.upon(&id("e", 1), &crowd, mine);
            (content.reactions[0].count, !mine.is_empty())
        };
        let [on, off] = [true, false].map(|on| Act::React { message: id("e", 1), emoji: emoji.clone(), on });
        let put = [emoji.clone()];
        assert_eq!(shown(&under_way([on.clone()]), &[]), (31, true));
        assert_eq!(shown(&under_way([on.clone()]), &put), (30, true), "the reader is one of those who are not named");
        assert_eq!(shown(&under_way([off.clone()]), &put), (29, false));
        assert_eq!(shown(&under_way([off.clone()]), &[]), (30, false));
        assert_eq!(shown(&under_way([on, off]), &[]), (30, false));
    }

    #[test]
    fn what_is_refused_has_not_happened() {
        let mut feed = under_way([edit("one"), delete()]);
        assert!(feed.deletes(&id("e", 1)) && !feed.deletes(&id("e", 2)));
        feed.forget(&delete());
        assert_eq!(text(&feed), "one");
        assert!(!feed.deletes(&id("e", 1)));
        feed.forget(&edit("one"));
        assert_eq!(text(&feed), "old");
    }

    #[test]
    fn what_is_done_shows_until_the_page_has_its_event() {
        let mut feed = under_way([edit("one"), edit("two"), edit("one")]);
        settle(&mut feed, 9);
        assert_eq!((text(&feed), feed.waiting().count()), ("one".to_owned(), 3), "none is answered");
        feed.done(&edit("one"), Some(Offset(10)));
        feed.done(&edit("two"), Some(Offset(12)));
        feed.forget(&edit("one"));
        assert_eq!((text(&feed), feed.waiting().count()), ("two".to_owned(), 0), "the last one was refused");
        settle(&mut feed, 11);
        assert_eq!(feed.acts.len(), 1);
        settle(&mut feed, 12);
        assert_eq!(text(&feed), "old", "which the row itself says no more");
    }

    #[test]
    fn nothing_is_waited_for_that_another_stream_was_to_bring() {
        let mut acts = under_way([delete()]);
        acts.done(&delete(), Some(Offset(10)));
        acts.position = feed("f", 3).position;
        acts.settle(|_| true);
        assert!(acts.is_quiet());
    }
}
