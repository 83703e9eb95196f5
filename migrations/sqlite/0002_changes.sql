-- Messages may be edited, deleted and reacted to. A change is an entry of the room's stream like a message, with an offset of its
-- own; the message holds what it says now.

-- The offset of the newest message; `head` is that of the newest entry. 0 when no message is held.
ALTER TABLE rooms ADD COLUMN latest INTEGER NOT NULL DEFAULT 0;
UPDATE rooms SET latest = head;

-- The smallest offset that is held; what was before is gone.
ALTER TABLE rooms ADD COLUMN first INTEGER NOT NULL DEFAULT 1;

-- Rises from entry to entry over all rooms: tells who follows the streams which rooms have moved on.
ALTER TABLE rooms ADD COLUMN touched INTEGER NOT NULL DEFAULT 0;
UPDATE rooms SET touched = activity;
CREATE INDEX rooms_by_touch ON rooms (touched);

-- When it was edited last, in milliseconds since 1970.
ALTER TABLE messages ADD COLUMN edited INTEGER;
-- 1 when it was deleted; its text is empty then.
ALTER TABLE messages ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
-- The reactions as JSON, as they go over the wire; none when there are none.
ALTER TABLE messages ADD COLUMN reactions TEXT;
-- The offset of its last change.
ALTER TABLE messages ADD COLUMN changed INTEGER;

CREATE TABLE changes (
    room_id     INTEGER NOT NULL REFERENCES rooms (id) DEFERRABLE INITIALLY DEFERRED,
    offset      INTEGER NOT NULL,
    -- The offset of the message. What an edit has made of it stands there, and only there: so what is deleted is gone.
    target      INTEGER NOT NULL,
    -- When, in milliseconds since 1970.
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('edit', 'delete', 'react', 'unreact')),
    -- Of a reaction: what, and whose.
    emoji       TEXT,
    author_id   TEXT,
    author_name TEXT,
    PRIMARY KEY (room_id, offset)
) STRICT, WITHOUT ROWID;
