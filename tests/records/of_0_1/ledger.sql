--
-- PostgreSQL database dump
--


-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: pgrunbook; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA pgrunbook;


--
-- Name: SCHEMA pgrunbook; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA pgrunbook IS 'Ledger of pgrunbook: which run applied which block. Append-only.';


--
-- Name: refuse_change(); Type: FUNCTION; Schema: pgrunbook; Owner: -
--

CREATE FUNCTION pgrunbook.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: % on %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;


--
-- Name: FUNCTION refuse_change(); Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON FUNCTION pgrunbook.refuse_change() IS 'Refuses to change or remove a row of the ledger.';


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: attempts; Type: TABLE; Schema: pgrunbook; Owner: -
--

CREATE TABLE pgrunbook.attempts (
    id bigint NOT NULL,
    run_id uuid NOT NULL,
    block text NOT NULL,
    number integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    waited_ms double precision NOT NULL,
    got_locks boolean NOT NULL,
    blockers jsonb NOT NULL
);


--
-- Name: TABLE attempts; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON TABLE pgrunbook.attempts IS 'Attempts of a block that did not get its locks at once, the successful one at the end included.';


--
-- Name: COLUMN attempts.id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.attempts.id IS 'Order of the rows.';


--
-- Name: COLUMN attempts.run_id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.attempts.run_id IS 'Run that tried.';


--
-- Name: COLUMN attempts.block; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.attempts.block IS 'Name of the block.';


--
-- Name: COLUMN attempts.number; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.attempts.number IS 'Which attempt of the run at this block, counted from 1.';


--
-- Name: COLUMN attempts.started_at; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.attempts.started_at IS 'When it began.';


--
-- Name: COLUMN attempts.waited_ms; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.attempts.waited_ms IS 'How long it lasted, in milliseconds.';


--
-- Name: COLUMN attempts.got_locks; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.attempts.got_locks IS 'Whether it got its locks.';


--
-- Name: COLUMN attempts.blockers; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.attempts.blockers IS 'Sessions that were in the way: pid, application, role, state, transaction_s, lock, query (cut, without literals).';


--
-- Name: attempts_id_seq; Type: SEQUENCE; Schema: pgrunbook; Owner: -
--

ALTER TABLE pgrunbook.attempts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgrunbook.attempts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: blocks; Type: TABLE; Schema: pgrunbook; Owner: -
--

CREATE TABLE pgrunbook.blocks (
    id bigint NOT NULL,
    run_id uuid NOT NULL,
    runbook text NOT NULL,
    schema_name text NOT NULL,
    block text NOT NULL,
    revision integer NOT NULL,
    event text NOT NULL,
    reason text NOT NULL,
    sql text NOT NULL,
    source_sha256 text NOT NULL,
    tree_sha256 text NOT NULL,
    sql_sha256 text NOT NULL,
    variants text[] NOT NULL,
    facts jsonb NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    variables jsonb,
    kept jsonb,
    CONSTRAINT blocks_event_check CHECK ((event = ANY (ARRAY['started'::text, 'applied'::text, 'adopted'::text, 'reverting'::text, 'reverted'::text])))
);


--
-- Name: TABLE blocks; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON TABLE pgrunbook.blocks IS 'What happened to each block; a row commits together with the block''s DDL.';


--
-- Name: COLUMN blocks.id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.id IS 'Order of the rows.';


--
-- Name: COLUMN blocks.run_id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.run_id IS 'Run that did it.';


--
-- Name: COLUMN blocks.runbook; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.runbook IS 'Name of the runbook.';


--
-- Name: COLUMN blocks.schema_name; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.schema_name IS 'Schema that holds what the block made.';


--
-- Name: COLUMN blocks.block; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.block IS 'Name of the block.';


--
-- Name: COLUMN blocks.revision; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.revision IS 'Number of rows of this block before this one: no two runs can write the same.';


--
-- Name: COLUMN blocks.event; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.event IS 'applied: its DDL ran. adopted: its objects were there already, identical; nothing ran. reverted: its revert script ran, and what it had made is gone. started, reverting: a block outside a transaction began; the catalog says how far it came, until another row says applied or reverted.';


--
-- Name: COLUMN blocks.reason; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.reason IS 'Why it was applied or adopted.';


--
-- Name: COLUMN blocks.sql; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.sql IS 'Exactly the SQL that ran; empty if none did.';


--
-- Name: COLUMN blocks.source_sha256; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.source_sha256 IS 'SHA-256 of the file, or of the SHA-256 sums of its variants.';


--
-- Name: COLUMN blocks.tree_sha256; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.tree_sha256 IS 'SHA-256 of the parse tree, to which comments and white space do not count.';


--
-- Name: COLUMN blocks.sql_sha256; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.sql_sha256 IS 'SHA-256 of the whole block as rendered for this target.';


--
-- Name: COLUMN blocks.variants; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.variants IS 'Variants that were chosen for this target, in order; empty for a block without.';


--
-- Name: COLUMN blocks.facts; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.facts IS 'What the catalog said of the block''s objects when it was done: [kind, table, name, value].';


--
-- Name: COLUMN blocks.started_at; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.started_at IS 'When its first statement was sent.';


--
-- Name: COLUMN blocks.finished_at; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.finished_at IS 'When its row was written, just before the commit.';


--
-- Name: COLUMN blocks.variables; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.variables IS 'What the placeholders of each of its variants were filled with, so that it can be reverted.';


--
-- Name: COLUMN blocks.kept; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.blocks.kept IS 'What of its objects was there before it was applied, and stays if it is reverted: [kind, table, name].';


--
-- Name: blocks_id_seq; Type: SEQUENCE; Schema: pgrunbook; Owner: -
--

ALTER TABLE pgrunbook.blocks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgrunbook.blocks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: heads; Type: TABLE; Schema: pgrunbook; Owner: -
--

