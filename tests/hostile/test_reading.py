"""Rows of a table whose owner is not trusted: where the server only plans a query on it, it already
calls what the table's indexes, partitions and types call. No query of ours does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import databases
from support.databases import Database, Role

from pgrunbook.errors import Refused
from pgrunbook.fleet import targets
from pgrunbook.fleet.settings import Fleet
from pgrunbook.ledger.fold import Fold
from pgrunbook.planning import batch_keys, estimates, losses
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.postgres.embedded import Server
from pgrunbook.runbooks.project import Project
from pgrunbook.runbooks.source import Source

PG18 = pytest.mark.parametrize("server", [18], indirect=True)

# A warning gets through, whatever becomes of the transaction.
MADE = """
CREATE FUNCTION app.tell() RETURNS void LANGUAGE plpgsql AS
  $$BEGIN RAISE WARNING 'told %', current_user; END$$;
CREATE FUNCTION app.one(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN i; END';
"""
# what the owner puts in its place, once it is called
HARM = """
CREATE OR REPLACE FUNCTION app.one(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
  'BEGIN PERFORM app.tell(); RETURN i; END'
"""

HOLDERS = {
    "an index": "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX ON t ((id + one(1)))",
    "a part of an index": "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX ON t (n) WHERE n < one(1)",
    "statistics": "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE STATISTICS s ON (n + one(1)) FROM t",
    "a partition key": "CREATE TABLE t (id int, n int) PARTITION BY RANGE ((id + one(1)));"
    "CREATE TABLE p PARTITION OF t DEFAULT",
    "a CHECK": "CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n < one(1000)))",
    "a key's domain": "CREATE DOMAIN d AS int CHECK (VALUE > -one(1)); CREATE TABLE t (id d PRIMARY KEY, n int)",
}


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    with databases.temporary(server) as made:
        made.load(
            "GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO PUBLIC"
        )
        yield made


@pytest.fixture
def lesser(database: Database) -> Role:
    role = databases.login_role(database)
    role.load(MADE)
    return role


def make(role: Role, table: str) -> None:
    """A table with a row in it, which calls a function that does harm from now on."""
    role.load(f"SET search_path = public, app; {table}; INSERT INTO t VALUES (1, 1); {HARM}")


def decision(folder: Path, action: Action, text: str) -> Decision:
    (folder / "deploy").mkdir()
    (folder / "deploy" / "010_fill.sql").write_text(text)
    return Decision(Source.read(folder).block("010_fill", {}), action, "", (0,))


def named(results: list[CheckResult], role: Role) -> None:
    (problem,) = [
        each.problem
        for each in results
        if each.problem and "would run with our rights" in each.problem.what
    ]
    assert "app.one(integer)" in problem.found
    assert role.name in problem.found


DEFAULT = "CREATE TABLE t (id int PRIMARY KEY DEFAULT one(1), n int)"


@PG18
@pytest.mark.parametrize("holder", [*HOLDERS, "a default"])
def test_what_a_revert_would_lose_is_not_asked(
    database: Database, lesser: Role, tmp_path: Path, holder: str
) -> None:
    make(lesser, HOLDERS.get(holder, DEFAULT))
    dropped = "-- title: T\n-- why: W\nALTER TABLE t DROP COLUMN id;\n"
    undone = decision(tmp_path, Action.REVERT, dropped)
    with databases.hearing(database.url, "public") as (conn, told):
        about = conn, "900_x", "public", [undone], frozenset[str](), "5s"
        named(losses.check(*about, Fold(), lambda *_: ""), lesser)
    assert told == []


@PG18
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_backfill_is_planned_without_asking_the_table(
    database: Database, lesser: Role, tmp_path: Path, holder: str
) -> None:
    make(lesser, HOLDERS[holder])
    text = "-- title: T\n-- why: W\n-- batch: t by id\nUPDATE t SET n = 2 WHERE id > :from AND id <= :to;\n"
    filled = decision(tmp_path, Action.APPLY, text)
    with databases.hearing(database.url, "public") as (conn, told):
        keys = batch_keys.find_keys(conn, [filled])
        named(batch_keys.check(keys, [filled]), lesser)
        estimates.frame(conn, [filled], keys)
    assert told == []


# What a statement of ours, on a table of ours, could call of another role's when it is planned.
CALLS = {
    "a function": (
        "CREATE FUNCTION app.two(text) RETURNS text IMMUTABLE {body}",
        "SET v = app.two('x')",
    ),
    "a shadow": (
        "CREATE FUNCTION app.upper(varchar) RETURNS text IMMUTABLE {body}",
        "SET v = upper('x'::varchar)",
    ),
    "a constant operator": (
        "CREATE FUNCTION app.same(varchar, varchar) RETURNS boolean IMMUTABLE {body};"
        "CREATE OPERATOR app.= (FUNCTION = app.same, LEFTARG = varchar, RIGHTARG = varchar)",
        "SET v = ('a'::varchar = 'b'::varchar)::text",
    ),
    "an operator of the key": (
        "CREATE FUNCTION app.less(varchar, varchar) RETURNS boolean {body};"
        "CREATE OPERATOR app.<= (FUNCTION = app.less, LEFTARG = varchar, RIGHTARG = varchar)",
        "SET v = 'x'",
    ),
}


@PG18
@pytest.mark.parametrize("called", CALLS)
def test_a_batch_is_not_planned_where_that_calls_a_function_of_theirs(
    database: Database, lesser: Role, tmp_path: Path, called: str
) -> None:
    database.load(
        "CREATE TABLE own (k varchar(9) PRIMARY KEY, v text); INSERT INTO own VALUES ('a', 'a'); ANALYZE own"
    )
    functions, change = CALLS[called]
    lesser.load(
        functions.format(body="LANGUAGE plpgsql AS 'BEGIN PERFORM app.tell(); RETURN true; END'")
    )
    text = (
        "-- title: T\n-- why: W\n-- batch: own by k\n-- search_path: public, app\n"
        f"UPDATE own {change} WHERE k > :from AND k <= :to;\n"
    )
    filled = decision(tmp_path, Action.APPLY, text)
    with databases.hearing(database.url, "public") as (conn, told):
        keys = batch_keys.find_keys(conn, [filled])
        found = estimates.frame(conn, [filled], keys).loc["010_fill"]
    assert told == []
    assert found["rows"] == 1


@PG18
def test_a_batch_is_not_planned_on_a_table_or_view_of_theirs(
    database: Database, lesser: Role, tmp_path: Path
) -> None:
    """The table that is filled is ours; what it is filled from is not."""
    database.load(
        "CREATE TABLE own (id int PRIMARY KEY, n int); INSERT INTO own VALUES (1, 1); ANALYZE own"
    )
    make(lesser, HOLDERS["an index"])
    lesser.load("CREATE VIEW v AS SELECT id, n + app.one(1) AS n FROM t")
    for place, other in enumerate(("t", "v")):
        text = (
            "-- title: T\n-- why: W\n-- batch: own by id\n"
            f"UPDATE own SET n = o.n FROM {other} o WHERE o.id = own.id AND own.id > :from AND own.id <= :to;\n"
        )
        (folder := tmp_path / str(place)).mkdir()
        filled = decision(folder, Action.APPLY, text)
        with databases.hearing(database.url, "public") as (conn, told):
            keys = batch_keys.find_keys(conn, [filled])
            assert not [each.problem for each in batch_keys.check(keys, [filled]) if each.problem]
            assert estimates.frame(conn, [filled], keys)["to_change"].isna().all()
        assert told == []


@PG18
def test_a_fleet_s_targets_are_not_asked_for_among_shadows(
    database: Database, lesser: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesser.load(
        "CREATE FUNCTION eq(varchar, varchar) RETURNS boolean LANGUAGE sql AS"
        " 'SELECT app.tell() IS NULL';"
        "CREATE OPERATOR = (FUNCTION = eq, LEFTARG = varchar, RIGHTARG = varchar)",
    )
    monkeypatch.setenv("DIRECTORY", database.url)
    asks = "SELECT 'a' AS name, 'X' AS env WHERE 'a'::varchar = 'b'::varchar"
    (tmp_path / "pgrunbook.toml").write_text(
        f'[fleets.all]\ntargets_query = {{ target = "env:DIRECTORY", sql = "{asks}" }}\n'
    )
    project = Project.find(tmp_path)
    with pytest.raises(Refused) as caught:
        targets.find(Fleet.of(project, "all"), project)
    assert "operator public.= (character varying" in "".join(p.where for p in caught.value.problems)
