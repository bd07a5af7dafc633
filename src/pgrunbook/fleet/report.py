"""How far a fleet's run is, on one screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pgrunbook.controls import one_line
from pgrunbook.durations import moment, words
from pgrunbook.fleet import journal
from pgrunbook.fleet.command import fleet_command
from pgrunbook.fleet.state import State, WaveState
from pgrunbook.records import fleet_answers
from pgrunbook.records.words import counted, listed

_WORDS = ("passed", "at work", "waiting", "not done", "failed", "set aside")
# What a terminal of 80 columns and 24 lines shows at once; the JSON has all, and the record.
_REASONS = 6
_WIDTH = 80
_OF = 10


def collect(path: Path) -> dict[str, Any]:
    """A run as JSON values: `fleet`, `runbook`, `mode`, `run`, `verdict` (of a run that has none,
    `at work` or `died`), `message`, `started_at`, `ended_at`, `stopped_by`; `left_out`, the numbers
    of the journal's lines that are somebody else's; `waves`, each with `of`, `budget`, `state`,
    `soaks_until` (while it does), and how many targets are what; `targets`, those that have not
    passed and were begun, each with `name`, `wave`, `state`, `reason`, `attempts`, `run`, `record`,
    `remark`.
    """
    return as_data(State.read(path), "at work" if journal.is_at_work(path) else "died")


def as_data(state: State, unended: str = "died") -> dict[str, Any]:
    """The same of a run that is known."""
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
        "waves": [
            {
                "of": wave.spec,
                "budget": wave.budget,
                "state": wave.state,
                "soaks_until": _soaks_until(state, wave),
                **{word: state.counts(number)[word] for word in _WORDS},
            }
            for number, wave in enumerate(state.waves)
        ],
        "targets": [
            {
                "name": each.target.name,
                "wave": each.wave + 1,
                "state": each.word,
                "reason": each.reason,
                "attempts": each.attempts,
                "run": each.run,
                "record": each.record,
                "remark": each.remark,
            }
            for each in state.targets.values()
            if each.attempts and (not each.passed or each.remark)
        ],
    }


def _soaks_until(state: State, wave: WaveState) -> str:
    if wave.state != "soaking":
        return ""
    since = datetime.fromisoformat(wave.ended_at)
    return (since + timedelta(seconds=state.begun.get("soak_s", 0))).isoformat()


def text(found: dict[str, Any]) -> str:
    """The report for a terminal."""
    head = f"{found['runbook']} on fleet {found['fleet']}, run {found['run'][:8]}"
    lines = [f"{head}: {found['verdict']}"]
    at_work = found["verdict"] == "at work"
    if found["message"]:
        lines.append(f"  {found['message']}")
    if at_work:
        lines.append(f"  {_far(found)}")
    if found["stopped_by"] and at_work:
        lines.append(f"  {found['stopped_by']} has stopped it: no further target is begun")
    if lines_of_others := [f"{line:,}" for line in found["left_out"]]:
        lines.append(f"  left out, as somebody else has added it: line {listed(lines_of_others)}")
    columns = "".join(f"  {word:>6}" for word in _WORDS)
    lines.append(f"{'wave':<4} {'of':<{_OF}} {'state':<9}{columns}")
    for number, wave in enumerate(found["waves"], 1):
        counts = "".join(f"  {wave[word]:>{max(6, len(word))},}" for word in _WORDS)
        lines.append(f"{number:<4} {_cut(wave['of'], _OF):<{_OF}} {wave['state']:<9}{counts}")
    if names := [each["name"] for each in found["targets"] if each["state"] == "at work"]:
        lines.append(_cut(f"at work: {listed(names)}", _WIDTH))
    reasons = fleet_answers.reasons([t for t in found["targets"] if t["state"] != "at work"])
    for state, why, names in reasons[:_REASONS]:
        lines.append(_cut(f"{state}: {listed(names)}", _WIDTH))
        lines.append(_cut(f"  {one_line(why)}", _WIDTH))
    if (more := len(reasons) - _REASONS) > 0:
        lines.append(f"and {more} more reasons: --json has all")
    left = any(wave[word] for wave in found["waves"] for word in _WORDS if word != "passed")
    about = found["runbook"], found["fleet"]
    if at_work and not found["stopped_by"]:
        lines.append(f"begin no further target: {fleet_command('abort', *about)}")
    elif left and not at_work:
        resume = fleet_command("resume", *about, mode=found["mode"])
        lines.append(f"go on with what has not passed: {resume}")
    return "\n".join(map(one_line, lines))


def _far(found: dict[str, Any]) -> str:
    """How far a run at work is: `443 of 1,000 targets passed (44%), 3 min 2 s after it began`;
    and until when a wave soaks.
    """
    passed = sum(wave["passed"] for wave in found["waves"])
    of = sum(wave[word] for wave in found["waves"] for word in _WORDS)
    since = datetime.now(UTC) - datetime.fromisoformat(found["started_at"])
    text = f"{passed:,} of {counted(of, 'target')} passed ({passed / max(of, 1):.0%})"
    soaks = [wave["soaks_until"] for wave in found["waves"] if wave["soaks_until"]]
    soaking = f"; soaks until {moment(soaks[0])}" if soaks else ""
    return f"{text}, {words(since.total_seconds() * 1000)} after it began{soaking}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
