"""The ledger of a target as a witness: what it says of the runs that a record names.

Anybody can write a notebook. The ledger's rows were written by the runs themselves, and committed
with their blocks. Reads only.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pgrunbook.ledger import heads, ledger, versions
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.identity import Identity, identify
from pgrunbook.records.record import Record
from pgrunbook.secrets import search

Row = Mapping[str, Any]


class Testimony(NamedTuple):
    """Whether a record was compared with the ledger (None if there was nothing to compare), what
    the ledger says, or why it was not asked, and a remark about the cells.
    """

    compared: bool | None
    says: str
    remark: str = ""


@dataclass(frozen=True)
class Witness:
    """The ledger of the database that answers.

    - `runs` has the rows of each run of the record that it knows, by table.
    - `done` is what it says of the runbook's blocks: block, event, minute, the first digits of the
      run.
    - `seals` are the seals that it has noted of the record's runs.
    """

    version: int
    identity: Identity
    runs: Mapping[str, Mapping[str, Sequence[Row]]] = field(default_factory=dict)
    done: frozenset[tuple[str, str, str, str]] = frozenset()
    seals: Sequence[Row] = ()

    @classmethod
    def of(
        cls, conn: Connection, record: Record, schema: str, secrets: Sequence[str] = ()
    ) -> Witness:
        """Ask the ledger about the runs that a record names, and about its blocks. What its rows
        say of a run is masked as it is in a record.
        """
        version, identity = versions.installed(conn), identify(conn)
        if version < versions.WITH_DETAILS:
            return cls(version, identity)
        runs: dict[str, Mapping[str, Sequence[Row]]] = {}
        seals: list[Row] = []
        for run in filter(is_id, record.runs):
            tables = ledger.rows_of_run(conn, run)
            if not tables:
                continue
            cleaned = {}
            for table, rows in tables.items():
                cleaned[table] = search.clean(rows or [], secrets, sql=True)
            runs[run] = cleaned
            if version >= versions.WITH_HEADS:
                seals += heads.seals(conn, run)
        done = set()
        for row in ledger.block_events(conn, record.runbook, schema):
            minute = f"{row['finished_at']:%Y-%m-%d %H:%M}"
            done.add((row["block"], row["event"], minute, row["run_id"][:8]))
        return cls(version, identity, runs, frozenset(done), seals)

    def rows(self, table: str) -> list[Row]:
        """Return the rows of a table, of all runs of the record."""
        found: list[Row] = []
        for tables in self.runs.values():
            found += tables[table]
        return found


def is_id(text: str) -> bool:
    """Whether a text can be the id of a run: a UUID as PostgreSQL prints it."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
