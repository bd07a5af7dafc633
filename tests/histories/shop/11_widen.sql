ALTER TABLE shop.customers ALTER COLUMN full_name TYPE text, ALTER COLUMN full_name SET DEFAULT '';
ALTER TABLE shop.orders ALTER COLUMN placed_on TYPE timestamptz USING placed_on::timestamp AT TIME ZONE 'UTC';
