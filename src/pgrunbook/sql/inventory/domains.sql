-- Which domains are there? Their CHECK constraints are in domain_constraints.sql.
-- of pg_type: t.oid; in t.typnamespace; with pg_type d
-- NOT NULL is a constraint with a name from version 17 on; its usual name goes without saying, as does each in 17.
SELECT t.oid, 0, NULL, 'type',
       quote_ident(n.nspname) || '.' || quote_ident(t.typname),
       'domain' AS kind,
       pg_get_userbyid(t.typowner)::text AS owner,
       format_type(t.typbasetype, t.typtypmod) AS type,
       CASE WHEN t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text END AS collation,
       t.typnotnull AS "not null",
       CASE WHEN current_setting('server_version_num')::int >= 180000
             AND k.conname <> t.typname || '_not_null' THEN k.conname::text END AS "not null constraint",
       CASE WHEN k.oid IS NOT NULL THEN obj_description(k.oid, 'pg_constraint') END AS "not null comment",
       t.typdefault AS "default",
       t.typacl::text[] AS acl, acldefault('T', t.typowner)::text[] AS "default acl"
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_type b ON b.oid = t.typbasetype
  LEFT JOIN pg_constraint k ON k.contypid = t.oid AND k.contype = 'n'
 WHERE t.typtype = 'd' AND {wanted}
