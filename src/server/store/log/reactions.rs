//! Who has put which emoji to a message: rows of a plain table, one for each person and emoji, however many they are. They are written with
//! the change that says so, in one transaction. With the message they go.

use crate::{
    server::store::{
        error::StoreError,
        log::change::{Unnamed, reactions_from_json},
        records::{Records, Statement, Value},
    },
    wire::{Change, Emoji, Group, Offset},
};

/// What a person has put to a message.
pub(in crate::server::store) const PUT_BY: &str = r#"SELECT emoji FROM reactions JOIN rooms ON rooms.id = room_id
    WHERE rooms.name = $1 AND person_id = $2 AND "offset" = $3"#;
const PUT: &str = r#"INSERT INTO reactions (room_id, "offset", person_id, emoji, name)
    SELECT id, $2, $3, $4, $5 FROM rooms WHERE name = $1 ON CONFLICT DO NOTHING"#;
const TAKE_AWAY: &str = r#"DELETE FROM reactions
    WHERE room_id = (SELECT id FROM rooms WHERE name = $1) AND person_id = $2 AND "offset" = $3 AND emoji = $4"#;
const CLEAR: &str = r#"DELETE FROM reactions WHERE room_id = (SELECT id FROM rooms WHERE name = $1) AND "offset" = $2"#;
/// What a person has put to messages from `$3` to `$4`; and of those of these messages that have unnamed ones, what is needed to know the
/// same of them.
pub(in crate::server::store) const REACTED: &str = r#"SELECT reactions."offset", emoji, NULL AS shown, NULL AS unnamed
    FROM rooms JOIN reactions ON room_id = rooms.id
    WHERE rooms.name = $1 AND person_id = $2 AND reactions."offset" BETWEEN $3 AND $4
    UNION ALL
    SELECT messages."offset", NULL, messages.reactions, messages.unnamed FROM rooms JOIN messages ON room_id = rooms.id
    WHERE rooms.name = $1 AND messages."offset" BETWEEN $3 AND $4 AND messages.unnamed IS NOT NULL"#;

/// What is asked with [`PUT_BY`].
pub(in crate::server::store) fn by(group: &Group, person: &str, message: Offset) -> Vec<Value> {
    vec![group.as_str().into(), person.into(), place(message)]
}

/// What a change of a message in this room does to the rows.
pub(in crate::server::store) fn statement(group: &Group, change: &Change) -> Option<Statement> {
    let (group, message) = (group.as_str().into(), place(change.id().offset));
    if let Change::Delete { .. } = change {
        return Some(Statement::new(CLEAR, [group, message]));
    }
    let Change::React { emoji, from, on, .. } = change else { return None };
    let (person, emoji) = (from.id.as_str().into(), emoji.as_str().into());
    Some(if *on {
        Statement::new(PUT, [group, message, person, emoji, from.name.as_str().into()])
    } else {
        Statement::new(TAKE_AWAY, [group, person, message, emoji])
    })
}

/// What a person has put to some of a room's messages.
pub(in crate::server::store) async fn reacted(
    records: &dyn Records,
    group: &Group,
    person: &str,
    messages: &[Offset],
) -> Result<Vec<(Offset, Vec<Emoji>)>, StoreError> {
    let (Some(first), Some(last)) = (messages.iter().min(), messages.iter().max()) else { return Ok(Vec::new()) };
    let values = [group.as_str().into(), person.into(), place(*first), place(*last)];
    let mut all: Vec<(Offset, Vec<Emoji>)> = messages.iter().map(|message| (*message, Vec::new())).collect();
    for row in records.query(REACTED, &values).await? {
        let offset = u64::try_from(row.get::<i64>(0)?).map(Offset).map_err(StoreError::damage)?;
        let Some((_, put)) = all.iter_mut().find(|(message, _)| *message == offset) else { continue };
        if let Some(emoji) = row.get::<Option<String>>(1)? {
            put.push(emoji.parse().map_err(StoreError::damage)?);
        } else {
            // A message that is broken has none.
            let shown = reactions_from_json(row.get::<Option<String>>(2)?.as_deref()).unwrap_or_default();
            let unnamed = Unnamed::read(row.get::<Option<Vec<u8>>>(3)?.as_deref());
            put.extend(unnamed.put_by(&shown, person).cloned());
        }
    }
    for (_, put) in &mut all {
        put.sort();
        put.dedup();
    }
    Ok(all)
}

fn place(offset: Offset) -> Value {
    i64::try_from(offset.0).unwrap_or(i64::MAX).into()
}
