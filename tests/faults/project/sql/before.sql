-- What the target holds before runbook 900.
CREATE TABLE teams (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name TEXT NOT NULL
);

CREATE TABLE people (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  team_id BIGINT NOT NULL REFERENCES teams (id),
  name TEXT NOT NULL
);

INSERT INTO teams (name) VALUES ('red'), ('blue');
INSERT INTO people (team_id, name) SELECT 1 + n % 2, 'person ' || n FROM generate_series(1, 100) AS n;
