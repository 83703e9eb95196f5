-- The index of words. It is made of the messages and can be made again: whoever empties both tables has that done.
--
-- Nothing here refers to `rooms` or `messages` by a constraint: that would lock rows which those who write messages need.

-- Up to which offset a room's stream is indexed, and what its newest document is.
CREATE TABLE search_streams (
    room_id bigint PRIMARY KEY,
    indexed bigint NOT NULL,
    newest  bigint NOT NULL
);

CREATE INDEX search_streams_by_newest ON search_streams (newest);

-- The messages, numbered in the order in which they were indexed. The terms come ready made; among them are one for the room and one
-- for the stretch of 16384 documents in which this one is.
CREATE TABLE search_documents (
    id       bigint PRIMARY KEY,
    room_id  bigint NOT NULL,
    "offset" bigint NOT NULL,
    terms    tsvector NOT NULL,
    UNIQUE (room_id, "offset")
);

-- What is new waits in a list that each search looks through, so it is kept short (in kB).
CREATE INDEX search_documents_by_term ON search_documents USING gin (terms) WITH (gin_pending_list_limit = 512);
