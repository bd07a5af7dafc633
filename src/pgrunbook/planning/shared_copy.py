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
from pgrunbook.planning.twin_failure import causes
from pgrunbook.planning.twin_run import try_pending
from pgrunbook.postgres import session_settings
from pgrunbook.postgres.schema_copy import Copy
from pgrunbook.postgres.target import Target
from pgrunbook.postgres.twin_server import Twin

# The environment variable that names the file in which a run finds it.
VARIABLE = "PGRUNBOOK_COPY"


@dataclass(frozen=True, slots=True)
class SharedCopy:
    """A twin, for plans, or the copy of a rehearsal, which has no `role`.

    - `owner` is the role that owns what is made there.
    - `missing` are the twin's extensions that only stand in for the target's: see `Twin`.
    - `after` are the runbooks whose blocks were run there.
    - `changed` are the objects that these have changed, by type and identity.
    - `last`: no runbook comes after this one.

    The runner makes it, writes it into a file, and leads each run to that file by an environment
    variable: a run is a process of its own.
    """

    conninfo: str
    owner: str
    server: str
    warnings: Sequence[str]
    role: str = ""
    missing: Mapping[str, str] | None = None
    after: Sequence[str] = ()
    changed: Sequence[Sequence[str]] = ()
    last: bool = False

    @classmethod
    def of(cls, made: Copy | Twin) -> Self:
        """Return that of a copy or a twin which was just made, and is as the target is."""
        if isinstance(made, Copy):
            return cls(made.target.conninfo, made.owner, made.server, made.warnings)
        return cls(made.conninfo, made.role, made.server, made.warnings, made.role, made.missing)

    @classmethod
    def from_environment(cls) -> Self | None:
        """Return the one that this process was given; None if it was not, or at a
        second call: the next run of this process is another one.
        """
        file = os.environ.pop(VARIABLE, "")
        return cls(**json.loads(Path(file).read_text(encoding="utf-8"))) if file else None

    def write(self, file: Path) -> dict[str, str]:
        """Write it into a file. Returns the environment variable that leads a run to it."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return {VARIABLE: str(file)}

    def copy_of(self, target: Target) -> Copy:
        """Return it as the place where a run works in place of the target, as its role, if it has
        one.
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
        """Return the objects that a run will find on the target: those that `there` has now, but as
        on the copy where a runbook before has changed them.
        """
        changed = {Object(*names) for names in self.changed}
        kept = {each: made for each, made in there.items() if each not in changed}
        return kept | {each: made for each, made in copied.items() if each in changed}

    def run_blocks(self, decisions: Sequence[Decision], path: str, alone: str) -> None:
        """Run on the twin what a plan would run on the target, for the plans behind it; `path` is
        the search path of blocks without one, `alone` plans each runbook by itself.

        Raises Refused, naming the statement that fails there.
        """
        twin = Twin(self.conninfo, self.role, self.server, self.missing or {}, tuple(self.warnings))
        pending = [each for each in decisions if each.pending]
        failures, _ = try_pending(twin, path, pending)
        if failures:
            remedy = f"correct it; if it fails only where there are no rows, plan it alone: {alone}"
            raise Refused(
                "It cannot be tried on the twin, so that no runbook after it can be planned.",
                problems=[replace(each.problem, remedy=remedy) for each in causes(failures)],
            )
