CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS SELECT id FROM shop.products ORDER BY id LIMIT 2;
INSERT INTO shop.stock (product_id) SELECT id FROM wanted ORDER BY id;
