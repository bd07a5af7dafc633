-- Version 8 of the ledger: which blocks have changed what is not in the schema of their run, as runs in other schemas have to
-- know of it. Of one schema among thousands, the rows of all others need not be read for that.
CREATE INDEX blocks_elsewhere ON pgrunbook.blocks (id)
 WHERE jsonb_path_exists(effect, 'strict $[*] ? (!exists (@[1, 4] ? (@ starts with $in || @ == $is)))',
                         jsonb_object(ARRAY['is', quote_ident(schema_name), 'in', quote_ident(schema_name) || '.']));
CREATE INDEX blocks_schema_name ON pgrunbook.blocks (schema_name, id);
COMMENT ON INDEX pgrunbook.blocks_elsewhere IS 'Rows of blocks that have changed an object which neither is in the schema of their run, nor part of one that is.';
COMMENT ON INDEX pgrunbook.blocks_schema_name IS 'Rows of the runs in a schema.';
