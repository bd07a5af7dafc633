"""The matrix: which fault hits which block, at which of its commands, on which side of it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from faults.actions import FAULTS, Fault
from faults.proxy import Command, Point
from faults.trial import Hit, When

from pgrunbook.runbooks.scripts import statements


class Stop(enum.StrEnum):
    """A command of a block at which a fault can hit."""

    STARTED = "row `started`"  # of a block outside a transaction
    DDL = "DDL"  # before and in the middle of the first statement, after the last
    ROW = "ledger row"
    COMMIT = "COMMIT"


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    fault: Fault
    block: str
    stop: Stop
    when: When

    def __str__(self) -> str:
        number, column = self.block.split("_", 1)[0], self.block.partition(":")[2]
        return f"{'-'.join(filter(None, [number, column]))}-{self.stop.name.lower()}-{self.when}-{self.fault.name}"

    def hit(self, scripts: Mapping[str, str]) -> Hit:
        """What is done to a run; `scripts` holds the SQL of each block."""
        return Hit(
            self.fault,
            self._point(scripts[self.block]),
            self.when,
            commits=self.stop is Stop.COMMIT,
        )

    def _point(self, script: str) -> Point:
        """The command that is meant, in the session that applies the block."""
        match self.stop:
            case Stop.STARTED:
                return _row(self.block, "started")
            case Stop.DDL:
                return _ddl(script, -1 if self.when is When.AFTER else 0)
            case Stop.ROW | Stop.COMMIT:  # outside a transaction, the row commits by itself
                return _row(self.block, "applied", "adopted")


# What the whole matrix runs on, as far as the machine has them.
VERSIONS = (15, 16, 17, 18)

# Where a block in a transaction can be hit: the row and the COMMIT are one message.
MOMENTS = (
    *((Stop.DDL, when) for when in When),
    *((Stop.ROW, when) for when in (When.BEFORE, When.DURING)),
    *((Stop.COMMIT, when) for when in (When.DURING, When.AFTER)),
)

# The blocks of runbook 900.
TRANSACTIONAL = ("010_notes", "020_people_nickname")
OUTSIDE = "030_people_team_index"
BLOCKS = (*TRANSACTIONAL, OUTSIDE)


def matrix() -> Iterator[Case]:
    """Every case of runbook 900, fault by fault."""
    for fault in FAULTS.values():
        for block in TRANSACTIONAL:
            yield from (Case(fault, block, *moment) for moment in MOMENTS)
        yield from (
            Case(fault, OUTSIDE, stop, when)
            for stop in (Stop.STARTED, Stop.DDL, Stop.ROW)
            for when in When
        )
        # its rows commit by themselves: only the middle of that is something else than the row
        # itself
        if fault.cuts:
            yield Case(fault, OUTSIDE, Stop.COMMIT, When.DURING)


def _ddl(script: str, which: int) -> Point:
    wanted = statements(script)[which].sql

    def point(commands: Sequence[Command]) -> bool:
        sql = commands[-1].sql
        # as the ledger's row does, which holds it too
        return wanted in sql and not sql.startswith("EXECUTE")

    return point


def _row(block: str, *events: str) -> Point:
    """What writes the row of a block; of one in a transaction, the COMMIT comes with it."""

    def point(commands: Sequence[Command]) -> bool:
        sql = commands[-1].sql
        mine = sql.startswith("EXECUTE pgrunbook_record") and f'"block": "{block}"' in sql
        return mine and any(f'"event": "{event}"' in sql for event in events)

    return point
