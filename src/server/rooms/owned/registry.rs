//! What every node knows of the rooms that somebody owns, and how it stays level with the others.
//!
//! ```text
//!   a change is committed ──► this node: the brief of the room, and nothing any more of how people stand in it
//!                                │ then: who may not read it any more loses it
//!                                └──► Leases::announce ──► the same on every other node
//!   Records, once a second where the store is shared ──► what no event has told
//! ```
//!
//! A [`Brief`] is held of every such room, some tens of bytes each: so of a room that is nobody's, nothing is asked. How somebody stands in
//! one is read when it is asked for, and held until the room changes; of these a bounded number.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{RwLockReadGuard, watch};
use tracing::{debug, error, info, warn};

use super::record::{Brief, Standing};
use crate::{
    server::{
        accounts::Kind,
        counts::Counts,
        layers::{Event, Value},
        lease::{Follower, Leases, Why},
        manage::Switches,
        rooms::owned::rights::{Act, Seen, may},
        store::{Records, Row, StoreError},
        telemetry::Fault,
        visitors::Subnet,
    },
    wire::{Group, Timestamp, Topic},
};

/// The type of what nodes tell each other of a change.
const KIND: &str = "confab.owned";
/// The same of what was said in a closed room.
const SAID: &str = "confab.said";
/// So much later at most members hear of what was said,
const TOLD_AFTER: Duration = Duration::from_millis(250);
/// and of so many rooms it is known who they are.
const MOST_KNOWN: usize = 1_000;
/// How often a store that others write to is asked for changes.
const EVERY: Duration = Duration::from_secs(1);
/// Of so many people in rooms it is known how they stand, at most twice.
const STANDINGS: usize = 20_000;
/// So many rooms, direct ones too, somebody makes in such a time,
pub const MADE: (u32, Duration) = (30, Duration::from_hours(1));
/// and so often they change some.
pub const DONE: (u32, Duration) = (600, Duration::from_mins(3));
/// Of so many rooms is looked at for a list how somebody stands there: those where they are banned, and those in which they are.
const LISTED: i64 = 2_000;
/// So often, and with such a pause, it is tried to read who keeps a room that was narrowed; after that nobody does.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(150);

/// So many people at most are told one by one of a change of a room, each on all nodes; further members see it when they look again.
const MOST_TOLD: i64 = 1_000;

const MEMBER_IDS: &str = "SELECT person FROM room_members WHERE room = $1 LIMIT $2";
const CHANGED: &str = "SELECT room, kind, posting, archived, deleted, changed FROM room_records WHERE changed > $1
    ORDER BY changed LIMIT 10000";
const STANDING: &str = "SELECT m.role, m.muted, b.at FROM (SELECT 1 AS one) AS one
    LEFT JOIN room_members AS m ON m.room = $1 AND m.person = $2
    LEFT JOIN room_bans AS b ON b.room = $1 AND b.person = $2";
const STANDINGS_OF_ROOM: &str = "SELECT m.person, m.role, m.muted, b.at FROM room_members AS m
        LEFT JOIN room_bans AS b ON b.room = m.room AND b.person = m.person WHERE m.room = $1
    UNION ALL SELECT b.person, NULL, NULL, b.at FROM room_bans AS b WHERE b.room = $1
        AND NOT EXISTS (SELECT 1 FROM room_members AS m WHERE m.room = b.room AND m.person = b.person)";

/// Whatever others put them in comes last.
const STANDINGS_OF_PERSON: &str = "SELECT * FROM (SELECT m.room, m.role, m.muted, b.at FROM room_members AS m
        JOIN room_records AS r ON r.room = m.room LEFT JOIN room_bans AS b ON b.room = m.room AND b.person = m.person
        WHERE m.person = $1 AND r.deleted IS NULL
        ORDER BY CASE r.kind WHEN 'direct' THEN 1 ELSE 0 END, m.joined DESC, m.room LIMIT $2) AS own
    UNION ALL SELECT * FROM (SELECT b.room, CAST(NULL AS text), CAST(NULL AS bigint), b.at FROM room_bans AS b WHERE b.person = $1
        AND NOT EXISTS (SELECT 1 FROM room_members AS m WHERE m.room = b.room AND m.person = b.person)
        ORDER BY b.at DESC, b.room LIMIT $2) AS kept_out";

