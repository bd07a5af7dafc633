"""docs/runbooks.md lists what a cell may call, what a header holds, and what a variant is given: all, and no more."""

from __future__ import annotations

import re
from pathlib import Path

from pgrunbook.run import Run
from pgrunbook.scripts import HEADER_KEYS, Script

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runbooks.md").read_text()
SQL = ROOT / "sql" / "001_import_connector"


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the page's table whose heading begins so: what its first cell has in backticks, and the last's."""
    (found,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    rows = [line.strip("| ").split(" | ") for line in found.splitlines()]
    return {name: re.findall(r"`([^`]+)`", row[-1]) for row in rows for name in re.findall(r"`([^`]+)`", row[0])}


def test_every_cell() -> None:
    methods = {name for name in vars(Run) if not name.startswith("_")}
    told = {call for cell in table("cell") for call in re.findall(r"^run\.(\w+)", cell)}
    assert told | {"close"} == methods
    assert "run.close()" in PAGE


def test_every_header() -> None:
    assert set(table("header")) == set(HEADER_KEYS)


def test_every_variant_and_its_placeholders() -> None:
    told = table("`deploy/<by>/`")
    told["domain.sql"] += [name for name in told["check.sql"] if name != "table"]
    told["check_no_inherit.sql"] = told["check.sql"]
    used = {
        path.name: set().union(
            *(Script.read(SQL / kind / path.parent.name / path.name, SQL).variables for kind in ("deploy", "revert"))
        )
        for path in (SQL / "deploy" / "070_admit_csv_import").iterdir()
    }
    assert told.keys() == used.keys()
    assert [f"{file}: {name}" for file in used for name in used[file] - set(told[file])] == []
