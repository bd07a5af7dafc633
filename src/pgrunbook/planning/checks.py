"""The results of checks, as a frame and as an error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from pgrunbook.errors import Problem, RunbookError, did_you_mean
from pgrunbook.planning.decisions import Decision


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. It has passed unless there is a `problem`; `not_run` says why it
    could not be run.
    """

    where: str
    check: str
    problem: Problem | None = None
    not_run: str = ""

    @property
    def result(self) -> str:
        """`ok`, `FAILED` or `not run`."""
        if self.problem:
            return "FAILED"
        return "not run" if self.not_run else "ok"


def frame(results: Sequence[CheckResult]) -> pd.DataFrame:
    """Return a row a check: index `where`; columns `check`, `result`, `found`, all str."""
    rows = []
    for each in results:
        found = each.problem.found if each.problem else each.not_run
        rows.append((each.where, each.check, each.result, found))
    columns = ["where", "check", "result", "found"]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index("where")


def require(results: Iterable[CheckResult], error: type[RunbookError], message: str) -> None:
    """Raise the error with every problem at once, if there is any."""
    problems = [each.problem for each in results if each.problem]
    if problems:
        raise error(message, problems=problems)


def result(where: str, check: str, passed: bool, what: str, **details: str) -> CheckResult:
    """Return the result of a check; `what` and the details say what is wrong if it fails."""
    return CheckResult(where, check, None if passed else Problem(what, where=where, **details))


def unknown_names(
    parameter: str, given: Collection[str], decisions: Sequence[Decision]
) -> Iterator[CheckResult]:
    """Yield a failed check for each name in a parameter that no block has."""
    names: dict[str, None] = {}
    for decision in decisions:
        names |= dict.fromkeys([decision.block.name, decision.block.entry])
    for name in sorted({*given} - names.keys()):
        yield result(
            parameter,
            f"names the block {name}",
            False,
            f"no block is called {name}",
            expected=", ".join(names),
            remedy=f"{did_you_mean(name, names)}correct the parameter {parameter}",
        )
