"""Runbooks that are pending one after the other, planned and rehearsed: each on what those before it
would leave.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from support import databases
from support.databases import Database
from support.projects import Project

from pgrunbook.postgres.embedded import Server

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

THERE = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text, since date);
INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 5000) n;
ANALYZE customers;
"""
ORDERS = {
    "010_states.sql": "CREATE TYPE order_state AS ENUM ('new', 'paid');",
    "020_orders.sql": """
CREATE TABLE orders (
  id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, state order_state
);
ALTER TABLE customers ADD COLUMN email text;""",
}
# what needs the table, the type and the column of the runbook before it
TOTALS = {
    "010_total.sql": """
ALTER TABLE orders ADD COLUMN total numeric NOT NULL DEFAULT 0;
CREATE INDEX orders_by_state ON orders (state) WHERE state = 'paid';
CREATE INDEX customers_by_email ON customers (email);""",
    "020_since.sql": """
ALTER TABLE customers DROP COLUMN since;
ALTER TABLE orders DROP COLUMN customer_id;""",
}
VIEW = {
    "010_paid.sql": "CREATE VIEW paid AS SELECT total FROM orders WHERE state = 'paid';",
}
FIRST, SECOND, THIRD = "001_orders", "002_totals", "003_paid"
RUN = ("run", "--target", "env:CRM_URL", "--mode")


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    with databases.temporary(server) as database:
        database.load(THERE)
        yield database


@pytest.fixture
def empty(database: Database, project: Project) -> Project:
    """A project without a runbook, for that database."""
    for name in ("runbooks", "sql"):
        shutil.rmtree(project.root / name)
    project.env["CRM_URL"] = database.url
    return project


def having(project: Project, **runbooks: dict[str, str]) -> Project:
    """The project with a runbook of each of these folders of SQL."""
    for name, files in runbooks.items():
        folder = project.root / "from" / name
        folder.mkdir(parents=True)
        for file, sql in files.items():
            (folder / file).write_text(sql)
        done = project.command("import", folder, name)
        assert done.code == 0, done.text
    return project


