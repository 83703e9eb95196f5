//! The newest page of each room, and the page of the list of rooms, rendered once a change for all of its readers.
//!
//! ```text
//!   GET ─► where the room's stream stands, who is there ─► the same as in the cache? ─ yes ─► Template::fill ─► the reader's page
//!                                                              │ no
//!                                                              ▼
//!                                              rendered once, while others who ask for it wait
//! ```
//!
//! Nothing has to be told to the cache: it asks the store where the stream stands, which takes a fraction of what it takes to read and render
//! the page, and whether anybody is seen otherwise than before. So a page is never older than what the same store would have given. What
//! goes without an entry of the stream, as old messages that are not kept any longer, is seen within [`FRESH`].

mod template;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

pub(super) use self::template::{Filling, StandIn, Template};
use crate::{
    locales::{Language, here},
    wire::{Group, Members, Position, Rights, RoomList},
};

/// A page is rendered anew after this time, also when nothing is new.
const FRESH: Duration = Duration::from_secs(1);
/// All pages together take so much memory, in bytes, the last that was made apart.
const MOST_BYTES: usize = 32 << 20;

/// What a place counts beside its page, in bytes: so there are at most some thousands, among which the oldest is soon found.
const PLACE: usize = 8 << 10;

/// See the [module](self).
#[derive(Default)]
pub struct RoomPages {
    rooms: Mutex<Rooms>,
    /// In each language.
    lists: [Place<RoomList>; Language::ALL.len()],
}

/// What a room's page is of: where its stream stands, and the [version](super::profiles::Profiles::version) of how people are seen.
pub(super) type Stands = (Position, u64);

/// A room, whether it is its page for readers with an account, and for those with which rights: of themselves theirs says other things. And
/// in which language.
type Key = (Group, bool, Rights, Language);

#[derive(Default)]
struct Rooms {
    by_key: HashMap<Key, Kept>,
    bytes: usize,
}

struct Kept {
    place: Arc<Place<Stands>>,
    used: Instant,
    bytes: usize,
}

/// Where a page is: held while it is rendered.
type Place<V> = tokio::sync::Mutex<Option<Arc<Shared<V>>>>;

/// What was rendered, and what of.
pub(super) struct Shared<V> {
    pub(super) of: V,
    pub(super) members: Members,
    /// Before anything of it was read.
    pub(super) made: Instant,
    pub(super) template: Template,
}

impl<V> Shared<V> {
    /// Whether it may be what would be rendered now: if what it is of is the same, it is.
    fn may_stand(&self, members: &Members) -> bool {
        self.made.elapsed() < FRESH && self.members == *members
    }
}

impl RoomPages {
    /// The page of a room in which `members` are: as it was rendered, if `now` says that what it is of is the same, or as
    /// `render` does it now. None where it cannot be shared.
    pub(super) async fn get<E>(
        &self,
        (group, has_account, may): (Group, bool, Rights),
        members: &Members,
        now: impl Future<Output = Result<Stands, E>>,
        render: impl Future<Output = Result<Option<Shared<Stands>>, E>>,
    ) -> Result<Option<Arc<Shared<Stands>>>, E> {
        let key = (group, has_account, may, here());
        let place = self.place(&key);
        let render = async {
            let made = render.await?;
            self.weigh(&key, &place, made.as_ref().map_or(0, |made| made.template.weight()));
            Ok(made)
        };
        get(&place, members, now, render).await
    }

    /// The page of the list of rooms: as it was rendered, if `list` is the same, or as `render` does it now.
    pub(super) async fn list<E>(
        &self,
        list: impl Future<Output = Result<RoomList, E>>,
        render: impl Future<Output = Result<Option<Shared<RoomList>>, E>>,
    ) -> Result<Option<Arc<Shared<RoomList>>>, E> {
        get(&self.lists[here() as usize], &Members::default(), list, render).await
    }

