//! What somebody has said in all rooms: for the file with their data, and for when they go for good.
//!
//! Messages are found by their room. So this goes through the rooms one by one, and through each a part at a time.

use std::collections::VecDeque;

use super::{AlterError, Rooms, changes::may_moderate, owned::FORMER};
use crate::{
    server::store::{NewChange, Row, Slice, Statement, StoreError},
    wire::{Change, Epoch, Group, MessageId, Offset, Person, Stored, Timestamp},
};

/// How many messages are read at a time, and how many bytes of them.
const PART: usize = 1_000;
const BYTES: usize = 4 << 20;
/// How many rooms are asked for at a time.
const ROOMS: usize = 500;
/// Of how many messages at a time the name of the author is written anew: others write between them.
const RENAMED: i64 = 10_000;

const REACTIONS: &str = r#"SELECT room_id, rooms.name, rooms.epoch, reactions."offset", emoji FROM reactions JOIN rooms ON rooms.id = room_id
    WHERE person_id = $1 AND (room_id, reactions."offset", emoji) > ($2, $3, $4) ORDER BY room_id, reactions."offset", emoji LIMIT 500"#;
const HEADS: &str = "SELECT id, head FROM rooms WHERE id > $1 ORDER BY id LIMIT 500";
const NAMELESS: &str = r#"UPDATE messages SET author_name = $5
    WHERE room_id = $1 AND "offset" > $2 AND "offset" <= $3 AND author_id = $4 AND author_name <> $5"#;
const NAMELESS_CHANGES: &str = r#"UPDATE changes SET author_name = $5
    WHERE room_id = $1 AND "offset" > $2 AND "offset" <= $3 AND author_id = $4 AND author_name <> $5"#;
const NO_NAME: &str = "DELETE FROM people WHERE id = $1";

/// What becomes of what somebody has said who goes for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It stays, without their name.
    Stays,
    Goes,
}

/// How far one has come through what somebody has said.
#[derive(Default)]
pub struct Walk {
    /// In the store, or where rooms are kept in memory.
    in_memory: bool,
    /// The rooms that come next, and the last that is known of.
    rooms: VecDeque<Group>,
    last: Option<Group>,
    room: Option<Group>,
    reached: Offset,
}

/// A reaction that somebody has put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub group: Group,
    pub message: MessageId,
    pub emoji: String,
    /// Where in the table it stands.
    place: (i64, i64, String),
}

impl Rooms {
    /// What somebody has said in the next part of a room; none where all of it was looked through.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn said_by(&self, person: &str, walk: &mut Walk) -> Result<Option<(Group, Vec<Stored>)>, StoreError> {
        loop {
            let store = if walk.in_memory { &self.volatile } else { &self.durable };
            let Some(group) = walk.room.clone() else {
                if let Some(next) = walk.rooms.pop_front() {
                    (walk.room, walk.reached) = (Some(next), Offset::START);
                    continue;
                }
                walk.rooms = store.store.groups(walk.last.as_ref(), ROOMS).await?.into_iter().map(|room| room.group).collect();
                walk.last = walk.rooms.back().cloned();
                if walk.last.is_some() {
                    continue;
                }
                if walk.in_memory {
                    return Ok(None);
                }
                walk.in_memory = true;
                continue;
            };
            let page = store.store.read(&group, Slice::After(walk.reached), PART, BYTES).await?;
            let Some(last) = page.messages.last() else {
                walk.room = None;
                continue;
            };
            walk.reached = last.offset;
            let is_theirs = |stored: &Stored| stored.message.from.id == person && !stored.message.content.deleted;
            return Ok(Some((group, page.messages.into_iter().filter(is_theirs).collect())));
        }
    }

    /// The reactions that somebody has put, after one of them; 500 at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn put_by(&self, person: &str, after: Option<&Put>) -> Result<Vec<Put>, StoreError> {
        let (room, offset, emoji) = after.map_or((0, 0, ""), |put| (put.place.0, put.place.1, put.place.2.as_str()));
        let values = [person.into(), room.into(), offset.into(), emoji.into()];
        self.registry.records()?.query(REACTIONS, &values).await?.iter().map(put).collect()
    }

    /// Somebody goes for good: their reactions are taken away, and what they have said stays without their name or is deleted. What is kept
    /// in memory alone is deleted in any case.
    ///
    /// # Errors
    /// The store cannot be read or written now. What was done stays done.
    pub async fn silence(&self, person: &str, said: Said) -> Result<(), StoreError> {
        let gone = Person::new(person, FORMER);
        let mut after = None;
        loop {
            let puts = self.put_by(person, after.as_ref()).await?;
            for Put { group, message, emoji, .. } in &puts {
                let Ok(emoji) = emoji.parse() else { continue };
                let change = Change::React { id: message.clone(), emoji, from: gone.clone(), on: false };
                self.change_for_good(group, change, &gone, false).await?;
            }
            let Some(last) = puts.into_iter().next_back() else { break };
            after = Some(last);
        }
        let mut walk = Walk { in_memory: said == Said::Stays, ..Walk::default() };
        while let Some((group, messages)) = self.said_by(person, &mut walk).await? {
            for stored in messages {
                let Ok(id) = stored.message.id.parse() else { continue };
                self.change_for_good(&group, Change::Delete { id }, &gone, walk.in_memory).await?;
            }
        }
        self.unname(person).await
    }

    async fn change_for_good(&self, group: &Group, change: Change, gone: &Person, in_memory: bool) -> Result<(), StoreError> {
        let change = NewChange { group: group.clone(), change, from: gone.clone(), at: Timestamp::now(), rule: may_moderate };
        let store = if in_memory { &self.volatile } else { &self.durable };
        match store.change(change).await {
            // What is not there any more needs no change.
            Ok(_) | Err(AlterError::Refused(_)) => Ok(()),
            Err(_) => Err(StoreError::Unavailable("a message of somebody who goes for good could not be changed".into())),
        }
    }

    /// Takes their name from what is left of somebody.
    async fn unname(&self, person: &str) -> Result<(), StoreError> {
        let records = self.registry.records()?;
        let mut after = 0_i64;
        loop {
            let rooms = records.query(HEADS, &[after.into()]).await?;
            for room in &rooms {
                let (id, head): (i64, i64) = (room.get(0)?, room.get(1)?);
                after = id;
                for from in (0..head).step_by(usize::try_from(RENAMED).unwrap_or(1)) {
                    let part = |sql| {
                        let to = from.saturating_add(RENAMED);
                        Statement::new(sql, [id.into(), from.into(), to.into(), person.into(), FORMER.into()])
                    };
                    records.write(vec![part(NAMELESS), part(NAMELESS_CHANGES)]).await?;
                }
            }
            if rooms.is_empty() {
                break;
            }
        }
        records.write_one(Statement::new(NO_NAME, [person.into()])).await.map(|_| ())
    }
}

fn put(row: &Row) -> Result<Put, StoreError> {
    let damage = |_| StoreError::damage("a reaction stands in a room that cannot be");
    let (room, offset): (i64, i64) = (row.get(0)?, row.get(3)?);
    let epoch: Epoch = row.get::<String>(2)?.parse().map_err(damage)?;
    let emoji: String = row.get(4)?;
    let message = MessageId { epoch, offset: Offset(offset.unsigned_abs()) };
    let group = row.get::<String>(1)?.parse().map_err(damage)?;
    Ok(Put { group, message, place: (room, offset, emoji.clone()), emoji })
}
