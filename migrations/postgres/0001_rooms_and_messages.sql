-- Rooms and their messages, in a schema of their own. A room's stream is an epoch and offsets that rise by one from 1.
--
-- PostgreSQL's text cannot hold U+0000. In texts that people made, U+0001 is followed by a letter and stands for one of the two:
-- "\u0001a" for U+0000, "\u0001b" for U+0001 itself.

CREATE TABLE rooms (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text COLLATE "C" NOT NULL UNIQUE,
    epoch    text NOT NULL UNIQUE,
    -- The offset of the newest message. A room without one is in the middle of the transaction that makes it.
    head     bigint NOT NULL DEFAULT 0,
    -- Rises from message to message over all rooms, so that rooms sort by activity whatever the clock does.
    activity bigint NOT NULL DEFAULT 0,
    -- The transaction that wrote the newest message: tells other nodes which rooms have moved on.
    touched  bigint NOT NULL DEFAULT 0
);

CREATE INDEX rooms_by_activity ON rooms (activity);
CREATE INDEX rooms_by_touch ON rooms (touched);

CREATE TABLE messages (
    room_id     bigint NOT NULL REFERENCES rooms (id),
    "offset"    bigint NOT NULL,
    -- What makes it the same message when it is sent again: SHA-256 of the author's id and the key, which may be long.
    digest      bytea NOT NULL,
    key         text NOT NULL,
    author_id   text NOT NULL,
    author_name text NOT NULL,
    text        text NOT NULL,
    -- Milliseconds since 1970.
    at          bigint NOT NULL,
    PRIMARY KEY (room_id, "offset"),
    UNIQUE (room_id, digest)
);

-- Numbers the transactions that write messages; `activity` is made from it.
CREATE SEQUENCE batches;
