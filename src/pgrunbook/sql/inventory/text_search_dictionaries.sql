-- Which text search dictionaries are there?
-- of pg_ts_dict: d.oid; in d.dictnamespace
SELECT d.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(d.dictowner)::text AS owner,
       (pg_identify_object('pg_ts_template'::regclass, d.dicttemplate, 0)).identity AS template,
       d.dictinitoption AS definition
  FROM pg_ts_dict d
 CROSS JOIN LATERAL pg_identify_object('pg_ts_dict'::regclass, d.oid, 0) AS o
 WHERE {wanted}
