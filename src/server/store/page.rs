//! How a page is cut from a stream: the same for every store.
//!
//! A [`Slice`] becomes one or two [`Run`]s, stretches that are read from one offset on in one direction until a bound is reached.

use super::{Entry, Slice};
use crate::wire::{Offset, Stored};

/// A stretch of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Those from the offset on, rising.
    From(Offset),
    /// Those up to and including the offset, falling.
    UpTo(Offset),
}

/// How much may still be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// The next message may be longer than what is left.
    first_is_free: bool,
}

impl Allowance {
    pub(super) fn new(count: usize, bytes: usize) -> Self {
        Self { count, bytes, first_is_free: true }
    }

    /// Whether a message with so many bytes of text may be taken too. After the first refusal nothing more should be asked.
    pub(super) fn admits(&mut self, bytes: usize) -> bool {
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
pub(super) struct Runs {
    pub(super) back: Option<(Run, Allowance)>,
    pub(super) on: Option<(Run, Allowance)>,
}

/// What is to be read of a stream that holds `first` up to `head`.
pub(super) fn runs(slice: Slice, first: Offset, head: Offset, count: usize, bytes: usize) -> Runs {
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
pub(super) fn cut<T, E>(
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
pub(super) fn merged(from: Offset, messages: Vec<Stored>, changes: Vec<Entry>, mut allowance: Allowance) -> Vec<Entry> {
    let mut messages = messages.into_iter().map(Entry::from).peekable();
    let mut changes = changes.into_iter().peekable();
    let next = || match (messages.peek(), changes.peek()) {
        (Some(message), Some(change)) if change.offset < message.offset => changes.next(),
        (Some(_), _) => messages.next(),
        (None, _) => changes.next(),
    };
    let without_gap = std::iter::from_fn(next).zip(from.0..).take_while(|(entry, offset)| entry.offset == Offset(*offset));
    without_gap.map(|(entry, _)| entry).take_while(|entry| allowance.admits(entry.text_bytes())).collect()
}
