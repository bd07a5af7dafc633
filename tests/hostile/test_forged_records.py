"""Records of runs that never were: what the target's ledger does not know, or tells otherwise, is
not sealed.
"""

from __future__ import annotations

import copy
import html
import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from support import databases
from support.databases import Database
from support.projects import ROOT, RUNBOOK, Project

from pgrunbook.cli import main
from pgrunbook.errors import Refused
from pgrunbook.postgres.embedded import Server
from pgrunbook.records import sealing
from pgrunbook.records.archive import Archive
from pgrunbook.records.format.mime_types import (
    BLOCK_MIME,
    DECISION_MIME,
    FRAME_MIME,
    PLAN_MIME,
    VERDICT_MIME,
)
from pgrunbook.records.sealing import Sealed
from pgrunbook.records.site import Site
from pgrunbook.runbooks.project import Project as Settings

pytestmark = pytest.mark.long  # a part of it is in tests/records/test_sealing.py

Notebook = dict[str, Any]
KINDS = ("plan", "apply", "again", "verify", "failed", "refused")


class Runs:
    """Runs of 001 on one database that papermill's own engine has recorded: their notebooks, and
    how to seal one.
    """

    def __init__(self, root: Path, crm: Database) -> None:
        self.project, self.crm = Project(root), crm
        self.notebooks: dict[str, Notebook] = {}

    def run(self, kind: str, code: int, *arguments: str) -> None:
        done = self.project.papermill(
            self.crm, "-p", "ticket", "CRM-1", *arguments, name=f"{kind}.ipynb"
        )
        assert (done.code == 0) is (code == 0), done.text
        assert done.notebook
        self.notebooks[kind] = json.loads(done.notebook.read_text())
        done.notebook.unlink()

    @property
    def outputs(self) -> Path:
        return self.project.root / "outputs"

    def seal(self, notebook: Notebook, name: str = "x.ipynb", **env: str) -> Sealed:
        """By hand; what is not sealed is left nothing of."""
        path = self.outputs / name
        path.write_text(json.dumps(notebook))
        environment = {**self.project.env, "PGRUNBOOK_ROOT": str(self.project.root), **env}
        with patch.dict(os.environ, environment):
            try:
                return sealing.seal(Settings.find(), path, by_hand=True)
            except Refused:
                assert not Archive(self.outputs).is_sealed(path)
                path.unlink()
                raise

    def refused(self, notebook: Notebook) -> dict[str, tuple[str, str]]:
        """What is expected and found, by where and what, when it is not sealed."""
        with pytest.raises(Refused) as refused:
            self.seal(notebook)
        return {f"{p.where}: {p.what}": (p.expected, p.found) for p in refused.value.problems}


@pytest.fixture(scope="module")
def runs(servers: Callable[[int], Server], place: Path) -> Iterator[Runs]:
    """A plan, the run itself, one more with nothing left to do, and a look; then one that failed,
    and one that was refused. None is sealed.
    """
    root = Path(tempfile.mkdtemp(dir=place, prefix="forged-"))
    for name in ("runbooks", "sql"):
        (root / name).symlink_to(ROOT / name)
    (root / "pgrunbook.toml").write_text("")
    with databases.sampled(servers(18)) as crm:
        runs = Runs(root, crm)
        runs.run("plan", 0, "-p", "mode", "plan")
        with crm.connect() as writer, writer.transaction():
            writer.execute("LOCK TABLE workspaces IN ROW EXCLUSIVE MODE")
            runs.run("failed", 1, "-p", "lock_budget", "1ms")
        runs.run("apply", 0)
        runs.run("again", 0)
        runs.run("verify", 0, "-p", "mode", "verify")
        runs.run("refused", 2, "-p", "schema", "nowhere")
        yield runs


