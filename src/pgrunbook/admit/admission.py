"""Finds what constrains the values of a column, whether it accepts one given value, and the DDL
that makes it do so.

Reads only: works in a read-only transaction and on a hot standby. The DDL is named by variant and
variables; its text is a file of the runbook.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgrunbook.admit.answer_cache import AnswerCache
from pgrunbook.admit.findings import TABLE_KINDS, Constraint, Obstacle, kind_of_relation
from pgrunbook.admit.inspect_column import Inspection
from pgrunbook.errors import Problem, Refused
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session

__all__ = ["Admission", "Constraint", "Obstacle", "find_column", "inspect", "judge_by"]


@dataclass(frozen=True, slots=True)
class Admission:
    """What keeps a value out of a column.

    - `obstacles` are in the order in which they are to be overcome, in one transaction.
    - `problems` have to be solved by hand before.
    """

    schema: str
    table: str
    column: str
    value: str
    type: str = ""
    constraints: tuple[Constraint, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def accepts(self) -> bool:
        """Whether the column accepts the value as it is."""
        return not self.obstacles and not self.problems

    @property
    def summary(self) -> str:
        """What was found, in a sentence."""
        if not self.accepts:
            found = [obstacle.found for obstacle in self.obstacles]
            found += [problem.what for problem in self.problems]
            return "; ".join(found)
        if not self.constraints:
            return "free text: any value is accepted"
        return "; ".join(f"{each.title} accepts it already" for each in self.constraints)


def inspect(
    conn: Session,
    schema: str,
    table: str,
    column: str,
    value: str,
    answers: AnswerCache | None = None,
) -> Admission:
    """Judge one value for one column, by the catalog and by evaluating the constraints on the
    server.

    Whatever the session's mode, the transaction is read-only meanwhile. A table, column or
    constraint that cannot be dealt with is a problem of the Admission. Raises psycopg.Error if the
    catalog cannot be read. `answers` keeps what this session is asked, to ask it again later.
    """
    with conn.transaction():
        conn.execute("SET TRANSACTION READ ONLY")
        return judge_by(answers or AnswerCache(conn), schema, table, column, value)


def judge_by(answers: AnswerCache, schema: str, table: str, column: str, value: str) -> Admission:
    """Judge the same by these answers, in a session of ours and in whichever transaction that
    is.
    """
    inspection = Inspection(answers, schema, table, column, value, schema).run()
    found = inspection.found
    return Admission(
        schema,
        table,
        column,
        value,
        inspection.type,
        tuple(found.constraints),
        tuple(found.obstacles),
        tuple(found.problems),
    )


def find_column(
    conn: Session,
    schema: str,
    tables: Sequence[str],
    columns: Sequence[str],
    *,
    table_parameter: str,
    column_parameter: str,
) -> tuple[str, str]:
    """Find the one table of the candidates that there is, and the one of the candidate columns that
    it has. Return both names.

    Raises Refused if it is not plain which, naming what was found and the parameter to give.
    """
    found = catalog.rows(
        conn, "admission_candidates", schema=schema, tables=list(tables), columns=list(columns)
    )
    # a view of that name holds no rows; it is told what it is
    real = [row for row in found if row["relkind"] in TABLE_KINDS]
    if len(real) != 1:
        names = [row["table"] + kind_of_relation(row["relkind"], " (a {})") for row in found]
        raise _ambiguous("table", f"schema {schema!r}", tables, names, table_parameter)
    table = str(real[0]["table"])
    named = real[0]["columns"]
    if len(named) != 1:
        raise _ambiguous("column", f"{schema}.{table}", columns, named, column_parameter)
    return table, str(named[0])


def _ambiguous(
    thing: str, where: str, candidates: Sequence[str], found: Sequence[str], parameter: str
) -> Refused:
    what = f"no such {thing}"
    if len(found) > 1:
        what = f"it is not plain which {thing} is meant"
    expected = ", ".join(candidates)
    if len(candidates) > 1:
        expected = f"one of {expected}"
    problem = Problem(
        what,
        where=where,
        expected=expected,
        found=", ".join(found) or "none of them",
        remedy=f"name the {thing}: -p {parameter} NAME",
    )
    return Refused(problems=[problem])
