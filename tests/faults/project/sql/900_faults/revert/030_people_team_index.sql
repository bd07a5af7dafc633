-- title: Drop the index of people.team_id
-- transaction: no

DROP INDEX CONCURRENTLY people_team;
