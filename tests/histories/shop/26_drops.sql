DROP VIEW shop.cheap;
ALTER TABLE shop.products DROP COLUMN description, DROP CONSTRAINT price_not_negative;
DROP INDEX shop.products_sku;
DROP TABLE archive.events_rest CASCADE;