CREATE TABLE pgrunbook.heads (
    id bigint NOT NULL,
    run_id uuid NOT NULL,
    archive text NOT NULL,
    sequence bigint NOT NULL,
    seal text NOT NULL,
    sha256 text NOT NULL,
    sealed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT heads_archive_check CHECK ((archive ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT heads_sequence_check CHECK ((sequence > 0)),
    CONSTRAINT heads_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);


--
-- Name: TABLE heads; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON TABLE pgrunbook.heads IS 'The seal of each run''s record, when it was the last of its archive: an archive that lacks it was cut off or changed.';


--
-- Name: COLUMN heads.id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.heads.id IS 'Order of the rows.';


--
-- Name: COLUMN heads.run_id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.heads.run_id IS 'Run whose record was sealed.';


--
-- Name: COLUMN heads.archive; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.heads.archive IS 'Which archive: SHA-256 of the first seal in it.';


--
-- Name: COLUMN heads.sequence; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.heads.sequence IS 'Number of the seal in its archive, counted from 1.';


--
-- Name: COLUMN heads.seal; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.heads.seal IS 'File of the seal, from the root of the archive on.';


--
-- Name: COLUMN heads.sha256; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.heads.sha256 IS 'SHA-256 of that file.';


--
-- Name: COLUMN heads.sealed_at; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.heads.sealed_at IS 'When the row was written.';


--
-- Name: heads_id_seq; Type: SEQUENCE; Schema: pgrunbook; Owner: -
--

ALTER TABLE pgrunbook.heads ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgrunbook.heads_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: locks; Type: TABLE; Schema: pgrunbook; Owner: -
--

CREATE TABLE pgrunbook.locks (
    id bigint NOT NULL,
    run_id uuid NOT NULL,
    block text NOT NULL,
    number integer NOT NULL,
    relation text NOT NULL,
    mode text NOT NULL,
    held_ms double precision NOT NULL,
    rewritten boolean NOT NULL
);


--
-- Name: TABLE locks; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON TABLE pgrunbook.locks IS 'Locks that the statements of a block took on relations that existed before.';


--
-- Name: COLUMN locks.id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.locks.id IS 'Order of the rows.';


--
-- Name: COLUMN locks.run_id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.locks.run_id IS 'Run that held it.';


--
-- Name: COLUMN locks.block; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.locks.block IS 'Name of the block.';


--
-- Name: COLUMN locks.number; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.locks.number IS 'Statement that took it, as in statements.';


--
-- Name: COLUMN locks.relation; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.locks.relation IS 'Table, index or sequence that was locked.';


--
-- Name: COLUMN locks.mode; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.locks.mode IS 'Lock mode, as LOCK TABLE writes it.';


--
-- Name: COLUMN locks.held_ms; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.locks.held_ms IS 'For how long at most, in milliseconds: from sending the statement, so the wait for it is included, to writing this row, just before the commit.';


--
-- Name: COLUMN locks.rewritten; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.locks.rewritten IS 'Whether the block wrote the relation anew, as a whole.';


--
-- Name: locks_id_seq; Type: SEQUENCE; Schema: pgrunbook; Owner: -
--

ALTER TABLE pgrunbook.locks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgrunbook.locks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: runs; Type: TABLE; Schema: pgrunbook; Owner: -
--

CREATE TABLE pgrunbook.runs (
    run_id uuid NOT NULL,
    runbook text NOT NULL,
    schema_name text NOT NULL,
    mode text NOT NULL,
    operator text NOT NULL,
    ticket text NOT NULL,
    parameters jsonb NOT NULL,
    database_user text DEFAULT SESSION_USER NOT NULL,
    server_version text DEFAULT current_setting('server_version'::text) NOT NULL,
    tool_version text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    plan text DEFAULT ''::text NOT NULL
);


--
-- Name: TABLE runs; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON TABLE pgrunbook.runs IS 'One row for each run that got as far as writing. Runs that were refused before leave none.';


--
-- Name: COLUMN runs.run_id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.run_id IS 'Identifies the run; part of its notebook''s file name.';


--
-- Name: COLUMN runs.runbook; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.runbook IS 'Name of the runbook, such as 001_name.';


--
-- Name: COLUMN runs.schema_name; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.schema_name IS 'Schema that the run worked on.';


--
-- Name: COLUMN runs.mode; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.mode IS 'Mode of the run.';


--
-- Name: COLUMN runs.operator; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.operator IS 'Who ran it: the parameter, or the user of the operating system.';


--
-- Name: COLUMN runs.ticket; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.ticket IS 'Ticket given as a parameter; empty if none.';


--
-- Name: COLUMN runs.parameters; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.parameters IS 'All parameters of the run. Passwords are never parameters.';


--
-- Name: COLUMN runs.database_user; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.database_user IS 'Database user of the session.';


--
-- Name: COLUMN runs.server_version; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.server_version IS 'Version of the server.';


--
-- Name: COLUMN runs.tool_version; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.tool_version IS 'Version of pgrunbook.';


--
-- Name: COLUMN runs.started_at; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.started_at IS 'When the run first wrote.';


--
-- Name: COLUMN runs.plan; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.runs.plan IS 'SHA-256 of the plan that the run worked by; empty for runs of before version 4.';


--
-- Name: statements; Type: TABLE; Schema: pgrunbook; Owner: -
--

CREATE TABLE pgrunbook.statements (
    id bigint NOT NULL,
    run_id uuid NOT NULL,
    block text NOT NULL,
    number integer NOT NULL,
    event text NOT NULL,
    sql text NOT NULL,
    elapsed_ms double precision,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT statements_check CHECK (((event = 'finished'::text) = (elapsed_ms IS NOT NULL))),
    CONSTRAINT statements_event_check CHECK ((event = ANY (ARRAY['started'::text, 'finished'::text])))
);


--
-- Name: TABLE statements; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON TABLE pgrunbook.statements IS 'Each statement of a block that ran. Those of a block in a transaction commit with it.';


--
-- Name: COLUMN statements.id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.statements.id IS 'Order of the rows.';


--
-- Name: COLUMN statements.run_id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.statements.run_id IS 'Run that sent it.';


--
-- Name: COLUMN statements.block; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.statements.block IS 'Name of the block.';


--
-- Name: COLUMN statements.number; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.statements.number IS 'Which statement of those that the run sent for the block, counted from 1.';


--
-- Name: COLUMN statements.event; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.statements.event IS 'finished: it succeeded. started: outside a transaction, before it was sent; without a finished row it failed, or its run died.';


--
-- Name: COLUMN statements.sql; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.statements.sql IS 'The statement as it was sent.';


--
-- Name: COLUMN statements.elapsed_ms; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.statements.elapsed_ms IS 'How long it took, in milliseconds, waiting for its locks included.';


--
-- Name: COLUMN statements.at; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.statements.at IS 'When the row was written.';


--
-- Name: statements_id_seq; Type: SEQUENCE; Schema: pgrunbook; Owner: -
--

ALTER TABLE pgrunbook.statements ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgrunbook.statements_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: verdicts; Type: TABLE; Schema: pgrunbook; Owner: -
--

CREATE TABLE pgrunbook.verdicts (
    id bigint NOT NULL,
    run_id uuid NOT NULL,
    verdict text NOT NULL,
    reason text NOT NULL,
    ended_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: TABLE verdicts; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON TABLE pgrunbook.verdicts IS 'How each run ended; the last row of a run counts. A run without one is at work, or died.';


--
-- Name: COLUMN verdicts.id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.verdicts.id IS 'Order of the rows.';


--
-- Name: COLUMN verdicts.run_id; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.verdicts.run_id IS 'The run.';


--
-- Name: COLUMN verdicts.verdict; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.verdicts.verdict IS 'passed, failed, refused, interrupted or locked_out.';


--
-- Name: COLUMN verdicts.reason; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.verdicts.reason IS 'One line on why.';


--
-- Name: COLUMN verdicts.ended_at; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.verdicts.ended_at IS 'When the run ended.';


--
-- Name: verdicts_id_seq; Type: SEQUENCE; Schema: pgrunbook; Owner: -
--

ALTER TABLE pgrunbook.verdicts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgrunbook.verdicts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: versions; Type: TABLE; Schema: pgrunbook; Owner: -
--

CREATE TABLE pgrunbook.versions (
    version integer NOT NULL,
    installed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    installed_by text DEFAULT SESSION_USER NOT NULL,
    tool_version text NOT NULL
);


--
-- Name: TABLE versions; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON TABLE pgrunbook.versions IS 'Versions of the ledger''s own schema, the highest one in force.';


--
-- Name: COLUMN versions.version; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.versions.version IS 'Number of the version, counted from 1.';


--
-- Name: COLUMN versions.installed_at; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.versions.installed_at IS 'When it was installed.';


--
-- Name: COLUMN versions.installed_by; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.versions.installed_by IS 'Database user who installed it.';


--
-- Name: COLUMN versions.tool_version; Type: COMMENT; Schema: pgrunbook; Owner: -
--

COMMENT ON COLUMN pgrunbook.versions.tool_version IS 'Version of pgrunbook that installed it.';


--
-- Data for Name: attempts; Type: TABLE DATA; Schema: pgrunbook; Owner: -
--

COPY pgrunbook.attempts (id, run_id, block, number, started_at, waited_ms, got_locks, blockers) FROM stdin;
\.


--
-- Data for Name: blocks; Type: TABLE DATA; Schema: pgrunbook; Owner: -
--

COPY pgrunbook.blocks (id, run_id, runbook, schema_name, block, revision, event, reason, sql, source_sha256, tree_sha256, sql_sha256, variants, facts, started_at, finished_at, variables, kept) FROM stdin;
1	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	010_import_batches	0	applied	absent	-- The counts are of the rows of one file: no file comes near the end of integer.\n-- squawk-ignore-file prefer-bigint-over-int\nCREATE TABLE import_batches (\n  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),\n  workspace_id UUID NOT NULL REFERENCES workspaces(id),\n  entity_type TEXT NOT NULL,\n  filename TEXT NOT NULL,\n  source_crm TEXT,\n  row_count INTEGER NOT NULL,\n  records_inserted INTEGER DEFAULT 0,\n  records_updated INTEGER DEFAULT 0,\n  records_skipped INTEGER DEFAULT 0,\n  classification JSONB,\n  warnings TEXT[],\n  status TEXT NOT NULL DEFAULT 'pending',\n  replace_strategy TEXT DEFAULT 'replace',\n  uploaded_by TEXT,\n  created_at TIMESTAMPTZ DEFAULT now(),\n  confirmed_at TIMESTAMPTZ,\n  applied_at TIMESTAMPTZ\n);\n\nCREATE INDEX idx_import_batches_workspace ON import_batches(workspace_id, created_at DESC);\nCREATE INDEX idx_import_batches_status ON import_batches(workspace_id, status);\n\nCOMMENT ON TABLE import_batches IS 'Files that workspaces uploaded, one row a file';\nCOMMENT ON COLUMN import_batches.id IS 'Key; the records that the file brought hold it in source_data';\nCOMMENT ON COLUMN import_batches.workspace_id IS 'Workspace that the file was uploaded to';\nCOMMENT ON COLUMN import_batches.entity_type IS 'What the file holds: ''deal'', ''contact'', ''account''';\nCOMMENT ON COLUMN import_batches.filename IS 'Name of the file as it was uploaded';\nCOMMENT ON COLUMN import_batches.source_crm IS\n  'CRM that the file was exported from: ''hubspot'', ''salesforce'', ''pipedrive'', ''unknown''';\nCOMMENT ON COLUMN import_batches.row_count IS 'Rows in the file, without its heading';\nCOMMENT ON COLUMN import_batches.records_inserted IS 'Rows of the file that became new records';\nCOMMENT ON COLUMN import_batches.records_updated IS 'Rows of the file that changed a record';\nCOMMENT ON COLUMN import_batches.records_skipped IS 'Rows of the file that were left out';\nCOMMENT ON COLUMN import_batches.classification IS 'DeepSeek column mapping result';\nCOMMENT ON COLUMN import_batches.warnings IS 'What the user was warned of, one text a warning';\nCOMMENT ON COLUMN import_batches.status IS\n  'How far the import got: ''pending'', ''confirmed'', ''applied'', ''rolled_back''';\nCOMMENT ON COLUMN import_batches.replace_strategy IS\n  'What happens to the records of earlier imports: ''replace'', ''merge'', ''append''';\nCOMMENT ON COLUMN import_batches.uploaded_by IS 'Who uploaded the file';\nCOMMENT ON COLUMN import_batches.created_at IS 'When the file was uploaded';\nCOMMENT ON COLUMN import_batches.confirmed_at IS 'When the user confirmed the column mapping';\nCOMMENT ON COLUMN import_batches.applied_at IS 'When the records were written';\n	8d2f73b285df24aa4f40fb10ee3f0a4c3aa2e6750091835a6cd4c84cb999d5e3	4ee8b84ef5478e5ccf339349219f898771848cce2298d098a2b37d9c34801178	889351616dff492b376b8d311af76c4b0c552bb8af6715bd1041b00e37fdc1f7	{}	[["table", "import_batches", "", "table"], ["column", "import_batches", "id", "uuid"], ["constraint", "import_batches", "import_batches_pkey", "PRIMARY KEY (id)"], ["not null", "import_batches", "id", "NOT NULL"], ["default", "import_batches", "id", "gen_random_uuid()"], ["column", "import_batches", "workspace_id", "uuid"], ["not null", "import_batches", "workspace_id", "NOT NULL"], ["constraint", "import_batches", "import_batches_workspace_id_fkey", "FOREIGN KEY (workspace_id) REFERENCES workspaces (id)"], ["column", "import_batches", "entity_type", "text"], ["not null", "import_batches", "entity_type", "NOT NULL"], ["column", "import_batches", "filename", "text"], ["not null", "import_batches", "filename", "NOT NULL"], ["column", "import_batches", "source_crm", "text"], ["column", "import_batches", "row_count", "integer"], ["not null", "import_batches", "row_count", "NOT NULL"], ["column", "import_batches", "records_inserted", "integer"], ["default", "import_batches", "records_inserted", "0"], ["column", "import_batches", "records_updated", "integer"], ["default", "import_batches", "records_updated", "0"], ["column", "import_batches", "records_skipped", "integer"], ["default", "import_batches", "records_skipped", "0"], ["column", "import_batches", "classification", "jsonb"], ["column", "import_batches", "warnings", "text[]"], ["column", "import_batches", "status", "text"], ["not null", "import_batches", "status", "NOT NULL"], ["default", "import_batches", "status", "'pending'"], ["column", "import_batches", "replace_strategy", "text"], ["default", "import_batches", "replace_strategy", "'replace'"], ["column", "import_batches", "uploaded_by", "text"], ["column", "import_batches", "created_at", "timestamp with time zone"], ["default", "import_batches", "created_at", "now()"], ["column", "import_batches", "confirmed_at", "timestamp with time zone"], ["column", "import_batches", "applied_at", "timestamp with time zone"], ["index", "import_batches", "idx_import_batches_workspace", "INDEX ON import_batches (workspace_id, created_at DESC)"], ["index", "import_batches", "idx_import_batches_status", "INDEX ON import_batches (workspace_id, status)"]]	2026-11-28 17:00:30.292165+00	2026-11-28 17:00:30.306603+00	[]	[]
2	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	020_stage_mappings	0	applied	absent	-- display_order counts the stages of one workspace: integer is wide enough.\n-- squawk-ignore-file prefer-bigint-over-int\nCREATE TABLE stage_mappings (\n  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),\n  workspace_id UUID NOT NULL REFERENCES workspaces(id),\n  source TEXT NOT NULL DEFAULT 'csv_import',\n  raw_stage TEXT NOT NULL,\n  normalized_stage TEXT NOT NULL,\n  is_open BOOLEAN NOT NULL DEFAULT true,\n  display_order INTEGER DEFAULT 0,\n  created_at TIMESTAMPTZ DEFAULT now(),\n  updated_at TIMESTAMPTZ DEFAULT now(),\n  UNIQUE(workspace_id, source, raw_stage)\n);\n\nCREATE INDEX idx_stage_mappings_workspace ON stage_mappings(workspace_id, source);\n\nCOMMENT ON TABLE stage_mappings IS\n  'Workspace-level configuration that persists across imports: what each stage of a source means';\nCOMMENT ON COLUMN stage_mappings.id IS 'Key';\nCOMMENT ON COLUMN stage_mappings.workspace_id IS 'Workspace that the mapping belongs to';\nCOMMENT ON COLUMN stage_mappings.source IS\n  'Source whose stages are mapped: ''csv_import''; could also be ''hubspot'', ''salesforce''';\nCOMMENT ON COLUMN stage_mappings.raw_stage IS 'Stage as the source writes it, such as ''Verbal Yes''';\nCOMMENT ON COLUMN stage_mappings.normalized_stage IS\n  'Stage that it means: '\n  '''discovery'', ''qualification'', ''proposal'', ''negotiation'', ''closed_won'', ''closed_lost''';\nCOMMENT ON COLUMN stage_mappings.is_open IS 'Whether a deal in this stage is still open';\nCOMMENT ON COLUMN stage_mappings.display_order IS 'Place of the stage in lists, smallest first';\nCOMMENT ON COLUMN stage_mappings.created_at IS 'When the stage was first mapped';\nCOMMENT ON COLUMN stage_mappings.updated_at IS 'When the mapping last changed';\n	253238264eb859bedd0b542123f9c09ffe4ff46a003554fb956c4957a5432579	150ce793b146d3243416fdc6d9aa675f19d8d638d54a244d113e6bf46c908b70	b3643403f8271b3c883e44f44e92bd0802682112ed217aa01ad362091a341fbf	{}	[["table", "stage_mappings", "", "table"], ["column", "stage_mappings", "id", "uuid"], ["constraint", "stage_mappings", "stage_mappings_pkey", "PRIMARY KEY (id)"], ["not null", "stage_mappings", "id", "NOT NULL"], ["default", "stage_mappings", "id", "gen_random_uuid()"], ["column", "stage_mappings", "workspace_id", "uuid"], ["not null", "stage_mappings", "workspace_id", "NOT NULL"], ["constraint", "stage_mappings", "stage_mappings_workspace_id_fkey", "FOREIGN KEY (workspace_id) REFERENCES workspaces (id)"], ["column", "stage_mappings", "source", "text"], ["not null", "stage_mappings", "source", "NOT NULL"], ["default", "stage_mappings", "source", "'csv_import'"], ["column", "stage_mappings", "raw_stage", "text"], ["not null", "stage_mappings", "raw_stage", "NOT NULL"], ["column", "stage_mappings", "normalized_stage", "text"], ["not null", "stage_mappings", "normalized_stage", "NOT NULL"], ["column", "stage_mappings", "is_open", "boolean"], ["not null", "stage_mappings", "is_open", "NOT NULL"], ["default", "stage_mappings", "is_open", "TRUE"], ["column", "stage_mappings", "display_order", "integer"], ["default", "stage_mappings", "display_order", "0"], ["column", "stage_mappings", "created_at", "timestamp with time zone"], ["default", "stage_mappings", "created_at", "now()"], ["column", "stage_mappings", "updated_at", "timestamp with time zone"], ["default", "stage_mappings", "updated_at", "now()"], ["constraint", "stage_mappings", "stage_mappings_workspace_id_source_raw_stage_key", "UNIQUE (workspace_id, source, raw_stage)"], ["index", "stage_mappings", "idx_stage_mappings_workspace", "INDEX ON stage_mappings (workspace_id, source)"]]	2026-11-28 17:00:30.341299+00	2026-11-28 17:00:30.349941+00	[]	[]
3	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	030_deals_source_data	0	applied	absent	ALTER TABLE deals ADD COLUMN IF NOT EXISTS source_data JSONB DEFAULT '{}';\n\nCOMMENT ON COLUMN deals.source_data IS\n  'The row as its source gave it; for a file import {"import_batch_id": …, "original_row": …}';\n	783ae452f5f3a2fcfe76059ce7a69015e4a6b319af0071986b1674d9da3a17d3	070a6e3e8736474253bd16d41639e3a1eef04be2df35434beae629c9ba3b0ec3	02d8021bd97f9c14ad7495e5a852401925a5b4acf5359cba8fa5607fff4ef37a	{}	[["column", "deals", "source_data", "jsonb"], ["default", "deals", "source_data", "'{}'"]]	2026-11-28 17:00:30.378012+00	2026-11-28 17:00:30.380322+00	[]	[]
4	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	040_contacts_source_data	0	applied	absent	ALTER TABLE contacts ADD COLUMN IF NOT EXISTS source_data JSONB DEFAULT '{}';\n\nCOMMENT ON COLUMN contacts.source_data IS\n  'The row as its source gave it; for a file import {"import_batch_id": …, "original_row": …}';\n	7566cb98a776c0972387158793cb20e80db80c1e97e266e85de672f688b4bfb7	f17aa0874fa580a9848f1297d837e733b0f9679745ef43608510e999f56b2cd6	4bf56f3a4ee9c267f80d57828cf91662f9ad083805288e0e5b123ce5801f7444	{}	[["column", "contacts", "source_data", "jsonb"], ["default", "contacts", "source_data", "'{}'"]]	2026-11-28 17:00:30.399409+00	2026-11-28 17:00:30.401954+00	[]	[]
5	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	050_accounts_source_data	0	adopted	identical		6448beb562fb3d6fe92838d9499dcd215e3e936bb01c69e6bbced032ce730468	27a1bdbb8f18cdb0306f63010cf69d28facf292e2866f9deb83a7d93d341a9c0	c8e58e9b650db5e75d4d4d742d72bd7a8901700120e3339f3cc9dfe2860f43c2	{}	[["column", "accounts", "source_data", "jsonb"], ["default", "accounts", "source_data", "'{}'"]]	2026-11-28 17:00:30.420018+00	2026-11-28 17:00:30.421724+00	[]	[]
6	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	060_connections_source_label	0	applied	absent	ALTER TABLE "connections" ADD COLUMN IF NOT EXISTS source_label TEXT;\n\nCOMMENT ON COLUMN "connections".source_label IS\n  'Name that the user gave the source, such as ''HubSpot Export''';\n	5d8e76a26f033c965c1003ccacfdc1200d122d4cda08355dafccd41d7eb9b7b4	9f62b6eccf118e741c84496383833dd3802d477f1d1970073f6abaf66e9b5945	19703ba23b9b2dcd0f3faa6d002af6f5a85ce21eed3a55ffa96968c688922f6a	{}	[["column", "connections", "source_label", "text"]]	2026-11-28 17:00:30.43254+00	2026-11-28 17:00:30.434809+00	[]	[]
7	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	061_connections_config	0	applied	absent	ALTER TABLE "connections" ADD COLUMN IF NOT EXISTS config JSONB;\n\nCOMMENT ON COLUMN "connections".config IS\n  'Settings of the source; {} for file imports, which need no credentials';\n	74b2e2451be462e10ef911482fb4f8a39034a847e1cc6f08a6b697f1ab6c1219	d3407bcff310de33e2834e42c4b08701554a247b089274b571d648546efd7228	403dd6590f0febf5d7748c97382e54b13839216ebdf565f2df7b7a8901a32245	{}	[["column", "connections", "config", "jsonb"]]	2026-11-28 17:00:30.448376+00	2026-11-28 17:00:30.450853+00	[]	[]
8	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	062_connections_last_sync_at	0	adopted	identical		3ef6c0fed3fa2114bfc64caa153c0f67bd719a3c88bc12c32f292146d64d9082	a3b2f7d63af119f32e382ea147e52eecf8d65ccec2721016bc4d8ba255ce130b	8b3d112adc60f934df20211cc1afedd3a44442f78389672e5e07045dca4b6a26	{}	[["column", "connections", "last_sync_at", "timestamp with time zone"]]	2026-11-28 17:00:30.465293+00	2026-11-28 17:00:30.466952+00	[]	[]
9	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	070_admit_csv_import:accounts.source	0	adopted	free text: any value is accepted		e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	{}	[["value", "accounts", "source", "csv_import"]]	2026-11-28 17:00:30.481489+00	2026-11-28 17:00:30.490425+00	[]	[]
10	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	070_admit_csv_import:connections.source_type	0	applied	absent	ALTER TABLE connections ADD CONSTRAINT "connections_source_type_check_new" CHECK (source_type IN ('hubspot', 'salesforce', 'pipedrive', 'csv_import')) NOT VALID;\nALTER TABLE connections DROP CONSTRAINT "connections_source_type_check";\nALTER TABLE connections RENAME CONSTRAINT "connections_source_type_check_new" TO "connections_source_type_check";\nCOMMENT ON CONSTRAINT "connections_source_type_check" ON connections IS '';\n	733880eaeb5f6a260c7bb681eaadbe123398a8ae0b57f1441cda9cdd43b5b278	99c292fc9ab4c21d2d7c67f4a5ddfa42338295177dd7733858798dcf7db3a620	5d2a2b16b0ff0f96832b64a0732302fd255ada01413039b986adf29204f5b37d	{check}	[["value", "connections", "source_type", "csv_import"], ["check", "connections", "connections_source_type_check", "csv_import"]]	2026-11-28 17:00:30.504317+00	2026-11-28 17:00:30.510739+00	[{"table": "connections", "comment": "", "previous": "CHECK ((source_type = ANY (ARRAY['hubspot'::text, 'salesforce'::text, 'pipedrive'::text])))", "temporary": "connections_source_type_check_new", "constraint": "connections_source_type_check", "expression": "source_type IN ('hubspot', 'salesforce', 'pipedrive', 'csv_import')"}]	[]
11	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	070_admit_csv_import:contacts.source	0	adopted	free text: any value is accepted		e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	{}	[["value", "contacts", "source", "csv_import"]]	2026-11-28 17:00:30.523871+00	2026-11-28 17:00:30.528021+00	[]	[]
12	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	070_admit_csv_import:deals.source	0	applied	absent	ALTER TABLE deals ADD CONSTRAINT "deals_source_check_new" CHECK (source IN ('hubspot', 'salesforce', 'pipedrive', 'manual', 'csv_import')) NOT VALID;\nALTER TABLE deals DROP CONSTRAINT "deals_source_check";\nALTER TABLE deals RENAME CONSTRAINT "deals_source_check_new" TO "deals_source_check";\nCOMMENT ON CONSTRAINT "deals_source_check" ON deals IS '';\n	733880eaeb5f6a260c7bb681eaadbe123398a8ae0b57f1441cda9cdd43b5b278	99c292fc9ab4c21d2d7c67f4a5ddfa42338295177dd7733858798dcf7db3a620	37327239dba4ea53e731d8783216c2afe328114d59cdd7147bb060fd3664bff7	{check}	[["value", "deals", "source", "csv_import"], ["check", "deals", "deals_source_check", "csv_import"]]	2026-11-28 17:00:30.542341+00	2026-11-28 17:00:30.552132+00	[{"table": "deals", "comment": "", "previous": "CHECK ((source = ANY (ARRAY['hubspot'::text, 'salesforce'::text, 'pipedrive'::text, 'manual'::text])))", "temporary": "deals_source_check_new", "constraint": "deals_source_check", "expression": "source IN ('hubspot', 'salesforce', 'pipedrive', 'manual', 'csv_import')"}]	[]
13	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	080_validate_csv_import:accounts.source	0	adopted	no constraint was replaced		e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	{}	[]	2026-11-28 17:00:30.579059+00	2026-11-28 17:00:30.583615+00	[]	[]
14	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	080_validate_csv_import:connections.source_type	0	applied	absent	ALTER TABLE connections VALIDATE CONSTRAINT "connections_source_type_check";\n	73c64e39544e1775d17d195ed823a0fea445c00a5afad1a75f989f0ecdb31487	826ccda1944fabdcdea8059196007a5d8e4e626bcdb9a1550e6019fba3dbe2fa	f1c20c616d10a539f0224e277af27bfaf3b2216cc3f06dcdde7184b81c952a51	{check}	[["validated", "connections", "connections_source_type_check", "yes"]]	2026-11-28 17:00:30.593497+00	2026-11-28 17:00:30.601059+00	[{"table": "connections", "constraint": "connections_source_type_check"}]	[]
15	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	080_validate_csv_import:contacts.source	0	adopted	no constraint was replaced		e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855	{}	[]	2026-11-28 17:00:30.616662+00	2026-11-28 17:00:30.619038+00	[]	[]
16	c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	080_validate_csv_import:deals.source	0	applied	absent	ALTER TABLE deals VALIDATE CONSTRAINT "deals_source_check";\n	73c64e39544e1775d17d195ed823a0fea445c00a5afad1a75f989f0ecdb31487	826ccda1944fabdcdea8059196007a5d8e4e626bcdb9a1550e6019fba3dbe2fa	d3f1505d69acfee377393ed470b999a4bd007435965321ad49477c69961a554f	{check}	[["validated", "deals", "deals_source_check", "yes"]]	2026-11-28 17:00:30.63108+00	2026-11-28 17:00:30.637647+00	[{"table": "deals", "constraint": "deals_source_check"}]	[]
\.


--
-- Data for Name: heads; Type: TABLE DATA; Schema: pgrunbook; Owner: -
--

COPY pgrunbook.heads (id, run_id, archive, sequence, seal, sha256, sealed_at) FROM stdin;
1	c5808f07-6806-4241-8d9e-872ffe5536f6	b425ec19a5539019a31588014aa089ba1d37321b2554c7fca67fb763c5253d99	3	env-CRM_URL/001_import_connector/2026-11-28T170029Z-c5808f07.dsse.json	6d115ca34a3efc63028fe4fb86625dfc38a54ba7a51d191a9a7737d593ffe964	2026-11-28 17:00:31.026012+00
\.


--
-- Data for Name: locks; Type: TABLE DATA; Schema: pgrunbook; Owner: -
--

COPY pgrunbook.locks (id, run_id, block, number, relation, mode, held_ms, rewritten) FROM stdin;
1	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	1	workspaces	ACCESS SHARE	13.952613000014935	f
2	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	1	workspaces	SHARE ROW EXCLUSIVE	13.952613000014935	f
3	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	1	workspaces	ACCESS SHARE	8.513239999956568	f
4	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	1	workspaces	SHARE ROW EXCLUSIVE	8.513239999956568	f
5	c5808f07-6806-4241-8d9e-872ffe5536f6	030_deals_source_data	1	deals	ACCESS EXCLUSIVE	2.1551649999764777	f
6	c5808f07-6806-4241-8d9e-872ffe5536f6	040_contacts_source_data	1	contacts	ACCESS EXCLUSIVE	2.4731970000857473	f
7	c5808f07-6806-4241-8d9e-872ffe5536f6	060_connections_source_label	1	connections	ACCESS EXCLUSIVE	1.8948280001040985	f
8	c5808f07-6806-4241-8d9e-872ffe5536f6	061_connections_config	1	connections	ACCESS EXCLUSIVE	2.0767089999935706	f
9	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:connections.source_type	1	connections	ACCESS EXCLUSIVE	6.3694120000263865	f
10	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:deals.source	1	deals	ACCESS EXCLUSIVE	9.688071000027776	f
11	c5808f07-6806-4241-8d9e-872ffe5536f6	080_validate_csv_import:connections.source_type	1	connections	SHARE UPDATE EXCLUSIVE	7.335054000009222	f
12	c5808f07-6806-4241-8d9e-872ffe5536f6	080_validate_csv_import:deals.source	1	deals	SHARE UPDATE EXCLUSIVE	6.484822999937023	f
\.


--
-- Data for Name: runs; Type: TABLE DATA; Schema: pgrunbook; Owner: -
--

COPY pgrunbook.runs (run_id, runbook, schema_name, mode, operator, ticket, parameters, database_user, server_version, tool_version, started_at, plan) FROM stdin;
c5808f07-6806-4241-8d9e-872ffe5536f6	001_import_connector	public	apply	ada	CRM-1	{"mode": "apply", "schema": "public", "target": "env:CRM_URL", "ticket": "CRM-1", "discard": "", "approver": "", "operator": "ada", "lock_budget": "5min", "lock_timeout": "150ms", "approved_plan": "", "connections_table": "", "statement_timeout": "30s", "source_type_column": ""}	postgres	18.4	0.1.0	2026-11-28 17:00:30.288555+00	8a14633cc4eb1b1f6b22334e9ca97bba95c79a2f1dd8b7e1f924783b38717c26
\.


--
-- Data for Name: statements; Type: TABLE DATA; Schema: pgrunbook; Owner: -
--

COPY pgrunbook.statements (id, run_id, block, number, event, sql, elapsed_ms, at) FROM stdin;
1	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	1	finished	CREATE TABLE import_batches (\n  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),\n  workspace_id UUID NOT NULL REFERENCES workspaces(id),\n  entity_type TEXT NOT NULL,\n  filename TEXT NOT NULL,\n  source_crm TEXT,\n  row_count INTEGER NOT NULL,\n  records_inserted INTEGER DEFAULT 0,\n  records_updated INTEGER DEFAULT 0,\n  records_skipped INTEGER DEFAULT 0,\n  classification JSONB,\n  warnings TEXT[],\n  status TEXT NOT NULL DEFAULT 'pending',\n  replace_strategy TEXT DEFAULT 'replace',\n  uploaded_by TEXT,\n  created_at TIMESTAMPTZ DEFAULT now(),\n  confirmed_at TIMESTAMPTZ,\n  applied_at TIMESTAMPTZ\n)	1.9779205322265625	2026-11-28 17:00:30.307228+00
2	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	2	finished	CREATE INDEX idx_import_batches_workspace ON import_batches(workspace_id, created_at DESC)	0.3979206085205078	2026-11-28 17:00:30.307337+00
3	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	3	finished	CREATE INDEX idx_import_batches_status ON import_batches(workspace_id, status)	0.31304359436035156	2026-11-28 17:00:30.307343+00
4	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	4	finished	COMMENT ON TABLE import_batches IS 'Files that workspaces uploaded, one row a file'	0.025033950805664062	2026-11-28 17:00:30.307346+00
5	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	5	finished	COMMENT ON COLUMN import_batches.id IS 'Key; the records that the file brought hold it in source_data'	0.017881393432617188	2026-11-28 17:00:30.30735+00
6	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	6	finished	COMMENT ON COLUMN import_batches.workspace_id IS 'Workspace that the file was uploaded to'	0.02288818359375	2026-11-28 17:00:30.307353+00
7	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	7	finished	COMMENT ON COLUMN import_batches.entity_type IS 'What the file holds: ''deal'', ''contact'', ''account'''	0.019073486328125	2026-11-28 17:00:30.307356+00
8	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	8	finished	COMMENT ON COLUMN import_batches.filename IS 'Name of the file as it was uploaded'	0.015974044799804688	2026-11-28 17:00:30.307359+00
9	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	9	finished	COMMENT ON COLUMN import_batches.source_crm IS\n  'CRM that the file was exported from: ''hubspot'', ''salesforce'', ''pipedrive'', ''unknown'''	0.0209808349609375	2026-11-28 17:00:30.307362+00
10	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	10	finished	COMMENT ON COLUMN import_batches.row_count IS 'Rows in the file, without its heading'	0.015020370483398438	2026-11-28 17:00:30.307365+00
11	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	11	finished	COMMENT ON COLUMN import_batches.records_inserted IS 'Rows of the file that became new records'	0.025987625122070312	2026-11-28 17:00:30.307369+00
12	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	12	finished	COMMENT ON COLUMN import_batches.records_updated IS 'Rows of the file that changed a record'	0.019073486328125	2026-11-28 17:00:30.307372+00
13	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	13	finished	COMMENT ON COLUMN import_batches.records_skipped IS 'Rows of the file that were left out'	0.019073486328125	2026-11-28 17:00:30.307374+00
14	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	14	finished	COMMENT ON COLUMN import_batches.classification IS 'DeepSeek column mapping result'	0.02193450927734375	2026-11-28 17:00:30.307377+00
15	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	15	finished	COMMENT ON COLUMN import_batches.warnings IS 'What the user was warned of, one text a warning'	0.018835067749023438	2026-11-28 17:00:30.30738+00
16	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	16	finished	COMMENT ON COLUMN import_batches.status IS\n  'How far the import got: ''pending'', ''confirmed'', ''applied'', ''rolled_back'''	0.015974044799804688	2026-11-28 17:00:30.307382+00
17	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	17	finished	COMMENT ON COLUMN import_batches.replace_strategy IS\n  'What happens to the records of earlier imports: ''replace'', ''merge'', ''append'''	0.019073486328125	2026-11-28 17:00:30.307385+00
18	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	18	finished	COMMENT ON COLUMN import_batches.uploaded_by IS 'Who uploaded the file'	0.023126602172851562	2026-11-28 17:00:30.307388+00
19	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	19	finished	COMMENT ON COLUMN import_batches.created_at IS 'When the file was uploaded'	0.015974044799804688	2026-11-28 17:00:30.307391+00
20	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	20	finished	COMMENT ON COLUMN import_batches.confirmed_at IS 'When the user confirmed the column mapping'	0.019073486328125	2026-11-28 17:00:30.307394+00
21	c5808f07-6806-4241-8d9e-872ffe5536f6	010_import_batches	21	finished	COMMENT ON COLUMN import_batches.applied_at IS 'When the records were written'	0.01811981201171875	2026-11-28 17:00:30.307397+00
22	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	1	finished	CREATE TABLE stage_mappings (\n  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),\n  workspace_id UUID NOT NULL REFERENCES workspaces(id),\n  source TEXT NOT NULL DEFAULT 'csv_import',\n  raw_stage TEXT NOT NULL,\n  normalized_stage TEXT NOT NULL,\n  is_open BOOLEAN NOT NULL DEFAULT true,\n  display_order INTEGER DEFAULT 0,\n  created_at TIMESTAMPTZ DEFAULT now(),\n  updated_at TIMESTAMPTZ DEFAULT now(),\n  UNIQUE(workspace_id, source, raw_stage)\n)	2.434968948364258	2026-11-28 17:00:30.350092+00
23	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	2	finished	CREATE INDEX idx_stage_mappings_workspace ON stage_mappings(workspace_id, source)	0.35500526428222656	2026-11-28 17:00:30.350117+00
24	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	3	finished	COMMENT ON TABLE stage_mappings IS\n  'Workspace-level configuration that persists across imports: what each stage of a source means'	0.024080276489257812	2026-11-28 17:00:30.350122+00
25	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	4	finished	COMMENT ON COLUMN stage_mappings.id IS 'Key'	0.013828277587890625	2026-11-28 17:00:30.350126+00
26	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	5	finished	COMMENT ON COLUMN stage_mappings.workspace_id IS 'Workspace that the mapping belongs to'	0.011920928955078125	2026-11-28 17:00:30.350129+00
27	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	6	finished	COMMENT ON COLUMN stage_mappings.source IS\n  'Source whose stages are mapped: ''csv_import''; could also be ''hubspot'', ''salesforce'''	0.011920928955078125	2026-11-28 17:00:30.350133+00
28	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	7	finished	COMMENT ON COLUMN stage_mappings.raw_stage IS 'Stage as the source writes it, such as ''Verbal Yes'''	0.011920928955078125	2026-11-28 17:00:30.350137+00
29	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	8	finished	COMMENT ON COLUMN stage_mappings.normalized_stage IS\n  'Stage that it means: '\n  '''discovery'', ''qualification'', ''proposal'', ''negotiation'', ''closed_won'', ''closed_lost'''	0.012159347534179688	2026-11-28 17:00:30.350141+00
30	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	9	finished	COMMENT ON COLUMN stage_mappings.is_open IS 'Whether a deal in this stage is still open'	0.011205673217773438	2026-11-28 17:00:30.350144+00
31	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	10	finished	COMMENT ON COLUMN stage_mappings.display_order IS 'Place of the stage in lists, smallest first'	0.014066696166992188	2026-11-28 17:00:30.350151+00
32	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	11	finished	COMMENT ON COLUMN stage_mappings.created_at IS 'When the stage was first mapped'	0.012874603271484375	2026-11-28 17:00:30.350155+00
33	c5808f07-6806-4241-8d9e-872ffe5536f6	020_stage_mappings	12	finished	COMMENT ON COLUMN stage_mappings.updated_at IS 'When the mapping last changed'	0.9779930114746094	2026-11-28 17:00:30.350159+00
34	c5808f07-6806-4241-8d9e-872ffe5536f6	030_deals_source_data	1	finished	ALTER TABLE deals ADD COLUMN IF NOT EXISTS source_data JSONB DEFAULT '{}'	0.4200935363769531	2026-11-28 17:00:30.38038+00
35	c5808f07-6806-4241-8d9e-872ffe5536f6	030_deals_source_data	2	finished	COMMENT ON COLUMN deals.source_data IS\n  'The row as its source gave it; for a file import {"import_batch_id": …, "original_row": …}'	0.08702278137207031	2026-11-28 17:00:30.380401+00
36	c5808f07-6806-4241-8d9e-872ffe5536f6	040_contacts_source_data	1	finished	ALTER TABLE contacts ADD COLUMN IF NOT EXISTS source_data JSONB DEFAULT '{}'	0.37384033203125	2026-11-28 17:00:30.402014+00
37	c5808f07-6806-4241-8d9e-872ffe5536f6	040_contacts_source_data	2	finished	COMMENT ON COLUMN contacts.source_data IS\n  'The row as its source gave it; for a file import {"import_batch_id": …, "original_row": …}'	0.04601478576660156	2026-11-28 17:00:30.402035+00
38	c5808f07-6806-4241-8d9e-872ffe5536f6	060_connections_source_label	1	finished	ALTER TABLE "connections" ADD COLUMN IF NOT EXISTS source_label TEXT	0.2720355987548828	2026-11-28 17:00:30.434869+00
39	c5808f07-6806-4241-8d9e-872ffe5536f6	060_connections_source_label	2	finished	COMMENT ON COLUMN "connections".source_label IS\n  'Name that the user gave the source, such as ''HubSpot Export'''	0.04291534423828125	2026-11-28 17:00:30.434891+00
40	c5808f07-6806-4241-8d9e-872ffe5536f6	061_connections_config	1	finished	ALTER TABLE "connections" ADD COLUMN IF NOT EXISTS config JSONB	0.37217140197753906	2026-11-28 17:00:30.450918+00
41	c5808f07-6806-4241-8d9e-872ffe5536f6	061_connections_config	2	finished	COMMENT ON COLUMN "connections".config IS\n  'Settings of the source; {} for file imports, which need no credentials'	0.05602836608886719	2026-11-28 17:00:30.45094+00
42	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:connections.source_type	1	finished	ALTER TABLE connections ADD CONSTRAINT "connections_source_type_check_new" CHECK (source_type IN ('hubspot', 'salesforce', 'pipedrive', 'csv_import')) NOT VALID	0.2548694610595703	2026-11-28 17:00:30.511109+00
43	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:connections.source_type	2	finished	ALTER TABLE connections DROP CONSTRAINT "connections_source_type_check"	0.1049041748046875	2026-11-28 17:00:30.511129+00
44	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:connections.source_type	3	finished	ALTER TABLE connections RENAME CONSTRAINT "connections_source_type_check_new" TO "connections_source_type_check"	0.04482269287109375	2026-11-28 17:00:30.511131+00
45	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:connections.source_type	4	finished	COMMENT ON CONSTRAINT "connections_source_type_check" ON connections IS ''	0.034809112548828125	2026-11-28 17:00:30.511133+00
46	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:deals.source	1	finished	ALTER TABLE deals ADD CONSTRAINT "deals_source_check_new" CHECK (source IN ('hubspot', 'salesforce', 'pipedrive', 'manual', 'csv_import')) NOT VALID	0.4420280456542969	2026-11-28 17:00:30.552204+00
47	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:deals.source	2	finished	ALTER TABLE deals DROP CONSTRAINT "deals_source_check"	0.17309188842773438	2026-11-28 17:00:30.552226+00
48	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:deals.source	3	finished	ALTER TABLE deals RENAME CONSTRAINT "deals_source_check_new" TO "deals_source_check"	0.14781951904296875	2026-11-28 17:00:30.55223+00
49	c5808f07-6806-4241-8d9e-872ffe5536f6	070_admit_csv_import:deals.source	4	finished	COMMENT ON CONSTRAINT "deals_source_check" ON deals IS ''	0.06103515625	2026-11-28 17:00:30.552233+00
50	c5808f07-6806-4241-8d9e-872ffe5536f6	080_validate_csv_import:connections.source_type	1	finished	ALTER TABLE connections VALIDATE CONSTRAINT "connections_source_type_check"	0.2570152282714844	2026-11-28 17:00:30.60111+00
51	c5808f07-6806-4241-8d9e-872ffe5536f6	080_validate_csv_import:deals.source	1	finished	ALTER TABLE deals VALIDATE CONSTRAINT "deals_source_check"	0.8921623229980469	2026-11-28 17:00:30.637693+00
\.


