CREATE PUBLICATION shop_products FOR TABLE shop.products WHERE (id > 0) WITH (publish = 'insert, update');
COMMENT ON PUBLICATION shop_products IS 'For the search';
