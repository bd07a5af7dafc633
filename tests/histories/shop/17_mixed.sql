-- a column, an index that must be alone, and a comment about it
ALTER TABLE shop.products ADD COLUMN weight numeric;
CREATE INDEX CONCURRENTLY IF NOT EXISTS products_weight ON shop.products (weight) INCLUDE (sku);
COMMENT ON INDEX shop.products_weight IS 'For the post';
UPDATE shop.products SET weight = 0.5;
