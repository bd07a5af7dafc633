-- title: Take the value out of the lookup table
-- why: A foreign key with ON DELETE CASCADE would delete the rows that hold the value, one with SET NULL would empty
--   them: so the delete is refused while there are any.
-- usage: psql -1 -v table=sources -v column=code -v value=csv_import -f lookup.sql

SELECT set_config('pgrunbook.lookup', :'table', true),
       set_config('pgrunbook.column', :'column', true),
       set_config('pgrunbook.value', :'value', true);

DO $$
DECLARE
  holder record;
  held boolean;
BEGIN
  FOR holder IN
    SELECT key.conrelid::regclass AS name, local.attname
      FROM pg_constraint AS key
      JOIN pg_attribute AS looked_up ON looked_up.attrelid = key.confrelid
                                    AND looked_up.attname = current_setting('pgrunbook.column')
      JOIN pg_attribute AS local ON local.attrelid = key.conrelid
                                AND local.attnum = key.conkey[array_position(key.confkey, looked_up.attnum)]
     WHERE key.contype = 'f' AND key.confrelid = current_setting('pgrunbook.lookup')::regclass
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)',
                   holder.name, holder.attname, current_setting('pgrunbook.value')) INTO held;
    IF held THEN
      RAISE EXCEPTION '%.%: rows hold %', holder.name, holder.attname, current_setting('pgrunbook.value')
        USING HINT = 'Change or delete these rows first.';
    END IF;
  END LOOP;
END $$;

DELETE FROM :table WHERE :"column" = :'value';
