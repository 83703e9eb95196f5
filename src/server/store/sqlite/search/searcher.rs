//! Searching the index, and reading what it has found in the store beside it.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::indexer::Shared;
use crate::{
    server::{
        search::{Candidate, Filter, Found, Hunt, MOST_ROOMS, Need, Query, room_term, searched},
        store::{
            error::StoreError,
            log::Within,
            sqlite::{
                bell::Bell,
                condition::{Condition, is_damage},
                reader::{Readers, name, offset},
            },
        },
    },
    wire::{Group, Offset, Person, Timestamp},
};

const NEWEST: &str = "SELECT ifnull(max(id), 0) FROM documents";
const STREAM: &str = "SELECT id, newest FROM streams WHERE name = ?1";
const STREAMS: &str = "SELECT id, name FROM streams ORDER BY newest DESC LIMIT ?1";
/// The documents of a stretch that have the terms, newest first, each with its message where that is still there.
const DOCUMENTS: &str = "SELECT messages.offset, author_id, author_name, text, at, streams.name, streams.epoch, documents.id
    FROM words CROSS JOIN documents ON documents.id = words.rowid CROSS JOIN streams ON streams.id = stream_id
    LEFT JOIN store.rooms ON rooms.name = streams.name AND rooms.epoch = streams.epoch
    LEFT JOIN store.messages ON messages.room_id = rooms.id AND messages.offset = documents.offset AND NOT messages.deleted
    WHERE words MATCH ?1 AND words.rowid BETWEEN ?2 AND ?3 ORDER BY words.rowid DESC";

/// Searches.
#[derive(Debug)]
pub(in crate::server::store::sqlite) struct Searcher {
    shared: Arc<Shared>,
    bell: Bell,
    condition: Condition,
}

impl Searcher {
    pub(in crate::server::store::sqlite) fn new(shared: Arc<Shared>, bell: Bell, condition: Condition) -> Self {
        Self { shared, bell, condition }
    }

    pub(in crate::server::store::sqlite) async fn search(
        &self,
        query: &Query,
        within: &Within,
        count: usize,
    ) -> Result<Found, StoreError> {
        if query.is_empty() {
            return Ok(Found::nothing());
        }
        let readers = self.shared.readers().ok_or_else(|| StoreError::unavailable("there is no index for searching"))?;
        let (query, within) = (query.clone(), within.clone());
        let (shared, bell, condition) = (Arc::clone(&self.shared), self.bell.clone(), self.condition.clone());
        let search = move |connection: &mut Connection, _: &_| {
            find(connection, &query, &within, count).inspect_err(|cause| {
                // Where it is the store's, another index would be of no use.
                if is_damage(cause) && condition.damage().is_none() {
                    shared.is_damaged(&bell);
                }
            })
        };
        readers.run(search).await
    }

    /// How far a room's stream is indexed; none where there is no index, which then is made of what there is. One that cannot be
    /// read is not known to have come anywhere.
    pub(in crate::server::store::sqlite) async fn indexed(&self, group: &Group) -> Option<Offset> {
        const INDEXED: &str = "SELECT indexed FROM streams WHERE name = ?1";
        let (readers, group) = (self.shared.readers()?, group.clone());
        let indexed = readers.run(move |connection, _| {
            let indexed = connection.prepare_cached(INDEXED)?.query_row([group.as_str()], |row| offset(row, 0));
            indexed.optional()
        });
        Some(indexed.await.ok().flatten().unwrap_or_default())
    }

    pub(in crate::server::store::sqlite) async fn close(&self) {
        if let Some(readers) = self.shared.readers() {
            Readers::close(&readers).await;
        }
    }
}

fn find(connection: &mut Connection, query: &Query, within: &Within, count: usize) -> rusqlite::Result<Found> {
    let moment = connection.transaction()?;
    let (filter, from, partly) = match within {
        Within::Room(group) => {
            let stream = moment.prepare_cached(STREAM)?.query_row([group.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
            let Some((id, newest)) = stream.optional()? else { return Ok(Found::nothing()) };
            (Filter::Only(vec![id]), newest, false)
        }
        Within::Everything => (Filter::All, newest(&moment)?, false),
        Within::Rooms(allowed) => {
            let mut statement = moment.prepare_cached(STREAMS)?;
            let streams = statement
                .query_map([i64::try_from(MOST_ROOMS).unwrap_or(i64::MAX)], |row| Ok((row.get(0)?, name::<Group>(row, 1)?)))?;
            let (filter, partly) = Filter::of(&streams.collect::<rusqlite::Result<Vec<_>>>()?, |group| allowed(group));
            (filter, newest(&moment)?, partly)
        }
    };
    if filter == Filter::Only(Vec::new()) {
        return Ok(Found { complete: !partly, ..Found::nothing() });
    }
    let question = question(query, &filter);
    let mut hunt = Hunt::new(query, from);
    let mut statement = moment.prepare_cached(DOCUMENTS)?;
    while let Some(stretch) = hunt.stretch() {
        let mut rows = statement.query(params![question, stretch.start(), stretch.end()])?;
        loop {
            if hunt.stretch().is_none() {
                break;
            }
            let Some(row) = rows.next()? else {
                hunt.end_of_stretch(&stretch);
                break;
            };
            hunt.look_at(row.get(7)?, candidate(row)?);
        }
    }
    let found = hunt.finish(count);
    Ok(Found { complete: found.complete && !partly, ..found })
}

fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached(NEWEST)?.query_row([], |row| row.get(0))
}

/// A question in the language of FTS5. Terms are letters and digits; in quotation marks they are nothing but terms.
fn question(query: &Query, filter: &Filter) -> String {
    let need = |need| match need {
        Need::Term(term) => format!("\"{term}\""),
        Need::Beginning(beginning) => format!("\"{beginning}\" *"),
    };
    let needs = query.needs().into_iter().map(need).collect::<Vec<_>>().join(" AND ");
    let rooms = |ids: &[i64]| ids.iter().map(|id| format!("\"{}\"", room_term(*id))).collect::<Vec<_>>().join(" OR ");
    match filter {
        Filter::All => needs,
        Filter::Only(ids) => format!("({}) AND {needs}", rooms(ids)),
        Filter::Except(ids) => format!("({needs}) NOT ({})", rooms(ids)),
    }
}

/// The message of a document.
fn candidate(row: &Row<'_>) -> rusqlite::Result<Option<Candidate>> {
    if row.get::<_, Option<i64>>(0)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Candidate {
        group: name(row, 5)?,
        epoch: name(row, 6)?,
        offset: offset(row, 0)?,
        from: Person::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?),
        text: searched(row.get_ref(3)?.as_str()?).to_owned(),
        at: Timestamp::from_millis(row.get(4)?),
    }))
}
