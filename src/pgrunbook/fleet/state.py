"""Where a fleet's run stands, as its journal says: each target, each wave, and how it ended."""

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
        """Of a file in the place of a journal: what it holds instead."""
        return cls.of(
            "is no journal of a fleet's run",
            where="/".join(path.parts[-3:]),  # from the archive's root
            expected="the events of one, as `pgrunbook fleet run` writes them",
            found=found,
            remedy="take the file from a copy of the archive again, or out of outputs/; what came "
            "of its targets, their ledgers and records say",
        )


# What counts against a budget: it went wrong, or may have.
_WRONG = (Verdict.FAILED, Verdict.INTERRUPTED)


@dataclass(slots=True)
class TargetState:
    """A target in the run: its last attempt, by the id of the run, and what came of that. `again`:
    it is to be tried once more. `not_done`: it was ended before its backfill, as it was to.
    `remark`: what is to be told besides the verdict.
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
        """Whether an attempt was begun of which nothing is known yet."""
        return bool(self.started_at) and not self.ended_at

    @property
    def passed(self) -> bool:
        """Whether the target is in the verified state, for all that is known."""
        return self.verdict is Verdict.PASSED and self.verified in (None, Verdict.PASSED)

    @property
    def failed(self) -> bool:
        """Whether it counts against the budget: something went wrong, or may have. After the soak
        that is whatever has not verified, a server that does not answer included.
        """
        held = self.verified in (None, Verdict.PASSED)
        return not (self.again or self.not_done) and (self.verdict in _WRONG or not held)

    @property
    def set_aside(self) -> bool:
        """Whether nothing was changed there, and somebody has to look."""
        left = self.again or self.not_done or self.failed or self.passed
        return not left and self.verdict is not None

    @property
    def word(self) -> str:
        """What it is in a word or two: `waiting`, `at work`, `passed`, `not done`, `failed` or `set
        aside`.
        """
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
    """A wave in the run: `state` is `waiting`, `begun`, `soaking`, `verifying` or `done`."""

    spec: str
    budget: str
    state: str = "waiting"
    begun_at: str = ""
    ended_at: str = ""


@dataclass(slots=True)
class State:
    """A fleet's run. `stopped_by`: who asked for it to be stopped. `left_out`: the numbers of the
    journal's lines that others have added, and that are none of its events.
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
        """What these events make."""
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
        """What the run was begun with."""
        return self.begun[name]

    @property
    def until(self) -> int:
        """The number of the last wave that the run was asked for, from 1 on."""
        return self.begun.get("until") or len(self.waves)

    @property
    def is_over(self) -> bool:
        """Whether every target has passed: there is nothing to go on with."""
        return self.verdict is Verdict.PASSED and all(each.passed for each in self.targets.values())

    def of_wave(self, number: int) -> Iterator[TargetState]:
        """The targets of a wave, counted from 0."""
        return (each for each in self.targets.values() if each.wave == number)

    def counts(self, number: int | None = None) -> Counter[str]:
        """How many targets, of a wave or of all, are what."""
        found = self.targets.values() if number is None else self.of_wave(number)
        return Counter(each.word for each in found)

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        at = event["at"]
        match event["event"]:
            case EventKind.BEGUN:
                self.begun = event
                budgets = event["budgets"]
                self.waves = [
                    WaveState(*each) for each in zip(event["waves"], budgets, strict=True)
                ]
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
    """The event that says what is known of a target that has ended, as another run's journal is to
    have it.
    """
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
