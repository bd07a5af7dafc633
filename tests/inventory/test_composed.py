"""Several changes, one after the other: pg_dump and the inventory agree, and nothing escapes."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inventory import changes
from inventory.test_changes import effect
from inventory.test_oracle import CHANGES
from support import databases
from support.databases import Database

from pgrunbook.inventory.objects import Inventory, differences
from pgrunbook.inventory.read import read

pytestmark = pytest.mark.newest

ALONE = ("CREATE SUBSCRIPTION", "ADD VALUE")  # not in a transaction, or of no use in it


def several(version: int) -> st.SearchStrategy[list[str]]:
    usable = [
        change.sql
        for change in CHANGES
        if change.version <= version and not any(word in change.sql for word in ALONE)
    ]
    return st.lists(st.sampled_from(usable), min_size=2, max_size=6, unique=True)


def apply(conn: psycopg.Connection, sql: list[str]) -> None:
    """Each change, but for those that are none after the others."""
    conn.execute("SET LOCAL search_path = app")
    for change in sql:
        conn.execute("SAVEPOINT change")
        try:
            for statement in changes.statements(change):
                conn.execute(statement.encode())
        except psycopg.Error:
            conn.execute("ROLLBACK TO change")
        conn.execute("RELEASE change")


@given(st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[*HealthCheck])
def test_nothing_escapes(made: Database, before: Inventory, data: st.DataObject) -> None:
    sql = data.draw(several(made.server.version))
    with made.connect() as block:
        block.execute("BEGIN")
        apply(block, sql)
        if not any("SCHEMA app RENAME" in change for change in sql):
            assert effect(block, made, before) == differences(before, read(block))
        block.execute("ROLLBACK")


@pytest.mark.long
@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[*HealthCheck])
def test_pg_dump_agrees(made: Database, before: Inventory, data: st.DataObject) -> None:
    """Whatever is equal for one is equal for the other, if the inventory does not see more."""
    sql = data.draw(several(made.server.version))
    finer = {change.sql for change in CHANGES if change.sign in (">", "<")}
    sql = [change for change in sql if change not in finer]
    with databases.temporary(made.server, template=made.name) as database:
        with database.connect() as block:
            block.execute("BEGIN")
            apply(block, sql)
            block.execute("COMMIT")
            found = differences(before, read(block))
        same = database.dump("--schema-only") == made.dump("--schema-only")
    assert same == (found == [])
