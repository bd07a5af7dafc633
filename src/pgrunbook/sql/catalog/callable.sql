-- Has a role that is not trusted made a function that the server calls when it plans a query, or for an operator? When it
-- plans, it calls none that is volatile: https://www.postgresql.org/docs/current/xfunc-volatility.html
WITH trusted AS (
-- as trusted.sql says
)
SELECT EXISTS (SELECT FROM pg_proc p
                WHERE p.proowner NOT IN (SELECT oid FROM trusted)
                  AND (p.provolatile <> 'v' OR p.oid IN (SELECT oprcode FROM pg_operator))) AS theirs
