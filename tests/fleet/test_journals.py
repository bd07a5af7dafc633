"""Journals as data: whatever anybody has put in their place is named, and harms no other run. No
server.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fleet.test_coordinator import PASSED, Stage, returned, signing

from pgrunbook.cli.main import main
from pgrunbook.errors import Failed, Verdict
from pgrunbook.fleet import coordinator, record, report, runs, signature
from pgrunbook.fleet.events import EventKind
from pgrunbook.fleet.state import State, UnreadableJournal
from pgrunbook.records.archive import Archive
from pgrunbook.records.verification import verify
from pgrunbook.runbooks.project import Project

_VALUES: tuple[Any, ...] = (None, [], {}, "", 0, -1, 1e308, 10**400, True, "x", "\ud800", [None])


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A fleet whose run is over, and not sealed. Its journal has events of every kind."""
    monkeypatch.setattr(coordinator, "TICK_S", 0.02)
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(tmp_path))
    for number in range(2):
        monkeypatch.setenv(f"SERVER_{number}", f"postgresql://host{number}/crm")
    (tmp_path / "pgrunbook.toml").write_text("")
    made = Stage(Project.find(tmp_path))
    made.returns = {"t1": [returned(Verdict.REFUSED, "drifted")], "t2 verify": [PASSED]}
    made.run(f'waves = ["1", "100%"]\nsoak = "1ms"\n{signing(made)}', number=3)
    lines = len(made.journal.read_text().splitlines())
    last: tuple[dict[str, Any], ...] = (
        {"event": EventKind.STOP, "by": "ada"},
        {"event": EventKind.ENDED, "name": "t1"},
        {"event": EventKind.LEFT_OUT, "line": lines + 2, "why": "somebody else has added it"},
    )
    with made.journal.open("a") as file:
        for event in last:
            file.write(json.dumps({"at": "2030-01-01T00:00:00Z", **event}) + "\n")
    return made


