-- title: Create {{ name }}
-- why: Say what it is for, and who asked. One block a file, one lock footprint a block; psql -1 -f runs it as it stands.

CREATE TABLE {{ name }} (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  body TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

COMMENT ON TABLE {{ name }} IS 'What one row stands for';
COMMENT ON COLUMN {{ name }}.id IS 'Key';
COMMENT ON COLUMN {{ name }}.body IS 'What it holds';
COMMENT ON COLUMN {{ name }}.created_at IS 'When the row was written';