def pending(project: Project, mode: str) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code, what is told of each runbook, and the text."""
    done = project.command(*RUN, mode, "--pending", "--json")
    told, _ = json.JSONDecoder().raw_decode(done.text, done.text.index("[\n"))
    return done.code, told, done.text


def test_each_is_planned_on_what_those_before_it_would_leave(
    database: Database, empty: Project
) -> None:
    project = having(empty, orders=ORDERS, totals=TOTALS, paid=VIEW)
    before = database.dump()
    code, told, text = pending(project, "plan")
    assert (code, [run["verdict"] for run in told]) == (0, ["passed"] * 3), text
    assert [run.get("after") for run in told] == [None, [FIRST], [FIRST, SECOND]]
    assert told[2]["message"].endswith(f"; after {FIRST}, {SECOND}, which are pending")
    assert f"{FIRST}, which is pending" in (project.root / told[1]["notebook"]).read_text()
    assert database.dump() == before
    # The twin has no rows: what is on the target is as large as it is there.
    sizes = {row["concerns"]: row["size"] for row in told[1]["hazards"]}
    assert "5,000 rows" in sizes["column customers.since"]
    assert sizes["column orders.customer_id"] == ""
    assert told[1]["foreseen"][-1] == {
        "block": "020_since",
        "object": "table constraint orders_customer_id_fkey on public.orders",
        "change": "dropped",
        "what": "definition: FOREIGN KEY (customer_id) REFERENCES public.customers(id)",
    }
    # The plan is that of the target, once it has come so far.
    assert project.command(*RUN, "apply", FIRST).code == 0
    (now,) = json.loads(project.command(*RUN, "plan", SECOND, "--json").text)
    assert now["plan"] == told[1]["plan"]


def test_what_no_copy_has_refuses_no_plan(database: Database, empty: Project) -> None:
    """The last one is tried on a copy of a copy."""
    database.load(
        "CREATE FUNCTION quiet(a int DEFAULT 1) RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT a'"
    )
    project = having(empty, orders=ORDERS, quiet={"010_v.sql": "CREATE VIEW v AS SELECT quiet();"})
    _, told, text = pending(project, "plan")
    assert [run["verdict"] for run in told] == ["passed"] * 2, text


def test_each_is_rehearsed_on_what_those_before_it_have_left(
    database: Database, empty: Project
) -> None:
    project = having(empty, orders=ORDERS, totals=TOTALS)
    before = database.dump()
    code, told, text = pending(project, "rehearse")
    assert (code, [run["verdict"] for run in told]) == (0, ["passed"] * 2), text
    assert told[1]["message"].endswith(f"; after {FIRST}, which is pending")
    assert database.dump() == before


def test_what_psql_has_done_of_each_is_adopted(database: Database, empty: Project) -> None:
    """Of the second one a twin of the twin is asked."""
    view = {"010_open.sql": "CREATE VIEW open AS SELECT id FROM orders WHERE state <> 'paid';"}
    project = having(empty, orders=ORDERS, open=view)
    database.load("".join([*ORDERS.values(), *view.values()]))
    code, told, text = pending(project, "plan")
    assert (code, [run["verdict"] for run in told]) == (0, ["passed"] * 2), text
    assert all("planned: 0 of" in run["message"] for run in told), text


def test_each_adopts_what_is_named_of_its_own_blocks(database: Database, empty: Project) -> None:
    project = having(empty, orders=ORDERS, open={"010_open.sql": "CREATE VIEW open AS SELECT 1;"})
    database.load("CREATE VIEW open AS SELECT 1;")
    mode = ("plan", "--pending", "-p", "adopt")
    assert project.command(*RUN, *mode, "010_open").code == 0
    done = project.command(*RUN, *mode, "010_open, 020_nobodys")
    assert (done.code, "no block is called 020_nobodys" in done.text) == (2, True), done.text


def test_a_plan_says_what_it_takes_for_done(database: Database, empty: Project) -> None:
    rows = {"015_rows.sql": "UPDATE customers SET name = upper(name);"}
    project = having(empty, orders=ORDERS | rows)
    database.load("".join(ORDERS.values()))
    done = project.command(*RUN, "plan", FIRST)
    assert done.code == 0, done.text
    assert "planned: 0 of 3 blocks to apply, 3 to adopt, nothing was changed" in done.text
    assert "assumed:  015_rows is done, as a later block is there" in done.text
    done = project.command(*RUN, "plan", FIRST, "-p", "adopt", "none")
    assert "planned: 1 of 3 blocks to apply, 2 to adopt" in done.text
    assert "assumed:" not in done.text


def test_where_one_is_refused_those_behind_it_are_not_planned(
    database: Database, empty: Project
) -> None:
    """By its preconditions, or as its blocks fail on the twin."""
    wrong = "ALTER TABLE customers ADD CHECK (nickname <> '');"
    project = having(empty, orders=ORDERS | {"030_wrong.sql": wrong}, totals=TOTALS)
    before = database.dump()
    code, told, text = pending(project, "plan")
    assert (code, [run["runbook"] for run in told]) == (2, [FIRST]), text
    assert database.dump() == before
    file = project.root / "sql" / FIRST / "deploy" / "030_wrong.sql"
    file.write_text("-- title: Wrong\n\nDO $$ BEGIN RAISE 'not like this'; END $$;\n")
    code, told, text = pending(project, "plan")
    assert (code, [run["runbook"] for run in told]) == (2, [FIRST]), text
    (problem,) = told[0]["problems"]
    assert (problem["found"], "030_wrong.sql" in problem["where"]) == ("not like this", True)
    assert f"pgrunbook run {FIRST} --target env:CRM_URL --mode plan" in problem["remedy"]
    assert database.dump() == before
