"""Rows about how a run ended. They are written even if the synchronous standby that their commit
waits for is lost.

No timeout of the server ends that wait. Told to stop, the server says that the row is committed,
and waits no longer: it is on the primary's disk then, and nobody knows whether on the standby's.
https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
"""

from __future__ import annotations

from collections.abc import Sequence

from pgrunbook.postgres.session import Patience, Session

# Seconds: for the end of a run that passed, and of one that somebody may have told to stop.
PATIENT_S, HURRIED_S = 10.0, 2.0
_FOR_LOCKS = 0.75  # the share of that for which it waits for locks

# What else a session that applies blocks writes waits for no standby, see `run_sessions`; this row
# does. For a lock it waits less long than for the standby: then it is known what it waited for.
_AS_THE_ROLE = """
SELECT set_config('lock_timeout', %s, true),
       set_config('synchronous_commit', coalesce(own, now), true)
  FROM nullif(current_setting('pgrunbook.synchronous_commit', true), '') AS o (own)
 CROSS JOIN current_setting('synchronous_commit') AS n (now)
"""


def write(
    conn: Session, query: str, values: Sequence[object], *, within_s: float = HURRIED_S
) -> str:
    """Write a row in a transaction of its own. Return what is to be said of it: nothing, if its
    commit is what synchronous_commit asks for.
    """
    with conn.patient(Patience(within_s)) as patience, conn.transaction():
        conn.execute(_AS_THE_ROLE, [f"{within_s * _FOR_LOCKS * 1000:.0f}ms"])
        conn.execute(query.encode(), values)
    if not patience.cancelled:
        return ""
    return (
        "is committed on the primary only: no synchronous standby has confirmed it within "
        f"{within_s:.0f} s"
    )
