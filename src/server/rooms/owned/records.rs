//! The tables of rooms that somebody owns.
//!
//! Each write begins with the number of the change, whose row is held until the commit, on every node: so writes of rooms come one after the
//! other, and each sees what the one before it has done. What was written by this very change is found by that number.

use std::collections::HashMap;

use super::{
    invitation::{Code, Invitation, Invited, Terms},
    record::{Brief, Member, Posting, Record, Role, RoomKind},
    registry::{Registry, brief},
};
use crate::{
    server::{
        audit::{self, By, Deed},
        store::{Row, Statement, StoreError, Value},
    },
    wire::{Group, Person, Timestamp},
};

/// How many rooms somebody may own,
pub const MOST_OWNED: i64 = 200;
/// with those that they have deleted, whose names are no other room's any more,
pub const MOST_USED: i64 = 1_000;
/// how many direct rooms somebody may make,
pub const MOST_DIRECT: i64 = 1_000;
/// how many members a room has at most,
pub const MOST_MEMBERS: i64 = 10_000;
/// how many may be kept out of it,
pub const MOST_BANNED: i64 = 10_000;
/// and how many invitations it has that can be used.
pub const MOST_INVITATIONS: i64 = 100;
/// So many of its members, and so much of its log, are shown.
pub const SHOWN: i64 = 500;
/// What a room's log holds.
const LOGGED: i64 = 1_000;

const BEGIN: &str = "UPDATE room_changes SET changes = changes + 1";
const MAKE: &str = "INSERT INTO room_records (room, kind, title, topic, posting, people, made, changed)
    SELECT $1, $2, $3, $4, $5, $6, CAST($7 AS bigint), (SELECT changes FROM room_changes)
    WHERE (SELECT count(*) FROM room_members AS m JOIN room_records AS r ON r.room = m.room
        WHERE m.person = $8 AND m.role = 'owner' AND r.deleted IS NULL) < $9
    AND (SELECT count(*) FROM room_members AS m WHERE m.person = $8 AND m.role = 'owner') < $10
    ON CONFLICT DO NOTHING";
/// Nobody owns a direct room. Who has made one stands in its log.
const MAKE_DIRECT: &str = "INSERT INTO room_records (room, kind, title, topic, posting, people, made, changed)
    SELECT $1, $2, $3, $4, $5, $6, CAST($7 AS bigint), (SELECT changes FROM room_changes)
    WHERE (SELECT count(*) FROM room_members AS m JOIN room_records AS r ON r.room = m.room
        JOIN room_log AS l ON l.room = r.room AND l.act = 'made' AND l.by_id = m.person
        WHERE m.person = $8 AND r.kind = 'direct') < $9
    ON CONFLICT DO NOTHING";
const FIRST_MEMBER: &str =
    "INSERT INTO room_members (room, person, name, role, joined) SELECT room, $2, $3, $4, made FROM room_records
    WHERE room = $1 AND changed = (SELECT changes FROM room_changes)";
const MADE: &str = "UPDATE room_records SET topic = topic WHERE room = $1 AND changed = (SELECT changes FROM room_changes)
    RETURNING kind, posting, archived, deleted, changed";
const TOUCH: &str = "UPDATE room_records SET changed = (SELECT changes FROM room_changes) WHERE room = $1
    RETURNING kind, posting, archived, deleted, changed";
const NOTE: &str = "INSERT INTO room_log (room, number, at, by_id, by_name, act, subject_id, subject_name, detail)
    SELECT room, changed, CAST($2 AS bigint), $3, $4, $5, $6, $7, $8 FROM room_records
    WHERE room = $1 AND changed = (SELECT changes FROM room_changes)";
/// What of it stands in the log of the server, too.
const RECORD_DEED: &str = "INSERT INTO audit_log (at, id, by_id, by_name, act, subject_id, subject_name, detail)
    SELECT CAST($1 AS bigint), $2, $3, $4, $5, $6, $7, $8 FROM room_records
    WHERE room = $6 AND kind <> 'direct' AND changed = (SELECT changes FROM room_changes)";
const TRIM: &str = "DELETE FROM room_log WHERE room = $1
    AND number <= (SELECT number FROM room_log WHERE room = $1 ORDER BY number DESC LIMIT 1 OFFSET $2)";

