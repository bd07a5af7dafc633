CREATE TABLE shop.products (
  id integer GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 10),
  sku text COLLATE "C" NOT NULL,
  price numeric(10, 2) DEFAULT 0.00,
  price_with_tax numeric(10, 2) GENERATED ALWAYS AS (price * 1.2) STORED,
  description text,
  PRIMARY KEY (id),
  CONSTRAINT price_not_negative CHECK (price >= 0)
);
CREATE UNIQUE INDEX products_sku ON shop.products (lower(sku));
ALTER TABLE shop.products ALTER COLUMN description SET STORAGE EXTERNAL;
