ALTER TYPE shop.order_state ADD VALUE IF NOT EXISTS 'shipped' AFTER 'paid';
ALTER TYPE shop.order_state RENAME VALUE 'placed' TO 'ordered';
