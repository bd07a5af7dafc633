"""Every benchmark, one after the other: `make bench`. Writes docs/benchmarks.md.

    .venv/bin/python benchmarks [PART …] [--times N] [--quick] [--write FILE]

Parts: startup, many, catalog, stall, distance, backfill. All of them take about an hour on two
cores.
--quick is for development: fewer, smaller, once each, in 4 minutes, and without the stalls.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import backfill
import catalogs
import distance
import many
import peers
import psutil  # type: ignore[import-untyped]  # ships no type information
import stall
import startup

from pgrunbook.postgres import embedded

PARTS: dict[str, Callable[[embedded.Server, int, bool], str]] = {
    "startup": lambda server, times, _: startup.section(server, times),
    "many": lambda server, times, quick: many.section(server, times, *((30, 100) if quick else ())),
    "catalog": lambda server, times, quick: catalogs.section(
        server, times, *([(1_000,)] if quick else ())
    ),
    "stall": lambda server, _, quick: stall.section(server, 1 if quick else stall.READER_S),
    "backfill": lambda server, _, quick: backfill.section(
        server, 100_000 if quick else backfill.ROWS
    ),
    "distance": lambda server, _, quick: distance.section(server, 1 if quick else stall.READER_S),
}
QUICK = ("startup", "many", "catalog")
COMPARED = (
    "papermill",
    "nbclient",
    "ipykernel",
    "jupyterlab",
    "jsonschema",
    "pandas",
    "sqlalchemy",
    "psycopg",
)


def machine(server: embedded.Server, command: str, times: int) -> str:
    """What the figures depend on, in Markdown."""
    tools = {"pgrunbook": version("pgrunbook"), "Python": platform.python_version()} | peers.PINNED
    default = peers.versions(peers.PAPERMILL, COMPARED)
    if sqitch := peers.sqitch_version():
        tools["sqitch"] = sqitch
    ours = {name: version(name) for name in COMPARED}
    facts = {
        "Command": f"`{command}`, {datetime.now(UTC):%Y-%m-%d}",
        "Machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB, "
        f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Server": f"PostgreSQL {server.version}, embedded, its settings as initdb makes them "
        "(fsync on), local socket",
        "Contestants": _listed(tools),
        "papermill as pip gives it": _listed(default),
        "The same in this project": _listed(ours),
        "Figures": f"medians of {times}; contestants take turns; memory from runs of its own, "
        "shared pages divided",
    }
    return "\n".join(f"- {name}: {text}" for name, text in facts.items())


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)"
    )
    parser.add_argument(
        "--times", type=int, help="how often each is measured (default 5; with --quick once)"
    )
    parser.add_argument("--quick", action="store_true", help="for development")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write what is printed to this file too"
    )
    given = parser.parse_args()
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return given


def main(parts: Sequence[str], times: int, quick: bool, write: Path | None) -> None:
    """Measure, print, and write."""
    peers.install()
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        print(f"{text}\n", flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = embedded.start(Path(folder, "pg"), 18)
        command = " ".join(
            ["python benchmarks", *parts, f"--times {times}", *(["--quick"] if quick else [])]
        )
        show("# Benchmarks")
        show(machine(server, command, times))
        for part in parts:
            show(PARTS[part](server, times, quick))
        server.stop()
    if write:
        write.write_text("\n\n".join(shown) + "\n")


if __name__ == "__main__":
    given = options()
    chosen = given.parts or (QUICK if given.quick else tuple(PARTS))
    main(chosen, given.times or (1 if given.quick else 5), given.quick, given.write)
