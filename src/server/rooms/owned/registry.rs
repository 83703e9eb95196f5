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
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tracing::{debug, error, info, warn};

use super::record::{Brief, Standing};
use crate::{
    server::{
        accounts::Kind,
        counts::Counts,
        layers::Event,
        lease::{Follower, Leases},
        rooms::owned::rights::{Act, Seen, may},
        store::{Records, Row, StoreError},
        telemetry::Fault,
    },
    wire::{Group, Timestamp, Topic},
};

/// The type of what nodes tell each other of a change.
const KIND: &str = "confab.owned";
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
}

pub(super) struct Base {
    pub(super) records: Arc<dyn Records>,
    pub(super) leases: Arc<Leases>,
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
        let (briefs, standings, heard, level) = Default::default();
        let [made, done] = [MADE, DONE].map(|(most, within)| Counts::new(most, within));
        Self { base, briefs, standings, heard, level, made, done }
    }

    /// Reads which rooms there are; and stays level with the changes that other nodes make, if the store `is_shared` with some.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(records: Arc<dyn Records>, leases: &Arc<Leases>, is_shared: bool) -> Result<Arc<Self>, StoreError> {
        let registry = Arc::new(Self::new(Some(Base { records, leases: Arc::clone(leases) })));
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

    /// Whoever may not read a room any more loses it on this node.
    pub(super) async fn revise(&self, group: &Group) {
        let (Ok(Base { records, leases }), Some(brief)) = (self.base(), self.brief(group)) else { return };
        let topic = Topic::Room(group.clone());
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
                    leases.end_for(&topic, |_| false);
                    return;
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        let now = Timestamp::now();
        leases.end_for(&topic, |person| {
            let standing = people.get(person).copied().unwrap_or_default();
            // What the rule says of guests has not changed.
            may(&Seen { guests: true, brief: Some(brief), standing, kind: Kind::Account }, Act::Read, now).is_ok()
        });
    }

    /// Tells the other nodes of a change; with `narrows` there may be some who lose the room.
    pub(super) async fn announce(&self, group: &Group, brief: Brief, narrows: bool) {
        if let Ok(Base { leases, .. }) = self.base() {
            leases.announce(to_layer(group, brief, narrows)).await;
        }
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
        let Some((group, brief, narrows)) = from_layer(event) else {
            debug!(kind = event.kind(), "something arrived that says nothing of a room");
            return;
        };
        let is_news = self.hear_of(&group, brief);
        if is_news && narrows {
            tokio::spawn(async move { self.revise(&group).await });
        }
    }
}

fn to_layer(group: &Group, Brief { kind, posting, is_archived, is_deleted, changed }: Brief, narrows: bool) -> Event {
    Event::new(KIND)
        .with("room", group.as_str())
        .with("kind", kind.as_str())
        .with("posting", posting.as_str())
        .with("archived", is_archived)
        .with("deleted", is_deleted)
        .with("changed", changed)
        .with("narrows", narrows)
}

fn from_layer(event: &Event) -> Option<(Group, Brief, bool)> {
    let text = |key| event.get_str(key).filter(|_| event.kind() == KIND);
    let truth = |key| event.get(key)?.as_bool();
    let brief = Brief {
        kind: text("kind")?.parse().ok()?,
        posting: text("posting")?.parse().ok()?,
        is_archived: truth("archived")?,
        is_deleted: truth("deleted")?,
        changed: event.get("changed")?.as_i64()?,
    };
    Some((text("room")?.parse().ok()?, brief, truth("narrows")?))
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
            assert_eq!(from_layer(&to_layer(&group, brief, narrows)), Some((group.clone(), brief, narrows)));
        }
        assert_eq!(from_layer(&Event::new(KIND).with("room", "team")), None);
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