const USE: &str = "UPDATE room_invitations SET uses = uses - 1, last_use = (SELECT changes FROM room_changes)
    WHERE digest = $1 AND (uses IS NULL OR uses > 0) AND (expires IS NULL OR expires > $2)
    AND NOT EXISTS (SELECT 1 FROM room_members AS m WHERE m.room = room_invitations.room AND m.person = $3)
    AND NOT EXISTS (SELECT 1 FROM room_bans AS b WHERE b.room = room_invitations.room AND b.person = $3)
    AND EXISTS (SELECT 1 FROM room_records AS r WHERE r.room = room_invitations.room AND r.deleted IS NULL)
    AND (SELECT count(*) FROM room_members AS m WHERE m.room = room_invitations.room) < $4";
const COME_IN: &str =
    "INSERT INTO room_members (room, person, name, role, joined) SELECT room, $2, $3, role, CAST($4 AS bigint)
    FROM room_invitations WHERE digest = $1 AND last_use = (SELECT changes FROM room_changes)";
const TOUCH_INVITED: &str = "UPDATE room_records SET changed = (SELECT changes FROM room_changes) WHERE room =
    (SELECT room FROM room_invitations WHERE digest = $1 AND last_use = (SELECT changes FROM room_changes))
    RETURNING kind, posting, archived, deleted, changed";
const INVITE: &str = "INSERT INTO room_invitations (digest, room, role, expires, uses, made, by_id, by_name)
    SELECT $1, $2, $3, CAST($4 AS bigint), CAST($5 AS bigint), CAST($6 AS bigint), $7, $8
    WHERE (SELECT count(*) FROM room_invitations WHERE room = $2
        AND (uses IS NULL OR uses > 0) AND (expires IS NULL OR expires > CAST($6 AS bigint))) < $9";
/// What was used goes with the next that is made. What is over by the clock, which may be wrong, opens nothing; of it the last stay.
const DROP_OVER: &str =
    "DELETE FROM room_invitations WHERE room = $1 AND (uses = 0 OR digest IN (SELECT digest FROM room_invitations
    WHERE room = $1 AND expires <= $2 ORDER BY made DESC, digest LIMIT 1000000 OFFSET $3))";
const REVOKE: &str = "DELETE FROM room_invitations WHERE room = $1 AND digest = $2";

const RECORD: &str = "SELECT kind, posting, archived, deleted, changed, title, topic FROM room_records WHERE room = $1";
const MEMBERS: &str = "SELECT m.person, COALESCE(a.name, m.name), a.handle, m.role, m.muted FROM room_members AS m
    LEFT JOIN accounts AS a ON a.id = m.person WHERE m.room = $1
    ORDER BY CASE m.role WHEN 'owner' THEN 0 WHEN 'moderator' THEN 1 ELSE 2 END, m.joined, m.person LIMIT $2";
const OWNERS: &str = "SELECT person FROM room_members WHERE room = $1 AND role = 'owner'";
const COUNT: &str = "SELECT count(*) FROM room_members WHERE room = $1";
const SOMEBODY: &str = "SELECT person, name FROM room_members WHERE room = $1 AND person = $2
    UNION ALL SELECT person, name FROM room_bans WHERE room = $1 AND person = $2";
const BANNED: &str = "SELECT person, name FROM room_bans WHERE room = $1 ORDER BY at DESC, person LIMIT $2";
const INVITATIONS: &str = "SELECT digest, role, expires, uses, by_id, by_name FROM room_invitations
    WHERE room = $1 AND (uses IS NULL OR uses > 0) AND (expires IS NULL OR expires > $2) ORDER BY made DESC, digest";
const INVITATION: &str = "SELECT i.digest, i.role, i.expires, i.uses, i.by_id, i.by_name, i.room FROM room_invitations AS i
    JOIN room_records AS r ON r.room = i.room
    WHERE i.digest = $1 AND (i.uses IS NULL OR i.uses > 0) AND (i.expires IS NULL OR i.expires > $2) AND r.deleted IS NULL";
const LOG: &str = "SELECT at, by_id, by_name, act, subject_id, subject_name, detail FROM room_log WHERE room = $1
    ORDER BY number DESC LIMIT $2";
const OF_PEOPLE: &str = "SELECT room FROM room_records WHERE people = $1";
const OWNED: &str = "SELECT count(*) FROM room_members AS m JOIN room_records AS r ON r.room = m.room
    WHERE m.person = $1 AND m.role = 'owner' AND r.deleted IS NULL";
const OWN: &str = "SELECT r.room, r.kind, r.posting, r.archived, r.deleted, r.changed, r.title, r.topic
    FROM room_members AS m JOIN room_records AS r ON r.room = m.room
    WHERE m.person = $1 AND r.deleted IS NULL
    ORDER BY CASE r.kind WHEN 'direct' THEN 1 ELSE 0 END, r.title, r.room LIMIT $2 OFFSET $3";

