-- title: Add people.nickname
-- why: An existing table. Without IF NOT EXISTS, so that a block applied twice fails.
-- requires: people (name)

ALTER TABLE people ADD COLUMN nickname TEXT NOT NULL DEFAULT '';

COMMENT ON COLUMN people.nickname IS 'What the person is called';
