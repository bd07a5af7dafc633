UPDATE shop.customers SET settings = settings || '{"news": true}', tags = tags[1:2] WHERE id % 2 = 0;
DELETE FROM shop.customers WHERE name = 'Customer 5';
