"""300 and 3,000 blocks of one table and one index each, beside the peers, each block in a
transaction of its own.

The time per additional block is what more blocks cost, without what it costs to start.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import projects
from measuring import cpu, in_turns, table, timed, wall
from projects import DBMATE, OURS, PSQL

from pgrunbook.postgres import embedded

SOME, MANY = 300, 3_000
LARGE = (OURS, PSQL, DBMATE)  # the others take minutes for the larger number


def section(server: embedded.Server, times: int, some: int = SOME, many: int = MANY) -> str:
    """Measure, in Markdown."""
    rows: list[tuple[object, ...]] = []
    sizes, before, seconds = [], 1, {}
    for count in (1, some, many):
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            taking_part = projects.contestants(Path(name), server, count)
            runs = {n: timed(p) for n, p in taking_part.items() if count < many or n in LARGE}
            found = in_turns(runs, times)
            kilobytes = {
                what: f"{size / 1000:,.0f}"
                for what, size in projects.record_bytes(Path(name)).items()
            }
            sizes.append(
                f"{count:,}: {kilobytes['notebook']} kB, with its files {kilobytes['record']} kB"
            )
        more = {
            n: (wall(u) - seconds[n]) * 1000 / (count - before)
            for n, u in found.items()
            if n in seconds
        }
        rows += [
            (
                n,
                f"{count:,}",
                f"{wall(u):.2f}",
                f"{cpu(u):.2f}",
                f"{more[n]:.2f}",
                f"{more[n] / more[PSQL]:.2f}",
            )
            for n, u in found.items()
            if more
        ]
        before, seconds = count, {n: wall(u) for n, u in found.items()}
    heading = (
        "",
        "blocks",
        "from start to exit, s",
        "processor time, s",
        "ms per additional block",
        f"times {PSQL}",
    )
    return "\n\n".join(
        [
            "## Many blocks",
            table(heading, rows),
            f"Our record, the executed notebook, by blocks: {'; '.join(sizes)}.",
        ]
    )
