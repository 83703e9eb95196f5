//! How a page is cut from a stream: the same for every store.
//!
//! A [`Slice`] becomes one or two [`Run`]s, stretches that are read from one offset on in one direction until a bound is reached. Bytes
//! are those that are sent: all of a message as JSON, not its text alone.

use std::{convert::Infallible, io};

use serde::Serialize;

use super::entry::{Entry, Slice, What};
use crate::wire::{Offset, Stored};

/// What stands around a message or a change where it is sent, in bytes, at most: a topic, an offset and a type.
const AROUND: usize = 160;

/// How many bytes of JSON it is, with what stands around it.
pub fn bytes_as_sent(what: &impl Serialize) -> usize {
    struct Counted(usize);

    impl io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counted = Counted(AROUND);
    serde_json::to_writer(&mut counted, what).expect("the wire is JSON"); // never: its keys are strings, and counting does not fail
    counted.0
}

impl Entry {
    /// How many bytes it is where it is sent.
    pub(in crate::server::store) fn bytes_as_sent(&self) -> usize {
        match &self.what {
            What::Message(message) => bytes_as_sent(message),
            What::Change(change) => bytes_as_sent(change),
        }
    }
}

/// A stretch of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server::store) enum Run {
    /// Those from the offset on, rising.
    From(Offset),
    /// Those up to and including the offset, falling.
    UpTo(Offset),
}

/// How much may still be taken.
#[derive(Clone, Copy, Debug)]
pub(in crate::server::store) struct Allowance {
    pub(in crate::server::store) count: usize,
    pub(in crate::server::store) bytes: usize,
    /// The next message may be longer than what is left.
    first_is_free: bool,
}

impl Allowance {
    pub(in crate::server::store) fn new(count: usize, bytes: usize) -> Self {
        Self { count, bytes, first_is_free: true }
    }

    /// Whether a message of so many bytes may be taken too. After the first refusal nothing more should be asked.
    pub(in crate::server::store) fn admits(&mut self, bytes: usize) -> bool {
        let fits = self.count > 0 && (self.first_is_free || bytes <= self.bytes);
        if fits {
            self.count -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
            self.first_is_free = false;
        }
        fits
    }
}

/// The runs that make up a slice: what they bring, the first one turned round, is in rising order.
#[derive(Debug)]
pub(in crate::server::store) struct Runs {
    pub(in crate::server::store) back: Option<(Run, Allowance)>,
    pub(in crate::server::store) on: Option<(Run, Allowance)>,
}

/// What is to be read of a stream that holds `first` up to `head`.
pub(in crate::server::store) fn runs(slice: Slice, first: Offset, head: Offset, count: usize, bytes: usize) -> Runs {
    let whole = Allowance::new(count, bytes);
    let (back, on) = match slice {
        Slice::Latest => (Some((Run::UpTo(head), whole)), None),
        Slice::Before(Offset(0)) => (None, None),
        Slice::Before(Offset(offset)) => (Some((Run::UpTo(Offset(offset - 1).min(head)), whole)), None),
        Slice::After(offset) if offset >= head => (None, None),
        Slice::After(offset) => (None, Some((Run::From(offset.next()), whole))),
        Slice::Around(_) if first > head => (None, None),
        Slice::Around(offset) => {
            let anchor = offset.clamp(first, head);
            let before = Allowance { count: count / 2, bytes: bytes / 2, first_is_free: false };
            let onward = Allowance::new(count - count / 2, bytes - bytes / 2);
            (Some((Run::UpTo(Offset(anchor.0 - 1)), before)), Some((Run::From(anchor), onward)))
        }
    };
    Runs { back, on }
}

/// Cuts a page from a stream that holds `first` up to `head`: `take` collects a run, in its direction, as far as the allowance
/// goes.
pub(in crate::server::store) fn cut<T, E>(
    slice: Slice,
    first: Offset,
    head: Offset,
    count: usize,
    bytes: usize,
    mut take: impl FnMut(Run, &mut Allowance) -> Result<Vec<T>, E>,
) -> Result<Vec<T>, E> {
    let mut take = |run: Option<(Run, Allowance)>| match run {
        Some((run, mut allowance)) => take(run, &mut allowance),
        None => Ok(Vec::new()),
    };
    let Runs { back, on } = runs(slice, first, head, count, bytes);
    let mut messages = take(back)?;
    messages.reverse();
    messages.extend(take(on)?);
    Ok(messages)
}

