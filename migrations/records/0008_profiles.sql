-- How people with an account are seen by others: when that was changed, and the handles that they had before.

-- In milliseconds since 1970, as all times here; it rises with each change of a row, whatever the clocks of nodes say.
ALTER TABLE accounts ADD COLUMN changed_at bigint NOT NULL DEFAULT 0;

UPDATE accounts SET changed_at = created_at;

DROP INDEX accounts_by_age;

CREATE INDEX accounts_by_change ON accounts (changed_at);

CREATE TABLE former_handles (
    -- In the form in which handles are compared.
    folded     text NOT NULL PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- Until then nobody else gets it.
    until      bigint NOT NULL
);

CREATE INDEX former_handles_by_account ON former_handles (account_id);
