-- The index of words. It is made of confab.db and can be made again, so a new version of it is a new file, not a migration.

-- How far the database was followed: rooms that were not touched later are indexed up to their heads.
CREATE TABLE followed (touched INTEGER NOT NULL) STRICT;
INSERT INTO followed VALUES (0);

-- The rooms, each up to which offset its stream is indexed and what its newest document is. `first` is the room's when documents before
-- it were looked for, and `replayable` the room's when this was begun: changes before that had been made of the messages already.
CREATE TABLE streams (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    epoch      TEXT NOT NULL,
    indexed    INTEGER NOT NULL,
    newest     INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    replayable INTEGER NOT NULL
) STRICT;

CREATE INDEX streams_by_newest ON streams (newest);

-- The messages, numbered in the order in which they were indexed.
CREATE TABLE documents (
    id        INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL,
    offset    INTEGER NOT NULL,
    UNIQUE (stream_id, offset)
) STRICT;

-- Which documents have a term. The terms come ready made: `ascii` only parts them at the spaces. Where in a message a term stands is
-- found out from the message. Beginnings of 3 to 6 letters are kept as if they were terms; few words have a longer one in common.
CREATE VIRTUAL TABLE words USING fts5 (
    terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii', prefix = '3 4 5 6'
);
