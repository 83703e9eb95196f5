//! The index of words: `search.db`, a database beside `confab.db` that is made of it and can be made again.
//!
//! It is another file so that indexing shares no transaction, no log and no lock with what is committed. How far it has come is
//! written together with what was indexed, so after a crash it goes on where it was.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};

use crate::{
    server::{
        search::{room_term, terms},
        store::sqlite::{condition::is_damage, reader::name},
    },
    wire::{Epoch, Group},
};

/// The name of the index in the folder of its store.
pub(in crate::server::store::sqlite) const INDEX: &str = "search.db";
/// "Cnfs", as it stands in the header of the file.
const APPLICATION_ID: i64 = 0x436e_6673;
/// What the file holds and how texts become terms. With another number it is made anew.
const VERSION: i64 = 3;
const SCHEMA: &str = include_str!("index.sql");

/// Why the index is not there.
#[derive(Debug)]
pub(in crate::server::store::sqlite) enum Fault {
    /// It does not belong to the database, or cannot be read: it has to be made anew.
    Useless(String),
    /// It cannot be written, read or made now.
    Unavailable(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(cause: rusqlite::Error) -> Self {
        if is_damage(&cause) { Self::Useless(cause.to_string()) } else { Self::Unavailable(cause.to_string()) }
    }
}

impl From<io::Error> for Fault {
    fn from(cause: io::Error) -> Self {
        Self::Unavailable(cause.to_string())
    }
}

/// The index, open for writing.
#[derive(Debug)]
pub(in crate::server::store::sqlite) struct Index(Connection);

impl Index {
    /// Opens the index in the folder, or makes an empty one where there is none.
    pub(in crate::server::store::sqlite) fn open(folder: &Path) -> Result<Self, Fault> {
        let file = folder.join(INDEX);
        let is_new = !file.try_exists()?;
        if is_new {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        }
        let mut connection =
            Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // A commit does not wait for the disk: what a power cut undoes is indexed again.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
        connection.pragma_update(None, "secure_delete", true)?;
        connection.set_prepared_statement_cache_capacity(16);
        if is_new {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
        let found = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
        if found != (APPLICATION_ID, VERSION) {
            return Err(Fault::Useless("it is of another version".to_owned()));
        }
        Ok(Self(connection))
    }

    /// Removes whatever is in its place, so that it is made anew.
    pub(in crate::server::store::sqlite) fn remove(folder: &Path) -> io::Result<()> {
        for part in ["", "-wal", "-shm", "-journal"] {
            match fs::remove_file(folder.join(format!("{INDEX}{part}"))) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether it is made of this database: another may have been put in its place, a copy from earlier for instance.
    pub(in crate::server::store::sqlite) fn check(&self, store: &Connection) -> Result<(), Fault> {
        let stranger = || Fault::Useless("it was made of another database".to_owned());
        let last: i64 = store.query_row("SELECT ifnull(max(touched), 0) FROM rooms", [], |row| row.get(0))?;
        let followed: i64 = self.0.query_row("SELECT touched FROM followed", [], |row| row.get(0))?;
        let mut there = store.prepare("SELECT head, first, replayable FROM rooms WHERE name = ?1 AND epoch = ?2")?;
        let mut streams = self.0.prepare("SELECT name, epoch, indexed, replayable FROM streams")?;
        let mut rows = streams.query([])?;
        while let Some(row) = rows.next()? {
            let (name, epoch): (String, String) = (row.get(0)?, row.get(1)?);
            let (indexed, begun): (i64, i64) = (row.get(2)?, row.get(3)?);
            let room = there.query_row([name, epoch], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
            let Some((_, first, replayable)): Option<(i64, i64, i64)> = room.filter(|(head, ..)| *head >= indexed) else {
                return Err(stranger());
            };
            if replayable > first.max(begun).max(indexed + 1) {
                return Err(Fault::Useless("changes that it has not followed are gone".to_owned()));
            }
        }
        if followed > last { Err(stranger()) } else { Ok(()) }
    }

    /// Begins to write.
    pub(in crate::server::store::sqlite) fn begin(&mut self) -> rusqlite::Result<Indexing<'_>> {
        let transaction = self.0.transaction()?;
        let next = transaction.query_row("SELECT ifnull(max(id), 0) + 1 FROM documents", [], |row| row.get(0))?;
        Ok(Indexing { transaction, next })
    }
}

/// What is indexed at once, with how far that is.
pub(in crate::server::store::sqlite) struct Indexing<'c> {
    transaction: Transaction<'c>,
    /// The number of the next document.
    next: i64,
}

/// A room in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server::store::sqlite) struct Stream {
    id: i64,
    /// Everything up to here is indexed.
    pub(in crate::server::store::sqlite) indexed: i64,
    /// No document stands before here.
    pub(in crate::server::store::sqlite) first: i64,
}

impl Indexing<'_> {
    /// How far the database was followed.
    pub(in crate::server::store::sqlite) fn followed(&self) -> rusqlite::Result<i64> {
        self.transaction.query_row("SELECT touched FROM followed", [], |row| row.get(0))
    }

