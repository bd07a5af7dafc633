"""Refuses notebooks that are no records of ours, or were changed: whatever error they raise where
they are read becomes one refusal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from pgrunbook.errors import Refused, RunbookError, first_line

# What a notebook of another form raises, wherever a part of it is read: by us, or by nbformat.
MALFORMED = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
)


@contextmanager
def refuse(name: str) -> Iterator[None]:
    """Raise Refused if the notebook of this name, which is read in the `with` block, is of another
    form.
    """
    try:
        yield
    except RunbookError:  # such as NewerFormat, which says what to do
        raise
    except MALFORMED as exc:
        raise Refused.of(
            "is no record of ours",
            where=name,
            expected="a notebook that a run has executed, as it was saved then",
            found=_describe(exc),
            remedy="name another notebook, or take this one from a copy of the archive again",
        ) from exc


def _describe(exc: Exception) -> str:
    # without the value, which may be anything
    if isinstance(exc, ValidationError):
        first = exc.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, (exc.title, *first['loc'])))}: {first['msg']}"
    return f"{type(exc).__name__}: {first_line(exc)}"
