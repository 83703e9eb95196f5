-- Rooms and their messages. A room's stream is an epoch and offsets that rise by one from 1.

-- What belongs to the database as a whole. `seed`: from it and a room's name follows the room's epoch, so that the epoch of a
-- room is known before its first message makes the room.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES ('seed', randomblob(16));

CREATE TABLE rooms (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    epoch    TEXT NOT NULL UNIQUE,
    -- The offset of the newest message.
    head     INTEGER NOT NULL CHECK (head > 0),
    -- The number of the newest message among all of the database, so that rooms sort by activity whatever the clock does.
    activity INTEGER NOT NULL
) STRICT;

CREATE INDEX rooms_by_activity ON rooms (activity);

-- Stored in the order of the primary key: a page of a room lies together on the disk.
-- The room's row is written after its messages, once for all of a transaction: hence the deferred reference.
CREATE TABLE messages (
    room_id     INTEGER NOT NULL REFERENCES rooms (id) DEFERRABLE INITIALLY DEFERRED,
    offset      INTEGER NOT NULL,
    key         TEXT NOT NULL,
    author_id   TEXT NOT NULL,
    author_name TEXT NOT NULL,
    text        TEXT NOT NULL,
    -- Milliseconds since 1970.
    at          INTEGER NOT NULL,
    PRIMARY KEY (room_id, offset),
    UNIQUE (room_id, author_id, key)
) STRICT, WITHOUT ROWID;
