CREATE TABLE shop.orders (
  id bigint PRIMARY KEY,
  customer_id bigint REFERENCES shop.customers (id) ON DELETE RESTRICT,
  state shop.order_state DEFAULT 'draft' NOT NULL,
  placed_on date,
  CHECK (state <> 'placed' OR placed_on IS NOT NULL)
);
CREATE SEQUENCE shop.order_number START 1000 INCREMENT 5 CACHE 10 OWNED BY shop.orders.id;
ALTER TABLE shop.orders ALTER id SET DEFAULT nextval('shop.order_number');
CREATE INDEX orders_open ON shop.orders USING btree (customer_id, placed_on DESC NULLS LAST) WHERE state IN ('draft');
