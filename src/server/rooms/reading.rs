//! What somebody reads of a room that they may use: parts of it, what they have missed, and what fits a query.
//!
//! A reader that comes back is told what it has missed, or, where that is too much or no longer held, what is newest. What is read is as the
//! store has it, but for those who are named in reactions: they are called what they are called now.

use std::sync::Arc;

use futures_util::future::try_join;

use super::{Access, NEWEST, Room};
use crate::{
    server::{
        search::{Found, Query},
        settings::History,
        store::{Entry, Log, Missed, Page, Slice, StoreError, What, Within, cut_down},
    },
    wire::{Content, Epoch, Group, MessageId, Mine, Offset, Position, Reaction, Stored, Stretch},
};

/// The longest difference that a joining client is sent; a client further behind starts afresh.
const MOST_MISSED: usize = 5_000;
/// How many bytes that difference has at most, as it is sent,
const MISSED_BYTES: usize = 1 << 20;
/// and a part of a room: half of what may wait for a reader by default.
const ANSWER_BYTES: usize = 512 << 10;

/// So many people of those whom an answer names are called what they are called now; more there are only where somebody makes them.
const MOST_NAMED: usize = 1_000;

/// Where a client stands after a join, and what it needs to stand there.
#[derive(Debug, PartialEq, Eq)]
pub struct CatchUp {
    pub head: Position,
    /// True: `entries` are all after the client's position. False: they are the newest messages.
    pub recovered: bool,
    pub entries: Vec<Entry>,
    /// What the person has put to the messages among them.
    pub mine: Mine,
}

/// A bound on what messages weigh together, in bytes, as they are weighed by whoever shows them; a first one that is heavier is given alone.
#[derive(Clone, Copy)]
pub struct Fit {
    pub bytes: usize,
    pub weigh: fn(&Stored) -> usize,
}

/// A room's stream, for those who hand its events out to people with an [`Access`]: to read what the layer has lost.
#[derive(Clone)]
pub struct Stream {
    group: Group,
    store: Arc<dyn Log>,
}

impl Stream {
    /// What stands after an offset, as much as a client that joins is sent at most; without an offset nothing but where the
    /// stream stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn after(&self, offset: Option<Offset>) -> Result<Missed, StoreError> {
        let (offset, most) = offset.map_or((Offset(u64::MAX), 0), |offset| (offset, MOST_MISSED));
        self.store.entries(&self.group, offset, most, MISSED_BYTES).await
    }

    /// Calls those who are named in reactions what they are called now, and gives what `person`, if anybody, has put to these messages. Both
    /// may be a little newer than they are: then the change is still to come.
    async fn complete<'m>(
        &self,
        epoch: &Epoch,
        contents: impl Iterator<Item = (Offset, &'m mut Content)>,
        person: Option<&str>,
    ) -> Result<Mine, StoreError> {
        let id = |offset| MessageId { epoch: epoch.clone(), offset };
        let (mut mine, mut crowded, mut named) = (Mine::new(), Vec::new(), Vec::new());
        for (offset, Content { reactions, .. }) in contents {
            match person {
                Some(_) if reactions.iter().any(Reaction::is_sampled) => crowded.push(offset),
                Some(person) => {
                    let put = reactions.iter().filter(|reaction| reaction.names(person));
                    let put: Vec<_> = put.map(|reaction| reaction.emoji.clone()).collect();
                    if !put.is_empty() {
                        mine.insert(id(offset), put);
                    }
                }
                None => {}
            }
            named.extend(reactions.iter_mut().flat_map(|put| &mut put.from));
        }
        let mut people: Vec<String> = named.iter().map(|person| person.id.clone()).collect();
        people.sort_unstable();
        people.dedup();
        people.truncate(MOST_NAMED);
        // Where there is nobody, and nothing, the store is not asked.
        let (names, put) =
            try_join(self.store.called(&people), self.store.reacted(&self.group, person.unwrap_or_default(), &crowded)).await?;
        mine.extend(put.into_iter().filter(|(_, put)| !put.is_empty()).map(|(offset, put)| (id(offset), put)));
        for person in named {
            if let Some(name) = names.get(&person.id) {
                person.name.clone_from(name);
            }
        }
        Ok(mine)
    }
}

impl Access<Room> {
    /// The room's stream; none where the room keeps no history.
    pub fn stream(&self) -> Option<Stream> {
        let store = Arc::clone(&self.rooms.store(self.subject.history)?.store);
        Some(Stream { group: self.subject.group.clone(), store })
    }

