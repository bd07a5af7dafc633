"""Reports how far a fleet's run is, on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pgrunbook.controls import one_line
from pgrunbook.durations import moment, words
from pgrunbook.fleet import journal
from pgrunbook.fleet.command import fleet_command
from pgrunbook.fleet.state import State, TargetState, WaveState
from pgrunbook.records import fleet_answers
from pgrunbook.records.words import counted, listed

# What a target can be, as `TargetState.word` has it; also keys of the JSON.
_WORDS = ("passed", "at work", "waiting", "not done", "failed", "set aside")
# All of it fits a terminal of 80 columns and 24 lines. The JSON has everything, and the record.
_REASONS = 6
_WIDTH = 80
_OF = 10  # characters of the column `of`: a wave as pgrunbook.toml has it


def collect(path: Path) -> dict[str, Any]:
    """Return the run of a journal as JSON values.

    - `fleet`, `runbook`, `mode`, `run`, `message`, `started_at`, `ended_at`, `stopped_by`.
    - `verdict`: of a run that has none, `at work` or `died`.
    - `left_out`: the numbers of the journal's lines that the run has not written.
    - `waves`: each with `of`, `budget`, `state`, `soaks_until` (while it does), and how many of its
      targets are what.
    - `targets`: those that were begun and have not passed, each with `name`, `wave`, `state`,
      `reason`, `attempts`, `run`, `record` and `remark`.
    """
    return as_data(State.read(path), "at work" if journal.is_at_work(path) else "died")


def as_data(state: State, unended: str = "died") -> dict[str, Any]:
    """Return the same of a run whose state is known. `unended`: the verdict of one without."""
    return {
        "fleet": state["fleet"],
        "runbook": state["runbook"],
        "mode": state["mode"],
        "run": state["id"],
        "verdict": state.verdict or unended,
        "message": state.reason,
        "problems": [],
        "started_at": state["at"],
        "ended_at": state.ended_at,
        "stopped_by": state.stopped_by,
        "left_out": state.left_out,
        "waves": [_wave(state, number) for number in range(len(state.waves))],
        "targets": [_target(each) for each in state.targets.values() if _is_of_interest(each)],
    }


def _wave(state: State, number: int) -> dict[str, Any]:
    wave, counts = state.waves[number], state.counts(number)
    return {
        "of": wave.spec,
        "budget": wave.budget,
        "state": wave.state,
        "soaks_until": _soaks_until(state, wave),
        **{word: counts[word] for word in _WORDS},
    }


def _is_of_interest(target: TargetState) -> bool:
    return bool(target.attempts) and (not target.passed or bool(target.remark))


def _target(each: TargetState) -> dict[str, Any]:
    return {
        "name": each.target.name,
        "wave": each.wave + 1,
        "state": each.word,
        "reason": each.reason,
        "attempts": each.attempts,
        "run": each.run,
        "record": each.record,
        "remark": each.remark,
    }


def _soaks_until(state: State, wave: WaveState) -> str:
    if wave.state != "soaking":
        return ""
    since = datetime.fromisoformat(wave.ended_at)
    return (since + timedelta(seconds=state.begun.get("soak_s", 0))).isoformat()


def text(found: dict[str, Any]) -> str:
    """Return the report as lines for a terminal."""
    head = f"{found['runbook']} on fleet {found['fleet']}, run {found['run'][:8]}"
    lines = [f"{head}: {found['verdict']}"]
    at_work = found["verdict"] == "at work"
    if found["message"]:
        lines.append(f"  {found['message']}")
    if at_work:
        lines.append(f"  {_progress_line(found)}")
    if found["stopped_by"] and at_work:
        lines.append(f"  {found['stopped_by']} has stopped it: no further target is begun")
    if lines_of_others := [f"{line:,}" for line in found["left_out"]]:
        lines.append(f"  left out, as somebody else has added it: line {listed(lines_of_others)}")
    columns = "".join(f"  {word:>6}" for word in _WORDS)
    lines.append(f"{'wave':<4} {'of':<{_OF}} {'state':<9}{columns}")
    for number, wave in enumerate(found["waves"], 1):
        counts = "".join(f"  {wave[word]:>{max(6, len(word))},}" for word in _WORDS)
        lines.append(f"{number:<4} {_shorten(wave['of'], _OF):<{_OF}} {wave['state']:<9}{counts}")
    if names := [each["name"] for each in found["targets"] if each["state"] == "at work"]:
        lines.append(_shorten(f"at work: {listed(names)}", _WIDTH))
    reasons = fleet_answers.reasons([t for t in found["targets"] if t["state"] != "at work"])
    for state, why, names in reasons[:_REASONS]:
        lines.append(_shorten(f"{state}: {listed(names)}", _WIDTH))
        lines.append(_shorten(f"  {one_line(why)}", _WIDTH))
    if (more := len(reasons) - _REASONS) > 0:
        lines.append(f"and {more} more reasons: --json has all")
    left = any(_total(wave) > wave["passed"] for wave in found["waves"])
    about = found["runbook"], found["fleet"]
    if at_work and not found["stopped_by"]:
        lines.append(f"begin no further target: {fleet_command('abort', *about)}")
    elif left and not at_work:
        resume = fleet_command("resume", *about, mode=found["mode"])
        lines.append(f"go on with what has not passed: {resume}")
    return "\n".join(map(one_line, lines))


def _progress_line(found: dict[str, Any]) -> str:
    """Return how far a run at work is: `443 of 1,000 targets passed (44%), 3 min 2 s after it
    began`; and until when a wave soaks.
    """
    passed = sum(wave["passed"] for wave in found["waves"])
    of = sum(map(_total, found["waves"]))
    since = datetime.now(UTC) - datetime.fromisoformat(found["started_at"])
    text = f"{passed:,} of {counted(of, 'target')} passed ({passed / max(of, 1):.0%})"
    soaks = [wave["soaks_until"] for wave in found["waves"] if wave["soaks_until"]]
    soaking = f"; soaks until {moment(soaks[0])}" if soaks else ""
    return f"{text}, {words(since.total_seconds() * 1000)} after it began{soaking}"


def _total(wave: Mapping[str, Any]) -> int:
    return sum(wave[word] for word in _WORDS)


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
