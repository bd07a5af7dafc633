"""The same with papermill as it is, and nobody to correct the notebook: what the ledger knows is true all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from faults import truth
from faults.actions import FAULTS
from faults.cases import BLOCKS, Case, Stop, matrix
from faults.reference import Reference
from faults.runbooks import RUNBOOK_900, Runbook
from faults.trial import PLAIN, Trial, When

from pgrunbook.embedded import Server

SAMPLE = ((16, Case(FAULTS["sigterm"], BLOCKS[1], Stop.COMMIT, When.DURING)),)


def chosen(*, whole: bool) -> pytest.MarkDecorator:
    """Every fault in the middle of every command; or the sample."""
    cases = [(18, case) for case in matrix() if case.when is When.DURING] if whole else SAMPLE
    params = [pytest.param(version, [case], id=f"pg{version}+{case}") for version, case in cases]
    return pytest.mark.parametrize(("server", "cases"), params, indirect=["server"])


def test_the_ledger_is_true_and_the_next_run_finishes(
    cases: Sequence[Case],
    server: Server,
    reference: Callable[[Runbook], Reference],
    tmp_path: Path,
    tell: Callable[..., None],
) -> None:
    (case,) = cases
    expected = reference(RUNBOOK_900)
    project = RUNBOOK_900.copy(tmp_path)
    with RUNBOOK_900.database(server) as database:
        Trial(database, project, RUNBOOK_900.name, case.hit(expected.scripts), PLAIN).run()
        tell("plain", "runbook 900, papermill without our engine", case)
        truth.check_ledger(database, expected)
        after = Trial(database, project, RUNBOOK_900.name, program=PLAIN).run()
        truth.check_finished(after, database, expected)
