-- `reactions` names some of those who have put an emoji, and counts all.

-- Who else has: eight bytes of a digest of emoji and person each, the first first. It stands last in the row, so that who reads what
-- is shown of a message does not read it.
ALTER TABLE messages ADD COLUMN reactors BLOB;
