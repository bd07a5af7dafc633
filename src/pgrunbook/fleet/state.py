"""Where a fleet's run stands: each target, each wave, and how it ended. Built from its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgrunbook.errors import Refused, Verdict
from pgrunbook.fleet import events, journal
from pgrunbook.fleet.events import EventKind
from pgrunbook.fleet.journal import Event
from pgrunbook.fleet.targets import FleetTarget


class UnreadableJournal(Refused):
    """The journal of a fleet's run cannot be read."""

    @classmethod
    def at(cls, path: Path, found: str) -> UnreadableJournal:
        """Return the error about a file: `found` is what it holds in place of a journal."""
        return cls.of(
            "is not the journal of a fleet's run",
            where="/".join(path.parts[-3:]),  # from the archive's root
            expected="the events of one, as `pgrunbook fleet run` writes them",
            found=found,
            remedy="take the file from a copy of the archive again, or out of outputs/; what came "
            "of its targets, their ledgers and records say",
        )


# What counts against a budget. Of an interrupted run nobody knows what it left: it counts, too.
_WRONG = (Verdict.FAILED, Verdict.INTERRUPTED)


@dataclass(slots=True)
class TargetState:
    """A target in a fleet's run: its last attempt, and what came of that.

    - `run`: the id of the target's own run. `attempts`: how many it has had.
    - `again`: it is to be tried once more.
    - `not_done`: its run was ended before its backfill was, by `until` or by a stop.
    - `record`, `sha256`: the record of the run, by its path in the archive.
    - `remark`: what is to be told besides the verdict.
    - `verified`: the verdict after the soak, if it was verified.
    """

    target: FleetTarget
    wave: int
    attempts: int = 0
    run: str = ""
    started_at: str = ""
    ended_at: str = ""
    verdict: Verdict | None = None
    reason: str = ""
    record: str = ""
    sha256: str = ""
    again: bool = False
    not_done: bool = False
    remark: str = ""
    verified: Verdict | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether an attempt was begun, and nothing is known of its end."""
        return bool(self.started_at) and not self.ended_at

    @property
    def passed(self) -> bool:
        """Whether the target is in the verified state, as far as is known."""
        return self.verdict is Verdict.PASSED and self.verified in (None, Verdict.PASSED)

    @property
    def failed(self) -> bool:
        """Whether it counts against the budget: something went wrong, or may have. After the soak
        everything counts that was not verified, a server that does not answer included.
        """
        held = self.verified in (None, Verdict.PASSED)
        return not (self.again or self.not_done) and (self.verdict in _WRONG or not held)

    @property
    def set_aside(self) -> bool:
        """Whether its last run was refused or locked out: it changed nothing, and somebody has to
        look.
        """
        left = self.again or self.not_done or self.failed or self.passed
        return not left and self.verdict is not None

    @property
    def word(self) -> str:
        """One of `waiting`, `at work`, `passed`, `not done`, `failed`, `set aside`."""
        if self.is_at_work:
            return "at work"
        if self.passed:
            return "passed"
        if self.not_done:
            return "not done"
        if self.failed:
            return "failed"
        return "set aside" if self.set_aside else "waiting"


@dataclass(slots=True)
class WaveState:
    """A wave in a fleet's run: `state` is `waiting`, `begun`, `soaking`, `verifying`, `stopped` or
    `done`. `spec` and `budget` are as pgrunbook.toml has them.
    """

    spec: str
    budget: str
    state: str = "waiting"
    begun_at: str = ""
    ended_at: str = ""


@dataclass(slots=True)
class State:
    """A fleet's run.

    - `begun`: its first event; `state["soak_s"]` is a key of that.
    - `stopped_by`: who asked for it to be stopped.
    - `left_out`: the numbers of the journal's lines that the run has not written.
    """

    begun: Event = field(default_factory=dict)
    targets: dict[str, TargetState] = field(default_factory=dict)
    waves: list[WaveState] = field(default_factory=list)
    stopped_by: str = ""
    left_out: list[int] = field(default_factory=list)
    verdict: Verdict | None = None
    reason: str = ""
    ended_at: str = ""

    @classmethod
    def of(cls, events: Iterable[Event]) -> State:
        """Return the state after these events."""
        state = cls()
        for event in events:
            state.apply(event)
        return state

    @classmethod
    def read(cls, path: Path) -> State:
        """Return the state that a journal describes. Anybody may have written it: raises
        UnreadableJournal if it is not one.
        """
        try:
            state = cls.of(events.without_left_out(journal.read(path)))
        except LookupError as exc:
            raise UnreadableJournal.at(
                path, "an event of a target or a wave that it does not list"
            ) from exc
        except (OSError, ValueError) as exc:
            raise UnreadableJournal.at(path, getattr(exc, "strerror", None) or str(exc)) from exc
        if not state.begun:
            raise UnreadableJournal.at(path, "no event that begins a run")
        return state

    def __getitem__(self, name: str) -> Any:
        """Return what the run was begun with, under this key of its first event."""
        return self.begun[name]

    @property
    def until(self) -> int:
        """The number of the last wave that the run was asked for, from 1 on."""
        return self.begun.get("until") or len(self.waves)

    @property
    def is_over(self) -> bool:
        """Whether every target has passed: nothing is left to resume."""
        return self.verdict is Verdict.PASSED and all(each.passed for each in self.targets.values())

    def of_wave(self, number: int) -> Iterator[TargetState]:
        """Return the targets of a wave; waves are counted from 0."""
        return (each for each in self.targets.values() if each.wave == number)

    def counts(self, number: int | None = None) -> Counter[str]:
        """Return how many targets, of a wave or of all, are `passed`, `failed` and so on."""
        found = self.targets.values() if number is None else self.of_wave(number)
        return Counter(each.word for each in found)

    def apply(self, event: Event) -> None:
        """Change the state by one more event; one of a kind that is not known changes nothing."""
        at = event["at"]
        match event["event"]:
            case EventKind.BEGUN:
                self.begun = event
                pairs = zip(event["waves"], event["budgets"], strict=True)
                self.waves = [WaveState(*pair) for pair in pairs]
            case EventKind.TARGET:
                target = FleetTarget(**event["target"])
                self.targets[target.name] = TargetState(target, event["wave"])
            case EventKind.WAVE:
                wave = self.waves[event["wave"]]
                wave.state = event["state"]
                wave.begun_at = wave.begun_at or at
                wave.ended_at = at
            case EventKind.STARTED:
                progress = self.targets[event["name"]]
                progress.attempts, progress.run = event["attempt"], event["run"]
                progress.started_at, progress.ended_at = at, ""
            case EventKind.ENDED:
                self._ended(self.targets[event["name"]], event)
            case EventKind.VERIFIED:
                progress = self.targets[event["name"]]
                progress.verified = Verdict(event["verdict"])
                if not progress.passed:
                    progress.remark = f"not verified after the pause: {event['reason']}"
            case EventKind.STOP:
                self.stopped_by = event["by"]
            case EventKind.LEFT_OUT:
                self.left_out.append(event["line"])
            case EventKind.END:
                self.verdict, self.reason = Verdict(event["verdict"]), event["reason"]
                self.ended_at = at

    @staticmethod
    def _ended(progress: TargetState, event: Event) -> None:
        progress.run, progress.verdict = event["run"], Verdict(event["verdict"])
        progress.reason, progress.again = event["reason"], event.get("again", False)
        progress.not_done = event.get("not_done", False)
        progress.record, progress.sha256 = event.get("record", ""), event.get("sha256", "")
        progress.remark = event.get("remark", "")
        verified = event.get("verified")
        progress.verified = Verdict(verified) if verified else None
        progress.started_at = event.get("started_at") or progress.started_at
        progress.ended_at = event.get("ended_at") or event["at"]


def ended(progress: TargetState) -> dict[str, Any]:
    """Return the event with which the journal of a later run repeats what came of a target."""
    return {
        "event": EventKind.ENDED,
        "name": progress.target.name,
        "run": progress.run,
        "verdict": progress.verdict,
        "reason": progress.reason,
        "record": progress.record,
        "sha256": progress.sha256,
        "verified": progress.verified,
        "started_at": progress.started_at,
        "ended_at": progress.ended_at,
    }