--
-- Data for Name: verdicts; Type: TABLE DATA; Schema: pgrunbook; Owner: -
--

COPY pgrunbook.verdicts (id, run_id, verdict, reason, ended_at) FROM stdin;
1	c5808f07-6806-4241-8d9e-872ffe5536f6	passed	all 16 blocks are in place: 10 applied, 6 adopted	2026-11-28 17:00:30.897768+00
\.


--
-- Data for Name: versions; Type: TABLE DATA; Schema: pgrunbook; Owner: -
--

COPY pgrunbook.versions (version, installed_at, installed_by, tool_version) FROM stdin;
1	2026-11-28 17:00:30.276917+00	postgres	0.1.0
2	2026-11-28 17:00:30.283764+00	postgres	0.1.0
3	2026-11-28 17:00:30.286322+00	postgres	0.1.0
4	2026-11-28 17:00:30.287487+00	postgres	0.1.0
\.


--
-- Name: attempts_id_seq; Type: SEQUENCE SET; Schema: pgrunbook; Owner: -
--

SELECT pg_catalog.setval('pgrunbook.attempts_id_seq', 1, false);


--
-- Name: blocks_id_seq; Type: SEQUENCE SET; Schema: pgrunbook; Owner: -
--

SELECT pg_catalog.setval('pgrunbook.blocks_id_seq', 16, true);


