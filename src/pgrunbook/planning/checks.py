"""Checks: how each came out, in a frame and as an error; and what must hold after a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from pgrunbook.errors import Problem, RunbookError


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check came out: it passed unless there is a problem; `not_run` says why it could not
    be tried.
    """

    where: str
    check: str
    problem: Problem | None = None
    not_run: str = ""

    @property
    def result(self) -> str:
        """`ok`, `FAILED` or `not run`."""
        return "FAILED" if self.problem else "not run" if self.not_run else "ok"


def frame(results: Sequence[CheckResult]) -> pd.DataFrame:
    """One row a check: index `where`; columns `check`, `result`, `found`, all str."""
    data = {
        "where": [r.where for r in results],
        "check": [r.check for r in results],
        "result": [r.result for r in results],
        "found": [_found(r) for r in results],
    }
    return pd.DataFrame(data, dtype="str").set_index("where")


def _found(result: CheckResult) -> str:
    if result.problem:
        return result.problem.found
    return result.not_run


def require(results: Iterable[CheckResult], error: type[RunbookError], message: str) -> None:
    """Raise the error with every problem at once, if there is any."""
    if problems := [r.problem for r in results if r.problem]:
        raise error(message, problems=problems)


def result(where: str, check: str, passed: bool, what: str, **details: str) -> CheckResult:
    """The result of a check; `what` and the details say what is wrong if it has not passed."""
    return CheckResult(where, check, None if passed else Problem(what, where=where, **details))
