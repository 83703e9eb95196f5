-- Of a room's changes only the newest are kept; the messages are as the others have made them.

-- The smallest offset from which on all entries are held, changes too; `first` is that of the messages.
ALTER TABLE rooms ADD COLUMN replayable bigint NOT NULL DEFAULT 1;
UPDATE rooms SET replayable = first;

-- What the room's `first` was when the documents before it were looked for.
ALTER TABLE search_streams ADD COLUMN first bigint NOT NULL DEFAULT 1;
