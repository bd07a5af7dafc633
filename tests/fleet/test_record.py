"""The record of a fleet's run, as the archive and the page have it. No server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from click.testing import CliRunner
from fleet.test_coordinator import PASSED, Stage, ended_early, returned

from pgrunbook.cli.main import main
from pgrunbook.errors import Verdict
from pgrunbook.fleet import coordinator, record, report
from pgrunbook.fleet.outcome import LedgerAnswer
from pgrunbook.fleet.state import State
from pgrunbook.records.archive import Archive
from pgrunbook.records.audit_questions import answers
from pgrunbook.records.questions import Question
from pgrunbook.records.record import Record
from pgrunbook.records.site import Site
from pgrunbook.records.verification import verify
from pgrunbook.runbooks.project import Project


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Stage, Path]:
    """A run that is over: one target was set aside, and one tried twice."""
    monkeypatch.setattr(coordinator, "TICK_S", 0.02)
    for number in range(2):
        monkeypatch.setenv(f"SERVER_{number}", f"postgresql://host{number}/crm")
    (tmp_path / "pgrunbook.toml").write_text("")
    stage = Stage(Project.find(tmp_path))
    stage.returns = {
        "t1": [returned(Verdict.REFUSED, "password=hunter2 <b>drifted</b>")],
        "t2": [returned(Verdict.LOCKED_OUT), PASSED],
    }
    state = stage.run('waves = ["20%", "100%"]')
    notebook, head = record.seal(stage.project, stage.journal, state)
    assert head.sequence == 1
    return stage, notebook


def test_it_is_in_the_chain_with_its_journal(sealed: tuple[Stage, Path]) -> None:
    stage, notebook = sealed
    archive = Archive(stage.project.outputs)
    assert verify(archive).problems == ()
    assert notebook.name.removesuffix(".ipynb") == stage.journal.name.removesuffix(".fleet.jsonl")
    stage.journal.write_text(stage.journal.read_text().replace("set aside", "passed") + "\n")
    (problem,) = verify(archive).problems
    assert (problem.what, problem.where.endswith(".fleet.jsonl")) == ("changed", True)


def test_a_journal_that_is_not_sealed_is_told_with_what_to_do(sealed: tuple[Stage, Path]) -> None:
    stage, _ = sealed
    left = stage.journal.with_name("2030-01-01T000000Z-01234567.fleet.jsonl")
    left.write_text("")
    (problem,) = verify(Archive(stage.project.outputs)).problems
    assert problem.remedy.endswith("pgrunbook fleet resume 001_x --fleet f")


def test_it_says_that_no_cell_was_run(sealed: tuple[Stage, Path]) -> None:
    notebook = json.loads(sealed[1].read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert {cell["execution_count"] for cell in code} == {None}
    assert all("was not run" in "".join(cell["source"]) for cell in code)
    assert "hunter2" not in sealed[1].read_text() + sealed[0].journal.read_text()


def test_what_a_reason_repeats_is_masked_once_more(sealed: tuple[Stage, Path]) -> None:
    stage, _ = sealed
    state = stage.run(path=stage.journal)
    state.targets["t1"].remark = "postgresql://ada:hunter2@db/crm"
    notebook, _ = record.seal(stage.project, stage.journal, state)
    assert "hunter2" not in notebook.read_text()
    assert "postgresql://ada:***@db/crm" in notebook.read_text()


def test_its_picture_can_be_read_in_the_dark(sealed: tuple[Stage, Path]) -> None:
    cells = json.loads(sealed[1].read_text())["cells"]
    (svg,) = (
        "".join(cell["outputs"][0]["data"]["image/svg+xml"])
        for cell in cells
        if cell["id"] == "picture"
    )
    ElementTree.fromstring(svg)
    light, dark = svg.split("@media (prefers-color-scheme: dark)")
    for name in re.findall(r'class="(\w+)"', dark):
        assert f".{name} {{" in light
        assert f".{name} {{" in dark


def test_of_two_runs_in_a_second_the_later_one_is_the_last(sealed: tuple[Stage, Path]) -> None:
    stage, _ = sealed
    for _ in range(3):
        before = stage.journal
        stage.run(number=1)
        assert stage.journal.name > before.name


@pytest.mark.parametrize("year", ["2999-01-01T000000.007Z", "9999-12-31T235959.999Z", "2999"])
def test_where_a_clock_was_ahead_the_next_run_is_the_last(
    sealed: tuple[Stage, Path], year: str
) -> None:
    stage, _ = sealed
    path = stage.journal
    ahead = path.with_name(f"{year}-{path.name.rpartition('Z-')[2]}")
    path.rename(ahead)
    stage.run(number=1)
    assert (stage.journal > ahead) is (year.endswith("007Z"))


def test_it_answers_what_an_auditor_asks(sealed: tuple[Stage, Path]) -> None:
    found = {each.question: each.text for each in answers(Record.read(sealed[1]), None)}
    assert found["What changed?"].startswith("10 targets: 9 passed, 1 set aside.")
    assert " 1 target: t1.\n" in found["What failed, was retried or was skipped?"]
    assert "1 target tried more than once" in found["What failed, was retried or was skipped?"]
    assert found["Who ran it, who approved it, under which ticket?"].startswith("ada.")
    assert "no seal says more" in found["What was verified, with what evidence?"]
    assert not any("cannot read" in text or "get that far" in text for text in found.values())
    assert list(found) == list(Question)


def test_what_is_not_done_is_told_before_what_waits(sealed: tuple[Stage, Path]) -> None:
    stage, _ = sealed
    stage.ledger = {"t1": [ended_early()]}
    stage.returns = {"t1": [returned(Verdict.INTERRUPTED, "its time is over")]}
    state = stage.run('waves = ["2", "100%"]')
    notebook, _ = record.seal(stage.project, stage.journal, state)
    found = {each.question: each.text for each in answers(Record.read(notebook), None)}
    told = found["What failed, was retried or was skipped?"]
    assert [line.split(".")[0] for line in told.splitlines()][:2] == [
        "Not done: its time is over; its record is not on this machine",
        "Waiting",
    ]


def test_thousands_that_wait_are_no_rows(sealed: tuple[Stage, Path]) -> None:
    stage, _ = sealed
    stage.returns = {"t1": [returned(Verdict.FAILED, "no")]}
    state = stage.run('waves = ["2", "100%"]', number=4000)
    notebook, _ = record.seal(stage.project, stage.journal, state)
    cells = {cell.id: cell for cell in nbformat.read(notebook, 4).cells}
    told = cells["not-passed"].outputs[0].data["text/html"]
    assert told.count("<tr>") == 2
    assert "t1" in told


def test_its_page(sealed: tuple[Stage, Path]) -> None:
    stage, notebook = sealed
    page = Site(Archive(stage.project.outputs)).page(notebook).read_text()
    assert '<span class="verdict failed">' in page
    assert "10 targets: 9 passed, 1 set aside" in page
    assert 'alt="The waves over time, and how many targets passed. wave 1: 1 of 2' in page
    assert "<b>drifted" not in page
    assert "What came of each target was read from its ledger." in page


def test_it_is_not_sealed_by_hand(
    sealed: tuple[Stage, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(sealed[0].project.root))
    other = sealed[1].with_name("other.ipynb")
    other.write_text(sealed[1].read_text())
    done = CliRunner().invoke(main, ["archive", "seal", str(other)])
    assert done.exit_code == 2, done.output
    assert "made of its journal alone" in " ".join(done.output.split())


def test_the_status_names_who_was_set_aside_and_why(sealed: tuple[Stage, Path]) -> None:
    text = report.text(report.collect(sealed[0].journal))
    assert "001_x on fleet f, run " in text
    assert "set aside: t1" in text
    assert text.endswith("pgrunbook fleet resume 001_x --fleet f")
    assert len(text.splitlines()) < 12


def test_the_status_fits_a_terminal(sealed: tuple[Stage, Path]) -> None:
    stage, _ = sealed
    stage.returns = {
        f"t{n}": [returned(Verdict.REFUSED, f"{chr(97 + n)} is not as expected: " + "x" * 200)]
        for n in range(20)
    }
    stage.run('waves = ["t19, t18, t17, t16, t15, t14", "5%", "10%", "50%", "100%"]', number=20)
    lines = report.text(report.collect(stage.journal)).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines[2:-1])) <= 80
    assert "and 14 more reasons: --json has all" in lines
    header, first = (line for line in lines if line.startswith(("wave", "1 ")))
    assert len(header) == len(first)


def test_reasons_that_differ_by_numbers_and_names_are_told_once(
    sealed: tuple[Stage, Path],
) -> None:
    stage, _ = sealed
    stage.returns = {
        f"t{n}": [returned(Verdict.REFUSED, f"table t{n}.notes is not as expected: {n * 7} rows")]
        for n in range(9)
    }
    stage.returns["t9"] = [returned(Verdict.FAILED, "no")]
    state = stage.run()
    lines = report.text(report.as_data(state)).splitlines()
    first = lines.index("failed: t9")
    assert lines[first + 2] == "set aside: t0, t1, t2, t3, t4, t5, t6, t7 and 1 more"
    assert lines[first + 3] == "  table t0.notes is not as expected: 0 rows"
    notebook, _ = record.seal(stage.project, stage.journal, state)
    found = {each.question: each.text for each in answers(Record.read(notebook), None)}
    assert found["What failed, was retried or was skipped?"].splitlines()[:2] == [
        "Failed: no. 1 target: t9.",
        "Set aside: table t0.notes is not as expected: 0 rows. 9 targets: t0, t1, t2, t3, t4, t5, "
        "t6, t7 and 1 more.",
    ]


def test_what_a_lost_task_leaves_is_asked_of_the_ledger(sealed: tuple[Stage, Path]) -> None:
    stage, _ = sealed
    stage.ledger = {"t1": [LedgerAnswer(known=True, verdict=(Verdict.PASSED, "it has"))]}
    stage.returns = {"t1": [RuntimeError("the worker died")]}
    state = stage.run(path=stage.journal)
    assert state.reason == "10 targets: 10 passed"
    assert state.targets["t1"].remark == "its record is not on this machine"


def test_it_is_not_compared_with_another(sealed: tuple[Stage, Path]) -> None:
    notebook = str(sealed[1])
    done = CliRunner().invoke(main, ["archive", "diff", notebook, notebook])
    assert (done.exit_code, "has nothing to compare" in done.output) == (2, True), done.output


def test_the_status_of_a_run_at_work_says_how_far_it_is_and_how_to_stop_it(
    sealed: tuple[Stage, Path],
) -> None:
    stage, _ = sealed
    seen: list[str] = []

    def look(name: str) -> None:
        if name == "t19":
            seen.append(report.text(report.collect(stage.journal)))

    stage.during = look
    stage.returns = {
        f"t{n}": [returned(Verdict.REFUSED, f"{chr(97 + n)} drifted")] for n in range(1, 15)
    }
    stage.run('waves = ["5%", "10%", "25%", "50%", "100%"]\nworkers = 1', number=20)
    lines = seen[0].splitlines()
    assert lines[1].startswith("  5 of 20 targets passed (25%), ")
    assert "at work: t19" in lines
    assert lines[-1].endswith("pgrunbook fleet abort 001_x --fleet f")
    assert len(lines) <= 24
    assert max(map(len, lines[1:-1])) <= 80


def test_the_status_says_until_when_a_wave_soaks(sealed: tuple[Stage, Path]) -> None:
    state = State.read(sealed[0].journal)
    state.verdict, state.reason = None, ""
    state.begun = {**state.begun, "soak_s": 1800}
    at = "2026-01-31T23:50:00.000+00:00"
    state.apply({"at": at, "event": "wave", "wave": 0, "state": "soaking"})
    text = report.text(report.as_data(state, "at work"))
    assert text.splitlines()[1].endswith("after it began; soaks until 2026-02-01 00:20:00 UTC")
