ALTER TABLE shop.customers RENAME COLUMN name TO full_name;
ALTER INDEX shop.orders_open RENAME TO orders_open_idx;
ALTER TABLE shop.orders RENAME CONSTRAINT orders_customer_id_fkey TO of_a_customer;
