-- Which publications are there, and what of tables do they publish?
-- of pg_publication: p.oid
SELECT p.oid, 0, NULL, 'publication', quote_ident(p.pubname),
       pg_get_userbyid(p.pubowner)::text AS owner,
       p.puballtables AS "all tables",
       array_remove(ARRAY[CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                          CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END],
                    NULL) AS publish,
       p.pubviaroot AS "via partition root",
       nullif(to_jsonb(p) ->> 'pubgencols', 'n') AS "generated columns" -- since version 18
  FROM pg_publication p
 WHERE {wanted}
