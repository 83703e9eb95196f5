//! Messages from a file into a room: what both databases do alike.
//!
//! ```text
//!   lines, read and checked elsewhere ── parts ──► Placing: which are new, and where they stand ──► one transaction
//! ```
//!
//! All of a file comes into the room or nothing of it does, and no server uses the store meanwhile. A message that the room has already, by
//! its author and key, is left alone, so the same file may come again.
//!
//! In a room that nothing was ever said in each message stands where the file says, so what led to a message by its offset does so
//! again; in any other room, and where the file says nothing, they stand one behind the other after what is there. The changes that have made
//! the messages what they are do not come along: whoever stood before them cannot be brought level, and is given the newest messages instead.

use std::{collections::HashMap, error::Error};

use thiserror::Error;

use super::rows::NotAlone;
use crate::wire::{Content, Emoji, Group, Key, Offset, Person, Timestamp};

/// A message that is to be put into a room.
#[derive(Clone, Debug)]
pub struct Imported {
    /// In which line of the file it stands.
    pub line: u64,
    /// Where it stood in the stream that it is from; `changed` of its content is of that stream too.
    pub offset: Option<Offset>,
    pub key: Key,
    pub from: Person,
    pub content: Content,
    /// Everybody who has put an emoji and is named, with what they have put.
    pub reactors: Vec<(Emoji, Person)>,
    pub at: Timestamp,
}

/// What a file gives. Where it ends without its end, nothing is imported.
#[derive(Debug)]
pub enum Import {
    /// Some messages, in the order of the file.
    Messages(Vec<Imported>),
    /// That was all.
    End,
}

/// How many messages a file had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// That are in the room now.
    pub new: u64,
    /// That had been there.
    pub known: u64,
}

/// Why nothing was imported. The store is as it was.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The folder or the database cannot be used, or a server uses it.
    #[error("{0}")]
    Store(Box<dyn Error + Send + Sync>),
    #[error("the room {0} was deleted, and its name is no other room's; name another room")]
    Deleted(Group),
    /// Lines with a key that its author has in an earlier line, for something else.
    #[error("two messages of one author have one key")]
    Twice(Vec<u64>),
    #[error("the messages cannot be written: {0}")]
    Writing(Box<dyn Error + Send + Sync>),
    /// The file has not come to its end.
    #[error("it was interrupted")]
    Interrupted,
}

impl From<NotAlone> for ImportError {
    fn from(cause: NotAlone) -> Self {
        Self::Store(cause.into())
    }
}

/// A message that the room has.
#[derive(Clone, Debug)]
pub(super) struct There {
    pub(super) offset: i64,
    pub(super) at: i64,
    pub(super) text: String,
}

/// A message that the room gets, and where.
pub(super) struct Placed<'i> {
    pub(super) offset: i64,
    /// Its last change, in the stream that it is in now.
    pub(super) changed: Option<i64>,
    pub(super) message: &'i Imported,
}

/// Gives messages their places in a room.
pub(super) struct Placing {
    /// They stand where the file says.
    keeps_places: bool,
    /// The end of the room's stream before the first of them.
    before: i64,
    /// Where the first of them stands.
    pub(super) first: i64,
    /// Where the last of them stands.
    pub(super) latest: i64,
    /// The end of the stream with them.
    pub(super) head: i64,
    pub(super) brought: Brought,
    twice: Vec<u64>,
}

/// So many lines are named that have a key again.
const MOST_NAMED: usize = 20;

impl Placing {
    /// In a room whose stream ends here; in one that has not begun where there is no end.
    pub(super) fn after(head: Option<i64>) -> Self {
        let before = head.unwrap_or_default();
        let (brought, twice) = (Brought::default(), Vec::new());
        Self { keeps_places: head.is_none(), before, first: 0, latest: before, head: before, brought, twice }
    }

