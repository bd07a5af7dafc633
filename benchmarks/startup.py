"""A whole run of 001, from start to exit, beside papermill doing nothing; and one migration beside
the peers.

papermill is as pip gives it today, beside JupyterLab, in an environment of its own; its notebooks
have no cell, and one cell that imports pandas, SQLAlchemy and psycopg. 001 runs against a running
server, on a fresh copy of the sample.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import peers
import projects
from measuring import Prepare, cpu, in_turns, peak, table, timed, wall

from pgrunbook.postgres import embedded

NOTHING, IMPORTS, OURS = "papermill, empty notebook", "papermill, with imports", "pgrunbook run 001"
_IMPORTS = "import pandas\nimport psycopg\nimport sqlalchemy"
_MB = 1024 * 1024


def section(server: embedded.Server, times: int) -> str:
    """Measure, in Markdown."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        whole = _whole(Path(name), server)
        found = in_turns({label: timed(prepare) for label, prepare in whole.items()}, times)
        peaks = {label: peak(prepare) for label, prepare in whole.items()}
        sizes = projects.record_bytes(Path(name, "001"))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        one = {
            label: timed(prepare)
            for label, prepare in projects.contestants(Path(name), server, 1).items()
        }
        single = in_turns(one, times)
    runs = [
        (
            n,
            f"{wall(u):.2f}",
            f"{wall(u) / wall(found[NOTHING]):.2f}",
            f"{cpu(u):.2f}",
            f"{peaks[n] / _MB:,.0f}",
        )
        for n, u in found.items()
    ]
    singles = [(n, f"{wall(u):.3f}", f"{cpu(u):.3f}") for n, u in single.items()]
    heading = (
        "",
        "from start to exit, s",
        f"times {NOTHING}",
        "processor time, s",
        "peak memory, MB",
    )
    return "\n\n".join(
        [
            "## A whole run",
            table(heading, runs),
            f"The record of 001: {sizes['record'] / 1000:,.0f} kB, its notebook "
            f"{sizes['notebook'] / 1000:,.0f} kB.",
            "## One migration, of one table and one index",
            table(("", "from start to exit, s", "processor time, s"), singles),
        ]
    )


def _whole(folder: Path, server: embedded.Server) -> dict[str, Prepare]:
    (folder / "001").mkdir()
    projects.of_001(folder / "001")
    projects.notebook(folder / "empty.ipynb", [])
    projects.notebook(folder / "imports.ipynb", [_IMPORTS])

    def papermill(name: str) -> list[peers.Command]:
        # its kernel is `python`
        path = os.pathsep.join([str(peers.PAPERMILL / "bin"), os.environ["PATH"]])
        arguments = [folder / f"{name}.ipynb", folder / "out.ipynb", "--no-progress-bar"]
        return [peers.Command([peers.PAPERMILL / "bin" / "papermill", *arguments], {"PATH": path})]

    def ours() -> list[peers.Command]:
        return projects.run(folder / "001", "001", projects.fresh(server, "bench", projects.SAMPLE))

    return {NOTHING: lambda: papermill("empty"), IMPORTS: lambda: papermill("imports"), OURS: ours}
