"""What a runbook costs on each target of a fleet, beside `pgrunbook run` and psql in loops.

    .venv/bin/python benchmarks/fleet.py [--schemas N] [--workers N]

One server, one database, so many schemas with a table each; a runbook of two blocks adds a column
and a table with an index. The loop of `pgrunbook run` is measured on the first few schemas, that of
psql on all of them. Prints a table in Markdown, with the most memory that the coordinator had.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import projects
import psutil  # type: ignore[import-untyped]  # ships no type information
import psycopg
from measuring import SAMPLING_S, table

from pgrunbook.postgres import embedded

SCHEMAS, WORKERS = 1_000, 4
LOOPED = 10  # runs of `pgrunbook run`, one after the other
FLEET = "tenants"
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
BLOCKS = {
    "010_source": "ALTER TABLE deals ADD COLUMN source text;\n",
    "020_batches": (
        "CREATE TABLE batches (id bigint PRIMARY KEY, name text NOT NULL);\n"
        "CREATE INDEX batches_name ON batches (name);\n"
    ),
}


def schemas(server: embedded.Server, count: int) -> list[str]:
    """Make a database with so many schemas; their names."""
    names = [f"tenant_{n:04}" for n in range(count)]
    with psycopg.connect(projects.fresh(server, "bench"), autocommit=True) as conn:
        for name in names:
            made = f"CREATE SCHEMA {name}; CREATE TABLE {name}.deals (id bigint PRIMARY KEY)"
            conn.execute(made.encode())
        conn.execute("ANALYZE; CHECKPOINT")
    return names


def fleet(folder: Path, names: Sequence[str], workers: int) -> None:
    """A project whose fleet has these schemas, in one wave."""
    projects.of_many(folder, BLOCKS)
    rows = [{"name": name, "env": "BENCH", "schema": name} for name in names]
    (folder / "tenants.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "pgrunbook.toml").write_text(
        f'[fleets.{FLEET}]\ntargets_file = "tenants.jsonl"\nwaves = ["100%"]\n'
        f"workers = {workers}\nper_server = {workers}\n"
    )


def ours(folder: Path, conninfo: str, *arguments: str) -> tuple[float, int]:
    """Run a command in the project: its time in seconds, and the most memory that its first process
    had, in bytes: it is the coordinator. Ends the benchmark if it does not pass.
    """
    env = {**_ENVIRONMENT, "PGRUNBOOK_ROOT": str(folder), "BENCH": conninfo}
    command = [sys.executable, "-m", "pgrunbook", *arguments]
    start, most = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        process = psutil.Popen(command, env=env, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            try:
                most = max(most, process.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(SAMPLING_S)
        if code := process.wait():
            said.seek(0)
            raise SystemExit(f"exit {code}: {' '.join(command)}\n{said.read().decode()[-2000:]}")
    return time.perf_counter() - start, most


def psql(server: embedded.Server, folder: Path, names: Sequence[str]) -> float:
    """Run the same blocks by psql, one call a schema; the time in seconds."""
    files = [str(path) for path in sorted(folder.glob("sql/*/deploy/*.sql"))]
    listed = [part for file in files for part in ("-f", file)]
    start = time.perf_counter()
    for name in names:
        subprocess.run(
            [server.bin / "psql", "-Xq1", "-d", server.conninfo("bench"), *listed],
            env={**_ENVIRONMENT, "PGOPTIONS": f"-c search_path={name}"},
            check=True,
        )
    return time.perf_counter() - start


def section(server: embedded.Server, count: int, workers: int) -> str:
    """The table."""
    rows = []

    def note(what: str, targets: int, seconds: float, most: int = 0) -> None:
        memory = f"{most / 2**20:.0f}" if most else ""
        rows.append((what, f"{targets:,}", f"{seconds:.1f}", f"{seconds / targets:.3f}", memory))

    with tempfile.TemporaryDirectory() as place:
        folder, names = Path(place), schemas(server, count)
        fleet(folder, names, workers)
        conninfo = server.conninfo("bench")
        commands: dict[str, Callable[[], tuple[float, int]]] = {
            what: lambda what=what: ours(folder, conninfo, "fleet", *what.split(), "--fleet", FLEET)  # type: ignore[misc]
            for what in (f"plan {projects.MANY}", f"run {projects.MANY}", "drift")
        }
        for what, measured in commands.items():
            note(f"pgrunbook fleet {what.split()[0]}, {workers} workers", count, *measured())
        names = schemas(server, LOOPED)
        one = f"run {projects.MANY} --target env:BENCH -p schema"
        looped = sum(ours(folder, conninfo, *one.split(), name)[0] for name in names)
        note("pgrunbook run, in a loop", LOOPED, looped)
        note("psql -1, in a loop", count, psql(server, folder, schemas(server, count)))
    return table(["", "targets", "s", "s a target", "coordinator, MB"], rows)


def main() -> None:
    """Measure and print."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--schemas", type=int, default=SCHEMAS)
    parser.add_argument("--workers", type=int, default=WORKERS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleet-") as place:
        server = embedded.start(Path(place) / "pg", 18)
        try:
            print(section(server, chosen.schemas, chosen.workers))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
