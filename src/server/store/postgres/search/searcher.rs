//! Searching the index of words.
//!
//! A question goes to the GIN index alone. The room and the stretch of a document are terms like others, so the index leaps over whatever
//! is not of them, and what a common word costs goes by the length of the stretch.

use tokio::task::spawn_blocking;
use tokio_postgres::Row;

use super::indexer::{STRETCH, stretch_term};
use crate::{
    server::{
        postgres_url::PostgresUrl,
        search::{Candidate, Filter, Found, Hunt, MOST_ROOMS, Need, Query, room_term, searched},
        store::{
            error::StoreError,
            log::Within,
            postgres::{
                error::OpenError,
                pool::{Connections, Purpose, answer},
                reader::{name, offset},
                text::unescape,
            },
        },
    },
    wire::{Group, Person, Timestamp},
};

/// So many searches run at a time; further ones wait.
const CONNECTIONS: usize = 2;
/// So many documents are read at a time.
const PAGE: i64 = 250;

const NEWEST: &str = "SELECT coalesce(max(id), 0) FROM search_documents";
const STREAM: &str = "SELECT room_id, newest FROM rooms JOIN search_streams ON room_id = rooms.id WHERE name = $1";
const STREAMS: &str = "SELECT room_id, name FROM search_streams JOIN rooms ON rooms.id = room_id ORDER BY newest DESC LIMIT $1";
/// The newest documents from `$2` to `$3` that have the terms, each with its message where that is still there. No other index than that
/// of the terms serves for `id + 0`.
const DOCUMENTS: &str = r#"SELECT messages."offset", author_id, author_name, left(text, 65536), at, name, epoch, documents.id
    FROM (
        SELECT id, room_id, "offset" FROM search_documents
        WHERE terms @@ $1::text::tsquery AND id + 0 BETWEEN $2 AND $3 ORDER BY id + 0 DESC LIMIT $4
    ) AS documents
    LEFT JOIN rooms ON rooms.id = documents.room_id
    LEFT JOIN messages ON messages.room_id = documents.room_id AND messages."offset" = documents."offset" AND NOT messages.deleted
    ORDER BY documents.id DESC"#;

/// Searches.
#[derive(Debug)]
pub(in crate::server::store::postgres) struct Searcher(Connections);

impl Searcher {
    pub(in crate::server::store::postgres) fn new(url: &PostgresUrl) -> Result<Self, OpenError> {
        Ok(Self(Connections::new(url, Purpose::Searching, CONNECTIONS)?))
    }

    pub(in crate::server::store::postgres) fn close(&self) {
        self.0.close();
    }

    pub(in crate::server::store::postgres) async fn search(
        &self,
        query: &Query,
        within: &Within,
        count: usize,
    ) -> Result<Found, StoreError> {
        if query.is_empty() {
            return Ok(Found::nothing());
        }
        let (filter, from, partly) = match within {
            Within::Room(group) => {
                let Some(stream) = self.ask(STREAM, &[&group.as_str()]).await?.pop() else { return Ok(Found::nothing()) };
                (Filter::Only(vec![stream.get(0)]), stream.get(1), false)
            }
            Within::Everything => (Filter::All, self.newest().await?, false),
            Within::Rooms(allowed) => {
                let rows = self.ask(STREAMS, &[&i64::try_from(MOST_ROOMS).unwrap_or(i64::MAX)]).await?;
                let streams = rows.iter().map(|row| Ok((row.get(0), name(row, 1)?)));
                let streams: Vec<(i64, Group)> = streams.collect::<Result<_, StoreError>>()?;
                let (filter, partly) = Filter::of(&streams, |group| allowed(group));
                (filter, self.newest().await?, partly)
            }
        };
        if filter == Filter::Only(Vec::new()) {
            return Ok(Found { complete: !partly, ..Found::nothing() });
        }
        let found = self.find(query, within, &filter, from).await?.finish(count);
        Ok(Found { complete: found.complete && !partly, ..found })
    }

    async fn find(&self, query: &Query, within: &Within, filter: &Filter, newest: i64) -> Result<Hunt, StoreError> {
        let terms = terms(query, filter);
        let mut hunt = Hunt::new(query, newest);
        while let Some(stretch) = hunt.stretch() {
            let (from, to) = (*stretch.start(), *stretch.end());
            let stretches: Vec<_> =
                (from / STRETCH..=to / STRETCH).map(|number| format!("'{}'", stretch_term(number * STRETCH))).collect();
            let question = format!("{terms} & ({})", stretches.join(" | "));
            let rows = self.ask(DOCUMENTS, &[&question, &from, &to, &PAGE]).await?;
            let within = within.clone();
            // To look through long texts takes a while.
            let looking = spawn_blocking(move || {
                for row in &rows {
                    if hunt.stretch().is_some() {
                        // The room may have come up after the filter was made.
                        hunt.look_at(row.get(7), candidate(row)?.filter(|found| within.has(&found.group)));
                    }
                }
                if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) && hunt.stretch().is_some() {
                    hunt.end_of_stretch(&stretch);
                }
                Ok::<_, StoreError>(hunt)
            });
            hunt = looking.await.map_err(StoreError::unavailable)??;
        }
        Ok(hunt)
    }

    async fn newest(&self) -> Result<i64, StoreError> {
        Ok(self.ask(NEWEST, &[]).await?.first().map_or(0, |row| row.get(0)))
    }

    async fn ask(&self, sql: &str, parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let client = self.0.get().await?;
        let rows = answer(client, async |client| {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, parameters).await
        });
        rows.await?.map_err(StoreError::unavailable)
    }
}

/// The terms of a question in the language of `tsquery`. They are letters and digits; in quotation marks they are nothing but terms.
fn terms(query: &Query, filter: &Filter) -> String {
    let need = |need| match need {
        Need::Term(term) => format!("'{term}'"),
        Need::Beginning(beginning) => format!("'{beginning}':*"),
    };
    let needs = query.needs().into_iter().map(need).collect::<Vec<_>>().join(" & ");
    let rooms = |ids: &[i64]| ids.iter().map(|id| format!("'{}'", room_term(*id))).collect::<Vec<_>>().join(" | ");
    match filter {
        Filter::All => needs,
        Filter::Only(ids) => format!("({}) & {needs}", rooms(ids)),
        Filter::Except(ids) => format!("{needs} & !({})", rooms(ids)),
    }
}

/// The message of a document.
fn candidate(row: &Row) -> Result<Option<Candidate>, StoreError> {
    if row.get::<_, Option<i64>>(0).is_none() || row.get::<_, Option<&str>>(5).is_none() {
        return Ok(None);
    }
    Ok(Some(Candidate {
        group: name(row, 5)?,
        epoch: name(row, 6)?,
        offset: offset(row, 0)?,
        from: Person::new(unescape(row.get(1)), unescape(row.get(2))),
        text: searched(&unescape(row.get(3))).to_owned(),
        at: Timestamp::from_millis(row.get(4)),
    }))
}
