"""A constraint added NOT VALID and validated in a block of its own: how a table with rows gets
one.
"""

from __future__ import annotations

import json

import pytest
from support.databases import Database
from support.projects import RUNBOOK, Project

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

NAME = "named"
SCRIPTS = {
    "deploy/090_named.sql": f"ALTER TABLE contacts ADD CONSTRAINT {NAME} CHECK (source_data IS "
    "NULL OR id IS NOT NULL)"
    " NOT VALID;",
    "deploy/091_named_valid.sql": f"ALTER TABLE contacts VALIDATE CONSTRAINT {NAME};",
    "revert/090_named.sql": f"ALTER TABLE contacts DROP CONSTRAINT {NAME};",
    "revert/091_named_valid.sql": f"ALTER TABLE contacts DROP CONSTRAINT {NAME}, ADD CONSTRAINT "
    f"{NAME}"
    " CHECK (source_data IS NULL OR id IS NOT NULL) NOT VALID;",
}
VALID = f"SELECT convalidated FROM pg_constraint WHERE conname = '{NAME}'"


def add(project: Project, *blocks: str) -> None:
    """Add these blocks to runbook 001, each with a cell that applies it."""
    runbook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    loaded = json.loads(runbook.read_text())
    at = next(n for n, cell in enumerate(loaded["cells"]) if cell["id"] == "validate") + 1
    for number, block in enumerate(blocks):
        cell = loaded["cells"][at - 1] | {
            "id": f"more-{block[:3]}",
            "source": [f'run.apply("{block}")'],
        }
        loaded["cells"].insert(at + number, cell)
        for kind in ("deploy", "revert"):
            file = f"{kind}/{block}.sql"
            (project.root / "sql" / RUNBOOK / file).write_text(
                f"-- title: Named\n-- why: x\n{SCRIPTS[file]}\n"
            )
    runbook.write_text(json.dumps(loaded))


def test_added_and_validated_in_two_blocks_and_reverted(crm: Database, project: Project) -> None:
    before = crm.dump()
    add(project, "090_named", "091_named_valid")
    done = project.run(crm)
    assert done.code == 0, done.text
    assert crm.execute(VALID) == [(True,)]
    assert crm.execute(
        "SELECT DISTINCT mode FROM pgrunbook.locks WHERE block = '091_named_valid' ORDER BY 1"
    ) == [("SHARE UPDATE EXCLUSIVE",)]
    for mode in ("apply", "verify"):
        again = project.step(crm, "--mode", mode)
        assert again.code == 0, again.text
    reverted = project.run(crm, "--mode", "revert")
    assert reverted.code == 0, reverted.text
    crm.execute("DROP SCHEMA pgrunbook CASCADE")
    assert crm.dump() == before


def test_validated_by_hand_it_is_what_was_recorded_and_more(
    applied: Database, project: Project
) -> None:
    add(project, "090_named")
    assert project.step(applied).code == 0
    assert applied.execute(VALID) == [(False,)]
    applied.execute(f"ALTER TABLE contacts VALIDATE CONSTRAINT {NAME}")
    again = project.run(applied)
    assert again.code == 0, again.text
    assert "nothing was left to do" in again.text

    applied.execute(
        f"ALTER TABLE contacts DROP CONSTRAINT {NAME}, ADD CONSTRAINT {NAME} CHECK (id IS NOT NULL)"
    )
    other = project.step(applied)
    assert other.code == 2
    assert f"table constraint {NAME} on public.contacts was altered by hand" in other.text
