CREATE TYPE shop.order_state AS ENUM ('draft', 'placed', 'paid');
CREATE TYPE shop.address AS (street text, city text, zip varchar(10));
CREATE DOMAIN shop.email AS text CHECK (VALUE ~ '^[^@]+@[^@]+$');
CREATE DOMAIN shop.quantity AS integer DEFAULT 1 NOT NULL CONSTRAINT positive CHECK (VALUE > 0);
CREATE TYPE shop.price_range AS RANGE (subtype = numeric);
