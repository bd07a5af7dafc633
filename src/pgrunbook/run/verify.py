"""Checks what must hold after a run: behaviour, by verify scripts, and nothing left to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql

from pgrunbook.applying import lock_waits
from pgrunbook.applying.waiters import GaveWay, cancel_for_waiters
from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem
from pgrunbook.ledger import batches
from pgrunbook.planning import server_checks
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import search_path, session_settings
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Statement


def without_script(blocks: Sequence[str]) -> list[CheckResult]:
    """Return a result for each block that no verify script is about; of many, one for all."""
    names = dict.fromkeys(blocks)
    if len(names) > _FEW:
        why = f"they have no verify script: {', '.join(blocks)}"
        return [CheckResult(f"{len(blocks):,} blocks", "behaviour", not_run=why)]
    why = "it has no verify script"
    return [CheckResult(name, "behaviour", not_run=why) for name in names]


_FEW = 20  # of what is listed one by one


def check_finished(decisions: Iterable[Decision]) -> Iterator[CheckResult]:
    """Check that nothing is left to do with these blocks: they are in the ledger, and the catalog
    still agrees.
    """
    what = "is in the ledger, and the catalog agrees"
    for decision in decisions:
        name, problems = decision.block.name, decision.problems
        if decision.action is not Action.SKIP and not problems:
            problems = (_unfinished_problem(decision),)
        if not problems:
            yield CheckResult(name, what)
        for problem in problems:
            yield CheckResult(name, what, problem)


def check_batches(
    conn: Session, runbook: str, schema: str, blocks: Iterable[str]
) -> Iterator[CheckResult]:
    """Check that the batches of each of these blocks, which are done, cover its key, one behind the
    other; and tell how many rows were put aside.
    """
    for name in blocks:
        problem = None
        gaps = batches.gaps(conn, runbook, schema, name)
        if gaps:
            problem = Problem(
                "its batches leave a gap",
                name,
                "each begins where the one before has ended, up to the greatest key",
                "\n".join(f"batch {gap['number']}: {_span(gap)}" for gap in gaps[:_FEW]),
                "see which rows of the gap the block lacks, and who has changed the ledger",
            )
        yield CheckResult(name, "its batches cover the key without a gap", problem)
        rows, constraints = batches.skipped_rows(conn, runbook, schema, name)
        if rows:
            why = f"{rows:,} rows are not: they break {constraints}; see pgrunbook.skipped_rows"
            yield CheckResult(name, "every row is changed", not_run=why)


def _span(gap: Mapping[str, Any]) -> str:
    first = ", ".join(gap["from_key"] or ["the least key"])
    last = ", ".join(gap["to_key"] or ["the least key"])
    return f"{first} to {last}"


def _unfinished_problem(decision: Decision) -> Problem:
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
    """Return each table with each expected column; `found` as `TablesSnapshot.columns`, `expected`
    are the types by column.

    Index `table`, `column`; columns `present`, `type`, `nullable`, `default`, `as_expected`, all
    str.
    """
    wanted = pd.MultiIndex.from_product([tables, expected], names=["table", "column"])
    there = found.reindex(wanted)
    nullable = {True: "yes", False: "no"}
    as_expected = []
    for (_, column), type_ in zip(wanted, there["type"], strict=True):
        as_expected.append(_yes_or_no(type_ == expected[column]))
    return pd.DataFrame(
        {
            "present": [_yes_or_no(key in found.index) for key in wanted],
            "type": there["type"],
            "nullable": [nullable.get(value, "") for value in there["nullable"]],
            "default": there["default"],
            "as_expected": as_expected,
        },
        index=wanted,
    ).fillna("")


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "NO"


def verify(
    conn: Session,
    look: Session,
    name: str,
    statements: Sequence[Statement],
    timeouts: Timeouts,
    *,
    path: str = "",
) -> list[CheckResult]:
    """Run a verify script in a transaction that is rolled back. Returns one result for each
    `-- check:` statement.

    A check holds if its statement raises nothing and, where it returns booleans, each is true. Each
    runs in a savepoint, so that one that fails does not hide the next; if a statement without a
    check fails, or one takes too long, the checks after it are not run. Nothing is run if a schema
    of a path that the script sets holds shadows of pg_catalog.

    Nobody waits for what the script locks, or queues behind what it waits for, for longer than
    lock_timeout: it gives way, and begins anew for as long as a statement may take. `look` is
    another session's; `path` is the search path, if it is not the run's.
    """
    named = server_checks.named_schemas(conn, path, [statement.node for statement in statements])
    results = []
    for schema in sorted(named):
        results += [each for each in server_checks.check_shadows(conn, schema) if each.problem]
    if results:
        return results
    require = search_path.require({*search_path.default(conn), *named})
    path = path or search_path.of(conn)
    script = _Script(conn, look, name, statements, timeouts, path, require)
    try:
        lock_waits.retry(
            script.run,
            block=name,
            budget=timeouts.statement_timeout,
            watch=lambda: nullcontext(()),
            report=lambda _: None,
            again=(psycopg.errors.LockNotAvailable, GaveWay),
        )
    except _OUT_OF_TIME as exc:
        script.note(script.problem(exc))
    return script.results


_REMEDY = (
    "bring the target to what is expected, or correct the script; then run again: what is done is "
    "skipped"
)


# What ends a script: it has waited or worked for too long, or others have waited.
_OUT_OF_TIME = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)


# What keeps a check from being tried says nothing about what it checks.
_NOT_TRIED = (
    *_OUT_OF_TIME,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ReadOnlySqlTransaction,
)


_SAVEPOINT = "SAVEPOINT pgrunbook_check"
_RELEASE = "RELEASE pgrunbook_check"
_ROLLBACK = b"ROLLBACK TO pgrunbook_check"


@dataclass(slots=True)
class _Script:
    """A verify script, the results of its checks so far, and the statement that it is at."""

    conn: Session
    look: Session
    name: str
    statements: Sequence[Statement]
    timeouts: Timeouts
    path: str
    require: str  # raises an error after a statement that has left another search path
    results: list[CheckResult] = field(default_factory=list)
    at: Statement = field(init=False)

    def run(self) -> None:
        """Run it from its beginning. Raises LockNotAvailable or QueryCanceled where it cannot go
        on, GaveWay if that is as others would wait for it.
        """
        self.results.clear()
        conn, limit_ms = self.conn, milliseconds(self.timeouts.wait)
        with (
            conn.transaction(force_rollback=True),
            cancel_for_waiters(conn, self.look, limit_ms) as waiters,
        ):
            # a script reads names and values as a block does
            settings = session_settings.block_settings(self.path)
            for name, value in self.timeouts.settings.items():
                settings.append(f"SET LOCAL {name} = {sql.quote(value)}")
            conn.execute("; ".join([*settings, _SAVEPOINT]).encode())
            for statement in self.statements:
                self.at = statement
                problem = self._try(statement)
                # a DO block may have caught the cancel; or it came after the statement's end
                if waiters.gave_way:
                    raise psycopg.errors.QueryCanceled("cancelled")
                if statement.check or problem:
                    self.note(problem)
                if problem and not statement.check:
                    break

    def _try(self, statement: Statement) -> Problem | None:
        """Run it after the savepoint, with what is required behind it, and make the next one, in
        one round trip. Returns what is wrong if it fails, or if a check says no.
        """
        # the line break ends a comment in the statement's last line
        message = "\n;".join([statement.sql, self.require, _RELEASE, _SAVEPOINT])
        try:
            cursor = self.conn.execute(message.encode())
            denial = _denial(cursor)
            while cursor.nextset():
                pass
        except _OUT_OF_TIME:
            raise
        except psycopg.Error as exc:
            if not self.conn.closed:
                self.conn.execute(_ROLLBACK)
            return self.problem(exc)
        if denial and statement.check:
            return Problem("says no", statement.place(), statement.check, denial, _REMEDY)
        return None

    def note(self, problem: Problem | None) -> None:
        """Add what came of the statement that it is at."""
        what = self.at.check or f"set-up: {self.at.sql.splitlines()[0]}"
        self.results.append(CheckResult(self.name, what, problem))

    def problem(self, exc: psycopg.Error) -> Problem:
        """Return what is wrong with the statement that it is at."""
        if isinstance(exc, GaveWay):
            return Problem(
                "could not be tried: others would have waited for what the script has locked",
                self.at.place(),
                f"nobody waits for longer than {self.timeouts.lock_timeout} (lock_timeout)",
                str(exc.waiters.who),
                "lock rows and tables that others use last, or work on a temporary copy: "
                "CREATE TEMP TABLE … (LIKE … INCLUDING ALL); then run again",
            )
        place = self.at.place(self.conn.index(exc, self.at.sql) or 0)
        problem = problem_of(exc, where=place)
        what = problem.what.removesuffix(" (SQLSTATE P0001)")
        if isinstance(exc, _NOT_TRIED):
            what = f"could not be tried: {what}"
        return Problem(what, problem.where, self.at.check, problem.found, problem.remedy or _REMEDY)


def _denial(cursor: psycopg.Cursor[Any]) -> str:
    """Return what a statement answers that returns booleans alone and not only true; empty for any
    other. No row is no proof either.
    """
    if not cursor.description or {column.type_code for column in cursor.description} != _BOOLEAN:
        return ""
    rows = cursor.fetchall()
    if not rows:
        return "no row"
    said = [row for row in rows if not all(row)]
    if not said:
        return ""
    first = ", ".join(_WORDS[value] for value in said[0])
    if len(rows) == 1:
        return first
    return f"{len(said):,} of {len(rows):,} rows; the first: {first}"


_WORDS = {True: "true", False: "false", None: "NULL"}
_BOOLEAN = {psycopg.adapters.types["bool"].oid}