@pytest.fixture
def record(runs: Runs, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """The notebook of the run itself, or of another kind, to be changed."""
    yield copy.deepcopy(runs.notebooks[getattr(request, "param", "apply")])
    begun_anew(runs)


def outputs(notebook: Notebook, mime: str) -> Iterator[Any]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if mime in output.get("data", {}):
                yield output["data"][mime]


def said(notebook: Notebook, **changed: str) -> None:
    """Change what the identity card says of these, and the verdict's."""
    for frame in outputs(notebook, FRAME_MIME):
        if frame["kind"] == "identity":
            said = frame["target"]
            said.update({name: value for name, value in changed.items() if name in said})
    for card in outputs(notebook, VERDICT_MIME):
        card.update({name: value for name, value in changed.items() if name in card})


def given(notebook: Notebook, **changed: str) -> None:
    """Change what papermill was given, wherever it says so."""
    notebook["metadata"]["papermill"]["parameters"] |= changed
    for cell in notebook["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", ()):
            values = notebook["metadata"]["papermill"]["parameters"]
            cell["source"] = "# Parameters\n" + "\n".join(
                f"{name} = {value!r}" for name, value in values.items()
            )


def run_of(notebook: Notebook) -> str:
    return next(card["run"] for card in outputs(notebook, VERDICT_MIME))


def without(notebook: Notebook, *calls: str) -> None:
    notebook["cells"] = [
        cell for cell in notebook["cells"] if not "".join(cell["source"]).startswith(calls)
    ]


OTHERWISE = "the ledger tells otherwise"


def test_a_run_that_never_was_is_not_sealed(runs: Runs, record: Notebook) -> None:
    """Another id, another operator, and nothing that would have to be in the ledger."""
    said(record, run=str(uuid.uuid4()), operator="mallory")
    without(record, "run.apply(", "run.verify(")
    assert any("it cannot have passed without a row" in what for what in runs.refused(record))


def test_nor_with_all_that_it_would_have_done(runs: Runs, record: Notebook) -> None:
    said(record, run=str(uuid.uuid4()))
    found = runs.refused(record)
    assert found["010_import_batches: the ledger does not know of it"] == (
        "no run of that id",
        "applied",
    )


@pytest.mark.parametrize("run", ["", "x", "' OR true --", "0" * 8])
def test_nor_with_an_id_that_is_none(runs: Runs, record: Notebook, run: str) -> None:
    said(record, run=run)
    assert "010_import_batches: the ledger does not know of it" in runs.refused(record)


@pytest.mark.parametrize("record", ["plan"], indirect=True)
def test_a_plan_is_not_passed_off_as_a_run(runs: Runs, record: Notebook) -> None:
    given(record, mode="apply")
    said(record, mode="apply")
    assert any("it cannot have passed without a row" in what for what in runs.refused(record))


@pytest.mark.parametrize("mode", ["plan", "verify", "rehearse"])
def test_a_run_is_not_passed_off_as_one_that_wrote_nothing(
    runs: Runs, record: Notebook, mode: str
) -> None:
    given(record, mode=mode)
    said(record, mode=mode)
    assert runs.refused(record)[f"mode: {OTHERWISE}"] == ("apply", mode)


@pytest.mark.parametrize("record", ["again", "verify"], indirect=True)
def test_what_was_done_before_is_what_the_ledger_has(runs: Runs, record: Notebook) -> None:
    """A run that found nothing to do leaves no row: what it found is in the ledger all the same."""
    for decided in outputs(record, DECISION_MIME):
        decided["reason"] = decided["reason"].replace("run ", "run 0")[:-1]
    assert len(runs.refused(record)) == 16


@pytest.mark.parametrize("record", ["again", "verify"], indirect=True)
def test_a_run_that_says_nothing_has_not_passed(runs: Runs, record: Notebook) -> None:
    without(record, "run.apply(")
    assert any("it cannot have passed without a row" in what for what in runs.refused(record))


@pytest.mark.parametrize("record", ["failed"], indirect=True)
def test_a_run_that_failed_has_not_passed(runs: Runs, record: Notebook) -> None:
    passed = next(outputs(runs.notebooks["apply"], VERDICT_MIME))
    run = next(f["target"]["run"] for f in outputs(record, FRAME_MIME) if f["kind"] == "identity")
    for cell in record["cells"]:
        cell["metadata"].setdefault("papermill", {})["status"] = "completed"
        cell["outputs"] = [
            each for each in cell.get("outputs", ()) if each["output_type"] != "error"
        ]
    card = {
        "output_type": "display_data",
        "metadata": {},
        "data": {VERDICT_MIME: passed | {"run": run}},
    }
    record["cells"][-1] |= {"cell_type": "code", "outputs": [card], "execution_count": 1}
    assert f"verdict: {OTHERWISE}" in runs.refused(record)


def test_a_run_that_passed_has_not_failed(runs: Runs, record: Notebook) -> None:
    for card in outputs(record, VERDICT_MIME):
        card["verdict"] = "failed"
    assert f"verdict: {OTHERWISE}" in runs.refused(record)


def test_a_verdict_that_was_noted_on_top_is_the_one_of_the_cells(
    runs: Runs, record: Notebook
) -> None:
    started = record["metadata"]["papermill"]["start_time"]
    record["metadata"]["pgrunbook"] = {"verdict": "passed", "reason": "", "start_time": started}
    for card in outputs(record, VERDICT_MIME):
        card["verdict"] = "failed"
    assert runs.refused(record)["verdict: was changed after the run"] == ("failed", "passed")


def sources(notebook: Notebook, what: str) -> None:
    for decided in outputs(notebook, DECISION_MIME):
        if decided["block"] == "020_stage_mappings":
            decided[what] = f"{decided[what][:-1]}!"


def swapped(notebook: Notebook, one: str, other: str) -> None:
    cells = notebook["cells"]
    first, second = (
        next(n for n, c in enumerate(cells) if "".join(c["source"]).startswith(s))
        for s in (one, other)
    )
    cells[first], cells[second] = cells[second], cells[first]


def cell_of(notebook: Notebook, name: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if cell["id"] == name)  # type: ignore[no-any-return]


def written(notebook: Notebook, name: str, source: str) -> None:
    cell_of(notebook, name)["source"] = source


def merged(notebook: Notebook, one: str, other: str) -> None:
    """Put a cell into another one, with all that it shows."""
    first, second = cell_of(notebook, one), cell_of(notebook, other)
    first["source"] = f"{''.join(first['source'])}\n\n{''.join(second['source'])}"
    first["outputs"] += second["outputs"]
    notebook["cells"].remove(second)


def unlisted(notebook: Notebook, name: str) -> None:
    """Take a cell out of the list of the runbook's cells."""
    for frame in outputs(notebook, FRAME_MIME):
        if frame["kind"] == "preconditions":
            frame["cells"] = [cell for cell in frame["cells"] if cell[0] != name]


def by_hand(notebook: Notebook) -> None:
    """As if it had never been papermill's: with the parameters that it was given in their cell."""
    (given,) = [c for c in notebook["cells"] if "injected-parameters" in _tags(c)]
    notebook["cells"].remove(given)
    (own,) = [c for c in notebook["cells"] if "parameters" in _tags(c)]
    own["source"] = f"{''.join(own['source'])}\n{''.join(given['source'])}"
    for each in (notebook, *notebook["cells"]):
        each["metadata"].pop("papermill", None)


def _tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])  # type: ignore[no-any-return]


