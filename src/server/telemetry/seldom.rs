//! What strangers can bring about as often as they like goes to the log once in a while.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long nothing is said after something was.
const QUIET: Duration = Duration::from_mins(1);

/// Something that is worth a line now and then.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    said: Option<Instant>,
    others: u64,
}

impl Seldom {
    /// Has it said, with the number of times since the last line that nothing was said; or counts it.
    pub fn say(&self, line: impl FnOnce(u64)) {
        let mut state = self.0.lock();
        if state.said.is_some_and(|said| said.elapsed() < QUIET) {
            state.others += 1;
            return;
        }
        let State { others, .. } = std::mem::replace(&mut *state, State { said: Some(Instant::now()), others: 0 });
        drop(state);
        line(others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_comes_now_and_then_and_says_how_many_did_not() {
        let (seldom, mut lines) = (Seldom::default(), Vec::new());
        for _ in 0..3 {
            seldom.say(|others| lines.push(others));
        }
        tokio::time::advance(QUIET).await;
        for _ in 0..2 {
            seldom.say(|others| lines.push(others));
        }
        assert_eq!(lines, [0, 2]);
    }
}
