"""Begins, resumes and finds the runs of a fleet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pgrunbook.errors import Problem, Refused, Verdict
from pgrunbook.fleet import approval, journal, record, signature, targets, task, waves
from pgrunbook.fleet.command import fleet_command
from pgrunbook.fleet.events import EventKind
from pgrunbook.fleet.journal import Event, Journal
from pgrunbook.fleet.outcome import ASKING, Ledgers
from pgrunbook.fleet.settings import Fleet
from pgrunbook.fleet.state import State, UnreadableJournal, ended
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.fleet.waves import WHOLE, Slice
from pgrunbook.records import verification
from pgrunbook.records.archive import Archive
from pgrunbook.records.naming import JOURNAL
from pgrunbook.records.untrusted_files import is_regular
from pgrunbook.runbooks.project import Project


def begin(
    project: Project,
    fleet: Fleet,
    runbook: str,
    found: Sequence[FleetTarget],
    *,
    mode: str,
    given: Mapping[str, Any],
    approved: Mapping[str, str],
    code: str = "",
    until: int | None = None,
    part: Slice = WHOLE,
) -> tuple[Journal, State]:
    """Begin a run of the runbook on these targets: write the first lines of its journal.

    - `given`: the parameters of every target, without those that each target has of its own.
    - `approved`: the approval of a set, or empty. `code`: the digest of what the runbook runs.
    - `until`: the number of the last wave, from 1 on. `part`: only the targets of this slice.

    Raises Refused if a run is at work, if the waves name targets that are not there, or if there is
    no such wave.
    """
    waves.require_wave(until, len(fleet.waves))
    divided = waves.divide(fleet, found)
    own = part.names(found)
    begun = {
        "runbook": runbook,
        "mode": mode,
        "parameters": dict(given),
        "code": code,
        "list": targets.digest(found),
        "own": targets.digest(target for target in found if target.name in own),
        "slice": str(part),
        "until": until,
        "approved": dict(approved),
        "waves": list(fleet.settings.waves),
        "budgets": _budgets(fleet),
    }
    members = []
    for number, wave in enumerate(divided):
        for target in wave:
            if target.name in own:
                members.append(_target_event(number, target))
    return _create_journal(project, fleet, begun, members)


def resume(
    project: Project,
    fleet: Fleet,
    path: Path,
    operator: str,
    until: int | None = None,
    mode: str = "apply",
) -> tuple[Journal, State]:
    """Begin a run that goes on with the targets which have not passed in an earlier one.

    It has the targets, waves and parameters of the earlier run, but for the operator; the workers,
    the soak and the time for a cell are those of pgrunbook.toml now. It ends after the wave
    `until`.

    Raises Refused if the operator has approved the set, if the earlier run is not as it was sealed,
    or if what it ran was changed.
    """
    before = State.read(path)
    _require_mode(before, mode)  # before a command with the mode of the journal is proposed
    _require_as_sealed(project, path, before)
    _require_same_code(project, before)
    waves.require_wave(until, len(before.waves))
    approval.require_another(before["approved"], operator)
    kept = ("runbook", "mode", "list", "approved", "waves", "budgets")
    begun = {
        **{name: before[name] for name in kept},
        **{name: before.begun.get(name, "") for name in ("slice", "own", "code")},
        "until": until,
        "parameters": {**before["parameters"], "operator": operator},
        "resumes": before["id"],
    }
    members: list[Event] = []
    passed = _find_passed(project, path, before)
    for each in before.targets.values():
        members.append(_target_event(each.wave, each.target))
        if each.target.name in passed:
            members.append(ended(each))
    return _create_journal(project, fleet, begun, members)


def _target_event(wave: int, target: FleetTarget) -> Event:
    return {"event": EventKind.TARGET, "wave": wave, "target": target.as_row()}


def _find_passed(project: Project, path: Path, before: State) -> set[str]:
    """Return the names of the targets that have passed in an earlier run.

    If its coordinator has died, nobody has sealed its journal, and the targets' ledgers are asked.
    A target whose ledger cannot be asked is run again, which does no harm.
    """
    found = [each for each in before.targets.values() if each.passed]
    if not record.is_from_ledgers(project, path):
        with closing(Ledgers(project)) as ledgers, ThreadPoolExecutor(ASKING) as asking:
            ask = partial(ledgers.passed, runbook=before["runbook"], mode=before["mode"])
            told = [*asking.map(ask, found)]
        found = [each for each, passed in zip(found, told, strict=True) if passed]
    return {each.target.name for each in found}


def _require_as_sealed(project: Project, path: Path, before: State) -> None:
    """Raise Refused unless the earlier run is as it was sealed: its journal could have been edited
    to name other databases.
    """
    keys = verification.trusted_keys(project)
    archive = Archive(project.outputs)
    problems = list(verification.verify(archive, keys, only=record.notebook_of(path)).problems)
    if not problems and not record.is_from_ledgers(project, path):
        problems += signature.problems(project, path)
    listed = targets.digest(each.target for each in before.targets.values())
    expected = before.begun.get("own") or before["list"]
    if listed != expected:
        problems.append(
            Problem("lists other targets than it began with", path.name, expected, listed)
        )
    if problems:
        raise Refused(
            "The earlier run is not as it was sealed. To begin anew, which finds what is done: "
            f"{_anew_command(before)}",
            problems=problems,
        )


def _require_mode(before: State, mode: str) -> None:
    """Raise Refused if the earlier run is of another mode than the command says. The journal of a
    coordinator that has died is not sealed: it is not to decide between apply and revert.
    """
    if before["mode"] != mode:
        about = before["runbook"], before["fleet"], "--mode", before["mode"]
        raise Refused.of(
            "is of another mode",
            where=f"fleet {before['fleet']!r}",
            expected=mode,
            found=before["mode"],
            remedy=f"where that is meant: {fleet_command('resume', *about)}",
        )


def _require_same_code(project: Project, before: State) -> None:
    """Raise Refused if the runbook's files were changed since the run began: the targets of one run
    are all run by the same.
    """
    runbook = before["runbook"]
    if task.is_changed(project, runbook, before.begun.get("code", "")):
        raise Refused.of(
            task.CHANGED,
            where=runbook,
            remedy=f"put them back as they were; or begin anew: {_anew_command(before)}",
        )


def _anew_command(before: State) -> str:
    """Return the command that begins a run like an earlier one."""
    return fleet_command("run", before["runbook"], before["fleet"], mode=before["mode"])


def _create_journal(
    project: Project, fleet: Fleet, begun: Mapping[str, Any], members: Sequence[Event]
) -> tuple[Journal, State]:
    folder = project.outputs / fleet.name / begun["runbook"]
    run_id = str(uuid.uuid4())
    path = folder / f"{_begin_time(project, fleet.name)}-{run_id[:8]}{JOURNAL}"
    settings = fleet.settings
    first = {
        "event": EventKind.BEGUN,
        "id": run_id,
        "fleet": fleet.name,
        **begun,
        "soak_s": fleet.soak_s,
        "cell_timeout_s": fleet.cell_timeout_s,
        "per_server": settings.per_server,
        "workers": settings.workers,
        "executor": settings.executor,
    }
    check = partial(_require_idle, fleet.name)
    written = Journal.create(
        path, *signature.sign(project, path.name, [first, *members]), check=check
    )
    return written, State.of(written.begun)


def _begin_time(project: Project, fleet: str) -> str:
    """Return the time at which a run begins, for the name of its journal, to the millisecond.

    The last run by name has to be the last one. So where the clock was ahead before, this is a
    millisecond after the latest name.
    """
    now = datetime.now(UTC)
    for path in journals(project, fleet):
        with suppress(ValueError, OverflowError):  # not named by us
            before = datetime.strptime(path.name.partition("Z-")[0], "%Y-%m-%dT%H%M%S.%f")
            now = max(now, before.replace(tzinfo=UTC) + timedelta(milliseconds=1))
    return f"{now:%Y-%m-%dT%H%M%S}.{now.microsecond // 1000:03}Z"


def end_killed(project: Project, fleet: str) -> list[Problem]:
    """End the runs of a fleet whose coordinator was killed, and seal their records.

    A half-made journal is removed: nothing was begun with it. A journal that cannot be read is left
    as it is. Returns what is wrong with each of those.
    """
    problems: list[Problem] = []
    for path in (project.outputs / fleet).glob(f"*/.*{JOURNAL}"):
        if not journal.is_at_work(path):
            path.unlink()
    for path in sorted(journals(project, fleet)):
        if record.is_sealed(project, path) or journal.is_at_work(path):
            continue
        try:
            State.read(path)  # before anything is added to it
        except UnreadableJournal as exc:
            problems += exc.problems
            continue
        with closing(Journal(path)) as left:
            record.seal(project, path, _end_run(project, left), found=True)
    return problems


def _end_run(project: Project, left: Journal) -> State:
    """End a run whose coordinator was killed, and return its state. What came of the targets that
    were at work, their ledgers say.
    """
    state = State.read(left.path)
    if state.verdict is not None:
        return state
    with closing(Ledgers(project)) as ledgers:
        for progress in state.targets.values():
            if progress.is_at_work:
                event = ledgers.conclude(state, progress, None, "its coordinator was killed")
                state.apply(*left.write(event))
    why = "its coordinator was killed; a later run goes on"
    state.apply(
        *left.write({"event": EventKind.END, "verdict": Verdict.INTERRUPTED, "reason": why})
    )
    return state


def _require_idle(fleet: str, own: Path) -> None:
    """Raise Refused if another process is at work in the folder of this journal, or is about to be.

    Of two processes that begin at once each sees the other's half-made journal: at least one is
    refused.
    """
    for path in own.parent.glob(f"*{JOURNAL}"):
        if path != own and journal.is_at_work(path):
            status = fleet_command("status", path.parent.name, fleet)
            raise Refused.of(
                "is at work with this runbook already",
                where=f"fleet {fleet!r}",
                found=path.name,
                remedy=f"wait until it has ended: {status}",
            )


def latest(project: Project, fleet: str, runbook: str = "") -> Path:
    """Return the journal of a fleet's last run with this runbook.

    Without a runbook it is the one whose run is at work; else the one whose last run has not
    passed; else that of the last run of all. Raises Refused if there is none, or if several are at
    work or have not passed.
    """
    last: dict[str, Path] = {}
    for path in sorted(journals(project, fleet, runbook or "*"), key=lambda path: path.name):
        last[path.parent.name] = path
    if not last:
        raise Refused.of(
            "has not been run",
            where=f"fleet {fleet!r}",
            remedy=fleet_command("run", runbook or "001", fleet),
        )
    at_work = [path for path in last.values() if journal.is_at_work(path)]
    if len(last) == 1 or len(at_work) == 1:
        return (at_work or [*last.values()])[0]
    left = at_work or [each for each in last.values() if not _is_over(each)]
    if len(left) > 1:
        names = [path.parent.name for path in left]
        raise Refused.of(
            "has several runs, of which none is meant more than the others",
            where=f"fleet {fleet!r}",
            expected="the runbook of one that is at work, or has not passed",
            found=", ".join(names),
            remedy=f"name the runbook: {fleet_command('status', names[0], fleet)}",
        )
    return left[0] if left else max(last.values(), key=lambda path: path.name)


def journals(project: Project, fleet: str, runbook: str = "*") -> Iterator[Path]:
    """Return the journals of a fleet's runs. Half-made ones are left out: they begin with a dot."""
    found = (project.outputs / fleet).glob(f"{runbook}/[!.]*{JOURNAL}")
    return filter(is_regular, found)


def _is_over(path: Path) -> bool:
    """Return whether a run has passed on all targets, as far as its journal can be read."""
    try:
        return State.read(path).is_over
    except UnreadableJournal:
        return False


def _budgets(fleet: Fleet) -> list[str]:
    given = fleet.settings.failure_budget
    return list(given if len(given) == len(fleet.waves) else given * len(fleet.waves))