FORGERIES: dict[str, tuple[Callable[[Notebook], None], str]] = {
    "operator": (lambda nb: said(nb, operator="mallory"), f"operator: {OTHERWISE}"),
    "ticket": (
        lambda nb: [given(nb, ticket="CRM-2"), said(nb, ticket="CRM-2")],  # type: ignore[dict-item,func-returns-value]
        f"ticket: {OTHERWISE}",
    ),
    "parameter": (lambda nb: given(nb, lock_timeout="9s"), f"parameter lock_timeout: {OTHERWISE}"),
    "approval": (
        lambda nb: given(nb, approved_plan="0" * 64),
        "parameter approved_plan: was changed after the run",
    ),
    "database": (lambda nb: said(nb, database="production"), f"database: {OTHERWISE}"),
    "cluster": (lambda nb: said(nb, system_identifier="1"), f"system identifier: {OTHERWISE}"),
    "server": (lambda nb: said(nb, server_version="9.6"), f"server version: {OTHERWISE}"),
    "runbook": (lambda nb: said(nb, runbook="002_other"), f"runbook: {OTHERWISE}"),
    "reason": (lambda nb: said(nb, reason="all is well"), f"verdict: {OTHERWISE}"),
    "started": (
        lambda nb: said(
            nb, started_at="2020-01-31T12:00:00+00:00", ended_at="2020-01-31T12:00:05+00:00"
        ),
        f"times: {OTHERWISE}",
    ),
    "papermill": (
        lambda nb: nb["metadata"]["papermill"].update(start_time="2020-01-31T12:00:00+00:00"),
        f"times: {OTHERWISE}",
    ),
    "SQL": (lambda nb: sources(nb, "sql"), f"020_stage_mappings: SQL: {OTHERWISE}"),
    "digest": (
        lambda nb: sources(nb, "source_sha256"),
        f"020_stage_mappings: source_sha256: {OTHERWISE}",
    ),
    "tree": (
        lambda nb: sources(nb, "tree_sha256"),
        f"020_stage_mappings: tree_sha256: {OTHERWISE}",
    ),
    "a cell that is gone": (
        lambda nb: without(nb, 'run.apply("020'),
        "020_stage_mappings: the record does not show it",
    ),
    "cells in another order": (
        lambda nb: swapped(nb, 'run.apply("010', 'run.apply("020'),
        f"{RUNBOOK}, cell import-batches-schema: a code cell of the runbook stands elsewhere",
    ),
    "another cell": (
        lambda nb: written(nb, "verdict", "run.verdict()  # or not"),
        f"{RUNBOOK}, cell verdict: a code cell of the runbook was altered",
    ),
    "cells in one": (
        lambda nb: merged(nb, "difference", "verdict"),
        f"{RUNBOOK}, cell verdict: a code cell of the runbook is missing",
    ),
    "a cell among the parameters": (
        lambda nb: cell_of(nb, "verify")["metadata"].update(tags=["parameters"]),
        f"{RUNBOOK}, cell verify: a code cell of the runbook is missing",
    ),
    "a cell that is text": (
        lambda nb: cell_of(nb, "after-indexes").update(cell_type="markdown"),
        f"{RUNBOOK}, cell after-indexes: a code cell of the runbook is missing",
    ),
    "no verification": (
        lambda nb: cell_of(nb, "verify").update(outputs=[]),
        "verification: the record does not show it",
    ),
    "no preconditions, and another cell": (
        lambda nb: [  # type: ignore[dict-item,func-returns-value]
            cell_of(nb, "preconditions").update(outputs=[]),
            written(nb, "verdict", "run.verdict()  # or not"),
        ],
        "plan: the record does not show it",
    ),
    "a list of cells that fits": (
        lambda nb: [  # type: ignore[dict-item,func-returns-value]
            without(nb, "run.verify()"),
            unlisted(nb, "verify"),
        ],
        f"{RUNBOOK}: the code of its cells is not that of the runbook that was run",
    ),
    "a plan": (
        lambda nb: [plan["steps"].pop() for plan in outputs(nb, PLAN_MIME)],  # type: ignore[dict-item]
        "plan: is not what its digest says",
    ),
    "a file": (
        lambda nb: [
            f["files"].update({f"sql/{RUNBOOK}/deploy/020_stage_mappings.sql": "0" * 64})
            for f in outputs(nb, FRAME_MIME)
            if f["kind"] == "sources"
        ],  # type: ignore[dict-item]
        f"sql/{RUNBOOK}/deploy/020_stage_mappings.sql: is not as planned",
    ),
    "a block": (
        lambda nb: [done.update(event="adopted") for done in outputs(nb, BLOCK_MIME)],  # type: ignore[dict-item]
        "010_import_batches: the ledger does not know of it",
    ),
    "a block of another time": (
        lambda nb: [
            done.update(started_at="2026-01-31T12:00:00+00:00") for done in outputs(nb, BLOCK_MIME)
        ],  # type: ignore[dict-item]
        f"010_import_batches: started: {OTHERWISE}",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_what_the_ledger_tells_otherwise_is_not_sealed(
    runs: Runs, record: Notebook, what: str
) -> None:
    forge, problem = FORGERIES[what]
    forge(record)
    found = runs.refused(record)
    assert problem in found, found
    assert len(set(found[problem])) > 1 or not any(found[problem]), "the difference shows"


@pytest.mark.parametrize("record", ["apply", "again", "verify", "plan"], indirect=True)
def test_a_cell_that_is_gone_is_missed_though_nothing_is_papermills(
    runs: Runs, record: Notebook
) -> None:
    by_hand(record)
    without(record, "after.indexes")
    found = runs.refused(record)
    assert list(found) == [f"{RUNBOOK}, cell after-indexes: a code cell of the runbook is missing"]


@pytest.mark.parametrize("record", ["again", "verify"], indirect=True)
@pytest.mark.parametrize("papermills", [True, False])
def test_what_is_only_added_is_told_wherever_the_record_is_shown(
    runs: Runs, record: Notebook, papermills: bool
) -> None:
    if not papermills:
        by_hand(record)
    added = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    record["cells"].insert(9, added | {"id": "look", "source": "%sql SELECT 1"})
    record["cells"].append(added | {"id": "empty", "source": ""})
    written(record, "note", "## Notes on this run\n\nGrace knows.")
    cell_of(record, "difference")["outputs"] = []
    told = (
        "cells that the runbook does not have: look, empty; texts that are not the runbook's: "
        "note; cells that show nothing: difference"
    )
    done = runs.seal(record)
    assert done.told.endswith(f"; {told}")
    env = {"PGRUNBOOK_ROOT": str(runs.project.root)}
    verified = CliRunner().invoke(main.main, ["archive", "verify"], env=env)
    assert (verified.exit_code, verified.output.count(told)) == (0, 1), verified.output
    assert f"note: x.ipynb: sealed by hand, compared with the ledger, {told}: " in verified.output
    Site(Archive(runs.outputs)).build()
    for page in ("index.html", "x.html"):
        shown = html.unescape((runs.outputs / "site" / page).read_text())
        assert told in shown


def test_all_that_differs_is_told_at_once(runs: Runs, record: Notebook) -> None:
    for what in ("operator", "SQL", "server", "started"):
        FORGERIES[what][0](record)
    assert {
        FORGERIES[what][1] for what in ("operator", "SQL", "server", "started")
    } <= runs.refused(record).keys()


def test_outputs_of_one_run_are_not_those_of_another(runs: Runs, record: Notebook) -> None:
    """The record of a run that had nothing to do, with the blocks of the one before."""
    other = copy.deepcopy(runs.notebooks["again"])
    cells = {cell["id"]: cell for cell in record["cells"]}
    for cell in other["cells"]:
        if "".join(cell["source"]).startswith("run.apply("):
            cell["outputs"] = cells[cell["id"]]["outputs"]
    assert runs.refused(other)["010_import_batches: the ledger does not know of it"] == (
        "no run of that id",
        "applied",
    )


def test_a_record_of_another_form_is_no_fault_of_ours(runs: Runs, record: Notebook) -> None:
    """Whatever stands where a program reads: refused or told that it was not compared, never
    vouched for.
    """
    for mime in (BLOCK_MIME, DECISION_MIME, FRAME_MIME, PLAN_MIME, VERDICT_MIME):
        for odd in (
            [],
            {},
            "x",
            {"kind": "identity", "columns": [], "rows": [[1]]},
            {"verdict": "splendid", "reason": 1},
        ):
            changed = copy.deepcopy(record)
            for cell in changed["cells"]:
                for output in cell.get("outputs", ()):
                    if mime in output.get("data", {}):
                        output["data"][mime] = odd
            if changed != record:
                stopped = patch.object(Archive, "seal", side_effect=Refused.of("sealed"))
                with stopped as sealed, suppress(Refused):
                    runs.seal(changed)
                for call in sealed.call_args_list:
                    assert call.args[1]["ledger"]["compared"] in (True, False)


# -- what cannot be compared is told
# ---------------------------------------------------------------------------


def test_a_target_that_cannot_be_asked_is_told_wherever_the_record_is_shown(
    runs: Runs, record: Notebook
) -> None:
    said(record, operator="mallory")
    nowhere = "postgresql://nobody@127.0.0.1:1/crm"
    try:
        done = runs.seal(record, CRM_URL=nowhere)
        assert any(
            "sealed by hand, not compared with the ledger: " in problem for problem in done.problems
        )
        seal = Archive(runs.outputs).read(runs.outputs / done.head.name)
        assert seal.statement.predicate.run["ledger"]["compared"] is False
        env = {"PGRUNBOOK_ROOT": str(runs.project.root)}
        for arguments in (["verify"], ["verify", str(runs.outputs / "x.ipynb")]):
            verified = CliRunner().invoke(main.main, ["archive", *arguments], env=env)
            assert (
                "note: x.ipynb: sealed by hand, not compared with the ledger: " in verified.output
            )
            assert verified.exit_code == 0
        Site(Archive(runs.outputs)).build()
        for page in ("index.html", "x.html"):
            assert (
                "sealed by hand, not compared with the ledger"
                in (runs.outputs / "site" / page).read_text()
            )
    finally:
        begun_anew(runs)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("env:NOWHERE", "the run's target cannot be had"),
        ("production", "the run's target cannot be had"),
    ],
)
def test_a_target_that_is_not_known_any_more_is_told(
    runs: Runs, record: Notebook, target: str, reason: str
) -> None:
    given(record, target=target)
    for card in outputs(record, VERDICT_MIME):
        card["target"] = target
    try:
        assert (
            f"sealed by hand, not compared with the ledger: {reason}" in runs.seal(record).problems
        )
    finally:
        begun_anew(runs)


