"""Blocks that the ledger lacks, over databases where somebody has done them, a part of them, or
something else. pg_dump says what is equal.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from support import databases
from support.databases import Database, login_role

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import PLACE, Address, Definition, Inventory, Object
from pgrunbook.inventory.read import read, read_objects
from pgrunbook.ledger.ledger import Entry
from pgrunbook.planning import twin_state
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.judgement import Judgement, judge
from pgrunbook.planning.timeline import Timeline, TwinStep, Work
from pgrunbook.planning.twin import Twins
from pgrunbook.planning.twin_run import TwinRun, try_pending
from pgrunbook.planning.twin_statements import work_of_node
from pgrunbook.planning.votes import Trial
from pgrunbook.postgres import copy_place, twin_server
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import statements

pytestmark = pytest.mark.newest

BASE = """
CREATE TYPE mood AS ENUM ('bad', 'ok', 'good');
CREATE TABLE base (id bigint PRIMARY KEY, v text, m mood, n numeric);
CREATE TABLE other (id bigint PRIMARY KEY);
CREATE DOMAIN dom AS int;
COMMENT ON TABLE base IS 'the base';
"""


@pytest.fixture(scope="session")
def host(place: Path, server: Server) -> Iterator[Server]:
    """The server for twins."""
    started = twin_server.embedded_server(place, server.version)
    yield started
    started.stop()


@dataclass(frozen=True)
class Asking:
    """A database that has the base, what is done to it by hand, and the twin that is asked.

    `url`: how the run gets to the database; empty for as its superuser.
    """

    database: Database
    host: Server
    url: str = ""

    def of(
        self,
        *blocks: str | Block,
        adopt: str = "",
        adopted: bool = False,
        applied: Sequence[Object] = (),
    ) -> list[Judgement]:
        """What to do with each of the blocks; those of the ledger have `applied` these objects."""
        given = [
            block if isinstance(block, Block) else _block(n, block)
            for n, block in enumerate(blocks)
        ]
        target = Target("env:CRM_URL", self.url or self.database.url)
        said: list[str] = []
        with connect(target, schema="public", read_only=True) as look:

            def make() -> AbstractContextManager[twin_server.Twin]:
                return twin_server.make_twin(target, look, self.host, self.database.name)

            order = ["000_adopted", *(block.name for block in given)]
            twins = Twins(_adopted if adopted else _nothing, order, make, adopt, said.append)
            twins.applied = lambda: applied
            judged = twins.judge(look, given, partial(read, look))
        return [judged[block.name] for block in given]

    def actions(self, *blocks: str | Block, adopt: str = "", adopted: bool = False) -> list[str]:
        return [str(each.action) for each in self.of(*blocks, adopt=adopt, adopted=adopted)]


def _nothing(_: Sequence[str]) -> Mapping[str, Entry]:
    return {}


def _adopted(names: Sequence[str]) -> Mapping[str, Entry]:
    """A ledger that has adopted one block."""
    adopted: Any = SimpleNamespace(event="adopted", done=True, run_id="1")
    return {name: adopted for name in names if name == "000_adopted"}


_DONE: Any = SimpleNamespace(event="applied", done=True, run_id="1")


def _block(number: int, sql: str, *, transaction: bool = True) -> Block:
    name = f"{number + 1:03}_block"
    return Block(
        name, "", "", sql, statements(sql, f"deploy/{name}.sql"), (), transaction=transaction
    )


@pytest.fixture
def asking(empty: Database, host: Server) -> Asking:
    empty.load(BASE)
    return Asking(empty, host)


# What a block says, and what somebody has run in its place.
ALIKE = {
    "serial in its long form": (
        "CREATE TABLE t (id serial)",
        "CREATE SEQUENCE t_id_seq AS integer; CREATE TABLE t (id integer NOT NULL DEFAULT nextval('t_id_seq')); ALTER SEQUENCE t_id_seq OWNED BY t.id",
    ),
    "ASC written out": (
        "CREATE INDEX i ON base (v)",
        "CREATE INDEX i ON base USING btree (v ASC NULLS LAST)",
    ),
    "defaults as they are printed": (
        "CREATE TABLE t (a jsonb DEFAULT '{}', b interval DEFAULT '1 day', c boolean DEFAULT 'yes', d date DEFAULT '2026-01-01', e bytea DEFAULT 'abc', f numrange DEFAULT '[1,2]', g money DEFAULT 1, h text DEFAULT NULL)",
        "CREATE TABLE t (a jsonb DEFAULT '{ }'::jsonb, b interval DEFAULT '1 DAY'::interval, c boolean DEFAULT true, d date DEFAULT date '2026-01-01', e bytea DEFAULT '\\x616263', f numrange DEFAULT '[1,2]'::numrange, g money DEFAULT 1, h text)",
    ),
    "IN with one value": (
        "ALTER TABLE base ADD CONSTRAINT c CHECK (v IN ('x'))",
        "ALTER TABLE base ADD CONSTRAINT c CHECK (v = 'x')",
    ),
    "NOT BETWEEN": (
        "ALTER TABLE base ADD CONSTRAINT c CHECK (n NOT BETWEEN 1 AND 2)",
        "ALTER TABLE base ADD CONSTRAINT c CHECK (n < 1 OR n > 2)",
    ),
    "names of 64 bytes": (
        f"CREATE INDEX {'i' * 64} ON base (v)",
        f"CREATE INDEX {'i' * 63} ON base (v)",
    ),
    "two unnamed CHECKs": (
        "CREATE TABLE t (a int CHECK (a > 0) CHECK (a < 9))",
        "CREATE TABLE t (a int, CONSTRAINT t_a_check CHECK (a > 0), CONSTRAINT t_a_check1 CHECK (a < 9))",
    ),
    "UNIQUE beside PRIMARY KEY": (
        "CREATE TABLE t (a int PRIMARY KEY UNIQUE)",
        "CREATE TABLE t (a int, CONSTRAINT t_pkey PRIMARY KEY (a))",
    ),
    "an unnamed EXCLUDE": (
        "CREATE TABLE t (r int4range, EXCLUDE USING gist (r WITH &&))",
        "CREATE TABLE t (r int4range, CONSTRAINT t_r_excl EXCLUDE USING gist (r WITH &&))",
    ),
    "an operator and a conversion": (
        "CREATE OPERATOR @@ (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);"
        "CREATE CONVERSION c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "CREATE OPERATOR @@ (PROCEDURE = int4pl, LEFTARG = integer, RIGHTARG = integer);"
        "CREATE CONVERSION c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    ),
    "a key by its index": (
        "CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX k ON t (a); ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY USING INDEX k",
        "CREATE TABLE t (a int, CONSTRAINT k PRIMARY KEY (a))",
    ),
    "nested OR": (
        "ALTER TABLE base ADD CONSTRAINT c CHECK (v = 'a' OR (v = 'b' OR v = 'c'))",
        "ALTER TABLE base ADD CONSTRAINT c CHECK (v = 'a' OR (v = 'b' OR (v = 'c')))",
    ),
    "a constraint without a name": (
        "ALTER TABLE base ADD CHECK (n > 0)",
        "ALTER TABLE base ADD CONSTRAINT base_n_check CHECK (n > 0)",
    ),
    "a statistics object without a name": (
        "CREATE STATISTICS ON v, n FROM base",
        "CREATE STATISTICS base_v_n_stat ON v, n FROM base",
    ),
    "a CHECK of a domain without a name": (
        "ALTER DOMAIN dom ADD CHECK (VALUE < 9)",
        "ALTER DOMAIN dom ADD CONSTRAINT dom_check CHECK (VALUE < 9)",
    ),
    "an index without a name": ("CREATE INDEX ON base (v)", "CREATE INDEX base_v_idx ON base (v)"),
    "a function": (
        "CREATE FUNCTION f(a integer) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "CREATE FUNCTION public.f(a int4) RETURNS integer AS 'SELECT a' LANGUAGE sql VOLATILE",
    ),
    "a view, a trigger, a policy and an enum": (
        "CREATE TYPE e AS ENUM ('a'); CREATE VIEW w AS SELECT * FROM base; CREATE POLICY p ON base USING (id > 0);",
        "CREATE POLICY p ON base USING (id > 0); CREATE TYPE e AS ENUM ('a'); CREATE VIEW w AS SELECT id, v, m, n FROM base",
    ),
    "a column renamed": ("ALTER TABLE base RENAME COLUMN v TO w", "ALTER TABLE base RENAME v TO w"),
    "a column dropped and one added": (
        "ALTER TABLE base ADD COLUMN w int, DROP COLUMN v",
        "ALTER TABLE base DROP COLUMN v; ALTER TABLE base ADD w integer",
    ),
    "comments of what it makes": (
        "CREATE TABLE t (a int); COMMENT ON TABLE t IS 'x'; COMMENT ON COLUMN t.a IS 'y'",
        "CREATE TABLE t (a int); COMMENT ON TABLE t IS 'x'; COMMENT ON COLUMN t.a IS 'y'",
    ),
    "NOT VALID, then validated": (
        "ALTER TABLE base ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES other NOT VALID; ALTER TABLE base VALIDATE CONSTRAINT f",
        "ALTER TABLE base ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES other",
    ),
    "an extension": (
        "CREATE TABLE t (a int); CREATE EXTENSION vector",
        "CREATE EXTENSION vector; CREATE TABLE t (a int)",
    ),
    "a schema with what is in it": (
        "CREATE SCHEMA app; CREATE TABLE app.t (a int); GRANT USAGE ON SCHEMA app TO PUBLIC",
        "CREATE SCHEMA app CREATE TABLE t (a int); GRANT USAGE ON SCHEMA app TO PUBLIC",
    ),
    "a schema that holds another's table, too": (
        "CREATE SCHEMA app; CREATE TABLE app.t (a int)",
        "CREATE SCHEMA app; CREATE TABLE app.t (a int); CREATE TABLE app.another (a int)",
    ),
    "rights": (
        "CREATE TABLE t (a int); GRANT SELECT ON t TO PUBLIC",
        "CREATE TABLE t (a int); GRANT SELECT ON t TO PUBLIC",
    ),
    "a value added to an enum": (
        "CREATE TABLE t (a int); ALTER TYPE mood ADD VALUE 'great'",
        "CREATE TABLE t (a int); ALTER TYPE mood ADD VALUE 'great'",
    ),
    "made, altered, renamed and dropped": (
        "CREATE TABLE a (x int); ALTER TABLE a ADD y text; ALTER TABLE a RENAME TO b; ALTER TABLE b DROP COLUMN x; DROP TABLE IF EXISTS c; CREATE TABLE c (a int)",
        "CREATE TABLE b (y text); CREATE TABLE c (a int)",
    ),
    "IF NOT EXISTS with another default": (
        "ALTER TABLE base ADD COLUMN IF NOT EXISTS v text NOT NULL DEFAULT 'x'",
        "CREATE INDEX own ON base (v)",
    ),
}

CREATED = "CREATE TABLE t (a int, b text)"
DIFFERENT = {
    "unlogged": (CREATED, "CREATE UNLOGGED TABLE t (a int, b text)"),
    "partitioned": (CREATED, f"{CREATED} PARTITION BY LIST (a)"),
    "a child": ("CREATE TABLE t (id bigint)", "CREATE TABLE t (id bigint) INHERITS (other)"),
    "row security": (CREATED, f"{CREATED}; ALTER TABLE t FORCE ROW LEVEL SECURITY"),
    "a trigger": (
        CREATED,
        f"{CREATED}; CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g()",
    ),
    "a rule": (CREATED, f"{CREATED}; CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING"),
    "another owner": (CREATED, f"{CREATED}; ALTER TABLE t OWNER TO pg_monitor"),
    "another comment": (
        f"{CREATED}; COMMENT ON TABLE t IS 'x'",
        f"{CREATED}; COMMENT ON TABLE t IS 'y'",
    ),
    "identity options": (
        "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)",
        "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY (START 7))",
    ),
    "storage options": (CREATED, f"{CREATED} WITH (fillfactor = 50)"),
    "an enum compared as text": (
        "ALTER TABLE base ADD CONSTRAINT c CHECK (m < 'ok')",
        "ALTER TABLE base ADD CONSTRAINT c CHECK (m::text < 'ok')",
    ),
    "a default cast": (
        "CREATE TABLE t (a numeric DEFAULT 1.9)",
        "CREATE TABLE t (a numeric DEFAULT 1.9::int)",
    ),
    "an expression cast": (
        "CREATE INDEX i ON base (lower(v))",
        "CREATE INDEX i ON base (lower(v::varchar(3)))",
    ),
    "another schema's table": (
        "CREATE TABLE t (a bigint REFERENCES other)",
        "CREATE SCHEMA billing CREATE TABLE other (id bigint PRIMARY KEY); CREATE TABLE t (a bigint REFERENCES billing.other)",
    ),
    "another type": (CREATED, "CREATE TABLE t (a bigint, b text)"),
    "another order": (CREATED, "CREATE TABLE t (b text, a int)"),
    "a column more": (CREATED, "CREATE TABLE t (a int, b text, c int)"),
    "a column less": (CREATED, "CREATE TABLE t (a int)"),
    "a unique index more": (CREATED, f"{CREATED}; CREATE UNIQUE INDEX u ON t (a)"),
    "a constraint more": (CREATED, f"{CREATED}; ALTER TABLE t ADD CHECK (a > 0)"),
    "another body": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    ),
    "a definer's function": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    ),
    "other labels": ("CREATE TYPE e AS ENUM ('a', 'b')", "CREATE TYPE e AS ENUM ('b', 'a')"),
    "another policy": (
        "CREATE POLICY p ON base USING (id > 0)",
        "CREATE POLICY p ON base USING (true)",
    ),
    "a disabled trigger": (
        "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER g BEFORE INSERT ON base FOR EACH ROW EXECUTE FUNCTION g()",
        "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER g BEFORE INSERT ON base FOR EACH ROW EXECUTE FUNCTION g(); ALTER TABLE base DISABLE TRIGGER g",
    ),
    "rights that nobody gave": (CREATED, f"{CREATED}; GRANT SELECT ON t TO PUBLIC"),
    "an invalid index": (
        "CREATE INDEX i ON base (v)",
        "CREATE INDEX i ON base (v); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass",
    ),
    "IF NOT EXISTS of another type": ("ALTER TABLE base ADD COLUMN IF NOT EXISTS v int", "SELECT"),
    "IF NOT EXISTS of another table": ("CREATE TABLE IF NOT EXISTS base (id int)", "SELECT"),
    "a view for a table": (CREATED, "CREATE VIEW t AS SELECT 1 AS a, 'x'::text AS b"),
}


@pytest.mark.parametrize("pair", ALIKE)
def test_what_is_equal_is_adopted(asking: Asking, pair: str) -> None:
    block, by_hand = ALIKE[pair]
    asking.database.load(by_hand)
    (judged,) = asking.of(block)
    assert judged.action is Action.ADOPT, judged


@pytest.mark.parametrize("pair", DIFFERENT)
def test_what_is_different_is_refused_and_shown(asking: Asking, pair: str) -> None:
    block, by_hand = DIFFERENT[pair]
    asking.database.load(by_hand)
    (judged,) = asking.of(block)
    assert judged.action is Action.REFUSE, judged
    assert judged.problems
    assert all(problem.found and problem.remedy for problem in judged.problems)


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize("option", ["NOT VALID", "NO INHERIT"])
def test_a_column_that_is_not_null_in_part_is_another(asking: Asking, option: str) -> None:
    block = "ALTER TABLE base ADD CONSTRAINT c NOT NULL v"
    asking.database.load(f"{block} {option}")
    (judged,) = asking.of(block)
    (problem,) = judged.problems
    assert problem.found == f"not null option: {option}"
    assert asking.actions(f"{block} {option}") == ["adopt"]


def test_a_trigger_that_a_partition_does_not_fire_is_another(asking: Asking) -> None:
    asking.database.load(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TABLE p (k int, l int) PARTITION BY RANGE (k);"
        "CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (l);"
        "CREATE TABLE p_1_1 PARTITION OF p_1 FOR VALUES FROM (0) TO (10)"
    )
    block = "CREATE TRIGGER t BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION f()"
    asking.database.load(f"{block}; ALTER TABLE p_1_1 DISABLE TRIGGER t")
    (judged,) = asking.of(block)
    assert [each.what for each in judged.problems] == [
        "trigger t on public.p_1_1 is not as the block makes it"
    ]
    both = f"{block}; ALTER TABLE p_1_1 DISABLE TRIGGER t"
    assert asking.actions(both) == ["adopt"]
    asking.database.load("ALTER TABLE p_1_1 ENABLE TRIGGER t")
    assert asking.actions(block) == ["adopt"]


# Blocks whose code makes a partition for the day on which they are run.
DAILY = (
    "CREATE TABLE ev (id int, at date NOT NULL) PARTITION BY RANGE (at);"
    "CREATE FUNCTION make_part(day date) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format("
    "'CREATE TABLE ev_%s PARTITION OF ev FOR VALUES FROM (%L) TO (%L)', to_char(day, 'YYYYMMDD'), day, day + 1); END $$;"
    "SELECT make_part('today'); CREATE INDEX ev_at ON ev (at)",
    "ALTER TABLE ev ADD note text DEFAULT 'x'",
    "CREATE TABLE logs (at date) PARTITION BY RANGE (at);"
    "DO $$ BEGIN EXECUTE format('CREATE TABLE logs_%s PARTITION OF logs DEFAULT', to_char(now(), 'YYYYMMDD')); END $$;"
    "CREATE TABLE logs_old PARTITION OF logs FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    "ALTER TABLE logs ADD note text NOT NULL",
)
DAYS_AGO = [
    each.replace("'today'", "'2026-11-02'").replace("now()", "date '2026-11-02'") for each in DAILY
]


@pytest.mark.parametrize("done", range(len(DAILY) + 1))
def test_partitions_that_code_made_on_another_day_are_no_matter(asking: Asking, done: int) -> None:
    asking.database.load("; ".join(["SELECT", *DAYS_AGO[:done]]))
    expected = ["adopt"] * done + ["apply"] * (len(DAILY) - done)
    assert asking.actions(*DAILY) == expected


def test_a_partition_that_the_application_made_for_the_same_day_may_be_another(
    asking: Asking,
) -> None:
    asking.database.load("; ".join(DAYS_AGO))
    asking.database.load(
        "DO $$ DECLARE part text = 'ev_' || to_char(now(), 'YYYYMMDD'); BEGIN"
        " EXECUTE format('CREATE TABLE %I (at date NOT NULL, note text, id int, CHECK (id > 0))', part);"
        " EXECUTE format('CREATE UNIQUE INDEX ON %I (at, id)', part);"
        " EXECUTE format('ALTER TABLE ev ATTACH PARTITION %I DEFAULT', part); END $$"
    )
    assert asking.actions(*DAILY) == ["adopt"] * len(DAILY)


@pytest.mark.parametrize(
    ("altered", "told"),
    [
        ("ALTER TABLE ev ALTER note SET DEFAULT 'y'", "table column public.ev.note"),
        ("ALTER TABLE logs_old ALTER note SET DEFAULT 'y'", "table column public.logs_old.note"),
    ],
)
def test_what_a_block_names_of_partitions_is_compared(
    asking: Asking, altered: str, told: str
) -> None:
    asking.database.load("; ".join(DAYS_AGO))
    asking.database.load(altered)
    problems = [each for judged in asking.of(*DAILY) for each in judged.problems]
    assert [each.what for each in problems] == [f"{told} is not as the block makes it"]


def test_a_partition_from_before_the_blocks_is_compared(asking: Asking) -> None:
    asking.database.load("; ".join(DAYS_AGO[:2]))
    asking.database.load("ALTER TABLE ev_20261102 ALTER note SET DEFAULT 'y'")
    (judged,) = asking.of(DAILY[1])
    assert [each.what for each in judged.problems] == [
        "table column public.ev_20261102.note is not as the block makes it"
    ]


# A history, each file of which psql has run, or not.
HISTORY = (
    "CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL); CREATE INDEX ON customers (name)",
    "CREATE TYPE state AS ENUM ('new', 'paid'); CREATE TABLE orders (id bigserial PRIMARY KEY, customer int REFERENCES customers, state state DEFAULT 'new')",
    "INSERT INTO customers (name) VALUES ('nobody')",
    "CREATE OR REPLACE FUNCTION total() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE orders ADD COLUMN total numeric; UPDATE orders SET total = 0; ALTER TABLE orders ALTER total SET NOT NULL; COMMENT ON COLUMN orders.total IS 'in cents'",
    "CREATE OR REPLACE FUNCTION total() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "ALTER TABLE customers RENAME COLUMN name TO label; CREATE VIEW paid AS SELECT * FROM orders WHERE state = 'paid'",
    "CREATE TABLE scratch (a int)",
    "DROP TABLE scratch",
    "DO $$ BEGIN EXECUTE 'CREATE TABLE by_code (a int)'; END $$",
    "ALTER TABLE customers RENAME TO clients; GRANT SELECT ON clients TO PUBLIC",
)


@pytest.mark.parametrize("done", range(len(HISTORY) + 1))
def test_the_files_that_psql_has_run_are_adopted_and_the_rest_is_applied(
    asking: Asking, done: int
) -> None:
    asking.database.load("; ".join(["SELECT", *HISTORY[:done]]))
    actions = asking.actions(*HISTORY, adopt="none")
    # What leaves no trace, and what takes away all that it has left, is no matter.
    told = [n for n in range(len(HISTORY)) if n not in (2, 7, 8)]
    assert [actions[n] for n in told] == ["adopt" if n < done else "apply" for n in told]
    assert set(actions) <= {"adopt", "apply"}


def test_a_long_history_is_tried_in_one_session(asking: Asking) -> None:
    """In which psycopg would prepare what comes again and again, and deallocate ours with it."""
    blocks = [f"CREATE TABLE t{n} (a int)" for n in range(9)]
    blocks += ["ALTER TABLE t0 ADD b int; ALTER TABLE t0 DROP b", "CREATE TABLE last (a int)"]
    asking.database.load("; ".join([*blocks, "DROP TABLE last; CREATE TABLE last (a bigint)"]))
    assert "refuse" in asking.actions(*blocks, "DROP TABLE t1", "CREATE TABLE t1 (b int)")


# Columns that come, go, and come again elsewhere.
AGAIN = (
    "CREATE TABLE t (a int, b text, c int)",
    "ALTER TABLE t DROP b",
    "ALTER TABLE t ADD d int; ALTER TABLE t ADD b text",
    "ALTER TABLE base ADD w text",
    "ALTER TABLE base DROP w, ADD w int NOT NULL DEFAULT 0",
    "ALTER TABLE base ADD x int",
    "ALTER TABLE base DROP w",
    "ALTER TABLE t ADD e int",
)


@pytest.mark.parametrize("done", range(len(AGAIN) + 1))
def test_what_comes_again_elsewhere_or_goes_in_the_end(asking: Asking, done: int) -> None:
    asking.database.load("; ".join(["SELECT", *AGAIN[:done]]))
    rest = len(AGAIN) - done
    assert asking.actions(*AGAIN) == ["adopt"] * done + ["apply"] * rest


@pytest.mark.parametrize(("before", "action"), [("applied", "apply"), ("adopted", "adopt")])
def test_what_goes_in_the_end_is_done_as_the_block_before(before: str, action: str) -> None:
    """A run decides about each block anew in its turn, when those before it are in the ledger."""
    column = Object("table column", "public.base.w")
    made = Definition({PLACE: 1, "type": "text"})
    steps = [TwinStep("1", 0, {column: (None, made)}), TwinStep("2", 0, {column: (made, None)})]
    trials = [Trial("1", 1, [1]), Trial("2", 1, [2])]
    judged = judge(trials, Timeline(steps, {}), Inventory({}), {}, before, "")
    assert {str(each.action) for each in judged.values()} == {action}


@pytest.mark.parametrize(
    ("before", "remedy"),
    [
        ("adopted", "say which blocks were done by hand: -p adopt 2; or, if none was"),
        ("applied", "correct the SQL of 2, or bring what it needs to the target first; "),
    ],
)
def test_behind_a_block_that_was_applied_one_that_fails_is_to_be_corrected(
    before: str, remedy: str
) -> None:
    failing = Trial("2", 1, failure=Problem("fails on the twin"))
    there = {"2": ["table constraint without a name on t"]}
    judged = judge([failing], Timeline((), {}), Inventory({}), there, before, "")
    (problem,) = judged["2"].problems
    assert problem.remedy.startswith(remedy)


def test_a_block_that_lacks_rows_on_the_twin_is_applied_if_nothing_of_it_is_there(
    asking: Asking,
) -> None:
    """In its turn a key without a name may be there, which is one that a run has made."""
    sql = (
        "CREATE TABLE t (a int)",
        "CREATE TABLE s (id int PRIMARY KEY, state text)",
        "CREATE TABLE v (b bigint REFERENCES base); INSERT INTO v VALUES (7);"
        "ALTER TABLE s ADD UNIQUE (state)",
    )
    blocks = [_block(number, each) for number, each in enumerate(sql)]
    asking.database.load(sql[0])
    target = Target("env:CRM_URL", asking.database.url)
    with connect(target, schema="public", read_only=True) as look:
        twins = Twins(_nothing, [block.name for block in blocks])
        twins.make = lambda: twin_server.make_twin(target, look, asking.host, "lacks_rows")
        asked = [*twins.judge(look, blocks, partial(read, look)).values()]
        assert [str(each.action) for each in asked] == ["adopt", "apply", "apply"]
        asking.database.load(sql[1])
        twins.entries = lambda names: {name: _DONE for name in names if name < blocks[2].name}
        made = [each for each in read(look) if "public.s" in each.identity]
        for applied, action in ((made, Action.APPLY), ([], Action.REFUSE)):
            twins.applied = partial(list, applied)
            judged = twins.judge(look, blocks[2:], partial(read, look))
            assert judged[blocks[2].name].action is action


def test_what_leaves_no_trace_is_done_if_what_comes_later_is(asking: Asking) -> None:
    asking.database.load("; ".join(HISTORY[:4]))
    assert asking.actions(*HISTORY[:4])[2] == "adopt"


def test_what_leaves_no_trace_behind_the_last_that_is_there_cannot_be_told(asking: Asking) -> None:
    asking.database.load("; ".join(HISTORY[:2]))
    (*_, judged) = asking.of(*HISTORY[:3])
    assert judged.action is Action.REFUSE
    assert "-p adopt 003_block" in judged.problems[0].remedy
    assert asking.actions(*HISTORY[:3], adopt="003_block") == ["adopt", "adopt", "adopt"]
    assert asking.actions(*HISTORY[:3], adopt="none") == ["adopt", "adopt", "apply"]


# psql has run all but the second and the fourth.
OUT_OF_ORDER = (
    "CREATE TABLE t (a int)",
    "ALTER TABLE t ADD b int",
    "CREATE TABLE seeded (id int PRIMARY KEY); INSERT INTO seeded VALUES (1)",
    "UPDATE t SET a = 1",
    "VACUUM t",
    "ALTER TABLE t ADD c int",
    "UPDATE t SET c = 1",
)


def test_where_blocks_were_not_done_in_order_rows_are_asked_for(asking: Asking) -> None:
    asking.database.load("; ".join(OUT_OF_ORDER[n] for n in (0, 2, 5)))
    blocks = [_block(n, sql, transaction=n != 4) for n, sql in enumerate(OUT_OF_ORDER)]
    judged = asking.of(*blocks)
    actions = [str(each.action) for each in judged]
    assert actions == ["adopt", "apply", "refuse", "refuse", "apply", "adopt", "refuse"]
    (problem,) = judged[3].problems
    assert "not done in order: 002_block was absent, 006_block is there" in problem.what
    assert problem.remedy.endswith("-p adopt 004_block; or, if none was, -p adopt none")
    told = asking.of(*blocks, adopt="003_block, none")
    actions = [str(each.action) for each in told]
    assert actions == ["adopt", "apply", "adopt", "apply", "apply", "adopt", "apply"]
    (_, _, seeded, *_) = asking.of(*blocks, adopt="none")
    assert (seeded.action, seeded.statements) == (Action.COMPLETE, (1,))


def test_blocks_that_a_run_has_found_out_of_order_stay_so(asking: Asking) -> None:
    """The run behind one that was broken off sees them in order."""
    asking.database.load("; ".join(OUT_OF_ORDER[n] for n in (0, 1, 5)))
    blocks = [_block(n, OUT_OF_ORDER[n]) for n in (0, 1, 3, 5)]
    assert asking.actions(*blocks) == ["adopt", "adopt", "adopt", "adopt"]
    entry = partial(SimpleNamespace, done=True, run_id="2")
    events = {"001_block": "applied", "002_block": "adopted"}
    ledger: Any = {name: entry(event=event) for name, event in events.items()}
    order = [block.name for block in blocks]
    target = Target("env:CRM_URL", asking.database.url)
    with connect(target, schema="public", read_only=True) as look:
        twins = Twins(lambda names: {n: ledger[n] for n in names if n in ledger}, order)
        twins.make = lambda: twin_server.make_twin(target, look, asking.host, "out_of_order")
        judged = twins.judge(look, blocks[2:], partial(read, look))
    assert [str(each.action) for each in judged.values()] == ["refuse", "adopt"]


def test_none_runs_again_what_is_taken_for_done_so_the_remedy_names_that(asking: Asking) -> None:
    history = OUT_OF_ORDER[0], OUT_OF_ORDER[3], OUT_OF_ORDER[2], OUT_OF_ORDER[5], OUT_OF_ORDER[6]
    asking.database.load("; ".join(history[:4]))
    (*_, judged) = asking.of(*history)
    (problem,) = judged.problems
    assert problem.remedy.endswith("if no other was, -p adopt 002_block,003_block,none")
    actions = ["adopt", "adopt", "adopt", "adopt", "apply"]
    assert asking.actions(*history, adopt="002_block,003_block,none") == actions
    assert asking.actions(*history[:4], adopt="none") == ["adopt", "apply", "complete", "adopt"]


SEEDED = "CREATE TABLE seeded (id int PRIMARY KEY); INSERT INTO seeded VALUES (1)"


def test_rows_that_a_block_writes_last_may_lack_where_its_objects_are_there(asking: Asking) -> None:
    asking.database.load("CREATE TABLE seeded (id int PRIMARY KEY)")
    (judged,) = asking.of(SEEDED)
    assert judged.action is Action.REFUSE
    assert "cannot be told: statement 2 leaves no trace" in judged.problems[0].what
    assert asking.actions(SEEDED, adopt="001_block") == ["adopt"]
    (judged,) = asking.of(SEEDED, adopt="none")
    assert (judged.action, judged.statements) == (Action.COMPLETE, (1,))
    asking.database.load("CREATE TABLE later (id int)")
    assert asking.actions(SEEDED, "CREATE TABLE later (id int)") == ["adopt", "adopt"]


def test_what_leaves_no_trace_behind_one_that_was_adopted_cannot_be_told(asking: Asking) -> None:
    assert asking.actions(
        HISTORY[2].replace("customers (name)", "other (id)").replace("'nobody'", "1"), adopted=True
    ) == ["refuse"]


def test_what_is_half_done_is_completed(asking: Asking) -> None:
    block = "CREATE TABLE t (a int); CREATE INDEX i ON t (a); COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO PUBLIC"
    asking.database.load("CREATE TABLE t (a int); COMMENT ON TABLE t IS 'x'")
    (judged,) = asking.of(block)
    assert (judged.action, judged.statements) == (Action.COMPLETE, (1, 3))
    assert "table public.t" in judged.reason
    run = [statements(block)[n].sql for n in judged.statements]
    asking.database.load("; ".join(run))
    assert asking.actions(block) == ["adopt"]


def test_rows_between_what_is_done_and_what_is_not_cannot_be_told(asking: Asking) -> None:
    block = (
        "ALTER TABLE base ADD x int; UPDATE base SET x = 1; ALTER TABLE base ALTER x SET NOT NULL"
    )
    asking.database.load("ALTER TABLE base ADD x int")
    (judged,) = asking.of(block)
    assert judged.action is Action.REFUSE
    assert "statement 2" in judged.problems[0].what


def test_what_is_adopted_as_nothing_is_there_shows_nothing_of_what_follows(
    asking: Asking,
) -> None:
    """Before it is applied, the one behind it is decided about once more, by itself."""
    asking.database.load("CREATE SCHEMA app")
    blocks = [_block(0, "CREATE SCHEMA IF NOT EXISTS app"), _block(1, "UPDATE base SET v = 'x'")]
    target = Target("env:CRM_URL", asking.database.url)
    with connect(target, schema="public", read_only=True) as look:

        def make() -> AbstractContextManager[twin_server.Twin]:
            return twin_server.make_twin(target, look, asking.host, asking.database.name)

        done: set[str] = set()

        def entries(names: Sequence[str]) -> Mapping[str, Entry]:
            adopted: Any = SimpleNamespace(event="adopted", done=True, run_id="1")
            return {name: adopted for name in names if name in done}

        twins = Twins(entries, [block.name for block in blocks], make, say=[].append)
        planned = twins.judge(look, blocks, partial(read, look))
        assert [str(each.action) for each in planned.values()] == ["adopt", "apply"]
        done.add(blocks[0].name)
        (again,) = twins.judge(look, blocks[1:], partial(read, look)).values()
        assert again.action is Action.APPLY, again.problems


def test_what_a_dba_has_set_may_stay(asking: Asking) -> None:
    block = "CREATE TABLE t (a int, b text); CREATE INDEX i ON t (a)"
    asking.database.load(
        f"{block}; GRANT SELECT ON t TO PUBLIC; ALTER TABLE t SET (fillfactor = 70);"
        "ALTER TABLE t ALTER a SET STATISTICS 9; COMMENT ON COLUMN t.b IS 'x'"
    )
    (judged,) = asking.of(block)
    assert all("-p adopt 001_block" in problem.remedy for problem in judged.problems)
    assert asking.actions(block, adopt="001_block") == ["adopt"]
    asking.database.load("ALTER TABLE t ALTER a TYPE bigint")
    remedies = [problem.remedy for problem in asking.of(block)[0].problems]
    assert not all("-p adopt 001_block" in remedy for remedy in remedies)


def test_a_query_of_constants_can_be_repeated(asking: Asking) -> None:
    block = "CREATE TABLE t (a int); SELECT 1"
    asking.database.load(block)
    assert asking.actions(block) == ["adopt"]
    assert asking.actions("SELECT 'nothing to do'", adopted=True) == ["apply"]
    assert asking.actions("SELECT now()", adopted=True) == ["refuse"]


def test_all_that_differs_is_named_at_once(asking: Asking) -> None:
    asking.database.load(
        "CREATE TABLE t (a bigint, c int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 3\n+ 4'"
    )
    first, second = asking.of(
        "CREATE TABLE t (a int, b text)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 3\n+ 5'",
    )
    assert {problem.what for problem in first.problems} == {
        "table column public.t.a is not as the block makes it",
        "table column public.t.b is not as the block makes it",
        "table column public.t.c is on a table that the block makes",
    }
    a = next(problem for problem in first.problems if ".a is" in problem.what)
    assert (a.expected, a.found) == ("type: integer", "type: bigint")
    (body,) = second.problems
    assert "-+ 5" in body.found
    assert "++ 4" in body.found


def test_what_is_there_besides_on_what_a_block_makes_refuses(asking: Asking) -> None:
    made = (
        "CREATE DOMAIN age AS int CHECK (value > 0); CREATE VIEW v AS SELECT 1 AS a;"
        "CREATE PUBLICATION p FOR TABLE base"
    )
    asking.database.load(
        f"{made}; ALTER DOMAIN age ADD CONSTRAINT young CHECK (value < 100);"
        "CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING;"
        "ALTER PUBLICATION p ADD TABLE other, TABLES IN SCHEMA public"
    )
    (judged,) = asking.of(made)
    assert [problem.what for problem in judged.problems] == [
        "domain constraint young on public.age is on a type that the block makes",
        "rule r on public.v is on a view that the block makes",
        "publication namespace public in publication p is on a publication that the block makes",
        "publication relation public.other in publication p is on a publication that the block makes",
    ]


def test_an_edit_by_hand_of_what_is_replaced_is_refused(asking: Asking) -> None:
    asking.database.load("; ".join(HISTORY))
    asking.database.load(
        "CREATE OR REPLACE FUNCTION total() RETURNS int LANGUAGE sql AS 'SELECT 7'"
    )
    assert "refuse" in asking.actions(*HISTORY)


def test_a_view_of_somebody_on_what_blocks_make_is_left_alone(asking: Asking) -> None:
    asking.database.load("; ".join(HISTORY[:2]))
    asking.database.load(
        "CREATE VIEW mine AS SELECT id FROM orders; CREATE INDEX mine_too ON orders (id)"
    )
    assert asking.actions(*HISTORY[:2]) == ["adopt", "adopt"]


def test_no_twin_is_asked_where_nothing_is_there(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(twin_server, "make_twin", never)
    assert asking.actions(*HISTORY) == ["apply"] * len(HISTORY)


def test_what_fails_on_the_twin_is_refused_with_the_reason_if_it_is_there(asking: Asking) -> None:
    asking.database.load("CREATE TABLE t (a int)")
    first, second, third = asking.of("SELECT 1 / 0", CREATED, "CREATE TABLE u (a int)")
    assert (first.action, second.action, third.action) == (
        Action.APPLY,
        Action.REFUSE,
        Action.APPLY,
    )
    assert "001_block" in second.problems[0].what
    (alone,) = asking.of("CREATE TABLE t (a int); SELECT 1 / 0")
    assert alone.problems[0].found == "division by zero"
    assert alone.problems[0].where == "deploy/001_block.sql:1"


def test_nothing_differs_for_certain_before_a_block_that_fails_on_the_twin(asking: Asking) -> None:
    asking.database.load(
        "CREATE TABLE t (a int); COMMENT ON TABLE t IS 'x'; ALTER TABLE t ADD CHECK (a > 0)"
    )
    history = (
        "CREATE TABLE t (a int)",
        "CREATE TABLE base (a int); SELECT 1 / 0",
        "COMMENT ON TABLE t IS 'x'",
    )
    first, second, _ = asking.of(*history)
    assert [problem.what for problem in first.problems] == [
        "cannot be judged: 002_block, behind it, fails on the twin"
    ]
    assert second.problems[0].what == "fails on the twin"


def test_what_to_do_about_a_block_that_fails_on_the_twin_is_said_once(asking: Asking) -> None:
    """Though a hundred blocks before it and behind it may be there."""
    around = ["CREATE TABLE {0} (a int)", "ALTER TABLE {0} ADD b int", "ALTER TABLE {0} ADD c int"]
    history = [
        *(sql.format("t") for sql in around),
        "CREATE TABLE f (a int); SELECT 1 / 0",
        *(sql.format("u") for sql in around),
    ]
    asking.database.load("CREATE TABLE f (a int)")
    for sql in history[:3] + history[4:]:
        asking.database.load(sql)
    asking.database.load("ALTER TABLE t ALTER b TYPE bigint, ALTER c TYPE bigint")
    problems = [problem for each in asking.of(*history) for problem in each.problems]
    assert len(problems) == 6
    (told,) = [problem for problem in problems if problem.remedy]
    assert (told.what, told.found) == ("fails on the twin", "division by zero")
    asking.database.load("DROP TABLE f")
    problems = [problem for each in asking.of(*history) for problem in each.problems]
    before, behind = [problem for problem in problems if problem.remedy]
    assert (before.where, behind.where) == ("002_block", "005_block")
    assert "division by zero" in behind.found


def test_nothing_is_asked_of_a_block_before_one_that_fails_on_the_twin(asking: Asking) -> None:
    """That later blocks are there may say it."""
    history = (SEEDED, "CREATE TABLE base (a int); SELECT 1 / 0", "CREATE TABLE later (id int)")
    asking.database.load(f"{SEEDED}; {history[2]}")
    first = asking.of(*history)[0]
    assert [problem.what for problem in first.problems] == [
        "cannot be judged: 002_block, behind it, fails on the twin"
    ]


@pytest.mark.parametrize(
    ("sql", "action"),
    [
        ("CREATE TABLE z (id int)", "adopt"),
        ("CREATE TABLE z (id text)", "refuse"),
        ("CREATE TABLE IF NOT EXISTS z (id int)", "adopt"),
        ("CREATE TABLE elsewhere (id int)", "apply"),
    ],
)
def test_what_a_block_makes_behind_a_path_of_its_own_is_looked_for_there(
    asking: Asking, sql: str, action: str
) -> None:
    asking.database.load("CREATE SCHEMA app; CREATE TABLE app.z (id int)")
    assert asking.actions(f"SET LOCAL search_path = app; {sql}") == [action]


@pytest.mark.parametrize(
    ("blocks", "absent"),
    [
        (["CREATE TABLE z (id int)"], "table z"),
        (["CREATE TABLE t (a int); CREATE INDEX i ON t (a)"], "index i on t"),
        (["ALTER TABLE t ADD c int, ADD CONSTRAINT k CHECK (c > 0)"], "table column t.c, table constraint k on t"),
        (["SET LOCAL search_path = app; CREATE TABLE t (a int)"], "table t"),
        (["CREATE TABLE app.z (a int)", "CREATE TABLE t (a int)"], "table z"),
        (["INSERT INTO t VALUES (1)"], ""),
        (["CREATE TABLE t (a int)"], ""),
        # it is temporary, or has gone since
        (["CREATE TEMP TABLE z (a int) ON COMMIT DROP; CREATE INDEX i ON z (a); UPDATE t SET a = 1"], ""),
        (["CREATE TABLE z (a int); ALTER TABLE z ADD c int; DROP TABLE z"], ""),
        (["CREATE TABLE z (a int)", "DROP TABLE z"], ""),
        (["CREATE TABLE z (a int)", "ALTER TABLE z RENAME TO t"], ""),
        (["CREATE TABLE app.t (a int)", "ALTER TABLE app.t SET SCHEMA public"], ""),
        (["CREATE VIEW w AS TABLE t", "DROP SCHEMA other CASCADE"], ""),
        (["CREATE INDEX i ON t (b)", "ALTER TABLE t DROP COLUMN b"], ""),
        (["CREATE INDEX i ON t (a)", "DROP INDEX i"], ""),
        (["CREATE INDEX i ON t (a)", "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i"], "table constraint u on t"),
        (["CREATE VIEW w AS TABLE t; DROP VIEW w; CREATE VIEW w AS SELECT 1"], "view w"),
    ],
)  # fmt: skip
def test_a_block_that_is_said_to_be_done_by_hand_is_there_by_name(
    asking: Asking, blocks: list[str], absent: str
) -> None:
    asking.database.load("CREATE TABLE t (a int); CREATE SCHEMA app")
    judged = asking.of(*blocks, adopt="001_block,002_block")
    found = [problem.expected for each in judged for problem in each.problems]
    assert found == ([f"there by name: {absent}"] if absent else [])
    assert asking.of("UPDATE base SET v = 1", adopt="001_block")[0].reason.endswith(
        "nothing of it can be looked for"
    )


def test_what_was_done_by_hand_and_is_gone_may_be_needed_by_what_comes_behind(
    asking: Asking,
) -> None:
    history = (
        "CREATE TABLE queue (id int); INSERT INTO queue VALUES (1)",
        "ALTER TABLE queue ADD state text",
        "CREATE TABLE jobs (id int, done text); DROP TABLE queue",
        "CREATE TABLE last (a int)",
    )
    asking.database.load("; ".join(history[:3]))
    expected = ["adopt", "adopt", "adopt", "apply"]
    assert asking.actions(*history, adopt="001_block") == expected
    asking.database.load("ALTER TABLE jobs ALTER done TYPE varchar(9)")
    assert "refuse" in asking.actions(*history, adopt="001_block")


def test_what_goes_with_a_later_block_is_asked_of_that_alone_later(asking: Asking) -> None:
    """Before it is recorded, each block is decided about once more, by itself."""
    blocks = [_block(0, "CREATE TABLE z (a int)"), _block(1, "DROP TABLE z")]
    target = Target("env:CRM_URL", asking.database.url)
    with connect(target, schema="public", read_only=True) as look:
        twins = Twins(_nothing, [block.name for block in blocks], adopt="001_block,002_block")
        for asked in (blocks, blocks[:1], blocks[1:]):
            judged = twins.judge(look, asked, partial(read, look))
            assert {each.action for each in judged.values()} == {Action.ADOPT}


def test_who_goes_back_to_its_own_role_makes_what_the_run_would(asking: Asking) -> None:
    role = login_role(asking.database).name
    made = (
        f"SET LOCAL ROLE {role}; CREATE TABLE x (a int); SET LOCAL ROLE NONE;CREATE TABLE y (a int)"
    )
    asking.database.load(f"GRANT CREATE ON SCHEMA public TO {role}; {made}")
    assert asking.actions(made) == ["adopt"]


# What a role may do as a member of others; `{0}`, `{1}` and `{2}` are roles.
MEMBERSHIPS = {
    "gives to the role that it is in": (
        "GRANT {1} TO {0}",
        "SET LOCAL ROLE {0}; CREATE TABLE x (a int); ALTER TABLE x OWNER TO {1}",
    ),
    "alters what the role that it is in owns": (
        "ALTER TABLE base OWNER TO {1}; GRANT {1} TO {0}",
        "SET LOCAL ROLE {0}; ALTER TABLE base ADD w int",
    ),
    "grants the role that it is in": (
        "GRANT {1} TO {0} WITH ADMIN OPTION",
        "SET LOCAL ROLE {0}; DO $$ BEGIN GRANT {1} TO {2}; END $$; CREATE TABLE x (a int)",
    ),
    "reads all data": (
        "GRANT pg_read_all_data TO {0}",
        "SET LOCAL ROLE {0}; CREATE TABLE x AS SELECT id FROM base",
    ),
    "is a superuser": (
        "ALTER ROLE {0} SUPERUSER; ALTER TABLE base OWNER TO {1}",
        "SET LOCAL ROLE {0}; ALTER TABLE base ADD w int",
    ),
    "becomes the role first": (
        "ALTER ROLE {0} NOINHERIT; ALTER TABLE base OWNER TO {1}; GRANT {1} TO {0}",
        "SET LOCAL ROLE {0}; CREATE TABLE x (a int); DO $$ BEGIN ALTER TABLE base ADD w int;"
        " EXCEPTION WHEN insufficient_privilege THEN ALTER TABLE x ADD w int; END $$",
    ),
}


@pytest.mark.parametrize("case", MEMBERSHIPS)
def test_a_role_may_there_what_its_memberships_allow(asking: Asking, case: str) -> None:
    roles = [login_role(asking.database).name for _ in range(3)]
    before, block = (text.format(*roles) for text in MEMBERSHIPS[case])
    asking.database.load(f"GRANT CREATE ON SCHEMA public TO {', '.join(roles)}; {before}")
    asking.database.load(block)
    (judged,) = asking.of(block)
    assert (judged.action, judged.problems) == (Action.ADOPT, ())


@pytest.mark.parametrize("number", [1, 2])
def test_a_run_may_there_what_the_role_that_it_is_in_may(asking: Asking, number: int) -> None:
    """Also where that is a superuser, which may be whoever it likes."""
    roles = role, _, superuser = [login_role(asking.database) for _ in range(3)]
    owner = roles[number].name
    asking.database.load(
        f"ALTER ROLE {superuser.name} SUPERUSER; GRANT {owner} TO {role.name};"
        f"ALTER TABLE base OWNER TO {owner}; ALTER TABLE other OWNER TO {owner};"
        "ALTER TABLE base ADD w int"
    )
    as_role = replace(asking, url=role.url)
    assert as_role.actions("ALTER TABLE base ADD w int") == ["adopt"]
    assert asking.actions(f"SET LOCAL ROLE {role.name}; ALTER TABLE base ADD w int") == ["adopt"]


def test_the_roles_of_several_twins_are_made_at_the_same_time(asking: Asking) -> None:
    """PostgreSQL refused: `tuple concurrently updated`."""
    names = [login_role(asking.database).name for _ in range(4)]
    for one, another in itertools.pairwise(names):
        asking.database.load(f"ALTER ROLE {one} NOINHERIT; GRANT {one} TO {another}")
    target = Target("env:CRM_URL", asking.database.url)
    together = threading.Barrier(3)

    def make(number: int) -> None:
        with (
            connect(target, schema="public", read_only=True) as look,
            copy_place.make_roles(asking.host, names),
            copy_place.make_place(asking.host, f"{copy_place.PREFIX}{number}", look) as copy,
        ):
            together.wait(30)
            for _ in range(20):
                twin_server._grant_roles(look, copy, names, names[0], may_grant=True)

    with ThreadPoolExecutor() as pool:
        assert [*pool.map(make, range(3))] == [None] * 3


def test_what_a_dump_says_of_an_extension_is_compared(asking: Asking) -> None:
    dump = (
        "CREATE EXTENSION IF NOT EXISTS vector; COMMENT ON EXTENSION vector IS 'it''s {x}';"
        "CREATE TABLE t (a int, e vector)"
    )
    asking.database.load(dump)
    (judged,) = asking.of(dump)
    assert (judged.action, judged.problems) == (Action.ADOPT, ())
    asking.database.load("COMMENT ON EXTENSION vector IS 'something else'")
    assert asking.actions(dump) != ["adopt"]


def test_an_extension_is_dropped_and_made_anew_as_by_a_dump_that_cleans(asking: Asking) -> None:
    """To make it takes a superuser, which nobody is on the twin."""
    dump = "DROP EXTENSION IF EXISTS vector; CREATE EXTENSION vector; CREATE TABLE t (e vector)"
    asking.database.load(dump)
    (judged,) = asking.of(dump)
    assert (judged.action, judged.problems) == (Action.ADOPT, ())


def test_an_extension_that_is_still_there_was_not_dropped(asking: Asking) -> None:
    asking.database.load("CREATE EXTENSION vector; CREATE TABLE t (a int)")
    history = ("CREATE TABLE t (a int)", "DROP EXTENSION vector")
    assert asking.actions(*history) == ["adopt", "apply"]
    asking.database.load(history[1])
    assert asking.actions(*history) == ["adopt", "adopt"]


def test_an_extension_is_moved_to_another_schema(asking: Asking) -> None:
    asking.database.load("CREATE EXTENSION vector; CREATE TABLE t (a int)")
    history = ("CREATE TABLE t (a int)", "CREATE SCHEMA e; ALTER EXTENSION vector SET SCHEMA e")
    assert asking.actions(*history) == ["adopt", "apply"]
    asking.database.load(history[1])
    assert asking.actions(*history) == ["adopt", "adopt"]


def test_what_if_not_exists_finds_is_dropped_as_psql_would(asking: Asking) -> None:
    asking.database.load("CREATE TABLE big (id int, v text)")
    made = "CREATE TABLE IF NOT EXISTS big (id int)"
    (judged,) = asking.of(f"{made}; DROP TABLE big")
    assert (judged.action, judged.statements) == (Action.APPLY, (0, 1))
    assert asking.actions(made, "DROP TABLE big") == ["adopt", "apply"]
    assert asking.actions(f"{made}; DROP TABLE big; CREATE TABLE big (id int)") == ["refuse"]


# An extension that the twin's server does not have: a type with an operator of its own, and a
# function that makes something.
ODD = """
CREATE TYPE odd;
CREATE FUNCTION odd_in(cstring) RETURNS odd LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION odd_out(odd) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, LIKE = text);
CREATE FUNCTION odd_eq(odd, odd) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'texteq';
CREATE OPERATOR = (LEFTARG = odd, RIGHTARG = odd, FUNCTION = odd_eq);
CREATE FUNCTION odd_index(t text) RETURNS void LANGUAGE plpgsql
    AS $$ BEGIN EXECUTE format('CREATE UNIQUE INDEX odd_%s ON %I (a)', t, t); END $$;
