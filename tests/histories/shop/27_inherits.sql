CREATE TABLE shop.notes (id int, body text CHECK (body <> ''));
CREATE TABLE shop.order_notes (order_id bigint) INHERITS (shop.notes);
ALTER TABLE shop.notes ADD COLUMN author text;
CREATE UNLOGGED TABLE shop.carts (id uuid PRIMARY KEY, body bytea) WITH (fillfactor = 70, autovacuum_enabled = off);
ALTER TABLE shop.carts REPLICA IDENTITY FULL;
