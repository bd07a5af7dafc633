CREATE FUNCTION shop.total(order_id bigint) RETURNS numeric LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (SELECT sum(l.quantity * p.price) FROM shop.order_lines l JOIN shop.products p ON p.id = l.product_id
         WHERE l.order_id = total.order_id);
CREATE FUNCTION shop.names(VARIADIC ids bigint[]) RETURNS TABLE (name text, "n°" integer) LANGUAGE sql AS
$body$ SELECT full_name, id::int FROM shop.customers WHERE id = ANY (ids) $body$;
CREATE PROCEDURE shop.pay(IN order_id bigint, INOUT paid boolean DEFAULT false) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE shop.orders SET state = 'paid' WHERE id = order_id;
  paid := FOUND;
END $$;
CREATE AGGREGATE shop.product (numeric) (sfunc = numeric_mul, stype = numeric, initcond = '1');
