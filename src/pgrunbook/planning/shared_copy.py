"""A copy of a target's schema for runbooks that are pending one after the other: each is planned,
or rehearsed, on what those before it would leave.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrunbook.errors import Refused
from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.twin_run import first_failure
from pgrunbook.postgres import session_settings
from pgrunbook.postgres.schema_copy import Copy
from pgrunbook.postgres.target import Target
from pgrunbook.postgres.twin_server import Twin

# The environment variable that names the file in which a run finds it.
VARIABLE = "PGRUNBOOK_COPY"


@dataclass(frozen=True, slots=True)
class SharedCopy:
    """A twin, for plans, or the copy of a rehearsal, which has no `role`.

    `after` are the runbooks of which it has the blocks, `changed` the objects, by type and
    identity, that these have changed there. `last`: no runbook comes after this one.
    """

    conninfo: str
    owner: str  # of what is made there
    server: str
    warnings: Sequence[str]
    role: str = ""
    missing: Mapping[str, str] | None = None
    after: Sequence[str] = ()
    changed: Sequence[Sequence[str]] = ()
    last: bool = False

    @classmethod
    def of(cls, made: Copy | Twin) -> Self:
        """What has just been made, and is as the target is."""
        if isinstance(made, Copy):
            return cls(made.target.conninfo, made.owner, made.server, made.warnings)
        return cls(made.conninfo, made.role, made.server, made.warnings, made.role, made.missing)

    @classmethod
    def given(cls) -> Self | None:
        """The one that this process was given, if it was; once, as the run after it is another."""
        file = os.environ.pop(VARIABLE, "")
        return cls(**json.loads(Path(file).read_text(encoding="utf-8"))) if file else None

    def give(self, file: Path) -> dict[str, str]:
        """Write it into a file; the environment variable that leads a run to it."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return {VARIABLE: str(file)}

    def reached(self, target: Target) -> Copy:
        """Where a run works that works on it, in place of the target; with its role, where that is
        known.
        """
        conninfo = self.conninfo
        if self.role:
            begun_with = conninfo_to_dict(conninfo).get("options")
            as_role = session_settings.as_options({"role": self.role})
            conninfo = make_conninfo(conninfo, options=f"{begun_with} {as_role}")
        there = replace(target, conninfo=conninfo)
        return Copy(there, self.owner, self.server, tuple(self.warnings))

    def expected(
        self, there: Mapping[Object, Definition], copied: Mapping[Object, Definition]
    ) -> dict[Object, Definition]:
        """What will be there, of what the target has and what the copy has: this one's where a
        runbook has changed it.
        """
        changed = {Object(*names) for names in self.changed}
        kept = {each: made for each, made in there.items() if each not in changed}
        return kept | {each: made for each, made in copied.items() if each in changed}

    def put(self, decisions: Sequence[Decision], path: str, alone: str) -> None:
        """Run on the twin what a plan would run on the target, for the plans behind it; `path` is
        the search path of blocks without one, `alone` plans each runbook by itself.

        Raises Refused, naming the statement that fails there.
        """
        twin = Twin(self.conninfo, self.role, self.server, self.missing or {}, tuple(self.warnings))
        trial = first_failure(twin, path, decisions)
        if trial and trial.failure:
            remedy = f"correct it; if it fails only where there are no rows, plan it alone: {alone}"
            raise Refused(
                "It cannot be tried on the twin, so that no runbook after it can be planned.",
                problems=[replace(trial.failure, remedy=remedy)],
            )
