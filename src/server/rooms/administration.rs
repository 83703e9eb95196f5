//! Rooms as those who administer the server see them: all of them by name, what is in them in figures, and who owns them. Of direct rooms
//! their number alone.

use std::collections::BTreeSet;

use super::{
    Rooms,
    owned::{Act, Denied, NewRoom, NotDone, Role, RoomKind, Seen, Title, may},
};
use crate::{
    server::{
        accounts::{Asker, Kind},
        store::{Row, StoreError},
    },
    wire::{Group, Person, Timestamp},
};

/// How many rooms of the log are looked at for one page of the list, so many at a time.
const LOOKED_AT: usize = 20;
const AT_A_TIME: usize = 1_000;
/// Of so many messages it is counted how long they are.
const COUNTED: i64 = 100_000;

const OVERVIEW: &str = "SELECT r.title, r.made, m.person, COALESCE(a.name, m.name),
        (SELECT count(*) FROM room_members AS c WHERE c.room = r.room)
    FROM room_records AS r LEFT JOIN room_members AS m ON m.room = r.room AND m.role = 'owner'
    LEFT JOIN accounts AS a ON a.id = m.person WHERE r.room = $1";
const SIZE: &str = r#"SELECT count(*), COALESCE(CAST(sum(bytes) AS bigint), 0) FROM (
        SELECT octet_length(m.text) AS bytes FROM messages AS m JOIN rooms AS r ON r.id = m.room_id WHERE r.name = $1
        ORDER BY m."offset" DESC LIMIT $2
    ) AS newest"#;
const INVITATIONS: &str = "SELECT i.digest, i.room, i.role, i.expires, i.uses, i.by_name FROM room_invitations AS i
    JOIN room_records AS r ON r.room = i.room
    WHERE r.deleted IS NULL AND (i.uses IS NULL OR i.uses > 0) AND (i.expires IS NULL OR i.expires > $1)
    ORDER BY i.made DESC, i.digest LIMIT $2";

/// A room in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    pub group: Group,
    /// None of one that is nobody's.
    pub owned: Option<Owned>,
}

/// What there is to know of a room that somebody owns, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub kind: RoomKind,
    pub title: String,
    pub made: Timestamp,
    pub is_archived: bool,
    pub owner: Option<Person>,
    pub members: u64,
}

/// How much is in a room that the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub messages: u64,
    pub bytes: u64,
    /// There are more messages than were looked at.
    pub is_cut: bool,
}

/// An invitation to a room that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingInvitation {
    pub digest: String,
    pub group: Group,
    pub role: Role,
    pub expires: Option<Timestamp>,
    pub uses: Option<i64>,
    pub by_name: String,
}

impl Rooms {
    /// The rooms with this in their names, those after a place, in the order of their names; direct ones left out.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn overview(&self, find: &str, after: Option<&Group>, most: usize) -> Result<Vec<Overview>, StoreError> {
        let find = find.to_ascii_lowercase();
        let is_found = |group: &Group| group.as_str().to_ascii_lowercase().contains(&find);
        let mut names: BTreeSet<Group> = self.registry.listed(after).into_iter().filter(is_found).collect();
        for store in [&self.durable, &self.volatile] {
            let (mut from, mut found) = (after.cloned(), 0);
            for _ in 0..LOOKED_AT {
                let part = store.store.groups(from.as_ref(), AT_A_TIME).await?;
                let is_last = part.len() < AT_A_TIME;
                from = part.last().map(|extent| extent.group.clone()).or(from);
                let groups = part.into_iter().map(|extent| extent.group);
                let there: Vec<_> = groups.filter(|group| is_found(group) && self.registry.brief(group).is_none()).collect();
                found += there.len();
                names.extend(there);
                if is_last || found >= most {
                    break;
                }
            }
        }
        let mut rooms = Vec::new();
        for group in names.into_iter().take(most) {
            let owned = self.about_owned(&group).await?;
            rooms.push(Overview { group, owned });
        }
        Ok(rooms)
    }

    /// A room in the list of all; none where there is none, or one of which nothing is shown.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn overview_of(&self, group: &Group) -> Result<Option<Overview>, StoreError> {
        let is_there = match self.registry.brief(group) {
            Some(brief) => !brief.is_deleted && brief.kind != RoomKind::Direct,
            None => super::rules::rule(&self.rules, group).is_some(),
        };
        if !is_there {
            return Ok(None);
        }
        Ok(Some(Overview { group: group.clone(), owned: self.about_owned(group).await? }))
    }

    async fn about_owned(&self, group: &Group) -> Result<Option<Owned>, StoreError> {
        let Some(brief) = self.registry.brief(group) else { return Ok(None) };
        let rows = self.registry.records()?.query(OVERVIEW, &[group.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let owner: Option<String> = row.get(2)?;
        let owner = owner.map(|id| Ok::<_, StoreError>(Person::new(id, row.get::<String>(3)?))).transpose()?;
        Ok(Some(Owned {
            kind: brief.kind,
            title: row.get(0)?,
            made: Timestamp::from_millis(row.get(1)?),
            is_archived: brief.is_archived,
            owner,
            members: row.get::<i64>(4)?.unsigned_abs(),
        }))
    }

    /// How many rooms somebody owns, and how many direct ones there are.
    pub fn counts(&self) -> (usize, usize) {
        self.registry.counts()
    }

    /// How much is in a room, of its newest messages.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn size(&self, group: &Group) -> Result<Size, StoreError> {
        let rows = self.registry.records()?.query(SIZE, &[group.as_str().into(), COUNTED.into()]).await?;
        let number = |column| rows.first().map_or(Ok(0), |row: &Row| row.get::<i64>(column));
        let (messages, bytes) = (number(0)?, number(1)?);
        Ok(Size { messages: messages.unsigned_abs(), bytes: bytes.unsigned_abs(), is_cut: messages == COUNTED })
    }

    /// Makes somebody the owner of a room that has none.
    ///
    /// # Errors
    /// Why not.
    pub async fn give_owner(&self, asker: Asker<'_>, group: &Group, owner: &Person) -> Result<(), NotDone> {
        if asker.kind != Kind::Administrator {
            return Err(Denied::NotThere.into());
        }
        let seen: Seen = self.seen(asker, group).await?;
        may(&seen, Act::Own, Timestamp::now())?;
        if seen.brief.is_some() {
            return self.give_owner_of_owned(asker, group, owner).await;
        }
        let title: Title = group.as_str().parse().map_err(|_| NotDone::NoRule)?;
        let members = vec![(owner, Role::Owner)];
        let room = NewRoom {
            group,
            kind: RoomKind::Open,
            title: title.as_str(),
            topic: "",
            people: None,
            members,
            by: Some(asker.person),
        };
        self.begin(asker, room).await
    }

    /// The invitations to all rooms that can be used, the last first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn standing_invitations(&self, most: i64) -> Result<Vec<StandingInvitation>, StoreError> {
        let values = [Timestamp::now().as_millis().into(), most.into()];
        let rows = self.registry.records()?.query(INVITATIONS, &values).await?;
        let standing = |row: &Row| {
            let group: String = row.get(1)?;
            Ok(StandingInvitation {
                digest: row.get(0)?,
                group: group.parse().map_err(|_| StoreError::damage("a room has a name that none can have"))?,
                role: row.get(2)?,
                expires: row.get::<Option<i64>>(3)?.map(Timestamp::from_millis),
                uses: row.get(4)?,
                by_name: row.get(5)?,
            })
        };
        rows.iter().map(standing).collect()
    }
}
