//! The list of rooms: those that its reader may enter, of both stores, by their activity.
//!
//! Each store has an order of its own, in which the list keeps its rooms; between the stores the times of the newest messages decide.
//! A further page goes on from a [`Place`], where each store stood: so a room that is used meanwhile moves nothing to or fro over the
//! edge of a page.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{
    Rooms,
    owned::{Record, RoomKind},
    reader::Reader,
    rules::{rule, within},
};
use crate::{
    server::{
        accounts::Asker,
        settings::History,
        store::{Listed, ListedRoom, Log, StoreError, Within},
    },
    wire::{Group, InvalidName, RoomList, RoomSummary, Stored, Timestamp, beginning},
};

/// The rooms of somebody.
pub struct OwnRooms {
    /// Of which they are a member.
    pub member: Vec<OwnRoom>,
    /// After so many there are more.
    pub more: Option<u32>,
    /// That they may enter beside those which are everybody's.
    pub open: Vec<OwnRoom>,
    /// How many names of rooms were looked at for that.
    pub looked_at: usize,
}

/// One of them.
pub struct OwnRoom {
    pub group: Group,
    /// Of a direct one the names of the others.
    pub title: String,
    /// None where it is nobody's, or theirs by a token alone.
    pub kind: Option<RoomKind>,
    /// The beginning of its latest message.
    pub latest: Option<Stored>,
}

/// How many rooms a page of the list has.
const LISTED: usize = 100;

/// Where the list goes on: before which activity of each store, or at its beginning. As text it is the two numbers with a dash
/// between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    durable: Option<u64>,
    volatile: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        write!(f, "{}-{}", number(self.durable), number(self.volatile))
    }
}

impl FromStr for Place {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const RULE: InvalidName = InvalidName("the place in the list is what an earlier answer has as next");
        let number = |text: &str| match text {
            "" => Ok(None),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map(Some).map_err(|_| RULE),
            _ => Err(RULE),
        };
        let (durable, volatile) = text.split_once('-').ok_or(RULE)?;
        Ok(Self { durable: number(durable)?, volatile: number(volatile)? })
    }
}

/// Says of a room whether it is asked for.
type Choice = Arc<dyn Fn(&Group) -> bool + Send + Sync>;

impl Rooms {
    /// The rooms that a reader may enter and that have been used, newest activity first, each with the beginning of its latest message:
    /// those with `name` in their names, in any case, and from `place` on. Also gives how many names were looked at for that, beside those of
    /// the list.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, reader: &Reader, name: &str, place: Place) -> Result<(RoomList, usize), StoreError> {
        if name.is_empty() {
            return Ok((self.listed(reader, None, place).await?, 0));
        }
        let (name, looked_at) = (name.to_ascii_lowercase(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&looked_at);
        let is_named = move |group: &Group| {
            count.fetch_add(1, Relaxed);
            group.as_str().to_ascii_lowercase().contains(&name)
        };
        let list = self.listed(reader, Some(Arc::new(is_named)), place).await?;
        Ok((list, looked_at.load(Relaxed)))
    }

    /// The beginning of the list that is the same for all.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn newest(&self) -> Result<Vec<RoomSummary>, StoreError> {
        Ok(self.listed(&Reader::guest(), None, Place::default()).await?.rooms)
    }

    /// The room that differs from this one in the case of its letters alone, where that one has been used and this one has not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn alike(&self, reader: &Reader, group: &Group) -> Result<Option<Group>, StoreError> {
        let wanted = group.clone();
        let is_alike = move |group: &Group| group.as_str().eq_ignore_ascii_case(wanted.as_str());
        let RoomList { rooms, .. } = self.listed(reader, Some(Arc::new(is_alike)), Place::default()).await?;
        let is_used = rooms.iter().any(|room| room.group == *group);
        Ok(rooms.into_iter().map(|room| room.group).find(|_| !is_used))
    }

    /// A part of the rooms of somebody with an account, after so many others; of these the one that was used last is first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn own_rooms(&self, asker: Asker<'_>, after: u32) -> Result<OwnRooms, StoreError> {
        let (records, more) = self.own(asker.person, after).await?;
        let reader = self.reader(asker).await?;
        let mut member: HashMap<Group, OwnRoom> = HashMap::with_capacity(records.len());
        for Record { group, title, brief, .. } in records {
            member.insert(group.clone(), OwnRoom { group, title, kind: Some(brief.kind), latest: None });
        }
        let theirs: HashSet<Group> = member.keys().cloned().collect();
        let (rules, registry) = (Arc::clone(&self.rules), Arc::clone(&self.registry));
        // Of open rooms that guests enter too everybody has the list.
        let looked_at = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&looked_at);
        let is_listed = move |group: &Group| {
            count.fetch_add(1, Relaxed);
            theirs.contains(group) || !registry.is_open(group) || rule(&rules, group).is_some_and(|rule| !rule.guests)
        };
        let RoomList { rooms, .. } = self.listed(&reader, Some(Arc::new(is_listed)), Place::default()).await?;
        let (mut used, mut open) = (Vec::new(), Vec::new());
        for RoomSummary { group, latest } in rooms {
            match member.remove(&group) {
                Some(room) => used.push(OwnRoom { latest, ..room }),
                None => open.push(OwnRoom { title: group.to_string(), group, kind: None, latest }),
            }
        }
        // In those nothing was said yet, or long ago.
        let mut unused: Vec<_> = member.into_values().collect();
        unused.sort_unstable_by(|one, other| (&one.title, one.group.as_str()).cmp(&(&other.title, other.group.as_str())));
        used.append(&mut unused);
        Ok(OwnRooms { member: used, more, open, looked_at: looked_at.load(Relaxed) })
    }

    /// Those of the reader's rooms that are asked for, or all of them.
    async fn listed(&self, reader: &Reader, asked_for: Option<Choice>, place: Place) -> Result<RoomList, StoreError> {
        let of = async |store: &Arc<dyn Log>, history, before| {
            let Some(open) = within(&self.rules, &self.registry, reader, history) else { return Ok(Listed::default()) };
            let asked_for = match asked_for.clone() {
                Some(asked_for) => Within::Rooms(Arc::new(move |group| open.has(group) && asked_for(group))),
                None => open,
            };
            store.list(&asked_for, before, LISTED).await
        };
        let durable = of(&self.durable.store, History::Store, place.durable).await?;
        let volatile = of(&self.volatile.store, History::Memory, place.volatile).await?;
        let mut list = merged(durable, volatile, place);
        self.profiles.complete_messages(list.rooms.iter_mut().filter_map(|room| room.latest.as_mut()));
        Ok(list)
    }
}

