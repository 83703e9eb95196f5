-- Who has put which emoji to a message: each once, however many they are. What is shown of them, the counts and a sample, stands with the
-- message (`reactions`).
--
-- Statements of this folder are the same for SQLite and PostgreSQL.

CREATE TABLE reactions (
    room_id   bigint NOT NULL,
    "offset"  bigint NOT NULL,
    person_id text NOT NULL,
    emoji     text NOT NULL,
    -- What the person was called then.
    name      text NOT NULL,
    PRIMARY KEY (room_id, person_id, "offset", emoji),
    -- With the message they go.
    FOREIGN KEY (room_id, "offset") REFERENCES messages (room_id, "offset") ON DELETE CASCADE
);

CREATE INDEX reactions_by_message ON reactions (room_id, "offset");

-- Of those whom an earlier version has counted without a name all that is known is a digest each; these stay. A server of that version,
-- which would write further ones here, finds no such column and refuses.
ALTER TABLE messages RENAME COLUMN reactors TO unnamed;
