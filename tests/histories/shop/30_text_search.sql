CREATE TEXT SEARCH CONFIGURATION shop.plain (COPY = pg_catalog.simple);
CREATE COLLATION shop.by_code (provider = libc, locale = 'C');
CREATE FUNCTION shop.same(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT lower(a) = lower(b)';
CREATE OPERATOR shop.=== (leftarg = text, rightarg = text, function = shop.same);
CREATE CAST (shop.address AS text) WITH INOUT AS ASSIGNMENT;
