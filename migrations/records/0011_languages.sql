-- The language that somebody has chosen for all of their browsers, as `lang` says it; none where what each browser asks for counts.
ALTER TABLE accounts ADD COLUMN language text;
