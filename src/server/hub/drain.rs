//! The end of a node's connections, one after the other: a server that stops tells them in batches.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use super::Hub;
use crate::server::websocket::CloseCode;

/// The time between two batches of goodbyes.
const BEAT: Duration = Duration::from_millis(100);
/// The smallest of these batches.
const BATCH: usize = 100;

/// How many of `sockets` are told at a time if telling all may take `over`.
fn batch_of(sockets: usize, over: Duration) -> usize {
    let batches = over.as_millis() / BEAT.as_millis() + 1;
    sockets.div_ceil(usize::try_from(batches).unwrap_or(usize::MAX)).max(BATCH)
}

impl Hub {
    /// Says goodbye to every connection of this node, in batches over at most `over`, so that not all come back at once somewhere
    /// else; those that are still in their handshake are told as soon as they are there. A connection that has not been told yet
    /// goes on as ever. A few are told at once.
    pub async fn drain(&self, code: CloseCode, reason: &'static str, over: Duration) {
        // By their ids: who was told in the first batch and is gone is not kept until the last.
        let connections: Vec<_> = {
            let mut table = self.table.write();
            table.goodbye = Some((code, reason));
            table.connections.keys().copied().collect()
        };
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for batch in connections.chunks(batch_of(connections.len(), over)) {
            beats.tick().await;
            let groups: Vec<_> = self.table.read().by_id.values().map(Arc::clone).collect();
            for group in groups {
                group.hand_out();
            }
            let told: Vec<_> = {
                let table = self.table.read();
                batch.iter().filter_map(|id| table.connections.get(id)).map(|(outbound, _)| outbound.clone()).collect()
            };
            for outbound in told {
                outbound.close(code, reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::Crowd, *};

    #[tokio::test(start_paused = true)]
    async fn goodbyes_are_said_in_batches() {
        let mut crowd = Crowd::of(150).await;
        let hub = Arc::clone(&crowd.hub);
        let began = tokio::time::Instant::now();
        let goodbye = hub.drain(CloseCode::SHUTTING_DOWN, "over", Duration::from_secs(1));
        let watch = async {
            // Later than a batch and earlier than the next.
            tokio::time::sleep(BEAT / 2).await;
            let first = crowd.closing();
            assert_eq!(first.len(), 100);
            // Whose connection has ended is gone, however many are still to be told.
            crowd.there.retain(|(reachable, ..)| !first.iter().any(|(id, _)| *id == reachable.connection));
            assert!(first.iter().all(|(_, socket)| socket.strong_count() == 0));
            tokio::time::sleep(BEAT).await;
            assert_eq!((crowd.closing().len(), crowd.there.len()), (50, 50));
        };
        tokio::join!(watch, goodbye);
        assert!(began.elapsed() <= Duration::from_secs(1));
    }

    #[test]
    fn batches_are_as_large_as_the_time_demands() {
        let second = Duration::from_secs(1);
        for (sockets, over, batch) in [
            (0, second, 100),
            (1_100, second, 100),
            (1_101, second, 101),
            (11_000, second, 1_000),
            (11_000, Duration::ZERO, 11_000),
        ] {
            assert_eq!(batch_of(sockets, over), batch, "{sockets} over {over:?}");
        }
    }
}
