//! Work that costs a lot for a short request: each address has one piece of it done at a time, and a few more wait in line.
//!
//! A piece that was begun goes on when its client goes away, and so does its turn: to ask and hang up gains nothing.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};

/// The lines of those who have something done.
pub struct Turns<K> {
    /// So many have something done or wait for it, for each.
    most: usize,
    lines: Arc<Mutex<Lines<K>>>,
}

type Lines<K> = HashMap<K, Line>;

struct Line {
    /// One at a time.
    turn: Arc<Semaphore>,
    length: usize,
}

/// The line is as long as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// A place in a line, given back when dropped.
struct Place<K: Eq + Hash> {
    key: K,
    lines: Arc<Mutex<Lines<K>>>,
}

/// One's turn, which ends when this is dropped: the next in line has it before the place is given back.
pub struct Turn<K: Eq + Hash> {
    _permit: Option<OwnedSemaphorePermit>,
    _place: Place<K>,
}

impl<K: Eq + Hash + Copy + Send + 'static> Turns<K> {
    /// At most so many in each line, the one whose turn it is included.
    pub fn new(most: usize) -> Self {
        Self { most, lines: Arc::default() }
    }

    /// Does the work when it is its turn; none where too many wait already.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        key: K,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<Result<T, JoinError>, TooLong> {
        let turn = self.turn(key).await?;
        Ok(tokio::spawn(async move {
            let done = work.await;
            drop(turn);
            done
        })
        .await)
    }

    /// Waits until it is one's turn.
    pub(super) async fn turn(&self, key: K) -> Result<Turn<K>, TooLong> {
        let (place, turn) = self.enter(key)?;
        // Nobody closes it.
        let permit = turn.acquire_owned().await.ok();
        Ok(Turn { _permit: permit, _place: place })
    }

    fn enter(&self, key: K) -> Result<(Place<K>, Arc<Semaphore>), TooLong> {
        let mut lines = self.lines.lock();
        let line = lines.entry(key).or_insert_with(|| Line { turn: Arc::new(Semaphore::new(1)), length: 0 });
        if line.length >= self.most {
            return Err(TooLong);
        }
        line.length += 1;
        let turn = Arc::clone(&line.turn);
        drop(lines);
        Ok((Place { key, lines: Arc::clone(&self.lines) }, turn))
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get_mut(&self.key) {
            line.length -= 1;
            if line.length == 0 {
                lines.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_for_each_a_few_wait_and_the_rest_is_told() {
        let turns = Arc::new(Turns::new(3));
        let (begun, mut beginnings) = mpsc::unbounded_channel();
        let begin = |key: u32, number: u32| {
            let (end, ended) = oneshot::channel::<()>();
            let (turns, begun) = (Arc::clone(&turns), begun.clone());
            let asked = tokio::spawn(async move {
                let work = async move {
                    begun.send(number).expect("the test");
                    // Dropped is as good as told.
                    let _ = ended.await;
                };
                turns.run(key, work).await.map(|done| done.expect("no panic"))
            });
            (end, asked)
        };
        let first = begin(1, 1);
        assert_eq!(beginnings.recv().await, Some(1));
        let second = begin(1, 2);
        let third = begin(1, 3);
        let waiting = async {
            while turns.lines.lock().get(&1).map(|line| line.length) != Some(3) {
                tokio::task::yield_now().await;
            }
        };
        waiting.await;
        assert_eq!(begin(1, 4).1.await.expect("no panic"), Err(TooLong));
        let other = begin(2, 5);
        assert_eq!(beginnings.recv().await, Some(5), "another's line is its own, and nobody else has begun");
        // Who goes away while it waits leaves the line; who goes away after the beginning does not end the work.
        second.1.abort();
        first.1.abort();
        assert!(second.1.await.is_err() && first.1.await.is_err());
        assert!(beginnings.try_recv().is_err(), "the first goes on");
        drop(first.0);
        assert_eq!(beginnings.recv().await, Some(3));
        drop((third.0, other.0));
        assert_eq!((third.1.await.expect("no panic"), other.1.await.expect("no panic")), (Ok(()), Ok(())));
        assert!(turns.lines.lock().is_empty());
    }
}
