DROP FUNCTION shop.names(bigint[]);
ALTER FUNCTION shop.total(bigint) COST 500;
ALTER PROCEDURE shop.pay(bigint, boolean) SET statement_timeout = '5s';