    /// Gives those of a part that are new their places. `known` says what the room has of an author and a key without this part.
    pub(super) fn place<'i, E>(
        &mut self,
        part: &'i [Imported],
        mut known: impl FnMut(&Imported) -> Result<Option<There>, E>,
    ) -> Result<Vec<Placed<'i>>, E> {
        let mut placed: Vec<Placed<'i>> = Vec::with_capacity(part.len());
        let mut here: HashMap<(&str, &str), &'i Imported> = HashMap::new();
        for message in part {
            let name = (message.from.id.as_str(), message.key.as_str());
            let again = if let Some(other) = here.get(&name) {
                Some(is_said(message, other.at.as_millis(), &other.content.text))
            } else {
                // What was there before may have been changed since; what has come by this file has not.
                known(message)?.map(|there| there.offset <= self.before || is_said(message, there.at, &there.text))
            };
            match again {
                Some(true) => self.brought.known += 1,
                Some(false) => self.twice.push(message.line),
                None => {
                    here.insert(name, message);
                    placed.push(self.next(message));
                }
            }
        }
        Ok(placed)
    }

    fn next<'i>(&mut self, message: &'i Imported) -> Placed<'i> {
        let own = |offset: Offset| i64::try_from(offset.0).ok().filter(|_| self.keeps_places);
        let offset = message.offset.and_then(own).unwrap_or_default().max(self.latest + 1);
        // A change has its place behind its message, in the same stream.
        let changed = message.content.changed.and_then(own).filter(|changed| *changed > offset);
        if self.brought.new == 0 {
            self.first = offset;
        }
        self.brought.new += 1;
        self.latest = offset;
        self.head = self.head.max(offset).max(changed.unwrap_or_default());
        Placed { offset, changed, message }
    }

    /// How many there were, and whether the room is another one now.
    pub(super) fn finish(&mut self) -> Result<Brought, ImportError> {
        self.twice.truncate(MOST_NAMED);
        if self.twice.is_empty() { Ok(self.brought) } else { Err(ImportError::Twice(std::mem::take(&mut self.twice))) }
    }
}

/// Whether a message says what was said then.
fn is_said(message: &Imported, at: i64, text: &str) -> bool {
    message.at.as_millis() == at && message.content.text == text
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn message(line: u64, offset: Option<u64>, changed: Option<u64>) -> Imported {
        Imported {
            line,
            offset: offset.map(Offset),
            key: format!("k{line}").parse().expect("a key"),
            from: Person::new("ann", "Ann"),
            content: Content { changed: changed.map(Offset), ..Content::new("text") },
            reactors: Vec::new(),
            at: Timestamp::from_millis(0),
        }
    }

    /// The places of messages in a room, and of their changes.
    fn places(placing: &mut Placing, part: &[Imported]) -> Vec<(i64, Option<i64>)> {
        let placed = placing.place(part, |_| Ok::<_, Infallible>(None)).expect("placed");
        placed.iter().map(|placed| (placed.offset, placed.changed)).collect()
    }

    #[test]
    fn a_room_that_has_not_begun_has_them_where_they_stood() {
        let part =
            [message(1, Some(4), Some(9)), message(2, Some(5), None), message(3, None, None), message(4, Some(8), Some(3))];
        let mut placing = Placing::after(None);
        assert_eq!(places(&mut placing, &part[..2]), [(4, Some(9)), (5, None)]);
        assert_eq!(places(&mut placing, &part[2..]), [(6, None), (8, None)]);
        assert_eq!((placing.first, placing.latest, placing.head), (4, 8, 9));
        // In no order they stand one behind the other.
        let mut placing = Placing::after(None);
        assert_eq!(places(&mut placing, &[message(1, Some(9), None), message(2, Some(2), Some(3))]), [(9, None), (10, None)]);
    }

    #[test]
    fn any_other_room_has_them_behind_what_is_there() {
        let mut placing = Placing::after(Some(40));
        let part = [message(1, Some(4), Some(9)), message(2, Some(50), Some(51))];
        assert_eq!(places(&mut placing, &part), [(41, None), (42, None)]);
        assert_eq!((placing.first, placing.latest, placing.head), (41, 42, 42));
    }

    #[test]
    fn what_is_there_is_left_alone_and_a_key_that_says_two_things_is_named() {
        let mut placing = Placing::after(Some(40));
        let part: Vec<_> = (1..=5).map(|line| message(line, None, None)).collect();
        let there = |offset, text: &str| Some(There { offset, at: 0, text: text.to_owned() });
        let placed = placing.place(&part, |message| {
            Ok::<_, Infallible>(match message.line {
                1 => there(7, "edited since"),
                2 => there(41, "text"),
                3 => there(42, "another"),
                _ => None,
            })
        });
        assert_eq!(placed.expect("placed").len(), 2);
        assert_eq!(placing.brought, Brought { new: 2, known: 2 });
        let other = Imported { content: Content::new("another"), ..part[4].clone() };
        placing
            .place(&[part[4].clone(), part[4].clone(), Imported { line: 6, ..other }], |_| Ok::<_, Infallible>(None))
            .expect("placed");
        assert!(matches!(placing.finish(), Err(ImportError::Twice(lines)) if lines == [3, 6]));
    }
}
