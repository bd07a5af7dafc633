-- title: {{ name }} takes what it should, and nothing else
-- why: The probes write to a temporary copy, so that nothing stays and no trigger fires. Each check raises where it does not
--   hold.

CREATE TEMP TABLE probe_{{ name }} (LIKE {{ name }} INCLUDING ALL) ON COMMIT DROP;

-- check: created_at fills in
DO $$
DECLARE
  actual timestamptz;
BEGIN
  INSERT INTO probe_{{ name }} (body) VALUES ('a') RETURNING created_at INTO actual;
  IF actual IS DISTINCT FROM now() THEN
    RAISE EXCEPTION '{{ name }}.created_at: expected %, found %', now(), actual;
  END IF;
END $$;

-- check: body is mandatory
DO $$
BEGIN
  INSERT INTO probe_{{ name }} (body) VALUES (NULL);
  RAISE EXCEPTION '{{ name }}.body: expected NULL to be rejected, and it was taken';
EXCEPTION WHEN not_null_violation THEN
  NULL;
END $$;
