"""How a run ended that was cut off after it had said how."""

from __future__ import annotations

import pytest
from nbformat.v4 import new_code_cell, new_output

from pgrunbook.errors import Verdict
from pgrunbook.records.format.mime_types import VERDICT_MIME
from pgrunbook.records.how_it_ended import Ending, judge_cut_off


@pytest.mark.parametrize(
    ("left", "verdict"),
    [([], "passed"), (["run.revert()"], "passed"), (["1 / 0"], "interrupted")],
)
def test_a_run_that_passed_has_passed_if_nothing_but_the_way_back_is_left(
    left: list[str], verdict: str
) -> None:
    card = {VERDICT_MIME: {"verdict": "passed", "reason": "all blocks are in place"}}
    said = new_code_cell("run.verdict()", outputs=[new_output("display_data", card)])
    cut = Ending(Verdict.INTERRUPTED, "stopped by a signal", cell=0)
    assert judge_cut_off(cut, [said, *map(new_code_cell, left)], None).verdict == verdict
