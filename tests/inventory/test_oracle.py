"""Whatever makes `pg_dump -s` differ makes the inventory differ, and the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
import pytest
from inventory import changes
from support import databases
from support.databases import Database

from pgrunbook.inventory.objects import Inventory, differences
from pgrunbook.inventory.read import read
from pgrunbook.postgres.embedded import Server

pytestmark = pytest.mark.newest


class Change(NamedTuple):
    """SQL that may make a difference, from a version on."""

    sql: str
    version: int
    sign: str

    @property
    def differs(self) -> bool:
        """Whether the inventory differs."""
        return self.sign in ("", ">")

    @property
    def differs_for_pg_dump(self) -> bool:
        return self.sign in ("", "<")


def listed() -> Iterator[Change]:
    for line in changes.CHANGES.strip().splitlines():
        if not line.startswith("#"):
            version, sign, text = re.fullmatch(r"(1\d )?(?:([=<>]) )?(.*)", line).groups()  # type: ignore[union-attr]
            yield Change(text, int(version or 15), sign or "")


CHANGES = [*listed()]
# A database of its own for each takes a third of a second: every eighth is in `make test`.
OFTEN = 8
PAIRS = changes.PAIRS.strip().splitlines()


class Judged(NamedTuple):
    """A database as pg_dump and the inventory see it."""

    dump: str
    inventory: Inventory


@pytest.fixture(scope="module")
def base(server: Server) -> Iterator[Database]:
    with changes.made(server) as database:
        yield database


@pytest.fixture(scope="module")
def judged(base: Database) -> Judged:
    return look(base)


def look(database: Database) -> Judged:
    with database.connect() as conn:
        return Judged(database.dump("--schema-only"), read(conn))


def changed(base: Database, sql: str) -> Judged:
    with databases.temporary(base.server, template=base.name) as database:
        # each alone, as what adds a value to an enum has to be
        with database.connect() as conn:
            conn.execute("SET search_path = app")
            try:
                for statement in changes.statements(sql):
                    conn.execute(statement.encode())
            except psycopg.errors.FeatureNotSupported as exc:  # ICU, in some builds
                pytest.skip(f"NOT TESTED: {exc}")
        try:
            return look(database)
        finally:
            with database.connect() as conn:
                conn.execute("DROP SUBSCRIPTION IF EXISTS sub")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, marks=pytest.mark.long if number % OFTEN else ())
        for number, change in enumerate(CHANGES)
    ],
    ids=lambda change: change.sql[:60],
)
def test_what_differs_for_pg_dump_differs_here(
    base: Database, judged: Judged, change: Change
) -> None:
    if base.server.version < change.version:
        pytest.skip(f"from version {change.version} on")
    after = changed(base, change.sql)
    found = differences(judged.inventory, after.inventory)
    assert (after.dump != judged.dump) == change.differs_for_pg_dump, "pg_dump says otherwise"
    assert bool(found) == change.differs


@pytest.mark.parametrize("pair", PAIRS, ids=range(len(PAIRS)))
def test_what_its_sql_made_look_equal_or_different(base: Database, pair: str) -> None:
    version, left, sign, right = re.fullmatch(r"(1\d )?(.*?) (==|<>|~~) (.*)", pair).groups()  # type: ignore[union-attr]
    if base.server.version < int(version or 15):
        pytest.skip(f"from version {version} on")
    one, other = changed(base, left), changed(base, right)
    assert (one.dump == other.dump) == (sign == "=="), "pg_dump says otherwise"
    assert (differences(one.inventory, other.inventory) == []) == (sign != "<>")
