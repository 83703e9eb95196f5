//! Faults that last: a store that cannot write, or a layer that is away, is met by everybody who needs it. The log says when that
//! begins and when it ends, not each time in between.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether something that is done again and again fails now. It begins well.
#[derive(Debug, Default)]
pub struct Fault(AtomicBool);

impl Fault {
    /// Notes how it went this time, and says whether that is news.
    pub fn is_news(&self, failed: bool) -> bool {
        // Mostly it goes as it went before, which is known without writing.
        self.0.load(Relaxed) != failed && self.0.swap(failed, Relaxed) != failed
    }

    /// The last time it failed.
    pub fn lasts(&self) -> bool {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_news() {
        let fault = Fault::default();
        let news = [false, false, true, true, false, true].map(|failed| (fault.is_news(failed), fault.lasts()));
        assert_eq!(news, [(false, false), (false, false), (true, true), (false, true), (true, false), (true, true)]);
    }
}
