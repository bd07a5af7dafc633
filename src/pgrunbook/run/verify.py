"""What must hold after a run: behaviour, as verify scripts prove it, and nothing left to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import psycopg

from pgrunbook.errors import Problem
from pgrunbook.ledger import batches
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import search_path
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Statement


def unverified(blocks: Sequence[str]) -> list[CheckResult]:
    """What is said of blocks that no verify script is about: of many of them together."""
    about = dict.fromkeys(blocks, "it has no verify script")
    if len(about) > _FEW:
        about = {f"{len(blocks):,} blocks": f"they have no verify script: {', '.join(blocks)}"}
    return [CheckResult(name, "behaviour", not_run=why) for name, why in about.items()]


_FEW = 20


def finished(decisions: Iterable[Decision]) -> Iterator[CheckResult]:
    """Whether nothing is left to do with these blocks: they are in the ledger, and the catalog
    still agrees.
    """
    for decision in decisions:
        where, problems = decision.block.name, decision.problems
        if decision.action is not Action.SKIP and not problems:
            problems = (_unfinished(decision),)
        for problem in problems or (None,):
            yield CheckResult(where, "is in the ledger, and the catalog agrees", problem)


def covered(
    conn: Connection, runbook: str, schema: str, decisions: Iterable[Decision]
) -> Iterator[CheckResult]:
    """Whether the batches of each block that is done in batches cover its key, one behind the
    other.
    """
    for decision in decisions:
        if decision.block.batching and decision.action is Action.SKIP:
            name = decision.block.name
            gaps = batches.gaps(conn, runbook, schema, name)
            found = "\n".join(f"batch {gap['number']}: {_span(gap)}" for gap in gaps[:_FEW])
            problem = Problem(
                "its batches leave a gap",
                name,
                "each begins where the one before has ended, up to the greatest key",
                found,
                "see which rows of the gap the block lacks, and who has changed the ledger",
            )
            what = "its batches cover the key without a gap"
            yield CheckResult(name, what, problem if gaps else None)
            rows, constraints = batches.skipped_rows(conn, runbook, schema, name)
            if rows:
                why = f"{rows:,} rows are not: they break {constraints}; see pgrunbook.skipped_rows"
                yield CheckResult(name, "every row is changed", not_run=why)


def _span(gap: Mapping[str, Any]) -> str:
    ends = [", ".join(key) if key else "the least key" for key in (gap["from_key"], gap["to_key"])]
    return " to ".join(ends)


def _unfinished(decision: Decision) -> Problem:
    where = decision.block.name
    if decision.action is Action.REVERT:
        remedy = "run the cell of run.revert() first"
        return Problem(
            "is not reverted",
            where,
            expected="undone by this run",
            found=decision.reason,
            remedy=remedy,
        )
    remedy = "run the cell that applies it, in mode apply"
    return Problem(
        "is not in the ledger", where, "applied or adopted by a run", decision.reason, remedy
    )


def expected_columns(
    found: pd.DataFrame, tables: Sequence[str], expected: Mapping[str, str]
) -> pd.DataFrame:
    """Each table with each expected column with its type; `found` as `Snapshot.columns`.

    Index `table`, `column`; columns `present`, `type`, `nullable`, `default`, `as_expected`, all
    str.
    """
    wanted = pd.MultiIndex.from_product([tables, expected], names=["table", "column"])
    there = found.reindex(wanted)
    return pd.DataFrame(
        {
            "present": [_yes(key in found.index) for key in wanted],
            "type": there["type"],
            "nullable": [{True: "yes", False: "no"}.get(value, "") for value in there["nullable"]],
            "default": there["default"],
            "as_expected": [
                _yes(t == expected[key[1]]) for key, t in zip(wanted, there["type"], strict=True)
            ],
        },
        index=wanted,
    ).fillna("")


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


def verify(
    conn: Session, name: str, statements: Sequence[Statement], timeouts: Timeouts
) -> list[CheckResult]:
    """Run a verify script in a transaction that is rolled back; one result for each `-- check:`
    statement.

    A check holds if its statement raises nothing. Each runs in a savepoint, so that one that fails
    does not hide the next; if a statement without a check fails, the checks after it are not run.
    """
    results: list[CheckResult] = []
    with conn.transaction(force_rollback=True):
        conn.execute(
            # Probes take no lock that the application would queue behind: they may wait for theirs.
            "SELECT set_config('lock_timeout', %(limit)s, true), set_config('statement_timeout', "
            "%(limit)s, true)",
            {"limit": timeouts.statement_timeout},
        )
        conn.execute(f"{search_path.theirs(search_path.of(conn))}; {_SAVEPOINT}".encode())
        for statement in statements:
            problem = _try(conn, statement)
            if statement.check:
                results.append(CheckResult(name, statement.check, problem))
            elif problem:
                results.append(
                    CheckResult(name, f"set-up: {statement.sql.splitlines()[0]}", problem)
                )
                break
    return results


_REMEDY = (
    "bring the target to what is expected, or correct the script; then run again: what is done is "
    "skipped"
)


# What keeps a check from being tried says nothing about what it checks.
_NOT_TRIED = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ReadOnlySqlTransaction,
)


_SAVEPOINT = "SAVEPOINT pgrunbook_check"


_RELEASE = "RELEASE pgrunbook_check"


_ROLLBACK = b"ROLLBACK TO pgrunbook_check"


def _try(conn: Session, statement: Statement) -> Problem | None:
    """Run it after the savepoint, and make the next one with it, in one round trip."""
    try:
        conn.execute("\n;".join([statement.sql, _RELEASE, _SAVEPOINT]).encode())
    except psycopg.Error as exc:
        if not conn.closed:
            conn.execute(_ROLLBACK)
        problem = problem_of(exc, where=statement.place(conn.index(exc, statement.sql) or 0))
        what = problem.what.removesuffix(" (SQLSTATE P0001)")
        if isinstance(exc, _NOT_TRIED):
            what = f"could not be tried: {what}"
        remedy = problem.remedy or _REMEDY
        return Problem(what, problem.where, statement.check, problem.found, remedy)
    return None
