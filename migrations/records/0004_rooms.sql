-- Rooms that somebody owns: what each is, who is in it, who is kept out, who was invited, and what was done. A room without a row here is
-- nobody's, and as the rules of the settings say.

-- How often any of them was changed. Whoever changes one holds this row until that is committed, so the numbers rise in the order of the
-- commits, and a node that has seen one has seen all below it.
CREATE TABLE room_changes (
    only_one bigint NOT NULL PRIMARY KEY CHECK (only_one = 1),
    changes  bigint NOT NULL
);

INSERT INTO room_changes (only_one, changes) VALUES (1, 0);

CREATE TABLE room_records (
    room     text NOT NULL PRIMARY KEY,
    kind     text NOT NULL CHECK (kind IN ('open', 'closed', 'direct')),
    title    text NOT NULL,
    topic    text NOT NULL,
    posting  text NOT NULL CHECK (posting IN ('everybody', 'members', 'moderators')),
    -- Of a direct room the ids of its people in their order: there is one for each set of people.
    people   text UNIQUE,
    made     bigint NOT NULL,
    -- Milliseconds since 1970, as all times here.
    archived bigint,
    -- The row stays, so that the name is never another room's.
    deleted  bigint,
    -- The number of its last change.
    changed  bigint NOT NULL
);

CREATE INDEX room_records_by_change ON room_records (changed);

CREATE TABLE room_members (
    room   text NOT NULL REFERENCES room_records (room),
    person text NOT NULL,
    -- What they were called when they came.
    name   text NOT NULL,
    role   text NOT NULL CHECK (role IN ('owner', 'moderator', 'member', 'read_only')),
    -- Until when they are muted.
    muted  bigint,
    joined bigint NOT NULL,
    PRIMARY KEY (room, person)
);

CREATE INDEX room_members_by_person ON room_members (person);

-- A room has one owner at most.
CREATE UNIQUE INDEX room_owners ON room_members (room) WHERE role = 'owner';

CREATE TABLE room_bans (
    room   text NOT NULL REFERENCES room_records (room),
    person text NOT NULL,
    name   text NOT NULL,
    at     bigint NOT NULL,
    PRIMARY KEY (room, person)
);

CREATE INDEX room_bans_by_person ON room_bans (person);

CREATE TABLE room_invitations (
    -- SHA-256 of the code, in hexadecimal digits: whoever reads the table cannot use it.
    digest   text NOT NULL PRIMARY KEY,
    room     text NOT NULL REFERENCES room_records (room),
    role     text NOT NULL CHECK (role IN ('moderator', 'member', 'read_only')),
    -- Never where there is none.
    expires  bigint,
    -- How many may still use it; without a bound where there is none.
    uses     bigint CHECK (uses >= 0),
    made     bigint NOT NULL,
    by_id    text NOT NULL,
    by_name  text NOT NULL,
    -- The number of the change by which it was used last.
    last_use bigint
);

CREATE INDEX room_invitations_by_room ON room_invitations (room);

CREATE TABLE room_log (
    room         text NOT NULL REFERENCES room_records (room),
    -- The number of the change.
    number       bigint NOT NULL,
    at           bigint NOT NULL,
    by_id        text NOT NULL,
    by_name      text NOT NULL,
    act          text NOT NULL,
    -- To whom it was done, if to somebody.
    subject_id   text,
    subject_name text,
    detail       text NOT NULL,
    PRIMARY KEY (room, number)
);
