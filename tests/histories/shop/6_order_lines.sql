CREATE TABLE shop.order_lines (
  order_id bigint NOT NULL,
  product_id int NOT NULL,
  quantity shop.quantity,
  UNIQUE (order_id, product_id)
);
ALTER TABLE shop.order_lines ADD FOREIGN KEY (order_id) REFERENCES shop.orders ON DELETE CASCADE NOT VALID;
ALTER TABLE shop.order_lines VALIDATE CONSTRAINT order_lines_order_id_fkey;
ALTER TABLE shop.order_lines ADD CONSTRAINT of_a_product FOREIGN KEY (product_id) REFERENCES shop.products (id) DEFERRABLE;
