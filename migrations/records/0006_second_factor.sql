-- The second factor of accounts: what an authenticator app knows, and codes on paper for when the app is lost.

CREATE TABLE second_factors (
    account_id text NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    -- Codes are computed from it, so it stands here as it is. Without the password it opens nothing.
    secret     bytea NOT NULL,
    -- When it was switched on, in milliseconds since 1970; none as long as it is being set up.
    since      bigint,
    -- The half minute of the last code that was taken: no code is taken twice.
    last_step  bigint NOT NULL
);

CREATE TABLE recovery_codes (
    account_id text NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- SHA-256 of 80 random bits. A row goes when its code is used.
    digest     bytea NOT NULL,
    PRIMARY KEY (account_id, digest)
);
