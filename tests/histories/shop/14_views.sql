CREATE VIEW shop.open_orders AS
  SELECT o.id, c.full_name FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id WHERE o.state = 'draft';
CREATE VIEW shop.cheap WITH (security_barrier) AS
  SELECT id, sku, price FROM shop.products WHERE price < 10 WITH LOCAL CHECK OPTION;
CREATE MATERIALIZED VIEW shop.sales AS
  SELECT product_id, sum(quantity) AS sold FROM shop.order_lines GROUP BY product_id WITH NO DATA;
CREATE UNIQUE INDEX sales_product ON shop.sales (product_id);
REFRESH MATERIALIZED VIEW shop.sales;
