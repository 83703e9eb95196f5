-- `reactions` names some of those who have put an emoji, and counts all.

-- Who else has: eight bytes of a digest of emoji and person each, the first first.
ALTER TABLE messages ADD COLUMN reactors bytea;
