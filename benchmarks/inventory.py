"""The inventory of many tables, all kinds, beside `pg_dump -s` in the same run; and what it takes
to find what a transaction has changed among them.

    .venv/bin/python benchmarks/inventory.py [TABLES] [TIMES]

Tables are those of catalogs.py: ten columns, three constraints, two indexes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import catalogs
from measuring import table

from pgrunbook.inventory.changes import read_changes, read_overwritten
from pgrunbook.inventory.read import read, read_objects
from pgrunbook.postgres import embedded
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

CHANGE = "ALTER TABLE many.t1 ADD more int; DROP TABLE many.t2"


def section(server: embedded.Server, times: int, count: int = 10_000) -> str:
    """Measure, in Markdown."""
    conninfo = catalogs._database(server, count)
    target = Target("bench", conninfo)
    with connect(target, schema="many") as block, connect(target, schema="many") as other:
        block.execute("BEGIN")
        for statement in CHANGE.split("; "):
            block.execute(statement.encode())
        found = read_changes(block)
        assert found.xid is not None
        questions: dict[str, Callable[[], object]] = {
            "`read_changes`": lambda: read_changes(block),
            "`read_overwritten`": lambda: read_overwritten(
                other, found.xid or 0, found.deleted_from
            ),
            f"`read_objects`, {len(found.addresses)} addresses": lambda: read_objects(
                block, found.addresses
            ),
        }
        rows = [(name, _median(ask, times)) for name, ask in questions.items()]
        block.execute("ROLLBACK")
        whole = {
            "`read`": lambda: read(other, ["many"]),
            "`pg_dump -s`": lambda: subprocess.run(
                [server.bin / "pg_dump", "-s", "--schema=many", "--file=/dev/null", conninfo],
                check=True,
            ),
        }
        taken: dict[str, list[float]] = {name: [] for name in whole}
        for _ in range(times):
            for name, ask in whole.items():
                taken[name].append(_seconds(ask))
        rows += [(name, f"{statistics.median(all_):.3f}") for name, all_ in taken.items()]
    heading = (f"{count:,} tables", "s")
    return "\n\n".join(["## The inventory of a large catalog", table(heading, rows)])


def _median(ask: Callable[[], object], times: int) -> str:
    return f"{statistics.median(_seconds(ask) for _ in range(times)):.3f}"


def _seconds(ask: Callable[[], object]) -> float:
    begun = time.perf_counter()
    ask()
    return time.perf_counter() - begun


def main(count: str = "10000", times: str = "3") -> None:
    """Measure on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="pgrunbook-") as place:
        server = embedded.start(Path(place) / "data")
        try:
            print(section(server, int(times), int(count)))
        finally:
            server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
