//! How a page is cut from a stream: the same for every store.
//!
//! A [`Slice`] becomes one or two [`Run`]s, stretches that are read from one offset on in one direction until a bound is reached.

use super::Slice;
use crate::wire::Offset;

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
    bytes: usize,
    /// The next message may be longer than what is left.
    first_is_free: bool,
}

impl Allowance {
    fn new(count: usize, bytes: usize) -> Self {
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
    let mut falling = |offset, allowance: &mut Allowance| {
        let mut messages = take(Run::UpTo(offset), allowance)?;
        messages.reverse();
        Ok(messages)
    };
    match slice {
        Slice::Latest => falling(head, &mut Allowance::new(count, bytes)),
        Slice::Before(Offset(0)) => Ok(Vec::new()),
        Slice::Before(Offset(offset)) => falling(Offset(offset - 1).min(head), &mut Allowance::new(count, bytes)),
        Slice::After(offset) if offset >= head => Ok(Vec::new()),
        Slice::After(offset) => take(Run::From(offset.next()), &mut Allowance::new(count, bytes)),
        Slice::Around(_) if first > head => Ok(Vec::new()),
        Slice::Around(offset) => {
            let anchor = offset.clamp(first, head);
            let mut allowance = Allowance::new(count - count / 2, bytes - bytes / 2);
            let onward = take(Run::From(anchor), &mut allowance)?;
            let mut before = Allowance { count: count / 2, bytes: bytes / 2, first_is_free: false };
            let mut messages = take(Run::UpTo(Offset(anchor.0 - 1)), &mut before)?;
            messages.reverse();
            messages.extend(onward);
            Ok(messages)
        }
    }
}
