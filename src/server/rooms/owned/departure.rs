//! What becomes of the rooms of somebody who goes for good: each that they own gets another owner, and they leave all of them.
//!
//! It goes room by room, each change for itself, so it can be begun again wherever it ended.

use super::{
    record::{Record, Role},
    records::{Note, of_room},
    registry::{Concerns, brief},
};
use crate::{
    server::{
        lease::{Taken, Why},
        rooms::Rooms,
        store::{Row, Statement, StoreError},
    },
    wire::{self, Group, Person},
};

/// What somebody is called in what is kept of them when they have gone.
pub const FORMER: &str = "former member";

const OWNED: &str = "SELECT r.room, r.kind, r.posting, r.archived, r.deleted, r.changed, r.title, r.topic
    FROM room_members AS m JOIN room_records AS r ON r.room = m.room
    WHERE m.person = $1 AND m.role = 'owner' AND r.deleted IS NULL ORDER BY r.room LIMIT 1000";
const MEMBER_OF: &str = "SELECT room, role FROM room_members WHERE person = $1 AND room > $2 ORDER BY room LIMIT 500";
const MEMBERSHIPS: &str = "SELECT room, role FROM room_members WHERE person = $1 ORDER BY room LIMIT 10000";
const MODERATOR: &str = "SELECT m.person, a.name FROM room_members AS m JOIN accounts AS a ON a.id = m.person
    WHERE m.room = $1 AND m.role = 'moderator' AND m.person <> $2 AND a.deactivated_at IS NULL ORDER BY m.joined, m.person LIMIT 1";
const ADMINISTRATOR: &str = "SELECT id, name FROM accounts WHERE administrator AND deactivated_at IS NULL AND id <> $1
    ORDER BY created_at, id LIMIT 1";
const REMOVE: &str = "DELETE FROM room_members WHERE room = $1 AND person = $2";
const INHERIT: &str = "INSERT INTO room_members (room, person, name, role, joined) SELECT room, $2, $3, 'owner', made
    FROM room_records WHERE room = $1 ON CONFLICT (room, person) DO UPDATE SET role = excluded.role, muted = NULL";
const NO_INVITATIONS: &str = "DELETE FROM room_invitations WHERE by_id = $1";
const NO_BANS: &str = "DELETE FROM room_bans WHERE person = $1";
const NAMELESS_BY: &str = "UPDATE room_log SET by_name = $2 WHERE by_id = $1 AND by_name <> $2";
const NAMELESS_SUBJECT: &str = "UPDATE room_log SET subject_name = $2 WHERE subject_id = $1 AND subject_name <> $2";

impl Rooms {
    /// The rooms that somebody owns, and who would own each after them: the moderator who has been in it longest, or an administrator.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn heirs(&self, person: &str) -> Result<Vec<(Record, Option<Person>)>, StoreError> {
        let rows = self.registry.base()?.records.query(OWNED, &[person.into()]).await?;
        let mut heirs = Vec::with_capacity(rows.len());
        for row in &rows {
            let record = Record { group: group(row)?, brief: brief(row, 1)?, title: row.get(6)?, topic: row.get(7)? };
            let heir = self.heir(&record.group, person).await?;
            heirs.push((record, heir));
        }
        Ok(heirs)
    }

    async fn heir(&self, group: &Group, person: &str) -> Result<Option<Person>, StoreError> {
        let records = &self.registry.base()?.records;
        let mut rows = records.query(MODERATOR, &[group.as_str().into(), person.into()]).await?;
        if rows.is_empty() {
            rows = records.query(ADMINISTRATOR, &[person.into()]).await?;
        }
        rows.first().map(|row| Ok(Person::new(row.get::<String>(0)?, row.get::<String>(1)?))).transpose()
    }

    /// The rooms that somebody owns in which a person is, and as what.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn memberships(&self, person: &str) -> Result<Vec<(Group, Role)>, StoreError> {
        let rows = self.registry.base()?.records.query(MEMBERSHIPS, &[person.into()]).await?;
        rows.iter().map(|row| Ok((group(row)?, row.get(1)?))).collect()
    }

    /// Somebody leaves all rooms that somebody owns; theirs get another owner. What the rooms know of them has no name any more.
    ///
    /// # Errors
    /// The store cannot be read or written now. What was done stays done.
    pub async fn part_with(&self, person: &str) -> Result<(), StoreError> {
        let records = &self.registry.base()?.records;
        let gone = Person::new(person, FORMER);
        self.profiles.forget(person);
        let mut after = String::new();
        loop {
            let rows = records.query(MEMBER_OF, &[person.into(), after.as_str().into()]).await?;
            let Some(last) = rows.last() else { break };
            after = last.get(0)?;
            for row in &rows {
                self.leave_for_good(&group(row)?, row.get(1)?, &gone).await?;
            }
        }
        let mut statements: Vec<_> = [NO_INVITATIONS, NO_BANS].map(|sql| Statement::new(sql, [person.into()])).into();
        statements.extend([NAMELESS_BY, NAMELESS_SUBJECT].map(|sql| Statement::new(sql, [person.into(), FORMER.into()])));
        records.write(statements).await.map(|_| ())
    }

    async fn leave_for_good(&self, group: &Group, role: Role, gone: &Person) -> Result<(), StoreError> {
        let heir = if role == Role::Owner { self.heir(group, &gone.id).await? } else { None };
        let mut what = vec![of_room(REMOVE, group, [gone.id.as_str().into()])];
        if let Some(heir) = &heir {
            what.push(of_room(INHERIT, group, [heir.id.as_str().into(), heir.name.as_str().into()]));
        }
        let act = if heir.is_some() { "handed over" } else { "left" };
        let note = Note { by: gone, act, to: heir.as_ref(), detail: String::new() };
        if let Some(brief) = self.registry.commit(group, what, &note).await? {
            let people = [gone.id.clone()].into_iter().chain(heir.as_ref().map(|heir| heir.id.clone()));
            self.tell(group, brief, false, &Concerns::of(people)).await;
        }
        let topic = wire::Topic::Room(group.clone());
        self.registry.base()?.leases.take_back(&gone.id, Taken::Topic(topic, Why::Unsaid)).await;
        Ok(())
    }
}

fn group(row: &Row) -> Result<Group, StoreError> {
    row.get::<String>(0)?.parse().map_err(|_| StoreError::damage("a room has a name that none can have"))
}