/// The stream from an offset on, from its messages and its changes, as far as the allowance goes. Each of both is in rising order
/// and may have been cut short: what would follow on a gap is left out.
pub(in crate::server::store) fn merged(
    from: Offset,
    messages: Vec<Stored>,
    changes: Vec<Entry>,
    mut allowance: Allowance,
) -> Vec<Entry> {
    let mut messages = messages.into_iter().map(Entry::from).peekable();
    let mut changes = changes.into_iter().peekable();
    let next = || match (messages.peek(), changes.peek()) {
        (Some(message), Some(change)) if change.offset < message.offset => changes.next(),
        (Some(_), _) => messages.next(),
        (None, _) => changes.next(),
    };
    let without_gap = std::iter::from_fn(next).zip(from.0..).take_while(|(entry, offset)| entry.offset == Offset(*offset));
    without_gap.map(|(entry, _)| entry).take_while(|entry| allowance.admits(entry.bytes_as_sent())).collect()
}

/// Cuts a page that was read as `slice`, with at most `count` messages, down to so many bytes as they are weighed by whoever shows it.
/// What stays is what would have been read within these bounds; a first message that is heavier stays alone.
pub fn cut_down(
    slice: Slice,
    messages: Vec<Stored>,
    count: usize,
    bytes: usize,
    weigh: impl Fn(&Stored) -> usize,
) -> Vec<Stored> {
    let [first, .., last] = &messages[..] else { return messages };
    if messages.iter().map(&weigh).sum::<usize>() <= bytes {
        return messages;
    }
    let taken = cut(slice, first.offset, last.offset, count, bytes, |run, allowance| {
        let mut take = |stored: &Stored| allowance.admits(weigh(stored)).then(|| stored.clone());
        Ok(match run {
            Run::From(from) => messages.iter().skip_while(|stored| stored.offset < from).map_while(&mut take).collect(),
            Run::UpTo(to) => messages.iter().rev().skip_while(|stored| stored.offset > to).map_while(&mut take).collect(),
        })
    });
    taken.unwrap_or_else(|impossible: Infallible| match impossible {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Content, Message, Person, Timestamp};

    fn stored(offset: u64) -> Stored {
        let from = Person::new("ann", "Ann");
        let (key, at) = ("k".parse().expect("a key"), Timestamp::from_millis(0));
        let message = Message { id: format!("e-{offset}"), key, from, content: Content::new("text"), at };
        Stored { offset: Offset(offset), message }
    }

    #[test]
    fn a_page_is_cut_down_from_the_far_end() {
        // Between the messages are changes.
        let all: Vec<_> = (1..=10).map(|number| stored(2 * number)).collect();
        for (slice, bytes, expected) in [
            (Slice::Latest, 100, vec![2, 4, 6, 8, 10, 12, 14, 16, 18, 20]),
            (Slice::Latest, 99, vec![4, 6, 8, 10, 12, 14, 16, 18, 20]),
            (Slice::Latest, 0, vec![20]),
            (Slice::Before(Offset(21)), 25, vec![18, 20]),
            (Slice::After(Offset(0)), 25, vec![2, 4]),
            (Slice::After(Offset(1)), 5, vec![2]),
            (Slice::Around(Offset(10)), 40, vec![6, 8, 10, 12]),
            (Slice::Around(Offset(9)), 40, vec![6, 8, 10, 12]),
            (Slice::Around(Offset(10)), 0, vec![10]),
        ] {
            let cut = cut_down(slice, all.clone(), 50, bytes, |_| 10);
            assert_eq!(cut.iter().map(|stored| stored.offset.0).collect::<Vec<_>>(), expected, "{slice:?} of {bytes}");
        }
    }

    #[test]
    fn all_of_a_message_is_counted() {
        let mut one = stored(1);
        let plain = bytes_as_sent(&one.message);
        one.message.content.text = "\u{1}".repeat(100);
        assert_eq!(bytes_as_sent(&one.message), plain - 4 + 600);
        one.message.from.name = "\"".repeat(10);
        assert_eq!(bytes_as_sent(&one.message), plain - 4 + 600 - 3 + 20);
    }
}
