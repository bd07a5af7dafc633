"""`%sql` and `%%sql`, for looking only: ipython-sql's magic, made read-only and loud."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import psycopg
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import line_cell_magic, magics_class, no_var_expand
from pglast import ast
from pglast.parser import ParseError
from sql.magic import SqlMagic
from sql.parse import _option_strings_from_parser
from sql.run import unduplicate_field_names
from sqlalchemy import CursorResult, NullPool, create_engine

# imported now, or SQLAlchemy would do it while the first cell waits
from sqlalchemy.dialects.postgresql import psycopg as _dialect  # noqa: F401
from sqlalchemy.exc import DBAPIError
from traitlets import Int

from pgrunbook.errors import Failed, Interrupted, Problem, Refused
from pgrunbook.postgres import search_path
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Statement, statements, syntax_problem
from pgrunbook.secrets.patterns import mask_shapes
from pgrunbook.sqltext.parse_tree import nodes

ROW_LIMIT = 1_000
ONLY_LOOKS = "%sql only looks; changes go through a block."

# Sent first in each transaction, for two reasons. The server then finds the ends of strings where
# our parser found them. And it takes a snapshot, after which PostgreSQL does not let a READ ONLY
# transaction become read-write: https://www.postgresql.org/docs/current/sql-set-transaction.html
PIN = "SELECT pg_catalog.set_config('standard_conforming_strings', 'on', true)"

# A cursor, so that a SELECT without LIMIT cannot fill the kernel's memory.
CURSOR = "DECLARE looking NO SCROLL CURSOR FOR "

# Type OIDs of src/include/catalog/pg_type.dat to the pandas dtypes that can be NULL without
# becoming floats.
_DTYPES: dict[object, str] = {
    16: "boolean",
    20: "Int64",
    21: "Int64",
    23: "Int64",
    26: "Int64",
    700: "Float64",
    701: "Float64",
}

_WRITERS = (
    ast.IntoClause,
    ast.LockingClause,
    ast.InsertStmt,
    ast.UpdateStmt,
    ast.DeleteStmt,
    ast.MergeStmt,
)
_OPTIONS = frozenset(_option_strings_from_parser(SqlMagic.execute.parser))
_ASSIGNMENT = re.compile(r"\s*(?P<name>[^\W\d]\w*)\s+<<(?=\s)(?P<sql>.*)", re.DOTALL)
# a URL, user@database, a [section] of odbc.ini
_CONNECTION = re.compile(r"""\[|[^\s'"(/-][^\s'"(]*(://|@)""")


def register(shell: InteractiveShell, connect: Callable[[], psycopg.Connection[Any]]) -> None:
    """Give the shell `%sql` and `%%sql`, each cell in sessions of its own from `connect`.

    `connect` returns a new session on the run's target, read-only by default; timeouts and the
    search path are its business. Registering again replaces what was there.
    """
    shell.configurables[:] = [c for c in shell.configurables if not isinstance(c, ReadOnlySqlMagic)]
    shell.register_magics(ReadOnlySqlMagic(shell, connect))


@magics_class
class ReadOnlySqlMagic(SqlMagic):  # type: ignore[misc]  # ipython-sql ships no type information
    """ipython-sql's magic, read-only. Of its settings only `autolimit` has a meaning here."""

    autolimit = Int(ROW_LIMIT, config=True, allow_none=True, help="Rows fetched at most")

    def __init__(
        self, shell: InteractiveShell, connect: Callable[[], psycopg.Connection[Any]]
    ) -> None:
        super().__init__(shell)
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=connect,
            # closing a session frees what a rollback does not, such as advisory locks
            poolclass=NullPool,
            isolation_level="READ COMMITTED",  # not autocommit, whatever the session came with
            execution_options={"postgresql_readonly": True, "no_parameters": True},
        )

    @no_var_expand
    # IPython types this decorator for its bare form
    @line_cell_magic("sql")  # type: ignore[arg-type]
    def execute(self, line: str = "", cell: str = "") -> pd.DataFrame | None:
        """Ask the run's target a question, and get the answer as a pandas DataFrame.

            %sql SHOW server_version
            %sql sizes << SELECT relname, pg_relation_size(oid) FROM pg_class

        The first form shows the frame, the second puts it into the variable `sizes`; `%%sql` takes
        a whole cell, and returns the rows of its last statement. At most `ROW_LIMIT` rows are
        fetched, and a note says so if there are more; `%config ReadOnlySqlMagic.autolimit` sets
        another limit.

        SQL is sent as it is written. Python variables are not interpolated: `$name`, `{name}` and
        `:name` are PostgreSQL's. Only SELECT, VALUES, TABLE, SHOW, and EXPLAIN of those are sent,
        each in a READ ONLY transaction that is rolled back. A function that acts outside of
        transactions still does so, such as `pg_terminate_backend()`.

        Raises Refused for everything else, Failed for what PostgreSQL reports, Interrupted if it is
        stopped.
        """
        text = f"{line}\n{cell}"
        assignment = _ASSIGNMENT.fullmatch(text)
        if assignment is None:
            return self._look(_readable(text))
        self.shell.user_ns[assignment["name"]] = self._look(_readable(assignment["sql"]))
        return None

    def _look(self, script: list[Statement]) -> pd.DataFrame:
        *before, last = script
        for statement in before:
            self._fetch(statement)
        frame, complete = self._fetch(last)
        if not complete:
            print(
                f"The first {len(frame):,} rows; there are more. Narrow the query, or page with "
                "LIMIT."
            )
        return frame

    def _fetch(self, statement: Statement) -> tuple[pd.DataFrame, bool]:
        """The statement's rows, at most `autolimit`, and whether these are all of them."""
        limit = self.autolimit or ROW_LIMIT
        prefix = CURSOR if isinstance(statement.node, ast.SelectStmt) else ""
        try:
            # without a commit, it rolls back and closes at the end
            with self._engine.connect() as connection:
                session = connection.connection.driver_connection
                connection.exec_driver_sql(PIN)
                if isinstance(session, Session):
                    path = search_path.set_local(search_path.of(session))
                    connection.exec_driver_sql(path)
                result = connection.exec_driver_sql(prefix + statement.sql)
                if prefix:
                    result = connection.exec_driver_sql(f"FETCH FORWARD {limit + 1} FROM looking")
                frame = _frame(result)
        except KeyboardInterrupt as exc:
            raise Interrupted("The query was interrupted.") from exc
        except DBAPIError as exc:
            raise Failed(
                "The query failed.", problems=[_problem(exc, statement, len(prefix))]
            ) from exc.orig
        # SHOW and EXPLAIN have no cursor, and few rows
        if not prefix:
            return frame, True
        return frame.head(limit), len(frame) <= limit


