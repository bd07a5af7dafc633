-- Which CHECK constraints do domains have?
-- of pg_constraint: k.oid; in k.connamespace; with pg_type d
SELECT k.oid, 0, k.contypid, 'domain constraint',
       quote_ident(k.conname) || ' on ' || quote_ident(n.nspname) || '.' || quote_ident(t.typname),
       pg_get_constraintdef(k.oid) AS definition
  FROM pg_constraint k
  JOIN pg_type t ON t.oid = k.contypid
  JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE k.contype = 'c' AND {wanted}