"""
# what psql has run, in place of what the block says; and what is said of it
OF_ODD = {
    "what is printed otherwise": (
        "CREATE VIEW w AS SELECT 'a'::odd = 'b'::odd AS same",
        "",
        "view public.w cannot be judged: it could not be copied to the twin",
    ),
    "what a function would have made": (
        "CREATE TABLE t (a int); DO $$ BEGIN PERFORM odd_index('t'); END $$",
        "",
        "index public.odd_t cannot be judged: the twin has odd_index() only by name, and it did nothing",
    ),
    "what it can have": (
        "CREATE TABLE t (a int, e odd)",
        "CREATE TABLE t (a bigint, e odd)",
        "table column public.t.a is not as the block makes it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize("case", OF_ODD)
def test_what_the_twin_cannot_show_is_not_said_of_the_target(
    asking: Asking, place: Path, case: str
) -> None:
    folder = place / "odd" / "extension"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "odd.control").write_text("default_version = '1'\nrelocatable = true\n")
    (folder / "odd--1.sql").write_text(ODD)
    block, by_hand, said = OF_ODD[case]
    asking.database.load(
        f"SET extension_control_path = '{place / 'odd'}'; CREATE EXTENSION odd; {by_hand or block}"
    )
    (judged,) = asking.of(block)
    problem = judged.problems[-1]
    assert problem.what == said
    if "cannot be judged" in said:
        assert "-p adopt 001_block" in problem.remedy
        assert asking.actions(block, adopt="001_block") == ["adopt"]


# Each alters what the first block makes, and the third needs that.
BETWEEN = (
    "ALTER TABLE t ADD p int; UPDATE t SET p = 0",
    "CREATE TABLE own (id int); CREATE SCHEMA app; ALTER TABLE t ADD p int; INSERT INTO own VALUES (1)",
)


@pytest.mark.parametrize("between", BETWEEN)
def test_a_block_done_by_hand_is_there_for_those_behind_it(asking: Asking, between: str) -> None:
    """The table is made anew on the twin, and without the block it had no such column."""
    history = ("CREATE TABLE t (a int)", between, "ALTER TABLE t ALTER p SET NOT NULL")
    last = "UPDATE t SET a = 1"
    asking.database.load("; ".join(history))
    assert asking.actions(*history, last, adopt="002_block,none") == [*["adopt"] * 3, "apply"]
    asking.database.load("ALTER TABLE t ALTER a TYPE bigint")
    (problem,) = asking.of(*history, adopt="002_block")[0].problems
    assert problem.what == "table column public.t.a is not as the block makes it"


def test_what_fails_on_the_twin_is_applied_if_nothing_was_done_by_hand(asking: Asking) -> None:
    asking.database.load("CREATE TABLE t (a int)")
    fails = "CREATE TABLE t (a int); SELECT 1 / 0"
    assert asking.actions(fails) == ["refuse"]
    (judged,) = asking.of(fails, adopt="none")
    assert (judged.action, judged.statements) == (Action.APPLY, (0, 1))


def test_what_is_printed_with_another_name_is_not_the_blocks_own(asking: Asking) -> None:
    """Nor is what belongs to it something that somebody has added to what a block has made."""
    rename = "ALTER TABLE base RENAME TO renamed; CREATE TABLE t (a int)"
    asking.database.load(f"CREATE VIEW w AS SELECT id FROM base; {rename}")
    (judged,) = asking.of(rename)
    assert judged.action is Action.ADOPT
    assert {each.type for each in judged.there} == {"table", "table column", "table constraint"}


# A block puts something in the place of what it renames.
SWAPS = {
    "a table": (
        "CREATE TABLE copy (LIKE base); INSERT INTO copy TABLE base;"
        "ALTER TABLE base RENAME TO old; ALTER TABLE copy RENAME TO base; DROP TABLE old"
    ),
    "a column": "ALTER TABLE base RENAME v TO v_old; ALTER TABLE base ADD v int",
    "a table and its partitions": (
        "ALTER TABLE base RENAME TO old; CREATE TABLE base (LIKE old) PARTITION BY RANGE (id);"
        "CREATE TABLE base_1 PARTITION OF base DEFAULT; INSERT INTO base TABLE old;"
        "ALTER TABLE base ADD extra int"
    ),
    "a table for a view": (
        "DROP VIEW w; CREATE TABLE w AS SELECT id FROM base; ALTER TABLE w ADD extra int"
    ),
    "a column behind a path": (
        "SET LOCAL search_path = app; ALTER TABLE t RENAME v TO w; ALTER TABLE t ADD v text"
    ),
}


@pytest.mark.parametrize("case", SWAPS)
def test_what_is_renamed_to_make_place_was_there_before(asking: Asking, case: str) -> None:
    asking.database.load(
        "CREATE SCHEMA app; CREATE TABLE app.t (v text); CREATE VIEW w AS SELECT id FROM other"
    )
    assert asking.actions(SWAPS[case]) == ["apply"]
    asking.database.load(SWAPS[case])
    # of a table that is a copy of another, the catalog does not show it
    assert asking.actions(SWAPS[case]) == ["apply" if case == "a table" else "adopt"]


@pytest.mark.parametrize(("adopt", "action"), [("", "refuse"), ("none", "apply")])
def test_where_no_twin_can_be_made_the_parameter_is_heard(
    asking: Asking, adopt: str, action: str
) -> None:
    asking.database.load("CREATE TABLE t (a int)")
    block = _block(0, CREATED)
    target = Target("env:CRM_URL", asking.database.url)
    with connect(target, schema="public", read_only=True) as look:
        judged = Twins(_nothing, [block.name], adopt=adopt).judge(
            look, [block], partial(read, look)
        )
    assert str(judged[block.name].action) == action


def test_statements_outside_a_transaction_are_tried_too(asking: Asking) -> None:
    built = _block(
        0,
        "CREATE INDEX CONCURRENTLY i ON base (v); CREATE INDEX CONCURRENTLY j ON base (n)",
        transaction=False,
    )
    asking.database.load("CREATE INDEX i ON base (v)")
    (judged,) = asking.of(built)
    assert (judged.action, judged.statements) == (Action.COMPLETE, (1,))
    asking.database.load("CREATE INDEX j ON base (n)")
    assert asking.actions(built) == ["adopt"]


def test_nothing_on_the_twin_runs_as_superuser(asking: Asking) -> None:
    seen = "CREATE TABLE seen AS SELECT rolsuper FROM pg_roles WHERE rolname IN (current_user, session_user)"
    check = "DO $$ BEGIN IF EXISTS (SELECT FROM seen WHERE rolsuper) THEN RAISE 'a superuser'; END IF; END $$"
    asking.database.load("CREATE TABLE seen (rolsuper bool, x int)")
    (judged,) = asking.of(f"{seen}; {check}; ALTER TABLE seen ADD x int")
    assert judged.action is Action.ADOPT, judged


def test_a_database_in_sql_ascii_has_a_twin(server: Server, host: Server) -> None:
    asking = Asking(databases.encoded(server, "SQL_ASCII"), host)
    asking.database.load(f"{BASE}; {CREATED}")
    assert asking.actions(CREATED) == ["adopt"]


def test_the_twin_is_gone_when_it_was_asked(asking: Asking) -> None:
    asking.database.load(CREATED)
    asking.of(CREATED)
    left = Database(asking.host, "postgres").execute(
        "SELECT datname FROM pg_database WHERE datname LIKE 'pgrunbook%'"
        " UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'pgrunbook_rehearsal%'"
    )
    assert left == []


def test_columns_that_if_not_exists_leaves_alone_need_no_twin(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twin_server, "make_twin", None)
    block = "ALTER TABLE base ADD COLUMN IF NOT EXISTS v text DEFAULT 'x'; COMMENT ON COLUMN base.v IS 'said'"
    (judged,) = asking.of(block)
    assert (judged.action, judged.statements) == (Action.COMPLETE, (1,))
    asking.database.load("COMMENT ON COLUMN base.v IS 'said'")
    assert asking.actions(block, CREATED) == ["adopt", "apply"]


ANEW = {
    "a constraint": (
        "ALTER TABLE base ADD CONSTRAINT c CHECK (n > 0)",
        "ALTER TABLE base DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (n >= 0)",
    ),
    "a view": ("CREATE VIEW w AS SELECT id FROM base", "DROP VIEW w; CREATE VIEW w AS TABLE base"),
    "a trigger": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE TRIGGER g BEFORE INSERT ON base FOR EACH ROW EXECUTE FUNCTION f()",
        "DROP TRIGGER g ON base; CREATE TRIGGER g BEFORE UPDATE ON base FOR EACH ROW EXECUTE "
        "FUNCTION f()",
    ),
    "a column": ("SELECT", "ALTER TABLE base DROP COLUMN n, ADD COLUMN n int"),
    "an index": ("CREATE INDEX i ON base (v)", "DROP INDEX i; CREATE INDEX i ON base (v, n)"),
    "an index of another": (
        "CREATE INDEX i ON base (id)",
        "DROP INDEX i; CREATE INDEX i ON other (id)",
    ),
}


@pytest.mark.parametrize("case", ANEW)
def test_what_is_dropped_to_be_made_anew_was_there_before(asking: Asking, case: str) -> None:
    there, anew = ANEW[case]
    asking.database.load(there)
    assert asking.actions(anew) == ["apply"]
    asking.database.load(anew)
    assert asking.actions(anew) == ["adopt"]


def test_what_could_not_be_copied_leaves_no_sequence_behind(asking: Asking) -> None:
    # without a search path, as pg_restore works, the function finds no type of the name
    asking.database.load(
        "CREATE TYPE version AS (a int); CREATE FUNCTION of_text(t text) RETURNS version"
        " LANGUAGE sql IMMUTABLE AS 'SELECT ROW(length(t))::version'"
    )
    block = (
        "CREATE TABLE t (id serial PRIMARY KEY, v text,"
        " parsed version GENERATED ALWAYS AS (of_text(v)) STORED)"
    )
    asking.database.load(block)
    assert asking.actions(block) == ["adopt"]


def test_an_overload_that_comes_later_makes_no_call_before_it_ambiguous(asking: Asking) -> None:
    history = (
        "CREATE OR REPLACE FUNCTION f(a text, b date) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "SELECT f('x', '2026-01-01'); CREATE TABLE t (a int)",
        "CREATE OR REPLACE FUNCTION f(text, date, c int DEFAULT 1) RETURNS int LANGUAGE sql"
        " AS 'SELECT 2'",
    )
    asking.database.load("; ".join(history))
    assert asking.actions(*history, adopt="none") == ["adopt", "adopt"]
    later = "CREATE TYPE made AS (a int)"  # which is not there yet
    for number in range(1, 9):
        later += f"; CREATE OR REPLACE FUNCTION f({', '.join(['made'] * number)}) RETURNS int"
        later += " LANGUAGE sql AS 'SELECT 3'"
    assert asking.actions(*history, later, adopt="none") == ["adopt", "adopt", "apply"]
    asking.database.load("DROP FUNCTION f(text, date, int)")
    assert asking.actions(*history, adopt="none") == ["adopt", "apply"]


OF_ANOTHER_SHAPE = {
    "a function": (
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE VIEW w AS SELECT f() AS a",
        "DROP FUNCTION f() CASCADE; CREATE OR REPLACE FUNCTION f() RETURNS text LANGUAGE sql AS"
        " 'SELECT 1::text'; CREATE VIEW w AS SELECT f() AS a",
    ),
    "a view of fewer columns": (
        "CREATE OR REPLACE VIEW w AS SELECT id, n FROM base",
        "DROP VIEW w; CREATE OR REPLACE VIEW w AS SELECT id FROM base",
    ),
    "a view of more columns": (
        "CREATE OR REPLACE VIEW w AS SELECT id FROM base;"
        "CREATE OR REPLACE VIEW x AS SELECT id FROM w",
        "CREATE OR REPLACE VIEW w AS SELECT id, n FROM base",
    ),
}


@pytest.mark.parametrize("case", OF_ANOTHER_SHAPE)
def test_what_or_replace_makes_again_in_another_shape(asking: Asking, case: str) -> None:
    """OR REPLACE leaves what a function returns, and the columns of a view, as they are."""
    first, second = OF_ANOTHER_SHAPE[case]
    asking.database.load(first)
    assert asking.actions(first, second) == ["adopt", "apply"]
    asking.database.load(second)
    assert asking.actions(first, second) == ["adopt", "adopt"]


def test_what_a_block_has_dropped_before_is_its_own(asking: Asking) -> None:
    """The function is dropped for the block, as OR REPLACE cannot alter it; the view is not."""
    function = "CREATE OR REPLACE FUNCTION f() RETURNS {0} LANGUAGE sql AS 'SELECT 1::{0}'"
    history = (
        f"DROP VIEW w; {function.format('int')}",
        f"DROP FUNCTION f(); {function.format('text')}",
    )
    asking.database.load(f"CREATE VIEW w AS SELECT id FROM base; {function.format('text')}")
    assert asking.actions(*history)[0] != "adopt"
    asking.database.load("DROP VIEW w")
    assert asking.actions(*history) == ["adopt", "adopt"]


DROPPED_FIRST = {
    "a function that is replaced": (
        "DROP TYPE IF EXISTS colour; CREATE TYPE colour AS ENUM ('red')",
        "CREATE OR REPLACE FUNCTION f(colour) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE OR REPLACE VIEW w AS SELECT f('red')",
    ),
    "a table that is dropped, too": (
        "DROP TYPE IF EXISTS colour; DROP TABLE IF EXISTS t; CREATE TYPE colour AS ENUM ('red')",
        "CREATE TABLE t (a colour)",
    ),
    "a view of a column": (
        "ALTER TABLE base DROP COLUMN n; ALTER TABLE base ADD n int",
        "CREATE OR REPLACE VIEW w AS SELECT n FROM base",
    ),
}


@pytest.mark.parametrize("case", DROPPED_FIRST)
def test_what_is_dropped_first_may_have_what_later_blocks_build_on_it(
    asking: Asking, case: str
) -> None:
    """When the block was run, what they build was not there yet."""
    first, second = DROPPED_FIRST[case]
    asking.database.load(first)
    assert asking.actions(first, second) == ["adopt", "apply"]
    asking.database.load(second)
    assert asking.actions(first, second) == ["adopt", "adopt"]


def test_a_table_that_a_block_makes_anew_has_its_columns_in_the_new_order(asking: Asking) -> None:
    history = (
        "CREATE TABLE t (a int, b int, c int)",
        "ALTER TABLE t RENAME TO was; CREATE TABLE t (d int, c int, b int); DROP TABLE was",
        "CREATE TABLE u ()",
    )
    asking.database.load("; ".join(history[:2]))
    assert asking.actions(*history) == ["adopt", "adopt", "apply"]
    asking.database.load("DROP TABLE t; CREATE TABLE t (d int, b int, c int)")
    (problem,) = asking.of(*history)[1].problems
    assert problem.what == "the columns are in another order"


# What a statement changes of what those before it, of the same block, have made.
CHANGED_LATER = {
    "a schema's name": "CREATE SCHEMA a; CREATE TABLE a.t (x int); ALTER SCHEMA a RENAME TO b",
    "a comment": "CREATE TABLE t (x int); COMMENT ON TABLE t IS 'x'; CREATE TABLE u ();"
    "COMMENT ON TABLE t IS NULL",
    "a part": "CREATE TEXT SEARCH CONFIGURATION c (COPY = simple);"
    "ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR word",
    "all of it": "CREATE TABLE t (x int); CREATE TABLE v (x int PRIMARY KEY); DROP TABLE t",
    "another of its name": "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    "DROP FUNCTION f(); CREATE OR REPLACE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT 1';"
    "CREATE TABLE t (); DROP TABLE t; CREATE TABLE u ()",
    "a column": "CREATE TABLE t (x int, y int); CREATE VIEW v AS SELECT x FROM t; ALTER TABLE t DROP y",
    "a name": "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (x e[]); ALTER TYPE e RENAME TO f",
}


@pytest.mark.parametrize("case", CHANGED_LATER)
def test_each_statement_is_tried_behind_those_of_its_block(asking: Asking, case: str) -> None:
    asking.database.load(CHANGED_LATER[case])
    block = _block(0, f"{CHANGED_LATER[case]}; CREATE TABLE last ()")
    (judged,) = asking.of(block)
    assert judged.statements == (len(block.statements) - 1,), judged


def test_what_a_block_drops_counts_whatever_one_before_has_dropped(asking: Asking) -> None:
    """The server counts the rows that are deleted, and forgets them at its own pace."""
    asking.database.load("CREATE TABLE t (); CREATE TABLE u ()")
    blocks = "DROP TABLE t", "SELECT pg_stat_force_next_flush()", "SELECT 1; DROP TABLE u"
    target = Target("env:CRM_URL", asking.database.url)
    with (
        connect(target, schema="public", read_only=True) as look,
        twin_server.make_twin(target, look, asking.host, asking.database.name) as twin,
        closing(TwinRun(twin, "public")) as twin_run,
    ):
        twin_run.run([_block(number, sql) for number, sql in enumerate(blocks)])
    changed = [str(each) for step in twin_run.steps for each in step.changes]
    assert changed == ["table public.t", "table public.u"]


@pytest.mark.parametrize(
    ("statement", "last"),
    [
        ("CREATE TABLE t{n} (a int); COMMENT ON TABLE t{n} IS 'x'", "complete"),
        ("CREATE TABLE t{n} (a int); ALTER TABLE t{n} ADD UNIQUE (a)", "adopt"),
    ],
)
def test_what_a_statement_changes_takes_as_long_in_a_long_block(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, statement: str, last: str
) -> None:
    """The pass by statements over thousands of them was quadratic, and so was the other one over
    those that leave names to PostgreSQL.
    """
    read_by_look = []

    def counting(conn: psycopg.Connection[Any], addresses: Sequence[Address], *more: Any) -> Any:
        read_by_look.append(len(addresses))
        return read_objects(conn, addresses, *more)

    monkeypatch.setattr(twin_state.read, "read_objects", counting)
    made = [statement.format(n=n) for n in range(30)]
    asking.database.load("; ".join(made))
    asked = [*made, "CREATE TABLE last ()"] if last == "complete" else made
    assert asking.actions("; ".join(asked)) == [last]
    *apart, together = sorted(read_by_look)
    assert len(apart) >= 30
    assert max(apart) < together / 10


def test_a_plan_looks_once_at_what_a_block_has_changed(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was dropped that could be there twice."""
    looks = []

    def counting(*about: Any) -> Any:
        looks.append(about)
        return read_objects(*about)

    monkeypatch.setattr(twin_state.read, "read_objects", counting)
    block = _block(0, "CREATE INDEX ON base (v); CREATE INDEX ON base (n)")
    target = Target("env:CRM_URL", asking.database.url)
    with (
        connect(target, schema="public", read_only=True) as look,
        twin_server.make_twin(target, look, asking.host, asking.database.name) as twin,
    ):
        failures, (step,) = try_pending(twin, "public", [Decision(block, Action.APPLY, "", (0, 1))])
    assert (failures, len(step.changes), len(looks)) == ([], 2, 1)


