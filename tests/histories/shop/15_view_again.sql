CREATE OR REPLACE VIEW shop.open_orders AS
  SELECT o.id, c.full_name, o.placed_on FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id
   WHERE o.state = 'draft';
COMMENT ON COLUMN shop.open_orders.placed_on IS 'When it was ordered';