--
-- Name: heads_id_seq; Type: SEQUENCE SET; Schema: pgrunbook; Owner: -
--

SELECT pg_catalog.setval('pgrunbook.heads_id_seq', 1, true);


--
-- Name: locks_id_seq; Type: SEQUENCE SET; Schema: pgrunbook; Owner: -
--

SELECT pg_catalog.setval('pgrunbook.locks_id_seq', 12, true);


--
-- Name: statements_id_seq; Type: SEQUENCE SET; Schema: pgrunbook; Owner: -
--

SELECT pg_catalog.setval('pgrunbook.statements_id_seq', 51, true);


--
-- Name: verdicts_id_seq; Type: SEQUENCE SET; Schema: pgrunbook; Owner: -
--

SELECT pg_catalog.setval('pgrunbook.verdicts_id_seq', 1, true);


--
-- Name: attempts attempts_pkey; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (id);


--
-- Name: blocks blocks_pkey; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.blocks
    ADD CONSTRAINT blocks_pkey PRIMARY KEY (id);


--
-- Name: blocks blocks_runbook_schema_name_block_revision_key; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.blocks
    ADD CONSTRAINT blocks_runbook_schema_name_block_revision_key UNIQUE (runbook, schema_name, block, revision);


--
-- Name: heads heads_pkey; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.heads
    ADD CONSTRAINT heads_pkey PRIMARY KEY (id);