/// What of one store is not on the page yet, and where the next page goes on in it.
struct Rest {
    rooms: std::iter::Peekable<std::vec::IntoIter<ListedRoom>>,
    place: Option<u64>,
    next: Option<u64>,
}

impl Rest {
    fn new(Listed { rooms, next }: Listed, place: Option<u64>) -> Self {
        Self { rooms: rooms.into_iter().peekable(), place, next }
    }

    fn newest(&mut self) -> Option<Timestamp> {
        self.rooms
            .peek()
            .map(|listed| listed.room.latest.as_ref().map_or(Timestamp::from_millis(i64::MIN), |latest| latest.message.at))
    }

    fn take(&mut self) -> Option<ListedRoom> {
        let listed = self.rooms.next()?;
        self.place = Some(listed.activity);
        Some(listed)
    }

    /// Where the next page goes on; before everything where there is nothing more.
    fn place(&mut self) -> Option<u64> {
        if self.rooms.peek().is_some() { self.place } else { Some(self.next.unwrap_or(0)) }
    }
}

fn merged(durable: Listed, volatile: Listed, place: Place) -> RoomList {
    let (mut durable, mut volatile) = (Rest::new(durable, place.durable), Rest::new(volatile, place.volatile));
    let mut rooms = Vec::new();
    while rooms.len() < LISTED {
        let is_durable = durable.newest() >= volatile.newest();
        let newer = if is_durable { durable.take() } else { volatile.take() };
        let Some(listed) = newer else { break };
        let mut room = listed.room;
        if let Some(latest) = &mut room.latest {
            latest.message.content.text = beginning(&latest.message.content.text);
        }
        rooms.push(room);
    }
    let next = Place { durable: durable.place(), volatile: volatile.place() };
    let is_end = next == Place { durable: Some(0), volatile: Some(0) };
    RoomList { rooms, next: (!is_end).then(|| next.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Content, Message, Offset, Person};

    fn listed(name: &str, activity: u64, at: i64) -> ListedRoom {
        let message = Message {
            id: "e-1".to_owned(),
            key: "k".parse().expect("a key"),
            from: Person::new("ann", "Ann"),
            content: Content::new("hello"),
            at: Timestamp::from_millis(at),
        };
        let latest = Some(Stored { offset: Offset(1), message });
        ListedRoom { activity, room: RoomSummary { group: name.parse().expect("a name"), latest } }
    }

    fn names(list: &RoomList) -> Vec<&str> {
        list.rooms.iter().map(|room| room.group.as_str()).collect()
    }

    #[test]
    fn the_later_of_two_stores_comes_first_and_each_keeps_its_order() {
        let durable = Listed { rooms: vec![listed("a", 9, 50), listed("b", 7, 60), listed("c", 2, 10)], next: None };
        let volatile = Listed { rooms: vec![listed("x", 3, 55), listed("y", 1, 20)], next: None };
        let list = merged(durable, volatile, Place::default());
        assert_eq!(names(&list), ["x", "a", "b", "y", "c"]);
        assert_eq!(list.next, None);
    }

    #[test]
    fn the_next_page_goes_on_where_each_store_stood() {
        let many = (0..LISTED as u64).map(|n| listed(&format!("d{n}"), 500 - n, 1_000)).collect();
        let older = || Listed { rooms: vec![listed("x", 3, 5)], next: None };
        let list = merged(Listed { rooms: many, next: Some(401) }, older(), Place::default());
        assert_eq!((list.rooms.len(), list.next.as_deref()), (LISTED, Some("401-")), "of the other none was shown");
        let place = Place { durable: Some(401), volatile: None };
        let list = merged(Listed { rooms: vec![listed("e", 7, 9)], next: None }, older(), place);
        assert_eq!((names(&list), list.next.as_deref()), (vec!["e", "x"], None));
        // Where many were passed over, it goes on although nothing is shown.
        let list = merged(Listed { rooms: vec![], next: Some(40) }, Listed::default(), Place::default());
        assert_eq!((list.rooms.len(), list.next.as_deref()), (0, Some("40-0")));
    }

    #[test]
    fn a_place_reads_back_what_it_prints() {
        for text in ["-", "401-", "-7", "401-0"] {
            assert_eq!(text.parse::<Place>().map(|place| place.to_string()), Ok(text.to_owned()));
        }
        for bad in ["", "401", "a-b", "+1-", "1-2-3", "99999999999999999999-"] {
            assert!(bad.parse::<Place>().is_err(), "{bad:?}");
        }
    }
}
