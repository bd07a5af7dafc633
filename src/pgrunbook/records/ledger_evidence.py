"""The ledger of a target as evidence: what it says of the runs that a record names.

Anybody can write a notebook. The ledger's rows were written by the runs themselves, and committed
with their blocks. Reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pgrunbook.ledger import heads, ledger, versions
from pgrunbook.postgres.identity import Identity, identify
from pgrunbook.postgres.session import Session
from pgrunbook.records.record import Record
from pgrunbook.runbooks.parameters import is_run_id
from pgrunbook.secrets import search

Row = Mapping[str, Any]


class LedgerNote(NamedTuple):
    """What a seal notes about the ledger.

    - `compared`: whether the record was compared with it; None if there was nothing to compare.
    - `says`: what the ledger says, or why it was not asked.
    - `remark`: what is to be told of the record's cells, though the ledger says the same.
    """

    compared: bool | None
    says: str
    remark: str = ""


@dataclass(frozen=True)
class LedgerEvidence:
    """The rows of a ledger about one record.

    - `version` is that of the ledger, `identity` that of the database which has it.
    - `runs`: the rows of each run that the record names and the ledger knows, by table.
    - `block_events`: every row about a block of the runbook, as block, event, minute, and the first
      digits of the run's id.
    - `seals`: the seals of the record's runs that the ledger has noted.
    """

    version: int
    identity: Identity
    runs: Mapping[str, Mapping[str, Sequence[Row]]] = field(default_factory=dict)
    block_events: frozenset[tuple[str, str, str, str]] = frozenset()
    seals: Sequence[Row] = ()

    @classmethod
    def of(
        cls, conn: Session, record: Record, schema: str, secrets: Sequence[str] = ()
    ) -> LedgerEvidence:
        """Ask the ledger about the runs that a record names, and about its blocks. Secrets in the
        rows are masked as they are in the record.
        """
        version, identity = versions.installed(conn), identify(conn)
        if version < versions.WITH_DETAILS:
            return cls(version, identity)
        runs: dict[str, Mapping[str, Sequence[Row]]] = {}
        seals: list[Row] = []
        for run in filter(is_run_id, record.runs):
            tables = ledger.rows_of_run(conn, run)
            if not tables:
                continue
            # The record shows its SQL and its reasons masked: compare like with like.
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
        """Return the rows of one table, of all runs together."""
        found: list[Row] = []
        for tables in self.runs.values():
            found += tables[table]
        return found
