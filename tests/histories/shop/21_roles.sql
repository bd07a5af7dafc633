DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_reader') THEN
    CREATE ROLE shop_reader NOLOGIN;
  END IF;
END $$;
GRANT USAGE ON SCHEMA shop TO shop_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO shop_reader;
GRANT UPDATE (description) ON shop.products TO shop_reader WITH GRANT OPTION;
REVOKE ALL ON shop.customers FROM shop_reader;
REVOKE EXECUTE ON PROCEDURE shop.pay(bigint, boolean) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO shop_reader;