const OTHERS: &str = "SELECT o.room, COALESCE(a.name, o.name) FROM room_members AS m JOIN room_records AS r ON r.room = m.room
    JOIN room_members AS o ON o.room = m.room AND o.person <> m.person LEFT JOIN accounts AS a ON a.id = o.person
    WHERE m.person = $1 AND r.kind = 'direct' AND r.deleted IS NULL AND r.room >= $2 AND r.room <= $3
    ORDER BY o.room, o.person LIMIT 1000";

/// Something that was done in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub at: Timestamp,
    pub by: Person,
    /// A word for it.
    pub act: String,
    pub to: Option<Person>,
    pub detail: String,
}

/// What is noted in the log.
pub(super) struct Note<'n> {
    pub(super) by: &'n Person,
    pub(super) act: &'static str,
    pub(super) to: Option<&'n Person>,
    pub(super) detail: String,
}

impl Note<'_> {
    fn statements(&self, group: &Group) -> Vec<Statement> {
        let Note { by, act, to, detail } = self;
        let (to_id, to_name) = to.map(|to| (to.id.as_str(), to.name.as_str())).unzip();
        let values: [Value; 8] = [
            group.as_str().into(),
            now(),
            by.id.as_str().into(),
            by.name.as_str().into(),
            (*act).into(),
            to_id.into(),
            to_name.into(),
            detail.as_str().into(),
        ];
        let own = [Statement::new(NOTE, values), Statement::new(TRIM, [group.as_str().into(), LOGGED.into()])];
        own.into_iter().chain(self.deed(group)).collect()
    }

    /// What the log of the server has of it, too.
    fn deed(&self, group: &Group) -> Option<Statement> {
        let act = match self.act {
            "made" => audit::Act::RoomMade,
            "archived" => audit::Act::RoomArchived,
            "opened again" => audit::Act::RoomReopened,
            "deleted" => audit::Act::RoomDeleted,
            "handed over" => audit::Act::RoomOwnerGiven,
            _ => return None,
        };
        let detail = self.to.map_or_else(|| self.detail.clone(), |owner| owner.name.clone());
        let deed = Deed::new(By::Person(self.by), act).to(group.as_str(), group.as_str()).detail(detail);
        Some(deed.statement_by(RECORD_DEED))
    }
}

/// A room that is to be made.
pub(in crate::server::rooms) struct NewRoom<'n> {
    pub(in crate::server::rooms) group: &'n Group,
    pub(in crate::server::rooms) kind: RoomKind,
    pub(in crate::server::rooms) title: &'n str,
    pub(in crate::server::rooms) topic: &'n str,
    /// Those of a direct room, as its key.
    pub(in crate::server::rooms) people: Option<String>,
    /// The first is who makes it.
    pub(in crate::server::rooms) members: Vec<(&'n Person, Role)>,
    /// Who makes it, where that is none of them.
    pub(in crate::server::rooms) by: Option<&'n Person>,
}

fn now() -> Value {
    Timestamp::now().as_millis().into()
}

fn millis(at: Option<Timestamp>) -> Value {
    at.map(Timestamp::as_millis).into()
}

/// A statement about a room, and perhaps somebody in it.
pub(super) fn of_room(sql: &'static str, group: &Group, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::new(sql, [group.as_str().into()].into_iter().chain(values).collect::<Vec<_>>())
}

impl Registry {
    /// Writes a change of a room, with a note of it; this node knows of it then.
    pub(super) async fn commit(
        &self,
        group: &Group,
        what: Vec<Statement>,
        note: &Note<'_>,
    ) -> Result<Option<Brief>, StoreError> {
        let touch = of_room(TOUCH, group, []);
        self.write(group, what, touch, note).await
    }

    async fn write(
        &self,
        group: &Group,
        what: Vec<Statement>,
        touch: Statement,
        note: &Note<'_>,
    ) -> Result<Option<Brief>, StoreError> {
        let touched = what.len() + 1;
        let begin = Statement::new(BEGIN, []);
        let statements = [begin].into_iter().chain(what).chain([touch]).chain(note.statements(group)).collect();
        let mut results = self.base()?.records.write(statements).await?;
        let written = results.swap_remove(touched)?;
        let Some(row) = written.rows.first() else { return Ok(None) };
        let brief = brief(row, 0)?;
        self.hear_of(group, brief);
        Ok(Some(brief))
    }

