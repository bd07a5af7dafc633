"""What the coordinator begins and what it does not, with tasks and ledgers that are made up."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from records.test_archive import pair
from support import tasks as given

from pgrunbook.errors import Failed, Refused, Verdict
from pgrunbook.fleet import coordinator, journal, record, report, runs, task
from pgrunbook.fleet.concurrency import Concurrency
from pgrunbook.fleet.coordinator import Coordinator
from pgrunbook.fleet.executors import Processes
from pgrunbook.fleet.journal import Journal
from pgrunbook.fleet.outcome import LedgerAnswer, Ledgers, judge
from pgrunbook.fleet.settings import Fleet
from pgrunbook.fleet.state import State, TargetState
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.fleet.waves import Slice
from pgrunbook.records.archive import Archive
from pgrunbook.records.backfill import NOT_DONE
from pgrunbook.records.naming import seal_of
from pgrunbook.runbooks.project import Project

PASSED = {"verdict": Verdict.PASSED, "reason": ""}


def returned(verdict: Verdict, reason: str = "") -> dict[str, Any]:
    return {"verdict": verdict, "reason": reason}


@dataclass
class Stage:
    """A fleet without databases: what each task returns by the target's name, one after the other,
    and what the ledgers say.
    """

    project: Project
    returns: dict[str, list[Any]] = field(default_factory=dict)
    ledger: dict[str, list[LedgerAnswer]] = field(default_factory=dict)
    begun: list[tuple[str, str]] = field(default_factory=list)
    most: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0
    during: Callable[[str], None] = lambda _: None
    executor: type[ThreadPoolExecutor] = ThreadPoolExecutor
    operator: str = "ada"
    mode: str = "apply"
    told: list[str] = field(default_factory=list)
    approved: dict[str, str] = field(default_factory=dict)
    _now: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def task(self, *given: Any, **_: Any) -> Any:
        target, mode = given[3], given[5]
        name, server = target["name"], target["env"]
        with self._lock:
            self.begun.append((name, mode))
            self._now[server] += 1
            self.most[server] = max(self.most[server], self._now[server])
            self.most[""] = max(self.most[""], self._now.total())
        self.during(name)
        time.sleep(self.took_s)
        with self._lock:
            self._now[server] -= 1
        left = self.returns.get(f"{name} {mode}" if mode == "verify" else name)
        came = left.pop(0) if left else PASSED
        if isinstance(came, Exception):
            raise came
        return came

    def run(
        self,
        settings: str = "",
        number: int = 10,
        path: Path | None = None,
        runbook: str = "001_x",
        **asked: Any,
    ) -> State:
        """Run a fleet of so many to its end; or go on with the run of a journal."""
        root = self.project.root
        (root / "pgrunbook.toml").write_text(f'[fleets.f]\ntargets_file = "t"\n{settings}')
        project = Project.find(root)
        fleet = Fleet.of(project, "f")
        found = [FleetTarget(f"t{n}", env=f"SERVER_{n % 2}", schema=f"t{n}") for n in range(number)]
        ledgers = _Ledgers(project)
        ledgers.says = self.ledger
        if path:
            with patch.object(runs, "Ledgers", lambda _: ledgers):
                runs.end_killed(project, "f")  # which seals their records
                written, state = runs.resume(
                    project, fleet, path, self.operator, **{"mode": self.mode, **asked}
                )
        else:
            given = {"operator": self.operator}
            about = {"mode": self.mode, "given": given, "approved": self.approved, **asked}
            written, state = runs.begin(project, fleet, runbook, found, **about)
        concurrency = Concurrency(project, fleet.settings.workers, fleet.settings.per_server)
        try:
            with self.executor(8) as executor:
                about = (project, written, state, executor, ledgers, concurrency, self.told.append)
                return Coordinator(*about, pause_s=0.02, task=self.task).run()
        finally:
            written.close()

    @property
    def journal(self) -> Path:
        """That of the last run."""
        return runs.latest(self.project, "f")


class _Ledgers(Ledgers):
    """The ledger of a target says what the test says; else that the last run passed."""

    says: dict[str, list[LedgerAnswer]]

    def ask(self, target: FleetTarget, runbook: str, run_id: str) -> LedgerAnswer:  # noqa: ARG002
        left = self.says.get(target.name)
        return left.pop(0) if left else LedgerAnswer(last=Verdict.PASSED)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(coordinator, "TICK_S", 0.02)
    for number in range(2):
        monkeypatch.setenv(f"SERVER_{number}", f"postgresql://host{number}/crm")
    (tmp_path / "pgrunbook.toml").write_text("")
    return Stage(Project.find(tmp_path))


def names(stage: Stage, mode: str = "apply") -> list[str]:
    return [name for name, how in stage.begun if how == mode]


def test_each_target_is_run_once_and_wave_by_wave(stage: Stage) -> None:
    state = stage.run('waves = ["t7", "30%", "100%"]')
    assert state.verdict is Verdict.PASSED
    assert state.reason == "10 targets: 10 passed"
    assert names(stage)[0] == "t7"
    assert {*names(stage)[1:4]} == {"t0", "t1", "t2"}
    assert sorted(names(stage)) == [f"t{n}" for n in range(10)]
    assert [wave.state for wave in state.waves] == ["done"] * 3


def test_a_wave_without_targets_is_done(stage: Stage) -> None:
    state = stage.run('waves = ["t0", "1%", "100%"]', number=2)
    assert [wave.state for wave in state.waves] == ["done"] * 3
    assert "wave 2 of 3: done; no targets" in stage.told


def test_the_budget_of_a_wave_stops_it_within_the_tasks_at_work(stage: Stage) -> None:
    stage.returns = {"t2": [returned(Verdict.FAILED, "no")], "t3": [returned(Verdict.FAILED)]}
    state = stage.run('failure_budget = ["1"]\nworkers = 2')
    assert state.verdict is Verdict.FAILED
    assert "the budget of wave 1 is used up: 2 failed, 1 may" in state.reason
    assert len(stage.begun) <= 2 + 2 + 2
    assert state.counts()["waiting"] == 10 - len(stage.begun)


def test_a_budget_that_lasts(stage: Stage) -> None:
    stage.returns = {"t2": [returned(Verdict.FAILED, "no")]}
    state = stage.run('waves = ["50%", "100%"]\nfailure_budget = ["20%", "0"]')
    assert (state.verdict, state.counts()["passed"]) == (Verdict.FAILED, 9)
    assert state.targets["t2"].reason == "no"


def test_what_is_refused_is_set_aside_and_counts_against_no_budget(stage: Stage) -> None:
    stage.returns = {f"t{n}": [returned(Verdict.REFUSED, "drifted")] for n in (0, 1, 2)}
    state = stage.run()
    assert state.counts() == {"passed": 7, "set aside": 3}
    assert (state.verdict, len(stage.begun)) == (Verdict.FAILED, 10)


@pytest.mark.parametrize("verdict", [Verdict.LOCKED_OUT, Verdict.INTERRUPTED])
def test_what_did_not_come_to_its_end_is_tried_again(stage: Stage, verdict: Verdict) -> None:
    stage.returns = {"t4": [returned(verdict), returned(verdict), PASSED]}
    state = stage.run()
    assert state.verdict is Verdict.PASSED
    assert state.targets["t4"].attempts == 3
    assert names(stage).count("t4") == 3


@pytest.mark.parametrize(
    ("verdict", "word"), [(Verdict.LOCKED_OUT, "set aside"), (Verdict.INTERRUPTED, "failed")]
)
def test_it_is_not_tried_for_ever(stage: Stage, verdict: Verdict, word: str) -> None:
    stage.returns = {"t4": [returned(verdict)] * 9}
    state = stage.run()
    assert state.targets["t4"].word == word
    assert names(stage).count("t4") == coordinator.ATTEMPTS


def ended_early(*_: object) -> LedgerAnswer:
    reason = f"{NOT_DONE} 010_fill: is not done after 8 h, as its header says; 12 batches"
    return LedgerAnswer(known=True, verdict=(Verdict.INTERRUPTED, reason))


def test_a_backfill_that_was_to_end_is_no_failure_and_not_tried_again(stage: Stage) -> None:
    settings = 'waves = ["30%", "100%"]\nsoak = "10ms"'
    stage.ledger = {"t1": [ended_early()]}
    stage.returns = {"t1": [returned(Verdict.INTERRUPTED, "is not done after 8 h")]}
    state = stage.run(settings)
    assert (state.verdict, state.verdict.exit_code) == (Verdict.INTERRUPTED, 3)
    assert state.reason == "wave 1 is not done; 10 targets: 2 passed, 1 not done, 7 waiting"
    assert state.targets["t1"].reason == "is not done after 8 h"
    assert sorted(names(stage)) == ["t0", "t1", "t2"]
    assert [wave.state for wave in state.waves] == ["stopped", "waiting"]
    told = report.text(report.as_data(state))
    assert "not done: t1" in told
    assert told.endswith("pgrunbook fleet resume 001_x --fleet f")
    record.seal(stage.project, stage.journal, state)
    assert stage.run(settings, path=stage.journal).reason == "10 targets: 10 passed"
    assert names(stage).count("t1") == 2


def test_who_looks_on_is_told_of_a_failure_before_what_is_not_done(stage: Stage) -> None:
    stage.ledger = {"t1": [ended_early()]}
    stage.returns = {"t2": [returned(Verdict.FAILED)]}
    state = stage.run('failure_budget = ["1"]')
    assert state.verdict is Verdict.FAILED
    assert state.counts() == {"passed": 8, "failed": 1, "not done": 1}


def test_a_backfill_of_a_dead_coordinator_that_was_to_end_is_no_failure(stage: Stage) -> None:
    stage.ledger = {"t0": [ended_early()]}
    stage.returns = {"t0": [RuntimeError("its worker is gone")]}
    assert stage.run(number=1).counts() == {"not done": 1}


def test_the_ledger_is_believed_and_not_the_task(stage: Stage) -> None:
    stage.returns = {
        "t1": [RuntimeError("its worker is gone")],
        "t2": [PASSED],
        "t3": [PASSED, PASSED],
        "t4": [RuntimeError("gone"), PASSED],
    }
    stage.ledger = {
        "t1": [LedgerAnswer(known=True, verdict=(Verdict.PASSED, "all of it"))],
        "t2": [LedgerAnswer(known=True, verdict=(Verdict.FAILED, "as it says"))],
        "t3": [LedgerAnswer(last="failed")],
        "t4": [LedgerAnswer(known=True)],
    }
    state = stage.run('failure_budget = ["1"]')
    assert (state.targets["t1"].word, state.targets["t1"].reason) == ("passed", "all of it")
    assert (state.targets["t2"].word, state.targets["t2"].reason) == ("failed", "as it says")
    assert [state.targets[name].attempts for name in ("t1", "t3", "t4")] == [1, 2, 2]


@pytest.mark.parametrize(
    ("told", "said", "expected"),
    [
        (LedgerAnswer(why="unreachable"), returned(Verdict.REFUSED), Verdict.REFUSED),
        (LedgerAnswer(why="unreachable"), PASSED, Verdict.INTERRUPTED),
        (LedgerAnswer(why="unreachable"), None, Verdict.INTERRUPTED),
        (LedgerAnswer(), None, Verdict.INTERRUPTED),
        (LedgerAnswer(), PASSED, Verdict.INTERRUPTED),
        (LedgerAnswer(last="passed"), PASSED, Verdict.PASSED),
        (LedgerAnswer(known=True), PASSED, Verdict.INTERRUPTED),
        (LedgerAnswer(known=True, verdict=(Verdict.PASSED, "")), None, Verdict.PASSED),
    ],
)
def test_the_judgement(told: LedgerAnswer, said: Any, expected: Verdict) -> None:
    assert judge(told, said, "apply").verdict is expected


def test_where_task_and_ledger_agree_the_task_says_what_was_wrong() -> None:
    told = LedgerAnswer(known=True, verdict=(Verdict.INTERRUPTED, "The run was interrupted."))
    said = returned(Verdict.INTERRUPTED, "the cell ran into its timeout")
    assert judge(told, said, "apply") == (Verdict.INTERRUPTED, said["reason"], False)
    for other in (returned(Verdict.PASSED, "all of it"), returned(Verdict.INTERRUPTED)):
        assert judge(told, other, "apply").reason == "The run was interrupted."


def test_no_more_at_once_than_there_are_places_on_a_server(stage: Stage) -> None:
    stage.took_s = 0.1
    stage.run("workers = 6\nper_server = 1", 8)
    assert stage.most == {"": 2, "SERVER_0": 1, "SERVER_1": 1}


def test_no_more_at_once_than_there_are_workers(stage: Stage) -> None:
    stage.took_s = 0.2
    stage.run("workers = 3\nper_server = 2", 12)
    assert stage.most == {"": 3, "SERVER_0": 2, "SERVER_1": 2}


def test_after_the_soak_a_wave_is_verified_once_more(stage: Stage) -> None:
    state = stage.run('waves = ["20%", "100%"]\nsoak = "100ms"')
    assert state.verdict is Verdict.PASSED
    assert {*names(stage, "verify")} == {"t0", "t1"}
    assert stage.begun.index(("t0", "verify")) < stage.begun.index(("t2", "apply"))


def test_one_wave_at_a_time(stage: Stage) -> None:
    settings = 'waves = ["20%", "50%", "100%"]\nsoak = "50ms"'
    state = stage.run(settings, until=1)
    assert state.verdict is Verdict.PASSED
    assert state.reason == "10 targets: 2 passed, 8 waiting; asked for wave 1 of 3 at most"
    assert stage.begun[2:] == [("t0", "verify"), ("t1", "verify")]
    assert "go on with what has not passed" in report.text(report.collect(stage.journal))
    stage.begun.clear()
    assert stage.run(settings, path=stage.journal, until=2).verdict is Verdict.PASSED
    assert {*names(stage)} == {"t2", "t3", "t4"}
    state = stage.run(settings, path=stage.journal)
    assert (state.verdict, state.reason) == (Verdict.PASSED, "10 targets: 10 passed")
    assert "go on" not in report.text(report.collect(stage.journal))


def test_what_was_asked_for_one_wave_can_be_gone_on_with(stage: Stage) -> None:
    stage.run('waves = ["20%", "100%"]', until=1)
    stage.run(runbook="002_y")
    assert stage.journal.parent.name == "001_x"


@pytest.mark.parametrize("wave", [0, 4])
def test_a_wave_that_there_is_not(stage: Stage, wave: int) -> None:
    with pytest.raises(Refused, match="from 1 to 3"):
        stage.run('waves = ["20%", "50%", "100%"]', until=wave)


def test_slices_share_a_fleet_and_its_waves(stage: Stage) -> None:
    settings = 'waves = ["t7", "50%", "100%"]'
    taken = []
    for number in range(3):
        stage.begun.clear()
        state = stage.run(settings, part=Slice.read(f"{number}/3"))
        assert state.verdict is Verdict.PASSED
        taken += names(stage)
        assert state.begun["slice"] == f"{number}/3"
        assert stage.run(settings, path=stage.journal)["slice"] == f"{number}/3"
    assert sorted(taken) == [f"t{n}" for n in range(10)]
    assert taken[:4] == ["t0", "t3", "t6", "t9"]
    assert names(stage)[0] == "t2"


@pytest.mark.parametrize("text", ["3/3", "0/0", "1", "-1/3", "1/x"])
def test_a_slice_that_is_none(text: str) -> None:
    with pytest.raises(Refused, match="is not a slice"):
        Slice.read(text)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.REFUSED, Verdict.LOCKED_OUT])
def test_a_wave_that_does_not_hold_is_the_last_one(stage: Stage, verdict: Verdict) -> None:
    stage.returns = {"t1 verify": [returned(verdict, "the index is gone")]}
    state = stage.run('waves = ["20%", "100%"]\nsoak = "50ms"')
    assert state.verdict is Verdict.FAILED
    assert {*names(stage)} == {"t0", "t1"}
    assert state.targets["t1"].word == "failed"
    assert state.targets["t1"].remark == "not verified after the pause: the index is gone"


def test_what_was_reverted_has_nothing_to_prove_after_the_soak(stage: Stage) -> None:
    stage.mode = "revert"
    settings = 'waves = ["20%", "100%"]\nsoak = "50ms"'
    stage.returns = {"t5": [returned(Verdict.REFUSED)]}
    state = stage.run(settings)
    assert state.counts() == {"passed": 9, "set aside": 1}
    record.seal(stage.project, stage.journal, state)
    assert "soaking" in journal_states(stage)
    assert stage.run(settings, path=stage.journal).verdict is Verdict.PASSED
    assert names(stage, "verify") == []
    assert "soaking" not in journal_states(stage)


def journal_states(stage: Stage) -> list[str]:
    """The states that the waves of the last run have gone through."""
    return [event["state"] for event in journal.read(stage.journal).values() if "state" in event]


@pytest.mark.parametrize(
    "settings", ['waves = ["2", "100%"]', 'waves = ["2", "100%"]\nsoak = "50ms"']
)
@pytest.mark.parametrize("name", ["sql/001_x/deploy/010_a.sql", "runbooks/001_x.ipynb"])
def test_a_run_is_of_one_version_of_its_files(stage: Stage, settings: str, name: str) -> None:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "run.apply()"}
    files = {"sql/001_x/deploy/010_a.sql": "SELECT 1", "runbooks/001_x.ipynb": {"cells": [cell]}}
    for path, content in files.items():
        (stage.project.root / path).parent.mkdir(parents=True)
        (stage.project.root / path).write_text(json.dumps(content))
    changed = stage.project.root / name
    before = changed.read_text()

    def edit(target: str) -> None:
        if target == "t1":
            changed.write_text(before.replace("1", "2").replace("apply", "revert"))

    stage.during = edit
    state = stage.run(settings, code=task.code_digest(stage.project, "001_x"))
    assert (state.verdict, state.counts()["waiting"]) == (Verdict.INTERRUPTED, 8)
    assert "files were changed since the fleet's run began" in state.reason
    assert names(stage, "verify") == []
    with pytest.raises(Refused, match="files were changed since") as caught:
        stage.run(settings, path=stage.journal)
    assert caught.value.problems[0].remedy.endswith("pgrunbook fleet run 001_x --fleet f")
    changed.write_text(before)
    stage.during = lambda _: None
    assert stage.run(settings, path=stage.journal).verdict is Verdict.PASSED


def test_what_begins_a_revert_anew_reverts(stage: Stage) -> None:
    stage.mode = "revert"
    stage.run(number=1, code="of other files")
    with pytest.raises(Refused, match="files were changed since") as caught:
        stage.run(path=stage.journal)
    remedy = caught.value.problems[0].remedy
    assert remedy.endswith("pgrunbook fleet run 001_x --fleet f --mode revert")


def test_a_soak_that_was_broken_off_is_begun_again(stage: Stage) -> None:
    def stop_soon(name: str) -> None:
        if name == "t1":
            stop = {"event": "stop", "by": "grace"}
            threading.Timer(0.2, journal.add, [stage.journal, stop]).start()

    stage.during = stop_soon
    settings = 'waves = ["20%", "100%"]\nsoak = "{}"'
    assert stage.run(settings.format("30s")).counts() == {"passed": 2, "waiting": 8}
    stage.begun.clear()
    stage.during = lambda _: None
    assert stage.run(settings.format("100ms"), path=stage.journal).verdict is Verdict.PASSED
    assert [*stage.begun[:2]] == [("t0", "verify"), ("t1", "verify")]
    assert len(stage.begun) == 2 + 8


def test_what_was_verified_is_not_verified_again(stage: Stage) -> None:
    settings = 'waves = ["20%", "100%"]\nsoak = "50ms"'
    stage.returns = {"t5": [returned(Verdict.FAILED)]}
    stage.run(settings)
    stage.begun.clear()
    assert stage.run(settings, path=stage.journal).verdict is Verdict.PASSED
    assert names(stage, "verify") == []


def test_whoever_stops_it_is_in_the_record(stage: Stage) -> None:
    def stop(name: str) -> None:
        if name == "t3":
            journal.add(stage.journal, {"event": "stop", "by": "grace"})

    stage.during, stage.took_s = stop, 0.03
    state = stage.run("workers = 1")
    assert (state.verdict, state.stopped_by) == (Verdict.INTERRUPTED, "grace")
    assert state.reason.startswith("stopped by grace; ")
    assert names(stage) == ["t0", "t1", "t2", "t3"]


def test_one_run_of_a_fleet_at_a_time(stage: Stage) -> None:
    refusals: list[Refused] = []

    def again(_: str) -> None:
        with pytest.raises(Refused, match="at work with this runbook already") as caught:
            Stage(stage.project).run(number=1)
        refusals.append(caught.value)

    stage.during = again
    stage.run(number=2)
    assert len(refusals) == 2
    assert len([*stage.journal.parent.iterdir()]) == 1


def test_of_two_that_begin_at_once_one_is_refused(stage: Stage) -> None:
    folder = stage.project.outputs / "f" / "001_x"
    folder.mkdir(parents=True)
    # the other one has a journal that has no event yet
    other = Journal(folder / ".2026-01-01T000000Z-1.fleet.jsonl", os.O_CREAT)
    with pytest.raises(Refused, match="at work with this runbook already"):
        stage.run(number=1)
    assert stage.begun == []
    other.close()
    stage.run(number=1)
    runs.end_killed(stage.project, "f")
    assert not other.path.exists()


def test_a_run_goes_on_with_what_has_not_passed(stage: Stage) -> None:
    stage.returns = {"t2": [returned(Verdict.FAILED)], "t3": [returned(Verdict.REFUSED)]}
    first = stage.run('waves = ["50%", "100%"]')
    before = {*names(stage)}
    stage.begun.clear()
    # the settings of the waves are those of the run that is resumed
    state = stage.run('waves = ["10%", "100%"]\nfailure_budget = ["5"]', path=stage.journal)
    assert state.verdict is Verdict.PASSED
    assert {*names(stage)} == {f"t{n}" for n in range(10)} - (before - {"t2", "t3"})
    assert [wave.spec for wave in state.waves] == ["50%", "100%"]
    assert state["resumes"] == first["id"]


def test_a_revert_is_gone_on_with_by_who_says_so(stage: Stage) -> None:
    stage.mode = "revert"
    stage.returns = {"t1": [returned(Verdict.FAILED)]}
    state = stage.run(number=2)
    told = report.text(report.as_data(state))
    assert told.endswith("pgrunbook fleet resume 001_x --fleet f --mode revert")
    with pytest.raises(Refused, match="is of another mode"):
        stage.run(path=stage.journal, mode="apply")
    assert stage.run(path=stage.journal).verdict is Verdict.PASSED


def test_the_word_of_a_dead_coordinator_is_not_handed_on(stage: Stage) -> None:
    stage.run(number=5)  # and nobody seals it
    stage.begun.clear()
    stage.ledger = {
        "t1": [LedgerAnswer(known=True, verdict=(Verdict.FAILED, ""))],
        "t2": [LedgerAnswer()],
        "t3": [LedgerAnswer(why="no answer")],
        "t4": [LedgerAnswer(known=True, verdict=(Verdict.PASSED, ""))],
    }
    state = stage.run(path=stage.journal)
    assert sorted(names(stage)) == ["t1", "t2", "t3"]
    assert state.counts() == {"passed": 5}
    record.seal(stage.project, stage.journal, state)
    stage.begun.clear()
    stage.ledger = {"t2": [LedgerAnswer()]}
    assert stage.run(path=stage.journal).counts() == {"passed": 5}
    assert names(stage) == []


def signing(stage: Stage) -> str:
    """The settings of an archive with a key."""
    if not (stage.project.root / "private.pem").exists():
        pair(stage.project.root)
    return '[archive]\nkey = "private.pem"'


def _edited(lines: list[str], **values: Any) -> list[str]:
    return [json.dumps({**json.loads(lines[0]), **values}), *lines[1:]]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: _edited(lines, parameters={"operator": "ada", "lock_timeout": "1h"}),
        lambda lines: _edited(lines, approved={"set": "5c1b", "list": "1", "approver": "eve"}),
        lambda lines: [*lines, *_edited(lines, parameters={"operator": "eve"})[:1]],
        lambda lines: [line for line in lines if '"signed"' not in line],
        lambda lines: [line.replace('"sig": "', '"sig": "0') for line in lines],
        lambda lines: [line.replace('"sig": "', '"sig": "x') for line in lines],
        lambda lines: [line.replace('"sig"', '"gis"') for line in lines],
    ],
)
def test_a_run_goes_on_with_what_it_was_begun_with(
    stage: Stage, change: Callable[[list[str]], list[str]]
) -> None:
    stage.run(signing(stage), number=2)  # and nobody seals it
    written = stage.journal.read_text().splitlines()
    stage.journal.write_text("\n".join([*change(written), ""]))
    with pytest.raises(Refused, match="was not begun with what it says"):
        stage.run(signing(stage), path=stage.journal)
    seal = Archive(stage.project.outputs).read(seal_of(record.notebook_of(stage.journal)))
    assert "at work; it was not begun with what it says" in seal.says


def test_a_journal_that_was_made_a_revert_reverts_nothing(stage: Stage) -> None:
    stage.run(signing(stage), number=2)
    lines = stage.journal.read_text().splitlines()
    stage.journal.write_text("\n".join([*_edited(lines, mode="revert"), ""]))
    with pytest.raises(Refused, match="is of another mode") as caught:
        stage.run(signing(stage), path=stage.journal)
    assert "fleet run" not in str(caught.value)
    with pytest.raises(Refused, match="was not begun with what it says"):
        stage.run(signing(stage), path=stage.journal, mode="revert")
    assert names(stage, "revert") == []


def test_what_was_signed_is_gone_on_with_from_its_own_journal_alone(stage: Stage) -> None:
    stage.run(signing(stage), number=2)
    own = stage.journal
    other = own.with_name(own.name.replace("Z-", "Z-0"))
    other.write_text(own.read_text())
    with pytest.raises(Refused, match="was not begun with what it says"):
        stage.run(signing(stage), path=other)
    assert stage.run(signing(stage), path=own).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "told", [LedgerAnswer(), LedgerAnswer(known=True), LedgerAnswer(last="passed")]
)
def test_a_revert_is_known_by_its_own_verdict_alone(stage: Stage, told: LedgerAnswer) -> None:
    stage.mode = "revert"
    stage.run(number=1)
    stage.begun.clear()
    stage.ledger = {"t0": [told]}
    stage.run(path=stage.journal)
    assert names(stage, "revert") == ["t0"]


def test_a_journal_that_was_changed_after_its_seal_is_not_gone_on_with(stage: Stage) -> None:
    stage.returns = {"t2": [returned(Verdict.FAILED)]}
    stage.run()
    runs.end_killed(stage.project, "f")
    sealed = stage.journal.read_text()
    stage.journal.write_text(sealed.replace('"SERVER_0"', '"SERVER_1"'))
    with pytest.raises(Refused) as caught:
        stage.run(path=stage.journal)
    told = [problem.what for problem in caught.value.problems]
    assert told == ["changed", "lists other targets than it began with"]
    stage.journal.write_text(sealed)
    assert stage.run(path=stage.journal).verdict is Verdict.PASSED


def test_the_run_that_is_meant(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = count()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            """A run an hour: the names of journals have seconds."""
            return datetime(2026, 1, 1, next(hours), tzinfo=tz)

    monkeypatch.setattr(runs, "datetime", Clock)

    def meant(runbook: str = "") -> str:
        return runs.latest(stage.project, "f", runbook).parent.name

    failed = [returned(Verdict.FAILED)]
    stage.run(number=1)
    stage.run(number=1, runbook="002_y")
    assert meant("001_x") == "001_x"
    stage.returns = {"t0": [*failed]}
    stage.run(number=1)
    assert meant() == "001_x"
    stage.run(number=1, runbook="002_y")
    assert meant() == "001_x"
    stage.returns = {"t0": [*failed]}
    stage.run(number=1, runbook="002_y")
    with pytest.raises(Refused, match="001_x, 002_y"):
        meant()
    during: list[str] = []
    stage.during = lambda _: during.append(meant())
    stage.run(number=1, runbook="003_z")
    assert during == ["003_z"]
    assert meant("002_y") == "002_y"


def test_who_goes_on_is_the_operator_and_not_the_approver(stage: Stage) -> None:
    stage.approved = {"set": "5" * 64, "list": "6" * 64, "approver": "grace"}
    stage.returns = {"t2": [returned(Verdict.REFUSED)]}
    stage.run()
    stage.operator = "Grace"
    with pytest.raises(Refused, match="has approved the set"):
        stage.run(path=stage.journal)
    stage.operator = "eve"
    state = stage.run(path=stage.journal)
    assert state["parameters"] == {"operator": "eve"}
    assert state["approved"] == stage.approved


def test_an_executor_that_is_gone_stops_it(stage: Stage) -> None:
    class Gone(ThreadPoolExecutor):
        def submit(self, *given: Any, **named: Any) -> Any:
            if len(stage.begun) >= 3:
                raise ConnectionError("the scheduler does not answer")
            return super().submit(*given, **named)

    stage.executor = Gone
    state = stage.run("workers = 1")
    assert state.verdict is Verdict.INTERRUPTED
    assert "no worker takes a task: ConnectionError: the scheduler does not" in state.reason
    assert state.counts() == {"passed": 3, "failed": 1, "waiting": 6}


# -- the journal


def test_a_line_that_was_broken_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.fleet.jsonl"
    written = Journal.create(path, {"event": "stop", "by": "ada"})
    os.write(written._file, b'{"event": "stop", "by": "gr')
    written.close()
    again = Journal(path)
    again.write({"event": "stop", "by": "eve"})
    assert again.read_added() == {}
    assert {line: event["by"] for line, event in journal.read(path).items()} == {1: "ada", 3: "eve"}
    again.close()


def test_what_others_have_added_is_known_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.fleet.jsonl"
    written = Journal.create(path, {"event": "stop", "by": "ada"})
    journal.add(path, {"event": "stop", "by": "grace"})
    written.write({"event": "stop", "by": "ada"}, {"event": "stop", "by": "ada"})
    with path.open("a") as file:
        file.write('\n7\n{"event": "stop", "by": "eve"}')
    assert {line: event["by"] for line, event in written.read_added().items()} == {2: "grace"}
    written.write({"event": "stop", "by": "ada"})
    assert {line: event["by"] for line, event in written.read_added().items()} == {7: "eve"}
    assert [*journal.read(path)] == [1, 2, 3, 4, 7, 8]
    assert written.read_added() == {}
    written.close()


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "x.fleet.jsonl"
    written = Journal.create(path)
    assert journal.is_at_work(path)
    with pytest.raises(Refused, match="at work already"):
        Journal(path)
    written.close()
    assert not journal.is_at_work(path)


def test_a_journal_that_could_not_be_written_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.os, "fsync", full)
    with pytest.raises(Failed, match="No space left"):
        Journal.create(tmp_path / "x.fleet.jsonl", {"event": "stop"})
    assert [*tmp_path.iterdir()] == []


def test_a_journal_that_was_half_made_is_none(stage: Stage) -> None:
    folder = stage.project.outputs / "f" / "001_x"
    folder.mkdir(parents=True)
    (folder / ".2999-01-01T000000Z-11111111.fleet.jsonl").touch()
    with pytest.raises(Refused, match="has not been run"):
        runs.latest(stage.project, "f")
    runs.end_killed(stage.project, "f")
    assert [*folder.iterdir()] == []


def test_a_target_that_was_at_work_is_known_as_such() -> None:
    events = [
        {"at": "1", "event": "begun", "waves": ["100%"], "budgets": ["0"]},
        {"at": "2", "event": "target", "wave": 0, "target": {"name": "a", "service": "s"}},
        {"at": "3", "event": "started", "name": "a", "run": "r", "attempt": 1},
    ]
    (progress,) = State.of(events).targets.values()
    assert (progress.word, progress.run) == ("at work", "r")
    assert isinstance(progress, TargetState)


# -- the workers


def test_a_worker_that_dies_takes_one_task_with_it() -> None:
    with Processes(2) as workers:
        lost, kept = workers.submit(os._exit, 1), workers.submit(time.sleep, 1)
        with pytest.raises(Exception, match="terminated abruptly"):
            lost.result(60)
        assert workers.submit(os.getpid).result(60) != os.getpid()
        kept.result(60)


def test_a_worker_in_which_a_thread_is_left_gets_no_other_task(tmp_path: Path) -> None:
    """Nor does it keep the coordinator from its end."""
    (tmp_path / "pgrunbook.toml").touch()
    on = str(tmp_path), {"name": "a", "service": "s"}
    with Processes(1) as workers:
        told = [
            workers.submit(task._run_work, *on, work).result(60)
            for work in (given.leave_a_thread, given.say_who, given.leave_a_thread)
        ]
    assert [each["spent"] for each in told] == [True, False, True]
    first, second, third = (each["pid"] for each in told)
    assert first != second == third


def test_workers_end_with_the_coordinator() -> None:
    pid = os.fork()
    if pid == 0:
        Processes(1).submit(time.sleep, 60)
        time.sleep(60)
    worker = _child_of(pid)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 30
    while _runs(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def _child_of(pid: int) -> int:
    """The worker of a process, once it has begun to work."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in _children(pid):
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    time.sleep(1)
                    return child
        time.sleep(0.05)
    raise AssertionError("no worker was begun")


def _children(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, tasks.read_text().split())
