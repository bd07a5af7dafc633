-- title: Add the value to the lookup table
-- why: A foreign key looks the column's values up there. Several columns may share the table: the row is added once.
-- usage: psql -1 -v table=sources -v column=code -v value=csv_import -v columns='code, label'
--   -v values="'csv_import', 'csv_import'" -f lookup.sql

INSERT INTO :table (:columns)
SELECT :values
 WHERE NOT EXISTS (SELECT FROM :table WHERE :"column" = :'value');
