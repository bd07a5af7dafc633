"""A runbook's project and its database, set up for runs that are hit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faults import truth
from faults.reference import Reference
from faults.runbooks import Runbook
from faults.trial import ENGINE, Ended, Hit, Trial
from support.databases import Database

from pgrunbook.postgres.embedded import Server


@dataclass(frozen=True)
class Stage:
    """Where the runs of one test happen; `expected` is what the runbook makes there if nobody
    disturbs it.
    """

    database: Database
    project: Path
    runbook: str
    expected: Reference

    def run(self, hit: Hit | None = None, program: Sequence[str] = ENGINE) -> Ended:
        """One run, hit once or not at all."""
        return Trial(self.database, self.project, self.runbook, hit, program).run()

    def finish(self, program: Sequence[str] = ENGINE) -> None:
        """A run that nobody disturbs has to end the job."""
        truth.check_finished(self.run(program=program), self.database, self.expected)


@contextmanager
def staged(runbook: Runbook, server: Server, expected: Reference, folder: Path) -> Iterator[Stage]:
    """The runbook's project in a folder, and a database of its own on the server."""
    project = runbook.copy(folder)
    with runbook.database(server) as database:
        yield Stage(database, project, runbook.name, expected)
