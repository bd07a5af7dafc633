-- Which default privileges are younger than what they would be about, of these objects? What takes them back?
-- OIDs are given in order, until they wrap around.
WITH asked AS (
    SELECT * FROM unnest(%(classes)s::oid[], %(oids)s::oid[]) AS a (classid, oid)
), made AS (
    SELECT c.oid, c.relowner AS owner, c.relnamespace AS namespace, -- a serial column brings a sequence
           CASE c.relkind WHEN 'S' THEN '{S}'::"char"[] ELSE '{r,S}'::"char"[] END AS kinds
      FROM asked a
      JOIN pg_class c ON c.oid = a.oid AND c.relkind NOT IN ('i', 'I')
     WHERE a.classid = 'pg_class'::regclass
    UNION ALL
    SELECT p.oid, p.proowner, p.pronamespace, '{f}' FROM asked a JOIN pg_proc p ON p.oid = a.oid
     WHERE a.classid = 'pg_proc'::regclass
    UNION ALL
    SELECT t.oid, t.typowner, t.typnamespace, '{T}' FROM asked a JOIN pg_type t ON t.oid = a.oid
     WHERE a.classid = 'pg_type'::regclass
), later AS (
    SELECT d.oid, d.defaclacl AS acl,
           CASE d.defaclnamespace WHEN 0 THEN
                acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole) END AS usual,
           'ALTER DEFAULT PRIVILEGES FOR ROLE ' || quote_ident(pg_get_userbyid(d.defaclrole))
               || coalesce(' IN SCHEMA ' || quote_ident(n.nspname), '') AS start,
           CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                WHEN 'T' THEN 'TYPES' END AS kind
      FROM pg_default_acl d
      LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
     WHERE EXISTS (SELECT FROM made m
                    WHERE m.oid < d.oid AND d.defaclobjtype = ANY (m.kinds) AND m.owner = d.defaclrole
                      AND d.defaclnamespace IN (0, m.namespace))
)
SELECT DISTINCT l.oid, l.start || e.action || CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS statement
  FROM later l
 CROSS JOIN LATERAL (
    SELECT format(' REVOKE ALL ON %%s FROM ', l.kind), grantee FROM aclexplode(l.acl)
    UNION ALL
    SELECT format(' GRANT ALL ON %%s TO ', l.kind), grantee FROM aclexplode(l.usual)
 ) AS e (action, grantee)
  LEFT JOIN pg_roles r ON r.oid = e.grantee
 ORDER BY 1, 2 DESC -- REVOKE before GRANT
