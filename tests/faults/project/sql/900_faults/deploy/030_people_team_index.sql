-- title: Index people.team_id
-- why: A block outside a transaction: when it is interrupted, an index stays behind that is not valid.
-- transaction: no

CREATE INDEX CONCURRENTLY people_team ON people (team_id);
