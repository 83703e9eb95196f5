-- Messages may be edited, deleted and reacted to. A change is an entry of the room's stream like a message, with an offset of its
-- own; the message holds what it says now.

-- The offset of the newest message; `head` is that of the newest entry. 0 when no message is held.
ALTER TABLE rooms ADD COLUMN latest bigint NOT NULL DEFAULT 0;
UPDATE rooms SET latest = head;

-- The smallest offset that is held; what was before is gone.
ALTER TABLE rooms ADD COLUMN first bigint NOT NULL DEFAULT 1;

ALTER TABLE messages
    -- When it was edited last, in milliseconds since 1970.
    ADD COLUMN edited bigint,
    -- Its text is empty then.
    ADD COLUMN deleted boolean NOT NULL DEFAULT false,
    -- The reactions as JSON, as they go over the wire; none when there are none. JSON writes U+0000 and U+0001 as escapes.
    ADD COLUMN reactions text,
    -- The offset of its last change.
    ADD COLUMN changed bigint;

CREATE TABLE changes (
    room_id     bigint NOT NULL REFERENCES rooms (id),
    "offset"    bigint NOT NULL,
    -- The offset of the message. What an edit has made of it stands there, and only there: so what is deleted is gone.
    target      bigint NOT NULL,
    -- When, in milliseconds since 1970.
    at          bigint NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('edit', 'delete', 'react', 'unreact')),
    -- Of a reaction: what, and whose.
    emoji       text,
    author_id   text,
    author_name text,
    PRIMARY KEY (room_id, "offset")
);