    /// Makes a room; none where there is one of the name or for the people, or who makes it owns too many.
    pub(super) async fn make(&self, room: NewRoom<'_>) -> Result<Option<Brief>, StoreError> {
        let NewRoom { group, kind, title, topic, people, members, by: maker } = room;
        let Some((by, _)) = members.first() else { return Ok(None) };
        let posting = Posting::Everybody;
        let values: [Value; 7] =
            [kind.into(), title.into(), topic.into(), posting.into(), people.into(), now(), by.id.as_str().into()];
        let (make, bounds) = match kind {
            RoomKind::Direct => (MAKE_DIRECT, vec![MOST_DIRECT.into()]),
            _ => (MAKE, vec![MOST_OWNED.into(), MOST_USED.into()]),
        };
        let mut what = vec![of_room(make, group, values.into_iter().chain(bounds))];
        for (person, role) in &members {
            let values: [Value; 3] = [person.id.as_str().into(), person.name.as_str().into(), (*role).into()];
            what.push(of_room(FIRST_MEMBER, group, values));
        }
        let note = match maker {
            Some(maker) => Note { by: maker, act: "handed over", to: Some(by), detail: String::new() },
            None => Note { by, act: "made", to: None, detail: kind.to_string() },
        };
        self.write(group, what, of_room(MADE, group, []), &note).await
    }

    /// The direct room of these people, if there is one.
    pub(super) async fn direct(&self, people: &str) -> Result<Option<Group>, StoreError> {
        let rows = self.base()?.records.query(OF_PEOPLE, &[people.into()]).await?;
        rows.first().map(|row| name(row, 0)).transpose()
    }

    /// Somebody comes in by an invitation. Says whether it was good for that.
    pub(super) async fn use_invitation(
        &self,
        code: &Code,
        group: &Group,
        person: &Person,
    ) -> Result<Option<Brief>, StoreError> {
        let (digest, id): (Value, Value) = (code.digest().into(), person.id.as_str().into());
        let what = vec![
            Statement::new(USE, [digest.clone(), now(), id.clone(), MOST_MEMBERS.into()]),
            Statement::new(COME_IN, [digest.clone(), id, person.name.as_str().into(), now()]),
        ];
        let note = Note { by: person, act: "joined", to: None, detail: String::new() };
        self.write(group, what, Statement::new(TOUCH_INVITED, [digest]), &note).await
    }

    /// The statements that make an invitation.
    pub(super) fn invitation(code: &Code, group: &Group, terms: Terms, by: &Person) -> Vec<Statement> {
        let values: [Value; 9] = [
            code.digest().into(),
            group.as_str().into(),
            terms.role.into(),
            millis(terms.expires),
            terms.uses.map(i64::from).into(),
            now(),
            by.id.as_str().into(),
            by.name.as_str().into(),
            MOST_INVITATIONS.into(),
        ];
        vec![of_room(DROP_OVER, group, [now(), MOST_INVITATIONS.into()]), Statement::new(INVITE, values)]
    }

    pub(super) fn revocation(group: &Group, digest: &str) -> Statement {
        of_room(REVOKE, group, [digest.into()])
    }

