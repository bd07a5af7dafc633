"""Snapshots of a catalog of 1,000, 10,000 and 100,000 tables as frames, beside SQLAlchemy's
reflection and pg_dump.

Tables have ten columns, one of them of an enum, three constraints and two indexes. Each reading is
a process of its own, which prints how many seconds it took from the first question to the last
frame; connecting and importing do not count. So it is with the seven tables of 001, in a database
with nothing else and in one with as many more.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import projects
import psycopg
from measuring import table

from pgrunbook.postgres import embedded
from pgrunbook.postgres.catalog import snapshot
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

COUNTS = (1_000, 10_000, 100_000)
OURS, FEW, REFLECTION, DUMP = (
    "pgrunbook",
    "the seven of 001",
    "SQLAlchemy get_multi_*",
    "pg_dump -s",
)
# pg_dump needs a lock for each table, SQLAlchemy gigabytes
_LARGEST = {REFLECTION: 10_000, DUMP: 10_000}
_SEVEN = (
    "import_batches",
    "stage_mappings",
    "deals",
    "contacts",
    "accounts",
    "connections",
    "workspaces",
)
# what SQLAlchemy reflects; it knows no sizes of tables
_KINDS = ("columns", "constraints", "indexes", "types")
# Tables in a transaction, each of which takes locks, of which there is a limit; and that refer to
# one other table, of which the list of triggers is read anew for each.
_BATCH = 100

# What the readers read, as autovacuum keeps it.
_READ_FROM = (
    "class",
    "attribute",
    "attrdef",
    "constraint",
    "index",
    "type",
    "depend",
    "description",
)

_MAKE = """
CREATE SCHEMA many;
SET search_path = many;
SET synchronous_commit = off;
CREATE TYPE state AS ENUM ('new', 'active', 'gone');
"""
_TABLES = """
CREATE TABLE owners_{first} (id bigint PRIMARY KEY);
DO $$ BEGIN FOR n IN {first}..{last} LOOP
  EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, owner_id bigint NOT NULL REFERENCES owners_{first} (id),
    name varchar(80) NOT NULL, state state NOT NULL DEFAULT ''new'', amount numeric(12,2) CHECK (amount >= 0),
    note varchar(200), quantity integer DEFAULT 0, due date, created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz); CREATE INDEX t%s_name ON t%s (name, created_at)', n, n, n);
END LOOP; END $$
"""


class Reading(NamedTuple):
    """How long one reading of a catalog took, in seconds, and the most memory that its process had,
    in bytes.
    """

    seconds: float
    peak: int


def section(server: embedded.Server, times: int, counts: tuple[int, ...] = COUNTS) -> str:
    """Measure, in Markdown."""
    whole, few = [], []
    alone = projects.fresh(server, "few", projects.SAMPLE)
    for count in counts:
        conninfo = _database(server, count)
        readers = [name for name in (OURS, REFLECTION, DUMP) if count <= _LARGEST.get(name, count)]
        found: dict[str, list[Reading]] = {name: [] for name in (*readers, "alone", "among many")}
        for _ in range(times):
            for name in readers:
                found[name].append(
                    _dumped(server, conninfo) if name == DUMP else _read(name, conninfo)
                )
            found["alone"].append(_read(FEW, alone))
            found["among many"].append(_read(FEW, conninfo))
        whole += [_row(name, count, found) for name in readers]
        here, there = (
            statistics.median(r.seconds for r in found[name]) for name in ("alone", "among many")
        )
        few.append(
            (f"{count:,}", f"{here * 1000:.1f}", f"{there * 1000:.1f}", f"{there / here:.2f}")
        )
    heading = ("", "tables", "s", f"times {REFLECTION}", "peak memory, MB")
    return "\n\n".join(
        [
            "## A large catalog, all of it",
            table(heading, whole),
            "## Seven tables in a large catalog",
            table(("other tables", "alone, ms", "among them, ms", "times"), few),
        ]
    )


def _row(name: str, count: int, found: dict[str, list[Reading]]) -> tuple[str, ...]:
    seconds = statistics.median(r.seconds for r in found[name])
    theirs = (
        statistics.median(r.seconds for r in found[REFLECTION]) if REFLECTION in found else None
    )
    ratio = f"{seconds / theirs:.2f}" if theirs else ""
    peak = statistics.median(r.peak for r in found[name]) / 1024 / 1024
    return name, f"{count:,}", f"{seconds:.2f}", ratio, f"{peak:,.0f}" if peak else ""


def _database(server: embedded.Server, count: int) -> str:
    """The sample, and so many tables in another schema."""
    conninfo = projects.fresh(server, "catalog", projects.SAMPLE)
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(_MAKE.encode())
        for first in range(1, count + 1, _BATCH):
            conn.execute(_TABLES.format(first=first, last=min(first + _BATCH - 1, count)).encode())
        conn.execute(
            f"VACUUM ANALYZE {', '.join(f'pg_catalog.pg_{name}' for name in _READ_FROM)}".encode()
        )
    return conninfo


def _read(name: str, conninfo: str) -> Reading:
    """In a process of its own, whose memory is its own."""
    command = [sys.executable, __file__, name, conninfo]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return Reading(*json.loads(done.stdout))


def _dumped(server: embedded.Server, conninfo: str) -> Reading:
    start = time.perf_counter()
    command = [
        server.bin / "pg_dump",
        "--schema-only",
        "--schema=many",
        "--file=/dev/null",
        conninfo,
    ]
    subprocess.run(command, check=True)
    return Reading(time.perf_counter() - start, 0)


def _ours(conninfo: str, schema: str) -> Callable[[], object]:
    conn = connect(Target("bench", conninfo), schema=schema, read_only=True)
    query = (
        "SELECT relname::text FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind "
        "= 'r' ORDER BY 1"
    )
    names = [row[0] for row in conn.execute(query, [schema])] if schema == "many" else list(_SEVEN)
    import pandas  # noqa: F401  # importing does not count

    kinds = _KINDS if schema == "many" else ("tables", *_KINDS)
    return lambda: snapshot(conn, schema, names, kinds)


def _reflection(conninfo: str) -> Callable[[], object]:
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo)
    )
    inspector = sqlalchemy.inspect(engine)
    kinds = (
        "columns",
        "pk_constraint",
        "unique_constraints",
        "foreign_keys",
        "check_constraints",
        "indexes",
    )
    return lambda: [
        [getattr(inspector, f"get_multi_{kind}")(schema="many") for kind in kinds],
        inspector.get_enums(schema="many"),
    ]


def main(name: str, conninfo: str) -> None:
    """Read once, and print how long that took and how much memory this process had."""
    read = (
        _reflection(conninfo)
        if name == REFLECTION
        else _ours(conninfo, "many" if name == OURS else "public")
    )
    start = time.perf_counter()
    kept = read()
    seconds = time.perf_counter() - start
    assert kept is not None
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


if __name__ == "__main__":
    main(*sys.argv[1:])
