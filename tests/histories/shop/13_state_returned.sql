-- the new value is used at once
ALTER TYPE shop.order_state ADD VALUE 'returned';
ALTER TABLE shop.orders ADD CONSTRAINT returned_has_date CHECK (state <> 'returned' OR placed_on IS NOT NULL);
