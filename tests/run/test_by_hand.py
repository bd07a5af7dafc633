"""Cells as a DBA runs them in JupyterLab: twice, out of order, again after a mistake. Through
papermill here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from support.databases import Database
from support.projects import RUNBOOK, Project

import pgrunbook

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)
Cell = dict[str, Any]


def edit(project: Project, change: Callable[[list[Cell]], list[Cell]]) -> None:
    """Change the cells of the project's runbook."""
    path = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"] = change(notebook["cells"])
    path.write_text(json.dumps(notebook))


def again(cell: Cell, suffix: str = "-again") -> Cell:
    return copy.deepcopy(cell) | {"id": cell["id"] + suffix}


def test_every_cell_run_twice_does_no_harm(crm: Database, project: Project) -> None:
    def twice(cells: list[Cell]) -> list[Cell]:
        return [
            c
            for cell in cells
            for c in ([cell] if cell["id"] in ("parameters", "verdict") else [cell, again(cell)])
        ]

    edit(project, twice)
    done = project.run(crm)
    assert done.code == 0, done.text
    assert "**applied**" in done.cells["stage-mappings"]
    assert "skip, applied" in done.cells["stage-mappings-again"]
    assert crm.execute("SELECT count(*), count(DISTINCT block) FROM pgrunbook.blocks") == [(16, 16)]


def test_the_whole_notebook_run_again_in_the_same_kernel(crm: Database, project: Project) -> None:
    edit(project, lambda cells: cells + [again(c) for c in cells if c["id"] != "parameters"])
    done = project.run(crm, kernel=True)
    assert done.code == 0, done.text
    assert "skip" in done.cells["import-batches-again"]


def test_parameters_that_are_changed_in_the_middle_stop_it_and_set_back_it_goes_on(
    crm: Database, project: Project
) -> None:
    """As somebody does who decides halfway that a plan would have been enough, or who mistakes the
    target.
    """

    def changed(cells: list[Cell]) -> list[Cell]:
        index = next(n for n, cell in enumerate(cells) if cell["id"] == "deals-source-data")
        source = (
            "mode = 'plan'; target = 'production'\ntry:\n    run.apply('030_deals_source_data')\n"
        )
        source += "except Exception as exc:\n    print(exc)\nmode, target = 'apply', 'env:CRM_URL'"
        return [*cells[:index], cells[index] | {"id": "changed", "source": source}, *cells[index:]]

    edit(project, changed)
    done = project.run(crm)
    assert done.code == 0, done.text
    for line in (
        "mode: was changed after the run began",
        "      expected: 'apply'",
        "target: was changed after the",
    ):
        assert line in done.cells["changed"]
    assert "**applied**" not in done.cells["changed"]
    assert "**applied**" in done.cells["deals-source-data"]


def test_begun_again_in_the_middle_the_first_run_is_interrupted(
    crm: Database, project: Project
) -> None:
    def begun_again(cells: list[Cell]) -> list[Cell]:
        index = next(n for n, cell in enumerate(cells) if cell["id"] == "deals-source-data")
        restart = next(n for n, cell in enumerate(cells) if cell["id"] == "target")
        return cells[:index] + [again(cell) for cell in cells[restart:]]

    edit(project, begun_again)
    done = project.run(crm)
    assert done.code == 0, done.text
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts ORDER BY id") == [
        ("interrupted",),
        ("passed",),
    ]


def test_a_cell_whose_output_is_an_earlier_run_s_is_to_be_run_again_before_it_is_sealed(
    crm: Database, project: Project
) -> None:
    """The kernel was restarted, and all cells run again but that of a block which was done."""
    path = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    whole = path.read_text()

    def stopped(cells: list[Cell]) -> list[Cell]:
        index = next(n for n, cell in enumerate(cells) if cell["id"] == "import-batches") + 1
        stop = again(cells[index - 1], "-stop") | {"source": "raise SystemExit"}
        return [*cells[:index], stop, *cells[index:]]

    edit(project, stopped)
    first = project.run(crm)
    path.write_text(whole)
    done = project.papermill(crm)  # which seals nothing
    assert done.code == 0, done.text
    assert first.notebook
    assert done.notebook
    earlier = json.loads(first.notebook.read_text())["cells"]
    notebook = json.loads(done.notebook.read_text())
    for number, cell in enumerate(notebook["cells"]):
        if cell["id"] == "import-batches":
            (notebook["cells"][number],) = [one for one in earlier if one["id"] == cell["id"]]
    done.notebook.write_text(json.dumps(notebook))
    refused = project.command("archive", "seal", done.notebook)
    assert refused.code == 2, refused.text
    assert "the ledger does not know of it" in refused.text
    assert 'run the cell of run.apply("010_import_batches") once more' in refused.text


