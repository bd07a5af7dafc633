-- A CRM analytics product before file import: its schema, and rows enough to look real.
-- Load it into an empty database in one transaction: psql -1 -v ON_ERROR_STOP=1 -f sample.sql
-- Every value follows from a hash of its row's number, so two loads are equal to the byte.
-- Part of what runbook 001 makes is there already (accounts.source_data, connections.last_sync_at), as it
-- is after somebody began by hand; the runbook finds it, and adds the rest.

SET LOCAL client_min_messages = warning;
SET LOCAL timezone = 'UTC';

-- Schema ---------------------------------------------------------------------------------------------------

CREATE TABLE workspaces (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL,
  slug text NOT NULL,
  plan text NOT NULL DEFAULT 'trial',
  home_currency char(3) NOT NULL DEFAULT 'USD',
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT workspaces_slug_key UNIQUE (slug),
  CONSTRAINT workspaces_plan_check CHECK (plan IN ('trial', 'team', 'business', 'enterprise'))
);

CREATE TABLE users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  email text NOT NULL,
  full_name text NOT NULL,
  role text NOT NULL DEFAULT 'member',
  last_seen_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT users_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
);
CREATE UNIQUE INDEX users_email_idx ON users (lower(email));
CREATE INDEX users_workspace_idx ON users (workspace_id);

CREATE TABLE connections (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  source_type text NOT NULL,
  credentials jsonb,
  external_account text,
  status text NOT NULL DEFAULT 'pending',
  sync_interval interval NOT NULL DEFAULT '1 hour',
  last_sync_at timestamptz,
  created_by uuid REFERENCES users (id) ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT connections_source_type_check CHECK (source_type IN ('hubspot', 'salesforce', 'pipedrive')),
  CONSTRAINT connections_status_check CHECK (status IN ('pending', 'connected', 'paused', 'error'))
);
CREATE INDEX connections_workspace_idx ON connections (workspace_id, source_type);

CREATE TABLE accounts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  owner_id uuid REFERENCES users (id) ON DELETE SET NULL,
  name text NOT NULL,
  domain text,
  industry text,
  employees integer,
  annual_revenue numeric(14,2),
  country char(2),
  source text,
  source_id text,
  source_data jsonb DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT accounts_employees_check CHECK (employees > 0),
  CONSTRAINT accounts_source_key UNIQUE (workspace_id, source, source_id)
);
CREATE INDEX accounts_domain_idx ON accounts (workspace_id, domain);

CREATE TABLE contacts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  account_id uuid REFERENCES accounts (id) ON DELETE SET NULL,
  first_name text NOT NULL,
  last_name text NOT NULL,
  full_name text GENERATED ALWAYS AS (first_name || ' ' || last_name) STORED,
  email text,
  phone text,
  job_title text,
  lifecycle_stage text NOT NULL DEFAULT 'lead',
  source text,
  source_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT contacts_source_key UNIQUE (workspace_id, source, source_id)
);
CREATE INDEX contacts_account_idx ON contacts (account_id);
CREATE INDEX contacts_email_idx ON contacts (workspace_id, lower(email));

CREATE TABLE deals (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  account_id uuid REFERENCES accounts (id) ON DELETE SET NULL,
  contact_id uuid REFERENCES contacts (id) ON DELETE SET NULL,
  owner_id uuid REFERENCES users (id) ON DELETE SET NULL,
  name text NOT NULL,
  amount numeric(12,2),
  currency char(3) NOT NULL DEFAULT 'USD',
  stage text NOT NULL,
  normalized_stage text NOT NULL,
  is_open boolean NOT NULL DEFAULT true,
  close_date date,
  source text,
  source_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT deals_amount_check CHECK (amount >= 0),
  CONSTRAINT deals_normalized_stage_check CHECK (normalized_stage IN (
    'discovery', 'qualification', 'proposal', 'negotiation', 'closed_won', 'closed_lost')),
  CONSTRAINT deals_source_check CHECK (source IN ('hubspot', 'salesforce', 'pipedrive', 'manual')),
  CONSTRAINT deals_source_key UNIQUE (workspace_id, source, source_id)
);
CREATE INDEX deals_pipeline_idx ON deals (workspace_id, normalized_stage) WHERE is_open;
CREATE INDEX deals_close_date_idx ON deals (workspace_id, close_date);
CREATE INDEX deals_account_idx ON deals (account_id);

