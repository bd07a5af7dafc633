"""What the whole matrix has shown, as a page."""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest
from faults.actions import FAULTS
from faults.cases import BLOCKS, Stop
from faults.trial import When

# Under this name a test records what it has seen: a mapping of texts and numbers.
PROPERTY = "fault"

_PACKAGES = ("papermill", "nbclient", "ipykernel", "psycopg")

Row = Mapping[str, str]


class Report:
    """Collects what the tests recorded, of all workers, and writes the page at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = datetime.now(UTC)
        self._seen: list[Row] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test has recorded, and whether it passed."""
        if report.when == "call":
            for name, row in report.user_properties:
                if name == PROPERTY and isinstance(row, dict):
                    self._seen.append(row | {"outcome": report.outcome})

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        lines = [
            *self._head(),
            *_summary(self._seen),
            *_matrix([row for row in self._seen if row["part"] == "matrix"]),
        ]
        self._path.write_text("\n".join(lines) + "\n")

    def _head(self) -> Iterator[str]:
        minutes = (datetime.now(UTC) - self._begun).total_seconds() / 60
        packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        servers = ", ".join(sorted({row["server"] for row in self._seen}))
        yield from (_HEAD, "")
        yield (
            f"Written by `make test-faults` on {self._begun:%Y-%m-%d}, in {minutes:.0f} "
            f"minutes: {platform.system()},"
        )
        yield (
            f"Python {'.'.join(map(str, sys.version_info[:3]))}, {packages}; PostgreSQL {servers}."
        )
        yield ""


_HEAD = """\
# Fault matrix

A runbook of three blocks is interrupted by every fault, at every command that matters, on each side of it; then it is
run once more. Processes, kernels and servers are real. A proxy between the run and its server knows which command comes
and stops the world there: **before**, the server never sees the command; **during**, the server is in the middle of it
(DDL waits for a lock, COMMIT has written its record and waits for a standby); **after**, it is done, and the run does
not learn of it.

Each time these were checked: the notebook and the exit code say what is true; what the record says was committed is
what the ledger has; no cell that never ran is marked as completed; the target equals what psql makes of exactly the
blocks that the ledger has (I1); the next run ends `passed`; each block is then in the ledger once, each dead run has
its verdict; and the target equals that of an undisturbed run."""

_LEGEND = """\
What the record said, with the exit code, and whether the run had committed the block. There is no verdict where nobody
could write one: the notebook is then as it was last saved."""


def _summary(seen: Sequence[Row]) -> Iterator[str]:
    yield (
        "| part | runs that were hit | with a false record, a lost block or a state that nobody "
        "explains |"
    )
    yield "|---|---|---|"
    parts = {row["part"]: row["title"] for row in seen}
    for part, title in parts.items():
        outcomes = [row["outcome"] for row in seen if row["part"] == part]
        yield f"| {title} | {len(outcomes)} | {len(outcomes) - outcomes.count('passed')} |"
    yield ""


def _matrix(seen: Sequence[Row]) -> Iterator[str]:
    yield _LEGEND
    for name, fault in FAULTS.items():
        rows = [row for row in seen if row["fault"] == name]
        if not rows:
            continue
        yield from ("", f"## {fault.what[0].upper()}{fault.what[1:]}", "")
        yield f"| when | {' | '.join(f'`{block}`' for block in BLOCKS)} |"
        yield "|---|" + "---|" * len(BLOCKS)
        for stop in Stop:
            for when in When:
                cells = [
                    _cell(row for row in rows if _place(row) == (block, stop, when))
                    for block in BLOCKS
                ]
                if any(cells):
                    yield f"| {when} {stop.value} | {' | '.join(cells)} |"


def _place(row: Row) -> tuple[str, str, str]:
    return row["block"], row["stop"], row["when"]


def _cell(rows: Iterable[Row]) -> str:
    """What the rows of all versions say; where they differ, which says what."""
    said: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        wrong = "" if row["outcome"] == "passed" else "**WRONG**: "
        said[wrong + row["told"]].append(row["server"].split(".")[0])
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(sorted(versions))}: {told}" for told, versions in said.items())
