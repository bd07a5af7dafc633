"""A vacuum between the batches of a backfill: the rows that it leaves dead are to be used again
before the table grows.

Nobody has asked for this statement. So it is recorded as those of a block are, and
`-- give way: vacuum no` forbids it. https://www.postgresql.org/docs/current/sql-vacuum.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from psycopg.errors import Diagnostic, LockNotAvailable, QueryCanceled

from pgrunbook.applying.outside_transaction import limits
from pgrunbook.applying.waiters import GaveWay, cancel_for_waiters
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.session import Session

# It lets reads and writes pass, and is not to wait for anybody, nor to have them wait at its end
# for an ACCESS EXCLUSIVE lock; of the server's processes it takes one.
_SQL = "VACUUM (SKIP_LOCKED, TRUNCATE off, PARALLEL 0) {}"

# Writes that a statement begins, or that it has ended, after so many milliseconds.
Note = Callable[[str, float | None], object]


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """A vacuum of ours: its statement, how long it took in milliseconds, and what came of it:
    `done`, `skipped` as somebody has locked the table, `gave way` to somebody who waited for it or
    has asked the run to end or to pause, or `cancelled` by somebody, or as its time was over.
    """

    sql: str
    elapsed_ms: float
    ended: str


def vacuum(
    work: Session,
    look: Connection,
    table: str,
    *,
    limit_ms: float,
    note: Note,
    left_ms: float = 0,
    asked: Callable[[], bool] = lambda: False,
) -> Vacuumed:
    """Vacuum a table, named as SQL writes it, for as long as it takes, or for `left_ms`, if that is
    not 0; but who waits for it, as an ALTER TABLE does, waits no longer than `limit_ms`. `asked`
    says whether the run was asked to end or to pause.
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
    return Vacuumed(sql, elapsed_ms, ended)
