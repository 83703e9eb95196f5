-- Up to where people with accounts have read a room. Of each person those rooms are kept that were read last.

CREATE TABLE room_reads (
    person text NOT NULL,
    room   text NOT NULL,
    -- Of the room's stream in which that was; in another one it says nothing.
    epoch  text NOT NULL,
    read   bigint NOT NULL,
    -- When that was, in milliseconds since 1970,
    at     bigint NOT NULL,
    -- and when it was set back last: what was read before that does not count any more.
    back   bigint NOT NULL,
    PRIMARY KEY (person, room)
);

CREATE INDEX room_reads_by_time ON room_reads (person, at);
