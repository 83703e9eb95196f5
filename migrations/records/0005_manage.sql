-- What administrators look after: the log of who did what, tokens for programs, announcements, what they switch, and invitations to the
-- server. Times are milliseconds since 1970.

CREATE TABLE audit_log (
    at           bigint NOT NULL,
    -- Of several in one millisecond.
    id           text NOT NULL,
    -- None where it was the server itself, or its command line.
    by_id        text,
    by_name      text NOT NULL,
    -- A word for it, such as `account.deactivated`.
    act          text NOT NULL,
    -- To whom or what it was done, if to anything: an account, a room, a token.
    subject_id   text,
    subject_name text,
    detail       text NOT NULL,
    PRIMARY KEY (at, id)
);

CREATE INDEX audit_log_by_subject ON audit_log (subject_id, at);
CREATE INDEX audit_log_by_actor ON audit_log (by_id, at);

-- How often any of the following was changed. Whoever changes one holds this row until that is committed, so a node that has seen a number
-- has seen all below it.
CREATE TABLE manage_changes (
    only_one bigint NOT NULL PRIMARY KEY CHECK (only_one = 1),
    changes  bigint NOT NULL
);

INSERT INTO manage_changes (only_one, changes) VALUES (1, 0);

-- Programs. A revoked one stays, so that it is known whose what it said was.
CREATE TABLE tokens (
    -- Of the program, as others see it.
    id         text NOT NULL PRIMARY KEY,
    name       text NOT NULL,
    -- SHA-256 of the token.
    digest     bytea NOT NULL UNIQUE,
    -- Patterns of the rooms that it is for, with a space between them.
    rooms      text NOT NULL,
    may_read   boolean NOT NULL,
    may_post   boolean NOT NULL,
    may_push   boolean NOT NULL,
    made_at    bigint NOT NULL,
    by_id      text NOT NULL,
    by_name    text NOT NULL,
    used_at    bigint,
    revoked_at bigint
);

CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;

-- The newest one that has not ended is shown.
CREATE TABLE announcements (
    id      text NOT NULL PRIMARY KEY,
    text    text NOT NULL,
    made_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    by_id   text NOT NULL,
    by_name text NOT NULL
);

-- What is not here is as the settings have it.
CREATE TABLE switches (
    name  text NOT NULL PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE sign_up_invitations (
    -- SHA-256 of the code, in hexadecimal digits.
    digest  text NOT NULL PRIMARY KEY,
    -- What whoever made it calls it.
    note    text NOT NULL,
    uses    bigint NOT NULL CHECK (uses >= 0),
    ends_at bigint NOT NULL,
    made_at bigint NOT NULL,
    by_id   text,
    by_name text NOT NULL,
    -- The account that has come by it last.
    last_by text
);
