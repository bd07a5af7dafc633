-- title: Deals are found by their batch
-- why: The planner is asked about a temporary copy without rows that has this index alone, and may not read the whole table:
--   so neither the rows of deals nor its other indexes decide.

-- check: idx_deals_import_batch is valid
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_index WHERE indexrelid = to_regclass('idx_deals_import_batch') AND indisvalid AND indisready
  ) THEN
    RAISE EXCEPTION 'idx_deals_import_batch: expected a valid index, found %',
      coalesce((SELECT 'one that is not valid' FROM pg_class WHERE oid = to_regclass('idx_deals_import_batch')), 'none');
  END IF;
END $$;

CREATE TEMP TABLE probe_deals (LIKE deals) ON COMMIT DROP;

-- check: looking up the deals of a batch can use it
DO $$
DECLARE
  definition constant text := pg_get_indexdef(to_regclass('idx_deals_import_batch'));
  plan text := '';
  line text;
BEGIN
  EXECUTE regexp_replace(definition, ' ON .+? USING ', ' ON probe_deals USING ');
  PERFORM set_config('enable_seqscan', 'off', true);
  FOR line IN
    EXPLAIN SELECT FROM probe_deals WHERE source = 'csv_import' AND source_data ->> 'import_batch_id' = 'x'
  LOOP
    plan := plan || line || E'\n';
  END LOOP;
  IF plan NOT LIKE '%idx_deals_import_batch%' THEN
    RAISE EXCEPTION 'deals: expected a plan with idx_deals_import_batch, found %', plan;
  END IF;
END $$;
