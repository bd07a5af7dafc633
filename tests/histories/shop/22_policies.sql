ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.orders FORCE ROW LEVEL SECURITY;
CREATE POLICY drafts ON shop.orders FOR SELECT TO shop_reader USING (state = 'draft');
CREATE POLICY everything ON shop.orders AS PERMISSIVE FOR ALL TO PUBLIC USING (true) WITH CHECK (id > 0);
ALTER POLICY drafts ON shop.orders USING (state IN ('draft', 'ordered'));
