BEGIN;

CREATE TABLE shop.customers (
  id bigserial PRIMARY KEY,
  email shop.email UNIQUE,
  name varchar(100) NOT NULL,
  home shop.address,
  tags text[] DEFAULT '{}',
  settings jsonb DEFAULT '{"news": false}'::jsonb NOT NULL,
  created_at timestamptz DEFAULT now()
);
COMMENT ON TABLE shop.customers IS 'Who buys';

COMMIT;
