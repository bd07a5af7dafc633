-- title: Create notes
-- why: A table of its own, with an index and a key to a table that is in use.

CREATE TABLE notes (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  team_id BIGINT NOT NULL REFERENCES teams (id),
  body TEXT NOT NULL DEFAULT ''
);

CREATE INDEX notes_team ON notes (team_id);

COMMENT ON TABLE notes IS 'What teams want to remember';
