"""PostgreSQL schema changes as notebooks whose record can be trusted."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgrunbook.errors import (
        Failed,
        Interrupted,
        LockedOut,
        Problem,
        Refused,
        RunbookError,
        Verdict,
    )
    from pgrunbook.run.begin import begin
    from pgrunbook.run.run import Run

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


def __getattr__(name: str) -> Any:
    """`begin` and `Run` bring pandas and SQLAlchemy with them, which what runs the notebook does
    not need; and the command line handles signals before it imports anything.
    """
    if name == "begin":
        from pgrunbook.run.begin import begin

        return begin
    if name == "Run":
        from pgrunbook.run.run import Run

        return Run
    if name in __all__:
        from pgrunbook import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