    /// The stream of a room, whose entries are held from `replayable` on; a new one where the index has none.
    pub(in crate::server::store::sqlite) fn stream(
        &self,
        group: &Group,
        epoch: &Epoch,
        replayable: i64,
    ) -> Result<Stream, Fault> {
        const FIND: &str = "SELECT id, epoch, indexed, first FROM streams WHERE name = ?1";
        const MAKE: &str = "INSERT INTO streams (name, epoch, indexed, newest, first, replayable) VALUES (?1, ?2, 0, 0, 1, ?3)";
        let found = self.transaction.prepare_cached(FIND)?.query_row([group.as_str()], |row| {
            Ok((Stream { id: row.get(0)?, indexed: row.get(2)?, first: row.get(3)? }, name::<Epoch>(row, 1)?))
        });
        match found.optional()? {
            Some((stream, known)) if known == *epoch => Ok(stream),
            Some(_) => Err(Fault::Useless("a room was begun anew".to_owned())),
            None => {
                self.transaction.prepare_cached(MAKE)?.execute(params![group.as_str(), epoch.as_str(), replayable])?;
                Ok(Stream { id: self.transaction.last_insert_rowid(), indexed: 0, first: 1 })
            }
        }
    }

    /// Indexes a message as it is now, whether for the first time or again; without a text where it is no longer there.
    pub(in crate::server::store::sqlite) fn settle(
        &mut self,
        stream: Stream,
        offset: i64,
        text: Option<&str>,
    ) -> rusqlite::Result<()> {
        let document = self.document(stream, offset)?;
        if let Some(id) = document {
            self.transaction.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([id])?;
        }
        match (document, text) {
            (Some(id), Some(text)) => self.put(stream, id, text),
            (Some(id), None) => {
                self.transaction.prepare_cached("DELETE FROM documents WHERE id = ?1")?.execute([id])?;
                Ok(())
            }
            (None, Some(text)) => {
                const ADD: &str = "INSERT INTO documents (id, stream_id, offset) VALUES (?1, ?2, ?3)";
                let id = self.next;
                self.next += 1;
                self.transaction.prepare_cached(ADD)?.execute([id, stream.id, offset])?;
                self.transaction.prepare_cached("UPDATE streams SET newest = ?2 WHERE id = ?1")?.execute([stream.id, id])?;
                self.put(stream, id, text)
            }
            (None, None) => Ok(()),
        }
    }

