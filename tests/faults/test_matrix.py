"""Every fault at every moment: afterwards the record is true, and the next run finishes the job
(I1, I3, I6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest
from faults import truth
from faults.actions import FAULTS
from faults.cases import BLOCKS, VERSIONS, Case, Stop, matrix
from faults.runbooks import RUNBOOK_900, Runbook
from faults.stage import Stage
from faults.trial import When

# What every `make test` tries: faults one after the other, each in the run that goes on after the
# one before.
SAMPLE = (
    (
        18,
        Case(FAULTS["kernel"], BLOCKS[0], Stop.COMMIT, When.DURING),
        Case(FAULTS["sigterm"], BLOCKS[1], Stop.DDL, When.DURING),
        Case(FAULTS["backend"], BLOCKS[2], Stop.DDL, When.DURING),
    ),
    (
        18,
        Case(FAULTS["network"], BLOCKS[0], Stop.COMMIT, When.AFTER),
        Case(FAULTS["postmaster"], BLOCKS[1], Stop.ROW, When.BEFORE),
        Case(FAULTS["runner"], BLOCKS[2], Stop.ROW, When.BEFORE),
    ),
)


def chosen(*, whole: bool) -> pytest.MarkDecorator:
    """The cases, each in a list of its own, on every version; or those of the sample."""
    chains = [(version, case) for case in matrix() for version in VERSIONS] if whole else SAMPLE
    params = [
        pytest.param(version, cases, id="+".join([f"pg{version}", *map(str, cases)]))
        for version, *cases in chains
    ]
    return pytest.mark.parametrize(("server", "cases"), params, indirect=["server"])


def test_the_record_is_true_and_the_next_run_finishes(
    cases: Sequence[Case],
    stage: Callable[[Runbook], AbstractContextManager[Stage]],
    tell: Callable[..., None],
) -> None:
    with stage(RUNBOOK_900) as on:
        for case in cases:
            ended = on.run(case.hit(on.expected.scripts))
            tell(
                "matrix",
                "runbook 900, engine `pgrunbook`",
                case,
                truth.told(ended, case.block, on.database),
            )
            truth.check_record(ended, case.fault, on.database, on.expected)
            truth.check_ledger(on.database, on.expected)
        on.finish()
