SET client_min_messages = warning;
SET search_path TO shop, pg_catalog;
SET lock_timeout = '5s';
CREATE TABLE stock (product_id int REFERENCES products, amount int DEFAULT '3'::int NOT NULL);
CREATE TRIGGER once AFTER INSERT ON stock REFERENCING NEW TABLE AS added FOR EACH STATEMENT WHEN (pg_trigger_depth() < 1)
  EXECUTE FUNCTION label_written();
ALTER TABLE stock DISABLE TRIGGER once;
