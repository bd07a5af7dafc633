INSERT INTO shop.products (sku, price, description) VALUES
  ('tea:green', 4.50, 'it''s green; no -- comment'),
  ('tea:black', 3, E'two\nlines'),
  ('cup', 12.25, NULL);
INSERT INTO shop.customers (email, name, tags, created_at)
SELECT 'c' || n || '@example.com', 'Customer ' || n, ARRAY['a', 'b', 'c'], '2020-01-01'
  FROM generate_series(1, 5) AS n;
