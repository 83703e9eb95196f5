-- People with an account, what shows that they are it, and the links that say so once.
--
-- Of secrets there are digests alone: SHA-256 of what was drawn at random, argon2id of what people have chosen. Times are milliseconds
-- since 1970.

CREATE TABLE accounts (
    -- Of the person, as others see it. Whoever was a guest keeps the guest's.
    id             text NOT NULL PRIMARY KEY,
    -- As it was chosen, and in the form in which handles are compared.
    handle         text NOT NULL,
    folded         text NOT NULL UNIQUE,
    name           text NOT NULL,
    administrator  boolean NOT NULL,
    -- In the form of PHC strings; none for whoever signs in elsewhere.
    password       text,
    -- Of people of other sites: who vouches for them, and what that site calls them.
    origin         text,
    subject        text,
    created_at     bigint NOT NULL,
    deactivated_at bigint,
    UNIQUE (origin, subject)
);

CREATE INDEX accounts_by_age ON accounts (created_at);

CREATE TABLE sessions (
    -- What the account's owner and other nodes call it by; it opens nothing.
    id         text NOT NULL PRIMARY KEY,
    digest     bytea NOT NULL UNIQUE,
    -- Of the token that it had before, which is known for a moment longer: requests with it are on their way.
    previous   bytea,
    rotated_at bigint NOT NULL,
    account_id text NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- The browser and the system, for the list of devices.
    device     text NOT NULL,
    created_at bigint NOT NULL,
    used_at    bigint NOT NULL,
    ends_at    bigint NOT NULL
);

CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_previous ON sessions (previous);
CREATE INDEX sessions_by_end ON sessions (ends_at);

CREATE TABLE links (
    digest     bytea NOT NULL PRIMARY KEY,
    -- `setup`, `reset` or `device`.
    purpose    text NOT NULL,
    -- Whom it is for; none where it makes the first account.
    account_id text REFERENCES accounts (id) ON DELETE CASCADE,
    ends_at    bigint NOT NULL
);

CREATE INDEX links_by_account ON links (account_id);
