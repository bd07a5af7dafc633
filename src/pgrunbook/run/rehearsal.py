"""The copy of the target's schema that a run works on: in a rehearsal, or in a plan behind runbooks
that are pending. The target itself is only read.
"""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL

from pgrunbook.admit import admission
from pgrunbook.admit.check_evaluator import as_it_is
from pgrunbook.inventory.description import describe
from pgrunbook.inventory.objects import Definition, Difference, Object, differences
from pgrunbook.inventory.read import read
from pgrunbook.ledger import install, ledger, write
from pgrunbook.ledger.fold import read_fold
from pgrunbook.planning import right_target
from pgrunbook.planning.checks import CheckResult, result
from pgrunbook.planning.ground import Ground
from pgrunbook.planning.paths import Paths
from pgrunbook.planning.shared_copy import SharedCopy
from pgrunbook.postgres import default_path, session_settings
from pgrunbook.postgres.catalog import TablesSnapshot
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.identity import identify
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pgrunbook.postgres.schema_copy import Copy

_SHOWN = 8  # of what could not be copied: one thing often leads to many


class Rehearsal:
    """The copy, and the target beside it.

    - `target` is the copy.
    - `look` is a read-only session on the target itself.
    - `path` is where names are looked up there, and so on the copy.
    - `there` is the target's identity.
    - `identity` is the same, but as that of a primary: the copy is one, even of a standby.
    - `after` are the pending runbooks before this one. The copy is `shared` with them, and has what
      their blocks make.

    `close` drops the copy, unless it is shared.
    """

    def __init__(
        self,
        project: Project,
        target: Target,
        schema: str,
        label: str,
        shared: SharedCopy | None = None,
    ) -> None:
        self._schema = schema
        self._shared = shared
        self.after: tuple[str, ...] = ()
        with ExitStack() as stack:
            self.look = connect(target, schema=schema, label=label, read_only=True)
            stack.callback(self.look.close)
            self.there = identify(self.look)
            right_target.check_identity(target, self.there)
            self.path = default_path.find(self.look)
            self.look.behind = self.path.behind
            self.identity = replace(self.there, recovery="primary", read_only=False)
            if shared:
                self.after = tuple(shared.after)
                self._copy = shared.copy_of(target)
            else:
                self._copy = stack.enter_context(_make_copy(project, target, self.look, label))
            self.target = self._copy.target
            self._stack = stack.pop_all()
        # a run that never comes to its verdict would leave the copy's database behind
        atexit.register(self.close)

    @property
    def owner(self) -> str:
        """Who owns what is made on the copy."""
        return self._copy.owner

    @property
    def lacks(self) -> bool:
        """Whether something could not be copied."""
        return bool(self._copy.warnings)

    @property
    def facts(self) -> dict[str, Any]:
        """For the card of the target: where it is rehearsed, and what could not be copied."""
        shown = list(self._copy.warnings[:_SHOWN])
        more = len(self._copy.warnings) - _SHOWN
        if more > 0:
            shown.append(f"and {more} more")
        rehearsed_on = f"a copy of the schema, without rows, on {self._copy.server}"
        if self._shared and self._shared.role:
            rehearsed_on = ""  # it is a twin, on which runbooks are only planned
        return {
            "rehearsed_on": rehearsed_on,
            "not_copied": shown,
            "planned_after": self.after,
        }

    def repeat_ledger(self, conn: Session, runbook: str) -> None:
        """Write into the copy's ledger what the target's ledger last says of each block, with the
        effect of each as the copy has it: owners are others there.
        """
        entries = ledger.entries(self.look, runbook, self._schema)
        if not entries:
            return
        install.install(conn)
        expected, copied = read_fold(self.look, self._schema), read(conn)
        effects = {name: expected.effect(runbook, name, copied) for name in entries}
        begun = {}
        for name, entry in entries.items():
            if entry.broken_off:
                begun[name] = ledger.begun_statements(self.look, runbook, self._schema, name)
        write.repeat(conn, runbook, self._schema, entries.values(), effects, begun)

    def fill_lookups(self, conn: Session, value: str, columns: Sequence[tuple[str, str]]) -> None:
        """Give the value to the copy's lookup tables where the target's have it, as rows are not
        copied.
        """
        for table, column in columns:
            there = admission.inspect(self.look, self._schema, table, column, value)
            here = admission.inspect(conn, self._schema, table, column, value)
            lacking_there = [each.variables for each in there.obstacles if each.variant == "lookup"]
            for each in here.obstacles:
                if each.variant == "lookup" and each.variables not in lacking_there:
                    names = ("table", "columns", "values")
                    parts = [as_it_is(each.variables[name]) for name in names]
                    with session_settings.as_block(conn):
                        conn.execute(SQL("INSERT INTO {} ({}) VALUES ({})").format(*parts))

    def with_owner_on_target(self, snapshot: TablesSnapshot) -> TablesSnapshot:
        """Return a snapshot of the copy with the owner that its tables will have on the target: the
        role of the run.
        """
        owner = snapshot.tables["owner"].replace(self._copy.owner, self.identity.role)
        return replace(snapshot, tables=snapshot.tables.assign(owner=owner))

    def concerning(
        self, blocks: Sequence[Block], copied: Mapping[Object, Definition]
    ) -> dict[Object, Definition]:
        """Return what the target has of all that these blocks concern, see `Ground.concerning`; as
        the copy has it where a runbook before this one changes it.
        """
        there = self.ground(blocks).concerning(Paths(self.look).relations(blocks))
        if self._shared:
            return self._shared.expected(there, copied)
        return there

    def ground(self, blocks: Sequence[Block]) -> Ground:
        """Look at what the target has of all that these blocks concern."""
        relations = Paths(self.look).relations(blocks)
        return Ground.look(self.look, self._schema, relations, code=False)

    def check(
        self, found: Mapping[Object, Definition], there: Mapping[Object, Definition]
    ) -> list[CheckResult]:
        """Check that the copy, which holds `found`, has the shape of the target; it may lack an
        index, but no column.
        """
        results = [_check_difference(each) for each in differences(there, found)]
        return results or [CheckResult("copy", "has the shape of the target")]

    def close(self) -> None:
        """Drop the copy, and end the session."""
        atexit.unregister(self.close)
        self._stack.close()


def _make_copy(
    project: Project, target: Target, look: Session, label: str
) -> AbstractContextManager[Copy]:
    from pgrunbook.postgres import schema_copy  # here, because only rehearsals need it

    return schema_copy.copy_schema(target, look, project.scratch(), label.partition(" ")[0])


def _check_difference(each: Difference) -> CheckResult:
    there, found = each.before, each.after
    what = f"has {each.object} as the target has it"
    if there and found and there.properties.get("type") == found.properties.get("type"):
        return CheckResult("copy", what, not_run=f"it has {describe(found, there)}")
    if each.object.type not in ("table", "table column"):
        number = "none" if found is None else "one"
        return CheckResult("copy", what, not_run=f"it has {number}")
    return result(
        "copy",
        what,
        False,
        f"{each.object} could not be copied",
        expected=describe(there, found),
        found=describe(found, there),
        remedy="the card of the target says why; rehearse on a staging database that has what it "
        "lacks",
    )
