"""PostgreSQL schema changes as notebooks whose record can be trusted."""

from pgrunbook.errors import Failed, Interrupted, LockedOut, Problem, Refused, RunbookError, Verdict
from pgrunbook.run import Run, begin

__all__ = [
    "Failed",
    "Interrupted",
    "LockedOut",
    "Problem",
    "Refused",
    "Run",
    "RunbookError",
    "Verdict",
    "begin",
]
