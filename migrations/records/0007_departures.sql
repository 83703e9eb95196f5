-- People who go for good. The row stays as their account does, of which nothing is left but its id: so that is nobody else's.

CREATE TABLE departures (
    account_id text NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    -- What becomes of what they have said.
    said       text NOT NULL CHECK (said IN ('stays', 'goes')),
    at         bigint NOT NULL,
    -- When all that they leave behind was in order, in milliseconds since 1970; none as long as something is not.
    finished   bigint
);
