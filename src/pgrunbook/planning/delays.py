"""Checks what delays a commit, and with it everybody who waits for its locks: the distance to the
server, and standbys that do not answer; and whether it is shown how far replicas are behind.
"""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Iterator, Sequence

from psycopg import sql

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem
from pgrunbook.planning.batch_keys import Keys
from pgrunbook.planning.checks import CheckResult, result
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.keyset import Keyset
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import catalog, pressure
from pgrunbook.postgres.session import Session
from pgrunbook.records.words import listed
from pgrunbook.runbooks import give_way
from pgrunbook.runbooks.blocks import Block

_SAMPLES = 5  # round trips that are measured
_LEAST_MS = 20  # for the wait for locks: with less, only locks that nobody holds are got


def measure(conn: Session) -> float:
    """Return how many milliseconds a round trip takes: the median of a few. Reads only."""
    taken = []
    for _ in range(_SAMPLES):
        sent = time.perf_counter()
        conn.execute("SELECT")
        taken.append((time.perf_counter() - sent) * 1000)
    return statistics.median(taken)


def distance(decisions: Sequence[Decision], timeouts: Timeouts) -> Iterator[CheckResult]:
    """Check, for each lock_timeout of the pending blocks, that it leaves time to wait for locks.

    lock_timeout bounds how long others wait for us. Of that time, two round trips go by while the
    locks are held: see `Timeouts`.
    """
    by_limit: dict[str, list[Block]] = {}
    for each in decisions:
        if each.pending and each.block.transaction and each.block.alters:
            by_limit.setdefault(timeouts.of(each.block).lock_timeout, []).append(each.block)
    for limit in sorted(by_limit, key=milliseconds):
        blocks = by_limit[limit]
        enough = math.ceil((2 * timeouts.held_ms + _LEAST_MS) / 50) * 50
        longer = f"-p lock_timeout {enough}ms"
        if any("lock_timeout" in block.timeouts for block in blocks):
            longer = f"the header `lock_timeout: {enough}ms`"
        concerned = listed([block.name for block in blocks], 1)
        yield result(
            "server",
            f"is near enough for a lock_timeout of {limit}",
            milliseconds(limit) - timeouts.held_ms >= min(_LEAST_MS, milliseconds(limit) / 2),
            f"is too far away for a lock_timeout of {limit}",
            expected=f"{_LEAST_MS} ms of it to wait for locks, besides the two round trips that "
            "they are held for",
            found=f"a round trip takes {timeouts.round_trip_ms:.0f} ms; concerned: {concerned}",
            remedy=f"run it nearer to the server; or let the application wait longer, with "
            f"{longer}",
        )


def standbys(conn: Session) -> Iterator[CheckResult]:
    """Check that enough of the standbys are connected that a commit waits for; no result if it
    waits for none. Reads only.
    https://www.postgresql.org/docs/current/runtime-config-replication.html
    """
    found = catalog.rows(conn, "standbys")[0]
    if not found["waits"]:
        return
    needed = _needed(found["names"])
    hidden = found["connected"] and not found["shown"]
    if hidden and found["connected"] >= needed:
        why = "which standbys are synchronous is shown to a role that has pg_read_all_stats"
        yield CheckResult("standbys", "confirm commits", not_run=why)
        return
    what = "nobody confirms commits: each would wait with its locks"
    if found["synchronous"]:
        what = "too few of them"
    yield result(
        "standbys",
        "confirm commits",
        found["synchronous"] >= needed,
        what,
        expected=f"{needed} for synchronous_standby_names = '{found['names']}'",
        found=f"{found['synchronous']}; {found['connected']} connected",
        remedy="bring the standby back; or, if it is to be done without: "
        "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()",
    )


def _needed(names: str) -> int:
    """Return how many standbys synchronous_standby_names asks for: `FIRST 2 (a, b)`, `ANY 2 (…)`,
    `2 (…)`; else one.
    """
    found = re.match(r"\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(", names, re.IGNORECASE)
    return int(found[1]) if found else 1


def replicas(
    conn: Session, decisions: Sequence[Decision], keys: Keys, of_target: str
) -> Iterator[CheckResult]:
    """Check that blocks in batches can give way to replicas: a role that may not read the server's
    statistics is not shown how far these are behind. No result if it is shown.

    `of_target` is the target's own `give_way`. Where a limit of the lag is stated and the lag is
    not shown, that is a problem.
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
            yield CheckResult(block.name, "can give way to replicas", not_run=f"{what}: {grant}")
