-- Which user mappings are there? Their options are shown to whoever may see them, but for what may be secret.
-- of pg_user_mapping: m.umid; with pg_foreign_server
SELECT m.umid, 0, NULL, 'user mapping', quote_ident(m.usename) || ' on server ' || quote_ident(m.srvname),
       m.umoptions AS "mapping options"
  FROM pg_user_mappings m
 WHERE {wanted}