MADE = "CREATE TABLE t (id serial); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
# By default, privileges on what the role makes from then on, or in one schema alone.
DEFAULTS = """
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO PUBLIC, pg_monitor;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC
"""


@pytest.mark.parametrize("done", [1, 2, 3])
def test_default_privileges_are_not_those_of_what_was_made_before_them(
    asking: Asking, done: int
) -> None:
    """As at the end of a dump."""
    behind = (
        "CREATE TABLE u (id serial); CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    history = (MADE, DEFAULTS, behind)
    asking.database.load(";".join(history[:done]))
    assert asking.actions(*history) == ["adopt"] * done + ["apply"] * (3 - done)
    assert asking.actions(";".join(history))[0] == ("adopt" if done == 3 else "complete")


def test_default_privileges_that_somebody_gave_later_are_no_matter(asking: Asking) -> None:
    asking.database.load(f"{MADE}; {DEFAULTS}")
    assert asking.actions(MADE) == ["adopt"]


def test_default_privileges_are_older_than_what_a_table_from_before_them_gets(
    asking: Asking,
) -> None:
    asking.database.load(f"{DEFAULTS}; ALTER TABLE base ADD w int; {MADE}")
    assert asking.actions("ALTER TABLE base ADD w int", MADE) == ["adopt", "adopt"]


def test_default_privileges_from_before_the_blocks_are_those_of_what_they_make(
    asking: Asking,
) -> None:
    asking.database.load(f"{DEFAULTS}; {MADE}")
    assert asking.actions(MADE, DEFAULTS) == ["adopt", "adopt"]


def test_what_cascade_does_not_drop_either_fails_on_the_twin(asking: Asking) -> None:
    """The index that the first block dropped; a later block made a constraint of its name."""
    history = ("DROP INDEX base_v_key", "ALTER TABLE base ADD UNIQUE (v)")
    asking.database.load(history[1])
    (problem,) = asking.of(*history)[1].problems
    assert problem.what == "cannot be judged: 001_block, before it, fails on the twin"
    assert "constraint base_v_key on table base requires it" in problem.found


def test_what_takes_a_superuser_and_leaves_nothing_is_tried_without(asking: Asking) -> None:
    history = (
        "CREATE TABLE t (id int PRIMARY KEY, parent int REFERENCES t);"
        "ALTER TABLE t DISABLE TRIGGER ALL; ALTER TABLE t ENABLE TRIGGER ALL",
        "SET LOCAL session_replication_role = replica; CREATE TABLE u ()",
    )
    asking.database.load(history[0])
    assert asking.actions(*history) == ["adopt", "apply"]
    asking.database.load(history[1])
    assert asking.actions(*history) == ["adopt", "adopt"]


# As some do it to write many rows without an index.
IDLE_INDEXES = (
    "UPDATE pg_index SET indisready = false WHERE indrelid = 't'::regclass",
    "UPDATE pg_catalog.pg_index SET indisready = true WHERE indrelid = 't'::regclass",
)


def test_rows_of_a_system_catalog_are_taken_for_written_as_others_are(asking: Asking) -> None:
    history = (
        "CREATE TABLE t (id int PRIMARY KEY)",
        "; ".join(("ALTER TABLE t ADD a int", *IDLE_INDEXES)),
        "CREATE TABLE u ()",
    )
    asking.database.load(history[0])
    assert asking.actions(*history) == ["adopt", "apply", "apply"]
    asking.database.load("; ".join(history[1:]))
    assert asking.actions(*history) == ["adopt", "adopt", "adopt"]


# Each was made by the first block, and made otherwise by the second.
BY_CATALOG = {
    "a column": (
        "CREATE TABLE t (a varchar(10))",
        "UPDATE pg_attribute SET atttypmod = 24 WHERE attrelid = 't'::regclass AND attname = 'a'",
        "table column public.t.a",
    ),
    "an enum": (
        "CREATE TYPE colour AS ENUM ('red', 'blue')",
        "DELETE FROM pg_enum WHERE enumtypid = 'colour'::regtype AND enumlabel = 'red'",
        "type public.colour",
    ),
}


@pytest.mark.parametrize(("made", "written", "what"), BY_CATALOG.values(), ids=BY_CATALOG)
def test_what_rows_of_a_system_catalog_make_cannot_be_judged(
    asking: Asking, made: str, written: str, what: str
) -> None:
    """Nor is it taken for what the block before has made, nor for somebody's change by hand."""
    history = (made, written, "CREATE TABLE u ()")
    asking.database.load("; ".join(history))
    judged = asking.of(*history)
    (problem,) = judged[0].problems
    assert judged[0].action is Action.REFUSE
    catalog = written.split()[2 if written.startswith("DELETE") else 1]
    assert problem.what == (
        f"{what} cannot be judged: 002_block writes to {catalog}, which takes a superuser, "
        "and so was left out on the twin"
    )
    assert asking.actions(*history, adopt="001_block") == ["adopt", "adopt", "adopt"]


def test_rows_that_a_role_may_not_write_fail_where_they_are_of_no_system_catalog(
    asking: Asking,
) -> None:
    history = "CREATE TABLE pg_t (); SET LOCAL ROLE pg_monitor; DELETE FROM pg_t"
    asking.database.load("CREATE TABLE pg_t ()")
    (problem,) = asking.of(history)[0].problems
    assert problem.what == "fails on the twin"
    assert problem.found == "permission denied for table pg_t"


def test_what_nobody_makes_later_is_in_the_way_of_a_drop(asking: Asking) -> None:
    first, second = DROPPED_FIRST["a function that is replaced"]
    asking.database.load(f"{first}; {second}; CREATE TABLE theirs (a colour)")
    judged = asking.of(first, second)
    assert "theirs" in judged[0].problems[0].found


def test_what_a_block_makes_and_drops_again_is_not_missed(asking: Asking) -> None:
    """Nor where the block behind it is half done, so that each statement is tried by itself."""
    first = "CREATE TABLE t (a int PRIMARY KEY); ALTER TABLE t DROP CONSTRAINT t_pkey, ADD b int"
    asking.database.load(f"{first}; CREATE TABLE u ()")
    assert asking.actions(first, "CREATE TABLE u (); CREATE TABLE w ()") == ["adopt", "complete"]


def test_an_overload_that_comes_later_is_not_dropped_in_place_of_the_one_before(
    asking: Asking,
) -> None:
    history = (
        "CREATE OR REPLACE FUNCTION g(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION g; CREATE OR REPLACE FUNCTION g(a int, b int) RETURNS int LANGUAGE sql"
        " AS 'SELECT 2'",
    )
    asking.database.load(history[0])
    assert asking.actions(*history) == ["adopt", "apply"]
    asking.database.load(history[1])
    assert asking.actions(*history) == ["adopt", "adopt"]


def test_code_may_grant_a_role_that_the_twin_has_the_name_of(asking: Asking) -> None:
    roles = "DO $$ BEGIN GRANT twin_reader TO twin_app; END $$"
    asking.database.load("CREATE ROLE twin_reader; CREATE ROLE twin_app")
    try:
        asking.database.load(f"{roles}; CREATE TABLE t (a int)")
        assert asking.actions(f"{roles}; CREATE TABLE t (a int)") == ["adopt"]
        ((run,),) = asking.database.execute("SELECT current_user")
        with psycopg.connect(asking.host.conninfo()) as host:
            left = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND NOT rolsuper"
            assert host.execute(left, [[run, "twin_reader", "twin_app"]]).fetchall() == []
    finally:
        asking.database.load("DROP ROLE twin_reader, twin_app")


# What takes a superuser, and so cannot be made on the twin.
NAMED_ALONE = (
    "CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)",
    "CREATE OPERATOR FAMILY f USING btree",
    "CREATE ACCESS METHOD m TYPE INDEX HANDLER bthandler",
    "CREATE LANGUAGE l HANDLER plpgsql_call_handler",
    "CREATE TEXT SEARCH PARSER p (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype)",
    "CREATE TEXT SEARCH TEMPLATE t (lexize = dsimple_lexize)",
)


@pytest.mark.parametrize("made", NAMED_ALONE)
def test_what_the_twin_cannot_make_is_refused_where_it_is_there(asking: Asking, made: str) -> None:
    asking.database.load(made)
    (judged,) = asking.of(made)
    (problem,) = judged.problems
    assert (judged.action, problem.what) == (Action.REFUSE, "fails on the twin")
    assert problem.found.startswith(("must be superuser", "permission denied"))
    assert asking.actions(made, adopt="001_block") == ["adopt"]


def test_what_blocks_of_the_ledger_have_made_stays_on_the_twin(asking: Asking) -> None:
    """A key goes with its column, and one of the same name is made anew."""
    asking.database.load(
        "CREATE TABLE t (id serial PRIMARY KEY, m int NOT NULL); CREATE TABLE hand (id int)"
    )
    judged = asking.of(
        "CREATE TABLE hand (id int)",
        "ALTER TABLE t DROP COLUMN id; ALTER TABLE t ADD PRIMARY KEY (m)",
        applied=[Object("table constraint", "t_pkey on public.t")],
    )
    assert [str(each.action) for each in judged] == ["adopt", "apply"]


def test_explain_with_analyze_writes_what_its_statement_writes() -> None:
    written = statements("EXPLAIN (ANALYZE) DELETE FROM t; EXPLAIN DELETE FROM t")
    assert [work_of_node(each.node) for each in written] == [Work.ROWS, Work.NONE]


def test_what_an_event_trigger_does_beside_a_table_is_the_blocks(asking: Asking) -> None:
    """It is about no relation that the block has locked."""
    asking.database.load(
        "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$ BEGIN COMMENT ON TYPE mood IS 'noted'; END $$;"
        "CREATE EVENT TRIGGER note ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
        " EXECUTE FUNCTION note()"
    )
    asking.database.load("CREATE TABLE t (a int)")
    asking.database.load("COMMENT ON TYPE mood IS NULL")
    (judged,) = asking.of("CREATE TABLE t (a int)")
    assert judged.action is Action.REFUSE
    assert [each.what for each in judged.problems] == [
        "type public.mood is not as the block makes it"
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "GRANT CONNECT ON DATABASE THIS TO PUBLIC",
        "REVOKE ALL ON DATABASE THIS FROM PUBLIC",
        "COMMENT ON DATABASE THIS IS 'x'",
        "ALTER DATABASE THIS OWNER TO postgres",
        "COMMENT ON ROLE postgres IS NULL",
        "GRANT CREATE ON TABLESPACE pg_default TO postgres",
        "GRANT SET ON PARAMETER work_mem TO postgres",
    ],
)
def test_what_all_databases_of_a_cluster_share_is_left_out(asking: Asking, sql: str) -> None:
    """The twin's cluster is another one, with a database of another name."""
    block = f"{sql.replace('THIS', asking.database.name)}; CREATE TABLE t (a int)"
    later = "CREATE TABLE u (a int)"
    asking.database.load(block)
    assert asking.actions(block, later) == ["adopt", "apply"]
    asking.database.load(later)
    assert asking.actions(block, later) == ["adopt", "adopt"]
