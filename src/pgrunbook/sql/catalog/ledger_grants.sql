-- What may roles other than their owner do with the ledger's schema, tables and sequences, but read them?
-- Each as the statement that takes it back.
SELECT format('REVOKE %%s ON %%s %%s FROM %%s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), o.kind, o.name,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS statement
  FROM (SELECT 'SCHEMA', n.nspname::text, n.nspowner, n.nspacl FROM pg_namespace n WHERE n.nspname = 'pgrunbook'
         UNION ALL
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('pgrunbook.%%I', c.relname), c.relowner, c.relacl
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'pgrunbook' AND c.relkind IN ('r', 'v', 'S')) AS o (kind, name, owner, acl)
 CROSS JOIN LATERAL aclexplode(o.acl) AS a
 WHERE a.grantee <> o.owner AND a.privilege_type NOT IN ('SELECT', 'USAGE')
 GROUP BY o.kind, o.name, a.grantee
 ORDER BY statement
