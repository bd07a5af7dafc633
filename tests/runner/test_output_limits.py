"""Of what a cell shows too much, the beginning and the end stay, with a line in between."""

from __future__ import annotations

from typing import Any

import pytest
from nbformat.v4 import new_output

from pgrunbook.records.format.mime_types import FRAME_MIME
from pgrunbook.runner.output_limits import (
    MAX_CHARACTERS,
    MAX_OUTPUTS,
    OutputLimiter,
    cut,
    shorten,
    size,
)


def shown(limiter: OutputLimiter, count: int, each: str, **data: Any) -> list[Any]:
    outputs: list[Any] = []
    for number in range(count):
        outputs.append(new_output("display_data", {"text/plain": f"{number} {each}", **data}))
        limiter.shorten(outputs, size(outputs[-1]))
    return outputs


def test_a_text_is_cut_between_words() -> None:
    text = " ".join(f"word{n}" for n in range(MAX_CHARACTERS // 4))
    first, note, last = shorten(text).split("\n")
    assert text.startswith(first)
    assert text.endswith(last)
    assert first.endswith(" ")
    assert last.startswith(" ")
    assert note == f"… left out: {len(text) - len(first) - len(last):,} characters …"
    assert shorten("x" * (MAX_CHARACTERS // 2)) == "x" * (MAX_CHARACTERS // 2)
    assert len(shorten("x" * MAX_CHARACTERS)) < MAX_CHARACTERS // 2 + 100


@pytest.mark.long
def test_many_outputs_lose_their_middle() -> None:
    outputs = shown(OutputLimiter(), 50_000, "x")
    texts = [output.data["text/plain"] for output in outputs]
    assert len(outputs) <= MAX_OUTPUTS
    assert (texts[0], texts[-1]) == ("0 x", "49999 x")
    (place,) = [n for n, text in enumerate(texts) if text.startswith("… left out: ")]
    out = outputs[place].metadata["pgrunbook_left_out"]
    assert out["outputs"] == 50_000 - (len(outputs) - 1)
    assert int(texts[place - 1].split()[0]) + 1 + out["outputs"] == int(texts[place + 1].split()[0])


def test_large_outputs_do_too() -> None:
    outputs = shown(OutputLimiter(), 500, "x" * 100_000)
    assert size(outputs) < MAX_CHARACTERS + 110_000
    assert outputs[-1].data["text/plain"].startswith("499 ")


def test_ours_and_errors_stay_in_their_order() -> None:
    limiter = OutputLimiter()
    outputs: list[Any] = []
    for number in range(5_000):
        kind = FRAME_MIME if number % 100 == 0 else "text/plain"
        outputs.append(new_output("display_data", {kind: str(number)}))
        limiter.shorten(outputs, size(outputs[-1]))
    outputs.append(new_output("error", ename="E", evalue="x", traceback=[]))
    limiter.shorten(outputs, 1)
    ours = [output.data[FRAME_MIME] for output in outputs if FRAME_MIME in output.get("data", {})]
    assert ours == [str(number) for number in range(0, 5_000, 100)]
    assert outputs[-1].output_type == "error"


def test_the_places_that_are_left_out_are_told() -> None:
    limiter, outputs = (
        OutputLimiter(),
        [new_output("display_data", {"text/plain": str(n)}) for n in range(MAX_OUTPUTS + 1)],
    )
    before = list(outputs)
    out = limiter.shorten(outputs, 0)
    kept = [output for place, output in enumerate(before) if place not in out]
    assert kept == [output for output in outputs if "pgrunbook_left_out" not in output.metadata]
    assert "pgrunbook_left_out" in outputs[out[0]].metadata


def test_what_a_cell_has_cleared_no_longer_counts() -> None:
    limiter = OutputLimiter()
    outputs: list[Any] = []
    for number in range(3_000):
        outputs[:] = [new_output("stream", name="stdout", text=f"{number}" * 1_000)]
        assert limiter.shorten(outputs, size(outputs[-1])) == ()


def test_what_cannot_be_cut_is_left_out() -> None:
    message: dict[str, Any] = {
        "data": {"text/html": "<b>" * MAX_CHARACTERS, "text/plain": "a table"}
    }
    cut(message)
    assert message["data"] == {
        "text/plain": f"a table\n… left out: {3 * MAX_CHARACTERS:,} characters of text/html …"
    }
    error = {"ename": "E", "evalue": "v" * MAX_CHARACTERS, "traceback": ["t" * MAX_CHARACTERS] * 3}
    cut(error)
    assert size(error) < 1.1 * MAX_CHARACTERS
    ours: dict[str, Any] = {
        "data": {FRAME_MIME: "x" * MAX_CHARACTERS, "text/html": "y" * MAX_CHARACTERS}
    }
    cut(ours)
    assert size(ours) >= 2 * MAX_CHARACTERS