/// See the module.
pub struct Registry {
    /// None where there is no database: then no room is owned.
    base: Option<Base>,
    briefs: RwLock<HashMap<Group, Brief>>,
    standings: Mutex<Standings>,
    /// Counts the changes that were heard of: what was read meanwhile may be out of date.
    heard: AtomicU64,
    /// All changes up to this number are known.
    level: AtomicI64,
    /// What people have made of late, and what they have done with rooms.
    pub(super) made: Counts<String>,
    pub(super) done: Counts<String>,
    /// Held for reading by whoever does what was allowed.
    acting: tokio::sync::RwLock<()>,
    /// The closed rooms in which something was said, of which their members are still to hear.
    said: Mutex<HashSet<Group>>,
    /// The members of some of them, as they were at the change of this number.
    members: Mutex<HashMap<Group, KnownMembers>>,
}

/// The number of a change, and who was in the room then.
type KnownMembers = (i64, Arc<[String]>);

/// Whom a change of a room concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Concerns {
    /// Whoever has the room open: what they may do there may be another thing.
    pub(super) all: bool,
    /// These people: the same, and their lists of rooms.
    pub(super) people: Vec<String>,
    /// Their lists alone: they lose the room, which they are told otherwise.
    pub(super) is_loss: bool,
}

impl Concerns {
    pub(super) fn of(people: impl IntoIterator<Item = String>) -> Self {
        Self { people: people.into_iter().collect(), ..Self::default() }
    }
}

pub(super) struct Base {
    pub(super) records: Arc<dyn Records>,
    pub(super) leases: Arc<Leases>,
    switches: watch::Receiver<Arc<Switches>>,
}

/// How people stand in rooms. When there are many, those that nobody has asked for since the last time go.
#[derive(Default)]
struct Standings {
    newer: HashMap<Group, HashMap<String, Standing>>,
    older: HashMap<Group, HashMap<String, Standing>>,
    count: usize,
}

impl Standings {
    fn get(&mut self, group: &Group, person: &str) -> Option<Standing> {
        if let Some(standing) = self.newer.get(group).and_then(|people| people.get(person)) {
            return Some(*standing);
        }
        let standing = *self.older.get(group)?.get(person)?;
        self.put(group, person, standing);
        Some(standing)
    }

    fn put(&mut self, group: &Group, person: &str, standing: Standing) {
        if self.count >= STANDINGS {
            self.older = std::mem::take(&mut self.newer);
            self.count = 0;
        }
        let before = self.newer.entry(group.clone()).or_default().insert(person.to_owned(), standing);
        self.count += usize::from(before.is_none());
    }

    fn forget(&mut self, group: &Group) {
        self.count -= self.newer.remove(group).map_or(0, |people| people.len());
        self.older.remove(group);
    }
}

impl Registry {
    /// Of a server that has no tables.
    pub fn none() -> Arc<Self> {
        Arc::new(Self::new(None))
    }

    fn new(base: Option<Base>) -> Self {
        let [made, done] = [MADE, DONE].map(|(most, within)| Counts::new(most, within));
        let (briefs, standings, heard, level, acting, said, members) = Default::default();
        Self { base, briefs, standings, heard, level, made, done, acting, said, members }
    }

