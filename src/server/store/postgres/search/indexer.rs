//! Following the commits with the index of words, behind them.
//!
//! Every node asks which rooms have moved on, whoever has written to them, and indexes what is new in batches. A batch is one
//! transaction, in which nodes take turns by an advisory lock: it reads how far the room is indexed, and writes that together with
//! what it indexes. So it does not matter which node does it, nor when one dies. The transaction locks nothing that a writer of messages
//! needs, and its commit does not wait for the disk: what a crash undoes is indexed again. An edit or a deletion has its message indexed
//! again, as it is now.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use deadpool_postgres::{Object, Transaction};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    server::{
        causes::with_causes,
        postgres_url::PostgresUrl,
        search::{room_term, terms},
        store::{
            error::StoreError,
            log::{Moved, Watch as _},
            postgres::{
                error::OpenError,
                pool::{ANSWER, Connections, Purpose},
                reader::{HeadWatch, Readers, name},
                text::unescape,
            },
        },
    },
    wire::Group,
};

/// Whose turn it is, in this database; "Cnfs".
const TURN: i64 = 0x436e_6673;
/// A batch has at most so many messages.
const BATCH: i64 = 200;
/// How long commits gather before what they have brought is indexed.
const GATHER: Duration = Duration::from_millis(100);
/// How often it is asked what other nodes have committed.
const LOOK_OUT: Duration = Duration::from_secs(1);
/// After a failure it is tried again so much later.
const PAUSE: Duration = Duration::from_secs(5);
/// So many documents are a stretch.
pub(in crate::server::store::postgres) const STRETCH: i64 = 1 << 14;

const UNINDEXED: &str = "SELECT name, head FROM rooms LEFT JOIN search_streams ON room_id = rooms.id
    WHERE head > coalesce(indexed, 0) OR rooms.first > coalesce(search_streams.first, 1)";
const TAKE_TURN: &str = "SELECT pg_try_advisory_xact_lock($1)";
const STREAM: &str =
    "SELECT id, coalesce(indexed, 0), coalesce(newest, 0), (SELECT coalesce(max(id), 0) FROM search_documents),
        rooms.first, coalesce(search_streams.first, 1)
    FROM rooms LEFT JOIN search_streams ON room_id = rooms.id WHERE name = $1";
/// Each entry of a stream, the message that it is about, what that says now (nothing where it is held no more), and whether the entry
/// makes a difference to it.
const ENTRIES: &str = r#"
    (SELECT "offset", "offset" AS target, CASE WHEN NOT deleted THEN left(text, 65536) END AS text, true AS matters
        FROM messages WHERE room_id = $1 AND "offset" > $2 ORDER BY "offset" LIMIT $3)
    UNION ALL
    (SELECT changes."offset", target,
            CASE WHEN kind IN ('edit', 'delete') AND NOT deleted THEN left(text, 65536) END, kind IN ('edit', 'delete')
        FROM changes LEFT JOIN messages ON messages.room_id = changes.room_id AND messages."offset" = target
        WHERE changes.room_id = $1 AND changes."offset" > $2 ORDER BY changes."offset" LIMIT $3)
    ORDER BY 1 LIMIT $3"#;
const FORGET: &str = r#"DELETE FROM search_documents WHERE room_id = $1 AND "offset" = ANY ($2::bigint[])"#;
/// The room holds them no more.
const GONE: &str = r#"DELETE FROM search_documents WHERE room_id = $1 AND "offset" < $2"#;
const PUT: &str = r#"INSERT INTO search_documents (id, room_id, "offset", terms)
    SELECT id, $1, "offset", array_to_tsvector(string_to_array(terms, ' '))
    FROM unnest($2::bigint[], $3::bigint[], $4::text[]) AS given (id, "offset", terms)"#;
const REACHED: &str = "INSERT INTO search_streams (room_id, indexed, newest, first) VALUES ($1, $2, $3, $4)
    ON CONFLICT (room_id) DO UPDATE SET indexed = excluded.indexed, newest = excluded.newest, first = excluded.first";

/// The term of all documents of a stretch. No text has it.
pub(in crate::server::store::postgres) fn stretch_term(document: i64) -> String {
    format!("\u{e001}{}", document / STRETCH)
}