def _readable(sql: str) -> list[Statement]:
    """The statements, none of which writes. Raises Refused, or Failed for a syntax error."""
    _refuse_syntax_of_ipython_sql(sql)
    try:
        script = list(statements(sql))
    except ParseError as exc:
        problem = syntax_problem(exc, sql, "%sql")
        raise Failed(
            "The query failed.",
            problems=[replace(problem, found=mask_shapes(problem.found, sql=True))],
        ) from exc
    if not script:
        raise Refused("There is no SQL to run.")
    problems = []
    for statement in script:
        if what := _writes(statement.node):
            problems.append(Problem(what, where=f"%sql:{statement.line}"))
    if problems:
        raise Refused(ONLY_LOOKS, problems=problems)
    return script


def _refuse_syntax_of_ipython_sql(text: str) -> None:
    """Refuse its options and connections. The text is not repeated: it may hold a password."""
    word = next(iter(text.split(maxsplit=1)), "")
    if word.partition("=")[0] in _OPTIONS or re.match(r"-[^-]", word):
        problem = Problem(
            "options are not taken",
            where="%sql",
            remedy="start with the SQL: results are frames already",
        )
        raise Refused(ONLY_LOOKS, problems=[problem])
    if _CONNECTION.match(word):
        problem = Problem(
            "a connection is not taken: the session is the run's own",
            where="%sql",
            remedy="start with the SQL; for another database, run the notebook with another target",
        )
        raise Refused(ONLY_LOOKS, problems=[problem])


def _writes(node: ast.Node) -> str:
    """Why the statement is not for looking, or nothing."""
    if isinstance(node, ast.VariableShowStmt):
        return ""
    query = node.query if isinstance(node, ast.ExplainStmt) else node
    if not isinstance(query, ast.SelectStmt):
        return "not a SELECT, VALUES, TABLE, SHOW, or EXPLAIN of those"
    # however deep: in a CTE, or a subquery
    if any(isinstance(each, _WRITERS) for each in nodes(query)):
        return "a query that writes, or locks rows"
    return ""


def _frame(result: CursorResult[Any]) -> pd.DataFrame:
    """The rows with unique column names. What is not a number or a boolean stays as psycopg returns
    it.
    """
    assert result.cursor is not None  # every statement that is let through returns rows
    names = unduplicate_field_names([name for name, *_ in result.cursor.description])
    dtypes = [_DTYPES.get(oid, "object") for _, oid, *_ in result.cursor.description]
    frame = pd.DataFrame([tuple(row) for row in result], columns=names, dtype=object)
    return frame.astype(dict(zip(names, dtypes, strict=True)))


def _problem(exc: DBAPIError, statement: Statement, prefix: int) -> Problem:
    """What the server said, and the line with a caret under the place that it points to."""
    assert isinstance(exc.orig, psycopg.Error)
    remedy = ""
    if isinstance(exc.orig, psycopg.errors.QueryCanceled):
        remedy = "ask for less (LIMIT), or raise the parameter statement_timeout"
    problem = problem_of(exc.orig, where=f"%sql:{statement.line}", remedy=remedy)
    if not exc.orig.diag.statement_position:
        return problem
    # the server counts from the statement; our lines from the beginning of the cell
    above = "\n" * (statement.line - 1)
    index = int(exc.orig.diag.statement_position) - 1 - prefix + len(above)
    seen = syntax_problem(ParseError(problem.what, index), above + statement.sql, "%sql")
    return replace(
        problem,
        where=seen.where,
        found=f"{mask_shapes(seen.found, sql=True)}\n{problem.found}".rstrip(),
    )