--
-- Name: locks locks_pkey; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.locks
    ADD CONSTRAINT locks_pkey PRIMARY KEY (id);


--
-- Name: runs runs_pkey; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id);


--
-- Name: statements statements_pkey; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.statements
    ADD CONSTRAINT statements_pkey PRIMARY KEY (id);


--
-- Name: verdicts verdicts_pkey; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.verdicts
    ADD CONSTRAINT verdicts_pkey PRIMARY KEY (id);


--
-- Name: versions versions_pkey; Type: CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (version);


--
-- Name: attempts append_only; Type: TRIGGER; Schema: pgrunbook; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pgrunbook.attempts FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();


--
-- Name: blocks append_only; Type: TRIGGER; Schema: pgrunbook; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pgrunbook.blocks FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();


--
-- Name: heads append_only; Type: TRIGGER; Schema: pgrunbook; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pgrunbook.heads FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();


--
-- Name: locks append_only; Type: TRIGGER; Schema: pgrunbook; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pgrunbook.locks FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();


--
-- Name: runs append_only; Type: TRIGGER; Schema: pgrunbook; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pgrunbook.runs FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();


--
-- Name: statements append_only; Type: TRIGGER; Schema: pgrunbook; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pgrunbook.statements FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();


--
-- Name: verdicts append_only; Type: TRIGGER; Schema: pgrunbook; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pgrunbook.verdicts FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();


