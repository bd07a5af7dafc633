"""The first runbook of the project, its kernel killed at every command of each of its blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest
from faults import truth
from faults.actions import FAULTS
from faults.cases import MOMENTS, Case, Stop
from faults.runbooks import RUNBOOK_001, Runbook
from faults.stage import Stage

# On the sample: the blocks with something to do, and those whose objects are there already.
APPLIED = (
    "010_import_batches",
    "020_stage_mappings",
    "030_deals_source_data",
    "040_contacts_source_data",
    "060_connections_source_label",
    "061_connections_config",
    "070_admit_csv_import:connections.source_type",
    "070_admit_csv_import:deals.source",
    "080_validate_csv_import:connections.source_type",
    "080_validate_csv_import:deals.source",
)
ADOPTED = (
    "050_accounts_source_data",
    "062_connections_last_sync_at",
    "070_admit_csv_import:accounts.source",
    "070_admit_csv_import:contacts.source",
    "080_validate_csv_import:accounts.source",
    "080_validate_csv_import:contacts.source",
)
STOPS = [(block, *moment) for block in APPLIED for moment in MOMENTS]
STOPS += [(block, *moment) for block in ADOPTED for moment in MOMENTS if moment[0] is not Stop.DDL]


def chosen(*, whole: bool) -> pytest.MarkDecorator:
    """Every command of each block. Only the whole matrix collects this module."""
    assert whole
    cases = [Case(FAULTS["kernel"], *stop) for stop in STOPS]
    params = [pytest.param(18, [case], id=str(case)) for case in cases]
    return pytest.mark.parametrize(("server", "cases"), params, indirect=["server"])


def test_the_record_is_true_and_the_next_run_finishes(
    cases: Sequence[Case],
    stage: Callable[[Runbook], AbstractContextManager[Stage]],
    tell: Callable[..., None],
) -> None:
    (case,) = cases
    with stage(RUNBOOK_001) as on:
        ended = on.run(case.hit(on.expected.scripts))
        tell("001", "runbook 001, kernel killed", case)
        truth.check_record(ended, case.fault, on.database, on.expected)
        truth.check_ledger(on.database, on.expected)
        on.finish()
