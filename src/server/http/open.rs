//! The TCP connections that are open: how many there may be of one address and of all, and which give way to new ones.
//!
//! A connection takes a file descriptor, which the store and the channel layer need as well. So there are never more connections than
//! leave [`RESERVE`] descriptors to these. When there are so many, those give way that have no request under way: nobody waits for an
//! answer on them, and a browser opens another when it needs one. The address with most of them gives first, the oldest first.

use std::{
    collections::HashMap,
    future::pending,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};
use tracing::{info, warn};

use crate::server::visitors::Subnet;

/// How many file descriptors connections leave to everything else; where there are few, half of them.
const RESERVE: u64 = 128;
/// TCP connections of an address beside those of its `WebSockets`: browsers open up to six for pages and their files.
const BESIDE: u32 = 200;
/// Of the connections that may be open, this part gives way at a time.
const PART: usize = 32;
/// How long to wait for room until those are looked for again that can give way.
const LOOK: Duration = Duration::from_millis(100);
/// A shortage is over when nobody was short of a connection for so long.
const QUIET: Duration = Duration::from_secs(5);

/// How many TCP connections one address may have: those of its `WebSockets`, as many again that are being told that they are too
/// many, and some for pages.
pub(super) fn most_of_address(sockets: Option<NonZeroU32>) -> Option<u32> {
    sockets.map(|most| most.get().saturating_mul(2).saturating_add(BESIDE))
}

/// All connections of a server.
pub(super) struct Open {
    /// For each address; none for no bound.
    most_of_address: Option<u32>,
    most: usize,
    /// As many permits as there may be connections.
    room: Arc<Semaphore>,
    table: Mutex<Table>,
    /// Tells which has been idle for longer.
    turn: AtomicU64,
}

#[derive(Default)]
struct Table {
    by_address: HashMap<Subnet, u32>,
    /// Those that speak HTTP. A WebSocket is not among them.
    speaking_http: HashMap<u64, Arc<Connection>>,
    last: u64,
}

/// Where a connection stands.
struct Connection {
    address: Option<Subnet>,
    /// Since which turn it has had no request under way; 0 while it has one.
    idle_since: AtomicU64,
    give_way: Notify,
    /// It shall end whatever is under way.
    is_cut: AtomicBool,
}

/// The connection that an answer goes out by.
#[derive(Clone)]
pub(in crate::server) struct Line(Arc<Connection>);

impl Line {
    /// Ends it at once, in the middle of the answer: what waits for its reader is given up.
    pub(in crate::server) fn cut(&self) {
        self.0.is_cut.store(true, Relaxed);
        self.0.give_way.notify_one();
    }

    /// Whether it shall end: who has more to send finds out by this, since a task that always can go on does not look up.
    pub(in crate::server) fn is_cut(&self) -> bool {
        self.0.is_cut.load(Relaxed)
    }
}

/// A connection's place among all, given back when the last who holds it drops it.
pub(super) struct Place {
    open: Arc<Open>,
    address: Option<Subnet>,
    _room: OwnedSemaphorePermit,
}

/// The part of a connection's life in which it speaks HTTP.
pub(super) struct SpeakingHttp {
    open: Arc<Open>,
    number: u64,
    connection: Arc<Connection>,
}

impl Open {
    /// Of each address at most so many; of all as many as the bound on open files allows.
    pub(super) fn new(most_of_address: Option<u32>) -> Arc<Self> {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(files - RESERVE.min(files / 2))
            .map_or(Semaphore::MAX_PERMITS, |most| most.min(Semaphore::MAX_PERMITS));
        Arc::new(Self::with(most_of_address, most))
    }

    fn with(most_of_address: Option<u32>, most: usize) -> Self {
        let (room, turn) = (Arc::new(Semaphore::new(most)), AtomicU64::new(1));
        Self { most_of_address, most, room, table: Mutex::default(), turn }
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Room for one more, if there is.
    pub(super) fn try_room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Room for one more, for which others give way as soon as one can.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        loop {
            self.make_room();
            if let Ok(Ok(room)) = timeout(LOOK, Arc::clone(&self.room).acquire_owned()).await {
                return room;
            }
        }
    }

    /// A place for a connection of an address, or none where it has as many as it may have. Nobody in particular is behind `None`.
    pub(super) fn enter(self: &Arc<Self>, address: Option<Subnet>, room: OwnedSemaphorePermit) -> Result<Place, u32> {
        if let Some((address, most)) = address.zip(self.most_of_address) {
            let mut table = self.table.lock();
            let count = table.by_address.entry(address).or_default();
            if *count >= most {
                return Err(most);
            }
            *count += 1;
        }
        Ok(Place { open: Arc::clone(self), address, _room: room })
    }

    /// Has some give way that have no request under way.
    pub(super) fn make_room(&self) {
        let table = self.table.lock();
        let mut idle: Vec<_> =
            table.speaking_http.values().filter_map(|connection| Some((connection.is_idle()?, connection))).collect();
        let mut of_address = HashMap::<_, u32>::new();
        for (_, connection) in &idle {
            *of_address.entry(connection.address).or_default() += 1;
        }
        idle.sort_unstable_by_key(|(since, connection)| (u32::MAX - of_address[&connection.address], *since));
        for (_, connection) in idle.iter().take((self.most / PART).max(1)) {
            connection.give_way.notify_one();
        }
    }

    fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Relaxed)
    }
}

