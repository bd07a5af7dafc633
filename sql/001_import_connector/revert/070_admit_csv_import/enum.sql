-- title: Make the enum again without the value
-- why: PostgreSQL cannot drop a label. So the type is made anew and the column's rows are written anew, under ACCESS
--   EXCLUSIVE. That works where this column and its default are all that uses the type, and nothing (CHECK, index
--   with a condition, view) compares the column with its labels. Else it fails, says why, and changes nothing; a
--   label that no row holds does no harm where it is.
-- usage: psql -1 -v type=source_kind -v value=csv_import -v table=deals -v column=source -f enum.sql

SELECT set_config('pgrunbook.type', :'type', true),
       set_config('pgrunbook.value', :'value', true),
       set_config('pgrunbook.table', :'table', true),
       set_config('pgrunbook.column', :'column', true);

DO $$
DECLARE
  type_name constant text := current_setting('pgrunbook.type');
  value constant text := current_setting('pgrunbook.value');
  changed constant text := format('ALTER TABLE %s ALTER COLUMN %I',
                                  current_setting('pgrunbook.table'), current_setting('pgrunbook.column'));
  former constant regtype := type_name;
  held boolean;
  labels text;
  comment text;
  filled text;
BEGIN
  EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I::text = %L)',
                 current_setting('pgrunbook.table'), current_setting('pgrunbook.column'), value) INTO held;
  IF held THEN
    RAISE EXCEPTION 'rows hold it';
  END IF;
  IF EXISTS (SELECT FROM pg_type WHERE oid = former AND (typacl IS NOT NULL OR typowner <> current_user::regrole)) THEN
    RAISE EXCEPTION 'the type has privileges of its own, or another owner';
  END IF;

  SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder), obj_description(former, 'pg_type')
    INTO labels, comment
    FROM pg_enum
   WHERE enumtypid = former AND enumlabel <> value;
  SELECT pg_get_expr(adbin, adrelid)
    INTO filled
    FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
   WHERE adrelid = current_setting('pgrunbook.table')::regclass AND attname = current_setting('pgrunbook.column');

  EXECUTE format('ALTER TYPE %s RENAME TO pgrunbook_former', type_name);
  EXECUTE format('CREATE TYPE %s AS ENUM (%s)', type_name, labels);
  EXECUTE format('COMMENT ON TYPE %s IS %L', type_name, comment);
  EXECUTE format('%s DROP DEFAULT', changed);
  EXECUTE format('%s TYPE %s USING %I::text::%2$s', changed, type_name, current_setting('pgrunbook.column'));
  IF filled IS NOT NULL THEN
    EXECUTE format('%s SET DEFAULT %s', changed, filled);
  END IF;
  EXECUTE format('DROP TYPE %s', former);
EXCEPTION WHEN OTHERS THEN
  RAISE EXCEPTION 'enum % cannot be made again without %: %', type_name, value, SQLERRM
    USING HINT = 'Leave the label where it is, or take away what is in the way, run this, and bring it back.';
END $$;