--
-- Name: versions append_only; Type: TRIGGER; Schema: pgrunbook; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pgrunbook.versions FOR EACH STATEMENT EXECUTE FUNCTION pgrunbook.refuse_change();


--
-- Name: attempts attempts_run_id_fkey; Type: FK CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.attempts
    ADD CONSTRAINT attempts_run_id_fkey FOREIGN KEY (run_id) REFERENCES pgrunbook.runs(run_id);


--
-- Name: blocks blocks_run_id_fkey; Type: FK CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.blocks
    ADD CONSTRAINT blocks_run_id_fkey FOREIGN KEY (run_id) REFERENCES pgrunbook.runs(run_id);


--
-- Name: heads heads_run_id_fkey; Type: FK CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.heads
    ADD CONSTRAINT heads_run_id_fkey FOREIGN KEY (run_id) REFERENCES pgrunbook.runs(run_id);


--
-- Name: locks locks_run_id_fkey; Type: FK CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.locks
    ADD CONSTRAINT locks_run_id_fkey FOREIGN KEY (run_id) REFERENCES pgrunbook.runs(run_id);


--
-- Name: statements statements_run_id_fkey; Type: FK CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.statements
    ADD CONSTRAINT statements_run_id_fkey FOREIGN KEY (run_id) REFERENCES pgrunbook.runs(run_id);