impl Place {
    /// The connection speaks HTTP from now on, until what is returned is dropped.
    pub(super) fn speak_http(&self) -> SpeakingHttp {
        let idle_since = AtomicU64::new(self.open.next_turn());
        let connection =
            Arc::new(Connection { address: self.address, idle_since, give_way: Notify::new(), is_cut: AtomicBool::new(false) });
        let mut table = self.open.table.lock();
        table.last += 1;
        let number = table.last;
        table.speaking_http.insert(number, Arc::clone(&connection));
        SpeakingHttp { open: Arc::clone(&self.open), number, connection }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address.filter(|_| self.open.most_of_address.is_some()) else { return };
        let mut table = self.open.table.lock();
        if let Some(count) = table.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                table.by_address.remove(&address);
            }
        }
    }
}

impl Connection {
    /// Since which turn, if it is.
    fn is_idle(&self) -> Option<u64> {
        Some(self.idle_since.load(Relaxed)).filter(|since| *since > 0)
    }
}

impl SpeakingHttp {
    /// The connection, for whoever may have to end it.
    pub(super) fn line(&self) -> Line {
        Line(Arc::clone(&self.connection))
    }

    /// Resolves when the connection shall end: while it has no request under way, or when it is cut.
    pub(super) async fn gives_way(&self) {
        loop {
            self.connection.give_way.notified().await;
            if self.connection.is_idle().is_some() || self.connection.is_cut.load(Relaxed) {
                return;
            }
        }
    }

    /// A request is under way until this is dropped.
    pub(super) fn request(&self) -> UnderWay {
        self.connection.idle_since.store(0, Relaxed);
        UnderWay { open: Arc::clone(&self.open), connection: Arc::clone(&self.connection) }
    }
}

impl Drop for SpeakingHttp {
    fn drop(&mut self) {
        self.open.table.lock().speaking_http.remove(&self.number);
    }
}

/// A request that is not answered, or whose answer is not sent.
pub(super) struct UnderWay {
    open: Arc<Open>,
    connection: Arc<Connection>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.connection.idle_since.store(self.open.next_turn(), Relaxed);
    }
}

/// The body of an answer; its request is under way until it was sent.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _under_way: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

/// That there is no room for a connection, or no descriptor for one, is told when it begins and when it is over.
#[derive(Default)]
pub(super) struct Shortage {
    /// When somebody was short of one last.
    last: Option<Instant>,
}

impl Shortage {
    pub(super) fn felt(&mut self, cause: impl FnOnce() -> String) {
        if self.last.replace(Instant::now()).is_none() {
            warn!(cause = cause(), "no further connection can be accepted; those without a request give way");
        }
    }

    /// Resolves when a shortage is over; never where there is none.
    pub(super) async fn over(&mut self) {
        let Some(last) = self.last else { return pending().await };
        sleep_until(last + QUIET).await;
        self.last = None;
        info!("connections are accepted again without others giving way");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::visitors::Proxies;

    fn address(text: &str) -> Option<Subnet> {
        Proxies::new(Vec::new()).counted(text.parse().expect("an address"))
    }

    fn enter(open: &Arc<Open>, from: &str) -> Place {
        let room = open.try_room().expect("room");
        open.enter(address(from), room).map_err(|most| format!("{from} has {most}")).expect("a place")
    }

    #[test]
    fn an_address_has_so_many_and_a_place_is_given_back() {
        let open = Arc::new(Open::with(Some(2), 100));
        let places = [enter(&open, "192.0.2.1"), enter(&open, "192.0.2.1")];
        let refused = open.enter(address("192.0.2.1"), open.try_room().expect("room"));
        assert_eq!(refused.err(), Some(2));
        let other = enter(&open, "192.0.2.2");
        assert_eq!(open.room.available_permits(), 97, "one that was refused takes no room");
        drop(places);
        drop((enter(&open, "192.0.2.1"), other));
        assert!(open.table.lock().by_address.is_empty());
        assert_eq!(open.room.available_permits(), 100);
    }

    #[tokio::test]
    async fn those_without_a_request_give_way_of_the_address_with_most_of_them_first() {
        let open = Arc::new(Open::with(None, PART * 2));
        let places: Vec<_> =
            ["192.0.2.9", "192.0.2.1", "192.0.2.1", "192.0.2.1"].iter().map(|from| enter(&open, from)).collect();
        let speaking: Vec<_> = places.iter().map(Place::speak_http).collect();
        let busy = speaking[1].request();
        open.make_room();
        // Two at a time.
        speaking[2].gives_way().await;
        speaking[3].gives_way().await;
        for kept in [&speaking[0], &speaking[1]] {
            assert!(timeout(Duration::ZERO, kept.gives_way()).await.is_err());
        }
        drop(speaking);
        assert!(open.table.lock().speaking_http.is_empty());
        drop(busy);
    }

    #[tokio::test]
    async fn who_was_told_to_give_way_and_has_a_request_by_then_stays() {
        let open = Arc::new(Open::with(None, 1));
        let place = enter(&open, "192.0.2.1");
        let speaking = place.speak_http();
        open.make_room();
        let under_way = speaking.request();
        assert!(timeout(Duration::ZERO, speaking.gives_way()).await.is_err());
        drop(under_way);
        open.make_room();
        speaking.gives_way().await;
    }

    #[tokio::test]
    async fn a_line_that_is_cut_ends_whatever_is_under_way() {
        let open = Arc::new(Open::with(None, 1));
        let speaking = enter(&open, "192.0.2.1").speak_http();
        let _under_way = speaking.request();
        speaking.line().cut();
        speaking.gives_way().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_is_over_when_it_was_not_felt_for_a_while() {
        let mut shortage = Shortage::default();
        assert!(timeout(QUIET * 10, shortage.over()).await.is_err());
        shortage.felt(|| "first".to_owned());
        assert!(timeout(QUIET / 2, shortage.over()).await.is_err());
        shortage.felt(|| unreachable!("it was told"));
        assert!(timeout(QUIET / 2, shortage.over()).await.is_err());
        shortage.over().await;
        shortage.felt(|| "second".to_owned());
    }
}
