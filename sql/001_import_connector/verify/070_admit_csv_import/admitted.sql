-- title: The column accepts the value, and nonsense only if it did before
-- why: The proof is an INSERT. It goes into a copy of the column, with its CHECKs and the other columns that these
--   read: so no trigger fires, no sequence moves, and what else a row needs does not matter. Foreign keys are not
--   copied: their lookup tables are asked. Leaves nothing behind.
-- usage: psql -1 -v ON_ERROR_STOP=1 -v table=deals -v column=source -v value=csv_import -v nonsense=no_such_source
--   -v nonsense_rejected=true -f admitted.sql

SELECT set_config('pgrunbook.table', quote_ident(:'table'), true),
       set_config('pgrunbook.column', :'column', true),
       set_config('pgrunbook.value', :'value', true),
       set_config('pgrunbook.nonsense', :'nonsense', true),
       set_config('pgrunbook.nonsense_rejected', :'nonsense_rejected', true),
       set_config('pgrunbook.others', '', true);

CREATE TEMP TABLE probe_admitted (LIKE :"table" INCLUDING DEFAULTS) ON COMMIT DROP;

DO $$
DECLARE
  original constant regclass := current_setting('pgrunbook.table');
  probed constant text := current_setting('pgrunbook.column');
  checks constant oid[] := ARRAY(
    SELECT pg_constraint.oid
      FROM pg_constraint
      JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
     WHERE conrelid = original AND contype = 'c' AND attname = probed
       AND 0 <> ALL (conkey)); -- 0 is a whole row: see below
  others constant text[] := ARRAY(
    SELECT DISTINCT attname::text
      FROM pg_constraint
      JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
     WHERE pg_constraint.oid = ANY (checks) AND attname <> probed);
  change text;
BEGIN
  FOR change IN
    SELECT format(CASE WHEN attname = ANY (others) THEN 'ALTER %I DROP NOT NULL' ELSE 'DROP %I' END, attname)
      FROM pg_attribute
     WHERE attrelid = 'probe_admitted'::regclass AND attnum > 0 AND attname <> probed
     UNION ALL
    SELECT format('ALTER %I DROP DEFAULT', attname)
      FROM pg_attrdef
      JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
     WHERE adrelid = 'probe_admitted'::regclass AND attname = ANY (others)
       AND pg_get_expr(adbin, adrelid) LIKE '%nextval(%'
     UNION ALL
    SELECT format('ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
      FROM pg_constraint
     WHERE oid = ANY (checks)
  LOOP
    EXECUTE 'ALTER TABLE probe_admitted ' || change;
  END LOOP;
  PERFORM set_config('pgrunbook.others', string_agg(', ' || quote_ident(name), ''), true) FROM unnest(others) AS name;
END $$;

-- Why a row with the value is refused; NULL if it is not. The row has its defaults, or with `others` is in these
-- columns one of the table's own.
CREATE FUNCTION pg_temp.refusal(value text, others text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  original constant regclass := current_setting('pgrunbook.table');
  probed constant text := current_setting('pgrunbook.column');
  key record;
  whole record;
  known boolean;
BEGIN
  EXECUTE CASE others
    WHEN '' THEN format('INSERT INTO probe_admitted (%I) VALUES (%L)', probed, value)
    ELSE format('INSERT INTO probe_admitted (%1$I%2$s) SELECT %3$L%2$s FROM %4$s LIMIT 1', probed, others, value, original)
  END;
  FOR key IN
    SELECT conname, confrelid::regclass AS lookup, looked_up.attname AS lookup_column
      FROM pg_constraint
      JOIN pg_attribute AS local ON local.attrelid = conrelid AND local.attname = probed
      JOIN pg_attribute AS looked_up ON looked_up.attrelid = confrelid
                                    AND looked_up.attnum = confkey[array_position(conkey, local.attnum)]
     WHERE conrelid = original AND contype = 'f'
       AND coalesce((to_jsonb(pg_constraint) ->> 'conenforced')::boolean, true) -- a column since version 18
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)', key.lookup, key.lookup_column, value) INTO known;
    IF NOT known THEN
      RETURN format('foreign key %I: it is not in %s', key.conname, key.lookup);
    END IF;
  END LOOP;
  -- A CHECK of the whole row wants a row of the table's own type, which no copy has.
  FOR whole IN
    SELECT conname, pg_get_expr(conbin, conrelid) AS condition, relname
      FROM pg_constraint
      JOIN pg_class ON pg_class.oid = conrelid
     WHERE conrelid = original AND contype = 'c' AND 0 = ANY (conkey)
  LOOP
    EXECUTE format('SELECT %s FROM jsonb_populate_record(NULL::%s, %L) AS %I', whole.condition, original,
                   jsonb_build_object(probed, value), whole.relname) INTO known;
    IF NOT known THEN
      RETURN format('CHECK %I rejects it', whole.conname);
    END IF;
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
  RETURN SQLERRM;
END $$;

-- check: the column accepts the value
DO $$
DECLARE
  value constant text := current_setting('pgrunbook.value');
  others constant text := current_setting('pgrunbook.others');
  refusal constant text := pg_temp.refusal(value, '');
  accepted boolean := refusal IS NULL;
BEGIN
  PERFORM set_config('pgrunbook.others', '', true);
  IF NOT accepted AND others <> '' THEN
    -- A CHECK that reads other columns too may refuse their defaults, and not the value.
    accepted := pg_temp.refusal(value, others) IS NULL;
    accepted := accepted AND EXISTS (SELECT FROM probe_admitted);
    PERFORM set_config('pgrunbook.others', others, true);
  END IF;
  IF NOT accepted THEN
    RAISE EXCEPTION '%.%: expected to accept %, found: %',
      current_setting('pgrunbook.table'), current_setting('pgrunbook.column'), quote_literal(value), refusal;
  END IF;
END $$;

-- check: the column rejects nonsense if it did before, and accepts it if it did before
DO $$
DECLARE
  nonsense constant text := current_setting('pgrunbook.nonsense');
  expected constant boolean := current_setting('pgrunbook.nonsense_rejected');
  refusal constant text := pg_temp.refusal(nonsense, current_setting('pgrunbook.others'));
BEGIN
  IF (refusal IS NOT NULL) <> expected THEN
    RAISE EXCEPTION '%.%: expected to % %, found: %',
      current_setting('pgrunbook.table'), current_setting('pgrunbook.column'),
      CASE WHEN expected THEN 'reject' ELSE 'accept' END, quote_literal(nonsense), coalesce(refusal, 'accepted');
  END IF;
END $$;

DROP FUNCTION pg_temp.refusal(text, text);
DROP TABLE probe_admitted;
