-- title: Drop people.nickname

ALTER TABLE people DROP COLUMN nickname;
