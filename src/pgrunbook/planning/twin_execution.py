"""Runs one statement of a block on a twin, past what the twin has of it already."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from pgrunbook.inventory.objects import Object
from pgrunbook.planning.twin_failure import TwinFailure
from pgrunbook.planning.twin_state import TwinState
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Statement


def run_statement(conn: Session, statement: Statement, state: TwinState) -> None:
    """Run a statement in the open transaction, which stays as it was if the statement fails.

    Raises TwinFailure.
    """
    named = all(each.name for each in statement.made)
    if named or not state.cleared:
        _execute(conn, statement, state)
    else:
        _execute_unnamed(conn, statement, state)


def run_alone(conn: Session, statement: Statement, state: TwinState) -> None:
    """Run a statement outside a transaction. Raises TwinFailure."""
    try:
        conn.execute(statement.sql.encode())
        return
    except psycopg.Error as exc:
        instead = None if conn.closed else state.substitute(statement, exc)
        if instead is None:
            raise TwinFailure(statement, exc) from exc
    try:
        conn.execute(instead.encode())
    except psycopg.Error as exc:
        raise TwinFailure(statement, exc) from exc


def _execute_unnamed(conn: Session, statement: Statement, state: TwinState) -> None:
    """Run a statement that leaves a name to PostgreSQL. If the twin has what it makes already, undo
    the statement, drop that, and run it again: `clear_away` had no name by which to drop it.
    """
    with state.written.by_one_statement():
        _execute(conn, statement, state)
        duplicates = state.duplicates(state.transaction_changes([]))
    if duplicates:
        conn.execute("ROLLBACK TO pgrunbook_statement")
        _drop_leftovers(conn, duplicates, state)
        _execute(conn, statement, state)


def _execute(conn: Session, statement: Statement, state: TwinState) -> None:
    """Run a statement behind a savepoint. If it fails because the twin has what it makes already,
    that is dropped, or the statement is replaced by one that does without: see `substitute`.
    """
    for _ in range(_MOST_OBSTACLES):
        try:
            conn.execute(f"{_SAVEPOINT}{statement.sql}".encode())
            return
        except psycopg.Error as exc:
            if conn.closed:
                raise TwinFailure(statement, exc, len(_SAVEPOINT)) from exc
            conn.execute("ROLLBACK TO pgrunbook_statement")
            leftovers = state.find_obstacles(exc, statement)
            if leftovers:
                _drop_leftovers(conn, leftovers, state)
                continue
            instead = state.substitute(statement, exc)
            if instead is None:
                raise TwinFailure(statement, exc, len(_SAVEPOINT)) from exc
        try:
            conn.execute(instead.encode())
            return
        except psycopg.Error as exc:
            if not conn.closed:
                conn.execute("ROLLBACK TO pgrunbook_statement")
            raise TwinFailure(statement, exc) from exc


# In the statement's message. Thousands within each other would make each row slower to see.
_SAVEPOINT = "RELEASE pgrunbook_statement; SAVEPOINT pgrunbook_statement;\n"
_MOST_OBSTACLES = 100  # objects that one DO or CALL makes


def _drop_leftovers(conn: Session, objects: Sequence[Object], state: TwinState) -> None:
    """Drop what `clear_away` has left on the twin, as no statement says that it makes it."""
    for each in objects:
        state.drop(each)
    conn.execute(_SAVEPOINT)