    /// Reads which rooms there are; and stays level with the changes that other nodes make, if the store `is_shared` with some.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(
        records: Arc<dyn Records>,
        leases: &Arc<Leases>,
        switches: watch::Receiver<Arc<Switches>>,
        is_shared: bool,
    ) -> Result<Arc<Self>, StoreError> {
        let registry = Arc::new(Self::new(Some(Base { records, leases: Arc::clone(leases), switches })));
        registry.catch_up(false).await?;
        let follower: Weak<dyn Follower> = {
            let weak: Weak<_> = Arc::downgrade(&registry);
            weak
        };
        leases.follow(follower);
        if is_shared {
            tokio::spawn(stay_level(Arc::downgrade(&registry)));
        }
        Ok(registry)
    }

    /// The tables.
    ///
    /// # Errors
    /// There are none.
    pub(in crate::server::rooms) fn records(&self) -> Result<&Arc<dyn Records>, StoreError> {
        self.base().map(|base| &base.records)
    }

    pub(super) fn base(&self) -> Result<&Base, StoreError> {
        self.base.as_ref().ok_or_else(|| StoreError::Unavailable("there are no tables".into()))
    }

    /// Whether nothing can be said or done on the whole server.
    pub(in crate::server::rooms) fn is_read_only(&self) -> bool {
        self.base.as_ref().is_some_and(|base| base.switches.borrow().read_only)
    }

    /// Whether guests at an address are kept out of a room.
    pub(in crate::server::rooms) fn keeps_out(&self, address: Option<Subnet>, group: &Group) -> bool {
        let Some(Base { switches, .. }) = &self.base else { return false };
        switches.borrow().bans.find(address, Some(group), Timestamp::now()).is_some()
    }

    /// The rooms from which guests at an address are kept out.
    pub(in crate::server::rooms) fn kept_out_of(&self, address: Option<Subnet>) -> Vec<Group> {
        let Some(Base { switches, .. }) = &self.base else { return Vec::new() };
        switches.borrow().bans.rooms(address, Timestamp::now()).cloned().collect()
    }

    /// The rooms that somebody owns or did, direct and deleted ones left out, those after one in the order of their names.
    pub(in crate::server::rooms) fn listed(&self, after: Option<&Group>) -> Vec<Group> {
        let is_listed = |(group, brief): &(&Group, &Brief)| {
            !brief.is_deleted && brief.kind != super::RoomKind::Direct && after.is_none_or(|after| *group > after)
        };
        self.briefs.read().iter().filter(is_listed).map(|(group, _)| group.clone()).collect()
    }

    /// How many rooms somebody owns, and how many direct ones there are.
    pub(in crate::server::rooms) fn counts(&self) -> (usize, usize) {
        let briefs = self.briefs.read();
        let living = || briefs.values().filter(|brief| !brief.is_deleted);
        let direct = living().filter(|brief| brief.kind == super::RoomKind::Direct).count();
        (living().count() - direct, direct)
    }

    /// What a room is; none of one that is nobody's.
    pub fn brief(&self, group: &Group) -> Option<Brief> {
        self.briefs.read().get(group).copied()
    }

    /// Whether everybody may know of a room who may know of others with the same rule.
    pub fn is_open(&self, group: &Group) -> bool {
        self.brief(group).is_none_or(|brief| brief.kind == super::RoomKind::Open && !brief.is_deleted)
    }

    /// Whether all rooms are open.
    pub fn are_all_open(&self) -> bool {
        self.briefs.read().is_empty()
    }

    /// Before it is asked whether somebody may do something in a room; to be held until that is done. None of a room that is nobody's.
    pub(in crate::server::rooms) async fn acting(&self, group: &Group) -> Option<RwLockReadGuard<'_, ()>> {
        match self.brief(group) {
            Some(_) => Some(self.acting.read().await),
            None => None,
        }
    }

    /// Waits until all is done on this node that was allowed before.
    pub(super) async fn settled(&self) {
        drop(self.acting.write().await);
    }

    /// How somebody stands in a room that somebody owns.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn standing(&self, group: &Group, person: &str) -> Result<Standing, StoreError> {
        if let Some(standing) = self.standings.lock().get(group, person) {
            return Ok(standing);
        }
        let heard = self.heard.load(SeqCst);
        let standing = self.standing_now(group, person).await?;
        let mut standings = self.standings.lock();
        // Something may have changed since it was read.
        if self.heard.load(SeqCst) == heard {
            standings.put(group, person, standing);
        }
        Ok(standing)
    }

    /// The same as the store has it, also where this node does not know of the change yet.
    pub(super) async fn standing_now(&self, group: &Group, person: &str) -> Result<Standing, StoreError> {
        let rows = self.base()?.records.query(STANDING, &[group.as_str().into(), person.into()]).await?;
        rows.first().map_or(Ok(Standing::default()), |row| standing(row, 0))
    }

    /// How somebody stands in all rooms in which that is said.
    pub(in crate::server::rooms) async fn standings_of(&self, person: &str) -> Result<HashMap<Group, Standing>, StoreError> {
        let Some(Base { records, .. }) = &self.base else { return Ok(HashMap::new()) };
        let rows = records.query(STANDINGS_OF_PERSON, &[person.into(), LISTED.into()]).await?;
        let named = |row: &Row| {
            let group: String = row.get(0)?;
            let group = group.parse().map_err(|_| StoreError::damage("a room has a name that none can have"))?;
            Ok((group, standing(row, 1)?))
        };
        rows.iter().map(named).collect()
    }

    /// This node knows of a change from now on. Says whether it is news.
    pub(super) fn hear_of(&self, group: &Group, brief: Brief) -> bool {
        let mut briefs = self.briefs.write();
        let is_news = briefs.get(group).is_none_or(|known| known.changed < brief.changed);
        if is_news {
            briefs.insert(group.clone(), brief);
            let mut standings = self.standings.lock();
            self.heard.fetch_add(1, SeqCst);
            standings.forget(group);
        }
        is_news
    }

    /// Those whom a change concerns hear of it on this node.
    pub(super) fn stir(&self, group: &Group, concerns: &Concerns) {
        let Ok(Base { leases, .. }) = self.base() else { return };
        let topic = Topic::Room(group.clone());
        if concerns.all {
            leases.stir(None, &topic);
        }
        for person in &concerns.people {
            if !concerns.all && !concerns.is_loss {
                leases.stir(Some(person), &topic);
            }
            leases.stir(Some(person), &Topic::Me);
        }
    }

    /// Whoever may not read a room any more loses it on this node.
    pub(super) async fn revise(&self, group: &Group) {
        let (Ok(Base { records, leases, .. }), Some(brief)) = (self.base(), self.brief(group)) else { return };
        let topic = Topic::Room(group.clone());
        let why = if brief.is_deleted { Why::Deleted } else { Why::Closed };
        let mut people = HashMap::new();
        for tried in 1.. {
            if brief.is_deleted {
                break;
            }
            match records.query(STANDINGS_OF_ROOM, &[group.as_str().into()]).await.and_then(|rows| all_standings(&rows)) {
                Ok(standings) => {
                    people = standings;
                    break;
                }
                Err(cause) if tried == TRIES => {
                    warn!(%group, %cause, "who may still read a room cannot be found out, so it is taken back from everybody");
                    leases.end_for(&topic, Why::Unsaid, |_| false);
                    return;
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        let now = Timestamp::now();
        leases.end_for(&topic, why, |person| {
            let standing = people.get(person).copied().unwrap_or_default();
            // What the rule says of guests has not changed.
            may(&Seen { read_only: false, guests: true, brief: Some(brief), standing, kind: Kind::Account }, Act::Read, now)
                .is_ok()
        });
    }

    /// Tells the other nodes of a change, and whom it concerns; with `narrows` there may be some who lose the room.
    pub(super) async fn announce(&self, group: &Group, brief: Brief, narrows: bool, concerns: &Concerns) {
        if let Ok(Base { leases, .. }) = self.base() {
            leases.announce(to_layer(group, brief, narrows, concerns)).await;
        }
    }

    /// Something was said in a room. Of one that stands in nobody's list but its members' these hear on all nodes, a little later, all at once:
    /// their lists are others.
    pub(in crate::server::rooms) fn said(self: &Arc<Self>, group: &Group) {
        if self.brief(group).is_none() || self.is_open(group) {
            return;
        }
        let is_first = {
            let mut said = self.said.lock();
            said.insert(group.clone()) && said.len() == 1
        };
        if is_first {
            let registry = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(TOLD_AFTER).await;
                let said = std::mem::take(&mut *registry.said.lock());
                for group in said {
                    registry.stir_lists(&group).await;
                    if let Ok(Base { leases, .. }) = registry.base() {
                        leases.mention(Event::new(SAID).with("room", group.as_str())).await;
                    }
                }
            });
        }
    }

    /// The members of a room hear on this node that their lists are others.
    async fn stir_lists(&self, group: &Group) {
        let (Ok(Base { leases, .. }), Some(Brief { changed, .. })) = (self.base(), self.brief(group)) else { return };
        let known = self.members.lock().get(group).filter(|(at, _)| *at == changed).map(|(_, members)| Arc::clone(members));
        let members = match known {
            Some(members) => members,
            None => match self.member_ids(group).await {
                Ok(members) => {
                    let (members, mut known) = (Arc::<[String]>::from(members), self.members.lock());
                    if known.len() >= MOST_KNOWN {
                        // They are asked for again.
                        known.clear();
                    }
                    known.insert(group.clone(), (changed, Arc::clone(&members)));
                    members
                }
                // They hear of the next.
                Err(cause) => return debug!(%group, %cause, "who is in a room could not be read"),
            },
        };
        for person in &*members {
            leases.stir(Some(person), &Topic::Me);
        }
    }

    /// The members of a room, as many as are told one by one of what becomes of it.
    pub(super) async fn member_ids(&self, group: &Group) -> Result<Vec<String>, StoreError> {
        let rows = self.base()?.records.query(MEMBER_IDS, &[group.as_str().into(), MOST_TOLD.into()]).await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Reads what has changed since the last time, and takes back what has to be where anything can be open.
    async fn catch_up(&self, is_open: bool) -> Result<(), StoreError> {
        loop {
            let level = self.level.load(SeqCst);
            let rows = self.base()?.records.query(CHANGED, &[level.into()]).await?;
            for row in &rows {
                let (group, brief) = changed(row)?;
                let is_news = self.hear_of(&group, brief);
                self.level.store(brief.changed, SeqCst);
                if is_news && is_open {
                    self.revise(&group).await;
                    let people = if brief.is_deleted { Vec::new() } else { self.member_ids(&group).await? };
                    self.stir(&group, &Concerns { all: true, people, is_loss: false });
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }
}

async fn stay_level(registry: Weak<Registry>) {
    let away = Fault::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(registry) = registry.upgrade() else { return };
        let level = registry.catch_up(true).await;
        if away.is_news(level.is_err()) {
            match &level {
                Ok(()) => info!("the store can be asked again who may enter which rooms"),
                Err(cause) => error!(%cause, "the store cannot be asked who may enter which rooms"),
            }
        }
    }
}

impl Follower for Registry {
    fn hear(self: Arc<Self>, event: &Event) {
        if event.kind() == SAID {
            if let Some(group) = event.get_str("room").and_then(|room| room.parse().ok()) {
                tokio::spawn(async move { self.stir_lists(&group).await });
            }
            return;
        }
        if event.kind() != KIND {
            return;
        }
        let Some((group, brief, narrows, concerns)) = from_layer(event) else {
            debug!(kind = event.kind(), "something arrived that says nothing of a room");
            return;
        };
        let is_news = self.hear_of(&group, brief);
        if is_news && narrows {
            tokio::spawn(async move {
                self.revise(&group).await;
                self.stir(&group, &concerns);
            });
        } else if is_news {
            self.stir(&group, &concerns);
        }
    }
}

fn to_layer(group: &Group, brief: Brief, narrows: bool, Concerns { all, people, is_loss }: &Concerns) -> Event {
    let Brief { kind, posting, is_archived, is_deleted, changed } = brief;
    let people = people.iter().map(|person| Value::from(person.as_str())).collect();
    Event::new(KIND)
        .with("room", group.as_str())
        .with("kind", kind.as_str())
        .with("posting", posting.as_str())
        .with("archived", is_archived)
        .with("deleted", is_deleted)
        .with("changed", changed)
        .with("narrows", narrows)
        .with("all", *all)
        .with("people", Value::List(people))
        .with("loss", *is_loss)
}

fn from_layer(event: &Event) -> Option<(Group, Brief, bool, Concerns)> {
    let text = |key| event.get_str(key).filter(|_| event.kind() == KIND);
    let truth = |key| event.get(key)?.as_bool();
    let brief = Brief {
        kind: text("kind")?.parse().ok()?,
        posting: text("posting")?.parse().ok()?,
        is_archived: truth("archived")?,
        is_deleted: truth("deleted")?,
        changed: event.get("changed")?.as_i64()?,
    };
    // A node of an earlier version does not say whom it concerns.
    let people = match event.get("people") {
        Some(Value::List(people)) => {
            people.iter().filter_map(Value::as_str).take(MOST_TOLD as usize).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let concerns = Concerns { all: truth("all").unwrap_or(true), people, is_loss: truth("loss").unwrap_or_default() };
    Some((text("room")?.parse().ok()?, brief, truth("narrows")?, concerns))
}

/// A room and what it is, of a row that begins with its name.
fn changed(row: &Row) -> Result<(Group, Brief), StoreError> {
    let group: String = row.get(0)?;
    let group = group.parse().map_err(|_| StoreError::damage("a room has a name that none can have"))?;
    Ok((group, brief(row, 1)?))
}

/// Its kind, who may post, when it was archived and deleted, and the number of its last change.
pub(super) fn brief(row: &Row, at: usize) -> Result<Brief, StoreError> {
    let is_set = |column| Ok::<_, StoreError>(row.get::<Option<i64>>(column)?.is_some());
    Ok(Brief {
        kind: row.get(at)?,
        posting: row.get(at + 1)?,
        is_archived: is_set(at + 2)?,
        is_deleted: is_set(at + 3)?,
        changed: row.get(at + 4)?,
    })
}

/// A role, until when they are muted, and since when they are banned.
fn standing(row: &Row, at: usize) -> Result<Standing, StoreError> {
    let muted: Option<i64> = row.get(at + 1)?;
    let banned: Option<i64> = row.get(at + 2)?;
    Ok(Standing { role: row.get(at)?, muted: muted.map(Timestamp::from_millis), is_banned: banned.is_some() })
}

fn all_standings(rows: &[Row]) -> Result<HashMap<String, Standing>, StoreError> {
    rows.iter().map(|row| Ok((row.get(0)?, standing(row, 1)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::record::{Posting, RoomKind},
        *,
    };

    #[test]
    fn what_goes_by_the_layer_is_read_as_it_was() {
        let group: Group = "team".parse().unwrap();
        for (kind, is_deleted, narrows) in [(RoomKind::Closed, true, false), (RoomKind::Open, false, true)] {
            let brief = Brief { kind, posting: Posting::Members, is_archived: !is_deleted, is_deleted, changed: 7 };
            let concerns = Concerns { all: narrows, people: vec!["a1".to_owned()], is_loss: !narrows };
            let event = to_layer(&group, brief, narrows, &concerns);
            assert_eq!(from_layer(&event), Some((group.clone(), brief, narrows, concerns)));
        }
        assert_eq!(from_layer(&Event::new(KIND).with("room", "team")), None);
    }

    #[tokio::test]
    async fn what_was_allowed_before_is_done_before_a_change_is_through() {
        let registry = Registry::none();
        let group: Group = "team".parse().unwrap();
        assert!(registry.acting(&group).await.is_none(), "of nobody's rooms nothing is held");
        let brief =
            Brief { kind: RoomKind::Open, posting: Posting::Members, is_archived: false, is_deleted: false, changed: 1 };
        registry.hear_of(&group, brief);
        let acts = [registry.acting(&group).await, registry.acting(&group).await];
        let mut settled = Box::pin(registry.settled());
        for act in acts {
            assert!(futures_util::poll!(settled.as_mut()).is_pending());
            drop(act);
        }
        settled.await;
    }

    #[test]
    fn of_how_people_stand_the_last_are_held() {
        let mut standings = Standings::default();
        let group: Group = "team".parse().unwrap();
        for n in 0..3 * STANDINGS {
            standings.put(&group, &n.to_string(), Standing::default());
            assert!(standings.get(&group, "0").is_some(), "somebody asks for it all the time");
            let held = |half: &HashMap<_, HashMap<_, _>>| half.values().map(HashMap::len).sum::<usize>();
            assert!(held(&standings.newer) + held(&standings.older) <= 2 * STANDINGS + 2);
        }
        standings.forget(&group);
        assert_eq!((standings.get(&group, "0"), standings.count), (None, 0));
    }
}
