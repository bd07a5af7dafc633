"""A runbook of any number of blocks, all applied by one cell: wherever its kernel dies, some of
them are done.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from faults.runbooks import Runbook
from nbformat.v4 import new_code_cell, new_notebook

NAME = "901_many"

_TABLE = """\
-- title: Create t{n}
-- why: One of many.

CREATE TABLE t{n} (id BIGINT PRIMARY KEY, before BIGINT REFERENCES {before} (id));

COMMENT ON TABLE t{n} IS 'One of many';
"""
_INDEX = """\
-- title: Index {before}
-- why: One of many, outside a transaction.
-- transaction: no

CREATE INDEX CONCURRENTLY t{n} ON {before} (before);
"""
_PARAMETERS = (
    'target = "embedded"\nmode = "apply"\nlock_timeout = "150ms"\nlock_budget = '
    '"5min"\nstatement_timeout = "30s"'
)


def make(folder: Path, count: int) -> Runbook:
    """Write the project: tables, each with a key to the one before it, and every fifth block an
    index.
    """
    for kind in ("deploy", "verify", "revert"):
        (folder / "sql" / NAME / kind).mkdir(parents=True)
    (folder / "sql" / "before.sql").write_text(
        "CREATE TABLE t0 (id BIGINT PRIMARY KEY, before BIGINT);\n"
    )
    before = "t0"
    for n in range(1, count + 1):
        index = n % 5 == 0
        script = (_INDEX if index else _TABLE).format(n=n, before=before)
        (folder / "sql" / NAME / "deploy" / f"{n:03}_t{n}.sql").write_text(script)
        before = before if index else f"t{n}"
    (folder / "runbooks").mkdir()
    nbformat.write(_notebook(count), folder / "runbooks" / f"{NAME}.ipynb")
    return Runbook(NAME, folder, folder / "sql" / "before.sql")


def _notebook(count: int) -> nbformat.NotebookNode:
    cells = (
        f'import pgrunbook\n\nrun = pgrunbook.begin("{NAME}", globals())\nrun.target',
        "run.preconditions()",
        f'for n in range(1, {count} + 1):\n    run.apply(f"{{n:03}}_t{{n}}")',
        "run.verify()",
        "run.verdict()",
    )
    made: nbformat.NotebookNode = new_notebook(
        cells=[new_code_cell(_PARAMETERS, metadata={"tags": ["parameters"]})]
    )
    made.cells += [new_code_cell(cell) for cell in cells]
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    return made