    /// What an invitation leads to; none where it cannot be used.
    pub(super) async fn invited(&self, code: &Code) -> Result<Option<Invited>, StoreError> {
        let records = &self.base()?.records;
        let rows = records.query(INVITATION, &[code.digest().into(), now()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let group = name(row, 6)?;
        let Some(room) = self.record(&group).await? else { return Ok(None) };
        Ok(Some(Invited { room, invitation: invitation(row)?, members: self.count(&group).await? }))
    }

    /// A room that somebody owns, deleted ones too.
    pub(in crate::server::rooms) async fn record(&self, group: &Group) -> Result<Option<Record>, StoreError> {
        let rows = self.base()?.records.query(RECORD, &[group.as_str().into()]).await?;
        let record =
            |row: &Row| Ok(Record { group: group.clone(), brief: brief(row, 0)?, title: row.get(5)?, topic: row.get(6)? });
        rows.first().map(record).transpose()
    }

    /// Whose a room is: one, mostly.
    pub(super) async fn owners(&self, group: &Group) -> Result<Vec<String>, StoreError> {
        let rows = self.base()?.records.query(OWNERS, &[group.as_str().into()]).await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(super) async fn count(&self, group: &Group) -> Result<u64, StoreError> {
        let rows = self.base()?.records.query(COUNT, &[group.as_str().into()]).await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The members, the first of them those who have most to say.
    pub(in crate::server::rooms) async fn members(&self, group: &Group) -> Result<Vec<Member>, StoreError> {
        let rows = self.base()?.records.query(MEMBERS, &[group.as_str().into(), SHOWN.into()]).await?;
        let member = |row: &Row| {
            let muted: Option<i64> = row.get(4)?;
            let person = Person { handle: row.get(2)?, ..person(row, 0)? };
            Ok(Member { person, role: row.get(3)?, muted: muted.map(Timestamp::from_millis) })
        };
        rows.iter().map(member).collect()
    }

    /// Somebody whom a room knows: a member, or who is kept out.
    pub(super) async fn somebody(&self, group: &Group, id: &str) -> Result<Option<Person>, StoreError> {
        let rows = self.base()?.records.query(SOMEBODY, &[group.as_str().into(), id.into()]).await?;
        rows.first().map(|row| person(row, 0)).transpose()
    }

    /// Who is kept out, the last first.
    pub(super) async fn banned(&self, group: &Group) -> Result<Vec<Person>, StoreError> {
        let rows = self.base()?.records.query(BANNED, &[group.as_str().into(), SHOWN.into()]).await?;
        rows.iter().map(|row| person(row, 0)).collect()
    }

    /// The invitations that can be used, the last first.
    pub(super) async fn invitations(&self, group: &Group) -> Result<Vec<Invitation>, StoreError> {
        let rows = self.base()?.records.query(INVITATIONS, &[group.as_str().into(), now()]).await?;
        rows.iter().map(invitation).collect()
    }

    /// What was done, the last first.
    pub(super) async fn log(&self, group: &Group) -> Result<Vec<Logged>, StoreError> {
        let rows = self.base()?.records.query(LOG, &[group.as_str().into(), SHOWN.into()]).await?;
        let logged = |row: &Row| {
            let to: Option<String> = row.get(4)?;
            let to = to.map(|id| Ok::<_, StoreError>(Person::new(id, row.get::<String>(5)?))).transpose()?;
            Ok(Logged {
                at: Timestamp::from_millis(row.get(0)?),
                by: person(row, 1)?,
                act: row.get(3)?,
                to,
                detail: row.get(6)?,
            })
        };
        rows.iter().map(logged).collect()
    }

    /// The names of the others in the direct rooms of somebody, from one to another.
    pub(super) async fn others(
        &self,
        person: &str,
        (from, to): (&Group, &Group),
    ) -> Result<HashMap<Group, Vec<String>>, StoreError> {
        let values = [person.into(), from.as_str().into(), to.as_str().into()];
        let rows = self.base()?.records.query(OTHERS, &values).await?;
        let mut others: HashMap<Group, Vec<String>> = HashMap::new();
        for row in &rows {
            others.entry(name(row, 0)?).or_default().push(row.get(1)?);
        }
        Ok(others)
    }

    /// How many rooms somebody owns.
    pub(super) async fn owned(&self, person: &str) -> Result<i64, StoreError> {
        let rows = self.base()?.records.query(OWNED, &[person.into()]).await?;
        rows.first().map_or(Ok(0), |row| row.get(0))
    }

    /// So many of the rooms of which somebody is a member, after so many others; direct ones, in which others may have put them, come last.
    pub(super) async fn own(&self, person: &str, most: usize, after: u32) -> Result<Vec<Record>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.base()?.records.query(OWN, &[person.into(), most.into(), i64::from(after).into()]).await?;
        let record =
            |row: &Row| Ok(Record { group: name(row, 0)?, brief: brief(row, 1)?, title: row.get(6)?, topic: row.get(7)? });
        rows.iter().map(record).collect()
    }
}

fn name(row: &Row, at: usize) -> Result<Group, StoreError> {
    row.get::<String>(at)?.parse().map_err(|_| StoreError::damage("a room has a name that none can have"))
}

fn person(row: &Row, at: usize) -> Result<Person, StoreError> {
    Ok(Person::new(row.get::<String>(at)?, row.get::<String>(at + 1)?))
}

/// Of a row that begins with its digest and terms.
fn invitation(row: &Row) -> Result<Invitation, StoreError> {
    let expires: Option<i64> = row.get(2)?;
    let uses: Option<i64> = row.get(3)?;
    let terms = Terms {
        role: row.get(1)?,
        expires: expires.map(Timestamp::from_millis),
        uses: uses.map(|uses| u32::try_from(uses).unwrap_or(u32::MAX)),
    };
    Ok(Invitation { digest: row.get(0)?, terms, by: person(row, 4)? })
}