--
-- Name: verdicts verdicts_run_id_fkey; Type: FK CONSTRAINT; Schema: pgrunbook; Owner: -
--

ALTER TABLE ONLY pgrunbook.verdicts
    ADD CONSTRAINT verdicts_run_id_fkey FOREIGN KEY (run_id) REFERENCES pgrunbook.runs(run_id);


--
-- Name: TABLE attempts; Type: ACL; Schema: pgrunbook; Owner: -
--

REVOKE ALL ON TABLE pgrunbook.attempts FROM postgres;
GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN ON TABLE pgrunbook.attempts TO postgres;


--
-- Name: TABLE blocks; Type: ACL; Schema: pgrunbook; Owner: -
--

REVOKE ALL ON TABLE pgrunbook.blocks FROM postgres;
GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN ON TABLE pgrunbook.blocks TO postgres;


--
-- Name: TABLE heads; Type: ACL; Schema: pgrunbook; Owner: -
--

REVOKE ALL ON TABLE pgrunbook.heads FROM postgres;
GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN ON TABLE pgrunbook.heads TO postgres;


--
-- Name: TABLE locks; Type: ACL; Schema: pgrunbook; Owner: -
--

REVOKE ALL ON TABLE pgrunbook.locks FROM postgres;
GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN ON TABLE pgrunbook.locks TO postgres;