# The session that applies blocks is lost, and somebody else holds what the next one would need.
LOST = """
import os
from pgrunbook.postgres import run_locks, run_sessions
from pgrunbook.postgres.session import Session
run_sessions.SETTLING_S = 0.5
other = Session.connect(os.environ["CRM_URL"], autocommit=True, application_name="another run")
key = run_locks.of_work("public")
(working,) = run_locks.holders(other, key)
other.execute("SELECT pg_terminate_backend(%s), pg_advisory_lock(%s)", [working["pid"], key])
try:
    run.verify("010_import_batches")
except pgrunbook.Failed:
    pass
"""


def test_a_session_lost_for_good_after_a_block_fails_the_run(
    crm: Database, project: Project
) -> None:
    """It is another run that is in the way; but this one cannot say that nothing was changed."""

    def lost(cells: list[Cell]) -> list[Cell]:
        index = next(n for n, cell in enumerate(cells) if cell["id"] == "import-batches") + 1
        again_to_be_verified = again(cells[index - 1]) | {
            "source": 'run.verify("010_import_batches")'
        }
        lost = again(cells[index - 1], "-lost") | {"source": LOST}
        return [*cells[:index], lost, again_to_be_verified, *cells[index:]]

    edit(project, lost)
    done = project.run(crm)
    assert done.code == 1, done.text
    said = "FAILED: The run cannot go on. What it committed before is in the ledger.\n"
    assert said in done.text
    assert "a session of an earlier run is still executing a statement" in done.text
    assert "'another run'" in done.text


# What the interrupt button of JupyterLab sends, while a cell waits for what the catalog says.
STOPPED = """
import os, psycopg, signal
signal.signal(signal.SIGALRM, signal.default_int_handler)
with psycopg.connect(os.environ["CRM_URL"]) as other:
    other.execute("LOCK pg_description")
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        run.columns("deals")
    except pgrunbook.Interrupted:
        print("stopped")
"""


def test_a_cell_that_was_interrupted_can_be_run_again(crm: Database, project: Project) -> None:
    def stopped(cells: list[Cell]) -> list[Cell]:
        index = next(n for n, cell in enumerate(cells) if cell["id"] == "deals-source-data")
        return [
            *cells[:index],
            again(cells[index], "-stopped") | {"source": STOPPED},
            *cells[index:],
        ]

    edit(project, stopped)
    done = project.run(crm, kernel=True)
    assert done.code == 0, done.text
    assert "stopped" in done.cells["deals-source-data-stopped"]
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts ORDER BY id") == [
        ("interrupted",),
        ("passed",),
    ]


def test_a_block_before_its_turn_is_refused(crm: Database, project: Project) -> None:
    def swapped(cells: list[Cell]) -> list[Cell]:
        first, second = (
            next(c for c in cells if c["id"] == name)
            for name in ("import-batches", "stage-mappings")
        )
        return [{first["id"]: second, second["id"]: first}.get(cell["id"], cell) for cell in cells]

    edit(project, swapped)
    before = crm.dump()
    done = project.run(crm)
    assert done.code == 2
    assert "020_stage_mappings: comes before its turn" in done.text
    assert "expected: 010_import_batches first" in done.text
    assert crm.dump() == before


