-- title: Drop stage_mappings
-- why: Takes with it every mapping that a workspace made.

DROP TABLE stage_mappings;