def _changed(text: str) -> Iterator[str]:
    """The journal, each time with another value of another form, or without it; and without each of
    its lines.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        others = lines[:number], lines[number + 1 :]
        yield "\n".join([*others[0], *others[1]]) + "\n"
        event = json.loads(line)
        for key in event:
            without = {each: value for each, value in event.items() if each != key}
            for other in (without, *({**event, key: value} for value in _VALUES)):
                yield "\n".join([*others[0], json.dumps(other), *others[1]]) + "\n"


def test_whatever_a_line_says_it_is_shown_or_named(stage: Stage) -> None:
    path = stage.journal
    text = path.read_text()
    assert {json.loads(line)["event"] for line in text.splitlines()} == {*EventKind}
    project = Project.find(stage.project.root)
    named = 0
    for changed in _changed(text):
        path.write_text(changed)
        try:
            report.text(report.collect(path))
            [*signature.problems(project, path)]
        except UnreadableJournal as exc:
            (problem,) = exc.problems
            assert problem.where == f"f/001_x/{path.name}"
            named += 1
    assert named > 500


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"name": "t2"', '"name": "../../../evil"'),
        ('"operator": "ada"', '"operators": "ada"'),
        ('"approved": {}', '"approved": {"set": "5"}'),
        ('"at": "2', '"at": "x'),
        ('"budgets": [', '"budgets": ["0", '),
        ('"verdict": "passed"', '"verdict": "fine"'),
        ('"event": "', '"event": "no '),
        ('"drifted"', '"\\ud800"'),
        ("{", "[" * 100_000 + "{"),
    ],
)
def test_what_cannot_be_read_is_not_sealed_and_not_touched(
    stage: Stage, before: str, after: str
) -> None:
    path = stage.journal
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after).removesuffix("\n"))
    data = path.read_bytes()
    (problem,) = runs.end_killed(stage.project, "f")
    assert problem.what == "is not the journal of a fleet's run"
    assert (path.read_bytes(), record.notebook_of(path).exists()) == (data, False)


ADDED = [
    {"event": EventKind.ENDED},
    {"event": EventKind.STOP, "by": 7},
    {"event": EventKind.TARGET, "wave": 0, "target": {"name": "evil", "service": "s"}},
    {"event": EventKind.STARTED, "name": "nobody", "run": "r", "attempt": 1},
    {"event": EventKind.ENDED, "name": "t2", "run": "r", "verdict": "passed", "reason": ""},
    {"event": EventKind.LEFT_OUT, "line": 1, "why": "as I say"},
    {"event": EventKind.END, "verdict": "passed", "reason": ""},
    {"event": ["\ud800"]},
]


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("event", ADDED, ids=lambda event: str(event["event"]))
def test_what_others_add_to_a_run_at_work_is_none_of_its_events(
    stage: Stage, event: dict[str, Any], end: str
) -> None:
    def add(name: str) -> None:
        if name == "t0":
            with stage.journal.open("a") as file:
                file.write(json.dumps({"at": "2030-01-01T00:00:00Z", **event}) + end)

    stage.during = add
    stage.returns = {"t2": [returned(Verdict.FAILED, "no")]}
    state = stage.run("workers = 1", number=3)
    assert state.counts() == {"passed": 2, "failed": 1}
    (line,) = state.left_out
    assert any(f"line {line} of {stage.journal.name} is somebody else's" in t for t in stage.told)
    assert State.read(stage.journal) == state
    assert f"somebody else has added it: line {line}\n" in report.text(report.as_data(state))
    record.seal(stage.project, stage.journal, state)
    assert (
        verify(Archive(stage.project.outputs), only=record.notebook_of(stage.journal)).problems
        == ()
    )
    assert stage.run(number=3, path=stage.journal).verdict is Verdict.PASSED


def test_a_journal_that_is_cut_short_ends_its_run_with_what_to_do(stage: Stage) -> None:
    stage.during = lambda _: os.truncate(stage.journal, 9)
    with pytest.raises(Failed) as caught:
        stage.run(number=3)
    (problem,) = caught.value.problems
    assert problem.remedy.endswith("pgrunbook fleet run 001_x --fleet f")


def test_no_other_run_is_kept_by_it(stage: Stage) -> None:
    path = stage.journal
    path.write_text('{"event": "begun"}\n')
    state = stage.run(runbook="002_y")
    assert state.verdict is Verdict.PASSED
    other = max((stage.project.outputs / "f/002_y").glob("*.fleet.jsonl"))
    assert [each.where for each in runs.end_killed(stage.project, "f")] == [f"f/001_x/{path.name}"]
    assert record.is_sealed(stage.project, other)
    assert runs.latest(stage.project, "f", "002_y") == other
    (problem,) = verify(Archive(stage.project.outputs)).problems
    assert problem.where == f"f/001_x/{path.name}"


def test_a_folder_of_that_name_is_no_journal(stage: Stage) -> None:
    stage.journal.with_name("2030-01-01T000000.000Z-0a1b2c3d.fleet.jsonl").mkdir()
    assert runs.end_killed(stage.project, "f") == []
    assert State.read(stage.journal).begun


@pytest.mark.parametrize("command", ["status", "resume"])
def test_a_command_names_it_with_what_to_do(stage: Stage, command: str) -> None:
    stage.journal.write_text('{"event": "begun"}\n')
    done = CliRunner().invoke(main, ["fleet", command, "--fleet", "f", "--json"])
    assert done.exit_code == 2, done.output
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["found"] == "begun.at: Field required"
    assert "out of outputs/" in problem["remedy"]


@pytest.mark.parametrize("room", [0, 7])
def test_a_full_disk_is_told_with_the_file_and_what_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """A file system that is full takes a part of a line, or none."""
    write = os.write

    def full(file: int, data: bytes) -> int:
        if b'"event": "end"' not in data:
            return write(file, data)
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:room])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(Failed) as caught:
            stage.run(number=2)
    (problem,) = caught.value.problems
    assert problem.where == str(stage.journal)
    assert problem.remedy.endswith("pgrunbook fleet resume 001_x --fleet f")
    assert runs.end_killed(stage.project, "f") == []
    assert State.read(stage.journal).verdict is Verdict.INTERRUPTED


def test_a_record_that_cannot_be_written_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pgrunbook.files.write", full)
    with pytest.raises(Failed) as caught:
        record.seal(stage.project, stage.journal, State.read(stage.journal))
    (problem,) = caught.value.problems
    assert problem.where == str(record.notebook_of(stage.journal))
    assert problem.remedy.endswith("pgrunbook fleet resume 001_x --fleet f")


def test_a_line_that_is_begun_in_that_moment_hides_no_event(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, begun = os.write, []

    def write_late(file: int, data: bytes) -> int:
        if not begun and b'"event": "end"' in data:
            begun.append(write(file, b'{"event": "st'))
        return write(file, data)

    monkeypatch.setattr(os, "write", write_late)
    state = stage.run(number=1)
    assert begun
    assert State.read(stage.journal) == state
