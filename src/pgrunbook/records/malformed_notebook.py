"""Refuses notebooks that are not records, or were edited: any error in reading one becomes a
refusal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from pgrunbook.errors import Refused, RunbookError, first_line

# What code of ours or of nbformat raises where a notebook is not as it expects. To check the form
# of each part before it is read would be a second reader.
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
    """Raise Refused if the `with` block, which reads the notebook of this name, raises one of
    MALFORMED.
    """
    try:
        yield
    except RunbookError:  # such as NewerFormat, which says what to do
        raise
    except MALFORMED as exc:
        raise Refused.of(
            "is not a record of ours",
            where=name,
            expected="a notebook that a run has executed, as it was saved then",
            found=_describe(exc),
            remedy="name another notebook, or take this one from a copy of the archive again",
        ) from exc


def _describe(exc: Exception) -> str:
    # without the value, which may be a secret
    if isinstance(exc, ValidationError):
        first = exc.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, (exc.title, *first['loc'])))}: {first['msg']}"
    return f"{type(exc).__name__}: {first_line(exc)}"
