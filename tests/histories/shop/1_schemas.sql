-- Where things live. Names below are qualified, or found by the search path.
CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'Orders, and what they are made of';
CREATE SCHEMA IF NOT EXISTS archive;
