CREATE VIEW shop.labels AS SELECT id, sku AS label FROM shop.products;
CREATE RULE ignore_deletes AS ON DELETE TO shop.labels DO INSTEAD NOTHING;
CREATE FUNCTION shop.label_written() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN UPDATE shop.products SET sku = NEW.label WHERE id = NEW.id; RETURN NEW; END';
CREATE TRIGGER written INSTEAD OF UPDATE ON shop.labels FOR EACH ROW EXECUTE PROCEDURE shop.label_written();
