"""Takes a fleet's targets through its waves, and decides when nothing further is begun.

One thread drives the run, and it alone writes the journal. Tasks run in an executor; ledgers are
asked by threads, as a server that does not answer must not hold up the others.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pgrunbook import signals
from pgrunbook.controls import one_line
from pgrunbook.errors import Verdict, first_line
from pgrunbook.fleet import events, executors, task
from pgrunbook.fleet.concurrency import Concurrency
from pgrunbook.fleet.events import EventKind
from pgrunbook.fleet.executors import Processes
from pgrunbook.fleet.journal import Event, Journal
from pgrunbook.fleet.outcome import ASKING, Ledgers
from pgrunbook.fleet.settings import Share
from pgrunbook.fleet.state import State, TargetState
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.records.words import counted
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets.patterns import redact

# How often to look whether somebody has asked for a stop, and whether it is time to go on.
TICK_S = 0.5
# A target that was interrupted or locked out is tried so often in all. The pause before the next
# attempt doubles each time.
ATTEMPTS = 4
PAUSE_S = 5.0
# How often to say how far a wave is.
_TELLING_S = 60.0


@dataclass
class Coordinator:
    """A fleet's run at work.

    Everything that it knows is in the journal first: whoever resumes the run after a kill knows the
    same. `tell` is called with a line about how far a wave is, and with warnings.
    """

    project: Project
    journal: Journal
    state: State
    executor: Executor
    ledgers: Ledgers
    concurrency: Concurrency
    tell: Callable[[str], None]
    pause_s: float = PAUSE_S
    task: Any = task.run_one  # what a worker calls; a test has its own
    # Tasks at work; and targets whose task has ended, while their ledgers are asked.
    _tasks: dict[Future[Any], TargetState] = field(default_factory=dict)
    _asked: dict[Future[Event], TargetState] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)  # see Concurrency.next_ready
    _hurried: bool = False  # a second signal has come, and the workers were stopped
    _broken: str = ""  # why no further target can be begun, signals and requests apart
    _told_at: float = 0.0

    def run(self) -> State:
        """Run the runbook on every target that has not passed, wave by wave. Returns the state at
        the end.
        """
        with ThreadPoolExecutor(ASKING) as self._asking:
            verdict, reason = self._run_waves()
            self._note({"event": EventKind.END, "verdict": verdict, "reason": reason})
            self._read_added()
        return self.state

    def _run_waves(self) -> tuple[Verdict, str]:
        """Run each wave in order, up to what stops them. Returns the verdict and the reason."""
        for number in range(self.state.until):
            waiting = [each for each in self.state.of_wave(number) if not each.passed]
            if waiting or self._to_verify(number):
                self._run_wave(number, waiting)
            else:  # an empty one, or all of it has passed in an earlier run
                self._note(self._wave_event(number, "done"))
            why = self._why_ended(number)
            if why:
                return self._verdict(), f"{why}; {self._counts()}"
        return self._verdict(), self._counts()

    def _verdict(self) -> Verdict:
        """Return how the run has ended. A target that failed, or was set aside, counts for more
        than one that is not done: an operator has to look at it.
        """
        asked = (each for each in self.state.targets.values() if each.wave < self.state.until)
        left = {each.word for each in asked if not each.passed}
        if self._asked_to_stop or (left and left <= {"not done", "waiting"}):
            return Verdict.INTERRUPTED
        return Verdict.FAILED if left else Verdict.PASSED

    def _run_wave(self, number: int, waiting: Sequence[TargetState]) -> None:
        """Run the runbook on the targets that wait, let the wave soak, and verify it."""
        self._note(self._wave_event(number, "begun"))
        self._require_same_code()
        self._run_targets(number, waiting, self.state["mode"])
        if self._unverified(number) and not self._why_ended(number):
            self._soak(number)
            self._require_same_code()
        if self._to_verify(number) and not self._why_ended(number):
            self._note(self._wave_event(number, "verifying"))
            self._run_targets(number, self._to_verify(number), "verify")
        self._note(self._wave_event(number, "stopped" if self._why_ended(number) else "done"))

    def _require_same_code(self) -> None:
        """Stop if targets would be run by other files than those before them."""
        if task.is_changed(self.project, self.state["runbook"], self.state.begun.get("code", "")):
            self._broken = task.CHANGED

    def _to_verify(self, number: int) -> list[TargetState]:
        """Return the targets of a wave that are to be verified after its soak."""
        if self.state["mode"] == "revert":  # nothing is to hold any more
            return []
        return self._unverified(number)

    def _unverified(self, number: int) -> list[TargetState]:
        """Return the targets of a wave that have passed and were not verified since.

        Some may have passed in an earlier run that was stopped during the soak. There are none in
        the last wave, as no wave waits for its result, and none without a soak.
        """
        if number == len(self.state.waves) - 1 or not self.state["soak_s"]:
            return []
        return [each for each in self.state.of_wave(number) if each.passed and not each.verified]

    def _soak(self, number: int) -> None:
        """Wait, so that what goes wrong a while later shows before the next wave."""
        # the monotonic clock: a soak is as long as it says, whatever sets the system's time
        until = time.monotonic() + self.state["soak_s"]
        self._note(self._wave_event(number, "soaking"))
        while time.monotonic() < until and not self._why_stopped(number):
            time.sleep(TICK_S)

    def _run_targets(self, number: int, waiting: Sequence[TargetState], mode: str) -> None:
        """Run the runbook in this mode on these targets, until all have ended or nothing further
        may be begun.
        """
        # Who is interrupted comes back to the end of the queue.
        queue = [each.target for each in waiting]
        while True:
            stopped = self._why_stopped(number)
            while not stopped and (target := self._next_target(queue)):
                queue.remove(target)
                self._begin(self.state.targets[target.name], mode)
            at_work = [*self._tasks, *self._asked]
            if not at_work and (stopped or not queue):
                return
            if not at_work:  # all that are left wait for their next attempt
                time.sleep(min(TICK_S, self.pause_s))
                continue
            if time.monotonic() - self._told_at > _TELLING_S:
                self._tell_progress(number, "at work")
            for future in wait(at_work, TICK_S, FIRST_COMPLETED).done:
                if future in self._tasks:
                    self._take_end(future, self._tasks.pop(future), mode)
                else:
                    # its ledger has answered
                    progress = self._asked.pop(future)
                    self._note(future.result())
                    if progress.again:
                        pause = self.pause_s * 2 ** (progress.attempts - 1)
                        self._not_before[progress.target.name] = time.monotonic() + pause
                        queue.append(progress.target)

    def _next_target(self, queue: Sequence[FleetTarget]) -> FleetTarget | None:
        """Return the first target of the queue that may be begun now."""
        # One that has ended keeps its place until its ledger has said how: its failure may use up
        # the budget.
        unknown = [*self._tasks.values(), *self._asked.values()]
        at_work = [progress.target for progress in unknown]
        return self.concurrency.next_ready(queue, at_work, self._not_before)

    def _begin(self, progress: TargetState, mode: str) -> None:
        """Give a target to a worker."""
        # In the journal first: if we are killed, whoever resumes asks the target's ledger of it.
        run_id = str(uuid.uuid4())
        if mode != "verify":
            event = {"event": EventKind.STARTED, "name": progress.target.name, "run": run_id}
            self._note({**event, "attempt": progress.attempts + 1})
        call = partial(
            self.task,
            str(self.project.root),
            self.state["fleet"],
            self.state["runbook"],
            progress.target.as_row(),
            self.state["parameters"],
            mode,
            run_id,
            cell_timeout_s=self.state["cell_timeout_s"],
            begun_with=self.state.begun.get("code", ""),
            approved=self.state["approved"] if mode != "verify" else {},
        )
        if executors.may_repeat(self.state["executor"]):
            server, most = self.concurrency.server(progress.target), self.concurrency.per_server
            call = partial(executors.run_limited, server, most, call, once=mode != "verify")
        try:
            future = self.executor.submit(call)
        except Exception as exc:
            # There is no executor any more: each kind of executor raises something else then.
            self._broken = f"no worker takes a task: {type(exc).__name__}: {first_line(exc)}"
            future = Future()
            future.set_exception(exc)
        self._tasks[future] = progress

    def _take_end(self, future: Future[Any], progress: TargetState, mode: str) -> None:
        """Take the end of a task: note how a verification ended; of a run, ask the target's ledger.

        The task may have been lost with its worker. It is believed of a verification, which writes
        nothing anywhere; of a run, the ledger knows better.
        """
        returned, lost = None, ""
        try:
            returned = future.result()
        except Exception as exc:
            # The task, or its worker: each kind of executor raises something else then.
            lost = f"{type(exc).__name__}: {first_line(exc)}"
        if mode == "verify":
            answer = returned or {"verdict": Verdict.INTERRUPTED, "reason": lost}
            about = {"name": progress.target.name, "verdict": answer["verdict"]}
            self._note({"event": EventKind.VERIFIED, **about, "reason": redact(answer["reason"])})
            return
        self._asked[self._asking.submit(self._conclude, progress, returned, lost)] = progress

    def _conclude(
        self, progress: TargetState, returned: Mapping[str, Any] | None, lost: str
    ) -> Event:
        """Return the event of a run's end, as the target's ledger has it. Called in a thread; it
        writes nothing to the journal.
        """
        event = self.ledgers.conclude(self.state, progress, returned, lost)
        over = event["not_done"] or progress.attempts >= ATTEMPTS or self._asked_to_stop
        again = not over and event["verdict"] in (Verdict.INTERRUPTED, Verdict.LOCKED_OUT)
        return {**event, "again": again}

    def _tell_progress(self, number: int, state: str) -> None:
        counts = self.state.counts(number)
        said = ", ".join(f"{many:,} {word}" for word, many in counts.items()) or "no targets"
        self.tell(f"wave {number + 1} of {len(self.state.waves)}: {state}; {said}")
        self._told_at = time.monotonic()

    def _wave_event(self, number: int, state: str) -> Event:
        self._tell_progress(number, state)
        return {"event": EventKind.WAVE, "wave": number, "state": state}

    def _note(self, event: Event) -> None:
        for written in self.journal.write(event):
            self.state.apply(written)

    def _read_added(self) -> None:
        """Take in what others have added to the journal: that the run is to stop. Whatever else
        they have added is left out, and noted, so that readers leave it out, too.
        """
        for line, event in self.journal.read_added().items():
            why = events.why_not_added(event)
            if not why:
                self.state.apply(event)
                continue
            where = f"line {line} of {self.journal.path.name}"
            self.tell(one_line(f"warning: {where} is somebody else's, and is left out: {why}"))
            self._note({"event": EventKind.LEFT_OUT, "line": line, "why": why})

    def _counts(self) -> str:
        counts = self.state.counts()
        words = ("passed", "not done", "failed", "set aside", "waiting")
        listed = [f"{counts[word]:,} {word}" for word in words if counts[word]]
        text = f"{counted(counts.total(), 'target')}: {', '.join(listed)}"
        if self.state.until == len(self.state.waves):
            return text
        return f"{text}; asked for wave {self.state.until} of {len(self.state.waves)} at most"

    # -- what stops it

    @property
    def _asked_to_stop(self) -> str:
        if signals.stopped():
            return "stopped by a signal"
        if self._broken:
            return self._broken
        if self.state.stopped_by:
            return f"stopped by {self.state.stopped_by}"
        return ""

    def _why_stopped(self, number: int) -> str:
        """Return why nothing further is to be begun in a wave, or behind it; empty if something
        may.
        """
        self._read_added()
        # Workers of a cluster cannot be stopped from here.
        if signals.hurried() and not self._hurried and isinstance(self.executor, Processes):
            self._hurried = True
            self.executor.stop()
        return self._asked_to_stop or self._why_budget_used_up(number)

    def _why_ended(self, number: int) -> str:
        """Return why nothing behind a wave is to be begun; empty if something may."""
        why = self._why_stopped(number)
        if not why and self.state.counts(number)["not done"]:
            return f"wave {number + 1} is not done"
        return why

    def _why_budget_used_up(self, number: int) -> str:
        """Return in a line that too many have failed in a wave; empty while its budget lasts."""
        wave = list(self.state.of_wave(number))
        share = Share.read(self.state.waves[number].budget)
        allowed = share.at_most(len(wave)) if share else 0
        failed = sum(each.failed for each in wave)
        if failed <= allowed:
            return ""
        return f"the budget of wave {number + 1} is used up: {failed} failed, {allowed} may"