def test_cells_that_do_not_match_the_blocks_refuse_the_run_before_it_writes(
    crm: Database, project: Project
) -> None:
    def changed(cells: list[Cell]) -> list[Cell]:
        for cell in cells:
            cell["source"] = "".join(cell["source"]).replace(
                "040_contacts_source_data", "040_contact_source_data"
            )
        return [c for c in cells if c["id"] not in ("import-batches", "admits")]

    edit(project, changed)
    # which needs what `admits` gives
    (project.root / "sql" / RUNBOOK / "verify" / "connection_record.sql").unlink()
    before = crm.dump()
    done = project.run(crm, "--mode", "plan")
    assert done.code == 2
    assert "nothing is decided about '070_admit_csv_import'" in done.text
    assert (
        "remedy:   run the cell of run.allow that names 070_admit_csv_import above the "
        "preconditions" in done.text
    )
    assert "cell contacts-source-data: no block is called '040_contact_source_data'" in done.text
    assert "010_import_batches: no cell applies it" in done.text
    assert "040_contacts_source_data: no cell applies it" in done.text
    assert "050_accounts_source_data: no cell applies it" not in done.text
    assert crm.dump() == before
    found = project.command("lint").text
    assert (
        "runbooks/001_import_connector.ipynb:1: 010_import_batches: no cell applies it [cells]"
        in found
    )


def test_a_cell_that_is_no_python_is_named(crm: Database, project: Project) -> None:
    def changed(cells: list[Cell]) -> list[Cell]:
        return [
            cell | ({"source": "run.verify(\n"} if cell["id"] == "verify" else {}) for cell in cells
        ]

    edit(project, changed)
    done = project.run(crm, "--mode", "plan")
    assert done.code == 2
    assert "001_import_connector.ipynb, cell verify, line 1: '(' was never closed" in done.text


def test_a_block_before_the_preconditions_is_refused(crm: Database, project: Project) -> None:
    edit(project, lambda cells: [c for c in cells if c["id"] != "preconditions"])
    done = project.run(crm)
    assert done.code == 2
    assert "run the cell of the preconditions first" in done.text


def test_a_cell_after_the_end_is_refused(crm: Database, project: Project) -> None:
    edit(project, lambda cells: cells + [again(c) for c in cells if c["id"] == "import-batches"])
    done = project.papermill(crm)
    assert "The run has ended" in done.text


def test_cells_by_their_former_names_warn(
    crm: Database, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(project.root))
    monkeypatch.setenv("CRM_URL", crm.url)
    namespace = {"target": "env:CRM_URL", "mode": "plan"}
    run = pgrunbook.begin("001_import_connector", namespace)
    try:
        with pytest.warns(DeprecationWarning, match=r"run\.circumstances is now run\.activity"):
            assert list(run.circumstances().columns) == ["found", "remark"]
        with pytest.raises(AttributeError, match="no cell 'nonsense'"):
            _ = run.nonsense
    finally:
        run.close()


def below_the_first_block(source: str) -> Callable[[list[Cell]], list[Cell]]:
    """Put a cell there."""

    def change(cells: list[Cell]) -> list[Cell]:
        (place,) = [n for n, cell in enumerate(cells) if cell["id"] == "import-batches"]
        added = again(cells[place], "-below") | {"source": source}
        return [*cells[: place + 1], added, *cells[place + 1 :]]

    return change


def test_a_run_that_is_closed_in_the_middle_is_interrupted(crm: Database, project: Project) -> None:
    """What comes after it does not say that nothing was changed."""

    edit(project, below_the_first_block("run.close()"))
    done = project.run(crm)
    assert done.code == 3, done.text
    assert "The run has ended" in done.text
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts") == [("interrupted",)]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("%sql COMMIT", "%sql only looks"),
        ("pgrunbook.begin('003_nothing', globals())", "Nothing was changed"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_run_that_another_cell_ends_after_a_block_has_failed(
    crm: Database, project: Project, source: str, said: str
) -> None:
    """Whatever that cell says: it is the block that was changed, and the ledger is told."""
    edit(project, below_the_first_block(source))
    done = project.run(crm)
    assert done.code == 1, done.text
    after = "" if "ZeroDivision" in said else "after 010_import_batches was applied: "
    assert f"FAILED: {after}{said}" in done.text
    ((verdict, reason),) = crm.execute("SELECT verdict, reason FROM pgrunbook.verdicts")
    assert verdict == "failed"
    assert reason.startswith(f"{after}{said}")
    assert "failed: " in project.command("status", "--target", "env:CRM_URL").text
