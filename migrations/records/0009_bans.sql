-- Addresses from which guests are kept out for a time, of the whole server or of a room. A row goes when its time is over, so that no address
-- is kept for longer. Times are milliseconds since 1970.

CREATE TABLE address_bans (
    id       text NOT NULL PRIMARY KEY,
    -- One of IPv4, or a network of IPv6 of 64 bits.
    address  text NOT NULL,
    -- None of the whole server.
    room     text,
    -- People with accounts are kept out, too.
    accounts boolean NOT NULL,
    ends_at  bigint NOT NULL,
    made_at  bigint NOT NULL,
    by_id    text NOT NULL,
    by_name  text NOT NULL,
    -- Whom it is against, or why it was made.
    note     text NOT NULL
);

CREATE INDEX address_bans_by_end ON address_bans (ends_at);
