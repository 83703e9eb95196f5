//! What people are called now who are named in reactions: rows of a plain table, one for each person who has taken another name since they
//! put one. A row is no second place of a person's name, which is in their cookie: it is what they have said last to be called by, for when
//! others are shown them. It goes with the last of their reactions, so there are never more rows than people who have put some.

use std::collections::HashMap;

use crate::{
    server::store::{
        error::StoreError,
        records::{Records, Statement, Value},
    },
    wire::Person,
};

const RENAME: &str = "INSERT INTO people (id, name)
    SELECT $1, $2 WHERE EXISTS (SELECT 1 FROM reactions WHERE person_id = $1)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name";
/// So many are asked for at a time.
const ABREAST: usize = 50;
pub(in crate::server::store) const CALLED: &str = "SELECT id, name FROM people WHERE id IN (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
        $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34,
        $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50)";
/// So many are looked for at a time.
const PART: usize = 500;
const GONE: &str = "SELECT id FROM people
    WHERE id > $1 AND NOT EXISTS (SELECT 1 FROM reactions WHERE person_id = people.id) ORDER BY id LIMIT 500";
const FORGET: &str = "DELETE FROM people WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM reactions WHERE person_id = $1)";

/// Notes what somebody is called from now on.
pub(in crate::server::store) async fn rename(records: &dyn Records, person: &Person) -> Result<(), StoreError> {
    let values = [person.id.as_str().into(), person.name.as_str().into()];
    records.write(vec![Statement::new(RENAME, values)]).await.map(drop)
}

/// What those of these people are called who have another name since.
pub(in crate::server::store) async fn called(
    records: &dyn Records,
    people: &[String],
) -> Result<HashMap<String, String>, StoreError> {
    let mut names = HashMap::new();
    for some in people.chunks(ABREAST) {
        let mut ids: Vec<Value> = some.iter().map(|id| id.as_str().into()).collect();
        ids.resize(ABREAST, "".into());
        for row in records.query(CALLED, &ids).await? {
            names.insert(row.get(0)?, row.get(1)?);
        }
    }
    Ok(names)
}

/// Drops the names of those who have no reaction any more.
pub(in crate::server::store) async fn forget(records: &dyn Records) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let gone: Vec<String> =
            records.query(GONE, &[after.into()]).await?.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        let Some(last) = gone.last() else { return Ok(()) };
        after = last.clone();
        let all = gone.len() < PART;
        // Who has put one meanwhile keeps the name.
        records.write(gone.into_iter().map(|id| Statement::new(FORGET, [id.into()])).collect()).await?;
        if all {
            return Ok(());
        }
    }
}
