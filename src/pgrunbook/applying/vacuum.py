"""Vacuums the table of a backfill between two batches, so that the space of the rows that it leaves
dead is used again before the table grows.

Nobody has written this statement. So it is recorded as those of a block are, and the header
`-- give way: vacuum no` forbids it. https://www.postgresql.org/docs/current/sql-vacuum.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from psycopg.errors import Diagnostic, LockNotAvailable, QueryCanceled

from pgrunbook.applying.outside_transaction import limits
from pgrunbook.applying.waiters import GaveWay, cancel_for_waiters
from pgrunbook.postgres.session import Session

# SKIP_LOCKED: it does not wait for anybody. TRUNCATE off: nobody waits for it at its end, where it
# would take an ACCESS EXCLUSIVE lock. PARALLEL 0: it takes one process of the server.
_SQL = "VACUUM (SKIP_LOCKED, TRUNCATE off, PARALLEL 0) {}"

# Writes that a statement begins (None), or after how many milliseconds it has ended.
Note = Callable[[str, float | None], object]


@dataclass(frozen=True, slots=True)
class VacuumResult:
    """A vacuum of ours. `ended` says how:

    - `done`
    - `skipped`: somebody has locked the table
    - `gave way`: somebody waited for it, or has asked the run to stop or to pause
    - `cancelled`: by somebody, or as its time was over
    """

    sql: str
    elapsed_ms: float
    ended: str


def vacuum(
    work: Session,
    look: Session,
    table: str,
    *,
    limit_ms: float,
    note: Note,
    left_ms: float = 0,
    asked: Callable[[], bool] = lambda: False,
) -> VacuumResult:
    """Vacuum a table, which is named as SQL writes it.

    - `limit_ms`: nobody waits for it longer than this, as an ALTER TABLE would.
    - `note` writes it into the ledger.
    - `left_ms`: for how long it may take; 0 for as long as it takes.
    - `asked` tells whether the run was asked to stop or to pause.
    """
    sql = _SQL.format(table)
    skipped = False

    def hear(said: Diagnostic) -> None:
        nonlocal skipped
        skipped = skipped or said.sqlstate == LockNotAvailable.sqlstate

    note(sql, None)
    work.add_notice_handler(hear)
    start = time.perf_counter()
    try:
        with (
            limits(work, f"{limit_ms:.0f}ms", f"{left_ms:.0f}ms" if left_ms else "0"),
            cancel_for_waiters(work, look, limit_ms, asked),
        ):
            work.execute(sql.encode())
    except GaveWay:
        ended = "gave way"
    except QueryCanceled:
        ended = "cancelled"
    else:
        ended = "skipped" if skipped else "done"
    finally:
        work.remove_notice_handler(hear)
    elapsed_ms = (time.perf_counter() - start) * 1000
    if ended == "done":
        note(sql, elapsed_ms)
    return VacuumResult(sql, elapsed_ms, ended)