CREATE TABLE deal_stage_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  deal_id uuid NOT NULL REFERENCES deals (id) ON DELETE CASCADE,
  normalized_stage text NOT NULL,
  entered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deal_stage_changes_deal_idx ON deal_stage_changes (deal_id, entered_at);

CREATE TABLE sync_log (
  id bigserial PRIMARY KEY,
  connection_id uuid NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  records_read integer NOT NULL DEFAULT 0,
  outcome text NOT NULL DEFAULT 'running',
  message text,
  CONSTRAINT sync_log_outcome_check CHECK (outcome IN ('running', 'ok', 'error'))
);
CREATE INDEX sync_log_connection_idx ON sync_log (connection_id, started_at DESC);

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$;
CREATE TRIGGER connections_touch BEFORE UPDATE ON connections
  FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER deals_touch BEFORE UPDATE ON deals
  FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE VIEW open_pipeline AS
  SELECT workspace_id, currency, normalized_stage, count(*) AS deals, sum(amount) AS amount
    FROM deals
   WHERE is_open
   GROUP BY workspace_id, currency, normalized_stage;

COMMENT ON TABLE workspaces IS 'A customer of the product; everything else belongs to one';
COMMENT ON COLUMN workspaces.slug IS 'The workspace in a URL';
COMMENT ON TABLE users IS 'People who sign in to a workspace; they own accounts and deals';
COMMENT ON TABLE connections IS 'Where a workspace''s CRM data comes from';
COMMENT ON COLUMN connections.source_type IS 'Which CRM it is';
COMMENT ON COLUMN connections.credentials IS 'Where the vault keeps the tokens; never the tokens themselves';
COMMENT ON COLUMN connections.external_account IS 'The customer''s account in that CRM';
COMMENT ON COLUMN connections.last_sync_at IS
  'When data last arrived: the last sync, or the last upload of a file';
COMMENT ON TABLE accounts IS 'Companies that a workspace sells to';
COMMENT ON COLUMN accounts.source IS 'What the row came from: a CRM, or typed in by hand';
COMMENT ON COLUMN accounts.source_id IS 'The row''s id in the CRM that it came from';
COMMENT ON COLUMN accounts.source_data IS
  'The row as its source gave it; for a file import {"import_batch_id": …, "original_row": …}';
COMMENT ON TABLE contacts IS 'People at the companies';
COMMENT ON COLUMN contacts.source IS 'What the row came from: a CRM, or typed in by hand';
COMMENT ON COLUMN contacts.source_id IS 'The row''s id in the CRM that it came from';
COMMENT ON TABLE deals IS 'Sales opportunities, open and closed';
COMMENT ON COLUMN deals.stage IS 'The stage as the CRM names it';
COMMENT ON COLUMN deals.normalized_stage IS 'The stage as the product''s reports name it';
COMMENT ON COLUMN deals.source IS 'What the row came from: a CRM, or typed in by hand';
COMMENT ON COLUMN deals.source_id IS 'The row''s id in the CRM that it came from';
COMMENT ON TABLE deal_stage_changes IS 'When each deal entered each stage';
COMMENT ON TABLE sync_log IS 'One row for each time that a connection''s data was fetched';
COMMENT ON VIEW open_pipeline IS 'Number and value of the open deals of each stage';

-- Chance, without chance -----------------------------------------------------------------------------------

CREATE FUNCTION pg_temp.dice(seed text, sides integer) RETURNS integer LANGUAGE sql IMMUTABLE
  RETURN ('x0' || left(md5(seed), 7))::bit(32)::integer % sides;