    /// Where the room's stream stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn head(&self) -> Result<Position, StoreError> {
        match self.stream() {
            Some(stream) => Ok(stream.after(None).await?.head),
            None => Ok(Position { epoch: self.rooms.passing.clone(), offset: Offset::START }),
        }
    }

    /// Brings a client level that is at `since`, or a new one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn catch_up(&self, since: Option<&Position>) -> Result<CatchUp, StoreError> {
        if let Some((since, stream)) = since.zip(self.stream()) {
            let Missed { head, first, mut entries } = stream.after(Some(since.offset)).await?;
            let held = first <= since.offset.next() && since.offset <= head.offset;
            let whole = entries.last().map_or(since.offset, |last| last.offset) == head.offset;
            if head.epoch == since.epoch && held && whole {
                let contents = entries.iter_mut().filter_map(|Entry { offset, what }| match what {
                    What::Message(message) => Some((*offset, &mut message.content)),
                    What::Change(_) => None,
                });
                let mine = stream.complete(&head.epoch, contents, Some(&self.person.id)).await?;
                for Entry { what, .. } in &mut entries {
                    match what {
                        What::Message(message) => self.rooms.profiles.complete_message(message),
                        What::Change(change) => self.rooms.profiles.complete_change(change),
                    }
                }
                return Ok(CatchUp { head, recovered: true, entries, mine });
            }
        }
        let Stretch { epoch, offset, messages, mine, .. } = self.page(Slice::Latest, NEWEST, None).await?;
        let entries = messages.into_iter().map(Entry::from).collect();
        Ok(CatchUp { head: Position { epoch, offset }, recovered: false, entries, mine })
    }

    /// A part of the room's messages, with what the person has put to them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn page(&self, slice: Slice, count: usize, fit: Option<Fit>) -> Result<Stretch, StoreError> {
        Ok(self.read(slice, count, fit, Some(&self.person.id)).await?.0)
    }

    /// The same as it is to everybody.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn part(&self, slice: Slice, count: usize, fit: Option<Fit>) -> Result<Stretch, StoreError> {
        Ok(self.read(slice, count, fit, None).await?.0)
    }

    /// The same for who has to know of each message whether it is what was said.
    ///
    /// # Errors
    /// The store cannot be read, or one of the messages.
    pub async fn exact_part(&self, slice: Slice, count: usize) -> Result<Stretch, StoreError> {
        match self.read(slice, count, None, None).await? {
            (stretch, None) => Ok(stretch),
            (_, Some(unreadable)) => Err(StoreError::damage(format!("message {unreadable} cannot be read"))),
        }
    }

    /// A part of the room, with the first message of it that cannot be read.
    async fn read(
        &self,
        slice: Slice,
        count: usize,
        fit: Option<Fit>,
        person: Option<&str>,
    ) -> Result<(Stretch, Option<Offset>), StoreError> {
        let Some(stream) = self.stream() else {
            let Position { epoch, offset } = self.head().await?;
            let (first, messages, mine) = (offset.next(), Vec::new(), Mine::new());
            return Ok((Stretch { epoch, offset, first, latest: offset, messages, mine }, None));
        };
        let page = stream.store.read(&stream.group, slice, count, ANSWER_BYTES).await?;
        let Page { head: Position { epoch, offset }, first, latest, mut messages, unreadable } = page;
        let contents = messages.iter_mut().map(|stored| (stored.offset, &mut stored.message.content));
        let mut mine = stream.complete(&epoch, contents, person).await?;
        self.rooms.profiles.complete_messages(&mut messages);
        if let Some(Fit { bytes, weigh }) = fit {
            messages = cut_down(slice, messages, count, bytes, weigh);
            mine.retain(|id, _| messages.binary_search_by_key(&id.offset, |stored| stored.offset).is_ok());
        }
        Ok((Stretch { epoch, offset, first, latest, messages, mine }, unreadable.first().copied()))
    }

    /// Whether the message at an offset says exactly this: one that was changed since may have said anything.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn says(&self, offset: Offset, text: &str) -> Result<bool, StoreError> {
        let Stretch { messages, .. } = self.part(Slice::Before(offset.next()), 1, None).await?;
        let unchanged = |content: &Content| content.edited.is_none() && content.text == text;
        Ok(messages.last().is_some_and(|stored| stored.offset == offset && unchanged(&stored.message.content)))
    }

    /// Whether the room's messages can be searched: those that are kept in the store can.
    pub fn is_searched(&self) -> bool {
        self.subject.history == History::Store
    }

    /// The room's messages that fit the query best, at most so many.
    ///
    /// # Errors
    /// The store cannot be searched.
    pub async fn search(&self, query: &Query, count: usize) -> Result<Found, StoreError> {
        if !self.is_searched() {
            return Ok(Found::nothing());
        }
        self.rooms.search_within(query, &Within::Room(self.subject.group.clone()), count).await
    }
}
