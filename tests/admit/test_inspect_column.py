"""What an Admission tells, and that the SQL it leads to is all there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgrunbook.admit.admission import Admission, Constraint, Obstacle
from pgrunbook.errors import Problem
from pgrunbook.runbooks.scripts import Script

RUNBOOK = Path(__file__).parents[2] / "sql" / "001_import_connector"


CHECK = Constraint("check", "c_check", "CHECK (c = 'a')", accepts=False, validated=True, owner="t")
FOUND = Admission(
    "s",
    "t",
    "c",
    "new",
    "text",
    (CHECK,),
    (Obstacle("check", {"table": "t"}, "CHECK c_check rejects 'new'", True),),
)


@pytest.mark.parametrize(
    ("found", "summary"),
    [
        (Admission("s", "t", "c", "new", "text"), "free text: any value is accepted"),
        (FOUND, "CHECK c_check rejects 'new'"),
        (Admission("s", "t", "c", "new", "text", (CHECK,)), "CHECK c_check accepts it already"),
        (Admission("s", "t", "c", "new", problems=(Problem("no such column"),)), "no such column"),
    ],
)
def test_summary(found: Admission, summary: str) -> None:
    assert found.summary == summary


FILES = sorted(RUNBOOK.glob("*/0[78]0_*/*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RUNBOOK)))
def test_usage_gives_every_variable(path: Path) -> None:
    script = Script.read(path, RUNBOOK)
    usage = script.header.get("usage", "")
    assert [name for name in script.variables if f"-v {name}=" not in usage] == []
    assert not script.variables or usage.endswith(f"-f {path.name}")


def test_what_is_deployed_can_be_reverted() -> None:
    deployed, reverted = (
        {
            path.relative_to(RUNBOOK / folder)
            for path in FILES
            if path.is_relative_to(RUNBOOK / folder)
        }
        for folder in ("deploy", "revert")
    )
    assert deployed == reverted