--
-- Name: TABLE runs; Type: ACL; Schema: pgrunbook; Owner: -
--

REVOKE ALL ON TABLE pgrunbook.runs FROM postgres;
GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN ON TABLE pgrunbook.runs TO postgres;


--
-- Name: COLUMN runs.run_id; Type: ACL; Schema: pgrunbook; Owner: -
--

GRANT UPDATE(run_id) ON TABLE pgrunbook.runs TO postgres;


--
-- Name: TABLE statements; Type: ACL; Schema: pgrunbook; Owner: -
--

REVOKE ALL ON TABLE pgrunbook.statements FROM postgres;
GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN ON TABLE pgrunbook.statements TO postgres;


--
-- Name: TABLE verdicts; Type: ACL; Schema: pgrunbook; Owner: -
--

REVOKE ALL ON TABLE pgrunbook.verdicts FROM postgres;
GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN ON TABLE pgrunbook.verdicts TO postgres;


--
-- Name: TABLE versions; Type: ACL; Schema: pgrunbook; Owner: -
--

REVOKE ALL ON TABLE pgrunbook.versions FROM postgres;
GRANT SELECT,INSERT,REFERENCES,TRIGGER,MAINTAIN ON TABLE pgrunbook.versions TO postgres;


--
-- PostgreSQL database dump complete
--


