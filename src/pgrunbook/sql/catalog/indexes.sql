-- Which indexes do these tables have, those behind a constraint included?
-- One of plain columns is written here as pg_get_indexdef writes it, which would open the table for each. To ask for the
-- size opens the index: where there are many, it is the one that VACUUM or ANALYZE has noted.
-- printed for the schema
SELECT c.relname::text AS "table",
       i.relname::text AS "index",
       CASE WHEN plain.columns IS NULL THEN pg_get_indexdef(x.indexrelid, 0, true)
            ELSE format('CREATE %%sINDEX %%I ON %%I USING btree (%%s)', CASE WHEN x.indisunique THEN 'UNIQUE ' END,
                        i.relname, c.relname, plain.columns) END AS definition,
       x.indisunique AS "unique",
       x.indisvalid AS valid,
       CASE WHEN cardinality(%(tables)s::text[]) <= 1000 THEN pg_relation_size(x.indexrelid)
            ELSE i.relpages * current_setting('block_size')::bigint END AS bytes
  FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS wanted (name, place)
  JOIN pg_class c ON c.relname = wanted.name AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  JOIN pg_index x ON x.indrelid = c.oid
  JOIN pg_class i ON i.oid = x.indexrelid
  LEFT JOIN LATERAL (
       SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) AS columns
         FROM unnest(x.indkey::int2[], x.indclass::oid[], x.indcollation::oid[]) WITH ORDINALITY AS k (attnum, class, collated, place)
        CROSS JOIN LATERAL (SELECT * FROM pg_attribute WHERE attrelid = c.oid AND attnum = k.attnum LIMIT 1) a
       HAVING bool_and(k.collated = a.attcollation AND (k.class, a.atttypid) IN (
              SELECT oid, opcintype FROM pg_opclass WHERE opcdefault -- these need not be named
               UNION ALL
              SELECT o.oid, 'varchar'::regtype FROM pg_opclass o
               WHERE o.opcdefault AND o.opcintype = 'text'::regtype
                 AND NOT EXISTS (SELECT FROM pg_opclass own WHERE own.opcdefault AND own.opcintype = 'varchar'::regtype)))
  ) plain ON i.relkind = 'i' AND i.relam = (SELECT oid FROM pg_am WHERE amname = 'btree') AND i.reloptions IS NULL
         AND i.reltablespace = 0 AND x.indexprs IS NULL AND x.indpred IS NULL AND x.indnatts = x.indnkeyatts
         AND NOT x.indnullsnotdistinct AND 0 = ALL (x.indoption::int2[]) AND pg_table_is_visible(c.oid)
 ORDER BY wanted.place, i.relname
