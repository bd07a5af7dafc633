-- title: Drop {{ name }}
-- why: Takes with it what the table holds.

DROP TABLE {{ name }};
