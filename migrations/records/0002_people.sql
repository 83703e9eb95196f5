-- What people are called now who have put a reaction and have taken another name since. Who a guest is and what they are called says their
-- own cookie; this is for when others are shown them. With the last of their reactions it goes.
--
-- A server of an earlier version leaves it alone.

CREATE TABLE people (
    id   text NOT NULL PRIMARY KEY,
    name text NOT NULL
);

CREATE INDEX reactions_by_person ON reactions (person_id);