CREATE FUNCTION pg_temp.pick(seed text, VARIADIC choices text[]) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN choices[1 + pg_temp.dice(seed, cardinality(choices))];
CREATE FUNCTION pg_temp.key(kind text, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE
  RETURN md5(kind || ' ' || n)::uuid;
CREATE FUNCTION pg_temp.present() RETURNS timestamptz LANGUAGE sql IMMUTABLE
  RETURN timestamptz '2026-06-30 18:00+00';
CREATE FUNCTION pg_temp.ago(seed text, days integer) RETURNS timestamptz LANGUAGE sql IMMUTABLE
  RETURN pg_temp.present() - make_interval(secs => pg_temp.dice(seed, days * 86400));
-- An id of the length and look that the CRM would give.
CREATE FUNCTION pg_temp.foreign_id(source text, prefix text, n integer) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN CASE source
    WHEN 'hubspot' THEN (9100000000 + n * 7919)::text
    WHEN 'salesforce' THEN prefix || '5g0000' || upper(substr(md5(prefix || n), 1, 9))
    WHEN 'pipedrive' THEN (400 + n)::text
  END;

-- Rows -----------------------------------------------------------------------------------------------------

INSERT INTO workspaces (id, name, slug, plan, home_currency, created_at)
SELECT pg_temp.key('workspace', n::integer), name, regexp_replace(lower(name), '[^a-z]+', '-', 'g'),
       plan, currency,
       pg_temp.ago('workspace born ' || n, 300) - interval '3 years'
  FROM unnest(
         ARRAY['Northwind Robotics', 'Halcyon Health', 'Brightwater Energy', 'Atlas Freight',
               'Cobalt Security', 'Meridian Learning', 'Juniper & Vale', 'Fjord Analytics'],
         ARRAY['enterprise', 'enterprise', 'business', 'business', 'business', 'team', 'team', 'trial'],
         ARRAY['USD', 'USD', 'GBP', 'EUR', 'USD', 'USD', 'GBP', 'EUR']
       ) WITH ORDINALITY AS w (name, plan, currency, n)
 ORDER BY n;

-- What the rows below belong to: each workspace's number, its main CRM, and its share of the rows.
CREATE TEMP TABLE shares ON COMMIT DROP AS
SELECT n::integer AS n, pg_temp.key('workspace', n::integer) AS workspace_id, crm, share
  FROM unnest(
         ARRAY['salesforce', 'hubspot', 'hubspot', 'pipedrive', 'salesforce', 'hubspot', 'pipedrive',
               'hubspot'],
         ARRAY[26, 20, 16, 13, 10, 8, 5, 2]
       ) WITH ORDINALITY AS s (crm, share, n);

CREATE TEMP TABLE draws ON COMMIT DROP AS
SELECT n AS workspace, workspace_id, crm, ticket - 1 AS ticket
  FROM (SELECT s.*, row_number() OVER (ORDER BY n, i) AS ticket
          FROM shares AS s, generate_series(1, share) AS i) AS tickets;

INSERT INTO users (id, workspace_id, email, full_name, role, last_seen_at, created_at)
SELECT pg_temp.key('user', u.n), s.workspace_id,
       lower(first_name || '.' || last_name) || '@' || w.slug || '.example',
       first_name || ' ' || last_name,
       CASE u.n % 6 WHEN 1 THEN 'owner' WHEN 2 THEN 'admin' WHEN 0 THEN 'viewer' ELSE 'member' END,
       pg_temp.ago('user seen ' || u.n, 20),
       pg_temp.ago('user born ' || u.n, 850) - interval '30 days'
  FROM (SELECT n, 1 + (n - 1) / 6 AS workspace,
               (ARRAY['Amara', 'Ben', 'Chiara', 'Dmitri', 'Elif', 'Femi', 'Grace', 'Hiro', 'Ines', 'Jonas',
                      'Kavya', 'Liam', 'Mei', 'Noor', 'Oskar', 'Priya'])[1 + (n * 5) % 16] AS first_name,
               (ARRAY['Adler', 'Brooks', 'Castillo', 'Dahl', 'Eriksen', 'Farouk', 'Grant', 'Haddad', 'Iyer',
                      'Jansen', 'Kowalski'])[1 + (n * 3) % 11] AS last_name
          FROM generate_series(1, 48) AS n) AS u
  JOIN shares AS s ON s.n = u.workspace
  JOIN workspaces AS w ON w.id = s.workspace_id
 ORDER BY u.n;

-- Each workspace: its main CRM twice (in use, and a sandbox), and what it tried besides.
INSERT INTO connections (id, workspace_id, source_type, credentials, external_account, status, sync_interval,
                         last_sync_at, created_by, created_at, updated_at)
SELECT pg_temp.key('connection', n), workspace_id, source_type,
       CASE WHEN status <> 'pending'
            THEN jsonb_build_object('vault', 'crm/' || source_type || '/' || left(md5('vault ' || n), 12))
       END,
       CASE WHEN status <> 'pending' THEN pg_temp.foreign_id(source_type, '00D', 100000 + n) END,
       status,
       CASE WHEN in_use THEN interval '15 minutes' ELSE interval '1 hour' END,
       CASE status WHEN 'connected' THEN pg_temp.ago('sync ' || n, 1)
                   WHEN 'pending' THEN NULL
                   ELSE pg_temp.ago('sync ' || n, 200) END,
       pg_temp.key('user', (workspace - 1) * 6 + 1 + n % 2),
       pg_temp.ago('connection born ' || n, 500) - interval '300 days',
       pg_temp.ago('connection changed ' || n, 90)
  FROM (SELECT row_number() OVER (ORDER BY s.n, source_type, copy)::integer AS n,
               s.n AS workspace, workspace_id, source_type,
               source_type = crm AND copy = 1 AS in_use,
               CASE WHEN source_type = crm AND copy = 1 THEN 'connected'
                    ELSE pg_temp.pick('state ' || s.n || source_type, 'connected', 'paused', 'error',
                                      'pending')
               END AS status
          FROM shares AS s, unnest(ARRAY['hubspot', 'salesforce', 'pipedrive']) AS source_type,
               generate_series(1, 2) AS copy
         WHERE source_type = crm OR (copy = 1 AND pg_temp.dice('tried ' || s.n || source_type, 2) = 0)
       ) AS c
 ORDER BY n;

INSERT INTO accounts (id, workspace_id, owner_id, name, domain, industry, employees, annual_revenue, country,
                      source, source_id, source_data, created_at, updated_at)
SELECT pg_temp.key('account', n), workspace_id,
       pg_temp.key('user', (workspace - 1) * 6 + 1 + pg_temp.dice('account owner ' || n, 5)),
       name || ' ' || suffix,
       regexp_replace(lower(name), '[^a-z]+', '', 'g') || '.example',
       pg_temp.pick('industry ' || n, 'Software', 'Manufacturing', 'Healthcare', 'Logistics', 'Retail',
                    'Energy', 'Financial services', 'Education', 'Construction', 'Media'),
       employees, employees * (60000 + 1000 * pg_temp.dice('revenue ' || n, 190)),
       pg_temp.pick('country ' || n, 'US', 'US', 'US', 'GB', 'GB', 'DE', 'FR', 'NL', 'SE', 'ES', 'CA', 'AU'),
       source, pg_temp.foreign_id(source, '001', n),
       CASE source WHEN 'manual' THEN '{}'
                   ELSE jsonb_build_object('name', name || ' ' || suffix, 'employees', employees) END,
       born,
       least(born + make_interval(days => pg_temp.dice('account changed ' || n, 300)), pg_temp.present())
  FROM (SELECT n, workspace, workspace_id,
               pg_temp.pick('account a ' || n, 'Alder', 'Amber', 'Apex', 'Arrow', 'Aspen', 'Beacon',
                            'Birch', 'Blue', 'Bolt', 'Bridge', 'Canyon', 'Cedar', 'Clear', 'Copper',
                            'Crest', 'Delta', 'Eagle', 'East', 'Ember', 'Falcon', 'Forge', 'Glacier',
                            'Granite', 'Harbor', 'Iron', 'Juno', 'Lumen', 'Maple', 'Nova', 'Oak', 'Onyx',
                            'Orchard', 'Pine', 'Quartz', 'River', 'Silver', 'Summit', 'Terra', 'Tidal',
                            'Vertex') ||
               pg_temp.pick('account b ' || n, 'bank', 'brook', ' Dynamics', 'field', ' Foods',
                            ' Industries', ' Labs', 'line', ' Logistics', ' Medical', ' Networks',
                            ' Partners', 'point', ' Retail', ' Software', 'stone', ' Systems', 'view',
                            'ware', 'works') AS name,
               pg_temp.pick('account c ' || n, 'Inc', 'Inc', 'LLC', 'Ltd', 'GmbH', 'BV', 'AB') AS suffix,
               round(8 * exp(pg_temp.dice('employees ' || n, 700) / 100.0))::integer AS employees,
               CASE WHEN pg_temp.dice('account source ' || n, 12) = 0 THEN 'manual' ELSE crm END AS source,
               pg_temp.ago('account born ' || n, 900) AS born
          FROM generate_series(1, 1500) AS n
          JOIN draws ON ticket = pg_temp.dice('account workspace ' || n, 100)) AS a
 ORDER BY n;

INSERT INTO contacts (id, workspace_id, account_id, first_name, last_name, email, phone, job_title,
                      lifecycle_stage, source, source_id, created_at, updated_at)
SELECT pg_temp.key('contact', n), workspace_id, account_id, first_name, last_name,
       lower(first_name || '.' || last_name) || '@' || domain,
       CASE WHEN pg_temp.dice('has phone ' || n, 3) > 0
            THEN format('+1 %s 555 %s', 201 + pg_temp.dice('area ' || n, 780),
                        to_char(100 + pg_temp.dice('phone ' || n, 100), 'FM0000')) END,
       pg_temp.pick('title a ' || n, 'Head of', 'Director of', 'VP of', 'Senior Manager,', 'Manager,')
       || ' ' ||
       pg_temp.pick('title b ' || n, 'Sales', 'Revenue Operations', 'Finance', 'IT', 'Procurement',
                    'Marketing', 'Operations', 'Customer Success', 'Data'),
       pg_temp.pick('lifecycle ' || n, 'lead', 'lead', 'lead', 'qualified', 'qualified', 'opportunity',
                    'customer'),
       source, pg_temp.foreign_id(source, '003', n), born,
       least(born + make_interval(days => pg_temp.dice('contact changed ' || n, 300)), pg_temp.present())
  FROM (SELECT n, a.workspace_id, a.id AS account_id, a.domain, a.source,
               pg_temp.pick('first ' || n, 'Aisha', 'Alex', 'Anna', 'Carlos', 'Chloe', 'Daniel', 'David',
                            'Elena', 'Emma', 'Eric', 'Fatima', 'Finn', 'Hannah', 'Hugo', 'Ibrahim',
                            'Isabel', 'James', 'Julia', 'Kenji', 'Laura', 'Lucas', 'Maria', 'Marta',
                            'Michael', 'Nadia', 'Nina', 'Omar', 'Paul', 'Rachel', 'Ravi', 'Sara', 'Sofia',
                            'Thomas', 'Tom', 'Victor', 'Wei', 'Yara', 'Zoe') AS first_name,
               pg_temp.pick('last ' || n, 'Ali', 'Andersson', 'Bauer', 'Becker', 'Bianchi', 'Brown', 'Chen',
                            'Clark', 'Costa', 'Davies', 'Dubois', 'Evans', 'Fischer', 'Garcia', 'Hansen',
                            'Hughes', 'Jensen', 'Johnson', 'Khan', 'Kim', 'Larsen', 'Lewis', 'Lopez',
                            'Martin', 'Meyer', 'Moreau', 'Nguyen', 'Novak', 'Okafor', 'Patel', 'Perez',
                            'Rossi', 'Sato', 'Schmidt', 'Silva', 'Singh', 'Smith', 'Tanaka', 'Taylor',
                            'Visser', 'Walker', 'Weber', 'Wilson', 'Wright') AS last_name,
               a.created_at + make_interval(hours => pg_temp.dice('contact born ' || n, 200)) AS born
          FROM generate_series(1, 4000) AS n
          JOIN accounts AS a
            ON a.id = pg_temp.key('account', 1 + pg_temp.dice('contact account ' || n, 1500))) AS c
 ORDER BY n;

-- The product's stages, and the name that each CRM gives them.
CREATE TEMP TABLE stages (position, normalized, hubspot, salesforce, pipedrive) ON COMMIT DROP AS VALUES
  (1, 'discovery', 'appointmentscheduled', 'Prospecting', 'Lead In'),
  (2, 'qualification', 'qualifiedtobuy', 'Needs Analysis', 'Contact Made'),
  (3, 'proposal', 'presentationscheduled', 'Proposal/Price Quote', 'Proposal Made'),
  (4, 'negotiation', 'contractsent', 'Negotiation/Review', 'Negotiations Started'),
  (5, 'closed_won', 'closedwon', 'Closed Won', 'Won'),
  (6, 'closed_lost', 'closedlost', 'Closed Lost', 'Lost');

INSERT INTO deals (id, workspace_id, account_id, contact_id, owner_id, name, amount, currency, stage,
                   normalized_stage, is_open, close_date, source, source_id, created_at, updated_at)
SELECT pg_temp.key('deal', n), d.workspace_id, account_id, contact_id, owner_id,
       account || ' - ' || pg_temp.pick('deal ' || n, 'New Business', 'New Business', 'Renewal',
                                        'Expansion', 'Pilot', 'Platform', 'Annual Plan', 'Seats',
                                        'Onboarding'),
       round((900 * exp(pg_temp.dice('amount ' || n, 550) / 100.0))::numeric, -2),
       w.home_currency,
       CASE d.source
         WHEN 'hubspot' THEN s.hubspot
         WHEN 'salesforce' THEN s.salesforce
         WHEN 'pipedrive' THEN s.pipedrive
         ELSE initcap(replace(s.normalized, '_', ' '))
       END,
       s.normalized, s.position < 5, (born + make_interval(days => days))::date,
       d.source, pg_temp.foreign_id(d.source, '006', n), born,
       least(born + make_interval(days => days), pg_temp.present())
  FROM (SELECT n, c.workspace_id, c.account_id, c.id AS contact_id, a.owner_id, a.name AS account,
               c.source, born, days,
               CASE WHEN born + make_interval(days => days) > pg_temp.present()
                    THEN 1 + pg_temp.dice('open stage ' || n, 4)
                    ELSE (ARRAY[5, 5, 6, 6, 6])[1 + pg_temp.dice('closed stage ' || n, 5)] END AS position
          FROM (SELECT n, 20 + pg_temp.dice('days ' || n, 160) AS days,
                       pg_temp.ago('deal born ' || n, 500) AS born
                  FROM generate_series(1, 3000) AS n) AS drawn
          JOIN contacts AS c ON c.id = pg_temp.key('contact', 1 + pg_temp.dice('deal contact ' || n, 4000))
          JOIN accounts AS a ON a.id = c.account_id) AS d
  JOIN workspaces AS w ON w.id = d.workspace_id
  JOIN stages AS s USING (position)
 ORDER BY n;

INSERT INTO deal_stage_changes (deal_id, normalized_stage, entered_at)
SELECT d.id, s.normalized, d.created_at + (d.updated_at - d.created_at) * (s.position - 1) / 6
  FROM deals AS d
  JOIN stages AS now ON now.normalized = d.normalized_stage
  JOIN stages AS s ON s.position = now.position OR s.position < least(now.position, 5)
 ORDER BY d.id, s.position;

INSERT INTO sync_log (connection_id, started_at, finished_at, records_read, outcome, message)
SELECT c.id, started_at, started_at + make_interval(secs => 2 + pg_temp.dice('took ' || seed, 90)),
       CASE WHEN failed THEN 0 ELSE pg_temp.dice('read ' || seed, 400) END,
       CASE WHEN failed THEN 'error' ELSE 'ok' END,
       CASE WHEN failed
            THEN pg_temp.pick('error ' || seed, '429: rate limit reached', '401: token was revoked',
                              '503: service unavailable') END
  FROM connections AS c, generate_series(0, 19) AS i,
       LATERAL (SELECT c.id || ' ' || i AS seed, c.last_sync_at - i * c.sync_interval AS started_at) AS t,
       LATERAL (SELECT c.status = 'error' AND i < 3 OR pg_temp.dice('failed ' || seed, 12) = 0 AS failed) AS f
 WHERE c.last_sync_at IS NOT NULL
 ORDER BY started_at, c.id;

ANALYZE workspaces, users, connections, accounts, contacts, deals, deal_stage_changes, sync_log;