    fn place(&self, key: &Key) -> Arc<Place<Stands>> {
        let mut rooms = self.rooms.lock();
        if let Some(kept) = rooms.by_key.get_mut(key) {
            kept.used = Instant::now();
            return Arc::clone(&kept.place);
        }
        let kept = Kept { place: Arc::default(), used: Instant::now(), bytes: 0 };
        let place = Arc::clone(&kept.place);
        rooms.by_key.insert(key.clone(), kept);
        rooms.weigh(key, 0);
        place
    }

    /// A room's page takes so much now.
    fn weigh(&self, key: &Key, place: &Arc<Place<Stands>>, bytes: usize) {
        let mut rooms = self.rooms.lock();
        // Where it had to make room meanwhile it goes with the last who reads it.
        if rooms.by_key.get(key).is_some_and(|kept| Arc::ptr_eq(&kept.place, place)) {
            rooms.weigh(key, bytes);
        }
    }
}

/// What is in its place, if `now` is what it is of, or what `render` makes.
async fn get<V: PartialEq, E>(
    place: &Place<V>,
    members: &Members,
    now: impl Future<Output = Result<V, E>>,
    render: impl Future<Output = Result<Option<Shared<V>>, E>>,
) -> Result<Option<Arc<Shared<V>>>, E> {
    let came = Instant::now();
    let kept = place.lock().await.clone();
    if let Some(kept) = kept.filter(|kept| kept.may_stand(members))
        && now.await? == kept.of
    {
        return Ok(Some(kept));
    }
    let mut shared = place.lock().await;
    // What another has rendered meanwhile was read since this was asked for.
    if let Some(shared) = shared.as_ref().filter(|shared| shared.made >= came && shared.members == *members) {
        return Ok(Some(Arc::clone(shared)));
    }
    *shared = None;
    shared.clone_from(&render.await?.map(Arc::new));
    Ok(shared.clone())
}

impl Rooms {
    /// The rooms that were asked for longest ago make room for this one's page.
    fn weigh(&mut self, key: &Key, bytes: usize) {
        let Some(kept) = self.by_key.get_mut(key) else { return };
        self.bytes = self.bytes - kept.bytes + bytes + PLACE;
        kept.bytes = bytes + PLACE;
        while self.bytes > MOST_BYTES {
            let oldest = self.by_key.iter().filter(|(other, _)| *other != key).min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(oldest, _)| oldest.clone()) else { return };
            self.bytes -= self.by_key.remove(&oldest).map_or(0, |kept| kept.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_that_were_asked_for_longest_ago_make_room() {
        let pages = RoomPages::default();
        let group =
            |n: usize| -> Key { (format!("r{n}").parse().expect("a name"), false, Rights::default(), Language::default()) };
        let mut made = 0;
        for n in 0..100 {
            let place = pages.place(&group(n));
            pages.weigh(&group(n), &place, 1 << 20);
            // Somebody looks at the first all the time.
            pages.place(&group(0));
            made += 1;
        }
        let rooms = pages.rooms.lock();
        assert_eq!(made, 100);
        assert!(rooms.bytes <= MOST_BYTES, "{}", rooms.bytes);
        assert_eq!(rooms.bytes, rooms.by_key.values().map(|kept| kept.bytes).sum::<usize>());
        let mut kept: Vec<_> = rooms.by_key.keys().cloned().collect();
        kept.sort_unstable_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        let mut newest: Vec<_> = (100 - kept.len() + 1..100).map(group).chain([group(0)]).collect();
        newest.sort_unstable_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        assert_eq!(kept, newest);
    }

    #[test]
    fn names_of_rooms_that_nobody_uses_are_bounded_too() {
        let pages = RoomPages::default();
        for n in 0..MOST_BYTES / PLACE + 100 {
            pages.place(&(format!("r{n}").parse().expect("a name"), false, Rights::default(), Language::default()));
        }
        assert_eq!(pages.rooms.lock().by_key.len(), MOST_BYTES / PLACE);
    }
}