    /// Forgets the messages before an offset: the room holds them no more.
    pub(in crate::server::store::sqlite) fn forget(&mut self, stream: Stream, first: i64) -> rusqlite::Result<()> {
        const GONE: &str = "SELECT id FROM documents WHERE stream_id = ?1 AND offset < ?2";
        let gone: Vec<i64> = self
            .transaction
            .prepare_cached(GONE)?
            .query_map([stream.id, first], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in gone {
            self.transaction.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([id])?;
            self.transaction.prepare_cached("DELETE FROM documents WHERE id = ?1")?.execute([id])?;
        }
        self.transaction.prepare_cached("UPDATE streams SET first = ?2 WHERE id = ?1")?.execute([stream.id, first])?;
        Ok(())
    }

    /// Puts a document under its terms.
    fn put(&self, stream: Stream, id: i64, text: &str) -> rusqlite::Result<()> {
        let mut all = room_term(stream.id);
        for term in terms(text) {
            all.push(' ');
            all.push_str(&term);
        }
        self.transaction.prepare_cached("INSERT INTO words (rowid, terms) VALUES (?1, ?2)")?.execute(params![id, all])?;
        Ok(())
    }

    fn document(&self, stream: Stream, offset: i64) -> rusqlite::Result<Option<i64>> {
        const FIND: &str = "SELECT id FROM documents WHERE stream_id = ?1 AND offset = ?2";
        self.transaction.prepare_cached(FIND)?.query_row([stream.id, offset], |row| row.get(0)).optional()
    }

    /// Notes how far a stream is indexed.
    pub(in crate::server::store::sqlite) fn reached(&self, stream: Stream, indexed: i64) -> rusqlite::Result<()> {
        self.transaction.prepare_cached("UPDATE streams SET indexed = ?2 WHERE id = ?1")?.execute([stream.id, indexed])?;
        Ok(())
    }

    /// Notes how far the database was followed, and makes it all last.
    pub(in crate::server::store::sqlite) fn commit(self, followed: i64) -> rusqlite::Result<()> {
        self.transaction.execute("UPDATE followed SET touched = ?1", [followed])?;
        self.transaction.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(index: &Index, question: &str) -> Vec<i64> {
        let mut statement =
            index.0.prepare("SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rowid").expect("a statement");
        statement.query_map([question], |row| row.get(0)).and_then(Iterator::collect).expect("rows")
    }

    #[test]
    fn a_message_is_indexed_again_with_its_new_text_and_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut index = Index::open(folder.path()).expect("an index");
        let (group, epoch) = ("lobby".parse().expect("a group"), "e".parse().expect("an epoch"));
        let mut indexing = index.begin().expect("a transaction");
        let stream = indexing.stream(&group, &epoch, 1).expect("a stream");
        for (offset, text) in [(1, "green tea"), (2, "black tea"), (1, "中文"), (3, "tea")] {
            indexing.settle(stream, offset, Some(text)).expect("indexed");
        }
        indexing.settle(stream, 3, None).expect("forgotten");
        indexing.settle(stream, 9, None).expect("nothing to forget");
        indexing.reached(stream, 3).expect("noted");
        indexing.commit(7).expect("committed");
        for (question, expected) in [("tea", vec![2]), ("green", vec![]), ("中文", vec![1]), ("te*", vec![2]), ("gre*", vec![])]
        {
            assert_eq!(documents(&index, question), expected, "{question}");
        }
        let mut indexing = index.begin().expect("a transaction");
        assert_eq!(indexing.followed().expect("a number"), 7);
        let stream = indexing.stream(&group, &epoch, 1).expect("a stream");
        assert_eq!(stream.indexed, 3);
        indexing.settle(stream, 4, Some("new tea")).expect("indexed");
        indexing.commit(8).expect("committed");
        assert_eq!(documents(&index, "tea"), [2, 3]);
        assert_eq!(documents(&index, &format!("\"{}\"", room_term(stream.id))), [1, 2, 3]);
        let mut indexing = index.begin().expect("a transaction");
        indexing.forget(stream, 3).expect("forgotten");
        assert_eq!(indexing.stream(&group, &epoch, 1).expect("a stream").first, 3);
        indexing.commit(9).expect("committed");
        assert_eq!(documents(&index, &format!("\"{}\"", room_term(stream.id))), [3]);
    }

    #[test]
    fn what_was_not_committed_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut index = Index::open(folder.path()).expect("an index");
        let mut indexing = index.begin().expect("a transaction");
        let stream = indexing.stream(&"lobby".parse().expect("a group"), &"e".parse().expect("an epoch"), 1).expect("a stream");
        indexing.settle(stream, 1, Some("tea")).expect("indexed");
        drop(indexing);
        drop(index);
        let mut index = Index::open(folder.path()).expect("the same index");
        assert_eq!(documents(&index, "tea"), [0_i64; 0]);
        assert_eq!(index.begin().and_then(|indexing| indexing.followed()).expect("a number"), 0);
    }
}
