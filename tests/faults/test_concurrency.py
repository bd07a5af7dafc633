"""Many runs at once on one database: one applies, the others are locked out or find everything
applied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
from faults import truth
from faults.runbooks import RUNBOOK_900, Runbook
from faults.stage import Stage
from faults.trial import Ended

from pgrunbook.errors import Verdict

pytestmark = pytest.mark.timeout(3600)


def chosen(*, whole: bool) -> pytest.MarkDecorator:
    """How many runs at once; each case is one time over."""
    cases = [20] * 10 if whole else [3]
    return pytest.mark.parametrize(
        ("server", "cases"), [(18, runs) for runs in cases], indirect=["server"]
    )


def test_one_applies_and_the_others_are_locked_out_or_find_all_applied(
    cases: int,
    stage: Callable[[Runbook], AbstractContextManager[Stage]],
    tell: Callable[..., None],
) -> None:
    with stage(RUNBOOK_900) as on, ThreadPoolExecutor(cases) as pool:
        # So many on few cores make a round trip long, and 150 ms too short to take locks in.
        notebook = on.project / "runbooks" / f"{on.runbook}.ipynb"
        notebook.write_text(notebook.read_text().replace("150ms", "2s"))
        ended = list(pool.map(lambda _: on.run(), range(cases)))
        tell("concurrency", f"{cases} runs at once, 10 times over")
        verdicts = Counter(map(_verdict, ended))
        assert {*verdicts} <= {"passed", "locked_out"}, [
            run.text for run in ended if run.code not in (0, 4)
        ]
        truth.check_finished(next(run for run in ended if run.code == 0), on.database, on.expected)


def _verdict(ended: Ended) -> str:
    """What the record says, which is what the exit code says."""
    assert ended.record, ended.text
    assert ended.record.verdict, ended.text
    assert Verdict(ended.record.verdict).exit_code == ended.code
    return ended.record.verdict
