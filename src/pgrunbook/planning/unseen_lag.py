"""Whether blocks in batches can give way to replicas: a role that may not read the server's
statistics is not shown how far these are behind. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from pgrunbook.errors import Problem
from pgrunbook.planning.batch_keys import Keys
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.keyset import Keyset
from pgrunbook.postgres import pressure
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks import give_way

_CHECK = "can give way to replicas"


def check(
    conn: Session, decisions: Sequence[Decision], keys: Keys, of_target: str
) -> Iterator[CheckResult]:
    """One result for each block in batches that is to run on a primary; `of_target` is the target's
    own `give_way`. Where a limit of the lag is stated and the lag is not shown, that is a problem.
    """
    for decision in decisions:
        block = decision.block
        there = keys.get(block.name)
        if not there or not block.batching:
            continue
        if pressure.LAG not in pressure.look(conn, Keyset.of(there, block).name).unseen:
            continue
        grant = f"GRANT pg_monitor TO {sql.Identifier(conn.info.user).as_string()}"
        what = "how far replicas are behind is not shown to this role"
        if give_way.states_lag(block.batching.give_way, of_target):
            expected = "the limit that is stated, replication lag, to be seen to"
            problem = Problem(what, block.name, expected, conn.info.user, grant)
            yield CheckResult(block.name, what, problem)
        else:
            yield CheckResult(block.name, _CHECK, not_run=f"{what}: {grant}")