/// The task that indexes; it ends when this is dropped.
#[derive(Debug)]
pub(in crate::server::store::postgres) struct Indexer {
    news: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Indexer {
    pub(in crate::server::store::postgres) fn start(url: &PostgresUrl, readers: &Readers) -> Result<Self, OpenError> {
        let news = Arc::new(Notify::new());
        let connections = Connections::new(url, Purpose::Indexing, 1)?;
        let following = Following { connections, watch: readers.watch(), pending: None };
        let task = tokio::spawn(following.run(Arc::clone(&news)));
        Ok(Self { news, task })
    }

    /// What to notify of commits.
    pub(in crate::server::store::postgres) fn news(&self) -> Arc<Notify> {
        Arc::clone(&self.news)
    }

    /// Ends the task; what it has not indexed by now another node does, or the next start.
    pub(in crate::server::store::postgres) async fn finish(mut self) {
        self.task.abort();
        // It ends by being aborted, which is an error to who waits for it.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Following {
    connections: Connections,
    watch: HeadWatch,
    /// Rooms with something to index, and up to where; none when that is not known yet.
    pending: Option<BTreeMap<Group, i64>>,
}

/// What has become of a batch.
enum Batch {
    /// The room is indexed up to here.
    Reached(i64),
    /// Another node is at it.
    NotOurTurn,
}

impl Following {
    async fn run(mut self, news: Arc<Notify>) {
        let mut told = false;
        loop {
            match self.follow().await {
                Ok(()) => {
                    if told {
                        told = false;
                        tracing::info!("the index for searching can be kept again");
                    }
                    sleep(GATHER).await;
                    // Without news of this node's own it looks for others'.
                    let _ = timeout(LOOK_OUT, news.notified()).await;
                }
                Err(StoreError::Unavailable(cause)) => {
                    if !told {
                        told = true;
                        tracing::error!(%cause, "the index for searching cannot be kept; messages are stored all the same");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Indexes what is new, as long as it is this node's turn.
    async fn follow(&mut self) -> Result<(), StoreError> {
        let moved = self.watch.moved().await?;
        if self.pending.is_none() {
            // The watch begins at its first answer; what was there before is found out after it.
            self.pending = Some(self.unindexed().await?);
        }
        let Some(pending) = &mut self.pending else { return Ok(()) };
        for Moved { group, head, .. } in moved {
            pending.insert(group, i64::try_from(head.offset.0).unwrap_or(i64::MAX));
        }
        while let Some((group, head)) = pending.first_key_value().map(|(group, head)| (group.clone(), *head)) {
            match on(&self.connections, async |client| batch(client, &group).await).await? {
                Batch::NotOurTurn => return Ok(()),
                Batch::Reached(indexed) if indexed < head => {}
                Batch::Reached(_) => {
                    pending.remove(&group);
                }
            }
        }
        Ok(())
    }

    async fn unindexed(&self) -> Result<BTreeMap<Group, i64>, StoreError> {
        let rows = on(&self.connections, async |client| client.query(UNINDEXED, &[]).await).await?;
        rows.iter().map(|row| Ok((name(row, 0)?, row.get(1)))).collect()
    }
}

/// Does something on the connection. One that has failed, or does not answer in time, is not used again.
async fn on<T>(
    connections: &Connections,
    ask: impl AsyncFnOnce(&mut Object) -> Result<T, tokio_postgres::Error>,
) -> Result<T, StoreError> {
    let mut client = connections.get().await?;
    let failed = match timeout(ANSWER, ask(&mut client)).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(cause)) => StoreError::unavailable(with_causes(&cause)),
        Err(_) => StoreError::unavailable(format!("no answer within {} seconds", ANSWER.as_secs())),
    };
    drop(Object::take(client));
    Err(failed)
}

/// Indexes the next messages of a room.
async fn batch(client: &mut Object, group: &Group) -> Result<Batch, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let turn = transaction.prepare_cached(TAKE_TURN).await?;
    if !transaction.query_one(&turn, &[&TURN]).await?.get::<_, bool>(0) {
        return Ok(Batch::NotOurTurn);
    }
    let find = transaction.prepare_cached(STREAM).await?;
    let Some(stream) = transaction.query_opt(&find, &[&group.as_str()]).await? else {
        // The room is gone, and with it what there was to index.
        return Ok(Batch::Reached(i64::MAX));
    };
    let (room, indexed, newest, last): (i64, i64, i64, i64) = (stream.get(0), stream.get(1), stream.get(2), stream.get(3));
    let (first, known): (i64, i64) = (stream.get(4), stream.get(5));
    if known < first {
        let gone = transaction.prepare_cached(GONE).await?;
        transaction.execute(&gone, &[&room, &first]).await?;
    }
    let read = transaction.prepare_cached(ENTRIES).await?;
    let rows = transaction.query(&read, &[&room, &indexed, &BATCH]).await?;
    let reached: Option<i64> = rows.last().map(|row| row.get(0));
    let matters = rows.iter().filter(|row| row.get(3));
    // A message that is changed in the same batch is indexed once.
    let messages: BTreeMap<i64, Option<String>> =
        matters.map(|row| (row.get(1), row.get::<_, Option<String>>(2).map(unescape))).collect();
    let newest = if messages.is_empty() { None } else { settle(&transaction, room, last, &messages).await? }.unwrap_or(newest);
    if reached.is_some() || known < first {
        let note = transaction.prepare_cached(REACHED).await?;
        transaction.execute(&note, &[&room, &reached.unwrap_or(indexed), &newest, &first]).await?;
    }
    transaction.commit().await?;
    Ok(Batch::Reached(reached.unwrap_or(i64::MAX)))
}

/// Indexes messages of a room as they are now, whether for the first time or again; those without a text are no longer there. `last` is the
/// newest document of all; gives the newest one of these.
async fn settle(
    transaction: &Transaction<'_>,
    room: i64,
    last: i64,
    messages: &BTreeMap<i64, Option<String>>,
) -> Result<Option<i64>, tokio_postgres::Error> {
    let offsets: Vec<i64> = messages.keys().copied().collect();
    let forget = transaction.prepare_cached(FORGET).await?;
    transaction.execute(&forget, &[&room, &offsets]).await?;
    let (mut ids, mut places, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let there = messages.iter().filter_map(|(offset, text)| Some((offset, text.as_ref()?)));
    for (id, (offset, text)) in (last + 1..).zip(there) {
        let mut terms: Vec<String> = terms(text).into_iter().collect();
        terms.extend([room_term(room), stretch_term(id)]);
        ids.push(id);
        places.push(*offset);
        all.push(terms.join(" "));
    }
    let put = transaction.prepare_cached(PUT).await?;
    transaction.execute(&put, &[&room, &ids, &places, &all]).await?;
    Ok(ids.last().copied())
}