@pytest.mark.parametrize("record", ["plan", "apply"], indirect=True)
def test_a_database_that_is_another_one_is_told(runs: Runs, record: Notebook) -> None:
    """Which does not know of the run; whose ledger would be asked is up to whoever seals it."""
    try:
        with databases.sampled(runs.crm.server) as other:
            (problem,) = runs.seal(record, CRM_URL=other.url).problems
        assert "another database answers as target 'env:CRM_URL' than the record's: " in problem
        assert f"found {other.name}" not in problem
    finally:
        begun_anew(runs)


def begun_anew(runs: Runs) -> None:
    for path in sorted(runs.outputs.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


# -- what is as the ledger has it
# -------------------------------------------------------------------------------

SAYS = {
    "plan": "the ledger has no run of that id, as a plan writes nothing",
    "apply": "the ledger has the same: 16 blocks, passed",
    "again": "the ledger has no run of that id, as nothing was left to do",
    "verify": "the ledger has no run of that id, as to verify is only to look",
    "failed": "the ledger has the same: 0 blocks, failed",
    "refused": "the ledger has no run of that id, as it wrote nothing",
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_record_is_sealed_once(runs: Runs, kind: str) -> None:
    notebook = runs.notebooks[kind]
    done = runs.seal(notebook, name=f"{kind}.ipynb")
    assert (done.told, done.problems) == (SAYS[kind], [])
    seal = Archive(runs.outputs).read(runs.outputs / done.head.name)
    assert seal.origin == "sealed by hand, compared with the ledger"
    if kind != "refused":  # which has no id
        with pytest.raises(Refused, match="is not the record of that run: it has one"):
            runs.seal(notebook, name="second.ipynb")
    begun_anew(runs)
    if kind in ("apply", "failed"):
        assert any(
            what.endswith("its record is sealed already, as the ledger says")
            for what in runs.refused(notebook)
        )
