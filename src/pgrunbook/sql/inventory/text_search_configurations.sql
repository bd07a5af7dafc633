-- Which text search configurations are there, and which dictionaries do they take for which tokens?
-- of pg_ts_config: c.oid; in c.cfgnamespace
SELECT c.oid, 0, NULL, o.type, o.identity,
       pg_get_userbyid(c.cfgowner)::text AS owner,
       (pg_identify_object('pg_ts_parser'::regclass, c.cfgparser, 0)).identity AS parser,
       ARRAY(SELECT (SELECT t.alias FROM ts_token_type(c.cfgparser) t WHERE t.tokid = m.maptokentype) || ': '
                    || string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno)
               FROM pg_ts_config_map m WHERE m.mapcfg = c.oid
              GROUP BY m.maptokentype ORDER BY m.maptokentype) AS mappings
  FROM pg_ts_config c
 CROSS JOIN LATERAL pg_identify_object('pg_ts_config'::regclass, c.oid, 0) AS o
 WHERE {wanted}
