"""The seam that turns the driver's errors into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pgrunbook.errors import Failed, Problem, first_line
from pgrunbook.postgres import search_path
from pgrunbook.postgres.lockers import Locked
from pgrunbook.postgres.session import Silent


@contextmanager
def driver_errors(message: str, *, where: str) -> Iterator[None]:
    """Raise Failed in place of the driver's errors, with what the server said and where."""
    try:
        yield
    except psycopg.Error as exc:
        raise Failed(message, problems=[problem_of(exc, where=where)]) from exc


def problem_of(exc: psycopg.Error, *, where: str, remedy: str = "") -> Problem:
    """Return what the server said, as a Problem: its message and SQLSTATE, detail, hint, and below
    that what to do next.
    """
    if isinstance(exc, Silent):
        return Problem(str(exc), where=where, remedy=exc.remedy)
    if isinstance(exc, Locked):
        return exc.problem
    if path := search_path.path_in_error(exc):
        return Problem(
            "leaves a search path that nobody has looked at",
            where=where,
            expected="schemas that the header search_path, or a SET LOCAL search_path of the file, "
            "names; pg_catalog before them",
            found=path,
            remedy="write the path as SET LOCAL search_path = … before it, without pg_catalog; a "
            "block may name its schemas in the header instead",
        )
    diag = exc.diag
    what = diag.message_primary or first_line(exc).strip() or type(exc).__name__
    if exc.sqlstate:
        what += f" (SQLSTATE {exc.sqlstate})"
    return Problem(
        what,
        where=where,
        found=diag.message_detail or "",
        remedy="\n".join(filter(None, [diag.message_hint, remedy])),
    )
