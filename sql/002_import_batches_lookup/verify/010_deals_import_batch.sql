-- title: Deals are found by their batch
-- why: The planner is asked about a temporary copy without rows that has this index alone, and may not read the whole table:
--   so neither the rows of deals nor its other indexes decide.

CREATE TEMP TABLE probe_deals (LIKE deals) ON COMMIT DROP;

-- check: the look-up of a batch's deals can use the index
DO $$
DECLARE
  definition constant text := (
    SELECT pg_get_indexdef(indexrelid)
      FROM pg_index
     WHERE indexrelid = to_regclass('idx_deals_import_batch') AND indisvalid);
  plan text := '';
  line text;
BEGIN
  IF definition IS NULL THEN
    RAISE EXCEPTION 'idx_deals_import_batch: expected a valid index, found none';
  END IF;
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
