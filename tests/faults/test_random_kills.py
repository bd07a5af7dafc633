"""The kernel killed at a random moment, many times in a row on one database, and then a run that
nobody disturbs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from faults import many, truth
from faults.actions import FAULTS
from faults.proxy import Command, Session
from faults.runbooks import RUNBOOK_900, Runbook
from faults.stage import Stage
from faults.trial import Hit, Trial

# How long after a run has come to its database, or has begun to write, its kernel is killed, in
# seconds, at the latest.
ANY_TIME_S, WHILE_WRITING_S = 2.5, 0.6

pytestmark = pytest.mark.timeout(3600)


def chosen(*, whole: bool) -> pytest.MarkDecorator:
    """How many kills, and how many blocks there are for them; 0: those of runbook 900."""
    return pytest.mark.parametrize(
        ("server", "cases"), [(18, (50, 100) if whole else (1, 0))], indirect=["server"]
    )


def test_after_many_kills_one_run_passes(
    cases: tuple[int, int],
    stage: Callable[[Runbook], AbstractContextManager[Stage]],
    tmp_path: Path,
    tell: Callable[..., None],
) -> None:
    kills, blocks = cases
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown if the test fails
    chance = random.Random(seed)
    runbook = many.make(tmp_path / "source", blocks) if blocks else RUNBOOK_900
    with stage(runbook) as on:
        for _ in range(kills):
            writing = chance.random() < 0.75 and len(truth.rows(on.database)) < len(
                on.expected.blocks
            )
            seconds = chance.uniform(0, WHILE_WRITING_S if writing else ANY_TIME_S)
            fault = replace(FAULTS["kernel"], act=_kill_later(seconds), codes={0, 3}, cuts=False)
            hit = Hit(fault, _begins_to_write if writing else _comes)
            ended = on.run(hit)
            tell(
                "random",
                f"kernel killed at a random moment, {kills} times in a row on one database",
            )
            truth.check_record(ended, fault, on.database, on.expected)
            truth.check_ledger(on.database, on.expected)
        on.finish()


def _kill_later(seconds: float) -> Callable[[Trial, Session], None]:
    def act(trial: Trial, _: Session) -> None:
        kernel = trial.kernel()

        def kill() -> None:
            with suppress(psutil.NoSuchProcess):  # the run was quicker
                kernel.kill()

        trial.later(seconds, kill)

    return act


def _comes(commands: Sequence[Command]) -> bool:
    return len(commands) == 1


def _begins_to_write(commands: Sequence[Command]) -> bool:
    return commands[-1].sql.startswith("INSERT INTO pgrunbook.runs")
