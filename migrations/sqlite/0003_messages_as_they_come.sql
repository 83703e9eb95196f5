-- Messages lie on the disk in the order in which they came, whatever their rooms, and their keys in the order of the keys. What a
-- transaction changes then lies at the end of the table, at the end of the keys where these rise with time, and on one page a room of
-- the small index by offset: fewer than half of the pages that rooms stored one behind the other take.
CREATE TABLE messages_as_they_come (
    number      INTEGER PRIMARY KEY,
    room_id     INTEGER NOT NULL REFERENCES rooms (id) DEFERRABLE INITIALLY DEFERRED,
    offset      INTEGER NOT NULL,
    key         TEXT NOT NULL,
    author_id   TEXT NOT NULL,
    author_name TEXT NOT NULL,
    -- What it says now.
    text        TEXT NOT NULL,
    -- Milliseconds since 1970.
    at          INTEGER NOT NULL,
    -- When it was edited last, in milliseconds since 1970.
    edited      INTEGER,
    -- 1 when it was deleted; its text is empty then.
    deleted     INTEGER NOT NULL DEFAULT 0,
    -- The reactions as JSON, as they go over the wire; none when there are none.
    reactions   TEXT,
    -- The offset of its last change.
    changed     INTEGER
) STRICT;
INSERT INTO messages_as_they_come (room_id, offset, key, author_id, author_name, text, at, edited, deleted, reactions, changed)
    SELECT room_id, offset, key, author_id, author_name, text, at, edited, deleted, reactions, changed FROM messages;
DROP TABLE messages;
ALTER TABLE messages_as_they_come RENAME TO messages;

CREATE UNIQUE INDEX messages_by_offset ON messages (room_id, offset);
-- The key first: those of many authors who write at once stand together.
CREATE UNIQUE INDEX messages_by_key ON messages (key, author_id, room_id);
