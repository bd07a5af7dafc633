"""The rows that a run writes into the ledger about itself: that it began, and how it ended; and
about runs before it, that they died.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from pgrunbook.errors import RunbookError, Verdict, first_line
from pgrunbook.ledger import install, ledger, write
from pgrunbook.ledger.server_match import ServerMatch
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.secrets import search


@dataclass(slots=True)
class Recorder:
    """One run's own rows. Nothing is written before `begin`: a run that is refused leaves no trace
    in the target.

    - `plan`: the digest of the plan that the run works by.
    - `server_match`: the server that it works on; None for a copy of our own.
    - `secrets`: the passwords that an error may repeat, and that are masked in reasons.
    """

    sessions: Sessions
    run_id: str
    runbook: str
    operator: str
    parameters: Parameters
    begun: bool = False
    plan: str = ""
    server_match: ServerMatch | None = None
    secrets: tuple[str, ...] = ()
    # whether the run's row was sent: after an interrupt nobody knows whether it is there
    _sent: bool = False

    def begin(self) -> None:
        """Write the run's row, once, making the ledger or bringing it up to date first if need
        be.
        """
        if self.begun:
            return
        work, target = self.sessions.work, self.parameters.target
        if self.server_match:
            # `work` was opened later than `look`: by then the name may lead to another server
            self.server_match.require_here(work, target)
        install.install(work)
        if self.server_match:
            self.server_match.note(
                work, target=target, operator=self.operator, reason=f"run {self.run_id}"
            )
        if not (self._sent and ledger.has_run(work, self.run_id)):
            self._sent = True
            p = self.parameters
            write.start(
                work,
                self.run_id,
                self.runbook,
                schema=p.schema_,
                mode=p.mode,
                operator=self.operator,
                parameters=p.record(),
                plan=self.plan,
            )
        self.begun = True

    def unfinished_runs(self) -> list[dict[str, Any]]:
        """Return the runs in this schema that have begun and not ended. If this run holds the lock,
        they are dead, but for itself.
        """
        found = ledger.unfinished_runs(self.sessions.look, self.parameters.schema_)
        return [run for run in found if run["run_id"] != self.run_id]

    def close_dead(self) -> None:
        """Write of each run that died that it was interrupted, with the last thing known of it.
        Needs the lock.
        """
        self.sessions.require_lock()
        install.install(self.sessions.work)
        for run in self.unfinished_runs():
            reason = f"it died; {progress_of(run)}; found by run {self.run_id[:8]}"
            write.finish(self.sessions.work, run["run_id"], Verdict.INTERRUPTED, reason)

    def settle(self) -> None:
        """Begin a run that had nothing to do, if the runbook's last run did not pass: else the
        ledger would go on saying that it failed.
        """
        runs = ledger.runs(self.sessions.look, self.runbook, self.parameters.schema_)
        # the latest comes first
        if runs and runs[0]["verdict"] != Verdict.PASSED:
            self.begin()

    def end(self, verdict: Verdict, reason: str) -> str:
        """Write how the run ended, if it has begun. Returns what is to be said of that row, as
        `write.finish` does.

        If it cannot be written, that is said, and the error that ended the run stays the first one.
        Raises the error if the verdict is `passed`: no run passes whose verdict is not written.
        """
        if not self.begun:
            return ""
        try:
            return write.finish(
                self.sessions.work,
                self.run_id,
                verdict,
                search.clean(reason, self.secrets, sql=True),
            )
        except (psycopg.Error, RunbookError) as exc:
            # the next run will write that this one died
            if verdict is Verdict.PASSED:
                raise
            return f"is not there: {first_line(exc)}"


def progress_of(run: dict[str, Any]) -> str:
    """Return what an unfinished run, a row of `ledger.unfinished_runs`, has done, and the last
    thing known of it.
    """
    return (
        f"committed: {run['committed']}; last known: {run['last']}, "
        f"{run['last_at']:%Y-%m-%d %H:%M:%S} UTC"
    )
