"""How a run can end, and the errors that say so."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Self

from pgrunbook import controls


class Verdict(enum.StrEnum):
    """How a run ended. `exit_code` is what the command line returns for it."""

    PASSED = "passed"
    FAILED = "failed"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    LOCKED_OUT = "locked_out"

    @property
    def exit_code(self) -> int:
        """See the table below."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Verdict.PASSED: 0,
    Verdict.FAILED: 1,
    Verdict.REFUSED: 2,
    Verdict.INTERRUPTED: 3,
    Verdict.LOCKED_OUT: 4,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what and where, what was expected, what was found, what to do
    next.
    """

    what: str
    where: str = ""
    expected: str = ""
    found: str = ""
    remedy: str = ""

    def lines(self) -> Iterable[str]:
        """Yield the problem as lines of text, the empty fields left out. Whatever they hold, each
        line begins as ours do.
        """
        what = f"{controls.one_line(self.where)}: {self.what}" if self.where else self.what
        yield from controls.continued(what).split("\n")
        for label in ("expected", "found", "remedy"):
            if text := getattr(self, label):
                yield from f"    {label + ':':<10}{controls.continued(text)}".split("\n")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return how a remedy begins where one of the names that are known is close; empty if
    none is.
    """
    near = get_close_matches(name, list(known), 1)
    if not near:
        return ""
    return f"did you mean {near[0]}? "


class RunbookError(Exception):
    """The run cannot go on."""

    verdict: ClassVar[Verdict] = Verdict.FAILED

    # What gives the problems to the notebook as data: set by the package that shows things, as no
    # other knows IPython.
    show: ClassVar[Callable[[Sequence[Problem]], None] | None] = None

    def __init__(self, message: str = "", *, problems: Sequence[Problem] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.problems = tuple(problems)
        self._shown = False
        super().__init__(self.message)

    @classmethod
    def of(cls, what: str, **details: str) -> Self:
        """Return an error with one problem: `of("no such table", where="public.users",
        remedy="…")`.
        """
        return cls(problems=[Problem(what, **details)])

    def __str__(self) -> str:
        lines = [controls.continued(self.message)]
        for problem in self.problems:
            lines += [f"  {line}" for line in problem.lines()]
        return "\n".join(lines)

    @property
    def reason(self) -> str:
        """The message and the first problem, in one line."""
        if not self.problems:
            return self.message
        return f"{self.message} {self.problems[0].what}"

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: the reader needs the reason, not our
        call stack. A program that reads the notebook finds the problems beside it.
        """
        # IPython asks twice, the second time for its history: the notebook gets the problems once
        if RunbookError.show and not self._shown:
            self._shown = True
            RunbookError.show(self.problems)
        return f"{self.verdict.upper()}: {self}".splitlines()


class Unreadable(ValueError):
    """A file of the archive is not what it should be: a seal, or the line in `HEAD`."""


def first_line(exc: Exception) -> str:
    """Return what went wrong, in one line: of an error of ours its first problem, as the rest is
    about this very run.
    """
    text = str(exc)
    if isinstance(exc, RunbookError) and exc.problems:
        text = exc.problems[0].what
    return text.split("\n", 1)[0]


class Failed(RunbookError):
    """A statement or a check failed. What was committed before is in the ledger."""

    verdict = Verdict.FAILED


class Refused(RunbookError):
    """Nothing was changed."""

    verdict = Verdict.REFUSED


class Interrupted(RunbookError):
    """The run was interrupted. What was committed before is in the ledger."""

    verdict = Verdict.INTERRUPTED


class LockedOut(RunbookError):
    """Another run is at work in this schema, or needs the database for itself."""

    verdict = Verdict.LOCKED_OUT
