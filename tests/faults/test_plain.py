"""The same with papermill as it is, and nobody to correct the notebook: what the ledger knows is
true all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest
from faults import truth
from faults.actions import FAULTS
from faults.cases import BLOCKS, Case, Stop, matrix
from faults.runbooks import RUNBOOK_900, Runbook
from faults.stage import Stage
from faults.trial import PLAIN, When

SAMPLE = ((16, Case(FAULTS["sigterm"], BLOCKS[1], Stop.COMMIT, When.DURING)),)


def chosen(*, whole: bool) -> pytest.MarkDecorator:
    """Every fault in the middle of every command; or the sample."""
    cases = [(18, case) for case in matrix() if case.when is When.DURING] if whole else SAMPLE
    params = [pytest.param(version, [case], id=f"pg{version}+{case}") for version, case in cases]
    return pytest.mark.parametrize(("server", "cases"), params, indirect=["server"])


def test_the_ledger_is_true_and_the_next_run_finishes(
    cases: Sequence[Case],
    stage: Callable[[Runbook], AbstractContextManager[Stage]],
    tell: Callable[..., None],
) -> None:
    (case,) = cases
    with stage(RUNBOOK_900) as on:
        on.run(case.hit(on.expected.scripts), PLAIN)
        tell("plain", "runbook 900, papermill without our engine", case)
        truth.check_ledger(on.database, on.expected)
        on.finish(PLAIN)
