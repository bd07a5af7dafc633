CREATE INDEX CONCURRENTLY customers_tags ON shop.customers USING gin (tags);
