"""A cell that shows more than anybody reads: the record stays small, the verdict true, and no
timeout is invented.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support import forks, notebooks

from pgrunbook.records.format.mime_types import FRAME_MIME
from pgrunbook.runner.output_limits import MAX_CHARACTERS, MAX_OWN_OUTPUTS, OutputLimiter, size

PASSED = """\
from pgrunbook.records.card import VerdictCard
from pgrunbook.records.format.parts import Card
VerdictCard(Card(verdict='passed', reason='done'))"""
SHOW = "from IPython.display import display, HTML, clear_output\n"


def execute(folder: Path, *cells: str) -> tuple[int, str, Any]:
    notebooks.write(folder / "in.ipynb", *cells)
    arguments = ["--engine", "pgrunbook", "--no-progress-bar", "in.ipynb", "out.ipynb"]
    code, text = forks.call("papermill", arguments, cwd=folder, env=os.environ)
    return code, text, json.loads((folder / "out.ipynb").read_text())


@pytest.mark.parametrize(
    ("cell", "last"),
    [
        ("for n in range(3_000): display({'text/plain': f'{n} …'}, raw=True)", "2999 …"),
        ("for n in range(8): print(str(n) * 1_000_000)\nprint('the end')", "the end\n"),
        pytest.param(
            "for n in range(100_000): display({'text/plain': f'{n} …'}, raw=True)",
            "99999 …",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "for n in range(60): print(str(n) * 1_000_000)\nprint('the end')",
            "the end\n",
            marks=pytest.mark.long,
        ),
    ],
)
def test_the_beginning_and_the_end_stay(tmp_path: Path, cell: str, last: str) -> None:
    code, said, record = execute(tmp_path, SHOW + cell, PASSED)
    assert code == 0, said
    assert (tmp_path / "out.ipynb").stat().st_size < 2 * MAX_CHARACTERS
    shown = json.dumps(record["cells"][0]["outputs"], ensure_ascii=False)
    assert "… left out: " in shown
    assert json.dumps(last, ensure_ascii=False).strip('"') in shown[-200:]


@pytest.mark.long
def test_a_flood_takes_no_verdict_with_it(tmp_path: Path) -> None:
    """ipykernel drops what the runner does not take in time: the card, the error, or that the cell
    has ended.
    """
    flood = "for n in range(3_000): display({'text/plain': 'x'}, raw=True)\n"
    code, said, record = execute(tmp_path, f"{SHOW}{flood}{PASSED}")
    assert code == 0, said
    assert record["metadata"]["pgrunbook"]["verdict"] == "passed"
    code, said, record = execute(
        tmp_path, f"{SHOW}{flood}raise ValueError('v' * 5_000_000)", PASSED
    )
    assert code == 1, said[:1000]
    assert "FAILED: ValueError: vvv" in said
    assert len(said) < 10_000


@pytest.mark.parametrize(
    "shown",
    [
        "{'application/vnd.pgrunbook.mine+json': 'x' * 8_000_000}",
        "{FRAME_MIME: [], 'application/x': 'x' * 8_000_000}",
        "{FRAME_MIME: [], 'application/vnd.pgrunbook.mine+json': 'x' * 8_000_000}",
        pytest.param("{FRAME_MIME: 'x' * 60_000_000}", marks=pytest.mark.long),
    ],
)
def test_what_claims_to_be_ours_has_bounds_too(tmp_path: Path, shown: str) -> None:
    frame = "from pgrunbook.records.format.mime_types import FRAME_MIME\n"
    code, said, record = execute(tmp_path, f"{SHOW}{frame}display({shown}, raw=True)", PASSED)
    assert code == 0, said
    assert (tmp_path / "out.ipynb").stat().st_size < MAX_CHARACTERS
    assert "… left out: " in json.dumps(record["cells"][0]["outputs"], ensure_ascii=False)


def test_many_of_them_too() -> None:
    frame = nbformat.v4.new_output("display_data", {FRAME_MIME: "x"})
    error = nbformat.v4.new_output("error", ename="E", evalue="x" * 100, traceback=[])
    for shown in (frame, error):
        limiter = OutputLimiter()
        outputs: list[Any] = []
        for _ in range(3 * MAX_OWN_OUTPUTS):
            outputs.append(shown)
            limiter.shorten(outputs, size(shown))
        assert len(outputs) <= MAX_OWN_OUTPUTS
        assert outputs[-1] == shown


@pytest.mark.long
def test_a_display_that_is_updated_keeps_its_place(tmp_path: Path) -> None:
    cell = (
        "first = display('first', display_id=True)\n"
        "for n in range(1_500): last = display(f'{n}', display_id=True)\n"
        "first.update('begun'); last.update('ended')"
    )
    code, said, record = execute(tmp_path, SHOW + cell, PASSED)
    assert code == 0, said
    texts = ["".join(output["data"]["text/plain"]) for output in record["cells"][0]["outputs"]]
    assert (texts[0], texts[-1]) == ("'begun'", "'ended'")
    assert len([text for text in texts if "left out" in text]) == 1


@pytest.mark.long
def test_a_kernel_that_never_says_that_a_cell_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    cell = (
        "get_ipython().kernel.send_response = get_ipython().kernel._publish_status = lambda "
        "*_, **__: None"
    )
    code, said, _ = execute(tmp_path, cell, PASSED)
    assert code == 3, said
    assert "ran into its timeout" in said
